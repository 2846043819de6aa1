package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

type heldCmd struct {
	List    heldListCmd    `cmd:"" help:"What waits for a person's decision."`
	Show    heldShowCmd    `cmd:"" help:"Why one message is held."`
	Release heldReleaseCmd `cmd:"" help:"Let a held message go, as far as today's policies allow."`
	Refuse  heldRefuseCmd  `cmd:"" help:"Stop a held message for good; its sender is told."`
}

// held is one held message as it is listed: codes and rules, never content or addresses.
type held struct {
	ID         mail.ID     `json:"id"`
	Submitter  string      `json:"submitter"`
	ReceivedAt time.Time   `json:"received_at"`
	Recipients []string    `json:"recipients"`
	Rules      []heldRule  `json:"rules"`
	Urgent     bool        `json:"urgent,omitempty"`
	Decisions  []heldPast  `json:"decisions,omitempty"`
	Jobs       []store.Job `json:"jobs,omitempty"`
}

type heldRule struct {
	Rule   string `json:"rule"`
	Name   string `json:"name"`
	Action string `json:"action"`
	Reason string `json:"reason,omitempty"`
	For    string `json:"hold_for,omitempty"`
}

type heldPast struct {
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Released bool      `json:"released"`
	Reason   string    `json:"reason,omitempty"`
}

// describe adds to a held message why it is held, from the account that is sealed with it.
func (s session) describe(ctx context.Context, m store.Message, jobs []store.Job) (held, error) {
	h := held{ID: m.ID, Submitter: m.Submitter, ReceivedAt: m.ReceivedAt, Recipients: []string{}, Rules: []heldRule{}}
	for _, j := range jobs {
		h.Recipients = append(h.Recipients, j.Codes...)
	}
	_, sealed, _, err := s.store.Get(ctx, m.ID)
	if store.Damaged(err) {
		// One damaged record must not hide all others that wait.
		h.Rules = append(h.Rules, heldRule{Rule: "damaged", Name: "its record cannot be read: refuse it, and ask the sender to send it again", Action: "hold"})
		return h, nil
	}
	if err != nil {
		return h, err
	}
	var account struct {
		Plan filter.Plan `json:"plan"`
	}
	if err := json.Unmarshal(sealed, &account); err != nil {
		return h, fmt.Errorf("account of %s: %w", m.ID, err)
	}
	h.Urgent = account.Plan.Urgent
	seen := map[string]bool{}
	for _, f := range account.Plan.Findings {
		if f.Observed || f.Waived || (f.Action != filter.Hold && f.Action != filter.Lock) || seen[f.Rule+f.Reason] {
			continue
		}
		seen[f.Rule+f.Reason] = true // a copy each may show somebody else, in another way
		action := "hold"
		if f.Action == filter.Lock {
			action = "lock"
		}
		h.Rules = append(h.Rules, heldRule{Rule: f.Rule, Name: s.snap.RuleName(f.Rule), Action: action, Reason: f.Reason, For: f.HoldFor})
	}
	return h, nil
}

type heldListCmd struct{}

// Help is shown under --help.
func (heldListCmd) Help() string { return "Example: gateway held list --json" }

// Run lists held messages, oldest first.
func (heldListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		items, err := s.store.Held(ctx)
		if err != nil {
			return err
		}
		list := []held{}
		for _, it := range items {
			h, err := s.describe(ctx, it.Message, it.Jobs)
			if err != nil {
				return err
			}
			list = append(list, h)
		}
		return p.emit(list, func(w io.Writer) {
			if len(list) == 0 {
				fmt.Fprintln(w, "Nothing is held.")
				return
			}
			fmt.Fprintln(w, "ID\tSINCE\tFROM\tTO\tWHY")
			for _, h := range list {
				var rules []string
				for _, r := range h.Rules {
					rules = append(rules, r.Rule)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.ID, s.local(h.ReceivedAt), h.Submitter, strings.Join(h.Recipients, ", "), strings.Join(rules, ", "))
			}
		})
	})
}

// local writes a time as the practice reads it.
func (s session) local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(s.snap.Location()).Format("2006-01-02 15:04")
}

type heldShowCmd struct {
	ID string `arg:"" help:"The message's id."`
}

// Help is shown under --help.
func (heldShowCmd) Help() string { return "Example: gateway held show 01JD7Z9K3M5N7P9R1T3V5X7Z9B" }

// Run shows one held message.
func (k heldShowCmd) Run(ctx context.Context, p *program) error {
	id, err := parseID(k.ID)
	if err != nil {
		return err
	}
	return p.withStore(ctx, func(s session) error {
		m, _, jobs, err := s.store.Get(ctx, id)
		if err != nil && !store.Damaged(err) {
			return err
		}
		h, err := s.describe(ctx, m, jobs)
		if err != nil {
			return err
		}
		h.Jobs = jobs
		past, err := s.store.Decisions(ctx, id)
		if err != nil && !store.Damaged(err) {
			return err
		}
		for _, d := range past {
			h.Decisions = append(h.Decisions, heldPast{d.At, d.By, d.Released, d.Reason})
		}
		return p.emit(h, func(w io.Writer) { printHeld(w, s, h) })
	})
}

func printHeld(w io.Writer, s session, h held) {
	fmt.Fprintf(w, "%s\nfrom\t%s\nreceived\t%s\n", h.ID, h.Submitter, s.local(h.ReceivedAt))
	if h.Urgent {
		fmt.Fprintln(w, "urgent\tthe text mentions danger: phone the client")
	}
	for _, j := range h.Jobs {
		fmt.Fprintf(w, "to %s\t%s\n", strings.Join(j.Codes, ", "), j.State)
	}
	for _, r := range h.Rules {
		fmt.Fprintf(w, "%s\t%s: %s\n", r.Action, r.Rule, r.Name)
		if r.Reason != "" && r.Reason != r.Name {
			fmt.Fprintf(w, "\t%s\n", r.Reason)
		}
		if r.For != "" {
			fmt.Fprintf(w, "\tit waits for %s; nobody releases their own\n", r.For)
		}
	}
	for _, d := range h.Decisions {
		what := "stopped"
		if d.Released {
			what = "released"
		}
		fmt.Fprintf(w, "%s\t%s by %s: %s\n", s.local(d.At), what, d.By, d.Reason)
	}
}

// decision is what release and refuse have in common.
type decision struct {
	ID     string `arg:"" help:"The message's id."`
	As     string `required:"" help:"Who decides: an id of people.yaml." placeholder:"PERSON"`
	Reason string `required:"" help:"Why. It is kept, sealed, with the message." placeholder:"TEXT"`
	dryRun
}

// run checks the id and, in a dry run, says what would happen.
func (d decision) run(ctx context.Context, p *program, what string, do func(session, mail.ID) error) error {
	id, err := parseID(d.ID)
	if err != nil {
		return err
	}
	if strings.TrimSpace(d.Reason) == "" {
		return &usageError{"--reason is empty; say what you checked"}
	}
	return p.withStore(ctx, func(s session) error {
		if _, ok := s.snap.Person(d.As); !ok {
			return &answerNo{fmt.Sprintf("nobody in people.yaml has the id %q", d.As)}
		}
		if !d.DryRun {
			return do(s, id)
		}
		_, _, jobs, err := s.store.Get(ctx, id)
		if err != nil && !store.Damaged(err) {
			return err
		}
		g, err := s.gateway(logger(LogConfig{Level: "error", Format: "text"}, p.Err))
		if err != nil {
			return err
		}
		if err := g.CheckDecision(ctx, id, d.As, what == "release"); err != nil {
			return err
		}
		n := 0
		for _, j := range jobs {
			if j.State == store.Held {
				n++
			}
		}
		copies := "1 copy"
		if n != 1 {
			copies = fmt.Sprintf("%d copies", n)
		}
		return p.outcome(true, "would %s %s (%s held), as %s", what, id, copies, d.As)
	})
}

type heldReleaseCmd struct{ decision }

// Help is shown under --help.
func (heldReleaseCmd) Help() string {
	return "The message is evaluated again: what held it is waived, anything new holds it again.\n\nExample: gateway held release 01JD7Z9K3M5N7P9R1T3V5X7Z9B --as sam --reason \"confirmed by phone\""
}

// Run releases.
func (k heldReleaseCmd) Run(ctx context.Context, p *program) error {
	return k.run(ctx, p, "release", func(s session, id mail.ID) error {
		g, err := s.gateway(logger(LogConfig{Level: "error", Format: "text"}, p.Err))
		if err != nil {
			return err
		}
		r, err := g.Release(ctx, id, k.As, k.Reason)
		if err != nil {
			return err
		}
		return p.emit(map[string]any{"id": r.ID, "released": true, "text": r.Text}, func(w io.Writer) { fmt.Fprintln(w, r.Text) })
	})
}

type heldRefuseCmd struct{ decision }

// Help is shown under --help.
func (heldRefuseCmd) Help() string {
	return "Example: gateway held refuse 01JD7Z9K3M5N7P9R1T3V5X7Z9B --as sam --reason \"wrong person\""
}

// Run stops a held message.
func (k heldRefuseCmd) Run(ctx context.Context, p *program) error {
	return k.run(ctx, p, "stop", func(s session, id mail.ID) error {
		g, err := s.gateway(logger(LogConfig{Level: "error", Format: "text"}, p.Err))
		if err != nil {
			return err
		}
		if err := g.Withdraw(ctx, id, k.As, k.Reason); err != nil {
			return err
		}
		return p.emit(map[string]any{"id": id, "released": false}, func(w io.Writer) { fmt.Fprintf(w, "stopped %s\n", id) })
	})
}

func parseID(text string) (mail.ID, error) {
	id, err := mail.ParseID(strings.ToUpper(text))
	if err != nil {
		return "", &usageError{fmt.Sprintf("%q is not a message id; an id has 26 letters and digits", text)}
	}
	return id, nil
}
