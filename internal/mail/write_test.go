package mail

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func edited(t *testing.T, src string, d Draft) *Message {
	t.Helper()
	out, err := writeBytes(t, parseBytes(t, []byte(crlf(src))), d)
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, out)
	return parseBytes(t, out)
}

const (
	firstLine = "A short practical note."
	signLine  = "This inbox is not watched all the time."
)

var bothLines = Draft{First: []string{firstLine}, Signature: []string{signLine}}

func TestEditPlain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":       {"Hello.\n", firstLine + "\n\nHello.\n\n" + signLine + "\n"},
		"no line end": {"Hello.", firstLine + "\n\nHello.\n\n" + signLine + "\n"},
		"empty":       {"", firstLine + "\n\n" + signLine + "\n"},
		"quote":       {"Hello.\n\n> old\n", firstLine + "\n\nHello.\n\n" + signLine + "\n\n> old\n"},
		"on wrote": {"Hello.\n\nOn Mon, 2 Nov 2026 at 10:00, Anna\n<anna@example.org> wrote:\n\n> old\n",
			firstLine + "\n\nHello.\n\n" + signLine + "\n\nOn Mon, 2 Nov 2026 at 10:00, Anna\n<anna@example.org> wrote:\n\n> old\n"},
		"welsh":   {"Helo.\n\nAr 2 Tach 2026, 10:00, ysgrifennodd Anna:\n> hen\n", firstLine + "\n\nHelo.\n\n" + signLine + "\n\nAr 2 Tach 2026, 10:00, ysgrifennodd Anna:\n> hen\n"},
		"french":  {"Bonjour.\n\nLe 2 nov. 2026 \u00e0 10:00, Anna a \u00e9crit :\n> x\n", firstLine + "\n\nBonjour.\n\n" + signLine + "\n\nLe 2 nov. 2026 \u00e0 10:00, Anna a \u00e9crit :\n> x\n"},
		"german":  {"Hallo.\n\nAm 02.11.2026 um 10:00 schrieb Anna:\n> x\n", firstLine + "\n\nHallo.\n\n" + signLine + "\n\nAm 02.11.2026 um 10:00 schrieb Anna:\n> x\n"},
		"spanish": {"Hola.\n\nEl 2 nov 2026, Anna escribi\u00f3:\n> x\n", firstLine + "\n\nHola.\n\n" + signLine + "\n\nEl 2 nov 2026, Anna escribi\u00f3:\n> x\n"},
		"polish":  {"Witaj.\n\nW dniu 2.11.2026 o 10:00, Anna napisa\u0142a:\n> x\n", firstLine + "\n\nWitaj.\n\n" + signLine + "\n\nW dniu 2.11.2026 o 10:00, Anna napisa\u0142a:\n> x\n"},
		"arabic": {"\u0645\u0631\u062d\u0628\u0627\n\n\u0641\u064a 2 \u0646\u0648\u0641\u0645\u0628\u0631 2026 \u060c \u0643\u062a\u0628 \u0622\u0646\u0627:\n> x\n",
			firstLine + "\n\n\u0645\u0631\u062d\u0628\u0627\n\n" + signLine + "\n\n\u0641\u064a 2 \u0646\u0648\u0641\u0645\u0628\u0631 2026 \u060c \u0643\u062a\u0628 \u0622\u0646\u0627:\n> x\n"},
		"outlook":       {"Hello.\n\n-----Original Message-----\nFrom: Anna\n", firstLine + "\n\nHello.\n\n" + signLine + "\n\n-----Original Message-----\nFrom: Anna\n"},
		"outlook rule":  {"Hello.\n\n________________________________\nFrom: Anna <a@example.org>\nSent: 2 Nov\nTo: Maya\nSubject: x\n\nold\n", firstLine + "\n\nHello.\n\n" + signLine + "\n\n________________________________\nFrom: Anna <a@example.org>\nSent: 2 Nov\nTo: Maya\nSubject: x\n\nold\n"},
		"own sentence":  {"On Monday you wrote:\nsomething of 3 lines.\n", firstLine + "\n\nOn Monday you wrote:\nsomething of 3 lines.\n\n" + signLine + "\n"},
		"there already": {"Hello.\n\nThis inbox is not watched\nall  the time.\n\n> old\n", firstLine + "\n\nHello.\n\nThis inbox is not watched\nall  the time.\n\n> old\n"},
		"in the quote":  {"Hello.\n\n> " + signLine + "\n", firstLine + "\n\nHello.\n\n> " + signLine + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := edited(t, topFields+"Content-Type: text/plain; charset=utf-8\n\n"+c.in, bothLines)
			if got, want := m.Root.Text, crlf(c.want); got != want {
				t.Errorf("got\n%q, want\n%q", got, want)
			}
		})
	}
}

func TestEditHTML(t *testing.T) {
	t.Parallel()
	f, s := `<p dir="ltr" style="margin:1em 0;white-space:normal">`+firstLine+"</p>\n", `<p dir="ltr" style="margin:1em 0;white-space:normal">`+signLine+"</p>\n"
	for name, c := range map[string]struct{ in, want string }{
		"fragment":   {"<p>Hello</p>\n", f + "<p>Hello</p>\n" + s},
		"document":   {"<!DOCTYPE html><html><head><title>x</title></head><body bgcolor=red><p>Hello</body></html>", "<!DOCTYPE html><html><head><title>x</title></head><body bgcolor=red>" + f + "<p>Hello" + s + "</body></html>"},
		"gmail":      {"<div>Hi</div><div class=\"gmail_quote gmail_quote_container\"><div class=gmail_attr>On Mon Anna wrote:</div><blockquote>old</blockquote></div>", f + "<div>Hi</div>" + s + "<div class=\"gmail_quote gmail_quote_container\"><div class=gmail_attr>On Mon Anna wrote:</div><blockquote>old</blockquote></div>"},
		"outlook":    {"<p>Hi</p><div id=\"divRplyFwdMsg\">From: Anna</div><p>old</p>", f + "<p>Hi</p>" + s + "<div id=\"divRplyFwdMsg\">From: Anna</div><p>old</p>"},
		"append":     {"<p>Hi</p><div id=\"appendonsend\"></div><p>old</p>", f + "<p>Hi</p>" + s + "<div id=\"appendonsend\"></div><p>old</p>"},
		"cite":       {"<p>Hi</p><blockquote type=\"cite\">old</blockquote>", f + "<p>Hi</p>" + s + "<blockquote type=\"cite\">old</blockquote>"},
		"mozilla":    {"<p>Hi</p><div class=\"moz-cite-prefix\">On 2 Nov Anna wrote:<br></div><blockquote type=cite>old</blockquote>", f + "<p>Hi</p>" + s + "<div class=\"moz-cite-prefix\">On 2 Nov Anna wrote:<br></div><blockquote type=cite>old</blockquote>"},
		"apple":      {"<div>Hi</div><div>On 2 Nov 2026, Anna wrote:</div><blockquote type=cite>old</blockquote>", f + "<div>Hi</div>" + s + "<div>On 2 Nov 2026, Anna wrote:</div><blockquote type=cite>old</blockquote>"},
		"comment":    {"<!-- </body> --><p>Hi &amp; bye</p>", f + "<!-- </body> --><p>Hi &amp; bye</p>" + s},
		"there":      {"<p>This <b>inbox</b> is not&nbsp;watched all the time.</p>", f + "<p>This <b>inbox</b> is not&nbsp;watched all the time.</p>"},
		"hidden one": {"<p style=\"display:none\">" + signLine + "</p><p>Hi</p>", f + "<p style=\"display:none\">" + signLine + "</p><p>Hi</p>" + s},
		"text first": {"Hi <b>there</b>", f + "Hi <b>there</b>" + s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := edited(t, topFields+"Content-Type: text/html; charset=utf-8\n\n"+c.in, bothLines)
			if got, want := m.Root.Text, crlf(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestUnreadableHTML(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"title": "<title>Hello", "comment": "<p>Hello<!-- x", "script": "<script>x", "tag": "<p>Hello<a href=",
		"depth": strings.Repeat("<div>", 600), "textarea": "<textarea>Hello", "hidden": "<div hidden><p>Hello", "svg": "<svg><p>Hello<title>x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alt := multi("multipart/alternative; boundary=b", "--b\n\nHello\n--b\nContent-Type: text/html\n\n"+bad+"\n--b--\n")
			m := edited(t, alt, bothLines)
			if s := shape(m.Root); s != "multipart/alternative(text/plain)" && !strings.Contains(m.Root.Parts[1].Text, signLine) {
				t.Errorf("alternative: %s", s)
			}
			m = edited(t, topFields+"Content-Type: text/html\n\n"+bad+"\n", bothLines)
			if s := shape(m.Root); s != "multipart/mixed(text/plain text/html)" && !strings.Contains(m.Root.Text, signLine) {
				t.Errorf("html alone: %s", s)
			}
			if !strings.HasPrefix(strings.TrimSpace(m.NewText()), firstLine) {
				t.Error("the first line is not first")
			}
		})
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	arabic := "\u0637\u0648\u0627\u0631\u0626"
	latin := topFields + "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\ncaf\xe9\n"
	m := edited(t, latin, Draft{Signature: []string{"na\u00efve"}})
	if m.Root.Params["charset"] != "windows-1252" || !strings.Contains(decoded(t, m, m.Root), "caf\xe9\r\n\r\nna\xefve") {
		t.Errorf("%v %q", m.Root.Params, decoded(t, m, m.Root))
	}
	m = edited(t, latin, Draft{Signature: []string{arabic}})
	if m.Root.Params["charset"] != "utf-8" || m.Root.Text != "caf\u00e9\r\n\r\n"+arabic+"\r\n" {
		t.Errorf("%v %q", m.Root.Params, m.Root.Text)
	}
	html := topFields + "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n<p>caf\xe9</p>"
	m = edited(t, html, Draft{Signature: []string{arabic}})
	raw := decoded(t, m, m.Root)
	if !strings.Contains(raw, "caf\xe9") || !strings.Contains(raw, "&#1591;") {
		t.Errorf("%q", raw)
	}
	if v, _ := VisibleText(m.Root.Text); !strings.Contains(v, arabic) {
		t.Errorf("%q", v)
	}
	m = edited(t, topFields+"Content-Type: text/plain; format=flowed; delsp=yes\n\nsoft \nline\n", Draft{First: []string{"> not a quote"}, Signature: []string{strings.Repeat("long ", 400)}})
	if m.Root.Params["format"] != "flowed" || m.Root.Params["delsp"] != "yes" || !strings.Contains(m.Root.Text, "soft \r\nline\r\n") {
		t.Errorf("%v %q", m.Root.Params, m.Root.Text)
	}
	if !strings.HasPrefix(m.Root.Text, " > not a quote\r\n") || m.Root.Encoding != encQP {
		t.Errorf("%s %q", m.Root.Encoding, m.Root.Text)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	d := Draft{Replace: []Replacement{{Old: "maya@trauma.example", New: "hello@wh.example"}, {Old: "07700 900123", New: "the office"}}}
	m := edited(t, topFields+"\nWrite to MAYA@Trauma.example, not xmaya@trauma.example or maya@trauma.example.org.\nRing 07700\n900123 or 07700 9001234.\n", d)
	want := "Write to hello@wh.example, not xmaya@trauma.example or maya@trauma.example.org.\r\nRing the office or 07700 9001234.\r\n"
	if m.Root.Text != want {
		t.Errorf("%q", m.Root.Text)
	}
	m = edited(t, topFields+"Content-Type: text/html\n\n<p title=\"maya@trauma.example\">Hi &amp; <a href=\"mailto:maya@trauma.example?subject=x\">maya@trauma.example</a>, maya@trauma.example &lt;&gt;</p><script>maya@trauma.example</script>\n", d)
	want = "<p title=\"hello@wh.example\">Hi &amp; <a href=\"mailto:hello@wh.example?subject=x\">hello@wh.example</a>, hello@wh.example &lt;&gt;</p><script>maya@trauma.example</script>\r\n"
	if m.Root.Text != want {
		t.Errorf("%q", m.Root.Text)
	}
}

func TestHide(t *testing.T) {
	t.Parallel()
	src := multi("multipart/related; start=\"<root@maya-pc>\"; boundary=b",
		"--b\nContent-Type: text/html\nContent-ID: <root@maya-pc>\n\n<img src=\"cid:logo@maya-pc\"> <img src='CID:logo%40maya-pc'> cid:other@x\n--b\nContent-Type: image/png\nContent-ID: <logo@Maya-PC>\nContent-Disposition: inline; filename=a.png\n\nx\n--b\nContent-Type: image/png\nContent-ID: <other@x>\n\ny\n--b--\n")
	out, err := writeBytes(t, parseBytes(t, []byte(crlf(strings.ReplaceAll(src, "Maya-PC", "maya-pc")))), Draft{Hide: []string{"MAYA"}})
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(out), "MIME-Version")
	if strings.Contains(body, "maya") {
		t.Errorf("the id still names somebody:\n%s", body)
	}
	m := parseBytes(t, out)
	if id := m.Root.Parts[1].ContentID; strings.Count(m.Root.Parts[0].Text, "cid:"+id)+strings.Count(m.Root.Parts[0].Text, "CID:"+id) != 2 {
		t.Errorf("references to %s in %q", id, m.Root.Parts[0].Text)
	}
	if m.Root.Params["start"] != "<"+m.Root.Parts[0].ContentID+">" || m.Root.Parts[2].ContentID != "other@x" {
		t.Errorf("%v %s", m.Root.Params, m.Root.Parts[2].ContentID)
	}
}

func TestPartFields(t *testing.T) {
	t.Parallel()
	src := topFields + "X-Mailer: Secret\nReceived: from maya-pc\nBcc: hidden@example.org\nResent-Bcc: hidden@example.org\nContent-Type: multipart/mixed; boundary=\"maya-pc\"; x=secret\n\nThis is a MIME message from secret.\n--maya-pc\nContent-Type: text/plain; charset=utf-8; x-secret=1; x-mac-type=secret\nContent-Description: secret\nContent-Location: file:///secret\nX-Secret: secret\n\nHello\n--maya-pc\nContent-Type: application/pdf; name=\"b\u00e9.pdf\"\nContent-Disposition: attachment; filename*=utf-8''b%C3%A9.pdf; creation-date=\"secret\"\n\nx\n--maya-pc--\nmultipart secret\n"
	out, err := writeBytes(t, parseBytes(t, []byte(crlf(src))), Draft{})
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.ToLower(string(out)); strings.Contains(s, "secret") || strings.Contains(s, "maya-pc") || strings.Contains(s, "hidden") {
		t.Errorf("left in the copy:\n%s", out)
	}
	if p := parseBytes(t, out).Root.Parts[1]; p.Filename != "b\u00e9.pdf" || p.Disposition != "attachment" {
		t.Errorf("%+v", p)
	}
	again, _ := writeBytes(t, parseBytes(t, []byte(crlf(src))), Draft{})
	if !bytes.Equal(out, again) {
		t.Error("the same draft gives other bytes")
	}
	other, _ := writeBytes(t, parseBytes(t, []byte(crlf(src))), Draft{Variant: 1})
	if bytes.Equal(out, other) {
		t.Error("two variants share their boundaries")
	}
}

func TestBoundaryIsFree(t *testing.T) {
	t.Parallel()
	src := multi("multipart/mixed; boundary=b", "--b\n\nHello\n--b--\n")
	first := edited(t, src, Draft{}).Root.Params["boundary"]
	src = multi("multipart/mixed; boundary=b", "--b\n\n--"+first+"\n\nHello\n--b--\n")
	m := edited(t, src, Draft{})
	if m.Root.Params["boundary"] == first || len(m.Root.Parts) != 1 || !strings.Contains(m.Root.Parts[0].Text, first) {
		t.Errorf("%s %s", m.Root.Params["boundary"], shape(m.Root))
	}
}

func TestWireForbids(t *testing.T) {
	t.Parallel()
	src := multi("multipart/mixed; boundary=b", "--b\n\n"+strings.Repeat("a", 2000)+"\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: binary\n\n"+strings.Repeat("\xff", 1500)+"\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat("QUJD", 500)+"\n--b--\n")
	was := parseBytes(t, []byte(crlf(src)))
	is := edited(t, src, Draft{})
	for i, p := range leaves(was) {
		if decoded(t, was, p) != decoded(t, is, leaves(is)[i]) {
			t.Errorf("part %s changed", p.Path)
		}
	}
}

// What we cannot decode leaves under the name of its encoding, so that others can.
func TestUnknownEncodingKeepsItsName(t *testing.T) {
	t.Parallel()
	part := "--b\n\nHello\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: X-UUencode\n\nbegin 644 a.png\n#86)C\n`\nend\n--b--\n"
	m := edited(t, multi("multipart/mixed; boundary=b", part), bothLines)
	if v, _ := m.Root.Parts[1].Get("Content-Transfer-Encoding"); v != "x-uuencode" {
		t.Errorf("Content-Transfer-Encoding: %s", v)
	}
	odd := edited(t, multi("multipart/mixed; boundary=b", strings.Replace(part, "X-UUencode", "x-secret word", 1)), bothLines)
	if v, _ := odd.Root.Parts[1].Get("Content-Transfer-Encoding"); v != "7bit" && v != "x-secret" {
		t.Errorf("Content-Transfer-Encoding: %s", v)
	}
}

func TestSealedIsNeverBroken(t *testing.T) {
	t.Parallel()
	inner := "--sig\nContent-Type: text/plain;\n  charset=us-ascii\nX-Odd:   kept\n\nSigned  text \n--sig\nContent-Type: application/pgp-signature; name=signature.asc\n\nxxxx\n--sig--\n"
	signed := "Content-Type: multipart/signed; protocol=\"application/pgp-signature\";\n\tboundary=\"sig\"; micalg=pgp-sha512\n\n" + inner
	src := topFields + signed
	m := parseBytes(t, []byte(crlf(src)))
	if !m.Signed() || m.Encrypted() {
		t.Error("not seen as signed")
	}
	out, err := writeBytes(t, m, Draft{Whole: true, First: []string{firstLine}})
	if err != nil || !bytes.HasSuffix(out, []byte(crlf(signed))) {
		t.Errorf("%v\n%s", err, out)
	}
	// Without Whole the signed part stays as it is, and our text goes before it.
	out, err = writeBytes(t, m, bothLines)
	if err != nil || !bytes.Contains(out, []byte(crlf(inner))) {
		t.Errorf("%v\n%s", err, out)
	}
	if s := shape(parseBytes(t, out).Root); s != "multipart/mixed(text/plain multipart/signed(text/plain application/pgp-signature))" {
		t.Error(s)
	}
	// What the wire forbids is refused.
	long := strings.Replace(src, "Signed  text", strings.Repeat("a", 1000), 1)
	m = parseBytes(t, []byte(crlf(long)))
	if w, name := worst(m); w != HoldIt || name != defLongSigned {
		t.Error(w, name)
	}
	for _, whole := range []bool{true, false} {
		if _, err := writeBytes(t, m, Draft{Whole: whole}); err == nil {
			t.Error("a signature is broken silently")
		}
	}
}

// Which of several alternatives is shown, only the reader's mail app knows: each one is edited.
func TestEveryAlternativeIsEdited(t *testing.T) {
	t.Parallel()
	html := func(s string) string { return "--b\nContent-Type: text/html\n\n" + s + "\n" }
	for body, want := range map[string]string{
		"--b\n\nHello\n" + html("<p>a</p>") + html("<p>b</p>"):  "multipart/alternative(text/plain text/html text/html)",
		"--b\n\nHello\n--b\n\nHi\n":                             "multipart/alternative(text/plain text/plain)",
		html("<p>a</p>") + html("<p>b <div"):                    "multipart/alternative(text/html)",
		"--b\n\nHello\n" + html("<p>a <div") + html("<p>b</p>"): "multipart/alternative(text/plain text/html)",
	} {
		m := edited(t, multi("multipart/alternative; boundary=b", body+"--b--\n"), bothLines)
		if s := shape(m.Root); s != want {
			t.Errorf("%q: %s", body, s)
		}
		for _, p := range m.Root.Parts {
			if strings.Count(p.Text, firstLine) != 1 || strings.Count(p.Text, signLine) != 1 {
				t.Errorf("%q: %q", body, p.Text)
			}
		}
	}
}

func TestSignedAndEncrypted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mail              string
		signed, encrypted bool
	}{
		{topFields + "\n-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n", true, false},
		{topFields + "\n-----BEGIN PGP MESSAGE-----\n\nx\n", false, true},
		{topFields + "\n\uFEFF-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n", true, false},
		{multi("application/octet-stream; name=smime.P7M", "x"), false, true},
		{topFields + "\n> -----BEGIN PGP MESSAGE-----\n", false, false},
		{multi("application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", "x"), true, false},
		{multi("application/x-pkcs7-mime; name=smime.p7m", "x"), false, true},
		{multi("multipart/encrypted; protocol=x; boundary=b", "--b\n\nx\n--b--\n"), false, true},
		{multi("multipart/mixed; boundary=b", "--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n--b--\n"), true, false},
		{multi("message/rfc822", "From: a@example.org\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n"), false, false},
		{topFields + "Subject2: multipart/signed\n\nencrypted\n", false, false},
	} {
		m := parseBytes(t, []byte(crlf(c.mail)))
		if m.Signed() != c.signed || m.Encrypted() != c.encrypted {
			t.Errorf("%q: signed %v, encrypted %v", c.mail, m.Signed(), m.Encrypted())
		}
	}
}

func TestB38_EmbeddedMessage(t *testing.T) {
	t.Parallel()
	inner := "Received: from x\nFrom: Ben <ben@example.org>\nSubject:   =?utf-8?q?caf=C3=A9?=\n\nInner  text \n"
	src := multi("multipart/mixed; boundary=b", "--b\nContent-Type: message/rfc822; name=x.eml\n\n"+inner+"\n--b--\n")
	m := edited(t, src, bothLines)
	if s := shape(m.Root); s != "multipart/mixed(text/plain message/rfc822(text/plain))" {
		t.Error(s)
	}
	if got := decoded(t, m, m.Root.Parts[1]); got != crlf(inner) {
		t.Errorf("%q", got)
	}
	var texts []string
	for _, s := range m.Texts() {
		texts = append(texts, s)
	}
	for _, want := range []string{"Ben <ben@example.org>", "caf\u00e9", "x.eml"} {
		if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not scanned in %q", want, texts)
		}
	}
	// With defects it is written anew.
	bad := strings.Replace(src, "Subject:", "Content-Type: text/plain\nContent-Type: text/html\nSubject:", 1)
	m = edited(t, bad, Draft{})
	if w, name := worst(m); w != AcceptAsRead {
		t.Error(name)
	}
}

func TestB42_TextsSeeEverything(t *testing.T) {
	t.Parallel()
	m := parseBytes(t, []byte(crlf(multi("text/html; name=\"n1.html\"", "<title>t1</title><p data-x=a1 style=\"display:none\">h1</p><!-- c1 --><p>v<b>is</b>ible &#118;1</p><script>s1</script><img alt='alt1'>"))))
	var all strings.Builder
	for _, s := range m.Texts() {
		all.WriteString(s + "\n")
	}
	for _, want := range []string{"n1.html", "t1", "a1", "h1", "c1", "visible v1", "s1", "alt1"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q is not scanned", want)
		}
	}
	v, err := VisibleText(m.Root.Text)
	if err != nil || !strings.Contains(v, "visible v1") || strings.ContainsAny(v, "c") {
		t.Errorf("%q %v", v, err)
	}
}

func TestNewText(t *testing.T) {
	t.Parallel()
	m := parseBytes(t, []byte(crlf(multi("multipart/mixed; boundary=a", "--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nnew1\n\n> old1\n\nbetween\n\nOn 2 Nov 2026, Anna <a@example.org> wrote:\n> old2\n--b\nContent-Type: text/html\n\n<p>new2</p><blockquote type=cite>old3</blockquote><p>after</p><div id=appendonsend></div>old4\n--b--\n--a\nContent-Disposition: attachment; filename=a.txt\n\nattached\n--a\nContent-Type: message/rfc822\n\nSubject: x\n\nembedded\n--a--\n"))))
	s := m.NewText()
	for _, want := range []string{"new1", "between", "new2", "after"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing in %q", want, s)
		}
	}
	for _, not := range []string{"old", "attached", "embedded", "Hello", "wrote"} {
		if strings.Contains(s, not) {
			t.Errorf("%q is in %q", not, s)
		}
	}
}

func TestNoticeAndReport(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteNotice(&b, sampleID, sampleFields(), []string{"Held: \u2013 one.\nSecond line.", strings.Repeat("x ", 600)}); err != nil {
		t.Fatal(err)
	}
	checkWire(t, b.Bytes())
	m := parseBytes(t, b.Bytes())
	if w, name := worst(m); w != AcceptAsRead || m.Subject != sampleFields()[3].Value || !strings.HasPrefix(m.Root.Text, "Held: \u2013 one.\r\nSecond line.\r\n\r\nx x") {
		t.Errorf("%s %q %q", name, m.Subject, m.Root.Text)
	}
	b.Reset()
	utf, _ := ParseAddress("j\u00fcrgen@example.org")
	anna, _ := ParseAddress("anna@example.org")
	err := WriteReport(&b, sampleID, sampleFields(), Report{
		Text: []string{"Not delivered to C-0142."}, ReportingMTA: "mail.wh.example",
		Original:   []Field{{"Date", "Sun, 22 Nov 2026 10:00:00 +0000"}, {"Message-ID", "<a@b.example>"}, {"Subject", "secret"}},
		Recipients: []ReportRecipient{{anna, "5.1.1", "failed", "550 5.1.1 no\r\nsuch \u00fcser"}, {utf, "4.4.1", "delayed", ""}},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, b.Bytes())
	s := b.String()
	for _, want := range []string{"report-type=delivery-status", "Reporting-MTA: dns; mail.wh.example\r\n", "\r\n\r\nFinal-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such ?ser\r\n",
		`Final-Recipient: utf-8; j\x{FC}rgen@example.org`, "Message-ID: <a@b.example>"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing in\n%s", want, s)
		}
	}
	if strings.Contains(s, "secret") {
		t.Error("the report returns more than date and id")
	}
	if got := shape(parseBytes(t, b.Bytes()).Root); got != "multipart/report(text/plain message/delivery-status text/rfc822-headers)" {
		t.Error(got)
	}
	for name, v := range readWithPython(t, map[string][]byte{"r": b.Bytes()}) {
		comparePython(t, name, v, parseBytes(t, b.Bytes()))
	}
}

func TestFieldsAreChecked(t *testing.T) {
	t.Parallel()
	m := parseBytes(t, []byte(crlf(topFields+"\nx")))
	for _, f := range []Field{{"To", "a@b.example\r\nBcc: c@d.example"}, {"Message-ID", "<\u00e9@b>"}, {"Bad Name", "x"}, {"To", strings.Repeat("a", 2000) + "@b.example"}, {"X\r\nBcc", "x"}} {
		if _, err := writeBytes(t, m, Draft{Fields: []Field{f}}); err == nil {
			t.Errorf("%q is written", f)
		}
	}
	out, err := writeBytes(t, m, Draft{Fields: []Field{{"Subject", "a\r\nBcc: x@y.example"}, {"Content-Type", "x/y"}, {"mime-version", "9"}}})
	if err != nil || bytes.Contains(out, []byte("\nBcc")) || bytes.Contains(out, []byte("x/y")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFormatMailboxes(t *testing.T) {
	t.Parallel()
	a, _ := ParseAddress("a@example.org")
	for name, want := range map[string]string{
		"":              "a@example.org",
		"Maya Stone":    "Maya Stone <a@example.org>",
		"Stone, M.":     `"Stone, M." <a@example.org>`,
		`a"b`:           `"a\"b" <a@example.org>`,
		"Ma\u00efa":     "=?utf-8?q?Ma=C3=AFa?= <a@example.org>",
		"a\r\nBcc: b":   `"a Bcc: b" <a@example.org>`,
		"=?utf-8?q?a?=": "=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3F=3D?= <a@example.org>",
	} {
		if got := FormatMailboxes([]Mailbox{{name, a}}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestCanonicalLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[\r\na]{0,40}`).Draw(t, "text")
		var b bytes.Buffer
		if _, err := b.ReadFrom(CanonicalLines(&oneByte{s})); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
		if b.String() != want {
			t.Fatalf("%q: %q", s, b.String())
		}
	})
}

type oneByte struct{ s string }

func (o *oneByte) Read(p []byte) (int, error) {
	if o.s == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], o.s)
	o.s = o.s[n:]
	return n, nil
}

// checkLoop parses, writes and parses again: the copy is canonical, has no defect that would
// be refused, has the same tree, and every leaf has the same content.
func checkLoop(t testing.TB, b []byte) {
	t.Helper()
	m := parseBytes(t, b)
	for _, d := range []Draft{{}, {Whole: true}, {First: []string{firstLine}, Signature: []string{signLine, crisisLine}, Replace: []Replacement{{Old: "hello", New: "bye"}}, Hide: []string{"a"}}} {
		out, err := writeBytes(t, m, d)
		if err != nil {
			continue
		}
		checkWire(t, out)
		got := parseBytes(t, out)
		w, name := worst(got)
		// What is signed or encrypted is copied as it is. A defect in it that refuses the message stays in it.
		kept := d.Whole || m.Signed() || m.Encrypted()
		if was, _ := worst(m); w == RejectIt && (!kept || was != RejectIt) {
			t.Fatalf("%+v: the copy has the defect %s:\n%q", d, name, out)
		}
		// With a line in the header that is no field the message is refused: where its header ends nobody can tell.
		noField := slices.ContainsFunc(m.Defects, func(d Defect) bool { return d.Name == defNoColon })
		if d.Whole || len(d.First) > 0 || noField {
			continue
		}
		if a, b := shape(m.Root), shape(got.Root); a != b {
			t.Fatalf("tree was %s, is %s:\n%q", a, b, out)
		}
		is := leaves(got)
		for i, p := range leaves(m) {
			if a, b := decoded(t, m, p), decoded(t, got, is[i]); a != b {
				t.Fatalf("part %s was %q, is %q", p.Path, a, b)
			}
		}
	}
}

func TestLoop(t *testing.T) {
	t.Parallel()
	for _, s := range sampleMails() {
		checkLoop(t, []byte(s))
	}
	lines := []string{"--b", "--b--", "--c", "--c--", "", "Content-Type: multipart/mixed; boundary=b", "Content-Type: multipart/alternative; boundary=c",
		"Content-Type: text/html", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: quoted-printable", "YQ==", "a=C3=A9 =",
		"<p>hello</p>", "> old", "caf\u00e9", "\xff", " folded", "Content-Disposition: attachment; filename=\"a b.txt\"", "Content-ID: <a@b>", "no field", "Content-Type: multipart/signed; boundary=c", "Subject: x",
		"Content-Type: message/delivery-status", strings.Repeat("long", 300), "a\rb"}
	rapid.Check(t, func(rt *rapid.T) {
		body := rapid.SliceOfN(rapid.SampledFrom(lines), 0, 25).Draw(rt, "lines")
		checkLoop(t, []byte("From: a@example.org\r\n"+strings.Join(body, "\r\n")))
	})
}

func FuzzWrite(f *testing.F) {
	for _, s := range sampleMails() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkLoop(t, b) })
}

// FuzzHTMLEdit: what is inserted is shown, what is replaced was a word of the shown text, and no
// other byte changes; a second time nothing is inserted above the quote.
func FuzzHTMLEdit(f *testing.F) {
	for _, s := range []string{"<p>Hello</p>", "<html><body>x</body></html>", "<div class=gmail_quote>x", "<table><tr><td>x</table>", "<!-- x", "<svg><p>", "<select><p>a", "<p hidden>x", "&#0;<b>",
		"the&nbsp;the &copythe &quot;the&quot; <a href='mailto:the?x=&amp;y'>the", "<script>the</script>the&#39;s &notit;"} {
		f.Add(s)
	}
	rep := newReplacer([]Replacement{{Old: "the", New: "<QQ&"}})
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		cs := charset{label: utf8Label}
		if !strings.Contains(s, "QQ") {
			pieces := strings.Split(rep.html(s), "&lt;QQ&amp;")
			if was := strings.ToLower(s); strings.Count(was, "the") < len(pieces)-1 && !strings.Contains(s, "&") || !subsequence(s, pieces) {
				t.Fatalf("%q became %q", s, rep.html(s))
			}
		}
		out, err := editHTML(s, []string{firstLine}, []string{crisisLine}, cs)
		if err != nil {
			return
		}
		for _, p := range []string{firstLine, crisisLine} {
			shown, err := shownText(out)
			if err != nil || !strings.Contains(shown, squeeze(p)) {
				t.Fatalf("not shown in %q", out)
			}
		}
		rest := strings.Replace(out, htmlParagraphs([]string{firstLine}, cs), "", 1)
		if rest = strings.Replace(rest, htmlParagraphs([]string{crisisLine}, cs), "", 1); rest != s && out != s {
			t.Fatalf("%q became %q", s, out)
		}
		if again, err := editHTML(out, nil, []string{crisisLine}, cs); err != nil || again != out {
			t.Fatalf("%q, the second time %q, %v", out, again, err)
		}
	})
}

// subsequence reports whether the pieces stand in s in their order, the first at its start and
// the last at its end, with a few bytes between two.
func subsequence(s string, pieces []string) bool {
	for i, p := range pieces {
		at := strings.Index(s, p)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		s = s[at+len(p):]
	}
	return s == "" || strings.HasSuffix(s, pieces[len(pieces)-1])
}

// FuzzPlainEdit: a text without what was inserted is the text as it was, and a second time
// nothing is inserted above the quote.
func FuzzPlainEdit(f *testing.F) {
	for _, s := range []string{"", "Hello", "Hello.\r\n\r\n> old\r\n", "a\nOn Mon, 2 Nov 2026, a@b.example wrote:\n> b", "\uFEFF", "\r\n", "-- \r\nMaya", "-----Original Message-----\nFrom: a\nSent: b\nTo: c\n", "On (0000@ wrote:"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, flowed bool) {
		out := editPlain(s, []string{firstLine}, []string{crisisLine}, flowed)
		if again := editPlain(out, nil, []string{crisisLine}, flowed); again != out {
			t.Fatalf("%q, the second time %q", out, again)
		}
		if strings.Contains(s, crisisLine) || strings.Contains(s, firstLine) {
			return
		}
		before, after, _ := strings.Cut(out, firstLine)
		above, below, found := strings.Cut(strings.TrimLeft(after, "\r\n"), crisisLine)
		if !found {
			t.Fatalf("%q has no lines: %q", s, out)
		}
		lines := func(s string) string { return strings.TrimLeft(strings.TrimRight(s, "\r\n"), "\r\n") }
		if got := before + lines(above) + lines(below); !strings.HasPrefix(s, before) || strings.Map(noLineEnd, got) != strings.Map(noLineEnd, s) {
			t.Fatalf("%q became %q", s, out)
		}
	})
}

func noLineEnd(r rune) rune {
	if r == '\r' || r == '\n' {
		return -1
	}
	return r
}
