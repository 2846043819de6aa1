package gateway

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// A body that came encoded, or from a file, may end in the middle of a line; no copy does.
func TestEveryCopyEndsItsLastLine(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	head, _, _ := strings.Cut(letterTo("Tuesday", "", clientAt(0)), "\r\n\r\n")
	for _, msg := range []string{
		head + "\r\n\r\nSee you",
		head + "\r\n\r\nSee you\r\n",
		head + "\r\nContent-Transfer-Encoding: base64\r\n\r\nU2VlIHlvdQ==\r\n",
	} {
		msg = strings.Replace(msg, "Content-Type: text/plain", "Content-Type: text/html", 1)
		a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", Mail: strings.NewReader(msg), Size: int64(len(msg))})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if len(a.Messages) != 1 {
			t.Fatalf("%+v", a)
		}
		out, err := io.ReadAll(io.NewSectionReader(a.Messages[0].Copy, 0, a.Messages[0].Copy.Size()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(out), "\r\n") || strings.HasSuffix(string(out), "\r\n\r\n\r\n") {
			t.Errorf("ends with %q", out[max(0, len(out)-30):])
		}
	}
}

// A copy for a colleague keeps list fields. One that cannot be written is left out: the mail
// goes all the same.
func TestListFieldsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	for i, field := range []string{"List-Unsubscribe: <mailto:x@caf\u00e9.example>", "List-Help: <http://" + strings.Repeat("a", 950) + ">", "List-Id: a\x01b"} {
		msg := field + "\r\nList-Post: <mailto:a@b.example>\r\n" + letterTo("Rota", "x", sam)
		e := b.envelope(sam)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		m := b.copies(e.ID)[sam.String()]
		name, _, _ := strings.Cut(field, ":")
		if _, kept := m.Root.Get(name); kept {
			t.Errorf("%s was kept", name)
		}
		if _, kept := m.Root.Get("List-Post"); !kept {
			t.Error("List-Post was dropped")
		}
	}
}

// An address in the header that is not ASCII needs SMTPUTF8, whoever the recipient is.
func TestAHeaderInUTF8NeedsSMTPUTF8(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	for cc, want := range map[string]bool{"j\u00f6e@y.example": true, "joe@y.example": false} {
		e := b.envelope(sam)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader("Cc: "+cc+"\r\n"+letterTo("Rota", "x", sam))); err != nil {
			t.Fatal(err)
		}
		jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID})
		if err != nil || len(jobs) != 1 || jobs[0].UTF8 != want {
			t.Errorf("%s: %+v, %v", cc, jobs, err)
		}
	}
}

// Our own lines must not push the end of a text that just fits out of the leak check's sight.
func TestTheEndOfALongTextIsSearched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n"
	msg := strings.Replace(letterTo("Tuesday", "", clientAt(0)), "Content-Type: text/plain; charset=utf-8\r\n\r\n\r\n", head, 1)
	line := strings.Repeat("x", 62) + "\r\n"
	msg += strings.Repeat(line, 8<<20/len(line)-1) + clientAt(1).String() + "\r\n--b--\r\n"
	a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", Mail: strings.NewReader(msg), Size: int64(len(msg))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Outcome != "hold" || !strings.Contains(a.Reply.Text, "M26") {
		t.Errorf("%s: %s", a.Outcome, a.Reply.Text)
	}
}

// A refusal that comes up only while the copy is written is a refusal like any other: the
// sender is told, and the audit says so.
func TestARefusalWhileWritingIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.envelope(clientAt(0))
	var separators strings.Builder
	for i := range 10_002 {
		fmt.Fprintf(&separators, "--=_pc%028d\r\n", i)
	}
	msg := strings.Replace(letterTo("Tuesday", "--b\r\n\r\n"+separators.String()+"--b--", clientAt(0)), "text/plain; charset=utf-8", "multipart/mixed; boundary=b", 1)
	_, err := b.g.Submit(t.Context(), e, strings.NewReader(msg))
	fe := asFault(t, err)
	if fe.Kind != fault.Rejected || fe.Status != (fault.Status{Code: 550, Subject: 6}) || !strings.Contains(fe.Public, "look like separators") {
		t.Errorf("%+v", fe)
	}
	kinds := map[string]int{}
	err = b.store.Audit(t.Context(), func(r store.Row) error {
		if r.Message == e.ID {
			kinds[r.Kind]++
		}
		return nil
	})
	if err != nil || kinds["refused"] != 1 || len(kinds) != 1 {
		t.Errorf("audit rows %v, %v", kinds, err)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Error("a copy is queued")
	}
	notices := b.noticesAbout(e.ID)
	if len(notices) != 1 || !strings.Contains(raw(t, notices[0]), "look like separators") {
		t.Fatalf("%d notices, want one that says why", len(notices))
	}
	b.neutral(notices[0], maya)
}

// changingWatch is a register that changes while a message is decided.
type changingWatch struct {
	FactSource
	watches []*filter.Watch
}

func (c *changingWatch) Watch(context.Context) (*filter.Watch, error) {
	w := c.watches[0]
	if len(c.watches) > 1 {
		c.watches = c.watches[1:]
	}
	return w, nil
}

// What leaks only from the copies of the second plan never leaves either.
func TestALeakInTheSecondCopiesSendsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	snap := *b.snap
	snap.Practice.OnMixedSplit = true
	b.g.SetPolicy(&snap)
	ben := filter.Client{Ref: "C-0102", Name: "Ben Baker", Email: []mail.Address{clientAt(1)}, Practitioner: "maya"}
	anna := filter.Client{Ref: "C-0101", Name: "Anna Archer", Email: []mail.Address{clientAt(0)}, Practitioner: "maya"}
	dev := filter.Client{Ref: "C-0104", Name: "Dev Dale", Email: []mail.Address{clientAt(3)}, Practitioner: "maya"}
	before, after := []filter.Client{ben, anna}, []filter.Client{ben, anna, dev}
	for _, tc := range []struct {
		watches []*filter.Watch
		sent    int
	}{
		{[]*filter.Watch{filter.NewWatch(before)}, 1}, // Anna's copy goes, Ben's names Anna
		{[]*filter.Watch{filter.NewWatch(before), filter.NewWatch(after)}, 0},
	} {
		b.g.facts = &changingWatch{FactSource: b.store, watches: tc.watches}
		e := b.envelope(clientAt(0), clientAt(1))
		_, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("x", "Anna Archer and Dev Dale will come.", clientAt(0), clientAt(1))))
		if (err == nil) != (tc.sent > 0) || (err != nil && fault.KindOf(err) != fault.Internal) {
			t.Errorf("%d to be sent: %v", tc.sent, err)
		}
		if n := len(b.copies(e.ID)); n != tc.sent {
			t.Errorf("%d copies queued, want %d", n, tc.sent)
		}
		if _, _, _, err := b.store.Get(t.Context(), e.ID); (err == nil) != (tc.sent > 0) {
			t.Errorf("stored: %v", err)
		}
	}
}
