package encrypt_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/mail"
)

// The fields of a copy: inside the real subject, outside the neutral one.
func fields(subject string) (inner, outer []mail.Field) {
	common := []mail.Field{
		{Name: "Date", Value: "Tue, 10 Mar 2026 09:30:00 +0000"}, {Name: "From", Value: "Maya <hello@north.example>"},
		{Name: "To", Value: "robin@client.example"}, {Name: "Message-ID", Value: "<1@north.example>"},
	}
	return append(slices.Clone(common), mail.Field{Name: "Subject", Value: subject}),
		append(slices.Clone(common), mail.Field{Name: "Subject", Value: "A note for you - ash"})
}

func parse(t testing.TB, b []byte) *mail.Message {
	t.Helper()
	m, err := mail.Parse(bytes.NewReader(b), int64(len(b)), mail.DefaultLimits())
	if err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	return m
}

func protect(t testing.TB, message, subject string) (*mail.Message, []byte) {
	t.Helper()
	inner, outer := fields(subject)
	r, err := encrypt.Protect(parse(t, []byte(message)), inner, outer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b), b
}

// withoutDisplay does what RFC 9788 §4.5.3 tells readers to do.
func withoutDisplay(t testing.TB, p *mail.Part) string {
	t.Helper()
	if p.Params["hp-legacy-display"] != "1" {
		return p.Text
	}
	if p.MediaType == "text/plain" {
		_, rest, ok := strings.Cut(strings.ReplaceAll(p.Text, "\r\n", "\n"), "\n\n")
		if !ok {
			t.Errorf("no element in %q", p.Text)
		}
		return rest
	}
	const open, closed = `<div class="header-protection-legacy-display">`, "</pre></div>\r\n"
	before, rest, ok := strings.Cut(p.Text, open)
	_, after, ok2 := strings.Cut(rest, closed)
	if !ok || !ok2 {
		t.Errorf("no element in %q", p.Text)
	}
	return before + after
}

func lf(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

const top = "From: maya@practice.example\r\nTo: robin@client.example, sam@other.example\r\nCc: ann@other.example\r\nBcc: x@other.example\r\n" +
	"X-Mailer: Laptop\r\nSubject: as submitted\r\nMIME-Version: 1.0\r\n"

// The payload has the protected fields, and what stands outside, and none of the submitted ones.
func TestProtect(t *testing.T) {
	t.Parallel()
	alternative := "Content-Type: multipart/alternative; boundary=a\r\n\r\npreamble\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nDear Robin,\r\n\r\nyours\r\n" +
		"--a\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><head><style>p{}</style></head><body class=3D\"x\"><p>Dear Robin</p></body></html>\r\n--a--\r\nepilogue\r\n"
	mixed := "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + alternative + "\r\n--m\r\nContent-Type: text/plain; name=\"a.txt\"\r\nContent-Disposition: attachment; filename=\"a.txt\"\r\n\r\na file\r\n" +
		"--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nold text\r\n--m--\r\n"
	related := "Content-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGh0bWw+PGJvZHk+PHA+RGVhciBSb2Jpbjwv\r\ncD48L2JvZHk+PC9odG1sPg==\r\n" +
		"--r\r\nContent-Type: image/png\r\nContent-ID: <x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--r--\r\n"
	for name, c := range map[string]struct {
		body    string
		subject string
		shown   []string // parts with the display element
	}{
		"no type":                 {"\r\nDear Robin,\r\n", "The letter", []string{"1"}},
		"text":                    {"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nDear Robin,\r\n\r\nyours\r\n", "The letter", []string{"1"}},
		"Subject with letters":    {"Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Robin,\r\n", "=?utf-8?q?Dzie=C5=84_dobry?=", []string{"1"}},
		"Latin-1":                 {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nCaf\xe9\r\n", "=?utf-8?q?caf=C3=A9?=", []string{"1"}},
		"Latin-1 has no such":     {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nCaf\xe9\r\n", "=?utf-8?q?=E2=9C=93?=", nil},
		"quoted-printable":        {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\n=3D\r\n", "=?utf-8?q?caf=C3=A9=3D?=", []string{"1"}},
		"base64":                  {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nRGVhciBSb2JpbiwNCg0KeW91cnMNCg==\r\n", "The letter", []string{"1"}},
		"base64, not clean":       {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nRGVhci BSb2JpbiwNCg0KeW91cnMNCg==\r\n", "The letter", []string{"1"}},
		"UTF-16":                  {"Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\nRABlAGEAcgA=\r\n", "The letter", nil},
		"HTML":                    {"Content-Type: text/html\r\n\r\n<!DOCTYPE html>\r\n<!-- <body> --><html><body bgcolor=\"a>b\"><p>Dear Robin\r\n", "=?utf-8?q?1_<_2_&_caf=C3=A9?=", []string{"1"}},
		"HTML without body":       {"Content-Type: text/html\r\n\r\n<p>Dear Robin</p>\r\n", "The letter", []string{"1"}},
		"HTML with a head alone":  {"Content-Type: text/html\r\n\r\n<html><head><title>x</title></head><p>Dear Robin</p>\r\n", "The letter", nil},
		"alternative":             {alternative, "The letter", []string{"1.1", "1.2"}},
		"mixed":                   {mixed, "The letter", []string{"1.1.1", "1.1.2"}},
		"related":                 {related, "The letter", []string{"1.1"}},
		"signed inside":           {"Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\r\n\r\n--s\r\nContent-Type: text/plain\r\n\r\nDear Robin\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n", "The letter", nil},
		"a file and nothing else": {"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\na file\r\n", "The letter", nil},
		"the same subject":        {"Content-Type: text/plain\r\n\r\nDear Robin,\r\n", "A note for you - ash", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := parse(t, []byte(top+c.body))
			after, raw := protect(t, top+c.body, c.subject)
			inner, outer := fields(c.subject)
			var gotInner, gotOuter []mail.Field
			for _, f := range after.Root.Fields {
				switch lower := strings.ToLower(f.Name); {
				case strings.HasPrefix(lower, "content-"), lower == "mime-version":
				case f.Name == "HP-Outer":
					n, v, _ := strings.Cut(f.Value, ": ")
					gotOuter = append(gotOuter, mail.Field{Name: n, Value: v})
				default:
					gotInner = append(gotInner, f)
				}
			}
			if !slices.Equal(gotInner, inner) || !slices.Equal(gotOuter, outer) {
				t.Errorf("inside %v\noutside %v", gotInner, gotOuter)
			}
			if after.Root.Params["hp"] != "cipher" || after.Root.MediaType != before.Root.MediaType {
				t.Errorf("%s %v", after.Root.MediaType, after.Root.Params)
			}
			for _, gone := range []string{"sam@other", "ann@other", "x@other", "Laptop", "as submitted", "practice.example"} {
				if bytes.Contains(raw, []byte(gone)) {
					t.Errorf("%q is inside", gone)
				}
			}
			was := slices.Collect(before.Parts())
			var shown []string
			i := 0
			for p := range after.Parts() {
				if p.Params["hp-legacy-display"] == "1" {
					shown = append(shown, p.Path)
					if p.MediaType == "text/plain" && !strings.HasPrefix(p.Text, "Subject: ") {
						t.Errorf("%s begins %q", p.Path, p.Text)
					}
				}
				if p.Params["hp"] != "" && p != after.Root {
					t.Errorf("%s has hp", p.Path)
				}
				if got, want := withoutDisplay(t, p), was[i].Text; lf(got) != lf(want) {
					t.Errorf("%s: %q became %q", p.Path, want, got)
				}
				if !strings.HasPrefix(p.MediaType, "text/") && !p.IsMultipart() {
					a, _ := io.ReadAll(after.Raw(p))
					b, _ := io.ReadAll(before.Raw(was[i]))
					if !bytes.Equal(a, b) {
						t.Errorf("%s changed", p.Path)
					}
				}
				i++
			}
			if !slices.Equal(shown, c.shown) || i != len(was) {
				t.Errorf("shown in %v, not %v; %d parts, not %d", shown, c.shown, i, len(was))
			}
			if len(after.Defects) > len(before.Defects) {
				t.Errorf("defects %+v", after.Defects)
			}
		})
	}
}

func TestProtectEscapes(t *testing.T) {
	t.Parallel()
	_, b := protect(t, "Content-Type: text/html\r\n\r\n<body>x", "=?utf-8?q?</pre></div><b>=C3=A9_=22_'?=")
	if _, b := protect(t, "\r\nDear Robin\r\n", "=?utf-8?q?a=0D=0A=0D=0Ab?="); !bytes.HasSuffix(b, []byte("\r\n\r\nSubject: a b\r\n\r\nDear Robin\r\n")) {
		t.Errorf("%s", b) // an empty line inside would end the element early (RFC 9788 §10.3)
	}
	if want := `<body><div class="header-protection-legacy-display"><pre>Subject: &lt;/pre&gt;&lt;/div&gt;&lt;b&gt;&#233; &#34; &#39;` + "\r\n</pre></div>\r\nx"; !bytes.HasSuffix(b, []byte(want)) {
		t.Errorf("%s", b)
	}
}

func TestProtectRefuses(t *testing.T) {
	t.Parallel()
	inner, outer := fields("The letter")
	m := parse(t, []byte("\r\nDear Robin\r\n"))
	for _, f := range []mail.Field{
		{Name: "Subject", Value: "a\r\nBcc: x@other.example"}, {Name: "Subject", Value: "café"}, {Name: "Bcc", Value: "x"},
		{Name: "Content-Type", Value: "text/html"}, {Name: "HP-Outer", Value: "x"}, {Name: "", Value: "x"}, {Name: "A:b", Value: "x"}, {Name: "Subject", Value: "\x00"},
	} {
		if _, err := encrypt.Protect(m, append(inner, f), outer); err == nil {
			t.Errorf("inside: %q", f)
		}
		if _, err := encrypt.Protect(m, inner, append(outer, f)); err == nil {
			t.Errorf("outside: %q", f)
		}
	}
	for _, s := range []string{"Content-Type: text/plain; hp-legacy-display=1\r\n\r\nSubject: x\r\n\r\nDear Robin\r\n", "Content-Type: text/plain; hp=clear\r\n\r\nx\r\n"} {
		if _, err := encrypt.Protect(parse(t, []byte(s)), inner, outer); err == nil {
			t.Errorf("%q", s)
		}
	}
}

// Whatever the text, and however it is encoded, a reader of RFC 9788 sees it as it was.
func TestProtectKeepsTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`([ -~\n]|é|✓|<body>|<!--|-->|<html>){0,300}`).Draw(rt, "text")
		text = strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
		kind := rapid.SampledFrom([]string{"text/plain", "text/html"}).Draw(rt, "type")
		encoding := rapid.SampledFrom([]string{"8bit", "quoted-printable", "base64"}).Draw(rt, "encoding")
		body := transfer(text, encoding)
		before := parse(t, []byte("Content-Type: "+kind+"; charset=utf-8\r\nContent-Transfer-Encoding: "+encoding+"\r\n\r\n"+body))
		after, raw := protect(t, "Content-Type: "+kind+"; charset=utf-8\r\nContent-Transfer-Encoding: "+encoding+"\r\n\r\n"+body, "=?utf-8?q?caf=C3=A9?= ("+rapid.StringMatching(`[a-z]{0,9}`).Draw(rt, "subject")+")")
		if got := withoutDisplay(t, after.Root); lf(got) != lf(before.Root.Text) {
			rt.Fatalf("%q became %q in\n%s", before.Root.Text, got, raw)
		}
	})
}
