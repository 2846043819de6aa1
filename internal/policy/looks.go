package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/filter"
)

// Conditions that look at the sender, the whole message, or the moment.

func readSender(r *ruleReader, v value) (filter.Condition, bool) {
	var ids []string
	all := true
	for _, e := range v.oneOrMore("sender") {
		s, ok := e.text("sender")
		if ok && r.l.readable[filePeople] {
			known := r.l.personIDs()
			for _, sys := range r.l.s.Systems {
				known = append(known, sys.ID)
			}
			if !slices.Contains(known, s) {
				e.report(codeNobody, "nobody in people.yaml has the id %s", didYouMean(s, known), quote(s))
				ok = false
			}
		}
		all = all && ok
		ids = append(ids, s)
	}
	return filter.From{IDs: ids}, all && len(ids) > 0
}

func readSenderMay(_ *ruleReader, v value) (filter.Condition, bool) {
	w, ok := v.word("sender_may", Permissions()...)
	return filter.SenderMay{What: w}, ok
}

func readWordsMoreThan(_ *ruleReader, v value) (filter.Condition, bool) {
	n, ok := v.whole("words_more_than", 0, 1_000_000)
	return filter.WordsMoreThan{N: n}, ok
}

func readSizeMoreThan(_ *ruleReader, v value) (filter.Condition, bool) {
	n, ok := v.size("size_more_than")
	return filter.SizeMoreThan{Bytes: n}, ok
}

// size reads a size of data: 500 KB, 10 MB. KB and MB are thousands and millions.
func (v value) size(what string) (int64, bool) {
	s, ok := v.scalar(what)
	if !ok {
		return 0, false
	}
	num, unit, _ := strings.Cut(s, " ")
	factor := map[string]int64{"KB": 1000, "MB": 1_000_000}[unit]
	n, err := strconv.Atoi(num)
	if err != nil || factor == 0 || n < 0 || n > 99_999 || strconv.Itoa(n) != num {
		v.report(codeSize, "%s must be a size such as 500 KB or 10 MB", "write a whole number, a space, and KB or MB", what)
		return 0, false
	}
	return int64(n) * factor, true
}

func readAttachment(r *ruleReader, v value) (filter.Condition, bool) {
	var kinds []string
	all := true
	for _, e := range v.oneOrMore("attachment") {
		w, ok := e.word("attachment", "document", "image", "archive", "calendar", "contact_card", "program", "unreadable", "any")
		all = all && ok
		kinds = append(kinds, w)
	}
	return filter.Attachment{Kinds: kinds, Side: r.side}, all && len(kinds) > 0
}

func readContains(r *ruleReader, v value) (filter.Condition, bool) {
	switch v.n.Value {
	case "join_link", "reused_join_link", "password":
		return notYet(v, v.n.Value)
	}
	w, ok := v.word("contains", "link", "personal_contact", "kisses", "remote_image")
	if ok && w == "personal_contact" {
		return r.l.personalContact(), true
	}
	return filter.Contains{What: w}, ok
}

// personalContact knows what is the practice's own: its phone, its domains, the addresses that
// clients see, and those of the contacts that are certainly no clients.
func (l *loader) personalContact() filter.PersonalContact {
	c := filter.PersonalContact{Domains: slices.Concat(l.s.Org.Domains, l.s.Clients.NotClientDomains), Listed: slices.Clone(l.s.Clients.NotClientAddresses)}
	if l.s.Org.Phone != "" {
		c.Phones = []string{l.s.Org.Phone}
	}
	for _, p := range l.s.People {
		c.Own = append(c.Own, p.Phones...)
		if !p.Alias.IsZero() {
			c.Listed = append(c.Listed, p.Alias)
		}
	}
	return c
}

func readClientCountry(r *ruleReader, v value) (filter.Condition, bool) {
	codes, ok := countries("client_country", v)
	return filter.ClientCountry{Codes: codes, Side: r.side}, ok
}

func readClientCountryNot(r *ruleReader, v value) (filter.Condition, bool) {
	codes, ok := countries("client_country_not", v)
	return filter.ClientCountry{Codes: codes, Not: true, Side: r.side}, ok
}

func countries(what string, v value) ([]string, bool) {
	var out []string
	all := true
	for _, e := range v.oneOrMore(what) {
		c, ok := e.code(what, 2, 2)
		all = all && ok
		out = append(out, c)
	}
	return out, all && len(out) > 0
}

func readOutside(r *ruleReader, v value) (filter.Condition, bool) {
	if _, ok := v.word("outside", "working_hours"); !ok {
		return nil, false
	}
	w := r.l.s.Org.WorkingHours
	if len(w.Days) == 0 {
		if r.l.readable[fileOrganisation] {
			v.report(codeNoHours, "organisation.yaml does not say when the working hours are", "add working_hours there, or take the rule out")
		}
		return nil, false
	}
	return filter.Outside{Location: r.l.s.loc, Days: w.Days, From: w.From.Hour*60 + w.From.Minute, To: w.To.Hour*60 + w.To.Minute, BankHolidays: w.BankHolidays}, true
}
