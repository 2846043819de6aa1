package mail

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Line lengths that header fields are folded to (RFC 5322 §2.1.1, RFC 2047 §2).
const (
	foldAt      = 76
	longestWord = 75
)

// FormatMailboxes returns mailboxes as the value of an address field, encoded and ready to be
// folded. Names lose control characters.
func FormatMailboxes(list []Mailbox) string {
	var b strings.Builder
	for i, mb := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		name := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
			if isUnsafeRune(r) && r != utf8.RuneError {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(mb.Name, "\uFFFD"))), " ")
		if name == "" {
			b.WriteString(mb.Address.String())
			continue
		}
		b.WriteString(formatPhrase(name))
		b.WriteString(" <")
		b.WriteString(mb.Address.String())
		b.WriteByte('>')
	}
	return b.String()
}

// formatPhrase writes a display name as atoms, as a quoted string or as encoded words.
func formatPhrase(name string) string {
	if !isASCII(name) || strings.Contains(name, "=?") || len(name) > 200 {
		return strings.Join(encodedWords(name, true), " ")
	}
	atoms := true
	for _, r := range name {
		atoms = atoms && (r == ' ' || isAtext(r))
	}
	if atoms {
		return name
	}
	return quoteString(name)
}

func quoteString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// encodedWords encodes text as UTF-8 encoded words of at most 75 characters, each of whole
// characters. In a phrase fewer characters may stand for themselves (RFC 2047 §5 (3)).
func encodedWords(s string, phrase bool) []string {
	const overhead = len("=?utf-8?q??=")
	q := 0
	for i := range len(s) {
		q += qCost(s[i], phrase)
	}
	useB := 2*q > 3*((len(s)+2)/3*4) // Q stays readable
	var words []string
	for s != "" {
		n, cost := 0, 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			more := 0
			for _, c := range []byte(s[n : n+size]) {
				more += qCost(c, phrase)
			}
			if useB {
				more = (n+size+2)/3*4 - cost
			}
			if overhead+cost+more > longestWord && n > 0 {
				break
			}
			n, cost = n+size, cost+more
		}
		words = append(words, encodeWord(s[:n], useB, phrase))
		s = s[n:]
	}
	return words
}

func encodeWord(s string, useB, phrase bool) string {
	if useB {
		return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
	}
	var b strings.Builder
	b.WriteString("=?utf-8?q?")
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b.WriteByte('_')
		case qCost(c, phrase) == 1:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	b.WriteString("?=")
	return b.String()
}

func qCost(c byte, phrase bool) int {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ' ', strings.IndexByte("!*+-/", c) >= 0:
		return 1
	case !phrase && c > ' ' && c < 0x7f && c != '=' && c != '?' && c != '_':
		return 1
	}
	return 3
}

// encodeUnstructured makes decoded text fit for an unstructured field (RFC 5322 §3.2.5): as it
// is when it is ASCII, else with encoded words from the first to the last token that needs it.
func encodeUnstructured(s string) string {
	s = strings.TrimSpace(cleanHeaderText(s))
	first, last := -1, -1
	for at := 0; at < len(s); {
		n := strings.IndexAny(s[at:], " \t")
		if n < 0 {
			n = len(s) - at
		}
		blanks := len(s[at+n:]) - len(strings.TrimLeft(s[at+n:], " \t"))
		// A line cannot be folded inside a long token, nor inside many blanks.
		if t := s[at : at+n]; !isASCII(t) || strings.Contains(t, "=?") || len(t) > 200 || blanks > 60 {
			if first < 0 {
				first = at
			}
			if last = at + n; blanks > 60 {
				last += blanks - 1 // an encoded word ends before a blank (RFC 2047 §5 (1))
			}
		}
		at += n + blanks
	}
	if first < 0 {
		return s
	}
	// Of the blanks before it one is left: they stand in the line of the first word.
	if blanks := first - len(strings.TrimRight(s[:first], " \t")); blanks > 1 {
		first -= blanks - 1
	}
	return s[:first] + strings.Join(encodedWords(s[first:last], false), " ") + s[last:]
}

// fold writes a field with its value folded before white space, so that unfolding gives the
// value back. Only a token longer than a line makes a long line.
func fold(w io.Writer, name, value string) error {
	var b strings.Builder
	b.WriteString(name)
	b.WriteByte(':')
	col := len(name) + 1
	rest := " " + value
	for rest != "" {
		ws := len(rest) - len(strings.TrimLeft(rest, " \t"))
		end := ws + tokenEnd(rest[ws:])
		if col+end > foldAt && col > len(name)+1 && end > ws {
			b.WriteString("\r\n")
			col = 0
		}
		b.WriteString(rest[:end])
		col += end
		if col > maxLine {
			return fmt.Errorf("mail: write field %s: a word is longer than a line may be", safeName(name))
		}
		rest = rest[end:]
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// tokenEnd returns where the token at the start of s ends. A quoted string is one token: not
// all readers unfold inside one.
func tokenEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if quoted && !strings.Contains(s[i+1:min(len(s), i+300)], `"`) {
				quoted = false // not a quoted string
			}
		case !quoted && (c == ' ' || c == '\t'):
			return i
		}
	}
	return len(s)
}

// formatParams returns a MIME field value with parameters (RFC 2045 §5.1, RFC 2231), in the
// order given.
func formatParams(main string, params []Field) string {
	var b strings.Builder
	b.WriteString(main)
	for _, p := range params {
		for _, seg := range formatParam(p.Name, p.Value) {
			b.WriteString("; ")
			b.WriteString(seg)
		}
	}
	return b.String()
}

func formatParam(name, value string) []string {
	plain := len(value) <= 60 && !looksEncoded(value)
	for _, r := range value {
		// Not all readers undo quoted pairs, and undo them once.
		plain = plain && r >= ' ' && r < 0x7f && r != '"' && r != '\\'
	}
	switch {
	case plain && isToken(value) && !strings.ContainsAny(value, "'%*"):
		return []string{name + "=" + value}
	case plain && !strings.Contains(value, "  ") && value == strings.TrimSpace(value):
		return []string{name + "=" + quoteString(value)}
	}
	return extendedParam(name, value)
}

// extendedParam writes a value in RFC 2231 form, in segments of whole characters.
func extendedParam(name, value string) []string {
	var segs []string
	var b strings.Builder
	for _, r := range value {
		enc := ""
		for _, c := range []byte(string(r)) {
			if c > ' ' && c < 0x7f && !strings.ContainsRune(`*'%()<>@,;:\"/[]?=`, rune(c)) {
				enc += string(rune(c))
			} else {
				enc += fmt.Sprintf("%%%02X", c)
			}
		}
		if b.Len()+len(enc) > 50 {
			segs = append(segs, b.String())
			b.Reset()
		}
		b.WriteString(enc)
	}
	segs = append(segs, b.String())
	if len(segs) == 1 {
		return []string{name + "*=utf-8''" + segs[0]}
	}
	for i, s := range segs {
		if i == 0 {
			s = "utf-8''" + s
		}
		segs[i] = fmt.Sprintf("%s*%d*=%s", name, i, s)
	}
	return segs
}

// qpWriter encodes quoted-printable (RFC 2045 §6.7) so that decoding gives the same bytes:
// only CRLF is a line end; a bare CR or LF is encoded.
type qpWriter struct {
	w    io.Writer
	buf  []byte
	col  int
	held []byte // blank or CR that may stand before a line end
}

func (q *qpWriter) Write(p []byte) (int, error) {
	q.buf = q.buf[:0]
	for _, c := range p {
		q.put(c)
	}
	_, err := q.w.Write(q.buf)
	return len(p), err
}

func (q *qpWriter) put(c byte) {
	if n := len(q.held); n > 0 {
		switch {
		case c == '\n' && q.held[n-1] == '\r':
			q.escape(q.held[:n-1]) // a blank at the end of a line
			q.held = q.held[:0]
			q.buf = append(q.buf, "\r\n"...)
			q.col = 0
			return
		case c == '\r' && q.held[n-1] != '\r':
			q.held = append(q.held, c)
			return
		}
		if q.held[0] == '\r' {
			q.escape(q.held)
		} else {
			q.literal(q.held[0])
			q.escape(q.held[1:])
		}
		q.held = q.held[:0]
	}
	switch {
	case c == ' ' || c == '\t' || c == '\r':
		q.held = append(q.held, c)
	case c > ' ' && c < 0x7f && c != '=':
		q.literal(c)
	default:
		q.escape([]byte{c})
	}
}

func (q *qpWriter) literal(c byte) {
	q.soft(1)
	q.buf = append(q.buf, c)
	q.col++
}

func (q *qpWriter) escape(b []byte) {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		q.soft(3)
		q.buf = append(q.buf, '=', digits[c>>4], digits[c&15])
		q.col += 3
	}
}

func (q *qpWriter) soft(n int) {
	if q.col+n > foldAt-1 {
		q.buf = append(q.buf, "=\r\n"...)
		q.col = 0
	}
}

func (q *qpWriter) Close() error {
	q.buf = q.buf[:0]
	q.escape(q.held)
	q.held = nil
	_, err := q.w.Write(q.buf)
	return err
}

// base64Writer encodes base64 in lines of 76 characters (RFC 2045 §6.8).
type base64Writer struct {
	enc   io.WriteCloser
	lines *lineBreaker
}

func newBase64Writer(w io.Writer) *base64Writer {
	l := &lineBreaker{w: w}
	return &base64Writer{enc: base64.NewEncoder(base64.StdEncoding, l), lines: l}
}

func (b *base64Writer) Write(p []byte) (int, error) { return b.enc.Write(p) }

// Close writes what is left. The last line has no end: a delimiter brings its own.
func (b *base64Writer) Close() error { return b.enc.Close() }

type lineBreaker struct {
	w   io.Writer
	col int
	buf []byte
}

func (l *lineBreaker) Write(p []byte) (int, error) {
	l.buf = l.buf[:0]
	for rest := p; len(rest) > 0; {
		if l.col == foldAt {
			l.buf = append(l.buf, "\r\n"...)
			l.col = 0
		}
		n := min(foldAt-l.col, len(rest))
		l.buf = append(l.buf, rest[:n]...)
		l.col += n
		rest = rest[n:]
	}
	_, err := l.w.Write(l.buf)
	return len(p), err
}
