package encrypt

import (
	"bufio"
	"slices"
	"unicode/utf16"
)

// Of compound files, version 3 (MS-CFB).
const (
	cfbSector = 512
	cfbMini   = 64
	cfbCutoff = 4096 // streams below it lie in the mini stream
	cfbEntry  = 128  // of the directory
	cfbPerFAT = cfbSector / 4
	cfbInHead = 109 // places of the FAT that the header has room for

	cfbNone       = 0xFFFFFFFF // no such entry; a free sector
	cfbEndOfChain = 0xFFFFFFFE
	cfbIsFAT      = 0xFFFFFFFD
	cfbIsDIFAT    = 0xFFFFFFFC
)

// officePlan says where in a compound file everything lies. It follows from the size of the
// package alone, so that a file is written from start to end, and read by writing it again.
//
// The sectors are, in this order: the package, if it is not small; the mini stream, with the
// small package first and the other streams behind it; the directory; the mini FAT; the FAT;
// the sectors that say where the FAT is, if the header has no room for that.
type officePlan struct {
	pack    int64 // bytes of EncryptedPackage
	info    int64 // bytes of EncryptionInfo
	streams []cfbStream
	entries []cfbDirEntry

	big                      int64 // sectors of the package
	mini                     int64 // mini sectors in use
	miniAt, dirAt, miniFATAt int64 // first sectors
	fatAt, difatAt, end      int64
}

// cfbStream is a stream of the mini stream. The content of those that differ from file to file
// is nil.
type cfbStream struct {
	size    int64
	start   int64 // mini sector
	content []byte
}

// cfbDirEntry is an entry of the directory (MS-CFB §2.6.1).
type cfbDirEntry struct {
	name               string
	kind               byte // 1 storage, 2 stream, 5 root
	red                bool
	left, right, child int64
	start, size        int64
}

func pieces(n, size int64) int64 { return (n + size - 1) / size }

func planOffice(size int64) (*officePlan, error) {
	if size < 0 || size > agileMaxSize {
		return nil, TooLarge
	}
	p := &officePlan{pack: 8 + pieces(size, 16)*16, info: agileInfoSize()}
	small := p.pack < cfbCutoff
	if small {
		p.mini = pieces(p.pack, cfbMini)
	} else {
		p.big = pieces(p.pack, cfbSector)
	}
	var parts [5]cfbStream // Version, DataSpaceMap, the data space, the transform, EncryptionInfo
	for i, content := range [...][]byte{dataSpaceVersion(), dataSpaceMap(), dataSpace(), dataTransform(), nil} {
		parts[i] = cfbStream{size: int64(len(content)), start: p.mini, content: content}
		if content == nil {
			parts[i].size = p.info
		}
		p.mini += pieces(parts[i].size, cfbMini)
	}
	p.streams = parts[:]

	p.miniAt = p.big
	p.dirAt = p.miniAt + pieces(p.mini*cfbMini, cfbSector)
	p.entries = p.directory(small)
	p.miniFATAt = p.dirAt + pieces(int64(len(p.entries))*cfbEntry, cfbSector)
	p.fatAt = p.miniFATAt + pieces(p.mini*4, cfbSector)
	var fat, difat int64
	for {
		p.difatAt = p.fatAt + fat
		p.end = p.difatAt + difat
		needed := pieces(p.end, cfbPerFAT)
		more := pieces(max(0, needed-cfbInHead), cfbPerFAT-1)
		if needed == fat && more == difat {
			return p, nil
		}
		fat, difat = needed, more
	}
}

// directory returns the entries. Those of one storage are a tree, ordered by length and then
// by letters, and balanced: black but for one.
func (p *officePlan) directory(small bool) []cfbDirEntry {
	const none = cfbNone
	e := []cfbDirEntry{
		0:  {name: "Root Entry", kind: 5, left: none, right: none, child: 9, start: p.miniAt, size: p.mini * cfbMini},
		1:  {name: "\x06DataSpaces", kind: 1, left: none, right: none, child: 3},
		2:  {name: "Version", kind: 2, left: none, right: none, child: none, start: p.streams[0].start, size: p.streams[0].size},
		3:  {name: "DataSpaceMap", kind: 2, left: 2, right: 4, child: none, start: p.streams[1].start, size: p.streams[1].size},
		4:  {name: "DataSpaceInfo", kind: 1, left: none, right: 6, child: 5},
		5:  {name: "StrongEncryptionDataSpace", kind: 2, left: none, right: none, child: none, start: p.streams[2].start, size: p.streams[2].size},
		6:  {name: "TransformInfo", kind: 1, red: true, left: none, right: none, child: 7},
		7:  {name: "StrongEncryptionTransform", kind: 1, left: none, right: none, child: 8},
		8:  {name: "\x06Primary", kind: 2, left: none, right: none, child: none, start: p.streams[3].start, size: p.streams[3].size},
		9:  {name: "EncryptionInfo", kind: 2, left: 1, right: 10, child: none, start: p.streams[4].start, size: p.streams[4].size},
		10: {name: "EncryptedPackage", kind: 2, left: none, right: none, child: none, start: 0, size: p.pack},
		11: {left: none, right: none, child: none}, // free
	}
	return e
}

func (p *officePlan) fileSize() int64 { return cfbSector * (1 + p.end) }

// infoOffset is where EncryptionInfo stands in the file.
func (p *officePlan) infoOffset() int64 {
	return cfbSector*(1+p.miniAt) + cfbMini*p.streams[4].start
}

// header returns the first sector (MS-CFB §2.2).
func (p *officePlan) header() []byte {
	b := append(make([]byte, 0, cfbSector), "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"...)
	b = append(b, make([]byte, 16)...)
	b = le16(b, 0x3e, 3, 0xfffe, 9, 6)
	b = append(b, make([]byte, 6)...)
	first := int64(cfbEndOfChain)
	if p.end > p.difatAt {
		first = p.difatAt
	}
	b = le32(b, 0, p.difatAt-p.fatAt, p.dirAt, 0, cfbCutoff, p.miniFATAt, p.fatAt-p.miniFATAt, first, p.end-p.difatAt)
	for i := range int64(cfbInHead) {
		b = le32(b, p.fatSector(i))
	}
	return b
}

// fatSector is where sector i of the FAT lies.
func (p *officePlan) fatSector(i int64) int64 {
	if i < p.difatAt-p.fatAt {
		return p.fatAt + i
	}
	return cfbNone
}

// writeRest writes what stands behind the package. The writer knows how far the file is.
func (p *officePlan) writeRest(out *countingWriter, info *agileInfo) error {
	w := bufio.NewWriterSize(out, 8<<10)
	at := out.n
	put := func(b []byte) {
		_, _ = w.Write(b) // Flush returns the error
		at += int64(len(b))
	}
	fill := func(unit int64) { put(make([]byte, -at&(unit-1))) }

	if p.big > 0 {
		fill(cfbSector)
	}
	for _, s := range p.streams {
		fill(cfbMini)
		if s.content == nil {
			put(info.stream())
		} else {
			put(s.content)
		}
	}
	fill(cfbSector)
	for _, e := range p.entries {
		put(e.bytes())
	}
	for i := range (p.fatAt - p.miniFATAt) * cfbPerFAT {
		put(le32(nil, p.miniNext(i)))
	}
	for i := range (p.difatAt - p.fatAt) * cfbPerFAT {
		put(le32(nil, p.next(i)))
	}
	place := int64(cfbInHead)
	for i := p.difatAt; i < p.end; i++ {
		for range cfbPerFAT - 1 {
			put(le32(nil, p.fatSector(place)))
			place++
		}
		if i+1 < p.end {
			put(le32(nil, i+1))
		} else {
			put(le32(nil, cfbEndOfChain))
		}
	}
	return w.Flush()
}

// next is what the FAT says about a sector: which one follows.
func (p *officePlan) next(i int64) int64 {
	switch {
	case i >= p.end:
		return cfbNone
	case i >= p.difatAt:
		return cfbIsDIFAT
	case i >= p.fatAt:
		return cfbIsFAT
	case slices.Contains([]int64{p.miniAt, p.dirAt, p.miniFATAt, p.fatAt}, i+1):
		return cfbEndOfChain
	}
	return i + 1
}

// miniNext is the same of the mini stream.
func (p *officePlan) miniNext(i int64) int64 {
	if i >= p.mini {
		return cfbNone
	}
	for _, s := range p.streams {
		if i+1 == s.start || i+1 == p.mini {
			return cfbEndOfChain
		}
	}
	return i + 1
}

// bytes returns the entry as it is written.
func (e cfbDirEntry) bytes() []byte {
	b := make([]byte, 0, cfbEntry)
	units := utf16.Encode([]rune(e.name))
	for _, u := range units {
		b = le16(b, int(u))
	}
	b = append(b, make([]byte, 64-len(b))...)
	length := 0
	if e.name != "" {
		length = 2 * (len(units) + 1)
	}
	b = le16(b, length)
	black := byte(1)
	if e.red || e.kind == 0 {
		black = 0
	}
	b = append(b, e.kind, black)
	b = le32(b, e.left, e.right, e.child)
	b = append(b, make([]byte, 16+4+8+8)...) // no class, no state, no times
	return le32(b, e.start, e.size, 0)
}

// The streams that say what EncryptedPackage is (MS-OFFCRYPTO §2.1 and §2.3.4.1 to §2.3.4.3):
// Office looks for them, and they are the same in every file.

func dataSpaceVersion() []byte {
	return le16(lp4("Microsoft.Container.DataSpaces"), 1, 0, 1, 0, 1, 0)
}

func dataSpaceMap() []byte {
	entry := le32(nil, 1, 0)
	entry = slices.Concat(entry, lp4("EncryptedPackage"), lp4("StrongEncryptionDataSpace"))
	return append(le32(nil, 8, 1, int64(4+len(entry))), entry...)
}

func dataSpace() []byte { return append(le32(nil, 8, 1), lp4("StrongEncryptionTransform")...) }

func dataTransform() []byte {
	id := lp4("{FF9A3F03-56EF-4613-BDD5-5A41C1D07246}")
	b := append(le32(nil, int64(8+len(id)), 1), id...)
	b = append(b, lp4("Microsoft.Container.EncryptionTransform")...)
	b = le16(b, 1, 0, 1, 0, 1, 0)
	return le32(b, 0, 0, 0, 4) // agile encryption names no cipher here
}

// lp4 is text in UTF-16 with its length before it, padded to four bytes (UNICODE-LP-P4).
func lp4(s string) []byte {
	b := le32(nil, int64(2*len(s)))
	for i := range len(s) {
		b = le16(b, int(s[i]))
	}
	return append(b, make([]byte, -len(b)&3)...)
}
