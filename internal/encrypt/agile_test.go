package encrypt

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func lockOfficeBytes(t interface{ Fatal(...any) }, content []byte, words string) []byte {
	var b bytes.Buffer
	if err := LockOffice(&b, bytes.NewReader(content), int64(len(content)), words); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openOfficeBytes(b []byte, words string) ([]byte, error) {
	r, err := OpenOffice(bytes.NewReader(b), int64(len(b)), words)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(b)
	return b
}

// The sizes are around those where the layout changes: the mini stream, a sector, a segment, a
// sector of the FAT, and the first sector that lists those of the FAT.
func TestOfficeSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 15, 16, 17, 4079, 4080, 4081, 4095, 4096, 4097, 8191, 8192, 65_000, 7_100_000, 9_000_000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			content := noise(n)
			got, err := openOfficeBytes(lockOfficeBytes(t, content, goodWords), goodWords)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d bytes back: %v", len(got), err)
			}
		})
	}
}

// The slow hash of the words allows few examples.
func TestOfficeRoundTrip(t *testing.T) {
	t.Parallel()
	contents := rapid.SliceOfN(rapid.Byte(), 0, 9000)
	phrases := rapid.OneOf(rapid.StringMatching(`[a-z]{3,9}( [a-z]{3,9}){3}`), rapid.SampledFrom([]string{
		"łąka dom kot pies", "мост река лес", "桥 河 林 山", "🙂 🙃 four words", "قمر نهر جبل"}))
	for i := range 12 {
		content, words := contents.Example(i), phrases.Example(i)
		b := lockOfficeBytes(t, content, words)
		got, err := openOfficeBytes(b, words)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("differs: %v", err)
		}
		if _, err := openOfficeBytes(b, words+"s"); !errors.Is(err, WrongWords) {
			t.Fatalf("with other words: %v", err)
		}
	}
}

// A keyboard gives composed letters, whatever the register has.
func TestOfficeWords(t *testing.T) {
	t.Parallel()
	b := lockOfficeBytes(t, []byte("x"), "zdro\u0301j most")
	if _, err := openOfficeBytes(b, "zdr\u00f3j most"); err != nil {
		t.Error(err)
	}
	for _, words := range []string{"", " ", "a ", " a", "a\x00", "a\n", "\xff", strings.Repeat("ł", 64)} {
		if err := LockOffice(io.Discard, strings.NewReader("x"), 1, words); !errors.Is(err, BadWords) {
			t.Errorf("lock with %q: %v", words, err)
		}
	}
	// Opening tells only that they are wrong.
	for _, words := range []string{"", " ", "\xff", "a\x00", badWords, strings.Repeat("ł", 64), strings.Repeat("a", 1<<16)} {
		if _, err := openOfficeBytes(b, words); !errors.Is(err, WrongWords) || err.Error() != "encrypt: open office: "+string(WrongWords) {
			t.Errorf("open with %.20q: %v", words, err)
		}
	}
}

func TestOfficeFlippedBit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{60, 5000} {
		b := lockOfficeBytes(t, noise(n), goodWords)
		plan, err := planOffice(int64(n))
		if err != nil {
			t.Fatal(err)
		}
		info := plan.infoOffset()
		for i := range b {
			// What is in the package and in the values is seen only after the slow hash.
			if slow := i >= cfbSector && i < cfbSector+int(plan.pack) || i >= int(info) && i < int(info+plan.info); slow && i%61 != 0 {
				continue
			}
			bit := byte(1) << (i % 8)
			b[i] ^= bit
			if _, err := openOfficeBytes(b, goodWords); !errors.Is(err, Damaged) && !errors.Is(err, WrongWords) {
				t.Errorf("%d bytes, byte %d of %d: %v", n, i, len(b), err)
			}
			b[i] ^= bit
		}
		for cut := 0; cut < len(b); cut += 101 {
			if _, err := openOfficeBytes(b[:cut], goodWords); !errors.Is(err, Damaged) {
				t.Errorf("cut to %d bytes: %v", cut, err)
			}
		}
		if _, err := openOfficeBytes(append(b, make([]byte, cfbSector)...), goodWords); !errors.Is(err, Damaged) {
			t.Error("with a sector more it opens")
		}
	}
}

func TestOfficeRefuses(t *testing.T) {
	t.Parallel()
	content := noise(5000)
	for _, size := range []int64{0, 4999, 5001, 6000} {
		if err := LockOffice(io.Discard, bytes.NewReader(content), size, goodWords); err == nil {
			t.Errorf("5000 bytes pass for %d", size)
		}
	}
	for _, size := range []int64{-1, agileMaxSize + 1} {
		if err := LockOffice(io.Discard, bytes.NewReader(content), size, goodWords); !errors.Is(err, TooLarge) {
			t.Errorf("%d: %v", size, err)
		}
	}
	broken := errors.New("the disk is gone")
	if err := LockOffice(io.Discard, io.MultiReader(bytes.NewReader(content), errReader{broken}), 6000, goodWords); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	whole := lockOfficeBytes(t, content, goodWords)
	for n := 0; n < len(whole); n += 1500 {
		if err := LockOffice(&shortWriter{room: n}, bytes.NewReader(content), 5000, goodWords); err == nil {
			t.Fatalf("a writer that takes %d bytes", n)
		}
	}
	if bytes.Contains(whole, content[:16]) {
		t.Error("the content is in clear")
	}
}

func TestOfficeStreams(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	s := &stream{t: t, noise: rand.NewChaCha8([32]byte{1})}
	if err := LockOffice(s, io.LimitReader(s, size), size, goodWords); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenOffice(f *testing.F) {
	f.Add(lockOfficeBytes(f, []byte("a letter"), goodWords), uint16(0))
	f.Add(lockOfficeBytes(f, noise(4100), goodWords), uint16(512))
	f.Fuzz(func(t *testing.T, b []byte, _ uint16) {
		got, err := openOfficeBytes(b, goodWords)
		if err == nil && uint64(len(got)) != binary.LittleEndian.Uint64(b[cfbSector:]) {
			t.Fatal("opens to another length than it says")
		}
	})
}

// Every sector belongs to one chain or says that it is part of the FAT, and chains are as long
// as what they hold (MS-CFB §2.3): readers that repair would find nothing to do.
func TestOfficeLayout(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 60, 5000, 7_100_000, 16_000_000} {
		b := lockOfficeBytes(t, make([]byte, n), goodWords)
		u32 := func(at int64) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
		sectors := int64(len(b))/cfbSector - 1
		used := make([]int, sectors)
		var fat, places []int64
		for i := range int64(cfbInHead) {
			places = append(places, u32(76+4*i))
		}
		difat := int64(0)
		for s := u32(68); s != cfbEndOfChain; s = u32((s+2)*cfbSector - 4) {
			used[s]++
			difat++
			for i := range int64(cfbPerFAT - 1) {
				places = append(places, u32((s+1)*cfbSector+4*i))
			}
		}
		listed := int64(0)
		for _, s := range places {
			if s == cfbNone {
				continue
			}
			used[s]++
			listed++
			for i := range int64(cfbPerFAT) {
				fat = append(fat, u32((s+1)*cfbSector+4*i))
			}
		}
		if listed != u32(44) || difat != u32(72) {
			t.Fatalf("%d bytes: %d and %d sectors of the FAT, not %d and %d", n, listed, difat, u32(44), u32(72))
		}
		for s, count := range used {
			if want := fat[s] == cfbIsFAT || fat[s] == cfbIsDIFAT; (count == 1) != want || count > 1 {
				t.Fatalf("%d bytes: sector %d is listed %d times and says %x", n, s, count, fat[s])
			}
			if fat[s] == cfbIsDIFAT {
				difat--
			}
		}
		if difat != 0 {
			t.Fatalf("%d bytes: the FAT does not know the %d sectors that list it", n, difat)
		}
		chain := func(first, bytes int64) {
			length := int64(0)
			for s := first; s != cfbEndOfChain; s = fat[s] {
				used[s]++
				length++
			}
			if length != pieces(bytes, cfbSector) {
				t.Fatalf("%d bytes: a chain of %d sectors for %d bytes", n, length, bytes)
			}
		}
		dir := (u32(48) + 1) * cfbSector
		chain(u32(48), 12*cfbEntry)
		chain(u32(60), u32(64)*cfbSector)
		chain(u32(dir+116), u32(dir+120))
		if size := u32(dir + 10*cfbEntry + 120); size >= cfbCutoff {
			chain(u32(dir+10*cfbEntry+116), size)
		}
		for s, count := range used {
			if count != 1 {
				t.Fatalf("%d bytes: sector %d is used %d times", n, s, count)
			}
		}
	}
}

// zipOf is an archive of parts, name and content in turn.
func zipOf(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		if err == nil {
			_, err = io.WriteString(w, parts[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	typesXML = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>`
	relsXML    = `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	officeRels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	oxmlType   = "application/vnd.openxmlformats-officedocument."
)

// smallOffice returns the smallest files that Office programs open, each with one text.
func smallOffice(t testing.TB, text string) map[string][]byte {
	return map[string][]byte{
		"docx": zipOf(t, "[Content_Types].xml", typesXML+`<Override PartName="/word/document.xml" ContentType="`+oxmlType+`wordprocessingml.document.main+xml"/></Types>`,
			"_rels/.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/officeDocument" Target="word/document.xml"/></Relationships>`,
			"word/document.xml", `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>`+text+`</w:t></w:r></w:p></w:body></w:document>`),
		"xlsx": zipOf(t, "[Content_Types].xml", typesXML+`<Override PartName="/xl/workbook.xml" ContentType="`+oxmlType+`spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="`+oxmlType+`spreadsheetml.worksheet+xml"/></Types>`,
			"_rels/.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
			"xl/workbook.xml", `<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="`+officeRels+`"><sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
			"xl/worksheets/sheet1.xml", `<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>`+text+`</t></is></c></row></sheetData></worksheet>`),
		"pptx": zipOf(t, "[Content_Types].xml", typesXML+`<Override PartName="/ppt/presentation.xml" ContentType="`+oxmlType+`presentationml.presentation.main+xml"/><Override PartName="/ppt/slides/slide1.xml" ContentType="`+oxmlType+`presentationml.slide+xml"/></Types>`,
			"_rels/.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/officeDocument" Target="ppt/presentation.xml"/></Relationships>`,
			"ppt/presentation.xml", `<?xml version="1.0"?><p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="`+officeRels+`"><p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/></p:presentation>`,
			"ppt/_rels/presentation.xml.rels", relsXML+`<Relationship Id="r1" Type="`+officeRels+`/slide" Target="slides/slide1.xml"/></Relationships>`,
			"ppt/slides/slide1.xml", `<?xml version="1.0"?><p:sld xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>`+
				`<p:sp><p:nvSpPr><p:cNvPr id="2" name="t"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="9144000" cy="1000000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr><p:txBody><a:bodyPr/><a:p><a:r><a:t>`+text+`</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>`),
	}
}

// checkOfficeReader has another program open files with the words, and compares what it wrote.
func checkOfficeReader(t *testing.T, want map[string][]byte, dir, program string, args ...string) {
	t.Helper()
	files := t.TempDir()
	args = append(args, goodWords, badWords)
	for name, content := range want {
		path := filepath.Join(files, "a."+name)
		if err := os.WriteFile(path, lockOfficeBytes(t, content, goodWords), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(files, "a."+name+".out")); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
}

// msoffcrypto reads the layout with olefile, and checks the HMAC.
func TestPeerMsoffcryptoOpensOffice(t *testing.T) {
	t.Parallel()
	peerProgram(t, "msoffcrypto-tool")
	const script = `import sys, io, msoffcrypto
from msoffcrypto.exceptions import InvalidKeyError
for path in sys.argv[3:]:
    f = msoffcrypto.OfficeFile(open(path, 'rb'))
    f.load_key(password=sys.argv[1], verify_password=True)
    out = io.BytesIO()
    f.decrypt(out, verify_integrity=True)
    open(path + '.out', 'wb').write(out.getvalue())
    try:
        f.load_key(password=sys.argv[2], verify_password=True)
    except InvalidKeyError:
        continue
    sys.exit('opens with other words')
`
	want := smallOffice(t, "Tuesday at ten")
	want["large.docx"] = zipOf(t, "word/media/image1.png", string(noise(9_000_000))) // with sectors that list those of the FAT
	checkOfficeReader(t, want, "", "/usr/bin/python3", "-c", script)
}

// officecrypto-tool, from npm, checks the words and not the HMAC.
func TestPeerOfficecryptoOpensOffice(t *testing.T) {
	t.Parallel()
	node := peerProgram(t, "node")
	peerPackage(t, "officecrypto-tool")
	want := smallOffice(t, "Tuesday at ten")
	want["larger.docx"] = zipOf(t, "word/media/image1.png", string(noise(200_000)))
	checkOfficeReader(t, want, "../../test/peers", node, "office.mjs")
}
