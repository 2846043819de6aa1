package mail

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// peerCorpus returns the directory of the mail corpus, which is not part of the repository.
func peerCorpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CORPUS")
	if dir == "" {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal("CORPUS is not set")
		}
		t.Skip("CORPUS is not set")
	}
	return dir
}

// readdressed returns a corpus message with CRLF line ends and with invented people in its
// header.
func readdressed(t *testing.T, b []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(CanonicalLines(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
	var out bytes.Buffer
	out.WriteString("From: Maya Stone <maya@willowhouse.example>\r\nTo: anna@example.org, ben@example.org, cara@example.org\r\n")
	drop := false
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(strings.ToLower(string(line)), ":")
			switch name = strings.TrimSpace(name); name {
			case "from", "to", "cc", "bcc", "sender", "reply-to", "return-path":
				drop = true
			default:
				drop = strings.HasPrefix(name, "resent-") || strings.HasPrefix(name, "from ")
			}
		}
		if !drop {
			out.Write(line)
			out.WriteString("\r\n")
		}
	}
	if found {
		out.WriteString("\r\n")
		out.Write(body)
	}
	return out.Bytes()
}

func corpusFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(peerCorpus(t), "*", "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus messages: %v", err)
	}
	return files
}
