package filter

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/mail"
)

// Watch is the register compiled for the leak check: everything that names a client, by hash.
// It is immutable and may be used from many goroutines.
//
// It is made of layers, the oldest first. A client counts as the newest layer that knows the
// code has it; what lies below is out of date. Each layer is a small part of the one below it,
// so that a change costs what it changes, and a look-up is one in each of a handful of layers.
type Watch struct {
	layers []*layer
	first  []int32 // number of the first client of each layer
	count  int
}

// layerRatio is how many times larger a layer is than the one above it; a smaller one is melted
// into what lies above. Over time each client is compiled anew about this often a layer.
const layerRatio = 8

// NewWatch compiles the register.
func NewWatch(clients []Client) *Watch { return newWatch([]*layer{compile(clients, nil)}) }

func newWatch(layers []*layer) *Watch {
	w := &Watch{layers: layers}
	for _, l := range layers {
		w.first = append(w.first, int32(w.count))
		w.count += l.clients.len()
	}
	return w
}

// Update returns the register with these clients added or changed, and those with these codes
// gone. It compiles what changed, and now and then some of what changed before.
func (w *Watch) Update(changed []Client, gone []string) *Watch {
	if len(changed)+len(gone) == 0 {
		return w
	}
	layers := append(slices.Clone(w.layers), compile(changed, gone))
	for n := len(layers); n > 1 && layers[n-1].size()*layerRatio > layers[n-2].size(); n = len(layers) {
		layers = append(layers[:n-2], melt(layers[n-2], layers[n-1], n == 2))
	}
	return newWatch(layers)
}

// Refs returns the codes of everybody in the register, in no order.
func (w *Watch) Refs() []string {
	out := make([]string, 0, w.count)
	for k, l := range w.layers {
		for i := range l.clients.len() {
			if ref := l.clients.ref(int32(i)); w.newest(k, ref) {
				out = append(out, ref)
			}
		}
	}
	return out
}

// layer is some clients, compiled, and the codes of those who are gone.
type layer struct {
	clients    roll
	refs       *table[int32] // by code; -1: gone
	gone       int
	by         [lookups]index
	domains    map[string]bool // of the mailboxes, folded: most addresses are looked at no further
	codeParts  int             // most pieces that a code has
	codeShape  shapes
	shortShape shapes
	nameSet    phrases // its has is that of the index by name
	births     map[day]bool

	givens     *table[int32] // words of names, but the last
	givenShape shapes
}

// lookup is what a client is found by.
type lookup uint8

const (
	byMailbox   lookup = iota // folded address
	byPhone                   // last digits, see phoneKey
	byCode                    // folded
	byShortCode               // folded: one that could be an ordinary word or number
	byName                    // folded words; first and last name as one word as well
	lookups
)

// index leads from a key to clients: most keys are those of one.
type index struct {
	at   *table[int32] // a client, or ^n for many[n]
	many [][]int32
}

func (x *index) put(key string, i int32) {
	v, ok := x.at.get([]byte(key))
	switch {
	case !ok:
		x.at.put(key, i)
	case v < 0:
		if list := x.many[^v]; list[len(list)-1] != i {
			x.many[^v] = append(list, i)
		}
	case v != i:
		x.at.put(key, ^int32(len(x.many)))
		x.many = append(x.many, []int32{v, i})
	}
}

// watched is what a hit needs to know of a client, and what is needed to compile it again.
type watched struct {
	ref, practitioner string
	born              day      // zero: unknown
	phones            []string // digits
	mailboxes         []string // folded
	names             []string // folded words, in each spelling
}

func (l *layer) size() int { return l.clients.len() + l.gone }

func compile(clients []Client, gone []string) *layer {
	n := len(clients)
	all := make([]watched, 0, n)
	at := make(map[string]int, n)
	var r reader
	for i := range clients {
		k := watch(&r, &clients[i])
		if old, twice := at[k.ref]; twice && k.ref != "" {
			all[old] = k
			continue
		}
		at[k.ref] = len(all)
		all = append(all, k)
	}
	return layerOf(all, gone)
}

// watch folds what the register has of a client.
func watch(r *reader, c *Client) watched {
	k := watched{ref: c.Ref, practitioner: c.Practitioner}
	if !c.Born.IsZero() {
		k.born = dayOf(c.Born)
	}
	for _, a := range c.Email {
		if !a.IsZero() {
			k.mailboxes = append(k.mailboxes, mailboxKey(a))
		}
	}
	for _, m := range c.Mobile {
		if d := digitsOf(m); len(d) >= minPhone {
			k.phones = append(k.phones, d)
		}
	}
	k.names = r.spellings(c.Name)
	return k
}

func layerOf(clients []watched, gone []string) *layer {
	n := len(clients)
	l := &layer{refs: newTable[int32](n + len(gone)), domains: map[string]bool{}, nameSet: newPhrases(n), births: map[day]bool{}, givens: newTable[int32](0)}
	for b := range l.by {
		l.by[b].at = newTable[int32](n)
	}
	l.by[byName].at = l.nameSet.has
	for i := range clients {
		l.add(int32(i), &clients[i])
	}
	for _, ref := range gone {
		if !l.refs.has([]byte(ref)) {
			l.refs.put(ref, -1)
			l.gone++
		}
	}
	return l
}

func (l *layer) add(i int32, k *watched) {
	l.clients.add(k)
	l.refs.put(k.ref, i)
	if k.born != (day{}) {
		l.births[k.born] = true
	}
	for _, key := range k.mailboxes {
		l.by[byMailbox].put(key, i)
		l.domains[domainOf(key)] = true
	}
	for _, d := range k.phones {
		l.by[byPhone].put(phoneKey(d), i)
	}
	code := fold(strings.TrimSpace(k.ref))
	if len(code) >= 2 && !telling(code) && pieces(code) == 1 {
		l.by[byShortCode].put(code, i)
		l.shortShape.add(code)
	}
	if telling(code) {
		l.code(code, i)
		l.codeParts = max(l.codeParts, codeParts(code))
		// "C0142" is C-0142 as well; of shorter codes that would be a common word. So is "C 0142",
		// unless there is no letter: that could be any number.
		if joined := strings.Join(strings.FieldsFunc(code, notAlnum), ""); joined != code && len(joined) >= minCode {
			l.code(joined, i)
			if strings.ContainsFunc(code, unicode.IsLetter) {
				l.by[byCode].put(string(dashed(nil, code)), i)
			}
		}
	}
	for _, words := range k.names {
		w := strings.Fields(words)
		for _, given := range w[:max(0, len(w)-1)] {
			l.givens.put(given, 1)
			l.givenShape.add(given)
		}
		for _, name := range nameForms(w) {
			if l.nameSet.add(name) {
				l.nameSet.has.put(name, i)
			} else {
				l.by[byName].put(name, i)
			}
		}
	}
}

func (l *layer) code(code string, i int32) {
	l.by[byCode].put(code, i)
	l.codeShape.add(code)
}

// melt makes one layer of two that lie on each other. In the lowest nobody is gone: there is
// nothing below.
func melt(below, above *layer, lowest bool) *layer {
	clients := make([]watched, 0, below.size()+above.size())
	var gone []string
	for i := range below.clients.len() {
		if k := below.clients.client(int32(i)); !above.refs.has([]byte(k.ref)) {
			clients = append(clients, k)
		}
	}
	for i := range above.clients.len() {
		clients = append(clients, above.clients.client(int32(i)))
	}
	if !lowest {
		for _, l := range []*layer{below, above} {
			for ref, i := range l.refs.all() {
				if i < 0 {
					gone = append(gone, ref)
				}
			}
		}
	}
	return layerOf(clients, gone)
}

// newest reports whether no layer above k knows the code.
func (w *Watch) newest(k int, ref string) bool {
	for _, l := range w.layers[k+1:] {
		if l.refs.has([]byte(ref)) {
			return false
		}
	}
	return true
}

// find appends the clients with that key to dst.
func (w *Watch) find(dst []int32, b lookup, key []byte) []int32 {
	for k, l := range w.layers {
		v, ok := l.by[b].at.get(key)
		if !ok {
			continue
		}
		one := [1]int32{v}
		list := one[:]
		if v < 0 {
			list = l.by[b].many[^v]
		}
		for _, i := range list {
			if w.newest(k, l.clients.ref(i)) {
				dst = append(dst, w.first[k]+i)
			}
		}
	}
	return dst
}

// client returns a client by number.
func (w *Watch) client(i int32) watched {
	k := len(w.first) - 1
	for w.first[k] > i {
		k--
	}
	return w.layers[k].clients.client(i - w.first[k])
}

// number returns the number of the client with that code.
func (w *Watch) number(ref string) (int32, bool) {
	for k := len(w.layers) - 1; k >= 0; k-- {
		if i, ok := w.layers[k].refs.get([]byte(ref)); ok {
			return w.first[k] + i, i >= 0
		}
	}
	return 0, false
}

func (w *Watch) hasDomain(d []byte) bool {
	for _, l := range w.layers {
		if l.domains[string(d)] {
			return true
		}
	}
	return false
}

func (w *Watch) isBirth(d day) bool {
	for _, l := range w.layers {
		if l.births[d] {
			return true
		}
	}
	return false
}

// finders look for the names of the register.
func (w *Watch) finders() []finder {
	out := make([]finder, len(w.layers))
	for k, l := range w.layers {
		out[k].set = &l.nameSet
	}
	return out
}

// middleName reports whether a word can stand between a first and a last name: an initial, or
// the given name of anybody.
func (w *Watch) middleName(word []byte) bool {
	if len(word) <= 1 {
		return len(word) == 1 && classes[word[0]] == letterClass
	}
	for _, l := range w.layers {
		if l.givenShape.has(word) && l.givens.has(word) {
			return true
		}
	}
	return false
}

// startsPair reports whether a name of two words starts with the word.
func (w *Watch) startsPair(word []byte) bool {
	for _, l := range w.layers {
		if l.nameSet.startingWith(word)&(1<<2) != 0 {
			return true
		}
	}
	return false
}

// codeParts returns the most pieces that a code has.
func (w *Watch) codeParts() int {
	n := 0
	for _, l := range w.layers {
		n = max(n, l.codeParts)
	}
	return n
}

// likeShortCode tells most of what is no short code without a look-up.
func (w *Watch) likeShortCode(s []byte) bool {
	for _, l := range w.layers {
		if l.shortShape.has(s) {
			return true
		}
	}
	return false
}

// likeCode tells most of what is no code without a look-up.
func (w *Watch) likeCode(s []byte) bool {
	for _, l := range w.layers {
		if l.codeShape.has(s) {
			return true
		}
	}
	return false
}

// mailboxKey is how a mailbox is compared in text: the local part without quotes.
func mailboxKey(a mail.Address) string { return fold(a.LocalPart + "@" + a.Domain) }

// domainOf returns the domain of a folded mailbox.
func domainOf(key string) string { return key[strings.LastIndexByte(key, '@')+1:] }

// minPhone is the least number of digits that is taken for a phone number.
const minPhone = 8

// phoneKey is what all spellings of a number have in common: national and international ones
// end alike.
func phoneKey(digits string) string { return digits[max(0, len(digits)-minPhone):] }

// digitsOf returns the decimal digits of a text.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// sameNumber reports whether the digits, as they stand in a text, are the number in E.164:
// with or without country code, trunk zero or "00". A part of a number is not: with many
// clients every other number of eight digits would be the end of somebody's.
func sameNumber(written, e164 string) bool {
	d := strings.TrimLeft(written, "0")
	if len(d) < minPhone {
		return false
	}
	cc := countryCode(e164)
	national := e164[cc:]
	return d == e164 || d == strings.TrimLeft(national, "0") ||
		(len(d) == len(e164)+1 && strings.HasPrefix(d, e164[:cc]) && d[cc] == '0' && d[cc+1:] == national) // +44 (0)7700 900123
}

// endsNumber reports whether the digits are at least the last eight of the number.
func endOf(written, e164 string) bool {
	d := strings.TrimLeft(written, "0")
	return len(d) >= minPhone && strings.HasSuffix(e164, d)
}

// countryCode returns the length of the country code of a number in E.164 (ITU-T, list of
// assigned codes): +1 and +7 have one digit, those listed two, all others three.
func countryCode(e164 string) int {
	if len(e164) <= 3 {
		return 0
	}
	switch a, b := e164[0], e164[1]; {
	case a == '1' || a == '7':
		return 1
	case strings.IndexByte([...]string{'2': "07", '3': "0123469", '4': "013456789", '5': "12345678", '6': "0123456", '8': "1246", '9': "0123458"}[a], b) >= 0:
		return 2
	}
	return 3
}

// sameOwnNumber reports whether the digits, as they stand in a text, are a number as its owner
// wrote it: with the trunk zero of the country, or with the country code and without "00".
func sameOwnNumber(written, own string) bool {
	rest, national := strings.CutPrefix(own, "0")
	if !national {
		return sameNumber(written, own)
	}
	d := strings.TrimLeft(written, "0")
	return strings.HasSuffix(d, rest) && len(d)-len(rest) <= 4
}

// SamePhone reports whether two spellings may be of one phone number.
func SamePhone(a, b string) bool {
	x, y := strings.TrimPrefix(digitsOf(a), "00"), strings.TrimPrefix(digitsOf(b), "00")
	return len(x) >= minPhone && len(y) >= minPhone && (sameOwnNumber(x, y) || sameOwnNumber(y, x))
}

// minCode is how long a code is at least that is found without its separators.
const minCode = 5

// telling reports whether a code can be told from an ordinary word or number: it mixes
// letters and digits, or is long. Any other is looked for beside the client's name only.
func telling(code string) bool {
	letter := strings.ContainsFunc(code, unicode.IsLetter)
	digit := strings.ContainsFunc(code, unicode.IsDigit)
	return (letter && digit && len(code) >= 3) || (letter && len(code) >= 6) || len(digitsOf(code)) >= minNumberCode
}

// minNumberCode is how many digits a code of digits alone has at least that is no chance in a
// text: with 100,000 clients, codes of six digits would be every tenth number of a sheet.
const minNumberCode = 9

// dashed appends a code with a dash for whatever stands between its pieces, and a dash before
// it: no code as it is written begins with one.
func dashed[T string | []byte](dst []byte, code T) []byte {
	dst = append(dst, '-')
	for i := range len(code) {
		c := code[i]
		if c < utf8.RuneSelf && notAlnum(rune(c)) {
			if c = '-'; dst[len(dst)-1] == c {
				continue
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// pieces counts the runs of letters and digits in a code.
func pieces(code string) int { return len(strings.FieldsFunc(code, notAlnum)) }

// codeParts counts the pieces of a code as they are read in a text: also where the script changes.
func codeParts(code string) int {
	n, before := pieces(code), rune(-1)
	for _, r := range code {
		if before >= 0 && !notAlnum(before) && !notAlnum(r) && unspacedScript(before) != unspacedScript(r) {
			n++
		}
		before = r
	}
	return n
}

func notAlnum(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// nameForms returns the ways in which a full name is written: "Anna Maria Smith", "Anna Smith",
// "Smith, Anna Maria", and "annasmith" as file names have it. A single name is none: it names
// too many.
func nameForms(w []string) []string {
	n := len(w)
	if n < 2 {
		return nil
	}
	if unspaced(w) {
		return []string{strings.Join(w, " ")}
	}
	first, last := w[0], w[n-1]
	out := []string{strings.Join(w, " "), first + " " + last, last + " " + first, last + " " + strings.Join(w[:n-1], " ")}
	if len(first)+len(last) >= minJoined && first != last {
		out = append(out, first+last, last+first)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unspaced reports a name in a script that puts no space between words. There every character
// is a word, and first and last name cannot be told.
func unspaced(w []string) bool {
	return !slices.ContainsFunc(w, func(s string) bool {
		r, n := utf8.DecodeRuneInString(s)
		return n != len(s) || !unspacedScript(r)
	})
}

// unspacedScript reports a letter of a script in which the next word, or an ending, follows
// without a blank.
func unspacedScript(r rune) bool {
	return r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// minJoined is how long a name is at least that is found written as one word.
const minJoined = 7
