package filter

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// leaksIn checks a finished copy for the first recipients of a message to several.
func leaksIn(t testing.TB, raw string, show Show, mine []int, to ...string) []Finding {
	t.Helper()
	return leaksWith(t, raw, Variant{Rcpts: mine, Show: show, Edits: []Edit{{Kind: EditAlias}}}, to...)
}

func leaksWith(t testing.TB, raw string, v Variant, to ...string) []Finding {
	t.Helper()
	env, facts := envelope(t, to...)
	return holding(CheckLeaks(LeakInput{Mail: parse(t, raw), Watch: NewWatch(register(t)), Env: env, Facts: facts, Variant: &v, Practice: practice}))
}

// holding leaves out what was only recorded.
func holding(fs []Finding) []Finding {
	return slices.DeleteFunc(fs, func(f Finding) bool { return f.Action == Send })
}

// out is a copy as we would write it.
func out(header, body string) string {
	return "From: M <hello@wh.example>\nReply-To: hello@wh.example\nTo: anna@example.org\nSubject: Hello\n" + header +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + body + "\n"
}

func part(header, body string) string {
	return "From: M <hello@wh.example>\nTo: anna@example.org\nSubject: Hello\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nHello\n--b\n" + header + "\n\n" + body + "\n--b--\n"
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestWhatTheLeakCheckHolds(t *testing.T) {
	t.Parallel()
	utf16 := strings.Join(strings.Split("mail cleo@example.net", ""), "\x00")
	for name, tc := range map[string]struct {
		raw  string
		want string // a part of the reason; empty: no hit
	}{
		"clean":                          {out("", "Dear Anna Smith, call 07700 900123 or write to anna@example.org (C-0142)."), ""},
		"alias":                          {out("", "write to hello@wh.example, www.wh.example"), ""},
		"mailbox":                        {out("", "cleo@example.net"), "mailbox"},
		"mailbox in capitals":            {out("", "<CLEO@Example.NET>"), "mailbox"},
		"mailbox in a link":              {out("", "https://x.example/?email=cleo%40example.net&x=1"), "mailbox"},
		"mailbox in a sentence":          {out("", "It is 'cleo@example.net'.And so on"), "mailbox"},
		"mailbox broken by a zero width": {out("", "cleo@exam\u200bple.net"), "mailbox"},
		"mailbox before a dash":          {out("", "write to cleo@example.net\u2014and then"), "mailbox"},
		"mailbox before a hyphen":        {out("", "write to cleo@example.net-then"), "mailbox"},
		"mailbox in Chinese":             {out("", "请写信到cleo@example.net谢谢"), "mailbox"},
		"mailbox broken by a filler":     {out("", "cl\u115feo@exam\u3164ple.net"), "mailbox"},
		"code in Chinese":                {out("", "案件C-0203的"), "code"},
		"name with a Korean ending":      {out("", "Ben Jones씨가"), "full name of another client"},
		"name behind Korean":             {out("", "그Ben Jones"), "full name of another client"},
		"mailbox in a data URL":          {part("Content-Type: text/html", `<a href="data:,x;BASE64 ,`+b64("write to cleo@example.net now")+`">base64, x</a>`), "mailbox"},
		"a CSV with control characters":  {part("Content-Type: application/octet-stream; name=list.csv\nContent-Transfer-Encoding: base64", b64("a\vb\r\nBen Jones;1")), "full name of another client"},
		"a CSV in UTF-16 without a mark": {part("Content-Type: application/octet-stream; name=list.csv\nContent-Transfer-Encoding: base64", b64("a\x00\xe9\x00;\x00"+strings.Join(strings.Split("Ben Jones;1", ""), "\x00")+"\x00")), "full name of another client"},
		"the same as text/csv":           {part("Content-Type: text/csv; name=list.csv\nContent-Transfer-Encoding: base64", b64("\x00"+strings.Join(strings.Split("Ben Jones;1", ""), "\x00"))), "full name of another client"},
		"mailbox in full width":          {out("", "cleo\uff20example.net"), "mailbox"},
		"another mailbox that ends so":   {out("", "xcleo@example.net"), ""},
		"another domain that starts so":  {out("", "cleo@example.network"), ""},
		"mailbox in a header field":      {out("References: <1.cleo@example.net>\n", "x"), "mailbox"},
		"mailbox in an encoded word":     {out("Comments: =?utf-8?B?"+b64("to cleo@example.net")+"?=\n", "x"), "mailbox"},
		"mailbox in base64 in a field":   {out("Thread-Index: "+b64("\x01\xdc\x00to cleo@example.net")+"\n", "x"), "mailbox"},
		"a field with a long word":       {out("X-Long: "+strings.Repeat("abcd", 20)+"\n", "x"), ""},
		"another recipient, unknown":     {out("", "x@elsewhere.example"), "mailbox"},
		"a colleague":                    {out("", "ask kim@other.example"), ""},
		"phone":                          {out("", "ring 07700 900789"), "phone"},
		"phone, international":           {out("", "+44 (0)7700-900-789"), "phone"},
		"phone, 00":                      {out("", "0044 7700 900789"), "phone"},
		"phone in another script":        {out("", "٠٧٧٠٠ ٩٠٠٧٨٩"), "phone"},
		"phone after another":            {out("", "07700 900123, 07700 900789"), "phone"},
		"phone with a digit more":        {out("", "107700900789"), ""},
		"phone with a digit less":        {out("", "0770090078"), ""},
		"code":                           {out("", "as with c-0203."), "code"},
		"code in a file name":            {part("Content-Type: text/csv\nContent-Disposition: attachment; filename=notes_C-0177_v2.csv", "x"), "code"},
		"code with another separator":    {out("", "as with C 0203."), "code"},
		"code over two lines":            {out("", "> as with C\n> 0203."), "code"},
		"code over a blank":              {out("", "as with C  0203."), ""},
		"the same, in a file name":       {part("Content-Type: text/csv\nContent-Disposition: attachment; filename=c_0203.csv", "x"), "code"},
		"code inside a word":             {out("", "ABC-0203 and C-02031"), ""},
		"name of the same practitioner":  {out("", "I saw Ben  Jones and"), "full name of another client"},
		"the same, written backwards":    {out("", "JONES, Ben Maria"), "full name of another client"},
		"given name alone":               {out("", "I saw Ben and Cleo"), ""},
		"name of another practitioner's": {out("", "Cleo Brown paints"), ""},
		"the same with her birth date":   {out("", "Cleo Brown, born 24/12/1985"), "birth date"},
		"the same with it in words":      {out("", "Cleo Brown (24th December 1985)"), "birth date"},
		"the birth date in another part": {strings.Replace(part("Content-Type: text/plain", "Cleo Brown"), "Hello\n--b", "1985-12-24\n--b", 1), ""},
		"HTML attribute":                 {part("Content-Type: text/html", `<a href="mailto:cleo@example.net">x</a>`), "mailbox"},
		"HTML comment":                   {part("Content-Type: text/html", `<p>x</p><!-- Ben Jones -->`), "full name"},
		"base64 text":                    {part("Content-Type: text/plain\nContent-Transfer-Encoding: base64", b64("call cleo@example.net")), "mailbox"},
		"picture":                        {part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff\xfecleo@example.net\xff\x00")), "mailbox"},
		"picture with a phone":           {part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff\xfe+447700900789\xff")), "phone"},
		"picture, a checksum behind":     {part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff\xfecleo@example.netQz9\xff\x00")), "mailbox"},
		"picture, a phone before it":     {part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff\xfe+44770090078912\xff")), "phone"},
		"another domain in a picture":    {part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff\xfecleo@example.networks\xff\x00")), ""},
		"somebody's key":                 {part("Content-Type: application/pgp-keys", "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n"+b64("\x99\x01\xb4\x18Cleo <cleo@example.net>\x88")+"\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----"), "mailbox"},
		"a comment on a key":             {part("Content-Type: application/pgp-keys", "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: Ben Jones\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----"), "full name"},
		"UTF-16 in a program":            {part("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64", b64(utf16)), "mailbox"},
		"across two chunks":              {part("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64", wrap(b64(strings.Repeat(" ", chunk-5)+"cleo@example.net"))), "mailbox"},
		"far into a part":                {part("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64", wrap(b64(strings.Repeat(" ", 5*chunk)+"cleo@example.net"))), "mailbox"},
		"a charset with escapes":         {part("Content-Type: text/plain; charset=hz-gb-2312", "~{cleo@example.net~}"), "mailbox"},
		"embedded message":               {part("Content-Type: message/rfc822", "From: x@y.example\nTo: cleo@example.net\nSubject: x\n\nx"), "mailbox"},
		"the sender's own address":       {out("", "or maya@willowhouse.example"), "address of the sender"},
		"the sender's domain":            {out("", "see www.willowhouse.example/book"), "domain"},
		"a domain that ends so":          {out("", "see notwillowhouse.example"), ""},
		"the sender's domain in a field": {out("Message-ID: <1@mail.willowhouse.example>\n", "x"), "domain"},
		"the sender's name in a field":   {strings.Replace(out("", "x"), "From: M ", "From: \"Okafor, Maya\" ", 1), "full name in a header"},
		"the sender's name in the text":  {out("", "Maya Okafor"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := leaksIn(t, tc.raw, ShowOne, []int{0}, "anna@example.org", "x@elsewhere.example", "sam@willowhouse.example")
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("held: %s", got[0].Reason)
			case tc.want != "" && len(got) == 0:
				t.Error("passed")
			case tc.want != "" && !strings.Contains(got[0].Reason, tc.want):
				t.Errorf("reason %q, want %q", got[0].Reason, tc.want)
			}
			for _, f := range got {
				if f.Rule != RuleLeak || f.Rcpt != 0 || f.Action != Hold || f.Text != "M26" || !f.Fixed || f.About != Safety || len(f.Evidence) == 0 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// A number whose first group hangs on a long word is whole in one window, wherever that ends.
func TestANumberBehindALongWord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x/", behind) + "07700 900 789"
	for n := piece - len(long) - 4; n < piece-len(long)+20; n++ {
		text := strings.Repeat("word ", piece)[:n] + long + " and so on" + strings.Repeat(" more", piece)
		if len(leaksIn(t, out("", text), ShowOne, []int{0}, "anna@example.org")) == 0 {
			t.Errorf("passed behind %d bytes", n)
		}
	}
	if len(leaksIn(t, out("", "07700 900 789,"+strings.Repeat("x/", piece)), ShowOne, []int{0}, "anna@example.org")) == 0 {
		t.Error("passed before a long word")
	}
}

// A name that many people have is a leak with something else that tells who it is, even where
// that something is no secret from the reader: a number or a mailbox at home, a short code.
func TestANameWithSomethingElse(t *testing.T) {
	t.Parallel()
	at := func(s string) []mail.Address { return []mail.Address{addr(t, s)} }
	reg := append(register(t),
		Client{Ref: "C-0500", Name: "Flo Green", Email: append(at("flo@example.net"), addr(t, "family@example.net")), Mobile: []string{"+447700900555"}, Practitioner: "sam"},
		Client{Ref: "C-0501", Name: "Gus Green", Email: append(at("gus@example.net"), addr(t, "family@example.net")), Mobile: []string{"+447700900555"}, Practitioner: "sam"},
		Client{Ref: "17", Name: "Hal Green", Mobile: []string{"+442079460123"}, Practitioner: "sam"})
	env, facts := envelopeOf(t, reg, "flo@example.net")
	for body, want := range map[string]string{
		"Gus Green":                                  "name_alone",
		"07700 900555, family@example.net":           "",
		"Gus Green on 07700 900555":                  "name_phone",
		"07700 900555: ask for Green, Gus":           "name_phone",
		"Gus Green, family@example.net":              "name_mailbox",
		"family@example.net is that of Gus T. Green": "name_mailbox",
		"Gus Green C-0501":                           "code name_alone",
		"Hal Green 17":                               "name_code",
		"17: Hal Green":                              "name_code",
		"Green, Hal (our number 17)":                 "name_code",
		"Hal Green came with a dog and 17 cats":      "name_alone",
		"Hal Green and 18 others":                    "name_alone",
		"176 people":                                 "",
		"Hal Green, 7946 0123":                       "name_phone",
		"7946 0123":                                  "",

		"Flo Green 07700 900555": "",
	} {
		var got []string
		for _, f := range CheckLeaks(LeakInput{Mail: parse(t, strings.Replace(out("", body), "anna@", "x@", 1)), Watch: NewWatch(reg), Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne}}) {
			if (f.Action == Hold) == slices.Contains(f.Channels, "name_alone") {
				t.Errorf("%q: %+v", body, f)
			}
			got = append(got, f.Channels...)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

// The practitioner's own numbers are no business of clients who know the alias.
func TestPhonesOfTheSender(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	alias := []Edit{{Kind: EditAlias}}
	for _, tc := range []struct {
		raw   string
		edits []Edit
		show  Show
		want  bool
	}{
		{out("", "Call me: 07700 900444"), alias, ShowOne, true},
		{out("", "+44 (0)7700-900444"), alias, ShowOne, true},
		{out("", "00353209114444 or 020 911 4444"), alias, ShowOne, true},
		{out("X-Phone: tel:+447700900444\n", "x"), alias, ShowOne, true},
		{part("Content-Type: image/png\nContent-Transfer-Encoding: base64", b64("\x89PNG\xff 07700900444\xff")), alias, ShowOne, true},
		{out("", "07700 900445, 0161 496 0000"), alias, ShowOne, false},
		{out("", "Call me: 07700 900444"), nil, ShowOne, false},
		{out("", "Call me: 07700 900444"), alias, ShowContact, false},
	} {
		got := CheckLeaks(LeakInput{Mail: parse(t, tc.raw), Watch: NewWatch(register(t)), Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: tc.show, Edits: tc.edits},
			Phones: []string{"07700 900444", "+353 20 911 4444"}})
		if (len(got) == 1 && slices.Equal(got[0].Channels, []string{"sender_phone"})) != tc.want || len(got) > 1 {
			t.Errorf("%s: %+v", tc.raw, got)
		}
	}
}

// What a release lets pass is what was shown, and no other way of giving somebody away.
func TestALeakIsReleasedByChannel(t *testing.T) {
	t.Parallel()
	f := Finding{Rule: RuleLeak, Action: Hold, Channels: []string{"mailbox", "code"}}
	for want, shown := range map[bool][]Waived{
		true:  {{Rule: RuleLeak, Channels: []string{"code", "mailbox", "name"}}},
		false: {{Rule: RuleLeak, Channels: []string{"mailbox", "name"}}, {Rule: RuleLeak}, {Rule: RuleLeak, Rcpt: 1, Channels: f.Channels}},
	} {
		if r := (&Release{Waived: shown}); r.Lets([32]byte{}, f) != want || r.Lets([32]byte{1}, f) {
			t.Errorf("%+v: not %v", shown, want)
		}
	}
}

// Names and codes are found however people and programs run them together.
func TestNamesAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	watch := NewWatch(append(register(t), Client{Ref: "C-0400", Name: "Zoë Łukasik-O'Brien", Practitioner: "maya"}))
	for raw, want := range map[string]bool{
		out("", "I read Ben Jones's letter"):                        true,
		out("", "I read Ben Jones’s letter"):                        true,
		out("", "Name:Ben Jones"):                                   true,
		out("", "No.Ben Jones said"):                                true,
		out("", "www.example.com/Ben%20Jones"):                      true,
		out("", "ben.jones@work.example"):                           true,
		out("", "@BenJones"):                                        true,
		out("", "Zoe Lukasik O'Brien"):                              true,
		out("", "Zoë Łukasik-O’Brien"):                              true,
		out("", "Zo\u0065\u0308 \u0141ukasik\u2011O'Brien"):         false, // "Zoeë"
		out("", "Zoe\u0308 \u0141ukasik\u2011O'Brien"):              true,
		out("", "as with C\u20110203"):                              true,
		out("", "as with C0203"):                                    true,
		out("", "as with C02031 and XC0203"):                        false,
		out("", "Ben. Jones's"):                                     true,
		out("", "Benjamin Jones and Ben Joneson"):                   false,
		out("", "Anna Smith's, Anna_Smith.pdf"):                     false, // the reader
		out("", "100%, 50%4 %%Ben %"):                               false,
		part("Content-Type: text/csv; name=Ben_Jones_1.csv", "x"):   true,
		part("Content-Type: text/csv; name=\"Ben Jones.csv\"", "x"): true,
		part("Content-Type: text/csv; name=BenJones.csv", "x"):      true,
		part("Content-Type: text/csv; name=Maya_Okafor.csv", "x"):   true, // the sender's, in a field
	} {
		got := holding(CheckLeaks(LeakInput{Mail: parse(t, raw), Watch: watch, Env: env, Facts: facts,
			Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}))
		if (len(got) > 0) != want {
			t.Errorf("held: %v, want %v:\n%s", len(got) > 0, want, raw)
		}
	}
}

func wrap(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s
}

func TestWhoIsForeign(t *testing.T) {
	t.Parallel()
	body := "Dear Anna Smith and Ben Jones, anna@example.org, ben@example.org, 07700 900456"
	two := []string{"anna@example.org", "ben@example.org"}
	if got := leaksIn(t, out("", body), ShowGroup, []int{0, 1}, two...); len(got) != 0 {
		t.Errorf("an agreed group knows itself: %+v", got)
	}
	if got := leaksIn(t, out("", body), ShowUndisclosed, []int{0, 1}, two...); len(got) != 2 || got[1].Rcpt != 1 {
		t.Errorf("hidden recipients are foreign to each other: %+v", got)
	}
	if got := leaksIn(t, strings.Replace(out("", "Dear Anna Smith"), "anna@example.org", "undisclosed-recipients:;", 1), ShowUndisclosed, []int{0, 1}, two...); len(got) != 2 {
		t.Errorf("hidden, by name: %+v", got)
	}
	if got := leaksIn(t, out("", body), ShowPractice, []int{0}, "sam@willowhouse.example", "anna@example.org"); len(got) != 0 {
		t.Errorf("the practice's own people: %+v", got)
	}
	if got := leaksIn(t, strings.Replace(out("", "about Anna Smith"), "anna@example.org", "gp@nhs.example", 1), ShowContact, []int{0}, "gp@nhs.example"); len(got) != 1 {
		t.Errorf("a contact: %+v", got)
	}
	if got := leaksIn(t, strings.Replace(out("", "Dora White and Emil White, home@example.net"), "To: anna@example.org", "To: home@example.net", 1), ShowOne, []int{0}, "home@example.net"); len(got) != 0 {
		t.Errorf("a shared mailbox: %+v", got)
	}
	if got := leaksIn(t, out("", "Cleo Brown"), ShowOne, []int{0}, "anna@example.org", "cleo@example.net"); len(got) != 1 {
		t.Errorf("another recipient by name: %+v", got)
	}
	v := Variant{Rcpts: []int{0}, Show: ShowOne}
	if got := leaksWith(t, out("", "maya@willowhouse.example"), v, "anna@example.org"); len(got) != 0 {
		t.Errorf("without the alias the sender's address is no secret: %+v", got)
	}
}

// What is copied as it came is searched whole, not only what a mail app shows of it.
func TestWhatStandsOutsideTheParts(t *testing.T) {
	t.Parallel()
	inner := func(top, pre, fields, post string) string {
		return part("Content-Type: message/rfc822", top+"From: x@y.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=c\n\n"+
			pre+"\n--c\n"+fields+"Content-Type: text/plain\n\nx\n--c--\n"+post)
	}
	for name, raw := range map[string]string{
		"before":            inner("", "Multipart MIME, cleo@example.net", "", ""),
		"behind":            inner("", "", "", "mime cleo@example.net"),
		"a field":           inner("", "", "X-Note: cleo@example.net\n", ""),
		"an encoded field":  inner("", "", "X-Note: =?utf-8?B?"+b64("cleo@example.net")+"?=\n", ""),
		"a name in a field": inner("", "", "X-Note: Ben\n Jones\n", ""),
		"a line of mbox":    inner("From cleo@example.net Tue Mar  3 10:00:00 2026\n", "", "", ""),
		"far behind":        inner("", "", "", "mime\n"+strings.Repeat(strings.Repeat("x", 70)+"\n", 2000)+"cleo@example.net"),
		"a tag":             part("Content-Type: text/html", "<p>Cleo <cleo@example.net> wrote</p>"),
		"an attribute":      part("Content-Type: text/html", "<p cleo@example.net>x</p>"),
		"an end tag":        part("Content-Type: text/html", "<p>x</p cleo@example.net>"),
	} {
		if got := leaksIn(t, raw, ShowOne, []int{0}, "anna@example.org"); len(got) == 0 {
			t.Errorf("%s: passed", name)
		}
	}
	if got := leaksIn(t, inner("", "This is a multi-part message in MIME format.", "X-Note: x\n", ""), ShowOne, []int{0}, "anna@example.org"); len(got) != 0 {
		t.Errorf("clean: %+v", got)
	}
}

// The sender's other addresses are as secret as the one of the sign-in, whatever their domain.
func TestOtherAddressesOfTheSender(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	in := LeakInput{Watch: NewWatch(register(t)), Env: env, Facts: facts, Own: []mail.Address{addr(t, "maya@home.example"), addr(t, "hello@wh.example")},
		Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}
	for text, want := range map[string]int{"maya@home.example": 1, "hello@wh.example": 0, "x@home.example": 0} {
		if in.Mail = parse(t, out("", text)); len(CheckLeaks(in)) != want {
			t.Errorf("%s: want %d findings", text, want)
		}
	}
	in.Variant = &Variant{Rcpts: []int{0}, Show: ShowOne}
	if in.Mail = parse(t, out("", "maya@home.example")); len(CheckLeaks(in)) != 0 {
		t.Error("without the alias it is no secret")
	}
}

func TestTheLeakCheckFailsClosed(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	v := &Variant{Rcpts: []int{0}, Show: ShowOne}
	whole := LeakInput{Mail: parse(t, out("", "x")), Watch: NewWatch(register(t)), Env: env, Facts: facts, Variant: v}
	if got := CheckLeaks(whole); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	for name, change := range map[string]func(*LeakInput){
		"no register": func(in *LeakInput) { in.Watch = nil },
		"no mail":     func(in *LeakInput) { in.Mail = nil },
		"no facts":    func(in *LeakInput) { in.Facts = nil },
		"no sender":   func(in *LeakInput) { in.Facts = &Facts{At: now} },
		"no envelope": func(in *LeakInput) { in.Env = nil },
	} {
		in := whole
		change(&in)
		if got := CheckLeaks(in); len(got) != 1 || got[0].Action != Hold {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Whoever made the plan: clients who did not all agree may not see each other in one copy.
func TestASharedCopyNeedsEverybodysAgreement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to   []string
		held bool
	}{{[]string{"anna@example.org", "ben@example.org"}, false}, {[]string{"anna@example.org", "cleo@example.net"}, true}} {
		raw := strings.Replace(out("", "x"), "To: anna@example.org", "To: "+strings.Join(c.to, ", "), 1)
		if !strings.Contains(raw, c.to[1]) {
			t.Fatalf("the copy does not show the second reader:\n%s", raw)
		}
		if got := leaksIn(t, raw, ShowGroup, []int{0, 1}, c.to...); len(got) > 0 != c.held {
			t.Errorf("%v: %+v", c.to, got)
		}
	}
}

func TestReasonsNeverShowWhatWasSeen(t *testing.T) {
	t.Parallel()
	raw := out("", "cleo@example.net 07700 900789 C-0203 Ben Jones maya@willowhouse.example")
	for _, f := range leaksIn(t, raw, ShowOne, []int{0}, "anna@example.org") {
		s := strings.ToLower(asJSON(t, f))
		for _, secret := range []string{"cleo", "900789", "0203", "jones", "maya", "willow"} {
			if strings.Contains(s, secret) {
				t.Errorf("finding shows %q: %s", secret, s)
			}
		}
	}
}

func TestSameNumber(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"447700900123": true, "07700900123": true, "7700900123": true, "00447700900123": true, "4407700900123": true,
		"700900123": false, "70090012": false, "00900123": false, "17700900123": false, "07700900124": false, "": false} {
		if got := sameNumber(s, "447700900123"); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func FuzzCheckLeaks(f *testing.F) {
	f.Add("cleo@example.net\n+44 7700 900789", "C-0203")
	f.Add(`"a b"@example.net @ @@ 0 0 0 0 0 0 0`, "%40\xff\u0660")
	watch := NewWatch(register(f))
	f.Fuzz(func(t *testing.T, a, b string) {
		env, facts := envelope(t, "anna@example.org")
		raw := out("", a) + b
		m, err := mail.Parse(strings.NewReader(raw), int64(len(raw)), mail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		CheckLeaks(LeakInput{Mail: m, Watch: watch, Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}})
	})
}

func bigRegister(b testing.TB, n int) []Client {
	out := make([]Client, n)
	for i := range out {
		out[i] = Client{Ref: fmt.Sprintf("C-%06d", i), Name: fmt.Sprintf("Given%d Family%d", i%997, i), Mobile: []string{fmt.Sprintf("+4477009%06d", i)},
			Email: []mail.Address{{LocalPart: fmt.Sprintf("client%d", i), Domain: "example.org"}}, Practitioner: "maya", Born: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	return out
}

func body4k() string {
	return strings.Repeat("The next meeting is on Tuesday at 10:30, room 4, ask for 0161 496 0000.\n", 56)
}

func BenchmarkCheckLeaks4KiB(b *testing.B) {
	watch := NewWatch(bigRegister(b, 100_000))
	env, facts := envelope(b, "anna@example.org", "ben@example.org")
	in := LeakInput{Mail: parse(b, out("", body4k())), Watch: watch, Env: env, Facts: facts,
		Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}
	if got := CheckLeaks(in); len(got) != 0 {
		b.Fatal(got)
	}
	b.SetBytes(in.Mail.Size)
	b.ReportAllocs()
	for b.Loop() {
		CheckLeaks(in)
	}
}

func BenchmarkNewWatch100000(b *testing.B) {
	reg := bigRegister(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		NewWatch(reg)
	}
}

func BenchmarkRun4KiB(b *testing.B) {
	rules := shipped(b)
	in := input(b, message("anna@example.org, ben@example.org, cleo@example.net", "", "Hi", body4k()), "anna@example.org", "ben@example.org", "cleo@example.net")
	b.SetBytes(in.Mail.Size)
	b.ReportAllocs()
	for b.Loop() {
		in.memo = nil
		if _, err := Run(rules, practice, in); err != nil {
			b.Fatal(err)
		}
	}
}

// The check reads each byte a bounded number of times, whatever the text.
func TestLeakCheckIsLinear(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	watch := NewWatch(register(t))
	for name, unit := range map[string]string{"at": "@", "digits": "0 ", "long number": "1", "atext": "a!", "labels": "a.", "address": "a@b.c.d.", "code": "a-", "quote": `"@`, "percents": "%25", "backslashes": `\5c`, "data": "base64,aGk ",
		"packed": "base64,YmFzZTY0LFltRnpaVFkwTEFvPQo=", "spoken": "a (at) b (dot) ", "blanks": " at ", "brackets": "( ", "zeros": "o0", "a name": "Cleo Brown ",
		"a first name": "cleo m ", "umlauts": "ü Müller ", "hangul": "김민", "quoted lines": "1\n> > > "} {
		m := parse(t, out("", wrap(strings.Repeat(unit, 1<<20/len(unit)))))
		start := time.Now()
		CheckLeaks(LeakInput{Mail: m, Watch: watch, Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}})
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: 1 MiB took %s", name, d)
		} else {
			t.Logf("%s: %s", name, d)
		}
	}
}

// A register in which everybody has the same name, number and mailbox costs no more than one
// without: what is said again is judged once.
func TestWhatManyShareIsJudgedOnce(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org")
	reg := bigRegister(t, 20_000)
	for i := range reg {
		reg[i].Name, reg[i].Mobile, reg[i].Email, reg[i].Practitioner = "Cleo Brown", []string{"+447700900789"}, []mail.Address{addr(t, "home@example.net")}, "sam"
	}
	watch := NewWatch(reg)
	m := parse(t, out("", wrap(strings.Repeat("Cleo Brown 07700 900789 home@example.net 1990-01-01 ", 1<<20/52))))
	start := time.Now()
	got := CheckLeaks(LeakInput{Mail: m, Watch: watch, Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne}})
	if len(got) != 1 || !slices.Equal(got[0].Channels, []string{"mailbox", "phone", "name_born"}) {
		t.Errorf("%+v", got)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("1 MiB took %s", d)
	}
}

// BenchmarkCheckLeaksNearNames reads 8 MiB of words that names of the register begin and end
// with, and of names.
func BenchmarkCheckLeaksNearNames(b *testing.B) {
	watch := NewWatch(bigRegister(b, 100_000))
	env, facts := envelope(b, "anna@example.org")
	for name, pair := range map[string]func(i int) (int, int){
		"near":  func(i int) (int, int) { return i % 997, i + 1 },
		"names": func(i int) (int, int) { return i % 997, i },
	} {
		var text strings.Builder
		for i := 0; text.Len() < 8<<20; i = (i + 7919) % 100_000 {
			given, family := pair(i)
			fmt.Fprintf(&text, "Given%d Family%d\n", given, family)
		}
		in := LeakInput{Mail: parse(b, out("", text.String())), Watch: watch, Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne}}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				CheckLeaks(in)
			}
		})
	}
}
