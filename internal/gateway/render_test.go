package gateway

import (
	"io"
	"strings"
	"testing"
)

// A body that came encoded, or from a file, may end in the middle of a line; no copy does.
func TestEveryCopyEndsItsLastLine(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	head, _, _ := strings.Cut(letterTo("Tuesday", "", clientAt(0)), "\r\n\r\n")
	for _, msg := range []string{
		head + "\r\n\r\nSee you",
		head + "\r\n\r\nSee you\r\n",
		head + "\r\nContent-Transfer-Encoding: base64\r\n\r\nU2VlIHlvdQ==\r\n",
	} {
		msg = strings.Replace(msg, "Content-Type: text/plain", "Content-Type: text/html", 1)
		a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", Mail: strings.NewReader(msg), Size: int64(len(msg))})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if len(a.Messages) != 1 {
			t.Fatalf("%+v", a)
		}
		out, err := io.ReadAll(io.NewSectionReader(a.Messages[0].Copy, 0, a.Messages[0].Copy.Size()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(out), "\r\n") || strings.HasSuffix(string(out), "\r\n\r\n\r\n") {
			t.Errorf("ends with %q", out[max(0, len(out)-30):])
		}
	}
}
