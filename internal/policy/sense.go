package policy

import (
	"reflect"
	"slices"

	"github.com/plaincover/plaincover/internal/filter"
)

// Rules that are written well and cannot do what their author thinks: they never apply, they
// ask for what another rule forbids, or another rule has done it already. What is said here is
// certain. A rule of which nothing is said may still be of no use.

// placedRule is a rule and where its parts stand.
type placedRule struct {
	spec             filter.RuleSpec
	id, when, unless value
	do               value
	aboutSaid        bool // the file says whether it is about safety or tone
}

// checkSense looks at all rules together.
func (l *loader) checkSense() {
	dangerFirst := slices.ContainsFunc(l.rules, letsDangerPass)
	for i, r := range l.rules {
		if l.neverApplies(r) {
			continue
		}
		l.pastTheLimit(r)
		if dangerFirst {
			r.delaysDanger()
		}
		for j, other := range l.rules {
			if i == j {
				continue
			}
			what := clash(other.spec, r.spec)
			if what == "" && !addsNothing(other.spec, r.spec) || !covers(other.spec, r.spec) {
				continue // what is cheap to see first: there may be a million pairs
			}
			if what != "" {
				if i > j || !covers(r.spec, other.spec) { // once for a pair
					r.do.report(codeRulesClash, "the rule %s applies to all mail of this one and asks for another "+what+": such mail would always be held", "delete it in one of the two, or add a condition that keeps them apart", quote(other.spec.ID))
				}
				continue
			}
			if i > j || !covers(r.spec, other.spec) {
				r.id.warn(codeAddsNothing, "this rule changes nothing: "+quote(other.spec.ID)+" applies to all the same mail, and does all this or more", "delete one of the two, or mend the conditions if you meant other mail")
				break
			}
		}
	}
}

// neverApplies reports conditions that cannot all be true at once.
func (l *loader) neverApplies(r placedRule) bool {
	switch {
	case allClasses(r.spec.When) == 0:
		r.when.report(codeNeverApplies, "nobody is all of this at once, so this rule would never apply", "take out the conditions that exclude each other; for one or the other write any: [{...}, {...}]")
	case l.readable[filePeople] && len(l.senders(filter.All{Conditions: r.spec.When})) == 0:
		r.when.warn(codeNobodyMay, "nobody in people.yaml who may send is meant by this, so this rule never applies", "name somebody else, or change may in people.yaml")
	case len(r.spec.Unless) > 0 && impliesAll(r.spec.When, r.spec.Unless):
		r.unless.report(codeNeverApplies, "unless is true whenever when is, so this rule would never apply", "name under unless only what tells the exceptions apart")
	default:
		return false
	}
	return true
}

// pastTheLimit warns of a rule about mail to so many clients that it is refused anyway.
func (l *loader) pastTheLimit(r placedRule) {
	limit := l.s.Org.ClientsPerMessage
	if limit > 0 && implies(r.spec.When, filter.ClientsMoreThan{N: limit}) {
		r.id.warn(codeAddsNothing, "this rule changes nothing: mail to so many clients is refused already, by clients_per_message in organisation.yaml", "write a smaller number here, or a larger one there")
	}
}

// letsDangerPass reports a rule by which mail that speaks of danger is not held for its tone.
func letsDangerPass(r placedRule) bool {
	return has(r.spec.Do, filter.VerbNeverHold) && !r.spec.Observe && looksAt(r.spec.When, func(c filter.Condition) bool {
		m, ok := c.(filter.Mentions)
		return ok && slices.Contains(listNames(m), filter.DangerWords)
	})
}

// delaysDanger warns of a rule that holds mail for its words, its length or its hour and is about
// safety only because nobody wrote otherwise: mail that speaks of danger waits for it, too. Mail to
// unknown people alone waits in any case.
func (r placedRule) delaysDanger() {
	if r.aboutSaid || r.spec.Observe || allClasses(r.spec.When)&^isUnknown == 0 || !has(r.spec.Do, filter.VerbHold, filter.VerbHoldFor) {
		return
	}
	byWords := looksAt(r.spec.When, func(c filter.Condition) bool {
		switch c.(type) {
		case filter.Mentions, filter.WordsMoreThan, filter.Contains, filter.PersonalContact, filter.Outside:
			return true
		}
		return false
	})
	if byWords {
		r.id.warn(codeAboutUnsaid, "this rule also holds mail that speaks of danger", "write about: tone if it should not, or about: safety if it should")
	}
}

// looksAt reports that one of the conditions, or one within them, is such a one.
func looksAt(cs []filter.Condition, such func(filter.Condition) bool) bool {
	return slices.ContainsFunc(cs, func(c filter.Condition) bool {
		switch c := c.(type) {
		case filter.Any:
			return looksAt(c.Conditions, such)
		case filter.All:
			return looksAt(c.Conditions, such)
		}
		return such(c)
	})
}

// has reports a verb of one of these kinds.
func has(list []filter.Verb, kinds ...filter.VerbKind) bool {
	return slices.ContainsFunc(list, func(v filter.Verb) bool { return slices.Contains(kinds, v.Kind) })
}

// addsNothing reports that the rule does nothing that the other does not do to the same mail.
func addsNothing(other, r filter.RuleSpec) bool {
	if other.Observe && !r.Observe || r.AlwaysEnforce && !other.AlwaysEnforce || (r.TellSender != "" && r.TellSender != other.TellSender) {
		return false
	}
	refuses := has(other.Do, filter.VerbRefuse)
	if other.About == filter.Tone && r.About != filter.Tone && !refuses {
		return false
	}
	for _, v := range r.Do {
		switch {
		case slices.Contains(other.Do, v):
		case refuses && v.Kind != filter.VerbTell:
		case v.Kind == filter.VerbHold && has(other.Do, filter.VerbHoldFor):
		case v.Kind == filter.VerbLock && has(other.Do, filter.VerbLockAs):
		default:
			return false
		}
	}
	return true
}

// clash says of what a copy can have only one, and both rules ask for another one.
func clash(a, b filter.RuleSpec) string {
	if a.Observe || b.Observe {
		return ""
	}
	for _, x := range a.Do {
		what := ""
		switch x.Kind {
		case filter.VerbSubject:
			what = "subject"
		case filter.VerbSignature:
			what = "signature"
		case filter.VerbLockAs:
			what = "way to lock"
		default:
			continue
		}
		for _, y := range b.Do {
			if x.Kind == y.Kind && x.Arg != y.Arg {
				return what
			}
		}
	}
	return ""
}

// covers reports that the wide rule applies to all mail to which the narrow one does.
func covers(wide, narrow filter.RuleSpec) bool {
	if !impliesAll(narrow.When, wide.When) {
		return false
	}
	// Where the wide rule is off, the narrow one must be off, too.
	return len(wide.Unless) == 0 || len(narrow.Unless) > 0 && impliesAll(wide.Unless, narrow.Unless)
}

// The classes of recipients, as a set.
const (
	isClient = 1 << iota
	isColleague
	isUnknown
	isAnyone = isClient | isColleague | isUnknown
)

// classes returns which recipients a condition can be true for.
func classes(c filter.Condition) int {
	switch c := c.(type) {
	case filter.To:
		switch c.Class {
		case "client":
			return isClient
		case "colleague":
			return isColleague
		case "unknown":
			return isUnknown
		}
	case filter.NotListed:
		return isUnknown
	case filter.FormerClient, filter.ClientYoungerThan, filter.ClientDiscreet, filter.ClientCountry:
		return isClient
	case filter.All:
		return allClasses(c.Conditions)
	case filter.Any:
		set := 0
		for _, e := range c.Conditions {
			set |= classes(e)
		}
		return set
	}
	return isAnyone
}

func allClasses(cs []filter.Condition) int {
	set := isAnyone
	for _, e := range cs {
		set &= classes(e)
	}
	return set
}

// senders returns whose mail a condition can be true for, of those who may send.
func (l *loader) senders(c filter.Condition) map[string]bool {
	out := map[string]bool{}
	switch c := c.(type) {
	case filter.Any:
		for _, e := range c.Conditions {
			for id := range l.senders(e) {
				out[id] = true
			}
		}
		return out
	case filter.All:
		var of []map[string]bool
		for _, e := range c.Conditions {
			of = append(of, l.senders(e))
		}
		for id, s := range l.s.senders {
			out[id] = slices.Contains(s.May, "send")
			for _, set := range of {
				out[id] = out[id] && set[id]
			}
			if !out[id] {
				delete(out, id)
			}
		}
		return out
	}
	for id, s := range l.s.senders {
		fits := slices.Contains(s.May, "send")
		switch c := c.(type) {
		case filter.From:
			fits = fits && slices.Contains(c.IDs, id)
		case filter.SenderMay:
			fits = fits && slices.Contains(s.May, c.What)
		}
		if fits {
			out[id] = true
		}
	}
	return out
}

// impliesAll reports that all of cs are true whenever all of the given conditions are. It asks
// the single ones first: they answer sooner.
func impliesAll(given, cs []filter.Condition) bool {
	for _, groups := range []bool{false, true} {
		for _, c := range cs {
			if isGroup(c) == groups && !implies(given, c) {
				return false
			}
		}
	}
	return true
}

func isGroup(c filter.Condition) bool {
	switch c.(type) {
	case filter.Any, filter.All:
		return true
	}
	return false
}

// implies reports that c is true whenever all of the conditions are.
func implies(given []filter.Condition, c filter.Condition) bool {
	switch c := c.(type) {
	case filter.All:
		return impliesAll(given, c.Conditions)
	case filter.Any:
		if slices.ContainsFunc(c.Conditions, func(e filter.Condition) bool { return implies(given, e) }) {
			return true
		}
	case filter.To:
		if allClasses(given)&^classes(c) == 0 {
			return true
		}
	case filter.NotListed:
		if allClasses(given)&^isUnknown == 0 {
			return true
		}
	}
	return slices.ContainsFunc(given, func(g filter.Condition) bool {
		switch g := g.(type) {
		case filter.All:
			return implies(g.Conditions, c)
		case filter.Any: // whichever entry is true
			return len(g.Conditions) > 0 && !slices.ContainsFunc(g.Conditions, func(e filter.Condition) bool { return !implies([]filter.Condition{e}, c) })
		}
		return narrows(g, c)
	})
}

// narrows reports that the single condition g is true only where c is.
func narrows(g, c filter.Condition) bool {
	switch c := c.(type) {
	case filter.ClientsMoreThan:
		g, ok := g.(filter.ClientsMoreThan)
		return ok && g.N >= c.N
	case filter.WordsMoreThan:
		g, ok := g.(filter.WordsMoreThan)
		return ok && g.N >= c.N
	case filter.SizeMoreThan:
		g, ok := g.(filter.SizeMoreThan)
		return ok && g.Bytes >= c.Bytes
	case filter.ClientYoungerThan:
		g, ok := g.(filter.ClientYoungerThan)
		return ok && g.Side == c.Side && g.UnknownIsAdult == c.UnknownIsAdult && g.Age <= c.Age
	case filter.From:
		g, ok := g.(filter.From)
		return ok && subset(g.IDs, c.IDs)
	case filter.Mentions:
		g, ok := g.(filter.Mentions)
		return ok && subset(listNames(g), listNames(c))
	case filter.PersonalContact: // which are the practice's own is compared by itself
		_, ok := g.(filter.PersonalContact)
		return ok
	}
	if reflect.TypeOf(g) != reflect.TypeOf(c) {
		return false
	}
	return reflect.DeepEqual(g, c)
}

func listNames(m filter.Mentions) []string {
	var out []string
	for _, l := range m.Lists {
		out = append(out, l.Name())
	}
	return out
}

// subset reports that every word of a is one of b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}
