package mail

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DecodeWords decodes the encoded words of a header value (RFC 2047), in every charset that is
// known here. What cannot be decoded stays as it stands.
func DecodeWords(s string) string {
	s, _ = decodeWords(s)
	return s
}

// decodeWords decodes the encoded words of a header value (RFC 2047) and says what was wrong
// with them. White space between two encoded words disappears; the bytes of neighbours in the
// same charset are joined before they are decoded, because some mail apps split characters.
// What cannot be decoded stays as it stands.
func decodeWords(s string) (string, []string) {
	if !strings.Contains(s, "=?") {
		return plainHeader(s)
	}
	d := wordDecoder{}
	for s != "" {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, n := scanWord(s[i:])
		if n == 0 {
			d.literal(s[:i+2])
			s = s[i+2:]
			continue
		}
		d.literal(s[:i])
		d.word(w, n)
		if i > 0 && !isWSP(s[i-1]) || i+n < len(s) && !isWSP(s[i+n]) {
			d.defect(defWordGlued) // RFC 2047 §5 (1): then not every reader decodes it
		}
		s = s[i+n:]
	}
	d.literal(s)
	d.flush()
	out := d.out.String()
	if strings.Contains(out, "=?") && looksEncoded(out) {
		d.defect(defWordNested)
	}
	return out, d.defects
}

// plainHeader reads raw header text: UTF-8 as such (RFC 6532), anything else as windows-1252.
func plainHeader(s string) (string, []string) {
	switch {
	case isASCII(s):
		return s, nil
	case utf8.ValidString(s):
		return s, []string{defHeaderUTF8}
	}
	cs, _ := lookupCharset("windows-1252")
	return cs.decode([]byte(s)), []string{defHeader8bit}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

// encodedWord is =?charset?encoding?content?= with its content decoded to bytes.
type encodedWord struct {
	charset string
	content []byte
	bad     bool
}

type wordDecoder struct {
	out     strings.Builder
	pending []byte // bytes of the last encoded words, all in one charset
	last    int    // where the last of them begins in pending
	charset string
	gap     string // white space behind the last encoded word
	inWord  bool
	defects []string
}

func (d *wordDecoder) defect(name string) { d.defects = append(d.defects, name) }

func (d *wordDecoder) literal(s string) {
	if s == "" {
		return
	}
	if d.inWord && strings.Trim(s, " \t\r\n") == "" {
		d.gap = s
		return
	}
	d.flush()
	s, defects := plainHeader(s)
	d.defects = append(d.defects, defects...)
	d.out.WriteString(s)
}

func (d *wordDecoder) word(w encodedWord, n int) {
	if w.bad {
		d.defect(defWordBad)
	}
	if n > 75 {
		d.defect(defWordLong)
	}
	if d.inWord && !strings.EqualFold(d.charset, w.charset) {
		d.gap = "" // white space between encoded words is not shown (RFC 2047 §6.2)
		d.flush()
	}
	d.gap = ""
	if d.inWord && d.splits(w.content) {
		d.defect(defWordSplit) // not every reader joins them
	}
	d.last = len(d.pending)
	d.pending = append(d.pending, w.content...)
	d.charset, d.inWord = w.charset, true
}

// splits reports whether the last word and the next one say something else together than one
// by one.
func (d *wordDecoder) splits(next []byte) bool {
	last := d.pending[d.last:]
	a, _, _ := readText(last, d.charset)
	b, _, _ := readText(next, d.charset)
	both, _, _ := readText(slices.Concat(last, next), d.charset)
	return a+b != both
}

func (d *wordDecoder) flush() {
	if !d.inWord {
		return
	}
	text, _, defects := readText(d.pending, d.charset)
	for _, name := range defects {
		switch name {
		case defUnknownCharset, defCharsetUTF7, defOverlongUTF8, defCharsetUTF16, defBadLetters:
			d.defect(defWordCharset)
		default:
			d.defect(name)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
		d.defect(defWordControl)
	}
	d.out.WriteString(text)
	d.out.WriteString(d.gap)
	d.pending, d.last, d.gap, d.inWord = d.pending[:0], 0, "", false
}

// maxWord bounds one encoded word: whole subjects in one word are common, and the bound keeps
// the search linear.
const maxWord = 4 << 10

// scanWord reads an encoded word at the start of s; n is its length, 0 when there is none.
// Blanks inside, which RFC 2047 forbids, are read as every mail app reads them.
func scanWord(s string) (w encodedWord, n int) {
	q1 := strings.IndexByte(s[2:], '?')
	if q1 <= 0 || q1 > 60 || strings.ContainsAny(s[2:2+q1], " \t\r\n=\"") {
		return w, 0
	}
	w.charset = s[2 : 2+q1]
	if i := strings.IndexByte(w.charset, '*'); i >= 0 {
		w.charset = w.charset[:i] // RFC 2231 §5: language
	}
	rest := s[2+q1+1:]
	if len(rest) < 3 || rest[1] != '?' {
		return w, 0
	}
	content := rest[2:]
	end := strings.Index(content[:min(len(content), maxWord)], "?=")
	if end < 0 {
		return w, 0
	}
	n = 2 + q1 + 1 + 2 + end + 2
	switch rest[0] {
	case 'B', 'b':
		var d base64Decoder
		w.content = d.close(d.decode(nil, []byte(content[:end])))
		// Missing padding is common and has one reading.
		w.bad = d.bad() && !isLooseBase64(content[:end])
	case 'Q', 'q':
		w.content, w.bad = decodeQ(content[:end])
	default:
		return w, 0
	}
	return w, n
}

// isLooseBase64 reports base64 that is right but for padding and blanks.
func isLooseBase64(s string) bool {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
	_, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return err == nil
}

// decodeQ decodes the Q encoding (RFC 2047 §4.2).
func decodeQ(s string) (b []byte, bad bool) {
	b = make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			b = append(b, ' ')
		case c == '=' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c == '=':
			bad = true
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	return b, bad
}

// looksEncoded reports whether a reader would find an encoded word in s.
func looksEncoded(s string) bool {
	for {
		i := strings.Index(s, "=?")
		if i < 0 {
			return false
		}
		if _, n := scanWord(s[i:]); n > 0 {
			return true
		}
		s = s[i+2:]
	}
}

// cleanHeaderText makes decoded text fit to be shown or written in a header: valid UTF-8,
// controls and line ends as single spaces.
func cleanHeaderText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !strings.ContainsFunc(s, isUnsafeHeaderRune) {
		return s
	}
	var b bytes.Buffer
	for _, r := range s {
		if isUnsafeHeaderRune(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isUnsafeHeaderRune(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029
}
