package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// Every break still finds the code that it breaks, and what it makes of it is still Go.
func TestEveryBreakFitsTheCode(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range table() {
		if seen[m.Name] || m.Name == "" || m.Old == m.New || len(m.Tests) == 0 {
			t.Errorf("%q: a break needs a name of its own, a change and tests", m.Name)
		}
		seen[m.Name] = true
		source, err := os.ReadFile(filepath.Join(root, m.File))
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := m.apply(string(source))
		if err != nil {
			t.Errorf("%q is stale: %v", m.Name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.File, text, 0); err != nil {
			t.Errorf("%q: %v", m.Name, err)
		}
	}
}

// Every test that is named for a break is there.
func TestEveryNamedTestIsThere(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	known := map[string]map[string]bool{}
	for _, m := range table() {
		for _, full := range m.Tests {
			path, name := split(full)
			if known[path] == nil {
				known[path] = map[string]bool{}
				files, err := filepath.Glob(filepath.Join(root, path, "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Fatalf("%s has no tests (%v)", path, err)
				}
				for _, f := range files {
					source, err := os.ReadFile(f)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range declared.FindAllSubmatch(source, -1) {
						known[path][string(d[1])] = true
					}
				}
			}
			if !known[path][name] {
				t.Errorf("%q: there is no test %s", m.Name, full)
			}
		}
	}
}

func TestEveryPromiseIsBrokenTwice(t *testing.T) {
	t.Parallel()
	count := map[int]int{}
	for _, m := range table() {
		count[m.Promise]++
	}
	for _, p := range promises() {
		if count[p.Number] < 2 {
			t.Errorf("promise %d is broken in %d ways only", p.Number, count[p.Number])
		}
		delete(count, p.Number)
	}
	for n := range count {
		t.Errorf("there is no promise %d", n)
	}
}

func TestDocumentIsFresh(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile(filepath.Join(root, documentPath))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, render()) {
		t.Errorf("%s is stale: run go run ./test/mutants -doc", documentPath)
	}
}

// The verdict must not take anything else for a test that went red.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events string
		want   verdict
		build  bool
	}{
		"red":                    {`{"Action":"fail","Test":"TestA"}` + "\n" + `{"Action":"fail"}`, killed, true},
		"green":                  {`{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"pass"}`, survived, true},
		"only a subtest red":     {`{"Action":"fail","Test":"TestA/x"}` + "\n" + `{"Action":"pass","Test":"TestA"}`, survived, true},
		"another test red":       {`{"Action":"fail","Test":"TestB"}`, mute, true},
		"skipped":                {`{"Action":"skip","Test":"TestA"}`, mute, true},
		"ended without a word":   {`{"Action":"output","Output":"exit status 1\n"}` + "\n" + `{"Action":"fail"}`, mute, true},
		"does not compile":       {`{"Action":"build-fail"}` + "\n" + `{"Action":"fail","FailedBuild":"x"}`, mute, false},
		"text that is no report": {`# x: undefined`, mute, true},
	} {
		o := readEvents(strings.NewReader(c.events))
		if got, _ := o.judge([]string{"TestA"}); got != c.want || o.noBuild == c.build {
			t.Errorf("%s: %s, does not build: %v", name, got, o.noBuild)
		}
	}
	if got, _ := (outcome{tests: map[string]string{"TestA": "fail", "TestB": "pass"}}).judge([]string{"TestA", "TestB"}); got != survived {
		t.Errorf("one of two tests green: %s", got)
	}
}

func TestStaleBreaks(t *testing.T) {
	t.Parallel()
	m := mutant{File: "x.go", Old: "a", New: "b"}
	for source, ok := range map[string]bool{"a": true, "": false, "a a": false} {
		if _, err := m.apply(source); (err == nil) != ok {
			t.Errorf("%q: %v", source, err)
		}
	}
}
