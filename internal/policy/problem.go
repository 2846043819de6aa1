package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong, or questionable, in one place of the policy files. All
// texts are for a practice manager: they name words of the files, never of the program.
type Problem struct {
	Code    Code   `json:"code"`
	File    string `json:"file"`           // as in the policies directory: mail.yaml, tests/everyday.yaml
	Line    int    `json:"line,omitempty"` // from 1; 0: the whole file
	Col     int    `json:"col,omitempty"`  // in characters, from 1
	Text    string `json:"text"`           // what is wrong
	Excerpt string `json:"excerpt,omitempty"`
	Fix     string `json:"fix,omitempty"` // what to do about it
}

// Error prints the problem with its excerpt and its fix.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
	}
	b.WriteString(": " + p.Text)
	if p.Code != "" {
		b.WriteString(" [" + string(p.Code) + "]")
	}
	switch {
	case p.Excerpt != "" && p.Fix != "":
		b.WriteString("\n" + p.Excerpt + " " + p.Fix)
	case p.Excerpt != "":
		b.WriteString("\n" + p.Excerpt)
	case p.Fix != "":
		b.WriteString("\n   fix: " + p.Fix)
	}
	return b.String()
}

// Problems is everything that is wrong in a set of policy files, in the order of files and
// lines. It is the error of [Load].
type Problems []Problem

// Error prints all problems, one after the other.
func (ps Problems) Error() string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.Error()
	}
	return strings.Join(out, "\n")
}

// In returns the problems with dir in front of every file name, as the reader knows them.
func (ps Problems) In(dir string) Problems {
	out := slices.Clone(ps)
	for i := range out {
		out[i].File = strings.TrimSuffix(dir, "/") + "/" + out[i].File
	}
	return out
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
}

// How much of a long line an excerpt shows, and how many problems one file may report: a
// file of rubbish must not print a book.
const (
	excerptBefore = 60
	excerptWidth  = 96
	maxProblems   = 100
)

// excerpt shows one line with carets under width characters from col.
func excerpt(line string, number, col, width int) string {
	rs := []rune(line)
	for i, r := range rs {
		if !unicode.IsPrint(r) {
			rs[i] = ' ' // one column each, so that the caret stays in place
		}
	}
	at := min(max(col-1, 0), len(rs))
	width = max(1, min(width, len(rs)-at))
	from, head := 0, ""
	if at > excerptBefore && len(rs) > excerptWidth {
		from, head = at-excerptBefore+20, "..."
	}
	to, tail := len(rs), ""
	if to-from > excerptWidth {
		to, tail = from+excerptWidth, "..."
	}
	width = max(1, min(width, to-at))
	n := fmt.Sprintf("%5d", number)
	return n + " | " + strings.TrimRight(head+string(rs[from:to])+tail, " ") + "\n" +
		strings.Repeat(" ", len(n)) + " | " + strings.Repeat(" ", len(head)+at-from) + strings.Repeat("^", width)
}

// quote shows a word of a file in a message, cut where it is long.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:37]) + "..."
	}
	return `"` + strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s) + `"`
}

// didYouMean offers the known word nearest to got; without one it lists the known words if
// they are few.
func didYouMean(got string, known []string) string {
	if n := Nearest(got, known); n != "" {
		return fmt.Sprintf("did you mean %s?", quote(n))
	}
	if len(known) > 0 && len(known) <= 16 {
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}

// synonym returns the word of the language for what people write instead.
func synonym(s string) string {
	switch s {
	case "than", "then", "actions", "action":
		return "do"
	case "if", "conditions":
		return "when"
	case "except", "but_not", "not", "if_not":
		return "unless"
	case "reason", "why":
		return "because"
	case "title":
		return "name"
	case "severity":
		return "about"
	}
	return ""
}

// Nearest returns the known word with the smallest distance to got, if that is small enough
// to be a slip of the finger; else nothing. It knows what people write instead of the words of
// the policy language.
func Nearest(got string, known []string) string {
	got = strings.ToLower(strings.ReplaceAll(got, " ", "_"))
	if s := synonym(got); s != "" && slices.Contains(known, s) {
		return s
	}
	if len(got) > 64 {
		return ""
	}
	best, dist := "", 1+max(1, utf8.RuneCountInString(got)/3)
	for _, k := range known {
		l := strings.ToLower(k)
		d := distance(got, strings.ReplaceAll(l, "-", "_"))
		d = min(d, distance(got, l))
		if d < dist {
			best, dist = k, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions, replacements and
// swaps of neighbours.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, now := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
}
