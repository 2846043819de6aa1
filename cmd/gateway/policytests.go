package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
)

type testCmd struct {
	Policies string `help:"Directory of the policy files." placeholder:"DIR"`
	Format   string `help:"text, junit (XML for build servers) or github (notes beside the lines of a change)." enum:"text,junit,github" default:"text"`
}

// Help is shown under --help.
func (testCmd) Help() string {
	return "Runs policies/tests/*.yaml, and names each failure and every rule that no test reaches.\n\nExamples:\n  gateway test --policies policies\n  gateway test --format junit > report.xml"
}

// Run runs the tests of the policies.
func (k testCmd) Run(ctx context.Context, p *program) error {
	dir := k.Policies
	if dir == "" {
		c, err := p.configuration(needNothing)
		if err != nil {
			return err
		}
		dir = c.Policies
	}
	snap, err := policies(dir)
	if err != nil {
		return err
	}
	return p.runTests(ctx, dir, snap, k.Format)
}

// runTests prints each failure and every rule that no test reaches.
func (p *program) runTests(ctx context.Context, dir string, snap *policy.Snapshot, format string) error {
	report, err := gateway.RunTests(ctx, snap)
	if err != nil {
		return err
	}
	failed := failures(report)
	for _, id := range report.Unreached {
		p.say("warning: no test reaches the rule %s (%s)", id, snap.RuleName(id))
	}
	v := struct {
		OK     bool   `json:"ok"`
		Policy string `json:"policy"`
		gateway.TestReport
	}{report.OK(), snap.ID, report}
	var odd error
	if err := p.emit(v, func(w io.Writer) {
		switch format {
		case "junit":
			odd = writeJUnit(w, dir, report)
			return
		case "github":
			writeGitHub(w, dir, report)
			return
		}
		for _, r := range report.Results {
			if len(r.Failures) > 0 {
				fmt.Fprintf(w, "FAIL  %s (%s:%d)  %s\n", r.Name, r.File, r.Line, strings.Join(r.Failures, ";  "))
			}
		}
		if failed == 0 {
			fmt.Fprintf(w, "ok: %s of %s\n", count(len(report.Results), "test"), dir)
		}
	}); err != nil || odd != nil {
		return errors.Join(err, odd)
	}
	if failed > 0 {
		return &answerNo{fmt.Sprintf("%d of %s failed", failed, count(len(report.Results), "test"))}
	}
	return nil
}

// writeJUnit writes the outcome as the XML that build servers read: one suite for each file.
func writeJUnit(w io.Writer, dir string, report gateway.TestReport) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Place   string `xml:",chardata"`
	}
	type testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		File    string   `xml:"file,attr"`
		Line    int      `xml:"line,attr"`
		Failure *failure `xml:"failure"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	all := struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}{}
	for _, r := range report.Results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, suite{Name: r.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := testCase{Name: r.Name, Class: strings.TrimSuffix(r.File, ".yaml"), File: filepath.Join(dir, r.File), Line: r.Line}
		if len(r.Failures) > 0 {
			c.Failure = &failure{strings.Join(r.Failures, "; "), fmt.Sprintf("%s:%d", c.File, r.Line)}
			s.Failures++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}

// writeGitHub writes each failure as a workflow command, which GitHub shows beside the line.
func writeGitHub(w io.Writer, dir string, report gateway.TestReport) {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, r := range report.Results {
		if len(r.Failures) > 0 {
			fmt.Fprintf(w, "::error file=%s,line=%d,title=%s::%s\n", property.Replace(filepath.ToSlash(filepath.Join(dir, r.File))), r.Line,
				property.Replace(r.Name), escape.Replace(strings.Join(r.Failures, "; ")))
		}
	}
	for _, id := range report.Unreached {
		fmt.Fprintf(w, "::warning title=no test reaches a rule::%s\n", escape.Replace(id))
	}
}
