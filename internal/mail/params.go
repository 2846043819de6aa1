package mail

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// paramValue is a structured MIME field (RFC 2045 §5.1, RFC 2231): a main value and
// parameters, read leniently, with what was ambiguous about it.
type paramValue struct {
	main      string            // lower case, without comments
	params    map[string]string // lower-case names, decoded values
	ambiguous map[string]bool   // parameters given in two ways that differ
	extended  map[string]bool   // parameters in RFC 2231 form
	sloppy    bool              // something had to be guessed
	comment   bool              // a comment stands in it, which not every reader passes over
	boundary  bool              // guessed, too, where the boundary begins or ends
	defects   []string          // of encoded values
}

// rawParam is one parameter as it stands.
type rawParam struct{ name, value string }

func parseParams(s string) paramValue {
	v := paramValue{params: map[string]string{}, ambiguous: map[string]bool{}, extended: map[string]bool{}}
	sc := paramScanner{s: s}
	v.main = strings.ToLower(sc.main())
	var raw []rawParam
	for len(raw) < 200 {
		p, ok := sc.param()
		if !ok {
			break
		}
		raw = append(raw, p)
	}
	v.sloppy, v.boundary, v.comment = sc.sloppy, sc.boundary, sc.comments
	v.collect(raw)
	return v
}

// paramScanner reads the text of a structured field.
type paramScanner struct {
	s        string
	i        int
	sloppy   bool
	comments bool
	// boundary: some readers find no boundary here, or another one, and so other parts.
	boundary bool
}

// main reads up to the first semicolon, or to the first space behind a complete value: then a
// semicolon is missing and what follows is read as parameters.
func (p *paramScanner) main() string {
	var b strings.Builder
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '(':
			p.comment()
		case c == ';':
			return strings.TrimSpace(b.String())
		case c == ' ' || c == '\t':
			p.space()
			rest := p.s[p.i:]
			if b.Len() > 0 && rest != "" && rest[0] != ';' && rest[0] != '(' && rest[0] != '/' && !strings.HasSuffix(b.String(), "/") {
				p.sloppy, p.boundary = true, true
				return b.String()
			}
			// Not every reader takes the blanks out of "text / plain".
			p.sloppy = p.sloppy || b.Len() > 0 && rest != "" && rest[0] != ';' && rest[0] != '('
		default:
			b.WriteByte(c)
			p.i++
		}
	}
	return strings.TrimSpace(b.String())
}

func (p *paramScanner) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\r' || p.s[p.i] == '\n') {
		p.i++
	}
}

// comment skips a comment (RFC 5322 §3.2.2); one that is not closed ends with the field.
func (p *paramScanner) comment() {
	p.comments = true
	n := skipComment(p.s[p.i:])
	if n == 0 {
		p.sloppy = true
		n = len(p.s) - p.i
	}
	p.i += n
}

// skipComment returns the length of the comment at the start of s, or 0 when it never ends.
func skipComment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// param reads the next parameter.
func (p *paramScanner) param() (rawParam, bool) {
	for {
		p.skip()
		if p.i >= len(p.s) {
			return rawParam{}, false
		}
		start := p.i
		for p.i < len(p.s) && !strings.ContainsRune("=;", rune(p.s[p.i])) {
			p.i++
		}
		raw := p.s[start:p.i]
		name := strings.ToLower(strings.TrimSpace(raw))
		if p.i >= len(p.s) || p.s[p.i] == ';' || name == "" {
			p.sloppy = true
			if p.i < len(p.s) {
				p.i++
			}
			continue
		}
		p.i++ // =
		value := p.i
		p.space()
		// RFC 2045 §5.1: no blanks around the equals sign, and nothing but a token before it.
		p.sloppy = p.sloppy || p.i > value || len(raw) != len(name) || !isToken(name)
		if p.i < len(p.s) && p.s[p.i] == '"' {
			return rawParam{name, p.quoted()}, true
		}
		return rawParam{name, p.bare(name)}, true
	}
}

// bare reads a value without quotes.
func (p *paramScanner) bare(name string) string {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] != ';' && p.s[p.i] != '(' {
		p.i++
	}
	value := strings.TrimSpace(p.s[start:p.i])
	// Not every reader takes a value in single quotes as it stands, but RFC 2231 has them.
	p.sloppy = p.sloppy || !isToken(value) || strings.ContainsAny(value, "'%") && !strings.HasSuffix(name, "*")
	// RFC 2045 §5.1: a value with such characters must be quoted.
	if name == "boundary" && strings.ContainsAny(value, " \t\"=") {
		p.boundary = true
	}
	return value
}

// skip passes separators and comments.
func (p *paramScanner) skip() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n', ';':
			p.i++
		case '(':
			p.comment()
		default:
			return
		}
	}
}

func (p *paramScanner) quoted() string {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			p.behind()
			value := b.String()
			// Not every reader keeps several blanks, which may come of a fold inside the quotes.
			p.sloppy = p.sloppy || value != strings.TrimSpace(value) || strings.Contains(value, "  ") || strings.Contains(value, "\t")
			return value
		case '\\':
			// Some mail apps write Windows paths without doubling the backslash.
			if p.i+1 < len(p.s) && (p.s[p.i+1] == '"' || p.s[p.i+1] == '\\') {
				p.i++
				b.WriteByte(p.s[p.i])
			} else {
				p.sloppy = true
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	p.sloppy = true
	return b.String()
}

// behind notes what follows a quoted string before the next semicolon: nothing should.
func (p *paramScanner) behind() {
	rest := strings.TrimLeft(p.s[p.i:], " \t\r\n")
	p.sloppy = p.sloppy || rest != "" && rest[0] != ';' && rest[0] != '('
}

// segment is one piece of a continued parameter (RFC 2231 §3).
type segment struct {
	n       int
	value   string
	encoded bool
}

// collect joins continuations, decodes values and finds conflicts.
func (v *paramValue) collect(raw []rawParam) {
	pieces := map[string][]segment{}
	plain := map[string]bool{}
	for _, r := range raw {
		name, n, encoded := splitParamName(r.name)
		if n < 0 && !encoded {
			if old, dup := v.params[name]; dup && plain[name] {
				v.ambiguous[name] = v.ambiguous[name] || old != r.value
				continue
			}
			v.params[name], plain[name] = r.value, true
			continue
		}
		pieces[name] = append(pieces[name], segment{max(n, 0), r.value, encoded})
	}
	for _, name := range slices.Sorted(maps.Keys(pieces)) {
		value, ok := v.join(pieces[name])
		v.extended[name] = true
		if !ok {
			v.ambiguous[name] = true
		}
		if plain[name] && normalParam(v.params[name]) != normalParam(value) {
			v.ambiguous[name] = true
		}
		v.params[name] = value
	}
}

// normalParam makes the plain and the extended form of a value comparable.
func normalParam(s string) string {
	s, _ = decodeWords(s)
	return s
}

// splitParamName splits name*3* into its name, segment number (-1: none) and whether its
// value is percent-encoded.
func splitParamName(s string) (name string, n int, encoded bool) {
	name, encoded = strings.CutSuffix(s, "*")
	base, num, ok := strings.Cut(name, "*")
	if !ok {
		return name, -1, encoded
	}
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 || n > 500 {
		return name, -1, encoded
	}
	return base, n, encoded
}

// join puts the segments of one parameter together; ok is false when one is missing or given
// twice.
func (v *paramValue) join(segs []segment) (value string, ok bool) {
	slices.SortStableFunc(segs, func(a, b segment) int { return a.n - b.n })
	var b []byte
	label, isEncoded := "", false
	ok = true
	for i, s := range segs {
		ok = ok && s.n == i
		text := s.value
		if s.encoded && i == 0 {
			isEncoded = true
			if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
				label, text = parts[0], parts[2]
			} else {
				v.sloppy = true
			}
		}
		if s.encoded {
			text = percentDecode(text)
			v.sloppy = v.sloppy || !isEncoded // only the first piece can say in which charset
		}
		b = append(b, text...)
	}
	if !isEncoded {
		return string(b), ok
	}
	text, _, defects := readText(b, label)
	v.defects = append(v.defects, defects...)
	return text, ok
}

func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
