package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

func TestAppPasswords(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	laptop, err := s.AddSubmitter(t.Context(), "maya", "laptop")
	if err != nil || len(laptop) != 26 {
		t.Fatalf("AddSubmitter = %q, %v", laptop, err)
	}
	phone, err := s.AddSubmitter(t.Context(), "maya", "phone")
	if err != nil || phone == laptop {
		t.Fatalf("second: %v", err)
	}
	_, err = s.AddSubmitter(t.Context(), "maya", "phone")
	wantKind(t, err, fault.Conflict)
	for _, p := range []string{laptop, phone} {
		if err := s.Authenticate(t.Context(), "maya", p); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range [][2]string{{"maya", ""}, {"maya", laptop + "x"}, {"sam", laptop}, {"", laptop}, {"", ""}} {
		wantKind(t, s.Authenticate(t.Context(), bad[0], bad[1]), fault.Unauthenticated)
	}
	// Even a row for no name at all lets nobody in.
	if err := s.do(t.Context(), func(x *tx) error {
		_, err := x.exec(`INSERT INTO submitters (id, label, mac, scram, created_at, last_used) VALUES ('', 'x', $1, x'00', 0, 0)`, s.keys.passwordMAC("", laptop))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Authenticate(t.Context(), "", laptop), fault.Unauthenticated)
	tamper(t, s, `DELETE FROM submitters WHERE id = ''`)
	// Removing one acts at once and leaves the other.
	if err := s.RemoveSubmitter(t.Context(), "maya", "laptop"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Authenticate(t.Context(), "maya", laptop), fault.Unauthenticated)
	fresh, err := s.ResetSubmitter(t.Context(), "maya", "phone")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Authenticate(t.Context(), "maya", phone), fault.Unauthenticated)
	c.add(time.Hour)
	if err := s.Authenticate(t.Context(), "maya", fresh); err != nil {
		t.Fatal(err)
	}
	if err := s.do(t.Context(), func(*tx) error { return nil }); err != nil { // what was handed over before is done
		t.Fatal(err)
	}
	list, err := s.Submitters(t.Context())
	if err != nil || len(list) != 1 || list[0].Label != "phone" || !list[0].LastUsed.Equal(c.now()) {
		t.Fatalf("Submitters = %+v, %v", list, err)
	}
	_, err = s.ResetSubmitter(t.Context(), "maya", "tablet")
	wantKind(t, err, fault.NotFound)
	wantKind(t, s.RemoveSubmitter(t.Context(), "kim", ""), fault.NotFound)
}

// A whole SCRAM-SHA-256 proof, computed as a client does (RFC 5802 §3), is checked with what
// the store keeps.
func TestScramKeys(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	password, err := s.AddSubmitter(t.Context(), "maya", "laptop")
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha256.New, password, s.ScramSalt("maya"), ScramIterations, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	clientKey := sum(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	keys, err := s.ScramKeys(t.Context(), "maya")
	if err != nil || len(keys) != 1 || !bytes.Equal(keys[0].StoredKey, stored[:]) || !bytes.Equal(keys[0].ServerKey, sum(salted, "Server Key")) {
		t.Fatalf("ScramKeys = %+v, %v", keys, err)
	}
	if none, err := s.ScramKeys(t.Context(), ""); err != nil || len(none) != 0 {
		t.Fatalf("unknown name: %v, %v", none, err)
	}
	if !bytes.Equal(s.ScramSalt("nobody@example.org"), s.ScramSalt("nobody@example.org")) || len(s.ScramSalt("x")) != len(s.ScramSalt("maya")) {
		t.Fatal("the salt of an unknown name gives it away")
	}
}

func TestSpool(t *testing.T) {
	t.Parallel()
	for _, memory := range []int64{0, 1000, chunkSize, 1 << 30} {
		for _, size := range []int{0, 1, 1000, 1001, chunkSize, chunkSize + 1, 5*chunkSize + 3} {
			dir := t.TempDir()
			p := NewSpool(dir, memory)
			body := make([]byte, size)
			rand.Read(body)
			for rest := body; len(rest) > 0; {
				n := min(len(rest), 4999)
				if _, err := p.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			got, err := io.ReadAll(io.NewSectionReader(p, 0, p.Size()))
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("memory %d, size %d: got %d bytes, %v", memory, size, len(got), err)
			}
			if size > 10 {
				mid := make([]byte, 5)
				if _, err := p.ReadAt(mid, int64(size)-7); err != nil || !bytes.Equal(mid, body[size-7:size-2]) {
					t.Fatalf("ReadAt: %x, %v", mid, err)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Fatalf("the temporary file has a name: %v, %v", left, err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.ReadAt(make([]byte, 1), 0); err == nil {
				t.Fatal("read after Close")
			}
		}
	}
	// What the memory of a message held is gone before another one gets it.
	for _, memory := range []int64{chunkSize, 1 << 30} {
		p := NewSpool(t.TempDir(), memory)
		if _, err := p.Write(bytes.Repeat([]byte{1}, 2*chunkSize+100)); err != nil {
			t.Fatal(err)
		}
		held := slices.Clone(p.chunks)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range held {
			if *c != (chunk{}) {
				t.Fatal("a closed spool left something in memory")
			}
		}
	}
	gone := NewSpool(filepath.Join(t.TempDir(), "not there"), 10)
	_, err := gone.Write(make([]byte, 11))
	wantKind(t, err, fault.Unavailable)
}
