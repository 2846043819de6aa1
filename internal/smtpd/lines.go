package smtpd

import (
	"bufio"
	"errors"
)

// Lengths of lines, with CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and extensions add to it;
// RFC 4954 §4 asks for 12,288 in an authentication exchange.
const (
	maxCommand  = 2048
	maxAuthLine = 12288
	// maxOverlong is how much of one endless line is read before the connection ends.
	maxOverlong = 64 << 10
)

var (
	errLineEnding = errors.New("smtpd: bare CR, bare LF or NUL in a command")
	errTooLong    = errors.New("smtpd: line too long")
	errEndless    = errors.New("smtpd: line without an end")
)

// readLine reads one line that ends in CRLF, and returns it without. A bare CR, a bare LF or a
// NUL is errLineEnding at once: another server could see another line there. A line over
// limit is read to its end and is errTooLong.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	cr := false
	for n := 1; ; n++ {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		switch {
		case cr && b == '\n':
			if n > limit {
				return "", errTooLong
			}
			return string(line), nil
		case cr, b == '\n', b == 0:
			return "", errLineEnding
		case b == '\r':
			cr = true
		case n < limit:
			line = append(line, b)
		case n > maxOverlong:
			return "", errEndless
		}
	}
}

// endOfData finds <CRLF>.<CRLF> and nothing else (RFC 5321 §4.1.1.4). Its value is how many
// of the five bytes matched; DATA begins as if a line had just ended.
type endOfData int

const (
	dataStart endOfData = 2
	dataEnd   endOfData = 5
	endMark             = "\r\n.\r\n"
)

// next takes one byte.
func (e endOfData) next(b byte) endOfData {
	switch b {
	case endMark[e]:
		return e + 1
	case endMark[0]: // no other beginning of the mark can end in a byte that did not match
		return 1
	}
	return 0
}

// strict checks that CR and LF come only as CRLF, and that no NUL comes.
type strict struct{ cr bool }

// next takes one byte and reports whether the stream is still clean.
func (s *strict) next(b byte) bool {
	if s.cr {
		s.cr = false
		return b == '\n'
	}
	s.cr = b == '\r'
	return b != '\n' && b != 0
}
