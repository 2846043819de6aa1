package filter

import "strings"

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

// ParseSubject takes a subject apart. Marks and tags may stand in any order and number.
func ParseSubject(s string) Subject {
	var out Subject
	for {
		s = strings.TrimSpace(s)
		if n := replyMark(s); n > 0 {
			if !out.Reply {
				out.Forward = isMark(s[:n-1], forwardMarks)
			}
			out.Reply, s = true, s[n:]
			continue
		}
		if strings.HasPrefix(s, "[") {
			if end := strings.IndexByte(s, ']'); end > 0 {
				out.Tags, s = append(out.Tags, s[:end+1]), s[end+1:]
				continue
			}
		}
		out.Text = s
		return out
	}
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
	for _, t := range s.Tags { // "[ secure ]" asks for the same as "[secure]"
		if strings.HasPrefix(withoutBlanks(fold(t)), p) {
			return true
		}
	}
	return false
}

func withoutBlanks(s string) string { return strings.Join(strings.Fields(s), "") }
