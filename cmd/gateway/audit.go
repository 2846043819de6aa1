package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/store"
)

type auditCmd struct {
	Export auditExportCmd `cmd:"" help:"Print the rows of the audit, oldest first."`
	Verify auditVerifyCmd `cmd:"" help:"Follow the chain of the audit from its first row to its last."`
}

type auditExportCmd struct {
	Since string   `help:"Only rows from then on: a date (midnight UTC), or a moment such as 2026-03-01T09:00:00Z." placeholder:"WHEN"`
	Kind  []string `help:"Only rows of these kinds, such as policy_taken,policy_kept." placeholder:"KIND"`
}

// Help is shown under --help.
func (auditExportCmd) Help() string {
	return "The rows hold ids, rules and codes, never what was written. With --json each has its place in the chain (prev, hash), so that others can follow it.\n\n" +
		"Examples:\n  gateway audit export --since 2026-03-01\n  gateway audit export --kind policy_taken,policy_kept\n  gateway audit export --json > audit.json"
}

// Run prints row by row: the audit of a year is large.
func (k auditExportCmd) Run(ctx context.Context, p *program) error {
	var since time.Time
	if k.Since != "" {
		var err error
		if since, err = time.Parse(time.DateOnly, k.Since); err != nil {
			if since, err = time.Parse(time.RFC3339, k.Since); err != nil {
				return &usageError{fmt.Sprintf("--since %s is neither a date such as 2026-03-01 nor a moment such as 2026-03-01T09:00:00Z", k.Since)}
			}
		}
	}
	return p.withAudit(ctx, func(st *store.Store) error {
		out := bufio.NewWriter(p.Out)
		rows := 0
		err := st.Audit(ctx, func(r store.Row) error {
			if r.At.Before(since) || len(k.Kind) > 0 && !slices.Contains(k.Kind, r.Kind) {
				return nil
			}
			rows++
			if !p.json {
				return printRow(out, r)
			}
			sep := ",\n"
			if rows == 1 {
				sep = "[\n"
			}
			b, err := json.Marshal(r)
			if err == nil {
				_, err = fmt.Fprintf(out, "%s  %s", sep, b)
			}
			return err
		})
		switch {
		case p.json && rows == 0:
			fmt.Fprintln(out, "[]")
		case p.json:
			fmt.Fprintln(out, "\n]")
		}
		return errors.Join(err, out.Flush())
	})
}

// printRow writes a row as a line, and what has several lines below it.
func printRow(w io.Writer, r store.Row) error {
	line := fmt.Sprintf("%d  %s  %s  by %s", r.Seq, r.At.UTC().Format(time.RFC3339), r.Kind, r.Actor)
	if r.Message != "" {
		line += "  message " + string(r.Message)
	}
	var below strings.Builder
	for _, key := range slices.Sorted(maps.Keys(r.Data)) {
		v := r.Data[key]
		if key != "weaker" && !strings.Contains(v, "\n") {
			line += "  " + key + "=" + v
			continue
		}
		for l := range strings.Lines(v) {
			below.WriteString("     " + key + ": " + strings.TrimSuffix(l, "\n") + "\n")
		}
	}
	_, err := fmt.Fprintf(w, "%s\n%s", line, below.String())
	return err
}

type auditVerifyCmd struct{}

// Help is shown under --help.
func (auditVerifyCmd) Help() string { return "Example: gateway audit verify" }

// Run verifies the audit; a changed row makes the answer no.
func (auditVerifyCmd) Run(ctx context.Context, p *program) error {
	return p.withAudit(ctx, func(st *store.Store) error {
		rows, err := st.VerifyAudit(ctx)
		if err != nil {
			return err
		}
		return p.emit(map[string]any{"ok": true, "rows": rows}, func(w io.Writer) { fmt.Fprintf(w, "ok: %d rows, none changed\n", rows) })
	})
}

// withAudit opens the database alone: what happened can be read while the policies are broken.
func (p *program) withAudit(ctx context.Context, do func(*store.Store) error) (err error) {
	c, err := p.configuration(needNothing)
	if err != nil {
		return err
	}
	st, err := p.openStore(ctx, c, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return do(st)
}
