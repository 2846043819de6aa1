package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

func (v *service) reload(flags ...string) (r reloaded, said string, code int) {
	v.t.Helper()
	out, errOut, code := v.try(append([]string{"reload", "--json"}, flags...)...)
	if len(out) > 0 {
		must(v.t, json.Unmarshal(out, &r))
	}
	return r, string(errOut), code
}

type auditRow struct {
	Seq         int64
	Kind, Actor string
	Data        map[string]string
}

// Each of several who ask at once reads the answer to what they asked: the files change
// between, and one of them means what is weaker.
func TestReloadsAtOnceReadTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	v.editPolicy("clients.yaml", "domains: [nhs.net]", "domains: [nhs.net, elsewhere.example]")
	type answer struct {
		meant bool
		r     reloaded
		code  int
	}
	answers := make(chan answer)
	const asking = 6
	for i := range asking {
		go func() {
			var flags []string
			if i == asking-1 {
				flags = []string{"--weaker", "--as", "sam"}
			}
			r, _, code := v.reload(flags...)
			answers <- answer{i == asking-1, r, code}
		}()
	}
	taken := ""
	for range asking {
		a := <-answers
		switch {
		case a.meant && (a.code != 0 || !a.r.OK || len(a.r.Weaker) == 0 || a.r.Before == a.r.Policy):
			t.Errorf("who meant it reads exit %d, %+v", a.code, a.r)
		case a.meant:
			taken = a.r.Policy
		case a.code == 0 && (a.r.Before != a.r.Policy || len(a.r.Weaker) != 0):
			t.Errorf("who did not mean it reads %+v", a.r)
		case a.code != 0 && (a.r.OK || len(a.r.Weaker) == 0):
			t.Errorf("exit %d, %+v", a.code, a.r)
		}
	}
	if r, said, code := v.reload(); code != 0 || r.Before != taken || r.Policy != taken {
		t.Errorf("exit %d, %+v, want %s\n%s", code, r, taken, said)
	}
	var rows []auditRow
	unmarshal(t, v.command("audit", "export", "--json", "--kind", "policy_asked,policy_taken,policy_kept"), &rows)
	if len(rows) == 0 || rows[0].Kind != "policy_taken" || rows[0].Actor != "gateway" {
		t.Fatalf("the start took no policies: %+v", rows)
	}
	rows = rows[1:]
	open := map[string]bool{}
	for _, r := range rows {
		if ask := r.Data["ask"]; r.Kind == "policy_asked" {
			open[ask] = true
		} else if !open[ask] {
			t.Errorf("%+v answers nobody", r)
		} else {
			delete(open, ask)
		}
	}
	if len(rows) != 2*(asking+1) || len(open) != 0 {
		t.Errorf("%d rows, without an answer: %v", len(rows), open)
	}
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
	// What protects less waits for somebody who may answer for it.
	const weaker = "mail to an address at elsewhere.example: hold → send"
	r, said, code := v.reload()
	if code != 1 || r.OK || !strings.Contains(strings.Join(r.Weaker, "\n"), weaker) || !strings.Contains(said, "--weaker --as") || !held() {
		t.Fatalf("a weaker set: exit %d, %+v\n%s", code, r, said)
	}
	for _, nobody := range []string{"maya", "nobody", "data_protection"} {
		if r, said, code := v.reload("--weaker", "--as", nobody); code != 1 || r.OK || !strings.Contains(said, "may edit_policy") || !held() {
			t.Errorf("%s answers for a weaker set: exit %d, %+v\n%s", nobody, code, r, said)
		}
	}
	if _, said, code := v.reload("--weaker"); code != 2 {
		t.Errorf("nobody answers for a weaker set: exit %d\n%s", code, said)
	}
	seen := v.stderr.Len()
	must(t, v.hangUp())
	if !v.stderr.wait(t, seen, `policies kept`, v.exited) || !held() {
		t.Error("the signal took a weaker set")
	}
	r, said, code = v.reload("--weaker", "--as", "sam")
	if code != 0 || !r.OK || r.Before == r.Policy || !strings.Contains(strings.Join(r.Weaker, "\n"), weaker) {
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
		seen = v.stderr.Len()
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
	var rows []auditRow
	unmarshal(t, v.command("audit", "export", "--json", "--since", "2026-01-01", "--kind", "policy_taken"), &rows)
	if len(rows) != 3 || rows[0].Actor != "gateway" || rows[1].Actor != "sam" || !strings.Contains(rows[1].Data["weaker"], weaker) || rows[1].Data["policy"] != now || rows[2].Actor != "operator" {
		t.Errorf("the audit says of policies that were taken:\n%+v", rows)
	}
	if text := string(v.command("audit", "export", "--kind", "policy_kept")); !strings.Contains(text, "weaker: "+weaker+"\n") || strings.Contains(text, "policy_taken") {
		t.Errorf("the audit says of policies that were not taken:\n%s", text)
	}
	if text := string(v.command("audit", "export", "--since", "2999-01-01T00:00:00Z", "--json")); text != "[]\n" {
		t.Errorf("the audit says of the far future %q", text)
	}
	v.stop()
	if _, said, code := v.reload(); code != 1 || !strings.Contains(said, "no service runs") {
		t.Errorf("without a service: exit %d, %s", code, said)
	}
}

// Whatever becomes of a live file, the service that is told to read it goes on with the rules
// that it has (I11, F21): unknown people's mail waits, clients' subjects stay neutral.
func TestDamagedLiveFilesChangeNothing(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	const stranger = "someone@elsewhere.example"
	dir := filepath.Join(v.dir, "policies")
	sent := 0
	rulesAct := func(after string) {
		t.Helper()
		text, err := v.submit(letter(stranger, "Tuesday", "See you then."), stranger)
		must(t, err)
		if !strings.Contains(text, "held as") {
			t.Errorf("after %s mail to somebody unknown leaves: %s", after, text)
		}
		sent++
		v.accepted(letter(anna, "Your counselling", "See you then."), anna)
		for _, m := range v.sink.wait(t, sent, anna) {
			if strings.Contains(string(m.data), "counselling") || !strings.Contains(string(m.data), "Samaritans") {
				t.Errorf("after %s a client gets\n%s", after, m.data)
			}
		}
	}
	rulesAct("nothing")
	half := func(name string) error {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name, b[:len(b)/2], 0o600)
	}
	instead := func(do func(name string) error) func(string) error {
		return func(name string) error {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			return do(name)
		}
	}
	for _, c := range []struct {
		what, file string
		do         func(name string) error
	}{
		{"half a file of rules", "mail.yaml", half},
		{"half a word list", "words/therapy_talk.txt", half},
		{"an empty word list", "words/care_words.txt", func(name string) error { return os.Truncate(name, 0) }},
		{"no people", "people.yaml", os.Remove},
		{"no rules and no tests", "", func(name string) error {
			must(t, os.RemoveAll(filepath.Join(name, "tests")))
			return os.WriteFile(filepath.Join(name, "mail.yaml"), []byte("rules:\n  - {name: One, id: one, when: {to: anyone}, do: [{tell: sam}]}\n"), 0o600)
		}},
		{"a pipe", "mail.yaml", instead(func(name string) error { return syscall.Mkfifo(name, 0o600) })},
		{"a directory", "organisation.yaml", instead(func(name string) error { return os.Mkdir(name, 0o700) })},
		{"a link to itself", "clients.yaml", instead(func(name string) error { return os.Symlink("clients.yaml", name) })},
		{"a link to a device", "mail.yaml", instead(func(name string) error { return os.Symlink("/dev/zero", name) })},
		{"100 MB", "templates.yaml", func(name string) error { return os.Truncate(name, 100<<20) }},
		{"a file that we may not read", "mail.yaml", func(name string) error { // root may read what has no bits
			if os.Geteuid() == 0 {
				return os.Remove(name)
			}
			return os.Chmod(name, 0)
		}},
		{"no directory", "", os.RemoveAll},
	} {
		must(t, c.do(filepath.Join(dir, c.file)))
		seen := v.stderr.Len()
		must(t, v.hangUp())
		if !v.stderr.wait(t, seen, `policies kept`, v.exited) {
			t.Fatalf("after %s the service does not answer:\n%s", c.what, v.stderr)
		}
		rulesAct(c.what)
		if r, said, code := v.reload(); code != 1 || r.OK || said == "" {
			t.Errorf("after %s: exit %d, %+v\n%s", c.what, code, r, said)
		}
		must(t, os.RemoveAll(dir))
		must(t, os.CopyFS(dir, os.DirFS("../policies")))
	}
	if r, said, code := v.reload(); code != 0 || r.Before != r.Policy {
		t.Errorf("the files are as they were: exit %d, %+v\n%s", code, r, said)
	}
}
