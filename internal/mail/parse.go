package mail

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// wire is a set of things in a body that SMTP may not carry, or only with an extension.
type wire uint8

const (
	wireLong wire = 1 << iota // a line over 998 octets
	wireCR                    // bare CR
	wireLF                    // bare LF
	wireNUL
	wire8bit
)

// wireForbidden cannot leave whatever the smarthost offers (RFC 5321 §2.3.8, §4.5.3.1.6).
const wireForbidden = wireLong | wireCR | wireLF | wireNUL

// boundaryStem starts every boundary of ours.
const boundaryStem = "=_pc"

// Parse reads a message in one streaming pass: header, part tree, digest, bounded text and
// defects. The only error is a failure to read src; everything wrong with the message is a
// [Defect].
func Parse(src io.ReaderAt, size int64, lim Limits) (*Message, error) {
	return parse(src, size, lim, reading{})
}

// ParseCopy reads a copy that was written from m. Of attached files that are the same byte for
// byte it takes what was read in m: they are opened once, however many copies there are. The
// copy has no Digest, see [Message.Sum].
func (m *Message) ParseCopy(src io.ReaderAt, size int64, lim Limits) (*Message, error) {
	return parse(src, size, lim, reading{original: m})
}

// reading says how a message is read.
type reading struct {
	outer    *opener  // of the message around it, when it is an attached file
	original *Message // of which it is a copy
	slowly   bool     // line by line, whatever they hold: what tests compare with
}

func parse(src io.ReaderAt, size int64, lim Limits, how reading) (*Message, error) {
	var sum hash.Hash
	if how.original == nil {
		sum = sha256.New()
	}
	p := &parser{lim: lim, sc: newScanner(src, size, sum), m: &Message{Size: size, src: src}, textLeft: lim.TextBytes}
	p.m.Root = &Part{Path: "1"}
	p.parts = 1
	p.startHeader(p.m.Root, true)
	for {
		if p.cur != nil && !p.inHeader && !how.slowly {
			p.lines()
		}
		x, err := p.sc.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		p.line(x)
	}
	p.finish()
	if p.err != nil {
		return nil, p.err
	}
	markAlternatives(p.m.Root)
	if size > lim.Bytes {
		p.breaks(defTooLarge, "1", 0)
	}
	if sum != nil {
		sum.Sum(p.m.Digest[:0])
	}
	p.identity()
	if err := p.openAttachments(how.outer, how.original); err != nil {
		return nil, err
	}
	p.oddSigned()
	p.m.Defects = p.defects.list
	p.markDirty()
	return p.m, nil
}

// frame is an open container.
type frame struct {
	part     *Part
	boundary string // empty for message/rfc822
	seen     bool   // a part has started
	closed   bool   // the close delimiter was seen
	skip     bool   // too many parts: the rest is not looked at
	outside  []byte // start of what stands before or behind the parts
	outAt    int64
}

type parser struct {
	lim      Limits
	sc       *scanner
	m        *Message
	defects  defectList
	stack    []*frame
	cur      *Part // part being read, nil between parts
	inHeader bool
	hdr      headerReader
	body     leafReader
	pend     []byte // line end that may belong to a delimiter
	parts    int
	textLeft int64
	lineLen  int
	err      error
}

func (p *parser) breaks(defect, path string, off int64) {
	p.defects.add(defect, path, off, "")
	if p.m.broken == "" {
		p.m.broken = defect
	}
}

func (p *parser) startHeader(part *Part, root bool) {
	start := p.sc.off
	if part != p.m.Root {
		start = part.Header.Start
	}
	part.Header = Range{start, start}
	p.cur, p.inHeader = part, true
	p.hdr = headerReader{path: part.Path, root: root, defects: &p.defects, limit: p.lim.HeaderBytes}
}

// line takes the next piece of the message.
func (p *parser) line(x piece) {
	p.checkWire(x)
	if x.whole() && bytes.HasPrefix(x.data, []byte("--")) && p.boundary(x) {
		return
	}
	if p.inHeader {
		switch {
		case x.whole() && len(x.data) == 0:
			p.finishHeader(x.end)
			return
		case p.hdr.add(x):
			return
		}
		p.finishHeader(x.start)
		if p.inHeader { // an embedded message starts right here
			p.line(x)
			return
		}
		p.checkWire(x) // again, now as a line of the body
	}
	p.text(x)
}

// lines takes as many lines of a base64 body as are in the buffer and hold nothing that line
// would act on.
func (p *parser) lines() {
	if p.sc.mid {
		return
	}
	n := p.body.lines(p.sc.buf[p.sc.r:p.sc.w])
	if n == 0 {
		return
	}
	p.sc.r += n
	p.sc.off += int64(n)
	p.pend = append(p.pend[:0], "\r\n"...) // of the last one; base64 skips those between
}

// checkWire notes what the wire may not carry, for the current part and all around it.
func (p *parser) checkWire(x piece) {
	if x.first {
		p.lineLen = 0
	}
	p.lineLen += len(x.data)
	var w wire
	if p.lineLen > maxLine {
		w |= wireLong
	}
	if bytes.IndexByte(x.data, 0) >= 0 {
		w |= wireNUL
		p.defects.add(defNUL, p.path(), x.start, "")
	}
	if bytes.IndexByte(x.data, '\r') >= 0 {
		w |= wireCR
		p.defects.add(defBareCR, p.path(), x.start, "")
	}
	if x.eol == eolLF {
		w |= wireLF
		p.defects.add(defBareLF, p.path(), x.start, "")
	}
	for _, c := range x.data {
		if c >= 0x80 {
			w |= wire8bit
			break
		}
	}
	if x.first && bytes.HasPrefix(x.data, []byte("--"+boundaryStem)) {
		p.m.lookalike = true
	}
	if w == 0 {
		return
	}
	for _, f := range p.stack {
		f.part.wire |= w
	}
	if p.cur != nil && !p.inHeader {
		p.cur.wire |= w
		if w&wireLong != 0 {
			p.defects.add(defLongLine, p.cur.Path, x.start, "")
		}
	}
}

func (p *parser) path() string {
	switch {
	case p.cur != nil:
		return p.cur.Path
	case len(p.stack) > 0:
		return p.stack[len(p.stack)-1].part.Path
	}
	return "1"
}

// boundary reports whether the line is a delimiter of an open multipart (RFC 2046 §5.1.1),
// and acts on it. A delimiter of an outer one ends the inner ones.
func (p *parser) boundary(x piece) bool {
	var alike *frame
	for i := len(p.stack) - 1; i >= 0; i-- {
		f := p.stack[i]
		if f.boundary == "" || f.skip {
			continue
		}
		rest, ok := bytes.CutPrefix(x.data[2:], []byte(f.boundary))
		if !ok {
			continue
		}
		tail, closing := bytes.CutPrefix(rest, []byte("--"))
		if len(bytes.TrimRight(tail, " \t")) > 0 {
			alike = f
			continue
		}
		if f.closed {
			p.defects.add(defBoundaryAfter, f.part.Path, x.start, "")
			continue
		}
		if len(tail) > 0 {
			// RFC 2046 §5.1.1 allows blanks there; not every reader does.
			p.defects.add(defBoundaryBlanks, f.part.Path, x.start, "")
		}
		p.delimiter(i, x, closing)
		return true
	}
	if alike != nil {
		p.defects.add(defBoundaryPrefix, alike.part.Path, x.start, "")
	}
	return false
}

func (p *parser) delimiter(i int, x piece, closing bool) {
	f := p.stack[i]
	p.endCurrent(x.start)
	p.popTo(i+1, x.start-int64(len(p.pend)))
	p.pend = p.pend[:0]
	if closing {
		f.closed = true
		return
	}
	if p.parts >= p.lim.Parts {
		p.breaks(defTooManyParts, f.part.Path, x.start)
		f.skip = true
		return
	}
	f.seen = true
	p.startHeader(p.child(f.part, x.end), false)
}

func (p *parser) child(parent *Part, start int64) *Part {
	c := &Part{Path: parent.Path + "." + strconv.Itoa(len(parent.Parts)+1), Header: Range{start, start}}
	parent.Parts = append(parent.Parts, c)
	p.parts++
	return c
}

// endCurrent ends the part being read before the delimiter at off; the line end before the
// delimiter belongs to the delimiter.
func (p *parser) endCurrent(off int64) {
	if p.inHeader {
		// No empty line ends the header: for some readers there is no such part.
		p.defects.add(defNoBody, p.cur.Path, off, "")
	}
	for p.inHeader {
		p.finishHeader(off)
	}
	if p.cur == nil {
		return
	}
	end := off - int64(len(p.pend))
	p.cur.Body.End = max(end, p.cur.Body.Start)
	p.endLeaf(p.cur)
	p.cur = nil
}

// popTo closes the containers above n, which end at off.
func (p *parser) popTo(n int, off int64) {
	for len(p.stack) > n {
		f := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		f.part.Body.End = max(off, f.part.Body.Start)
		if f.boundary == "" {
			continue
		}
		if !f.closed && f.seen && !f.skip {
			p.defects.add(defUnterminated, f.part.Path, f.part.Body.End, "")
		}
		if isOutsideText(f.outside) && f.seen {
			p.defects.add(defPreamble, f.part.Path, f.outAt, "")
		}
		if len(f.part.Parts) == 0 {
			p.emptyMultipart(f)
		}
	}
}

// isOutsideText reports whether text before or behind the parts says something of its own.
// The customary line for readers without MIME does not.
func isOutsideText(b []byte) bool {
	b = bytes.ToLower(bytes.TrimSpace(b))
	return len(b) > 0 && !bytes.Contains(b, []byte("mime")) && !bytes.Contains(b, []byte("multi-part")) &&
		!bytes.Contains(b, []byte("multipart"))
}

// emptyMultipart makes a multipart without a part into a text, as which it is shown.
func (p *parser) emptyMultipart(f *frame) {
	part := f.part
	p.defects.add(defNoParts, part.Path, part.Body.Start, "")
	part.Declared, part.MediaType, part.Params = part.MediaType, "text/plain", map[string]string{}
	b := make([]byte, min(part.Body.Len(), max(p.textLeft, 0)))
	if _, err := p.m.src.ReadAt(b, part.Body.Start); err != nil && !errors.Is(err, io.EOF) {
		p.err = fmt.Errorf("mail: read message at %d: %w", part.Body.Start, err)
		return
	}
	part.cut = int64(len(b)) < part.Body.Len()
	p.setText(part, b, "")
}

// text takes a line that is neither header nor delimiter.
func (p *parser) text(x piece) {
	if p.cur != nil {
		p.body.feed(p.pend)
		p.body.feed(x.data)
	} else if n := len(p.stack); n > 0 {
		f := p.stack[n-1]
		if t := bytes.TrimSpace(x.data); len(t) > 0 && len(f.outside) < 1000 {
			if len(f.outside) == 0 {
				f.outAt = x.start
			}
			f.outside = append(append(f.outside, t[:min(len(t), 1000)]...), ' ')
		}
	}
	p.pend = p.pend[:0]
	switch x.eol {
	case eolCRLF:
		p.pend = append(p.pend, "\r\n"...)
	case eolLF:
		p.pend = append(p.pend, '\n')
	}
}

// finish ends everything that is still open at the end of the message.
func (p *parser) finish() {
	for p.inHeader {
		p.finishHeader(p.sc.size)
	}
	if p.cur != nil { // the last line end is part of the body
		p.body.feed(p.pend)
		p.cur.Body.End = p.sc.size
		p.endLeaf(p.cur)
		p.cur = nil
	}
	p.popTo(0, p.sc.size)
}

// finishHeader ends the header section; the body starts at off. It leaves the parser in the
// header of an embedded message, between parts, or in a leaf.
func (p *parser) finishHeader(off int64) {
	part := p.cur
	p.hdr.flush()
	part.Fields, part.raw = p.hdr.fields, p.hdr.raw
	part.Header.End = off
	part.Body = Range{off, off}
	p.inHeader = false
	p.pend = p.pend[:0]
	if p.hdr.over && p.m.broken == "" {
		p.m.broken = defHeaderTooLarge
	}
	checkDuplicates(part, part == p.m.Root, &p.defects)
	boundary := p.describe(part)
	container := boundary != "" || isMessage(part.MediaType)
	switch {
	case container && len(p.stack)+1 >= p.lim.Depth:
		p.breaks(defTooDeep, part.Path, off)
		part.MediaType = "application/octet-stream"
	case boundary != "":
		p.stack = append(p.stack, &frame{part: part, boundary: boundary})
		p.cur = nil
		return
	case container && isEncoded(part.Encoding):
		// RFC 2046 §5.2.1: no encoding may hide an embedded message from us.
		p.defects.add(defEncodedMessage, part.Path, off, "")
	case container && p.parts >= p.lim.Parts:
		p.breaks(defTooManyParts, part.Path, off)
		part.MediaType = "application/octet-stream"
	case container:
		if in := p.parent(); in != nil && isMessage(in.MediaType) {
			// Some readers do not find where such a mail ends.
			p.defects.add(defBareMessage, part.Path, off, "")
		}
		p.stack = append(p.stack, &frame{part: part})
		p.startHeader(p.child(part, off), false)
		return
	}
	p.body.start(part, p.textLeft, p.sc.size-off)
}

// isMessage reports whether a part holds one message (RFC 2046 §5.2.1, RFC 6532 §3.7).
func isMessage(mediaType string) bool {
	return mediaType == "message/rfc822" || mediaType == "message/global"
}

func isEncoded(enc string) bool { return enc == encBase64 || enc == encQP }

// parent returns the container that the part being read belongs to.
func (p *parser) parent() *Part {
	if len(p.stack) == 0 {
		return nil
	}
	return p.stack[len(p.stack)-1].part
}

// needsRewriting reports a defect that is accepted as read because the copy, written anew, has
// it no more. Where nothing may be written anew it stays.
func needsRewriting(defect string) bool {
	switch defect {
	case defDuplicateIgnored, defDupParam, defBadParam, defBadType, defComment, defEncodingSpell, defWiderCharset,
		defUnlabelled8bit, def8bit, defFilename, defBoundaryBlanks, defNoBody, defDigest, defUntyped, defStrayBoundary, defQPBlanks,
		defPartSpaceColon, defWordSplit, defWordGlued, defMboxLine:
		return true
	}
	return false
}

// oddSigned holds what is signed or encrypted, and so copied as it is, with a defect that only
// writing anew would cure.
func (p *parser) oddSigned() {
	if !p.m.Signed() && !p.m.Encrypted() {
		return
	}
	for _, d := range p.defects.list {
		if needsRewriting(d.Name) {
			p.defects.add(defOddSigned, d.Path, d.Offset, d.Name)
		}
	}
}

// markDirty marks every part that has a defect in it which a copy would keep.
func (p *parser) markDirty() {
	bad := map[string]bool{}
	for _, d := range p.m.Defects {
		if d.Default == AcceptAsRead && !needsRewriting(d.Name) {
			continue
		}
		for path := d.Path; path != ""; {
			bad[path] = true
			i := strings.LastIndexByte(path, '.')
			path = path[:max(i, 0)]
		}
	}
	for part := range p.m.Parts() {
		part.dirty = bad[part.Path]
	}
}
