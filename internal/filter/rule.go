package filter

import (
	"errors"
	"slices"

	"github.com/plaincover/plaincover/internal/fault"
)

// refused is the reply to a message that a rule refuses (RFC 3463 §3.8: policy).
var refused = fault.Status{Code: 550, Subject: 7, Detail: 1}

// RuleSpec is a rule as policies write it, with its words resolved.
type RuleSpec struct {
	ID, Name      string
	When          []Condition // all must hold
	Unless        []Condition // the rule is off when all of them hold; none: it is never off
	Do            []Verb
	Because       string
	About         About // empty: Safety
	TellSender    string
	AlwaysEnforce bool // stays in force in observe mode
	Observe       bool
}

// rule is a compiled rule. It holds no state: it may be evaluated from many goroutines.
type rule struct {
	spec  RuleSpec
	need  Need
	lists []*WordList
	made  Finding // what every finding of the rule has in common
}

// NewRule compiles a rule.
func NewRule(s RuleSpec) Rule {
	if s.About == "" {
		s.About = Safety
	}
	f := Finding{
		Rule: s.ID, About: s.About, Text: s.TellSender, Reason: reason(s),
		Fixed: s.AlwaysEnforce, Observed: s.Observe && !s.AlwaysEnforce,
	}
	var missing []string
	for _, v := range s.Do {
		if m := f.do(v); m != "" {
			missing = append(missing, m)
		}
	}
	slices.Sort(missing)
	f.Edits = mergeEdits(f.Edits)
	slices.Sort(f.Tell)
	f.Tell = slices.Compact(f.Tell)
	if len(missing) > 0 && f.Action == Hold {
		f.Text, f.Reason = "", f.Reason+": "+List(slices.Compact(missing))+" is not built into this version, so the email is held"
	}
	return &rule{spec: s, need: needs(s.When) | needs(s.Unless), lists: append(listsOf(s.When), listsOf(s.Unless)...), made: f}
}

// reason is what the rule's findings say in public: its name and why it exists.
func reason(s RuleSpec) string {
	name := s.Name
	if name == "" {
		name = s.ID
	}
	if s.Because == "" {
		return name
	}
	return name + " (" + s.Because + ")"
}

// ID returns the rule's id.
func (r *rule) ID() string { return r.spec.ID }

// Needs returns what the conditions must know.
func (r *rule) Needs() Need { return r.need }

// Eval asks the conditions once for each recipient.
func (r *rule) Eval(in *Input) ([]Finding, error) {
	var out []Finding
	var failed error
	for i := range in.Env.Recipients {
		on, err := r.applies(in, i)
		if err != nil {
			if failed == nil || fault.KindOf(err) == fault.Unavailable {
				failed = err
			}
			continue
		}
		if !on {
			continue
		}
		f := r.made
		f.Rcpt = i
		f.Values = r.values(in, i)
		out = append(out, f)
	}
	if failed != nil {
		return nil, failed
	}
	return out, nil
}

func (r *rule) applies(in *Input, rcpt int) (bool, error) {
	n, err := count(r.spec.When, in, rcpt)
	m, err2 := count(r.spec.Unless, in, rcpt)
	if err := errors.Join(err, err2); err != nil {
		return false, err
	}
	off := len(r.spec.Unless) > 0 && m == len(r.spec.Unless)
	return n == len(r.spec.When) && !off, nil
}

// values returns what the rule's text may need about this recipient.
func (r *rule) values(in *Input, rcpt int) map[string]string {
	if r.made.Action == Send {
		return nil
	}
	out := map[string]string{}
	if codes := in.codes(rcpt); len(codes) > 0 {
		out["code"] = List(codes)
	}
	values(r.spec.When, in, out)
	values(r.spec.Unless, in, out)
	if len(out) == 0 {
		return nil
	}
	return out
}
