package mail

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	nethtml "golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"
)

// Replacement is a text to be put in the place of another one, which is matched as whole
// tokens in any case. Phone says that the old text is a number in digits (E.164, without the
// plus): it is found however it is written, with or without country code, and however its
// digits are grouped. Name says that it is a name, words without accents: it is found with and
// without accents, whatever marks and blanks stand between its words.
type Replacement struct {
	Old, New string
	Phone    bool
	Name     bool
}

// Replace returns a short text, a subject, with the replacements made.
func Replace(text string, list []Replacement) string { return newReplacer(list).plain(text) }

// replacer applies replacements to running text. It looks each word of the text up once, so
// that many replacements cost no more than one.
type replacer struct {
	words  map[string][]target // by the first word of what is replaced, folded
	starts [utf8.RuneSelf]bool // the first letters of these, where they are ASCII: most words are looked up no further
	phones map[string][]target // by the last digits
	names  names
}

// names are those to be replaced.
type names struct {
	with  map[string]string // by the words, with a blank between
	first map[string]bool   // the words with which one begins
	most  int               // words of the longest
}

// target is one text to be replaced.
type target struct {
	fields []string // the words of the old text; white space of any kind may stand between
	lead   int      // bytes of the first field before its first letter or digit
	digits string   // of a phone
	with   string
	bare   bool // a mailbox gives way to what is none
}

// match is a stretch of a text to be replaced.
type match struct {
	start, end int
	with       string
	unlink     bool // a link to it must lead nowhere
}

// phoneTail is how many digits all spellings of a number end alike with.
const phoneTail = 8

func newReplacer(list []Replacement) *replacer {
	r := &replacer{words: map[string][]target{}, phones: map[string][]target{}, names: names{with: map[string]string{}, first: map[string]bool{}}}
	for _, x := range list {
		if fields := strings.Fields(x.Old); x.Name && len(fields) > 0 {
			r.names.with[strings.Join(fields, " ")] = x.New
			r.names.first[fields[0]] = true
			r.names.most = max(r.names.most, len(fields))
			continue
		}
		if x.Phone {
			if n := len(x.Old) - phoneTail; n >= 0 && strings.Trim(x.Old, "0123456789") == "" {
				r.phones[x.Old[n:]] = append(r.phones[x.Old[n:]], target{digits: x.Old, with: x.New})
			}
			continue
		}
		fields := strings.Fields(x.Old)
		if len(fields) == 0 {
			continue
		}
		lead := strings.IndexFunc(fields[0], isWordRune)
		if lead < 0 {
			continue
		}
		word := foldWord(fields[0][lead : lead+wordLen(fields[0][lead:])])
		if word[0] < utf8.RuneSelf {
			c := word[0]
			r.starts[c], r.starts[unicode.ToUpper(rune(c))] = true, true
		}
		r.words[word] = append(r.words[word], target{fields: fields, lead: lead, with: x.New,
			bare: strings.Contains(x.Old, "@") && !strings.Contains(x.New, "@")})
	}
	return r
}

func (r *replacer) empty() bool { return len(r.words)+len(r.phones)+len(r.names.with) == 0 }

// foldWord makes a word such that two that differ in case alone become the same.
func foldWord(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToLower(s)
}

// foldRune returns one and the same of all runes that differ in case alone.
func foldRune(r rune) rune {
	least := r
	for n := unicode.SimpleFold(r); n != r; n = unicode.SimpleFold(n) {
		least = min(least, n)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// wordLen returns the length of the run of letters, digits and marks at the start of s.
func wordLen(s string) int {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if !wordBytes[s[i]] {
				return i
			}
			i++
			continue
		}
		c, n := utf8.DecodeRuneInString(s[i:])
		if !isWordRune(c) {
			return i
		}
		i += n
	}
	return len(s)
}

// find returns what is to be replaced in a text, in order and without overlaps. Where two
// replacements could start at one place, the longer one does.
func (r *replacer) find(s string) []match {
	var out []match
	if len(r.words) > 0 {
		out = r.findWords(s)
	}
	if len(r.phones) > 0 {
		out = append(out, r.findPhones(s)...)
	}
	if len(r.names.with) > 0 {
		out = append(out, r.findNames(s)...)
	}
	if len(r.phones)+len(r.names.with) > 0 {
		slices.SortFunc(out, func(a, b match) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	}
	end := 0
	return slices.DeleteFunc(out, func(m match) bool {
		if m.start < end {
			return true
		}
		end = m.end
		return false
	})
}

func (r *replacer) findWords(s string) []match {
	var out []match
	for i := 0; i < len(s); {
		n := wordLen(s[i:])
		if n == 0 {
			size := 1
			if s[i] >= utf8.RuneSelf {
				_, size = utf8.DecodeRuneInString(s[i:])
			}
			i += size
			continue
		}
		if c := s[i]; c < utf8.RuneSelf && !r.starts[c] {
			i += n
			continue
		}
		best := match{}
		for _, t := range r.words[foldWord(s[i:i+n])] {
			if start := i - t.lead; start >= 0 {
				if end := t.at(s, start); end > best.end && tokenEdge(s, start, end) {
					best = match{start, end, t.with, t.bare}
				}
			}
		}
		if best.end > 0 {
			out = append(out, best)
		}
		i += n
	}
	return out
}

// at returns where the target ends that starts at the place, or -1.
func (t *target) at(s string, at int) int {
	for k, f := range t.fields {
		if k > 0 {
			n := strings.IndexFunc(s[at:], func(r rune) bool { return !unicode.IsSpace(r) })
			if n <= 0 || n > maxBlank {
				return -1
			}
			at += n
		}
		n := foldedPrefix(s[at:], f)
		if n < 0 {
			return -1
		}
		at += n
	}
	return at
}

// maxBlank bounds the white space within what is replaced: so much belongs to no name.
const maxBlank = 64

// foldedPrefix returns the length of the prefix of s that is p in any case, or -1.
func foldedPrefix(s, p string) int {
	i := 0
	for _, want := range p {
		got, n := utf8.DecodeRuneInString(s[i:])
		if n == 0 || got != want && foldRune(got) != foldRune(want) {
			return -1
		}
		i += n
	}
	return i
}

// findNames looks for the names word by word, as the leak check reads them.
func (r *replacer) findNames(s string) []match {
	var out []match
	for i := 0; i < len(s); {
		n := nameWordLen(s[i:])
		if n == 0 {
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
			continue
		}
		if m := r.names.at(s, i); m.end > 0 {
			out = append(out, m)
		}
		i += n
	}
	return out
}

// at returns the longest name that starts at the place, where a word does.
func (x *names) at(s string, start int) match {
	best, key, at := match{}, "", start
	for k := range x.most {
		if k > 0 {
			n := strings.IndexFunc(s[at:min(len(s), at+maxBlank)], func(r rune) bool { return isWordRune(r) && r != '_' })
			if n <= 0 {
				break
			}
			at += n
			key += " "
		}
		n := nameWordLen(s[at:])
		key += foldName(s[at : at+n])
		if k == 0 && !x.first[key] {
			break
		}
		at += n
		if with, ok := x.with[key]; ok && nameEdge(s, start, at) {
			best = match{start: start, end: at, with: with}
		}
	}
	return best
}

// nameWordLen is wordLen, but that "_" stands between words.
func nameWordLen(s string) int {
	n := wordLen(s)
	if i := strings.IndexByte(s[:n], '_'); i >= 0 {
		return i
	}
	return n
}

// nameEdge reports whether s[i:j] is not part of a longer name, an address or a domain.
func nameEdge(s string, i, j int) bool {
	before, n := utf8.DecodeLastRuneInString(s[:i])
	if i > 0 && before != '_' && isWordRune(before) {
		return false
	}
	if further, m := utf8.DecodeLastRuneInString(s[:i-n]); m > 0 && strings.ContainsRune("._%+-@/=", before) && isWordRune(further) {
		return false
	}
	after, n := utf8.DecodeRuneInString(s[j:])
	next, m := utf8.DecodeRuneInString(s[j+n:])
	return n == 0 || after != '@' && (m == 0 || !strings.ContainsRune("._%+-/", after) || !isWordRune(next))
}

// foldName makes a word of a name such that two that differ in case or accents become the same.
func foldName(word string) string {
	ascii := true
	for i := range len(word) {
		ascii = ascii && word[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(word)
	}
	var b strings.Builder
	for _, c := range norm.NFKD.String(strings.ToLower(word)) {
		if c >= 0x300 && c <= 0x36f {
			continue
		}
		if plain, ok := Unbarred(c); ok {
			b.WriteString(plain)
		} else if c == 'ß' {
			b.WriteString("ss")
		} else {
			b.WriteRune(c)
		}
	}
	return norm.NFC.String(b.String())
}

// Unbarred spells letters that Unicode does not take apart.
func Unbarred(c rune) (string, bool) {
	switch c {
	case 'ł':
		return "l", true
	case 'ø':
		return "o", true
	case 'đ', 'ð':
		return "d", true
	case 'ħ':
		return "h", true
	case 'ı':
		return "i", true
	case 'æ':
		return "ae", true
	case 'œ':
		return "oe", true
	case 'þ':
		return "th", true
	case 'ى':
		return "ي", true
	case 'ة':
		return "ه", true
	}
	return "", false
}

// What still counts as one phone number: as the leak check reads them.
const (
	maxPhoneGap    = 3
	maxPhoneDigits = 20
)

// findPhones looks for the numbers, however their digits are grouped.
func (r *replacer) findPhones(s string) []match {
	var out []match
	var buf [maxPhoneDigits + 1]byte
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) || i > 0 && isDigit(s[i-1]) {
			continue
		}
		digits, gap, end := buf[:0], 0, 0
		for k := i; k < len(s) && len(digits) <= maxPhoneDigits && gap <= maxPhoneGap; k++ {
			if !isDigit(s[k]) {
				c, n := utf8.DecodeRuneInString(s[k:])
				if unicode.IsLetter(c) || c == '@' {
					break
				}
				k, gap = k+n-1, gap+1
				continue
			}
			digits, gap = append(digits, s[k]), 0
			if len(digits) < phoneTail || k+1 < len(s) && isDigit(s[k+1]) {
				continue // a number ends where its digits end
			}
			for _, t := range r.phones[string(digits[len(digits)-phoneTail:])] {
				if sameNumber(string(digits), t.digits) {
					end = k + 1
					out = append(out, match{phoneStart(s, i), end, t.with, true})
				}
			}
		}
		if end > 0 {
			i = end - 1
		}
	}
	return out
}

// phoneStart takes in what is written before the first digit of a number.
func phoneStart(s string, at int) int {
	for at > 0 && (s[at-1] == '+' || s[at-1] == '(') {
		at--
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// sameNumber reports whether the digits, as they stand in a text, are the number in E.164:
// with or without country code, trunk zero or "00".
func sameNumber(written, e164 string) bool {
	d := strings.TrimLeft(written, "0")
	if len(d) < phoneTail {
		return false
	}
	if strings.HasSuffix(e164, d) && len(e164)-len(d) <= 4 {
		return true
	}
	for cc := 1; cc <= 3 && cc < len(e164); cc++ { // +44 (0)7700 900123
		if d == e164[:cc]+"0"+e164[cc:] {
			return true
		}
	}
	return false
}

// plain applies the replacements to a text.
func (r *replacer) plain(s string) string { return replaced(s, r.find(s)) }

// replaced returns a text with all matches replaced. They are in order.
func replaced(s string, found []match) string {
	if len(found) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, m := range found {
		b.WriteString(s[at:m.start])
		b.WriteString(m.with)
		at = m.end
	}
	b.WriteString(s[at:])
	return b.String()
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

// wordBytes are the letters, digits and marks of ASCII.
var wordBytes = func() (set [utf8.RuneSelf]bool) {
	for c := range rune(utf8.RuneSelf) {
		set[c] = c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	return set
}()

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return wordBytes[r]
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// seenAttrs are attributes whose value a reader may be shown.
const seenAttrs = " alt title aria-label placeholder summary label "

// html applies the replacements to the shown text of an HTML text, to the attributes that are
// shown and to links to mailboxes and phones; no other byte changes.
func (r *replacer) html(s string) string {
	if r.empty() {
		return s
	}
	var all []change
	var run shown
	raw := ""
	flush := func() {
		for _, m := range r.find(run.text.String()) {
			all = append(all, run.change(m.start, m.end, m.with)...)
		}
		run.reset()
	}
	_ = htmlTokens(s, func(t htmlToken) { // what belongs to no token stays as it is
		switch t.kind {
		case nethtml.TextToken:
			if raw == "" {
				run.add(s, t.start, t.end)
			}
			return
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			all = append(all, r.attrs(s, &t)...)
		}
		if inSet(blockElements, t.name) {
			flush()
		}
		switch {
		case t.kind == nethtml.StartTagToken && (t.name == "script" || t.name == "style"):
			raw = t.name
		case t.kind == nethtml.EndTagToken && t.name == raw:
			raw = ""
		}
	})
	flush()
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.start, b.start) })
	return applyChanges(s, all)
}

// attrs replaces in the attributes of a tag.
func (r *replacer) attrs(s string, t *htmlToken) []change {
	if !slices.ContainsFunc(t.attrs, func(a nethtml.Attribute) bool { return inSet(seenAttrs, a.Key) || a.Key == "href" }) {
		return nil
	}
	spans, ok := attrSpans(s, t)
	if !ok {
		return nil
	}
	var out []change
	for i, a := range t.attrs {
		link := a.Key == "href" && isContactLink(a.Val)
		if !link && !inSet(seenAttrs, a.Key) {
			continue
		}
		var value shown
		value.add(s, spans[i].valueStart, spans[i].valueEnd)
		for _, m := range r.find(value.text.String()) {
			if link && m.unlink {
				m.with = "" // what is no longer named is no longer linked to
			}
			if spans[i].bare && m.with != "" {
				m.with = strings.Join(strings.Fields(m.with), "_") // a blank would end the value
			}
			out = append(out, value.change(m.start, m.end, m.with)...)
		}
	}
	return out
}

// isContactLink reports a link that writes to somebody or rings them.
func isContactLink(href string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(href)), ":")
	return scheme == "mailto" || scheme == "tel" || scheme == "sms"
}
