package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// bench is a gateway on a real store with the shipped policies and a few clients.
type bench struct {
	t     testing.TB
	g     *Gateway
	store *store.Store
	snap  *policy.Snapshot
	now   time.Time
	dir   string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	return newBenchOn(t, policies.Files)
}

// newBenchOn is a bench with other policies.
func newBenchOn(t testing.TB, fsys fs.FS) *bench {
	t.Helper()
	snap, err := policy.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, snap: snap, now: noon, dir: t.TempDir()}
	b.store, err = store.Open(t.Context(), store.Options{Dir: b.dir, MasterKey: []byte(strings.Repeat("k", 32)), Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.store.Close() })
	no := false
	var rows []store.ClientRow
	for i, name := range []string{"Anna Archer", "Ben Baker", "Cara Cole", "Dev Dale"} {
		rows = append(rows, store.ClientRow{Client: filter.Client{
			Ref: fmt.Sprintf("C-010%d", i+1), Name: name, Email: []mail.Address{clientAt(i)}, Discreet: &no,
			Born: time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC), Country: "GB", Practitioner: "maya", Word: fmt.Sprintf("word%c", 'a'+i),
		}})
	}
	if _, err := b.store.ImportClients(t.Context(), rows, "sam"); err != nil {
		t.Fatal(err)
	}
	b.g, err = New(Config{Store: b.store, Policy: snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func clientAt(i int) mail.Address {
	return mail.Address{LocalPart: []string{"anna", "ben", "cara", "dev"}[i], Domain: "example.org"}
}

func (b *bench) agree(refs ...string) {
	b.t.Helper()
	for _, ref := range refs {
		err := b.store.RecordConsent(b.t.Context(), store.ConsentRow{Ref: ref, Purpose: "group_email", GivenOn: noon.AddDate(0, -1, 0),
			ExpiresOn: noon.AddDate(0, 11, 0), How: "form", RecordedBy: "sam", Evidence: "form", Wording: "group-consent-v1"}, b.purposes(), "sam")
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) purposes() store.Purposes {
	p := store.Purposes{}
	for name, r := range b.snap.Clients.Consents {
		p[name] = store.Purpose{Wording: r.Wording}
	}
	return p
}

var maya = mail.Address{LocalPart: "maya", Domain: "willowhouse.example"}

func (b *bench) envelope(to ...mail.Address) *mail.Envelope {
	b.t.Helper()
	id, err := b.g.NewID()
	if err != nil {
		b.t.Fatal(err)
	}
	e := &mail.Envelope{ID: id, Submitter: "maya", Reverse: maya, ReceivedAt: b.now}
	for _, a := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: a})
	}
	return e
}

func letterTo(subject, body string, to ...mail.Address) string {
	var names []string
	for _, a := range to {
		names = append(names, a.String())
	}
	return "From: Maya Okafor <maya@willowhouse.example>\r\nTo: " + strings.Join(names, ", ") + "\r\nSubject: " + subject +
		"\r\nDate: Wed, 04 Mar 2026 11:59:00 +0000\r\nMessage-ID: <orig@laptop.willowhouse.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body + "\r\n"
}

// copies are the messages that the store would deliver, by recipient.
func (b *bench) copies(id mail.ID) map[string]*mail.Message {
	b.t.Helper()
	out := map[string]*mail.Message{}
	jobs, err := b.store.Jobs(b.t.Context(), store.JobFilter{Message: id, States: []store.State{store.Queued}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, j := range jobs {
		for _, r := range j.Recipients {
			out[r.String()] = b.content(id, j.Variant)
		}
	}
	return out
}

func (b *bench) content(id mail.ID, variant int) *mail.Message {
	b.t.Helper()
	c, err := b.store.Content(b.t.Context(), id, variant)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	m, err := mail.Parse(c, c.Size(), mail.DefaultLimits())
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func raw(t testing.TB, m *mail.Message) string {
	t.Helper()
	all, err := io.ReadAll(m.Source())
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestPromise1EachClientGetsACopyOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to := []mail.Address{clientAt(0), clientAt(1), clientAt(2)}
	e := b.envelope(to...)
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Your trauma group", "See you on Tuesday.", to...)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "queued as " + string(e.ID); r.Text != want {
		t.Errorf("reply %q, want %q", r.Text, want)
	}
	got := b.copies(e.ID)
	if len(got) != 3 {
		t.Fatalf("%d copies, want 3", len(got))
	}
	for i, a := range to {
		m := got[a.String()]
		if len(m.To) != 1 || m.To[0].Address != a || len(m.Cc) != 0 {
			t.Errorf("copy for %d shows %v and %v", i, m.To, m.Cc)
		}
		s := raw(t, m)
		for j, other := range to {
			if i != j && strings.Contains(s, other.LocalPart+"@") {
				t.Errorf("copy %d names recipient %d", i, j)
			}
		}
		for _, w := range []string{"trauma", "willowhouse", "Okafor", "laptop"} {
			if strings.Contains(s, w) {
				t.Errorf("copy %d still says %q", i, w)
			}
		}
		if strings.Count(s, "116 123") != 1 {
			t.Errorf("copy %d has the crisis lines %d times", i, strings.Count(s, "116 123"))
		}
	}
}

func TestAgreedGroupStaysTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agree("C-0101", "C-0102")
	to := []mail.Address{clientAt(0), clientAt(1)}
	e := b.envelope(to...)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("[together] Picnic", "Bring a blanket.", to...))); err != nil {
		t.Fatal(err)
	}
	jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID})
	if err != nil || len(jobs) != 1 || len(jobs[0].Recipients) != 2 {
		t.Fatalf("jobs %v, %v: want one with both", jobs, err)
	}
	if s := b.content(e.ID, jobs[0].Variant).Subject; strings.Contains(s, "[together]") || strings.Contains(s, "word") {
		t.Errorf("subject %q has the tag or one client's word", s)
	}
}

func TestIdentityIsCheckedEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	e := b.envelope()
	e.Reverse = sam
	if fe := asFault(t, b.g.Check(t.Context(), e)); fe.Status.Code != 553 || !strings.HasSuffix(fe.Public, "[M01 "+string(e.ID)+"]") {
		t.Errorf("MAIL FROM of somebody else: %+v", fe)
	}
	e = b.envelope() // B10: a read receipt has the null reverse-path, and does not leave
	e.Reverse = mail.Address{}
	if fe := asFault(t, b.g.Check(t.Context(), e)); fe.Status.Code != 553 {
		t.Errorf("MAIL FROM:<>: %+v", fe)
	}
	for _, field := range []string{"From: sam@willowhouse.example", "From: maya@willowhouse.example\r\nSender: sam@willowhouse.example"} {
		e := b.envelope(clientAt(0))
		msg := strings.Replace(letterTo("Hi", "Hello.", clientAt(0)), "From: Maya Okafor <maya@willowhouse.example>", field, 1)
		_, err := b.g.Submit(t.Context(), e, strings.NewReader(msg))
		if fe := asFault(t, err); fe.Kind != fault.Rejected || fe.Status.Code != 550 || !strings.Contains(fe.Public, "[M01 ") {
			t.Errorf("%q: %+v", field, fe)
		}
		if c := b.copies(e.ID); len(c) != 0 {
			t.Errorf("%q: %d copies of a refused message", field, len(c))
		}
	}
}

// TestB21_TwoFieldsAreNamed is the row at the door: the reply names the header field.
func TestB21_TwoFieldsAreNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	_, err := b.g.Submit(t.Context(), e, strings.NewReader("Subject: one\r\n"+letterTo("two", "x", clientAt(0))))
	if fe := asFault(t, err); fe.Status.Code != 550 || fe.Status.Enhanced() != "5.6.0" || !strings.Contains(fe.Public, "(Subject)") {
		t.Errorf("%+v", fe)
	}
}

func asFault(t testing.TB, err error) *fault.Error {
	t.Helper()
	fe, ok := err.(*fault.Error)
	if !ok {
		t.Fatalf("error %v is not classified", err)
	}
	return fe
}

func TestARefusalLeavesAnAuditRowAndANotice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	msg := strings.Replace(letterTo("Secret canary subject", "canary body", clientAt(0)), "From: Maya Okafor <maya@willowhouse.example>", "From: sam@willowhouse.example", 1)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err == nil {
		t.Fatal("accepted")
	}
	if _, err := b.store.Content(t.Context(), e.ID, 0); err == nil {
		t.Error("the content of a refused message was kept")
	}
	notices := b.noticesAbout(e.ID)
	if len(notices) != 1 {
		t.Fatalf("%d notices, want 1", len(notices))
	}
	b.neutral(notices[0], maya)
}

// noticesAbout returns the notices about a message.
func (b *bench) noticesAbout(id mail.ID) []*mail.Message {
	b.t.Helper()
	jobs, err := b.store.Jobs(b.t.Context(), store.JobFilter{})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []*mail.Message
	for _, j := range jobs {
		if j.About == id {
			if !j.Reverse.IsZero() {
				b.t.Errorf("a notice with reverse-path %v", j.Reverse)
			}
			out = append(out, b.content(j.Message, j.Variant))
		}
	}
	return out
}

// neutral checks that a notice shows nothing of the mail.
func (b *bench) neutral(m *mail.Message, to mail.Address) {
	b.t.Helper()
	if len(m.To) != 1 || m.To[0].Address != to {
		b.t.Errorf("notice to %v, want %v", m.To, to)
	}
	s := raw(b.t, m)
	for _, w := range []string{"canary", "anna@", "Archer", "Secret"} {
		if strings.Contains(s, w) {
			b.t.Errorf("the notice says %q:\n%s", w, s)
		}
	}
	if v, _ := m.Root.Get("Auto-Submitted"); v != "auto-generated" {
		b.t.Error("the notice does not say Auto-Submitted")
	}
	for _, w := range []string{"SEND", "LOCK", "CANCEL", "COLLEAGUE"} {
		if strings.Contains(s, w) {
			b.t.Errorf("the notice offers %s, which nobody reads yet", w)
		}
	}
}

func TestHeldAndReleased(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := mail.Address{LocalPart: "new", Domain: "example.net"}
	e := b.envelope(stranger)
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("canary", "Hello.", stranger)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Text, "held as "+string(e.ID)+". this address") && !strings.HasPrefix(r.Text, "held as "+string(e.ID)+". This address") {
		t.Errorf("reply %q", r.Text)
	}
	if !strings.HasSuffix(r.Text, "[M05]") {
		t.Errorf("reply %q does not end in [M05]", r.Text)
	}
	if n := b.noticesAbout(e.ID); len(n) != 1 {
		t.Fatalf("%d notices, want 1", len(n))
	} else {
		b.neutral(n[0], maya)
	}
	for who, want := range map[string]fault.Kind{"maya": fault.Forbidden, "nobody": fault.NotFound, "diary": fault.NotFound} {
		if _, err := b.g.Release(t.Context(), e.ID, who, "it is fine"); fault.KindOf(err) != want {
			t.Errorf("release by %s: %v, want %v", who, err, want)
		}
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", " "); fault.KindOf(err) != fault.Invalid {
		t.Errorf("release without a reason: %v", err)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Fatal("held mail is queued")
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "confirmed by phone"); err != nil {
		t.Fatal(err)
	}
	if len(b.copies(e.ID)) != 1 {
		t.Fatal("released mail is not queued")
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "again"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("second release: %v", err)
	}
	if err := b.g.Withdraw(t.Context(), e.ID, "sam", "too late"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("stop after release: %v", err)
	}
}

// What disk or hand has damaged is never released; it can be refused, and its sender is told.
func TestDamagedIsRefusedAndTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to := mail.Address{LocalPart: "stranger", Domain: "example.com"}
	e := b.envelope(to)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "y", to))); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "plaincover.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE messages SET sealed = x'00' WHERE id = $1`, string(e.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "checked"); !store.Damaged(err) {
		t.Fatalf("Release: %v", err)
	}
	if err := b.g.Withdraw(t.Context(), e.ID, "sam", "cannot be read"); err != nil {
		t.Fatal(err)
	}
	about, err := b.store.About(t.Context(), e.ID)
	if err != nil || len(about) != 2 { // held, then stopped
		t.Fatalf("notices: %v, %v", about, err)
	}
}

// TestHoldForTellsWhoDecides: the person named in hold_for gets a note of their own, with the
// rule's reason and how to decide, and nothing of the mail.
func TestHoldForTellsWhoDecides(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	young := store.ClientRow{Client: filter.Client{Ref: "C-0999", Name: "Yara Young", Email: []mail.Address{{LocalPart: "yara", Domain: "example.org"}},
		Born: noon.AddDate(-15, 0, 0), Country: "GB", Practitioner: "maya"}}
	if _, err := b.store.ImportClients(t.Context(), []store.ClientRow{young}, "sam"); err != nil {
		t.Fatal(err)
	}
	e := b.envelope(young.Email[0])
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("canary", "I wonder how your inner child felt in our last session. How does that make you feel?", young.Email[0]))); err != nil {
		t.Fatal(err)
	}
	var toSender, toSam int
	for _, n := range b.noticesAbout(e.ID) {
		s := raw(t, n)
		switch n.To[0].Address.LocalPart {
		case "maya":
			toSender++
			b.neutral(n, maya)
		case "sam":
			toSam++
			if !strings.Contains(s, "Maya's 12:00 email to C-0999 waits for you.") || !strings.Contains(s, "held show "+string(e.ID)) || strings.Contains(s, "Your 12:00") || strings.Contains(s, "canary") {
				t.Errorf("notice to the person who decides:\n%s", s)
			}
		}
	}
	if toSender != 1 || toSam != 1 {
		t.Errorf("%d notices to the sender and %d to the person who decides, want one each", toSender, toSam)
	}
	for who, want := range map[string]bool{"sam": true, "maya": false} {
		if err := b.g.CheckDecision(t.Context(), e.ID, who, true); (err == nil) != want {
			t.Errorf("CheckDecision for %s: %v", who, err)
		}
	}
}

// TestALockIsNeverReleasedInClear is promise 5 for a client without words.
func TestALockIsNeverReleasedInClear(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("[secure] x", "Hello.", clientAt(0))))
	if err != nil || !strings.HasPrefix(r.Text, "held as ") {
		t.Fatal(r, err)
	}
	_, err = b.g.Release(t.Context(), e.ID, "sam", "please")
	if fault.KindOf(err) != fault.Conflict || strings.Contains(err.Error(), "Held: ") {
		t.Errorf("release of what must be locked: %v", err)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Error("what must be locked is queued in clear")
	}
	for _, n := range b.noticesAbout(e.ID) {
		if s := raw(t, n); strings.Contains(s, "Ask Sam to send it") {
			t.Errorf("the notice sends people to somebody who cannot help:\n%s", s)
		}
	}
}

// TestOwnReleaseWaitsAndIsTold: self_with_delay lets a sender release what no rule fixed, later,
// and somebody else hears of it.
func TestOwnReleaseWaitsAndIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	msg := strings.Replace(letterTo("x", "Hello.", clientAt(0)), "To: anna@example.org", "To: \"ben@example.net\" <anna@example.org>", 1)
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(msg))
	if err != nil || !strings.HasPrefix(r.Text, "held as ") {
		t.Fatal(r, err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "maya", "it is her own name"); err != nil {
		t.Fatal(err)
	}
	if jobs, err := b.store.Claim(t.Context(), 10, time.Minute); err != nil || slices.ContainsFunc(jobs, func(j store.Job) bool { return j.Message == e.ID }) {
		t.Errorf("it goes at once: %v %v", jobs, err)
	}
	told := slices.ContainsFunc(b.noticesAbout(e.ID), func(m *mail.Message) bool {
		return m.To[0].Address.LocalPart == "sam" && strings.Contains(raw(t, m), "let their own 12:00 email to C-0101 go. It leaves at 12:15.")
	})
	if !told {
		t.Error("nobody who may release was told")
	}
}

// TestHTMLThatCannotBeEditedIsSaid: never a broken page, and never without a word.
func TestHTMLThatCannotBeEditedIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	msg := strings.Replace(letterTo("x", "", clientAt(0)), "Content-Type: text/plain; charset=utf-8\r\n\r\n", "Content-Type: multipart/alternative; boundary=b\r\n\r\n", 1) +
		"--b\r\nContent-Type: text/plain\r\n\r\nThe text form.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>The page <div\r\n--b--\r\n"
	a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", Mail: strings.NewReader(msg), Size: int64(len(msg))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Outcome != "send" || len(a.Messages) != 1 || !slices.ContainsFunc(a.Messages[0].Changes, func(s string) bool { return strings.HasPrefix(s, "HTML form left out") }) {
		t.Errorf("%+v", a)
	}
}

// TestANamedAlternativeIsText: mail apps show it as the message, whatever name it bears.
func TestANamedAlternativeIsText(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"Content-Type: text/html; name=b.html", "Content-Type: text/html\r\nContent-Disposition: attachment; filename=b.html"} {
		b := newBench(t)
		msg := strings.Replace(letterTo("x", "", clientAt(0)), "Content-Type: text/plain; charset=utf-8\r\n\r\n", "Content-Type: multipart/alternative; boundary=b\r\n\r\n", 1) +
			"--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b\r\n" + field + "\r\n\r\n<p>You wrote about suicide.</p>\r\n--b--\r\n"
		e := b.envelope(clientAt(0))
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil {
			t.Fatal(err)
		}
		for _, m := range b.copies(e.ID) {
			for p := range m.Parts() {
				if p.MediaType == "text/html" && !strings.Contains(p.Text, "116 123") {
					t.Errorf("%s: no crisis lines in\n%s", field, p.Text)
				}
			}
		}
		if n := b.noticesAbout(e.ID); len(n) != 1 || n[0].To[0].Address.LocalPart != "sam" {
			t.Errorf("%s: the danger words were not seen: %d notices", field, len(n))
		}
	}
}

func TestWithdrawnNeverLeaves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := mail.Address{LocalPart: "new", Domain: "example.net"}
	e := b.envelope(stranger)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "Hello.", stranger))); err != nil {
		t.Fatal(err)
	}
	if err := b.g.Withdraw(t.Context(), e.ID, "sam", "wrong person"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "oops"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("release after stop: %v", err)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Error("stopped mail is queued")
	}
	if n := b.noticesAbout(e.ID); len(n) != 2 {
		t.Errorf("%d notices, want 2 (held, stopped)", len(n))
	}
}

func TestALeakHolds(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"address":                      "Ask ben@example.org, he was there too.",
		"code":                         "As with C-0102 last week.",
		"full name of another of mine": "You may know Ben Baker.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			e := b.envelope(clientAt(0))
			r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", body, clientAt(0))))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(r.Text, "held as ") || !strings.HasSuffix(r.Text, "[M26]") {
				t.Errorf("reply %q, want held for the leak", r.Text)
			}
			if len(b.copies(e.ID)) != 0 {
				t.Error("a copy that names another client is queued")
			}
			for _, n := range b.noticesAbout(e.ID) {
				if s := raw(t, n); strings.Contains(s, "ben@") || strings.Contains(s, "Baker") || strings.Contains(s, "C-0102") {
					t.Error("the notice repeats what leaked")
				}
			}
			if _, err := b.g.Release(t.Context(), e.ID, "sam", "they are siblings"); err != nil {
				t.Fatal(err)
			}
			if len(b.copies(e.ID)) != 1 {
				t.Error("not queued after release by another person")
			}
		})
	}
}

// brokenFacts is a register that cannot be read.
type brokenFacts struct{ FactSource }

func (brokenFacts) Resolve(context.Context, *mail.Envelope, *mail.Message, filter.Need) (*filter.Facts, error) {
	return nil, fmt.Errorf("disk on fire at anna@example.org")
}

func TestAnUnreadableRegisterIs451(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.g.facts = brokenFacts{b.store}
	e := b.envelope(clientAt(0))
	_, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "y", clientAt(0))))
	fe := asFault(t, err)
	if fe.Kind != fault.Unavailable || !strings.Contains(fe.Public, "[M14]") || strings.Contains(fe.Public, "anna") {
		t.Errorf("%+v", fe)
	}
	if err := b.g.Check(t.Context(), e); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("at RCPT: %v", err)
	}
}

// A message that is not read to its end has no size to be told: it is over the limit.
func TestTooLargeSaysOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.g.limits.Bytes = 1_000_000
	_, err := b.g.Submit(t.Context(), b.envelope(clientAt(0)), strings.NewReader(strings.Repeat("x", 3_000_000)))
	if fe := asFault(t, err); fe.Kind != fault.TooLarge || !strings.Contains(fe.Public, "the email is over 1 MB and the limit is 1 MB") {
		t.Errorf("%+v", fe)
	}
}

func TestDSNIsNeutral(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("canary subject", "canary body", clientAt(0)))); err != nil {
		t.Fatal(err)
	}
	jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	res := []store.Result{{Outcome: store.OutPermanent, Status: fault.Status{Code: 550, Subject: 1, Detail: 1}, Reply: "no such user", Remote: "smart.example"}}
	a, ok, err := b.g.Report(t.Context(), jobs[0], res)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	body, err := io.ReadAll(io.NewSectionReader(a.Contents[0].Body, 0, a.Contents[0].Size))
	if err != nil {
		t.Fatal(err)
	}
	s := string(body)
	for _, want := range []string{"C-0101", "5.1.1", "rfc822; anna@example.org", "<orig@laptop.willowhouse.example>", "multipart/report"} {
		if !strings.Contains(s, want) {
			t.Errorf("the DSN lacks %q:\n%s", want, s)
		}
	}
	if strings.Contains(s, "canary") || strings.Contains(s, "Archer") {
		t.Errorf("the DSN shows content:\n%s", s)
	}
	for _, kind := range []store.Kind{store.KindDSN, store.KindNotice} {
		j := jobs[0]
		j.Kind = kind
		if _, ok, err := b.g.Report(t.Context(), j, res); ok || err != nil {
			t.Errorf("a DSN for a %s: %v %v", kind, ok, err)
		}
	}
}

// One transaction may have several recipients, who fare differently: a DSN names those who
// will never get the message, and neither who has it nor who is tried again.
func TestDSNNamesOnlyWhoFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to := []mail.Address{clientAt(0), clientAt(1), clientAt(2), clientAt(3)}
	e := b.envelope(to...)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "y", to...))); err != nil {
		t.Fatal(err)
	}
	jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID})
	if err != nil || len(jobs) == 0 {
		t.Fatal(jobs, err)
	}
	j := jobs[0]
	j.Recipients = to
	res := make([]store.Result, len(to))
	for i, o := range []store.Outcome{store.OutDelivered, store.OutPermanent, store.OutTransient, store.OutUnknown} {
		res[i] = store.Result{Outcome: o, Status: fault.Status{Code: 550, Subject: 1, Detail: 1}, Reply: "said"}
	}
	a, ok, err := b.g.Report(t.Context(), j, res)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	body, err := io.ReadAll(io.NewSectionReader(a.Contents[0].Body, 0, a.Contents[0].Size))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range to {
		_, sealed, _, err := b.store.Get(t.Context(), e.ID)
		var acc account
		if err != nil || json.Unmarshal(sealed, &acc) != nil {
			t.Fatal(err)
		}
		code := acc.Facts.Recipients[i].Clients.Value[0].Ref
		for _, s := range []string{r.String(), code} {
			if strings.Contains(string(body), s) != (i == 1) {
				t.Errorf("the DSN and %q (%s):\n%s", s, res[i].Outcome, body)
			}
		}
	}
}

func TestExplainSaysWhatSubmitDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to := []mail.Address{clientAt(0), clientAt(1)}
	msg := letterTo("Your trauma group", "See you on Tuesday.", to...)
	e := b.envelope(to...)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil {
		t.Fatal(err)
	}
	a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", Mail: strings.NewReader(msg), Size: int64(len(msg))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Outcome != "send" || len(a.Messages) != 2 || a.Reply.Code != 250 {
		t.Fatalf("%+v", a)
	}
	for _, m := range a.Messages {
		dry := make([]byte, m.Copy.Size())
		if _, err := m.Copy.ReadAt(dry, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		real := raw(t, b.copies(e.ID)[m.ForwardPaths[0]])
		// Only the id differs between the two.
		_, id, _ := strings.Cut(string(dry), "ESMTPSA id ")
		id, _, _ = strings.Cut(id, ";")
		same := strings.NewReplacer(string(e.ID), "ID", strings.ToLower(string(e.ID)), "ID")
		dryID := strings.NewReplacer(id, "ID", strings.ToLower(id), "ID")
		if got, want := dryID.Replace(string(dry)), same.Replace(real); got != want {
			t.Errorf("explain and submit differ:\n%s\n---\n%s", got, want)
		}
	}
}

func TestShippedPoliciesPassTheirTests(t *testing.T) {
	t.Parallel()
	snap, err := policy.Load(policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	r, err := RunTests(t.Context(), snap)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		for _, f := range res.Failures {
			t.Errorf("%s (%s:%d): %s", res.Name, res.File, res.Line, f)
		}
	}
	if len(r.Results) < 10 {
		t.Errorf("only %d tests", len(r.Results))
	}
	if len(r.Unreached) > 0 {
		t.Errorf("no test reaches %v", r.Unreached)
	}
}

// TestEveryRecipientIsServedOnce is I4 and I1 at the door: whoever the recipients are and
// whatever they agreed to, each is in exactly one job, and no client's copy shows anybody
// who did not agree.
func TestEveryRecipientIsServedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agree("C-0101", "C-0103")
	agreed := []string{"anna@example.org", "cara@example.org"}
	pool := []mail.Address{clientAt(0), clientAt(1), clientAt(2), clientAt(3),
		{LocalPart: "sam", Domain: "willowhouse.example"}, {LocalPart: "new", Domain: "example.net"}}
	rapid.Check(t, func(rt *rapid.T) {
		perm := rapid.Permutation(pool).Draw(rt, "order")
		to := perm[:rapid.IntRange(1, len(perm)).Draw(rt, "n")]
		shown := to[:rapid.IntRange(1, len(to)).Draw(rt, "in header")]
		subject := rapid.SampledFrom([]string{"Tuesday", "[together] Tuesday"}).Draw(rt, "subject")
		e := b.envelope(to...)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo(subject, "See you.", shown...))); err != nil {
			rt.Fatal(err)
		}
		jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID})
		if err != nil {
			rt.Fatal(err)
		}
		count := map[string]int{}
		for _, j := range jobs {
			for _, r := range j.Recipients {
				count[r.String()]++
			}
			if j.State != store.Queued {
				continue
			}
			m := b.content(e.ID, j.Variant)
			for _, r := range j.Recipients {
				if r.Domain != "example.org" {
					continue
				}
				for _, box := range append(slices.Clone(m.To), m.Cc...) {
					s := box.Address.String()
					if s != r.String() && (!slices.Contains(agreed, s) || !slices.Contains(agreed, r.String())) {
						rt.Fatalf("the copy for %s shows %s", r, s)
					}
				}
			}
		}
		for _, a := range to {
			if count[a.String()] != 1 {
				rt.Fatalf("%s is in %d jobs", a, count[a.String()])
			}
		}
		if len(count) != len(to) {
			rt.Fatalf("jobs for %d of %d recipients", len(count), len(to))
		}
	})
}
