package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/plaincover/plaincover/internal/mail"
)

// maxKeyBytes bounds a key file (B52). What people publish is mostly below 64 KiB; larger ones
// carry the signatures of others, which nobody here looks at.
const maxKeyBytes = 1 << 20

// KeyFault says why a key cannot be used.
type KeyFault uint8

// What can be wrong with a key (B52).
const (
	KeyUnreadable  KeyFault = iota // not an OpenPGP key, damaged, or of a kind that is not known
	KeyTooLarge                    // the file is larger than any honest key
	KeySeveral                     // more than one key in the file: nobody can say which is meant
	KeyPrivate                     // a private key where a public one is wanted
	KeyNotPrivate                  // a public key where the practice's private one is wanted
	KeyNotYetValid                 // made in the future
	KeyExpired
	KeyRevoked
	KeySignOnly    // no part of it is for encryption
	KeyTooWeak     // RSA below 2048 bits, DSA, ElGamal, a curve nobody should use
	KeyWrongUserID // no valid user id with this address
)

// String names the fault for logs and audit rows.
func (f KeyFault) String() string {
	names := [...]string{"unreadable", "too-large", "several", "private", "not-private", "not-yet-valid", "expired", "revoked", "sign-only", "too-weak", "wrong-user-id"}
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("key-fault(%d)", uint8(f))
}

// KeyError is why a key is refused. It names the key by its fingerprint and never by what a
// user id says, because that is a client's name.
type KeyError struct {
	Fault       KeyFault
	Fingerprint string    // upper-case hexadecimal; empty where no key could be read
	At          time.Time // when it expired, where that is known
}

// Error says which key and what is wrong with it.
func (e *KeyError) Error() string { return "encrypt: " + e.Plain() }

// Plain is the same for people: "key 0123ABCD expired on 2026-02-01".
func (e *KeyError) Plain() string {
	which := "the file"
	if e.Fingerprint != "" {
		which = "key " + e.Fingerprint
	}
	what := map[KeyFault]string{
		KeyUnreadable: "cannot be read as an OpenPGP key", KeyTooLarge: "is too large for a key", KeySeveral: "holds more than one key",
		KeyPrivate: "is a private key, and the public one is wanted", KeyNotPrivate: "is not a private key", KeyNotYetValid: "is not valid yet",
		KeyExpired: "has expired", KeyRevoked: "was revoked", KeySignOnly: "is for signatures only", KeyTooWeak: "is too weak",
		KeyWrongUserID: "has no valid user id with this address",
	}[e.Fault]
	if e.Fault == KeyExpired && !e.At.IsZero() {
		what = "expired on " + e.At.UTC().Format(time.DateOnly)
	}
	return which + " " + what
}

// Key is one OpenPGP key, public or (the practice's own) private. It is immutable and safe for
// concurrent use: it holds the packets, and every use reads them anew, because the library
// remembers in an entity what it has verified.
type Key struct {
	packets []byte
	print   string
	private bool
}

// ParseKey reads one public key, binary or armored (RFC 9580 §6.2, §10.1). What other people
// signed on it is left out: it names them, and it is what floods keys.
func ParseKey(r io.Reader) (*Key, error) {
	e, err := readEntity(r, false)
	if err != nil {
		return nil, err
	}
	return keyOf(e)
}

// ParsePrivateKey reads what [Key.Private] gave.
func ParsePrivateKey(r io.Reader) (*Key, error) {
	e, err := readEntity(r, true)
	if err != nil {
		return nil, err
	}
	k, err := keyOf(e)
	if err == nil && !k.private {
		return nil, &KeyError{Fault: KeyNotPrivate, Fingerprint: k.print}
	}
	return k, err
}

// NewRoleKey makes a key for the practice: Ed25519 to sign, X25519 to encrypt, in the form of
// version 4 that every program reads. Its only user id is the alias, never a person's name.
func NewRoleKey(aliasName string, alias mail.Address, now time.Time) (*Key, error) {
	e, err := openpgp.NewEntity(withoutBrackets(aliasName), "", alias.String(), &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519,
		Time: func() time.Time { return now },
	})
	if err != nil {
		return nil, fmt.Errorf("encrypt: make a role key: %w", err)
	}
	return keyOf(e)
}

// withoutBrackets takes out what a user id may not have in its name.
func withoutBrackets(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("()<>\x00\r\n", r) {
			return -1
		}
		return r
	}, s)
}

// readEntity reads the only key in r.
func readEntity(r io.Reader, wantPrivate bool) (*openpgp.Entity, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeyBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("encrypt: read a key: %w", err)
	case len(b) > maxKeyBytes:
		return nil, &KeyError{Fault: KeyTooLarge}
	}
	b, private, err := keyPackets(b)
	if err != nil {
		return nil, err
	}
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(b)))
	if err != nil {
		return nil, &KeyError{Fault: KeyUnreadable}
	}
	if private && !wantPrivate {
		return nil, &KeyError{Fault: KeyPrivate, Fingerprint: fingerprint(e.PrimaryKey)}
	}
	return e, nil
}

// keyPackets takes the armor off and counts the keys by their packets: the library passes over
// what it does not know, and a file with a second key of an unknown kind is not a file with one.
func keyPackets(b []byte) (packets []byte, private bool, err error) {
	unreadable := &KeyError{Fault: KeyUnreadable}
	if !isBinary(b) {
		blocks := bytes.Count(b, []byte("-----BEGIN PGP "))
		block, err := armor.Decode(bytes.NewReader(b))
		switch {
		case err != nil || block.Type != openpgp.PublicKeyType && block.Type != openpgp.PrivateKeyType:
			return nil, false, unreadable
		case blocks > 1:
			return nil, false, &KeyError{Fault: KeySeveral}
		}
		if b, err = io.ReadAll(block.Body); err != nil {
			return nil, false, unreadable
		}
	}
	keys := 0
	s := newPacketScanner(bytes.NewReader(b))
	for {
		tag, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, false, unreadable
		}
		switch tag {
		case tagSecretKey, tagSecretSubkey:
			private = true
			if tag == tagSecretKey {
				keys++
			}
		case tagPublicKey:
			keys++
		case tagUserID, tagUserAttribute, tagSignature, tagPublicSubkey, tagTrust, tagMarker, tagPadding:
		default:
			return nil, false, unreadable
		}
	}
	switch keys {
	case 0:
		return nil, false, unreadable
	case 1:
		return b, private, nil
	}
	return nil, false, &KeyError{Fault: KeySeveral}
}

// isBinary tells packets from armor: their first bit is set (RFC 9580 §4.2).
func isBinary(b []byte) bool { return len(b) > 0 && b[0]&0x80 != 0 }

// keyOf keeps of an entity what is needed.
func keyOf(e *openpgp.Entity) (*Key, error) {
	for _, id := range e.Identities {
		id.OtherCertifications = nil
	}
	k := &Key{print: fingerprint(e.PrimaryKey), private: e.PrivateKey != nil}
	var b bytes.Buffer
	var err error
	if k.private {
		if e.PrivateKey.Encrypted {
			return nil, &KeyError{Fault: KeyUnreadable, Fingerprint: k.print} // sealed by us, not with words
		}
		err = e.SerializePrivateWithoutSigning(&b, nil)
	} else {
		err = e.Serialize(&b)
	}
	if err != nil {
		return nil, &KeyError{Fault: KeyUnreadable, Fingerprint: k.print}
	}
	k.packets = b.Bytes()
	return k, nil
}

// entity reads the key anew, for one use.
func (k *Key) entity() (*openpgp.Entity, error) {
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(k.packets)))
	if err != nil {
		return nil, &KeyError{Fault: KeyUnreadable, Fingerprint: k.print}
	}
	return e, nil
}

func fingerprint(k *packet.PublicKey) string { return fmt.Sprintf("%X", k.Fingerprint) }

// Fingerprint names the key, in upper-case hexadecimal.
func (k *Key) Fingerprint() string { return k.print }

// IsPrivate reports whether the key can sign and decrypt.
func (k *Key) IsPrivate() bool { return k.private }

// Private returns the packets with the private parts, to be sealed by the caller. They are in
// clear: they must not be stored or sent as they are.
func (k *Key) Private() ([]byte, error) {
	if !k.private {
		return nil, &KeyError{Fault: KeyNotPrivate, Fingerprint: k.print}
	}
	return bytes.Clone(k.packets), nil
}

// Public returns the key without its private parts.
func (k *Key) Public() (*Key, error) {
	if !k.private {
		return k, nil
	}
	e, err := k.entity()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		return nil, fmt.Errorf("encrypt: write a public key: %w", err)
	}
	return &Key{packets: b.Bytes(), print: k.print}, nil
}

// Armored returns the public key as text, to hand out. It bears no Version and no Comment.
func (k *Key) Armored() (string, error) {
	public, err := k.Public()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	w := newArmorWriter(&b, "PUBLIC KEY BLOCK", true)
	if _, err := w.Write(public.packets); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Binary returns the packets of the public key, to be stored.
func (k *Key) Binary() ([]byte, error) {
	public, err := k.Public()
	if err != nil {
		return nil, err
	}
	return bytes.Clone(public.packets), nil
}

// KeyInfo is what a person is shown before a key is trusted. UserIDs are as the key says them:
// they name people and belong in no log.
type KeyInfo struct {
	Fingerprint string
	UserIDs     []string // valid ones, sorted
	Created     time.Time
	Expires     time.Time // zero: never
	Revoked     bool
	Algorithm   string // of the part that encrypts, else of the primary key
	CanEncrypt  bool   // at the time asked for
	Private     bool
}

// Inspect describes the key as it is at a time.
func (k *Key) Inspect(now time.Time) (KeyInfo, error) {
	e, err := k.entity()
	if err != nil {
		return KeyInfo{}, err
	}
	info := KeyInfo{
		Fingerprint: k.print, Private: k.private, Created: e.PrimaryKey.CreationTime.UTC(),
		Revoked: e.Revoked(now), Algorithm: algorithm(e.PrimaryKey), Expires: expiry(e, now),
	}
	for _, id := range e.Identities {
		// Without times: of an expired key the names are wanted all the same.
		if _, err := id.Verify(time.Time{}, nil); err == nil {
			info.UserIDs = append(info.UserIDs, id.UserId.Id)
		}
	}
	slices.Sort(info.UserIDs)
	if enc, err := e.EncryptionKeyWithError(now, keyRules(now)); err == nil {
		info.CanEncrypt = true
		info.Algorithm = algorithm(enc.PublicKey)
	}
	return info, nil
}

// expiry is when the key stops to be usable for encryption: the primary key, or the last of
// its parts that encrypt.
func expiry(e *openpgp.Entity, now time.Time) time.Time {
	end := func(k *packet.PublicKey, sig *packet.Signature) time.Time {
		if sig == nil || sig.KeyLifetimeSecs == nil || *sig.KeyLifetimeSecs == 0 {
			return time.Time{}
		}
		return k.CreationTime.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second).UTC()
	}
	self, _ := e.PrimarySelfSignature(time.Time{}, nil)
	primary := end(e.PrimaryKey, self)
	var last time.Time
	seen, endless := false, false
	for i := range e.Subkeys {
		sub := &e.Subkeys[i]
		sig, err := sub.LatestValidBindingSignature(time.Time{}, nil)
		if err != nil || !sig.FlagEncryptCommunications && !sig.FlagEncryptStorage || sub.Revoked(sig, now) {
			continue
		}
		seen = true
		t := end(sub.PublicKey, sig)
		endless = endless || t.IsZero()
		if t.After(last) {
			last = t
		}
	}
	if !seen || endless || last.IsZero() || !primary.IsZero() && primary.Before(last) {
		return primary
	}
	return last
}

// algorithm names a public key's algorithm and strength.
func algorithm(k *packet.PublicKey) string {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		bits, _ := k.BitLength()
		return fmt.Sprintf("RSA %d", bits)
	case packet.PubKeyAlgoElGamal:
		return "ElGamal"
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoX25519, packet.PubKeyAlgoEd25519:
		return "Curve25519"
	case packet.PubKeyAlgoX448, packet.PubKeyAlgoEd448:
		return "Curve448"
	}
	if c, err := k.Curve(); err == nil {
		return string(c)
	}
	return fmt.Sprintf("algorithm %d", k.PubKeyAlgo)
}

// keyRules are what a key must be at a time. The library's own defaults refuse DSA, ElGamal,
// secp256k1, MD5 and SHA-1; RSA below 2048 bits goes too (RFC 9580 §12.4; 2047 allows for a
// leading zero bit).
func keyRules(now time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return now }, MinRSABits: 2047}
}

// Check says whether the key may encrypt at a time, and to whom: one of its valid user ids must
// have the address. A zero address asks nothing about user ids.
func (k *Key) Check(addr mail.Address, now time.Time) error {
	e, err := k.entity()
	if err != nil {
		return err
	}
	return k.check(e, addr, now)
}

func (k *Key) check(e *openpgp.Entity, addr mail.Address, now time.Time) error {
	refuse := func(f KeyFault) error { return &KeyError{Fault: f, Fingerprint: k.print} }
	if e.Revoked(now) {
		return refuse(KeyRevoked)
	}
	if e.PrimaryKey.CreationTime.After(now) {
		return refuse(KeyNotYetValid)
	}
	if end := expiry(e, now); !end.IsZero() && !now.Before(end) {
		return &KeyError{Fault: KeyExpired, Fingerprint: k.print, At: end}
	}
	if !addr.IsZero() && !hasAddress(e, addr, now) {
		return refuse(KeyWrongUserID)
	}
	_, err := e.EncryptionKeyWithError(now, keyRules(now))
	if err == nil {
		return nil
	}
	return refuse(selectionFault(err))
}

// selectionFault says in our words why the library finds no part that encrypts.
func selectionFault(err error) KeyFault {
	var selection *pgperrors.ErrEncryptionKeySelection
	var byValue pgperrors.ErrEncryptionKeySelection
	causes := []error{err}
	if errors.As(err, &selection) {
		causes = append(causes, selection.PrimaryKeyErr, selection.EncSelectionErr)
	} else if errors.As(err, &byValue) {
		causes = append(causes, byValue.PrimaryKeyErr, byValue.EncSelectionErr)
	}
	for _, c := range causes {
		var weak pgperrors.WeakAlgorithmError
		switch {
		case c == nil:
		case errors.As(c, &weak):
			return KeyTooWeak
		case errors.Is(c, pgperrors.ErrKeyRevoked):
			return KeyRevoked
		case errors.Is(c, pgperrors.ErrKeyExpired), errors.Is(c, pgperrors.ErrSignatureExpired):
			return KeyExpired
		}
	}
	return KeySignOnly
}

// hasAddress looks for a user id that is bound to the key by its own signature, not revoked,
// and has the address.
func hasAddress(e *openpgp.Entity, addr mail.Address, now time.Time) bool {
	for _, id := range e.Identities {
		if _, err := id.Verify(now, keyRules(now)); err != nil {
			continue
		}
		if a, ok := userIDAddress(id.UserId.Id); ok && a.Domain == addr.Domain && strings.EqualFold(a.LocalPart, addr.LocalPart) {
			return true
		}
	}
	return false
}

// userIDAddress reads the address of a user id: `Name <address>` or the address alone (RFC
// 9580 §5.11). What has more than one of anything has none.
func userIDAddress(id string) (mail.Address, bool) {
	if start := strings.IndexByte(id, '<'); start >= 0 {
		if strings.Count(id, "<") != 1 || strings.Count(id, ">") != 1 || !strings.HasSuffix(id, ">") {
			return mail.Address{}, false
		}
		id = id[start+1 : len(id)-1]
	}
	a, err := mail.ParseAddress(id)
	return a, err == nil
}

// Sign writes a detached, armored signature over r, as multipart/signed wants it (RFC 3156 §5).
func (k *Key) Sign(w io.Writer, r io.Reader, now time.Time) error {
	if !k.private {
		return &KeyError{Fault: KeyNotPrivate, Fingerprint: k.print}
	}
	e, err := k.entity()
	if err != nil {
		return err
	}
	out := newArmorWriter(w, "SIGNATURE", true)
	if err := openpgp.DetachSign(out, []*openpgp.Entity{e}, r, keyRules(now)); err != nil {
		return fmt.Errorf("encrypt: sign: %w", err)
	}
	return out.Close()
}
