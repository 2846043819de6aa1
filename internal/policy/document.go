package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits on what one file may hold. They are far above any real policy, and keep a mistaken
// or hostile file cheap.
const (
	maxFileBytes = 1 << 20
	maxFiles     = 2000
	maxDepth     = 24
)

// document is one file: its lines for excerpts, and its values where it is YAML.
type document struct {
	l        *loader
	name     string
	lines    []string
	root     value
	problems int
	free     map[*yaml.Node]bool // values that may hold addresses and phone numbers
}

// value is one node of a document: a word, a list or a set of keys.
type value struct {
	d *document
	n *yaml.Node
}

// read returns the content of a policy file, or reports why it cannot be used.
func (l *loader) read(name string) (*document, []byte, bool) {
	d := &document{l: l, name: name, free: map[*yaml.Node]bool{}}
	// Before it is opened: opening a pipe waits until somebody writes into it.
	if st, err := fs.Stat(l.fsys, name); err == nil && !st.Mode().IsRegular() {
		d.report(codeFileUnread, 0, 0, 0, "this is not a file", "put the policy file in its place")
		return d, nil, false
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		d.report(codeFileUnread, 0, 0, 0, "this file cannot be opened", fixOpen(err))
		return d, nil, false
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		d.report(codeFileUnread, 0, 0, 0, "this is not a file", "put the policy file in its place")
		return d, nil, false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		d.report(codeFileUnread, 0, 0, 0, "this file cannot be read", "check the disk, or restore the file from a copy")
		return d, nil, false
	}
	if len(b) > maxFileBytes {
		d.tooLarge()
		return d, nil, false
	}
	if r, ok := l.replaced[name]; ok {
		b = r
	}
	l.sources[name] = b
	d.lines = splitLines(b)
	return d, b, d.checkCharacters()
}

func fixOpen(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it was there a moment ago: check again"
	case errors.Is(err, fs.ErrPermission):
		return "the program may not read it: allow its account to read it"
	}
	return "check that it is a file that the program may read"
}

// checkCharacters refuses what an editor may show differently from how it is read.
func (d *document) checkCharacters() bool {
	if what, fix := d.notText(); what != "" {
		d.report(codeNotText, 0, 0, 0, what, fix)
		return false
	}
	for i, line := range d.lines {
		if !utf8.ValidString(line) {
			col := 1
			for rest := line; len(rest) > 0; col++ {
				r, n := utf8.DecodeRuneInString(rest)
				if r == utf8.RuneError && n == 1 {
					break
				}
				rest = rest[n:]
			}
			d.report(codeNotUTF8, i+1, col, 1, "this character is not UTF-8", "save the file again with the encoding UTF-8")
			return false
		}
		for j, r := range []rune(line) {
			if (r < ' ' && r != '\t') || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || r == 0xfeff ||
				r == 0xad || r == 0x200b || r == 0x200e || r == 0x200f || r == 0x2060 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
				d.report(codeInvisible, i+1, j+1, 1, "there is an invisible character here", "delete it and type the line again")
				return false
			}
		}
	}
	return true
}

// notText recognises files that were saved as something else than plain text in UTF-8, by how
// they begin.
func (d *document) notText() (what, fix string) {
	text := strings.Join(d.lines[:min(len(d.lines), 20)], "\n")
	begins := func(marks ...string) bool {
		return slices.ContainsFunc(marks, func(m string) bool { return strings.HasPrefix(text, m) })
	}
	switch {
	case begins("\xff\xfe", "\xfe\xff"), begins("\x00\x00\xfe\xff"), strings.Count(text, "\x00") > 2 && utf8.ValidString(text):
		return "this file is saved in another encoding (UTF-16 or UTF-32)", "save it again as plain text with the encoding UTF-8"
	case begins("PK\x03\x04", "\xd0\xcf\x11\xe0", "{\\rtf", "%PDF", "\x1f\x8b"):
		return "this is a document or an archive, not a plain text file", "copy the text into a plain text editor, and save it there under this name"
	case begins("<!DOCTYPE", "<!doctype", "<html", "<?xml"):
		return "this is a web page or another format, not a policy file", "restore the file from a copy; when you copy from a website, copy the text and not the page"
	}
	return "", ""
}

// open reads a YAML file into d.root.
func (l *loader) open(name string) (*document, bool) {
	d, b, ok := l.read(name)
	if !ok {
		return d, false
	}
	if d.root, ok = d.parse(b); !ok {
		return d, false
	}
	if !d.root.ok() {
		d.nothing()
		return d, false
	}
	return d, true
}

// parse reads the one YAML document of a file. A file that says nothing has no value.
func (d *document) parse(b []byte) (value, bool) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var n yaml.Node
	switch err := dec.Decode(&n); {
	case errors.Is(err, io.EOF):
		return value{}, true
	case err != nil:
		d.syntax(err)
		return value{}, false
	}
	var next yaml.Node
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			d.syntax(err)
			return value{}, false
		}
		line := max(next.Line, 1)
		d.report(codeTwoDocuments, line, 1, len(d.line(line)), "a second document begins here", "a file holds one document: delete this line, or move what follows to its own file")
		return value{}, false
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		return value{}, true
	}
	root := value{d, n.Content[0]}
	if !d.checkTree(root.n, 1) {
		return value{}, false
	}
	if root.isNull() || (root.n.Kind != yaml.ScalarNode && len(root.n.Content) == 0) {
		return value{}, true
	}
	return root, true
}

// YAML reads a file that is no policy file with the same care: what an editor may show
// differently from how it is read is refused, and what is not YAML is explained in the same
// words. The node is nil where the file says nothing.
func YAML(name string, data []byte) (*yaml.Node, Problems) {
	l := &loader{}
	d := &document{l: l, name: name, lines: splitLines(data), free: map[*yaml.Node]bool{}}
	if len(data) > maxFileBytes {
		d.tooLarge()
		return nil, l.problems
	}
	if !d.checkCharacters() {
		return nil, l.problems
	}
	root, _ := d.parse(data)
	return root.n, l.problems
}

// ProblemAt is a problem at a place of a file, with that line as its excerpt.
func ProblemAt(code Code, file string, data []byte, line, col, width int, text, fix string) Problem {
	d := &document{name: file, lines: splitLines(data)}
	return d.problem(code, line, col, width, text, fix)
}

var urlPassword = regexp.MustCompile(`://[^/\s]*@`)

func splitLines(b []byte) []string {
	lines := strings.Split(strings.TrimPrefix(string(b), "\ufeff"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

func (d *document) tooLarge() {
	d.report(codeFileTooLarge, 0, 0, 0, "this file is larger than 1 MB", "such files are small: check that this is the right file")
}

func (d *document) nothing() {
	d.report(codeSaysNothing, 0, 0, 0, "this file says nothing, which would remove all protection that it gives", "restore it from a copy, or write its keys again")
}

// checkTree refuses anchors, references, tags and merges (each hides what a file says from
// its reader) and very deep nesting, before anything walks the tree.
func (d *document) checkTree(n *yaml.Node, depth int) bool {
	v := value{d, n}
	ok := true
	switch {
	case depth > maxDepth:
		v.report(codeTooDeep, "this is nested more than %d levels deep", "write it in fewer levels, or as several rules", maxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		v.report(codeReference, "%s refers to another place of the file, which policy files do not do", "write the words out here; if it is text, put it in quotes", quote("*"+n.Value))
		return false
	case n.Anchor != "":
		v.report(codeReference, "%s names a place to refer to, which policy files do not do", "leave it out; if it is text, put it in quotes", quote("&"+n.Anchor))
		ok = false
	case n.Style&yaml.TaggedStyle != 0:
		v.report(codeTypeByHand, "%s sets a type by hand, which policy files do not do", "leave it out; if it is text, put it in quotes", quote(n.Tag))
		ok = false
	case n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value != "" && curly([]rune(n.Value)[0]):
		// It would be a part of the text: a rule for “[draft]” would never apply.
		v.report(codeCurlyQuote, "this text begins with a curly quotation mark", fixCurly)
		ok = false
	case n.Tag == "!!merge" && n.Style == 0:
		v.report(codeReference, `"<<" takes words from another place, which policy files do not do`, "write the words out here")
		ok = false
	}
	for _, c := range n.Content {
		// Stop at the first of a kind within one list: a bomb has thousands.
		if !d.checkTree(c, depth+1) {
			return false
		}
	}
	return ok
}

// syntax reports a file that is not YAML. The diagnosis is our own, from the line itself.
func (d *document) syntax(err error) {
	line, col := 0, 0
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		line, col = le.Mark.Line, le.Mark.Column
	}
	if line == 0 || line > len(d.lines) {
		line = max(1, len(d.lines))
	}
	for line > 1 && strings.TrimSpace(d.line(line)) == "" {
		line--
	}
	if at, tab := d.tabBefore(line); tab > 0 {
		d.report(codeTab, at, tab, 1, "a tab stands where spaces are needed", "use spaces in front of a line, never the tab key")
		return
	}
	if at, quoted := d.openQuote(line); at > 0 {
		d.report(codeQuoteOpen, at, quoted, 1, "a quotation mark is opened and not closed", "close it at the end of the text")
		return
	}
	if at, quoted := d.curlyQuote(line); at > 0 {
		d.report(codeCurlyQuote, at, quoted, 1, "this text begins with a curly quotation mark", fixCurly)
		return
	}
	text := d.line(line)
	indent := utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeft(text, " "))
	col = min(max(col, indent+1), max(1, utf8.RuneCountInString(text)))
	trimmed := strings.TrimLeft(text, " -")
	key, val, hasKey := strings.Cut(trimmed, ": ")
	val = strings.TrimSpace(val)
	if at := slices.IndexFunc(d.lines[:line], func(s string) bool { return strings.HasPrefix(s, "%") }); at >= 0 {
		d.report(codeFirstChar, at+1, 1, 1, "a line may not begin with %", "delete the line, or put the text in quotes")
		return
	}
	if at := quoteGoesOn(text); at > 0 {
		d.report(codeQuoteOpen, line, at, 1, "a text in quotes ends before this place, and goes on here", "put the whole text between one pair of marks; inside, use the other kind: \"Maya's drafts\", 'marked \"draft\"'")
		return
	}
	bracket := d.brackets(line, col)
	first := firstAt(text, col)
	switch {
	case first != "":
		fix := "put the text in quotes"
		if bare := strings.TrimLeft(first, "@*."); strings.Contains(text, "domains:") && bare != "" {
			fix = plainDomain(bare)
		}
		d.report(codeFirstChar, line, col, utf8.RuneCountInString(first), fmt.Sprintf("a text may not begin with %c", first[0]), fix)
	case hasKey && val != "" && strings.ContainsRune("@`%&*!|>", rune(val[0])):
		d.report(codeFirstChar, line, col, 1, fmt.Sprintf("a text may not begin with %c", val[0]), "put the text in quotes")
	case strings.Contains(text, `\`):
		d.report(codeBackslash, line, col, 1, `a backslash in double quotes means something else`, "use single quotes around this text")
	case d.spaceMissing(line):
	case bracket.text != "":
		d.report(codeBracketOpen, bracket.line, bracket.col, 1, bracket.text, bracket.fix)
	case hasKey && key == "do" && keyedValue.MatchString(val):
		d.report(codeColonInText, line, col, 1, "what to do is a list, and a verb with a value stands in braces", "write do: [{"+strings.Trim(quote(val), `"`)+"}]")
	case hasKey && slices.Contains([]string{"when", "unless", "mail", "expect", "clients_see", "every_copy"}, key) && keyedValue.MatchString(val):
		d.report(codeColonInText, line, col, 1, fmt.Sprintf("%s and what belongs to it cannot stand in one line like this", quote(key)), "write "+key+": {"+strings.Trim(quote(val), `"`)+"}; or "+strings.Trim(quote(val), `"`)+" in a line of its own below, two spaces further in")
	case hasKey && !strings.HasPrefix(val, "[") && !strings.HasPrefix(val, "{") && strings.Contains(val, ": "):
		d.report(codeColonInText, line, col, 1, fmt.Sprintf("the text after %s holds a colon", quote(key)), "put the whole text in quotes")
	case !strings.Contains(trimmed, ":") && !strings.HasPrefix(strings.TrimSpace(text), "-"):
		d.report(codeNoColon, line, col, 1, "this line has no colon after its key", "write: key, colon, space, value")
	default:
		d.report(codeDoesNotFit, line, col, 1, "this line does not fit the lines above it", "begin it at the same column as the lines it belongs with, and check the line before")
	}
}

// keyedValue is a key and its value where a value stands.
var keyedValue = regexp.MustCompile(`^[a-z_]+: \S`)

// firstAt returns the word at that place of a line if it begins with a sign that no bare text may
// begin with.
func firstAt(text string, col int) string {
	rs := []rune(text)
	if col < 2 || col > len(rs) || !strings.ContainsRune("@`%*&!", rs[col-1]) || !strings.ContainsRune(" [{,", rs[col-2]) {
		return ""
	}
	word, _, _ := strings.Cut(string(rs[col-1:]), " ")
	return strings.TrimRight(word, ",]}")
}

// glued are a key and its value without the space between, and a dash without one.
var (
	gluedKey  = regexp.MustCompile(`^ *(?:- +)?[a-z_]+:[^\s:/]`)
	gluedDash = regexp.MustCompile(`^ *-[a-zA-Z{\["']`)
)

// spaceMissing reports a missing space after the colon or the dash of that line, or of the one
// before it.
func (d *document) spaceMissing(line int) bool {
	for i := line; i > 0 && i > line-2; i-- {
		text := d.line(i)
		if m := gluedKey.FindString(text); m != "" {
			d.report(codeSpaceMissing, i, utf8.RuneCountInString(m), 1, "there is no space after the colon", "write: key, colon, space, value")
			return true
		}
		if m := gluedDash.FindString(text); m != "" {
			d.report(codeSpaceMissing, i, utf8.RuneCountInString(m), 1, "there is no space after the dash", "write a space between the dash and what follows it")
			return true
		}
	}
	return false
}

// quoteGoesOn returns the column where a text goes on behind its closing quotation mark, or 0.
func quoteGoesOn(text string) int {
	in, before := rune(0), ' '
	rs := []rune(text)
	for i := 0; i < len(rs); i++ {
		r := rs[i]
		switch {
		case in == 0 && r == '#' && before == ' ':
			return 0
		case in == 0 && (r == '"' || r == '\'') && strings.ContainsRune(" [{,", before):
			in = r
		case in == '\'' && r == '\'' && i+1 < len(rs) && rs[i+1] == '\'':
			i++
		case in == '"' && r == '\\':
			i++
		case in != 0 && r == in:
			in = 0
			rest := strings.TrimLeft(string(rs[i+1:]), " ")
			if rest != "" && !strings.ContainsRune(",]}#:", []rune(rest)[0]) {
				return len(rs) - utf8.RuneCountInString(rest) + 1
			}
		}
		before = r
	}
	return 0
}

// bracketFault is what is wrong with the brackets of a file.
type bracketFault struct {
	line, col int
	text, fix string
}

// brackets looks for a bracket that is never closed or closed by one of another kind, in the
// whole file, and else for a missing comma at the place that could not be read.
func (d *document) brackets(line, col int) bracketFault {
	type opened struct {
		r         rune
		line, col int
	}
	var open []opened
	inside := false
	for i, text := range d.lines {
		var in rune
		before := ' '
		for j, r := range []rune(text) {
			if i+1 == line && j+1 == col {
				inside = len(open) > 0
			}
			switch {
			case in != 0:
				if r == in {
					in = 0
				}
			case (r == '"' || r == '\'') && strings.ContainsRune(" [{,", before):
				in = r
			case r == '#' && before == ' ':
				in = '\n' // until the end of the line
			case (r == '[' || r == '{') && (len(open) > 0 || strings.ContainsRune(" [{,", before)):
				open = append(open, opened{r, i + 1, j + 1})
			case (r == ']' || r == '}') && len(open) > 0:
				last := open[len(open)-1]
				if (last.r == '[') != (r == ']') {
					return bracketFault{i + 1, j + 1, fmt.Sprintf("%c closes a bracket that was opened as %c on line %d", r, last.r, last.line),
						"close what is open in turn: [ with ], { with }"}
				}
				open = open[:len(open)-1]
			}
			before = r
		}
	}
	switch {
	case len(open) > 0:
		return bracketFault{open[0].line, open[0].col, "a bracket is opened here and not closed", "close it with ] or }, with commas between the words"}
	case inside:
		return bracketFault{line, col, "a comma is missing before this place", "write commas between the words in brackets, and a colon and a space after each key in { }"}
	}
	return bracketFault{}
}

// tabBefore finds a tab in the indentation of that line or of one shortly before it.
func (d *document) tabBefore(line int) (at, col int) {
	for i := line; i > 0 && i > line-3; i-- {
		text := d.line(i)
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if k := strings.IndexByte(indent, '\t'); k >= 0 {
			return i, k + 1
		}
	}
	return 0, 0
}

const fixCurly = `use the straight mark " on both sides; a plain text editor writes it`

// curly reports whether r is a quotation mark as word processors and phones make it.
func curly(r rune) bool { return strings.ContainsRune("“”„‘’", r) }

// curlyQuote finds a text that begins with a curly quotation mark on that line or on one
// shortly before it.
func (d *document) curlyQuote(line int) (at, col int) {
	for i := line; i > 0 && i > line-3; i-- {
		before := ' '
		for j, r := range []rune(d.line(i)) {
			if r == '#' && before == ' ' {
				break
			}
			if curly(r) && strings.ContainsRune(" [{,", before) {
				return i, j + 1
			}
			before = r
		}
	}
	return 0, 0
}

// openQuote finds the first line up to that one on which a text in quotes begins and does not
// end. Texts in quotes over several lines are so rare here that this is the likely slip.
func (d *document) openQuote(line int) (at, col int) {
	for i := 1; i <= line; i++ {
		text, in, from := d.line(i), rune(0), 0
		before := ' '
		for j, r := range []rune(text) {
			switch {
			case in == '"' && r == '"' && before != '\\', in == '\'' && r == '\'':
				in = 0
			case in != 0:
			case r == '#' && before == ' ':
				in = '#'
			case (r == '"' || r == '\'') && strings.ContainsRune(" [{,", before):
				in, from = r, j+1
			}
			before = r
		}
		if in == '"' || in == '\'' {
			return i, from
		}
	}
	return 0, 0
}

func (d *document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}

// report adds a problem at a place of the file. Line 0 means the file as a whole.
func (d *document) report(code Code, line, col, width int, text, fix string) {
	d.problems++
	switch {
	case d.problems > maxProblems: // counted, no longer listed
	case d.problems == maxProblems:
		d.l.problems = append(d.l.problems, Problem{Code: codeMoreProblems, File: d.name, Line: len(d.lines), Col: 1, Text: "there is more wrong in this file", Fix: "mend what is listed first, and check again"})
	default:
		d.l.problems = append(d.l.problems, d.problem(code, line, col, width, text, fix))
	}
}

func (d *document) problem(code Code, line, col, width int, text, fix string) Problem {
	p := Problem{Code: code, File: d.name, Line: line, Col: col, Text: text, Fix: fix}
	// A password in a URL is nobody's to see, whatever else is wrong in its line.
	s := urlPassword.ReplaceAllStringFunc(d.line(line), func(m string) string { return "://" + strings.Repeat("*", utf8.RuneCountInString(m)-4) + "@" })
	if line > 0 && strings.TrimSpace(s) != "" {
		p.Excerpt = excerpt(s, line, col, width)
	}
	return p
}

func (d *document) warn(code Code, line, col, width int, text, fix string) {
	d.l.warnings = append(d.l.warnings, d.problem(code, line, col, width, text, fix))
}

// oneLine writes the value in one line, whatever its lines in the file; keys in order.
func (v value) oneLine() string {
	if !v.ok() {
		return ""
	}
	var parts []string
	switch v.n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(v.n.Content); i += 2 {
			parts = append(parts, v.n.Content[i].Value+": "+value{v.d, v.n.Content[i+1]}.oneLine())
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, c := range v.n.Content {
			parts = append(parts, value{v.d, c}.oneLine())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return v.n.Value
}

// ok reports whether the value exists.
func (v value) ok() bool { return v.n != nil }

func (v value) isNull() bool {
	return v.n.Kind == yaml.ScalarNode && v.n.Tag == "!!null" && v.plain()
}

// plain reports whether the value is a bare word, without quotes.
func (v value) plain() bool {
	return v.n.Kind == yaml.ScalarNode &&
		v.n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

func (v value) width() int {
	if v.n.Kind != yaml.ScalarNode {
		return 1
	}
	w := utf8.RuneCountInString(v.n.Value)
	if !v.plain() {
		w += 2
	}
	return max(1, w)
}

// report adds a problem at the value. Arguments fill text.
func (v value) report(code Code, text, fix string, args ...any) {
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	v.d.report(code, v.n.Line, v.n.Column, v.width(), text, fix)
}

func (v value) warn(code Code, text, fix string) {
	v.d.warn(code, v.n.Line, v.n.Column, v.width(), text, fix)
}

// free marks the value as a place where addresses and phone numbers may stand.
func (v value) free() value {
	v.d.free[v.n] = true
	return v
}

// field is one key that a set of keys may have. Its read gets the value.
type field struct {
	key  string
	must bool
	read func(value)
}

// keys reads a set of keys: unknown and repeated ones are problems, and so are missing ones
// that must be there. It reports whether the value is a set of keys at all.
func (v value) keys(what string, fields ...field) bool {
	if v.n.Kind != yaml.MappingNode {
		v.report(codeNotKeys, "%s must be a set of keys", "write it as keys with a colon each, one a line, or {key: value, key: value}", what)
		return false
	}
	if v.d.l.seen != nil {
		for _, f := range fields {
			v.d.l.seen(what, f.key, f.must)
		}
	}
	had := map[string]bool{}
	for key, val := range v.pairs(what) {
		had[key.n.Value] = true
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key.n.Value })
		if i < 0 {
			known := make([]string, len(fields))
			for j, f := range fields {
				known[j] = f.key
			}
			if before, _, glued := strings.Cut(key.n.Value, ":"); glued && slices.Contains(known, before) {
				key.report(codeSpaceMissing, "there is no space after the colon", "write: key, colon, space, value")
				had[before] = true
				continue
			}
			key.report(codeUnknownKey, "unknown word %s", didYouMean(key.n.Value, known), quote(key.n.Value))
			had[Nearest(key.n.Value, known)] = true // it is meant: do not also ask for it
			continue
		}
		if val.isNull() {
			fix := "write one after the colon, or delete the line"
			if fields[i].must {
				fix = "write one after the colon: it must be there"
			}
			key.report(codeNoValue, "%s has no value", fix, quote(key.n.Value))
			continue
		}
		fields[i].read(val)
	}
	for _, f := range fields {
		if f.must && !had[f.key] {
			v.report(codeKeyMissing, "%s has no %s", "add it: it must be there", what, quote(f.key))
		}
	}
	return true
}

// pairs yields the keys and values of a set of keys, each key once. A repeated key or a key
// that is not a word is a problem and is not yielded.
func (v value) pairs(what string) func(yield func(value, value) bool) {
	return func(yield func(value, value) bool) {
		first := map[string]int{}
		for i := 0; i+1 < len(v.n.Content); i += 2 {
			k, val := value{v.d, v.n.Content[i]}, value{v.d, v.n.Content[i+1]}
			if k.n.Kind != yaml.ScalarNode || strings.TrimSpace(k.n.Value) == "" {
				k.report(codeKeyForm, "a key of %s must be one word", "write: key, colon, space, value", what)
				continue
			}
			if line, again := first[k.n.Value]; again {
				if v.keysTwice() > 1 {
					// Most likely the first line of the next entry is gone, and with it who is meant.
					k.report(codeKeyTwice, "%s and the keys after it stand twice in %s", "if a new entry begins here, put - in front of its first line; else keep one of each", quote(k.n.Value), what)
					v.d.l.unclear(v.d.name)
					return
				}
				k.report(codeKeyTwice, "%s stands twice in %s", fmt.Sprintf("it is already on line %d: keep one", line), quote(k.n.Value), what)
				continue
			}
			first[k.n.Value] = k.n.Line
			if !yield(k, val) {
				return
			}
		}
	}
}

// keysTwice counts the keys that stand there already.
func (v value) keysTwice() int {
	seen, n := map[string]bool{}, 0
	for i := 0; i < len(v.n.Content); i += 2 {
		if seen[v.n.Content[i].Value] {
			n++
		}
		seen[v.n.Content[i].Value] = true
	}
	return n
}

// list returns the entries of a list.
func (v value) list(what string) []value {
	if v.n.Kind != yaml.SequenceNode {
		example := "one, two"
		if v.plain() && nameForm.MatchString(v.n.Value) {
			example = strings.Trim(quote(v.n.Value), `"`)
		}
		v.report(codeNotList, "%s must be a list", "write it in square brackets: ["+example+"]", what)
		return nil
	}
	out := make([]value, 0, len(v.n.Content))
	for _, c := range v.n.Content {
		e := value{v.d, c}
		if e.isNull() {
			e.report(codeEmpty, "an entry of %s is empty", "write it, or delete it", what)
			continue
		}
		out = append(out, e)
	}
	return out
}

// filled is list, and an empty one is a problem.
func (v value) filled(what string) []value {
	out := v.list(what)
	if v.n.Kind == yaml.SequenceNode && len(v.n.Content) == 0 {
		v.report(codeEmpty, "%s is an empty list", "name at least one", what)
	}
	return out
}

// oneOrMore reads one value, or a filled list of them.
func (v value) oneOrMore(what string) []value {
	if v.n.Kind == yaml.SequenceNode {
		return v.filled(what)
	}
	return []value{v}
}

// keysFree reports whether the value is a set of keys that the writer chooses.
func (v value) keysFree(what string) bool {
	if v.n.Kind != yaml.MappingNode {
		v.report(codeNotKeys, "%s must be a set of keys", "write it as keys with a colon each, one a line", what)
		return false
	}
	if len(v.n.Content) == 0 {
		v.report(codeEmpty, "%s says nothing", "write its keys, or delete it", what)
		return false
	}
	return true
}
