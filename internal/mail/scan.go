package mail

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
)

// scanSize is the longest piece of a line that is in memory at once.
const scanSize = 64 << 10

// eol is how a line, or a piece of one, ends.
type eol uint8

const (
	eolNone eol = iota // piece of a longer line, or the end of the message
	eolLF              // bare LF
	eolCRLF
)

// piece is a line of the message, or a part of a line longer than scanSize. data is valid
// until the next read.
type piece struct {
	data  []byte // without the line end
	start int64
	end   int64 // behind the line end
	first bool  // starts a line
	eol   eol
	last  bool // nothing follows
}

// whole reports whether the piece is a complete line.
func (p *piece) whole() bool { return p.first && (p.eol != eolNone || p.last) }

// scanner reads a message once, line by line, with bounded memory, and hashes it on the way.
type scanner struct {
	src  io.ReaderAt
	size int64
	off  int64 // of buf[r]
	next int64 // of the byte behind buf[w-1]
	buf  []byte
	r, w int
	mid  bool      // the last piece did not end its line
	sum  hash.Hash // nil: nobody asks
}

func newScanner(src io.ReaderAt, size int64, sum hash.Hash) *scanner {
	return &scanner{src: src, size: size, buf: make([]byte, min(scanSize, max(size, 1))), sum: sum}
}

// read returns the next piece, or io.EOF.
func (s *scanner) read() (piece, error) {
	for {
		b := s.buf[s.r:s.w]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return s.take(i + 1), nil
		}
		if s.next >= s.size {
			if len(b) == 0 {
				return piece{}, io.EOF
			}
			return s.take(len(b)), nil
		}
		if s.r == 0 && s.w == len(s.buf) {
			n := len(b)
			if b[n-1] == '\r' {
				n-- // it may be the first half of a CRLF
			}
			return s.take(n), nil
		}
		if err := s.fill(); err != nil {
			return piece{}, err
		}
	}
}

func (s *scanner) take(n int) piece {
	b := s.buf[s.r : s.r+n]
	p := piece{data: b, start: s.off, end: s.off + int64(n), first: !s.mid}
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		p.eol, p.data = eolCRLF, b[:n-2]
	case bytes.HasSuffix(b, []byte("\n")):
		p.eol, p.data = eolLF, b[:n-1]
	}
	s.mid = p.eol == eolNone
	s.r += n
	s.off += int64(n)
	p.last = s.off >= s.size
	return p
}

func (s *scanner) fill() error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	want := min(int64(len(s.buf)-s.w), s.size-s.next)
	n, err := s.src.ReadAt(s.buf[s.w:s.w+int(want)], s.next)
	if int64(n) < want {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("mail: read message at %d: %w", s.next+int64(n), err)
	}
	if s.sum != nil {
		s.sum.Write(s.buf[s.w : s.w+n])
	}
	s.w += n
	s.next += int64(n)
	return nil
}

// CanonicalLines returns r with every bare LF as CRLF. A bare CR stays: it is a defect.
func CanonicalLines(r io.Reader) io.Reader { return &canonicalLines{r: r} }

type canonicalLines struct {
	r    io.Reader
	in   [16 << 10]byte
	out  []byte // not yet handed over
	back []byte
	last byte
	err  error
}

func (c *canonicalLines) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		var n int
		n, c.err = c.r.Read(c.in[:])
		c.back = c.back[:0]
		for _, b := range c.in[:n] {
			if b == '\n' && c.last != '\r' {
				c.back = append(c.back, '\r')
			}
			c.back = append(c.back, b)
			c.last = b
		}
		c.out = c.back
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}
