package encrypt_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
)

// BenchmarkPGP encrypts and signs an entity for one X25519 key, and opens it again as every
// copy is before it leaves.
func BenchmarkPGP(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 25 << 20} {
		p, _ := pgp(b, clientConfig())
		var out bytes.Buffer
		out.Grow(int(size*3/2) + 8<<10)
		b.Run(fmt.Sprintf("encrypt/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if _, err := encrypt.EncryptMIME(&out, &lines{n: size}, p); err != nil {
					b.Fatal(err)
				}
			}
		})
		out.Reset()
		proof, err := encrypt.EncryptMIME(&out, &lines{n: size}, p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("open/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if err := encrypt.OpenMIME(io.MultiReader(bytes.NewReader(out.Bytes())), proof); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPGPBesideGnuPG does the same work as gpg, on the same file and in turn: sign and encrypt
// for one key, armored, not compressed. encrypt-x-gpg is our CPU time as a multiple of that of gpg,
// whose agent's is not counted; cpu-x-gpg the same with opening it again, which gpg does not do; rss-x-gpg the same of peak memory, of
// a process of ours that does this alone.
func BenchmarkPGPBesideGnuPG(b *testing.B) {
	run := newGnuPG(b)
	run.must(b, nil, "--quick-generate-key", client, "future-default", "default", "never")
	run.must(b, nil, "--quick-generate-key", alias, "future-default", "default", "never")
	key, err := encrypt.ParseKey(strings.NewReader(run.must(b, nil, "--export", client)))
	if err != nil {
		b.Fatal(err)
	}
	p := encrypt.PGP{Recipient: key, Role: roleKey(b), Boundary: "=_b.1", Now: now().Add(time.Hour)}
	for _, size := range []int64{4 << 10, 1 << 20, 25 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "in")
			content, err := io.ReadAll(&lines{n: size})
			if err == nil {
				err = os.WriteFile(file, content, 0o600)
			}
			if err != nil {
				b.Fatal(err)
			}
			content = nil
			var ours, opened, theirs time.Duration
			for b.Loop() {
				before := cpuTime(b, syscall.RUSAGE_CHILDREN)
				run.must(b, nil, "--yes", "--armor", "-z", "0", "--sign", "--encrypt", "-u", alias, "-r", client, "-o", filepath.Join(dir, "gpg"), file)
				theirs += cpuTime(b, syscall.RUSAGE_CHILDREN) - before
				before = cpuTime(b, syscall.RUSAGE_SELF)
				opening := encryptFile(b, p, file, filepath.Join(dir, "ours"))
				all := cpuTime(b, syscall.RUSAGE_SELF)
				ours, opened = ours+all-before, opened+all-opening
			}
			theirsRSS := peakRSS(b, run.command("--yes", "--armor", "-z", "0", "--sign", "--encrypt", "-u", alias, "-r", client, "-o", filepath.Join(dir, "gpg"), file))
			alone := exec.Command(os.Args[0], "-test.run", "^TestEncryptAlone$")
			alone.Env = append(os.Environ(), "ENCRYPT_ALONE="+file)
			oursRSS := peakRSS(b, alone)
			n := float64(b.N)
			b.ReportMetric(float64(ours.Microseconds())/1000/n, "cpu-ms/op")
			b.ReportMetric(float64(theirs.Microseconds())/1000/n, "gpg-cpu-ms/op")
			b.ReportMetric(float64(ours-opened)/float64(theirs), "encrypt-x-gpg")
			b.ReportMetric(float64(ours)/float64(theirs), "cpu-x-gpg")
			b.ReportMetric(float64(oursRSS)/1024, "rss-MiB")
			b.ReportMetric(float64(theirsRSS)/1024, "gpg-rss-MiB")
			b.ReportMetric(float64(oursRSS)/float64(theirsRSS), "rss-x-gpg")
		})
	}
}

// encryptFile returns the CPU time at which encrypting had ended and opening began.
func encryptFile(t testing.TB, p encrypt.PGP, from, to string) (opening time.Duration) {
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
	proof, err := encrypt.EncryptMIME(out, in, p)
	if err != nil {
		t.Fatal(err)
	}
	opening = cpuTime(t, syscall.RUSAGE_SELF)
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := encrypt.OpenMIME(out, proof); err != nil {
		t.Fatal(err)
	}
	return opening
}

// TestEncryptAlone is a process of its own for the benchmark; by itself it takes a small file.
func TestEncryptAlone(t *testing.T) {
	t.Parallel()
	p, _ := pgp(t, clientConfig())
	file := os.Getenv("ENCRYPT_ALONE")
	if file == "" {
		file = filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(file, []byte(letter), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	encryptFile(t, p, file, filepath.Join(t.TempDir(), "out"))
}

func cpuTime(t testing.TB, who int) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS runs a program and returns the peak of its resident memory in KiB. Linux hands the
// parent's peak down to a child's rusage, so the kernel's own count is read until the end.
func peakRSS(t testing.TB, cmd *exec.Cmd) (peak int64) {
	t.Helper()
	var diag bytes.Buffer
	cmd.Stderr = &diag
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil || peak == 0 {
				t.Fatalf("%v, peak %d: %s", err, peak, diag.String())
			}
			return peak
		default:
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
			var now int64
			fmt.Sscan(rest, &now)
			peak = max(peak, now)
		}
	}
}
