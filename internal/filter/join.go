package filter

import (
	"cmp"
	"encoding/json"
	"slices"
)

// concerns reports whether the finding is in force for the recipient.
func (f *Finding) concerns(rcpt int) bool {
	return !f.Observed && (f.Rcpt == rcpt || f.Rcpt == -1)
}

// effect returns what the finding still does to the outcome.
func (f *Finding) effect() Action {
	if f.Observed || f.Waived || f.Undone {
		return Send
	}
	return f.Action
}

// Lets reports whether the release lets the finding pass: the same rule, recipient and
// message as were shown to the person, and no channel that was not. It lets holds pass, never a
// refusal, and never what must be locked, which may not leave in clear.
func (r *Release) Lets(digest [32]byte, f Finding) bool {
	if r == nil || f.Rule == RuleCannotLock {
		return false // it could not be locked: there is nothing that may leave
	}
	if r.All {
		return f.Action == Hold
	}
	return f.Action == Hold && r.Digest == digest && slices.ContainsFunc(r.Waived, func(w Waived) bool {
		return w.Rule == f.Rule && w.Rcpt == f.Rcpt && !slices.ContainsFunc(f.Channels, func(c string) bool { return !slices.Contains(w.Channels, c) })
	})
}

func waive(in *Input, findings []Finding) {
	if in.Mail == nil {
		return
	}
	for i := range findings {
		if in.Facts.Release.Lets(in.Mail.Digest, findings[i]) {
			findings[i].Waived = true
		}
	}
}

// undo lets holds about tone pass where never_hold is in force, and returns for which
// recipients it is. Nothing else is undone: not who receives, not a lock, not what could not
// be read, not a refusal. A hold_for about tone is a hold about tone (promise 12).
func undo(findings []Finding, n int) []bool {
	never := make([]bool, n)
	for i := range never {
		for k := range findings {
			if f := &findings[k]; f.NeverHold && f.concerns(i) {
				never[i] = true
			}
		}
	}
	for k := range findings {
		f := &findings[k]
		if f.Action == Hold && f.About == Tone && f.Rcpt >= 0 && never[f.Rcpt] {
			f.Undone = true
		}
	}
	return never
}

// sortFindings puts findings in an order that depends on nothing but themselves.
func sortFindings(fs []Finding) {
	slices.SortFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Rcpt, b.Rcpt), cmp.Compare(b.Action, a.Action), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Text, b.Text), lastResort(a, b))
	})
}

// lastResort orders two findings of one rule that say the same: by everything they hold.
func lastResort(a, b Finding) int {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		return 0
	}
	return slices.Compare(x, y)
}

// decide joins the findings for each recipient: the strictest wins.
func decide(findings []Finding, n int) []Decision {
	out := make([]Decision, n)
	for i := range out {
		out[i] = Decision{Rcpt: i, Lead: -1}
		for k := range findings {
			f := &findings[k]
			if !f.concerns(i) || f.effect() == Send || f.effect() < out[i].Action {
				continue
			}
			if f.effect() > out[i].Action || leads(findings, k, out[i].Lead) {
				out[i].Action, out[i].Lead = f.effect(), k
			}
		}
	}
	return out
}

// leads reports whether finding k rather than finding l is what a person should hear first,
// when both ask for the same: what cannot be read must be written anew anyway, then who was
// given away, then safety before tone; and a text that says what to do comes before a rule's name.
func leads(findings []Finding, k, l int) bool {
	if l < 0 {
		return true
	}
	a, b := &findings[k], &findings[l]
	return cmp.Or(cmp.Compare(a.weight(), b.weight()), cmp.Compare(a.Rule, b.Rule), cmp.Compare(k, l)) < 0
}

func (f *Finding) weight() int {
	w := 2
	switch {
	case f.Rule == RuleReadable:
		return 0
	case f.Rule == RuleLeak:
		return 1
	case f.About == Tone:
		w = 4
	}
	if f.Text == "" {
		w++
	}
	return w
}

// refuseAll refuses the message for everybody when it is refused for one: at its end SMTP has
// one reply for all (RFC 5321 §4.2.5).
func refuseAll(findings []Finding, ds []Decision) {
	action, lead := outcome(findings, ds)
	if action != Refuse {
		return
	}
	for i := range ds {
		if ds[i].Action < Refuse {
			ds[i].Action, ds[i].Lead = Refuse, lead
		}
	}
}

// holdAll is on_mixed: hold_all. When one recipient's copy is held, so are the others, but
// for those whom never_hold protects.
func holdAll(findings []Finding, ds []Decision, never []bool) {
	lead := -1
	for _, d := range ds {
		if d.Action == Hold && leads(findings, d.Lead, lead) {
			lead = d.Lead
		}
	}
	if lead < 0 {
		return
	}
	for i := range ds {
		if ds[i].Action < Hold && !never[i] {
			ds[i].Action, ds[i].Lead = Hold, lead
		}
	}
}

// outcome returns the strictest decision, and the finding that made it.
func outcome(findings []Finding, ds []Decision) (Action, int) {
	action, lead := Send, -1
	for _, d := range ds {
		if d.Action > action {
			action, lead = d.Action, d.Lead
		} else if d.Action == action && d.Lead >= 0 && leads(findings, d.Lead, lead) {
			lead = d.Lead
		}
	}
	return action, lead
}

// urgent reports whether a copy stays held for which never_hold is in force.
func urgent(ds []Decision, never []bool) bool {
	for i, d := range ds {
		if d.Action == Hold && never[i] {
			return true
		}
	}
	return false
}

// tell returns who must be told, each once.
func tell(findings []Finding, urgent bool) []string {
	who := map[string]bool{}
	for _, f := range findings {
		if f.Observed {
			continue
		}
		for _, t := range f.Tell {
			who[t] = true
		}
	}
	if urgent {
		who[SafeguardingLead] = true
	}
	if len(who) == 0 {
		return nil
	}
	return sortedSet(who)
}
