package filter

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// raw searches bytes of unknown form as ASCII, and once more without the zero bytes of UTF-16.
// It finds what addresses and numbers find in the whole of it, folded, and hands them only the
// few places where there can be something: in a large picture hardly anything else counts.
func (p *partSearch) raw(b []byte) {
	l := p.l
	l.ragged = true
	defer func() { l.ragged = false }()
	p.rawASCII(b)
	zero := bytes.IndexByte(b, 0)
	if zero < 0 {
		return
	}
	l.squeezed = l.squeezed[:0]
	for ; zero >= 0; zero = bytes.IndexByte(b, 0) {
		l.squeezed = append(l.squeezed, b[:zero]...)
		b = b[zero+1:]
	}
	l.squeezed = append(l.squeezed, b...)
	p.rawASCII(l.squeezed)
}

func (p *partSearch) rawASCII(b []byte) {
	p.rawMailboxes(b)
	p.rawNumbers(b)
}

// rawMailboxes looks at every "@" with a domain behind it that somebody has.
func (p *partSearch) rawMailboxes(b []byte) {
	l := p.l
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], '@')
		if at < 0 {
			return
		}
		at += from
		from = at + 1
		if !l.rawDomain(b[from:]) {
			continue
		}
		low := max(0, at-maxLocal*utf8.UTFMax) // as far as locals looks
		l.lower(b[low:min(len(b), from+maxDomain)])
		p.address(l.low, at-low)
	}
}

// rawDomain reports whether bytes start with a domain that address would look at further.
func (l *leaks) rawDomain(b []byte) bool {
	var name [maxDomain]byte
	n := 0
	for n < min(len(b), len(name)) {
		c := lowerByte(b[n])
		if !domainByte(c) {
			break
		}
		name[n] = c
		n++
	}
	behind := 0
	for d := bytes.Trim(name[:n], ".-"); len(d) > 0; {
		if l.in.Watch.hasDomain(d) || l.domains[string(d)] {
			return true
		}
		i := bytes.LastIndexByte(d, '.')
		if behind < maxBehind && i >= 0 && len(d)-i > 3 {
			behind++
			d = d[:len(d)-1]
			continue
		}
		if i < 0 || bytes.IndexByte(d[:i], '.') < 0 {
			break
		}
		d = d[:i]
	}
	return false
}

// rawNumbers looks at every run of digits that is long enough for a phone number: minPhone
// digits, with gaps of at most maxGap between them. It reads eight bytes a step. In such a run
// there is always a step with two digits that has four together with the one before: a step in
// the middle of the run holds two at least, and without two of these, eight digits lie in at
// most three steps.
func (p *partSearch) rawNumbers(b []byte) {
	const _, _ = uint(3 - maxGap), uint(minPhone - 8) // else the above is not so
	before, done := 0, 0                              // digits in the step before; what was looked at
	for i := 0; i < len(b); i += 8 {
		m := digitsAt(b, i)
		if m&(m-1) == 0 { // at most one digit
			before = bits.OnesCount64(m)
			continue
		}
		here, both := bits.OnesCount64(m), before+bits.OnesCount64(m)
		before = here
		if both < 4 {
			continue
		}
		if i < done {
			m &= ^uint64(0) << (8 * min(done-i, 8))
		}
		for m != 0 {
			at := i + bits.TrailingZeros64(m)/8
			low, high, digits := digitRun(b, done, at)
			done = high
			if digits >= minPhone {
				p.l.lower(b[low:high])
				p.numbers(p.l.low)
			}
			m &= ^uint64(0) << (8 * min(done-i, 8))
		}
	}
}

// digitRun returns the run of digits and gaps around the digit at, not before from.
func digitRun(b []byte, from, at int) (low, high, digits int) {
	low, high, digits = at, at+1, 1
	for i, gap := at-1, 0; i >= from && gap <= maxGap; i-- {
		if gap++; digitByte(b[i]) {
			low, gap, digits = i, 0, digits+1
		} else if endsNumber(rune(lowerByte(b[i]))) {
			break
		}
	}
	for i, gap := at+1, 0; i < len(b) && gap <= maxGap; i++ {
		if gap++; digitByte(b[i]) {
			high, gap, digits = i+1, 0, digits+1
		} else if endsNumber(rune(lowerByte(b[i]))) {
			break
		}
	}
	return low, high, digits
}

// digitsAt returns a bit for each digit among the eight bytes at i, the highest of its byte.
func digitsAt(b []byte, i int) uint64 {
	var x uint64
	if i+8 <= len(b) {
		x = binary.LittleEndian.Uint64(b[i:])
	} else {
		var last [8]byte
		copy(last[:], b[min(i, len(b)):])
		x = binary.LittleEndian.Uint64(last[:])
	}
	const each, high = 0x0101010101010101, 0x8080808080808080
	over9 := (x^'0'*each)&^high + 0x76*each // sets the highest bit of each byte above '9' or below '0'
	return ^(over9 | x) & high
}

// lower folds ASCII letters into l.low, and makes every byte beyond ASCII a space: among such
// bytes it is not known what is a letter.
func (l *leaks) lower(b []byte) {
	l.low = l.low[:0]
	for _, c := range b {
		l.low = append(l.low, lowerByte(c))
	}
}

func lowerByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c >= utf8.RuneSelf:
		return ' '
	}
	return c
}
