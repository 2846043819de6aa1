package mail

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every defect that stops a message has words and a fix; they are read off the source, so that
// a new one without words is noticed.
func TestEveryDefectThatStopsHasWords(t *testing.T) {
	t.Parallel()
	file, err := goparser.ParseFile(token.NewFileSet(), "defect.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "def") || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		r := defectRules(name)
		if r.def == AcceptAsRead {
			return true
		}
		n++
		if defectWhat(name) == "" || r.fix == "" || strings.HasSuffix(defectWhat(name), ".") {
			t.Errorf("%s: what %q, fix %q", name, defectWhat(name), r.fix)
		}
		return true
	})
	if n < 40 {
		t.Errorf("only %d defects found", n)
	}
}
