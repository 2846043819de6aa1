package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// ClientRow is a client as the register keeps it: what rules look at, and the rest.
type ClientRow struct {
	filter.Client
	Words          string    `json:"-"` // opens locked documents; empty in every listing, see Words
	Channels       []string  `json:"channels,omitempty"`
	SafeHours      string    `json:"safe_hours,omitempty"`
	SharedDevice   bool      `json:"shared_device,omitempty"`
	SharedInbox    bool      `json:"shared_inbox,omitempty"`
	UnsafeSince    time.Time `json:"unsafe_since,omitzero"`
	CheckAgainOn   time.Time `json:"check_again_on,omitzero"`
	RiskAssessedOn time.Time `json:"risk_assessed_on,omitzero"`
	SameService    []string  `json:"same_service,omitempty"`

	// columns are the ones that the file had: an import changes no other. Empty: all.
	columns []string
	row     int // in the file; 0: not from a file
}

// storedClient is a client as sealed.
type storedClient struct {
	ClientRow
	Words string `json:"words,omitempty"`
}

// Report says what an import did, or would do. Notes and Confirm speak of people by code only.
type Report struct {
	Added     int      `json:"added"`
	Changed   int      `json:"changed"`
	Unchanged int      `json:"unchanged"`
	Notes     []string `json:"notes,omitempty"`   // done, and worth a look
	Confirm   []string `json:"confirm,omitempty"` // not done: a person has to confirm it
}

const registerVersion = `INSERT INTO meta (name, value) VALUES ('register-version', x'30')
	ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(CAST(value AS TEXT) AS INTEGER) + 1 AS BLOB)`

// nextVersion is the version that the transaction makes: see registerChanged.
const (
	thisVersion = `coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM meta WHERE name = 'register-version'), -1)`
	nextVersion = thisVersion + ` + 1`
)

func clientAAD(ref string) []byte { return aad(ref, "client", 0, 0, true) }

func (s *Store) openClient(ref string, sealed []byte) (c storedClient, err error) {
	b, err := s.keys.register.Open(nil, nil, sealed, clientAAD(ref))
	if err != nil || json.Unmarshal(b, &c) != nil || c.Ref != ref {
		return c, errDamaged
	}
	return c, nil
}

func (s *Store) mailboxMAC(a mail.Address) string { return mac(s.keys.lookup, "mailbox", a.Key()) }

// lookups are the HMACs under which a client is found.
func (s *Store) lookups(c *filter.Client) []string {
	var out []string
	for _, a := range c.Email {
		out = append(out, s.mailboxMAC(a))
	}
	for _, m := range c.Mobile {
		out = append(out, mac(s.keys.lookup, "mobile", m))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Clients lists the register by code, with consents.
func (s *Store) Clients(ctx context.Context) ([]ClientRow, error) {
	return s.clients(ctx, `SELECT ref, sealed FROM clients ORDER BY ref`, nil,
		`SELECT ref, id, sealed FROM consents ORDER BY seq`)
}

// Client returns one client with consents.
func (s *Store) Client(ctx context.Context, ref string) (ClientRow, error) {
	rows, err := s.clients(ctx, `SELECT ref, sealed FROM clients WHERE ref = $1`, []any{ref},
		`SELECT ref, id, sealed FROM consents WHERE ref = $1 ORDER BY seq`)
	if err == nil && len(rows) == 0 {
		err = notFound("client")
	}
	if err != nil {
		return ClientRow{}, err
	}
	return rows[0], nil
}

func (s *Store) clients(ctx context.Context, query string, args []any, ledger string) ([]ClientRow, error) {
	var out []ClientRow
	if err := s.each(ctx, query, args, func(rows *sql.Rows) error {
		var ref string
		var sealed []byte
		if err := rows.Scan(&ref, &sealed); err != nil {
			return unavailable(err)
		}
		c, err := s.openClient(ref, sealed)
		if err != nil {
			return unavailable(fmt.Errorf("client %s: %w", ref, err))
		}
		out = append(out, c.ClientRow)
		return nil
	}); err != nil {
		return nil, err
	}
	entries, err := s.ledger(ctx, ledger, args)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Consents = foldConsents(entries[out[i].Ref])
	}
	return out, nil
}

// Words returns the phrase that opens a client's locked documents; empty when none is agreed.
func (s *Store) Words(ctx context.Context, ref string) (string, error) {
	var sealed []byte
	err := s.queryRow(ctx, `SELECT sealed FROM clients WHERE ref = $1`, []any{ref}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", notFound("client")
	}
	if err != nil {
		return "", err
	}
	c, err := s.openClient(ref, sealed)
	return c.Words, unavailable(err)
}

// SetWords gives a client the phrase that opens locked documents from now on; the old one is
// forgotten. The audit says that it was done, and by whom.
func (s *Store) SetWords(ctx context.Context, ref, words, actor string) error {
	return s.do(ctx, func(t *tx) error {
		var sealed []byte
		err := t.queryRow(`SELECT sealed FROM clients WHERE ref = $1`, []any{ref}, &sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("client")
		}
		if err != nil {
			return err
		}
		c, err := s.openClient(ref, sealed)
		if err != nil {
			return unavailable(fmt.Errorf("client %s: %w", ref, err))
		}
		kind := "words_agreed"
		if c.Words != "" {
			kind = "words_replaced"
		}
		c.Words = words
		b, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE clients SET sealed = $2 WHERE ref = $1`, ref, s.keys.register.Seal(nil, nil, b, clientAAD(ref))); err != nil {
			return err
		}
		return t.audit("", Event{Kind: kind, Actor: actor, Data: map[string]string{"client": ref}})
	})
}

// errDry undoes a change that was only tried.
var errDry = errors.New("dry run")

// ImportClients adds and changes clients, all or none. Only the columns that the file had
// are changed. Problems come as RowProblems.
func (s *Store) ImportClients(ctx context.Context, rows []ClientRow, actor string) (Report, error) {
	return s.importClients(ctx, rows, actor, false)
}

// CheckClients says what ImportClients would do, and changes nothing.
func (s *Store) CheckClients(ctx context.Context, rows []ClientRow) (Report, error) {
	return s.importClients(ctx, rows, "", true)
}

func (s *Store) importClients(ctx context.Context, rows []ClientRow, actor string, dry bool) (Report, error) {
	var rep Report
	err := s.do(ctx, func(t *tx) error {
		rep = Report{}
		var problems RowProblems
		seen := make(map[string]bool, len(rows))
		for i := range rows {
			row := &rows[i]
			if seen[row.Ref] {
				problems = append(problems, RowProblem{Row: rowOf(row.row, i), Column: "ref", Problem: row.Ref + " is there twice"})
				continue
			}
			seen[row.Ref] = true
			problem, err := t.putClient(row, &rep)
			if err != nil {
				return err
			}
			if problem != "" {
				problems = append(problems, RowProblem{Row: rowOf(row.row, i), Column: "ref", Problem: problem})
			}
		}
		if len(problems) > 0 {
			return problems.fault()
		}
		if err := t.noteShared(&rep, seen); err != nil {
			return err
		}
		if dry {
			return errDry
		}
		return t.registerChanged("clients_imported", actor, map[string]string{
			"added": itoa(rep.Added), "changed": itoa(rep.Changed), "unchanged": itoa(rep.Unchanged)})
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	return rep, err
}

func (t *tx) registerChanged(kind, actor string, data map[string]string) error {
	if _, err := t.exec(registerVersion); err != nil {
		return err
	}
	return t.audit("", Event{Kind: kind, Actor: actor, Data: data})
}

// putClient writes one client; problem says why it may not be.
func (t *tx) putClient(row *ClientRow, rep *Report) (problem string, err error) {
	if row.Ref == "" {
		return "is empty", nil
	}
	var gone int
	if err := t.queryRow(`SELECT count(*) FROM erased WHERE id = $1`, []any{t.s.tombstone(row.Ref)}, &gone); err != nil {
		return "", err
	}
	if gone > 0 {
		return row.Ref + " was erased: a code is never given to somebody else, use a new one", nil
	}
	next := storedClient{ClientRow: *row, Words: row.Words}
	var sealed []byte
	err = t.queryRow(`SELECT sealed FROM clients WHERE ref = $1`, []any{row.Ref}, &sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		rep.Added++
	case err != nil:
		return "", err
	default:
		old, err := t.s.openClient(row.Ref, sealed)
		if err != nil {
			return "", err
		}
		next = mergeClient(old, row)
		a, err := json.Marshal(old)
		if err != nil {
			return "", err
		}
		b, err := json.Marshal(next)
		if err != nil {
			return "", err
		}
		if string(a) == string(b) {
			rep.Unchanged++
			return "", nil
		}
		rep.Changed++
	}
	next.Consents = nil // the ledger has them
	b, err := json.Marshal(next)
	if err != nil {
		return "", err
	}
	if _, err := t.exec(`INSERT INTO clients (ref, sealed, id, changed)
		VALUES ($1, $2, 1 + max(coalesce((SELECT max(id) FROM clients), 0), coalesce((SELECT max(client) FROM erased), 0)), `+nextVersion+`)
		ON CONFLICT (ref) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed`,
		row.Ref, t.s.keys.register.Seal(nil, nil, b, clientAAD(row.Ref))); err != nil {
		return "", err
	}
	return "", t.putLookups(row.Ref, t.s.lookups(&next.Client))
}

// putLookups replaces the look-ups of a client. What a mailbox saw that is nobody's any more
// has to be forgotten now: once the look-up is gone, erasing the client would not find it.
func (t *tx) putLookups(ref string, macs []string) error {
	var old []string
	if err := t.query(`SELECT mac FROM lookups WHERE ref = $1`, []any{ref}, func(rows *sql.Rows) error {
		var m string
		err := rows.Scan(&m)
		old = append(old, m)
		return err
	}); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM lookups WHERE ref = $1`, ref); err != nil {
		return err
	}
	for _, m := range macs {
		if _, err := t.exec(`INSERT INTO lookups (mac, ref) VALUES ($1,$2)`, m, ref); err != nil {
			return err
		}
	}
	for _, m := range old {
		if slices.Contains(macs, m) {
			continue
		}
		if err := t.eraseThreads(`SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM lookups WHERE mac = $1)`, m); err != nil {
			return err
		}
	}
	return nil
}

// mergeClient changes the columns that the file had. An empty phrase in a file keeps the old
// one, because exports never hold it.
func mergeClient(old storedClient, row *ClientRow) storedClient {
	next := storedClient{ClientRow: *row, Words: row.Words}
	if len(row.columns) > 0 {
		next = old
		for _, name := range row.columns {
			clientColumns[name].copy(&next.ClientRow, row)
		}
		next.Words = row.Words
	}
	if next.Words == "" {
		next.Words = old.Words
	}
	next.ClientRow.Words, next.Consents = "", nil
	return next
}

// noteShared flags mailboxes and numbers that belong to more than one client (B56, B57).
func (t *tx) noteShared(rep *Report, imported map[string]bool) error {
	by := make(map[string][]string)
	if err := t.query(`SELECT mac, ref FROM lookups WHERE mac IN (SELECT mac FROM lookups GROUP BY mac HAVING count(*) > 1) ORDER BY mac, ref`,
		nil, func(rows *sql.Rows) error {
			var m, ref string
			err := rows.Scan(&m, &ref)
			by[m] = append(by[m], ref)
			return err
		}); err != nil {
		return err
	}
	for _, refs := range by {
		if slices.ContainsFunc(refs, func(r string) bool { return imported[r] }) {
			rep.Notes = append(rep.Notes, strings.Join(refs, ", ")+" share a mailbox or a number: check that this is meant")
		}
	}
	slices.Sort(rep.Notes)
	rep.Notes = slices.Compact(rep.Notes)
	return nil
}

// tombstone is what stays of an erased client: a pseudonym that only the master key can
// link to a code, so that an old file cannot bring the person back unseen.
func (s *Store) tombstone(ref string) string { return mac(s.keys.lookup, "erased", ref) }

// EraseClient removes a client, consents and look-ups for good, and empties the write-ahead
// log so that no older copy stays in any file of the database. reason is a code for the audit.
func (s *Store) EraseClient(ctx context.Context, ref, actor, reason string) error {
	if err := s.do(ctx, func(t *tx) error {
		if err := t.eraseThreads(`SELECT mac FROM lookups WHERE ref = $1`, ref); err != nil {
			return err
		}
		if err := t.eraseFacts(`SELECT mac FROM lookups WHERE ref = $1`, ref); err != nil {
			return err
		}
		id := t.s.tombstone(ref)
		r, err := t.exec(`INSERT INTO erased (id, at, client, changed) SELECT $1, $2, id, `+nextVersion+` FROM clients WHERE ref = $3`, id, nanos(t.at), ref)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, notFound("client"))
		}
		if _, err := t.exec(`DELETE FROM clients WHERE ref = $1`, ref); err != nil { // consents and lookups go with it
			return err
		}
		return t.registerChanged("client_erased", actor, map[string]string{"tombstone": id, "reason": reason})
	}); err != nil {
		return err
	}
	return s.Checkpoint(ctx)
}

// Resolve looks up everybody on the envelope, and every id that the message's chain names (m
// may be nil), in one batch. A recipient whose register row cannot be read is Unavailable;
// when the register itself cannot be, Resolve fails.
func (s *Store) Resolve(ctx context.Context, e *mail.Envelope, m *mail.Message, need filter.Need) (*filter.Facts, error) {
	facts := &filter.Facts{At: s.now(), Recipients: make([]filter.RecipientFacts, len(e.Recipients))}
	macs := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		macs[i] = s.mailboxMAC(r.Address)
	}
	list, err := json.Marshal(macs)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]filter.Client)
	damaged := make(map[string]bool)
	refs := make(map[string]bool)
	if err := s.each(ctx, `SELECT l.mac, c.ref, c.sealed, k.sealed FROM lookups l JOIN clients c ON c.ref = l.ref LEFT JOIN client_keys k ON k.ref = c.ref
		WHERE l.mac IN (SELECT value FROM json_each($1)) ORDER BY c.ref`, []any{string(list)}, func(rows *sql.Rows) error {
		var m, ref string
		var sealed, key []byte
		if err := rows.Scan(&m, &ref, &sealed, &key); err != nil {
			return unavailable(err)
		}
		c, err := s.openClient(ref, sealed)
		if err == nil {
			err = s.withKey(&c.Client, key, facts.At)
		}
		if err != nil {
			damaged[m] = true
			return nil
		}
		refs[ref] = true
		c.HasWords = c.Words != ""
		found[m] = append(found[m], c.Client)
		return nil
	}); err != nil {
		return nil, err
	}
	var ledger map[string][]entry
	if need&filter.NeedConsents != 0 && len(refs) > 0 {
		b, err := json.Marshal(slices.Sorted(maps.Keys(refs)))
		if err != nil {
			return nil, err
		}
		if ledger, err = s.ledger(ctx, `SELECT ref, id, sealed FROM consents WHERE ref IN (SELECT value FROM json_each($1)) ORDER BY seq`, []any{string(b)}); err != nil {
			return nil, err
		}
	}
	if facts.Thread, err = s.resolveThread(ctx, filter.Chain(m), macs); err != nil {
		return nil, err
	}
	for i, m := range macs {
		clients := slices.Clone(found[m])
		for k := range clients {
			clients[k].Consents = foldConsents(ledger[clients[k].Ref])
		}
		facts.Recipients[i].Clients = clientsFact(clients, damaged[m])
	}
	return facts, nil
}

func clientsFact(clients []filter.Client, damaged bool) filter.Fact[[]filter.Client] {
	switch {
	case damaged:
		return filter.Fact[[]filter.Client]{State: filter.Unavailable}
	case len(clients) == 0:
		return filter.Fact[[]filter.Client]{State: filter.Absent}
	}
	return filter.Known(clients)
}

// Watch returns the compiled register for the leak check. When the register has changed, by
// this process or another, what changed is read and compiled, and nothing else.
func (s *Store) Watch(ctx context.Context) (*filter.Watch, error) {
	var version int64
	if err := s.queryRow(ctx, `SELECT `+thisVersion, nil, &version); err != nil {
		return nil, err
	}
	s.watch.Lock()
	defer s.watch.Unlock()
	w := &s.watch
	if w.watch != nil && w.version == version {
		return w.watch, nil
	}
	if w.watch == nil || w.version > version {
		refs := make(map[int64]string)
		all, err := s.changedClients(ctx, refs, `SELECT id, ref, sealed FROM clients`)
		if err != nil {
			return nil, err
		}
		w.watch, w.version, w.refs = filter.NewWatch(all), version, refs
		return w.watch, nil
	}
	// What is written between these reads is of a later version, and is read once more then.
	var gone []string
	if err := s.each(ctx, `SELECT client FROM erased WHERE changed > $1`, []any{w.version}, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return unavailable(err)
		}
		if ref, ok := w.refs[id]; ok {
			gone = append(gone, ref)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	changed, err := s.changedClients(ctx, w.refs, `SELECT id, ref, sealed FROM clients WHERE changed > $1`, w.version)
	if err != nil {
		return nil, err
	}
	w.watch, w.version = w.watch.Update(changed, gone), version
	return w.watch, nil
}

// changedClients reads clients without their consents, and notes whose each row is.
func (s *Store) changedClients(ctx context.Context, refs map[int64]string, query string, args ...any) ([]filter.Client, error) {
	var out []filter.Client
	err := s.each(ctx, query, args, func(rows *sql.Rows) error {
		var id int64
		var ref string
		var sealed []byte
		if err := rows.Scan(&id, &ref, &sealed); err != nil {
			return unavailable(err)
		}
		c, err := s.openClient(ref, sealed)
		if err != nil {
			return unavailable(fmt.Errorf("client %s: %w", ref, err))
		}
		refs[id] = ref
		out = append(out, c.Client)
		return nil
	})
	return out, err
}

// FilterClients returns what rules may look at.
func FilterClients(rows []ClientRow) []filter.Client {
	out := make([]filter.Client, len(rows))
	for i := range rows {
		out[i] = rows[i].Client
		out[i].HasWords = rows[i].Words != ""
	}
	return out
}

// rowOf is a row's number for people: in the file, or counted as if there were one.
func rowOf(row, index int) int {
	if row > 0 {
		return row
	}
	return index + 2
}

// fault keeps the kind of an import's problems: the file has to be changed.
func (p RowProblems) fault() error { return fault.Wrap(fault.Invalid, "", p) }
