package store

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

// Submitter is one app password of a person or system; the password itself is never kept.
type Submitter struct {
	ID        string    `json:"id"` // of people.yaml
	Label     string    `json:"label"`
	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used,omitzero"`
}

// ScramIterations is the PBKDF2 count of SCRAM-SHA-256 (RFC 7677 §4). App passwords are
// random 128 bits, so that more would cost every sign-in and stop nobody.
const ScramIterations = 4096

// ScramKey is what one app password leaves for SCRAM-SHA-256 (RFC 5802 §3).
type ScramKey struct {
	Label                string
	StoredKey, ServerKey []byte
}

// lastUsedEvery bounds how often a sign-in is written down.
const lastUsedEvery = time.Minute

// newPassword makes 128 random bits into 26 lower-case letters and digits, which every mail
// app can store and no SASLprep changes.
func newPassword() string {
	b := make([]byte, 16)
	rand.Read(b)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func (k *keyring) passwordMAC(id, password string) string { return mac(k.password, id, password) }

// ScramSalt returns the salt for a sign-in: one for all app passwords of a person, and for
// an unknown name one that looks the same and never changes.
func (s *Store) ScramSalt(who string) []byte {
	h := hmac.New(sha256.New, s.keys.salt)
	h.Write([]byte(who))
	return h.Sum(nil)[:16]
}

// scramKeys derives StoredKey and ServerKey (RFC 5802 §3).
func scramKeys(password string, salt []byte) (stored, server []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, ScramIterations, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	of := func(what string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(what))
		return h.Sum(nil)
	}
	sum := sha256.Sum256(of("Client Key"))
	return sum[:], of("Server Key"), nil
}

func scramAAD(id, label string) []byte { return aad(id+"\x00"+label, "scram", 0, 0, true) }

// AddSubmitter makes an app password for a person or system and returns it, this once.
func (s *Store) AddSubmitter(ctx context.Context, id, label string) (string, error) {
	return s.putSubmitter(ctx, id, label, "submitter_added", `INSERT INTO submitters (id, label, mac, scram, created_at, last_used) VALUES ($1,$2,$3,$4,$5,0)`)
}

// ResetSubmitter replaces an app password by a new one; the old one stops at once.
func (s *Store) ResetSubmitter(ctx context.Context, id, label string) (string, error) {
	return s.putSubmitter(ctx, id, label, "submitter_reset",
		`UPDATE submitters SET mac = $3, scram = $4, created_at = $5, last_used = 0 WHERE id = $1 AND label = $2`)
}

func (s *Store) putSubmitter(ctx context.Context, id, label, kind, statement string) (string, error) {
	if id == "" || label == "" || strings.ContainsAny(id+label, "\x00\r\n") {
		return "", fault.New(fault.Invalid, "an app password needs an id and a name")
	}
	password := newPassword()
	stored, server, err := scramKeys(password, s.ScramSalt(id))
	if err != nil {
		return "", unavailable(err)
	}
	sealed := s.keys.register.Seal(nil, nil, append(stored, server...), scramAAD(id, label))
	err = s.do(ctx, func(t *tx) error {
		if kind == "submitter_added" {
			var n int
			if err := t.queryRow(`SELECT count(*) FROM submitters WHERE id = $1 AND label = $2`, []any{id, label}, &n); err != nil {
				return err
			}
			if n > 0 {
				return fault.New(fault.Conflict, id+" already has an app password of that name: use another name, or reset it")
			}
		}
		r, err := t.exec(statement, id, label, s.keys.passwordMAC(id, password), sealed, nanos(t.at))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, notFound("app password"))
		}
		return t.audit("", Event{Kind: kind, Actor: actorCommand, Data: map[string]string{"submitter": id, "label": label}})
	})
	if err != nil {
		return "", err
	}
	return password, nil
}

// actorCommand is who acts at the command line.
const actorCommand = "command"

// RemoveSubmitter removes one app password, or all of a person when label is empty. It
// counts for the next sign-in at once.
func (s *Store) RemoveSubmitter(ctx context.Context, id, label string) error {
	return s.do(ctx, func(t *tx) error {
		r, err := t.exec(`DELETE FROM submitters WHERE id = $1 AND ($2 = '' OR label = $2)`, id, label)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, notFound("app password"))
		}
		return t.audit("", Event{Kind: "submitter_removed", Actor: actorCommand, Data: map[string]string{"submitter": id, "label": label}})
	})
}

// Submitters lists app passwords by person and name.
func (s *Store) Submitters(ctx context.Context) ([]Submitter, error) {
	var out []Submitter
	err := s.each(ctx, `SELECT id, label, created_at, last_used FROM submitters ORDER BY id, label`, nil, func(rows *sql.Rows) error {
		var u Submitter
		var created, used int64
		err := rows.Scan(&u.ID, &u.Label, &created, &used)
		u.CreatedAt, u.LastUsed = when(created), when(used)
		out = append(out, u)
		return unavailable(err)
	})
	return out, err
}

// Authenticate checks an app password by one keyed HMAC and one indexed read. An unknown
// name comes as "" and costs the same. There is no cache, so that removing acts at once.
func (s *Store) Authenticate(ctx context.Context, id, password string) error {
	var label string
	var used int64
	err := s.queryRow(ctx, `SELECT label, last_used FROM submitters WHERE id = $1 AND mac = $2`,
		[]any{id, s.keys.passwordMAC(id, password)}, &label, &used)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && id == "") {
		return fault.New(fault.Unauthenticated, "wrong name or app password")
	}
	if err != nil {
		return err
	}
	s.used(id, label, used)
	return nil
}

// used writes the last use down, without making the sign-in wait for the disk.
func (s *Store) used(id, label string, last int64) {
	if now := s.now(); now.Sub(when(last)) >= lastUsedEvery {
		s.tryHand(&op{done: make(chan error, 1), run: func(t *tx) error {
			_, err := t.exec(`UPDATE submitters SET last_used = $1 WHERE id = $2 AND label = $3`, nanos(t.at), id, label)
			return err
		}})
	}
}

// ScramKeys returns the SCRAM keys of all live app passwords of a person: an exchange tries
// each. An unknown name comes as "" and has none.
func (s *Store) ScramKeys(ctx context.Context, id string) ([]ScramKey, error) {
	var out []ScramKey
	err := s.each(ctx, `SELECT label, scram FROM submitters WHERE id = $1 ORDER BY label`, []any{id}, func(rows *sql.Rows) error {
		var k ScramKey
		var sealed []byte
		if err := rows.Scan(&k.Label, &sealed); err != nil {
			return unavailable(err)
		}
		b, err := s.keys.register.Open(nil, nil, sealed, scramAAD(id, k.Label))
		if err != nil || len(b) != 2*sha256.Size {
			return unavailable(errDamaged)
		}
		k.StoredKey, k.ServerKey = b[:sha256.Size], b[sha256.Size:]
		out = append(out, k)
		return nil
	})
	return out, err
}

// SignedIn writes down that an app password was used, for a sign-in that Authenticate did
// not make.
func (s *Store) SignedIn(id, label string) { s.used(id, label, 0) }
