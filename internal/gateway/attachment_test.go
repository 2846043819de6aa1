package gateway

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
)

func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		text := files[i+1]
		if !strings.HasPrefix(text, "PK") { // so that it is worth compressing
			text += strings.Repeat(" ", 200)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// onePage is a PDF file whose page shows the text, compressed.
func onePage(t *testing.T, text string) []byte {
	t.Helper()
	var page bytes.Buffer
	w := zlib.NewWriter(&page)
	fmt.Fprintf(w, "BT /F1 12 Tf 72 700 Td (%s) Tj (%s) Tj ET", text[:3], text[3:])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, "%%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"+
		"3 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>\nendobj\n"+
		"4 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%%%EOF\n", page.Len(), page.String())
}

// letterWith is a letter to one client with one attached file.
func letterWith(file string, content []byte) string {
	head, _, _ := strings.Cut(letterTo("x", "", clientAt(0)), "Content-Type:")
	enc := base64.StdEncoding.EncodeToString(content)
	var lines strings.Builder
	for len(enc) > 76 {
		lines.WriteString(enc[:76] + "\r\n")
		enc = enc[76:]
	}
	return head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nAs attached.\r\n--b\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + file + "\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + lines.String() + enc + "\r\n--b--\r\n"
}

// TestALeakInAFileHolds sends files of every kind that is opened: with the address of another
// client it is held, with the recipient's own it goes.
func TestALeakInAFileHolds(t *testing.T) {
	t.Parallel()
	half := func(addr string) (string, string) { return addr[:6], addr[6:] }
	for file, content := range map[string]func(t *testing.T, addr string) []byte{
		"notes.docx": func(t *testing.T, addr string) []byte {
			a, b := half(addr)
			return archive(t, "[Content_Types].xml", "<Types/>", "word/document.xml", "<w:p><w:r><w:t>"+a+"</w:t></w:r><w:r><w:t>"+b+"</w:t></w:r></w:p>")
		},
		"list.xlsx": func(t *testing.T, addr string) []byte {
			return archive(t, "[Content_Types].xml", "<Types/>", "xl/sharedStrings.xml", "<sst><si><t>"+addr+"</t></si></sst>",
				"xl/worksheets/sheet1.xml", `<worksheet><c t="s"><v>0</v></c></worksheet>`)
		},
		"talk.pptx": func(t *testing.T, addr string) []byte {
			return archive(t, "[Content_Types].xml", "<Types/>", "ppt/notesSlides/notesSlide1.xml", "<a:p><a:t>"+addr+"</a:t></a:p>")
		},
		"notes.odt": func(t *testing.T, addr string) []byte {
			return archive(t, "content.xml", "<text:p>As agreed.</text:p>", "meta.xml", "<dc:creator>"+addr+"</dc:creator>")
		},
		"notes.pdf": onePage,
		"notes.rtf": func(_ *testing.T, addr string) []byte {
			return []byte(`{\rtf1\ansi Write to ` + strings.ReplaceAll(addr, "@", `\'40{\b `) + `}.\par}`)
		},
		"visit.ics": func(_ *testing.T, addr string) []byte {
			a, b := half(addr)
			return []byte("BEGIN:VCALENDAR\r\nATTENDEE:mailto:" + a + "\r\n " + b + "\r\nEND:VCALENDAR\r\n")
		},
		"card.vcf": func(_ *testing.T, addr string) []byte {
			a, b := half(addr)
			return []byte("BEGIN:VCARD\r\nEMAIL:" + a + "\r\n\t" + b + "\r\nEND:VCARD\r\n")
		},
		"files.zip": func(t *testing.T, addr string) []byte {
			return archive(t, "inner.zip", string(archive(t, "a.txt", addr)))
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			e := b.envelope(clientAt(0))
			r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterWith(file, content(t, clientAt(0).String()))))
			if err != nil || !strings.HasPrefix(r.Text, "queued as ") || len(b.copies(e.ID)) != 1 {
				t.Errorf("with the recipient's own address: reply %q, %v", r.Text, err)
			}
			e = b.envelope(clientAt(0))
			r, err = b.g.Submit(t.Context(), e, strings.NewReader(letterWith(file, content(t, clientAt(1).String()))))
			if err != nil || !strings.HasPrefix(r.Text, "held as ") || !strings.HasSuffix(r.Text, "[M26]") || len(b.copies(e.ID)) != 0 {
				t.Errorf("with another client's address: reply %q, %v", r.Text, err)
			}
		})
	}
}

// TestAFileThatCannotBeReadHolds sends what claims to be a document and is damaged or locked.
func TestAFileThatCannotBeReadHolds(t *testing.T) {
	t.Parallel()
	good := onePage(t, "Hello Anna")
	for name, content := range map[string][]byte{
		"damaged": good[:len(good)/2],
		"locked":  bytes.Replace(good, []byte("/Root 1 0 R"), []byte("/Root 1 0 R /Encrypt 9 0 R"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			e := b.envelope(clientAt(0))
			r, err := b.g.Submit(t.Context(), e, strings.NewReader(letterWith("notes.pdf", content)))
			if err != nil || !strings.HasPrefix(r.Text, "held as ") || len(b.copies(e.ID)) != 0 {
				t.Errorf("reply %q, %v", r.Text, err)
			}
			if _, err := b.g.Release(t.Context(), e.ID, "sam", "looked at it"); err != nil {
				t.Fatal(err)
			}
			if len(b.copies(e.ID)) != 1 {
				t.Error("not queued after release")
			}
		})
	}
}
