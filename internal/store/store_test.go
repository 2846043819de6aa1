package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// clock is a clock that tests move by hand.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }
func (c *clock) options(dir string) Options {
	return Options{Dir: dir, MasterKey: testKey(), Now: c.now, Serve: true}
}

func testKey() []byte { k := sha256.Sum256([]byte("test")); return k[:] }

func openTest(t testing.TB) (*Store, *clock) {
	t.Helper()
	c := newClock()
	return mustOpen(t, c.options(t.TempDir())), c
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newTestID(t testing.TB) mail.ID {
	t.Helper()
	id, err := mail.NewID(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// acceptance makes a message with one job for each list of recipients.
func acceptance(t testing.TB, body []byte, st State, groups ...[]string) Acceptance {
	t.Helper()
	a := Acceptance{
		Message: Message{ID: newTestID(t), Kind: KindMail, Submitter: "maya", ReceivedAt: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
			Policy: "sha256:0", Digest: sha256.Sum256(body), Size: int64(len(body)), Outcome: "send"},
		Sealed: []byte(`{"canary":"envelope-canary"}`),
		Events: []Event{{Kind: "accepted", Actor: "maya", Data: map[string]string{"rule": "send-separately"}}},
	}
	for i, g := range groups {
		j := NewJob{Variant: i + 1, Reverse: addr(t, "hello@wh.example"), State: st}
		for n, r := range g {
			j.Recipients = append(j.Recipients, addr(t, r))
			j.Codes = append(j.Codes, fmt.Sprintf("C-%d%d", i, n))
		}
		a.Contents = append(a.Contents, Content{Variant: i + 1, Size: int64(len(body)), Body: bytes.NewReader(body)})
		a.Jobs = append(a.Jobs, j)
	}
	return a
}

func mustAccept(t testing.TB, s *Store, a Acceptance) mail.ID {
	t.Helper()
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a.Message.ID
}

func claimOne(t testing.TB, s *Store) Job {
	t.Helper()
	jobs, err := s.Claim(t.Context(), 1, time.Minute)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("Claim = %d jobs, %v; want one", len(jobs), err)
	}
	return jobs[0]
}

func results(outs ...Outcome) (out []Result) {
	for _, o := range outs {
		r := Result{Outcome: o, Status: fault.Status{Code: 250}, Reply: "reply-canary", Remote: "sink"}
		switch o {
		case OutTransient:
			r.Status = fault.Status{Code: 451, Subject: 3}
		case OutPermanent:
			r.Status = fault.Status{Code: 550, Subject: 1, Detail: 1}
		}
		out = append(out, r)
	}
	return out
}

func wantKind(t *testing.T, err error, k fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k {
		t.Fatalf("error = %v (%v), want kind %v", err, fault.KindOf(err), k)
	}
}

func states(t testing.TB, s *Store, id mail.ID) string {
	t.Helper()
	jobs, err := s.Jobs(t.Context(), JobFilter{Message: id})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, j := range jobs {
		out = append(out, fmt.Sprintf("%s:%d", j.State, len(j.Recipients)))
	}
	return strings.Join(out, " ")
}

func TestAcceptClaimDeliver(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	body := bytes.Repeat([]byte("body of the message\r\n"), 200)
	id := mustAccept(t, s, acceptance(t, body, Queued, []string{"anna@example.org"}, []string{"bo@example.org", "cy@example.org"}))

	m, sealed, jobs, err := s.Get(t.Context(), id)
	if err != nil || string(sealed) != `{"canary":"envelope-canary"}` || len(jobs) != 2 || m.Size != int64(len(body)) {
		t.Fatalf("Get = %+v, %q, %d jobs, %v", m, sealed, len(jobs), err)
	}
	claimed, err := s.Claim(t.Context(), 10, time.Minute)
	if err != nil || len(claimed) != 2 {
		t.Fatalf("Claim = %d, %v", len(claimed), err)
	}
	j := claimed[1]
	if j.Attempts != 1 || j.Epoch != 1 || j.State != Sending || j.Recipients[1] != addr(t, "cy@example.org") || j.Reverse.IsZero() {
		t.Fatalf("claimed job = %+v", j)
	}
	content, err := s.Content(t.Context(), id, j.Variant)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("content = %d bytes, %v; want %d", len(got), err, len(body))
	}
	if again, err := s.Claim(t.Context(), 10, time.Minute); err != nil || len(again) != 0 {
		t.Fatalf("second Claim = %d, %v; want none", len(again), err)
	}
	// One recipient delivered, the other put off: two jobs, one state each (I4).
	next := c.now().Add(time.Hour)
	if err := s.Finish(t.Context(), j, results(OutDelivered, OutTransient), next); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), claimed[0], results(OutDelivered), next); err != nil {
		t.Fatal(err)
	}
	if got := states(t, s, id); got != "delivered:1 queued:1 delivered:1" {
		t.Fatalf("states = %s", got)
	}
	due, ok, err := s.NextDue(t.Context())
	if err != nil || !ok || !due.Equal(next) {
		t.Fatalf("NextDue = %v %v %v", due, ok, err)
	}
	c.add(2 * time.Hour)
	again := claimOne(t, s)
	if len(again.Recipients) != 1 || again.Recipients[0] != addr(t, "cy@example.org") || again.Attempts != 2 || again.Codes[0] != "C-11" {
		t.Fatalf("claimed again = %+v", again)
	}
	replies, err := s.Replies(t.Context(), again)
	if err != nil || len(replies) != 1 || replies[0].Text != "reply-canary" {
		t.Fatalf("Replies = %+v, %v", replies, err)
	}
	if n, err := s.VerifyAudit(t.Context()); err != nil || n == 0 {
		t.Fatalf("VerifyAudit = %d, %v", n, err)
	}
}

func TestLateResultOfADeadClaimIsRefused(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	dead := claimOne(t, s)
	c.add(2 * time.Minute) // its lease runs out
	alive := claimOne(t, s)
	if alive.Epoch != 2 || alive.Attempts != 2 {
		t.Fatalf("second claim = %+v", alive)
	}
	wantKind(t, s.Finish(t.Context(), dead, results(OutDelivered), time.Time{}), fault.Conflict)
	if got := states(t, s, id); got != "sending:1" {
		t.Fatalf("states = %s", got)
	}
	if err := s.Finish(t.Context(), alive, results(OutDelivered), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !auditHas(t, s, "in_doubt", "why", "lease ran out") {
		t.Fatal("the audit does not tell that the first attempt is in doubt")
	}
}

func auditHas(t *testing.T, s *Store, kind, key, value string) (found bool) {
	t.Helper()
	if err := s.Audit(t.Context(), func(r Row) error {
		found = found || (r.Kind == kind && r.Data[key] == value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRestartMakesAttemptsInDoubt(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	claimOne(t, s)
	if _, err := Open(t.Context(), c.options(dir)); err == nil {
		t.Fatal("two processes may serve one store")
	}
	side := mustOpen(t, Options{Dir: dir, MasterKey: testKey(), Now: c.now}) // a command beside the service changes nothing
	if got := states(t, side, id); got != "sending:1" {
		t.Fatalf("beside the service: %s", got)
	}
	s.Close()
	s = mustOpen(t, c.options(dir))
	if got := states(t, s, id); got != "in_doubt:1" {
		t.Fatalf("after restart: %s", got)
	}
	if !auditHas(t, s, "in_doubt", "choice", "send again") {
		t.Fatal("the choice is not in the audit")
	}
	if jobs, _ := s.Claim(t.Context(), 1, time.Minute); len(jobs) != 0 {
		t.Fatal("in doubt is sent again without a pause")
	}
	c.add(doubtDelay(1))
	if j := claimOne(t, s); j.Attempts != 2 {
		t.Fatalf("claimed = %+v", j)
	}
}

func TestBigContentIsStaged(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, inlineSize, inlineSize + 1, 3*inlineSize + 17} {
		body := make([]byte, size)
		rand.Read(body)
		id := mustAccept(t, s, acceptance(t, body, Queued, []string{"anna@example.org"}))
		content, err := s.Content(t.Context(), id, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("size %d: got %d bytes, %v", size, len(got), err)
		}
	}
	// A body that cannot be read whole is not accepted, and leaves nothing once restarted.
	bad := acceptance(t, nil, Queued, []string{"anna@example.org"})
	bad.Contents[0].Size, bad.Contents[0].Body = 2<<20, bytes.NewReader(make([]byte, 1500<<10))
	wantKind(t, s.Accept(t.Context(), bad), fault.Unavailable)
	if _, _, _, err := s.Get(t.Context(), bad.Message.ID); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("the bad message is there: %v", err)
	}
	s.Close()
	s = mustOpen(t, c.options(dir))
	var staged, orphans int
	if err := s.queryRow(t.Context(), `SELECT (SELECT count(*) FROM contents WHERE message IS NULL),
		(SELECT count(*) FROM chunks WHERE id >> 16 NOT IN (SELECT id FROM contents))`, nil, &staged, &orphans); err != nil || staged+orphans != 0 {
		t.Fatalf("left behind: %d staged, %d chunks, %v", staged, orphans, err)
	}
}

func TestOneBadAcceptanceDoesNotHarmOthers(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	twice := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"})
	mustAccept(t, s, twice)
	const n = 40
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"})
		if i%4 == 0 {
			a.Message.ID = twice.Message.ID // already there
		}
		wg.Go(func() { errs[i] = s.Accept(t.Context(), a) })
	}
	wg.Wait()
	for i, err := range errs {
		if (err != nil) != (i%4 == 0) {
			t.Errorf("acceptance %d: %v", i, err)
		}
	}
	jobs, err := s.Jobs(t.Context(), JobFilter{})
	if err != nil || len(jobs) != 1+n*3/4 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	if _, err := s.VerifyAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsAcceptedAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	var failing atomic.Bool
	s.do(t.Context(), func(*tx) error { // the committer's own goroutine sets its hook
		s.commitFailure = func() error {
			if failing.Load() {
				return errors.New("input/output error")
			}
			return nil
		}
		return nil
	})
	failing.Store(true)
	lost := acceptance(t, []byte("x"), Queued, []string{"bo@example.org"})
	wantKind(t, s.Accept(t.Context(), lost), fault.Unavailable)
	if s.Healthy() == nil {
		t.Fatal("the store calls itself healthy after a failed commit")
	}
	wantKind(t, s.Accept(t.Context(), acceptance(t, []byte("x"), Queued, []string{"cy@example.org"})), fault.Unavailable)
	if _, _, _, err := s.Get(t.Context(), id); err != nil {
		t.Fatalf("what was committed before cannot be read: %v", err)
	}
	failing.Store(false)
	for s.Accept(t.Context(), acceptance(t, []byte("x"), Queued, []string{"dee@example.org"})) != nil {
		// Reopened and checked at most once a second.
	}
	if s.Healthy() != nil {
		t.Fatalf("not healthy again: %v", s.Healthy())
	}
	if _, _, _, err := s.Get(t.Context(), lost.Message.ID); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("what was answered 451 is there: %v", err)
	}
}

// A disk that fails while nobody writes is found by asking, and so is that it is well again.
func TestProbe(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	var failing atomic.Bool
	s.do(t.Context(), func(*tx) error {
		s.commitFailure = func() error {
			if failing.Load() {
				return errors.New("input/output error")
			}
			return nil
		}
		return nil
	})
	failing.Store(true)
	if s.Healthy() != nil {
		t.Fatal("nobody has written, and it is said to fail")
	}
	wantKind(t, s.Probe(t.Context()), fault.Unavailable)
	if s.Healthy() == nil {
		t.Error("the failure is not remembered")
	}
	failing.Store(false)
	for s.Probe(t.Context()) != nil {
		// Reopened and checked at most once a second.
	}
	if s.Healthy() != nil {
		t.Errorf("not healthy again: %v", s.Healthy())
	}

	// Whoever asks waits no longer than they said, however long the disk takes.
	began, let := make(chan struct{}), make(chan struct{})
	busy := make(chan error, 1)
	go func() { busy <- s.do(t.Context(), func(*tx) error { close(began); <-let; return nil }) }()
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantKind(t, s.Probe(ctx), fault.Unavailable)
	close(let)
	if err := <-busy; err != nil {
		t.Error(err)
	}
	s.Close()
	wantKind(t, s.Probe(t.Context()), fault.Unavailable)
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	if w, err := s.Waiting(t.Context()); err != nil || w != (Waiting{}) {
		t.Fatalf("%+v, %v", w, err)
	}
	mustAccept(t, s, acceptance(t, []byte("x"), Held, []string{"anna@example.org"}))
	c.add(time.Minute)
	first := c.now()
	mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"bo@example.org"}))
	c.add(time.Minute)
	mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"cy@example.org"}))
	if w, err := s.Waiting(t.Context()); err != nil || w.Held != 1 || w.Queued != 2 || !w.Oldest.Equal(first) {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := s.Claim(t.Context(), 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if w, err := s.Waiting(t.Context()); err != nil || w.Held != 1 || w.Queued != 1 || w.Sending != 1 || !w.Oldest.Equal(first) {
		t.Errorf("what is being sent has still not left: %+v, %v", w, err)
	}
	c.add(2 * time.Hour)
	if _, err := s.Claim(t.Context(), 1, time.Hour); err != nil { // finds the lease that ran out
		t.Fatal(err)
	}
	if w, err := s.Waiting(t.Context()); err != nil || w.InDoubt+w.Queued+w.Sending != 2 || w.InDoubt == 0 {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestRefusesWrongKeyAndNewerSchema(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	mustOpen(t, c.options(dir)).Close()
	o := c.options(dir)
	o.MasterKey = bytes.Repeat([]byte{1}, 32)
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Fatalf("another master key: %v", err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c.options(dir)); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Fatalf("newer schema: %v", err)
	}
}

func TestRefusesLossySettings(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := checkDurable(t.Context(), db); err == nil {
		t.Fatal("the driver's own settings pass for durable")
	}
}

func TestMasterKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	key, created, err := MasterKey(dir, "")
	if err != nil || !created || len(key) != 32 {
		t.Fatalf("first: %d bytes, %v, %v", len(key), created, err)
	}
	again, created, err := MasterKey(dir, "")
	if err != nil || created || !bytes.Equal(key, again) {
		t.Fatalf("second: %v, %v", created, err)
	}
	name := filepath.Join(dir, "master.key")
	for path, want := range map[string]os.FileMode{dir: 0o700, name: 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := MasterKey(dir, ""); err == nil {
		t.Error("a key that everybody can read is taken")
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, databaseName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := MasterKey(dir, ""); err == nil {
		t.Error("a new key is made beside an old database")
	}
}

// rawFiles returns every byte of every file in the data directory.
func rawFiles(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNoCanaryInClear(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	body := []byte(strings.Repeat("body-canary ", 50000))
	a := acceptance(t, body, Queued, []string{"recipient-canary@example.org", "recipient-canary2@example.org"})
	a.Jobs[0].Reverse = addr(t, "reverse-canary@example.org")
	id := mustAccept(t, s, a)
	if err := s.Finish(t.Context(), claimOne(t, s), results(OutDelivered, OutPermanent), time.Time{}); err != nil {
		t.Fatal(err)
	}
	held := acceptance(t, []byte("held body-canary"), Held, []string{"recipient-canary@example.org"})
	mustAccept(t, s, held)
	if err := s.Decide(t.Context(), Decision{Message: held.Message.ID, By: "sam", Reason: "reason-canary"}); err != nil {
		t.Fatal(err)
	}
	rows, err := ParseClients(strings.NewReader("ref,name,email,mobile,word,words,safe_hours\nC-1,Name-canary,client-canary@example.org,07700 900123,word-canary,phrase-canary-of-words,hours-canary\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportClients(t.Context(), rows, "sam"); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordConsent(t.Context(), ConsentRow{Ref: "C-1", Purpose: "group_email", GivenOn: c.now(), How: "form", RecordedBy: "by-canary", Evidence: "evidence-canary"}, testPurposes(), "sam"); err != nil {
		t.Fatal(err)
	}
	key, err := encrypt.NewRoleKey("keyname-canary", addr(t, "client-canary@example.org"), c.now())
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.Public()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetKey(t.Context(), "C-1", public, "sam"); err != nil {
		t.Fatal(err)
	}
	packets, err := public.Binary()
	if err != nil {
		t.Fatal(err)
	}
	inJSON := base64.StdEncoding.EncodeToString(packets)
	if _, err := s.RoleKey(t.Context(), addr(t, "alias-canary@example.org"), "alias-canary"); err != nil {
		t.Fatal(err)
	}
	password, err := s.AddSubmitter(t.Context(), "maya", "laptop")
	if err != nil {
		t.Fatal(err)
	}
	spool := s.NewSpool(1000)
	defer spool.Close()
	if _, err := spool.Write(body); err != nil {
		t.Fatal(err)
	}
	raw := bytes.ToLower(rawFiles(t, dir))
	for _, canary := range []string{"canary", "7700900123", "07700 900123", password, string(testKey()), inJSON[:60]} {
		if bytes.Contains(raw, []byte(strings.ToLower(canary))) {
			t.Errorf("%q stands in a file in clear", canary)
		}
	}
	if !bytes.Contains(raw, []byte(strings.ToLower(string(id)))) {
		t.Error("the raw files were not read: the id is not found")
	}
	// What was written is still readable with the keys.
	if jobs, err := s.Jobs(t.Context(), JobFilter{Message: id}); err != nil || jobs[0].Recipients[0].LocalPart != "recipient-canary" {
		t.Errorf("jobs = %+v, %v", jobs, err)
	}
}

func TestSweepShreds(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	done := mustAccept(t, s, acceptance(t, []byte("done"), Queued, []string{"anna@example.org"}))
	if err := s.Finish(t.Context(), claimOne(t, s), results(OutDelivered), time.Time{}); err != nil {
		t.Fatal(err)
	}
	live := mustAccept(t, s, acceptance(t, []byte("live"), Queued, []string{"anna@example.org"}))
	var dek, chunk []byte
	if err := s.queryRow(t.Context(), `SELECT dek, (SELECT data FROM chunks WHERE id >> 16 = (SELECT id FROM contents WHERE message = m.id)) FROM messages m WHERE id = $1`,
		[]any{string(done)}, &dek, &chunk); err != nil {
		t.Fatal(err)
	}
	if raw := rawFiles(t, dir); !bytes.Contains(raw, dek) || !bytes.Contains(raw, chunk) {
		t.Fatal("the sealed bytes are not found before the sweep: the test looks for the wrong thing")
	}
	if n, err := s.Sweep(t.Context(), c.now()); err != nil || n != 0 {
		t.Fatalf("too early: Sweep = %d, %v", n, err)
	}
	c.add(time.Hour)
	if n, err := s.Sweep(t.Context(), c.now()); err != nil || n != 1 {
		t.Fatalf("Sweep = %d, %v; want 1", n, err)
	}
	if _, err := s.Content(t.Context(), done, 1); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("content of the shredded message: %v", err)
	}
	if _, sealed, jobs, err := s.Get(t.Context(), done); err != nil || sealed != nil || len(jobs) != 1 || jobs[0].Recipients != nil || jobs[0].State != Delivered {
		t.Fatalf("Get of the shredded message = %q, %+v, %v", sealed, jobs, err)
	}
	if _, err := s.Content(t.Context(), live, 1); err != nil {
		t.Fatalf("the live message was shredded: %v", err)
	}
	if raw := rawFiles(t, dir); bytes.Contains(raw, dek) || bytes.Contains(raw, chunk) {
		t.Fatal("the wrapped key or a chunk is still in a file")
	}
}

func TestDamagedRowsAreSetAside(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	bad := mustAccept(t, s, acceptance(t, []byte("bad"), Queued, []string{"anna@example.org"}))
	good := mustAccept(t, s, acceptance(t, []byte("good"), Queued, []string{"bo@example.org"}))
	worse := mustAccept(t, s, acceptance(t, []byte("bad"), Queued, []string{"anna@example.org"}))
	mustExec(t, s, `UPDATE jobs SET sealed = zeroblob(60) WHERE message = $1`, string(bad))
	mustExec(t, s, `UPDATE jobs SET codes = 'x' || codes WHERE message = $1`, string(worse))
	jobs, err := s.Claim(t.Context(), 10, time.Minute)
	if err != nil || len(jobs) != 1 || jobs[0].Message != good {
		t.Fatalf("Claim = %+v, %v; want the good one alone", jobs, err)
	}
	if !auditHas(t, s, "set_aside", "why", "damaged") {
		t.Fatal("not in the audit")
	}
	for _, id := range []mail.ID{bad, worse} {
		if got := states(t, s, id); !strings.HasPrefix(got, "held:") {
			t.Fatalf("states = %s, want it set aside", got)
		}
	}
	if err := s.do(t.Context(), func(t *tx) error {
		_, err := t.exec(`UPDATE chunks SET data = zeroblob(length(data)) WHERE id >> 16 = (SELECT id FROM contents WHERE message = $1)`, string(good))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	content, err := s.Content(t.Context(), good, 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size())); err == nil || len(b) != 0 || !content.Damaged() {
		t.Fatalf("a damaged chunk was read: %q, %v", b, err)
	}
}

// Chunks moved between places must not open: each is bound to message, variant, number and end.
func TestChunksAreBoundToTheirPlace(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	body := make([]byte, 3*chunkSize)
	rand.Read(body)
	for name, q := range map[string]string{
		"swapped":   `UPDATE chunks SET data = (SELECT data FROM chunks c WHERE c.id = (chunks.id & ~65535) | (1 - (chunks.id & 65535))) WHERE id >> 16 = $1 AND (id & 65535) < 2`,
		"cut short": `UPDATE contents SET size = 131072 WHERE id = $1`,
		"gone":      `DELETE FROM chunks WHERE id = $1 * 65536 + 2`,
		"variant":   `UPDATE contents SET variant = 7 WHERE id = $1`,
	} {
		id := mustAccept(t, s, acceptance(t, body, Queued, []string{"anna@example.org"}))
		if err := s.do(t.Context(), func(x *tx) error {
			rows, err := x.ids(`SELECT id FROM contents WHERE message = $1`, string(id))
			if err == nil {
				_, err = x.exec(q, rows[0])
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		variant := 1
		if name == "variant" {
			variant = 7
		}
		content, err := s.Content(t.Context(), id, variant)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size())); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func BenchmarkAccept50(b *testing.B) {
	s := mustOpen(b, Options{Dir: b.TempDir(), MasterKey: testKey(), Serve: true})
	body := make([]byte, 4096)
	list := make([]Acceptance, b.N)
	for i := range list {
		list[i] = acceptance(b, body, Queued, []string{"anna@example.org"})
		list[i].Jobs[0].Seen = []Seen{{ID: fmt.Sprintf("%d@mailapp.example", i), As: fmt.Sprintf("%d@wh.example", i), By: addr(b, "maya@willowhouse.example")}}
	}
	var next atomic.Int64
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				if err := s.Accept(context.Background(), list[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepts/s")
}

func BenchmarkClaimFinish(b *testing.B) {
	s := mustOpen(b, Options{Dir: b.TempDir(), MasterKey: testKey(), Serve: true})
	var wg sync.WaitGroup
	sem := make(chan struct{}, 64)
	for range b.N {
		a := acceptance(b, make([]byte, 4096), Queued, []string{"anna@example.org"})
		sem <- struct{}{}
		wg.Go(func() {
			if err := s.Accept(context.Background(), a); err != nil {
				b.Error(err)
			}
			<-sem
		})
	}
	wg.Wait()
	b.ResetTimer()
	for range 16 {
		wg.Go(func() {
			for {
				jobs, err := s.Claim(context.Background(), 8, time.Minute)
				if err != nil || len(jobs) == 0 {
					return
				}
				for _, j := range jobs {
					if err := s.Finish(context.Background(), j, results(OutDelivered), time.Time{}); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
