package encrypt_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/mail"
)

// sealed is a message as a mail app would make it.
func sealed(t testing.TB, to, hidden []*openpgp.Entity, params *openpgp.EncryptParams) []byte {
	t.Helper()
	if params == nil {
		params = &openpgp.EncryptParams{}
	}
	params.Config = clientConfig()
	var b bytes.Buffer
	w, err := openpgp.EncryptWithParams(&b, to, hidden, params)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, letter)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Mail that the mail app encrypted passes whole only if nobody but the recipient and the
// submitter can read it (B43).
func TestOnlyFor(t *testing.T) {
	t.Parallel()
	robin, maya, third := entity(t, client, clientConfig()), entity(t, "maya@practice.example", clientConfig()), entity(t, "x@other.example", clientConfig())
	list := func(e ...*openpgp.Entity) []*openpgp.Entity { return e }
	for name, c := range map[string]struct {
		b     []byte
		alone bool // passes without a submitter's key
		own   bool // passes with it
	}{
		"to the recipient":          {sealed(t, list(robin), nil, nil), true, true},
		"and the submitter":         {sealed(t, list(robin, maya), nil, nil), false, true},
		"only to the submitter":     {sealed(t, list(maya), nil, nil), false, false},
		"to somebody else":          {sealed(t, list(third), nil, nil), false, false},
		"and to somebody else":      {sealed(t, list(robin, maya, third), nil, nil), false, false},
		"and to somebody hidden":    {sealed(t, list(robin), list(third), nil), false, false},
		"to the recipient, hidden":  {sealed(t, nil, list(robin), nil), false, false},
		"and to whoever has a word": {sealed(t, list(robin), nil, &openpgp.EncryptParams{Passwords: [][]byte{[]byte("word")}}), false, false},
	} {
		for i, file := range [][]byte{c.b, armored(t, "PGP MESSAGE", c.b)} {
			l, err := encrypt.ListPackets(bytes.NewReader(file))
			if err != nil {
				t.Errorf("%s, %d: %v", name, i, err)
				continue
			}
			if err := l.OnlyFor(public(t, robin), nil); (err == nil) != c.alone {
				t.Errorf("%s, %d: %v", name, i, err)
			}
			if err := l.OnlyFor(public(t, robin), public(t, maya)); (err == nil) != c.own {
				t.Errorf("%s, %d, with the submitter's key: %v", name, i, err)
			}
		}
	}
}

func TestListPacketsRefuses(t *testing.T) {
	t.Parallel()
	robin := entity(t, client, clientConfig())
	good := sealed(t, []*openpgp.Entity{robin}, nil, nil)
	data := good[2+int(good[1]):] // behind one short session-key packet
	literal := []byte{0xCB, 8, 'b', 0, 0, 0, 0, 0, 'h', 'i'}
	text := armored(t, "PGP MESSAGE", good)
	for name, b := range map[string][]byte{
		"nothing":                           nil,
		"a letter":                          []byte("Dear Robin,"),
		"a literal packet":                  literal,
		"a key":                             packetsOf(t, robin, false),
		"a session key alone":               good[:len(good)-len(data)],
		"twice":                             slicesJoin(good, good),
		"a literal packet behind":           slicesJoin(good, literal),
		"a literal packet before":           slicesJoin(literal, good),
		"cut":                               good[:len(good)-3],
		"text before the armor":             append([]byte("Dear Robin,\n"), text...),
		"text behind the armor":             append(bytes.Clone(text), "the rest is in clear\n"...),
		"two blocks":                        slicesJoin(text, text),
		"another kind of block":             bytes.ReplaceAll(text, []byte("PGP MESSAGE"), []byte("PGP SIGNATURE")),
		"without its last line":             bytes.TrimSuffix(text, []byte("-----END PGP MESSAGE-----\n")),
		"a wrong checksum":                  wrongChecksum(text),
		"a session key in pieces":           slicesJoin([]byte{0xC1, 0xE0, 3}, good[2:]),
		"a hundred session keys":            slicesJoin(bytes.Repeat(good[:len(good)-len(data)], 100), data),
		"a data packet of no known version": slicesJoin(good[:len(good)-len(data)], []byte{0xD2, 2, 9, 9}),
	} {
		if l, err := encrypt.ListPackets(bytes.NewReader(b)); !errors.Is(err, encrypt.NotEncrypted) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	if _, err := encrypt.ListPackets(io.MultiReader(bytes.NewReader(good[:100]), &brokenReader{})); err == nil || errors.Is(err, encrypt.NotEncrypted) {
		t.Errorf("a reader that breaks: %v", err)
	}
	// Without protection against changes the old way of encrypting is listed, and does not pass.
	old := slicesJoin(good[:len(good)-len(data)], append([]byte{0xC9, 60}, make([]byte, 60)...))
	l, err := encrypt.ListPackets(bytes.NewReader(old))
	if err != nil || l.Integrity || l.OnlyFor(public(t, robin), nil) == nil {
		t.Errorf("%+v, %v", l, err)
	}
}

func wrongChecksum(text []byte) []byte {
	i := bytes.LastIndex(text, []byte("\n=")) + 2
	out := bytes.Clone(text)
	if out[i] == 'A' {
		out[i] = 'B'
	} else {
		out[i] = 'A'
	}
	return out
}

func TestListMessage(t *testing.T) {
	t.Parallel()
	robin := entity(t, client, clientConfig())
	text := string(armored(t, "PGP MESSAGE", sealed(t, []*openpgp.Entity{robin}, nil, nil)))
	pgpmime := func(protocol, control, first, second string) string {
		return "From: maya@practice.example\r\nSubject: Hello\r\nContent-Type: multipart/encrypted; protocol=\"" + protocol + "\"; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: " + first + "\r\n\r\n" + control + "\r\n--b\r\nContent-Type: " + second + "\r\n\r\n" + text + "\r\n--b--\r\n"
	}
	const a, o = "application/pgp-encrypted", "application/octet-stream"
	for name, c := range map[string]struct {
		mail string
		ok   bool
	}{
		"PGP/MIME":              {pgpmime(a, "Version: 1", a, o), true},
		"another protocol":      {pgpmime("application/x", "Version: 1", a, o), false},
		"another version":       {pgpmime(a, "Version: 2", a, o), false},
		"parts of another type": {pgpmime(a, "Version: 1", "text/plain", o), false},
		"a text where data is":  {pgpmime(a, "Version: 1", a, "text/plain"), false},
		"text as armor":         {"Subject: x\r\n\r\n" + text, true},
		"a letter with armor":   {"Subject: x\r\n\r\nDear Robin,\r\n" + text, false},
		"the subject says so":   {"Subject: -----BEGIN PGP MESSAGE-----\r\n\r\nDear Robin,\r\n", false},
		"three parts":           {strings.Replace(pgpmime(a, "Version: 1", a, o), "--b--", "--b\r\n\r\nin clear\r\n--b--", 1), false},
		"HTML around it":        {"Content-Type: text/html\r\n\r\n" + text, false},
	} {
		m, err := mail.Parse(strings.NewReader(c.mail), int64(len(c.mail)), mail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		l, err := encrypt.ListMessage(m)
		if c.ok && (err != nil || l.OnlyFor(public(t, robin), nil) != nil) || !c.ok && !errors.Is(err, encrypt.NotEncrypted) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// The packet lister ends on anything, and agrees with the library about whose session keys
// there are.
func FuzzListPackets(f *testing.F) {
	robin, maya := entity(f, client, clientConfig()), entity(f, "maya@practice.example", clientConfig())
	good := sealed(f, []*openpgp.Entity{robin, maya}, nil, nil)
	f.Add(good)
	f.Add(armored(f, "PGP MESSAGE", good))
	f.Add([]byte{0xC3, 1, 4, 0xD2, 0xE0, 1, 0})
	f.Add([]byte{0x84, 1, 3, 0xA7})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := encrypt.ListPackets(bytes.NewReader(b))
		if err != nil {
			return
		}
		raw := b
		if len(b) > 0 && b[0]&0x80 == 0 {
			r, err := encryptedBlock(b)
			if err != nil {
				return
			}
			if raw, err = io.ReadAll(r); err != nil {
				return
			}
		}
		var ids []uint64
		packets := packet.NewReader(bytes.NewReader(raw))
		for {
			p, err := packets.Next()
			if err != nil {
				break
			}
			if k, ok := p.(*packet.EncryptedKey); ok {
				ids = append(ids, k.KeyId)
			}
		}
		// The library passes over session keys that it does not know; what it knows we list too.
		for _, id := range ids {
			found := false
			for _, k := range l.SessionKeys {
				found = found || k.KeyID == id
			}
			if !found {
				t.Fatalf("%X is not listed in %+v", id, l)
			}
		}
	})
}
