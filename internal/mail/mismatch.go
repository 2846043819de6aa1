package mail

import (
	"bytes"
	"strings"
)

// tailSize is how much of the end of a file is looked at: there a ZIP archive has its directory,
// and so can be the second half of any other file.
const tailSize = 1 << 10

func (l *leafReader) keepTail(b []byte) {
	if len(b) >= tailSize {
		l.tail = append(l.tail[:0], b[len(b)-tailSize:]...)
		return
	}
	if len(l.tail)+len(b) > 8*tailSize {
		n := copy(l.tail, l.tail[len(l.tail)-tailSize:])
		l.tail = l.tail[:n]
	}
	l.tail = append(l.tail, b...)
}

// activeMark looks in an SVG picture, piece by piece, for what runs when it is shown.
type activeMark struct {
	on    bool
	tail  []byte
	found bool
}

// longestMark is the length of the longest of activeMarks.
const longestMark = 11

func activeMarks() [3]string { return [3]string{"<script", "javascript:", " onload"} }

func (a *activeMark) start(head []byte) {
	head = bytes.TrimLeft(head, " \t\r\n\xef\xbb\xbf")
	if a.on = false; len(head) == 0 || head[0] != '<' {
		return
	}
	lower := bytes.ToLower(head)
	a.on = bytes.HasPrefix(lower, []byte("<svg")) || bytes.HasPrefix(lower, []byte("<?xml")) && bytes.Contains(lower, []byte("<svg"))
}

func (a *activeMark) feed(b []byte) {
	if !a.on || a.found {
		return
	}
	all := append(a.tail, bytes.ToLower(b)...)
	for _, mark := range activeMarks() {
		a.found = a.found || bytes.Contains(all, []byte(mark))
	}
	a.tail = append(a.tail[:0], all[max(0, len(all)-longestMark):]...)
}

// misnamed reports a file that comes under another name than its own, or is two files at once
// (B36): what the start and the end of the content are, against what the type and the name say.
func misnamed(p *Part, head, tail []byte, active bool) string {
	ext, said := extension(p.Filename), p.MediaType
	picture := isPicture(said) || ext != "svg" && ext != "svgz" && inSet(imageNames, ext)
	pdf := said == "application/pdf" || ext == "pdf"
	sound := strings.HasPrefix(said, "audio/") || strings.HasPrefix(said, "video/") || inSet(soundNames, ext) || inSet(videoNames, ext)
	office := inSet(" docx xlsx pptx dotx ppsx odt ods odp ", ext)
	zip := bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
	switch {
	case isProgram(head):
		if !inSet(programNames, ext) && (ext != "" || !bareProgram(said)) {
			return "program"
		}
	case active:
		return "script"
	case bytes.HasPrefix(head, []byte("#!")):
		if picture || pdf || sound || office {
			return "script"
		}
	case isHTMLStart(head):
		if picture || pdf || sound || office {
			return "html"
		}
	case zip:
		if picture || pdf || sound {
			return "zip"
		}
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), bytes.HasPrefix(head, []byte("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d")):
		if picture || pdf || sound {
			return "document"
		}
	case bytes.Contains(head, []byte("%PDF-")):
		if picture || sound || office {
			return "pdf"
		}
	}
	// A picture or a PDF with an archive behind it is shown as the one and unpacked as the other.
	if !zip && (picture || pdf || sound) && bytes.Contains(tail, []byte("PK\x05\x06")) {
		return "zip"
	}
	return ""
}

// isProgram reports the first bytes of a program: of Windows, Linux, macOS, Java, Android, or a
// shortcut of Windows, which runs one.
func isProgram(head []byte) bool {
	if bytes.HasPrefix(head, []byte("MZ")) {
		return len(head) > 64 && bytes.IndexByte(head[:64], 0) >= 0
	}
	for _, magic := range []string{"\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "dex\n03",
		"\x4c\x00\x00\x00\x01\x14\x02\x00"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// bareProgram reports a type under which a program without a name may come.
func bareProgram(mediaType string) bool {
	return mediaType == "application/octet-stream" || kindOfType(mediaType)&KindProgram != 0
}

// hiddenMacros reports a document with macros under a name that promises none.
func hiddenMacros(p *Part) bool {
	return p.program == ".docm" && inSet(" docx xlsx pptx dotx xltx potx ppsx ", extension(p.Filename))
}
