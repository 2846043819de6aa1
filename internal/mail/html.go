package mail

import (
	"errors"
	"strings"

	"golang.org/x/net/html"
)

// Limits of HTML that we read: what is deeper no mail app writes, and x/net/html gives up too.
const maxHTMLDepth = 512

var errHTML = errors.New("mail: html cannot be read")

// htmlToken is one token of an HTML text by its byte range.
type htmlToken struct {
	kind       html.TokenType
	start, end int
	name       string
	attrs      []html.Attribute
}

// htmlTokens reads a text token by token. err is set when a part of the text belongs to no
// token: a tag or a comment that is not closed.
func htmlTokens(s string, yield func(htmlToken)) error {
	z := html.NewTokenizer(strings.NewReader(s))
	at := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if at < len(s) {
				return errHTML
			}
			return nil
		}
		raw := z.Raw()
		t := htmlToken{kind: kind, start: at, end: at + len(raw)}
		at = t.end
		switch kind {
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			t.name = string(name)
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				t.attrs = append(t.attrs, html.Attribute{Key: string(k), Val: string(v)})
			}
		case html.CommentToken:
			if !strings.HasSuffix(s[t.start:t.end], ">") {
				yield(t)
				return errHTML
			}
		}
		yield(t)
	}
}

func (t *htmlToken) attr(key string) string {
	for _, a := range t.attrs {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// has reports whether the attribute is there, with any value.
func (t *htmlToken) has(key string) bool {
	for _, a := range t.attrs {
		if a.Key == key {
			return true
		}
	}
	return false
}

const (
	voidElements = " area base br col embed hr img input link meta param source track wbr "
	// What these hold is not shown as text.
	unseenElements = " script style title template noscript noembed noframes iframe object textarea select "
	rawElements    = " script style title textarea iframe noembed noframes noscript xmp plaintext "
	blockElements  = " address article aside blockquote body br caption center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre section table tbody td tfoot th thead tr ul "
)

func inSet(set, name string) bool {
	return name != "" && len(name) < 20 && strings.Contains(set, " "+name+" ")
}

// isHiddenTag reports an element that mail apps do not show.
func isHiddenTag(t *htmlToken) bool {
	if t.has("hidden") {
		return true
	}
	style := strings.ToLower(strings.Join(strings.Fields(t.attr("style")), ""))
	for _, h := range []string{"display:none", "visibility:hidden", "mso-hide:all", "font-size:0", "opacity:0;", "max-height:0"} {
		if i := strings.Index(style, h); i >= 0 {
			rest := style[i+len(h):]
			if strings.HasPrefix(rest, ".") && strings.HasSuffix(h, "0") {
				continue // 0.9em
			}
			return true
		}
	}
	return false
}

// quoteKind says what a tag starts.
type quoteKind uint8

const (
	noQuote   quoteKind = iota
	quoteElem           // the element holds the quote
	quoteRest           // everything behind it is the quote
	quoteLead           // the element holds the attribution line
)

func quoteTag(t *htmlToken) quoteKind {
	id := strings.ToLower(t.attr("id"))
	switch {
	case strings.Contains(id, "divrplyfwdmsg"), strings.Contains(id, "appendonsend"), strings.Contains(id, "olk_src_body_section"),
		id == "stopspelling", strings.Contains(id, "mail-editor-reference-message-container"):
		return quoteRest
	case t.name == "blockquote" && strings.EqualFold(t.attr("type"), "cite"):
		return quoteElem
	case t.name == "div" && outlookRule(t.attr("style")):
		return quoteRest
	}
	for c := range strings.FieldsSeq(strings.ToLower(t.attr("class"))) {
		switch {
		case strings.Contains(c, "moz-cite-prefix"), strings.Contains(c, "gmail_attr"):
			return quoteLead
		case strings.Contains(c, "gmail_quote"), strings.Contains(c, "gmail_extra_quote"), strings.Contains(c, "yahoo_quoted"),
			strings.Contains(c, "protonmail_quote"), strings.Contains(c, "moz-forward-container"):
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
	name   string
	hidden bool
	quote  quoteKind
	at     int
}

// htmlText is what reading an HTML text gives.
type htmlText struct {
	visible strings.Builder // text that is shown
	fresh   strings.Builder // shown and not quoted
	hidden  strings.Builder // texts that are not shown, comments, scripts
	attrs   strings.Builder // attribute values
	links   strings.Builder // where links outside the quote lead, one a line

	quoteAt  int // offset of the tag where the quote starts, -1: none
	bodyAt   int // offset behind the start of the body
	endAt    int // offset where text at the end goes
	maxDepth int

	open      []openElement
	hiddenN   int
	quoteN    int
	rest      bool // all that follows is quoted
	lineAt    int  // offset where the current shown line started
	line      strings.Builder
	prevAt    int // the last line with text
	prevLine  string
	broken    bool
	sawBody   bool
	beforeEnd bool
}

// readHTML reads an HTML text once: what is shown, what is not, and where text can go in.
// The error says that parts of it cannot be read safely; what was read is there anyway.
func readHTML(s string) (*htmlText, error) {
	h := &htmlText{quoteAt: -1, endAt: len(s), lineAt: -1, prevAt: -1}
	if strings.HasPrefix(s, "\uFEFF") {
		h.bodyAt = len("\uFEFF")
	}
	err := htmlTokens(s, func(t htmlToken) { h.token(s, t) })
	h.endLine()
	for _, e := range h.open {
		h.broken = h.broken || inSet(rawElements, e.name)
	}
	if err != nil || h.broken || h.maxDepth > maxHTMLDepth {
		return h, errHTML
	}
	return h, nil
}

func (h *htmlText) token(s string, t htmlToken) {
	switch t.kind {
	case html.TextToken:
		h.text(html.UnescapeString(s[t.start:t.end]), t.start)
	case html.CommentToken, html.DoctypeToken:
		h.hidden.WriteString(html.UnescapeString(s[t.start:t.end]))
		h.hidden.WriteByte('\n')
		if t.kind == html.DoctypeToken && h.visible.Len() == 0 {
			h.bodyAt = t.end
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		h.start(t)
	case html.EndTagToken:
		h.end(t)
	}
}

func (h *htmlText) text(text string, at int) {
	if n := len(h.open); n > 0 && inSet(rawElements, h.open[n-1].name) || h.hiddenN > 0 {
		h.hidden.WriteString(text)
		h.hidden.WriteByte('\n')
		return
	}
	h.visible.WriteString(text)
	if h.lineAt < 0 && strings.TrimSpace(text) != "" {
		h.lineAt = at
	}
	h.line.WriteString(text)
	if h.quoteN == 0 && !h.rest {
		if h.quoteAt < 0 && isSeparator(text) {
			h.quoteAt, h.rest = h.lineStart(at), true
			return
		}
		h.fresh.WriteString(text)
	}
}

// lineStart is where the line being read starts, as a place to put a block before.
func (h *htmlText) lineStart(at int) int {
	if h.lineAt >= 0 {
		return h.lineAt
	}
	return at
}

// endLine ends a shown line.
func (h *htmlText) endLine() {
	if strings.TrimSpace(h.line.String()) != "" {
		h.prevLine, h.prevAt = h.line.String(), h.lineAt
	}
	h.line.Reset()
	h.lineAt = -1
}

func (h *htmlText) start(t htmlToken) {
	for _, a := range t.attrs {
		h.attrs.WriteString(a.Val)
		h.attrs.WriteByte('\n')
	}
	block := inSet(blockElements, t.name)
	if block {
		h.endLine()
		h.newline()
	}
	switch t.name {
	case "a", "area", "form":
		if h.quoteN == 0 && !h.rest {
			h.links.WriteString(strings.NewReplacer("\n", "", "\r", "").Replace(t.attr("href")+t.attr("action")) + "\n")
		}
	case "body":
		if !h.sawBody && strings.TrimSpace(h.visible.String()) == "" {
			h.bodyAt = t.end
		}
		h.sawBody = true
	case "html":
		if !h.sawBody && h.visible.Len() == 0 {
			h.bodyAt = t.end
		}
	}
	q := quoteTag(&t)
	if q != noQuote && h.hiddenN == 0 {
		h.quote(t, q)
	}
	if block && h.lineAt < 0 && t.name != "br" {
		h.lineAt = t.start
	}
	if t.kind == html.SelfClosingTagToken && !inSet(rawElements, t.name) || inSet(voidElements, t.name) {
		return
	}
	if n := len(h.open); n > 0 && (h.open[n-1].name == "p" && block || h.open[n-1].name == t.name && inSet(" li td tr option dd dt ", t.name)) {
		h.end(htmlToken{name: h.open[n-1].name}) // its end tag may be left out
	}
	if len(h.open) > maxHTMLDepth {
		h.broken = true
		return
	}
	e := openElement{name: t.name, hidden: isHiddenTag(&t) || inSet(unseenElements, t.name), quote: q, at: t.start}
	if e.hidden {
		h.hiddenN++
	}
	if e.quote != noQuote {
		h.quoteN++
	}
	h.open = append(h.open, e)
	h.maxDepth = max(h.maxDepth, len(h.open))
}

func (h *htmlText) quote(t htmlToken, q quoteKind) {
	if q == quoteRest {
		h.rest = true
	}
	if h.quoteAt >= 0 {
		return
	}
	h.quoteAt = t.start
	// "On Monday ... wrote:" right above belongs to the quote.
	if h.prevAt >= 0 && q == quoteElem && isAttribution(collapse(h.prevLine)) {
		h.quoteAt = h.prevAt
	}
}

func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

func (h *htmlText) newline() {
	h.visible.WriteByte('\n')
	if h.quoteN == 0 && !h.rest {
		h.fresh.WriteByte('\n')
	}
}

func (h *htmlText) end(t htmlToken) {
	switch t.name {
	case "body":
		h.endAt, h.beforeEnd = t.start, true
		return // what follows a misplaced </body> is still in the body
	case "html":
		if !h.beforeEnd {
			h.endAt, h.beforeEnd = t.start, true
		}
		return
	case "head":
		if !h.sawBody {
			h.bodyAt = t.end
		}
	}
	if inSet(blockElements, t.name) {
		h.endLine()
		h.newline()
	}
	for i := len(h.open) - 1; i >= 0 && i >= len(h.open)-maxHTMLDepth; i-- {
		if h.open[i].name != t.name {
			continue
		}
		for _, e := range h.open[i:] {
			if e.hidden {
				h.hiddenN--
			}
			if e.quote != noQuote {
				h.quoteN--
			}
		}
		h.open = h.open[:i]
		return
	}
}

// VisibleText returns the text that a reader of the HTML sees, one line a block. On an error
// the text is what could be read.
func VisibleText(s string) (string, error) {
	h, err := readHTML(s)
	return h.visible.String(), err
}

// shownText returns the text that is shown by the tree that a browser builds, without white
// space, and without what stands under elements that hide it.
func shownText(doc string) (string, error) {
	root, err := html.ParseWithOptions(strings.NewReader(doc), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	collectShown(root, &b)
	return squeeze(b.String()), nil
}

func collectShown(n *html.Node, b *strings.Builder) {
	switch n.Type {
	case html.TextNode:
		b.WriteString(n.Data)
	case html.ElementNode:
		t := htmlToken{name: n.Data, attrs: n.Attr}
		if inSet(unseenElements, n.Data) && n.Data != "noscript" || isHiddenTag(&t) || n.Namespace != "" {
			return
		}
		if inSet(blockElements, n.Data) {
			b.WriteByte('\n')
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		collectShown(c, b)
	}
}

// squeeze removes all white space, so that wrapped and unwrapped texts compare equal.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }
