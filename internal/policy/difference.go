package policy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// Difference is one thing that two sets of policies say differently, in a manager's words.
type Difference struct {
	What   string `json:"what"` // "mail to somebody unknown"
	Before string `json:"before"`
	After  string `json:"after"`
	Weaker bool   `json:"weaker"` // the change protects less
}

// String writes the difference as a line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s → %s", d.What, cmp.Or(d.Before, "nothing"), cmp.Or(d.After, "nothing"))
}

// differences collects what two snapshots say differently.
type differences []Difference

func (ds *differences) add(what, before, after string, weaker bool) {
	if before != after {
		*ds = append(*ds, Difference{what, before, after, weaker})
	}
}

// number adds two numbers of which one direction protects less.
func (ds *differences) number(what string, before, after int, weaker bool) {
	ds.add(what, strconv.Itoa(before), strconv.Itoa(after), weaker)
}

// ranked adds two words of a scale that goes from the strictest to the weakest.
func (ds *differences) ranked(what, before, after string, strictToWeak ...string) {
	ds.add(what, before, after, slices.Index(strictToWeak, after) > slices.Index(strictToWeak, before))
}

// lists adds what one list lost and what it gained.
func (ds *differences) lists(what string, before, after []string, goneIsWeaker, newIsWeaker bool) {
	lost, gained := without(before, after), without(after, before)
	if len(lost) > 0 {
		ds.add(what, some(lost), "", goneIsWeaker)
	}
	if len(gained) > 0 {
		ds.add(what, "", some(gained), newIsWeaker)
	}
}

// without returns the sorted entries of a that b does not have.
func without(a, b []string) []string {
	has := make(map[string]bool, len(b))
	for _, s := range b {
		has[s] = true
	}
	out := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return has[s] })
	slices.Sort(out)
	return slices.Compact(out)
}

// some names the first few of many.
func some(list []string) string {
	const most = 8
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// Differences returns what the settings, people, words and rules of two sets say differently.
// What the rules do to mail is better seen by sending [Probes] through both.
func Differences(before, after *Snapshot) []Difference {
	var ds differences
	ds.organisation(before.Org, after.Org)
	ds.hours(before, after)
	ds.clients(before.Clients, after.Clients)
	ds.people(before, after)
	ds.words(before, after)
	ds.rules(before, after)
	ds.wording(before, after)
	// Tests come and go. Without any, nothing would notice the next change that lets mail pass.
	ds.lists("tests", testNames(before), testNames(after), len(after.Tests) == 0, false)
	return ds
}

func (ds *differences) organisation(a, b Organisation) {
	mode := func(o Organisation) string {
		if o.Observe {
			return "observe"
		}
		return "enforce"
	}
	mixed := func(o Organisation) string {
		if o.OnMixedSplit {
			return "split"
		}
		return "hold_all"
	}
	ds.add("the practice's name", a.Name, b.Name, false)
	ds.add("the name that clients read", a.TextName, b.TextName, false)
	ds.add("the practice's country", a.Country, b.Country, false)
	ds.add("the practice's nation", a.Nation, b.Nation, false)
	ds.add("the practice's language", a.Language, b.Language, false)
	ds.lists("domains whose addresses are colleagues", a.Domains, b.Domains, false, true)
	ds.add("who is told of danger", a.SafeguardingLead, b.SafeguardingLead, false)
	ds.add("who answers for data protection", a.DataProtection, b.DataProtection, false)
	ds.add("the practice's phone", a.Phone, b.Phone, false)
	ds.ranked("mode", mode(a), mode(b), "enforce", "observe")
	ds.ranked("when one of several copies is held", mixed(a), mixed(b), "hold_all", "split")
	limit := func(n int) string {
		if n == 0 {
			return "no limit"
		}
		return strconv.Itoa(n)
	}
	ds.add("clients in one mail at most", limit(a.ClientsPerMessage), limit(b.ClientsPerMessage),
		a.ClientsPerMessage > 0 && (b.ClientsPerMessage == 0 || b.ClientsPerMessage > a.ClientsPerMessage))
	ds.number("days that content is kept", a.MessageContentDays, b.MessageContentDays, b.MessageContentDays > a.MessageContentDays)
	ds.number("days that the record is kept", a.AuditDays, b.AuditDays, b.AuditDays < a.AuditDays)
	ds.number("years that evidence of a consent is kept", a.ConsentEvidenceYears, b.ConsentEvidenceYears, b.ConsentEvidenceYears < a.ConsentEvidenceYears)
	ds.ranked("second person for held mail", a.HeldMail.SecondPerson, b.HeldMail.SecondPerson, "required", "self_with_delay", "none")
	ds.add("delay of a sender's own release", a.HeldMail.Delay.String(), b.HeldMail.Delay.String(), b.HeldMail.Delay < a.HeldMail.Delay)
	ds.add("reminder of held mail after", a.HeldMail.RemindAfter.String(), b.HeldMail.RemindAfter.String(), false)
	ds.add("held mail is stopped after", a.HeldMail.ExpiresAfter.String(), b.HeldMail.ExpiresAfter.String(), false)
	ds.lists("regions where mail may be processed", a.Regions, b.Regions, false, true)
}

// hours compares when somebody is there. It protects less where a rule holds what is sent
// outside of these hours and there are more of them, or where one holds within them.
func (ds *differences) hours(before, after *Snapshot) {
	outside, otherwise := false, false // a rule says outside; where fewer hours protect less
	for _, s := range []*Snapshot{before, after} {
		for _, r := range s.written {
			for i, cs := range [][]filter.Condition{r.spec.When, r.spec.Unless} {
				for _, c := range cs {
					eachWithin(c, func(c filter.Condition) {
						if _, ok := c.(filter.Outside); ok {
							outside, otherwise = true, otherwise || i == 1 || loosens(r.spec)
						}
					})
				}
			}
		}
	}
	hours := func(w WorkingHours) string {
		if len(w.Days) == 0 {
			return ""
		}
		return fmt.Sprintf("%v %02d:%02d to %02d:%02d %s", w.Days, w.From.Hour, w.From.Minute, w.To.Hour, w.To.Minute, w.BankHolidays)
	}
	a, b := before.Org, after.Org
	ds.add("the practice's time zone", a.Timezone, b.Timezone, outside)
	ds.add("working hours", hours(a.WorkingHours), hours(b.WorkingHours), outside && (otherwise || !within(b.WorkingHours, a.WorkingHours)))
}

// within reports hours that have no moment that the others lack.
func within(b, a WorkingHours) bool {
	minute := func(c Clock) int { return c.Hour*60 + c.Minute }
	return len(without(dayNames(b.Days), dayNames(a.Days))) == 0 && minute(b.From) >= minute(a.From) && minute(b.To) <= minute(a.To) &&
		(b.BankHolidays == a.BankHolidays || a.BankHolidays == "none" || a.BankHolidays == "")
}

func dayNames(days []time.Weekday) []string {
	var out []string
	for _, d := range days {
		out = append(out, d.String())
	}
	return out
}

func (ds *differences) clients(a, b ClientRules) {
	yes := func(v bool) string {
		if v {
			return "yes"
		}
		return "no"
	}
	ds.add("what an unknown age counts as", a.ClientsAre, b.ClientsAre, b.ClientsAre == "adults")
	ds.add("clients are discreet unless the register says otherwise", yes(a.Discreet), yes(b.Discreet), !b.Discreet)
	ds.add("how confidential mail is locked", a.Protection, b.Protection, b.Protection == "none")
	ds.number("words of a password", a.PasswordWords, b.PasswordWords, b.PasswordWords < a.PasswordWords)
	ds.add("where the words of a password come from", a.PasswordFrom, b.PasswordFrom, b.PasswordFrom == "sms")
	for _, p := range both(a.Consents, b.Consents) {
		x, inA := a.Consents[p]
		y, inB := b.Consents[p]
		what := "consent " + p
		if !inA || !inB {
			ds.add(what, known(inA), known(inB), false)
			continue
		}
		long := func(r ConsentRule) time.Time { return r.Lasts.From(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) }
		length := func(l Period) string { return fmt.Sprintf("%d years, %d months, %d days", l.Years, l.Months, l.Days) }
		ds.add(what+" lasts", length(x.Lasts), length(y.Lasts), long(y).After(long(x)))
		ds.add(what+": wording", x.Wording, y.Wording, false)
		ds.lists(what+": evidence", x.Evidence, y.Evidence, false, true)
	}
	for _, c := range both(a.MinimumAge, b.MinimumAge) {
		ds.number("minimum age for "+c, a.MinimumAge[c], b.MinimumAge[c], b.MinimumAge[c] < a.MinimumAge[c])
	}
	ds.add("under 16, reminders also need", a.Under16AlsoNeeds, b.Under16AlsoNeeds, a.Under16AlsoNeeds != "" && b.Under16AlsoNeeds != "parent_consent")
	ds.lists("domains that are no clients", a.NotClientDomains, b.NotClientDomains, false, true)
	ds.lists("addresses that are no clients", texts(a.NotClientAddresses), texts(b.NotClientAddresses), false, true)
}

func known(in bool) string {
	if in {
		return "there"
	}
	return ""
}

func texts(as []mail.Address) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.String()
	}
	return out
}

// both returns the keys of either map, sorted.
func both[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func (ds *differences) people(a, b *Snapshot) {
	for _, id := range both(a.people, b.people) {
		p, inA := a.Person(id)
		q, inB := b.Person(id)
		switch {
		case !inA:
			// Whoever only sends is bound by the rules as everybody is.
			weaker := slices.ContainsFunc(q.May, func(m string) bool { return !slices.Contains(own(), m) })
			for _, x := range append([]mail.Address{q.SignsInAs}, q.AlsoUses...) {
				weaker = weaker || a.ClassOf(x) == filter.ClassUnknown // mail to it was held
			}
			ds.add("people", "", id+" (may "+some(q.May)+")", weaker)
		case !inB:
			ds.add("people", id, "", false)
		default:
			ds.lists("what "+id+" may do", p.May, q.May, false, true)
			ds.add("the address that clients see of "+id, p.Alias.String(), q.Alias.String(), q.Alias.IsZero())
			ds.add("the name that clients see of "+id, p.AliasName, q.AliasName, false)
			ds.add("the name of "+id, p.Name, q.Name, true) // the old one is no longer kept from clients
			ds.lists("phones of "+id+" that clients do not read", p.Phones, q.Phones, true, false)
			ds.add("the sign-in of "+id, p.SignsInAs.String(), q.SignsInAs.String(), true) // whoever signs in there now
			ds.lists("more addresses of "+id, texts(p.AlsoUses), texts(q.AlsoUses), false, true)
		}
	}
	for _, id := range both(a.systems, b.systems) {
		i, inA := a.systems[id]
		j, inB := b.systems[id]
		switch {
		case !inA:
			ds.add("programs that send", "", id, true)
		case !inB:
			ds.add("programs that send", id, "", false)
		default:
			ds.lists("what the program "+id+" may do", a.Systems[i].May, b.Systems[j].May, false, true)
			ds.lists("for whom the program "+id+" sends", a.Systems[i].MayUse, b.Systems[j].MayUse, false, true)
		}
	}
}

// own is what people may do about their own mail only.
func own() []string { return []string{"send", "text", "cancel_own", "lock_own"} }

// words compares the lists. A phrase that is gone is no longer seen by any rule, and a new
// one switches off the rules that have its list under unless.
func (ds *differences) words(a, b *Snapshot) {
	exempts := map[string]bool{}
	for _, r := range b.written {
		for _, c := range r.spec.Unless {
			eachWithin(c, func(c filter.Condition) {
				if m, ok := c.(filter.Mentions); ok {
					for _, l := range m.Lists {
						exempts[l.Name()] = true
					}
				}
			})
		}
	}
	for _, name := range both(a.phrases, b.phrases) {
		ds.lists("words of "+name, a.phrases[name], b.phrases[name], true, exempts[name])
	}
}

// rules compares the rules themselves, by id: what [Probes] cannot show, such as who may
// release, or a rule about what no probe is.
func (ds *differences) rules(a, b *Snapshot) {
	yes := map[bool]string{true: "yes", false: "no"}
	mode := map[bool]string{true: "observe", false: "enforce"}
	for _, id := range both(a.written, b.written) {
		x, inA := a.written[id]
		y, inB := b.written[id]
		r, s := x.spec, y.spec
		what := "the rule " + id
		if !inA || !inB {
			ds.add(what, r.Name, s.Name, !inB && !doneElsewhere(r, b) || loosens(s))
			continue
		}
		ds.add(what+": always_enforce", yes[r.AlwaysEnforce], yes[s.AlwaysEnforce], r.AlwaysEnforce)
		ds.add(what+": mode", mode[r.Observe], mode[s.Observe], s.Observe)
		ds.add(what+": about", string(r.About), string(s.About), s.About == filter.Tone)
		ds.add(what+": tell_sender", r.TellSender, s.TellSender, false)
		ds.add(what+": name", r.Name, s.Name, false)
		if x.when != y.when {
			ds.add(what+": when", x.when, y.when, narrower(r.When, s.When) || loosens(s) && narrower(s.When, r.When))
		}
		if x.unless != y.unless {
			ds.add(what+": unless", x.unless, y.unless, exemptsMore(r.Unless, s.Unless) || loosens(s) && exemptsMore(s.Unless, r.Unless))
		}
		ds.verbs(what, x, y, a, b)
	}
}

// doneElsewhere reports a rule that these policies lack and do not miss: another one applies to
// all the same mail, and does all this or more. What the sender reads does not count.
func doneElsewhere(r filter.RuleSpec, s *Snapshot) bool {
	r.TellSender = ""
	for _, w := range s.written {
		if addsNothing(w.spec, r) && covers(w.spec, r) {
			return true
		}
	}
	return false
}

// verbs compares what two versions of a rule do. A subject in the place of another protects
// less if it says more; a signature in the place of another only reads otherwise.
func (ds *differences) verbs(what string, x, y writtenRule, a, b *Snapshot) {
	was, is := slices.Clone(x.spec.Do), slices.Clone(y.spec.Do)
	for _, kind := range []filter.VerbKind{filter.VerbSubject, filter.VerbSignature} {
		of := func(v filter.Verb) bool { return v.Kind == kind }
		i, j := slices.IndexFunc(was, of), slices.IndexFunc(is, of)
		if i < 0 || j < 0 {
			continue
		}
		weaker := kind == filter.VerbSubject && saysMore(a, b, a.wording.Subjects[was[i].Arg], b.wording.Subjects[is[j].Arg])
		ds.add(what+": "+string(kind), was[i].Arg, is[j].Arg, weaker)
		was, is = slices.Delete(was, i, i+1), slices.Delete(is, j, j+1)
	}
	ds.lists(what+" does", verbTexts(was), verbTexts(is), true, loosens(y.spec) && !loosens(x.spec))
}

// saysMore reports a subject that tells somebody who looks over a shoulder more than the one
// before: a placeholder for what was not shown, the practice's name, a word of a list that
// rules look for, or one of the trade. Of other words nobody but a person can say it.
func saysMore(a, b *Snapshot, before, after string) bool {
	telling := []string{"((sender_name))", "((practice))", "((weekday))"}
	for _, t := range telling {
		if strings.Contains(after, t) && !strings.Contains(before, t) {
			return true
		}
	}
	words := append(trade(), a.Org.Name, a.Org.TextName, b.Org.Name, b.Org.TextName)
	for _, s := range []*Snapshot{a, b} {
		for _, p := range s.People {
			words = append(words, p.Name)
		}
		for _, l := range s.phrases {
			words = append(words, l...)
		}
	}
	spaced := func(text string) string {
		return " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ") + " "
	}
	was, is := spaced(before), spaced(after)
	return slices.ContainsFunc(words, func(w string) bool {
		w = spaced(w)
		return strings.Contains(is, w) && !strings.Contains(was, w)
	})
}

// trade are words that tell what the sender does.
func trade() []string {
	return []string{"counselling", "counselor", "counsellor", "therapy", "therapies", "therapist", "psychotherapy", "psychotherapist", "psychologist",
		"session", "sessions", "clinic", "client", "patient", "treatment", "trauma", "abuse", "addiction", "mental health", "support group", "your group"}
}

// loosens reports a rule that lets pass what others hold.
func loosens(r filter.RuleSpec) bool {
	return slices.ContainsFunc(r.Do, func(v filter.Verb) bool { return v.Kind == filter.VerbNeverHold })
}

// narrower reports conditions that fit less mail: there are more of them. Where one took the
// place of another, [Probes] show what it does, if any of them is such a mail.
func narrower(before, after []filter.Condition) bool {
	lost, gained := missingFrom(after, before), missingFrom(before, after)
	return len(gained) > 0 && (len(lost) == 0 || slices.ContainsFunc(append(lost, gained...), unprobed))
}

// exemptsMore reports conditions under unless that switch the rule off for more mail.
func exemptsMore(before, after []filter.Condition) bool {
	lost, gained := missingFrom(after, before), missingFrom(before, after)
	switch {
	case len(after) == 0, len(lost) == 0 && len(before) > 0:
		return false
	case len(before) == 0, len(gained) == 0:
		return true
	}
	return slices.ContainsFunc(append(lost, gained...), unprobed)
}

// missingFrom returns the conditions of a list that another does not have.
func missingFrom(have, list []filter.Condition) []filter.Condition {
	return slices.DeleteFunc(slices.Clone(list), func(c filter.Condition) bool {
		return slices.ContainsFunc(have, func(h filter.Condition) bool { return reflect.DeepEqual(c, h) })
	})
}

// unprobed reports a condition that asks for what no probe has: files, sizes, one sender.
func unprobed(c filter.Condition) bool {
	found := false
	eachWithin(c, func(c filter.Condition) {
		switch c.(type) {
		case filter.To, filter.ClientsMoreThan, filter.NotListed, filter.SubjectStarts, filter.Mentions, filter.ClientYoungerThan, filter.ClientDiscreet,
			filter.EveryoneAgreedTo, filter.WordsMoreThan, filter.Contains, filter.PersonalContact, filter.ClientCountry, filter.Outside, filter.Any, filter.All:
		default:
			found = true
		}
	})
	return found
}

func verbTexts(vs []filter.Verb) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = string(v.Kind)
		if v.Arg != "" {
			out[i] += " " + v.Arg
		}
	}
	return out
}

func testNames(s *Snapshot) []string {
	out := make([]string, len(s.Tests))
	for i, t := range s.Tests {
		out[i] = quote(t.Name)
	}
	return out
}

// wording compares what people read. None of it holds mail back, but a helpline that is gone
// helps nobody.
func (ds *differences) wording(a, b *Snapshot) {
	for _, name := range both(a.wording.Subjects, b.wording.Subjects) {
		x, y := a.wording.Subjects[name], b.wording.Subjects[name]
		ds.add("the subject "+name, x, y, x != "" && saysMore(a, b, x, y))
	}
	for _, name := range both(a.wording.Signatures, b.wording.Signatures) {
		ds.add("the signature "+name, a.wording.Signatures[name], b.wording.Signatures[name], false)
	}
	ds.add("the expectation line", a.wording.Expectation, b.wording.Expectation, false)
	for _, country := range both(a.Crisis, b.Crisis) {
		x, y := a.Crisis[country], b.Crisis[country]
		what := "crisis lines of " + country
		ds.add(what+": emergency number", x.Emergency, y.Emergency, y.Emergency == "")
		lines := func(s *Snapshot) []string {
			var out []string
			for _, l := range s.Crisis[country].Lines {
				says := strings.Join(strings.Fields(l.Name+" "+l.Call+" "+l.Text+" "+l.Note), " ")
				who := []string{l.For}
				for _, of := range []struct{ is, value string }{{"", l.Nation}, {"not ", l.NotNation}, {"", l.Language}, {"", l.Hours}} {
					if of.value != "" {
						who = append(who, of.is+of.value)
					}
				}
				out = append(out, says+" ("+strings.Join(who, ", ")+")")
			}
			return out
		}
		ds.lists(what, lines(a), lines(b), true, false)
	}
}
