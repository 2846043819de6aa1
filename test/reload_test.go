package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// editPolicy replaces text in a policy file of the installation.
func (v *service) editPolicy(file, old, with string) {
	v.t.Helper()
	name := filepath.Join(v.dir, "policies", file)
	b, err := os.ReadFile(name)
	must(v.t, err)
	if !strings.Contains(string(b), old) {
		v.t.Fatalf("%s does not hold %q", file, old)
	}
	must(v.t, os.WriteFile(name, []byte(strings.Replace(string(b), old, with, 1)), 0o600))
}

type reloaded struct {
	OK             bool
	Before, Policy string
	Why            string
	Weaker         []string
}

func (v *service) reload() (r reloaded, said string, code int) {
	v.t.Helper()
	out, errOut, code := v.try("reload", "--json")
	if len(out) > 0 {
		must(v.t, json.Unmarshal(out, &r))
	}
	return r, string(errOut), code
}

// A changed rule acts after a reload and not before; what is broken, untested or failing keeps
// the old rules in force; every reload is in the audit.
func TestReloadTakesWhatIsRightAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	const stranger = "someone@elsewhere.example"
	held := func() bool {
		t.Helper()
		text, err := v.submit(letter(stranger, "Tuesday", "See you then."), stranger)
		must(t, err)
		return strings.Contains(text, "held as")
	}
	if !held() {
		t.Fatal("mail to somebody unknown was not held")
	}

	v.editPolicy("clients.yaml", "domains: [nhs.net]", "domains: [nhs.net, elsewhere.example]")
	if !held() {
		t.Error("a file that nobody reloaded is in force")
	}
	r, said, code := v.reload()
	if code != 0 || !r.OK || r.Before == r.Policy || !strings.Contains(strings.Join(r.Weaker, "\n"), "mail to an address at elsewhere.example: hold → send") {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	if held() {
		t.Error("the new policies are not in force")
	}
	v.sink.wait(t, 1, stranger)

	now := r.Policy
	for _, c := range []struct{ name, file, old, with, want string }{
		{"broken", "mail.yaml", "do: [send_separately]", "do: [send_separatly]", `did you mean "send_separately"`},
		{"a test fails", "tests/everyday.yaml", "outcome: send", "outcome: refuse", "failed"},
	} {
		v.editPolicy(c.file, c.old, c.with)
		r, said, code := v.reload()
		if code != 1 || r.OK || !strings.Contains(said, c.want) || held() {
			t.Errorf("%s: exit %d, %+v\n%s", c.name, code, r, said)
		}
		// The signal alone, without the command's own check before it, keeps them just as well.
		seen := v.stderr.Len()
		must(t, v.hangUp())
		if !v.stderr.wait(t, seen, `policies kept`, v.exited) || held() {
			t.Errorf("%s: the signal took broken policies", c.name)
		}
		v.editPolicy(c.file, c.with, c.old)
	}
	if r, said, code := v.reload(); code != 0 || r.Policy != now || r.Before != now || len(r.Weaker) != 0 {
		t.Errorf("nothing changed: exit %d, %+v\n%s", code, r, said)
	}
	v.command("audit", "verify")
	v.stop()
	if _, said, code := v.reload(); code != 1 || !strings.Contains(said, "no service runs") {
		t.Errorf("without a service: exit %d, %s", code, said)
	}
}
