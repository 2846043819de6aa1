package oracle

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	mailbox = "brim.quen42@mailbox.example"
	person  = "Brimölda Quensterby"
	phone   = "7700900123"
	domain  = "bröllop.example"
)

func canaries() []Canary {
	return []Canary{{"mailbox", []string{mailbox}}, {"name", []string{person, "Quensterby Brimölda"}}, {"phone", []string{phone}}, {"domain", []string{domain}}}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func zipOf(name, content, comment string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create(name)
	w.Write([]byte(content))
	z.SetComment(comment)
	z.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func gzipped(name, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = name
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func quoted(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func each(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

func utf16Of(s string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// Each way of writing is found by itself, so that the oracle's silence means something.
func TestEveryFormIsFound(t *testing.T) {
	t.Parallel()
	o, err := New(canaries())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, want string }{
		"plain":                      {"write to " + mailbox + " now", "mailbox"},
		"capitals":                   {"BRIM.QUEN42@Mailbox.EXAMPLE", "mailbox"},
		"broken over lines":          {"> Brimölda\r\n> Quensterby", "name"},
		"written backwards":          {"QUENSTERBY, Brimölda", "name"},
		"without its accent":         {"brimolda_quensterby.pdf", "name"},
		"Latin-1":                    {"Brim\xf6lda Quensterby", "name"},
		"decomposed":                 {"Brimo\u0308lda Quensterby", "name"},
		"full width":                 {"ｂｒｉｍ．ｑｕｅｎ４２＠ｍａｉｌｂｏｘ．ｅｘａｍｐｌｅ", "mailbox"},
		"zero width":                 {"Brim\u200bölda\u00ad Quensterby", "name"},
		"phone":                      {"+44 (0)7700-900 123", "phone"},
		"phone in another script":    {"٠٧٧٠٠ ٩٠٠١٢٣", "phone"},
		"UTF-16, little":             {"\xff\xfe" + utf16Of("about "+person+" and more", false), "name"},
		"UTF-16, big":                {"x" + utf16Of("about "+person+" and more", true), "name"},
		"UTF-16 of ASCII":            {utf16Of(mailbox, false), "mailbox"},
		"UTF-7":                      {"about +" + strings.TrimRight(b64(utf16Of(person, true)), "=") + "- and", "name"},
		"base64":                     {b64("x" + mailbox), "mailbox"},
		"base64, one in":             {b64("to " + mailbox)[1:], "mailbox"},
		"base64, two in":             {"A" + b64("too "+mailbox), "mailbox"},
		"base64, three in":           {"AAA" + b64(mailbox), "mailbox"},
		"base64 in lines":            {b64("xx " + mailbox)[:11] + "\r\n" + b64("xx " + mailbox)[11:], "mailbox"},
		"base64 for URLs":            {"?u=" + base64.URLEncoding.EncodeToString([]byte("\xff\xfe\xfb"+mailbox)), "mailbox"},
		"base64 of base64":           {b64(b64(mailbox)), "mailbox"},
		"quoted-printable":           {each(mailbox, "=%02X"), "mailbox"},
		"soft line breaks":           {quoted(strings.Repeat("a", 70) + " " + person), "name"},
		"soft breaks with spaces":    {"brim.quen42=  \r\n@mail=40x"[:13] + "=  \r\n=40mailbox.example", "mailbox"},
		"encoded word, Q":            {mime.QEncoding.Encode("utf-8", "ö "+person), "name"},
		"encoded word, B":            {mime.BEncoding.Encode("utf-8", "ö "+person), "name"},
		"encoded words, cut":         {"=?utf-8?Q?Brim=C3=B6?=\r\n =?iso-8859-1?B?" + b64("lda Quen") + "?= =?utf-8?q?sterby?=", "name"},
		"RFC 2231":                   {"filename*=utf-8''" + url.PathEscape(person), "name"},
		"RFC 2231 pieces":            {"filename*0=\"Brim\"; filename*1*=%C3%B6lda%20Q;\r\n filename*2=uensterby", "name"},
		"percent":                    {"https://x.example/?q=" + url.QueryEscape(person), "name"},
		"percent twice":              {url.QueryEscape(url.QueryEscape(mailbox)), "mailbox"},
		"entities":                   {"Brim&ouml;lda &#81;&#x75;ensterby", "name"},
		"tags between":               {"<b>Br</b>im&#246;<i class=x>lda</i><br>Quen<wbr>sterby", "name"},
		"comment":                    {"<!-- Brimölda Quensterby -->", "name"},
		"attribute":                  {"<img alt='Brimölda Quensterby'>", "name"},
		"hex":                        {hex.EncodeToString([]byte(mailbox)), "mailbox"},
		"hex in a PDF":               {"<" + strings.ToUpper(hex.EncodeToString([]byte("\xfe\xff"+utf16Of(person, true)))) + ">", "name"},
		"JSON":                       {`{"n":"Brim\u00f6lda Quensterby"}`, "name"},
		"octal":                      {`(Brim\366lda Quen\163terby)`, "name"},
		"RTF":                        {`{\rtf1 Brim\'f6lda {\b Quen}\b0 sterby}`, "name"},
		"RTF, wide":                  {`{\rtf1 Brim\u246?lda Quensterby}`, "name"},
		"pieces in a PDF":            {"[(Brim\xf6) -20 (lda Q) 300 (uensterby)] TJ", "name"},
		"folded calendar line":       {"SUMMARY:Brimölda Quen\r\n sterby", "name"},
		"punycode":                   {"@xn--brllop-xxa.example", "domain"},
		"uuencode":                   {"begin 644 a\r\n;8G)I;2YQ=65N-#) ;6%I;&)O>\"YE>&%M<&QE\r\n`\r\nend\r\n", "mailbox"},
		"gzip":                       {gzipped("", person), "name"},
		"name in gzip":               {gzipped("brim.quen42@mailbox.example", "x"), "mailbox"},
		"ZIP":                        {zipOf("a.txt", person, ""), "name"},
		"ZIP entry":                  {zipOf("brimolda quensterby.txt", "x", ""), "name"},
		"ZIP comment":                {zipOf("a", "x", mailbox), "mailbox"},
		"ZIP in ZIP in base64":       {b64(zipOf("a.zip", zipOf("b.txt", person, ""), "")), "name"},
		"deflate in a PDF":           {"stream\n" + deflated("BT ("+person+") Tj ET") + "\nendstream", "name"},
		"office file":                {b64(zipOf("word/document.xml", "<w:t>Brim</w:t><w:t>ölda</w:t> <w:t>Quensterby</w:t>", "")), "name"},
		"entities inside QP inside":  {quoted("Brim&#246;lda &#81;uensterby = x"), "name"},
		"a vCard in base64 in a ZIP": {zipOf("x", b64("FN:"+person), ""), "name"},
	} {
		found, err := o.Look([]byte("Subject: x\r\n\r\n" + c.data + "\r\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ok := false
		for i := range found {
			ok = ok || o.Canary(i).Name == c.want
		}
		if !ok {
			t.Errorf("%s: the %s is not found in %q: %v", name, c.want, c.data, found)
		}
	}
}

func TestNothingIsFoundWhereNothingIs(t *testing.T) {
	t.Parallel()
	o, err := New(canaries())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"", "Brimölda went home. Then Quensterby came.", "brim.quen@mailbox.example", "07700 900124", strings.Repeat("AAAA", 9000), strings.Repeat("\x78\x9c", 500)} {
		if found, err := o.Look([]byte(s)); len(found) > 0 || err != nil {
			t.Errorf("%.40q: %v %v", s, found, err)
		}
	}
}

// What is too short to be told from chance is refused, and what is too deep is not passed over.
func TestOracleSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	if _, err := New([]Canary{{"short", []string{"a-b-c-1"}}}); err == nil {
		t.Error("took a canary of four letters")
	}
	o, err := New(canaries())
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("x", noise) + mailbox
	for range maxDepth + 2 {
		deep = b64(deep)
	}
	if found, err := o.Look([]byte(deep)); err == nil {
		t.Errorf("said nothing about what it did not read: %v", found)
	}
	for want, n := range map[string]int{"brölløp": 7, "straße": 7, "Œuvre": 6} {
		if got := squeeze(nil, []byte(want)); len(got) != n || slices.ContainsFunc(got, func(c byte) bool { return c >= 0x80 }) {
			t.Errorf("%s: %q", want, got)
		}
	}
}
