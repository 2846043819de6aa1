package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Patience with one connection (B6, B18).
const (
	maxBad     = 20  // replies of 500 to 509
	maxNoops   = 100 // NOOP, RSET and VRFY without a message between them
	maxLong    = 3   // lines over the limit
	maxSignIns = 3   // failed AUTH
	// drainFactor times the message limit is what one message may send before the
	// connection ends instead of being drained.
	drainFactor = 3
	// flushAt is how many bytes of replies wait for more before they go out (RFC 2920).
	flushAt = 4096
)

const outOfOrder = "5.5.1 Not now: commands are out of order"

var (
	errDraining  = errors.New("smtpd: shutting down")
	errForeign   = errors.New("smtpd: not SMTP")
	errDrainedUp = errors.New("smtpd: message far over the limit")
)

type mode uint8

const (
	inCommands mode = iota
	inData
	inChunk
)

// conn stands between the network and go-smtp. It terminates TLS itself, STARTTLS included,
// so go-smtp never sees a byte that came before TLS, and every check below sits inside TLS.
//
// Read hands over one command line at a time. go-smtp reads again only when it has answered,
// so at each Read the conn knows the last command and the code of its reply, and from these
// whether commands, a message (after 354) or a BDAT chunk come next: it, not go-smtp, finds
// the end of a message. A message with a bare CR, a bare LF or a NUL is drained here to its
// true end; go-smtp gets an end in its place, and the session refuses it.
//
// BDAT is handled here too: go-smtp is told DATA, and the session reads the chunks from the
// conn. go-smtp's own BDAT (v0.25.1) submits in a second goroutine, which after RSET hands its
// result to the next message, and takes a chunk cut short by a lost connection for a whole one.
//
// Everything belongs to the goroutine that reads, but raw.Close and raw's deadlines.
type conn struct {
	srv    *Server
	raw    net.Conn // deadlines; Shutdown closes it from outside
	stream net.Conn // raw, or TLS over it
	in     *bufio.Reader
	addr   netip.AddrPort
	serial uint64
	ctx    context.Context // done when the connection is closed or cut
	cancel context.CancelFunc

	implicit  bool
	session   *session
	loginBy   time.Time
	commandBy time.Time
	txBy      time.Time // zero: no transaction is open

	mode    mode
	first   bool // nothing was read yet
	cmd     command
	code    int    // of the last reply to cmd
	pending []byte // for go-smtp, before anything else is read
	scratch [64]byte

	end     endOfData
	check   strict
	wire    int64    // bytes of this message so far
	defect  bool     // this message has a bad line ending or a NUL
	cut     bool     // this message stopped before its end
	chunked bool     // this message comes by BDAT
	left    int64    // of the chunk
	held    *command // came instead of the next chunk; go-smtp gets it after the message's end

	greeted bool
	partial []byte // an unfinished reply of go-smtp
	out     []byte
	closing bool // the last reply was the last
	dead    bool // nothing can be written any more

	bad, noops, long int
	failedSignIns    int
	closed           sync.Once // Close is called from several places
}

func newConn(s *Server, raw net.Conn, addr netip.AddrPort, implicit bool) *conn {
	c := &conn{srv: s, raw: raw, stream: raw, addr: addr, serial: s.serial.Add(1), implicit: implicit,
		first: true, loginBy: time.Now().Add(s.cfg.Timeouts.Login)}
	c.in = bufio.NewReaderSize(fill{c}, 4096)
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// open brings the connection to the point where go-smtp takes over: inside TLS, greeted.
func (c *conn) open() bool {
	if c.implicit {
		if !c.handshake() {
			return false
		}
		c.say(220, c.srv.cfg.Hostname+" ESMTP ready")
		return true
	}
	return c.cleartext()
}

// handshake starts TLS over what is there now. Nothing that was read before may be left over.
func (c *conn) handshake() bool {
	t := tls.Server(c.raw, c.srv.tls)
	c.raw.SetDeadline(time.Now().Add(c.srv.cfg.Timeouts.Handshake))
	if c.srv.draining.Load() {
		return false
	}
	if err := t.HandshakeContext(c.ctx); err != nil {
		c.srv.cfg.Log.Debug("handshake failed", "conn", c.serial)
		c.dead = true
		return false
	}
	c.raw.SetDeadline(time.Time{})
	c.stream, c.first = t, true
	c.in.Reset(fill{c})
	return true
}

// cleartext speaks until STARTTLS succeeds (RFC 3207). Nothing else is to be had before it.
func (c *conn) cleartext() bool {
	c.say(220, c.srv.cfg.Hostname+" ESMTP ready")
	for !c.closing {
		line, err := c.command(maxCommand)
		if err != nil {
			if !c.tolerate(err) {
				return false
			}
			continue
		}
		verb, arg := splitVerb(line)
		switch verb {
		case "STARTTLS":
			switch {
			case arg != "":
				c.say(501, "5.5.4 STARTTLS has no parameters")
			case c.in.Buffered() > 0:
				// RFC 3207 §4.2 and the STARTTLS injection attacks: nothing may be pipelined
				// behind it.
				c.srv.cfg.Log.Warn("starttls-injection", "conn", c.serial, "code", 554)
				c.say(554, "5.5.1 Nothing may follow STARTTLS before the handshake")
				c.flush()
				return false
			default:
				c.say(220, "2.0.0 Ready to start TLS")
				return c.flush() == nil && c.handshake()
			}
		case "EHLO", "HELO":
			cmd, a := parseCommand(line, c.srv.cfg.Limits.MessageBytes)
			if a != nil {
				c.give(a)
				break
			}
			c.cmd = cmd
			c.greet(false)
		case "NOOP", "RSET":
			c.idleCommand()
			c.say(250, "2.0.0 OK")
		case "QUIT":
			c.say(221, "2.0.0 Bye")
			c.flush()
			return false
		case "BDAT":
			c.give(&answer{530, "5.7.0 Start TLS first", true}) // its chunk is no command
		case "MAIL", "RCPT", "DATA", "AUTH", "VRFY":
			c.say(530, "5.7.0 Start TLS first")
		default:
			_, a := parseCommand(line, 0)
			c.give(a)
		}
	}
	c.flush()
	return false
}

// Read gives go-smtp its next bytes.
func (c *conn) Read(p []byte) (int, error) {
	for {
		switch {
		case len(c.pending) > 0:
			n := copy(p, c.pending)
			c.pending = c.pending[n:]
			return n, nil
		case c.closing || c.dead:
			c.cut = true
			c.flush()
			return 0, net.ErrClosed
		case c.mode == inData:
			return c.readData(p)
		case c.chunked:
			if err := c.skipChunk(); err != nil {
				return 0, err
			}
		case c.cmd.verb == "DATA" && c.code == 354:
			c.mode, c.end, c.check, c.code = inData, dataStart, strict{}, 0
		default:
			if err := c.nextCommand(); err != nil && !c.tolerate(err) {
				c.cut = true
				return 0, net.ErrClosed
			}
		}
	}
}

// nextCommand reads and checks a command. What go-smtp should see is left in c.pending.
func (c *conn) nextCommand() error {
	if c.held != nil {
		c.cmd, c.code, c.pending, c.held = *c.held, 0, []byte(c.held.line), nil
		return nil
	}
	if c.cmd.verb == "AUTH" && c.code == 334 {
		line, err := c.command(maxAuthLine)
		if errors.Is(err, errTooLong) {
			line, err = "*", nil // RFC 4954 §4: cancels the exchange
		}
		if err != nil {
			return err
		}
		c.code, c.pending = 0, []byte(line+"\r\n")
		return nil
	}
	c.cmd, c.code = command{}, 0
	line, err := c.command(maxCommand)
	if err != nil {
		return err
	}
	cmd, a := parseCommand(line, c.srv.cfg.Limits.MessageBytes)
	c.cmd = cmd
	if a != nil {
		c.give(a)
		return nil
	}
	switch cmd.verb {
	case "NOOP", "RSET", "VRFY":
		c.idleCommand()
	case "BDAT":
		c.chunked, c.left = true, cmd.size
		if c.session == nil || !c.session.ready() {
			if err := c.skipChunk(); err != nil {
				return err
			}
			c.pending = nil
			c.say(503, outOfOrder)
			return nil
		}
	}
	if c.closing {
		return nil
	}
	c.pending = []byte(cmd.line)
	return nil
}

// command reads a command line within the time for one. An AUTH line may be longer than limit.
func (c *conn) command(limit int) (string, error) {
	if c.srv.draining.Load() && c.idle() {
		return "", errDraining
	}
	c.commandBy = time.Now().Add(c.srv.cfg.Timeouts.Command)
	start, err := c.in.Peek(1)
	if err != nil {
		return "", err
	}
	b := start[0] | 0x20
	if c.first && (b < 'a' || b > 'z') && start[0] > '\r' {
		return "", errForeign // a TLS hello, for example, which has no end of line
	}
	most := limit
	if b == 'a' {
		most = maxAuthLine
	}
	line, err := readLine(c.in, most)
	if err != nil {
		return "", err
	}
	if c.first && otherProtocol(line) {
		return "", errForeign
	}
	c.first = false
	if verb, _ := splitVerb(line); len(line) > limit-2 && verb != "AUTH" {
		return "", errTooLong
	}
	return line, nil
}

// tolerate answers a failure to read a command and reports whether to go on.
func (c *conn) tolerate(err error) bool {
	switch {
	case errors.Is(err, errTooLong):
		c.say(500, "5.5.2 Line too long")
		if c.long++; c.long < maxLong {
			return true
		}
	case errors.Is(err, errEndless):
		c.say(500, "5.5.2 Line too long")
	case errors.Is(err, errLineEnding):
		c.srv.cfg.Log.Warn("bad line ending", "conn", c.serial, "code", 500)
		c.say(500, "5.5.2 Lines must end in CR LF")
	case errors.Is(err, errForeign):
		c.give(foreign())
	case errors.Is(err, errDraining):
		c.say(421, "4.3.2 The mail gateway is restarting. Try again in a minute.")
	case errors.Is(err, errDrainedUp):
		c.say(552, "5.3.4 Not sent: the email is far over the limit of "+
			megabytes(c.srv.cfg.Limits.MessageBytes)+" MB. [M10]")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.srv.cfg.Log.Debug("timed out", "conn", c.serial, "code", 421)
		c.say(421, "4.4.2 Too slow. Closing the connection.")
	}
	c.flush()
	c.closing = true
	return false
}

// idleCommand counts commands that lead nowhere.
func (c *conn) idleCommand() {
	if c.noops++; c.noops > maxNoops {
		c.give(&answer{421, "4.7.0 Too many commands without a message", true})
	}
}

// readData hands over verified bytes of a message, up to its end and not beyond.
func (c *conn) readData(p []byte) (int, error) {
	buf := p
	if len(p) < len(c.scratch) {
		buf = c.scratch[:]
	}
	n := 0
	for n == 0 && c.mode == inData {
		chunk, err := c.available(len(buf) - 1) // a CR that was held back needs room
		if err != nil {
			return 0, c.broken(err)
		}
		used := 0
		for _, b := range chunk {
			used++
			held := c.check.cr
			c.end = c.end.next(b)
			if !c.defect {
				if !c.check.next(b) {
					c.defect = true
				} else if b != '\r' { // handed over with its LF only
					if held {
						buf[n] = '\r'
						n++
					}
					buf[n] = b
					n++
				}
			}
			if c.end == dataEnd {
				c.mode = inCommands
				break
			}
		}
		c.in.Discard(used)
		c.wire += int64(used)
		if c.mode == inData && c.wire > drainFactor*c.srv.cfg.Limits.MessageBytes {
			return 0, c.broken(errDrainedUp)
		}
	}
	if c.mode == inCommands && c.defect {
		// The end stands in for the rest of the message. The x makes it an end whatever
		// state go-smtp's own reader is in.
		c.pending = []byte("x" + endMark)
	}
	if n == 0 || len(p) >= len(c.scratch) {
		if n == 0 {
			return c.Read(p)
		}
		return n, nil
	}
	done := copy(p, buf[:n])
	c.pending = append(bytes.Clone(buf[done:n]), c.pending...)
	return done, nil
}

// chunks is a message that comes by BDAT (RFC 3030 §2), as the session reads it. It answers
// each chunk but the last when it goes on to the next.
type chunks struct{ c *conn }

// Read reads the message across its chunks.
func (r chunks) Read(p []byte) (int, error) {
	c := r.c
	for c.left == 0 {
		if c.cmd.final {
			c.defect = c.defect || c.check.cr
			return 0, io.EOF
		}
		c.say(250, "2.0.0 "+strconv.FormatInt(c.cmd.size, 10)+" bytes received")
		if !c.nextChunk() {
			c.cut = true
			return 0, io.ErrUnexpectedEOF
		}
	}
	c.mode = inChunk
	defer func() { c.mode = inCommands }()
	chunk, err := c.available(int(min(int64(len(p)), c.left)))
	if err != nil {
		return 0, c.broken(err)
	}
	for _, b := range chunk {
		c.defect = !c.check.next(b) || c.defect
	}
	n := copy(p, chunk)
	return n, c.take(n)
}

// take counts n bytes of a chunk as read.
func (c *conn) take(n int) error {
	c.in.Discard(n)
	c.left -= int64(n)
	c.wire += int64(n)
	if c.wire > drainFactor*c.srv.cfg.Limits.MessageBytes {
		return c.broken(errDrainedUp)
	}
	return nil
}

// nextChunk reads commands until the next chunk begins. It reports false when another command
// gives the message up; that command is kept for go-smtp.
func (c *conn) nextChunk() bool {
	for !c.closing && !c.dead {
		line, err := c.command(maxCommand)
		if err != nil {
			c.tolerate(err)
			continue
		}
		cmd, a := parseCommand(line, c.srv.cfg.Limits.MessageBytes)
		switch {
		case a != nil:
			c.give(a)
		case cmd.verb == "BDAT":
			c.cmd, c.left = cmd, cmd.size
			return true
		case cmd.verb == "NOOP":
			c.idleCommand()
			c.give(&answer{250, "2.0.0 OK", false})
		case cmd.verb == "RSET" || cmd.verb == "EHLO" || cmd.verb == "HELO" || cmd.verb == "QUIT":
			c.held = &cmd
			return false
		default:
			c.say(503, outOfOrder)
		}
	}
	return false
}

// skipChunk drops what is left of a chunk that nobody wants, and ends the message for go-smtp.
func (c *conn) skipChunk() error {
	c.mode = inChunk
	defer func() { c.mode = inCommands }()
	for c.left > 0 {
		chunk, err := c.available(int(min(4096, c.left)))
		if err == nil {
			err = c.take(len(chunk))
		} else {
			err = c.broken(err)
		}
		if err != nil {
			return err
		}
	}
	c.chunked, c.pending = false, []byte("x"+endMark)
	return nil
}

// available waits for bytes and returns up to most of them without taking them.
func (c *conn) available(most int) ([]byte, error) {
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	return c.in.Peek(min(most, c.in.Buffered()))
}

// broken ends a connection in the middle of a message. The error is never io.EOF: go-smtp
// takes that for the end of a chunk, and a message that was cut short would be accepted.
func (c *conn) broken(err error) error {
	c.cut = true
	c.tolerate(err)
	return net.ErrClosed
}

// newMessage forgets the message before.
func (c *conn) newMessage() {
	c.defect, c.cut = false, false
	c.check, c.wire, c.noops = strict{}, 0, 0
	c.txBy = time.Now().Add(c.srv.cfg.Timeouts.Transaction)
}

// fill reads the network for the buffer: replies go out first, and the deadline is ours.
type fill struct{ c *conn }

// Read waits for bytes until the connection's deadline.
func (f fill) Read(p []byte) (int, error) {
	c := f.c
	if err := c.flush(); err != nil {
		return 0, err
	}
	for {
		by := c.deadline()
		c.raw.SetReadDeadline(by)
		// Shutdown sets draining before it wakes us, and we look after setting the deadline:
		// one of the two is always seen.
		if c.srv.draining.Load() && c.idle() {
			return 0, errDraining
		}
		n, err := c.stream.Read(p)
		if n > 0 {
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && c.srv.draining.Load() && time.Now().Before(by) {
			continue // woken by Shutdown in a transaction
		}
		if err != nil {
			return 0, err
		}
	}
}

// idle reports whether cutting the connection now would cost nobody anything.
func (c *conn) idle() bool { return c.txBy.IsZero() }

func (c *conn) deadline() time.Time {
	by := c.commandBy
	if c.mode != inCommands {
		by = time.Now().Add(c.srv.cfg.Timeouts.Data)
	}
	if c.session == nil || c.session.submitter == "" {
		by = earlier(by, c.loginBy)
	}
	if !c.txBy.IsZero() {
		by = earlier(by, c.txBy)
	}
	return by
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Write takes go-smtp's replies, a line at a time, and sends ours in the place of some.
func (c *conn) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	for {
		i := bytes.Index(c.partial, []byte("\r\n"))
		if i < 0 {
			return len(p), nil
		}
		line := string(c.partial[:i])
		c.partial = c.partial[i+2:]
		if len(line) > 3 && line[3] == '-' {
			continue // only EHLO has several lines, and its reply is ours
		}
		code, err := strconv.Atoi(line[:min(3, len(line))])
		if err != nil {
			continue
		}
		c.reply(code, strings.TrimPrefix(line[3:], " "))
	}
}

// reply sends the reply to the command, in our words where go-smtp's are its own.
func (c *conn) reply(code int, text string) {
	if !c.greeted { // ours went out in open
		c.greeted = true
		return
	}
	switch verb := c.cmd.verb; {
	case c.held != nil: // the reply to a message that was given up; the command's own follows
		return
	case verb == "BDAT" && code == 354: // nobody asked
		return
	case (verb == "EHLO" || verb == "HELO") && code == 250:
		c.greet(true)
		return
	case code == 502 && strings.Contains(" MAIL RCPT DATA BDAT AUTH ", " "+verb+" "):
		code, text = 503, outOfOrder
	case verb == "MAIL" && code == 250:
		text = "2.1.0 OK"
	case verb == "RCPT" && code == 250:
		text = "2.1.5 OK"
	case verb == "DATA" && code == 354:
		text = "End the message with <CRLF>.<CRLF>"
	case verb == "AUTH" && code == 235:
		text = "2.7.0 Signed in"
	case verb == "AUTH" && code == 454: // go-smtp's only: bad base64
		code, text = 501, "5.5.2 Not base64"
	case (verb == "NOOP" || verb == "RSET") && code == 250:
		text = "2.0.0 OK"
	}
	c.say(code, text)
}

// greet answers EHLO and HELO (RFC 5321 §4.1.1.1).
func (c *conn) greet(inside bool) {
	lines := []string{c.srv.cfg.Hostname}
	if c.cmd.verb == "EHLO" {
		lines = append(lines, "PIPELINING", "SIZE "+strconv.FormatInt(c.srv.cfg.Limits.MessageBytes, 10),
			"8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES")
		if inside {
			lines = append(lines, "AUTH PLAIN LOGIN")
		} else {
			lines = append(lines, "STARTTLS")
		}
	}
	for i, l := range lines {
		if i < len(lines)-1 {
			c.out = append(c.out, "250-"+l+"\r\n"...)
		}
	}
	c.say(250, lines[len(lines)-1])
}

// give sends an answer of ours.
func (c *conn) give(a *answer) {
	if c.closing {
		return
	}
	c.say(a.code, a.text)
	c.closing = c.closing || a.close
}

// say queues a reply. 421 is always the last (RFC 5321 §3.8).
func (c *conn) say(code int, text string) {
	if c.dead || c.closing {
		return
	}
	c.code = code
	c.out = append(c.out, strconv.Itoa(code)+" "+text+"\r\n"...)
	c.closing = code == 421
	if code >= 500 && code < 510 {
		if c.bad++; c.bad >= maxBad && !c.closing {
			c.srv.cfg.Log.Warn("too many bad commands", "conn", c.serial, "code", 421)
			c.say(421, "4.7.0 Too many bad commands")
		}
	}
	if len(c.out) > flushAt || code < 400 && code >= 300 {
		c.flush() // the client waits for a 354 however long the door takes to read
	}
}

// flush sends the queued replies.
func (c *conn) flush() error {
	if len(c.out) == 0 || c.dead {
		c.out = nil
		return nil
	}
	c.raw.SetWriteDeadline(time.Now().Add(c.srv.cfg.Timeouts.Write))
	_, err := c.stream.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.dead = true
	}
	return err
}

// wake makes a Read in progress look at the server's state.
func (c *conn) wake() { c.raw.SetReadDeadline(time.Unix(1, 0)) }

// Close sends what is queued and ends the connection. It may be called more than once, from
// the goroutine that reads.
func (c *conn) Close() error {
	var err error
	c.closed.Do(func() {
		c.flush()
		c.cancel()
		if c.dead {
			err = c.raw.Close()
		} else {
			err = c.stream.Close()
		}
		c.srv.release(c)
	})
	return err
}

// LocalAddr returns our end.
func (c *conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns the client's end.
func (c *conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline does nothing: deadlines are the conn's own.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: deadlines are the conn's own.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: deadlines are the conn's own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

var _ io.ReadWriteCloser = (*conn)(nil)
