package mail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// pagePDFWithFont is a page whose font is F1.
func pagePDFWithFont(font, content string, objects ...string) []byte {
	return samplePDF("", append([]string{"<< /Type /Page /Contents 2 0 R /Resources << /Font << /F1 " + font + " >> >> >>",
		pdfData("", content)}, objects...)...)
}

// TestHostilePDF reads files made to take for ever, or all memory.
func TestHostilePDF(t *testing.T) {
	page := pagePDFWithFont
	var lzw strings.Builder
	{ // 256, a, then every next code: ever longer runs
		var acc, bits, width, next uint32
		width = 9
		put := func(c uint32) {
			acc, bits = acc<<width|c, bits+width
			for bits >= 8 {
				lzw.WriteByte(byte(acc >> (bits - 8)))
				bits -= 8
				acc &= 1<<bits - 1
			}
		}
		put(256)
		put('a')
		for next = 258; next < 4095; next++ {
			if next+1 >= 1<<width && width < 12 {
				width++
			}
			put(next)
		}
		put(257)
		put(0)
	}
	var packed, fonts, lengths []string
	for i := range 1000 {
		packed = append(packed, pdfData("/Filter /LZWDecode", lzw.String()))
		fonts = append(fonts, fmt.Sprintf("<< /Subtype /Type0 /ToUnicode 1002 0 R /N %d >>", i))
		lengths = append(lengths, "<< /Length 1001 0 R >>\nstream\nx\nendstream")
	}
	lengths = append(lengths, "["+strings.Repeat("1 ", 1<<20)+"]")
	var use, names strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&use, "/F%d 1 Tf ", i)
		fmt.Fprintf(&names, "/F%d %d 0 R ", i, i+3)
	}
	manyFonts := samplePDF("", append([]string{"<< /Type /Page /Contents 2 0 R /Resources << /Font << " + names.String() + " >> >> >>",
		pdfData("", use.String())}, append(fonts[:999], pdfData("", "[ <00> ] "+strings.Repeat("1 endbfchar ", 1<<18)))...)...)
	cases := map[string][]byte{
		"no end of hex":    pagePDF(strings.Repeat("< ", 2<<20)),
		"no end of images": page("<< >>", strings.Repeat("BI ID ", 1<<20)),
		"lengths":          samplePDF("", lengths...),
		"LZW":              samplePDF("", packed...),
		"fonts":            manyFonts,
		"long character": page("<< /Subtype /Type0 /ToUnicode 3 0 R >>", "BT /F1 1 Tf ("+strings.Repeat("ab", 1<<16)+") Tj ET",
			pdfData("", "1 beginbfchar <6162> ("+strings.Repeat("xy", 1<<13)+") endbfchar")),
		"last code": page("<< /Subtype /Type0 /ToUnicode 3 0 R >>", "BT /F1 1 Tf (ab) Tj ET",
			pdfData("", "1 beginbfrange <fffffffe> <ffffffff> <0041> <fffffffe> <ffffffff> <00410042> endbfrange")),
		"long range": page("<< /Subtype /Type0 /ToUnicode 3 0 R >>", "BT /F1 1 Tf (ab) Tj ET",
			pdfData("", "1 beginbfrange <0000> <ffff> ("+strings.Repeat("xy", 1<<12)+") endbfrange")),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			insideOf(t, "application/pdf", "a.pdf", b)
			// Each took minutes, or more memory than there is; now it is less than a second.
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%d bytes take %v", len(b), d)
			}
		})
	}
}

// A font whose table is larger than what is kept leaves text unsearched: the file holds.
func TestAFontTableThatIsCutHolds(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]string{
		"long texts":  "1 beginbfrange <0000> <ffff> (" + strings.Repeat("xy", 1<<12) + ") endbfrange",
		"many ranges": "1 beginbfrange " + strings.Repeat("<0100> <01ff> <0041> ", 5000) + "endbfrange",
	} {
		b := pagePDFWithFont("<< /Subtype /Type0 /ToUnicode 3 0 R >>", "BT /F1 1 Tf (\x00a) Tj ET", pdfData("", table))
		if _, defects := insideOf(t, "application/pdf", "a.pdf", b); !slices.Contains(defects, defUnreadable) {
			t.Errorf("%s: %v", name, defects)
		}
	}
}
