package mail

import (
	"net/mail"
	"path"
	"strings"
	"time"
	"unicode"
)

// describe reads the MIME fields of a part whose header is complete, and returns the boundary
// when it is a multipart that can be read as one.
func (p *parser) describe(part *Part) (boundary string) {
	off := part.Header.Start
	part.Encoding = p.encoding(part)
	part.MediaType, part.Params = "text/plain", map[string]string{}
	if up := p.parent(); up != nil && up.MediaType == "multipart/digest" {
		part.MediaType = "message/rfc822" // RFC 2046 §5.1.5
		if _, typed := part.Get("Content-Type"); !typed {
			p.defects.add(defDigest, part.Path, off, "") // not every reader knows
		}
	}
	ct := paramValue{}
	if v, ok := part.Get("Content-Type"); ok {
		ct = parseParams(v)
		p.mediaType(part, v, ct)
	}
	p.disposition(part, ct)
	if v, ok := part.Get("Content-ID"); ok {
		part.ContentID = strings.Trim(strings.TrimSpace(v), "<>")
	}
	switch part.MediaType {
	case "message/partial":
		p.breaks(defPartial, part.Path, off)
	case "message/external-body":
		p.breaks(defExternal, part.Path, off)
	case "multipart/x-mixed-replace":
		p.breaks(defReplace, part.Path, off)
	case "application/ms-tnef", "application/vnd.ms-tnef":
		p.defects.add(defTNEF, part.Path, off, "")
	default:
		if strings.EqualFold(part.Filename, "winmail.dat") {
			p.defects.add(defTNEF, part.Path, off, "")
		}
	}
	if !part.IsMultipart() {
		if ct.params["boundary"] != "" {
			p.defects.add(defStrayBoundary, part.Path, off, "") // some readers look for parts all the same
		}
		return ""
	}
	if boundary = p.boundaryOf(part, ct); boundary == "" {
		part.Declared, part.MediaType = part.MediaType, "application/octet-stream"
	}
	return boundary
}

// encoding reads Content-Transfer-Encoding (RFC 2045 §6). On a container only the identity
// encodings may stand; another is reported and not applied.
func (p *parser) encoding(part *Part) string {
	v, ok := part.Get("Content-Transfer-Encoding")
	if !ok {
		return enc7bit
	}
	written := strings.ToLower(v)
	v = strings.Trim(parseParams(v).main, `"';,. `)
	if v != written {
		// Some readers take the word out of what stands around it, some know no such encoding.
		p.defects.add(defEncodingSpell, part.Path, part.Header.Start, "")
	}
	switch v {
	case enc7bit, enc8bit, encBinary, encBase64, encQP:
		return v
	case "7-bit", "7bits", "":
		p.defects.add(defEncodingSpell, part.Path, part.Header.Start, "")
		return enc7bit
	case "8-bit", "8bits":
		p.defects.add(defEncodingSpell, part.Path, part.Header.Start, "")
		return enc8bit
	}
	p.defects.add(defBadEncoding, part.Path, part.Header.Start, "")
	return enc7bit
}

func (p *parser) mediaType(part *Part, value string, ct paramValue) {
	off := part.Header.Start
	typ, sub, ok := strings.Cut(ct.main, "/")
	multi := strings.HasPrefix(ct.main, "multipart") || strings.Contains(strings.ToLower(value), "multipart/")
	switch {
	case !ok || !isToken(typ) || !isToken(sub):
		if multi || strings.Contains(strings.ToLower(value), "boundary") {
			p.defects.add(defBadMultiType, part.Path, off, "")
		} else {
			p.defects.add(defBadType, part.Path, off, "")
		}
		if strings.TrimSpace(value) != "" && !strings.HasPrefix(ct.main, "text") {
			// Unreadable types are shown as text by some and offered as a file by others.
			part.MediaType = "application/octet-stream"
		}
	default:
		part.MediaType = ct.main
	}
	for name, value := range ct.params {
		if name == "name" || name == "boundary" {
			continue
		}
		ct.params[name] = strings.TrimSpace(value)
		if ct.extended[name] {
			p.defects.add(defBadParam, part.Path, off, safeName(name)) // few readers look for that there
		}
	}
	part.Params = ct.params
	if ct.comment {
		p.defects.add(defComment, part.Path, off, "Content-Type")
	}
	if ct.sloppy {
		p.defects.add(defBadParam, part.Path, off, "Content-Type")
		if multi && (part.MediaType != ct.main || ct.boundary) {
			p.defects.add(defBadMultiType, part.Path, off, "")
		}
	}
	for name := range ct.ambiguous {
		switch name {
		case "boundary", "name":
		case "charset":
			p.defects.add(defUnknownCharset, part.Path, off, "charset")
		default:
			p.defects.add(defDupParam, part.Path, off, safeName(name))
		}
	}
	if part.IsMultipart() && isEncoded(part.Encoding) {
		p.defects.add(defEncodingMulti, part.Path, off, "")
		part.Encoding = enc8bit
	}
}

func isToken(s string) bool {
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=`, r) {
			return false
		}
	}
	return s != ""
}

// boundaryOf returns the boundary, or "" when there is none that all readers agree on.
func (p *parser) boundaryOf(part *Part, ct paramValue) string {
	off := part.Header.Start
	b := strings.TrimRight(ct.params["boundary"], " \t")
	switch {
	case b == "":
		p.defects.add(defNoBoundary, part.Path, off, "")
		return ""
	case ct.ambiguous["boundary"] || ct.extended["boundary"]:
		p.defects.add(defBoundary, part.Path, off, "")
	case strings.ContainsFunc(b, func(r rune) bool { return r < ' ' || r >= 0x7f }):
		p.defects.add(defBoundary, part.Path, off, "")
		return ""
	case b[0] == '<' && b[len(b)-1] == '>':
		p.defects.add(defBadParam, part.Path, off, "boundary") // some readers take the brackets off
	case len(b) > 70: // RFC 2046 §5.1.1
		p.defects.add(defBoundaryLong, part.Path, off, "")
	}
	if len(b) > 900 {
		return ""
	}
	for _, f := range p.stack {
		// With "--" behind it the one could be the close of the other.
		if f.boundary == b || f.boundary+"--" == b || f.boundary == b+"--" {
			p.defects.add(defBoundary, part.Path, off, "")
		}
	}
	return b
}

// disposition reads Content-Disposition (RFC 2183) and the file name, wherever it stands.
func (p *parser) disposition(part *Part, ct paramValue) {
	off := part.Header.Start
	var cd paramValue
	if v, ok := part.Get("Content-Disposition"); ok {
		cd = parseParams(v)
		if cd.comment {
			p.defects.add(defComment, part.Path, off, "Content-Disposition")
		}
		if cd.sloppy || !isToken(cd.main) {
			p.defects.add(defBadParam, part.Path, off, "Content-Disposition")
		}
		switch cd.main {
		case "inline", "":
			part.Disposition = "inline"
		default: // RFC 2183 §2.8: unknown types are attachments
			part.Disposition = "attachment"
		}
	}
	name, d1 := paramText(cd, "filename")
	other, d2 := paramText(ct, "name")
	if part.IsMultipart() {
		other = "" // some put the subject there
	}
	for _, d := range append(append(append(d1, d2...), cd.defects...), ct.defects...) {
		switch d {
		case defHeaderUTF8, defHeader8bit, defWordLong:
		case defWordControl:
			p.defects.add(defFilename, part.Path, off, "")
		default:
			p.defects.add(d, part.Path, off, "filename")
		}
	}
	if name == "" {
		name = other
		if _, there := cd.params["filename"]; there && other != "" {
			p.defects.add(defBadParam, part.Path, off, "filename") // some readers take the empty name
		}
	}
	if cd.ambiguous["filename"] || ct.ambiguous["name"] || other != "" && extension(name) != extension(other) {
		p.defects.add(defFilenameConflict, part.Path, off, "")
	}
	if _, typed := part.Get("Content-Type"); !typed && (name != "" || part.Disposition == "attachment") {
		p.defects.add(defUntyped, part.Path, off, "") // text (RFC 2045 §5.2); some readers go by the name
	}
	part.Filename = cleanFilename(name)
	if strings.Contains(part.Filename, "=?") && strings.Contains(part.Filename, "?=") {
		p.defects.add(defWordNested, part.Path, off, "filename") // some readers decode once more
	}
	if part.Filename != name {
		p.defects.add(defFilename, part.Path, off, "")
	}
}

// paramText returns a parameter; in one that is not in RFC 2231 form, encoded words are
// decoded, because every mail app does.
func paramText(v paramValue, name string) (string, []string) {
	if v.extended[name] {
		return v.params[name], nil
	}
	return decodeWords(v.params[name])
}

func extension(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(strings.TrimRight(name, ". ")), "."))
}

// reservedNames are devices on some systems, with any extension.
const reservedNames = " con prn aux nul com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 "

// cleanFilename makes a file name safe to save under: no path, no controls, no characters
// that reorder or hide text, at most 200 bytes with its extension.
func cleanFilename(s string) string {
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		if isUnsafeRune(r) && r != unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if s == "." || s == ".." {
		return "file"
	}
	base, _, _ := strings.Cut(strings.ToLower(s), ".")
	if base != "" && !strings.Contains(base, " ") && strings.Contains(reservedNames, " "+base+" ") {
		s = "file-" + s
	}
	if len(s) <= 200 {
		return s
	}
	ext := path.Ext(s)
	if len(ext) > 20 {
		ext = ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(s[:200-len(ext)], "")) + ext
}

// identity reads the fields that say who writes to whom, and what (RFC 5322 §3.6).
func (p *parser) identity() {
	m, f := p.m, p.m.Root
	m.From = p.mailboxes("From")
	m.Sender = p.mailboxes("Sender")
	m.ReplyTo = p.mailboxes("Reply-To")
	m.To = p.mailboxes("To")
	m.Cc = p.mailboxes("Cc")
	m.Bcc = p.mailboxes("Bcc")
	if _, ok := f.Get("From"); !ok {
		p.defects.add(defNoFrom, "1", 0, "From")
	} else if len(m.From) > 1 {
		p.defects.add(defManyFrom, "1", p.offset("From"), "From")
	}
	if v, ok := f.Get("Subject"); ok {
		var d []string
		m.Subject, d = decodeWords(v)
		m.Subject = strings.TrimSpace(cleanHeaderText(m.Subject))
		for _, name := range d {
			if name != defHeaderUTF8 && name != defHeader8bit {
				p.defects.add(name, "1", p.offset("Subject"), "Subject")
			}
		}
	}
	if v, ok := f.Get("Date"); ok {
		v = stripComments(v[:min(len(v), 200)])
		// As nearly all are written; ParseDate makes an error for each form that it tries before.
		t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", v)
		if err != nil {
			t, err = mail.ParseDate(v)
		}
		if err != nil || t.Year() < 1980 || t.Year() > 2100 {
			p.defects.add(defBadDate, "1", p.offset("Date"), "Date")
			t = time.Time{}
		}
		m.Date = t
	}
	if v, ok := f.Get("Message-ID"); ok {
		ids := messageIDs(v)
		if len(ids) != 1 {
			p.defects.add(defBadMessageID, "1", p.offset("Message-ID"), "Message-ID")
		} else {
			m.MessageID = ids[0]
		}
	}
	for _, fl := range f.Fields {
		switch strings.ToLower(fl.Name) {
		case "in-reply-to":
			m.InReplyTo = append(m.InReplyTo, messageIDs(fl.Value)...)
		case "references":
			m.References = append(m.References, messageIDs(fl.Value)...)
		}
	}
	p.loop()
	p.signedLines()
}

// stripComments removes RFC 5322 comments.
func stripComments(s string) string {
	for {
		i := strings.IndexByte(s, '(')
		if i < 0 {
			return strings.TrimSpace(s)
		}
		n := skipComment(s[i:])
		if n == 0 {
			return strings.TrimSpace(s[:i])
		}
		s = s[:i] + " " + s[i+n:]
	}
}

// maxReceived is how many Received fields a message may have gathered (RFC 5321 §6.3).
const maxReceived = 100

func (p *parser) loop() {
	n := 0
	for _, f := range p.m.Root.Fields {
		if strings.EqualFold(f.Name, "Received") {
			n++
		}
	}
	if n > maxReceived {
		p.defects.add(defLoop, "1", 0, "Received")
	}
}

// signedLines raises what would force us to break a signature.
func (p *parser) signedLines() {
	if p.m.Root.wire&wireForbidden != 0 && (p.m.Signed() || p.m.Encrypted()) {
		p.defects.add(defLongSigned, "1", p.m.Root.Body.Start, "")
	}
}

func (p *parser) offset(name string) int64 {
	for i, f := range p.m.Root.Fields {
		if strings.EqualFold(f.Name, name) {
			return p.m.Root.raw[i].Start
		}
	}
	return 0
}

// mailboxes reads an address field. What is wrong with From leaves open who writes, so it is
// refused; Bcc never leaves.
func (p *parser) mailboxes(name string) []Mailbox {
	v, ok := p.m.Root.Get(name)
	if !ok {
		return nil
	}
	list, defects := parseMailboxes(v)
	from := name == "From" || name == "Sender"
	for _, d := range defects {
		switch {
		case from && d == defGroup:
			d = defGroupFrom
		case from && d == defBadAddress:
			d = defBadFrom
		case name == "Bcc" && d != defWordControl:
			continue
		}
		p.defects.add(d, "1", p.offset(name), name)
	}
	if from && len(list) == 0 {
		p.defects.add(defBadFrom, "1", p.offset(name), name)
	}
	return list
}

// messageIDs returns the ids in a field, without angle brackets. What is no id is passed over.
func messageIDs(s string) []string {
	var ids []string
	for len(ids) < 500 {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			return ids
		}
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			return ids
		}
		id := strings.Join(strings.Fields(s[i+1:i+j]), "")
		if len(id) > 2 && len(id) < 500 && strings.Contains(id, "@") && isPrintableASCII(id) && !strings.ContainsAny(id, "<>") {
			ids = append(ids, id)
		}
		s = s[i+j+1:]
	}
	return ids
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
