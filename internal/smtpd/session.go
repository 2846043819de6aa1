package smtpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// session is what go-smtp calls for one connection. Its submitter lasts as long as the
// connection; its transaction ends with every reply to a message, RSET and EHLO (I14).
type session struct {
	conn      *conn
	srv       *Server
	submitter string
	tx        *transaction
}

// transaction is one mail transaction (RFC 5321 §3.3).
type transaction struct {
	env    mail.Envelope
	seen   map[string]bool // recipients by Key (B14)
	ctx    context.Context
	cancel context.CancelFunc
}

func newSession(c *conn) *session {
	s := &session{conn: c, srv: c.srv}
	c.session = s
	return s
}

// Mail begins a transaction. go-smtp's idea of the address has lost its quoting; the one that
// counts is the conn's.
func (s *session) Mail(string, *smtp.MailOptions) (err error) {
	var id mail.ID
	defer s.guard(&err, &id)
	if s.submitter == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Sign in first"}
	}
	if s.tx != nil {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "MAIL was given already"}
	}
	cmd := s.conn.cmd
	var reverse mail.Address
	if cmd.path != "" {
		if reverse, err = address(cmd.path, cmd.utf8); err != nil {
			return s.refuse("mail", atCommand, err, "")
		}
	}
	if id, err = s.srv.cfg.NewID(); err != nil {
		return s.refuse("mail", atCommand, err, "")
	}
	tx := &transaction{seen: map[string]bool{},
		env: mail.Envelope{ID: id, Submitter: s.submitter, Reverse: reverse, SMTPUTF8: cmd.utf8,
			Client: s.conn.addr, ReceivedAt: s.srv.cfg.Now()}}
	s.conn.newMessage()
	tx.ctx, tx.cancel = context.WithDeadline(s.conn.ctx, s.conn.txBy)
	if err := s.check(tx); err != nil {
		tx.cancel()
		s.Reset()
		return s.refuse("mail", atCommand, err, id)
	}
	s.tx = tx
	return nil
}

// Rcpt adds a recipient; one that is there already changes nothing.
func (s *session) Rcpt(string, *smtp.RcptOptions) (err error) {
	tx := s.tx
	if tx == nil { // go-smtp keeps the order; if it ever did not, nothing is accepted
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "MAIL comes first"}
	}
	id := tx.env.ID
	defer s.guard(&err, &id)
	to, err := address(s.conn.cmd.path, tx.env.SMTPUTF8)
	if err != nil {
		return s.refuse("rcpt", atCommand, err, "")
	}
	key := to.Key()
	if tx.seen[key] {
		return nil
	}
	if len(tx.env.Recipients) >= s.srv.cfg.Limits.Recipients {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "Too many recipients in one message"}
	}
	n := len(tx.env.Recipients)
	tx.env.Recipients = append(tx.env.Recipients, mail.Recipient{Address: to})
	if err := s.check(tx); err != nil {
		tx.env.Recipients = tx.env.Recipients[:n]
		return s.refuse("rcpt", atCommand, err, id)
	}
	tx.seen[key] = true
	return nil
}

// check asks the door about the envelope so far, on a copy that it may keep.
func (s *session) check(tx *transaction) error {
	env := tx.envelope()
	return s.srv.cfg.Door.Check(tx.ctx, &env)
}

func (t *transaction) envelope() mail.Envelope {
	env := t.env
	env.Recipients = slices.Clone(t.env.Recipients)
	return env
}

// address reads a path strictly. Without SMTPUTF8 it must be ASCII as written (RFC 6531 §3.5).
func address(path string, utf8Allowed bool) (mail.Address, error) {
	ascii := strings.IndexFunc(path, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	if !ascii && (!utf8Allowed || !utf8.ValidString(path)) {
		return mail.Address{}, &fault.Error{Kind: fault.Invalid, Status: fault.Status{Code: 553, Subject: 6, Detail: 7},
			Public: "This address needs SMTPUTF8"}
	}
	return mail.ParseAddress(path)
}

// Data submits the message, and replies only after it was read to its end or refused.
func (s *session) Data(r io.Reader) (err error) {
	tx := s.tx
	if !s.ready() {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "There is no message to end"}
	}
	if s.conn.chunked {
		r = chunks{s.conn}
	}
	env := tx.envelope()
	id := env.ID
	defer s.guard(&err, &id)
	body := &body{r: r, conn: s.conn, left: s.srv.cfg.Limits.MessageBytes + 1, limit: s.srv.cfg.Limits.MessageBytes}
	receipt, err := s.srv.cfg.Door.Submit(tx.ctx, &env, body)
	switch {
	case body.err != nil && (err == nil || fault.KindOf(err) == fault.Internal):
		err = body.err // why it could not be read says more than that it could not
	case err == nil && !body.whole:
		err = errors.New("smtpd: accepted without reading to the end")
	}
	if err != nil {
		return s.refuse("data", atContent, err, id)
	}
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: oneLine(receipt.Text)}
}

// ready reports whether a message may come: there is a transaction with a recipient.
func (s *session) ready() bool { return s.tx != nil && len(s.tx.env.Recipients) > 0 }

// Reset ends the transaction.
func (s *session) Reset() {
	if s.tx != nil {
		s.tx.cancel()
		s.tx = nil
	}
	s.conn.txBy = time.Time{}
}

// Logout ends the session with its connection.
func (s *session) Logout() error {
	s.Reset()
	s.conn.cancel()
	return nil
}

// AuthMechanisms returns what EHLO offers inside TLS.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth begins a sign-in.
func (s *session) Auth(mech string) (sasl.Server, error) {
	switch mech {
	case sasl.Plain:
		return guarded{s, sasl.NewPlainServer(func(identity, name, password string) error {
			if identity != "" && identity != name {
				name = "" // nobody signs in for somebody else; the same work is done
			}
			return s.signIn(name, password)
		})}, nil
	case sasl.Login:
		return guarded{s, &loginServer{signIn: s.signIn}}, nil
	}
	return nil, &smtp.SMTPError{Code: 504, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Use PLAIN or LOGIN"}
}

// refuse logs an error with its kind and code, and turns it into a reply.
func (s *session) refuse(verb string, at stage, err error, id mail.ID) error {
	r := replyTo(err, at, id)
	level := slog.LevelInfo
	if fault.KindOf(err) == fault.Internal {
		level = slog.LevelError
	}
	s.srv.cfg.Log.Log(s.conn.ctx, level, "refused", "id", id, "conn", s.conn.serial, "at", verb,
		"kind", fault.KindOf(err).String(), "code", r.Code)
	return r
}

// guard keeps a panic to its connection: 421, and a log line with the stack but not the value.
func (s *session) guard(err *error, id *mail.ID) {
	if recover() == nil {
		return
	}
	s.srv.cfg.Log.Error("panic", "id", *id, "conn", s.conn.serial, "kind", "panic", "stack", string(debug.Stack()))
	*err = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 0},
		Message: "Not sent yet: something went wrong in the mail gateway. Try again in 10 minutes. Urgent? Phone the client. (id " + string(*id) + ")"}
}

// body is the message as the door reads it: bounded, and ending in io.EOF only when the whole
// message was there and clean.
type body struct {
	r     io.Reader
	conn  *conn
	left  int64 // one more than the limit, so that the door can tell and refuse by itself
	limit int64
	err   error
	whole bool
}

// Read reads the message.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left <= 0 {
		b.err = &fault.Error{Kind: fault.TooLarge, Public: "Not sent: the email is larger than the limit of " +
			megabytes(b.limit) + " MB. Remove or shrink an attachment and send again. [M10]"}
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.conn.defect:
		b.err = &fault.Error{Kind: fault.Invalid, Status: fault.Status{Code: 550, Subject: 6, Detail: 0},
			Public: "Not sent: the message has a bare CR or LF, or a NUL. Send it again with another mail app, and tell whoever looks after yours."}
		return 0, b.err
	case err == nil:
	case err == io.EOF && !b.conn.cut:
		b.whole = true
		return n, io.EOF
	default:
		b.err = fault.Wrap(fault.Unavailable, "Not sent: the connection ended before the message did.", io.ErrUnexpectedEOF)
		return n, b.err
	}
	return n, nil
}
