package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// DryRun asks what would happen to a message. Nothing is stored and nothing leaves.
type DryRun struct {
	Sender   string         // id in people.yaml
	Reverse  mail.Address   // zero: the sender's sign-in address
	To       []mail.Address // empty: the header's To, Cc and Bcc
	At       time.Time      // zero: now
	Released bool           // render as if every hold had been released
	Mail     io.ReaderAt
	Size     int64
}

// Account says what would happen and why, as explain prints it (interfaces §3). It never
// holds the text that a rule matched.
type Account struct {
	Outcome  string           `json:"outcome"` // send, hold or refuse
	Policy   string           `json:"policy"`
	Reply    AccountReply     `json:"reply"`
	Findings []AccountFinding `json:"findings"`
	Messages []AccountMessage `json:"messages"`

	Recipients []AccountRecipient `json:"recipients"`
}

// AccountReply is what SMTP would have answered.
type AccountReply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

// AccountFinding is one finding in words.
type AccountFinding struct {
	Rule      string   `json:"rule"`
	Name      string   `json:"name,omitempty"` // the rule's own sentence
	Action    string   `json:"action"`         // send, lock, hold or refuse
	Recipient string   `json:"recipient,omitempty"`
	Reason    string   `json:"reason"`
	Defect    string   `json:"defect,omitempty"` // of a message that could be read in two ways: its name
	Changes   []string `json:"changes"`
	Observed  bool     `json:"observed,omitempty"`
	Waived    bool     `json:"waived,omitempty"`
}

// AccountRecipient is one recipient's outcome.
type AccountRecipient struct {
	Recipient string `json:"recipient"` // a client's code, else colleague, contact or unknown
	Action    string `json:"action"`
}

// AccountMessage is one message that would leave. Copy is its bytes until Close.
type AccountMessage struct {
	File         string   `json:"file,omitempty"`
	ReversePath  string   `json:"reverse_path"`
	ForwardPaths []string `json:"forward_paths"`
	Protection   string   `json:"protection"`
	Changes      []string `json:"changes"`
	// LockScreen is what a phone shows of the mail before it is opened: who, the subject, and
	// the first words. It holds content of the mail, as the copies themselves do.
	LockScreen string `json:"lock_screen"`

	Copy *store.Spool `json:"-"`
}

// Close lets go of the copies.
func (a *Account) Close() {
	for _, m := range a.Messages {
		if m.Copy != nil {
			m.Copy.Close()
		}
	}
}

// Explain is the dry run: the same decision and the same rendering as Submit, without a
// store. A line feed alone is read as a line end; a carriage return alone stays a defect.
func (g *Gateway) Explain(ctx context.Context, q DryRun) (*Account, error) {
	snap := g.Policy()
	who, ok := snap.Sender(q.Sender)
	if !ok {
		return nil, fault.New(fault.NotFound, fmt.Sprintf("nobody in people.yaml has the id %q", q.Sender))
	}
	at := q.At
	if at.IsZero() {
		at = g.now()
	}
	source := io.NewSectionReader(q.Mail, 0, q.Size)
	canonical := store.NewMemorySpool()
	defer canonical.Close()
	n, err := io.Copy(canonical, io.LimitReader(mail.CanonicalLines(source), g.limits.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("gateway: read message: %w", err)
	}
	if n > g.limits.Bytes {
		return nil, fault.New(fault.TooLarge, fmt.Sprintf("the message is larger than %s", megabytes(g.limits.Bytes)))
	}
	m, err := mail.Parse(canonical, n, g.limits)
	if err != nil {
		return nil, fmt.Errorf("gateway: read message: %w", err)
	}
	id, err := mail.NewID(at, g.entropy)
	if err != nil {
		return nil, fmt.Errorf("gateway: make id: %w", err)
	}
	e := &mail.Envelope{ID: id, Submitter: q.Sender, Reverse: q.Reverse, ReceivedAt: at}
	if e.Reverse.IsZero() {
		e.Reverse = who.Real
	}
	for _, a := range recipientsOf(q.To, m) {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: a})
		e.SMTPUTF8 = e.SMTPUTF8 || a.NeedsUTF8()
	}
	if len(e.Recipients) == 0 {
		return nil, fault.New(fault.Invalid, "the message has no recipients: give --to, or a To field in the message")
	}
	var rel *filter.Release
	if q.Released {
		rel = &filter.Release{By: q.Sender, Reason: "dry run", Digest: m.Digest, All: true}
	}
	d, err := g.decide(ctx, question{snap: snap, env: e, mail: m, release: rel, spool: store.NewMemorySpool})
	if err != nil {
		return nil, err
	}
	// What would have happened without the release decides the outcome that is printed.
	asked := d
	if q.Released && d.plan.Outcome != filter.Refuse {
		if asked, err = g.decide(ctx, question{snap: snap, env: e, mail: m, spool: store.NewMemorySpool}); err != nil {
			d.close()
			return nil, err
		}
		defer asked.close()
	}
	return g.accountOf(asked, d, q.Released)
}

// recipientsOf returns the recipients of a dry run, each mailbox once.
func recipientsOf(to []mail.Address, m *mail.Message) []mail.Address {
	if len(to) == 0 {
		for _, list := range [][]mail.Mailbox{m.To, m.Cc, m.Bcc} {
			for _, b := range list {
				to = append(to, b.Address)
			}
		}
	}
	seen := map[string]bool{}
	var out []mail.Address
	for _, a := range to {
		if !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out
}

// accountOf puts a decision in words: the outcome as asked, the copies as made.
// Copies are shown only where nothing is held, or where every hold was asked to be released.
func (g *Gateway) accountOf(asked, made *decided, released bool) (*Account, error) {
	a := &Account{Outcome: outcomeOf(asked.plan.Outcome), Policy: asked.snap.ID,
		Findings: []AccountFinding{}, Messages: []AccountMessage{}}
	var err error
	if a.Reply, err = g.replyOf(asked); err != nil {
		made.close()
		return nil, err
	}
	for _, f := range asked.plan.Findings {
		a.Findings = append(a.Findings, asked.inWords(f))
	}
	for _, dec := range asked.plan.Decisions {
		a.Recipients = append(a.Recipients, AccountRecipient{Recipient: asked.code(dec.Rcpt), Action: actionName(dec.Action)})
	}
	if asked.plan.Outcome != filter.Send && !released {
		made.close()
		return a, nil
	}
	for i := range made.plan.Variants {
		c := made.copyOf(i)
		if made.copies[i] == nil {
			continue
		}
		msg := AccountMessage{ReversePath: c.reverse().String(), Protection: cmp.Or(c.variant.Protection, "none"), Changes: c.changes(), Copy: made.copies[i]}
		if msg.LockScreen, err = lockScreen(made.copies[i]); err != nil {
			made.close()
			return nil, err
		}
		for _, r := range c.variant.Rcpts {
			msg.ForwardPaths = append(msg.ForwardPaths, made.env.Recipients[r].Address.String())
		}
		a.Messages = append(a.Messages, msg)
	}
	return a, nil
}

// previewLength is how many characters of the text a phone shows at most.
const previewLength = 140

// lockScreen returns what a phone shows of a finished copy before it is opened.
func lockScreen(s *store.Spool) (string, error) {
	m, err := mail.Parse(s, s.Size(), finalLimits(mail.DefaultLimits()))
	if err != nil {
		return "", fmt.Errorf("gateway: read a copy: %w", err)
	}
	from := ""
	if len(m.From) == 1 {
		from = cmp.Or(m.From[0].Name, m.From[0].Address.String())
	}
	first := ""
	for p := range m.Parts() {
		if p.MediaType != "text/plain" && p.MediaType != "text/html" {
			continue
		}
		if first = p.Text; p.MediaType == "text/html" {
			first, _ = mail.VisibleText(p.Text) // of what cannot be read, a phone shows what it can
		}
		first = strings.Join(strings.Fields(first), " ")
		break
	}
	if r := []rune(first); len(r) > previewLength {
		first = string(r[:previewLength]) + "…"
	}
	return strings.Join([]string{from, m.Subject, first}, " | "), nil
}

// replyOf is the reply that SMTP would have given.
func (g *Gateway) replyOf(d *decided) (AccountReply, error) {
	if d.plan.Outcome == filter.Refuse {
		err := g.refusal(d.snap, d.env.ID, &d.plan)
		fe, ok := errors.AsType[*fault.Error](err)
		if !ok {
			return AccountReply{}, err
		}
		return AccountReply{Code: fe.Status.Code, Enhanced: fe.Status.Enhanced(), Text: fe.Public}, nil
	}
	r, err := g.receipt(d)
	if err != nil {
		return AccountReply{}, err
	}
	return AccountReply{Code: 250, Enhanced: "2.0.0", Text: r.Text}, nil
}

// inWords turns a finding into a sentence and a list of changes.
func (d *decided) inWords(f filter.Finding) AccountFinding {
	w := AccountFinding{Rule: f.Rule, Name: d.snap.RuleName(f.Rule), Action: actionName(f.Action), Recipient: d.code(f.Rcpt),
		Reason: f.Reason, Defect: f.Values["defect"], Changes: []string{}, Observed: f.Observed, Waived: f.Waived}
	for _, e := range f.Edits {
		w.Changes = append(w.Changes, strings.TrimSpace(strings.ReplaceAll(string(e.Kind), "_", " ")+" "+e.Arg))
	}
	if f.Separate {
		w.Changes = append(w.Changes, "each client gets a copy of their own")
	}
	if f.Bcc {
		w.Changes = append(w.Changes, "recipients hidden from each other")
	}
	for _, who := range f.Tell {
		w.Changes = append(w.Changes, "tells "+who)
	}
	if f.NeverHold {
		w.Changes = append(w.Changes, "not held by rules about tone")
	}
	return w
}

// code names a recipient without naming the person; -1 is the whole message.
func (d *decided) code(rcpt int) string {
	if rcpt < 0 || rcpt >= len(d.facts.Recipients) {
		return ""
	}
	return strings.Join(d.codes([]int{rcpt}), " ")
}

func actionName(a filter.Action) string {
	return [...]string{"send", "lock", "hold", "refuse"}[min(int(a), 3)]
}
