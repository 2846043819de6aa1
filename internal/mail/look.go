package mail

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// NewWords counts the words of what the writer has written: of alternatives, which all say
// the same, the longest one. count counts those of one text.
func (m *Message) NewWords(count func(text string) int) int { return newWords(m.Root, count) }

func newWords(p *Part, count func(string) int) int {
	if isTextBody(p) {
		return count(freshText(p))
	}
	if p.isMessage() {
		return 0
	}
	n := 0
	for _, c := range p.Parts {
		if k := newWords(c, count); p.MediaType == "multipart/alternative" {
			n = max(n, k)
		} else {
			n += k
		}
	}
	return n
}

// freshText is the new text of one leaf: without quotes, as a reader sees it. Many rules ask for
// it, so it is looked for once.
func freshText(p *Part) string {
	if p.own == nil {
		return findFresh(p)
	}
	p.own.once.Do(func() { p.own.text = findFresh(p) })
	return p.own.text
}

// writtenText is a text that is worked out when somebody asks for it.
type writtenText struct {
	once sync.Once
	text string
}

func findFresh(p *Part) string {
	if p.MediaType != "text/html" {
		return newText(p.Text, isFlowed(p))
	}
	h, err := readHTML(p.Text)
	if err != nil { // whatever hides in what we cannot read counts as written
		return h.fresh.String() + h.hidden.String()
	}
	return h.fresh.String()
}

// linkText is a web address as mail apps make links of it, with or without its scheme.
var linkText = regexp.MustCompile(`(?i)(?:\b(?:https?|ftp)://[^\s<>"]|\bwww\.[a-z0-9-]+\.[a-z]|(?:^|[\s(<,;"'])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,24}/[^\s<>"])`)

// HasLink reports whether running text holds a web address.
func HasLink(text string) bool {
	return strings.ContainsAny(text, "/.") && linkText.MatchString(text)
}

// Links reports whether the new text has a link: a web address in words, or behind words.
func (m *Message) Links() bool {
	return anyOwn(m.Root, func(p *Part) bool {
		if !isTextBody(p) {
			return false
		}
		if p.MediaType != "text/html" {
			return HasLink(newText(p.Text, isFlowed(p)))
		}
		h, err := readHTML(p.Text)
		return HasLink(h.fresh.String()) || webLinks(h.links.String()) || err != nil && (HasLink(h.hidden.String()) || webLinks(h.attrs.String()))
	})
}

// webLinks reports whether one of the targets, one a line, leads to the web.
func webLinks(targets string) bool {
	for t := range strings.SplitSeq(targets, "\n") {
		if isWeb(t) {
			return true
		}
	}
	return false
}

// isWeb reports a target on the web: what a browser fetches when it follows it.
func isWeb(target string) bool {
	t := strings.ToLower(strings.TrimLeft(target, " \t\r\n\f\x00"))
	t = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(t[:min(len(t), 40)]) // as browsers read it
	t = strings.ReplaceAll(t, `\`, "/")
	for _, scheme := range []string{"http:", "https:", "ftp:", "//", "www."} {
		if strings.HasPrefix(t, scheme) {
			return true
		}
	}
	return false
}

// RemoteImages reports whether showing the message fetches something from the web: pictures,
// backgrounds, styles, fonts. Quoted text counts, because it is shown too. What cannot be
// read may fetch anything.
func (m *Message) RemoteImages() bool {
	return anyOwn(m.Root, func(p *Part) bool {
		return isTextBody(p) && p.MediaType == "text/html" && fetches(p.Text)
	})
}

// kissesAtEnd are kisses that end a line: an x or more, in capitals or not, with hugs between,
// or the pictures of them. A single x needs a space or a full stop before it.
var kissesAtEnd = regexp.MustCompile(`(?:^|[\s\x{a0},.!?;:)*~-])(?:[ \t\x{a0}]*(?:[xX]|[xX][xXoO]*[xX]|[xX][oO](?:[xX][oO])*|[oO][xX](?:[oO][xX])+|\x{1F48B}|\x{1F618}|\x{1F617}|\x{1F619}|\x{1F61A})\x{FE0F}?)+[ \t\x{a0}.!~*]*$`)

// sums says that an x at the end of a line is a letter or a sign after all: "4 x", "solve for x".
var sums = regexp.MustCompile(`(?i)(?:[0-9=+*/<>-]|\b(?:for|of|the|is|letter|variable|axis|factor|generation|gen|and|or|by|type|class|malcolm|mac os|version|chromosome|fragile|vitamin|brand|mr|mrs|ms|dr))[ \t\x{a0}]+x[ \t\x{a0}.!]*$`)

// blanks are what stands between words on a line.
const blanks = " \t\u00a0"

// kissLines is how many lines with text at the end of a text may hold kisses: a name and what
// stands below it may follow.
const kissLines = 6

// kisses returns the byte ranges of the kisses at the end of a text, in order. Lines that are
// nothing but kisses do not count as lines with text.
func kisses(text string) []Range {
	var out []Range
	end, seen := len(text), 0
	for end >= 0 && seen < kissLines {
		start := strings.LastIndexByte(text[:end], '\n') + 1
		line := strings.TrimRight(text[start:end], "\r"+blanks)
		left := line
		if r, ok := kissIn(line); ok {
			out = append(out, Range{int64(start) + r.Start, int64(start) + r.End})
			left = line[:r.Start]
		}
		if strings.TrimSpace(left) != "" {
			seen++
		}
		end = start - 1
	}
	slices.Reverse(out)
	return out
}

// kissIn returns where the kisses at the end of a line stand.
func kissIn(line string) (Range, bool) {
	const longest = 200 // nobody needs more of a line to see how it ends
	cut := max(0, len(line)-longest)
	tail := line[cut:]
	if !endsLikeKiss(tail) {
		return Range{}, false // nearly all lines
	}
	left := tail
	for {
		m := kissesAtEnd.FindStringIndex(left)
		if m == nil || sums.MatchString(left) {
			break
		}
		// The mark before the kisses stays: "See you. xx" becomes "See you."
		at := m[0]
		for at < m[1] && strings.IndexByte(",.!?;:)*~-", left[at]) >= 0 {
			at++
		}
		at = len(strings.TrimRight(left[:at], blanks))
		if at == len(left) {
			break
		}
		left = left[:at]
	}
	if len(left) == len(tail) {
		return Range{}, false
	}
	return Range{int64(cut + len(left)), int64(len(line))}, true
}

// endsLikeKiss reports a line whose last letter could be one of kissesAtEnd.
func endsLikeKiss(line string) bool {
	last, _ := utf8.DecodeLastRuneInString(strings.TrimSuffix(strings.TrimRight(line, blanks+".!~*"), "\uFE0F"))
	return strings.ContainsRune("xXoO\U0001F48B\U0001F618\U0001F617\U0001F619\U0001F61A", last)
}

// Kisses reports whether the new text ends with kisses.
func (m *Message) Kisses() bool {
	return anyOwn(m.Root, func(p *Part) bool { return isTextBody(p) && len(kisses(freshText(p))) > 0 })
}

// withoutKisses takes the kisses out of the new text of a leaf, and nothing else. It takes the
// text of the leaf as it is so far.
func withoutKisses(text string, isHTML, flowed bool) string {
	var fresh shown
	if isHTML {
		_, _ = traceHTML(text, &fresh) // what cannot be read is not changed
	} else {
		at := 0
		for q := range quoted(text, flowed) {
			fresh.put(text[at:q.start], at, q.start, true)
			at = q.end
		}
		fresh.put(text[at:], at, len(text), true)
	}
	var all []change
	for _, r := range kisses(fresh.text.String()) {
		all = append(all, fresh.change(int(r.Start), int(r.End), "")...)
	}
	return applyChanges(text, all)
}
