package mail

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reply is one shape of a reply, as a mail app writes it, from testdata/replies. There,
// "=== NAME: KIND OPTIONS" stands above each. In its text [[sign]] is where the crisis lines
// must go in, and [[q]] to [[/q]] is what is quoted; the rest is new. Without [[sign]] they
// must not go in. [[there]] stands for the lines themselves, [[wrapped]] for them as a quote of
// a quote has them.
type reply struct {
	name, kind string
	options    []string
	text       string // with CRLF line ends, without marks
	sign       int    // -1: nowhere
	quotes     []span
}

func (r *reply) option(name string) string {
	for _, o := range r.options {
		if k, v, _ := strings.Cut(o, "="); k == name {
			return cmp.Or(v, "yes")
		}
	}
	return ""
}

// crisisBlock is a long paragraph, as the policies give it. It has no character outside ASCII,
// so that every charset can hold it.
const crisisBlock = "I cannot offer crisis support by email and do not read it outside working hours. If you need someone now: Samaritans, call 116 123 (free, day or night). Shout, text 85258 (free, day or night). In danger now: call 999."

func readReplies(t testing.TB) []reply {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "replies", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no replies", err)
	}
	var out []reply
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Split("\n"+strings.TrimSuffix(string(b), "\n"), "\n=== ")
		for _, row := range rows[1:] {
			head, body, _ := strings.Cut(row+"\n", "\n")
			name, options, ok := strings.Cut(head, ": ")
			r := newReply(name, strings.Fields(options), body)
			if !ok || seen[r.name] {
				t.Fatalf("%s: %q", f, head)
			}
			seen[r.name] = true
			out = append(out, r)
		}
	}
	return out
}

// lastMarks: what stands at the end of a text stands on a line of its own, which is no line of
// the text.
var lastMarks = regexp.MustCompile(`(\n(?:\[\[[/a-z]+\]\])+)\n$`)

func newReply(name string, options []string, body string) reply {
	r := reply{name: name + " (" + options[0] + ")", kind: options[0], options: options[1:], sign: -1}
	body = lastMarks.ReplaceAllString(body, "$1")
	if r.option("open") != "" {
		body = strings.TrimSuffix(body, "\n")
	}
	if r.option("lf") == "" {
		body = crlf(body)
	}
	body = strings.ReplaceAll(body, "[[there]]", crisisBlock)
	body = strings.ReplaceAll(body, "[[wrapped]]", strings.NewReplacer(" If", "\r\n>> If", " Shout", "\r\n>> Shout").Replace(crisisBlock))
	var text strings.Builder
	for {
		i := strings.Index(body, "[[")
		if i < 0 {
			break
		}
		text.WriteString(body[:i])
		mark, rest, _ := strings.Cut(body[i+2:], "]]")
		switch at := text.Len(); mark {
		case "sign":
			r.sign = at
		case "q":
			if n := len(r.quotes); n == 0 || r.quotes[n-1].end != at {
				r.quotes = append(r.quotes, span{at, at})
			}
		case "/q":
			r.quotes[len(r.quotes)-1].end = at
		}
		body = rest
	}
	text.WriteString(body)
	r.text = text.String()
	return r
}

// mail returns the reply as a message.
func (r *reply) mail(t testing.TB) []byte {
	t.Helper()
	label := cmp.Or(r.option("charset"), "utf-8")
	cs, ok := lookupCharset(label)
	raw, encodes := cs.encode(r.text)
	if !ok || !encodes || cs.decode(raw) != r.text {
		t.Fatalf("%s: not in %s", r.name, label)
	}
	encoding := r.option("encoding")
	if encoding == "" {
		encoding = textEncoding(raw, enc7bit)
	}
	ct := "Content-Type: text/plain; charset=" + label
	if r.kind == "html" {
		ct = "Content-Type: text/html; charset=" + label
	}
	if r.option("flowed") != "" {
		ct += "; format=flowed"
	}
	if r.option("delsp") != "" {
		ct += "; delsp=yes"
	}
	var body bytes.Buffer
	switch encoding {
	case encBase64:
		w := newBase64Writer(&body)
		_, _ = w.Write(raw)
		_ = w.Close()
		body.WriteString("\r\n")
	case encQP:
		w := &qpWriter{w: &body}
		_, _ = w.Write(raw)
		_ = w.Close()
	default:
		body.Write(raw)
	}
	part := ct + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + body.String()
	if r.option("unreadable") != "" {
		part = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nYes.\r\n--b\r\n" + part + "\r\n--b--\r\n"
	}
	return []byte(crlf(topFields) + part)
}

// inserted is what the edit has to add to a reply: the lines alone, but for white space.
func (r *reply) inserted(t *testing.T, is string) {
	t.Helper()
	was := r.text
	if r.sign < 0 {
		if is != was {
			t.Errorf("changed, although the lines are there:\n%s", is)
		}
		return
	}
	added, ok := strings.CutPrefix(is, was[:r.sign])
	if ok {
		added, ok = strings.CutSuffix(added, was[r.sign:])
	}
	if !ok {
		t.Errorf("the lines are not at their place, or other bytes changed:\n%q\nwant them at >>> in\n%q", is, was[:r.sign]+">>>"+was[r.sign:])
		return
	}
	if r.kind == "html" {
		added = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(added), `<p dir="ltr" style="margin:1em 0;white-space:normal">`), "</p>")
	}
	if strings.TrimSpace(added) != crisisBlock {
		t.Errorf("added is %q", added)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	rows := readReplies(t)
	if len(rows) < 120 {
		t.Errorf("only %d", len(rows))
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			m := parseBytes(t, r.mail(t))
			if r.option("unreadable") != "" {
				checkUnreadable(t, m)
				return
			}
			p := m.Root
			if p.Text != r.text {
				t.Fatalf("read as %q, want %q", p.Text, r.text)
			}
			r.checkQuotes(t, p)
			d := Draft{Signature: []string{crisisBlock}}
			out, err := writeBytes(t, m, d)
			if err != nil {
				t.Fatal(err)
			}
			checkWire(t, out)
			once := parseBytes(t, out)
			r.inserted(t, once.Root.Text)
			checkCharset(t, m, once)
			if got := squeeze(once.NewText()); r.sign >= 0 && !strings.Contains(got, squeeze(crisisBlock)) {
				t.Errorf("the lines are no new text: %q", got)
			}
			// With a first line too, and with everything sent a second time.
			d.First = []string{firstLine}
			first := rewritten(t, m, d)
			if again := rewritten(t, first, d); again.Root.Text != first.Root.Text {
				t.Errorf("the second pass changed\n%q to\n%q", first.Root.Text, again.Root.Text)
			}
			r.answered(t, once, d)
		})
	}
	t.Logf("%d replies", len(rows))
}

func rewritten(t *testing.T, m *Message, d Draft) *Message {
	t.Helper()
	out, err := writeBytes(t, m, d)
	if err != nil {
		t.Fatal(err)
	}
	return parseBytes(t, out)
}

// checkQuotes compares what is quoted and what is new.
func (r *reply) checkQuotes(t *testing.T, p *Part) {
	t.Helper()
	var got []span
	var err error
	if r.kind == "html" {
		got, err = quotedHTML(p.Text)
	} else {
		got = slices.Collect(quoted(p.Text, isFlowed(p)))
	}
	if (err != nil) != (r.option("unsure") != "") {
		t.Errorf("quoted: %v", err)
	}
	if err == nil && !slices.Equal(got, r.quotes) {
		t.Errorf("quoted is\n%s\nwant\n%s", marked(p.Text, got), marked(p.Text, r.quotes))
	}
	want := without(p.Text, r.quotes)
	if r.kind == "html" {
		if want, err = shownText(want); err != nil {
			t.Fatal(err)
		}
	}
	if got := freshText(p); squeeze(got) != squeeze(want) {
		t.Errorf("new text is\n%q\nwant\n%q", got, want)
	}
}

func marked(s string, list []span) string {
	var b strings.Builder
	at := 0
	for _, q := range list {
		b.WriteString(s[at:q.start] + "[[q]]" + s[q.start:q.end] + "[[/q]]")
		at = q.end
	}
	return b.String() + s[at:]
}

// checkCharset looks at the bytes of a part: charset and encoding are as they were, and without
// the lines every byte is.
func checkCharset(t *testing.T, was, is *Message) {
	t.Helper()
	if was.Root.charset.label != is.Root.charset.label || isEncoded(was.Root.Encoding) && was.Root.Encoding != is.Root.Encoding {
		t.Errorf("was %s in %s, is %s in %s", was.Root.charset.label, was.Root.Encoding, is.Root.charset.label, is.Root.Encoding)
	}
	if was.Root.Params["format"] != is.Root.Params["format"] || was.Root.Params["delsp"] != is.Root.Params["delsp"] {
		t.Errorf("format was %v, is %v", was.Root.Params, is.Root.Params)
	}
	a, b := decoded(t, was, was.Root), decoded(t, is, is.Root)
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	if len(a) > len(b) || !strings.HasSuffix(b, a[n:]) {
		t.Errorf("bytes changed after %d:\n%q\n%q", n, a, b)
	}
}

var pageTags = regexp.MustCompile(`(?is)<!doctype[^>]*>|</?(?:html|body)[^>]*>|<head>.*</head>`)

// answered quotes a copy as its reader's mail app would: the lines are not sent again.
func (r *reply) answered(t *testing.T, once *Message, d Draft) {
	t.Helper()
	const on = "On Tue, 3 Nov 2026 at 09:00, Maya <hello@wh.example> wrote:"
	text, subtype := "Thanks.\r\n\r\n"+on+"\r\n\r\n", "plain"
	if r.kind == "html" {
		subtype = "html"
		text = `<div>Thanks.</div><div class="gmail_quote"><div class="gmail_attr">` + strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(on) +
			`</div><blockquote class="gmail_quote">` + pageTags.ReplaceAllString(once.Root.Text, "") + "</blockquote></div>"
	} else {
		for line := range strings.Lines(once.Root.Text) {
			for len(line) > 76 {
				n := strings.LastIndexByte(line[:76], ' ')
				if n <= 0 {
					break
				}
				text += "> " + line[:n] + "\r\n"
				line = line[n+1:]
			}
			text += "> " + line
		}
	}
	d.First = nil
	src := crlf(topFields) + "Content-Type: text/" + subtype + "; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text))
	var wrapped bytes.Buffer
	head, body, _ := strings.Cut(src, "\r\n\r\n")
	w := &lineBreaker{w: &wrapped}
	_, _ = io.WriteString(w, body)
	m := parseBytes(t, []byte(head+"\r\n\r\n"+wrapped.String()+"\r\n"))
	if got := rewritten(t, m, d); got.Root.Text != m.Root.Text {
		t.Errorf("an answer that quotes the lines became\n%q", got.Root.Text)
	}
	if r.kind == "text" {
		if s := m.NewText(); strings.TrimSpace(s) != "Thanks." {
			t.Errorf("new text of the answer: %q", s)
		}
	}
}

// checkUnreadable: of an HTML that cannot be parsed its readers get the text.
func checkUnreadable(t *testing.T, m *Message) {
	t.Helper()
	got := rewritten(t, m, Draft{First: []string{firstLine}, Signature: []string{crisisBlock}})
	if s := shape(got.Root); s != "multipart/alternative(text/plain)" {
		t.Fatal(s)
	}
	if s := got.Root.Parts[0].Text; s != crlf(firstLine+"\n\nYes.\n\n"+crisisBlock+"\n") {
		t.Errorf("%q", s)
	}
	if q, err := quotedHTML(m.Root.Parts[1].Text); err == nil {
		t.Errorf("quoted: %v", q)
	}
}

// TestCorpusReplies adds the lines to every message of the corpus: not within what is quoted,
// with every other byte as it was, and not a second time.
func TestCorpusReplies(t *testing.T) {
	t.Parallel()
	texts, quotes, cannot, edits, kept := 0, 0, 0, 0, 0
	for _, f := range corpusFiles(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := parseBytes(t, readdressed(t, b))
		name := filepath.Base(f)
		body := find(m.Root)
		for _, p := range slices.Concat(body.text, body.html) {
			texts++
			list, out, err := quotedAndEdited(p)
			if p.MediaType == "text/html" && err == nil {
				if list, err = quotedHTML(p.Text); err != nil {
					cannot++
					continue
				}
			}
			if err != nil {
				kept++ // its readers get the text
				continue
			}
			if len(list) > 0 {
				quotes++
			}
			if out == p.Text {
				continue
			}
			edits++
			checkPlace(t, name+" "+p.Path, p, out, list)
		}
	}
	t.Logf("%d texts, %d with quotes, %d of which nobody can tell, %d edited, %d unreadable", texts, quotes, cannot, edits, kept)
}

func quotedAndEdited(p *Part) (list []span, out string, err error) {
	if p.MediaType == "text/html" {
		out, err = editHTML(p.Text, nil, []string{crisisBlock}, p.charset)
		return nil, out, err
	}
	return slices.Collect(quoted(p.Text, isFlowed(p))), editPlain(p.Text, nil, []string{crisisBlock}, isFlowed(p)), nil
}

// checkPlace looks for the lines in an edited text: they are one piece more, outside of every
// quote, above the first one, and the edit does nothing the second time.
func checkPlace(t *testing.T, name string, p *Part, out string, list []span) {
	t.Helper()
	n := 0
	for n < len(p.Text) && out[n] == p.Text[n] {
		n++
	}
	size := len(out) - len(p.Text)
	at := strings.Index(out, crisisBlock)
	if at < 0 || size < len(crisisBlock) || out[n+size:] != p.Text[n:] || at+len(crisisBlock) > n+size {
		t.Errorf("%s: more than the lines changed", name)
		return
	}
	if len(list) > 0 && at > list[0].start+10+len(`<p dir="ltr" style="margin:1em 0;white-space:normal">`) {
		t.Errorf("%s: the lines are at %d, the first quote at %d", name, at, list[0].start)
	}
	q := *p
	q.Text, q.own = out, nil
	if _, again, err := quotedAndEdited(&q); err != nil || again != out {
		t.Errorf("%s: changed the second time: %v", name, err)
	}
}
