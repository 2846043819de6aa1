package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"github.com/plaincover/plaincover/docs"
	"github.com/plaincover/plaincover/internal/policy"
	shipped "github.com/plaincover/plaincover/policies"
)

// without an example: what is wrong is not in a file. The test that shows each.
var withoutExample = map[string]string{
	"P003": "TestFilesThatCannotBeRead of package policy",
	"P140": "TestLayoutKeepsEverything of package policy",
	"G001": "usage.txtar",
	"G020": "usage.txtar",
}

// codesIn returns the value of every constant of a file that is an error code, by name.
func codesIn(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range f.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, s := range gen.Specs {
			spec := s.(*ast.ValueSpec)
			lit, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				continue
			}
			value, err := strconv.Unquote(lit.Value)
			if err == nil && regexp.MustCompile(`^[PG]\d{3}$`).MatchString(value) {
				out[spec.Names[0].Name] = value
			}
		}
	}
	return out
}

// Every code that the program knows has a page and is raised somewhere; every page has a code.
func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	pages := docs.Codes()
	if !slices.IsSorted(pages[:slices.IndexFunc(pages, func(s string) bool { return s[0] == 'G' })]) {
		t.Error("the pages are not in order")
	}
	seen := map[string]bool{}
	for table, dir := range map[string]string{"../../internal/policy/code.go": "../../internal/policy", "problem.go": "."} {
		source := ""
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") && filepath.Base(f) != filepath.Base(table) {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				source += string(b)
			}
		}
		for name, code := range codesIn(t, table) {
			if seen[code] {
				t.Errorf("%s stands twice", code)
			}
			seen[code] = true
			if !slices.Contains(pages, code) {
				t.Errorf("docs/errors.md has no page for %s (%s)", code, name)
			}
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(source) {
				t.Errorf("nothing raises %s (%s)", code, name)
			}
		}
	}
	for _, code := range pages {
		if !seen[code] {
			t.Errorf("docs/errors.md has a page for %s, and the program has no such code", code)
		}
		if page := docs.Page(code); !strings.Contains(page, "\nWhy: ") || len(page) < 150 {
			t.Errorf("the page of %s is not whole:\n%s", code, page)
		}
	}
}

// example is one block of a page: what stands in front of it, and the block.
type example struct {
	right   bool
	where   string // "in `mail.yaml`, saved as UTF-16"; "the files"; "in the environment"
	content string
}

func examples(page string) []example {
	var out []example
	for _, m := range regexp.MustCompile("(?ms)^(Wrong|Right), ([^\n]*):\n\n```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		out = append(out, example{m[1] == "Right", m[2], m[3]})
	}
	return out
}

// Every wrong example gives its code, and every right one loads without it.
func TestExamplesOfErrorPages(t *testing.T) {
	t.Parallel()
	for _, code := range docs.Codes() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			ex := examples(docs.Page(code))
			if withoutExample[code] != "" {
				if len(ex) != 0 {
					t.Error("has an example after all")
				}
				return
			}
			if len(ex) != 2 || ex[0].right || !ex[1].right {
				t.Fatalf("wants one wrong and one right example, has %d", len(ex))
			}
			for _, e := range ex {
				found, loaded := e.load(t)
				has := slices.ContainsFunc(found, func(p problem) bool { return string(p.Code) == code })
				warning := code > "P169" && code < "P200"
				switch {
				case !e.right && !has:
					t.Errorf("wrong, %s: the code does not come, but: %v", e.where, problems(found))
				case !e.right && loaded != warning:
					t.Errorf("wrong, %s: loaded %v", e.where, loaded)
				case e.right && (has || !loaded):
					t.Errorf("right, %s: %v", e.where, problems(found))
				}
				for _, p := range found {
					if !e.right && string(p.Code) != code && !warning && p.Code < "P170" && code != "P009" {
						t.Errorf("wrong, %s: says something else as well: %v", e.where, p)
					}
				}
			}
		})
	}
}

// load lays the example over a small practice, and returns what is said about it.
func (e example) load(t *testing.T) (found []problem, loaded bool) {
	t.Helper()
	place, more, _ := strings.Cut(e.where, ", ")
	file, inFile := strings.CutPrefix(place, "in `")
	file = strings.TrimSuffix(file, "`")
	switch {
	case place == "in the environment":
		return e.configuration(t, "log: {level: info}\n", strings.Fields(e.content))
	case file == "gateway.yaml":
		return e.configuration(t, e.content, nil)
	case !inFile && place != "the files":
		t.Fatalf("unknown place: %s", e.where)
	}
	m := smallPractice(t)
	if inFile {
		m[file] = &fstest.MapFile{Data: e.saved(t, e.whole(string(m.data(file)), file), more)}
		switch {
		case strings.Contains(more, "`outside: working_hours`"):
			m["mail.yaml"] = &fstest.MapFile{Data: []byte("rules:\n  - {name: A, id: a, when: {to: client, outside: working_hours}, do: [hold]}\n")}
		case more == "with a rule for danger":
			m["words/danger_words.txt"] = &fstest.MapFile{Data: []byte("kill myself\n")}
		case strings.Contains(more, "`crisis_signature`"):
			m["mail.yaml"] = &fstest.MapFile{Data: []byte("rules:\n  - {name: A, id: a, when: {to: client}, do: [crisis_signature]}\n")}
		case file == "people.yaml" && strings.Contains(docs.Page("P080"), e.content):
			m["mail.yaml"] = &fstest.MapFile{Data: []byte("rules:\n  - {name: A, id: a, when: {to: client}, do: [use_alias]}\n")}
		}
		if file == "mail.yaml" || more != "" || file == "people.yaml" {
			delete(m, "tests/base.yaml") // it is about another rule
			m["tests"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		}
	} else {
		want := strings.Fields(e.content)
		for name := range m {
			if !slices.Contains(want, name) && (name != "words/care_words.txt" && name != "tests/base.yaml" || slices.Contains(want, "words/care_words.txt")) {
				delete(m, name)
			}
		}
		for _, name := range want {
			if m[name] == nil {
				m[name] = &fstest.MapFile{Data: []byte("x\n")}
			}
		}
	}
	s, err := policy.Load(m.MapFS())
	if s != nil {
		untested, err := testWarnings(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return append(s.WarningsAt(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)), untested...), true
	}
	ps, _ := errors.AsType[policy.Problems](err)
	return ps, false
}

func (e example) configuration(t *testing.T, text string, environ []string) ([]problem, bool) {
	t.Helper()
	if !strings.Contains(text, "smarthost:") {
		text += "smarthost: {url: \"smtp://127.0.0.1:2525\", tls: none}\n"
	}
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := loadConfig(path, true, environ, needService)
	if err == nil {
		snap, loadErr := policy.Load(shipped.Files)
		if loadErr != nil {
			t.Fatal(loadErr)
		}
		err = checkRegion(c, snap)
	}
	ps, _ := errors.AsType[problems](err)
	return ps, err == nil
}

// whole makes a file of the part that an example shows.
func (e example) whole(before, file string) string {
	text := e.content
	switch {
	case file == "mail.yaml" && strings.HasPrefix(text, "  - "):
		return "rules:\n" + text
	case strings.HasPrefix(file, "tests/") && strings.HasPrefix(text, "  - "):
		return "clients: {C-1: {email: anna@example.org}}\ntests:\n" + text
	case file == "mail.yaml", file == "people.yaml", file == "crisis-lines.yaml", strings.HasPrefix(file, "tests/"), strings.HasPrefix(file, "words/"), strings.HasPrefix(text, "version: 1\norganisation:"):
		return text
	}
	// The keys of the example take the places of those of the file.
	key := regexp.MustCompile(`(?m)^([a-z_]+):`)
	for _, k := range key.FindAllStringSubmatch(text, -1) {
		before = regexp.MustCompile(`(?m)^`+k[1]+`:.*\n(  .*\n)*`).ReplaceAllString(before, "")
	}
	return before + "\n" + text
}

// saved is the file as the words behind its name say.
func (e example) saved(t *testing.T, text, how string) []byte {
	t.Helper()
	times, isTimes := strings.CutSuffix(how, " times")
	switch {
	case isTimes:
		n, err := strconv.Atoi(strings.ReplaceAll(times, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.Repeat(text, n))
	case how == "saved as ISO-8859-1":
		var out []byte
		for _, r := range text {
			out = append(out, byte(r))
		}
		return out
	case how == "saved as UTF-16":
		out := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(text)) {
			out = append(out, byte(u), byte(u>>8))
		}
		return out
	case strings.HasPrefix(how, "where ␣ is"):
		return []byte(strings.ReplaceAll(text, "␣", "\u200b"))
	case how != "" && !strings.HasPrefix(how, "with a rule "):
		t.Fatalf("unknown way to save: %s", how)
	}
	return []byte(text)
}

type practice fstest.MapFS

func (p practice) MapFS() fstest.MapFS { return fstest.MapFS(p) }

func (p practice) data(name string) []byte {
	if f := p[name]; f != nil {
		return f.Data
	}
	return nil
}

// smallPractice is what the examples are about: the shipped practice with two rules.
func smallPractice(t *testing.T) practice {
	t.Helper()
	m := practice{}
	for _, name := range []string{"organisation.yaml", "clients.yaml"} {
		b, err := shipped.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: b}
	}
	for name, text := range map[string]string{
		"people.yaml":          "people:\n  - {id: maya, name: Maya Okafor, signs_in_as: maya@willowhouse.example, may: [send]}\n  - {id: sam, name: Sam Reid, signs_in_as: sam@willowhouse.example, may: [send, release]}\n",
		"templates.yaml":       "subjects:\n  hello: \"Hello from ((sender_name))\"\n  no-word: \"Hello\"\n",
		"crisis-lines.yaml":    "GB:\n  emergency: \"999\"\n  lines:\n    - {name: Samaritans, call: \"116 123\", hours: 24/7, free: yes, for: all, source: samaritans.org, checked_on: 2026-11-01}\n",
		"mail.yaml":            "rules:\n  - {name: Unknown people, id: unknown-recipient, when: {to: unknown}, do: [hold]}\n  - {name: Clinical words, id: words, when: {to: client, mentions: [care_words]}, do: [hold]}\n",
		"words/care_words.txt": "sertraline\n",
		"tests/base.yaml":      "clients: {C-1: {email: anna@example.org}}\ntests:\n  - {name: Base, mail: {from: maya, to: [C-1], subject: Hello, body: See you on Tuesday}, expect: {outcome: send, not_rules: [words]}}\n",
	} {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}
