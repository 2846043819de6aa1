package relay

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

const (
	testPassword = "canary-password-4417"
	testBody     = "Subject: Hello\r\n\r\n.A short practical note.\r\n"
)

type pki struct {
	roots *x509.CertPool
	good  tls.Certificate
	other tls.Certificate // valid, for another name
	old   tls.Certificate // expired
}

var certificates = sync.OnceValue(func() pki {
	caKey, ca := makeCert(nil, nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	p := pki{roots: x509.NewCertPool()}
	p.roots.AddCert(ca)
	leaf := func(change func(*x509.Certificate)) tls.Certificate {
		key, c := makeCert(ca, caKey, change)
		return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
	}
	local := []net.IP{net.IPv4(127, 0, 0, 1)}
	p.good = leaf(func(c *x509.Certificate) { c.IPAddresses = local })
	p.other = leaf(func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} })
	p.old = leaf(func(c *x509.Certificate) { c.IPAddresses = local; c.NotAfter = time.Unix(1e9, 0) })
	return p
})

func makeCert(ca *x509.Certificate, caKey *ecdsa.PrivateKey, change func(*x509.Certificate)) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	change(t)
	if ca == nil {
		ca, caKey = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, &key.PublicKey, caKey)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, c
}

// peer is a real go-smtp server as the smarthost.
type peer struct {
	addr string
	mu   sync.Mutex
	got  []string // envelope and body
	conn int      // connections
	rcpt func(string) error
	data error
	mech string
}

type peerSession struct {
	p        *peer
	from     string
	to       []string
	signedIn bool
}

func (s *peerSession) Reset()        { s.from, s.to = "", nil }
func (s *peerSession) Logout() error { return nil }
func (s *peerSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signedIn && s.p.mech != "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Sign in"}
	}
	s.from = from
	return nil
}

func (s *peerSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.p.rcpt != nil {
		if err := s.p.rcpt(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *peerSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.p.data != nil {
		return s.p.data
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.got = append(s.p.got, fmt.Sprintf("%s > %s\n%s", s.from, strings.Join(s.to, ","), b))
	return nil
}

func (s *peerSession) AuthMechanisms() []string { return []string{s.p.mech} }
func (s *peerSession) Auth(mech string) (sasl.Server, error) {
	check := func(_, name, password string) error {
		if name != "plaincover" || password != testPassword {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}
	if mech == sasl.Login {
		return &loginPeer{check: check}, nil
	}
	return sasl.NewPlainServer(check), nil
}

type loginPeer struct {
	check func(_, name, password string) error
	step  int
	name  string
}

func (l *loginPeer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.name = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check("", l.name, string(response))
}

func (p *peer) messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

// newPeer starts a server with STARTTLS, or with implicit TLS.
func newPeer(t testing.TB, implicit bool, change ...func(*peer, *smtp.Server)) *peer {
	t.Helper()
	p := &peer{mech: sasl.Plain}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conn++
		return &peerSession{p: p}, nil
	}))
	srv.Domain = "smarthost.example"
	srv.EnableSMTPUTF8 = true
	srv.ErrorLog = quiet{}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificates().good}}
	for _, f := range change {
		f(p, srv)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	if implicit {
		ln = tls.NewListener(ln, srv.TLSConfig)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	return p
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func newSmarthost(t testing.TB, url string, change ...func(*Config)) *Smarthost {
	t.Helper()
	cfg := Config{URL: url, Username: "plaincover", Password: testPassword, RootCAs: certificates().roots, Hostname: "mail.willowhouse.example"}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func job(t testing.TB, to ...string) store.Job {
	j := store.Job{ID: 1, Message: "01JTESTTESTTESTTESTTEST001", Reverse: address(t, "hello@wh.example")}
	for _, a := range to {
		j.Recipients = append(j.Recipients, address(t, a))
	}
	return j
}

func deliver(t testing.TB, s *Smarthost, j store.Job, body string) []store.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := s.Deliver(ctx, j, strings.NewReader(body))
	if len(r) != len(j.Recipients) {
		t.Fatalf("%d results for %d recipients", len(r), len(j.Recipients))
	}
	return r
}

func expect(t testing.TB, r store.Result, o store.Outcome, status string) {
	t.Helper()
	if r.Outcome != o || r.Status.Enhanced() != status {
		t.Errorf("got %s %s (%q), want %s %s", r.Outcome, r.Status.Enhanced(), r.Reply, o, status)
	}
	if len(r.Reply) > maxKept || strings.ContainsFunc(r.Reply, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("unsafe reply %q", r.Reply)
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		for _, mech := range []string{sasl.Plain, sasl.Login} {
			p := newPeer(t, implicit, func(p *peer, _ *smtp.Server) { p.mech = mech })
			scheme := map[bool]string{false: "smtp", true: "smtps"}[implicit]
			var log strings.Builder
			s := newSmarthost(t, scheme+"://"+p.addr, func(c *Config) {
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			for range 3 {
				r := deliver(t, s, job(t, "anna@example.org"), testBody)
				expect(t, r[0], store.OutDelivered, "2.0.0")
				if r[0].Remote != "127.0.0.1" {
					t.Errorf("remote %q", r[0].Remote)
				}
			}
			got := p.messages()
			if len(got) != 3 || got[0] != "hello@wh.example > anna@example.org\n"+testBody {
				t.Errorf("got %q", got)
			}
			if want := map[bool]int{false: 2, true: 1}[implicit]; p.conn != want { // STARTTLS makes a second session
				t.Errorf("%d sessions, want %d: not reused", p.conn, want)
			}
			if l := log.String(); strings.Contains(l, testPassword) || strings.Contains(l, "anna") || !strings.Contains(l, "01JTEST") {
				t.Errorf("log %q", l)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNullReverseAndGroup(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, func(p *peer, _ *smtp.Server) {
		p.rcpt = func(to string) error {
			switch {
			case strings.HasPrefix(to, "gone"):
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such \x1b[31m mailbox é"}
			case strings.HasPrefix(to, "later"):
				return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "Later"}
			}
			return nil
		}
	})
	s := newSmarthost(t, "smtp://"+p.addr)
	j := job(t, "gone@example.org", "anna@example.org", "later@example.org", "bob@example.org")
	j.Reverse = mail.Address{}
	r := deliver(t, s, j, testBody)
	expect(t, r[0], store.OutPermanent, "5.1.1")
	expect(t, r[1], store.OutDelivered, "2.0.0")
	expect(t, r[2], store.OutTransient, "4.2.0")
	expect(t, r[3], store.OutDelivered, "2.0.0")
	r = deliver(t, s, job(t, "gone@example.org", "later@example.org"), testBody)
	expect(t, r[0], store.OutPermanent, "5.1.1")
	expect(t, r[1], store.OutTransient, "4.2.0")
	expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutDelivered, "2.0.0")
	if got := p.messages(); len(got) != 2 || !strings.HasPrefix(got[0], " > anna@example.org,bob@example.org\n") {
		t.Errorf("got %q", got)
	}
}

func TestRefusedAfterTheDot(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]store.Outcome{550: store.OutPermanent, 451: store.OutTransient} {
		p := newPeer(t, false, func(p *peer, _ *smtp.Server) {
			p.data = &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 6, 0}, Message: "No"}
		})
		s := newSmarthost(t, "smtp://"+p.addr)
		expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], want, fmt.Sprintf("%d.6.0", code/100))
	}
}

func TestUTF8Addresses(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false)
	s := newSmarthost(t, "smtp://"+p.addr)
	expect(t, deliver(t, s, job(t, "zoë@example.org"), testBody)[0], store.OutDelivered, "2.0.0")
	p = newPeer(t, false, func(_ *peer, s *smtp.Server) { s.EnableSMTPUTF8 = false })
	s = newSmarthost(t, "smtp://"+p.addr)
	expect(t, deliver(t, s, job(t, "zoë@example.org"), testBody)[0], store.OutPermanent, "5.6.7")
	j := job(t, "anna@example.org")
	j.UTF8 = true
	expect(t, deliver(t, s, j, testBody)[0], store.OutPermanent, "5.6.7")
	expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutDelivered, "2.0.0")
}

// TestNotCanonical: what is not canonical never gets its final dot.
func TestNotCanonical(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false)
	s := newSmarthost(t, "smtp://"+p.addr)
	for _, body := range []string{"a\nb\r\n", "a\rb\r\n", "a\x00\r\n", "a", "a\r", "a\r\n\r", "a\r\r\n", "\n", strings.Repeat("x", 999) + "\r\n"} {
		expect(t, deliver(t, s, job(t, "anna@example.org"), "Subject: x\r\n\r\n"+body)[0], store.OutPermanent, "5.6.0")
	}
	if got := p.messages(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	j := job(t, "anna@example.org")
	r := s.Deliver(t.Context(), j, io.MultiReader(strings.NewReader(testBody), failing{}))
	expect(t, r[0], store.OutTransient, "4.3.0")
	if got := p.messages(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	j.Recipients[0].LocalPart = "a\r\nRCPT TO:<eve"
	expect(t, deliver(t, s, j, testBody)[0], store.OutPermanent, "5.6.0")
	expect(t, deliver(t, s, job(t, "anna@example.org"), ".\r\n..\r\n"+strings.Repeat("x", 998)+"\r\n")[0], store.OutDelivered, "2.0.0")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("seal is broken") }

// TestI16_EverySequenceOut: a body arrives as it was, or not at all.
func TestI16_EverySequenceOut(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false)
	s := newSmarthost(t, "smtp://"+p.addr)
	level := []string{""}
	for range 3 {
		var next []string
		for _, x := range level {
			for _, b := range "\r\n.\x00 " {
				next = append(next, x+string(b))
			}
		}
		level = next
		for _, x := range level {
			body := x + "b\r\n"
			clean := !strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n\x00")
			before := len(p.messages())
			r := deliver(t, s, job(t, "anna@example.org"), body)[0]
			after := p.messages()
			if clean && (r.Outcome != store.OutDelivered || !strings.HasSuffix(after[before], "org\n"+body)) ||
				!clean && (r.Outcome != store.OutPermanent || len(after) != before) {
				t.Fatalf("%q: %v %q", x, r, after[before:])
			}
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{URL: ""}, {URL: "http://x.example"}, {URL: "smtp://"}, {URL: "smtp://u:p@x.example"}, {URL: "smtp://x.example/a"}, {URL: "smtp://x.example?a=b"},
		{URL: "smtp://x.example", TLSMode: "maybe"}, {URL: "smtp://x.example", TLSMode: "none"}, {URL: "smtp://192.0.2.1", TLSMode: "none"},
		{URL: "smtps://127.0.0.1", TLSMode: "none"}, {URL: "smtp://127.0.0.1", TLSMode: "none", Username: "u"},
	} {
		if _, err := New(c); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for in, want := range map[string]string{"smtp://x.example": "x.example:587", "smtps://x.example": "x.example:465", "smtp://[::1]:25": "[::1]:25"} {
		s, err := New(Config{URL: in})
		if err != nil || s.address != want {
			t.Errorf("%s: %v %v", in, s, err)
		}
	}
}

// TestF14_TLS: a certificate that does not verify, or no TLS at all, sends nothing and no
// password, and is temporary.
func TestF14_TLS(t *testing.T) {
	t.Parallel()
	c := certificates()
	for name, tc := range map[string]struct {
		config *tls.Config
		roots  *x509.CertPool
		status string
	}{
		"another name":      {&tls.Config{Certificates: []tls.Certificate{c.other}}, c.roots, "4.7.5"},
		"expired":           {&tls.Config{Certificates: []tls.Certificate{c.old}}, c.roots, "4.7.5"},
		"unknown authority": {&tls.Config{Certificates: []tls.Certificate{c.good}}, x509.NewCertPool(), "4.7.5"},
		"TLS 1.1":           {&tls.Config{Certificates: []tls.Certificate{c.good}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, c.roots, "4.7.5"},
		"not offered":       {nil, c.roots, "4.7.10"},
	} {
		for _, mode := range []string{tlsRequired, tlsOpportunistic} {
			p := newPeer(t, false, func(p *peer, s *smtp.Server) { s.TLSConfig = tc.config; s.AllowInsecureAuth = true })
			s := newSmarthost(t, "smtp://"+p.addr, func(cfg *Config) { cfg.RootCAs, cfg.TLSMode = tc.roots, mode })
			expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutTransient, tc.status)
			if len(p.messages()) != 0 {
				t.Errorf("%s: sent", name)
			}
			if err := s.Check(t.Context()); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%s: Check: %v", name, err)
			}
		}
	}
	open := func(p *peer, s *smtp.Server) { p.mech = ""; s.TLSConfig = nil }
	p := newPeer(t, false, open)
	for _, mode := range []string{tlsNone, tlsOpportunistic} {
		s := newSmarthost(t, "smtp://"+p.addr, func(cfg *Config) { cfg.Username, cfg.TLSMode = "", mode })
		expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutDelivered, "2.0.0")
		if mode == tlsOpportunistic {
			s.Close()
			s = newSmarthost(t, "smtp://"+p.addr, func(cfg *Config) { cfg.Username, cfg.TLSMode = "", mode })
			s.secured.Store(true) // it did TLS once
			expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutTransient, "4.7.10")
		}
	}
}

func TestWrongPasswordIsOurTrouble(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false)
	s := newSmarthost(t, "smtp://"+p.addr, func(c *Config) { c.Password = "x" })
	expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutTransient, "4.7.8")
	s = newSmarthost(t, "smtp://"+p.addr, func(c *Config) { c.Username = "" }) // 530 at MAIL
	expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutTransient, "4.7.8")
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	p := newPeer(t, true)
	s := newSmarthost(t, "smtps://"+p.addr, func(c *Config) { c.Connections, c.Messages = 2, 10 })
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if r := deliver(t, s, job(t, fmt.Sprintf("c%d@example.org", i)), testBody)[0]; r.Outcome != store.OutDelivered {
				t.Errorf("%+v", r)
			}
		})
	}
	wg.Wait()
	if len(p.messages()) != 40 || p.conn < 4 || p.conn > 6 || len(s.idle) > 2 {
		t.Errorf("%d messages over %d connections, %d idle", len(p.messages()), p.conn, len(s.idle))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := s.Deliver(ctx, job(t, "anna@example.org"), strings.NewReader(testBody))[0]; r.Outcome != store.OutTransient {
		t.Errorf("cancelled: %+v", r)
	}
}

// liar is a scripted smarthost without TLS. Each connection runs the script; the n-th is told.
type liar struct {
	t    testing.TB
	addr string
}

type line struct {
	c  net.Conn
	in *bufio.Reader
}

func (l line) say(s string)  { _, _ = io.WriteString(l.c, s) }
func (l line) hear() string  { s, _ := l.in.ReadString('\n'); return s }
func (l line) hello()        { l.say("220 x\r\n"); l.hear(); l.say("250-x\r\n250-8BITMIME\r\n250 SIZE\r\n") }
func (l line) message() bool { return l.until("\r\n.\r\n") }
func (l line) envelope()     { l.hear(); l.say("250 ok\r\n"); l.hear(); l.say("250 ok\r\n"); l.hear() }
func (l line) until(end string) bool {
	var got strings.Builder
	for !strings.HasSuffix(got.String(), end) {
		b, err := l.in.ReadByte()
		if err != nil {
			return false
		}
		got.WriteByte(b)
	}
	return true
}

func newLiar(t testing.TB, script func(n int, l line)) liar {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				script(n, line{c, bufio.NewReader(c)})
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return liar{t, ln.Addr().String()}
}

func (l liar) smarthost(change ...func(*Config)) *Smarthost {
	return newSmarthost(l.t, "smtp://"+l.addr, append([]func(*Config){func(c *Config) {
		c.TLSMode, c.Username = tlsNone, ""
		c.Timeouts = Timeouts{Greeting: 300 * time.Millisecond, Command: 300 * time.Millisecond, DataStart: 300 * time.Millisecond, DataEnd: 300 * time.Millisecond}
	}}, change...)...)
}

// TestF10toF13 is the table of smarthosts that tarpit, refuse, hang up and lie.
func TestF10toF13(t *testing.T) {
	t.Parallel()
	wait := func(l line) { l.hear() } // until the relay gives up
	for name, tc := range map[string]struct {
		script  func(l line)
		outcome store.Outcome
		status  string
	}{
		"silent greeting":      {wait, store.OutTransient, "4.4.2"},
		"greeting by the byte": {func(l line) { l.say("220"); wait(l) }, store.OutTransient, "4.4.2"},
		"silent EHLO":          {func(l line) { l.say("220 x\r\n"); l.hear(); wait(l) }, store.OutTransient, "4.4.2"},
		"silent MAIL":          {func(l line) { l.hello(); l.hear(); wait(l) }, store.OutTransient, "4.4.2"},
		"silent DATA":          {func(l line) { l.hello(); l.envelope(); wait(l) }, store.OutTransient, "4.4.2"},
		"silent after the dot": {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); wait(l) }, store.OutUnknown, "4.4.2"},
		"554 greeting":         {func(l line) { l.say("554 5.3.2 no\r\n") }, store.OutTransient, "4.3.2"},
		"421 greeting":         {func(l line) { l.say("421 busy\r\n") }, store.OutTransient, "4.0.0"},
		"EHLO refused":         {func(l line) { l.say("220 x\r\n"); l.hear(); l.say("502 no\r\n") }, store.OutTransient, "4.0.0"},
		"MAIL 451":             {func(l line) { l.hello(); l.hear(); l.say("451 4.7.1 slow down\r\n"); wait(l) }, store.OutTransient, "4.7.1"},
		"MAIL 550":             {func(l line) { l.hello(); l.hear(); l.say("550 5.7.1 no\r\n"); wait(l) }, store.OutPermanent, "5.7.1"},
		"MAIL 421":             {func(l line) { l.hello(); l.hear(); l.say("421 4.3.2 bye\r\n") }, store.OutTransient, "4.3.2"},
		"RCPT 421":             {func(l line) { l.hello(); l.hear(); l.say("250 ok\r\n"); l.hear(); l.say("421 4.3.2 bye\r\n") }, store.OutTransient, "4.3.2"},
		"DATA 550": {func(l line) {
			l.hello()
			l.envelope()
			l.say("550 5.7.0 no\r\n")
			l.hear()
			l.say("250 reset\r\n")
			wait(l)
		}, store.OutPermanent, "5.7.0"},
		"DATA 250":          {func(l line) { l.hello(); l.envelope(); l.say("250 ok\r\n"); wait(l) }, store.OutTransient, "4.5.0"},
		"dot 452":           {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("452 4.3.1 full\r\n") }, store.OutTransient, "4.3.1"},
		"dot 554":           {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("554 5.6.0 no\r\n") }, store.OutPermanent, "5.6.0"},
		"dot 421":           {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("421 bye\r\n") }, store.OutTransient, "4.0.0"},
		"dot 354":           {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("354 again\r\n") }, store.OutUnknown, "4.5.0"},
		"dot 999":           {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("999 what\r\n") }, store.OutUnknown, "4.5.0"},
		"cut after the dot": {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message() }, store.OutUnknown, "4.4.2"},
		"cut after 25":      {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("25") }, store.OutUnknown, "4.4.2"},
		"cut after 250 CR":  {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n"); l.message(); l.say("250 ok\r") }, store.OutUnknown, "4.4.2"},
		"cut before DATA":   {func(l line) { l.hello(); l.hear() }, store.OutTransient, "4.4.2"},
		"endless lines":     {func(l line) { l.say("220 x\r\n"); l.hear(); l.say(strings.Repeat("250-x\r\n", 5000)) }, store.OutTransient, "4.5.0"},
		"1 MB line":         {func(l line) { l.say("220 " + strings.Repeat("x", 1<<20)) }, store.OutTransient, "4.5.0"},
		"NUL":               {func(l line) { l.say("220 x\x00y\r\n") }, store.OutTransient, "4.5.0"},
		"bare LF":           {func(l line) { l.say("220 x\n") }, store.OutTransient, "4.5.0"},
		"code 999":          {func(l line) { l.say("999 x\r\n") }, store.OutTransient, "4.5.0"},
		"two codes":         {func(l line) { l.say("220 x\r\n"); l.hear(); l.say("250-x\r\n550 y\r\n") }, store.OutTransient, "4.5.0"},
		"HTTP":              {func(l line) { l.say("HTTP/1.1 400 Bad Request\r\n\r\n") }, store.OutTransient, "4.5.0"},
		"early replies": {func(l line) {
			l.say("220 x\r\n")
			l.hear()
			l.say("250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 delivered\r\n")
			wait(l)
		}, store.OutTransient, "4.5.0"},
		"early final reply": {func(l line) { l.hello(); l.envelope(); l.say("354 go\r\n250 delivered\r\n"); wait(l) }, store.OutTransient, "4.5.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLiar(t, func(_ int, l line) { tc.script(l) }).smarthost()
			expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], tc.outcome, tc.status)
		})
	}
}

// TestStaleConnection: an idle connection that went away costs a second try, not the job; a
// message that was begun is never begun again.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	accept := func(l line) { l.envelope(); l.say("354 go\r\n"); l.message(); l.say("250 2.0.0 ok\r\n") }
	for name, second := range map[string]func(l line){
		"closed":      func(line) {},
		"421 at MAIL": func(l line) { l.hear(); l.say("421 4.4.2 idle\r\n") },
	} {
		s := newLiar(t, func(n int, l line) {
			l.hello()
			accept(l)
			if n == 1 {
				second(l)
				return
			}
			l.hear()
		}).smarthost()
		for i := range 2 {
			if r := deliver(t, s, job(t, "anna@example.org"), testBody)[0]; r.Outcome != store.OutDelivered {
				t.Errorf("%s: message %d: %+v", name, i+1, r)
			}
		}
	}
	var connections atomic.Int32
	s := newLiar(t, func(n int, l line) {
		connections.Store(int32(n))
		l.hello()
		accept(l)
		l.envelope()
		l.say("354 go\r\n")
		l.message()
	}).smarthost()
	deliver(t, s, job(t, "anna@example.org"), testBody)
	expect(t, deliver(t, s, job(t, "anna@example.org"), testBody)[0], store.OutUnknown, "4.4.2")
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestPipeliningRefusals(t *testing.T) {
	t.Parallel()
	after := make(chan string, 1)
	s := newLiar(t, func(_ int, l line) {
		l.say("220 x\r\n")
		l.hear()
		l.say("250-x\r\n250 PIPELINING\r\n")
		l.hear()
		l.hear()
		l.hear()
		l.say("250 ok\r\n550 5.1.1 no\r\n354 go anyway\r\n")
		b, _ := io.ReadAll(l.in)
		after <- string(b)
	}).smarthost()
	expect(t, deliver(t, s, job(t, "gone@example.org"), testBody)[0], store.OutPermanent, "5.1.1")
	if sent := <-after; strings.Contains(sent, ".\r\n") {
		t.Errorf("sent %q", sent)
	}
}

func TestEightBitNotOffered(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s := newLiar(t, func(_ int, l line) {
		l.say("220 x\r\n")
		l.hear()
		l.say("250 x\r\n")
		l.envelope()
		l.say("354 go\r\n")
		b, _ := io.ReadAll(l.in)
		got <- string(b)
	}).smarthost()
	expect(t, deliver(t, s, job(t, "anna@example.org"), "Subject: x\r\n\r\nzoë\r\n")[0], store.OutPermanent, "5.6.1")
	if sent := <-got; strings.Contains(sent, "\r\n.\r\n") {
		t.Errorf("sent %q", sent)
	}
}

// TestI32_StartTLSInjection: what was said in clear behind the 220 is not read inside TLS.
func TestI32_StartTLSInjection(t *testing.T) {
	t.Parallel()
	l := newLiar(t, func(_ int, l line) {
		l.say("220 x\r\n")
		l.hear()
		l.say("250-x\r\n250 STARTTLS\r\n")
		l.hear()
		l.say("220 go\r\n250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n")
		l.hear()
	})
	s := l.smarthost(func(c *Config) { c.TLSMode, c.Username = tlsRequired, "plaincover" })
	r := deliver(t, s, job(t, "anna@example.org"), testBody)[0]
	expect(t, r, store.OutTransient, "4.7.5")
	if !strings.Contains(r.Reply, "in clear") {
		t.Errorf("not seen for what it is: %q", r.Reply)
	}
}

// TestCancelledAfterTheDot: stopping the program while the answer is awaited leaves it unknown.
func TestCancelledAfterTheDot(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s := newLiar(t, func(_ int, l line) {
		l.hello()
		l.envelope()
		l.say("354 go\r\n")
		l.message()
		cancel()
		l.hear()
	}).smarthost(func(c *Config) { c.Timeouts.DataEnd = time.Minute })
	expect(t, s.Deliver(ctx, job(t, "anna@example.org"), strings.NewReader(testBody))[0], store.OutUnknown, "4.4.2")
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 2.0.0 ok\r\n", "250-x\r\n250 y\r\n", "999 x\r\n", "250-x\r\n", "25", "250\r\n", "550 5.1.1\r\n", "250 9.9.9 x\r\n", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, b := net.Pipe()
		defer a.Close()
		go func() {
			io.WriteString(b, s)
			b.Close()
		}()
		c := &client{s: &Smarthost{}, raw: a, conn: a, in: bufio.NewReader(a), ctx: context.Background()}
		r, err := c.read(time.Second)
		if err == nil && (r.class() < 2 || r.class() > 5 || len(r.text()) > maxKept || len(r.lines) > maxReplyLines || r.status().Class() != r.class()) {
			t.Errorf("%q: %+v", s, r)
		}
	})
}

func benchmark(b *testing.B, perConnection int) {
	p := newPeer(b, false)
	s := newSmarthost(b, "smtp://"+p.addr, func(c *Config) { c.Messages = perConnection })
	body := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50)
	j := job(b, "anna@example.org")
	b.ResetTimer()
	for b.Loop() {
		if r := s.Deliver(context.Background(), j, strings.NewReader(body)); r[0].Outcome != store.OutDelivered {
			b.Fatalf("%+v", r)
		}
	}
}

// BenchmarkDeliver shows what reusing connections saves: 4 KiB, STARTTLS and AUTH.
func BenchmarkDeliver(b *testing.B) {
	b.Run("reused", func(b *testing.B) { benchmark(b, 1<<30) })
	b.Run("fresh", func(b *testing.B) { benchmark(b, 1) })
}
