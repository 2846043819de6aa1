package encrypt

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// File is a file that goes into an archive, or that came out of one. Name is all that a reader
// learns about it without the words, with how large it is: the caller gives it a neutral one.
type File struct {
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
}

// Of the ZIP format (APPNOTE 6.3.10 §4.3) and of WinZip's AE-2 ("AES Encryption Information:
// Encryption Specification AE-1 and AE-2", winzip.com).
const (
	zipLocalSign, zipCentralSign, zipEndSign, zipDataSign = 0x04034b50, 0x02014b50, 0x06054b50, 0x08074b50

	zipDeflate    = 8
	zipAES        = 99
	zipVersion    = 51                  // AES encryption, APPNOTE §4.4.3.2
	zipFlags      = 1<<0 | 1<<3 | 1<<11 // encrypted, sizes after the data, names in UTF-8
	zipDate       = 1<<5 | 1            // 1 January 1980, midnight: for every file
	zipEndSize    = 22                  // of the end of the directory, without a comment
	zipDataSize   = 16                  // of what follows the data of a file
	aeSalt        = 16                  // of AES-256
	aeVerifier    = 2                   // tells wrong words, in most cases
	aeAuth        = 10                  // HMAC-SHA1, cut to 80 bits
	aeOverhead    = aeSalt + aeVerifier + aeAuth
	aeRounds      = 1000                   // fixed by the format: the strength must lie in the words
	zipMaxFiles   = 1000                   // in an archive
	zipMaxName    = 255                    // bytes, what file systems take
	zipMaxContent = math.MaxUint32 - 1<<26 // of an archive: what 32-bit sizes hold, with room for its directory
)

// zipExtra is the extra field 0x9901: AE-2, AES-256, deflated within.
var zipExtra = [...]byte{0x01, 0x99, 7, 0, 2, 0, 'A', 'E', 3, zipDeflate, 0}

// zipMember is what the headers of a file say.
type zipMember struct {
	name         string
	packed, size int64
	offset       int64 // of its local header
}

// local returns the local header: it says nothing but the name.
func (m zipMember) local() []byte {
	b := le32(nil, zipLocalSign)
	b = le16(b, zipVersion, zipFlags, zipAES, 0, zipDate)
	b = le32(b, 0, 0, 0) // AE-2 has no checksum: it would tell about the content
	b = le16(b, len(m.name), len(zipExtra))
	return slices.Concat(b, []byte(m.name), zipExtra[:])
}

// descriptor returns what stands after the data.
func (m zipMember) descriptor() []byte { return le32(nil, zipDataSign, 0, m.packed, m.size) }

// central returns the entry in the directory.
func (m zipMember) central() []byte {
	b := le32(nil, zipCentralSign)
	b = le16(b, zipVersion, zipVersion, zipFlags, zipAES, 0, zipDate)
	b = le32(b, 0, m.packed, m.size)
	b = le16(b, len(m.name), len(zipExtra), 0, 0, 0)
	b = le32(b, 0, m.offset)
	return slices.Concat(b, []byte(m.name), zipExtra[:])
}

// zipEnd returns the end of a directory.
func zipEnd(files int, length, offset int64) []byte {
	return le16(le32(le16(le32(nil, zipEndSign), 0, 0, files, files), length, offset), 0)
}

func le16(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func le32(b []byte, values ...int64) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// LockZIP writes an archive of the files that opens with the words: WinZip AE-2, AES-256. It
// reads and writes piece by piece; memory does not grow with the files. Outside the encrypted
// content the archive says the names, the sizes and nothing else: times are all the same, and
// there is no comment.
//
// The words must be ASCII, because readers on Windows take others in the code page of the machine.
func LockZIP(w io.Writer, files []File, words string) error {
	if err := checkZIP(files, words); err != nil {
		return fmt.Errorf("encrypt: lock zip: %w", err)
	}
	out := &countingWriter{w: w}
	members := make([]zipMember, len(files))
	for i, f := range files {
		m := zipMember{name: f.Name, size: f.Size, offset: out.n}
		if err := m.write(out, f, words); err != nil {
			return fmt.Errorf("encrypt: lock zip: file %d: %w", i+1, err)
		}
		members[i] = m
	}
	start := out.n
	for _, m := range members {
		if _, err := out.Write(m.central()); err != nil {
			return fmt.Errorf("encrypt: lock zip: %w", err)
		}
	}
	if _, err := out.Write(zipEnd(len(members), out.n-start, start)); err != nil {
		return fmt.Errorf("encrypt: lock zip: %w", err)
	}
	return nil
}

func checkZIP(files []File, words string) error {
	if usable, err := prepareWords(words); err != nil || !isASCII(usable) {
		return BadWords
	}
	if len(files) == 0 {
		return errors.New("no files")
	}
	if len(files) > zipMaxFiles {
		return TooLarge
	}
	names := map[string]bool{}
	var total int64
	for i, f := range files {
		// Names that differ only in case are one file on Windows and on a Mac.
		if key := strings.ToLower(f.Name); !isPlainName(f.Name) || names[key] {
			return fmt.Errorf("file %d: its name is not usable", i+1)
		} else {
			names[key] = true
		}
		if f.Size < 0 || f.Size > zipMaxContent {
			return TooLarge
		}
		if total += f.Size; total > zipMaxContent {
			return TooLarge
		}
	}
	return nil
}

// isPlainName reports whether every system can write a file of that name, where it is unpacked
// and nowhere else. Marks that turn the direction of writing could hide what a name ends with.
func isPlainName(name string) bool {
	bad := func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || unicode.Is(unicode.Bidi_Control, r)
	}
	return name != "" && len(name) <= zipMaxName && utf8.ValidString(name) && strings.Trim(name, ". ") != "" &&
		!strings.HasSuffix(name, ".") && !strings.HasSuffix(name, " ") && strings.IndexFunc(name, bad) < 0
}

// write writes the local header, the encrypted content and its descriptor.
func (m *zipMember) write(out *countingWriter, f File, words string) error {
	if _, err := out.Write(m.local()); err != nil {
		return err
	}
	start := out.n
	salt := make([]byte, aeSalt)
	rand.Read(salt)
	key, err := newAEKey(words, salt)
	if err != nil {
		return err
	}
	if _, err := out.Write(append(salt, key.verifier[:]...)); err != nil {
		return err
	}
	enc := &aeWriter{w: out, key: key}
	pack, err := flate.NewWriter(enc, flate.DefaultCompression)
	if err != nil {
		return err
	}
	if err := copyExactly(pack, f); err != nil {
		return err
	}
	if err := pack.Close(); err != nil {
		return err
	}
	if _, err := out.Write(key.mac.Sum(nil)[:aeAuth]); err != nil {
		return err
	}
	m.packed = out.n - start
	if out.n > math.MaxUint32-1<<20 {
		return TooLarge
	}
	_, err = out.Write(m.descriptor())
	return err
}

// copyExactly copies a file, which must have the size that it says.
func copyExactly(w io.Writer, f File) (err error) {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	n, err := io.Copy(w, io.LimitReader(r, f.Size+1))
	if err == nil && n != f.Size {
		return fmt.Errorf("not the size that it has by its description: %w", Damaged)
	}
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// aeKey is what encrypts and authenticates one file.
type aeKey struct {
	block    cipher.Block
	mac      hash.Hash
	verifier [aeVerifier]byte
	counter  uint64
	stream   []byte // key stream that is not used yet
	room     [4096]byte
}

func newAEKey(words string, salt []byte) (*aeKey, error) {
	k, err := pbkdf2.Key(sha1.New, words, salt, aeRounds, 2*32+aeVerifier)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k[:32])
	if err != nil {
		return nil, err
	}
	return &aeKey{block: block, mac: hmac.New(sha1.New, k[32:64]), verifier: [aeVerifier]byte(k[64:])}, nil
}

// xor encrypts or decrypts: AES in counter mode, with a counter in little endian that starts
// at 1, which the standard library does not have.
func (k *aeKey) xor(dst, src []byte) {
	for len(src) > 0 {
		if len(k.stream) == 0 {
			k.stream = k.room[:]
			for i := 0; i < len(k.room); i += aes.BlockSize {
				k.counter++
				block := k.room[i : i+aes.BlockSize]
				clear(block)
				binary.LittleEndian.PutUint64(block, k.counter)
				k.block.Encrypt(block, block)
			}
		}
		n := subtle.XORBytes(dst, src, k.stream)
		dst, src, k.stream = dst[n:], src[n:], k.stream[n:]
	}
}

// aeWriter encrypts what is written and authenticates the result.
type aeWriter struct {
	w   io.Writer
	key *aeKey
	buf [4096]byte
}

func (e *aeWriter) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		n := min(len(p), len(e.buf))
		e.key.xor(e.buf[:n], p[:n])
		e.key.mac.Write(e.buf[:n])
		if _, err := e.w.Write(e.buf[:n]); err != nil {
			return done, err
		}
		p, done = p[n:], done+n
	}
	return done, nil
}

// OpenZIP opens an archive that LockZIP has written, to prove it: an archive with one byte that
// LockZIP would not write is Damaged, and words that are not those of every file are WrongWords.
// What is encrypted is authenticated as a whole before OpenZIP returns; reading a file to its
// end proves that it unpacks to what the directory says.
func OpenZIP(r io.ReaderAt, size int64, words string) ([]File, error) {
	members, err := readZIP(r, size)
	if err != nil {
		return nil, fmt.Errorf("encrypt: open zip: %w", err)
	}
	files := make([]File, len(members))
	for i, m := range members {
		data := io.NewSectionReader(r, m.offset+int64(len(m.local())), m.packed)
		if err := authenticate(data, m, words); err != nil {
			return nil, fmt.Errorf("encrypt: open zip: file %d: %w", i+1, err)
		}
		files[i] = File{Name: m.name, Size: m.size, Open: func() (io.ReadCloser, error) { return readMember(data, m, words) }}
	}
	return files, nil
}

// readZIP reads the directory. Everything but names, sizes and content follows from these, and
// must be exactly that.
func readZIP(r io.ReaderAt, size int64) ([]zipMember, error) {
	if size < zipEndSize || size > math.MaxUint32 {
		return nil, Damaged
	}
	end := make([]byte, zipEndSize)
	if err := readFullAt(r, end, size-zipEndSize); err != nil {
		return nil, err
	}
	count := int(binary.LittleEndian.Uint16(end[10:]))
	length, start := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	if count == 0 || count > zipMaxFiles || start+length+zipEndSize != size || !bytes.Equal(end, zipEnd(count, length, start)) {
		return nil, Damaged
	}
	if fixed := int64(len(zipMember{}.central())); length > int64(count)*(fixed+zipMaxName) {
		return nil, Damaged
	}
	dir := make([]byte, length)
	if err := readFullAt(r, dir, start); err != nil {
		return nil, err
	}
	members := make([]zipMember, count)
	var at int64
	names := map[string]bool{}
	for i := range members {
		m, n, err := parseCentral(dir)
		if err != nil || m.offset != at || names[strings.ToLower(m.name)] {
			return nil, Damaged
		}
		names[strings.ToLower(m.name)] = true
		dir = dir[n:]
		local, tail := m.local(), m.descriptor()
		if m.packed < aeOverhead || at+int64(len(local))+m.packed+zipDataSize > start {
			return nil, Damaged
		}
		if err := equalAt(r, local, at); err != nil {
			return nil, err
		}
		at += int64(len(local)) + m.packed
		if err := equalAt(r, tail, at); err != nil {
			return nil, err
		}
		at += zipDataSize
		members[i] = m
	}
	if len(dir) > 0 || at != start {
		return nil, Damaged
	}
	return members, nil
}

// parseCentral reads the first entry of a directory and returns its length.
func parseCentral(b []byte) (zipMember, int, error) {
	const fixed = 46
	if len(b) < fixed {
		return zipMember{}, 0, Damaged
	}
	n := int(binary.LittleEndian.Uint16(b[28:]))
	if n > len(b)-fixed {
		return zipMember{}, 0, Damaged
	}
	m := zipMember{
		name:   string(b[fixed : fixed+n]),
		packed: int64(binary.LittleEndian.Uint32(b[20:])),
		size:   int64(binary.LittleEndian.Uint32(b[24:])),
		offset: int64(binary.LittleEndian.Uint32(b[42:])),
	}
	want := m.central()
	if !isPlainName(m.name) || !bytes.HasPrefix(b, want) {
		return zipMember{}, 0, Damaged
	}
	return m, len(want), nil
}

// openMember makes the key of a file and tells wrong words by the verifier.
func openMember(data *io.SectionReader, m zipMember, words string) (*aeKey, error) {
	head := make([]byte, aeSalt+aeVerifier)
	if err := readFullAt(data, head, 0); err != nil {
		return nil, err
	}
	key, err := newAEKey(words, head[:aeSalt])
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(key.verifier[:], head[aeSalt:]) != 1 {
		return nil, WrongWords
	}
	return key, nil
}

// authenticate reads all that is encrypted of a file. One in 65,536 wrong words passes the
// verifier; they end here, and cannot be told from damage.
func authenticate(data *io.SectionReader, m zipMember, words string) error {
	key, err := openMember(data, m, words)
	if err != nil {
		return err
	}
	if _, err := io.Copy(key.mac, m.content(data)); err != nil {
		return err
	}
	auth := make([]byte, aeAuth)
	if err := readFullAt(data, auth, m.packed-aeAuth); err != nil {
		return err
	}
	if !hmac.Equal(auth, key.mac.Sum(nil)[:aeAuth]) {
		return WrongWords
	}
	return nil
}

// content is what is encrypted of a file.
func (m zipMember) content(data *io.SectionReader) *io.SectionReader {
	return io.NewSectionReader(data, aeSalt+aeVerifier, m.packed-aeOverhead)
}

// readMember returns a reader of a file that was authenticated.
func readMember(data *io.SectionReader, m zipMember, words string) (io.ReadCloser, error) {
	key, err := openMember(data, m, words)
	if err != nil {
		return nil, fmt.Errorf("encrypt: open zip: %w", err)
	}
	plain := &aeReader{r: m.content(data), key: key}
	return &exactReader{ReadCloser: flate.NewReader(plain), under: plain, left: m.size}, nil
}

// aeReader decrypts. It is an io.ByteReader, so that flate takes no byte more than it needs.
type aeReader struct {
	r   *io.SectionReader
	key *aeKey
	buf []byte
	all [4096]byte
}

func (d *aeReader) fill() error {
	if len(d.buf) > 0 {
		return nil
	}
	n, err := d.r.Read(d.all[:])
	if n > 0 {
		d.buf = d.all[:n]
		d.key.xor(d.buf, d.buf)
		return nil
	}
	return err
}

func (d *aeReader) Read(p []byte) (int, error) {
	if err := d.fill(); err != nil {
		return 0, err
	}
	n := copy(p, d.buf)
	d.buf = d.buf[n:]
	return n, nil
}

func (d *aeReader) ReadByte() (byte, error) {
	if err := d.fill(); err != nil {
		return 0, err
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b, nil
}

// exactReader reads a file of a known size and says Damaged where it is another one.
type exactReader struct {
	io.ReadCloser
	under *aeReader
	left  int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.left -= int64(n)
	if e.left < 0 {
		return 0, fmt.Errorf("encrypt: open zip: %w", Damaged)
	}
	if errors.Is(err, io.EOF) {
		if _, more := e.under.ReadByte(); e.left > 0 || !errors.Is(more, io.EOF) {
			return n, fmt.Errorf("encrypt: open zip: %w", Damaged)
		}
		return n, io.EOF
	}
	if err != nil {
		return n, fmt.Errorf("encrypt: open zip: %w: %w", Damaged, err)
	}
	return n, nil
}

// readFullAt reads len(b) bytes; a file that ends before is Damaged.
func readFullAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return Damaged
	}
	return err
}

// equalAt compares what stands in a file with what must.
func equalAt(r io.ReaderAt, want []byte, at int64) error {
	got := make([]byte, len(want))
	if err := readFullAt(r, got, at); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return Damaged
	}
	return nil
}
