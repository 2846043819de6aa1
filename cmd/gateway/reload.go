package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

type reloadCmd struct {
	Weaker bool   `help:"Take the policies although they protect less than those in force. Needs --as."`
	As     string `help:"Who answers for it: the id of somebody who may edit_policy under the policies in force." placeholder:"PERSON"`
}

// Help is shown under --help.
func (reloadCmd) Help() string {
	return "Checks the policies, runs their tests, and has the running service do the same and take them. " +
		"When anything is wrong the service keeps the old ones, and says why. Policies that protect less than those in force are kept out " +
		"too, with what they weaken, until somebody says that it is meant: --weaker --as PERSON. " +
		"SIGHUP to the service does the same, and never takes what is weaker.\n\nExamples:\n  gateway reload\n  gateway reload --weaker --as sam"
}

// The audit rows of a reload: the command asks, the service answers. A start asks itself.
const (
	policyAsked = "policy_asked"
	policyTaken = "policy_taken"
	policyKept  = "policy_kept"
)

// reloadPatience is how long the command waits for the service's answer. Reading and testing
// large policies takes less than a second.
const reloadPatience = time.Minute

// Run checks the policies here, where the problems can be shown in full, and then asks the
// service for exactly these. What counts is what the service itself then finds: files that
// changed between are not taken.
func (k reloadCmd) Run(ctx context.Context, p *program) error {
	if k.Weaker != (k.As != "") {
		return &usageError{"--weaker and --as go together: somebody answers for policies that protect less"}
	}
	c, err := p.configuration(needNothing)
	if err != nil {
		return err
	}
	snap, err := policies(c.Policies)
	if err != nil {
		return asNo(err)
	}
	if err := checkRegion(c, snap); err != nil {
		return asNo(err)
	}
	report, err := gateway.RunTests(ctx, snap)
	if err != nil {
		return err
	}
	if n := failures(report); n > 0 {
		return &answerNo{fmt.Sprintf("%d of %s failed; the service keeps the policies that it has. gateway test names them", n, count(len(report.Results), "test"))}
	}
	pid, ok, err := store.Serving(c.Data)
	if err != nil {
		return err
	}
	if !ok {
		return &answerNo{"the policies are good, but no service runs with " + c.Data + ": it reads them when it starts"}
	}
	return p.withStore(ctx, func(s session) error {
		before, err := s.store.LastAudit(ctx)
		if err != nil {
			return err
		}
		// Several may ask at once: each reads the answer to its own question.
		ask := store.Event{Kind: policyAsked, Actor: "operator", Data: map[string]string{"ask": rand.Text(), "policy": snap.ID}}
		if k.Weaker {
			ask.Actor, ask.Data["weaker"] = k.As, "meant"
		}
		if err := s.store.Record(ctx, "", ask); err != nil {
			return err
		}
		service, err := os.FindProcess(pid)
		if err == nil {
			err = service.Signal(syscall.SIGHUP)
		}
		if err != nil {
			return fmt.Errorf("the service (process %d) cannot be asked: %w", pid, err)
		}
		row, err := answerTo(ctx, s.store, ask.Data["ask"], before)
		if err != nil {
			return err
		}
		return p.printReload(row)
	})
}

// asNo turns broken policies into the answer no: the command line was right.
func asNo(err error) error {
	if ps, ok := errors.AsType[problems](err); ok {
		return &answerNo{ps.Error() + "\nthe service keeps the policies that it has"}
	}
	return err
}

func failures(r gateway.TestReport) int {
	n := 0
	for _, t := range r.Results {
		if len(t.Failures) > 0 {
			n++
		}
	}
	return n
}

// answerTo waits for the row that the service writes about that question.
func answerTo(ctx context.Context, st *store.Store, ask string, seq int64) (store.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for {
		var found store.Row
		err := st.AuditAfter(ctx, seq, func(r store.Row) error {
			if r.Data["ask"] == ask && (r.Kind == policyTaken || r.Kind == policyKept) {
				found = r
			}
			seq = r.Seq
			return nil
		})
		if err != nil || found.Kind != "" {
			return found, err
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return found, &answerNo{"the service did not answer within a minute; its log says why"}
		}
	}
}

func (p *program) printReload(row store.Row) error {
	taken := row.Kind == policyTaken
	var weaker []string
	if w := row.Data["weaker"]; w != "" {
		weaker = strings.Split(w, "\n")
	}
	v := struct {
		OK     bool     `json:"ok"`
		Before string   `json:"before"`
		Policy string   `json:"policy"`
		Why    string   `json:"why,omitempty"`
		Weaker []string `json:"weaker"`
	}{taken, row.Data["before"], row.Data["policy"], row.Data["why"], append([]string{}, weaker...)}
	if err := p.emit(v, func(w io.Writer) {
		for _, line := range weaker {
			fmt.Fprintln(w, "WEAKER  "+line)
		}
		switch {
		case !taken:
		case v.Before == v.Policy:
			fmt.Fprintln(w, "nothing has changed\npolicy "+v.Policy)
		default:
			fmt.Fprintln(w, "in force now\npolicy "+v.Policy)
		}
	}); err != nil {
		return err
	}
	if !taken {
		return &answerNo{"the service keeps the policies that it has: " + v.Why}
	}
	return nil
}

// reloads takes new policies whenever somebody asks with SIGHUP, until ctx is done. Every
// question in the audit that is newer than the service's start gets an answer; a signal
// without one is somebody whom nobody can ask back.
func (s *service) reloads(ctx context.Context, asked <-chan os.Signal) error {
	since := s.since
	for {
		select {
		case <-asked:
			asks, err := s.asks(ctx, &since)
			if err != nil {
				s.log.Error("policies kept, because the audit cannot be read", "err", err.Error())
				s.gateway.Reloaded(gateway.Reload{Why: "database"})
				continue
			}
			s.reload(ctx, asks)
		case <-ctx.Done():
			return nil
		}
	}
}

// asks returns the questions that came since the last look and that somebody still waits for.
func (s *service) asks(ctx context.Context, since *int64) (asks []store.Row, err error) {
	old, err := s.store.AuditBefore(ctx, time.Now().Add(-reloadPatience))
	if err != nil {
		return nil, err
	}
	*since = max(*since, old)
	err = s.store.AuditAfter(ctx, *since, func(r store.Row) error {
		if r.Kind == policyAsked {
			asks = append(asks, r)
		}
		*since = r.Seq
		return nil
	})
	return asks, err
}

// onHangup catches SIGHUP from the start: uncaught it would end the program.
func onHangup() (asked chan os.Signal, stop func()) {
	asked = make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked, func() { signal.Stop(asked) }
}

// reload reads, checks and tests the policies anew and puts them in force, or keeps the old
// ones, and answers each question. A message that has begun ends under the policies that it
// began with. Either way the audit says what happened; if it cannot be written, nothing changes.
func (s *service) reload(ctx context.Context, asks []store.Row) {
	next, changes, err := s.candidate(ctx, s.gateway.Policy())
	if len(asks) == 0 {
		asks = []store.Row{{Actor: "operator"}}
	}
	for _, ask := range asks {
		s.answer(ctx, ask, next, changes, err)
	}
}

// answer says to one question what comes of it; the error is why the old policies stay.
func (s *service) answer(ctx context.Context, ask store.Row, next *policy.Snapshot, changes []policy.Difference, broken error) error {
	old := s.gateway.Policy()
	event := store.Event{Kind: policyTaken, Actor: ask.Actor, Data: map[string]string{"before": old.ID, "policy": old.ID}}
	if ask.Kind != "" {
		event.Data["ask"] = ask.Data["ask"]
	}
	var weaker []string
	for _, c := range changes {
		if c.Weaker {
			weaker = append(weaker, c.String())
		}
	}
	if broken == nil && next.ID == old.ID {
		weaker, changes = nil, nil // what came into force a moment ago changes nothing more
	}
	if len(weaker) > 0 {
		event.Data["weaker"] = shorten(strings.Join(weaker, "\n"))
	}
	why := broken
	if why == nil {
		why = mayTake(old, next, ask, len(weaker))
	}
	if why != nil {
		s.gateway.Reloaded(refused(why))
		event.Kind, event.Data["why"] = policyKept, why.Error()
		s.log.Error("policies kept", "policy", old.ID, "why", why.Error())
		if err := s.store.Record(ctx, "", event); err != nil {
			s.log.Error("record reload", "err", err.Error())
		}
		return why
	}
	event.Data["policy"], event.Data["changes"] = next.ID, strconv.Itoa(len(changes))
	var err error
	if next.ID == old.ID {
		err = s.store.Record(ctx, "", event)
	} else {
		err = s.take(ctx, next, event)
	}
	if err != nil {
		s.log.Error("policies kept, because the change cannot be recorded", "policy", old.ID, "err", err.Error())
		s.gateway.Reloaded(gateway.Reload{Why: "database"})
		return err
	}
	s.gateway.SetPolicy(next)
	s.gateway.Reloaded(gateway.Reload{Taken: true, Changes: len(changes), Weaker: len(weaker)})
	s.log.Info("policies taken", "policy", next.ID, "before", old.ID, "changes", len(changes), "weaker", len(weaker))
	return nil
}

// take records that policies come into force, and keeps their files for the next start.
func (s *service) take(ctx context.Context, next *policy.Snapshot, event store.Event) error {
	archive, err := next.Archive()
	if err != nil {
		return err
	}
	return s.store.TakePolicies(ctx, store.Policies{ID: next.ID, Archive: archive}, event)
}

// mayTake says why sound policies still may not come into force: they are others than were
// asked for, or they protect less and nobody who may said that it is meant (I11, F21). Who
// may is what the policies in force say, not the new ones.
func mayTake(old, next *policy.Snapshot, ask store.Row, weaker int) error {
	if ask.Kind != "" && ask.Data["policy"] != next.ID {
		return &notTaken{gateway.Reload{Why: "changed"}, "the files changed while they were being read: ask again"}
	}
	if weaker == 0 {
		return nil
	}
	less := count(weaker, "change") + map[bool]string{true: " protects less", false: " protect less"}[weaker == 1]
	if ask.Data["weaker"] == "" {
		return &notTaken{gateway.Reload{Why: "weaker", Weaker: weaker}, less + ". If it is meant: gateway reload --weaker --as PERSON"}
	}
	if p, known := old.Person(ask.Actor); !known || p.ID != ask.Actor || !p.Can("edit_policy") {
		return &notTaken{gateway.Reload{Why: "weaker", Weaker: weaker}, fmt.Sprintf("%s, and nobody called %q may edit_policy", less, ask.Actor)}
	}
	return nil
}

// notTaken is why policies stay out of force, where the reason is in the policies.
type notTaken struct {
	gateway.Reload
	text string
}

func (n *notTaken) Error() string { return n.text }

// refused is the reason in codes and numbers.
func refused(why error) gateway.Reload {
	if n, ok := errors.AsType[*notTaken](why); ok {
		return n.Reload
	}
	return gateway.Reload{Why: "unreadable"}
}

// codesOf returns the codes of problems, each once.
func codesOf(ps problems) []string {
	var codes []string
	for _, p := range ps {
		codes = append(codes, string(p.Code))
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// candidate returns the policies on disk if they may come into force, and what they change.
// The error is for the log and the audit: it counts, and shows nothing of the files.
func (s *service) candidate(ctx context.Context, old *policy.Snapshot) (next *policy.Snapshot, changes []policy.Difference, err error) {
	defer func() {
		if p := recover(); p != nil {
			// What was read must not end the service. The value of a panic could quote a file.
			s.log.Error("reading the policies panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			next, changes, err = nil, nil, &notTaken{gateway.Reload{Why: "internal"}, "a fault of the program: the log has its place"}
		}
	}()
	next, err = policies(s.config.Policies)
	if ps, ok := errors.AsType[problems](err); ok {
		return nil, nil, &notTaken{gateway.Reload{Why: "problems", Problems: len(ps), Codes: codesOf(ps)}, count(len(ps), "problem") + ": gateway check shows them"}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := checkRegion(s.config, next); err != nil {
		return nil, nil, &notTaken{gateway.Reload{Why: "region", Problems: 1}, "the smarthost's region is not allowed by organisation.yaml"}
	}
	if err := pass(ctx, next); err != nil {
		return nil, nil, err
	}
	changes, err = gateway.Compare(ctx, old, next)
	return next, changes, err
}

// pass runs the policies' own tests.
func pass(ctx context.Context, snap *policy.Snapshot) error {
	report, err := gateway.RunTests(ctx, snap)
	if err != nil {
		return err
	}
	if n := failures(report); n > 0 {
		return &notTaken{gateway.Reload{Why: "tests", Problems: n}, fmt.Sprintf("%d of %s failed: gateway test names them", n, count(len(report.Results), "test"))}
	}
	return nil
}

// shorten keeps an audit row small.
func shorten(s string) string {
	const most = 4000
	if len(s) <= most {
		return s
	}
	return s[:strings.LastIndexByte(s[:most], '\n')+1] + "and more"
}
