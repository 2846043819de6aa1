package filter

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/mail"
)

var pool = []string{"anna@example.org", "ben@example.org", "cleo@example.net", "home@example.net", "sam@willowhouse.example",
	"gp@nhs.example", "x@elsewhere.example", "y@elsewhere.example"}

// anyInput draws a message: who is in the envelope, who in the header, what it says.
func anyInput(t *rapid.T, tb testing.TB) *Input {
	rcpts := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 6, rapid.ID).Draw(t, "rcpts")
	to := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 6, rapid.ID).Draw(t, "to")
	cc := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 4, rapid.ID).Draw(t, "cc")
	subject := rapid.SampledFrom([]string{"Hi", "[together] Hi", "Re: [secure] Hi"}).Draw(t, "subject")
	body := rapid.SampledFrom([]string{"x", "your diagnosis", "an overdose", "diagnosis and overdose"}).Draw(t, "body")
	in := input(tb, message("anna@example.org", "", subject, body), rcpts...)
	in.Mail.To, in.Mail.Cc = nil, nil
	for _, s := range to {
		in.Mail.To = append(in.Mail.To, mail.Mailbox{Name: "Name", Address: addr(tb, s)})
	}
	for _, s := range cc {
		in.Mail.Cc = append(in.Mail.Cc, mail.Mailbox{Address: addr(tb, s)})
	}
	return in
}

func anyRule(t *rapid.T, id string) Rule {
	conds := []Condition{To{"client"}, To{"unknown"}, To{"colleague"}, To{"anyone"}, ClientsMoreThan{1}, EveryoneAgreedTo{"group_email"},
		SubjectStarts{"[together]"}, WordsMoreThan{1}, Any{[]Condition{To{"unknown"}, SubjectStarts{"[together]"}}}, All{[]Condition{To{"client"}, ClientsMoreThan{2}}}, ClientYoungerThan{Age: 18}, ClientDiscreet{Want: true, Default: true}, NotListed{}}
	verbs := []Verb{{Kind: VerbSendSeparately}, {Kind: VerbBcc}, {VerbSubject, "a"}, {VerbSubject, "b"}, {Kind: VerbUseAlias}, {Kind: VerbCrisisSignature},
		{Kind: VerbLock}, {VerbLockAs, "pdf"}, {Kind: VerbHold}, {VerbHoldFor, "sam"}, {VerbSignature, "a"}, {VerbSignature, "b"}, {VerbRemove, "kisses"}, {Kind: VerbRefuse}, {Kind: VerbNeverHold}, {VerbTell, "sam"}, {Kind: VerbTrimQuotes}, {Kind: VerbPseudonymise}}
	return NewRule(RuleSpec{ID: id,
		When:    rapid.SliceOfN(rapid.SampledFrom(conds), 1, 2).Draw(t, "when"),
		Unless:  rapid.SliceOfN(rapid.SampledFrom(conds), 0, 1).Draw(t, "unless"),
		Do:      rapid.SliceOfN(rapid.SampledFrom(verbs), 1, 3).Draw(t, "do"),
		About:   rapid.SampledFrom([]About{Tone, Safety}).Draw(t, "about"),
		Observe: rapid.Bool().Draw(t, "observe"), AlwaysEnforce: rapid.Bool().Draw(t, "always"),
	})
}

func anyRules(t *rapid.T) []Rule {
	n := rapid.IntRange(0, 6).Draw(t, "rules")
	out := make([]Rule, n)
	for i := range out {
		out[i] = anyRule(t, fmt.Sprintf("r%d", i))
	}
	return out
}

func anyPractice(t *rapid.T) Practice {
	pr := practice
	pr.OnMixedSplit = rapid.Bool().Draw(t, "split")
	pr.ClientsPerMessage = rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "limit")
	return pr
}

// The order of rules never matters (I12).
func TestOrderOfRulesNeverMatters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in, pr, rules := anyInput(rt, t), anyPractice(rt), anyRules(rt)
		one := asJSON(t, runWith(t, pr, in, rules...))
		two := asJSON(t, runWith(t, pr, in, rapid.Permutation(rules).Draw(rt, "order")...))
		if one != two {
			rt.Fatalf("one order:\n%s\nanother:\n%s", one, two)
		}
	})
}

// Another rule that holds, refuses, locks or separates never lets more through (I12).
func TestAStricterRuleNeverLetsMoreThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in, pr, rules := anyInput(rt, t), anyPractice(rt), anyRules(rt)
		before := runWith(t, pr, in, rules...)
		more := NewRule(RuleSpec{ID: "more", When: []Condition{rapid.SampledFrom([]Condition{To{"client"}, To{"anyone"}, NotListed{}}).Draw(rt, "more")},
			Do: []Verb{rapid.SampledFrom([]Verb{{Kind: VerbHold}, {VerbHoldFor, "sam"}, {Kind: VerbRefuse}, {Kind: VerbLock}, {VerbLockAs, "pdf"}, {Kind: VerbSendSeparately},
				{Kind: "unknown_verb"}}).Draw(rt, "verb")},
			About: rapid.SampledFrom([]About{Tone, Safety}).Draw(rt, "moreabout")})
		after := runWith(t, pr, in, append(slices.Clone(rules), more)...)
		if after.Outcome < before.Outcome {
			rt.Fatalf("outcome %d became %d", before.Outcome, after.Outcome)
		}
		for i := range before.Decisions {
			if after.Decisions[i].Action < before.Decisions[i].Action {
				rt.Fatalf("recipient %d: %d became %d", i, before.Decisions[i].Action, after.Decisions[i].Action)
			}
		}
	})
}

// Each recipient is in exactly one variant, with its decision; none when refused.
func TestEveryRecipientIsInOneVariant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := anyInput(rt, t)
		p := runWith(t, anyPractice(rt), in, anyRules(rt)...)
		if p.Outcome == Refuse {
			if len(p.Variants) > 0 {
				rt.Fatal("a refused message has variants")
			}
			return
		}
		seen := make([]int, len(in.Env.Recipients))
		for _, v := range p.Variants {
			for _, i := range v.Rcpts {
				seen[i]++
				if v.Action != p.Decisions[i].Action {
					rt.Fatalf("recipient %d is decided %d and in a variant of %d", i, p.Decisions[i].Action, v.Action)
				}
				if v.Action == Lock {
					rt.Fatal("a variant that must be locked, and nothing here can lock")
				}
			}
		}
		for i, n := range seen {
			if n != 1 {
				rt.Fatalf("recipient %d is in %d variants", i, n)
			}
		}
	})
}

// No client, stranger or contact sees a client outside the copy's group, and clients share a
// copy only when each of them agreed, or hidden (promise 1, I2).
func TestNoCopyShowsAnybodyElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := anyInput(rt, t)
		p := runWith(t, anyPractice(rt), in, anyRules(rt)...)
		for _, v := range p.Variants {
			group := map[string]bool{}
			for _, i := range v.Rcpts {
				group[in.Env.Recipients[i].Address.Key()] = true
			}
			for _, a := range append(slices.Clone(v.To), v.Cc...) {
				switch v.Show {
				case ShowOne, ShowGroup:
					if !group[a.Key()] {
						rt.Fatalf("%s shows %s", v.Show, a)
					}
				case ShowUndisclosed:
					rt.Fatalf("a hidden copy shows %s", a)
				case ShowContact:
					if !group[a.Key()] && (a.Domain != "willowhouse.example" && a.Domain != "nhs.example") {
						rt.Fatalf("a contact sees %s", a)
					}
				}
			}
			if len(v.Rcpts) > 1 && v.Show != ShowGroup && v.Show != ShowUndisclosed {
				rt.Fatalf("%s has %d recipients", v.Show, len(v.Rcpts))
			}
			for _, i := range v.Rcpts {
				for _, c := range in.Facts.Recipients[i].Clients.Value {
					if v.Show == ShowGroup && !c.Agreed("group_email", in.Facts.At) {
						rt.Fatalf("%s never agreed", c.Ref)
					}
				}
				if client := in.Facts.Recipients[i].Class.Value == ClassClient; client != (v.Audience.Class == ClassClient) {
					rt.Fatal("a client shares a copy with somebody who is none")
				}
			}
		}
	})
}

// never_hold has no effect on anything but holds about tone.
func TestNeverHoldOnlyAffectsTone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in, rules := anyInput(rt, t), anyRules(rt)
		pr := anyPractice(rt)
		pr.OnMixedSplit = true // what happens to the others is on_mixed's business
		before := runWith(t, pr, in, rules...)
		after := runWith(t, pr, in, append(slices.Clone(rules), NewRule(RuleSpec{ID: "never", When: []Condition{To{"anyone"}}, Do: do(VerbNeverHold)}))...)
		for i := range before.Decisions {
			if after.Decisions[i].Action == before.Decisions[i].Action {
				continue
			}
			for _, f := range before.Findings {
				if f.concerns(i) && f.Action != Send && (f.About != Tone || f.Action != Hold) {
					rt.Fatalf("recipient %d got through although %s says %d about %s", i, f.Rule, f.Action, f.About)
				}
			}
		}
	})
}
