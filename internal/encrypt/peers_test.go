package encrypt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/plaincover/plaincover/internal/encrypt"
)

// gnupg is gpg with a home of its own, and an agent that ends with the test.
type gnupg struct{ path, home string }

func newGnuPG(t testing.TB) gnupg {
	t.Helper()
	path := encrypt.PeerProgram(t, "gpg")
	// The agent's socket needs a short path, which t.TempDir does not promise.
	home, err := os.MkdirTemp("", "pc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return gnupg{path, home}
}

// command is gpg with the clock of the tests.
func (g gnupg) command(args ...string) *exec.Cmd {
	return exec.Command(g.path, append([]string{"--homedir", g.home, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "",
		"--trust-model", "always", "--faked-system-time", "20260310T093100!"}, args...)...)
}

func (g gnupg) must(t testing.TB, stdin []byte, args ...string) string {
	t.Helper()
	cmd := g.command(args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gpg %v: %v: %s", args, err, diag.String())
	}
	return string(out)
}

// gpg makes the clients' keys, of the kinds that people have; it decrypts and verifies what we
// made, and its own lister shows exactly the packets that were meant.
func TestGnuPGOpensIt(t *testing.T) {
	t.Parallel()
	run := newGnuPG(t)
	role := roleKey(t)
	own, err := encrypt.NewRoleKey("Archive", address(t, "archive@north.example"), now())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*encrypt.Key{role, own} {
		text, err := k.Armored()
		if err != nil {
			t.Fatal(err)
		}
		run.must(t, []byte(text), "--import")
	}
	for i, kind := range []string{"rsa2048", "rsa3072", "nistp256", "future-default"} {
		addr := fmt.Sprintf("robin%d@client.example", i)
		// The clock stands still for gpg; a key made at the same second is valid.
		if kind == "future-default" {
			run.must(t, nil, "--quick-generate-key", addr, kind)
		} else {
			run.must(t, []byte(fmt.Sprintf("%%no-protection\nKey-Type: %s\nSubkey-Type: %s\nName-Email: %s\n%%commit\n", gpgKind(kind, false), gpgKind(kind, true), addr)), "--gen-key")
		}
		for _, form := range [][]string{{"--export", addr}, {"--armor", "--export", addr}} {
			k, err := encrypt.ParseKey(strings.NewReader(run.must(t, nil, form...)))
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			p := encrypt.PGP{Recipient: k, Address: address(t, addr), Role: role, Boundary: "=_b.1", Now: now().Add(2 * 60e9)}
			want := 1
			if form[0] == "--armor" {
				p.Own, want = own, 2
			}
			var b bytes.Buffer
			proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if err := encrypt.OpenMIME(bytes.NewReader(b.Bytes()), proof); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			message := armorOf(t, b.Bytes())
			if plain := run.must(t, message, "--decrypt"); plain != letter {
				t.Errorf("%s: gpg reads %q", kind, plain)
			}
			status := run.must(t, message, "--status-fd", "1", "--decrypt")
			if !strings.Contains(status, "GOODSIG") || !strings.Contains(status, "DECRYPTION_OKAY") || !strings.Contains(status, "GOODMDC") {
				t.Errorf("%s: %s", kind, status)
			}
			checkGnuPGPackets(t, run.must(t, message, "--list-packets"), want)
		}
	}
	// gpg verifies a detached signature of ours.
	var sig bytes.Buffer
	if err := role.Sign(&sig, strings.NewReader(letter), now()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sig")
	if err := os.WriteFile(file, sig.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run.must(t, []byte(letter), "--verify", file, "-")
}

func gpgKind(kind string, sub bool) string {
	switch {
	case strings.HasPrefix(kind, "rsa"):
		which := "Key-Length: "
		if sub {
			which = "Subkey-Length: "
		}
		return "RSA\n" + which + kind[3:]
	case sub:
		return "ECDH\nSubkey-Curve: " + kind
	}
	return "ECDSA\nKey-Curve: " + kind
}

// checkGnuPGPackets reads gpg's list: the session keys, the protected data, and in it one
// signed literal packet without a name or a time.
func checkGnuPGPackets(t testing.TB, list string, sessionKeys int) {
	t.Helper()
	var kinds []string
	for _, m := range regexp.MustCompile(`(?m)^:(.*?)(?: packet|:)`).FindAllStringSubmatch(list, -1) {
		kinds = append(kinds, m[1])
	}
	want := append(strings.Split(strings.Repeat("pubkey enc,", sessionKeys), ",")[:sessionKeys], "encrypted data", "onepass_sig", "literal data", "signature")
	if fmt.Sprint(kinds) != fmt.Sprint(want) || !strings.Contains(list, "mdc_method: 2") || !strings.Contains(list, `mode b (62), created 0, name=""`) {
		t.Errorf("packets %q, want %q in\n%s", kinds, want, list)
	}
}

// Keys that gpg made, spoilt in the ways that people spoil theirs, are refused by name (B52).
func TestGnuPGKeysAreJudged(t *testing.T) {
	t.Parallel()
	run := newGnuPG(t)
	run.must(t, nil, "--quick-generate-key", "gone@client.example", "ed25519", "sign", "never")
	run.must(t, nil, "--faked-system-time", "20260301T000000!", "--quick-generate-key", "late@client.example", "future-default", "default", "2d")
	run.must(t, nil, "--quick-generate-key", "robin@client.example", "future-default", "default", "2y")
	run.must(t, nil, "--quick-add-uid", "robin@client.example", "Robin <robin@other.example>")
	run.must(t, nil, "--quick-revoke-uid", "robin@client.example", "Robin <robin@other.example>")
	for addr, want := range map[string]encrypt.KeyFault{"gone@client.example": encrypt.KeySignOnly, "late@client.example": encrypt.KeyExpired, "robin@other.example": encrypt.KeyWrongUserID, "robin@client.example": 99} {
		k, err := encrypt.ParseKey(strings.NewReader(run.must(t, nil, "--export", addr)))
		if err != nil {
			t.Fatal(err)
		}
		err = k.Check(address(t, addr), now().Add(3*60e9))
		if bad, ok := err.(*encrypt.KeyError); (want == 99) != (err == nil) || ok && bad.Fault != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := encrypt.ParseKey(strings.NewReader(run.must(t, nil, "--export"))); err == nil || err.(*encrypt.KeyError).Fault != encrypt.KeySeveral {
		t.Errorf("the whole ring: %v", err)
	}
	if _, err := encrypt.ParseKey(strings.NewReader(run.must(t, nil, "--armor", "--export-secret-keys", "robin@client.example"))); err == nil || err.(*encrypt.KeyError).Fault != encrypt.KeyPrivate {
		t.Errorf("a private key: %v", err)
	}
	// gpg names where it looks for a key in the same words.
	advanced, _ := encrypt.WKDURLs(address(t, "robin@client.example"))
	if list := run.must(t, nil, "--with-wkd-hash", "--list-keys", "robin@client.example"); !strings.Contains(list, strings.TrimSuffix(advanced[strings.Index(advanced, "/hu/")+4:], "?l=robin")) {
		t.Errorf("%s is not in\n%s", advanced, list)
	}
}

// peerFiles writes a message for a client with our library's key, for programs that read files.
func peerFiles(t *testing.T, e *openpgp.Entity, p encrypt.PGP) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var b bytes.Buffer
	proof, err := encrypt.EncryptMIME(&b, strings.NewReader(letter), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := encrypt.OpenMIME(bytes.NewReader(b.Bytes()), proof); err != nil {
		t.Fatal(err)
	}
	role, err := p.Role.Armored()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"message.asc": armorOf(t, b.Bytes()), "role.asc": []byte(role),
		"private.asc": armored(t, "PGP PRIVATE KEY BLOCK", packetsOf(t, e, true)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Sequoia decrypts and verifies, and sees two recipients where two were meant and else one.
func TestSequoiaOpensIt(t *testing.T) {
	t.Parallel()
	sq := encrypt.PeerProgram(t, "sq")
	for _, own := range []bool{false, true} {
		p, e := pgp(t, clientConfig())
		keys := 1
		if own {
			p.Own, keys = roleKey(t), 2
		}
		dir := peerFiles(t, e, p)
		out := func(args ...string) string {
			cmd := exec.Command(sq, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir)
			var diag bytes.Buffer
			cmd.Stderr = &diag
			b, err := cmd.Output()
			if err != nil {
				t.Fatalf("sq %v: %v: %s", args, err, diag.String())
			}
			return string(b)
		}
		if plain := out("decrypt", "--recipient-key", "private.asc", "--signer-cert", "role.asc", "--signatures", "1", "message.asc"); plain != letter {
			t.Errorf("sq reads %q", plain)
		}
		dump := out("packet", "dump", "message.asc")
		if n := strings.Count(dump, "Public-Key Encrypted Session Key Packet"); n != keys || !strings.Contains(dump, "Integrity Protected Data Packet") {
			t.Errorf("%d session keys in\n%s", n, dump)
		}
	}
}

// OpenPGP.js, what webmail uses, reads what we wrote: keys of version 4 and 6, MDC and AEAD.
func TestOpenPGPjsOpensIt(t *testing.T) {
	t.Parallel()
	const peers = "../../test/peers"
	node := encrypt.PeerProgram(t, "node")
	if _, err := os.Stat(peers + "/node_modules/openpgp"); err != nil {
		peerMissing(t, "run npm ci in test/peers")
	}
	for name, c := range aeadConfigs() {
		p, e := pgp(t, c)
		dir := peerFiles(t, e, p)
		cmd := exec.Command(node, peers+"/openpgp.mjs", dir)
		var diag bytes.Buffer
		cmd.Stderr = &diag
		b, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, diag.String())
			continue
		}
		var got struct {
			Text, Filename string
			Date           *string
			Keys           []string
			Verified       bool
			Packets        []string
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if got.Text != letter || !got.Verified || got.Filename != "" || len(got.Keys) != 1 || strings.Join(got.Packets, " ") != "PublicKeyEncryptedSessionKeyPacket SymEncryptedIntegrityProtectedDataPacket" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func peerMissing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
