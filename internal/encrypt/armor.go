package encrypt

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
)

// errArmor is any fault in armor.
var errArmor = errors.New("encrypt: damaged OpenPGP armor")

const (
	armorRaw  = 48               // bytes of a line
	armorLine = armorRaw / 3 * 4 // and their letters: 64, as most programs write

	maxArmorLine = 2 << 10 // that we read; RFC 9580 §6.2 says 76
)

// armorWriter writes ASCII armor without header fields: Version and Comment tell which program
// wrote it (RFC 9580 §6.2.2). The library's own writer needs several times as long.
type armorWriter struct {
	w    *bufio.Writer
	kind string
	sum  *crc24 // nil: none, as RFC 9580 §6.1 wants it for what only new programs read

	held  [armorRaw]byte
	n     int
	text  [armorLine + 2]byte // a line being made
	begun bool
}

func newArmorWriter(w io.Writer, kind string, checksum bool) *armorWriter {
	a := &armorWriter{w: bufio.NewWriterSize(w, 16<<10), kind: kind}
	if checksum {
		a.sum = newCRC24()
	}
	return a
}

func (a *armorWriter) begin() {
	if !a.begun {
		a.begun = true
		a.w.WriteString("-----BEGIN PGP " + a.kind + "-----\r\n\r\n")
	}
}

// Write encodes whole lines and keeps the rest. Errors stick in the buffered writer.
func (a *armorWriter) Write(p []byte) (int, error) {
	a.begin()
	if a.sum != nil {
		a.sum.add(p)
	}
	total := len(p)
	for len(p) > 0 {
		if a.n == 0 && len(p) >= armorRaw {
			if err := a.line(p[:armorRaw]); err != nil {
				return 0, err
			}
			p = p[armorRaw:]
			continue
		}
		k := copy(a.held[a.n:], p)
		a.n += k
		p = p[k:]
		if a.n == armorRaw {
			a.n = 0
			if err := a.line(a.held[:]); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

func (a *armorWriter) line(raw []byte) error {
	b := &a.text
	n := base64.StdEncoding.EncodedLen(len(raw))
	base64.StdEncoding.Encode(b[:], raw)
	b[n], b[n+1] = '\r', '\n'
	_, err := a.w.Write(b[:n+2])
	return err
}

// Close writes what is left, the checksum and the last line.
func (a *armorWriter) Close() error {
	a.begin()
	if a.n > 0 {
		if err := a.line(a.held[:a.n]); err != nil {
			return err
		}
	}
	if a.sum != nil {
		a.w.WriteString("=" + base64.StdEncoding.EncodeToString(a.sum.bytes()) + "\r\n")
	}
	a.w.WriteString("-----END PGP " + a.kind + "-----\r\n")
	return a.w.Flush()
}

// crc24 is the checksum of armor (RFC 9580 §6.1.1), eight bytes at a time.
type crc24 struct {
	table *[8][256]uint32
	sum   uint32
}

// crcTables are made once, when the first armor is written. The value stands in the upper 24
// bits, so that a byte goes in at the top.
var crcTables = sync.OnceValue(func() *[8][256]uint32 {
	var t [8][256]uint32
	for i := range 256 {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x864CFB<<8
			} else {
				c <<= 1
			}
		}
		t[0][i] = c
	}
	for i := range 256 {
		for k := 1; k < 8; k++ {
			prev := t[k-1][i]
			t[k][i] = prev<<8 ^ t[0][prev>>24]
		}
	}
	return &t
})

func newCRC24() *crc24 { return &crc24{table: crcTables(), sum: 0xB704CE << 8} }

func (c *crc24) add(p []byte) {
	t, s := c.table, c.sum
	for len(p) >= 8 {
		x := s ^ binary.BigEndian.Uint32(p)
		s = t[7][x>>24] ^ t[6][x>>16&0xff] ^ t[5][x>>8&0xff] ^ t[4][x&0xff] ^
			t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	for _, b := range p {
		s = s<<8 ^ t[0][byte(s>>24)^b]
	}
	c.sum = s
}

func (c *crc24) bytes() []byte { return []byte{byte(c.sum >> 24), byte(c.sum >> 16), byte(c.sum >> 8)} }

// armorReader takes the armor off one block that is all there is: before and behind it only
// white space. It reads what programs write, and nothing that two programs could read in two
// ways: text between the blocks, a second block, letters behind the padding.
type armorReader struct {
	r     *bufio.Reader
	kind  string
	plain bool // no header fields, no blanks, lines of 64 letters: as our writer has it

	sum     *crc24
	state   armorState
	out     []byte // decoded and not yet read
	buf     [16 << 10]byte
	ended   bool // padding, or a short line where none is allowed: nothing may follow
	err     error
	headers int
}

type armorState uint8

const (
	armorBefore armorState = iota
	armorHeaders
	armorBody
	armorSum
	armorAfter
)

func newArmorReader(r io.Reader, kind string) *armorReader {
	return &armorReader{r: bufio.NewReaderSize(r, 16<<10), kind: kind, sum: newCRC24()}
}

// Read returns decoded bytes. io.EOF comes only when the block has ended as it should.
func (a *armorReader) Read(p []byte) (int, error) {
	for len(a.out) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		for a.out = a.buf[:0]; len(a.out) < len(a.buf)-maxArmorLine && a.err == nil; {
			a.err = a.step()
		}
	}
	n := copy(p, a.out)
	a.out = a.out[n:]
	return n, nil
}

// step reads one line.
func (a *armorReader) step() error {
	line, err := a.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		if a.state != armorAfter {
			return errArmor
		}
		return io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		if errors.Is(err, bufio.ErrBufferFull) {
			return errArmor
		}
		return err
	}
	if a.plain && !bytes.HasSuffix(line, []byte("\r\n")) {
		return errArmor
	}
	line = bytes.TrimRight(line, "\r\n")
	if !a.plain {
		line = bytes.TrimRight(line, " \t")
	}
	switch a.state {
	case armorBefore:
		switch {
		case len(line) == 0 && !a.plain:
		case string(line) == "-----BEGIN PGP "+a.kind+"-----":
			a.state = armorHeaders
		default:
			return errArmor
		}
	case armorHeaders:
		return a.header(line)
	case armorBody:
		return a.body(line)
	case armorSum:
		return a.end(line)
	case armorAfter:
		if len(line) != 0 {
			return errArmor
		}
	}
	return nil
}

func (a *armorReader) header(line []byte) error {
	if len(line) == 0 {
		a.state = armorBody
		return nil
	}
	a.headers++
	if a.plain || a.headers > 32 || !strings.Contains(string(line), ": ") {
		return errArmor
	}
	return nil
}

func (a *armorReader) body(line []byte) error {
	switch {
	case len(line) > 0 && line[0] == '-':
		return a.end(line)
	case len(line) == 5 && line[0] == '=':
		var sum [3]byte
		if n, err := base64.StdEncoding.Strict().Decode(sum[:], line[1:]); err != nil || n != 3 || !bytes.Equal(sum[:], a.sum.bytes()) {
			return errArmor
		}
		a.state = armorSum
		return nil
	case a.ended, len(line) == 0, len(line)%4 != 0, len(line) > maxArmorLine, a.plain && len(line) > armorLine:
		return errArmor
	}
	had := len(a.out)
	n, err := base64.StdEncoding.Strict().Decode(a.buf[had:], line)
	if err != nil {
		return errArmor
	}
	a.ended = line[len(line)-1] == '=' || a.plain && len(line) < armorLine
	a.out = a.buf[:had+n]
	a.sum.add(a.out[had:])
	return nil
}

func (a *armorReader) end(line []byte) error {
	if string(line) != "-----END PGP "+a.kind+"-----" {
		return errArmor
	}
	a.state = armorAfter
	return nil
}
