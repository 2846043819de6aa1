package mail

import (
	"slices"
	"strings"
	"testing"
)

// namedFiles is a mail with files of these types and names.
func namedFiles(files ...[2]string) string {
	s := topFields + "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nHello\n"
	for _, f := range files {
		s += "--b\nContent-Type: " + f[0] + "\nContent-Disposition: attachment; " + f[1] + "\n\nx\n"
	}
	return s + "--b--\n"
}

func filenames(m *Message) []string {
	var out []string
	for p := range m.Parts() {
		if p.Filename != "" {
			out = append(out, p.Filename)
		}
	}
	return out
}

func TestNeutralFilenames(t *testing.T) {
	t.Parallel()
	src := namedFiles(
		[2]string{"application/pdf", "filename=\"Anna Smith assessment.pdf\""},
		[2]string{"application/octet-stream", "filename*=utf-8''%C3%81nna.PDF"},
		[2]string{"image/jpeg", "filename=Anna.JPG"},
		[2]string{"application/pdf", "filename=Anna"},
		[2]string{"application/x-own", "filename=notes.annasmith"},
		[2]string{"text/plain", "filename=\"Anna.tar.gz\""},
		[2]string{"text/calendar; method=REQUEST", "filename=anna.ics"},
		[2]string{"audio/mpeg", "filename=anna.mp3"},
		[2]string{"application/octet-stream", "filename=anna.pdf.gpg"},
		[2]string{"application/octet-stream", "filename=anna.exe"},
		[2]string{"text/vcard", "filename=anna"},
	)
	want := []string{"document-1.pdf", "document-2.pdf", "image-1.jpg", "document-3.pdf", "file-1.bin", "archive-1.gz",
		"calendar-1.ics", "sound-1.mp3", "file-2.gpg", "file-3.exe", "contact-1.vcf"}
	m := edited(t, src, Draft{NeutralNames: true})
	if got := filenames(m); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, name := range want {
		if !IsNeutralName(name) {
			t.Errorf("%s is not neutral", name)
		}
	}
	var b strings.Builder
	if _, err := m.Write(&b, Draft{NeutralNames: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(b.String()), "anna") {
		t.Error("a name is still there")
	}
	if again := filenames(parseBytes(t, []byte(b.String()))); !slices.Equal(again, want) {
		t.Errorf("the second time: %v", again)
	}
	if got := filenames(edited(t, src, Draft{})); !slices.Contains(got, "Anna Smith assessment.pdf") {
		t.Errorf("nobody asked: %v", got)
	}
}

func TestANameInTheTypeAloneIsNeutralToo(t *testing.T) {
	t.Parallel()
	m := edited(t, topFields+"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<img src=\"cid:x\">\n--b\nContent-Type: image/png; name=\"Anna's drawing.png\"\nContent-ID: <x>\n\nx\n--b--\n", Draft{NeutralNames: true})
	p := m.Root.Parts[1]
	if p.Filename != "image-1.png" || p.ContentID != "x" || p.MediaType != "image/png" {
		t.Errorf("%+v", p)
	}
}
