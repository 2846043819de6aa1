package mail

import (
	"bytes"
	"html"
	"strings"
)

// shown is running text as a reader of HTML sees it, with where each byte of it stands in the
// source: what is found in the text can be changed there, and nothing else.
type shown struct {
	text   bytes.Buffer
	pieces []stretch
}

// stretch is a part of the text and the bytes of the source that stand for it.
type stretch struct {
	at, n      int // in the text
	start, end int // in the source
	exact      bool
}

// change puts a text in the place of bytes of the source. The text is HTML.
type change struct {
	start, end int
	with       string
}

func (t *shown) reset() {
	t.text.Reset()
	t.pieces = t.pieces[:0]
}

// add appends the text that the source has between two offsets: no tag is in it, character
// references are.
func (t *shown) add(src string, start, end int) {
	for start < end {
		n := strings.IndexByte(src[start:end], '&')
		if n != 0 {
			if n < 0 {
				n = end - start
			}
			t.put(src[start:start+n], start, start+n, true)
			start += n
			continue
		}
		// All that may belong to the reference: it is decoded as a whole, because old ones
		// need no semicolon (HTML §13.2.5.73).
		n = 1
		for start+n < end && (src[start+n] == '#' || isAlnum(src[start+n])) {
			n++
		}
		if start+n < end && src[start+n] == ';' {
			n++
		}
		ref := src[start : start+n]
		text := html.UnescapeString(ref)
		tail := 0 // of "&copythat" only the start is a reference
		for tail < min(n, len(text)) && ref[n-1-tail] == text[len(text)-1-tail] {
			tail++
		}
		t.put(text[:len(text)-tail], start, start+n-tail, false)
		t.put(text[len(text)-tail:], start+n-tail, start+n, true)
		start += n
	}
}

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func (t *shown) put(s string, start, end int, exact bool) {
	if s == "" {
		return
	}
	t.pieces = append(t.pieces, stretch{t.text.Len(), len(s), start, end, exact})
	t.text.WriteString(s)
}

// truncate drops all text behind the offset.
func (t *shown) truncate(to int) {
	t.text.Truncate(to)
	for n := len(t.pieces) - 1; n >= 0 && t.pieces[n].at+t.pieces[n].n > to; n-- {
		if p := &t.pieces[n]; p.at >= to {
			t.pieces = t.pieces[:n]
		} else { // whoever asks for its text asks for what is left of it
			p.n = to - p.at
		}
	}
}

// gap appends text that nothing in the source stands for.
func (t *shown) gap(s string) { t.text.WriteString(s) }

// change returns what to do to the source so that the text between i and j, which is not
// empty, becomes another one. Text of several pieces becomes text of the first; what a
// reference stands for beside it is written out.
func (t *shown) change(i, j int, with string) []change {
	var out []change
	with = html.EscapeString(with)
	s := t.text.Bytes()
	for _, p := range t.pieces[t.pieceAt(i):] {
		if p.at >= j {
			break
		}
		from, to := max(i, p.at), min(j, p.at+p.n)
		if from >= to {
			continue
		}
		c := change{p.start, p.end, with}
		if p.exact {
			c.start, c.end = p.start+from-p.at, p.start+to-p.at
		} else {
			c.with = html.EscapeString(string(s[p.at:from])) + with + html.EscapeString(string(s[to:p.at+p.n]))
		}
		out = append(out, c)
		with = ""
	}
	return out
}

// pieceAt returns the index of the piece that the offset of the text lies in.
func (t *shown) pieceAt(at int) int {
	low, high := 0, len(t.pieces)
	for low < high {
		mid := (low + high) / 2
		if p := t.pieces[mid]; p.at+p.n <= at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// applyChanges makes changes that are in order. One that begins within another is not made.
func applyChanges(s string, list []change) string {
	if len(list) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, c := range list {
		if c.start < at {
			continue
		}
		b.WriteString(s[at:c.start])
		b.WriteString(c.with)
		at = c.end
	}
	b.WriteString(s[at:])
	return b.String()
}

// attrSpan says where an attribute of a tag stands in the source.
type attrSpan struct {
	start, end           int // with the white space before it
	valueStart, valueEnd int
	bare                 bool // the value has no quotes
}

// attrSpans finds the attributes of a tag (HTML §13.2.5.32 to 39). ok is false when it does
// not find those that the tokenizer found, in the same order.
func attrSpans(s string, t *htmlToken) (out []attrSpan, ok bool) {
	blank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' }
	i, end := t.start+1+len(t.name), t.end-1
	if i > end || !strings.EqualFold(s[t.start+1:i], t.name) {
		return nil, len(t.attrs) == 0
	}
	for {
		a := attrSpan{start: i}
		for i < end && (blank(s[i]) || s[i] == '/') {
			i++
		}
		if i >= end {
			break
		}
		name := i
		for i++; i < end && !blank(s[i]) && s[i] != '/' && s[i] != '='; i++ {
		}
		key := s[name:i]
		a.valueStart, a.valueEnd, a.end, a.bare = i, i, i, true
		for i < end && blank(s[i]) {
			i++
		}
		if i < end && s[i] == '=' {
			for i++; i < end && blank(s[i]); i++ {
			}
			a.valueStart = i
			switch {
			case i < end && (s[i] == '"' || s[i] == '\''):
				n := strings.IndexByte(s[i+1:end], s[i])
				if n < 0 {
					return nil, false
				}
				a.valueStart, a.valueEnd, a.bare = i+1, i+1+n, false
				i += n + 2
			default:
				for i < end && !blank(s[i]) {
					i++
				}
				a.valueEnd = i
			}
			a.end = i
		} else {
			i = a.end
		}
		n := len(out)
		if n >= len(t.attrs) || !strings.EqualFold(key, t.attrs[n].Key) || htmlValue(s[a.valueStart:a.valueEnd]) != t.attrs[n].Val {
			return nil, false
		}
		out = append(out, a)
	}
	return out, len(out) == len(t.attrs)
}

// htmlValue is an attribute's value as the tokenizer reads it.
func htmlValue(s string) string {
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return html.UnescapeString(s)
}
