// Package gateway is the application, and the one door in.
//
// Everything that wants a message to leave calls it: SMTP, the command line, a release from
// a hold. It spools the message, resolves the facts, asks the pure core for a plan, renders
// and checks each copy, and commits everything in one transaction before it answers. It
// never speaks a protocol and never edits a message outside Render.
package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// FactSource looks up everything that rules need about the recipients, in one batch.
type FactSource interface {
	// Resolve returns facts that are true at Facts.At, with one entry a recipient.
	// m is nil as long as there is no message.
	Resolve(ctx context.Context, e *mail.Envelope, m *mail.Message, need filter.Need) (*filter.Facts, error)
	// Watch returns the compiled register for the leak check.
	Watch(ctx context.Context) (*filter.Watch, error)
	// Words returns the phrase that opens a client's locked documents; empty when none is agreed.
	Words(ctx context.Context, ref string) (string, error)
	// RecipientKey returns the PGP key to encrypt to for a client; nil when there is none that can
	// be used at that time.
	RecipientKey(ctx context.Context, ref string, at time.Time) (*encrypt.Key, error)
	// RoleKey returns the practice's private key for an address that clients see.
	RoleKey(ctx context.Context, alias mail.Address, name string) (*encrypt.Key, error)
}

// The two sources of facts: the database, and the fixture of explain and of policy tests.
var (
	_ FactSource = (*store.Store)(nil)
	_ FactSource = (*store.Fixture)(nil)
)

// Config is what a Gateway is made of.
type Config struct {
	Store    *store.Store // nil: dry runs only
	Facts    FactSource   // nil: Store
	Policy   *policy.Snapshot
	Hostname string
	Limits   mail.Limits      // zero: mail.DefaultLimits
	Memory   int64            // bytes of message work at any time, but for one large message alone; zero: 256 MiB
	Now      func() time.Time // nil: time.Now
	Entropy  io.Reader        // nil: crypto/rand
	Log      *slog.Logger     // nil: discard
}

// Gateway decides about messages and commits them. It is safe for concurrent use.
type Gateway struct {
	store    *store.Store
	facts    FactSource
	policy   atomic.Pointer[policy.Snapshot]
	hostname string
	limits   mail.Limits
	now      func() time.Time
	entropy  io.Reader
	log      *slog.Logger

	memory int64
	work   *semaphore.Weighted // bounds the memory of all messages in work (I27, F25)
	text   *semaphore.Weighted // and that of their texts, once they are parsed
	locks  *semaphore.Weighted // and that of locking, which needs files whole

	without withoutLines
	tally   tally
	inForce inForce
}

// New returns a gateway. Without a policy there is nothing that it could decide, so that is
// an error.
func New(c Config) (*Gateway, error) {
	if c.Policy == nil {
		return nil, fault.New(fault.Invalid, "a gateway needs policies")
	}
	g := &Gateway{store: c.Store, facts: c.Facts, hostname: c.Hostname, limits: c.Limits,
		now: c.Now, entropy: c.Entropy, log: c.Log, memory: c.Memory}
	if g.facts == nil {
		if c.Store == nil {
			return nil, fault.New(fault.Invalid, "a gateway needs a store or a source of facts")
		}
		g.facts = c.Store
	}
	if g.limits == (mail.Limits{}) {
		g.limits = mail.DefaultLimits()
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.entropy == nil {
		g.entropy = rand.Reader
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.memory <= 0 {
		g.memory = 256 << 20
	}
	g.work, g.text, g.locks = semaphore.NewWeighted(g.memory/2), semaphore.NewWeighted(g.memory/2), semaphore.NewWeighted(g.memory/2)
	g.SetPolicy(c.Policy)
	return g, nil
}

// Policy returns the snapshot in force. A message pins the one it began with.
func (g *Gateway) Policy() *policy.Snapshot { return g.policy.Load() }

// SetPolicy swaps the policies for all messages that begin from now on.
func (g *Gateway) SetPolicy(s *policy.Snapshot) {
	if old := g.policy.Swap(s); old == nil || old.ID != s.ID {
		g.inForce.begin(s.ID, g.now())
	}
}

// NewID returns a fresh id for a message.
func (g *Gateway) NewID() (mail.ID, error) {
	id, err := mail.NewID(g.now(), g.entropy)
	if err != nil {
		return "", fault.Wrap(fault.Internal, "", fmt.Errorf("gateway: make id: %w", err))
	}
	return id, nil
}

// SignIn checks an app password and returns the id of the person or system it belongs to.
// An unknown name takes the same work as a wrong password.
func (g *Gateway) SignIn(ctx context.Context, name, password string) (string, error) {
	id, ok := g.Policy().BySignIn(name)
	if !ok {
		id = ""
	}
	if err := g.store.Authenticate(ctx, id, password); err != nil {
		return "", err
	}
	s, ok := g.Policy().Sender(id)
	if !ok || !may(s, "send") {
		return "", fault.New(fault.Forbidden, "this sign-in may not send email")
	}
	return id, nil
}

// Check answers MAIL (an envelope without recipients) and RCPT (the new recipient is the
// last one) before there is any content: who may use which address, and the rules that need
// no content.
func (g *Gateway) Check(ctx context.Context, e *mail.Envelope) error {
	snap := g.Policy()
	if len(e.Recipients) == 0 {
		return checkReverse(snap, e)
	}
	one := *e
	one.Recipients = e.Recipients[len(e.Recipients)-1:]
	in, err := g.input(ctx, snap, &one, nil, nil)
	if err != nil {
		return err
	}
	plan, err := filter.Run(snap.Rules, snap.Practice, in)
	if err != nil {
		return asListUnreadable(err)
	}
	if plan.Outcome != filter.Refuse {
		return nil
	}
	return g.refusal(snap, e.ID, &plan)
}

// checkReverse refuses a reverse-path that is not the submitter's own (I18, B10).
func checkReverse(snap *policy.Snapshot, e *mail.Envelope) error {
	if !e.Reverse.IsZero() && snap.MayUse(e.Submitter, e.Reverse) {
		return nil
	}
	text, err := notYours(snap, e.Submitter)
	if err != nil {
		return err
	}
	return &fault.Error{Kind: fault.Rejected, Status: fault.Status{Code: 553, Subject: 7, Detail: 1},
		Public: fmt.Sprintf("%s [M01 %s]", text, e.ID)}
}

func may(s filter.Sender, right string) bool {
	for _, r := range s.May {
		if r == right {
			return true
		}
	}
	return false
}

// input resolves all facts that the snapshot needs for these recipients.
func (g *Gateway) input(ctx context.Context, snap *policy.Snapshot, e *mail.Envelope, m *mail.Message, rel *filter.Release) (*filter.Input, error) {
	facts, err := g.facts.Resolve(ctx, e, m, snap.Needs)
	if err != nil {
		return nil, listUnreadable(err)
	}
	if len(facts.Recipients) != len(e.Recipients) {
		return nil, fault.Wrap(fault.Internal, "", fmt.Errorf("gateway: facts for %d of %d recipients", len(facts.Recipients), len(e.Recipients)))
	}
	who, ok := senderOf(snap, e.Submitter, m)
	if !ok {
		// Signed in, but no longer in people.yaml: no rule may take that for harmless.
		return nil, fault.New(fault.Forbidden, "this sign-in may not send email")
	}
	facts.Sender = filter.Known(who)
	for i := range facts.Recipients {
		r := &facts.Recipients[i]
		switch r.Clients.State {
		case filter.Present:
			r.Class = filter.Known(filter.ClassClient)
		case filter.Absent:
			r.Class = filter.Known(snap.ClassOf(e.Recipients[i].Address))
		default:
			r.Class = filter.Fact[filter.Class]{State: filter.Unavailable}
		}
	}
	facts.Release = rel
	return &filter.Input{Env: e, Mail: m, Facts: facts}, nil
}
