package templates

import (
	"cmp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func lines() CrisisLines {
	return CrisisLines{
		"GB": {Emergency: "999", Lines: []CrisisLine{
			{Name: "Samaritans", Call: "116 123", Hours: "24/7", Free: true, For: "all"},
			{Name: "Childline", Call: "0800 1111", Hours: "24/7", Free: true, For: "under_19"},
			{Name: "Shout", Text: "85258", Hours: "24/7", Free: true, For: "all"},
			{Name: "NHS", Call: "111", Note: "and choose the mental health option", Hours: "24/7", Free: true, For: "all", NotNation: "Northern Ireland"},
			{Name: "Breathing Space", Call: "0800 83 85 87", Hours: "18:00-02:00", Free: true, For: "all", Nation: "Scotland"},
			{Name: "Meic", Call: "080880 23456", Text: "84001", Hours: "08:00-00:00", Free: true, For: "under_26", Nation: "Wales"},
			{Name: "Y Samariaid", Call: "0808 164 0123", Hours: "19:00-23:00", Free: true, For: "all", Language: "cy"},
			{Name: "GIG 111 Cymru", Call: "111", Note: "a phwyswch 2", Hours: "24/7", Free: true, For: "all", Nation: "Wales", Language: "cy"},
			{Name: "Childline", Call: "0800 1111", Note: "a gofynnwch am gael siarad Cymraeg", Hours: "24/7", Free: true, For: "under_19", Language: "cy"},
		}},
		"IE": {Emergency: "112 or 999", Lines: []CrisisLine{{Name: "Childline", Call: "1800 66 66 66", Hours: "24/7", Free: true, For: "under_18"}}},
		"US": {Emergency: "911", Lines: []CrisisLine{{Name: "988 Lifeline", Call: "988", Text: "988", Hours: "24/7", Free: true, For: "all"}}},
	}
}

// TestCrisisLines is the crisis signature over country, nation, age, language and discretion.
func TestCrisisLines(t *testing.T) {
	t.Parallel()
	const (
		intro      = "I cannot offer crisis support by email and do not read it outside working hours. "
		now        = "If you need someone now: "
		always     = "Samaritans, call 116 123 (free, day or night). Shout, text 85258 (free, day or night). "
		nhs        = "NHS, call 111 and choose the mental health option. "
		breathing  = "Breathing Space, call 0800 83 85 87 (free, 18:00-02:00). "
		childline  = "Under 19: Childline, call 0800 1111 (free). "
		meic       = "Under 26: Meic, call 080880 23456 or text 84001 (free, 08:00-00:00). "
		danger     = "In danger now: call 999."
		adult      = intro + now + always + nhs + danger
		introWelsh = "Ni allaf gynnig cymorth mewn argyfwng drwy e-bost ac nid wyf yn ei ddarllen y tu allan i oriau gwaith. "
		ownWelsh   = "Os oes angen rhywun arnoch nawr: Y Samariaid, ffoniwch 0808 164 0123 (am ddim, 19:00-23:00). "
		ringsWelsh = "Samaritans, ffoniwch 116 123 (am ddim, ddydd neu nos). Shout, tecstiwch 85258 (am ddim, ddydd neu nos). "
		endWelsh   = "Mewn perygl nawr: ffoniwch 999."
	)
	for _, tc := range []struct {
		country, nation, language string
		age                       int // -1: not known
		want                      string
	}{
		{"GB", "England", "", 40, adult},
		{"GB", "England", "en-GB", 19, adult},
		{"gb", "england", "EN", 19, adult},
		{"GB", "", "", 40, adult}, // nobody knows the nation: what most of the country has
		{"GB", "England", "", 18, intro + childline + now + always + nhs + danger},
		{"GB", "Scotland", "", 40, intro + now + always + nhs + breathing + danger},
		{"GB", "Scotland", "gd", 18, intro + childline + now + always + nhs + breathing + danger},
		{"GB", "Northern Ireland", "en", 40, intro + now + always + danger},
		{"GB", "Northern Ireland", "en", 8, intro + childline + now + always + danger},
		{"GB", "Wales", "en", 25, intro + meic + now + always + nhs + danger},
		{"GB", "Wales", "en", 18, intro + childline + meic + now + always + nhs + danger},
		{"GB", "Wales", "en", 26, adult},
		{"GB", "Wales", "cy", 40, introWelsh + ownWelsh + "GIG 111 Cymru, ffoniwch 111 a phwyswch 2. " + ringsWelsh + endWelsh},
		{"GB", "Wales", "cy-GB", 18, introWelsh + "Dan 19: Childline, ffoniwch 0800 1111 a gofynnwch am gael siarad Cymraeg. " +
			"Dan 26: Meic, ffoniwch 080880 23456 neu tecstiwch 84001 (am ddim, 08:00-00:00). " + ownWelsh +
			"GIG 111 Cymru, ffoniwch 111 a phwyswch 2. " + ringsWelsh + endWelsh},
		{"GB", "England", "cy", 40, introWelsh + ownWelsh + ringsWelsh + "NHS, ffoniwch 111 and choose the mental health option. " + endWelsh},
		{"GB", "Wales", "cyx", 26, adult},
		{"GB", "England", "fr", 40, adult},
		{"IE", "", "", 17, intro + "Under 18: Childline, call 1800 66 66 66 (free). In danger now: call 112 or 999."},
		{"IE", "", "", 18, intro + "In danger now: call 112 or 999."},
		{"US", "", "es", 30, intro + now + "988 Lifeline, call or text 988 (free, day or night). In danger now: call 911."},
		{"US", "", "cy", 30, introWelsh + "Os oes angen rhywun arnoch nawr: 988 Lifeline, ffoniwch neu tecstiwch 988 (am ddim, ddydd neu nos). Mewn perygl nawr: ffoniwch 911."},
		{"GB", "England", "", -1, intro + danger},
		{"GB", "Wales", "cy", -1, introWelsh + endWelsh},
		{"", "England", "", 40, intro + "In danger now: call 999 or your local emergency number abroad."},
		{"", "", "cy", -1, introWelsh + "Mewn perygl nawr: ffoniwch 999 neu eich rhif argyfwng lleol dramor."},
		{"FR", "", "", 40, intro + "In danger now: call your local emergency number."},
		{"FR", "", "cy", -1, introWelsh + "Mewn perygl nawr: ffoniwch eich rhif argyfwng lleol."},
	} {
		f := CrisisFor{Country: tc.country, Nation: tc.nation, Language: tc.language, Age: max(0, tc.age), AgeKnown: tc.age >= 0, Home: "GB"}
		if got := Crisis(lines(), f); got != tc.want {
			t.Errorf("%+v:\n%s\nwant\n%s", f, got, tc.want)
		}
		if got := CrisisMissing(lines(), f); (got != "") != (tc.age < 0 || tc.country == "" || tc.country == "FR") {
			t.Errorf("%+v: missing %q", f, got)
		}
		f.Discreet = true
		if got := Crisis(lines(), f); got != DiscreetLine || CrisisMissing(lines(), f) != "" {
			t.Errorf("%+v: %s", f, got)
		}
	}
	if got := Crisis(nil, CrisisFor{}); !strings.HasSuffix(got, "call your local emergency number.") {
		t.Errorf("no lines at all: %s", got)
	}
}

// The lines for the young stand before all others, whatever their order in the file; a line
// that is not open day and night says when it is; and no number is said twice.
func TestCrisisLinesOfAnyFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := lines()["GB"]
		c.Lines = rapid.Permutation(c.Lines).Draw(rt, "order")
		f := CrisisFor{Country: "GB", AgeKnown: true, Age: rapid.IntRange(0, 100).Draw(rt, "age"),
			Nation:   rapid.SampledFrom([]string{"", "England", "Wales", "Scotland", "Northern Ireland"}).Draw(rt, "nation"),
			Language: rapid.SampledFrom([]string{"", "en", "cy", "cy-GB"}).Draw(rt, "language")}
		got := Crisis(CrisisLines{"GB": c}, f)
		last := -1
		for _, l := range c.Lines {
			at := strings.Index(got, cmp.Or(l.Call, l.Text))
			age, young := l.under()
			if young && f.Age < age && (l.Nation == "" || l.Nation == f.Nation) && at < 0 {
				rt.Fatalf("%s is not in %s", l.Name, got)
			}
			if young && at >= 0 {
				last = max(last, at)
			}
			if young && f.Age >= age && strings.Contains(got, "Under "+strconv.Itoa(age)) {
				rt.Fatalf("%s is not for somebody of %d", l.Name, f.Age)
			}
			if n := strings.Count(got, " "+l.Call); l.Call != "" && l.Call != "111" && n > 1 {
				rt.Fatalf("%s stands %d times in %s", l.Call, n, got)
			}
			if strings.Contains(got, l.Name) && l.Hours != "24/7" && !strings.Contains(got, l.Hours) {
				rt.Fatalf("%s is there without its hours: %s", l.Name, got)
			}
		}
		if at := strings.Index(got, "Samaritans, "); at < last {
			rt.Fatalf("Samaritans stand before a line for the young: %s", got)
		}
	})
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
