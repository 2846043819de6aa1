package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// sweepBatch is how many messages are shredded in one transaction.
const sweepBatch = 200

// Sweep shreds what was finished before that moment: the message's key, its content, its
// envelope and its addresses. Rows with ids, states and codes stay, and so does the audit.
func (s *Store) Sweep(ctx context.Context, before time.Time) (n int, err error) {
	for {
		shredded := 0
		err := s.do(ctx, func(t *tx) error {
			shredded = 0
			var ids []mail.ID
			if err := t.query(`SELECT m.id FROM messages m WHERE m.dek IS NOT NULL AND m.received_at < $1 AND NOT EXISTS
				(SELECT 1 FROM jobs j WHERE j.message = m.id AND (j.state IN ('queued','held','sending','in_doubt') OR j.finished_at >= $1))
				ORDER BY m.received_at LIMIT $2`, []any{nanos(before), sweepBatch}, func(rows *sql.Rows) error {
				var id mail.ID
				err := rows.Scan(&id)
				ids = append(ids, id)
				return err
			}); err != nil {
				return err
			}
			for _, id := range ids {
				if err := t.shred(id); err != nil {
					return err
				}
			}
			shredded = len(ids)
			return nil
		})
		n += shredded
		if err != nil || shredded < sweepBatch {
			if err == nil && n > 0 {
				// The old key must not stay in the write-ahead log.
				err = s.Checkpoint(ctx)
			}
			return n, err
		}
	}
}

// shred makes a message unreadable for good.
func (t *tx) shred(id mail.ID) error {
	rows, err := t.ids(`SELECT id FROM contents WHERE message = $1`, string(id))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := t.dropContent(row, ""); err != nil {
			return err
		}
	}
	for _, q := range []string{
		`UPDATE messages SET dek = NULL, sealed = NULL WHERE id = $1`,
		`UPDATE jobs SET sealed = NULL WHERE message = $1`,
		`UPDATE decisions SET sealed = NULL WHERE message = $1`,
	} {
		if _, err := t.exec(q, string(id)); err != nil {
			return err
		}
	}
	return t.audit(id, Event{Kind: "shredded", Actor: actorStore})
}
