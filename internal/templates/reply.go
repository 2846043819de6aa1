package templates

import (
	"fmt"
	"sort"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
)

// TextKind says where a text stands.
type TextKind byte

// The kinds of text.
const (
	KindHeld      TextKind = 'H' // what follows "held as ID", and a notice
	KindRefused   TextKind = 'R' // a 550 or 552, and a notice
	KindTransient TextKind = 'T' // a 451
	KindNotice    TextKind = 'N' // a notice only, later
)

// String returns the kind's letter.
func (k TextKind) String() string { return string(rune(k)) }

// Outage is the reply when nothing can be recorded.
const Outage = "Not sent yet: the mail gateway cannot record messages. Try again in 10 minutes. Urgent? Phone the client."

// wording is one of the exact texts. Notice is the same for a notice that nobody can answer
// with a word yet: it says whom to ask.
type wording struct {
	kind   TextKind
	status fault.Status
	text   string
	notice string // empty: text
}

// ask ends a notice about something held.
const ask = " Ask ((releaser)) to send it or stop it."

// wordings returns the exact texts by id.
func wordings() map[string]wording {
	held := func(text, notice string) wording {
		return wording{kind: KindHeld, status: fault.Status{Code: 250, Subject: 0, Detail: 0}, text: text, notice: notice}
	}
	refused := func(text string) wording {
		return wording{kind: KindRefused, status: fault.Status{Code: 550, Subject: 7, Detail: 1}, text: text}
	}
	large := refused("Not sent: the email is ((size)) and the limit is ((limit)). Remove or shrink an attachment and send again.")
	large.status = fault.Status{Code: 552, Subject: 3, Detail: 4}
	return map[string]wording{
		"M01": refused("Not sent: your sign-in is ((sign_in)) but this email is from another address. Change the From address to yours and send again."),
		"M02": refused("Not sent: it has ((count)) clients on it and your limit is ((limit)). Send it in smaller groups, or ask ((releaser)) to raise the limit."),
		"M03": held("Held: you wrote [together], but ((code)) has not agreed to share an address with the group. Reply SEPARATE to give everyone their own copy, or CANCEL.",
			"Held: you wrote [together], but ((code)) has not agreed to share an address with the group. To give everyone their own copy, send it again without [together]."+ask),
		"M04": held("Held: the address is very close to ((code))'s but is not the one on our list. Check with the client by phone, then reply SEND with what you checked and ((releaser)) can release it, or CANCEL.",
			"Held: the address is very close to ((code))'s but is not the one on our list. Check with the client by phone, then tell ((releaser)) what you checked."),
		"M05": held("Held: this address is not on the client list or the colleague list. Reply COLLEAGUE or CLIENT to tell us which, or CANCEL.",
			"Held: this address is not on the client list or the colleague list. Check that it is right, and tell ((releaser)) who it is."+ask),
		"M06": held("Held: this is a long email to someone under 18. Keep email to practical points and say you will talk about the rest next time. Reply ACKNOWLEDGE to send a short kind reply instead, or CANCEL and resend a shorter one.",
			"Held: this is a long email to someone under 18. Keep email to practical points and say you will talk about the rest next time. Send a shorter one."+ask),
		"M07": held("Held: the attached file is not locked and ((code)) has no agreed password yet. Agree one in session, then reply LOCK.",
			"Held: the attached file is not locked and ((code)) has no agreed password yet. Agree one in session, and ask ((releaser)) to let it go."),
		"M08": held("Held: the file is already locked with a password we did not set, so we could not check it. Reply SEND with a reason, or attach the unlocked file and we will lock it.",
			"Held: the file is already locked with a password we did not set, so we could not check it. Tell ((releaser)) what it is, or send the unlocked file in a new email."+ask),
		"M09": refused("Not sent: the file type ((file_type)) can run programs. Save it as .docx or PDF and send again."),
		"M10": large,
		"M11": held("Held: you wrote [secure] but ((code)) has no password or PGP key on file. Add one with ((releaser)), then reply LOCK.",
			"Held: you wrote [secure] but ((code)) has no password or PGP key on file. Add one with ((releaser)), who can then let it go."),
		"M12": held("Held: the body names another client (((code))). Reply CANCEL and remove the name, or SEND with a reason for ((releaser)) to check.",
			"Held: the body names another client (((code))). Remove the name and send it again."+ask),
		"M13": held("Held: the email is digitally signed by your mail app, and our changes would break the signature. Turn signing off and resend, or reply SEND with a reason.",
			"Held: the email is digitally signed by your mail app, and our changes would break the signature. Turn signing off and send it again."+ask),
		"M14": {kind: KindTransient, status: fault.Status{Code: 451, Subject: 3, Detail: 0},
			text: "Not sent yet: the client list cannot be read. Try again in 10 minutes. Urgent? Phone the client."},
		"M15": {kind: KindNotice, status: fault.Status{Code: 550, Subject: 7, Detail: 1},
			text: "Not sent: nobody reviewed this held email within ((days)) days, so it was stopped. Nothing reached the client. Send it again if it is still needed."},
		"M18": held("Held: this email gives a mailbox or phone number that is not the practice's and not the client's own. Reply CANCEL and use the practice's, or SEND with a reason.",
			"Held: this email gives a mailbox or phone number that is not the practice's and not the client's own. Use the practice's and send it again."+ask),
		"M26": held("Held: a part of this email shows who another client is, or an address that clients should not see. Reply CANCEL and remove it, or SEND with a reason for ((releaser)) to check.",
			"Held: a part of this email shows who another client is, or an address that clients should not see. Remove it and send it again."+ask),
	}
}

// IDs returns the ids of all texts, in order.
func IDs() []string {
	var out []string
	for id := range wordings() {
		out = append(out, id)
	}
	sort.Strings(out)
	return out
}

// Kind returns where the text stands, and whether there is one of that id.
func Kind(id string) (TextKind, bool) {
	w, ok := wordings()[id]
	return w.kind, ok
}

// Status returns the reply code that goes with the text.
func Status(id string) (fault.Status, bool) {
	w, ok := wordings()[id]
	return w.status, ok
}

// Text returns the text for a reply, one line of ASCII, without the id in brackets.
func Text(id string, v Values) (string, error) {
	w, ok := wordings()[id]
	if !ok {
		return "", fmt.Errorf("no text is called %q", id)
	}
	s, err := fill(id, w.text, v)
	return ascii(s), err
}

// Wording returns a text as a notice has it, with its placeholders as they stand.
func Wording(id string) string {
	w := wordings()[id]
	if w.notice == "" {
		return w.text
	}
	return w.notice
}

// NoticeText returns the text for a notice, without the words that a reply may begin with.
func NoticeText(id string, v Values) (string, error) {
	w, ok := wordings()[id]
	if !ok {
		return "", fmt.Errorf("no text is called %q", id)
	}
	if w.notice == "" {
		return fill(id, w.text, v)
	}
	return fill(id, w.notice, v)
}

func fill(id, raw string, v Values) (string, error) {
	if strings.Contains(v["code"], " and ") {
		raw = strings.ReplaceAll(raw, "((code)) has ", "((code)) have ")
	}
	t, err := parse(raw)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", id, err)
	}
	s, err := t.render(v)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", id, err)
	}
	return s, nil
}

// ascii keeps a reply within what RFC 5321 §4.2 allows without SMTPUTF8.
func ascii(s string) string {
	out := []byte{}
	for _, r := range s {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r == '\u2018' || r == '\u2019':
			out = append(out, '\'')
		default:
			out = append(out, '?')
		}
	}
	return string(out)
}
