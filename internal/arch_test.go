// Package internal_test holds the floors: which package may import which.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/plaincover/plaincover/"

// floors are the storeys of the building. A package imports only packages on lower floors;
// two on the same floor do not know each other.
func floors() map[string]int {
	return map[string]int{
		"docs":               0, // the page of every error code
		"policies":           0, // files only
		"internal/fault":     0,
		"internal/mail":      1,
		"internal/filter":    2,
		"internal/encrypt":   2,
		"internal/templates": 2,
		"internal/policy":    3,
		"internal/store":     3,
		"internal/queue":     4,
		"internal/relay":     5,
		"internal/sms":       5,
		"internal/gateway":   6,
		"internal/smtpd":     7,
		"internal/httpd":     7,
		"cmd/gateway":        8,
		"test/canary":        8, // generated mail that gives people away; imports nothing of ours
		"test/oracle":        8, // finds them in what left; imports nothing of ours
		"test/overlay":       8, // code broken on purpose
		"test":               9, // the whole program beside its peers; tests only
		"test/bench":         9, // load for the benchmark
		"test/differ":        9, // our reading of mail beside that of others; tests only
		"test/mutants":       9, // breaks the code on purpose; imports nothing of it
	}
}

// owners are modules that only one package (or two) may know.
func owners() map[string][]string {
	return map[string][]string{
		"github.com/emersion/go-message": {"internal/mail"},
		"net/mail":                       {"internal/mail"},
		"go.yaml.in/yaml/v4":             {"internal/policy", "cmd/gateway"},
		"github.com/rickar/cal/v2":       {"internal/filter"},
		"modernc.org/sqlite":             {"internal/store"},
		"database/sql":                   {"internal/store"},
		"github.com/pressly/goose/v3":    {"internal/store"},
		"github.com/emersion/go-smtp":    {"internal/smtpd", "internal/relay", "cmd/gateway"},
		"github.com/alecthomas/kong":     {"cmd/gateway"},
		"github.com/prometheus":          {"internal/httpd"},
		"github.com/ProtonMail":          {"internal/encrypt"},
	}
}

// pure are the packages that only compute.
func pure() []string { return []string{"internal/mail", "internal/filter"} }

// impure are what they may not touch. net/netip is only arithmetic.
func impure() []string {
	return []string{"os", "net", "net/http", "database/sql", "log", "log/slog", "crypto/rand", "math/rand", "math/rand/v2", "os/exec", "syscall", "context"}
}

type pkg struct {
	ImportPath                            string
	Dir                                   string
	GoFiles                               []string
	Imports, TestImports, XTestImports    []string
	TestGoFiles, XTestGoFiles, EmbedFiles []string
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// packages lists what there is.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, fault := range checkPackage(p) {
			t.Error(fault)
		}
	}
}

// checkPackage returns every import of p that the floors do not allow.
func checkPackage(p pkg) []string {
	if p.name() == "internal" {
		return nil // this test
	}
	var faults []string
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	own, ok := floors()[p.name()]
	if !ok {
		bad("%s is on no floor: a new package needs a line in floors and a reason", p.name())
	}
	tests := append(slices.Clone(p.TestImports), p.XTestImports...)
	for _, imported := range append(slices.Clone(p.Imports), tests...) {
		other, local := strings.CutPrefix(imported, module)
		if !local || other == p.name() {
			continue
		}
		if floor, ok := floors()[other]; !ok || floor >= own {
			bad("%s (floor %d) imports %s (floor %d)", p.name(), own, other, floor)
		}
	}
	for _, imported := range p.Imports {
		for module, names := range owners() {
			if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(names, p.name()) {
				bad("%s imports %s, which only %s may", p.name(), imported, strings.Join(names, " and "))
			}
		}
		if slices.Contains(pure(), p.name()) && slices.Contains(impure(), imported) {
			bad("%s imports %s, but it only computes", p.name(), imported)
		}
	}
	return faults
}

// The check itself must see a fault.
func TestFloorsSeeAFault(t *testing.T) {
	t.Parallel()
	for _, p := range []pkg{
		{ImportPath: module + "internal/filter", Imports: []string{module + "internal/store"}},
		{ImportPath: module + "internal/filter", Imports: []string{module + "internal/templates"}},
		{ImportPath: module + "internal/filter", Imports: []string{"os"}},
		{ImportPath: module + "internal/mail", XTestImports: []string{module + "internal/policy"}},
		{ImportPath: module + "internal/gateway", Imports: []string{"net/mail"}},
		{ImportPath: module + "internal/gateway", Imports: []string{"github.com/emersion/go-message/textproto"}},
		{ImportPath: module + "internal/store", Imports: []string{"go.yaml.in/yaml/v4"}},
		{ImportPath: module + "internal/util"},
	} {
		if len(checkPackage(p)) != 1 {
			t.Errorf("%s importing %v %v: %q", p.name(), p.Imports, p.XTestImports, checkPackage(p))
		}
	}
	if faults := checkPackage(pkg{ImportPath: module + "internal/mail", Imports: []string{"io", "net/netip", "github.com/emersion/go-message", module + "internal/fault"}}); faults != nil {
		t.Errorf("sees faults where there are none: %q", faults)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range checkSource(t, p.name(), name, src) {
				t.Error(fault)
			}
		}
	}
}

// checkSource looks for what no import shows: init functions, the clock in pure packages,
// and ends of the process outside main.
func checkSource(t *testing.T, pkgName, name string, src []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	bad := func(what string) { faults = append(faults, pkgName+"/"+name+": "+what) }
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			bad("has an init function")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := call.X.(*ast.Ident)
		if !ok {
			return true
		}
		switch what := x.Name + "." + call.Sel.Name; {
		case slices.Contains(pure(), pkgName) && slices.Contains([]string{"time.Now", "time.Since", "time.Until"}, what):
			bad("reads the clock: " + what)
		case what == "os.Exit" && name != "main.go":
			bad("ends the process")
		}
		return true
	})
	return faults
}

func TestSourcesSeeAFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pkg, name, src string }{
		{"internal/store", "a.go", "package a\nfunc init() {}\n"},
		{"internal/mail", "a.go", "package a\nimport \"time\"\nvar x = time.Now\n"},
		{"internal/store", "a.go", "package a\nimport \"os\"\nfunc f() { os.Exit(1) }\n"},
		{"cmd/gateway", "cli.go", "package a\nimport \"os\"\nfunc f() { os.Exit(1) }\n"},
	} {
		if len(checkSource(t, c.pkg, c.name, []byte(c.src))) != 1 {
			t.Errorf("sees nothing in %s of %s:\n%s", c.name, c.pkg, c.src)
		}
	}
}

// Tests never sleep, and skip only for a missing peer.
func TestTestsHaveManners(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range append(slices.Clone(p.TestGoFiles), p.XTestGoFiles...) {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range checkTest(t, p.name(), name, src) {
				t.Error(fault)
			}
		}
	}
}

// checkTest looks at one test file. Whoever skips does so in a function with "peer" in its name.
func checkTest(t *testing.T, pkgName, name string, src []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			switch {
			case ok && x.Name == "time" && sel.Sel.Name == "Sleep":
				faults = append(faults, fmt.Sprintf("%s/%s: %s sleeps; wait for the event", pkgName, name, f.Name.Name))
			case ok && strings.HasPrefix(sel.Sel.Name, "Skip") && (x.Name == "t" || x.Name == "b") && !strings.Contains(strings.ToLower(f.Name.Name), "peer"):
				faults = append(faults, fmt.Sprintf("%s/%s: %s skips for another reason than a missing peer", pkgName, name, f.Name.Name))
			}
			return true
		})
	}
	return faults
}

func TestMannersSeeAFault(t *testing.T) {
	t.Parallel()
	src := "package a\nfunc f(t *T) { time.Sle" + "ep(1); t.Sk" + "ip() }\nfunc peerX(t *T) { t.Sk" + "ip() }\n"
	if faults := checkTest(t, "a", "a_test.go", []byte(src)); len(faults) != 2 {
		t.Errorf("%q", faults)
	}
}
