// Package templates owns the wording: subjects, the lines added to mail, what replies and
// notices say. Everything is parsed when policies load and rendered with named values.
//
// It never decides anything, and never puts a client's name or address, or anything from the
// body or the subject of a mail, into a text: it is not given them.
package templates

import (
	"fmt"
	"slices"
	"sort"
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
	Name string // the template's
	Text string
	Fix  string
}

// subjectPlaceholders are what a subject may use. Nothing in them names a client.
var subjectPlaceholders = [...]string{"practice", "sender_name", "weekday", "word"}

// NoWord is the subject for a client with whom no recognition word was agreed.
const NoWord = "no-word"

// Set holds the subjects of one snapshot of the policies.
type Set struct {
	subjects map[string]text
}

// New parses the subjects and reports everything that is wrong with them.
func New(subjects map[string]string) (*Set, []Problem) {
	s := &Set{subjects: map[string]text{}}
	var out []Problem
	for name, raw := range subjects {
		add := func(fix, format string, args ...any) {
			out = append(out, Problem{Name: name, Text: fmt.Sprintf(format, args...), Fix: fix})
		}
		t, err := parse(raw)
		if err != nil {
			add("", "%s", err)
			continue
		}
		for _, n := range t.names {
			if !slices.Contains(subjectPlaceholders[:], n) {
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
		s.subjects[name] = t
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Name != out[j].Name {
			return out[i].Name < out[j].Name
		}
		return out[i].Text < out[j].Text
	})
	return s, out
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
