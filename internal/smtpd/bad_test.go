package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
)

func TestB01_Syntax(t *testing.T) {
	t.Parallel()
	d := newRig(t).tls()
	d.ask("EHLO", "501 5.5.4")
	d.ask("HELO", "501 5.5.4")
	d.ask("FOO", "500 5.5.2")
	d.ask("", "500 5.5.2")
	d.ask("X", "500 5.5.2")
	d.ask("EHLO \x01", "501 5.5.4")
	d.ask("NOOP \xc3\xa9", "500 5.5.2")
	d.ask("eHlO laptop", "250-")
	d.ask("noop", "250 2.0.0")
	d.ask("auth plain "+plainResponse(goodName, goodPassword), "235")
	d.ask("mail from:<maya@willowhouse.example>", "250")
	d.ask("rcpt to:<anna@example.org>", "250")
	d.ask("DATA now", "501 5.5.4")
	d.ask("RSET x", "501 5.5.4")
}

func TestB02_Order(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.raw(true)
	d.expect("220")
	d.ask("MAIL FROM:<maya@willowhouse.example>", "503 5.5.1")
	d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "503 5.5.1")
	d.ask("EHLO x", "250")
	d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "235")
	d.ask("AUTH PLAIN "+plainResponse(goodName, goodPassword), "503 5.5.1")
	d.ask("RCPT TO:<anna@example.org>", "503 5.5.1")
	d.ask("DATA", "503 5.5.1")
	d.ask("MAIL FROM:<maya@willowhouse.example>", "250")
	d.ask("MAIL FROM:<maya@willowhouse.example>", "503 5.5.1")
	d.ask("DATA", "503 5.5.1")
	d.ask("RCPT TO:<anna@example.org>", "250")
	d.ask("STARTTLS", "503 5.5.1")
	d.ask("EHLO again", "250") // resets
	d.ask("DATA", "503 5.5.1")
	d.envelope()
	d.ask("DATA", "354")
	d.send("x\r\n.\r\n")
	d.expect("250")
	d.ask("DATA", "503 5.5.1") // the transaction is over
}

func TestB03_NothingBeforeTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.plain()
	d.ask("EHLO x", "250")
	for _, c := range []string{"AUTH PLAIN " + plainResponse(goodName, goodPassword), "AUTH LOGIN", "MAIL FROM:<maya@willowhouse.example>",
		"RCPT TO:<anna@example.org>", "DATA", "VRFY anna"} {
		d.ask(c, "530 5.7.0")
	}
	if r.desk.signIns != 0 || r.desk.checks != 0 {
		t.Error("the door was asked")
	}
	if strings.Contains(r.log.String(), plainResponse(goodName, goodPassword)) {
		t.Error("the log holds a credential")
	}
	d.send("BDAT 4\r\nQUIT")
	d.expect("530 5.7.0")
	d.closed()
	// Inside TLS, before signing in.
	d = r.tls()
	d.ask("MAIL FROM:<maya@willowhouse.example>", "530 5.7.0")
	d.ask("RCPT TO:<anna@example.org>", "503")
}

func TestB04_BadSignIns(t *testing.T) {
	t.Parallel()
	b64 := base64.StdEncoding.EncodeToString
	long := b64([]byte(strings.Repeat("x", 12288)))
	for name, c := range map[string]struct{ line, want string }{
		"not base64":       {"AUTH PLAIN !!!", "501 5.5.2"},
		"no NUL":           {"AUTH PLAIN " + b64([]byte("maya")), "501 5.5.2"},
		"one NUL":          {"AUTH PLAIN " + b64([]byte("maya\x00x")), "501 5.5.2"},
		"three NULs":       {"AUTH PLAIN " + b64([]byte("\x00maya\x00x\x00y")), "501 5.5.2"},
		"for another":      {"AUTH PLAIN " + b64([]byte("sam\x00"+goodName+"\x00"+goodPassword)), "535 5.7.8"},
		"empty password":   {"AUTH PLAIN " + plainResponse(goodName, ""), "535 5.7.8"},
		"empty name":       {"AUTH PLAIN " + plainResponse("", goodPassword), "535 5.7.8"},
		"wrong":            {"AUTH PLAIN " + plainResponse(goodName, "x"), "535 5.7.8"},
		"unknown":          {"AUTH PLAIN " + plainResponse("sam", "x"), "535 5.7.8"},
		"control in name":  {"AUTH PLAIN " + plainResponse("a\r\nb", "x"), "535 5.7.8"},
		"over 12 KiB":      {"AUTH PLAIN " + long, "500 5.5.2"},
		"no mechanism":     {"AUTH", "501 5.5.4"},
		"other mechanism":  {"AUTH CRAM-MD5", "504 5.5.4"},
		"empty response":   {"AUTH PLAIN =", "501 5.5.2"},
		"cancelled":        {"AUTH PLAIN\r\n*", "334"},
		"challenge, wrong": {"AUTH LOGIN\r\n" + b64([]byte("sam")) + "\r\n" + b64([]byte("x")), "334"},
		"endless answer":   {"AUTH LOGIN\r\n" + long, "334"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newRig(t).tls()
			got := d.ask(c.line, c.want)
			switch name {
			case "cancelled", "endless answer":
				d.expect("501")
			case "challenge, wrong":
				d.expect("334 " + b64([]byte("Password:")))
				d.expect("535 5.7.8")
			}
			if strings.Contains(got, "maya") {
				t.Errorf("%q", got)
			}
			d.ask("MAIL FROM:<maya@willowhouse.example>", "530 5.7.0")
		})
	}
}

func TestSignInByLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b64 := base64.StdEncoding.EncodeToString
	d := r.tls()
	d.ask("AUTH LOGIN", "334 "+b64([]byte("Username:")))
	d.ask(b64([]byte(goodName)), "334 "+b64([]byte("Password:")))
	d.ask(b64([]byte(goodPassword)), "235 2.7.0")
	d.envelope()
	d = r.tls()
	d.ask("AUTH LOGIN "+b64([]byte(goodName)), "334 "+b64([]byte("Password:")))
	d.ask(b64([]byte(goodPassword)), "235 2.7.0")
	d = r.tls()
	d.ask("AUTH PLAIN", "334")
	d.ask(plainResponse(goodName, goodPassword), "235 2.7.0")
}

func TestB05_StartTLSInjection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, extra := range []string{"NOOP\r\n", "x", "\r\n", "MAIL FROM:<eve@example.org>\r\n", "\x00", "\x16\x03\x01"} {
		d := r.plain()
		d.ask("EHLO x", "250")
		d.send("STARTTLS\r\n" + extra)
		d.expect("554 5.5.1")
		d.closed()
	}
	if strings.Count(r.log.String(), "starttls-injection") != 6 {
		t.Errorf("log %q", r.log)
	}
	// What follows the 220 in clear is not TLS, and nothing of it is answered.
	d := r.plain()
	d.ask("STARTTLS", "220")
	d.send("EHLO x\r\nMAIL FROM:<eve@example.org>\r\n")
	if got, _ := io.ReadAll(d.in); strings.Contains(string(got), "250") {
		t.Errorf("answered %q", got)
	}
	d = r.plain()
	d.ask("STARTTLS now", "501 5.5.4")
	// The state before TLS is forgotten (RFC 3207 §4.2).
	d.ask("EHLO x", "250")
	d.upgrade()
	d.ask("MAIL FROM:<maya@willowhouse.example>", "503 5.5.1")
}

func TestB06_LongLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, implicit := range []bool{false, true} {
		d := r.raw(implicit)
		d.expect("220")
		pad := func(n int) string { return "NOOP " + strings.Repeat("x", n-7) }
		d.ask(pad(2048), "250")
		for range 3 {
			d.ask(pad(2049), "500 5.5.2")
		}
		d.closed()
		d = r.raw(implicit)
		d.expect("220")
		go io.WriteString(d.conn, strings.Repeat("x", 1<<20)) // the server hangs up on it
		d.expect("500 5.5.2")
	}
}

func TestB07_CommandLineEndings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, implicit := range []bool{false, true} {
		for _, line := range []string{"NOOP\n", "NOOP\rNOOP\r\n", "NO\x00OP\r\n", "\n", "NOOP\r\r\n", "\x00\r\n", "\r\x00"} {
			d := r.raw(implicit)
			d.expect("220")
			d.send(line + "NOOP\r\n")
			d.expect("500 5.5.2")
			if got, _ := io.ReadAll(d.in); len(got) > 0 {
				t.Errorf("%q: then %q", line, got)
			}
		}
	}
}

var smuggling = map[string]string{
	"LF.LF": "\n.\n", "LF.CRLF": "\n.\r\n", "CRLF.LF": "\r\n.\n", "CR.CR": "\r.\r", "CRLF.CR": "\r\n.\r",
	"CR.CRLF": "\r.\r\n", "CRLF NUL.CRLF": "\r\n\x00.\r\n", "CRLF.CRCRLF": "\r\n.\r\r\n",
}

// TestB08_Smuggling: none of the eight ends a message; the message is refused at its true end
// and what looks like commands before it is none.
func TestB08_Smuggling(t *testing.T) {
	t.Parallel()
	for name, form := range smuggling {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			d := r.ready()
			d.ask("DATA", "354")
			d.send("Subject: x\r\n\r\ntext" + form + "MAIL FROM:<eve@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nsmuggled\r\n.\r\nNOOP\r\n")
			d.expect("550 5.6.0")
			d.expect("250 2.0.0 OK")
			if len(r.desk.got()) != 0 || r.desk.checks != 2 || r.desk.failed != 1 {
				t.Errorf("%+v", r.desk)
			}
			// The session is usable, and the next message is not tainted.
			d.envelope()
			d.ask("DATA", "354")
			d.send("fine\r\n.\r\n")
			d.expect("250 2.0.0 queued")
		})
	}
}

func TestB09_Parameters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for params, want := range map[string]string{
		"SIZE=-1": "501 5.5.4", "SIZE=NaN": "501 5.5.4", "SIZE=": "501 5.5.4", "SIZE": "555 5.5.4",
		"SIZE=1000000000000000000000000000000": "552 5.3.4", "SIZE=35000001": "552 5.3.4", "SIZE=35000000": "250",
		"SIZE=1 SIZE=1": "501 5.5.4", "size=1 Size=2": "501 5.5.4", "FOO=1": "555 5.5.4", "FOO": "555 5.5.4",
		"BODY=BINARYMIME": "555 5.5.4", "BODY=8BITMIME": "250", "BODY=7bit": "250", "BODY=x": "501 5.5.4", "BODY": "555 5.5.4",
		"SMTPUTF8": "250", "SMTPUTF8=1": "555 5.5.4", "REQUIRETLS": "555 5.5.4", "RET=HDRS": "555 5.5.4",
		"AUTH=<>": "250", "BODY=8BITMIME SIZE=10 SMTPUTF8": "250", "SIZE=1=2": "501 5.5.4",
	} {
		d := r.signedIn()
		d.ask("MAIL FROM:<maya@willowhouse.example> "+params, want)
		d.ask("QUIT", "221")
	}
	d := r.ready()
	d.ask("RCPT TO:<bob@example.org> NOTIFY=NEVER", "555 5.5.4")
	d.ask("RCPT TO:<bob@example.org> ORCPT=rfc822;x", "555 5.5.4")
	if got := d.ask("MAIL FROM:<maya@willowhouse.example> SIZE=40000000", "552 5.3.4"); !strings.Contains(got, "is 40 MB and the limit is 35 MB") {
		t.Errorf("%q", got)
	}
}

func TestB11_B12_Addresses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	local := strings.Repeat("a", 65)
	for _, rcpt := range []string{
		"<a@b.example>SIZE=1", "<>", "<anna@example.org", `<"a>b@example.org`, "<@hop.example:anna@example.org>",
		"<anna%example.net@example.org>", "<example.net!anna@example.org>", "<anna@[192.0.2.1]>", "<anna@localhost>",
		"<" + local + "@example.org>", "<a@" + strings.Repeat("b.", 122) + "example.org>", "<anna@@example.org>",
		"<anna@example.org>>", "<anna@example.org >", "<an na@example.org>", "<anna>", "<@example.org>",
	} {
		d := r.ready()
		before := r.desk.checks
		d.ask("RCPT TO:"+rcpt, "553 5.1.3")
		if r.desk.checks != before {
			t.Errorf("%s: the door was asked", rcpt)
		}
		d.ask("QUIT", "221")
	}
	d := r.ready()
	d.send("RCPT TO:<\"a\r\nRCPT TO:<x@y>\"@z>\r\n")
	d.expect("553 5.1.3")
	d.expect("553 5.1.3")
	d.ask("RCPT TO:anna@example.org", "501 5.5.4")
	d.ask("MAIL TO:<anna@example.org>", "501 5.5.4")
	d = r.signedIn()
	d.ask("MAIL FROM:<@hop.example:maya@willowhouse.example>", "553 5.1")
	// What go-smtp would unquote arrives quoted as it was.
	d.ask(`MAIL FROM:<"a> SIZE=1 b"@willowhouse.example>`, "250")
	d.ask("RCPT TO:<anna@example.org>", "250")
	d.ask("DATA", "354")
	d.send("x\r\n.\r\n")
	d.expect("250")
	if got := r.desk.got()[0].env.Reverse; got.LocalPart != "a> SIZE=1 b" || got.String() != `"a> SIZE=1 b"@willowhouse.example` {
		t.Errorf("%q", got)
	}
}

func TestB13_B14_Recipients(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config, _ *desk) { c.Limits.Recipients = 3 })
	d := r.signedIn()
	d.ask("MAIL FROM:<maya@willowhouse.example> SMTPUTF8", "250")
	for _, a := range []string{"anna@example.org", "ANNA@Example.ORG", "bob@bücher.example", "bob@xn--bcher-kva.example", "zoë@example.org", "zoe\u0308@example.org", "anna@example.org"} {
		d.ask("RCPT TO:<"+a+">", "250 2.1.5")
	}
	d.ask("RCPT TO:<dan@example.org>", "452 4.5.3")
	d.ask("RCPT TO:<bob@bücher.example>", "250 2.1.5")
	d.ask("DATA", "354")
	d.send("x\r\n.\r\n")
	d.expect("250")
	var to []string
	for _, rc := range r.desk.got()[0].env.Recipients {
		to = append(to, rc.Address.String())
	}
	if strings.Join(to, " ") != "anna@example.org bob@xn--bcher-kva.example zoë@example.org" {
		t.Errorf("%q", to)
	}
}

func TestRefusedRecipientIsNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *Config, d *desk) {
		d.check = func(e *mail.Envelope) error {
			if n := len(e.Recipients); n > 0 && e.Recipients[n-1].Address.LocalPart == "eve" {
				return fault.New(fault.Rejected, "Not sent: no. [M02 x]")
			}
			return nil
		}
	})
	d := r.ready()
	d.ask("RCPT TO:<eve@example.org>", "550 5.7.1 Not sent: no. [M02 x]\r\n")
	d.ask("RCPT TO:<bob@example.org>", "250")
	d.ask("DATA", "354")
	d.send("x\r\n.\r\n")
	d.expect("250")
	if got := r.desk.got()[0].env.Recipients; len(got) != 2 || got[1].Address.LocalPart != "bob" {
		t.Errorf("%v", got)
	}
}

func TestB15_UTF8(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.signedIn()
	d.ask("MAIL FROM:<zoë@willowhouse.example>", "553 5.6.7")
	d.ask("MAIL FROM:<zo\xff@willowhouse.example> SMTPUTF8", "553 5.6.7")
	d.ask("MAIL FROM:<maya@willowhouse.example>", "250")
	d.ask("RCPT TO:<zoë@example.org>", "553 5.6.7")
	d.ask("RCPT TO:<bob@bücher.example>", "553 5.6.7")
	d.ask("RSET", "250")
	d.ask("MAIL FROM:<zoë@willowhouse.example> SMTPUTF8", "250")
	d.ask("RCPT TO:<zoë@example.org>", "250")
	d.ask("DATA", "354")
	d.send("x\r\n.\r\n")
	d.expect("250")
	if !r.desk.got()[0].env.SMTPUTF8 {
		t.Error("SMTPUTF8 was lost")
	}
}

func TestB16_BDAT(t *testing.T) {
	t.Parallel()
	const message = "Subject: x\r\n\r\n.dot\r\nend without a line end"
	t.Run("any split", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		d := r.signedIn()
		for cut := range len(message) + 1 {
			d.envelope()
			d.send(fmt.Sprintf("BDAT %d\r\n%s", cut, message[:cut]))
			d.expect("250 2.0.0")
			d.send(fmt.Sprintf("BDAT %d LAST\r\n%sNOOP\r\n", len(message)-cut, message[cut:]))
			d.expect("250 2.0.0 queued")
			d.expect("250 2.0.0 OK")
		}
		for i, a := range r.desk.got() {
			if a.body != message {
				t.Fatalf("split %d: %q", i, a.body)
			}
		}
	})
	t.Run("line endings", func(t *testing.T) {
		t.Parallel()
		for name, form := range smuggling {
			for cut := range len(form) + 1 {
				r := newRig(t)
				d := r.ready()
				first, last := "a"+form[:cut], form[cut:]+"b\r\n"
				d.send(fmt.Sprintf("BDAT %d\r\n%s", len(first), first))
				got, _ := d.reply()
				d.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(last), last))
				if strings.HasPrefix(got, "250") { // else refused at the first chunk already
					got, _ = d.reply()
				} else {
					d.expect("503")
				}
				if !strings.HasPrefix(got, "550 5.6.0") || len(r.desk.got()) > 0 {
					t.Errorf("%s cut at %d: %q", name, cut, got)
				}
				d.ask("NOOP", "250")
			}
		}
	})
	t.Run("ends in CR", func(t *testing.T) {
		t.Parallel()
		d := newRig(t).ready()
		d.send("BDAT 3 LAST\r\nab\r")
		d.expect("550 5.6.0")
		d.envelope()
		d.send("BDAT 3\r\nab\r")
		d.expect("250")
		d.send("BDAT 0 LAST\r\n")
		d.expect("550 5.6.0")
	})
	t.Run("out of order", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		d := r.signedIn()
		d.send("BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n") // the payload is a command's twin
		d.expect("503 5.5.1")
		d.expect("250 2.0.0 OK")
		d.ask("MAIL FROM:<maya@willowhouse.example>", "250")
		d.send("BDAT 6\r\nQUIT\r\nNOOP\r\n")
		d.expect("503 5.5.1")
		d.expect("250 2.0.0 OK")
	})
	t.Run("unreadable size", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		for _, arg := range []string{"", " x", " -1", " 1 2", " 1 LAST x", " 99999999999999999999", " 4294967296", " +1", " 0x10"} {
			d := r.ready()
			d.send("BDAT" + arg + "\r\nRSET\r\n")
			d.expect("55"[:1])
			d.closed()
		}
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		d := r.ready()
		d.send("BDAT 100 LAST\r\nonly this")
		d.conn.(*tls.Conn).CloseWrite()
		io.ReadAll(d.in)
		d = r.ready()
		d.send("BDAT 4\r\nonly")
		d.expect("250")
		d.conn.Close()
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(r.desk.got()) != 0 || r.desk.failed != 2 {
			t.Errorf("%d accepted, %d failed", len(r.desk.got()), r.desk.failed)
		}
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		d := r.ready()
		d.send("BDAT 0\r\nRSET\r\n")
		d.expect("250")
		d.expect("250 2.0.0 OK")
		d.envelope()
		d.send("BDAT 4\r\nonlyEHLO x\r\n")
		d.expect("250 2.0.0")
		d.expect("250-")
		d.envelope()
		d.send("BDAT 2\r\nxxMAIL FROM:<maya@willowhouse.example>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\nBDAT 2 LAST\r\nyy")
		d.expect("250 2.0.0")
		d.expect("503")
		d.expect("503")
		d.expect("503")
		d.expect("250 2.0.0 queued")
		if got := r.desk.got(); len(got) != 1 || got[0].body != "xxyy" {
			t.Errorf("%+v", got)
		}
	})
}

func TestB17_OtherVerbs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.tls()
	for _, v := range []string{"EXPN list", "ETRN x", "TURN", "XCLIENT ADDR=192.0.2.1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2", "HELP", "SEND FROM:<a@b.example>"} {
		d.ask(v, "502 5.5.1")
	}
	if got := d.ask("VRFY maya", "252 "); strings.Contains(got, "maya") {
		t.Errorf("%q", got)
	}
}

func TestB18_Patience(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.tls()
	for range 19 {
		d.ask("FOO", "500")
	}
	d.ask("FOO", "500")
	d.expect("421 4.7.0")
	d.closed()
	d = r.plain()
	for range 100 {
		d.ask("NOOP", "250")
	}
	d.ask("NOOP", "421 4.7.0")
	d.closed()
	d = r.tls()
	for range 100 {
		d.ask("NOOP", "250")
	}
	d.ask("NOOP", "421 4.7.0")
	d.closed()
	d = r.tls()
	for range 2 {
		d.ask("AUTH PLAIN "+plainResponse(goodName, "x"), "535 5.7.8")
	}
	d.ask("AUTH PLAIN "+plainResponse(goodName, "x"), "421 4.7.0")
	d.closed()
}

func TestB18_BackOff(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	r := newRig(t, func(c *Config, _ *desk) { c.Now = func() time.Time { return now } })
	guess := func(name string) string {
		d := r.tls()
		d.send("AUTH PLAIN " + plainResponse(name, "guess") + "\r\n")
		got, _ := d.reply()
		return got
	}
	for i := range 20 { // different names, one address
		if got := guess(fmt.Sprint("name", i)); !strings.HasPrefix(got, "535") {
			t.Fatalf("try %d: %q", i, got)
		}
	}
	before := r.desk.signIns
	if got := guess(goodName); !strings.HasPrefix(got, "421 4.7.0") || r.desk.signIns != before {
		t.Errorf("not slowed down: %q", got)
	}
	now = now.Add(time.Minute)
	r.signedIn()
}

// A phone with an old password shares its address with the whole practice: its endless tries
// lock nobody out. Other passwords for the same name are guessing.
func TestB18_OldPassword(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	r := newRig(t, func(c *Config, _ *desk) { c.Now = func() time.Time { return now } })
	try := func(password string) string {
		d := r.tls()
		d.send("AUTH PLAIN " + plainResponse(goodName, password) + "\r\n")
		got, _ := d.reply()
		d.send("QUIT\r\n")
		_, _ = d.reply()
		d.closed()
		return got
	}
	for range 60 {
		if got := try("old"); !strings.HasPrefix(got, "535") {
			t.Fatalf("%q", got)
		}
		now = now.Add(10 * time.Second)
	}
	r.signedIn()
	for i := range freeTriesName {
		try(fmt.Sprint("guess", i))
	}
	if !r.srv.tries.blocked(addrPort(fakeAddr("192.0.2.99")).Addr(), goodName) {
		t.Error("guessing is not slowed down")
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	home, away := addrPort(fakeAddr("192.0.2.1")).Addr(), func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }
	l.succeeded(home, "maya")
	for i := range 30 {
		l.failed(addrPort(fakeAddr(away(i))).Addr(), "MAYA", "guess")
	}
	if !l.blocked(addrPort(fakeAddr(away(99))).Addr(), "maya") {
		t.Error("guessing from many addresses is not slowed down")
	}
	if l.blocked(home, "maya") {
		t.Error("maya is locked out at home")
	}
	now = now.Add(16 * time.Minute)
	if l.blocked(addrPort(fakeAddr(away(99))).Addr(), "maya") {
		t.Error("locked out for good")
	}
	for i := range 3 * maxTries {
		l.failed(home, fmt.Sprint("x", i), "guess")
	}
	if len(l.keys) > maxTries+1 {
		t.Errorf("%d entries", len(l.keys))
	}
}

type fakeConn struct {
	net.Conn
	addr net.Addr
}

func (f fakeConn) RemoteAddr() net.Addr { return f.addr }

func fakeAddr(ip string) net.Conn {
	return fakeConn{addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
}

func TestB19_OtherProtocols(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, implicit := range []bool{false, true} {
		for _, hello := range []string{"GET /canary HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\n\r\nMAIL FROM:<a@b.example>\r\n",
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-canary\r\n", "\x16\x03\x01\x02\x00\x01\x00", "{\"canary\":1}\r\n"} {
			d := r.raw(implicit)
			d.expect("220")
			d.send(hello)
			if got := d.expect("421 "); strings.Contains(got, "canary") {
				t.Errorf("%q", got)
			}
			if got, _ := io.ReadAll(d.in); len(got) > 0 {
				t.Errorf("%q: then %q", hello, got)
			}
		}
	}
}

func TestB20_TooLargeAndCutShort(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	r := newRig(t, func(c *Config, _ *desk) { c.Limits.MessageBytes = limit })
	message := func(n int) string { return strings.Repeat("x", n-2) + "\r\n" }
	d := r.ready()
	d.ask("DATA", "354")
	d.send(message(limit) + ".\r\n")
	d.expect("250 2.0.0 queued")
	for _, n := range []int{limit + 1, 2 * limit} {
		d.envelope()
		d.ask("DATA", "354")
		d.send(message(n) + ".\r\nNOOP\r\n")
		d.expect("552 5.3.4")
		d.expect("250 2.0.0 OK")
		d.envelope()
		d.send(fmt.Sprintf("BDAT %d LAST\r\n%sNOOP\r\n", n, message(n)))
		d.expect("552 5.3.4")
		d.expect("250 2.0.0 OK")
	}
	d.envelope()
	d.ask("DATA", "354")
	go io.WriteString(d.conn, message(10*limit)) // the server hangs up on it
	d.expect("552 5.3.4")
	for _, part := range []string{"", "half\r\n", "half\r\n.", "half\r\n.\r"} {
		d = r.ready()
		d.ask("DATA", "354")
		d.send(part)
		d.conn.Close()
	}
	if err := r.srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := r.desk.got(); len(got) != 1 || len(got[0].body) != limit {
		t.Errorf("%d accepted", len(got))
	}
}

// TestDoorThatIgnoresErrors: a door that accepts what it could not read is not believed.
func TestDoorThatIgnoresErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *Config, d *desk) {
		d.submit = func(_ context.Context, e *mail.Envelope, rd io.Reader) (gateway.Receipt, error) {
			_, _ = io.ReadAll(rd)
			return gateway.Receipt{ID: e.ID, Text: "queued"}, nil
		}
	})
	d := r.ready()
	d.ask("DATA", "354")
	d.send("bare\nLF\r\n.\r\n")
	d.expect("550 5.6.0")
}
