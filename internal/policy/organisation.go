package policy

import (
	"slices"
	"strings"
	"time"
	// Time zones come with the program: the image has no other copy.
	_ "time/tzdata"
)

// Roles that may stand where a person may.
const (
	RoleSafeguardingLead = "safeguarding_lead"
	RoleDataProtection   = "data_protection"
)

// Organisation is organisation.yaml.
type Organisation struct {
	Name, TextName       string
	Country, Nation      string
	Language, Timezone   string
	ICORegistration      string
	Domains              []string // lower-case A-labels
	SafeguardingLead     string   // person id
	DataProtection       string   // person id
	Phone                string   // for "Urgent? Phone ..."
	WorkingHours         WorkingHours
	Observe              bool // mode: observe
	OnMixedSplit         bool
	Undo                 time.Duration
	ClientsPerMessage    int // 0: no limit
	MessageContentDays   int
	AuditDays            int
	ConsentEvidenceYears int
	HeldMail             HeldMail
	Regions              []string
}

// WorkingHours are when somebody reads mail.
type WorkingHours struct {
	Days         []time.Weekday
	From, To     Clock
	BankHolidays string
}

// HeldMail says what happens to held mail.
type HeldMail struct {
	SecondPerson string        // required, self_with_delay or none
	Delay        time.Duration // of a sender's own release
	RemindAfter  time.Duration
	ExpiresAfter time.Duration
	OnExpiry     string // refuse_and_tell_sender
}

// organisation reads organisation.yaml.
func (l *loader) organisation(v value) {
	o := &l.s.Org
	v.keys("organisation.yaml",
		field{"version", true, func(v value) {
			if n, ok := v.whole("version", 1, 1000); ok && n != 1 {
				v.report(codeVersion, "this program knows version 1 of the policy files", "write 1, or install the program that these files were written for")
			}
		}},
		field{"organisation", true, func(v value) { l.organisationName(v) }},
		field{"domains", true, func(v value) {
			for _, e := range v.free().filled("domains") {
				if d, ok := e.domain("this"); ok && e.notAnybodys(d, "name only domains that belong to the practice; whoever writes from such an address needs a work address (S12)") {
					if slices.Contains(o.Domains, d) {
						e.report(codeEntryTwice, "this domain stands twice", "keep one")
					}
					o.Domains = append(o.Domains, d)
				}
			}
		}},
		field{"contacts", true, func(v value) {
			role := func(name string, to *string) field {
				return field{name, true, func(v value) {
					if s, ok := v.text(name); ok {
						*to = s
						l.roleNodes[name] = v
					}
				}}
			}
			v.free().keys("contacts", role(RoleSafeguardingLead, &o.SafeguardingLead), role(RoleDataProtection, &o.DataProtection),
				field{"phone", true, func(v value) {
					if s, ok := v.text("phone"); ok {
						if n := len(digits(s)); n < 3 || n > 15 || strings.Trim(s, "0123456789 +()-") != "" {
							v.report(codePhone, "phone must be a phone number", "write it as people dial it, in quotes")
						}
						o.Phone = s
					}
				}})
		}},
		field{"working_hours", false, func(v value) { readWorkingHours(v, &o.WorkingHours) }},
		field{"mode", false, func(v value) {
			w, _ := v.word("mode", "enforce", "observe")
			o.Observe = w == "observe"
		}},
		field{"on_mixed", false, func(v value) {
			w, _ := v.word("on_mixed", "hold_all", "split")
			o.OnMixedSplit = w == "split"
		}},
		field{"undo", false, func(v value) {
			if d, ok := v.span("undo"); ok && d != 0 {
				v.report(codeNotBuilt, "this version cannot wait before it sends, so nobody could undo", "write 0s until a version that can is installed")
			}
		}},
		field{"limits", false, func(v value) {
			v.keys("limits", field{"clients_per_message", false, func(v value) { o.ClientsPerMessage, _ = v.whole("clients_per_message", 1, 1000) }})
		}},
		field{"keep", true, func(v value) {
			v.keys("keep",
				field{"message_content_days", true, func(v value) { o.MessageContentDays, _ = v.whole("message_content_days", 0, 365) }},
				field{"audit_days", true, func(v value) { o.AuditDays, _ = v.whole("audit_days", 1, 36500) }},
				field{"consent_evidence_years", true, func(v value) { o.ConsentEvidenceYears, _ = v.whole("consent_evidence_years", 1, 100) }})
		}},
		field{"held_mail", true, func(v value) { l.heldMail(v, &o.HeldMail) }},
		field{"regions", false, func(v value) {
			v.keys("regions", field{"allowed", true, func(v value) {
				for _, e := range v.filled("allowed") {
					if c, ok := e.code("a region", 2, 3); ok {
						o.Regions = append(o.Regions, c)
					}
				}
			}})
		}},
	)
}

func (l *loader) organisationName(v value) {
	o := &l.s.Org
	text := func(key string, must bool, to *string) field {
		return field{key, must, func(v value) { *to, _ = v.text(key) }}
	}
	v.keys("organisation",
		text("name", true, &o.Name),
		text("text_name", true, &o.TextName),
		field{"country", true, func(v value) { o.Country, _ = v.code("country", 2, 2) }},
		text("nation", false, &o.Nation),
		text("language", true, &o.Language),
		field{"timezone", true, func(v value) {
			if s, ok := v.text("timezone"); ok {
				loc, err := time.LoadLocation(s)
				if err != nil || s == "Local" {
					v.report(codeTimeZone, "no time zone is called %s", "write it as in Europe/London", quote(s))
					return
				}
				o.Timezone, l.s.loc = s, loc
			}
		}},
		text("ico_registration", false, &o.ICORegistration),
	)
}

func readWorkingHours(v value, w *WorkingHours) {
	days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	v.keys("working_hours",
		field{"days", true, func(v value) {
			for _, e := range v.filled("days") {
				if s, ok := e.word("a day", days...); ok {
					w.Days = append(w.Days, time.Weekday(slices.Index(days, s)))
				}
			}
		}},
		field{"from", true, func(v value) { w.From, _ = v.clock("from") }},
		field{"to", true, func(v value) {
			var ok bool
			if w.To, ok = v.clock("to"); ok && (w.To.Hour*60+w.To.Minute) <= (w.From.Hour*60+w.From.Minute) {
				v.report(codeHoursBackwards, "working hours end before they begin", "write the earlier time as from and the later one as to")
			}
		}},
		field{"bank_holidays", false, func(v value) {
			w.BankHolidays, _ = v.word("bank_holidays", "england-and-wales", "scotland", "northern-ireland", "none")
		}},
	)
}

func (l *loader) heldMail(v value, h *HeldMail) {
	before := l.found()
	v.keys("held_mail",
		field{"second_person", true, func(v value) {
			h.SecondPerson, _ = v.word("second_person", "required", "self_with_delay", "none")
			if h.SecondPerson == "required" {
				l.roleNodes["second_person"] = v
			}
		}},
		field{"delay", false, func(v value) { h.Delay, _ = v.span("delay") }},
		field{"remind_after", true, func(v value) { h.RemindAfter, _ = v.span("remind_after") }},
		field{"expires_after", true, func(v value) {
			var ok bool
			if h.ExpiresAfter, ok = v.span("expires_after"); ok && h.ExpiresAfter < time.Hour {
				v.report(codeHeldTimes, "held mail must wait at least one hour for somebody to look at it", "write 1h or more; 3d is usual")
			}
		}},
		field{"on_expiry", true, func(v value) { h.OnExpiry, _ = v.word("on_expiry", "refuse_and_tell_sender") }},
	)
	if l.found() > before {
		return
	}
	if h.SecondPerson == "self_with_delay" && h.Delay == 0 {
		v.report(codeHeldTimes, "self_with_delay needs a delay", "add delay: 15m")
	}
	if h.ExpiresAfter > 0 && h.RemindAfter >= h.ExpiresAfter {
		v.report(codeHeldTimes, "the reminder would come after the mail has expired", "make remind_after shorter than expires_after")
	}
}

// digits returns the digits of a phone number.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
