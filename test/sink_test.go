package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// arrival is a message that a sink received.
type arrival struct {
	from string
	to   []string
	data []byte
}

// header returns a top header field.
func (a *arrival) header(name string) string {
	m, err := mail.ReadMessage(bytes.NewReader(a.data))
	if err != nil {
		return ""
	}
	return m.Header.Get(name)
}

// messageID returns the Message-ID without its angle brackets.
func (a *arrival) messageID() string { return strings.Trim(a.header("Message-ID"), "<>") }

// fault is what a sink does with one message, after it read the final dot.
type fault int

const (
	take      fault = iota
	temporary       // 451, not kept
	permanent       // 550, not kept
	cut             // kept, and the connection is cut before the reply: the sender cannot know
	linger          // kept, and answered only when the sink's gate opens
)

// sink is a smarthost that demands TLS and a sign-in and keeps what it takes.
type sink struct {
	address            string
	username, password string
	cert               []byte // PEM
	server             *smtp.Server
	excuse             string // what it says when it refuses

	mu       sync.Mutex
	fate     func(*arrival) fault // nil: take everything
	look     func(arrival)        // takes what arrives instead of the list below
	arrivals []arrival
	changed  chan struct{}
	gate     chan struct{} // closed when lingering replies may go
}

// newSink starts a sink on a free loopback port; it ends with the test.
func newSink(t *testing.T) *sink {
	t.Helper()
	return startSink(t, "smarthost-"+randomWord(t))
}

// newOpenSink starts a sink that takes mail from everybody, as the last stop after a peer.
func newOpenSink(t *testing.T) *sink {
	t.Helper()
	return startSink(t, "")
}

func startSink(t *testing.T, password string) *sink {
	t.Helper()
	cert, key := certificate(t)
	pair, err := tls.X509KeyPair(cert, key)
	must(t, err)
	s := &sink{username: "gateway", password: password, cert: cert, excuse: "No such mailbox", gate: make(chan struct{})}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: s, conn: c}, nil }))
	s.server.Domain = "sink.example"
	s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.server.EnableSMTPUTF8 = true
	s.server.MaxLineLength = 100_000
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.address = ln.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); s.server.Serve(ln) }()
	t.Cleanup(func() { s.open(); s.server.Close(); <-done })
	return s
}

// smarthost writes the block of gateway.yaml that leads to this sink.
func (s *sink) smarthost(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	must(t, os.WriteFile(ca, s.cert, 0o600))
	must(t, os.WriteFile(password, []byte(s.password+"\n"), 0o600))
	return fmt.Sprintf("{url: %q, username: %q, password_file: %q, tls: required, ca_file: %q}", "smtp://"+s.address, s.username, password, ca)
}

// obey sets what happens to each message from now on.
func (s *sink) obey(fate func(*arrival) fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fate = fate
}

// open lets lingering replies go.
func (s *sink) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.gate:
	default:
		close(s.gate)
	}
}

// all returns what arrived so far.
func (s *sink) all() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.arrivals...)
}

// wait returns the arrivals to address as soon as there are n of them.
func (s *sink) wait(t *testing.T, n int, address string) []arrival {
	t.Helper()
	return s.waitFor(t, n, func(a arrival) bool { return len(a.to) > 0 && a.to[0] == address })
}

// waitFor returns the arrivals of a kind as soon as there are n of them.
func (s *sink) waitFor(t *testing.T, n int, kind func(arrival) bool) []arrival {
	t.Helper()
	ctx, cancel := contextFor(t)
	defer cancel()
	for {
		var got []arrival
		s.mu.Lock()
		for _, a := range s.arrivals {
			if kind(a) {
				got = append(got, a)
			}
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d messages arrived, not %d", len(got), n)
		}
	}
}

func (s *sink) keep(a arrival) {
	s.mu.Lock()
	look := s.look
	s.mu.Unlock()
	if look != nil {
		look(a)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals = append(s.arrivals, a)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

type sinkSession struct {
	sink     *sink
	conn     *smtp.Conn
	signedIn bool
	now      arrival
}

func (s *sinkSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *sinkSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if _, secure := s.conn.TLSConnectionState(); !secure || username != s.sink.username || password != s.sink.password {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}), nil
}

func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signedIn && s.sink.password != "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Sign in first"}
	}
	s.now = arrival{from: from}
	return nil
}

func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.now.to = append(s.now.to, to)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	var err error
	if s.now.data, err = io.ReadAll(r); err != nil {
		return err
	}
	s.sink.mu.Lock()
	fate := s.sink.fate
	s.sink.mu.Unlock()
	what := take
	if fate != nil {
		what = fate(&s.now)
	}
	switch what {
	case temporary:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Later"}
	case permanent:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: s.sink.excuse}
	case cut:
		s.sink.keep(s.now)
		s.conn.Conn().Close()
		return io.ErrClosedPipe
	case linger:
		s.sink.keep(s.now)
		<-s.sink.gate
	default:
		s.sink.keep(s.now)
	}
	return nil
}

func (s *sinkSession) Reset()        { s.now = arrival{} }
func (s *sinkSession) Logout() error { return nil }

// certificate makes a self-signed certificate for loopback, as PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, k.Public(), k)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// randomWord returns letters that stand nowhere else.
func randomWord(t *testing.T) string {
	t.Helper()
	return strings.ToLower(rand.Text())
}
