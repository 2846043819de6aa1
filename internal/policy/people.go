package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// Person is one entry of people.yaml.
type Person struct {
	ID, Name  string
	SignsInAs mail.Address
	AlsoUses  []mail.Address
	Alias     mail.Address // what clients see; zero: none
	AliasName string
	Phones    []string // the person's own: clients who see an alias do not see them
	May       []string
}

// Can reports whether the person may do that: send, release, ...
func (p Person) Can(what string) bool { return slices.Contains(p.May, what) }

// MaySend reports whether the person may send mail.
func (p Person) MaySend() bool { return p.Can("send") }

// System is a program that sends mail for people.
type System struct {
	ID        string
	SignsInAs mail.Address
	MayUse    []string // person ids
	May       []string
}

// Permissions are the words of may.
func Permissions() []string {
	return []string{"send", "send_now", "text", "cancel_own", "lock_own", "release", "see_held_content", "edit_policy", "edit_register", "audit"}
}

func (l *loader) personIDs() []string {
	out := make([]string, 0, len(l.s.People))
	for _, p := range l.s.People {
		out = append(out, p.ID)
	}
	return out
}

// readPeople reads people.yaml.
func (l *loader) readPeople(v value) {
	var systems []value
	v.keys("people.yaml",
		field{"people", true, func(v value) {
			for _, e := range v.free().filled("people") {
				l.person(e)
			}
		}},
		field{"systems", false, func(v value) { systems = v.free().list("systems") }},
	)
	if len(l.s.People) == 0 {
		l.readable[filePeople] = false
	}
	for _, e := range systems {
		l.system(e)
	}
	if v, ok := l.roleNodes["second_person"]; ok {
		n := 0
		for _, p := range l.s.People {
			if p.Can("release") {
				n++
			}
		}
		if n < 2 {
			v.report(codeSecondPerson, "second_person: required needs two people who may release, and there are %s", "add release to may of a second person in people.yaml, or write self_with_delay", fmt.Sprint(n))
		}
	}
}

func (l *loader) person(v value) {
	var p Person
	ok := v.keys("a person",
		field{"id", true, func(v value) { p.ID = l.submitterID(v) }},
		field{"name", true, func(v value) { p.Name, _ = v.text("name") }},
		field{"signs_in_as", true, func(v value) { p.SignsInAs = l.signIn(v, p.ID) }},
		field{"also_uses", false, func(v value) {
			for _, e := range v.list("also_uses") {
				if a, ok := e.address("this"); ok {
					p.AlsoUses = append(p.AlsoUses, a)
				}
			}
		}},
		field{"clients_see", false, func(v value) {
			v.keys("clients_see",
				field{"name", true, func(v value) { p.AliasName, _ = v.text("name") }},
				field{"address", true, func(v value) { p.Alias, _ = v.address("address") }})
		}},
		field{"phones", false, func(v value) { p.Phones = l.readPhones(v) }},
		field{"may", true, func(v value) { p.May = readMay(v) }},
	)
	if !ok || p.ID == "" {
		l.readable[filePeople] = false // who is meant elsewhere cannot be known
		return
	}
	s := l.s
	s.people[p.ID] = len(s.People)
	s.People = append(s.People, p)
	uses := map[string]bool{}
	for _, a := range append([]mail.Address{p.SignsInAs, p.Alias}, p.AlsoUses...) {
		if !a.IsZero() {
			uses[a.Key()], s.own[a.Key()] = true, true
		}
	}
	s.may[p.ID] = uses
	if !p.SignsInAs.IsZero() {
		s.bySignIn[p.SignsInAs.Key()] = p.ID
	}
	s.senders[p.ID] = filter.Sender{ID: p.ID, Name: p.Name, May: p.May, Real: p.SignsInAs, Alias: p.Alias, AliasName: p.AliasName}
}

// readPhones reads a person's own numbers. One that says no country is one of the practice's
// country, and is found however it is written.
func (l *loader) readPhones(v value) []string {
	var out []string
	for _, e := range v.list("phones") {
		s, ok := e.text("a phone")
		if !ok {
			continue
		}
		n := len(digits(s))
		switch {
		case n < 8 || n > 15 || strings.Trim(s, "0123456789 +()-") != "" || (s[0] != '+' && s[0] != '0'):
			e.report(codePhone, "this must be a whole phone number", `write it with its area code, in quotes: "07700 900123" or "+44 7700 900123"`)
		case l.s.Org.Phone != "" && filter.SamePhone(s, l.s.Org.Phone):
			e.report(codePracticePhone, "this is the practice's own number, which clients may see", "take it out here: contacts: phone: in organisation.yaml has it")
		default:
			out = append(out, s)
		}
	}
	return out
}

func (l *loader) system(v value) {
	var y System
	ok := v.keys("a system",
		field{"id", true, func(v value) { y.ID = l.submitterID(v) }},
		field{"signs_in_as", true, func(v value) { y.SignsInAs = l.signIn(v, y.ID) }},
		field{"may_use", false, func(v value) {
			for _, e := range v.list("may_use") {
				id, ok := e.text("a person of may_use")
				if _, known := l.s.people[id]; ok && !known && l.readable[filePeople] {
					e.report(codeNobody, "no person in people.yaml has the id %s", didYouMean(id, l.personIDs()), quote(id))
					continue
				}
				y.MayUse = append(y.MayUse, id)
			}
		}},
		field{"may", true, func(v value) { y.May = readMay(v) }},
	)
	if !ok || y.ID == "" {
		return
	}
	s := l.s
	s.systems[y.ID] = len(s.Systems)
	s.Systems = append(s.Systems, y)
	uses := map[string]bool{}
	if !y.SignsInAs.IsZero() {
		k := y.SignsInAs.Key()
		uses[k], s.own[k], s.bySignIn[k] = true, true, y.ID
	}
	for _, id := range y.MayUse {
		for k := range s.may[id] {
			uses[k] = true
		}
	}
	s.may[y.ID] = uses
	s.senders[y.ID] = filter.Sender{ID: y.ID, Name: y.ID, System: true, May: y.May, Real: y.SignsInAs}
}

// submitterID reads the id of a person or system; no two may share one, and none may be
// called like a role.
func (l *loader) submitterID(v value) string {
	id, ok := v.name("id")
	if !ok {
		return ""
	}
	_, person := l.s.people[id]
	_, system := l.s.systems[id]
	switch {
	case person || system:
		v.report(codeIDTaken, "the id %s is already taken", "give everybody an id of their own", quote(id))
		return ""
	case id == RoleSafeguardingLead || id == RoleDataProtection:
		v.report(codeIDTaken, "%s is the name of a role", "use the person's own short name; organisation.yaml says who has the role", quote(id))
		return ""
	}
	return id
}

func (l *loader) signIn(v value, id string) mail.Address {
	a, ok := v.address("signs_in_as")
	if !ok {
		return mail.Address{}
	}
	if other := l.s.bySignIn[a.Key()]; other != "" && other != id {
		v.report(codeSameSignIn, "%s already signs in with this address", "everybody needs an address of their own to sign in with", quote(other))
		return mail.Address{}
	}
	if len(l.s.Org.Domains) > 0 && !slices.Contains(l.s.Org.Domains, a.Domain) {
		v.warn(codeOtherDomain, "this address is not at one of the practice's own domains (organisation.yaml)", "use a work address (S12), or add the domain if it is yours")
	}
	return a
}

func readMay(v value) []string {
	var out []string
	for _, e := range v.list("may") {
		w, ok := e.word("may", Permissions()...)
		if ok && slices.Contains(out, w) {
			e.report(codeEntryTwice, "%s stands twice", "keep one", quote(w))
		} else if ok {
			out = append(out, w)
		}
	}
	return out
}
