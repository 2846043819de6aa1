package filter

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
)

// Condition is one question of a rule's when or unless, asked once for each recipient. An
// error means that it has no answer; the rule then holds the message.
type Condition interface {
	Needs() Need
	Holds(in *Input, rcpt int) (bool, error)
}

// To holds when the recipient is of that class: client, colleague, unknown or anyone.
// "colleague" also matches a contact, the other kind of known non-client.
type To struct{ Class string }

// Needs returns what the class is made from.
func (c To) Needs() Need {
	if c.Class == "anyone" {
		return 0
	}
	return NeedClients
}

// Holds reports whether the recipient is of the class.
func (c To) Holds(in *Input, rcpt int) (bool, error) {
	if c.Class == "anyone" {
		return true, nil
	}
	class, err := in.class(rcpt)
	if err != nil {
		return false, err
	}
	switch c.Class {
	case "client":
		return class == ClassClient, nil
	case "colleague":
		return class == ClassColleague || class == ClassContact, nil
	case "unknown":
		return class == ClassUnknown, nil
	}
	return false, fmt.Errorf("to: unknown class %q", c.Class)
}

// ClientsMoreThan holds when the message goes to more than N client mailboxes. A mailbox of
// two clients counts once.
type ClientsMoreThan struct{ N int }

// Needs includes the message: before it is there, nobody knows how many recipients it has.
func (ClientsMoreThan) Needs() Need { return NeedClients | NeedContent }

// Holds counts the client mailboxes of the envelope.
func (c ClientsMoreThan) Holds(in *Input, _ int) (bool, error) {
	n, err := in.clientMailboxes()
	return n > c.N, err
}

// NotListed holds when the recipient is on no list at all.
type NotListed struct{}

// Needs returns what the class is made from.
func (NotListed) Needs() Need { return NeedClients }

// Holds reports whether the recipient is unknown.
func (NotListed) Holds(in *Input, rcpt int) (bool, error) {
	class, err := in.class(rcpt)
	return class == ClassUnknown, err
}

// SubjectStarts holds when the subject starts with Prefix, whatever the case and whatever
// Re: or Fwd: stands before it. Several bracket tags may stand at the start.
type SubjectStarts struct{ Prefix string }

// Needs returns the message.
func (SubjectStarts) Needs() Need { return NeedContent }

// Holds reads the decoded subject.
func (c SubjectStarts) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	return ParseSubject(in.Mail.Subject).starts(c.Prefix), nil
}

// Mentions holds when one of the lists has a word in the subject, in the new text or in an
// attachment's text ([DangerWords]: in what the sender wrote now).
type Mentions struct{ Lists []*WordList }

// Needs returns the message.
func (Mentions) Needs() Need { return NeedContent }

// Holds looks the words up; each list is answered once for a message.
func (c Mentions) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	if len(c.Lists) == 0 {
		return false, fmt.Errorf("mentions: no word list")
	}
	found := false
	for _, l := range c.Lists {
		if l == nil || l.Len() == 0 {
			return false, fmt.Errorf("mentions: empty word list")
		}
		found = in.mentions(l) || found
	}
	return found, nil
}

// ClientYoungerThan holds when a client at the mailbox is younger than Age; under unless, when
// all of them are. Somebody whose birth date is unknown counts as young, unless the practice
// sees adults only.
type ClientYoungerThan struct {
	Age            int
	UnknownIsAdult bool
	Side           Side
}

// Needs returns the register.
func (ClientYoungerThan) Needs() Need { return NeedClients }

// Holds asks for each client at the mailbox.
func (c ClientYoungerThan) Holds(in *Input, rcpt int) (bool, error) {
	return in.clientsAre(rcpt, c.Side, func(k *Client) (yes, known bool) {
		age, known := k.Age(in.Facts.At)
		return (known && age < c.Age) || (!known && !c.UnknownIsAdult), true
	})
}

// ClientDiscreet holds when a client at the mailbox is discreet (Want true) or is not; under
// unless, when all of them are. Default answers for those of whom the register does not say.
type ClientDiscreet struct {
	Want, Default bool
	Side          Side
}

// Needs returns the register.
func (ClientDiscreet) Needs() Need { return NeedClients }

// Holds asks for each client at the mailbox.
func (c ClientDiscreet) Holds(in *Input, rcpt int) (bool, error) {
	return in.clientsAre(rcpt, c.Side, func(k *Client) (yes, known bool) { return discreet(k, c.Default) == c.Want, true })
}

// EveryoneAgreedTo holds when the message goes to clients and each of them has a valid consent
// for Purpose. Everybody at a shared mailbox must have agreed.
type EveryoneAgreedTo struct{ Purpose string }

// Needs includes the message: before it is there, nobody knows who everyone is.
func (EveryoneAgreedTo) Needs() Need { return NeedClients | NeedConsents | NeedContent }

// Holds reads the consents at Facts.At.
func (c EveryoneAgreedTo) Holds(in *Input, _ int) (bool, error) {
	n, err := in.clientMailboxes()
	if err != nil {
		return false, err
	}
	lacking, err := in.lacking(c.Purpose)
	return n > 0 && len(lacking) == 0, err
}

// Already holds when the mail app signed or encrypted the message.
type Already struct{ What string }

// Needs returns the message.
func (Already) Needs() Need { return NeedContent }

// Holds looks at the message's structure.
func (c Already) Holds(in *Input, _ int) (bool, error) {
	if in.Mail == nil {
		return false, errNoContent
	}
	signed, encrypted := in.sealed()
	switch c.What {
	case "signed":
		return signed, nil
	case "encrypted":
		return encrypted, nil
	}
	return false, fmt.Errorf("already: unknown word %q", c.What)
}

// Any holds when at least one of its conditions holds.
type Any struct{ Conditions []Condition }

// Needs returns the needs of all.
func (c Any) Needs() Need { return needs(c.Conditions) }

// Holds asks every condition, so that the order cannot decide whether an error is seen.
func (c Any) Holds(in *Input, rcpt int) (bool, error) {
	n, err := count(c.Conditions, in, rcpt)
	return n > 0, err
}

// All holds when each of its conditions holds.
type All struct{ Conditions []Condition }

// Needs returns the needs of all.
func (c All) Needs() Need { return needs(c.Conditions) }

// Holds asks every condition, so that the order cannot decide whether an error is seen.
func (c All) Holds(in *Input, rcpt int) (bool, error) {
	n, err := count(c.Conditions, in, rcpt)
	return n == len(c.Conditions), err
}

func needs(cs []Condition) Need {
	var n Need
	for _, c := range cs {
		n |= c.Needs()
	}
	return n
}

// count returns how many of the conditions hold. Of several errors an unreadable source wins:
// it passes by itself, and the mail app tries again.
func count(cs []Condition, in *Input, rcpt int) (int, error) {
	n := 0
	var first error
	for _, c := range cs {
		ok, err := c.Holds(in, rcpt)
		if err != nil && (first == nil || fault.KindOf(err) == fault.Unavailable) {
			first = err
		}
		if ok {
			n++
		}
	}
	if first != nil {
		return 0, first
	}
	return n, nil
}

// values collects what a text about these conditions may need: codes, counts and limits.
func values(cs []Condition, in *Input, out map[string]string) {
	for _, c := range cs {
		switch c := c.(type) {
		case EveryoneAgreedTo:
			if refs, err := in.lacking(c.Purpose); err == nil && len(refs) > 0 {
				out["code"] = List(refs)
			}
		case ClientsMoreThan:
			if n, err := in.clientMailboxes(); err == nil {
				out["count"], out["limit"] = strconv.Itoa(n), strconv.Itoa(c.N)
			}
		case Attachment:
			if in.Mail == nil {
				continue
			}
			for p := range in.Mail.Attachments() {
				if t := p.ProgramType(); t != "" && out["file_type"] == "" {
					out["file_type"] = t
				}
			}
		case Any:
			values(c.Conditions, in, out)
		case All:
			values(c.Conditions, in, out)
		}
	}
}

// List joins codes for a sentence: "C-1", "C-1 and C-2", "C-1, C-2 and C-3".
func List(codes []string) string {
	if len(codes) < 2 {
		return strings.Join(codes, "")
	}
	return strings.Join(codes[:len(codes)-1], ", ") + " and " + codes[len(codes)-1]
}

// sortedSet returns the strings of a set in order.
func sortedSet(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}
