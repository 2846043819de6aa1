package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/docs"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
)

type checkCmd struct {
	Policies string `help:"Directory of the policy files." placeholder:"DIR"`
	Against  string `help:"Directory of the policies now in force: also says what the new ones change, and answers no when anything protects less." placeholder:"DIR"`
	Explain  string `help:"Only print what a code of a message means, as in docs/errors.md: P031." placeholder:"CODE"`
	Schema   string `help:"Only write a JSON Schema for each policy file into this directory: editors then complete words and underline slips." placeholder:"DIR"`
}

// Help is shown under --help.
func (checkCmd) Help() string {
	return "Examples:\n  gateway check --policies policies\n  gateway check --explain P031\n  gateway check --schema policies/schema"
}

// Run prints every problem; the answer is no when there is one.
func (k checkCmd) Run(ctx context.Context, p *program) error {
	if k.Explain != "" {
		return p.explainCode(k.Explain)
	}
	if k.Schema != "" {
		return p.writeSchemas(k.Schema)
	}
	var found problems
	collect := func(err error) error {
		if ps, ok := errors.AsType[problems](err); ok {
			found = append(found, ps...)
			return nil
		}
		return err
	}
	need := needNothing
	if p.hasConfig() {
		need = needService
	}
	c, err := p.configuration(need)
	if err != nil {
		if err := collect(err); err != nil {
			return err
		}
	}
	dir := c.Policies
	if k.Policies != "" {
		dir = k.Policies
	}
	snap, err := policies(dir)
	if err == nil {
		err = checkRegion(c, snap)
	}
	if err != nil {
		if err := collect(err); err != nil {
			return err
		}
	}
	if k.Against != "" && snap != nil && len(found) == 0 {
		return p.compare(ctx, k.Against, dir, snap)
	}
	var untested []problem
	if snap != nil && len(found) == 0 {
		if untested, err = testWarnings(ctx, snap); err != nil {
			return err
		}
	}
	return p.printCheck(dir, snap, untested, found)
}

// testWarnings says which rules no test reaches, and that tests fail: policies whose tests fail
// do not come into force.
func testWarnings(ctx context.Context, snap *policy.Snapshot) ([]problem, error) {
	report, err := gateway.RunTests(ctx, snap)
	if err != nil {
		return nil, err
	}
	var out []problem
	if len(snap.Tests) > 0 && len(report.Unreached) > 0 {
		out = append(out, problem{Code: codeUnreached, File: "mail.yaml", Text: fmt.Sprintf("no test reaches %s: %s", count(len(report.Unreached), "rule"), strings.Join(report.Unreached, ", ")),
			Fix: "write a test for each, so that a change that weakens it is noticed"})
	}
	if n := failures(report); n > 0 {
		first := report.Results[slices.IndexFunc(report.Results, func(r gateway.TestResult) bool { return len(r.Failures) > 0 })]
		out = append(out, problem{Code: codeTestsFail, File: first.File, Line: first.Line, Col: 1, Text: fmt.Sprintf("%d of %s failed; the first is %q", n, count(len(report.Results), "test"), first.Name),
			Fix: "gateway test says what each expected; with tests that fail the policies do not come into force"})
	}
	return out, nil
}

// explainCode prints the page of a code.
func (p *program) explainCode(code string) error {
	code = strings.ToUpper(strings.Trim(code, "[] "))
	page := docs.Page(code)
	if page == "" {
		text := fmt.Sprintf("no message has the code %q", code)
		if near := policy.Nearest(code, docs.Codes()); near != "" {
			text += "; did you mean " + near + "?"
		}
		return &usageError{text}
	}
	if !p.json {
		_, err := io.WriteString(p.Out, page) // as it is: one of them shows a tab
		return err
	}
	return p.emit(struct {
		Code string `json:"code"`
		Page string `json:"page"`
	}{code, page}, nil)
}

// compare prints what changes from the policies in force to the checked ones.
func (p *program) compare(ctx context.Context, against, dir string, snap *policy.Snapshot) error {
	before, err := policies(against)
	if err != nil {
		return err
	}
	changes, err := gateway.Compare(ctx, before, snap)
	if err != nil {
		return err
	}
	weaker := 0
	for _, c := range changes {
		if c.Weaker {
			weaker++
		}
	}
	v := struct {
		OK      bool                `json:"ok"`
		Before  string              `json:"before"`
		After   string              `json:"after"`
		Weaker  int                 `json:"weaker"`
		Changes []policy.Difference `json:"changes"`
	}{weaker == 0, before.ID, snap.ID, weaker, changes}
	if v.Changes == nil {
		v.Changes = []policy.Difference{}
	}
	if err := p.emit(v, func(w io.Writer) {
		for _, c := range changes {
			mark := "        "
			if c.Weaker {
				mark = "WEAKER  "
			}
			fmt.Fprintln(w, mark+c.String())
		}
		if len(changes) == 0 {
			fmt.Fprintf(w, "%s changes nothing against %s\n", dir, against)
		}
	}); err != nil {
		return err
	}
	if weaker > 0 {
		return &answerNo{fmt.Sprintf("%s less: let a second person read them before they are put to work", count(weaker, "change")+map[bool]string{true: " protects", false: " protect"}[weaker == 1])}
	}
	return nil
}

// writeSchemas writes the schemas to a directory, which it makes.
func (p *program) writeSchemas(dir string) error {
	files, err := policy.SchemaFiles()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the directory for the schemas: %w", err)
	}
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return fmt.Errorf("the schema %s: %w", name, err)
		}
	}
	v := struct {
		Directory string   `json:"directory"`
		Files     []string `json:"files"`
	}{dir, names}
	return p.emit(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s written to %s\n", count(len(names), "schema"), dir)
		fmt.Fprintln(w, "Let each policy file begin with: # yaml-language-server: $schema=schema/NAME.json")
	})
}

// hasConfig reports whether there is a configuration to check, or only policies.
func (p *program) hasConfig() bool {
	if p.config != "" {
		return true
	}
	_, err := os.Stat("gateway.yaml")
	return err == nil
}

func (p *program) printCheck(dir string, snap *policy.Snapshot, untested []problem, found problems) error {
	v := struct {
		OK       bool             `json:"ok"`
		Policy   string           `json:"policy,omitempty"`
		Rules    int              `json:"rules"`
		Tests    int              `json:"tests"`
		Problems []policy.Problem `json:"problems"`
		Warnings []policy.Problem `json:"warnings"`
	}{OK: len(found) == 0, Problems: []policy.Problem(found), Warnings: []policy.Problem{}}
	if found == nil {
		v.Problems = []policy.Problem{}
	}
	if snap != nil {
		v.Policy, v.Rules, v.Tests = snap.ID, len(snap.Rules), len(snap.Tests)
		v.Warnings = policy.Problems(append(snap.WarningsAt(time.Now()), untested...)).In(dir)
	}
	if !p.json {
		for _, w := range v.Warnings {
			p.say("warning: %s", w.Error())
		}
		for _, b := range found {
			p.say("%s", b.Error())
		}
		if i := slices.IndexFunc(found, func(b problem) bool { return b.Code != "" }); i >= 0 {
			p.say("what a code means: gateway check --explain %s", found[i].Code)
		}
	}
	if err := p.emit(v, func(w io.Writer) {
		if v.OK {
			fmt.Fprintf(w, "ok: %s, %s\npolicy %s\n", count(v.Rules, "rule"), count(v.Tests, "test"), v.Policy)
		}
	}); err != nil {
		return err
	}
	if !v.OK {
		return &answerNo{fmt.Sprintf("%s found; nothing runs until it is mended", count(len(found), "problem"))}
	}
	return nil
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
