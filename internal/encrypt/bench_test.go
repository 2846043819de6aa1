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
// for one key, armored, not compressed. cpu-x-gpg is our CPU time, with opening it again, as a
// multiple of that of gpg, whose agent's is not counted; rss-x-gpg the same of peak memory, of
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
			var ours, theirs time.Duration
			var oursRSS, theirsRSS int64
			for b.Loop() {
				before := cpuTime(b, syscall.RUSAGE_CHILDREN)
				run.must(b, nil, "--yes", "--armor", "-z", "0", "--sign", "--encrypt", "-u", alias, "-r", client, "-o", filepath.Join(dir, "gpg"), file)
				theirs += cpuTime(b, syscall.RUSAGE_CHILDREN) - before
				before = cpuTime(b, syscall.RUSAGE_SELF)
				encryptFile(b, p, file, filepath.Join(dir, "ours"))
				ours += cpuTime(b, syscall.RUSAGE_SELF) - before
			}
			theirsRSS = childRSS(b, run.command("--yes", "--armor", "-z", "0", "--sign", "--encrypt", "-u", alias, "-r", client, "-o", filepath.Join(dir, "gpg"), file))
			alone := exec.Command(os.Args[0], "-test.run", "^TestEncryptAlone$")
			alone.Env = append(os.Environ(), "ENCRYPT_ALONE="+file)
			oursRSS = childRSS(b, alone)
			n := float64(b.N)
			b.ReportMetric(float64(ours.Microseconds())/1000/n, "cpu-ms/op")
			b.ReportMetric(float64(theirs.Microseconds())/1000/n, "gpg-cpu-ms/op")
			b.ReportMetric(float64(ours)/float64(theirs), "cpu-x-gpg")
			b.ReportMetric(float64(oursRSS)/1024, "rss-MiB")
			b.ReportMetric(float64(oursRSS)/float64(theirsRSS), "rss-x-gpg")
		})
	}
}

func encryptFile(t testing.TB, p encrypt.PGP, from, to string) {
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
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := encrypt.OpenMIME(out, proof); err != nil {
		t.Fatal(err)
	}
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

// childRSS runs a program and returns its peak of resident memory in KiB.
func childRSS(t testing.TB, cmd *exec.Cmd) int64 {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}
