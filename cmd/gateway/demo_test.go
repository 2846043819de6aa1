package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// run runs the program inside this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errOut})
	return code, out.String(), errOut.String()
}

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	began := time.Now()
	code, out, errOut := run(t, "demo", "--once")
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	if took := time.Since(began); took > demoTime {
		t.Errorf("took %s", took)
	}
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^(SENT|HELD|REFUSED) `).FindAllStringSubmatch(out, -1) {
		counts[m[1]]++
	}
	if counts["SENT"] != 8 || counts["HELD"] != 4 || counts["REFUSED"] != 1 {
		t.Errorf("%v\n%s", counts, out)
	}
	for _, want := range []string{"before  From:    Maya Okafor <maya@willowhouse.example>", "Subject: Your trauma group on Tuesday",
		"after   From:    M <hello@wh.example>", "Subject: Hello from M - willow", "13 of 13 as expected"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if errOut != "" {
		t.Errorf("standard error: %s", errOut)
	}
}

func TestDemoForMachines(t *testing.T) {
	t.Parallel()
	code, out, _ := run(t, "demo", "--once", "--json")
	var results []result
	if err := json.Unmarshal([]byte(out), &results); err != nil || code != 0 || len(results) != 13 {
		t.Fatalf("exit %d, %d results, %v", code, len(results), err)
	}
}

// The demo leaves nothing behind.
func TestDemoRemovesItsDirectory(t *testing.T) {
	// Not parallel: TMPDIR belongs to the whole process.
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if code, _, errOut := run(t, "demo", "--once"); code != 0 {
		t.Fatal(errOut)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("left %v, %v", left, err)
	}
}

// A demo that is interrupted is no success.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if code := Run(ctx, []string{"demo", "--once"}, Streams{In: strings.NewReader(""), Out: &out, Err: &out}); code == 0 {
		t.Fatalf("exit 0\n%s", out.String())
	}
}

// What the demo compares with must be able to fail: each of these is a result that should
// have been otherwise.
func TestDemoSeesAFault(t *testing.T) {
	t.Parallel()
	parse := func(from, text string, to ...string) received {
		text = strings.ReplaceAll(text, "\n", "\r\n")
		m, err := mail.Parse(strings.NewReader(text), int64(len(text)), mail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		return received{delivery: delivery{From: from, To: to, Data: []byte(text)}, message: m}
	}
	good := "From: M <hello@wh.example>\nTo: anna@example.org\nSubject: Hello from M - willow\n\nA short practical note.\n\nSee you. Samaritans, call 116 123.\n"
	sm := sample{fields: []string{"Subject: Your trauma group"}, want: expected{outcome: "SENT", copies: []string{"anna@example.org"}, check: checkNeutral}}
	base := func(text string) *result {
		return &result{Outcome: "SENT", sample: sm, copies: []received{parse("hello@wh.example", text, "anna@example.org")}}
	}
	if wrong := sm.compare(base(good)); len(wrong) > 0 {
		t.Fatalf("a good copy: %q", wrong)
	}
	for name, bad := range map[string]*result{
		"another client's address": base(strings.Replace(good, "See you", "See you and ben@example.net", 1)),
		"the old subject":          base(strings.Replace(good, "Hello from M - willow", "Your trauma group", 1)),
		"the real address":         base(strings.Replace(good, "hello@wh.example", "maya@willowhouse.example", 1)),
		"no crisis lines":          base(strings.Replace(good, "Samaritans", "Somebody", 1)),
		"crisis lines twice":       base(good + "Samaritans\n"),
		"nothing left":             {Outcome: "SENT", sample: sm},
		"held instead":             {Outcome: "HELD", sample: sm, copies: base(good).copies},
		"a notice too many":        {Outcome: "SENT", sample: sm, copies: base(good).copies, notices: []received{parse("", good, "maya@willowhouse.example")}},
		"not encrypted":            {Outcome: "SENT", sample: sample{want: expected{outcome: "SENT", copies: []string{"anna@example.org"}, check: checkPGP}}, copies: base(good).copies},
		"another envelope":         {Outcome: "SENT", sample: sm, copies: []received{parse("maya@willowhouse.example", good, "anna@example.org")}},
	} {
		if wrong := bad.sample.compare(bad); len(wrong) == 0 {
			t.Errorf("%s is not seen", name)
		}
	}
	p := &program{Streams: Streams{Out: &bytes.Buffer{}, Err: os.Stderr}}
	if err := p.verdict([]result{{Wrong: []string{"x"}}}); err == nil {
		t.Error("a demo with a fault is no success")
	}
}
