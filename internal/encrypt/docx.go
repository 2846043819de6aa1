package encrypt

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/bidi"
)

// DOCX writes the letter as a Word document (ECMA-376 part 1, WordprocessingML): its title, then
// its blocks, with the styles that screen readers go by. Whoever reads it finds no author, no
// time and nothing that leads out of it: a link is text, with its address behind it. The same
// letter is always the same bytes.
func (l Letter) DOCX(w io.Writer) error {
	if err := l.writeDOCX(w); err != nil {
		return fmt.Errorf("encrypt: write docx: %w", err)
	}
	return nil
}

func (l Letter) writeDOCX(w io.Writer) error {
	lang := ""
	if isLanguageTag(l.Lang) {
		lang = l.Lang
	}
	z := zip.NewWriter(w)
	for _, part := range []struct {
		name string
		text func(w io.Writer) error
	}{
		{"[Content_Types].xml", fixedXML(docxTypes)},
		{"_rels/.rels", fixedXML(docxRels)},
		{"docProps/core.xml", fixedXML(fmt.Sprintf(docxCore, escaped(clean(l.Title)), lang))},
		{"word/document.xml", l.writeDocument},
		{"word/styles.xml", fixedXML(docxStyles(lang))},
		{"word/settings.xml", fixedXML(docxSettings)},
		{"word/_rels/document.xml.rels", fixedXML(docxDocumentRels)},
	} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: part.name, Method: zip.Deflate, Modified: zipDay()})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n"); err != nil {
			return err
		}
		if err := part.text(f); err != nil {
			return err
		}
	}
	return z.Close()
}

func fixedXML(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

const (
	docxMain = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

	docxTypes = `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>` +
		`<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>` +
		`<Override PartName="/word/settings.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.settings+xml"/>` +
		`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>`

	docxRelations = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	docxRels      = docxRelations +
		`<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>` +
		`<Relationship Id="r2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`
	docxDocumentRels = docxRelations +
		`<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>` +
		`<Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/settings" Target="settings.xml"/></Relationships>`

	docxCore = `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">` +
		`<dc:title>%s</dc:title><dc:language>%s</dc:language></cp:coreProperties>`

	// Without the mode, Word opens the document as one of 2007.
	docxSettings = `<w:settings xmlns:w="` + docxMain + `"><w:compat>` +
		`<w:compatSetting w:name="compatibilityMode" w:uri="http://schemas.microsoft.com/office/word" w:val="15"/></w:compat></w:settings>`
)

// docxStyles are the styles of the blocks, under the names that Word knows them by.
func docxStyles(lang string) string {
	var b strings.Builder
	b.WriteString(`<w:styles xmlns:w="` + docxMain + `"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:cs="Arial"/><w:sz w:val="26"/><w:szCs w:val="26"/>`)
	if lang != "" {
		fmt.Fprintf(&b, `<w:lang w:val="%s" w:eastAsia="%[1]s" w:bidi="%[1]s"/>`, lang)
	}
	b.WriteString(`</w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="160" w:line="288" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>` +
		`<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>`)
	style := func(id, name, paragraph string, size int) {
		fmt.Fprintf(&b, `<w:style w:type="paragraph" w:styleId="%s"><w:name w:val="%s"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr>%s</w:pPr>`, id, name, paragraph)
		if size > 0 {
			fmt.Fprintf(&b, `<w:rPr><w:b/><w:bCs/><w:sz w:val="%d"/><w:szCs w:val="%[1]d"/></w:rPr>`, size)
		}
		b.WriteString(`</w:style>`)
	}
	style("Title", "Title", `<w:keepNext/>`, 40)
	for n := 1; n <= 6; n++ {
		style("Heading"+strconv.Itoa(n), "heading "+strconv.Itoa(n), fmt.Sprintf(`<w:keepNext/><w:spacing w:before="240"/><w:outlineLvl w:val="%d"/>`, n-1), 38-2*n)
	}
	style("ListParagraph", "List Paragraph", "", 0)
	style("Quote", "Quote", "", 0)
	b.WriteString(`</w:styles>`)
	return b.String()
}

// isLanguageTag reports whether a tag has the form of RFC 5646 §2.1.
func isLanguageTag(s string) bool {
	parts := strings.Split(s, "-")
	for i, p := range parts {
		if p == "" || len(p) > 8 || i == 0 && len(p) < 2 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return false
		}
	}
	return true
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer does not fail
	return b.String()
}

func (l Letter) writeDocument(out io.Writer) error {
	w := &docxWriter{w: bufio.NewWriter(out)}
	w.put(`<w:document xmlns:w="` + docxMain + `"><w:body>`)
	w.block("Title", 0, []Span{{Text: l.Title}}, "")
	for _, b := range l.Blocks {
		level := min(max(b.Level, 1), 6)
		switch b.Kind {
		case Heading:
			w.block("Heading"+strconv.Itoa(level), 0, b.Spans, "")
		case ListItem:
			w.block("ListParagraph", level, b.Spans, b.Marker)
		case Quote:
			w.block("Quote", level, b.Spans, "")
		case Paragraph:
			w.block("", 0, b.Spans, "")
		default:
			return errors.New("a block of no kind")
		}
	}
	w.put(`<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1440" w:bottom="1440" w:left="1440" w:header="708" w:footer="708" w:gutter="0"/></w:sectPr></w:body></w:document>`)
	return w.w.Flush()
}

type docxWriter struct{ w *bufio.Writer }

// put writes; Flush returns the error.
func (w *docxWriter) put(s string) { _, _ = w.w.WriteString(s) }

// block writes a paragraph, set in by its level. Its direction is that of its first letter
// that has one (UAX #9, P2 and P3).
func (w *docxWriter) block(style string, level int, spans []Span, marker string) {
	w.put(`<w:p><w:pPr>`)
	if style != "" {
		w.put(`<w:pStyle w:val="` + style + `"/>`)
	}
	if isRTL(spans) {
		w.put(`<w:bidi/>`)
	}
	if level > 0 {
		hanging := ""
		if marker != "" {
			hanging = ` w:hanging="360"`
		}
		w.put(`<w:ind w:left="` + strconv.Itoa(level*480) + `"` + hanging + `/>`)
	}
	w.put(`</w:pPr>`)
	if marker = clean(marker); marker != "" {
		w.run(marker+" ", Span{}, isRTL(spans))
	}
	text := "" // of the link so far
	for i, s := range spans {
		w.span(s)
		text += s.Text
		// The address stands once, behind the last span that leads there.
		if i+1 == len(spans) || spans[i+1].Link != s.Link {
			if link := clean(s.Link); link != "" && !saysAddress(text, link) {
				w.run(" ("+link+")", Span{}, false)
			}
			text = ""
		}
	}
	w.put(`</w:p>`)
}

// saysAddress reports whether the text of a link is its address.
func saysAddress(text, link string) bool {
	bare := func(s string) string {
		s = strings.ToLower(strings.TrimSpace(s))
		for _, scheme := range []string{"https://", "http://", "mailto:", "tel:"} {
			s = strings.TrimPrefix(s, scheme)
		}
		return strings.TrimSuffix(s, "/")
	}
	return bare(text) == bare(link)
}

// span writes text as runs of one direction each: a run from right to left has other fonts.
func (w *docxWriter) span(s Span) {
	text := clean(s.Text)
	start, rtl := 0, isRTL([]Span{s})
	for i, r := range text {
		if turn, strong := direction(r); strong && turn != rtl {
			w.run(text[start:i], s, rtl)
			start, rtl = i, turn
		}
	}
	w.run(text[start:], s, rtl)
}

func (w *docxWriter) run(text string, style Span, rtl bool) {
	if text == "" {
		return
	}
	w.put(`<w:r>`)
	if style.Bold || style.Italic || style.Link != "" || rtl {
		w.put(`<w:rPr>`)
		if style.Bold {
			w.put(`<w:b/><w:bCs/>`)
		}
		if style.Italic {
			w.put(`<w:i/><w:iCs/>`)
		}
		if style.Link != "" {
			w.put(`<w:u w:val="single"/>`)
		}
		if rtl {
			w.put(`<w:rtl/>`)
		}
		w.put(`</w:rPr>`)
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			w.put(`<w:br/>`)
		}
		if line != "" {
			w.put(`<w:t xml:space="preserve">`)
			_ = xml.EscapeText(w.w, []byte(line)) // Flush returns the error
			w.put(`</w:t>`)
		}
	}
	w.put(`</w:r>`)
}

// direction reports whether a character belongs to a script from right to left, and whether it
// has a direction at all.
func direction(r rune) (rtl, strong bool) {
	p, _ := bidi.LookupRune(r)
	switch p.Class() {
	case bidi.R, bidi.AL:
		return true, true
	case bidi.L:
		return false, true
	}
	return false, false
}

func isRTL(spans []Span) bool {
	for _, s := range spans {
		for _, r := range s.Text {
			if rtl, strong := direction(r); strong {
				return rtl
			}
		}
	}
	return false
}

// zipDay is the first day that ZIP knows; every file of ours is of that day.
func zipDay() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }
