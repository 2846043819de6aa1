package gateway

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

// pipeline is a gateway with the shipped policies and a register of 100,000 clients, and an
// envelope from Maya to one of them.
type pipeline struct {
	g    *Gateway
	snap *policy.Snapshot
	env  *mail.Envelope
	to   mail.Address
}

// compiled is a register as a server has it in memory: compiled for the leak check, and no more.
// The first ten clients can be asked for.
type compiled struct {
	*store.Fixture
	watch *filter.Watch
}

func (c *compiled) Watch(context.Context) (*filter.Watch, error) { return c.watch, nil }

func newPipeline(tb testing.TB) *pipeline {
	tb.Helper()
	snap, err := policy.Load(policies.Files)
	if err != nil {
		tb.Fatal(err)
	}
	no := false
	given := strings.Fields("Ada Ben Cleo Dora Emil Finn Gwen Hugo Iris Jona Kira Levi Mona Nils Olga Pia Quin Rosa Sven Tess")
	clients := make([]filter.Client, 100_000)
	for i := range clients {
		clients[i] = filter.Client{Ref: fmt.Sprintf("C-%06d", i), Name: fmt.Sprintf("%s Family%d", given[i%len(given)], i), Mobile: []string{fmt.Sprintf("+4477009%06d", i)},
			Email: []mail.Address{{LocalPart: fmt.Sprintf("client%d", i), Domain: "example.org"}}, Practitioner: "maya", Discreet: &no,
			Country: "GB", Born: time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)}
	}
	facts := &compiled{Fixture: store.NewFixture(clients[:10], noon), watch: filter.NewWatch(clients)}
	g, err := New(Config{Facts: facts, Policy: snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return noon }})
	if err != nil {
		tb.Fatal(err)
	}
	id, err := g.NewID()
	if err != nil {
		tb.Fatal(err)
	}
	to := clients[7].Email[0]
	return &pipeline{g: g, snap: snap, to: to,
		env: &mail.Envelope{ID: id, Submitter: "maya", Reverse: maya, ReceivedAt: noon, Recipients: []mail.Recipient{{Address: to}}}}
}

// run takes a message through everything but the store: it is parsed, decided under the
// shipped rules, written for its client, read again and searched.
func (p *pipeline) run(tb testing.TB, msg string) {
	m, err := mail.Parse(strings.NewReader(msg), int64(len(msg)), p.g.limits)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := p.g.decide(tb.Context(), question{snap: p.snap, env: p.env, mail: m, spool: store.NewMemorySpool})
	if err != nil {
		tb.Fatal(err)
	}
	if d.plan.Outcome != filter.Send || len(d.copies) != 1 {
		tb.Fatalf("%v", d.plan.Findings)
	}
	d.close()
}

// measure runs a message b.N times and says what it costs, in time of the processors (returned
// in nanoseconds) and as a multiple of what the standard library needs to decode and to digest
// as many bytes.
func (p *pipeline) measure(b *testing.B, msg string) (each float64) {
	p.run(b, msg)
	peer := peerTime(b, len(msg))
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		p.run(b, msg)
	}
	each = float64(cpuTime(b)-start) / float64(b.N)
	b.ReportMetric(each, "cpu-ns/op")
	b.ReportMetric(float64(len(msg))/each*1e3, "cpu-MB/s")
	b.ReportMetric(each/float64(peer), "x-peer")
	return each
}

// peerTime is what encoding/base64 and crypto/sha256 need for n bytes: every mail server that
// looks into an attached file does at least this.
func peerTime(b *testing.B, n int) time.Duration {
	text := bytes.Repeat([]byte("QUJD"), n/4+1)[:n/4*4]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	rounds := 1 + (32<<20)/n
	start := cpuTime(b)
	for range rounds {
		if _, err := base64.StdEncoding.Decode(out, text); err != nil {
			b.Fatal(err)
		}
		sha256.Sum256(text)
	}
	return (cpuTime(b) - start) / time.Duration(rounds)
}

// cpuTime is what this process has used of the processors, collection of garbage included: on
// a machine that has other work it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkPipeline is what a mail of 4 KiB costs without the store.
func BenchmarkPipeline(b *testing.B) {
	p := newPipeline(b)
	p.measure(b, letterTo("Next week", strings.Repeat("The next meeting is on Tuesday at 10:30 in room 4; ask for Gwen, phone 0161 496 0000.\r\n", 42), p.to))
}

// BenchmarkPipelineOpaque is the same for a letter with a file of 10 MiB in which nothing can
// be read: it is searched as it stands. cpu-MB/s counts the bytes of the message as received.
func BenchmarkPipelineOpaque(b *testing.B) {
	p := newPipeline(b)
	for _, file := range []struct{ name, kind, start string }{
		{"photo.jpg", "image/jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00"},
		{"film.mp4", "video/mp4", "\x00\x00\x00\x20ftypisom"},
		{"song.mp3", "audio/mpeg", "ID3\x04\x00"},
	} {
		b.Run(file.name, func(b *testing.B) {
			p.measure(b, strings.Replace(p.letterWith(file.name, noise(file.start, 10<<20)), "application/octet-stream", file.kind, 1))
		})
	}
}

// BenchmarkPipelineText is the same for 2 MiB of text in files that are read; text-MB/s counts the
// bytes of the text.
func BenchmarkPipelineText(b *testing.B) {
	p := newPipeline(b)
	for _, file := range []struct {
		name string
		make func(text string) []byte
	}{
		{"notes.txt", func(t string) []byte { return []byte(t) }},
		{"notes.html", func(t string) []byte {
			return []byte("<!doctype html><html><body><p>" + strings.ReplaceAll(t, "\r\n", "</p>\r\n<p>") + "</p></body></html>")
		}},
		{"notes.rtf", func(t string) []byte {
			return []byte("{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Arial;}}\\f0\\fs22 " + strings.ReplaceAll(t, "\r\n", "\\par\r\n") + "}")
		}},
		{"dates.ics", func(t string) []byte {
			return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nDESCRIPTION:" + strings.ReplaceAll(t, "\r\n", "\r\n ") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
		}},
		{"notes.pdf", pdfOf},
		{"notes.docx", func(t string) []byte {
			return zipOf("[Content_Types].xml", "<Types/>", "word/document.xml", "<w:document><w:body><w:p><w:r><w:t>"+
				strings.ReplaceAll(t, "\r\n", "</w:t></w:r></w:p><w:p><w:r><w:t>")+"</w:t></w:r></w:p></w:body></w:document>")
		}},
		{"list.xlsx", func(t string) []byte {
			return zipOf("[Content_Types].xml", "<Types/>", "xl/sharedStrings.xml", "<sst><si><t>"+strings.ReplaceAll(t, "\r\n", "</t></si><si><t>")+"</t></si></sst>",
				"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c t="s"><v>0</v></c></row></sheetData></worksheet>`)
		}},
		{"notes.zip", func(t string) []byte { return zipOf("a.txt", t[:len(t)/2], "b.txt", t[len(t)/2:]) }},
	} {
		b.Run(file.name, func(b *testing.B) {
			text := prose(2 << 20)
			each := p.measure(b, p.letterWith(file.name, file.make(text)))
			b.ReportMetric(float64(len(text))/each*1e3, "text-MB/s")
		})
	}
}

func (p *pipeline) letterWith(name string, content []byte) string {
	return strings.Replace(letterWith(name, content), clientAt(0).String(), p.to.String(), 1)
}

// noise is what a compressed or encrypted file looks like.
func noise(start string, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	copy(b, start)
	return b
}

// prose is text of lines that differ, with numbers, dates and addresses of nobody.
func prose(n int) string {
	words := strings.Fields("the next meeting is on Tuesday with Gwen and we talk about sleep work family what helped since last time " +
		"please bring notes room phone form letter practice hours call answer question week better than before 10:30 1990 0161 496 0000 office@other.example")
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.Grow(n + 80)
	for line := 0; b.Len() < n; {
		w := words[r.IntN(len(words))]
		if line += len(w) + 1; line > 72 {
			b.WriteString("\r\n")
			line = 0
		}
		b.WriteString(w + " ")
	}
	return b.String()
}

// zipOf compresses files; archive pads and needs a test.
func zipOf(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// pdfOf sets a text in pages of 50 lines.
func pdfOf(text string) []byte {
	var body bytes.Buffer
	var kids strings.Builder
	n := 4
	lines := strings.Split(text, "\r\n")
	for ; len(lines) > 0; n += 2 {
		var page bytes.Buffer
		z := zlib.NewWriter(&page)
		_, _ = io.WriteString(z, "BT /F1 11 Tf 72 760 Td 14 TL")
		for _, l := range lines[:min(50, len(lines))] {
			fmt.Fprintf(z, " (%s) Tj T*", l)
		}
		lines = lines[min(50, len(lines)):]
		_, _ = io.WriteString(z, " ET")
		_ = z.Close()
		fmt.Fprintf(&kids, "%d 0 R ", n)
		fmt.Fprintf(&body, "%d 0 obj\n<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>\nendobj\n", n, n+1)
		fmt.Fprintf(&body, "%d 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n", n+1, page.Len(), page.String())
	}
	return fmt.Appendf(nil, "%%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [%s] /Count %d >>\nendobj\n"+
		"3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>\nendobj\n%strailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%%%EOF\n", kids.String(), (n-4)/2, body.String())
}
