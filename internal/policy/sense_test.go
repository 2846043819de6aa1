package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// withRules is the shipped set with other rules in mail.yaml.
func withRules(t testing.TB, rules ...string) fstest.MapFS {
	t.Helper()
	m := withoutTests(t)
	m[fileMail] = &fstest.MapFile{Data: []byte("rules:\n  - " + strings.Join(rules, "\n  - ") + "\n"), Mode: 0o644}
	return m
}

// Every rule is compared with every other, and a thousand of them still load at once.
func TestSenseIsCheap(t *testing.T) {
	t.Parallel()
	var rules []string
	for i := range 1000 {
		rules = append(rules, fmt.Sprintf(`{name: "Rule %d", id: r-%d, when: {to: client, any: [{subject_starts: "[a%d]"}, {size_more_than: %d MB}], words_more_than: %d}, unless: {already: signed}, do: [hold]}`, i, i, i, i+1, i))
	}
	m := withRules(t, rules...)
	start := time.Now()
	if _, err := Load(m); err != nil {
		t.Fatal(err)
	}
	t.Logf("1,000 rules in %s", time.Since(start))
	if d := time.Since(start); d > 30*time.Second { // 0.3 s alone; to compare each rule with all pairs of others takes minutes
		t.Errorf("1,000 rules took %s", d)
	}
}

// What is said about rules together, and of what nothing is said although it looks alike.
func TestSense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules []string
		want  string // codes of problems and warnings, sorted as they stand
	}{
		"an exception by age":               {[]string{"{name: A, id: a, when: {to: client}, unless: {client_younger_than: 18}, do: [hold]}"}, ""},
		"one or the other":                  {[]string{"{name: A, id: a, when: {any: [{to: colleague}, {client_discreet: yes}]}, do: [hold]}"}, ""},
		"anyone is everybody":               {[]string{"{name: A, id: a, when: {to: anyone, client_discreet: yes}, do: [hold]}"}, ""},
		"two countries at one mailbox":      {[]string{"{name: A, id: a, when: {client_country: GB, client_country_not: GB}, do: [hold]}"}, ""},
		"a young client at a shared one":    {[]string{"{name: A, id: a, when: {client_younger_than: 18}, unless: {client_younger_than: 18}, do: [hold]}"}, ""},
		"more clients than the limit":       {[]string{"{name: A, id: a, when: {clients_more_than: 10}, do: [hold]}"}, "P176"},
		"as many clients as the limit":      {[]string{"{name: A, id: a, when: {clients_more_than: 9}, do: [hold]}"}, ""},
		"nobody may":                        {[]string{"{name: A, id: a, when: {sender: maya, sender_may: audit}, do: [hold]}"}, "P177"},
		"a sender or another":               {[]string{"{name: A, id: a, when: {any: [{sender: maya}, {sender_may: audit}]}, do: [hold]}"}, ""},
		"the same rule twice":               {[]string{"{name: A, id: a, when: {to: client}, do: [hold]}", "{name: B, id: b, when: {to: client}, do: [hold]}"}, "P176"},
		"the wide one comes later":          {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold]}", "{name: B, id: b, when: {to: client}, do: [hold]}"}, "P176"},
		"the wide one only observes":        {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold]}", "{name: B, id: b, when: {to: client}, do: [hold], mode: observe}"}, ""},
		"the narrow one is always enforced": {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold], always_enforce: yes}", "{name: B, id: b, when: {to: client}, do: [hold]}"}, ""},
		"the wide one is about tone":        {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold]}", "{name: B, id: b, when: {to: client}, do: [hold], about: tone}"}, ""},
		"the narrow one tells somebody":     {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold, {tell: sam}]}", "{name: B, id: b, when: {to: client}, do: [hold]}"}, ""},
		"the narrow one says it better":     {[]string{"{name: A, id: a, when: {to: unknown, contains: link}, do: [hold], tell_sender: M05}", "{name: B, id: b, when: {to: unknown}, do: [hold]}"}, ""},
		"the wide one has an exception":     {[]string{"{name: A, id: a, when: {to: client, client_discreet: yes}, do: [hold]}", "{name: B, id: b, when: {to: client}, unless: {already: signed}, do: [hold]}"}, ""},
		"both have the same exception":      {[]string{"{name: A, id: a, when: {to: client, contains: link}, unless: {already: signed}, do: [hold]}", "{name: B, id: b, when: {to: client}, unless: {already: signed}, do: [hold]}"}, "P176"},
		"the wide one refuses":              {[]string{"{name: A, id: a, when: {to: unknown, contains: link}, do: [remove_identifying_headers]}", "{name: B, id: b, when: {to: unknown}, do: [refuse]}"}, "P176"},
		"hold_for holds":                    {[]string{"{name: A, id: a, when: {to: unknown, contains: link}, do: [hold]}", "{name: B, id: b, when: {to: unknown}, do: [{hold_for: sam}]}"}, "P176"},
		"hold does not say for whom":        {[]string{"{name: A, id: a, when: {to: unknown, contains: link}, do: [{hold_for: sam}]}", "{name: B, id: b, when: {to: unknown}, do: [hold]}"}, ""},
		"two subjects for others":           {[]string{"{name: A, id: a, when: {to: client, client_younger_than: 18}, do: [{subject: neutral-note}]}", "{name: B, id: b, when: {to: client}, unless: {client_younger_than: 18}, do: [{subject: neutral-default}]}"}, ""},
		"one of two subjects is observed":   {[]string{"{name: A, id: a, when: {to: client, client_younger_than: 18}, do: [{subject: neutral-note}], mode: observe}", "{name: B, id: b, when: {to: client}, do: [{subject: neutral-default}]}"}, ""},
		"two subjects that may meet":        {[]string{"{name: A, id: a, when: {to: client, client_younger_than: 18}, do: [{subject: neutral-note}]}", "{name: B, id: b, when: {to: client, contains: link}, do: [{subject: neutral-default}]}"}, ""},
		"two subjects that always meet":     {[]string{"{name: A, id: a, when: {to: client, client_younger_than: 18}, do: [{subject: neutral-note}]}", "{name: B, id: b, when: {client_younger_than: 21}, do: [{subject: neutral-default}]}"}, "P120"},
		"a tag is a subject":                {[]string{`{name: A, id: a, when: {to: client, subject_starts: "[re: x]"}, do: [hold]}`}, ""},
		"a word is no mark":                 {[]string{`{name: A, id: a, when: {to: client, subject_starts: "Report:"}, do: [hold]}`}, ""},
		"Norway":                            {[]string{"{name: A, id: a, when: {to: client, client_country: NO}, do: [hold]}"}, ""},
		"locked as ZIP":                     {[]string{"{name: A, id: a, when: {to: client}, do: [{lock_as: zip}]}"}, "P175"},
		"danger waits for a word list":      {[]string{"{name: A, id: a, when: {to: client, mentions: [therapy_talk]}, do: [hold]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, "P180"},
		"danger waits for length":           {[]string{"{name: A, id: a, when: {any: [{all: [{to: client}, {words_more_than: 200}]}, {clients_more_than: 3}]}, do: [{hold_for: sam}]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, "P180"},
		"danger waits for a number":         {[]string{"{name: A, id: a, when: {to: client, contains: personal_contact}, do: [hold]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, "P180"},
		"danger waits for the morning":      {[]string{"{name: A, id: a, when: {to: client, outside: working_hours}, do: [hold]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, "P180"},
		"danger waits, and that is meant":   {[]string{"{name: A, id: a, when: {to: client, contains: link}, do: [hold], about: safety}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, ""},
		"danger goes first":                 {[]string{"{name: A, id: a, when: {to: client, contains: link}, do: [hold], about: tone}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, ""},
		"danger waits for a mark":           {[]string{"{name: A, id: a, when: {to: client, subject_starts: \"[draft]\"}, do: [hold]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, ""},
		"danger to nobody known":            {[]string{"{name: A, id: a, when: {to: unknown, contains: link}, do: [hold]}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, ""},
		"danger is only counted":            {[]string{"{name: A, id: a, when: {to: client, contains: link}, do: [hold], mode: observe}", "{name: D, id: d, when: {mentions: [danger_words]}, do: [never_hold]}"}, ""},
		"nothing goes first":                {[]string{"{name: A, id: a, when: {to: client, contains: link}, do: [hold]}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := withRules(t, c.rules...)
			m[fileCrisis] = &fstest.MapFile{Data: []byte("GB:\n  emergency: \"999\"\n  lines:\n    - {name: NHS, call: \"111\", hours: 24/7, free: yes, for: all, source: nhs.uk, checked_on: 2026-11-22}\n"), Mode: 0o644}
			m["tests/a.yaml"] = &fstest.MapFile{Data: []byte("clients: {C-1: {email: anna@example.org}}\ntests:\n  - {name: T, mail: {from: maya, to: [C-1], subject: Hi, body: x}, expect: {outcome: hold}}\n"), Mode: 0o644}
			s, err := Load(m)
			ps, _ := err.(Problems)
			if s != nil {
				ps = s.WarningsAt(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
			}
			var got []string
			for _, p := range ps {
				if p.Code != codeListUnused { // few of the shipped ones are used here
					got = append(got, string(p.Code))
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q:\n%v", got, c.want, ps)
			}
		})
	}
}

// Policies whose tests are all gone protect less: nothing would notice the next change. One test
// more or less is everyday work.
func TestTestsThatGo(t *testing.T) {
	t.Parallel()
	one := "  - {name: One, mail: {from: maya, to: [C-1], subject: Hi, body: x}, expect: {outcome: send}}\n"
	two := "  - {name: Two, mail: {from: sam, to: [C-1], subject: Hi, body: x}, expect: {outcome: send}}\n"
	with := func(tests string) *Snapshot {
		m := withoutTests(t)
		if tests != "" {
			m["tests/a.yaml"] = &fstest.MapFile{Data: []byte("clients: {C-1: {email: anna@example.org}}\ntests:\n" + tests), Mode: 0o644}
		}
		s, err := Load(m)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	weaker := func(a, b *Snapshot) bool {
		return slices.ContainsFunc(Differences(a, b), func(d Difference) bool { return d.Weaker })
	}
	if !weaker(with(one+two), with("")) {
		t.Error("all tests are gone, and nobody is told")
	}
	if weaker(with(one+two), with(two)) || weaker(with(""), with(one)) || weaker(with(""), with("")) {
		t.Error("everyday work counts as weaker")
	}
}

// What nobody would notice of a word list: it is not used, or a line of it holds several phrases.
func TestWordListsThatDoNothing(t *testing.T) {
	t.Parallel()
	m := withRules(t, "{name: A, id: a, when: {to: client, mentions: [care_words]}, do: [hold]}")
	for name := range m {
		if strings.HasPrefix(name, "words/") {
			delete(m, name)
		}
	}
	m["words/care_words.txt"] = &fstest.MapFile{Data: []byte("# one, two; three\nbeech ward\ndepot; clinic\nward, unit\n"), Mode: 0o644}
	m["words/pets.txt"] = &fstest.MapFile{Data: []byte("cat\n"), Mode: 0o644}
	s, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range s.Warnings {
		if w.Code != codeNoTests {
			got = append(got, fmt.Sprintf("%s %s:%d", w.Code, w.File, w.Line))
		}
	}
	if want := []string{"P182 words/care_words.txt:3", "P182 words/care_words.txt:4", "P181 words/pets.txt:0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The shipped sets say of every rule that holds by its words whether danger goes first.
func TestShippedSetsSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	sets, err := filepath.Glob("../../policies/examples/*/mail.yaml")
	if err != nil || len(sets) < 4 {
		t.Fatal(sets, err)
	}
	for _, set := range append(sets, "../../policies/mail.yaml") {
		s, err := Load(os.DirFS(filepath.Dir(set)))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.Warnings {
			if w.Code == codeAboutUnsaid || w.Code == codeListUnused || w.Code == codeManyPhrases {
				t.Errorf("%s: %v", set, w)
			}
		}
	}
}
