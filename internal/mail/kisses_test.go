package mail

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What the condition finds is what the edit takes out, in the text and in the HTML: a second
// look finds none, a second edit changes nothing, and what is not at the end stays.
func TestWithoutKisses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"See you Tuesday. xx\r\nMaya x\r\n\r\n> love xx\r\n": "See you Tuesday.\r\nMaya\r\n\r\n> love xx\r\n",
		"Solve for x\r\n": "Solve for x\r\n",
		"xx\r\n\r\nOn 1 May 2026 Anna <anna@example.org> wrote:\r\n> Bye xx\r\n": "\r\n\r\nOn 1 May 2026 Anna <anna@example.org> wrote:\r\n> Bye xx\r\n",
		"love xx \r\nmore\r\n":                    "love \r\nmore\r\n",
		"Bye. x. x\r\n":                           "Bye.\r\n",
		"xx marks the spot\r\nBye \U0001F618\r\n": "xx marks the spot\r\nBye\r\n",
	} {
		if got := withoutKisses(in, false, false); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"<p>See you &amp; Sam&nbsp;<b>x</b>x</p><p>Maya x</p>":                 "<p>See you &amp; Sam<b></b></p><p>Maya</p>",
		"<div>Bye&#32;&#120;x</div><blockquote type=cite>Love xx</blockquote>": "<div>Bye</div><blockquote type=cite>Love xx</blockquote>",
		"<style>x</style><p title=xx>Bye<br>xx</p><!-- xx -->":                 "<style>x</style><p title=xx>Bye<br></p><!-- xx -->",
	} {
		if got := withoutKisses(in, true, false); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	words := []string{"x", "xx", "XOX", " ", ".", "\r\n", "> ", "Bye", "4", "\U0001F48B", "&nbsp;", "<p>", "<br>", "</p>", "<blockquote type=cite>", "</blockquote>"}
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 20).Draw(t, "words"), "")
		for _, isHTML := range []bool{false, true} {
			p := &Part{MediaType: "text/plain", Text: withoutKisses(in, isHTML, false)}
			if isHTML {
				p.MediaType = "text/html"
			}
			if len(kisses(freshText(p))) > 0 || withoutKisses(p.Text, isHTML, false) != p.Text {
				t.Fatalf("%q became %q", in, p.Text)
			}
		}
	})
}

// The quick look at a line's last letter lets every line pass that may end with kisses.
func TestEndsLikeKissMissesNone(t *testing.T) {
	t.Parallel()
	letters := []rune("xXoO .!~*,:;-)\u00a0\t\u200d\uFE0F\U0001F48B\U0001F618\U0001F619ae4=")
	rapid.Check(t, func(t *rapid.T) {
		line := string(rapid.SliceOfN(rapid.SampledFrom(letters), 0, 12).Draw(t, "line"))
		if kissesAtEnd.MatchString(line) && !endsLikeKiss(line) {
			t.Fatalf("%q ends with kisses", line)
		}
	})
}
