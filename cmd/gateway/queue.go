package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/plaincover/plaincover/internal/store"
)

type queueCmd struct {
	List queueListCmd `cmd:"" help:"Deliveries that are not finished."`
	Show queueShowCmd `cmd:"" help:"All deliveries of one message."`
}

type queueListCmd struct {
	All bool `help:"Finished deliveries too."`
}

// Help is shown under --help.
func (queueListCmd) Help() string { return "Example: gateway queue list --json" }

// Run lists deliveries, oldest first.
func (k queueListCmd) Run(ctx context.Context, p *program) error {
	f := store.JobFilter{States: []store.State{store.Queued, store.Sending, store.InDoubt, store.Held}}
	if k.All {
		f.States = nil
	}
	return p.listJobs(ctx, f, "Nothing waits.")
}

type queueShowCmd struct {
	ID string `arg:"" help:"The message's id."`
}

// Help is shown under --help.
func (queueShowCmd) Help() string { return "Example: gateway queue show 01JD7Z9K3M5N7P9R1T3V5X7Z9B" }

// Run lists the deliveries of one message.
func (k queueShowCmd) Run(ctx context.Context, p *program) error {
	id, err := parseID(k.ID)
	if err != nil {
		return err
	}
	return p.listJobs(ctx, store.JobFilter{Message: id}, "")
}

func (p *program) listJobs(ctx context.Context, f store.JobFilter, none string) error {
	return p.withStore(ctx, func(s session) error {
		jobs, err := s.store.Jobs(ctx, f)
		if err != nil {
			return err
		}
		if len(jobs) == 0 && f.Message != "" {
			return &answerNo{fmt.Sprintf("no delivery of %s is here", f.Message)}
		}
		if jobs == nil {
			jobs = []store.Job{}
		}
		return p.emit(jobs, func(w io.Writer) {
			if len(jobs) == 0 {
				fmt.Fprintln(w, none)
				return
			}
			fmt.Fprintln(w, "MESSAGE\tKIND\tTO\tSTATE\tATTEMPTS\tNEXT\tLAST")
			for _, j := range jobs {
				next := "-"
				if j.State == store.Queued || j.State == store.InDoubt {
					next = s.local(j.NextAt)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", j.Message, j.Kind, strings.Join(j.Codes, ", "), j.State, j.Attempts, next, j.Last)
			}
		})
	})
}
