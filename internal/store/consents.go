package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
)

// Purposes a ledger knows whatever the policies say.
const (
	ParentConsent  = "parent_consent"
	CompetenceNote = "competence_note"
)

// Purpose is something that consent can be given for.
type Purpose struct {
	Wording string // the version in force, recorded where a row names none
	Months  int    // how long a consent lasts where a row does not say; 0: it does not expire
}

// Purposes are what consent can be given for; the policies say them.
type Purposes map[string]Purpose

func (p Purposes) has(purpose string) bool {
	_, ok := p[purpose]
	return ok || purpose == ParentConsent || purpose == CompetenceNote
}

// ConsentRow is one grant as recorded: who, for what, when, how, in which words.
type ConsentRow struct {
	ID         string    `json:"id,omitempty"`
	Ref        string    `json:"ref"`
	Purpose    string    `json:"purpose"`
	GivenOn    time.Time `json:"given_on"`
	How        string    `json:"how"`
	RecordedBy string    `json:"recorded_by"`
	Evidence   string    `json:"evidence,omitempty"`
	ExpiresOn  time.Time `json:"expires_on,omitzero"`
	Wording    string    `json:"wording"`
	// Withdrawn is set in listings when a later entry withdrew it.
	Withdrawn   bool      `json:"withdrawn,omitempty"`
	WithdrawnOn time.Time `json:"withdrawn_on,omitzero"`
	WithdrawnBy string    `json:"withdrawn_by,omitempty"`

	row int // in the file; 0: not from a file
}

// entry is one line of the ledger, as sealed: a grant, or the withdrawal of all earlier
// grants for a purpose. Nothing in the ledger is ever changed.
type entry struct {
	Grant    *ConsentRow `json:"grant,omitempty"`
	Withdraw *withdrawal `json:"withdraw,omitempty"`
}

type withdrawal struct {
	Purpose string    `json:"purpose"`
	On      time.Time `json:"on"`
	By      string    `json:"by"`
}

func consentAAD(ref, id string) []byte { return aad(ref+"\x00"+id, "consent", 0, 0, true) }

func (k *keyring) openEntry(ref, id string, sealed []byte) (e entry, err error) {
	b, err := k.register.Open(nil, nil, sealed, consentAAD(ref, id))
	if err != nil || json.Unmarshal(b, &e) != nil {
		return e, errDamaged
	}
	return e, nil
}

// ledger reads entries by client, oldest first.
func (s *Store) ledger(ctx context.Context, query string, args []any) (map[string][]entry, error) {
	out := make(map[string][]entry)
	err := s.each(ctx, query, args, func(rows *sql.Rows) error {
		ref, e, err := s.scanEntry(rows)
		out[ref] = append(out[ref], e)
		return err
	})
	return out, err
}

func (s *Store) scanEntry(rows *sql.Rows) (ref string, e entry, err error) {
	var id string
	var sealed []byte
	if err := rows.Scan(&ref, &id, &sealed); err != nil {
		return ref, e, unavailable(err)
	}
	if e, err = s.keys.openEntry(ref, id, sealed); err != nil {
		// A ledger with a hole could hide a withdrawal: the whole look-up fails.
		return ref, e, unavailable(fmt.Errorf("consent %s: %w", id, err))
	}
	return ref, e, nil
}

// fold marks what later withdrawals withdrew.
func fold(entries []entry) []ConsentRow {
	var out []ConsentRow
	for _, e := range entries {
		switch {
		case e.Grant != nil:
			out = append(out, *e.Grant)
		case e.Withdraw != nil:
			for i := range out {
				if g := &out[i]; g.Purpose == e.Withdraw.Purpose && !g.Withdrawn {
					g.Withdrawn, g.WithdrawnOn, g.WithdrawnBy = true, e.Withdraw.On, e.Withdraw.By
				}
			}
		}
	}
	return out
}

func foldConsents(entries []entry) []filter.Consent {
	var out []filter.Consent
	for _, c := range fold(entries) {
		out = append(out, filter.Consent{Purpose: c.Purpose, GivenOn: c.GivenOn, ExpiresOn: c.ExpiresOn, Withdrawn: c.Withdrawn})
	}
	return out
}

// Consents lists a client's consents, oldest first, withdrawn ones too; ref "" lists all.
func (s *Store) Consents(ctx context.Context, ref string) ([]ConsentRow, error) {
	query, args := `SELECT ref, id, sealed FROM consents ORDER BY ref, seq`, []any(nil)
	if ref != "" {
		if _, err := s.Client(ctx, ref); err != nil {
			return nil, err
		}
		query, args = `SELECT ref, id, sealed FROM consents WHERE ref = $1 ORDER BY seq`, []any{ref}
	}
	by, err := s.ledger(ctx, query, args)
	if err != nil {
		return nil, err
	}
	var out []ConsentRow
	for _, ref := range sortedKeys(by) {
		out = append(out, fold(by[ref])...)
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// ImportConsents adds grants, all or none; Problems come as RowProblems. A grant that is not
// newer than a withdrawal of the same purpose is not made but listed to confirm, and one
// that is there already is left alone.
func (s *Store) ImportConsents(ctx context.Context, rows []ConsentRow, purposes Purposes, actor string) (Report, error) {
	return s.importConsents(ctx, rows, purposes, actor, false)
}

// CheckConsents says what ImportConsents would do, and changes nothing.
func (s *Store) CheckConsents(ctx context.Context, rows []ConsentRow, purposes Purposes) (Report, error) {
	return s.importConsents(ctx, rows, purposes, "", true)
}

// RecordConsent adds one grant.
func (s *Store) RecordConsent(ctx context.Context, row ConsentRow, purposes Purposes, actor string) error {
	rep, err := s.ImportConsents(ctx, []ConsentRow{row}, purposes, actor)
	if problems, ok := errors.AsType[RowProblems](err); ok {
		return fault.New(fault.Invalid, problems[0].Column+": "+problems[0].Problem)
	}
	if err == nil && len(rep.Confirm) > 0 {
		return fault.New(fault.Conflict, rep.Confirm[0])
	}
	return err
}

func (s *Store) importConsents(ctx context.Context, rows []ConsentRow, purposes Purposes, actor string, dry bool) (Report, error) {
	var rep Report
	err := s.do(ctx, func(t *tx) error {
		rep = Report{}
		var problems RowProblems
		for i, row := range rows {
			if p := checkConsent(&row, purposes, t.at); len(p) > 0 {
				for _, q := range p {
					q.Row = rowOf(row.row, i)
					problems = append(problems, q)
				}
				continue
			}
			problem, err := t.putConsent(row, purposes, &rep)
			if err != nil {
				return err
			}
			if problem != nil {
				problem.Row = rowOf(row.row, i)
				problems = append(problems, *problem)
			}
		}
		if len(problems) > 0 {
			return problems.fault()
		}
		slices.Sort(rep.Notes)
		rep.Notes = slices.Compact(rep.Notes)
		if dry {
			return errDry
		}
		return t.registerChanged("consents_imported", actor, map[string]string{"added": itoa(rep.Added), "confirm": itoa(len(rep.Confirm))})
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	return rep, err
}

// checkConsent refuses what could not be shown later as a consent: who, when, how, in which
// words (GDPR article 7; B60).
func checkConsent(c *ConsentRow, purposes Purposes, now time.Time) (out RowProblems) {
	add := func(column, problem string) {
		out = append(out, RowProblem{Column: column, Problem: problem})
	}
	if c.Ref == "" {
		add("ref", "is empty")
	}
	if !purposes.has(c.Purpose) {
		known := append(sortedKeys(purposes), ParentConsent, CompetenceNote)
		add("purpose", fmt.Sprintf("%q is not a purpose of clients.yaml; it has %s", c.Purpose, strings.Join(known, ", ")))
	}
	switch {
	case c.GivenOn.IsZero():
		add("given_on", "is empty: a consent without its date proves nothing")
	case c.GivenOn.After(now):
		add("given_on", "is in the future")
	}
	if c.How == "" {
		add("how", "is empty: say how it was given, for example form, session_note or call_note")
	}
	if c.RecordedBy == "" {
		add("recorded_by", "is empty: say who recorded it")
	}
	if !c.ExpiresOn.IsZero() && !c.ExpiresOn.After(c.GivenOn) {
		add("expires_on", "is not after given_on")
	}
	return out
}

// complete fills in what the policies say where a row does not, and reports whether the
// wording was missing.
func (c *ConsentRow) complete(purposes Purposes) (noWording bool) {
	p := purposes[c.Purpose]
	if c.ExpiresOn.IsZero() && p.Months > 0 {
		c.ExpiresOn = c.GivenOn.AddDate(0, p.Months, 0)
	}
	if noWording = c.Wording == ""; noWording {
		c.Wording = p.Wording
	}
	return noWording
}

func (t *tx) putConsent(row ConsentRow, purposes Purposes, rep *Report) (*RowProblem, error) {
	var there int
	if err := t.queryRow(`SELECT count(*) FROM clients WHERE ref = $1`, []any{row.Ref}, &there); err != nil {
		return nil, err
	}
	if there == 0 {
		return &RowProblem{Column: "ref", Problem: row.Ref + " is not in the register"}, nil
	}
	if row.complete(purposes) {
		if row.Wording != "" {
			rep.Notes = append(rep.Notes, fmt.Sprintf("%s: no wording was given for %s, so %s of clients.yaml is recorded", row.Ref, row.Purpose, row.Wording))
		}
	}
	if row.Wording == "" && purposes.has(row.Purpose) && row.Purpose != ParentConsent && row.Purpose != CompetenceNote {
		return &RowProblem{Column: "wording", Problem: "is empty, and clients.yaml names none for " + row.Purpose}, nil
	}
	var entries []entry
	if err := t.query(`SELECT ref, id, sealed FROM consents WHERE ref = $1 ORDER BY seq`, []any{row.Ref}, func(rows *sql.Rows) error {
		_, e, err := t.s.scanEntry(rows)
		entries = append(entries, e)
		return err
	}); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if g := e.Grant; g != nil && sameGrant(*g, row) {
			rep.Unchanged++
			return nil, nil
		}
	}
	for _, e := range entries {
		if w := e.Withdraw; w != nil && w.Purpose == row.Purpose && !row.GivenOn.After(w.On) {
			rep.Confirm = append(rep.Confirm, fmt.Sprintf("%s withdrew %s on %s, after this consent of %s: not recorded; ask again and record the new answer",
				row.Ref, row.Purpose, w.On.Format(time.DateOnly), row.GivenOn.Format(time.DateOnly)))
			return nil, nil
		}
	}
	rep.Added++
	return nil, t.addEntry(row.Ref, entry{Grant: &row})
}

func sameGrant(a, b ConsentRow) bool {
	return a.Purpose == b.Purpose && a.GivenOn.Equal(b.GivenOn) && a.How == b.How && a.RecordedBy == b.RecordedBy &&
		a.Evidence == b.Evidence && a.ExpiresOn.Equal(b.ExpiresOn) && a.Wording == b.Wording
}

func (t *tx) addEntry(ref string, e entry) error {
	id, err := t.newID()
	if err != nil {
		return err
	}
	if e.Grant != nil {
		e.Grant.ID = id
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO consents (id, ref, sealed) VALUES ($1,$2,$3)`, id, ref, t.s.keys.register.Seal(nil, nil, b, consentAAD(ref, id)))
	return err
}

// WithdrawConsent withdraws every consent of a client for a purpose, from now on. It is
// recorded even when there was none: a later file with an older grant must not undo it.
func (s *Store) WithdrawConsent(ctx context.Context, ref, purpose, actor string) error {
	return s.do(ctx, func(t *tx) error {
		var there int
		if err := t.queryRow(`SELECT count(*) FROM clients WHERE ref = $1`, []any{ref}, &there); err != nil {
			return err
		}
		if there == 0 {
			return notFound("client")
		}
		if err := t.addEntry(ref, entry{Withdraw: &withdrawal{Purpose: purpose, On: t.at.UTC(), By: actor}}); err != nil {
			return err
		}
		return t.registerChanged("consent_withdrawn", actor, map[string]string{"client": ref, "purpose": purpose})
	})
}
