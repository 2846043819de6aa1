package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// TrustConfirmed is the trust in a key that a person of the practice has imported: they have
// compared its fingerprint with the client.
const TrustConfirmed = "confirmed"

// ClientKey is the PGP key that is on file for a client.
type ClientKey struct {
	Ref         string    `json:"ref"`
	Fingerprint string    `json:"fingerprint"`
	Trust       string    `json:"trust"`
	ImportedAt  time.Time `json:"imported_at"`
	ImportedBy  string    `json:"imported_by"`

	key *encrypt.Key
}

// Usable says whether the key can be encrypted to at a time: it must be valid, and name one of
// the client's addresses.
func (k *ClientKey) Usable(addresses []mail.Address, at time.Time) error {
	return UsableKey(k.key, addresses, at)
}

// UsableKey says whether a key can be a client's who has these addresses.
func UsableKey(k *encrypt.Key, addresses []mail.Address, at time.Time) error {
	if len(addresses) == 0 {
		return &encrypt.KeyError{Fault: encrypt.KeyWrongUserID, Fingerprint: k.Fingerprint()}
	}
	var err error
	for _, a := range addresses {
		if err = k.Check(a, at); err == nil {
			return nil
		}
	}
	return err
}

// storedKey is a key as sealed.
type storedKey struct {
	ClientKey
	Public []byte `json:"public"`
}

func keyAAD(ref string) []byte    { return aad(ref, "client-key", 0, 0, true) }
func roleAAD(alias string) []byte { return aad(alias, "role-key", 0, 0, true) }

func (s *Store) openKey(ref string, sealed []byte) (ClientKey, error) {
	var k storedKey
	b, err := s.keys.register.Open(nil, nil, sealed, keyAAD(ref))
	if err != nil || json.Unmarshal(b, &k) != nil || k.Ref != ref {
		return ClientKey{}, errDamaged
	}
	if k.key, err = encrypt.ParseKey(bytes.NewReader(k.Public)); err != nil {
		return ClientKey{}, errDamaged
	}
	return k.ClientKey, nil
}

// withKey notes on a client whether there is a key that can be encrypted to, and if not, why.
func (s *Store) withKey(c *filter.Client, sealed []byte, at time.Time) error {
	if sealed == nil {
		return nil
	}
	k, err := s.openKey(c.Ref, sealed)
	if err != nil {
		return err
	}
	var fault *encrypt.KeyError
	switch err := k.Usable(c.Email, at); {
	case err == nil:
		c.HasKey = true
	case errors.As(err, &fault):
		c.KeyFault = fault.Plain()
	default:
		return err
	}
	return nil
}

// Key returns the key that is on file for a client, whatever its state.
func (s *Store) Key(ctx context.Context, ref string) (ClientKey, error) {
	var sealed []byte
	err := s.queryRow(ctx, `SELECT sealed FROM client_keys WHERE ref = $1`, []any{ref}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return ClientKey{}, notFound("key")
	}
	if err != nil {
		return ClientKey{}, err
	}
	k, err := s.openKey(ref, sealed)
	return k, unavailable(err)
}

// RecipientKey returns the key to encrypt to; nil when there is none that can be used then.
func (s *Store) RecipientKey(ctx context.Context, ref string, at time.Time) (*encrypt.Key, error) {
	var client, sealed []byte
	err := s.queryRow(ctx, `SELECT c.sealed, k.sealed FROM clients c JOIN client_keys k ON k.ref = c.ref WHERE c.ref = $1`, []any{ref}, &client, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := s.openClient(ref, client)
	if err != nil {
		return nil, unavailable(err)
	}
	k, err := s.openKey(ref, sealed)
	if err != nil {
		return nil, unavailable(err)
	}
	var fault *encrypt.KeyError
	if err := k.Usable(c.Email, at); errors.As(err, &fault) {
		return nil, nil
	} else if err != nil {
		return nil, unavailable(err)
	}
	return k.key, nil
}

// Keys lists the keys of clients by code.
func (s *Store) Keys(ctx context.Context) ([]ClientKey, error) {
	var out []ClientKey
	err := s.each(ctx, `SELECT ref, sealed FROM client_keys ORDER BY ref`, nil, func(rows *sql.Rows) error {
		var ref string
		var sealed []byte
		if err := rows.Scan(&ref, &sealed); err != nil {
			return unavailable(err)
		}
		k, err := s.openKey(ref, sealed)
		if err != nil {
			return unavailable(fmt.Errorf("key of client %s: %w", ref, err))
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

// SetKey puts a client's public key on file, in place of an older one: whoever imports it has
// compared the fingerprint.
func (s *Store) SetKey(ctx context.Context, ref string, k *encrypt.Key, actor string) error {
	public, err := k.Binary()
	if err != nil {
		return err
	}
	return s.do(ctx, func(t *tx) error {
		var n int
		if err := t.queryRow(`SELECT count(*) FROM clients WHERE ref = $1`, []any{ref}, &n); err != nil {
			return err
		}
		if n == 0 {
			return notFound("client")
		}
		b, err := json.Marshal(storedKey{ClientKey: ClientKey{Ref: ref, Fingerprint: k.Fingerprint(), Trust: TrustConfirmed, ImportedAt: t.at, ImportedBy: actor}, Public: public})
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO client_keys (ref, sealed) VALUES ($1,$2) ON CONFLICT (ref) DO UPDATE SET sealed = excluded.sealed`,
			ref, s.keys.register.Seal(nil, nil, b, keyAAD(ref))); err != nil {
			return err
		}
		return t.audit("", Event{Kind: "key_imported", Actor: actor, Data: map[string]string{"client": ref, "fingerprint": k.Fingerprint()}})
	})
}

// RemoveKey takes a client's key off file.
func (s *Store) RemoveKey(ctx context.Context, ref, actor string) error {
	return s.do(ctx, func(t *tx) error {
		var sealed []byte
		err := t.queryRow(`SELECT sealed FROM client_keys WHERE ref = $1`, []any{ref}, &sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("key")
		}
		if err != nil {
			return err
		}
		k, err := s.openKey(ref, sealed)
		if err != nil {
			return unavailable(fmt.Errorf("key of client %s: %w", ref, err))
		}
		if _, err := t.exec(`DELETE FROM client_keys WHERE ref = $1`, ref); err != nil {
			return err
		}
		return t.audit("", Event{Kind: "key_removed", Actor: actor, Data: map[string]string{"client": ref, "fingerprint": k.Fingerprint}})
	})
}

// roleKeyAge is how old a new key of the practice says it is: a copy that was begun before it was
// made, or a clock that is put back, must not find a key of the future.
const roleKeyAge = 24 * time.Hour

// RoleKey returns the practice's private key for an address that clients see, made on first need.
// Its user id is that address and name, never a person's own.
func (s *Store) RoleKey(ctx context.Context, alias mail.Address, name string) (*encrypt.Key, error) {
	id := mac(s.keys.lookup, "role", alias.Key())
	var sealed []byte
	err := s.queryRow(ctx, `SELECT sealed FROM role_keys WHERE alias = $1`, []any{id}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		sealed, err = s.newRoleKey(ctx, id, alias, name)
	}
	if err != nil {
		return nil, err
	}
	b, err := s.keys.register.Open(nil, nil, sealed, roleAAD(id))
	if err != nil {
		return nil, unavailable(errDamaged)
	}
	defer clear(b)
	k, err := encrypt.ParsePrivateKey(bytes.NewReader(b))
	return k, unavailable(err)
}

// newRoleKey makes the key of an address, unless somebody else was first.
func (s *Store) newRoleKey(ctx context.Context, id string, alias mail.Address, name string) (sealed []byte, err error) {
	k, err := encrypt.NewRoleKey(name, alias, s.now().Add(-roleKeyAge))
	if err != nil {
		return nil, err
	}
	private, err := k.Private()
	if err != nil {
		return nil, err
	}
	defer clear(private)
	made := s.keys.register.Seal(nil, nil, private, roleAAD(id))
	err = s.do(ctx, func(t *tx) error {
		r, err := t.exec(`INSERT INTO role_keys (alias, sealed) VALUES ($1,$2) ON CONFLICT DO NOTHING`, id, made)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, t.queryRow(`SELECT sealed FROM role_keys WHERE alias = $1`, []any{id}, &sealed))
		}
		sealed = made
		return t.audit("", Event{Kind: "role_key_made", Actor: "gateway", Data: map[string]string{"fingerprint": k.Fingerprint()}})
	})
	return sealed, err
}
