package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// trial is a bench with two rules that only observe, at ten in London on a day in summer.
func trial(t *testing.T) *bench {
	t.Helper()
	b := newBenchOn(t, mailFS(t, func(s string) string {
		return s + "\n  - {name: Long emails wait, id: long, when: {to: client, words_more_than: 20}, do: [hold, {tell: safeguarding_lead}], mode: observe}\n" +
			"  - {name: Quotes go, id: quotes, when: {to: client}, do: [trim_quotes], mode: observe}\n"
	}))
	b.now = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	return b
}

// notes are the summaries that wait to be delivered.
func (b *bench) notes() []*mail.Message {
	b.t.Helper()
	jobs, err := b.store.Jobs(b.t.Context(), store.JobFilter{States: []store.State{store.Queued}})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []*mail.Message
	for _, j := range jobs {
		if j.Kind == store.KindNotice {
			if m := b.content(j.Message, j.Variant); strings.Contains(m.Subject, "on trial") {
				if !slices.Equal(j.Recipients, []mail.Address{{LocalPart: "sam", Domain: "willowhouse.example"}}) || !j.Reverse.IsZero() {
					b.t.Errorf("a note goes to %v from %v", j.Recipients, j.Reverse)
				}
				out = append(out, m)
			}
		}
	}
	return out
}

func (b *bench) summarise(at time.Time) int {
	b.t.Helper()
	b.now = at
	if err := b.g.SummariseObserved(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return len(b.notes())
}

func TestObservedRulesAreSummedUpOnceADay(t *testing.T) {
	t.Parallel()
	b := trial(t)
	london := b.snap.Location()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 7, day, hour, minute, 0, 0, london) }
	b.now = at(1, 23, 58)
	long := b.submit("Your group on Tuesday", strings.Repeat("We meet at the blue door. ", 10), clientAt(0), clientAt(1))
	short := b.submit("Thursday", "See you at three.", clientAt(2))
	b.now = at(2, 0, 0)
	next := b.submit("Thursday", "See you at four.", clientAt(2))

	for _, early := range []time.Time{at(1, 23, 59), at(2, 0, 1), at(2, 6, 59)} {
		if n := b.summarise(early); n != 0 {
			t.Fatalf("%d notes at %v", n, early)
		}
	}
	if n := b.summarise(at(2, 7, 0)); n != 1 {
		t.Fatalf("%d notes in the morning", n)
	}
	m := b.notes()[0]
	var text string
	for p := range m.Parts() {
		text += p.Text
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"On 1 July 2026 rules that only observe had something to say about 2 emails. They changed and held nothing.",
		"Long emails wait (long): would have held and told somebody of 1 email: " + string(long) + ".",
		"Quotes go (quotes): would have changed (trim quotes) 2 emails: " + string(long) + ", " + string(short) + "."} {
		if !strings.Contains(text, want) {
			t.Errorf("the note lacks %q:\n%s", want, text)
		}
	}
	for _, not := range []string{string(next), "blue", "group", "Thursday", "anna", "C-010"} {
		if strings.Contains(text+m.Subject, not) {
			t.Errorf("the note says %q:\n%s", not, text)
		}
	}
	// Once: whenever it is asked again, and by a program that was started anew.
	if n := b.summarise(at(2, 7, 5)); n != 1 {
		t.Errorf("%d notes five minutes later", n)
	}
	b.restart()
	if n := b.summarise(at(2, 23, 0)); n != 1 {
		t.Errorf("%d notes after a restart", n)
	}
	// The second day has its own; the third, on which nothing was observed, has none.
	b.now = at(3, 12, 0)
	b.submit("Rota", "I can take Monday.", mail.Address{LocalPart: "sam", Domain: "willowhouse.example"})
	if n := b.summarise(at(4, 9, 0)); n != 2 {
		t.Errorf("%d notes after two more days", n)
	}
	if n := b.summarise(at(30, 9, 0)); n != 2 {
		t.Errorf("%d notes in the end", n)
	}
}

// restart opens the same store again, as a new process does.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.store, b.g = b.another()
}

func (b *bench) another() (*store.Store, *Gateway) {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), store.Options{Dir: b.dir, MasterKey: []byte(strings.Repeat("k", 32)), Now: func() time.Time { return b.now }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { s.Close() })
	g, err := New(Config{Store: s, Policy: b.snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return b.now }})
	if err != nil {
		b.t.Fatal(err)
	}
	return s, g
}

// Several processes that all find the morning come make one note between them.
func TestSeveralProcessesMakeOneSummary(t *testing.T) {
	t.Parallel()
	b := trial(t)
	b.submit("Thursday", "See you at three.", clientAt(2))
	b.now = b.now.AddDate(0, 0, 1)
	gateways := []*Gateway{b.g}
	for range 3 {
		_, g := b.another()
		gateways = append(gateways, g)
	}
	var all errgroup.Group
	for i := range 12 {
		all.Go(func() error { return gateways[i%4].SummariseObserved(t.Context()) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(b.notes()); n != 1 {
		t.Errorf("%d notes", n)
	}
}

// After some days of standing still each day is summed up, but not what is long past.
func TestSummariesCatchUp(t *testing.T) {
	t.Parallel()
	b := trial(t)
	start := b.now
	for day := range 10 {
		b.now = start.AddDate(0, 0, day)
		b.submit("Thursday", "See you at three.", clientAt(2))
	}
	if n := b.summarise(start.AddDate(0, 0, 10)); n != summaryDays {
		t.Errorf("%d notes", n)
	}
}

// A rule on trial shows in the audit beside what acted, not among it.
func TestTheAuditTellsObservedRulesApart(t *testing.T) {
	t.Parallel()
	b := trial(t)
	id := b.submit("Thursday", strings.Repeat("We meet at the blue door. ", 10), clientAt(2))
	found := false
	if err := b.store.Audit(t.Context(), func(e store.Row) error {
		if e.Kind == "accepted" && e.Message == id {
			found = e.Data["observed"] == "long quotes" && e.Data["rules"] == ""
		}
		return nil
	}); err != nil || !found {
		t.Errorf("observed is not told apart (%v)", err)
	}
}
