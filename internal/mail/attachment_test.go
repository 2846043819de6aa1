package mail

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// attached is a message with one attached file.
func attached(mediaType, name string, content []byte) []byte {
	var b strings.Builder
	enc := base64.StdEncoding.EncodeToString(content)
	for len(enc) > 76 {
		b.WriteString(enc[:76] + "\n")
		enc = enc[76:]
	}
	b.WriteString(enc + "\n")
	return []byte(crlf("From: Maya Stone <maya@willowhouse.example>\nTo: anna@example.org\nSubject: Hello\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n" +
		"Message-ID: <a@willowhouse.example>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n--b1\n\nHello.\n--b1\nContent-Type: " +
		mediaType + "\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" + b.String() + "--b1--\n"))
}

// insideOf returns the text of the attached file and the names of the defects that hold.
func insideOf(t testing.TB, mediaType, name string, content []byte) (text string, held []string) {
	t.Helper()
	m := parseBytes(t, attached(mediaType, name, content))
	for _, d := range m.Defects {
		if d.Default > AcceptAsRead {
			held = append(held, d.Name)
			if d.Fix == "" {
				t.Errorf("%s says nothing about what to do", d.Name)
			}
		}
	}
	return strings.Join(m.Root.Parts[1].Inside(), "\n"), held
}

// zipped makes an archive of pairs of names and contents.
func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.SetComment("a comment by ben@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name = "notes.txt"
	_, _ = w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarred(t testing.TB, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sampleDOCX(t testing.TB, body string) []byte {
	return zipped(t,
		"[Content_Types].xml", `<?xml version="1.0"?><Types><Default Extension="xml" ContentType="application/xml"/></Types>`,
		"word/document.xml", `<?xml version="1.0" encoding="UTF-8"?><w:document><w:body><w:p><w:r><w:t>`+body+`</w:t></w:r></w:p></w:body></w:document>`,
		"docProps/core.xml", `<cp:coreProperties><dc:creator>Ben Reed</dc:creator><cp:lastModifiedBy>Cara Hill</cp:lastModifiedBy></cp:coreProperties>`)
}

// samplePDF is a file with the given objects, numbered from 1; the table at its end is wrong,
// as nobody reads it.
func samplePDF(trailer string, objects ...string) []byte {
	var b strings.Builder
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	b.WriteString("trailer\n<< /Root 1 0 R " + trailer + ">>\nstartxref\n0\n%%EOF\n")
	return []byte(b.String())
}

func pdfData(dict, data string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

func flated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

// pagePDF is a file with one page that shows what the content says.
func pagePDF(content string) []byte {
	return samplePDF("/Info 6 0 R", "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F1 5 0 R >> >> >>",
		"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [<< /Type /Annot /Subtype /Link /A << /S /URI /URI (mailto:link@example.org) >> >>] >>",
		pdfData("/Filter /FlateDecode", flated(content)),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [1 /B /e /n 200 /eacute] >> >>",
		"<< /Title (Notes on Dora Finch) /Author <FEFF0045006D006D0061> >>")
}

func TestInside(t *testing.T) {
	t.Parallel()
	const addr = "ben.reed@example.org"
	utf16 := "\xff\xfe"
	for _, c := range addr {
		utf16 += string([]byte{byte(c), 0})
	}
	for name, c := range map[string]struct {
		mediaType, file string
		content         []byte
		want            []string
	}{
		"docx": {"application/octet-stream", "a.docx", sampleDOCX(t, "write to "+addr), []string{"write to " + addr, "Ben Reed\n", "Cara Hill"}},
		"docx split by runs": {"application/octet-stream", "a.docx", sampleDOCX(t, "ben.re</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>ed@exam</w:t></w:r>"+
			"<w:del w:author=\"Fay Wood\"><w:r><w:delText>GONE</w:delText></w:r></w:del><w:ins><w:r><w:t>ple.org"), []string{addr, "GONE", "ben.reed@examGONE", "Fay Wood"}},
		"docx under a false name": {"application/octet-stream", "a.txt", sampleDOCX(t, addr), []string{addr}},
		"docx link": {"application/octet-stream", "a.docx", zipped(t, "[Content_Types].xml", "<Types/>", "word/_rels/document.xml.rels",
			`<Relationships><Relationship Id="rId1" Target="mailto:`+addr+`"/></Relationships>`), []string{"mailto:" + addr}},
		"xlsx": {"application/octet-stream", "a.xlsx", zipped(t, "[Content_Types].xml", "<Types/>",
			"xl/workbook.xml", `<workbook><sheets><sheet name="Secret clients" sheetId="2" state="hidden"/></sheets></workbook>`,
			"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>1</v></c><c r="B1" t="s"><v>0</v></c><c r="C1"><v>29341</v></c><c r="D1"><v>7700900123</v></c><c t="inlineStr"><is><t>inline</t></is></c></row></sheetData></worksheet>`,
			"xl/sharedStrings.xml", `<sst><si><t>Reed</t></si><si><r><t>Be</t></r><r><t>n</t></r></si></sst>`,
			"xl/comments1.xml", `<comments><authors><author>Gus Lane</author></authors><comment><text><t>`+addr+`</t></text></comment></comments>`),
			[]string{"Ben\nReed", "1980-04-30", "07700900123", "inline", addr, "Gus Lane", "Secret clients"}},
		"pptx": {"application/octet-stream", "a.pptx", zipped(t, "[Content_Types].xml", "<Types/>", "ppt/slides/slide1.xml", "<p:sld><a:p><a:r><a:t>Slide</a:t></a:r></a:p></p:sld>",
			"ppt/notesSlides/notesSlide1.xml", "<p:notes><a:p><a:r><a:t>ben.reed</a:t></a:r><a:r><a:t>@example.org</a:t></a:r></a:p></p:notes>"), []string{"Slide", addr}},
		"odt": {"application/vnd.oasis.opendocument.text", "a.odt", zipped(t, "mimetype", "application/vnd.oasis.opendocument.text",
			"content.xml", `<office:document-content><text:tracked-changes><text:p>removed text</text:p></text:tracked-changes><text:p>ben.<text:span>reed</text:span><office:annotation><dc:creator>Gus</dc:creator><text:p>a note</text:p></office:annotation>@example.org</text:p></office:document-content>`,
			"meta.xml", "<office:meta><dc:creator>Cara Hill</dc:creator></office:meta>", "styles.xml", "<style:header><text:p>At the top</text:p></style:header>"),
			[]string{addr, "removed text", "a note", "Cara Hill", "At the top"}},
		"rtf": {"application/rtf", "a.rtf", []byte(`{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\author Gus Lane}}Ren\'e9e \u321?ukasz \b ben.\b0 reed@example.org\par{\field{\*\fldinst HYPERLINK "mailto:link@example.org"}{\fldrslt click}}\uc2\u233\'c3\'a9!}`),
			[]string{"Renée Łukasz ben.reed@example.org\nclick", "mailto:link@example.org", "Gus Lane", "é!"}},
		"rtf as a text type":  {"text/rtf", "a.rtf", []byte(`{\rtf1 ben\'2ereed@example.org}`), []string{addr}},
		"ics":                 {"application/octet-stream", "a.ics", []byte("BEGIN:VCALENDAR\r\nATTENDEE;CN=Ben:mailto:ben.re\r\n ed@example.org\r\nEND:VCALENDAR\r\n"), []string{addr}},
		"ics as a text type":  {"text/calendar", "a.ics", []byte("BEGIN:VCALENDAR\r\nATTENDEE;CN=Ben:mailto:ben.re\r\n ed@example.org\r\nEND:VCALENDAR\r\n"), []string{addr}},
		"vcf":                 {"application/octet-stream", "a.vcf", []byte("BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Ren=C3=A9e=\n;Reed\nEMAIL:ben.reed@\n example.org\nEND:VCARD\n"), []string{addr, "Renée;Reed"}},
		"text":                {"application/octet-stream", "a.csv", []byte("name,email\nBen," + addr + "\n"), []string{addr}},
		"text in UTF-16":      {"application/octet-stream", "a.txt", []byte(utf16), []string{addr}},
		"text without a name": {"application/octet-stream", "", []byte("see " + addr), []string{addr}},
		"html":                {"application/octet-stream", "a.html", []byte("<html><body>ben.<b>reed</b>&#64;example.org"), []string{addr}},
		"svg":                 {"image/svg+xml", "a.svg", []byte("<svg><text>ben.reed&#64;example.org</text></svg>"), []string{addr}},
		"mail":                {"application/octet-stream", "a.eml", attached("application/octet-stream", "b.docx", sampleDOCX(t, addr)), []string{addr, "maya@willowhouse.example"}},
		"zip":                 {"application/zip", "a.zip", zipped(t, "Ben Reed/notes.txt", "see "+addr, "b.docx", string(sampleDOCX(t, "inner@example.org"))), []string{addr, "Ben Reed/notes.txt", "inner@example.org", "a comment by ben@example.org"}},
		"zip in zip":          {"application/zip", "a.zip", zipped(t, "b.zip", string(zipped(t, "c.txt", addr))), []string{addr}},
		"picture in zip":      {"application/zip", "a.zip", zipped(t, "b.jpg", "\xff\xd8\xff\xe1\x00"+addr+"\x00"), []string{addr}},
		"gzip":                {"application/gzip", "a.txt.gz", gzipped(t, []byte(addr)), []string{addr, "notes.txt"}},
		"tar":                 {"application/x-tar", "a.tar", tarred(t, "Ben Reed.txt", addr), []string{addr, "Ben Reed.txt"}},
		"tar.gz":              {"application/gzip", "a.tgz", gzipped(t, tarred(t, "Ben Reed.txt", addr)), []string{addr, "Ben Reed.txt"}},
		"doc":                 {"application/msword", "a.doc", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00" + addr + "\x00\x01" + utf16[2:]), []string{addr + "\n\x01\n" + "\n\x01\n"[:0]}},
		"pdf":                 {"application/pdf", "a.pdf", pagePDF("BT /F1 12 Tf 72 700 Td (ben.re) Tj (ed@example.org) Tj 0 -14 Td (Ren\\310e) Tj ET"), []string{addr + "\nRenée", "Dora Finch", "Emma", "link@example.org"}},
		"pdf letter by letter": {"application/octet-stream", "a.bin", pagePDF("BT /F1 12 Tf 1 0 0 1 72 700 Tm [(ben.) -20 (reed) -300 (@exam)] TJ 30 0 Td (ple.org) Tj 0 -14 TD [<010203> -333 (Reed)] TJ ET"),
			[]string{addr, "Ben Reed"}},
		"pdf with object streams": {"application/pdf", "a.pdf", samplePDF("", pdfData("/Type /ObjStm /N 2 /First 9 /Filter /FlateDecode", flated("7 0 8 27 << /Title (Dora Finch)  >> << /V (ben.reed@example.org) >>"))), []string{"Dora Finch", addr}},
		"pdf with ToUnicode": {"application/pdf", "a.pdf", samplePDF("", "<< /Type /Page /Contents 2 0 R /Resources << /Font << /F 3 0 R >> >> >>",
			pdfData("", "BT /F 9 Tf <0001000200030004> Tj ET"), "<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 4 0 R >>",
			pdfData("", "1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfchar <0001> <0042> endbfchar 2 beginbfrange <0002> <0003> <0065> <0004> <0004> [<006E0021>] endbfrange")), []string{"Befn!"}},
		"pdf metadata and files": {"application/pdf", "a.pdf", samplePDF("", pdfData("/Type /Metadata /Subtype /XML", "<x:xmpmeta><dc:creator>Gus Lane</dc:creator></x:xmpmeta>"),
			pdfData("/Type /EmbeddedFile /Filter /FlateDecode", flated(string(sampleDOCX(t, addr)))), "<< /Type /Filespec /UF (Ben Reed.docx) >>"), []string{"Gus Lane", addr, "Ben Reed.docx"}},
		"pdf with an older revision": {"application/pdf", "a.pdf", append(pagePDF("BT (old ben.reed@example.org) Tj ET"), samplePDF("", "<</Type/Catalog>>", "<<>>", "<< /Type /Page /Contents 4 0 R >>", pdfData("", "BT (new) Tj ET"))...), []string{addr, "new"}},
		"pdf filters":                {"application/pdf", "a.pdf", samplePDF("", pdfData("/Filter [/ASCIIHexDecode]", "28 62656e2e72656564406578616d706c652e6f7267 29 546a>"), pdfData("/Filter /ASCII85Decode", "7<i6`~>")), []string{addr}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, held := insideOf(t, c.mediaType, c.file, c.content)
			if len(held) > 0 {
				t.Errorf("held for %v", held)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in %q", want, text)
				}
			}
		})
	}
}

// patched changes bytes of a file behind a mark.
func patched(b []byte, mark string, at int, with ...byte) []byte {
	b = slices.Clone(b)
	for i := 0; ; {
		k := bytes.Index(b[i:], []byte(mark))
		if k < 0 {
			return b
		}
		copy(b[i+k+at:], with)
		i += k + len(mark)
	}
}

func TestInsideHeld(t *testing.T) {
	t.Parallel()
	two := zipped(t, "a.txt", "one", "b.txt", "two")
	many := make([]string, 0, 24_000)
	for i := range 10_001 {
		many = append(many, fmt.Sprint(i), "")
	}
	deep := zipped(t, "a.txt", "x")
	for range 3 {
		deep = zipped(t, "b.zip", string(deep))
	}
	noEnd := func(b []byte) []byte { return b[:len(b)/2] }
	for name, c := range map[string]struct {
		mediaType, file string
		content         []byte
		want            string
	}{
		"zip bomb":           {"application/zip", "a.zip", zipped(t, "a.txt", strings.Repeat("\x00", 20<<20)), defArchiveBomb},
		"docx bomb":          {"application/zip", "a.docx", sampleDOCX(t, strings.Repeat(" ", 20<<20)), defArchiveBomb},
		"gzip bomb":          {"application/gzip", "a.gz", gzipped(t, bytes.Repeat([]byte{0}, 20<<20)), defArchiveBomb},
		"pdf bomb":           {"application/pdf", "a.pdf", pagePDF(strings.Repeat(" ", 20<<20)), defArchiveBomb},
		"too many files":     {"application/zip", "a.zip", zipped(t, many...), defArchiveBomb},
		"too deep":           {"application/zip", "a.zip", deep, defArchiveBomb},
		"shared bytes":       {"application/zip", "a.zip", patched(zipped(t, "a.txt", "one", "a.tx2", "one"), "a.tx2PK", 0), ""},
		"slip":               {"application/zip", "a.zip", zipped(t, "../../etc/a", "x"), defArchiveName},
		"slip by backslash":  {"application/zip", "a.zip", zipped(t, `..\a`, "x"), defArchiveName},
		"absolute":           {"application/zip", "a.zip", zipped(t, "/etc/a", "x"), defArchiveName},
		"twice":              {"application/zip", "a.zip", zipped(t, "a", "x", "a", "y"), defArchiveAmbiguous},
		"other local name":   {"application/zip", "a.zip", append([]byte(strings.Replace(string(two), "a.txt", "c.txt", 1)), nil...), defArchiveAmbiguous},
		"locked zip":         {"application/zip", "a.zip", patched(patched(two, "PK\x03\x04", 6, 9), "PK\x01\x02", 8, 9), defLocked},
		"unknown method":     {"application/zip", "a.zip", patched(patched(two, "PK\x03\x04", 8, 14), "PK\x01\x02", 10, 14), defUnreadable},
		"cut zip":            {"application/zip", "a.zip", noEnd(two), defUnreadable},
		"damaged deflate":    {"application/zip", "a.zip", patched(two, "a.txt", 5, 0xff, 0xff, 0xff, 0xff), defUnreadable},
		"something before":   {"application/zip", "a.zip", append([]byte("PK\x03\x04 not the first"), two...), defUnreadable},
		"no zip at all":      {"application/zip", "a.zip", []byte("\x01\x02\x03\x04\x00\x00"), defUnreadable},
		"rar":                {"application/vnd.rar", "a.rar", []byte("Rar!\x1a\x07\x00"), defClosedArchive},
		"locked docx":        {"application/octet-stream", "a.docx", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), utf16Bytes("EncryptedPackage")...), defLocked},
		"locked odt":         {"application/octet-stream", "a.odt", zipped(t, "content.xml", "\x00\x01", "META-INF/manifest.xml", "<manifest:encryption-data/>"), defLocked},
		"locked pdf":         {"application/pdf", "a.pdf", samplePDF("/Encrypt 2 0 R", "<</Type/Catalog>>", "<< /Filter /Standard /V 4 >>"), defLocked},
		"locked pdf, stream": {"application/pdf", "a.pdf", samplePDF("", pdfData("/Type /XRef /Encrypt 2 0 R", "x")), defLocked},
		"cut pdf":            {"application/pdf", "a.pdf", noEnd(pagePDF("BT ET")), defUnreadable},
		"empty pdf":          {"application/pdf", "a.pdf", []byte("%PDF-1.7\n%%EOF"), defUnreadable},
		"damaged page":       {"application/pdf", "a.pdf", samplePDF("", "<< /Type /Page /Contents 2 0 R >>", pdfData("/Filter /FlateDecode", "not compressed")), defUnreadable},
		"font without text":  {"application/pdf", "a.pdf", samplePDF("", "<< /Type /Page /Contents 2 0 R /Resources << /Font << /F << /Subtype /Type0 /Encoding /Identity-H >> >> >> >>", pdfData("", "/F 1 Tf <00010002> Tj")), defUnreadable},
		"no pdf at all":      {"application/pdf", "a.pdf", []byte("\x01\x02\x03\x00"), defUnreadable},
		"slip in tar":        {"application/x-tar", "a.tar", tarred(t, "../a", "x"), defArchiveName},
		"too much text":      {"application/octet-stream", "a.txt", bytes.Repeat([]byte("seven words of text in one line\n"), 300_000), defTextTooLong},
		"too much in zip":    {"application/zip", "a.zip", zippedNoise(t, 9<<20), defTextTooLong},
		"picture":            {"image/png", "a.png", []byte("\x89PNG\r\n\x1a\n\x00"), ""},
		"unknown":            {"application/octet-stream", "a.dat", []byte("\x01\x02\x03\x00"), ""},
		"empty":              {"application/pdf", "a.pdf", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch _, held := insideOf(t, c.mediaType, c.file, c.content); {
			case c.want == "" && len(held) > 0:
				t.Errorf("held for %v", held)
			case c.want != "" && !slices.Contains(held, c.want):
				t.Errorf("held for %v, not for %s", held, c.want)
			}
		})
	}
}

// zippedNoise is an archive of text that hardly compresses.
func zippedNoise(t testing.TB, n int) []byte {
	var b strings.Builder
	for x := uint32(1); b.Len() < n; x = x*1664525 + 1013904223 {
		fmt.Fprintf(&b, "%08x ", x)
	}
	return zipped(t, "a.txt", b.String())
}

func TestOverlapBomb(t *testing.T) {
	t.Parallel()
	b := zipped(t, "a.txt", "one", "b.txt", "two")
	// The second file starts where the first one does.
	second := bytes.LastIndex(b, []byte("PK\x01\x02"))
	copy(b[second+42:], []byte{0, 0, 0, 0})
	copy(b[second+46:], "a.tx2")
	if _, held := insideOf(t, "application/zip", "a.zip", b); len(held) == 0 {
		t.Error("two files that share their bytes are let through")
	}
}

// TestInsideOnceForAll holds the text of all files together to the limit.
func TestInsideOnceForAll(t *testing.T) {
	t.Parallel()
	lim := DefaultLimits()
	lim.TextBytes = 1000
	b := attached("application/zip", "a.zip", zipped(t, "a.txt", strings.Repeat("a", 700), "b.txt", strings.Repeat("b", 700)))
	m, err := Parse(bytes.NewReader(b), int64(len(b)), lim)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for p := range m.Parts() {
		n += len(p.Text)
		for _, s := range p.Inside() {
			n += len(s)
		}
	}
	if n > 1000 {
		t.Errorf("%d bytes of text are kept", n)
	}
	if _, name := worst(m); name != defTextTooLong {
		t.Errorf("the defect is %q", name)
	}
}

// TestInsideNewText keeps files out of what the writer has written.
func TestInsideNewText(t *testing.T) {
	t.Parallel()
	m := parseBytes(t, attached("application/octet-stream", "a.docx", sampleDOCX(t, "inner words")))
	if s := m.NewText(); strings.Contains(s, "inner") || !strings.Contains(s, "Hello.") {
		t.Errorf("new text: %q", s)
	}
	found := false
	for p, s := range m.Texts() {
		found = found || p.Path == "1.2" && strings.Contains(s, "inner words")
	}
	if !found {
		t.Error("the text of the file is not among the texts of its part")
	}
}

func TestBase64At(t *testing.T) {
	t.Parallel()
	want := make([]byte, 200_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for _, width := range []int{4, 76, 77, 1000} {
		enc, lines := base64.StdEncoding.EncodeToString(want), ""
		var b strings.Builder
		for len(enc) > width {
			b.WriteString(enc[:width] + "\r\n")
			enc = enc[width:]
		}
		lines = b.String() + enc
		at, size := newBase64At(io.NewSectionReader(strings.NewReader(lines), 0, int64(len(lines))))
		if size != int64(len(want)) {
			t.Fatalf("size %d", size)
		}
		for _, off := range []int{0, 1, 99_999, 24_575, 24_576, 24_577, 199_000, 3, 150_000} {
			got := make([]byte, 999)
			if _, err := at.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, want[off:off+999]) {
				t.Errorf("width %d: wrong bytes at %d: %v", width, off, err)
			}
		}
		if n, err := at.ReadAt(make([]byte, 10), size-4); n != 4 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
}

func fuzzInside(f *testing.F, name string, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := DefaultLimits()
		lim.TextBytes = 64 << 10
		src := attached("application/octet-stream", name, b)
		m, err := Parse(bytes.NewReader(src), int64(len(src)), lim)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for p := range m.Parts() {
			n += int64(len(p.Text))
			for _, s := range p.Inside() {
				if n += int64(len(s)); strings.ToValidUTF8(s, "") != s {
					t.Errorf("%q is not UTF-8", s)
				}
			}
		}
		if n > lim.TextBytes {
			t.Errorf("%d bytes of text are kept", n)
		}
	})
}

func FuzzZIP(f *testing.F) {
	two := zipped(f, "a.txt", "one", "b.txt", "two")
	fuzzInside(f, "a.zip", two, two[:60], zipped(f), zipped(f, "b.zip", string(two)), gzipped(f, two), tarred(f, "a", "x"))
}

func FuzzOffice(f *testing.F) {
	fuzzInside(f, "a.docx", sampleDOCX(f, "Ben"), zipped(f, "content.xml", "<text:p>a</text:p>"),
		zipped(f, "[Content_Types].xml", "", "xl/worksheets/sheet1.xml", `<c t="s"><v>0</v></c><c><v>1e4</v></c>`, "xl/sharedStrings.xml", "<si><t>a</t></si>"))
}

func FuzzXML(f *testing.F) {
	fuzzInside(f, "a.xml", []byte("<?xml version='1.0' encoding='utf-16'?><a b=\"c\">&lt;<![CDATA[x]]><!-- y --></a>"), []byte("<svg"), []byte("\xff\xfe<\x00"))
}

func FuzzRTF(f *testing.F) {
	fuzzInside(f, "a.rtf", []byte(`{\rtf1\ansicpg932 \'82\'a0{\*\x \bin3 abc}\u-10179?\u-8704?{\object{\*\objdata 0102}}}`), []byte(`{\rtf`), []byte(`{\rtf1\'`))
}

func FuzzPDF(f *testing.F) {
	fuzzInside(f, "a.pdf", pagePDF("BT /F1 1 Tf [(a) -200 <62>] TJ ET"), samplePDF("", pdfData("/Type /ObjStm /N 1 /First 4", "1 0 (a)")),
		samplePDF("", pdfData("/Filter /LZWDecode", "\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01")), []byte("%PDF-1.7 1 0 obj"))
}

func FuzzCalendar(f *testing.F) {
	fuzzInside(f, "a.ics", []byte("BEGIN:VCALENDAR\nA;ENCODING=QUOTED-PRINTABLE:=C3=\n b\n"), []byte("BEGIN:VCARD"))
}

func FuzzOLE(f *testing.F) {
	fuzzInside(f, "a.doc", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1abcdef\x00g\x00h\x00i\x00"))
}

// TestParseCopy takes the text of an unchanged file from the original, and opens a changed one.
func TestParseCopy(t *testing.T) {
	t.Parallel()
	m := parseBytes(t, attached("application/octet-stream", "a.docx", sampleDOCX(t, "inner words")))
	m.Root.Parts[1].inside = []string{"from the original"}
	read := func(b []byte) string {
		c, err := m.ParseCopy(bytes.NewReader(b), int64(len(b)), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(c.Root.Parts[1].Inside(), "")
	}
	copied, err := writeBytes(t, m, Draft{ID: sampleID, Fields: sampleFields(), First: []string{"First."}})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(copied); got != "from the original" {
		t.Errorf("the unchanged file reads %q", got)
	}
	if got := read(attached("application/octet-stream", "a.docx", sampleDOCX(t, "inner wordz"))); !strings.Contains(got, "inner wordz") {
		t.Errorf("the changed file reads %q", got)
	}
	locked := parseBytes(t, attached("application/pdf", "a.pdf", samplePDF("/Encrypt 2 0 R", "<</Type/Catalog>>")))
	if copied, err = writeBytes(t, locked, Draft{ID: sampleID, Fields: sampleFields()}); err != nil {
		t.Fatal(err)
	}
	c, err := locked.ParseCopy(bytes.NewReader(copied), int64(len(copied)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if w, name := worst(c); w != HoldIt || name != defLocked {
		t.Errorf("the copy of a locked file has the defect %q", name)
	}
}

// What stands right behind an address in a packed picture (the checksum of a PNG) does not hide
// it, whether its bytes look like letters, digits or blanks.
func TestAChecksumHidesNoAddress(t *testing.T) {
	t.Parallel()
	for _, sum := range []string{"Qz9\xff", "0\t\xf3\xe0", "\t \xf3\xe0", " a\tb", "ab\n\xff", "....", "\xf3\xe0ab"} {
		text, held := insideOf(t, "application/zip", "a.zip", zipped(t, "image1.png", "\x89PNG\r\n\x1a\n\xff\xfeComment\x00cleo@example.net"+sum+"\x00\x00\x00\x0eIDAT\xff\xff"))
		if len(held) > 0 || !slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' }), "cleo@example.net") && !strings.Contains(text, "cleo@example.net\n") {
			t.Errorf("%q behind: held %q, text %q", sum, held, text)
		}
	}
}
