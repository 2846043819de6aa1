package templates

import (
	"fmt"
	"slices"
	"strings"
)

// Notice is what a notice may say: when the mail was sent, to whom in codes, and what was
// decided. It has no place for a subject, a body, a name or an address of the mail.
type Notice struct {
	SentAt    string   // 14:02, in the practice's time
	MessageID string   // the gateway's id
	Codes     []string // of the clients; empty: nobody in the register
	TextID    string   // M05
	Values    Values
	Reason    string // public, where there is no exact text
	Urgent    bool   // mentions danger and still does not go
	Phone     string // of the practice
	Releaser  string // given name of somebody who may release; empty: nobody is named
	Sender    string // given name of who sent it, for the person who decides
	Strangers int    // recipients on no list
	Partly    bool   // some recipients got their copies
	Next      string // what to do, where asking a person does not help
}

// urgentLine ends a notice about something that cannot wait.
const urgentLine = "Urgent? Phone the client."

// mailOf names the mail as people remember it: "14:02 email to C-0142".
func (n Notice) mailOf() string {
	s := "email"
	if n.SentAt != "" {
		s = n.SentAt + " email"
	}
	to := slices.Clone(n.Codes)
	switch {
	case n.Strangers == 1:
		to = append(to, "somebody on no list")
	case n.Strangers > 1:
		to = append(to, fmt.Sprintf("%d people on no list", n.Strangers))
	}
	if len(to) > 0 {
		s += " to " + list(to)
	}
	return s
}

// subjectOf is neutral: it may be read on a lock screen.
func (n Notice) subjectOf(what string) string {
	if n.SentAt == "" {
		return "Your email: " + what
	}
	return "Your " + n.SentAt + " email: " + what
}

// list joins codes for a sentence, each once.
func list(codes []string) string {
	var out []string
	seen := map[string]bool{}
	for _, c := range codes {
		if c != "" && !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}

// why is the exact text, or the public reason after start.
func (n Notice) why(start string) (string, error) {
	if n.TextID != "" {
		return NoticeText(n.TextID, n.Values)
	}
	if n.Reason == "" {
		return "", fmt.Errorf("a notice needs a text or a reason")
	}
	return start + strings.TrimRight(strings.TrimSpace(n.Reason), ".") + ".", nil
}

// end closes a notice with the gateway's id and, for danger, with what to do right now.
func (n Notice) end(out []string) []string {
	if n.MessageID != "" {
		out = append(out, "Message "+n.MessageID+".")
	}
	if n.Urgent {
		out = append(out, urgentLine)
	}
	return out
}

// HeldNotice tells the sender that a mail waits for a person.
func HeldNotice(n Notice) (subject string, paragraphs []string, err error) {
	why, err := n.why("Held: ")
	if err != nil {
		return "", nil, err
	}
	out := []string{"Your " + n.mailOf() + " is held. " + n.reached(), why}
	switch {
	case n.Next != "":
		out = append(out, n.Next)
	case n.TextID == "":
		out = append(out, n.whom())
	}
	return n.subjectOf("held"), n.end(out), nil
}

func (n Notice) reached() string {
	if n.Partly {
		return "It has reached none of them; the others have their copies."
	}
	return "It has reached nobody."
}

// ReviewNotice tells the person for whom a mail is held that it waits for a decision.
func ReviewNotice(n Notice) (subject string, paragraphs []string, err error) {
	if n.Sender == "" || n.Reason == "" || n.MessageID == "" {
		return "", nil, fmt.Errorf("a note to who decides needs the sender, the reason and the id")
	}
	out := []string{
		n.Sender + "'s " + n.mailOf() + " waits for you. " + n.reached(),
		"Why: " + strings.TrimRight(strings.TrimSpace(n.Reason), ".") + ".",
		"Look at it with: gateway held show " + n.MessageID + ". Then let it go or stop it with gateway held release or gateway held refuse.",
	}
	return "An email waits for you", n.end(out), nil
}

func (n Notice) whom() string {
	who := n.Releaser
	if who == "" {
		who = "the person who releases held mail"
	}
	return "Ask " + who + " to send it or stop it."
}

// RefusedNotice tells the sender that a mail was not taken: phones hide the reply.
func RefusedNotice(n Notice) (subject string, paragraphs []string, err error) {
	why, err := n.why("Not sent: ")
	if err != nil {
		return "", nil, err
	}
	out := []string{"Your " + n.mailOf() + " was not sent to anybody.", why}
	return n.subjectOf("not sent"), n.end(out), nil
}

// TellNotice tells the person whom a rule names. Held says that the mail still waits.
func TellNotice(n Notice, held bool) (subject string, paragraphs []string, err error) {
	out := []string{"A rule asks that you are told at once of the " + n.mailOf() + "."}
	subject = "For you to look at: a note about an email"
	if held {
		why, err := n.why("Held: ")
		if err != nil {
			return "", nil, err
		}
		out = append(out, "It is held and has not gone out.", why)
	} else {
		out = append(out, "It has gone out without delay.")
	}
	if n.Urgent {
		subject = "Urgent: an email is held"
	}
	return subject, n.end(out), nil
}

// WithoutLinesNotice tells whoever keeps the register that a client's mail names the emergency
// number alone. Missing is what [CrisisMissing] says.
func WithoutLinesNotice(code, missing string) (subject string, paragraphs []string) {
	return "For you to look at: a client without crisis lines", []string{
		"Emails to " + code + " name the emergency number alone, without crisis lines, because " + missing + ".",
		"Add what is missing, and the next email has the lines. Nothing is held for it. You are told once for each client.",
	}
}

// ReleasedNotice tells the sender that somebody else let the mail go.
func ReleasedNotice(n Notice, by, at, reason string) (subject string, paragraphs []string, err error) {
	if by == "" || at == "" {
		return "", nil, fmt.Errorf("a note of a release needs who and when")
	}
	s := fmt.Sprintf("Released by %s at %s", by, at)
	if len(n.Codes) > 0 {
		s += " and delivered to " + list(n.Codes)
	}
	s += "."
	if r := strings.TrimRight(strings.TrimSpace(reason), "."); r != "" {
		s += " Reason: " + r + "."
	}
	return n.subjectOf("released"), n.end([]string{s}), nil
}

// SelfReleasedNotice tells a person who may release that a sender let their own mail go.
func SelfReleasedNotice(n Notice, by, leaves, reason string) (subject string, paragraphs []string, err error) {
	if by == "" || leaves == "" {
		return "", nil, fmt.Errorf("a note of a release needs who and when")
	}
	s := fmt.Sprintf("%s let their own %s go. It leaves at %s.", by, n.mailOf(), leaves)
	if r := strings.TrimRight(strings.TrimSpace(reason), "."); r != "" {
		s += " Reason: " + r + "."
	}
	return "A held email was released by its sender", n.end([]string{s}), nil
}

// StoppedNotice tells the sender that somebody else stopped the mail.
func StoppedNotice(n Notice, by, at string) (subject string, paragraphs []string, err error) {
	if by == "" || at == "" {
		return "", nil, fmt.Errorf("a note of a stop needs who and when")
	}
	s := fmt.Sprintf("Your %s was stopped by %s at %s. What was held of it reached nobody.", n.mailOf(), by, at)
	return n.subjectOf("stopped"), n.end([]string{s}), nil
}

// DSN is the human part of a delivery report (RFC 3464 §2): it uses codes, because the report
// itself must name the address.
func DSN(n Notice) (subject string, paragraphs []string, err error) {
	out := []string{"Your " + n.mailOf() + " could not be delivered, and will not be tried again.",
		"Check the address on the client list, and reach the client another way if it cannot wait."}
	if n.Phone != "" {
		out = append(out, "Questions? Call the practice on "+n.Phone+".")
	}
	return n.subjectOf("not delivered"), n.end(out), nil
}
