package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// builder makes the tree of the copy from the tree of the original and the edits of a draft.
type builder struct {
	m       *Message
	d       *Draft
	edits   map[*Part]string // new text of a leaf
	dropped map[*Part]bool   // alternatives that could not be edited
	add     []string         // paragraphs of a text part of their own
	cids    map[string]string
	names   map[*Part]string // new file names
}

func (b *builder) root() (*node, error) {
	if b.d.Whole {
		return b.whole()
	}
	b.renameIDs()
	b.neutralNames()
	if err := b.edit(); err != nil {
		return nil, err
	}
	n, err := b.build(b.m.Root)
	if err != nil || len(b.add) == 0 {
		return n, err
	}
	text := textNode(b.add)
	if b.m.Root.MediaType == "multipart/mixed" && n.children != nil {
		n.children = append([]*node{text}, n.children...)
		return n, nil
	}
	return multipartNode("multipart/mixed", nil, []*node{text, n}), nil
}

// whole copies the body and its own fields as they are.
func (b *builder) whole() (*node, error) {
	root := b.m.Root
	if root.wire&wireForbidden != 0 {
		return nil, refuse("The email is signed or encrypted and holds lines that cannot be sent as they are.")
	}
	n := &node{copy: &root.Body}
	seen := map[string]bool{}
	for i, f := range root.Fields {
		name := strings.ToLower(f.Name)
		switch name {
		case "content-type", "content-transfer-encoding", "content-disposition", "content-id":
		default:
			continue
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if !b.cleanField(root.raw[i]) {
			return nil, refuse("The email is signed or encrypted and its header cannot be sent as it is.")
		}
		n.verbatim = append(n.verbatim, root.raw[i])
	}
	return n, nil
}

// cleanField reports whether a field of the original may be copied: ASCII, CRLF, short lines.
func (b *builder) cleanField(r Range) bool {
	raw := make([]byte, r.Len())
	if _, err := b.m.src.ReadAt(raw, r.Start); err != nil && int64(len(raw)) != r.Len() {
		return false
	}
	rest, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok {
		return false
	}
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		if len(line) > maxLine {
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c >= 0x7f {
				return false
			}
		}
	}
	name, _, spaced, ok := fieldName(rest)
	return ok && !spaced && isContentField(name)
}

// bodies are the leaves that hold the text of the message. When what is signed or encrypted
// stands first, nothing may be edited: text of ours then goes before it.
type bodies struct {
	text, html []*Part
	sealed     bool
}

func (b *bodies) none() bool { return len(b.text)+len(b.html) == 0 && !b.sealed }

// find looks for the first text that is not an attachment, and all its other forms beside it:
// which alternative is shown, only the reader's mail app knows. It never looks into embedded
// messages, nor into what is signed or encrypted.
func find(p *Part) bodies {
	switch {
	case isSealed(p):
		return bodies{sealed: true}
	case p.isMessage() || p.Disposition == "attachment" && !p.alternative:
		return bodies{}
	case isTextBody(p) && p.MediaType == "text/html":
		return bodies{html: []*Part{p}}
	case isTextBody(p):
		return bodies{text: []*Part{p}}
	}
	var all bodies
	for _, c := range p.Parts {
		got := find(c)
		if got.sealed {
			return got
		}
		if p.MediaType != "multipart/alternative" {
			if !got.none() {
				return got
			}
			continue
		}
		all.text = append(all.text, got.text...)
		all.html = append(all.html, got.html...)
	}
	return all
}

// edit works out the new text of every leaf that changes.
func (b *builder) edit() error {
	b.edits, b.dropped = map[*Part]string{}, map[*Part]bool{}
	rep := newReplacer(b.d.Replace)
	var err error
	b.m.textBodies(func(p *Part) {
		if err == nil {
			err = b.change(p, rep)
		}
	})
	if err != nil {
		return err
	}
	first, signature := paragraphs(b.d.First), paragraphs(b.d.Signature)
	if len(first)+len(signature) == 0 {
		return b.checkWhole()
	}
	b.insert(first, signature)
	for p, s := range b.edits {
		if s == p.Text {
			delete(b.edits, p)
		}
	}
	return b.checkWhole()
}

// insert puts paragraphs into every form of the text. HTML that cannot be edited is left out
// where another form can; where a text cannot, or there is none, they go into a part of their own.
func (b *builder) insert(first, signature []string) {
	body := find(b.m.Root)
	out := map[*Part]string{}
	own := len(body.html)+len(body.text) == 0
	body.html = slices.DeleteFunc(body.html, func(p *Part) bool { return b.dropped[p] })
	for _, p := range body.html {
		if s, err := editHTML(b.text(p), first, signature, p.charset); err == nil && b.m.survives(p) {
			out[p] = s
		}
	}
	for _, p := range body.text {
		flowed := strings.EqualFold(p.Params["format"], "flowed")
		out[p] = editPlain(b.text(p), first, signature, flowed)
		own = own || !b.m.survives(p)
	}
	if own || len(out) == 0 {
		b.add = append(first, signature...)
		return
	}
	maps.Copy(b.edits, out)
	for _, p := range body.html {
		if _, ok := out[p]; !ok {
			b.dropped[p] = true
		}
	}
}

// survives reports whether a text that is written anew loses nothing. Bytes that are wrong in
// their charset read as U+FFFD, and some mail apps guess better.
func (m *Message) survives(p *Part) bool {
	if !strings.ContainsRune(p.Text, utf8.RuneError) {
		return true
	}
	if p.cut {
		return false
	}
	was, err := io.ReadAll(m.Decode(p))
	is, _ := encodeEdited(p, p.Text)
	return err == nil && bytes.Equal(was, is)
}

// text returns a leaf's text with what was changed so far.
func (b *builder) text(p *Part) string {
	if s, ok := b.edits[p]; ok {
		return s
	}
	return p.Text
}

// change makes the edits of what stands in a leaf already, in their fixed order. A leaf that
// must change and cannot is left out where another form of the text can take its place.
func (b *builder) change(p *Part, rep *replacer) error {
	s, isHTML := p.Text, p.MediaType == "text/html"
	var err error
	must := false
	if b.d.NoRemote && isHTML && fetches(s) {
		s, err = withoutRemote(s)
		must = true
	}
	if b.d.NoQuotes && err == nil {
		was := s
		s, err = withoutQuotes(s, p)
		must = must || s != was
	}
	if err != nil || must && (p.cut || !b.m.survives(p)) {
		if b.m.hasPlainForm(p) {
			b.dropped[p] = true
			return nil
		}
		return refuse("The text of the email cannot be changed safely. Send it as plain text.")
	}
	if b.d.NoKisses {
		s = withoutKisses(s, isHTML, isFlowed(p))
	}
	if isHTML {
		s = renameCIDs(rep.html(s), b.cids)
	} else {
		s = rep.plain(s)
	}
	if s != p.Text && b.m.survives(p) {
		b.edits[p] = s // else what had to go is still there, and the leak check says so
	}
	return nil
}

// inSealed reports whether a container around the part is signed or encrypted.
func (m *Message) inSealed(p *Part) bool {
	at := m.Root
	for at != p {
		if isSealed(at) {
			return true
		}
		var next *Part
		for _, c := range at.Parts {
			if c == p || strings.HasPrefix(p.Path, c.Path+".") {
				next = c
			}
		}
		if next == nil {
			return false
		}
		at = next
	}
	return false
}

// checkWhole refuses to edit a text that is longer than what we keep.
func (b *builder) checkWhole() error {
	for p := range b.edits {
		if p.cut {
			return refuse("The text is too long to be changed. Send the long text as an attached file.")
		}
	}
	return nil
}

// renameIDs gives a new id to every part whose Content-ID holds a string to hide.
func (b *builder) renameIDs() {
	b.cids = map[string]string{}
	anyOwn(b.m.Root, func(p *Part) bool {
		id := strings.ToLower(p.ContentID)
		for _, h := range b.d.Hide {
			if h != "" && strings.Contains(id, strings.ToLower(h)) {
				sum := sha256.Sum256([]byte(string(b.d.ID) + "|" + p.Path + "|" + p.ContentID))
				b.cids[p.ContentID] = hex.EncodeToString(sum[:12]) + "@part.invalid"
			}
		}
		return false
	})
}

func (b *builder) build(p *Part) (*node, error) {
	switch {
	case isSealed(p) && (p.IsMultipart() || !isTextBody(p)):
		return b.sealed(p)
	case p.IsMultipart():
		var kids []*node
		for _, c := range p.Parts {
			if b.drops(c) {
				continue
			}
			n, err := b.build(c)
			if err != nil {
				return nil, err
			}
			kids = append(kids, n)
		}
		n := multipartNode(p.MediaType, b.params(p), kids)
		n.fields = append(n.fields, b.placement(p)...)
		return n, nil
	case p.isMessage():
		return b.message(p)
	}
	return b.leaf(p), nil
}

// leftOut returns the paths of the alternatives that are not written.
func (b *builder) leftOut() []string {
	var out []string
	for p := range b.dropped {
		out = append(out, p.Path)
	}
	slices.Sort(out)
	return out
}

// drops reports whether a part is an alternative that is left out: the HTML that could not be
// edited, with the pictures that belong to it.
func (b *builder) drops(p *Part) bool {
	if b.dropped[p] {
		return true
	}
	if p.MediaType != "multipart/related" {
		return false
	}
	for _, c := range p.Parts {
		if b.dropped[c] {
			return true
		}
	}
	return false
}

// sealed copies a signed or encrypted part with its own fields.
func (b *builder) sealed(p *Part) (*node, error) {
	if p.wire&wireForbidden != 0 || p.fresh {
		return nil, refuse("A part is signed or encrypted and holds lines that cannot be sent as they are.")
	}
	n := &node{copy: &p.Body, eight: p.wire&wire8bit != 0}
	for i, f := range p.Fields {
		if strings.EqualFold(f.Name, "Content-Type") {
			if !b.cleanField(p.raw[i]) {
				return nil, refuse("A part is signed or encrypted and its header cannot be sent as it is.")
			}
			n.verbatim = append(n.verbatim, p.raw[i])
			break
		}
	}
	enc := p.Encoding
	if enc == encBinary || n.eight && enc == enc7bit {
		enc = enc8bit
	}
	n.fields = append([]Field{{"Content-Transfer-Encoding", enc}}, b.placement(p)...)
	return n, nil
}

// message copies an embedded message as it is; one with defects is written anew, part by part.
func (b *builder) message(p *Part) (*node, error) {
	n := &node{eight: p.wire&wire8bit != 0}
	if p.wire&wireForbidden == 0 && !p.dirty {
		n.copy = &p.Body
	} else {
		inner, err := b.build(p.Parts[0])
		if err != nil {
			return nil, err
		}
		inner.fields = append(embeddedFields(p.Parts[0]), inner.fields...)
		n.inner, n.eight = inner, inner.eight
	}
	n.fields = []Field{{"Content-Type", formatParams(p.MediaType, b.params(p))}}
	if n.eight {
		n.fields = append(n.fields, Field{"Content-Transfer-Encoding", enc8bit})
	}
	n.fields = append(n.fields, b.placement(p)...)
	return n, nil
}

// embeddedFields returns the fields of an embedded message that is written anew: each name
// that may stand once, once, without what only the wire needs.
func embeddedFields(p *Part) []Field {
	var out []Field
	seen := map[string]bool{}
	for _, f := range p.Fields {
		name := strings.ToLower(f.Name)
		if isContentField(name) || name == "mime-version" || isReadField(name) && seen[name] || !isToken(f.Name) {
			continue
		}
		seen[name] = true
		v := f.Value
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) {
			v, _ = plainHeader(v)
			v = encodeUnstructured(v)
		}
		if v = collapse(v); longestRun(v) < 900 {
			out = append(out, Field{f.Name, v})
		}
	}
	return append(out, Field{"MIME-Version", "1.0"})
}

func longestRun(s string) int {
	n := 0
	for w := range strings.FieldsSeq(s) {
		n = max(n, len(w))
	}
	return n
}

func multipartNode(mediaType string, params []Field, kids []*node) *node {
	n := &node{children: kids, fields: []Field{{"Content-Type", formatParams(mediaType, params)}}}
	if kids == nil {
		n.children = []*node{textNode(nil)}
	}
	for _, c := range kids {
		n.eight = n.eight || c.eight
	}
	if n.eight {
		// RFC 2045 §6.4: a container says so when a part in it is 8-bit.
		n.fields = append(n.fields, Field{"Content-Transfer-Encoding", enc8bit})
	}
	return n
}

// textNode is a text part of ours.
func textNode(list []string) *node {
	body := []byte(strings.Join(list, "\r\n\r\n"))
	if len(body) > 0 {
		body = append(body, "\r\n"...)
	}
	n := &node{body: body, encoding: textEncoding(body, enc7bit)}
	n.fields = []Field{
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", n.encoding},
	}
	return n
}

// textEncoding returns the encoding for a text that was changed: what it had, or 7bit when
// that can carry it, else quoted-printable.
func textEncoding(b []byte, had string) string {
	if isEncoded(had) {
		return had
	}
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte("\r\n"))
		if len(line) > maxLine || bytes.HasPrefix(line, []byte("--"+boundaryStem)) {
			return encQP
		}
		for _, c := range line {
			if c == 0 || c == '\r' || c == '\n' || c >= 0x80 {
				return encQP
			}
		}
		if b = rest; !found {
			break
		}
	}
	return enc7bit
}

// leaf copies a body, or encodes it anew where it was changed or may not travel as it is.
func (b *builder) leaf(p *Part) *node {
	n := &node{encoding: p.Encoding}
	label := b.label(p)
	switch text, edited := b.edits[p]; {
	case edited:
		n.body, label = encodeEdited(p, text)
		n.encoding = textEncoding(n.body, p.Encoding)
	case p.fresh || p.wire&wireForbidden != 0:
		n.part, n.encoding = p, encBase64
		if strings.HasPrefix(p.MediaType, "text/") {
			n.encoding = encQP
		}
		if keepsText(p.MediaType) && !strings.HasPrefix(p.MediaType, "text/") {
			n.encoding = encQP
		}
	default:
		n.copy = &p.Body
		if !isEncoded(p.Encoding) {
			n.encoding = enc7bit
			if p.wire&wire8bit != 0 {
				n.encoding, n.eight = enc8bit, true
			}
		}
		if own := unknownEncoding(p); own != "" {
			n.encoding = own // whoever can read the bytes needs their name
		}
	}
	params := b.params(p)
	if label != "" && strings.HasPrefix(p.MediaType, "text/") {
		params = append([]Field{{"charset", label}}, params...)
	}
	n.fields = []Field{
		{"Content-Type", formatParams(p.MediaType, params)},
		{"Content-Transfer-Encoding", n.encoding},
	}
	n.fields = append(n.fields, b.placement(p)...)
	return n
}

// unknownEncoding returns the name of a Content-Transfer-Encoding that we cannot undo, such as
// x-uuencode; the part is a defect, and held.
func unknownEncoding(p *Part) string {
	v, _ := p.Get("Content-Transfer-Encoding")
	name := parseParams(v).main
	if !strings.HasPrefix(name, "x-") || !isToken(name) || len(name) > 40 {
		return "" // RFC 2045 §6.3: private ones begin with x-
	}
	return name
}

// label returns the charset to write for a text that is not changed: its own, unless that
// does not say how it has to be read.
func (b *builder) label(p *Part) string {
	own := strings.ToLower(strings.TrimSpace(p.Params["charset"]))
	switch {
	case own == "" || isASCIILabel(own) || !isToken(own) || len(own) > 40:
		if isASCII(p.Text) {
			if isToken(own) {
				return own
			}
			return ""
		}
		return p.charset.label
	case p.wider:
		return p.charset.label
	}
	return own
}

// encodeEdited returns a changed text in the part's charset when every byte that was not
// changed stays as it was, else in UTF-8.
func encodeEdited(p *Part, text string) ([]byte, string) {
	cs := p.charset
	if cs.enc != nil {
		// The text decodes from what it encodes to: then the rest of it did not change.
		if body, ok := cs.encode(text); ok && cs.decode(body) == text && !strings.ContainsRune(text, '\uFFFD') {
			return body, cs.label
		}
	}
	return []byte(text), utf8Label
}

// keptParams are the parameters of Content-Type that a reader needs; charset and name are
// written apart.
const keptParams = " format delsp method component type start start-info report-type protocol micalg smime-type reply-type "

func (b *builder) params(p *Part) []Field {
	var out []Field
	for _, k := range strings.Fields(keptParams) {
		v, ok := p.Params[k]
		if !ok || len(v) > 200 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			continue
		}
		if id, renamed := b.cids[strings.Trim(v, "<>")]; renamed && k == "start" {
			v = "<" + id + ">"
		}
		out = append(out, Field{k, v})
	}
	if name := b.filename(p); name != "" && p.Disposition == "" {
		out = append(out, Field{"name", name})
	}
	return out
}

// placement returns the fields that say where a part belongs: Content-ID and
// Content-Disposition.
func (b *builder) placement(p *Part) []Field {
	var out []Field
	id := p.ContentID
	if to, ok := b.cids[id]; ok {
		id = to
	}
	if id != "" && len(id) < 500 && isPrintableASCII(id) && !strings.ContainsAny(id, "<>") {
		out = append(out, Field{"Content-ID", "<" + id + ">"})
	}
	if p.Disposition != "" {
		var params []Field
		if name := b.filename(p); name != "" {
			params = []Field{{"filename", name}}
		}
		out = append(out, Field{"Content-Disposition", formatParams(p.Disposition, params)})
	}
	return out
}
