package filter

import (
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// The names under which the core's own findings stand. They are in force whatever the
// policies say.
const (
	RuleReadable     = "readable"            // the message could be read in two ways, or not at all
	RuleLimit        = "clients-per-message" // organisation.yaml, limits
	RuleSigned       = "signed-mail"         // a change would break the mail app's signature
	RuleCannotChange = "cannot-change"       // what a copy needs cannot be done to its text
	RuleConflict     = "policy-conflict"     // two rules ask for what cannot both be done
	RuleIdentity     = "identity"            // an address in From is not the sender's own; made by package gateway
	RuleCannotLock   = "cannot-lock"         // what must be locked could not be; made by package gateway
	RuleLeak         = "leak-check"          // the copy that is about to leave names somebody else
)

// unreadable turns the message's defects into findings, one for each kind of defect.
func unreadable(m *mail.Message) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, d := range m.Defects {
		key := d.Name + strconv.Itoa(int(d.Default))
		if d.Default == mail.AcceptAsRead || seen[key] {
			continue
		}
		seen[key] = true
		f := Finding{
			Rule: RuleReadable, Rcpt: -1, Action: Hold, About: Safety, Reason: inWords(d),
			Evidence: []Evidence{{Path: d.Path, Offset: d.Offset, Digest: m.Digest}},
			Values:   map[string]string{"defect": d.Name},
		}
		if d.Default == mail.RejectIt {
			// RFC 3463 §3.7: a media error; the content must change.
			f.Action, f.Status = Refuse, fault.Status{Code: 550, Subject: 6, Detail: 0}
		}
		out = append(out, f)
	}
	return out
}

// inWords says what was found, in which field, and what to do.
func inWords(d mail.Defect) string {
	s := d.What
	if s == "" {
		s = "This email can be read in more than one way (" + d.Name + ")"
	}
	if d.Detail != "" && !strings.Contains(s, d.Detail) {
		s += " (" + d.Detail + ")"
	}
	if d.Fix == "" {
		return s + ". Write it again in your mail app and send it."
	}
	return s + ". " + d.Fix
}

// tooManyClients refuses a message to more clients than the practice allows at once.
func tooManyClients(in *Input, limit int) ([]Finding, error) {
	if limit <= 0 {
		return nil, nil
	}
	n, err := in.clientMailboxes()
	if err != nil || n <= limit {
		return nil, err
	}
	return []Finding{{
		Rule: RuleLimit, Rcpt: -1, Action: Refuse, About: Safety, Status: refused, Text: "M02", Fixed: true,
		Reason: "The email goes to more clients at once than the practice allows",
		Values: map[string]string{"count": strconv.Itoa(n), "limit": strconv.Itoa(limit)},
	}}, nil
}

// signedMail holds a copy of signed or encrypted mail that a rule would change: promise 7.
func signedMail(rcpt int, edits []Edit) []Finding {
	for _, e := range edits {
		if textEdit(e.Kind) {
			return []Finding{{
				Rule: RuleSigned, Rcpt: rcpt, Action: Hold, About: Safety, Text: "M13",
				Reason: "The email is signed or encrypted by the mail app, and our changes would break that",
			}}
		}
	}
	return nil
}

// canEdit says whether an edit can be made; what needs no look can.
func (in *Input) canEdit(k EditKind) mail.Editable {
	look := map[EditKind]func() mail.Editable{EditRemoteContent: in.Mail.CanRemoveRemote, EditTrimQuotes: in.Mail.CanTrimQuotes}[k]
	if look == nil {
		return mail.CanEdit
	}
	m := in.memory()
	if _, ok := m.editable[k]; !ok {
		if m.editable == nil {
			m.editable = map[EditKind]mail.Editable{}
		}
		m.editable[k] = look()
	}
	return m.editable[k]
}

// cannotChange holds a copy whose text cannot be changed as it must be. Whoever releases it
// lets it go without that change.
func cannotChange(in *Input, rcpt int, edits []Edit) []Finding {
	var out []Finding
	for _, e := range edits {
		f := Finding{Rule: RuleCannotChange, Rcpt: rcpt, Action: Hold, About: Safety, Values: map[string]string{"edit": string(e.Kind)}}
		switch can := in.canEdit(e.Kind); {
		case can == mail.NothingLeft:
			f.Reason = "Nothing of your own would be left without the quoted text. Write what you have to say above it, or ask for it to be sent as it is"
		case can == mail.CannotEdit && e.Kind == EditTrimQuotes:
			f.Reason = "The quoted text cannot be taken out safely. Delete it in your mail app and send the email again"
		case can == mail.CannotEdit:
			f.Reason = "What the email would fetch from the web cannot be taken out safely. Send it as plain text"
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// withoutRemote adds to the edits of somebody's copy that nothing in it is fetched from the
// web: pictures tell their owner when and where a mail is opened. Only the practice's own
// people get it as it is.
func withoutRemote(in *Input, class Class, edits []Edit) []Edit {
	if class == ClassColleague || in.canEdit(EditRemoteContent) == mail.NothingToEdit {
		return edits
	}
	return mergeEdits(edits, []Edit{{Kind: EditRemoteContent}})
}

// oneOnly says what several edits of a kind are called of which a copy can have one; empty for
// other kinds.
func oneOnly(k EditKind) string {
	switch k {
	case EditSubject:
		return "subjects"
	case EditSignature:
		return "signatures"
	}
	return ""
}

// conflict holds a copy for which two rules ask for different subjects, or signatures. To take
// the later one would make the order of rules matter.
func conflict(rcpt int, edits []Edit) []Finding {
	seen, twice := map[EditKind]bool{}, map[string]bool{}
	for _, e := range edits {
		if what := oneOnly(e.Kind); what != "" && seen[e.Kind] {
			twice[what] = true
		}
		seen[e.Kind] = true
	}
	if len(twice) == 0 {
		return nil
	}
	return []Finding{{
		Rule: RuleConflict, Rcpt: rcpt, Action: Hold, About: Safety, Fixed: true,
		Reason: "Two rules ask for different " + List(sortedSet(twice)) + ". Whoever edits the policies must decide which one applies.",
	}}
}
