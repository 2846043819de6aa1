package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// peerPython returns an independent reader of mail.
func peerPython(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip("python3 is not installed")
	}
	return path
}

const pythonReader = `
import sys, os, json, hashlib, email, email.policy, email.header
def shape(m):
    t = m.get_content_type()
    if t.startswith("message/") and t not in ("message/rfc822", "message/global"): return t
    if m.is_multipart(): return t + "(" + " ".join(shape(c) for c in m.get_payload()) + ")"
    return t
def leaves(m):
    t = m.get_content_type()
    if t.startswith("message/") and t not in ("message/rfc822", "message/global"): return [("", m.get_filename() or "")]
    if m.is_multipart(): return [x for c in m.get_payload() for x in leaves(c)]
    return [(hashlib.sha256(m.get_payload(decode=True)).hexdigest(), m.get_filename() or "")]
def defects(m):
    t = m.get_content_type()
    if t.startswith("message/") and t not in ("message/rfc822", "message/global"): return []
    kids = [x for c in m.get_payload() for x in defects(c)] if m.is_multipart() else []
    return [type(d).__name__ for d in m.defects] + kids
d = sys.argv[1]
out = {}
for f in sorted(os.listdir(d)):
    with open(os.path.join(d, f), "rb") as h: m = email.message_from_bytes(h.read(), policy=email.policy.compat32)
    with open(os.path.join(d, f), "rb") as h: n = email.message_from_bytes(h.read(), policy=email.policy.default)
    out[f] = {"shape": shape(m), "leaves": leaves(m), "defects": defects(m), "subject": str(n["subject"])}
json.dump(out, sys.stdout)
`

type pythonView struct {
	Shape   string
	Leaves  [][2]string
	Defects []string
	Subject string
}

func readWithPython(t *testing.T, mails map[string][]byte) map[string]pythonView {
	t.Helper()
	dir := t.TempDir()
	for name, b := range mails {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(peerPython(t), "-c", pythonReader, dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v: %s", err, stderr.String())
	}
	views := map[string]pythonView{}
	if err := json.Unmarshal(out, &views); err != nil {
		t.Fatal(err)
	}
	return views
}

// comparePython fails when Python reads a written message differently than we do.
func comparePython(t *testing.T, name string, v pythonView, m *Message) {
	t.Helper()
	for _, d := range m.Defects {
		if d.Name == defEncodedMessage {
			return // held: readers differ
		}
	}
	if s := shape(m.Root); s != v.Shape {
		t.Errorf("%s: we read %s, python %s", name, s, v.Shape)
		return
	}
	for i, p := range leaves(m) {
		if p.Filename != cleanFilename(v.Leaves[i][1]) {
			t.Errorf("%s: part %s: file name %q, python %q", name, p.Path, p.Filename, v.Leaves[i][1])
		}
		if v.Leaves[i][0] == "" || unknownEncoding(p) != "" {
			continue // python undoes encodings that we only name
		}
		sum := sha256.Sum256([]byte(decoded(t, m, p)))
		if got := hex.EncodeToString(sum[:]); got != v.Leaves[i][0] {
			t.Errorf("%s: part %s (%s, %s): python decodes other bytes", name, p.Path, p.MediaType, p.Encoding)
		}
	}
	for _, d := range v.Defects {
		if m.Signed() || m.Encrypted() {
			continue // copied as they are
		}
		t.Errorf("%s: python reports %s", name, d)
	}
}

// TestPythonAgrees reads what we write with Python's email package.
func TestPythonAgrees(t *testing.T) {
	t.Parallel()
	mails := map[string][]byte{}
	add := func(src []byte, d Draft) {
		m := parseBytes(t, src)
		if w, _ := worst(m); w == RejectIt {
			return
		}
		out, err := writeBytes(t, m, d)
		if err == nil {
			mails[strconv.Itoa(len(mails))+".eml"] = out
		}
	}
	drafts := []Draft{{}, {First: []string{"A short practical note."}, Signature: []string{crisisLine}}}
	for _, s := range sampleMails() {
		for _, d := range drafts {
			add([]byte(s), d)
		}
	}
	if os.Getenv("CORPUS") != "" {
		for _, f := range corpusFiles(t) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range drafts {
				add(readdressed(t, b), d)
			}
		}
	}
	views := readWithPython(t, mails)
	for name, b := range mails {
		comparePython(t, name, views[name], parseBytes(t, b))
		if s := views[name].Subject; s != "Hello from Maya \u2013 k\u00e2st\u00e9ll" {
			t.Errorf("%s: python reads the subject %q", name, s)
		}
	}
	t.Logf("%d messages", len(mails))
}

// crlf writes a message with CRLF line ends.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
