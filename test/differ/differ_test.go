// Package differ holds our reading of mail against that of three others: Python's email package
// and npm's mailparser and postal-mime. The property: no message leaves that two of them would
// read differently in parts, file names or decoded content.
//
// Compared is, for every message that would be sent, the copy that leaves: it is what its reader's
// mail app gets, so all must read in it exactly what we read in it. Compared is, too, the
// message as it came: where another reader sees something else there, the difference must
// have a name, which is a defect that is accepted as read, and the copy is then the proof that
// writing it anew left one reading.
package differ

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

var (
	manySigns = regexp.MustCompile("[\u0080-\u009F\uE000-\uF8FF\uFFFD]+")
	lineEnd   = regexp.MustCompile(`\r+\n`)
)

// normal is the form in which content is compared. No difference between readers are: the line ends
// in which they hand it over (postal-mime ends every line of what is not base64 in LF), whether the
// byte-order mark is part of the text, which of two canonically equivalent letters a table has, and
// what stands for bytes that are no text: how many replacement characters, the control character
// of that number, or one for private use.
func normal(b []byte, text, exact bool) string {
	if text {
		s := strings.TrimRight(lineEnd.ReplaceAllString(strings.TrimPrefix(norm.NFC.String(string(b)), "\uFEFF"), "\n"), "\n")
		b = []byte(manySigns.ReplaceAllString(s, "\uFFFD"))
	} else if !exact {
		b = bytes.TrimRight(lineEnd.ReplaceAll(b, []byte("\n")), "\n")
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:24]
}

// ours is a message as we read it.
func ours(m *mail.Message) ([]node, error) {
	var out []node
	var walk func(p *mail.Part, depth int) error
	walk = func(p *mail.Part, depth int) error {
		// A multipart in which nobody finds a part is compared as what it is called.
		n := node{Depth: depth, Type: cmp.Or(p.Declared, p.MediaType), path: p.Path}
		if !p.IsMultipart() && p.Declared == "" {
			n.Name = p.Filename
		}
		if len(p.Parts) == 0 && !p.IsMultipart() {
			if strings.HasPrefix(n.Type, "text/") {
				n.Sum = normal([]byte(p.Text), true, false)
			} else {
				b, err := io.ReadAll(m.Decode(p))
				if err != nil {
					return err
				}
				n.Sum = normal(b, false, p.Encoding == "base64")
			}
			if p.MediaType == "text/plain" && strings.EqualFold(p.Params["format"], "flowed") {
				n.Flowed = "flowed"
				if strings.EqualFold(p.Params["delsp"], "yes") {
					n.Flowed = "delsp"
				}
			}
		}
		out = append(out, n)
		for _, c := range p.Parts {
			if err := walk(c, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk(m.Root, 0)
}

// difference is the first thing in which another reader sees something else.
type difference struct{ kind, path, before, what string }

// The kinds of differences; a reader may also fail.
const (
	inParts   = "parts"
	inName    = "file name"
	inContent = "content"
)

// compare returns what another reader sees differently; the kind is empty where all is the same.
func compare(own []node, v view) difference {
	if v.Failed != "" {
		return difference{kind: "fails", what: v.Failed}
	}
	shape := func(list []node) string {
		var s []string
		for _, n := range list {
			s = append(s, strings.Repeat(".", n.Depth)+n.Type)
		}
		return strings.Join(s, " ")
	}
	if a, b := shape(own), shape(v.Parts); a != b {
		at := 0
		for at < min(len(own), len(v.Parts))-1 && own[at].Type == v.Parts[at].Type && own[at].Depth == v.Parts[at].Depth {
			at++
		}
		// The part before the first that differs may be the one that ends elsewhere.
		return difference{kind: inParts, path: own[at].path, before: own[max(at-1, 0)].path, what: a + " | " + b}
	}
	for i, n := range own {
		o := v.Parts[i]
		switch {
		case n.Name != o.Name:
			return difference{kind: inName, path: n.path, what: fmt.Sprintf("%q | %q", n.Name, o.Name)}
		case n.Sum != o.Sum && o.Sum != "message":
			return difference{kind: inContent, path: n.path, what: n.Type}
		case n.Flowed != o.Flowed:
			return difference{kind: inContent, path: n.path, what: fmt.Sprintf("flowed %q | %q", n.Flowed, o.Flowed)}
		}
	}
	return difference{}
}

// named reports whether a defect gives the difference its name: one that can make such a
// difference, at the part, around it, in it or beside it.
func (c *trial) named(d difference) bool {
	for _, x := range c.defects {
		near := around(x.Path, d.path) || d.before != "" && around(x.Path, d.before)
		if up := strings.LastIndexByte(x.Path, '.'); d.kind == inParts && up > 0 {
			near = near || around(x.Path[:up], d.path) // a part more or less shows at one of those behind it
		}
		if near && slices.Contains(causes(d.kind), x.Name) {
			return true
		}
	}
	return false
}

// around reports whether one path is that of the other part or of one around it.
func around(a, b string) bool {
	return strings.HasPrefix(a+".", b+".") || strings.HasPrefix(b+".", a+".")
}

// causes are the defects, accepted as read, that make readers see other parts, names or content.
func causes(kind string) []string {
	both := []string{"bad-parameter", "comment-in-field", "duplicate-field-ignored", "duplicate-parameter", "bad-content-type", "part-space-before-colon", "mbox-from-line",
		"blanks-behind-boundary", "part-without-body", "misspelt-encoding", "untyped-in-digest", "untyped-file", "boundary-without-multipart"}
	switch kind {
	case inParts:
		return both
	case inName:
		return append(both, "unsafe-file-name", "utf-8-in-header", "split-letter", "glued-encoded-word", "long-encoded-word", "unlabelled-8bit", "wider-charset", "bad-utf-8")
	case inContent:
		return append(both, "blanks-at-line-end", "unlabelled-8bit", "8bit-under-7bit", "wider-charset", "bad-utf-8")
	}
	return nil
}

// trial is one message and what became of it.
type trial struct {
	number    int
	how       string
	source    []byte
	sent      bool
	copy      []byte
	defects   []mail.Defect
	was, left []node
	err       error
}

// bench decides with the shipped policies about mail to one client.
type bench struct {
	g    *gateway.Gateway
	to   []mail.Address // a client, and a colleague, whose copies are not edited
	noon time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	snap, err := policy.Load(policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{to: []mail.Address{{LocalPart: "quillonia", Domain: "canary-one.example"}, {LocalPart: "sam", Domain: "willowhouse.example"}}, noon: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	no := false
	clients := []filter.Client{{Ref: "C-9001", Name: "Quillonia Abernethwaite", Email: b.to[:1], Discreet: &no,
		Born: time.Date(1980, 5, 1, 0, 0, 0, 0, time.UTC), Country: "GB", Nation: "England", Practitioner: "maya", Word: "willow"}}
	b.g, err = gateway.New(gateway.Config{Facts: store.NewFixture(clients, b.noon), Policy: snap, Hostname: "mail.willowhouse.example",
		Now: func() time.Time { return b.noon }, Entropy: zeros{}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// zeros is entropy that makes every run the same.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// decide asks the gateway what it would do with the message.
func (b *bench) decide(t *testing.T, c *trial) {
	a, err := b.g.Explain(t.Context(), gateway.DryRun{Sender: "maya", To: b.to[c.number%2 : c.number%2+1], At: b.noon, Mail: bytes.NewReader(c.source), Size: int64(len(c.source))})
	if err != nil {
		c.err = fmt.Errorf("explain: %w", err)
		return
	}
	defer a.Close()
	c.sent = a.Outcome == "send"
	if !c.sent {
		return
	}
	if len(a.Messages) != 1 {
		c.err = fmt.Errorf("%d copies for one recipient", len(a.Messages))
		return
	}
	out := a.Messages[0].Copy
	c.copy = make([]byte, out.Size())
	if _, c.err = io.ReadFull(io.NewSectionReader(out, 0, out.Size()), c.copy); c.err != nil {
		return
	}
	var m *mail.Message
	if m, c.err = mail.Parse(bytes.NewReader(c.source), int64(len(c.source)), mail.DefaultLimits()); c.err != nil {
		return
	}
	c.defects = m.Defects
	if c.was, c.err = ours(m); c.err != nil {
		return
	}
	if m, c.err = mail.Parse(bytes.NewReader(c.copy), int64(len(c.copy)), mail.DefaultLimits()); c.err != nil {
		return
	}
	c.left, c.err = ours(m)
}

// count is how many mutants a run makes.
func count(t *testing.T) (from, n int) {
	t.Helper()
	n = 400
	for _, x := range []struct {
		name string
		to   *int
	}{{"DIFFER", &n}, {"DIFFER_FROM", &from}} {
		if s := os.Getenv(x.name); s != "" {
			v, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			*x.to = v
		}
	}
	return from, n
}

// TestReadersAgree is the campaign: DIFFER mutants (make differ: 50,000), 400 in a usual run.
func TestReadersAgree(t *testing.T) {
	t.Parallel()
	readers := peerReaders(t)
	b, list := newBench(t), seeds(t)
	from, n := count(t)
	sum := tally{}
	for at := from; at < from+n; at += 64 {
		var batch []*trial
		for i := at; i < min(at+64, from+n); i++ {
			m := newMutator(list, i)
			c := &trial{number: i, source: m.mutant()}
			c.how = strings.Join(m.names, "+")
			batch = append(batch, c)
		}
		judge(t, b, readers, batch, &sum)
	}
	t.Logf("%d mutants of %d messages, %d sent; the message as it came is read differently by somebody in %d, each with a defect that is accepted as read",
		n, len(list), sum.sent, sum.named)
	sum.report(t)
}

// tally counts what was found.
type tally struct {
	sent, named int
	bad         map[string][]string // kind of difference: examples
}

func (s *tally) add(kind, example string) {
	if s.bad == nil {
		s.bad = map[string][]string{}
	}
	s.bad[kind] = append(s.bad[kind], example)
}

func (s *tally) report(t *testing.T) {
	kinds := make([]string, 0, len(s.bad))
	for k := range s.bad {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int { return len(s.bad[b]) - len(s.bad[a]) })
	for _, k := range kinds {
		t.Errorf("%d times %s, first: %s", len(s.bad[k]), k, strings.Join(s.bad[k][:min(3, len(s.bad[k]))], "\n      "))
	}
}

// judge decides about a batch and lets the others read what would be sent.
func judge(t *testing.T, b *bench, readers []*reader, batch []*trial, sum *tally) {
	t.Helper()
	var mails [][]byte
	var sent []*trial
	for _, c := range batch {
		b.decide(t, c)
		if c.err != nil {
			t.Errorf("mutant %d (%s): %v", c.number, c.how, c.err)
			continue
		}
		if c.sent {
			sent = append(sent, c)
			mails = append(mails, c.source, c.copy)
		}
	}
	sum.sent += len(sent)
	views := make([][]view, len(readers))
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			var err error
			if views[i], err = r.read(mails); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() && slices.ContainsFunc(views, func(v []view) bool { return len(v) != len(mails) }) {
		t.FailNow()
	}
	for k, c := range sent {
		named := false
		for i, r := range readers {
			if d := compare(c.left, views[i][2*k+1]); d.kind != "" {
				c.found(t, sum, "copy", r.name, d)
			}
			if d := compare(c.was, views[i][2*k]); d.kind != "" {
				named = true
				if !c.named(d) {
					c.found(t, sum, "original", r.name, d)
				}
			}
		}
		if named {
			sum.named++
		}
	}
}

// found notes a difference; DIFFER_OUT is a directory for the messages.
func (c *trial) found(t *testing.T, sum *tally, what, who string, d difference) {
	if dir := os.Getenv("DIFFER_OUT"); dir != "" {
		name := filepath.Join(dir, strconv.Itoa(c.number))
		for ext, b := range map[string][]byte{".eml": c.source, ".copy.eml": c.copy} {
			if err := os.WriteFile(name+ext, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var names []string
	for _, x := range c.defects {
		names = append(names, x.Name+"@"+x.Path)
	}
	sum.add(what+" "+who+" "+d.kind, fmt.Sprintf("mutant %d (%s) %v at %s: %s", c.number, c.how, names, d.path, d.what))
}
