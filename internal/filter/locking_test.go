package filter

import (
	"strings"
	"testing"
)

// lockRules lock mail to clients, under a neutral subject.
func lockRules(as ...string) []Rule {
	verbs := []Verb{{Kind: VerbSubject, Arg: "neutral"}, {Kind: VerbLock}}
	for _, a := range as {
		verbs = append(verbs, Verb{Kind: VerbLockAs, Arg: a})
	}
	out := make([]Rule, 0, len(verbs))
	for i, v := range verbs { // one verb a rule: they join
		out = append(out, NewRule(RuleSpec{ID: "r" + string(rune('a'+i)), Name: "R", When: when(To{"client"}), Do: []Verb{v}, TellSender: "M11"}))
	}
	return out
}

// TestLockingFindsAWay: a copy that must be locked is locked as the register or a rule says, or
// it is held and says why; it never goes in clear.
func TestLockingFindsAWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		client     func(*Client)
		standard   string
		as         []string
		want, says string // protection, or why it is held
		text       string // id of the text of a hold
	}{
		{name: "as the register says", client: func(c *Client) { c.Protection, c.HasWords = "locked_word", true }, want: LockedDOCX},
		{name: "as clients.yaml says", client: func(c *Client) { c.HasWords = true }, standard: "locked_pdf", want: LockedPDF},
		{name: "as a rule says", client: func(c *Client) { c.Protection, c.HasWords = "locked_pdf", true }, as: []string{"zip"}, want: LockedZIP},
		{name: "pgp", client: func(c *Client) { c.Protection, c.HasKey = "pgp", true }, want: LockedPGP},
		{name: "no words", client: func(c *Client) { c.Protection = "locked_pdf" }, says: "no words are agreed yet", text: "M11"},
		{name: "no key", client: func(c *Client) { c.Protection, c.HasWords = "pgp", true }, says: "no PGP key on file", text: "M11"},
		{name: "no lock", client: func(c *Client) { c.Protection, c.HasWords = "none", true }, says: "protection: none"},
		{name: "two locks", client: func(c *Client) { c.Protection, c.HasWords = "locked_pdf", true }, as: []string{"zip", "pdf"}, says: "different locks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
			c.client(&in.Facts.Recipients[0].Clients.Value[0])
			p, err := Run(lockRules(c.as...), Practice{Protection: c.standard}, in)
			if err != nil {
				t.Fatal(err)
			}
			v := p.Variants[0]
			if c.want != "" {
				if p.Outcome != Send || v.Action != Lock || v.Protection != c.want {
					t.Errorf("%v, %v as %q; %+v", p.Outcome, v.Action, v.Protection, p.Findings)
				}
				return
			}
			f := p.Findings[p.Lead]
			if p.Outcome != Hold || v.Action != Hold || v.Protection != "" || !strings.Contains(f.Reason, c.says) || f.Text != c.text {
				t.Errorf("%v, %v, %q, %q", p.Outcome, v.Action, f.Text, f.Reason)
			}
		})
	}
}

// TestNoLockForOthers: whoever has no words, and a mailbox of two, gets nothing in clear.
func TestNoLockForOthers(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	one := in.Facts.Recipients[0].Clients.Value[0]
	one.HasWords, one.Protection = true, "locked_pdf"
	two := one
	two.Ref = "C-0999"
	in.Facts.Recipients[0].Clients.Value = []Client{one, two}
	p, err := Run(lockRules(), Practice{}, in)
	if err != nil || p.Outcome != Hold || !strings.Contains(p.Findings[p.Lead].Reason, "several clients share the mailbox") {
		t.Errorf("%v %v %+v", err, p.Outcome, p.Findings)
	}
	// Without a neutral subject the real one would show outside.
	in.Facts.Recipients[0].Clients.Value = []Client{one}
	p, err = Run(lockRules()[1:], Practice{}, in)
	if err != nil || p.Outcome != Hold || !strings.Contains(p.Findings[p.Lead].Reason, "neutral subject") {
		t.Errorf("%v %v %+v", err, p.Outcome, p.Findings)
	}
	in = input(t, message("stranger@example.net", "", "Hi", "x"), "stranger@example.net")
	in.Facts.Recipients[0].Clients = Fact[[]Client]{State: Absent}
	in.Facts.Recipients[0].Class = Known(ClassUnknown)
	everyone := NewRule(RuleSpec{ID: "all", Name: "All", When: when(To{"anyone"}), Do: []Verb{{Kind: VerbLock}}})
	p, err = Run([]Rule{everyone}, Practice{}, in)
	if err != nil || p.Outcome != Hold || !strings.Contains(p.Findings[p.Lead].Reason, "only clients") {
		t.Errorf("%v %v %+v", err, p.Outcome, p.Findings)
	}
}
