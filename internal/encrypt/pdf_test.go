package encrypt

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

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
			order := "-nopgbrk" // by the place on the page
			if s.name == "emoji" {
				order = "-raw" // their gaps look like columns to it
			}
			got := run(t, "pdftotext", order, "-upw", words, path, "-")
			if lost := missing(got, s.letter().Text(), rightToLeft([]rune(s.title))); lost != "" {
				t.Errorf("pdftotext read\n%s\n%s", got, lost)
			}
			if out, err := exec.Command("pdftotext", path, "-").Output(); err == nil || len(out) > 0 {
				t.Errorf("without words: %v %q", err, out)
			}
		})
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
		"signed":                 {pdfOf("<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>>>", pages, page, "<</FT/Sig/T(s)/V 5 0 R>>", "<</Type/Sig/Filter/Adobe.PPKLite/ByteRange[0 1 2 3]/Contents<00>>>"), []Reason{Signed, Damaged}},
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
