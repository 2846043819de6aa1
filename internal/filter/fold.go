package filter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"github.com/plaincover/plaincover/internal/mail"
)

// What is in memory of a text that is read, whatever its length.
const (
	piece    = 8 << 10  // of source is folded at once; compatibility forms grow up to 18 times
	maxToken = 16 << 10 // folded bytes without a blank: nothing that is looked for is as long
	behind   = 512      // stays in view behind a window: more than a mailbox, number or code takes
)

// reader reads texts in folded windows. Its buffers serve one text after the other; it is for
// one goroutine.
type reader struct {
	mapped, win         []byte // see windows
	first, second, bare []byte // of fold and of plainLetters
	caser               *cases.Caser
}

// windows calls read with the folded text, window by window: s[from:] is new, s[:from] is the
// end of what was new before. A window ends before a blank, so that no mailbox, number, code
// or word lies across two; only where maxToken bytes hold no blank it ends between two other
// words. The bytes are good until read returns; when it returns false, the rest is left.
func (r *reader) windows(t string, read func(s []byte, from int) bool) {
	r.mapped, r.win = r.mapped[:0], r.win[:0]
	for from := 0; len(t) > 0; {
		n := pieceOf(t)
		if next := t[n:]; len(r.mapped) == 0 && isASCII(t[:n]) && (next == "" || next[0] < utf8.RuneSelf) {
			// What ends with ASCII and goes on with it can be folded alone.
			r.win = append(r.win, t[:n]...)
			lowerASCII(r.win[len(r.win)-n:])
			t = next
		} else {
			r.mapped = appendMapped(r.mapped, t[:n])
			t = next
			if n = len(r.mapped); len(t) > 0 {
				n = foldable(r.mapped)
			}
			r.fold(r.mapped[:n])
			r.mapped = append(r.mapped[:0], r.mapped[n:]...)
		}
		end := len(r.win)
		if len(t) > 0 {
			end = from + windowEnd(r.win[from:])
		}
		if end == from {
			continue
		}
		if !read(r.win[:end], from) {
			return
		}
		keep := max(0, end-behind)
		// From a blank before that on: a number goes on over the next.
		if b := bytes.LastIndexAny(r.win[max(0, keep-behind):keep], blanks); b >= 0 {
			keep = max(0, keep-behind) + b
		}
		for keep < end && !utf8.RuneStart(r.win[keep]) {
			keep++
		}
		r.win = append(r.win[:0], r.win[keep:]...)
		from = end - keep
	}
}

const blanks = " \n\r\t"

// pieceOf returns how much of t is taken next; it splits no character.
func pieceOf(t string) int {
	if len(t) <= piece {
		return len(t)
	}
	for n := piece; n > piece-utf8.UTFMax; n-- {
		if utf8.RuneStart(t[n]) {
			return n
		}
	}
	return piece
}

// foldable returns how much of b can be folded without what follows it.
func foldable(b []byte) int {
	for i := len(b) - 1; i > max(0, len(b)-1024); i-- {
		if utf8.RuneStart(b[i]) && norm.NFKC.Properties(b[i:]).BoundaryBefore() {
			return i
		}
	}
	return len(b) // marks without end over one letter are no word
}

// windowEnd returns how much of a folded text can be read without what follows it.
func windowEnd(s []byte) int {
	if i := bytes.LastIndexAny(s, blanks); i > 0 {
		return i
	}
	if len(s) <= maxToken {
		return 0
	}
	last := 0
	for rest, state := s, -1; len(rest) > 0; {
		last = len(s) - len(rest)
		_, rest, state = uniseg.FirstWord(rest, state)
	}
	if last > 0 {
		return last
	}
	// split takes such a word apart here.
	if i := bytes.LastIndexAny(s, "_:."); i > 0 {
		return i
	}
	return len(s)
}

// appendMapped makes the kinds of apostrophe and of hyphen equal, and drops characters that
// take no room and only serve to break a word up.
func appendMapped(dst []byte, t string) []byte {
	if isASCII(t) {
		return append(dst, t...)
	}
	for _, c := range t {
		switch {
		case c < utf8.RuneSelf:
			dst = append(dst, byte(c))
		case c == '\u2019' || c == '\u02bc' || c == '\u2018':
			dst = append(dst, '\'')
		case c >= '\u2010' && c <= '\u2015' || c == '\u2212':
			dst = append(dst, '-')
		case c == utf8.RuneError:
			dst = append(dst, ' ')
		case c == '\u200b' || c == '\u00ad' || c == '\u034f' || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c) || unicode.Is(unicode.Variation_Selector, c):
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return dst
}

// fold appends b to the window with spellings of the same text made equal: compatibility forms
// and case.
func (r *reader) fold(b []byte) {
	if isASCIIBytes(b) {
		r.win = append(r.win, b...)
		lowerASCII(r.win[len(r.win)-len(b):])
		return
	}
	r.first = norm.NFKC.Append(r.first[:0], b...)
	if r.caser == nil {
		c := cases.Fold()
		r.caser = &c
	}
	r.second = r.second[:cap(r.second)]
	for {
		n, _, err := r.caser.Transform(r.second, r.first, true)
		if !errors.Is(err, transform.ErrShortDst) {
			r.second = r.second[:n]
			break
		}
		r.second = make([]byte, 3*len(r.first)+2*len(r.second))
	}
	r.win = norm.NFKC.Append(r.win, r.second...)
}

// lowerASCII turns capitals of ASCII into small letters, eight bytes a step.
func lowerASCII(b []byte) {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		// The highest bit of each byte: at 'A' and above, not above 'Z', and ASCII.
		capital := (x&^high + (0x80-'A')*each) &^ (x&^high + (0x7f-'Z')*each) &^ x & high
		binary.LittleEndian.PutUint64(b, x|capital>>2)
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// folded returns a short text as windows has it.
func (r *reader) folded(t string) string {
	r.mapped, r.win = appendMapped(r.mapped[:0], t), r.win[:0]
	r.fold(r.mapped)
	return string(r.win)
}

// fold returns a short text as it is compared.
func fold(t string) string {
	if isASCII(t) {
		return strings.ToLower(t)
	}
	var r reader
	return r.folded(t)
}

// plainLetters takes the accents off a folded text, as people type who do not have the letter:
// "Zoe Lukasik" is Zoë Łukasik. Only what stands on letters of Latin, Greek and Cyrillic is an
// accent; the vowel signs of other scripts stay. The result is good until the next call.
func (r *reader) plainLetters(s []byte) []byte { return r.letters(s, false) }

// spelledLetters is plainLetters with umlauts and the like spelled out, as people do who have
// no key for them: "Mueller" is Müller, and so is "Muller".
func (r *reader) spelledLetters(s []byte) []byte { return r.letters(s, true) }

// hasUmlaut reports whether the two differ.
func hasUmlaut(t string) bool {
	if isASCII(t) {
		return false
	}
	return strings.ContainsAny(t, "äöüåøÄÖÜÅØ\u0308\u030a")
}

func (r *reader) letters(s []byte, spell bool) []byte {
	if isASCIIBytes(s) {
		return s
	}
	r.first = norm.NFD.Append(r.first[:0], s...)
	r.second = r.second[:0]
	for b := r.first; len(b) > 0; {
		c, n := utf8.DecodeRune(b)
		switch {
		case c < utf8.RuneSelf:
			r.second = append(r.second, b[0])
		case c >= 0x300 && c <= 0x36f:
			if last := len(r.second) - 1; spell && last >= 0 {
				switch base := r.second[last]; {
				case c == 0x308 && (base == 'a' || base == 'o' || base == 'u'):
					r.second = append(r.second, 'e')
				case c == 0x30a && base == 'a':
					r.second = append(r.second, 'a')
				}
			}
		case unwritten(c):
		default:
			if spell && c == 'ø' {
				r.second = append(r.second, "oe"...)
			} else if l, ok := mail.Unbarred(c); ok {
				r.second = append(r.second, l...)
			} else {
				r.second = append(r.second, b[:n]...)
			}
		}
		b = b[n:]
	}
	r.bare = norm.NFC.Append(r.bare[:0], r.second...)
	return r.bare
}

// unwritten reports the vowel signs that Arabic and Hebrew mostly leave out, and what only
// stretches a word.
func unwritten(c rune) bool {
	return c >= 0x64b && c <= 0x65f || c == 0x670 || c == 0x640 || c >= 0x591 && c <= 0x5c7 && c != 0x5be && c != 0x5c0 && c != 0x5c3 && c != 0x5c6
}

func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if (s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7])&0x80 != 0 {
			return false
		}
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isASCIIBytes(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if binary.LittleEndian.Uint64(s)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
