package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/fault"
)

const signedMailText = `From: maya@willowhouse.example
To: anna@example.org
Subject: Hello
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary=b

--b
Content-Type: text/plain

Hello
--b
Content-Type: application/pgp-signature

-----BEGIN PGP SIGNATURE-----

x
-----END PGP SIGNATURE-----
--b--
`

func TestEverydayMail(t *testing.T) {
	t.Parallel()
	const a, b, c = "anna@example.org", "ben@example.org", "cleo@example.net"
	for _, tc := range []struct {
		name, raw string
		to        []string
		outcome   Action
		text      string // of the leading finding
		copies    string
	}{
		{"three clients get three copies", message(a+", "+b, c, "Your group", "See you soon"), []string{a, b, c}, Send, "",
			"one[0] send To=" + a + "; one[1] send To=" + b + "; one[2] send To=" + c},
		{"two who agreed share one with [together]", message(a, b, "[together] Room", "See you soon"), []string{a, b}, Send, "",
			"group[0 1] send To=" + a + " Cc=" + b},
		{"[together] without everybody's agreement", message(a+", "+c, "", "Re: [Together] Room", "x"), []string{a, c}, Hold, "M03",
			"one[0] hold To=" + a + "; one[1] hold To=" + c},
		{"an unknown recipient", message("x@elsewhere.example", "", "Hi", "x"), []string{"x@elsewhere.example"}, Hold, "M05",
			"one[0] hold To=x@elsewhere.example"},
		{"one unknown holds all", message(a+", x@elsewhere.example", "", "Hi", "x"), []string{a, "x@elsewhere.example"}, Hold, "M05",
			"one[0] hold To=" + a + "; one[1] hold To=x@elsewhere.example"},
		{"but not what mentions danger", message(a+", x@elsewhere.example", "", "Hi", "he said he will KILL  myself"), []string{a, "x@elsewhere.example"}, Hold, "M05",
			"one[0] send To=" + a + "; one[1] hold To=x@elsewhere.example"},
		{"tone for a young client", message(b, "", "Hi", "about your diagnosis"), []string{b}, Hold, "M06", "one[0] hold To=" + b},
		{"tone yields to danger", message(b, "", "Hi", "your diagnosis; you spoke of an overdose"), []string{b}, Send, "", "one[0] send To=" + b},
		{"a colleague sees the header as written", message(a, "sam@willowhouse.example", "Hi", "x"), []string{a, "sam@willowhouse.example"}, Send, "",
			"one[0] send To=" + a + "; practice[1] send To=" + a + " Cc=sam@willowhouse.example"},
		{"a contact sees no client and no stranger", message(a+", gp@nhs.example, q@elsewhere.example", "sam@willowhouse.example, lee@wh.example", "Hi", "x"),
			[]string{a, "gp@nhs.example", "sam@willowhouse.example"}, Send, "",
			"one[0] send To=" + a + "; contact[1] send To=gp@nhs.example Cc=sam@willowhouse.example,lee@wh.example; practice[2] send To=" + a + ",gp@nhs.example,q@elsewhere.example Cc=sam@willowhouse.example,lee@wh.example"},
		{"a lock holds, saying so", message(a, "", "[secure] notes", "x"), []string{a}, Hold, "", "one[0] hold To=" + a},
		{"signed mail that we would change", signedMailText, []string{a}, Hold, "M13", "one[0] hold To=" + a},
		{"signed mail that no rule changes", strings.Replace(signedMailText, a, "sam@willowhouse.example", 1), []string{"sam@willowhouse.example"}, Send, "",
			"practice[0] send To=sam@willowhouse.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, input(t, tc.raw, tc.to...), shipped(t)...)
			if p.Outcome != tc.outcome || copies(p) != tc.copies {
				t.Errorf("outcome %d, want %d\n got %s\nwant %s", p.Outcome, tc.outcome, copies(p), tc.copies)
			}
			text := ""
			if p.Lead >= 0 {
				text = p.Findings[p.Lead].Text
			}
			if text != tc.text {
				t.Errorf("text %q, want %q", text, tc.text)
			}
		})
	}
}

func TestSeparationNeedsNoRule(t *testing.T) {
	t.Parallel()
	const a, b, c, home = "anna@example.org", "ben@example.org", "cleo@example.net", "home@example.net"
	for _, tc := range []struct{ name, to, cc, want string }{
		{"all agreed", a, b, "group[0 1] send To=" + a + " Cc=" + b},
		{"a stranger in the header is cut", a + ", x@elsewhere.example", b, "group[0 1] send To=" + a + " Cc=" + b},
		{"one was Bcc'd", a, "", "one[0] send To=" + a + "; one[1] send To=" + b},
	} {
		if got := copies(run(t, input(t, message(tc.to, tc.cc, "Hi", "x"), a, b))); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	if got := copies(run(t, input(t, message(a+","+b+","+c, "", "Hi", "x"), a, b, c))); strings.Contains(got, "group") {
		t.Errorf("one did not agree: %s", got)
	}
	if got := copies(run(t, input(t, message(a+","+home, "", "Hi", "x"), a, home))); strings.Contains(got, "group") {
		t.Errorf("one of two at a shared mailbox did not agree: %s", got)
	}
	in := input(t, message(a+","+b, "", "Hi", "x"), a, b)
	in.Facts.Recipients[1].Clients.Value[0].Consents[0].Withdrawn = true
	if got := copies(run(t, in)); strings.Contains(got, "group") {
		t.Errorf("withdrawn: %s", got)
	}
	in = input(t, message(a+","+b, "", "Hi", "x"), a, b)
	pr := practice
	pr.GroupConsent = ""
	if got := copies(runWith(t, pr, in)); strings.Contains(got, "group") {
		t.Errorf("no purpose: %s", got)
	}
	// A group where a rule would have to be broken for one of them is no group.
	sub := func(id string, age int, tmpl string) Rule {
		return NewRule(RuleSpec{ID: id, When: when(ClientYoungerThan{Age: age}), Do: []Verb{{VerbSubject, tmpl}}})
	}
	in = input(t, message(a+","+b, "", "Hi", "x"), a, b)
	p := run(t, in, sub("young", 18, "note"), NewRule(RuleSpec{ID: "rest", When: when(To{"client"}), Unless: when(ClientYoungerThan{Age: 18}), Do: []Verb{{VerbSubject, "other"}}}))
	if p.Outcome != Send || strings.Contains(copies(p), "group") {
		t.Errorf("two subjects: %d %s", p.Outcome, copies(p))
	}
}

func TestBcc(t *testing.T) {
	t.Parallel()
	const a, c = "anna@example.org", "cleo@example.net"
	bcc := NewRule(RuleSpec{ID: "bcc", When: when(ClientsMoreThan{1}), Do: do(VerbBcc)})
	in := input(t, message(a+","+c, "sam@willowhouse.example", "Hi", "x"), a, c, "sam@willowhouse.example")
	p := run(t, in, bcc)
	if want := "undisclosed[0 1] send To=; practice[2] send To=" + a + "," + c + " Cc=sam@willowhouse.example"; copies(p) != want {
		t.Errorf("got %s\nwant %s", copies(p), want)
	}
	if w := p.Variants[0].Audience; w.Word != "" || !w.Discreet || w.Country != "" || len(w.Refs) != 2 {
		t.Errorf("audience of a shared copy: %+v", w)
	}
	p = run(t, in, bcc, NewRule(RuleSpec{ID: "alone", When: when(To{"client"}), Do: do(VerbSendSeparately)}))
	if strings.Contains(copies(p), "undisclosed") {
		t.Errorf("send_separately is stricter than bcc: %s", copies(p))
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	p := run(t, input(t, message("anna@example.org, ben@example.org", "", "Hi", "x"), "anna@example.org", "ben@example.org"))
	a := p.Variants[0].Audience
	if a.Word != "" || !a.Discreet || !a.AgeKnown || a.YoungestBorn.Year() != 2011 || a.Country != "GB" || a.Nation != "" {
		t.Errorf("group: %+v", a)
	}
	p = run(t, input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org"))
	if a := p.Variants[0].Audience; a.Word != "harbour" || a.Discreet || a.Nation != "England" || !slices.Equal(a.Refs, []string{"C-0142"}) {
		t.Errorf("one: %+v", a)
	}
	p = run(t, input(t, message("home@example.net", "", "Hi", "x"), "home@example.net"))
	if a := p.Variants[0].Audience; a.AgeKnown || !a.YoungestBorn.IsZero() || !a.Discreet || len(a.Refs) != 2 {
		t.Errorf("shared mailbox with one unknown age: %+v", a)
	}
}

func TestUnknownFactsNeverPass(t *testing.T) {
	t.Parallel()
	raw := message("anna@example.org", "", "Hi", "x")
	for _, state := range []State{Unresolved, Unavailable} {
		in := input(t, raw, "anna@example.org")
		in.Facts.Recipients[0].Clients = Fact[[]Client]{State: state}
		_, err := Run(nil, practice, in)
		if err == nil {
			t.Fatalf("state %d passed", state)
		}
		if got := fault.KindOf(err) == fault.Unavailable; got != (state == Unavailable) {
			t.Errorf("state %d gives %v", state, err)
		}
	}
	in := input(t, raw, "x@elsewhere.example")
	in.Facts.Recipients[0].Class = Fact[Class]{}
	if _, err := Run(nil, practice, in); err == nil {
		t.Error("a class that nobody resolved passed")
	}
	in = input(t, raw, "anna@example.org")
	in.Facts.Recipients = nil
	if _, err := Run(nil, practice, in); err == nil {
		t.Error("an envelope without facts passed")
	}
	in = input(t, raw)
	if _, err := Run(nil, practice, in); err == nil {
		t.Error("a message without recipients passed")
	}
}

// oddRule returns what a test wants.
type oddRule struct {
	need Need
	out  []Finding
	err  error
}

func (oddRule) ID() string                       { return "odd" }
func (r oddRule) Needs() Need                    { return r.need }
func (r oddRule) Eval(*Input) ([]Finding, error) { return r.out, r.err }

func TestARuleThatFailsHolds(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	for _, r := range []oddRule{{err: errors.New("broken")}, {out: []Finding{{Rcpt: 7, Rule: "odd"}}}, {out: []Finding{{Rcpt: -2, Rule: "odd"}}}} {
		p := run(t, in, r, NewRule(RuleSpec{ID: "never", When: when(To{"anyone"}), Do: do(VerbNeverHold)}))
		if f, ok := findingOf(p, "odd"); p.Outcome != Hold || !ok || !f.Fixed || f.Rcpt != -1 {
			t.Errorf("%+v: outcome %d, finding %+v", r, p.Outcome, f)
		}
	}
	_, err := Run([]Rule{oddRule{err: errors.New("broken")}, oddRule{err: fault.New(fault.Unavailable, "")}}, practice, in)
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("an unreadable source must be answered with 451, got %v", err)
	}
	for _, c := range []Condition{Mentions{}, Mentions{[]*WordList{nil}}, Already{"odd"}, To{"odd"}} {
		p := run(t, in, NewRule(RuleSpec{ID: "r", When: when(c)}))
		if p.Outcome != Hold {
			t.Errorf("%T passed", c)
		}
	}
}

func TestAtRcptOnlyRefusalsWithoutContentCount(t *testing.T) {
	t.Parallel()
	refuse := NewRule(RuleSpec{ID: "no", When: when(NotListed{}), Do: do(VerbRefuse), TellSender: "M05"})
	content := NewRule(RuleSpec{ID: "content", When: when(NotListed{}), Unless: when(SubjectStarts{"ok"}), Do: do(VerbRefuse)})
	p := run(t, input(t, "", "x@elsewhere.example"), refuse, content)
	if _, ok := findingOf(p, "content"); ok || p.Outcome != Refuse || p.Variants != nil || p.Findings[p.Lead].Status != refused {
		t.Errorf("%+v", p)
	}
	if n := NewRule(RuleSpec{When: when(ClientsMoreThan{5}), Do: do(VerbRefuse)}).Needs(); n&NeedContent == 0 {
		t.Error("how many recipients there are is not known at RCPT time")
	}
	if p := run(t, input(t, "")); p.Outcome != Send {
		t.Errorf("after MAIL: %+v", p)
	}
}

func TestBuiltIns(t *testing.T) {
	t.Parallel()
	pr := practice
	pr.ClientsPerMessage = 1
	in := input(t, message("anna@example.org, ben@example.org", "", "Hi", "x"), "anna@example.org", "ben@example.org")
	p := runWith(t, pr, in)
	f, _ := findingOf(p, RuleLimit)
	if p.Outcome != Refuse || f.Text != "M02" || f.Values["count"] != "2" || f.Values["limit"] != "1" || p.Variants != nil || f.Status.Code != 550 {
		t.Errorf("limit: %+v", p)
	}
	in = input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	in.Mail.Defects = append(in.Mail.Defects[:0], defect("one", 1), defect("one", 1), defect("harmless", 0))
	p = run(t, in)
	if p.Outcome != Hold || len(p.Findings) != 1 || p.Findings[0].Rule != RuleReadable || p.Findings[0].Reason != "This email can be read in more than one way (one). fix one" {
		t.Errorf("defect that holds: %s", asJSON(t, p))
	}
	in.Mail.Defects = append(in.Mail.Defects, defect("two", 2))
	p = run(t, in)
	if f := p.Findings[p.Lead]; p.Outcome != Refuse || f.Status != (fault.Status{Code: 550, Subject: 6}) {
		t.Errorf("defect that rejects: %s", asJSON(t, p))
	}
}

func TestSignedMailLeavesWhole(t *testing.T) {
	t.Parallel()
	in := input(t, signedMailText, "anna@example.org")
	in.Facts.Release = &Release{All: true}
	p := run(t, in, shipped(t)...)
	v := p.Variants[0]
	if p.Outcome != Send || !v.Whole {
		t.Fatalf("%s", asJSON(t, p))
	}
	for _, e := range v.Edits {
		if textEdit(e.Kind) {
			t.Errorf("a text edit stays: %s", e.Kind)
		}
	}
	if _, ok := v.Has(EditSubject); !ok {
		t.Error("the subject is outside the signature and must stay neutral")
	}
}

func TestConflictingSubjectsHold(t *testing.T) {
	t.Parallel()
	sub := func(id, tmpl string) Rule {
		return NewRule(RuleSpec{ID: id, When: when(To{"client"}), Do: []Verb{{VerbSubject, tmpl}}})
	}
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	if p := run(t, in, sub("a", "same"), sub("b", "same")); p.Outcome != Send || len(p.Variants[0].Edits) != 1 {
		t.Errorf("the same twice is one edit: %s", asJSON(t, p))
	}
	one, two := run(t, in, sub("a", "x"), sub("b", "y")), run(t, in, sub("b", "y"), sub("a", "x"))
	if f, ok := findingOf(one, RuleConflict); one.Outcome != Hold || !ok || !f.Fixed {
		t.Errorf("%s", asJSON(t, one))
	}
	if asJSON(t, one) != asJSON(t, two) {
		t.Error("the order matters")
	}
	if len(one.Variants[0].Edits) != 1 {
		t.Error("a copy has one subject")
	}
}

func TestObserveHasNoEffect(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	spec := RuleSpec{ID: "r", When: when(To{"client"}), Do: append(do(VerbHold, VerbUseAlias, VerbSendSeparately), Verb{VerbTell, "sam"}), Observe: true}
	p := run(t, in, NewRule(spec))
	if p.Outcome != Send || len(p.Variants[0].Edits) != 0 || p.Tell != nil || len(p.Findings) != 1 || !p.Findings[0].Observed {
		t.Errorf("%s", asJSON(t, p))
	}
	spec.AlwaysEnforce = true
	if p := run(t, in, NewRule(spec)); p.Outcome != Hold || p.Findings[0].Observed {
		t.Errorf("always_enforce beats observe: %s", asJSON(t, p))
	}
}

func TestNeverHoldUndoesToneOnly(t *testing.T) {
	t.Parallel()
	never := NewRule(RuleSpec{ID: "never", When: when(To{"anyone"}), Do: []Verb{{Kind: VerbNeverHold}, {VerbTell, SafeguardingLead}}})
	for _, tc := range []struct {
		name string
		spec RuleSpec
		want Action
	}{
		{"tone", RuleSpec{About: Tone, Do: do(VerbHold)}, Send},
		{"tone for a person", RuleSpec{About: Tone, Do: []Verb{{VerbHoldFor, "sam"}}}, Send},
		{"safety", RuleSpec{Do: do(VerbHold)}, Hold},
		{"tone that locks", RuleSpec{About: Tone, Do: do(VerbLock)}, Hold},
		{"tone that refuses", RuleSpec{About: Tone, Do: do(VerbRefuse)}, Refuse},
	} {
		tc.spec.ID, tc.spec.When = "r", when(To{"anyone"})
		p := run(t, input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org"), never, NewRule(tc.spec))
		if p.Outcome != tc.want {
			t.Errorf("%s: outcome %d, want %d", tc.name, p.Outcome, tc.want)
		}
		if want := tc.want == Hold; p.Urgent != want || !slices.Equal(p.Tell, []string{SafeguardingLead}) {
			t.Errorf("%s: urgent %v, tell %v", tc.name, p.Urgent, p.Tell)
		}
	}
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	in.Mail.Defects = append(in.Mail.Defects, defect("one", 1))
	if p := run(t, in, never); p.Outcome != Hold || !p.Urgent {
		t.Error("a message that could not be read stays held, and is urgent")
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	hold := NewRule(RuleSpec{ID: "h", When: when(To{"client"}), Do: do(VerbHold, VerbUseAlias), AlwaysEnforce: true})
	raw := message("anna@example.org", "", "Hi", "x")
	try := func(rel func(*Input) *Release, rules ...Rule) Plan {
		in := input(t, raw, "anna@example.org")
		in.Facts.Release = rel(in)
		return run(t, in, rules...)
	}
	shown := func(rule string) func(*Input) *Release {
		return func(in *Input) *Release {
			return &Release{By: "sam", Digest: in.Mail.Digest, Waived: []Waived{{Rule: rule}}}
		}
	}
	p := try(shown("h"), hold)
	if _, ok := p.Variants[0].Has(EditAlias); p.Outcome != Send || !p.Findings[0].Waived || !ok {
		t.Errorf("released: %s", asJSON(t, p))
	}
	for name, p := range map[string]Plan{
		"another rule":    try(shown("g"), hold),
		"another message": try(func(*Input) *Release { return &Release{Waived: []Waived{{Rule: "h"}}} }, hold),
		"another recipient": try(func(in *Input) *Release {
			return &Release{Digest: in.Mail.Digest, Waived: []Waived{{Rule: "h", Rcpt: 1}}}
		}, hold),
		"a new hold":          try(shown("h"), hold, NewRule(RuleSpec{ID: "new", When: when(To{"client"}), Do: do(VerbHold)})),
		"what must be locked": try(shown("l"), NewRule(RuleSpec{ID: "l", When: when(To{"client"}), Do: do(VerbLock)})),
	} {
		if p.Outcome != Hold {
			t.Errorf("%s: outcome %d", name, p.Outcome)
		}
	}
	refuse := NewRule(RuleSpec{ID: "no", When: when(To{"client"}), Do: do(VerbRefuse)})
	if p := try(shown("no"), refuse); p.Outcome != Refuse {
		t.Error("a refusal was released")
	}
	all := func(*Input) *Release { return &Release{All: true} }
	if p := try(all, hold); p.Outcome != Send {
		t.Error("the dry run lets every hold pass")
	}
	if p := try(all, hold, NewRule(RuleSpec{ID: "l", When: when(To{"client"}), Do: do(VerbLock)})); p.Outcome != Hold {
		t.Error("the dry run shows what cannot be locked")
	}
	if p := try(all, refuse); p.Outcome != Refuse {
		t.Error("the dry run lets no refusal pass")
	}
}

func TestOnMixedSplit(t *testing.T) {
	t.Parallel()
	pr := practice
	pr.OnMixedSplit = true
	in := input(t, message("anna@example.org, x@elsewhere.example", "", "Hi", "x"), "anna@example.org", "x@elsewhere.example")
	p := runWith(t, pr, in, shipped(t)...)
	if want := "one[0] send To=anna@example.org; one[1] hold To=x@elsewhere.example"; copies(p) != want || p.Outcome != Hold {
		t.Errorf("got %s", copies(p))
	}
}

func TestWhatIsNotBuiltHolds(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	for _, k := range []VerbKind{VerbRemoveMetadata, "new_verb"} {
		p := run(t, in, NewRule(RuleSpec{ID: "r", Name: "R", When: when(To{"client"}), Do: do(k), TellSender: "M07"}))
		f := p.Findings[p.Lead]
		if p.Outcome != Hold || f.Text != "" || !strings.Contains(f.Reason, "not built into this version") {
			t.Errorf("%s: %+v", k, f)
		}
	}
	p := run(t, in, NewRule(RuleSpec{ID: "r", When: when(To{"client"}), Do: do(VerbRefuse, VerbLock), TellSender: "M09"}))
	if f := p.Findings[p.Lead]; p.Outcome != Refuse || f.Text != "M09" {
		t.Errorf("a refusal keeps its text: %+v", f)
	}
}

func TestValuesForTexts(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org, cleo@example.net", "", "[together] x", "x"), "anna@example.org", "cleo@example.net")
	p := run(t, in, shipped(t)...)
	if f := p.Findings[p.Lead]; f.Text != "M03" || f.Values["code"] != "C-0177" {
		t.Errorf("M03 names who has not agreed: %+v", f)
	}
}

func TestOneRefusalRefusesAll(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org, x@elsewhere.example", "", "Hi", "x"), "anna@example.org", "x@elsewhere.example")
	pr := practice
	pr.OnMixedSplit = true
	p := runWith(t, pr, in, NewRule(RuleSpec{ID: "no", When: when(NotListed{}), Do: do(VerbRefuse)}))
	for i, d := range p.Decisions {
		if d.Action != Refuse || d.Lead != p.Lead {
			t.Errorf("recipient %d: %+v", i, d)
		}
	}
}

func TestFindingsAreSorted(t *testing.T) {
	t.Parallel()
	rule := func(id string, c Condition, k VerbKind) Rule {
		return NewRule(RuleSpec{ID: id, When: when(c), Do: do(k)})
	}
	in := input(t, message("anna@example.org, x@elsewhere.example", "", "Hi", "x"), "anna@example.org", "x@elsewhere.example")
	in.Mail.Defects = append(in.Mail.Defects, defect("one", 1))
	p := run(t, in, rule("d", To{"unknown"}, VerbHold), rule("b", To{"anyone"}, VerbUseAlias), rule("a", To{"anyone"}, VerbUseAlias), rule("c", To{"client"}, VerbHold))
	var got []string
	for _, f := range p.Findings {
		got = append(got, f.Rule)
	}
	if want := []string{RuleReadable, "c", "a", "b", "d", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if p.Findings[p.Lead].Rule != RuleReadable {
		t.Errorf("what cannot be read is said first, not %s", p.Findings[p.Lead].Rule)
	}
}
