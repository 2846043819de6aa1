package templates

import (
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
	Nation                        string // only there; empty: the whole country
	NotNation                     string // everywhere but there
	Language                      string // only for clients of this language (cy); empty: for all
	Source                        string
	CheckedOn                     time.Time // zero: never
}

// CrisisFor is what decides which lines somebody gets.
type CrisisFor struct {
	Country, Nation string
	Language        string // BCP 47; empty or one that has no wording: English
	Age             int
	AgeKnown        bool
	Discreet        bool   // the mail may be seen by others
	Home            string // the practice's own country
}

// DiscreetLine is all that an unlocked mail to a discreet client says.
const DiscreetLine = "This inbox is not watched all the time. For anything urgent use the numbers on your card."

// crisisWording is the crisis signature in one language.
type crisisWording struct {
	language           string // primary subtag
	intro, now, danger string
	call, text, or     string
	free, always       string
	under              string // before an age and a colon
	local, elsewhere   string // emergency numbers that nobody knows
}

// english is what everybody gets who is not known to speak another language that is here.
func english() crisisWording {
	return crisisWording{language: "en",
		intro: "I cannot offer crisis support by email and do not read it outside working hours.",
		now:   "If you need someone now:", danger: "In danger now:",
		call: "call", text: "text", or: "or", free: "free", always: "day or night", under: "Under",
		local: "your local emergency number", elsewhere: "or your local emergency number abroad"}
}

func welsh() crisisWording {
	return crisisWording{language: "cy",
		intro: "Ni allaf gynnig cymorth mewn argyfwng drwy e-bost ac nid wyf yn ei ddarllen y tu allan i oriau gwaith.",
		now:   "Os oes angen rhywun arnoch nawr:", danger: "Mewn perygl nawr:",
		call: "ffoniwch", text: "tecstiwch", or: "neu", free: "am ddim", always: "ddydd neu nos", under: "Dan",
		local: "eich rhif argyfwng lleol", elsewhere: "neu eich rhif argyfwng lleol dramor"}
}

func crisisWordings() []crisisWording { return []crisisWording{english(), welsh()} }

// speaks reports whether a language is one that somebody who speaks of has: cy-GB has cy.
func speaks(language, of string) bool {
	primary, _, _ := strings.Cut(language, "-")
	return strings.EqualFold(primary, of)
}

func wordingOf(language string) crisisWording {
	for _, w := range crisisWordings() {
		if speaks(language, w.language) {
			return w
		}
	}
	return english()
}

// CrisisMissing says in words what must be known about somebody before they can get crisis
// lines; empty if nothing is missing. Until then their mail names the emergency number alone.
func CrisisMissing(lines CrisisLines, f CrisisFor) string {
	country := strings.ToUpper(f.Country)
	_, known := lines[country]
	switch {
	case f.Discreet:
		return ""
	case country == "" && !f.AgeKnown:
		return "the register has no country and no date of birth"
	case country == "":
		return "the register has no country"
	case !known:
		return "crisis-lines.yaml has no lines for " + country
	case !f.AgeKnown:
		return "the register has no date of birth"
	}
	return ""
}

// Crisis returns the crisis lines as one paragraph: for somebody young the lines for the
// young first, then those in their own language. Where country or age is not known it names
// the emergency number alone: a helpline of the wrong country helps nobody.
func Crisis(lines CrisisLines, f CrisisFor) string {
	if f.Discreet {
		return DiscreetLine
	}
	w := wordingOf(f.Language)
	out := []string{w.intro}
	if CrisisMissing(lines, f) == "" {
		young, others := linesFor(lines[strings.ToUpper(f.Country)].Lines, f)
		for _, l := range young {
			age, _ := l.under()
			out = append(out, w.under+" "+strconv.Itoa(age)+": "+w.sentence(l))
		}
		if len(others) > 0 {
			out = append(out, w.now)
		}
		for _, l := range others {
			out = append(out, w.sentence(l))
		}
	}
	return strings.Join(append(out, w.danger, w.call+" "+w.emergency(lines, f)+"."), " ")
}

// linesFor returns the lines for somebody: those for the young, and the others. In both those
// in their own language stand first, and take the place of the others with the same number.
func linesFor(lines []CrisisLine, f CrisisFor) (young, others []CrisisLine) {
	var own, all []CrisisLine
	for _, l := range lines {
		switch {
		case !l.isFor(f):
		case l.Language != "":
			own = append(own, l)
		default:
			all = append(all, l)
		}
	}
	all = slices.DeleteFunc(all, func(l CrisisLine) bool { return slices.ContainsFunc(own, l.sameNumber) })
	for _, l := range slices.Concat(own, all) {
		if _, ok := l.under(); ok {
			young = append(young, l)
		} else {
			others = append(others, l)
		}
	}
	return young, others
}

// isFor reports whether somebody may get this line. Who is of no known nation gets the lines
// of the whole country.
func (l CrisisLine) isFor(f CrisisFor) bool {
	age, young := l.under()
	return !(young && f.Age >= age) &&
		(l.Nation == "" || strings.EqualFold(l.Nation, f.Nation)) &&
		(l.NotNation == "" || !strings.EqualFold(l.NotNation, f.Nation)) &&
		(l.Language == "" || speaks(f.Language, l.Language))
}

func (l CrisisLine) sameNumber(k CrisisLine) bool { return l.Call == k.Call && l.Text == k.Text }

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
func (w crisisWording) sentence(l CrisisLine) string {
	var ways []string
	switch {
	case l.Call != "" && l.Call == l.Text:
		ways = []string{w.call + " " + w.or + " " + w.text + " " + l.Call}
	default:
		if l.Call != "" {
			ways = append(ways, w.call+" "+l.Call)
		}
		if l.Text != "" {
			ways = append(ways, w.text+" "+l.Text)
		}
	}
	s := l.Name + ", " + strings.Join(ways, " "+w.or+" ")
	if l.Note != "" {
		s += " " + l.Note
	}
	var about []string
	_, young := l.under()
	// A note says enough about a line by itself; but not when nobody may answer.
	if l.Free && l.Note == "" {
		about = append(about, w.free)
	}
	switch {
	case l.Hours != "24/7" && l.Hours != "":
		about = append(about, l.Hours)
	case l.Note == "" && !young:
		about = append(about, w.always)
	}
	if len(about) > 0 {
		s += " (" + strings.Join(about, ", ") + ")"
	}
	return s + "."
}

// emergency returns the number to call. Of an unknown country the practice's own is the best
// guess.
func (w crisisWording) emergency(lines CrisisLines, f CrisisFor) string {
	if c, ok := lines[strings.ToUpper(f.Country)]; ok {
		return c.Emergency
	}
	if c, ok := lines[f.Home]; ok && f.Country == "" {
		return c.Emergency + " " + w.elsewhere
	}
	return w.local
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

// HowToOpen returns the paragraphs that stand outside a locked mail: what to do with the file.
// protection is pdf, docx, zip or pgp.
func HowToOpen(protection string) []string {
	switch protection {
	case "pgp":
		return nil // the mail app opens it by itself
	case "zip":
		return []string{"The note we talked about is attached. Open it with the words we agreed. " +
			"It needs an app that opens locked ZIP files, such as 7-Zip on a computer. Cannot open it? Ask me next time, nothing is lost."}
	}
	return []string{"The note we talked about is attached. Open it with the words we agreed. " +
		"iPhone: tap the file and type the words. Android: if it will not preview, tap download and open it in your PDF app. " +
		"Cannot open it? Ask me next time, nothing is lost."}
}

const (
	firstLine = "A short practical note."
	filler    = "There is nothing here that you need to do at once."
)
