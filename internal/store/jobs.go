package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// jobColumns are the columns of a Job; j is jobs and m is messages.
const jobColumns = `j.id, j.message, m.kind, m.submitter, j.variant, j.sealed, j.codes, j.utf8, j.state,
	j.attempts, j.epoch, j.accepted_at, j.next_at, j.last, m.about, m.dek`

// storedJob is a job as read, before its addresses are opened.
type storedJob struct {
	Job
	sealed, dek []byte
	damaged     bool // a column that is not sealed
}

func scanJob(rows *sql.Rows) (j storedJob, err error) {
	var accepted, next int64
	var codes string
	if err := rows.Scan(&j.ID, &j.Message, &j.Kind, &j.Submitter, &j.Variant, &j.sealed, &codes, &j.UTF8, &j.State,
		&j.Attempts, &j.Epoch, &accepted, &next, &j.Last, &j.About, &j.dek); err != nil {
		return j, err
	}
	j.AcceptedAt, j.NextAt = when(accepted), when(next)
	j.damaged = json.Unmarshal([]byte(codes), &j.Codes) != nil
	return j, nil
}

// open fills in the addresses. A shredded job has none.
func (s *Store) open(j *storedJob) (Job, error) {
	if j.damaged {
		return j.Job, errDamaged
	}
	if j.dek == nil || j.sealed == nil {
		return j.Job, nil
	}
	var err error
	if j.key, err = s.keys.unwrap(string(j.Message), j.dek); err != nil {
		return j.Job, err
	}
	clear, err := j.key.openJob(j.Message, j.ID, j.Variant, j.sealed)
	if err != nil {
		return j.Job, err
	}
	j.Reverse, j.Recipients = clear.Reverse, clear.Recipients
	return j.Job, nil
}

// Claim marks up to n due jobs as sending and returns them. The attempt, its number and its
// epoch are on disk before Claim returns. A claim that outlived its lease becomes in_doubt,
// which the audit tells, and is claimed again: for mail the choice is to send once more.
func (s *Store) Claim(ctx context.Context, n int, lease time.Duration) ([]Job, error) {
	var found []storedJob
	err := s.do(ctx, func(t *tx) error {
		now := nanos(t.at)
		if err := t.doubt(now, "lease ran out"); err != nil {
			return err
		}
		if err := t.query(`SELECT `+jobColumns+` FROM jobs j JOIN messages m ON m.id = j.message
			WHERE j.state IN ('queued','in_doubt') AND j.next_at <= $1 ORDER BY j.next_at LIMIT $2`, []any{now, n}, func(rows *sql.Rows) error {
			j, err := scanJob(rows)
			found = append(found, j)
			return err
		}); err != nil {
			return err
		}
		until := t.at.Add(lease)
		for i := range found {
			j := &found[i]
			if _, err := t.exec(`UPDATE jobs SET state = 'sending', attempts = attempts + 1, epoch = epoch + 1,
				lease_until = $1, next_at = $1 WHERE id = $2`, nanos(until), j.ID); err != nil {
				return err
			}
			j.State, j.NextAt = Sending, until.UTC()
			j.Attempts++
			j.Epoch++
			if err := t.audit(j.Message, Event{Kind: "attempt", Actor: actorStore,
				Data: map[string]string{"job": itoa(j.ID), "attempt": itoa(j.Attempts), "epoch": itoa(j.Epoch)}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, 0, len(found))
	for i := range found {
		j, openErr := s.open(&found[i])
		if openErr == nil && len(j.Recipients) > 0 {
			s.Keep(j, lease)
			jobs = append(jobs, j)
			continue
		}
		// The others are claimed already: they are returned whatever becomes of this one.
		err = errors.Join(err, s.SetAside(context.WithoutCancel(ctx), j, "damaged"))
	}
	return jobs, err
}

// claims are the jobs that this process has in hand, by a clock that nobody sets. Without it
// a jump of the wall clock would end leases and start a second attempt beside the first (F17).
type claims struct {
	sync.Mutex
	of map[int64]claim
}

type claim struct {
	epoch int64
	until time.Time
}

// Keep begins the lease of a claimed job anew, for as long as this process lives: for a worker
// that has a result and cannot record it, because what was delivered must not be claimed again
// before the result is on disk.
func (s *Store) Keep(j Job, lease time.Duration) {
	s.claims.Lock()
	defer s.claims.Unlock()
	if s.claims.of == nil {
		s.claims.of = make(map[int64]claim)
	}
	s.claims.of[j.ID] = claim{j.Epoch, s.steady().Add(lease)}
}

// letGo forgets a claim that was settled.
func (s *Store) letGo(j Job) {
	s.claims.Lock()
	defer s.claims.Unlock()
	if s.claims.of[j.ID].epoch == j.Epoch {
		delete(s.claims.of, j.ID)
	}
}

// kept returns how much is left of a lease; one that ran out is forgotten.
func (s *Store) kept(id, epoch int64) time.Duration {
	s.claims.Lock()
	defer s.claims.Unlock()
	c, ok := s.claims.of[id]
	if !ok || c.epoch != epoch {
		return 0
	}
	left := c.until.Sub(s.steady())
	if left <= 0 {
		delete(s.claims.of, id)
	}
	return left
}

// SetAside holds a claimed job whose stored bytes cannot be read, so that it is never sent
// and others go on. why is a code for the audit.
func (s *Store) SetAside(ctx context.Context, j Job, why string) error {
	err := s.do(ctx, func(t *tx) error {
		if err := t.settle(j, `state = 'held', lease_until = 0, last = $3`, why); err != nil {
			return err
		}
		return t.audit(j.Message, Event{Kind: "set_aside", Actor: actorStore, Data: map[string]string{"job": itoa(j.ID), "state": string(Held), "why": why}})
	})
	if err == nil {
		s.letGo(j)
	}
	return err
}

// settle updates a claimed job if this claim still holds it: the late result of a dead claim
// must change nothing (I21).
func (t *tx) settle(j Job, set string, args ...any) error {
	r, err := t.exec(`UPDATE jobs SET `+set+` WHERE id = $1 AND epoch = $2 AND state = 'sending'`, append([]any{j.ID, j.Epoch}, args...)...)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n != 1 {
		return fault.New(fault.Conflict, fmt.Sprintf("job %d is no longer held by this claim", j.ID))
	}
	return err
}

// doubt marks jobs as in_doubt: an attempt was recorded and its result is not known. They
// are tried again after a pause that grows with the attempts, so that a job which takes the
// program down cannot be sent over and over. Leases that end by then count as run out.
func (t *tx) doubt(by int64, why string) error {
	type row struct {
		id       int64
		message  mail.ID
		attempts int
		epoch    int64
	}
	var list []row
	if err := t.query(`SELECT id, message, attempts, epoch FROM jobs WHERE state = 'sending' AND lease_until <= $1`, []any{by}, func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.id, &r.message, &r.attempts, &r.epoch)
		list = append(list, r)
		return err
	}); err != nil {
		return err
	}
	for _, r := range list {
		if left := t.s.kept(r.id, r.epoch); left > 0 { // only the wall clock says that it ran out
			if _, err := t.exec(`UPDATE jobs SET lease_until = $1 WHERE id = $2`, nanos(t.at.Add(left)), r.id); err != nil {
				return err
			}
			continue
		}
		next := t.at
		if why == "restart" {
			next = next.Add(doubtDelay(r.attempts))
		}
		if _, err := t.exec(`UPDATE jobs SET state = 'in_doubt', lease_until = 0, next_at = $1 WHERE id = $2`, nanos(next), r.id); err != nil {
			return err
		}
		if err := t.audit(r.message, Event{Kind: "in_doubt", Actor: actorStore,
			Data: map[string]string{"job": itoa(r.id), "state": string(InDoubt), "why": why, "choice": "send again"}}); err != nil {
			return err
		}
		t.wake = true
	}
	return nil
}

// doubtDelay is 5 s after the first attempt, four times as long after each further one, at
// most 4 h.
func doubtDelay(attempts int) time.Duration {
	d := 5 * time.Second
	for range min(attempts-1, 10) {
		d = min(d*4, 4*time.Hour)
	}
	return d
}

// stateOf says where a job goes after an outcome.
func stateOf(o Outcome) (State, bool) {
	switch o {
	case OutDelivered:
		return Delivered, true
	case OutTransient:
		return Queued, true
	case OutPermanent:
		return Failed, true
	case OutUnknown:
		return InDoubt, true
	}
	return "", false
}

// share is the recipients of a job that came to the same state.
type share struct {
	state State
	which []int
}

// shares groups a job's recipients by what becomes of them, the ones to be tried again first.
func shares(results []Result) ([]share, error) {
	order := []State{Queued, InDoubt, Delivered, Failed}
	by := make(map[State][]int)
	for i, r := range results {
		st, ok := stateOf(r.Outcome)
		if !ok {
			return nil, fmt.Errorf("store: outcome %q is unknown", r.Outcome)
		}
		by[st] = append(by[st], i)
	}
	var out []share
	for _, st := range order {
		if len(by[st]) > 0 {
			out = append(out, share{st, by[st]})
		}
	}
	return out, nil
}

// Finish records what an attempt came to, one result a recipient, and with it the
// acceptances in also (a DSN) in the same transaction. Recipients that fared differently
// become jobs of their own, so that each is in exactly one state (I4). next is when to try
// again what was transient or unknown. A claim that is no longer the newest gets Conflict.
func (s *Store) Finish(ctx context.Context, j Job, results []Result, next time.Time, also ...Acceptance) error {
	if len(results) != len(j.Recipients) || len(results) == 0 {
		return fmt.Errorf("store: %d results for %d recipients", len(results), len(j.Recipients))
	}
	parts, err := shares(results)
	if err != nil {
		return err
	}
	key := j.key
	if key == nil {
		if key, err = s.messageKey(ctx, j.Message); err != nil {
			return err
		}
	}
	first, err := key.sealJob(j.Message, j.ID, j.Variant, sealedShare(j, results, parts[0].which))
	if err != nil {
		return err
	}
	told, err := s.prepare(ctx, also...)
	if err != nil {
		return err
	}
	// A result keeps nobody waiting but its worker; with little to do it shares a commit this
	// way instead of making the next message wait for a commit of its own.
	record := s.doLate
	if len(also) > 0 {
		record = s.do
	}
	err = record(ctx, func(t *tx) error {
		for i, p := range parts {
			var err error
			if i == 0 {
				err = t.finishFirst(j, results, p, next, first)
			} else {
				err = t.split(j, key, results, p, next)
			}
			if err != nil {
				return err
			}
		}
		return t.insertAll(told)
	})
	if err != nil {
		s.unstage(told)
		return err
	}
	s.letGo(j)
	return nil
}

func sealedShare(j Job, results []Result, which []int) sealedJob {
	out := sealedJob{Reverse: j.Reverse}
	for _, i := range which {
		r := results[i]
		out.Recipients = append(out.Recipients, j.Recipients[i])
		out.Replies = append(out.Replies, Reply{Outcome: r.Outcome, Status: statusCode(r), Text: r.Reply, Remote: r.Remote})
	}
	return out
}

func statusCode(r Result) string {
	if r.Status.IsZero() {
		return ""
	}
	return r.Status.Enhanced()
}

// codesOf picks the codes of some recipients; where codes do not go one to one with
// recipients, all of them.
func codesOf(j Job, which []int) []string {
	if len(j.Codes) != len(j.Recipients) {
		return j.Codes
	}
	out := make([]string, len(which))
	for i, w := range which {
		out[i] = j.Codes[w]
	}
	return out
}

func timesOf(st State, at, next time.Time) (due, finished int64) {
	if st == Queued || st == InDoubt {
		return nanos(next), 0
	}
	return 0, nanos(at)
}

func (t *tx) finishFirst(j Job, results []Result, p share, next time.Time, sealed []byte) error {
	codes, err := json.Marshal(codesOf(j, p.which))
	if err != nil {
		return err
	}
	due, finished := timesOf(p.state, t.at, next)
	last := statusCode(results[p.which[0]])
	if err := t.settle(j, `state = $3, sealed = $4, recipients = $5, codes = $6, next_at = $7, lease_until = 0, finished_at = $8, last = $9`,
		string(p.state), sealed, len(p.which), string(codes), due, finished, last); err != nil {
		return err
	}
	return t.auditResult(j, j.ID, results, p)
}

func (t *tx) split(j Job, key *dataKey, results []Result, p share, next time.Time) error {
	due, finished := timesOf(p.state, t.at, next)
	id, err := t.insertJob(key, jobRow{
		message: j.Message, variant: j.Variant, codes: codesOf(j, p.which), utf8: j.UTF8, state: p.state,
		attempts: int64(j.Attempts), epoch: j.Epoch, accepted: nanos(j.AcceptedAt), next: due, finished: finished,
		last: statusCode(results[p.which[0]]), clear: sealedShare(j, results, p.which),
	})
	if err != nil {
		return err
	}
	return t.auditResult(j, id, results, p)
}

// auditResult tells what an attempt came to. A job that was split off names its origin.
func (t *tx) auditResult(j Job, id int64, results []Result, p share) error {
	r := results[p.which[0]]
	data := map[string]string{"job": itoa(id), "state": string(p.state), "recipients": itoa(len(p.which)), "outcome": string(r.Outcome)}
	if code := statusCode(r); code != "" {
		data["status"] = code
	}
	if id != j.ID {
		data["from"] = itoa(j.ID)
	}
	if p.state == InDoubt {
		data["choice"] = "send again"
	}
	if p.state == Queued || p.state == InDoubt {
		t.wake = true // so that a sleeping queue learns of the new time
	}
	return t.audit(j.Message, Event{Kind: "result", Actor: actorStore, Data: data})
}

// NextDue returns when the next job becomes due, or the next lease runs out.
func (s *Store) NextDue(ctx context.Context) (time.Time, bool, error) {
	var due, leased sql.NullInt64
	if err := s.queryRow(ctx, `SELECT (SELECT min(next_at) FROM jobs WHERE state IN ('queued','in_doubt')),
		(SELECT min(lease_until) FROM jobs WHERE state = 'sending')`, nil, &due, &leased); err != nil {
		return time.Time{}, false, err
	}
	switch {
	case due.Valid && (!leased.Valid || due.Int64 <= leased.Int64):
		return when(due.Int64), true, nil
	case leased.Valid:
		return when(leased.Int64), true, nil
	}
	return time.Time{}, false, nil
}

// Waiting says what is not finished.
type Waiting struct {
	Queued, Sending, InDoubt, Held int
	// Oldest is when the oldest job that should leave was accepted; zero: there is none.
	Oldest time.Time
}

// Waiting counts the jobs that are not finished.
func (s *Store) Waiting(ctx context.Context) (w Waiting, err error) {
	// Each WHERE is that of an index, so that what was delivered costs nothing.
	err = s.each(ctx, `SELECT state, count(*), min(accepted_at) FROM jobs WHERE state IN ('queued','in_doubt') GROUP BY state
		UNION ALL SELECT 'sending', count(*), min(accepted_at) FROM jobs WHERE state = 'sending'
		UNION ALL SELECT 'held', count(*), NULL FROM jobs WHERE state = 'held'`, nil, func(rows *sql.Rows) error {
		var (
			st       State
			n        int
			accepted sql.NullInt64
		)
		if err := rows.Scan(&st, &n, &accepted); err != nil {
			return err
		}
		switch st {
		case Queued:
			w.Queued = n
		case InDoubt:
			w.InDoubt = n
		case Sending:
			w.Sending = n
		case Held:
			w.Held = n
		}
		if at := when(accepted.Int64); accepted.Valid && (w.Oldest.IsZero() || at.Before(w.Oldest)) {
			w.Oldest = at
		}
		return nil
	})
	return w, err
}

// JobFilter says which jobs to list.
type JobFilter struct {
	Message mail.ID // empty: of all messages
	States  []State // empty: all
	Limit   int     // 0: no limit
}

// Jobs lists jobs, oldest first.
func (s *Store) Jobs(ctx context.Context, f JobFilter) ([]Job, error) {
	states := f.States
	if len(states) == 0 {
		states = []State{Queued, Held, Sending, InDoubt, Delivered, Failed, Cancelled}
	}
	list, err := json.Marshal(states)
	if err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = -1
	}
	query, args := `SELECT `+jobColumns+` FROM jobs j JOIN messages m ON m.id = j.message
		WHERE j.state IN (SELECT value FROM json_each($1))`, []any{string(list)}
	if f.Message != "" {
		query += ` AND j.message = $3`
	}
	query += ` ORDER BY j.id LIMIT $2`
	args = append(args, f.Limit)
	if f.Message != "" {
		args = append(args, string(f.Message))
	}
	var out []Job
	err = s.each(ctx, query, args, func(rows *sql.Rows) error {
		sj, err := scanJob(rows)
		if err != nil {
			return unavailable(err)
		}
		j, err := s.open(&sj)
		if errors.Is(err, errDamaged) {
			j.Last = "damaged"
		} else if err != nil {
			return err
		}
		out = append(out, j)
		return nil
	})
	return out, err
}

// Replies returns what the smarthost said to the last attempt of a job, one for each
// recipient. It is for people who may see addresses.
func (s *Store) Replies(ctx context.Context, j Job) ([]Reply, error) {
	key, err := s.messageKey(ctx, j.Message)
	if err != nil {
		return nil, err
	}
	var sealed []byte
	if err := s.queryRow(ctx, `SELECT sealed FROM jobs WHERE id = $1`, []any{j.ID}, &sealed); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, notFound("job")
		}
		return nil, err
	}
	clear, err := key.openJob(j.Message, j.ID, j.Variant, sealed)
	return clear.Replies, unavailable(err)
}

const messageColumns = `id, kind, submitter, received_at, policy, digest, size, outcome, about`

func scanMessage(scan func(...any) error, extra ...any) (m Message, err error) {
	var at int64
	var digest []byte
	if err := scan(append([]any{&m.ID, &m.Kind, &m.Submitter, &at, &m.Policy, &digest, &m.Size, &m.Outcome, &m.About}, extra...)...); err != nil {
		return m, err
	}
	m.ReceivedAt = when(at)
	copy(m.Digest[:], digest)
	return m, nil
}

// Damaged reports whether err is about stored bytes that are not the ones that were written.
func Damaged(err error) bool { return errors.Is(err, errDamaged) }

// Get returns a message, what was sealed with it (envelope and plan; nil once shredded) and
// its jobs. When what was sealed is [Damaged], the rest is returned with the error.
func (s *Store) Get(ctx context.Context, id mail.ID) (Message, []byte, []Job, error) {
	var dek, sealed []byte
	m, err := scanMessage(func(dest ...any) error {
		return s.queryRow(ctx, `SELECT `+messageColumns+`, dek, sealed FROM messages WHERE id = $1`, []any{string(id)}, dest...)
	}, &dek, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return m, nil, nil, notFound("message")
	}
	if err != nil {
		return m, nil, nil, err
	}
	var clear []byte
	var damage error
	if dek != nil && sealed != nil {
		key, err := s.keys.unwrap(string(id), dek)
		if err == nil {
			clear, err = key.open(id, "envelope", 0, sealed)
		}
		damage = unavailable(err)
	}
	jobs, err := s.Jobs(ctx, JobFilter{Message: id})
	if err == nil {
		err = damage
	}
	return m, clear, jobs, err
}

// About returns the ids of the notices and DSNs about a message, oldest first.
func (s *Store) About(ctx context.Context, id mail.ID) (ids []mail.ID, err error) {
	err = s.each(ctx, `SELECT id FROM messages WHERE about = $1 ORDER BY id`, []any{string(id)}, func(rows *sql.Rows) error {
		var n mail.ID
		err := rows.Scan(&n)
		ids = append(ids, n)
		return unavailable(err)
	})
	return ids, err
}

// messageKey opens a message's key.
func (s *Store) messageKey(ctx context.Context, id mail.ID) (*dataKey, error) {
	var dek []byte
	err := s.queryRow(ctx, `SELECT dek FROM messages WHERE id = $1`, []any{string(id)}, &dek)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && dek == nil) {
		return nil, notFound("message: it was erased, or never here")
	}
	if err != nil {
		return nil, err
	}
	key, err := s.keys.unwrap(string(id), dek)
	return key, unavailable(err)
}

// HeldItem is a message of which something waits for a person.
type HeldItem struct {
	Message Message `json:"message"`
	Jobs    []Job   `json:"jobs"` // the held ones
}

// Held lists what waits for a person, oldest first.
func (s *Store) Held(ctx context.Context) ([]HeldItem, error) {
	jobs, err := s.Jobs(ctx, JobFilter{States: []State{Held}})
	if err != nil {
		return nil, err
	}
	by := make(map[mail.ID][]Job)
	for _, j := range jobs {
		by[j.Message] = append(by[j.Message], j)
	}
	var out []HeldItem
	err = s.each(ctx, `SELECT `+messageColumns+` FROM messages WHERE id IN (SELECT message FROM jobs WHERE state = 'held') ORDER BY received_at, id`,
		nil, func(rows *sql.Rows) error {
			m, err := scanMessage(rows.Scan)
			if err != nil {
				return unavailable(err)
			}
			if len(by[m.ID]) > 0 {
				out = append(out, HeldItem{m, by[m.ID]})
			}
			return nil
		})
	return out, err
}

// Decide carries out one person's decision about a held message: its held jobs are replaced
// by others, or cancelled. A second decision gets Conflict. A release must account for
// recipients that are held; those that it leaves out stay held.
func (s *Store) Decide(ctx context.Context, d Decision) error {
	if !d.Release && (len(d.Jobs) > 0 || len(d.Contents) > 0) {
		return errors.New("store: a refusal sends nothing")
	}
	if d.Again && (d.Release || d.Sealed == nil) {
		return errors.New("store: what is held again is not released, and has a new account")
	}
	key, err := s.messageKey(ctx, d.Message)
	if err != nil && (d.Release || d.Again || !Damaged(err)) {
		return err // what nobody can read any more can still be refused
	}
	held, err := s.Jobs(ctx, JobFilter{Message: d.Message, States: []State{Held}})
	if err != nil {
		return err
	}
	gone := fault.New(fault.Conflict, "this message is no longer held")
	if len(held) == 0 {
		return gone
	}
	c := &change{d: d, key: key, held: held, gone: gone}
	if err := c.account(); err != nil {
		return err
	}
	if c.contents, err = s.sealContents(ctx, d.Message, key, d.Contents); err != nil {
		return err
	}
	if c.threads, err = s.threadRows(d.Jobs); err == nil {
		c.also, err = s.prepare(ctx, d.Also...)
	}
	if err == nil {
		err = s.do(ctx, c.run)
	}
	if err != nil {
		s.unstage(append(c.also, &prepared{contents: c.contents}))
	}
	return err
}

// change is a decision that is ready to be written.
type change struct {
	d        Decision
	key      *dataKey
	held     []Job
	rest     [][]int // of each held job: the recipients that stay held
	contents []sealedContent
	threads  []threadRow
	also     []*prepared
	gone     error
}

// account checks that every recipient of the new jobs is held now, and finds those left out.
func (c *change) account() error {
	if !c.d.Release {
		return nil
	}
	for _, j := range c.d.Jobs {
		if len(j.Recipients) == 0 || (j.State != Queued && j.State != Held) {
			return errors.New("store: a released job needs recipients and a first state")
		}
	}
	left := make(map[string]int)
	for _, j := range c.d.Jobs {
		for _, a := range j.Recipients {
			left[a.String()]++
		}
	}
	c.rest = make([][]int, len(c.held))
	for n, j := range c.held {
		for i, a := range j.Recipients {
			if left[a.String()] > 0 {
				left[a.String()]--
			} else {
				c.rest[n] = append(c.rest[n], i)
			}
		}
	}
	for _, n := range left {
		if n > 0 {
			return errors.New("store: a release may only send to recipients that are held")
		}
	}
	return nil
}

func (c *change) run(t *tx) error {
	kind, told := "refused", make([]string, len(c.held))
	switch {
	case c.d.Release:
		kind = "released"
	case c.d.Again:
		kind = "held_again"
	}
	for n, j := range c.held {
		told[n] = itoa(j.ID)
		var r sql.Result
		var err error
		switch {
		case c.d.Release:
			r, err = c.replace(t, n, j)
		case c.d.Again:
			r, err = t.exec(`UPDATE jobs SET state = 'held' WHERE id = $1 AND state = 'held' AND recipients = $2`, j.ID, len(j.Recipients))
		default:
			r, err = t.exec(`UPDATE jobs SET state = 'cancelled', finished_at = $1, next_at = 0 WHERE id = $2 AND state = 'held'`, nanos(t.at), j.ID)
		}
		if err != nil {
			return err
		}
		if changed, err := r.RowsAffected(); err != nil || changed != 1 {
			return errors.Join(c.gone, err)
		}
	}
	if err := c.writeReason(t); err != nil {
		return err
	}
	if err := t.audit(c.d.Message, Event{Kind: kind, Actor: c.d.By, Data: map[string]string{"jobs": strings.Join(told, " ")}}); err != nil {
		return err
	}
	for _, e := range c.d.Events {
		if err := t.audit(c.d.Message, e); err != nil {
			return err
		}
	}
	if err := c.replaceContents(t); err != nil {
		return err
	}
	if err := c.keepRest(t); err != nil {
		return err
	}
	if err := t.insertThreads(c.threads); err != nil {
		return err
	}
	if err := t.insertJobs(c.d.Message, c.key, c.d.Jobs); err != nil {
		return err
	}
	return t.insertAll(c.also)
}

func (c *change) replace(t *tx, n int, j Job) (sql.Result, error) {
	return t.exec(`DELETE FROM jobs WHERE id = $1 AND state = 'held' AND recipients = $2`, j.ID, len(j.Recipients))
}

// keepRest holds again what a release left out, as jobs of their own.
func (c *change) keepRest(t *tx) error {
	var jobs []NewJob
	for n, which := range c.rest {
		if len(which) == 0 {
			continue
		}
		j := c.held[n]
		nj := NewJob{Variant: j.Variant, Reverse: j.Reverse, Codes: codesOf(j, which), State: Held, UTF8: j.UTF8}
		for _, i := range which {
			nj.Recipients = append(nj.Recipients, j.Recipients[i])
		}
		jobs = append(jobs, nj)
	}
	return t.insertJobs(c.d.Message, c.key, jobs)
}

func (c *change) writeReason(t *tx) error {
	if c.d.Again {
		return c.writeAccount(t) // nothing was decided
	}
	var n int64
	if err := t.queryRow(`INSERT INTO decisions (message, at, actor, released) VALUES ($1,$2,$3,$4) RETURNING id`,
		[]any{string(c.d.Message), nanos(t.at), c.d.By, c.d.Release}, &n); err != nil {
		return err
	}
	if c.key == nil { // damaged: there is nothing to seal the reason under
		return nil
	}
	if _, err := t.exec(`UPDATE decisions SET sealed = $1 WHERE id = $2`, c.key.seal(c.d.Message, "reason", n, []byte(c.d.Reason)), n); err != nil {
		return err
	}
	return c.writeAccount(t)
}

func (c *change) writeAccount(t *tx) error {
	if c.d.Sealed == nil {
		return nil
	}
	_, err := t.exec(`UPDATE messages SET sealed = $1 WHERE id = $2`, c.key.seal(c.d.Message, "envelope", 0, c.d.Sealed), string(c.d.Message))
	return err
}

// replaceContents puts the new versions in; one that another job still needs is never replaced.
func (c *change) replaceContents(t *tx) error {
	for _, v := range c.contents {
		var used int
		if err := t.queryRow(`SELECT count(*) FROM jobs WHERE message = $1 AND variant = $2 AND state <> 'held'`,
			[]any{string(c.d.Message), v.variant}, &used); err != nil {
			return err
		}
		if used > 0 {
			return fmt.Errorf("store: variant %d is already on its way", v.variant)
		}
		old, err := t.ids(`SELECT id FROM contents WHERE message = $1 AND variant = $2`, string(c.d.Message), v.variant)
		if err != nil {
			return err
		}
		for _, row := range old {
			if err := t.dropContent(row, ""); err != nil {
				return err
			}
		}
	}
	if err := t.insertContents(c.d.Message, c.contents); err != nil {
		return err
	}
	return c.needContents(t)
}

// needContents refuses a job to be sent whose content is not there.
func (c *change) needContents(t *tx) error {
	for _, j := range c.d.Jobs {
		if j.State != Queued || slices.ContainsFunc(c.contents, func(v sealedContent) bool { return v.variant == j.Variant }) {
			continue
		}
		var n int
		if err := t.queryRow(`SELECT count(*) FROM contents WHERE message = $1 AND variant = $2`, []any{string(c.d.Message), j.Variant}, &n); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("store: variant %d is not there", j.Variant)
		}
	}
	return nil
}

// Decided is a decision that was made about a held message.
type Decided struct {
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Released bool      `json:"released"`
	Reason   string    `json:"reason,omitempty"`
}

// Decisions lists the decisions about a message, oldest first.
func (s *Store) Decisions(ctx context.Context, id mail.ID) ([]Decided, error) {
	key, err := s.messageKey(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []Decided
	err = s.each(ctx, `SELECT id, at, actor, released, sealed FROM decisions WHERE message = $1 ORDER BY id`, []any{string(id)}, func(rows *sql.Rows) error {
		var d Decided
		var n, at int64
		var sealed []byte
		if err := rows.Scan(&n, &at, &d.By, &d.Released, &sealed); err != nil {
			return unavailable(err)
		}
		reason, err := key.open(id, "reason", n, sealed)
		d.At, d.Reason = when(at), string(reason)
		out = append(out, d)
		return unavailable(err)
	})
	return out, err
}
