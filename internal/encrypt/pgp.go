package encrypt

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/ProtonMail/gopenpgp/v2/constants"
	"github.com/ProtonMail/gopenpgp/v2/crypto"

	"github.com/plaincover/plaincover/internal/mail"
)

// PGP is what a PGP/MIME entity is made with. Each recipient has one of their own, because a
// shared ciphertext lists everybody's key ids.
type PGP struct {
	Recipient *Key         // public
	Address   mail.Address // that the recipient's key must have in a user id; zero: not asked
	Role      *Key         // private: the practice signs, never a person
	Own       *Key         // the practice's own copy, if policy wants one; else nil
	Boundary  string       // stable: from the message's id
	Now       time.Time
}

// Proof is what [OpenMIME] needs to prove that what was written is what was meant. It holds the
// session key, so it lives as long as the copy is being made and no longer: see [Proof.Forget].
type Proof struct {
	boundary   string
	recipients []SessionKeyPacket // exactly these, in this order
	session    *crypto.SessionKey
	aead       bool
	role, own  *Key
	signed     time.Time

	size    int64
	digest  [sha256.Size]byte
	samples [][]byte // of the plain text
}

// Forget wipes the session key.
func (p *Proof) Forget() {
	if p != nil && p.session != nil {
		clear(p.session.Key)
		p.session = nil
	}
}

// EncryptMIME writes a PGP/MIME entity (RFC 3156 §4, §6.2): its Content-Type, an empty line, and
// its two parts. The caller writes the message's own fields before it. part is the finished inner
// entity, see [Protect]. It is signed by the role key and encrypted to exactly one recipient, and
// to the practice's own key if there is one; changes are noticed always, by MDC or, when all keys
// say that they know it, by AEAD. Memory does not depend on the size of part.
//
// After an error what was written is worth nothing. After success it is worth nothing either
// until [OpenMIME] has read it back.
func EncryptMIME(w io.Writer, part io.Reader, p PGP) (*Proof, error) {
	if err := checkBoundary(p.Boundary); err != nil {
		return nil, err
	}
	plan, err := p.plan()
	if err != nil {
		return nil, err
	}
	before, after := frame(p.Boundary)
	if _, err := io.WriteString(w, before); err != nil {
		return nil, fmt.Errorf("encrypt: write PGP/MIME: %w", err)
	}
	if err := plan.write(w, part); err != nil {
		plan.proof.Forget()
		return nil, fmt.Errorf("encrypt: write PGP/MIME: %w", err)
	}
	if _, err := io.WriteString(w, after); err != nil {
		plan.proof.Forget()
		return nil, fmt.Errorf("encrypt: write PGP/MIME: %w", err)
	}
	return plan.proof, nil
}

// frame is what stands around the armor. The file name is the one that most programs write: it
// tells nothing, and an app that does not know PGP/MIME can hand the file to one that does.
// There is no description, no date and no Version.
func frame(boundary string) (before, after string) {
	before = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"" + boundary + "\"\r\n" +
		"\r\n" +
		"--" + boundary + "\r\n" +
		"Content-Type: application/pgp-encrypted\r\n" +
		"\r\n" +
		"Version: 1\r\n" +
		"\r\n" +
		"--" + boundary + "\r\n" +
		"Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n" +
		"Content-Disposition: inline; filename=\"encrypted.asc\"\r\n" +
		"\r\n"
	return before, "\r\n--" + boundary + "--\r\n"
}

// checkBoundary refuses what would need quoting (RFC 2046 §5.1.1) or could be a line of armor.
func checkBoundary(b string) error {
	ok := len(b) > 0 && len(b) <= 70 && b[0] != '-'
	for i := 0; ok && i < len(b); i++ {
		c := b[i]
		ok = c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || bytes.IndexByte([]byte("'()+_,-./:=?"), c) >= 0
	}
	if !ok {
		return errors.New("encrypt: the boundary is not usable")
	}
	return nil
}

// plan is one encryption, with every key checked and the session key made.
type plan struct {
	to     []*openpgp.Entity
	signer *openpgp.Entity
	params *openpgp.EncryptParams
	proof  *Proof
}

func (p PGP) plan() (*plan, error) {
	if p.Recipient == nil || p.Role == nil {
		return nil, errors.New("encrypt: a recipient's key and a role key are needed")
	}
	if !p.Role.private {
		return nil, &KeyError{Fault: KeyNotPrivate, Fingerprint: p.Role.print}
	}
	role, err := p.Role.Public()
	if err != nil {
		return nil, err
	}
	x := &plan{proof: &Proof{boundary: p.Boundary, role: role, own: p.Own, signed: p.Now}}
	if x.signer, err = p.Role.entity(); err != nil {
		return nil, err
	}
	if _, ok := x.signer.SigningKey(p.Now, keyRules(p.Now)); !ok {
		return nil, fmt.Errorf("encrypt: the practice's key cannot sign: %w", p.Role.check(x.signer, mail.Address{}, p.Now))
	}
	if err := x.add(p.Recipient, p.Address, p.Now); err != nil {
		return nil, err
	}
	if p.Own != nil {
		if err := x.add(p.Own, mail.Address{}, p.Now); err != nil {
			return nil, err
		}
		if x.proof.recipients[0].KeyID == x.proof.recipients[1].KeyID {
			return nil, errors.New("encrypt: the recipient's key and the practice's own are the same")
		}
	}
	return x, x.chooseCipher(p.Now)
}

// add checks a key first: the library refuses the whole message for one bad key, and does not
// say which.
func (x *plan) add(k *Key, addr mail.Address, now time.Time) error {
	public, err := k.Public()
	if err != nil {
		return err
	}
	e, err := public.entity()
	if err != nil {
		return err
	}
	if err := public.check(e, addr, now); err != nil {
		return err
	}
	enc, err := e.EncryptionKeyWithError(now, keyRules(now))
	if err != nil {
		return &KeyError{Fault: selectionFault(err), Fingerprint: k.print}
	}
	x.to = append(x.to, e)
	x.proof.recipients = append(x.proof.recipients, SessionKeyPacket{
		KeyID: enc.PublicKey.KeyId, Fingerprint: enc.PublicKey.Fingerprint, Algorithm: uint8(enc.PublicKey.PubKeyAlgo),
	})
	return nil
}

// chooseCipher makes the session key here, so that it is there when the result is opened again.
// The choice is that of RFC 9580 §12.1: what all keys prefer, AES-256 before AES-128.
func (x *plan) chooseCipher(now time.Time) error {
	aes256, suite256, aead := true, true, true
	for _, e := range x.to {
		self, err := e.PrimarySelfSignature(now, keyRules(now))
		if err != nil {
			return fmt.Errorf("encrypt: preferences of a key: %w", err)
		}
		aead = aead && self.SEIPDv2
		aes256 = aes256 && bytes.IndexByte(self.PreferredSymmetric, byte(packet.CipherAES256)) >= 0
		one := false
		for _, s := range self.PreferredCipherSuites {
			one = one || packet.CipherFunction(s[0]) == packet.CipherAES256 && packet.AEADMode(s[1]) >= packet.AEADModeEAX && packet.AEADMode(s[1]) <= packet.AEADModeGCM
		}
		suite256 = suite256 && one
	}
	size, name := 16, constants.AES128
	if aead && suite256 || !aead && aes256 {
		size, name = 32, constants.AES256
	}
	key := make([]byte, size)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("encrypt: make a session key: %w", err)
	}
	version := 3
	if aead {
		name, version = "", 6 // the packet says the cipher itself
	}
	for i := range x.proof.recipients {
		r := &x.proof.recipients[i]
		r.Version = version
		if !aead {
			r.Fingerprint = nil // version 3 names it by its id alone
		}
	}
	x.proof.aead = aead
	x.proof.session = crypto.NewSessionKeyFromToken(key, name)
	config := keyRules(now)
	config.DefaultCipher = packet.CipherAES256
	config.AEADConfig = &packet.AEADConfig{}
	x.params = &openpgp.EncryptParams{
		Signers: []*openpgp.Entity{x.signer}, SessionKey: bytes.Clone(key), Config: config,
		Hints: &openpgp.FileHints{}, // no name, no time
	}
	clear(key)
	return nil
}

// write encrypts part into armor. A checksum helps old readers; new ones must not get it.
func (x *plan) write(w io.Writer, part io.Reader) error {
	out := newArmorWriter(w, "MESSAGE", !x.proof.aead)
	in, err := openpgp.EncryptWithParams(out, x.to, nil, x.params)
	clear(x.params.SessionKey)
	if err != nil {
		return err
	}
	digest := sha256.New()
	sampler := &sampler{}
	size, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(in, digest, sampler)}, struct{ io.Reader }{part}, make([]byte, 64<<10))
	if err != nil {
		return err
	}
	if err := in.Close(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	x.proof.size, x.proof.samples = size, sampler.samples
	digest.Sum(x.proof.digest[:0])
	return nil
}

// sampler keeps a few pieces of the plain text: one at the start, then ever farther apart.
type sampler struct {
	at, next int64
	samples  [][]byte
}

const sampleBytes = 24

func (s *sampler) Write(p []byte) (int, error) {
	if i := s.next - s.at; i >= 0 && i+sampleBytes <= int64(len(p)) {
		if x := p[i : i+sampleBytes]; varied(x) {
			s.samples = append(s.samples, bytes.Clone(x))
		}
		s.next = s.at + i + max(1<<10, 7*s.next)
	}
	s.at += int64(len(p))
	if s.next < s.at {
		s.next = s.at
	}
	return len(p), nil
}

// varied is false for a run of blanks or zeros, which ciphertext could hold by chance sooner
// than anything else.
func varied(b []byte) bool {
	different := 0
	for i, c := range b {
		if bytes.IndexByte(b[:i], c) < 0 {
			different++
		}
	}
	return different >= 6
}

// NotProved is a locked copy that is not, byte for byte, what was meant.
const NotProved Reason = "the locked copy is not what was meant"

func notProved(what string) error { return fmt.Errorf("encrypt: %w: %s", NotProved, what) }

// OpenMIME reads back what [EncryptMIME] wrote and proves what can be proved without the
// recipient's private key:
//
//   - around the armor stands what must stand there, and nothing else, to the last byte;
//   - the armor holds session-key packets for exactly the intended keys, in form and order, and
//     one packet of encrypted data that is protected against changes, and nothing behind it;
//   - that packet opens with the session key that was wrapped, by the library's other reader; the
//     content has the size and digest of what went in, and a valid signature by the role key;
//   - no piece of the content is found in what the armor holds;
//   - with the private part of the practice's own copy: it unwraps to the same session key.
//
// Not provable here is that the recipient's packet unwraps: only their key can show it.
func OpenMIME(r io.Reader, p *Proof) error {
	if p == nil || p.session == nil {
		return notProved("no proof")
	}
	before, after := frame(p.boundary)
	br := bufio.NewReaderSize(&watcher{r: r}, 64<<10)
	if err := expect(br, before); err != nil {
		return err
	}
	armored := &untilLine{r: br, stop: "-----END PGP MESSAGE-----\r\n"}
	ar := newArmorReader(armored, "MESSAGE")
	ar.plain = true
	raw := bufio.NewReaderSize(&watcher{r: ar, samples: p.samples}, 64<<10)
	if err := p.openPackets(raw); err != nil {
		return err
	}
	if _, err := raw.ReadByte(); !errors.Is(err, io.EOF) {
		return unproved(err, "bytes behind the encrypted data")
	}
	if err := expect(br, after); err != nil {
		return err
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		return unproved(err, "bytes behind the last boundary")
	}
	return nil
}

// DecryptMIME returns the part in what [EncryptMIME] wrote, opened with the recipient's private
// key and verified with the practice's. The gateway never has a recipient's: this is for whoever
// shows that a copy opens.
func DecryptMIME(r io.Reader, recipient, role *Key, now time.Time) ([]byte, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("encrypt: read PGP/MIME: %w", err)
	}
	start := bytes.Index(b, []byte("-----BEGIN PGP MESSAGE-----"))
	if start < 0 {
		return nil, notProved("no encrypted data")
	}
	m, err := crypto.NewPGPMessageFromArmored(string(b[start:]))
	if err != nil {
		return nil, notProved("no encrypted data")
	}
	own, err := recipient.ring()
	if err != nil {
		return nil, err
	}
	public, err := role.Public()
	if err != nil {
		return nil, err
	}
	signer, err := public.ring()
	if err != nil {
		return nil, err
	}
	plain, err := own.Decrypt(m, signer, now.Unix())
	if err != nil {
		return nil, fmt.Errorf("encrypt: open PGP/MIME: %w", err)
	}
	return plain.GetBinary(), nil
}

// unproved keeps trouble in reading apart from a wrong copy.
func unproved(err error, what string) error {
	if err == nil || isFormat(err) || errors.Is(err, NotProved) {
		return notProved(what)
	}
	return fmt.Errorf("encrypt: read the locked copy: %w", err)
}

// expect reads exactly s.
func expect(r io.Reader, s string) error {
	b := make([]byte, len(s))
	if _, err := io.ReadFull(r, b); err != nil {
		return unproved(err, "the frame ends early")
	}
	if string(b) != s {
		return notProved("the frame is not ours")
	}
	return nil
}

// openPackets reads the packets in the order in which they must come.
func (p *Proof) openPackets(raw *bufio.Reader) error {
	for i, want := range p.recipients {
		body, err := readPacket(raw, tagSessionKey)
		if err != nil {
			return err
		}
		if err := p.checkSessionKey(body, want, i); err != nil {
			return err
		}
	}
	head, err := raw.Peek(1)
	if err != nil {
		return unproved(err, "no encrypted data")
	}
	if head[0] != 0xC0|tagData {
		return notProved("another packet than encrypted data")
	}
	return p.openData(raw)
}

// readPacket reads a small packet of the given type.
func readPacket(raw *bufio.Reader, tag byte) ([]byte, error) {
	head, err := raw.ReadByte()
	if err != nil {
		return nil, unproved(err, "a packet is missing")
	}
	if head != 0xC0|tag {
		return nil, notProved("another packet than intended")
	}
	s := packetScanner{r: raw}
	if err := s.length(int(tag)); err != nil || s.left > 8<<10 {
		return nil, unproved(err, "a session-key packet is damaged")
	}
	body := make([]byte, s.left)
	if _, err := io.ReadFull(raw, body); err != nil {
		return nil, unproved(err, "a session-key packet is cut")
	}
	return body, nil
}

func (p *Proof) checkSessionKey(body []byte, want SessionKeyPacket, i int) error {
	s := packetScanner{r: bufio.NewReader(bytes.NewReader(body)), left: int64(len(body))}
	got, err := s.sessionKey()
	if err != nil {
		return notProved("a session-key packet is damaged")
	}
	if got.Version != want.Version || got.KeyID != want.KeyID || !bytes.Equal(got.Fingerprint, want.Fingerprint) || got.Algorithm != want.Algorithm {
		return notProved("a session key for another key than intended")
	}
	if bytes.Contains(body, p.session.Key) || s.left < int64(len(p.session.Key)) {
		return notProved("a session key that is not encrypted")
	}
	if i == 1 && p.own.private {
		return p.unwrap(body)
	}
	return nil
}

// unwrap opens the practice's own packet with its private key.
func (p *Proof) unwrap(body []byte) error {
	var b bytes.Buffer
	if err := writePacket(&b, tagSessionKey, body); err != nil {
		return err
	}
	parsed, err := packet.Read(&b)
	wrapped, ok := parsed.(*packet.EncryptedKey)
	if err != nil || !ok {
		return notProved("the own session key cannot be read")
	}
	e, err := p.own.entity()
	if err != nil {
		return err
	}
	for _, k := range e.DecryptionKeys(wrapped.KeyId, time.Time{}, nil) {
		if k.PrivateKey == nil || wrapped.Decrypt(k.PrivateKey, nil) != nil {
			continue
		}
		if subtle.ConstantTimeCompare(wrapped.Key, p.session.Key) == 1 {
			return nil
		}
	}
	return notProved("the own session key is another one")
}

// writePacket writes a packet shorter than 8,384 bytes (RFC 9580 §4.2.1).
func writePacket(w *bytes.Buffer, tag byte, body []byte) error {
	w.WriteByte(0xC0 | tag)
	switch n := len(body); {
	case n < 192:
		w.WriteByte(byte(n))
	case n < 8384:
		w.WriteByte(byte((n-192)>>8) + 192)
		w.WriteByte(byte(n - 192))
	default:
		return notProved("a session-key packet is too long")
	}
	w.Write(body)
	return nil
}

// openData decrypts and compares. The reader is gopenpgp's, the writer was go-crypto's newer one:
// one of them being wrong does not go unnoticed.
func (p *Proof) openData(raw *bufio.Reader) error {
	ring, err := p.role.ring()
	if err != nil {
		return err
	}
	plain, err := p.session.DecryptStream(raw, ring, p.signed.Unix())
	if err != nil {
		return unproved(rooted(err), "the encrypted data does not open")
	}
	digest := sha256.New()
	size, err := io.CopyBuffer(digest, struct{ io.Reader }{plain}, make([]byte, 64<<10))
	if err != nil {
		return unproved(rooted(err), "the encrypted data does not open")
	}
	if size != p.size || !bytes.Equal(digest.Sum(nil), p.digest[:]) {
		return notProved("the content is another one")
	}
	if m := plain.GetMetadata(); m.Filename != "" || m.ModTime != 0 || !m.IsBinary {
		return notProved("the content has a name or a time")
	}
	if err := plain.VerifySignature(); err != nil {
		return notProved("the signature is not valid")
	}
	return nil
}

// rooted finds in a chain of errors the one that says whose fault it is: one of input and output,
// or one of the format.
func rooted(err error) error {
	var trouble *readError
	if errors.As(err, &trouble) {
		return trouble
	}
	return NotProved
}

// ring is the key for gopenpgp.
func (k *Key) ring() (*crypto.KeyRing, error) {
	key, err := crypto.NewKey(k.packets)
	if err != nil {
		return nil, &KeyError{Fault: KeyUnreadable, Fingerprint: k.print}
	}
	return crypto.NewKeyRing(key)
}

// readError is trouble below us, marked so that it is found again behind the library.
type readError struct{ err error }

func (e *readError) Error() string { return "encrypt: read: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// watcher looks for pieces of the plain text in what passes.
type watcher struct {
	r       io.Reader
	samples [][]byte
	tail    []byte
	err     error
}

func (w *watcher) Read(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.r.Read(b)
	if n > 0 {
		seam := append(bytes.Clone(w.tail), b[:min(n, sampleBytes)]...)
		for _, s := range w.samples {
			if bytes.Contains(b[:n], s) || bytes.Contains(seam, s) {
				w.err = notProved("plain text in the locked copy")
				return 0, w.err
			}
		}
		w.tail = append(w.tail, b[:n]...)
		w.tail = append([]byte(nil), w.tail[max(0, len(w.tail)-sampleBytes+1):]...)
	}
	if err != nil && !errors.Is(err, io.EOF) && !isFormat(err) && !errors.Is(err, NotProved) {
		err = &readError{err}
	}
	w.err = err
	return n, err
}

// untilLine gives the lines of r up to and with one, and leaves what follows.
type untilLine struct {
	r    *bufio.Reader
	stop string
	out  []byte
	done bool
}

func (u *untilLine) Read(p []byte) (int, error) {
	if len(u.out) == 0 {
		if u.done {
			return 0, io.EOF
		}
		line, err := u.r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF) {
				err = errArmor
			}
			return 0, err
		}
		u.out, u.done = line, string(line) == u.stop
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}
