// Package smtpd owns message submission over SMTP (RFC 6409): listeners, connections, TLS,
// sign-in, the order of commands, the line-ending layer, and the table from faults to replies.
//
// go-smtp keeps the protocol's state; it only ever sees a decrypted stream of lines that this
// package has already checked (see conn). What is allowed to whom, and what becomes of a
// message, is decided behind [Door]. The package never stores, changes or logs a message, a
// name, an address or a password.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
)

// Door is the application behind the listeners.
type Door interface {
	// SignIn returns the submitter that the credentials belong to.
	SignIn(ctx context.Context, name, password string) (submitter string, err error)
	// Check is asked after MAIL (no recipients yet) and after each RCPT (the new one is last).
	Check(ctx context.Context, env *mail.Envelope) error
	// Submit reads the whole message. When it returns no error the message is committed.
	// When r fails, nothing may be.
	Submit(ctx context.Context, env *mail.Envelope, r io.Reader) (gateway.Receipt, error)
}

// Limits bound what clients may use. A zero field takes its default.
type Limits struct {
	MessageBytes     int64 // 35,000,000
	Recipients       int   // 100
	Connections      int   // 1,000
	ConnectionsPerIP int   // 50
}

// Timeouts bound how long clients may take (RFC 5321 §4.5.3.2.7). A zero field takes its
// default.
type Timeouts struct {
	Handshake   time.Duration // TLS handshake: 30 s
	Login       time.Duration // from connecting to being signed in: 3 min
	Command     time.Duration // waiting for a whole command: 5 min
	Data        time.Duration // waiting for the next bytes of a message: 3 min
	Transaction time.Duration // from MAIL to the final reply: 30 min
	Write       time.Duration // writing replies: 1 min
}

// Config is what a [Server] needs. Hostname, Door and TLS are required.
type Config struct {
	Hostname string
	Door     Door
	TLS      *tls.Config
	Limits   Limits
	Timeouts Timeouts
	Now      func() time.Time
	NewID    func() (mail.ID, error)
	Log      *slog.Logger
}

// Server accepts submissions on any number of listeners.
type Server struct {
	cfg   Config
	tls   *tls.Config
	inner *smtp.Server
	feed  *feed
	tries *limiter

	draining atomic.Bool
	serial   atomic.Uint64
	refusing chan struct{} // connections over a cap that are being told so
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup // one a connection and one a listener

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	perIP     map[netip.Addr]int
}

// New returns a server that listens to nothing yet.
func New(cfg Config) *Server {
	cfg.defaults()
	s := &Server{cfg: cfg, tls: cfg.TLS.Clone(), tries: newLimiter(cfg.Now),
		refusing: make(chan struct{}, 16), feed: newFeed(),
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}, perIP: map[netip.Addr]int{}}
	if s.tls == nil {
		s.tls = &tls.Config{}
	}
	s.tls.MinVersion = max(s.tls.MinVersion, tls.VersionTLS12)
	s.ctx, s.cancel = context.WithCancel(context.Background())

	s.inner = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return newSession(c.Conn().(*conn)), nil
	}))
	s.inner.Domain = cfg.Hostname
	s.inner.EnableSMTPUTF8 = true
	s.inner.ErrorLog = muteLog{cfg.Log}
	// go-smtp sees only streams that are inside TLS already, but not as *tls.Conn.
	s.inner.AllowInsecureAuth = true
	// Ours, in conn: with these set, go-smtp reads the rest of a stalled DATA as commands,
	// counts a whole message as one read, and limits lines of messages.
	s.inner.ReadTimeout, s.inner.WriteTimeout, s.inner.MaxLineLength, s.inner.MaxMessageBytes = 0, 0, 0, 0
	s.work.Go(func() { _ = s.inner.Serve(s.feed) })
	return s
}

func (c *Config) defaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.Limits.MessageBytes <= 0 {
		c.Limits.MessageBytes = mail.DefaultLimits().Bytes
	}
	orInt(&c.Limits.Recipients, 100)
	orInt(&c.Limits.Connections, 1000)
	orInt(&c.Limits.ConnectionsPerIP, 50)
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime(&c.Timeouts.Handshake, 30*time.Second)
	orTime(&c.Timeouts.Login, 3*time.Minute)
	orTime(&c.Timeouts.Command, 5*time.Minute)
	orTime(&c.Timeouts.Data, 3*time.Minute)
	orTime(&c.Timeouts.Transaction, 30*time.Minute)
	orTime(&c.Timeouts.Write, time.Minute)
}

// Serve accepts connections until ctx is done or [Server.Shutdown] is called, and then
// returns nil. With implicit, TLS begins at the first byte (RFC 8314); otherwise by STARTTLS.
// Connections outlive Serve; Shutdown ends them.
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicit bool) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners[ln] = struct{}{}
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer func() {
		stop()
		ln.Close()
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
	}()
	var pause time.Duration
	for {
		raw, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(raw, implicit)
		case ctx.Err() != nil || s.draining.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// Out of file descriptors, for example: wait rather than spin or give up.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.cfg.Log.Error("accept failed", "pause", pause)
			wait := time.NewTimer(pause)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
			}
		}
	}
}

// admit starts a connection, or turns it away when a cap is reached.
func (s *Server) admit(raw net.Conn, implicit bool) {
	addr := addrPort(raw)
	key := capKey(addr.Addr())
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		raw.Close()
		return
	}
	if len(s.conns) >= s.cfg.Limits.Connections || s.perIP[key] >= s.cfg.Limits.ConnectionsPerIP {
		s.mu.Unlock()
		s.turnAway(raw, implicit)
		return
	}
	c := newConn(s, raw, addr, implicit)
	s.conns[c] = struct{}{}
	s.perIP[key]++
	s.work.Add(1)
	s.mu.Unlock()
	go func() {
		// From here on go-smtp owns the connection and closes it; until then we do.
		if !c.open() || !s.feed.put(c) {
			c.Close()
		}
	}()
}

// release forgets a closed connection.
func (s *Server) release(c *conn) {
	key := capKey(c.addr.Addr())
	s.mu.Lock()
	delete(s.conns, c)
	if s.perIP[key]--; s.perIP[key] <= 0 {
		delete(s.perIP, key)
	}
	s.mu.Unlock()
	s.work.Done()
}

// turnAway says 421 to a connection over a cap, to a few at a time; the rest are just closed.
func (s *Server) turnAway(raw net.Conn, implicit bool) {
	s.cfg.Log.Warn("connection refused", "reason", "connection limit", "code", 421)
	select {
	case s.refusing <- struct{}{}:
	default:
		raw.Close()
		return
	}
	s.work.Go(func() {
		defer func() { <-s.refusing }()
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(min(5*time.Second, s.cfg.Timeouts.Handshake)))
		stop := context.AfterFunc(s.ctx, func() { raw.Close() })
		defer stop()
		w := raw
		if implicit {
			t := tls.Server(raw, s.tls)
			if t.Handshake() != nil {
				return
			}
			w = t
		}
		_, _ = io.WriteString(w, "421 4.3.2 Too many connections. Try again in a few minutes.\r\n")
		if t, ok := w.(*tls.Conn); ok {
			t.CloseWrite()
		}
	})
}

// Shutdown stops listening, tells idle connections 421, and lets transactions in flight come
// to their reply until ctx is done; then it cuts them. It returns ctx's error if it had to.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		c.wake()
	}
	s.mu.Unlock()
	s.feed.Close()

	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.cancel()
		s.mu.Lock()
		for c := range s.conns {
			c.raw.Close()
		}
		s.mu.Unlock()
		<-done
	}
	s.cancel()
	return err
}

// feed is the listener that go-smtp serves: it hands over connections that are inside TLS.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

func (f *feed) put(c net.Conn) bool {
	select {
	case <-f.done:
		return false
	default:
	}
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept returns the next connection.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr returns an address that stands for none.
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }

// muteLog takes go-smtp's complaints, whose arguments may hold what a client sent, and keeps
// only that there was one.
type muteLog struct{ log *slog.Logger }

// Printf drops its arguments.
func (m muteLog) Printf(format string, _ ...any) { m.log.Error("smtp library error", "kind", format) }

// Println drops its arguments.
func (m muteLog) Println(...any) { m.log.Error("smtp library error") }

func addrPort(c net.Conn) netip.AddrPort {
	if t, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// capKey is what a cap counts by: an IPv4 address, or an IPv6 /64, which one client has whole.
func capKey(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
