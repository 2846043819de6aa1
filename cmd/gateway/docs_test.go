package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			docs[n] = string(b)
		}
	}
	if len(docs) < 9 {
		t.Fatalf("only %d documents", len(docs))
	}
	return docs
}

func TestLinksInDocumentsLead(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
}

// Every row of the guidance is accounted for, and a rule that names a row names a real one
// that the document does not call undone.
func TestEveryRowOfTheGuidanceIsAccountedFor(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/guidance.md")
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (S\d+) \| \w+ \| .*? \| (met|in part|not yet|outside) \| .*\|$`).FindAllStringSubmatch(string(b), -1) {
		state[m[1]] = m[2]
	}
	for n := 1; n <= 76; n++ {
		if state[fmt.Sprintf("S%d", n)] == "" {
			t.Errorf("S%d has no row", n)
		}
	}
	sets, err := filepath.Glob("../../policies/examples/*/mail.yaml")
	if err != nil || len(sets) < 4 {
		t.Fatal(sets, err)
	}
	for _, name := range append(sets, "../../policies/mail.yaml") {
		rules, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		because := regexp.MustCompile(`(?m)^\s*because: .*$`).FindAllString(string(rules), -1)
		if len(because) == 0 {
			t.Errorf("no rule of %s says why", name)
		}
		for _, line := range because {
			for _, row := range regexp.MustCompile(`S\d+`).FindAllString(line, -1) {
				if state[row] == "" {
					t.Errorf("%s: %s names %s, which is no row", name, strings.TrimSpace(line), row)
				}
			}
		}
	}
}

// Every module that the code imports directly has its line.
func TestEveryDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{range .Imports}}{{.}}
{{end}}{{range .TestImports}}{{.}}
{{end}}{{range .XTestImports}}{{.}}
{{end}}`, "./...")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?m)^\| ([a-z][^ |]+\.[^ |]+/[^ |]+) \|`).FindAllStringSubmatch(string(doc), -1)
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		imported := strings.TrimSpace(line)
		first, _, _ := strings.Cut(imported, "/")
		if !strings.Contains(first, ".") || strings.HasPrefix(imported, "github.com/plaincover/") {
			continue
		}
		found := false
		for _, m := range listed {
			if imported == m[1] || strings.HasPrefix(imported, m[1]+"/") {
				found, seen[m[1]] = true, true
			}
		}
		if !found {
			t.Errorf("docs/dependencies.md has no line for %s", imported)
		}
	}
	for _, m := range listed {
		if !seen[m[1]] && m[1] != "honnef.co/go/tools" { // a tool: run, never imported
			t.Errorf("docs/dependencies.md lists %s, which nothing imports", m[1])
		}
	}
}

// What the README shows as before and after is what the demo shows.
func TestREADMEShowsWhatTheDemoShows(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, out, _ := run(t, "demo", "--once")
	if code != 0 {
		t.Fatal("the demo fails")
	}
	plainText := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "| ", " ")), " ") }
	shown := strings.ReplaceAll(plainText(out), " | ", " ")
	blocks := regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples in the README", len(blocks))
	}
	for _, m := range blocks {
		if want := plainText(m[1]); !strings.Contains(shown, want) {
			t.Errorf("the demo does not show\n%s\n\nin\n%s", want, shown)
		}
	}
}
