package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// tokenField opens the line of the body that names a message. The gateway makes its own
// Message-ID, so the body is what says which message arrived.
const tokenField = "Reference: bench-"

// sink is the smarthost of both servers: it takes everything, keeps nothing but the number
// of times that each token arrived and when first.
type sink struct {
	ln net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	seen    map[string]arrival
	strange int // messages without a token, such as notices and bounces
	copied  string
	changed chan struct{} // closed and replaced at every arrival that somebody waits for
	waiting bool
}

// arrival says how often a message came and when first.
type arrival struct {
	times int
	first time.Time
}

// newSink listens on a free port of loopback.
func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, open: map[net.Conn]struct{}{}, seen: map[string]arrival{}, changed: make(chan struct{})}
	s.wg.Go(s.accept)
	return s, nil
}

func (s *sink) addr() string { return s.ln.Addr().String() }

// close ends the listener and every session and waits for them.
func (s *sink) close() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *sink) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.session(c)
			c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}

// session speaks just the SMTP that a relay needs (RFC 5321, RFC 2920).
func (s *sink) session(c net.Conn) {
	r, w := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	say := func(line string) bool {
		w.WriteString(line)
		w.WriteString("\r\n")
		// Replies to pipelined commands leave together.
		return r.Buffered() > 0 || w.Flush() == nil
	}
	if !say("220 sink.example ESMTP") {
		return
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		verb := string(bytes.ToUpper(line[:min(4, len(line))]))
		ok := true
		switch verb {
		case "EHLO":
			ok = say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0")
		case "DATA":
			w.WriteString("354 go on\r\n")
			if w.Flush() != nil || s.message(r) != nil {
				return
			}
			ok = say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			ok = say("250 2.0.0 ok")
		}
		if !ok {
			return
		}
	}
}

// message reads to the final dot and counts.
func (s *sink) message(r *bufio.Reader) error {
	var token string
	var whole []byte
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if string(line) == ".\r\n" {
			break
		}
		if token == "" {
			if rest, ok := bytes.CutPrefix(line, []byte(tokenField)); ok {
				token = string(bytes.TrimSpace(rest))
			}
		}
		if len(whole) < 16<<10 {
			whole = append(whole, line...)
		}
	}
	s.count(token, string(whole))
	return nil
}

func (s *sink) count(token, whole string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == "" {
		s.strange++
		return
	}
	a := s.seen[token]
	if a.times == 0 {
		a.first = time.Now()
	}
	a.times++
	s.seen[token] = a
	s.copied = whole
	if s.waiting {
		s.waiting = false
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// last returns the message that arrived last.
func (s *sink) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copied
}

// await returns when all tokens have arrived, or when nothing has arrived for patience.
func (s *sink) await(ctx context.Context, tokens []string, patience time.Duration) error {
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for i := 0; i < len(tokens); {
		s.mu.Lock()
		for i < len(tokens) && s.seen[tokens[i]].times > 0 {
			i++
		}
		s.waiting = i < len(tokens)
		changed := s.changed
		s.mu.Unlock()
		if i == len(tokens) {
			return nil
		}
		select {
		case <-changed:
			quiet.Reset(patience)
		case <-quiet.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// when returns the arrival of one message.
func (s *sink) when(token string) arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[token]
}

// odd returns how many messages came without a token.
func (s *sink) odd() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strange
}
