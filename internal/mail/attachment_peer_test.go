package mail

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// peerProgram returns a program that makes files as people attach them.
func peerProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(name + " is not installed")
	}
	return path
}

func runPeer(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

const peerDocument = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"
 xmlns:dc="http://purl.org/dc/elements/1.1/" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.KIND">
<office:meta><dc:title>Notes on Dora Finch</dc:title><meta:initial-creator>Gus Lane</meta:initial-creator></office:meta>
<office:body>BODY</office:body></office:document>`

// TestPeerLibreOffice reads what LibreOffice writes.
func TestPeerLibreOffice(t *testing.T) {
	t.Parallel()
	office := peerProgram(t, "soffice")
	qpdf := peerProgram(t, "qpdf")
	dir := t.TempDir()
	const lines = "<text:p>Write to ben.reed@example.org or phone 07700 900123.</text:p><text:p>Ren\u00e9e \u0141ukasz, difficult efficient office AVATAR</text:p>"
	for name, body := range map[string]string{
		"letter.fodt": "<office:text>" + lines + "</office:text>",
		"sheet.fods":  `<office:spreadsheet><table:table table:name="One"><table:table-row><table:table-cell office:value-type="string">` + lines + `</table:table-cell></table:table-row></table:table></office:spreadsheet>`,
	} {
		kind := map[bool]string{true: "text", false: "spreadsheet"}[strings.HasSuffix(name, ".fodt")]
		text := strings.Replace(strings.Replace(peerDocument, "KIND", kind, 1), "BODY", body, 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	profile := "-env:UserInstallation=file://" + filepath.Join(dir, "profile")
	for _, to := range []string{"docx", "odt", "rtf", "doc", "pdf"} {
		runPeer(t, dir, office, profile, "--headless", "--convert-to", to, "letter.fodt")
	}
	for _, to := range []string{"xlsx", "ods"} {
		runPeer(t, dir, office, profile, "--headless", "--convert-to", to, "sheet.fods")
	}
	runPeer(t, dir, qpdf, "--object-streams=generate", "letter.pdf", "packed.pdf")
	runPeer(t, dir, qpdf, "--stream-data=uncompress", "--object-streams=disable", "letter.pdf", "plain.pdf")
	runPeer(t, dir, qpdf, "--linearize", "letter.pdf", "linear.pdf")
	runPeer(t, dir, qpdf, "--encrypt", "", "owner", "256", "--", "letter.pdf", "locked.pdf")
	for _, name := range []string{"letter.docx", "letter.odt", "letter.rtf", "letter.doc", "letter.pdf", "sheet.xlsx", "sheet.ods",
		"packed.pdf", "plain.pdf", "linear.pdf"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text, held := insideOf(t, "application/octet-stream", name, b)
		if len(held) > 0 {
			t.Errorf("%s is held for %v", name, held)
		}
		for _, want := range []string{"ben.reed@example.org", "07700 900123", "Dora Finch", "Gus Lane", "difficult efficient office AVATAR", "Ren\u00e9e \u0141ukasz"} {
			if strings.HasPrefix(want, "Ren") && strings.HasSuffix(name, ".doc") {
				continue // UTF-16 beyond ASCII is not read there
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in %q", name, want, text)
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "locked.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	if _, held := insideOf(t, "application/pdf", "locked.pdf", b); !slices.Contains(held, defLocked) {
		t.Errorf("a locked PDF is held for %v", held)
	}
}

// TestPeerZip reads what Info-ZIP writes.
func TestPeerZip(t *testing.T) {
	t.Parallel()
	zip := peerProgram(t, "zip")
	dir := t.TempDir()
	text := strings.Repeat("As agreed. ", 100) + "ben.reed@example.org"
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runPeer(t, dir, zip, "plain.zip", "notes.txt")
	runPeer(t, dir, zip, "-P", "secret", "locked.zip", "notes.txt")
	runPeer(t, dir, zip, "nested.zip", "plain.zip")
	runPeer(t, dir, "sh", "-c", zip+" - - < notes.txt > streamed.zip")
	for _, name := range []string{"plain.zip", "nested.zip", "streamed.zip", "locked.zip"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, held := insideOf(t, "application/zip", name, b)
		switch {
		case name == "locked.zip":
			if !slices.Contains(held, defLocked) {
				t.Errorf("a locked archive is held for %v", held)
			}
		case len(held) > 0 || !strings.Contains(got, "ben.reed@example.org"):
			t.Errorf("%s is held for %v and reads %q", name, held, got)
		}
	}
}
