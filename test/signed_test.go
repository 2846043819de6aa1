package test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sealer makes signed and encrypted mail as mail apps do, with keys of its own.
type sealer struct {
	t            *testing.T
	gpg, openssl string
	home, dir    string
}

func newSealer(t *testing.T) *sealer {
	t.Helper()
	s := &sealer{t: t, gpg: peer(t, "gpg"), openssl: peer(t, "openssl"), dir: t.TempDir()}
	// gpg's agent listens on a socket there, whose path may not be long.
	home, err := os.MkdirTemp("", "pc-gpg-")
	must(t, err)
	s.home = home
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	s.pgp(nil, "--quick-gen-key", "Maya <"+maya+">", "future-default", "default", "never")
	s.ssl(nil, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", s.path("key.pem"), "-out", s.path("cert.pem"),
		"-days", "30", "-subj", "/CN=Maya/emailAddress="+maya, "-addext", "extendedKeyUsage=emailProtection")
	s.ssl(nil, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", s.path("rsa.pem"), "-out", s.path("rsacert.pem"), "-days", "30", "-subj", "/CN=Reader")
	return s
}

func (s *sealer) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sealer) run(in []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err != nil {
		s.t.Logf("%s %v: %s", filepath.Base(name), args, errOut.String())
	}
	return out.Bytes(), err
}

func (s *sealer) pgp(in []byte, args ...string) []byte {
	s.t.Helper()
	out, err := s.run(in, s.gpg, append([]string{"--homedir", s.home, "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback", "--trust-model", "always"}, args...)...)
	must(s.t, err)
	return out
}

func (s *sealer) ssl(in []byte, args ...string) []byte {
	s.t.Helper()
	out, err := s.run(in, s.openssl, args...)
	must(s.t, err)
	return out
}

// signed is multipart/signed by RFC 3156 §5 around a part.
func (s *sealer) signed(part, extra string) string {
	part = crlf(part)
	sig := crlf(string(s.pgp([]byte(part), "--armor", "--detach-sign", "--digest-algo", "SHA512")))
	return crlf("Content-Type: multipart/signed; micalg=\"pgp-sha512\";\n  protocol=\"application/pgp-signature\"; boundary=\"=-sig \"\n"+extra+"\n--=-sig\n") + part +
		crlf("\n--=-sig\nContent-Type: application/pgp-signature; name=\"signature.asc\"\nContent-Description: OpenPGP digital signature\n\n") + sig + crlf("\n--=-sig--\n")
}

func crlf(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// verifiesPGP reports whether the first multipart/signed in a message verifies.
func (s *sealer) verifiesPGP(mail []byte) bool {
	pieces := bytes.Split(mail, []byte("\r\n--=-sig"))
	if len(pieces) < 4 {
		return false
	}
	part := bytes.TrimPrefix(pieces[1], []byte("\r\n"))
	_, sig, _ := bytes.Cut(pieces[2], []byte("\r\n\r\n"))
	must(s.t, os.WriteFile(s.path("part"), part, 0o600))
	must(s.t, os.WriteFile(s.path("sig"), sig, 0o600))
	_, err := s.run(nil, s.gpg, "--homedir", s.home, "--batch", "--verify", s.path("sig"), s.path("part"))
	return err == nil
}

// TestSignaturesStillVerify sends what gpg and openssl signed or encrypted through the gateway,
// lets it be released, and has gpg and openssl read every copy: promise 7.
func TestSignaturesStillVerify(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	to := corpusClients()[0]
	const text = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nSee you on Tuesday=2C caf=C3=A9 =20\n\tas always. =\n\n-- =20\nMaya\n"
	plain := crlf("See you on Tuesday.\n\n- dashed\nFrom here on.\n")
	smime := func(args ...string) func() string {
		return func() string {
			return string(s.ssl([]byte(crlf(text)), append([]string{"smime", "-crlfeol", "-signer", s.path("cert.pem"), "-inkey", s.path("key.pem")}, args...)...))
		}
	}
	opens := func(want string, args ...string) func([]byte) bool {
		return func(mail []byte) bool {
			must(t, os.WriteFile(s.path("mail"), mail, 0o600))
			out, err := s.run(nil, s.openssl, append(args, "-in", s.path("mail"))...)
			return err == nil && (want == "" || strings.Contains(crlf(string(out)), want))
		}
	}
	verified := opens(crlf("as always."), "smime", "-verify", "-CAfile", s.path("cert.pem"), "-purpose", "any")
	decrypts := func(mail []byte) bool {
		_, armor, ok := bytes.Cut(mail, []byte("-----BEGIN PGP MESSAGE-----"))
		armor, _, _ = bytes.Cut(armor, []byte("-----END PGP MESSAGE-----"))
		out, err := s.run(append(append([]byte("-----BEGIN PGP MESSAGE-----"), armor...), "-----END PGP MESSAGE-----\r\n"...), s.gpg,
			"--homedir", s.home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback", "--decrypt")
		return ok && err == nil && strings.Contains(string(out), "Tuesday")
	}
	for name, c := range map[string]struct {
		body     func() string
		verifies func([]byte) bool
	}{
		"PGP": {func() string { return s.signed(text, "") }, s.verifiesPGP},
		"PGP, 8-bit": {func() string {
			return s.signed("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nCaf\u00e9\n", "")
		}, s.verifiesPGP},
		"PGP, with a file": {func() string { return s.signed(signedWithFile(), "") }, s.verifiesPGP},
		"PGP, header inside": {func() string {
			return s.signed("Content-Type: multipart/mixed; protected-headers=\"v1\"; boundary=\"in\"\nSubject: Tuesday\n\n--in\n"+text+"--in--\n", "")
		}, s.verifiesPGP},
		"PGP in a list's footer": {func() string {
			return crlf("Content-Type: multipart/mixed; boundary=out\n\n--out\n") + s.signed(text, "") + crlf("\n--out\nContent-Type: text/plain\n\n_____\nThe list\n--out--\n")
		}, s.verifiesPGP},
		"PGP inside PGP": {func() string { return s.signed(strings.Replace(s.signed(text, ""), "=-sig", "=+sig", -1), "") }, s.verifiesPGP},
		"PGP inline": {func() string {
			return crlf("Content-Type: text/plain; charset=us-ascii\n\n") + crlf(string(s.pgp([]byte(plain), "--clear-sign")))
		}, func(mail []byte) bool {
			_, armor, _ := bytes.Cut(mail, []byte("\r\n\r\n"))
			_, err := s.run(armor, s.gpg, "--homedir", s.home, "--batch", "--verify")
			return err == nil
		}},
		"PGP encrypted": {func() string {
			armor := crlf(string(s.pgp([]byte(crlf(text)), "--armor", "--encrypt", "--recipient", maya)))
			return crlf("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=enc\n\n--enc\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--enc\nContent-Type: application/octet-stream; name=encrypted.asc\n\n") + armor + crlf("\n--enc--\n")
		}, decrypts},
		"PGP encrypted inline": {func() string {
			return crlf("Content-Type: text/plain\n\n") + crlf(string(s.pgp([]byte(plain), "--armor", "--encrypt", "--recipient", maya)))
		}, decrypts},
		"S/MIME":        {smime("-sign", "-md", "sha256"), verified},
		"S/MIME opaque": {smime("-sign", "-md", "sha256", "-nodetach"), verified},
		"S/MIME encrypted": {func() string {
			return string(s.ssl([]byte(crlf(text)), "smime", "-encrypt", "-aes256", "-crlfeol", s.path("rsacert.pem")))
		}, opens("as always.", "smime", "-decrypt", "-recip", s.path("rsacert.pem"), "-inkey", s.path("rsa.pem"))},
	} {
		body := strings.TrimPrefix(crlf(c.body()), "MIME-Version: 1.0\r\n")
		head := "From: Maya Okafor <" + maya + ">\r\nTo: " + to.Address + "\r\nSubject: Tuesday\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@laptop.example>\r\nMIME-Version: 1.0\r\n"
		if !c.verifies([]byte(head + body)) {
			t.Errorf("%s: what was made does not verify", name)
			continue
		}
		for i, m := range releasedCopies(t, head+body) {
			if !c.verifies(m) {
				t.Errorf("%s: copy %d does not verify", name, i)
			}
			_, was, _ := strings.Cut(body, "\r\n\r\n")
			if _, is, _ := strings.Cut(string(m), "\r\n\r\n"); is != was {
				t.Errorf("%s: copy %d has another body", name, i)
			}
			if bytes.Contains(m, []byte(to.Crisis)) || !bytes.Contains(m, []byte("From: ")) || bytes.Contains(m, []byte("laptop.example")) {
				t.Errorf("%s: copy %d is not under a header of ours, or was edited", name, i)
			}
		}
	}
}

func signedWithFile() string {
	return "Content-Type: multipart/mixed; boundary=in\n\nThis is a MIME message.\n--in\nContent-Type: text/plain;\n\tcharset=us-ascii\n\nSee you.\n--in\nContent-Type: application/pdf; name=\"a b.pdf\"\nContent-Disposition: attachment;\n filename=\"a b.pdf\"\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQKMSAwIG9iago8PCAvVHlwZSAvQ2F0YWxvZyA+PgplbmRvYmoKdHJhaWxlcgo8PCAv\nUm9vdCAxIDAgUiA+PgolJUVPRgo=\n--in--\nThe end.\n"
}

// releasedCopies are the copies of a message to one client that explain says would leave once
// somebody has released it.
func releasedCopies(t *testing.T, msg string) [][]byte {
	t.Helper()
	dir := t.TempDir()
	clients, input := filepath.Join(dir, "clients.csv"), filepath.Join(dir, "mail.eml")
	must(t, os.WriteFile(clients, []byte(corpusRegister), 0o600))
	must(t, os.WriteFile(input, []byte(msg), 0o600))
	policies, err := filepath.Abs("../policies")
	must(t, err)
	c := &corpusCase{input: input, out: filepath.Join(dir, "out")}
	must(t, os.Mkdir(c.out, 0o700))
	cmd := exec.CommandContext(t.Context(), program, "explain", "--policies", policies, "--clients", clients, "--sender", "maya", "--released", "--json", "--out", c.out, input)
	cmd.Dir = dir
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("explain: %v", err)
	}
	must(t, json.Unmarshal(out, &c.said))
	if c.said.Outcome != "hold" || len(c.said.Messages) != 1 {
		t.Fatalf("outcome %q, %d copies: %+v", c.said.Outcome, len(c.said.Messages), c.said.Findings)
	}
	var copies [][]byte
	for _, m := range c.said.Messages {
		b, err := os.ReadFile(filepath.Join(c.out, filepath.Base(m.File)))
		must(t, err)
		copies = append(copies, b)
	}
	return copies
}
