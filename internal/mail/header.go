package mail

import (
	"bytes"
	"strings"
)

// Limits of one header section that no mail app reaches.
const (
	maxFields = 1000
	maxLine   = 998 // RFC 5322 §2.1.1, without CRLF
)

// getField returns the first field of that name.
func getField(f []Field, name string) (string, bool) {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}

// headerReader collects one header section (RFC 5322 §2.2), line by line.
type headerReader struct {
	path    string
	root    bool // the message's own header
	defects *defectList
	limit   int

	buf    []byte // the field being read
	start  int64  // of it
	end    int64
	size   int
	fields []Field
	raw    []Range
	over   bool // a limit was passed: nothing more is kept
	lines  int
	long   int // length of the line so far
}

// fieldName splits a line into a field's name and value; ok is false when the line is no
// field. Blanks before the colon are tolerated (RFC 5322 §4.5) and reported by the caller.
func fieldName(line []byte) (name string, value []byte, spaced, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return "", nil, false, false
	}
	n := bytes.TrimRight(line[:i], " \t")
	if len(n) == 0 {
		return "", nil, false, false
	}
	for _, c := range n {
		if c <= ' ' || c >= 0x7f {
			return "", nil, false, false
		}
	}
	return string(n), line[i+1:], len(n) != i, true
}

// add takes a piece of a header line. It returns false when the line is not part of a header,
// so that the body starts there.
func (h *headerReader) add(x piece) bool {
	if x.first {
		h.lines++
		h.long = 0
		if !h.startLine(x) {
			return false
		}
	}
	h.long += len(x.data)
	if h.long > maxLine {
		h.defects.add(defLongHeaderLine, h.path, x.start, "")
	}
	h.size += int(x.end - x.start)
	switch {
	case h.size > h.limit && !h.over:
		h.over = true
		h.defects.add(defHeaderTooLarge, h.path, x.start, "")
	case len(h.fields) >= maxFields && !h.over:
		h.over = true
		h.defects.add(defTooManyFields, h.path, x.start, "")
	}
	if !h.over {
		h.buf = append(h.buf, x.data...)
		h.end = x.end
	}
	return true
}

// startLine looks at the start of a header line: a continuation, a field, or neither.
func (h *headerReader) startLine(x piece) bool {
	if len(x.data) > 0 && (x.data[0] == ' ' || x.data[0] == '\t') {
		if h.buf == nil && len(h.fields) == 0 && !h.over {
			// Passed over, like every line that belongs to no field.
			h.defects.add(defFoldedFirst, h.path, x.start, "")
		}
		if x.whole() && len(bytes.TrimSpace(x.data)) == 0 {
			h.defects.add(defBlankFold, h.path, x.start, "")
		}
		if name, _, _, _ := fieldName(h.buf); strings.EqualFold(name, "Content-Transfer-Encoding") {
			h.defects.add(defEncodingSpell, h.path, x.start, "") // not every reader unfolds it
		}
		return true
	}
	name, _, spaced, ok := fieldName(x.data)
	if !ok && h.lines == 1 && bytes.HasPrefix(x.data, []byte("From ")) {
		h.defects.add(defMboxLine, h.path, x.start, "")
		return true // flush finds no field in it
	}
	if !ok {
		if h.root {
			h.defects.add(defNoColon, h.path, x.start, "")
		} else {
			h.defects.add(defPartNoColon, h.path, x.start, "")
		}
		return false
	}
	switch {
	case spaced && (h.root || isContentField(name)):
		h.defects.add(defSpaceColon, h.path, x.start, safeName(name))
	case spaced:
		h.defects.add(defPartSpaceColon, h.path, x.start, "") // some readers end the header here
	}
	h.flush()
	h.start = x.start
	return true
}

// flush ends the field being read.
func (h *headerReader) flush() {
	if h.buf == nil {
		return
	}
	if name, value, _, ok := fieldName(h.buf); ok {
		h.fields = append(h.fields, Field{Name: name, Value: string(bytes.Trim(value, " \t\r\n"))})
		h.raw = append(h.raw, Range{h.start, h.end})
		h.check(name, value)
	}
	h.buf = nil
}

// check reports raw bytes that no header may hold, in the fields that we read.
func (h *headerReader) check(name string, value []byte) {
	if !h.root && !isContentField(name) || h.root && !isReadField(name) {
		return
	}
	if strings.EqualFold(name, "Content-Transfer-Encoding") && !bytes.Equal(bytes.TrimLeft(value, " \t"), bytes.Trim(value, " \t")) {
		h.defects.add(defEncodingSpell, h.path, h.start, "") // blanks behind the word: some readers know no such encoding
	}
	if bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		h.defects.add(defHeaderControl, h.path, h.start, safeName(name))
	}
	if isASCII(string(value)) {
		return
	}
	_, found := plainHeader(string(value))
	for _, d := range found {
		if d == defHeader8bit && !h.root {
			h.defects.addAs(Defect{Name: d, Path: h.path, Offset: h.start, Default: HoldIt,
				Detail: safeName(name), Fix: fixAttachment})
			continue
		}
		h.defects.add(d, h.path, h.start, safeName(name))
	}
}

func isContentField(name string) bool {
	return len(name) > 8 && strings.EqualFold(name[:8], "content-")
}

// readFields are the message fields that we read; the rest never leaves (see Draft).
var readFields = [...]string{"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date",
	"Message-ID", "In-Reply-To", "References"}

func isReadField(name string) bool {
	for _, f := range readFields {
		if strings.EqualFold(f, name) {
			return true
		}
	}
	return isContentField(name)
}

// checkDuplicates reports fields that may stand only once (RFC 5322 §3.6, RFC 2045 §3).
// Readers differ in which one counts.
func checkDuplicates(p *Part, identity bool, d *defectList) {
	type once struct {
		value string
		n     int
	}
	seen := map[string]once{}
	for i, f := range p.Fields {
		name := strings.ToLower(f.Name)
		if !identity && !isContentField(name) || identity && !isReadField(name) {
			continue
		}
		old := seen[name]
		seen[name] = once{f.Value, old.n + 1}
		if old.n == 0 {
			continue
		}
		switch name {
		case "in-reply-to", "references", "content-language", "content-location":
			d.add(defDuplicateIgnored, p.Path, p.raw[i].Start, safeName(f.Name))
		case "content-transfer-encoding", "content-disposition", "content-id", "content-description":
			if old.value == f.Value || name == "content-description" {
				d.add(defDuplicateIgnored, p.Path, p.raw[i].Start, safeName(f.Name))
				continue
			}
			d.addAs(Defect{Name: defDuplicateField, Path: p.Path, Offset: p.raw[i].Start, Default: HoldIt,
				Detail: safeName(f.Name), Fix: fixAttachment})
		default:
			if isContentField(name) && name != "content-type" {
				continue
			}
			d.add(defDuplicateField, p.Path, p.raw[i].Start, safeName(f.Name))
		}
	}
}
