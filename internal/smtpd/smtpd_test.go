package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
)

func TestSubmission(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, how := range []string{"starttls", "implicit"} {
		var d *dialog
		if how == "starttls" {
			d = r.plain()
			if ehlo := d.ask("EHLO laptop", "250-"); !strings.Contains(ehlo, "250 STARTTLS") || strings.Contains(ehlo, "AUTH") {
				t.Errorf("before TLS: %q", ehlo)
			}
			d.upgrade()
		} else {
			d = r.tls()
		}
		ehlo := d.ask("EHLO laptop", "250-mail.willowhouse.example")
		for _, want := range []string{"PIPELINING", "SIZE 35000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"} {
			if !strings.Contains(ehlo, want+"\r\n") {
				t.Errorf("%s: EHLO lacks %s: %q", how, want, ehlo)
			}
		}
		if strings.Contains(ehlo, "STARTTLS") {
			t.Errorf("%s: STARTTLS offered inside TLS", how)
		}
		d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235 2.7.0")
		d.ask("MAIL FROM:<maya@willowhouse.example> BODY=8BITMIME SIZE=100", "250 2.1.0")
		d.ask("RCPT TO:<anna@example.org>", "250 2.1.5")
		d.ask("DATA", "354 ")
		d.send("Subject: x\r\n\r\n..dot\r\n.\r\n")
		got := d.expect("250 2.0.0 queued as 01JTEST")
		all := r.desk.got()
		last := all[len(all)-1]
		if last.body != "Subject: x\r\n\r\n.dot\r\n" {
			t.Errorf("body %q", last.body)
		}
		if !strings.Contains(got, string(last.env.ID)) || last.env.Submitter != "maya" ||
			last.env.Reverse.String() != "maya@willowhouse.example" || !last.env.Client.IsValid() {
			t.Errorf("envelope %+v", last.env)
		}
		d.ask("QUIT", "221 2.0.0")
		d.closed()
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.signedIn()
	one := "MAIL FROM:<maya@willowhouse.example>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n"
	d.send(one)
	d.expect("250 2.1.0")
	d.expect("250 2.1.5")
	d.expect("354 ")
	// The end of one message and the whole of the next in one packet.
	d.send("one\r\n.\r\nNOOP\r\n" + one)
	d.expect("250 2.0.0 queued")
	d.expect("250 2.0.0 OK")
	d.expect("250 2.1.0")
	d.expect("250 2.1.5")
	d.expect("354 ")
	d.send("two\r\n.\r\nQUIT\r\n")
	d.expect("250 2.0.0 queued")
	d.expect("221 ")
	if got := r.desk.got(); len(got) != 2 || got[0].body != "one\r\n" || got[1].body != "two\r\n" {
		t.Errorf("got %+v", got)
	}
}

// TestFaultTable ranges over every kind at every stage, by the whole path.
func TestFaultTable(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind][3]string{ // MAIL or RCPT, DATA, AUTH
		fault.Internal:        {"451 4.3.0", "451 4.3.0", "451 4.3.0"},
		fault.Unavailable:     {"451 4.3.0", "451 4.3.0", "451 4.3.0"},
		fault.RateLimited:     {"451 4.7.1", "451 4.7.1", "451 4.7.1"},
		fault.Invalid:         {"501 5.5.4", "550 5.6.0", "535 5.7.8"},
		fault.TooLarge:        {"552 5.3.4", "552 5.3.4", "535 5.7.8"},
		fault.Unauthenticated: {"530 5.7.0", "530 5.7.0", "535 5.7.8"},
		fault.Forbidden:       {"550 5.7.1", "550 5.7.1", "535 5.7.8"},
		fault.NotFound:        {"550 5.1.1", "550 5.1.1", "535 5.7.8"},
		fault.Conflict:        {"451 4.3.0", "451 4.3.0", "451 4.3.0"},
		fault.Rejected:        {"550 5.7.1", "550 5.7.1", "535 5.7.8"},
	}
	if len(want) != len(fault.Kinds()) {
		t.Fatalf("the table has %d kinds of %d", len(want), len(fault.Kinds()))
	}
	var now error
	r := newRig(t, func(_ *Config, d *desk) {
		d.check = func(*mail.Envelope) error { return now }
		d.submit = func(context.Context, *mail.Envelope, io.Reader) (gateway.Receipt, error) {
			return gateway.Receipt{}, now
		}
		d.signIn = func() error { return now }
	})
	const secret = "secret-cause"
	for _, k := range fault.Kinds() {
		for name, err := range map[string]error{
			"wrapped": fmt.Errorf("gateway: %w", fault.Wrap(k, "Say this", errors.New(secret))),
			"silent":  fault.Wrap(k, "", errors.New(secret)),
		} {
			now = nil
			d := r.signedIn()
			now = err
			mailReply := d.ask("MAIL FROM:<maya@willowhouse.example>", want[k][0])
			now = nil
			d.ask("MAIL FROM:<maya@willowhouse.example>", "250")
			now = err
			rcptReply := d.ask("RCPT TO:<anna@example.org>", want[k][0])
			now = nil
			d.ask("RCPT TO:<anna@example.org>", "250")
			now = err
			d.ask("DATA", "354")
			d.send("x\r\n.\r\n")
			dataReply := d.expect(want[k][1])
			a := r.tls()
			authReply := a.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), want[k][2])
			for _, reply := range []string{mailReply, rcptReply, dataReply, authReply} {
				if strings.Contains(reply, secret) || len(reply) > 512 {
					t.Errorf("%v %s: %q", k, name, reply)
				}
			}
			if name == "wrapped" && strings.Contains(dataReply, "Say this") != (k != fault.Internal) {
				t.Errorf("%v: public text: %q", k, dataReply)
			}
			if k == fault.Internal && !strings.Contains(dataReply, "(id 01JTEST") {
				t.Errorf("no id in %q", dataReply)
			}
		}
	}
	if strings.Contains(r.log.String(), secret) {
		t.Error("the log holds the cause")
	}
}

func TestReplyNeverSucceedsByMistake(t *testing.T) {
	t.Parallel()
	cases := map[string]error{
		"unclassified":   errors.New("dial tcp 10.0.0.1: password=x"),
		"smtp error 250": &smtp.SMTPError{Code: 250, Message: "fine"},
		"status 250":     &fault.Error{Kind: fault.Rejected, Status: fault.Status{Code: 250}, Public: "fine"},
		"status 354":     &fault.Error{Kind: fault.Invalid, Status: fault.Status{Code: 354}, Public: "fine"},
		"unknown kind":   fault.New(fault.Kind(99), "fine"),
		"cancelled":      context.Canceled,
	}
	for name, err := range cases {
		for _, at := range []stage{atCommand, atContent, atSignIn} {
			r := replyTo(err, at, "")
			if r.Code < 400 || r.Code > 599 || r.EnhancedCode[0] != r.Code/100 {
				t.Errorf("%s: %d %v", name, r.Code, r.EnhancedCode)
			}
		}
	}
	r := replyTo(&fault.Error{Kind: fault.Rejected, Status: fault.Status{Code: 554, Subject: 4, Detail: 6}, Public: "Loop\r\n250 OK\x00é"}, atContent, "X")
	if r.Code != 554 || r.EnhancedCode != (smtp.EnhancedCode{5, 4, 6}) || strings.ContainsAny(r.Message, "\r\n\x00é") {
		t.Errorf("%+v", r)
	}
	if n := len(replyTo(fault.New(fault.Rejected, strings.Repeat("x", 5000)), atContent, "X").Message); n >= 400 {
		t.Errorf("%d characters", n)
	}
}

func TestPanicKeepsToItsConnection(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"mail", "data", "bdat", "auth"} {
		boom := true
		r := newRig(t, func(_ *Config, d *desk) {
			d.check = func(*mail.Envelope) error {
				if where == "mail" && boom {
					panic("canary-content")
				}
				return nil
			}
			d.submit = func(_ context.Context, e *mail.Envelope, rd io.Reader) (gateway.Receipt, error) {
				if boom {
					panic("canary-content")
				}
				return d.take(e, rd)
			}
			d.signIn = func() error {
				if where == "auth" && boom {
					panic("canary-content")
				}
				return nil
			}
		})
		d := r.tls()
		switch where {
		case "auth":
			d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "421 4.3.0")
		case "mail":
			d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
			d.ask("MAIL FROM:<maya@willowhouse.example>", "421 4.3.0")
		case "data", "bdat":
			d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
			d.envelope()
			if where == "data" {
				d.ask("DATA", "354")
				d.send("x\r\n.\r\n")
			} else {
				d.send("BDAT 3 LAST\r\nx\r\n")
			}
			d.expect("421 4.3.0")
		}
		d.closed()
		boom = false
		d = r.ready()
		d.ask("DATA", "354")
		d.send("x\r\n.\r\n")
		d.expect("250 ")
		if log := r.log.String(); strings.Contains(log, "canary-content") || !strings.Contains(log, "panic") {
			t.Errorf("%s: log %q", where, log)
		}
	}
}

// pipes is a listener of in-memory connections, for tests of time inside a synctest bubble.
type pipes struct{ feed *feed }

func (p pipes) Accept() (net.Conn, error) { return p.feed.Accept() }
func (p pipes) Close() error              { return p.feed.Close() }
func (p pipes) Addr() net.Addr            { return p.feed.Addr() }

// bubble runs f with a server on a clock that jumps.
func bubble(t *testing.T, f func(t *testing.T, srv *Server, d *desk, dial func() *dialog)) {
	t.Helper()
	newTLS()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		srv := New(Config{Hostname: "mail.willowhouse.example", Door: d, TLS: newTLS().server, NewID: ids()})
		ln := pipes{newFeed()}
		done := make(chan error)
		go func() { done <- srv.Serve(t.Context(), ln, false) }()
		f(t, srv, d, func() *dialog {
			client, server := net.Pipe()
			ln.feed.put(server)
			c := &dialog{t: t, conn: client}
			c.in = newDialogReader(client)
			c.expect("220 ")
			return c
		})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _ *Server, _ *desk, dial func() *dialog) {
		start := time.Now()
		d := dial()
		d.expect("421 4.4.2") // nobody signs in
		if waited := time.Since(start); waited != 3*time.Minute {
			t.Errorf("ended after %v", waited)
		}
		d.conn.Close()

		d = dial()
		d.upgrade()
		d.ask("EHLO x", "250")
		d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
		start = time.Now()
		d.expect("421 4.4.2")
		if waited := time.Since(start); waited != 5*time.Minute {
			t.Errorf("ended after %v", waited)
		}
		d.conn.Close()
	})
}

// TestStalledDataNeverBecomesCommands sends a message that looks like commands and stalls.
func TestStalledDataNeverBecomesCommands(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _ *Server, desk *desk, dial func() *dialog) {
		d := dial()
		d.upgrade()
		d.ask("EHLO x", "250")
		d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
		d.envelope()
		d.ask("DATA", "354")
		d.send("Subject: x\r\n\r\nRSET\r\nMAIL FROM:<maya@willowhouse.example>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\n")
		start := time.Now()
		d.expect("421 4.4.2")
		if waited := time.Since(start); waited != 3*time.Minute {
			t.Errorf("ended after %v", waited)
		}
		d.conn.Close()
		synctest.Wait()
		if len(desk.got()) != 0 || desk.checks != 2 {
			t.Errorf("%d accepted, %d checks", len(desk.got()), desk.checks)
		}
	})
}

// TestSlowDataIsCut drips a byte before each time-out until the transaction's own end.
func TestSlowDataIsCut(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _ *Server, desk *desk, dial func() *dialog) {
		d := dial()
		d.upgrade()
		d.ask("EHLO x", "250")
		d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
		start := time.Now()
		d.envelope()
		d.ask("DATA", "354")
		stop := make(chan struct{})
		go func() {
			tick := time.NewTicker(time.Minute)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := io.WriteString(d.conn, "x"); err != nil {
						return
					}
				case <-stop:
					return
				}
			}
		}()
		d.expect("421 4.4.2")
		close(stop)
		if waited := time.Since(start); waited != 30*time.Minute {
			t.Errorf("ended after %v", waited)
		}
		d.conn.Close()
		synctest.Wait()
		if len(desk.got()) != 0 {
			t.Error("accepted")
		}
	})
}

func TestSlowCommandIsCut(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _ *Server, _ *desk, dial func() *dialog) {
		d := dial()
		d.upgrade()
		d.ask("EHLO x", "250")
		d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
		start := time.Now()
		stop := make(chan struct{})
		go func() {
			tick := time.NewTicker(20 * time.Second)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := io.WriteString(d.conn, "N"); err != nil {
						return
					}
				case <-stop:
					return
				}
			}
		}()
		d.expect("421 4.4.2")
		close(stop)
		if waited := time.Since(start); waited != 5*time.Minute {
			t.Errorf("ended after %v", waited)
		}
		d.conn.Close()
	})
}

func TestCaps(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config, _ *desk) { c.Limits.ConnectionsPerIP = 2 })
	a, _ := r.plain(), r.tls()
	for _, implicit := range []bool{false, true} {
		d := r.raw(implicit)
		d.expect("421 4.3.2")
		d.closed()
	}
	a.ask("QUIT", "221")
	a.closed()
	// The place is free once the server has seen the end; the next connections show when.
	for {
		d := r.raw(false)
		if got, _ := d.reply(); strings.HasPrefix(got, "220 ") {
			break
		}
	}
}

func TestCapOverAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config, _ *desk) { c.Limits.Connections = 1 })
	r.plain()
	d := r.raw(false)
	d.expect("421 4.3.2")
	d.closed()
}

func TestDrain(t *testing.T) {
	t.Parallel()
	reading, goOn := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(_ *Config, d *desk) {
		d.submit = func(_ context.Context, e *mail.Envelope, rd io.Reader) (gateway.Receipt, error) {
			close(reading)
			<-goOn
			return d.take(e, rd)
		}
	})
	idlePlain, idleTLS, half := r.plain(), r.signedIn(), r.ready()
	busy := r.ready()
	busy.ask("DATA", "354")
	busy.send("first\r\n")
	<-reading
	done := make(chan error)
	go func() { done <- r.srv.Shutdown(context.Background()) }()
	idlePlain.expect("421 4.3.2")
	idlePlain.closed()
	idleTLS.expect("421 4.3.2")
	idleTLS.closed()
	if c, err := net.Dial("tcp", r.starttls); err == nil {
		c.Close()
		t.Error("still listening")
	}
	half.ask("RSET", "250")
	half.expect("421 4.3.2")
	busy.send("second\r\n.\r\nMAIL FROM:<maya@willowhouse.example>\r\n")
	close(goOn)
	busy.expect("250 2.0.0 queued")
	busy.expect("421 4.3.2")
	busy.closed()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.desk.got(); len(got) != 1 || got[0].body != "first\r\nsecond\r\n" {
		t.Errorf("got %+v", got)
	}
}

func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.ready()
	d.ask("DATA", "354")
	d.send("never ends\r\n")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if len(r.desk.got()) != 0 {
		t.Error("accepted")
	}
}
