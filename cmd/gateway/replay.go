package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
)

type replayCmd struct {
	Policies string `help:"Directory of the policies to try; without it those of the configuration." placeholder:"DIR"`
	Since    string `help:"From this day on, for example 2026-10-01, or this moment; without it the last 30 days." placeholder:"DAY"`
	Until    string `help:"Until before this day or moment; without it now." placeholder:"DAY"`
}

// Help is shown under --help.
func (replayCmd) Help() string {
	return "What would have happened to the mail of the past under these policies? Each message is decided again, from the message itself while it is held, and from what was kept about it after that: codes, sizes, yes and no, never a word of the mail. Where a rule asks for something that was not kept, the answer is that nobody knows. Nothing is changed; the service may run.\n\nThe answer is no when any mail would have been treated less strictly, or could have been.\n\nExamples:\n  gateway replay --policies new\n  gateway replay --policies new --since 2026-10-01 --until 2026-11-01"
}

// Run replays.
func (k replayCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		snap := s.snap
		if k.Policies != "" {
			var err error
			if snap, err = policies(k.Policies); err != nil {
				return asNo(err)
			}
		}
		now := time.Now()
		since, err := moment("--since", k.Since, now.AddDate(0, 0, -30), snap)
		if err != nil {
			return err
		}
		until, err := moment("--until", k.Until, now, snap)
		if err != nil {
			return err
		}
		g, err := s.gateway(logger(LogConfig{Level: "error", Format: "text"}, p.Err))
		if err != nil {
			return err
		}
		r, err := g.Replay(ctx, snap, since, until)
		if err != nil {
			return err
		}
		if err := p.emit(r, func(w io.Writer) { p.printReplay(w, r, snap) }); err != nil {
			return err
		}
		if r.Weaker > 0 {
			return &answerNo{fmt.Sprintf("%s would have been treated less strictly, or could have been", count(r.Weaker, "message"))}
		}
		return nil
	})
}

// moment reads a day in the practice's own time zone, or a moment.
func moment(flag, text string, otherwise time.Time, snap *policy.Snapshot) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(form, text, snap.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &usageError{fmt.Sprintf("%s %q is not a day or a moment; write it as 2026-10-01, as \"2026-10-01 09:00\" in the practice's own time, or as 2026-10-01T09:00:00Z", flag, text)}
}

// printReplay is the replay for people.
func (p *program) printReplay(w io.Writer, r *gateway.Replay, snap *policy.Snapshot) {
	at := func(t time.Time) string { return t.In(snap.Location()).Format("2006-01-02 15:04") }
	fmt.Fprintf(w, "%s from %s to %s\n", count(r.Messages, "message"), at(r.Since), at(r.Until))
	for _, o := range r.Outcomes {
		what := o.Before + " → " + o.After
		if o.Before == o.After {
			what = o.Before + ", as it was"
		}
		if o.After == "unknown" {
			what = o.Before + " → cannot be known"
		}
		fmt.Fprintf(w, "%6d  %s\n", o.Messages, what)
	}
	if r.Unknown > 0 {
		fmt.Fprintf(w, "It cannot be known for %s: the rules ask for what was not kept\n", count(r.Unknown, "message"))
	}
	if r.Unchecked > 0 {
		fmt.Fprintf(w, "%s marked *: as far as the rules go; nobody can look any more for what their new copies would give away\n", count(r.Unchecked, "message"))
	}
	for _, m := range r.Changed {
		mark := ""
		if m.Weaker {
			mark = "WEAKER  "
		}
		star := ""
		if m.Unchecked {
			star = "*"
		}
		fmt.Fprintf(w, "%s%s  %s  %s → %s%s  %s\n        %s\n", mark, m.ID, at(m.At), m.Before, m.After, star, m.Rule, m.Reason)
	}
}
