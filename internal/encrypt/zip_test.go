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
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	goodWords = "copper lantern orbit mango"
	badWords  = "copper lantern orbit mangos"
)

// fileOf is a file of these bytes.
func fileOf(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

func lockZIP(t interface{ Fatal(...any) }, files []File, words string) []byte {
	var b bytes.Buffer
	if err := LockZIP(&b, files, words); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readZIPAll opens an archive and reads all of it.
func readZIPAll(b []byte, words string) (map[string][]byte, error) {
	files, err := OpenZIP(bytes.NewReader(b), int64(len(b)), words)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, f := range files {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		if int64(len(content)) != f.Size {
			return nil, errors.New("not the size that the directory says")
		}
		out[f.Name] = content
	}
	return out, nil
}

func TestZIPRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 9000),
			rapid.Map(rapid.IntRange(0, 70_000), func(n int) []byte { return bytes.Repeat([]byte("a letter "), n/9) }),
		)
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}[ąλж中]{0,2}\.(pdf|docx)`), 1, 4, rapid.ID).Draw(t, "names")
		want := map[string][]byte{}
		var files []File
		for _, name := range names {
			want[name] = content.Draw(t, "content")
			files = append(files, fileOf(name, want[name]))
		}
		words := rapid.StringMatching(`[a-z]{3,9}( [a-z]{3,9}){3}`).Draw(t, "words")
		b := lockZIP(t, files, words)
		got, err := readZIPAll(b, words)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d files, not %d", len(got), len(want))
		}
		for name := range want {
			if !bytes.Equal(got[name], want[name]) {
				t.Fatalf("%q differs", name)
			}
		}
		if _, err := readZIPAll(b, words+"s"); !errors.Is(err, WrongWords) {
			t.Fatalf("opens with other words: %v", err)
		}
		if again := lockZIP(t, files, words); bytes.Equal(again, b) {
			t.Fatal("two archives with the same salt")
		}
	})
}

// All bytes of an archive are either checked by what they must be, or authenticated.
func TestZIPFlippedBit(t *testing.T) {
	t.Parallel()
	want := []byte("The room on Tuesday is the small one. The room on Friday too.")
	b := lockZIP(t, []File{fileOf("document-1.txt", want), fileOf("document-2.txt", nil)}, goodWords)
	for i := range b {
		bit := byte(1) << (i % 8)
		b[i] ^= bit
		if _, err := readZIPAll(b, goodWords); !errors.Is(err, Damaged) && !errors.Is(err, WrongWords) {
			t.Errorf("byte %d of %d: %v", i, len(b), err)
		}
		b[i] ^= bit
	}
	for cut := range b {
		if _, err := readZIPAll(b[:cut], goodWords); err == nil {
			t.Errorf("cut to %d bytes it opens", cut)
		}
	}
	if _, err := readZIPAll(append(b, 0), goodWords); err == nil {
		t.Error("with a byte more it opens")
	}
}

// The size of a file is not authenticated; reading the file is what proves it.
func TestZIPWrongSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, 2, 4, 1 << 30} {
		b := lockZIP(t, []File{fileOf("a.txt", []byte("abc"))}, goodWords)
		packed := int64(binary.LittleEndian.Uint32(b[len(b)-zipEndSize-len(zipMember{name: "a.txt"}.central())+20:]))
		was, is := zipMember{name: "a.txt", packed: packed, size: 3}, zipMember{name: "a.txt", packed: packed, size: size}
		b = bytes.Replace(b, was.descriptor(), is.descriptor(), 1)
		b = bytes.Replace(b, was.central(), is.central(), 1)
		if _, err := OpenZIP(bytes.NewReader(b), int64(len(b)), goodWords); err != nil {
			t.Fatal(err)
		}
		if _, err := readZIPAll(b, goodWords); !errors.Is(err, Damaged) {
			t.Errorf("3 bytes pass for %d: %v", size, err)
		}
	}
}

func TestZIPSaysNothingOutside(t *testing.T) {
	t.Parallel()
	secret := []byte("The canary sings at noon.")
	b := lockZIP(t, []File{fileOf("document-1.txt", bytes.Repeat(secret, 300))}, goodWords)
	if bytes.Contains(b, secret[4:10]) {
		t.Error("the content is in clear")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f := z.File[0]
	if z.Comment != "" || f.Comment != "" || f.CRC32 != 0 || f.ExternalAttrs != 0 || f.Modified.Year() != 1980 || f.Method != 99 || f.Flags&1 == 0 {
		t.Errorf("header: %+v", f.FileHeader)
	}
}

func TestZIPRefuses(t *testing.T) {
	t.Parallel()
	one := []File{fileOf("document-1.txt", []byte("x"))}
	for _, words := range []string{"", " a b c d", "a b c d ", "łąka dom kot pies", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 128), "🙂"} {
		if err := LockZIP(io.Discard, one, words); !errors.Is(err, BadWords) {
			t.Errorf("words %q: %v", words, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../a.txt", "/a", `a\b`, "a:b", "a\x00b", "a\nb", "\xff.txt", "a.", "a ", "gpj.\u202eexe", strings.Repeat("a", 256)} {
		if err := LockZIP(io.Discard, []File{fileOf(name, nil)}, goodWords); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
	if err := LockZIP(io.Discard, nil, goodWords); err == nil {
		t.Error("an archive of nothing")
	}
	if err := LockZIP(io.Discard, []File{fileOf("a.txt", nil), fileOf("A.TXT", nil)}, goodWords); err == nil {
		t.Error("two files of one name")
	}
	if err := LockZIP(io.Discard, []File{{Name: "a", Size: 1 << 33}}, goodWords); !errors.Is(err, TooLarge) {
		t.Errorf("8 GiB: %v", err)
	}
	for _, size := range []int64{2, 4} {
		f := fileOf("a.txt", []byte("abc"))
		f.Size = size
		if err := LockZIP(io.Discard, []File{f}, goodWords); err == nil {
			t.Errorf("3 bytes pass for %d", size)
		}
	}
	broken := errors.New("the disk is gone")
	f := File{Name: "a", Size: 10, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("abc"), errReader{broken})), nil
	}}
	if err := LockZIP(io.Discard, []File{f}, goodWords); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	b := lockZIP(t, one, goodWords)
	for n := range b {
		if err := LockZIP(&shortWriter{room: n}, one, goodWords); err == nil {
			t.Fatalf("a writer that takes %d bytes", n)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// shortWriter takes so many bytes and then none.
type shortWriter struct{ room int }

func (s *shortWriter) Write(p []byte) (int, error) {
	if len(p) > s.room {
		return 0, errors.New("full")
	}
	s.room -= len(p)
	return len(p), nil
}

// What is kept in memory does not depend on how large the files are: what was read is written
// before more is read.
func TestZIPStreams(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	s := &stream{t: t, noise: rand.NewChaCha8([32]byte{1})}
	f := File{Name: "a.bin", Size: size, Open: func() (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(s, size)), nil }}
	if err := LockZIP(s, []File{f}, goodWords); err != nil {
		t.Fatal(err)
	}
}

// stream is noise to read, and takes what becomes of it.
type stream struct {
	t           *testing.T
	noise       io.Reader
	read, wrote int64
}

func (s *stream) Read(p []byte) (int, error) {
	if kept := s.read - s.wrote; kept > 256<<10 {
		s.t.Fatalf("%d bytes are kept", kept)
	}
	n, err := s.noise.Read(p)
	s.read += int64(n)
	return n, err
}

func (s *stream) Write(p []byte) (int, error) {
	s.wrote += int64(len(p))
	return len(p), nil
}

func FuzzOpenZIP(f *testing.F) {
	for _, files := range [][]File{
		{fileOf("document-1.txt", []byte("The room on Tuesday is the small one."))},
		{fileOf("b", nil), fileOf("文書.txt", bytes.Repeat([]byte("z"), 500))},
	} {
		f.Add(lockZIP(f, files, goodWords))
	}
	f.Add(zipEnd(1, 0, 0))
	f.Add(zipEnd(0xffff, 0xffffffff, 0xffffffff))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readZIPAll(b, goodWords)
		if err != nil {
			return
		}
		// What opens is ours: written again with the same names it has the same form.
		if _, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err != nil || len(got) == 0 {
			t.Fatalf("opens here and nowhere else: %v", err)
		}
	})
}

// peerZIP writes an archive with names in several scripts and returns its path and content.
func peerZIP(t *testing.T) (path string, want map[string][]byte) {
	noise := make([]byte, 70_000)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(noise)
	want = map[string][]byte{
		"document-1.pdf": noise, "notatka-łąka.txt": []byte("Wtorek o dziesiątej."), "письмо.txt": bytes.Repeat([]byte("вторник "), 9000),
		"رسالة.txt": []byte("الثلاثاء"), "手紙.txt": []byte("火曜日"), "empty.txt": nil,
	}
	var files []File
	for name, content := range want {
		files = append(files, fileOf(name, content))
	}
	path = filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, lockZIP(t, files, goodWords), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, want
}

func checkFolder(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("%d files, not %d: %v", len(entries), len(want), err)
	}
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%q differs: %v", name, err)
		}
	}
}

func TestPeer7zOpensZIP(t *testing.T) {
	t.Parallel()
	program := peerProgram(t, "7zz")
	path, want := peerZIP(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	dir := t.TempDir()
	if out, err := run("x", "-y", "-p"+goodWords, "-o"+dir, path); err != nil {
		t.Fatalf("with the words: %v\n%s", err, out)
	}
	checkFolder(t, dir, want)
	for _, words := range []string{"", badWords} {
		if out, err := run("t", "-y", "-p"+words, path); err == nil || !strings.Contains(out, "Wrong password") {
			t.Errorf("with %q: %v\n%s", words, err, out)
		}
	}
	out, err := run("l", "-slt", "-p"+goodWords, path)
	if err != nil || strings.Count(out, "Method = AES-256 Deflate") != len(want) || strings.Contains(out, "WARNING") {
		t.Errorf("listing: %v\n%s", err, out)
	}
}

func TestPeerBsdtarOpensZIP(t *testing.T) {
	t.Parallel()
	program := peerProgram(t, "bsdtar")
	path, want := peerZIP(t)
	run := func(words string) (string, error) {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), program, "-x", "-f", path, "-C", dir, "--passphrase", words)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "LC_") }), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return dir, err
	}
	dir, err := run(goodWords)
	if err != nil {
		t.Fatal(err)
	}
	checkFolder(t, dir, want)
	if _, err := run(badWords); err == nil {
		t.Error("opens with other words")
	}
}
