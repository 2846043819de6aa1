package queue

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// script is a deliverer that does what a test says, and remembers.
type script struct {
	mu    sync.Mutex
	calls []call
	do    func(ctx context.Context, j store.Job, body []byte) []store.Result
}

type call struct {
	at   time.Time
	job  store.Job
	body string
}

func (s *script) Deliver(ctx context.Context, j store.Job, body io.Reader) []store.Result {
	b, err := io.ReadAll(body)
	s.mu.Lock()
	s.calls = append(s.calls, call{time.Now(), j, string(b)})
	s.mu.Unlock()
	if err != nil {
		return outcome(j, store.OutTransient)
	}
	return s.do(ctx, j, b)
}

func (s *script) made() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func outcome(j store.Job, outs ...store.Outcome) []store.Result {
	res := make([]store.Result, len(j.Recipients))
	for i := range res {
		res[i] = store.Result{Outcome: outs[i%len(outs)], Status: fault.Status{Code: 250}}
		if res[i].Outcome != store.OutDelivered {
			res[i].Status = fault.Status{Code: 451, Subject: 3}
		}
	}
	return res
}

// rig is a store and a queue inside a synctest bubble, where time passes by itself.
type rig struct {
	*testing.T
	store *store.Store
	dir   string
	stop  func()
}

func bubble(t *testing.T, c Config, script *script, test func(r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		key := sha256.Sum256([]byte("test"))
		s, err := store.Open(t.Context(), store.Options{Dir: dir, MasterKey: key[:], Serve: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.Store, c.Deliverer = s, script
		q := New(c)
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx) }()
		test(&rig{T: t, store: s, dir: dir, stop: sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})})
		cancel()
		synctest.Wait()
	})
}

func (r *rig) message(kind store.Kind, to ...string) store.Acceptance {
	id, err := mail.NewID(time.Now(), rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	body := "body of " + string(id)
	j := store.NewJob{Variant: 1, State: store.Queued}
	for _, a := range to {
		p, err := mail.ParseAddress(a)
		if err != nil {
			r.Fatal(err)
		}
		j.Recipients = append(j.Recipients, p)
	}
	return store.Acceptance{
		Message:  store.Message{ID: id, Kind: kind, Submitter: "maya", ReceivedAt: time.Now(), Outcome: "send"},
		Contents: []store.Content{{Variant: 1, Size: int64(len(body)), Body: strings.NewReader(body)}},
		Jobs:     []store.NewJob{j},
	}
}

func (r *rig) accept(to ...string) mail.ID {
	a := r.message(store.KindMail, to...)
	if err := r.store.Accept(r.Context(), a); err != nil {
		r.Fatal(err)
	}
	return a.Message.ID
}

// until lets time pass until a message's jobs stand like this.
func (r *rig) until(id mail.ID, want string) {
	r.Helper()
	var got string
	for range 100_000 {
		jobs, err := r.store.Jobs(r.Context(), store.JobFilter{Message: id})
		if err != nil {
			r.Fatal(err)
		}
		var all []string
		for _, j := range jobs {
			all = append(all, fmt.Sprintf("%s:%d", j.State, len(j.Recipients)))
		}
		if got = strings.Join(all, " "); got == want {
			return
		}
		<-time.After(5 * time.Second) // of the bubble's time
	}
	r.Fatalf("jobs of %s: %s, want %s", id, got, want)
}

func TestDelivers(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, _ []byte) []store.Result { return outcome(j, store.OutDelivered) }}
	bubble(t, Config{Workers: 3}, s, func(r *rig) {
		var ids []mail.ID
		for i := range 20 {
			ids = append(ids, r.accept(fmt.Sprintf("c%d@example.org", i)))
		}
		for _, id := range ids {
			r.until(id, "delivered:1")
		}
		r.stop()
		calls := s.made()
		if len(calls) != len(ids) {
			r.Fatalf("%d deliveries for %d messages", len(calls), len(ids))
		}
		for _, c := range calls {
			if c.body != "body of "+string(c.job.Message) || c.job.Attempts != 1 {
				r.Errorf("delivered %+v", c)
			}
		}
	})
}

func TestBacksOffAndGoesOn(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.do = func(_ context.Context, j store.Job, _ []byte) []store.Result {
		switch j.Attempts {
		case 1:
			return outcome(j, store.OutTransient)
		case 2:
			return outcome(j, store.OutUnknown)
		}
		return outcome(j, store.OutDelivered)
	}
	bubble(t, Config{}, s, func(r *rig) {
		id := r.accept("anna@example.org")
		r.until(id, "queued:1")
		r.until(id, "in_doubt:1") // its reply was lost: visible, and tried again
		r.until(id, "delivered:1")
		calls := s.made()
		if len(calls) != 3 {
			r.Fatalf("%d attempts, want 3", len(calls))
		}
		for i, ceiling := range []time.Duration{4 * time.Minute, 8 * time.Minute} {
			pause := calls[i+1].at.Sub(calls[i].at)
			if pause < time.Minute || pause > ceiling+poll {
				r.Errorf("pause %d = %v, want between 1m and %v", i+1, pause, ceiling)
			}
		}
	})
}

func TestGivesUpAndTellsOnce(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, _ []byte) []store.Result { return outcome(j, store.OutTransient) }}
	var mu sync.Mutex
	var told []store.Result
	var about []store.Kind
	c := Config{GiveUpAfter: time.Hour}
	var r *rig
	c.Report = func(_ context.Context, j store.Job, res []store.Result) (store.Acceptance, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(about) == 0 && told == nil {
			told = []store.Result{}
			return store.Acceptance{}, false, errors.New("no template") // put off, not failed untold
		}
		told, about = append(told, res...), append(about, j.Kind)
		dsn := r.message(store.KindDSN, "maya@wh.example")
		dsn.Message.About = j.Message
		return dsn, true, nil
	}
	bubble(t, c, s, func(rg *rig) {
		r = rg
		id := r.accept("anna@example.org")
		r.until(id, "failed:1")
		dsns, err := r.store.About(r.Context(), id)
		if err != nil || len(dsns) != 1 {
			r.Fatalf("DSNs: %v, %v; want one, in the same transaction", dsns, err)
		}
		r.until(dsns[0], "failed:1") // a DSN that fails is told to nobody
		mu.Lock()
		defer mu.Unlock()
		if len(about) != 1 || about[0] != store.KindMail || told[0].Status.Enhanced() != "5.4.7" {
			r.Fatalf("reports about %v: %+v", about, told)
		}
	})
}

func TestPanicCostsOneAttempt(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, body []byte) []store.Result {
		if j.Attempts == 1 && j.Recipients[0].LocalPart == "boom" {
			panic("canary " + string(body))
		}
		return outcome(j, store.OutDelivered)
	}}
	bubble(t, Config{Workers: 1}, s, func(r *rig) {
		bad, good := r.accept("boom@example.org"), r.accept("anna@example.org")
		r.until(good, "delivered:1")
		r.until(bad, "in_doubt:1") // the whole body had been read
		r.until(bad, "delivered:1")
	})
}

func TestLostCountIsInDoubt(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, _ []byte) []store.Result {
		if j.Attempts == 1 {
			return nil
		}
		return outcome(j, store.OutDelivered, store.OutPermanent)
	}}
	bubble(t, Config{}, s, func(r *rig) {
		id := r.accept("anna@example.org", "bo@example.org")
		r.until(id, "in_doubt:2")
		r.until(id, "delivered:1 failed:1")
	})
}

// What was delivered while the store cannot record it is not sent again, however long that
// takes: the claim stays, and the result goes in before anybody else can have the job.
func TestLongOutageSendsNothingTwice(t *testing.T) {
	t.Parallel()
	s := &script{}
	bubble(t, Config{Workers: 2}, s, func(r *rig) {
		broken := func(statement string) {
			db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "plaincover.db")+"?_pragma=busy_timeout(10000)")
			if err != nil {
				r.Error(err)
				return
			}
			defer db.Close()
			if _, err := db.ExecContext(r.Context(), statement); err != nil {
				r.Error(err)
			}
		}
		s.do = func(_ context.Context, j store.Job, _ []byte) []store.Result {
			broken(`CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT json('{'); END`)
			return outcome(j, store.OutDelivered)
		}
		id := r.accept("anna@example.org")
		r.until(id, "sending:1")
		<-time.After(3 * lease)
		broken(`DROP TRIGGER full`)
		r.until(id, "delivered:1")
		if n := len(s.made()); n != 1 {
			r.Fatalf("sent %d times", n)
		}
	})
}

func TestDrainsOnStop(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 2)
	s := &script{}
	s.do = func(ctx context.Context, j store.Job, _ []byte) []store.Result {
		started <- struct{}{}
		if j.Recipients[0].LocalPart == "quick" {
			select {
			case <-time.After(3 * time.Second):
				return outcome(j, store.OutDelivered)
			case <-ctx.Done():
				return outcome(j, store.OutTransient)
			}
		}
		<-ctx.Done()
		return outcome(j, store.OutUnknown)
	}
	bubble(t, Config{Workers: 2, Grace: 8 * time.Second}, s, func(r *rig) {
		started = make(chan struct{}, 2) // of the bubble
		quick, slow := r.accept("quick@example.org"), r.accept("slow@example.org")
		<-started
		<-started
		at := time.Now()
		r.stop()
		if took := time.Since(at); took < 8*time.Second || took > 9*time.Second {
			r.Errorf("Run took %v to end, want the grace time", took)
		}
		r.until(quick, "delivered:1")
		r.until(slow, "in_doubt:1")
		late := r.accept("quick@example.org")
		<-time.After(time.Minute)
		r.until(late, "queued:1")
	})
}

func TestHeldIsNeverDelivered(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, _ []byte) []store.Result { return outcome(j, store.OutDelivered) }}
	bubble(t, Config{}, s, func(r *rig) {
		a := r.message(store.KindMail, "anna@example.org")
		a.Jobs[0].State = store.Held
		if err := r.store.Accept(r.Context(), a); err != nil {
			r.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		r.until(a.Message.ID, "held:1")
		if n := len(s.made()); n != 0 {
			r.Fatalf("%d deliveries of a held message", n)
		}
		body := []byte("released")
		if err := r.store.Decide(r.Context(), store.Decision{Message: a.Message.ID, By: "sam", Reason: "checked", Release: true,
			Contents: []store.Content{{Variant: 1, Size: int64(len(body)), Body: bytes.NewReader(body)}},
			Jobs:     []store.NewJob{{Variant: 1, State: store.Queued, Recipients: a.Jobs[0].Recipients}}}); err != nil {
			r.Fatal(err)
		}
		r.until(a.Message.ID, "delivered:1")
		if calls := s.made(); len(calls) != 1 || calls[0].body != "released" {
			r.Fatalf("deliveries: %+v", calls)
		}
	})
}

func TestNotBefore(t *testing.T) {
	t.Parallel()
	s := &script{do: func(_ context.Context, j store.Job, _ []byte) []store.Result { return outcome(j, store.OutDelivered) }}
	bubble(t, Config{}, s, func(r *rig) {
		a := r.message(store.KindMail, "anna@example.org")
		want := time.Now().Add(10 * time.Minute)
		a.Jobs[0].NotBefore = want
		if err := r.store.Accept(r.Context(), a); err != nil {
			r.Fatal(err)
		}
		r.until(a.Message.ID, "delivered:1")
		if at := s.made()[0].at; at.Before(want) || at.After(want.Add(poll)) {
			r.Fatalf("sent at %v, want at %v", at, want)
		}
	})
}

func TestBackoffRange(t *testing.T) {
	t.Parallel()
	for attempts := range 40 {
		for range 200 {
			if d := Backoff(attempts); d < time.Minute || d > maxBackoff {
				t.Fatalf("Backoff(%d) = %v", attempts, d)
			}
		}
	}
}
