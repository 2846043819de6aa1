package store

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyLateChangesLinger(t *testing.T) {
	t.Parallel()
	prompt, late := &op{}, &op{late: true}
	for name, tc := range map[string]struct {
		first   *op
		waiting []*op
		next    *op // comes after a millisecond
		want    int
		takes   time.Duration
	}{
		"prompt alone":                  {first: prompt, want: 1},
		"prompt with what waits":        {first: prompt, waiting: []*op{late, prompt}, want: 3},
		"late, something prompt waits":  {first: late, waiting: []*op{prompt}, want: 2},
		"late alone":                    {first: late, want: 1, takes: linger},
		"late in company of the late":   {first: late, waiting: []*op{late}, next: late, want: 3, takes: linger},
		"late until a prompt one comes": {first: late, next: prompt, want: 2, takes: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &Store{ops: make(chan *op, maxBatch)}
				for _, o := range tc.waiting {
					s.ops <- o
				}
				if tc.next != nil {
					time.AfterFunc(time.Millisecond, func() { s.ops <- tc.next })
				}
				start := time.Now()
				batch := s.gather([]*op{tc.first})
				if took := time.Since(start); len(batch) != tc.want || took != tc.takes {
					t.Errorf("%d changes after %v, want %d after %v", len(batch), took, tc.want, tc.takes)
				}
			})
		})
	}
}

func TestClosingEndsLingering(t *testing.T) {
	t.Parallel()
	s := &Store{ops: make(chan *op, maxBatch)}
	close(s.ops)
	if batch := s.gather([]*op{{late: true}}); len(batch) != 1 {
		t.Errorf("%d changes", len(batch))
	}
}
