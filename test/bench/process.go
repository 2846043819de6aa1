package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks is what Linux counts CPU time in here (USER_HZ, 100 on every platform Go runs on).
const ticks = 100

// missingError says that something this machine lacks is needed; the rest goes on without it.
type missingError string

func (e missingError) Error() string { return string(e) }

// certificate is the one self-signed certificate that both servers show.
type certificate struct {
	cert, key string // PEM files
	pool      *x509.CertPool
}

// newCertificate makes a P-256 certificate for localhost, good for a day.
func newCertificate(dir string) (certificate, error) {
	c := certificate{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return c, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return c, err
	}
	c.pool.AddCert(parsed)
	if err := os.WriteFile(c.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}

// freePort returns a port of loopback that nobody uses now.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// awaitPort returns when addr takes connections, or with an error when done is closed first.
func awaitPort(ctx context.Context, addr string, done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-again.C:
		case <-done:
			return errors.New("ended while starting")
		case <-ctx.Done():
			return fmt.Errorf("port did not open: %w", err)
		}
	}
}

// child is a process that this program started, alone in a process group of its own.
type child struct {
	cmd    *exec.Cmd
	stderr *tail
	done   chan struct{} // closed after Wait
}

// startChild starts name.
func startChild(dir, name string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(name, args...), stderr: &tail{}, done: make(chan struct{})}
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, c.stderr, c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What is left open by grandchildren may not keep Wait from returning.
	c.cmd.WaitDelay = 5 * time.Second
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop asks politely, then ends the process group.
func (c *child) stop(polite syscall.Signal) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	c.cmd.Process.Signal(polite)
	select {
	case <-c.done:
		return nil
	case <-time.After(15 * time.Second):
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("%s did not end when asked and was killed", filepath.Base(c.cmd.Path))
}

// tail keeps the last of what a process says, to be shown when it fails. exec.Cmd writes
// from one goroutine, and it is read only after done.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 8<<10 {
		t.b = append(t.b[:0], t.b[len(t.b)-4<<10:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }

// usage is what a server has used so far.
type usage struct {
	cpu     time.Duration
	peakMiB float64
}

// usageOf reads the CPU time of pid with its ended children, and, when family is set, of
// its children that live (proc(5), /proc/PID/stat), and the peak resident set of pid alone.
func usageOf(pid int, family bool) (usage, error) {
	pids := []int{pid}
	if family {
		pids = append(pids, childrenOf(pid)...)
	}
	var u usage
	for _, p := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(p) + "/stat")
		if err != nil {
			if p != pid && errors.Is(err, os.ErrNotExist) {
				continue // ended since, and counted with its parent
			}
			return u, err
		}
		// The name in brackets may hold blanks; what follows the last bracket may not.
		rest := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		var sum int64
		for _, i := range []int{11, 12, 13, 14} { // utime stime cutime cstime
			n, err := strconv.ParseInt(rest[i], 10, 64)
			if err != nil {
				return u, err
			}
			sum += n
		}
		u.cpu += time.Duration(sum) * time.Second / ticks
	}
	u.peakMiB = peakOf(pid)
	return u, nil
}

// peakOf returns the peak resident set in MiB.
func peakOf(pid int) float64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err == nil {
				return kb / 1024
			}
		}
	}
	return 0
}

// childrenOf returns the children of pid that live now.
func childrenOf(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, word := range strings.Fields(string(b)) {
		if p, err := strconv.Atoi(word); err == nil {
			all = append(all, p)
		}
	}
	return all
}
