package encrypt

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// ref is the number of an object of a PDF; 0 is none.
type ref int

func (r ref) String() string { return fmt.Sprintf("%d 0 R", int(r)) }

// objects writes the objects of a PDF one after the other (ISO 32000-2 §7.5). The first error
// stays.
type objects struct {
	w       io.Writer
	written int64
	offsets []int64 // by number; 0 is the free one
	err     error
}

func newObjects(w io.Writer) *objects {
	o := &objects{w: w, offsets: []int64{0}}
	o.write("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return o
}

func (o *objects) write(s string) {
	if o.err == nil {
		n, err := io.WriteString(o.w, s)
		o.written += int64(n)
		o.err = err
	}
}

// reserve returns the number of an object that is written later.
func (o *objects) reserve() ref {
	o.offsets = append(o.offsets, 0)
	return ref(len(o.offsets) - 1)
}

// put writes an object.
func (o *objects) put(r ref, body string) {
	o.offsets[r] = o.written
	o.write(fmt.Sprintf("%d 0 obj\n%s\nendobj\n", int(r), body))
}

// stream writes a compressed stream with more entries in its dictionary.
func (o *objects) stream(r ref, entries string, data []byte) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(data) // a buffer takes everything
	_ = w.Close()
	o.put(r, fmt.Sprintf("<<%s/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", entries, z.Len(), z.String()))
}

// close writes the table of offsets and the trailer.
func (o *objects) close(root, info ref, id string) error {
	start := o.written
	var s strings.Builder
	fmt.Fprintf(&s, "xref\n0 %d\n0000000000 65535 f \n", len(o.offsets))
	for _, at := range o.offsets[1:] {
		fmt.Fprintf(&s, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&s, "trailer\n<</Size %d/Root %v/Info %v/ID[<%s><%s>]>>\nstartxref\n%d\n%%%%EOF\n", len(o.offsets), root, info, id, id, start)
	o.write(s.String())
	return o.err
}

// pdfText is a text string of a PDF: UTF-16 with a mark, in hexadecimal (ISO 32000-2 §7.9.2.2).
func pdfText(s string) string { return "<FEFF" + utf16Hex(s) + ">" }

func utf16Hex(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String()
}

// pdfString is a string of bytes, in hexadecimal.
func pdfString(s string) string { return fmt.Sprintf("<%X>", s) }

// writeFont writes a font with the glyphs that the document uses: a composite font whose codes
// are the numbers of the glyphs (ISO 32000-2 §9.7.4), with what each stands for.
func (o *objects) writeFont(r ref, f *face, number int) {
	program := f.subset()
	file, descriptor, cid, unicode := o.reserve(), o.reserve(), o.reserve(), o.reserve()
	o.stream(file, fmt.Sprintf("/Length1 %d", len(program)), program)
	name := subsetTag(number) + "+" + f.name
	em := func(v int16) int { return int(float64(v) * 1000 / f.upem) }
	at := func(table string, i int) int {
		t := f.tables[table]
		return em(int16(uint16(t[i])<<8 | uint16(t[i+1])))
	}
	o.put(descriptor, fmt.Sprintf("<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight 700/StemV 80/FontFile2 %v>>",
		name, at("head", 36), at("head", 38), at("head", 40), at("head", 42), at("hhea", 4), at("hhea", 6), file))
	var w strings.Builder
	for _, u := range f.used {
		fmt.Fprintf(&w, "%d ", f.width(u.id))
	}
	o.put(cid, fmt.Sprintf("<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %v/CIDToGIDMap/Identity/W[0[%s]]>>",
		name, descriptor, w.String()))
	o.stream(unicode, "", []byte(f.toUnicode()))
	o.put(r, fmt.Sprintf("<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%v]/ToUnicode %v>>", name, cid, unicode))
}

// subsetTag is the tag of six letters before the name of a font that is not whole (ISO 32000-2
// §9.9.2).
func subsetTag(n int) string {
	tag := []byte("PLAINA")
	for i := len(tag) - 1; n > 0 && i >= 0; i-- {
		tag[i] = 'A' + byte(n%26)
		n /= 26
	}
	return string(tag)
}

// toUnicode is the table from codes to text (ISO 32000-2 §9.10.3).
func (f *face) toUnicode() string {
	var s strings.Builder
	s.WriteString("/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n1 begincodespacerange <0000><FFFF> endcodespacerange\n")
	var lines []string
	for n, u := range f.used {
		if u.text != "" {
			lines = append(lines, fmt.Sprintf("<%04X><%s>\n", n, utf16Hex(u.text)))
		}
	}
	for len(lines) > 0 {
		n := min(len(lines), 100) // the most that one group may have
		fmt.Fprintf(&s, "%d beginbfchar\n%sendbfchar\n", n, strings.Join(lines[:n], ""))
		lines = lines[n:]
	}
	s.WriteString("endcmap CMapName currentdict/CMap defineresource pop end end\n")
	return s.String()
}
