package canary

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
	"unicode/utf16"
)

// entry is a file of an archive.
type entry struct{ name, content string }

func archive(comment string, extra []byte, entries ...entry) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Deflate, Extra: extra})
		if err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
		w.Write([]byte(e.content))
	}
	z.SetComment(comment)
	z.Close()
	return b.Bytes()
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`

// office is a package of Word, Excel or PowerPoint: main is its first part.
func office(kind, main string, parts ...entry) []byte {
	all := []entry{
		{"[Content_Types].xml", xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/` + main + `" ContentType="application/vnd.openxmlformats-officedocument.` + kind + `.main+xml"/></Types>`},
		{"_rels/.rels", xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="` + main + `"/></Relationships>`},
	}
	return archive("", nil, append(all, parts...)...)
}

const wordNS = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`

func docx(body string, more ...entry) []byte {
	parts := append([]entry{{"word/document.xml", xmlHead + `<w:document ` + wordNS + `><w:body>` + body + `</w:body></w:document>`}}, more...)
	return office("wordprocessingml.document", "word/document.xml", parts...)
}

func run(s string) string { return `<w:p><w:r><w:t>` + escape(s) + `</w:t></w:r></w:p>` }

func xlsx(sheets ...string) []byte {
	var parts []entry
	var list, rels string
	for i, s := range sheets {
		state := ""
		if i > 0 {
			state = ` state="hidden"`
		}
		list += fmt.Sprintf(`<sheet name="S%d" sheetId="%d"%s r:id="rId%d"/>`, i+1, i+1, state, i+1)
		rels += fmt.Sprintf(`<Relationship Id="rId%d" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet%d.xml"/>`, i+1, i+1)
		parts = append(parts, entry{fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1), xmlHead + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>` + escape(s) + `</t></is></c></row></sheetData></worksheet>`})
	}
	parts = append(parts,
		entry{"xl/workbook.xml", xmlHead + `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>` + list + `</sheets></workbook>`},
		entry{"xl/_rels/workbook.xml.rels", xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + rels + `</Relationships>`})
	return office("spreadsheetml.sheet", "xl/workbook.xml", parts...)
}

func pptx(slide, notes string) []byte {
	const ns = `xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"`
	text := func(root, s string) string {
		return xmlHead + `<p:` + root + ` ` + ns + `><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>` + escape(s) + `</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:` + root + `>`
	}
	return office("presentationml.presentation", "ppt/presentation.xml",
		entry{"ppt/presentation.xml", xmlHead + `<p:presentation ` + ns + `/>`},
		entry{"ppt/slides/slide1.xml", text("sld", slide)}, entry{"ppt/notesSlides/notesSlide1.xml", text("notes", notes)})
}

func odt(body, meta string) []byte {
	const ns = `xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"`
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.CreateHeader(&zip.FileHeader{Name: "mimetype", Method: zip.Store})
	w.Write([]byte("application/vnd.oasis.opendocument.text"))
	for _, e := range []entry{
		{"content.xml", xmlHead + `<office:document-content ` + ns + `><office:body><office:text><text:p>` + escape(body) + `</text:p></office:text></office:body></office:document-content>`},
		{"meta.xml", xmlHead + `<office:document-meta ` + ns + `><office:meta><meta:initial-creator>` + escape(meta) + `</meta:initial-creator></office:meta></office:document-meta>`},
		{"META-INF/manifest.xml", xmlHead + `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/></manifest:manifest>`},
	} {
		w, _ := z.Create(e.name)
		w.Write([]byte(e.content))
	}
	z.Close()
	return b.Bytes()
}

// pdf is a document of one page: the content of its page, its Info dictionary, and what else
// the catalogue and the page hold, with the objects that these name.
type pdf struct {
	content, info, catalog, page string
	deflate                      bool
	objects                      []string // numbered from 7
}

func (p pdf) bytes() []byte {
	stream := []byte("BT /F1 12 Tf 72 720 Td " + p.content + " ET")
	filter := ""
	if p.deflate {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write(stream)
		w.Close()
		stream, filter = b.Bytes(), "/Filter /FlateDecode "
	}
	objects := append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + p.catalog + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> " + p.page + " >>",
		fmt.Sprintf("<< %s/Length %d >>\nstream\n%s\nendstream", filter, len(stream), stream),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
		"<< " + p.info + " >>",
	}, p.objects...)
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, at)
	return b.Bytes()
}

// pdfString is a literal string in Latin-1.
func pdfString(s string) string {
	return "(" + strings.NewReplacer("\\", "\\\\", "(", "\\(", ")", "\\)").Replace(string(latin1(s))) + ")"
}

func chunk(kind, data string) string {
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, uint32(len(data)))
	b.WriteString(kind + data)
	binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE([]byte(kind+data)))
	return b.String()
}

// png is one white point, with a text chunk.
func png(chunks string) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte{0, 255})
	w.Close()
	return []byte("\x89PNG\r\n\x1a\n" + chunk("IHDR", "\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00") + chunks + chunk("IDAT", z.String()) + chunk("IEND", ""))
}

// jpeg has an application segment; no decoder is needed to find what is in it.
func jpeg(marker byte, data string) []byte {
	var b bytes.Buffer
	b.WriteString("\xff\xd8\xff")
	b.WriteByte(marker)
	binary.Write(&b, binary.BigEndian, uint16(len(data)+2))
	b.WriteString(data + "\xff\xd9")
	return b.Bytes()
}

func gif(comment string) []byte {
	s := "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00"
	if comment != "" {
		comment = comment[:min(len(comment), 255)]
		s += "\x21\xfe" + string(rune(len(comment))) + comment + "\x00"
	}
	return []byte(s + ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
}

func calendar(lines string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:1@elsewhere.example\r\nDTSTAMP:20261122T100000Z\r\nDTSTART:20261124T100000Z\r\nSUMMARY:Meeting\r\n" + lines + "END:VEVENT\r\nEND:VCALENDAR\r\n")
}

func zlibbed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func utf16le(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

const (
	typeDocx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	typeXlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	typePptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	typeODT  = "application/vnd.oasis.opendocument.text"
)

func fileChannels() []Channel {
	var list []Channel
	add := func(name, row string, fate Fate, kind, ext string, content func(*draft) []byte) {
		list = append(list, Channel{Name: name, Row: row, Fate: fate, put: func(d *draft) {
			d.attach(file{kind: kind, disposition: "attachment; filename=\"file." + ext + "\"", content: content(d)})
		}})
	}
	text := func(name, row, kind, ext, format string) {
		add(name, row, Searched, kind, ext, func(d *draft) []byte { return fmt.Appendf(nil, format, d.canary()) })
	}

	// Calendars: one row of the list for each property.
	for _, p := range []struct{ name, line string }{
		{"ORGANIZER", "ORGANIZER;CN=\"%[1]s\":mailto:%[2]s\r\n"}, {"ATTENDEE", "ATTENDEE;RSVP=TRUE:mailto:%[2]s\r\n"},
		{"CN", "ATTENDEE;CN=\"%[1]s\":mailto:somebody@elsewhere.example\r\n"}, {"LOCATION", "LOCATION:%[1]s\r\n"},
		{"DESCRIPTION", "DESCRIPTION:Bring the papers of %[1]s\r\n"}, {"URL", "URL:https://elsewhere.example/%[3]s\r\n"},
		{"ATTACH", "ATTACH:https://elsewhere.example/%[3]s.pdf\r\n"}, {"X-WR-CALNAME", "X-WR-CALNAME:%[1]s\r\n"},
		{"VALARM", "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nDESCRIPTION:%[1]s\r\nEND:VALARM\r\n"}, {"UID", "RELATED-TO:%[2]s\r\n"},
		{"SUMMARY, folded", "X-ALT-DESC:See\r\n  %[1]s\r\n"},
	} {
		add("ICS: "+p.name, rowICS, Searched, "text/calendar; charset=utf-8; method=REQUEST", "ics", func(d *draft) []byte {
			line := fmt.Sprintf(p.line+"%.0[1]s%.0[2]s%.0[3]s", strings.ReplaceAll(d.canary(), "\"", ""), d.mailbox(), d.atom())
			if p.name == "SUMMARY, folded" {
				line = line[:14] + "\r\n " + line[14:]
			}
			return calendar(line)
		})
	}
	add("ICS in the letter", rowICS, Searched, "text/calendar; charset=utf-8", "ics", func(d *draft) []byte { return calendar("CONTACT:" + d.canary() + "\r\n") })

	text("vCard", rowVCard, "text/vcard; charset=utf-8", "vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Somebody\r\nN:;;;;\r\nNOTE:%s\r\nEND:VCARD\r\n")
	add("vCard: quoted-printable", rowVCard, Searched, "text/x-vcard; charset=utf-8", "vcf", func(d *draft) []byte {
		var b strings.Builder
		for _, c := range []byte(d.canary()) {
			fmt.Fprintf(&b, "=%02X", c)
		}
		return []byte("BEGIN:VCARD\r\nVERSION:2.1\r\nN:X;Y\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:" + b.String() + "\r\nEND:VCARD\r\n")
	})
	inner := func(d *draft) string {
		return "From: <" + d.mailbox() + ">\r\nTo: you@elsewhere.example\r\nSubject: About " + d.ascii() + "\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello " + d.ascii() + "\r\n"
	}
	list = append(list,
		Channel{Name: "message/rfc822", Row: rowQuoted, Fate: Searched, put: func(d *draft) {
			d.attach(file{kind: "message/rfc822", disposition: "attachment", encoding: "7bit", content: []byte(inner(d))})
		}},
		Channel{Name: "message/rfc822, two deep, base64 inside", Row: rowQuoted, Fate: Searched, put: func(d *draft) {
			deep := encoded("text/plain; charset=utf-8", "base64", nil, []byte("Hello "+d.canary()+"\r\n"))
			m := "From: a@elsewhere.example\r\nTo: b@elsewhere.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=forwarded\r\n\r\n--forwarded\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@elsewhere.example\r\nSubject: y\r\nMIME-Version: 1.0\r\n" + deep + "\r\n--forwarded--\r\n"
			d.attach(file{kind: "message/rfc822", disposition: "attachment", encoding: "7bit", content: []byte(m)})
		}})
	add(".eml as a file", rowVCard, Searched, "application/octet-stream", "eml", func(d *draft) []byte { return []byte(inner(d)) })
	add("winmail.dat", rowVCard, Barred, "application/ms-tnef", "dat", func(d *draft) []byte {
		return []byte("\x78\x9f\x3e\x22\x01\x00\x01\x06\x90\x08\x00\x04\x00\x00\x00" + d.ascii() + "\x00")
	})

	add("PDF: text", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte { return pdf{content: pdfString("About "+d.canary()) + " Tj"}.bytes() })
	add("PDF: compressed text", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		return pdf{content: pdfString("About "+d.canary()) + " Tj", deflate: true}.bytes()
	})
	add("PDF: text in pieces", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		s := string(latin1(d.ascii()))
		return pdf{content: "[" + pdfString(s[:3]) + " -20 " + pdfString(s[3:5]) + " 15 " + pdfString(s[5:]) + "] TJ", deflate: true}.bytes()
	})
	add("PDF: hexadecimal text", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		return pdf{content: "<" + hexOf(d.ascii()) + "> Tj"}.bytes()
	})
	add("PDF: Info", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		return pdf{content: "(Hello) Tj", info: "/Title " + pdfString(d.canary()) + " /Author (x)"}.bytes()
	})
	add("PDF: Info in UTF-16", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		s := "\xfe\xff"
		for _, u := range utf16.Encode([]rune(d.canary())) {
			s += string([]byte{byte(u >> 8), byte(u)})
		}
		return pdf{content: "(Hello) Tj", info: "/Author <" + hexOf(s) + ">"}.bytes()
	})
	add("PDF: note", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		return pdf{content: "(Hello) Tj", page: "/Annots [7 0 R]", objects: []string{"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents " + pdfString(d.canary()) + " >>"}}.bytes()
	})
	add("PDF: outline", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		return pdf{content: "(Hello) Tj", catalog: "/Outlines 7 0 R", objects: []string{"<< /Type /Outlines /First 8 0 R /Last 8 0 R /Count 1 >>", "<< /Title " + pdfString(d.canary()) + " /Parent 7 0 R >>"}}.bytes()
	})
	add("PDF: attached file", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		s := zlibbed("Notes about " + d.canary())
		return pdf{content: "(Hello) Tj", catalog: "/Names << /EmbeddedFiles << /Names [(a.txt) 7 0 R] >> >>",
			objects: []string{"<< /Type /Filespec /F (a.txt) /EF << /F 8 0 R >> >>", fmt.Sprintf("<< /Type /EmbeddedFile /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", len(s), s)}}.bytes()
	})
	add("PDF: XMP", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		x := "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description xmlns:dc=\"http://purl.org/dc/elements/1.1/\" dc:title=\"" + escape(d.canary()) + "\"/></rdf:RDF></x:xmpmeta>"
		return pdf{content: "(Hello) Tj", catalog: "/Metadata 7 0 R", objects: []string{fmt.Sprintf("<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream", len(x), x)}}.bytes()
	})
	add("PDF: older revision", rowPDF, Searched, "application/pdf", "pdf", func(d *draft) []byte {
		old := pdf{content: pdfString(d.canary()) + " Tj"}.bytes()
		s := "BT /F1 12 Tf (Hello) Tj ET"
		at := len(old)
		obj := fmt.Sprintf("4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(s), s)
		prev := strings.Fields(string(old[bytes.LastIndex(old, []byte("startxref"))+9:]))[0]
		return append(old, fmt.Sprintf("%sxref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R /Prev %s >>\nstartxref\n%d\n%%%%EOF\n", obj, at, prev, at+len(obj))...)
	})

	add("docx: text", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte { return docx(run("About " + d.canary())) })
	add("docx: text in runs", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		s := []rune(d.canary())
		return docx(`<w:p><w:r><w:t xml:space="preserve">` + escape(string(s[:4])) + `</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">` + escape(string(s[4:])) + `</w:t></w:r></w:p>`)
	})
	add("docx: properties", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"docProps/core.xml", xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>` + escape(d.canary()) + `</dc:creator></cp:coreProperties>`})
	})
	add("docx: company and template", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"docProps/app.xml", xmlHead + `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"><Template>C:\Clients\` + escape(d.canary()) + `.dotx</Template></Properties>`})
	})
	add("docx: comment", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"word/comments.xml", xmlHead + `<w:comments ` + wordNS + `><w:comment w:id="0" w:author="` + escape(d.canary()) + `">` + run("see "+d.canary()) + `</w:comment></w:comments>`})
	})
	add("docx: tracked deletion", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(`<w:p><w:del w:id="1" w:author="x"><w:r><w:delText>` + escape(d.canary()) + `</w:delText></w:r></w:del><w:r><w:t>Hello</w:t></w:r></w:p>`)
	})
	add("docx: header and footnotes", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"word/header1.xml", xmlHead + `<w:hdr ` + wordNS + `>` + run(d.canary()) + `</w:hdr>`}, entry{"word/footnotes.xml", xmlHead + `<w:footnotes ` + wordNS + `><w:footnote w:id="1">` + run(d.canary()) + `</w:footnote></w:footnotes>`})
	})
	add("docx: people.xml", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"word/people.xml", xmlHead + `<w15:people xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml"><w15:person w15:author="` + escape(d.canary()) + `"/></w15:people>`})
	})
	add("docx: link target", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"word/_rels/document.xml.rels", xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink" Target="mailto:` + escape(d.mailbox()) + `" TargetMode="External"/></Relationships>`})
	})
	add("docx: picture inside", rowDocx, Searched, typeDocx, "docx", func(d *draft) []byte {
		return docx(run("Hello"), entry{"word/media/image1.png", string(png(chunk("tEXt", "Comment\x00"+d.mailbox())))})
	})
	add("ODF: text", rowDocx, Searched, typeODT, "odt", func(d *draft) []byte { return odt("About "+d.canary(), "x") })
	add("ODF: properties", rowDocx, Searched, typeODT, "odt", func(d *draft) []byte { return odt("Hello", d.canary()) })
	add("RTF: text", rowDocx, Searched, "application/rtf", "rtf", func(d *draft) []byte {
		return []byte(`{\rtf1\ansi\ansicpg1252 About ` + string(latin1(d.canary())) + `.\par}`)
	})
	add("RTF: escaped", rowDocx, Searched, "application/rtf", "rtf", func(d *draft) []byte {
		var b strings.Builder
		for _, c := range latin1(d.canary()) {
			fmt.Fprintf(&b, `\'%02x`, c)
		}
		return []byte(`{\rtf1\ansi\ansicpg1252 About ` + b.String() + `.\par}`)
	})
	add("RTF: properties", rowDocx, Searched, "application/rtf", "rtf", func(d *draft) []byte {
		return []byte(`{\rtf1\ansi{\info{\author ` + d.ascii() + `}}Hello.\par}`)
	})

	add("xlsx: cell", rowXlsx, Searched, typeXlsx, "xlsx", func(d *draft) []byte { return xlsx(d.canary()) })
	add("xlsx: hidden sheet", rowXlsx, Searched, typeXlsx, "xlsx", func(d *draft) []byte { return xlsx("Hello", d.canary()) })
	add("pptx: slide", rowXlsx, Searched, typePptx, "pptx", func(d *draft) []byte { return pptx(d.canary(), "Hello") })
	add("pptx: notes", rowXlsx, Searched, typePptx, "pptx", func(d *draft) []byte { return pptx("Hello", d.canary()) })

	// Pictures are searched for mailboxes and phone numbers only.
	contact := func(d *draft) string {
		if d.rng.IntN(2) == 0 {
			return d.phone()
		}
		return d.mailbox()
	}
	add("JPEG: EXIF", rowImages, Searched, "image/jpeg", "jpg", func(d *draft) []byte {
		return jpeg(0xe1, "Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00artist "+contact(d)+"\x00")
	})
	add("JPEG: EXIF in UTF-16", rowImages, Searched, "image/jpeg", "jpg", func(d *draft) []byte {
		return jpeg(0xe1, "Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"+utf16le("owner "+contact(d)+" ")+"\x00")
	})
	add("JPEG: XMP", rowImages, Searched, "image/jpeg", "jpg", func(d *draft) []byte {
		return jpeg(0xe1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta><dc:creator>"+escape(contact(d))+"</dc:creator></x:xmpmeta>")
	})
	add("JPEG: comment", rowImages, Searched, "image/jpeg", "jpg", func(d *draft) []byte { return jpeg(0xfe, "taken for "+contact(d)) })
	add("PNG: tEXt", rowImages, Searched, "image/png", "png", func(d *draft) []byte { return png(chunk("tEXt", "Author\x00"+contact(d))) })
	add("GIF: comment", rowImages, Searched, "image/gif", "gif", func(d *draft) []byte { return gif("for " + contact(d)) })
	text("SVG", rowImages, "image/svg+xml", "svg", `<svg xmlns="http://www.w3.org/2000/svg"><metadata>%s</metadata></svg>`)
	add("MP3: ID3", rowImages, Searched, "audio/mpeg", "mp3", func(d *draft) []byte {
		return []byte("ID3\x03\x00\x00\x00\x00\x00\x40COMM\x00\x00\x00\x40\x00\x00\x00eng\x00" + contact(d) + strings.Repeat("\x00", 20))
	})

	add("ZIP: text inside", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte {
		return archive("", nil, entry{"notes.txt", "About " + d.canary() + "\r\n"})
	})
	add("ZIP: name of an entry", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte {
		return archive("", nil, entry{d.atom() + "/notes.txt", "Hello"})
	})
	add("ZIP: comment", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte { return archive("for "+d.canary(), nil, entry{"notes.txt", "Hello"}) })
	add("ZIP: extra field", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte {
		s := contact(d)
		return archive("", append([]byte{0xfe, 0xca, byte(len(s)), 0}, s...), entry{"notes.txt", "Hello"})
	})
	add("ZIP in ZIP", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte {
		return archive("", nil, entry{"a.zip", string(archive("", nil, entry{"notes.txt", "About " + d.canary()}))})
	})
	add("ZIP: docx inside", rowZip, Searched, "application/zip", "zip", func(d *draft) []byte {
		return archive("", nil, entry{"a.docx", string(docx(run("About " + d.canary())))})
	})
	add("gzip", rowZip, Searched, "application/gzip", "gz", func(d *draft) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Name = "notes.txt"
		z.Write([]byte("About " + d.canary() + "\r\n"))
		z.Close()
		return b.Bytes()
	})
	add("gzip: name", rowZip, Searched, "application/gzip", "gz", func(d *draft) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Name = d.atom() + ".txt"
		z.Write([]byte("Hello\r\n"))
		z.Close()
		return b.Bytes()
	})
	add("tar", rowZip, Searched, "application/x-tar", "tar", func(d *draft) []byte {
		var b bytes.Buffer
		z := tar.NewWriter(&b)
		s := "About " + d.canary() + "\r\n"
		z.WriteHeader(&tar.Header{Name: "notes.txt", Mode: 0o600, Size: int64(len(s)), ModTime: time.Unix(0, 0), Uname: "x"})
		z.Write([]byte(s))
		z.Close()
		return b.Bytes()
	})
	text("text file", rowText, "text/plain; charset=utf-8", "txt", "About %s\r\n")
	text("CSV file", rowText, "text/csv; charset=utf-8", "csv", "who,when\r\n\"%s\",Tuesday\r\n")
	text("HTML file", rowText, "text/html; charset=utf-8", "html", "<p>About %s</p>\r\n")
	text("JSON file", rowText, "application/json", "json", `{"who": "%s"}`+"\r\n")
	text("XML file", rowText, "application/xml", "xml", "<note><who>%s</who></note>\r\n")
	add("Word file of before 2007", rowDocx, Searched, "application/msword", "doc", func(d *draft) []byte {
		return []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 504) + "About " + d.ascii() + " and more." + strings.Repeat("\x00", 200) + utf16le("Also "+d.ascii()+" here.") + strings.Repeat("\x00", 300))
	})
	add("unknown binary file", rowImages, Searched, "application/octet-stream", "dat", func(d *draft) []byte {
		return []byte("\x00\x01\xfe\xff\x02" + contact(d) + "\x00\x03\xff\xfe")
	})
	return list
}
