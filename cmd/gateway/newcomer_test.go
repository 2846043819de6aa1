package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// watched keeps what a process prints and says when a pattern appears.
type watched struct {
	pattern *regexp.Regexp
	seen    chan []string

	mu   sync.Mutex
	text bytes.Buffer
	done bool
}

// Write implements io.Writer.
func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if m := w.pattern.FindStringSubmatch(w.text.String()); m != nil && !w.done {
		w.done = true
		w.seen <- m
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func (w *watched) wait(limit time.Duration) ([]string, bool) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case m := <-w.seen:
		return m, true
	case <-timeout.C:
		return nil, false
	}
}

// readmeBlocks returns the shell blocks of the README that carry a label, unindented.
func readmeBlocks(t *testing.T, label string) []string { return blocksOf(t, "README.md", "sh "+label) }

// blocksOf returns the blocks of a document that begin with that label, unindented.
func blocksOf(t *testing.T, document, label string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", document))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	block := regexp.MustCompile("(?ms)^( *)```" + label + "\n(.*?)^ *```$")
	for _, m := range block.FindAllStringSubmatch(string(b), -1) {
		var out strings.Builder
		for line := range strings.Lines(m[2]) {
			out.WriteString(strings.TrimPrefix(line, m[1]))
		}
		blocks = append(blocks, out.String())
	}
	return blocks
}

func peerSwaks(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("swaks"); err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal("swaks is not installed, and REQUIRE_PEERS=1")
		}
		t.Skip("swaks is not installed")
	}
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// The README's own commands, in its order, in a copy of the tree: from nothing to a rewritten
// mail at a sink. Only the ports are others, so that tests can run side by side.
func TestNewcomersPathFromREADME(t *testing.T) {
	t.Parallel()
	peerSwaks(t)
	dir := filepath.Join(t.TempDir(), "plaincover")
	copyTree(t, "../..", dir)
	port := freePort(t)
	ports := strings.NewReplacer("127.0.0.1:2525", "127.0.0.1:"+freePort(t), "127.0.0.1:1587", "127.0.0.1:"+port, "127.0.0.1:1465", "127.0.0.1:0", "127.0.0.1:8026", "127.0.0.1:0")
	sample := filepath.Join(dir, "gateway.sample.yaml")
	b, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sample, []byte(ports.Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}

	shell := func(ctx context.Context, script string, env ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, "sh", "-ec", ports.Replace(script))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
		return string(out)
	}
	// The README's sink has the port of the sample; here every test has its own.
	extra := map[string]string{"sink": " --listen 127.0.0.1:2525"}
	steps := readmeBlocks(t, "newcomer")
	if len(steps) != 3 {
		t.Fatalf("%d steps in the README", len(steps))
	}
	var said string
	for _, s := range steps {
		said += shell(t.Context(), s)
	}
	m := regexp.MustCompile(`(?m)^password +(\S+)$`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no password was shown:\n%s", said)
	}
	if said := shell(t.Context(), readmeBlocks(t, "explain")[0]); !strings.Contains(said, "SEND\n") || !strings.Contains(said, "from hello@wh.example to anna@example.org") {
		t.Errorf("explain says\n%s", said)
	}
	// start runs a block that stays in the foreground, until the test ends.
	start := func(label string, ready *regexp.Regexp) *watched {
		t.Helper()
		out := &watched{pattern: ready, seen: make(chan []string, 1)}
		cmd := exec.Command("sh", "-ec", "exec "+ports.Replace(strings.TrimSpace(readmeBlocks(t, label)[0])+extra[label]))
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", label, err, out)
			}
		})
		return out
	}
	local := start("sink", regexp.MustCompile(`(?ms)^taking mail on .*^--- mail 1: (from .*?)$(.*Samaritans.*)`))
	ready := start("serve", regexp.MustCompile(`(?m)^listening on (\S+) \(STARTTLS\)$`))
	if _, ok := ready.wait(30 * time.Second); !ok {
		t.Fatalf("serve is not ready:\n%s", ready)
	}
	shell(t.Context(), readmeBlocks(t, "send")[0], "PASSWORD="+m[1])
	got, ok := local.wait(30 * time.Second)
	if !ok {
		t.Fatalf("nothing arrived:\n%s\n%s", ready, local)
	}
	if got[1] != "from <hello@wh.example> to anna@example.org" {
		t.Errorf("the sink took mail %s", got[1])
	}
	text := got[2]
	for _, want := range []string{"Subject: Hello from M - willow\n", "See you on Tuesday at ten.", "Samaritans", "hello@wh.example"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, lost := range []string{"counselling", "maya@", "okafor", "swaks"} {
		if strings.Contains(strings.ToLower(text), lost) {
			t.Errorf("still says %q:\n%s", lost, text)
		}
	}
}

// The tutorial of docs/policy.md turns the shipped policies into those of another practice, and
// they and their tests are sound afterwards.
func TestPoliciesBecomeYourOwnAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	peerSwaks(t) // swaks is Perl: where it runs the tutorial's command does
	dir := t.TempDir()
	shipped := filepath.Join(dir, "policies")
	if err := os.CopyFS(shipped, os.DirFS("../../policies")); err != nil {
		t.Fatal(err)
	}
	people, commands := blocksOf(t, "docs/policy.md", "yaml own"), blocksOf(t, "docs/policy.md", "sh own")
	if len(people) != 1 || len(commands) != 1 {
		t.Fatalf("%d and %d blocks in docs/policy.md", len(people), len(commands))
	}
	if err := os.WriteFile(filepath.Join(shipped, "people.yaml"), []byte(people[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := run(t, "check", "--policies", shipped); code != exitNo || !strings.Contains(said, `known here: tom, priya`) {
		t.Errorf("with only people.yaml changed, check answers %d\n%s", code, said)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", commands[0])
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, what := range []string{"check", "test"} {
		if code, out, said := run(t, what, "--policies", shipped); code != exitDone || !strings.HasPrefix(out, "ok: ") {
			t.Errorf("%s answers %d\n%s\n%s", what, code, out, said)
		}
	}
}

// The README begins with the two commands, and shows what the demo shows.
func TestREADMEBeginsWithTheTwoCommands(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(string(b))
	if first == nil || first[1] != "go run ./cmd/gateway demo --once\ngo test ./...\n" {
		t.Fatalf("the first block is %q", first)
	}
}
