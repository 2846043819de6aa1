package encrypt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/mail"
)

// signOnly takes the part that encrypts away.
func signOnly(t testing.TB) *openpgp.Entity {
	t.Helper()
	e := entity(t, client, clientConfig())
	e.Subkeys = nil
	return e
}

func revoked(t testing.TB, at time.Time) *openpgp.Entity {
	t.Helper()
	e := entity(t, client, clientConfig())
	config := clientConfig()
	config.Time = func() time.Time { return at }
	if err := e.Revoke(packet.KeySuperseded, "", config); err != nil {
		t.Fatal(err)
	}
	return e
}

// A key that cannot be used says why, and which key it is, and never a name (B52).
func TestCheckKey(t *testing.T) {
	t.Parallel()
	with := func(change func(*packet.Config)) *openpgp.Entity {
		c := clientConfig()
		change(c)
		return entity(t, client, c)
	}
	twoIDs := entity(t, "old@client.example", clientConfig())
	if err := twoIDs.AddUserId("Robin Client", "", client, clientConfig()); err != nil {
		t.Fatal(err)
	}
	const fine = encrypt.KeyFault(99)
	for name, c := range map[string]struct {
		e    *openpgp.Entity
		addr string
		want encrypt.KeyFault
	}{
		"good":                   {entity(t, client, clientConfig()), client, fine},
		"other letters' case":    {entity(t, "Robin@Client.Example", clientConfig()), client, fine},
		"second user id":         {twoIDs, client, fine},
		"lives still":            {with(func(c *packet.Config) { c.KeyLifetimeSecs = 90_000 }), client, fine},
		"expired":                {with(func(c *packet.Config) { c.KeyLifetimeSecs = 3600 }), client, encrypt.KeyExpired},
		"revoked":                {revoked(t, now().Add(-time.Hour)), client, encrypt.KeyRevoked},
		"from tomorrow":          {with(func(c *packet.Config) { c.Time = func() time.Time { return now().Add(24 * time.Hour) } }), client, encrypt.KeyNotYetValid},
		"sign-only":              {signOnly(t), client, encrypt.KeySignOnly},
		"RSA of 1024 bits":       {with(func(c *packet.Config) { c.Algorithm, c.RSABits = packet.PubKeyAlgoRSA, 1024 }), client, encrypt.KeyTooWeak},
		"wrong person":           {entity(t, "sam@client.example", clientConfig()), client, encrypt.KeyWrongUserID},
		"wrong domain":           {entity(t, "robin@other.example", clientConfig()), client, encrypt.KeyWrongUserID},
		"address as part of one": {entity(t, "x"+client, clientConfig()), client, encrypt.KeyWrongUserID},
	} {
		k := public(t, c.e)
		err := k.Check(address(t, c.addr), now())
		var got *encrypt.KeyError
		switch {
		case c.want == fine:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &got) || got.Fault != c.want || got.Fingerprint != k.Fingerprint():
			t.Errorf("%s: %v", name, err)
		case got.Fault == encrypt.KeyExpired && !got.At.Equal(now().Add(-23*time.Hour)):
			t.Errorf("%s: at %v", name, got.At)
		case strings.Contains(err.Error(), "@") || strings.Contains(strings.ToLower(err.Error()), "robin"):
			t.Errorf("%s: the error names a person: %v", name, err)
		}
		info, err := k.Inspect(now())
		if err != nil || info.Fingerprint != k.Fingerprint() || len(info.UserIDs) == 0 || info.Private {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if info.Revoked != (c.want == encrypt.KeyRevoked) || info.CanEncrypt != (c.want == fine || c.want == encrypt.KeyWrongUserID) {
			t.Errorf("%s: %+v", name, info)
		}
	}
}

// A user id that its own key did not sign is nobody's.
func TestForgedUserID(t *testing.T) {
	t.Parallel()
	e := entity(t, "mallory@other.example", clientConfig())
	if err := e.AddUserId("", "", "m@other.example", clientConfig()); err != nil {
		t.Fatal(err)
	}
	for _, id := range e.Identities {
		if id.UserId.Id == "<m@other.example>" {
			id.UserId.Id = "<" + client + ">" // the signature is over another one
		}
	}
	k, err := encrypt.ParseKey(bytes.NewReader(packetsOf(t, e, false)))
	if err != nil {
		t.Fatal(err)
	}
	var bad *encrypt.KeyError
	if err := k.Check(address(t, client), now()); !errors.As(err, &bad) || bad.Fault != encrypt.KeyWrongUserID {
		t.Errorf("%v", err)
	}
	info, err := k.Inspect(now())
	if err != nil || len(info.UserIDs) != 1 {
		t.Errorf("%+v, %v", info, err)
	}
}

func armored(t testing.TB, kind string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := armor.Encode(&out, kind, map[string]string{"Comment": "Robin's key"})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return append(out.Bytes(), '\n')
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	e := entity(t, client, clientConfig())
	bin, private := packetsOf(t, e, false), packetsOf(t, e, true)
	second := packetsOf(t, entity(t, client, clientConfig()), false)
	text := armored(t, "PGP PUBLIC KEY BLOCK", bin)
	const fine = encrypt.KeyFault(99)
	unknownKind := append([]byte{0xC6, 6, 4, 0, 0, 0, 0, 77}, bin...)
	for name, c := range map[string]struct {
		file []byte
		want encrypt.KeyFault
	}{
		"binary":                       {bin, fine},
		"armored":                      {text, fine},
		"armored, with a letter":       {append([]byte("Here is my key.\n\n"), text...), fine},
		"with CRLF":                    {bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), fine},
		"nothing":                      {nil, encrypt.KeyUnreadable},
		"a letter":                     {[]byte("Here is my key."), encrypt.KeyUnreadable},
		"cut":                          {bin[:len(bin)-30], encrypt.KeyUnreadable},
		"cut armor":                    {text[:len(text)/2], encrypt.KeyUnreadable},
		"a message":                    {armored(t, "PGP MESSAGE", bin), encrypt.KeyUnreadable},
		"private":                      {private, encrypt.KeyPrivate},
		"private, armored":             {armored(t, "PGP PRIVATE KEY BLOCK", private), encrypt.KeyPrivate},
		"private, called public":       {armored(t, "PGP PUBLIC KEY BLOCK", private), encrypt.KeyPrivate},
		"two keys":                     {slicesJoin(bin, second), encrypt.KeySeveral},
		"two blocks":                   {slicesJoin(text, armored(t, "PGP PUBLIC KEY BLOCK", second)), encrypt.KeySeveral},
		"one and one of unknown kind":  {unknownKind, encrypt.KeySeveral},
		"public and private":           {slicesJoin(bin, private), encrypt.KeySeveral},
		"ten megabytes":                {bytes.Repeat(bin, 10<<20/len(bin)+1), encrypt.KeyTooLarge},
		"a key and a message after it": {slicesJoin(bin, []byte{0xCB, 8, 'b', 0, 0, 0, 0, 0, 'h', 'i'}), encrypt.KeyUnreadable},
	} {
		k, err := encrypt.ParseKey(bytes.NewReader(c.file))
		var bad *encrypt.KeyError
		switch {
		case c.want == fine && (err != nil || k.Fingerprint() == ""):
			t.Errorf("%s: %v", name, err)
		case c.want != fine && (!errors.As(err, &bad) || bad.Fault != c.want || k != nil):
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := encrypt.ParseKey(&brokenReader{}); err == nil || errors.As(err, new(*encrypt.KeyError)) {
		t.Errorf("a key store that fails says of a key: %v", err)
	}
}

// What others signed on a key is not kept: it names them.
func TestOtherPeoplesSignaturesGo(t *testing.T) {
	t.Parallel()
	e, friend := entity(t, client, clientConfig()), entity(t, "friend@other.example", clientConfig())
	for id := range e.Identities {
		if err := e.SignIdentity(id, friend, clientConfig()); err != nil {
			t.Fatal(err)
		}
	}
	k := public(t, e)
	b, err := k.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) >= len(packetsOf(t, e, false)) || bytes.Contains(b, friend.PrimaryKey.Fingerprint) {
		t.Error("the friend's signature stays")
	}
	if err := k.Check(address(t, client), now()); err != nil {
		t.Error(err)
	}
}

func TestRoleKey(t *testing.T) {
	t.Parallel()
	k, err := encrypt.NewRoleKey("Maya (North)\r\n<x>", address(t, alias), now())
	if err != nil {
		t.Fatal(err)
	}
	info, err := k.Inspect(now())
	if err != nil || len(info.UserIDs) != 1 || info.UserIDs[0] != "Maya Northx <"+alias+">" || !info.Private || !info.CanEncrypt || !info.Expires.IsZero() || !info.Created.Equal(now()) {
		t.Errorf("%+v, %v", info, err)
	}
	if err := k.Check(address(t, alias), now()); err != nil {
		t.Error(err)
	}
	sealed, err := k.Private()
	if err != nil {
		t.Fatal(err)
	}
	back, err := encrypt.ParsePrivateKey(bytes.NewReader(sealed))
	if err != nil || back.Fingerprint() != k.Fingerprint() || !back.IsPrivate() {
		t.Fatalf("%v", err)
	}
	text, err := back.Armored()
	if err != nil || strings.Contains(text, "Version") || strings.Contains(text, "Comment") || strings.Contains(text, "PRIVATE") {
		t.Errorf("%v in\n%s", err, text)
	}
	out, err := encrypt.ParseKey(strings.NewReader(text))
	if err != nil || out.IsPrivate() || out.Fingerprint() != k.Fingerprint() {
		t.Fatalf("%v", err)
	}
	if _, err := out.Private(); err == nil {
		t.Error("a public key gives its private part")
	}
	b, err := k.Binary()
	if err != nil || len(b) >= len(sealed) {
		t.Errorf("%d bytes of public key, %v", len(b), err)
	}
	var bad *encrypt.KeyError
	if _, err := encrypt.ParsePrivateKey(bytes.NewReader(b)); !errors.As(err, &bad) || bad.Fault != encrypt.KeyNotPrivate {
		t.Errorf("%v", err)
	}
	var sig bytes.Buffer
	if err := k.Sign(&sig, strings.NewReader(letter), now()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openpgp.VerifyArmoredDetachedSignature(openpgp.EntityList{openEntity(t, k)}, strings.NewReader(letter), &sig, &packet.Config{Time: now}); err != nil {
		t.Error(err)
	}
	if err := out.Sign(&sig, strings.NewReader(letter), now()); !errors.As(err, &bad) || bad.Fault != encrypt.KeyNotPrivate {
		t.Errorf("%v", err)
	}
}

// Whatever a file holds, reading it ends with a key that names itself or with an error.
func FuzzParseKey(f *testing.F) {
	e := entity(f, client, clientConfig())
	f.Add(packetsOf(f, e, false))
	f.Add(packetsOf(f, e, true))
	f.Add(armored(f, "PGP PUBLIC KEY BLOCK", packetsOf(f, e, false)))
	f.Add(packetsOf(f, revoked(f, now()), false))
	f.Add([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := encrypt.ParseKey(bytes.NewReader(b))
		if err != nil {
			return
		}
		if k.Fingerprint() == "" || k.IsPrivate() {
			t.Fatalf("%q, private %v", k.Fingerprint(), k.IsPrivate())
		}
		k.Inspect(now())
		if k.Check(mail.Address{}, now()) != nil {
			return
		}
		again, err := k.Binary()
		if err != nil {
			t.Fatal(err)
		}
		if k, err := encrypt.ParseKey(bytes.NewReader(again)); err != nil || k.Check(mail.Address{}, now()) != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
