package policy

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/policies"
)

// peerEditor starts the YAML language server that editors use, installed by `npm ci` in
// test/peers. ask opens a file of the shipped directory with that text.
func peerEditor(t *testing.T) (ask func(file, text, want, at string, answer any)) {
	t.Helper()
	const peers = "../../test/peers"
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "node is not installed"
	} else if _, err := os.Stat(filepath.Join(peers, "node_modules", "yaml-language-server")); err != nil {
		missing = "run npm ci in test/peers"
	}
	if missing != "" {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	cmd := exec.CommandContext(t.Context(), "node", "editor.mjs")
	cmd.Dir, cmd.Stderr = peers, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	root, err := filepath.Abs("../../policies")
	if err != nil {
		t.Fatal(err)
	}
	return func(file, text, want, at string, answer any) {
		t.Helper()
		type position struct {
			Line      int `json:"line"`
			Character int `json:"character"`
		}
		var p *position
		if at != "" {
			// The place is where | stands in at.
			before, after, _ := strings.Cut(at, "|")
			i := strings.Index(text, before+after)
			if i < 0 {
				t.Fatalf("%s does not hold %q", file, before+after)
			}
			i += len(before)
			p = &position{strings.Count(text[:i], "\n"), i - 1 - strings.LastIndexByte(text[:i], '\n')}
		}
		b, err := json.Marshal(map[string]any{"file": filepath.Join(root, file), "text": text, "want": want, "at": p})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(b, '\n')); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatalf("the language server ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), answer); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever edits a policy file in an editor is offered the words of the language, reads what a
// word means, and sees a slip underlined where it stands.
func TestEditorsHelp(t *testing.T) {
	t.Parallel()
	ask := peerEditor(t)
	read := func(name string) string {
		b, err := policies.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	type slip struct {
		Line    int
		Message string
	}
	for _, file := range append(mandatory(), "tests/everyday.yaml", "tests/safety.yaml") {
		var slips []slip
		if ask(file, read(file), "diagnostics", "", &slips); len(slips) > 0 {
			t.Errorf("%s as shipped is underlined: %v", file, slips)
		}
	}
	rules := read(fileMail)
	empty := strings.Replace(rules, "when: {to: unknown}", "when:\n      \n", 1)
	var words []string
	ask(fileMail, empty, "completion", "when:\n      |\n", &words)
	for _, c := range conditionNames() {
		if !slices.Contains(words, c) {
			t.Errorf("under when the editor does not offer %q: %v", c, words)
		}
	}
	ask(fileMail, strings.Replace(rules, "{to: unknown}", "{to: }", 1), "completion", "{to: |}", &words)
	if !slices.Equal(words, []string{"client", "colleague", "unknown", "anyone"}) {
		t.Errorf("after to: the editor offers %v", words)
	}
	ask(fileMail, strings.Replace(rules, "do: [hold]", "do: []", 1), "completion", "do: [|]", &words)
	if !slices.Contains(words, "never_hold") || !slices.Contains(words, "crisis_signature") {
		t.Errorf("under do the editor offers %v", words)
	}
	var meaning string
	if ask(fileMail, rules, "hover", "clients_mo|re_than", &meaning); !strings.Contains(meaning, conditionMeans("clients_more_than")) {
		t.Errorf("over clients_more_than the editor says %q", meaning)
	}
	for old, with := range map[string]string{"{to: unknown}": "{to: unknwon}", "when: {to: unknown}": "whne: {to: unknown}", "do: [hold]": "do: [hodl]"} {
		var slips []slip
		text := strings.Replace(rules, old, with, 1)
		line := strings.Count(text[:strings.Index(text, with)], "\n")
		ask(fileMail, text, "diagnostics", "", &slips)
		if !slices.ContainsFunc(slips, func(s slip) bool { return s.Line == line }) {
			t.Errorf("%s in line %d is not underlined: %v", with, line, slips)
		}
	}
}
