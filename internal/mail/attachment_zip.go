package mail

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
)

// Of the ZIP format (APPNOTE 6.3.10 §4.3).
const (
	zipEndSize     = 22
	zipCentralSize = 46
	zipLocalSize   = 30
	zipStored      = 0
	zipDeflated    = 8
	zipAES         = 99
	zipComment     = 0xFFFF // the longest comment
)

// zipEntry is a file of an archive, as its central directory describes it.
type zipEntry struct {
	name         string
	comment      string
	flags        uint16
	method       uint16
	packed, size int64
	offset       int64 // of its local header
	data         int64 // of its content, known once the local header was read
	link         bool
}

// zipArchive is an archive whose directory was read.
type zipArchive struct {
	at      io.ReaderAt
	size    int64
	base    int64 // of offset 0
	end     int64 // of the last file, where the directory starts
	comment string
	entries []*zipEntry
	byName  map[string]*zipEntry
}

var errZIP = errors.New("mail: not a readable ZIP file")

// readZIP reads the directory of an archive with at most limit files; more is a bomb.
func readZIP(at io.ReaderAt, size int64, limit int) (*zipArchive, error) {
	z := &zipArchive{at: at, size: size, byName: map[string]*zipEntry{}}
	tail := make([]byte, min(size, zipEndSize+zipComment))
	if _, err := at.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return nil, errZIP
	}
	i := len(tail) // the last record whose comment ends the file
	for {
		if i = bytes.LastIndex(tail[:i], []byte("PK\x05\x06")); i < 0 {
			return nil, errZIP
		}
		if len(tail)-i >= zipEndSize && i+zipEndSize+int(binary.LittleEndian.Uint16(tail[i+20:])) == len(tail) {
			break
		}
	}
	end := tail[i:]
	endAt := size - int64(len(tail)) + int64(i)
	count := int64(binary.LittleEndian.Uint16(end[10:]))
	length, offset := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	z.comment = string(end[zipEndSize:])
	if n, l, o, at64, ok := readZIP64(at, endAt); ok {
		count, length, offset, endAt = n, l, o, at64
	}
	if count > int64(limit) {
		return nil, errBomb
	}
	z.base = endAt - length - offset
	z.end = offset
	if length < 0 || offset < 0 || z.base < 0 || length < count*zipCentralSize {
		return nil, errZIP
	}
	if z.base > 0 {
		return z, errZIP // something stands before the archive
	}
	return z, z.directory(offset, length, count)
}

// readZIP64 reads the larger end record that stands before the small one.
func readZIP64(at io.ReaderAt, endAt int64) (count, length, offset, recordAt int64, ok bool) {
	b := make([]byte, 56)
	if endAt < 20 {
		return
	}
	if _, err := at.ReadAt(b[:20], endAt-20); err != nil || string(b[:4]) != "PK\x06\x07" {
		return
	}
	recordAt = int64(binary.LittleEndian.Uint64(b[8:]))
	if recordAt < 0 || recordAt > endAt-20-56 {
		return
	}
	if _, err := at.ReadAt(b, recordAt); err != nil || string(b[:4]) != "PK\x06\x06" {
		return
	}
	u := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[i:])) }
	count, length, offset = u(32), u(40), u(48)
	return count, length, offset, recordAt, count >= 0 && length >= 0 && offset >= 0
}

// directory reads the central directory.
func (z *zipArchive) directory(offset, length, count int64) error {
	if length > maxWhole {
		return errBomb
	}
	r := io.NewSectionReader(z.at, offset, length)
	head := make([]byte, zipCentralSize)
	u16 := func(i int) int { return int(binary.LittleEndian.Uint16(head[i:])) }
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(head[i:])) }
	for range count {
		if _, err := io.ReadFull(r, head); err != nil || string(head[:4]) != "PK\x01\x02" {
			return errZIP
		}
		rest := make([]byte, u16(28)+u16(30)+u16(32))
		if _, err := io.ReadFull(r, rest); err != nil {
			return errZIP
		}
		e := &zipEntry{flags: uint16(u16(8)), method: uint16(u16(10)), packed: u32(20), size: u32(24), offset: u32(42)}
		e.name, e.comment = string(rest[:u16(28)]), string(rest[u16(28)+u16(30):])
		e.extra(rest[u16(28) : u16(28)+u16(30)])
		e.link = u16(4)>>8 == 3 && u32(38)>>16&0xF000 == 0xA000
		if e.packed < 0 || e.size < 0 || e.offset < 0 || e.offset > z.end || e.packed > z.end {
			return errZIP
		}
		z.entries = append(z.entries, e)
	}
	if pos, err := r.Seek(0, io.SeekCurrent); err != nil || pos != length {
		return errZIP // more files than it says
	}
	return nil
}

// extra reads the 64-bit sizes.
func (e *zipEntry) extra(b []byte) {
	for len(b) >= 4 {
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return
		}
		if field := b[:n]; id == 1 {
			for _, v := range []*int64{&e.size, &e.packed, &e.offset} {
				if *v == 0xFFFFFFFF && len(field) >= 8 {
					*v = int64(binary.LittleEndian.Uint64(field))
					field = field[8:]
				}
			}
		}
		b = b[n:]
	}
}

// check compares the local headers with the directory: readers of a stream see only these.
// It returns the defect that the archive has.
func (z *zipArchive) check() string {
	head := make([]byte, zipLocalSize)
	for _, e := range z.entries {
		if _, err := z.at.ReadAt(head, e.offset); err != nil || string(head[:4]) != "PK\x03\x04" {
			return defUnreadable
		}
		u16 := func(i int) int { return int(binary.LittleEndian.Uint16(head[i:])) }
		name := make([]byte, u16(26))
		if _, err := z.at.ReadAt(name, e.offset+zipLocalSize); err != nil {
			return defUnreadable
		}
		if string(name) != e.name || uint16(u16(8)) != e.method || (uint16(u16(6))^e.flags)&1 != 0 {
			return defArchiveAmbiguous
		}
		e.data = e.offset + zipLocalSize + int64(u16(26)) + int64(u16(28))
		if e.data+e.packed > z.end {
			return defUnreadable
		}
		if z.byName[e.name] != nil {
			return defArchiveAmbiguous
		}
		z.byName[e.name] = e
		if e.link || isSlipName(e.name) {
			return defArchiveName
		}
	}
	byPlace := slices.Clone(z.entries)
	slices.SortFunc(byPlace, func(a, b *zipEntry) int { return cmp.Compare(a.offset, b.offset) })
	for i, e := range byPlace {
		next := z.end
		if i+1 < len(byPlace) {
			next = byPlace[i+1].offset
		}
		switch gap := next - e.data - e.packed; {
		case gap < 0:
			return defArchiveBomb // files that share bytes
		case gap >= zipLocalSize && z.hides(e.data+e.packed, gap):
			return defArchiveAmbiguous
		}
	}
	if len(byPlace) > 0 && byPlace[0].offset > 0 && z.hides(0, byPlace[0].offset) {
		return defArchiveAmbiguous
	}
	return ""
}

// hides reports whether a file that is not in the directory stands in a gap.
func (z *zipArchive) hides(off, n int64) bool {
	b := make([]byte, min(n, 64<<10))
	k, _ := z.at.ReadAt(b, off)
	return bytes.Contains(b[:k], []byte("PK\x03\x04"))
}

// isSlipName reports a name that would be written outside the folder where it is unpacked.
func isSlipName(name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	return strings.HasPrefix(name, "/") || strings.IndexByte(name, 0) >= 0 || len(name) > 1 && name[1] == ':' ||
		slices.Contains(strings.Split(name, "/"), "..")
}

// reader returns the content of an entry.
func (o *opener) zipReader(z *zipArchive, e *zipEntry) (io.Reader, error) {
	raw := io.NewSectionReader(z.at, e.data, e.packed)
	switch {
	case e.flags&1 != 0 || e.method == zipAES:
		return nil, errLocked
	case e.method == zipStored:
		return &inflated{r: raw, o: o, packed: &e.packed}, nil
	case e.method == zipDeflated:
		return &inflated{r: flate.NewReader(raw), o: o, packed: &e.packed}, nil
	}
	return nil, errZIP
}

var errLocked = errors.New("mail: the file has a password")

// zip reads an archive or a document that is one.
func (o *opener) zip(at io.ReaderAt, size int64) {
	z, err := readZIP(at, size, o.members)
	switch {
	case errors.Is(err, errBomb):
		o.report(defArchiveBomb, "files")
		return
	case err != nil:
		o.report(defUnreadable, "zip")
		return
	}
	o.members -= len(z.entries)
	if d := z.check(); d != "" {
		o.report(d, "zip")
		return
	}
	o.keep(z.comment)
	for _, e := range z.entries {
		if strings.HasSuffix(e.name, "vbaProject.bin") { // a document with macros, whatever its name says
			o.noteProgram(nil, "macros.docm")
		}
	}
	if o.office(z) {
		return
	}
	if o.archives++; o.archives > maxArchives {
		o.archives--
		o.report(defArchiveBomb, "depth")
		return
	}
	defer func() { o.archives-- }()
	for _, e := range z.entries {
		o.keep(e.name)
		o.keep(e.comment)
		o.zipMember(z, e)
	}
}

func (o *opener) zipMember(z *zipArchive, e *zipEntry) {
	if strings.HasSuffix(e.name, "/") && e.packed == 0 {
		return
	}
	switch r, err := o.zipReader(z, e); {
	case errors.Is(err, errLocked):
		o.report(defLocked, "")
	case err != nil:
		o.report(defUnreadable, "method")
	default:
		o.member(e.name[strings.LastIndexByte(e.name, '/')+1:], r)
	}
}

// tar reads an archive without a directory.
func (o *opener) tar(r io.Reader) {
	if o.archives++; o.archives > maxArchives {
		o.archives--
		o.report(defArchiveBomb, "depth")
		return
	}
	defer func() { o.archives-- }()
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			o.unreadable(err, "tar")
			return
		}
		if o.members--; o.members < 0 {
			o.report(defArchiveBomb, "files")
			return
		}
		if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink || isSlipName(h.Name) {
			o.report(defArchiveName, "tar")
			return
		}
		for _, s := range []string{h.Name, h.Uname, h.Gname} {
			o.keep(s)
		}
		if h.Typeflag == tar.TypeReg {
			o.member(h.Name[strings.LastIndexByte(h.Name, '/')+1:], t)
		}
	}
}

// base64At reads a base64 body at any place: it remembers every so often where in the body
// the decoder stood.
type base64At struct {
	raw   *io.SectionReader
	marks []base64Mark
	size  int64
	block []byte // decoded bytes from blockAt on
	at    int64
	in    []byte
}

type base64Mark struct {
	raw, decoded int64
	dec          base64Decoder
}

// base64Step is the distance of the marks in the body.
const base64Step = 32 << 10

// newBase64At reads the body once, and returns the size of what it holds.
func newBase64At(raw *io.SectionReader) (*base64At, int64) {
	b := &base64At{raw: raw, at: -1, in: make([]byte, base64Step)}
	var dec base64Decoder
	for off := int64(0); ; off += base64Step {
		b.marks = append(b.marks, base64Mark{off, b.size, dec})
		n, _ := raw.ReadAt(b.in, off)
		b.block = dec.decode(b.block[:0], b.in[:n])
		b.size += int64(len(b.block))
		if n < len(b.in) {
			b.size += int64(len(dec.close(nil)))
			return b, b.size
		}
	}
}

func (b *base64At) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		if off < 0 || off >= b.size {
			return done, io.EOF
		}
		if b.at < 0 || off < b.at || off >= b.at+int64(len(b.block)) {
			b.load(off)
			if len(b.block) == 0 {
				return done, io.ErrUnexpectedEOF
			}
		}
		n := copy(p[done:], b.block[off-b.at:])
		done, off = done+n, off+int64(n)
	}
	return done, nil
}

// load decodes the block that holds the offset.
func (b *base64At) load(off int64) {
	i, ok := slices.BinarySearchFunc(b.marks, off, func(m base64Mark, off int64) int { return cmp.Compare(m.decoded, off) })
	if ok {
		for i+1 < len(b.marks) && b.marks[i+1].decoded == off { // a block may decode to nothing
			i++
		}
	} else {
		i--
	}
	m := b.marks[i]
	dec := m.dec
	n, _ := b.raw.ReadAt(b.in, m.raw)
	b.block = dec.decode(b.block[:0], b.in[:n])
	if n < len(b.in) {
		b.block = dec.close(b.block)
	}
	b.at = m.decoded
	if off-b.at >= int64(len(b.block)) {
		b.block = b.block[:0]
	}
}
