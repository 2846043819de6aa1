package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/mail"
)

// sample is a mail of the demo, and what should become of it.
type sample struct {
	title  string
	to     []string // envelope
	fields []string // header fields, without Date and Message-ID
	body   string
	want   expected
}

// expected is compared with what the sink received.
type expected struct {
	outcome string
	copies  []string // forward-paths of each copy, sorted, comma between several
	notices []string // forward-path of each notice
	check   func(r *result) []string
}

const fromMaya = "From: Maya Okafor <maya@willowhouse.example>"

// samples tell the product's story in the order in which a newcomer asks.
func samples() []sample {
	sent := func(check func(*result) []string, copies ...string) expected {
		return expected{outcome: "SENT", copies: copies, check: check}
	}
	held := expected{outcome: "HELD", notices: []string{"maya@willowhouse.example"}}
	return []sample{
		{title: "Three clients in To: each gets a copy of their own",
			to:     []string{"anna@example.org", "ben@example.net", "cara@example.com"},
			fields: []string{fromMaya, "To: anna@example.org, ben@example.net, cara@example.com", "Subject: Your trauma group on Tuesday"},
			body:   "Hello all,\n\nwe start at half past two this week, in the upstairs room.\n\nMaya\n",
			want:   sent(checkNeutral, "anna@example.org", "ben@example.net", "cara@example.com")},
		{title: "A telling subject and address: both become neutral",
			to:     []string{"anna@example.org"},
			fields: []string{fromMaya, "To: Anna Quill <anna@example.org>", "Subject: Your counselling assessment", "X-Mailer: Laptop of Maya"},
			body:   "Hello,\n\nthe room is booked for Thursday at ten.\n\nMaya\n",
			want:   sent(checkNeutral, "anna@example.org")},
		{title: "Two clients who agreed to be in one group: one message, Cc kept",
			to:     []string{"devi@example.org", "ella@example.net"},
			fields: []string{fromMaya, "To: devi@example.org", "Cc: ella@example.net", "Subject: [together] Saturday"},
			body:   "Hello both,\n\nwe meet at the gate at eleven.\n\nMaya\n",
			want:   sent(checkTogether, "devi@example.org,ella@example.net")},
		{title: "The same with somebody who has not agreed: held",
			to:     []string{"anna@example.org", "devi@example.org"},
			fields: []string{fromMaya, "To: anna@example.org, devi@example.org", "Subject: [together] Saturday"},
			body:   "Hello both,\n\nwe meet at the gate at eleven.\n\nMaya\n", want: held},
		{title: "A reply in text and HTML: crisis lines above the quote, in both",
			to: []string{"ben@example.net"},
			fields: []string{fromMaya, "To: ben@example.net", "Subject: Re: Our session on Monday", "In-Reply-To: <note.17@example.net>", "References: <note.17@example.net>",
				`MIME-Version: 1.0`, `Content-Type: multipart/alternative; boundary="alt"`},
			body: alternative, want: sent(checkReply, "ben@example.net")},
		{title: "An address that is on no list: held, and Maya is asked",
			to:     []string{"anne@example.org"},
			fields: []string{fromMaya, "To: anne@example.org", "Subject: Hello"},
			body:   "Hello,\n\nsee you on Thursday at ten.\n\nMaya\n", want: held},
		{title: "Somebody else's address in From: refused",
			to:     []string{"anna@example.org"},
			fields: []string{"From: Sam Reid <sam@willowhouse.example>", "To: anna@example.org", "Subject: Hello"},
			body:   "Hello,\n\nthis is not Sam.\n",
			want:   expected{outcome: "REFUSED", notices: []string{"maya@willowhouse.example"}}},
		{title: "Signed by the mail app: never broken silently, so held",
			to: []string{"anna@example.org"},
			fields: []string{fromMaya, "To: anna@example.org", "Subject: Hello", "MIME-Version: 1.0",
				`Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256; boundary="sig"`},
			body: signed, want: held},
		{title: "Words of danger: never delayed, and the safeguarding lead is told at once",
			to:     []string{"anna@example.org"},
			fields: []string{fromMaya, "To: anna@example.org", "Subject: Thank you for telling me"},
			body:   "Dear Anna,\n\nyou wrote about suicide, and I am glad that you told me. Please ring me today.\n\nMaya\n",
			want:   expected{outcome: "SENT", copies: []string{"anna@example.org"}, notices: []string{"sam@willowhouse.example"}, check: checkNeutral}},
		{title: "Marked [secure]: text and file leave locked with the words that Cara and Maya agreed",
			to: []string{"cara@example.com"},
			fields: []string{fromMaya, "To: cara@example.com", "Subject: [secure] Your assessment", "MIME-Version: 1.0",
				`Content-Type: multipart/mixed; boundary="mix"`},
			body: letterWithFile, want: sent(checkLocked, "cara@example.com")},
		{title: "Marked [secure] to Ella, who has a PGP key: it leaves as PGP/MIME, and her key opens it",
			to:     []string{"ella@example.net"},
			fields: []string{fromMaya, "To: ella@example.net", "Subject: [secure] Your assessment"},
			body:   "Dear Ella,\n\nhere is what we found.\n\nMaya\n", want: sent(checkPGP, "ella@example.net")},
		{title: "The same to a client without words: held, never sent in clear",
			to:     []string{"devi@example.org"},
			fields: []string{fromMaya, "To: devi@example.org", "Subject: [secure] Your assessment"},
			body:   "Dear Devi,\n\nhere is what we found.\n\nMaya\n", want: held},
		{title: "A colleague: sent as written",
			to:     []string{"sam@willowhouse.example"},
			fields: []string{fromMaya, "To: Sam Reid <sam@willowhouse.example>", "Subject: Room plan for Tuesday"},
			body:   "Hello Sam,\n\ncould I have the upstairs room?\n\nMaya\n",
			want:   sent(checkColleague, "sam@willowhouse.example")},
	}
}

const alternative = `--alt
Content-Type: text/plain; charset=utf-8

Half past two is fine.

Maya

On Mon, 16 Nov 2026 at 14:02, Ben wrote:
> Could we start at half past two?
--alt
Content-Type: text/html; charset=utf-8

<html><body><p>Half past two is fine.</p><p>Maya</p>
<blockquote type="cite">Could we start at half past two?</blockquote></body></html>
--alt--
`

const signed = `--sig
Content-Type: text/plain; charset=us-ascii

See you on Thursday at ten.

--sig
Content-Type: application/pgp-signature; name="signature.asc"

-----BEGIN PGP SIGNATURE-----

iHUEABYKAB0WIQRhbm90YXJlYWxzaWduYXR1cmU=
-----END PGP SIGNATURE-----

--sig--
`

const letterWithFile = `--mix
Content-Type: text/plain; charset=utf-8

Dear Cara,

here is the assessment that we wrote together. Ring me if anything in it is not as you said it.

Maya
--mix
Content-Type: text/csv; name="Cara Moss scores.csv"
Content-Disposition: attachment; filename="Cara Moss scores.csv"

week,score
1,14
--mix--
`

// message is the sample as a mail app would write it.
func (s sample) message(at time.Time) string {
	lines := append([]string{"Date: " + at.Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		fmt.Sprintf("Message-ID: <%d@willowhouse.example>", at.UnixNano())}, s.fields...)
	text := strings.Join(lines, "\n") + "\n\n" + s.body
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// compare returns everything that is not as it should be.
func (s sample) compare(r *result) []string {
	var wrong []string
	if r.Outcome != s.want.outcome {
		wrong = append(wrong, fmt.Sprintf("%s, but should be %s", r.Outcome, s.want.outcome))
	}
	paths := func(list []received) []string {
		out := []string{}
		for _, d := range list {
			to := slices.Clone(d.To)
			slices.Sort(to)
			out = append(out, strings.Join(to, ","))
		}
		slices.Sort(out)
		return out
	}
	if got := paths(r.copies); !slices.Equal(got, s.want.copies) {
		wrong = append(wrong, fmt.Sprintf("copies left for %q, should be for %q", got, s.want.copies))
	}
	if got := paths(r.notices); !slices.Equal(got, s.want.notices) {
		wrong = append(wrong, fmt.Sprintf("notices went to %q, should go to %q", got, s.want.notices))
	}
	for _, n := range r.notices {
		for _, secret := range []string{s.subject(), "Anna Quill", "anna@example.org", "anne@example.org"} {
			if secret != "" && secret != "Hello" && strings.Contains(string(n.Data), secret) {
				wrong = append(wrong, fmt.Sprintf("the notice shows %q", secret))
			}
		}
	}
	if s.want.check != nil && len(wrong) == 0 {
		wrong = append(wrong, s.want.check(r)...)
	}
	return wrong
}

func (s sample) subject() string {
	for _, f := range s.fields {
		if v, ok := strings.CutPrefix(f, "Subject: "); ok {
			return v
		}
	}
	return ""
}

// checkNeutral wants each copy to name its own recipient alone, under the practice's alias.
func checkNeutral(r *result) []string {
	var wrong []string
	for _, c := range r.copies {
		text := string(c.Data)
		for _, k := range demoClients(time.Now()) {
			if a := k.Email[0].String(); a != c.To[0] && strings.Contains(text, a) {
				wrong = append(wrong, fmt.Sprintf("the copy for %s shows %s", c.To[0], a))
			}
		}
		for _, lost := range []string{r.sample.subject(), "trauma", "counselling", "maya@willowhouse.example", "willowhouse.example>\r\nTo", "X-Mailer", "Okafor"} {
			if strings.Contains(text, lost) {
				wrong = append(wrong, fmt.Sprintf("the copy for %s still says %q", c.To[0], lost))
			}
		}
		if from := mail.FormatMailboxes(c.message.From); !strings.Contains(from, "hello@wh.example") || c.From != "hello@wh.example" {
			wrong = append(wrong, fmt.Sprintf("the copy for %s is from %s", c.To[0], from))
		}
		wrong = append(wrong, checkCrisis(c)...)
	}
	return wrong
}

// checkLocked wants nothing of the letter outside, and all of it behind the words.
func checkLocked(r *result) []string {
	var wrong []string
	for _, c := range r.copies {
		for _, lost := range []string{"assessment", "secure", "Moss", "scores", "Dear Cara"} {
			if strings.Contains(string(c.Data), lost) {
				wrong = append(wrong, fmt.Sprintf("the copy for %s still says %q", c.To[0], lost))
			}
		}
		for _, p := range c.message.Root.Parts {
			b, err := io.ReadAll(c.message.Decode(p))
			if err != nil {
				wrong = append(wrong, err.Error())
				continue
			}
			switch p.Filename {
			case "letter.pdf":
				if _, err = encrypt.OpenPDF(bytes.NewReader(b), "other words than these"); err == nil {
					wrong = append(wrong, "any words open the letter")
				}
				_, err = encrypt.OpenPDF(bytes.NewReader(b), demoWords)
			case "files.zip":
				_, err = encrypt.OpenZIP(bytes.NewReader(b), int64(len(b)), demoWords)
			}
			if err != nil {
				wrong = append(wrong, p.Filename+" does not open: "+err.Error())
			}
		}
		if n := len(c.message.Root.Parts); n != 3 {
			wrong = append(wrong, fmt.Sprintf("%d parts, want the note, the letter and the files", n))
		}
	}
	return wrong
}

// checkPGP wants nothing of the letter outside, and all of it inside, with the real subject.
func checkPGP(r *result) []string {
	var wrong []string
	for _, c := range r.copies {
		for _, lost := range []string{"assessment", "secure", "Dear Ella", "Thorne", "Okafor", "maya@willowhouse.example"} {
			if strings.Contains(string(c.Data), lost) {
				wrong = append(wrong, fmt.Sprintf("the copy for %s still says %q", c.To[0], lost))
			}
		}
		if c.inside == nil {
			wrong = append(wrong, "the copy is not encrypted")
			continue
		}
		if c.inside.Subject != "Your assessment" || !strings.Contains(strings.Join(bodyLines(c.inside), "\n"), "Dear Ella") {
			wrong = append(wrong, "the letter is not inside")
		}
		wrong = append(wrong, checkCrisis(received{delivery: c.delivery, message: c.inside})...)
	}
	return wrong
}

// demoWords are what Cara agreed with Maya.
const demoWords = "maple river seven candle otter blanket"

// checkCrisis wants the crisis lines, or the discreet line for Cara, exactly once a text.
func checkCrisis(c received) []string {
	want := "Samaritans"
	if c.To[0] == "cara@example.com" {
		want = "numbers on your card"
	}
	var wrong []string
	for p := range c.message.Parts() {
		if strings.HasPrefix(p.MediaType, "text/") && p.Disposition != "attachment" {
			if n := strings.Count(strings.Join(strings.Fields(p.Text), " "), want); n != 1 {
				wrong = append(wrong, fmt.Sprintf("the copy for %s has the crisis lines %d times in %s", c.To[0], n, p.MediaType))
			}
		}
	}
	return wrong
}

// checkTogether wants the one message to show the whole group.
func checkTogether(r *result) []string {
	m := r.copies[0].message
	if to, cc := mail.FormatMailboxes(m.To), mail.FormatMailboxes(m.Cc); !strings.Contains(to, "devi@example.org") || !strings.Contains(cc, "ella@example.net") {
		return []string{fmt.Sprintf("the group is not shown as written: To %s, Cc %s", to, cc)}
	}
	if strings.Contains(m.Subject, "[together]") {
		return []string{"the tag is still in the subject"}
	}
	return nil
}

// checkReply wants the crisis lines above the quote in text and in HTML.
func checkReply(r *result) []string {
	wrong := checkNeutral(r)
	texts := 0
	for p := range r.copies[0].message.Parts() {
		if !strings.HasPrefix(p.MediaType, "text/") {
			continue
		}
		texts++
		crisis, quote := strings.Index(p.Text, "Samaritans"), strings.Index(p.Text, "Could we start")
		if crisis < 0 || quote < 0 || crisis > quote {
			wrong = append(wrong, "the crisis lines are not above the quote in "+p.MediaType)
		}
	}
	if texts != 2 {
		wrong = append(wrong, fmt.Sprintf("%d text parts, should be text and HTML", texts))
	}
	return wrong
}

// checkColleague wants nothing changed that a colleague sees.
func checkColleague(r *result) []string {
	m := r.copies[0].message
	if m.Subject != r.sample.subject() || !strings.Contains(mail.FormatMailboxes(m.From), "maya@willowhouse.example") {
		return []string{"the colleague's copy was changed: " + m.Subject}
	}
	return nil
}

// print shows a result: the outcome, before, after, and why.
func (d *demo) print(r result) {
	var blocks []block
	raw := r.sample.message(time.Now())
	if m, err := mail.Parse(strings.NewReader(raw), int64(len(raw)), mail.DefaultLimits()); err == nil {
		blocks = append(blocks, block{"before", shown(m, true)})
	}
	for i, c := range r.copies {
		label := "after"
		if i > 0 {
			label = "and"
		}
		blocks = append(blocks, block{label, shown(c.message, i == 0)})
		if c.inside != nil {
			blocks = append(blocks, block{"inside", shown(c.inside, true)})
		}
	}
	if r.Outcome != "SENT" {
		blocks = append(blocks, block{"reply", wrap(r.Reply, 84)})
	}
	for _, n := range r.notices {
		lines := []string{"To:      " + strings.Join(n.To, ", "), "Subject: " + n.message.Subject}
		blocks = append(blocks, block{"notice", append(lines, bodyLines(n.message)...)})
	}
	var why []string
	for _, reason := range r.Why {
		why = append(why, wrap(reason, 84)...)
	}
	blocks = append(blocks, block{"why", why}, block{"WRONG", r.Wrong})

	fmt.Fprintf(d.Out, "%-8s %s\n\n", r.Outcome, r.Title)
	for _, b := range blocks {
		b.write(d.Out)
	}
	fmt.Fprintln(d.Out)
}

// block is some lines beside a label.
type block struct {
	label string
	lines []string
}

func (b block) write(w io.Writer) {
	if len(b.lines) == 0 {
		return
	}
	label := b.label
	for _, l := range b.lines {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-6s  %s", label, l), " "))
		label = ""
	}
	fmt.Fprintln(w)
}

// shown is who, to whom, the subject and, when full, the text.
func shown(m *mail.Message, full bool) []string {
	lines := []string{"From:    " + mail.FormatMailboxes(m.From), "To:      " + mail.FormatMailboxes(m.To)}
	if len(m.Cc) > 0 {
		lines = append(lines, "Cc:      "+mail.FormatMailboxes(m.Cc))
	}
	lines = append(lines, "Subject: "+m.Subject)
	if full {
		lines = append(lines, bodyLines(m)...)
	}
	return lines
}

// bodyLines is the first text of a message, wrapped and set off.
func bodyLines(m *mail.Message) []string {
	for p := range m.Parts() {
		if p.MediaType != "text/plain" {
			continue
		}
		var out []string
		for line := range strings.Lines(strings.TrimRight(p.Text, "\r\n") + "\n") {
			for _, l := range wrap(strings.TrimRight(line, "\r\n"), 82) {
				out = append(out, strings.TrimRight("| "+l, " "))
			}
		}
		return out
	}
	return nil
}

// wrap breaks a line between words.
func wrap(line string, width int) []string {
	var out []string
	now := ""
	for _, word := range strings.Fields(line) {
		if now != "" && len(now)+1+len(word) > width {
			out, now = append(out, now), ""
		}
		if now != "" {
			now += " "
		}
		now += word
	}
	return append(out, now)
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}
