package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/mail"
)

// The forms of names, and of what could be taken for a number, a time or a date: 22:30,
// 1_000, 1.2.3.
var (
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)
	numberLike = regexp.MustCompile(`^[-+]?[0-9][0-9_.:,eE+-]*$`)
)

// scalar returns the characters of a single word or text.
func (v value) scalar(what string) (string, bool) {
	if v.n.Kind != yaml.ScalarNode {
		v.report(codeNotSingle, "%s must be a single value", "write it without brackets", what)
		return "", false
	}
	return v.n.Value, true
}

// text reads a text. A bare value that somebody could take for a number, a date, a time or
// yes and no is refused: what is meant must be in quotes (B63).
func (v value) text(what string) (string, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return "", false
	}
	if v.plain() && looksTyped(s, v.n.Tag) {
		v.report(codeQuoteIt, "%s is a text, and %s could be read as something else", "write it in quotes: \""+strings.ReplaceAll(s, `"`, "")+`"`, what, quote(s))
		return "", false
	}
	if strings.TrimSpace(s) == "" {
		v.report(codeTextEmpty, "%s is empty", "write something between the quotes", what)
		return "", false
	}
	return s, true
}

// looksTyped reports whether a bare word could be read as another type, by this or another
// reader of YAML.
func looksTyped(s, tag string) bool {
	if tag != "!!str" {
		return true
	}
	switch strings.ToLower(s) {
	case "yes", "no", "on", "off", "true", "false", "y", "n", "null", "~":
		return true
	}
	return numberLike.MatchString(s)
}

// word reads one of a closed set of words.
func (v value) word(what string, known ...string) (string, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return "", false
	}
	if !slices.Contains(known, s) {
		fix := didYouMean(s, known)
		if fix == "" {
			fix = "known here: " + strings.Join(known, ", ")
		}
		v.report(codeUnknownWord, "unknown word %s for %s", fix, quote(s), what)
		return "", false
	}
	return s, true
}

// yesNo reads yes, no, true or false, bare, and nothing else.
func (v value) yesNo(what string) (bool, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return false, false
	}
	if v.plain() {
		switch s {
		case "yes", "true":
			return true, true
		case "no", "false":
			return false, true
		}
	}
	v.report(codeYesNo, "%s must be yes or no", "write yes or no, in small letters and without quotes", what)
	return false, false
}

// whole reads a whole number between low and high.
func (v value) whole(what string, low, high int) (int, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || !v.plain() || strconv.Itoa(n) != s {
		v.report(codeNumber, "%s must be a whole number", "write digits only, without a zero in front and without quotes", what)
		return 0, false
	}
	if n < low || n > high {
		v.report(codeRange, "%s must be between "+strconv.Itoa(low)+" and "+strconv.Itoa(high), "write a number in this range", what)
		return 0, false
	}
	return n, true
}

// span reads a short time: 0s, 15m, 2h, 3d.
func (v value) span(what string) (time.Duration, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return 0, false
	}
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	if len(s) >= 2 && len(s) <= 6 {
		n, err := strconv.Atoi(s[:len(s)-1])
		u := units[s[len(s)-1:]]
		if d := time.Duration(n) * u; err == nil && u > 0 && n >= 0 && d <= 366*24*time.Hour {
			return d, true
		}
	}
	v.report(codeLength, "%s must be a time such as 30s, 15m, 2h or 3d", "s is seconds, m is minutes, h is hours, d is days", what)
	return 0, false
}

// Period is a length of time by the calendar: 12 months.
type Period struct{ Years, Months, Days int }

// From returns the moment when the period that begins at t ends.
func (p Period) From(t time.Time) time.Time { return t.AddDate(p.Years, p.Months, p.Days) }

// IsZero reports whether the period has no length.
func (p Period) IsZero() bool { return p == Period{} }

// period reads a time by the calendar: 30 days, 12 months, 2 years.
func (v value) period(what string) (Period, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return Period{}, false
	}
	num, unit, _ := strings.Cut(s, " ")
	if n, err := strconv.Atoi(num); err == nil && n > 0 && n <= 3660 && strconv.Itoa(n) == num {
		switch unit {
		case "day", "days":
			return Period{Days: n}, true
		case "week", "weeks":
			return Period{Days: 7 * n}, true
		case "month", "months":
			return Period{Months: n}, true
		case "year", "years":
			return Period{Years: n}, true
		}
	}
	v.report(codeLength, "%s must be a length of time such as 12 months", "write a number and days, weeks, months or years", what)
	return Period{}, false
}

// Clock is a time of day.
type Clock struct{ Hour, Minute int }

// clock reads a time of day, 00:00 to 23:59, bare or in quotes.
func (v value) clock(what string) (Clock, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return Clock{}, false
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		v.report(codeClock, "%s must be a time of day such as 09:00", "write hours and minutes with two digits each, 00:00 to 23:59", what)
		return Clock{}, false
	}
	return Clock{t.Hour(), t.Minute()}, true
}

// date reads a day, 2026-03-01, bare or in quotes.
func (v value) date(what string) (time.Time, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1900 || t.Year() > 2200 {
		v.report(codeDate, "%s must be a date such as 2026-03-01", "year, month and day, in this order; the day must exist", what)
		return time.Time{}, false
	}
	return t, true
}

// moment reads a day and a time in the practice's own time zone: 2026-03-01 10:00.
func (v value) moment(what string, loc *time.Location) (time.Time, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
	if err != nil || t.Year() < 1900 || t.Year() > 2200 {
		v.report(codeDate, "%s must be a date and a time such as 2026-03-01 10:00", "year, month, day, then the time of day in the practice's own time zone", what)
		return time.Time{}, false
	}
	return t, true
}

// name reads a short name that the files use for something: an id, a purpose, a template.
func (v value) name(what string) (string, bool) {
	s, ok := v.text(what)
	if !ok {
		return "", false
	}
	if !nameForm.MatchString(s) || len(s) > 60 {
		v.report(codeName, "%s may have small letters, digits and single - or _ between them, and begins with a letter", "for example \""+slug(s, what)+"\"", what)
		return "", false
	}
	return s, true
}

// slug makes a name of what somebody wrote.
func slug(s, what string) string {
	between := "-"
	if strings.Contains(what, "consent") {
		between = "_"
	}
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if out := strings.Join(words, between); nameForm.MatchString(out) && len(out) <= 60 {
		return out
	}
	return "send-separately"
}

// code reads a code of capital letters, such as a country: GB.
func (v value) code(what string, low, high int) (string, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return "", false
	}
	if len(s) < low || len(s) > high || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		v.report(codeLetterCode, "%s must be a code of capital letters", "for example GB", what)
		return "", false
	}
	return s, true
}

// address reads an email address.
func (v value) address(what string) (mail.Address, bool) {
	s, ok := v.text(what)
	if !ok {
		return mail.Address{}, false
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		v.report(codeAddress, "%s is not an email address", "write it like maya@willowhouse.example, without a name and without < >", what)
		return mail.Address{}, false
	}
	return a, true
}

// plainDomain says how to write a domain without the signs that people put in front of it.
func plainDomain(bare string) string {
	return "write a domain without @ and *: " + strings.Trim(quote(bare), `"`) + "; it stands for itself, so name those below it as well"
}

// domain reads the part of an address after the @.
func (v value) domain(what string) (string, bool) {
	s, ok := v.text(what)
	if !ok {
		return "", false
	}
	a, err := mail.ParseAddress("x@" + s)
	if err != nil {
		fix := "write the part after the @ of an address: willowhouse.example"
		if bare := strings.TrimLeft(s, "@*."); bare != s && bare != "" {
			fix = plainDomain(bare)
		}
		v.report(codeDomain, "%s is not a domain", fix, what)
		return "", false
	}
	return a.Domain, true
}
