package policy

import (
	"slices"

	"github.com/plaincover/plaincover/internal/mail"
)

// ClientRules is clients.yaml: what holds for all clients. The clients themselves are in the
// register.
type ClientRules struct {
	ClientsAre         string // adults, young or all_ages: what an unknown age counts as
	Discreet           bool   // default
	Protection         string // default: locked_pdf, locked_word, locked_zip, pgp or none
	PasswordWords      int
	PasswordFrom       string                 // agreed or sms
	Consents           map[string]ConsentRule // by purpose
	MinimumAge         map[string]int         // by channel
	Under16AlsoNeeds   string                 // for sms_reminders; empty: nothing more
	NotClientDomains   []string               // lower-case A-labels
	NotClientAddresses []mail.Address

	notClient map[string]bool
}

// ConsentRule is what a consent for one purpose needs.
type ConsentRule struct {
	Needs    string
	Lasts    Period
	Wording  string
	Evidence []string
}

// UnknownIsAdult reports whether a client whose age is unknown counts as an adult.
func (c ClientRules) UnknownIsAdult() bool { return c.ClientsAre == "adults" }

// Purposes returns the purposes of consent, sorted.
func (c ClientRules) Purposes() []string {
	out := make([]string, 0, len(c.Consents))
	for p := range c.Consents {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// readClients reads clients.yaml.
func (l *loader) readClients(v value) {
	c := &l.s.Clients
	c.Consents, c.MinimumAge, c.notClient = map[string]ConsentRule{}, map[string]int{}, map[string]bool{}
	v.keys("clients.yaml",
		field{"clients_are", true, func(v value) { c.ClientsAre, _ = v.word("clients_are", "adults", "young", "all_ages") }},
		field{"defaults", true, func(v value) {
			v.keys("defaults",
				field{"discreet", true, func(v value) { c.Discreet, _ = v.yesNo("discreet") }},
				field{"protection", true, func(v value) {
					c.Protection, _ = v.word("protection", "locked_pdf", "locked_word", "locked_zip", "pgp", "none")
					l.locksZip = c.Protection == "locked_zip"
				}})
		}},
		field{"password", false, func(v value) {
			v.keys("password",
				field{"words", true, func(v value) { l.passwordWords = v; c.PasswordWords, _ = v.whole("words", 4, 12) }},
				field{"from", true, func(v value) { c.PasswordFrom, _ = v.word("from", "agreed", "sms") }})
		}},
		field{"consent", true, func(v value) { l.consents(v) }},
		field{"minimum_age", false, func(v value) {
			v.keys("minimum_age", field{"whatsapp", false, func(v value) {
				if n, ok := v.whole("whatsapp", 13, 100); ok {
					c.MinimumAge["whatsapp"] = n
				}
			}})
		}},
		field{"under_16", false, func(v value) {
			v.keys("under_16", field{"sms_reminders_also_needs", false, func(v value) {
				c.Under16AlsoNeeds, _ = v.word("sms_reminders_also_needs", "parent_or_competence_note", "parent_consent", "competence_note")
			}})
		}},
		field{"not_clients", false, func(v value) {
			v.free().keys("not_clients",
				field{"domains", false, func(v value) {
					for _, e := range v.list("domains") {
						if d, ok := e.domain("this"); ok && e.notAnybodys(d, "write each whole address under addresses instead") {
							c.NotClientDomains = append(c.NotClientDomains, d)
						}
					}
				}},
				field{"addresses", false, func(v value) {
					for _, e := range v.list("addresses") {
						if a, ok := e.address("this"); ok {
							c.NotClientAddresses = append(c.NotClientAddresses, a)
							c.notClient[a.Key()] = true
						}
					}
				}})
		}},
	)
}

func (l *loader) consents(v value) {
	if !v.keysFree("consent") {
		return
	}
	for key, val := range v.pairs("consent") {
		purpose, ok := key.name("a purpose of consent")
		if !ok {
			l.readable[fileClients] = false // which one is meant cannot be known
		}
		if !ok || val.isNull() {
			if ok {
				key.report(codeNoValue, "%s has no value", "write what this consent needs", quote(purpose))
			}
			continue
		}
		var r ConsentRule
		val.keys("a consent",
			field{"needs", true, func(v value) { r.Needs, _ = v.word("needs", "recorded") }},
			field{"lasts", true, func(v value) { r.Lasts, _ = v.period("lasts") }},
			field{"wording", true, func(v value) { r.Wording, _ = v.name("wording") }},
			field{"evidence", true, func(v value) {
				for _, e := range v.filled("evidence") {
					if w, ok := e.word("evidence", "form", "session_note", "call_note"); ok {
						r.Evidence = append(r.Evidence, w)
					}
				}
			}})
		l.s.Clients.Consents[purpose] = r
	}
}
