package filter

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/mail"
)

// The limits of RFC 5321 §4.5.3.1 bound how far around an "@" is read.
const (
	maxLocal  = 64
	maxDomain = 255
)

// addresses looks every mailbox in a folded text up.
func (p *partSearch) addresses(s []byte) {
	for at := bytes.IndexByte(s, '@'); at >= 0; {
		p.address(s, at)
		next := bytes.IndexByte(s[at+1:], '@')
		if next < 0 {
			return
		}
		at += 1 + next
	}
}

// address looks up whatever mailbox may stand around one "@": the text around it may run into
// it ("email=anna@example.org", "anna@example.org.Then").
func (p *partSearch) address(s []byte, at int) {
	end := at + 1
	for end < len(s) && end-at <= maxDomain && domainByte(s[end]) {
		end++
	}
	raw := strings.Trim(string(s[at+1:end]), ".-")
	p.mailbox(s, at, p.l.asciiDomain(raw))
	// Where words have no blank between them, the next one follows at once.
	if i := strings.IndexFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }); i > 0 {
		p.mailbox(s, at, strings.TrimRight(raw[:i], ".-"))
	}
}

// mailbox looks up what stands before the "@" at a domain, and at those with which it starts.
func (p *partSearch) mailbox(s []byte, at int, d string) {
	l, behind := p.l, 0
	for ; d != ""; d = l.shorter(d, &behind) {
		if !l.in.Watch.hasDomain([]byte(d)) && !l.domains[d] {
			continue
		}
		l.locals(s, at, func(local string) {
			key := local + "@" + d
			if l.others[key] {
				l.note(leakMailbox, p.path, p.offset)
			}
			if _, known := p.before(byMailbox, []byte(key)); !known {
				clients := l.find(byMailbox, []byte(key))
				p.tells(clients, leakMailbox, leakNameMailbox)
				p.judge(byMailbox, []byte(key), len(clients), true)
			}
			if l.real[key] {
				l.note(leakSenderMailbox, p.path, p.offset)
			}
		})
	}
}

// asciiDomain turns a domain in its own script into A-labels, as addresses are kept.
func (l *leaks) asciiDomain(d string) string {
	if isASCII(d) {
		return d
	}
	a, err := mail.ParseAddress("x@" + d)
	if err != nil {
		return d
	}
	return a.Domain
}

// maxBehind is how many letters or digits may stand right behind a hit in a file of unknown
// form and not belong to it: in a PNG the next four bytes are a checksum, as they fall.
const maxBehind = 4

// shorter drops the last label of a domain; in a file of unknown form first what may stand
// behind it, one letter after the other.
func (l *leaks) shorter(d string, behind *int) string {
	if i := strings.LastIndexByte(d, '.'); l.ragged && *behind < maxBehind && i >= 0 && len(d)-i > 3 {
		*behind++
		return d[:len(d)-1]
	}
	return withoutLabel(d)
}

// withoutLabel drops the last label of a domain, while two are left, or what stands behind a
// hyphen in it: "anna@example.org-then", and so a dash without blanks.
func withoutLabel(d string) string {
	i := strings.LastIndexAny(d, ".-")
	if i < 0 || strings.IndexByte(d[:i], '.') < 0 {
		return ""
	}
	return d[:i]
}

// locals calls try for each local part that can end at the "@".
func (l *leaks) locals(s []byte, at int, try func(string)) {
	if at > 0 && s[at-1] == '"' {
		if i := bytes.LastIndexByte(s[max(0, at-1-maxLocal):at-1], '"'); i >= 0 {
			quoted := s[max(0, at-1-maxLocal)+i+1 : at-1]
			try(strings.ReplaceAll(string(quoted), "\\", ""))
		}
		return
	}
	low := max(0, at-maxLocal*utf8.UTFMax)
	for start := at - 1; start >= low && localByte(s[start]); start-- {
		// A local part starts where the text before it could have ended.
		if s[start] != '.' && (start == low || !alnumByte(s[start-1]) || !alnumByte(s[start]) || endsUnspaced(s[:start]) && s[start] < utf8.RuneSelf) {
			try(string(s[start:at]))
		}
	}
}

// endsUnspaced reports whether a text ends in a script that another word follows without a blank.
func endsUnspaced(s []byte) bool {
	r, _ := utf8.DecodeLastRune(s)
	return r >= utf8.RuneSelf && unspacedScript(r)
}

func alnumByte(c byte) bool {
	return c >= utf8.RuneSelf || ('a' <= c && c <= 'z') || ('0' <= c && c <= '9')
}

func domainByte(c byte) bool { return alnumByte(c) || c == '.' || c == '-' }

func localByte(c byte) bool { return alnumByte(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0 }

// What still counts as one phone number.
const (
	maxGap    = 3  // characters between two groups of one number
	maxDigits = 20 // "00", country code, "(0)", number
)

// numbers looks every phone number in a folded text up, however its digits are grouped. In a
// text, what stands at the start of a line because the line is quoted lies between no digits.
func (p *partSearch) numbers(s []byte, quoted bool) {
	var run []byte   // digits of the groups so far
	var starts []int // where each group starts in run
	gap := maxGap + 1
	for i := 0; i < len(s); {
		if gap > maxGap { // no number is open: nothing counts but where one starts
			if i = nextDigit(s, i); i == len(s) {
				break
			}
		}
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(s[i:])
		}
		d, ok := digit(r)
		if !ok {
			i += size
			if gap++; endsNumber(r) {
				gap = maxGap + 1
			}
			for quoted && r == '\n' && i < len(s) && strings.IndexByte("> |\t", s[i]) >= 0 {
				i++
			}
			continue
		}
		if gap > maxGap {
			run, starts = run[:0], starts[:0]
		}
		if len(run) > 4*maxDigits { // what lies further back belongs to no number here
			cut := len(run) - maxDigits
			run = append(run[:0], run[cut:]...)
			kept := starts[:0]
			for _, x := range starts {
				if x >= cut {
					kept = append(kept, x-cut)
				}
			}
			starts = kept
		}
		starts, gap = append(starts, len(run)), 0
		for ok {
			run = append(run, d)
			if len(run)-starts[len(starts)-1] > 4*maxDigits {
				run = run[:starts[len(starts)-1]+4*maxDigits] // digits without end are no number
			}
			i += size
			if i >= len(s) {
				break
			}
			r, size = rune(s[i]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRune(s[i:])
			}
			d, ok = digit(r)
		}
		p.number(run, starts)
	}
}

// nextDigit returns where from i on the next digit may stand: one of ASCII, or anything beyond.
func nextDigit(s []byte, i int) int {
	const high = 0x8080808080808080
	for ; i+8 <= len(s); i += 8 {
		if m := digitsAt(s, i) | binary.LittleEndian.Uint64(s[i:])&high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf && !digitByte(s[i]) {
		i++
	}
	return i
}

// endsNumber reports what stands between two numbers, not within one: a word does.
func endsNumber(r rune) bool { return r >= 'a' && r <= 'z' || r == '@' || r == 1 }

// number looks up what ends with the last group; in a file of unknown form also what ends a
// few digits before, if it is as long as a whole number.
func (p *partSearch) number(run []byte, starts []int) {
	p.exactly(run, starts)
	for behind := 1; p.l.ragged && behind <= maxBehind && len(run)-starts[len(starts)-1] > behind && len(run)-behind >= minWhole; behind++ {
		p.exactly(run[:len(run)-behind], starts)
	}
}

// minWhole is the least number of digits of a number that is written whole: of any eight digits
// in a row some are somebody's.
const minWhole = 10

func (p *partSearch) exactly(run []byte, starts []int) {
	if len(run) < minPhone {
		return
	}
	l, key := p.l, run[max(0, len(run)-maxDigits):]
	if len(p.judged) > 0 { // with the groups: what is a number depends on them
		p.groups = append(p.groups[:0], key...)
		for _, start := range starts {
			if len(run)-start <= maxDigits {
				p.groups = append(p.groups, byte(len(run)-start))
			}
		}
		key = p.groups
		if _, known := p.before(byPhone, key); known {
			return
		}
	}
	clients := l.find(byPhone, run[len(run)-minPhone:])
	if len(clients) == 0 && len(l.phones) == 0 {
		return
	}
	p.judge(byPhone, key, len(clients), true)
	for _, start := range starts {
		if len(run)-start > maxDigits {
			continue
		}
		written := string(run[start:])
		if slices.ContainsFunc(l.phones, func(own string) bool { return sameOwnNumber(written, own) }) {
			l.note(leakSenderPhone, p.path, p.offset)
		}
		var same, alike []int32
		for _, i := range clients {
			phones := l.in.Watch.client(i).phones
			if slices.ContainsFunc(phones, func(d string) bool { return sameNumber(written, d) }) {
				same = append(same, i)
			} else if slices.ContainsFunc(phones, func(d string) bool { return endOf(written, d) }) {
				alike = append(alike, i)
			}
		}
		p.tells(same, leakPhone, leakNamePhone)
		p.hints(alike, leakNamePhone)
	}
}

// digit returns the ASCII digit for a decimal digit of any script.
func digit(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), r >= '0' && r <= '9'
	}
	if !unicode.IsDigit(r) {
		return 0, false
	}
	// The digits of a script stand in tens, in order.
	zero := r
	for n := 0; n < 9 && unicode.IsDigit(zero-1); n++ {
		zero--
	}
	return byte('0' + (r-zero)%10), true
}

// isLineEnd reports whether a line ends between two pieces of a text, which may be quoted.
func isLineEnd(s []byte) bool {
	return len(s) <= 8 && bytes.IndexByte(s, '\n') >= 0 && len(bytes.Trim(s, " \t\r\n>")) == 0
}

// codePiece is a run of letters or digits in a text, which may be part of a code.
type codePiece struct {
	start, end int
	newLine    bool // a line ends before it
}

// refs looks every client code in a folded text up: "notes_c-0142_v2.pdf" holds one.
func (p *partSearch) refs(s []byte) {
	l := p.l
	if l.pieces == nil {
		l.pieces = make([]codePiece, 0, l.in.Watch.codeParts())
	}
	window := l.pieces[:0]
	start, unspaced := -1, false
	for i := 0; i <= len(s); {
		alnum, other, size := false, false, 1 // other: of a script without blanks between words
		if i < len(s) {
			if alnum = sticky(s[i]); s[i] >= utf8.RuneSelf {
				var r rune
				r, size = utf8.DecodeRune(s[i:])
				alnum, other = !notAlnum(r), unspacedScript(r)
			}
		}
		if alnum && (start < 0 || other == unspaced) {
			if start < 0 {
				start, unspaced = i, other
			}
			i += size
			continue
		}
		if start >= 0 {
			newLine := false
			if len(window) > 0 && start-window[len(window)-1].end > 1 {
				if newLine = isLineEnd(s[window[len(window)-1].end:start]); !newLine {
					window = window[:0] // more than one character between: no code reaches across
				}
			}
			if len(window) == cap(window) && len(window) > 0 {
				window = append(window[:0], window[1:]...)
			}
			if cap(window) > 0 {
				window = append(window, codePiece{start, i, newLine})
			}
			newLine = false
			for k := len(window) - 1; k >= 0; k-- {
				code := s[window[k].start:i]
				if newLine {
					l.dashed = dashed(l.dashed[:0], code)
					if l.in.Watch.likeCode(l.dashed[1:]) {
						p.tells(l.find(byCode, l.dashed), leakCode, leakNameCode)
					}
				} else if l.in.Watch.likeCode(code) {
					p.tells(l.find(byCode, code), leakCode, leakNameCode)
					l.dashed = dashed(l.dashed[:0], code)
					p.tells(l.find(byCode, l.dashed), leakCode, leakNameCode)
				}
				newLine = newLine || window[k].newLine
			}
			start = -1
		}
		if alnum { // another script begins right here
			start, unspaced = i, other
		}
		i += size
	}
}

// ownDomain looks for the practitioner's domain, where the copy hides it behind the alias.
func (l *leaks) ownDomain(path string, offset int64, s []byte) {
	d := l.hidden
	if len(d) == 0 {
		return
	}
	for from := 0; ; {
		i := bytes.Index(s[from:], d)
		if i < 0 {
			return
		}
		i += from
		end := i + len(d)
		before := i == 0 || !(alnumByte(s[i-1]) || s[i-1] == '-')
		after := end == len(s) || !(alnumByte(s[end]) || s[end] == '-')
		if before && after {
			l.note(leakSenderDomain, path, offset)
			return
		}
		from = i + 1
	}
}

// day is a date without a time zone.
type day struct{ y, m, d int }

func dayOf(t time.Time) day { return day{t.Year(), int(t.Month()), t.Day()} }

// dates reads every date in folded windows: 1990-04-01, 01/04/1990, 1.4.90, 1 April 1990,
// April 1st, 1990. What may be read in two ways counts as both.
type dates struct {
	a, b int // the last two pieces; -1 for what is none
}

func (w *dates) read(s []byte, found func(day)) {
	add := func(y, m, d int) {
		if m < 1 || m > 12 || d < 1 || d > 31 || y < 0 {
			return
		}
		if y < 100 {
			found(day{1900 + y, m, d})
			y += 2000
		}
		found(day{y, m, d})
	}
	for len(s) > 0 {
		if s[0] < utf8.RuneSelf && !sticky(s[0]) {
			s = s[1:]
			continue
		}
		n := alnumRun(s)
		if n == 0 {
			_, n = utf8.DecodeRune(s)
			s = s[n:]
			continue
		}
		a, b, c := w.a, w.b, datePiece(s[:n])
		w.a, w.b = b, c
		s = s[n:]
		if a < 0 || b < 0 || c < 0 {
			continue
		}
		add(a, b, c)
		add(c, b, a)
		add(c, a, b)
	}
}

// alnumRun returns the length of the run of letters and digits at the start of s.
func alnumRun(s []byte) int {
	for i := 0; i < len(s); {
		if sticky(s[i]) {
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if notAlnum(r) {
			return i
		}
		i += n
	}
	return len(s)
}

// datePiece reads a number ("1", "1st", "1990") or the name of a month; -1 for anything else.
func datePiece(w []byte) int {
	if len(w) == 0 || len(w) > 9 {
		return -1
	}
	if n, digits := leadingNumber(w); digits > 0 && digits <= 4 {
		switch string(w[digits:]) {
		case "", "st", "nd", "rd", "th":
			return n
		}
		return -1
	}
	if len(w) < 3 {
		return -1
	}
	switch w[0] { // nearly no word gets further
	case 'j', 'f', 'm', 'a', 's', 'o', 'n', 'd':
	default:
		return -1
	}
	for i, name := range months {
		if name[1] != w[1] { // nearly always, and cheaper
			continue
		}
		if strings.HasPrefix(name, string(w)) || (i == 8 && string(w) == "sept") {
			return i + 1
		}
	}
	return -1
}

var months = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
	"november", "december"}

// leadingNumber returns the number of at most five digits at the start of w, and how many.
func leadingNumber(w []byte) (n, digits int) {
	for digits < len(w) && digits < 5 && w[digits] >= '0' && w[digits] <= '9' {
		n, digits = n*10+int(w[digits]-'0'), digits+1
	}
	return n, digits
}
