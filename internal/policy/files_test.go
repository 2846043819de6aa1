package policy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plaincover/plaincover/policies"
)

// damages are what can stand in the place of a policy file. None is read as rules, none keeps
// the reader waiting.
func damages() map[string]func(name string) error {
	instead := func(do func(name string) error) func(string) error {
		return func(name string) error {
			if err := os.Remove(name); err != nil {
				return err
			}
			return do(name)
		}
	}
	return map[string]func(string) error{
		"missing":              instead(func(string) error { return nil }),
		"empty":                func(name string) error { return os.Truncate(name, 0) },
		"a directory":          instead(func(name string) error { return os.Mkdir(name, 0o700) }),
		"a pipe":               instead(func(name string) error { return syscall.Mkfifo(name, 0o600) }),
		"a socket":             instead(func(name string) error { return syscall.Mknod(name, syscall.S_IFSOCK|0o600, 0) }),
		"a link to itself":     instead(func(name string) error { return os.Symlink(filepath.Base(name), name) }),
		"a link to nowhere":    instead(func(name string) error { return os.Symlink("nowhere.yaml", name) }),
		"a link to a device":   instead(func(name string) error { return os.Symlink("/dev/zero", name) }),
		"a link to a folder":   instead(func(name string) error { return os.Symlink("..", name) }),
		"100 MB":               func(name string) error { return os.Truncate(name, 100<<20) }, // zeros behind the text
		"zeros":                instead(func(name string) error { return os.WriteFile(name, make([]byte, 4096), 0o600) }),
		"another encoding":     instead(func(name string) error { return os.WriteFile(name, []byte("\xff\xfer\x00u\x00l\x00e\x00s\x00"), 0o600) }),
		"rubbish":              instead(func(name string) error { return os.WriteFile(name, []byte("%PDF-1.7\n\x00\x01\x02"), 0o600) }),
		"a bomb":               instead(func(name string) error { return os.WriteFile(name, []byte(bomb()), 0o600) }),
		"a line without end":   instead(func(name string) error { return os.WriteFile(name, []byte(strings.Repeat("[", 1<<19)), 0o600) }),
		"not to be read by us": func(name string) error { return os.Chmod(name, 0) },
	}
}

// bomb names nine times nine times nine.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		n := string(rune('0' + i))
		next := string(rune('1' + i))
		b.WriteString("a" + next + ": &a" + next + " [" + strings.TrimSuffix(strings.Repeat("*a"+n+",", 9), ",") + "]\n")
	}
	return b.String()
}

// Whatever stands in the place of a file, there is no snapshot, and nothing waits (I11, F21).
func TestDamagedFilesGiveNoPolicies(t *testing.T) {
	t.Parallel()
	for what, damage := range damages() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if what == "not to be read by us" && os.Geteuid() == 0 {
				return // root reads everything; TestFilesThatCannotBeRead is the error without the bits
			}
			for _, name := range append(mandatory(), "words/care_words.txt", "tests/everyday.yaml", "tests/photo.eml") {
				dir := t.TempDir()
				if err := os.CopyFS(dir, policies.Files); err != nil {
					t.Fatal(err)
				}
				if err := damage(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				s, err := Load(os.DirFS(dir))
				switch {
				case err != nil:
				case strings.HasSuffix(name, ".eml") && what != "missing":
					continue // a test's mail is anything; what becomes of it the test says
				case strings.HasSuffix(name, ".txt") && what == "a bomb":
					continue // words are any text; those that are gone count as weaker
				case strings.HasPrefix(name, "tests/") && (what == "missing" || what == "a directory"):
					continue // no rule goes with them; that they are gone is told
				}
				ps, _ := err.(Problems)
				if s != nil || len(ps) == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// halfFile is on a disk that fails after some bytes.
type halfFile struct{ fs.File }

// Read implements fs.File.
func (f halfFile) Read(b []byte) (int, error) {
	n, err := f.File.Read(b[:min(len(b), 700)])
	if err == nil {
		err = syscall.EIO
	}
	return n, err
}

// A disk that fails in the middle of a file gives no shorter file.
func TestHalfAFileIsNone(t *testing.T) {
	t.Parallel()
	m := withoutTests(t)
	s, err := Load(badFile{m, func() (fs.File, error) {
		f, err := m.Open(fileMail)
		return halfFile{f}, err
	}})
	if s != nil || err == nil || !strings.Contains(err.Error(), "mail.yaml: this file cannot be read") {
		t.Errorf("%v, %v", s, err)
	}
}
