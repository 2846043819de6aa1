package mail

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// zipOf makes an archive of small files.
func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("<?xml version=\"1.0\"?><a>x</a>")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestB36_TypeAgainstContent attaches files that are something else than they say, or two things
// at once; and files that are what they say.
func TestB36_TypeAgainstContent(t *testing.T) {
	t.Parallel()
	exe := "MZ\x90\x00" + strings.Repeat("\x00a", 100)
	jpeg := "\xff\xd8\xff\xe0\x00\x10JFIF\x00" + strings.Repeat("p", 3000)
	archive := zipOf(t, "a.txt")
	document := []string{"[Content_Types].xml", "_rels/.rels", "word/document.xml"}
	const svg = "<svg xmlns=\"http://www.w3.org/2000/svg\">"
	for _, c := range []struct{ name, kind, file, content, detail string }{
		{"program as pdf", "application/pdf", "a.pdf", exe, "program"},
		{"program as octets, called text", "application/octet-stream", "notes.txt", exe, "program"},
		{"linux program as picture", "image/png", "a.png", "\x7fELF\x02\x01\x01", "program"},
		{"mac program as document", "application/octet-stream", "a.docx", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", "program"},
		{"java program as picture", "image/png", "a.png", "\xca\xfe\xba\xbe\x00\x00", "program"},
		{"shortcut as pdf", "application/pdf", "invoice.pdf", "\x4c\x00\x00\x00\x01\x14\x02\x00\x00", "program"},
		{"script as picture", "image/jpeg", "a.jpg", "#!/bin/sh\necho", "script"},
		{"script as sound", "audio/mpeg", "a.mp3", "#!/bin/sh\necho", "script"},
		{"html as picture", "image/jpeg", "a.jpg", "  <!DOCTYPE html><p>x", "html"},
		{"html as pdf by name", "application/octet-stream", "a.pdf", "<html><script>x</script>", "html"},
		{"archive as picture", "image/png", "a.png", archive, "zip"},
		{"archive behind a picture", "image/jpeg", "a.jpg", jpeg + archive, "zip"},
		{"archive behind a pdf", "application/pdf", "a.pdf", "%PDF-1.4\n%%EOF\n" + archive, "zip"},
		{"pdf in a picture", "image/jpeg", "a.jpg", "\xff\xd8\xff\xfe\x00\x20%PDF-1.7\n" + strings.Repeat("x", 100), "pdf"},
		{"notebook as picture", "image/png", "a.png", "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1", "document"},
		{"old document as pdf", "application/pdf", "a.pdf", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600), "document"},
		{"macros under docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", zipOf(t, append(document, "word/vbaProject.bin")...), "macros"},
		{"picture with a script", "image/svg+xml", "a.svg", svg + strings.Repeat(" ", 2000) + "<SCRIPT>x</SCRIPT></svg>", "script"},
		{"picture that runs when it is shown", "image/svg+xml", "a.svg", "<?xml version=\"1.0\"?>" + strings.Replace(svg, ">", " onload=\"x()\">", 1) + "</svg>", "script"},

		{"program", "application/octet-stream", "a.exe", exe, ""},
		{"program without a name", "application/octet-stream", "", exe, ""},
		{"shortcut", "application/octet-stream", "a.lnk", "\x4c\x00\x00\x00\x01\x14\x02\x00\x00", ""},
		{"picture", "image/jpeg", "a.jpg", jpeg, ""},
		{"drawing", "image/svg+xml", "a.svg", svg + "<path d=\"M0 0\"/></svg>", ""},
		{"pdf", "application/pdf", "a.pdf", "%PDF-1.4\n%%EOF\n", ""},
		{"archive", "application/zip", "a.zip", archive, ""},
		{"document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", zipOf(t, document...), ""},
		{"document with macros, called so", "application/vnd.ms-word.document.macroEnabled.12", "a.docm", zipOf(t, append(document, "word/vbaProject.bin")...), ""},
		{"table of a web application", "application/vnd.ms-excel", "a.xls", "<html><table><tr><td>1</td></tr></table></html>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disposition := "attachment"
			if c.file != "" {
				disposition += "; filename=" + c.file
			}
			body := base64.StdEncoding.EncodeToString([]byte(c.content))
			var lines []string // as mail apps write it
			for len(body) > 76 {
				lines, body = append(lines, body[:76]), body[76:]
			}
			m := parseText(t, topFields+"MIME-Version: 1.0\nContent-Type: "+c.kind+"\nContent-Disposition: "+disposition+"\nContent-Transfer-Encoding: base64\n\n"+
				strings.Join(append(lines, body), "\n")+"\n")
			i := slices.IndexFunc(m.Defects, func(d Defect) bool { return d.Name == defTypeMismatch })
			switch {
			case i < 0 && c.detail != "":
				t.Errorf("not seen: %v", m.Defects)
			case i >= 0 && (m.Defects[i].Detail != c.detail || m.Defects[i].Default != HoldIt):
				t.Errorf("%+v, want %q", m.Defects[i], c.detail)
			}
		})
	}
}

// TestB41_Charsets reads texts in the charsets that occur, and in those that have two readings.
func TestB41_Charsets(t *testing.T) {
	t.Parallel()
	text := func(charset, body string) string {
		return topFields + "Content-Type: text/plain; charset=" + charset + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(body)) + "\n"
	}
	var list []badInput
	for _, label := range []string{"utf-16", "UTF-16LE", "utf-16be", "ucs-2", "iso-10646-ucs-2", "unicode"} {
		list = append(list, badInput{label, text(label, "\xff\xfea\x00"), defCharsetUTF16, HoldIt})
	}
	for _, label := range []string{"utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7"} {
		list = append(list, badInput{label, text(label, "+ADw-"), defCharsetUTF7, HoldIt})
	}
	for _, label := range []string{"x-none", "ibm437", "cp850", "hz-gb-2312", "iso-2022-kr", "utf-32", "'utf-8'"} {
		list = append(list, badInput{label, text(label, "a"), defUnknownCharset, HoldIt})
	}
	list = append(list,
		badInput{"half a letter", text("shift_jis", "\x83"), defBadLetters, HoldIt},
		badInput{"no korean", text("euc-kr", "a\xff\xffb"), defBadLetters, HoldIt},
		badInput{"hong kong", text("big5", "\xfc\x68"), defBadLetters, HoldIt},
		badInput{"escape in japanese", text("iso-2022-jp", "\x1b$Babc"), defBadLetters, HoldIt},
		badInput{"overlong", text("utf-8", "\xc0\xae"), defOverlongUTF8, HoldIt},
		badInput{"two charsets", text("utf-8; charset=iso-8859-1", "a"), defUnknownCharset, HoldIt},
		badInput{"curly quotes", text("iso-8859-1", "\x93a\x94"), defWiderCharset, AcceptAsRead},
		badInput{"utf-8 under ascii", text("us-ascii", "caf\u00e9"), defUnlabelled8bit, AcceptAsRead},
		badInput{"another name of ascii", text("ansi_x3.4-1968", "caf\u00e9"), defUnlabelled8bit, AcceptAsRead},
	)
	runBad(t, list)
	for _, c := range []struct{ label, bytes, want string }{
		{"gb2312", "\xc4\xe3\xba\xc3", "\u4f60\u597d"},
		{"gb18030", "\x94\x39\xda\x33", "\U0001F4A9"},
		{"big5", "\xa7\x41\xa6\x6e", "\u4f60\u597d"},
		{"shift_jis", "\x82\xb1\x82\xf1", "\u3053\u3093"},
		{"euc-jp", "\xa4\xb3\xa4\xf3", "\u3053\u3093"},
		{"iso-2022-jp", "\x1b$B$3$s\x1b(B", "\u3053\u3093"},
		{"ks_c_5601-1987", "\xb0\xa1", "\uac00"},
		{"koi8-r", "\xd0\xd2\xc9", "\u043f\u0440\u0438"},
		{"windows-1251", "\xef\xf0\xe8", "\u043f\u0440\u0438"},
		{"iso-8859-8-i", "\xf9", "\u05e9"},
		{"tis-620", "\xa1", "\u0e01"},
		{"macintosh", "\x8e", "\u00e9"},
		{"iso-8859-15", "\xa4", "\u20ac"},
		{"ansi_x3.4-1968", "caf\u00e9", "caf\u00e9"},
	} {
		m := parseText(t, text(c.label, c.bytes))
		if w, name := worst(m); m.Root.Text != c.want || w > AcceptAsRead {
			t.Errorf("%s: %q, %s, want %q", c.label, m.Root.Text, name, c.want)
		}
	}
}

// TestDifferencesHaveNames lists what the comparison with other readers brought up: each is
// accepted as read, the copy has it no more, and where nothing may be written anew it holds.
func TestDifferencesHaveNames(t *testing.T) {
	t.Parallel()
	two := func(ct, header, body string) string {
		return topFields + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nHello\n--b\nContent-Type: " + ct + "\n" + header + "\n" + body + "\n--b--\n"
	}
	for _, c := range []struct{ name, mail string }{
		{defComment, two("text/plain (note)", "", "x")},
		{defComment, two("text/plain", "Content-Disposition: attachment (note); filename=a.txt\n", "x")},
		{defBadParam, two("text / plain", "", "x")},
		{defBadParam, two("application/pdf; name=a b.pdf", "", "x")},
		{defBadParam, two("text/plain; charset = utf-8", "", "x")},
		{defBadParam, two(`text/plain; charset="utf-8" x`, "", "x")},
		{defBadParam, two("text/plain; charset*=utf-8''utf-8", "", "x")},
		{defBadParam, two("text/plain", "Content-Disposition: attachment; filename*0=a; filename*1*=%2Etxt\n", "x")},
		{defBadParam, two("application/pdf", "Content-Disposition: attachment; filename=\"a\n   b.pdf\"\n", "x")},
		{defBadParam, two("application/octet-stream; name=a.bin", "Content-Disposition: attachment; filename=\"\"\n", "x")},
		{defEncodingSpell, two("text/plain", "Content-Transfer-Encoding: base64 (note)\n", "YQ==")},
		{defEncodingSpell, two("text/plain", "Content-Transfer-Encoding: base64 \n", "YQ==")},
		{defEncodingSpell, two("text/plain", "Content-Transfer-Encoding:\n base64\n", "YQ==")},
		{defQPBlanks, two("text/plain", "Content-Transfer-Encoding: quoted-printable\n", "a \nb\t\nc")},
		{defBoundaryBlanks, strings.Replace(two("text/plain", "", "x"), "Hello\n--b\n", "Hello\n--b \n", 1)},
		{defStrayBoundary, two("text/plain; boundary=c", "", "--c\n\nx\n--c--")},
		{defNoBody, strings.Replace(two("text/plain", "", "x"), "Hello\n--b\n", "Hello\n--b\n--b\n", 1)},
		{defDigest, topFields + "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--\n"},
		{defUntyped, topFields + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=a.png\n\nx\n--b--\n"},
		{defPartSpaceColon, two("text/plain", "X-A : b\n", "x")},
		{defWordGlued, two("application/octet-stream", "Content-Disposition: attachment; filename=\"a=?utf-8?q?b?=.bin\"\n", "x")},
		{defWordSplit, two("application/octet-stream", "Content-Disposition: attachment; filename=\"=?utf-8?q?a=C3?= =?utf-8?q?=A9?=\"\n", "x")},
		{defWiderCharset, two("text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable\n", "=93a=94")},
	} {
		m := parseText(t, c.mail)
		has := func(m *Message) bool {
			return slices.ContainsFunc(m.Defects, func(d Defect) bool { return d.Name == c.name })
		}
		if w, name := worst(m); w > AcceptAsRead || !has(m) {
			t.Errorf("%s: %s, %v\n%s", c.name, name, m.Defects, c.mail)
			continue
		}
		out, err := writeBytes(t, m, Draft{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := parseBytes(t, out); has(got) || shape(got.Root) != shape(m.Root) {
			t.Errorf("%s: the copy has it still, or other parts:\n%s", c.name, out)
		}
		// The same inside another mail: that is copied as it is only where it has one reading.
		inner := parseText(t, topFields+"Content-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type: message/rfc822\n\n"+c.mail+"\n--outer--\n")
		out, err = writeBytes(t, inner, Draft{})
		if err != nil {
			t.Errorf("%s inside: %v", c.name, err)
		} else if has(parseBytes(t, out)) {
			t.Errorf("%s inside a mail: the copy has it still:\n%s", c.name, out)
		}
		// And signed.
		signed := parseText(t, topFields+"Content-Type: multipart/signed; boundary=sig; protocol=\"application/pgp-signature\"\n\n--sig\n"+
			strings.TrimPrefix(c.mail, topFields)+"\n--sig\nContent-Type: application/pgp-signature\n\nx\n--sig--\n")
		if w, _ := worst(signed); w < HoldIt {
			t.Errorf("%s, signed: %v", c.name, signed.Defects)
		}
	}
}
