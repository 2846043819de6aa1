package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

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
			v.report(codeNotBuilt, "this version sends no texts, so it cannot use %s", "take this key out until a version that sends texts is installed", quote(key))
		}}
	}
	var src templates.Sources
	at := map[string]value{} // where each key stands
	set := func(name string, read func(v value)) func(v value) {
		return func(v value) { at[name] = v; read(v) }
	}
	v.keys("templates.yaml",
		field{"subjects", true, set("subjects", func(v value) { src.Subjects = l.namedTexts(v, "subject", l.subjects) })},
		field{"signatures", false, set("signatures", func(v value) { src.Signatures = l.namedTexts(v, "signature", l.signatures) })},
		field{"expectation_line", false, set("expectation_line", func(v value) {
			if s, ok := v.text("expectation_line"); ok && len([]rune(s)) > 300 {
				v.report(codeTooLong, "the expectation line is longer than 300 characters", "one sentence is enough")
			} else if ok {
				src.Expectation = s
			}
		})},
		later("sms"), later("whatsapp"))
	if len(src.Subjects)+len(src.Signatures) == 0 && src.Expectation == "" {
		return
	}
	for _, texts := range []map[string]value{l.subjects, l.signatures, {"": at["expectation_line"]}} {
		for _, v := range texts {
			v.otherBraces()
		}
	}
	made, problems := templates.New(src)
	for _, p := range problems {
		where := at[p.Of]
		if n, ok := map[string]map[string]value{"subjects": l.subjects, "signatures": l.signatures}[p.Of][p.Name]; ok {
			where = n
		}
		fix := p.Fix
		if fix == "" {
			fix = "a placeholder begins with (( and ends with )), for example ((word))"
		}
		where.report(codePlaceholder, "%s", fix, strings.TrimSpace(p.Text))
	}
	l.s.Templates, l.s.wording = made, src
}

// namedTexts reads texts by name. known takes every name, even of a text that is wrong.
func (l *loader) namedTexts(v value, what string, known map[string]value) map[string]string {
	if !v.keysFree(what + "s") {
		l.readable[fileTemplates] = false
		return nil
	}
	limit, why := 120, "a lock screen shows about 40"
	if what == "signature" {
		limit, why = 2000, "nobody reads more"
	}
	texts := map[string]string{}
	for key, val := range v.pairs(what + "s") {
		name, ok := key.name("the name of a " + what)
		if !ok {
			l.readable[fileTemplates] = false // which one is meant cannot be known
			continue
		}
		s, ok := val.text("a " + what)
		known[name] = val
		if !ok {
			continue
		}
		if n := len([]rune(s)); n > limit {
			val.report(codeTooLong, "this %s is longer than %d characters", why, what, limit)
			continue
		}
		texts[name] = s
	}
	return texts
}

// noSignature says what to do about a signature that is not there.
func (l *loader) noSignature(name string) string {
	if len(l.signatures) == 0 {
		return `add signatures to templates.yaml, for example signatures: {` + name + `: "((practice)), ((phone))"}`
	}
	return didYouMean(name, slices.Sorted(maps.Keys(l.signatures)))
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
			key.report(codeNoValue, "%s has no value", "write its emergency number and lines", quote(country))
			continue
		}
		val.keys("a country",
			field{"emergency", true, func(v value) {
				if s, ok := v.text("emergency"); ok && len(digits(s)) < 3 {
					v.report(codeEmergency, "emergency must be the number to call", `for example "999", or "112 or 999"`)
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
				v.report(codeNation, "%s has no nation %s", fix, country, quote(s))
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
				v.report(codeTextEmpty, "hours is empty", `write 24/7, or when somebody answers, for example "19:00-23:00"`)
			}
		}},
		field{"free", true, func(v value) { c.Free, _ = v.yesNo("free") }},
		field{"for", true, func(v value) {
			s, ok := v.scalar("for")
			age, under := strings.CutPrefix(s, "under_")
			if ok && s != "all" && (!under || len(age) == 0 || len(age) > 2 || strings.Trim(age, "0123456789") != "" || age[0] == '0') {
				fix := "write all, or an age such as under_19"
				if m := agesLike.FindStringSubmatch(s); m != nil {
					to, _ := strconv.Atoi(m[1])
					fix = fmt.Sprintf("only an upper age can be said: write under_%d, which younger clients read as well, or all", to+1)
				}
				v.report(codeCrisisLine, "for must say whom the line is for", fix)
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
		v.report(codeCrisisLine, "a crisis line needs a number", "add call or text")
	}
	if c.Nation != "" && c.NotNation != "" {
		v.report(codeNation, "a crisis line cannot have both nation and not_nation", "keep one: nation is only there, not_nation everywhere else")
	}
	if checkedAt.ok() {
		l.s.helplines = append(l.s.helplines, helpline{checked: c.CheckedOn,
			problem: checkedAt.d.problem(codeUnchecked, checkedAt.n.Line, checkedAt.n.Column, checkedAt.width(), "the helpline "+quote(c.Name),
				"ring it or look at its source, then write today's date")})
	}
	return c
}

// agesLike is how people write from which age to which.
var agesLike = regexp.MustCompile(`^[0-9]{1,2} *(?:-|–|to) *([0-9]{1,2})$`)

// language reads the code of a language, such as cy.
func (v value) language(what string) (string, bool) {
	s, ok := v.scalar(what)
	if ok && (len(s) < 2 || len(s) > 3 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "") {
		v.report(codeLetterCode, "%s must be the code of a language", "two small letters, for example cy for Welsh", what)
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
		v.report(codePhone, "%s must be a phone number", "write it as people dial it, in quotes", what)
		return "", false
	}
	return s, true
}

// placeholderLike is what people write who know placeholders from elsewhere: {name}, {{name}},
// <<name>>, [name], %name%, $name.
var placeholderLike = regexp.MustCompile(`\{+ *[a-z_]+ *\}+|<+ *[a-z_]+ *>+|\[+ *[a-z_]+ *\]+|%[a-z_]+%|\$[a-z_]+|\(+ *[a-z_]+ *\)+`)

// otherBraces reports what was meant as a placeholder and would leave as it stands.
func (v value) otherBraces() {
	if !v.ok() || v.n.Kind != yaml.ScalarNode {
		return
	}
	known := templates.Placeholders()
	for _, hit := range placeholderLike.FindAllString(v.n.Value, -1) {
		name := strings.Trim(hit, "{}<>[]()%$ ")
		switch {
		case strings.HasPrefix(hit, "(("), strings.HasSuffix(hit, "))"):
			continue // package templates looks at these
		case hit[0] != '{' && !slices.Contains(known, name):
			continue // brackets in a text
		}
		col, width := v.n.Column, v.width()
		if c := column(v.d.line(v.n.Line), hit); c > col {
			col, width = c, utf8.RuneCountInString(hit)
		}
		fix := "write ((" + name + ")): two round brackets on each side, nothing else"
		if !slices.Contains(known, name) {
			fix = "a placeholder has two round brackets on each side: ((" + strings.Join(known, ")), ((") + "))"
		}
		v.d.report(codeOtherBraces, v.n.Line, col, width, quote(hit)+" is no placeholder: clients would read it as it stands", fix)
	}
}
