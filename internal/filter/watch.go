package filter

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/plaincover/plaincover/internal/mail"
)

// Watch is the register compiled for the leak check: everything that names a client, by hash.
// It is immutable and may be used from many goroutines.
type Watch struct {
	clients   []watched
	byRef     map[string]int32
	mailboxes map[string][]int32 // folded address
	domains   map[string]bool    // of the mailboxes, folded: most addresses are looked at no further
	phones    map[string][]int32 // last digits, see phoneKey
	codes     map[string][]int32 // folded
	codeParts int                // most pieces that a code has
	codeShape shapes
	names     map[string][]int32 // folded words; first and last name as one word as well
	nameSet   phrases
	births    map[day]bool // days on which somebody was born
}

// watched is what a hit needs to know of a client.
type watched struct {
	ref          string
	practitioner string
	born         time.Time
	phones       []string // digits
}

// NewWatch compiles the register.
func NewWatch(clients []Client) *Watch {
	n := len(clients)
	w := &Watch{
		clients: make([]watched, n), byRef: make(map[string]int32, n),
		mailboxes: make(map[string][]int32, n), domains: map[string]bool{}, phones: make(map[string][]int32, n),
		codes: make(map[string][]int32, n), names: make(map[string][]int32, n), nameSet: newPhrases(n), births: map[day]bool{},
	}
	var r reader
	for i := range clients {
		w.add(&r, int32(i), &clients[i])
	}
	return w
}

func (w *Watch) add(r *reader, i int32, c *Client) {
	k := &w.clients[i]
	k.ref, k.practitioner, k.born = c.Ref, c.Practitioner, c.Born
	w.byRef[c.Ref] = i
	if !c.Born.IsZero() {
		w.births[dayOf(c.Born)] = true
	}
	for _, a := range c.Email {
		if a.IsZero() {
			continue
		}
		key := mailboxKey(a)
		w.mailboxes[key] = append(w.mailboxes[key], i)
		w.domains[domainOf(key)] = true
	}
	for _, m := range c.Mobile {
		d := digitsOf(m)
		if len(d) < minPhone {
			continue
		}
		k.phones = append(k.phones, d)
		key := phoneKey(d)
		w.phones[key] = append(w.phones[key], i)
	}
	if code := fold(strings.TrimSpace(c.Ref)); telling(code) {
		w.codes[code] = append(w.codes[code], i)
		w.codeShape.add(code)
		w.codeParts = max(w.codeParts, pieces(code))
		// "C0142" is C-0142 as well; of shorter codes that would be a common word.
		if joined := strings.Join(strings.FieldsFunc(code, notAlnum), ""); joined != code && len(joined) >= minCode {
			w.codes[joined] = append(w.codes[joined], i)
			w.codeShape.add(joined)
		}
	}
	for _, name := range nameForms(r.nameWords(c.Name)) {
		w.nameSet.add(name)
		w.names[name] = append(w.names[name], i)
	}
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
// with or without country code, trunk zero or "00".
func sameNumber(written, e164 string) bool {
	d := strings.TrimLeft(written, "0")
	if len(d) < minPhone {
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

// minCode is how long a code is at least that is found without its separators.
const minCode = 5

// telling reports whether a code can be told from an ordinary word or number: it mixes
// letters and digits, or is long.
func telling(code string) bool {
	letter := strings.ContainsFunc(code, unicode.IsLetter)
	digit := strings.ContainsFunc(code, unicode.IsDigit)
	return (letter && digit && len(code) >= 3) || ((letter || digit) && len(code) >= 6)
}

// pieces counts the runs of letters and digits in a code.
func pieces(code string) int { return len(strings.FieldsFunc(code, notAlnum)) }

func notAlnum(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// nameForms returns the ways in which a full name is written: "Anna Maria Smith", "Anna Smith",
// "Smith, Anna Maria", and "annasmith" as file names have it. A single name is none: it names
// too many.
func nameForms(w []string) []string {
	n := len(w)
	if n < 2 {
		return nil
	}
	first, last := w[0], w[n-1]
	out := []string{strings.Join(w, " "), first + " " + last, last + " " + first, last + " " + strings.Join(w[:n-1], " ")}
	if len(first)+len(last) >= minJoined && first != last {
		out = append(out, first+last, last+first)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// minJoined is how long a name is at least that is found written as one word.
const minJoined = 7
