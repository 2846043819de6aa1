package filter

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// raw searches bytes of unknown form as ASCII, and as ASCII without the zero bytes of UTF-16. It
// finds what addresses and numbers find in the whole of it, folded, and hands them only the few
// places where there can be something: in a large picture hardly anything else counts.
func (p *partSearch) raw(b []byte) {
	p.l.ragged = true
	defer func() { p.l.ragged = false }()
	zero := bytes.IndexByte(b, 0)
	p.rawMailboxes(b, zero >= 0)
	p.rawNumbers(b)
	if zero >= 0 {
		p.rawNumbersAcross(b, zero)
	}
}

// rawMailboxes looks at every "@" with a domain behind it that somebody has.
func (p *partSearch) rawMailboxes(b []byte, zeros bool) {
	l := p.l
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], '@')
		if at < 0 {
			return
		}
		at += from
		from = at + 1
		if from < len(b) && b[from] != 0 && !domainByte(lowerByte(b[from])) {
			continue // as behind most of what falls together
		}
		plain, zero := l.rawDomain(b[from:], false)
		if plain {
			low := max(0, at-maxLocal*utf8.UTFMax) // as far as locals looks
			l.lower(b[low:min(len(b), from+maxDomain)])
			p.address(l.low, at-low)
		}
		if !zeros || !plain && !zero {
			continue
		}
		if joined, _ := l.rawDomain(b[from:], true); plain || joined {
			low, n := at, 0
			for ; low > 0 && n < maxLocal*utf8.UTFMax; low-- {
				if b[low-1] != 0 {
					n++
				}
			}
			high := from
			for k := 0; high < len(b) && k < maxDomain; high++ {
				if b[high] != 0 {
					k++
				}
			}
			l.lower(b[low:high])
			l.squeeze()
			p.address(l.low, n)
		}
	}
}

// rawDomain reports whether bytes start with a domain that address would look at further, and
// whether what starts there ends with a zero byte. It reads over these when it is told to.
func (l *leaks) rawDomain(b []byte, over bool) (known, zero bool) {
	var name [maxDomain]byte
	n := 0
	for i := 0; i < len(b) && n < len(name); i++ {
		c := lowerByte(b[i])
		if c == 0 && over {
			continue
		}
		if !domainByte(c) {
			zero = c == 0
			break
		}
		name[n] = c
		n++
	}
	behind := 0
	for d := bytes.Trim(name[:n], ".-"); len(d) > 0; {
		if l.in.Watch.hasDomain(d) || l.domains[string(d)] {
			return true, zero
		}
		i := bytes.LastIndexByte(d, '.')
		if behind < maxBehind && i >= 0 && len(d)-i > 3 {
			behind++
			d = d[:len(d)-1]
			continue
		}
		if i = bytes.LastIndexAny(d, ".-"); i < 0 || bytes.IndexByte(d[:i], '.') < 0 {
			break
		}
		d = d[:i]
	}
	return false, zero
}

// rawNumbers looks at every run of digits that is long enough for a phone number: minPhone
// digits, with gaps of at most maxGap between them. It reads eight bytes a step. In such a run
// there is always a step with two digits that has four together with the one before: a step in
// the middle of the run holds two at least, and without two of these, eight digits lie in at
// most three steps.
func (p *partSearch) rawNumbers(b []byte) {
	const _, _ = uint(3 - maxGap), uint(minPhone - 8) // else the above is not so
	before, done := uint64(0), 0                      // digits in the step before; what was looked at
	for i := 0; i < len(b); i += 8 {
		m := digitsAt(b, i)
		last := before
		before = m
		if m&(m-1) == 0 || bits.OnesCount64(last)+bits.OnesCount64(m) < 4 { // at most one digit; too few
			continue
		}
		if i < done {
			m &= ^uint64(0) << (8 * min(done-i, 8))
		}
		for m != 0 {
			low, high, digits := digitRun(b, done, i+bits.TrailingZeros64(m)/8)
			done = high
			if digits >= minPhone {
				p.l.lower(b[low:high])
				p.numbers(p.l.low, false)
			}
			m &= ^uint64(0) << (8 * min(done-i, 8))
		}
	}
}

// rawNumbersAcross looks at the runs of digits that are only there without the zero bytes. Each
// has a digit near on both sides of some of these.
func (p *partSearch) rawNumbersAcross(b []byte, zero int) {
	for zero >= 0 {
		end := zero + 1
		for end < len(b) && b[end] == 0 {
			end++
		}
		if mayBeNear(b, end) {
			end = p.rawNumberAcross(b, zero, end)
		}
		if zero = bytes.IndexByte(b[end:], 0); zero >= 0 {
			zero += end
		}
	}
}

// mayBeNear reports whether nearDigit can find something from i on forwards: most often there is
// neither a digit nor another zero byte among the next few, and that is told in one step.
func mayBeNear(b []byte, i int) bool {
	if i+8 > len(b) {
		return true
	}
	const each, high = 0x0101010101010101, 0x8080808080808080
	x := binary.LittleEndian.Uint64(b[i:])
	const next = 1<<(8*(maxGap+1)) - 1
	return (digitsAt(b, i)|(x-each)&^x&high)&next != 0
}

// rawNumberAcross looks at the run of digits around b[zero:end], and returns where to go on.
func (p *partSearch) rawNumberAcross(b []byte, zero, end int) int {
	left, before := nearDigit(b, zero-1, -1)
	right, behind := nearDigit(b, end, 1)
	if left < 0 || right < 0 || before+behind > maxGap {
		return end
	}
	low, high := left, right
	for low >= 0 {
		left = low
		low, _ = nearDigit(b, left-1, -1)
	}
	for high >= 0 {
		right = high
		high, _ = nearDigit(b, right+1, 1)
	}
	p.l.lower(b[left : right+1])
	p.l.squeeze()
	p.numbers(p.l.low, false)
	return right + 1
}

// nearDigit returns where the next digit stands from i on, in steps of dir, with the number of
// characters before it; -1 when it belongs to another number. Zero bytes do not count.
func nearDigit(b []byte, i, dir int) (at, gap int) {
	for ; i >= 0 && i < len(b); i += dir {
		switch {
		case b[i] == 0:
			continue
		case digitByte(b[i]):
			return i, gap
		case gap == maxGap || endsNumber(rune(lowerByte(b[i]))):
			return -1, 0
		}
		gap++
	}
	return -1, 0
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

// squeeze takes the zero bytes out of l.low.
func (l *leaks) squeeze() {
	l.low = slices.DeleteFunc(l.low, func(c byte) bool { return c == 0 })
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
