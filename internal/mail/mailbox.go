package mail

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// parseMailboxes reads an address field (RFC 5322 §3.4) leniently where one reading is left,
// and names what was wrong. Group members are listed like the others.
func parseMailboxes(s string) (list []Mailbox, defects []string) {
	sc := mailboxScanner{s: s}
	for {
		item, ok := sc.item()
		if !ok {
			break
		}
		mb, d, ok := item.mailbox()
		defects = append(defects, d...)
		if ok {
			list = append(list, mb)
		}
	}
	if sc.group && len(list) > 0 {
		defects = append(defects, defGroup)
	}
	return list, defects
}

// mailboxItem is the text between two separators, without comments.
type mailboxItem struct {
	name    []string // words of the phrase, unquoted
	bare    string   // the text as it stands, for an address without angle brackets
	angle   string
	hasAng  bool
	after   bool // text behind the angle brackets
	comment string
}

type mailboxScanner struct {
	s     string
	i     int
	group bool
}

// item reads up to the next comma or semicolon; empty items are passed over.
func (p *mailboxScanner) item() (mailboxItem, bool) {
	var it mailboxItem
	var word strings.Builder
	var bare strings.Builder
	flush := func() {
		if word.Len() > 0 {
			it.name = append(it.name, word.String())
			word.Reset()
		}
	}
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '(':
			n := skipComment(p.s[p.i:])
			if n == 0 {
				n = len(p.s) - p.i
			}
			it.comment = strings.Trim(p.s[p.i:p.i+n], "()")
			p.i += n
		case c == '"':
			start := p.i
			text := p.quoted()
			word.WriteString(text)
			bare.WriteString(p.s[start:p.i])
			it.after = it.after || it.hasAng
		case c == '<' && !it.hasAng:
			flush()
			it.angle, it.hasAng = p.angleAddr(), true
		case c == ',' || c == ';':
			p.i++
			flush()
			it.bare = strings.TrimSpace(bare.String())
			if it.bare == "" && !it.hasAng {
				it = mailboxItem{}
				bare.Reset()
				continue
			}
			return it, true
		case c == ':' && !it.hasAng && bare.Len() > 0 && !strings.Contains(bare.String(), "@"):
			p.i++
			p.group = true
			it = mailboxItem{}
			word.Reset()
			bare.Reset()
		case c == ' ' || c == '\t':
			p.i++
			flush()
			bare.WriteByte(c)
		default:
			it.after = it.after || it.hasAng
			word.WriteByte(c)
			bare.WriteByte(c)
			p.i++
		}
	}
	flush()
	it.bare = strings.TrimSpace(bare.String())
	return it, it.bare != "" || it.hasAng
}

func (p *mailboxScanner) quoted() string {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return b.String()
		case c == '\\' && p.i+1 < len(p.s):
			p.i++
			b.WriteByte(p.s[p.i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// angleAddr reads <...> with quoted strings inside.
func (p *mailboxScanner) angleAddr() string {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case '"':
			p.quoted()
			continue
		case '>':
			p.i++
			return p.s[start : p.i-1]
		}
		p.i++
	}
	return p.s[start:]
}

// mailbox makes sense of an item; ok is false when it has no address.
func (it *mailboxItem) mailbox() (mb Mailbox, defects []string, ok bool) {
	spec := it.bare
	if it.hasAng {
		spec = it.angle
		mb.Name = strings.Join(it.name, " ")
	} else if it.comment != "" {
		mb.Name = it.comment // the old form: address (Name)
	}
	name, d := decodeWords(mb.Name)
	for _, n := range d {
		if n != defHeader8bit && n != defHeaderUTF8 {
			defects = append(defects, n)
		}
	}
	mb.Name = strings.Join(strings.Fields(cleanHeaderText(name)), " ")
	spec, d = decodeWords(strings.TrimSpace(spec))
	if len(d) > 0 && !isASCII(spec) {
		defects = append(defects, d...)
	}
	a, err := ParseAddress(spec)
	if err != nil || it.after {
		defects = append(defects, defBadAddress)
	}
	if err != nil {
		return mb, defects, false
	}
	mb.Address = a
	if misleadingName(name, a) || it.hasAng && strings.Contains(it.comment, "@") {
		defects = append(defects, defNameTrick)
	}
	if mixedScripts(a.Domain) {
		defects = append(defects, defMixedScript)
	}
	return mb, defects, true
}

// misleadingName reports a display name that shows another address than the real one, or
// holds characters that hide or reorder text.
func misleadingName(name string, a Address) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return r != '\t' && r != 0xFFFD && isUnsafeRune(r) }) {
		return true
	}
	for _, w := range strings.Fields(name) {
		if !strings.Contains(w, "@") {
			continue
		}
		w = strings.Trim(w, `<>()[]"',;:`)
		b, err := ParseAddress(w)
		if err == nil && b.Key() != a.Key() {
			return true
		}
	}
	return false
}

// mixedScripts reports a domain label that mixes alphabets which look alike.
func mixedScripts(domain string) bool {
	if !strings.Contains(domain, "xn--") {
		return false
	}
	u, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return true
	}
	for label := range strings.SplitSeq(u, ".") {
		scripts := 0
		for _, t := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee} {
			if strings.ContainsFunc(label, func(r rune) bool { return unicode.Is(t, r) }) {
				scripts++
			}
		}
		if scripts > 1 {
			return true
		}
	}
	return false
}
