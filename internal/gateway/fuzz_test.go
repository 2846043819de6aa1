package gateway

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

// loop takes any bytes as the rest of a mail from Maya to two clients, all the way: parse, decide
// under the shipped policies, write a copy for each, read the copies again.
type loop struct {
	g    *Gateway
	snap *policy.Snapshot
	id   mail.ID
}

// The two readers of the mail, and a client who gets none. Their names are words of no mail.
func loopClients() []filter.Client {
	no := false
	var out []filter.Client
	for i, c := range [][2]string{{"Quillonia Abernethwaite", "quillonia"}, {"Zephyrack Lislebourne", "zephyrack"}, {"Thaddemius Brackenrood", "thaddemius"}} {
		out = append(out, filter.Client{Ref: []string{"C-9001", "C-9002", "C-9003"}[i], Name: c[0], Discreet: &no, Country: "GB", Practitioner: "maya",
			Born: time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC), Word: "willow", Email: []mail.Address{{LocalPart: c[1], Domain: "canary.example"}}})
	}
	return out
}

func newLoop(t testing.TB) *loop {
	t.Helper()
	snap, err := policy.Load(policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Facts: store.NewFixture(loopClients(), noon), Policy: snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	id, err := g.NewID()
	if err != nil {
		t.Fatal(err)
	}
	return &loop{g, snap, id}
}

// run decides about a message; released lets everything pass that somebody may let pass.
func (l *loop) run(t testing.TB, src []byte, m *mail.Message, released bool) *decided {
	t.Helper()
	e := &mail.Envelope{ID: l.id, Submitter: "maya", Reverse: maya, ReceivedAt: noon}
	for _, c := range loopClients()[:2] {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: c.Email[0]})
	}
	q := question{snap: l.snap, env: e, mail: m, spool: store.NewMemorySpool}
	if released {
		q.release = &filter.Release{By: "sam", Reason: "fuzz", Digest: m.Digest, All: true}
	}
	d, err := l.g.decide(t.Context(), q)
	if err != nil {
		t.Fatalf("released %v: %v\n%q", released, err, src)
	}
	return d
}

// check fails when a copy of the message is not what a copy must be.
func (l *loop) check(t testing.TB, rest []byte) {
	t.Helper()
	src := append([]byte("From: Maya Okafor <maya@willowhouse.example>\r\nTo: quillonia@canary.example, zephyrack@canary.example\r\n"), rest...)
	m, err := mail.Parse(bytes.NewReader(src), int64(len(src)), l.g.limits)
	if err != nil {
		t.Fatal(err)
	}
	for _, released := range []bool{false, true} {
		d := l.run(t, src, m, released)
		if !released && d.plan.Outcome == filter.Send && worstDefect(m) > mail.AcceptAsRead {
			t.Errorf("sent with a defect: %v\n%q", m.Defects, src)
		}
		again := l.run(t, src, m, released)
		for i, s := range d.copies {
			if s == nil {
				continue
			}
			b := spooled(t, s)
			if !bytes.Equal(b, spooled(t, again.copies[i])) {
				t.Errorf("the second time the copy is another\n%q", src)
			}
			l.checkCopy(t, src, b, m, d, i)
		}
		d.close()
		again.close()
	}
}

func spooled(t testing.TB, s *store.Spool) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func worstDefect(m *mail.Message) (worst mail.Disposition) {
	for _, d := range m.Defects {
		worst = max(worst, d.Default)
	}
	return worst
}

func (l *loop) checkCopy(t testing.TB, src, b []byte, m *mail.Message, d *decided, i int) {
	t.Helper()
	v := &d.plan.Variants[i]
	fail := func(what string) { t.Errorf("%s\n%q\nbecame\n%q", what, src, b) }
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			fail("the wire forbids it")
		}
	}
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	if !bytes.HasSuffix(b, []byte("\r\n")) || bytes.ContainsFunc(head, func(r rune) bool { return r > '~' }) {
		fail("the header is not ASCII, or the last line has no end")
	}
	got, err := mail.Parse(bytes.NewReader(b), int64(len(b)), finalLimits(l.g.limits))
	if err != nil {
		t.Fatal(err)
	}
	if w := worstDefect(got); w == mail.RejectIt || w > worstDefect(m) {
		fail("the copy has a defect that the message had not")
	}
	if len(got.From) != 1 || len(got.To) != 1 || len(v.Rcpts) != 1 || got.To[0].Address != d.env.Recipients[v.Rcpts[0]].Address || len(got.Cc)+len(got.Bcc) > 0 {
		fail("From and To are others")
	}
	if !v.Whole && !d.leftOut[i] {
		now := files(t, got)
		for _, f := range files(t, m) {
			at := slices.Index(now, f)
			if at < 0 {
				fail("a file is lost or changed")
				break
			}
			now = slices.Delete(now, at, at+1)
		}
	}
	if d.plan.Outcome != filter.Send || d.plan.Variants[i].Action != filter.Send {
		return
	}
	texts := []string{string(b)}
	for p := range got.Parts() {
		texts = append(texts, p.Text, p.Filename)
		if len(p.Parts) == 0 {
			texts = append(texts, decodedPart(t, got, p))
		}
	}
	for k, c := range loopClients() {
		if k == v.Rcpts[0] {
			continue
		}
		for _, s := range texts {
			if s = strings.ToLower(s); strings.Contains(s, c.Email[0].String()) || strings.Contains(s, strings.ToLower(c.Name)) || strings.Contains(s, strings.ToLower(c.Ref)) {
				if !released(d) {
					fail("the copy names " + c.Ref)
				}
			}
		}
	}
}

// released reports whether somebody let a finding pass.
func released(d *decided) bool {
	return slices.ContainsFunc(d.plan.Findings, func(f filter.Finding) bool { return f.Waived })
}

// files are the decoded leaves that are not the text of the message.
func files(t testing.TB, m *mail.Message) (out []string) {
	t.Helper()
	for p := range m.Parts() {
		if len(p.Parts) == 0 && p.MediaType != "text/plain" && p.MediaType != "text/html" {
			out = append(out, decodedPart(t, m, p))
		}
	}
	return out
}

func decodedPart(t testing.TB, m *mail.Message, p *mail.Part) string {
	t.Helper()
	b, err := io.ReadAll(m.Decode(p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func loopSeeds() []string {
	list := []string{
		"Subject: Tuesday\n\nSee you, quillonia.\n",
		"Subject: =?utf-8?q?caf=C3=A9?=\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>Hi =E9</p><blockquote type=3Dcite>old</blockquote>\n",
		"Subject: Re: x\nIn-Reply-To: <a@b.example>\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nHi\n--c\nContent-Type: text/html\n\n<p>Hi<img src=cid:a></p>\n--c--\n--b\nContent-Type: application/pdf; name=\"Zephyrack Lislebourne.pdf\"\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQ=\n--b--\n",
		"Subject: x\nContent-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\n\n--s\n\nsigned\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n",
		"Subject: Fwd: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n> On Monday zephyrack@canary.example wrote\n--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\nSubject: zephyrack%40canary.example\n\nx\n--b--\n",
		"Subject: x\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nATTENDEE:mailto:thaddemius@canary.example\nEND:VCALENDAR\n",
		"Subject: x\nContent-Type: text/plain; format=flowed; delsp=yes\n\nsoft \nline thaddemius@canary.\nexample\n",
	}
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "\n", "\r\n")
	}
	return list
}

// FuzzLoop: whatever comes in, what goes out is one recipient's, in canonical form, with the
// same files, the same every time, and names nobody else.
func FuzzLoop(f *testing.F) {
	l := newLoop(f)
	for _, s := range loopSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { l.check(t, b) })
}
