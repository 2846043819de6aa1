package encrypt

import (
	"strings"
)

// Letter is what a locked document says: the real subject and the body. Blocks hold all of it
// in reading order.
type Letter struct {
	// Title is the real subject; the document begins with it.
	Title string
	// Lang is the language of the text, a BCP 47 tag such as "en-GB"; empty for unknown.
	Lang   string
	Blocks []Block
}

// BlockKind says what a block is to its reader.
type BlockKind int

const (
	// Paragraph is running text. So is a row of a table, its cells between bars.
	Paragraph BlockKind = iota
	// Heading has a Level from 1 to 6.
	Heading
	// ListItem has a Marker, and its depth as Level, from 1.
	ListItem
	// Quote is text of somebody else, its depth as Level, from 1.
	Quote
)

// Block is a paragraph or what stands for one.
type Block struct {
	Kind  BlockKind
	Level int
	// Marker is what stands before a list item: "•", "3.".
	Marker string
	Spans  []Span
}

// Span is text in one style. A line break within a block is "\n"; no other control character
// is in it.
type Span struct {
	Text         string
	Bold, Italic bool
	// Link is where the text leads: an address of http, https, mailto or tel, or nothing.
	Link string
}

// Text returns what the block says, without its marker.
func (b Block) Text() string {
	var s strings.Builder
	for _, span := range b.Spans {
		s.WriteString(span.Text)
	}
	return s.String()
}

// Text returns what the letter says, one block a line, lists with their markers: what another
// reader must find again in a document made of it.
func (l Letter) Text() string {
	var s strings.Builder
	s.WriteString(l.Title)
	for _, b := range l.Blocks {
		s.WriteByte('\n')
		if b.Marker != "" {
			s.WriteString(b.Marker)
			s.WriteByte(' ')
		}
		s.WriteString(b.Text())
	}
	return s.String()
}

// FromText returns the blocks of plain text: paragraphs end at empty lines, lines that begin
// with ">" are quoted, addresses of the web are links. Line breaks stay where they are; the
// caller has joined the lines of format=flowed.
func FromText(s string) []Block {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	var w blockWriter
	depth := -1 // of the quote being read; -1 between paragraphs
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\n\f\v")
		n := 0
		for strings.HasPrefix(line, ">") {
			n++
			line = strings.TrimPrefix(line[1:], " ")
		}
		if line == "" || n != depth {
			w.flush()
			depth = -1
		}
		if line == "" {
			continue
		}
		if depth >= 0 {
			w.write("\n")
		}
		depth = n
		w.block = Block{}
		if n > 0 {
			w.block = Block{Kind: Quote, Level: n}
		}
		w.writeLinked(line)
	}
	w.flush()
	return w.out
}

// blockWriter collects spans into blocks.
type blockWriter struct {
	out   []Block
	block Block // what the next text belongs to
	style Span  // the style of the next text
	spans []Span
	open  strings.Builder // the text of the last span
	in    Span            // and its style
}

// write appends text in the style of now.
func (w *blockWriter) write(s string) {
	if s = clean(s); s == "" {
		return
	}
	if w.in != w.style {
		w.closeSpan()
		w.in = w.style
	}
	w.open.WriteString(s)
}

func (w *blockWriter) closeSpan() {
	if w.open.Len() > 0 {
		w.in.Text = w.open.String()
		w.spans = append(w.spans, w.in)
		w.open = strings.Builder{}
	}
}

// empty reports whether the block has no text yet.
func (w *blockWriter) empty() bool { return w.open.Len() == 0 && len(w.spans) == 0 }

// writeLinked appends text, with addresses of the web as links.
func (w *blockWriter) writeLinked(s string) {
	for {
		i, j := findURL(s)
		if i < 0 {
			w.write(s)
			return
		}
		w.write(s[:i])
		w.style.Link = s[i:j]
		w.write(s[i:j])
		w.style.Link = ""
		s = s[j:]
	}
}

// flush ends the block. One without text does not become one.
func (w *blockWriter) flush() {
	w.closeSpan()
	spans := w.spans
	w.spans = nil
	trimSpans(&spans)
	if len(spans) == 0 {
		return
	}
	b := w.block
	b.Spans = spans
	w.out = append(w.out, b)
}

// trimSpans removes white space at both ends of a block.
func trimSpans(spans *[]Span) {
	s := *spans
	for len(s) > 0 {
		if s[0].Text = strings.TrimLeft(s[0].Text, " \n"); s[0].Text != "" {
			break
		}
		s = s[1:]
	}
	for n := len(s) - 1; n >= 0; n-- {
		if s[n].Text = strings.TrimRight(s[n].Text, " \n"); s[n].Text != "" {
			break
		}
		s = s[:n]
	}
	*spans = s
}

// clean removes what is no text: control characters but the line break, and what marks the
// order of bytes. A tab becomes a space.
func clean(s string) string {
	bad := func(r rune) bool {
		return r < ' ' && r != '\n' || 0x7f <= r && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case bad(r):
			return -1
		}
		return r
	}, s)
}

// findURL returns where the first address of the web stands, without the punctuation behind
// it; -1 for none.
func findURL(s string) (int, int) {
	for from := 0; ; {
		i := strings.Index(s[from:], "http")
		if i < 0 {
			return -1, -1
		}
		i += from
		rest := strings.TrimPrefix(s[i+4:], "s")
		if !strings.HasPrefix(rest, "://") {
			from = i + 4
			continue
		}
		j := i
		for j < len(s) && s[j] > ' ' && s[j] < 0x7f && !strings.ContainsRune("<>\"`{}|\\^", rune(s[j])) {
			j++
		}
		for j > i && strings.ContainsRune(".,;:!?)]'*_", rune(s[j-1])) {
			j--
		}
		if j > len(s)-len(rest)+len("://") {
			return i, j
		}
		from = i + 4
	}
}
