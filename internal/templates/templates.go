// Package templates owns the wording: subjects, the lines added to mail, what replies and
// notices say. Everything is parsed when policies load and rendered with named values.
//
// It never decides anything, and never puts a client's name or address, or anything from the
// body or the subject of a mail, into a text: it is not given them.
package templates

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Values are what the placeholders of a text stand for. A missing value is an error when the
// text is rendered, never an empty place.
type Values map[string]string

// text is a text with its placeholders found.
type text struct {
	literal []string // one more than names
	names   []string
}

// parse finds the ((placeholders)) of a text. What looks like half of one is an error.
func parse(s string) (text, error) {
	var t text
	for {
		before, rest, found := strings.Cut(s, "((")
		for strings.HasPrefix(rest, "(") { // "(((code)))" is a placeholder in brackets
			before, rest = before+"(", rest[1:]
		}
		if strings.Contains(before, "))") {
			return text{}, fmt.Errorf("%q closes a placeholder that was not opened", "))")
		}
		t.literal = append(t.literal, before)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "))")
		if !closed {
			return text{}, fmt.Errorf("%q is not closed", "(("+rest)
		}
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return text{}, fmt.Errorf("%q is not a placeholder: write ((name))", "(("+name+"))")
		}
		t.names = append(t.names, name)
		s = after
	}
}

// needs reports whether the text uses the placeholder.
func (t text) needs(name string) bool { return slices.Contains(t.names, name) }

// render fills the placeholders in. A value is never looked at for placeholders of its own,
// and may not break the line: it could otherwise write header fields.
func (t text) render(v Values) (string, error) {
	var b strings.Builder
	for i, l := range t.literal {
		b.WriteString(l)
		if i == len(t.names) {
			break
		}
		s := strings.TrimSpace(v[t.names[i]])
		if s == "" {
			return "", fmt.Errorf("no value for ((%s))", t.names[i])
		}
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029 || r == 0x85 }) {
			return "", fmt.Errorf("the value for ((%s)) is not one line of text", t.names[i])
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// Problem is what is wrong with one template.
type Problem struct {
	Of   string // where it stands: subjects, signatures, expectation_line
	Name string // the template's
	Text string
	Fix  string
}

// What the texts may use. Nothing in it names a client.
const (
	subjectPlaceholders   = " practice sender_name weekday word "
	signaturePlaceholders = " phone practice sender_name "
)

// Placeholders returns the names that texts may use, in whichever text.
func Placeholders() []string {
	names := strings.Fields(subjectPlaceholders + signaturePlaceholders)
	slices.Sort(names)
	return slices.Compact(names)
}

// NoWord is the subject for a client with whom no recognition word was agreed.
const NoWord = "no-word"

// Sources are the texts as the practice wrote them.
type Sources struct {
	Subjects    map[string]string
	Signatures  map[string]string // paragraphs are parted by an empty line
	Expectation string            // empty: ours
}

// Set holds the subjects, signatures and lines of one snapshot of the policies.
type Set struct {
	subjects    map[string]text
	signatures  map[string][]text // by paragraph
	expectation string
}

// New parses the texts and reports everything that is wrong with them.
func New(src Sources) (*Set, []Problem) {
	s := &Set{subjects: map[string]text{}, signatures: map[string][]text{}}
	var out []Problem
	for name, raw := range src.Subjects {
		t, problems := parseSubject(name, raw)
		s.subjects[name] = t
		out = append(out, problems...)
	}
	for name, raw := range src.Signatures {
		ts, problems := parseSignature(name, raw)
		s.signatures[name] = ts
		out = append(out, problems...)
	}
	s.expectation = strings.Join(strings.Fields(src.Expectation), " ")
	if strings.Contains(s.expectation, "((") || strings.Contains(s.expectation, "))") {
		out = append(out, Problem{Of: "expectation_line", Text: "the expectation line has no placeholders", Fix: "write the words themselves"})
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text))
	})
	return s, out
}

func parseSubject(name, raw string) (text, []Problem) {
	var out []Problem
	add := func(fix, format string, args ...any) {
		out = append(out, Problem{Of: "subjects", Name: name, Text: fmt.Sprintf(format, args...), Fix: fix})
	}
	t, err := parse(raw)
	if err != nil {
		add("", "%s", err)
		return t, out
	}
	for _, n := range t.names {
		if !strings.Contains(subjectPlaceholders, " "+n+" ") {
			add("a subject may use ((sender_name)), ((word)), ((practice)) and ((weekday))", "unknown placeholder ((%s))", n)
		}
	}
	if name == NoWord && t.needs("word") {
		add("take ((word)) out", "the subject for clients without a word uses ((word))")
	}
	if strings.TrimSpace(raw) == "" {
		add(`write one, for example "Hello"`, "the subject is empty")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		add("write it on one line", "the subject holds a line break or a control character")
	}
	return t, out
}

// parseSignature parses a signature paragraph by paragraph.
func parseSignature(name, raw string) ([]text, []Problem) {
	var ts []text
	var out []Problem
	add := func(fix, format string, args ...any) {
		out = append(out, Problem{Of: "signatures", Name: name, Text: fmt.Sprintf(format, args...), Fix: fix})
	}
	for _, p := range paragraphs(raw) {
		t, err := parse(p)
		if err != nil {
			add("", "%s", err)
			continue
		}
		for _, n := range t.names {
			if !strings.Contains(signaturePlaceholders, " "+n+" ") {
				add("a signature may use ((sender_name)), ((practice)) and ((phone))", "unknown placeholder ((%s))", n)
			}
		}
		ts = append(ts, t)
	}
	if len(ts)+len(out) == 0 {
		add(`write one, for example "((practice)), ((phone))"`, "the signature is empty")
	}
	return ts, out
}

// paragraphs parts a text at its empty lines; each paragraph becomes one line.
func paragraphs(s string) []string {
	var out []string
	var lines []string
	for line := range strings.Lines(s + "\n\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		} else if len(lines) > 0 {
			out, lines = append(out, strings.Join(lines, " ")), nil
		}
	}
	return out
}

// HasSubject reports whether there is a subject of that name.
func (s *Set) HasSubject(name string) bool { _, ok := s.subjects[name]; return ok }

// Subject renders a subject. One that shows the recognition word gives way to [NoWord] where
// no word was agreed, and that to "Hello" where the practice wrote none.
func (s *Set) Subject(name string, v Values) (string, error) {
	t, ok := s.subjects[name]
	if !ok {
		return "", fmt.Errorf("no subject is called %q", name)
	}
	if t.needs("word") && strings.TrimSpace(v["word"]) == "" {
		if t, ok = s.subjects[NoWord]; !ok {
			return "Hello", nil
		}
	}
	out, err := t.render(v)
	if err != nil {
		return "", fmt.Errorf("subject %s: %w", name, err)
	}
	return out, nil
}

// Signature renders a signature as paragraphs.
func (s *Set) Signature(name string, v Values) ([]string, error) {
	ts, ok := s.signatures[name]
	if !ok {
		return nil, fmt.Errorf("no signature is called %q", name)
	}
	var out []string
	for _, t := range ts {
		p, err := t.render(v)
		if err != nil {
			return nil, fmt.Errorf("signature %s: %w", name, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// What says that no answer is waited for, in the languages of our practices.
const (
	expectationEnglish = "You do not need to answer this email unless it asks you to."
	expectationWelsh   = "Nid oes angen i chi ateb yr e-bost hwn oni bai ei fod yn gofyn i chi wneud hynny."
)

// Expectation returns the line that says whether an answer is expected, in the language of
// its reader (BCP 47) where it is ours.
func (s *Set) Expectation(language string) string {
	switch lang, _, _ := strings.Cut(strings.ToLower(language), "-"); {
	case s != nil && s.expectation != "":
		return s.expectation
	case lang == "cy":
		return expectationWelsh
	}
	return expectationEnglish
}
