package encrypt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// canary is what no cleaned file may hold, in any of its parts.
const canary = "Canary Finch"

func cleanBytes(b []byte) ([]byte, []Trace, error) {
	var out bytes.Buffer
	removed, err := RemoveMetadata(&out, bytes.NewReader(b), int64(len(b)))
	return out.Bytes(), removed, err
}

// mustClean cleans a file, checks what was removed, and that doing it again removes nothing.
func mustClean(t *testing.T, b []byte, want ...Trace) []byte {
	t.Helper()
	out, removed, err := cleanBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(removed, want) {
		t.Errorf("removed %q, want %q", removed, want)
	}
	again, removed, err := cleanBytes(out)
	if err != nil || len(removed) > 0 && !slices.Equal(removed, []Trace{TraceExif}) ||
		!bytes.Equal(again, out) && !bytes.HasPrefix(out, []byte("%PDF")) { // every PDF that is written has an id of its own
		t.Errorf("again: %q %v", removed, err)
	}
	return out
}

// drawn is a picture with something in it.
func drawn() image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 40, 24))
	for x := range 40 {
		for y := range 24 {
			m.Set(x, y, color.RGBA{uint8(6 * x), uint8(10 * y), uint8(x * y), 255})
		}
	}
	return m
}

func drawnJPEG(t testing.TB) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, drawn(), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func drawnPNG(t testing.TB) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, drawn()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegSegment(marker byte, content string) string {
	return string(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(content)+2))) + content
}

func pngChunk(kind, content string) string {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), kind+content...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
}

// samePixels compares what two pictures show.
func samePixels(t *testing.T, a, b []byte) {
	t.Helper()
	one, _, err1 := image.Decode(bytes.NewReader(a))
	two, _, err2 := image.Decode(bytes.NewReader(b))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for x := range one.Bounds().Dx() {
		for y := range one.Bounds().Dy() {
			if one.At(x, y) != two.At(x, y) {
				t.Fatalf("another colour at %d, %d", x, y)
			}
		}
	}
}

func TestCleanJPEG(t *testing.T) {
	t.Parallel()
	plain := drawnJPEG(t)
	for _, o := range []byte{1, 6} {
		exif := string(exifOrientation(o, binary.BigEndian)) + canary
		dirty := slices.Concat(plain[:2], []byte(jpegSegment(0xe0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x01\x01"+"abc")),
			[]byte(jpegSegment(0xe1, "Exif\x00\x00"+exif)+jpegSegment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+canary)+jpegSegment(0xe2, "ICC_PROFILE\x00\x01\x01profile")+
				jpegSegment(0xe2, "MPF\x00"+canary)+jpegSegment(0xed, "Photoshop 3.0\x00"+canary)+jpegSegment(0xfe, canary)), plain[2:], []byte("ftyp a film: "+canary))
		out := mustClean(t, dirty, TraceExif, TraceXMP, TraceText, TraceOther, TraceThumbnail, TraceTrailer)
		if bytes.Contains(out, []byte(canary)) || !bytes.Contains(out, []byte("ICC_PROFILE")) ||
			!bytes.Contains(out, []byte("JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00\xff")) {
			t.Errorf("%q", out[:200])
		}
		samePixels(t, plain, out)
		if got := bytes.Contains(out, []byte("Exif")); got != (o > 1) {
			t.Errorf("orientation %d: Exif in it: %v", o, got)
		}
	}
	if out := mustClean(t, plain); !bytes.Equal(out, plain) {
		t.Error("a clean picture is changed")
	}
}

func TestCleanPNG(t *testing.T) {
	t.Parallel()
	plain := drawnPNG(t)
	const head = 8 + 25 // the signature and IHDR
	dirty := slices.Concat(plain[:head], []byte(pngChunk("tEXt", "Author\x00"+canary)+pngChunk("pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01")+pngChunk("iTXt", canary)+
		pngChunk("tIME", "\x07\xea\x0b\x16\x00\x00\x00")+pngChunk("eXIf", string(exifOrientation(8, binary.LittleEndian))+canary)+pngChunk("prVt", canary)), plain[head:], []byte(canary))
	// The little-endian head says that it is.
	dirty = bytes.Replace(dirty, []byte("MM\x2a\x00"), []byte("II\x2a\x00"), 1)
	i := bytes.Index(dirty, []byte("eXIf"))
	n := int(binary.BigEndian.Uint32(dirty[i-4:]))
	binary.BigEndian.PutUint32(dirty[i+4+n:], crc32.ChecksumIEEE(dirty[i:i+4+n]))
	out := mustClean(t, dirty, TraceExif, TraceText, TraceOther, TraceTrailer)
	if bytes.Contains(out, []byte(canary)) || !bytes.Contains(out, []byte("pHYs")) || !bytes.Contains(out, []byte(pngChunk("eXIf", string(exifOrientation(8, binary.BigEndian))))) {
		t.Errorf("%q", out)
	}
	samePixels(t, plain, out)
	if out := mustClean(t, plain); !bytes.Equal(out, plain) {
		t.Error("a clean picture is changed")
	}
	bad := slices.Clone(plain)
	bad[head+10] ^= 1
	if _, _, err := cleanBytes(bad); !errors.Is(err, Damaged) {
		t.Errorf("a wrong checksum: %v", err)
	}
}

// withParts is an Office file with other parts, and with another content of its own.
func withParts(t testing.TB, kind string, replace func(name, content string) string, more ...string) []byte {
	t.Helper()
	b := smallOffice(t, "Tuesday at ten")[kind]
	var parts []string
	for _, name := range partNames(t, b) {
		content := partOf(t, b, name)
		if replace != nil {
			content = replace(name, content)
		}
		parts = append(parts, name, content)
	}
	return zipOf(t, append(parts, more...)...)
}

// in puts something behind a place of one part.
func in(part, place, something string) func(name, content string) string {
	return func(name, content string) string {
		if name != part {
			return content
		}
		return strings.Replace(content, place, place+something, 1)
	}
}

// documentToClean is a document with something of everything that is removed.
func documentToClean(t *testing.T) []byte {
	t.Helper()
	return withParts(t, "docx", func(name, content string) string {
		switch name {
		case "word/document.xml":
			content = strings.Replace(content, "<w:p>", `<w:p w:rsidR="00AB12CD"  w:rsidRDefault='00AB12CD'>`, 1)
			return strings.Replace(content, "Tuesday", `w:rsidR="00AB12CD" Tuesday`, 1)
		case "_rels/.rels":
			return strings.Replace(content, "</Rel", `<Relationship Id="r8" Type="`+officeRels+`/metadata/thumbnail" Target="docProps/thumbnail.jpeg"/></Rel`, 1)
		case "[Content_Types].xml":
			return strings.Replace(content, "</Types>", `<Override PartName="/customXml/itemProps1.xml" ContentType="x"/></Types>`, 1)
		}
		return content
	},
		"docProps/core.xml", `<x>`+canary+`</x>`, "docProps/app.xml", `<x>`+canary+`</x>`, "docProps/custom.xml", `<x>`+canary+`</x>`,
		"docProps/thumbnail.jpeg", canary, "customXml/item1.xml", "<a>"+canary+"</a>", "docMetadata/LabelInfo.xml", canary, "word/people.xml", canary,
		"word/settings.xml", `<w:settings xmlns:w="w" xmlns:r="r"><w:zoom w:percent="100"/><w:attachedTemplate r:id="r1"/><w:rsids><w:rsid w:val="00AB12CD"/></w:rsids><w:docVars><w:docVar w:name="a" w:val="`+canary+`"/></w:docVars></w:settings>`,
		"word/_rels/settings.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/attachedTemplate" Target="file:///C:/Users/`+canary+`/a.dotx" TargetMode="External"/></Relationships>`,
		"word/_rels/document.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/hyperlink" Target="https://practice.example/" TargetMode="External"/></Relationships>`,
		"word/media/image1.png", string(slices.Concat(drawnPNG(t), []byte(canary))))
}

func TestCleanOffice(t *testing.T) {
	t.Parallel()
	dirty := documentToClean(t)
	out := mustClean(t, dirty, TraceProperties, TraceThumbnail, TraceData, TraceLabel, TraceHistory, TraceTemplate, TraceTrailer)
	for _, name := range partNames(t, out) {
		if content := partOf(t, out, name); strings.Contains(content, canary) || strings.Contains(name, "customXml") {
			t.Errorf("%s: %s", name, content)
		}
	}
	if got, want := partOf(t, out, "word/document.xml"), strings.Replace(partOf(t, dirty, "word/document.xml"), ` w:rsidR="00AB12CD"  w:rsidRDefault='00AB12CD'>`, ">", 1); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := partOf(t, out, "word/settings.xml"); got != `<w:settings xmlns:w="w" xmlns:r="r"><w:zoom w:percent="100"/></w:settings>` {
		t.Error(got)
	}
	if got := partOf(t, out, "word/_rels/document.xml.rels"); !strings.Contains(got, "practice.example") {
		t.Error("a link is gone")
	}
	if got := partOf(t, out, "[Content_Types].xml") + partOf(t, out, "_rels/.rels"); strings.Contains(got, "customXml") || strings.Contains(got, "thumbnail") {
		t.Error(got)
	}

	sheet := withParts(t, "xlsx", in("xl/workbook.xml", "<sheets>", ""), "xl/printerSettings/printerSettings1.bin", canary,
		"xl/worksheets/sheet2.xml", `<worksheet xmlns="s" xmlns:r="r"><pageSetup orientation="portrait" r:id="r1"/></worksheet>`,
		"xl/worksheets/_rels/sheet2.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/printerSettings" Target="../printerSettings/printerSettings1.bin"/></Relationships>`)
	out = mustClean(t, sheet, TracePrinter)
	if got := partOf(t, out, "xl/worksheets/sheet2.xml"); got != `<worksheet xmlns="s" xmlns:r="r"><pageSetup orientation="portrait"/></worksheet>` {
		t.Error(got)
	}
	book := withParts(t, "xlsx", in("xl/workbook.xml", `relationships">`, `<x15ac:absPath url="C:\Users\`+canary+`" xmlns:x15ac="a"/><fileSharing userName="`+canary+`"></fileSharing>`))
	if got := partOf(t, mustClean(t, book, TracePath, TraceHistory), "xl/workbook.xml"); strings.Contains(got, canary) || !strings.Contains(got, "Sheet1") {
		t.Error(got)
	}
}

// What somebody has to look at first is held, with the reason.
func TestCleanHolds(t *testing.T) {
	t.Parallel()
	body := func(s string) []byte { return withParts(t, "docx", in("word/document.xml", "<w:body>", s)) }
	with := func(kind string, parts ...string) []byte { return withParts(t, kind, nil, parts...) }
	for name, x := range map[string]struct {
		file []byte
		want Reason
	}{
		"inserted":          {body(`<w:p><w:ins w:author="Gus"><w:r><w:t>x</w:t></w:r></w:ins></w:p>`), HasRevisions},
		"deleted":           {body(`<w:p><w:del w:author="Gus"><w:r><w:delText>x</w:delText></w:r></w:del></w:p>`), HasRevisions},
		"format changed":    {body(`<w:p><w:pPr><w:pPrChange w:author="Gus"/></w:pPr></w:p>`), HasRevisions},
		"other prefix":      {body(`<v:p xmlns:v="` + docxMain + `"><v:moveFrom/></v:p>`), HasRevisions},
		"hidden text":       {body(`<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r></w:p>`), HasHidden},
		"other format":      {body(`<w:altChunk/>`), HasInside},
		"comments":          {with("docx", "word/comments.xml", "<x/>"), HasComments},
		"a signature":       {with("docx", "_xmlsignatures/sig1.xml", "<x/>"), Signed},
		"macros":            {with("docx", "word/vbaProject.bin", "x"), HasInside},
		"a file inside":     {with("docx", "word/embeddings/oleObject1.bin", "x"), HasInside},
		"mail merge":        {with("docx", "word/settings.xml", `<w:settings xmlns:w="w"><w:mailMerge/></w:settings>`), LeadsOut},
		"a remote picture":  {with("docx", "word/_rels/document.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/image" Target="https://spy.example/a.png" TargetMode="External"/></Relationships>`), LeadsOut},
		"an unknown part":   {with("docx", "word/media/image1.emf", "x"), Uncleanable},
		"broken XML":        {body(`<w:p>`), Damaged},
		"entities":          {with("docx", "word/footnotes.xml", `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`), Damaged},
		"a damaged picture": {with("docx", "word/media/image1.png", pngSign+"x"), Damaged},
		"two of one name":   {with("docx", "WORD/document.xml", "<x/>"), Damaged},
		"hidden sheet": {withParts(t, "xlsx", func(_, c string) string {
			return strings.Replace(c, `sheetId="1"`, `sheetId="1" state="veryHidden"`, 1)
		}), HasHidden},
		"hidden row":       {withParts(t, "xlsx", func(_, c string) string { return strings.Replace(c, `<row r="1"`, `<row r="1" hidden="1"`, 1) }), HasHidden},
		"cell comments":    {with("xlsx", "xl/comments1.xml", "<x/>"), HasComments},
		"threads":          {with("xlsx", "xl/threadedComments/threadedComment1.xml", "<x/>"), HasComments},
		"shared revisions": {with("xlsx", "xl/revisions/revisionLog1.xml", "<x/>"), HasRevisions},
		"data of a pivot":  {with("xlsx", "xl/pivotCache/pivotCacheRecords1.xml", "<x/>"), HasHidden},
		"another workbook": {with("xlsx", "xl/externalLinks/externalLink1.xml", "<x/>"), LeadsOut},
		"hidden slide":     {withParts(t, "pptx", func(_, c string) string { return strings.Replace(c, `<p:sld `, `<p:sld show="0" `, 1) }), HasHidden},
		"speaker's notes":  {with("pptx", "ppt/notesSlides/notesSlide1.xml", `<p:notes xmlns:p="p" xmlns:a="a"><a:t>x</a:t></p:notes>`), HasHidden},
		"slide comments":   {with("pptx", "ppt/comments/comment1.xml", "<x/>"), HasComments},
		"macros by type": {withParts(t, "docx", func(_, c string) string {
			return strings.Replace(c, "wordprocessingml.document.main", "word.document.macroEnabled.main", 1)
		}), HasInside},
		"an archive":        {zipOf(t, "a.txt", "x"), Uncleanable},
		"LibreOffice's own": {zipOf(t, "mimetype", "application/vnd.oasis.opendocument.text", "content.xml", "<x/>"), Uncleanable},
		"a locked file":     {lockOfficeBytes(t, []byte("x"), goodWords), Uncleanable},
		"a locked archive":  {lockZIP(t, []File{fileOf("[Content_Types].xml", nil), fileOf("a", nil)}[1:], goodWords), AlreadyLocked},
		"HEIC":              {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Uncleanable},
		"TIFF":              {[]byte("II*\x00\x08\x00\x00\x00"), Uncleanable},
		"SVG":               {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), Uncleanable},
		"nothing":           {nil, Uncleanable},
		"half a JPEG":       {drawnJPEG(t)[:300], Damaged},
		"half a PNG":        {drawnPNG(t)[:60], Damaged},
		"half a document":   {smallOffice(t, "x")["docx"][:200], Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := cleanBytes(x.file); !errors.Is(err, x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
	if _, err := RemoveMetadata(io.Discard, bytes.NewReader(nil), maxCleaned+1); !errors.Is(err, TooLarge) {
		t.Error(err)
	}
	// A bomb costs no more than it may.
	bomb := withParts(t, "docx", nil, "word/a.xml", strings.Repeat("<a></a>", 1<<20), "word/b.xml", strings.Repeat(" ", maxOfficeUnpacked))
	if _, _, err := cleanBytes(bomb); !errors.Is(err, TooCostly) && !errors.Is(err, Damaged) {
		t.Errorf("a bomb: %v", err)
	}
}

func FuzzRemoveMetadata(f *testing.F) {
	f.Add(drawnJPEG(f))
	f.Add(drawnPNG(f))
	for _, b := range smallOffice(f, "x") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, _, err := cleanBytes(b)
		if err != nil {
			return
		}
		if again, _, err := cleanBytes(out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("what was cleaned cannot be cleaned again: %v", err)
		}
	})
}

func TestEditXMLLeavesAllElse(t *testing.T) {
	t.Parallel()
	for _, x := range [][2]string{
		{`<a x="1" drop:b='>"' y = "2"><b	drop:c="" />t<![CDATA[<gone/>]]><!-- <gone> --></a>`, `<a x="1" y = "2"><b />t<![CDATA[<gone/>]]><!-- <gone> --></a>`},
		{"<?xml version=\"1.0\"?>\r\n<a><gone><gone/>t</gone><b/>é<gone/></a>", "<?xml version=\"1.0\"?>\r\n<a><b/>é</a>"},
	} {
		got, err := editXML([]byte(x[0]), func(e xml.StartElement) (Trace, error) {
			return map[string]Trace{"gone": TraceOther}[e.Name.Local], nil
		}, func(_ xml.Name, attr string) Trace {
			return map[bool]Trace{true: TraceOther}[strings.HasPrefix(attr, "drop:")]
		}, func(Trace) {})
		if err != nil || string(got) != x[1] {
			t.Errorf("%s\n%v", got, err)
		}
	}
}

// exiftool knows more places for metadata than we look in.
func TestPeerExiftoolFindsNothing(t *testing.T) {
	t.Parallel()
	program := peerProgram(t, "exiftool")
	dir := t.TempDir()
	for name, b := range map[string][]byte{"a.jpg": drawnJPEG(t), "a.png": drawnPNG(t)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		tags := []string{"-q", "-overwrite_original", "-Artist=" + canary, "-GPSLatitude=52.1", "-GPSLatitudeRef=N", "-XMP-dc:Creator=" + canary,
			"-Make=Camera", "-DateTimeOriginal=2026:11:22 10:00:00", "-Orientation#=6", "-Comment=" + canary, path}
		if out, err := exec.CommandContext(t.Context(), program, tags...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		dirty, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(dirty, []byte(canary)) {
			t.Fatalf("no metadata to clean: %v", err)
		}
		clean, _, err := cleanBytes(dirty)
		if err != nil {
			t.Fatal(err)
		}
		samePixels(t, b, clean)
		if err := os.WriteFile(path, clean, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "-j", "-G", "-n", "-a", "-u", "-U", path).Output()
		var found []map[string]any
		if err := errors.Join(err, json.Unmarshal(out, &found)); err != nil {
			t.Fatal(err)
		}
		for tag, value := range found[0] {
			group, what, _ := strings.Cut(tag, ":")
			switch {
			case group == "EXIF" && what != "Orientation", group == "XMP", group == "IPTC", group == "Composite" && what != "ImageSize" && what != "Megapixels", strings.Contains(what, "Comment"):
				t.Errorf("%s: %s is left: %v", name, tag, value)
			}
		}
		if found[0]["EXIF:Orientation"] != 6.0 {
			t.Errorf("%s: turned: %v", name, found[0]["EXIF:Orientation"])
		}
	}
}
