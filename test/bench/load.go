package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The messages are an everyday mail to one client. The subject is one that the shipped
// policies replace, so that a copy that kept it shows that they were not in force.
const (
	subject  = "Notes from our session about the move"
	clients  = 1000
	answerIn = time.Minute // bound on one reply
	tries    = 3           // connections that one worker may lose
)

// load is one run's work.
type load struct {
	connections, messages, size int
	patience                    time.Duration // bound on silence at the sink while mail is under way
}

// result is what one run showed.
type result struct {
	acked, refused int
	lost, twice    int
	accepted       float64 // a second
	delivered      float64 // a second
	wait           percentiles
	endToEnd       percentiles
	drain          time.Duration // from the last 250 to the last arrival
	cpu            float64       // ms a message
	tokens         []string      // answered 250
	unanswered     []string      // sent, and not answered 250
	kinds          map[string]int
}

// trouble names what went wrong, for the progress line.
func (r result) trouble() string {
	var b strings.Builder
	for kind, n := range r.kinds {
		fmt.Fprintf(&b, "  [%d× %s]", n, kind)
	}
	if r.lost+r.twice > 0 {
		fmt.Fprintf(&b, "  LOST %d, TWICE %d", r.lost, r.twice)
	}
	return b.String()
}

// percentiles of a latency.
type percentiles struct{ p50, p99 time.Duration }

func percentilesOf(all []time.Duration) percentiles {
	if len(all) == 0 {
		return percentiles{}
	}
	slices.Sort(all)
	at := func(p int) time.Duration { return all[min(len(all)-1, len(all)*p/100)] }
	return percentiles{p50: at(50), p99: at(99)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// sent is one message of a run.
type sent struct {
	token string
	begun time.Time
	wait  time.Duration
	acked bool
}

// measure submits l over connections that are open before the clock starts, waits until all
// that was accepted is at the sink, and reads the server's CPU time around both.
func measure(ctx context.Context, sv *server, drain *sink, certs certificate, l load) (result, error) {
	res := result{kinds: map[string]int{}}
	sessions := make([]*session, l.connections)
	defer func() {
		for _, c := range sessions {
			c.quit()
		}
	}()
	for i := range sessions {
		c, err := dial(ctx, sv, certs)
		if err != nil {
			return res, err
		}
		sessions[i] = c
	}
	before, err := sv.usage()
	if err != nil {
		return res, err
	}

	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	all := make([]sent, l.messages)
	start := time.Now()
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			left := tries
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(all) {
					return
				}
				m := &all[n]
				m.token = run + "-" + strconv.Itoa(n)
				err := sessions[i].send(sv.from, recipient(n), compose(sv.from, n, m.token, l.size), m)
				if err == nil {
					continue
				}
				mu.Lock()
				res.kinds[kindOf(err)]++
				mu.Unlock()
				var answer replyError
				if errors.As(err, &answer) {
					continue
				}
				sessions[i].quit()
				if left--; left == 0 {
					return
				}
				c, err := dial(ctx, sv, certs)
				if err != nil {
					return
				}
				sessions[i] = c
			}
		})
	}
	wg.Wait()
	ended := time.Now()

	var waits []time.Duration
	for _, m := range all {
		switch {
		case m.acked:
			res.acked++
			res.tokens = append(res.tokens, m.token)
			waits = append(waits, m.wait)
		default:
			res.refused++
			if m.token != "" {
				res.unanswered = append(res.unanswered, m.token)
			}
		}
	}
	res.wait = percentilesOf(waits)
	res.accepted = float64(res.acked) / ended.Sub(start).Seconds()
	if err := drain.await(ctx, res.tokens, l.patience); err != nil {
		return res, err
	}
	after, err := sv.usage()
	if err != nil {
		return res, err
	}
	last := start
	var trips []time.Duration
	for _, m := range all {
		if !m.acked {
			continue
		}
		a := drain.when(m.token)
		if a.times == 0 {
			res.lost++
			continue
		}
		if a.times > 1 {
			res.twice++
		}
		if a.first.After(last) {
			last = a.first
		}
		trips = append(trips, a.first.Sub(m.begun))
	}
	res.endToEnd = percentilesOf(trips)
	if res.acked > 0 {
		res.delivered = float64(res.acked-res.lost) / last.Sub(start).Seconds()
		res.cpu = ms(after.cpu-before.cpu) / float64(res.acked)
		res.drain = max(0, last.Sub(ended))
	}
	return res, nil
}

// recipient returns the address of the client that message n goes to.
func recipient(n int) string { return fmt.Sprintf("client%04d@example.org", n%clients) }

// compose returns message n, dot included: text of about size bytes. No line starts with a
// dot, so nothing needs stuffing.
func compose(from string, n int, token string, size int) []byte {
	b := make([]byte, 0, size+128)
	b = fmt.Appendf(b, "From: Maya Okafor <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@mailapp.example>\r\n",
		from, recipient(n), subject, time.Now().Format(time.RFC1123Z), token)
	b = append(b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello,\r\n\r\n"...)
	b = append(b, tokenField+token+"\r\n\r\n"...)
	const line = "Thank you for coming on Tuesday. We looked at the list you brought along\r\nand agreed which two things to try before we meet again next week.\r\n"
	for len(b) < size-len(line)/2 {
		b = append(b, line...)
	}
	return append(b, "\r\nMaya\r\n.\r\n"...)
}

// replyError is an answer other than the one hoped for; the session goes on.
type replyError struct {
	code int
	text string
}

func (e replyError) Error() string { return fmt.Sprintf("%d %s", e.code, e.text) }

// kindOf groups failures: the code and text without ids, or the failure of the connection.
func kindOf(err error) string {
	var answer replyError
	if errors.As(err, &answer) {
		words := strings.Fields(answer.text)
		return strconv.Itoa(answer.code) + " " + strings.Join(words[:min(len(words), 6)], " ")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// session is one connection of a mail app.
type session struct {
	conn *tls.Conn
	r    *bufio.Reader
}

// dial opens a session as a mail app does: implicit TLS with a verified certificate, EHLO,
// AUTH PLAIN.
func dial(ctx context.Context, sv *server, certs certificate) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{RootCAs: certs.pool, ServerName: "localhost"}}
	conn, err := d.DialContext(ctx, "tcp", sv.addr)
	if err != nil {
		return nil, err
	}
	c := &session{conn: conn.(*tls.Conn), r: bufio.NewReader(conn)}
	identity := base64.StdEncoding.EncodeToString([]byte("\x00" + sv.user + "\x00" + sv.pass))
	err = c.conn.SetDeadline(time.Now().Add(answerIn))
	if err == nil {
		err = c.expect(220)
	}
	if err == nil {
		err = c.command(250, "EHLO mailapp.example\r\n")
	}
	if err == nil {
		err = c.command(235, "AUTH PLAIN "+identity+"\r\n")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("sign in at %s: %w", sv.name, err)
	}
	return c, nil
}

// send submits one message. The clock for m.wait runs from the moment when the message,
// final dot included, is handed to the connection.
func (c *session) send(from, to string, body []byte, m *sent) error {
	m.begun = time.Now()
	if err := c.conn.SetDeadline(m.begun.Add(answerIn)); err != nil {
		return err
	}
	if err := c.command(250, "MAIL FROM:<"+from+">\r\n"); err != nil {
		return err
	}
	err := c.command(250, "RCPT TO:<"+to+">\r\n")
	if err == nil {
		err = c.command(354, "DATA\r\n")
	}
	if err != nil {
		var answer replyError
		if errors.As(err, &answer) {
			return errors.Join(err, c.command(250, "RSET\r\n"))
		}
		return err
	}
	dot := time.Now()
	if _, err := c.conn.Write(body); err != nil {
		return err
	}
	if err := c.expect(250); err != nil {
		return err
	}
	m.wait, m.acked = time.Since(dot), true
	return nil
}

func (c *session) command(code int, line string) error {
	if _, err := c.conn.Write([]byte(line)); err != nil {
		return err
	}
	return c.expect(code)
}

// expect reads one reply of any number of lines (RFC 5321 §4.2.1).
func (c *session) expect(code int) error {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if len(line) < 4 {
			return fmt.Errorf("not an SMTP reply: %q", line)
		}
		if line[3] == '-' {
			continue
		}
		got, err := strconv.Atoi(line[:3])
		if err != nil {
			return fmt.Errorf("not an SMTP reply: %q", line)
		}
		if got != code {
			return replyError{code: got, text: strings.TrimSpace(line[4:])}
		}
		return nil
	}
}

// quit ends the session, politely if the other side still listens.
func (c *session) quit() {
	if c == nil {
		return
	}
	c.conn.SetDeadline(time.Now().Add(time.Second))
	c.conn.Write([]byte("QUIT\r\n"))
	c.expect(221)
	c.conn.Close()
}
