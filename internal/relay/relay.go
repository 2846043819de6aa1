// Package relay owns delivery to a smarthost over SMTP (RFC 5321): one attempt for one job,
// over a small pool of verified connections, with a result for each recipient.
//
// It never decides what to send, never changes a byte of a message but for dot-stuffing, never
// sends again by itself what may have arrived, and never falls back to a weaker connection.
// It speaks SMTP by its own small client, because go-smtp's bounds neither replies nor time by
// step, and cannot say whether the final dot had gone out when a connection failed.
package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/store"
)

// Timeouts bound each step (RFC 5321 §4.5.3.2). A zero field takes its default.
type Timeouts struct {
	Connect   time.Duration // TCP: 30 s
	Handshake time.Duration // TLS: 1 min
	Greeting  time.Duration // 5 min
	Command   time.Duration // EHLO, AUTH, MAIL, RCPT: 5 min
	DataStart time.Duration // 354: 2 min
	DataBlock time.Duration // each write: 3 min
	DataEnd   time.Duration // the reply to the final dot: 10 min
	Idle      time.Duration // how long an unused connection is kept: 30 s
}

// Config is what a [Smarthost] needs. URL is required.
type Config struct {
	URL         string // smtp://host:port or smtps://host:port
	Username    string // empty: no AUTH
	Password    string
	TLSMode     string // required (also ""), opportunistic, or none (loopback only)
	RootCAs     *x509.CertPool
	Hostname    string // what EHLO says
	Log         *slog.Logger
	Timeouts    Timeouts
	Connections int // open at once; 8
	Messages    int // over one connection; 100
}

// Smarthost sends jobs to one smarthost. It is safe for concurrent use.
type Smarthost struct {
	cfg      Config
	host     string
	address  string
	implicit bool
	tls      *tls.Config
	// secured is set by the first TLS connection: from then on not even opportunistic mode
	// goes without (I32).
	secured atomic.Bool
	slots   chan struct{}

	mu     sync.Mutex
	idle   []*client
	closed bool
}

// TLS modes.
const (
	tlsRequired      = "required"
	tlsOpportunistic = "opportunistic"
	tlsNone          = "none"
)

// New checks the configuration. It does not connect.
func New(cfg Config) (*Smarthost, error) {
	cfg.defaults()
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" ||
		u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.New(fault.Invalid, "smarthost url must be smtp://host:port or smtps://host:port, without a user name or a path")
	}
	s := &Smarthost{cfg: cfg, host: u.Hostname(), implicit: u.Scheme == "smtps", slots: make(chan struct{}, cfg.Connections)}
	port := u.Port()
	switch {
	case port != "":
	case s.implicit:
		port = "465"
	default:
		port = "587"
	}
	s.address = net.JoinHostPort(s.host, port)
	s.tls = &tls.Config{ServerName: s.host, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}
	switch cfg.TLSMode {
	case tlsRequired, tlsOpportunistic:
	case tlsNone:
		switch {
		case s.implicit:
			return nil, fault.New(fault.Invalid, "smarthost tls: none does not go with smtps://")
		case !isLoopback(s.host):
			return nil, fault.New(fault.Invalid, "smarthost tls: none is for a smarthost on this machine only; use required")
		case cfg.Username != "":
			return nil, fault.New(fault.Invalid, "smarthost tls: none cannot sign in: a password is sent inside TLS only")
		}
	default:
		return nil, fault.New(fault.Invalid, "smarthost tls must be required, opportunistic or none")
	}
	return s, nil
}

func (c *Config) defaults() {
	if c.TLSMode == "" {
		c.TLSMode = tlsRequired
	}
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Connections <= 0 {
		c.Connections = 8
	}
	if c.Messages <= 0 {
		c.Messages = 100
	}
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&c.Timeouts.Connect, 30*time.Second)
	or(&c.Timeouts.Handshake, time.Minute)
	or(&c.Timeouts.Greeting, 5*time.Minute)
	or(&c.Timeouts.Command, 5*time.Minute)
	or(&c.Timeouts.DataStart, 2*time.Minute)
	or(&c.Timeouts.DataBlock, 3*time.Minute)
	or(&c.Timeouts.DataEnd, 10*time.Minute)
	or(&c.Timeouts.Idle, 30*time.Second)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Deliver makes one attempt at a job: one transaction, with all its recipients. The results
// are in the order of j.Recipients. body is read only once the smarthost asked for it.
func (s *Smarthost) Deliver(ctx context.Context, j store.Job, body io.Reader) []store.Result {
	t, err := newTransaction(j, body)
	if err == nil {
		err = s.attempt(ctx, t)
	}
	results := t.results(err)
	for i := range results {
		results[i].Remote = s.host
	}
	level := slog.LevelDebug // the queue logs each recipient's result
	if err != nil {
		level = slog.LevelWarn
	}
	codes := make([]string, len(results))
	for i, r := range results {
		codes[i] = string(r.Outcome) + " " + r.Status.Enhanced()
	}
	s.cfg.Log.Log(ctx, level, "transaction", "id", j.Message, "job", j.ID, "attempt", j.Attempts, "results", codes)
	return results
}

// attempt sends t over an idle connection or a new one. An idle connection that the smarthost
// had closed meanwhile fails before the message is read: that costs one try over a new one.
func (s *Smarthost) attempt(ctx context.Context, t *transaction) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return broken("no connection is free", fault.Status{Code: 451, Subject: 4, Detail: 5}, ctx.Err())
	}
	for {
		c, reused, err := s.connection(ctx)
		if err != nil {
			return err
		}
		err = t.run(ctx, c)
		stale := reused && c.stale // kept, it is somebody else's
		s.keep(c)
		if !stale || t.started || ctx.Err() != nil {
			return err
		}
		t.forget()
	}
}

// connection takes an idle connection, the youngest first, or opens one.
func (s *Smarthost) connection(ctx context.Context) (c *client, reused bool, err error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, false, broken("the relay is closed", fault.Status{Code: 451, Subject: 3, Detail: 2}, net.ErrClosed)
		}
		n := len(s.idle)
		if n == 0 {
			s.mu.Unlock()
			c, err = s.open(ctx)
			return c, false, err
		}
		c = s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		if c.expiry.Stop() { // else it is being closed
			return c, true, nil
		}
	}
}

// keep puts a healthy connection back, or closes it.
func (s *Smarthost) keep(c *client) {
	c.sent++
	if !c.healthy() {
		c.conn.Close()
		return
	}
	s.mu.Lock()
	if s.closed || c.sent >= s.cfg.Messages {
		s.mu.Unlock()
		c.quit()
		return
	}
	defer s.mu.Unlock()
	s.idle = append(s.idle, c)
	c.expiry = time.AfterFunc(s.cfg.Timeouts.Idle, func() { s.expire(c) })
}

func (s *Smarthost) expire(c *client) {
	s.mu.Lock()
	for i, other := range s.idle {
		if other == c {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	c.quit()
}

// Check connects, starts TLS, signs in and leaves, as a delivery would. Its error says in
// Public what to mend.
func (s *Smarthost) Check(ctx context.Context) error {
	c, err := s.open(ctx)
	if err != nil {
		what := "it cannot be used"
		if f, ok := errors.AsType[*failure](err); ok {
			what = f.what
		}
		return fault.Wrap(fault.Unavailable, fmt.Sprintf("smarthost %s: %s", s.address, what), err)
	}
	c.quit()
	return nil
}

// Close closes the idle connections. Deliveries in progress end by their context.
func (s *Smarthost) Close() error {
	s.mu.Lock()
	s.closed = true
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, c := range idle {
		if c.expiry.Stop() {
			c.quit()
		}
	}
	return nil
}
