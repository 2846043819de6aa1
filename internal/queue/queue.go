// Package queue delivers what the store holds: claim, attempt recorded, deliver, result
// recorded, back off, give up with a DSN.
//
// It owns when and how often something is tried. It knows no protocol, reads no message and
// never decides whether something may be sent: what is queued was decided before, and what
// is held it never sees.
package queue

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/store"
)

// Deliverer makes one attempt and says what became of each recipient, in the order of
// Job.Recipients. It returns soon after ctx is done.
type Deliverer interface {
	Deliver(ctx context.Context, j store.Job, body io.Reader) []store.Result
}

// Config says how to run a queue.
type Config struct {
	Store     *store.Store
	Deliverer Deliverer
	// Report makes the DSN for the recipients of r that failed; false: there is none to
	// make. It is not called for a DSN.
	Report func(ctx context.Context, j store.Job, r []store.Result) (store.Acceptance, bool, error)
	// Now is the clock that due times are measured by; nil: time.Now.
	Now         func() time.Time
	Workers     int                              // 0: 16
	Log         *slog.Logger                     // nil: none
	GiveUpAfter time.Duration                    // since acceptance; 0: 5 days (RFC 5321 §4.5.4.1)
	Grace       time.Duration                    // how long a delivery may go on once Run is to end; 0: 8 s
	Backoff     func(attempts int) time.Duration // nil: Backoff
}

const (
	// lease is longer than any attempt may take, so that no claim dies of slowness.
	lease = 30 * time.Minute
	// attemptTime bounds one attempt: the time-outs of RFC 5321 §4.5.3.2 one after another
	// for a few recipients, and room to record the result within the lease.
	attemptTime = 25 * time.Minute
	// poll is how often the store is asked without a wake-up: another process (a release at
	// the command line) cannot wake this one.
	poll = 2 * time.Second
	// retryStore is the pause after the store failed.
	retryStore = time.Second

	firstBackoff = 4 * time.Minute
	maxBackoff   = 4 * time.Hour
)

// Queue delivers jobs with a fixed number of workers.
type Queue struct {
	Config
	jobs chan store.Job
	idle chan struct{} // one value for each worker that has nothing to do

	tally struct {
		sync.Mutex
		Tally
	}
}

// Tally counts what attempts came to, by recipient, since the program started.
type Tally map[store.Outcome]uint64

// Tally returns what has been counted so far.
func (q *Queue) Tally() Tally {
	q.tally.Lock()
	defer q.tally.Unlock()
	return maps.Clone(q.tally.Tally)
}

func (q *Queue) count(results []store.Result) {
	q.tally.Lock()
	defer q.tally.Unlock()
	for _, r := range results {
		q.tally.Tally[r.Outcome]++
	}
}

// New returns a queue that is not running yet.
func New(c Config) *Queue {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Workers <= 0 {
		c.Workers = 16
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.GiveUpAfter <= 0 {
		c.GiveUpAfter = 5 * 24 * time.Hour
	}
	if c.Grace <= 0 {
		c.Grace = 8 * time.Second
	}
	if c.Backoff == nil {
		c.Backoff = Backoff
	}
	q := &Queue{Config: c, jobs: make(chan store.Job, c.Workers), idle: make(chan struct{}, c.Workers)}
	q.tally.Tally = Tally{}
	return q
}

// Backoff returns a random pause after that many attempts: between one minute and a ceiling
// that starts at 4 minutes and doubles with each attempt, up to 4 hours. The whole range is
// used, so that what failed together is not tried again together.
func Backoff(attempts int) time.Duration {
	ceiling := firstBackoff
	for range min(attempts-1, 16) {
		ceiling = min(ceiling*2, maxBackoff)
	}
	return time.Minute + rand.N(ceiling-time.Minute)
}

// Run delivers until ctx is done. Then nothing more is claimed; what was claimed may finish
// within the grace time, after which its delivery is cancelled, and every result is recorded
// before Run returns.
func (q *Queue) Run(ctx context.Context) error {
	// Deliveries outlive ctx by the grace time.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var workers sync.WaitGroup
	for range q.Workers {
		q.idle <- struct{}{}
		workers.Go(func() {
			for j := range q.jobs {
				q.attempt(work, j)
				q.idle <- struct{}{}
			}
		})
	}
	q.dispatch(ctx)
	close(q.jobs)
	grace := time.AfterFunc(q.Grace, cancel)
	defer grace.Stop()
	workers.Wait()
	return nil
}

// dispatch claims as many jobs as workers are idle, whenever there may be some.
func (q *Queue) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-q.idle:
		case <-ctx.Done():
			return
		}
		free := 1
		for more := true; more && free < q.Workers; {
			select {
			case <-q.idle:
				free++
			default:
				more = false
			}
		}
		jobs, err := q.Store.Claim(ctx, free, lease)
		for _, j := range jobs {
			q.jobs <- j // never waits: there is room for every idle worker
		}
		for range free - len(jobs) {
			q.idle <- struct{}{}
		}
		switch {
		case err != nil && ctx.Err() == nil:
			q.Log.Error("cannot claim jobs", "error", err)
			q.wait(ctx, retryStore)
		case len(jobs) < free:
			q.wait(ctx, q.untilDue(ctx))
		}
	}
}

// untilDue is how long to sleep when nothing wakes the queue.
func (q *Queue) untilDue(ctx context.Context) time.Duration {
	due, ok, err := q.Store.NextDue(ctx)
	if err != nil || !ok {
		return poll
	}
	return max(min(due.Sub(q.Now()), poll), 10*time.Millisecond)
}

func (q *Queue) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-q.Store.Ready():
	case <-t.C:
	}
}

// attempt makes one delivery and records what came of it.
func (q *Queue) attempt(ctx context.Context, j store.Job) {
	log := q.Log.With("id", string(j.Message), "job", j.ID, "attempt", j.Attempts)
	results, damaged := q.deliver(ctx, j, log)
	if damaged {
		// Trying again cannot mend it, and it must never be sent: a person has to look.
		log.Error("stored content is damaged: the job is set aside")
		if err := q.Store.SetAside(context.WithoutCancel(ctx), j, "damaged"); err != nil {
			log.Error("cannot set aside", "error", err)
		}
		return
	}
	q.record(ctx, j, results, log)
}

// deliver hands the content to the deliverer. Whatever goes wrong becomes a result for every
// recipient; damaged is true when the stored bytes cannot be read and nothing was sent.
func (q *Queue) deliver(ctx context.Context, j store.Job, log *slog.Logger) (results []store.Result, damaged bool) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	content, err := q.Store.Content(ctx, j.Message, j.Variant)
	if err != nil {
		log.Error("cannot open the content", "error", err)
		return all(j, store.OutTransient), fault.KindOf(err) == fault.NotFound
	}
	defer content.Close()
	started := time.Now()
	body := &counted{r: bufio.NewReaderSize(io.NewSectionReader(content, 0, content.Size()), int(min(content.Size(), 32<<10)))}
	results = q.call(ctx, j, body, content.Size(), log)
	if content.Damaged() && !has(results, store.OutDelivered) && !has(results, store.OutUnknown) {
		return nil, true
	}
	for i, r := range results {
		log.Info("attempt", "recipient", i, "outcome", string(r.Outcome), "status", r.Status.Enhanced(), "took", time.Since(started).Round(time.Millisecond))
	}
	return results, false
}

func has(results []store.Result, o store.Outcome) bool {
	return slices.ContainsFunc(results, func(r store.Result) bool { return r.Outcome == o })
}

// counted counts what the deliverer has read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// call is the job boundary: a panic in a delivery costs that attempt only. Until the whole
// body was read nothing can have been delivered; after that it is in doubt (I5).
func (q *Queue) call(ctx context.Context, j store.Job, body *counted, size int64, log *slog.Logger) (results []store.Result) {
	defer func() {
		if p := recover(); p != nil {
			// The value of a panic could quote content; its type and the stack cannot.
			log.Error("a delivery panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			results = all(j, store.OutTransient)
			if body.n >= size {
				results = all(j, store.OutUnknown)
			}
		}
	}()
	results = q.Deliverer.Deliver(ctx, j, body)
	if len(results) != len(j.Recipients) {
		log.Error("the deliverer lost count", "recipients", len(j.Recipients), "results", len(results))
		// What was sent is not known.
		return all(j, store.OutUnknown)
	}
	return results
}

// all gives every recipient the same outcome, for trouble of our own.
func all(j store.Job, o store.Outcome) []store.Result {
	out := make([]store.Result, len(j.Recipients))
	for i := range out {
		out[i] = store.Result{Outcome: o, Status: fault.Status{Code: 451, Subject: 3}}
	}
	return out
}

// record stores the results, with a DSN in the same transaction when somebody will not get
// the message. It goes on trying while the store fails, because what was delivered and is
// not recorded is sent again.
func (q *Queue) record(ctx context.Context, j store.Job, results []store.Result, log *slog.Logger) {
	if q.Now().Sub(j.AcceptedAt) >= q.GiveUpAfter {
		results = giveUp(results)
	}
	next := q.Now().Add(q.Backoff(j.Attempts))
	for pause := retryStore; ; pause = min(2*pause, time.Minute) {
		err := q.finish(ctx, j, results, next, log)
		if err == nil {
			q.count(results)
			return
		}
		log.Error("cannot record the result", "error", err)
		if fault.KindOf(err) == fault.Conflict {
			return // a newer claim has the job; it is in doubt and the audit says so
		}
		q.Store.Keep(j, lease)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return // the next start finds it sending, and makes it in_doubt
		}
	}
}

// finish records the results in one transaction with the DSN.
func (q *Queue) finish(ctx context.Context, j store.Job, results []store.Result, next time.Time, log *slog.Logger) error {
	ctx = context.WithoutCancel(ctx) // recording matters most when time has run out
	var also []store.Acceptance
	if has(results, store.OutPermanent) && j.Kind != store.KindDSN && q.Report != nil {
		a, ok, err := q.report(ctx, j, results)
		switch {
		case err != nil:
			// Nobody fails without being told: the job stays until the report can be made.
			log.Error("cannot make the report: the job is put off", "error", err)
			results = putOff(results)
		case ok:
			also = append(also, a)
		}
	}
	return q.Store.Finish(ctx, j, results, next, also...)
}

func (q *Queue) report(ctx context.Context, j store.Job, results []store.Result) (a store.Acceptance, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the report panicked with a %T", p)
		}
	}()
	return q.Report(ctx, j, results)
}

func putOff(results []store.Result) []store.Result {
	out := slices.Clone(results)
	for i := range out {
		if out[i].Outcome == store.OutPermanent {
			out[i].Outcome = store.OutTransient
		}
	}
	return out
}

// giveUp ends what was tried for long enough (RFC 5321 §4.5.4.1). 5.4.7 is "delivery time
// expired" (RFC 3463 §3.5).
func giveUp(results []store.Result) []store.Result {
	out := slices.Clone(results)
	for i := range out {
		if out[i].Outcome == store.OutTransient || out[i].Outcome == store.OutUnknown {
			out[i].Outcome, out[i].Status = store.OutPermanent, fault.Status{Code: 554, Subject: 4, Detail: 7}
		}
	}
	return out
}
