package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

const (
	// summaryHour is when, in the practice's own time, the day before is summed up.
	summaryHour = 7
	// summaryDays is for how many days a summary is made up for, after the program stood still.
	summaryDays = 7
)

// SummariseObserved tells the data-protection contact, once for each day that is over, what the
// rules that only observe would have done: nothing for a day on which they had nothing to say.
// It may be called at any time and by several processes: the note is queued in the transaction
// that marks the day.
func (g *Gateway) SummariseObserved(ctx context.Context) error {
	snap := g.Policy()
	now := g.now().In(snap.Location())
	for back := summaryDays; back > 0; back-- {
		from := midnight(now, -back)
		until := midnight(now, -back+1)
		if now.Before(time.Date(until.Year(), until.Month(), until.Day(), summaryHour, 0, 0, 0, until.Location())) {
			continue
		}
		mark := "observed " + from.Format(time.DateOnly)
		if at, err := g.store.Marked(ctx, mark); err != nil || !at.IsZero() {
			if err != nil {
				return err
			}
			continue
		}
		notes, err := g.observedNote(ctx, snap, from, until)
		if err != nil {
			return err
		}
		first, err := g.store.Once(ctx, mark, notes...)
		if err != nil {
			return fmt.Errorf("gateway: %s: %w", mark, err)
		}
		if first && len(notes) > 0 {
			g.log.Info("told what rules on trial would have done", "id", notes[0].Message.ID, "day", from.Format(time.DateOnly))
		}
	}
	return nil
}

// midnight is where a day of the practice begins, so many days from now's.
func midnight(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

// observedNote is the note about one day; none when there is nothing to say.
func (g *Gateway) observedNote(ctx context.Context, snap *policy.Snapshot, from, until time.Time) ([]store.Acceptance, error) {
	messages := 0
	var rules []templates.Observed
	if err := g.store.Observed(ctx, from, until, func(r store.Recorded) error {
		var rec filter.Record
		if r.Damaged || json.Unmarshal(r.Record, &rec) != nil {
			return nil // told by what checks the database; nobody can know what was observed
		}
		messages++
		for _, f := range rec.Findings {
			if f.Observed {
				rules = observe(rules, snap, f, string(r.Message.ID))
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, nil
	}
	slices.SortFunc(rules, func(a, b templates.Observed) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Action, b.Action), cmp.Compare(strings.Join(a.Verbs, " "), strings.Join(b.Verbs, " ")))
	})
	p, ok := snap.Person(policy.RoleDataProtection)
	if !ok {
		return nil, fmt.Errorf("gateway: nobody to tell as %q", policy.RoleDataProtection)
	}
	subject, text, err := templates.ObservedNotice(from.Format("2 January 2006"), messages, rules)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	n, err := g.post(letter{snap: snap, to: p.SignsInAs, subject: subject, text: text})
	if err != nil {
		return nil, err
	}
	return []store.Acceptance{n}, nil
}

// observe adds one finding: a rule has one line for each thing that it would have done, and a
// message counts once in it, whatever the number of its recipients.
func observe(rules []templates.Observed, snap *policy.Snapshot, f filter.RecordFinding, id string) []templates.Observed {
	for i := range rules {
		if r := &rules[i]; r.Rule == f.Rule && r.Action == actionName(f.Action) && slices.Equal(r.Verbs, f.Verbs) {
			if r.Messages[len(r.Messages)-1] != id {
				r.Messages = append(r.Messages, id)
			}
			return rules
		}
	}
	return append(rules, templates.Observed{Rule: f.Rule, Name: snap.RuleName(f.Rule), Action: actionName(f.Action), Verbs: f.Verbs, Messages: []string{id}})
}
