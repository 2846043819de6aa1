package gateway

import (
	"encoding/base64"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// onlyRules is the shipped set with these rules alone, and more texts, and without its tests.
func onlyRules(t testing.TB, rules, texts string) fstest.MapFS {
	t.Helper()
	m := withRules(t, "")
	m["mail.yaml"] = &fstest.MapFile{Data: []byte("rules:\n" + rules + "\n"), Mode: 0o644}
	m["templates.yaml"] = &fstest.MapFile{Data: append(m["templates.yaml"].Data, "\n"+texts+"\n"...), Mode: 0o644}
	return m
}

// form is a way in which a mail app writes one text: its charset and transfer encoding.
type form struct{ charset, encoding, params string }

var forms = []form{
	{"utf-8", "8bit", ""}, {"utf-8", "quoted-printable", ""}, {"utf-8", "base64", ""}, {"iso-8859-1", "8bit", ""},
	{"iso-8859-1", "quoted-printable", ""}, {"windows-1252", "base64", ""}, {"utf-8", "quoted-printable", "; format=flowed"},
	{"utf-8", "base64", "; format=flowed; delsp=yes"},
}

// encoded writes a text in the form. It must be Latin-1.
func (f form) encoded(t testing.TB, kind, text string) string {
	t.Helper()
	b := []byte(text)
	if f.charset != "utf-8" {
		b = b[:0]
		for _, r := range text {
			if r > 0xff {
				t.Fatalf("%q is not in %s", r, f.charset)
			}
			b = append(b, byte(r))
		}
	}
	var body strings.Builder
	switch f.encoding {
	case "base64":
		s := base64.StdEncoding.EncodeToString(b)
		for len(s) > 76 {
			body.WriteString(s[:76] + "\r\n")
			s = s[76:]
		}
		body.WriteString(s)
	case "quoted-printable":
		w := quotedprintable.NewWriter(&body)
		_, _ = w.Write(b)
		_ = w.Close()
	default:
		body.Write(b)
	}
	return "Content-Type: " + kind + "; charset=" + f.charset + f.params + "\r\nContent-Transfer-Encoding: " + f.encoding + "\r\n\r\n" + body.String()
}

// inEveryForm sends a letter with a text, an HTML text, or both, in every form, and returns for
// each recipient and form what the parts of the copies read.
func (b *bench) inEveryForm(subject, plain, html string, to []mail.Address, got func(f form, to string, m *mail.Message, plain, html string)) {
	b.t.Helper()
	head, _, _ := strings.Cut(letterTo(subject, "", to...), "Content-Type:")
	for _, f := range forms {
		bodies := []string{head + f.encoded(b.t, "text/plain", plain)}
		if html != "" {
			bodies = append(bodies, head+f.encoded(b.t, "text/html", html),
				head+"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n"+f.encoded(b.t, "text/plain", plain)+
					"\r\n--b\r\n"+f.encoded(b.t, "text/html", html)+"\r\n--b--\r\n")
		}
		for _, body := range bodies {
			e := b.envelope(to...)
			if _, err := b.g.Submit(b.t.Context(), e, strings.NewReader(body)); err != nil {
				b.t.Fatalf("%+v: %v", f, err)
			}
			copies := b.copies(e.ID)
			if len(copies) == 0 {
				b.t.Fatalf("%+v: nothing leaves: %s", f, b.lastReason(e.ID))
			}
			for who, m := range copies {
				var p, h string
				for part := range m.Parts() {
					switch part.MediaType {
					case "text/plain":
						p = part.Text
					case "text/html":
						h = part.Text
					}
				}
				got(f, who, m, p, h)
			}
		}
	}
}

// lastReason says what holds a message.
func (b *bench) lastReason(id mail.ID) string {
	b.t.Helper()
	h, err := b.g.loadHeld(b.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, f := range h.account.Plan.Findings {
		out = append(out, f.Rule+": "+f.Reason)
	}
	return strings.Join(out, "; ")
}

// TestTextVerbs sends a letter under one rule, in text and HTML, in every charset, transfer
// encoding and format=flowed: the copy reads exactly as it should, and no other byte of the
// text is another.
func TestTextVerbs(t *testing.T) {
	t.Parallel()
	const quote = "\r\n> Caf\u00e9 at 4? xx\r\n"
	const htmlQuote = "<blockquote type=\"cite\">Caf\u00e9 at 4? xx</blockquote>"
	const ours = `<p dir="ltr" style="margin:1em 0;white-space:normal">`
	const expectation = "You do not need to answer this email unless it asks you to."
	signatures := "signatures:\n  short: \"((sender_name)), ((practice))\\n\\nRing ((phone))\"\n"
	for name, tc := range map[string]struct {
		do, texts           string
		plain, html         string
		wantPlain, wantHTML string
	}{
		"kisses": {
			do:    "{remove: kisses}",
			plain: "H\u00e9llo  xx Anna,\r\nsee you. xx\r\n\r\nMaya x\r\n" + quote, wantPlain: "H\u00e9llo  xx Anna,\r\nsee you.\r\n\r\nMaya\r\n" + quote,
			html:     "<p>H&eacute;llo\u00e9 <b>xx</b> Anna</p><p title=xx>see you. <i>x</i>x</p>" + htmlQuote,
			wantHTML: "<p>H&eacute;llo\u00e9 <b>xx</b> Anna</p><p title=xx>see you.<i></i></p>" + htmlQuote,
		},
		"expectation": {
			do:    "expectation_line",
			plain: "H\u00e9llo.\r\n" + quote, wantPlain: "H\u00e9llo.\r\n\r\n" + expectation + "\r\n" + quote,
			html: "<p>H\u00e9llo &amp; more</p>" + htmlQuote, wantHTML: "<p>H\u00e9llo &amp; more</p>" + ours + expectation + "</p>\r\n" + htmlQuote,
		},
		"expectation of the practice's own": {
			do: "expectation_line", texts: "expectation_line: No answer needed",
			plain: "H\u00e9llo.", wantPlain: "H\u00e9llo.\r\n\r\nNo answer needed\r\n",
			html: "<p>H\u00e9llo</p>", wantHTML: "<p>H\u00e9llo</p>" + ours + "No answer needed</p>\r\n",
		},
		"expectation that is there": {
			do:    "expectation_line",
			plain: "H\u00e9llo.\r\n\r\n" + expectation + "\r\n", wantPlain: "H\u00e9llo.\r\n\r\n" + expectation + "\r\n",
			html: "<p>H\u00e9llo</p><p>" + expectation + "</p>", wantHTML: "<p>H\u00e9llo</p><p>" + expectation + "</p>",
		},
		"signature": {
			do: "{signature: short}", texts: signatures,
			plain: "H\u00e9llo.\r\n" + quote, wantPlain: "H\u00e9llo.\r\n\r\nM, Willow House\r\n\r\nRing 0161 496 0000\r\n" + quote,
			html: "<p>H\u00e9llo</p>" + htmlQuote, wantHTML: "<p>H\u00e9llo</p>" + ours + "M, Willow House</p>\r\n" + ours + "Ring 0161 496 0000</p>\r\n" + htmlQuote,
		},
		"signature with the line and crisis lines": {
			do: "crisis_signature, expectation_line, {signature: short}", texts: signatures,
			plain: "H\u00e9llo.", wantPlain: "H\u00e9llo.\r\n\r\n" + expectation + "\r\n\r\nM, Willow House\r\n\r\nRing 0161 496 0000\r\n\r\nI cannot offer*",
			html: "<p>H\u00e9llo</p>", wantHTML: "<p>H\u00e9llo</p>" + ours + expectation + "</p>\r\n" + ours + "M, Willow House</p>\r\n" + ours + "Ring 0161 496 0000</p>\r\n" + ours + "I cannot offer*",
		},
		"quotes": {
			do:    "trim_quotes",
			plain: "H\u00e9llo.\r\n\r\nMaya\r\n\r\nOn 1 May 2026 at 10:00, Anna <anna@example.org> wrote:\r\n" + quote, wantPlain: "H\u00e9llo.\r\n\r\nMaya\r\n\r\n",
			html: "<p>H\u00e9llo &amp; more</p>" + htmlQuote + "<p>below</p>", wantHTML: "<p>H\u00e9llo &amp; more</p><p>below</p>",
		},
		"quotes with answers between": {
			do:    "trim_quotes, crisis_signature",
			plain: "Hi Anna\r\n> Caf\u00e9 at 4?\r\nYes\r\n> Or five?\r\nNo\r\n", wantPlain: "Hi Anna\r\nYes\r\nNo\r\n\r\nI cannot offer*",
		},
		"quotes, of which there are none": {
			do: "trim_quotes", plain: "H\u00e9llo.", wantPlain: "H\u00e9llo.", html: "<p>H&eacute;llo", wantHTML: "<p>H&eacute;llo",
		},
		"remote pictures, without a rule": {
			do:    "use_alias",
			plain: "H\u00e9llo https://t.example/p.gif", wantPlain: "H\u00e9llo https://t.example/p.gif",
			html:     "<p>H&eacute;llo <img src=\"https://t.example/p.gif\"><img alt=\"caf\u00e9\" src=//t.example/a><img src=\"cid:x\"></p><a href=\"https://t.example\">x</a>",
			wantHTML: "<p>H&eacute;llo caf\u00e9<img src=\"cid:x\"></p><a href=\"https://t.example\">x</a>",
		},
		"alias": {
			do:    "use_alias",
			plain: "H\u00e9llo.\r\nMaya  OKAFOR, Maya, maya@willowhouse.example\r\n> On it, Maya Okafor wrote\r\n", wantPlain: "H\u00e9llo.\r\nM, Maya, hello@wh.example\r\n> On it, M wrote\r\n",
			html:     "<p>H\u00e9llo</p><p title=\"Maya Okafor\">Maya&nbsp;<b>Okafor</b> &eacute; <a href=\"mailto:maya@willowhouse.example\">maya</a></p>",
			wantHTML: "<p>H\u00e9llo</p><p title=\"M\">M<b></b> &eacute; <a href=\"mailto:hello@wh.example\">maya</a></p>",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOn(t, onlyRules(t, "  - {name: Verb, id: verb, when: {to: client}, do: ["+tc.do+"]}", tc.texts))
			check := func(f form, what, got, want string) {
				start, open := strings.CutSuffix(want, "*")
				got = strings.TrimSuffix(got, "\r\n")
				if want = strings.TrimSuffix(want, "\r\n"); got != "" && got != want && !(open && strings.HasPrefix(got, start)) {
					t.Errorf("%+v: %s:\n%q\nwant:\n%q", f, what, got, want)
				}
			}
			b.inEveryForm("Hi", tc.plain, tc.html, []mail.Address{clientAt(0)}, func(f form, _ string, m *mail.Message, plain, html string) {
				check(f, "text", plain, tc.wantPlain)
				check(f, "html", html, tc.wantHTML)
				if plain+html == "" {
					t.Error("there is no text")
				}
				for p := range m.Parts() {
					if p.MediaType == "text/plain" && (p.Params["format"] == "flowed") != strings.Contains(f.params, "flowed") {
						t.Errorf("%+v: %v", f, p.Params)
					}
				}
			})
		})
	}
}

const pixel = `<p>Hello</p><img src="https://t.example/p.gif">`

// htmlLetter is a letter in HTML alone.
func htmlLetter(html string, to ...mail.Address) string {
	return strings.Replace(letterTo("Hi", html, to...), "text/plain", "text/html", 1)
}

// Remote content goes from the copies of everybody but the practice's own people, without a
// rule; what is signed is not touched, and what cannot be read safely is held.
func TestRemoteContentGoes(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, onlyRules(t, "  - {name: Nothing, id: nothing, when: {to: unknown, subject_starts: never}, do: [hold]}", ""))
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	landlord := mail.Address{LocalPart: "accounts", Domain: "landlord.example"}
	stranger := mail.Address{LocalPart: "who", Domain: "elsewhere.example"}
	for _, to := range []mail.Address{sam, landlord, stranger, clientAt(0)} {
		e := b.envelope(to)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(htmlLetter(pixel, to))); err != nil {
			t.Fatal(err)
		}
		m := b.copies(e.ID)[to.String()]
		if m == nil {
			t.Fatalf("%v: %s", to, b.lastReason(e.ID))
		}
		if got := m.Root.Text; strings.Contains(got, "t.example") != (to == sam) || m.RemoteImages() != (to == sam) {
			t.Errorf("%v reads %q", to, got)
		}
		a := b.explain(htmlLetter(pixel, to), to)
		if said := slices.Contains(a.Messages[0].Changes, "remote pictures removed"); said == (to == sam) {
			t.Errorf("%v: changes %q", to, a.Messages[0].Changes)
		}
	}
	open := `<p>Hello</p><img src="https://t.example/p.gif`
	a := b.explain(htmlLetter(open, clientAt(0)), clientAt(0))
	if a.Outcome != "hold" || len(a.Findings) != 1 || a.Findings[0].Rule != filter.RuleCannotChange {
		t.Errorf("%s: %+v", a.Outcome, a.Findings)
	}
	head, _, _ := strings.Cut(letterTo("Hi", "", clientAt(0)), "Content-Type:")
	both := head + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: text/html\r\n\r\n" + open + "\r\n--b--\r\n"
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(both)); err != nil {
		t.Fatal(err)
	}
	if m := b.copies(e.ID)[clientAt(0).String()]; m == nil || strings.Contains(raw(t, m), "t.example") || !strings.Contains(raw(t, m), "Hello") {
		t.Errorf("%s", b.lastReason(e.ID))
	}
	signed := head + "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n" + pixel +
		"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
	e = b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(signed)); err != nil {
		t.Fatal(err)
	}
	if m := b.copies(e.ID)[clientAt(0).String()]; m == nil || !strings.Contains(raw(t, m), pixel) {
		t.Errorf("signed mail: %s", b.lastReason(e.ID))
	}
}

// explain is the dry run of a letter.
func (b *bench) explain(letter string, to ...mail.Address) *Account {
	b.t.Helper()
	a, err := b.g.Explain(b.t.Context(), DryRun{Sender: "maya", To: to, Mail: strings.NewReader(letter), Size: int64(len(letter))})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(a.Close)
	return a
}

// A mail of which nothing would be left without its quote is held, and leaves as it is when
// somebody lets it.
func TestNothingLeftWithoutTheQuote(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, onlyRules(t, "  - {name: Quotes, id: quotes, when: {to: client}, do: [trim_quotes]}", ""))
	forward := "---------- Forwarded message ---------\r\nFrom: Sam <sam@willowhouse.example>\r\nDate: 1 May 2026\r\nSubject: Rota\r\nTo: x@example.org\r\n\r\nTuesday at ten."
	e := b.envelope(clientAt(0))
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Fwd: Rota", forward, clientAt(0)))); err != nil {
		t.Fatal(err)
	}
	if len(b.copies(e.ID)) > 0 || !strings.Contains(b.lastReason(e.ID), "Nothing of your own would be left") {
		t.Fatal(b.lastReason(e.ID))
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "looked at it"); err != nil {
		t.Fatal(err)
	}
	if m := b.copies(e.ID)[clientAt(0).String()]; m == nil || !strings.Contains(m.Root.Text, "Tuesday at ten.") {
		t.Error("it does not leave as it is")
	}
	with := b.explain(letterTo("Fwd: Rota", "See below.\r\n\r\n"+forward, clientAt(0)), clientAt(0))
	if with.Outcome != "send" || !slices.Contains(with.Messages[0].Changes, "quoted text taken out") {
		t.Errorf("%+v", with)
	}
}
