package mail

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// quoteKind says what a tag starts.
type quoteKind uint8

const (
	noQuote    quoteKind = iota
	quoteElem            // the element holds the quote
	quoteGroup           // the element holds the quote, and what was written between its parts
	quoteRest            // everything behind it is the quote
	quoteLead            // the element may hold the attribution line
)

// tightElements are where no paragraph may go in: it would become a link, a cell, a heading.
const tightElements = " a table ul ol dl select button label h1 h2 h3 h4 h5 h6 svg math map "

func quoteTag(t *htmlToken) quoteKind {
	id := strings.ToLower(t.attr("id"))
	switch {
	case strings.Contains(id, "divrplyfwdmsg"), strings.Contains(id, "appendonsend"), strings.Contains(id, "olk_src_body_section"),
		id == "stopspelling", id == "zwchr", strings.Contains(id, "mail-editor-reference-message-container"):
		return quoteRest
	case strings.HasPrefix(id, "yahoo_quoted"), strings.HasPrefix(id, "ymail_android_quoted"), t.attr("fairemail") == "reference":
		return quoteElem
	case id == "reply-intro":
		return quoteLead
	case t.name == "blockquote" && strings.EqualFold(t.attr("type"), "cite"), t.name == "div" && strings.EqualFold(t.attr("name"), "quote"):
		return quoteElem
	case t.name == "div" && outlookRule(t.attr("style")):
		return quoteRest
	}
	for c := range strings.FieldsSeq(strings.ToLower(t.attr("class"))) {
		switch {
		case strings.Contains(c, "moz-cite-prefix"), strings.Contains(c, "gmail_attr"):
			return quoteLead
		case strings.HasSuffix(c, "gmail_quote"), strings.Contains(c, "gmail_quote_container"):
			if t.name == "blockquote" {
				return quoteElem
			}
			return quoteGroup
		case strings.Contains(c, "gmail_extra_quote"), strings.Contains(c, "yahoo_quoted"), strings.Contains(c, "tutanota_quote"),
			strings.Contains(c, "protonmail_quote"), strings.Contains(c, "moz-forward-container"), strings.Contains(c, "zmail_extra"):
			return quoteElem
		}
	}
	return noQuote
}

// outlookRule reports the line that Outlook draws above the fields of a quoted message.
func outlookRule(style string) bool {
	style = strings.ToLower(strings.Join(strings.Fields(style), ""))
	return strings.Contains(style, "border-top:solid#e1e1e1") || strings.Contains(style, "border-top:solid#b5c4df")
}

// openElement is an element that is not closed yet.
type openElement struct {
	name     string
	hidden   bool
	tight    bool // nothing may be put into it
	block    bool
	scope    bool // end tags do not reach out of it
	quote    quoteKind
	at, body int // its start tag and what follows it

	// Of a quoteLead and a quoteGroup:
	forward  bool // a forwarded message: all of it is quoted
	released bool // its quoted part has ended
	spans    int  // how many spans there were before it
	fresh    int  // how much new text
	outer    place
}

// place is where something starts: an offset, how many elements are open there, and the
// outermost open element that nothing may be put into, -1 if there is none.
type place struct{ at, depth, tight int }

// shownLine is a line as the reader sees it.
type shownLine struct {
	text string
	place
	textAt int // where its first word stands
	from   int // what stands from here to end is the line without elements that go on behind it
	end    int
	fresh  int   // how much new text there was before it
	rule   place // the line drawn above it, at -1 if there is none
	torn   bool  // an element that was open before it ends in it
	lead   bool  // it stands in a quoteLead
}

// htmlText is what reading an HTML text gives.
type htmlText struct {
	visible strings.Builder // text that is shown
	fresh   bytes.Buffer    // shown and not quoted
	hidden  strings.Builder // texts that are not shown, comments, scripts
	attrs   strings.Builder // attribute values
	links   strings.Builder // where links outside the quote lead, one a line

	first    place  // where the first quote starts; at -1: none
	spans    []span // what is quoted
	unsure   bool   // what is quoted cannot be taken out by whole elements
	bodyAt   int    // offset behind the start of the body
	end      place  // where text at the end goes
	maxDepth int

	src     string
	open    []openElement
	hiddenN int
	quoteN  int
	preN    int
	tight   int   // index of the outermost open element that is tight, -1: none
	from    place // where the quote starts that is being read
	rest    bool  // all that follows is quoted
	group   int   // index of the open quoteGroup, -1: none

	line      strings.Builder
	cur       shownLine
	prev      []shownLine // the last lines with text
	leadN     int         // how many of them are an attribution, -1: not known yet
	leads     int         // how many quoteLead are open
	leadElem  openElement // the last one that ended
	leadEnd   int
	rule      place      // a line drawn since the last text
	block     fieldBlock // fields of a quoted message, while they are being read
	blockLine shownLine
	quotedGt  bool // the last line began with ">"

	broken    bool
	sawBody   bool
	beforeEnd bool
	trace     *shown // where the new text stands in the source; nil: nobody asks
}

// readHTML reads an HTML text once: what is shown, what is not, what is quoted, and where text
// can go in. The error says that parts of it cannot be read safely; what was read is there
// anyway.
func readHTML(s string) (*htmlText, error) { return traceHTML(s, nil) }

// traceHTML reads an HTML text and notes where its new text stands in the source.
func traceHTML(s string, trace *shown) (*htmlText, error) {
	none := place{at: -1, tight: -1}
	h := &htmlText{src: s, first: none, end: place{len(s), 0, -1}, group: -1, tight: -1, rule: none, cur: shownLine{place: none}, trace: trace}
	if strings.HasPrefix(s, "\uFEFF") {
		h.bodyAt = len("\uFEFF")
	}
	err := htmlTokens(s, h.token)
	h.endLine(len(s), 0)
	if h.rest {
		h.span(h.from.at, len(s))
	} else if h.quoteN > 0 {
		h.span(h.from.at, h.end.at)
	}
	if !h.beforeEnd {
		h.end = h.here(len(s))
	}
	for _, e := range h.open {
		h.broken = h.broken || inSet(rawElements, e.name)
	}
	if err != nil || h.broken || h.maxDepth > maxHTMLDepth {
		return h, errHTML
	}
	return h, nil
}

func (h *htmlText) token(t htmlToken) {
	switch t.kind {
	case html.TextToken:
		if h.preN == 0 {
			h.text(t.start, t.end)
			return
		}
		for at := t.start; at < t.end; {
			n := strings.IndexByte(h.src[at:t.end], '\n') + 1
			if n == 0 {
				n = t.end - at
			}
			h.text(at, at+n)
			if at += n; h.src[at-1] == '\n' {
				h.endLine(at, len(h.open))
			}
		}
	case html.CommentToken, html.DoctypeToken:
		h.hidden.WriteString(html.UnescapeString(h.src[t.start:t.end]))
		h.hidden.WriteByte('\n')
		if t.kind == html.DoctypeToken && h.visible.Len() == 0 {
			h.bodyAt = t.end
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		h.start(t)
	case html.EndTagToken:
		h.endTag(t)
	}
}

// here is the place before the token at an offset.
func (h *htmlText) here(at int) place {
	p := place{at, len(h.open), -1}
	if h.tight >= 0 {
		p.tight = h.open[h.tight].at
	}
	return p
}

func (h *htmlText) inQuote() bool { return h.quoteN > 0 || h.rest }

func (h *htmlText) text(at, end int) {
	text := html.UnescapeString(h.src[at:end])
	if n := len(h.open); n > 0 && inSet(rawElements, h.open[n-1].name) || h.hiddenN > 0 {
		h.hidden.WriteString(text)
		h.hidden.WriteByte('\n')
		return
	}
	h.visible.WriteString(text)
	if !isBlank(text) {
		if h.cur.at < 0 {
			h.startLine(at)
		}
		if h.cur.textAt < 0 {
			h.cur.textAt = at
		}
	}
	h.line.WriteString(text)
	if !h.inQuote() {
		h.fresh.WriteString(text)
		if h.trace != nil {
			h.trace.add(h.src, at, end)
		}
	}
}

// cutFresh takes back new text that has turned out to be quoted.
func (h *htmlText) cutFresh(to int) {
	to = min(to, h.fresh.Len())
	h.fresh.Truncate(to)
	if h.trace != nil {
		h.trace.truncate(to)
	}
}

// startLine begins a shown line at an offset.
func (h *htmlText) startLine(at int) {
	h.cur = shownLine{place: h.here(at), textAt: -1, fresh: h.fresh.Len(), rule: h.rule}
}

// endLine ends a shown line at an offset and looks whether a quote starts with it. stay is how
// many open elements go on behind it.
func (h *htmlText) endLine(at, stay int) {
	l := h.cur
	l.text, l.end = strings.TrimSpace(h.line.String()), at
	h.line.Reset()
	h.cur = shownLine{place: place{-1, 0, -1}}
	if l.text == "" || l.at < 0 {
		return
	}
	l.from, l.lead = l.at, h.leads > 0
	for _, e := range h.open[min(l.depth, stay):stay] {
		switch {
		case e.at >= at:
		case e.body <= l.textAt:
			l.from = e.body
		default:
			l.torn = l.torn || !inSet(formatElements, e.name)
		}
	}
	h.rule.at = -1
	if h.group >= 0 && h.quoteN <= 2 && isSeparator(l.text) {
		h.open[h.group].forward = true
	}
	if h.inQuote() {
		h.keep(nil)
		h.block.lines = 0
		return
	}
	switch {
	case isSeparator(l.text):
		h.startRest(l)
		return
	case isQuoted(l.text) && (h.quotedGt || h.preN > 0 && strings.HasPrefix(strings.TrimLeft(l.text, ">")+" ", " ") || h.lead() > 0):
		h.startQuote(l.place)
		h.cutFresh(l.fresh)
		h.unsure = h.unsure || l.torn
		h.span(l.from, l.end)
		h.quotedGt = true
		return
	}
	h.quotedGt = false
	h.fields(l)
	if len(h.prev) == maxLeadLines {
		h.prev = slices.Delete(h.prev, 0, 1)
	}
	h.keep(append(h.prev, l))
}

// keep remembers the last lines.
func (h *htmlText) keep(lines []shownLine) { h.prev, h.leadN = lines, -1 }

// fields looks for the fields that Outlook writes above a quoted message.
func (h *htmlText) fields(l shownLine) {
	if h.block.lines > 0 {
		if h.block.add(l.text); h.block.isHeader() {
			h.startRest(h.blockLine)
			return
		}
	}
	if h.block.lines == 0 || h.block.ended {
		if h.block = (fieldBlock{}); isFromLine(l.text) {
			h.block.add(l.text)
			h.blockLine = l
		}
	}
}

// startRest begins a quote that goes on to the end, with a line that was read already.
func (h *htmlText) startRest(l shownLine) {
	p := l.place
	if l.rule.at >= 0 {
		p = l.rule
	}
	if h.first.at < 0 {
		h.first = p
	}
	h.cutFresh(l.fresh)
	h.unsure = h.unsure || l.torn
	h.rest, h.from = true, p
	h.from.depth = min(p.depth, len(h.open))
}

// lead returns how many of the last lines are the attribution of a quote that starts here.
func (h *htmlText) lead() int {
	if h.leadN >= 0 {
		return h.leadN
	}
	h.leadN = 0
	joined := ""
	for n := 1; n <= len(h.prev); n++ {
		joined = h.prev[len(h.prev)-n].text + " " + joined
		if len(joined) > maxLead {
			break
		}
		if isAttribution(collapse(joined)) || n == 1 && isForwardLead(joined) {
			h.leadN = n
			break
		}
	}
	if n := len(h.prev); h.leadN == 0 && n > 0 && h.prev[n-1].lead && hasNumber(h.prev[n-1].text, 1) {
		h.leadN = 1 // in a language that we do not know
	}
	return h.leadN
}

// startQuote notes that a quote starts at a place, and the attribution above it.
func (h *htmlText) startQuote(p place) {
	n := h.lead()
	if n > 0 {
		lines := h.prev[len(h.prev)-n:]
		p = lines[0].place
		before := min(lines[0].fresh, h.fresh.Len())
		if e := h.leadElem; e.quote == quoteLead && e.at <= p.at && h.leadEnd >= lines[n-1].end && e.fresh <= before && len(bytes.TrimSpace(h.fresh.Bytes()[e.fresh:before])) == 0 {
			p = e.outer // nothing else is in it
			h.span(e.at, h.leadEnd)
		} else {
			for _, l := range lines {
				h.unsure = h.unsure || l.torn
				h.span(l.from, l.end)
			}
		}
		h.cutFresh(before)
	}
	h.keep(nil)
	if h.first.at < 0 {
		h.first = p
	}
}

// span adds a quoted range.
func (h *htmlText) span(start, end int) {
	if start >= end {
		return
	}
	if n := len(h.spans); n > 0 && h.spans[n-1].end >= start {
		h.spans[n-1].end = max(end, h.spans[n-1].end)
		return
	}
	h.spans = append(h.spans, span{start, end})
}

func (h *htmlText) start(t htmlToken) {
	for _, a := range t.attrs {
		h.attrs.WriteString(a.Val)
		h.attrs.WriteByte('\n')
	}
	block := inSet(blockElements, t.name)
	if block {
		h.endLine(t.start, len(h.open))
		h.newline()
	}
	if n := len(h.open); n > 0 && (h.open[n-1].name == "p" && block && t.name != "br" || h.open[n-1].name == t.name && inSet(" li td tr option dd dt ", t.name)) {
		h.pop(n-1, t.start) // its end tag may be left out
	}
	switch t.name {
	case "a", "area", "form":
		if link := t.attr("href") + t.attr("action"); link != "" && !h.inQuote() {
			h.links.WriteString(strings.NewReplacer("\n", "", "\r", "").Replace(link) + "\n")
		}
	case "body":
		if !h.sawBody && isBlank(h.visible.String()) {
			h.bodyAt = t.end
		}
		h.sawBody = true
	case "html":
		if !h.sawBody && h.visible.Len() == 0 {
			h.bodyAt = t.end
		}
	case "hr":
		if !h.inQuote() && h.hiddenN == 0 {
			h.rule = h.here(t.start)
		}
	}
	q := h.quoteStart(t)
	if h.cur.at < 0 && t.name != "br" {
		h.startLine(t.start)
	}
	if t.kind == html.SelfClosingTagToken && !inSet(rawElements, t.name) || inSet(voidElements, t.name) {
		return
	}
	if len(h.open) > maxHTMLDepth {
		h.broken = true
		return
	}
	e := openElement{name: t.name, hidden: isHiddenTag(&t) || inSet(unseenElements, t.name), quote: q, at: t.start, body: t.end, spans: len(h.spans)}
	e.tight = e.hidden || inSet(tightElements, t.name)
	e.block, e.scope = block, inSet(scopeElements, t.name)
	if e.hidden {
		h.hiddenN++
	}
	switch {
	case e.quote == quoteLead:
		h.leads++
		e.fresh, e.outer = h.fresh.Len(), h.here(t.start)
	case e.quote != noQuote:
		h.quoteN++
	}
	if t.name == "pre" {
		h.preN++
	}
	if e.tight && h.tight < 0 {
		h.tight = len(h.open)
	}
	h.open = append(h.open, e)
	h.maxDepth = max(h.maxDepth, len(h.open))
}

// quoteStart looks whether a tag starts a quote, and which kind of element it opens.
func (h *htmlText) quoteStart(t htmlToken) quoteKind {
	q := quoteTag(&t)
	if h.hiddenN > 0 || h.rest {
		return noQuote
	}
	if h.quoteN > 0 {
		if q == noQuote && t.name == "blockquote" && h.quoteN == 1 && h.group >= 0 && !h.open[h.group].released {
			return quoteElem
		}
		if q == quoteRest || q == noQuote {
			return noQuote
		}
		return quoteElem
	}
	if q == noQuote && t.name == "blockquote" && h.lead() > 0 {
		q = quoteElem
	}
	switch q {
	case noQuote, quoteLead:
		return q // people write into the line above a quote: only what follows tells
	case quoteRest:
		h.startRest(shownLine{place: h.here(t.start), fresh: h.fresh.Len(), rule: h.rule})
		return noQuote
	case quoteGroup:
		h.group = len(h.open)
	}
	h.from = h.here(t.start)
	h.startQuote(h.from)
	return q
}

func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

func (h *htmlText) newline() {
	h.visible.WriteByte('\n')
	if !h.inQuote() {
		h.fresh.WriteByte('\n')
		if h.trace != nil {
			h.trace.gap("\n")
		}
	}
}

func (h *htmlText) endTag(t htmlToken) {
	i := h.match(t.name)
	if inSet(blockElements, t.name) {
		at, stay := t.start, len(h.open)
		if i >= 0 && i >= h.cur.depth {
			at, stay = t.end, i
		}
		h.endLine(at, stay)
		h.newline()
	}
	switch t.name {
	case "body", "html":
		if !h.beforeEnd || t.name == "body" {
			h.end, h.beforeEnd = h.here(t.start), true
		}
		if h.rest {
			h.span(h.from.at, t.start)
			h.from.at = t.end
		}
		return // what follows a misplaced </body> is still in the body
	case "head":
		if !h.sawBody {
			h.bodyAt = t.end
		}
	}
	if i < 0 {
		return
	}
	if h.rest && i < h.from.depth { // the tag ends what began before the quote: it stays
		h.span(h.from.at, t.start)
		h.from.at = t.end
	}
	if !inSet(formatElements, t.name) {
		for n := len(h.open) - 1; n > i; n-- {
			h.pop(n, t.start)
		}
	}
	h.pop(i, t.end)
}

// match returns the open element that an end tag ends, -1 if none: as browsers do, it looks no
// further than to the cell around it, and what is no block ends no block.
func (h *htmlText) match(name string) int {
	table, block := inSet(tableElements, name), inSet(blockElements, name)
	format := inSet(formatElements, name)
	for i := len(h.open) - 1; i >= 0; i-- {
		switch e := &h.open[i]; {
		case e.name == name:
			return i
		case !table && e.scope, !block && !format && e.block:
			return -1
		}
	}
	return -1
}

// pop ends the open element at an index; its text goes to the offset.
func (h *htmlText) pop(i, at int) {
	e := h.open[i]
	h.open = slices.Delete(h.open, i, i+1)
	if e.hidden {
		h.hiddenN--
	}
	if e.name == "pre" {
		h.preN--
	}
	if i < h.cur.depth {
		h.cur.depth--
		h.cur.torn = h.cur.textAt >= 0
	}
	if i < h.blockLine.depth {
		h.blockLine.depth--
		h.blockLine.torn = true
	}
	if i < h.blockLine.rule.depth {
		h.blockLine.rule.at = -1
	}
	if i == h.tight {
		h.tight = slices.IndexFunc(h.open, func(e openElement) bool { return e.tight })
	} else if i < h.tight {
		h.tight--
	}
	if i < h.rule.depth {
		h.rule.at = -1
	}
	if h.inQuote() && i < h.from.depth {
		h.from.depth--
		h.unsure = h.unsure || !h.rest && inSet(formatElements, e.name)
	}
	if i == h.group && e.quote == quoteGroup {
		h.group = -1
	} else if i < h.group {
		h.group--
	}
	if e.quote == quoteLead {
		h.leads--
		h.leadElem, h.leadEnd = e, at
		return
	}
	if e.quote == noQuote || h.rest {
		return
	}
	switch {
	case e.released:
		if len(bytes.TrimSpace(h.fresh.Bytes()[min(e.fresh, h.fresh.Len()):])) == 0 {
			h.spans = h.spans[:min(e.spans, len(h.spans))]
			h.span(e.at, at)
		}
		return
	case h.quoteN == 1:
		h.span(h.from.at, at)
	}
	h.quoteN--
	if h.quoteN == 1 && h.group >= 0 && e.name == "blockquote" && !h.open[h.group].forward && !h.open[h.group].released {
		g := &h.open[h.group]
		h.span(g.body, at)
		g.released, g.fresh = true, h.fresh.Len()
		h.quoteN = 0
	}
}

// quotedHTML returns the ranges of an HTML text that quote another message. What is left
// without them shows the new text and nothing else. It fails when that cannot be told.
func quotedHTML(s string) ([]span, error) {
	h, err := readHTML(s)
	if err != nil || h.unsure {
		return nil, errHTML
	}
	if len(h.spans) == 0 {
		return nil, nil
	}
	shown, err := shownText(without(s, h.spans))
	if err != nil || shown != squeeze(h.fresh.String()) {
		return nil, errHTML
	}
	return h.spans, nil
}

// without returns a text without ranges of it.
func without(s string, spans []span) string {
	var b strings.Builder
	at := 0
	for _, q := range spans {
		b.WriteString(s[at:q.start])
		at = q.end
	}
	b.WriteString(s[at:])
	return b.String()
}
