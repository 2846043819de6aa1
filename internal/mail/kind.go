package mail

import (
	"bytes"
	"iter"
	"strings"
)

// Kind is a set of what an attached part is or may be.
type Kind uint16

// The kinds. A part can be of several: what its content, its type and its name say adds up.
const (
	KindDocument Kind = 1 << iota
	KindImage
	KindArchive
	KindCalendar
	KindContactCard
	KindProgram
	KindUnreadable // encrypted, or of no format that we know: anything may be in it
)

// Attachments returns every part that reaches the reader as something beside the text of the
// message, depth first: files, pictures in the text, invitations, embedded messages and what
// these hold.
func (m *Message) Attachments() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		walkAttached(m.Root, false, yield)
	}
}

func walkAttached(p *Part, inside bool, yield func(*Part) bool) bool {
	if !p.IsMultipart() && (inside || !isTextBody(p)) && !yield(p) {
		return false
	}
	inside = inside || p.isMessage()
	for _, c := range p.Parts {
		// The text of an embedded message is part of that attachment, not one of its own.
		if inside && isTextBody(c) {
			continue
		}
		if !walkAttached(c, inside, yield) {
			return false
		}
	}
	return true
}

// Kinds returns what the part is: by the start of its content, by its media type and by its
// file name together, because any one of them may lie.
func (p *Part) Kinds() Kind {
	k := p.kinds | kindOfType(p.MediaType) | kindOfName(p.Filename)
	if p.program != "" {
		k |= KindProgram
	}
	if p.sealedFile {
		k |= KindUnreadable
	}
	if k == 0 && !harmlessType(p.MediaType) && p.Body.Len() > 0 {
		k = KindUnreadable
	}
	return k
}

// ProgramType names the file type of an attachment that is a program or holds one, such as
// .exe; empty for all others.
func (p *Part) ProgramType() string {
	switch {
	case kindOfName(p.Filename)&KindProgram != 0:
		return "." + extension(p.Filename)
	case p.program != "":
		return p.program
	case kindOfType(p.MediaType)&KindProgram != 0:
		return p.MediaType
	}
	return ""
}

// programIn names the type of a program by its content.
func programIn(head []byte) string {
	switch {
	case kindOfContent(head)&KindProgram == 0:
		return ""
	case bytes.HasPrefix(head, []byte("#!")):
		return ".sh"
	}
	return ".exe"
}

// noteProgram remembers the first program inside a file.
func (o *opener) noteProgram(head []byte, name string) {
	switch {
	case o.program != "":
	case kindOfName(name)&KindProgram != 0:
		o.program = "." + extension(name)
	default:
		o.program = programIn(head)
	}
}

// harmlessType reports types that are none of our kinds and still no riddle: sound, film,
// fonts, and signatures over the message.
func harmlessType(mediaType string) bool {
	for _, main := range []string{"audio/", "video/", "font/", "multipart/"} {
		if strings.HasPrefix(mediaType, main) {
			return true
		}
	}
	switch mediaType {
	case "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-keys",
		"message/delivery-status", "message/disposition-notification", "message/global-delivery-status":
		return true
	}
	return false
}

func kindOfType(t string) Kind {
	switch {
	case t == "text/calendar", t == "application/ics":
		return KindCalendar
	case t == "text/vcard", t == "text/x-vcard", t == "text/directory":
		return KindContactCard
	case t == "text/javascript", t == "text/x-shellscript", t == "text/x-python":
		return KindProgram
	case strings.HasPrefix(t, "text/"), strings.HasPrefix(t, "message/rfc822"), strings.HasPrefix(t, "message/global") && len(t) == len("message/global"):
		return KindDocument
	case strings.HasPrefix(t, "image/"):
		return KindImage
	case t == "application/pdf", t == "application/rtf", t == "application/msword", t == "application/epub+zip",
		strings.HasPrefix(t, "application/vnd.ms-") && t != "application/vnd.ms-tnef" && t != "application/vnd.ms-cab-compressed",
		strings.HasPrefix(t, "application/vnd.openxmlformats-"), strings.HasPrefix(t, "application/vnd.oasis.opendocument."),
		strings.HasPrefix(t, "application/vnd.apple."), t == "application/json", t == "application/xml":
		return KindDocument
	case t == "application/zip", t == "application/x-zip-compressed", t == "application/gzip", t == "application/x-gzip",
		t == "application/x-tar", t == "application/x-7z-compressed", t == "application/x-bzip2", t == "application/x-xz",
		t == "application/vnd.rar", t == "application/x-rar-compressed", t == "application/vnd.ms-cab-compressed",
		t == "application/vnd.ms-tnef", t == "application/ms-tnef":
		return KindArchive
	case t == "application/x-msdownload", t == "application/x-msdos-program", t == "application/x-executable",
		t == "application/javascript", t == "application/x-sh", t == "application/java-archive", t == "application/vnd.android.package-archive":
		return KindProgram
	case t == "application/pgp-encrypted", t == "application/pkcs7-mime", t == "application/x-pkcs7-mime":
		return KindUnreadable
	}
	return 0
}

// What file names end with, in small letters.
const (
	documentNames = " pdf doc docx docm dot dotx dotm odt ott fodt rtf txt text md log csv tsv htm html mht mhtml xml json yaml xls xlsx xlsm xlsb ods ppt pptx pptm ppsx pps odp odg pages numbers key epub tex wps wpd one pub vsd vsdx eml msg xps oxps ps "
	imageNames    = " jpg jpeg jpe jfif png gif bmp dib tif tiff webp heic heif avif svg svgz ico jp2 jxl raw dng cr2 nef psd "
	archiveNames  = " zip zipx rar 7z tar gz tgz bz2 tbz xz txz zst lz lzma cab arj ace iso img dmg "
	programNames  = " exe com scr msi msp dll sys pif bat cmd ps1 psm1 vbs vbe js jse wsf wsh hta jar apk app deb rpm pkg sh bash py pl rb lnk url reg cpl msc chm docm dotm xlsm xlsb pptm xll ade accde scf inf "
)

func kindOfName(name string) Kind {
	ext := extension(name)
	var k Kind
	for _, x := range []struct {
		names string
		kind  Kind
	}{
		{documentNames, KindDocument}, {imageNames, KindImage}, {archiveNames, KindArchive}, {programNames, KindProgram},
		{" ics ical vcs ifb ", KindCalendar}, {" vcf vcard contact ", KindContactCard}, {" pgp gpg asc p7m enc aes kdbx ", KindUnreadable},
	} {
		if inSet(x.names, ext) {
			k |= x.kind
		}
	}
	if strings.EqualFold(name, "winmail.dat") {
		k |= KindArchive
	}
	if ext == "asc" && k == KindUnreadable && strings.EqualFold(name, "signature.asc") {
		k = 0
	}
	return k
}

// kindOfContent says what the start of a decoded body is.
func kindOfContent(b []byte) Kind {
	has := func(at int, magic string) bool { return len(b) >= at && bytes.HasPrefix(b[at:], []byte(magic)) }
	text := bytes.ToLower(bytes.TrimLeft(b, " \t\r\n\xef\xbb\xbf"))
	starts := func(s string) bool { return bytes.HasPrefix(text, []byte(s)) }
	switch {
	case bytes.Contains(b, []byte("%PDF-")), has(0, "{\\rtf"), has(0, "%!PS"), isHTMLStart(b) && !starts("<script"):
		return KindDocument
	case has(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return KindDocument // the container of old Office files and of Outlook messages
	case has(0, "PK\x03\x04"), has(0, "PK\x05\x06"), has(0, "PK\x07\x08"):
		return kindOfZip(b)
	case has(0, "\xff\xd8\xff"), has(0, "\x89PNG\r\n\x1a\n"), has(0, "GIF8"), has(0, "BM") && has(6, "\x00\x00\x00\x00"),
		has(0, "II*\x00"), has(0, "MM\x00*"), has(0, "RIFF") && has(8, "WEBP"), has(4, "ftyphei"), has(4, "ftypmif1"), has(4, "ftypavif"),
		starts("<svg"), starts("<?xml") && bytes.Contains(text, []byte("<svg")):
		return KindImage
	case has(0, "Rar!"), has(0, "7z\xbc\xaf\x27\x1c"), has(0, "\x1f\x8b"), has(0, "BZh"), has(0, "\xfd7zXZ"), has(0, "MSCF"),
		has(0, "\x28\xb5\x2f\xfd"), has(257, "ustar"), has(0, "\x78\x9f\x3e\x22"):
		return KindArchive
	case starts("begin:vcalendar"):
		return KindCalendar
	case starts("begin:vcard"):
		return KindContactCard
	case isProgram(b), has(0, "#!"):
		return KindProgram
	case starts("-----begin pgp message"):
		return KindUnreadable
	}
	return 0
}

// kindOfZip tells Office files from archives by the first entry (APPNOTE §4.3.7, §4.4.4).
func kindOfZip(b []byte) Kind {
	k := KindArchive
	for _, mark := range []string{"[Content_Types].xml", "_rels/", "word/", "xl/", "ppt/", "docProps/", "mimetypeapplication/"} {
		if len(b) > 30 && bytes.HasPrefix(b[30:], []byte(mark)) {
			k = KindDocument
		}
	}
	if len(b) > 7 && b[6]&1 != 0 {
		k |= KindUnreadable // the entry is encrypted
	}
	return k
}

// sealMark looks in a body, piece by piece, for what says that a PDF or an Office file is
// locked with a password.
type sealMark struct {
	mark  []byte
	tail  []byte
	found bool
}

func (s *sealMark) start(head []byte) {
	switch {
	case bytes.Contains(head, []byte("%PDF-")):
		s.mark = []byte("/Encrypt") // ISO 32000-1 §7.6.1: a key of the trailer
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		s.mark = []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00") // MS-OFFCRYPTO §2.3.4
	}
}

func (s *sealMark) feed(b []byte) {
	if s.mark == nil || s.found {
		return
	}
	n := len(s.mark) - 1
	s.found = bytes.Contains(b, s.mark) || len(s.tail) > 0 && bytes.Contains(append(s.tail, b[:min(n, len(b))]...), s.mark)
	if len(b) >= n {
		s.tail = append(s.tail[:0], b[len(b)-n:]...)
		return
	}
	s.tail = append(s.tail, b...)
	s.tail = s.tail[max(0, len(s.tail)-n):]
}
