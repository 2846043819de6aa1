package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// TestShippedCrisisLinesReadAsWritten is what the practice's texts say, word for word, and who
// gets which lines of the shipped file.
func TestShippedCrisisLinesReadAsWritten(t *testing.T) {
	t.Parallel()
	snap := newBench(t).snap
	const (
		intro     = "I cannot offer crisis support by email and do not read it outside working hours. "
		now       = "If you need someone now: "
		two       = "Samaritans, call 116 123 (free, day or night). Shout, text 85258 (free, day or night). "
		nhs       = "NHS, call 111 and choose the mental health option. "
		childline = "Under 19: Childline, call 0800 1111 (free). "
		meic      = "Under 26: Meic, call 080880 23456 or text 84001 (free, 08:00-24:00). "
		danger    = "In danger now: call 999."
	)
	for _, tc := range []struct {
		country, nation, language string
		age                       int
		want                      string
	}{
		{"GB", "England", "en-GB", 40, intro + now + two + nhs + danger},
		{"GB", "", "", 40, intro + now + two + nhs + danger},
		{"GB", "England", "", 17, intro + childline + now + two + nhs + danger},
		{"GB", "Scotland", "", 40, intro + now + two + nhs + "Breathing Space, call 0800 83 85 87 (free, Mon-Thu 18:00-02:00, Fri 18:00 to Mon 06:00). " + danger},
		{"GB", "Northern Ireland", "", 40, intro + now + two + "Lifeline, call 0808 808 8000 (free, day or night). " + danger},
		{"GB", "Wales", "", 20, intro + meic + now + two + nhs + "CALL Helpline, call 0800 132 737 (free, day or night). " + danger},
		{"GB", "Wales", "cy", 40, "Ni allaf gynnig cymorth mewn argyfwng drwy e-bost ac nid wyf yn ei ddarllen y tu allan i oriau gwaith. " +
			"Os oes angen rhywun arnoch nawr: Llinell Gymraeg y Samariaid, ffoniwch 0808 164 0123 (am ddim, 19:00-23:00). " +
			"GIG 111 Cymru, ffoniwch 111 a phwyswch 2. Samaritans, ffoniwch 116 123 (am ddim, ddydd neu nos). " +
			"Shout, tecstiwch 85258 (am ddim, ddydd neu nos). CALL Helpline, ffoniwch 0800 132 737 (am ddim, ddydd neu nos). Mewn perygl nawr: ffoniwch 999."},
		{"IE", "", "", 40, intro + now + "Samaritans, call 116 123 (free, day or night). Text About It, text HELLO to 50808 (free, day or night). In danger now: call 112 or 999."},
		{"IE", "", "", 17, intro + "Under 18: Childline, call 1800 66 66 66 (free). " + now + "Samaritans, call 116 123 (free, day or night). " +
			"Text About It, text HELLO to 50808 (free, day or night). In danger now: call 112 or 999."},
		{"US", "", "en-US", 17, intro + now + "988 Lifeline, call or text 988 (free, day or night). Crisis Text Line, text HOME to 741741 (free, day or night). In danger now: call 911."},
	} {
		f := templates.CrisisFor{Country: tc.country, Nation: tc.nation, Language: tc.language, Age: tc.age, AgeKnown: true, Home: "GB"}
		if got := templates.Crisis(snap.Crisis, f); got != tc.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", f, got, tc.want)
		}
	}
}

// TestManagerIsToldOfMissingFacts: mail to a client of unknown country or age names the
// emergency number alone, nothing is held for it, and who answers for data protection is told
// once. A discreet client's mail has no lines to miss.
func TestManagerIsToldOfMissingFacts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	yes, no := true, false
	born := time.Date(1990, 4, 1, 0, 0, 0, 0, time.UTC)
	locals := []string{"noage", "noplace", "paris", "quiet"}
	rows := []store.ClientRow{
		{Client: filter.Client{Ref: "C-0301", Country: "GB", Discreet: &no}},
		{Client: filter.Client{Ref: "C-0302", Born: born, Discreet: &no}},
		{Client: filter.Client{Ref: "C-0303", Born: born, Country: "FR", Discreet: &no}},
		{Client: filter.Client{Ref: "C-0304", Discreet: &yes}},
	}
	for i := range rows {
		rows[i].Email = []mail.Address{{LocalPart: locals[i], Domain: "example.org"}}
	}
	if _, err := b.store.ImportClients(t.Context(), rows, "sam"); err != nil {
		t.Fatal(err)
	}
	send := func(to ...mail.Address) (told []string) {
		t.Helper()
		e := b.envelope(to...)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Hi", "See you on Tuesday.", to...))); err != nil {
			t.Fatal(err)
		}
		copies := b.copies(e.ID)
		if len(copies) != len(to) {
			t.Fatalf("%d copies to %d people", len(copies), len(to))
		}
		for who, m := range copies {
			if s := m.NewText(); strings.Contains(s, "Samaritans") || !strings.Contains(s, "In danger now: call ") && !strings.Contains(s, templates.DiscreetLine) {
				t.Errorf("%s reads\n%s", who, s)
			}
		}
		for _, n := range b.noticesAbout(e.ID) {
			if n.To[0].Address.LocalPart != "sam" {
				t.Errorf("a notice to %v", n.To)
			}
			first, _, _ := strings.Cut(strings.Join(strings.Fields(n.NewText()), " "), " Add what")
			told = append(told, first)
		}
		slices.Sort(told)
		return told
	}
	want := []string{
		"Emails to C-0301 name the emergency number alone, without crisis lines, because the register has no date of birth.",
		"Emails to C-0302 name the emergency number alone, without crisis lines, because the register has no country.",
		"Emails to C-0303 name the emergency number alone, without crisis lines, because crisis-lines.yaml has no lines for FR.",
	}
	var all []mail.Address
	for i := range rows {
		all = append(all, rows[i].Email[0])
	}
	if told := send(all...); !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if told := send(all...); len(told) > 0 {
		t.Errorf("told again: %q", told)
	}
	// Another reason is news.
	rows[0].Country, rows[0].Born = "", born
	if _, err := b.store.ImportClients(t.Context(), rows[:1], "sam"); err != nil {
		t.Fatal(err)
	}
	want = []string{"Emails to C-0301 name the emergency number alone, without crisis lines, because the register has no country."}
	if told := send(all[0]); !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
