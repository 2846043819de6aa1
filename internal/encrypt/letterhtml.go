package encrypt

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

const (
	// maxHTML is the size of a page above which it is not read.
	maxHTML = 8 << 20
	// maxOpen is how deep elements may stand in each other; browsers stop at 512 too.
	maxOpen = 512
)

// What an element is to the reader of the page. Names are those of the HTML standard.
const (
	voidTags = " area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr "
	// Nothing in these is shown.
	hiddenTags = " script style title template noembed noframes iframe datalist audio video canvas svg math frameset "
	// An end tag of these ends them alone, whatever stands in them (HTML §13.2.6.4.7, the
	// adoption agency).
	formatTags = " a b big code em font i nobr s small strike strong tt u "
	// No end tag from inside one of these ends what stands around it.
	scopeTags = " td th caption table object template "
	tableTags = " td th tr tbody thead tfoot table caption "
	// Text before and behind these is not on one line.
	blockTags = " address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup legend li listing main menu nav ol optgroup option p plaintext pre search section select summary table tbody textarea tfoot thead tr ul xmp "
	// The start tag of one of these ends an open paragraph.
	closesP = " address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr li dd dt listing main menu nav ol p plaintext pre search section summary ul xmp "
	// An end tag of an element that is not one of these, of blockTags or of tableTags does
	// not reach beyond one that is.
	specialTags = " button object template marquee applet "
	boldTags    = " b strong th "
	italicTags  = " i em cite var dfn "
	listTags    = " ul ol menu dir "
	preTags     = " pre textarea listing xmp plaintext "
	headingTags = " h1 h2 h3 h4 h5 h6 "
)

func isTag(set, name string) bool { return strings.Contains(set, " "+name+" ") }

// FromHTML returns the blocks of a page: headings, paragraphs, lists, quotes, links, the rows of
// tables. Nothing is fetched, no style but bold and italic is kept, and what an element hides
// (display: none and the like) is not there. A picture is its alternative text in brackets.
//
// The page is read by tokens with a stack of our own, in linear time: a tree as browsers build
// it grows without bound where many styles stay open over many paragraphs. A page of which the
// stack cannot tell what is hidden is [Damaged].
func FromHTML(s string) ([]Block, error) {
	if len(s) > maxHTML {
		return nil, fmt.Errorf("encrypt: page of %d bytes: %w", len(s), TooLarge)
	}
	p := page{z: html.NewTokenizer(strings.NewReader(s)), open: map[string]int{}}
	for {
		var err error
		switch typ := p.z.Next(); typ {
		case html.ErrorToken:
			if err := p.z.Err(); err != io.EOF {
				return nil, fmt.Errorf("encrypt: page: %w: %w", Damaged, err)
			}
			p.w.flush()
			return p.w.out, nil
		case html.TextToken:
			p.text(string(p.z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			err = p.start(typ == html.SelfClosingTagToken)
		case html.EndTagToken:
			name, _ := p.z.TagName()
			err = p.end(string(name))
		}
		if err != nil {
			return nil, fmt.Errorf("encrypt: page: %w", err)
		}
	}
}

// page is a page while it is read.
type page struct {
	z     *html.Tokenizer
	w     blockWriter
	stack []element
	open  map[string]int // how many of each are on the stack
	now   setting

	marker string // of a list item that has no text yet
	gap    bool   // white space is due before the next text
	cell   bool   // a bar is due before the next text of the row
}

// setting is what the elements around a text make of it.
type setting struct {
	hidden bool
	tiny   bool // a font size of nothing, until an element inside has another
	unseen bool // visibility: hidden, the same
	bold   bool
	italic bool
	pre    bool
	item   bool // in a list item
	link   string
	// Depths; and the level of the heading.
	quotes, lists, tables, level int
}

// element is an open element.
type element struct {
	name   string
	next   int // number of the next item of an ordered list
	before setting
}

// conceals reports whether what the element holds is seen less than what stands around it.
func (e element) conceals(c setting) bool {
	return c.hidden != e.before.hidden || c.tiny != e.before.tiny || c.unseen != e.before.unseen
}

// start takes a start tag.
func (p *page) start(selfClosing bool) error {
	raw, more := p.z.TagName()
	name := string(raw)
	attrs := map[string]string{}
	for more {
		var key, val []byte
		key, val, more = p.z.TagAttr()
		switch k := string(key); k {
		case "hidden", "style", "href", "start", "alt", "type", "value":
			if _, twice := attrs[k]; !twice { // the first one counts (HTML §13.2.5.33)
				attrs[k] = string(val)
			}
		}
	}
	switch name {
	case "noscript":
		p.z.NextIsNotRawText() // a reader of mail runs no scripts, and shows it
	case "html", "head", "body":
		return nil // there is one of each, wherever the tags stand; one that is hidden is nobody's letter
	case "image":
		name = "img" // the standard has it so
	}
	foreign := p.open["svg"]+p.open["math"] > 0 || name == "svg" || name == "math"
	if foreign && selfClosing {
		return nil
	}
	if !foreign {
		if ok, err := p.implied(name); err != nil || !ok {
			return err
		}
	}
	next := p.now
	next.style(attrs)
	if isTag(voidTags, name) {
		p.void(name, attrs, next)
		return nil
	}
	return p.push(name, attrs, next)
}

// implied ends what the start tag ends without saying so. ok is false for a tag that does not
// count where it stands.
func (p *page) implied(name string) (ok bool, err error) {
	top := func() string {
		if len(p.stack) == 0 {
			return ""
		}
		return p.stack[len(p.stack)-1].name
	}
	if isTag(closesP, name) {
		if err := p.endIn("p", " button "); err != nil {
			return false, err
		}
	}
	switch name {
	case "li":
		err = p.endIn("li", listTags)
	case "dd", "dt":
		if err = p.endIn("dd", " dl "); err == nil {
			err = p.endIn("dt", " dl ")
		}
	case "option", "optgroup":
		if top() == "option" {
			err = p.pop(len(p.stack) - 1)
		}
	case "a", "nobr":
		err = p.end(name)
	case "td", "th", "tr", "tbody", "thead", "tfoot", "caption", "col", "colgroup":
		if p.now.tables == 0 {
			return false, nil
		}
		err = p.backToTable(name)
	default:
		if isTag(headingTags, name) && isTag(headingTags, top()) {
			err = p.pop(len(p.stack) - 1)
		}
	}
	return true, err
}

// backToTable ends the cells and rows that a new cell, row or group of rows ends.
func (p *page) backToTable(name string) error {
	ends := " td th caption "
	switch name {
	case "td", "th":
	case "tr":
		ends += "tr "
	default:
		ends += "tr tbody thead tfoot "
	}
	to := -1
	for i := len(p.stack) - 1; i >= 0 && p.stack[i].name != "table"; i-- {
		if isTag(ends, p.stack[i].name) {
			to = i
		}
	}
	if to < 0 {
		return nil
	}
	return p.pop(to)
}

// void takes an element that holds nothing.
func (p *page) void(name string, attrs map[string]string, c setting) {
	seen := p.now
	p.now = c
	defer func() { p.now = seen }()
	switch name {
	case "br":
		p.newline()
	case "hr":
		p.endBlock()
	case "img":
		if alt := strings.TrimSpace(attrs["alt"]); alt != "" {
			p.gap = true
			p.text("[" + alt + "]")
			p.gap = true
		}
	case "input":
		switch strings.ToLower(attrs["type"]) {
		case "", "text", "email", "tel", "url", "number", "date", "submit", "button", "reset":
			p.text(attrs["value"])
		}
	}
}

// style applies what an element's attributes say.
func (c *setting) style(attrs map[string]string) {
	if _, ok := attrs["hidden"]; ok {
		c.hidden = true
	}
	clipped, flat := false, false
	for decl := range strings.SplitSeq(attrs["style"], ";") {
		key, val, _ := strings.Cut(decl, ":")
		val, _, _ = strings.Cut(val, "!")
		key, val = strings.ToLower(strings.TrimSpace(key)), strings.ToLower(strings.TrimSpace(val))
		switch key {
		case "display":
			c.hidden = c.hidden || val == "none"
		case "mso-hide":
			c.hidden = c.hidden || val == "all"
		case "visibility":
			c.unseen = val == "hidden" || val == "collapse"
		case "opacity":
			c.hidden = c.hidden || isZero(val)
		case "font-size":
			if val != "inherit" {
				c.tiny = isZero(val) || c.tiny && (strings.HasSuffix(val, "em") && !strings.HasSuffix(val, "rem") || strings.HasSuffix(val, "%"))
			}
		case "max-height", "height", "max-width", "width":
			flat = flat || isZero(val)
		case "overflow":
			clipped = val == "hidden" || val == "clip"
		case "font-weight":
			n, err := strconv.Atoi(val)
			c.bold = val == "bold" || val == "bolder" || err == nil && n >= 600 || c.bold && (val == "inherit" || val == "")
		case "font-style":
			c.italic = val == "italic" || val == "oblique" || c.italic && val == "inherit"
		}
	}
	c.hidden = c.hidden || clipped && flat
}

// isZero reports a length or number of nothing, in any unit.
func isZero(s string) bool {
	s = strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz% ")
	n, err := strconv.ParseFloat(s, 64)
	return err == nil && n == 0
}

// push opens an element.
func (p *page) push(name string, attrs map[string]string, c setting) error {
	if len(p.stack) >= maxOpen {
		return fmt.Errorf("%d elements in each other: %w", maxOpen, TooCostly)
	}
	e := element{name: name, before: p.now}
	c.hidden = c.hidden || isTag(hiddenTags, name)
	if isTag(blockTags, name) && !c.hidden {
		p.endBlock()
	}
	c.bold = c.bold || isTag(boldTags, name)
	c.italic = c.italic || isTag(italicTags, name)
	c.pre = c.pre || isTag(preTags, name)
	switch name {
	case "a":
		c.link = safeLink(attrs["href"])
	case "blockquote":
		c.quotes++
	case "table":
		c.tables++
		p.cell = false
	case "ol":
		e.next = 1
		if n, err := strconv.Atoi(attrs["start"]); err == nil && 0 < n && n < 1e6 {
			e.next = n
		}
		c.lists++
	case "ul", "menu", "dir":
		c.lists++
	case "li":
		c.item = true
		p.marker = p.nextMarker()
	case "h1", "h2", "h3", "h4", "h5", "h6":
		c.level = int(name[1] - '0')
	case "td", "th":
		if !p.w.empty() {
			p.cell = true
		}
	}
	p.stack = append(p.stack, e)
	p.open[name]++
	p.now = c
	return nil
}

// nextMarker returns the marker of the next item of the list that is open.
func (p *page) nextMarker() string {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if l := &p.stack[i]; isTag(listTags, l.name) {
			if l.name == "ol" {
				l.next++
				return strconv.Itoa(l.next-1) + "."
			}
			break
		}
	}
	return "•"
}

// end takes an end tag.
func (p *page) end(name string) error {
	switch name {
	case "br":
		p.newline()
		return nil
	case "p":
		if !p.now.hidden {
			p.endBlock()
		}
		return p.endIn("p", " button ")
	case "h1", "h2", "h3", "h4", "h5", "h6":
		for i := len(p.stack) - 1; i >= 0 && !isTag(scopeTags, p.stack[i].name); i-- {
			if isTag(headingTags, p.stack[i].name) {
				return p.pop(i)
			}
		}
		return nil
	}
	if p.open[name] == 0 {
		return nil
	}
	special := isTag(blockTags, name) || isTag(tableTags, name) || isTag(specialTags, name) || isTag(hiddenTags, name)
	for i := len(p.stack) - 1; i >= 0; i-- {
		at := p.stack[i].name
		switch {
		case at == name && isTag(formatTags, name):
			return p.remove(i)
		case at == name:
			return p.pop(i)
		case isTag(tableTags, name):
			if at == "table" {
				return nil
			}
		case isTag(scopeTags, at):
			return nil
		case !special && !isTag(formatTags, name) && (isTag(blockTags, at) || isTag(specialTags, at)):
			return nil
		}
	}
	return nil
}

// endIn ends the nearest element of that name, if no other one of a set, and nothing that
// bounds all, stands between.
func (p *page) endIn(name, within string) error {
	if p.open[name] == 0 {
		return nil
	}
	for i := len(p.stack) - 1; i >= 0; i-- {
		switch at := p.stack[i].name; {
		case at == name:
			return p.pop(i)
		case isTag(scopeTags, at), isTag(within, at):
			return nil
		}
	}
	return nil
}

// pop ends an element and all that stands in it.
func (p *page) pop(to int) error {
	now := p.now
	for i := len(p.stack) - 1; i >= to; i-- {
		e := p.stack[i]
		if i > to && isTag(formatTags, e.name) && e.conceals(now) {
			// A browser opens it again behind its parent.
			return fmt.Errorf("a hidden style that nobody ends: %w", Damaged)
		}
		p.open[e.name]--
		if isTag(blockTags, e.name) && !now.hidden {
			p.endBlock()
		}
		now = e.before
		switch e.name {
		case "td", "th":
			p.gap = false
			p.cell = !p.w.empty()
		case "li":
			p.marker = ""
		}
	}
	p.now = now
	p.stack = p.stack[:to]
	return nil
}

// remove ends a style alone; what stands in it stays open.
func (p *page) remove(i int) error {
	if i == len(p.stack)-1 {
		return p.pop(i)
	}
	e := p.stack[i]
	if e.conceals(p.stack[i+1].before) {
		return fmt.Errorf("a hidden style across others: %w", Damaged)
	}
	plain := func(c *setting) { c.bold, c.italic, c.link = e.before.bold, e.before.italic, e.before.link }
	for k := i + 1; k < len(p.stack); k++ {
		plain(&p.stack[k].before)
	}
	plain(&p.now)
	p.open[e.name]--
	p.stack = append(p.stack[:i], p.stack[i+1:]...)
	return nil
}

// endBlock ends the block, but not the row of a table whose cells are one block together.
func (p *page) endBlock() {
	p.w.flush()
	p.gap, p.cell = false, false
}

// newline breaks the line.
func (p *page) newline() {
	if !p.w.empty() && !p.concealed() {
		p.w.write("\n")
		p.gap = false
	}
}

func (p *page) concealed() bool { return p.now.hidden || p.now.tiny || p.now.unseen }

// text takes text.
func (p *page) text(s string) {
	if p.concealed() {
		return
	}
	if p.now.pre {
		p.put(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"))
		return
	}
	for s != "" {
		n := strings.IndexFunc(s, isBlank)
		if n != 0 {
			if n < 0 {
				n = len(s)
			}
			p.put(s[:n])
		} else {
			n = len(s) - len(strings.TrimLeftFunc(s, isBlank))
			p.gap = true
		}
		s = s[n:]
	}
}

// isBlank reports the white space of HTML, which is not that of Unicode.
func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }

// put appends text to the block, which it may begin.
func (p *page) put(s string) {
	c := p.now
	if p.w.empty() {
		p.gap, p.cell = false, false
		switch {
		case c.level > 0:
			p.w.block = Block{Kind: Heading, Level: c.level}
		case c.item:
			p.w.block = Block{Kind: ListItem, Level: max(c.lists, 1), Marker: p.marker}
			p.marker = ""
		case c.quotes > 0:
			p.w.block = Block{Kind: Quote, Level: c.quotes}
		default:
			p.w.block = Block{}
		}
	}
	style := Span{Bold: c.bold && c.level == 0, Italic: c.italic, Link: c.link}
	if p.cell || style != p.w.style {
		p.w.style = Span{} // what stands between two styles has neither
	}
	switch {
	case p.cell:
		p.w.write(" | ")
	case p.gap:
		p.w.write(" ")
	}
	p.gap, p.cell = false, false
	p.w.style = style
	p.w.write(s)
}

// safeLink returns the address if it is of a kind that a reader may follow from a letter.
func safeLink(s string) string {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 {
		return ""
	}
	switch u.Scheme = strings.ToLower(u.Scheme); u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return ""
		}
	case "mailto", "tel":
	default:
		return ""
	}
	return u.String()
}
