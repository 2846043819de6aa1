package gateway

import (
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
)

// identity refuses a message whose reverse-path, From or Sender is not an address listed for
// the submitter (I18, M01). It is no policy that could be left out.
type identity struct{ snap *policy.Snapshot }

// ID names the rule in findings and in the audit.
func (identity) ID() string { return filter.RuleIdentity }

// Needs says that the header is read.
func (identity) Needs() filter.Need { return filter.NeedContent }

// Eval finds the first address that is somebody else's.
func (r identity) Eval(in *filter.Input) ([]filter.Finding, error) {
	ok := func(a mail.Address) bool { return r.snap.MayUse(in.Env.Submitter, a) }
	own := ok(in.Env.Reverse)
	if in.Mail != nil {
		for _, list := range [][]mail.Mailbox{in.Mail.From, in.Mail.Sender} {
			for _, b := range list {
				own = own && ok(b.Address)
			}
		}
	}
	if own {
		return nil, nil
	}
	return []filter.Finding{{Rule: r.ID(), Rcpt: -1, Action: filter.Refuse, About: filter.Safety, Text: "M01", Fixed: true,
		Status: fault.Status{Code: 550, Subject: 7, Detail: 1}, Reason: "the sender's address is not one of the submitter's own",
		Values: map[string]string{"sign_in": signsInAs(r.snap, in.Env.Submitter)}}}, nil
}

// senderOf is the signed-in person. A system sends for a person: the name and address that
// clients see are those of the person in From.
func senderOf(snap *policy.Snapshot, id string, m *mail.Message) (filter.Sender, bool) {
	s, ok := snap.Sender(id)
	if !ok || !s.System || m == nil || len(m.From) != 1 {
		return s, ok
	}
	if p, found := snap.PersonByAddress(m.From[0].Address); found && snap.MayUse(id, m.From[0].Address) {
		s.Name, s.Alias, s.AliasName = p.Name, p.Alias, p.AliasName
	}
	return s, true
}

// ownAddresses are the addresses that stand for this sender inside the practice.
func ownAddresses(snap *policy.Snapshot, s filter.Sender) []mail.Address {
	out := []mail.Address{s.Real}
	for _, p := range snap.People {
		if isSender(&p, s) {
			out = append(append(out, p.SignsInAs), p.AlsoUses...)
		}
	}
	slices.SortFunc(out, func(a, b mail.Address) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// ownPhones are the numbers of this sender that clients should not see.
func ownPhones(snap *policy.Snapshot, s filter.Sender) []string {
	var out []string
	for _, p := range snap.People {
		if isSender(&p, s) {
			out = append(out, p.Phones...)
		}
	}
	return out
}

// isSender reports whether the person sends, or a system for the person.
func isSender(p *policy.Person, s filter.Sender) bool {
	return p.ID == s.ID || (s.System && p.Name == s.Name)
}

// clientName is what clients know the sender by.
func clientName(s filter.Sender) string {
	if s.AliasName != "" {
		return s.AliasName
	}
	return s.Name
}

func signsInAs(snap *policy.Snapshot, id string) string {
	s, ok := snap.Sender(id)
	if !ok {
		return "another address"
	}
	return s.Real.String()
}
