package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// transaction is one job on its way: MAIL, each RCPT, DATA (RFC 5321 §3.3).
type transaction struct {
	job     store.Job
	body    io.Reader
	utf8    bool
	started bool // bytes of the message were read: no second try in this attempt
	dotted  bool // the final dot may have gone out
	rcpts   []error
}

var (
	errNotCanonical = errors.New("relay: the message is not in canonical form")
	errEightBit     = errors.New("relay: 8-bit content, and 8BITMIME is not offered")
)

// statusDefect is for what we must not send as it is: a fault of this program.
func statusDefect() fault.Status { return fault.Status{Code: 554, Subject: 6, Detail: 0} }

func newTransaction(j store.Job, body io.Reader) (*transaction, error) {
	t := &transaction{job: j, body: body, utf8: j.UTF8 || j.Reverse.NeedsUTF8(), rcpts: make([]error, len(j.Recipients))}
	if !safe(j.Reverse) || len(j.Recipients) == 0 {
		return t, broken("the envelope cannot be sent", statusDefect(), nil)
	}
	for _, r := range j.Recipients {
		t.utf8 = t.utf8 || r.NeedsUTF8()
		if r.IsZero() || !safe(r) {
			return t, broken("the envelope cannot be sent", statusDefect(), nil)
		}
	}
	return t, nil
}

// safe reports whether an address can stand in a command. Addresses were parsed strictly when
// they came in; this is the last door.
func safe(a mail.Address) bool {
	return !strings.ContainsFunc(a.String(), func(r rune) bool { return r < ' ' || r == 0x7f })
}

// forget makes the transaction ready for another connection.
func (t *transaction) forget() { clear(t.rcpts) }

// run makes the transaction over c. The error is for the recipients that have none of their
// own; nil means that they got the message.
func (t *transaction) run(ctx context.Context, c *client) error {
	defer c.use(ctx)()
	command, err := t.mail(c)
	if err != nil {
		return err
	}
	if _, ok := c.ext["PIPELINING"]; ok {
		err = t.pipelined(c, command)
	} else {
		err = t.stepwise(c, command)
	}
	if err != nil || t.nobody() {
		return err
	}
	return t.content(c)
}

// mail returns the MAIL command, or why the smarthost cannot take this message at all.
func (t *transaction) mail(c *client) (string, error) {
	command := "MAIL FROM:<" + t.job.Reverse.String() + ">"
	if sized, ok := t.body.(interface{ Size() int64 }); ok {
		if _, ok := c.ext["SIZE"]; ok {
			command += fmt.Sprintf(" SIZE=%d", sized.Size())
		}
	}
	if c.eightBit() {
		command += " BODY=8BITMIME"
	}
	if t.utf8 {
		if _, ok := c.ext["SMTPUTF8"]; !ok {
			return "", broken("an address needs SMTPUTF8, which the smarthost does not offer", fault.Status{Code: 550, Subject: 6, Detail: 7}, nil)
		}
		command += " SMTPUTF8"
	}
	return command + "\r\n", nil
}

func (c *client) eightBit() bool { _, ok := c.ext["8BITMIME"]; return ok }

func rcpt(a mail.Address) string { return "RCPT TO:<" + a.String() + ">\r\n" }

// stepwise waits for each reply.
func (t *transaction) stepwise(c *client, command string) error {
	if err := c.send(command); err != nil {
		return err
	}
	r, err := c.read(c.s.cfg.Timeouts.Command)
	if err != nil {
		return err
	}
	if r.class() != 2 {
		return c.declined(r)
	}
	for i, a := range t.job.Recipients {
		if err := c.send(rcpt(a)); err != nil {
			return err
		}
		if r, err = c.read(c.s.cfg.Timeouts.Command); err != nil {
			return err
		}
		if err := t.recipient(c, i, r); err != nil {
			return err
		}
	}
	if t.nobody() {
		return t.reset(c)
	}
	if err := c.send("DATA\r\n"); err != nil {
		return err
	}
	if r, err = c.read(c.s.cfg.Timeouts.DataStart); err != nil {
		return err
	}
	return t.data(c, r)
}

// pipelined sends MAIL, each RCPT and DATA at once (RFC 2920), and reads all their replies.
func (t *transaction) pipelined(c *client, command string) error {
	var b strings.Builder
	b.WriteString(command)
	for _, a := range t.job.Recipients {
		b.WriteString(rcpt(a))
	}
	b.WriteString("DATA\r\n")
	if err := c.send(b.String()); err != nil {
		return err
	}
	first, err := c.read(c.s.cfg.Timeouts.Command)
	if err != nil {
		return err
	}
	if first.code == 421 {
		return c.declined(first)
	}
	for i := range t.job.Recipients {
		r, err := c.read(c.s.cfg.Timeouts.Command)
		if err != nil {
			return err
		}
		if first.class() != 2 {
			continue // only says that MAIL was refused
		}
		if err := t.recipient(c, i, r); err != nil {
			return err
		}
	}
	r, err := c.read(c.s.cfg.Timeouts.DataStart)
	if err != nil {
		return err
	}
	switch {
	case first.class() != 2 || t.nobody():
		if r.code == 354 {
			// It waits for a message that nobody is to get. RFC 2920 would send an empty one;
			// hanging up cannot deliver anything.
			c.dirty = true
		}
		if first.class() != 2 {
			return c.declined(first)
		}
		return t.reset(c)
	}
	return t.data(c, r)
}

// recipient records the reply to one RCPT.
func (t *transaction) recipient(c *client, i int, r reply) error {
	switch {
	case r.code == 421:
		return c.declined(r)
	case r.class() != 2:
		t.rcpts[i] = c.declined(r)
	}
	return nil
}

// nobody reports whether every recipient was refused.
func (t *transaction) nobody() bool {
	for _, err := range t.rcpts {
		if err == nil {
			return false
		}
	}
	return true
}

// reset ends a transaction in which every recipient was refused.
func (t *transaction) reset(c *client) error {
	if c.dirty {
		return nil
	}
	if err := c.send("RSET\r\n"); err == nil {
		_ = c.want(c.s.cfg.Timeouts.Command, 250, "RSET")
	}
	return nil
}

// data reads the reply to DATA.
func (t *transaction) data(c *client, r reply) error {
	if r.code == 354 {
		return nil
	}
	_ = t.reset(c)
	return c.declined(r)
}

// declined is a negative reply to the message or a recipient. What refuses us, rather than
// the message, is temporary whatever its class: 421, and 530 for want of a sign-in.
func (c *client) declined(r reply) *failure {
	f := &failure{what: "it refuses", status: r.status(), reply: r.text()}
	switch {
	case r.code == 421:
		c.dirty, c.stale = true, true
	case r.code == 530:
		f.status = statusSignIn()
	case r.class() != 4 && r.class() != 5: // not an answer to what was asked
		c.dirty = true
		f.status = statusProtocol()
	}
	return f
}

// content sends the message and reads what became of it. Before the final dot every failure
// cuts the connection, so that the smarthost drops what it has (RFC 5321 §4.1.1.4).
func (t *transaction) content(c *client) error {
	if c.in.Buffered() > 0 { // an answer before the question cannot be told from the real one
		return c.fail("it spoke out of turn", statusProtocol(), errEarly)
	}
	t.started = true
	w := &wire{c: c, eightBit: c.eightBit()}
	if err := w.copy(t.body); err != nil {
		c.dirty = true
		if w.failed { // perhaps it said why before it hung up
			if r, err := c.read(time.Second); err == nil && r.class() >= 4 {
				return c.declined(r)
			}
		}
		c.conn.Close()
		switch {
		case errors.Is(err, errNotCanonical):
			return broken("the message is not in canonical form", statusDefect(), err)
		case errors.Is(err, errEightBit):
			return broken("the message needs 8BITMIME, which the smarthost does not offer", fault.Status{Code: 554, Subject: 6, Detail: 1}, err)
		case w.failed:
			return broken("the connection broke", statusNetwork(), err)
		}
		return broken("the message cannot be read", fault.Status{Code: 451, Subject: 3, Detail: 0}, err)
	}
	t.dotted = true
	if err := w.end(); err != nil {
		return c.fail("the connection broke at the end of the message", statusNetwork(), err)
	}
	r, err := c.read(c.s.cfg.Timeouts.DataEnd)
	if err != nil {
		return err
	}
	switch r.class() {
	case 2:
		t.dotted = false
		for i := range t.rcpts {
			if t.rcpts[i] == nil {
				t.rcpts[i] = delivered{r}
			}
		}
		return nil
	case 4, 5:
		t.dotted = false
	}
	return c.declined(r)
}

// delivered is the reply that took the message, in the place of an error.
type delivered struct{ reply }

// Error returns the reply.
func (d delivered) Error() string { return d.text() }

// results says what came of each recipient, given the error for those without one.
func (t *transaction) results(err error) []store.Result {
	out := make([]store.Result, len(t.job.Recipients))
	for i := range out {
		own := t.rcpts[i]
		if own == nil {
			own = err
		}
		out[i] = result(own)
		if t.rcpts[i] == nil && t.dotted {
			out[i].Outcome = store.OutUnknown
		}
	}
	return out
}

func result(err error) store.Result {
	if d, ok := errors.AsType[delivered](err); ok {
		return store.Result{Outcome: store.OutDelivered, Status: d.status(), Reply: d.text()}
	}
	f, ok := errors.AsType[*failure](err)
	if !ok { // nothing says that it arrived
		f = broken("nothing is known", statusProtocol(), err)
	}
	r := store.Result{Outcome: store.OutTransient, Status: f.status, Reply: f.reply}
	if f.status.Class() == 5 {
		r.Outcome = store.OutPermanent
	}
	if r.Reply == "" {
		r.Reply = clean(f.what)
	}
	return r
}

// wire writes a message: dot-stuffed, and only if it is canonical (I16): CRLF alone, lines of
// 998 at most, no NUL, a line end at its end.
type wire struct {
	c        *client
	eightBit bool
	line     int  // bytes of this line
	cr       bool // the last byte was CR
	out      []byte
	failed   bool // writing did, not reading
}

const maxTextLine = 998

func (w *wire) copy(r io.Reader) error {
	in := make([]byte, 4<<10) // most messages are little larger; out grows for those that are
	w.out = make([]byte, 0, 8<<10)
	for {
		n, err := r.Read(in)
		for _, b := range in[:n] {
			if err := w.put(b); err != nil {
				return err
			}
			if len(w.out) >= 32<<10 {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
		switch {
		case err == io.EOF:
			if w.line != 0 || w.cr {
				return errNotCanonical
			}
			return nil
		case err != nil:
			return err
		}
	}
}

func (w *wire) put(b byte) error {
	switch {
	case w.cr != (b == '\n'), b == 0:
		return errNotCanonical
	case b == '\n':
		w.line, w.cr = 0, false
	case b == '\r':
		w.cr = true
	case b >= 0x80 && !w.eightBit:
		return errEightBit
	default:
		if w.line++; w.line > maxTextLine {
			return errNotCanonical
		}
		if b == '.' && w.line == 1 {
			w.out = append(w.out, '.')
		}
	}
	w.out = append(w.out, b)
	return nil
}

func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	w.c.deadline(w.c.s.cfg.Timeouts.DataBlock)
	_, err := w.c.conn.Write(w.out)
	w.out = w.out[:0]
	w.failed = err != nil
	return err
}

// end sends what is left with the final dot.
func (w *wire) end() error {
	w.out = append(w.out, ".\r\n"...)
	return w.flush()
}
