package mail

import (
	"regexp"
	"strings"
)

// Attribution lines and separators that mail apps put above a quoted message, in the
// languages of our practices and some more.
var (
	attribution = regexp.MustCompile(`(?is)^\s*(?:` +
		`on\s.{6,300}\swrote|` +
		`ar\s.{6,300}\s(?:ysgrifennodd|ysgrifennwyd).{0,100}|` +
		`le\s.{6,300}\sa\s+écrit|` +
		`am\s.{6,300}\sschrieb.{0,100}|` +
		`el\s.{6,300}\sescribió|` +
		`(?:w\s+dniu|dnia)\s.{6,300}\snapisał\(?a?\)?|` +
		`(?:في|بتاريخ)\s.{6,300}\s?كتب.{0,100}` +
		`)\s*[::]\s*$`)
	separator = regexp.MustCompile(`(?i)^\s*[-_—]{2,}\s*(?:original message|forwarded message|original appointment|begin forwarded message|` +
		`message d'origine|message original|message transféré|ursprüngliche nachricht|weitergeleitete nachricht|mensaje original|` +
		`wiadomość oryginalna|oryginalna wiadomość|neges wreiddiol|الرسالة الأصلية)\s*[-_—]{2,}\s*$`)
	headerBlock = regexp.MustCompile(`(?i)^\s*\*?(?:from|oddi wrth|de|von|od|من)\s?:\*?\s\S`)
	headerNext  = regexp.MustCompile(`(?i)^\s*\*?(?:sent|date|anfonwyd|envoyé|gesendet|datum|enviado|fecha|wysłano|data|تاريخ|to|subject)\s?:`)
)

// textLine is a line of a text by its byte range, without the line end.
type textLine struct {
	start, end int
	text       string
}

func splitLines(s string) []textLine {
	var out []textLine
	for at := 0; at < len(s); {
		n := strings.IndexByte(s[at:], '\n')
		if n < 0 {
			n = len(s) - at
		}
		out = append(out, textLine{at, at + n, strings.TrimSuffix(s[at:at+n], "\r")})
		at += n + 1
	}
	return out
}

func isQuoted(line string) bool { return strings.HasPrefix(line, ">") }

// attributionAt returns how many lines from i on are an attribution ("On Monday ... wrote:"),
// or 0. Author's own sentences look the same, so a quoted line must follow, or an address must
// stand in it.
func attributionAt(lines []textLine, i int) int {
	if isQuoted(lines[i].text) || strings.TrimSpace(lines[i].text) == "" || !startsAttribution(lines[i].text) {
		return 0
	}
	joined := ""
	for n := 1; n <= 4 && i+n <= len(lines); n++ {
		joined += lines[i+n-1].text + "\n"
		if len(joined) > 700 {
			return 0
		}
		if !strings.HasSuffix(strings.TrimSpace(lines[i+n-1].text), ":") {
			continue
		}
		if !attribution.MatchString(joined) || !strings.ContainsAny(joined, "0123456789٠١٢٣٤٥٦٧٨٩") {
			continue
		}
		if strings.Contains(joined, "@") {
			return n
		}
		for j := i + n; j < len(lines); j++ {
			if t := lines[j].text; strings.TrimSpace(t) != "" {
				if isQuoted(t) {
					return n
				}
				break
			}
		}
		return 0
	}
	return 0
}

func startsAttribution(line string) bool {
	line = strings.ToLower(strings.TrimSpace(line))
	for _, w := range []string{"on ", "ar ", "le ", "am ", "el ", "w dniu", "dnia", "في", "بتاريخ"} {
		if strings.HasPrefix(line, w) {
			return true
		}
	}
	return false
}

// restQuoted reports whether everything from line i on is a quoted message: a separator, or
// the block of fields that Outlook puts there.
func restQuoted(lines []textLine, i int) bool {
	t := lines[i].text
	if separator.MatchString(t) {
		return true
	}
	if strings.HasPrefix(t, "__________") && strings.Trim(t, "_ ") == "" {
		for i++; i < len(lines) && strings.TrimSpace(lines[i].text) == ""; i++ {
		}
		return i < len(lines) && isHeaderBlock(lines, i)
	}
	return isHeaderBlock(lines, i)
}

func isHeaderBlock(lines []textLine, i int) bool {
	if !headerBlock.MatchString(lines[i].text) {
		return false
	}
	found := 0
	for _, l := range lines[i+1 : min(i+6, len(lines))] {
		if headerNext.MatchString(l.text) {
			found++
		}
	}
	return found >= 2
}

// quoteStart returns the byte offset of the line where the quoted message starts, or -1.
func quoteStart(s string) int {
	lines := splitLines(s)
	for i, l := range lines {
		if isQuoted(l.text) || attributionAt(lines, i) > 0 || restQuoted(lines, i) {
			return l.start
		}
	}
	return -1
}

// newText returns the text without quoted lines, attributions, and all that stands behind a
// separator.
func newText(s string) string {
	lines := splitLines(s)
	var b strings.Builder
	for i := 0; i < len(lines); i++ {
		if restQuoted(lines, i) {
			break
		}
		if n := attributionAt(lines, i); n > 0 {
			i += n - 1
			continue
		}
		if isQuoted(lines[i].text) {
			continue
		}
		b.WriteString(lines[i].text)
		b.WriteByte('\n')
	}
	return b.String()
}
