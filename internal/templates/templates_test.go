package templates

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSubjects(t *testing.T) {
	t.Parallel()
	s, problems := New(Sources{Subjects: map[string]string{"neutral-default": "Hello from ((sender_name)) - ((word))", "about": "About ((weekday)) - ((word))", "no-word": "Hello", "plain": "A note for you"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	v := Values{"sender_name": "M", "word": "harbour", "weekday": "Tuesday"}
	for name, want := range map[string]string{"neutral-default": "Hello from M - harbour", "about": "About Tuesday - harbour", "plain": "A note for you"} {
		if got, err := s.Subject(name, v); err != nil || got != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	v["word"] = ""
	if got, err := s.Subject("neutral-default", v); err != nil || got != "Hello" {
		t.Errorf("no word agreed: %q %v", got, err)
	}
	if _, err := s.Subject("neutral-default", Values{"word": "x"}); err == nil {
		t.Error("a missing value left an empty place")
	}
	if _, err := s.Subject("other", v); err == nil || s.HasSubject("other") || !s.HasSubject("about") {
		t.Error("an unknown subject")
	}
	bare, _ := New(Sources{Subjects: map[string]string{"w": "((word))"}})
	if got, _ := bare.Subject("w", nil); got != "Hello" {
		t.Errorf("without no-word: %q", got)
	}
}

func TestProblemsAreFoundAtLoad(t *testing.T) {
	t.Parallel()
	_, problems := New(Sources{Subjects: map[string]string{"a": "Hi ((client_name))", "b": "Hi ((word", "c": "Hi word))", "d": "Hi ((a b))", "e": "  ", "no-word": "Hi ((word))", "f": "a\r\nBcc: x"}})
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "no-word"} {
		found := false
		for _, p := range problems {
			found = found || p.Name == name
		}
		if !found {
			t.Errorf("%s: no problem", name)
		}
	}
}

func TestValuesCannotBreakOut(t *testing.T) {
	t.Parallel()
	s, _ := New(Sources{Subjects: map[string]string{"x": "Hi ((word))"}})
	for _, bad := range []string{"a\r\nBcc: b", "a\nb", "a\x00", "a\u2028b", "\xff"} {
		if got, err := s.Subject("x", Values{"word": bad}); err == nil {
			t.Errorf("%q rendered as %q", bad, got)
		}
	}
	if got, err := s.Subject("x", Values{"word": "((practice))", "practice": "no"}); err != nil || got != "Hi ((practice))" {
		t.Errorf("a value is text: %q %v", got, err)
	}
}

func TestParseKeepsEveryByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		raw := rapid.StringOf(rapid.SampledFrom([]rune("ab() _"))).Draw(rt, "raw")
		p, err := parse(raw)
		if err != nil {
			return
		}
		v := Values{}
		for _, n := range p.names {
			v[n] = "((" + n + "))"
		}
		got, err := p.render(v)
		if err != nil || got != raw {
			rt.Fatalf("%q became %q (%v)", raw, got, err)
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add("Hello from ((sender_name)) - ((word))", "x")
	f.Add("(((((", "))")
	f.Fuzz(func(t *testing.T, raw, word string) {
		s, problems := New(Sources{Subjects: map[string]string{"x": raw}})
		if len(problems) > 0 {
			return
		}
		got, err := s.Subject("x", Values{"word": word, "sender_name": "M", "practice": "P", "weekday": "Tuesday"})
		if err == nil && strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q breaks the line", got)
		}
	})
}
