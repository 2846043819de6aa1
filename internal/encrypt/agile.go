package encrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf16"
)

// Agile encryption of Office Open XML (MS-OFFCRYPTO §2.3.4.10): the whole file becomes the
// stream EncryptedPackage of a compound file, in segments with an IV each, under a random key;
// the stream EncryptionInfo holds that key, locked with the words, and an HMAC of the package.
const (
	agileSpins   = 100_000 // what Office itself writes; SHA-512 each
	agileSegment = 4096
	agileSalt    = 16
	agileKey     = 32 // AES-256
	agileMaxSize = 1 << 30
)

// The block keys of MS-OFFCRYPTO §2.3.4.13 and §2.3.4.14: what each key and IV is for.
const (
	forVerifierInput = "\xfe\xa7\xd2\x76\x3b\x4b\x9e\x79"
	forVerifierHash  = "\xd7\xaa\x0f\x6d\x30\x61\x34\x4e"
	forKey           = "\x14\x6e\x0b\xe7\xab\xac\xd0\xd6"
	forHMACKey       = "\x5f\xb2\xad\x01\x0c\xb9\xe1\xf6"
	forHMACValue     = "\xa0\x67\x7f\x02\xb2\x2c\x84\x33"
)

// LockOffice writes a .docx, .xlsx or .pptx of size bytes as the same kind of file that opens
// with the words, in Word, Excel, PowerPoint and LibreOffice. It reads and writes piece by
// piece. What stays visible is how large the file is, to a few bytes.
func LockOffice(w io.Writer, src io.Reader, size int64, words string) error {
	if err := lockOffice(w, src, size, words); err != nil {
		return fmt.Errorf("encrypt: lock office: %w", err)
	}
	return nil
}

func lockOffice(w io.Writer, src io.Reader, size int64, words string) error {
	words, err := prepareWords(words)
	if err != nil {
		return err
	}
	plan, err := planOffice(size)
	if err != nil {
		return err
	}
	info, key := newAgileInfo(words)
	out := &countingWriter{w: w}
	if _, err := out.Write(plan.header()); err != nil {
		return err
	}
	mac, err := encryptPackage(out, src, size, info.saltOfKey(), key)
	if err != nil {
		return err
	}
	info.setIntegrity(key, mac)
	return plan.writeRest(out, info)
}

// encryptPackage writes the stream EncryptedPackage, and returns an HMAC key and value for it.
func encryptPackage(w io.Writer, src io.Reader, size int64, salt []byte, key cipher.Block) (integrity [2][]byte, err error) {
	macKey := make([]byte, sha512.Size)
	rand.Read(macKey)
	mac := hmac.New(sha512.New, macKey)
	w = io.MultiWriter(w, mac)
	if _, err := w.Write(le32(nil, size&math.MaxUint32, size>>32)); err != nil {
		return integrity, err
	}
	var segment [agileSegment]byte
	for i, left := uint32(0), size; left > 0; i++ {
		n := int(min(left, agileSegment))
		if _, err := io.ReadFull(src, segment[:n]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return integrity, fmt.Errorf("shorter than it says: %w", Damaged)
		} else if err != nil {
			return integrity, err
		}
		left -= int64(n)
		padded := segment[:(n+aes.BlockSize-1)/aes.BlockSize*aes.BlockSize]
		clear(padded[n:])
		cipher.NewCBCEncrypter(key, agileIV(salt, string(le32(nil, int64(i))))).CryptBlocks(padded, padded)
		if _, err := w.Write(padded); err != nil {
			return integrity, err
		}
	}
	if n, err := io.ReadFull(src, segment[:1]); n > 0 {
		return integrity, fmt.Errorf("longer than it says: %w", Damaged)
	} else if !errors.Is(err, io.EOF) {
		return integrity, err
	}
	return [2][]byte{macKey, mac.Sum(nil)}, nil
}

// OpenOffice opens what LockOffice has written, to prove it, and returns the file in it. A byte
// that LockOffice would not write is Damaged, and other words are WrongWords. All of the file
// is authenticated before OpenOffice returns.
func OpenOffice(r io.ReaderAt, size int64, words string) (io.Reader, error) {
	content, err := openOffice(r, size, words)
	if err != nil {
		return nil, fmt.Errorf("encrypt: open office: %w", err)
	}
	return content, nil
}

func openOffice(r io.ReaderAt, size int64, words string) (io.Reader, error) {
	words, err := prepareWords(words)
	if err != nil {
		return nil, WrongWords // nothing is locked with these
	}
	head := make([]byte, cfbSector+8)
	if err := readFullAt(r, head, 0); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(head[cfbSector:])
	if length > agileMaxSize {
		return nil, Damaged
	}
	plan, err := planOffice(int64(length))
	if err != nil || plan.fileSize() != size || !bytes.Equal(head[:cfbSector], plan.header()) {
		return nil, Damaged
	}
	text := make([]byte, plan.info)
	if err := readFullAt(r, text, plan.infoOffset()); err != nil {
		return nil, err
	}
	info, err := parseAgileInfo(text)
	if err != nil {
		return nil, err
	}
	rest := &comparingWriter{r: r, at: cfbSector + plan.pack}
	if err := plan.writeRest(&countingWriter{w: rest, n: rest.at}, info); err != nil {
		return nil, err
	}
	key, err := info.unlock(words)
	if err != nil {
		return nil, err
	}
	stream := io.NewSectionReader(r, cfbSector, plan.pack)
	integrity := info.integrity(key)
	mac := hmac.New(sha512.New, integrity[0])
	if _, err := io.Copy(mac, stream); err != nil {
		return nil, err
	}
	if !hmac.Equal(mac.Sum(nil), integrity[1]) {
		return nil, Damaged
	}
	sealed := io.NewSectionReader(stream, 8, plan.pack-8)
	return io.LimitReader(&segmentReader{r: sealed, salt: info.saltOfKey(), key: key}, int64(length)), nil
}

// comparingWriter compares what is written with what stands in a file.
type comparingWriter struct {
	r  io.ReaderAt
	at int64
}

func (c *comparingWriter) Write(p []byte) (int, error) {
	if err := equalAt(c.r, p, c.at); err != nil {
		return 0, err
	}
	c.at += int64(len(p))
	return len(p), nil
}

// segmentReader decrypts a package segment by segment.
type segmentReader struct {
	r    io.Reader
	salt []byte
	key  cipher.Block
	next uint32
	all  [agileSegment]byte
	buf  []byte
}

func (s *segmentReader) Read(p []byte) (int, error) {
	if len(s.buf) == 0 {
		n, err := io.ReadFull(s.r, s.all[:])
		if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		if n%aes.BlockSize != 0 {
			return 0, Damaged
		}
		s.buf = s.all[:n]
		cipher.NewCBCDecrypter(s.key, agileIV(s.salt, string(le32(nil, int64(s.next))))).CryptBlocks(s.buf, s.buf)
		s.next++
	}
	n := copy(p, s.buf)
	s.buf = s.buf[n:]
	return n, nil
}

// agileInfo is the text of EncryptionInfo (MS-OFFCRYPTO §2.3.4.10). All that is not in it is
// the same in every file.
type agileInfo struct {
	KeyData struct {
		Salt base64Text `xml:"saltValue,attr"`
	} `xml:"keyData"`
	Integrity struct {
		Key   base64Text `xml:"encryptedHmacKey,attr"`
		Value base64Text `xml:"encryptedHmacValue,attr"`
	} `xml:"dataIntegrity"`
	Words struct {
		Salt          base64Text `xml:"saltValue,attr"`
		VerifierInput base64Text `xml:"encryptedVerifierHashInput,attr"`
		VerifierHash  base64Text `xml:"encryptedVerifierHashValue,attr"`
		Key           base64Text `xml:"encryptedKeyValue,attr"`
	} `xml:"keyEncryptors>keyEncryptor>encryptedKey"`
}

// base64Text is bytes that are written as base64 in an attribute.
type base64Text []byte

// UnmarshalText reads base64.
func (b *base64Text) UnmarshalText(text []byte) (err error) {
	*b, err = base64.StdEncoding.AppendDecode(nil, text)
	return err
}

func (b base64Text) String() string { return base64.StdEncoding.EncodeToString(b) }

const agileXML = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\r\n" +
	`<encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password" xmlns:c="http://schemas.microsoft.com/office/2006/keyEncryptor/certificate">` +
	`<keyData ` + agileCipher + ` saltValue="%s"/>` +
	`<dataIntegrity encryptedHmacKey="%s" encryptedHmacValue="%s"/>` +
	`<keyEncryptors><keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password">` +
	`<p:encryptedKey spinCount="%d" ` + agileCipher + ` saltValue="%s" encryptedVerifierHashInput="%s" encryptedVerifierHashValue="%s" encryptedKeyValue="%s"/>` +
	`</keyEncryptor></keyEncryptors></encryption>`

const agileCipher = `saltSize="16" blockSize="16" keyBits="256" hashSize="64" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="SHA512"`

// stream returns the stream EncryptionInfo: version 4.4, the flag of agile encryption, XML.
func (a *agileInfo) stream() []byte {
	b := le32(le16(nil, 4, 4), 0x40)
	return fmt.Appendf(b, agileXML, a.KeyData.Salt, a.Integrity.Key, a.Integrity.Value,
		agileSpins, a.Words.Salt, a.Words.VerifierInput, a.Words.VerifierHash, a.Words.Key)
}

// agileInfoSize is how long EncryptionInfo is, always.
func agileInfoSize() int64 {
	var a agileInfo
	for b, n := range a.fields() {
		*b = make([]byte, n)
	}
	return int64(len(a.stream()))
}

// fields returns what an agileInfo holds and how long each is.
func (a *agileInfo) fields() map[*base64Text]int {
	return map[*base64Text]int{
		&a.KeyData.Salt: agileSalt, &a.Integrity.Key: sha512.Size, &a.Integrity.Value: sha512.Size,
		&a.Words.Salt: agileSalt, &a.Words.VerifierInput: agileSalt, &a.Words.VerifierHash: sha512.Size, &a.Words.Key: agileKey,
	}
}

// parseAgileInfo reads what stream writes. That the text around the values is the same too is
// seen when the stream is written again.
func parseAgileInfo(b []byte) (*agileInfo, error) {
	var a agileInfo
	if len(b) < 8 || xml.Unmarshal(b[8:], &a) != nil {
		return nil, Damaged
	}
	for value, n := range a.fields() {
		if len(*value) != n {
			return nil, Damaged
		}
	}
	return &a, nil
}

// newAgileInfo makes a key for a package and locks it with the words.
func newAgileInfo(words string) (*agileInfo, cipher.Block) {
	var a agileInfo
	for b, n := range a.fields() {
		*b = make([]byte, n)
		rand.Read(*b)
	}
	key := newAES(a.Words.Key)
	digest := sha512.Sum512(a.Words.VerifierInput)
	hashed := spin(words, a.Words.Salt)
	a.Words.VerifierInput = a.crypt(cipher.NewCBCEncrypter, hashed, forVerifierInput, a.Words.VerifierInput)
	a.Words.VerifierHash = a.crypt(cipher.NewCBCEncrypter, hashed, forVerifierHash, digest[:])
	a.Words.Key = a.crypt(cipher.NewCBCEncrypter, hashed, forKey, a.Words.Key)
	return &a, key
}

// unlock returns the key of the package.
func (a *agileInfo) unlock(words string) (cipher.Block, error) {
	hashed := spin(words, a.Words.Salt)
	digest := sha512.Sum512(a.crypt(cipher.NewCBCDecrypter, hashed, forVerifierInput, a.Words.VerifierInput))
	if subtle.ConstantTimeCompare(digest[:], a.crypt(cipher.NewCBCDecrypter, hashed, forVerifierHash, a.Words.VerifierHash)) != 1 {
		return nil, WrongWords
	}
	return newAES(a.crypt(cipher.NewCBCDecrypter, hashed, forKey, a.Words.Key)), nil
}

// spin is the slow hash of the words (MS-OFFCRYPTO §2.3.4.11), in UTF-16 as all of Office is.
func spin(words string, salt []byte) []byte {
	b := slices.Clone(salt)
	for _, unit := range utf16.Encode([]rune(words)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	var buf [4 + sha512.Size]byte
	digest := sha512.Sum512(b)
	for i := range uint32(agileSpins) {
		binary.LittleEndian.PutUint32(buf[:], i)
		copy(buf[4:], digest[:])
		digest = sha512.Sum512(buf[:])
	}
	return digest[:]
}

// crypt encrypts or decrypts one of the values that are locked with the words.
func (a *agileInfo) crypt(mode func(cipher.Block, []byte) cipher.BlockMode, hashed []byte, purpose string, value []byte) []byte {
	digest := sha512.Sum512(append(slices.Clone(hashed), purpose...))
	out := make([]byte, len(value))
	mode(newAES(digest[:agileKey]), a.Words.Salt).CryptBlocks(out, value)
	return out
}

func (a *agileInfo) saltOfKey() []byte { return a.KeyData.Salt }

// setIntegrity locks the HMAC of the package, key and value.
func (a *agileInfo) setIntegrity(key cipher.Block, mac [2][]byte) {
	cipher.NewCBCEncrypter(key, agileIV(a.KeyData.Salt, forHMACKey)).CryptBlocks(a.Integrity.Key, mac[0])
	cipher.NewCBCEncrypter(key, agileIV(a.KeyData.Salt, forHMACValue)).CryptBlocks(a.Integrity.Value, mac[1])
}

// integrity is the converse of setIntegrity.
func (a *agileInfo) integrity(key cipher.Block) (mac [2][]byte) {
	mac = [2][]byte{make([]byte, sha512.Size), make([]byte, sha512.Size)}
	cipher.NewCBCDecrypter(key, agileIV(a.KeyData.Salt, forHMACKey)).CryptBlocks(mac[0], a.Integrity.Key)
	cipher.NewCBCDecrypter(key, agileIV(a.KeyData.Salt, forHMACValue)).CryptBlocks(mac[1], a.Integrity.Value)
	return mac
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	return block
}

// agileIV is the IV of a segment, or of what else is encrypted with the key of the package.
func agileIV(salt []byte, purpose string) []byte {
	digest := sha512.Sum512(append(slices.Clone(salt), purpose...))
	return digest[:aes.BlockSize]
}
