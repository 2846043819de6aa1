package gateway

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/policies"
)

// withMail returns the shipped policies without tests, with mail.yaml changed.
func withMail(t testing.TB, change func(string) string) *policy.Snapshot {
	t.Helper()
	s, err := policy.Load(mailFS(t, change))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mailFS(t testing.TB, change func(string) string) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	if err := fs.WalkDir(policies.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(p, "tests/") {
			return err
		}
		b, err := fs.ReadFile(policies.Files, p)
		if p == "mail.yaml" {
			b = []byte(change(string(b)))
		}
		m[p] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

var stranger = mail.Address{LocalPart: "someone", Domain: "elsewhere.example"}

// submit puts a message through the door; a refusal is an answer too.
func (b *bench) submit(subject, body string, to ...mail.Address) mail.ID {
	b.t.Helper()
	e := b.envelope(to...)
	if _, err := b.g.Submit(b.t.Context(), e, strings.NewReader(letterTo(subject, body, to...))); err != nil && fault.KindOf(err) != fault.Rejected {
		b.t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	return e.ID
}

func (b *bench) replay(snap *policy.Snapshot) map[mail.ID]ReplayedMessage {
	b.t.Helper()
	r, err := b.g.Replay(b.t.Context(), snap, noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[mail.ID]ReplayedMessage{}
	for _, m := range r.Changed {
		out[m.ID] = m
	}
	return out
}

func TestReplayOfThePast(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plain := b.submit("Thursday", "See you at three.", clientAt(0))
	long := b.submit("Thursday", strings.Repeat("we meet at the blue door ", 20), clientAt(1))
	held := b.submit("Hello", "Here is the form.", stranger)
	stopped := b.submit("Hello", "Here is the form again.", stranger)
	if err := b.g.Withdraw(t.Context(), stopped, "sam", "wrong person"); err != nil {
		t.Fatal(err)
	}
	if got := b.replay(b.snap); len(got) != 0 {
		t.Errorf("under the same policies: %+v", got)
	}

	// Rules that ask what was kept.
	long50 := withMail(t, func(s string) string {
		return s + "\n  - {name: Short emails only, id: short, when: {to: client, words_more_than: 50}, do: [hold]}\n"
	})
	got := b.replay(long50)
	if m := got[long]; len(got) != 1 || m.Before != "send" || m.After != "hold" || m.Rule != "short" || m.Weaker || m.Exact || m.Unchecked {
		t.Errorf("a stricter rule: %+v", got)
	}
	// Whoever is on a list of today was not unknown.
	free := withMail(t, func(s string) string {
		return strings.ReplaceAll(s, "when: {to: unknown}", "when: {to: unknown, size_more_than: 10 MB}")
	})
	got = b.replay(free)
	if m := got[held]; m.After != "send" || !m.Weaker || !m.Exact || m.Unchecked || m.Rule != "unknown-recipient" {
		t.Errorf("what is still there is evaluated anew: %+v", m)
	}
	if m := got[stopped]; m.After != "send" || !m.Weaker || m.Exact || !m.Unchecked {
		t.Errorf("what is gone is known by what was kept: %+v", m)
	}
	if len(got) != 2 {
		t.Errorf("%+v", got)
	}
	// A list that did not exist was not asked about.
	words := mailFS(t, func(s string) string {
		return s + "\n  - {name: Doors, id: doors, when: {to: client, mentions: [doors]}, do: [hold]}\n"
	})
	words["words/doors.txt"] = &fstest.MapFile{Data: []byte("blue door\n"), Mode: 0o644}
	asked, err := policy.Load(words)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.g.Replay(t.Context(), asked, noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || r.Unknown != 2 || r.Messages != 4 || r.Weaker != 0 || !strings.Contains(r.Changed[0].Reason, "doors: mentions doors") {
		t.Errorf("%+v (%v)", r, err)
	}
	_ = plain
}

// A refusal leaves no content; what was kept is enough.
func TestReplayOfARefusal(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, mailFS(t, func(s string) string {
		return s + "\n  - {name: No marks, id: no-marks, when: {to: client, subject_starts: \"[x]\"}, do: [refuse]}\n"
	}))
	refused := b.submit("[x] Thursday", "See you.", clientAt(0))
	got := b.replay(withMail(t, func(s string) string { return s }))
	if m := got[refused]; m.Before != "refuse" || m.After != "send" || !m.Weaker || !m.Unchecked || m.Rule != "no-marks" {
		t.Errorf("%+v", got)
	}
}

// The facts hold nothing of the mail, are sealed, and go with the client and with time.
func TestFactsHoldNoContent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.submit("Canary subject", "canary body", clientAt(0))
	b.submit("Thursday", "x", clientAt(1))
	count := func() (n int) {
		db, err := sql.Open("sqlite", filepath.Join(b.dir, "plaincover.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow(`SELECT count(*) FROM facts`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query(`SELECT who, sealed FROM facts`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var who string
			var sealed []byte
			if err := rows.Scan(&who, &sealed); err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{"anna", "example.org", "recipients", "client"} {
				if strings.Contains(who+string(sealed), s) {
					t.Errorf("facts show %q in clear", s)
				}
			}
		}
		return n
	}
	if n := count(); n != 2 {
		t.Fatalf("%d rows", n)
	}
	if err := b.store.EraseClient(t.Context(), "C-0101", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d rows after a client was erased", n)
	}
	r, err := b.g.Replay(t.Context(), b.snap, noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || r.Unknown != 1 || r.Messages != 2 {
		t.Errorf("%+v (%v)", r, err)
	}
	if n, err := b.store.ForgetFacts(t.Context(), b.now.Add(time.Hour)); err != nil || n != 1 {
		t.Errorf("forgot %d (%v)", n, err)
	}
}
