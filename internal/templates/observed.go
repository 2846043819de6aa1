package templates

import (
	"fmt"
	"slices"
	"strings"
)

// Observed is what one rule that only observes would have done on a day.
type Observed struct {
	Rule, Name string
	Action     string   // send, lock, hold or refuse
	Verbs      []string // what else it would have done
	Messages   []string // the gateway's ids
}

// mostIDs is how many messages of a rule are named in a note.
const mostIDs = 50

// ObservedNotice tells whoever answers for data protection what the rules that only observe
// would have done on a day. It names rules and messages, and nothing of any mail.
func ObservedNotice(day string, messages int, rules []Observed) (subject string, paragraphs []string, err error) {
	if day == "" || messages < 1 || len(rules) == 0 {
		return "", nil, fmt.Errorf("a note about a day needs the day and what was observed")
	}
	out := []string{fmt.Sprintf("On %s rules that only observe had something to say about %s. They changed and held nothing.", day, emails(messages))}
	for _, r := range rules {
		ids := r.Messages
		more := ""
		if n := len(ids) - mostIDs; n > 0 {
			ids, more = ids[:mostIDs], fmt.Sprintf(" and %d more", n)
		}
		out = append(out, fmt.Sprintf("%s (%s): would have %s %s: %s%s.", strings.TrimRight(r.Name, "."), r.Rule, r.would(), emails(len(r.Messages)), strings.Join(ids, ", "), more))
	}
	return "For you to look at: rules on trial", append(out,
		"A rule acts once mode: observe is taken out. What it would do to the mail of a longer time says: gateway replay."), nil
}

func emails(n int) string {
	if n == 1 {
		return "1 email"
	}
	return fmt.Sprintf("%d emails", n)
}

// would says in the past what a rule does.
func (r Observed) would() string {
	var out []string
	switch r.Action {
	case "lock":
		out = append(out, "locked")
	case "hold":
		out = append(out, "held")
	case "refuse":
		out = append(out, "refused")
	}
	changed := slices.Clone(r.Verbs)
	take := func(verb, said string) {
		if i := slices.Index(changed, verb); i >= 0 {
			changed = slices.Delete(changed, i, i+1)
			out = append(out, said)
		}
	}
	take("send_separately", "sent separately")
	take("bcc", "hidden the recipients of")
	take("never_hold", "let pass at once")
	take("tell", "told somebody of")
	if len(changed) > 0 {
		out = append(out, "changed ("+strings.ReplaceAll(strings.Join(changed, ", "), "_", " ")+")")
	}
	if len(out) == 0 {
		return "noted"
	}
	return list(out)
}
