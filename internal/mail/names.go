package mail

import (
	"regexp"
	"strconv"
	"strings"
)

// neutralName is a file name of ours: what kind of file, a number, and its type.
var neutralName = regexp.MustCompile(`^(?:document|image|archive|calendar|contact|sound|video|file)-[1-9][0-9]*\.[a-z0-9]{1,8}$`)

// IsNeutralName reports whether a file name says nothing but what kind of file it is.
func IsNeutralName(name string) bool { return neutralName.MatchString(name) }

// neutralNames gives every named part a new name that says what kind of file it is, numbered in
// the order of the message: document-1.pdf, image-1.jpg. The type stays, because the reader's
// device opens a file by it. Embedded messages and what is sealed keep their insides.
func (b *builder) neutralNames() {
	b.names = map[*Part]string{}
	if !b.d.NeutralNames {
		return
	}
	count := map[string]int{}
	anyOwn(b.m.Root, func(p *Part) bool {
		if p.Filename != "" {
			word := nameWord(p)
			count[word]++
			b.names[p] = word + "-" + strconv.Itoa(count[word]) + "." + safeExtension(p)
		}
		return false
	})
}

// filename is the name under which the copy has the part.
func (b *builder) filename(p *Part) string {
	if name, ok := b.names[p]; ok {
		return name
	}
	return p.Filename
}

func nameWord(p *Part) string {
	byName := kindOfName(p.Filename) // the type that stays decides about the word
	if byName == 0 {
		byName = p.Kinds()
	}
	switch ext := extension(p.Filename); {
	case byName&KindCalendar != 0:
		return "calendar"
	case byName&KindContactCard != 0:
		return "contact"
	case byName&KindImage != 0:
		return "image"
	case byName&KindArchive != 0:
		return "archive"
	case byName&KindDocument != 0:
		return "document"
	case strings.HasPrefix(p.MediaType, "audio/"), inSet(soundNames, ext):
		return "sound"
	case strings.HasPrefix(p.MediaType, "video/"), inSet(videoNames, ext):
		return "video"
	}
	return "file"
}

const (
	soundNames = " mp3 m4a aac wav ogg oga opus flac amr wma mid midi aiff 3ga "
	videoNames = " mp4 m4v mov avi mkv webm mpg mpeg wmv 3gp 3g2 flv "
	otherNames = " ics ical vcs ifb vcf vcard pgp gpg asc p7m p7s p7c sig enc dat bin "
)

// safeExtension keeps an extension that many files have. Any other one could be a word: then
// the media type says what it is, and where that says nothing either, bin.
func safeExtension(p *Part) string {
	ext := extension(p.Filename)
	for _, known := range []string{documentNames, imageNames, archiveNames, programNames, soundNames, videoNames, otherNames} {
		if inSet(known, ext) {
			return ext
		}
	}
	switch p.MediaType {
	case "application/pdf":
		return "pdf"
	case "text/plain":
		return "txt"
	case "text/html":
		return "html"
	case "text/csv":
		return "csv"
	case "text/calendar":
		return "ics"
	case "text/vcard", "text/x-vcard":
		return "vcf"
	case "message/rfc822":
		return "eml"
	case "application/rtf", "text/rtf":
		return "rtf"
	case "application/msword":
		return "doc"
	case "application/vnd.ms-excel":
		return "xls"
	case "application/vnd.ms-powerpoint":
		return "ppt"
	case "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
		return "docx"
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return "xlsx"
	case "application/vnd.openxmlformats-officedocument.presentationml.presentation":
		return "pptx"
	case "application/vnd.oasis.opendocument.text":
		return "odt"
	case "application/zip", "application/x-zip-compressed":
		return "zip"
	case "image/jpeg":
		return "jpg"
	case "image/png", "image/gif", "image/webp", "image/heic", "image/bmp":
		return strings.TrimPrefix(p.MediaType, "image/")
	case "image/tiff":
		return "tif"
	case "audio/mpeg":
		return "mp3"
	case "video/mp4":
		return "mp4"
	}
	return "bin"
}
