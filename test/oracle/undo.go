package oracle

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"html"
	"io"
	"regexp"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// decoder undoes one way of writing, wherever in the data it is used.
type decoder struct {
	name string
	undo func(data []byte, out func([]byte))
}

func decoders() []decoder {
	return []decoder{
		{"base64", undoBase64},
		{"quoted-printable", undoQuoted},
		{"encoded words", undoWords},
		{"RFC 2231", undoPieces},
		{"percent", undoPercent},
		{"entities", undoEntities},
		{"tags", undoTags},
		{"backslashes", undoBackslashes},
		{"RTF", undoRTF},
		{"strings", undoStrings},
		{"hex", undoHex},
		{"UTF-16", undoUTF16},
		{"UTF-7", undoUTF7},
		{"punycode", undoPunycode},
		{"uuencode", undoUU},
		{"deflate", undoDeflate},
	}
}

// shortest is how long a run of base64 is at least that is looked at: seven letters.
const shortest = 10

// undoBase64 decodes every run of the alphabet, across line ends, from each of the places
// where a group of four could begin.
func undoBase64(data []byte, out func([]byte)) {
	run := make([]byte, 0, 256)
	flush := func() {
		if len(run) >= shortest {
			for off := range 4 {
				s := run[min(off, len(run)):]
				if len(s)%4 == 1 {
					s = s[:len(s)-1]
				}
				got := make([]byte, base64.RawStdEncoding.DecodedLen(len(s)))
				if n, _ := base64.RawStdEncoding.Decode(got, s); n > 0 {
					out(got[:n])
				}
			}
		}
		run = run[:0]
	}
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/':
			run = append(run, c)
		case c == '-':
			run = append(run, '+')
		case c == '_':
			run = append(run, '/')
		case c == '\r' || c == '\n':
			for i+1 < len(data) && (data[i+1] == ' ' || data[i+1] == '\t' || data[i+1] == '\r' || data[i+1] == '\n') {
				i++
			}
		default:
			flush()
		}
	}
	flush()
}

func undoQuoted(data []byte, out func([]byte)) {
	got := replaceCoded(data, '=', true)
	if got != nil {
		out(got)
	}
}

func undoPercent(data []byte, out func([]byte)) {
	if got := replaceCoded(data, '%', false); got != nil {
		out(got)
	}
}

// replaceCoded turns mark and two hexadecimal digits into a byte, and drops soft line breaks;
// nil if there was nothing to do.
func replaceCoded(data []byte, mark byte, soft bool) []byte {
	if bytes.IndexByte(data, mark) < 0 {
		return nil
	}
	got, changed := make([]byte, 0, len(data)), false
	for i := 0; i < len(data); i++ {
		if data[i] != mark {
			got = append(got, data[i])
			continue
		}
		if b, ok := hexPair(data[i+1:]); ok {
			got, changed = append(got, b), true
			i += 2
			continue
		}
		if j := i + 1; soft {
			for j < len(data) && (data[j] == ' ' || data[j] == '\t') {
				j++
			}
			if j < len(data) && data[j] == '\r' {
				j++
			}
			if j < len(data) && data[j] == '\n' {
				i, changed = j, true
				continue
			}
		}
		got = append(got, data[i])
	}
	if !changed {
		return nil
	}
	return got
}

func hexPair(s []byte) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	a, b := hexDigit(s[0]), hexDigit(s[1])
	return byte(a<<4 | b), a >= 0 && b >= 0
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// undoWords writes the content of encoded words in their place.
func undoWords(data []byte, out func([]byte)) {
	if !bytes.Contains(data, []byte("=?")) {
		return
	}
	var got []byte
	rest, changed := data, false
	for {
		i := bytes.Index(rest, []byte("=?"))
		if i < 0 {
			break
		}
		fields := bytes.SplitN(rest[i+2:], []byte("?"), 4)
		if len(fields) < 4 || len(fields[1]) != 1 || !bytes.HasPrefix(fields[3], []byte("=")) {
			got, rest = append(got, rest[:i+2]...), rest[i+2:]
			continue
		}
		got, changed = append(got, rest[:i]...), true
		switch fields[1][0] | 0x20 {
		case 'b':
			s := bytes.TrimRight(fields[2], "=")
			word := make([]byte, base64.RawStdEncoding.DecodedLen(len(s)))
			n, _ := base64.RawStdEncoding.Decode(word, s)
			got = append(got, word[:n]...)
		default:
			word := replaceCoded(fields[2], '=', true)
			if word == nil {
				word = fields[2]
			}
			got = append(got, word...)
		}
		rest = fields[3][1:]
	}
	if changed {
		out(append(got, rest...))
	}
}

var (
	// pieceName is what stands between two pieces of one parameter.
	pieceName = regexp.MustCompile(`"?\s*;\s*[A-Za-z0-9_-]+\*[0-9]+\*?\s*=\s*"?`)
	rtfWide   = regexp.MustCompile(`\\u(-?[0-9]+)\s?\??`)
	rtfByte   = regexp.MustCompile(`\\'[0-9A-Fa-f]{2}`)
	rtfWord   = regexp.MustCompile(`\\[a-z]+-?[0-9]* ?|[{}]`)
	utf7Run   = regexp.MustCompile(`\+([A-Za-z0-9/+]{3,})-?`)
	punyLabel = regexp.MustCompile(`(?i)xn--[a-z0-9-]+`)
)

func undoPieces(data []byte, out func([]byte)) {
	if bytes.Contains(data, []byte("*1")) {
		out(pieceName.ReplaceAll(data, nil))
	}
}

func undoEntities(data []byte, out func([]byte)) {
	if bytes.IndexByte(data, '&') >= 0 {
		out([]byte(html.UnescapeString(string(data))))
	}
}

// undoTags takes away everything in angle brackets.
func undoTags(data []byte, out func([]byte)) {
	if bytes.IndexByte(data, '<') < 0 {
		return
	}
	var got []byte
	for rest := data; len(rest) > 0; {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			got = append(got, rest...)
			break
		}
		got = append(got, rest[:i]...)
		j := bytes.IndexByte(rest[i:], '>')
		if j < 0 {
			break
		}
		rest = rest[i+j+1:]
	}
	out(got)
}

// undoBackslashes knows \u0041, \x41, \'41 and \101, and drops a backslash before anything else.
func undoBackslashes(data []byte, out func([]byte)) {
	if bytes.IndexByte(data, '\\') < 0 {
		return
	}
	got := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c != '\\' || i+1 == len(data) {
			got = append(got, c)
			continue
		}
		rest := data[i+1:]
		switch {
		case rest[0] == 'u' && len(rest) >= 5 && isHex(rest[1:5]):
			n, _ := strconv.ParseUint(string(rest[1:5]), 16, 16)
			got = utf8.AppendRune(got, rune(n))
			i += 5
		case (rest[0] == 'x' || rest[0] == '\'') && len(rest) >= 3 && isHex(rest[1:3]):
			b, _ := hexPair(rest[1:])
			got = append(got, b)
			i += 3
		case len(rest) >= 3 && isOctal(rest[:3]):
			n, _ := strconv.ParseUint(string(rest[:3]), 8, 16)
			got = append(got, byte(n))
			i += 3
		case rest[0] == 'n' || rest[0] == 'N' || rest[0] == '\r' || rest[0] == '\n':
			i++
		}
	}
	out(got)
}

func isHex(s []byte) bool {
	for _, c := range s {
		if hexDigit(c) < 0 {
			return false
		}
	}
	return true
}

func isOctal(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '7' {
			return false
		}
	}
	return true
}

// undoRTF takes away control words and braces.
func undoRTF(data []byte, out func([]byte)) {
	if !bytes.Contains(data, []byte(`{\rtf`)) {
		return
	}
	s := rtfWide.ReplaceAllFunc(data, func(m []byte) []byte {
		n, _ := strconv.Atoi(string(rtfWide.FindSubmatch(m)[1]))
		return utf8.AppendRune(nil, rune(uint16(n)))
	})
	s = rtfByte.ReplaceAllFunc(s, func(m []byte) []byte {
		b, _ := hexPair(m[2:])
		return []byte{b}
	})
	out(rtfWord.ReplaceAll(s, nil))
}

// undoStrings joins what stands in parentheses: the strings of a page of a PDF.
func undoStrings(data []byte, out func([]byte)) {
	if !bytes.Contains(data, []byte("TJ")) && !bytes.Contains(data, []byte("Tj")) {
		return
	}
	var got []byte
	in := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\\' && in && i+1 < len(data):
			got = append(got, c, data[i+1])
			i++
		case c == '(':
			in = true
		case c == ')':
			in = false
		case in:
			got = append(got, c)
		}
	}
	out(got)
}

// undoHex decodes every run of hexadecimal digits, across white space, from both places where
// a pair could begin.
func undoHex(data []byte, out func([]byte)) {
	var run []byte
	flush := func() {
		for off := 0; off < 2 && len(run) >= 2*window; off++ {
			got := make([]byte, 0, len(run)/2)
			for i := off; i+1 < len(run); i += 2 {
				b, _ := hexPair(run[i:])
				got = append(got, b)
			}
			out(got)
		}
		run = run[:0]
	}
	for _, c := range data {
		switch {
		case hexDigit(c) >= 0:
			run = append(run, c)
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			flush()
		}
	}
	flush()
}

// undoUTF16 reads data with many zero bytes in both orders.
func undoUTF16(data []byte, out func([]byte)) {
	if !manyZeros(data) {
		return
	}
	for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		for off := range 2 {
			var units []uint16
			for i := off; i+1 < len(data); i += 2 {
				units = append(units, order.Uint16(data[i:]))
			}
			// Read in the wrong order the zeros stay, and there would be no end to it.
			if got := []byte(string(utf16.Decode(units))); !manyZeros(got) {
				out(got)
			}
		}
	}
}

func manyZeros(data []byte) bool { return bytes.Count(data, []byte{0})*5 >= len(data) }

func undoUTF7(data []byte, out func([]byte)) {
	if bytes.IndexByte(data, '+') < 0 {
		return
	}
	if !utf7Run.Match(data) {
		return
	}
	out(utf7Run.ReplaceAllFunc(data, func(m []byte) []byte {
		s := utf7Run.FindSubmatch(m)[1]
		b := make([]byte, base64.RawStdEncoding.DecodedLen(len(s)))
		n, _ := base64.RawStdEncoding.Decode(b, s)
		var units []uint16
		for i := 0; i+1 < n; i += 2 {
			units = append(units, binary.BigEndian.Uint16(b[i:]))
		}
		return []byte(string(utf16.Decode(units)))
	}))
}

// undoPunycode decodes every label that begins with xn-- (RFC 3492).
func undoPunycode(data []byte, out func([]byte)) {
	if containsFold(data, "xn--") && punyLabel.Match(data) {
		out(punyLabel.ReplaceAllFunc(data, func(m []byte) []byte { return punycode(bytes.ToLower(m[4:])) }))
	}
}

// containsFold finds ASCII in any case.
func containsFold(data []byte, s string) bool {
	for i := 0; ; {
		j := bytes.IndexByte(data[i:], s[len(s)-1])
		if j < 0 {
			return false
		}
		if i += j + 1; i >= len(s) && bytes.EqualFold(data[i-len(s):i], []byte(s)) {
			return true
		}
	}
}

func punycode(s []byte) []byte {
	var base, rest []byte = nil, s
	if i := bytes.LastIndexByte(s, '-'); i >= 0 {
		base, rest = s[:i], s[i+1:]
	}
	runes := []rune(string(base))
	n, i, bias := rune(128), 0, 72
	for first := true; len(rest) > 0; first = false {
		old, w := i, 1
		for k := 36; ; k += 36 {
			if len(rest) == 0 {
				return s
			}
			d := int(rest[0] - 'a')
			if '0' <= rest[0] && rest[0] <= '9' {
				d = int(rest[0]-'0') + 26
			}
			rest = rest[1:]
			i += d * w
			t := min(max(k-bias, 1), 26)
			if d < t {
				break
			}
			w *= 36 - t
			if i > 1<<24 || w > 1<<24 {
				return s
			}
		}
		count := len(runes) + 1
		delta := (i - old) / 2
		if first {
			delta = (i - old) / 700
		}
		delta += delta / count
		k := 0
		for ; delta > 455; k += 36 {
			delta /= 35
		}
		bias = k + 36*delta/(delta+38)
		n += rune(i / count)
		i %= count
		runes = append(runes[:i], append([]rune{n}, runes[i:]...)...)
		i++
	}
	return []byte(string(runes))
}

// undoUU decodes what stands between "begin" and "end" (uuencode).
func undoUU(data []byte, out func([]byte)) {
	i := bytes.Index(data, []byte("begin "))
	if i < 0 {
		return
	}
	var got []byte
	for _, line := range bytes.Split(data[i:], []byte("\n"))[1:] {
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 || bytes.Equal(line, []byte("end")) {
			break
		}
		n := int(line[0]-' ') & 63
		var piece []byte
		for line = line[1:]; len(line) >= 4; line = line[4:] {
			v := uint32(line[0]-' ')&63<<18 | uint32(line[1]-' ')&63<<12 | uint32(line[2]-' ')&63<<6 | uint32(line[3]-' ')&63
			piece = append(piece, byte(v>>16), byte(v>>8), byte(v))
		}
		got = append(got, piece[:min(n, len(piece))]...)
	}
	out(got)
}

// undoDeflate inflates whatever may be compressed: gzip, zlib and the entries of ZIP files, by
// the bytes that they begin with.
func undoDeflate(data []byte, out func([]byte)) {
	try := func(at int) {
		if at >= len(data) {
			return
		}
		// What was read before an error counts.
		got, _ := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data[at:])), 8<<20))
		out(got)
	}
	for i := 0; i+2 < len(data); i++ {
		switch {
		case data[i] == 0x1f && data[i+1] == 0x8b && data[i+2] == 8:
			try(gzipBody(data, i))
		case data[i]&0x0f == 8 && data[i]>>4 <= 7 && (int(data[i])<<8|int(data[i+1]))%31 == 0 && data[i+1]&0x20 == 0 && (data[i] == 0x78 || data[i] == 0x58 || data[i] == 0x48):
			if data[i] == 0x78 || i == 0 {
				try(i + 2)
			}
		case data[i] == 'P' && data[i+1] == 'K' && data[i+2] == 3 && i+30 <= len(data):
			if binary.LittleEndian.Uint16(data[i+8:]) == 8 {
				try(i + 30 + int(binary.LittleEndian.Uint16(data[i+26:])) + int(binary.LittleEndian.Uint16(data[i+28:])))
			}
		}
	}
}

// gzipBody returns where the compressed bytes begin (RFC 1952).
func gzipBody(data []byte, at int) int {
	if at+10 > len(data) {
		return len(data)
	}
	flags, i := data[at+3], at+10
	if flags&4 != 0 && i+2 <= len(data) {
		i += 2 + int(binary.LittleEndian.Uint16(data[i:]))
	}
	for _, named := range []byte{8, 16} {
		for flags&named != 0 && i < len(data) {
			i++
			if data[i-1] == 0 {
				break
			}
		}
	}
	if flags&2 != 0 {
		i += 2
	}
	return i
}
