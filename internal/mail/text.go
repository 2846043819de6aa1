package mail

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// NewText returns what the writer of this message has written: the visible text of all text
// alternatives, without quoted messages, attached files, embedded messages and the subject.
func (m *Message) NewText() string {
	var b strings.Builder
	anyOwn(m.Root, func(p *Part) bool {
		if !isTextBody(p) {
			return false
		}
		t := freshText(p)
		b.Grow(len(t) + 1)
		b.WriteString(t)
		b.WriteByte('\n')
		return false
	})
	return b.String()
}

// Texts returns every decoded text there is to scan, with its part: texts, of HTML what is
// shown and what is not, its attribute values and comments; file names and the other fields of
// parts; the text inside attached files; the header of embedded messages. One part can give several texts.
func (m *Message) Texts() iter.Seq2[*Part, string] {
	return func(yield func(*Part, string) bool) {
		embedded := map[*Part]bool{}
		for p := range m.Parts() {
			if p.isMessage() {
				embedded[p.Parts[0]] = true
			}
			if !partTexts(p, embedded[p], yield) {
				return
			}
		}
	}
}

func partTexts(p *Part, wholeHeader bool, yield func(*Part, string) bool) bool {
	for _, f := range p.Fields {
		if !wholeHeader && !isContentField(f.Name) {
			continue
		}
		v, _ := decodeWords(f.Value)
		if !yield(p, v) {
			return false
		}
	}
	if p.Filename != "" && !yield(p, p.Filename) {
		return false
	}
	for _, k := range slices.Sorted(maps.Keys(p.Params)) {
		v, _ := decodeWords(p.Params[k])
		if k != "boundary" && v != p.Filename && !yield(p, v) {
			return false
		}
	}
	for _, t := range p.inside {
		if !yield(p, t) {
			return false
		}
	}
	return contentTexts(p, yield)
}

// BodyTexts returns the decoded texts of the parts that a mail app shows as the mail itself,
// which are those that a copy may change: not of attached files and mails, nor of what is signed.
func (m *Message) BodyTexts() iter.Seq2[*Part, string] {
	return func(yield func(*Part, string) bool) {
		more := true
		m.textBodies(func(p *Part) { more = more && contentTexts(p, yield) })
	}
}

// contentTexts returns the texts in a part's own content.
func contentTexts(p *Part, yield func(*Part, string) bool) bool {
	switch {
	case p.Text == "":
		return true
	case p.MediaType != "text/html":
		if !yield(p, p.Text) {
			return false
		}
		if strings.EqualFold(p.Params["format"], "flowed") && strings.EqualFold(p.Params["delsp"], "yes") {
			return yield(p, unflow(p.Text))
		}
		return true
	}
	h, err := readHTML(p.Text)
	texts := []string{h.visible.String(), h.hidden.String(), h.attrs.String()}
	if err != nil {
		texts = append(texts, p.Text)
	}
	for _, t := range texts {
		if t != "" && !yield(p, t) {
			return false
		}
	}
	return true
}

// unflow joins the lines of a text with DelSp=yes as its readers see them: the space before a
// soft line break goes, so that a word can lie over two lines (RFC 3676 §4.2).
func unflow(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	soft, depth := false, 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		content := strings.TrimRight(line, "\r\n")
		plain := strings.TrimLeft(content, ">")
		d := len(content) - len(plain)
		plain = strings.TrimPrefix(plain, " ") // stuffed
		if soft && d != depth {
			b.WriteByte('\n') // a change of depth ends a paragraph all the same
			soft = false
		}
		if !soft {
			b.WriteString(content[:d])
		}
		soft, depth = strings.HasSuffix(plain, " ") && plain != "-- ", d
		if soft {
			b.WriteString(plain[:len(plain)-1])
		} else {
			b.WriteString(plain)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
