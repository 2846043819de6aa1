package encrypt_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
)

const zipWords = "copper lantern orbit mango"

// BenchmarkZIPBeside7z does the same work as 7-Zip with one thread, on the same file and in turn:
// deflate and AES-256. Half of the file is text, half of it nothing that could be packed. lock-x-7z
// is our CPU time as a multiple of 7-Zip's; cpu-x-7z the same with opening it again, which 7-Zip
// does not do; rss-x-7z the same of peak memory, of a process of ours that does this alone.
func BenchmarkZIPBeside7z(b *testing.B) {
	program, err := exec.LookPath("7zz")
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int64{4 << 10, 1 << 20, 25 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "document-1.bin")
			content, err := io.ReadAll(io.MultiReader(&lines{n: size / 2}, io.LimitReader(rand.NewChaCha8([32]byte{1}), size/2)))
			if err == nil {
				err = os.WriteFile(file, content, 0o600)
			}
			if err != nil {
				b.Fatal(err)
			}
			content = nil
			beside := func() *exec.Cmd {
				_ = os.Remove(filepath.Join(dir, "theirs.zip"))
				return exec.Command(program, "a", "-tzip", "-mem=AES256", "-mmt=1", "-bd", "-p"+zipWords, filepath.Join(dir, "theirs.zip"), file)
			}
			var ours, opened, theirs time.Duration
			for b.Loop() {
				before := cpuTime(b, syscall.RUSAGE_CHILDREN)
				if out, err := beside().CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				theirs += cpuTime(b, syscall.RUSAGE_CHILDREN) - before
				before = cpuTime(b, syscall.RUSAGE_SELF)
				opening := zipFile(b, file, filepath.Join(dir, "ours.zip"))
				all := cpuTime(b, syscall.RUSAGE_SELF)
				ours, opened = ours+all-before, opened+all-opening
			}
			theirsRSS := peakRSS(b, beside())
			alone := exec.Command(os.Args[0], "-test.run", "^TestZIPAlone$")
			alone.Env = append(os.Environ(), "ZIP_ALONE="+file)
			oursRSS := peakRSS(b, alone)
			n := float64(b.N)
			b.ReportMetric(float64((ours-opened).Microseconds())/1000/n, "lock-cpu-ms/op")
			b.ReportMetric(float64(ours.Microseconds())/1000/n, "cpu-ms/op")
			b.ReportMetric(float64(theirs.Microseconds())/1000/n, "7z-cpu-ms/op")
			b.ReportMetric(float64(ours-opened)/float64(theirs), "lock-x-7z")
			b.ReportMetric(float64(ours)/float64(theirs), "cpu-x-7z")
			b.ReportMetric(float64(oursRSS)/1024, "rss-MiB")
			b.ReportMetric(float64(theirsRSS)/1024, "7z-rss-MiB")
			b.ReportMetric(float64(oursRSS)/float64(theirsRSS), "rss-x-7z")
			if info, err := os.Stat(filepath.Join(dir, "ours.zip")); err == nil {
				if beside, err := os.Stat(filepath.Join(dir, "theirs.zip")); err == nil {
					b.ReportMetric(float64(info.Size())/float64(beside.Size()), "size-x-7z")
				}
			}
		})
	}
}

// zipFile locks a file and opens it again. It returns the CPU time at which opening began.
func zipFile(t testing.TB, from, to string) (opening time.Duration) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := encrypt.LockZIP(out, []encrypt.File{{Name: "document-1.bin", Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(from) }}}, zipWords); err != nil {
		t.Fatal(err)
	}
	opening = cpuTime(t, syscall.RUSAGE_SELF)
	locked, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	files, err := encrypt.OpenZIP(out, locked.Size(), zipWords)
	if err != nil {
		t.Fatal(err)
	}
	r, err := files[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != info.Size() {
		t.Fatalf("%d bytes: %v", n, err)
	}
	return opening
}

// TestZIPAlone is a process of its own for the benchmark; by itself it takes a small file.
func TestZIPAlone(t *testing.T) {
	t.Parallel()
	from, dir := os.Getenv("ZIP_ALONE"), t.TempDir()
	if from == "" {
		from = filepath.Join(dir, "in")
		if err := os.WriteFile(from, []byte(strings.Repeat("The room is free.\n", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	zipFile(t, from, filepath.Join(dir, "out.zip"))
}
