package mail

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a byte range of a text.
type span struct{ start, end int }

// Words that mail apps put around what they quote, in the languages of our practices and some
// more. All are in lower case.
var (
	// quoteVerbs stand in the line above a quote: "On Monday ... wrote:".
	quoteVerbs = [...]string{"wrote", "writes", "ysgrifennodd", "ysgrifennwyd", "a écrit", "schrieb", "escribió", "napisał", "napisała",
		"napisał(a)", "pisze", "napisana przez", "كتب", "كتبت", "بواسطة", "ha scritto", "schreef", "escreveu", "skrev"}
	// quoteStarts are how such a line begins when its date or its name comes first.
	quoteStarts = [...]string{"on ", "ar ", "le ", "am ", "el ", "w dniu ", "dnia ", "wiadomość napisana przez ", "pon., ", "wt., ", "śr., ", "czw., ", "pt., ",
		"sob., ", "niedz., ", "في ", "بتاريخ ", "il ", "op ", "em ", "den "}
	// separators stand between dashes.
	separators = [...]string{"original message", "forwarded message", "begin forwarded message", "original appointment", "reply message",
		"neges wreiddiol", "neges wedi'i hanfon ymlaen", "neges a anfonwyd ymlaen", "message d'origine", "message d’origine", "message original",
		"message transféré", "message initial", "ursprüngliche nachricht", "original-nachricht", "originalnachricht", "weitergeleitete nachricht",
		"mensaje original", "mensaje reenviado", "wiadomość oryginalna", "oryginalna wiadomość", "wiadomość przekazana", "przekazana wiadomość",
		"treść przekazanej wiadomości", "الرسالة الأصلية", "رسالة أصلية", "رسالة معاد توجيهها", "الرسالة المعاد توجيهها",
		"messaggio originale", "messaggio inoltrato", "oorspronkelijk bericht", "doorgestuurd bericht", "mensagem original"}
	// forwardLeads stand alone on a line above a message that Apple's apps forward.
	forwardLeads = [...]string{"begin forwarded message:", "dechrau neges a anfonwyd ymlaen:", "début du message réexpédié :", "début du message transféré :",
		"anfang der weitergeleiteten nachricht:", "inicio del mensaje reenviado:", "początek przekazywanej wiadomości:", "بداية الرسالة المعاد توجيهها:"}
	// The labels of the fields that stand above a quoted message.
	fromLabels    = [...]string{"from", "oddi wrth", "de", "von", "od", "من", "da", "van"}
	dateLabels    = [...]string{"sent", "date", "anfonwyd", "dyddiad", "envoyé", "envoyé le", "gesendet", "datum", "enviado", "enviado el", "fecha", "wysłano", "wysłane", "data", "تاريخ", "التاريخ", "تاريخ الإرسال", "تم الإرسال", "أرسلت", "inviato", "verzonden"}
	toLabels      = [...]string{"to", "at", "à", "an", "para", "do", "إلى", "الى", "a", "aan", "cc", "copi", "copie", "kopie", "dw", "نسخة"}
	subjectLabels = [...]string{"subject", "pwnc", "objet", "betreff", "asunto", "temat", "الموضوع", "موضوع", "oggetto", "onderwerp"}
)

// Bounds of what is looked at to find a quote. They keep the work per line the same, whatever
// the text is.
const (
	minLead      = 10  // an attribution
	maxLead      = 700 // with all its lines
	maxLeadLines = 4
	leadStart    = 100 // of its first line
	maxLabel     = 40  // the label of a field, with what stands before it
	maxBlock     = 14  // the lines of a block of fields
	maxMark      = 300
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
		if !isBlank(l.text) {
			break
		}
		at = l.next()
	}
	return min(at, len(s))
}

func isBlank(line string) bool { return strings.TrimSpace(line) == "" }

func isQuoted(line string) bool { return strings.HasPrefix(line, ">") }

// quotedAt reports whether a line is one of a quote by its mark. In format=flowed the mark
// alone says so (RFC 3676 §4.5). Elsewhere a single line such as ">50 people" or ">From" is
// the writer's own: a quote has a space behind its mark, or a second line.
func quotedAt(s string, l textLine, above, flowed bool) bool {
	if !isQuoted(l.text) {
		return false
	}
	rest := strings.TrimLeft(l.text, ">")
	if flowed || above || rest == "" || rest[0] == ' ' || rest[0] == '\t' {
		return true
	}
	return l.next() < len(s) && s[l.next()] == '>'
}

// quoted yields the parts of a text that quote another message, in order: lines with a mark,
// the line that says who wrote them, and all that stands behind a separator or behind the fields
// of a message. Blank lines between such parts belong to them.
func quoted(s string, flowed bool) iter.Seq[span] {
	return func(yield func(span) bool) {
		q := span{-1, -1}
		at := 0
		if strings.HasPrefix(s, "\uFEFF") {
			at = len("\uFEFF")
		}
		for at < len(s) {
			l := lineAt(s, at)
			end, rest := quoteAt(s, l, q.end == at && q.end > 0, flowed)
			if rest {
				end = len(s)
			}
			if end == 0 {
				at = min(l.next(), len(s))
				continue
			}
			end = min(end, len(s))
			if q.start >= 0 && (q.end == at || isBlank(s[q.end:at])) {
				q.end = end
			} else {
				if q.start >= 0 && !yield(q) {
					return
				}
				q = span{at, end}
			}
			at = end
		}
		if q.start >= 0 {
			yield(q)
		}
	}
}

// quoteAt returns where the quoted lines end that begin with this one, 0 if it is none. rest
// says that all that follows is quoted. above says that the line above is quoted.
func quoteAt(s string, l textLine, above, flowed bool) (end int, rest bool) {
	switch {
	case quotedAt(s, l, above, flowed):
		return l.next(), false
	case isBlank(l.text), isQuoted(l.text):
		return 0, false
	case restQuoted(s, l):
		return 0, true
	}
	return leadAt(s, l)
}

// leadAt returns where the attribution ends ("On Monday ... wrote:") that starts with this
// line, or 0. Sentences of the writer look the same. So a quoted line must follow; or a time
// and an address stand in it, and then all that follows is the quote, as Yahoo writes it.
func leadAt(s string, l textLine) (end int, rest bool) {
	if isForwardLead(l.text) {
		if at := skipBlank(s, min(l.next(), len(s))); at < len(s) && s[at] == '>' {
			return l.next(), false
		}
		return 0, true
	}
	joined, lines := "", 1
	if startsLead(lowerStart(l.text)) {
		lines = maxLeadLines
	} else if !endsLead(l.text) || len(l.text) < minLead {
		return 0, false // nearly all lines go here
	}
	for range lines {
		if len(joined)+len(l.text) > maxLead || isBlank(l.text) || isQuoted(l.text) {
			return 0, false
		}
		joined += l.text + " "
		if endsLead(l.text) && isAttribution(joined) {
			at := skipBlank(s, min(l.next(), len(s)))
			switch {
			case at < len(s) && s[at] == '>':
				return l.next(), false
			case isDated(joined) && strings.ContainsAny(joined, "<([") && strings.Contains(joined, "@") && namesWriter(joined):
				return 0, true
			}
			return 0, false
		}
		if l.next() >= len(s) {
			break
		}
		l = lineAt(s, l.next())
	}
	return 0, false
}

// namesWriter reports whether the address in an attribution is the writer's: in English who
// wrote stands before the word. "On 2 Nov you wrote to us (hello@practice.example):" is a
// sentence of the sender, and what follows it too.
func namesWriter(joined string) bool {
	low := strings.TrimRight(strings.ToLower(bare(joined)), ":： ")
	tail := low[strings.LastIndexAny(low, ">)]")+1:]
	if !isBlank(tail) {
		return hasVerb("x " + tail)
	}
	return !hasWord(low, "wrote") && !hasWord(low, "writes")
}

// endsLead reports a line that ends as an attribution does.
func endsLead(line string) bool {
	if !hasColon(line) {
		return false
	}
	line = bare(line)
	return strings.HasSuffix(line, ":") || strings.HasSuffix(line, "：")
}

// hasColon reports a colon, or the first byte of a wide one, by the fastest look there is.
func hasColon(s string) bool {
	return strings.IndexByte(s, ':') >= 0 || strings.IndexByte(s, "："[0]) >= 0
}

// startsLead reports whether a line, in lower case, starts as an attribution that may go on in
// the next line.
func startsLead(low string) bool {
	for _, w := range quoteStarts {
		if strings.HasPrefix(low, w) {
			return true
		}
	}
	return isISODate(low)
}

// isISODate reports a text that begins as in "2026-11-02 10:00 GMT".
func isISODate(s string) bool {
	return len(s) > 10 && s[0] == '2' && s[4] == '-' && s[7] == '-' && s[10] == ' '
}

// isAttribution reports a line such as "On Monday ... wrote:", joined from its parts.
func isAttribution(joined string) bool {
	low, ok := strings.CutSuffix(strings.TrimSuffix(strings.ToLower(bare(joined)), "："), ":")
	if !ok && !endsLead(joined) {
		return false
	}
	low = strings.TrimRight(strings.TrimLeft(low, "-_ "), " \u00a0\u202f")
	if len(low) < minLead || len(low) > maxLead || !strings.ContainsFunc(low, unicode.IsDigit) {
		return false
	}
	if isISODate(low) {
		return strings.HasSuffix(low, ">") && strings.Contains(low, "@")
	}
	if startsLead(low) {
		return hasVerb(low)
	}
	return hasTime(low) && hasVerb(low) // "Anna Jones schrieb am 02.11.2026 um 10:00:"
}

// hasVerb reports whether the word for writing stands in a line as a word of its own. What
// follows it is a name or a date.
func hasVerb(low string) bool {
	return slices.ContainsFunc(quoteVerbs[:], func(v string) bool { return hasWord(low, v) })
}

func hasWord(low, v string) bool {
	for at := 0; ; {
		i := strings.Index(low[at:], v)
		if i < 0 {
			return false
		}
		i, at = at+i, at+i+len(v)
		before, _ := utf8.DecodeLastRuneInString(low[:i])
		after, _ := utf8.DecodeRuneInString(low[at:])
		if i > 0 && (isSpace(before) || before == ',' || before == '،') && (at == len(low) || isSpace(after) || after == '(' || after == '/') && len(low)-at <= 200 {
			return true
		}
	}
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || isBidi(r) }

// isDated reports a year, a date in numbers or a time of day in a line.
func isDated(s string) bool { return hasNumber(s, 4) || hasTime(s) }

func hasNumber(s string, size int) bool {
	run := 0
	for _, r := range s {
		if !unicode.IsDigit(r) {
			run = 0
		} else if run++; run == size {
			return true
		}
	}
	return false
}

// hasTime reports "10:00", "10.00" or "10h00".
func hasTime(s string) bool {
	run, second := 0, false
	for _, r := range s {
		if unicode.IsDigit(r) {
			if run++; run == 2 && second {
				return true
			}
			continue
		}
		second = (run == 1 || run == 2) && (r == ':' || r == '.' || r == 'h')
		run = 0
	}
	return false
}

// restQuoted reports whether everything from this line on is a quoted message: a separator, or
// the block of fields that Outlook puts there.
func restQuoted(s string, l textLine) bool {
	if isSeparator(l.text) {
		return true
	}
	if isRule(l.text) {
		at := skipBlank(s, min(l.next(), len(s)))
		return at < len(s) && isHeaderBlock(s, lineAt(s, at))
	}
	return isHeaderBlock(s, l)
}

// isRule reports the line of underscores that Outlook draws above the fields.
func isRule(line string) bool {
	return strings.HasPrefix(line, "__________") && strings.Trim(line, "_ ") == ""
}

// isSeparator reports "-----Original Message-----" and what says the same.
func isSeparator(line string) bool {
	if len(line) > maxMark {
		line = line[:maxMark]
	}
	line = bare(line)
	rest := strings.TrimLeft(line, "-_—–")
	if len(line)-len(rest) < 2 {
		return false
	}
	rest = strings.ToLower(strings.TrimLeft(rest, " "))
	for _, w := range separators {
		if after, ok := strings.CutPrefix(rest, w); ok {
			after = strings.TrimLeft(after, " ")
			return strings.HasPrefix(after, "--") || strings.HasPrefix(after, "__") || strings.HasPrefix(after, "—") || strings.HasPrefix(after, "–")
		}
	}
	// ---- On Mon, 02 Nov 2026 10:00:00 +0000 Anna <anna@example.org> wrote ----
	inner, ok := strings.CutSuffix(rest, "--")
	inner = strings.TrimRight(inner, "- ")
	return ok && startsLead(inner) && isDated(inner) && hasVerb(inner)
}

func isForwardLead(line string) bool {
	if len(line) > maxMark || !endsLead(line) {
		return false
	}
	low := strings.ReplaceAll(strings.ToLower(bare(line)), "\u00a0", " ")
	return slices.Contains(forwardLeads[:], low)
}

// isHeaderBlock reports the fields of a message, written as text: From with Sent, To, Subject.
// Others than mail apps write such lists too; so one of them must be a date, and there is a
// subject, or the sender's address.
func isHeaderBlock(s string, l textLine) bool {
	if !isFromLine(l.text) {
		return false
	}
	var b fieldBlock
	b.add(l.text)
	for n := 0; n < maxBlock && !b.ended && l.next() < len(s); n++ {
		l = lineAt(s, l.next())
		if b.add(l.text); b.isHeader() {
			return true
		}
	}
	return false
}

func isFromLine(line string) bool {
	label, value := fieldLabel(line)
	return slices.Contains(fromLabels[:], label) && value != ""
}

// fieldBlock collects lines that may be the fields of a quoted message.
type fieldBlock struct {
	from, date, to, subject, address bool
	lines, plain                     int
	ended                            bool // the lines are no fields any more
}

func (b *fieldBlock) isHeader() bool {
	return b.from && b.date && (b.to || b.subject) && (b.subject || b.address) && !b.ended
}

func (b *fieldBlock) add(line string) {
	if b.lines++; b.lines > maxBlock || b.ended {
		b.ended = true
		return
	}
	label, value := fieldLabel(line)
	switch {
	case b.lines == 1:
		b.from = slices.Contains(fromLabels[:], label) && value != ""
		b.address = strings.Contains(value, "@")
		b.ended = !b.from
	case slices.Contains(subjectLabels[:], label):
		b.subject = true
	case slices.Contains(dateLabels[:], label):
		b.date = true
	case slices.Contains(toLabels[:], label):
		b.to = true
	case isBlank(line):
	default: // a field goes on in the next line
		b.plain++
		b.ended = b.plain > 3
	}
}

// fieldLabel splits "*From:* Anna" into its label, in lower case, and its value.
func fieldLabel(line string) (label, value string) {
	start := line
	if len(start) > maxLabel+maxMark {
		start = start[:maxLabel+maxMark]
	}
	if !hasColon(start) {
		return "", "" // nearly all lines
	}
	if i := strings.IndexByte(start, ':'); i > 0 && start[i-1] >= '0' && start[i-1] <= '9' && !strings.Contains(start[:i], "：") {
		return "", "" // a time: no label ends with a digit
	}
	start = bare(start)
	i := strings.IndexByte(start, ':')
	if wide := strings.Index(start, "："); wide >= 0 && (i < 0 || wide < i) {
		i = wide
	}
	if i <= 0 || i > maxLabel {
		return "", ""
	}
	_, n := utf8.DecodeRuneInString(start[i:])
	trim := " \t*\u00a0\u202f"
	return strings.ToLower(strings.Trim(start[:i], trim)), strings.Trim(start[i+n:], trim)
}

// lowerStart returns the start of a line in lower case; nothing where its first letter is none
// with which attributions start, as in most lines.
func lowerStart(line string) string {
	start := strings.TrimLeft(bare(line[:min(len(line), leadStart)]), "- ")
	if start == "" || start[0] < utf8.RuneSelf && !leadLetters[start[0]] {
		return ""
	}
	return strings.ToLower(start)
}

// leadLetters are the first letters of quoteStarts, and of a year.
var leadLetters = func() (t [utf8.RuneSelf]bool) {
	for _, w := range quoteStarts {
		if w[0] < utf8.RuneSelf {
			t[w[0]], t[w[0]-'a'+'A'] = true, true
		}
	}
	t['2'] = true
	return t
}()

// bare returns a line without white space and marks of direction at its ends.
func bare(line string) string {
	return strings.TrimFunc(line, func(r rune) bool { return isSpace(r) || r == '\uFEFF' || r == '*' })
}

// isBidi reports the marks of direction that apps put around their own words (UAX #9).
func isBidi(r rune) bool {
	return r == '\u200e' || r == '\u200f' || r == '\u061c' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// quoteStart returns the byte offset of the line where the quoted message starts, or -1.
func quoteStart(s string, flowed bool) int {
	for q := range quoted(s, flowed) {
		return q.start
	}
	return -1
}

// newText returns the text without what is quoted.
func newText(s string, flowed bool) string {
	var b strings.Builder
	at := 0
	for q := range quoted(s, flowed) {
		b.WriteString(s[at:q.start])
		at = q.end
	}
	if at == 0 {
		return s
	}
	b.WriteString(s[at:])
	return b.String()
}

// isFlowed reports whether a part's lines may be joined by its reader (RFC 3676).
func isFlowed(p *Part) bool { return strings.EqualFold(p.Params["format"], "flowed") }
