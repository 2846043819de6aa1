package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// Facts is what is kept of a message after its content has gone, to ask other rules about it.
type Facts struct {
	Record   []byte // sealed
	Observed bool   // a rule that only observes had something to say
	Who      []mail.Address
}

// Recorded is a message of the past with its facts.
type Recorded struct {
	Message Message
	Record  []byte // nil: none were kept
	Held    bool   // something of it is held now
	Damaged bool   // they cannot be read
}

// sealedFacts is a row, ready to be inserted.
type sealedFacts struct {
	who    string
	sealed []byte
}

// factsAAD binds facts to their message.
func factsAAD(id mail.ID) []byte { return aad(string(id), "facts", 0, 0, true) }

// sealFacts seals, in the caller's goroutine.
func (s *Store) sealFacts(id mail.ID, f *Facts) (*sealedFacts, error) {
	if f == nil {
		return nil, nil
	}
	macs := make([]string, len(f.Who))
	for i, a := range f.Who {
		macs[i] = s.mailboxMAC(a)
	}
	who, err := json.Marshal(macs)
	if err != nil {
		return nil, err
	}
	return &sealedFacts{string(who), s.keys.facts.Seal(nil, nil, f.Record, factsAAD(id))}, nil
}

func (t *tx) insertFacts(m *Message, f *Facts, sealed *sealedFacts) error {
	if sealed == nil {
		return nil
	}
	_, err := t.exec(`INSERT INTO facts (message, at, observed, who, sealed) VALUES ($1,$2,$3,$4,$5)`,
		string(m.ID), nanos(m.ReceivedAt), f.Observed, sealed.who, sealed.sealed)
	return err
}

// Pseudonym stands for a mailbox or a domain in facts.
func (s *Store) Pseudonym(text string) string { return mac(s.keys.lookup, "fact", text) }

// recordedPage is how many messages are read at once.
const recordedPage = 200

// Recorded calls do for every email that came in from since until before until, oldest first.
func (s *Store) Recorded(ctx context.Context, since, until time.Time, do func(Recorded) error) error {
	return s.recorded(ctx, `SELECT m.id, m.received_at, m.submitter, m.policy, m.outcome, f.sealed,
		EXISTS (SELECT 1 FROM jobs j WHERE j.message = m.id AND j.state = 'held')
		FROM messages m LEFT JOIN facts f ON f.message = m.id
		WHERE m.kind = 'mail' AND m.id > $1 AND m.received_at >= $2 AND m.received_at < $3 ORDER BY m.id LIMIT $4`, since, until, do)
}

// Observed calls do for those of them about which an observing rule had something to say.
func (s *Store) Observed(ctx context.Context, since, until time.Time, do func(Recorded) error) error {
	return s.recorded(ctx, `SELECT m.id, m.received_at, m.submitter, m.policy, m.outcome, f.sealed, 0
		FROM facts f JOIN messages m ON m.id = f.message
		WHERE f.observed AND m.id > $1 AND f.at >= $2 AND f.at < $3 ORDER BY m.id LIMIT $4`, since, until, do)
}

func (s *Store) recorded(ctx context.Context, query string, since, until time.Time, do func(Recorded) error) error {
	var last mail.ID
	for {
		var page []Recorded
		if err := s.each(ctx, query, []any{string(last), nanos(since), nanos(until), recordedPage}, func(rows *sql.Rows) error {
			var r Recorded
			var at int64
			var sealed []byte
			if err := rows.Scan(&r.Message.ID, &at, &r.Message.Submitter, &r.Message.Policy, &r.Message.Outcome, &sealed, &r.Held); err != nil {
				return unavailable(err)
			}
			r.Message.Kind, r.Message.ReceivedAt = KindMail, when(at)
			if sealed != nil {
				var err error
				r.Record, err = s.keys.facts.Open(nil, nil, sealed, factsAAD(r.Message.ID))
				r.Damaged = err != nil
			}
			page = append(page, r)
			return nil
		}); err != nil {
			return err
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return err
			}
		}
		if len(page) < recordedPage {
			return nil
		}
		last = page[len(page)-1].Message.ID
	}
}

// ForgetFacts removes what is older, marks too: a mark is younger than the facts of its day, so
// that there is nothing left of them when it goes.
func (s *Store) ForgetFacts(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		var gone int64
		err := s.do(ctx, func(t *tx) error {
			r, err := t.exec(`DELETE FROM facts WHERE message IN (SELECT message FROM facts WHERE at < $1 ORDER BY at LIMIT $2)`, nanos(before), sweepBatch)
			if err != nil {
				return err
			}
			gone, err = r.RowsAffected()
			return err
		})
		n += gone
		if err != nil || gone < sweepBatch {
			return n, errors.Join(err, s.do(ctx, func(t *tx) error {
				_, err := t.exec(`DELETE FROM marks WHERE at < $1`, nanos(before))
				return err
			}))
		}
	}
}

// eraseFacts removes what was kept about mail to the mailboxes that a query selects.
func (t *tx) eraseFacts(mailboxes, arg string) error {
	_, err := t.exec(`DELETE FROM facts WHERE EXISTS (SELECT 1 FROM json_each(facts.who) WHERE value IN (`+mailboxes+`))`, arg)
	return err
}

// Once commits what is in accept together with a mark of that name, unless somebody was first:
// then nothing is committed and first is false. Without an acceptance only the mark is made.
func (s *Store) Once(ctx context.Context, mark string, accept ...Acceptance) (first bool, err error) {
	all, err := s.prepare(ctx, accept...)
	if err != nil {
		return false, err
	}
	err = s.do(ctx, func(t *tx) error {
		first = false
		r, err := t.exec(`INSERT INTO marks (name, at) VALUES ($1,$2) ON CONFLICT DO NOTHING`, mark, nanos(t.at))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		first = true
		return t.insertAll(all)
	})
	if err != nil || !first {
		s.unstage(all)
	}
	return first && err == nil, err
}

// Marked reports whether there is a mark of that name, and when it was made.
func (s *Store) Marked(ctx context.Context, mark string) (at time.Time, err error) {
	var n int64
	err = s.queryRow(ctx, `SELECT coalesce(max(at), 0) FROM marks WHERE name = $1`, []any{mark}, &n)
	if err != nil {
		return at, fmt.Errorf("store: mark: %w", err)
	}
	return when(n), nil
}
