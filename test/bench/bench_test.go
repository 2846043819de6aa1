package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/smtp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// faulty is a server that relays to the sink at once and does with each message, counted
// from 1, what fault says: "lose", "double" or "refuse".
type faulty struct {
	sink  string
	fault map[int]string
	count atomic.Int64
}

func (f *faulty) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &faultySession{f: f}, nil }

type faultySession struct{ f *faulty }

func (s *faultySession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *faultySession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != "u" || pass != "p" {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}), nil
}
func (s *faultySession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *faultySession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (s *faultySession) Reset()                                 {}
func (s *faultySession) Logout() error                          { return nil }
func (s *faultySession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	copies := 1
	switch s.f.fault[int(s.f.count.Add(1))] {
	case "lose":
		copies = 0
	case "double":
		copies = 2
	case "refuse":
		return &gosmtp.SMTPError{Code: 554, Message: "refused for the test"}
	}
	for range copies {
		if err := smtp.SendMail(s.f.sink, nil, "a@example.org", []string{"b@example.org"}, b); err != nil {
			return err
		}
	}
	return nil
}

// startFaulty starts a faulty server and returns what measure needs.
func startFaulty(t *testing.T, fault map[int]string) (*server, *sink, certificate) {
	t.Helper()
	certs, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	drain, err := newSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(drain.close)
	pair, err := tls.LoadX509KeyPair(certs.cert, certs.key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	srv := gosmtp.NewServer(&faulty{sink: drain.addr(), fault: fault})
	srv.Domain, srv.MaxMessageBytes = "localhost", 1<<20
	done := make(chan struct{})
	go func() {
		srv.Serve(ln)
		close(done)
	}()
	t.Cleanup(func() { srv.Close(); <-done })
	return &server{
		name: "faulty", addr: ln.Addr().(*net.TCPAddr).String(), user: "u", pass: "p", from: "a@example.org",
		usage: func() (usage, error) { return usage{}, nil },
	}, drain, certs
}

func TestEveryMessageIsCountedOnce(t *testing.T) {
	t.Parallel()
	sv, drain, certs := startFaulty(t, nil)
	res, err := measure(t.Context(), sv, drain, certs, load{connections: 5, messages: 60, size: 4096, patience: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if res.acked != 60 || res.refused != 0 || res.lost != 0 || res.twice != 0 || res.accepted <= 0 || res.delivered <= 0 || res.wait.p50 <= 0 {
		t.Errorf("got %+v", res)
	}
	if got := drain.last(); len(got) < 3800 || len(got) > 4300 || !strings.Contains(got, subject) {
		t.Errorf("a message of %d bytes arrived", len(got))
	}
}

func TestLostDoubledAndRefusedShow(t *testing.T) {
	t.Parallel()
	sv, drain, certs := startFaulty(t, map[int]string{3: "lose", 7: "double", 9: "double", 11: "refuse"})
	res, err := measure(t.Context(), sv, drain, certs, load{connections: 2, messages: 20, size: 1024, patience: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if res.acked != 19 || res.refused != 1 || res.lost != 1 || res.twice != 2 {
		t.Errorf("acked %d refused %d lost %d twice %d", res.acked, res.refused, res.lost, res.twice)
	}
	r := newReport(settings{})
	r.add("faulty", 1, res)
	r.sums(drain)
	if r.verdict() == nil || r.lost != 1 || r.twice != 2 || r.refused != 1 || r.ghosts != 0 {
		t.Errorf("verdict %v: %+v", r.verdict(), r)
	}
}

func TestWrongPasswordEndsTheRun(t *testing.T) {
	t.Parallel()
	sv, drain, certs := startFaulty(t, nil)
	sv.pass = "wrong"
	if _, err := measure(t.Context(), sv, drain, certs, load{connections: 1, messages: 1, size: 1024}); err == nil || !strings.Contains(err.Error(), "sign in at faulty") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	drain, err := newSink()
	if err != nil {
		t.Fatal(err)
	}
	defer drain.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := drain.await(ctx, []string{"never"}, time.Hour); err == nil {
		t.Error("no error")
	}
}

func TestPercentilesAndSpread(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(100-i)*time.Millisecond)
	}
	if p := percentilesOf(all); p.p50 != 51*time.Millisecond || p.p99 != 100*time.Millisecond {
		t.Errorf("got %v", p)
	}
	if got := spread([]float64{3, 1, 2, 4}, "%.1f"); got != "1.0 / **2.5** / 4.0" {
		t.Errorf("got %q", got)
	}
}

func TestReportTakesRatiosWithinARound(t *testing.T) {
	t.Parallel()
	r := newReport(settings{connections: []int{10}, rounds: 2, size: 4096})
	for _, x := range []struct{ ours, theirs float64 }{{300, 100}, {40, 20}} {
		r.add(gatewayName, 10, result{accepted: x.ours})
		r.add(postfixName, 10, result{accepted: x.theirs})
	}
	var b strings.Builder
	r.print(&b)
	if want := "| 10 | accepted/s | 40 / **170** / 300 | 20 / **60** / 100 | 2.00 / **2.50** / 3.00 |"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"-connections", "2,4", "-messages", "10,20", "-rounds", "3"}, io.Discard)
	if err != nil || s.rounds != 3 || len(s.connections) != 2 || s.messages[1] != 20 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range [][]string{{"-connections", "1"}, {"-rounds", "0"}, {"-only", "exim"}, {"-messages", "x,1,1"}, {"stray"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
