package gateway

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// TestReport is the outcome of the tests of a set of policies.
type TestReport struct {
	Results   []TestResult `json:"results"`
	Unreached []string     `json:"unreached"` // ids of rules that no test reaches
}

// TestResult is one test's outcome; it passed when there are no failures.
type TestResult struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Failures []string `json:"failures,omitempty"`
}

// OK reports whether every test passed.
func (r TestReport) OK() bool {
	return !slices.ContainsFunc(r.Results, func(t TestResult) bool { return len(t.Failures) > 0 })
}

// RunTests runs the tests of a snapshot through the same decision and rendering as real mail,
// with the register of each test. Nothing is stored.
func RunTests(ctx context.Context, snap *policy.Snapshot) (TestReport, error) {
	r := TestReport{Results: []TestResult{}, Unreached: []string{}}
	reached := map[string]bool{}
	for _, t := range snap.Tests {
		res, rules, err := runTest(ctx, snap, t)
		if err != nil {
			return r, err
		}
		for _, id := range rules {
			reached[id] = true
		}
		r.Results = append(r.Results, res)
	}
	for _, rule := range snap.Rules {
		if !reached[rule.ID()] {
			r.Unreached = append(r.Unreached, rule.ID())
		}
	}
	return r, nil
}

// runTest decides about one test's mail and compares. An outcome that cannot be reached
// because something fails is a failure of the test, not of the run.
func runTest(ctx context.Context, snap *policy.Snapshot, t policy.Test) (TestResult, []string, error) {
	res := TestResult{Name: t.Name, File: t.File, Line: t.Line}
	g, err := New(Config{Policy: snap, Facts: fixture(t.Clients, t.At), Hostname: "gateway.test"})
	if err != nil {
		return res, nil, err
	}
	src, err := testSource(snap, t)
	if err != nil {
		return res, nil, err
	}
	m, err := mail.Parse(strings.NewReader(src), int64(len(src)), g.limits)
	if err != nil {
		return res, nil, fmt.Errorf("gateway: test %q: %w", t.Name, err)
	}
	q := question{snap: snap, mail: m, spool: store.NewMemorySpool, env: testEnvelope(snap, t)}
	d, err := g.decide(ctx, q)
	if err != nil {
		res.Failures = append(res.Failures, "this mail could not be decided about: "+err.Error())
		return res, nil, nil
	}
	defer d.close()
	c := &testCase{test: t, asked: d, made: d}
	if d.plan.Outcome == filter.Hold {
		q.release = &filter.Release{By: t.Mail.From, Reason: "test", Digest: m.Digest, All: true}
		if c.made, err = g.decide(ctx, q); err != nil {
			res.Failures = append(res.Failures, "the copies of this held mail could not be made: "+err.Error())
			return res, nil, nil
		}
		defer c.made.close()
	}
	if err := c.compare(); err != nil {
		return res, nil, err
	}
	res.Failures = c.failures
	return res, c.rules(), nil
}

// fixture is the register of a test. Its clients have not agreed words, they only say so.
func fixture(clients []filter.Client, at time.Time) *store.Fixture {
	f := store.NewFixture(clients, at)
	for i := range clients {
		if clients[i].HasWords {
			f.SetWords(clients[i].Ref, "these words open a test")
		}
	}
	return f
}

func testEnvelope(snap *policy.Snapshot, t policy.Test) *mail.Envelope {
	// The id only names things inside the copy; a fixed one keeps tests repeatable.
	e := &mail.Envelope{ID: "00000000000000000000000000", Submitter: t.Mail.From, ReceivedAt: t.At}
	if s, ok := snap.Sender(t.Mail.From); ok {
		e.Reverse = s.Real
	}
	for _, r := range t.Mail.Recipients() {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: r.Address})
	}
	return e
}

// testSource writes a test's mail as a mail app would.
func testSource(snap *policy.Snapshot, t policy.Test) (string, error) {
	if t.Mail.EML != nil {
		return string(t.Mail.EML), nil
	}
	s, ok := snap.Sender(t.Mail.From)
	if !ok {
		return "", fmt.Errorf("gateway: test %q: nobody has the id %q", t.Name, t.Mail.From)
	}
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	list := func(name string, rs []policy.TestRecipient) {
		if len(rs) == 0 {
			return
		}
		var as []mail.Mailbox
		for _, r := range rs {
			as = append(as, mail.Mailbox{Address: r.Address})
		}
		line("%s: %s", name, mail.FormatMailboxes(as))
	}
	line("Date: %s", rfc5322(t.At))
	line("From: %s", mail.FormatMailboxes([]mail.Mailbox{{Name: s.Name, Address: s.Real}}))
	list("To", t.Mail.To)
	list("Cc", t.Mail.Cc)
	line("Subject: =?utf-8?B?%s?=", base64.StdEncoding.EncodeToString([]byte(t.Mail.Subject)))
	line("Message-ID: <test@mailapp.invalid>\r\nMIME-Version: 1.0")
	part := func(kind, text string) {
		line("Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", kind)
		enc := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"))
		for len(enc) > 76 {
			line("%s", enc[:76])
			enc = enc[76:]
		}
		line("%s", enc)
	}
	if t.Mail.HTML == "" {
		part("plain", t.Mail.Body)
		return b.String(), nil
	}
	line("Content-Type: multipart/alternative; boundary=\"=_test\"\r\n\r\n--=_test")
	part("plain", t.Mail.Body)
	line("--=_test")
	part("html", t.Mail.HTML)
	line("--=_test--")
	return b.String(), nil
}

// testCase compares one test's expectations with what was decided and made.
type testCase struct {
	test     policy.Test
	asked    *decided // as the mail came
	made     *decided // as it would leave, every hold released
	failures []string
}

func (c *testCase) fail(format string, a ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, a...))
}

// rules are the ids of all rules that said something.
func (c *testCase) rules() []string {
	var out []string
	for _, f := range c.asked.plan.Findings {
		if !slices.Contains(out, f.Rule) {
			out = append(out, f.Rule)
		}
	}
	return out
}

func (c *testCase) compare() error {
	x, p := c.test.Expect, &c.asked.plan
	if got := outcomeOf(p.Outcome); x.Outcome != "" && got != x.Outcome {
		c.fail("expected outcome: %s, got %s%s%s", x.Outcome, got, c.because(), c.observed(x.Outcome))
	}
	copies := c.copies()
	if x.Copies != nil && *x.Copies != len(copies) {
		c.fail("expected copies: %d, got %d%s", *x.Copies, len(copies), c.didNotApply(x.Rules))
	}
	applied := c.rules()
	for _, id := range x.Rules {
		if !slices.Contains(applied, id) {
			c.fail("expected the rule %s to apply; these did: %s", id, listOr(applied, "none"))
		}
	}
	for _, id := range x.NotRules {
		if slices.Contains(applied, id) {
			c.fail("the rule %s applied and should not have", id)
		}
	}
	c.compareTexts()
	for _, o := range x.OutcomeFor {
		if got, ok := c.outcomeFor(o.Address); !ok || got != o.Outcome {
			c.fail("expected %s for %s, got %s", o.Outcome, o.As, listOr([]string{got}, "nothing"))
		}
	}
	for i := range copies {
		if x.EveryCopy != nil {
			if err := c.compareCopy(copies[i], *x.EveryCopy, "every copy"); err != nil {
				return err
			}
		}
	}
	for _, cf := range x.CopyFor {
		found := false
		for _, i := range copies {
			if c.goesTo(i, cf.Address) {
				found = true
				if err := c.compareCopy(i, cf.ExpectCopy, "the copy for "+cf.As); err != nil {
					return err
				}
			}
		}
		if !found {
			c.fail("there is no copy for %s", cf.As)
		}
	}
	return nil
}

func (c *testCase) compareTexts() {
	x, p := c.test.Expect, &c.asked.plan
	texts := func(a filter.Action) []string {
		var out []string
		for _, f := range p.Findings {
			if f.Text != "" && !f.Observed && (f.Action == a || a == filter.Hold && f.Action == filter.Lock) && !slices.Contains(out, f.Text) {
				out = append(out, f.Text)
			}
		}
		return out
	}
	for want, got := range map[string][]string{x.HeldText: texts(filter.Hold), x.RefusedText: texts(filter.Refuse)} {
		if want != "" && !slices.Contains(got, want) {
			c.fail("expected the text %s, got %s", want, listOr(got, "none"))
		}
	}
	if x.HeldFor != "" && !slices.ContainsFunc(p.Findings, func(f filter.Finding) bool { return f.HoldFor == x.HeldFor && !f.Observed }) {
		c.fail("expected it to be held for %s", x.HeldFor)
	}
	if x.Told != nil {
		want, got := slices.Sorted(slices.Values(x.Told)), slices.Sorted(slices.Values(p.Tell))
		if !slices.Equal(want, got) {
			c.fail("expected to tell %s, told %s", listOr(want, "nobody"), listOr(got, "nobody"))
		}
	}
	if x.Urgent != nil && *x.Urgent != p.Urgent {
		c.fail("expected urgent: %s", map[bool]string{true: "yes", false: "no"}[*x.Urgent])
	}
}

// because names what decided, for a failure.
func (c *testCase) because() string {
	f, ok := c.asked.lead()
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", f.Rule, f.Reason)
}

// observed names the rules that would have given that outcome and only observe.
func (c *testCase) observed(outcome string) string {
	want := map[string]filter.Action{"hold": filter.Hold, "refuse": filter.Refuse}[outcome]
	var out []string
	for _, f := range c.asked.plan.Findings {
		if f.Observed && want != 0 && (f.Action == want || want == filter.Hold && f.Action == filter.Lock) && !slices.Contains(out, f.Rule) {
			out = append(out, f.Rule)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s would have, but only observes (mode: observe)", strings.Join(out, ", "))
}

func (c *testCase) didNotApply(rules []string) string {
	var out []string
	for _, id := range rules {
		if !slices.Contains(c.rules(), id) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s did not apply", strings.Join(out, ", "))
}

// copies are the variants that leave.
func (c *testCase) copies() []int {
	var out []int
	for i := range c.made.plan.Variants {
		if c.made.copies[i] != nil {
			out = append(out, i)
		}
	}
	return out
}

func (c *testCase) goesTo(variant int, a mail.Address) bool {
	for _, r := range c.made.plan.Variants[variant].Rcpts {
		if c.made.env.Recipients[r].Address.Key() == a.Key() {
			return true
		}
	}
	return false
}

func (c *testCase) outcomeFor(a mail.Address) (string, bool) {
	for i, r := range c.asked.env.Recipients {
		if r.Address.Key() == a.Key() && i < len(c.asked.plan.Decisions) {
			return outcomeOf(c.asked.plan.Decisions[i].Action), true
		}
	}
	return "", false
}

// compareCopy reads a finished copy as its reader's mail app would.
func (c *testCase) compareCopy(i int, x policy.ExpectCopy, what string) error {
	s := c.made.copies[i]
	m, err := mail.Parse(s, s.Size(), finalLimits(mail.DefaultLimits()))
	if err != nil {
		return fmt.Errorf("gateway: test %q: %w", c.test.Name, err)
	}
	v := &c.made.plan.Variants[i]
	if x.Recipients != nil && *x.Recipients != len(v.Rcpts) {
		c.fail("%s: expected recipients: %d, got %d", what, *x.Recipients, len(v.Rcpts))
	}
	if x.Subject != "" && m.Subject != x.Subject {
		c.fail("%s: expected subject %q, got %q", what, x.Subject, m.Subject)
	}
	for _, w := range x.SubjectLacks {
		if containsFold(m.Subject, w) {
			c.fail("%s: the subject has %q", what, w)
		}
	}
	if got := cmp.Or(v.Protection, "none"); x.Locked != "" && x.Locked != got {
		c.fail("%s: expected locked: %s, got %s", what, x.Locked, got)
	}
	seen, err := visibleTexts(m)
	if err != nil {
		return err
	}
	for _, l := range x.Has {
		if !c.sees(l, m, seen, i) {
			c.fail("%s: lacks %s", what, lookName(l))
		}
	}
	for _, l := range x.Lacks {
		if c.sees(l, m, seen, i) {
			c.fail("%s: has %s", what, lookName(l))
		}
	}
	c.compareShown(x.ShowsTo, m.To, what+": To")
	c.compareShown(x.ShowsCc, m.Cc, what+": Cc")
	return nil
}

func (c *testCase) compareShown(want []policy.TestRecipient, got []mail.Mailbox, what string) {
	if want == nil {
		return
	}
	var w, g []string
	for _, r := range want {
		w = append(w, r.Address.Key())
	}
	for _, b := range got {
		g = append(g, b.Address.Key())
	}
	slices.Sort(w)
	slices.Sort(g)
	if !slices.Equal(w, g) {
		c.fail("%s shows %s, expected %s", what, listOr(g, "nobody"), listOr(w, "nobody"))
	}
}

// visibleTexts are the texts that a reader sees, one for each text part.
func visibleTexts(m *mail.Message) ([]string, error) {
	var out []string
	for p := range m.Parts() {
		switch p.MediaType {
		case "text/plain":
			out = append(out, p.Text)
		case "text/html":
			t, err := mail.VisibleText(p.Text)
			if err != nil {
				t = p.Text // what a browser makes of it nobody knows: all of it may be seen
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// sees looks for a mark or for words. A mark must be in every text that a reader may be
// shown; words count wherever they stand.
func (c *testCase) sees(l policy.Look, m *mail.Message, texts []string, i int) bool {
	cp := c.made.copyOf(i)
	crisis := templates.Crisis(c.made.snap.Crisis, cp.crisisFor())
	everywhere := func(s string) bool {
		return len(texts) > 0 && !slices.ContainsFunc(texts, func(t string) bool { return !containsFold(t, s) })
	}
	switch l.Mark {
	case policy.MarkCrisisSignature:
		return everywhere(crisis)
	case policy.MarkDiscreetLine:
		return cp.variant.Audience.Discreet && everywhere(crisis)
	case policy.MarkNeutralFirstLine:
		return everywhere(templates.FirstLine(cp.variant.Audience.Discreet)[0])
	case policy.MarkExpectationLine:
		return everywhere(c.made.snap.Templates.Expectation(cp.variant.Audience.Language))
	case policy.MarkNeutralFilenames:
		return neutralFiles(m)
	case policy.MarkUseAlias:
		return len(m.From) == 1 && m.From[0].Address == cp.sender.Alias
	}
	head := []string{m.Subject}
	for _, p := range m.Root.Fields {
		head = append(head, p.Value)
	}
	return slices.ContainsFunc(append(head, texts...), func(t string) bool { return containsFold(t, l.Text) })
}

// neutralFiles reports whether files are attached and all have neutral names.
func neutralFiles(m *mail.Message) bool {
	some := false
	for p := range m.Attachments() {
		if p.Filename != "" && !mail.IsNeutralName(p.Filename) {
			return false
		}
		some = some || p.Filename != ""
	}
	return some
}

// containsFold looks for words whatever the case and the white space between them.
func containsFold(s, words string) bool {
	squeeze := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
	return strings.Contains(squeeze(s), squeeze(words))
}

func lookName(l policy.Look) string {
	if l.Mark != "" {
		return l.Mark
	}
	return fmt.Sprintf("%q", l.Text)
}

func listOr(s []string, none string) string {
	s = slices.DeleteFunc(slices.Clone(s), func(x string) bool { return x == "" })
	if len(s) == 0 {
		return none
	}
	return strings.Join(s, ", ")
}
