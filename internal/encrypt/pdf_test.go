package encrypt

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"golang.org/x/text/unicode/norm"
)

// letterFile writes a letter into a file and returns its path.
func letterFile(t testing.TB, l Letter) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.PDF(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "letter.pdf")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run returns what a program prints.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(peerProgram(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// missing tells what a reader did not find of a text, or found elsewhere. White space, normal
// form and characters that nobody sees do not count. Text from right to left is put in order by
// the reader from where it stands on the page, and only letters and digits have one place there:
// of marks and punctuation it is asked that all are there.
func missing(got, want string, rtl bool) string {
	got, want = norm.NFD.String(bare(got)), norm.NFD.String(bare(want))
	if rtl {
		sorted := func(s string) string {
			r := []rune(s)
			slices.Sort(r)
			return string(r)
		}
		if a, b := sorted(got), sorted(want); a != b {
			return fmt.Sprintf("characters: %+q, want %+q", a, b)
		}
		letters := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsLetter(r) || unicode.IsDigit(r) {
					return r
				}
				return -1
			}, s)
		}
		got, want = letters(got), letters(want)
	}
	if got != want {
		return fmt.Sprintf("%+q, want %+q", got, want)
	}
	return ""
}

// Other people's readers open a locked letter in every script with the words, find its text in
// order, and find nothing without.
func TestLettersInEveryScript(t *testing.T) {
	t.Parallel()
	const words = "correct horse battery staple"
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, locked := lockedLetter(t, s.letter(), words)
			path := filepath.Join(t.TempDir(), "letter.pdf")
			if err := os.WriteFile(path, locked, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "qpdf", "--check", "--password="+words, path)
			got := run(t, "pdftotext", "-upw", words, path, "-")
			if lost := missing(got, s.letter().Text(), rightToLeft([]rune(s.title))); lost != "" {
				t.Errorf("pdftotext read\n%s\n%s", got, lost)
			}
			if out, err := exec.Command("pdftotext", path, "-").Output(); err == nil || len(out) > 0 {
				t.Errorf("without words: %v %q", err, out)
			}
		})
	}
}

// What checks the words is made here, and read by the library, which has its own code for it.
func TestEntriesInTheLibrary(t *testing.T) {
	t.Parallel()
	_, locked := lockedLetter(t, Letter{Title: "x"}, "one two three four")
	entries, ok := findPDFEntries(locked)
	key, open := entries.open([]byte("one two three four"))
	if !ok || !open {
		t.Fatal(ok, open)
	}
	for range 150 {
		file := bytes.Clone(locked)
		with := entries
		with.u, with.ue = pdfEntry([]byte("words"), key, nil)
		if !entries.replace(file, with) {
			t.Fatal("not replaced")
		}
		if err := withPDF(bytes.NewReader(file), "words", func(*model.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	// One that opens for everybody is not locked.
	if !entries.replace(locked, newPDFEntries(nil, []byte("owner"), key)) {
		t.Fatal("not replaced")
	}
	if _, err := OpenPDF(bytes.NewReader(locked), "owner"); !errors.Is(err, NotLocked) {
		t.Error(err)
	}
}

func TestLockedPDFInOtherReaders(t *testing.T) {
	t.Parallel()
	l := Letter{Title: "Zanzibarquokka", Lang: "en", Blocks: FromText("Wombatflugel")}
	for _, words := range []string{"one two three four", "Pässwörd 日本", strings.Repeat("long ", 25) + "x", "🙂 smile", "-leading"} {
		_, locked := lockedLetter(t, l, words)
		path := filepath.Join(t.TempDir(), "letter.pdf")
		if err := os.WriteFile(path, locked, 0o600); err != nil {
			t.Fatal(err)
		}
		shown := run(t, "qpdf", "--show-encryption", "--password="+words, path)
		for _, want := range []string{"R = 6", "stream encryption method: AESv3", "string encryption method: AESv3", "Supplied password is user password"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: no %q in\n%s", words, want, shown)
			}
		}
		for _, wrong := range []string{"", words + "x", strings.ToUpper(words)} {
			out, err := exec.Command(peerProgram(t, "qpdf"), "--qdf", "--password="+wrong, path, "-").Output()
			if err == nil || len(out) > 0 {
				t.Errorf("qpdf opens with %q: %v, %d bytes", wrong, err, len(out))
			}
		}
		open := run(t, "qpdf", "--qdf", "--object-streams=disable", "--decrypt", "--password="+words, path, "-")
		if !strings.Contains(strings.ToUpper(open), utf16Hex("Zanzibarquokka")) && !strings.Contains(open, "Zanzibarquokka") {
			t.Error("the search for canaries would find nothing")
		}
		if len(words) > 32 {
			continue // more do not fit into the argument of that program
		}
		run(t, "mutool", "info", "-p", words, path)
		if got := run(t, "pdftotext", "-upw", words, path, "-"); missing(got, l.Text(), false) != "" {
			t.Errorf("%s: %q", words, got)
		}
	}
}

// B47: words that not every reader takes in the same way are refused.
func TestWordsForPDF(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := (Letter{Title: "x"}).PDF(&plain); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"", " lead", "trail ", "a\x00b", "a\nb", "ﬁn", "\xff", strings.Repeat("é", 64)} {
		if err := LockPDF(io.Discard, bytes.NewReader(plain.Bytes()), words); !errors.Is(err, BadWords) {
			t.Errorf("%q: %v", words, err)
		}
	}
	var locked bytes.Buffer
	if err := LockPDF(&locked, bytes.NewReader(plain.Bytes()), "cafe\u0301 cre\u0300me"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPDF(bytes.NewReader(locked.Bytes()), "café crème"); err != nil {
		t.Error("another normal form:", err)
	}
}

// pdfOf assembles a PDF of objects; the first is the catalogue.
func pdfOf(objs ...string) []byte {
	var b bytes.Buffer
	o := newObjects(&b)
	for _, body := range objs {
		o.put(o.reserve(), body)
	}
	info := o.reserve()
	o.put(info, "<<>>")
	_ = o.close(1, info, "00")
	return b.Bytes()
}

// B45 and B46: what is damaged, costly, signed, active or locked already has its reason, and
// nothing is written.
func TestPDFsThatAreNotLocked(t *testing.T) {
	t.Parallel()
	plain, locked := lockedLetter(t, scripts()[0].letter(), "one two three four")
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	const pages = "<</Type/Pages/Count 1/Kids[3 0 R]>>"
	const page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
	for name, c := range map[string]struct {
		file []byte
		want []Reason
	}{
		"empty":                  {nil, []Reason{Damaged}},
		"no PDF":                 {[]byte("MZ, a program"), []Reason{Damaged}},
		"cut in half":            {plain[:len(plain)/2], []Reason{Damaged}},
		"locked":                 {locked, []Reason{AlreadyLocked}},
		"too large":              {make([]byte, maxPDF+1), []Reason{TooLarge}},
		"pages in a ring":        {pdfOf("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[2 0 R]>>"), []Reason{Damaged}},
		"pages in a ring of two": {pdfOf("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Pages/Count 1/Kids[2 0 R]>>"), []Reason{Damaged}},
		"table in a ring":        {[]byte("%PDF-1.4\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF"), []Reason{Damaged}},
		"deep":                   {pdfOf("<</Type/Catalog/Pages 2 0 R/X "+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+">>", pages, page), []Reason{Damaged}},
		"signed":                 {pdfOf("<</Type/Catalog/Pages 2 0 R>>", pages, page, "<</Type/Sig/Filter/Adobe.PPKLite/ByteRange[0 1 2 3]/Contents<00>>>"), []Reason{Signed}},
		"script":                 {pdfOf("<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>", pages, page), []Reason{Active}},
		"launch":                 {pdfOf("<</Type/Catalog/Pages 2 0 R/OpenAction<</S/Launch/F(cmd.exe)>>>>", pages, page), []Reason{Active, Damaged}},
		"bomb of objects":        {pdfOf("<</Type/Catalog/Pages 2 0 R>>", pages, page, fmt.Sprintf("<</Type/ObjStm/N 100000/First 400000/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", bomb.Len(), bomb.String())), []Reason{Damaged, TooCostly, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			started := time.Now()
			err := LockPDF(&out, bytes.NewReader(c.file), "one two three four")
			if !slices.ContainsFunc(c.want, func(r Reason) bool { return errors.Is(err, r) || r == "" && err == nil }) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err != nil && out.Len() > 0 {
				t.Errorf("%d bytes were written", out.Len())
			}
			if took := time.Since(started); took > maxPDFTime+5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if err := LockPDF(io.Discard, bytes.NewReader(pdfOf("<</Type/Catalog/Pages 2 0 R>>", pages, page)), "one two"); err != nil {
		t.Error("the sound one:", err)
	}
}

// A letter with everything in it, for a look and for its structure.
func fullLetter() Letter {
	blocks, err := FromHTML(`<h2>What we agreed</h2><p>Dear Sam,</p><p>This is <b>bold</b>, <i>italic</i>, <b><i>both</i></b> and
<a href="https://example.org/help?a=(b)">a link that is long enough to break over the end of the line, or so one hopes</a>.</p>
<ol><li>Walk<ul><li>in the park<li>by the canal</ul><li>Sleep<p>by eleven</p></ol><h3>Times</h3>
<table><tr><th>Day<th>Time<tr><td>Monday<td>15:30</table>
<blockquote><p>On Tuesday you wrote:</p><blockquote><p>I could not sleep.</p></blockquote><p>And that is fine.</p></blockquote>
<p>` + strings.Repeat("One sentence more, so that there are three pages. ", 70) + `</p>`)
	if err != nil {
		panic(err)
	}
	return Letter{Title: "Our plan <&> (1)", Lang: "en-GB", Blocks: blocks}
}

func TestLetterIsTagged(t *testing.T) {
	t.Parallel()
	path := letterFile(t, fullLetter())
	run(t, "qpdf", "--check", path)
	got := run(t, "pdfinfo", "-struct-text", path)
	at := 0
	for _, want := range []string{"Document", "H1", "Our plan <&> (1)", "H3", "What we agreed", "P", "Dear Sam,", "Link", "a link that",
		"L ", "LI", "Lbl", "1.", "LBody", "Walk", "L ", "•", "in the park", "2.", "Sleep", "by eleven", "H4", "Times", "Monday | 15:30",
		"BlockQuote", "On Tuesday", "BlockQuote", "I could not sleep.", "And that is fine.", "One sentence more"} {
		i := strings.Index(got[at:], want)
		if i < 0 {
			t.Fatalf("no %q after %q in\n%s", want, got[max(0, at-40):at], got)
		}
		at += i + len(want)
	}
	info := run(t, "pdfinfo", path)
	for _, want := range []string{"Title:           Our plan <&> (1)", "Tagged:          yes", "Pages:           3", "A4", "JavaScript:      no"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q in\n%s", want, info)
		}
	}
	if uris := run(t, "pdfinfo", "-url", path); !strings.Contains(uris, "https://example.org/help?a=(b)") {
		t.Error(uris)
	}
	if got := bare(run(t, "pdftotext", path, "-")); !strings.Contains(got, "1/3") {
		t.Error("no number of the page")
	}
}

// What no font has is an error with the name of the script, never a box.
func TestNoGlyph(t *testing.T) {
	t.Parallel()
	for text, script := range map[string]string{"abc \U00012000": "Xsux", "\U00013000": "Egyp", "ᏣᎳᎩ": "Cher", "a\U000F0000b": "Zzzz", "\ue000": "Zzzz"} {
		var out bytes.Buffer
		err := Letter{Title: "x", Blocks: FromText(text)}.PDF(&out)
		if !errors.Is(err, NoGlyph) || !strings.Contains(err.Error(), script) {
			t.Errorf("%+q: %v", text, err)
		}
	}
	if err := (Letter{Title: strings.Repeat("x", maxLetter+1)}).PDF(io.Discard); !errors.Is(err, TooLarge) {
		t.Error(err)
	}
}

// Every font that a script names is there, and can be read.
func TestFontsAreThere(t *testing.T) {
	t.Parallel()
	entries, err := fontFiles.ReadDir("fonts")
	if err != nil || len(entries) < 20 {
		t.Fatal(err, len(entries))
	}
	for _, e := range entries {
		f, err := openFace(strings.TrimSuffix(e.Name(), ".ttf.gz"))
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		if info, err := e.Info(); err != nil || info.Size() > 3<<20 {
			t.Errorf("%s: %v %v", e.Name(), info, err)
		}
		for g := range min(2000, len(f.tables["loca"])/4-1) {
			f.number(font.GID(g), "")
		}
		if _, err := font.ParseTTF(bytes.NewReader(append(f.subset(), 0))); err == nil {
			t.Errorf("%s: a subset has a table of characters", e.Name())
		}
	}
	for r := rune(1); r < 0x30000; r++ {
		if name := scriptFont(language.LookupScript(r)); name != "" {
			if _, err := fontFiles.Open("fonts/" + name + ".ttf.gz"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A letter as long as one may be takes time in proportion and a bounded amount of memory.
func TestLongLetter(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"lines": "A line of some length, with words in it.\n\n", "one line": "word ", "one word": "x", "arabic": "كلمة "} {
		l := Letter{Title: "Long", Blocks: FromText(strings.Repeat(unit, 200<<10/len(unit)))}
		started := time.Now()
		if err := l.PDF(io.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, time.Since(started))
	}
}

func TestTheSameLetterIsTheSameFile(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	l := scripts()[6].letter()
	if err := errors.Join(l.PDF(&a), l.PDF(&b)); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("%v, %d and %d bytes", err, a.Len(), b.Len())
	}
}

// lockedLetter returns a letter as PDF, without and with a lock.
func lockedLetter(t testing.TB, l Letter, words string) (plain, locked []byte) {
	t.Helper()
	var a, b bytes.Buffer
	if err := l.PDF(&a); err != nil {
		t.Fatal(err)
	}
	if err := LockPDF(&b, bytes.NewReader(a.Bytes()), words); err != nil {
		t.Fatal(err)
	}
	return a.Bytes(), b.Bytes()
}

func TestLockPDF(t *testing.T) {
	t.Parallel()
	l := Letter{Title: "Zanzibarquokka", Lang: "en", Blocks: FromText("Wombatflugel and https://example.org/ibexkaleidoscope")}
	const words = "Pässwörd 日本 correct horse"
	plain, locked := lockedLetter(t, l, words)
	open, err := OpenPDF(bytes.NewReader(locked), words)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := SamePDF(open, bytes.NewReader(plain)); !same || err != nil {
		t.Errorf("opened again: %v %v", same, err)
	}
	other, _ := lockedLetter(t, Letter{Title: "Another", Lang: "en", Blocks: l.Blocks}, words)
	if same, err := SamePDF(open, bytes.NewReader(other)); same || err != nil {
		t.Errorf("another letter is the same: %v", err)
	}
	for _, wrong := range []string{"correct horse", "pässwörd 日本 correct horse", "x"} {
		if _, err := OpenPDF(bytes.NewReader(locked), wrong); !errors.Is(err, WrongWords) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := OpenPDF(bytes.NewReader(plain), words); !errors.Is(err, NotLocked) {
		t.Error(err)
	}
	if err := LockPDF(io.Discard, bytes.NewReader(locked), words); !errors.Is(err, AlreadyLocked) {
		t.Error(err)
	}
	for _, canary := range []string{"Zanzibarquokka", "Wombatflugel", "ibexkaleidoscope", utf16Hex("Zanzibarquokka"), fmt.Sprintf("%X", "ibexkaleidoscope")} {
		if bytes.Contains(bytes.ToUpper(locked), bytes.ToUpper([]byte(canary))) {
			t.Errorf("%s is in the locked file", canary)
		}
	}
}

// Damaged PDFs are refused or locked so that they open again; nothing else.
func TestMutatedPDFs(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := scripts()[0].letter().PDF(&plain); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	locked := 0
	for range 80 {
		file := bytes.Clone(plain.Bytes())
		for range 1 + random.IntN(20) {
			file[random.IntN(len(file))] = "0123456789<>[]()/ R\x00\xff"[random.IntN(21)]
		}
		var out bytes.Buffer
		if err := LockPDF(&out, bytes.NewReader(file), "one two"); err != nil {
			if out.Len() > 0 {
				t.Error("something was written")
			}
			continue
		}
		locked++
		if _, err := OpenPDF(bytes.NewReader(out.Bytes()), "one two"); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of 80 were locked", locked)
}

func FuzzFromHTML(f *testing.F) {
	for _, seed := range []string{"<p>a<b>b<p>c</b>", "<table><tr><td>x<table><td>y</table><li>z", "<svg/><math><title>a</title></svg>b", "<a href=x><pre>\r\n &#0;&#x202e;", "<ol start=-1><li hidden>x</ol>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		blocks, err := FromHTML(s)
		if err != nil {
			return
		}
		for _, b := range blocks {
			if strings.TrimSpace(b.Text()) == "" || b.Kind == Heading && (b.Level < 1 || b.Level > 6) {
				t.Errorf("%+v", b)
			}
		}
	})
}

func FuzzLockPDF(f *testing.F) {
	var plain bytes.Buffer
	if err := (Letter{Title: "x"}).PDF(&plain); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	f.Add(pdfOf("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var out bytes.Buffer
		if err := LockPDF(&out, bytes.NewReader(file), "one two"); err != nil {
			if out.Len() > 0 {
				t.Error("something was written")
			}
			return
		}
		if _, err := OpenPDF(bytes.NewReader(out.Bytes()), "one two"); err != nil {
			t.Error(err)
		}
	})
}
