package store

import (
	"testing"
	"time"
)

// The committer keeps every statement that it prepares: a query text that holds a value would
// be prepared and kept anew each time, for ever.
func TestClaimsPrepareNothingNew(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	prepared := func() (n int) {
		if err := s.do(t.Context(), func(t *tx) error { n = len(t.stmts); return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	claim := func() {
		if _, err := s.Claim(t.Context(), 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		c.add(time.Second)
	}
	claim()
	before := prepared()
	for range 5 {
		claim()
	}
	if after := prepared(); after != before {
		t.Errorf("%d statements, then %d", before, after)
	}
}
