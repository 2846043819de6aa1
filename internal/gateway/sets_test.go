package gateway

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/policies"
)

// files reads a set: the shipped one for ".", otherwise one of examples.
func setFiles(t testing.TB, set string) fstest.MapFS {
	t.Helper()
	var from fs.FS = policies.Files
	if set != "." {
		from = os.DirFS(path.Join("../../policies/examples", set))
	}
	m := fstest.MapFS{}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(from, name)
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// examples are the sets beside the shipped one.
func examples() []string {
	return nil
}

// eachSet runs f for every set of the repository.
func eachSet(t *testing.T, f func(t *testing.T, set string)) {
	for _, set := range append([]string{"."}, examples()...) {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			f(t, set)
		})
	}
}

// noticed reports whether the tests of a set see an edit: one fails, or the files do not load.
func noticed(t testing.TB, m fstest.MapFS, file, text string) bool {
	t.Helper()
	edited := fstest.MapFS{}
	for name, f := range m {
		edited[name] = f
	}
	edited[file] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	s, err := policy.Load(edited)
	if err != nil {
		return true
	}
	r, err := RunTests(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return !r.OK()
}

// Every number that decides has a test on both sides: one more or one less makes a test fail.
func TestEveryThresholdIsTestedOnBothSides(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`\b(clients_more_than|words_more_than|client_younger_than|clients_per_message): ([0-9]+)`)
	eachSet(t, func(t *testing.T, set string) {
		m := setFiles(t, set)
		for _, file := range []string{"mail.yaml", "organisation.yaml"} {
			text := string(m[file].Data)
			for _, at := range number.FindAllStringSubmatchIndex(text, -1) {
				n, err := strconv.Atoi(text[at[4]:at[5]])
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range []int{n - 1, n + 1} {
					edited := text[:at[4]] + strconv.Itoa(other) + text[at[5]:]
					if !noticed(t, m, file, edited) {
						t.Errorf("%s:%d: no test notices %s: %d", file, 1+strings.Count(text[:at[0]], "\n"), text[at[2]:at[3]], other)
					}
				}
			}
		}
	})
}

// A rule that only observes, or is no longer about safety, makes a test fail. What a rule does
// is tested, not only that it applied.
func TestEveryRuleIsMissedWhenItOnlyObserves(t *testing.T) {
	t.Parallel()
	eachSet(t, func(t *testing.T, set string) {
		m := setFiles(t, set)
		rules := strings.SplitAfter(string(m["mail.yaml"].Data), "\n  - name: ")
		for i, r := range rules {
			if i == 0 || strings.Contains(r, "\n    mode: observe") {
				continue
			}
			edited := slices.Clone(rules)
			edited[i] = strings.Replace(r, "\n    when:", "\n    mode: observe\n    when:", 1)
			edited[i] = strings.Replace(edited[i], "\n    always_enforce: yes", "", 1)
			if !noticed(t, m, "mail.yaml", strings.Join(edited, "")) {
				name, _, _ := strings.Cut(r, "\n")
				t.Errorf("no test notices that this rule only observes: %s", name)
			}
		}
	})
}
