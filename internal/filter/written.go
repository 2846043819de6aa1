package filter

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A text can say something in a second way: to a program that reads a link or a script, or to
// whoever reads "anna (at) example (dot) org". Each such way is searched like the text itself.

// maxForms bounds in how many ways one text is read; a link in a link in a link is one each.
const maxForms = 8

// forms calls read with the text and with each other way to read it. None is longer than the
// text, and no more of them than a link has layers are in memory at once.
func forms(t string, read func(form string, first bool)) {
	read(t, true)
	left := maxForms
	var again func(t string)
	again = func(t string) {
		for _, other := range [...]func(string) string{unescape, unbackslash, unpacked, unspoken} {
			if left == 0 {
				return
			}
			if d := other(t); d != "" && d != t {
				left--
				read(d, false)
				again(d)
			}
		}
	}
	again(t)
}

// unescape undoes percent-encoding as in a link; what is none stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unbackslash undoes the escapes of JavaScript and JSON (\x40, \u0040, \u{40}) and of CSS
// (\40 and one blank, CSS Syntax §4.3.7).
func unbackslash(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		from, to, skip := i+1, 0, 0
		switch {
		case s[from] == 'x':
			from, to = from+1, from+1+hexRun(s[from+1:], 2)
		case s[from] == 'u' && from+1 < len(s) && s[from+1] == '{':
			from += 2
			to = from + hexRun(s[from:], 6)
			if to < len(s) && s[to] == '}' {
				skip = 1
			}
		case s[from] == 'u':
			from, to = from+1, from+1+hexRun(s[from+1:], 4)
		default:
			to = from + hexRun(s[from:], 6)
			if to > from && to < len(s) && strings.IndexByte(" \t\n", s[to]) >= 0 {
				skip = 1
			}
		}
		n, err := strconv.ParseUint(s[from:to], 16, 32)
		if err != nil {
			// \/ and the like stand for themselves, \n and the like for a blank.
			if i++; strings.IndexByte("nrtv", s[i]) >= 0 {
				b = append(b, ' ')
			} else {
				b = append(b, s[i])
			}
			continue
		}
		b = utf8.AppendRune(b, rune(n))
		i = to + skip - 1
	}
	return string(b)
}

// hexRun returns how many hexadecimal digits s starts with, at most n.
func hexRun(s string, n int) int {
	i := 0
	for i < min(n, len(s)) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0 {
		i++
	}
	return i
}

// unpacked returns what data URLs in the text hold in base64 (RFC 2397).
func unpacked(s string) string {
	const mark = "base64"
	var out strings.Builder
	for {
		i := strings.Index(s, mark[4:]) // rare, and has no capitals
		if i < 0 {
			return out.String()
		}
		before, rest := s[max(0, i-4):i], strings.TrimLeft(s[i+2:], " ")
		if s = s[i+2:]; !strings.EqualFold(before, mark[:4]) || !strings.HasPrefix(rest, ",") {
			continue
		}
		s = rest[1:]
		n, clean := 0, make([]byte, 0, 64)
		for ; n < len(s); n++ {
			c := s[n]
			switch {
			case c == '-':
				c = '+'
			case c == '_':
				c = '/'
			}
			if blankByte(c) {
				continue
			}
			if !sticky(c) && c != '+' && c != '/' {
				break
			}
			clean = append(clean, c)
		}
		plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
		k, _ := base64.RawStdEncoding.Decode(plain, clean) // as far as it goes
		out.Write(plain[:k])
		out.WriteByte('\n')
		s = s[n:]
	}
}

// unspoken writes mailboxes as they are dialled where somebody wrote them so that programs do
// not find them: "anna (at) example [dot] org", "anna at example dot org", "anna @ example.org".
// A bare "at" is one only before a domain with a dot that is written out as well.
func unspoken(s string) string {
	if !mayBeSpoken(s) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if c, n, bare := spokenSign(s[i:]); n > 0 {
			if !bare || c != '@' || dotFollows(s[i+n:]) {
				b = append(b, c)
				i += n
				continue
			}
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}

// mayBeSpoken tells most texts without one.
func mayBeSpoken(s string) bool {
	for i := 1; i+1 < len(s); i++ {
		switch s[i] {
		case '@':
			if blankByte(s[i-1]) || blankByte(s[i+1]) || closing(s[i-1]) != 0 {
				return true
			}
		case 't', 'T':
			if before := s[i-1]; (before != 'a' && before != 'A') || i < 2 {
				continue
			}
			if strings.IndexByte(")]}>", s[i+1]) >= 0 || closing(s[i-2]) != 0 ||
				blankByte(s[i-2]) && blankByte(s[i+1]) && dotFollows(s[blanksAt(s, i+1):]) {
				return true
			}
		}
	}
	return false
}

// dotFollows reports whether s starts with a label and a dot that is written out.
func dotFollows(s string) bool {
	n := 0
	for n < len(s) && n < 64 && (sticky(s[n]) || s[n] == '-') {
		n++
	}
	c, _, _ := spokenSign(s[n:])
	return n > 0 && c == '.'
}

// spokenSign reads a sign that is written out, with the blanks and brackets around it; bare: it
// is a word without brackets.
func spokenSign(s string) (sign byte, n int, bare bool) {
	if s == "" || (!blankByte(s[0]) && closing(s[0]) == 0 && s[0] != '@') {
		return 0, 0, false
	}
	i := blanksAt(s, 0)
	spaced := i > 0
	var end byte
	if i < len(s) {
		if end = closing(s[i]); end != 0 {
			i = blanksAt(s, i+1)
		}
	}
	rest := s[i:]
	switch {
	case strings.HasPrefix(rest, "@"):
		sign, i = '@', i+1
	case len(rest) >= 2 && strings.EqualFold(rest[:2], "at"):
		sign, i, bare = '@', i+2, end == 0
	case strings.HasPrefix(rest, "."):
		sign, i = '.', i+1
	case len(rest) >= 3 && strings.EqualFold(rest[:3], "dot"):
		sign, i, bare = '.', i+3, end == 0
	default:
		return 0, 0, false
	}
	after := blanksAt(s, i)
	if end != 0 {
		if after >= len(s) || s[after] != end {
			return 0, 0, false
		}
		after = blanksAt(s, after+1)
	} else if bare && (!spaced || after == i) {
		return 0, 0, false
	}
	return sign, after, bare
}

// blanksAt returns where a few blanks from i on end.
func blanksAt(s string, i int) int {
	for k := 0; k < 3 && i < len(s) && blankByte(s[i]); k++ {
		i++
	}
	return i
}

func blankByte(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// closing returns what closes a bracket; 0: it is none.
func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[':
		return ']'
	case '{':
		return '}'
	case '<':
		return '>'
	}
	return 0
}

// digitsLike returns s with letters that look like digits as digits, where they stand beside
// one: "O77OO 9OO123". changed: there are any. What it returns is in dst.
func digitsLike(dst, s []byte) (_ []byte, changed bool) {
	from := 0
	for ; from < len(s); from++ {
		if digitByte(s[from]) && ((from > 0 && likeDigit(s[from-1]) != 0) || (from+1 < len(s) && likeDigit(s[from+1]) != 0)) {
			break
		}
	}
	if from == len(s) {
		return dst, false
	}
	dst = append(dst[:0], s...)
	for i := max(0, from-1); i < len(dst); i++ {
		if as := likeDigit(dst[i]); as != 0 && ((i > 0 && digitByte(dst[i-1])) || (i+1 < len(dst) && digitByte(dst[i+1]))) {
			dst[i] = as
		}
	}
	return dst, true
}

// likeDigit returns the digit that a letter looks like; 0: none.
func likeDigit(c byte) byte {
	switch c {
	case 'o':
		return '0'
	case 'l', 'i', '|':
		return '1'
	}
	return 0
}
