package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// layoutWidth is how wide a rule in braces may be before it gets a line for each key.
const layoutWidth = 100

// Layout is a file that is not laid out as all are.
type Layout struct {
	File     string
	Old, New []byte
}

// Format puts the policy files and word lists in fsys into one layout: two spaces a level,
// double quotes, the keys of a rule in the order of the shipped files, a blank line between
// rules, one newline at the end. It returns the files that change by it. Every comment stays
// with what it stands beside or above, and nothing changes its meaning: the new files are
// read again, and must say the same as the old ones.
//
// The error is [Problems]: a file that has one is left as it is, and so is one that cannot be
// laid out; the others are returned all the same.
func Format(fsys fs.FS) ([]Layout, error) {
	before := newLoader(fsys, nil)
	snap, _ := before.load()
	problems := before.problems
	bad := map[string]bool{}
	for _, p := range problems {
		bad[p.File] = true
	}
	var out []Layout
	replaced := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(before.sources)) {
		ext := path.Ext(name)
		if bad[name] || (ext != ".yaml" && ext != ".txt") {
			continue
		}
		old := before.sources[name]
		made, err := layOut(name, old)
		if err != nil {
			p, ok := errors.AsType[Problem](err)
			if !ok {
				return nil, err
			}
			p.File = name
			problems = append(problems, p)
			continue
		}
		if !bytes.Equal(old, made) {
			out = append(out, Layout{File: name, Old: old, New: made})
			replaced[name] = made
		}
	}
	if err := sameSet(fsys, snap, before.problems, replaced); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		problems.sort()
		return out, problems
	}
	return out, nil
}

// sameSet loads the set with the new files in place, and compares what it says.
func sameSet(fsys fs.FS, snap *Snapshot, problems Problems, replaced map[string][]byte) error {
	after := newLoader(fsys, nil)
	after.replaced = replaced
	again, _ := after.load()
	if len(after.problems) != len(problems) {
		return errors.New("policy: laid out anew, the files would not load as before; nothing was changed")
	}
	if snap == nil {
		return nil // each file was compared by itself
	}
	if ds := Differences(snap, again); len(ds) > 0 {
		return fmt.Errorf("policy: laid out anew, the files would say something else (%s); nothing was changed", ds[0])
	}
	return nil
}

// layOut lays out one file, and makes sure that it says the same as before.
func layOut(name string, old []byte) ([]byte, error) {
	if path.Ext(name) == ".txt" {
		made := layOutWords(old)
		if !slices.Equal(wordLines(old), wordLines(made)) {
			return nil, Problem{Code: codeLeftAsItIs, Text: "laid out anew, this list would say something else", Fix: "the file was left as it is"}
		}
		return made, nil
	}
	root, err := documentOf(old)
	if err != nil {
		return nil, err
	}
	l := &layouter{lines: runesOf(old)}
	made, err := l.file(root)
	if err != nil {
		return nil, err
	}
	if err := sameFile(root, old, made); err != nil {
		return nil, err
	}
	return made, nil
}

// sameFile makes sure that a file laid out anew says what the old one, read as root, does.
func sameFile(root *yaml.Node, old, made []byte) error {
	again, err := documentOf(made)
	if err != nil || !sameNode(root, again) {
		return Problem{Code: codeLeftAsItIs, Text: "laid out anew, this file would say something else", Fix: "the file was left as it is"}
	}
	if !sameComments(root, again, old, made) || !sameCharacters(old, made) {
		return Problem{Code: codeLeftAsItIs, Text: "laid out anew, this file would lose a comment", Fix: "the file was left as it is"}
	}
	return nil
}

func documentOf(b []byte) (*yaml.Node, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("policy: read for layout: %w", err)
	}
	return &n, nil
}

// runesOf returns the lines of a file without their ends, in characters, as the columns of
// the tree count.
func runesOf(b []byte) [][]rune {
	var out [][]rune
	for _, line := range splitLines(bytes.TrimRight(b, "\r\n \t")) {
		out = append(out, []rune(line))
	}
	return out
}

// sameNode reports whether two trees say the same: the keys of a set may stand in another
// order, and a text in single quotes may stand in double ones.
func sameNode(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) || quoted(a) != quoted(b) {
		return false
	}
	if a.Kind != yaml.MappingNode {
		return slices.EqualFunc(a.Content, b.Content, sameNode)
	}
	other := make(map[string][2]*yaml.Node, len(b.Content)/2)
	for _, kv := range pairsOf(b) {
		other[kv[0].Value] = kv
	}
	for _, kv := range pairsOf(a) {
		o, ok := other[kv[0].Value]
		if !ok || !sameNode(kv[0], o[0]) || !sameNode(kv[1], o[1]) {
			return false
		}
	}
	return true
}

func pairsOf(n *yaml.Node) (out [][2]*yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, [2]*yaml.Node{n.Content[i], n.Content[i+1]})
	}
	return out
}

// quoted is how the loader tells a text from a bare word.
func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// commentsOf returns the lines of all comments, sorted.
func commentsOf(n *yaml.Node) []string {
	var out []string
	for _, c := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for line := range strings.SplitSeq(c, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	for _, c := range n.Content {
		out = append(out, commentsOf(c)...)
	}
	slices.Sort(out)
	return out
}

// sameComments compares what the reader of YAML takes for comments. It misses some that stand
// between keys and lists, so what looks like comments in the lines may speak for the file too.
func sameComments(root, again *yaml.Node, old, made []byte) bool {
	return slices.Equal(commentsOf(root), commentsOf(again)) || slices.Equal(commentsIn(old), commentsIn(made))
}

// commentsIn returns what stands in each line from the first # on that can begin a comment,
// without the characters that a layout is made of, sorted.
func commentsIn(b []byte) []string {
	var out []string
	for _, line := range runesOf(b) {
		for i, r := range line {
			if r == '#' && (i == 0 || unicode.IsSpace(line[i-1])) {
				out = append(out, strings.Map(withoutLayout, string(line[i:])))
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// withoutLayout drops the characters that a layout is made of.
func withoutLayout(r rune) rune {
	if unicode.IsSpace(r) || strings.ContainsRune("{},'\"-\ufeff", r) {
		return -1
	}
	return r
}

// sameCharacters reports whether both texts have the same characters, but for those that a
// layout is made of. It sees a lost comment that the reader of YAML does not know of either.
func sameCharacters(a, b []byte) bool {
	count := func(text []byte) map[rune]int {
		out := map[rune]int{}
		for _, r := range string(text) {
			if withoutLayout(r) >= 0 {
				out[r]++
			}
		}
		return out
	}
	return reflect.DeepEqual(count(dropMarkers(a)), count(dropMarkers(b)))
}

// dropMarkers leaves out the lines that only begin or end a document.
func dropMarkers(b []byte) []byte {
	var out []byte
	for _, line := range runesOf(b) {
		if t := strings.TrimSpace(string(line)); t != "..." {
			out = append(out, t...)
		}
	}
	return out
}

// layOutWords lays out a word list. The order stays: comments head groups of words.
func layOutWords(b []byte) []byte {
	var out []string
	for _, line := range runesOf(b) {
		text := strings.TrimSpace(string(line))
		if !strings.HasPrefix(text, "#") {
			text = strings.Join(strings.Fields(text), " ")
		}
		if text != "" || (len(out) > 0 && out[len(out)-1] != "") {
			out = append(out, text)
		}
	}
	return []byte(strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n")
}

// wordLines are the phrases and comments of a word list.
func wordLines(b []byte) []string {
	var out []string
	for _, line := range runesOf(b) {
		if text := strings.TrimSpace(string(line)); strings.HasPrefix(text, "#") {
			out = append(out, text)
		} else if text != "" {
			out = append(out, strings.Join(strings.Fields(text), " "))
		}
	}
	return out
}

// layouter writes the lines of a YAML file anew, following its tree. Every word is copied as
// it stands in the file; only what lies between the words is ours.
type layouter struct {
	lines  [][]rune
	next   int  // index of the first line that is not written yet
	inItem bool // within a rule, a person or a test: no blank lines
}

// keyOrder is the order of the keys in the entries of a list that all files of a kind have,
// as the shipped files show it; nil: no such list.
func keyOrder(list string) []string {
	return map[string][]string{
		"rules":   {"name", "id", "when", "unless", "do", "mode", "about", "tell_sender", "always_enforce", "because"},
		"people":  {"id", "name", "signs_in_as", "also_uses", "clients_see", "phones", "may"},
		"systems": {"id", "signs_in_as", "may_use", "may"},
		"tests":   {"name", "at", "mail", "sms", "expect"},
	}[list]
}

// cannot says why a file is left as it is.
func (l *layouter) cannot(n *yaml.Node, text, fix string) error {
	p := Problem{Code: codeLeftAsItIs, Line: n.Line, Col: n.Column, Text: text, Fix: fix}
	if n.Line > 0 && n.Line <= len(l.lines) {
		p.Excerpt = excerpt(string(l.lines[n.Line-1]), n.Line, n.Column, 1)
	}
	return p
}

func (l *layouter) file(doc *yaml.Node) ([]byte, error) {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, Problem{Code: codeLeftAsItIs, Text: "this file says nothing", Fix: "the file was left as it is"}
	}
	root := doc.Content[0]
	if !l.holds(doc) {
		return nil, Problem{Code: codeLeftAsItIs, Text: "a line of this file ends in an unusual way, so it was not laid out", Fix: "save the file again with a plain text editor"}
	}
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		return nil, l.cannot(root, "this file is not a set of keys, one a line, so it was not laid out", "write each key on a line of its own")
	}
	out, err := l.mapping(root, place{until: len(l.lines), top: true})
	if err != nil {
		return nil, err
	}
	for len(out) > 0 && out[0] == "" {
		out = out[1:]
	}
	return []byte(strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"), nil
}

// holds reports whether every word of the tree stands where it says in the lines. It does not
// where the reader of YAML knows other ends of lines than we do: what has them is no file that loads.
func (l *layouter) holds(n *yaml.Node) bool {
	for _, line := range l.lines {
		if slices.ContainsFunc(line, func(r rune) bool { return r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029 }) {
			return false
		}
	}
	return l.within(n)
}

func (l *layouter) within(n *yaml.Node) bool {
	return n.Line >= 1 && n.Line <= len(l.lines) && n.Column >= 1 && n.Column-1 <= len(l.lines[n.Line-1]) && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !l.within(c) })
}

// place is where a list or a set of keys goes.
type place struct {
	indent int
	first  string   // what stands in front of its first line: the dash of a list around it
	until  int      // index of the line where the next word after it stands
	top    bool     // the set of keys of the file
	order  []string // of its keys; nil: as they are
	items  []string // for a list: the order of the keys of its entries, where they are like rules
	low    int      // comments further left than this are not its own
}

func pad(n int) string { return strings.Repeat(" ", n) }

// mapping writes a set of keys that has a line for each.
func (l *layouter) mapping(n *yaml.Node, p place) ([]string, error) {
	type entry struct {
		key        string
		lead, body []string
	}
	var entries []entry
	pairs := pairsOf(n)
	for i, kv := range pairs {
		start, until := kv[0].Line-1, p.until
		if i+1 < len(pairs) {
			until = pairs[i+1][0].Line - 1
		}
		e := entry{key: kv[0].Value}
		var err error
		if i > 0 || p.first == "" {
			if e.lead, err = l.lead(start, p.indent); err != nil {
				return nil, err
			}
		}
		if before := strings.TrimLeft(string(l.lines[start][:kv[0].Column-1]), " -"); before != "" || (i > 0 && start == pairs[i-1][0].Line-1) {
			return nil, l.cannot(kv[0], "this key is written in a way that cannot be laid out", "write: key, colon, space, value")
		}
		if e.body, err = l.entry(kv[0], kv[1], p, until); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if p.order != nil {
		slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(slices.Index(p.order, a.key), slices.Index(p.order, b.key)) })
	}
	var out []string
	for i, e := range entries {
		if i == 0 && p.first != "" {
			for _, c := range e.lead {
				out = append(out, pad(len(p.first)-2)+strings.TrimLeft(c, " "))
			}
			e.body[0] = p.first + e.body[0][p.indent:]
		} else {
			out = append(out, e.lead...)
		}
		out = append(out, e.body...)
	}
	return append(out, l.tail(max(n.Column-1, p.low), p.indent, p.until)...), nil
}

// entry writes one key with its value.
func (l *layouter) entry(key, val *yaml.Node, p place, until int) ([]string, error) {
	start := key.Line - 1
	k, ok := l.inline(key, nil)
	if !ok || k.line != start {
		return nil, l.cannot(key, "this key is written in a way that cannot be laid out", "write: key, colon, space, value")
	}
	at := k.end
	for at < len(l.lines[start]) && l.lines[start][at] == ' ' {
		at++
	}
	if at >= len(l.lines[start]) || l.lines[start][at] != ':' {
		return nil, l.cannot(key, "this key is written in a way that cannot be laid out", "write: key, colon, space, value")
	}
	head := pad(p.indent) + k.text + ":"
	if (val.Kind == yaml.MappingNode || val.Kind == yaml.SequenceNode) && val.Style&yaml.FlowStyle == 0 {
		comment, col, err := l.comment(key, start, at+1)
		if err != nil {
			return nil, err
		}
		l.next = start + 1
		in := place{indent: p.indent + 2, until: until, low: key.Column}
		if p.top && val.Kind == yaml.SequenceNode {
			in.items = keyOrder(key.Value)
		}
		out := []string{beside(head, comment, col)}
		var rest []string
		if val.Kind == yaml.MappingNode {
			rest, err = l.mapping(val, in)
		} else {
			rest, err = l.sequence(val, in)
		}
		for len(rest) > 0 && rest[0] == "" {
			rest = rest[1:]
		}
		return append(out, rest...), err
	}
	if val.Kind == yaml.ScalarNode && val.Value == "" && !quoted(val) {
		comment, col, err := l.comment(key, start, at+1)
		l.next = start + 1
		return []string{beside(head, comment, col)}, err
	}
	return l.value(val, head+" ", p.indent, key.Column-1, until)
}

// sequence writes a list that has a dash for each entry.
func (l *layouter) sequence(n *yaml.Node, p place) ([]string, error) {
	type item struct{ lead, body []string }
	var items []item
	long := false
	for i, c := range n.Content {
		start, until := c.Line-1, p.until
		if i+1 < len(n.Content) {
			until = n.Content[i+1].Line - 1
		}
		var it item
		var err error
		first := pad(p.indent) + "- "
		if i > 0 || p.first == "" {
			if it.lead, err = l.lead(start, p.indent); err != nil {
				return nil, err
			}
		} else {
			first = p.first + "- "
		}
		if col := n.Column - 1; c.Column-1 <= col || strings.Trim(string(l.lines[start][col:c.Column-1]), " -") != "" || l.lines[start][col] != '-' {
			return nil, l.cannot(c, "the dash of this entry stands on another line, so the file was not laid out", "write the dash in front of the first word, on the same line")
		}
		within := l.inItem
		l.inItem = within || p.items != nil
		switch in := (place{indent: p.indent + 2, first: first, until: until, order: p.items}); {
		case c.Kind == yaml.MappingNode && c.Style&yaml.FlowStyle == 0:
			it.body, err = l.mapping(c, in)
		case c.Kind == yaml.SequenceNode && c.Style&yaml.FlowStyle == 0:
			it.body, err = l.sequence(c, in)
		case p.items != nil && c.Kind == yaml.MappingNode:
			it.body, err = l.braces(c, first, p, until)
		default:
			it.body, err = l.value(c, first, p.indent, n.Column-1, until)
		}
		l.inItem = within
		if err != nil {
			return nil, err
		}
		long = long || len(it.body) > 1
		items = append(items, it)
	}
	var out []string
	for i, it := range items {
		if p.items != nil && long {
			for len(it.lead) > 0 && it.lead[0] == "" {
				it.lead = it.lead[1:]
			}
			if i > 0 {
				out = append(out, "")
			}
		}
		out = append(append(out, it.lead...), it.body...)
	}
	return append(out, l.tail(max(n.Column-1, p.low), p.indent, p.until)...), nil
}

// braces writes an entry such as a rule that stands in braces: as it is when it is short, or
// with a line for each key.
func (l *layouter) braces(n *yaml.Node, first string, p place, until int) ([]string, error) {
	v, ok := l.inline(n, p.items)
	if !ok || utf8.RuneCountInString(first+v.text) <= layoutWidth {
		return l.value(n, first, p.indent, n.Column-3, until, p.items...)
	}
	comment, _, err := l.comment(n, v.line, v.end)
	if err != nil {
		return nil, err
	}
	l.next = v.line + 1
	var out []string
	if comment != "" {
		out = append(out, pad(p.indent)+comment)
	}
	pairs := pairsOf(n)
	slices.SortStableFunc(pairs, func(a, b [2]*yaml.Node) int {
		return cmp.Compare(slices.Index(p.items, a[0].Value), slices.Index(p.items, b[0].Value))
	})
	for i, kv := range pairs {
		key, _ := l.inline(kv[0], nil)
		val, _ := l.inline(kv[1], nil)
		front := pad(p.indent + 2)
		if i == 0 {
			front = first
		}
		out = append(out, front+key.text+": "+val.text)
	}
	return out, nil
}

// value writes a word, a text, or a list or set of keys in brackets behind head. What has
// several lines keeps them, moved as its key moves from column was to column indent.
func (l *layouter) value(n *yaml.Node, head string, indent, was, until int, order ...string) ([]string, error) {
	v, ok := l.inline(n, order)
	below := n.Line-1 != l.next
	if ok && (!below || l.bare(n)) && (v.line == n.Line-1 || utf8.RuneCountInString(head+v.text) <= layoutWidth) {
		comment, col, err := l.comment(n, v.line, v.end)
		l.next = v.line + 1
		return []string{beside(head+v.text, comment, col)}, err
	}
	if below {
		return nil, l.cannot(n, "this text begins on the line below its key, so the file was not laid out", "write its beginning behind the colon")
	}
	end, shift, content := l.extent(n, indent, was, until)
	out := []string{head + strings.TrimRight(string(l.lines[n.Line-1][n.Column-1:]), " \t")}
	for _, line := range l.lines[n.Line:end] {
		text := string(line)
		trimmed := strings.TrimLeft(text, " ")
		have := utf8.RuneCountInString(text) - utf8.RuneCountInString(trimmed)
		switch {
		case trimmed == "" && have <= content:
			out = append(out, "")
			continue
		case n.Kind != yaml.ScalarNode || !quoted(n):
			trimmed = strings.TrimRight(trimmed, " \t")
		}
		out = append(out, pad(max(have+shift, indent+1))+trimmed)
	}
	l.next = end
	return out, nil
}

// bare reports whether nothing but the end of a line stands between a key and its value.
func (l *layouter) bare(n *yaml.Node) bool {
	for i := l.next + 1; i < n.Line-1; i++ {
		if len(strings.TrimSpace(string(l.lines[i]))) > 0 {
			return false
		}
	}
	return strings.HasSuffix(strings.TrimRight(string(l.lines[l.next]), " \t"), ":")
}

// extent returns the index of the line after a value of several lines, how far its lines move,
// and, of a text behind | or >, at which column its words begin.
func (l *layouter) extent(n *yaml.Node, indent, was, until int) (end, shift, content int) {
	start := n.Line - 1
	shift = indent - was
	blank := func(i int) bool { return strings.TrimSpace(string(l.lines[i])) == "" }
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		header, _, _ := strings.Cut(string(l.lines[start][n.Column-1:]), " #")
		for end = start + 1; end < until; end++ {
			if blank(end) {
				continue
			}
			if content == 0 {
				content = l.indentOf(end)
			}
			if l.indentOf(end) < content || content <= was {
				break
			}
		}
		for end > start+1 && blank(end-1) && len(l.lines[end-1]) <= content && !strings.Contains(header, "+") {
			end--
		}
		if !strings.ContainsAny(header, "123456789") {
			shift = indent + 2 - content
		}
		return end, shift, content
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return l.closing(n) + 1, shift, 0
	}
	end = until
	for end > start+1 && (blank(end-1) || strings.HasPrefix(strings.TrimSpace(string(l.lines[end-1])), "#")) {
		end--
	}
	return end, shift, 0
}

// closing returns the index of the line on which a text in quotes ends.
func (l *layouter) closing(n *yaml.Node) int {
	mark := l.lines[n.Line-1][n.Column-1]
	for i, at := n.Line-1, n.Column; i < len(l.lines); i, at = i+1, 0 {
		for ; at < len(l.lines[i]); at++ {
			switch r := l.lines[i][at]; {
			case r == '\\' && mark == '"':
				at++
			case r == mark && mark == '\'' && at+1 < len(l.lines[i]) && l.lines[i][at+1] == '\'':
				at++
			case r == mark:
				return i
			}
		}
	}
	return n.Line - 1
}

// piece is a value as it goes on one line, and where it ends in the file.
type piece struct {
	text string
	line int // index of the line
	end  int // column behind it, from 0
}

// inline returns a word, a text, or a list or set of keys in brackets, as one line. It is not
// possible where a comment or a text of several lines is in it.
func (l *layouter) inline(n *yaml.Node, order []string) (piece, bool) {
	if n.Line < 1 || n.Line > len(l.lines) || n.Column-1 > len(l.lines[n.Line-1]) {
		return piece{}, false
	}
	line, at := n.Line-1, n.Column-1
	switch {
	case n.Kind == yaml.ScalarNode:
		return l.scalar(n)
	case n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode, n.Style&yaml.FlowStyle == 0, at >= len(l.lines[line]), !strings.ContainsRune("[{", l.lines[line][at]):
		return piece{}, false
	}
	at++
	var texts []string
	step := func(c *yaml.Node) (string, bool) {
		p, ok := l.inline(c, nil)
		line, at = p.line, p.end
		return p.text, ok && p.text != ""
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			text, ok := step(c)
			if !ok {
				return piece{}, false
			}
			texts = append(texts, text)
		}
	} else {
		pairs := pairsOf(n)
		made := make([]string, len(pairs))
		for i, kv := range pairs {
			key, ok := step(kv[0])
			val, ok2 := step(kv[1])
			if !ok || !ok2 {
				return piece{}, false
			}
			made[i] = key + ": " + val
		}
		at := make([]int, len(pairs))
		for i := range at {
			at[i] = i
		}
		if order != nil {
			slices.SortStableFunc(at, func(a, b int) int {
				return cmp.Compare(slices.Index(order, pairs[a][0].Value), slices.Index(order, pairs[b][0].Value))
			})
		}
		for _, i := range at {
			texts = append(texts, made[i])
		}
	}
	for ; line < len(l.lines); line, at = line+1, 0 {
		for ; at < len(l.lines[line]); at++ {
			switch r := l.lines[line][at]; r {
			case ' ', '\t', ',':
			case ']', '}':
				open, shut := "[", "]"
				if n.Kind == yaml.MappingNode {
					open, shut = "{", "}"
				}
				p := piece{open + strings.Join(texts, ", ") + shut, line, at + 1}
				return p, !l.commentBetween(n.Line-1, line)
			default:
				return piece{}, false
			}
		}
	}
	return piece{}, false
}

// commentBetween reports whether a comment may stand at the end of one of the lines from..to,
// but for the last.
func (l *layouter) commentBetween(from, to int) bool {
	for _, line := range l.lines[from:to] {
		if strings.ContainsRune(string(line), '#') {
			return true
		}
	}
	return false
}

// scalar returns a word or a text that stands on one line.
func (l *layouter) scalar(n *yaml.Node) (piece, bool) {
	line, at := l.lines[n.Line-1], n.Column-1
	if !quoted(n) {
		v := []rune(n.Value)
		if at+len(v) > len(line) || string(line[at:at+len(v)]) != n.Value {
			return piece{}, false
		}
		return piece{n.Value, n.Line - 1, at + len(v)}, true
	}
	if at >= len(line) || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || l.closing(n) != n.Line-1 {
		return piece{}, false
	}
	mark, end := line[at], at+1
	for ; end < len(line) && line[end] != mark || (mark == '\'' && end+1 < len(line) && line[end+1] == mark); end++ {
		if line[end] == '\\' && mark == '"' || line[end] == '\'' && mark == '\'' {
			end++
		}
	}
	if end >= len(line) {
		return piece{}, false
	}
	text := string(line[at : end+1])
	if mark == '\'' && !strings.ContainsFunc(n.Value, func(r rune) bool { return r == '"' || r == '\\' || !unicode.IsPrint(r) }) {
		text = `"` + n.Value + `"`
	}
	return piece{text, n.Line - 1, end + 1}, true
}

// comment returns what stands on a line from that column on: a comment, or nothing.
func (l *layouter) comment(n *yaml.Node, line, from int) (text string, col int, err error) {
	rest := l.lines[line][min(from, len(l.lines[line])):]
	text = strings.TrimSpace(string(rest))
	if text != "" && !strings.HasPrefix(text, "#") {
		return "", 0, l.cannot(n, "this is written in a way that cannot be laid out", "write: key, colon, space, value")
	}
	return text, from + slices.Index(rest, '#'), nil
}

// beside puts a comment behind a text, at the column where it stood, or one space behind.
func beside(text, comment string, col int) string {
	if comment == "" {
		return text
	}
	return text + pad(max(1, col-utf8.RuneCountInString(text))) + comment
}

func (l *layouter) indentOf(i int) int {
	for k, r := range l.lines[i] {
		if r != ' ' {
			return k
		}
	}
	return len(l.lines[i])
}

// lead writes the comments and blank lines above the line start.
func (l *layouter) lead(start, indent int) ([]string, error) {
	var out []string
	for ; l.next < start; l.next++ {
		text := strings.TrimSpace(string(l.lines[l.next]))
		switch {
		case text == "---":
		case text != "" && !strings.HasPrefix(text, "#"):
			return nil, Problem{Code: codeLeftAsItIs, Line: l.next + 1, Col: 1, Text: "this line is written in a way that cannot be laid out", Fix: "write: key, colon, space, value"}
		case text != "":
			out = append(out, pad(indent)+text)
		case !l.inItem && (len(out) == 0 || out[len(out)-1] != ""):
			out = append(out, "")
		}
	}
	return out, nil
}

// tail writes the comments that end a list or a set of keys: those that stand as far right as
// it does, and further right than what comes next.
func (l *layouter) tail(col, indent, until int) []string {
	end := l.next
	for i := l.next; i < until; i++ {
		text := strings.TrimSpace(string(l.lines[i]))
		if text == "" || text == "..." {
			continue
		}
		if !strings.HasPrefix(text, "#") || l.indentOf(i) < col || (until < len(l.lines) && l.indentOf(i) <= l.indentOf(until)) {
			break
		}
		end = i + 1
	}
	var out []string
	for ; l.next < end; l.next++ {
		text := strings.TrimSpace(string(l.lines[l.next]))
		switch {
		case strings.HasPrefix(text, "#"):
			out = append(out, pad(indent)+text)
		case text == "" && !l.inItem && (len(out) == 0 || out[len(out)-1] != ""):
			out = append(out, "")
		}
	}
	return out
}
