package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

type consentCmd struct {
	List     consentListCmd     `cmd:"" help:"What a client, or everybody, has agreed to."`
	Record   consentRecordCmd   `cmd:"" help:"Record one consent."`
	Withdraw consentWithdrawCmd `cmd:"" help:"Withdraw a client's consent; it counts from now on."`
	Import   consentImportCmd   `cmd:"" help:"Record consents from a CSV file: all rows or none."`
	Evidence consentEvidenceCmd `cmd:"" help:"Everything that is recorded of a client's consents, to show to whoever asks for it."`
}

type consentListCmd struct {
	Ref string `arg:"" optional:"" help:"The client's code; without it all."`
}

// Help is shown under --help.
func (consentListCmd) Help() string { return "Example: gateway consent list C-0142" }

// Run lists consents, withdrawn ones too.
func (k consentListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		if k.Ref != "" {
			if _, err := s.client(ctx, k.Ref); err != nil {
				return err
			}
		}
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

type consentEvidenceCmd struct {
	Ref     string `arg:"" help:"The client's code."`
	Purpose string `arg:"" optional:"" help:"One purpose; without it all."`
}

// Help is shown under --help.
func (consentEvidenceCmd) Help() string {
	return "Example: gateway consent evidence C-0142 group_email --json"
}

// Run prints the entries of the ledger, with withdrawals.
func (k consentEvidenceCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		if _, err := s.client(ctx, k.Ref); err != nil {
			return err
		}
		rows, err := s.store.Consents(ctx, k.Ref)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r store.ConsentRow) bool { return k.Purpose != "" && r.Purpose != k.Purpose })
		if len(rows) == 0 {
			return &answerNo{fmt.Sprintf("nothing is recorded of %s %s", k.Ref, k.Purpose)}
		}
		return p.emit(rows, func(w io.Writer) {
			day := func(name string, t time.Time) {
				if !t.IsZero() {
					fmt.Fprintf(w, "%s\t%s\n", name, t.Format(time.DateOnly))
				}
			}
			for i, r := range rows {
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprintf(w, "client\t%s\npurpose\t%s\nwording\t%s\nhow\t%s\nrecorded by\t%s\n", r.Ref, r.Purpose, r.Wording, r.How, r.RecordedBy)
				if r.Evidence != "" {
					fmt.Fprintf(w, "evidence\t%s\n", r.Evidence)
				}
				day("given on", r.GivenOn)
				day("until", r.ExpiresOn)
				if r.Withdrawn {
					day("withdrawn on", r.WithdrawnOn)
					fmt.Fprintf(w, "withdrawn by\t%s\n", r.WithdrawnBy)
				}
			}
		})
	})
}

type consentRecordCmd struct {
	Ref      string `arg:"" help:"The client's code."`
	Purpose  string `arg:"" help:"A purpose of clients.yaml, parent_consent or competence_note."`
	How      string `required:"" help:"How it was given, as clients.yaml wants it for the purpose: form, session_note or call_note." placeholder:"HOW"`
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
		if _, err := s.client(ctx, k.Ref); err != nil {
			return err
		}
		if problem := s.wrongHow(row); problem != "" {
			return &answerNo{"--how " + problem}
		}
		rows := withExpiry([]store.ConsentRow{row}, s.snap)
		var rep store.Report
		if k.DryRun {
			rep, err = s.store.CheckConsents(ctx, rows, purposes(s.snap))
		} else {
			rep, err = s.store.ImportConsents(ctx, rows, purposes(s.snap), actor)
		}
		if ps, ok := errors.AsType[store.RowProblems](err); ok {
			return &answerNo{ps[0].Column + ": " + ps[0].Problem} // one consent has no row
		}
		if err != nil {
			return err
		}
		if len(rep.Confirm) > 0 {
			return &answerNo{rep.Confirm[0]}
		}
		if rep.Unchanged > 0 {
			return p.outcome(k.DryRun, "nothing to record: %s of %s, given %s, stands there already", row.Purpose, k.Ref, day(row.GivenOn))
		}
		what := "recorded"
		if k.DryRun {
			what = "would record"
		}
		return p.outcome(k.DryRun, "%s: %s %s", what, k.Ref, consentState(row.Purpose, rows[0].GivenOn, rows[0].ExpiresOn, false))
	})
}

// wrongHow says what is wrong with how a consent was given: clients.yaml says for each
// purpose what evidence it needs.
func (s session) wrongHow(row store.ConsentRow) string {
	want := []string{"form", "session_note", "call_note"}
	if r, ok := s.snap.Clients.Consents[row.Purpose]; ok && len(r.Evidence) > 0 {
		want = r.Evidence
	}
	if row.How == "" || slices.Contains(want, row.How) {
		return ""
	}
	return fmt.Sprintf("%q is not enough for %s, which needs %s", row.How, row.Purpose, oneOf(want))
}

// oneOf lists words as a sentence does: a, b or c.
func oneOf(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// checkConsents refuses rows whose evidence is not what clients.yaml asks for, or that name
// somebody whom people.yaml does not know.
func (s session) checkConsents(rows []store.ConsentRow) error {
	var wrong store.RowProblems
	for i, r := range rows {
		if problem := s.wrongHow(r); problem != "" {
			wrong = append(wrong, store.RowProblem{Row: i + 2, Column: "how", Problem: problem})
		}
		if _, known := s.snap.Sender(r.RecordedBy); r.RecordedBy != "" && !known {
			wrong = append(wrong, store.RowProblem{Row: i + 2, Column: "recorded_by", Problem: fmt.Sprintf("%q is not an id of people.yaml", r.RecordedBy)})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
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
		if _, err := s.client(ctx, k.Ref); err != nil {
			return err
		}
		// A misspelled purpose would leave the real consent in force.
		known := append(s.snap.Clients.Purposes(), store.ParentConsent, store.CompetenceNote)
		if !slices.Contains(known, k.Purpose) {
			text := fmt.Sprintf("%q is not a purpose; it has to be one of %s", k.Purpose, strings.Join(known, ", "))
			if near := policy.Nearest(k.Purpose, known); near != "" {
				text = fmt.Sprintf("%q is not a purpose; did you mean %q?", k.Purpose, near)
			}
			return &answerNo{text}
		}
		if k.DryRun {
			return p.outcome(true, "would withdraw %s of %s", k.Purpose, k.Ref)
		}
		if err := s.store.WithdrawConsent(ctx, k.Ref, k.Purpose, actor); err != nil {
			return err
		}
		return p.outcome(false, "withdrawn: %s of %s", k.Purpose, k.Ref)
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
		if err := s.checkConsents(rows); err != nil {
			return inFile(k.File, err)
		}
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
