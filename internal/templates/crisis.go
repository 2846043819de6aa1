package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CrisisLines are the helplines by country (ISO 3166, GB).
type CrisisLines map[string]CrisisCountry

// CrisisCountry is what a country has.
type CrisisCountry struct {
	Emergency string // "999", or "112 or 999"
	Lines     []CrisisLine
}

// CrisisLine is one helpline.
type CrisisLine struct {
	Name, Call, Text, Note, Hours string // Hours: 24/7, or when it is open
	Free                          bool
	For                           string // all, or under_19
	Nation                        string // empty: the whole country
	Source                        string
	CheckedOn                     time.Time // zero: never
}

// CrisisFor is what decides which lines somebody gets.
type CrisisFor struct {
	Country, Nation string
	Age             int
	AgeKnown        bool
	Discreet        bool // the mail may be seen by others
}

// DiscreetLine is all that an unlocked mail to a discreet client says.
const DiscreetLine = "This inbox is not watched all the time. For anything urgent use the numbers on your card."

const crisisIntro = "I cannot offer crisis support by email and do not read it outside working hours."

// Crisis returns the crisis lines as one paragraph. Where country or age is not known it
// names the emergency number alone: a helpline of the wrong country helps nobody.
func Crisis(lines CrisisLines, f CrisisFor) string {
	if f.Discreet {
		return DiscreetLine
	}
	c, known := lines[strings.ToUpper(f.Country)]
	if !known || !f.AgeKnown {
		return crisisIntro + " In danger now: call " + emergency(lines, f.Country) + "."
	}
	var all, young []string
	for _, l := range c.Lines {
		if l.Nation != "" && !strings.EqualFold(l.Nation, f.Nation) {
			continue
		}
		if age, ok := l.under(); ok {
			if f.Age < age {
				young = append(young, "Under "+strconv.Itoa(age)+": "+l.sentence())
			}
			continue
		}
		all = append(all, l.sentence())
	}
	out := crisisIntro
	if len(all) > 0 {
		out += " If you need someone now: " + strings.Join(all, " ")
	}
	if len(young) > 0 {
		out += " " + strings.Join(young, " ")
	}
	return out + " In danger now: call " + c.Emergency + "."
}

// under returns the age below which the line is meant, if it is meant for some only.
func (l CrisisLine) under() (int, bool) {
	s, ok := strings.CutPrefix(l.For, "under_")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// sentence writes the line: "Samaritans, call 116 123 (free, day or night)."
func (l CrisisLine) sentence() string {
	var ways []string
	if l.Call != "" {
		ways = append(ways, "call "+l.Call)
	}
	if l.Text != "" {
		ways = append(ways, "text "+l.Text)
	}
	s := l.Name + ", " + strings.Join(ways, " or ")
	if l.Note != "" {
		s += " " + l.Note
	}
	var about []string
	if l.Free {
		about = append(about, "free")
	}
	_, young := l.under()
	switch {
	case l.Hours == "24/7" && !young:
		about = append(about, "day or night")
	case l.Hours != "" && l.Hours != "24/7":
		about = append(about, l.Hours)
	}
	// A note says enough about a line by itself.
	if len(about) > 0 && l.Note == "" {
		s += " (" + strings.Join(about, ", ") + ")"
	}
	return s + "."
}

// emergency returns the number to call. Of an unknown country the only one that the practice
// works in is the best guess; of several, each is named with its country.
func emergency(lines CrisisLines, country string) string {
	if c, ok := lines[strings.ToUpper(country)]; ok {
		return c.Emergency
	}
	if country != "" || len(lines) == 0 {
		return "your local emergency number"
	}
	if len(lines) == 1 {
		for _, c := range lines {
			return c.Emergency
		}
	}
	var out []string
	for name, c := range lines {
		out = append(out, c.Emergency+" ("+name+")")
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(a, b) })
	return strings.Join(out, ", ")
}

// FirstLine returns the paragraphs that stand before the sender's text. A mail app shows the
// beginning of a mail on the lock screen: for a discreet client the first 140 visible
// characters hold none of what the sender wrote.
func FirstLine(discreet bool) []string {
	if !discreet {
		return []string{firstLine}
	}
	return []string{firstLine, DiscreetLine, filler}
}

const (
	firstLine = "A short practical note."
	filler    = "There is nothing here that you need to do at once."
)
