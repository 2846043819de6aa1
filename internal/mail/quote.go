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

// textLine is a line of a text by its byte range, without the line end. Lines are found as they
// are needed: a list of them would be many times as large as a text of empty lines.
type textLine struct {
	start, end int
	text       string
}

// next is where the line behind this one starts.
func (l textLine) next() int { return l.end + 1 }

// lineAt returns the line that starts at the offset, which is within the text.
func lineAt(s string, at int) textLine {
	n := strings.IndexByte(s[at:], '\n')
	if n < 0 {
		n = len(s) - at
	}
	return textLine{at, at + n, strings.TrimSuffix(s[at:at+n], "\r")}
}

// skipBlank returns the offset of the first line from at on that is not blank.
func skipBlank(s string, at int) int {
	for at < len(s) {
		l := lineAt(s, at)
		if strings.TrimSpace(l.text) != "" {
			break
		}
		at = l.next()
	}
	return at
}

func isQuoted(line string) bool { return strings.HasPrefix(line, ">") }

// attributionAt returns where the attribution ends ("On Monday ... wrote:") that starts with
// this line, or 0. Author's own sentences look the same, so a quoted line must follow, or an
// address must stand in it.
func attributionAt(s string, l textLine) int {
	if isQuoted(l.text) || !startsAttribution(l.text) {
		return 0
	}
	joined := ""
	for n := 0; ; n++ {
		joined += l.text + "\n"
		if len(joined) > 700 {
			return 0
		}
		if strings.HasSuffix(strings.TrimSpace(l.text), ":") &&
			attribution.MatchString(joined) && strings.ContainsAny(joined, "0123456789٠١٢٣٤٥٦٧٨٩") {
			if strings.Contains(joined, "@") {
				return l.next()
			}
			if at := skipBlank(s, l.next()); at < len(s) && s[at] == '>' {
				return l.next()
			}
			return 0
		}
		if n == 3 || l.next() >= len(s) {
			return 0
		}
		l = lineAt(s, l.next())
	}
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

// restQuoted reports whether everything from this line on is a quoted message: a separator, or
// the block of fields that Outlook puts there.
func restQuoted(s string, l textLine) bool {
	if separator.MatchString(l.text) {
		return true
	}
	if strings.HasPrefix(l.text, "__________") && strings.Trim(l.text, "_ ") == "" {
		at := skipBlank(s, l.next())
		return at < len(s) && isHeaderBlock(s, lineAt(s, at))
	}
	return isHeaderBlock(s, l)
}

func isHeaderBlock(s string, l textLine) bool {
	if !headerBlock.MatchString(l.text) {
		return false
	}
	found := 0
	for n := 0; n < 5 && l.next() < len(s); n++ {
		l = lineAt(s, l.next())
		if headerNext.MatchString(l.text) {
			found++
		}
	}
	return found >= 2
}

// quoteStart returns the byte offset of the line where the quoted message starts, or -1.
func quoteStart(s string) int {
	for at := 0; at < len(s); {
		l := lineAt(s, at)
		if isQuoted(l.text) || attributionAt(s, l) > 0 || restQuoted(s, l) {
			return at
		}
		at = l.next()
	}
	return -1
}

// newText returns the text without quoted lines, attributions, and all that stands behind a
// separator.
func newText(s string) string {
	var b strings.Builder
	for at := 0; at < len(s); {
		l := lineAt(s, at)
		if restQuoted(s, l) {
			break
		}
		if end := attributionAt(s, l); end > 0 {
			at = end
			continue
		}
		if !isQuoted(l.text) {
			b.WriteString(l.text)
			b.WriteByte('\n')
		}
		at = l.next()
	}
	return b.String()
}
