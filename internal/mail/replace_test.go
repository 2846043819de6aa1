package mail

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is replaced is what an expression of the words finds, in any case, as whole tokens.
func TestReplacementsAreFound(t *testing.T) {
	t.Parallel()
	letters := []rune("aAkKsS\u212a\u017fé.@ ") // the Kelvin sign is a k and the long s an s
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.StringOfN(rapid.SampledFrom(letters), 1, 4, -1).Draw(t, "old")
		text := rapid.StringOfN(rapid.SampledFrom(letters), 0, 12, -1).Draw(t, "text")
		words := strings.Fields(old)
		if len(words) == 0 || strings.IndexFunc(words[0], isWordRune) < 0 {
			return
		}
		for i := range words {
			words[i] = regexp.QuoteMeta(words[i])
		}
		re := regexp.MustCompile(`(?i)` + strings.Join(words, `[\s\x{a0}]+`))
		var want []int
		for at := range text {
			if m := re.FindStringIndex(text[at:]); m != nil && m[0] == 0 && tokenEdge(text, at, at+m[1]) && (len(want) == 0 || at >= want[len(want)-1]) {
				want = append(want, at, at+m[1])
			}
		}
		var got []int
		for _, m := range newReplacer([]Replacement{{Old: old, New: "x"}}).find(text) {
			got = append(got, m.start, m.end)
		}
		if len(got) != len(want) {
			t.Fatalf("%q in %q: %v, want %v", old, text, got, want)
		}
	})
}

// A change made through the shown text changes that text, and the bytes of nothing else.
func TestAChangeOfShownText(t *testing.T) {
	t.Parallel()
	pieces := []string{"Maya", " ", "Okafor", "&nbsp;", "&amp;", "&amp", "&#77;aya", "<b>", "</b>", "é", ".", "&lt;b&gt;", "&notMaya", ";", "\r\n"}
	rapid.Check(t, func(t *rapid.T) {
		src := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(t, "pieces"), "")
		r := newReplacer([]Replacement{{Old: "Maya Okafor", New: "M & <co>"}, {Old: "Maya", New: "m"}})
		text, err := VisibleText(src)
		if err != nil {
			return
		}
		out := r.html(src)
		got, err := VisibleText(out)
		if err != nil || got != r.plain(text) {
			t.Fatalf("%q became %q: reads %q, want %q", src, out, got, r.plain(text))
		}
		if strings.Count(out, "<b>") < strings.Count(src, "<b>") || r.plain(text) == text && out != src {
			t.Fatalf("%q became %q", src, out)
		}
	})
}

func TestReplacePhones(t *testing.T) {
	t.Parallel()
	r := newReplacer([]Replacement{{Old: "447700900123", New: "[it]", Phone: true}})
	for in, want := range map[string]string{
		"ring 07700 900123.":                   "ring [it].",
		"ring 07700900123 or +44 7700 900 123": "ring [it] or [it]",
		"(07700) 900-123":                      "[it]",
		"+44 (0)7700 900123, 12":               "[it], 12",
		"0044 7700 900123":                     "[it]",
		"07700 9001234":                        "07700 9001234",
		"107700900123":                         "107700900123",
		"07700 900124":                         "07700 900124",
		"3 07700 900123":                       "3 [it]",
	} {
		if got := r.plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestReplaceInAttributes(t *testing.T) {
	t.Parallel()
	r := newReplacer([]Replacement{{Old: "Anna Smith", New: "another person"}, {Old: "anna@example.org", New: "another person"}})
	for in, want := range map[string]string{
		`<img alt="Anna Smith" src=x>`:                                `<img alt="another person" src=x>`,
		`<a  href = mailto:anna@example.org?subject=x title='a' >`:    `<a  href = mailto:?subject=x title='a' >`,
		`<a href="MAILTO:Anna@example.org">x</a>`:                     `<a href="MAILTO:">x</a>`,
		`<p title=anna@example.org>`:                                  `<p title=another_person>`,
		"<i>Anna</i>\r\n&nbsp;<b>Smith</b>'s":                         "<i>another person</i><b></b>'s",
		`<p>Anna</p><p>Smith</p>`:                                     `<p>Anna</p><p>Smith</p>`,
		`<style>Anna Smith</style><a href="https://x/Anna Smith">`:    `<style>Anna Smith</style><a href="https://x/Anna Smith">`,
		`<p title="Anna&nbsp;Smith &eacute;">Anna&#32;Smith &eacute;`: `<p title="another person &eacute;">another person &eacute;`,
	} {
		if got := r.html(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Names are found as words, in any case, with and without accents, and are no part of more.
func TestReplaceNames(t *testing.T) {
	t.Parallel()
	r := newReplacer([]Replacement{{Old: "zoe lukasik", New: "[1]", Name: true}, {Old: "zoe maria lukasik", New: "[2]", Name: true}, {Old: "sean o brien", New: "[3]", Name: true},
		{Old: "zoelukasik", New: "[4]", Name: true}, {Old: "zoe@example.org", New: "[5]"}})
	for text, want := range map[string]string{
		"Zo\u00eb \u0141ukasik": "[1]", "ZOE\u0308  LUKASIK's": "[1]'s", "Zoe\r\n> Lukasik": "[1]", "Zoe Maria Lukasik": "[2]", "Zoe, Lukasik.": "[1].",
		"Zoe_Lukasik": "[1]", "_Zoe Lukasik_": "_[1]_", "-Zoe Lukasik-": "-[1]-", "*Zoe* \"Lukasik\"": "*[1]\"", "zoelukasik": "[4]", "Sean O\u2019Brien": "[3]",
		"Zoe Lukasik-Bell": "Zoe Lukasik-Bell", "Anna-Zoe Lukasik": "Anna-Zoe Lukasik", "zoe.lukasik@x.example": "zoe.lukasik@x.example", "x.example/zoe-lukasik": "x.example/zoe-lukasik",
		"Zoe Maria Zoe Lukasik": "Zoe Maria [1]", "Zoe Maria": "Zoe Maria", "Lukasik Zoe": "Lukasik Zoe", "Zoe Lukasiks": "Zoe Lukasiks", "Zoe Lukasik <zoe@example.org>": "[1] <[5]>",
		"Zoe" + strings.Repeat(" ", 70) + "Lukasik": "Zoe" + strings.Repeat(" ", 70) + "Lukasik", "Zoe Lukasik.Then": "Zoe Lukasik.Then", "Zoe Lukasik.": "[1].", "Zoe": "Zoe", "": "",
	} {
		if got := r.plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	links := "<a href=\"tel:+447700900123\">07700 900123</a> <a href=sms:07700900123>x</a> <a href=\"https://x.example/07700900123\">y</a>"
	if got, want := newReplacer([]Replacement{{Old: "447700900123", New: "C-0142", Phone: true}}).html(links),
		"<a href=\"tel:\">C-0142</a> <a href=sms:>x</a> <a href=\"https://x.example/07700900123\">y</a>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
