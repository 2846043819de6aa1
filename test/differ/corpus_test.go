package differ

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/mail"
)

// judgement says who of the two reads a message as its standard says.
type judgement struct{ right, why string }

const (
	weAre    = "we"
	pythonIs = "Python"
	nobodyIs = "nobody"
)

// judgements are on the messages of the corpus that we and Python's email read differently. Each was looked at.
func judgements() map[string]judgement {
	samePrefix := judgement{nobodyIs, "containers inside each other share a boundary: where the inner one ends cannot be told"}
	windowsPath := judgement{nobodyIs, `a Windows path in quotes without doubled backslashes: the name is what stands behind the last; Python drops the backslashes and keeps the path`}
	raw := judgement{weAre, "raw Latin-1 in a header is no standard's; mail apps read it as windows-1252, Python drops the letter"}
	return map[string]judgement{
		"attachments/21080b8814fe-rspamd.eml":      {pythonIs, "a line of one blank stands between header and parts; Python takes it for the empty line, for us it folds the field before. Refused"},
		"attachments/3bfd8e2458e0-rubymail.eml":    {nobodyIs, "a file name with blanks and without quotes: Python stops at the first blank"},
		"attachments/4035b88a402b-enmime.eml":      {nobodyIs, "no valid end, and text behind it that is no base64"},
		"attachments/551ce8baf358-phpmimemail.eml": {weAre, "a line feed hidden in an encoded file name: we take it out"},
		"attachments/5b3f5e5eaab1-cpython.eml":     samePrefix,
		"attachments/e4064c696dc2-phpmimemail.eml": {weAre, "a slash in a file name without quotes: Python stops there, we keep what stands behind the path"},
		"attachments/efdc1a091999-stalwart.eml":    {pythonIs, "uuencoded: Python decodes it, we only name it and hold"},
		"html-related/54b391aea50b-stalwart.eml":   windowsPath,
		"html-related/ac89095771f8-stalwart.eml":   windowsPath,
		"legacy-charset/ca08b1681037-stalwart.eml": {pythonIs, "UTF-7: we do not decode it, and hold"},
		"malformed/06a1d54fb33b-rspamd.eml":        {nobodyIs, "bytes that are no UTF-8 under that label"},
		"malformed/0eaf021f5937-zbateson.eml":      {nobodyIs, "a charset that nobody knows"},
		"malformed/5890507921d5-stalwart.eml":      {nobodyIs, "boundaries that are the close of one another"},
		"malformed/713f7737b301-stalwart.eml":      {nobodyIs, "no semicolon behind multipart/mixed: we look for the boundary all the same"},
		"malformed/7ead2546e806-stalwart.eml":      samePrefix,
		"malformed/87c436e208af-deltachat.eml":     {weAre, "an encoded word inside percent-encoding: RFC 2231 has it decoded once"},
		"malformed/8bd22e5290dd-rubymail.eml":      {nobodyIs, "an equals sign too many before the boundary"},
		"malformed/a18560bd431d-enmime.eml":        {nobodyIs, "base64 with text in it"},
		"malformed/b8d141aa099a-stalwart.eml":      samePrefix,
		"malformed/dbee836f9850-rubymail.eml":      {nobodyIs, "bytes that are no Big5 under that label"},
		"malformed/ee7fee7a67c2-flanker.eml":       {pythonIs, "an empty type: text/plain says RFC 2045 §5.2; we call it octets, because mail apps offer it as a file"},
		"nested-rfc822/af961f1635d2-stalwart.eml":  {pythonIs, "an embedded mail in base64: RFC 2046 §5.2.1 forbids it, Python reads the base64 as its text, others decode it; we do not enter it, and hold"},
		"nested-rfc822/e2305d3cd309-cpython.eml":   {nobodyIs, "a multipart that holds nothing but its own end: we show that line as text, Python drops it"},
		"pgp-signed/44ec01ab3de4-zbateson.eml":     windowsPath,
		"plain/b06cb26f42e2-rubymail.eml":          {nobodyIs, "a boundary with blanks and without quotes"},
		"raw-8bit/2d2dfab4106e-rubymail.eml":       {weAre, "curly quotes of windows-1252 under iso-8859-1: every mail app shows them, Python reads control characters"},
		"raw-8bit/373cb883c808-stalwart.eml":       raw,
		"raw-8bit/3f8f695994f4-stalwart.eml":       raw,
		"raw-8bit/8012e2ac08b6-stalwart.eml":       {weAre, "blanks behind the name of the encoding: Python then does not decode"},
		"raw-8bit/c48fc006172d-stalwart.eml":       raw,
	}
}

// TestCorpusAgainstPython compares our reading of the corpus, as it is, with that of Python's email,
// and holds docs/corpus-python.md to it. UPDATE=1 writes the page.
func TestCorpusAgainstPython(t *testing.T) {
	t.Parallel()
	python, judged := peerReaders(t)[0], judgements()
	files, err := filepath.Glob(filepath.Join(peerCorpus(t), "*", "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages in CORPUS: %v", err)
	}
	var rows strings.Builder
	otherTree, otherRest := 0, 0
	outcomes := [...]string{"sent", "held", "refused"}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		raw = canonical(t, raw)
		m, own := parsed(t, raw)
		views, err := python.read([][]byte{raw})
		if err != nil {
			t.Fatal(err)
		}
		d, name := compare(own, views[0]), filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f)
		if d.kind == "" {
			continue
		}
		j, ok := judged[name]
		if !ok {
			t.Errorf("%s: %s at %s, and nobody has judged it: %s", name, d.kind, d.path, d.what)
		}
		delete(judged, name)
		if d.kind == inParts {
			otherTree++
		} else {
			otherRest++
		}
		// The header was not written for this test: what it lacks does not count here.
		var defects []string
		worst := mail.AcceptAsRead
		for _, x := range m.Defects {
			switch x.Name {
			case "no-from", "bad-from", "bad-address", "more-than-one-from", "group-in-from", "misleading-name", "duplicate-field", "bad-date", "bad-message-id", "raw-8bit-in-header", "utf-8-in-header":
			default:
				worst = max(worst, x.Default)
				defects = append(defects, x.Name)
			}
		}
		slices.Sort(defects)
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s: %s |\n", name, d.kind, strings.Join(slices.Compact(defects), ", "), outcomes[worst], j.right, j.why)
	}
	for name := range judged {
		t.Errorf("%s is judged, and read the same", name)
	}
	n := len(files)
	if same := n - otherTree; same*100 < 95*n || otherTree+otherRest == 0 {
		t.Errorf("the same tree in %d of %d", same, n)
	}
	page := fmt.Sprintf(`# The corpus, read by us and by Python's email

%d messages, each as it stands in the corpus (only the line ends are CRLF), read by us and by Python's email package with its default
policy. The corpus is not part of this repository; TestCorpusAgainstPython in test/differ reads it from $CORPUS and fails when this page
is stale (UPDATE=1 writes it), and when a message is read differently that nobody has judged.

| | messages | of %d |
|---|---|---|
| the same parts, file names and decoded content | %d | %.1f %% |
| the same parts, another file name or other content | %d | |
| **the same tree** | %d | %.1f %% |
| other parts | %d | |

"Outcome" is what the defects in the body alone make of it; "right" is who reads it as the standard says. "Nobody" means that the standard
gives it no meaning. A multipart in which nobody finds a part counts as what it is called. Every one of these differences has a name, and where mail leaves all the same, the copy is written anew with one
reading (see reading.md).

| message | differs in | defects | outcome | right |
|---|---|---|---|---|
%s`, n, n, n-otherTree-otherRest, percent(n-otherTree-otherRest, n), otherRest, n-otherTree, percent(n-otherTree, n), otherTree, rows.String())
	fresh(t, "../../docs/corpus-python.md", page)
}

func percent(a, b int) float64 { return 100 * float64(a) / float64(b) }

// parsed returns a message as we read it.
func parsed(t *testing.T, raw []byte) (*mail.Message, []node) {
	t.Helper()
	m, err := mail.Parse(bytes.NewReader(raw), int64(len(raw)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	own, err := ours(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, own
}

// peerCorpus returns the directory of the corpus, which is never part of a checkout: the test is
// skipped without it.
func peerCorpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CORPUS")
	if dir == "" {
		t.Skip("CORPUS names no directory of messages")
	}
	return dir
}

// fresh holds a page to what it should be; UPDATE=1 writes it.
func fresh(t *testing.T, path, want string) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale (UPDATE=1 go test ./test/differ writes it); now it would be:\n%s", path, want)
	}
}
