package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// answer is a mail that names these ids.
func answer(t testing.TB, ids ...string) *mail.Message {
	t.Helper()
	raw := "From: maya@willowhouse.example\r\nReferences: <" + strings.Join(ids, ">\r\n <") + ">\r\nMIME-Version: 1.0\r\n\r\nx\r\n"
	m, err := mail.Parse(strings.NewReader(raw), int64(len(raw)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// thread looks up ids for recipients, and shows the fact: how many saw each id, then as what.
func thread(t *testing.T, s *Store, to, ids []string) string {
	t.Helper()
	f, err := s.Resolve(t.Context(), envelope(t, to...), answer(t, ids...), 0)
	if err != nil {
		t.Fatal(err)
	}
	if f.Thread.State != filter.Present {
		return [...]string{"unresolved", "absent", "", "unavailable"}[f.Thread.State]
	}
	b, err := json.Marshal(f.Thread.Value.Saw)
	if err != nil {
		t.Fatal(err)
	}
	var readers string
	for _, id := range ids {
		if n := f.Thread.Value.Readers[id]; n > 0 {
			readers += fmt.Sprintf("%s:%d ", id, n)
		}
	}
	return readers + string(b)
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestThreads(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	importCSV(t, s, "ref,name,email\nC-1,Anna,anna@example.org\nC-2,Bo,bo@example.org\n")
	maya := addr(t, "maya@thread-canary.example")
	const m1, ga, gb = "m1@id-canary.example", "ga@seen-canary.example", "gb@seen-canary.example"
	a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}, []string{"bo@example.org"})
	a.Jobs[0].Seen = []Seen{{ID: m1, As: ga, By: maya}, {ID: "reply@anna-canary.example", As: "reply@anna-canary.example"}}
	a.Jobs[1].Seen = []Seen{{ID: m1, As: gb, By: maya}}
	mustAccept(t, s, a)

	want(t, thread(t, s, []string{"ANNA@example.org"}, []string{m1}), m1+`:2 [{"`+m1+`":"`+ga+`"}]`)
	want(t, thread(t, s, []string{"anna@example.org", "bo@example.org"}, []string{ga, m1}),
		ga+":1 "+m1+`:2 [{"`+ga+`":"`+ga+`","`+m1+`":"`+ga+`"},{"`+m1+`":"`+gb+`"}]`)
	want(t, thread(t, s, []string{"bo@example.org"}, []string{"reply@anna-canary.example"}), "reply@anna-canary.example:1 [{}]")
	want(t, thread(t, s, []string{"maya@thread-canary.example"}, []string{gb}), gb+`:1 [{"`+gb+`":"`+m1+`"}]`)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"never@x"}), "absent")
	if f, err := s.Resolve(t.Context(), envelope(t, "anna@example.org"), nil, 0); err != nil || f.Thread.State != filter.Absent {
		t.Errorf("without a message: %+v, %v", f, err)
	}

	raw := bytes.ToLower(rawFiles(t, dir))
	if bytes.Contains(raw, []byte("canary")) || bytes.Contains(raw, []byte("anna@")) {
		t.Error("an id or a mailbox stands in a file in clear")
	}
	if !bytes.Contains(raw, []byte(s.threadMAC(m1))) {
		t.Error("the raw files were not read: the look-up is not found")
	}

	tamper(t, s, `UPDATE threads SET sealed = zeroblob(80) WHERE mailbox = '`+s.mailboxMAC(addr(t, "anna@example.org"))+`'`)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{m1}), "unavailable")
	want(t, thread(t, s, []string{"bo@example.org"}, []string{m1}), m1+`:2 [{"`+m1+`":"`+gb+`"}]`)
}

// A row that was given to another mailbox does not open.
func TestThreadRowsAreBoundToTheirMailbox(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"})
	a.Jobs[0].Seen = []Seen{{ID: "m@x", As: "g@x"}}
	mustAccept(t, s, a)
	tamper(t, s, `UPDATE threads SET mailbox = '`+s.mailboxMAC(addr(t, "bo@example.org"))+`'`)
	want(t, thread(t, s, []string{"bo@example.org"}, []string{"m@x"}), "unavailable")
}

// What is written with a refused or failed change is not there; a release adds what is seen.
func TestThreadsFollowTheirMessage(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	held := acceptance(t, []byte("x"), Held, []string{"anna@example.org"})
	held.Jobs[0].Seen = []Seen{{ID: "m@x"}}
	mustAccept(t, s, held)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"m@x"}), `m@x:1 [{"m@x":""}]`)

	again := held // the same id twice: nothing of it may be committed
	again.Jobs = []NewJob{held.Jobs[0]}
	again.Jobs[0].Seen = []Seen{{ID: "other@x", As: "g@x"}}
	wantKind(t, s.Accept(t.Context(), again), fault.Conflict)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"other@x"}), "absent")

	job := held.Jobs[0]
	job.Variant, job.State, job.Seen = 2, Queued, []Seen{{ID: "m@x", As: "g@x"}}
	if err := s.Decide(t.Context(), Decision{Message: held.Message.ID, By: "sam", Reason: "r", Release: true, Jobs: []NewJob{job},
		Contents: []Content{{Variant: 2, Size: 1, Body: strings.NewReader("x")}}}); err != nil {
		t.Fatal(err)
	}
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"m@x", "g@x"}), `m@x:1 g@x:1 [{"g@x":"g@x","m@x":"g@x"}]`)

	// Resent: held the second time, and what was seen the first time stays.
	resent := acceptance(t, []byte("x"), Held, []string{"anna@example.org"})
	resent.Jobs[0].Seen = []Seen{{ID: "m@x"}}
	mustAccept(t, s, resent)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"m@x"}), `m@x:1 [{"m@x":"g@x"}]`)
}

func TestThreadsAreErasedAndForgotten(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	importCSV(t, s, "ref,name,email\nC-1,Anna,old@example.org;anna@example.org\nC-2,Bo,bo@example.org\n")
	a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}, []string{"bo@example.org"}, []string{"old@example.org"})
	a.Jobs[0].Seen = []Seen{{ID: "m@x", As: "ga@x"}}
	a.Jobs[1].Seen = []Seen{{ID: "m@x", As: "gb@x"}}
	a.Jobs[2].Seen = []Seen{{ID: "m@x", As: "go@x"}}
	mustAccept(t, s, a)

	// An address that is nobody's any more is forgotten with it.
	importCSV(t, s, "ref,name,email\nC-1,Anna,anna@example.org\n")
	want(t, thread(t, s, []string{"old@example.org"}, []string{"go@x"}), "go@x:1 [{}]")
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"ga@x"}), `ga@x:1 [{"ga@x":"ga@x"}]`)

	mailbox := []byte(s.mailboxMAC(addr(t, "anna@example.org")))
	var sealed []byte
	if err := s.queryRow(t.Context(), `SELECT sealed FROM threads WHERE mailbox = $1`, []any{string(mailbox)}, &sealed); err != nil {
		t.Fatal(err)
	}
	if raw := rawFiles(t, dir); !bytes.Contains(raw, mailbox) || !bytes.Contains(raw, sealed) {
		t.Fatal("not found before erasing: the test looks for the wrong thing")
	}
	if err := s.EraseClient(t.Context(), "C-1", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	if raw := rawFiles(t, dir); bytes.Contains(raw, mailbox) || bytes.Contains(raw, sealed) {
		t.Error("the erased client's mailbox or ids are still in a file")
	}
	// The id is nobody's, and still not the next reader's.
	want(t, thread(t, s, []string{"anna@example.org", "bo@example.org"}, []string{"ga@x", "m@x"}), `ga@x:1 m@x:2 [{},{"m@x":"gb@x"}]`)

	c.add(time.Hour)
	late := acceptance(t, []byte("x"), Queued, []string{"bo@example.org"})
	late.Jobs[0].Seen = []Seen{{ID: "late@x", As: "gl@x"}}
	mustAccept(t, s, late)
	if n, err := s.ForgetThreads(t.Context(), c.now()); err != nil || n != 3 {
		t.Errorf("ForgetThreads = %d, %v; want 3", n, err)
	}
	want(t, thread(t, s, []string{"bo@example.org"}, []string{"m@x"}), "absent")
	want(t, thread(t, s, []string{"bo@example.org"}, []string{"late@x"}), `late@x:1 [{"late@x":"gl@x"}]`)
}

// The three look-ups of a thread use their indexes.
func TestThreadsAreIndexed(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	for _, q := range []string{
		strings.ReplaceAll(findThreads, "$1", `'["a"]'`),
		`UPDATE threads SET mailbox = '' WHERE mailbox IN (SELECT mac FROM lookups WHERE ref = 'x')`,
	} {
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var a, b, n int
			var detail string
			if err := rows.Scan(&a, &b, &n, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN threads") {
				t.Errorf("%s: %s", q, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkResolveThread looks up a thread of twenty ids among many others.
func BenchmarkResolveThread(b *testing.B) {
	s, _ := openTest(b)
	var ids []string
	for i := range 2000 {
		a := acceptance(b, []byte("x"), Queued, []string{"anna@example.org"})
		id := fmt.Sprintf("%d@mailapp.example", i)
		if i < 20 {
			ids = append(ids, id)
		}
		a.Jobs[0].Seen = []Seen{{ID: id, As: fmt.Sprintf("%d@wh.example", i)}}
		mustAccept(b, s, a)
	}
	e := &mail.Envelope{Recipients: []mail.Recipient{{Address: addr(b, "anna@example.org")}}}
	for name, m := range map[string]*mail.Message{"none": nil, "twenty": answer(b, ids...)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Resolve(b.Context(), e, m, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A database of the first version gets what came later when it is opened: threads, and numbers
// in the register.
func TestAnOlderDatabaseLearns(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	id := mustAccept(t, s, acceptance(t, []byte("x"), Queued, []string{"anna@example.org"}))
	importCSV(t, s, "ref,name,email\nC-1,Anna,anna@example.org\nC-2,Bo,bo@example.org\n")
	for _, undo := range []string{`DROP TABLE threads`, `DROP TABLE facts`, `DROP TABLE marks`, `DROP TABLE policies`, `DROP TABLE client_keys`, `DROP TABLE role_keys`, `DROP INDEX clients_id`, `DROP INDEX clients_changed`, `DROP INDEX erased_client`, `DROP INDEX erased_changed`,
		`ALTER TABLE clients DROP COLUMN id`, `ALTER TABLE clients DROP COLUMN changed`, `ALTER TABLE erased DROP COLUMN client`, `ALTER TABLE erased DROP COLUMN changed`,
		`DELETE FROM goose_db_version WHERE version_id >= 2`} {
		tamper(t, s, undo)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, c.options(dir))
	a := acceptance(t, []byte("x"), Queued, []string{"anna@example.org"})
	a.Jobs[0].Seen = []Seen{{ID: "m@x", As: "g@x"}}
	mustAccept(t, s, a)
	want(t, thread(t, s, []string{"anna@example.org"}, []string{"m@x"}), `m@x:1 [{"m@x":"g@x"}]`)
	if jobs, err := s.Jobs(t.Context(), JobFilter{Message: id}); err != nil || len(jobs) != 1 {
		t.Errorf("the older message: %v, %v", jobs, err)
	}
	if _, err := s.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseClient(t.Context(), "C-1", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	if w, err := s.Watch(t.Context()); err != nil || !slices.Equal(w.Refs(), []string{"C-2"}) {
		t.Errorf("the older register: %v, %v", w.Refs(), err)
	}
}
