package gateway

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// letter is a notice before it is addressed.
type letter struct {
	snap      *policy.Snapshot
	about     mail.ID
	inReplyTo string // Message-ID as the mail app wrote it
	to        mail.Address
	subject   string
	text      []string
}

// post makes a notice ready to be accepted with the message that it is about. It has the null
// reverse-path and says Auto-Submitted, so that nothing ever answers it (RFC 3834 §2, RFC 5321 §4.5.5).
func (g *Gateway) post(l letter) (store.Acceptance, error) {
	return g.automatic(store.KindNotice, l, func(id mail.ID, fields []mail.Field, w *bytes.Buffer) error {
		return mail.WriteNotice(w, id, fields, l.text)
	})
}

// automatic wraps what the gateway itself writes in the acceptance of a message of its own.
func (g *Gateway) automatic(kind store.Kind, l letter, write func(mail.ID, []mail.Field, *bytes.Buffer) error) (store.Acceptance, error) {
	id, err := g.NewID()
	if err != nil {
		return store.Acceptance{}, err
	}
	own := fmt.Sprintf("%s@%s", strings.ToLower(string(id)), g.hostname)
	at := g.now()
	fields := []mail.Field{
		{Name: "Date", Value: rfc5322(at.In(l.snap.Location()))},
		{Name: "From", Value: mail.FormatMailboxes([]mail.Mailbox{{Name: "Mail gateway", Address: mail.Address{LocalPart: "gateway", Domain: g.hostname}}})},
		{Name: "To", Value: mail.FormatMailboxes([]mail.Mailbox{{Address: l.to}})},
		{Name: "Subject", Value: l.subject},
		{Name: "Message-ID", Value: "<" + own + ">"},
		{Name: "Auto-Submitted", Value: "auto-generated"},
	}
	if l.inReplyTo != "" {
		fields = append(fields, mail.Field{Name: "In-Reply-To", Value: "<" + l.inReplyTo + ">"})
	}
	var b bytes.Buffer
	if err := write(id, fields, &b); err != nil {
		return store.Acceptance{}, fmt.Errorf("gateway: write %s: %w", kind, err)
	}
	return store.Acceptance{
		Message: store.Message{ID: id, Kind: kind, ReceivedAt: at, Policy: l.snap.ID, Digest: sha256.Sum256(b.Bytes()),
			Size: int64(b.Len()), Outcome: "send", About: l.about},
		Sealed:   []byte("{}"),
		Contents: []store.Content{{Variant: 1, Size: int64(b.Len()), Body: bytes.NewReader(b.Bytes())}},
		Jobs: []store.NewJob{{Variant: 1, Recipients: []mail.Address{l.to}, Codes: []string{"staff"}, State: store.Queued, UTF8: l.to.NeedsUTF8(),
			Seen: []store.Seen{{ID: own, As: own}}}},
		Events: []store.Event{{Kind: string(kind), Actor: "gateway", Data: map[string]string{"about": string(l.about)}}},
	}, nil
}

// notices are the notices that a decision owes: to the sender when it is held or refused, to
// the person whom a hold waits for, and to those whom a rule tells.
func (g *Gateway) notices(d *decided) ([]store.Acceptance, error) {
	var out []store.Acceptance
	add := func(to mail.Address, subject string, text []string) error {
		n, err := g.post(letter{snap: d.snap, about: d.env.ID, inReplyTo: d.mail.MessageID, to: to, subject: subject, text: text})
		if err == nil {
			out = append(out, n)
		}
		return err
	}
	n, err := d.notice()
	if err != nil {
		return nil, err
	}
	if d.plan.Outcome > filter.Send {
		subject, text, err := heldOrRefused(d.plan.Outcome, n)
		if err != nil {
			return nil, err
		}
		if err := add(d.facts.Sender.Value.Real, subject, text); err != nil {
			return nil, err
		}
	}
	for _, w := range d.waitsFor() {
		subject, text, err := templates.ReviewNotice(reviewed(n, w))
		if err != nil {
			return nil, err
		}
		if err := add(w.who, subject, text); err != nil {
			return nil, err
		}
	}
	for _, who := range d.plan.Tell {
		p, ok := d.snap.Person(who)
		if !ok {
			return nil, fmt.Errorf("gateway: nobody to tell as %q", who)
		}
		subject, text, err := templates.TellNotice(n, d.plan.Outcome > filter.Send)
		if err != nil {
			return nil, err
		}
		if err := add(p.SignsInAs, subject, text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// withoutLines remembers of which clients the manager was told that their mail names the
// emergency number alone, and why: once is enough, until the program is started again.
type withoutLines struct {
	mu   sync.Mutex
	told map[string]string
}

func (w *withoutLines) remember(refs map[string]string) {
	if len(refs) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil {
		w.told = map[string]string{}
	}
	maps.Copy(w.told, refs)
}

// news are those of refs that were not told yet.
func (w *withoutLines) news(refs map[string]string) map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(refs, func(ref, why string) bool { return w.told[ref] == why })
	return refs
}

// withoutLines tells whoever keeps the register of clients whose mail should have crisis lines
// and cannot, because nobody knows their country or their age.
func (g *Gateway) withoutLines(d *decided) ([]store.Acceptance, error) {
	refs := map[string]string{}
	for i := range d.plan.Variants {
		c := d.copyOf(i)
		v := &c.variant
		if _, ok := v.Has(filter.EditCrisisSignature); !ok || v.Whole || v.Audience.Discreet {
			continue
		}
		for _, r := range v.Rcpts {
			for _, k := range d.facts.Recipients[r].Clients.Value {
				if why := templates.CrisisMissing(d.snap.Crisis, d.snap.CrisisFor(k, d.facts.At)); why != "" {
					refs[k.Ref] = why
				}
			}
		}
	}
	d.without = g.without.news(refs)
	var out []store.Acceptance
	for _, ref := range slices.Sorted(maps.Keys(d.without)) {
		p, ok := d.snap.Person(policy.RoleDataProtection)
		if !ok {
			return nil, fmt.Errorf("gateway: nobody to tell as %q", policy.RoleDataProtection)
		}
		subject, text := templates.WithoutLinesNotice(ref, d.without[ref])
		n, err := g.post(letter{snap: d.snap, about: d.env.ID, to: p.SignsInAs, subject: subject, text: text})
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// clientCodes are the codes of those recipients who are clients; a notice names nobody else.
func (d *decided) clientCodes(rcpts []int) []string {
	var out []string
	for _, r := range rcpts {
		for _, c := range d.facts.Recipients[r].Clients.Value {
			out = append(out, c.Ref)
		}
	}
	return out
}

func heldOrRefused(a filter.Action, n templates.Notice) (string, []string, error) {
	if a == filter.Refuse {
		return templates.RefusedNotice(n)
	}
	return templates.HeldNotice(n)
}

// wait is a person for whom a message is held, and why.
type wait struct {
	who mail.Address
	why string
}

// reviewed is the notice for the person who decides: the rule's reason, not the sender's text.
func reviewed(n templates.Notice, w wait) templates.Notice {
	n.TextID, n.Values, n.Reason, n.Next = "", nil, w.why, ""
	return n
}

// waitsFor are the people named in hold_for, other than the sender, each once.
func (d *decided) waitsFor() []wait {
	if d.plan.Outcome == filter.Refuse {
		return nil
	}
	var out []wait
	for _, f := range d.plan.Findings {
		if f.HoldFor == "" || f.Observed || f.Waived || f.Undone {
			continue
		}
		p, ok := d.snap.Person(f.HoldFor)
		if ok && p.SignsInAs != d.facts.Sender.Value.Real && !slices.ContainsFunc(out, func(w wait) bool { return w.who == p.SignsInAs }) {
			out = append(out, wait{p.SignsInAs, f.Reason})
		}
	}
	return out
}

// notice is what a notice may say about this message: when, to which codes, why.
func (d *decided) notice() (templates.Notice, error) {
	n := noticeAbout(d.snap, d.env)
	var all []int
	for i := range d.env.Recipients {
		if d.plan.Outcome == filter.Refuse || len(d.plan.Decisions) == 0 || d.plan.Decisions[i].Action > filter.Lock {
			all = append(all, i)
		}
	}
	if d.plan.Outcome == filter.Send {
		all = nil
		for i := range d.env.Recipients {
			all = append(all, i)
		}
	}
	n.Codes, n.Strangers = d.clientCodes(all), d.strangers(all)
	n.Partly = len(all) < len(d.env.Recipients)
	n.Sender = firstName(d.facts.Sender.Value.Name)
	n.Urgent = d.plan.Urgent
	if d.plan.Outcome == filter.Send {
		return n, nil
	}
	f, ok := d.lead()
	if !ok {
		return n, nil
	}
	n.TextID, n.Values = f.Text, valuesOf(d.snap, &f)
	if f.Text == "" {
		n.Reason = f.Reason
	}
	switch {
	case f.Action == filter.Lock:
		n.Next = "Nobody can let it go unlocked. Agree words with the client and release it, and it leaves locked; or take out what must be locked and send it again."
	case f.Rule == filter.RuleCannotLock:
		n.Next = "Nobody can let it go unlocked."
	}
	return n, nil
}

// strangers counts the recipients who are on no list.
func (d *decided) strangers(rcpts []int) int {
	n := 0
	for _, r := range rcpts {
		if f := d.facts.Recipients[r]; len(f.Clients.Value) == 0 && f.Class.Value == filter.ClassUnknown {
			n++
		}
	}
	return n
}

func noticeAbout(snap *policy.Snapshot, e *mail.Envelope) templates.Notice {
	return templates.Notice{SentAt: e.ReceivedAt.In(snap.Location()).Format("15:04"), MessageID: string(e.ID),
		Releaser: releaserOf(snap, e.Submitter), Phone: snap.Org.Phone}
}

// lead is the finding that decided the outcome.
func (d *decided) lead() (filter.Finding, bool) {
	if d.plan.Lead < 0 || d.plan.Lead >= len(d.plan.Findings) {
		return filter.Finding{}, false
	}
	return d.plan.Findings[d.plan.Lead], true
}

// leadText is the sentence of the finding that decided, and its id.
func (d *decided) leadText() (text, tag string, err error) {
	f, ok := d.lead()
	if !ok {
		return "Held: a person will look at it.", "", nil
	}
	text, err = findingText(d.snap, &f)
	return text, f.Text, err
}

func (d *decided) reasonText() (string, error) {
	text, tag, err := d.leadText()
	return text + bracket(tag), err
}

// findingText is the exact text of a finding, or its public reason where texts.md has none.
func findingText(snap *policy.Snapshot, f *filter.Finding) (string, error) {
	if f.Text != "" {
		return templates.Text(f.Text, valuesOf(snap, f))
	}
	start := "Held: "
	if f.Action == filter.Refuse {
		start = "Not sent: "
	}
	return start + strings.TrimSuffix(plainLine(f.Reason), ".") + ".", nil
}

// plainLine makes a reason fit for an SMTP reply: printable ASCII, one line, bounded.
func plainLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 0x20 && r < 0x7f:
			b.WriteRune(r)
		case r == '’' || r == '‘':
			b.WriteByte('\'')
		default:
			b.WriteByte(' ')
		}
		if b.Len() >= 300 {
			break
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func wording(snap *policy.Snapshot, id string, values map[string]string) (string, error) {
	return templates.Text(id, valuesOf(snap, &filter.Finding{Values: values}))
}

// valuesOf adds to a finding's values what the texts say of the practice's own people.
func valuesOf(snap *policy.Snapshot, f *filter.Finding) templates.Values {
	v := templates.Values{"releaser": "the person who releases held mail", "phone": snap.Org.Phone, "file_type": "of an attachment"}
	if f.HoldFor != "" {
		if p, ok := snap.Person(f.HoldFor); ok {
			v["releaser"] = firstName(p.Name)
		}
	} else if r := releaserOf(snap, ""); r != "" {
		v["releaser"] = r
	}
	for k, x := range f.Values {
		v[k] = x
	}
	return v
}

// releaserOf is the given name of somebody who may release, other than the sender.
func releaserOf(snap *policy.Snapshot, not string) string {
	p, ok := releaser(snap, not)
	if !ok {
		return ""
	}
	return firstName(p.Name)
}

func releaser(snap *policy.Snapshot, not string) (policy.Person, bool) {
	for _, p := range snap.People {
		if p.ID != not && p.Can("release") {
			return p, true
		}
	}
	return policy.Person{}, false
}

func firstName(s string) string {
	first, _, _ := strings.Cut(s, " ")
	return first
}

// notYours is M01 for this submitter.
func notYours(snap *policy.Snapshot, submitter string) (string, error) {
	return wording(snap, "M01", map[string]string{"sign_in": signsInAs(snap, submitter)})
}

// refusedNotice tells the sender of a message that was refused before it was read.
func (g *Gateway) refusedNotice(snap *policy.Snapshot, e *mail.Envelope, inReplyTo string, codes []string, textID string, values map[string]string) (store.Acceptance, bool, error) {
	who, ok := snap.Sender(e.Submitter)
	if !ok {
		return store.Acceptance{}, false, nil
	}
	n := noticeAbout(snap, e)
	n.Codes, n.TextID, n.Values = codes, textID, valuesOf(snap, &filter.Finding{Values: values})
	subject, text, err := templates.RefusedNotice(n)
	if err != nil {
		return store.Acceptance{}, false, err
	}
	a, err := g.post(letter{snap: snap, about: e.ID, inReplyTo: inReplyTo, to: who.Real, subject: subject, text: text})
	return a, err == nil, err
}

// releasedNotice tells the sender that somebody else released the message. When the sender
// did it, somebody who may release is told (policy-files, Releasing).
func (g *Gateway) releasedNotice(d *decided, h *held, by, reason string, delay time.Duration) (store.Acceptance, bool, error) {
	n := noticeAbout(d.snap, d.env)
	n.Codes = h.clientCodes()
	at := g.now().In(d.snap.Location())
	to := d.facts.Sender.Value.Real
	subject, text, err := templates.ReleasedNotice(n, personName(d.snap, by), at.Format("15:04"), reason)
	if by == h.row.Submitter {
		other, ok := releaser(d.snap, by)
		if !ok {
			return store.Acceptance{}, false, nil // a practice of one
		}
		to = other.SignsInAs
		subject, text, err = templates.SelfReleasedNotice(n, personName(d.snap, by), at.Add(delay).Format("15:04"), reason)
	}
	if err != nil {
		return store.Acceptance{}, false, err
	}
	a, err := g.post(letter{snap: d.snap, about: d.env.ID, inReplyTo: h.account.MessageID, to: to, subject: subject, text: text})
	return a, err == nil, err
}

// stoppedNotice tells the sender that somebody stopped the message.
func (g *Gateway) stoppedNotice(snap *policy.Snapshot, h *held, by string) (store.Acceptance, bool, error) {
	who, ok := snap.Sender(h.row.Submitter)
	if !ok {
		return store.Acceptance{}, false, nil
	}
	n := noticeAbout(snap, &h.account.Envelope)
	n.Codes = h.clientCodes()
	subject, text, err := templates.StoppedNotice(n, personName(snap, by), g.now().In(snap.Location()).Format("15:04"))
	if err != nil {
		return store.Acceptance{}, false, err
	}
	a, err := g.post(letter{snap: snap, about: h.row.ID, inReplyTo: h.account.MessageID, to: who.Real, subject: subject, text: text})
	return a, err == nil, err
}

func personName(snap *policy.Snapshot, id string) string {
	if p, ok := snap.Person(id); ok {
		return firstName(p.Name)
	}
	return id
}
