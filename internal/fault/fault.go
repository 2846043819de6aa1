// Package fault names the kinds of failure that the gateway knows, once, for every edge.
//
// Code that can tell why something failed wraps the cause in an [Error]; each edge (SMTP,
// HTTP, the command line) maps the kind in one table. What nobody classified is [Internal]:
// transient and mute. The package never decides a reply by looking at error text.
package fault

import (
	"errors"
	"fmt"
)

// Kind classifies a failure by what the other side can do about it.
type Kind uint8

// The kinds. The zero value is Internal, so an error that nobody classified is never
// mistaken for the sender's fault.
const (
	Internal        Kind = iota // our trouble, cause not classified
	Unavailable                 // something that we need cannot be reached or read right now
	RateLimited                 // too much, too fast
	Invalid                     // the request or the content is malformed
	TooLarge                    // over a size or count limit
	Unauthenticated             // nobody signed in, or with wrong credentials
	Forbidden                   // signed in, but may not do this
	NotFound                    // no such thing
	Conflict                    // the state changed meanwhile
	Rejected                    // refused by policy
	kindEnd
)

var kindNames = [...]string{"internal", "unavailable", "rate-limited", "invalid", "too-large",
	"unauthenticated", "forbidden", "not-found", "conflict", "rejected"}

// String returns the kind's name as used in logs and audit rows.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Kinds returns every kind, for tests that range over a table.
func Kinds() []Kind {
	out := make([]Kind, 0, kindEnd)
	for k := Internal; k < kindEnd; k++ {
		out = append(out, k)
	}
	return out
}

// Status is an SMTP reply: a three-digit code (RFC 5321 §4.2) with the subject and detail of
// an enhanced status code (RFC 3463). The class digit is the first digit of Code; it is
// derived, so that the two can never disagree.
type Status struct {
	Code    int `json:"code"`
	Subject int `json:"subject"`
	Detail  int `json:"detail"`
}

// Class returns the class digit of the enhanced status code: 2, 4 or 5.
func (s Status) Class() int { return s.Code / 100 }

// IsZero reports whether no status was set.
func (s Status) IsZero() bool { return s.Code == 0 }

// Enhanced returns the enhanced status code, for example "5.7.1".
func (s Status) Enhanced() string {
	return fmt.Sprintf("%d.%d.%d", s.Class(), s.Subject, s.Detail)
}

// Error is a classified failure. Public is safe to show to the other side: it says what to
// do next and holds no message content, no name and no address of a client. Err is the
// cause, for logs of codes only.
type Error struct {
	Kind   Kind
	Status Status // zero: the edge's table decides from Kind
	Public string
	Err    error
}

// Error returns the public text and the cause.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Public
	case e.Public == "":
		return e.Kind.String() + ": " + e.Err.Error()
	}
	return e.Public + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns a classified failure with a public text and no cause.
func New(k Kind, public string) *Error { return &Error{Kind: k, Public: public} }

// Wrap classifies err; public may be empty. Wrap(k, p, nil) is nil.
func Wrap(k Kind, public string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Public: public, Err: err}
}

// KindOf returns the kind of the outermost [Error] in err's chain; Internal if there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
