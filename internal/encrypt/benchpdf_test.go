package encrypt_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
)

// pdfFile is a PDF of about a size: a page, and a picture that cannot be compressed.
func pdfFile(size int64) []byte {
	var b bytes.Buffer
	var at []int
	object := func(body string) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(at), body)
	}
	side := 1
	for int64(side*side) < size-1000 {
		side++
	}
	pixels := make([]byte, side*side)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(pixels)
	b.WriteString("%PDF-1.7\n")
	object("<</Type/Catalog/Pages 2 0 R>>")
	object("<</Type/Pages/Count 1/Kids[3 0 R]>>")
	object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<</XObject<</I 4 0 R>>>>/Contents 5 0 R>>")
	object(fmt.Sprintf("<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Length %d>>\nstream\n%s\nendstream", side, side, len(pixels), pixels))
	object("<</Length 26>>\nstream\n99 0 0 99 0 0 cm /I Do    \nendstream")
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, table)
	return b.Bytes()
}

// lockFile locks a PDF, and opens it again as every copy is before it leaves. It returns the CPU time at
// which opening began.
func lockFile(t testing.TB, from, to string) (opening time.Duration) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := encrypt.LockPDF(out, in, "one two three four"); err != nil {
		t.Fatal(err)
	}
	opening = cpuTime(t, syscall.RUSAGE_SELF)
	open, err := encrypt.OpenPDF(out, "one two three four")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := encrypt.SamePDF(open, in); !same || err != nil {
		t.Fatal(same, err)
	}
	return opening
}

func peerQPDF(b *testing.B) string {
	path, err := exec.LookPath("qpdf")
	if err != nil {
		b.Skip("qpdf is not installed")
	}
	return path
}

// BenchmarkPDFBesideQPDF does the same work as qpdf, on the same file and in turn: AES-256,
// revision 6. lock-x-qpdf is our CPU time as a multiple of its; cpu-x-qpdf the same with opening
// it again and comparing, which qpdf does not do; rss-x-qpdf the same of peak memory, of a process
// of ours that does all this alone.
func BenchmarkPDFBesideQPDF(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 25 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "in.pdf")
			if err := os.WriteFile(file, pdfFile(size), 0o600); err != nil {
				b.Fatal(err)
			}
			qpdf := func() *exec.Cmd {
				return exec.Command(peerQPDF(b), "--encrypt", "one two three four", "owner", "256", "--", file, filepath.Join(dir, "qpdf.pdf"))
			}
			var ours, opened, theirs time.Duration
			for b.Loop() {
				before := cpuTime(b, syscall.RUSAGE_CHILDREN)
				if out, err := qpdf().CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				theirs += cpuTime(b, syscall.RUSAGE_CHILDREN) - before
				before = cpuTime(b, syscall.RUSAGE_SELF)
				opening := lockFile(b, file, filepath.Join(dir, "ours.pdf"))
				all := cpuTime(b, syscall.RUSAGE_SELF)
				ours, opened = ours+all-before, opened+all-opening
			}
			theirsRSS := peakRSS(b, qpdf())
			alone := exec.Command(os.Args[0], "-test.run", "^TestLockAlone$")
			alone.Env = append(os.Environ(), "LOCK_ALONE="+file)
			oursRSS := peakRSS(b, alone)
			n := float64(b.N)
			b.ReportMetric(float64((ours-opened).Microseconds())/1000/n, "lock-cpu-ms/op")
			b.ReportMetric(float64(ours.Microseconds())/1000/n, "cpu-ms/op")
			b.ReportMetric(float64(theirs.Microseconds())/1000/n, "qpdf-cpu-ms/op")
			b.ReportMetric(float64(ours-opened)/float64(theirs), "lock-x-qpdf")
			b.ReportMetric(float64(ours)/float64(theirs), "cpu-x-qpdf")
			b.ReportMetric(float64(oursRSS)/1024, "rss-MiB")
			b.ReportMetric(float64(theirsRSS)/1024, "qpdf-rss-MiB")
			b.ReportMetric(float64(oursRSS)/float64(theirsRSS), "rss-x-qpdf")
		})
	}
}

// BenchmarkLetterPDF sets a letter of 2 KiB, in one script and with fonts opened anew.
func BenchmarkLetterPDF(b *testing.B) {
	for name, text := range map[string]string{"latin": "A line of some length, with words in it. ", "arabic": "تحدثنا عن النوم والخطوات الصغيرة. ", "chinese": "感谢您星期二来访。我们谈到了睡眠。"} {
		var body string
		for len(body) < 2<<10 {
			body += text
		}
		l := encrypt.Letter{Title: "Letter", Blocks: encrypt.FromText(body)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := l.PDF(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLockAlone is a process of its own for the benchmark; by itself it takes a small file.
func TestLockAlone(t *testing.T) {
	t.Parallel()
	file := os.Getenv("LOCK_ALONE")
	if file == "" {
		file = filepath.Join(t.TempDir(), "in.pdf")
		if err := os.WriteFile(file, pdfFile(4<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lockFile(t, file, filepath.Join(t.TempDir(), "out.pdf"))
}
