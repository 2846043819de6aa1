package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/plaincover/plaincover/internal/fault"
)

// Bounds of one reply (T6).
const (
	maxReplyLine  = 2048
	maxReplyLines = 100
	maxReply      = 64 << 10
	maxKept       = 400 // characters of a reply in a Result
)

// failure is why an attempt, or one recipient of it, came to nothing. The class of status says
// whether trying again makes sense.
type failure struct {
	what   string // for people: no upstream text in it
	status fault.Status
	reply  string // upstream's text, made safe
	err    error
}

// Error returns what failed and the status.
func (f *failure) Error() string {
	if f.err != nil {
		return f.what + " (" + f.status.Enhanced() + "): " + f.err.Error()
	}
	return f.what + " (" + f.status.Enhanced() + ")"
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

func broken(what string, status fault.Status, err error) *failure {
	return &failure{what: what, status: status, err: err}
}

var (
	errReply = errors.New("relay: not an SMTP reply")
	errEarly = errors.New("relay: a reply that nothing was asked for")
)

// Statuses of our own trouble with a connection (RFC 3463 §3.5, §3.6 and §3.8, RFC 5248).
func statusNetwork() fault.Status  { return fault.Status{Code: 451, Subject: 4, Detail: 2} }
func statusProtocol() fault.Status { return fault.Status{Code: 451, Subject: 5, Detail: 0} }
func statusNoTLS() fault.Status    { return fault.Status{Code: 451, Subject: 7, Detail: 10} }
func statusBadTLS() fault.Status   { return fault.Status{Code: 451, Subject: 7, Detail: 5} }
func statusSignIn() fault.Status   { return fault.Status{Code: 451, Subject: 7, Detail: 8} }

// reply is one reply of the smarthost.
type reply struct {
	code  int
	lines []string // without codes
}

func (r reply) class() int { return r.code / 100 }

// status takes the enhanced status code from the text when it fits the code (RFC 2034).
func (r reply) status() fault.Status {
	s := fault.Status{Code: r.code}
	if len(r.lines) == 0 {
		return s
	}
	word, _, _ := strings.Cut(r.lines[len(r.lines)-1], " ")
	f := strings.Split(word, ".")
	if len(f) != 3 || f[0] != strconv.Itoa(r.class()) {
		return s
	}
	subject, err1 := strconv.ParseUint(f[1], 10, 10)
	detail, err2 := strconv.ParseUint(f[2], 10, 10)
	if err1 == nil && err2 == nil && subject < 1000 && detail < 1000 {
		s.Subject, s.Detail = int(subject), int(detail)
	}
	return s
}

// text is the reply as one safe line.
func (r reply) text() string {
	return clean(strconv.Itoa(r.code) + " " + strings.Join(r.lines, " "))
}

// clean keeps printable ASCII, bounded: upstream's text ends up in a DSN.
func clean(s string) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() >= maxKept {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// client is one connection to the smarthost.
type client struct {
	s      *Smarthost
	raw    net.Conn // deadlines
	conn   net.Conn // raw, or TLS over it
	in     *bufio.Reader
	ctx    context.Context // of the attempt that uses it
	secure bool            // inside verified TLS
	ext    map[string]string

	sent   int
	dirty  bool // something failed: not to be used again
	stale  bool // it failed as one does that the other side had closed
	expiry *time.Timer
}

// open connects as far as MAIL.
func (s *Smarthost) open(ctx context.Context) (*client, error) {
	d := net.Dialer{Timeout: s.cfg.Timeouts.Connect}
	conn, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, broken("cannot connect", fault.Status{Code: 451, Subject: 4, Detail: 1}, err)
	}
	if s.cfg.TLSMode == tlsNone {
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			conn.Close()
			return nil, broken("tls: none, but the smarthost is not on this machine", statusNoTLS(), nil)
		}
	}
	c := &client{s: s, raw: conn, conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	if err := c.start(ctx); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// start greets, secures and signs in.
func (c *client) start(ctx context.Context) error {
	defer c.use(ctx)()
	if c.s.implicit {
		if err := c.handshake(ctx); err != nil {
			return err
		}
	}
	if err := c.want(c.s.cfg.Timeouts.Greeting, 220, "the greeting"); err != nil {
		return err
	}
	if err := c.hello(); err != nil {
		return err
	}
	if err := c.secureIt(ctx); err != nil {
		return err
	}
	return c.signIn()
}

// use ties the connection to ctx until the returned function is called.
func (c *client) use(ctx context.Context) func() {
	c.ctx = ctx
	stop := context.AfterFunc(ctx, func() { c.raw.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if !stop() {
			c.dirty = true
		}
	}
}

// deadline begins a step.
func (c *client) deadline(d time.Duration) {
	c.raw.SetDeadline(time.Now().Add(d))
	if c.ctx.Err() != nil { // cancelled before the deadline was set: it must not undo that
		c.raw.SetDeadline(time.Unix(1, 0))
	}
}

// secureIt does STARTTLS (RFC 3207), or says why there can be no going on without.
func (c *client) secureIt(ctx context.Context) error {
	_, offered := c.ext["STARTTLS"]
	switch {
	case c.secure || c.s.cfg.TLSMode == tlsNone:
		return nil
	case !offered && c.s.cfg.TLSMode == tlsOpportunistic && !c.s.secured.Load():
		return nil
	case !offered:
		return broken("it does not offer STARTTLS, and TLS is required", statusNoTLS(), nil)
	}
	if err := c.send("STARTTLS\r\n"); err != nil {
		return err
	}
	if err := c.want(c.s.cfg.Timeouts.Command, 220, "STARTTLS"); err != nil {
		return err
	}
	if c.in.Buffered() > 0 {
		// Anything after the 220 was put there by somebody who is not inside TLS.
		return c.fail("it sent something in clear after STARTTLS", statusBadTLS(), errEarly)
	}
	if err := c.handshake(ctx); err != nil {
		return err
	}
	return c.hello() // what was offered before TLS does not count (RFC 3207 §4.2)
}

func (c *client) handshake(ctx context.Context) error {
	t := tls.Client(c.conn, c.s.tls)
	c.deadline(c.s.cfg.Timeouts.Handshake)
	if err := t.HandshakeContext(ctx); err != nil {
		what := "the TLS handshake failed"
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			what = "its certificate is not valid for " + c.s.host
		}
		return c.fail(what, statusBadTLS(), err)
	}
	c.s.secured.Store(true)
	c.conn, c.secure = t, true
	c.in.Reset(t)
	return nil
}

// hello says EHLO and reads what is offered.
func (c *client) hello() error {
	if err := c.send("EHLO " + c.s.cfg.Hostname + "\r\n"); err != nil {
		return err
	}
	r, err := c.read(c.s.cfg.Timeouts.Command)
	if err != nil {
		return err
	}
	if r.code != 250 {
		return c.refused("EHLO", r)
	}
	c.ext = map[string]string{}
	for _, l := range r.lines[1:] {
		key, value, _ := strings.Cut(l, " ")
		c.ext[strings.ToUpper(key)] = value
	}
	return nil
}

// signIn does AUTH, inside verified TLS only (RFC 4954).
func (c *client) signIn() error {
	if c.s.cfg.Username == "" {
		return nil
	}
	if !c.secure {
		return broken("a password is sent inside TLS only, and it offers none", statusNoTLS(), nil)
	}
	offered := " " + strings.ToUpper(c.ext["AUTH"]) + " "
	var answers []string
	switch {
	case strings.Contains(offered, " PLAIN "):
		_, ir, err := sasl.NewPlainClient("", c.s.cfg.Username, c.s.cfg.Password).Start()
		if err != nil {
			return c.fail("cannot sign in", statusSignIn(), err)
		}
		answers = []string{"AUTH PLAIN " + base64.StdEncoding.EncodeToString(ir)}
	case strings.Contains(offered, " LOGIN "):
		answers = []string{"AUTH LOGIN", base64.StdEncoding.EncodeToString([]byte(c.s.cfg.Username)),
			base64.StdEncoding.EncodeToString([]byte(c.s.cfg.Password))}
	default:
		return broken("it offers neither AUTH PLAIN nor AUTH LOGIN", statusSignIn(), nil)
	}
	for i, a := range answers {
		if err := c.send(a + "\r\n"); err != nil {
			return err
		}
		r, err := c.read(c.s.cfg.Timeouts.Command)
		if err != nil {
			return err
		}
		if last := i == len(answers)-1; last && r.code != 235 || !last && r.code != 334 {
			// Wrong credentials are our trouble, not the message's: whatever the class, try later.
			c.dirty = true
			return &failure{what: "it refuses the user name or the password", status: statusSignIn(), reply: r.text()}
		}
	}
	return nil
}

// send writes commands. Nothing may have been said since the last reply: a reply that comes
// before its command belongs to somebody else's conversation.
func (c *client) send(commands string) error {
	if c.in.Buffered() > 0 {
		r, err := c.read(time.Second)
		if err == nil && r.code == 421 {
			c.stale = true
		}
		return c.fail("it spoke out of turn", statusProtocol(), errEarly)
	}
	c.deadline(c.s.cfg.Timeouts.Command)
	if _, err := io.WriteString(c.conn, commands); err != nil {
		c.stale = true
		return c.fail("the connection broke", statusNetwork(), err)
	}
	return nil
}

// want reads a reply that must have this code.
func (c *client) want(d time.Duration, code int, to string) error {
	r, err := c.read(d)
	if err != nil {
		return err
	}
	if r.code != code {
		return c.refused(to, r)
	}
	return nil
}

// refused is a reply that ends the connection before there was a message: always temporary,
// because it says nothing about the message.
func (c *client) refused(what string, r reply) error {
	c.dirty = true
	s := r.status()
	if s.Class() != 4 {
		s = fault.Status{Code: 451, Subject: s.Subject, Detail: s.Detail}
	}
	return &failure{what: "it refuses " + what, status: s, reply: r.text()}
}

// fail marks the connection as not to be used again.
func (c *client) fail(what string, s fault.Status, err error) *failure {
	c.dirty = true
	return broken(what, s, err)
}

// read reads one reply within d, all of it (RFC 5321 §4.2).
func (c *client) read(d time.Duration) (reply, error) {
	c.deadline(d)
	var r reply
	total := 0
	for n := 1; ; n++ {
		line, err := c.readLine()
		if err != nil {
			if errors.Is(err, errReply) {
				return reply{}, c.fail("its reply is not SMTP", statusProtocol(), err)
			}
			what := "the connection broke"
			if errors.Is(err, os.ErrDeadlineExceeded) {
				what = "it did not answer in time"
			} else {
				c.stale = true
			}
			return reply{}, c.fail(what, statusNetwork(), err)
		}
		code, text, more, ok := parseLine(line)
		total += len(line)
		if !ok || n > maxReplyLines || total > maxReply || r.code != 0 && code != r.code {
			return reply{}, c.fail("its reply is not SMTP", statusProtocol(), errReply)
		}
		r.code = code
		r.lines = append(r.lines, text)
		if !more {
			if code == 421 {
				c.dirty = true
			}
			return r, nil
		}
	}
}

// readLine reads to CRLF, bounded. A bare CR, a bare LF or a NUL is no reply.
func (c *client) readLine() (string, error) {
	var line []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return "", err
		}
		n := len(line)
		switch {
		case b == '\n' && n > 0 && line[n-1] == '\r':
			return string(line[:n-1]), nil
		case b == '\n', b == 0, n > 0 && line[n-1] == '\r', n >= maxReplyLine:
			return "", errReply
		}
		line = append(line, b)
	}
}

func parseLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, "", false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, "", false, false
		}
		code = 10*code + int(line[i]-'0')
	}
	if code < 200 || code > 599 {
		return 0, "", false, false
	}
	if len(line) > 3 {
		text, more = line[4:], line[3] == '-'
	}
	return code, text, more, true
}

// healthy reports whether the next transaction may use the connection.
func (c *client) healthy() bool { return !c.dirty && c.in.Buffered() == 0 }

// quit leaves politely, but does not wait for the answer (RFC 5321 §4.1.1.10 would have it
// that we do; nothing depends on it).
func (c *client) quit() {
	c.raw.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c.conn, "QUIT\r\n")
	c.conn.Close()
}
