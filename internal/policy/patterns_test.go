package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// No slow pattern can be written, because there are none: no text of a policy file becomes a
// regular expression. What reads policies and what decides compile only patterns of their own.
func TestNoTextOfAPolicyIsAPattern(t *testing.T) {
	t.Parallel()
	files := 0
	for _, dir := range []string{".", "../filter"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files++
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "regexp" && pkg.Name != "path" && pkg.Name != "filepath" {
					return true
				}
				if !strings.Contains(sel.Sel.Name, "Compile") && !strings.Contains(sel.Sel.Name, "Match") {
					return true
				}
				if lit, ok := call.Args[0].(*ast.BasicLit); !ok || lit.Kind != token.STRING {
					t.Errorf("%s: %s of what is no constant", name, sel.Sel.Name)
				}
				return true
			})
		}
	}
	if files < 20 {
		t.Fatalf("only %d files", files)
	}
}

// Texts that are patterns elsewhere stand for themselves, and a long mail does not make them slow.
func TestTextsThatLookLikePatternsAreTexts(t *testing.T) {
	t.Parallel()
	m := withRules(t, `{name: One, id: one, when: {subject_starts: "(a+)+$", mentions: [odd]}, do: [hold]}`)
	m["words/odd.txt"] = &fstest.MapFile{Data: []byte("(a|aa)+ b\n.* .*x\n"), Mode: 0o644}
	s, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	hits := func(subject, body string) bool {
		src := "From: maya@willowhouse.example\r\nSubject: " + subject + "\r\n\r\n" + body + "\r\n"
		parsed, err := mail.Parse(strings.NewReader(src), int64(len(src)), mail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.Rules[0].Eval(&filter.Input{Env: &mail.Envelope{Recipients: make([]mail.Recipient, 1)}, Mail: parsed,
			Facts: &filter.Facts{At: time.Unix(0, 0), Recipients: make([]filter.RecipientFacts, 1)}})
		if err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	}
	if hits("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", strings.Repeat("a", 1<<20)) {
		t.Error("a text was taken for a pattern")
	}
	if !hits("(a+)+$ Tuesday", "(a|aa)+ b") {
		t.Error("the text itself was not found")
	}
}
