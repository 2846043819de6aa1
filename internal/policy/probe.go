package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// Probe is a made-up mail of one kind. Sent through two sets of policies, on paper, it shows
// what a change of rules does.
type Probe struct {
	To   string // "a client aged 15"
	With string // "a word of care_words"; empty: nothing special
	From string // id of the sender; empty: the one who may do least
	Test Test

	Client bool // everybody whom it goes to is a client
}

// maxProbes bounds what a comparison looks at: it is part of every reload. The shipped policies
// need a third of it.
const maxProbes = 1500

// Probes makes a mail of every kind that the rules of either set tell apart: each kind of
// recipient, with each kind of content, from everybody whose permissions differ. All names and
// addresses are invented. Where these are too many, only rules that the sets do not have in
// common say which kinds there are; all is false if even these are too many.
func Probes(a, b *Snapshot) (probes []Probe, all bool) {
	p := prober{a: a, b: b, at: time.Date(2026, 3, 4, 10, 0, 0, 0, a.loc)}
	senders := p.senders()
	if len(senders) == 0 {
		return nil, true
	}
	whos, contents := p.recipients(), p.contents()
	if len(whos)*len(contents) > maxProbes {
		p.common = inCommon(a, b)
		whos, contents = p.recipients(), p.contents()
	}
	for i, s := range senders {
		for _, w := range whos {
			for _, c := range contents {
				// What others send differs by who they are; the rest of the matrix is the same.
				if i > 0 && c.bySender == (c.with != "") {
					continue
				}
				if len(probes) == maxProbes {
					return probes, false
				}
				probe := Probe{To: w.to, With: c.with, Client: len(w.clients) == len(w.list), Test: Test{At: c.at, Clients: w.clients,
					Mail: TestMail{From: s, To: w.list, Subject: c.subject, Body: c.body, HTML: c.html}}}
				if i > 0 {
					probe.From = s
				}
				probes = append(probes, probe)
			}
		}
	}
	return probes, true
}

// inCommon returns the ids of the rules that say and mean the same in both sets: nothing that
// they look at is different.
func inCommon(a, b *Snapshot) map[string]bool {
	out := map[string]bool{}
	if !reflect.DeepEqual(a.Org, b.Org) || !reflect.DeepEqual(a.Clients, b.Clients) || !reflect.DeepEqual(a.People, b.People) || !reflect.DeepEqual(a.Systems, b.Systems) {
		return out
	}
	changed := map[string]bool{}
	for _, name := range both(a.phrases, b.phrases) {
		changed[name] = !slices.Equal(a.phrases[name], b.phrases[name])
	}
	for id, x := range a.written {
		y, ok := b.written[id]
		if !ok || x.when != y.when || x.unless != y.unless || !slices.Equal(x.spec.Do, y.spec.Do) || x.spec.About != y.spec.About ||
			x.spec.Observe != y.spec.Observe || x.spec.AlwaysEnforce != y.spec.AlwaysEnforce {
			continue
		}
		same := true
		for _, c := range slices.Concat(x.spec.When, x.spec.Unless) {
			eachWithin(c, func(c filter.Condition) {
				if m, ok := c.(filter.Mentions); ok {
					same = same && !slices.ContainsFunc(m.Lists, func(l *filter.WordList) bool { return changed[l.Name()] })
				}
			})
		}
		out[id] = same
	}
	return out
}

type prober struct {
	a, b   *Snapshot
	at     time.Time
	common map[string]bool // rules that say nothing of what differs
}

type probeRecipient struct {
	to      string
	clients []filter.Client
	list    []TestRecipient
}

type probeContent struct {
	with, subject, body, html string
	at                        time.Time
	bySender                  bool // rules may treat senders differently for it
}

// senders are people whom both sets know, one for each set of permissions, the one with the
// fewest first: what holds for them holds for most.
func (p prober) senders() []string {
	var out []string
	seen, may := map[string]bool{}, map[string]int{}
	for _, x := range p.a.People {
		y, known := p.b.Person(x.ID)
		key := fmt.Sprint(x.May, y.May)
		if known && x.MaySend() && y.MaySend() && !seen[key] {
			seen[key] = true
			may[x.ID] = len(y.May)
			out = append(out, x.ID)
		}
	}
	slices.SortStableFunc(out, func(x, y string) int { return may[x] - may[y] })
	return out
}

// each calls f for every condition of both sets that may make a difference.
func (p prober) each(f func(filter.Condition)) {
	for _, s := range []*Snapshot{p.a, p.b} {
		for id, r := range s.written {
			if p.common[id] {
				continue
			}
			for _, c := range append(slices.Clone(r.spec.When), r.spec.Unless...) {
				eachWithin(c, f)
			}
		}
	}
}

func eachWithin(c filter.Condition, f func(filter.Condition)) {
	f(c)
	var inner []filter.Condition
	switch c := c.(type) {
	case filter.Any:
		inner = c.Conditions
	case filter.All:
		inner = c.Conditions
	}
	for _, i := range inner {
		eachWithin(i, f)
	}
}

func (p prober) recipients() []probeRecipient {
	yes, no := true, false
	client := func(n int, change func(*filter.Client)) filter.Client {
		c := filter.Client{Ref: fmt.Sprintf("P-%d", n), Status: "active", Country: p.a.Org.Country, Nation: p.a.Org.Nation,
			Language: p.a.Org.Language, Timezone: p.a.Org.Timezone, Discreet: &no, Born: p.at.AddDate(-40, 0, 0),
			Email: []mail.Address{{LocalPart: fmt.Sprintf("probe%d", n), Domain: "client.example"}}}
		if change != nil {
			change(&c)
		}
		return c
	}
	to := func(says string, cs ...filter.Client) probeRecipient {
		r := probeRecipient{to: says, clients: cs}
		for _, c := range cs {
			r.list = append(r.list, TestRecipient{As: c.Ref, Address: c.Email[0]})
		}
		return r
	}
	agreed := func(c *filter.Client) {
		for _, s := range []*Snapshot{p.a, p.b} {
			for _, purpose := range s.Clients.Purposes() {
				c.Consents = append(c.Consents, filter.Consent{Purpose: purpose, GivenOn: p.at.AddDate(0, -1, 0)})
			}
		}
	}
	out := []probeRecipient{
		to("an adult client", client(1, nil)),
		to("a discreet client", client(1, func(c *filter.Client) { c.Discreet = &yes })),
		to("a client of whom the register does not say whether they are discreet", client(1, func(c *filter.Client) { c.Discreet = nil })),
		to("a client of unknown age", client(1, func(c *filter.Client) { c.Born = time.Time{} })),
		to("a former client", client(1, func(c *filter.Client) { c.Status = "former" })),
		to("a client of unknown country", client(1, func(c *filter.Client) { c.Country, c.Nation = "", "" })),
		to("two clients", client(1, nil), client(2, nil)),
		to("two clients who agreed to share an address", client(1, agreed), client(2, agreed)),
	}
	stranger := TestRecipient{As: "stranger", Address: mail.Address{LocalPart: "stranger", Domain: "nobody-knows.example"}}
	out = append(out, probeRecipient{to: "somebody unknown", list: []TestRecipient{stranger}})
	mixed := to("a client and somebody unknown", client(1, nil))
	mixed.list = append(mixed.list, stranger)
	out = append(out, mixed)
	for _, d := range p.a.Org.Domains {
		out = append(out, probeRecipient{to: "a colleague", list: []TestRecipient{{As: "colleague", Address: mail.Address{LocalPart: "probe.colleague", Domain: d}}}})
		break
	}
	noClients := append(slices.Clone(p.a.Clients.NotClientDomains), without(p.b.Clients.NotClientDomains, p.a.Clients.NotClientDomains)...)
	for _, d := range noClients {
		out = append(out, probeRecipient{to: "an address at " + d, list: []TestRecipient{{As: "contact", Address: mail.Address{LocalPart: "probe.contact", Domain: d}}}})
	}
	ages, countries, counts := map[int]bool{18: true}, map[string]bool{}, map[int]bool{}
	p.each(func(c filter.Condition) {
		switch c := c.(type) {
		case filter.ClientYoungerThan:
			ages[c.Age] = true
		case filter.ClientCountry:
			for _, code := range c.Codes {
				countries[code] = true
			}
			countries["AQ"] = true // nobody's list has it
		case filter.ClientsMoreThan:
			if c.N > 1 {
				counts[c.N+1] = true
			}
		}
	})
	for _, age := range sortedKeys(ages) {
		out = append(out, to(fmt.Sprintf("a client aged %d", age-1), client(1, func(c *filter.Client) { c.Born = p.at.AddDate(-age, 6, 0) })))
	}
	for _, code := range sortedKeys(countries) {
		out = append(out, to("a client in "+code, client(1, func(c *filter.Client) { c.Country, c.Nation = code, "" })))
	}
	const most = 40 // clients in one probe: more shows nothing more
	for _, s := range []*Snapshot{p.a, p.b} {
		if n := s.Org.ClientsPerMessage; n > 0 {
			counts[n+1] = true
		}
	}
	for _, n := range sortedKeys(counts) {
		if n <= most {
			var cs []filter.Client
			for i := range n {
				cs = append(cs, client(i+1, nil))
			}
			out = append(out, to(fmt.Sprintf("%d clients", n), cs...))
		}
	}
	return out
}

func sortedKeys[K int | string](m map[K]bool) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (p prober) contents() []probeContent {
	const subject, body = "Tuesday", "See you on Tuesday at the usual time."
	plain := probeContent{subject: subject, body: body, at: p.at}
	out := []probeContent{plain}
	add := func(with string, change func(*probeContent)) {
		c := plain
		c.with = with
		change(&c)
		out = append(out, c)
	}
	lists, prefixes, lengths := map[string]bool{}, map[string]bool{}, map[int]bool{}
	outside := false
	p.each(func(c filter.Condition) {
		switch c := c.(type) {
		case filter.Mentions:
			for _, l := range c.Lists {
				lists[l.Name()] = true
			}
		case filter.SubjectStarts:
			prefixes[c.Prefix] = true
		case filter.WordsMoreThan:
			lengths[c.N] = true
		case filter.Outside:
			outside = true
		}
	})
	for _, name := range sortedKeys(lists) {
		if phrase := p.phrase(name); phrase != "" {
			add("a word of "+name, func(c *probeContent) { c.body += " " + phrase + "." })
		}
	}
	for _, prefix := range sortedKeys(prefixes) {
		add("a subject that starts "+prefix, func(c *probeContent) {
			c.subject = prefix + " " + subject
			if strings.HasPrefix(prefix, "[") && !strings.HasSuffix(prefix, "]") {
				c.subject = prefix + " the reason] " + subject
			}
			c.bySender = true
		})
	}
	const longest = 5000
	for _, n := range sortedKeys(lengths) {
		if n < longest {
			add(fmt.Sprintf("more than %d words", n), func(c *probeContent) { c.body = strings.Repeat("tuesday ", n+1) })
		}
	}
	add("a link", func(c *probeContent) { c.body += " https://www.example.org/page" })
	add("kisses", func(c *probeContent) { c.body += " xx" })
	add("a mobile number that is not the practice's", func(c *probeContent) { c.body += " Ring me on 07700 900999." })
	add("a picture from the web", func(c *probeContent) {
		c.html = "<p>" + body + `</p><img src="https://www.example.org/a.png">`
	})
	if outside {
		add("a time outside working hours", func(c *probeContent) { c.at = p.at.AddDate(0, 0, 4).Add(13 * time.Hour) })
	}
	return out
}

// phrase returns a phrase of a list, one that both sets have if there is one.
func (p prober) phrase(list string) string {
	x, y := p.a.phrases[list], p.b.phrases[list]
	for _, w := range x {
		if slices.Contains(y, w) {
			return w
		}
	}
	for _, l := range [][]string{x, y} {
		if len(l) > 0 {
			return l[0]
		}
	}
	return ""
}
