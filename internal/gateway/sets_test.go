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
	return []string{"domestic-violence", "nhs-adjacent", "private-practitioner", "school"}
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

// A rule that only observes makes a test fail: what a rule does is tested, not only that it
// applied. (In one set nobody can agree to a group, and the program itself sends separately.)
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
				_, id, _ := strings.Cut(r, "\n    id: ")
				id, _, _ = strings.Cut(id, "\n")
				if set+" "+id != "domestic-violence send-separately" {
					t.Errorf("no test notices that the rule %s only observes", id)
				}
			}
		}
	})
}

// weaker returns the block of a set's page that names what protects less than the shipped set.
func weaker(t *testing.T, page string) []string {
	t.Helper()
	_, block, ok := strings.Cut(page, "```text weaker\n")
	block, _, ends := strings.Cut(block, "```")
	if !ok || !ends {
		t.Fatal("the page does not say what protects less")
	}
	return slices.DeleteFunc(strings.Split(block, "\n"), func(l string) bool { return l == "" })
}

// Whatever protects less than the shipped set stands on the page of the example, and nothing
// else does.
func TestExamplesSayWhatProtectsLess(t *testing.T) {
	t.Parallel()
	shipped, err := policy.Load(setFiles(t, "."))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range examples() {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			m := setFiles(t, set)
			s, err := policy.Load(m)
			if err != nil {
				t.Fatal(err)
			}
			ds, err := Compare(t.Context(), shipped, s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range ds {
				if d.Weaker {
					got = append(got, d.String())
				}
			}
			want := weaker(t, string(m["README.md"].Data))
			if !slices.Equal(got, want) {
				t.Errorf("protects less:\n%s\nthe page says:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if set == "domestic-violence" && len(got) > 0 {
				t.Error("this set may protect nothing less")
			}
		})
	}
}

// Every set loads without a problem, passes its tests, reaches every rule, and warns only of
// what its page explains.
func TestSetsPassTheirTests(t *testing.T) {
	t.Parallel()
	shared := shippedRules(t)
	eachSet(t, func(t *testing.T, set string) {
		m := setFiles(t, set)
		s, err := policy.Load(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.WarningsAt(noon) {
			if !strings.Contains(w.Text, `cannot do "lock" yet`) && !strings.Contains(w.Text, "helplines have to be checked") {
				t.Errorf("a warning that no page explains: %v", w)
			}
		}
		r, err := RunTests(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range r.Results {
			for _, f := range res.Failures {
				t.Errorf("%s (%s:%d): %s", res.Name, res.File, res.Line, f)
			}
		}
		if len(r.Unreached) > 0 {
			t.Errorf("no test reaches %v", r.Unreached)
		}
		page, ok := m["README.md"]
		if !ok {
			return // the shipped set: docs/policy.md is its page
		}
		for _, rule := range s.Rules {
			if !shared[rule.ID()] && !strings.Contains(string(page.Data), "`"+rule.ID()+"`") {
				t.Errorf("the page does not speak of the rule %s, which only this set has", rule.ID())
			}
		}
		for _, must := range []string{"## Whom it suits, and whom it does not", "## What it does differently, and why", "## Before you use it", "Locking needs words or a key", "crisis-lines.yaml"} {
			if !strings.Contains(string(page.Data), must) {
				t.Errorf("the page lacks %q", must)
			}
		}
	})
}

func shippedRules(t *testing.T) map[string]bool {
	t.Helper()
	s, err := policy.Load(setFiles(t, "."))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, r := range s.Rules {
		out[r.ID()] = true
	}
	return out
}

// What several sets have in common is the same in all of them: a helpline that changes in one
// changes in all, and so does a word list.
func TestSetsShareTheirFacts(t *testing.T) {
	t.Parallel()
	shipped := setFiles(t, ".")
	for _, set := range examples() {
		m := setFiles(t, set)
		for name, f := range m {
			same := name == "crisis-lines.yaml" || strings.HasPrefix(name, "words/")
			if same && shipped[name] != nil && string(f.Data) != string(shipped[name].Data) {
				t.Errorf("%s/%s is not the one of policies", set, name)
			}
		}
		for name := range shipped {
			if strings.HasPrefix(name, "words/") && m[name] == nil {
				t.Errorf("%s lacks %s", set, name)
			}
		}
	}
}
