package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mailApp is a real program that submits one message to a running service.
type mailApp struct {
	name    string
	program string
	// args returns the arguments, and what goes to standard input.
	args func(v *service, message string) (args []string, stdin string)
}

// swaksArgs is swaks as maya, with more arguments for how to connect.
func swaksArgs(more ...string) func(v *service, message string) ([]string, string) {
	return func(v *service, message string) ([]string, string) {
		args := []string{"--tls-verify", "--tls-ca-path", v.trust(), "--auth-user", maya, "--auth-password", v.password,
			"--from", maya, "--to", anna, "--data", "-"}
		for _, a := range more {
			a = strings.ReplaceAll(a, "STARTTLSPORT", port(v.t, v.starttls))
			args = append(args, strings.ReplaceAll(a, "IMPLICITPORT", port(v.t, v.implicit)))
		}
		return args, message
	}
}

func msmtpArgs(starttls bool) func(v *service, message string) ([]string, string) {
	return func(v *service, message string) ([]string, string) {
		at, how := v.implicit, "off"
		if starttls {
			at, how = v.starttls, "on"
		}
		file := filepath.Join(v.t.TempDir(), "msmtprc")
		must(v.t, os.WriteFile(file, fmt.Appendf(nil, "account default\nhost localhost\nport %s\ntls on\ntls_starttls %s\ntls_trust_file %s\nauth plain\nuser %s\npassword %s\nfrom %s\n",
			port(v.t, at), how, v.trust(), maya, v.password, maya), 0o600))
		return []string{"--file=" + file, "--read-envelope-from", "--read-recipients"}, message
	}
}

func curlArgs(scheme string) func(v *service, message string) ([]string, string) {
	return func(v *service, message string) ([]string, string) {
		at := v.starttls
		if scheme == "smtps" {
			at = v.implicit
		}
		return []string{"--silent", "--show-error", "--ssl-reqd", "--cacert", v.trust(), "--url", scheme + "://" + at, "--user", maya + ":" + v.password,
			"--mail-from", maya, "--mail-rcpt", anna, "--upload-file", "-"}, message
	}
}

// smtplibScript signs in and sends standard input as a message object, as a script of a
// practice would.
const smtplibScript = `
import email, email.policy, smtplib, ssl, sys
how, port, ca, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)
if how == "implicit":
    server = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=60)
else:
    server = smtplib.SMTP("127.0.0.1", int(port), timeout=60)
    server.starttls(context=context)
with server:
    server.login(user, password)
    refused = server.send_message(message)
    assert not refused, refused
`

func smtplibArgs(how string) func(v *service, message string) ([]string, string) {
	return func(v *service, message string) ([]string, string) {
		at := v.starttls
		if how == "implicit" {
			at = v.implicit
		}
		return []string{"-c", smtplibScript, how, port(v.t, at), v.trust(), maya, v.password}, message
	}
}

func mailApps() []mailApp {
	return []mailApp{
		{"swaks STARTTLS AUTH PLAIN", "swaks", swaksArgs("--server", "127.0.0.1:STARTTLSPORT", "--tls", "--auth", "PLAIN")},
		{"swaks STARTTLS AUTH LOGIN", "swaks", swaksArgs("--server", "127.0.0.1:STARTTLSPORT", "--tls", "--auth", "LOGIN")},
		{"swaks STARTTLS pipelined", "swaks", swaksArgs("--server", "127.0.0.1:STARTTLSPORT", "--tls", "--auth", "PLAIN", "--pipeline")},
		{"swaks implicit TLS", "swaks", swaksArgs("--server", "127.0.0.1:IMPLICITPORT", "--tls-on-connect", "--auth", "PLAIN")},
		{"msmtp STARTTLS", "msmtp", msmtpArgs(true)},
		{"msmtp implicit TLS", "msmtp", msmtpArgs(false)},
		{"curl smtp", "curl", curlArgs("smtp")},
		{"curl smtps", "curl", curlArgs("smtps")},
		{"smtplib STARTTLS", "python3", smtplibArgs("starttls")},
		{"smtplib implicit TLS", "python3", smtplibArgs("implicit")},
	}
}

// TestMailApps submits a letter with each mail app and looks at what the client would get.
func TestMailApps(t *testing.T) {
	t.Parallel()
	for _, app := range mailApps() {
		t.Run(app.name, func(t *testing.T) {
			t.Parallel()
			path := peer(t, app.program)
			v := newService(t, setup{})
			subject, body := "Your trauma group "+randomWord(t), "See you there. "+randomWord(t)
			args, stdin := app.args(v, letter("Anna Quillfeather <"+anna+">", subject, body))
			cmd := exec.CommandContext(t.Context(), path, args...)
			cmd.Stdin = strings.NewReader(stdin)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s\nserve wrote:\n%s", app.program, err, redact(out, v.password), v.stderr)
			}
			rewritten(t, v.sink.wait(t, 1, anna)[0], subject, body)
			v.stop()
			if n := len(v.sink.all()); n != 1 {
				t.Errorf("%d messages left, not one", n)
			}
		})
	}
}

func redact(out []byte, password string) []byte {
	return bytes.ReplaceAll(out, []byte(password), []byte("[password]"))
}

// rewritten asserts that what arrived is the letter made safe: neutral subject, the address
// that clients see, first line and crisis lines, and the body as written.
func rewritten(t *testing.T, a arrival, subject, body string) {
	t.Helper()
	data := squeeze(string(a.data))
	if a.from != "hello@wh.example" || len(a.to) != 1 || a.to[0] != anna {
		t.Errorf("envelope: from %s to %v", a.from, a.to)
	}
	if got := a.header("Subject"); !strings.Contains(got, "willow") || strings.Contains(data, subject) {
		t.Errorf("the subject is not the neutral one with the agreed word: %q", got)
	}
	if got := a.header("From"); !strings.Contains(got, "hello@wh.example") || strings.Contains(string(a.data), "Okafor") || strings.Contains(string(a.data), maya) {
		t.Errorf("the sender shows: From: %q", got)
	}
	if got := a.header("To"); !strings.Contains(got, anna) {
		t.Errorf("To: %q", got)
	}
	for _, part := range []string{"A short practical note.", body} {
		if strings.Count(data, part) != 1 {
			t.Errorf("%q stands %d times in:\n%s", part, strings.Count(data, part), a.data)
		}
	}
	if strings.Count(decodedQP(data), crisisAdult) != 1 {
		t.Errorf("the crisis lines do not stand once in:\n%s", a.data)
	}
}

// squeeze makes every run of white space one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// decodedQP undoes soft line breaks, which squeeze has turned into "= ".
func decodedQP(s string) string { return strings.ReplaceAll(s, "= ", "") }

// TestConfiguredCertificate runs serve with a certificate of the practice's own.
func TestConfiguredCertificate(t *testing.T) {
	t.Parallel()
	path := peer(t, "swaks")
	cert, key := certificate(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(certFile, cert, 0o600))
	must(t, os.WriteFile(keyFile, key, 0o600))
	v := newService(t, setup{yaml: fmt.Sprintf("tls: {cert: %q, key: %q}\n", certFile, keyFile)})
	args := []string{"--server", v.starttls, "--tls", "--tls-verify", "--tls-ca-path", certFile, "--auth", "PLAIN", "--auth-user", maya,
		"--auth-password", v.password, "--from", maya, "--to", anna, "--header", "Subject: A letter", "--body", "The letter"}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Fatalf("swaks: %v\n%s", err, redact(out, v.password))
	}
	v.sink.wait(t, 1, anna)
	v.stop()
	if _, err := os.Stat(v.trust()); err == nil {
		t.Error("a self-signed certificate was made although one is configured")
	}
}

// TestRefusalsAsMailAppsSeeThem: what a person who made a mistake reads.
func TestRefusalsAsMailAppsSeeThem(t *testing.T) {
	t.Parallel()
	path := peer(t, "swaks")
	v := newService(t, setup{})
	for name, c := range map[string]struct{ args, want []string }{
		"wrong password":     {[]string{"--auth-user", maya, "--auth-password", "wrong-wrong-wrong", "--from", maya}, []string{"535 5.7.8"}},
		"unknown sign-in":    {[]string{"--auth-user", "nobody@willowhouse.example", "--auth-password", v.password, "--from", maya}, []string{"535 5.7.8"}},
		"no sign-in":         {[]string{"--from", maya}, []string{"530 5.7.0"}},
		"somebody else's":    {[]string{"--auth-user", maya, "--auth-password", v.password, "--from", "sam@willowhouse.example"}, []string{"5.7.1"}},
		"From of other":      {[]string{"--auth-user", maya, "--auth-password", v.password, "--from", maya, "--h-From", "Sam <sam@willowhouse.example>"}, []string{"550 5.7.1 Not sent: your sign-in is " + maya, "[M01 "}},
		"an unknown address": {[]string{"--auth-user", maya, "--auth-password", v.password, "--from", maya, "--to", "who@unknown.example"}, []string{"250 2.0.0 held as ", "this address is not on the client list or the colleague list"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--server", v.starttls, "--tls", "--to", anna, "--timeout", "60s"}, c.args...)
			if strings.Contains(strings.Join(args, " "), "auth-user") {
				args = append(args, "--auth", "PLAIN")
			}
			ctx, cancel := contextFor(t)
			defer cancel()
			out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput()
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("want %q in\n%s", w, redact(out, v.password))
				}
			}
		})
	}
	t.Cleanup(func() {
		v.stop()
		for _, a := range v.sink.all() {
			if a.to[0] != maya { // notices go to the sender
				t.Errorf("a message to %s left", a.to[0])
			}
		}
	})
}

// date is a moment as a Date field writes it.
func date(t time.Time) string { return t.Format(time.RFC1123Z) }
