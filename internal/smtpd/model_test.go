package smtpd

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is RFC 5321's order of commands as this server means it, on a page.
type model struct {
	helo, auth, mail bool
	rcpts            int
	chunked          bool // a BDAT message is under way
	accepted         int
}

func (m *model) end() { m.mail, m.rcpts, m.chunked = false, 0, false }

// next returns the class and code that a command must get.
func (m *model) next(cmd string) string {
	switch cmd {
	case "EHLO x":
		m.end()
		m.helo = true
		return "250"
	case "NOOP", "RSET":
		if cmd == "RSET" {
			m.end()
		}
		return "250"
	case "AUTH":
		if !m.helo || m.auth {
			return "503"
		}
		m.auth = true
		return "235"
	case "MAIL":
		switch {
		case !m.helo || m.chunked:
			return "503"
		case !m.auth:
			return "530"
		case m.mail:
			return "503"
		}
		m.mail = true
		return "250"
	case "RCPT":
		if !m.mail || m.chunked {
			return "503"
		}
		m.rcpts++
		return "250"
	case "DATA", "DATA-bare", "BDAT", "BDAT-last":
		if m.rcpts == 0 || m.chunked && strings.HasPrefix(cmd, "DATA") {
			return "503"
		}
		switch cmd {
		case "BDAT":
			m.chunked = true
			return "250"
		case "DATA-bare":
			m.end()
			return "550"
		}
		m.end()
		m.accepted++
		return "250"
	case "FOO":
		return "500"
	}
	return "502" // HELP
}

// TestI14_RandomCommands compares the server with the model, in lock step and pipelined.
func TestI14_RandomCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config, _ *desk) { c.Limits.ConnectionsPerIP = 1000 })
	rapid.Check(t, func(rt *rapid.T) {
		d := r.raw(true)
		defer d.conn.Close()
		d.expect("220")
		var m model
		before := len(r.desk.got())
		troubles := 0
		for i := range rapid.IntRange(1, 40).Draw(rt, "length") {
			cmd := rapid.SampledFrom([]string{"EHLO x", "AUTH", "MAIL", "RCPT", "DATA", "DATA-bare", "BDAT", "BDAT-last",
				"RSET", "NOOP", "FOO", "HELP", "EHLO x", "MAIL", "RCPT", "RCPT"}).Draw(rt, fmt.Sprint("command ", i))
			want := m.next(cmd)
			switch cmd {
			case "AUTH":
				d.send("AUTH PLAIN " + plainResponse(goodName, goodPassword) + "\r\n")
			case "MAIL":
				d.send("MAIL FROM:<maya@willowhouse.example>\r\n")
			case "RCPT":
				d.send(fmt.Sprintf("RCPT TO:<c%d@example.org>\r\n", i))
			case "BDAT":
				d.send("BDAT 6\r\nQUIT\r\n")
			case "BDAT-last":
				d.send("BDAT 6 LAST\r\nQUIT\r\n")
			case "DATA", "DATA-bare":
				d.send("DATA\r\n")
				if want != "503" {
					d.expect("354")
					d.send(map[string]string{"DATA": "QUIT\r\n.\r\n", "DATA-bare": "QUIT\n.\nQUIT\r\n.\r\n"}[cmd])
				}
			default:
				d.send(cmd + "\r\n")
			}
			got, err := d.reply()
			if err != nil || !strings.HasPrefix(got, want) {
				rt.Fatalf("%s: got %q (%v), want %s", cmd, got, err, want)
			}
			if want[:2] == "50" {
				if troubles++; troubles >= 18 {
					break
				}
			}
		}
		if n := len(r.desk.got()) - before; n != m.accepted {
			rt.Fatalf("%d accepted, the model says %d", n, m.accepted)
		}
	})
}

// TestEndOfData: for every sequence of up to five of the five bytes, the mark is found where a
// search of the whole string finds it, and the strict check agrees with one by regexp's eyes.
func TestEndOfData(t *testing.T) {
	t.Parallel()
	alphabet := "\r\n.\x00 "
	var all []string
	level := []string{""}
	for range 5 {
		var next []string
		for _, s := range level {
			for _, b := range alphabet {
				next = append(next, s+string(b))
			}
		}
		all = append(all, next...)
		level = next
	}
	if len(all) != 3905 {
		t.Fatal(len(all))
	}
	for _, s := range all {
		for _, around := range [][2]string{{"", ""}, {"a", ""}, {"a\r\n", "\r\n.\r\n"}, {"a\r\n.", "\r\n"}, {"a", "\r\n.\r\n"}} {
			data := around[0] + s + around[1]
			e, found := dataStart, -1
			for i := range len(data) {
				if e = e.next(data[i]); e == dataEnd {
					found = i + 1
					break
				}
			}
			want := strings.Index("\r\n"+data, endMark)
			if want >= 0 {
				want += len(endMark) - 2
			}
			if found != want {
				t.Fatalf("%q: end at %d, want %d", data, found, want)
			}
			var c strict
			clean := true
			for i := range len(data) {
				clean = c.next(data[i]) && clean
			}
			rest := strings.ReplaceAll(data, "\r\n", "")
			if wantClean := !strings.ContainsAny(rest, "\r\n\x00"); (clean && !c.cr) != wantClean {
				t.Fatalf("%q: clean %v", data, clean)
			}
		}
	}
}

// TestI16_EverySequence sends each sequence in a message: clean ones arrive as they were,
// others are refused, and the session goes on after the true end.
func TestI16_EverySequence(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.signedIn()
	alphabet := "\r\n.\x00 "
	level := []string{""}
	for range 4 {
		var next []string
		for _, s := range level {
			for _, b := range alphabet {
				next = append(next, s+string(b))
			}
		}
		level = next
		for _, s := range level {
			text := "a" + s + "b"
			stuffed := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:]
			clean := !strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n\x00")
			before := len(r.desk.got())
			d.envelope()
			d.ask("DATA", "354")
			d.send(stuffed + "\r\n.\r\n")
			got, err := d.reply()
			if err != nil {
				t.Fatal(err)
			}
			after := r.desk.got()
			switch {
			case clean && (!strings.HasPrefix(got, "250") || len(after) != before+1 || after[before].body != text+"\r\n"):
				t.Fatalf("%q: %q", s, got)
			case !clean && (!strings.HasPrefix(got, "550 5.6.0") || len(after) != before):
				t.Fatalf("%q: %q, %d accepted", s, got, len(after)-before)
			}
		}
	}
}
