package mail

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

// TestGoMessageAgrees reads what we write with go-message, which does not enter embedded
// messages.
func TestGoMessageAgrees(t *testing.T) {
	t.Parallel()
	for _, s := range sampleMails() {
		for _, d := range []Draft{{}, bothLines} {
			out, err := writeBytes(t, parseBytes(t, []byte(s)), d)
			if err != nil {
				t.Fatal(err)
			}
			e, err := message.Read(bytes.NewReader(out))
			if err != nil && !message.IsUnknownCharset(err) {
				t.Fatal(err)
			}
			if got, want := goMessageShape(t, e), outerShape(parseBytes(t, out).Root); got != want {
				t.Errorf("go-message reads %s, we read %s", got, want)
			}
		}
	}
}

func goMessageShape(t *testing.T, e *message.Entity) string {
	t.Helper()
	mediaType, _, err := e.Header.ContentType()
	if err != nil {
		t.Error(err)
	}
	mr := e.MultipartReader()
	if mr == nil {
		return mediaType
	}
	var kids []string
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return mediaType + "(" + strings.Join(kids, " ") + ")"
		}
		if err != nil && !message.IsUnknownCharset(err) {
			t.Fatal(err)
		}
		kids = append(kids, goMessageShape(t, p))
	}
}

// outerShape is shape without what is inside embedded messages.
func outerShape(p *Part) string {
	if len(p.Parts) == 0 || p.isMessage() {
		return p.MediaType
	}
	var kids []string
	for _, c := range p.Parts {
		kids = append(kids, outerShape(c))
	}
	return p.MediaType + "(" + strings.Join(kids, " ") + ")"
}
