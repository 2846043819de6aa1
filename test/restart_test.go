package test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// again stops and starts the service, and returns what it says meanwhile.
func (v *service) again() string {
	v.t.Helper()
	v.stop()
	seen := v.stderr.Len()
	v.start()
	return v.stderr.String()[seen:]
}

// refuses runs a serve that should end by itself; one that does not is ended.
func (v *service) refuses() (said string, code int) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, v.setup.program, "serve", "--config", v.config)
	cmd.Env = append(os.Environ(), v.setup.env...)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		v.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A restart is a reload: what is broken, fails its own tests or protects less stays out of
// force, and the policies that were taken last decide on (I11, F21).
func TestARestartTakesNoMoreThanAReload(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	const stranger = "someone@elsewhere.example"
	held := func() bool {
		t.Helper()
		text, err := v.submit(letter(stranger, "Tuesday", "See you then."), stranger)
		must(t, err)
		return strings.Contains(text, "held as")
	}
	_, first := v.readyz()
	dir := filepath.Join(v.dir, "policies")
	const strict, weak = "domains: [nhs.net]", "domains: [nhs.net, elsewhere.example]"

	for _, c := range []struct {
		name, why, says string
		damage          func()
	}{
		{"broken", "problems", `did you mean "send_separately"`, func() { v.editPolicy("mail.yaml", "do: [send_separately]", "do: [send_separatly]") }},
		{"a test fails", "tests", "gateway test names them", func() { v.editPolicy("tests/everyday.yaml", "outcome: send", "outcome: refuse") }},
		{"no directory", "problems", "there is no such directory", func() { must(t, os.RemoveAll(dir)) }},
		{"protects less", "weaker", "gateway reload --weaker --as PERSON", func() { v.editPolicy("clients.yaml", strict, weak) }},
	} {
		c.damage()
		said := v.again()
		if !strings.Contains(said, c.says) || !strings.Contains(said, "the service keeps the policies that it has: ") || !strings.Contains(said, "policies kept") {
			t.Errorf("%s: the start says\n%s", c.name, said)
		}
		status, at := v.readyz()
		if status != 200 || at.Policies != "kept" || at.Policy != first.Policy || at.Reload == nil || at.Reload.Result != "kept" || at.Reload.Why != c.why {
			t.Errorf("%s: %d %+v %+v", c.name, status, at, at.Reload)
		}
		if !held() {
			t.Errorf("%s: a restart took it", c.name)
		}
		if c.why == "weaker" {
			break
		}
		must(t, os.RemoveAll(dir))
		must(t, os.CopyFS(dir, os.DirFS("../policies")))
	}
	var rows []auditRow
	unmarshal(t, v.command("audit", "export", "--json", "--kind", "policy_kept,policy_taken"), &rows)
	if len(rows) != 5 || rows[0].Kind != "policy_taken" || rows[0].Data["policy"] != first.Policy || !strings.Contains(rows[4].Data["weaker"], "hold → send") {
		t.Errorf("the audit says\n%+v", rows)
	}
	for _, r := range rows[1:] {
		if r.Kind != "policy_kept" || r.Actor != "gateway" || r.Data["policy"] != first.Policy || r.Data["why"] == "" {
			t.Errorf("the audit says\n%+v", r)
		}
	}

	// Somebody answers for it: then it decides after a restart too.
	r, said, code := v.reload("--weaker", "--as", "sam")
	if code != 0 || !r.OK || r.Before != first.Policy || held() {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	v.again()
	if _, at := v.readyz(); at.Policies != "current" || at.Policy != r.Policy || at.Reload != nil || held() {
		t.Errorf("after the restart %+v", at)
	}

	// What protects more needs nobody.
	v.editPolicy("clients.yaml", weak, strict)
	v.again()
	if _, at := v.readyz(); at.Policies != "current" || at.Policy != first.Policy || at.Reload == nil || at.Reload.Result != "taken" || !held() {
		t.Errorf("a stricter set: %+v", at)
	}
	v.again()
	unmarshal(t, v.command("audit", "export", "--json", "--kind", "policy_taken"), &rows)
	if len(rows) != 3 || rows[1].Actor != "sam" || rows[2].Actor != "gateway" || rows[2].Data["before"] != r.Policy || rows[2].Data["policy"] != first.Policy {
		t.Errorf("the audit says\n%+v", rows)
	}

	// Where the copy is lost, sound files are taken, and others are not.
	_, err := database(t, v).ExecContext(t.Context(), `UPDATE policies SET sealed = zeroblob(1000)`)
	must(t, err)
	v.editPolicy("mail.yaml", "do: [send_separately]", "do: [send_separatly]")
	v.stop()
	if said, code := v.refuses(); code != 78 || !strings.Contains(said, "nothing to compare the policies with") || !strings.Contains(said, "did you mean") {
		t.Errorf("no copy and broken files: exit %d\n%s", code, said)
	}
	v.editPolicy("mail.yaml", "do: [send_separatly]", "do: [send_separately]")
	v.start()
	if _, at := v.readyz(); at.Policies != "current" || at.Policy != first.Policy || !held() {
		t.Errorf("no copy and sound files: %+v", at)
	}
	if said := v.again(); strings.Contains(said, "nothing to compare") {
		t.Errorf("the copy was not made again:\n%s", said)
	}
	v.command("audit", "verify")
}

// Nothing has decided before: policies that do not do what their tests say are not to begin with.
func TestAFirstStartRunsTheTests(t *testing.T) {
	t.Parallel()
	v := prepare(t, setup{})
	v.editPolicy("tests/everyday.yaml", "outcome: send", "outcome: refuse")
	if said, code := v.refuses(); code != 78 || !strings.Contains(said, "gateway test") || !strings.Contains(said, "[P179]") || strings.Contains(said, "listening on") {
		t.Errorf("exit %d\n%s", code, said)
	}
	v.editPolicy("tests/everyday.yaml", "outcome: refuse", "outcome: send")
	v.start()
	var rows []auditRow
	unmarshal(t, v.command("audit", "export", "--json", "--kind", "policy_taken,policy_kept"), &rows)
	if _, at := v.readyz(); len(rows) != 1 || rows[0].Kind != "policy_taken" || rows[0].Data["policy"] != at.Policy || at.Policies != "current" {
		t.Errorf("%+v, %+v", at, rows)
	}
}
