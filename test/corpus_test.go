package test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The clients of the corpus test. Their names stand in no message of any corpus, so that a
// name in an output can only have come from the header that the test wrote.
const corpusRegister = "ref,name,email,born,country,nation,discreet,word,protection,practitioner\n" +
	"C-9001,Quillonia Abernethwaite,quillonia@canary-one.example,1980-05-01,GB,England,no,willow,none,maya\n" +
	"C-9002,Zephyrack Lislebourne,zephyrack@canary-two.example,2010-02-03,GB,England,no,pebble,none,maya\n" +
	"C-9003,Thaddemius Brackenrood,thaddemius@canary-three.example,1975-11-30,GB,England,yes,lantern,none,maya\n"

// corpusClient is what the oracle must know about a client: crisis is the line that the copy
// must have, word for word as the practice's texts say it for GB.
type corpusClient struct {
	Address string `json:"address"`
	Name    string `json:"name"`
	Crisis  string `json:"crisis"`
}

func corpusClients() []corpusClient {
	young := strings.Replace(crisisAdult, " If you need", " Under 19: Childline, call 0800 1111 (free). If you need", 1)
	return []corpusClient{
		{"quillonia@canary-one.example", "Quillonia Abernethwaite", crisisAdult},
		{"zephyrack@canary-two.example", "Zephyrack Lislebourne", young},
		{"thaddemius@canary-three.example", "Thaddemius Brackenrood", "This inbox is not watched all the time. For anything urgent use the numbers on your card."},
	}
}

// explained is what explain --json prints.
type explained struct {
	Outcome string
	Reply   struct {
		Code int
		Text string
	}
	Findings []struct {
		Rule, Action, Recipient, Reason, Defect string
		Observed                                bool
	}
	Messages []explainedMessage
}

type explainedMessage struct {
	File         string
	ForwardPaths []string `json:"forward_paths"`
}

// corpusCase is one message of the corpus and what became of it.
type corpusCase struct {
	category, input, out string
	said                 explained
	problem              string // why it has no outcome at all
}

// The built-in rules that speak about the message itself rather than about the policies.
const (
	ruleReadable = "readable"    // a defect: two readers could see different messages
	ruleSigned   = "signed-mail" // signed or encrypted by the mail app: an edit would break it
)

// TestCorpus sends every message of $CORPUS (a directory of .eml files, one subdirectory a
// category) through explain and lets another mail library read what would have left.
func TestCorpus(t *testing.T) {
	t.Parallel()
	corpus, python := corpusPeer(t), peer(t, "python3")
	cases := corpusCases(t, corpus)
	explainAll(t, cases)
	verdicts := judge(t, python, cases)

	counts := corpusCounts{}
	for i, c := range cases {
		name := c.category + "/" + filepath.Base(c.input)
		if c.problem != "" {
			t.Errorf("%s: %s", name, c.problem)
			continue
		}
		for _, p := range verdicts[i].Problems {
			t.Errorf("%s: %s", name, p)
		}
		counts.add(c, verdicts[i])
	}
	for _, category := range []string{"plain", "html", "attachments"} {
		n := counts.rows[category]
		if defects := n["hold defect"] + n["refuse defect"]; defects*3 > n["all"] {
			t.Errorf("%s: %d of %d held or refused for a defect: the parser is too strict", category, defects, n["all"])
		}
	}
	compareWithDocs(t, counts.markdown())
}

// corpusPeer returns the directory of the corpus. It is never part of a checkout, so the test
// is skipped without it even where peers are required.
func corpusPeer(t *testing.T) string {
	t.Helper()
	corpus := os.Getenv("CORPUS")
	if corpus == "" {
		t.Skip("CORPUS names no directory of messages")
	}
	return corpus
}

// corpusCases reads the corpus and writes every message as maya would have sent it to the
// three clients.
func corpusCases(t *testing.T, corpus string) []*corpusCase {
	t.Helper()
	dir := t.TempDir()
	var cases []*corpusCase
	must(t, filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := fmt.Sprintf("%04d", len(cases))
		c := &corpusCase{category: filepath.Base(filepath.Dir(path)), input: filepath.Join(dir, n, filepath.Base(path)), out: filepath.Join(dir, n, "out")}
		if err := os.MkdirAll(c.out, 0o700); err != nil {
			return err
		}
		cases = append(cases, c)
		return os.WriteFile(c.input, addressed(raw), 0o600)
	}))
	if len(cases) == 0 {
		t.Fatalf("%s holds no .eml file", corpus)
	}
	return cases
}

// replacedFields are about who wrote to whom: ours stand in their place.
func replacedFields() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(from|to|cc|bcc|sender|reply-to|return-path|resent-[a-z-]+)[ \t]*:`)
}

// addressed replaces the fields that say who wrote to whom, and drops the separator line
// that mbox files put in front of a message: it is no field, and it names the sender. All
// other bytes stay as they are.
func addressed(raw []byte) []byte {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	eol := "\n"
	if i := bytes.IndexByte(raw, '\n'); i > 0 && raw[i-1] == '\r' {
		eol = "\r\n"
	}
	if bytes.HasPrefix(raw, []byte("From ")) {
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	var b bytes.Buffer
	var to []string
	for _, c := range corpusClients() {
		to = append(to, fmt.Sprintf("%q <%s>", c.Name, c.Address))
	}
	b.WriteString("From: Maya Okafor <" + maya + ">" + eol + "To: " + strings.Join(to, ","+eol+" ") + eol)
	ours, skipping := replacedFields(), false
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line = raw[:i+1]
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break // the rest is body
		}
		raw = raw[len(line):]
		if folded := line[0] == ' ' || line[0] == '\t'; !folded {
			skipping = ours.Match(line)
		}
		if !skipping {
			b.Write(line)
		}
	}
	b.Write(raw)
	return b.Bytes()
}

// mustLock reports whether a rule locks the message, and none refuses it.
func (c *corpusCase) mustLock() bool {
	for _, f := range c.said.Findings {
		if f.Action == "lock" && !f.Observed {
			return c.said.Outcome != "refuse"
		}
	}
	return false
}

// explainAll runs explain on every case, two processes at a time.
func explainAll(t *testing.T, cases []*corpusCase) {
	t.Helper()
	clients := filepath.Join(t.TempDir(), "clients.csv")
	must(t, os.WriteFile(clients, []byte(corpusRegister), 0o600))
	policies, err := filepath.Abs("../policies")
	must(t, err)
	work := make(chan *corpusCase)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for c := range work {
				c.explain(t, policies, clients)
			}
		})
	}
	for _, c := range cases {
		work <- c
	}
	close(work)
	wg.Wait()
}

func (c *corpusCase) explain(t *testing.T, policies, clients string) {
	cmd := exec.CommandContext(t.Context(), program, "explain", "--policies", policies, "--clients", clients,
		"--sender", "maya", "--released", "--json", "--out", c.out, c.input)
	cmd.Dir = filepath.Dir(clients) // where no gateway.yaml is
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	switch code := cmd.ProcessState.ExitCode(); {
	case bytes.Contains(errOut.Bytes(), []byte("panic")):
		c.problem = "panic:\n" + errOut.String()
	case code != 0 && code != 1: // 1: the answer is no
		c.problem = fmt.Sprintf("explain: %v\n%s", err, errOut.String())
	default:
		if err := json.Unmarshal(out.Bytes(), &c.said); err != nil {
			c.problem = fmt.Sprintf("explain printed no JSON (exit %d): %v\n%s", code, err, errOut.String())
			return
		}
		c.problem = c.unexplained()
	}
}

// unexplained says what is missing in what explain printed.
func (c *corpusCase) unexplained() string {
	strictest := "send"
	for _, f := range c.said.Findings {
		if f.Observed {
			continue // it only reports
		}
		if f.Rule == "" || f.Reason == "" {
			return "a finding without rule or reason"
		}
		if outcome := outcomeOf(f.Action); outcome == "hold" && strictest == "send" || outcome == "refuse" {
			strictest = outcome
		}
	}
	switch {
	case c.said.Outcome != strictest:
		return fmt.Sprintf("outcome %q, but the strictest finding says %q", c.said.Outcome, strictest)
	case c.said.Outcome == "refuse" && len(c.said.Messages) > 0:
		return "refused, and yet messages would leave"
	case c.mustLock():
		// Nobody of ours has agreed words: it stays held, and a dry run shows nothing in clear.
		if c.said.Outcome != "hold" || len(c.said.Messages) > 0 {
			return "it must be locked, and leaves all the same"
		}
	case c.said.Outcome != "refuse" && len(c.said.Messages) != len(corpusClients()):
		return fmt.Sprintf("%d messages, not one for each of the %d clients", len(c.said.Messages), len(corpusClients()))
	}
	for _, m := range c.said.Messages {
		if len(m.ForwardPaths) != 1 {
			return fmt.Sprintf("%s has %d forward-paths", m.File, len(m.ForwardPaths))
		}
	}
	return ""
}

type verdict struct {
	Whole    bool
	Broken   bool
	Problems []string
}

// judge lets Python's email read every output.
func judge(t *testing.T, python string, cases []*corpusCase) []verdict {
	t.Helper()
	type output struct {
		Path      string `json:"path"`
		Recipient string `json:"recipient"`
	}
	type judged struct {
		Input   string   `json:"input"`
		Defect  bool     `json:"defect"`
		Outputs []output `json:"outputs"`
	}
	var all []judged
	for _, c := range cases {
		j := judged{Input: c.input, Defect: c.said.Outcome == "hold" && c.stoppedBy()[ruleReadable], Outputs: []output{}}
		if c.problem == "" {
			for _, m := range c.said.Messages {
				j.Outputs = append(j.Outputs, output{filepath.Join(c.out, filepath.Base(m.File)), m.ForwardPaths[0]})
			}
		}
		all = append(all, j)
	}
	manifest, err := json.Marshal(map[string]any{"clients": corpusClients(), "cases": all, "alias": "hello@wh.example", "not_in_header": []string{maya, "Okafor"}})
	must(t, err)
	cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", "-B", "oracle.py")
	cmd.Stdin = bytes.NewReader(manifest)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("oracle.py: %v\n%s", err, errOut.String())
	}
	var verdicts []verdict
	must(t, json.Unmarshal(out.Bytes(), &verdicts))
	if len(verdicts) != len(cases) {
		t.Fatalf("%d verdicts on %d messages", len(verdicts), len(cases))
	}
	return verdicts
}

// corpusCounts are the outcomes by category, and the reasons.
type corpusCounts struct {
	rows    map[string]map[string]int
	reasons map[[3]string]int // action, rule, reason
}

// outcomeOf is the outcome that a finding asks for by itself. Nobody here has agreed words, so a
// lock holds.
func outcomeOf(action string) string {
	if action == "lock" {
		return "hold"
	}
	return action
}

// stoppedBy returns the rules that made the outcome what it is.
func (c *corpusCase) stoppedBy() map[string]bool {
	rules := map[string]bool{}
	for _, f := range c.said.Findings {
		if f.Observed {
			continue // it only reports
		}
		if f.Action != "send" && outcomeOf(f.Action) == c.said.Outcome {
			rules[f.Rule] = true
		}
	}
	return rules
}

// add counts a case once: for a defect when one alone would have stopped it, then for a
// signature, then for the policies.
func (n *corpusCounts) add(c *corpusCase, v verdict) {
	if n.rows == nil {
		n.rows, n.reasons = map[string]map[string]int{}, map[[3]string]int{}
	}
	seen := map[[3]string]bool{}
	for _, f := range c.said.Findings {
		if f.Observed {
			continue // it only reports
		}
		reason := f.Reason
		if f.Defect != "" {
			reason = f.Defect // the reason says what to do about it, too
		}
		if why := [3]string{outcomeOf(f.Action), f.Rule, reason}; why[0] != "send" && !seen[why] {
			seen[why] = true
			n.reasons[why]++
		}
	}
	stopped := c.stoppedBy()
	column := c.said.Outcome
	switch {
	case column == "send":
	case stopped[ruleReadable]:
		column += " defect"
	case stopped[ruleSigned]:
		column += " signed"
	default:
		column += " policy"
	}
	for _, category := range []string{c.category, "all"} {
		row := n.rows[category]
		if row == nil {
			row = map[string]int{}
			n.rows[category] = row
		}
		row["all"]++
		row[column]++
		row["copies"] += len(c.said.Messages)
		if len(c.said.Messages) > 0 && v.Whole {
			row["whole"]++
		}
		if len(c.said.Messages) > 0 && v.Broken {
			row["broken"]++
		}
	}
}

// markdown writes docs/corpus.md.
func (n *corpusCounts) markdown() string {
	var b strings.Builder
	all := n.rows["all"]
	fmt.Fprintf(&b, `# The message corpus

%d messages from the public test suites of sixteen mail libraries, each as if Maya had sent it to three clients: an adult,
somebody under 19, and somebody whose mail must be discreet. The corpus itself is not part of this repository; TestCorpus
reads it from $CORPUS (a directory of .eml files, one subdirectory a category) and fails when this file is stale.
UPDATE=1 go test -run TestCorpus ./test writes it anew.

Before a message goes in, the test replaces From, To, Cc, Bcc, Sender, Reply-To, Return-Path and Resent-*, and drops the
separator line that mbox files put before a message. All other bytes go in as they are, broken or not.

"Held" and "refused" are the outcome before any release. What is held was then rendered as if it had been released, and
Python's email package read all %d copies: one recipient each, nobody else's name or address, only CRLF, no long line, no NUL,
an ASCII header, the crisis lines once in text and once in HTML (in each, where a letter has several
alternatives of a kind), and every other part with the same decoded bytes.

| category | messages | sent | held: signed or encrypted | held by policy | held for a defect | refused for a defect | refused by policy | kept whole |
|---|---|---|---|---|---|---|---|---|
`, all["all"], all["copies"])
	names := make([]string, 0, len(n.rows))
	for name := range n.rows {
		if name != "all" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range append(names, "all") {
		r := n.rows[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, r["all"], r["send"], r["hold signed"], r["hold policy"],
			r["hold defect"], r["refuse defect"], r["refuse policy"], r["whole"])
	}
	fmt.Fprintf(&b, `
"Kept whole": signed or encrypted in the mail app, by structure or inline; an edit of the text would break it. Once released
such a message leaves with every part as it was, without first line and crisis lines, under a new top header.

In %d of the messages that are held for a defect Python's package finds the structure broken too. There is no one list of parts to
compare with, so their copies were checked for everything else. In every message that is sent, the parts were compared.

## Why

A message may have several reasons; the table above counts it once, for a defect first, then for a signature, then for the policies.
The rule "readable" is built in: it names the defect through which two mail apps could read two different messages.

| outcome | rule | reason | messages |
|---|---|---|---|
`, all["broken"])
	whys := make([][3]string, 0, len(n.reasons))
	for why := range n.reasons {
		whys = append(whys, why)
	}
	slices.SortFunc(whys, func(x, y [3]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(n.reasons[y], n.reasons[x]), cmp.Compare(x[2], y[2]))
	})
	for _, why := range whys {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", why[0], why[1], strings.ReplaceAll(why[2], "|", `\|`), n.reasons[why])
	}
	return b.String()
}

// compareWithDocs holds docs/corpus.md to what was counted; UPDATE=1 writes it.
func compareWithDocs(t *testing.T, want string) {
	t.Helper()
	const path = "../docs/corpus.md"
	if os.Getenv("UPDATE") == "1" {
		must(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/corpus.md is stale (UPDATE=1 go test -run TestCorpus ./test writes it); now it would be:\n%s", want)
	}
}
