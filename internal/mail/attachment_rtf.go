package mail

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// Destinations of the RTF specification 1.9.1 by what they hold. Any other is read as text
// that stands apart.
const (
	rtfUnread = " fonttbl colortbl pict themedata colorschememapping datastore latentstyles rsidtbl xmlnstbl listtable" +
		" listoverridetable filetbl generator blipuid bliptag wgrffmtfilter pgptbl mmathPr fontemb "
	rtfAside = " stylesheet info footnote annotation atnauthor atnid atrfstart atrfend header headerl headerr headerf footer footerl footerr" +
		" footerf fldinst bkmkstart bkmkend xe tc rxe txe shptxt shpinst objdata objname objclass userprops docvar operator author title subject company" +
		" keywords doccomm comment category manager hlinkbase revtbl nonshppict template "
	rtfBreaks  = " par line sect page tab cell row softline column lbr "
	rtfDeepest = 1000 // groups within groups
)

// rtfGroup is what a group inherits.
type rtfGroup struct {
	skip  bool
	aside bool
	hex   bool // an embedded object, in hexadecimal digits
	uc    int  // characters that stand for one \u
}

// rtfReader reads RTF as a stream. Nothing can be wrong with it: what is not RTF is text.
type rtfReader struct {
	r      *bufio.Reader
	shown  *boundedText
	aside  *boundedText
	object *boundedText
	groups []rtfGroup
	cur    rtfGroup
	page   *charmap.Charmap
	star   bool
	fresh  bool // a group has just begun
	drop   int  // characters to skip behind \u
	high   rune // first half of a pair of \u
	lead   []byte
	multi  string // label of a code page of several bytes
	hex    byte
	digits int
}

// rtf reads a Rich Text Format file.
func (o *opener) rtf(r io.Reader) {
	x := &rtfReader{r: bufio.NewReaderSize(r, 32<<10), shown: o.newText(), aside: o.newText(), object: o.newText(),
		page: charmap.Windows1252, cur: rtfGroup{uc: 1}}
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			break
		}
		switch c {
		case '{':
			if len(x.groups) >= rtfDeepest {
				o.report(defUnreadable, "depth")
				return
			}
			x.groups = append(x.groups, x.cur)
			x.fresh, x.drop = true, 0
		case '}':
			x.leave()
		case '\\':
			x.control()
		case '\r', '\n':
		default:
			x.fresh = false
			x.char(c)
		}
	}
	x.flush()
	o.finish(x.shown, x.aside)
	if x.object.Len() > 0 {
		o.strings(strings.NewReader(x.object.String()), 4)
	}
}

func (x *rtfReader) leave() {
	x.flush()
	if x.cur.aside && !x.cur.skip {
		x.aside.addByte('\n')
	}
	if n := len(x.groups); n > 0 {
		x.cur, x.groups = x.groups[n-1], x.groups[:n-1]
	}
	x.fresh, x.drop = false, 0
}

func (x *rtfReader) out() *boundedText {
	if x.cur.aside {
		return x.aside
	}
	return x.shown
}

// char takes a byte of text in the code page.
func (x *rtfReader) char(c byte) {
	switch {
	case x.cur.hex:
		x.hexDigit(c)
	case x.cur.skip:
	case x.drop > 0:
		x.drop--
	case x.multi != "" && (c >= 0x80 || len(x.lead) > 0):
		if x.lead = append(x.lead, c); len(x.lead) == 2 {
			x.flush()
		}
	case c < 0x80:
		x.out().addByte(c)
	default:
		x.out().add(string(x.page.DecodeByte(c)))
	}
}

// flush writes the bytes of a character of several bytes.
func (x *rtfReader) flush() {
	if len(x.lead) == 0 {
		return
	}
	if cs, ok := lookupCharset(x.multi); ok {
		x.out().add(cs.decode(x.lead))
	}
	x.lead = x.lead[:0]
}

// hexDigit takes half a byte of an embedded object.
func (x *rtfReader) hexDigit(c byte) {
	if !isHex(c) {
		return
	}
	if x.hex = x.hex<<4 | unhex(c); x.digits%2 == 1 {
		x.object.addByte(x.hex)
	}
	x.digits++
}

// control takes what follows a backslash.
func (x *rtfReader) control() {
	c, err := x.r.ReadByte()
	if err != nil {
		return
	}
	fresh := x.fresh
	x.fresh = false
	switch {
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		x.word(c, fresh)
	case c == '\'':
		var h [2]byte
		if _, err := io.ReadFull(x.r, h[:]); err == nil && isHex(h[0]) && isHex(h[1]) {
			x.char(unhex(h[0])<<4 | unhex(h[1]))
		}
	case c == '*':
		x.star, x.fresh = true, true
	case c == '~':
		x.char(' ')
	case c == '_':
		x.char('-')
	case c == '-': // a hyphen that is shown at the end of a line only
	case c == '\r' || c == '\n':
		x.char('\n')
	default:
		x.char(c)
	}
}

// word takes a control word and its parameter.
func (x *rtfReader) word(c byte, fresh bool) {
	name := make([]byte, 0, 32)
	num := make([]byte, 0, 12)
	for {
		if len(num) == 0 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			if len(name) < 32 {
				name = append(name, c)
			}
		} else if digit(c) || c == '-' && len(num) == 0 {
			if len(num) < 11 {
				num = append(num, c)
			}
		} else {
			break
		}
		var err error
		if c, err = x.r.ReadByte(); err != nil {
			break
		}
	}
	if c != ' ' {
		_ = x.r.UnreadByte()
	}
	n, err := strconv.Atoi(string(num))
	x.act(string(name), n, err == nil, fresh)
}

func (x *rtfReader) act(name string, n int, given, fresh bool) {
	star := x.star
	x.star = false
	switch name {
	case "u":
		x.flush()
		x.unicode(rune(int16(n)))
		return
	case "uc":
		x.cur.uc = min(max(n, 0), 16)
		return
	case "bin":
		_, _ = x.r.Discard(max(n, 0))
		return
	case "ansicpg":
		x.codePage(n)
		return
	case "mac":
		x.page = charmap.Macintosh
		return
	case "objdata":
		x.cur.aside, x.cur.hex = true, true
		return
	case "fldrslt", "upr", "ud":
		return
	}
	switch {
	case inSet(rtfBreaks, name):
		x.flush()
		if !x.cur.skip {
			x.out().addByte('\n')
		}
	case x.symbol(name):
	case fresh && inSet(rtfUnread, name):
		x.cur.skip = true
	case fresh && (star || inSet(rtfAside, name)):
		x.cur.aside = true
	}
}

// symbol writes characters that have a name.
func (x *rtfReader) symbol(name string) bool {
	s := ""
	switch name {
	case "emdash":
		s = "\u2014"
	case "endash":
		s = "\u2013"
	case "lquote":
		s = "\u2018"
	case "rquote":
		s = "\u2019"
	case "ldblquote":
		s = "\u201c"
	case "rdblquote":
		s = "\u201d"
	case "bullet":
		s = "\u2022"
	case "emspace", "enspace", "qmspace":
		s = " "
	default:
		return false
	}
	if !x.cur.skip {
		x.out().add(s)
	}
	return true
}

// unicode takes \u, in halves where the character has two.
func (x *rtfReader) unicode(r rune) {
	x.drop = x.cur.uc
	if x.cur.skip {
		return
	}
	if r < 0 {
		r += 0x10000
	}
	switch {
	case r >= 0xD800 && r < 0xDC00:
		x.high = r
		return
	case r >= 0xDC00 && r < 0xE000 && x.high != 0:
		r = (x.high-0xD800)<<10 + (r - 0xDC00) + 0x10000
	}
	x.high = 0
	x.out().add(string(r))
}

// codePage sets the charset of the bytes.
func (x *rtfReader) codePage(n int) {
	switch n {
	case 932:
		x.multi = "shift_jis"
		return
	case 936:
		x.multi = "gbk"
		return
	case 949:
		x.multi = "euc-kr"
		return
	case 950:
		x.multi = "big5"
		return
	case 437:
		x.page = charmap.CodePage437
		return
	case 850:
		x.page = charmap.CodePage850
		return
	case 10000:
		x.page = charmap.Macintosh
		return
	}
	if e, err := htmlindex.Get("windows-" + strconv.Itoa(n)); err == nil {
		if p, ok := e.(*charmap.Charmap); ok {
			x.page = p
		}
	}
}
