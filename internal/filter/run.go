package filter

import (
	"errors"
	"fmt"

	"github.com/plaincover/plaincover/internal/fault"
)

// SafeguardingLead is the role that is told of danger.
const SafeguardingLead = "safeguarding_lead"

// Run evaluates the rules and makes the plan. Without a message (at RCPT time) only rules that
// need no content run, and the plan has no variants; only a refusal counts there.
//
// An error means that nothing may be accepted: a fact cannot be read right now (kind
// Unavailable), or was never resolved.
func Run(rules []Rule, pr Practice, in *Input) (Plan, error) {
	classes, err := check(in)
	if err != nil {
		return Plan{}, fmt.Errorf("filter: %w", err)
	}
	findings, err := evaluate(rules, pr, in)
	if err != nil {
		return Plan{}, fmt.Errorf("filter: %w", err)
	}
	findings = append(findings, mustLock(in)...)
	findings = append(findings, copyFindings(in, classes, findings)...)
	waive(in, findings)
	undone := undo(findings, len(classes))
	sortFindings(findings)

	p := Plan{Policy: pr.Policy, Findings: findings, Decisions: decide(findings, len(classes))}
	ways := locking(in, pr, classes, p.Findings, p.Decisions)
	if !pr.OnMixedSplit {
		holdAll(p.Findings, p.Decisions, undone)
	}
	if in.Mail != nil {
		refuseAll(p.Findings, p.Decisions)
	}
	p.Outcome, p.Lead = outcome(p.Findings, p.Decisions)
	if p.Outcome == Lock {
		p.Outcome, p.Lead = Send, -1
	}
	p.Urgent = urgent(p.Decisions, undone)
	p.Tell = tell(findings, p.Urgent)
	if p.Outcome != Refuse && in.Mail != nil {
		pl := planner{in: in, practice: pr, classes: classes, ways: ways, plan: &p}
		if p.Variants, err = pl.variants(); err != nil {
			return Plan{}, fmt.Errorf("filter: %w", err)
		}
	}
	return p, nil
}

// check makes sure that the facts are there which the core itself reads, and returns the
// class of each recipient.
func check(in *Input) ([]Class, error) {
	if in == nil || in.Env == nil || in.Facts == nil {
		return nil, errUnresolved
	}
	if n := len(in.Env.Recipients); n != len(in.Facts.Recipients) {
		return nil, fmt.Errorf("%w: facts for %d recipients, envelope of %d", errUnresolved, len(in.Facts.Recipients), n)
	}
	if in.Mail != nil && len(in.Env.Recipients) == 0 {
		return nil, errors.New("a message without recipients")
	}
	out := make([]Class, len(in.Env.Recipients))
	var first error
	for i := range out {
		class, err := in.class(i)
		if err != nil && (first == nil || fault.KindOf(err) == fault.Unavailable) {
			first = err
		}
		out[i] = class
	}
	return out, first
}

// evaluate returns the findings of the rules and of the core about the message.
func evaluate(rules []Rule, pr Practice, in *Input) ([]Finding, error) {
	var out []Finding
	var unavailable error
	for _, r := range rules {
		if r, ok := r.(*rule); ok {
			in.memory().lists = append(in.memory().lists, r.lists...)
		}
	}
	for _, r := range rules {
		if in.Mail == nil && r.Needs()&NeedContent != 0 {
			continue
		}
		fs, err := r.Eval(in)
		switch {
		case fault.KindOf(err) == fault.Unavailable:
			unavailable = err
		case err != nil || stray(fs, len(in.Env.Recipients)):
			out = append(out, broken(r.ID()))
		default:
			out = append(out, fs...)
		}
	}
	if unavailable != nil {
		return nil, unavailable
	}
	if in.Mail == nil {
		return out, nil
	}
	out = append(out, unreadable(in.Mail)...)
	many, err := tooManyClients(in, pr.ClientsPerMessage)
	return append(out, many...), err
}

// broken is what a rule says that could not be evaluated: nobody knows whether it would have
// held the message, so it does.
func broken(id string) Finding {
	return Finding{
		Rule: id, Rcpt: -1, Action: Hold, About: Safety, Fixed: true,
		Reason: "The rule could not be evaluated, so the email is held",
	}
}

// stray reports findings about recipients that do not exist.
func stray(fs []Finding, n int) bool {
	for _, f := range fs {
		if f.Rcpt < -1 || f.Rcpt >= n {
			return true
		}
	}
	return false
}

// copyFindings are the core's findings that follow from all edits of one recipient's copy.
func copyFindings(in *Input, classes []Class, findings []Finding) []Finding {
	if in.Mail == nil {
		return nil
	}
	var out []Finding
	signed, encrypted := in.sealed()
	for i := range in.Env.Recipients {
		edits := editsFor(findings, i)
		out = append(out, conflict(i, edits)...)
		if signed || encrypted {
			out = append(out, signedMail(i, edits)...)
			continue
		}
		out = append(out, cannotChange(in, i, withoutRemote(in, classes[i], edits))...)
	}
	return out
}

// editsFor merges the edits of all findings in force for one recipient.
func editsFor(findings []Finding, rcpt int) []Edit {
	var lists [][]Edit
	for i := range findings {
		if f := &findings[i]; f.concerns(rcpt) {
			lists = append(lists, f.Edits)
		}
	}
	return mergeEdits(lists...)
}
