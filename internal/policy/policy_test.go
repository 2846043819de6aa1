package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/policies"
)

func shipped(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Load(policies.Files)
	if err != nil {
		t.Fatalf("the shipped policies have problems:\n%v", err)
	}
	return s
}

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestShippedPoliciesLoad(t *testing.T) {
	t.Parallel()
	s := shipped(t)
	var ids []string
	for _, r := range s.Rules {
		ids = append(ids, r.ID())
		if s.RuleName(r.ID()) == r.ID() {
			t.Errorf("rule %s has no name", r.ID())
		}
	}
	want := []string{"send-separately", "together-needs-consent", "unknown-recipient", "neutral-subject", "lock-documents",
		"secure-by-hand", "crisis-signature", "no-programs", "closed-files", "young-practical", "young-talk", "no-kisses", "personal-details", "young-personal-details",
		"safety-first", "send-now"}
	if !slices.Equal(ids, want) {
		t.Errorf("rules %v, want %v", ids, want)
	}
	for _, w := range s.Warnings {
		if !strings.Contains(w.Text, `cannot do "lock" yet`) {
			t.Errorf("the shipped policies warn: %v", w)
		}
	}
	if !strings.HasPrefix(s.ID, "sha256:") || len(s.ID) != 7+64 || s.Practice.Policy != s.ID {
		t.Errorf("snapshot id %q", s.ID)
	}
	if s.Needs&filter.Always != filter.Always || s.Needs&filter.NeedContent == 0 {
		t.Errorf("needs %b", s.Needs)
	}
	p := s.Practice
	if p.ClientsPerMessage != 10 || !p.DiscreetByDefault || p.UnknownIsAdult || p.GroupConsent != "group_email" || p.OnMixedSplit {
		t.Errorf("practice %+v", p)
	}
	if s.Location().String() != "Europe/London" || s.Org.HeldMail.ExpiresAfter != 72*time.Hour {
		t.Errorf("organisation %+v", s.Org)
	}
}

// Every rule is named by a shipped test that expects it to apply, or it could be lost unseen.
func TestEveryShippedRuleHasATest(t *testing.T) {
	t.Parallel()
	s := shipped(t)
	reached := map[string]bool{}
	for _, c := range s.Tests {
		for _, r := range c.Expect.Rules {
			reached[r] = true
		}
	}
	for _, r := range s.Rules {
		if !reached[r.ID()] {
			t.Errorf("no test in policies/tests expects rule %s", r.ID())
		}
	}
}

// A word in both lists would hold up the very mail that must not be delayed.
func TestDangerIsNotHeldUpByLocking(t *testing.T) {
	t.Parallel()
	read := func(name string) map[string]bool {
		b, err := policies.Files.ReadFile("words/" + name)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for line := range strings.Lines(string(b)) {
			line = strings.ToLower(strings.TrimSpace(strings.ReplaceAll(line, "-", " ")))
			if line != "" && line[0] != '#' {
				out[line] = true
			}
		}
		return out
	}
	danger := read("danger_words.txt")
	for _, list := range []string{"care_words.txt", "health_identifiers.txt", "therapy_talk.txt"} {
		for w := range read(list) {
			for d := range danger {
				if strings.Contains(" "+d+" ", " "+w+" ") {
					t.Errorf("%q of %s stands in %q of danger_words.txt", w, list, d)
				}
			}
		}
	}
	for w := range read("care_words.txt") {
		for _, trade := range []string{"counselling", "counsellor", "therapy", "therapist", "session", "appointment", "clinic"} {
			if w == trade {
				t.Errorf("%q is a word of the trade, not a clinical detail", w)
			}
		}
	}
}

func TestSendersAndAddresses(t *testing.T) {
	t.Parallel()
	s := shipped(t)
	for _, c := range []struct {
		name, id string
		ok       bool
	}{
		{"maya@willowhouse.example", "maya", true},
		{"Maya@WillowHouse.example", "maya", true},
		{"diary@willowhouse.example", "diary", true},
		{"hello@wh.example", "", false}, // nobody signs in with what clients see
		{"maya", "", false},
		{"", "", false},
	} {
		if id, ok := s.BySignIn(c.name); id != c.id || ok != c.ok {
			t.Errorf("BySignIn(%q) = %q, %v", c.name, id, ok)
		}
	}
	for _, c := range []struct {
		id, address string
		want        bool
	}{
		{"maya", "maya@willowhouse.example", true},
		{"maya", "MAYA@willowhouse.example", true},
		{"maya", "hello@wh.example", true},
		{"maya", "sam@willowhouse.example", false},
		{"diary", "diary@willowhouse.example", true},
		{"diary", "sam@willowhouse.example", true},
		{"sam", "diary@willowhouse.example", false},
		{"nobody", "maya@willowhouse.example", false},
	} {
		if got := s.MayUse(c.id, address(t, c.address)); got != c.want {
			t.Errorf("MayUse(%s, %s) = %v", c.id, c.address, got)
		}
	}
	if s.MayUse("maya", mail.Address{}) {
		t.Error("the null reverse-path is nobody's address")
	}
	for a, want := range map[string]filter.Class{
		"sam@willowhouse.example":   filter.ClassColleague,
		"hello@wh.example":          filter.ClassColleague,
		"somebody@wh.example":       filter.ClassColleague,
		"ward@nhs.net":              filter.ClassContact,
		"Accounts@landlord.example": filter.ClassContact,
		"other@landlord.example":    filter.ClassUnknown,
		"x@not-willowhouse.example": filter.ClassUnknown,
		"x@a.willowhouse.example":   filter.ClassUnknown,
		"anna@example.org":          filter.ClassUnknown,
	} {
		if got := s.ClassOf(address(t, a)); got != want {
			t.Errorf("ClassOf(%s) = %s, want %s", a, got, want)
		}
	}
	m, ok := s.Sender("maya")
	if !ok || m.AliasName != "M" || m.Alias.String() != "hello@wh.example" || m.System {
		t.Errorf("Sender(maya) = %+v, %v", m, ok)
	}
	if y, ok := s.Sender("diary"); !ok || !y.System {
		t.Errorf("Sender(diary) = %+v, %v", y, ok)
	}
	for _, who := range []string{"sam", RoleSafeguardingLead, RoleDataProtection} {
		if p, ok := s.Person(who); !ok || p.ID != "sam" {
			t.Errorf("Person(%s) = %+v, %v", who, p, ok)
		}
	}
	if _, ok := s.Person("diary"); ok {
		t.Error("a system is not a person")
	}
	if _, ok := s.PersonByAddress(address(t, "hello@wh.example")); ok {
		t.Error("an address that two people share names neither")
	}
	if p, ok := s.PersonByAddress(address(t, "maya@willowhouse.example")); !ok || p.ID != "maya" {
		t.Errorf("PersonByAddress = %+v, %v", p, ok)
	}
}

// A fact that nobody has checked for 180 days warns, on the day after and not before.
func TestHelplinesAge(t *testing.T) {
	t.Parallel()
	m := withoutTests(t)
	file := "GB:\n  emergency: \"999\"\n  lines:\n"
	for name, on := range map[string]string{"Never": "never", "Fresh": "2026-05-26", "Old": "2026-05-25", "Coming": "2026-11-23", "Today": "2026-11-22"} {
		file += "    - {name: " + name + ", call: \"111\", hours: 24/7, free: yes, for: all, source: nhs.uk, checked_on: " + on + "}\n"
	}
	m[fileCrisis] = &fstest.MapFile{Data: []byte(file), Mode: 0o644}
	s, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	warned := func(at time.Time) (out []string) {
		for _, w := range s.WarningsAt(at) {
			if w.File == fileCrisis {
				out = append(out, w.Text)
			}
		}
		slices.Sort(out)
		return out
	}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	// One line for all of them: a list of twenty is read by nobody. A slip has a line of its own.
	if got, want := warned(now), []string{"2 of 5 helplines have to be checked (1 never, 1 not within the last 180 days)", `the helpline "Coming" was checked on a day that has not come yet`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := warned(now.AddDate(1, 0, 0)); len(got) != 1 || !strings.Contains(got[0], "5 of 5") {
		t.Errorf("a year later: %q", got)
	}
	for name, want := range map[string]string{"Coming": "was checked on a day that has not come yet", "Never": "has never been checked", "Old": "was last checked more than 180 days ago"} {
		on := map[string]string{"Coming": "2026-11-23", "Never": "never", "Old": "2026-05-25"}[name]
		m[fileCrisis] = &fstest.MapFile{Data: []byte("GB:\n  emergency: \"999\"\n  lines:\n    - {name: " + name + ", call: \"111\", hours: 24/7, free: yes, for: all, source: nhs.uk, checked_on: " + on + "}\n"), Mode: 0o644}
		if s, err = Load(m); err != nil {
			t.Fatal(err)
		}
		if got := warned(now); len(got) != 1 || got[0] != `the helpline "`+name+`" `+want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Nothing that ships pretends to have been checked, and every line says where it is from.
func TestShippedHelplines(t *testing.T) {
	t.Parallel()
	s := shipped(t)
	for country, c := range s.Crisis {
		for _, l := range c.Lines {
			if !l.CheckedOn.IsZero() || !strings.Contains(l.Source, ".") {
				t.Errorf("%s, %s: checked on %s, source %q", country, l.Name, l.CheckedOn, l.Source)
			}
		}
	}
	for _, country := range []string{"GB", "IE", "US"} {
		if len(s.Crisis[country].Lines) == 0 {
			t.Errorf("no lines for %s", country)
		}
	}
}

func TestIDFollowsNamesAndContents(t *testing.T) {
	t.Parallel()
	m := withoutTests(t)
	id := func() string {
		s, err := Load(m)
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	first := id()
	if again := id(); again != first {
		t.Error("the same files have two ids")
	}
	m["words/kisses.txt"] = &fstest.MapFile{Data: []byte("xx\n"), Mode: 0o644}
	second := id()
	m["words/kisses2.txt"] = m["words/kisses.txt"]
	delete(m, "words/kisses.txt")
	if third := id(); first == second || second == third || first == third {
		t.Error("a changed name or content keeps the id")
	}
}

// badFile replaces the shipped mail.yaml by what no file should be.
type badFile struct {
	fstest.MapFS
	open func() (fs.File, error)
}

func (b badFile) Open(name string) (fs.File, error) {
	if name == fileMail {
		return b.open()
	}
	return b.MapFS.Open(name)
}

func (b badFile) Stat(name string) (fs.FileInfo, error) { return b.MapFS.Stat(name) }

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	m := withoutTests(t)
	large := maps.Clone(m)
	large[fileMail] = &fstest.MapFile{Data: []byte("rules: []\n# " + strings.Repeat("x", maxFileBytes)), Mode: 0o644}
	dir := maps.Clone(m)
	dir[fileMail] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	rubbish := maps.Clone(m)
	rubbish[fileMail] = &fstest.MapFile{Data: []byte("rules:\n" + strings.Repeat("  - {nme: x}\n", 5000)), Mode: 0o644}
	for name, c := range map[string]struct {
		fsys fs.FS
		want string
	}{
		"not allowed": {badFile{m, func() (fs.File, error) { return nil, fs.ErrPermission }}, "mail.yaml: this file cannot be opened [P003]\n   fix: the program may not read it"},
		"broken disk": {badFile{m, func() (fs.File, error) { return nil, errors.New("i/o error") }}, "mail.yaml: this file cannot be opened"},
		"too large":   {large, "mail.yaml: this file is larger than 1 MB"},
		"a directory": {dir, "mail.yaml: this is not a file"},
		"rubbish":     {rubbish, "there is more wrong in this file"},
		"nothing":     {fstest.MapFS{}, "mail.yaml: this file is missing, which would remove all protection"},
	} {
		s, err := Load(c.fsys)
		var ps Problems
		if s != nil || !errors.As(err, &ps) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if len(ps) > 2*maxProblems {
			t.Errorf("%s: %d problems listed", name, len(ps))
		}
	}
}

// A mail.yaml that was cut off never loads with fewer rules: the tests beside it name the
// rules that must be there (I11).
func TestCutOffRulesDoNotLoad(t *testing.T) {
	t.Parallel()
	all := withoutTests(t)
	for _, name := range []string{"everyday", "groups", "safety"} {
		for _, ext := range []string{".yaml"} {
			b, err := policies.Files.ReadFile("tests/" + name + ext)
			if err != nil {
				t.Fatal(err)
			}
			all["tests/"+name+ext] = &fstest.MapFile{Data: b, Mode: 0o644}
		}
	}
	b, err := policies.Files.ReadFile("tests/signed.eml")
	if err != nil {
		t.Fatal(err)
	}
	all["tests/signed.eml"] = &fstest.MapFile{Data: b, Mode: 0o644}
	whole, err := Load(all)
	if err != nil {
		t.Fatal(err)
	}
	text := string(all[fileMail].Data)
	for i := range len(text) {
		if text[i] != '\n' && i%37 != 0 {
			continue
		}
		m := maps.Clone(all)
		m[fileMail] = &fstest.MapFile{Data: []byte(text[:i]), Mode: 0o644}
		if s, err := Load(m); err == nil && len(s.Rules) < len(whole.Rules) {
			t.Errorf("cut after byte %d it loads with %d rules", i, len(s.Rules))
		}
	}
}

// Each word of the vocabulary is known, in every place where it may stand, and says the right
// thing: what works loads, what comes later is an error (a condition) or a warning (a verb).
func TestVocabulary(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"to": "client", "clients_more_than": "1", "recipient": "not_listed", "subject_starts": `"[x]"`, "mentions": "[care_words]",
		"client_younger_than": "18", "client_discreet": "yes", "everyone_agreed_to": "group_email", "already": "signed",
		"sender": "maya", "sender_may": "send_now", "attachment": "[document, image]", "words_more_than": "200", "contains": "link",
		"client_country": "GB", "client_country_not": "[GB, IE]", "outside": "working_hours", "size_more_than": "10 MB",
		"any": "[{to: client}]", "all": "[{to: client}, {already: encrypted}]",
	}
	load := func(when, do string) (*Snapshot, error) {
		m := withoutTests(t)
		m[fileMail] = &fstest.MapFile{Mode: 0o644, Data: fmt.Appendf(nil, "rules:\n  - {name: A rule, id: a-rule, when: {%s}, do: [%s]}\n", when, do)}
		m[fileTemplates].Data = append(slices.Clone(m[fileTemplates].Data), "signatures: {short: \"((practice)), ((phone))\"}\n"...)
		return Load(m)
	}
	for _, c := range conditions() {
		v, known := values[c.name]
		if !known {
			v = "anything"
		}
		s, err := load(c.name+": "+v, "hold")
		if c.later {
			if err == nil || !strings.Contains(err.Error(), "this version cannot check") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || len(s.Rules) != 1 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	args := map[argument]string{aTemplate: "neutral-default", aPerson: "sam", aPersonOrRole: "data_protection", aSignature: "short", aRemovable: "kisses", aLock: "docx"}
	for _, v := range verbs() {
		do := v.name
		if v.arg != noArgument {
			do = "{" + v.name + ": " + args[v.arg] + "}"
		}
		s, err := load("to: anyone", do)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		warned := slices.ContainsFunc(s.Warnings, func(p Problem) bool { return p.Code != codeNoTests && p.Code != codeListUnused })
		if warned != v.later {
			t.Errorf("%s: warnings %v", v.name, s.Warnings)
		}
	}
}

// Two verbs contradict each other whatever their order, and a verb never contradicts itself.
func TestContradictionHasNoOrder(t *testing.T) {
	t.Parallel()
	for _, a := range verbs() {
		for _, b := range verbs() {
			if contradiction(a, b) != contradiction(b, a) {
				t.Errorf("%s and %s", a.name, b.name)
			}
		}
		if a.name != "refuse" && contradiction(a, a) != "" {
			t.Errorf("%s contradicts itself", a.name)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"do", "od", 1}, {"hold", "holt", 1}, {"hold", "", 4}, {"send_separately", "send_seperately", 1}, {"ä", "a", 1}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestClientDataIsFound(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"anna.smith@gmail.com":               1,
		"ask Anna <anna.smith@gmail.com>.":   1,
		"07700 900123":                       1,
		"+44 7700 900123":                    1,
		"(0161) 496-0000":                    1,
		"02079460000":                        1,
		"2026-03-01":                         0,
		"2026-03-01 10:00":                   0,
		"01/04/1990":                         0,
		"ICO guidance 2023 (S22, S62)":       0,
		"section 3.1.2":                      0,
		"C-0142":                             0,
		"@willowhouse":                       0,
		"HX00000000000000000000000000000000": 0,
	} {
		if got := clientData(s); len(got) != want {
			t.Errorf("clientData(%q) = %q", s, got)
		}
	}
}

func TestHostileYAMLIsCheap(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'a'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c+1, c+1, strings.Repeat(fmt.Sprintf("*%c,", c), 9))
	}
	for name, text := range map[string]string{
		"bomb":     bomb,
		"brackets": strings.Repeat("[", 500_000),
		"levels":   strings.Repeat("- ", 9_000) + "a",
		"keys":     strings.Repeat("? ", 9_000) + "a",
		"commas":   "rules: [" + strings.Repeat(",", 500_000),
		"quotes":   strings.Repeat("\"", 500_000),
		"anchors":  "rules: [" + strings.Repeat("&a x, ", 50_000) + "]",
	} {
		m := withoutTests(t)
		m[fileMail] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		start := time.Now()
		if s, err := Load(m); err == nil || s != nil {
			t.Errorf("%s was accepted", name)
		}
		if d := time.Since(start); d > 30*time.Second { // 100 ms alone; what grows without bound takes minutes, however busy the machine is
			t.Errorf("%s took %v", name, d)
		}
	}
}

func FuzzLoad(f *testing.F) {
	base := withoutTests(f)
	for name := range base {
		if strings.HasPrefix(name, "words/") { // short lists, so that each try is short
			base[name] = &fstest.MapFile{Data: []byte("a word\n"), Mode: 0o644}
		}
	}
	names := append(mandatory(), "words/care_words.txt", "tests/fuzz.yaml")
	for i, n := range names {
		if file := base[n]; file != nil {
			f.Add(uint8(i), string(file.Data))
		}
	}
	f.Add(uint8(5), "rules:\n  - {name: x, id: y, when: {any: [{to: client}]}, do: [{tell: sam}]}\n")
	f.Add(uint8(7), "tests:\n  - {name: x, mail: {from: maya, to: [sam]}, expect: {outcome: send}}\n")
	f.Add(uint8(5), "a: &a [*a]\n")
	f.Add(uint8(5), "\t")
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		m := maps.Clone(base)
		m[names[int(which)%len(names)]] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		s, err := Load(m)
		var ps Problems
		switch {
		case err == nil && (s == nil || len(s.Rules) == 0 || len(s.People) == 0 || s.Templates == nil || len(s.Crisis) == 0):
			t.Fatal("a snapshot without protection")
		case err != nil && (s != nil || !errors.As(err, &ps) || len(ps) == 0):
			t.Fatalf("an error without problems: %v", err)
		}
		for _, p := range ps {
			if p.Text == "" || p.File == "" || p.Line < 0 || (p.Line > 0 && p.Col < 1) {
				t.Fatalf("a problem without place or text: %#v", p)
			}
		}
	})
}

func BenchmarkLoadShipped(b *testing.B) {
	for b.Loop() {
		if _, err := Load(policies.Files); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadLarge loads 1,000 rules and 20,000 words.
func BenchmarkLoadLarge(b *testing.B) {
	m := withoutTests(b)
	var rules, words strings.Builder
	rules.WriteString("rules:\n")
	for i := range 1000 {
		fmt.Fprintf(&rules, "  - {name: Rule %d, id: rule-%d, when: {to: client, any: [{mentions: [many]}, {client_younger_than: 18}]}, do: [hold], because: S1}\n", i, i)
	}
	for i := range 20_000 {
		fmt.Fprintf(&words, "word%d and phrase%d\n", i, i)
	}
	m[fileMail] = &fstest.MapFile{Data: []byte(rules.String()), Mode: 0o644}
	m["words/many.txt"] = &fstest.MapFile{Data: []byte(words.String()), Mode: 0o644}
	for b.Loop() {
		if _, err := Load(m); err != nil {
			b.Fatal(err)
		}
	}
}

// A person's other work address belongs to a colleague wherever it is, and somebody who signs
// in from outside the practice's domains is a warning.
func TestAddressesOutsideTheDomains(t *testing.T) {
	t.Parallel()
	m := withoutTests(t)
	b := strings.Replace(string(m[filePeople].Data), "also_uses: []", "also_uses: [maya@college.example]", 1)
	b = strings.Replace(b, "signs_in_as: sam@willowhouse.example", "signs_in_as: sam@elsewhere.example", 1)
	m[filePeople] = &fstest.MapFile{Data: []byte(b), Mode: 0o644}
	s, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"maya@college.example", "sam@elsewhere.example"} {
		if got := s.ClassOf(address(t, a)); got != filter.ClassColleague {
			t.Errorf("ClassOf(%s) = %s", a, got)
		}
	}
	if got := s.ClassOf(address(t, "other@college.example")); got != filter.ClassUnknown {
		t.Errorf("a whole foreign domain counts as %s", got)
	}
	if !slices.ContainsFunc(s.Warnings, func(p Problem) bool { return strings.Contains(p.Text, "own domains") }) {
		t.Errorf("no warning: %v", s.Warnings)
	}
}
