package filter

import (
	"errors"
	"fmt"

	"github.com/plaincover/plaincover/internal/fault"
)

// Always is what [Run] itself reads, whatever the rules need: who a recipient is depends on
// the register, and who may share a copy on the consents.
const Always = NeedClients | NeedConsents

var (
	errUnresolved = errors.New("a fact was read that nobody resolved")
	errNoContent  = errors.New("the message was asked for before it was there")
)

// value returns a fact's value. Absent is the zero value; everything else that is not present
// is an error, so that the unknown is never taken for harmless.
func (f Fact[T]) value() (T, error) {
	var zero T
	switch f.State {
	case Present:
		return f.Value, nil
	case Absent:
		return zero, nil
	case Unavailable:
		return zero, fault.New(fault.Unavailable, "")
	}
	return zero, errUnresolved
}

// clients returns everybody registered at the recipient's mailbox.
func (in *Input) clients(rcpt int) ([]Client, error) {
	if in.Facts == nil || rcpt < 0 || rcpt >= len(in.Facts.Recipients) {
		return nil, errUnresolved
	}
	return in.Facts.Recipients[rcpt].Clients.value()
}

// class returns who a recipient is. Whoever stands in the register is a client, whatever else
// the address may be.
func (in *Input) class(rcpt int) (Class, error) {
	cs, err := in.clients(rcpt)
	if err != nil {
		return "", err
	}
	if len(cs) > 0 {
		return ClassClient, nil
	}
	class, err := in.Facts.Recipients[rcpt].Class.value()
	if err != nil {
		return "", err
	}
	switch class {
	case ClassColleague, ClassContact, ClassUnknown:
		return class, nil
	case "":
		return ClassUnknown, nil
	}
	return "", fmt.Errorf("recipient of class %q without a client in the register", class)
}

// clientMailboxes counts the different mailboxes of clients among the recipients.
func (in *Input) clientMailboxes() (int, error) {
	seen := map[string]bool{}
	for i, r := range in.Env.Recipients {
		class, err := in.class(i)
		if err != nil {
			return 0, err
		}
		if class == ClassClient {
			seen[r.Address.Key()] = true
		}
	}
	return len(seen), nil
}

// lacking returns the codes of all clients of the message without a valid consent.
func (in *Input) lacking(purpose string) ([]string, error) {
	refs := map[string]bool{}
	for i := range in.Env.Recipients {
		cs, err := in.clients(i)
		if err != nil {
			return nil, err
		}
		for k := range cs {
			if !cs[k].Agreed(purpose, in.Facts.At) {
				refs[cs[k].Ref] = true
			}
		}
	}
	return sortedSet(refs), nil
}

// codes returns the codes of everybody at the recipient's mailbox.
func (in *Input) codes(rcpt int) []string {
	cs, err := in.clients(rcpt)
	if err != nil {
		return nil
	}
	refs := map[string]bool{}
	for i := range cs {
		refs[cs[i].Ref] = true
	}
	return sortedSet(refs)
}

func discreet(c *Client, byDefault bool) bool {
	if c.Discreet != nil {
		return *c.Discreet
	}
	return byDefault
}
