package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// Once is for what must not happen twice: of many processes at once, and after a restart, one
// is first, and what it commits is there once.
func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	o := c.options(dir)
	o.Serve = false // as many processes as there are
	firsts := make(chan string, 100)
	for range 2 { // the second time after a restart
		var stores []*Store
		for range 2 {
			stores = append(stores, mustOpen(t, o))
		}
		var g errgroup.Group
		for n := range 20 {
			g.Go(func() error {
				a := acceptance(t, []byte("x"), Queued, []string{"sam@willowhouse.example"})
				first, err := stores[n%2].Once(t.Context(), "day", a)
				if first {
					firsts <- string(a.Message.ID)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := len(firsts); n != 1 {
			t.Fatalf("%d were first", n)
		}
		jobs, err := stores[0].Jobs(t.Context(), JobFilter{})
		if err != nil || len(jobs) != 1 {
			t.Errorf("%d deliveries (%v)", len(jobs), err)
		}
		for _, s := range stores {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := mustOpen(t, o)
	if at, err := s.Marked(t.Context(), "day"); err != nil || at.IsZero() {
		t.Errorf("marked %v (%v)", at, err)
	}
	if at, err := s.Marked(t.Context(), "another"); err != nil || !at.IsZero() {
		t.Errorf("marked %v (%v)", at, err)
	}
}

// A page that ends in the middle of a day is followed by the next one, and facts that were
// tampered with are told from facts that are not there.
func TestRecordedGoesThroughAll(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	from := c.now()
	for i := range recordedPage + 5 {
		a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"})
		a.Message.ReceivedAt = from.Add(time.Duration(i) * time.Second)
		a.Facts = &Facts{Record: []byte(fmt.Sprint(i)), Observed: i%2 == 0}
		mustAccept(t, s, a)
	}
	count := func(list func(do func(Recorded) error) error) (n, damaged int) {
		if err := list(func(r Recorded) error {
			n++
			if r.Damaged {
				damaged++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n, damaged
	}
	until := from.Add(time.Hour)
	all := func(do func(Recorded) error) error { return s.Recorded(t.Context(), from, until, do) }
	observed := func(do func(Recorded) error) error { return s.Observed(t.Context(), from, until, do) }
	if n, d := count(all); n != recordedPage+5 || d != 0 {
		t.Errorf("%d, %d damaged", n, d)
	}
	if n, _ := count(observed); n != (recordedPage+6)/2 {
		t.Errorf("%d observed", n)
	}
	tamper(t, s, `UPDATE facts SET sealed = zeroblob(40) WHERE message = (SELECT min(message) FROM facts)`)
	if _, d := count(all); d != 1 {
		t.Errorf("%d damaged", d)
	}
	stop := errors.New("stop")
	if err := s.Recorded(t.Context(), from, until, func(Recorded) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
