package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keySize is the length of the master key, of every derived key and of every message key.
const keySize = 32

// MasterKey reads the master key from file, or from master.key in dir when file is empty.
// There it is created on first use, and created is true; it is never created beside a
// database that some other key has sealed.
func MasterKey(dir, file string) (key []byte, created bool, err error) {
	own := file == ""
	if own {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, fmt.Errorf("data directory: %w", err)
		}
		file = filepath.Join(dir, "master.key")
	}
	raw, err := os.ReadFile(file)
	switch {
	case err == nil:
		if own {
			if st, err := os.Stat(file); err == nil && st.Mode().Perm()&0o077 != 0 {
				return nil, false, fmt.Errorf("master key %s can be read by others: chmod 600 %s", file, file)
			}
		}
		key, err = decodeKey(raw)
		if err != nil {
			return nil, false, fmt.Errorf("master key %s: %w", file, err)
		}
		return key, false, nil
	case !own || !errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("master key: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); err == nil {
		return nil, false, fmt.Errorf("master key %s is gone but its database is there: put the key back from its backup", file)
	}
	key = make([]byte, keySize)
	rand.Read(key)
	if err := writeNew(file, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, false, fmt.Errorf("master key: %w", err)
	}
	return key, true, nil
}

// decodeKey accepts 32 raw bytes or 64 hexadecimal digits.
func decodeKey(raw []byte) ([]byte, error) {
	if len(raw) == keySize {
		return raw, nil
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != keySize {
		return nil, errors.New("want 32 bytes, or 64 hexadecimal digits (openssl rand -hex 32)")
	}
	return key, nil
}

// writeNew creates a file of mode 0600 that is either whole or not there, and syncs it and
// its directory: what the new key seals must never outlive the key.
func writeNew(name string, data []byte) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".new-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); err != nil { // unlike a rename, never over another process's key
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// keyring holds the keys derived from the master key, one a purpose (HKDF, RFC 5869).
type keyring struct {
	wrap     cipher.AEAD // wraps message keys
	register cipher.AEAD // seals clients, consents and SCRAM keys
	thread   cipher.AEAD // seals the ids of threads
	facts    cipher.AEAD // seals what is kept for asking other rules
	policies cipher.AEAD // seals the policies that were taken last
	lookup   []byte      // HMAC of mailboxes, numbers, Message-IDs and codes
	password []byte      // HMAC of app passwords
	salt     []byte      // SCRAM salts
	audit    []byte      // HMAC of the audit's head
	check    []byte      // shows whether a key is the one that sealed a database
}

// String keeps keys out of logs.
func (*keyring) String() string { return "[redacted]" }

func newKeyring(master []byte) (*keyring, error) {
	if len(master) != keySize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(master), keySize)
	}
	var failed error
	derive := func(purpose string) []byte {
		k, err := hkdf.Key(sha256.New, master, nil, "plaincover/1/"+purpose, keySize)
		failed = errors.Join(failed, err)
		return k
	}
	k := &keyring{
		lookup: derive("lookup"), password: derive("app-password"), salt: derive("scram-salt"),
		audit: derive("audit-head"), check: derive("key-check"),
	}
	wrap, register, thread, facts, policies := derive("message-key-wrap"), derive("register"), derive("thread"), derive("facts"), derive("policies")
	if failed != nil {
		return nil, failed
	}
	var err error
	if k.wrap, err = newAEAD(wrap); err != nil {
		return nil, err
	}
	if k.register, err = newAEAD(register); err != nil {
		return nil, err
	}
	if k.thread, err = newAEAD(thread); err != nil {
		return nil, err
	}
	if k.facts, err = newAEAD(facts); err != nil {
		return nil, err
	}
	if k.policies, err = newAEAD(policies); err != nil {
		return nil, err
	}
	return k, nil
}

// newAEAD returns AES-256-GCM that puts a random nonce before each sealed text.
func newAEAD(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

// mac returns a look-up value: an HMAC, cut to 128 bits, in hexadecimal.
func mac(key []byte, fields ...string) string {
	h := hmac.New(sha256.New, key)
	for _, f := range fields {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		io.WriteString(h, f)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// dataKey is one message's own key. Once its wrapped form is deleted, everything under it is
// unreadable.
type dataKey struct{ aead cipher.AEAD }

// String keeps the key out of logs.
func (*dataKey) String() string { return "[redacted]" }

// newDataKey makes a message's key and its form wrapped by the master key, bound to the id.
func (k *keyring) newDataKey(message string) (*dataKey, []byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	a, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	return &dataKey{a}, k.wrap.Seal(nil, nil, key, aad(message, "key", 0, 0, false)), nil
}

// unwrap opens a message's key.
func (k *keyring) unwrap(message string, wrapped []byte) (*dataKey, error) {
	key, err := k.wrap.Open(nil, nil, wrapped, aad(message, "key", 0, 0, false))
	if err != nil {
		return nil, errDamaged
	}
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &dataKey{a}, nil
}

// aad binds a sealed text to its place: a chunk cannot be moved, repeated, cut off at the end
// or handed to another message, and a job's addresses cannot be given to another job.
func aad(message, what string, which, n int64, last bool) []byte {
	b := make([]byte, 0, len(message)+len(what)+19)
	b = append(b, message...)
	b = append(b, 0)
	b = append(b, what...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(which))
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}
