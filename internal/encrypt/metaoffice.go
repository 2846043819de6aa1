package encrypt

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
)

const (
	maxOfficeParts    = 10_000
	maxOfficeUnpacked = 256 << 20 // of all parts together
	maxZIPDirectory   = 4 << 20
)

// office copies an Office file (ECMA-376) part by part: properties become empty, what belongs
// to a writer's machine or session goes, pictures are cleaned, and all else is copied as it is
// packed. What is hidden in the file holds it.
func (c *cleaner) office(w io.Writer, file *io.SectionReader) error {
	z, err := openOfficeZIP(file)
	if err != nil {
		return err
	}
	o := &officeFile{cleaner: c, dropped: map[string]bool{}, changed: map[string][]byte{}}
	names := map[string]bool{}
	for _, f := range z.File {
		if names[strings.ToLower(f.Name)] {
			return Damaged
		}
		names[strings.ToLower(f.Name)] = true
		if f.Flags&1 != 0 {
			return AlreadyLocked
		}
		if f.Method != zip.Store && f.Method != zip.Deflate {
			return Uncleanable
		}
		if reason := partReason(f.Name); reason != "" {
			return reason
		}
	}
	if !names["[content_types].xml"] || !names["word/document.xml"] && !names["xl/workbook.xml"] && !names["ppt/presentation.xml"] {
		return Uncleanable
	}
	for _, f := range z.File {
		if err := o.part(f); err != nil {
			return err
		}
	}
	if err := o.unlist(); err != nil {
		return err
	}
	return o.write(w, z)
}

// openOfficeZIP opens an archive whose directory is not larger than that of a document.
func openOfficeZIP(file *io.SectionReader) (*zip.Reader, error) {
	tail := make([]byte, min(file.Size(), 64<<10))
	if err := readFullAt(file, tail, file.Size()-int64(len(tail))); err != nil {
		return nil, err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail)-i < zipEndSize {
		return nil, Damaged
	}
	end := tail[i:]
	at := file.Size() - int64(len(end))
	length, start := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	if start+length != at || length > maxZIPDirectory || binary.LittleEndian.Uint16(end[10:]) > maxOfficeParts {
		return nil, Damaged
	}
	z, err := zip.NewReader(file, file.Size())
	if err != nil {
		return nil, Damaged
	}
	return z, nil
}

// partReason is why a file with such a part is held.
func partReason(name string) Reason {
	name = strings.ToLower(name)
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "comments") || strings.Contains(name, "/comments/") || strings.Contains(name, "/threadedcomments/"):
		return HasComments
	case strings.HasPrefix(name, "xl/revisions/"):
		return HasRevisions
	case strings.HasPrefix(name, "xl/pivotcache/"), strings.HasPrefix(name, "xl/model/"):
		return HasHidden // copies of the data behind a table
	case strings.Contains(name, "/embeddings/"), strings.Contains(name, "/activex/"), strings.HasPrefix(base, "vbaproject"), strings.HasPrefix(base, "vbadata"),
		strings.HasPrefix(name, "customui/"), strings.Contains(name, "/afchunk"), strings.Contains(name, "/webextensions/"):
		return HasInside
	case strings.HasPrefix(name, "xl/externallinks/"), strings.HasPrefix(name, "xl/querytables/"), name == "xl/connections.xml":
		return LeadsOut
	case strings.HasPrefix(name, "_xmlsignatures/"):
		return Signed
	}
	return ""
}

// officeFile is a file that is being cleaned.
type officeFile struct {
	*cleaner
	unpacked int64
	dropped  map[string]bool   // parts that go
	changed  map[string][]byte // parts that stay with other content
	types    []byte
}

// read returns the content of a part.
func (o *officeFile) read(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, Damaged
	}
	defer r.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(r, maxOfficeUnpacked-o.unpacked+1))
	if o.unpacked += int64(len(b)); o.unpacked > maxOfficeUnpacked {
		return nil, TooCostly
	}
	if err != nil {
		return nil, Damaged
	}
	return b, nil
}

// part looks at a part and notes what becomes of it.
func (o *officeFile) part(f *zip.File) error {
	name := strings.ToLower(f.Name)
	if trace := droppedPart(name); trace != "" {
		o.remove(trace)
		o.dropped[f.Name] = true
		return nil
	}
	if strings.HasSuffix(name, "/") {
		o.dropped[f.Name] = true
		return nil
	}
	b, err := o.read(f)
	if err != nil {
		return err
	}
	switch ext := path.Ext(name); {
	case name == "[content_types].xml":
		o.types = b
		return nil
	case ext == ".xml" || ext == ".rels" || ext == ".vml":
	case strings.Contains(name, "/media/"), ext == ".jpeg", ext == ".jpg", ext == ".png":
		return o.picture(f.Name, b)
	case ext == ".odttf" || ext == ".fntdata": // a font
		return nil
	default:
		return Uncleanable
	}
	if empty := emptyPart(name); empty != "" {
		if string(b) != empty {
			o.remove(map[bool]Trace{true: TraceProperties, false: TraceHistory}[strings.HasPrefix(name, "docprops/")])
			o.changed[f.Name] = []byte(empty)
		}
		return nil
	}
	clean, err := o.xmlPart(name, b)
	if err != nil {
		return err
	}
	if !bytes.Equal(clean, b) {
		o.changed[f.Name] = clean
	}
	return nil
}

// picture cleans a picture inside.
func (o *officeFile) picture(name string, b []byte) error {
	var out bytes.Buffer
	var err error
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		err = o.jpeg(&out, bytes.NewReader(b))
	case bytes.HasPrefix(b, []byte(pngSign)):
		err = o.png(&out, bytes.NewReader(b))
	default:
		err = Uncleanable
	}
	if err == nil && !bytes.Equal(out.Bytes(), b) {
		o.changed[name] = out.Bytes()
	}
	return err
}

// droppedPart is the trace that a part is as a whole. Nothing that is shown depends on it.
func droppedPart(name string) Trace {
	switch {
	case strings.HasPrefix(name, "docprops/thumbnail."):
		return TraceThumbnail
	case strings.HasPrefix(name, "customxml/"):
		return TraceData
	case strings.HasPrefix(name, "docmetadata/"):
		return TraceLabel
	case strings.Contains(name, "/printersettings/"):
		return TracePrinter
	case name == "ppt/revisioninfo.xml", strings.HasPrefix(name, "ppt/changesinfos/"):
		return TraceHistory
	}
	return ""
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// emptyPart is what a part becomes that is all about its writers.
func emptyPart(name string) string {
	switch name {
	case "docprops/core.xml":
		return xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"/>`
	case "docprops/app.xml":
		return xmlHead + `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"/>`
	case "docprops/custom.xml":
		return xmlHead + `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"/>`
	case "word/people.xml":
		return xmlHead + `<w15:people xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml"/>`
	case "xl/persons/person.xml":
		return xmlHead + `<personList xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"/>`
	case "ppt/commentauthors.xml":
		return xmlHead + `<p:cmAuthorLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"/>`
	case "ppt/authors.xml":
		return xmlHead + `<p188:authorLst xmlns:p188="http://schemas.microsoft.com/office/powerpoint/2018/8/main"/>`
	}
	return ""
}

// revisionElements are what Word marks tracked changes with (ECMA-376 part 1 §17.13.5).
const revisionElements = " ins del moveFrom moveTo rPrChange pPrChange tblPrChange tblPrExChange tcPrChange trPrChange sectPrChange tblGridChange numberingChange cellIns cellDel cellMerge delText delInstrText "

// xmlPart looks for what is hidden in a part, and cuts out what belongs to its writers.
func (o *officeFile) xmlPart(name string, b []byte) ([]byte, error) {
	rels := strings.HasSuffix(name, ".rels")
	word, excel := strings.HasPrefix(name, "word/"), strings.HasPrefix(name, "xl/")
	notes := strings.HasPrefix(name, "ppt/notesslides/")
	shown := word && !slices.Contains([]string{"word/styles.xml", "word/settings.xml", "word/numbering.xml"}, name)
	is := func(e xml.StartElement, attr string, values ...string) bool {
		for _, a := range e.Attr {
			if a.Name.Local == attr {
				return slices.Contains(values, a.Value)
			}
		}
		return false
	}
	return editXML(b, func(e xml.StartElement) (cut Trace, err error) {
		local := e.Name.Local
		switch {
		case rels && local == "Relationship":
			return relationship(e)
		case word && strings.Contains(revisionElements, " "+local+" "):
			return "", HasRevisions
		case shown && (local == "vanish" || local == "specVanish") && !is(e, "val", "0", "false", "off"):
			return "", HasHidden
		case excel && local == "sheet" && is(e, "state", "hidden", "veryHidden"),
			excel && (local == "row" || local == "col") && is(e, "hidden", "1", "true"),
			strings.HasPrefix(name, "ppt/slides/") && local == "sld" && is(e, "show", "0", "false"),
			notes && local == "t":
			return "", HasHidden
		case word && (local == "altChunk" || local == "subDoc"):
			return "", HasInside
		}
		switch {
		case name == "word/settings.xml" && local == "attachedTemplate":
			return TraceTemplate, nil
		case name == "word/settings.xml" && (local == "rsids" || local == "docId"):
			return TraceHistory, nil
		case name == "word/settings.xml" && local == "docVars":
			return TraceData, nil
		case name == "word/settings.xml" && local == "mailMerge":
			return "", LeadsOut
		case name == "xl/workbook.xml" && local == "absPath":
			return TracePath, nil
		case name == "xl/workbook.xml" && (local == "revisionPtr" || local == "fileSharing"):
			return TraceHistory, nil
		}
		return "", nil
	}, func(e xml.Name, attr string) Trace {
		_, local, prefixed := strings.Cut(attr, ":")
		switch {
		case word && prefixed && strings.HasPrefix(local, "rsid"):
			return TraceHistory
		case excel && prefixed && local == "id" && e.Local == "pageSetup":
			return TracePrinter
		}
		return ""
	}, o.remove)
}

// relationship says what becomes of a relationship: one to a part that goes, goes; one that
// leads out of the file is a link that a reader follows, or holds.
func relationship(e xml.StartElement) (Trace, error) {
	var kind, mode string
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "Type":
			kind = path.Base(a.Value)
		case "TargetMode":
			mode = a.Value
		}
	}
	switch kind {
	case "attachedTemplate":
		return TraceTemplate, nil
	case "thumbnail":
		return TraceThumbnail, nil
	case "customXml", "customXmlProps":
		return TraceData, nil
	case "classificationlabels":
		return TraceLabel, nil
	case "printerSettings":
		return TracePrinter, nil
	case "revisionInfo", "changesInfo":
		return TraceHistory, nil
	}
	if mode == "External" && kind != "hyperlink" {
		return "", LeadsOut
	}
	return "", nil
}

// unlist takes the parts that go from the list of types.
func (o *officeFile) unlist() error {
	types, err := editXML(o.types, func(e xml.StartElement) (Trace, error) {
		for _, a := range e.Attr {
			if e.Name.Local == "Override" && a.Name.Local == "PartName" && droppedPart(strings.ToLower(strings.TrimPrefix(a.Value, "/"))) != "" {
				return TraceOther, nil
			}
			if a.Name.Local == "ContentType" && (strings.Contains(a.Value, "macroEnabled") || strings.Contains(a.Value, "vbaProject")) {
				return "", HasInside
			}
		}
		return "", nil
	}, func(xml.Name, string) Trace { return "" }, func(Trace) {})
	o.types = types
	return err
}

// write writes the archive anew, with the same day for all parts and no comments.
func (o *officeFile) write(w io.Writer, z *zip.Reader) error {
	out := zip.NewWriter(w)
	for _, f := range z.File {
		b, changed := o.changed[f.Name]
		if strings.EqualFold(f.Name, "[Content_Types].xml") {
			b, changed = o.types, true
		}
		switch {
		case o.dropped[f.Name]:
		case changed:
			packed, err := deflated(b)
			if err != nil {
				return err
			}
			if err := addRaw(out, &zip.FileHeader{Name: f.Name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(b),
				CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(b))}, bytes.NewReader(packed)); err != nil {
				return err
			}
		default:
			raw, err := f.OpenRaw()
			if err != nil {
				return Damaged
			}
			if err := addRaw(out, &zip.FileHeader{Name: f.Name, Method: f.Method, CRC32: f.CRC32,
				CompressedSize64: f.CompressedSize64, UncompressedSize64: f.UncompressedSize64}, raw); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// addRaw adds a part that is packed already.
func addRaw(z *zip.Writer, head *zip.FileHeader, packed io.Reader) error {
	//lint:ignore SA1019 CreateRaw writes this field and not Modified
	head.ModifiedDate = zipDate
	w, err := z.CreateRaw(head)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, packed)
	return err
}

func deflated(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// editXML cuts elements and attributes out of XML, byte for byte, and leaves all else as it
// was written. What it cannot read to its end is Damaged; so is a document type, which could
// hold entities.
func editXML(b []byte, element func(xml.StartElement) (Trace, error), attribute func(xml.Name, string) Trace, removed func(Trace)) ([]byte, error) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	var out []byte
	kept, depth := 0, 0 // up to where b is decided on; how deep within an element that goes
	for {
		start := int(dec.InputOffset())
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return append(out, b[kept:]...), nil
		}
		if err != nil {
			return nil, Damaged
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, Damaged
		case xml.EndElement:
			if depth > 0 {
				if depth--; depth == 0 {
					kept = int(dec.InputOffset())
				}
			}
		case xml.StartElement:
			if depth > 0 {
				depth++
				continue
			}
			trace, err := element(tok)
			if err != nil {
				return nil, err
			}
			if trace != "" {
				removed(trace)
				out = append(out, b[kept:start]...)
				depth = 1
				continue
			}
			end := int(dec.InputOffset())
			for _, cut := range attributes(b[start:end]) {
				if trace := attribute(tok.Name, cut.name); trace != "" {
					removed(trace)
					out = append(out, b[kept:start+cut.from]...)
					kept = start + cut.to
				}
			}
		}
	}
}

// attr is where an attribute stands in a tag, with the space before it.
type attr struct {
	name     string
	from, to int
}

// attributes finds the attributes of a tag that a decoder has read.
func attributes(tag []byte) []attr {
	var out []attr
	space := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	i := 0
	for i < len(tag) && !space(tag[i]) {
		i++
	}
	for {
		from := i
		for i < len(tag) && space(tag[i]) {
			i++
		}
		name := i
		for i < len(tag) && tag[i] != '=' && !space(tag[i]) {
			i++
		}
		end := i
		for i < len(tag) && tag[i] != '"' && tag[i] != '\'' {
			i++
		}
		if i == len(tag) {
			return out
		}
		n := bytes.IndexByte(tag[i+1:], tag[i])
		if n < 0 {
			return out
		}
		i += n + 2
		out = append(out, attr{string(tag[name:end]), from, i})
	}
}
