// Package httpd owns everything that is spoken over HTTP: listeners, connections and their
// bounds, routes, and the table from faults to problems (RFC 9457). For now it has the three
// addresses that operators and their monitors ask: /livez, /readyz and /metrics.
//
// It decides nothing about a message and keeps no state of its own. What it answers holds
// counts, times, codes and the policies' digest; never an address, a client's code, a subject
// or what a visitor sent.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/queue"
	"github.com/plaincover/plaincover/internal/store"
)

// Timeouts bound how long visitors may take. A zero field takes its default.
type Timeouts struct {
	Header time.Duration // TLS handshake, and from the first byte of a request to the end of its header: 10 s
	Read   time.Duration // a whole request: 30 s
	Write  time.Duration // from the end of the header to the end of the answer: 30 s
	Idle   time.Duration // between two requests of a connection: 1 min
}

// Config is what a [Server] needs. Store, Gateway and Queue are required.
type Config struct {
	Store   *store.Store
	Gateway *gateway.Gateway
	Queue   *queue.Queue
	Version string      // of the program, for /metrics
	TLS     *tls.Config // nil: in clear, for loopback or behind a proxy that has TLS

	Connections int // 0: 1,000
	Timeouts    Timeouts
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: none
}

const (
	// headerBytes is the most that a request's header may have; net/http adds 4 KiB for the
	// request line. Over it the answer is 431.
	headerBytes = 16 << 10
	// metricsAtOnce bounds the scrapes in work; the next one is answered 503.
	metricsAtOnce = 4
)

// Server answers HTTP on any number of listeners.
type Server struct {
	cfg      Config
	inner    *http.Server
	routes   *http.ServeMux
	probe    probe
	draining atomic.Bool
}

// New returns a server that listens to nothing yet.
func New(cfg Config) *Server {
	cfg.defaults()
	s := &Server{cfg: cfg, routes: http.NewServeMux(), probe: probe{store: cfg.Store, now: cfg.Now}}
	for _, r := range s.table() {
		s.routes.Handle(r.pattern, r.handler)
	}
	conns := newConns(cfg.Connections)
	s.inner = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: cfg.Timeouts.Header,
		ReadTimeout:       cfg.Timeouts.Read,
		WriteTimeout:      cfg.Timeouts.Write,
		IdleTimeout:       cfg.Timeouts.Idle,
		MaxHeaderBytes:    headerBytes,
		ConnState:         conns.state,
		// Its complaints quote addresses and what visitors sent.
		ErrorLog: log.New(mute{cfg.Log}, "", 0),
		// OPTIONS * is a method like another that nothing here has.
		DisableGeneralOptionsHandler: true,
		Protocols:                    new(http.Protocols),
	}
	// Nothing here gains by HTTP/2, and one protocol less is one less to attack.
	s.inner.Protocols.SetHTTP1(true)
	return s
}

func (c *Config) defaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Connections <= 0 {
		c.Connections = 1000
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime(&c.Timeouts.Header, 10*time.Second)
	orTime(&c.Timeouts.Read, 30*time.Second)
	orTime(&c.Timeouts.Write, 30*time.Second)
	orTime(&c.Timeouts.Idle, time.Minute)
}

type route struct {
	pattern string
	handler http.Handler
}

// table is every route that there is. GET serves HEAD too.
func (s *Server) table() []route {
	return []route{
		{"GET /livez", http.HandlerFunc(s.livez)},
		{"GET /readyz", http.HandlerFunc(s.readyz)},
		{"GET /metrics", s.metrics()},
	}
}

// Serve answers on ln until [Server.Shutdown] is called, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	if s.cfg.TLS != nil {
		conf := s.cfg.TLS.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
		conf.NextProtos = []string{"http/1.1"}
		ln = tls.NewListener(ln, conf)
	}
	if err := s.inner.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Drain has /readyz say from now on that the program is stopping, so that nobody sends it
// work any more.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops listening and lets answers in hand finish until ctx is done; then it cuts
// them. It returns ctx's error if it had to.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	err := s.inner.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.inner.Close())
	}
	return err
}

// ServeHTTP answers one request: the way in to every route.
func (s *Server) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &answer{ResponseWriter: out}
	defer s.survive(w)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch {
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// No route reads a body. One on a GET may be a second request in disguise (RFC 9110
		// §9.3.1), so the connection ends with the answer.
		h.Set("Connection", "close")
		writeProblem(w, problem{Status: http.StatusBadRequest, Detail: "this request has a body, and nothing here takes one", Fix: "send it without a body"})
		return
	case r.URL.Path != path.Clean("/"+r.URL.Path):
		writeProblem(w, problemOf(fault.New(fault.NotFound, "")))
		return
	}
	handler, pattern := s.routes.Handler(r)
	if pattern != "" {
		handler.ServeHTTP(w, r)
		return
	}
	// The multiplexer knows whether it is the path or the method.
	v := verdict{header: http.Header{}}
	handler.ServeHTTP(&v, r)
	if allow := v.header.Get("Allow"); v.status == http.StatusMethodNotAllowed {
		h.Set("Allow", allow)
		writeProblem(w, problem{Status: v.status, Detail: "this address does not have that method", Fix: "use " + allow})
		return
	}
	writeProblem(w, problemOf(fault.New(fault.NotFound, "")))
}

// verdict takes an answer's status and header, and drops its text.
type verdict struct {
	header http.Header
	status int
}

// Header returns the header.
func (v *verdict) Header() http.Header { return v.header }

// WriteHeader keeps the status.
func (v *verdict) WriteHeader(status int) { v.status = status }

// Write drops b.
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }

// answer knows whether anything of it has gone out.
type answer struct {
	http.ResponseWriter
	began bool
}

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	a.began = true
	a.ResponseWriter.WriteHeader(status)
}

// Write begins the answer, or goes on with it.
func (a *answer) Write(b []byte) (int, error) {
	a.began = true
	return a.ResponseWriter.Write(b)
}

// survive keeps a panic to its request.
func (s *Server) survive(w *answer) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	// The value of a panic could quote what was sent; its type and the stack cannot.
	s.cfg.Log.Error("a request panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	if w.began {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	w.Header().Set("Connection", "close")
	writeProblem(w, problemOf(errors.New("panic")))
}

// mute takes net/http's complaints, whose text may hold addresses and what a visitor sent,
// and keeps only that there was one.
type mute struct{ log *slog.Logger }

var _ io.Writer = mute{}

// Write drops b.
func (m mute) Write(b []byte) (int, error) {
	m.log.Debug("http library error")
	return len(b), nil
}
