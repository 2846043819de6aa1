package oracle

import (
	"unicode"
	"unicode/utf8"
)

// squeeze appends the letters and digits of data to dst, in lower case and without accents.
// Everything else is left out, zero bytes of UTF-16 too, so that no way of breaking lines,
// quoting or spacing hides anything. A byte that is no UTF-8 counts as Latin-1.
func squeeze(dst, data []byte) []byte {
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
				dst = append(dst, c)
			case 'A' <= c && c <= 'Z':
				dst = append(dst, c+'a'-'A')
			}
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			r = rune(c)
		}
		i += n
		dst = appendRune(dst, r)
	}
	return dst
}

// plain holds the letters from U+00C0 to U+017F without their accents; a dot is no letter, a
// digit stands for two letters.
const plain = "aaaaaa1ceeeeiiiidnooooo.ouuuuyt2aaaaaa1ceeeeiiiidnooooo.ouuuuyty" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii33jjkkkllllllllllnnnnnnnnnoooooo44rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"

func appendRune(dst []byte, r rune) []byte {
	switch {
	case r >= 0xc0 && int(r-0xc0) < len(plain):
		switch p := plain[r-0xc0]; p {
		case '.':
			return dst
		case '1':
			return append(dst, "ae"...)
		case '2':
			return append(dst, "ss"...)
		case '3':
			return append(dst, "ij"...)
		case '4':
			return append(dst, "oe"...)
		default:
			return append(dst, p)
		}
	case r >= 0xff01 && r <= 0xff5e: // full width
		return squeeze(dst, []byte{byte(r - 0xff01 + '!')})
	case unicode.IsDigit(r):
		zero := r // the digits of a script stand in tens
		for n := 0; n < 9 && unicode.IsDigit(zero-1); n++ {
			zero--
		}
		return append(dst, byte('0'+(r-zero)%10))
	case unicode.IsLetter(r):
		return utf8.AppendRune(dst, unicode.ToLower(r))
	}
	return dst
}
