package filter

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// DangerWords is the list that is matched only against what the sender wrote now: a client's
// own words, quoted or in an inherited subject, never make a mail urgent.
const DangerWords = "danger_words"

// WordList is a named list of words and phrases, compiled for look-up by hash. Whole words
// match, in any case and any Unicode form.
type WordList struct {
	name string
	set  phrases
}

// NewWordList compiles a list. A list without a single word is an error: a rule that looks
// for nothing would protect nobody.
func NewWordList(name string, list []string) (*WordList, error) {
	w := &WordList{name: name, set: newPhrases()}
	for _, p := range list {
		w.set.add(tokenise(p).all())
	}
	if len(w.set.has) == 0 {
		return nil, fmt.Errorf("word list %q holds no words", name)
	}
	return w, nil
}

// Name returns the list's name as policies know it.
func (w *WordList) Name() string { return w.name }

// Len returns the number of different words and phrases.
func (w *WordList) Len() int { return len(w.set.has) }

// phrases is a set of token sequences. lengths holds, for each first token, how many tokens
// the phrases that start with it have, so that a text is read once whatever the set's size.
type phrases struct {
	has     map[string]struct{}
	lengths map[string][]int
}

func newPhrases() phrases {
	return phrases{has: map[string]struct{}{}, lengths: map[string][]int{}}
}

func (p phrases) add(tokens string) {
	if tokens == "" {
		return
	}
	if _, ok := p.has[tokens]; ok {
		return
	}
	p.has[tokens] = struct{}{}
	first, _, _ := strings.Cut(tokens, " ")
	n := strings.Count(tokens, " ") + 1
	for _, l := range p.lengths[first] {
		if l == n {
			return
		}
	}
	p.lengths[first] = append(p.lengths[first], n)
}

// find calls hit for each phrase in the text, until hit returns false.
func (p phrases) find(w words, hit func(phrase string) bool) {
	for i := range w.spans {
		for _, n := range p.lengths[w.from(i, 1)] {
			if i+n > len(w.spans) {
				continue
			}
			s := w.from(i, n)
			if _, ok := p.has[s]; ok && !hit(s) {
				return
			}
		}
	}
}

func (p phrases) in(w words) bool {
	found := false
	p.find(w, func(string) bool { found = true; return false })
	return found
}

// words is a text as folded words with one space between them, and where each one stands.
type words struct {
	text  string
	spans [][2]int
}

func (w words) all() string { return w.text }

// from returns n words from the i-th on, as they stand in text: no allocation.
func (w words) from(i, n int) string { return w.text[w.spans[i][0]:w.spans[i+n-1][1]] }

// tokenise splits texts into words (UAX #29, but for [split]). Punctuation separates words and
// is dropped, so "self-harm" and "self harm" are the same; no phrase reaches from one text into
// the next.
func tokenise(texts ...string) words { return tokeniseFolded(foldAll(texts)) }

func foldAll(texts []string) []string {
	folded := make([]string, len(texts))
	for i, t := range texts {
		folded[i] = fold(t)
	}
	return folded
}

func tokeniseFolded(texts []string) words {
	var b strings.Builder
	var w words
	for n, t := range texts {
		if n > 0 && b.Len() > 0 {
			b.WriteByte(' ') // two spaces: no phrase holds them
		}
		b.Grow(len(t) + 1)
		w.spans = slices.Grow(w.spans, len(t)/5) // about one word
		split := unicodeWords
		if isASCII(t) {
			split = asciiWords
		}
		split(t, func(word string) {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			start := b.Len()
			b.WriteString(word)
			w.spans = append(w.spans, [2]int{start, b.Len()})
		})
	}
	w.text = b.String()
	return w
}

func unicodeWords(t string, yield func(string)) {
	state := -1
	var word string
	for len(t) > 0 {
		if word, t, state = uniseg.FirstWordInString(t, state); wordy(word) {
			split(word, yield)
		}
	}
}

// split takes apart what UAX #29 leaves together and people do not: "Ben_Brook.pdf",
// "Name:Ben", "one.Ben". A possessive ending says nothing of its own: "Brook's" is Brook.
func split(word string, yield func(string)) {
	start := 0
	for i := range len(word) {
		c := word[i]
		number := c == '.' && i > 0 && i+1 < len(word) && digitByte(word[i-1]) && digitByte(word[i+1])
		if c != '_' && c != ':' && (c != '.' || number) {
			continue
		}
		if w := word[start:i]; wordy(w) {
			yield(owner(w))
		}
		start = i + 1
	}
	if w := word[start:]; wordy(w) {
		yield(owner(w))
	}
}

// owner drops the possessive ending of a word.
func owner(word string) string {
	if w, ok := strings.CutSuffix(word, "'s"); ok && w != "" {
		return w
	}
	return word
}

// asciiWords is unicodeWords for ASCII, several times as fast: letters and digits stick
// together, and so do letters around ' and digits around ' . , ; (UAX #29, WB5 to WB13).
func asciiWords(t string, yield func(string)) {
	for i := 0; i < len(t); {
		if !sticky(t[i]) {
			i++
			continue
		}
		start := i
		for i++; i < len(t); i++ {
			if sticky(t[i]) {
				continue
			}
			if i+1 == len(t) {
				break
			}
			before, after := t[i-1], t[i+1]
			letters := letterByte(before) && letterByte(after) && t[i] == '\''
			digits := digitByte(before) && digitByte(after) && (t[i] == '\'' || t[i] == '.' || t[i] == ',' || t[i] == ';')
			if !letters && !digits {
				break
			}
		}
		yield(owner(t[start:i]))
	}
}

func letterByte(c byte) bool { return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') }
func digitByte(c byte) bool  { return '0' <= c && c <= '9' }
func sticky(c byte) bool     { return letterByte(c) || digitByte(c) }

// wordy reports whether a segment is a word: it holds a letter, a digit or a symbol that is
// written as a word (an emoji).
func wordy(s string) bool {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || (r > unicode.MaxASCII && unicode.Is(unicode.So, r)) {
			return true
		}
	}
	return false
}

// fold makes spellings of the same text equal: compatibility forms, case, the kinds of
// apostrophe and of hyphen, and characters that take no room and only serve to break a word up.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u2019' || r == '\u02bc' || r == '\u2018':
			return '\''
		case r >= '\u2010' && r <= '\u2015' || r == '\u2212':
			return '-'
		case r == utf8.RuneError:
			return ' '
		case r == '\u200b' || r == '\u00ad' || r == '\u034f' || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, s)
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// memo keeps what several rules need from the same message, made once.
type memo struct {
	fresh     words              // what the sender wrote now
	full      words              // the subject, the new text and the text inside attachments
	done      bool               // fresh and full are made
	mentions  map[*WordList]bool // answers, one for each list
	structure struct {
		done              bool
		signed, encrypted bool
	}
}

func (in *Input) memory() *memo {
	if in.memo == nil {
		in.memo = &memo{mentions: map[*WordList]bool{}}
	}
	return in.memo
}

// sealed reports whether the mail app signed or encrypted the message.
func (in *Input) sealed() (signed, encrypted bool) {
	m := in.memory()
	if s := &m.structure; !s.done {
		s.signed, s.encrypted, s.done = in.Mail.Signed(), in.Mail.Encrypted(), true
	}
	return m.structure.signed, m.structure.encrypted
}

// mentions reports whether the message holds a word of the list.
func (in *Input) mentions(l *WordList) bool {
	m := in.memory()
	if found, ok := m.mentions[l]; ok {
		return found
	}
	if !m.done {
		text, subject := in.Mail.NewText(), ParseSubject(in.Mail.Subject)
		m.full = tokenise(append([]string{in.Mail.Subject, text}, attachedTexts(in.Mail)...)...)
		if subject.Reply {
			m.fresh = tokenise(text)
		} else {
			m.fresh = tokenise(in.Mail.Subject, text)
		}
		m.done = true
	}
	w := m.full
	if l.name == DangerWords {
		w = m.fresh
	}
	found := l.set.in(w)
	m.mentions[l] = found
	return found
}
