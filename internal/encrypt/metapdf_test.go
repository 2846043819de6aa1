package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
)

// objectsPDF is a PDF of these objects; the first is its catalog, and info, if there is one, is the last.
func objectsPDF(info bool, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	last := ""
	if info {
		last = fmt.Sprintf("/Info %d 0 R", len(at))
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, last, start)
	return b.Bytes()
}

func streamObject(dict, content string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(content), content)
}

// pagePDF is a PDF of one page, with more in its catalog and its page, and more objects from 6 on.
func pagePDF(catalog, page string, info bool, more ...string) []byte {
	return objectsPDF(info, append([]string{
		"<</Type/Catalog/Pages 2 0 R" + catalog + ">>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>" + page + ">>",
		streamObject("", "BT /F1 24 Tf 20 100 Td (Tuesday at ten) Tj ET 20 80 150 3 re f"),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
	}, more...)...)
}

func TestCleanPDF(t *testing.T) {
	t.Parallel()
	const link = "<</Type/Annot/Subtype/Link/Rect[20 90 200 120]/Border[0 0 0]/A<</S/URI/URI(https://practice.example/)>>>>"
	dirty := pagePDF("/Metadata 6 0 R/OpenAction<</S/JavaScript/JS(app.alert\\('"+canary+"'\\))>>/AA<</WC<</S/JavaScript/JS("+canary+")>>>>/Names<</JavaScript<</Names[(a) 7 0 R]>>>>",
		"/PieceInfo<</Office<</LastModified(D:20261122)/Private("+canary+")>>>>/LastModified(D:20261122)/AA<</O<</S/Launch/F("+canary+")>>>>/Annots["+link+
			"<</Type/Annot/Subtype/Link/Rect[1 1 9 9]/A<</S/Launch/F(c:/"+canary+".exe)>>>><</Type/Annot/Subtype/Square/Rect[200 20 250 60]/C[1 0 0]/T("+canary+")/M(D:20261122)>>]",
		true, streamObject("/Type/Metadata/Subtype/XML", "<x>"+canary+"</x>"), "<</S/JavaScript/JS("+canary+")>>", "<</Title("+canary+")/Author("+canary+")>>")
	out := mustClean(t, dirty, TraceProperties, TraceXMP, TraceData, TraceHistory, TraceAction, TraceScript)
	if bytes.Contains(out, []byte(canary)) || bytes.Contains(out, []byte("pdfcpu")) {
		t.Error("in the bytes")
	}
	if err := withPDF(bytes.NewReader(out), "", func(ctx *model.Context) error {
		for _, s := range contents(ctx) {
			if strings.Contains(s, canary) {
				t.Errorf("in an object: %s", s)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestCleanPDFHolds(t *testing.T) {
	t.Parallel()
	note := func(s string) []byte { return pagePDF("", "/Annots[<</Type/Annot/Rect[1 1 9 9]"+s+">>]", false) }
	for name, x := range map[string]struct {
		file []byte
		want Reason
	}{
		"a note":         {note("/Subtype/Text/Contents(x)"), HasComments},
		"struck out":     {note("/Subtype/StrikeOut/QuadPoints[1 1 9 1 1 9 9 9]/Contents(x)"), HasComments},
		"an answer":      {pagePDF("", "/Annots[6 0 R<</Type/Annot/Subtype/Square/Rect[1 1 9 9]/Contents(x)/IRT 6 0 R>>]", false, "<</Type/Annot/Subtype/Square/Rect[1 1 9 9]>>"), HasComments},
		"a hidden layer": {pagePDF("/OCProperties<</OCGs[6 0 R]/D<</OFF[6 0 R]>>>>", "", false, "<</Type/OCG/Name(x)>>"), HasHidden},
		"a file": {pagePDF("/Names<</EmbeddedFiles<</Names[(a) 6 0 R]>>>>", "", false, "<</Type/Filespec/F(a)/UF(a)/EF<</F 7 0 R>>>>",
			streamObject("/Type/EmbeddedFile", "x")), HasInside},
		"half a file": {pagePDF("", "", false)[:120], Damaged},
		"no PDF":      {[]byte("%PDF-1.7\nhello"), Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := cleanBytes(x.file); !errors.Is(err, x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
	var locked bytes.Buffer
	if err := LockPDF(&locked, bytes.NewReader(pagePDF("", "", false)), goodWords); err != nil {
		t.Fatal(err)
	}
	if _, _, err := cleanBytes(locked.Bytes()); !errors.Is(err, AlreadyLocked) {
		t.Errorf("a locked file: %v", err)
	}
}

// peerPixels draws the first page of a PDF.
func peerPixels(t *testing.T, pdf []byte) []byte {
	t.Helper()
	program := peerProgram(t, "pdftoppm")
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "-png", "-r", "60", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// qpdf unpacks what was cleaned: nothing of it is left inside, and the page looks the same.
func TestPeerCleanPDFLooksTheSame(t *testing.T) {
	t.Parallel()
	program := peerProgram(t, "qpdf")
	dirty := pagePDF("/Metadata 6 0 R", "/Annots[<</Type/Annot/Subtype/Square/Rect[200 20 250 60]/C[1 0 0]/T("+canary+")>>]", true,
		streamObject("/Type/Metadata/Subtype/XML", "<x>"+canary+"</x>"), "<</Private("+canary+")>>", "<</Author("+canary+")>>")
	clean := mustClean(t, dirty, TraceProperties, TraceXMP, TraceHistory)
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, clean, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "--check", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), program, "--qdf", "--object-streams=disable", "--preserve-unreferenced", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{canary, "pdfcpu", "/Info", "/ModDate", "/Metadata"} {
		if strings.Contains(string(out), trace) {
			t.Errorf("%s is left", trace)
		}
	}
	before, after := peerPixels(t, dirty), peerPixels(t, clean)
	samePixels(t, before, after)
	if m, err := png.Decode(bytes.NewReader(before)); err != nil || !slices.ContainsFunc([]int{10, 20, 30, 40}, func(x int) bool {
		r, _, _, _ := m.At(x+10, m.Bounds().Dy()*59/100).RGBA()
		return r == 0
	}) {
		t.Errorf("the page is empty: %v", err)
	}
}
