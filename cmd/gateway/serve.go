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
	snap, broken := policies(c.Policies)
	if broken == nil {
		broken = checkRegion(c, snap)
	}
	if broken != nil && !store.Exists(c.Data) {
		return broken // nor can there be policies from before
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
	s := &service{config: c, store: st, cert: cert, log: logger(c.Log, p.Err)}
	if s.since, err = st.LastAudit(ctx); err != nil {
		return err
	}
	if s.webTLS, err = webTLS(c); err != nil {
		return err
	}
	compare, err := s.begin(ctx, p, snap, broken)
	if err != nil {
		return err
	}
	if err := s.assemble(smarthost); err != nil {
		return err
	}
	if compare {
		s.compare(ctx, p, broken)
	}
	for _, w := range policy.Problems(s.gateway.Policy().WarningsAt(time.Now())).In(c.Policies) {
		p.say("warning: %s", w.Error())
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

// begin chooses the policies that the service starts with: those that were taken last. What lies
// in the files now comes into force like a reload, and compare says that this is still to be
// done. The files themselves are chosen where they are the same, and where there is nothing to
// compare them with: then they must be sound, and broken is why they are not.
func (s *service) begin(ctx context.Context, p *program, files *policy.Snapshot, broken error) (compare bool, err error) {
	taken, ok, err := s.store.TakenPolicies(ctx)
	if err != nil {
		return false, err
	}
	if ok && !taken.Damaged && broken == nil && taken.ID == files.ID {
		s.snap = files
		return false, nil
	}
	event := store.Event{Kind: policyTaken, Actor: "gateway", Data: map[string]string{}}
	if ok {
		if s.snap, err = unpack(taken); err == nil {
			if err := checkRegion(s.config, s.snap); err != nil {
				return false, fmt.Errorf("by the policies that were in force before: %w", err)
			}
			return true, nil
		}
		event.Data["before"], event.Data["why"] = taken.ID, err.Error()
		s.log.Error("no policies to compare with", "policy", taken.ID, "why", err.Error())
		p.say("warning: there is nothing to compare the policies with: %s", err)
	}
	if broken != nil {
		return false, broken
	}
	err = pass(ctx, files)
	if n, ok := errors.AsType[*notTaken](err); ok {
		return false, &configError{problems{{Code: codeTestsFail, File: s.config.Policies, Text: n.text, Fix: "mend the policies or their tests, then start again"}}}
	}
	if err != nil {
		return false, err
	}
	s.snap, event.Data["policy"] = files, files.ID
	return false, s.take(ctx, files, event)
}

// unpack returns the policies that were taken last. What an older version took may be in a
// language that is not read any more.
func unpack(taken store.Policies) (*policy.Snapshot, error) {
	if taken.Damaged {
		return nil, errors.New("the copy of those that were in force before is damaged")
	}
	snap, err := policy.LoadArchive(taken.Archive)
	if err != nil || snap.ID != taken.ID {
		return nil, errors.New("this version cannot read the copy of those that were in force before")
	}
	return snap, nil
}

// compare brings the files into force as a reload would, or says why they stay out of force.
func (s *service) compare(ctx context.Context, p *program, broken error) {
	next, changes, err := s.candidate(ctx, s.gateway.Policy())
	why := s.answer(ctx, store.Row{Actor: "gateway"}, next, changes, err)
	if why == nil {
		return
	}
	if broken != nil {
		p.say("%s", broken)
	}
	p.say("the service keeps the policies that it has: %s", why)
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
