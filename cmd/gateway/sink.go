package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// delivery is a message that the sink took, with its envelope.
type delivery struct {
	From string
	To   []string
	Data []byte
}

// sink is the smarthost of the demo: a real SMTP server that wants TLS and a sign-in, and
// keeps what it takes.
type sink struct {
	server             *smtp.Server
	username, password string
	open               bool // takes mail without a sign-in, as a first try does
	arrived            chan delivery
}

// newSink returns a sink; what it takes can be read from arrived.
func newSink(cert tls.Certificate, username, password string) *sink {
	s := &sink{username: username, password: password, arrived: make(chan delivery, 1000)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: s}, nil }))
	s.server.Domain = "sink.example"
	s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.server.EnableSMTPUTF8 = true
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// serve returns when the sink is closed.
func (s *sink) serve(ln net.Listener) error { return s.server.Serve(ln) }

// close ends all connections.
func (s *sink) close() error { return s.server.Close() }

// next waits for a delivery.
func (s *sink) next(ctx context.Context) (delivery, bool) {
	select {
	case d := <-s.arrived:
		return d, true
	case <-ctx.Done():
		return delivery{}, false
	}
}

type sinkSession struct {
	sink     *sink
	signedIn bool
	now      delivery
}

// AuthMechanisms is what EHLO offers.
func (s *sinkSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth checks the one account that there is.
func (s *sinkSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.sink.username || password != s.sink.password {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}), nil
}

// Mail begins a message.
func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signedIn && !s.sink.open {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Sign in first"}
	}
	s.now = delivery{From: from}
	return nil
}

// Rcpt adds a recipient.
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.now.To = append(s.now.To, to)
	return nil
}

// Data keeps the message.
func (s *sinkSession) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		return err
	}
	s.now.Data = b.Bytes()
	select {
	case s.sink.arrived <- s.now:
		return nil
	default:
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "Full"}
	}
}

// Reset forgets the message in hand.
func (s *sinkSession) Reset() { s.now = delivery{} }

// Logout ends the session.
func (s *sinkSession) Logout() error { return nil }

type sinkCmd struct {
	Listen string `help:"Where to listen; this machine only." default:"127.0.0.1:2525" placeholder:"ADDRESS"`
}

// Help is shown under --help.
func (sinkCmd) Help() string {
	return "Stands in for your mail provider while you try things: takes every mail, prints it, and passes nothing on.\n\nExample: gateway sink --listen 127.0.0.1:2525"
}

// Run takes mail and prints it until it is told to stop.
func (k sinkCmd) Run(ctx context.Context, p *program) error {
	at, err := netip.ParseAddrPort(k.Listen)
	if err != nil || !at.Addr().IsLoopback() {
		return &usageError{fmt.Sprintf("--listen %s: a sink listens on this machine only, for example 127.0.0.1:2525", k.Listen)}
	}
	certPEM, keyPEM, err := selfSigned("localhost", time.Now())
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	s := newSink(cert, "", "")
	s.open = true
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ln) }()
	p.say("taking mail on %s, and passing nothing on; stop with Ctrl-C", ln.Addr())
	for n := 1; ; n++ {
		d, ok := s.next(ctx)
		if !ok {
			break
		}
		if err := p.printTaken(n, d); err != nil {
			return errors.Join(err, s.close())
		}
	}
	if err := errors.Join(s.close(), <-ended); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		return fmt.Errorf("sink: %w", err)
	}
	return nil
}

// printTaken shows one message: for people as its reader would get it, or as a JSON line.
func (p *program) printTaken(n int, d delivery) error {
	v := struct {
		From string   `json:"from"`
		To   []string `json:"to"`
		Data string   `json:"data"`
	}{d.From, d.To, string(d.Data)}
	if p.json {
		return p.emit(v, nil)
	}
	_, err := fmt.Fprintf(p.Out, "--- mail %d: from <%s> to %s\n%s\n", n, d.From, strings.Join(d.To, ", "), strings.ReplaceAll(string(d.Data), "\r\n", "\n"))
	return err
}
