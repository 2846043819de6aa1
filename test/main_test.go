// Package test drives the built program from outside: real mail apps and a real smarthost,
// the message corpus, kill -9, and attempts to break what the product promises.
//
// It uses nothing of internal: what it knows is the documented outside. Programs that are
// not installed are skipped, unless REQUIRE_PEERS=1 makes their absence a failure.
package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// program is the path of the built binary; TestMain sets it before any test runs.
var program string

// patience bounds every wait for an event that must come. It is far above what any of them
// takes, so that a busy machine does not fail a sound program.
const patience = 90 * time.Second

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plaincover-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", program, "../cmd/gateway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// peer returns the path of another program that the test talks to.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return p
			}
		}
		peerMissing(t, name+" is not installed")
	}
	return path
}

// peerMissing skips the test; where peers are required, it fails it.
func peerMissing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatalf("%s, and REQUIRE_PEERS=1", why)
	}
	t.Skip(why)
}

// Who the tests write as and to. C-0001 is an adult, C-0002 under 19, C-0003 discreet.
const (
	maya = "maya@willowhouse.example"
	anna = "anna@example.org"
	ben  = "ben@example.org"
	cleo = "cleo@example.org"

	register = "ref,name,email,born,country,nation,discreet,word,protection,practitioner\n" +
		"C-0001,Anna Quillfeather," + anna + ",1990-04-01,GB,England,no,willow,none,maya\n" +
		"C-0002,Ben Thistlewick," + ben + ",2009-02-03,GB,England,no,pebble,none,maya\n" +
		"C-0003,Cleo Marchbanks," + cleo + ",1985-07-09,GB,England,yes,lantern,none,maya\n"
)

// crisisAdult is in every mail to an adult client in England who is not discreet.
const crisisAdult = "I cannot offer crisis support by email and do not read it outside working hours. If you need someone now: " +
	"Samaritans, call 116 123 (free, day or night). Shout, text 85258 (free, day or night). " +
	"NHS, call 111 and choose the mental health option. In danger now: call 999."

// setup says what a service is to look like; the zero value is the usual one.
type setup struct {
	register  string                         // clients.csv; empty: register
	consents  string                         // consents.csv
	smarthost string                         // the smarthost block; empty: the service's own sink
	yaml      string                         // more lines of gateway.yaml
	env       []string                       // more environment
	wrap      []string                       // a program to run serve under, with its arguments
	program   string                         // the gateway to run; empty: the one built from the tree
	policies  func(t *testing.T, dir string) // changes the copy of the shipped policies
}

// service is a configured installation and, between start and stop, its running process.
type service struct {
	t        *testing.T
	dir      string
	config   string
	starttls string // address, known once serve is ready
	implicit string
	web      string // empty: none
	sink     *sink
	password string // maya's
	setup    setup

	cmd    *exec.Cmd
	stderr *output
	exited chan struct{} // closed when the process has been waited for
	code   int
}

// newService writes the configuration, fills the register, signs maya up and starts serve.
func newService(t *testing.T, s setup) *service {
	t.Helper()
	v := prepare(t, s)
	v.start()
	return v
}

// prepare does all that newService does but start.
func prepare(t *testing.T, s setup) *service {
	t.Helper()
	dir := t.TempDir()
	v := &service{t: t, dir: dir, config: filepath.Join(dir, "gateway.yaml"), setup: s, stderr: &output{}}
	if s.program == "" {
		v.setup.program = program
	}
	must(t, os.CopyFS(filepath.Join(dir, "policies"), os.DirFS("../policies")))
	if s.policies != nil {
		s.policies(t, filepath.Join(dir, "policies"))
	}
	if s.smarthost == "" {
		v.sink = newSink(t)
		s.smarthost = v.sink.smarthost(t)
	}
	// Port 0: the kernel picks a free one, and serve says which.
	if !strings.Contains(s.yaml, "http:") {
		s.yaml += "http: {address: \"127.0.0.1:0\"}\n"
	}
	yaml := fmt.Sprintf("hostname: mail.willowhouse.example\nlisten:\n  - {address: \"127.0.0.1:0\", tls: starttls}\n  - {address: \"127.0.0.1:0\", tls: implicit}\nsmarthost: %s\n%s",
		s.smarthost, s.yaml)
	must(t, os.WriteFile(v.config, []byte(yaml), 0o600))
	if s.register == "" {
		s.register = register
	}
	clients := filepath.Join(t.TempDir(), "clients.csv")
	must(t, os.WriteFile(clients, []byte(s.register), 0o600))
	v.command("client", "import", clients)
	if s.consents != "" {
		consents := filepath.Join(t.TempDir(), "consents.csv")
		must(t, os.WriteFile(consents, []byte(s.consents), 0o600))
		v.command("consent", "import", consents)
	}
	v.password = v.signUp("maya")
	return v
}

// signUp makes an app password.
func (v *service) signUp(id string) string {
	v.t.Helper()
	var made struct{ Password string }
	must(v.t, json.Unmarshal(v.command("submitter", "add", id, "--name", "laptop", "--json"), &made))
	if made.Password == "" {
		v.t.Fatal("submitter add printed no password")
	}
	return made.Password
}

// command runs another command of the program against this installation; it must succeed.
func (v *service) command(args ...string) []byte {
	v.t.Helper()
	out, errOut, code := v.try(args...)
	if code != 0 {
		v.t.Fatalf("gateway %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// try runs a command and returns what it printed and its exit code.
func (v *service) try(args ...string) (out, errOut []byte, code int) {
	v.t.Helper()
	cmd := exec.CommandContext(v.t.Context(), v.setup.program, append(args, "--config", v.config)...)
	cmd.Env = append(os.Environ(), v.setup.env...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		v.t.Fatalf("gateway %s: %v", strings.Join(args, " "), err)
	}
	return o.Bytes(), e.Bytes(), cmd.ProcessState.ExitCode()
}

// start runs serve and returns when it is ready.
func (v *service) start() {
	v.t.Helper()
	args := append(slices.Clone(v.setup.wrap), v.setup.program, "serve", "--config", v.config)
	v.cmd = exec.Command(args[0], args[1:]...)
	v.cmd.Env = append(os.Environ(), v.setup.env...)
	// A group of its own, so that a kill also reaches serve under a wrapper.
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	seen := v.stderr.Len()
	v.cmd.Stdout, v.cmd.Stderr = v.stderr, v.stderr
	must(v.t, v.cmd.Start())
	v.exited = make(chan struct{})
	cmd, exited := v.cmd, v.exited
	go func() {
		cmd.Wait()
		v.code = cmd.ProcessState.ExitCode()
		close(exited)
	}()
	v.t.Cleanup(func() {
		if !v.running() {
			return
		}
		if v.t.Failed() {
			v.t.Logf("serve wrote:\n%s", v.stderr)
		}
		v.stop()
	})
	if !v.stderr.wait(v.t, seen, `(?m)^listening on \S+ \(TLS\)$`, exited) {
		v.t.Fatalf("serve did not become ready:\n%s", v.stderr)
	}
	said := v.stderr.String()[seen:]
	v.starttls, v.implicit, v.web = listening(said, "STARTTLS"), listening(said, "TLS"), listening(said, "HTTPS?")
}

func (v *service) running() bool {
	if v.cmd == nil {
		return false
	}
	select {
	case <-v.exited:
		return false
	default:
		return true
	}
}

// stop asks serve to end, which it must do in good order.
func (v *service) stop() {
	v.t.Helper()
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-v.exited:
	case <-time.After(patience):
		v.kill()
		v.t.Fatalf("serve did not stop:\n%s", v.stderr)
	}
	if v.code != 0 {
		v.t.Errorf("serve stopped with exit code %d:\n%s", v.code, v.stderr)
	}
}

// hangUp asks serve to read its policies anew.
func (v *service) hangUp() error { return syscall.Kill(v.cmd.Process.Pid, syscall.SIGHUP) }

// kill ends serve as a crash would.
func (v *service) kill() {
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
	<-v.exited
}

// trust returns the file that a mail app is given to trust the service.
func (v *service) trust() string { return filepath.Join(v.dir, "data", "tls", "cert.pem") }

// tls is a client's configuration that verifies the service.
func (v *service) tls() *tls.Config {
	v.t.Helper()
	pem, err := os.ReadFile(v.trust())
	must(v.t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// dial opens a session that is signed in as maya.
func (v *service) dial() (*smtp.Client, error) { return v.dialAs(maya, v.password) }

func (v *service) dialAs(name, password string) (*smtp.Client, error) {
	c, err := smtp.DialStartTLS(v.starttls, v.tls())
	if err != nil {
		return nil, err
	}
	if err := c.Auth(sasl.NewPlainClient("", name, password)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// submit sends one message in a session of its own and returns the text of the 250.
func (v *service) submit(message string, to ...string) (string, error) {
	c, err := v.dial()
	if err != nil {
		return "", err
	}
	defer c.Close()
	return send(c, maya, message, to...)
}

// accepted submits a message that must be queued or held, and returns its id.
func (v *service) accepted(message string, to ...string) string {
	v.t.Helper()
	text, err := v.submit(message, to...)
	if err != nil {
		v.t.Fatalf("not accepted: %v\nserve wrote:\n%s", err, v.stderr)
	}
	return idOf(v.t, text)
}

// send runs one transaction on an open session.
func send(c *smtp.Client, from, message string, to ...string) (string, error) {
	if err := c.Mail(from, nil); err != nil {
		return "", err
	}
	for _, a := range to {
		if err := c.Rcpt(a, nil); err != nil {
			return "", err
		}
	}
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(w, message); err != nil {
		return "", err
	}
	r, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return r.StatusText, nil
}

func acceptedID() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:queued|held) as ([0-9A-HJKMNP-TV-Z]{26})\b`)
}

// idOf reads the id out of "queued as ID" or "held as ID. ...".
func idOf(t *testing.T, text string) string {
	t.Helper()
	m := acceptedID().FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no id in %q", text)
	}
	return m[1]
}

// letter is a plain message from maya.
func letter(to, subject, body string) string {
	return "From: Maya Okafor <" + maya + ">\r\nTo: " + to + "\r\nSubject: " + subject + "\r\nDate: " + date(time.Now()) +
		"\r\nMessage-ID: <letter@laptop.willowhouse.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body + "\r\n"
}

// output collects what a process prints, and can be waited on.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Len()
}

// wait returns true when what came after the first seen bytes matches, false when the
// process ended or patience did.
func (o *output) wait(t *testing.T, seen int, pattern string, exited <-chan struct{}) bool {
	t.Helper()
	re := regexp.MustCompile(pattern)
	ctx, cancel := contextFor(t)
	defer cancel()
	for {
		o.mu.Lock()
		found := re.Match(o.b.Bytes()[seen:])
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-exited:
			return re.MatchString(o.String()[seen:])
		case <-ctx.Done():
			return false
		}
	}
}

// listening returns the address that serve says it listens on.
func listening(said, how string) string {
	m := regexp.MustCompile(`(?m)^listening on (\S+) \(` + how + `\)$`).FindStringSubmatch(said)
	if m == nil {
		return ""
	}
	return m[1]
}

// contextFor ends with the test, or when patience does.
func contextFor(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), patience)
}

// eventually looks again and again until done. It is for what tells nobody when it happens.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := contextFor(t)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// open reports whether somebody listens on address.
func open(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// freePort returns a loopback port that nobody listens on, for a program that cannot choose
// one. The kernel hands ports out in turn, so that parallel tests do not get the same one.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return port(t, ln.Addr().String())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// port returns the port of an address.
func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	must(t, err)
	return p
}

func unmarshal(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in:\n%s", err, data)
	}
}
