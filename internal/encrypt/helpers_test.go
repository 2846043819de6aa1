package encrypt_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/plaincover/plaincover/internal/encrypt"
)

func slicesJoin(b ...[]byte) []byte { return slices.Concat(b...) }

// encryptedBlock takes armor off with the library's reader.
func encryptedBlock(b []byte) (io.Reader, error) {
	block, err := armor.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return block.Body, nil
}

func decodeArmor(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := encryptedBlock(b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// encodeArmor writes armor with the library's writer, with CRLF as ours has it.
func encodeArmor(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, "PGP MESSAGE", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\r\n")), '\r', '\n')
}

// openEntity is a key of ours as the library reads it.
func openEntity(t testing.TB, k *encrypt.Key) *openpgp.Entity {
	t.Helper()
	b, err := k.Private()
	if err != nil {
		t.Fatal(err)
	}
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// transfer encodes a text for the wire.
func transfer(text, encoding string) string {
	var b strings.Builder
	switch encoding {
	case "base64":
		s := base64.StdEncoding.EncodeToString([]byte(text))
		for len(s) > 76 {
			b.WriteString(s[:76] + "\r\n")
			s = s[76:]
		}
		b.WriteString(s + "\r\n")
	case "quoted-printable":
		w := quotedprintable.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
	default:
		return text
	}
	return b.String()
}

// aeadConfigs are clients' keys of the versions that there are, with and without AEAD.
func aeadConfigs() map[string]*packet.Config {
	aead := clientConfig()
	aead.AEADConfig = &packet.AEADConfig{}
	v6 := clientConfig()
	v6.V6Keys, v6.Algorithm, v6.AEADConfig = true, packet.PubKeyAlgoEd25519, &packet.AEADConfig{}
	return map[string]*packet.Config{"MDC": clientConfig(), "AEAD": aead, "version 6": v6}
}
