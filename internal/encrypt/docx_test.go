package encrypt

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func docxBytes(t interface{ Fatal(...any) }, l Letter) []byte {
	var b bytes.Buffer
	if err := l.DOCX(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// partOf returns a part of an Office file.
func partOf(t interface{ Fatal(...any) }, b []byte, name string) string {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func partNames(t interface{ Fatal(...any) }, b []byte) (names []string) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	return names
}

// docxText reads the text of a document, a paragraph a line.
func docxText(t interface{ Fatal(...any) }, b []byte) string {
	dec := xml.NewDecoder(strings.NewReader(partOf(t, b, "word/document.xml")))
	var s strings.Builder
	for inText := false; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return strings.TrimPrefix(s.String(), "\n")
		} else if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			switch inText = tok.Name.Local == "t"; tok.Name.Local {
			case "p", "br":
				s.WriteByte('\n')
			}
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				s.Write(tok)
			}
		}
	}
}

// letterOfScripts says something in many scripts, in every kind of block.
func letterOfScripts() Letter {
	return Letter{Title: "Our talk on Tuesday & <more>", Lang: "en-GB", Blocks: []Block{
		{Kind: Paragraph, Spans: []Span{{Text: "Dear Dora,\nthe "}, {Text: "small", Bold: true}, {Text: " room, "}, {Text: "first floor", Italic: true}, {Text: "."}}},
		{Kind: Heading, Level: 2, Spans: []Span{{Text: "Wtorek, zażółć gęślą jaźń"}}},
		{Kind: ListItem, Level: 1, Marker: "•", Spans: []Span{{Text: "Вторник в десять"}}},
		{Kind: ListItem, Level: 2, Marker: "3.", Spans: []Span{{Text: "Τρίτη στις δέκα"}}},
		{Kind: Quote, Level: 1, Spans: []Span{{Text: "موعدنا يوم الثلاثاء الساعة 10 في Room 4."}}},
		{Kind: Paragraph, Spans: []Span{{Text: "הפגישה ביום שלישי בשעה 10, ב-Room 4."}}},
		{Kind: Paragraph, Spans: []Span{{Text: "星期二十点见。火曜日の十時です。화요일 10시."}}},
		{Kind: Paragraph, Spans: []Span{{Text: "मंगलवार को दस बजे · วันอังคาร · 👋🏽 🌱"}}},
		{Kind: Paragraph, Spans: []Span{{Text: "See "}, {Text: "the ", Link: "https://practice.example/form"}, {Text: "form", Bold: true, Link: "https://practice.example/form"},
			{Text: " or "}, {Text: "practice.example", Link: "https://practice.example/"}, {Text: "."}}},
	}}
}

// withAddresses is the text of letterOfScripts with the address of its link.
func withAddresses(l Letter) string {
	return strings.Replace(l.Text(), "the form or", "the form (https://practice.example/form) or", 1)
}

func TestDOCXSaysTheLetter(t *testing.T) {
	t.Parallel()
	l := letterOfScripts()
	b := docxBytes(t, l)
	if got, want := docxText(t, b), withAddresses(l); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !bytes.Equal(b, docxBytes(t, l)) {
		t.Error("the same letter is other bytes")
	}
	doc := partOf(t, b, "word/document.xml")
	for text, want := range map[string]string{
		"Arabic":          `<w:pStyle w:val="Quote"/><w:bidi/>`,
		"Hebrew":          `<w:p><w:pPr><w:bidi/></w:pPr>`,
		"heading":         `<w:pStyle w:val="Heading2"/>`,
		"list":            `<w:pStyle w:val="ListParagraph"/>`,
		"bold":            `<w:b/><w:bCs/></w:rPr><w:t xml:space="preserve">small`,
		"italic":          `<w:i/><w:iCs/></w:rPr><w:t xml:space="preserve">first floor`,
		"latin in Arabic": `</w:r><w:r><w:t xml:space="preserve">Room 4.`,
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s: no %s", text, want)
		}
	}
	core := partOf(t, b, "docProps/core.xml")
	if !strings.Contains(core, "<dc:title>Our talk on Tuesday &amp; &lt;more&gt;</dc:title><dc:language>en-GB</dc:language>") ||
		strings.Contains(core, "creator") || strings.Contains(core, "dcterms") {
		t.Errorf("core properties: %s", core)
	}
	if all := string(b); strings.Contains(all, "TargetMode") || strings.Contains(partOf(t, b, "word/_rels/document.xml.rels"), "External") {
		t.Error("something leads out of the document")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if f.Modified.Year() != 1980 || f.Comment != "" {
			t.Errorf("%s: %+v", f.Name, f.FileHeader)
		}
	}
}

func TestDOCXRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("abc <>&\"']]>\n\tאבג عربي 日本 \u202e\u200d\x00\u0085\ufffe"))))
		l := Letter{Title: text.Draw(t, "title"), Lang: rapid.SampledFrom([]string{"", "ar", "zh-Hans", `"><x`, "a"}).Draw(t, "lang")}
		want := clean(l.Title)
		for range rapid.IntRange(0, 4).Draw(t, "blocks") {
			b := Block{Kind: BlockKind(rapid.IntRange(0, 3).Draw(t, "kind")), Level: rapid.IntRange(-1, 9).Draw(t, "level")}
			want += "\n"
			for range rapid.IntRange(0, 3).Draw(t, "spans") {
				s := Span{Text: text.Draw(t, "text"), Bold: rapid.Bool().Draw(t, "bold"), Italic: rapid.Bool().Draw(t, "italic")}
				b.Spans = append(b.Spans, s)
				want += clean(s.Text)
			}
			l.Blocks = append(l.Blocks, b)
		}
		b := docxBytes(t, l)
		if got := docxText(t, b); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		// Every part is XML to its end.
		for _, name := range []string{"docProps/core.xml", "word/styles.xml"} {
			var whole struct {
				Inner string `xml:",innerxml"`
			}
			if err := xml.Unmarshal([]byte(partOf(t, b, name)), &whole); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

func TestDOCXWriterFails(t *testing.T) {
	t.Parallel()
	whole := docxBytes(t, letterOfScripts())
	for n := 0; n < len(whole); n += 50 {
		if err := letterOfScripts().DOCX(&shortWriter{room: n}); err == nil {
			t.Fatalf("a writer that takes %d bytes", n)
		}
	}
	if err := (Letter{Blocks: []Block{{Kind: 9}}}).DOCX(io.Discard); err == nil {
		t.Error("a block of no kind is left out")
	}
}
