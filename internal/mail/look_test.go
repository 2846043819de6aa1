package mail

import (
	"encoding/base64"
	"strings"
	"testing"
)

// parseText parses a message written with bare line feeds.
func parseText(t testing.TB, s string) *Message {
	t.Helper()
	s = strings.ReplaceAll(s, "\n", "\r\n")
	m, err := Parse(strings.NewReader(s), int64(len(s)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// attachedMail is a mail with one attached part.
func attachedMail(t testing.TB, contentType, disposition, content string) *Message {
	t.Helper()
	return parseText(t, "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nHello\n--b\n"+
		"Content-Type: "+contentType+"\nContent-Disposition: "+disposition+"\nContent-Transfer-Encoding: base64\n\n"+
		base64.StdEncoding.EncodeToString([]byte(content))+"\n--b--\n")
}

func bodyMail(t testing.TB, kind, body string) *Message {
	t.Helper()
	return parseText(t, "From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/"+kind+"; charset=utf-8\n\n"+body+"\n")
}

func TestKindsOfAttachments(t *testing.T) {
	t.Parallel()
	const zipHead = "PK\x03\x04\x14\x00\x00\x00\x08\x00........................"
	docx := "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00............\x13\x00\x00\x00[Content_Types].xml"
	for name, tc := range map[string]struct {
		kind, disposition, content string
		want                       Kind
	}{
		"pdf":                        {"application/pdf", "attachment; filename=a.pdf", "%PDF-1.7\nx", KindDocument},
		"pdf under another name":     {"image/jpeg", "inline; filename=a.jpg", "%PDF-1.7\nx", KindDocument | KindImage},
		"nameless pdf":               {"application/octet-stream", "attachment", "%PDF-1.7\nx", KindDocument},
		"locked pdf":                 {"application/pdf", "attachment; filename=a.pdf", "%PDF-1.7\n" + strings.Repeat("x", 70_001) + "/Encrypt 5 0 R", KindDocument | KindUnreadable},
		"docx as octets":             {"application/octet-stream", "attachment; filename=a.bin", docx, KindDocument},
		"old doc":                    {"application/octet-stream", "attachment", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", KindDocument},
		"zip":                        {"application/zip", "attachment; filename=a.zip", zipHead, KindArchive},
		"zip without a name":         {"application/octet-stream", "attachment", zipHead, KindArchive},
		"locked zip":                 {"application/zip", "attachment", "PK\x03\x04\x14\x00\x01\x00\x08\x00..............", KindArchive | KindUnreadable},
		"png":                        {"application/octet-stream", "inline", "\x89PNG\r\n\x1a\n", KindImage},
		"calendar":                   {"text/calendar", "inline", "BEGIN:VCALENDAR", KindCalendar},
		"calendar as text":           {"text/plain", "attachment; filename=x.txt", "BEGIN:VCALENDAR", KindDocument | KindCalendar},
		"vcard":                      {"text/vcard", "attachment; filename=x.vcf", "BEGIN:VCARD", KindContactCard},
		"program":                    {"application/octet-stream", "attachment; filename=x.exe", "MZ", KindProgram},
		"macro document":             {"application/octet-stream", "attachment; filename=x.docm", docx, KindDocument | KindProgram},
		"sound":                      {"audio/mpeg", "attachment; filename=x.mp3", "ID3", 0},
		"no idea":                    {"application/octet-stream", "attachment; filename=x.q7q", "\x01\x02", KindUnreadable},
		"empty":                      {"application/octet-stream", "attachment; filename=x.bin", "", 0},
		"text file":                  {"text/plain", "attachment; filename=notes.txt", "hello", KindDocument},
		"encrypted by hand":          {"application/octet-stream", "attachment; filename=notes.pdf.gpg", "\x85\x01", KindUnreadable},
		"embedded message":           {"message/rfc822", "attachment", "Subject: x\r\n\r\ny", KindDocument},
		"tnef":                       {"application/ms-tnef", "attachment; filename=winmail.dat", "\x78\x9f\x3e\x22", KindArchive},
		"svg that says it is a text": {"text/plain", "attachment; filename=a.txt", "<svg xmlns=", KindDocument | KindImage},
	} {
		m := attachedMail(t, tc.kind, tc.disposition, tc.content)
		var got []Kind
		for p := range m.Attachments() {
			got = append(got, p.Kinds())
		}
		if len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s: %b, want [%b]", name, got, tc.want)
		}
	}
	for range bodyMail(t, "html", "<p>Hello</p>").Attachments() {
		t.Error("the text of a message is no attachment")
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	mz := "MZ" + strings.Repeat("\x00", 80)
	zip := func(files ...string) string { return string(zipped(t, files...)) }
	docx := []string{"[Content_Types].xml", "<Types/>", "word/document.xml", "<w:document/>"}
	for name, tc := range map[string]struct{ file, content, want string }{
		"by name":              {"run.EXE", "x", ".exe"},
		"by content":           {"report.pdf", mz, ".exe"},
		"a script by content":  {"report", "#!/bin/sh\necho", ".sh"},
		"macros by name":       {"form.docm", zip(docx...), ".docm"},
		"macros by content":    {"form.docx", zip(append(docx, "word/vbaProject.bin", "\x01")...), ".docm"},
		"in an archive":        {"a.zip", zip("a/b/setup.msi", "x"), ".msi"},
		"by content in it":     {"a.zip", zip("readme.txt", "Hello", "notes.txt", mz), ".exe"},
		"two deep":             {"a.zip", zip("inner.zip", zip("run.vbs", "x")), ".vbs"},
		"compressed":           {"run.gz", string(gzipped(t, []byte(mz))), ".exe"},
		"in a mail":            {"a.eml", "Subject: x\r\nContent-Type: application/octet-stream; name=\"x.scr\"\r\n\r\nx\r\n", ".scr"},
		"a document":           {"form.docx", zip(docx...), ""},
		"an archive with none": {"a.zip", zip("photo.jpg", "\xff\xd8\xff", "notes.txt", "Hello"), ""},
		"no idea":              {"x.q7q", "\x01\x02", ""},
	} {
		m := attachedMail(t, "application/octet-stream", "attachment; filename=\""+tc.file+"\"", tc.content)
		for p := range m.Attachments() {
			if got := p.ProgramType(); got != tc.want || (p.Kinds()&KindProgram != 0) != (tc.want != "") {
				t.Errorf("%s: %q and kinds %b, want %q", name, got, p.Kinds(), tc.want)
			}
		}
	}
	m := attachedMail(t, "text/javascript", "attachment", "x")
	for p := range m.Attachments() {
		if got := p.ProgramType(); got != "text/javascript" {
			t.Errorf("by type: %q", got)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"See https://example.org/x": true, "www.example.org": true, "at example.org/menu": true, "HTTP://EXAMPLE.ORG": true,
		"and/or": false, "Mon.Tue": false, "write to a@example.org": false, "Hello\n\n> https://example.org": false, "It costs 3.50/hour": false,
	} {
		if got := bodyMail(t, "plain", body).Links(); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
	for body, want := range map[string]bool{
		`<a href="https://example.org">here</a>`: true, `<a href="mailto:a@example.org">here</a>`: false, `<a href="#top">here</a>`: false,
		`<a href=" //example.org">here</a>`: true, `<form action="https://example.org">`: true, "<a href='ht\ntps://example.org'>x</a>": true,
		`<p>Hi</p><blockquote type="cite"><a href="https://example.org">here</a></blockquote>`: false,
	} {
		if got := bodyMail(t, "html", body).Links(); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}

func TestRemoteImages(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`<img src="https://example.org/p.gif">`: true, `<img src="cid:x">`: false, `<img src="data:image/png;base64,AA==">`: false,
		`<img srcset="x.png 1x, //example.org/p.gif 2x">`: true, `<td background="http://example.org/b.png">`: true,
		`<div style="background:url('https://example.org/b.png')">`: true, `<style>@import "https://example.org/x.css";</style>`: true,
		`<style>p{color:red}</style>`: false, `<link rel=stylesheet href="https://example.org/f.css">`: true, `<a href="https://example.org">x</a>`: false,
		`<blockquote type="cite"><img src="http://example.org/p"></blockquote>`: true, `<!--[if mso]><v:image src="http://example.org/p"/><![endif]-->`: true,
		`<img src='\\example.org\p.gif'>`: true, `<p>never closed <img src="http://example.org/p`: true,
	} {
		if got := bodyMail(t, "html", body).RemoteImages(); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}

func TestKissesAtTheEnd(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"See you xx": "See you", "See you. xx": "See you.", "See you soon!\nMaya x": "See you soon!\nMaya", "See you xxx\n\nMaya": "See you\n\nMaya",
		"Bye XOXO": "Bye", "Bye x x x": "Bye", "Bye \U0001F618\U0001F618": "Bye", "x": "", "Bye,x": "Bye,", "Love\nM\nxx": "Love\nM\n",
		"Solve for x": "Solve for x", "3 x": "3 x", "I saw an ox": "I saw an ox", "max": "max", "the xx of it": "the xx of it", "Foxx": "Foxx",
	} {
		got := body
		rs := kisses(body)
		for i := len(rs) - 1; i >= 0; i-- {
			got = got[:rs[i].Start] + got[rs[i].End:]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
		if has := bodyMail(t, "plain", body).Kisses(); has != (want != body) {
			t.Errorf("%q: kisses %v", body, has)
		}
	}
	if bodyMail(t, "plain", "Thanks\n\nOn 1 May 2026, Anna <anna@example.org> wrote:\n> love xx").Kisses() {
		t.Error("quoted kisses are the client's")
	}
}

func TestNewWordsCountsAlternativesOnce(t *testing.T) {
	t.Parallel()
	m := parseText(t, "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\none two\n> three four\n--b\nContent-Type: text/html\n\n<p>one two three</p>\n--b--\n")
	if n := m.NewWords(func(s string) int { return len(strings.Fields(s)) }); n != 3 {
		t.Errorf("%d words, want 3", n)
	}
}

func TestALockIsSeenAcrossPieces(t *testing.T) {
	t.Parallel()
	const doc = "%PDF-1.7 ... /Encrypt 5 0 R"
	for size := 1; size < len(doc); size++ {
		var s sealMark
		s.start([]byte(doc))
		for at := 0; at < len(doc); at += size {
			s.feed([]byte(doc[at:min(len(doc), at+size)]))
		}
		if !s.found {
			t.Errorf("in pieces of %d bytes it is not seen", size)
		}
	}
}
