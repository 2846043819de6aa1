package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
)

// desk is a door that remembers. One name may sign in.
type desk struct {
	check  func(*mail.Envelope) error
	submit func(context.Context, *mail.Envelope, io.Reader) (gateway.Receipt, error)
	signIn func() error

	mu       sync.Mutex
	signIns  int
	checks   int
	accepted []accepted
	failed   int // submissions whose message could not be read
}

type accepted struct {
	env  mail.Envelope
	body string
}

const (
	goodName     = "maya@willowhouse.example"
	goodPassword = "canary-password-7391"
)

func (d *desk) SignIn(_ context.Context, name, password string) (string, error) {
	d.mu.Lock()
	d.signIns++
	d.mu.Unlock()
	if d.signIn != nil {
		if err := d.signIn(); err != nil {
			return "", err
		}
	}
	if name == goodName && password == goodPassword {
		return "maya", nil
	}
	return "", fault.New(fault.Unauthenticated, "")
}

func (d *desk) Check(_ context.Context, env *mail.Envelope) error {
	d.mu.Lock()
	d.checks++
	d.mu.Unlock()
	if d.check != nil {
		return d.check(env)
	}
	return nil
}

func (d *desk) Submit(ctx context.Context, env *mail.Envelope, r io.Reader) (gateway.Receipt, error) {
	if d.submit != nil {
		return d.submit(ctx, env, r)
	}
	return d.take(env, r)
}

func (d *desk) take(env *mail.Envelope, r io.Reader) (gateway.Receipt, error) {
	b, err := io.ReadAll(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed++
		return gateway.Receipt{}, err
	}
	d.accepted = append(d.accepted, accepted{*env, string(b)})
	return gateway.Receipt{ID: env.ID, Text: "queued as " + string(env.ID)}, nil
}

func (d *desk) got() []accepted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]accepted(nil), d.accepted...)
}

// ids makes ids that count up.
func ids() func() (mail.ID, error) {
	var mu sync.Mutex
	n := 0
	return func() (mail.ID, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return mail.ID(fmt.Sprintf("01JTESTTESTTESTTESTTEST%03d", n)), nil
	}
}

type testTLS struct {
	server *tls.Config
	roots  *x509.CertPool
}

var newTLS = sync.OnceValue(func() testTLS {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.willowhouse.example"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return testTLS{&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool}
})

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: newTLS().roots, ServerName: "mail.willowhouse.example"}
}

// rig is a running server with both kinds of listener.
type rig struct {
	t        testing.TB
	srv      *Server
	desk     *desk
	log      *lockedBuffer
	starttls string
	implicit string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, change ...func(*Config, *desk)) *rig {
	t.Helper()
	d := &desk{}
	log := &lockedBuffer{}
	cfg := Config{Hostname: "mail.willowhouse.example", Door: d, TLS: newTLS().server, NewID: ids(),
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg, d)
	}
	r := &rig{t: t, srv: New(cfg), desk: d, log: log}
	var wg sync.WaitGroup
	listen := func(implicit bool) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := r.srv.Serve(context.Background(), ln, implicit); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
		return ln.Addr().String()
	}
	r.starttls, r.implicit = listen(false), listen(true)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.srv.Shutdown(ctx)
		wg.Wait()
		if strings.Contains(log.String(), goodPassword) {
			t.Error("the log holds a password")
		}
	})
	return r
}

// dialog is a raw SMTP client.
type dialog struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func newDialog(t testing.TB, c net.Conn) *dialog {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &dialog{t, c, bufio.NewReader(c)}
}

// plain connects to the STARTTLS port and reads the greeting.
func (r *rig) plain() *dialog {
	r.t.Helper()
	c, err := net.Dial("tcp", r.starttls)
	if err != nil {
		r.t.Fatal(err)
	}
	d := newDialog(r.t, c)
	d.expect("220 ")
	return d
}

// tls connects to the implicit port and says EHLO.
func (r *rig) tls() *dialog {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.implicit, clientTLS())
	if err != nil {
		r.t.Fatal(err)
	}
	d := newDialog(r.t, c)
	d.expect("220 ")
	d.ask("EHLO laptop", "250")
	return d
}

func plainResponse(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + password))
}

// signedIn connects and signs in.
func (r *rig) signedIn() *dialog {
	r.t.Helper()
	d := r.tls()
	d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235 2.7.0")
	return d
}

// ready is signed in with a transaction that has a recipient.
func (r *rig) ready() *dialog {
	r.t.Helper()
	d := r.signedIn()
	d.envelope()
	return d
}

func (d *dialog) envelope() {
	d.t.Helper()
	d.ask("MAIL FROM:<maya@willowhouse.example>", "250 2.1.0")
	d.ask("RCPT TO:<anna@example.org>", "250 2.1.5")
}

// upgrade does STARTTLS.
func (d *dialog) upgrade() {
	d.t.Helper()
	d.ask("STARTTLS", "220 ")
	c := tls.Client(d.conn, clientTLS())
	if err := c.Handshake(); err != nil {
		d.t.Fatal(err)
	}
	d.conn, d.in = c, bufio.NewReader(c)
}

func (d *dialog) send(raw string) {
	d.t.Helper()
	if _, err := io.WriteString(d.conn, raw); err != nil {
		d.t.Fatalf("send: %v", err)
	}
}

// reply reads one reply and returns its lines.
func (d *dialog) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return all.String() + line, err
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String(), nil
		}
	}
}

func (d *dialog) expect(prefix string) string {
	d.t.Helper()
	got, err := d.reply()
	if err != nil || !strings.HasPrefix(got, prefix) {
		d.t.Fatalf("got %q (%v), want %q", got, err, prefix)
	}
	return got
}

func (d *dialog) ask(command, prefix string) string {
	d.t.Helper()
	d.send(command + "\r\n")
	got, err := d.reply()
	if err != nil || !strings.HasPrefix(got, prefix) {
		d.t.Fatalf("%.60q: got %q (%v), want %q", command, got, err, prefix)
	}
	return got
}

// closed expects nothing more and the end of the connection.
func (d *dialog) closed() {
	d.t.Helper()
	if got, err := io.ReadAll(d.in); len(got) > 0 {
		d.t.Fatalf("got %q (%v), want the end", got, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		d.t.Fatal("the connection is still open")
	}
}

func newDialogReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }

// raw connects and reads nothing.
func (r *rig) raw(implicit bool) *dialog {
	r.t.Helper()
	if implicit {
		c, err := tls.Dial("tcp", r.implicit, clientTLS())
		if err != nil {
			r.t.Fatal(err)
		}
		return newDialog(r.t, c)
	}
	c, err := net.Dial("tcp", r.starttls)
	if err != nil {
		r.t.Fatal(err)
	}
	return newDialog(r.t, c)
}
