package policy

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/policies"
)

func manual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The manual has one row for each word of the vocabulary, says truly whether it works, and
// has no row for a word that does not exist.
func TestManualKnowsTheVocabulary(t *testing.T) {
	t.Parallel()
	text := manual(t)
	section := func(from, to string) map[string]string {
		_, s, ok := strings.Cut(text, from)
		s, _, ok2 := strings.Cut(s, to)
		if !ok || !ok2 {
			t.Fatalf("no section %q", from)
		}
		out := map[string]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|.*\\| (works|later) \\|$").FindAllStringSubmatch(s, -1) {
			out[m[1]] = m[2]
		}
		return out
	}
	state := map[bool]string{true: "later", false: "works"}
	want := map[string]string{}
	for _, c := range conditions() {
		want[c.name] = state[c.later]
	}
	if got := section("### Conditions", "### Verbs"); !maps.Equal(got, want) {
		t.Errorf("conditions: got %v, want %v", got, want)
	}
	want = map[string]string{}
	for _, v := range verbs() {
		want[v.name] = state[v.later]
	}
	if got := section("### Verbs", "## Reference: the other files"); !maps.Equal(got, want) {
		t.Errorf("verbs: got %v, want %v", got, want)
	}
}

// The manual names every key that any file may have, every permission and every mark.
func TestManualKnowsEveryKey(t *testing.T) {
	t.Parallel()
	text := manual(t)
	m := withoutTests(t)
	full := `clients: {C-1: {email: anna@example.org, group_email: {given_on: 2026-01-01}}}
tests:
  - {name: A mail, mail: {from: maya, to: [C-1], subject: Hello}, expect: {outcome: send, every_copy: {recipients: 1}}}
`
	m["tests/full.yaml"] = &fstest.MapFile{Data: []byte(full), Mode: 0o644}
	seen := map[string]bool{}
	if _, err := newLoader(m, func(_, key string, _ bool) { seen[key] = true }).load(); err != nil {
		t.Fatal(err)
	}
	if len(seen) < 90 {
		t.Errorf("only %d keys were seen", len(seen))
	}
	for _, p := range append(Permissions(), marks()...) {
		seen[p] = true
	}
	for _, id := range builtinRules() {
		seen[id] = true
	}
	s := shipped(t)
	for key := range seen {
		if _, purpose := s.Clients.Consents[key]; purpose {
			continue
		}
		if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, "`{"+key+":") {
			t.Errorf("docs/policy.md does not name %q", key)
		}
	}
}

// The tutorial's rule and test work as they stand, and its mistake reads as it says.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text := manual(t)
	block := func(after string) string {
		_, s, _ := strings.Cut(text, after)
		_, s, _ = strings.Cut(s, "```")
		_, s, _ = strings.Cut(s, "\n")
		s, _, _ = strings.Cut(s, "```")
		return s
	}
	m := withoutTests(t)
	names, err := fs.Glob(policies.Files, "tests/*")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := policies.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
	}
	extend := func(name, more string) {
		m[name] = &fstest.MapFile{Data: append(append([]byte{}, m[name].Data...), "\n"+more...), Mode: 0o644}
	}
	rule := block("**1. Write the rule.**")
	shippedRules := m[fileMail]
	extend(fileMail, rule)
	extend("tests/everyday.yaml", block("**3. Test it.**"))
	s, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	if s.RuleName("drafts-wait") != "Drafts to clients wait for Sam" {
		t.Error("the tutorial's rule is not there")
	}
	m[fileMail] = shippedRules
	extend(fileMail, strings.Replace(rule, "hold_for", "hold_fro", 1))
	_, err = Load(m)
	ps, _ := err.(Problems)
	if len(ps) == 0 || !strings.Contains(block("**2. Check it.**"), ps.In("policies").Error()) {
		t.Errorf("the tutorial shows another message than:\n%v", err)
	}
}
