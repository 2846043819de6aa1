package filter

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWords(t *testing.T) {
	t.Parallel()
	l := wordList(t, "l", "overdose", "kill myself", "self-harm", "don't", "straße", "🙂", "x")
	for text, want := range map[string]bool{
		"an OVERDOSE":                  true,
		"overdosed":                    false,
		"kill  myself.":                true,
		"I kill. Myself":               true,
		"Kill\nmyself":                 true,
		"killmyself":                   false,
		"self harm":                    true,
		"don’t":                        true,
		"over\u200bdose":               true,
		"o\u00adverdose":               true,
		"\uff4f\uff56\uff45\uff52dose": true,
		"STRASSE":                      true,
		"hello 🙂":                      true,
		"love x":                       true,
		"help.Overdose":                true,
		"risk:overdose":                true,
		"an_overdose.txt":              true,
		"the overdose's":               true,
		"self\u2011harm":               true,
		"fox":                          false,
		"":                             false,
		"kill and myself":              false,
	} {
		if got := len(found(&l.set, []string{text}, false)) > 0; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if len(found(&l.set, []string{"kill", "myself"}, false)) > 0 {
		t.Error("a phrase reached from one text into the next")
	}
	if _, err := NewWordList("l", []string{"", " - "}); err == nil {
		t.Error("an empty list was accepted")
	}
}

func TestMentionsReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	care, danger := wordList(t, "care_words", "overdose"), wordList(t, DangerWords, "overdose")
	attached := `From: maya@willowhouse.example
To: anna@example.org
Subject: Hi
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Hello
--b
Content-Type: text/plain; name=notes.txt
Content-Disposition: attachment; filename=notes.txt

an overdose
--b--
`
	for _, tc := range []struct {
		name, raw    string
		care, danger bool
	}{
		{"new text", message("a@example.org", "", "Hi", "overdose"), true, true},
		{"subject", message("a@example.org", "", "Overdose", "x"), true, true},
		{"inherited subject", message("a@example.org", "", "Re: overdose", "x"), true, false},
		{"attachment", attached, true, false},
		{"quote", message("a@example.org", "", "Hi", "No.\n\n> an overdose"), false, false},
	} {
		in := &Input{Mail: parse(t, tc.raw)}
		for list, want := range map[*WordList]bool{care: tc.care, danger: tc.danger} {
			if got, err := (Mentions{[]*WordList{list}}).Holds(in, 0); err != nil || got != want {
				t.Errorf("%s, %s: %v %v", tc.name, list.Name(), got, err)
			}
		}
	}
}

func TestParseSubject(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]struct {
		reply bool
		tags  string
		text  string
	}{
		"Hi":                          {false, "", "Hi"},
		"  Re: [together]  Hi":        {true, "[together]", "Hi"},
		"[secure] RE: fwd: Hi":        {true, "[secure]", "Hi"},
		"Re[2]: AW: Hi":               {true, "", "Hi"},
		"[send-now: he rang] [x] Hi":  {false, "[send-now: he rang] [x]", "Hi"},
		"Note: Hi":                    {false, "", "Note: Hi"},
		"[unclosed Hi":                {false, "", "[unclosed Hi"},
		"":                            {false, "", ""},
		"Re:":                         {true, "", ""},
		"reminder: [together] at one": {false, "", "reminder: [together] at one"},
		"[[secure]] Hi":               {false, "[[secure]]", "Hi"},
		"[[secure] Hi":                {false, "[[secure]", "Hi"},
		"[secure:] Re:[x[y]]Hi":       {true, "[secure:] [x[y]]", "Hi"},
		"\u200b\ufeff［secure］ Hi":     {false, "[secure]", "Hi"},
	} {
		p := ParseSubject(s)
		if p.Reply != want.reply || strings.Join(p.Tags, " ") != want.tags || p.Text != want.text {
			t.Errorf("%q: %+v", s, p)
		}
	}
	for s, want := range map[string]bool{"RE: [Together] x": true, "[secure] [together] x": true, "x [together]": false, "": false, "[togethe] x": false, "[ together ] x": true, "[[together]] x": true, "[together:] x": true, "[together: all of us] x": true, "[togetherness] x": false, "［Together］x": true, "Re: [to gether] x": true} {
		if got := ParseSubject(s).starts("[together]"); got != want {
			t.Errorf("%q starts: %v", s, got)
		}
	}
}

func TestSubjectsTakeLinearTime(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, unit := range []string{"[[x] ", "[", "[x]", "] [", "x [secure "} {
		p := ParseSubject(strings.Repeat(unit, 200_000/len(unit)))
		p.starts("[together]")
		p.Plain()
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("subjects of 200 KB took %v", d)
	}
}

// What asks the gateway for something never leaves, wherever it stands.
func TestNoTagLeaves(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"[secure] Notes":              "Notes",
		"[[secure]] Notes":            "Notes",
		"Notes [secure]":              "Notes",
		"Notes [secure: for Ben] now": "Notes now",
		"Notes[secure]now":            "Notes now",
		"Re: Notes [x] [y] z":         "Notes z",
		"[send-now: he rang] Notes":   "Notes",
		"[send-now: he rang":          "",
		"Notes [Send-Now: he rang":    "Notes",
		"Notes [draft":                "Notes [draft",
		"Notes ] and [secure]":        "Notes ] and",
		"Notes":                       "Notes",
		"[secure]":                    "",
	} {
		if got := ParseSubject(s).Plain(); got != want {
			t.Errorf("%q leaves as %q, want %q", s, got, want)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add("Re: [x] [y Fwd: [")
	f.Add("Re[[[:")
	f.Fuzz(func(t *testing.T, s string) {
		p := ParseSubject(s)
		if len(p.Text) > len(s) {
			t.Errorf("%q grew to %q", s, p.Text)
		}
		p.starts("[together]")
		if out := p.Plain(); len(out) > len(p.Text) || tagLength(out[max(0, strings.IndexByte(out, '[')):]) > 0 {
			t.Errorf("%q leaves as %q", s, out)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add("kill myself", "x \xff\u200b🙂")
	l := wordList(f, "l", "kill myself", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		found(&l.set, []string{a, b}, false)
		var r reader
		for i, w := range r.words(a + b) {
			if w == "" || strings.ContainsAny(w, " ") {
				t.Fatalf("word %d of %q is %q", i, a+b, w)
			}
		}
	})
}

// The fast path gives the same words as the Unicode one.
func TestASCIIWordsAreUnicodeWords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("aZ09_'.:,;-@ \n\t\r\x00/\""))).Draw(rt, "s")
		var fast, slow []string
		asciiWords([]byte(s), func(w []byte) { fast = append(fast, string(w)) })
		unicodeWords([]byte(s), func(w []byte) { slow = append(slow, string(w)) })
		if !slices.Equal(fast, slow) {
			rt.Fatalf("%q: %q, want %q", s, fast, slow)
		}
	})
}
