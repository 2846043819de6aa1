package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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

func TestLettersInEveryScript(t *testing.T) {
	t.Parallel()
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			path := letterFile(t, s.letter())
			run(t, "qpdf", "--check", path)
			order := "-nopgbrk" // by the place on the page
			if s.name == "emoji" {
				order = "-raw" // their gaps look like columns to it
			}
			got := run(t, "pdftotext", order, path, "-")
			if lost := missing(got, s.letter().Text(), rightToLeft([]rune(s.title))); lost != "" {
				t.Errorf("pdftotext read\n%s\n%s", got, lost)
			}
		})
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
