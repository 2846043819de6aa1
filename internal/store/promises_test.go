package store

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

// What these tests show was seen red: test/mutants breaks the code for each.

// TestPromise2EachLossySettingIsRefused loses one of the settings that 250 rests on at a time.
func TestPromise2EachLossySettingIsRefused(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), "x.db"), true))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // settings belong to a connection
	if err := checkDurable(t.Context(), db); err != nil {
		t.Fatalf("our own settings: %v", err)
	}
	for lossy, sound := range map[string]string{
		"synchronous=NORMAL": "synchronous=FULL", "synchronous=OFF": "synchronous=FULL",
		"journal_mode=DELETE": "journal_mode=WAL", "foreign_keys=0": "foreign_keys=1", "secure_delete=0": "secure_delete=1",
	} {
		if _, err := db.Exec("PRAGMA " + lossy); err != nil {
			t.Fatal(err)
		}
		if err := checkDurable(t.Context(), db); err == nil {
			t.Errorf("%s passes for durable", lossy)
		}
		if _, err := db.Exec("PRAGMA " + sound); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPromise3TheChoiceIsRecorded: whether the recipient got it is not known, so that it is
// sent again is a choice, and the audit says so.
func TestPromise3TheChoiceIsRecorded(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org", "ben@example.org"}))
	if err := s.Finish(t.Context(), claimOne(t, s), results(OutUnknown, OutDelivered), c.now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := states(t, s, id); got != "in_doubt:1 delivered:1" {
		t.Fatalf("jobs: %s", got)
	}
	if !auditHas(t, s, "result", "choice", "send again") {
		t.Error("nothing says that sending again was a choice")
	}
}

// TestPromise11ARewrittenHeadIsFound: whoever changes a row can compute all hashes anew, and
// write the last one into the head. Without the master key it does not help.
func TestPromise11ARewrittenHeadIsFound(t *testing.T) {
	t.Parallel()
	s := auditStore(t)
	last, err := s.VerifyAudit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.do(t.Context(), func(x *tx) error {
		prev := make([]byte, 32)
		for seq := int64(1); seq <= last; seq++ {
			var at int64
			var message, kind, actor, data string
			if err := x.queryRow(`SELECT at, message, kind, actor, data FROM audit WHERE seq = $1`, []any{seq}, &at, &message, &kind, &actor, &data); err != nil {
				return err
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
		_, err := x.exec(`UPDATE audit_head SET hash = $1`, prev)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, err = s.VerifyAudit(t.Context())
	wantKind(t, err, fault.Conflict)
}
