package policy

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// withRules is the shipped set with other rules in mail.yaml.
func withRules(t testing.TB, rules ...string) fstest.MapFS {
	t.Helper()
	m := withoutTests(t)
	m[fileMail] = &fstest.MapFile{Data: []byte("rules:\n  - " + strings.Join(rules, "\n  - ") + "\n"), Mode: 0o644}
	return m
}

// Every rule is compared with every other, and a thousand of them still load at once.
func TestSenseIsCheap(t *testing.T) {
	t.Parallel()
	var rules []string
	for i := range 1000 {
		rules = append(rules, fmt.Sprintf(`{name: "Rule %d", id: r-%d, when: {to: client, any: [{subject_starts: "[a%d]"}, {size_more_than: %d MB}], words_more_than: %d}, unless: {already: signed}, do: [hold]}`, i, i, i, i+1, i))
	}
	m := withRules(t, rules...)
	start := time.Now()
	if _, err := Load(m); err != nil {
		t.Fatal(err)
	}
	t.Logf("1,000 rules in %s", time.Since(start))
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("1,000 rules took %s", d)
	}
}
