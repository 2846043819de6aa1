package store

import (
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

func auditStore(t *testing.T) *Store {
	t.Helper()
	s, _ := openTest(t)
	for range 5 {
		mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	}
	if n, err := s.VerifyAudit(t.Context()); err != nil || n < 10 {
		t.Fatalf("VerifyAudit = %d, %v", n, err)
	}
	// Somebody with the file can drop the triggers; without the key they cannot mend the chain.
	tamper(t, s, `DROP TRIGGER audit_no_update`)
	tamper(t, s, `DROP TRIGGER audit_no_delete`)
	return s
}

func tamper(t *testing.T, s *Store, query string) {
	t.Helper()
	if err := s.do(t.Context(), func(x *tx) error {
		_, err := x.exec(query)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAuditFindsEveryChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ query, want string }{
		"seq":       {`UPDATE audit SET seq = 1000 WHERE seq = 3`, "row 3: is missing"},
		"at":        {`UPDATE audit SET at = at + 1 WHERE seq = 3`, "row 3: was changed"},
		"message":   {`UPDATE audit SET message = 'x' WHERE seq = 3`, "row 3: was changed"},
		"kind":      {`UPDATE audit SET kind = kind || 'x' WHERE seq = 3`, "row 3: was changed"},
		"actor":     {`UPDATE audit SET actor = 'x' WHERE seq = 3`, "row 3: was changed"},
		"data":      {`UPDATE audit SET data = '{"a":"b"}' WHERE seq = 3`, "row 3: was changed"},
		"data form": {`UPDATE audit SET data = data || ' ' WHERE seq = 3`, "row 3: was changed"},
		"prev":      {`UPDATE audit SET prev = zeroblob(32) WHERE seq = 3`, "row 3: does not follow"},
		"hash":      {`UPDATE audit SET hash = zeroblob(32) WHERE seq = 3`, "row 3: was changed"},
		"deleted":   {`DELETE FROM audit WHERE seq = 3`, "row 3: is missing"},
		"first":     {`DELETE FROM audit WHERE seq = 1`, "row 1: is missing"},
		"last":      {`DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)`, "is missing: the end"},
		"all":       {`DELETE FROM audit`, "row 1: is missing"},
		"moved":     {`UPDATE audit SET kind = (SELECT kind FROM audit WHERE seq = 4) WHERE seq = 3`, "row 3: was changed"},
		"head":      {`UPDATE audit_head SET seq = seq - 1, hash = (SELECT hash FROM audit WHERE seq = audit_head.seq - 1)`, "head of the chain was changed"},
		"headless":  {`DELETE FROM audit_head`, "head of the chain is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := auditStore(t)
			tamper(t, s, c.query)
			_, err := s.VerifyAudit(t.Context())
			wantKind(t, err, fault.Conflict)
			if !strings.Contains(err.Error(), c.want) {
				t.Fatalf("VerifyAudit: %v, want %q", err, c.want)
			}
		})
	}
}

// A chain computed anew from a changed row on is whole in itself; the sealed head shows it.
func TestAuditFindsARewrittenChain(t *testing.T) {
	t.Parallel()
	s := auditStore(t)
	if err := s.do(t.Context(), func(x *tx) error {
		prev := make([]byte, 32)
		for seq := int64(1); ; seq++ {
			var at int64
			var message, kind, actor, data string
			if err := x.queryRow(`SELECT at, message, kind, actor, data FROM audit WHERE seq = $1`, []any{seq}, &at, &message, &kind, &actor, &data); err != nil {
				return nil
			}
			if seq == 3 {
				actor = "somebody else"
			}
			sum := rowHash(seq, at, message, kind, actor, data, prev)
			if _, err := x.exec(`UPDATE audit SET actor = $1, prev = $2, hash = $3 WHERE seq = $4`, actor, prev, sum, seq); err != nil {
				return err
			}
			prev = sum
		}
	}); err != nil {
		t.Fatal(err)
	}
	_, err := s.VerifyAudit(t.Context())
	wantKind(t, err, fault.Conflict)
}

func TestAuditCannotBeChangedBySQL(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	for _, q := range []string{`UPDATE audit SET actor = 'x'`, `DELETE FROM audit`} {
		if err := s.do(t.Context(), func(x *tx) error {
			_, err := x.exec(q)
			return err
		}); err == nil {
			t.Errorf("%s went through", q)
		}
	}
}

func TestAuditPages(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	const n = 2*auditPage + 7
	if err := s.do(t.Context(), func(x *tx) error {
		for range n {
			if err := x.audit("", Event{Kind: "reloaded", Actor: "sam"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows, err := s.VerifyAudit(t.Context()); err != nil || rows != n {
		t.Fatalf("VerifyAudit = %d, %v; want %d", rows, err, n)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	held := func() Acceptance {
		a := acceptance(t, []byte("held"), Held, []string{"anna@example.org"}, []string{"bo@example.org", "cy@example.org"})
		mustAccept(t, s, a)
		return a
	}
	a := held()
	if err := s.Decide(t.Context(), Decision{Message: a.Message.ID, By: "sam", Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, s, a.Message.ID); got != "cancelled:1 cancelled:2" {
		t.Fatalf("refused: %s", got)
	}
	wantKind(t, s.Decide(t.Context(), Decision{Message: a.Message.ID, By: "kim", Reason: "again"}), fault.Conflict)
	if d, err := s.Decisions(t.Context(), a.Message.ID); err != nil || len(d) != 1 || d[0].Reason != "no" || d[0].By != "sam" || d[0].Released {
		t.Fatalf("Decisions = %+v, %v", d, err)
	}

	a = held()
	release := Decision{Message: a.Message.ID, By: "sam", Reason: "checked", Release: true, Sealed: []byte(`{"new":1}`),
		Contents: []Content{{Variant: 1, Size: 3, Body: strings.NewReader("new")}},
		Jobs:     []NewJob{{Variant: 1, State: Queued, Recipients: a.Jobs[1].Recipients[:1]}}}
	stranger := release
	stranger.Jobs = []NewJob{{Variant: 1, State: Queued, Recipients: append(a.Jobs[0].Recipients, addr(t, "eve@example.org"))}}
	if err := s.Decide(t.Context(), stranger); err == nil {
		t.Fatal("a release reached somebody who was not held")
	}
	if err := s.Decide(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	if got := states(t, s, a.Message.ID); got != "held:1 held:1 queued:1" {
		t.Fatalf("released: %s", got)
	}
	if _, sealed, _, err := s.Get(t.Context(), a.Message.ID); err != nil || string(sealed) != `{"new":1}` {
		t.Fatalf("Get = %q, %v", sealed, err)
	}
	// The copy that is on its way is not replaced by a second release.
	wantKind(t, s.Decide(t.Context(), Decision{Message: a.Message.ID, By: "sam", Release: true,
		Contents: []Content{{Variant: 1, Size: 3, Body: strings.NewReader("two")}},
		Jobs:     []NewJob{{Variant: 1, State: Queued, Recipients: a.Jobs[0].Recipients}}}), fault.Unavailable)
	items, err := s.Held(t.Context())
	if err != nil || len(items) != 1 || len(items[0].Jobs) != 2 || items[0].Message.ID != a.Message.ID {
		t.Fatalf("Held = %+v, %v", items, err)
	}
	// Two people at once: one decision.
	b := held()
	errs := make(chan error, 2)
	for _, by := range []string{"sam", "kim"} {
		go func() { errs <- s.Decide(t.Context(), Decision{Message: b.Message.ID, By: by}) }()
	}
	if e1, e2 := <-errs, <-errs; (e1 == nil) == (e2 == nil) {
		t.Fatalf("two decisions: %v, %v; want exactly one", e1, e2)
	}
	if jobs, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(jobs) != 1 {
		t.Fatalf("Claim = %+v, %v", jobs, err)
	}
	if _, err := s.VerifyAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
}
