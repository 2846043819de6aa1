package mail

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"html"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// xmlKind says how the elements of an XML file are to be read.
type xmlKind uint8

const (
	xmlDocument xmlKind = iota // unknown: every element stands for itself
	xmlOffice                  // runs within a paragraph are one text; deleted text stands apart
	xmlBefore                  // the same as it was before the tracked changes
	xmlSheet                   // a worksheet
	xmlStrings                 // the strings of a workbook
)

// Elements by their local names.
const (
	// xmlBreaks end a word or a line of an Office or ODF document.
	xmlBreaks = " p h tab br cr noBreakHyphen tc tr row c si s line-break table-cell table-row list-item page slide" +
		" comment cm oddHeader oddFooter evenHeader evenFooter firstHeader firstFooter sheet definedName title desc hlinkClick "
	// xmlAside stand in the middle of a paragraph and are not of its text.
	xmlAside = " delText delInstrText instrText annotation tracked-changes note rPh Fallback f "
	xmlGone  = " del moveFrom " // deleted, and its place
	xmlNew   = " ins moveTo "
	// xmlNamed are attributes whose value a person wrote.
	xmlNamed = " author initials creator name title descr alt userid displayname providerid href target string-value tooltip alias tag "
)

// maxXMLName bounds the name of an element, maxXMLAttr the value of an attribute that is kept.
const (
	maxXMLName = 128
	maxXMLAttr = 64 << 10
)

// xmlReader reads an XML file as a stream of bytes, without ever failing: what is no XML is text.
type xmlReader struct {
	o      *opener
	kind   xmlKind
	r      *bufio.Reader
	shown  *boundedText
	aside  *boundedText
	attrs  *boundedText
	out    *boundedText // where text goes now: shown or aside
	depth  int
	asides []int // depths of the elements that put text aside
	skips  []int // depths of the elements that are not read
	gone   bool  // something was deleted

	shared   []string // of a workbook
	cellType string
	cell     boundedText
	inValue  bool
	item     *strings.Builder
}

// xml reads a file and keeps its text.
func (o *opener) xml(r io.Reader, kind xmlKind) (gone bool) {
	x := &xmlReader{o: o, kind: kind}
	x.read(r)
	return x.gone
}

func (x *xmlReader) read(r io.Reader) {
	x.r = bufio.NewReaderSize(unicodeReader(r), 32<<10)
	x.shown, x.aside, x.attrs = x.o.newText(), x.o.newText(), x.o.newText()
	x.out = x.shown
	var tag []byte
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			break
		}
		switch c {
		case '<':
			if tag, err = x.markup(tag[:0]); err != nil {
				x.text(string(tag))
			}
		case '&':
			x.text(x.entity())
		default:
			x.text1(c)
		}
	}
	x.o.finish(x.shown, x.aside, x.attrs)
}

// unicodeReader reads UTF-16 with its mark, and the charset that an XML declaration names.
func unicodeReader(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	head, _ := b.Peek(200)
	if hasBOM16(head) || bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		return transform.NewReader(b, unicode.BOMOverride(transform.Nop))
	}
	_, rest, ok := bytes.Cut(head, []byte("encoding="))
	if !ok || !bytes.HasPrefix(head, []byte("<?xml")) || len(rest) < 2 {
		return b
	}
	label, _, _ := bytes.Cut(rest[1:], rest[:1])
	if cs, ok := lookupCharset(string(label)); ok && cs.enc != nil {
		return transform.NewReader(b, cs.enc.NewDecoder())
	}
	return b
}

func (x *xmlReader) text(s string) {
	for i := range len(s) {
		x.text1(s[i])
	}
}

// text1 takes a byte of text.
func (x *xmlReader) text1(c byte) {
	if len(x.skips) > 0 {
		return
	}
	switch x.kind {
	case xmlSheet:
		if x.inValue {
			x.cell.addByte(c)
			return
		}
	case xmlStrings:
		if x.item != nil && len(x.asides) == 0 && int64(x.item.Len()) < x.o.textLeft {
			x.item.WriteByte(c)
		}
	}
	x.out.addByte(c)
}

// entity reads what follows an ampersand.
func (x *xmlReader) entity() string {
	b, _ := x.r.Peek(12)
	i := bytes.IndexByte(b, ';')
	if i < 0 {
		return "&"
	}
	s := html.UnescapeString("&" + string(b[:i+1]))
	if strings.HasPrefix(s, "&") && s != "&" {
		return "&"
	}
	_, _ = x.r.Discard(i + 1)
	return s
}

// markup reads a tag, a comment or a section behind its "<".
func (x *xmlReader) markup(tag []byte) ([]byte, error) {
	if b, _ := x.r.Peek(8); bytes.HasPrefix(b, []byte("![CDATA[")) {
		_, _ = x.r.Discard(8)
		return tag, x.until("]]>", x.text1)
	} else if bytes.HasPrefix(b, []byte("!--")) {
		_, _ = x.r.Discard(3)
		x.aside.addByte('\n')
		return tag, x.until("-->", x.aside.addByte)
	}
	var quote byte
	over := false
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			return tag, err
		}
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			if over {
				x.attrs.add("\n" + string(tag))
			}
			x.element(tag)
			return tag, nil
		}
		if len(tag) < maxXMLAttr {
			tag = append(tag, c)
		} else {
			over = true
			x.attrs.addByte(c)
		}
	}
}

// until passes on what stands before end.
func (x *xmlReader) until(end string, take func(byte)) error {
	n := 0
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case c == end[n]:
			if n++; n == len(end) {
				return nil
			}
			continue
		case n == 2 && c == end[0]: // "]]]>"
			take(c)
			continue
		}
		for i := range n {
			take(end[i])
		}
		if n = 0; c == end[0] {
			n = 1
			continue
		}
		take(c)
	}
}

// element takes a tag without its angle brackets.
func (x *xmlReader) element(tag []byte) {
	if len(tag) == 0 || tag[0] == '?' || tag[0] == '!' {
		if !bytes.HasPrefix(tag, []byte("?xml ")) {
			x.attrs.add("\n" + string(tag[:min(len(tag), maxXMLName)]))
		}
		return
	}
	closing := tag[0] == '/'
	if closing {
		tag = tag[1:]
	}
	empty := !closing && bytes.HasSuffix(tag, []byte("/"))
	n := bytes.IndexAny(tag, " \t\r\n/")
	if n < 0 {
		n = len(tag)
	}
	rest := tag[n:]
	local := tag[:min(n, maxXMLName)]
	if i := bytes.IndexByte(local, ':'); i >= 0 {
		local = local[i+1:]
	}
	name := string(local)
	if closing {
		x.close(name)
		x.depth--
		return
	}
	x.depth++
	x.start(name)
	if len(rest) > 1 && len(x.skips) == 0 {
		x.attributes(name, rest)
	}
	if empty {
		x.close(name)
		x.depth--
	}
}

func (x *xmlReader) start(name string) {
	x.separate(name)
	switch x.kind {
	case xmlOffice, xmlBefore:
		before := x.kind == xmlBefore
		switch {
		case inSet(xmlNew, name):
			x.gone = true
			if before {
				x.skips = append(x.skips, x.depth)
			}
		case inSet(xmlGone, name):
			x.gone = true
			if !before {
				x.putAside()
			}
		case inSet(xmlAside, name) && !(before && name == "delText"):
			x.putAside()
		}
	case xmlSheet:
		switch name {
		case "c":
			x.cellType = ""
		case "v":
			x.inValue, x.cell = true, boundedText{room: 1 << 16}
		case "f", "rPh":
			x.putAside()
		}
	case xmlStrings:
		switch name {
		case "si":
			x.item = &strings.Builder{}
		case "rPh":
			x.putAside()
		}
	}
}

func (x *xmlReader) putAside() {
	x.asides = append(x.asides, x.depth)
	x.out = x.aside
}

func (x *xmlReader) close(name string) {
	if n := len(x.skips); n > 0 && x.skips[n-1] >= x.depth {
		x.skips = x.skips[:n-1]
	}
	if n := len(x.asides); n > 0 && x.asides[n-1] >= x.depth {
		if x.asides = x.asides[:n-1]; n == 1 {
			x.aside.addByte('\n')
			x.out = x.shown
		}
	}
	switch {
	case x.kind == xmlSheet && name == "v" && x.inValue:
		x.inValue = false
		x.value(x.cell.String())
	case x.kind == xmlStrings && name == "si" && x.item != nil:
		x.shared = append(x.shared, x.item.String())
		x.item = nil
	}
	x.separate(name)
}

// separate keeps apart what the document keeps apart.
func (x *xmlReader) separate(name string) {
	if len(x.skips) > 0 {
		return
	}
	if x.kind == xmlDocument || inSet(xmlBreaks, name) {
		if s := x.out; s.Len() > 0 && s.String()[s.Len()-1] != '\n' {
			s.addByte('\n')
		}
	}
}

// attributes keeps the values that could hold a name, an address or a number.
func (x *xmlReader) attributes(element string, b []byte) {
	for {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 {
			return
		}
		key := bytes.TrimSpace(b[:eq])
		schema := bytes.HasPrefix(key, []byte("xmlns"))
		if i := bytes.LastIndexByte(key, ':'); i >= 0 {
			key = key[i+1:]
		}
		b = bytes.TrimLeft(b[eq+1:], " \t\r\n")
		if len(b) == 0 {
			return
		}
		var v []byte
		if b[0] == '"' || b[0] == '\'' {
			end := bytes.IndexByte(b[1:], b[0])
			if end < 0 {
				v, b = b[1:], nil
			} else {
				v, b = b[1:1+end], b[end+2:]
			}
		} else {
			end := bytes.IndexAny(b, " \t\r\n")
			if end < 0 {
				end = len(b)
			}
			v, b = b[:end], b[end:]
		}
		if x.kind == xmlSheet && element == "c" && string(key) == "t" {
			x.cellType = string(v)
		}
		if !schema && (x.kind == xmlDocument || worthKeeping(string(key), v)) {
			x.attrs.add("\n\x01\n")
			x.attrs.add(html.UnescapeString(string(v)))
		}
	}
}

func worthKeeping(key string, v []byte) bool {
	if len(v) == 0 || string(v) == "preserve" {
		return false
	}
	if inSet(xmlNamed, strings.ToLower(key)) && len(v) > 2 || bytes.IndexByte(v, '@') >= 0 || bytes.Contains(v, []byte("&#")) {
		return true
	}
	return bytes.Contains(v, []byte("tel:")) || bytes.Contains(v, []byte("%40"))
}

// value writes the value of a cell as its reader sees it.
func (x *xmlReader) value(v string) {
	switch x.cellType {
	case "s":
		if i, err := strconv.Atoi(v); err == nil && i >= 0 && i < len(x.shared) {
			x.shown.add(x.shared[i])
		}
		return
	case "str", "inlineStr", "d":
		x.shown.add(v)
		return
	case "b", "e":
		return
	}
	x.shown.add(number(v))
}

// number writes a number of a sheet in every way in which it could be shown that matters here:
// a phone number has lost its first zero, a date is a count of days.
func number(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f != math.Trunc(f) || f < 1 || f > 1e15 {
		return v
	}
	n := int64(f)
	s := strconv.FormatInt(n, 10)
	switch {
	case len(s) >= 8:
		s = "\x01 " + s + " \x01 0" + s + " \x01"
	case n > 60 && n < 60_000: // 1900 to 2064
		s += " \x01 " + time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(n)).Format(time.DateOnly) + " \x01"
	}
	return s
}

// office reads an archive that is a document. It returns false for any other archive.
func (o *opener) office(z *zipArchive) bool {
	if z.byName["[Content_Types].xml"] == nil && z.byName["content.xml"] == nil {
		return false
	}
	if e := z.byName["META-INF/manifest.xml"]; e != nil { // ODF says there what is encrypted
		r, err := o.zipReader(z, e)
		if err == nil {
			b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
			if bytes.Contains(b, []byte("encryption-data")) {
				o.report(defLocked, "")
				return true
			}
		}
	}
	var shared []string
	for name, e := range z.byName {
		if strings.EqualFold(name, "xl/sharedStrings.xml") {
			x := &xmlReader{o: o, kind: xmlStrings}
			if !o.zipXML(z, e, x) {
				return true
			}
			shared = x.shared
		}
	}
	for _, e := range z.entries {
		lower := strings.ToLower(e.name)
		switch {
		case strings.EqualFold(lower, "xl/sharedStrings.xml"), strings.HasSuffix(lower, "/"):
		case strings.HasPrefix(lower, "xl/worksheets/") && strings.HasSuffix(lower, ".xml"):
			if !o.zipXML(z, e, &xmlReader{o: o, kind: xmlSheet, shared: shared}) {
				return true
			}
		case strings.HasPrefix(lower, "docprops/") && strings.HasSuffix(lower, ".xml"), lower == "meta.xml",
			strings.HasPrefix(lower, "customxml/") && strings.HasSuffix(lower, ".xml"):
			if !o.zipXML(z, e, &xmlReader{o: o, kind: xmlDocument}) {
				return true
			}
		case strings.HasSuffix(lower, ".xml"), strings.HasSuffix(lower, ".rels"), strings.HasSuffix(lower, ".vml"):
			x := &xmlReader{o: o, kind: xmlOffice}
			if !o.zipXML(z, e, x) {
				return true
			}
			if x.gone && !o.zipXML(z, e, &xmlReader{o: o, kind: xmlBefore}) {
				return true
			}
		default:
			o.keep(e.name)
			o.zipMember(z, e)
		}
	}
	return true
}

// zipXML reads an XML file of a document; false means that the document cannot be read.
func (o *opener) zipXML(z *zipArchive, e *zipEntry, x *xmlReader) bool {
	r, err := o.zipReader(z, e)
	if err != nil {
		if err == errLocked {
			o.report(defLocked, "")
		} else {
			o.report(defUnreadable, "method")
		}
		return false
	}
	all := &failing{r: r}
	x.read(all)
	if _, err := io.Copy(io.Discard, all); err != nil || all.err != nil {
		o.unreadable(all.err, "document")
		return false
	}
	return true
}

// ole reads the Office formats before 2007: their text stands in the file as ASCII or UTF-16.
// What is encrypted says so by the name of a stream.
func (o *opener) ole(r io.Reader) {
	b, ok := o.whole(r)
	if !ok {
		return
	}
	for _, name := range []string{"EncryptedPackage", "EncryptionInfo", "EncryptedSummary"} {
		if bytes.Contains(b, utf16Bytes(name)) {
			o.report(defLocked, "")
			return
		}
	}
	o.strings(bytes.NewReader(b), 4)
}

func utf16Bytes(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// strings keeps what could be text in a file that is none: runs of at least that many
// characters in ASCII, Windows-1252 or UTF-16. With 0 only runs that could hold an address or
// a number are kept: of pictures and programs.
func (o *opener) strings(r io.Reader, shortest int) {
	all := o.newText()
	keep := func(run []byte) {
		if shortest == 0 {
			digits := 0
			for _, c := range run {
				if digit(c) {
					digits++
				}
			}
			if len(run) < 6 || bytes.IndexByte(run, '@') < 0 && digits < 8 {
				return
			}
		} else if len(run) < shortest {
			return
		}
		all.add(string(run))
		all.add("\n\x01\n")
		// What stands right behind a text in such a file can look like its last letters: the
		// checksum of a PNG. So an address or a number at the end is kept without them as well.
		// Any of its bytes can be a blank.
		for n := 1; n <= maxBehind && n < len(run); n++ {
			end := run[max(0, len(run)-n-overlapRun) : len(run)-n]
			end = end[bytes.LastIndexAny(end, " \t\r\n")+1:]
			if len(end) >= 6 && (bytes.IndexByte(end, '@') >= 0 || digit(end[0]) || end[0] == '+') {
				all.add(string(end))
				all.add("\n\x01\n")
			}
		}
	}
	const longest = 4 << 10
	var narrow, wide []byte
	var last byte // the byte before, when a character of UTF-16 could end now
	half := false
	in := bufio.NewReaderSize(r, 32<<10)
	for {
		c, err := in.ReadByte()
		if err != nil {
			break
		}
		if c >= ' ' && c < 0x7f || c == '\t' || c == '\n' || c == '\r' || c >= 0xC0 && c < 0xFF && shortest > 0 {
			if c >= utf8.RuneSelf {
				narrow = utf8.AppendRune(narrow, rune(c))
			} else {
				narrow = append(narrow, c)
			}
			if len(narrow) > longest {
				keep(narrow)
				narrow = append(narrow[:0], narrow[len(narrow)-overlapRun:]...)
			}
		} else if len(narrow) > 0 {
			if !(c == 0 && len(narrow) == 1) {
				keep(narrow)
			}
			narrow = narrow[:0]
		}
		// UTF-16: a character, a zero, a character, a zero.
		switch {
		case half && c == 0:
			wide = append(wide, last)
			half = false
			if len(wide) > longest {
				keep(wide)
				wide = append(wide[:0], wide[len(wide)-overlapRun:]...)
			}
		case !half && (c >= ' ' && c < 0x7f || c == '\r' || c == '\n' || c == '\t'):
			last, half = c, true
		default:
			keep(wide)
			wide = wide[:0]
			last, half = c, c >= ' ' && c < 0x7f
		}
	}
	keep(narrow)
	keep(wide)
	o.finish(all)
}

// maxBehind is how many characters at the end of a run may belong to something else.
const maxBehind = 4

// overlapRun is what two pieces of a long run have in common.
const overlapRun = 320

// armour keeps the text around a key or a signature in ASCII armour (RFC 9580 §6.2), and what
// could be text in the key itself: the names and addresses of whoever it belongs to.
func (o *opener) armour(r io.Reader) {
	b, ok := o.whole(r)
	if !ok {
		return
	}
	text, coded := o.newText(), []byte(nil)
	inside := false // behind the blank line that ends the armour's own fields
	for line := range bytes.Lines(b) {
		trimmed := bytes.TrimSpace(line)
		switch {
		case bytes.HasPrefix(trimmed, []byte("-----")) || inside && bytes.HasPrefix(trimmed, []byte("=")):
			inside = false
		case len(trimmed) == 0:
			inside = true
		case inside:
			coded = append(coded, trimmed...)
			continue
		}
		text.add(string(line))
	}
	o.finish(text)
	o.strings(newDecodeReader(bytes.NewReader(coded), encBase64), 4)
}
