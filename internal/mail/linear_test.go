package mail

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// hostileShapes are messages made to cost more than their size, in about n bytes: rows B33 to
// B45 of the bad-input table, and what else repeats.
func hostileShapes(t testing.TB) map[string]func(n int) []byte {
	rep := func(unit string, n int) string { return strings.Repeat(unit, max(n/len(unit), 1)) }
	shapes := map[string]func(n int) []byte{}
	header := func(name, before, unit, after string) {
		shapes["header: "+name] = func(n int) []byte {
			// In lines: one field of a few hundred KB is refused, but is read.
			return []byte(crlf(before + wrapAt(rep(unit, n), "\n ") + after + "\n\nx\n"))
		}
	}
	subject, to := topFields[:strings.Index(topFields, "Subject")]+"Subject: ", "From: a@example.org\nTo: "
	header("open words", subject, "=?a?q? ", "")
	header("words", subject, "=?utf-8?q?=C3=A9?= ", "")
	header("base64 words", subject, "=?iso-2022-jp?b?GyRCJCIbKEI=?= ", "")
	header("half characters", subject, "=?utf-8?b?ww==?= ", "")
	header("question marks", subject, "=?", "")
	header("blanks", subject, " ", "x")
	header("letters", subject, "\u00e9", "")
	header("open comments", to, "(", "")
	header("closed comments", to, "()", "")
	header("nested comments", to, "(", strings.Repeat(")", 40))
	header("open quotes", to, `"`, "")
	header("quoted pairs", to+`"`, `\"`, "")
	header("mailboxes", to, "a@b.example, ", "")
	header("groups", to, "a:b@c.example;", "")
	header("angles", to, "<", "")
	header("commas", to, ",", "")
	header("ids", topFields+"References: ", "<a@b> ", "")
	header("open ids", topFields+"References: ", "<", "")
	header("parameters", topFields+"Content-Type: text/plain", "; a=b", "")
	header("open parameters", topFields+"Content-Type: text/plain", "; a=\"", "")
	header("no parameters", topFields+"Content-Type: text/plain", "; ", "")
	header("comments of a type", topFields+"Content-Type: ", "(a)", "text/plain")
	header("pieces of a name", topFields+"Content-Disposition: attachment", "; filename*0*=%41", "")
	shapes["header: numbered pieces"] = func(n int) []byte {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, ";\n filename*%d*=%%41", i)
		}
		return []byte(crlf(topFields + "Content-Disposition: attachment" + b.String() + "\n\nx"))
	}
	shapes["header: fields"] = func(n int) []byte { return []byte(crlf(topFields + rep("X-A: b\n", n) + "\nx")) }
	shapes["header: equal fields"] = func(n int) []byte { return []byte(crlf(topFields + rep("To: b@example.org\n", n) + "\nx")) }
	shapes["header: folds"] = func(n int) []byte { return []byte(crlf(topFields + "X-A: b\n" + rep(" c\n", n) + "\nx")) }
	shapes["header: blank folds"] = func(n int) []byte { return []byte(crlf(topFields + "X-A: b\n" + rep(" \n", n) + "\nx")) }
	shapes["header: one line"] = func(n int) []byte { return []byte(crlf(topFields + "X-A: " + rep("b", n) + "\n\nx")) }
	shapes["header: received"] = func(n int) []byte { return []byte(crlf(topFields + rep("Received: from a by b\n", n) + "\nx")) }

	body := func(name, kind, unit string) {
		shapes["body: "+name] = func(n int) []byte { return []byte(crlf(topFields + "Content-Type: " + kind + "\n\n" + rep(unit, n))) }
	}
	const mixed = "multipart/mixed; boundary=b"
	body("parts", mixed, "--b\n\nx\n")
	body("empty parts", mixed, "--b\n")
	body("boundary-like lines", mixed, "--bx\n")
	body("boundaries and like", mixed, "--b\n\n--bx\n")
	body("closed again and again", mixed, "--b--\n")
	body("preamble", mixed, "hidden words\n")
	body("unterminated", mixed, "--b\n\n"+strings.Repeat("seven words of text in a line\n", 100))
	body("digest", "multipart/digest; boundary=b", "--b\n\nFrom: a@example.org\n\nx\n")
	body("dashes", mixed, "-")
	body("our own boundaries", "text/plain", "--=_pc0123456789012345678901234567\n")
	body("messages in messages", "message/rfc822", "Content-Type: message/rfc822\n\n")
	body("headers without end", "message/rfc822", "X-A: b\n")
	shapes["body: nested"] = func(n int) []byte {
		var b strings.Builder
		b.WriteString(topFields)
		for i := 0; i < 18; i++ { // as deep as is read; each boundary starts like the one outside
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%s\n\n--b%s\n", strings.Repeat("x", i), strings.Repeat("x", i))
		}
		b.WriteString("\n" + rep("--bxxxxxxxxxxxxxxxxxxxxxxxx\n", n))
		return []byte(crlf(b.String()))
	}
	shapes["body: deeper and deeper"] = func(n int) []byte {
		var b strings.Builder
		b.WriteString(topFields)
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return []byte(crlf(b.String()))
	}
	encoded := func(name, cte, unit string) {
		body(name, "text/plain; charset=utf-8\nContent-Transfer-Encoding: "+cte, unit)
	}
	encoded("base64", "base64", strings.Repeat("QUJD", 19)+"\n")
	encoded("junk in base64", "base64", "!!QU.JD!!\n")
	encoded("padding in base64", "base64", "QQ==")
	encoded("only padding", "base64", "=")
	encoded("soft breaks", "quoted-printable", "=\n")
	encoded("soft breaks with blanks", "quoted-printable", "= \t\n")
	encoded("no escapes", "quoted-printable", "=Z")
	encoded("open escapes", "quoted-printable", "=")
	encoded("blanks behind equals", "quoted-printable", "=        ")
	encoded("8-bit in quoted-printable", "quoted-printable", "\u00e9\n")
	encoded("one line", "7bit", "a")
	encoded("blanks", "7bit", " ")
	encoded("carriage returns", "8bit", "a\r")
	encoded("NUL", "binary", "a\x00")
	for _, cs := range []string{"shift_jis", "iso-2022-jp", "gb18030", "big5", "euc-kr", "utf-16le", "utf-7", "windows-1252", "hz-gb-2312", "koi8-r", "x-none"} {
		body("charset "+cs, "text/plain; charset="+cs, "\x1b$B$\"\x1b(B \x82\xa0 ~{<:Ky~} \xff the\n")
		body("half characters of "+cs, "text/html; charset="+cs, "\x82\xff\x1b$")
	}

	text := func(name, unit string) { body("text: "+name, "text/plain; charset=utf-8", unit) }
	text("words", "the words of the text\n")
	text("empty lines", "\n")
	text("quoted", "> old\n")
	text("quote levels", ">")
	text("quoted in turn", "> old\nnew\n")
	text("started quotes", "On 1 x\n")
	text("attributions", "On Mon, 2 Nov 2026, a@b.example wrote:\n")
	text("attributions without quote", "On Mon, 2 Nov 2026, Anna wrote:\n")
	text("rules", "__________\n")
	text("rules and fields", "__________\nFrom: a\n")
	text("fields", "From: a b\n")
	text("field blocks", "From: a b\nSent: c\nTo: d\n\n")
	text("separators", "-----Original Message-----\n")
	text("half separators", "-----Original")
	text("sign-offs", "-- \nMaya\n")
	text("the lines themselves", strings.ReplaceAll(signLine, " ", "\n"))
	text("the address", "the@")
	text("letters of other scripts", "\u0627\u0644\u0301")
	body("flowed", "text/plain; format=flowed; delsp=yes", "soft \n")
	body("stuffed", "text/plain; format=flowed", " > soft \n")

	html := func(name, unit string) { body("html: "+name, "text/html; charset=utf-8", unit) }
	html("paragraphs", "<p>the words</p>\n")
	html("open paragraphs", "<p>")
	html("open divisions", "<div>")
	html("closed divisions", "</div>")
	html("open angles", "<")
	html("open tags", "<a b=")
	html("open values", "<a b=\"")
	html("attributes", "<a "+strings.Repeat("b=c ", 10)+">x</a>")
	shapes["body: html: many attributes"] = func(n int) []byte {
		return []byte(crlf(multi("text/html", "<p "+wrapAt(rep("b=c ", n), "\n")+">x</p>")))
	}
	shapes["body: html: style"] = func(n int) []byte {
		return []byte(crlf(multi("text/html", "<p style=\""+wrapAt(rep("color:red; ", n), "\n")+"\">x</p>")))
	}
	shapes["body: html: class"] = func(n int) []byte {
		return []byte(crlf(multi("text/html", "<p class=\""+wrapAt(rep("gmail_quot ", n), "\n")+"\">x</p>")))
	}
	html("comments", "<!-- the -->")
	html("open comments", "<!-- the ")
	html("odd comments", "<!-->")
	html("declarations", "<!doctype html>")
	html("references", "&amp;")
	html("half references", "&")
	html("references without end", "&copythe")
	html("numbers", "&#116;he ")
	html("open numbers", "&#")
	html("hidden", "<p hidden>x")
	html("hidden by style", "<p style=\"display:none\">x</p>")
	html("scripts", "<script>x</script>")
	html("open scripts", "<script>")
	html("open titles", "<title>")
	html("text areas", "<textarea>x")
	html("quotes", "<blockquote type=cite>x</blockquote>")
	html("open quotes", "<blockquote type=cite>x")
	html("gmail", "<div class=gmail_quote>x</div>")
	html("outlook", "<div id=divRplyFwdMsg>x</div>")
	html("attributions", "<div>On Mon, 2 Nov 2026, Anna wrote:</div>")
	html("separators", "-----Original Message-----<br>")
	html("lines", "x<br>")
	html("tables", "<table><tr><td>x")
	html("closed tables", "<table><tr><td>x</td></tr></table>")
	html("text in tables", "<table>x")
	html("misnested", "<a><b><p>x</a>")
	html("misnested letters", "<b><i><u></b></i></u>")
	html("open letters", "<b><i>")
	html("letters in paragraphs", "<p><b>")
	html("lists", "<ul><li>x")
	html("options", "<select><option>x")
	html("drawings", "<svg><p>")
	html("formulas", "<math><mi><p>")
	html("templates", "<template><p>")
	html("frames", "<frameset><frame>")
	html("bodies", "<body a=b><html c=d></body>")
	html("heads", "<head><base>")
	html("forms", "<form><input>")
	html("buttons", "<button><p>")
	html("ruby", "<ruby><rt><rp>")
	html("words in one", "the")
	html("the words", "the ")
	html("links", "<a href=\"mailto:the\">the</a>")
	html("pictures", "<img src=\"cid:the@a\">")

	file := func(name, kind, as string, make func(n int) []byte) {
		shapes["file: "+name] = func(n int) []byte { return attached(kind, as, make(n)) }
	}
	plain := func(before, unit, after string) func(n int) []byte {
		return func(n int) []byte { return []byte(before + rep(unit, n) + after) }
	}
	file("calendar", "text/calendar", "a.ics", plain("BEGIN:VCALENDAR\r\n", "ATTENDEE;CN=\"A\":mailto:a@example.org\r\n", "END:VCALENDAR\r\n"))
	file("folded calendar", "text/calendar", "a.ics", plain("BEGIN:VCALENDAR\r\nSUMMARY:", "a\r\n ", "\r\nEND:VCALENDAR\r\n"))
	file("open calendars", "text/calendar", "a.ics", plain("", "BEGIN:VCALENDAR\r\n", ""))
	file("cards", "text/vcard", "a.vcf", plain("", "BEGIN:VCARD\r\nN;ENCODING=QUOTED-PRINTABLE:=41=\r\n=42\r\nEND:VCARD\r\n", ""))
	file("RTF", "application/rtf", "a.rtf", plain(`{\rtf1 `, `\b x\par `, "}"))
	file("RTF groups", "application/rtf", "a.rtf", plain(`{\rtf1 `, "{", ""))
	file("RTF letters", "application/rtf", "a.rtf", plain(`{\rtf1 `, `\u1587?\'e9`, "}"))
	file("RTF data", "application/rtf", "a.rtf", plain(`{\rtf1{\*\objdata `, "01", "}}"))
	file("RTF binary", "application/rtf", "a.rtf", plain(`{\rtf1 `, `\bin1 x`, "}"))
	file("XML depth", "application/xml", "a.xml", plain("<?xml version='1.0'?>", "<a>", ""))
	file("XML attributes", "application/xml", "a.xml", plain("<?xml version='1.0'?><a ", "b='c' ", "/>"))
	file("XML entities", "application/xml", "a.xml", plain("<?xml version='1.0'?><a>", "&amp;&x;", "</a>"))
	file("XML comments", "application/xml", "a.xml", plain("<?xml version='1.0'?><a>", "<!-- b -->", "</a>"))
	file("XML sections", "application/xml", "a.xml", plain("<?xml version='1.0'?><a>", "<![CDATA[b]]>", "</a>"))
	file("PDF objects", "application/pdf", "a.pdf", func(n int) []byte {
		list := make([]string, n/30)
		for i := range list {
			list[i] = "<< /A (b) >>"
		}
		return samplePDF("", list...)
	})
	file("PDF references", "application/pdf", "a.pdf", func(n int) []byte {
		list := make([]string, n/30)
		for i := range list {
			list[i] = fmt.Sprintf("%d 0 R", i+2)
		}
		return samplePDF("", list...)
	})
	file("PDF dictionaries", "application/pdf", "a.pdf", plain("%PDF-1.7\n1 0 obj\n", "<< /A ", "\nendobj\n"))
	file("PDF lists", "application/pdf", "a.pdf", plain("%PDF-1.7\n1 0 obj\n", "[", "\nendobj\n"))
	file("PDF without objects", "application/pdf", "a.pdf", plain("%PDF-1.7\n", "1 0 ", ""))
	file("PDF starts", "application/pdf", "a.pdf", plain("%PDF-1.7\n", "1 0 obj ", ""))
	file("PDF text", "application/pdf", "a.pdf", func(n int) []byte { return pagePDF("BT /F1 1 Tf " + rep("(a) Tj ", n) + "ET") })
	file("PDF strings", "application/pdf", "a.pdf", func(n int) []byte { return pagePDF("BT /F1 1 Tf " + rep("(", n)) })
	file("PDF pages", "application/pdf", "a.pdf", func(n int) []byte {
		list := []string{"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] >>"}
		for range n / 120 {
			list = append(list, "<< /Type /Page /Parent 2 0 R /Contents "+fmt.Sprint(len(list)+2)+" 0 R >>", pdfData("", "BT (a) Tj ET"))
		}
		return samplePDF("", list...)
	})
	for name, unit := range map[string]string{
		"PDF open objects": "1 0 obj << /A [", "PDF data without end": "1 0 obj <<>> stream\n", "PDF open strings": "2 0 obj ((", "PDF hex": "<", "PDF trailers": "trailer << ",
	} {
		file(name, "application/pdf", "a.pdf", func(n int) []byte { return samplePDF("", rep(unit, n)) })
	}
	for name, unit := range map[string]string{"PDF lists in text": "[", "PDF fonts": "/F1 1 Tf (a) Tj ", "PDF images": "BI ID "} {
		file(name, "application/pdf", "a.pdf", func(n int) []byte { return pagePDF(rep(unit, n) + " Tj") })
	}
	file("PDF pages of one content", "application/pdf", "a.pdf", func(n int) []byte {
		return samplePDF("", rep("3 0 obj <</Type/Page/Contents 4 0 R>> ", n/2), "["+rep("9 0 R ", n/2)+"]")
	})
	file("document tags", "application/octet-stream", "a.docx", func(n int) []byte { return sampleDOCX(t, rep("<w:del>", n)) })
	file("document attributes", "application/octet-stream", "a.docx", func(n int) []byte { return sampleDOCX(t, "<a"+rep(" b='@", n)) })
	file("ZIP entries", "application/zip", "a.zip", func(n int) []byte {
		var files []string
		for i := range min(n/110, 9000) {
			files = append(files, fmt.Sprintf("%d.txt", i), "x")
		}
		return zipped(t, files...)
	})
	file("ZIP text", "application/zip", "a.zip", func(n int) []byte { return zipped(t, "a.txt", rep("words of text \n", n)) })
	file("ZIP starts", "application/zip", "a.zip", plain("", "PK\x03\x04", ""))
	file("document", "application/octet-stream", "a.docx", func(n int) []byte { return sampleDOCX(t, rep("</w:t></w:r><w:r><w:t>a", n)) })
	file("gzip", "application/gzip", "a.txt.gz", func(n int) []byte { return gzipped(t, []byte(rep("words of text \n", n))) })
	file("OLE", "application/msword", "a.doc", plain("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a\x00b\x00\x00cdefgh", ""))
	file("binary", "application/octet-stream", "a.bin", plain("", "\x00ab@c.example\xff", ""))
	file("page", "text/html", "a.html", plain("<html>", "<b><a href=x>", ""))
	file("mail", "message/rfc822", "a.eml", plain("From: a@example.org\r\n\r\n", "x\r\n", ""))
	return shapes
}

// wrapAt breaks a text into lines that the wire allows.
func wrapAt(s, eol string) string {
	var b strings.Builder
	for len(s) > 800 {
		b.WriteString(s[:800] + eol)
		s = s[800:]
	}
	return b.String() + s
}

// cpuOf returns what f uses of the processor in this thread, to the microsecond; other work on
// the machine, and the collection of garbage, do not count.
func cpuOf(t testing.TB, f func()) time.Duration {
	t.Helper()
	const threadCPU = 3 // CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)
	used := func() time.Duration {
		var ts syscall.Timespec
		if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&ts)), 0); e != 0 {
			t.Fatal(e)
		}
		return time.Duration(ts.Nano())
	}
	start := used()
	f()
	return used() - start
}

// TestLinear reads and writes hostile messages: twice the size takes at most two and a half times
// as long. It is not parallel, because it measures time.
func TestLinear(t *testing.T) {
	lim := DefaultLimits()
	read := func(b []byte) *Message {
		m, err := Parse(bytes.NewReader(b), int64(len(b)), lim)
		if err != nil {
			t.Fatal(err)
		}
		m.NewText()
		for range m.Texts() {
		}
		return m
	}
	draft := Draft{ID: sampleID, Fields: sampleFields(), First: []string{firstLine}, Signature: []string{signLine, crisisLine},
		Replace: []Replacement{{Old: "the", New: "that"}, {Old: "maya@trauma.example", New: "hello@wh.example"}, {Old: "447700900123", New: "the office", Phone: true}, {Old: "the lines the lines", New: "C-0142", Name: true}}, NoKisses: true, Hide: []string{"a@"}, NeutralNames: true}
	for name, shape := range hostileShapes(t) {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // its help would count
			var m [2]*Message
			var b [2][]byte
			what := []func(i int){
				func(i int) { m[i] = read(b[i]) },
				func(i int) { _, _ = m[i].Write(io.Discard, draft) }, // what is refused costs little
			}
			size := 64 << 10
			for b[1] = shape(2 * size); ; size, b[1] = 2*size, shape(4*size) {
				if cost := cpuOf(t, func() { what[0](1); what[1](1) }); cost > 8*time.Millisecond || size >= 1<<20 {
					break
				}
			}
			// A shape may meet a limit between two sizes, and a machine with other work disturbs for a
			// while: what grows faster than its size does so at the next sizes too.
			said := ""
			for range 2 {
				b[0], b[1] = shape(size), shape(2*size)
				if said = disproportion(t, len(b[0]), what); said == "" {
					return
				}
				size *= 2
			}
			t.Error(said)
		})
	}
}

// disproportion measures what reading and writing cost for a size, 0, and for twice that, 1. It
// says what takes more than two and a half times as long, if anything does.
func disproportion(t testing.TB, size int, what []func(i int)) string {
	for i, f := range what {
		best, ok := [2]time.Duration{time.Hour, time.Hour}, false
		for try := 0; try < 7 && !ok; try++ {
			runtime.GC()
			for k := range best {
				best[k] = min(best[k], cpuOf(t, func() { f(k) }))
			}
			// What takes less than two milliseconds is not measured well.
			ok = float64(best[1]) <= 2.5*float64(max(best[0], 2*time.Millisecond))
		}
		if !ok {
			return fmt.Sprintf("%s: %d KiB take %v, twice as much %v", []string{"read", "write"}[i], size>>10, best[0], best[1])
		}
	}
	return ""
}
