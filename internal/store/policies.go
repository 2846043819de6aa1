package store

import (
	"context"
	"database/sql"
	"errors"
)

// Policies are the policies that were taken last, as whoever took them packed them.
type Policies struct {
	ID      string
	Archive []byte
	Damaged bool // the archive cannot be read
}

// policiesAAD binds an archive to the id of its policies.
func policiesAAD(id string) []byte { return aad(id, "policies", 0, 0, true) }

// TakePolicies keeps p in the place of those that were taken before, together with the audit row
// that says so.
func (s *Store) TakePolicies(ctx context.Context, p Policies, e Event) error {
	sealed := s.keys.policies.Seal(nil, nil, p.Archive, policiesAAD(p.ID))
	return s.do(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO policies (one, policy, sealed) VALUES (1,$1,$2)
			ON CONFLICT (one) DO UPDATE SET policy = excluded.policy, sealed = excluded.sealed`, p.ID, sealed); err != nil {
			return err
		}
		return t.audit("", e)
	})
}

// TakenPolicies returns what was taken last; ok is false where nothing ever was.
func (s *Store) TakenPolicies(ctx context.Context) (p Policies, ok bool, err error) {
	var sealed []byte
	err = s.queryRow(ctx, `SELECT policy, sealed FROM policies WHERE one = 1`, nil, &p.ID, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return Policies{}, false, nil
	}
	if err != nil {
		return Policies{}, false, err
	}
	p.Archive, err = s.keys.policies.Open(nil, nil, sealed, policiesAAD(p.ID))
	p.Damaged = err != nil
	return p, true, nil
}
