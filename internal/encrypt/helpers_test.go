package encrypt_test

import (
	"bytes"
	"io"
	"slices"
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
