package policy

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/policies"
)

var update = flag.Bool("update", false, "write want.txt of every broken policy anew; read them all afterwards")

// jargon are words of the program and of its libraries: no message to a manager has them.
var jargon = regexp.MustCompile(`(?i)yaml:|libyaml|go-yaml|marshal|mapping|scalar|sequence|invalid|<nil>|\bnil\b|%!|!!str|!!int|!!map|map\[|\bstrings?\b|\bbool(ean)?\b|\bint(eger)?s?\b|\bfloat|struct|slice|array|\bnull\b|\bpointer|\btoken|\bpars(e|er|ing)\b|decod|syntax|did not find|while (scanning|parsing)|could not find|goroutine|panic|\bEOF\b|errno|permission denied|no such file or directory|cannot (unmarshal|decode|construct|start|hold)`)

// withoutTests is the shipped set as a map, so that a test can lay broken files over it. The
// shipped tests stay away: they speak of rules that a broken file may not have.
func withoutTests(t testing.TB) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	err := fs.WalkDir(policies.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "tests/") {
			return err
		}
		b, err := policies.Files.ReadFile(name)
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// overlay lays the files of a directory over the shipped set; DELETE lists files to remove.
func overlay(t testing.TB, dir string) fstest.MapFS {
	t.Helper()
	m := withoutTests(t)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "want.txt" {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if d.Name() == "DELETE" {
			for _, gone := range strings.Fields(string(b)) {
				delete(m, gone)
			}
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		m[filepath.ToSlash(rel)] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBrokenPolicies reads one directory for each broken policy: it must not load, and what
// it says must be word for word what want.txt says.
func TestBrokenPolicies(t *testing.T) {
	t.Parallel()
	dirs, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) < 150 {
		t.Fatalf("only %d broken policies", len(dirs))
	}
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("testdata", "bad", d.Name())
			s, err := Load(overlay(t, dir))
			var ps Problems
			if !errors.As(err, &ps) || len(ps) == 0 || s != nil {
				t.Fatalf("a broken policy was accepted: snapshot %v, error %v", s != nil, err)
			}
			got := ps.In("policies").Error() + "\n"
			want := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(b) {
				t.Errorf("got:\n%s\nwant:\n%s", got, b)
			}
			for _, p := range ps {
				if w := jargon.FindString(p.Text + " " + p.Fix); w != "" {
					t.Errorf("a message uses the word %q: %s (%s)", w, p.Text, p.Fix)
				}
			}
		})
	}
}
