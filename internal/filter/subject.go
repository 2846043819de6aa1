package filter

import (
	"strings"
	"unicode"
)

// Subject is a subject line taken apart: what mail apps and our commands put in front, and
// the line itself.
type Subject struct {
	Reply   bool     // it starts with Re:, Fwd: or the same in another language
	Forward bool     // the first of these marks is that of a forward
	Tags    []string // "[together]", with the brackets, as written
	Text    string   // what is left
}

// replyMarks are the prefixes that mail apps put before a subject when they answer or forward.
const replyMarks = " re fw fwd aw wg sv vs vb antw tr rv enc rif odp pd "

// forwardMarks are those of them that mail apps put before what somebody else wrote.
const forwardMarks = " fw fwd wg vb tr rv enc pd "

var wideBrackets = strings.NewReplacer("［", "[", "］", "]", "【", "[", "】", "]")

// ParseSubject takes a subject apart. Marks and tags may stand in any order and number.
func ParseSubject(s string) Subject {
	var out Subject
	s = wideBrackets.Replace(s)
	for {
		s = strings.TrimFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) })
		if n := replyMark(s); n > 0 {
			if !out.Reply {
				out.Forward = isMark(s[:n-1], forwardMarks)
			}
			out.Reply, s = true, s[n:]
			continue
		}
		if n := tagLength(s); n > 0 {
			out.Tags, s = append(out.Tags, s[:n]), s[n:]
			continue
		}
		out.Text = s
		return out
	}
}

// maxTag bounds how far brackets within brackets are counted.
const maxTag = 1000

// tagLength returns the length of the bracket tag at the start of s, or 0. "[[secure]]" is one;
// where a bracket too many was opened, the first that closes ends it.
func tagLength(s string) int {
	if !strings.HasPrefix(s, "[") {
		return 0
	}
	depth := 0
	for i := range min(len(s), maxTag) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return strings.IndexByte(s, ']') + 1
}

// ownTags are what our tags begin with. One that nobody closed still asks for something.
const ownTags = " secure together send-now "

// Plain returns the line as it may leave: what is left, without bracket tags anywhere.
func (s Subject) Plain() string {
	var b strings.Builder
	for t := s.Text; t != ""; {
		open := strings.IndexByte(t, '[')
		if open < 0 {
			b.WriteString(t)
			break
		}
		n := tagLength(t[open:])
		if n == 0 {
			name, _, _ := strings.Cut(strings.TrimLeft(fold(t[open:]), "[ "), ":")
			if word, _, _ := strings.Cut(name, " "); word != "" && strings.Contains(ownTags, " "+word+" ") {
				b.WriteString(t[:open])
				break // how far it goes cannot be known
			}
			b.WriteString(t)
			break
		}
		b.WriteString(strings.TrimRight(t[:open], " "))
		if t = t[open+n:]; b.Len() > 0 && t != "" && t[0] != ' ' && t[0] != '[' {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// replyMark returns the length of "Re:", "RE[2]:" or "Fwd :" at the start of s, or 0.
func replyMark(s string) int {
	colon := strings.IndexByte(s, ':')
	if colon < 2 || colon > 12 {
		return 0
	}
	if !isMark(s[:colon], replyMarks) {
		return 0
	}
	return colon + 1
}

// isMark reports whether what stands before the colon is one of the marks, counted or not.
func isMark(mark, marks string) bool {
	mark = strings.TrimSpace(mark)
	if open := strings.IndexAny(mark, "[("); open > 0 {
		if strings.Trim(mark[open:], "[]()0123456789") != "" {
			return false
		}
		mark = mark[:open]
	}
	return !strings.ContainsRune(mark, ' ') && strings.Contains(marks, " "+strings.ToLower(mark)+" ")
}

// starts reports whether the line, or one of the tags before it, starts with prefix.
func (s Subject) starts(prefix string) bool {
	p := fold(strings.TrimSpace(prefix))
	if strings.HasPrefix(fold(s.Text), p) {
		return true
	}
	p = withoutBlanks(p)
	named, closed := strings.CutSuffix(p, "]")
	for _, t := range s.Tags { // "[ secure ]", "[[secure]]" and "[secure: notes]" ask for the same as "[secure]"
		t = "[" + strings.TrimLeft(withoutBlanks(fold(t)), "[")
		if strings.HasPrefix(t, p) || (closed && strings.HasPrefix(t, named+":")) {
			return true
		}
	}
	return false
}

func withoutBlanks(s string) string { return strings.Join(strings.Fields(s), "") }
