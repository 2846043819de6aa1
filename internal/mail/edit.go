package mail

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/bidi"
)

// paragraph makes a text one line.
func paragraph(s string) string { return strings.Join(strings.Fields(cleanHeaderText(s)), " ") }

func paragraphs(list []string) []string {
	var out []string
	for _, s := range list {
		if s = paragraph(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// missing returns the paragraphs that do not stand in text yet, white space aside.
func missing(list []string, text string) []string {
	if len(list) == 0 {
		return nil
	}
	have := squeeze(text)
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.Contains(have, squeeze(s)) })
}

// begins reports whether a text begins with all paragraphs of a list, white space aside.
func begins(text string, list []string) bool {
	want := squeeze(strings.Join(list, " "))
	return len(text) >= len(want) && strings.HasPrefix(squeeze(strings.TrimPrefix(text, "\uFEFF")), want)
}

// unmarked returns a text without the marks that quotes have at the start of each line.
func unmarked(s string) string {
	if !strings.Contains(s, ">") {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimLeft(line, "> "))
	}
	return b.String()
}

// sigDelimiter is the line that divides a text from its writer's own signature (RFC 3676 §4.3).
// Mail apps grey out what is behind it, and leave it out of a quote.
const sigDelimiter = "-- "

// editPlain puts paragraphs before a text, and a signature above its quote and above the
// writer's own signature; nothing else changes. What stands there already, or in the quote, is
// not repeated: a reader sees it once in a thread.
func editPlain(text string, first, signature []string, flowed bool) string {
	nl := "\r\n"
	if strings.Contains(text, "\n") && !strings.Contains(text, "\r\n") {
		nl = "\n"
	}
	above, below := text, ""
	if q := quoteStart(text, flowed); q >= 0 {
		above, below = text[:q], text[q:]
	}
	if begins(above, first) {
		first = nil
	}
	if signature = missing(signature, unmarked(text)); len(signature) > 0 {
		if d := ownSignature(above); d >= 0 {
			above, below = text[:d], text[d:]
		}
	}
	if flowed {
		first, signature = stuff(first), stuff(signature)
	}
	var b strings.Builder
	rest, bom := strings.CutPrefix(above, "\uFEFF")
	if bom {
		b.WriteString("\uFEFF")
	}
	if len(first) > 0 {
		b.WriteString(strings.Join(first, nl+nl) + nl + nl)
	}
	b.WriteString(rest)
	if len(signature) == 0 {
		b.WriteString(below)
		return b.String()
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		b.WriteString(nl)
	}
	if rest != "" && !strings.HasSuffix(rest, "\n"+nl) && rest != nl {
		b.WriteString(nl)
	}
	b.WriteString(strings.Join(signature, nl+nl) + nl)
	if below != "" {
		b.WriteString(nl + below)
	}
	return b.String()
}

// ownSignature returns the offset of the writer's own signature in the text above the quote,
// or -1.
func ownSignature(above string) int {
	for _, end := range []string{"\r\n", "\n"} {
		if i := strings.LastIndex(above, "\n"+sigDelimiter+end); i >= 0 {
			return i + 1
		}
		if strings.HasPrefix(above, sigDelimiter+end) {
			return 0
		}
	}
	return -1
}

// stuff adds the space that format=flowed wants before some lines (RFC 3676 §4.4).
func stuff(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		if strings.HasPrefix(s, ">") || strings.HasPrefix(s, "From ") {
			out[i] = " " + s
		}
	}
	return out
}

// editHTML puts paragraphs at the start of the body and above the quote; no other byte
// changes. It fails when they would not be shown, each once more than before, as paragraphs of
// their own: outside links, tables and quotes.
func editHTML(text string, first, signature []string, cs charset) (string, error) {
	h, err := readHTML(text)
	if err != nil {
		return "", err
	}
	if begins(h.fresh.String(), first) {
		first = nil
	}
	signature = missing(signature, h.visible.String())
	if len(first)+len(signature) == 0 {
		return text, nil
	}
	before, err := ownText(text)
	if err != nil {
		return "", err
	}
	places := []int{h.end.at, len(text), h.end.tight, h.bodyAt}
	if h.first.at >= 0 {
		places = []int{h.first.at, h.first.tight, h.bodyAt}
	}
	for i, at := range places {
		if at < 0 || slices.Contains(places[:i], at) {
			continue
		}
		at = max(at, h.bodyAt)
		out := text[:h.bodyAt] + htmlParagraphs(first, cs) + text[h.bodyAt:at] + htmlParagraphs(signature, cs) + text[at:]
		after, err := ownText(out)
		if err != nil {
			return "", err
		}
		if shownOnceMore(before, after, slices.Concat(first, signature)) {
			return out, nil
		}
	}
	return "", errHTML
}

func shownOnceMore(before, after string, list []string) bool {
	for _, s := range list {
		s = squeeze(s)
		if strings.Count(after, s) <= strings.Count(before, s) {
			return false
		}
	}
	return true
}

// htmlParagraphs writes paragraphs as HTML; characters that the charset does not have become
// character references. They take colours and letters from the page, so that they can be read
// in light and in dark, and their own direction: a page in Arabic would turn the full stops and
// numbers of an English one. They keep their distance on pages of Outlook, whose paragraphs have
// none, and in a <pre> their lines still break.
func htmlParagraphs(list []string, cs charset) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, `<p dir="%s" style="margin:1em 0;white-space:normal">`, direction(s))
		for _, r := range html.EscapeString(s) {
			if cs.canEncode(r) {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "&#%d;", r)
			}
		}
		b.WriteString("</p>\r\n")
	}
	return b.String()
}

// direction returns the base direction of a paragraph: that of its first strong character
// (UAX #9, rules P2 and P3).
func direction(s string) string {
	for i := 0; i < len(s); {
		p, n := bidi.LookupString(s[i:])
		switch p.Class() {
		case bidi.L:
			return "ltr"
		case bidi.R, bidi.AL:
			return "rtl"
		}
		i += max(n, 1)
	}
	return "ltr"
}

// renameCIDs updates references to content ids that were renamed.
func renameCIDs(text string, cids map[string]string) string {
	if len(cids) == 0 || !strings.Contains(strings.ToLower(text), "cid:") {
		return text
	}
	for old, id := range cids {
		for _, form := range []string{old, url.PathEscape(old), url.QueryEscape(old), html.EscapeString(old)} {
			re, err := regexp.Compile(`(?i)(cid:)` + regexp.QuoteMeta(form) + `([^\w.@%+-]|$)`)
			if err != nil {
				continue
			}
			text = re.ReplaceAllString(text, "${1}"+id+"${2}")
		}
	}
	return text
}
