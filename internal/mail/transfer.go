package mail

import (
	"bytes"
	"io"
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
// nothing is lost; an escape that is none stays as it stands and is a defect.
type qpDecoder struct {
	held   []byte // "=", "=A", "= \t", "=\r": not yet decided
	defect bool
}

func (d *qpDecoder) decode(dst, src []byte) []byte {
	for len(src) > 0 {
		if len(d.held) == 0 {
			i := bytes.IndexByte(src, '=')
			if i < 0 {
				return append(dst, src...)
			}
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
	d.defect = true
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
