package mail

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	nethtml "golang.org/x/net/html"
	"golang.org/x/text/unicode/bidi"
)

// Replacement is a text to be put in the place of another one, which is matched as whole
// tokens in any case.
type Replacement struct{ Old, New string }

// replacer applies replacements to running text.
type replacer struct {
	old []pattern
	new []string
}

// pattern finds a text in any case. word is its first word: most texts do not hold it, and
// looking for it costs a tenth of the expression.
type pattern struct {
	word string
	re   func() *regexp.Regexp // made when it is first needed
}

// in reports whether the text may hold the pattern. Beyond ASCII letters fold in more ways
// than one, so there the expression decides.
func (p pattern) in(s string) bool {
	if !isASCII(p.word) || !isASCII(s) {
		return true
	}
	for i := range len(s) - len(p.word) + 1 {
		if s[i]|0x20 == p.word[0]|0x20 && strings.EqualFold(s[i:i+len(p.word)], p.word) {
			return true
		}
	}
	return false
}

func newReplacer(list []Replacement) (*replacer, error) {
	r := &replacer{}
	for _, x := range list {
		words := strings.Fields(x.Old)
		if len(words) == 0 {
			continue
		}
		if !utf8.ValidString(x.Old) || len(x.Old) > maxLine {
			return nil, errors.New("mail: replacement: a text that cannot be looked for")
		}
		word := words[0]
		for i := range words {
			words[i] = regexp.QuoteMeta(words[i])
		}
		re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)` + strings.Join(words, `[\s\x{a0}]+`)) })
		r.old = append(r.old, pattern{word, re})
		r.new = append(r.new, x.New)
	}
	return r, nil
}

func (r *replacer) apply(s string) string {
	for i, old := range r.old {
		s = replaceTokens(s, old, r.new[i])
	}
	return s
}

func replaceTokens(s string, old pattern, with string) string {
	found := old.tokens(s)
	if len(found) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, f := range found {
		b.WriteString(s[at:f[0]])
		b.WriteString(with)
		at = f[1]
	}
	b.WriteString(s[at:])
	return b.String()
}

// tokens returns where the pattern stands as whole tokens.
func (p pattern) tokens(s string) [][]int {
	if !p.in(s) {
		return nil
	}
	return slices.DeleteFunc(p.re().FindAllStringIndex(s, -1), func(f []int) bool { return !tokenEdge(s, f[0], f[1]) })
}

// tokenEdge reports whether s[i:j] is not part of a longer word, address or domain.
func tokenEdge(s string, i, j int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, n := utf8.DecodeRuneInString(s[j:])
	if i > 0 && (isWordRune(before) || strings.ContainsRune("._%+-@", before)) {
		return false
	}
	if j == len(s) {
		return true
	}
	if isWordRune(after) || after == '@' {
		return false
	}
	next, _ := utf8.DecodeRuneInString(s[j+n:])
	return !strings.ContainsRune(".-", after) || !isWordRune(next) || j+n >= len(s)
}

func isWordRune(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// html applies the replacements to the shown text of an HTML text and to mailto links; no
// other byte changes.
func (r *replacer) html(s string) string {
	if len(r.old) == 0 {
		return s
	}
	var b strings.Builder
	raw, at := "", 0
	_ = htmlTokens(s, func(t htmlToken) { // what belongs to no token is copied as it is
		tok := s[t.start:t.end]
		at = t.end
		switch {
		case t.kind == nethtml.TextToken && raw == "":
			b.WriteString(r.htmlText(tok))
		case t.kind == nethtml.StartTagToken && hasMailto(&t):
			b.WriteString(r.mailto(tok))
		default:
			b.WriteString(tok)
		}
		switch {
		case t.kind == nethtml.StartTagToken && (t.name == "script" || t.name == "style"):
			raw = t.name
		case t.kind == nethtml.EndTagToken && t.name == raw:
			raw = ""
		}
	})
	b.WriteString(s[at:])
	return b.String()
}

// htmlText replaces in the shown text of a token that may hold character references: what was
// matched goes, and every other byte stays as it was written.
func (r *replacer) htmlText(tok string) string {
	for i, old := range r.old {
		escaped := html.EscapeString(r.new[i])
		if !strings.Contains(tok, "&") {
			tok = replaceTokens(tok, old, escaped)
			continue
		}
		plain, refs := unescape(tok)
		found := old.tokens(plain)
		if len(found) == 0 {
			continue
		}
		var b strings.Builder
		at := 0
		for _, f := range found {
			b.WriteString(tok[at:refs.source(f[0], false)])
			b.WriteString(escaped)
			at = refs.source(f[1], true)
		}
		b.WriteString(tok[at:])
		tok = b.String()
	}
	return tok
}

// charRef matches what may be a character reference, with or without its semicolon.
var charRef = regexp.MustCompile(`&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?`)

// charRefs says which ranges of an unescaped text stand for which ranges of its source.
type charRefs []struct{ start, end, from, to int }

// source returns the offset in the source of an offset in the text; inside of what one
// reference stands for, that of its start or its end.
func (c charRefs) source(at int, end bool) int {
	i, _ := slices.BinarySearchFunc(c, at, func(r struct{ start, end, from, to int }, at int) int { return cmp.Compare(r.start, at) })
	if i == 0 { // all start at or behind it
		return at
	}
	switch r := c[i-1]; {
	case at >= r.end:
		return r.to + at - r.end
	case end:
		return r.to
	default:
		return r.from
	}
}

// unescape is html.UnescapeString with a map of what it changed.
func unescape(s string) (string, charRefs) {
	var b strings.Builder
	var refs charRefs
	at := 0
	for _, f := range charRef.FindAllStringIndex(s, -1) {
		ref := s[f[0]:f[1]]
		text := html.UnescapeString(ref)
		if text == ref {
			continue
		}
		// Of "&copythat" only the start is a reference.
		tail := 0
		for tail < min(len(ref), len(text)) && ref[len(ref)-1-tail] == text[len(text)-1-tail] {
			tail++
		}
		b.WriteString(s[at:f[0]])
		start := b.Len()
		b.WriteString(text[:len(text)-tail])
		at = f[1] - tail
		refs = append(refs, struct{ start, end, from, to int }{start, b.Len(), f[0], at})
	}
	b.WriteString(s[at:])
	return b.String(), refs
}

func hasMailto(t *htmlToken) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(t.attr("href"))), "mailto:")
}

// mailto replaces inside the link of a tag.
func (r *replacer) mailto(tag string) string {
	i := strings.Index(strings.ToLower(tag), "mailto:")
	if i < 0 || i > len(tag) {
		return tag
	}
	i += len("mailto:")
	n := strings.IndexAny(tag[i:], "\"'> \t\r\n")
	if n < 0 {
		n = len(tag) - i
	}
	link := tag[i : i+n]
	for k, old := range r.old {
		link = replaceTokens(link, old, html.EscapeString(r.new[k]))
	}
	return tag[:i] + link + tag[i+n:]
}

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
// numbers of an English one. In a <pre> their lines still break.
func htmlParagraphs(list []string, cs charset) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, `<p dir="%s" style="white-space:normal">`, direction(s))
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
