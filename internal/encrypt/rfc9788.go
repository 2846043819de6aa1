package encrypt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"

	xhtml "golang.org/x/net/html"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/plaincover/plaincover/internal/mail"
)

// Protect returns the cryptographic payload of a message (RFC 9788 §5.2.1), to be encrypted: the
// content of m, with inner as its header fields and a copy of outer as HP-Outer fields. m is the
// finished copy for this recipient; its own header fields count for nothing but Content-*.
//
// Values are as on the wire: ASCII, encoded words where needed. Our policy is hcp_baseline with
// another Subject: outside stands the neutral one, because "[...]" says that there is something to
// hide. Whoever's mail app does not know header protection sees the real subject as the first
// line of the text. The result is read from m as it is needed; its size costs no memory.
func Protect(m *mail.Message, inner, outer []mail.Field) (io.Reader, error) {
	for _, f := range slices.Concat(inner, outer) {
		if err := checkField(f); err != nil {
			return nil, err
		}
	}
	if err := notProtectedYet(m.Root); err != nil {
		return nil, err
	}
	p := &payload{m: m, display: hidden(inner, outer)}
	var head strings.Builder
	for _, f := range inner {
		head.WriteString(folded(f.Name+":", f.Value))
	}
	for _, f := range outer {
		head.WriteString(folded("HP-Outer: "+f.Name+":", f.Value))
	}
	p.text("MIME-Version: 1.0\r\n" + head.String())
	if err := p.part(m.Root, true); err != nil {
		return nil, err
	}
	return io.MultiReader(p.out...), nil
}

// checkField refuses what could begin another field, and what RFC 9788 §2.2.1 does not allow.
func checkField(f mail.Field) error {
	ok := f.Name != ""
	for _, c := range []byte(f.Name) {
		ok = ok && c > ' ' && c < 0x7f && c != ':'
	}
	lower := strings.ToLower(f.Name)
	ok = ok && !strings.HasPrefix(lower, "content-") && lower != "mime-version" && lower != "hp-outer" && lower != "bcc"
	for _, c := range []byte(f.Value) {
		ok = ok && (c >= ' ' && c < 0x7f || c == '\t')
	}
	if !ok {
		return errors.New("encrypt: a header field cannot be protected: " + fmt.Sprintf("%q", f.Name))
	}
	return nil
}

// notProtectedYet refuses a message in which a part says already that it begins with a legacy
// display element: readers would cut into its text.
func notProtectedYet(p *mail.Part) error {
	for _, name := range []string{"hp", "hp-legacy-display", "protected-headers"} {
		if _, has := p.Params[name]; has {
			return errors.New("encrypt: the message has protected header fields already")
		}
	}
	if !p.IsMultipart() {
		return nil // an embedded message is nobody's payload
	}
	for _, c := range p.Parts {
		if err := notProtectedYet(c); err != nil {
			return err
		}
	}
	return nil
}

// folded writes a field in lines of at most 78 characters where blanks allow it (RFC 5322 §2.1.1).
func folded(name, value string) string {
	var b strings.Builder
	b.WriteString(name)
	width := len(name)
	for i, word := range strings.Split(strings.TrimSpace(value), " ") {
		if i > 0 && word != "" && width+1+len(word) > 78 {
			b.WriteString("\r\n")
			width = 0
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	b.WriteString("\r\n")
	return b.String()
}

// hidden are the fields that a reader would miss outside: user-facing ones (RFC 9787 §1.1.2)
// whose value outside is another one or none, decoded, each on one line.
func hidden(inner, outer []mail.Field) []string {
	facing := []string{"subject", "from", "to", "cc", "date", "reply-to", "followup-to", "sender", "comments", "keywords"}
	var lines []string
	for _, f := range inner {
		if !slices.Contains(facing, strings.ToLower(f.Name)) {
			continue
		}
		same := slices.ContainsFunc(outer, func(o mail.Field) bool {
			return strings.EqualFold(o.Name, f.Name) && o.Value == f.Value
		})
		if !same {
			lines = append(lines, f.Name+": "+oneLine(f.Value))
		}
	}
	return lines
}

// oneLine decodes encoded words and takes every line end out (RFC 9788 §10.3: an empty line
// inside would end the element early).
func oneLine(value string) string {
	d := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(charset)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(r), nil
	}}
	if decoded, err := d.DecodeHeader(value); err == nil {
		value = decoded
	}
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == ' ' }), " ")
}

// payload collects what the result is read from.
type payload struct {
	m       *mail.Message
	display []string
	out     []io.Reader
}

func (p *payload) text(s string)         { p.out = append(p.out, strings.NewReader(s)) }
func (p *payload) bytes(b []byte)        { p.out = append(p.out, bytes.NewReader(b)) }
func (p *payload) copy(start, end int64) { p.out = append(p.out, p.section(start, end)) }
func (p *payload) section(start, end int64) io.Reader {
	return io.NewSectionReader(p.m.Source(), start, end-start)
}

// part writes a part: its structural fields, and its body, in which the main texts get the
// display element. main is true on the way to them.
func (p *payload) part(part *mail.Part, main bool) error {
	root := part == p.m.Root
	var d *shown
	if main && isMainText(part) && len(p.display) > 0 {
		d = p.shown(part)
	}
	if err := p.head(part, root, d); err != nil {
		return err
	}
	if d != nil {
		p.bytes(d.body)
		p.copy(part.Body.Start+d.replaces, part.Body.End)
		return nil
	}
	at := part.Body.Start
	if main && part.IsMultipart() && part.MediaType != "multipart/signed" && part.MediaType != "multipart/encrypted" {
		for i, c := range part.Parts {
			if i > 0 && part.MediaType != "multipart/alternative" {
				break // RFC 9787 §7.1: only the first part of other containers is the message's text
			}
			p.copy(at, c.Header.Start)
			if err := p.part(c, true); err != nil {
				return err
			}
			at = c.Body.End
		}
	}
	p.copy(at, part.Body.End)
	return nil
}

// isMainText reports a text that is shown as the message (RFC 9787 §7.1).
func isMainText(p *mail.Part) bool {
	return (p.MediaType == "text/plain" || p.MediaType == "text/html") && len(p.Parts) == 0 && p.Disposition != "attachment"
}

// head writes a part's header section. At the root only the structural fields stay. The
// Content-Type is written anew where it gets a parameter, else everything is copied.
func (p *payload) head(part *mail.Part, root bool, d *shown) error {
	if !root && d == nil {
		p.copy(part.Header.Start, part.Header.End)
		return nil
	}
	raw, err := io.ReadAll(p.section(part.Header.Start, part.Header.End))
	if err != nil {
		return fmt.Errorf("encrypt: read a header: %w", err)
	}
	for _, f := range rawFields(raw) {
		name, _, _ := strings.Cut(f, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case root && !strings.HasPrefix(name, "content-"), name == "content-type":
		case name == "content-transfer-encoding" && d != nil && d.encoding != "":
		default:
			p.text(strings.TrimRight(f, "\r\n") + "\r\n")
		}
	}
	params := maps.Clone(part.Params)
	if params == nil {
		params = map[string]string{}
	}
	if d != nil {
		params["hp-legacy-display"] = "1"
		if d.charset != "" {
			params["charset"] = d.charset
		}
	}
	if root {
		params["hp"] = "cipher"
		// What Thunderbird and K-9 know as yet; readers of RFC 9788 pass over it.
		params["protected-headers"] = "v1"
	}
	mediaType := part.MediaType
	if part.Declared != "" {
		mediaType = part.Declared
	}
	value := mime.FormatMediaType(mediaType, params)
	if value == "" {
		return errors.New("encrypt: a Content-Type cannot be written anew")
	}
	p.text(folded("Content-Type:", value))
	if d != nil && d.encoding != "" {
		p.text("Content-Transfer-Encoding: " + d.encoding + "\r\n")
	}
	p.text("\r\n")
	return nil
}

// rawFields cuts a header section into its fields, each with its line ends.
func rawFields(head []byte) []string {
	var fields []string
	for line := range bytes.Lines(head) {
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			fields[len(fields)-1] += string(line)
		default:
			fields = append(fields, string(line))
		}
	}
	return fields
}

// shown is the beginning of a body with the display element in it.
type shown struct {
	body     []byte
	replaces int64  // that many bytes of the body as received
	charset  string // new charset; empty: as it was
	encoding string // new Content-Transfer-Encoding; empty: as it was
}

// window is how far into an HTML text we look for its <body>.
const window = 64 << 10

// shown puts the display element into a text (RFC 9788 §5.2.2, §5.2.3). It returns nil where that
// cannot be done without touching the rest of the text: the element is a help for old readers,
// the text is not to be risked for it.
func (p *payload) shown(part *mail.Part) *shown {
	d := &shown{}
	element, ok := p.element(part, d)
	if !ok {
		return nil
	}
	raw := make([]byte, min(window, part.Body.Len()))
	if _, err := io.ReadFull(p.section(part.Body.Start, part.Body.End), raw); err != nil {
		return nil
	}
	switch part.Encoding {
	case "base64":
		return d.intoBase64(raw, element, part)
	case "quoted-printable":
		element = quoted(element)
	case "7bit", "8bit", "binary":
		if part.Encoding == "7bit" && !onlyASCII(element) {
			d.encoding = "8bit"
		}
	default:
		return nil
	}
	at, ok := displayAt(raw, part.MediaType)
	if !ok {
		return nil
	}
	d.replaces = int64(at)
	d.body = slices.Concat(raw[:at], element)
	return d
}

// element is the display element in the part's charset.
func (p *payload) element(part *mail.Part, d *shown) ([]byte, bool) {
	charset := strings.ToLower(part.Params["charset"])
	if e, err := htmlindex.Get(charset); charset != "" && err != nil {
		return nil, false
	} else if charset != "" {
		// In UTF-16, UTF-7 and the like ASCII is not ASCII.
		if b, err := e.NewEncoder().Bytes([]byte("<div>Subject: a=b~")); err != nil || string(b) != "<div>Subject: a=b~" {
			return nil, false
		}
	}
	if part.MediaType == "text/html" {
		var b strings.Builder
		b.WriteString(`<div class="header-protection-legacy-display"><pre>`)
		for _, line := range p.display {
			for _, r := range html.EscapeString(line) {
				if r < 0x80 {
					b.WriteRune(r)
				} else {
					fmt.Fprintf(&b, "&#%d;", r)
				}
			}
			b.WriteString("\r\n")
		}
		b.WriteString("</pre></div>\r\n")
		return []byte(b.String()), true
	}
	element := []byte(strings.Join(p.display, "\r\n") + "\r\n\r\n")
	switch {
	case onlyASCII(element), charset == "utf-8":
		return element, true
	case charset == "" || charset == "us-ascii":
		if !onlyASCII([]byte(part.Text)) {
			return nil, false // mislabelled: nobody knows what a new label would make of it
		}
		d.charset = "utf-8"
		return element, true
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil, false
	}
	encoded, err := e.NewEncoder().Bytes(element)
	return encoded, err == nil
}

func onlyASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

// quoted is the element as quoted-printable; it ends with a line end as before.
func quoted(element []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	w.Write(element)
	w.Close()
	return b.Bytes()
}

// displayAt says where the element goes: before a text, behind the <body> of HTML. HTML without
// a <body> has its text from the start, unless it has a head or a doctype that must come first.
func displayAt(raw []byte, mediaType string) (int, bool) {
	if mediaType != "text/html" {
		return 0, true
	}
	at, plain := 0, true
	for z := xhtml.NewTokenizer(bytes.NewReader(raw)); ; {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			return 0, plain
		}
		at += len(z.Raw())
		name, _ := z.TagName()
		switch {
		case kind == xhtml.StartTagToken && string(name) == "body":
			return at, at <= len(raw)
		case kind == xhtml.DoctypeToken, kind == xhtml.StartTagToken && (string(name) == "html" || string(name) == "head"):
			plain = false
		}
	}
}

// intoBase64 writes the start of the body anew: whole groups of four letters up to the place, the
// element, filled up with blanks so that what follows needs no change.
func (d *shown) intoBase64(raw, element []byte, part *mail.Part) *shown {
	// Only clean lines: what base64 programs read differently is not touched.
	used, plain := 0, []byte(nil)
	for line := range bytes.Lines(raw) {
		text := bytes.TrimRight(line, "\r\n")
		decoded, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
		if err != nil || len(decoded)%3 != 0 || len(text) == len(line) {
			break
		}
		used += len(line)
		plain = append(plain, decoded...)
	}
	whole := int64(used) == part.Body.Len()
	if part.MediaType == "text/html" && len(plain) == 0 && !whole {
		return nil
	}
	at, ok := displayAt(plain, part.MediaType)
	if !ok || part.MediaType == "text/html" && at == 0 && len(plain) < len(raw)/2 && !whole {
		return nil
	}
	// The blanks stand at the end of the element's first line, where nobody sees them.
	end := bytes.Index(element, []byte("\r\n"))
	pad := (3 - len(element)%3) % 3
	element = slices.Concat(element[:end], bytes.Repeat([]byte{' '}, pad), element[end:])
	encoded := base64.StdEncoding.EncodeToString(slices.Concat(plain[:at], element, plain[at:]))
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		d.body = append(append(d.body, encoded[:n]...), '\r', '\n')
		encoded = encoded[n:]
	}
	d.replaces = int64(used)
	return d
}
