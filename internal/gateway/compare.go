package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
)

// Compare says what changes from one set of policies to another: first what happens to mail,
// found by sending a mail of every kind through both on paper, then what the files say
// differently. What protects less comes first. Nothing is stored.
func Compare(ctx context.Context, before, after *policy.Snapshot) ([]policy.Difference, error) {
	var seen grouped
	probes, all := policy.Probes(before, after)
	for _, p := range probes {
		a, err := probe(ctx, before, p.Test)
		if err != nil {
			return nil, err
		}
		b, err := probe(ctx, after, p.Test)
		if err != nil {
			return nil, err
		}
		if a.level >= int(filter.Refuse) && a.outcome == b.outcome {
			continue // nothing leaves either way: nothing is to be said of it
		}
		seen.all = append(seen.all, p)
		for _, d := range a.compare(b) {
			seen.add(d, p)
		}
	}
	out := append(seen.differences(), policy.Differences(before, after)...)
	if !all { // what nobody looked at is never taken for harmless
		out = append(out, policy.Difference{What: "the rules", Before: "each kind of mail was compared", After: "too much has changed at once to compare each kind", Weaker: true})
	}
	slices.SortStableFunc(out, func(x, y policy.Difference) int {
		switch {
		case x.Weaker == y.Weaker:
			return 0
		case x.Weaker:
			return -1
		}
		return 1
	})
	return out, nil
}

// fate is what happens to one probe.
type fate struct {
	outcome string
	level   int             // of the outcome: more is stricter
	changes map[string]bool // of the copies that leave, or would after a release
	told    []string
	fixed   bool // nobody may release their own
}

// probe decides about a made-up mail.
func probe(ctx context.Context, snap *policy.Snapshot, t policy.Test) (fate, error) {
	plan, err := planOf(ctx, snap, t)
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return fate{outcome: "try again later", level: int(filter.Refuse) + 1}, nil
	}
	if err != nil {
		return fate{}, fmt.Errorf("gateway: compare: %w", err)
	}
	f := fate{outcome: actionName(plan.Outcome), level: int(plan.Outcome), changes: map[string]bool{}, told: slices.Clone(plan.Tell)}
	slices.Sort(f.told)
	for _, x := range plan.Findings {
		f.fixed = f.fixed || !x.Observed && !x.Waived && x.Action >= filter.Hold && (x.Fixed || x.HoldFor != "")
	}
	for i, v := range plan.Variants {
		for _, e := range v.Edits {
			f.changes[strings.TrimSpace(string(e.Kind)+" "+e.Arg)] = true
		}
		if v.Show == filter.ShowOne && len(t.Mail.To) > 1 && i == 0 {
			f.changes["a copy for each alone"] = true
		}
	}
	return f, nil
}

// planOf decides about a mail on paper.
func planOf(ctx context.Context, snap *policy.Snapshot, t policy.Test) (filter.Plan, error) {
	g, err := New(Config{Policy: snap, Facts: fixture(t.Clients, t.At), Hostname: "gateway.test"})
	if err != nil {
		return filter.Plan{}, err
	}
	src, err := testSource(snap, t)
	if err != nil {
		return filter.Plan{}, err
	}
	m, err := mail.Parse(strings.NewReader(src), int64(len(src)), g.limits)
	if err != nil {
		return filter.Plan{}, err
	}
	in, err := g.input(ctx, snap, testEnvelope(snap, t), m, nil)
	if err != nil {
		return filter.Plan{}, err
	}
	return filter.Run(append([]filter.Rule{identity{snap}}, snap.Rules...), snap.Practice, in)
}

// compare returns what is different, with the place of the mail left open.
func (f fate) compare(g fate) []policy.Difference {
	var out []policy.Difference
	if f.outcome != g.outcome {
		return []policy.Difference{{Before: f.outcome, After: g.outcome, Weaker: g.level < f.level}}
	}
	if f.fixed != g.fixed {
		says := map[bool]string{true: "the sender cannot release it", false: "the sender may release it"}
		out = append(out, policy.Difference{Before: says[f.fixed], After: says[g.fixed], Weaker: f.fixed})
	}
	if a, b := listOr(f.told, "nobody"), listOr(g.told, "nobody"); a != b {
		out = append(out, policy.Difference{Before: "tells " + a, After: "tells " + b, Weaker: len(g.told) < len(f.told)})
	}
	if g.level >= int(filter.Refuse) {
		return out // nothing leaves
	}
	for c := range f.changes {
		if !g.changes[c] {
			out = append(out, policy.Difference{Before: c, After: "not any more", Weaker: !sameVerb(g.changes, c)})
		}
	}
	for c := range g.changes {
		if !f.changes[c] {
			out = append(out, policy.Difference{Before: "", After: c})
		}
	}
	return out
}

// sameVerb reports whether the same is done with another value: another subject.
func sameVerb(changes map[string]bool, change string) bool {
	verb, _, _ := strings.Cut(change, " ")
	for c := range changes {
		if v, _, _ := strings.Cut(c, " "); v == verb {
			return true
		}
	}
	return false
}

// grouped collects the same difference of many probes, to say it once.
type grouped struct {
	all   []policy.Probe
	kinds []policy.Difference
	seen  map[policy.Difference]map[[3]string]bool
}

func (g *grouped) add(d policy.Difference, p policy.Probe) {
	if g.seen == nil {
		g.seen = map[policy.Difference]map[[3]string]bool{}
	}
	if g.seen[d] == nil {
		g.seen[d] = map[[3]string]bool{}
		g.kinds = append(g.kinds, d)
	}
	g.seen[d][[3]string{p.To, p.With, p.From}] = true
}

// differences says each difference in as few sentences as tell it. What happens to plain mail
// to somebody is said of all mail to them; content and sender are named where only they make
// the difference.
func (g *grouped) differences() []policy.Difference {
	var out []policy.Difference
	for _, d := range g.kinds {
		told := map[string]bool{} // recipients of whom all is said
		var order [][2]string
		who := map[[2]string][]string{}
		for _, p := range g.all {
			if !g.seen[d][[3]string{p.To, p.With, p.From}] || told[p.To] {
				continue
			}
			if p.With == "" && p.From == "" {
				told[p.To] = true
			}
			if p.From != "" && slices.Contains(who[[2]string{p.With, ""}], p.To) {
				continue // the same whoever sends it
			}
			k := [2]string{p.With, p.From}
			if who[k] == nil {
				order = append(order, k)
			}
			who[k] = append(who[k], p.To)
		}
		for _, k := range order {
			e := d
			e.What = "mail to " + g.people(who[k])
			if k[0] != "" {
				e.What += ", with " + k[0]
			}
			if k[1] != "" {
				e.What += ", from " + k[1]
			}
			out = append(out, e)
		}
	}
	return out
}

// people names recipients: all of them, all clients, or each.
func (g *grouped) people(to []string) string {
	everybody, clients := true, true
	for _, p := range g.all {
		if p.With == "" && p.From == "" && !slices.Contains(to, p.To) {
			everybody, clients = false, clients && !p.Client
		}
	}
	if everybody {
		return "anybody"
	}
	if clients {
		to = append([]string{"clients"}, slices.DeleteFunc(slices.Clone(to), func(s string) bool {
			return slices.ContainsFunc(g.all, func(p policy.Probe) bool { return p.To == s && p.Client })
		})...)
	}
	if len(to) == 1 {
		return to[0]
	}
	return strings.Join(to[:len(to)-1], ", ") + " or " + to[len(to)-1]
}
