package mail

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

func pdfSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func pdfDelim(c byte) bool { return strings.IndexByte("()<>[]{}/%", c) >= 0 }

// pdfLexer reads objects and operators. It always gets on, whatever stands there.
type pdfLexer struct {
	b     []byte
	i     int
	open  int  // no > stands from the last < up to here
	noEnd bool // no EI follows
}

func (l *pdfLexer) space() {
	for l.i < len(l.b) {
		switch c := l.b[l.i]; {
		case pdfSpace(c):
			l.i++
		case c == '%':
			for l.i < len(l.b) && l.b[l.i] != '\n' && l.b[l.i] != '\r' {
				l.i++
			}
		default:
			return
		}
	}
}

// value reads an object; pdfWord("") is the end of the data.
func (l *pdfLexer) value(depth int) any {
	l.space()
	if l.i >= len(l.b) || depth > pdfDeepest {
		l.i = max(l.i, min(l.i+1, len(l.b)))
		return pdfWord("")
	}
	switch c := l.b[l.i]; {
	case c == '/':
		l.i++
		return l.name()
	case c == '(':
		return l.literal()
	case c == '<' && l.i+1 < len(l.b) && l.b[l.i+1] == '<':
		l.i += 2
		return l.dict(depth)
	case c == '<':
		from, to := max(l.i, l.open), min(len(l.b), l.i+1<<20)
		end := bytes.IndexByte(l.b[from:max(from, to)], '>')
		if end < 0 {
			l.open = max(from, to)
			l.i++
			return nil
		}
		s := pdfHex(l.b[l.i+1 : from+end])
		l.i = from + end + 1
		return s
	case c == '[':
		l.i++
		return l.array(depth)
	case c == '>' && l.i+1 < len(l.b) && l.b[l.i+1] == '>':
		l.i += 2
		return pdfWord(">>")
	case pdfDelim(c):
		l.i++
		return pdfWord(string(c))
	case digit(c) || c == '-' || c == '+' || c == '.':
		return l.number()
	}
	start := l.i
	for l.i < len(l.b) && !pdfSpace(l.b[l.i]) && !pdfDelim(l.b[l.i]) {
		l.i++
	}
	w := pdfWord(l.b[start:l.i])
	if w == "null" || w == "true" || w == "false" {
		return nil
	}
	return w
}

func (l *pdfLexer) name() pdfName {
	var out []byte
	for l.i < len(l.b) && !pdfSpace(l.b[l.i]) && !pdfDelim(l.b[l.i]) {
		c := l.b[l.i]
		if c == '#' && l.i+2 < len(l.b) && isHex(l.b[l.i+1]) && isHex(l.b[l.i+2]) {
			c = unhex(l.b[l.i+1])<<4 | unhex(l.b[l.i+2])
			l.i += 2
		}
		out = append(out, c)
		l.i++
	}
	return pdfName(out)
}

// number reads a number, or "12 0 R".
func (l *pdfLexer) number() any {
	f := l.float()
	if f < 0 || f != math.Trunc(f) || f > 1<<30 {
		return f
	}
	i := l.i
	for i < len(l.b) && pdfSpace(l.b[i]) && i-l.i < 8 {
		i++
	}
	start := i
	for i < len(l.b) && digit(l.b[i]) && i-start < 6 {
		i++
	}
	if i == start {
		return f
	}
	spaces := i
	for i < len(l.b) && pdfSpace(l.b[i]) && i-spaces < 8 {
		i++
	}
	if i == spaces || i >= len(l.b) || l.b[i] != 'R' || i+1 < len(l.b) && !pdfSpace(l.b[i+1]) && !pdfDelim(l.b[i+1]) {
		return f
	}
	l.i = i + 1
	return pdfRef(f)
}

func (l *pdfLexer) float() float64 {
	start := l.i
	for l.i++; l.i < len(l.b) && (digit(l.b[l.i]) || l.b[l.i] == '.' || l.b[l.i] == '-'); l.i++ {
	}
	f, err := strconv.ParseFloat(string(l.b[start:min(l.i, start+40)]), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// literal reads a string in parentheses.
func (l *pdfLexer) literal() []byte {
	l.i++
	out := []byte{}
	for open := 1; l.i < len(l.b); l.i++ {
		c := l.b[l.i]
		switch c {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				l.i++
				return out
			}
		case '\\':
			if l.i++; l.i < len(l.b) {
				out = l.escape(out)
			}
			continue
		}
		out = append(out, c)
	}
	return out
}

func (l *pdfLexer) escape(out []byte) []byte {
	switch c := l.b[l.i]; c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b', 'f':
		return append(out, ' ')
	case '\n':
		return out
	case '\r':
		if l.i+1 < len(l.b) && l.b[l.i+1] == '\n' {
			l.i++
		}
		return out
	default:
		if c < '0' || c > '7' {
			return append(out, c)
		}
		n := 0
		for k := 0; k < 3 && l.i < len(l.b) && l.b[l.i] >= '0' && l.b[l.i] <= '7'; k++ {
			n = n*8 + int(l.b[l.i]-'0')
			l.i++
		}
		l.i--
		return append(out, byte(n))
	}
}

func (l *pdfLexer) array(depth int) []any {
	var out []any
	for {
		start := l.i
		switch x := l.value(depth + 1).(type) {
		case pdfWord:
			if x == "]" || x == "" {
				return out
			}
			if x == "endobj" || x == "obj" || x == ">>" { // it was not closed
				l.i = start
				return out
			}
		default:
			out = append(out, x)
		}
	}
}

func (l *pdfLexer) dict(depth int) pdfDict {
	out := pdfDict{}
	for {
		start := l.i
		switch k := l.value(depth + 1).(type) {
		case pdfName:
			before := l.i
			v := l.value(depth + 1)
			if w, ok := v.(pdfWord); ok {
				if w == ">>" || w == "endobj" {
					l.i = before
				}
				v = nil
			}
			out[k] = v
		case pdfWord:
			if k == ">>" || k == "" {
				return out
			}
			if k == "endobj" || k == "stream" || k == "obj" {
				l.i = start
				return out
			}
		}
	}
}

// pdfFont says which characters the codes of a font are.
type pdfFont struct {
	wide    bool // codes of two bytes
	narrow  [256]string
	mapped  map[uint32]string // of ToUnicode
	ranges  []pdfRange
	lengths [5]bool // of codes, by ToUnicode
	utf16   bool    // the codes are UTF-16
	hasMap  bool
}

type pdfRange struct {
	low, high uint32
	dst       rune
}

// font reads a font dictionary.
func (d *pdfDoc) font(x any) *pdfFont {
	ref, isRef := x.(pdfRef)
	if f, ok := d.fonts[ref]; ok && isRef {
		return f
	}
	f := &pdfFont{mapped: map[uint32]string{}}
	if isRef {
		d.fonts[ref] = f
	}
	dict := d.dict(x)
	f.wide = d.resolve(dict["Subtype"]) == pdfName("Type0")
	if s, ok := d.resolve(dict["ToUnicode"]).(*pdfStream); ok && d.table(len(s.data)) {
		if b, err := d.decode(s); err == nil && d.table(len(b)) {
			f.hasMap = d.cmap(f, b)
		}
	}
	if f.wide {
		name, _ := d.resolve(dict["Encoding"]).(pdfName)
		f.utf16 = strings.Contains(string(name), "UCS2") || strings.Contains(string(name), "UTF16")
		return f
	}
	d.encoding(f, d.resolve(dict["Encoding"]))
	return f
}

// encoding fills the characters of a simple font.
func (d *pdfDoc) encoding(f *pdfFont, x any) {
	base, _ := x.(pdfName)
	var differences []any
	if e := d.dict(x); e != nil {
		base, _ = d.resolve(e["BaseEncoding"]).(pdfName)
		differences, _ = d.resolve(e["Differences"]).([]any)
	}
	page := charmap.Windows1252
	if base == "MacRomanEncoding" {
		page = charmap.Macintosh
	}
	for i := range f.narrow {
		f.narrow[i] = string(page.DecodeByte(byte(i)))
	}
	code := 0
	for _, x := range differences {
		if !d.table(1) {
			return
		}
		switch x := d.resolve(x).(type) {
		case float64:
			code = int(x)
		case pdfName:
			if code >= 0 && code < 256 && d.table(len(x)) {
				if s := glyphText(string(x)); s != "" {
					f.narrow[code] = s
				}
			}
			code++
		}
	}
}

// cmap reads a ToUnicode table (ISO 32000-2 §9.10.3).
func (d *pdfDoc) cmap(f *pdfFont, b []byte) bool {
	l := &pdfLexer{b: b}
	code := func(x any) (uint32, bool) {
		s, ok := x.([]byte)
		if !ok || len(s) == 0 || len(s) > 4 {
			return 0, false
		}
		f.lengths[len(s)] = true
		n := uint32(0)
		for _, c := range s {
			n = n<<8 | uint32(c)
		}
		return n, true
	}
	var args []any
	for l.i < len(l.b) {
		x := l.value(0)
		w, ok := x.(pdfWord)
		if !ok {
			if args = append(args, x); len(args) > 3*65536 {
				return false
			}
			continue
		}
		switch w {
		case "endbfchar":
			for i := 0; i+1 < len(args); i += 2 {
				if n, ok := code(args[i]); ok {
					if dst, ok := args[i+1].([]byte); ok && d.room(1, dst) {
						f.mapped[n] = mappedText(dst)
					}
				}
			}
		case "endbfrange":
			d.bfRange(f, args, code)
		case "endcodespacerange":
			for _, x := range args {
				code(x)
			}
		}
		args = args[:0]
	}
	slices.SortFunc(f.ranges, func(a, b pdfRange) int { return cmp.Compare(a.low, b.low) })
	return len(f.mapped)+len(f.ranges) > 0
}

// table counts bytes of a table that is read. Where many fonts lead to one table, the file is
// as unreadable as with too many objects.
func (d *pdfDoc) table(n int) bool {
	if d.tables -= n; d.tables < 0 {
		d.work = -1
	}
	return d.tables >= 0
}

// room counts n characters that each stand for that much text. Without room for them the text
// that uses them would not be searched, so the file counts as one that cannot be read.
func (d *pdfDoc) room(n int, text []byte) bool {
	d.mapped += n * (1 + len(text)/32)
	if d.mapped > pdfMappings {
		d.opaque = true
	}
	return d.mapped <= pdfMappings
}

// mappedText is what a character stands for.
func mappedText(b []byte) string { return utf16Text(b[:min(len(b), pdfLongest)]) }

func (d *pdfDoc) bfRange(f *pdfFont, args []any, code func(any) (uint32, bool)) {
	for i := 0; i+2 < len(args); i += 3 {
		low, ok1 := code(args[i])
		high, ok2 := code(args[i+1])
		if !ok1 || !ok2 || high < low || high-low > 0xFFFF {
			continue
		}
		switch dst := args[i+2].(type) {
		case []any:
			for j, x := range dst {
				if s, ok := x.([]byte); ok && low+uint32(j) <= high && d.room(1, s) {
					f.mapped[low+uint32(j)] = mappedText(s)
				}
			}
		case []byte:
			r := []rune(mappedText(dst))
			switch {
			case len(r) == 1 && high-low < 64 && d.room(int(high-low)+1, dst):
				for n := range high - low + 1 { // high may be the largest number
					f.mapped[low+n] = string(r[0] + rune(n))
				}
			case len(r) == 1 && len(f.ranges) < 4096:
				f.ranges = append(f.ranges, pdfRange{low, high, r[0]})
			case len(r) == 1:
				d.opaque = true // no room for what it says
			case len(r) > 1 && d.room(int(high-low)+1, dst):
				for n := range high - low + 1 {
					last := r[len(r)-1] + rune(n)
					f.mapped[low+n] = string(r[:len(r)-1]) + string(last)
				}
			}
		}
	}
}

// text returns what a string shows in the font, and no more than shows that it is longer than
// room; ok is false when nobody can tell.
func (f *pdfFont) text(b []byte, room int64) (s string, ok bool) {
	if f == nil {
		return latinText(b), true
	}
	var out strings.Builder
	if f.wide && f.utf16 && !f.hasMap {
		return utf16Text(b), true
	}
	if !f.wide {
		for _, c := range b {
			if int64(out.Len()) > room {
				break
			}
			if t, ok := f.lookup(uint32(c)); ok {
				out.WriteString(t)
			} else {
				out.WriteString(f.narrow[c])
			}
		}
		return out.String(), true
	}
	step := 2
	if f.lengths[1] && !f.lengths[2] {
		step = 1
	}
	seen := len(b) == 0
	for len(b) >= step && int64(out.Len()) <= room {
		n := uint32(b[0])
		if step == 2 {
			n = n<<8 | uint32(b[1])
		}
		if t, ok := f.lookup(n); ok {
			out.WriteString(t)
			seen = true
		} else {
			out.WriteRune('\uFFFD')
		}
		b = b[step:]
	}
	return out.String(), seen || f.hasMap
}

func (f *pdfFont) lookup(n uint32) (string, bool) {
	if t, ok := f.mapped[n]; ok {
		return t, true
	}
	i := sort.Search(len(f.ranges), func(i int) bool { return f.ranges[i].low > n }) - 1
	if i >= 0 && n <= f.ranges[i].high {
		if u := f.ranges[i].dst + rune(n-f.ranges[i].low); !utf16.IsSurrogate(u) {
			return string(u), true
		}
	}
	return "", false
}

// pdfState is where the text of a page stands.
type pdfState struct {
	font    *pdfFont
	size    float64
	leading float64
	x, y    float64 // start of the line
	drawn   bool    // text was shown since the last move
}

// content reads the text that a page or a form shows.
func (d *pdfDoc) content(all [][]byte, resources pdfDict) {
	fonts, made := d.dict(resources["Font"]), map[pdfName]*pdfFont{}
	st := &pdfState{size: 1}
	var stack []pdfState
	for _, b := range all {
		l := &pdfLexer{b: b}
		var args []any
		for l.i < len(l.b) {
			x := l.value(0)
			w, ok := x.(pdfWord)
			if !ok {
				if len(args) < 64 {
					args = append(args, x)
				}
				continue
			}
			switch w {
			case "q":
				if len(stack) < 256 {
					stack = append(stack, *st)
				}
			case "Q":
				if n := len(stack); n > 0 {
					x, y, drawn := st.x, st.y, st.drawn
					*st = stack[n-1]
					st.x, st.y, st.drawn = x, y, drawn
					stack = stack[:n-1]
				}
			case "BI":
				l.inlineImage()
			case "BDC", "DP":
				if len(args) > 0 { // text that stands for what is drawn
					d.gather(args[len(args)-1], 1)
				}
			case "Tf":
				if len(args) >= 2 {
					if name, ok := args[len(args)-2].(pdfName); ok {
						f, ok := made[name]
						if x, has := fonts[name]; has && !ok {
							f = d.font(x)
							made[name] = f
						}
						st.font = f
					}
					st.size = math.Abs(num(args, 0))
				}
			default:
				d.textOp(st, w, args)
			}
			args = args[:0]
		}
	}
	d.lineBreak('\n')
}

// num returns the n-th argument from the end.
func num(args []any, n int) float64 {
	if n >= len(args) {
		return 0
	}
	f, _ := args[len(args)-1-n].(float64)
	return f
}

func (d *pdfDoc) textOp(st *pdfState, w pdfWord, args []any) {
	switch w {
	case "BT":
		st.x, st.y = 0, math.Inf(1)
	case "TL":
		st.leading = num(args, 0)
	case "Td", "TD":
		if w == "TD" {
			st.leading = -num(args, 0)
		}
		d.move(st, st.x+num(args, 1), st.y+num(args, 0), num(args, 0) != 0)
	case "Tm":
		d.move(st, num(args, 1), num(args, 0), num(args, 0) != st.y)
	case "T*":
		d.move(st, st.x, st.y-st.leading, true)
	case "Tj":
		d.show(st, args)
	case "'", "\"":
		d.move(st, st.x, st.y-st.leading, true)
		d.show(st, args)
	case "TJ":
		if len(args) == 0 {
			return
		}
		a, _ := args[len(args)-1].([]any)
		for _, x := range a {
			if gap, ok := x.(float64); ok {
				if gap < -120 { // thousandths: about half a space
					d.space()
				}
				continue
			}
			d.show(st, []any{x})
		}
	}
}

// move goes elsewhere: to another line, or further on in this one, where only the widths of
// the letters could tell whether there is a space.
func (d *pdfDoc) move(st *pdfState, x, y float64, line bool) {
	if math.IsInf(y, 0) || math.IsNaN(y) {
		y = 0
	}
	st.x, st.y = x, y
	if line {
		d.lineBreak('\n')
		return
	}
	d.space()
}

// lineBreak ends a line.
func (d *pdfDoc) lineBreak(c byte) {
	for _, t := range []*boundedText{d.shown, d.joined} {
		if s := t.String(); s != "" && s[len(s)-1] != c {
			t.addByte(c)
		}
	}
}

// space is one that is guessed.
func (d *pdfDoc) space() {
	if s := d.shown.String(); s != "" && s[len(s)-1] != ' ' && s[len(s)-1] != '\n' {
		d.shown.addByte(' ')
	}
}

func (d *pdfDoc) show(st *pdfState, args []any) {
	if len(args) == 0 {
		return
	}
	b, ok := args[len(args)-1].([]byte)
	if !ok || d.joined.over { // what is over the limit is reported, and grows no further
		return
	}
	s, ok := st.font.text(b, d.joined.room-int64(d.joined.Len()))
	if !ok {
		d.opaque = true
	}
	d.shown.add(s)
	d.joined.add(s)
}

// inlineImage skips the data of an image within a page.
func (l *pdfLexer) inlineImage() {
	for l.i < len(l.b) {
		if w, ok := l.value(0).(pdfWord); ok && (w == "ID" || w == "") {
			break
		}
	}
	for l.i < len(l.b) && !l.noEnd {
		k := bytes.Index(l.b[l.i:], []byte("EI"))
		if k < 0 {
			l.noEnd = true
			return // no end: what follows may be text
		}
		at := l.i + k
		l.i = at + 2
		if at > 0 && pdfSpace(l.b[at-1]) && (l.i >= len(l.b) || pdfSpace(l.b[l.i])) {
			return
		}
	}
}

// glyphText returns the character of a glyph's name, of those of Latin text.
func glyphText(name string) string {
	name, _, _ = strings.Cut(name, ".")
	if len(name) == 1 {
		return name
	}
	if s, ok := strings.CutPrefix(name, "uni"); ok && len(s) >= 4 {
		if n, err := strconv.ParseUint(s[:4], 16, 16); err == nil {
			return string(rune(n))
		}
	}
	if s, ok := strings.CutPrefix(name, "u"); ok && len(s) >= 4 && len(s) <= 6 {
		if n, err := strconv.ParseUint(s, 16, 32); err == nil && n <= 0x10FFFF {
			return string(rune(n))
		}
	}
	i := strings.Index(glyphNames, " "+name+"=")
	if i < 0 || name == "" {
		return accented(name)
	}
	s, _, _ := strings.Cut(glyphNames[i+len(name)+2:], " ")
	if s == "" {
		return " "
	}
	return s
}

// glyphNames are the names of the Adobe Glyph List that are no letter with an accent.
const glyphNames = " space= exclam=! quotedbl=\" numbersign=# dollar=$ percent=% ampersand=& quotesingle=' quoteright=\u2019 parenleft=( parenright=)" +
	" asterisk=* plus=+ comma=, hyphen=- minus=- period=. slash=/ zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9" +
	" colon=: semicolon=; less=< equal== greater=> question=? at=@ bracketleft=[ backslash=\\ bracketright=] asciicircum=^ underscore=_" +
	" grave=` quoteleft=\u2018 braceleft={ bar=| braceright=} asciitilde=~ quotedblleft=\u201c quotedblright=\u201d quotesinglbase=\u201a" +
	" quotedblbase=\u201e endash=\u2013 emdash=\u2014 bullet=\u2022 ellipsis=\u2026 fi=fi fl=fl ff=ff ffi=ffi ffl=ffl Euro=\u20ac sterling=\u00a3" +
	" germandbls=\u00df ae=\u00e6 AE=\u00c6 oe=\u0153 OE=\u0152 oslash=\u00f8 Oslash=\u00d8 eth=\u00f0 Eth=\u00d0 thorn=\u00fe Thorn=\u00de" +
	" lslash=\u0142 Lslash=\u0141 dcroat=\u0111 Dcroat=\u0110 dotlessi=\u0131 periodcentered=\u00b7 nbspace=\u00a0 sfthyphen=\u00ad section=\u00a7" +
	" degree=\u00b0 guillemotleft=\u00ab guillemotright=\u00bb exclamdown=\u00a1 questiondown=\u00bf "

// accented composes a letter with an accent from its name: "eacute", "Scaron".
func accented(name string) string {
	if len(name) < 2 {
		return ""
	}
	mark := ""
	switch name[1:] {
	case "grave":
		mark = "\u0300"
	case "acute":
		mark = "\u0301"
	case "circumflex":
		mark = "\u0302"
	case "tilde":
		mark = "\u0303"
	case "macron":
		mark = "\u0304"
	case "breve":
		mark = "\u0306"
	case "dotaccent":
		mark = "\u0307"
	case "dieresis":
		mark = "\u0308"
	case "ring":
		mark = "\u030a"
	case "hungarumlaut":
		mark = "\u030b"
	case "caron":
		mark = "\u030c"
	case "cedilla", "commaaccent":
		mark = "\u0327"
	case "ogonek":
		mark = "\u0328"
	default:
		return ""
	}
	return norm.NFC.String(name[:1] + mark)
}
