package policy

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/templates"
)

// Test is one case of policies/tests: a mail, the people it concerns, and what must happen.
// Everything in it is resolved, so that whoever runs it needs no look-up and no clock.
type Test struct {
	Name string
	File string // tests/everyday.yaml
	Line int
	At   time.Time // when the mail is sent; without at: it is Wednesday 4 March 2026, 10:00
	// Clients is the register of the file, with all consents. It is the same for all tests of
	// one file.
	Clients []filter.Client
	Mail    TestMail
	Expect  Expect
}

// TestMail is the mail of a test.
type TestMail struct {
	From        string // id of the person or system who signs in
	To, Cc, Bcc []TestRecipient
	Subject     string
	Body, HTML  string // HTML empty: plain text only
	EML         []byte // the whole message instead of Subject, Body and HTML; nil: none
}

// Recipients returns everybody the mail goes to, each once.
func (m TestMail) Recipients() []TestRecipient {
	var out []TestRecipient
	for _, r := range slices.Concat(m.To, m.Cc, m.Bcc) {
		if !slices.ContainsFunc(out, func(o TestRecipient) bool { return o.Address.Key() == r.Address.Key() }) {
			out = append(out, r)
		}
	}
	return out
}

// TestRecipient is a recipient as the test names it, and the address behind it.
type TestRecipient struct {
	As      string // C-1, sam or an address
	Address mail.Address
}

// Expect is what a test expects. A nil or empty field expects nothing.
type Expect struct {
	Outcome     string   // send, hold or refuse
	Copies      *int     // messages that leave (or, of held mail, that would)
	Rules       []string // rules, or checks of the program, that must have applied
	NotRules    []string // and those that must not
	HeldText    string   // id of the text that the sender reads: M05
	RefusedText string
	HeldFor     string   // person id
	Told        []string // ids or roles who are told; nil: not looked at; empty: nobody
	Urgent      *bool    // held although it speaks of danger
	EveryCopy   *ExpectCopy
	CopyFor     []ExpectCopyFor
	OutcomeFor  []ExpectOutcomeFor // per recipient
}

// ExpectCopy is what a test expects of a copy that leaves.
type ExpectCopy struct {
	Recipients   *int     // of one copy
	Subject      string   // the whole subject
	SubjectLacks []string // words, in any case
	Locked       string   // pdf, docx, zip, pgp or none; empty: not looked at
	Has, Lacks   []Look
	ShowsTo      []TestRecipient // what the copy shows in To; nil: not looked at
	ShowsCc      []TestRecipient // nil: not looked at; empty: no Cc
}

// ExpectCopyFor is what a test expects of one recipient's copy.
type ExpectCopyFor struct {
	TestRecipient
	ExpectCopy
}

// ExpectOutcomeFor is what must happen for one recipient: send, hold or refuse.
type ExpectOutcomeFor struct {
	TestRecipient
	Outcome string
}

// Look is something to look for in a copy: a Mark that the program makes, or a text that a
// reader would see (subject, visible text, address fields), in any case.
type Look struct{ Mark, Text string }

// The marks: what tests can look for by the name of what makes it.
const (
	MarkCrisisSignature  = "crisis_signature"   // the crisis lines, or the discreet line for a discreet client
	MarkNeutralFirstLine = "neutral_first_line" // the neutral line comes before the sender's text
	MarkUseAlias         = "use_alias"          // From is the address that clients see
	MarkDiscreetLine     = "discreet_line"      // the discreet line, and no crisis lines
	MarkExpectationLine  = "expectation_line"   // the line that says whether an answer is expected
	MarkNeutralFilenames = "neutral_filenames"  // files are attached, and none has a telling name
)

func marks() []string {
	return []string{MarkCrisisSignature, MarkNeutralFirstLine, MarkUseAlias, MarkDiscreetLine, MarkExpectationLine, MarkNeutralFilenames}
}

// testFile reads one file of tests.
type testFile struct {
	l       *loader
	clients []filter.Client
	refs    []string
	first   map[string]mail.Address // of each client
}

// loadTests reads policies/tests.
func (l *loader) loadTests() {
	entries, err := fs.ReadDir(l.fsys, "tests")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			l.warnings = append(l.warnings, Problem{Code: codeNoTests, File: "tests", Text: "there are no tests", Fix: "write one for every rule, so that a change that weakens it is noticed"})
			return
		}
		l.problems = append(l.problems, Problem{Code: codeFileUnread, File: "tests", Text: "the tests cannot be read", Fix: "allow the program to read this directory"})
		return
	}
	names := map[string]bool{}
	for i, e := range entries {
		ext := strings.ToLower(path.Ext(e.Name()))
		switch {
		case strings.HasPrefix(e.Name(), "."), e.IsDir():
		case i >= maxFiles:
			l.problems = append(l.problems, Problem{Code: codeFileTooLarge, File: "tests", Text: "there are too many files here", Fix: "put the tests into fewer files"})
			return
		case ext == ".yml":
			l.problems = append(l.problems, Problem{Code: codeFileName, File: "tests/" + e.Name(), Text: "nobody would read a test file of this name", Fix: "let the name end in .yaml"})
		case ext == ".yaml":
			d, ok := l.open("tests/" + e.Name())
			l.docs = append(l.docs, d)
			if ok {
				l.readTests(d.root, names)
			}
		}
	}
}

func (l *loader) readTests(v value, names map[string]bool) {
	t := &testFile{l: l, first: map[string]mail.Address{}}
	var tests []value
	v.keys("a test file",
		field{"clients", false, func(v value) { t.readClients(v) }},
		field{"tests", true, func(v value) { tests = v.filled("tests") }},
	)
	for _, e := range tests {
		t.test(e, names)
	}
}

// readClients reads the register of a test file.
func (t *testFile) readClients(v value) {
	if !v.keysFree("clients") {
		return
	}
	for key, val := range v.pairs("clients") {
		ref := key.n.Value
		if strings.ContainsAny(ref, "@ ") || !strings.ContainsAny(ref, "0123456789") || len(ref) > 20 {
			key.report(codeTestClient, "a client is named by a code", "for example C-1")
			continue
		}
		c := filter.Client{Ref: ref, Status: "active"}
		t.refs = append(t.refs, ref)
		if t.client(val, &c) {
			t.clients = append(t.clients, c)
			if len(c.Email) > 0 {
				t.first[ref] = c.Email[0]
			}
		}
	}
}

func (t *testFile) client(v value, c *filter.Client) bool {
	text := func(key string, to *string) field {
		return field{key, false, func(v value) { *to, _ = v.text(key) }}
	}
	fields := []field{
		{"email", false, func(v value) {
			all := []value{v}
			if v.n.Kind == yaml.SequenceNode {
				all = v.filled("email")
			}
			for _, e := range all {
				if a, ok := e.address("email"); ok {
					c.Email = append(c.Email, a)
				}
			}
		}},
		{"mobile", false, func(v value) {
			if s, ok := v.phone("mobile"); ok {
				c.Mobile = append(c.Mobile, s)
			}
		}},
		{"born", false, func(v value) { c.Born, _ = v.date("born") }},
		{"discreet", false, func(v value) {
			if b, ok := v.yesNo("discreet"); ok {
				c.Discreet = &b
			}
		}},
		{"country", false, func(v value) { c.Country, _ = v.code("country", 2, 2) }},
		{"status", false, func(v value) { c.Status, _ = v.word("status", "active", "former") }},
		{"protection", false, func(v value) {
			c.Protection, _ = v.word("protection", "locked_pdf", "locked_word", "locked_zip", "pgp", "none")
		}},
		{"words", false, func(v value) { c.HasWords, _ = v.yesNo("words") }},
		{"practitioner", false, func(v value) {
			if s, ok := v.text("practitioner"); ok {
				if _, known := t.l.s.people[s]; !known && t.l.readable[filePeople] {
					v.report(codeNobody, "no person in people.yaml has the id %s", didYouMean(s, t.l.personIDs()), quote(s))
				}
				c.Practitioner = s
			}
		}},
		text("name", &c.Name), text("nation", &c.Nation), text("language", &c.Language), text("timezone", &c.Timezone), text("word", &c.Word),
	}
	purposes := append(t.l.s.Clients.Purposes(), "parent_consent", "competence_note", "parent_or_competence_note")
	if !t.l.readable[fileClients] && v.n.Kind == yaml.MappingNode {
		// Which consents there are cannot be known; that is the problem to mend.
		for i := 0; i < len(v.n.Content); i += 2 {
			if k := v.n.Content[i].Value; !slices.ContainsFunc(fields, func(f field) bool { return f.key == k }) {
				purposes = append(purposes, k)
			}
		}
	}
	for _, p := range purposes {
		fields = append(fields, field{p, false, func(v value) { t.consent(v, p, c) }})
	}
	if v.isNull() {
		v.report(codeTestClient, "this client says nothing", "write at least its email")
		return false
	}
	return v.keys("a client", fields...)
}

// consent reads "group_email: yes", or the dates of a consent.
func (t *testFile) consent(v value, purpose string, c *filter.Client) {
	k := filter.Consent{Purpose: purpose, GivenOn: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if v.n.Kind != yaml.MappingNode {
		if yes, ok := v.yesNo(purpose); ok && yes {
			c.Consents = append(c.Consents, k)
		}
		return
	}
	ends := false
	v.keys("a consent of a client",
		field{"given_on", true, func(v value) { k.GivenOn, _ = v.date("given_on") }},
		field{"expires_on", false, func(v value) { k.ExpiresOn, ends = v.date("expires_on") }},
		field{"withdrawn", false, func(v value) { k.Withdrawn, _ = v.yesNo("withdrawn") }},
	)
	if r := t.l.s.Clients.Consents[purpose]; !ends && !r.Lasts.IsZero() {
		k.ExpiresOn = r.Lasts.From(k.GivenOn)
	}
	c.Consents = append(c.Consents, k)
}

func (t *testFile) test(v value, names map[string]bool) {
	c := Test{File: v.d.name, Line: v.n.Line, Clients: t.clients,
		At: time.Date(2026, 3, 4, 10, 0, 0, 0, t.l.s.loc)}
	hasMail := false
	ok := v.keys("a test",
		field{"name", true, func(v value) {
			c.Name, _ = v.text("name")
			if names[c.Name] && c.Name != "" {
				v.report(codeTestTwice, "another test has the same name", "a failure must name one test: choose another name")
			}
			names[c.Name] = true
		}},
		field{"at", false, func(v value) { c.At, _ = v.moment("at", t.l.s.loc) }},
		field{"mail", false, func(v value) { hasMail = true; t.mail(v, &c.Mail) }},
		field{"sms", false, func(v value) {
			hasMail = true
			v.report(codeNotBuilt, "this version sends no texts, so this test cannot be run", "take the test out until a version that sends texts is installed")
		}},
		field{"expect", true, func(v value) { t.expect(v, &c.Expect) }},
	)
	if !ok {
		return
	}
	if !hasMail {
		v.report(codeTestMail, "this test has no mail", "add mail: {from: ..., to: [...], subject: ..., body: ...}")
	}
	t.l.s.Tests = append(t.l.s.Tests, c)
}

func (t *testFile) mail(v value, m *TestMail) {
	to := func(key string, list *[]TestRecipient) field {
		return field{key, false, func(v value) { *list = t.recipients(key, v) }}
	}
	var eml value
	before := t.l.found()
	v.keys("mail",
		field{"from", true, func(v value) {
			s, ok := v.text("from")
			if _, known := t.l.s.senders[s]; ok && !known && t.l.readable[filePeople] {
				v.report(codeNobody, "nobody in people.yaml has the id %s", didYouMean(s, t.l.senderIDs()), quote(s))
			}
			m.From = s
		}},
		to("to", &m.To), to("cc", &m.Cc), to("bcc", &m.Bcc),
		field{"subject", false, func(v value) { m.Subject, _ = v.text("subject") }},
		field{"body", false, func(v value) { m.Body, _ = v.text("body") }},
		field{"html", false, func(v value) { m.HTML, _ = v.text("html") }},
		field{"eml", false, func(v value) { eml = v; m.EML = t.eml(v) }},
	)
	if len(m.To)+len(m.Cc)+len(m.Bcc) == 0 && t.l.found() == before {
		v.report(codeTestMail, "this mail goes to nobody", "add to: [C-1]")
	}
	if eml.ok() && (m.Subject != "" || m.Body != "" || m.HTML != "") {
		eml.report(codeTestMail, "a mail from a file brings its own subject and body", "delete subject, body and html, or eml")
	}
}

// eml reads a whole message from a file beside the tests. Lines may end as the editor ends
// them; a message has CRLF (RFC 5322 §2.1).
func (t *testFile) eml(v value) []byte {
	s, ok := v.text("eml")
	if !ok {
		return nil
	}
	name := path.Join("tests", s)
	if !fs.ValidPath(s) || path.Ext(s) != ".eml" {
		v.report(codeTestEML, "eml must name a file beside the tests", "for example signed.eml")
		return nil
	}
	if _, err := fs.Stat(t.l.fsys, name); err != nil {
		v.report(codeTestEML, "there is no file %s", "save the message under this name, or mend the name", quote(name))
		return nil
	}
	b := t.l.sources[name]
	if b == nil {
		var d *document
		if d, b, ok = t.l.read(name); !ok {
			t.l.docs = append(t.l.docs, d)
			return nil
		}
		t.l.docs = append(t.l.docs, d)
	}
	return []byte(strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n"))
}

func (l *loader) senderIDs() []string {
	out := l.personIDs()
	for _, y := range l.s.Systems {
		out = append(out, y.ID)
	}
	return out
}

func (t *testFile) recipients(what string, v value) []TestRecipient {
	out := []TestRecipient{}
	for _, e := range v.list(what) {
		if r, ok := t.recipient(e); ok {
			out = append(out, r)
		}
	}
	return out
}

// recipient resolves a client's code, a person's id or an address.
func (t *testFile) recipient(v value) (TestRecipient, bool) {
	s, ok := v.text("a recipient")
	if !ok {
		return TestRecipient{}, false
	}
	r := TestRecipient{As: s}
	if a, known := t.first[s]; known {
		r.Address = a
		return r, true
	}
	if i, known := t.l.s.people[s]; known {
		r.Address = t.l.s.People[i].SignsInAs
		return r, true
	}
	if i, known := t.l.s.systems[s]; known {
		r.Address = t.l.s.Systems[i].SignsInAs
		return r, true
	}
	if strings.Contains(s, "@") {
		r.Address, ok = v.address("this")
		return r, ok
	}
	if slices.Contains(t.refs, s) {
		v.report(codeTestClient, "the client %s has no email", "add it under clients", quote(s))
		return r, false
	}
	if !t.l.readable[filePeople] && !strings.ContainsAny(s, "0123456789") {
		return r, true // a person, perhaps: people.yaml has to be mended first
	}
	v.report(codeTestRecipient, "%s is neither a client of this file nor a person", didYouMean(s, append(slices.Clone(t.refs), t.l.senderIDs()...)), quote(s))
	return r, false
}

func (t *testFile) expect(v value, x *Expect) {
	rules := func(key string, to *[]string) field {
		return field{key, false, func(v value) {
			for _, e := range v.list(key) {
				if s, ok := t.ruleID(e); ok {
					*to = append(*to, s)
				}
			}
		}}
	}
	textOf := func(key string, kind templates.TextKind, to *string) field {
		return field{key, false, func(v value) {
			s, ok := v.text(key)
			if k, known := textKind(s); ok && (!known || k != kind) {
				v.report(codeNoText, "no text of this kind has the id %s", didYouMean(s, textsOf(kind)), quote(s))
			}
			*to = s
		}}
	}
	v.keys("expect",
		field{"outcome", true, func(v value) { x.Outcome, _ = readOutcome(v) }},
		field{"copies", false, func(v value) {
			if n, ok := v.whole("copies", 0, 1000); ok {
				x.Copies = &n
			}
		}},
		field{"every_copy", false, func(v value) { x.EveryCopy = &ExpectCopy{}; t.expectCopy(v, x.EveryCopy) }},
		field{"copy_for", false, func(v value) {
			t.byRecipient("copy_for", v, func(r TestRecipient, v value) {
				c := ExpectCopyFor{TestRecipient: r}
				t.expectCopy(v, &c.ExpectCopy)
				x.CopyFor = append(x.CopyFor, c)
			})
		}},
		field{"outcome_for", false, func(v value) {
			t.byRecipient("outcome_for", v, func(r TestRecipient, v value) {
				if w, ok := readOutcome(v); ok {
					x.OutcomeFor = append(x.OutcomeFor, ExpectOutcomeFor{r, w})
				}
			})
		}},
		rules("rules", &x.Rules), rules("not_rules", &x.NotRules),
		textOf("held_text", templates.KindHeld, &x.HeldText),
		textOf("refused_text", templates.KindRefused, &x.RefusedText),
		field{"held_for", false, func(v value) {
			s, ok := v.text("held_for")
			if _, known := t.l.s.people[s]; ok && !known && t.l.readable[filePeople] {
				v.report(codeNobody, "no person in people.yaml has the id %s", didYouMean(s, t.l.personIDs()), quote(s))
			}
			x.HeldFor = s
		}},
		field{"told", false, func(v value) {
			x.Told = []string{}
			known := append(t.l.personIDs(), RoleSafeguardingLead, RoleDataProtection)
			for _, e := range v.list("told") {
				if !t.l.readable[filePeople] {
					continue
				}
				if w, ok := e.word("told", known...); ok {
					x.Told = append(x.Told, w)
				}
			}
		}},
		field{"urgent", false, func(v value) {
			if b, ok := v.yesNo("urgent"); ok {
				x.Urgent = &b
			}
		}},
	)
}

func readOutcome(v value) (string, bool) {
	if v.n.Kind == yaml.ScalarNode && v.n.Value == "later" {
		v.report(codeNotBuilt, "only texts go later, and this version sends no texts", "write send, hold or refuse")
		return "", false
	}
	return v.word("outcome", "send", "hold", "refuse")
}

// byRecipient reads keys that name recipients.
func (t *testFile) byRecipient(what string, v value, read func(TestRecipient, value)) {
	if !v.keysFree(what) {
		return
	}
	for key, val := range v.pairs(what) {
		r, ok := t.recipient(key)
		if !ok {
			continue
		}
		if val.isNull() {
			key.report(codeNoValue, "%s has no value", "write what you expect", quote(key.n.Value))
			continue
		}
		read(r, val)
	}
}

func (t *testFile) ruleID(v value) (string, bool) {
	s, ok := v.text("a rule")
	if !ok {
		return "", false
	}
	if len(t.l.ruleLines) == 0 {
		return s, true // no rule of mail.yaml could be read, which is the problem to mend
	}
	known := builtinRules()
	for id := range t.l.ruleLines {
		known = append(known, id)
	}
	slices.Sort(known)
	if !slices.Contains(known, s) && t.l.rulesUnclear {
		return s, true
	}
	if !slices.Contains(known, s) {
		v.report(codeTestRule, "no rule has the id %s", didYouMean(s, known), quote(s))
		return "", false
	}
	return s, true
}

func (t *testFile) expectCopy(v value, x *ExpectCopy) {
	looks := func(key string, to *[]Look) field {
		return field{key, false, func(v value) {
			for _, e := range v.list(key) {
				s, ok := e.text("what to look for")
				switch {
				case !ok:
				case slices.Contains(marks(), s):
					*to = append(*to, Look{Mark: s})
				case strings.Contains(s, "_") && !strings.Contains(s, " ") && Nearest(s, marks()) != "":
					e.report(codeUnknownWord, "unknown word %s", didYouMean(s, marks()), quote(s))
				default:
					*to = append(*to, Look{Text: s})
				}
			}
		}}
	}
	shows := func(key string, to *[]TestRecipient) field {
		return field{key, false, func(v value) { *to = t.recipients(key, v) }}
	}
	v.keys("a copy",
		field{"recipients", false, func(v value) {
			if n, ok := v.whole("recipients", 1, 1000); ok {
				x.Recipients = &n
			}
		}},
		field{"subject", false, func(v value) { x.Subject, _ = v.text("subject") }},
		field{"subject_lacks", false, func(v value) {
			all := []value{v}
			if v.n.Kind == yaml.SequenceNode {
				all = v.filled("subject_lacks")
			}
			for _, e := range all {
				if s, ok := e.text("subject_lacks"); ok {
					x.SubjectLacks = append(x.SubjectLacks, s)
				}
			}
		}},
		field{"locked", false, func(v value) { x.Locked, _ = v.word("locked", "pdf", "docx", "zip", "pgp", "none") }},
		looks("has", &x.Has), looks("lacks", &x.Lacks),
		shows("shows_to", &x.ShowsTo), shows("shows_cc", &x.ShowsCc),
	)
}
