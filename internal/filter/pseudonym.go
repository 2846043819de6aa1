package filter

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/plaincover/plaincover/internal/mail"
)

// anotherPerson stands for a client in copies to other clients, to whom no code is shown.
const anotherPerson = "another person"

// Pseudonyms returns what is to be replaced in a copy that has the edit: the full names,
// mailboxes and phones of the clients who are named in the message and whom the copy's readers
// may not know. In copies to the practice's own people and to contacts their code stands for
// them. in.Mail is the message as it came.
func Pseudonyms(in LeakInput) []mail.Replacement {
	l := meet(in)
	if l == nil {
		return nil
	}
	var out []mail.Replacement
	seen := map[mail.Replacement]bool{} // what many clients share is looked up once
	add := func(r mail.Replacement, clients func() []int32) {
		if seen[r] {
			return
		}
		seen[r] = true
		if of := clients(); l.foreign(of) {
			r.New = l.pseudonym(of)
			out = append(out, r)
		}
	}
	name := func(written, form string) {
		if !l.names[form] {
			add(mail.Replacement{Old: written, Name: true}, func() []int32 { return l.find(byName, []byte(form)) })
		}
	}
	for _, i := range slices.Sorted(maps.Keys(l.met.clients)) {
		c := in.Watch.client(i)
		for _, key := range c.mailboxes {
			add(mail.Replacement{Old: key}, func() []int32 { return l.find(byMailbox, []byte(key)) })
		}
		for _, d := range c.phones {
			add(mail.Replacement{Old: d, Phone: true}, func() []int32 {
				return slices.DeleteFunc(l.find(byPhone, []byte(phoneKey(d))), func(k int32) bool { return !slices.Contains(in.Watch.client(k).phones, d) })
			})
		}
		for _, words := range c.names {
			for _, form := range nameForms(strings.Fields(words)) {
				name(strings.Join(nameFields(form), " "), form)
			}
		}
	}
	for _, written := range slices.Sorted(maps.Keys(l.met.longer)) {
		name(written, l.met.longer[written])
	}
	return out
}

// CheckPseudonyms says what a finished copy still shows of clients for whom a pseudonym should
// stand. Copies to clients are left to [CheckLeaks], which knows what of it tells who it is; a
// copy for anybody else is held, because nobody else would notice.
func CheckPseudonyms(in LeakInput) []Finding {
	if in.Variant == nil || in.Variant.Show != ShowPractice && in.Variant.Show != ShowContact {
		return nil
	}
	l := meet(in)
	if l == nil || len(l.met.clients) == 0 {
		return nil
	}
	var ways []string
	for c := range channelEnd {
		if l.met.ways&(1<<c) != 0 {
			ways = append(ways, channelWords[c].code)
		}
	}
	var out []Finding
	for _, i := range in.Variant.Rcpts {
		out = append(out, Finding{Rule: RuleCannotChange, Rcpt: i, Action: Hold, About: Safety, Channels: ways,
			Reason: "The text still names a client whose name could not be replaced by the code. Write the code in your mail app and send the email again"})
	}
	return out
}

// met is who a text names.
type met struct {
	clients map[int32]bool
	ways    channels
	longer  map[string]string // names with others between first and last, and the name without
}

func (m *met) add(clients []int32, way channel) {
	if m == nil || way == leakCode {
		return
	}
	m.ways |= 1 << way
	for _, i := range clients {
		m.clients[i] = true
	}
}

// between remembers a name as it is written. The last words come in reverse.
func (l *leaks) between(before [][]byte, last []byte) {
	words := slices.Clone(before)
	slices.Reverse(words)
	if slices.ContainsFunc(words[1:], func(w []byte) bool { return bytes.Equal(w, words[0]) || bytes.Equal(w, last) }) {
		return // "Bell, Anna; Anna" is a name and more
	}
	words = append(words, last)
	if form := string(words[0]) + " " + string(last); len(l.find(byName, []byte(form))) > 0 {
		l.met.longer[strings.Join(nameFields(string(bytes.Join(words, []byte(" ")))), " ")] = form
	}
}

// meet collects the clients whom a message or a copy names in its subject and its texts; nil
// where no pseudonyms are asked for.
func meet(in LeakInput) *leaks {
	if in.Variant == nil || in.Mail == nil || in.Watch == nil || in.Env == nil || in.Facts == nil {
		return nil
	}
	if _, asked := in.Variant.Has(EditPseudonymise); !asked {
		return nil
	}
	l := newLeaks(in)
	l.met = &met{clients: map[int32]bool{}, longer: map[string]string{}}
	l.people()
	l.part("header", in.Mail.Root.Header.Start).scan(in.Mail.Subject)
	var part *mail.Part
	var search *partSearch
	for p, s := range in.Mail.BodyTexts() {
		if p != part {
			part, search = p, l.part(p.Path, p.Body.Start)
		}
		search.scan(s)
	}
	return l
}

// coded reports whether codes may stand in the copy, because they are how it names clients.
func (l *leaks) coded() bool {
	_, asked := l.in.Variant.Has(EditPseudonymise)
	return asked && (l.in.Variant.Show == ShowContact || l.in.Variant.Show == ShowPractice)
}

// maxCodes bounds the codes that stand for one name: more say no better who it is.
const maxCodes = 3

// pseudonym is what stands for these clients. Of several with the same name it is the sender's
// own, if there are any.
func (l *leaks) pseudonym(clients []int32) string {
	if !l.coded() {
		return anotherPerson
	}
	own := slices.DeleteFunc(slices.Clone(clients), func(i int32) bool {
		c := l.in.Watch.client(i)
		return !l.near[i] && (c.practitioner == "" || c.practitioner != l.sender.ID)
	})
	if len(own) > 0 {
		clients = own
	}
	refs := map[string]bool{}
	for _, i := range clients {
		refs[l.in.Watch.client(i).ref] = true
	}
	if len(refs) > maxCodes {
		return "a client"
	}
	return strings.Join(sortedSet(refs), " or ")
}

// nameFields returns the words of a folded name as they are found in a text: an apostrophe
// divides them.
func nameFields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}
