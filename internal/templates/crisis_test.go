package templates

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func gb() CrisisLines {
	return CrisisLines{"GB": {Emergency: "999", Lines: []CrisisLine{
		{Name: "Samaritans", Call: "116 123", Hours: "24/7", Free: true, For: "all"},
		{Name: "Childline", Call: "0800 1111", Hours: "24/7", Free: true, For: "under_19"},
		{Name: "Shout", Text: "85258", Hours: "24/7", Free: true, For: "all"},
		{Name: "NHS", Call: "111", Note: "and choose the mental health option", Hours: "24/7", Free: true, For: "all", Nation: "England"},
	}}}
}

func TestCrisisLines(t *testing.T) {
	t.Parallel()
	const all = "I cannot offer crisis support by email and do not read it outside working hours. If you need someone now: Samaritans, call 116 123 (free, day or night). Shout, text 85258 (free, day or night). NHS, call 111 and choose the mental health option. Under 19: Childline, call 0800 1111 (free). In danger now: call 999."
	const alone = "I cannot offer crisis support by email and do not read it outside working hours. In danger now: call 999."
	for name, tc := range map[string]struct {
		f    CrisisFor
		want string
	}{
		"young, England": {CrisisFor{Country: "GB", Nation: "England", Age: 15, AgeKnown: true}, all},
		"nineteen":       {CrisisFor{Country: "GB", Nation: "England", Age: 19, AgeKnown: true}, strings.Replace(all, " Under 19: Childline, call 0800 1111 (free).", "", 1)},
		"Scotland":       {CrisisFor{Country: "gb", Nation: "Scotland", Age: 15, AgeKnown: true}, strings.Replace(all, " NHS, call 111 and choose the mental health option.", "", 1)},
		"age unknown":    {CrisisFor{Country: "GB", Nation: "England"}, alone},
		"no country":     {CrisisFor{Age: 30, AgeKnown: true}, alone},
		"other country":  {CrisisFor{Country: "FR", Age: 30, AgeKnown: true}, strings.Replace(alone, "999", "your local emergency number", 1)},
		"discreet":       {CrisisFor{Country: "GB", Nation: "England", Age: 15, AgeKnown: true, Discreet: true}, DiscreetLine},
	} {
		if got := Crisis(gb(), tc.f); got != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tc.want)
		}
	}
	two := gb()
	two["IE"] = CrisisCountry{Emergency: "112 or 999"}
	if got := Crisis(two, CrisisFor{}); !strings.HasSuffix(got, "call 112 or 999 (IE), 999 (GB).") {
		t.Errorf("two countries: %s", got)
	}
	if got := Crisis(nil, CrisisFor{}); !strings.HasSuffix(got, "call your local emergency number.") {
		t.Errorf("no lines at all: %s", got)
	}
	if got := (CrisisLine{Name: "X", Call: "1", Text: "2", Hours: "16:00-23:00"}).sentence(); got != "X, call 1 or text 2 (16:00-23:00)." {
		t.Errorf("hours: %s", got)
	}
}

// What a lock screen shows of a mail to a discreet client is ours.
func TestFirstLines(t *testing.T) {
	t.Parallel()
	if got := FirstLine(false); len(got) != 1 || got[0] != "A short practical note." {
		t.Errorf("%q", got)
	}
	got := FirstLine(true)
	if n := utf8.RuneCountInString(strings.Join(got, " ")); n < 140 {
		t.Errorf("only %d characters", n)
	}
	if got[1] != DiscreetLine {
		t.Errorf("%q", got)
	}
}
