package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// held is a held message with its account, ready to be evaluated again.
type held struct {
	row     store.Message
	account account
	jobs    []store.Job // those that are held
	last    int         // highest number of any copy so far
	damaged error       // the account cannot be read: it can be stopped and nothing else
}

func (h *held) recipients() []mail.Address {
	var out []mail.Address
	for _, j := range h.jobs {
		out = append(out, j.Recipients...)
	}
	return out
}

// clientCodes are the codes of the clients for whom something is held.
func (h *held) clientCodes() []string {
	var out []string
	for i, r := range h.account.Envelope.Recipients {
		if i >= len(h.account.Facts.Recipients) || !slices.Contains(h.recipients(), r.Address) {
			continue
		}
		for _, c := range h.account.Facts.Recipients[i].Clients.Value {
			out = append(out, c.Ref)
		}
	}
	return out
}

// loadHeld reads a message that is held, or says why there is none.
func (g *Gateway) loadHeld(ctx context.Context, id mail.ID) (*held, error) {
	row, sealed, jobs, err := g.store.Get(ctx, id)
	if err != nil && !store.Damaged(err) {
		return nil, err
	}
	h := &held{row: row, damaged: err}
	for _, j := range jobs {
		h.last = max(h.last, j.Variant)
		if j.State == store.Held {
			h.jobs = append(h.jobs, j)
		}
	}
	if len(h.jobs) == 0 {
		return nil, fault.New(fault.Conflict, fmt.Sprintf("nothing of %s is held any more", id))
	}
	if h.damaged != nil {
		h.account.Envelope = mail.Envelope{ID: id, Submitter: row.Submitter, ReceivedAt: row.ReceivedAt}
		return h, nil
	}
	if err := json.Unmarshal(sealed, &h.account); err != nil {
		return nil, fmt.Errorf("gateway: account of %s: %w", id, err)
	}
	return h, nil
}

// Release lets a held message go, as far as the person may and the policies of today allow.
// The findings that held it are waived; everything else is evaluated again, and a new hold or
// refusal holds again. The reason is required: it is sealed with the message.
func (g *Gateway) Release(ctx context.Context, id mail.ID, by, reason string) (Receipt, error) {
	if strings.TrimSpace(reason) == "" {
		return Receipt{}, fault.New(fault.Invalid, "a release needs a reason; say what you checked")
	}
	h, err := g.loadHeld(ctx, id)
	if err == nil {
		err = h.damaged
	}
	if err != nil {
		return Receipt{}, err
	}
	snap := g.Policy()
	delay, err := mayRelease(snap, h, by)
	if err != nil {
		return Receipt{}, err
	}
	body, err := g.store.Content(ctx, id, 0)
	if err != nil {
		return Receipt{}, err
	}
	defer body.Close()
	done, err := g.acquire(ctx, body.Size())
	if err != nil {
		return Receipt{}, err
	}
	defer done()
	m, err := mail.Parse(body, body.Size(), g.limits)
	if err != nil {
		return Receipt{}, fmt.Errorf("gateway: read held message: %w", err)
	}
	doneText, err := g.acquireText(ctx, m)
	if err != nil {
		return Receipt{}, err
	}
	defer doneText()
	if m.Digest != h.row.Digest {
		// What is on disk is not what was decided on (I15): nothing may leave.
		return Receipt{}, fault.New(fault.Internal, fmt.Sprintf("the stored content of %s does not match its digest; nothing was sent", id))
	}
	env := h.account.Envelope
	env.ID = id
	d, err := g.decide(ctx, question{snap: snap, env: &env, mail: m, base: h.last, spool: g.spool,
		release: waive(&h.account.Plan, by, reason, m.Digest)})
	if err != nil {
		return Receipt{}, err
	}
	defer d.close()
	return g.commitRelease(ctx, d, h, by, reason, delay)
}

// CheckDecision says whether this person could decide about a held message now; it changes
// nothing. Release asks for more: the message is evaluated again.
func (g *Gateway) CheckDecision(ctx context.Context, id mail.ID, by string, release bool) error {
	h, err := g.loadHeld(ctx, id)
	if err != nil {
		return err
	}
	if release {
		_, err = mayRelease(g.Policy(), h, by)
		return err
	}
	return mayWithdraw(g.Policy(), h, by)
}

// waive names the findings that the person was shown and lets pass.
func waive(p *filter.Plan, by, reason string, digest [32]byte) *filter.Release {
	r := &filter.Release{By: by, Reason: reason, Digest: digest}
	for _, f := range p.Findings {
		if (f.Action == filter.Hold || f.Action == filter.Lock) && !f.Observed {
			r.Waived = append(r.Waived, filter.Waived{Rule: f.Rule, Rcpt: f.Rcpt, Channels: f.Channels})
		}
		if f.Action == filter.Lock && !f.Observed && !slices.Contains(r.MustLock, f.Rcpt) {
			r.MustLock = append(r.MustLock, f.Rcpt)
		}
	}
	return r
}

// mayRelease says whether this person may, and how long it must wait (policy-files, Releasing).
func mayRelease(snap *policy.Snapshot, h *held, by string) (time.Duration, error) {
	who, ok := snap.Sender(by)
	if !ok || who.System {
		return 0, fault.New(fault.NotFound, fmt.Sprintf("nobody in people.yaml has the id %q", by))
	}
	if by != h.row.Submitter {
		if !may(who, "release") {
			return 0, fault.New(fault.Forbidden, fmt.Sprintf("%s may not release held mail; give them release under may: in people.yaml", by))
		}
		return 0, nil
	}
	if slices.ContainsFunc(h.account.Plan.Findings, func(f filter.Finding) bool { return f.Fixed && f.Action >= filter.Lock && !f.Waived }) {
		return 0, fault.New(fault.Forbidden, "this hold is never released by its sender; ask somebody else who may release")
	}
	switch snap.Org.HeldMail.SecondPerson {
	case "none":
		return 0, nil
	case "self_with_delay":
		return snap.Org.HeldMail.Delay, nil
	}
	return 0, fault.New(fault.Forbidden, "held mail needs a second person; ask somebody else who may release")
}

// commitRelease replaces what was held by what may go now. Recipients who already got their
// copy keep it and get no second one.
func (g *Gateway) commitRelease(ctx context.Context, d *decided, h *held, by, reason string, delay time.Duration) (Receipt, error) {
	if d.plan.Outcome == filter.Refuse {
		text, err := d.reasonText()
		if err != nil {
			return Receipt{}, err
		}
		return Receipt{}, fault.New(fault.Conflict, fmt.Sprintf("%s stays held, because the policies of today refuse it: %s", d.env.ID, strings.TrimPrefix(text, "Not sent: ")))
	}
	pending := map[string]bool{}
	for _, a := range h.recipients() {
		pending[a.Key()] = true
	}
	dec := store.Decision{Message: d.env.ID, By: by, Reason: reason, Release: true}
	going := 0
	for i := range d.plan.Variants {
		job, content := d.job(i)
		job.Recipients = slices.DeleteFunc(job.Recipients, func(a mail.Address) bool { return !pending[a.Key()] })
		if len(job.Recipients) == 0 {
			continue
		}
		if content != nil {
			going++
			dec.Contents = append(dec.Contents, *content)
			if delay > 0 {
				job.NotBefore = g.now().Add(delay)
			}
		}
		dec.Jobs = append(dec.Jobs, job)
	}
	if going == 0 {
		text, err := d.reasonText()
		if err != nil {
			return Receipt{}, err
		}
		if err := g.holdAgain(ctx, d, h, by); err != nil {
			return Receipt{}, err
		}
		return Receipt{}, fault.New(fault.Conflict, fmt.Sprintf("%s stays held: %s", d.env.ID, strings.TrimPrefix(text, "Held: ")))
	}
	var err error
	if dec.Sealed, err = d.account(h); err != nil {
		return Receipt{}, err
	}
	ev := d.event("released")
	ev.Actor = by
	ev.Data["waived"] = waivedRules(d.facts.Release)
	dec.Events = []store.Event{ev}
	if n, ok, err := g.releasedNotice(d, h, by, reason, delay); err != nil {
		return Receipt{}, err
	} else if ok {
		dec.Also = append(dec.Also, n)
	}
	if err := g.store.Decide(ctx, dec); err != nil {
		return Receipt{}, err
	}
	g.log.Info("released", "id", d.env.ID, "by", by, "copies", going)
	return Receipt{ID: d.env.ID, Text: "released " + string(d.env.ID)}, nil
}

// account is the account of a message after somebody looked at it again.
func (d *decided) account(h *held) ([]byte, error) {
	b, err := json.Marshal(account{Envelope: *d.env, Facts: *d.facts, Plan: d.plan, MessageID: h.account.MessageID})
	if err != nil {
		return nil, fmt.Errorf("gateway: account: %w", err)
	}
	return b, nil
}

// holdAgain stores what a release found that nobody had been shown, and tells everybody who
// was told of the first hold: whoever looks now sees it, and may let it pass. Where nothing is
// new, nothing changes.
func (g *Gateway) holdAgain(ctx context.Context, d *decided, h *held, by string) error {
	shown := func(f filter.Finding) bool {
		return slices.ContainsFunc(h.account.Plan.Findings, func(o filter.Finding) bool {
			return !o.Observed && o.Action >= filter.Lock && o.Rule == f.Rule && o.Rcpt == f.Rcpt && o.Action == f.Action &&
				!slices.ContainsFunc(f.Channels, func(c string) bool { return !slices.Contains(o.Channels, c) })
		})
	}
	if !slices.ContainsFunc(d.plan.Findings, func(f filter.Finding) bool {
		return f.Action >= filter.Lock && !f.Observed && !f.Waived && !f.Undone && !shown(f)
	}) {
		return nil
	}
	dec := store.Decision{Message: d.env.ID, By: by, Again: true}
	var err error
	if dec.Sealed, err = d.account(h); err != nil {
		return err
	}
	if dec.Also, err = g.notices(d); err != nil {
		return err
	}
	ev := d.event("held_again")
	ev.Actor = by
	dec.Events = []store.Event{ev}
	if err := g.store.Decide(ctx, dec); err != nil {
		return err
	}
	g.log.Info("held again", "id", d.env.ID, "by", by)
	return nil
}

func waivedRules(r *filter.Release) string {
	var out []string
	for _, w := range r.Waived {
		if !slices.Contains(out, w.Rule) {
			out = append(out, w.Rule)
		}
	}
	return strings.Join(out, " ")
}

// Withdraw stops a held message for good: nothing of what is held will leave. The sender is told.
func (g *Gateway) Withdraw(ctx context.Context, id mail.ID, by, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.New(fault.Invalid, "stopping a message needs a reason")
	}
	h, err := g.loadHeld(ctx, id)
	if err != nil {
		return err
	}
	snap := g.Policy()
	if err := mayWithdraw(snap, h, by); err != nil {
		return err
	}
	dec := store.Decision{Message: id, By: by, Reason: reason,
		Events: []store.Event{{Kind: "withdrawn", Actor: by, Data: map[string]string{"policy": snap.ID}}}}
	if by != h.row.Submitter {
		if n, ok, err := g.stoppedNotice(snap, h, by); err != nil {
			return err
		} else if ok {
			dec.Also = append(dec.Also, n)
		}
	}
	if err := g.store.Decide(ctx, dec); err != nil {
		return err
	}
	g.log.Info("withdrawn", "id", id, "by", by)
	return nil
}

// mayWithdraw says whether this person may stop a held message: who releases may, and the
// sender with cancel_own.
func mayWithdraw(snap *policy.Snapshot, h *held, by string) error {
	who, ok := snap.Sender(by)
	if !ok || who.System {
		return fault.New(fault.NotFound, fmt.Sprintf("nobody in people.yaml has the id %q", by))
	}
	own := by == h.row.Submitter && may(who, "cancel_own")
	if !own && !may(who, "release") {
		return fault.New(fault.Forbidden, fmt.Sprintf("%s may not stop held mail; give them release under may: in people.yaml", by))
	}
	return nil
}
