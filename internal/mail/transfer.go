package mail

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// Content-Transfer-Encodings (RFC 2045 §6).
const (
	enc7bit   = "7bit"
	enc8bit   = "8bit"
	encBinary = "binary"
	encBase64 = "base64"
	encQP     = "quoted-printable"
)

// decoder undoes a Content-Transfer-Encoding. It is fed in pieces of any size and appends to
// dst what it has decoded; bad is set once the input had more than one reading.
type decoder interface {
	decode(dst, src []byte) []byte
	close(dst []byte) []byte
	bad() bool
}

func newDecoder(encoding string) decoder {
	switch encoding {
	case encBase64:
		return &base64Decoder{}
	case encQP:
		return &qpDecoder{}
	}
	return identity{}
}

type identity struct{}

func (identity) decode(dst, src []byte) []byte { return append(dst, src...) }
func (identity) close(dst []byte) []byte       { return dst }
func (identity) bad() bool                     { return false }

// base64Decoder reads base64 as mail readers do (RFC 2045 §6.8): what is outside the alphabet
// is skipped and padding ends a run. White space is no defect; everything else is, because
// some readers stop there and some go on.
type base64Decoder struct {
	acc    uint32
	n      int // characters in acc
	pad    int
	ended  bool // padding was complete
	defect bool
}

// lines decodes the whole lines with which src starts, as long as they leave no question: groups
// of four letters of the alphabet, CRLF, no more than a line may have. It returns dst and how
// much of src that was; whatever comes then is for decode. Attached files are nearly all such
// lines, and nothing of what the parser looks for can be in them: no boundary, no byte beyond
// ASCII, no control character.
func (d *base64Decoder) lines(dst, src []byte) (_ []byte, n int) {
	if d.n > 0 || d.pad > 0 || d.ended {
		return dst, 0
	}
	dst = slices.Grow(dst, len(src)/4*3+8)
	for length := 0; ; {
		rest := src[n:]
		if length+2 > len(rest) || rest[length] != '\r' || rest[length+1] != '\n' || length == 0 {
			// Not as long as the line before.
			if length = bytes.IndexByte(rest, '\n') - 1; length <= 0 || length > maxLine || length%4 != 0 || rest[length] != '\r' {
				return dst, n
			}
		}
		out := dst[len(dst) : len(dst)+length/4*3+8]
		if !base64Line(out, rest[:length]) {
			return dst, n
		}
		dst = dst[:len(dst)+length/4*3]
		n += length + 2
	}
}

// base64Line decodes groups of four letters, and reports whether all are of the alphabet. dst
// has eight bytes to spare.
func base64Line(dst, src []byte) bool {
	t := &base64Bits
	var all uint32
	for len(src) >= 8 && len(dst) >= 8 {
		a := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		b := t[0][src[4]] | t[1][src[5]] | t[2][src[6]] | t[3][src[7]]
		all |= a | b
		binary.BigEndian.PutUint64(dst, uint64(a)<<40|uint64(b)<<16)
		src, dst = src[8:], dst[6:]
	}
	if len(src) >= 4 && len(dst) >= 4 {
		a := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		all |= a
		binary.BigEndian.PutUint32(dst, a<<8)
	}
	return all < base64Junk
}

// base64Junk marks what is no letter of the alphabet.
const base64Junk = 1 << 24

// base64Bits maps a letter in each place of a group to its bits among the group's 24.
var base64Bits = func() (t [4][256]uint32) {
	for i, v := range base64Value {
		for place := range t {
			if t[place][i] = base64Junk; v < 64 {
				t[place][i] = uint32(v) << (18 - 6*place)
			}
		}
	}
	return t
}()

// base64Value maps a byte to its value; 64 is white space, 65 padding, 66 junk.
var base64Value = func() (t [256]uint8) {
	for i := range t {
		t[i] = 66
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i)
	}
	for _, c := range " \t\r\n" {
		t[c] = 64
	}
	t['='] = 65
	return t
}()

func (d *base64Decoder) decode(dst, src []byte) []byte {
	for len(src) > 0 {
		var n int
		dst, n = d.lines(dst, src)
		src = src[n:]
		end := 1 + bytes.IndexByte(src, '\n')
		if end == 0 {
			end = len(src)
		}
		dst = d.letters(dst, src[:end])
		src = src[end:]
	}
	return dst
}

// letters is decode, letter by letter.
func (d *base64Decoder) letters(dst, src []byte) []byte {
	for _, c := range src {
		v := base64Value[c]
		switch {
		case v < 64:
			if d.ended || d.pad > 0 {
				d.defect = true // data behind padding
				d.ended, d.pad = false, 0
			}
			d.acc = d.acc<<6 | uint32(v)
			if d.n++; d.n == 4 {
				dst = append(dst, byte(d.acc>>16), byte(d.acc>>8), byte(d.acc))
				d.acc, d.n = 0, 0
			}
		case v == 65:
			dst = d.padding(dst)
		case v == 66:
			d.defect = true
		}
	}
	return dst
}

func (d *base64Decoder) padding(dst []byte) []byte {
	d.pad++
	switch {
	case d.n == 0:
		d.defect = true
		d.pad = 0
	case d.n == 1:
		d.defect = true
		d.acc, d.n, d.pad = 0, 0, 0
	case d.n+d.pad == 4:
		dst = d.flush(dst)
		d.ended, d.pad = true, 0
	}
	return dst
}

// flush writes the bytes of an incomplete group.
func (d *base64Decoder) flush(dst []byte) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.acc>>4))
	case 3:
		dst = append(dst, byte(d.acc>>10), byte(d.acc>>2))
	}
	d.acc, d.n = 0, 0
	return dst
}

func (d *base64Decoder) close(dst []byte) []byte {
	if d.n > 0 {
		d.defect = true // padding is missing
		dst = d.flush(dst)
	}
	return dst
}

func (d *base64Decoder) bad() bool { return d.defect }

// qpDecoder reads quoted-printable (RFC 2045 §6.7). Blanks at the end of a line stay, so that
// nothing is lost, and are reported, because the RFC has them deleted; an escape that is none
// stays as it stands and is a defect.
type qpDecoder struct {
	held     []byte // "=", "=A", "= \t", "=\r": not yet decided
	defect   bool
	blank    bool // the last byte was a blank, as such
	trailing bool // blanks stand before a line end
}

// literal notes what is not escaped.
func (d *qpDecoder) literal(b []byte) {
	if len(b) == 0 || d.trailing {
		return
	}
	d.trailing = d.blank && (b[0] == '\r' || b[0] == '\n')
	for _, end := range []string{" \r", "\t\r", " \n", "\t\n"} {
		d.trailing = d.trailing || bytes.Contains(b, []byte(end))
	}
	last := b[len(b)-1]
	d.blank = last == ' ' || last == '\t'
}

func (d *qpDecoder) decode(dst, src []byte) []byte {
	for len(src) > 0 {
		if len(d.held) == 0 {
			i := bytes.IndexByte(src, '=')
			if i < 0 {
				d.literal(src)
				return append(dst, src...)
			}
			d.literal(src[:i])
			d.blank = false
			dst = append(dst, src[:i]...)
			d.held = append(d.held, '=')
			src = src[i+1:]
			continue
		}
		c := src[0]
		src = src[1:]
		dst = d.step(dst, c)
	}
	return dst
}

// step takes one byte behind an equals sign.
func (d *qpDecoder) step(dst []byte, c byte) []byte {
	last, blank := d.held[len(d.held)-1], c == ' ' || c == '\t'
	switch {
	case last == '=' && isHex(c):
		d.held = append(d.held, c)
		return dst
	case isHex(last):
		if isHex(c) {
			dst = append(dst, unhex(last)<<4|unhex(c))
			d.held = d.held[:0]
			return dst
		}
	case c == '\n': // soft line break; blanks before it have two readings
		d.defect = d.defect || len(d.held) > 2 || last == ' ' || last == '\t'
		d.held = d.held[:0]
		return dst
	case last != '\r' && (blank || c == '\r') && len(d.held) < 80:
		d.held = append(d.held, c)
		return dst
	}
	d.defect = true // from here on it does not matter what blanks there are
	dst = append(dst, d.held...)
	d.held = d.held[:0]
	if c == '=' {
		d.held = append(d.held, c)
		return dst
	}
	return append(dst, c)
}

func (d *qpDecoder) close(dst []byte) []byte {
	// An equals sign at the very end is a soft break before the end of the body.
	if len(d.held) > 1 && d.held[1] != '\r' {
		d.defect = true
		dst = append(dst, d.held...)
	}
	d.held = d.held[:0]
	d.trailing = d.trailing || d.blank
	return dst
}

func (d *qpDecoder) bad() bool { return d.defect }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// decodeReader is a decoder as an io.Reader.
type decodeReader struct {
	src io.Reader
	dec decoder
	in  []byte
	buf []byte
	out []byte
	err error
}

func newDecodeReader(src io.Reader, encoding string) io.Reader {
	return &decodeReader{src: src, dec: newDecoder(encoding), in: make([]byte, 16<<10)}
}

func (r *decodeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(r.in)
		r.buf = r.dec.decode(r.buf[:0], r.in[:n])
		if err == io.EOF {
			r.buf = r.dec.close(r.buf)
		}
		r.out, r.err = r.buf, err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}
