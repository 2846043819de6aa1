package store

import (
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

func mustExec(t *testing.T, s *Store, query string, args ...any) {
	t.Helper()
	if err := s.do(t.Context(), func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// F17: a wall clock that jumps over a lease must not start a second attempt beside the first.
// A lease still ends by the clock that nobody sets.
func TestClockJumpClaimsNothingTwice(t *testing.T) {
	t.Parallel()
	s, wall := openTest(t)
	steady := newClock()
	s.steady = steady.now
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	first := claimOne(t, s)
	wall.add(2 * time.Hour)
	steady.add(30 * time.Second)
	if jobs, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(jobs) != 0 {
		t.Fatalf("claimed %d jobs that are in hand, %v", len(jobs), err)
	}
	if due, ok, err := s.NextDue(t.Context()); err != nil || !ok || !due.Equal(wall.now().Add(30*time.Second)) {
		t.Fatalf("the lease ends at %v, %v: want its rest by the new wall clock", due, err)
	}
	if err := s.Finish(t.Context(), first, results(OutDelivered), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, s, id); got != "delivered:1" {
		t.Fatalf("states = %s", got)
	}

	id = mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"bo@example.org"}))
	dead := claimOne(t, s)
	wall.add(2 * time.Minute)
	steady.add(2 * time.Minute)
	if again := claimOne(t, s); again.Message != id || again.Epoch != dead.Epoch+1 {
		t.Fatalf("second claim = %+v", again)
	}
	wantKind(t, s.Finish(t.Context(), dead, results(OutDelivered), time.Time{}), fault.Conflict)
	if jobs, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(jobs) != 0 {
		t.Fatalf("the dead claim's end gave up the live one: %d jobs, %v", len(jobs), err)
	}
}

// A worker whose result cannot be recorded keeps its claim for as long as it takes.
func TestKeptClaimOutlivesItsLease(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	j := claimOne(t, s)
	for range 5 {
		c.add(50 * time.Second)
		s.Keep(j, time.Minute)
		if jobs, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(jobs) != 0 {
			t.Fatalf("claimed %d kept jobs, %v", len(jobs), err)
		}
	}
	if err := s.Finish(t.Context(), j, results(OutDelivered), time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// One damaged job that cannot be set aside now must not leave the others of its claim as
// sending with nobody who sends them.
func TestClaimStrandsNobody(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	bad := mustAccept(t, s, acceptance(t, []byte("bad"), Queued, []string{"anna@example.org"}))
	good := mustAccept(t, s, acceptance(t, []byte("good"), Queued, []string{"bo@example.org"}))
	mustExec(t, s, `UPDATE jobs SET sealed = zeroblob(60) WHERE message = $1`, string(bad))
	mustExec(t, s, `CREATE TRIGGER not_now BEFORE UPDATE ON jobs WHEN NEW.state = 'held' BEGIN SELECT json('{'); END`)
	jobs, err := s.Claim(t.Context(), 10, time.Minute)
	if err == nil || len(jobs) != 1 || jobs[0].Message != good {
		t.Fatalf("Claim = %+v, %v; want the good one, and why the bad one is not set aside", jobs, err)
	}
}

// A job's addresses are bound to the copy that it sends: swapping two numbers in the database
// must not hand one client's copy to another.
func TestJobIsBoundToItsCopy(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}, []string{"bo@example.org"}))
	mustExec(t, s, `UPDATE jobs SET variant = 3 - variant WHERE message = $1`, string(id))
	if jobs, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(jobs) != 0 {
		t.Fatalf("Claim = %+v, %v; want none", jobs, err)
	}
	if got := states(t, s, id); got != "held:0 held:0" {
		t.Fatalf("states = %s", got)
	}
}

// A record that nobody can read any more is still shown, and a person can still end it.
func TestDamagedRecordCanBeRefused(t *testing.T) {
	t.Parallel()
	for column, value := range map[string]string{"dek": "zeroblob(60)", "sealed": "x'00'"} {
		s, _ := openTest(t)
		id := mustAccept(t, s, acceptance(t, []byte("x"), Held, []string{"anna@example.org"}))
		mustExec(t, s, `UPDATE messages SET `+column+` = `+value+` WHERE id = $1`, string(id))
		m, sealed, jobs, err := s.Get(t.Context(), id)
		if !Damaged(err) || m.ID != id || m.Submitter != "maya" || sealed != nil || len(jobs) != 1 {
			t.Errorf("%s: Get = %+v, %q, %d jobs, %v", column, m, sealed, len(jobs), err)
		}
		if held, err := s.Held(t.Context()); err != nil || len(held) != 1 {
			t.Errorf("%s: Held = %+v, %v", column, held, err)
		}
		if err := s.Decide(t.Context(), Decision{Message: id, By: "sam", Reason: "cannot be read"}); err != nil {
			t.Errorf("%s: %v", column, err)
		}
		if got := states(t, s, id); !strings.HasPrefix(got, "cancelled:") {
			t.Errorf("%s: states = %s", column, got)
		}
	}
}
