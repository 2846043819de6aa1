package smtpd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// stage says what a fault happened to: a command, a message's content, or a sign-in.
type stage uint8

const (
	atCommand stage = iota
	atContent
	atSignIn
)

// outage is what a submitter reads when the trouble is ours.
const outage = "Not sent yet: the mail gateway cannot record messages. Try again in 10 minutes. Urgent? Phone the client."

// replies is the table from faults to replies (architecture §7). The text stands where the
// fault has none to show.
var replies = map[fault.Kind]struct {
	status fault.Status
	text   string
}{
	fault.Internal:        {fault.Status{Code: 451, Subject: 3, Detail: 0}, outage},
	fault.Unavailable:     {fault.Status{Code: 451, Subject: 3, Detail: 0}, outage},
	fault.Conflict:        {fault.Status{Code: 451, Subject: 3, Detail: 0}, outage},
	fault.RateLimited:     {fault.Status{Code: 451, Subject: 7, Detail: 1}, "Not sent yet: too many at once. Try again in 10 minutes."},
	fault.Invalid:         {fault.Status{Code: 501, Subject: 5, Detail: 4}, "Not sent: this cannot be read. Check it and send again."},
	fault.TooLarge:        {fault.Status{Code: 552, Subject: 3, Detail: 4}, "Not sent: the email is over the size limit. Remove or shrink an attachment and send again."},
	fault.Unauthenticated: {fault.Status{Code: 530, Subject: 7, Detail: 0}, "Sign in first"},
	fault.Forbidden:       {fault.Status{Code: 550, Subject: 7, Detail: 1}, "Not sent: your sign-in may not do this."},
	fault.NotFound:        {fault.Status{Code: 550, Subject: 1, Detail: 1}, "Not sent: there is no such address."},
	fault.Rejected:        {fault.Status{Code: 550, Subject: 7, Detail: 1}, "Not sent: a rule of your practice refuses it."},
}

// replyTo turns any error into the reply that the client gets. What nobody classified is
// temporary and says nothing of its cause; no error ever becomes a success.
func replyTo(err error, at stage, id mail.ID) *smtp.SMTPError {
	kind := fault.KindOf(err)
	row, known := replies[kind]
	if !known {
		kind, row = fault.Internal, replies[fault.Internal]
	}
	status, text := row.status, row.text
	switch {
	case at == atSignIn && kind != fault.Internal && kind != fault.Unavailable && kind != fault.RateLimited && kind != fault.Conflict:
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "The name or the password is not right"}
	case at == atContent && kind == fault.Invalid:
		status = fault.Status{Code: 550, Subject: 6, Detail: 0}
	}
	public := ""
	if e, ok := errors.AsType[*fault.Error](err); ok && kind != fault.Internal {
		public = e.Public
		if e.Status.Code >= 400 && e.Status.Code < 600 {
			status = e.Status
		}
	}
	if public != "" {
		text = public
	}
	if id != "" && !strings.Contains(text, string(id)) && !strings.HasSuffix(text, "]") {
		text += fmt.Sprintf(" (id %s)", id)
	}
	return &smtp.SMTPError{Code: status.Code, EnhancedCode: smtp.EnhancedCode{status.Class(), status.Subject, status.Detail},
		Message: oneLine(text)}
}

// oneLine makes a text safe to stand in a reply: one line of printable ASCII, under 400
// characters, whatever was put into it.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= 399 {
			break
		}
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// tooLargeText is M10 without its tag.
func tooLargeText(size, limit int64) string {
	return "Not sent: the email is " + megabytes(size) + " MB and the limit is " + megabytes(limit) +
		" MB. Remove or shrink an attachment and send again."
}

// megabytes rounds up, so that what is over a limit never reads as the limit itself.
func megabytes(n int64) string { return strconv.FormatInt((n+999_999)/1_000_000, 10) }
