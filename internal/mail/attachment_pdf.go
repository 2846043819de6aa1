package mail

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The bounds of one PDF file.
const (
	pdfDeepest  = 64       // arrays and dictionaries within each other, pages within pages
	pdfObjects  = 500_000  // objects
	pdfWork     = 6        // bytes that may be read as objects, in sizes of the file
	pdfMappings = 400_000  // characters of fonts
	pdfTables   = 64 << 20 // bytes of the tables of fonts, each time that one is read
	pdfLongest  = 512      // bytes that a character stands for (ISO 32000-2 §9.10.3)
)

// PDF objects (ISO 32000-2 §7.3). A name is a pdfName, a string []byte, a number float64, a
// reference pdfRef, an operator pdfWord; null and what cannot be read are nil.
type (
	pdfName string
	pdfWord string
	pdfRef  int
	pdfDict map[pdfName]any
)

// pdfStream is a dictionary with data.
type pdfStream struct {
	dict pdfDict
	data []byte // as it stands in the file
}

// pdfDoc is a file whose objects were found. They are looked for in the bytes, not by the
// table at the end: so older revisions, unused objects and damaged files are read too.
type pdfDoc struct {
	o       *opener
	b       []byte
	offsets []pdfPlace // in the order of the file
	last    map[int]int
	packed  map[int]any // objects within streams
	ends    []int       // where "endstream" stands
	work    int
	known   map[int]any
	fonts   map[pdfRef]*pdfFont
	mapped  int
	tables  int          // what is left of pdfTables
	done    map[int]bool // streams that were read, by place of their data
	opaque  bool         // a font shows text that cannot be read
	shown   *boundedText
	joined  *boundedText // the same without guessed spaces
	strings *boundedText
}

type pdfPlace struct {
	number int
	at     int // behind "obj"
}

var errPDF = errors.New("mail: not a readable PDF file")

// pdf reads a PDF file: what its pages show, all revisions, and every string in it.
func (o *opener) pdf(b []byte) {
	d := &pdfDoc{o: o, b: b, last: map[int]int{}, packed: map[int]any{}, known: map[int]any{}, fonts: map[pdfRef]*pdfFont{},
		done: map[int]bool{}, shown: o.newText(), joined: o.newText(), strings: o.newText(), work: pdfWork*len(b) + 1<<20, tables: pdfTables}
	err := d.find()
	if err == nil {
		err = d.read()
	}
	switch {
	case errors.Is(err, errLocked):
		o.report(defLocked, "")
		return
	case err != nil:
		o.unreadable(err, "pdf")
	case d.work < 0:
		o.report(defUnreadable, "pdf")
	case d.opaque:
		o.report(defUnreadable, "font")
	}
	o.finish(d.shown, d.strings)
	if d.joined.String() != d.shown.String() {
		o.finish(d.joined)
	}
}

// find looks for all objects.
func (d *pdfDoc) find() error {
	for i := 0; ; {
		k := bytes.Index(d.b[i:], []byte("obj"))
		if k < 0 {
			break
		}
		at := i + k
		i = at + 3
		if n, ok := d.header(at); ok {
			if len(d.offsets) >= pdfObjects {
				return errPDF
			}
			d.last[n] = len(d.offsets)
			d.offsets = append(d.offsets, pdfPlace{n, i})
		}
	}
	for i := 0; ; {
		k := bytes.Index(d.b[i:], []byte("endstream"))
		if k < 0 {
			break
		}
		d.ends = append(d.ends, i+k)
		i += k + 9
	}
	if len(d.offsets) == 0 || !bytes.Contains(d.b, []byte("%%EOF")) {
		return errPDF
	}
	return nil
}

// header reads "12 0 " backwards before "obj".
func (d *pdfDoc) header(at int) (number int, ok bool) {
	i := at
	for range 2 {
		spaces := 0
		for i > 0 && pdfSpace(d.b[i-1]) && spaces < 8 {
			i--
			spaces++
		}
		end := i
		for i > 0 && digit(d.b[i-1]) && end-i < 10 {
			i--
		}
		if end == i || spaces == 0 && end != at {
			return 0, false
		}
		n, err := strconv.Atoi(string(d.b[i:end]))
		if err != nil {
			return 0, false
		}
		number = n
	}
	return number, true
}

// read goes through everything that was found.
func (d *pdfDoc) read() error {
	objects := make([]any, len(d.offsets))
	for i, p := range d.offsets {
		objects[i] = d.parseAt(p.at)
	}
	if d.work < 0 {
		return errPDF
	}
	if d.isLocked(objects) {
		return errLocked
	}
	for i, p := range d.offsets {
		if d.last[p.number] == i {
			d.known[p.number] = objects[i]
		}
	}
	for i := 0; i < len(objects); i++ { // objects within streams are added behind
		if s, ok := objects[i].(*pdfStream); ok && s.dict["Type"] == pdfName("ObjStm") {
			more, err := d.unpack(s)
			if err != nil {
				return err
			}
			if len(objects)+len(more) > pdfObjects {
				return errPDF
			}
			objects = append(objects, more...)
		}
	}
	for _, x := range objects {
		d.gather(x, 0)
	}
	if err := d.pages(objects); err != nil {
		return err
	}
	for _, x := range objects {
		if s, ok := x.(*pdfStream); ok {
			if err := d.stream(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// isLocked reports whether a trailer, or the stream that stands for it, names encryption.
func (d *pdfDoc) isLocked(objects []any) bool {
	for _, x := range objects {
		if s, ok := x.(*pdfStream); ok && s.dict["Type"] == pdfName("XRef") && s.dict["Encrypt"] != nil {
			return true
		}
	}
	for i := 0; ; {
		k := bytes.Index(d.b[i:], []byte("trailer"))
		if k < 0 {
			return false
		}
		i += k + 7
		if t, ok := d.parseAt(i).(pdfDict); ok && t["Encrypt"] != nil {
			return true
		}
	}
}

// parseAt reads the object at a place, with its data when it is a stream.
func (d *pdfDoc) parseAt(at int) any {
	if d.work < 0 {
		return nil
	}
	l := &pdfLexer{b: d.b, i: at}
	x := l.value(0)
	d.work -= l.i - at
	dict, ok := x.(pdfDict)
	if !ok {
		return x
	}
	l.space()
	if !bytes.HasPrefix(d.b[l.i:], []byte("stream")) {
		return x
	}
	start := l.i + 6
	if start < len(d.b) && d.b[start] == '\r' {
		start++
	}
	if start < len(d.b) && d.b[start] == '\n' {
		start++
	}
	end := len(d.b)
	k := sort.SearchInts(d.ends, start)
	if k < len(d.ends) {
		end = d.ends[k]
	}
	// The length counts only where it leads to an end: data may hold the word.
	n, ok := dict["Length"].(float64)
	if ref, isRef := dict["Length"].(pdfRef); isRef {
		if j, found := d.last[int(ref)]; found {
			l := &pdfLexer{b: d.b, i: d.offsets[j].at}
			if l.space(); l.i < len(l.b) && digit(l.b[l.i]) { // never all of what else may stand there
				n, ok = l.float(), true
			}
			d.work -= l.i - d.offsets[j].at
		}
	}
	if ok && n >= 0 && n <= float64(len(d.b)-start) {
		stop := start + int(n)
		if bytes.HasPrefix(bytes.TrimLeft(d.b[stop:min(stop+16, len(d.b))], "\r\n \t"), []byte("endstream")) {
			end = stop
		}
	}
	d.work -= end - start
	return &pdfStream{dict: dict, data: d.b[start:end]}
}

// resolve follows a reference.
func (d *pdfDoc) resolve(x any) any {
	for range 16 {
		ref, ok := x.(pdfRef)
		if !ok {
			return x
		}
		if y, ok := d.known[int(ref)]; ok {
			x = y
		} else {
			x = d.packed[int(ref)]
		}
	}
	return nil
}

func (d *pdfDoc) dict(x any) pdfDict {
	switch x := d.resolve(x).(type) {
	case pdfDict:
		return x
	case *pdfStream:
		return x.dict
	}
	return nil
}

func (d *pdfDoc) number(x any) int {
	f, _ := d.resolve(x).(float64)
	if f < 0 || f > 1<<30 {
		return 0
	}
	return int(f)
}

// unpack reads the objects of an object stream (ISO 32000-2 §7.5.7).
func (d *pdfDoc) unpack(s *pdfStream) ([]any, error) {
	b, err := d.decode(s)
	if err != nil {
		return nil, err
	}
	head := &pdfLexer{b: b}
	first, n := d.number(s.dict["First"]), d.number(s.dict["N"])
	var out []any
	for range min(n, len(b)) {
		num, ok1 := head.value(0).(float64)
		off, ok2 := head.value(0).(float64)
		at := first + int(off)
		if !ok1 || !ok2 || off < 0 || at >= len(b) || at < 0 {
			break
		}
		l := &pdfLexer{b: b, i: at}
		x := l.value(0)
		if d.work -= l.i - at; d.work < 0 {
			return nil, errPDF
		}
		out = append(out, x)
		d.packed[int(num)] = x
	}
	return out, nil
}

// errImage is for streams that hold no text.
var errImage = errors.New("mail: a picture")

// decode undoes the filters of a stream.
func (d *pdfDoc) decode(s *pdfStream) ([]byte, error) {
	var names []any
	switch f := d.resolve(s.dict["Filter"]).(type) {
	case pdfName:
		names = []any{f}
	case []any:
		names = f
	}
	if len(names) > 8 {
		return nil, errPDF
	}
	b := s.data
	for i, n := range names {
		name, _ := d.resolve(n).(pdfName)
		var err error
		switch name {
		case "FlateDecode", "Fl":
			b, err = d.inflate(b)
			if err == nil {
				b = d.predict(b, s.dict, i)
			}
		case "LZWDecode", "LZW":
			b, err = d.unLZW(b, s.dict, i)
			if err == nil {
				b = d.predict(b, s.dict, i)
			}
		case "ASCIIHexDecode", "AHx":
			b = pdfHex(b)
		case "ASCII85Decode", "A85":
			b = pdfASCII85(b)
		case "RunLengthDecode", "RL":
			b, err = d.unRun(b)
		case "Crypt":
			return nil, errLocked
		default: // DCTDecode, JPXDecode, CCITTFaxDecode, JBIG2Decode
			return nil, errImage
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// inflate reads as much as can be read: viewers show a stream up to where it breaks off.
func (d *pdfDoc) inflate(b []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, errPDF
	}
	packed := int64(len(b))
	out, err := io.ReadAll(io.LimitReader(&inflated{r: z, o: d.o, packed: &packed}, maxWhole))
	if errors.Is(err, errBomb) || len(out) == maxWhole {
		return nil, errBomb
	}
	if err != nil && len(out) == 0 {
		return nil, errPDF
	}
	return out, nil
}

// predict undoes the PNG predictors (ISO 32000-2 §7.4.4.4).
func (d *pdfDoc) predict(b []byte, dict pdfDict, i int) []byte {
	p := d.params(dict, i)
	if d.number(p["Predictor"]) < 10 {
		return b
	}
	columns, colors, bits := max(d.number(p["Columns"]), 1), max(d.number(p["Colors"]), 1), d.number(p["BitsPerComponent"])
	if bits == 0 {
		bits = 8
	}
	if columns > 1<<20 || colors > 32 || bits > 16 {
		return b
	}
	pixel, row := max(colors*bits/8, 1), (columns*colors*bits+7)/8
	out := make([]byte, 0, len(b))
	prev := make([]byte, row)
	for len(b) > 1 {
		n := min(row, len(b)-1)
		kind, line := b[0], slices.Clone(b[1:1+n])
		b = b[1+n:]
		for j := range line {
			var left, corner byte
			if j >= pixel {
				left, corner = line[j-pixel], prev[j-pixel]
			}
			switch kind {
			case 1:
				line[j] += left
			case 2:
				line[j] += prev[j]
			case 3:
				line[j] += byte((int(left) + int(prev[j])) / 2)
			case 4:
				line[j] += paeth(left, prev[j], corner)
			}
		}
		out = append(out, line...)
		copy(prev, line)
	}
	return out
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := max(p-int(a), int(a)-p), max(p-int(b), int(b)-p), max(p-int(c), int(c)-p)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

// params returns the parameters of the i-th filter.
func (d *pdfDoc) params(dict pdfDict, i int) pdfDict {
	x := d.resolve(dict["DecodeParms"])
	if a, ok := x.([]any); ok {
		if i >= len(a) {
			return nil
		}
		x = a[i]
	}
	return d.dict(x)
}

// spend counts bytes that come out of a stream.
func (d *pdfDoc) spend(n int) error {
	if d.o.expand -= int64(n); d.o.expand < 0 || n > maxWhole {
		return errBomb
	}
	return nil
}

// unLZW undoes the LZW of ISO 32000-2 §7.4.4.2.
func (d *pdfDoc) unLZW(b []byte, dict pdfDict, i int) ([]byte, error) {
	early := 1
	if p := d.params(dict, i); p["EarlyChange"] != nil {
		early = d.number(p["EarlyChange"])
	}
	type entry struct{ start, n int } // of the output
	var table [4096]entry
	next, width := 258, 9
	var out []byte
	var acc uint32
	bits := 0
	prev := entry{}
	for _, c := range b {
		acc, bits = acc<<8|uint32(c), bits+8
		if bits < width {
			continue
		}
		code := int(acc>>(bits-width)) & (1<<width - 1)
		bits -= width
		at := len(out)
		switch {
		case code == 257:
			return out, d.spend(len(out))
		case code == 256:
			next, width, prev = 258, 9, entry{}
			continue
		case code < 256:
			out = append(out, byte(code))
		case code < next:
			e := table[code]
			out = append(out, out[e.start:e.start+e.n]...)
		case code == next && prev.n > 0:
			out = append(out, out[prev.start:prev.start+prev.n]...)
			out = append(out, out[prev.start])
		default:
			return out, d.spend(len(out))
		}
		if prev.n > 0 && next < 4096 {
			table[next] = entry{prev.start, prev.n + 1} // what follows it stands behind it
			next++
		}
		prev = entry{at, len(out) - at}
		for width < 12 && next+early >= 1<<width {
			width++
		}
		if len(out) > maxWhole || int64(len(out)) > d.o.expand {
			_ = d.spend(len(out))
			return nil, errBomb
		}
	}
	return out, d.spend(len(out))
}

func (d *pdfDoc) unRun(b []byte) ([]byte, error) {
	var out []byte
	for len(b) > 1 && b[0] != 128 {
		n := int(b[0])
		if n < 128 {
			k := min(n+1, len(b)-1)
			out, b = append(out, b[1:1+k]...), b[1+k:]
		} else {
			out, b = append(out, bytes.Repeat(b[1:2], 257-n)...), b[2:]
		}
		if len(out) > maxWhole {
			_ = d.spend(len(out))
			return nil, errBomb
		}
	}
	return out, d.spend(len(out))
}

func pdfHex(b []byte) []byte {
	var out []byte
	n, acc := 0, byte(0)
	for _, c := range b {
		if c == '>' {
			break
		}
		if isHex(c) {
			acc = acc<<4 | unhex(c)
			if n++; n%2 == 0 {
				out = append(out, acc)
			}
		}
	}
	if n%2 == 1 {
		out = append(out, acc<<4)
	}
	return out
}

func pdfASCII85(b []byte) []byte {
	var out []byte
	var acc uint32
	n := 0
	flush := func(k int) {
		for i := range k {
			out = append(out, byte(acc>>(24-8*i)))
		}
		acc, n = 0, 0
	}
	for _, c := range b {
		switch {
		case c == '~':
			if n > 1 {
				k := n - 1
				for ; n < 5; n++ {
					acc = acc*85 + 84
				}
				flush(k)
			}
			return out
		case c == 'z' && n == 0:
			out = append(out, 0, 0, 0, 0)
		case c >= '!' && c <= 'u':
			acc = acc*85 + uint32(c-'!')
			if n++; n == 5 {
				flush(4)
			}
		}
	}
	return out
}

// gather keeps every string of an object: titles, notes, addresses of links, values of
// forms, names of files, scripts.
func (d *pdfDoc) gather(x any, depth int) {
	if depth > pdfDeepest {
		return
	}
	switch x := x.(type) {
	case []byte:
		if s := pdfString(x); len(s) > 1 && mostlyText(s) {
			d.strings.add(s)
			d.strings.add("\n\x01\n")
		}
	case []any:
		for _, y := range x {
			d.gather(y, depth+1)
		}
	case pdfDict:
		for _, k := range sortedKeys(x) {
			if k != "ID" && k != "CharSet" && k != "Panose" && k != "Registry" {
				d.gather(x[k], depth+1)
			}
		}
	case *pdfStream:
		d.gather(x.dict, depth)
	}
}

func sortedKeys(x pdfDict) []pdfName {
	keys := make([]pdfName, 0, len(x))
	for k := range x {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// pdfString decodes a text string (ISO 32000-2 §7.9.2).
func pdfString(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return utf16Text(b[2:])
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		swapped := make([]byte, 0, len(b))
		for i := 2; i+1 < len(b); i += 2 {
			swapped = append(swapped, b[i+1], b[i])
		}
		return utf16Text(swapped)
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return strings.ToValidUTF8(string(b[3:]), "\uFFFD")
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return latinText(b)
}

func utf16Text(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		u = append(u, uint16(b[i])<<8|uint16(b[i+1]))
	}
	return string(utf16.Decode(u))
}

func latinText(b []byte) string {
	cs, _ := lookupCharset("windows-1252")
	return cs.decode(b)
}

// mostlyText reports whether a string is one for people.
func mostlyText(s string) bool {
	odd := 0
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError || r == 0x7f {
			odd++
		}
	}
	return odd*8 <= len(s)
}

// stream reads a stream that no page was found to show.
func (d *pdfDoc) stream(s *pdfStream) error {
	at := cap(s.data) // unique: all data is of one file
	if d.done[at] {
		return nil
	}
	d.done[at] = true
	typ, _ := s.dict["Type"].(pdfName)
	sub, _ := s.dict["Subtype"].(pdfName)
	switch {
	case typ == "ObjStm" || typ == "XRef" || sub == "Image" || s.dict["Length1"] != nil || sub == "Type1C" || sub == "CIDFontType0C" || sub == "OpenType":
		return nil
	}
	b, err := d.decode(s)
	if errors.Is(err, errImage) {
		return nil
	}
	if err != nil {
		return err
	}
	head := b[:min(len(b), headSize)]
	switch {
	case typ == "EmbeddedFile":
		d.o.member("", bytes.NewReader(b))
	case bytes.Contains(head, []byte("begincmap")) || bytes.HasPrefix(head, []byte("%!")):
	case isXML(head):
		d.o.open(xmlFile, "", bytes.NewReader(b), nil, 0)
	case sub == "Form" || bytes.Contains(b, []byte("Tj")) || bytes.Contains(b, []byte("TJ")):
		d.content([][]byte{b}, d.dict(s.dict["Resources"]))
	case looksLikeText(head):
		d.strings.add(pdfString(b))
		d.strings.add("\n\x01\n")
	}
	return nil
}

func isXML(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(b) > 1 && b[0] == '<' && b[1] != '<'
}

// pages reads what each page shows, with its fonts.
func (d *pdfDoc) pages(objects []any) error {
	for _, x := range objects {
		p, ok := x.(pdfDict)
		if !ok || d.resolve(p["Type"]) != pdfName("Page") {
			continue
		}
		var all [][]byte
		parts := []any{p["Contents"]}
		if a, ok := d.resolve(p["Contents"]).([]any); ok {
			parts = a
		}
		for _, c := range parts {
			if d.work--; d.work < 0 {
				return errPDF
			}
			s, ok := d.resolve(c).(*pdfStream)
			if !ok || d.done[cap(s.data)] {
				continue
			}
			d.done[cap(s.data)] = true
			b, err := d.decode(s)
			if errors.Is(err, errImage) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, b)
		}
		if len(all) > 0 {
			d.content(all, d.inherited(p, "Resources"))
		}
	}
	return nil
}

// inherited returns what a page has from the tree above it.
func (d *pdfDoc) inherited(p pdfDict, key pdfName) pdfDict {
	for range pdfDeepest {
		if r := d.dict(p[key]); r != nil {
			return r
		}
		if p = d.dict(p["Parent"]); p == nil {
			return nil
		}
	}
	return nil
}
