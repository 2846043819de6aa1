package differ

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/mail"
)

const top = "From: Maya Okafor <maya@willowhouse.example>\nTo: quillonia@canary-one.example\nSubject: Tuesday\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n"

// madeSeeds are messages of the usual shapes. Where there is a corpus, its messages come on top.
func madeSeeds() []string {
	return []string{
		top + "Content-Type: text/plain; charset=utf-8\n\nHello there,\nsee you on Tuesday at ten.\n\nMaya\n",
		top + "Content-Type: text/plain; charset=\"iso-8859-1\"\nContent-Transfer-Encoding: quoted-printable\n\nA caf=E9 on the corner, a long line that is broken here =\nand goes on.\n",
		top + "Content-Type: multipart/alternative; boundary=\"alt-1\"\n\n--alt-1\nContent-Type: text/plain; charset=utf-8; format=flowed\n\nHello \nthere.\n--alt-1\n" +
			"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGh0bWw+PGJvZHk+PHA+SGVsbG8gdGhlcmUuPC9wPjwvYm9keT48L2h0bWw+\n--alt-1--\n",
		top + "Content-Type: multipart/mixed; boundary=mix\n\nThis is a multi-part message in MIME format.\n--mix\nContent-Type: multipart/related; boundary=rel; type=\"text/html\"\n\n--rel\nContent-Type: text/html; charset=us-ascii\n\n" +
			"<p>Hello <img src=\"cid:a@example.org\"></p>\n--rel\nContent-Type: image/png; name=\"a.png\"\nContent-ID: <a@example.org>\nContent-Transfer-Encoding: base64\nContent-Disposition: inline; filename=\"a.png\"\n\n" +
			"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\n--rel--\n--mix\nContent-Type: application/octet-stream; name=notes.bin\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment;\n filename=notes.bin\n\nAAECAwQFBgcICQ==\n--mix--\n",
		top + "Content-Type: multipart/mixed; boundary=fwd\n\n--fwd\nContent-Type: text/plain\n\nAs we said.\n--fwd\nContent-Type: message/rfc822\nContent-Disposition: attachment; filename=\"mail.eml\"\n\n" +
			"From: office@willowhouse.example\nTo: maya@willowhouse.example\nSubject: room\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nThe room is free.\n--fwd--\n",
		top + "Content-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\nxOO6w6OsstyyvL34o6zO0sPH0NDG2rb+vPuhow0K\n",
		top + "Content-Type: multipart/mixed; boundary=\"=_p\"\n\n--=_p\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: 8bit\n\nShe said \x93yes\x94 \x96 good.\n--=_p\n" +
			"Content-Type: text/csv; name*=utf-8''w%C3%B6rter.csv\nContent-Disposition: attachment; filename*0=\"a long \"; filename*1=\"name.csv\"\n\na,b\n1,2\n--=_p--\n",
		top + "Content-Type: multipart/digest; boundary=dig\n\n--dig\n\nSubject: one\n\nfirst\n--dig\n\nSubject: two\nContent-Type: text/html\n\n<p>second</p>\n--dig--\n",
	}
}

// seeds returns what mutants are made of: our own messages and, where CORPUS names it, the corpus.
func seeds(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	for _, s := range madeSeeds() {
		out = append(out, []byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	dir := os.Getenv("CORPUS")
	if dir == "" {
		return out
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages in CORPUS: %v", err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) < 200_000 { // mutants of larger ones cost minutes and find nothing else
			out = append(out, readdressed(t, raw))
		}
	}
	return out
}

// canonical returns a message as SMTP would have brought it: with CRLF line ends.
func canonical(t *testing.T, raw []byte) []byte {
	t.Helper()
	raw, err := io.ReadAll(mail.CanonicalLines(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// readdressed returns a message with CRLF line ends, written by maya to the client.
func readdressed(t *testing.T, raw []byte) []byte {
	t.Helper()
	raw = canonical(t, raw)
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	var out bytes.Buffer
	out.WriteString("From: Maya Okafor <maya@willowhouse.example>\r\nTo: quillonia@canary-one.example\r\n")
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
