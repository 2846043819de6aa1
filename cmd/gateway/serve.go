package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/httpd"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/queue"
	"github.com/plaincover/plaincover/internal/relay"
	"github.com/plaincover/plaincover/internal/smtpd"
	"github.com/plaincover/plaincover/internal/store"
)

type serveCmd struct{}

// Help is shown under --help.
func (serveCmd) Help() string {
	return "Listens, decides, delivers. Ends on SIGTERM, after the connections and deliveries in hand. SIGHUP reads the policies anew (gateway reload).\n\nExample: gateway serve --config /etc/gateway/gateway.yaml"
}

// Run is the service.
func (serveCmd) Run(ctx context.Context, p *program) (err error) {
	asked, stop := onHangup()
	defer stop()
	c, err := p.configuration(needService)
	if err != nil {
		return err
	}
	snap, err := policies(c.Policies)
	if err != nil {
		return err
	}
	if err := checkRegion(c, snap); err != nil {
		return err
	}
	for _, w := range policy.Problems(snap.WarningsAt(time.Now())).In(c.Policies) {
		p.say("warning: %s", w.Error())
	}
	st, err := p.openStore(ctx, c, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	cert, warning, err := certificate(c, time.Now())
	if err != nil {
		return err
	}
	if warning != "" {
		p.say("warning: %s", warning)
	}
	smarthost, err := smarthostConfig(c)
	if err != nil {
		return err
	}
	s := &service{config: c, snap: snap, store: st, cert: cert, log: logger(c.Log, p.Err)}
	if s.since, err = st.LastAudit(ctx); err != nil {
		return err
	}
	if s.webTLS, err = webTLS(c); err != nil {
		return err
	}
	if err := s.assemble(smarthost); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	if s.webListener != nil {
		p.say("listening on %s (%s)", s.webListener.Addr(), map[bool]string{true: "HTTPS", false: "HTTP"}[s.webTLS != nil])
	}
	for _, l := range s.listeners {
		p.say("listening on %s (%s)", l.Addr(), l.name())
	}
	return s.run(ctx, asked)
}

// service is everything that runs, put together.
type service struct {
	config Config
	snap   *policy.Snapshot
	store  *store.Store
	cert   tls.Certificate
	webTLS *tls.Config // nil: in clear
	log    *slog.Logger
	since  int64 // the newest row of the audit when the service began

	gateway   *gateway.Gateway
	relay     *relay.Smarthost
	queue     *queue.Queue
	server    *smtpd.Server
	listeners []listener

	web         *httpd.Server
	webListener net.Listener // nil: none is wanted
}

type listener struct {
	net.Listener
	implicit bool
}

func (l listener) name() string {
	if l.implicit {
		return "TLS"
	}
	return "STARTTLS"
}

// gatewayLimits are the limits of parsing, with the configured size.
func gatewayLimits(c Config) mail.Limits {
	l := mail.DefaultLimits()
	l.Bytes = int64(c.Limits.MessageBytes)
	return l
}

// assemble wires the parts: the door, the queue and the way out.
func (s *service) assemble(smarthost relay.Config) (err error) {
	c := s.config
	if s.gateway, err = gateway.New(gateway.Config{Store: s.store, Policy: s.snap, Hostname: c.Hostname, Limits: gatewayLimits(c), Now: time.Now, Log: s.log}); err != nil {
		return err
	}
	smarthost.Hostname, smarthost.Log = c.Hostname, s.log
	if s.relay, err = relay.New(smarthost); err != nil {
		return &configError{fmt.Errorf("smarthost: %w", err)}
	}
	s.queue = queue.New(queue.Config{Store: s.store, Deliverer: s.relay, Report: s.gateway.Report, Now: time.Now, Workers: deliveryWorkers, Log: s.log})
	s.server = smtpd.New(smtpd.Config{
		Hostname: c.Hostname, Door: s.gateway, NewID: s.gateway.NewID, Now: time.Now, Log: s.log,
		TLS: &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12},
		Limits: smtpd.Limits{MessageBytes: int64(c.Limits.MessageBytes), Recipients: c.Limits.Recipients,
			Connections: c.Limits.Connections, ConnectionsPerIP: c.Limits.ConnectionsPerIP},
	})
	s.web = httpd.New(httpd.Config{Store: s.store, Gateway: s.gateway, Queue: s.queue, Version: versionOf().Version, TLS: s.webTLS, Log: s.log})
	return nil
}

// deliveryWorkers is how many deliveries are under way at once.
const deliveryWorkers = 16

// listen opens all listeners, or none.
func (s *service) listen(ctx context.Context) (err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, l := range s.listeners {
			err = errors.Join(err, l.Close())
		}
		if s.webListener != nil {
			err = errors.Join(err, s.webListener.Close())
		}
	}()
	var lc net.ListenConfig
	for _, l := range s.config.Listen {
		ln, err := lc.Listen(ctx, "tcp", l.Address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		s.listeners = append(s.listeners, listener{ln, l.TLS == "implicit"})
	}
	if address := s.config.HTTP.Address; address != "" {
		if s.webListener, err = lc.Listen(ctx, "tcp", address); err != nil {
			return fmt.Errorf("http.address: %w (choose another, or an empty one for no web listener)", err)
		}
	}
	return nil
}

// run serves until ctx is done or a part fails, then drains: no new connections and no new
// deliveries, and those in hand may finish, within drainTime. What is queued stays on disk.
// A signal in asked has the policies read anew; nil: nobody can ask.
func (s *service) run(ctx context.Context, asked <-chan os.Signal) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		g.Go(func() error {
			if err := s.server.Serve(ctx, l.Listener, l.implicit); err != nil && ctx.Err() == nil {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	if s.webListener != nil {
		g.Go(func() error {
			if err := s.web.Serve(s.webListener); err != nil && ctx.Err() == nil {
				return fmt.Errorf("serve %s: %w", s.webListener.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error {
		err := s.queue.Run(ctx)
		if ctx.Err() == nil {
			return fmt.Errorf("the queue stopped: %w", orElse(err, errors.New("no reason given")))
		}
		return nil
	})
	g.Go(func() error { return s.sweep(ctx) })
	g.Go(func() error { return s.summarise(ctx) })
	g.Go(func() error { return s.reloads(ctx, asked) })
	g.Go(func() error {
		<-ctx.Done()
		s.log.Info("draining")
		s.web.Drain() // whoever asks is told until the last mail app has its answer
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err := errors.Join(s.server.Shutdown(drain), s.web.Shutdown(drain))
		if errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn("connections were cut", "after", drainTime.String())
			return nil
		}
		return err
	})
	err := errors.Join(g.Wait(), s.relay.Close())
	s.log.Info("stopped")
	return err
}

// sweep erases, every hour, the content of messages that are finished for longer than keep:
// says, and forgets threads and facts. They hold no content and have to outlive it: people answer
// mail that is months old, and ask what other rules would have done to it. audit_days is how long
// the practice keeps who wrote to whom.
func (s *service) sweep(ctx context.Context) error {
	every := time.NewTicker(time.Hour)
	defer every.Stop()
	for {
		org := s.gateway.Policy().Org
		keep := time.Duration(org.MessageContentDays) * 24 * time.Hour
		n, err := s.store.Sweep(ctx, time.Now().Add(-keep))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Error("sweep", "err", err.Error())
		case n > 0:
			s.log.Info("swept", "messages", n)
		}
		audit := time.Duration(org.AuditDays) * 24 * time.Hour
		if _, err := s.store.ForgetThreads(ctx, time.Now().Add(-audit)); err != nil && ctx.Err() == nil {
			s.log.Error("forget threads", "err", err.Error())
		}
		if _, err := s.store.ForgetFacts(ctx, time.Now().Add(-audit)); err != nil && ctx.Err() == nil {
			s.log.Error("forget facts", "err", err.Error())
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// summarise asks every few minutes whether a day is to be summed up; that it happens once a day
// is the gateway's business.
func (s *service) summarise(ctx context.Context) error {
	every := time.NewTicker(5 * time.Minute)
	defer every.Stop()
	for {
		if err := s.gateway.SummariseObserved(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("summary of rules on trial", "err", err.Error())
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// smarthostConfig is the way out as configured.
func smarthostConfig(c Config) (relay.Config, error) {
	r := relay.Config{URL: c.Smarthost.URL, Username: c.Smarthost.Username, TLSMode: c.Smarthost.TLS}
	var err error
	if r.Password, err = c.smarthostPassword(); err != nil {
		return r, err
	}
	if c.Smarthost.CAFile != "" {
		if r.RootCAs, err = certPool(c.Smarthost.CAFile); err != nil {
			return r, &configError{problems{{Code: codeCertificate, File: c.Smarthost.CAFile, Text: "smarthost.ca_file holds no certificate of an authority",
				Fix: "name a PEM file that the program's account may read, or leave it empty for the system's authorities"}}}
		}
	}
	return r, nil
}

// listenLoopback opens a port that only this machine can reach.
func listenLoopback(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", "127.0.0.1:0")
}
