package store

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// TestClientKeys: a key goes with its client, is what rules hear of, and every change is in the
// audit by code and fingerprint.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := mustOpen(t, c.options(t.TempDir()))
	rows, err := ParseClients(strings.NewReader("ref,email\nC-1,old@example.org;anna@example.org\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportClients(t.Context(), rows, "sam"); err != nil {
		t.Fatal(err)
	}
	key := func(of string) *encrypt.Key {
		k, err := encrypt.NewRoleKey("", addr(t, of), c.now().Add(-time.Hour))
		if err == nil {
			k, err = k.Public()
		}
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	resolved := func() filter.Client {
		e := &mail.Envelope{Recipients: []mail.Recipient{{Address: addr(t, "anna@example.org")}}}
		f, err := s.Resolve(t.Context(), e, nil, 0)
		if err != nil || len(f.Recipients[0].Clients.Value) != 1 {
			t.Fatal(f, err)
		}
		return f.Recipients[0].Clients.Value[0]
	}
	wants := func(good *encrypt.Key, says string) {
		t.Helper()
		got := resolved()
		k, err := s.RecipientKey(t.Context(), "C-1", c.now())
		if err != nil || got.HasKey != (good != nil) || (k != nil) != (good != nil) || !strings.Contains(got.KeyFault, says) || (got.KeyFault == "") != (says == "") {
			t.Errorf("has a key: %v, fault %q, to encrypt to %v, %v", got.HasKey, got.KeyFault, k, err)
		}
		if k != nil && k.Fingerprint() != good.Fingerprint() {
			t.Error("another key")
		}
	}
	wants(nil, "")
	other, good := key("ben@example.org"), key("anna@example.org")
	if err := s.SetKey(t.Context(), "C-2", good, "sam"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a key for nobody: %v", err)
	}
	for _, k := range []*encrypt.Key{other, good} {
		if err := s.SetKey(t.Context(), "C-1", k, "sam"); err != nil {
			t.Fatal(err)
		}
		if k == other {
			wants(nil, "key "+other.Fingerprint()+" has no valid user id")
		}
	}
	wants(good, "")
	if list, err := s.Keys(t.Context()); err != nil || len(list) != 1 || list[0].Fingerprint != good.Fingerprint() || list[0].Trust != TrustConfirmed ||
		list[0].ImportedBy != "sam" || !list[0].ImportedAt.Equal(c.now()) {
		t.Errorf("%+v, %v", list, err)
	}
	if !auditHas(t, s, "key_imported", "fingerprint", good.Fingerprint()) {
		t.Error("the import is not in the audit")
	}
	// A row cannot be given to somebody else.
	if _, err := s.openKey("C-2", s.keys.register.Seal(nil, nil, []byte("{}"), keyAAD("C-1"))); err == nil {
		t.Error("a key of another client opens")
	}
	if err := s.RemoveKey(t.Context(), "C-1", "sam"); err != nil || !auditHas(t, s, "key_removed", "fingerprint", good.Fingerprint()) {
		t.Error("not removed, or not in the audit", err)
	}
	wants(nil, "")
	if err := s.RemoveKey(t.Context(), "C-1", "sam"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("removed twice: %v", err)
	}
	if err := s.SetKey(t.Context(), "C-1", good, "sam"); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseClient(t.Context(), "C-1", "sam", "request"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Keys(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the key of an erased client: %+v, %v", list, err)
	}
}

// TestRoleKey: one key an address, whoever asks first, and another address has another.
func TestRoleKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := mustOpen(t, c.options(t.TempDir()))
	var wg sync.WaitGroup
	prints := make([]string, 4)
	for i := range prints {
		wg.Go(func() {
			k, err := s.RoleKey(t.Context(), addr(t, "hello@wh.example"), "M")
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = k.Fingerprint()
		})
	}
	wg.Wait()
	for _, p := range prints {
		if p == "" || p != prints[0] {
			t.Fatalf("keys %q", prints)
		}
	}
	if !auditHas(t, s, "role_key_made", "fingerprint", prints[0]) {
		t.Error("it is not in the audit")
	}
	other, err := s.RoleKey(t.Context(), addr(t, "office@wh.example"), "Willow House")
	if err != nil || other.Fingerprint() == prints[0] {
		t.Fatal(other, err)
	}
	if err := other.Check(addr(t, "office@wh.example"), c.now()); err != nil || !other.IsPrivate() {
		t.Error(err)
	}
	var b bytes.Buffer
	if err := other.Sign(&b, strings.NewReader("x"), c.now()); err != nil {
		t.Error(err)
	}
}
