package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type diagnosis struct {
	OK     bool
	Checks []struct{ Check, State, Text, Mend string }
}

func (v *service) doctor() (d diagnosis, code int) {
	v.t.Helper()
	out, errOut, code := v.try("doctor", "--json")
	if len(out) == 0 {
		v.t.Fatalf("doctor said nothing:\n%s", errOut)
	}
	unmarshal(v.t, out, &d)
	if d.OK != (code == 0) {
		v.t.Errorf("ok %v, exit %d", d.OK, code)
	}
	return d, code
}

// state returns state and text of a check, and what mends it.
func (d diagnosis) state(check string) string {
	for _, c := range d.Checks {
		if c.Check == check {
			return c.State + ": " + c.Text + " -> " + c.Mend
		}
	}
	return "no check"
}

// A sound installation has no failing check; what is broken afterwards is named, with what
// mends it, whether the service runs or not.
func TestDoctor(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{yaml: fmt.Sprintf("http: {address: \"127.0.0.1:%s\"}\n", freePort(t))})
	d, code := v.doctor()
	if code != 0 {
		t.Errorf("exit %d: %+v", code, d)
	}
	for _, check := range []string{"config", "tests", "data", "master key", "database", "clock", "smarthost", "service", "http", "reload"} {
		if !strings.HasPrefix(d.state(check), "ok: ") {
			t.Errorf("%s: %s", check, d.state(check))
		}
	}
	if !strings.Contains(d.state("certificate"), "warn: self-signed") {
		t.Error(d.state("certificate"))
	}
	// People get one line a check.
	out, _, _ := v.try("doctor")
	if n := strings.Count(string(out), "\n"); n != len(d.Checks) {
		t.Errorf("%d lines for %d checks:\n%s", n, len(d.Checks), out)
	}

	v.editPolicy("organisation.yaml", "limits: {clients_per_message: 10}", "limits: {clients_per_message: 10} # reviewed")
	if d, code := v.doctor(); code != 0 || !strings.Contains(d.state("reload"), "warn: the files have changed") || !strings.HasSuffix(d.state("reload"), "-> gateway reload") {
		t.Errorf("exit %d, %s", code, d.state("reload"))
	}
	v.editPolicy("mail.yaml", "do: [send_separately]", "do: [send_separatly]")
	must(t, v.hangUp())
	eventually(t, "the reload is refused", func() bool { _, at := v.readyz(); return at.Policies == "kept" })
	if d, code := v.doctor(); code != 1 || !strings.Contains(d.state("reload"), "warn: refused on ") || !strings.Contains(d.state("reload"), "(problems P") ||
		!strings.HasPrefix(d.state("policies"), "fail: ") {
		t.Errorf("exit %d, %s, %s", code, d.state("reload"), d.state("policies"))
	}
	v.editPolicy("mail.yaml", "do: [send_separatly]", "do: [send_separately]")

	v.stop()
	if d, code := v.doctor(); code != 0 || !strings.HasPrefix(d.state("service"), "warn: it does not run") || !strings.Contains(d.state("http"), "is free") {
		t.Errorf("exit %d, %s, %s", code, d.state("service"), d.state("http"))
	}

	// Damage in the middle of the database.
	name := filepath.Join(v.dir, "data", "plaincover.db")
	b, err := os.ReadFile(name)
	must(t, err)
	for i := 4096 * 3; i < len(b); i++ {
		b[i] ^= 0xa5
	}
	must(t, os.WriteFile(name, b, 0o600))
	if d, code := v.doctor(); code != 1 || !strings.HasPrefix(d.state("database"), "fail: ") || !strings.Contains(d.state("database"), "backup") {
		t.Errorf("exit %d, %s", code, d.state("database"))
	}
}

// A smarthost that is not who it should be is a failing check (F14); so is one that is away.
func TestDoctorOnTheSmarthost(t *testing.T) {
	t.Parallel()
	sink, other := newSink(t), newSink(t)
	block := sink.smarthost(t)
	trusted := regexp.MustCompile(`ca_file: "([^"]+)"`).FindStringSubmatch(block)[1]
	must(t, os.WriteFile(trusted, other.cert, 0o600))
	v := prepare(t, setup{smarthost: block})
	if d, code := v.doctor(); code != 1 || !strings.HasPrefix(d.state("smarthost"), "fail: ") {
		t.Errorf("exit %d, %s", code, d.state("smarthost"))
	}
	must(t, os.WriteFile(trusted, sink.cert, 0o600))
	if d, code := v.doctor(); code != 0 || !strings.HasPrefix(d.state("smarthost"), "ok: ") {
		t.Errorf("exit %d, %s", code, d.state("smarthost"))
	}
	v = prepare(t, setup{smarthost: fmt.Sprintf("{url: \"smtp://127.0.0.1:%s\", tls: required, region: GB}", freePort(t))})
	if d, code := v.doctor(); code != 1 || !strings.Contains(d.state("smarthost"), "cannot connect") {
		t.Errorf("exit %d, %s", code, d.state("smarthost"))
	}
}
