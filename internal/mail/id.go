package mail

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/oklog/ulid/v2"
)

// ID names one message everywhere: the reply, our Received field, every log line and row. It
// is a ULID: time-ordered, 26 characters, upper case.
type ID string

// NewID returns an id for that moment, with 80 bits read from entropy.
func NewID(t time.Time, entropy io.Reader) (ID, error) {
	if entropy == nil {
		return "", errors.New("mail: new id: no source of randomness")
	}
	u, err := ulid.New(ulid.Timestamp(t), entropy)
	if err != nil {
		return "", fmt.Errorf("mail: new id: %w", err)
	}
	return ID(u.String()), nil
}

// ParseID reads an id in its one canonical form.
func ParseID(s string) (ID, error) {
	u, err := ulid.ParseStrict(s)
	if err != nil {
		return "", fmt.Errorf("mail: parse id: %w", err)
	}
	if u.String() != s {
		return "", errors.New("mail: parse id: not upper case")
	}
	return ID(s), nil
}
