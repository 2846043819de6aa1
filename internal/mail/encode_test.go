package mail

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// headerTexts are strings that could stand in a header: any characters, those that mean
// something there, line ends, and long ones.
func headerTexts() *rapid.Generator[string] {
	odd := []string{"\r\n", "\n", "\r", "\x00", "\t", "  ", "=?utf-8?q?a?=", "=?", "?=", `"`, `\`, "Bcc: x@y.example", ";", "'", "%41", "*", "\u202e",
		"\u0301", "\U0001F469\u200d\U0001F467", "\u0627\u0644", "\xff", strings.Repeat("w", 80), strings.Repeat(" ", 80), strings.Repeat("\u00e9", 40)}
	return rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom(odd), rapid.StringMatching(`[ -~]{0,30}`)), 0, 6),
		func(s []string) string { return strings.Join(s, "") })
}

var encodedWordForm = regexp.MustCompile(`=\?utf-8\?([bq])\?([^? \t]*)\?=`)

// checkHeaderLines fails when a written field breaks a rule about its form: RFC 5322 §2.1.1 and
// §2.2.3, RFC 2047 §2 and §5.
func checkHeaderLines(t testing.TB, field string) {
	t.Helper()
	body, ok := strings.CutSuffix(field, "\r\n")
	if !ok || !isASCII(field) || strings.ContainsFunc(strings.ReplaceAll(body, "\r\n", ""), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		t.Fatalf("%q: not a field of printable ASCII that ends its line", field)
	}
	for i, line := range strings.Split(body, "\r\n") {
		words := encodedWordForm.FindAllString(line, -1)
		if i > 0 && (line == "" || line[0] != ' ' && line[0] != '\t' || strings.TrimSpace(line) == "") {
			t.Fatalf("%q: line %d is no continuation", field, i+1)
		}
		if len(line) > maxLine || len(words) > 0 && len(line) > 78 && len(words[0]) == len(strings.TrimSpace(line)) {
			t.Fatalf("%q: line %d has %d characters", field, i+1, len(line))
		}
		for _, at := range encodedWordForm.FindAllStringIndex(line, -1) {
			// RFC 2047 §5: white space or parentheses around it, or it is none.
			if at[0] > 0 && !strings.ContainsRune(" \t(", rune(line[at[0]-1])) || at[1] < len(line) && !strings.ContainsRune(" \t),", rune(line[at[1]])) {
				t.Fatalf("%q: an encoded word inside another word", field)
			}
		}
		for _, w := range words {
			m := encodedWordForm.FindStringSubmatch(w)
			if len(w) > 75 {
				t.Fatalf("%q: an encoded word of %d characters", field, len(w))
			}
			b, err := base64.StdEncoding.DecodeString(m[2])
			if m[1] == "q" {
				b, _ = decodeQ(m[2])
			} else if err != nil {
				t.Fatalf("%q: %v", field, err)
			}
			if !utf8.Valid(b) {
				t.Fatalf("%q: the word %s holds a part of a character", field, w)
			}
		}
	}
}

// checkSubject writes a text as an unstructured field and reads it back, with Go's own reader of
// encoded words too.
func checkSubject(t testing.TB, s string) {
	t.Helper()
	var b bytes.Buffer
	if err := writeField(&b, Field{"Subject", s}); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	checkHeaderLines(t, b.String())
	want := strings.TrimSpace(cleanHeaderText(s))
	m := parseBytes(t, []byte("From: a@example.org\r\n"+b.String()+"\r\nx"))
	if m.Subject != want {
		t.Fatalf("%q: %q, by %q", want, m.Subject, b.String())
	}
	if w, name := worst(m); w == RejectIt || len(m.Root.Fields) != 2 {
		t.Fatalf("%q: %s, %d fields", b.String(), name, len(m.Root.Fields))
	}
	got, err := new(mime.WordDecoder).DecodeHeader(unfolded(b.String()))
	if err != nil || strings.TrimSpace(got) != want && !looksEncoded(want) {
		t.Fatalf("%q: Go reads %q, %v", want, got, err)
	}
}

func unfolded(field string) string {
	_, v, _ := strings.Cut(strings.ReplaceAll(field, "\r\n", ""), ":")
	return strings.TrimSpace(v)
}

// checkName writes a display name and reads it back.
func checkName(t testing.TB, s string) {
	t.Helper()
	a := Address{"anna", "example.org"}
	var b bytes.Buffer
	if err := writeField(&b, Field{"From", FormatMailboxes([]Mailbox{{s, a}, {s, Address{"ben", "example.org"}}})}); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	checkHeaderLines(t, b.String())
	value := unfolded(b.String())
	list, _ := parseMailboxes(value)
	if len(list) != 2 || list[0].Address != a || list[0].Name != list[1].Name {
		t.Fatalf("%q: %+v, by %q", s, list, b.String())
	}
	std, err := netmail.ParseAddressList(value)
	if err != nil || len(std) != 2 || std[0].Address != a.String() || strings.Join(strings.Fields(std[0].Name), " ") != list[0].Name && !looksEncoded(list[0].Name) {
		t.Fatalf("%q: Go reads %+v, %v, by %q", list[0].Name, std, err, b.String())
	}
}

// checkParam writes a parameter and reads it back, with Go's own reader too.
func checkParam(t testing.TB, s string) {
	t.Helper()
	name := cleanFilename(s)
	var b bytes.Buffer
	if err := fold(&b, "Content-Disposition", formatParams("attachment", []Field{{"filename", name}, {"x", "end"}})); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	checkHeaderLines(t, b.String())
	for line := range strings.SplitSeq(b.String(), "\r\n") {
		if len(line) > 78 {
			t.Fatalf("%q: a line of %d characters", b.String(), len(line))
		}
	}
	v := parseParams(unfolded(b.String()))
	if got, d := paramText(v, "filename"); got != name || len(d) > 0 || v.sloppy || v.params["x"] != "end" {
		t.Fatalf("%q: %q, %v, by %q", name, got, d, b.String())
	}
	main, params, err := mime.ParseMediaType(unfolded(b.String()))
	if err != nil || main != "attachment" || params["filename"] != name || params["x"] != "end" {
		t.Fatalf("%q: Go reads %q, %v, by %q", name, params, err, b.String())
	}
}

func TestHeaderTextRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", " ", "a" + strings.Repeat(" ", 1200) + "b", strings.Repeat("a", 1200), strings.Repeat("\u00e9", 1200), "a =?utf-8?q?b?= c", "\u00e9\r\n\r\nbody",
		strings.Repeat("a\t ", 600) + "\u00e9", `a"b\c`, "=?utf-8?q?", "?=", strings.Repeat("\U0001F469\u200d", 300)} {
		checkSubject(t, s)
		checkName(t, s)
		checkParam(t, s)
	}
	gen := headerTexts()
	rapid.Check(t, func(rt *rapid.T) {
		s := gen.Draw(rt, "text")
		checkSubject(t, s)
		checkName(t, s)
		checkParam(t, s)
	})
}

// TestPythonReadsWhatWeEncode gives a thousand random subjects, names and file names to Python's
// email package.
func TestPythonReadsWhatWeEncode(t *testing.T) {
	t.Parallel()
	python := peerPython(t)
	type texts struct{ Subject, Name, File string }
	var want []texts
	var mails []string
	gen := headerTexts()
	for i := range 1000 {
		s := gen.Example(i)
		var b bytes.Buffer
		for _, f := range []Field{{"Subject", s}, {"To", FormatMailboxes([]Mailbox{{s, Address{"anna", "example.org"}}})}} {
			if err := writeField(&b, f); err != nil {
				t.Fatal(err)
			}
		}
		name := cleanFilename(s)
		if err := fold(&b, "Content-Disposition", formatParams("attachment", []Field{{"filename", name}})); err != nil {
			t.Fatal(err)
		}
		list, _ := parseMailboxes(FormatMailboxes([]Mailbox{{s, Address{"anna", "example.org"}}}))
		want = append(want, texts{strings.TrimSpace(cleanHeaderText(s)), list[0].Name, name})
		mails = append(mails, b.String()+"\r\nx\r\n")
	}
	in, err := json.Marshal(mails)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", `
import sys, json, email, email.policy, email.header, email.utils
out = []
for s in json.load(sys.stdin):
    m = email.message_from_bytes(s.encode(), policy=email.policy.compat32)
    text = lambda v: str(email.header.make_header(email.header.decode_header("".join(v.splitlines()))))
    names = email.utils.getaddresses(["".join(m["to"].splitlines())])
    out.append({"Subject": text(m["subject"] or ""), "Name": text(names[0][0]), "File": m.get_filename() or "", "N": len(names) == 1 and names[0][1] == "anna@example.org" and len(m.keys()) == 3})
json.dump(out, sys.stdout)
`)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v: %s", err, stderr.String())
	}
	var got []struct {
		texts
		N bool
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(want) {
		t.Fatal(err, len(got))
	}
	for i := range got {
		if !got[i].N {
			t.Errorf("python reads other fields or addresses in\n%s", mails[i])
		}
		if got[i].texts != want[i] {
			t.Errorf("python reads %q\n   we wrote %q\nby %q", got[i].texts, want[i], mails[i])
		}
	}
}

func FuzzHeaderText(f *testing.F) {
	for _, s := range []string{"caf\u00e9 \u2013 a", "=?utf-8?q?a?=", "a\r\nBcc: x@y.example", `a "b" \c`, "x%41*'", strings.Repeat("\u0627", 100), strings.Repeat(" ", 1000) + "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkSubject(t, s)
		checkName(t, s)
		checkParam(t, s)
	})
}

// FuzzParams reads any value with parameters: what we make of it, written by us, reads the same.
func FuzzParams(f *testing.F) {
	for _, s := range []string{`text/plain; charset="utf-8"; format=flowed`, "attachment; filename*0*=utf-8''a%C3; filename*1*=%A9.pdf", "a/b; x*=iso-2022-jp'ja'%1B$B$%22; x=y", `a/b; name="=?utf-8?q?a?="`,
		"a/b (comment (nested)); x=(c)y", "multipart/mixed boundary=b", `a/b; x="\"`, ";;;=", "a/b; x*5=a; x*0=b; x*0*=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := parseParams(s)
		for name, value := range v.params {
			if !isToken(name) || strings.Contains(name, "*") || len(name) > 20 {
				continue
			}
			value = cleanFilename(value)
			got := parseParams(formatParams("a/b", []Field{{name, value}}))
			if text, _ := paramText(got, name); text != value || len(got.params) != 1 {
				t.Fatalf("%q: %q became %q", name, value, text)
			}
		}
	})
}

// FuzzMailboxes reads any address field: what we make of it, written by us, reads the same.
func FuzzMailboxes(f *testing.F) {
	for _, s := range []string{"Anna <anna@example.org>, ben@example.org", `"a, b" <c@example.org>; us: d@example.org;`, "=?utf-8?q?a=2C_b?= <c@example.org>", "anna@example.org (Anna (A))", `<"a>b"@example.org>`, "a <b@c.example> <d@e.example>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, _ := parseMailboxes(s)
		if len(list) == 0 {
			return
		}
		again, defects := parseMailboxes(FormatMailboxes(list))
		if len(again) != len(list) {
			t.Fatalf("%q: %v became %v, %v", s, list, again, defects)
		}
		for i := range list {
			if again[i].Address != list[i].Address {
				t.Fatalf("%q: %v became %v", s, list[i], again[i])
			}
		}
	})
}

// FuzzTransfer undoes both encodings in pieces of any size, and writes them so that others read
// the same.
func FuzzTransfer(f *testing.F) {
	f.Add([]byte("caf=C3=A9 =\r\n=\n=zz ="), uint8(3))
	f.Add([]byte("YQ== YQ=\r\n!YWI"), uint8(1))
	f.Add([]byte("a \r\nb\t\r\n\rc\n. \r \r\n"), uint8(7))
	f.Add(bytes.Repeat([]byte("\xc3\xa9 ="), 60), uint8(75))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for _, enc := range []string{encBase64, encQP} {
			whole, pieces := newDecoder(enc), newDecoder(enc)
			want := whole.close(whole.decode(nil, b))
			var got []byte
			for rest := b; len(rest) > 0; {
				n := min(int(step)+1, len(rest))
				got = pieces.decode(got, rest[:n])
				rest = rest[n:]
			}
			if got = pieces.close(got); !bytes.Equal(got, want) || whole.bad() != pieces.bad() {
				t.Fatalf("%s in pieces of %d: %q, at once %q", enc, step+1, got, want)
			}
			var out bytes.Buffer
			if err := encodeTo(&out, &slow{b, int(step) + 1}, enc); err != nil {
				t.Fatal(err)
			}
			for line := range bytes.SplitSeq(out.Bytes(), []byte("\r\n")) {
				if len(line) > 76 || bytes.ContainsAny(line, "\r\n") || !isASCII(string(line)) {
					t.Fatalf("%s: the line %q", enc, line)
				}
			}
			var back []byte
			var err error
			if enc == encBase64 {
				back, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(out.String(), "\r\n", ""))
			} else {
				back, err = io.ReadAll(quotedprintable.NewReader(&out))
			}
			if err != nil || !bytes.Equal(back, b) {
				t.Fatalf("%s: %q became %q, %v", enc, b, back, err)
			}
		}
	})
}

// slow hands out its bytes in small pieces.
type slow struct {
	b []byte
	n int
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.b)
	s.b = s.b[n:]
	return n, nil
}
