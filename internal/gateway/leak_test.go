package gateway

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// audited counts the audit rows of a kind about a message.
func (b *bench) audited(id mail.ID, kind string) (n int) {
	b.t.Helper()
	if err := b.store.Audit(b.t.Context(), func(r store.Row) error {
		if r.Message == id && r.Kind == kind {
			n++
		}
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bench) addClient(ref, name, practitioner string) {
	b.t.Helper()
	if _, err := b.store.ImportClients(b.t.Context(), []store.ClientRow{{Client: filter.Client{Ref: ref, Name: name, Practitioner: practitioner}}}, "sam"); err != nil {
		b.t.Fatal(err)
	}
}

// noted returns what the audit says the leak check saw of a message.
func (b *bench) noted(id mail.ID) (out []string) {
	b.t.Helper()
	if err := b.store.Audit(b.t.Context(), func(r store.Row) error {
		if r.Message == id && r.Data["noted"] != "" {
			out = append(out, r.Data["noted"])
		}
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// The full name alone of somebody else's client is common: the mail leaves, and the account
// and the audit say that it was seen, not what.
func TestANameAloneIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addClient("C-0109", "Gus Green", "sam")
	letter := letterTo("Tuesday", "I read a book by Gus Green.", clientAt(0))
	e := b.envelope(clientAt(0))
	if r, err := b.g.Submit(t.Context(), e, strings.NewReader(letter)); err != nil || !strings.HasPrefix(r.Text, "queued as ") {
		t.Fatalf("%q, %v", r.Text, err)
	}
	if got := b.noted(e.ID); !slices.Equal(got, []string{"leak-check:name_alone"}) {
		t.Errorf("audit: %q", got)
	}
	a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", To: []mail.Address{clientAt(0)}, Mail: strings.NewReader(letter), Size: int64(len(letter))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	i := slices.IndexFunc(a.Findings, func(f AccountFinding) bool { return f.Rule == filter.RuleLeak })
	if a.Outcome != "send" || i < 0 || a.Findings[i].Action != "send" || a.Findings[i].Recipient != "C-0101" || strings.Contains(a.Findings[i].Reason, "Gus") {
		t.Errorf("%s: %+v", a.Outcome, a.Findings)
	}

	// Beside a leak in the other copy it is recorded as well, and nothing else changes.
	snap := *b.snap
	snap.Practice.OnMixedSplit = true
	b.g.SetPolicy(&snap)
	e = b.envelope(clientAt(0), clientAt(1))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "Anna Archer reads Gus Green.", clientAt(0), clientAt(1)))); err != nil {
		t.Fatal(err)
	}
	if got := b.noted(e.ID); !slices.Equal(got, []string{"leak-check:name leak-check:name_alone"}) || len(b.copies(e.ID)) != 1 {
		t.Errorf("audit: %q, %d copies", got, len(b.copies(e.ID)))
	}
}

// The practitioner's own number in a mail to a client holds it, also in what was quoted; the
// practice's does not.
func TestThePractitionersPhoneHolds(t *testing.T) {
	t.Parallel()
	m := withRules(t, "")
	people := strings.Replace(string(m["people.yaml"].Data), "also_uses: []", `phones: ["07700 900444"]`, 1)
	m["people.yaml"] = &fstest.MapFile{Data: []byte(people), Mode: 0o644}
	b := newBenchOn(t, m)
	for body, want := range map[string]string{
		"Ring me: +44 7700 900 444.":                           "held as ",
		"Yes.\r\n\r\nOn Monday Anna wrote:\r\n> 07700 900444?": "held as ",
		"Ring us on 0161 496 0000.":                            "queued as ",
	} {
		e := b.envelope(clientAt(0))
		if r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Hi", body, clientAt(0)))); err != nil || !strings.HasPrefix(r.Text, want) {
			t.Errorf("%q: %q, %v", body, r.Text, err)
		}
	}
	e := b.envelope(mail.Address{LocalPart: "sam", Domain: "willowhouse.example"})
	if r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Hi", "07700 900444", e.Recipients[0].Address))); err != nil || !strings.HasPrefix(r.Text, "queued as ") {
		t.Errorf("to a colleague: %q, %v", r.Text, err)
	}
}

// A release lets pass in which ways somebody showed when the person looked, and no other.
func TestAReleaseLetsOnlyPassWhatWasShown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "Ask ben@example.org or Zoe Quist.", clientAt(0)))); err != nil {
		t.Fatal(err)
	}
	b.addClient("C-0110", "Zoe Quist", "maya") // since then
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "they are siblings"); fault.KindOf(err) != fault.Conflict || len(b.copies(e.ID)) != 0 {
		t.Fatalf("released what nobody saw: %v", err)
	}
	if err := b.store.EraseClient(t.Context(), "C-0110", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "they are siblings"); err != nil || len(b.copies(e.ID)) != 1 {
		t.Fatalf("not released: %v", err)
	}
}

// What a release finds that nobody was shown is stored: whoever looks now sees it, is told of
// it once, and may let it pass.
func TestWhatAReleaseFindsIsShownThen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "Ask ben@example.org or Zoe Quist.", clientAt(0)))); err != nil {
		t.Fatal(err)
	}
	before := len(b.noticesAbout(e.ID))
	b.addClient("C-0110", "Zoe Quist", "maya") // since then
	release := func(by string) error {
		_, err := b.g.Release(t.Context(), e.ID, by, "they are siblings")
		return err
	}
	if err := release("sam"); fault.KindOf(err) != fault.Conflict || len(b.copies(e.ID)) != 0 {
		t.Fatalf("released what nobody saw: %v", err)
	}
	if rows := b.audited(e.ID, "held_again"); rows == 0 {
		t.Error("the audit does not say that it was held again")
	}
	if n := len(b.noticesAbout(e.ID)); n <= before {
		t.Error("nobody is told")
	}
	if err := release("maya"); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("the sender released what is never released by its sender: %v", err)
	}
	told := len(b.noticesAbout(e.ID))
	if err := release("sam"); err != nil || len(b.copies(e.ID)) != 1 {
		t.Errorf("what was shown cannot be released: %v", err)
	}
	if n := len(b.noticesAbout(e.ID)); n != told+1 {
		t.Errorf("%d notices about the release", n-told)
	}
}
