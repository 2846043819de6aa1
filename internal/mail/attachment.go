package mail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The bounds of what is opened in one message, all its attachments together.
const (
	maxExpanded = 100 << 20 // bytes that come out of compressed streams
	maxMembers  = 10_000    // files in archives
	maxRatio    = 100       // how much larger than its compressed form a stream may be,
	freeRatio   = 4 << 20   // once it is larger than this
	maxWhole    = 32 << 20  // a file that has to be in memory as a whole
	maxLoose    = 256 << 10 // what looks like text and does not say so
	maxArchives = 2         // archives within archives
	maxLevels   = 4         // files within files
)

// content is what the bytes of a file are.
type content uint8

const (
	opaque      content = iota // a picture, a sound, a program, ciphertext: searched as it stands
	plainText                  // a text by name or type
	looseText                  // reads like text and says nothing about it
	webText                    // HTML under another type
	xmlFile                    // XML, SVG
	linesText                  // iCalendar, vCard: folded lines
	rtfText                    // Rich Text Format
	mailText                   // a message as a file
	zipFile                    // ZIP, OOXML, ODF
	gzipFile                   // gzip
	tarFile                    // tar
	pdfFile                    // PDF
	oleFile                    // the Office formats before 2007, and encrypted newer ones
	armourFile                 // an OpenPGP key or signature in ASCII armour
	closedFile                 // an archive of a kind that is not opened
	brokenClaim                // by name or type a file that is read, by content none
)

// Inside returns the text inside an attached file: of documents, archives, calendars, contact
// cards, whatever the media type says. A file can give several texts.
func (p *Part) Inside() []string { return slices.Clone(p.inside) }

// contentOf tells what a file is by its first bytes, and by what it says it is only where
// these leave it open.
func contentOf(head []byte, mediaType, name string) content {
	ext := extension(name)
	claim := claimOf(mediaType, ext)
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	lower := bytes.ToLower(trimmed[:min(len(trimmed), 64)])
	has := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	begins := func(s string) bool { return bytes.HasPrefix(lower, []byte(s)) }
	switch {
	case len(head) == 0:
		return opaque
	case has("PK\x03\x04") || has("PK\x05\x06") || has("PK\x07\x08"):
		return zipFile
	case bytes.Contains(head, []byte("%PDF-")):
		return pdfFile
	case has("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return oleFile
	case has("\x1f\x8b"):
		return gzipFile
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return tarFile
	case has("Rar!\x1a\x07") || has("7z\xbc\xaf\x27\x1c") || has("\xfd7zXZ\x00") || has("BZh") && len(head) > 3 && digit(head[3]) ||
		has("\x28\xb5\x2f\xfd") || has("MSCF\x00"):
		return closedFile
	case begins("{\\rtf"):
		return rtfText
	case begins("begin:vcalendar") || begins("begin:vcard"):
		return linesText
	case begins("<?xml") || begins("<svg"):
		return xmlFile
	case isHTMLStart(head):
		return webText
	case begins("-----begin pgp public key") || begins("-----begin pgp private key") || begins("-----begin pgp signature"):
		return armourFile
	case isKnownOpaque(head) || begins("-----begin pgp"):
		return opaque
	}
	text := looksLikeText(head)
	switch claim {
	case zipFile, pdfFile, oleFile, rtfText, gzipFile, tarFile:
		if text {
			return looseText // whatever it is, it can be read
		}
		if claim == oleFile || claim == tarFile {
			return opaque // these have older forms without a mark
		}
		return brokenClaim
	case closedFile, opaque:
		if text && claim == opaque && !isPicture(mediaType) {
			return looseText
		}
		return opaque
	}
	if !text && claim == mailText {
		return opaque
	}
	return claim // a text with control characters in it, or in UTF-16 without a mark, is one all the same
}

// claimOf is what a file says it is.
func claimOf(mediaType, ext string) content {
	sub := mediaType[strings.IndexByte(mediaType, '/')+1:]
	switch {
	case ext == "pdf" || sub == "pdf" || sub == "x-pdf":
		return pdfFile
	case strings.Contains(sub, "openxmlformats") || strings.Contains(sub, "oasis.opendocument"):
		return zipFile
	}
	for _, s := range [2]string{ext, strings.TrimPrefix(sub, "x-")} {
		switch s {
		case "zip", "docx", "docm", "dotx", "xlsx", "xlsm", "xltx", "pptx", "pptm", "ppsx", "odt", "ods", "odp", "odg", "ott", "epub",
			"zip-compressed":
			return zipFile
		case "doc", "dot", "xls", "ppt", "pps", "msg", "msword", "vnd.ms-excel", "vnd.ms-powerpoint", "vnd.ms-outlook":
			return oleFile
		case "rtf", "richtext-format":
			return rtfText
		case "gz", "tgz", "gzip":
			return gzipFile
		case "tar":
			return tarFile
		case "ics", "ical", "ifb", "vcf", "vcard", "vcs", "calendar", "directory":
			return linesText
		case "htm", "html", "xhtml", "xhtml+xml":
			return webText
		case "xml", "svg", "svg+xml", "fodt", "fods":
			return xmlFile
		case "eml", "rfc822", "mht", "mhtml":
			return mailText
		case "txt", "text", "csv", "tsv", "md", "log", "json", "yaml", "yml", "ini", "tex", "asc", "tab-separated-values":
			return plainText
		case "rar", "7z", "7z-compressed", "rar-compressed", "vnd.rar", "bz2", "xz", "zst", "cab":
			return closedFile
		}
	}
	if strings.HasPrefix(mediaType, "text/") {
		return plainText
	}
	return opaque
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// isKnownOpaque reports the start of a picture, a sound or a film.
func isKnownOpaque(head []byte) bool {
	for _, s := range []string{"\x89PNG", "\xff\xd8\xff", "GIF8", "RIFF", "OggS", "ID3", "II*\x00", "MM\x00*", "BM", "\x00\x00\x01\x00", "fLaC", "\x1aE\xdf\xa3"} {
		if bytes.HasPrefix(head, []byte(s)) && (s != "BM" || !looksLikeText(head)) {
			return true
		}
	}
	return len(head) > 8 && string(head[4:8]) == "ftyp"
}

// looksLikeText reports whether bytes could be text: UTF-16 with its mark, or no control
// characters but the customary ones.
func looksLikeText(b []byte) bool {
	if hasBOM16(b) {
		return true
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b && c != 0x1a {
			return false
		}
	}
	return true
}

// unmarked16 tells UTF-16 without its mark by the zero bytes that ASCII letters have there, as
// editors and spreadsheets do; empty: it is none.
func unmarked16(head string) string {
	var zeros [2]int
	for i := range len(head) {
		if head[i] == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[0] > zeros[1]:
		return "utf-16be"
	case zeros[1] > 0:
		return "utf-16le"
	}
	return ""
}

// opener reads what is inside the attached files of one message, within its bounds.
type opener struct {
	textLeft int64 // of Limits.TextBytes
	expand   int64
	members  int
	lim      Limits
	report   func(defect, detail string) // of the part that is open

	texts    []string
	program  string // the type of the first program in it
	level    int    // files within files
	archives int
}

// openAttachments reads what is inside each leaf. The error is a failure to read the message.
// outer is the opener of the message around it, for a message that is itself an attached file;
// original is the message of which this one is a copy.
func (p *parser) openAttachments(outer *opener, original *Message) error {
	o := &opener{textLeft: p.textLeft, expand: maxExpanded, members: maxMembers, lim: p.lim}
	level, archives := 0, 0
	if outer != nil {
		o.expand, o.members, level, archives = outer.expand, outer.members, outer.level, outer.archives
		defer func() { outer.expand, outer.members = o.expand, o.members }()
	}
	for part := range p.m.Parts() {
		if len(part.Parts) > 0 || part.content == opaque || part.Body.Len() == 0 {
			continue
		}
		o.texts, o.program, o.level, o.archives = nil, "", level, archives
		o.report = func(defect, detail string) { p.defects.add(defect, part.Path, part.Body.Start, detail) }
		if outer != nil {
			o.report = outer.report
		}
		src := &noting{r: p.m.src}
		if !o.reuse(part, src, original) {
			o.part(part, src)
		}
		if src.err != nil {
			return fmt.Errorf("mail: read message: %w", src.err)
		}
		part.inside = o.texts
		if part.program == "" {
			part.program = o.program
		}
		if hiddenMacros(part) {
			o.report(defTypeMismatch, "macros")
		}
	}
	p.textLeft = o.textLeft
	return nil
}

// reuse takes what was found in the same file of the original.
func (o *opener) reuse(part *Part, src io.ReaderAt, original *Message) bool {
	if original == nil {
		return false
	}
	for old := range original.Parts() {
		if len(old.Parts) > 0 || old.content != part.content || old.Body.Len() != part.Body.Len() || old.Encoding != part.Encoding ||
			old.MediaType != part.MediaType || old.Filename != part.Filename ||
			!sameBytes(src, part.Body, original.src, old.Body) {
			continue
		}
		for _, s := range old.inside {
			o.keep(s)
		}
		o.program = old.program
		for _, d := range original.Defects {
			switch d.Name {
			case defUnreadable, defLocked, defArchiveBomb, defArchiveName, defArchiveAmbiguous, defClosedArchive, defTextTooLong:
				if d.Path == old.Path {
					o.report(d.Name, d.Detail)
				}
			}
		}
		return true
	}
	return false
}

// sameBytes compares two ranges of the same length.
func sameBytes(a io.ReaderAt, ra Range, b io.ReaderAt, rb Range) bool {
	var x, y [16 << 10]byte
	for off := int64(0); off < ra.Len(); {
		n := min(int64(len(x)), ra.Len()-off)
		if k, _ := a.ReadAt(x[:n], ra.Start+off); int64(k) < n {
			return false
		}
		if k, _ := b.ReadAt(y[:n], rb.Start+off); int64(k) < n || !bytes.Equal(x[:n], y[:n]) {
			return false
		}
		off += n
	}
	return true
}

// noting remembers a failure to read the message, so that it is not taken for a damaged file.
type noting struct {
	r   io.ReaderAt
	err error
}

func (n *noting) ReadAt(p []byte, off int64) (int, error) {
	k, err := n.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// part opens a leaf of the message.
func (o *opener) part(part *Part, src io.ReaderAt) {
	raw := io.NewSectionReader(src, part.Body.Start, part.Body.Len())
	stream := func() io.Reader {
		if isEncoded(part.Encoding) {
			return newDecodeReader(io.NewSectionReader(src, part.Body.Start, part.Body.Len()), part.Encoding)
		}
		return io.NewSectionReader(src, part.Body.Start, part.Body.Len())
	}
	what := part.content
	if part.Text != "" { // it is kept already as it stands
		switch what {
		case linesText:
			o.keep(unfoldLines(part.Text))
		case rtfText:
			o.rtf(strings.NewReader(part.Text))
		case webText:
			if part.MediaType != "text/html" {
				o.html(part.Text)
			}
		case mailText:
			o.mail([]byte(part.Text))
		case plainText:
			if unmarked16(part.Text[:min(len(part.Text), headSize)]) != "" {
				o.textFile(what, stream())
			}
		case xmlFile:
			o.xml(strings.NewReader(part.Text), xmlDocument)
		case armourFile:
			o.armour(strings.NewReader(part.Text))
		case zipFile, pdfFile, oleFile, gzipFile, tarFile, closedFile, brokenClaim:
			o.open(what, part.Filename, stream(), nil, 0)
		}
		return
	}
	if what != zipFile {
		o.open(what, part.Filename, stream(), nil, 0)
		return
	}
	switch part.Encoding {
	case encBase64:
		at, size := newBase64At(raw)
		o.open(what, part.Filename, nil, at, size)
	case encQP:
		o.open(what, part.Filename, stream(), nil, 0)
	default:
		o.open(what, part.Filename, nil, raw, raw.Size())
	}
}

// open reads one file: as a stream, or by at where the caller has it.
func (o *opener) open(what content, name string, r io.Reader, at io.ReaderAt, size int64) {
	if o.level++; o.level > maxLevels {
		o.level--
		o.report(defArchiveBomb, "depth")
		return
	}
	defer func() { o.level-- }()
	switch what {
	case plainText, looseText, webText, linesText, mailText:
		o.textFile(what, r)
	case xmlFile:
		o.xml(r, xmlDocument)
	case rtfText:
		o.rtf(r)
	case gzipFile:
		o.gzip(name, r)
	case tarFile:
		o.tar(r)
	case closedFile:
		o.report(defClosedArchive, "")
	case brokenClaim:
		o.report(defUnreadable, "")
	case oleFile:
		o.ole(r)
	case armourFile:
		o.armour(r)
	case pdfFile:
		if b, ok := o.whole(r); ok {
			o.pdf(b)
		}
	case zipFile:
		if at == nil {
			b, ok := o.whole(r)
			if !ok {
				return
			}
			at, size = bytes.NewReader(b), int64(len(b))
		}
		o.zip(at, size)
	case opaque:
		o.strings(r, 0)
	}
}

// whole reads a file that has to be in memory.
func (o *opener) whole(r io.Reader) ([]byte, bool) {
	b, err := io.ReadAll(io.LimitReader(r, maxWhole+1))
	if err != nil || len(b) > maxWhole {
		o.unreadable(err, "size")
		return nil, false
	}
	return b, true
}

// unreadable reports a file that breaks off or breaks a bound.
func (o *opener) unreadable(err error, detail string) {
	if errors.Is(err, errBomb) {
		o.report(defArchiveBomb, "ratio")
		return
	}
	o.report(defUnreadable, detail)
}

// keep adds a text within the budget.
func (o *opener) keep(s string) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if s == "" {
		return
	}
	if int64(len(s)) > o.textLeft {
		cut := o.textLeft
		for cut > 0 && s[cut]&0xC0 == 0x80 {
			cut--
		}
		s = s[:cut]
		o.report(defTextTooLong, "attachment")
	}
	if s != "" {
		o.textLeft -= int64(len(s))
		o.texts = append(o.texts, s)
	}
}

// text is a text under construction that stops growing where the budget ends.
type boundedText struct {
	strings.Builder
	room int64
	over bool
}

func (o *opener) newText() *boundedText { return &boundedText{room: o.textLeft} }

func (t *boundedText) add(s string) {
	if int64(t.Len()+len(s)) > t.room {
		t.over = true
		return
	}
	t.WriteString(s)
}

func (t *boundedText) addByte(c byte) {
	if int64(t.Len()) >= t.room {
		t.over = true
		return
	}
	t.WriteByte(c)
}

// finish keeps what was collected.
func (o *opener) finish(texts ...*boundedText) {
	for _, t := range texts {
		o.keep(t.String())
		if t.over {
			o.report(defTextTooLong, "attachment")
		}
	}
}

// textFile reads a file that is text as it stands.
func (o *opener) textFile(what content, r io.Reader) {
	limit := max(o.textLeft, 0)
	if what == looseText {
		limit = min(limit, maxLoose)
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		o.unreadable(err, "")
		return
	}
	if int64(len(b)) > limit {
		if what == looseText {
			return // it does not claim to be text, and the raw search reads it
		}
		o.report(defTextTooLong, "attachment")
		b = b[:limit]
	}
	if what == mailText {
		o.mail(b)
		return
	}
	label := ""
	if hasBOM16(b) {
		label = "utf-16"
	} else if label = unmarked16(string(b[:min(len(b), headSize)])); label != "" {
		o.keep(string(bytes.ReplaceAll(b, []byte{0}, nil))) // in case it is none
	}
	text, _, _ := readText(b, label)
	switch what {
	case linesText:
		o.keep(text)
		o.keep(unfoldLines(text))
	case webText:
		o.html(text)
	default:
		o.keep(text)
	}
}

// html keeps what is shown and what is not.
func (o *opener) html(text string) {
	h, err := readHTML(text)
	o.keep(h.visible.String())
	o.keep(h.hidden.String())
	o.keep(h.attrs.String())
	if err != nil {
		o.keep(text)
	}
}

// mail reads a message that was attached as a file. What is wrong with it is wrong for
// readers of the file, not of this message: it is scanned as it stands too.
func (o *opener) mail(b []byte) {
	o.keep(string(b))
	lim := o.lim
	lim.TextBytes = o.textLeft
	m, err := parse(bytes.NewReader(b), int64(len(b)), lim, reading{outer: o})
	if err != nil {
		o.report(defUnreadable, "message")
		return
	}
	for p := range m.Parts() {
		if o.program == "" {
			o.program = p.ProgramType()
		}
	}
	for _, s := range m.Texts() {
		o.keep(s)
	}
	for _, f := range m.Root.Fields {
		v, _ := decodeWords(f.Value)
		o.keep(v)
	}
}

// unfoldLines undoes the folding of RFC 5545 §3.1 and RFC 6350 §3.2, and the quoted-printable
// of the older vCard.
func unfoldLines(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	qp := false
	for line := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			line = line[1:]
		case qp:
			qp = false
		default:
			b.WriteByte('\n')
		}
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.Contains(strings.ToUpper(name), "QUOTED-PRINTABLE") {
			qp = strings.HasSuffix(value, "=")
			d := &qpDecoder{}
			line = name + ":" + string(d.close(d.decode(nil, []byte(strings.TrimSuffix(value, "=")))))
		}
		b.WriteString(line)
	}
	// RFC 5545 §3.3.11
	return strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`).Replace(b.String())
}

// errBomb ends the reading of a stream that grows beyond all measure.
var errBomb = errors.New("mail: a compressed stream grows too much")

// inflated counts what comes out of a compressed stream.
type inflated struct {
	r      io.Reader
	o      *opener
	packed *int64 // size of the compressed form, as far as it was read
	out    int64
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.out += int64(n)
	i.o.expand -= int64(n)
	if i.o.expand < 0 || i.out > freeRatio && i.out/maxRatio > *i.packed {
		return 0, errBomb
	}
	return n, err
}

// gzip reads a compressed file.
func (o *opener) gzip(name string, r io.Reader) {
	counted := &counting{r: r}
	z, err := gzip.NewReader(counted)
	if err != nil {
		o.unreadable(err, "gzip")
		return
	}
	o.keep(z.Name)
	o.keep(z.Comment)
	inner := z.Name
	if inner == "" {
		inner = strings.TrimSuffix(name, ".gz")
		if strings.HasSuffix(name, ".tgz") {
			inner = "x.tar"
		}
	}
	o.member(inner, &inflated{r: z, o: o, packed: &counted.n})
}

type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// member reads a file inside a file.
func (o *opener) member(name string, r io.Reader) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		o.unreadable(err, "member")
		return
	}
	head = head[:n]
	o.noteProgram(head, name)
	what := contentOf(head, "", name)
	all := &failing{r: io.MultiReader(bytes.NewReader(head), r)}
	o.open(what, name, all, nil, 0)
	// The rest counts too: a stream that breaks off there is a damaged file.
	if _, err := io.Copy(io.Discard, all); err != nil || all.err != nil {
		o.unreadable(all.err, "member")
	}
}

// failing remembers the first error of a stream.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF { // an unexpected end is an error
		f.err = err
	}
	return n, err
}
