package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// Row is one row of the audit: what happened, never what was written.
type Row struct {
	Seq     int64             `json:"seq"`
	At      time.Time         `json:"at"`
	Message mail.ID           `json:"message,omitempty"`
	Kind    string            `json:"kind"`
	Actor   string            `json:"actor"`
	Data    map[string]string `json:"data,omitempty"`
	Prev    []byte            `json:"prev"`
	Hash    []byte            `json:"hash"`
}

// head is the newest row of the chain, as known inside a transaction.
type head struct {
	known, changed bool
	seq            int64
	hash           []byte
}

// rowHash is SHA-256 over all columns with their lengths, and over the row before. Anybody
// with an export can follow the chain; the MAC of the head needs the master key.
func rowHash(seq, at int64, message, kind, actor, data string, prev []byte) []byte {
	h := sha256.New()
	io.WriteString(h, "plaincover audit 1\n")
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(seq))
	h.Write(n[:])
	binary.BigEndian.PutUint64(n[:], uint64(at))
	h.Write(n[:])
	for _, f := range []string{message, kind, actor, data} {
		hashField(h, f)
	}
	hashField(h, string(prev))
	return h.Sum(nil)
}

func hashField(h hash.Hash, f string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(f)))
	h.Write(n[:])
	io.WriteString(h, f)
}

func (k *keyring) headMAC(seq int64, hash []byte) []byte {
	h := hmac.New(sha256.New, k.audit)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(seq))
	h.Write(n[:])
	h.Write(hash)
	return h.Sum(nil)
}

func (t *tx) loadHead() error {
	if t.head.known {
		return nil
	}
	h := head{known: true, hash: make([]byte, sha256.Size)}
	err := t.queryRow(`SELECT seq, hash FROM audit_head WHERE one = 1`, nil, &h.seq, &h.hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	t.head = h
	return nil
}

// audit writes one row of the chain, in the transaction of what it tells about.
func (t *tx) audit(message mail.ID, e Event) error {
	if err := t.loadHead(); err != nil {
		return err
	}
	data := "{}"
	if len(e.Data) > 0 {
		b, err := json.Marshal(e.Data) // sorts the keys
		if err != nil {
			return err
		}
		data = string(b)
	}
	seq, at := t.head.seq+1, nanos(t.at)
	sum := rowHash(seq, at, string(message), e.Kind, e.Actor, data, t.head.hash)
	if _, err := t.exec(`INSERT INTO audit (seq, at, message, kind, actor, data, prev, hash) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		seq, at, string(message), e.Kind, e.Actor, data, t.head.hash, sum); err != nil {
		return err
	}
	t.head = head{known: true, changed: true, seq: seq, hash: sum}
	return nil
}

// writeHead stores the newest row under a MAC, once a transaction.
func (t *tx) writeHead() error {
	if !t.head.changed {
		return nil
	}
	_, err := t.exec(`INSERT INTO audit_head (one, seq, hash, mac) VALUES (1, $1, $2, $3)
		ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac`,
		t.head.seq, t.head.hash, t.s.keys.headMAC(t.head.seq, t.head.hash))
	return err
}

// Record writes an audit row of its own, for what changes no other row (a reload, a refused
// sign-in).
func (s *Store) Record(ctx context.Context, message mail.ID, e Event) error {
	return s.do(ctx, func(t *tx) error { return t.audit(message, e) })
}

// Audit calls fn for every row, oldest first.
func (s *Store) Audit(ctx context.Context, fn func(Row) error) error {
	return s.AuditAfter(ctx, firstSeq, fn)
}

// firstSeq is before every row.
const firstSeq = int64(-1 << 62)

// AuditAfter calls fn for every row that is newer than seq, oldest first.
func (s *Store) AuditAfter(ctx context.Context, seq int64, fn func(Row) error) error {
	return s.rawAudit(ctx, seq, func(r Row, _ string, _ int64) error { return fn(r) })
}

// LastAudit returns the number of the newest row; 0: there is none.
func (s *Store) LastAudit(ctx context.Context) (seq int64, err error) {
	err = s.each(ctx, `SELECT COALESCE(MAX(seq), 0) FROM audit`, nil, func(rows *sql.Rows) error { return rows.Scan(&seq) })
	return seq, err
}

// AuditBefore returns the number of the newest row that was written before that moment; 0: there
// is none. It looks at the newer rows only.
func (s *Store) AuditBefore(ctx context.Context, at time.Time) (seq int64, err error) {
	err = s.each(ctx, `SELECT seq FROM audit WHERE at < $1 ORDER BY seq DESC LIMIT 1`, []any{nanos(at)}, func(rows *sql.Rows) error { return rows.Scan(&seq) })
	return seq, err
}

// auditPage is how many rows are read at once: between pages no read transaction is open
// that would keep the write-ahead log from being emptied.
const auditPage = 1000

func (s *Store) rawAudit(ctx context.Context, last int64, fn func(r Row, data string, at int64) error) error {
	for {
		n := 0
		err := s.each(ctx, `SELECT seq, at, message, kind, actor, data, prev, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`,
			[]any{last, auditPage}, func(rows *sql.Rows) error {
				var r Row
				var at int64
				var message, data string
				if err := rows.Scan(&r.Seq, &at, &message, &r.Kind, &r.Actor, &data, &r.Prev, &r.Hash); err != nil {
					return unavailable(err)
				}
				n, last = n+1, r.Seq
				r.At, r.Message = when(at), mail.ID(message)
				if data != "{}" {
					// What does not parse shows as a broken hash in VerifyAudit.
					json.Unmarshal([]byte(data), &r.Data)
				}
				return fn(r, data, at)
			})
		if err != nil || n < auditPage {
			return err
		}
	}
}

// VerifyAudit follows the chain from its first row to the sealed head and returns the number
// of rows. An error of kind Conflict names the first row that was changed, added or removed.
func (s *Store) VerifyAudit(ctx context.Context) (rows int64, err error) {
	// Rows may be added while this reads; the chain is checked up to the head of now. One
	// statement reads the head and the newest row: what stands behind the head was not
	// written by us.
	var seq, newest int64
	var sum, seal []byte
	err = s.queryRow(ctx, `SELECT seq, hash, mac, (SELECT coalesce(max(seq), 0) FROM audit) FROM audit_head WHERE one = 1`, nil, &seq, &sum, &seal, &newest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	headless := err != nil
	prev := make([]byte, sha256.Size)
	broken := func(n int64, why string) error {
		return fault.New(fault.Conflict, fmt.Sprintf("audit row %d: %s", n, why))
	}
	err = s.rawAudit(ctx, firstSeq, func(r Row, data string, at int64) error {
		if !headless && rows == seq {
			return errEnough
		}
		switch {
		case r.Seq != rows+1:
			return broken(rows+1, "is missing")
		case !bytes.Equal(r.Prev, prev):
			return broken(r.Seq, "does not follow the row before it")
		case !bytes.Equal(r.Hash, rowHash(r.Seq, at, string(r.Message), r.Kind, r.Actor, data, r.Prev)):
			return broken(r.Seq, "was changed")
		}
		rows, prev = r.Seq, r.Hash
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return rows, err
	}
	switch {
	case headless && rows == 0:
		return 0, nil
	case headless:
		return rows, broken(rows, "the head of the chain is missing")
	case !hmac.Equal(seal, s.keys.headMAC(seq, sum)):
		return rows, broken(seq, "the head of the chain was changed")
	case rows != seq:
		return rows, broken(rows+1, "is missing: the end of the chain was cut off")
	case !bytes.Equal(prev, sum):
		return rows, broken(seq, "was changed: the head says otherwise")
	case newest > seq:
		return rows, broken(seq+1, "was added behind the head of the chain")
	}
	return rows, nil
}

var errEnough = errors.New("read enough")
