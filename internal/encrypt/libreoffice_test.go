package encrypt

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// officeJob is a document for LibreOffice.
type officeJob struct {
	Path     string `json:"path"`
	Password string `json:"password,omitempty"`
	PDF      string `json:"pdf,omitempty"`

	Text, Error string `json:"-"`
}

// peerLibreOffice opens documents in LibreOffice. It takes seconds to start: one test asks for all.
func peerLibreOffice(t *testing.T, jobs []*officeJob) {
	t.Helper()
	peerProgram(t, "soffice")
	if err := exec.Command("/usr/bin/python3", "-c", "import uno").Run(); err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal("python3-uno: ", err)
		}
		t.Skip("python3-uno is not installed")
	}
	var in, out, log bytes.Buffer
	for _, j := range jobs {
		if err := json.NewEncoder(&in).Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/libreoffice.py", t.TempDir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	dec := json.NewDecoder(&out)
	for _, j := range jobs {
		var answer struct{ Text, Error string }
		if err := dec.Decode(&answer); err != nil {
			t.Fatalf("%v\n%s", err, log.Bytes())
		}
		j.Text, j.Error = answer.Text, answer.Error
	}
}

func TestPeerLibreOfficeOpensOffice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const words = "łąka copper orbit most"
	var good, bad []*officeJob
	for name, content := range smallOffice(t, "Tuesday at ten, wtorek, вторник, 火曜日") {
		path := put("a."+name, lockOfficeBytes(t, content, words))
		good = append(good, &officeJob{Path: path, Password: words})
		bad = append(bad, &officeJob{Path: path}, &officeJob{Path: path, Password: badWords})
	}
	l := letterOfScripts()
	letter := &officeJob{Path: put("letter.docx", docxBytes(t, l))}
	// Metadata goes, the pages stay.
	dirty := documentToClean(t)
	clean, removed, err := cleanBytes(dirty)
	if err != nil || len(removed) == 0 {
		t.Fatalf("%q %v", removed, err)
	}
	pages := []*officeJob{{Path: put("dirty.docx", dirty), PDF: filepath.Join(dir, "dirty.pdf")}, {Path: put("clean.docx", clean), PDF: filepath.Join(dir, "clean.pdf")}}
	peerLibreOffice(t, slices.Concat(good, bad, []*officeJob{letter}, pages))
	if before, after := pages[0], pages[1]; before.Error != "" || after.Error != "" || !strings.Contains(before.Text, "Tuesday at ten") || before.Text != after.Text {
		t.Errorf("cleaned: %+v, %+v", before, after)
	} else {
		var drawn [2][]byte
		for i, j := range pages {
			b, err := os.ReadFile(j.PDF)
			if err != nil {
				t.Fatal(err)
			}
			drawn[i] = peerPixels(t, b)
		}
		samePixels(t, drawn[0], drawn[1])
	}
	if want := withAddresses(l); letter.Text != want {
		t.Errorf("the letter: %s, got\n%s\nwant\n%s", letter.Error, letter.Text, want)
	}
	for _, j := range good {
		if strings.TrimSpace(j.Text) != "Tuesday at ten, wtorek, вторник, 火曜日" {
			t.Errorf("%s with the words: %q %s", filepath.Ext(j.Path), j.Text, j.Error)
		}
	}
	for _, j := range bad {
		if j.Error == "" || j.Text != "" {
			t.Errorf("%s with the words %q: %q", filepath.Ext(j.Path), j.Password, j.Text)
		}
	}
}
