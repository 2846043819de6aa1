package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/templates"
)

// copyOf is everything that Render needs to make one copy: the message, who it is for, and
// the policies that it was decided under.
type copyOf struct {
	snap    *policy.Snapshot
	env     *mail.Envelope
	mail    *mail.Message
	sender  filter.Sender
	at      time.Time
	number  int // of the variant, from 1
	variant filter.Variant
	foreign []mail.Replacement // who is to be replaced in it, where it has pseudonyms
	leftOut bool               // once made: a form of the text could not be edited and is not in it
}

// Render writes one copy of a message as it would leave. The edits run once, in fixed order,
// whatever the order of the rules; a copy whose body must stay whole gets new top fields only.
func (g *Gateway) Render(ctx context.Context, c copyOf, w io.Writer) (mail.Written, error) {
	if err := ctx.Err(); err != nil {
		return mail.Written{}, err
	}
	d, err := g.draft(c)
	if err != nil {
		return mail.Written{}, err
	}
	end := &ending{w: w}
	written, err := c.mail.Write(end, d)
	if err != nil {
		return written, fmt.Errorf("gateway: render variant %d: %w", c.number, err)
	}
	// A body that came encoded may end in the middle of a line; on the wire none does
	// (RFC 5321 §4.1.1.4).
	if string(end.last) != "\r\n" {
		if _, err := io.WriteString(w, "\r\n"); err != nil {
			return written, fmt.Errorf("gateway: render variant %d: %w", c.number, err)
		}
	}
	return written, nil
}

// ending passes everything on and remembers the last two bytes.
type ending struct {
	w    io.Writer
	last []byte
}

// Write implements io.Writer.
func (e *ending) Write(b []byte) (int, error) {
	n, err := e.w.Write(b)
	e.last = append(e.last, b[max(0, n-2):n]...)
	e.last = e.last[max(0, len(e.last)-2):]
	return n, err
}

// draft resolves the edits of a variant into fields and paragraphs.
func (g *Gateway) draft(c copyOf) (mail.Draft, error) {
	v := &c.variant
	d := mail.Draft{ID: c.env.ID, Variant: int(c.opaque() >> 1), Whole: v.Whole, Hide: c.snap.Practice.OwnDomains}
	fields, err := g.fields(c)
	if err != nil {
		return d, err
	}
	d.Fields = fields
	if v.Whole {
		return d, nil
	}
	_, d.NeutralNames = v.Has(filter.EditNeutralFilenames)
	_, d.NoRemote = v.Has(filter.EditRemoteContent)
	_, d.NoQuotes = v.Has(filter.EditTrimQuotes)
	_, d.NoKisses = v.Has(filter.EditRemoveKisses)
	if _, ok := v.Has(filter.EditNeutralFirstLine); ok {
		d.First = templates.FirstLine(v.Audience.Discreet)
	}
	if _, ok := v.Has(filter.EditExpectationLine); ok {
		d.Signature = append(d.Signature, c.snap.Templates.Expectation(v.Audience.Language))
	}
	if name, ok := v.Has(filter.EditSignature); ok {
		signature, err := c.snap.Templates.Signature(name, c.values())
		if err != nil {
			return d, fmt.Errorf("gateway: %w", err)
		}
		d.Signature = append(d.Signature, signature...)
	}
	if _, ok := v.Has(filter.EditCrisisSignature); ok {
		crisis := templates.Crisis(c.snap.Crisis, c.crisisFor())
		// A discreet client's first lines already hold the discreet line: once is enough.
		if !slices.Contains(d.First, crisis) {
			d.Signature = append(d.Signature, crisis)
		}
	}
	d.Replace = append(c.behindAlias(), c.foreign...)
	return d, nil
}

// crisisFor is what the crisis lines of this copy depend on: of a group, its youngest.
func (c *copyOf) crisisFor() templates.CrisisFor {
	a := &c.variant.Audience
	return c.snap.CrisisFor(filter.Client{Country: a.Country, Nation: a.Nation, Language: a.Language, Born: a.YoungestBorn, Discreet: &a.Discreet}, c.at)
}

// crisisChange says in words what the crisis signature of this copy is.
func (c *copyOf) crisisChange() string {
	f := c.crisisFor()
	switch missing := templates.CrisisMissing(c.snap.Crisis, f); {
	case f.Discreet:
		return "discreet line added instead of crisis lines"
	case missing == "":
		return "crisis lines added"
	case len(c.variant.Audience.Refs) > 1:
		return "emergency number added without crisis lines, because the country or an age is not known or not the same"
	default:
		return "emergency number added without crisis lines, because " + missing
	}
}

// behindAlias replaces what the alias hides wherever a reader would see it: the sender's own
// addresses, and the full name as the practice and the mail app write it. A given name alone
// stays: clients know it.
func (c *copyOf) behindAlias() []mail.Replacement {
	alias, ok := c.alias()
	if !ok {
		return nil
	}
	var out []mail.Replacement
	for _, own := range ownAddresses(c.snap, c.sender) {
		if own != alias {
			out = append(out, mail.Replacement{Old: own.String(), New: alias.String()})
		}
	}
	if c.sender.AliasName == "" {
		return out
	}
	names := []string{c.sender.Name}
	if len(c.mail.From) == 1 {
		names = append(names, c.mail.From[0].Name)
	}
	for _, name := range names {
		practice := strings.EqualFold(name, c.snap.Org.Name) || strings.EqualFold(name, c.snap.Org.TextName)
		if len(strings.Fields(name)) > 1 && !strings.EqualFold(name, c.sender.AliasName) && !practice {
			out = append(out, mail.Replacement{Old: name, New: c.sender.AliasName})
		}
	}
	return out
}

// values are what the placeholders of texts for this copy stand for.
func (c *copyOf) values() templates.Values {
	return templates.Values{
		"sender_name": clientName(c.sender),
		"word":        c.variant.Audience.Word,
		"practice":    c.snap.Org.TextName,
		"phone":       c.snap.Org.Phone,
		"weekday":     c.at.In(c.snap.Location()).Weekday().String(),
	}
}

// alias returns the address that clients see, when this copy asks for it and there is one.
func (c *copyOf) alias() (mail.Address, bool) {
	if _, ok := c.variant.Has(filter.EditAlias); !ok || c.sender.Alias.IsZero() {
		return mail.Address{}, false
	}
	return c.sender.Alias, true
}

// reverse is the reverse-path of this copy's transaction.
func (c *copyOf) reverse() mail.Address {
	if alias, ok := c.alias(); ok {
		return alias
	}
	return c.env.Reverse
}

// fields emits the top header fields: an allow-list, written by us (architecture, What leaves).
func (g *Gateway) fields(c copyOf) ([]mail.Field, error) {
	v := &c.variant
	alias, aliased := c.alias()
	if _, asked := v.Has(filter.EditAlias); asked && !aliased {
		return nil, fault.New(fault.Rejected, "this sender has no address for clients to see; add clients_see to people.yaml")
	}
	domain := c.reverse().Domain
	subject, err := c.subject()
	if err != nil {
		return nil, err
	}
	date := c.date()
	out := []mail.Field{
		{Name: "Received", Value: fmt.Sprintf("by %s with ESMTPSA id %s; %s", domain, c.env.ID, rfc5322(c.env.ReceivedAt.In(c.snap.Location())))},
		{Name: "Date", Value: rfc5322(date)},
	}
	from := mail.Mailbox{Address: c.env.Reverse}
	if len(c.mail.From) == 1 {
		from = c.mail.From[0]
	}
	if aliased {
		from = mail.Mailbox{Name: c.sender.AliasName, Address: alias}
	}
	out = append(out, mail.Field{Name: "From", Value: mail.FormatMailboxes([]mail.Mailbox{from})})
	if aliased {
		out = append(out, mail.Field{Name: "Reply-To", Value: mail.FormatMailboxes([]mail.Mailbox{{Address: alias}})})
	}
	out = append(out, visible(v)...)
	out = append(out, mail.Field{Name: "Subject", Value: subject},
		mail.Field{Name: "Message-ID", Value: "<" + c.messageID(domain) + ">"})
	out = append(out, c.thread()...)
	if c.sender.System {
		out = append(out, mail.Field{Name: "Auto-Submitted", Value: "auto-generated"})
	}
	if _, strip := v.Has(filter.EditRemoveIdentifyingHeaders); !strip && v.Show == filter.ShowPractice {
		out = append(out, practiceFields(c.mail)...)
	}
	return out, nil
}

// visible writes To and Cc: who this copy's readers may know about, and nobody else.
func visible(v *filter.Variant) []mail.Field {
	if v.Show == filter.ShowUndisclosed || len(v.To)+len(v.Cc) == 0 {
		return []mail.Field{{Name: "To", Value: "undisclosed-recipients:;"}}
	}
	var out []mail.Field
	if len(v.To) > 0 {
		out = append(out, mail.Field{Name: "To", Value: mail.FormatMailboxes(bare(v.To))})
	}
	if len(v.Cc) > 0 {
		out = append(out, mail.Field{Name: "Cc", Value: mail.FormatMailboxes(bare(v.Cc))})
	}
	return out
}

func bare(as []mail.Address) []mail.Mailbox {
	out := make([]mail.Mailbox, len(as))
	for i, a := range as {
		out[i] = mail.Mailbox{Address: a}
	}
	return out
}

// subject is the neutral subject where one is asked for, else the sender's without the tags
// that are meant for us. Replies keep "Re:".
func (c *copyOf) subject() (string, error) {
	name, ok := c.variant.Has(filter.EditSubject)
	if !ok {
		return mail.Replace(withoutTags(c.mail.Subject), c.foreign), nil
	}
	s, err := c.snap.Templates.Subject(name, c.values())
	if err != nil {
		return "", fmt.Errorf("gateway: subject %s: %w", name, err)
	}
	if isReply(c.mail.Subject) {
		s = "Re: " + s
	}
	return s, nil
}

// withoutTags removes bracket tags, which ask the gateway for something, and keeps one mark of a
// reply or a forward.
func withoutTags(subject string) string {
	text := filter.ParseSubject(subject).Plain()
	switch {
	case isForward(subject):
		return strings.TrimSpace("Fwd: " + text)
	case isReply(subject):
		return strings.TrimSpace("Re: " + text)
	}
	return text
}

// date keeps a plausible Date and replaces one that is absent, odd or long ago: an unusual
// date or zone tells about habits and devices (B29).
func (c *copyOf) date() time.Time {
	d := c.mail.Date
	if d.IsZero() || c.env.ReceivedAt.Sub(d).Abs() > 24*time.Hour {
		d = c.env.ReceivedAt
	}
	return d.In(c.snap.Location())
}

func rfc5322(t time.Time) string { return t.Format("Mon, 02 Jan 2006 15:04:05 -0700") }

// messageID is the id of this copy. Whoever has one copy must not learn from it which number
// it has, nor that there are others.
func (c *copyOf) messageID(domain string) string {
	return fmt.Sprintf("%s.%016x@%s", strings.ToLower(string(c.env.ID)), c.opaque(), domain)
}

// opaque stands for the number of this copy wherever a reader could see it. It is the same
// every time that the copy is made; the key is the digest of the message as received, which
// no reader of a copy has: without it all numbers could be tried.
func (c *copyOf) opaque() uint64 {
	h := hmac.New(sha256.New, c.mail.Digest[:])
	fmt.Fprintf(h, "copy|%d", c.number)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// thread writes the chain as this copy's readers know it.
func (c *copyOf) thread() []mail.Field {
	var out []mail.Field
	for _, f := range []struct {
		name string
		ids  []string
	}{{"In-Reply-To", c.variant.InReplyTo}, {"References", c.variant.References}} {
		if len(f.ids) > 0 {
			out = append(out, mail.Field{Name: f.name, Value: "<" + strings.Join(f.ids, "> <") + ">"})
		}
	}
	return out
}

func isReply(subject string) bool {
	p := filter.ParseSubject(subject)
	return p.Reply && !p.Forward
}

func isForward(subject string) bool { return filter.ParseSubject(subject).Forward }

// practiceFields are what the practice's own people keep of the sender's header.
func practiceFields(m *mail.Message) []mail.Field {
	var out []mail.Field
	for _, f := range m.Root.Fields {
		name := strings.ToLower(f.Name)
		if (name == "importance" || strings.HasPrefix(name, "list-")) && writable(f.Value) {
			out = append(out, mail.Field{Name: f.Name, Value: f.Value})
		}
	}
	return out
}

// writable reports whether a structured value can be written as it stands: nobody needs a list
// field so much that a mail should fail for it.
func writable(v string) bool {
	word, blanks := 0, 0
	for i := range len(v) {
		if v[i] == ' ' || v[i] == '\t' {
			word, blanks = 0, blanks+1
		} else if v[i] < ' ' || v[i] > '~' {
			return false
		} else {
			word, blanks = word+1, 0
		}
		if word > 900 || blanks > 60 {
			return false
		}
	}
	return true
}

// hasFiles reports whether a file with a name is attached.
func hasFiles(m *mail.Message) bool {
	for p := range m.Attachments() {
		if p.Filename != "" {
			return true
		}
	}
	return false
}

// changes says in words what a copy changes, for explain and for the account; no content.
func (c *copyOf) changes() []string {
	v := &c.variant
	var out []string
	add := func(ok bool, s string) {
		if ok {
			out = append(out, s)
		}
	}
	has := func(k filter.EditKind) bool { _, ok := v.Has(k); return ok }
	add(v.Show == filter.ShowOne && len(c.env.Recipients) > 1, "only this recipient is shown")
	add(v.Show == filter.ShowGroup, "the group that agreed is shown, and nobody else")
	add(v.Show == filter.ShowUndisclosed, "recipients hidden from each other")
	add(v.Show == filter.ShowContact, "clients left out of To and Cc")
	add(has(filter.EditSubject), "subject replaced")
	add(has(filter.EditAlias), "sent from the address that clients see")
	add(has(filter.EditRemoveIdentifyingHeaders), "identifying header fields removed")
	add(has(filter.EditNeutralFilenames) && !v.Whole && hasFiles(c.mail), "attached files renamed")
	add(has(filter.EditNeutralFirstLine) && !v.Whole, "neutral first line added")
	add(has(filter.EditRemoteContent), "remote pictures removed")
	add(has(filter.EditTrimQuotes) && c.mail.CanTrimQuotes() != mail.NothingToEdit, "quoted text taken out")
	add(has(filter.EditRemoveKisses) && c.mail.Kisses(), "kisses taken out")
	coded := v.Show == filter.ShowPractice || v.Show == filter.ShowContact
	add(len(c.foreign) > 0 && coded, "names of clients replaced by their codes")
	add(len(c.foreign) > 0 && !coded, "names of other clients replaced")
	add(has(filter.EditExpectationLine), "line added that says whether an answer is expected")
	add(has(filter.EditSignature), "signature added")
	if has(filter.EditCrisisSignature) && !v.Whole {
		out = append(out, c.crisisChange())
	}
	if v.Protection != "" {
		out = append(out, "subject, text and files locked as "+map[string]string{filter.LockedPDF: "PDF", filter.LockedDOCX: "Word",
			filter.LockedZIP: "ZIP", filter.LockedPGP: "PGP"}[v.Protection])
	}
	add(c.leftOut, "HTML form left out, because it could not be edited: the text form leaves")
	add(v.Whole, "body left exactly as your mail app made it")
	return out
}
