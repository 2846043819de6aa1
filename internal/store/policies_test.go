package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The policies that were taken last outlive a restart, with the row that says so, and nobody
// reads in the files of the database who is named in them.
func TestTakenPoliciesOutliveARestart(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	if p, ok, err := s.TakenPolicies(t.Context()); ok || err != nil {
		t.Fatalf("before anything was taken: %+v, %v", p, err)
	}
	take := func(id, text string) {
		t.Helper()
		if err := s.TakePolicies(t.Context(), Policies{ID: id, Archive: []byte(text)}, Event{Kind: "policy_taken", Actor: "sam", Data: map[string]string{"policy": id}}); err != nil {
			t.Fatal(err)
		}
	}
	take("sha256:01", "Maya Okafor, first")
	take("sha256:02", "Maya Okafor, second")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, databaseName+"*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err != nil || bytes.Contains(b, []byte("Okafor")) {
			t.Errorf("%s: names staff (%v)", name, err)
		}
	}
	s = mustOpen(t, c.options(dir))
	p, ok, err := s.TakenPolicies(t.Context())
	if err != nil || !ok || p.Damaged || p.ID != "sha256:02" || string(p.Archive) != "Maya Okafor, second" {
		t.Errorf("%+v, %v, %v", p, ok, err)
	}
	rows := 0
	if err := s.Audit(t.Context(), func(r Row) error {
		if r.Kind == "policy_taken" {
			rows++
		}
		return nil
	}); err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	// What stands beside another id, or is not what was sealed, is damaged.
	for _, damage := range []string{
		`UPDATE policies SET policy = 'sha256:01'`,
		`UPDATE policies SET policy = 'sha256:02', sealed = zeroblob(100)`,
		`UPDATE policies SET sealed = x''`,
	} {
		if err := s.do(t.Context(), func(t *tx) error { _, err := t.exec(damage); return err }); err != nil {
			t.Fatal(err)
		}
		if p, ok, err := s.TakenPolicies(t.Context()); err != nil || !ok || !p.Damaged || len(p.Archive) != 0 {
			t.Errorf("%s: %+v, %v, %v", damage, p, ok, err)
		}
	}
}
