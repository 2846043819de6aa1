package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plaincover/plaincover/test/overlay"
)

// verdict is what came of one break.
type verdict string

const (
	killed   verdict = "killed"   // every test named for it went red
	survived verdict = "SURVIVED" // a test named for it stayed green
	stale    verdict = "stale"    // the code to break is not there, or there more than once
	noBuild  verdict = "no build" // the broken code does not compile, so no test said anything
	mute     verdict = "mute"     // the run ended without a verdict of the tests
)

// broken is a mutant made ready: an overlay file, or the reason why there is none.
type broken struct {
	mutant
	overlay string
	err     error
}

type result struct {
	broken
	verdict verdict
	why     string
	said    string // by tests that went red
	took    time.Duration
}

// findRoot returns the module's directory.
func findRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("run this inside the repository")
	}
	return filepath.Dir(mod), nil
}

// apply returns the source with the break in it.
func (m mutant) apply(source string) (string, error) { return m.change().Apply(source) }

func (m mutant) change() overlay.Break { return overlay.Break{File: m.File, Old: m.Old, New: m.New} }

// prepare writes the broken file and the overlay that puts it in the place of the sound one.
func prepare(root, dir string, i int, m mutant) broken {
	b := broken{mutant: m}
	b.overlay, b.err = overlay.Write(root, dir, strconv.Itoa(i), m.change())
	return b
}

// try runs the tests named for the break against it.
func (b broken) try(ctx context.Context, root string) result {
	r := result{broken: b}
	started := time.Now()
	defer func() { r.took = time.Since(started) }()
	if b.err != nil {
		r.verdict, r.why = stale, b.err.Error()
		return r
	}
	r.verdict = killed
	for _, p := range b.packages() {
		o, err := goTest(ctx, root, p.path, p.tests, b.overlay)
		switch {
		case err != nil:
			r.verdict, r.why = mute, err.Error()
		case o.noBuild:
			r.verdict, r.why = noBuild, o.output
		default:
			r.verdict, r.why = o.judge(p.tests)
			r.said += o.output + "\n"
		}
		if r.verdict != killed {
			break
		}
	}
	r.took = time.Since(started)
	return r
}

// judge says whether every one of the tests went red.
func (o outcome) judge(tests []string) (verdict, string) {
	var green, silent []string
	for _, name := range tests {
		switch o.tests[name] {
		case "fail":
		case "pass":
			green = append(green, name)
		default:
			silent = append(silent, name)
		}
	}
	switch {
	case len(green) > 0:
		return survived, "still green: " + strings.Join(green, ", ")
	case len(silent) > 0:
		return mute, "no verdict of " + strings.Join(silent, ", ") + "\n" + o.output
	}
	return killed, ""
}

// tested is a package with the tests of it that are named.
type tested struct {
	path  string
	tests []string
}

// packages sorts the named tests by package.
func (m mutant) packages() []tested { return byPackage(m.Tests) }

func byPackage(names []string) []tested {
	var out []tested
	for _, full := range names {
		path, name := split(full)
		i := slices.IndexFunc(out, func(p tested) bool { return p.path == path })
		if i < 0 {
			i = len(out)
			out = append(out, tested{path: path})
		}
		if !slices.Contains(out[i].tests, name) {
			out[i].tests = append(out[i].tests, name)
		}
	}
	return out
}

// split cuts "internal/store.TestX" into package and test.
func split(full string) (path, name string) {
	i := strings.LastIndexByte(full, '.')
	return full[:max(i, 0)], full[i+1:]
}

// baseline runs every named test on the sound code and returns those that are not green. A
// test that is skipped shows nothing, so it counts as well.
func baseline(ctx context.Context, root string, breaks []broken, out io.Writer) (red []string, err error) {
	var names []string
	for _, b := range breaks {
		names = append(names, b.Tests...)
	}
	for _, p := range byPackage(names) {
		o, err := goTest(ctx, root, p.path, p.tests, "")
		if err != nil {
			return nil, err
		}
		if o.noBuild {
			return nil, fmt.Errorf("%s does not build:\n%s", p.path, o.output)
		}
		fmt.Fprintf(out, "%-20s %d tests\n", p.path, len(p.tests))
		for _, name := range p.tests {
			switch o.tests[name] {
			case "pass":
			case "skip":
				red = append(red, p.path+"."+name+" is skipped here")
			case "fail":
				red = append(red, p.path+"."+name+" fails:\n"+o.output)
			default:
				red = append(red, p.path+"."+name+" did not run")
			}
		}
	}
	return red, nil
}

// outcome is what a run of go test said.
type outcome struct {
	tests   map[string]string // pass, fail or skip by top-level test
	noBuild bool
	output  string // the end of what was printed
}

// testTime bounds one run: a break may make a test wait for what never comes.
const testTime = 3 * time.Minute

// goTest runs the named tests of a package, with the overlay if there is one. The overlay goes
// by the environment, so that it reaches a go build inside a test as well.
func goTest(ctx context.Context, root, path string, tests []string, overlay string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, testTime+time.Minute)
	defer cancel()
	args := []string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + testTime.String(),
		"-run=^(" + strings.Join(tests, "|") + ")$", "./" + path}
	rapid, err := usesRapid(filepath.Join(root, path))
	if err != nil {
		return outcome{}, err
	}
	if rapid { // it would write what made a test fail into the tree
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = os.Environ()
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return outcome{}, ctx.Err()
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return outcome{}, fmt.Errorf("go test: %w", err)
	}
	o := readEvents(&stdout)
	o.output = tail(o.output + stderr.String())
	return o, nil
}

// usesRapid reports whether tests of the package know the flags of pgregory.net/rapid.
func usesRapid(dir string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			return false, err
		}
		if bytes.Contains(source, []byte(`"pgregory.net/rapid"`)) {
			return true, nil
		}
	}
	return false, nil
}

// readEvents reads what go test -json prints.
func readEvents(r io.Reader) outcome {
	o := outcome{tests: map[string]string{}}
	var text strings.Builder
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output, FailedBuild string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(&text, lines.Text())
			continue
		}
		switch e.Action {
		case "output", "build-output":
			text.WriteString(e.Output)
		case "build-fail":
			o.noBuild = true
		case "pass", "fail", "skip":
			o.noBuild = o.noBuild || e.FailedBuild != ""
			if e.Test != "" && !strings.Contains(e.Test, "/") {
				o.tests[e.Test] = e.Action
			}
		}
	}
	o.output = text.String()
	return o
}

// tail keeps the last lines, which say what went wrong.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

func (r result) print(out io.Writer, verbose bool) {
	fmt.Fprintf(out, "%-8s %2d  %s  (%s, %.1f s)\n", r.verdict, r.Promise, r.Name, r.File, r.took.Seconds())
	if verbose && r.verdict == killed {
		r.why = strings.TrimSpace(r.said)
	}
	if r.why != "" {
		fmt.Fprintln(out, "    "+strings.ReplaceAll(r.why, "\n", "\n    "))
	}
}

// summary prints what each promise came to, and reports whether every break was noticed.
func summary(out io.Writer, results []result, took time.Duration) bool {
	fmt.Fprintf(out, "\n%-8s %-7s %s\n", "promise", "killed", "tests that went red")
	all := true
	for _, p := range promises() {
		n, dead := 0, 0
		var tests []string
		for _, r := range results {
			if r.Promise != p.Number {
				continue
			}
			n++
			if r.verdict != killed {
				continue
			}
			dead++
			for _, t := range r.Tests {
				if !slices.Contains(tests, t) {
					tests = append(tests, t)
				}
			}
		}
		if n == 0 {
			continue
		}
		all = all && n == dead
		slices.Sort(tests)
		fmt.Fprintf(out, "%7d  %-7s %s\n", p.Number, fmt.Sprintf("%d/%d", dead, n), strings.Join(tests, " "))
	}
	bad := 0
	for _, r := range results {
		if r.verdict != killed {
			bad++
		}
	}
	if bad > 0 {
		fmt.Fprintf(out, "\n%d of %d breaks were not noticed (%s)\n", bad, len(results), took.Round(time.Second))
		return false
	}
	fmt.Fprintf(out, "\nall %d breaks were noticed (%s)\n", len(results), took.Round(time.Second))
	return all
}
