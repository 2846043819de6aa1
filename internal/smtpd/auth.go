package smtpd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// signInTime bounds one look-up of credentials.
const signInTime = 30 * time.Second

// signIn checks a name and a password. The password goes nowhere else.
func (s *session) signIn(name, password string) error {
	ip := capKey(s.conn.addr.Addr())
	if s.srv.tries.blocked(ip, name) {
		s.srv.cfg.Log.Warn("sign-in refused", "conn", s.conn.serial, "reason", "too many tries", "code", 421)
		return tooManyTries()
	}
	ctx, cancel := context.WithTimeout(s.conn.ctx, signInTime)
	defer cancel()
	if len(name) > 255 || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		name = ""
	}
	submitter, err := s.srv.cfg.Door.SignIn(ctx, name, password)
	if err == nil && (submitter == "" || name == "" || password == "") {
		err = fault.New(fault.Unauthenticated, "")
	}
	if err == nil {
		s.srv.tries.succeeded(ip, name)
		s.submitter = submitter
		return nil
	}
	r := replyTo(err, atSignIn, "")
	s.srv.cfg.Log.Info("sign-in failed", "conn", s.conn.serial, "kind", fault.KindOf(err).String(), "code", r.Code)
	if r.Code != 535 {
		return r
	}
	s.srv.tries.failed(ip, name, password)
	if s.conn.failedSignIns++; s.conn.failedSignIns >= maxSignIns {
		return tooManyTries()
	}
	return r
}

func tooManyTries() *smtp.SMTPError {
	return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many failed sign-ins. Try again later."}
}

// guarded keeps what a mechanism says to replies of ours, and a panic to its connection.
type guarded struct {
	s     *session
	inner sasl.Server
}

// Next takes one response of the client.
func (g guarded) Next(response []byte) (challenge []byte, done bool, err error) {
	var id mail.ID
	defer g.s.guard(&err, &id)
	challenge, done, err = g.inner.Next(response)
	if err == nil {
		return challenge, done, nil
	}
	if r, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return nil, false, r
	}
	return nil, false, &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "This is not a response of that mechanism"}
}

// loginServer is AUTH LOGIN, which go-sasl has for clients only. Some mail apps know no other.
type loginServer struct {
	signIn func(name, password string) error
	name   string
	named  bool
	asked  bool
}

// Next takes the name, then the password.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case !l.named:
		l.asked, l.named, l.name = true, true, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.signIn(l.name, string(response))
}

// Failures before the first wait, and the longest wait.
const (
	freeTriesIP   = 20
	freeTriesName = 10
	longestWait   = 15 * time.Minute
	forgetTries   = time.Hour
	rememberGood  = 30 * 24 * time.Hour
	maxTries      = 10_000 // entries
)

// limiter slows down guessing: after a number of failures an address, or a name, waits, each
// time twice as long. A name still signs in from an address where it did before, so nobody can
// lock a practitioner out by guessing at her name.
type limiter struct {
	now    func() time.Time
	secret []byte // for telling passwords apart without keeping them
	mu     sync.Mutex
	keys   map[string]*tries
}

type tries struct {
	failures int
	until    time.Time // blocked
	keep     time.Time // forgotten after
}

func newLimiter(now func() time.Time) *limiter {
	l := &limiter{now: now, secret: make([]byte, 32), keys: map[string]*tries{}}
	rand.Read(l.secret)
	return l
}

func limiterKeys(ip netip.Addr, name string) (byIP, byName, good string) {
	name = strings.ToLower(name[:min(len(name), 255)])
	return "ip " + ip.String(), "name " + name, "good " + ip.String() + " " + name
}

func (l *limiter) blocked(ip netip.Addr, name string) bool {
	byIP, byName, good := limiterKeys(ip, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	waits := func(key string) bool { t := l.keys[key]; return t != nil && now.Before(t.until) }
	known := l.keys[good]
	return waits(byIP) || waits(byName) && (known == nil || now.After(known.keep))
}

// failed counts a failure, but the same wrong password of the same name only once an hour: a
// phone that was left with an old one tries it for ever, guesses nothing, and must not lock out
// everybody who shares its address.
func (l *limiter) failed(ip netip.Addr, name, password string) {
	byIP, byName, _ := limiterKeys(ip, name)
	h := hmac.New(sha256.New, l.secret)
	fmt.Fprintf(h, "%q %q %q", ip, strings.ToLower(name), password)
	same := "same " + string(h.Sum(nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if t := l.keys[same]; t != nil && now.Before(t.keep) {
		return
	}
	l.room(now)
	l.keys[same] = &tries{keep: now.Add(forgetTries)}
	l.count(byIP, freeTriesIP)
	l.count(byName, freeTriesName)
}

func (l *limiter) count(key string, free int) {
	now := l.now()
	t := l.keys[key]
	if t == nil || now.After(t.keep) {
		l.room(now)
		t = &tries{}
		l.keys[key] = t
	}
	t.failures++
	t.keep = now.Add(forgetTries)
	if over := t.failures - free; over >= 0 {
		t.until = now.Add(min(longestWait, time.Second<<min(over, 10)))
	}
}

func (l *limiter) succeeded(ip netip.Addr, name string) {
	_, byName, good := limiterKeys(ip, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	delete(l.keys, byName)
	if l.keys[good] == nil {
		l.room(now)
		l.keys[good] = &tries{}
	}
	l.keys[good].keep = now.Add(rememberGood)
}

// room keeps the table bounded: forgotten entries go first, then any.
func (l *limiter) room(now time.Time) {
	if len(l.keys) < maxTries {
		return
	}
	for k, t := range l.keys {
		if now.After(t.keep) && now.After(t.until) {
			delete(l.keys, k)
		}
	}
	for k := range l.keys { // an eighth at once, so that a flood pays for the search itself
		if len(l.keys) < maxTries*7/8 {
			return
		}
		delete(l.keys, k)
	}
}
