package test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// postfixMain is a Postfix that takes mail only inside TLS and only from who signed in, and
// passes everything on to the test's sink. It refuses one recipient for good.
const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
local_transport = error:none
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
relayhost = [127.0.0.1]:%[2]s
smtp_dns_support_level = disabled
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/key.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = postfix.example
cyrus_sasl_config_path = %[1]s/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{%[3]s=REJECT}, permit_sasl_authenticated, reject
`

const postfixMaster = `127.0.0.1:%[1]s inet n - n - - smtpd
127.0.0.1:%[2]s inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// postfix is a running Postfix of the test's own: own configuration, queue and data.
type postfix struct {
	dir      string
	cert     []byte // PEM
	starttls string // port
	implicit string // port
	sink     *sink  // what it passed on
	user     string
	password string
}

// newPostfix starts one; it ends with the test.
func newPostfix(t *testing.T) *postfix {
	t.Helper()
	program, saslpasswd, postconf := peer(t, "postfix"), peer(t, "saslpasswd2"), peer(t, "postconf")
	if os.Getuid() != 0 {
		peerMissing(t, "Postfix starts only as root")
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		peerMissing(t, "there is no user postfix")
	}
	uid, err := strconv.Atoi(owner.Uid)
	must(t, err)
	// Not t.TempDir: the daemons run as another user, which must be able to enter.
	dir, err := os.MkdirTemp("", "plaincover-postfix-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	for _, d := range []string{"spool", "data", "sasl"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	must(t, os.Chown(filepath.Join(dir, "data"), uid, -1))
	p := &postfix{dir: dir, sink: newOpenSink(t), starttls: freePort(t), implicit: freePort(t), user: "gateway@postfix.example", password: "postfix-" + randomWord(t)}
	db := filepath.Join(dir, "sasl", "db")
	add := exec.Command(saslpasswd, "-p", "-c", "-f", db, "-u", "postfix.example", "gateway")
	add.Stdin = strings.NewReader(p.password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v\n%s", err, out)
	}
	must(t, os.Chown(db, uid, -1))
	var key []byte
	p.cert, key = certificate(t)
	for name, text := range map[string]string{
		"cert.pem": string(p.cert), "key.pem": string(key),
		"sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: " + db + "\n",
		"main.cf":         fmt.Sprintf(postfixMain, dir, port(t, p.sink.address), cleo),
		"master.cf":       fmt.Sprintf(postfixMaster, p.starttls, p.implicit),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	if out, err := exec.Command(program, "-c", dir, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	daemons, err := exec.Command(postconf, "-c", dir, "-h", "daemon_directory").Output()
	must(t, err)
	// The master daemon itself, not postfix start: so it is our own child, and its group ends
	// with the test.
	master := exec.Command(filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-c", dir, "-d")
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &output{}
	master.Stdout, master.Stderr = said, said
	must(t, master.Start())
	exited := make(chan struct{})
	go func() { defer close(exited); master.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-master.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(patience):
			syscall.Kill(-master.Process.Pid, syscall.SIGKILL)
			<-exited
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Postfix wrote:\n%s%s", said, log)
		}
	})
	eventually(t, "Postfix listens", func() bool {
		for _, at := range []string{p.starttls, p.implicit} {
			if !open("127.0.0.1:" + at) {
				return false
			}
		}
		return true
	})
	return p
}

// smarthost writes the block of gateway.yaml that leads here.
func (p *postfix) smarthost(t *testing.T, url string, ca []byte) string {
	t.Helper()
	dir := t.TempDir()
	caFile, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	must(t, os.WriteFile(caFile, ca, 0o600))
	must(t, os.WriteFile(password, []byte(p.password), 0o600))
	return fmt.Sprintf("{url: %q, username: %q, password_file: %q, tls: required, ca_file: %q}", url, p.user, password, caFile)
}

// TestPostfixAsSmarthost sends through a real Postfix that demands TLS and a sign-in.
func TestPostfixAsSmarthost(t *testing.T) {
	t.Parallel()
	p := newPostfix(t)
	t.Run("it takes nothing from who did not sign in", func(t *testing.T) {
		t.Parallel()
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(p.cert)
		c, err := smtp.DialStartTLS("127.0.0.1:"+p.starttls, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
		must(t, err)
		defer c.Close()
		if _, err := send(c, "hello@wh.example", letter(anna, "A letter", "The letter"), anna); err == nil {
			t.Fatal("Postfix took a message without a sign-in: the test shows nothing")
		}
	})
	for name, url := range map[string]string{"STARTTLS": "smtp://127.0.0.1:" + p.starttls, "implicit TLS": "smtps://127.0.0.1:" + p.implicit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newService(t, setup{smarthost: p.smarthost(t, url, p.cert)})
			subject, body := "Your trauma group "+randomWord(t), "See you there. "+randomWord(t)
			id := v.accepted(letter(anna+", "+ben, subject, body), anna, ben)
			mine := func(a arrival) bool { return strings.Contains(string(a.data), body) }
			rewritten(t, p.sink.waitFor(t, 1, func(a arrival) bool { return mine(a) && a.to[0] == anna })[0], subject, body)
			p.sink.waitFor(t, 1, func(a arrival) bool { return mine(a) && a.to[0] == ben })
			v.waitForStates(id, "delivered", "delivered")
			v.stop()
		})
	}
	t.Run("a refusal comes back as a report", func(t *testing.T) {
		t.Parallel()
		v := newService(t, setup{smarthost: p.smarthost(t, "smtp://127.0.0.1:"+p.starttls, p.cert)})
		subject, body := "Tuesday "+randomWord(t), "See you there. "+randomWord(t)
		id := v.accepted(letter(cleo, subject, body), cleo)
		v.waitForStates(id, "failed")
		report := p.sink.waitFor(t, 1, func(a arrival) bool { return a.to[0] == maya && strings.Contains(string(a.data), cleo) })[0]
		data := string(report.data)
		if report.from != "" || !strings.HasPrefix(report.header("Content-Type"), "multipart/report") || !strings.Contains(data, "C-0003") {
			t.Errorf("not a report (RFC 3464) with the null reverse-path and the client's code, from <%s>:\n%s", report.from, data)
		}
		if strings.Contains(data, subject) || strings.Contains(data, body) || strings.Contains(data, "Marchbanks") {
			t.Errorf("the report shows content or the client's name:\n%s", data)
		}
	})
	t.Run("an unknown authority gets nothing", func(t *testing.T) {
		t.Parallel()
		stranger, _ := certificate(t)
		v := newService(t, setup{smarthost: p.smarthost(t, "smtp://127.0.0.1:"+p.starttls, stranger)})
		body := "See you there. " + randomWord(t)
		id := v.accepted(letter(anna, "Tuesday", body), anna)
		eventually(t, "an attempt is recorded", func() bool {
			jobs := v.jobs(id)
			return len(jobs) == 1 && jobs[0].Attempts > 0 && jobs[0].State == "queued"
		})
		v.stop()
		if slices.ContainsFunc(p.sink.all(), func(a arrival) bool { return strings.Contains(string(a.data), body) }) {
			t.Error("the message left to a server whose certificate does not verify")
		}
	})
}

// job is what queue list and queue show print about one delivery.
type job struct {
	ID       int64
	Message  string
	Kind     string
	State    string
	Attempts int
}

// jobs returns the deliveries of a message.
func (v *service) jobs(id string) []job {
	v.t.Helper()
	var all []job
	for _, j := range v.queue() {
		if j.Message == id {
			all = append(all, j)
		}
	}
	return all
}

// queue returns every delivery that is known.
func (v *service) queue() []job {
	v.t.Helper()
	var all []job
	unmarshal(v.t, v.command("queue", "list", "--all", "--json"), &all)
	return all
}

// waitForStates waits until the deliveries of a message are in these states, in any order.
func (v *service) waitForStates(id string, states ...string) {
	v.t.Helper()
	slices.Sort(states)
	eventually(v.t, fmt.Sprintf("%s is %v", id, states), func() bool {
		var now []string
		for _, j := range v.jobs(id) {
			now = append(now, j.State)
		}
		slices.Sort(now)
		return slices.Equal(now, states)
	})
}
