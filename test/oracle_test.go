package test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOracleSeesFaults gives the oracle a good copy and then copies with one fault each, so
// that its silence about the corpus means something.
func TestOracleSeesFaults(t *testing.T) {
	t.Parallel()
	python := peer(t, "python3")
	to := corpusClients()[0]
	other := corpusClients()[1]
	input := "From: Maya <" + maya + ">\r\nTo: x\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n" +
		"--in\r\nContent-Type: multipart/alternative; boundary=alt\r\n\r\n--alt\r\nContent-Type: text/plain\r\n\r\nSee you there.\r\n" +
		"--alt\r\nContent-Type: text/html\r\n\r\n<p>See you there.</p>\r\n--alt--\r\n" +
		"--in\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=map.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte("the map")) + "\r\n--in--\r\n"
	good := "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: M <hello@wh.example>\r\nTo: " + to.Address + "\r\nSubject: Hello\r\nMessage-ID: <1@wh.example>\r\nMIME-Version: 1.0\r\n" +
		strings.Replace(input[strings.Index(input, "Content-Type"):], "See you there.\r\n", "See you there.\r\n\r\n"+to.Crisis+"\r\n", 1)
	good = strings.Replace(good, "</p>", "</p><p>"+strings.Replace(to.Crisis, " ", "\r\n", 9)+"</p>", 1)
	type flaw struct{ old, new, want string }
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	faults := map[string]flaw{
		"":                           {"", "", ""},
		"a bare line feed":           {"there.\r\n", "there.\n", "not CRLF"},
		"a bare carriage return":     {"there.\r\n", "there.\rx\r\n", "not CRLF"},
		"a NUL":                      {"there.", "there\x00.", "NUL"},
		"a long line":                {"See you", strings.Repeat("x", 999) + "\r\nSee you", "over 998"},
		"a header beyond ASCII":      {"Subject: Hello", "Subject: Héllo", "not ASCII"},
		"a second recipient":         {"To: " + to.Address, "To: " + to.Address + ", sam@willowhouse.example", "To has 2"},
		"a second To":                {"Subject:", "To: " + to.Address + "\r\nSubject:", "2 To fields"},
		"a Cc":                       {"Subject:", "Cc: sam@willowhouse.example\r\nSubject:", "1 Cc"},
		"a Bcc":                      {"Subject:", "Bcc: sam@willowhouse.example\r\nSubject:", "1 Bcc"},
		"the sign-in address":        {"Subject:", "X-From: " + maya + "\r\nSubject:", "shows the practitioner"},
		"Resent-To":                  {"Subject:", "Resent-To: x@y.example\r\nSubject:", "field Resent-To"},
		"a name in the text":         {"See you", "See " + strings.ToUpper(other.Name) + " you", "names another"},
		"an address in the text":     {"See you", other.Address + " See you", "names another"},
		"an address in quoted-p":     {"text/html\r\n\r\n<p>", "text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>" + strings.Replace(other.Address, "@", "=40", 1), "names another"},
		"a name in a file name":      {"filename=map.pdf", "filename=\"=?utf-8?b?" + b64(other.Name) + "?=\"", "names another"},
		"a name in an attachment":    {b64("the map"), b64(other.Name + " and the map"), "names another"},
		"an encoded display name":    {"Subject: Hello", "Subject: =?utf-8?b?" + b64(other.Name) + "?=", "names another"},
		"no crisis lines in text":    {"\r\n\r\n" + to.Crisis + "\r\n", "\r\n", "0 times in text/plain"},
		"crisis lines twice":         {"\r\n\r\n" + to.Crisis + "\r\n", "\r\n\r\n" + to.Crisis + "\r\n\r\n" + to.Crisis + "\r\n", "2 times in text/plain"},
		"crisis lines of another":    {to.Crisis + "\r\n", other.Crisis + "\r\n", "another client's crisis line"},
		"an alternative without":     {"--alt\r\nContent-Type: text/html", "--alt\r\nContent-Type: text/plain\r\n\r\nHi.\r\n--alt\r\nContent-Type: text/html", "0 times in text/plain"},
		"none in HTML":               {"<p>I\r\ncannot", "<p>I\r\ncan", "0 times in text/html"},
		"hidden in HTML":             {"</p><p>I\r\n", "</p><style>I\r\n", "0 times in text/html"},
		"a changed attachment":       {b64("the map"), b64("the mop"), "not as they were"},
		"a lost attachment":          {input[strings.Index(input, "--in\r\nContent-Type: application/pdf") : len(input)-len("--in--\r\n")], "", "not as they were"},
		"an attachment more":         {"--in--", "--in\r\nContent-Type: image/png\r\n\r\nx\r\n--in--", "that were not there"},
		"the crisis lines as a part": {"--in--", "--in\r\nContent-Type: text/plain\r\n\r\n" + to.Crisis + "\r\n--in--", "beside the letter"},
	}
	dir := t.TempDir()
	var cases []*corpusCase
	var names []string
	for name, f := range faults {
		made := strings.Replace(good, f.old, f.new, 1)
		if made == good && name != "" {
			t.Fatalf("%s: the fault is not in the copy", name)
		}
		cases, names = append(cases, oracleCase(t, dir, name, input, made)), append(names, name)
	}
	// A signed mail, whole and with one letter changed.
	signed := "From: x\r\nTo: x\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\n\r\nSee you.\r\n--s\r\n" +
		"Content-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n"
	top := good[:strings.Index(good, "MIME-Version")]
	for name, out := range map[string]string{"signed": signed, "signed and changed": strings.Replace(signed, "you", "me", 1)} {
		faults[name] = flaw{want: map[bool]string{false: "not whole"}[out == signed]}
		cases, names = append(cases, oracleCase(t, dir, name, signed, top+out[strings.Index(out, "Content-Type"):])), append(names, name)
	}
	for i, v := range judge(t, python, cases) {
		said := strings.Join(v.Problems, "; ")
		if want := faults[names[i]].want; want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%q: want %q, the oracle says %q", names[i], want, said)
		}
	}
}

// oracleCase is a case whose only output is made by the test.
func oracleCase(t *testing.T, dir, name, input, output string) *corpusCase {
	t.Helper()
	c := &corpusCase{input: filepath.Join(dir, "in"+name+".eml"), out: filepath.Join(dir, "out"+name)}
	must(t, os.MkdirAll(c.out, 0o700))
	must(t, os.WriteFile(c.input, []byte(input), 0o600))
	must(t, os.WriteFile(filepath.Join(c.out, "1.eml"), []byte(output), 0o600))
	c.said.Messages = append(c.said.Messages, explainedMessage{File: "1.eml", ForwardPaths: []string{corpusClients()[0].Address}})
	return c
}
