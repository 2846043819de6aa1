package mail

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// peerCorpus returns the directory of the mail corpus, which is not part of the repository.
func peerCorpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CORPUS")
	if dir == "" {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal("CORPUS is not set")
		}
		t.Skip("CORPUS is not set")
	}
	return dir
}

// readdressed returns a corpus message with CRLF line ends and with invented people in its
// header.
func readdressed(t *testing.T, b []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(CanonicalLines(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
	var out bytes.Buffer
	out.WriteString("From: Maya Stone <maya@willowhouse.example>\r\nTo: anna@example.org, ben@example.org, cara@example.org\r\n")
	drop := false
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(strings.ToLower(string(line)), ":")
			switch name = strings.TrimSpace(name); name {
			case "from", "to", "cc", "bcc", "sender", "reply-to", "return-path":
				drop = true
			default:
				drop = strings.HasPrefix(name, "resent-") || strings.HasPrefix(name, "from ")
			}
		}
		if !drop {
			out.Write(line)
			out.WriteString("\r\n")
		}
	}
	if found {
		out.WriteString("\r\n")
		out.Write(body)
	}
	return out.Bytes()
}

func corpusFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(peerCorpus(t), "*", "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus messages: %v", err)
	}
	return files
}

func parseBytes(t testing.TB, b []byte) *Message {
	t.Helper()
	m, err := Parse(bytes.NewReader(b), int64(len(b)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func worst(m *Message) (w Disposition, name string) {
	for _, d := range m.Defects {
		if d.Default > w {
			w, name = d.Default, d.Name
		}
	}
	return w, name
}

// checkWire fails when a written message is not in canonical form.
func checkWire(t testing.TB, b []byte) {
	t.Helper()
	for i, line := range bytes.Split(b, []byte("\r\n")) {
		if len(line) > maxLine {
			t.Errorf("line %d has %d octets", i+1, len(line))
		}
		if j := bytes.IndexAny(line, "\r\n\x00"); j >= 0 {
			t.Errorf("line %d holds a bare CR, LF or NUL", i+1)
		}
	}
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	for _, c := range head {
		if c >= 0x80 {
			t.Error("the header is not ASCII")
			break
		}
	}
}

// sampleFields are the top fields of a copy.
func sampleFields() []Field {
	return []Field{
		{"Date", "Sun, 22 Nov 2026 10:00:00 +0000"},
		{"From", "Maya <hello@wh.example>"},
		{"To", "anna@example.org"},
		{"Subject", "Hello from Maya \u2013 k\u00e2st\u00e9ll"},
		{"Message-ID", "<01ARZ3NDEKTSV4RRFFQ69G5FAV@wh.example>"},
	}
}

const sampleID = ID("01ARZ3NDEKTSV4RRFFQ69G5FAV")

func writeBytes(t testing.TB, m *Message, d Draft) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	if d.ID == "" {
		d.ID = sampleID
	}
	if d.Fields == nil {
		d.Fields = sampleFields()
	}
	_, err := m.Write(&out, d)
	return out.Bytes(), err
}

func decoded(t testing.TB, m *Message, p *Part) string {
	t.Helper()
	b, err := io.ReadAll(m.Decode(p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shape describes a tree by its types.
func shape(p *Part) string {
	if len(p.Parts) == 0 {
		return p.MediaType
	}
	var kids []string
	for _, c := range p.Parts {
		kids = append(kids, shape(c))
	}
	return p.MediaType + "(" + strings.Join(kids, " ") + ")"
}

func leaves(m *Message) []*Part {
	var out []*Part
	for p := range m.Parts() {
		if len(p.Parts) == 0 {
			out = append(out, p)
		}
	}
	return out
}

const crisisLine = "I cannot offer crisis support by email \u2013 ring 999 in danger. \u0627\u0644\u0637\u0648\u0627\u0631\u0626"

// TestCorpus parses and writes every message of the corpus: nothing panics, what is written
// is canonical and reads back as the same tree, bodies that were not edited are unchanged, and
// a paragraph is shown once.
func TestCorpus(t *testing.T) {
	t.Parallel()
	refused, held := 0, 0
	for _, f := range corpusFiles(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			m := parseBytes(t, readdressed(t, b))
			switch w, _ := worst(m); w {
			case RejectIt:
				refused++
			case HoldIt:
				held++
			}
			m.NewText()
			for range m.Texts() {
			}
			checkCopy(t, m)
			checkEdit(t, m)
		})
	}
	t.Logf("refused %d, held %d", refused, held)
}

// checkCopy writes a message without edits and compares.
func checkCopy(t *testing.T, m *Message) {
	t.Helper()
	out, err := writeBytes(t, m, Draft{})
	if err != nil {
		if w, _ := worst(m); w < HoldIt {
			t.Errorf("write: %v", err)
		}
		return
	}
	checkWire(t, out)
	got := parseBytes(t, out)
	if w, name := worst(got); w > AcceptAsRead {
		was, _ := worst(m)
		if w == RejectIt || was == AcceptAsRead {
			t.Errorf("the copy has the defect %s", name)
		}
	}
	if a, b := shape(m.Root), shape(got.Root); a != b {
		t.Errorf("tree was %s, is %s", a, b)
		return
	}
	was, is := leaves(m), leaves(got)
	for i := range was {
		a, b := decoded(t, m, was[i]), decoded(t, got, is[i])
		if a != b {
			t.Errorf("part %s changed: %d bytes, now %d", was[i].Path, len(a), len(b))
		}
		if was[i].Filename != is[i].Filename {
			t.Errorf("file name changed: %q, now %q", was[i].Filename, is[i].Filename)
		}
		if was[i].Text != is[i].Text {
			t.Errorf("part %s reads differently", was[i].Path)
		}
	}
}

// checkEdit writes a message with a paragraph and looks for it.
func checkEdit(t *testing.T, m *Message) {
	t.Helper()
	out, err := writeBytes(t, m, Draft{First: []string{"A short practical note."}, Signature: []string{crisisLine}})
	if err != nil {
		if w, _ := worst(m); w < HoldIt {
			t.Errorf("write: %v", err)
		}
		return
	}
	checkWire(t, out)
	got := parseBytes(t, out)
	body := find(got.Root)
	if body.none() {
		t.Fatalf("no text in %s", shape(got.Root))
	}
	for _, p := range body.text {
		if n := strings.Count(p.Text, crisisLine); n != 1 {
			t.Errorf("text has the paragraph %d times", n)
		}
	}
	for _, p := range body.html {
		v, err := VisibleText(p.Text)
		if err != nil {
			t.Error(err)
		}
		if n := strings.Count(v, crisisLine); n != 1 {
			t.Errorf("html shows the paragraph %d times", n)
		}
	}
	if !strings.HasPrefix(strings.TrimSpace(got.NewText()), "A short practical note.") {
		t.Error("the first line is not first")
	}
	if w, name := worst(got); w == RejectIt {
		t.Errorf("the copy has the defect %s", name)
	}
}
