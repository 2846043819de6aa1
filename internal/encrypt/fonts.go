package encrypt

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unicode"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
)

// The fonts of locked letters. fonts/README.md says where they come from and under which
// licences.
//
//go:embed fonts/*.ttf.gz
var fontFiles embed.FS

// scriptFont returns the font of a script, or nothing for one that has none of its own.
func scriptFont(s language.Script) string {
	switch s {
	case language.Latin, language.Greek, language.Cyrillic:
		return "NotoSans"
	case language.Arabic:
		return "NotoSansArabic"
	case language.Hebrew:
		return "NotoSansHebrew"
	case language.Devanagari:
		return "NotoSansDevanagari"
	case language.Bengali:
		return "NotoSansBengali"
	case language.Gurmukhi:
		return "NotoSansGurmukhi"
	case language.Gujarati:
		return "NotoSansGujarati"
	case language.Oriya:
		return "NotoSansOriya"
	case language.Tamil:
		return "NotoSansTamil"
	case language.Telugu:
		return "NotoSansTelugu"
	case language.Kannada:
		return "NotoSansKannada"
	case language.Malayalam:
		return "NotoSansMalayalam"
	case language.Sinhala:
		return "NotoSansSinhala"
	case language.Thai:
		return "NotoSansThai"
	case language.Lao:
		return "NotoSansLao"
	case language.Khmer:
		return "NotoSansKhmer"
	case language.Myanmar:
		return "NotoSansMyanmar"
	case language.Georgian:
		return "NotoSansGeorgian"
	case language.Armenian:
		return "NotoSansArmenian"
	case language.Ethiopic:
		return "NotoSansEthiopic"
	case language.Thaana:
		return "NotoSansThaana"
	case language.Syriac:
		return "NotoSansSyriac"
	case language.Hangul:
		return "NanumSquareRound"
	case language.Han, language.Hiragana, language.Katakana, language.Bopomofo:
		return "DroidSansFallback"
	}
	return ""
}

// fallbacks are the fonts for signs of no script, in the order in which they are asked. The
// pictures come before the symbols: what is both is a picture in mail.
func fallbacks() []string {
	return []string{"NotoSans", "NotoEmoji", "NotoSansSymbols2", "NotoSansSymbols", "NotoSansMath", "DroidSansFallback"}
}

// fontSet opens fonts as they are needed and chooses one for each character. It belongs to one
// letter: faces are not for concurrent use.
type fontSet struct {
	faces   map[string]*face
	order   []*face
	byFace  map[*font.Face]*face
	current *face
	script  language.Script
	err     error // the first character that no font has
}

func newFontSet() *fontSet {
	return &fontSet{faces: map[string]*face{}, byFace: map[*font.Face]*face{}}
}

// SetScript says in which script the next characters stand.
func (f *fontSet) SetScript(s language.Script) { f.script = s }

// ResolveFace chooses the font for a character.
func (f *fontSet) ResolveFace(r rune) *font.Face {
	if chosen := f.choose(r); chosen != nil {
		f.current = chosen
	} else {
		f.missing(r)
	}
	if f.current == nil {
		f.current = f.face("NotoSans")
	}
	return f.current.Face
}

// missing records that no font has the character. The error names its script and not the
// character: that is content.
func (f *fontSet) missing(r rune) {
	if f.err == nil {
		f.err = fmt.Errorf("encrypt: script %s: %w", language.LookupScript(r), NoGlyph)
	}
}

func (f *fontSet) choose(r rune) *face {
	if f.current != nil && (unseen(r) || unicode.IsMark(r) && f.current.has(r)) {
		return f.current
	}
	if unseen(r) {
		return f.face("NotoSans")
	}
	script := language.LookupScript(r)
	own := scriptFont(script)
	if own == "" && (script == language.Common || script == language.Inherited) {
		if f.current != nil && f.current.letters && f.current.has(r) {
			return f.current
		}
		own = scriptFont(f.script)
	}
	if own != "" {
		if face := f.face(own); face.has(r) {
			face.letters = true
			return face
		}
	}
	for _, name := range fallbacks() {
		if face := f.face(name); face.has(r) {
			return face
		}
	}
	return nil
}

// unseen reports characters that only say how others are shown: joiners, marks of direction,
// variation selectors, tags, soft hyphens.
func unseen(r rune) bool {
	return r < ' ' || r == 0xad || r == 0x34f || r == 0x61c || 0x200b <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2060 <= r && r <= 0x206f ||
		0xfe00 <= r && r <= 0xfe0f || r == 0xfeff || 0xe0000 <= r && r <= 0xe0fff || r == 0x180e || r == 0x17b4 || r == 0x17b5
}

// face opens a font.
func (f *fontSet) face(name string) *face {
	if o := f.faces[name]; o != nil {
		return o
	}
	o, err := openFace(name)
	if err != nil {
		// The files are part of the program and every one is opened by a test.
		if f.err == nil {
			f.err = fmt.Errorf("encrypt: font %s: %w", name, err)
		}
		o = &face{name: name}
	}
	f.faces[name] = o
	f.order = append(f.order, o)
	if o.Face != nil {
		f.byFace[o.Face] = o
	}
	return o
}

// face is a font and the part of it that a document uses.
type face struct {
	*font.Face
	name    string
	letters bool // it is a script's: signs between its letters are taken from it too
	tables  map[string][]byte
	upem    float64
	long    bool // the offsets of loca have four bytes

	used  []use       // by their number in the document; the first is .notdef
	index map[use]int // and back
	wide  int         // number of glyphs with a width of their own
}

// use is a glyph that stands for a text. One that stands for several is in the document once
// for each, so that readers need nothing but the font to know what stands there.
type use struct {
	id   font.GID
	text string
}

// has reports whether the font has a glyph for the character.
func (f *face) has(r rune) bool {
	if f.Face == nil {
		return false
	}
	_, ok := f.NominalGlyph(r)
	return ok
}

// openFace reads an embedded font.
func openFace(name string) (*face, error) {
	packed, err := fontFiles.ReadFile("fonts/" + name + ".ttf.gz")
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	file, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	f := &face{name: name, tables: map[string][]byte{}, used: []use{{}}, index: map[use]int{{}: 0}}
	for i := range int(binary.BigEndian.Uint16(file[4:])) {
		rec := file[12+16*i:]
		off, n := binary.BigEndian.Uint32(rec[8:]), binary.BigEndian.Uint32(rec[12:])
		f.tables[string(rec[:4])] = file[off : off+n]
	}
	if f.Face, err = font.ParseTTF(bytes.NewReader(file)); err != nil {
		return nil, err
	}
	f.upem = float64(f.Upem())
	f.long = binary.BigEndian.Uint16(f.tables["head"][50:]) == 1
	f.wide = int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	return f, nil
}

// blankGlyph stands for a glyph of our own, which has no width and shows nothing.
const blankGlyph font.GID = 1<<32 - 1

// number returns the number of a glyph in the document.
func (f *face) number(g font.GID, text string) int {
	u := use{g, text}
	n, ok := f.index[u]
	if !ok {
		n = len(f.used)
		f.index[u] = n
		f.used = append(f.used, u)
	}
	return n
}

// width is the advance of a glyph in thousandths of the font size, as the document says it.
func (f *face) width(g font.GID) int {
	return int(float64(f.advance(g))*1000/f.upem + 0.5)
}

func (f *face) advance(g font.GID) uint16 {
	if g == blankGlyph {
		return 0
	}
	return binary.BigEndian.Uint16(f.tables["hmtx"][4*min(int(g), f.wide-1):])
}

// outline returns the bytes of a glyph in the table glyf.
func (f *face) outline(g font.GID) []byte {
	if g == blankGlyph {
		return nil
	}
	loca := f.tables["loca"]
	var from, to int
	if f.long {
		from, to = int(binary.BigEndian.Uint32(loca[4*g:])), int(binary.BigEndian.Uint32(loca[4*g+4:]))
	} else {
		from, to = 2*int(binary.BigEndian.Uint16(loca[2*g:])), 2*int(binary.BigEndian.Uint16(loca[2*g+2:]))
	}
	return f.tables["glyf"][from:to]
}

// subset returns a TrueType file with the glyphs in use, numbered anew, without hints.
func (f *face) subset() []byte {
	var glyf, loca, hmtx []byte
	for i := 0; i < len(f.used); i++ { // components are appended while this runs
		g := f.used[i].id
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		glyf = append(glyf, f.unhinted(f.outline(g))...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
		hmtx = binary.BigEndian.AppendUint16(hmtx, f.advance(g))
		hmtx = binary.BigEndian.AppendUint16(hmtx, f.bearing(g))
	}
	loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
	head := bytes.Clone(f.tables["head"])
	binary.BigEndian.PutUint32(head[8:], 0)  // the sum of the whole file, which readers of PDF do not want
	binary.BigEndian.PutUint16(head[50:], 1) // long offsets
	hhea := bytes.Clone(f.tables["hhea"])
	binary.BigEndian.PutUint16(hhea[34:], uint16(len(f.used)))
	maxp := bytes.Clone(f.tables["maxp"])
	binary.BigEndian.PutUint16(maxp[4:], uint16(len(f.used)))
	return sfnt(map[string][]byte{"glyf": glyf, "head": head, "hhea": hhea, "hmtx": hmtx, "loca": loca, "maxp": maxp})
}

// bearing is the left side bearing of a glyph.
func (f *face) bearing(g font.GID) uint16 {
	if g == blankGlyph {
		return 0
	}
	hmtx := f.tables["hmtx"]
	if int(g) < f.wide {
		return binary.BigEndian.Uint16(hmtx[4*int(g)+2:])
	}
	return binary.BigEndian.Uint16(hmtx[4*f.wide+2*(int(g)-f.wide):])
}

// unhinted returns the outline without instructions, and with the numbers of its components in
// the document (OpenType, table glyf).
func (f *face) unhinted(o []byte) []byte {
	if len(o) < 10 {
		return nil
	}
	contours := int(int16(binary.BigEndian.Uint16(o)))
	if contours >= 0 {
		at := 10 + 2*contours
		n := int(binary.BigEndian.Uint16(o[at:]))
		out := append(bytes.Clone(o[:at]), 0, 0)
		return append(out, o[at+2+n:]...)
	}
	const words, scale, more, xyScale, twoByTwo, hints = 1, 8, 0x20, 0x40, 0x80, 0x100
	o = bytes.Clone(o)
	for at := 10; ; {
		flags := binary.BigEndian.Uint16(o[at:])
		binary.BigEndian.PutUint16(o[at:], flags&^hints)
		binary.BigEndian.PutUint16(o[at+2:], uint16(f.number(font.GID(binary.BigEndian.Uint16(o[at+2:])), "")))
		at += 6
		if flags&words != 0 {
			at += 2
		}
		switch {
		case flags&scale != 0:
			at += 2
		case flags&xyScale != 0:
			at += 4
		case flags&twoByTwo != 0:
			at += 8
		}
		if flags&more == 0 {
			return o[:at]
		}
	}
}

// sfnt assembles a font file.
func sfnt(tables map[string][]byte) []byte {
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	n := len(names)
	log := 0
	for 2<<log <= n {
		log++
	}
	out := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, v := range []int{n, 16 << log, log, 16*n - 16<<log} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	at := 12 + 16*n
	var body []byte
	for _, name := range names {
		t := tables[name]
		var sum uint32
		padded := append(bytes.Clone(t), make([]byte, (4-len(t)%4)%4)...)
		for i := 0; i < len(padded); i += 4 {
			sum += binary.BigEndian.Uint32(padded[i:])
		}
		out = append(out, name...)
		for _, v := range []uint32{sum, uint32(at + len(body)), uint32(len(t))} {
			out = binary.BigEndian.AppendUint32(out, v)
		}
		body = append(body, padded...)
	}
	return append(out, body...)
}
