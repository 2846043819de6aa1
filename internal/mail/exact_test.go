package mail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exactEdit is one edit, or several, as the draft that asks for it and as the judge must know it.
type exactEdit struct {
	name  string
	draft Draft
	judge map[string]any
}

// exactEdits are each edit alone, and all at once. The word that is replaced is one that stands
// in most English mails.
func exactEdits() []exactEdit {
	first, sign := []string{firstLine}, []string{crisisLine, "A second paragraph."}
	list := []exactEdit{
		{"none", Draft{}, map[string]any{}},
		{"first line", Draft{First: first}, map[string]any{"first": first}},
		{"crisis lines", Draft{Signature: sign}, map[string]any{"signature": sign}},
		{"replaced text", Draft{Replace: []Replacement{{Old: "the", New: "QQNEWQQ"}}}, map[string]any{"replace": []string{"the", "QQNEWQQ"}}},
		{"kisses", Draft{NoKisses: true}, map[string]any{"kisses": true}},
		{"file names", Draft{NeutralNames: true}, map[string]any{"names": true}},
		{"Content-ID", Draft{Hide: []string{"o"}}, map[string]any{"hide": "o"}},
	}
	all := exactEdit{"all at once", Draft{}, map[string]any{}}
	for _, e := range list {
		if e.name == "Content-ID" || e.name == "kisses" { // the judge follows each alone
			continue
		}
		all.draft.First = append(all.draft.First, e.draft.First...)
		all.draft.Signature = append(all.draft.Signature, e.draft.Signature...)
		all.draft.Replace = append(all.draft.Replace, e.draft.Replace...)
		all.draft.NeutralNames = all.draft.NeutralNames || e.draft.NeutralNames
		for k, v := range e.judge {
			all.judge[k] = v
		}
	}
	return append(list, all)
}

// exactJudge is a running testdata/exact.py.
type exactJudge struct {
	in  *json.Encoder
	out *bufio.Reader
}

func newExactJudge(t *testing.T) *exactJudge {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peerPython(t), "-W", "ignore", "-B", filepath.Join("testdata", "exact.py"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("exact.py: %v: %s", err, stderr.String())
		}
	})
	return &exactJudge{json.NewEncoder(in), bufio.NewReader(out)}
}

type exactVerdict struct {
	Problems     []string
	Edited, Same int
	Broken       bool
}

func (j *exactJudge) ask(t *testing.T, was, is []byte, hold bool, edit map[string]any) (v exactVerdict) {
	t.Helper()
	if err := j.in.Encode(map[string]any{"was": was, "is": is, "hold": hold, "edit": edit}); err != nil {
		t.Fatal(err)
	}
	line, err := j.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// exactCount is what was seen of one edit.
type exactCount struct{ Copies, Refused, Broken, Edited, Same, Raw int }

// checkExact writes a message with every edit, and has each copy judged.
func (j *exactJudge) checkExact(t *testing.T, name string, src []byte, count map[string]*exactCount) {
	t.Helper()
	m := parseBytes(t, src)
	w, _ := worst(m)
	edits := exactEdits()
	if m.Signed() || m.Encrypted() {
		edits = []exactEdit{{"whole", Draft{Whole: true, First: []string{firstLine}}, map[string]any{"whole": true}}}
	}
	for _, e := range edits {
		if count[e.name] == nil {
			count[e.name] = &exactCount{}
		}
		n := count[e.name]
		var out bytes.Buffer
		e.draft.ID, e.draft.Fields = sampleID, sampleFields()
		written, err := m.Write(&out, e.draft)
		if err != nil {
			if n.Refused++; w < HoldIt {
				t.Errorf("%s, %s: %v", name, e.name, err)
			}
			continue
		}
		if w == RejectIt {
			continue // it never leaves
		}
		n.Copies++
		if len(written.LeftOut) > 0 {
			e.judge["left_out"] = len(written.LeftOut)
		}
		v := j.ask(t, src, out.Bytes(), w == HoldIt, e.judge)
		for _, p := range v.Problems {
			t.Errorf("%s, %s: %s", name, e.name, p)
		}
		n.Edited, n.Same = n.Edited+v.Edited, n.Same+v.Same
		if v.Broken {
			n.Broken++
		}
		n.Raw += rawLeaves(t, name+", "+e.name, m, parseBytes(t, out.Bytes()), len(e.draft.Replace) > 0 || len(e.draft.Hide) > 0 || e.draft.NoKisses)
	}
}

// rawLeaves fails when a leaf that no edit may touch, and that the wire allows as it is, leaves
// in other bytes than it came (promise 13).
func rawLeaves(t *testing.T, name string, m, got *Message, texts bool) (n int) {
	t.Helper()
	var left []string
	for _, p := range leaves(got) {
		left = append(left, rawPart(t, got, p))
	}
	body := find(m.Root)
	for _, p := range leaves(m) {
		if p.wire&wireForbidden != 0 || p.fresh || slices.Contains(body.text, p) || slices.Contains(body.html, p) || texts && isTextBody(p) {
			continue
		}
		at := slices.Index(left, rawPart(t, m, p))
		if at < 0 {
			t.Errorf("%s: part %s (%s, %s) leaves in other bytes than it came", name, p.Path, p.MediaType, p.Encoding)
			continue
		}
		left = slices.Delete(left, at, at+1)
		n++
	}
	return n
}

func rawPart(t *testing.T, m *Message, p *Part) string {
	t.Helper()
	b, err := io.ReadAll(m.Raw(p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEditsChangeOnlyWhatTheyMust has Python's email package compare every message with every
// copy of it: our own samples, and the corpus where there is one.
func TestEditsChangeOnlyWhatTheyMust(t *testing.T) {
	t.Parallel()
	j := newExactJudge(t)
	for i, s := range slices.Concat(sampleMails(), exactSamples()) {
		j.checkExact(t, fmt.Sprintf("sample %d", i), []byte(s), map[string]*exactCount{})
	}
}

// TestCorpusIsWrittenExactly is the same over the corpus; docs/exact.md says what it counts; UPDATE=1
// writes it.
func TestCorpusIsWrittenExactly(t *testing.T) {
	t.Parallel()
	files := corpusFiles(t)
	j := newExactJudge(t)
	count := map[string]*exactCount{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		j.checkExact(t, filepath.Base(f), readdressed(t, b), count)
	}
	var b strings.Builder
	b.WriteString("| edit | copies | refused to write | structure broken for Python too | texts edited | parts with the same decoded bytes | leaves with the same encoded bytes |\n|---|---|---|---|---|---|---|\n")
	for _, e := range append(exactEdits(), exactEdit{name: "whole"}) {
		n := count[e.name]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", e.name, n.Copies, n.Refused, n.Broken, n.Edited, n.Same, n.Raw)
	}
	path := filepath.Join("..", "..", "docs", "exact.md")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), "| edit |")
	_, after, found := strings.Cut(rest, "\n\n")
	if !ok || !found {
		t.Fatalf("%s has no table", path)
	}
	switch want := before + b.String() + "\n" + after; {
	case want == string(doc):
	case os.Getenv("UPDATE") == "1":
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale (UPDATE=1 writes it): over %d messages its table would be\n%s", path, len(files), b.String())
	}
}

// exactSamples are texts that are easily changed by more than the edit.
func exactSamples() []string {
	list := []string{
		// Bytes that are wrong in their charset stay what they are.
		topFields + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nDet h\xe4r the.\n",
		topFields + "Content-Type: text/plain; charset=iso-2022-jp\n\n\u3053\u3093 the\n",
		topFields + "Content-Type: text/html; charset=big5\n\n<p>\xff\xa0 the</p>\n",
		multi("multipart/alternative; boundary=b", "--b\nContent-Type: text/plain; charset=utf-8\n\nDet h\xe4r the.\n--b\nContent-Type: text/html; charset=utf-8\n\n<p>Det h\u00e4r the</p>\n--b--\n"),
		multi("multipart/alternative; boundary=b", "--b\nContent-Type: text/plain; charset=utf-8\n\nDet h\u00e4r the. \ufffd\n--b\nContent-Type: text/html; charset=utf-8\n\n<p>Det h\xe4r the</p>\n--b--\n"),
		topFields + "Content-Type: text/plain; charset=utf-8\n\nSee you. xx\nMaya xox\n\n> Bye xx\n",
		topFields + "Content-Type: text/html; charset=utf-8\n\n<p>See you.&nbsp;x&nbsp;<b>x</b></p><p>Maya \U0001f618</p><blockquote type=cite>Bye xx</blockquote>\n",
		topFields + "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>the&nbsp;a &quot;the&quot; =E9 &#8217;the&#x2019; &copy the</p>\n",
		topFields + "Content-Type: text/html; charset=us-ascii\n\n<a title=\"the&amp;the\" href=\"mailto:the?subject=a&amp;b\">the &lt;the&gt; &unknown; the</a><script>the && the</script><!-- the -->\n",
		topFields + "Content-Type: text/html; charset=shift_jis\nContent-Transfer-Encoding: 8bit\n\n<p>\x82\xb1\x82\xf1 the &amp; \x83\x5c</p>\n",
		topFields + "Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n8NLJ18XUIHRoZQ0K\n",
		topFields + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nthe =\n\n=20\n \tthe=20\n=46rom the\n-- =20\nMaya\n",
		topFields + "Content-Type: text/plain; format=flowed; delsp=yes\n\nthe \nthe\n>> the \n> the\n -- \n",
		multi("multipart/mixed; boundary=b", "--b\nContent-Type: text/plain; name=\"the.txt\"\n\nthe\n--b\n\nthe letter\n--b\nContent-Type: application/octet-stream; name*=utf-8''%E2%82%AC.bin\nContent-Transfer-Encoding: binary\n\n\xff\xfethe\n--b--\n"),
	}
	for i, s := range list {
		list[i] = crlf(s)
	}
	return list
}
