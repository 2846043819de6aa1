package filter

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// What follows says what the search finds, as plainly as can be: whole texts at once, and no
// care for memory. The real one must find the same.

func plainFold(s string) string {
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
		case r == '\u200b' || r == '\u00ad' || r == '\u034f' || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, s)
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
}

func plainWords(folded string) []string {
	var out []string
	keep := func(w []byte) { out = append(out, string(w)) }
	state := -1
	var word string
	for len(folded) > 0 {
		if word, folded, state = uniseg.FirstWordInString(folded, state); wordy([]byte(word)) {
			split([]byte(word), keep)
		}
	}
	return out
}

// plainNameWords are the words, and each syllable of Korean and Japanese for itself.
func plainNameWords(folded string) []string {
	var out []string
	for _, w := range plainWords(folded) {
		var apart strings.Builder
		for _, r := range w {
			if unicode.In(r, unicode.Hangul, unicode.Katakana, unicode.Hiragana) {
				apart.WriteString("\x00" + string(r) + "\x00")
			} else {
				apart.WriteRune(r)
			}
		}
		out = append(out, strings.FieldsFunc(apart.String(), func(r rune) bool { return r == 0 })...)
	}
	return out
}

func plainPlain(s string) string {
	barred := strings.NewReplacer("ł", "l", "ø", "o", "đ", "d", "ð", "d", "ħ", "h", "ı", "i", "æ", "ae", "œ", "oe", "þ", "th")
	return norm.NFC.String(barred.Replace(strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f {
			return -1
		}
		return r
	}, norm.NFD.String(s))))
}

// plainFind returns every phrase of the set that stands in the words.
func plainFind(set *phrases, words []string) map[string]bool {
	out := map[string]bool{}
	for i := range words {
		for n := 1; n <= set.words && i+n <= len(words); n++ {
			p := strings.Join(words[i:i+n], " ")
			if set.has.has([]byte(p)) {
				out[p] = true
			}
		}
	}
	return out
}

func plainDates(s string) map[day]bool {
	out := map[day]bool{}
	w := strings.FieldsFunc(s, notAlnum)
	for i := 0; i+2 < len(w); i++ {
		a, b, c := datePiece([]byte(w[i])), datePiece([]byte(w[i+1])), datePiece([]byte(w[i+2]))
		add := func(y, m, d int) {
			if m < 1 || m > 12 || d < 1 || d > 31 || y < 0 {
				return
			}
			if y < 100 {
				out[day{1900 + y, m, d}] = true
				y += 2000
			}
			out[day{y, m, d}] = true
		}
		add(a, b, c)
		add(c, b, a)
		add(c, a, b)
	}
	return out
}

// plainScan searches the texts of one part for everything.
func plainScan(l *leaks, texts []string) {
	var pictures []string
	for _, t := range texts {
		forms(t, func(form string, first bool) {
			if !first {
				texts = append(texts, form)
				if !utf8.ValidString(form) && utf8.ValidString(t) {
					pictures = append(pictures, form)
				}
			}
		})
	}
	folded := make([]string, len(texts))
	for i, t := range texts {
		folded[i] = plainFold(t)
	}
	all := strings.Join(folded, "\n\x01\n")
	p := l.part("", 0)
	for _, s := range pictures {
		p.raw([]byte(s))
	}
	p.addresses([]byte(all))
	p.numbers([]byte(all), true)
	if like, ok := digitsLike(nil, []byte(all)); ok {
		p.numbers(like, true)
	}
	p.refs([]byte(all))
	l.ownDomain("", 0, []byte(all))
	days := plainDates(all)
	watch := l.in.Watch
	for i, t := range folded {
		names := plainFind(&watch.layers[0].nameSet, plainNameWords(plainPlain(t)))
		if hasUmlaut(texts[i]) {
			for name := range plainFind(&watch.layers[0].nameSet, plainNameWords(plainPlain(plainSpelled(t)))) {
				names[name] = true
			}
		}
		words := plainNameWords(plainPlain(t))
		for i := range words {
			for k := i + 2; k < len(words) && k <= i+3; k++ {
				if pair := words[i] + " " + words[k]; len(watch.find(nil, byName, []byte(pair))) > 0 &&
					!slices.ContainsFunc(words[i+1:k], func(m string) bool { return !watch.middleName([]byte(m)) }) {
					names[pair] = true
				}
			}
		}
		for name := range names {
			clients := slices.Clone(l.find(byName, []byte(name)))
			if !l.foreign(clients) || l.names[name] {
				continue
			}
			for _, i := range clients {
				c := watch.client(i)
				if l.near[i] || (c.practitioner != "" && c.practitioner == l.sender.ID) {
					l.note(leakName, "", 0)
					continue
				}
				l.note(leakNameAlone, "", 0)
				if c.born != (day{}) && days[c.born] {
					l.note(leakNameBorn, "", 0)
				}
				for k := range channelEnd {
					if p.told[i]&(1<<k) != 0 {
						l.note(k, "", 0)
					}
				}
			}
		}
	}
}

// plainSpelled spells umlauts out.
func plainSpelled(folded string) string {
	return strings.NewReplacer("a\u0308", "ae", "o\u0308", "oe", "u\u0308", "ue", "a\u030a", "aa", "ø", "oe").Replace(norm.NFD.String(folded))
}

// letters are what texts for the search are made of: words that are looked for, whole and in
// pieces, and what may come between the pieces.
var letters = []string{
	"overdose", "Overdose", "kill", "myself", "self", "-", "harm", "kill myself", "don", "’", "'", "t", "straße", "STRASSE",
	"🙂", "x", "ｏverdose", "Zo", "ë", "e\u0308", "Łukasik", "Zoe Lukasik", "lukasikzoe", "Ben Maria Jones", "Jones, Ben", "benjones", "BenJones.pdf",
	"Cleo", "Brown", "M.", "Müller", "Jo\u0308rg", "Joerg Mueller", "home@example.net", "Emil White", "White", "24", "12", "1985", "24 December 1985", "Dec", "24/12/85", "1990-04-01", "th", "st",
	"ben@example.org", "\"ben\"", "@", "example.net", "cleo", "home", "example", ".", "maya@willowhouse.example", "willowhouse.example",
	"+44 7700 900456", "07700", "900", "789", "٠٧٧٠٠٩٠٠٧٨٩", "C-0203", "c", "0177", "C_0177", "C 0177", "0", "1", "44", "O77OO 9OO789", "o", "l", "|", "\n> > ", " at ", "(at)", " dot ", "cleo (at) example.net", "%2540", "\\u0040", "\\x40", "\\40 ", "base64,Y2xlb0BleGFtcGxlLm5ldA==",
	" ", " ", " ", "  ", "\n", "\r\n", "\t", "_", ":", ",", ";", "=", "%20", "%40", "%", "/", "(", "\x00", "\x01",
	"\u200b", "\u00ad", "\u0301", "\u0308", "\u0345", "\u200d", "\ufe0f", "\u00a0", "\u3000", "\u2011", "\ufdfa", "ﬁ", "中", "文", "한", "\u1112", "\u1161", "\u11ab",
	"ก", "ะ", "कि", "العربية", "🇬🇧", "🇬", "。", "，", "\xff", "\xe2\x80", "\ufffd", "İ", "ſ", "K", "ß", "A", "Z",
}

// aText draws a text, short, or longer than what is read at once.
func aText(rt *rapid.T, label string) string {
	one := strings.Join(rapid.SliceOfN(rapid.SampledFrom(letters), 0, 40).Draw(rt, label), "")
	if n := rapid.SampledFrom([]int{0, 0, 0, piece, maxToken, 3 * piece}).Draw(rt, label+" long"); n > 0 {
		filler := rapid.SampledFrom([]string{"a ", "é ", "wort\n", "Käse 1 "}).Draw(rt, label+" filler")
		n += rapid.IntRange(-60, 60).Draw(rt, label+" about")
		one = strings.Repeat(filler, n/len(filler)) + one + strings.Repeat(filler, 400) + one
	}
	return one
}

func found(set *phrases, texts []string, plain bool) map[string]bool {
	out := map[string]bool{}
	var r reader
	f := finder{set: set}
	for _, t := range texts {
		r.windows(t, func(s []byte, from int) bool {
			word := func(w []byte) {
				f.word(w, func(p []byte) bool { out[string(p)] = true; return true })
			}
			if plain {
				eachNameWord(r.plainLetters(s[from:]), word)
			} else {
				eachWord(s[from:], word)
			}
			return true
		})
		f.end()
	}
	return out
}

func sameKeys(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

func TestTheSearchFindsWhatAPlainOneFinds(t *testing.T) {
	t.Parallel()
	list := wordList(t, "l", "overdose", "kill myself", "self-harm", "don't", "straße", "🙂", "x", "kill", "myself kill myself", "中文", "文中", "صلى الله")
	env, facts := envelope(t, "anna@example.org", "ben@example.org")
	reg := append(register(t), Client{Ref: "C-0400", Name: "Zoë Łukasik", Practitioner: "maya"},
		Client{Ref: "C-0401", Name: "Zoe Lukasik Brown", Born: time.Date(1990, 4, 1, 0, 0, 0, 0, time.UTC)})
	watch := NewWatch(reg)
	names := &watch.layers[0].nameSet
	in := LeakInput{Mail: parse(t, out("", "x")), Watch: watch, Env: env, Facts: facts, Practice: practice, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}
	start := func() *leaks {
		l := newLeaks(in)
		l.people()
		return l
	}
	rapid.Check(t, func(rt *rapid.T) {
		texts := []string{aText(rt, "a"), aText(rt, "b")}
		want, wantNames := map[string]bool{}, map[string]bool{}
		for _, s := range texts {
			f := plainFold(s)
			for p := range plainFind(&list.set, plainWords(f)) {
				want[p] = true
			}
			for p := range plainFind(names, plainNameWords(plainPlain(f))) {
				wantNames[p] = true
			}
		}
		if got := found(&list.set, texts, false); !sameKeys(got, want) {
			rt.Fatalf("words of %q: %v, want %v", texts, got, want)
		}
		if got := found(names, texts, true); !sameKeys(got, wantNames) {
			rt.Fatalf("names of %q: %v, want %v", texts, got, wantNames)
		}
		plain, real := start(), start()
		plainScan(plain, slices.Clone(texts))
		p := real.part("", 0)
		for _, s := range texts {
			p.scan(s)
		}
		if plain.hit != real.hit {
			rt.Fatalf("leaks of %q: %v, want %v", texts, real.hit, plain.hit)
		}
	})
}

// A folded text is the same whether it is read at once or in windows, and no window is long.
func TestWindowsAreTheFoldedText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := aText(rt, "text")
		if rapid.Bool().Draw(rt, "again") {
			s = strings.Repeat(s+"a ", 1+3*piece/(len(s)+1)) // of marks alone no more than 1,024 bytes are kept together
		}
		var r reader
		var got strings.Builder
		r.windows(s, func(w []byte, from int) bool {
			if !strings.HasSuffix(got.String(), string(w[:from])) {
				rt.Fatalf("%q is not behind the window", w[:from])
			}
			got.Write(w[from:])
			return true
		})
		if want := plainFold(s); got.String() != want {
			rt.Fatalf("%q: %q, want %q", s, got.String(), want)
		}
	})
}

// What is in memory of a text does not grow with it.
func TestReadingTakesLittleMemory(t *testing.T) {
	t.Parallel()
	list := wordList(t, "l", "a a b", "overdose", "صلى الله")
	for name, unit := range map[string]string{"words": "a ", "one word": "a", "dotted": "é.", "ligature": "\ufdfa", "marks": "\u0301", "format": "\u200b",
		"ideographs": "中", "blanks": " ", "broken": "\xff", "flags": "🇬", "underscores": "é_", "marked dots": "x.\u0308", "jamo": "\u1161", "digits": "1.", "katakana": "ア"} {
		text := strings.Repeat(unit, 1<<20/len(unit)) + " overdose"
		var r reader
		f, hit := finder{set: &list.set}, false
		r.windows(text, func(s []byte, from int) bool {
			eachWord(s[from:], func(w []byte) {
				f.word(w, func(p []byte) bool { hit = hit || string(p) == "overdose"; return true })
			})
			return true
		})
		if !hit {
			t.Errorf("%s: the last word was not found", name)
		}
		kept := cap(r.mapped) + cap(r.win) + cap(r.first) + cap(r.second) + cap(f.recent) + 32*cap(f.open)
		if kept > 1<<20 {
			t.Errorf("%s: %d bytes kept", name, kept)
		}
	}
}
