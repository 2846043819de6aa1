package filter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/plaincover/plaincover/internal/mail"
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
	w := &WordList{name: name, set: newPhrases(len(list))}
	var r reader
	for _, p := range list {
		w.set.add(strings.Join(r.words(p), " "))
	}
	if w.set.has.n == 0 {
		return nil, fmt.Errorf("word list %q holds no words", name)
	}
	return w, nil
}

// Name returns the list's name as policies know it.
func (w *WordList) Name() string { return w.name }

// Len returns the number of different words and phrases.
func (w *WordList) Len() int { return w.set.has.n }

// phrases is a set of word sequences, with one space between words, so that a text is read once
// whatever the set's size.
type phrases struct {
	has     *table[int32]  // the value is for whoever keeps something under a phrase
	lengths *table[uint64] // by first word: bit n is set when phrases of n words start with it
	starts  shapes         // of the first words
	longest int            // bytes of the longest phrase
	words   int            // words of the phrase with the most words
}

// topBit stands for its number and all above.
const topBit = 63

// shapes tells most words that are not in a set without a look-up: by first byte, bit n is set
// when a word of n bytes starts with it.
type shapes [256]uint64

func (s *shapes) add(word string) { s[word[0]] |= 1 << min(len(word), topBit) }

func (s *shapes) has(word []byte) bool { return s[word[0]]&(1<<min(len(word), topBit)) != 0 }

// join adds the words of another set.
func (s *shapes) join(t *shapes) {
	for c := range s {
		s[c] |= t[c]
	}
}

func newPhrases(n int) phrases {
	return phrases{has: newTable[int32](n), lengths: newTable[uint64](0)}
}

// add adds a phrase, and reports whether it is new.
func (p *phrases) add(tokens string) bool {
	if tokens == "" {
		return false
	}
	if p.has.has([]byte(tokens)) {
		return false
	}
	p.has.put(tokens, 0)
	first, _, _ := strings.Cut(tokens, " ")
	n := strings.Count(tokens, " ") + 1
	lengths, _ := p.lengths.get([]byte(first))
	p.lengths.put(first, lengths|1<<min(n, topBit))
	p.starts.add(first)
	p.longest, p.words = max(p.longest, len(tokens)), max(p.words, n)
	return true
}

// startingWith returns the lengths of the phrases that start with the word.
func (p *phrases) startingWith(word []byte) uint64 {
	if !p.starts.has(word) {
		return 0
	}
	lengths, _ := p.lengths.get(word)
	return lengths
}

// finder looks for the phrases of a set in a text that it is given word by word. It keeps as
// many words as a phrase can still need.
type finder struct {
	set    *phrases
	recent []byte // the words since the first open one, one space between them
	open   []opened
}

// opened is a word with which phrases start.
type opened struct {
	at      int // in recent
	words   int // read from here on
	lengths uint64
}

// end ends a text: no phrase reaches from one into the next.
func (f *finder) end() { f.open = f.open[:0] }

// word takes the next word and calls hit for each phrase that ends with it, until hit returns
// false.
func (f *finder) word(w []byte, hit func(phrase []byte) bool) {
	lengths := f.set.startingWith(w)
	if lengths == 0 && len(f.open) == 0 {
		return
	}
	if len(w) > f.set.longest {
		f.end()
		return
	}
	if len(f.open) == 0 {
		f.recent = f.recent[:0]
	} else {
		f.forget()
		f.recent = append(f.recent, ' ')
	}
	if lengths != 0 {
		f.open = append(f.open, opened{at: len(f.recent), lengths: lengths})
	}
	f.recent = append(f.recent, w...)
	still := f.open[:0]
	for _, o := range f.open {
		o.words++
		if o.lengths&(1<<min(o.words, topBit)) != 0 {
			if f.set.has.has(f.recent[o.at:]) && !hit(f.recent[o.at:]) {
				f.end()
				return
			}
		}
		if o.lengths>>min(o.words, topBit) > 1 || (o.lengths>>topBit != 0 && o.words < f.set.words) {
			still = append(still, o)
		}
	}
	f.open = still
}

// forget drops what lies before the first open word, once it is most of what is kept.
func (f *finder) forget() {
	drop := f.open[0].at
	if drop < 1<<10 || drop < len(f.recent)/2 {
		return
	}
	f.recent = append(f.recent[:0], f.recent[drop:]...)
	for i := range f.open {
		f.open[i].at -= drop
	}
}

// words returns the words of a short text.
func (r *reader) words(t string) []string {
	var out []string
	r.windows(t, func(s []byte, from int) bool {
		eachWord(s[from:], func(w []byte) { out = append(out, string(w)) })
		return true
	})
	return out
}

// nameWords returns the words of a short text without accents.
func (r *reader) nameWords(t string) []string {
	var out []string
	r.windows(t, func(s []byte, from int) bool {
		eachNameWord(r.plainLetters(s[from:]), func(w []byte) { out = append(out, string(w)) })
		return true
	})
	return out
}

// spellings returns the words of a name without accents, one space between them, and once more
// with umlauts spelled out where it has any.
func (r *reader) spellings(name string) []string {
	out := []string{strings.Join(r.nameWords(name), " ")}
	if hasUmlaut(name) {
		var w []string
		r.windows(name, func(s []byte, from int) bool {
			eachNameWord(r.spelledLetters(s[from:]), func(s []byte) { w = append(w, string(s)) })
			return true
		})
		out = append(out, strings.Join(w, " "))
	}
	return out
}

// eachNameWord is eachWord, but that Hangul and kana, which UAX #29 keeps together, are read
// syllable by syllable: in a text there is no blank between a name and what follows it.
func eachNameWord(s []byte, yield func([]byte)) {
	if isASCIIBytes(s) {
		asciiWords(s, yield)
		return
	}
	eachWord(s, func(w []byte) {
		start := 0 // of what is none of these: "Ben Jones" with a Korean ending
		for i := 0; i < len(w); {
			r, n := utf8.DecodeRune(w[i:])
			if r >= utf8.RuneSelf && unicode.In(r, unicode.Hangul, unicode.Katakana, unicode.Hiragana) {
				if start < i {
					yield(w[start:i])
				}
				yield(w[i : i+n])
				start = i + n
			}
			i += n
		}
		if start < len(w) {
			yield(w[start:])
		}
	})
}

// eachWord splits a folded window into words (UAX #29, but for [split]). Punctuation separates
// words and is dropped, so "self-harm" and "self harm" are the same.
func eachWord(s []byte, yield func([]byte)) {
	if isASCIIBytes(s) {
		asciiWords(s, yield)
		return
	}
	for len(s) > 0 {
		// A blank always ends a word: what stands between two is read on its own. The blank
		// goes with what follows it, where a mark may stand on it.
		n := 1 + bytes.IndexByte(s[1:], ' ')
		if n == 0 {
			n = len(s)
		}
		if isASCIIBytes(s[:n]) {
			asciiWords(s[:n], yield)
		} else {
			unicodeWords(s[:n], yield)
		}
		s = s[n:]
	}
}

func unicodeWords(s []byte, yield func([]byte)) {
	state := -1
	var word []byte
	for len(s) > 0 {
		if word, s, state = uniseg.FirstWord(s, state); wordy(word) {
			split(word, yield)
		}
	}
}

// split takes apart what UAX #29 leaves together and people do not: "Ben_Brook.pdf",
// "Name:Ben", "one.Ben". A possessive ending says nothing of its own: "Brook's" is Brook.
func split(word []byte, yield func([]byte)) {
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
func owner(word []byte) []byte {
	if n := len(word) - 2; n > 0 && word[n] == '\'' && word[n+1] == 's' {
		return word[:n]
	}
	return word
}

// asciiWords is unicodeWords for ASCII, several times as fast: letters and digits stick
// together, and so do letters around ' and digits around ' . , ; (UAX #29, WB5 to WB13).
func asciiWords(t []byte, yield func([]byte)) {
	for i := 0; i < len(t); i++ {
		if !sticky(t[i]) {
			continue
		}
		start := i
		for i++; i < len(t); i++ {
			c := classes[t[i]]
			if c&(letterClass|digitClass) != 0 {
				continue
			}
			if c == 0 || i+1 == len(t) || c>>joins&classes[t[i-1]]&classes[t[i+1]] == 0 {
				break
			}
		}
		yield(owner(t[start:i]))
	}
}

// What an ASCII byte is to a word; of what joins two of a class, that class once more, shifted.
const (
	letterClass = 1 << iota
	digitClass
	joins = iota
)

var classes = func() (c [256]uint8) {
	for b := byte('a'); b <= 'z'; b++ {
		c[b], c[b-'a'+'A'] = letterClass, letterClass
	}
	for b := byte('0'); b <= '9'; b++ {
		c[b] = digitClass
	}
	for _, b := range []byte(".,;") {
		c[b] = digitClass << joins
	}
	c['\''] = (letterClass | digitClass) << joins
	return c
}()

func digitByte(c byte) bool { return '0' <= c && c <= '9' }
func sticky(c byte) bool    { return classes[c]&(letterClass|digitClass) != 0 }

// wordy reports whether a segment is a word: it holds a letter, a digit or a symbol that is
// written as a word (an emoji).
func wordy(s []byte) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		s = s[n:]
		if unicode.IsLetter(r) || unicode.IsDigit(r) || (r > unicode.MaxASCII && unicode.Is(unicode.So, r)) {
			return true
		}
	}
	return false
}

// memo keeps what several rules need from the same message, made once.
type memo struct {
	lists     []*WordList        // that the rules ask for: all are looked for in one reading
	mentions  map[*WordList]bool // answers, one for each list
	structure struct {
		done              bool
		signed, encrypted bool
	}
	contacts          *contacts // in what the sender wrote
	counted, attached bool
	count             int         // words of the subject and the new text
	kinds             []mail.Kind // of each attachment
	editable          map[EditKind]mail.Editable
	answers           map[string]bool // to questions with one answer for all recipients
	reader            reader
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
	if _, ok := m.mentions[l]; !ok {
		lists := []*WordList{l}
		for _, other := range m.lists {
			if _, ok := m.mentions[other]; !ok && other != nil && !slices.Contains(lists, other) {
				lists = append(lists, other)
			}
		}
		in.search(lists)
	}
	return m.mentions[l]
}

// search reads the message once for all these lists.
func (in *Input) search(lists []*WordList) {
	finders, found := make([]finder, len(lists)), make([]bool, len(lists))
	var starts shapes // of the first words of all lists: nearly every word is in none
	for i, l := range lists {
		finders[i].set = &l.set
		starts.join(&l.set.starts)
	}
	r := &in.memo.reader
	read := func(t string, fresh bool) {
		open := false // a finder waits for the next word
		word := func(w []byte) {
			if !open && !starts.has(w) {
				return
			}
			open = false
			for i, l := range lists {
				if !found[i] && (fresh || l.name != DangerWords) {
					finders[i].word(w, func([]byte) bool { found[i] = true; return false })
					open = open || len(finders[i].open) > 0
				}
			}
		}
		r.windows(t, func(s []byte, from int) bool {
			eachWord(s[from:], word)
			return true
		})
		for i := range finders {
			finders[i].end()
		}
	}
	// What was written now: an inherited subject was not. Nor is what attachments hold.
	read(in.Mail.Subject, !ParseSubject(in.Mail.Subject).Reply)
	read(in.Mail.NewText(), true)
	for _, t := range attachedTexts(in.Mail) {
		read(t, false)
	}
	for i, l := range lists {
		in.memo.mentions[l] = found[i]
	}
}

// listsOf returns the lists that conditions ask for.
func listsOf(cs []Condition) []*WordList {
	var out []*WordList
	for _, c := range cs {
		switch c := c.(type) {
		case Mentions:
			out = append(out, c.Lists...)
		case Any:
			out = append(out, listsOf(c.Conditions)...)
		case All:
			out = append(out, listsOf(c.Conditions)...)
		}
	}
	return out
}
