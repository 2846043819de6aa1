package encrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"regexp"
	"slices"

	"golang.org/x/text/unicode/norm"
)

// The entries of an encryption dictionary of revision 6 that depend on the passwords. They are
// made here and put in the place of those that the library makes for a password of its own: it
// refuses every password with a space, and words agreed in session have spaces.

// pdfWords returns words as the readers of PDF take them. The standard asks for SASLprep and
// not all readers do it, so what it would change is BadWords.
func pdfWords(words string) ([]byte, error) {
	p, err := prepareWords(words)
	if err != nil {
		return nil, err
	}
	if p == "" || norm.NFKC.String(p) != p {
		return nil, BadWords
	}
	return []byte(p), nil
}

// pdfEntries are the entries O, OE, U and UE.
type pdfEntries struct{ o, oe, u, ue []byte }

// newPDFEntries makes the entries for a user's password and an owner's (ISO 32000-2 §7.6.4.4.7
// and 8, algorithms 8 and 9).
func newPDFEntries(user, owner, key []byte) pdfEntries {
	var e pdfEntries
	e.u, e.ue = pdfEntry(user, key, nil)
	e.o, e.oe = pdfEntry(owner, key, e.u)
	return e
}

// pdfEntry makes what checks a password and what holds the key for it. For an owner's password
// u is the entry U.
func pdfEntry(password, key, u []byte) (check, wrapped []byte) {
	salts := make([]byte, 16)
	_, _ = rand.Read(salts) // it never fails
	check = append(pdfHash(password, salts[:8], u), salts...)
	wrapped = bytes.Clone(key)
	pdfCBC(pdfHash(password, salts[8:], u), true).CryptBlocks(wrapped, wrapped)
	return check, wrapped
}

// open returns the key of the file, if the user's password is right (algorithm 2.A).
func (e pdfEntries) open(user []byte) ([]byte, bool) {
	if subtle.ConstantTimeCompare(pdfHash(user, e.u[32:40], nil), e.u[:32]) != 1 {
		return nil, false
	}
	key := bytes.Clone(e.ue)
	pdfCBC(pdfHash(user, e.u[40:48], nil), false).CryptBlocks(key, key)
	return key, true
}

// pdfCBC is AES-256 in CBC mode with an initial vector of zeros, as keys are wrapped.
func pdfCBC(key []byte, encrypt bool) cipher.BlockMode {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is a digest of 32 bytes
	}
	if encrypt {
		return cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize))
	}
	return cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize))
}

// pdfHash is the slow hash of revision 6 (algorithm 2.B). For an owner's password u is the
// entry U.
func pdfHash(password, salt, u []byte) []byte {
	sum := sha256.Sum256(slices.Concat(password, salt, u))
	k := sum[:]
	for i := 0; ; i++ {
		e := bytes.Repeat(slices.Concat(password, k, u), 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			panic(err) // it has 16 bytes
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(e, e)
		rest := 0 // of the first 16 bytes as one number, by 3; 256 leaves 1
		for _, b := range e[:16] {
			rest += int(b)
		}
		switch rest % 3 {
		case 0:
			h := sha256.Sum256(e)
			k = h[:]
		case 1:
			h := sha512.Sum384(e)
			k = h[:]
		default:
			h := sha512.Sum512(e)
			k = h[:]
		}
		if i >= 63 && int(e[len(e)-1]) <= i+1-32 {
			return k[:32]
		}
	}
}

// findPDFEntries finds the entries in a file as this package writes it.
func findPDFEntries(file []byte) (pdfEntries, bool) {
	one := func(name string, size int) []byte {
		found := regexp.MustCompile(`/`+name+`\s*<([0-9a-fA-F]+)>`).FindAllSubmatch(file, 2)
		if len(found) != 1 || len(found[0][1]) != 2*size {
			return nil
		}
		b, err := hex.DecodeString(string(found[0][1]))
		if err != nil {
			return nil
		}
		return b
	}
	e := pdfEntries{one("O", 48), one("OE", 32), one("U", 48), one("UE", 32)}
	return e, e.o != nil && e.oe != nil && e.u != nil && e.ue != nil
}

// replace puts other entries in the place of these.
func (e pdfEntries) replace(file []byte, with pdfEntries) bool {
	for _, p := range [][2][]byte{{e.o, with.o}, {e.oe, with.oe}, {e.u, with.u}, {e.ue, with.ue}} {
		old := []byte("<" + hex.EncodeToString(p[0]) + ">")
		if bytes.Count(file, old) != 1 {
			return false
		}
		copy(file[bytes.Index(file, old)+1:], hex.EncodeToString(p[1]))
	}
	return true
}
