package mail

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every defect is in the list that the documentation is made of, and one that stops a message has
// words and a fix. They are read off the source, so that a new one is noticed.
func TestEveryDefectThatStopsHasWords(t *testing.T) {
	t.Parallel()
	file, err := goparser.ParseFile(token.NewFileSet(), "defect.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, listed := 0, map[string]DefectKind{}
	for _, k := range DefectKinds() {
		if _, twice := listed[k.Name]; twice || k.Row == "" || k.What == "" {
			t.Errorf("%+v: listed twice, or without a row or words", k)
		}
		listed[k.Name] = k
	}
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
		if _, ok := listed[name]; !ok {
			t.Errorf("%s is not in the list of defects", name)
		}
		delete(listed, name)
		if r.def == AcceptAsRead {
			return true
		}
		n++
		if defectWhat(name) == "" || r.fix == "" || strings.HasSuffix(defectWhat(name), ".") {
			t.Errorf("%s: what %q, fix %q", name, defectWhat(name), r.fix)
		}
		return true
	})
	for name := range listed {
		t.Errorf("%s is in the list, and no defect", name)
	}
	if n < 40 {
		t.Errorf("only %d defects found", n)
	}
}
