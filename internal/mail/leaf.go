package mail

import "bytes"

// headSize is how much of a decoded leaf is looked at to tell what it is.
const headSize = 512

// leafReader decodes a leaf while it goes by: text up to a budget, of others the start.
type leafReader struct {
	dec     decoder
	text    bool
	budget  int64
	buf     []byte // the text
	head    []byte
	scratch []byte
	cut     bool
	seal    sealMark
	tail    []byte // the end of what is not kept
	active  activeMark
}

// start begins a leaf; left is how much of the message there still is. The buffers serve one leaf
// after the other.
func (l *leafReader) start(p *Part, budget, left int64) {
	*l = leafReader{dec: newDecoder(p.Encoding), text: keepsText(p.MediaType), budget: budget, buf: l.buf[:0], scratch: l.scratch[:0], head: l.head[:0], tail: l.tail[:0]}
	if l.text && l.buf == nil {
		l.buf = make([]byte, 0, max(0, min(left, budget, roomAtFirst)))
	}
}

// roomAtFirst is what is kept free for a text whose size is not known yet.
const roomAtFirst = 16 << 10

// keepsText reports whether the decoded content of the type is kept for the rules.
func keepsText(mediaType string) bool {
	return len(mediaType) > 5 && mediaType[:5] == "text/" || len(mediaType) > 8 && mediaType[:8] == "message/"
}

func (l *leafReader) feed(b []byte) {
	if len(b) == 0 {
		return
	}
	l.keep(l.dec.decode(l.scratch[:0], b))
}

// lines takes the lines of base64 with which b starts and in which nothing is to be looked for,
// and returns how many bytes these were.
func (l *leafReader) lines(b []byte) int {
	dec, ok := l.dec.(*base64Decoder)
	if !ok {
		return 0
	}
	out, n := dec.lines(l.scratch[:0], b)
	l.keep(out)
	return n
}

func (l *leafReader) keep(b []byte) {
	l.scratch = b
	if n := headSize - len(l.head); n > 0 {
		l.head = append(l.head, b[:min(n, len(b))]...)
		l.seal.start(l.head)
		l.active.start(l.head)
	}
	l.seal.feed(b)
	l.active.feed(b)
	if !l.text {
		l.keepTail(b)
		return
	}
	if room := l.budget - int64(len(l.buf)); int64(len(b)) > room {
		b = b[:max(room, 0)]
		l.cut = true
	}
	l.buf = append(l.buf, b...)
}

// endLeaf records what the leaf's content was like.
func (p *parser) endLeaf(part *Part) {
	l := &p.body
	l.keep(l.dec.close(l.scratch[:0]))
	part.kinds, part.sealedFile = kindOfContent(l.head), l.seal.found
	part.program = programIn(l.head)
	off := part.Body.Start
	if l.dec.bad() {
		part.fresh = true
		name := defBase64
		if part.Encoding == encQP {
			name = defQP
		}
		p.defects.add(name, part.Path, off, "")
	}
	if q, ok := l.dec.(*qpDecoder); ok && q.trailing {
		part.fresh = true
		p.defects.add(defQPBlanks, part.Path, off, "")
	}
	if part.wire&wire8bit != 0 {
		switch part.Encoding {
		case enc7bit:
			p.defects.add(def8bit, part.Path, off, "")
		case encQP:
			part.fresh = true
		}
	}
	if l.text {
		part.cut = l.cut
		p.setText(part, l.buf, part.Params["charset"])
	}
	part.content = contentOf(l.head, part.MediaType, part.Filename)
	if kind := misnamed(part, l.head, l.tail[max(0, len(l.tail)-tailSize):], l.active.found); kind != "" {
		p.defects.add(defTypeMismatch, part.Path, off, kind)
	}
}

// setText decodes a text within what is left of the budget.
func (p *parser) setText(part *Part, b []byte, label string) {
	text, cs, defects := readText(b, label)
	for _, d := range defects {
		p.defects.add(d, part.Path, part.Body.Start, "")
		part.wider = part.wider || d == defWiderCharset
	}
	if int64(len(text)) > p.textLeft {
		cut := p.textLeft
		for cut > 0 && text[cut]&0xC0 == 0x80 {
			cut--
		}
		text, part.cut = text[:cut], true
	}
	p.textLeft -= int64(len(text))
	part.Text, part.charset, part.own = text, cs, new(writtenText)
	if part.cut {
		p.defects.add(defTextTooLong, part.Path, part.Body.Start, "")
	}
}

func isPicture(mediaType string) bool {
	return len(mediaType) > 6 && mediaType[:6] == "image/" && mediaType != "image/svg+xml"
}

func isHTMLStart(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n\xef\xbb\xbf")
	b = bytes.ToLower(b[:min(len(b), len("<!doctype html"))])
	return bytes.HasPrefix(b, []byte("<!doctype html")) || bytes.HasPrefix(b, []byte("<html")) || bytes.HasPrefix(b, []byte("<script"))
}
