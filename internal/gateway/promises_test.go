package gateway

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// What these tests show was seen red: test/mutants breaks the code for each.

// TestPromise1NoTraceOfOthersInTheHeader sends what mail apps write into a header about the
// others: Bcc, the ids of a conversation, and fields of their own.
func TestPromise1NoTraceOfOthersInTheHeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	to := []mail.Address{clientAt(0), clientAt(1), clientAt(2), sam}
	msg := "Bcc: cara@example.org\r\nThread-Topic: group-canary\r\nX-Originating-Client: mailer-canary\r\nKeywords: keyword-canary\r\n" +
		"In-Reply-To: <reply-canary@mail.example.org>\r\nReferences: <first-canary@mail.example.org> <reply-canary@mail.example.org>\r\n" +
		letterTo("Re: Tuesday", "See you.", clientAt(0), clientAt(1))
	e := b.envelope(to...)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil {
		t.Fatal(err)
	}
	got := b.copies(e.ID)
	if len(got) != len(to) {
		t.Fatalf("%d of %d copies go out", len(got), len(to))
	}
	for a, m := range got {
		s := raw(t, m)
		if strings.Contains(s, "canary") || strings.Contains(strings.ToLower(s), "bcc:") {
			t.Errorf("the copy for %s still says:\n%s", a, s)
		}
		if a != "cara@example.org" && strings.Contains(s, "cara@") {
			t.Errorf("the copy for %s names the recipient in Bcc:\n%s", a, s)
		}
	}
}

// TestPromise2AFailedCommitIsNo250 takes the store away between the decision and the commit.
func TestPromise2AFailedCommitIsNo250(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.g.facts = store.NewFixture([]filter.Client{{Ref: "C-0101", Email: []mail.Address{clientAt(0)}}}, noon)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	stranger := mail.Address{LocalPart: "new", Domain: "example.net"}
	for name, to := range map[string]mail.Address{"sent": clientAt(0), "held": stranger} {
		r, err := b.g.Submit(t.Context(), b.envelope(to), strings.NewReader(letterTo("Hi", "Hello.", to)))
		if err == nil {
			t.Errorf("%s: answered %q though nothing was recorded", name, r.Text)
		} else if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v is not temporary", name, err)
		}
	}
	refused := strings.Replace(letterTo("Hi", "Hello.", clientAt(0)), "From: Maya Okafor <maya@", "From: <sam@", 1)
	if _, err := b.g.Submit(t.Context(), b.envelope(clientAt(0)), strings.NewReader(refused)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a refusal that could not be recorded: %v", err)
	}
}

// TestPromise11ADecisionNamesItsRules reads back why a message was held.
func TestPromise11ADecisionNamesItsRules(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := mail.Address{LocalPart: "new", Domain: "example.net"}
	e := b.envelope(stranger)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Hi", "Hello.", stranger))); err != nil {
		t.Fatal(err)
	}
	_, sealed, _, err := b.store.Get(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	var acc account
	if err := json.Unmarshal(sealed, &acc); err != nil {
		t.Fatal(err)
	}
	if acc.Plan.Lead < 0 || acc.Plan.Policy != b.snap.ID || len(acc.Facts.Recipients) != 1 {
		t.Fatalf("the account does not hold the decision: %+v", acc)
	}
	rule := acc.Plan.Findings[acc.Plan.Lead].Rule
	told := false
	err = b.store.Audit(t.Context(), func(r store.Row) error {
		if r.Message == e.ID && r.Kind == "accepted" {
			told = true
			if r.Data["policy"] != b.snap.ID || !strings.Contains(" "+r.Data["rules"]+" ", " "+rule+" ") || r.Data["outcome"] != "hold" || r.Actor != "maya" {
				t.Errorf("the audit says %v of %s; rule %s of policy %s held it", r.Data, r.Actor, rule, b.snap.ID)
			}
		}
		return nil
	})
	if err != nil || !told {
		t.Errorf("no audit row of the decision (%v)", err)
	}
}

// TestPromise14LimitsAtTheDoor: whatever protocol brought it, the door bounds a message itself.
func TestPromise14LimitsAtTheDoor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.g.limits.Bytes = 2000
	e := b.envelope(clientAt(0))
	endless := &counter{r: strings.NewReader(letterTo("Hi", strings.Repeat("All is well.\r\n", 100_000), clientAt(0)))}
	_, err := b.g.Submit(t.Context(), e, endless)
	if fe := asFault(t, err); fe.Kind != fault.TooLarge || fe.Status.Code != 552 || !strings.Contains(fe.Public, "[M10 ") {
		t.Errorf("%+v", fe)
	}
	if endless.n > 1<<20 {
		t.Errorf("%d bytes were read of a message that may have 2000", endless.n)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Error("it leaves all the same")
	}
}

type counter struct {
	r *strings.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// TestPromise14WorkWaitsForMemory: a message for which there is no memory waits, and then is
// asked to come again; it never adds to what is in work.
func TestPromise14WorkWaitsForMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		if err := b.g.work.Acquire(t.Context(), b.g.memory/2); err != nil {
			t.Fatal(err)
		}
		_, err := b.g.Submit(t.Context(), b.envelope(clientAt(0)), strings.NewReader(letterTo("Hi", "Hello.", clientAt(0))))
		if fe := asFault(t, err); fe.Kind != fault.Unavailable || fe.Status.Code != 452 {
			t.Errorf("%+v", fe)
		}
		b.g.work.Release(b.g.memory / 2)
		if _, err := b.g.Submit(t.Context(), b.envelope(clientAt(0)), strings.NewReader(letterTo("Hi", "Hello.", clientAt(0)))); err != nil {
			t.Errorf("with memory: %v", err)
		}
		if !b.g.work.TryAcquire(b.g.memory / 2) {
			t.Error("a message that is done still has its share")
		}
	})
}

// TestPromise13UntouchedPartsLeaveAsTheyCame sends parts in every encoding, written as no
// encoder of ours would write them, beside a text that the rules change.
func TestPromise13UntouchedPartsLeaveAsTheyCame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts := []string{
		"Content-Type: audio/mpeg\r\nContent-Disposition: attachment; filename=walk.mp3\r\nContent-Transfer-Encoding: base64\r\n\r\nSUQzBAA\r\nAAAAA\r\nAAEC/w==\r\n",
		"Content-Type: text/csv; charset=utf-8\r\nContent-Disposition: attachment; filename=hours.csv\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nday,=\r\nhours=0d=0A=54uesday,=C2=A01\r\n",
		"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: attachment; filename=notes.txt\r\nContent-Transfer-Encoding: 8bit\r\n\r\n  caf\xe9 \t\r\n\r\n.\r\nno end of line",
		"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=empty.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n",
	}
	head, _, _ := strings.Cut(letterTo("Hi", "", clientAt(0)), "Content-Type")
	msg := head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee you.\r\n--b\r\n" +
		strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil {
		t.Fatal(err)
	}
	m := b.copies(e.ID)[clientAt(0).String()]
	if m == nil || len(m.Root.Parts) != 1+len(parts) {
		t.Fatalf("the copy is not there, or has other parts: %+v", m)
	}
	// Only the name of a file changes, and nothing else of the field that holds it.
	neutral := strings.NewReplacer("=walk.mp3", "=sound-1.mp3", "=hours.csv", "=document-1.csv", "=notes.txt", "=document-2.txt", "=empty.bin", "=file-1.bin")
	for i, part := range parts {
		p := m.Root.Parts[i+1]
		got, err := io.ReadAll(m.Raw(p))
		if err != nil {
			t.Fatal(err)
		}
		fields, want, _ := strings.Cut(part, "\r\n\r\n")
		fields = neutral.Replace(fields)
		if string(got) != want {
			t.Errorf("%s came as %q and leaves as %q", p.Filename, want, got)
		}
		for _, name := range []string{"Content-Transfer-Encoding", "Content-Disposition"} {
			if v, _ := p.Get(name); !strings.Contains(fields, v) {
				t.Errorf("%s: %s is now %q", p.Filename, name, v)
			}
		}
	}
}
