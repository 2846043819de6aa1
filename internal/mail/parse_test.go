package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const topFields = "From: Maya <maya@willowhouse.example>\nTo: anna@example.org\nSubject: Hello\n"

// badInput is one case of the bad-input table: a message and the defect that it must have.
type badInput struct {
	name, mail, defect string
	want               Disposition
}

func runBad(t *testing.T, list []badInput) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := parseBytes(t, []byte(crlf(c.mail)))
			if c.defect == "" {
				if w, name := worst(m); w > c.want {
					t.Errorf("defect %s", name)
				}
				return
			}
			i := slices.IndexFunc(m.Defects, func(d Defect) bool { return d.Name == c.defect })
			if i < 0 {
				t.Fatalf("no defect %s in %v", c.defect, m.Defects)
			}
			d := m.Defects[i]
			if d.Default != c.want {
				t.Errorf("%s is %v, want %v", c.defect, d.Default, c.want)
			}
			if d.Default > AcceptAsRead && d.Fix == "" {
				t.Errorf("%s says no fix", c.defect)
			}
		})
	}
}

func TestB21_DuplicateFields(t *testing.T) {
	t.Parallel()
	var list []badInput
	for _, f := range []string{"From: b@example.org", "To: b@example.org", "Subject: x", "Date: x", "Message-ID: <a@b>", "Content-Type: text/plain",
		"CC: a@example.org\nCc: b@example.org", "Bcc: a@example.org\nbcc: b@example.org"} {
		extra := f
		if strings.HasPrefix(f, "Date") || strings.HasPrefix(f, "Message") || strings.HasPrefix(f, "Content") {
			extra = f + "\n" + f
		}
		list = append(list, badInput{f, topFields + extra + "\n\nx\n", defDuplicateField, RejectIt})
	}
	runBad(t, list)
	m := parseBytes(t, []byte(crlf(topFields+"subject: y\n\nx")))
	if m.Defects[0].Detail != "subject" || m.Defects[0].Offset == 0 {
		t.Errorf("the defect does not name the field: %+v", m.Defects[0])
	}
}

func TestB22_From(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"none", "To: a@example.org\n\nx", defNoFrom, RejectIt},
		{"two", "From: a@example.org, b@example.org\n\nx", defManyFrom, RejectIt},
		{"group", "From: us: a@example.org;\n\nx", defGroupFrom, RejectIt},
		{"empty", "From: <>\n\nx", defBadFrom, RejectIt},
		{"no address", "From: Maya\n\nx", defBadFrom, RejectIt},
		{"text behind", "From: <a@example.org> b\n\nx", defBadFrom, RejectIt},
		{"comment", "From: a@example.org (Maya)\n\nx", "", AcceptAsRead},
		{"encoded", "From: =?utf-8?q?M=C3=A2ya?= <a@example.org>\n\nx", "", AcceptAsRead},
		{"undisclosed", "From: a@example.org\nTo: undisclosed-recipients:;\n\nx", "", AcceptAsRead},
		{"group in To", "From: a@example.org\nTo: Clients: b@example.org, c@example.org;\n\nx", defGroup, HoldIt},
	})
}

func TestB23B24B25_Header(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"no colon", topFields + "nonsense\n\nx", defNoColon, RejectIt},
		{"no blank line", topFields + "Hello Anna\n", defNoColon, RejectIt},
		{"space before colon", "From : a@example.org\n\nx", defSpaceColon, RejectIt},
		{"first folded", " folded\n" + topFields + "\nx", defFoldedFirst, RejectIt},
		{"control in name", topFields + "Sub\x01ject: x\n\nx", defNoColon, RejectIt},
		{"control in value", "From: a@example.org\nSubject: a\x07b\n\nx", defHeaderControl, RejectIt},
		{"blank fold", topFields + "X-A: b\n \n\nx", defBlankFold, HoldIt},
		{"large", topFields + strings.Repeat("X-A: "+strings.Repeat("b", 900)+"\n", 400) + "\nx", defHeaderTooLarge, RejectIt},
		{"1001 fields", topFields + strings.Repeat("X-A: b\n", 1001) + "\nx", defTooManyFields, RejectIt},
		{"long line", topFields + "X-A: " + strings.Repeat("b", 1000) + "\n\nx", defLongHeaderLine, AcceptAsRead},
		{"500 folds", topFields + "X-A: b\n" + strings.Repeat(" c\n", 500) + "\nx", "", AcceptAsRead},
		{"latin-1", "From: a@example.org\nSubject: caf\xe9\n\nx", defHeader8bit, RejectIt},
		{"utf-8", "From: a@example.org\nSubject: caf\u00e9\n\nx", defHeaderUTF8, AcceptAsRead},
		{"nul", "From: a@example.org\nSubject: a\x00b\n\nx", defNUL, RejectIt},
	})
}

func TestB26_EncodedWords(t *testing.T) {
	t.Parallel()
	word := func(s string) string { return "From: a@example.org\nSubject: " + s + "\n\nx" }
	runBad(t, []badInput{
		{"crlf", word("=?utf-8?q?a=0D=0ABcc:_x?="), defWordControl, RejectIt},
		{"nul", word("=?utf-8?b?YQBi?="), defWordControl, RejectIt},
		{"charset", word("=?x-klingon?q?a?="), defWordCharset, HoldIt},
		{"overlong", word("=?utf-8?q?=C0=AE?="), defWordCharset, HoldIt},
		{"nested", word("=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3F=3D?="), defWordNested, HoldIt},
		{"junk", word("=?utf-8?b?a!!b?="), defWordBad, HoldIt},
		{"long", word("=?utf-8?q?" + strings.Repeat("a", 100) + "?="), defWordLong, AcceptAsRead},
		{"from", "From: =?utf-8?q?a=0Ab?= <a@example.org>\n\nx", defWordControl, RejectIt},
	})
	for in, want := range map[string]string{
		"=?utf-8?q?caf=C3=A9?=":                      "caf\u00e9",
		"=?utf-8?q?a?= =?utf-8?q?b?=":                "ab",
		"=?utf-8?q?a?=\t =?iso-8859-1?q?=E9?=":       "a\u00e9",
		"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=":          "\u00e9",
		"x =?utf-8?q?b_c?= y":                        "x b c y",
		"no word =? here":                            "no word =? here",
		"=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=": "\u3053\u3093\u306b\u3061\u306f",
		"=?utf-8*en?q?a?=":                           "a",
	} {
		if got, _ := decodeWords(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestB28_Names(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"other address", "From: a@example.org\nTo: \"b@example.org\" <c@example.org>\n\nx", defNameTrick, HoldIt},
		{"same address", "From: a@example.org\nTo: \"C@example.org\" <c@example.org>\n\nx", "", AcceptAsRead},
		{"override", "From: =?utf-8?q?a=E2=80=AEb?= <a@example.org>\n\nx", defNameTrick, HoldIt},
		{"look-alike", "From: a@example.org\nTo: a@ex\u0430mple.org\n\nx", defMixedScript, HoldIt},
	})
}

func TestB29B30_DateIDAndLoop(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"1970", topFields + "Date: Thu, 1 Jan 1970 00:00:00 +0000\n\nx", defBadDate, AcceptAsRead},
		{"garbage", topFields + "Date: tomorrow\n\nx", defBadDate, AcceptAsRead},
		{"no id", topFields + "Message-ID: x\n\nx", defBadMessageID, AcceptAsRead},
		{"loop", topFields + strings.Repeat("Received: from a by b\n", 101) + "\nx", defLoop, RejectIt},
	})
}

func multi(ct, body string) string { return topFields + "Content-Type: " + ct + "\n\n" + body }

func TestB32B34_Boundaries(t *testing.T) {
	t.Parallel()
	two := "--b\n\na\n--b\n\nc\n--b--\n"
	runBad(t, []badInput{
		{"absent", multi("multipart/mixed", two), defNoBoundary, RejectIt},
		{"empty", multi(`multipart/mixed; boundary=""`, two), defNoBoundary, RejectIt},
		{"two", multi("multipart/mixed; boundary=a; boundary=b", two), defBoundary, RejectIt},
		{"segments", multi("multipart/mixed; boundary*0=b; boundary=b", two), defBoundary, RejectIt},
		{"71", multi("multipart/mixed; boundary="+strings.Repeat("b", 71), "--"+strings.Repeat("b", 71)+"\n\na\n--"+strings.Repeat("b", 71)+"--\n"), defBoundaryLong, HoldIt},
		{"same inside", multi("multipart/mixed; boundary=b", "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"), defBoundary, RejectIt},
		{"unterminated", multi("multipart/mixed; boundary=b", "--b\n\na\n"), defUnterminated, HoldIt},
		{"none", multi("multipart/mixed; boundary=b", "a\n"), defNoParts, HoldIt},
		{"preamble", multi("multipart/mixed; boundary=b", "hidden\n"+two), defPreamble, HoldIt},
		{"epilogue", multi("multipart/mixed; boundary=b", two+"hidden\n"), defPreamble, HoldIt},
		{"customary preamble", multi("multipart/mixed; boundary=b", "This is a multi-part message in MIME format.\n"+two), "", AcceptAsRead},
		{"after close", multi("multipart/mixed; boundary=b", two+"--b\n\nmore\n"), defBoundaryAfter, HoldIt},
		{"look-alike", multi("multipart/mixed; boundary=b", "--bx\n"+two), defBoundaryPrefix, HoldIt},
		{"in base64", multi("multipart/mixed; boundary=b", "--b\nContent-Transfer-Encoding: base64\n\nYQ==\n--bx\n--b--\n"), defBase64, HoldIt},
		{"malformed type", multi("multipart mixed; boundary=b", two), defBadMultiType, HoldIt},
		{"no semicolon", multi("multipart/mixed boundary=b", two), defBadMultiType, HoldIt},
		{"not quoted", multi("multipart/mixed; boundary==b", strings.ReplaceAll(two, "--b", "--=b")), defBadMultiType, HoldIt},
		{"blanks behind", multi("multipart/mixed; boundary=b", "--b \t\n\na\n--b--  \n"), "", AcceptAsRead},
		{"bare cr", multi("multipart/mixed; boundary=b", "--b\n\na\r\r--b\n\n--b--\n"), defBareCR, RejectIt},
		{"no colon in part", multi("multipart/mixed; boundary=b", "--b\nhello\n--b--\n"), defPartNoColon, HoldIt},
	})
}

func TestB33_DepthAndParts(t *testing.T) {
	t.Parallel()
	nest := func(n int) string {
		var b strings.Builder
		b.WriteString(topFields)
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		b.WriteString("\nx\n")
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "--b%d--\n", i)
		}
		return b.String()
	}
	runBad(t, []badInput{
		{"depth 20", nest(19), "", AcceptAsRead},
		{"depth 21", nest(20), defTooDeep, RejectIt},
		{"501 parts", multi("multipart/mixed; boundary=b", strings.Repeat("--b\n\nx\n", 500)+"--b--\n"), defTooManyParts, RejectIt},
		{"500 parts", multi("multipart/mixed; boundary=b", strings.Repeat("--b\n\nx\n", 499)+"--b--\n"), "", AcceptAsRead},
	})
	m := parseBytes(t, []byte(crlf(nest(21))))
	if _, err := m.Write(io.Discard, Draft{ID: sampleID}); err == nil {
		t.Error("a message that was not read to its end is written")
	}
}

func heapGrowth(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

func TestB35_Encodings(t *testing.T) {
	t.Parallel()
	leaf := func(cte, body string) string { return topFields + "Content-Transfer-Encoding: " + cte + "\n\n" + body }
	runBad(t, []badInput{
		{"twice", topFields + "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nYQ==\n", defDuplicateField, HoldIt},
		{"unknown", leaf("x-uue", "a\n"), defBadEncoding, HoldIt},
		{"on multipart", topFields + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n", defEncodingMulti, HoldIt},
		{"junk", leaf("base64", "YQ==!\n"), defBase64, HoldIt},
		{"padding inside", leaf("base64", "YQ==YQ==\n"), defBase64, HoldIt},
		{"no padding", leaf("base64", "YQ\n"), defBase64, HoldIt},
		{"soft break with blanks", leaf("quoted-printable", "a= \nb\n"), defQP, HoldIt},
		{"bad escape", leaf("quoted-printable", "a=XYb\n"), defQP, HoldIt},
		{"lower case", leaf("Quoted-Printable", "a=c3=a9b=\n\n"), "", AcceptAsRead},
	})
}

func TestB36B37_FilesAndNames(t *testing.T) {
	t.Parallel()
	file := func(ct, cd, body string) string {
		return topFields + "Content-Type: " + ct + "\nContent-Disposition: " + cd + "\n\n" + body
	}
	runBad(t, []badInput{
		{"program as pdf", file("application/pdf", "attachment; filename=a.pdf", "MZ"+strings.Repeat("\x00a", 100)), defTypeMismatch, HoldIt},
		{"html as jpg", file("image/jpeg", "attachment; filename=a.jpg", "<html><script>x</script>"), defTypeMismatch, HoldIt},
		{"path", file("text/plain", `attachment; filename="../../x.txt"`, "a"), defFilename, AcceptAsRead},
		{"override", file("text/plain", "attachment; filename*=utf-8''a%E2%80%AEfdp.exe", "a"), defFilename, AcceptAsRead},
		{"device", file("text/plain", "attachment; filename=CON", "a"), defFilename, AcceptAsRead},
		{"long", file("text/plain", "attachment; filename="+strings.Repeat("a", 4096)+".pdf", "a"), defFilename, AcceptAsRead},
		{"conflict", file("text/plain", "attachment; filename=a.pdf; filename*=utf-8''b.exe", "a"), defFilenameConflict, HoldIt},
		{"same", file("text/plain", "attachment; filename=a.pdf; filename*=utf-8''a.pdf", "a"), "", AcceptAsRead},
	})
	for in, want := range map[string]string{`..\..\a.txt`: "a.txt", "CON.txt": "file-CON.txt", "..": "file", "a\x00b": "ab", " a ": "a"} {
		if got := cleanFilename(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestB39B41_TypesAndCharsets(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"partial", multi("message/partial; id=a; number=1; total=2", "x\n"), defPartial, RejectIt},
		{"external", multi("message/external-body; access-type=url", "\nx\n"), defExternal, RejectIt},
		{"replace", multi("multipart/x-mixed-replace; boundary=b", "--b\n\nx\n--b--\n"), defReplace, RejectIt},
		{"tnef", multi("application/ms-tnef; name=winmail.dat", "x\n"), defTNEF, HoldIt},
		{"winmail", multi("application/octet-stream; name=WINMAIL.DAT", "x\n"), defTNEF, HoldIt},
		{"message within message", topFields + "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nFrom: a@example.org\n\nhello\n", defBareMessage, HoldIt},
		{"encoded message", topFields + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nRnJvbTogYQ==\n", defEncodedMessage, HoldIt},
		{"utf-7", multi("text/plain; charset=utf-7", "+ADw-\n"), defCharsetUTF7, HoldIt},
		{"utf-16", topFields + "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAGEAYg==\n", defCharsetUTF16, HoldIt},
		{"unknown", multi("text/plain; charset=x-none", "a\n"), defUnknownCharset, HoldIt},
		{"overlong", multi("text/plain; charset=utf-8", "a\xc0\xaeb\n"), defOverlongUTF8, HoldIt},
		{"bad utf-8", multi("text/plain; charset=utf-8", "a\xffb\n"), defBadUTF8, AcceptAsRead},
		{"unlabelled", topFields + "\ncaf\xe9\n", defUnlabelled8bit, AcceptAsRead},
	})
}

func TestB44_Sizes(t *testing.T) {
	t.Parallel()
	runBad(t, []badInput{
		{"nothing", "", defNoFrom, RejectIt},
		{"empty body", topFields + "\n", "", AcceptAsRead},
		{"no body", topFields, "", AcceptAsRead},
		{"empty file", multi("application/pdf; name=a.pdf", ""), "", AcceptAsRead},
		{"10 MB line", topFields + "\n" + strings.Repeat("a", 10_000_000), defTextTooLong, HoldIt},
		{"long line", topFields + "\n" + strings.Repeat("a", 2000), defLongLine, AcceptAsRead},
		{"only file", multi("multipart/mixed; boundary=b", "--b\nContent-Disposition: attachment; filename=a.txt\n\n\n--b--\n"), "", AcceptAsRead},
	})
	b := []byte(crlf(topFields + "\nx"))
	lim := DefaultLimits()
	lim.Bytes = 10
	m, err := Parse(bytes.NewReader(b), int64(len(b)), lim)
	if w, _ := worst(m); err != nil || w != RejectIt {
		t.Errorf("too large: %v %v", w, err)
	}
}

type brokenReader struct{}

var errBroken = errors.New("broken")

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestReadFailureIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Parse(brokenReader{}, 10, DefaultLimits()); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if _, err := Parse(bytes.NewReader([]byte("From: a")), 100, DefaultLimits()); err == nil {
		t.Error("a source that is shorter than its size is read")
	}
}

// TestBoundedMemory reads and writes a large attachment, and a million parts. It is not
// parallel, because it measures the whole process.
func TestBoundedMemory(t *testing.T) {
	many := []byte(crlf(multi("multipart/mixed; boundary=b", strings.Repeat("--b\n\nx\n", 1_000_000))))
	if grown := heapGrowth(func() { parseBytes(t, many) }); grown > 4<<20 {
		t.Errorf("a million parts cost %d bytes", grown)
	}
	text := []byte(crlf(topFields + "\n" + strings.Repeat("seven words of text in a line\n", 1_000_000)))
	lim := DefaultLimits()
	lim.TextBytes = 1 << 20
	if grown := heapGrowth(func() {
		if m, err := Parse(bytes.NewReader(text), int64(len(text)), lim); err != nil || len(m.Root.Text) != 1<<20 {
			t.Error(err, len(m.Root.Text))
		}
	}); grown > 16<<20 {
		t.Errorf("a long text costs %d bytes", grown)
	}
	line := strings.Repeat("QUJD", 19) + "\r\n"
	b := []byte(crlf(multi("application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64", "")) + strings.Repeat(line, 400_000))
	lim = DefaultLimits()
	lim.Bytes = 1 << 30
	grown := heapGrowth(func() {
		m, err := Parse(bytes.NewReader(b), int64(len(b)), lim)
		if err != nil || len(m.Defects) > 0 {
			t.Error(err, m.Defects)
		}
		if _, err := m.Write(io.Discard, Draft{ID: sampleID, First: []string{"Hello"}}); err != nil {
			t.Error(err)
		}
	})
	if grown > 2<<20 {
		t.Errorf("%d bytes of message cost %d bytes", len(b), grown)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range sampleMails() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := parseBytes(t, b)
		m.NewText()
		for p, s := range m.Texts() {
			if p == nil || !strings.Contains(strings.ToValidUTF8(s, ""), "") {
				t.Fatal("a text without a part")
			}
		}
		for p := range m.Parts() {
			if p.Header.Start > p.Header.End || p.Header.End > p.Body.Start || p.Body.Start > p.Body.End || p.Body.End > m.Size {
				t.Fatalf("part %s: header %v, body %v of %d", p.Path, p.Header, p.Body, m.Size)
			}
			if len(p.Parts) > 0 && p.Parts[0].Header.Start < p.Body.Start {
				t.Fatalf("part %s starts before its container", p.Path)
			}
		}
	})
}

func FuzzEncodedWord(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?a?=", "caf\u00e9", "=?utf-8?b?YQ==?= x", "a =?x", "\u0627\u0644"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		read, _ := decodeWords(s)
		checkSubject(t, read)
	})
}

func BenchmarkParse(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	mail := []byte(crlf(multi("application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64", "")) + strings.Repeat(line, 100_000))
	b.SetBytes(int64(len(mail)))
	for b.Loop() {
		parseBytes(b, mail)
	}
}
