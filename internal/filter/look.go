package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/mail"
)

// Side says where a condition stands. What is unknown never makes mail pass: under when it
// makes the condition true, so that the rule applies, and under unless it makes it false, so
// that the rule is not switched off.
type Side bool

// The two sides of a rule.
const (
	UnderWhen   Side = false
	UnderUnless Side = true
)

// sender returns who sends. A rule about somebody whom nobody named has no answer.
func (in *Input) sender() (Sender, error) {
	if in.Facts.Sender.State == Absent {
		return Sender{}, errors.New("a rule asks for the sender and there is none")
	}
	return in.Facts.Sender.value()
}

// From holds when one of these people or systems sends.
type From struct{ IDs []string }

// Needs is empty: who sends is always known.
func (From) Needs() Need { return 0 }

// Holds compares ids.
func (c From) Holds(in *Input, _ int) (bool, error) {
	s, err := in.sender()
	return err == nil && slices.Contains(c.IDs, s.ID), err
}

// SenderMay holds when the sender has the permission.
type SenderMay struct{ What string }

// Needs is empty: who sends is always known.
func (SenderMay) Needs() Need { return 0 }

// Holds looks the permission up.
func (c SenderMay) Holds(in *Input, _ int) (bool, error) {
	s, err := in.sender()
	return err == nil && slices.Contains(s.May, c.What), err
}

// FormerClient holds when a client at the mailbox is no longer one; under unless everybody
// there must be.
type FormerClient struct{ Side Side }

// Needs returns the register.
func (FormerClient) Needs() Need { return NeedClients }

// Holds asks for each client at the mailbox.
func (c FormerClient) Holds(in *Input, rcpt int) (bool, error) {
	return in.clientsAre(rcpt, c.Side, func(k *Client) (bool, bool) { return k.Status == "former", true })
}

// ClientCountry holds when a client at the mailbox lives in one of the countries, or, with
// Not, in none of them. Of whom the register does not say where, anything may be true.
type ClientCountry struct {
	Codes []string
	Not   bool
	Side  Side
}

// Needs returns the register.
func (ClientCountry) Needs() Need { return NeedClients }

// Holds asks for each client at the mailbox.
func (c ClientCountry) Holds(in *Input, rcpt int) (bool, error) {
	return in.clientsAre(rcpt, c.Side, func(k *Client) (bool, bool) {
		return slices.Contains(c.Codes, k.Country) != c.Not, k.Country != ""
	})
}

// clientsAre asks a question about every client at a mailbox. Under when one yes, or one who
// is unknown, is enough; under unless all must be known to be so.
func (in *Input) clientsAre(rcpt int, side Side, is func(*Client) (yes, known bool)) (bool, error) {
	cs, err := in.clients(rcpt)
	if err != nil || len(cs) == 0 {
		return false, err
	}
	for i := range cs {
		yes, known := is(&cs[i])
		if side == UnderWhen && (yes || !known) {
			return true, nil
		}
		if side == UnderUnless && (!yes || !known) {
			return false, nil
		}
	}
	return side == UnderUnless, nil
}

// WordsMoreThan holds when the subject and the new text have more than N words. Of
// alternatives, which say the same, the longest one counts.
type WordsMoreThan struct{ N int }

// Needs returns the message.
func (WordsMoreThan) Needs() Need { return NeedContent }

// Holds counts the words once for a message.
func (c WordsMoreThan) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	m := in.memory()
	if !m.counted {
		m.count, m.counted = m.countWords(ParseSubject(in.Mail.Subject).Text)+in.Mail.NewWords(m.countWords), true
	}
	return m.count > c.N, nil
}

func (m *memo) countWords(text string) int {
	n := 0
	m.reader.windows(text, func(s []byte, from int) bool {
		eachWord(s[from:], func([]byte) { n++ })
		return true
	})
	return n
}

// SizeMoreThan holds when the message as the mail app sent it has more than Bytes bytes.
type SizeMoreThan struct{ Bytes int64 }

// Needs returns the message.
func (SizeMoreThan) Needs() Need { return NeedContent }

// Holds reads the size.
func (c SizeMoreThan) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	return in.Mail.Size > c.Bytes, nil
}

// Attachment holds when there is an attachment of the kind: document, image, archive,
// calendar, contact_card, program, unreadable or any. An archive with a program in it counts as one. An
// archive and what cannot be read may hold a document, so under when they count as one; under
// unless they do not. A program shows by content, type or name: without any of these nothing
// runs it, and an archive that nobody can open is held as unreadable mail.
type Attachment struct {
	Kinds []string
	Side  Side
}

// attachmentKinds says for each word what surely is of the kind, and what may be.
func attachmentKinds(word string) (sure, maybe mail.Kind, known bool) {
	const opaque = mail.KindArchive | mail.KindUnreadable
	switch word {
	case "document":
		return mail.KindDocument, opaque, true
	case "image":
		return mail.KindImage, 0, true
	case "archive":
		return mail.KindArchive, 0, true
	case "calendar":
		return mail.KindCalendar, 0, true
	case "contact_card":
		return mail.KindContactCard, 0, true
	case "program":
		return mail.KindProgram, 0, true
	case "unreadable":
		return mail.KindUnreadable, 0, true
	}
	return 0, 0, word == "any"
}

// Needs returns the message.
func (Attachment) Needs() Need { return NeedContent }

// Holds looks at content, type and name of every attachment.
func (c Attachment) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	if len(c.Kinds) == 0 {
		return false, errors.New("attachment: no kind")
	}
	all := in.attachments()
	for _, word := range c.Kinds {
		want, maybe, known := attachmentKinds(word)
		if !known {
			return false, fmt.Errorf("attachment: unknown kind %q", word)
		}
		if c.Side == UnderWhen {
			want |= maybe
		}
		for _, k := range all {
			if word == "any" || k&want != 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// attachments returns the kinds of each attachment, looked at once for a message.
func (in *Input) attachments() []mail.Kind {
	m := in.memory()
	if !m.attached {
		for p := range in.Mail.Attachments() {
			m.kinds = append(m.kinds, p.Kinds())
		}
		m.attached = true
	}
	return m.kinds
}

// Contains holds when the message contains a link, kisses or remote_image.
type Contains struct{ What string }

// Needs returns the message.
func (Contains) Needs() Need { return NeedContent }

// Holds looks once for a message. Links also count in the subject and inside attachments.
func (c Contains) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	look, ok := map[string]func() bool{
		"link": func() bool {
			return in.Mail.Links() || mail.HasLink(in.Mail.Subject) || slices.ContainsFunc(attachedTexts(in.Mail), mail.HasLink)
		},
		"kisses":       in.Mail.Kisses,
		"remote_image": in.Mail.RemoteImages,
	}[c.What]
	if !ok {
		return false, fmt.Errorf("contains: unknown word %q", c.What)
	}
	return in.once("contains "+c.What, look), nil
}

// once keeps an answer that is the same for all recipients.
func (in *Input) once(question string, look func() bool) bool {
	m := in.memory()
	if a, ok := m.answers[question]; ok {
		return a
	}
	if m.answers == nil {
		m.answers = map[string]bool{}
	}
	a := look()
	m.answers[question] = a
	return a
}

// PersonalContact holds when the subject or the new text gives a mailbox or a phone number
// that is neither the practice's nor the recipient's own, and that could be the sender's: a
// mailbox outside the practice and its contacts, a mobile or a landline. Free and national
// numbers of organisations (0800, 0808, 03, and all of fewer than ten digits) are nobody's own,
// unless people.yaml says whose.
type PersonalContact struct {
	Phones  []string       // the practice's own
	Own     []string       // of its people: personal, whatever they look like
	Domains []string       // of the practice and of its contacts
	Listed  []mail.Address // of the practice and of its contacts
}

// Needs returns the register: what belongs to the recipient is no news.
func (PersonalContact) Needs() Need { return NeedContent | NeedClients }

// Holds reads the new text.
func (c PersonalContact) Holds(in *Input, rcpt int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	cs, err := in.clients(rcpt)
	if err != nil {
		return false, err
	}
	m := in.memory()
	if m.contacts == nil {
		m.contacts = contactsIn(&m.reader, append([]string{in.Mail.Subject, in.Mail.NewText()}, attachedTexts(in.Mail)...))
	}
	ours := map[string]bool{}
	for _, a := range c.Listed {
		ours[mailboxKey(a)] = true
	}
	if rcpt < len(in.Env.Recipients) {
		ours[mailboxKey(in.Env.Recipients[rcpt].Address)] = true
	}
	phones := slices.Clone(c.Phones)
	for i := range cs {
		for _, a := range cs[i].Email {
			ours[mailboxKey(a)] = true
		}
		phones = append(phones, cs[i].Mobile...)
	}
	if m.contacts.over {
		return true, nil
	}
	for a := range m.contacts.mailboxes {
		if !ours[a] && !slices.Contains(c.Domains, domainOf(a)) {
			return true, nil
		}
	}
	for p := range m.contacts.phones {
		own := slices.ContainsFunc(phones, func(o string) bool { return phoneKey(digitsOf(o)) == phoneKey(p) })
		if !own && (couldBeOwn(p) || slices.ContainsFunc(c.Own, func(o string) bool { return SamePhone(o, p) })) {
			return true, nil
		}
	}
	return false, nil
}

// couldBeOwn reports digits that could be a person's phone: enough of them, and not of a range
// that belongs to organisations.
func couldBeOwn(digits string) bool {
	d := strings.TrimPrefix(strings.TrimPrefix(digits, "00"), "44")
	d = strings.TrimLeft(d, "0")
	return len(d) >= 9 && !strings.HasPrefix(d, "800") && !strings.HasPrefix(d, "808") && !strings.HasPrefix(d, "3")
}

// contacts are the mailboxes and phone numbers of a text.
type contacts struct {
	mailboxes map[string]bool // folded as [mailboxKey]
	phones    map[string]bool // their digits
	over      bool            // more than anybody writes: the rest was not read
}

// maxContacts bounds what is kept of a text that is all mailboxes.
const maxContacts = 10_000

// contactsIn reads texts window by window, so that only one is in memory in its folded form,
// which can be many times as long.
func contactsIn(r *reader, texts []string) *contacts {
	c := &contacts{mailboxes: map[string]bool{}, phones: map[string]bool{}}
	for _, t := range texts {
		if !mayHoldContacts(t) {
			continue
		}
		open := ""
		r.windows(t, func(s []byte, from int) bool {
			c.readMailboxes(s, from)
			open = c.readPhones(s, from)
			c.over = c.over || len(c.mailboxes)+len(c.phones) > maxContacts
			return !c.over
		})
		if open != "" {
			c.phones[open] = true
		}
	}
	return c
}

// mayHoldContacts tells a text that surely holds none without folding it.
func mayHoldContacts(t string) bool {
	digits := 0
	for i := range len(t) {
		switch c := t[i]; {
		case c >= utf8.RuneSelf, c == '@':
			return true
		case c >= '0' && c <= '9':
			digits++
		}
	}
	return digits >= 10
}

// readMailboxes adds what stands from the offset on like a mailbox.
func (c *contacts) readMailboxes(s []byte, at int) {
	for i := at; i < len(s); i++ {
		if s[i] != '@' {
			continue
		}
		from, to := i, i+1
		for from > 0 && i-from < 64 && (localByte(s[from-1]) || s[from-1] >= utf8.RuneSelf) {
			from--
		}
		for to < len(s) && to-i < 255 && (domainByte(s[to]) || s[to] >= utf8.RuneSelf) {
			to++
		}
		domain := strings.TrimRight(string(s[i+1:to]), ".-")
		if local := strings.Trim(string(s[from:i]), "."); local != "" && strings.Contains(domain, ".") {
			c.mailboxes[local+"@"+domain] = true
		}
	}
}

// readPhones adds the digits of what ends behind the offset and stands like a phone number: it
// begins with + or a zero and has ten to fifteen digits, grouped in any way. It returns one that
// the text ends with: more of it may follow.
func (c *contacts) readPhones(s []byte, from int) (open string) {
	var run []byte
	gap, plus := 0, false
	number := func() []byte {
		if n := len(run); n >= 10 && n <= 16 && (plus || run[0] == '0') {
			return run
		}
		return nil
	}
	end := func(at int) {
		if n := number(); n != nil && at >= from && !c.phones[string(n)] {
			c.phones[string(n)] = true
		}
		run, plus, gap = run[:0], false, 0
	}
	for i := 0; i < len(s); {
		if len(run) == 0 && !plus && s[i] < utf8.RuneSelf && !digitByte(s[i]) && s[i] != '+' {
			i++
			continue
		}
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(s[i:])
		}
		d, ok := digit(r)
		switch {
		case ok:
			if len(run) < 40 { // digits without end are no number, and stay none
				run = append(run, d)
			}
			gap = 0
		case r == '+':
			end(i)
			plus = true
		case len(run) == 0 && !plus:
		case strings.ContainsRune(" -.()/\u00a0", r) && gap < maxGap:
			gap++
		default:
			end(i)
		}
		i += size
	}
	return string(number())
}
