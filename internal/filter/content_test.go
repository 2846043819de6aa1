package filter

import (
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/mail"
)

// TestMentionsInAFile reads the text inside an attached file for word lists, but not for the
// danger words: these count only in what the sender writes now.
func TestMentionsInAFile(t *testing.T) {
	t.Parallel()
	const src = "From: maya@willowhouse.example\r\nTo: anna@example.org\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\nAs attached.\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.rtf\r\n\r\n" +
		"{\\rtf1 The diag\\'6eosis is new.}\r\n--b--\r\n"
	m, err := mail.Parse(strings.NewReader(src), int64(len(src)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(attachedTexts(m), func(s string) bool { return strings.Contains(s, "diagnosis") }) {
		t.Error("the text inside the file is not read")
	}
	for name, want := range map[string]bool{"care_words": true, DangerWords: false} {
		list, err := NewWordList(name, []string{"diagnosis"})
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Input{Mail: m}).mentions(list); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !strings.Contains(m.NewText(), "As attached") {
		t.Error("the letter itself is lost")
	}
}
