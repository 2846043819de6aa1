package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// spoolMemory is how much of one message or copy is kept in memory before it goes on in a
// sealed temporary file.
const spoolMemory = 256 << 10

// account is what is sealed beside a message: enough to explain and to replay the decision.
type account struct {
	Envelope  mail.Envelope `json:"envelope"`
	Facts     filter.Facts  `json:"facts"`
	Plan      filter.Plan   `json:"plan"`
	MessageID string        `json:"message_id,omitempty"` // as the mail app wrote it
}

// decided is a message with its plan and, for each variant, the copy that would leave.
type decided struct {
	snap   *policy.Snapshot
	env    *mail.Envelope
	mail   *mail.Message
	in     *filter.Input // what the rules were asked
	facts  *filter.Facts
	plan   filter.Plan
	base   int            // number of the last copy made before this decision; 0 at submission
	copies []*store.Spool // by variant; nil: not made

	without map[string]string // clients without crisis lines of whom the manager is told with this message

	foreign [][]mail.Replacement // by variant: whom pseudonyms stand for
	leftOut []bool               // by variant: a form of the text could not be edited and is not in the copy
}

// question is what a decision is asked about.
type question struct {
	snap    *policy.Snapshot
	env     *mail.Envelope
	mail    *mail.Message
	release *filter.Release
	base    int
	spool   func() *store.Spool
}

func (d *decided) close() {
	for _, s := range d.copies {
		if s != nil {
			s.Close()
		}
	}
}

// copyOf returns what Render needs for variant i.
func (d *decided) copyOf(i int) copyOf {
	return copyOf{snap: d.snap, env: d.env, mail: d.mail, sender: d.facts.Sender.Value, at: d.facts.At,
		number: d.base + i + 1, variant: d.plan.Variants[i], leftOut: i < len(d.leftOut) && d.leftOut[i], foreign: at(d.foreign, i)}
}

func at[T any](list [][]T, i int) []T {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// Submit takes a message for delivery. When it returns without an error, the message, its
// copies, its deliveries and its audit row are committed to disk. An error is classified: a
// refusal by policy is Rejected and says what to change; anything else that goes wrong is
// temporary and changes nothing.
func (g *Gateway) Submit(ctx context.Context, e *mail.Envelope, r io.Reader) (_ Receipt, err error) {
	in := g.store.NewSpool(spoolMemory)
	defer in.Close()
	// What arrives comes in pieces of 4 KiB: io.Copy's own buffer would be most of what a
	// small message costs.
	n, err := io.CopyBuffer(in, io.LimitReader(r, g.limits.Bytes+1), make([]byte, 8<<10))
	if err != nil {
		return Receipt{}, err
	}
	defer func() { g.tally.failure(err) }()
	snap := g.Policy()
	if n > g.limits.Bytes {
		return Receipt{}, g.refuseUnread(ctx, snap, e, "M10", fault.TooLarge, fault.Status{Code: 552, Subject: 3, Detail: 4},
			// How large it would have been nobody knows: it was read up to the limit.
			map[string]string{"size": "over " + megabytes(g.limits.Bytes), "limit": megabytes(g.limits.Bytes)})
	}
	release, err := g.acquire(ctx, n)
	if err != nil {
		return Receipt{}, err
	}
	defer release()
	m, err := mail.Parse(in, n, g.limits)
	if err != nil {
		return Receipt{}, fmt.Errorf("gateway: read message: %w", err)
	}
	releaseText, err := g.acquireText(ctx, m)
	if err != nil {
		return Receipt{}, err
	}
	defer releaseText()
	d, err := g.decide(ctx, question{snap: snap, env: e, mail: m, spool: g.spool})
	if err != nil {
		return Receipt{}, err
	}
	defer d.close()
	if d.plan.Outcome == filter.Refuse {
		return Receipt{}, g.refuse(ctx, d)
	}
	a, err := g.acceptance(d, in)
	if err != nil {
		return Receipt{}, err
	}
	if err := g.store.Accept(ctx, a); err != nil {
		return Receipt{}, cannotRecord(err)
	}
	g.without.remember(d.without)
	g.tally.count(a.Message.Outcome)
	g.log.Info("accepted", "id", e.ID, "outcome", a.Message.Outcome, "copies", len(a.Jobs), "size", n)
	return g.receipt(d)
}

// What a message in work takes, from measured peaks (TestAMessageStaysWithinItsShare). The
// garbage of one mail counts: it is there until the next collection.
const (
	shareOfAny   = 512 << 10 // buffers and structure
	shareOfText  = 20        // a byte of text while copies are made of it and read
	shareOfHTML  = 64        // a byte of HTML, where each tag becomes a node
	freeText     = 16 << 10  // text that shareOfAny has room for
	waitForShare = 30 * time.Second
)

// acquire takes a message's share of the memory for messages in work while it is parsed: its
// text three times over, a file that has to be read as a whole, and buffers.
func (g *Gateway) acquire(ctx context.Context, size int64) (release func(), err error) {
	return take(ctx, g.work, min(g.parseShare(size), g.memory/2))
}

func (g *Gateway) parseShare(size int64) int64 {
	return shareOfAny + 3*min(size, g.limits.TextBytes) + size
}

// acquireText takes the share of the texts that were read. It is a pool of its own: who holds
// of it waits for nobody, so the two can be taken one after the other.
func (g *Gateway) acquireText(ctx context.Context, m *mail.Message) (release func(), err error) {
	share := textShare(m)
	if share <= shareOfText*freeText {
		return func() {}, nil
	}
	return take(ctx, g.text, min(share, g.memory/2))
}

func textShare(m *mail.Message) int64 {
	var share int64
	for p := range m.Parts() {
		n := int64(shareOfText)
		if p.MediaType == "text/html" {
			n = shareOfHTML
		}
		share += n * int64(len(p.Text))
		for _, t := range p.Inside() {
			share += 3 * int64(len(t)) // only read, and once more in the copy
		}
	}
	return share
}

func take(ctx context.Context, from *semaphore.Weighted, share int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, waitForShare)
	defer cancel()
	if err := from.Acquire(ctx, share); err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Status: fault.Status{Code: 452, Subject: 3, Detail: 1},
			Public: "Not sent yet: the mail gateway is busy. Try again in 10 minutes.", Err: err}
	}
	return func() { from.Release(share) }, nil
}

// decide runs the rules, makes every copy that would leave, reads each one back and searches
// it for what would give somebody away. What that finds goes into the join like any rule, and
// the plan is made again. So does that a copy cannot be written at all.
func (g *Gateway) decide(ctx context.Context, q question) (*decided, error) {
	snap := q.snap
	in, err := g.input(ctx, snap, q.env, q.mail, q.release)
	if err != nil {
		return nil, err
	}
	rules := append([]filter.Rule{identity{snap}}, snap.Rules...)
	plan, err := filter.Run(rules, snap.Practice, in)
	if err != nil {
		return nil, asListUnreadable(err)
	}
	d := &decided{snap: snap, env: q.env, mail: q.mail, in: in, facts: in.Facts, plan: plan, base: q.base}
	leaks, err := g.makeCopies(ctx, d, q.spool)
	if f, ok := unwritable(err); ok {
		leaks, err = []filter.Finding{f}, nil
	}
	if err != nil {
		d.close()
		return nil, err
	}
	if !slices.ContainsFunc(leaks, func(f filter.Finding) bool { return f.Action > filter.Send }) {
		d.plan.Findings = append(d.plan.Findings, leaks...) // what is only recorded changes nothing
		return d, nil
	}
	// Something would give somebody away. The copies made so far are thrown away and the plan
	// is made again with these findings in the join; variants that still may go are made anew.
	d.close()
	d.plan, err = filter.Run(append(rules, found(leaks)), snap.Practice, in)
	if err != nil {
		return nil, asListUnreadable(err)
	}
	leaks, err = g.makeCopies(ctx, d, q.spool)
	// What still leaks may leave only where somebody let it pass who had been shown it.
	for _, f := range leaks {
		if f.Action > filter.Send && !in.Facts.Release.Lets(q.mail.Digest, f) {
			err = errors.Join(err, fault.Wrap(fault.Internal, "", fmt.Errorf("gateway: a copy for recipient %d leaks after the second plan", f.Rcpt)))
		}
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// unwritable turns a refusal that came up while a copy was written into the finding that
// refuses the message.
func unwritable(err error) (filter.Finding, bool) {
	fe, ok := errors.AsType[*fault.Error](err)
	if !ok || fe.Kind != fault.Rejected {
		return filter.Finding{}, false
	}
	return filter.Finding{Rule: filter.RuleReadable, Rcpt: -1, Action: filter.Refuse, About: filter.Safety, Fixed: true,
		Status: fe.Status, Reason: fe.Public}, true
}

// makeCopies renders every variant that may go into a spool of its own, and returns what the
// leak check found in the finished bytes.
func (g *Gateway) makeCopies(ctx context.Context, d *decided, spool func() *store.Spool) ([]filter.Finding, error) {
	d.copies = make([]*store.Spool, len(d.plan.Variants))
	d.leftOut = make([]bool, len(d.plan.Variants))
	d.foreign = make([][]mail.Replacement, len(d.plan.Variants))
	if d.plan.Outcome == filter.Refuse {
		return nil, nil
	}
	watch, err := g.facts.Watch(ctx)
	if err != nil {
		return nil, listUnreadable(err)
	}
	var leaks []filter.Finding
	for i := range d.plan.Variants {
		v := &d.plan.Variants[i]
		if v.Action > filter.Lock {
			continue
		}
		d.foreign[i] = filter.Pseudonyms(d.leakInput(d.mail, watch, v))
		s := spool()
		d.copies[i] = s
		if v.Action == filter.Lock {
			found, err := g.lockedCopy(ctx, d, i, watch, spool, s)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(found, func(f filter.Finding) bool { return f.Rule == filter.RuleCannotLock }) {
				d.copies[i] = nil // half a copy is none
				if err := s.Close(); err != nil {
					return nil, err
				}
			}
			leaks = append(leaks, found...)
			continue
		}
		written, err := g.Render(ctx, d.copyOf(i), s)
		if err != nil {
			return nil, err
		}
		d.leftOut[i] = len(written.LeftOut) > 0
		final, err := d.mail.ParseCopy(s, s.Size(), finalLimits(g.limits))
		if err != nil {
			return nil, fmt.Errorf("gateway: read variant %d back: %w", i+1, err)
		}
		found, err := d.searched(i, final, watch)
		if err != nil {
			return nil, err
		}
		leaks = append(leaks, found...)
	}
	return leaks, nil
}

// searched looks for what a finished copy may not have: our own mistakes are an error, what
// names somebody a finding.
func (d *decided) searched(i int, final *mail.Message, watch *filter.Watch) ([]filter.Finding, error) {
	for _, f := range final.Defects {
		if f.Default == mail.RejectIt {
			return nil, fault.Wrap(fault.Internal, "", fmt.Errorf("gateway: variant %d came out with defect %s", i+1, f.Name))
		}
	}
	check := d.leakInput(final, watch, &d.plan.Variants[i])
	return append(filter.CheckLeaks(check), filter.CheckPseudonyms(check)...), nil
}

// leakInput is what the leak check knows of a finished copy.
func (d *decided) leakInput(final *mail.Message, watch *filter.Watch, v *filter.Variant) filter.LeakInput {
	who := d.facts.Sender.Value
	return filter.LeakInput{Mail: final, Watch: watch, Env: d.env, Facts: d.facts, Variant: v, Practice: d.snap.Practice,
		Own: ownAddresses(d.snap, who), Phones: ownPhones(d.snap, who)}
}

// finalLimits lets a copy be larger than what came in, because lines are added and re-encoded.
func finalLimits(l mail.Limits) mail.Limits {
	l.Bytes *= 2
	l.HeaderBytes *= 2
	l.TextBytes *= 2 // what is cut off is not searched
	l.Parts += 2
	l.Depth += 2
	return l
}

// found is a rule that says what was already found; the leak check joins through it.
type found []filter.Finding

func (found) ID() string                                     { return filter.RuleLeak }
func (found) Needs() filter.Need                             { return filter.NeedContent }
func (f found) Eval(*filter.Input) ([]filter.Finding, error) { return f, nil }

// acceptance gathers what one commit must hold: the message as received while anything of it
// is held, a copy a variant that goes, the deliveries, the audit row and the notices.
func (g *Gateway) acceptance(d *decided, original io.ReaderAt) (store.Acceptance, error) {
	a := store.Acceptance{Message: d.row()}
	var err error
	if a.Sealed, err = json.Marshal(account{Envelope: *d.env, Facts: *d.facts, Plan: d.plan, MessageID: d.mail.MessageID}); err != nil {
		return a, fmt.Errorf("gateway: account: %w", err)
	}
	if a.Facts, err = g.record(d); err != nil {
		return a, err
	}
	held := false
	for i := range d.plan.Variants {
		job, content := d.job(i)
		a.Jobs = append(a.Jobs, job)
		if content != nil {
			a.Contents = append(a.Contents, *content)
		} else {
			held = true
		}
	}
	if held {
		a.Contents = append(a.Contents, store.Content{Variant: 0, Size: d.mail.Size, Body: original})
	}
	a.Events = []store.Event{d.event("accepted")}
	if a.Also, err = g.notices(d); err != nil {
		return a, err
	}
	more, err := g.withoutLines(d)
	a.Also = append(a.Also, more...)
	return a, err
}

func (g *Gateway) spool() *store.Spool { return g.store.NewSpool(spoolMemory) }

// row is the message's row in the store.
func (d *decided) row() store.Message {
	return store.Message{ID: d.env.ID, Kind: store.KindMail, Submitter: d.env.Submitter, ReceivedAt: d.env.ReceivedAt,
		Policy: d.snap.ID, Digest: d.mail.Digest, Size: d.mail.Size, Outcome: outcomeOf(d.plan.Outcome)}
}

// job is the delivery of variant i, and its content when it goes now.
func (d *decided) job(i int) (store.NewJob, *store.Content) {
	c := d.copyOf(i)
	v := &c.variant
	j := store.NewJob{Variant: c.number, Reverse: c.reverse(), State: store.Held, Codes: d.codes(v.Rcpts)}
	for _, r := range v.Rcpts {
		a := d.env.Recipients[r].Address
		j.Recipients = append(j.Recipients, a)
		j.UTF8 = j.UTF8 || a.NeedsUTF8()
	}
	// RFC 6531 §3.4: an address in the header needs the extension as much as one in the envelope.
	for _, a := range slices.Concat(v.To, v.Cc, []mail.Address{j.Reverse}) {
		j.UTF8 = j.UTF8 || a.NeedsUTF8()
	}
	if v.Action > filter.Lock || d.copies[i] == nil || d.copies[i].Size() == 0 {
		j.Seen = d.seen(c, "")
		return j, nil
	}
	j.State = store.Queued
	j.Seen = d.seen(c, c.messageID(c.reverse().Domain))
	return j, &store.Content{Variant: c.number, Size: d.copies[i].Size(), Body: d.copies[i]}
}

// seen is what the readers of a copy learn of ids, for the threads to come: as is the copy's
// own; empty as long as it is held.
func (d *decided) seen(c copyOf, as string) []store.Seen {
	written := d.mail.MessageID
	if written == "" {
		written = as
	}
	out := []store.Seen{{ID: written, As: as, By: d.env.Reverse}}
	if as == "" {
		return out
	}
	for _, id := range slices.Concat(c.variant.References, c.variant.InReplyTo) {
		// What was known is known already; the rest is theirs from now on.
		s := store.Seen{ID: id, As: id}
		if slices.Contains(filter.Chain(d.mail), id) && d.facts.Thread.Value.Readers[id] == 0 && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// codes says who these recipients are without naming them.
func (d *decided) codes(rcpts []int) []string {
	var out []string
	for _, r := range rcpts {
		f := d.facts.Recipients[r]
		if len(f.Clients.Value) == 0 {
			out = append(out, string(f.Class.Value))
			continue
		}
		for _, c := range f.Clients.Value {
			out = append(out, c.Ref)
		}
	}
	return out
}

// event is the audit row of a decision: rule ids and digests, no content.
func (d *decided) event(kind string) store.Event {
	var rules, observed []string
	for _, f := range d.plan.Findings {
		switch {
		case f.Observed && !slices.Contains(observed, f.Rule):
			observed = append(observed, f.Rule)
		case !f.Observed && f.Action > filter.Send && !slices.Contains(rules, f.Rule):
			rules = append(rules, f.Rule)
		}
	}
	data := map[string]string{
		"outcome": outcomeOf(d.plan.Outcome), "policy": d.snap.ID, "rules": strings.Join(rules, " "),
		"digest": fmt.Sprintf("%x", d.mail.Digest), "copies": fmt.Sprint(len(d.plan.Variants))}
	if len(observed) > 0 {
		data["observed"] = strings.Join(observed, " ")
	}
	if noted := d.noted(); noted != "" {
		data["noted"] = noted
	}
	if slices.Contains(d.leftOut, true) {
		data["left_out"] = "html"
	}
	return store.Event{Kind: kind, Actor: d.env.Submitter, Data: data}
}

// noted says what the leak check saw: rule and channels, never what stands there.
func (d *decided) noted() string {
	var out []string
	for _, f := range d.plan.Findings {
		for _, c := range f.Channels {
			if c = f.Rule + ":" + c; !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func outcomeOf(a filter.Action) string {
	switch a {
	case filter.Send, filter.Lock:
		return "send"
	case filter.Refuse:
		return "refuse"
	}
	return "hold" // a lock that cannot be done is a hold
}

// receipt is the text after "250 2.0.0 ".
func (g *Gateway) receipt(d *decided) (Receipt, error) {
	r := Receipt{ID: d.env.ID, Text: "queued as " + string(d.env.ID)}
	if d.plan.Outcome == filter.Send {
		return r, nil
	}
	text, tag, err := d.leadText()
	if err != nil {
		return r, nil // committed: the answer must be 250 whatever the wording
	}
	r.Text = fmt.Sprintf("held as %s. %s%s", d.env.ID, strings.TrimPrefix(text, "Held: "), bracket(tag))
	return r, nil
}

func bracket(words ...string) string {
	s := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	if s == "" {
		return ""
	}
	return " [" + s + "]"
}

// refuse records a refusal with its notice, and returns the reply.
func (g *Gateway) refuse(ctx context.Context, d *decided) error {
	refusal := g.refusal(d.snap, d.env.ID, &d.plan)
	a := store.Acceptance{Message: d.row(), Events: []store.Event{d.event("refused")}}
	var err error
	if a.Facts, err = g.record(d); err != nil {
		return err
	}
	if a.Also, err = g.notices(d); err != nil {
		return err
	}
	if err := g.store.Accept(ctx, a); err != nil {
		return cannotRecord(err)
	}
	g.tally.count(a.Message.Outcome)
	g.log.Info("refused", "id", d.env.ID, "size", d.mail.Size)
	return refusal
}

// refuseUnread records the refusal of a message that was not read to its end.
func (g *Gateway) refuseUnread(ctx context.Context, snap *policy.Snapshot, e *mail.Envelope, id string, k fault.Kind, st fault.Status, values map[string]string) error {
	text, err := wording(snap, id, values)
	if err != nil {
		return err
	}
	ev := store.Event{Kind: "refused", Actor: e.Submitter, Data: map[string]string{"outcome": "refuse", "policy": snap.ID, "rules": "size"}}
	a := store.Acceptance{Events: []store.Event{ev}, Message: store.Message{ID: e.ID, Kind: store.KindMail,
		Submitter: e.Submitter, ReceivedAt: e.ReceivedAt, Policy: snap.ID, Outcome: "refuse"}}
	if n, ok, err := g.refusedNotice(snap, e, "", nil, id, values); err != nil {
		return err
	} else if ok {
		a.Also = append(a.Also, n)
	}
	if err := g.store.Accept(ctx, a); err != nil {
		return cannotRecord(err)
	}
	g.tally.count(a.Message.Outcome)
	return &fault.Error{Kind: k, Status: st, Public: text + bracket(id, string(e.ID))}
}

// refusal is the one reply to a refused message: the strictest finding's text.
func (g *Gateway) refusal(snap *policy.Snapshot, id mail.ID, p *filter.Plan) error {
	st := fault.Status{Code: 550, Subject: 7, Detail: 1}
	text, tag := "Not sent: the policies of this practice refuse it.", ""
	if p.Lead >= 0 {
		f := p.Findings[p.Lead]
		if !f.Status.IsZero() {
			st = f.Status
		}
		tag = f.Text
		t, err := findingText(snap, &f)
		if err != nil {
			return err
		}
		text = t
	}
	return &fault.Error{Kind: fault.Rejected, Status: st, Public: text + bracket(tag, string(id))}
}

func megabytes(n int64) string {
	if n%1_000_000 == 0 || n > 10_000_000 {
		return fmt.Sprintf("%d MB", (n+500_000)/1_000_000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func listUnreadable(err error) error {
	return fault.Wrap(fault.Unavailable, "Not sent yet: the client list cannot be read. Try again in 10 minutes. Urgent? Phone the client. [M14]", err)
}

// asListUnreadable passes an unavailable fact on as M14; anything else stays as it is.
func asListUnreadable(err error) error {
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Kind == fault.Unavailable && fe.Public == "" {
		return listUnreadable(err)
	}
	return err
}

func cannotRecord(err error) error {
	return fault.Wrap(fault.Unavailable, "Not sent yet: the mail gateway cannot record messages. Try again in 10 minutes. Urgent? Phone the client.", err)
}
