package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/plaincover/plaincover/internal/store"
)

type consentCmd struct {
	List     consentListCmd     `cmd:"" help:"What a client, or everybody, has agreed to."`
	Record   consentRecordCmd   `cmd:"" help:"Record one consent."`
	Withdraw consentWithdrawCmd `cmd:"" help:"Withdraw a client's consent; it counts from now on."`
	Import   consentImportCmd   `cmd:"" help:"Record consents from a CSV file: all rows or none."`
}

type consentListCmd struct {
	Ref string `arg:"" optional:"" help:"The client's code; without it all."`
}

// Help is shown under --help.
func (consentListCmd) Help() string { return "Example: gateway consent list C-0142" }

// Run lists consents, withdrawn ones too.
func (k consentListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		rows, err := s.store.Consents(ctx, k.Ref)
		if err != nil {
			return err
		}
		if rows == nil {
			rows = []store.ConsentRow{}
		}
		return p.emit(rows, func(w io.Writer) {
			if len(rows) == 0 {
				fmt.Fprintln(w, "No consent is recorded.")
				return
			}
			fmt.Fprintln(w, "CODE\tCONSENT\tHOW\tRECORDED BY\tWORDING")
			for _, r := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Ref, consentState(r.Purpose, r.GivenOn, r.ExpiresOn, r.Withdrawn), r.How, r.RecordedBy, r.Wording)
			}
		})
	})
}

type consentRecordCmd struct {
	Ref      string `arg:"" help:"The client's code."`
	Purpose  string `arg:"" help:"A purpose of clients.yaml, parent_consent or competence_note."`
	How      string `required:"" help:"How it was given: form, session_note, call_note." placeholder:"HOW"`
	By       string `required:"" help:"Who recorded it: an id of people.yaml." placeholder:"PERSON"`
	GivenOn  string `help:"The day; without it today." placeholder:"YYYY-MM-DD"`
	Expires  string `help:"Its last day; without it as clients.yaml says." placeholder:"YYYY-MM-DD"`
	Evidence string `help:"Where the form or note is kept." placeholder:"TEXT"`
	Wording  string `help:"The version of the wording; without it the one of clients.yaml." placeholder:"NAME"`
	dryRun
}

// Help is shown under --help.
func (consentRecordCmd) Help() string {
	return "Example: gateway consent record C-0142 group_email --how form --by maya --given-on 2026-11-02"
}

// Run records one consent.
func (k consentRecordCmd) Run(ctx context.Context, p *program) error {
	row := store.ConsentRow{Ref: k.Ref, Purpose: k.Purpose, How: k.How, RecordedBy: k.By, Evidence: k.Evidence, Wording: k.Wording}
	var err error
	if row.GivenOn, err = parseDay("--given-on", orDefault(k.GivenOn, time.Now().Format(time.DateOnly))); err != nil {
		return err
	}
	if k.Expires != "" {
		if row.ExpiresOn, err = parseDay("--expires", k.Expires); err != nil {
			return err
		}
	}
	return p.withStore(ctx, func(s session) error {
		if _, err := s.who(k.By); err != nil {
			return err
		}
		rows := withExpiry([]store.ConsentRow{row}, s.snap)
		if k.DryRun {
			rep, err := s.store.CheckConsents(ctx, rows, purposes(s.snap))
			if err != nil {
				return err
			}
			return p.printReport(rep, true)
		}
		if err := s.store.RecordConsent(ctx, rows[0], purposes(s.snap), actor); err != nil {
			return err
		}
		p.say("recorded: %s %s", k.Ref, consentState(rows[0].Purpose, rows[0].GivenOn, rows[0].ExpiresOn, false))
		return nil
	})
}

func parseDay(flag, text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, &usageError{fmt.Sprintf("%s %q is not a date; write it as 2026-11-02", flag, text)}
	}
	return t, nil
}

type consentWithdrawCmd struct {
	Ref     string `arg:"" help:"The client's code."`
	Purpose string `arg:"" help:"A purpose of clients.yaml, parent_consent or competence_note."`
	dryRun
}

// Help is shown under --help.
func (consentWithdrawCmd) Help() string {
	return "Example: gateway consent withdraw C-0142 group_email"
}

// Run withdraws.
func (k consentWithdrawCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		if _, err := s.store.Client(ctx, k.Ref); err != nil {
			return err
		}
		// A misspelled purpose would leave the real consent in force.
		known := append(s.snap.Clients.Purposes(), store.ParentConsent, store.CompetenceNote)
		if !slices.Contains(known, k.Purpose) {
			text := fmt.Sprintf("%q is not a purpose", k.Purpose)
			if near := nearest(k.Purpose, known); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			return &answerNo{text}
		}
		if k.DryRun {
			p.say("dry run: would withdraw %s of %s", k.Purpose, k.Ref)
			return nil
		}
		if err := s.store.WithdrawConsent(ctx, k.Ref, k.Purpose, actor); err != nil {
			return err
		}
		p.say("withdrawn: %s of %s", k.Purpose, k.Ref)
		return nil
	})
}

type consentImportCmd struct {
	File string `arg:"" help:"A CSV file, or - for standard input."`
	dryRun
}

// Help is shown under --help.
func (consentImportCmd) Help() string {
	return "Columns: ref, purpose, given_on, how, recorded_by, evidence, expires_on, wording.\n\nExample: gateway consent import consents.csv --dry-run"
}

// Run imports consents, all or none.
func (k consentImportCmd) Run(ctx context.Context, p *program) error {
	f, err := p.openInput(k.File)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := store.ParseConsents(f)
	if err != nil {
		return inFile(k.File, err)
	}
	return p.withStore(ctx, func(s session) error {
		rows := withExpiry(rows, s.snap)
		var rep store.Report
		if k.DryRun {
			rep, err = s.store.CheckConsents(ctx, rows, purposes(s.snap))
		} else {
			rep, err = s.store.ImportConsents(ctx, rows, purposes(s.snap), actor)
		}
		if err != nil {
			return inFile(k.File, err)
		}
		return p.printReport(rep, k.DryRun)
	})
}
