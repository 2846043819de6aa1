package encrypt_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/ProtonMail/gopenpgp/v2/crypto"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/mail"
)

func now() time.Time { return time.Date(2026, 3, 10, 9, 30, 0, 0, time.UTC) }

const (
	client = "robin@client.example"
	alias  = "hello@north.example"
)

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// clientConfig is how a client's key is made unless a test wants another one.
func clientConfig() *packet.Config {
	return &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519, Time: func() time.Time { return now().Add(-24 * time.Hour) },
		DefaultCipher: packet.CipherAES256}
}

func entity(t testing.TB, addr string, config *packet.Config) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("", "", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func packetsOf(t testing.TB, e *openpgp.Entity, private bool) []byte {
	t.Helper()
	var b bytes.Buffer
	err := e.Serialize(&b)
	if private {
		b.Reset()
		err = e.SerializePrivateWithoutSigning(&b, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func public(t testing.TB, e *openpgp.Entity) *encrypt.Key {
	t.Helper()
	k, err := encrypt.ParseKey(bytes.NewReader(packetsOf(t, e, false)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func roleKey(t testing.TB) *encrypt.Key {
	t.Helper()
	k, err := encrypt.NewRoleKey("Maya", address(t, alias), now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pgp is an encryption to one client, and the client's private key.
func pgp(t testing.TB, config *packet.Config) (encrypt.PGP, *openpgp.Entity) {
	t.Helper()
	e := entity(t, client, config)
	return encrypt.PGP{Recipient: public(t, e), Address: address(t, client), Role: roleKey(t), Boundary: "=_b.1", Now: now()}, e
}

const letter = "Content-Type: text/plain; charset=utf-8; hp=cipher\r\nSubject: The letter for the panel\r\n\r\nDear Robin,\r\n\r\nthe canary sings at dawn.\r\n"

// armorOf cuts the armor out of an entity.
func armorOf(t testing.TB, b []byte) []byte {
	t.Helper()
	const begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----\r\n"
	i, j := bytes.Index(b, []byte(begin)), bytes.Index(b, []byte(end))
	if i < 0 || j < 0 {
		t.Fatalf("no armor in:\n%s", b)
	}
	return b[i : j+len(end)]
}

// read opens the message with a private key, with the library alone.
func read(t testing.TB, b []byte, keys ...*openpgp.Entity) (*openpgp.MessageDetails, string) {
	t.Helper()
	m, err := encryptedBlock(armorOf(t, b))
	if err != nil {
		t.Fatal(err)
	}
	md, err := openpgp.ReadMessage(m, openpgp.EntityList(keys), nil, &packet.Config{Time: now})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(md.UnverifiedBody)
	if err != nil {
		t.Fatal(err)
	}
	return md, string(plain)
}

func TestEncryptMIME(t *testing.T) {
	t.Parallel()
	seipd2 := clientConfig()
	seipd2.AEADConfig = &packet.AEADConfig{}
	v6 := clientConfig()
	v6.V6Keys, v6.Algorithm, v6.AEADConfig = true, packet.PubKeyAlgoEd25519, &packet.AEADConfig{}
	rsa := clientConfig()
	rsa.Algorithm, rsa.RSABits = packet.PubKeyAlgoRSA, 2048
	for name, config := range map[string]*packet.Config{"x25519": clientConfig(), "advertises AEAD": seipd2, "version 6": v6, "RSA": rsa} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, own copy %v", name, own), func(t *testing.T) {
				t.Parallel()
				p, e := pgp(t, config)
				aead := config.AEADConfig != nil && !own
				keys := 1
				if own {
					p.Own = roleKey(t)
					keys = 2
				}
				var b bytes.Buffer
				proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
				if err != nil {
					t.Fatal(err)
				}
				if err := encrypt.OpenMIME(bytes.NewReader(b.Bytes()), proof); err != nil {
					t.Errorf("not proved: %v", err)
				}
				l, err := encrypt.ListPackets(bytes.NewReader(armorOf(t, b.Bytes())))
				if err != nil || len(l.SessionKeys) != keys || l.Passwords != 0 || !l.Integrity || l.AEAD != aead {
					t.Errorf("%+v, %v", l, err)
				}
				if err := l.OnlyFor(p.Recipient, p.Own); err != nil {
					t.Error(err)
				}
				role := openEntity(t, p.Role)
				md, plain := read(t, b.Bytes(), e, role)
				if plain != letter || md.SignatureError != nil || !md.IsSigned || !md.IsVerified {
					t.Errorf("%q, signature %v", plain, md.SignatureError)
				}
				if md.LiteralData.FileName != "" || md.LiteralData.Time != 0 {
					t.Errorf("the literal packet has %q, %d", md.LiteralData.FileName, md.LiteralData.Time)
				}
				if s := b.String(); strings.Contains(s, "Version: G") || strings.Contains(s, "Comment") || strings.Contains(s, "canary") || strings.Contains(s, "panel") {
					t.Error(s)
				}
				structure(t, b.Bytes())
			})
		}
	}
}

// structure holds what Thunderbird asks of PGP/MIME (RFC 3156 §4): type, protocol, two parts in
// order with their types, Version: 1, armor as the only content of the second.
func structure(t testing.TB, b []byte) {
	t.Helper()
	m, err := mail.Parse(bytes.NewReader(b), int64(len(b)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if m.Root.MediaType != "multipart/encrypted" || m.Root.Params["protocol"] != "application/pgp-encrypted" || len(m.Root.Parts) != 2 {
		t.Fatalf("%s %v, %d parts", m.Root.MediaType, m.Root.Params, len(m.Root.Parts))
	}
	for i, want := range []string{"application/pgp-encrypted", "application/octet-stream"} {
		if p := m.Root.Parts[i]; p.MediaType != want || len(p.Parts) != 0 {
			t.Errorf("part %d: %s", i, p.MediaType)
		}
	}
	control, err := io.ReadAll(m.Decode(m.Root.Parts[0]))
	if err != nil || string(bytes.TrimSpace(control)) != "Version: 1" {
		t.Errorf("control part %q, %v", control, err)
	}
	body, err := io.ReadAll(m.Decode(m.Root.Parts[1]))
	if err != nil || !bytes.HasPrefix(body, []byte("-----BEGIN PGP MESSAGE-----\r\n\r\n")) || !bytes.HasSuffix(bytes.TrimSpace(body), []byte("-----END PGP MESSAGE-----")) {
		t.Errorf("second part begins %.60q", body)
	}
	if !m.Encrypted() {
		t.Error("mail does not see that it is encrypted")
	}
	for line := range bytes.Lines(b) {
		if len(line) > 78 || !bytes.HasSuffix(line, []byte("\r\n")) {
			t.Errorf("line %q", line)
		}
	}
	if l, err := encrypt.ListMessage(m); err != nil || len(l.SessionKeys) == 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

// Keys that cannot be used stop the message before a byte is written, and are named.
func TestBadKeysEncryptNothing(t *testing.T) {
	t.Parallel()
	good, _ := pgp(t, clientConfig())
	expired := clientConfig()
	expired.KeyLifetimeSecs = 60
	other := good
	other.Address = address(t, "sam@client.example")
	late := good
	late.Recipient = public(t, entity(t, client, expired))
	unsigned := good
	unsigned.Role = good.Recipient
	same := good
	same.Own = good.Recipient
	odd := good
	odd.Boundary = "-x"
	none := good
	none.Recipient = nil
	for name, c := range map[string]struct {
		p     encrypt.PGP
		fault encrypt.KeyFault
		other bool
	}{
		"wrong user id":       {other, encrypt.KeyWrongUserID, false},
		"expired":             {late, encrypt.KeyExpired, false},
		"public role key":     {unsigned, encrypt.KeyNotPrivate, false},
		"one key twice":       {same, 0, true},
		"boundary like armor": {odd, 0, true},
		"no key":              {none, 0, true},
	} {
		var b bytes.Buffer
		_, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), c.p)
		var k *encrypt.KeyError
		switch {
		case b.Len() != 0:
			t.Errorf("%s: wrote %q", name, b.String())
		case c.other && err == nil, !c.other && (!errors.As(err, &k) || k.Fault != c.fault || k.Fingerprint == ""):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing fails after n bytes, or says that it wrote less.
type failing struct {
	n     int
	short bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		if f.short {
			return len(p) / 2, nil
		}
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestFailingWriter(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	big := strings.Repeat(letter, 2000)
	for _, n := range []int{0, 100, 500, 600, 20_000, 100_000, 200_000} {
		for _, short := range []bool{false, true} {
			if proof, err := encrypt.EncryptMIME(&failing{n, short}, strings.NewReader(big), p); err == nil || proof != nil {
				t.Errorf("after %d bytes, short %v: %v", n, short, err)
			}
		}
	}
	broken := io.MultiReader(strings.NewReader(big), &brokenReader{})
	if proof, err := encrypt.EncryptMIME(io.Discard, broken, p); err == nil || proof != nil {
		t.Errorf("a reader that breaks: %v", err)
	}
}

type brokenReader struct{}

func (*brokenReader) Read([]byte) (int, error) { return 0, errors.New("the spool cannot be read") }

// What is not, byte for byte, what was meant is not proved: the plain text, a message for
// somebody else, a cut or changed one, one with something beside it.
func TestOpenMIMERefuses(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	p.Own = roleKey(t)
	var b bytes.Buffer
	proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
	if err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	again := func(change func(*encrypt.PGP), text string) []byte {
		q := p
		change(&q)
		var b bytes.Buffer
		if _, err := encrypt.EncryptMIME(&b, strings.NewReader(text), q); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	replace := func(old, with string) []byte {
		out := bytes.Replace(good, []byte(old), []byte(with), 1)
		if bytes.Equal(out, good) {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	raw := decodeArmor(t, armorOf(t, good))
	armored := func(raw []byte) []byte {
		return bytes.Replace(good, armorOf(t, good), encodeArmor(t, raw), 1)
	}
	stranger := public(t, entity(t, client, clientConfig()))
	for name, x := range map[string][]byte{
		"nothing":                  nil,
		"the plain text":           []byte(letter),
		"the plain text in armor":  armored([]byte(letter)),
		"plain text behind it":     slicesJoin(good, []byte(letter)),
		"plain text before it":     slicesJoin([]byte(letter), good),
		"another session key":      again(func(*encrypt.PGP) {}, letter),
		"no own copy":              again(func(q *encrypt.PGP) { q.Own = nil }, letter),
		"another recipient":        again(func(q *encrypt.PGP) { q.Recipient = stranger }, letter),
		"Version in the armor":     replace("MESSAGE-----\r\n\r\n", "MESSAGE-----\r\nVersion: X\r\n\r\n"),
		"another boundary":         bytes.ReplaceAll(good, []byte("=_b.1"), []byte("=_b.2")),
		"line ends":                bytes.ReplaceAll(good, []byte("\r\n"), []byte("\n")),
		"cut in the middle":        good[:len(good)/2],
		"cut before the last line": good[:len(good)-5],
		"second packet sequence":   armored(slicesJoin(raw, raw)),
		"literal packet behind":    armored(slicesJoin(raw, []byte{0xCB, 8, 'b', 0, 0, 0, 0, 0, 'h', 'i'})),
		"literal packet before":    armored(slicesJoin([]byte{0xCB, 8, 'b', 0, 0, 0, 0, 0, 'h', 'i'}, raw)),
		"session keys left out":    armored(raw[2*(2+int(raw[1])):]),
	} {
		if err := encrypt.OpenMIME(bytes.NewReader(x), proof); !errors.Is(err, encrypt.NotProved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := encrypt.OpenMIME(bytes.NewReader(good), proof); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if err := encrypt.OpenMIME(io.MultiReader(bytes.NewReader(good[:900]), &brokenReader{}), proof); err == nil {
		t.Error("a reader that breaks proves nothing")
	}
	proof.Forget()
	if err := encrypt.OpenMIME(bytes.NewReader(good), proof); !errors.Is(err, encrypt.NotProved) {
		t.Errorf("without the session key: %v", err)
	}
}

// One changed byte anywhere is noticed.
func TestOpenMIMESeesEveryByte(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	p.Own = roleKey(t)
	var b bytes.Buffer
	proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
	if err != nil {
		t.Fatal(err)
	}
	// The recipient's wrapped session key can be judged by nobody but the recipient; armor has a
	// checksum, so even that is seen here.
	rapid.Check(t, func(t *rapid.T) {
		x := bytes.Clone(b.Bytes())
		i := rapid.IntRange(0, len(x)-1).Draw(t, "at")
		x[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if err := encrypt.OpenMIME(bytes.NewReader(x), proof); err == nil {
			t.Fatalf("byte %d of %d changed to %q", i, len(x), x[i])
		}
	})
}

// lines is a large text that is not in memory.
type lines struct{ n int64 }

func (l *lines) Read(p []byte) (int, error) {
	if l.n <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), l.n)]
	for i := range p {
		p[i] = 'a' + byte((l.n+int64(i)*7)%23)
	}
	l.n -= int64(len(p))
	return len(p), nil
}

// counted counts what passes a reader or a writer.
type counted struct {
	r        io.Reader
	w        io.Writer
	in, out  *int64
	farthest *int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.in += int64(n)
	*c.farthest = max(*c.farthest, *c.in-*c.out*3/4)
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	*c.out += int64(len(p))
	return c.w.Write(p)
}

// Nothing is kept: of 24 MiB never more than 1 MiB was read and not yet written, and reading it
// back holds no more.
func TestEncryptStreams(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	c := counted{r: &lines{n: 24 << 20}, in: new(int64), out: new(int64), farthest: new(int64)}
	r, w := io.Pipe()
	c.w = w
	made := make(chan *encrypt.Proof, 1)
	go func() {
		proof, err := encrypt.EncryptMIME(c, c, p)
		w.CloseWithError(err)
		made <- proof
	}()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if (<-made) == nil || *c.in != 24<<20 || *c.farthest > 1<<20 {
		t.Errorf("%d bytes read, at most %d held", *c.in, *c.farthest)
	}
}

// Any content of any size comes out as it went in.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	p, e := pgp(t, clientConfig())
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 100_000).Draw(rt, "size")
		content := make([]byte, n)
		rand.Read(content)
		var b bytes.Buffer
		proof, err := encrypt.EncryptMIME(&b, bytes.NewReader(content), p)
		if err != nil {
			rt.Fatal(err)
		}
		if err := encrypt.OpenMIME(&b2{bytes.NewReader(b.Bytes())}, proof); err != nil {
			rt.Fatal(err)
		}
		if _, plain := read(t, b.Bytes(), e); plain != string(content) {
			rt.Fatalf("%d bytes came back as %d", n, len(plain))
		}
	})
}

// b2 reads in small odd pieces.
type b2 struct{ r io.Reader }

func (b *b2) Read(p []byte) (int, error) { return b.r.Read(p[:min(len(p), 777)]) }

// A writer that keeps the form and the session key, and goes wrong inside: everything but the
// content as meant, signed by the role key, without a name, for the intended keys, is seen.
func TestOpenMIMELooksInside(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	p.Own = roleKey(t)
	var b bytes.Buffer
	proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
	if err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	raw := decodeArmor(t, armorOf(t, good))
	one := 2 + int(raw[1])
	keys := raw[:2*one]
	data := func(text, name string, signer *encrypt.Key) []byte {
		var ring *crypto.KeyRing
		if signer != nil {
			private, err := signer.Private()
			if err != nil {
				t.Fatal(err)
			}
			key, err := crypto.NewKey(private)
			if err != nil {
				t.Fatal(err)
			}
			if ring, err = crypto.NewKeyRing(key); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		w, err := proof.SessionKey().EncryptStream(&out, crypto.NewPlainMessageMetadata(true, name, 0), ring)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	changed := func(i int) []byte {
		x := bytes.Clone(raw)
		x[i] ^= 1
		return x
	}
	clearKey := bytes.Clone(raw)
	copy(clearKey[one-40:one], proof.SessionKey().Key)
	content := bytes.Clone(raw)
	copy(content[one-40:one], letter)
	for name, c := range map[string]struct {
		raw []byte
		ok  bool
	}{
		"content in a session key":      {content, false},
		"as it was":                     {raw, true},
		"made again":                    {slicesJoin(keys, data(letter, "", p.Role)), true},
		"other content":                 {slicesJoin(keys, data(letter+"!", "", p.Role)), false},
		"no content":                    {slicesJoin(keys, data("", "", p.Role)), false},
		"not signed":                    {slicesJoin(keys, data(letter, "", nil)), false},
		"signed by another key":         {slicesJoin(keys, data(letter, "", roleKey(t))), false},
		"with a file name":              {slicesJoin(keys, data(letter, "letter.txt", p.Role)), false},
		"another key id":                {changed(5), false},
		"another algorithm":             {changed(11), false},
		"own session key damaged":       {changed(2*one - 3), false},
		"own session key left out":      {slicesJoin(raw[:one], raw[2*one:]), false},
		"recipient's left out":          {raw[one:], false},
		"session keys in another order": {slicesJoin(raw[one:2*one], raw[:one], raw[2*one:]), false},
		"a third one":                   {slicesJoin(raw[:one], raw), false},
		"session key in clear":          {clearKey, false},
		"last byte changed":             {changed(len(raw) - 1), false},
	} {
		x := bytes.Replace(good, armorOf(t, good), encodeArmor(t, c.raw), 1)
		if err := encrypt.OpenMIME(bytes.NewReader(x), proof); c.ok && err != nil || !c.ok && !errors.Is(err, encrypt.NotProved) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key is shared by all messages in work.
func TestKeysAreShared(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	p.Own = roleKey(t)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			var b bytes.Buffer
			proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
			if err != nil {
				return err
			}
			if _, err := p.Recipient.Inspect(now()); err != nil {
				return err
			}
			return encrypt.OpenMIME(&b, proof)
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
