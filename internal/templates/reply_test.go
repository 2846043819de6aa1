package templates

import (
	"regexp"
	"strings"
	"testing"
)

// longest are values as long as they realistically get.
var longest = Values{"sign_in": strings.Repeat("m", 40) + "@" + strings.Repeat("w", 40) + ".example", "count": "100", "limit": "100 MB", "size": "100 MB",
	"code": "C-0142, C-0203, C-0177 and C-0300", "releaser": "the person who releases held mail", "file_type": ".docm", "days": "14"}

func TestExactTexts(t *testing.T) {
	t.Parallel()
	v := Values{"sign_in": "maya@willowhouse.example", "count": "14", "limit": "10", "releaser": "Sam", "code": "C-0142"}
	for id, want := range map[string]string{
		"M01": "Not sent: your sign-in is maya@willowhouse.example but this email is from another address. Change the From address to yours and send again.",
		"M02": "Not sent: it has 14 clients on it and your limit is 10. Send it in smaller groups, or ask Sam to raise the limit.",
		"M03": "Held: you wrote [together], but C-0142 has not agreed to share an address with the group. Reply SEPARATE to give everyone their own copy, or CANCEL.",
		"M04": "Held: the address is very close to C-0142's but is not the one on our list. Check with the client by phone, then reply SEND with what you checked and Sam can release it, or CANCEL.",
		"M05": "Held: this address is not on the client list or the colleague list. Reply COLLEAGUE or CLIENT to tell us which, or CANCEL.",
		"M06": "Held: this is a long email to someone under 18. Keep email to practical points and say you will talk about the rest next time. Reply ACKNOWLEDGE to send a short kind reply instead, or CANCEL and resend a shorter one.",
		"M07": "Held: the attached file is not locked and C-0142 has no agreed password yet. Agree one in session, then reply LOCK.",
		"M08": "Held: the file is already locked with a password we did not set, so we could not check it. Reply SEND with a reason, or attach the unlocked file and we will lock it.",
		"M11": "Held: you wrote [secure] but C-0142 has no password or PGP key on file. Add one with Sam, then reply LOCK.",
		"M12": "Held: the body names another client (C-0142). Reply CANCEL and remove the name, or SEND with a reason for Sam to check.",
		"M13": "Held: the email is digitally signed by your mail app, and our changes would break the signature. Turn signing off and resend, or reply SEND with a reason.",
		"M14": "Not sent yet: the client list cannot be read. Try again in 10 minutes. Urgent? Phone the client.",
	} {
		if got, err := Text(id, v); err != nil || got != want {
			t.Errorf("%s: %q %v\nwant %q", id, got, err, want)
		}
	}
	for id, v := range map[string]struct {
		v    Values
		want string
	}{
		"M09": {Values{"file_type": ".docm"}, "Not sent: the file type .docm can run programs. Save it as .docx or PDF and send again."},
		"M10": {Values{"size": "31 MB", "limit": "20 MB"}, "Not sent: the email is 31 MB and the limit is 20 MB. Remove or shrink an attachment and send again."},
		"M15": {Values{"days": "3"}, "Not sent: nobody reviewed this held email within 3 days, so it was stopped. Nothing reached the client. Send it again if it is still needed."},
	} {
		if got, err := Text(id, v.v); err != nil || got != v.want {
			t.Errorf("%s: %q %v", id, got, err)
		}
	}
	if got, _ := Text("M03", Values{"code": "C-1 and C-2"}); !strings.Contains(got, "C-1 and C-2 have not agreed") {
		t.Errorf("two codes: %q", got)
	}
}

// A reply is one line of ASCII, short, and neither begs nor blames.
func TestEveryReplyIsFitForSMTP(t *testing.T) {
	t.Parallel()
	begging := regexp.MustCompile(`(?i)\b(please|sorry|invalid)\b`)
	check := func(id, s string) {
		if len(s) >= 400 || begging.MatchString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) || strings.Contains(s, "((") {
			t.Errorf("%s is not fit for a reply (%d characters): %q", id, len(s), s)
		}
	}
	for _, id := range IDs() {
		s, err := Text(id, longest)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		check(id, s)
		start := map[TextKind]string{KindHeld: "Held: ", KindRefused: "Not sent: ", KindTransient: "Not sent yet: ", KindNotice: "Not sent: "}
		k, ok := Kind(id)
		if !ok || !strings.HasPrefix(s, start[k]) {
			t.Errorf("%s of kind %s starts %q", id, k, s)
		}
		st, _ := Status(id)
		if want := map[TextKind]int{KindHeld: 2, KindRefused: 5, KindTransient: 4, KindNotice: 5}[k]; st.Class() != want {
			t.Errorf("%s of kind %s has status %d", id, k, st.Code)
		}
	}
	check("outage", Outage)
	if s, _ := Status("M10"); s.Code != 552 || s.Enhanced() != "5.3.4" {
		t.Errorf("M10: %+v", s)
	}
	if got, _ := Text("M02", Values{"count": "1", "limit": "1", "releaser": "Zoë’s"}); strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("a name is not ASCII: %q", got)
	}
}

func TestAMissingValueIsAnError(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"M01", "M02", "M03", "M10", "M12"} {
		if s, err := Text(id, nil); err == nil {
			t.Errorf("%s: %q", id, s)
		}
	}
	if _, err := Text("M99", nil); err == nil {
		t.Error("M99")
	}
	if _, ok := Kind("M99"); ok {
		t.Error("M99 has a kind")
	}
}

// Until holds are answerable by reply, notices may not ask for a word of reply.
func TestNoticesHoldNoReplyWords(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`\b(SEND|LOCK|SEPARATE|CANCEL|COLLEAGUE|CLIENT|ACKNOWLEDGE)\b|[Rr]eply`)
	for _, id := range IDs() {
		s, err := NoticeText(id, longest)
		if err != nil || words.MatchString(s) || strings.Contains(s, "((") {
			t.Errorf("%s: %q %v", id, s, err)
		}
		if id != "M07" && clinical.MatchString(s) { // M07's wording is given
			t.Errorf("%s says what the service is: %q", id, s)
		}
		if k, _ := Kind(id); k == KindHeld && !strings.Contains(s, longest["releaser"]) {
			t.Errorf("%s names nobody to ask: %q", id, s)
		}
	}
}
