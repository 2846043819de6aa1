package templates

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// clinical are words that give the nature of the service away.
var clinical = regexp.MustCompile(`(?i)\b(counsell\w*|therap\w*|clinic\w*|patient\w*|diagnos\w*|treatment|trauma|mental|anxiety|session\w*|appointment\w*)\b`)

type built struct {
	subject string
	text    []string
	err     error
}

func everyNotice(n Notice) map[string]built {
	out := map[string]built{}
	add := func(name string, s string, p []string, err error) { out[name] = built{s, p, err} }
	s, p, err := HeldNotice(n)
	add("held", s, p, err)
	s, p, err = RefusedNotice(n)
	add("refused", s, p, err)
	s, p, err = TellNotice(n, true)
	add("tell, held", s, p, err)
	s, p, err = TellNotice(n, false)
	add("tell, sent", s, p, err)
	s, p, err = ReleasedNotice(n, "Sam", "14:05", "confirmed by phone")
	add("released", s, p, err)
	s, p, err = StoppedNotice(n, "Sam", "14:05")
	add("stopped", s, p, err)
	s, p, err = DSN(n)
	add("dsn", s, p, err)
	return out
}

func TestNotices(t *testing.T) {
	t.Parallel()
	n := Notice{SentAt: "14:02", MessageID: "01KAM0", Codes: []string{"C-0142", "C-0203", "C-0142"}, TextID: "M05", Values: longest, Phone: "0161 496 0000", Releaser: "Sam"}
	for name, b := range everyNotice(n) {
		all := strings.Join(b.text, "\n")
		if b.err != nil || b.subject == "" || !strings.Contains(all, "C-0142 and C-0203") || !strings.Contains(all, "01KAM0") {
			t.Errorf("%s: %q %q %v", name, b.subject, b.text, b.err)
		}
		if clinical.MatchString(b.subject + all) {
			t.Errorf("%s says what the service is: %q %q", name, b.subject, all)
		}
		if strings.Contains(b.subject, "C-0") {
			t.Errorf("%s shows a code on a lock screen: %q", name, b.subject)
		}
		if strings.ContainsAny(b.subject+strings.Join(b.text, ""), "\r\n") {
			t.Errorf("%s has a line break in a paragraph", name)
		}
	}
	if got := everyNotice(n)["released"].text[0]; got != "Released by Sam at 14:05 and delivered to C-0142 and C-0203. Reason: confirmed by phone." {
		t.Errorf("%q", got)
	}
}

func TestAReasonInPlaceOfAText(t *testing.T) {
	t.Parallel()
	n := Notice{SentAt: "14:02", Reason: "Two rules ask for different subjects.", Releaser: "Sam"}
	_, p, err := HeldNotice(n)
	if err != nil || !slices.Contains(p, "Held: Two rules ask for different subjects.") || !slices.Contains(p, "Ask Sam to send it or stop it.") {
		t.Errorf("%q %v", p, err)
	}
	if p[0] != "Your 14:02 email is held. It has reached nobody." {
		t.Errorf("without codes: %q", p[0])
	}
	for name, f := range map[string]func(Notice) (string, []string, error){"held": HeldNotice, "refused": RefusedNotice} {
		if _, _, err := f(Notice{}); err == nil {
			t.Errorf("%s without a reason", name)
		}
	}
}

// Promise 12: a notice about danger ends with what to do now.
func TestUrgentNoticesEndWithThePhone(t *testing.T) {
	t.Parallel()
	n := Notice{SentAt: "14:02", MessageID: "01KAM0", TextID: "M05", Values: longest, Urgent: true}
	for _, name := range []string{"held", "refused", "tell, held"} {
		b := everyNotice(n)[name]
		if got := b.text[len(b.text)-1]; got != "Urgent? Phone the client." {
			t.Errorf("%s ends with %q", name, got)
		}
	}
	n.Urgent = false
	for name, b := range everyNotice(n) {
		if slices.Contains(b.text, urgentLine) {
			t.Errorf("%s is not urgent: %q", name, b.text)
		}
	}
}
