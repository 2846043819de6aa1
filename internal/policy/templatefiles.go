package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/templates"
)

func (l *loader) subjectNames() []string {
	out := make([]string, 0, len(l.subjects))
	for n := range l.subjects {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// textIDs returns the ids of the texts that a rule may name.
func textIDs() []string {
	return append(textsOf(templates.KindHeld), textsOf(templates.KindRefused)...)
}

func textsOf(kind templates.TextKind) []string {
	var out []string
	for n := 1; n <= 99; n++ {
		id := fmt.Sprintf("M%02d", n)
		if k, ok := textKind(id); ok && k == kind {
			out = append(out, id)
		}
	}
	return out
}

// textKind returns what a text is about, and whether there is a text of that id.
func textKind(id string) (templates.TextKind, bool) { return templates.Kind(id) }

// readTemplates reads templates.yaml.
func (l *loader) readTemplates(v value) {
	later := func(key string) field {
		return field{key, false, func(v value) {
			v.report("this version sends no texts, so it cannot use %s", "take this key out until a version that sends texts is installed", quote(key))
		}}
	}
	v.keys("templates.yaml",
		field{"subjects", true, func(v value) { l.readSubjects(v) }},
		later("sms"), later("whatsapp"))
}

func (l *loader) readSubjects(v value) {
	if !v.keysFree("subjects") {
		l.readable[fileTemplates] = false
		return
	}
	texts := map[string]string{}
	for key, val := range v.pairs("subjects") {
		name, ok := key.name("the name of a subject")
		if !ok {
			continue
		}
		s, ok := val.text("a subject")
		l.subjects[name] = val // known, even if something is wrong with it
		if !ok {
			continue
		}
		if n := len([]rune(s)); n > 120 {
			val.report("this subject is longer than 120 characters", "a lock screen shows about 40")
			continue
		}
		texts[name] = s
	}
	if len(texts) == 0 {
		return
	}
	set, problems := templates.New(texts)
	for _, p := range problems {
		at := v
		if n, ok := l.subjects[p.Name]; ok {
			at = n
		}
		fix := p.Fix
		if fix == "" {
			fix = "a placeholder begins with (( and ends with )), for example ((word))"
		}
		at.report("%s", fix, strings.TrimSpace(p.Text))
	}
	l.s.Templates = set
}

// readCrisis reads crisis-lines.yaml.
func (l *loader) readCrisis(v value) {
	if !v.free().keysFree("crisis-lines.yaml") {
		return
	}
	lines := templates.CrisisLines{}
	for key, val := range v.pairs("crisis-lines.yaml") {
		country, ok := key.code("a country", 2, 2)
		if !ok {
			continue
		}
		var c templates.CrisisCountry
		if val.isNull() {
			key.report("%s has no value", "write its emergency number and lines", quote(country))
			continue
		}
		val.keys("a country",
			field{"emergency", true, func(v value) {
				if s, ok := v.text("emergency"); ok && len(digits(s)) < 3 {
					v.report("emergency must be the number to call", `for example "999", or "112 or 999"`)
				} else {
					c.Emergency = s
				}
			}},
			field{"lines", true, func(v value) {
				for _, e := range v.filled("lines") {
					c.Lines = append(c.Lines, l.crisisLine(country, e))
				}
			}})
		lines[country] = c
	}
	l.s.Crisis = lines
}

// nations are the parts of a country that its lines may be for. What stands here for no country
// is taken as written.
func nations(country string) []string {
	if country == "GB" {
		return []string{"England", "Northern Ireland", "Scotland", "Wales"}
	}
	return nil
}

func (l *loader) crisisLine(country string, v value) templates.CrisisLine {
	var c templates.CrisisLine
	text := func(key string, must bool, to *string) field {
		return field{key, must, func(v value) { *to, _ = v.text(key) }}
	}
	nation := func(key string, to *string) field {
		return field{key, false, func(v value) {
			s, ok := v.text(key)
			// A nation that nobody lives in would take the line away from everybody.
			if known := nations(country); ok && known != nil && !slices.Contains(known, s) {
				fix := didYouMean(s, known)
				if fix == "" {
					fix = "known here: " + strings.Join(known, ", ")
				}
				v.report("%s has no nation %s", fix, country, quote(s))
			}
			*to = s
		}}
	}
	var checkedAt value
	before := l.found()
	ok := v.keys("a crisis line",
		text("name", true, &c.Name),
		field{"call", false, func(v value) { c.Call, _ = v.phone("call") }},
		field{"text", false, func(v value) { c.Text, _ = v.text("text") }},
		text("note", false, &c.Note),
		field{"hours", true, func(v value) {
			s, ok := v.scalar("hours")
			if c.Hours = strings.TrimSpace(s); ok && c.Hours == "" {
				v.report("hours is empty", `write 24/7, or when somebody answers, for example "19:00-23:00"`)
			}
		}},
		field{"free", true, func(v value) { c.Free, _ = v.yesNo("free") }},
		field{"for", true, func(v value) {
			s, ok := v.text("for")
			age, under := strings.CutPrefix(s, "under_")
			if ok && s != "all" && (!under || len(age) == 0 || len(age) > 2 || strings.Trim(age, "0123456789") != "" || age[0] == '0') {
				v.report("for must say whom the line is for", "write all, or an age such as under_19")
			}
			c.For = s
		}},
		nation("nation", &c.Nation),
		nation("not_nation", &c.NotNation),
		field{"language", false, func(v value) { c.Language, _ = v.language("language") }},
		text("source", true, &c.Source),
		field{"checked_on", true, func(v value) {
			checkedAt = v
			if s, _ := v.scalar("checked_on"); s != "never" {
				c.CheckedOn, _ = v.date("checked_on")
			}
		}})
	if !ok {
		return c
	}
	if c.Call == "" && c.Text == "" && l.found() == before {
		v.report("a crisis line needs a number", "add call or text")
	}
	if c.Nation != "" && c.NotNation != "" {
		v.report("a crisis line cannot have both nation and not_nation", "keep one: nation is only there, not_nation everywhere else")
	}
	if checkedAt.ok() {
		l.s.helplines = append(l.s.helplines, helpline{checked: c.CheckedOn,
			problem: checkedAt.d.problem(checkedAt.n.Line, checkedAt.n.Column, checkedAt.width(), "the helpline "+quote(c.Name),
				"ring it or look at its source, then write today's date")})
	}
	return c
}

// language reads the code of a language, such as cy.
func (v value) language(what string) (string, bool) {
	s, ok := v.scalar(what)
	if ok && (len(s) < 2 || len(s) > 3 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "") {
		v.report("%s must be the code of a language", "two small letters, for example cy for Welsh", what)
		return "", false
	}
	return s, ok
}

// phone reads a number that people dial. It must be in quotes: 0800 would lose its zero.
func (v value) phone(what string) (string, bool) {
	s, ok := v.text(what)
	if !ok {
		return "", false
	}
	if n := len(digits(s)); n < 3 || n > 15 || strings.Trim(s, "0123456789 +()-") != "" {
		v.report("%s must be a phone number", "write it as people dial it, in quotes", what)
		return "", false
	}
	return s, true
}
