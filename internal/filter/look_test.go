package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

func attachedMessage(kind, name, content string) string {
	return "From: Maya <maya@willowhouse.example>\nTo: anna@example.org\nSubject: Hi\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nHello\n--b\nContent-Type: " + kind + "\nContent-Disposition: attachment; filename=" + name + "\n\n" + content + "\n--b--\n"
}

func TestConditionsOnSenderAndClient(t *testing.T) {
	t.Parallel()
	reg := register(t)
	reg[1].Status = "former"
	in := &Input{Mail: parse(t, message("anna@example.org", "", "Hi", "x"))}
	in.Env, in.Facts = envelopeOf(t, reg, "anna@example.org", "ben@example.org", "cleo@example.net", "home@example.net", "sam@willowhouse.example")
	in.Facts.Sender.Value.May = []string{"send", "send_now"}
	const anna, ben, cleo, home, sam = 0, 1, 2, 3, 4 // cleo's and home's countries are not known
	for _, tc := range []struct {
		c    Condition
		want [5]bool
	}{
		{From{[]string{"maya"}}, [5]bool{true, true, true, true, true}},
		{From{[]string{"sam", "diary"}}, [5]bool{}},
		{SenderMay{"send_now"}, [5]bool{true, true, true, true, true}},
		{SenderMay{"release"}, [5]bool{}},
		{FormerClient{}, [5]bool{ben: true}},
		{FormerClient{Side: UnderUnless}, [5]bool{ben: true}},
		{ClientCountry{Codes: []string{"GB"}}, [5]bool{anna: true, ben: true, cleo: true, home: true}},
		{ClientCountry{Codes: []string{"GB"}, Side: UnderUnless}, [5]bool{anna: true, ben: true}},
		{ClientCountry{Codes: []string{"IE", "US"}}, [5]bool{cleo: true, home: true}},
		{ClientCountry{Codes: []string{"GB"}, Not: true}, [5]bool{cleo: true, home: true}},
		{ClientCountry{Codes: []string{"IE"}, Not: true}, [5]bool{anna: true, ben: true, cleo: true, home: true}},
		{ClientCountry{Codes: []string{"IE"}, Not: true, Side: UnderUnless}, [5]bool{anna: true, ben: true}},
	} {
		for i, want := range tc.want {
			if got, err := tc.c.Holds(in, i); err != nil || got != want {
				t.Errorf("%T%+v for %d: %v %v", tc.c, tc.c, i, got, err)
			}
		}
	}
	_ = sam
	reg[4].Status = "former" // one of the two at home
	in.Env, in.Facts = envelopeOf(t, reg, "home@example.net")
	if ok, _ := (FormerClient{}).Holds(in, 0); !ok {
		t.Error("one former client at a mailbox is enough under when")
	}
	if ok, _ := (FormerClient{Side: UnderUnless}).Holds(in, 0); ok {
		t.Error("one former client at a mailbox is not everybody")
	}
}

func TestWhatIsUnknownNeverPassesALook(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hi", "x"), "anna@example.org")
	for _, state := range []State{Unresolved, Absent, Unavailable} {
		in.Facts.Sender = Fact[Sender]{State: state}
		for _, c := range []Condition{From{[]string{"maya"}}, SenderMay{"send_now"}} {
			if _, err := c.Holds(in, 0); err == nil || (fault.KindOf(err) == fault.Unavailable) != (state == Unavailable) {
				t.Errorf("%T with state %d: %v", c, state, err)
			}
		}
	}
	in.Facts.At = time.Time{}
	if _, err := (Outside{Location: time.UTC}).Holds(in, 0); err == nil {
		t.Error("no moment")
	}
	if _, err := (Outside{Location: time.UTC, BankHolidays: "wales"}).Holds(input(t, "", "anna@example.org"), 0); err == nil {
		t.Error("unknown holidays")
	}
	in.Facts.Recipients[0].Clients = Fact[[]Client]{}
	for _, c := range []Condition{FormerClient{}, ClientCountry{}, PersonalContact{}} {
		if _, err := c.Holds(in, 0); !errors.Is(err, errUnresolved) {
			t.Errorf("%T: %v", c, err)
		}
	}
	for _, c := range []Condition{Contains{"odd"}, Attachment{}, Attachment{Kinds: []string{"odd"}}} {
		if _, err := c.Holds(in, 0); err == nil {
			t.Errorf("%T%+v has an answer", c, c)
		}
	}
	for _, c := range []Condition{WordsMoreThan{1}, SizeMoreThan{1}, Attachment{Kinds: []string{"any"}}, Contains{"link"}, PersonalContact{}} {
		if _, err := c.Holds(input(t, "", "anna@example.org"), 0); err == nil || c.Needs()&NeedContent == 0 {
			t.Errorf("%T without a message", c)
		}
	}
}

func TestConditionsOnTheMessage(t *testing.T) {
	t.Parallel()
	zip, doc := "PK\x03\x04\x14\x00\x00\x00", "%PDF-1.7"
	for name, tc := range map[string]struct {
		c    Condition
		raw  string
		want bool
	}{
		"five words":                {WordsMoreThan{4}, message("a@example.org", "", "Re: Hi", "one two three four"), true},
		"not six":                   {WordsMoreThan{5}, message("a@example.org", "", "Re: Hi", "one two three four\n\n> five six seven"), false},
		"large":                     {SizeMoreThan{1000}, message("a@example.org", "", "Hi", strings.Repeat("x\n", 500)), true},
		"small":                     {SizeMoreThan{1000}, message("a@example.org", "", "Hi", "x"), false},
		"document":                  {Attachment{Kinds: []string{"document"}}, attachedMessage("application/octet-stream", "x.bin", doc), true},
		"no document":               {Attachment{Kinds: []string{"document"}}, attachedMessage("image/png", "x.png", "\x89PNG\r\n\x1a\n"), false},
		"archive may hold one":      {Attachment{Kinds: []string{"document"}}, attachedMessage("application/zip", "x.zip", zip), true},
		"archive is surely none":    {Attachment{Kinds: []string{"document"}, Side: UnderUnless}, attachedMessage("application/zip", "x.zip", zip), false},
		"unknown may be a document": {Attachment{Kinds: []string{"document"}}, attachedMessage("application/octet-stream", "x.q7q", "\x01"), true},
		"a program shows":           {Attachment{Kinds: []string{"program"}}, attachedMessage("application/octet-stream", "x.scr", "\x01"), true},
		"an archive is no program":  {Attachment{Kinds: []string{"program"}}, attachedMessage("application/zip", "x.zip", zip), false},
		"one of two":                {Attachment{Kinds: []string{"calendar", "archive"}}, attachedMessage("application/zip", "x.zip", zip), true},
		"any":                       {Attachment{Kinds: []string{"any"}}, attachedMessage("audio/mpeg", "x.mp3", "ID3"), true},
		"none":                      {Attachment{Kinds: []string{"any"}}, message("a@example.org", "", "Hi", "x"), false},
		"link":                      {Contains{"link"}, message("a@example.org", "", "Hi", "https://example.org"), true},
		"link in the subject":       {Contains{"link"}, message("a@example.org", "", "https://example.org", "x"), true},
		"link in a file":            {Contains{"link"}, attachedMessage("text/plain", "x.txt", "https://example.org/x"), true},
		"no link":                   {Contains{"link"}, message("a@example.org", "", "Hi", "x"), false},
		"kisses":                    {Contains{"kisses"}, message("a@example.org", "", "Hi", "See you xx"), true},
		"no kisses":                 {Contains{"kisses"}, message("a@example.org", "", "Hi", "See you"), false},
		"no picture":                {Contains{"remote_image"}, message("a@example.org", "", "Hi", "http://example.org/x.png"), false},
	} {
		if got, err := tc.c.Holds(input(t, tc.raw, "anna@example.org"), 0); err != nil || got != tc.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestPersonalContact(t *testing.T) {
	t.Parallel()
	c := PersonalContact{Phones: []string{"0161 496 0000"}, Domains: practice.OwnDomains, Listed: []mail.Address{addr(t, "hello@wh.example"), addr(t, "gp@nhs.example")}}
	for body, want := range map[string]bool{
		"Ring me on 07700 900999":                                true,
		"Ring me on +44 (0)7700-900-999.":                        true,
		"Ring 0161 496 0999":                                     true,
		"Write to Maya.Okafor@HOME.example.":                     true,
		"Schreib an maya＠home.example":                           true,
		"Ring us on 0161 496 0000":                               false,
		"Ring us on +44 161 496 0000":                            false,
		"Samaritans 116 123, Childline 0800 1111":                false,
		"Ring 0300 123 3393 or 0808 808 4994":                    false,
		"I have 07700 900123 for you, is that right":             false, // anna's own
		"You wrote from anna@example.org":                        false,
		"Ask hello@wh.example or gp@nhs.example":                 false,
		"maya@willowhouse.example":                               false,
		"On 2026-11-22 at 14:02 in room 12":                      false,
		"Thanks\n\nOn 1 May 2026, A wrote:\n> ring 07700 900999": false,
	} {
		if got, err := c.Holds(input(t, message("a@example.org", "", "Hi", body), "anna@example.org"), 0); err != nil || got != want {
			t.Errorf("%q: %v %v", body, got, err)
		}
	}
}

// However long the text, wherever the contact stands in it, and wherever a window ends.
func TestPersonalContactInLongTexts(t *testing.T) {
	t.Parallel()
	for _, filler := range []string{"we meet at the blue door, ", "\ufdfa ", "0161 496 0000 ", "12345 "} {
		for n := 8000; n < 8450; n += 7 {
			lead := strings.Repeat(filler, n/len(filler)) + strings.Repeat("x", n%len(filler)) + " "
			for _, tail := range []string{"", " and so on", " " + strings.Repeat(filler, 400)} {
				c := contactsIn(new(reader), []string{lead + "+44 (0)7700 900 999 or maya.home@mail.example" + tail})
				if !c.phones["4407700900999"] || !c.mailboxes["maya.home@mail.example"] || c.over {
					t.Fatalf("%q after %d bytes: %v", filler, n, c)
				}
				if !strings.ContainsAny(filler, "0123456789") && len(c.phones)+len(c.mailboxes) != 2 {
					t.Fatalf("%q after %d bytes: %v", filler, n, c)
				}
			}
		}
	}
	var many strings.Builder
	for i := range maxContacts + 2 {
		fmt.Fprintf(&many, "a%d@mail.example ", i)
	}
	if c := contactsIn(new(reader), []string{many.String()}); !c.over || len(c.mailboxes) > 2*maxContacts {
		t.Errorf("%d mailboxes are kept", len(c.mailboxes))
	}
}

func TestOutsideWorkingHours(t *testing.T) {
	t.Parallel()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	week := []time.Weekday{1, 2, 3, 4, 5}
	for _, tc := range []struct {
		at, where string
		want      bool
	}{
		{"2026-03-04 08:59", "none", true}, {"2026-03-04 09:00", "none", false}, {"2026-03-04 17:59", "none", false}, {"2026-03-04 18:00", "none", true},
		{"2026-07-01 09:00", "none", false}, // summer time
		{"2026-03-01 10:00", "none", true},  // Sunday
		{"2026-04-03 10:00", "england-and-wales", true}, {"2026-04-06 10:00", "england-and-wales", true}, {"2026-04-06 10:00", "scotland", false},
		{"2026-04-06 10:00", "none", false},
		{"2026-08-03 10:00", "scotland", true}, {"2026-08-03 10:00", "england-and-wales", false}, {"2026-08-31 10:00", "scotland", false},
		{"2026-08-31 10:00", "england-and-wales", true},
		{"2026-12-28 10:00", "england-and-wales", true},                                 // for Saturday 26 December
		{"2027-12-27 10:00", "northern-ireland", true},                                  // for Saturday
		{"2027-12-28 10:00", "northern-ireland", true},                                  // for Sunday
		{"2028-01-03 10:00", "scotland", true},                                          // for Saturday 1 January
		{"2028-01-04 10:00", "scotland", true},                                          // for Sunday 2 January
		{"2028-01-04 10:00", "england-and-wales", false},                                //
		{"2026-01-02 10:00", "scotland", true},                                          //
		{"2023-01-03 10:00", "scotland", true},                                          // for Monday 2 January
		{"2026-11-30 10:00", "scotland", true},                                          //
		{"2026-03-17 10:00", "northern-ireland", true},                                  //
		{"2026-07-13 10:00", "northern-ireland", true},                                  // for Sunday 12 July
		{"2026-07-13 10:00", "scotland", false}, {"2026-05-25 10:00", "scotland", true}, //
		{"2023-05-08 10:00", "scotland", true}, {"2022-06-03 10:00", "england-and-wales", true}, // of one year only
		{"2026-05-04 10:00", "northern-ireland", true}, {"2026-12-25 10:00", "northern-ireland", true}, //
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", tc.at, london)
		if err != nil {
			t.Fatal(err)
		}
		in := input(t, "", "anna@example.org")
		in.Facts.At = at.UTC()
		c := Outside{Location: london, Days: week, From: 9 * 60, To: 18 * 60, BankHolidays: tc.where}
		if got, err := c.Holds(in, 0); err != nil || got != tc.want {
			t.Errorf("%s %s: %v %v", tc.at, tc.where, got, err)
		}
	}
}
