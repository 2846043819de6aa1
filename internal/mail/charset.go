package mail

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

const utf8Label = "utf-8"

// charset is a character encoding by its canonical label. A nil enc is UTF-8.
type charset struct {
	label string
	enc   encoding.Encoding
}

// lookupCharset finds a charset by its label; ok is false for one that not everybody can read.
func lookupCharset(label string) (cs charset, ok bool) {
	label = strings.ToLower(strings.TrimSpace(label))
	if isASCIILabel(label) {
		return charset{label: utf8Label}, true
	}
	switch label {
	case "", "utf-8", "utf8":
		return charset{label: utf8Label}, true
	case "utf-16", "utf-16be", "utf-16le":
		return utf16Charset(label), true
	case "hz-gb-2312":
		return charset{label: label, enc: simplifiedchinese.HZGB2312}, false
	}
	if e, err := htmlindex.Get(label); err == nil {
		name, err := htmlindex.Name(e)
		if err == nil && name != "replacement" && name != "x-user-defined" {
			return charset{label: name, enc: e}, true
		}
	}
	// We can read these; mail apps built on a browser cannot (WHATWG Encoding Standard §4.2).
	if e, err := ianaindex.MIME.Encoding(label); err == nil && e != nil {
		if name, err := ianaindex.MIME.Name(e); err == nil {
			return charset{label: strings.ToLower(name), enc: e}, false
		}
	}
	return charset{label: "windows-1252", enc: charmap.Windows1252}, false
}

func utf16Charset(label string) charset {
	switch label {
	case "utf-16le":
		return charset{label: label, enc: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}
	case "utf-16be":
		return charset{label: label, enc: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}
	}
	return charset{label: label, enc: unicode.UTF16(unicode.BigEndian, unicode.UseBOM)}
}

// decode returns b as valid UTF-8; what has no reading becomes U+FFFD.
func (c charset) decode(b []byte) string {
	if c.enc == nil {
		if utf8.Valid(b) {
			return string(b)
		}
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	out, err := c.enc.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	return string(out)
}

// encode returns s in the charset; ok is false when it has no characters for it.
func (c charset) encode(s string) (b []byte, ok bool) {
	if c.enc == nil {
		return []byte(s), utf8.ValidString(s)
	}
	b, err := c.enc.NewEncoder().Bytes([]byte(s))
	return b, err == nil
}

// canEncode reports whether the charset has the character.
func (c charset) canEncode(r rune) bool {
	if c.enc == nil || r < utf8.RuneSelf {
		return true
	}
	_, ok := c.encode(string(r))
	return ok
}

// readText decodes the content of a text part with the label it came with, and says which
// charset it was read as and what was wrong with it.
func readText(b []byte, label string) (text string, cs charset, defects []string) {
	switch l := strings.ToLower(label); {
	case strings.HasSuffix(l, "utf-7"):
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))), charset{label: utf8Label}, []string{defCharsetUTF7}
	}
	cs, ok := lookupCharset(label)
	switch {
	case !ok:
		defects = append(defects, defUnknownCharset)
	case strings.HasPrefix(cs.label, "utf-16"):
		// RFC 2781 §3.3: nothing for a text of MIME. Where the mark is missing readers guess.
		defects = append(defects, defCharsetUTF16)
	case isWider(cs, label, b):
		defects = append(defects, defWiderCharset)
	}
	if cs.enc != nil {
		text = cs.decode(b)
		if cs.label == "big5" && isHongKong(b) || isMultiByte(cs.label) && strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || r >= 0xE000 && r < 0xF900 }) {
			// Readers differ in how many of the bytes that follow they take for part of the bad letter.
			defects = append(defects, defBadLetters)
		}
		return text, cs, defects
	}
	switch {
	case utf8.Valid(b):
		// us-ascii and no label at all are read as UTF-8 when they are UTF-8; not by everybody.
		if !isUTF8Label(label) && !isASCII(string(b)) {
			defects = append(defects, defUnlabelled8bit)
		}
	case hasOverlong(b):
		defects = append(defects, defOverlongUTF8)
	case isUTF8Label(label):
		defects = append(defects, defBadUTF8)
	default:
		// 8-bit under us-ascii or no label: what every reader falls back to.
		cs = charset{label: "windows-1252", enc: charmap.Windows1252}
		return cs.decode(b), cs, append(defects, defUnlabelled8bit)
	}
	return cs.decode(b), cs, defects
}

func isMultiByte(label string) bool {
	switch label {
	case "gbk", "gb18030", "big5", "euc-jp", "shift_jis", "iso-2022-jp", "euc-kr":
		return true
	}
	return false
}

// isWider reports letters that the charset of that name does not have, but the one as which
// mail apps read it: the curly quotes of windows-1252 under iso-8859-1.
func isWider(cs charset, label string, b []byte) bool {
	if !strings.HasPrefix(cs.label, "windows-") || strings.EqualFold(cs.label, strings.TrimSpace(label)) ||
		strings.HasPrefix(strings.ToLower(strings.TrimSpace(label)), "cp") {
		return false
	}
	for _, c := range b {
		if c >= 0x80 && c < 0xA0 {
			return true
		}
	}
	return false
}

// isASCIILabel reports a name of us-ascii (IANA character sets, MIBenum 3). What has letters beyond
// it all the same is read as a text without a charset.
func isASCIILabel(l string) bool {
	switch strings.ToLower(l) {
	case "us-ascii", "ascii", "ansi_x3.4-1968", "ansi_x3.4-1986", "iso-ir-6", "iso_646.irv:1991", "iso646-us", "us", "ibm367", "cp367", "csascii":
		return true
	}
	return false
}

// isHongKong reports letters that only the supplement of Big5 for Hong Kong has, or none: one half
// of the readers of Big5 knows it.
func isHongKong(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		lead, trail := b[i], b[i+1]
		if lead < 0x81 {
			continue
		}
		if lead < 0xA1 || lead == 0xC6 && trail >= 0xA1 || lead == 0xC7 || lead == 0xC8 || lead == 0xF9 && trail >= 0xD6 || lead > 0xF9 {
			return true
		}
		i++
	}
	return false
}

func isUTF8Label(l string) bool {
	return strings.EqualFold(l, "utf-8") || strings.EqualFold(l, "utf8")
}

func hasBOM16(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0xFE, 0xFF}) || bytes.HasPrefix(b, []byte{0xFF, 0xFE})
}

// hasOverlong reports an overlong UTF-8 sequence or an encoded surrogate: some readers see a
// character there (RFC 3629 §10), others do not.
func hasOverlong(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		c, n := b[i], b[i+1]
		if n&0xC0 != 0x80 {
			continue
		}
		switch {
		case c == 0xC0, c == 0xC1,
			c == 0xE0 && n < 0xA0 && i+2 < len(b) && b[i+2]&0xC0 == 0x80,
			c == 0xED && n >= 0xA0 && i+2 < len(b) && b[i+2]&0xC0 == 0x80,
			c == 0xF0 && n < 0x90 && i+3 < len(b) && b[i+2]&0xC0 == 0x80 && b[i+3]&0xC0 == 0x80:
			return true
		}
	}
	return false
}
