package filter

import (
	"slices"
	"sort"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// planner makes the variants of one message once every decision stands.
type planner struct {
	in       *Input
	practice Practice
	classes  []Class
	ways     []string // how each recipient's copy is locked, if it is
	plan     *Plan
}

// variants returns what will be made: each recipient is in exactly one variant. Who shares a
// copy does not depend on a rule's being there: alone is the rule, together the exception.
func (p *planner) variants() ([]Variant, error) {
	var out []Variant
	placed := make([]bool, len(p.classes))
	together, err := p.agreed()
	if err != nil {
		return nil, err
	}
	for _, g := range []struct {
		show    Show
		members []int
	}{{ShowUndisclosed, p.bcc()}, {ShowGroup, together}} {
		for _, members := range p.alike(g.members) {
			v, err := p.variant(g.show, members)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
			for _, i := range members {
				placed[i] = true
			}
		}
	}
	for i := range p.classes {
		if placed[i] {
			continue
		}
		v, err := p.variant(p.alone(i), []int{i})
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Rcpts[0] < out[j].Rcpts[0] })
	return out, nil
}

// alone returns how a copy of one recipient shows the others.
func (p *planner) alone(rcpt int) Show {
	switch p.classes[rcpt] {
	case ClassColleague:
		return ShowPractice
	case ClassContact:
		return ShowContact
	}
	return ShowOne
}

// flagged reports whether a finding in force for the recipient has the flag.
func (p *planner) flagged(rcpt int, flag func(*Finding) bool) bool {
	for k := range p.plan.Findings {
		if f := &p.plan.Findings[k]; f.concerns(rcpt) && flag(f) {
			return true
		}
	}
	return false
}

// bcc returns the clients who share one copy that names nobody. send_separately is stricter.
func (p *planner) bcc() []int {
	var out []int
	for i, c := range p.classes {
		if c == ClassClient && !p.separate(i) && p.flagged(i, func(f *Finding) bool { return f.Bcc }) {
			out = append(out, i)
		}
	}
	return out
}

func (p *planner) separate(rcpt int) bool {
	return p.flagged(rcpt, func(f *Finding) bool { return f.Separate })
}

// agreed returns the clients who see each other in one copy: those in To or Cc, if every one
// of them agreed and no rule separates any client of the message. A client who stands in the
// envelope only was Bcc'd, and nobody may learn of that.
func (p *planner) agreed() ([]int, error) {
	if p.practice.GroupConsent == "" {
		return nil, nil
	}
	header := keys(p.in.Mail.To, p.in.Mail.Cc)
	var out []int
	for i, c := range p.classes {
		if c != ClassClient {
			continue
		}
		if p.separate(i) || p.flagged(i, func(f *Finding) bool { return f.Bcc }) {
			return nil, nil
		}
		if !header[p.in.Env.Recipients[i].Address.Key()] {
			continue
		}
		cs, err := p.in.clients(i)
		if err != nil {
			return nil, err
		}
		for k := range cs {
			if !cs[k].Agreed(p.practice.GroupConsent, p.in.Facts.At) {
				return nil, nil
			}
		}
		out = append(out, i)
	}
	return out, nil
}

// alike cuts a group into those with the same decision. Whoever would be left alone, and a
// group for which rules ask for different subjects or signatures, gets single copies.
func (p *planner) alike(members []int) [][]int {
	byAction := map[Action][]int{}
	for _, i := range members {
		a := p.plan.Decisions[i].Action
		byAction[a] = append(byAction[a], i)
	}
	var out [][]int
	for _, a := range []Action{Send, Hold} { // each client has words and a key of their own
		g := byAction[a]
		if len(g) > 1 && len(conflict(-1, p.edits(g))) == 0 {
			out = append(out, g)
		}
	}
	return out
}

func (p *planner) edits(members []int) []Edit {
	var lists [][]Edit
	for _, i := range members {
		lists = append(lists, editsFor(p.plan.Findings, i))
	}
	return mergeEdits(lists...)
}

func (p *planner) variant(show Show, members []int) (Variant, error) {
	v := Variant{Rcpts: members, Action: p.plan.Decisions[members[0]].Action, Protection: p.ways[members[0]], Show: show, Edits: oneOfEach(p.edits(members))}
	signed, encrypted := p.in.sealed()
	if signed || encrypted {
		v.Whole = true
		v.Edits = slices.DeleteFunc(v.Edits, func(e Edit) bool { return textEdit(e.Kind) })
	} else {
		v.Edits = withoutRemote(p.in, p.classes[members[0]], v.Edits)
		v.Edits = slices.DeleteFunc(v.Edits, func(e Edit) bool { return p.letPass(members, e.Kind) })
	}
	var err error
	if v.Audience, err = p.audience(members); err != nil {
		return Variant{}, err
	}
	v.To, v.Cc = p.shown(show, members)
	if err := p.thread(&v); err != nil {
		return Variant{}, err
	}
	return v, nil
}

// letPass reports whether somebody let a copy go without an edit that cannot be made in it.
func (p *planner) letPass(members []int, k EditKind) bool {
	return slices.ContainsFunc(members, func(i int) bool {
		return p.flagged(i, func(f *Finding) bool { return f.Rule == RuleCannotChange && f.Values["edit"] == string(k) && f.Waived })
	})
}

// oneOfEach leaves the first of several subjects, and of several signatures: the copy is held
// for that conflict, and a person who releases it anyway gets the same one whatever the order
// of the rules.
func oneOfEach(edits []Edit) []Edit {
	seen := map[EditKind]bool{}
	return slices.DeleteFunc(edits, func(e Edit) bool {
		again := seen[e.Kind] && oneOnly(e.Kind) != ""
		seen[e.Kind] = true
		return again
	})
}

// shown returns what To and Cc of a copy name.
func (p *planner) shown(show Show, members []int) (to, cc []mail.Address) {
	own := p.in.Env.Recipients[members[0]].Address
	var pass func(mail.Address) bool
	switch show {
	case ShowUndisclosed:
		return nil, nil
	case ShowGroup:
		group := map[string]bool{}
		for _, i := range members {
			group[p.in.Env.Recipients[i].Address.Key()] = true
		}
		pass = func(a mail.Address) bool { return group[a.Key()] }
	case ShowPractice:
		pass = func(mail.Address) bool { return true }
	case ShowContact:
		pass = p.harmless
	default:
		return []mail.Address{own}, nil
	}
	seen := map[string]bool{}
	to = pick(p.in.Mail.To, pass, seen)
	cc = pick(p.in.Mail.Cc, pass, seen)
	if len(to)+len(cc) == 0 {
		to = []mail.Address{own}
	}
	return to, cc
}

// harmless reports whether a contact may see the address: it is a recipient known to be no
// client, or of the practice itself. A stranger might be a client whom nobody entered yet.
func (p *planner) harmless(a mail.Address) bool {
	for i, r := range p.in.Env.Recipients {
		if r.Address.Key() == a.Key() {
			return p.classes[i] == ClassColleague || p.classes[i] == ClassContact
		}
	}
	return slices.Contains(p.practice.OwnDomains, a.Domain)
}

func pick(from []mail.Mailbox, pass func(mail.Address) bool, seen map[string]bool) []mail.Address {
	var out []mail.Address
	for _, m := range from {
		if k := m.Address.Key(); !m.Address.IsZero() && !seen[k] && pass(m.Address) {
			seen[k] = true
			out = append(out, m.Address)
		}
	}
	return out
}

func keys(lists ...[]mail.Mailbox) map[string]bool {
	out := map[string]bool{}
	for _, l := range lists {
		for _, m := range l {
			out[m.Address.Key()] = true
		}
	}
	return out
}

// audience returns what is equal for everybody who gets the copy.
func (p *planner) audience(members []int) (Audience, error) {
	a := Audience{Class: p.classes[members[0]]}
	var all []Client
	for _, i := range members {
		cs, err := p.in.clients(i)
		if err != nil {
			return a, err
		}
		all = append(all, cs...)
	}
	if len(all) == 0 {
		return a, nil
	}
	refs := map[string]bool{}
	a.AgeKnown = true
	for i := range all {
		c := &all[i]
		refs[c.Ref] = true
		a.Discreet = a.Discreet || discreet(c, p.practice.DiscreetByDefault)
		a.AgeKnown = a.AgeKnown && !c.Born.IsZero()
		if c.Born.After(a.YoungestBorn) {
			a.YoungestBorn = c.Born
		}
	}
	if !a.AgeKnown {
		a.YoungestBorn = time.Time{}
	}
	a.Refs = sortedSet(refs)
	a.Country = same(all, func(c *Client) string { return c.Country })
	a.Nation = same(all, func(c *Client) string { return c.Nation })
	a.Language = same(all, func(c *Client) string { return c.Language })
	a.Timezone = same(all, func(c *Client) string { return c.Timezone })
	if len(members) == 1 {
		a.Word = same(all, func(c *Client) string { return c.Word })
	}
	return a, nil
}

// same returns the value that all clients have in common, or nothing.
func same(cs []Client, of func(*Client) string) string {
	v := of(&cs[0])
	for i := range cs {
		if of(&cs[i]) != v {
			return ""
		}
	}
	return v
}
