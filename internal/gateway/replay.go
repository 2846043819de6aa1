package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// record is what stays of a decision when its content has gone: enough to ask other rules.
func (g *Gateway) record(d *decided) (*store.Facts, error) {
	r := filter.NewRecord(d.snap.Rules, d.in, &d.plan, d.snap.ListDigest, g.store.Pseudonym)
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("gateway: facts: %w", err)
	}
	f := &store.Facts{Record: b, Observed: slices.ContainsFunc(r.Findings, func(f filter.RecordFinding) bool { return f.Observed })}
	for _, k := range d.env.Recipients {
		f.Who = append(f.Who, k.Address)
	}
	return f, nil
}

// Replay says what other policies would have done to the mail of some time.
type Replay struct {
	Policy    string            `json:"policy"`
	Since     time.Time         `json:"since"`
	Until     time.Time         `json:"until"`
	Messages  int               `json:"messages"`
	Exact     int               `json:"exact"`     // evaluated anew from the message itself
	Unknown   int               `json:"unknown"`   // of these nobody can know
	Unchecked int               `json:"unchecked"` // would leave in copies that the leak check never saw
	Weaker    int               `json:"weaker"`    // would be treated, or could be, less strictly than they were
	Outcomes  []ReplayOutcome   `json:"outcomes"`
	Changed   []ReplayedMessage `json:"changed"`
}

// ReplayOutcome counts the messages with one outcome then and one now.
type ReplayOutcome struct {
	Before   string `json:"before"` // send, hold or refuse
	After    string `json:"after"`  // the same, or unknown
	Messages int    `json:"messages"`
}

// ReplayedMessage is a message that other policies treat otherwise, or may.
type ReplayedMessage struct {
	ID        mail.ID   `json:"id"`
	At        time.Time `json:"at"`
	Before    string    `json:"before"`
	After     string    `json:"after"`
	Rule      string    `json:"rule,omitempty"` // that decides now; where nothing does, that decided then
	Reason    string    `json:"reason"`
	Exact     bool      `json:"exact,omitempty"`
	Unchecked bool      `json:"unchecked,omitempty"`
	Weaker    bool      `json:"weaker,omitempty"`
}

// outcomeUnknown is an outcome that depends on what was not kept.
const outcomeUnknown = "unknown"

// Replay decides again about the mail of the past, under these policies. It only reads.
func (g *Gateway) Replay(ctx context.Context, snap *policy.Snapshot, since, until time.Time) (*Replay, error) {
	out := &Replay{Policy: snap.ID, Since: since, Until: until, Outcomes: []ReplayOutcome{}, Changed: []ReplayedMessage{}}
	counts := map[[2]string]int{}
	err := g.store.Recorded(ctx, since, until, func(r store.Recorded) error {
		m, err := g.replay(ctx, snap, r)
		if err != nil {
			return err
		}
		out.Messages++
		counts[[2]string{m.Before, m.After}]++
		if m.Exact {
			out.Exact++
		}
		if m.After == outcomeUnknown {
			out.Unknown++
		}
		if m.Unchecked && m.Before != m.After {
			out.Unchecked++
		}
		if m.Weaker {
			out.Weaker++
		}
		if m.Before != m.After {
			out.Changed = append(out.Changed, m)
		}
		return nil
	})
	for k, n := range counts {
		out.Outcomes = append(out.Outcomes, ReplayOutcome{k[0], k[1], n})
	}
	slices.SortFunc(out.Outcomes, func(a, b ReplayOutcome) int {
		return cmp.Or(cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	return out, err
}

// replay decides about one message: from the message itself while it is held, or from what was
// kept of it.
func (g *Gateway) replay(ctx context.Context, snap *policy.Snapshot, r store.Recorded) (ReplayedMessage, error) {
	m := ReplayedMessage{ID: r.Message.ID, At: r.Message.ReceivedAt, Before: r.Message.Outcome, After: outcomeUnknown,
		Reason: "Nothing was kept of this email that rules could be asked about", Weaker: r.Message.Outcome != outcomeOf(filter.Send)}
	var rec filter.Record
	had := r.Record != nil && json.Unmarshal(r.Record, &rec) == nil
	if r.Held {
		if plan, ok, err := g.replayHeld(ctx, snap, r.Message.ID); err != nil {
			return m, err
		} else if ok {
			m.Exact = true
			m.decide(snap, plan.Outcome, plan.Findings, plan.Lead, &rec)
			return m, nil
		}
	}
	who, known := snap.Sender(rec.Sender)
	switch {
	case !had:
		return m, nil
	case !known:
		m.Reason = "Who sent it is no longer in people.yaml"
		return m, nil
	}
	classes := make([]filter.Class, len(rec.Recipients))
	for i, k := range rec.Recipients {
		if classes[i] = filter.ClassClient; len(k.Clients) == 0 {
			classes[i] = snap.ClassBy(k.Mailbox, k.Domain, g.store.Pseudonym)
		}
	}
	p, err := filter.Replayed(snap.Rules, snap.Practice, &rec, filter.Known(who), classes, snap.ListDigest)
	if err != nil {
		return m, fmt.Errorf("gateway: replay %s: %w", m.ID, err)
	}
	m.decide(snap, p.Outcome, p.Findings, p.Lead, &rec)
	m.Unchecked = p.Unchecked
	if len(p.Unknown) > 0 {
		m.After, m.Rule = outcomeUnknown, ""
		m.Reason = "It depends on what was not kept of the email: " + strings.Join(p.Unknown, "; ")
	}
	return m, nil
}

// decide fills in the outcome and why it is so.
func (m *ReplayedMessage) decide(snap *policy.Snapshot, now filter.Action, findings []filter.Finding, lead int, rec *filter.Record) {
	m.After, m.Rule, m.Reason = outcomeOf(now), "", ""
	m.Weaker = rank(m.After) < rank(m.Before)
	if lead >= 0 && lead < len(findings) {
		m.Rule, m.Reason = findings[lead].Rule, findings[lead].Reason
	}
	if m.Weaker {
		for _, f := range rec.Findings {
			if f.Lead {
				m.Rule, m.Reason = f.Rule, fmt.Sprintf("What decided then no longer does: %s", snap.RuleName(f.Rule))
			}
		}
	}
}

// rank orders outcomes from letting pass to stopping.
func rank(outcome string) int { return slices.Index([]string{"send", "hold", "refuse"}, outcome) }

// recalled are the facts as they were when a message came in, and the register of today.
type recalled struct {
	facts filter.Facts
	store *store.Store
}

// Resolve returns the facts of then.
func (r recalled) Resolve(context.Context, *mail.Envelope, *mail.Message, filter.Need) (*filter.Facts, error) {
	f := r.facts
	f.Recipients = slices.Clone(f.Recipients)
	return &f, nil
}

// Watch returns the register for the leak check.
func (r recalled) Watch(ctx context.Context) (*filter.Watch, error) { return r.store.Watch(ctx) }

// Words returns words that are nobody's: what is made is thrown away.
func (r recalled) Words(context.Context, string) (string, error) {
	return "these words open nothing", nil
}

// RecipientKey returns a key that is nobody's, for the same reason.
func (r recalled) RecipientKey(_ context.Context, _ string, at time.Time) (*encrypt.Key, error) {
	return encrypt.NewRoleKey("", mail.Address{LocalPart: "nobody", Domain: "invalid"}, at)
}

// RoleKey returns one, too: a replay changes nothing.
func (r recalled) RoleKey(_ context.Context, alias mail.Address, name string) (*encrypt.Key, error) {
	return encrypt.NewRoleKey(name, alias, r.facts.At)
}

// replayHeld evaluates a held message anew, with the facts as they were. It reports false where
// the message cannot be read any more.
func (g *Gateway) replayHeld(ctx context.Context, snap *policy.Snapshot, id mail.ID) (*filter.Plan, bool, error) {
	h, err := g.loadHeld(ctx, id)
	if err != nil || h.damaged != nil {
		return nil, false, nil // decided on in the meantime, or damaged: what was kept has to do
	}
	body, err := g.store.Content(ctx, id, 0)
	if err != nil {
		return nil, false, nil
	}
	defer body.Close()
	done, err := g.acquire(ctx, body.Size())
	if err != nil {
		return nil, false, err
	}
	defer done()
	m, err := mail.Parse(body, body.Size(), g.limits)
	if err != nil {
		return nil, false, nil
	}
	doneText, err := g.acquireText(ctx, m)
	if err != nil {
		return nil, false, err
	}
	defer doneText()
	then := *h
	env := then.account.Envelope
	env.ID = id
	other := &Gateway{store: g.store, facts: recalled{then.account.Facts, g.store}, hostname: g.hostname, limits: g.limits,
		now: g.now, entropy: g.entropy, log: g.log, memory: g.memory, work: g.work, text: g.text, locks: g.locks}
	other.policy.Store(snap)
	d, err := other.decide(ctx, question{snap: snap, env: &env, mail: m, spool: store.NewMemorySpool})
	if err != nil {
		return nil, false, fmt.Errorf("gateway: replay %s: %w", id, err)
	}
	defer d.close()
	return &d.plan, true, nil
}
