package main

import (
	"context"
	"fmt"
	"io"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Follow the chain of the audit from its first row to its last."`
}

type auditVerifyCmd struct{}

// Help is shown under --help.
func (auditVerifyCmd) Help() string { return "Example: gateway audit verify" }

// Run verifies the audit; a changed row makes the answer no.
func (auditVerifyCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		rows, err := s.store.VerifyAudit(ctx)
		if err != nil {
			return err
		}
		return p.emit(map[string]any{"ok": true, "rows": rows}, func(w io.Writer) { fmt.Fprintf(w, "ok: %d rows, none changed\n", rows) })
	})
}
