package differ

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// mutator makes broken, odd and hostile messages out of sound ones. It knows the structure of a
// message well enough to hit what readers differ in. The same number gives the same message.
type mutator struct {
	rnd   *rand.Rand
	seeds [][]byte
	names []string // of what was done
}

func newMutator(seeds [][]byte, number int) *mutator {
	return &mutator{rnd: rand.New(rand.NewPCG(uint64(number), 0x5eed)), seeds: seeds}
}

type mutation struct {
	name string
	do   func(*mutator, []byte) []byte
}

// mutations are the ways in which a message is changed.
func mutations() []mutation {
	return []mutation{
		{"fold", (*mutator).fold},
		{"duplicate-field", (*mutator).duplicateField},
		{"parameter", (*mutator).parameter},
		{"parameter", (*mutator).parameter},
		{"parameter-pieces", (*mutator).pieces},
		{"comment", (*mutator).comment},
		{"delimiter", (*mutator).delimiter},
		{"delimiter", (*mutator).delimiter},
		{"boundary", (*mutator).boundary},
		{"boundary", (*mutator).boundary},
		{"encoding", (*mutator).encoding},
		{"encoding", (*mutator).encoding},
		{"base64", (*mutator).base64},
		{"quoted-printable", (*mutator).quotedPrintable},
		{"encoded-word", (*mutator).encodedWord},
		{"charset", (*mutator).charset},
		{"charset", (*mutator).charset},
		{"file-name", (*mutator).fileName},
		{"file-name", (*mutator).fileName},
		{"type", (*mutator).mediaType},
		{"type", (*mutator).mediaType},
		{"wrap", (*mutator).wrap},
		{"header-line", (*mutator).headerLine},
		{"bytes", (*mutator).bytes},
		{"splice", (*mutator).splice},
		{"lines", (*mutator).lines},
	}
}

// mutant changes a seed one to three times.
func (m *mutator) mutant() []byte {
	all := mutations()
	raw := bytes.Clone(m.seeds[m.rnd.IntN(len(m.seeds))])
	for range 1 + m.rnd.IntN(3) {
		how := all[m.rnd.IntN(len(all))]
		m.names = append(m.names, how.name)
		raw = how.do(m, raw)
	}
	return raw
}

func pick[T any](m *mutator, list ...T) T { return list[m.rnd.IntN(len(list))] }

// span is a range of bytes.
type span struct{ start, end int }

var (
	mimeField = regexp.MustCompile(`(?mi)^content-(?:type|transfer-encoding|disposition)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n`)
	typeField = regexp.MustCompile(`(?mi)^content-type[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n`)
	codeField = regexp.MustCompile(`(?mi)^content-transfer-encoding[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n`)
	paramText = regexp.MustCompile(`(?i)([a-z][a-z0-9*-]*)[ \t]*=[ \t]*("(?:[^"\\\r\n]|\\.)*"|[^;\s"]+)`)
	delimLine = regexp.MustCompile(`(?m)^--[^\r\n]{3,}\r\n`)
	boundText = regexp.MustCompile(`(?i)boundary[ \t]*=[ \t]*("[^"\r\n]*"|[^;\s"]+)`)
	blankLine = regexp.MustCompile(`\r\n\r\n`)
	b64Line   = regexp.MustCompile(`(?m)^[A-Za-z0-9+/]{20,}={0,2}\r\n`)
	qpEscape  = regexp.MustCompile(`=[0-9A-F]{2}|=\r\n`)
)

// one returns one of the places where the pattern fits.
func (m *mutator) one(raw []byte, re *regexp.Regexp) (span, bool) {
	all := re.FindAllIndex(raw, 400)
	if len(all) == 0 {
		return span{}, false
	}
	at := all[m.rnd.IntN(len(all))]
	return span{at[0], at[1]}, true
}

func replace(raw []byte, at span, with string) []byte {
	return slices.Concat(raw[:at.start], []byte(with), raw[at.end:])
}

func insert(raw []byte, at int, what string) []byte { return replace(raw, span{at, at}, what) }

// field returns one MIME field, its name and its value; without one, the top header gets one.
func (m *mutator) field(raw []byte, re *regexp.Regexp) (at span, name, value string, ok bool) {
	at, ok = m.one(raw, re)
	if !ok {
		return at, "", "", false
	}
	name, value, ok = strings.Cut(strings.TrimSuffix(string(raw[at.start:at.end]), "\r\n"), ":")
	return at, name, value, ok
}

func (m *mutator) fold(raw []byte) []byte {
	at, name, value, ok := m.field(raw, mimeField)
	if !ok {
		return raw
	}
	fold := pick(m, "\r\n ", "\r\n\t", "\r\n   ", "\r\n \t", "\r\n \r\n ")
	switch m.rnd.IntN(4) {
	case 0:
		value = strings.Replace(value, " ", fold, 1)
	case 1:
		value = strings.ReplaceAll(value, "; ", ";"+fold)
	case 2: // in the middle of a word
		i := m.rnd.IntN(len(value) + 1)
		value = value[:i] + fold + value[i:]
	case 3:
		value = fold + strings.TrimSpace(value)
	}
	return replace(raw, at, name+":"+value+"\r\n")
}

func (m *mutator) duplicateField(raw []byte) []byte {
	at, name, value, ok := m.field(raw, mimeField)
	if !ok {
		return raw
	}
	again := value
	switch m.rnd.IntN(5) {
	case 0:
		again = pick(m, " text/plain", " text/html; charset=utf-8", " base64", " quoted-printable", " 7bit", " attachment; filename=other.pdf", " inline")
	case 1:
		again = strings.ToUpper(value)
	case 2:
		name = strings.ToUpper(name)
	case 3:
		again = ""
	}
	if m.rnd.IntN(2) == 0 {
		return insert(raw, at.start, name+":"+again+"\r\n")
	}
	return insert(raw, at.end, name+":"+again+"\r\n")
}

// parameter changes how a parameter is written, or gives it twice.
func (m *mutator) parameter(raw []byte) []byte {
	at, name, value, ok := m.field(raw, mimeField)
	if !ok {
		return raw
	}
	p, found := m.one([]byte(value), paramText)
	if !found {
		return replace(raw, at, name+":"+value+pick(m, "; x=y", ";", "; charset=utf-8", "; name=\"a.txt\"", "; format=flowed", "; ;;", " ;")+"\r\n")
	}
	text := value[p.start:p.end]
	key, val, _ := strings.Cut(text, "=")
	key, val = strings.TrimSpace(key), strings.TrimSpace(val)
	bare := strings.Trim(val, `"`)
	switch m.rnd.IntN(17) {
	case 0:
		text = key + "=" + bare
	case 1:
		text = key + `="` + bare + `"`
	case 2:
		text = key + "=" + val + "; " + key + "=" + val
	case 3:
		text = key + "=" + val + "; " + key + "=" + pick(m, `"other"`, "x", `""`, "utf-8", "iso-8859-1")
	case 4:
		text = key + "=" + pick(m, `"other"`, "x", `""`, "utf-8") + "; " + key + "=" + val
	case 5:
		text = strings.ToUpper(key) + "=" + val
	case 6:
		text = key + pick(m, " = ", "= ", " =", "\t=\t") + val
	case 7:
		text = key + `="` + bare // without an end
	case 8:
		text = key + "='" + bare + "'"
	case 9:
		text = key + `="` + strings.ReplaceAll(bare, "", `\`)[1:] + `"`
		if len(bare) > 0 {
			text = key + `="\` + bare + `"`
		}
	case 10:
		text = key + `="` + bare + pick(m, " ", "\t", "  ") + `"`
	case 11:
		text = key + `=" ` + bare + `"`
	case 12:
		text = key + `="` + bare + `"` + pick(m, "x", " x", `"y"`, ",", " ; x", "()")
	case 13:
		text = key + "*=" + pick(m, "utf-8''", "us-ascii'en'", "''", "") + bare
	case 14:
		text = pick(m, ";", "; ;", "x; ", "x=; ", `"a=b"; `) + text
	case 15:
		text = key + "=" + bare + pick(m, " ", "\t", ",", "\\", "'", " trailing")
	case 16:
		text = "" // gone
	}
	return replace(raw, at, name+":"+value[:p.start]+text+value[p.end:]+"\r\n")
}

// pieces writes a parameter in the pieces of RFC 2231, rightly or wrongly.
func (m *mutator) pieces(raw []byte) []byte {
	at, name, value, ok := m.field(raw, mimeField)
	if !ok {
		return raw
	}
	p, found := m.one([]byte(value), paramText)
	if !found {
		return raw
	}
	key, val, _ := strings.Cut(value[p.start:p.end], "=")
	key, val = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(val), `"`)
	if len(val) < 2 || strings.Contains(key, "*") {
		return raw
	}
	i := 1 + m.rnd.IntN(len(val)-1)
	a, b := val[:i], val[i:]
	percent := func(s string) string {
		var out strings.Builder
		for j := range len(s) {
			fmt.Fprintf(&out, "%%%02X", s[j])
		}
		return out.String()
	}
	text := pick(m,
		key+`*0="`+a+`"; `+key+`*1="`+b+`"`,
		key+`*1="`+b+`"; `+key+`*0="`+a+`"`,
		key+`*0="`+a+`"; `+key+`*2="`+b+`"`,
		key+`*0*=utf-8''`+percent(a)+`; `+key+`*1*=`+percent(b),
		key+`*0*=utf-8''`+percent(a)+`; `+key+`*1="`+b+`"`,
		key+`*0="`+a+`"; `+key+`*1*=`+percent(b),
		key+`*0="`+a+`"; `+key+`*1="`+b+`"; `+key+`=other`,
		key+`=other; `+key+`*=utf-8''`+percent(val),
		key+`*=utf-8''`+percent(val),
		key+`*=iso-8859-1'en'`+percent(val),
		key+`*=x-none''`+percent(val),
		key+`*="utf-8''`+percent(val)+`"`,
		key+`*00="`+a+`"; `+key+`*01="`+b+`"`,
		key+`*1="`+a+`"; `+key+`*2="`+b+`"`,
		key+`*0*=`+percent(a)+`; `+key+`*1*=`+percent(b),
		key+`*=utf-8'`+val,
		key+`*0*=utf-8''`+percent(a)+`%; `+key+`*1=%zz`+b,
	)
	return replace(raw, at, name+":"+value[:p.start]+text+value[p.end:]+"\r\n")
}

func (m *mutator) comment(raw []byte) []byte {
	at, name, value, ok := m.field(raw, mimeField)
	if !ok {
		return raw
	}
	note := pick(m, "(note)", " (note)", "(a; b=c)", `(a "b)`, "(a(b)c)", "(open", ")", `(\))`, "(=?utf-8?q?x?=)", "(;boundary=x)")
	i := m.rnd.IntN(len(value) + 1)
	if m.rnd.IntN(2) == 0 {
		if j := strings.IndexAny(value[i:], ";=/"); j >= 0 {
			i += j + m.rnd.IntN(2)
		}
	}
	return replace(raw, at, name+":"+value[:i]+note+value[i:]+"\r\n")
}

// delimiter changes, moves, repeats or drops a line that stands between parts.
func (m *mutator) delimiter(raw []byte) []byte {
	at, ok := m.one(raw, delimLine)
	if !ok {
		return raw
	}
	line := string(raw[at.start : at.end-2])
	closing := strings.HasSuffix(line, "--")
	switch m.rnd.IntN(19) {
	case 0:
		return replace(raw, at, line+pick(m, " ", "\t", "  \t ", "\v", "\f", "\u00a0")+"\r\n")
	case 1:
		return replace(raw, at, "")
	case 2:
		return replace(raw, at, line+"\r\n"+line+"\r\n")
	case 3:
		return replace(raw, at, line+pick(m, "x", "-", "--", "---", ";", "=")+"\r\n")
	case 4:
		return replace(raw, at, pick(m, " ", "\t", ">", "-")+line+"\r\n")
	case 5:
		return replace(raw, at, line+"\r\n\r\n")
	case 6:
		return replace(raw, at, "\r\n\r\n"+line+"\r\n")
	case 7: // the close in the middle
		if closing {
			return replace(raw, at, strings.TrimSuffix(line, "--")+"\r\n")
		}
		return replace(raw, at, line+"--\r\n")
	case 8: // without the line end before it
		if at.start >= 2 {
			return slices.Concat(raw[:at.start-2], raw[at.start:])
		}
	case 9: // text behind the close or before the first
		return insert(raw, at.end, pick(m, "hidden text\r\n", "\r\nhidden\r\n\r\n", line+"\r\n\r\nmore\r\n"))
	case 10:
		return insert(raw, m.lineStart(raw), line+"\r\n")
	case 11:
		return insert(raw, m.lineStart(raw), line+"--\r\n")
	case 12:
		return replace(raw, at, strings.ToUpper(line)+"\r\n")
	case 13:
		return replace(raw, at, line+"--"+pick(m, " ", "\t", "\t \t")+"\r\n")
	case 14: // the header of the part goes on at once, or is not there
		if i := bytes.Index(raw[at.end:], []byte("\r\n\r\n")); i >= 0 {
			return slices.Concat(raw[:at.end], raw[at.end+i+2:])
		}
	case 15: // no empty line behind the header
		if i := bytes.Index(raw[at.end:], []byte("\r\n\r\n")); i >= 0 {
			return slices.Concat(raw[:at.end+i+2], raw[at.end+i+4:])
		}
	case 16: // the end is missing
		return raw[:at.start]
	case 17: // the last line end is missing
		return bytes.TrimRight(raw, "\r\n")
	case 18:
		return raw[:at.end]
	}
	return raw
}

func (m *mutator) lineStart(raw []byte) int {
	head := max(bytes.Index(raw, []byte("\r\n\r\n")), 0)
	i := head + m.rnd.IntN(len(raw)-head+1)
	if j := bytes.IndexByte(raw[i:], '\n'); j >= 0 {
		return i + j + 1
	}
	return len(raw)
}

// boundary changes which boundaries there are, consistently or not.
func (m *mutator) boundary(raw []byte) []byte {
	all := boundText.FindAllSubmatchIndex(raw, 20)
	if len(all) == 0 {
		return raw
	}
	which := all[m.rnd.IntN(len(all))]
	old := strings.Trim(string(raw[which[2]:which[3]]), `"`)
	other := strings.Trim(string(raw[all[0][2]:all[0][3]]), `"`)
	if old == "" {
		return raw
	}
	everywhere := func(with, declared string) []byte {
		out := replace(raw, span{which[2], which[3]}, declared)
		return bytes.ReplaceAll(out, []byte("\r\n--"+old), []byte("\r\n--"+with))
	}
	short := old[:max(1, len(old)/2)]
	quoted := func(s string) string { return `"` + s + `"` }
	switch m.rnd.IntN(16) {
	case 0:
		return everywhere(other, quoted(other))
	case 1: // this one begins with the outer one
		return everywhere(other+"x", quoted(other+"x"))
	case 2:
		return everywhere(other+"--", quoted(other+"--"))
	case 3:
		return everywhere(short, quoted(short))
	case 4:
		return replace(raw, span{which[2], which[3]}, quoted(short))
	case 5:
		return everywhere(strings.Repeat("b", pick(m, 69, 70, 71, 200, 995)), quoted(strings.Repeat("b", 71)))
	case 6:
		return everywhere("a b", pick(m, quoted("a b"), "a b"))
	case 7:
		return everywhere("a=b", pick(m, quoted("a=b"), "a=b"))
	case 8:
		return everywhere("a;b", pick(m, quoted("a;b"), "a;b"))
	case 9:
		return everywhere("a(b)c", pick(m, quoted("a(b)c"), "a(b)c"))
	case 10:
		return everywhere(`a\b`, pick(m, quoted(`a\b`), quoted(`a\\b`), `a\b`))
	case 11:
		return everywhere("a\xc3\xa9b", pick(m, quoted("a\xc3\xa9b"), "a\xc3\xa9b"))
	case 12:
		return replace(raw, span{which[2], which[3]}, pick(m, `""`, "", quoted(old+" "), quoted(" "+old), quoted("--"+old), quoted(strings.ToUpper(old)), quoted(old+"\t")))
	case 13:
		return everywhere("<ab>", pick(m, quoted("<ab>"), "<ab>"))
	case 14:
		return everywhere("a/b:c?d,e", pick(m, quoted("a/b:c?d,e"), "a/b:c?d,e"))
	case 15:
		return everywhere("--a--", quoted("--a--"))
	}
	return raw
}

// encoding changes Content-Transfer-Encoding, or gives one to a part without.
func (m *mutator) encoding(raw []byte) []byte {
	value := pick(m, "BASE64", "Base64 ", "base64;", "base64 (note)", "(note) base64", `"base64"`, "'base64'", "base 64", "base64, 7bit", "x-base64",
		"quoted-printable", "QUOTED-PRINTABLE", "Quoted-Printable;", "quoted_printable", "quoted-printable (x)", "quoted printable", "7bit", "7BIT", "8bit", "binary", "BINARY",
		"x-uuencode", "uuencode", "none", "", "7-bit", "utf-8", "base64\t", "quoted-printable\r\n ", "base64; x=y", "=?utf-8?q?base64?=", "7 bit", "8bit.", "base64.", "quotedprintable",
		"base64 7bit", "7bit base64", "bas\u00e964", "base64\u00a0", "(base64) 7bit")
	if at, name, _, ok := m.field(raw, codeField); ok && m.rnd.IntN(4) > 0 {
		return replace(raw, at, name+": "+value+"\r\n")
	}
	if at, ok := m.one(raw, typeField); ok {
		return insert(raw, at.end, "Content-Transfer-Encoding: "+value+"\r\n")
	}
	return m.toTop(raw, "Content-Transfer-Encoding: "+value+"\r\n")
}

// toTop adds a field to the top header.
func (m *mutator) toTop(raw []byte, field string) []byte {
	if i := bytes.Index(raw, []byte("\r\n\r\n")); i >= 0 {
		return insert(raw, i+2, field)
	}
	return raw
}

func (m *mutator) base64(raw []byte) []byte {
	at, ok := m.one(raw, b64Line)
	if !ok { // make one
		return m.encodeText(raw, "base64")
	}
	line := string(raw[at.start : at.end-2])
	i := m.rnd.IntN(len(line) + 1)
	return replace(raw, at, pick(m,
		line[:i]+"!"+line[i:], line[:i]+"="+line[i:], line[:i]+" "+line[i:], line[:i]+"-_"+line[i:], strings.TrimRight(line, "=")+"=",
		line+"==", line+"=", strings.TrimRight(line, "="), line[:i], line[:i]+"\r\n\r\n"+line[i:], "  "+line+"\t", line[:i]+"==\r\n"+line[i:], line[:i]+"\xe9"+line[i:],
		line+"\r\n--\r\n", line+"\r\n=\r\n", line[:i]+"====", line+"\r\nplain text here", line[:i]+"\r\n "+line[i:], "="+line, line+"*")+"\r\n")
}

func (m *mutator) quotedPrintable(raw []byte) []byte {
	at, ok := m.one(raw, qpEscape)
	if !ok {
		return m.encodeText(raw, "quoted-printable")
	}
	old := string(raw[at.start:at.end])
	return replace(raw, at, pick(m, strings.ToLower(old), "=XY", "=4", "= \r\n", "=\t\r\n", "=\r\n=\r\n", "==", "=3D=", "=\r\n\r\n", "=0D=0A", "=0A", "=0D", "=00", "=E9", "=FF=FE",
		"=C3=\r\n=A9", "=C3", " \r\n", "\t \r\n", "=20\r\n", "=e9", "=\xe9", "\xc3\xa9", "=2E\r\n", "=\r\n.\r\n", "=  x", "=3d", "= =\r\n", "=\u00a0\r\n"))
}

// encodeText encodes the body of a message of one part.
func (m *mutator) encodeText(raw []byte, how string) []byte {
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok || bytes.Contains(bytes.ToLower(head), []byte("multipart")) || bytes.Contains(bytes.ToLower(head), []byte("transfer-encoding")) {
		return raw
	}
	var b strings.Builder
	if how == "base64" {
		s := base64.StdEncoding.EncodeToString(body)
		for len(s) > 76 {
			b.WriteString(s[:76] + "\r\n")
			s = s[76:]
		}
		b.WriteString(s + "\r\n")
	} else {
		for i, c := range body {
			switch {
			case c == '=' || c >= 0x7f:
				fmt.Fprintf(&b, "=%02X", c)
			default:
				b.WriteByte(c)
			}
			if i%60 == 59 && c != '\r' {
				b.WriteString("=\r\n")
			}
		}
	}
	return slices.Concat(head, []byte("\r\nContent-Transfer-Encoding: "+how+"\r\n\r\n"+b.String()))
}

// encodedWord puts encoded words into a file name or the subject.
func (m *mutator) encodedWord(raw []byte) []byte {
	word := pick(m, "=?utf-8?q?caf=C3=A9.pdf?=", "=?utf-8?b?Y2Fmw6kucGRm?=", "=?UTF-8?Q?a?= =?UTF-8?Q?b.pdf?=", "=?utf-8?b?Y2Fmw?= =?utf-8?b?6kucGRm?=", "=?iso-8859-1?q?caf=E9?= x.pdf",
		"=?utf-8?q?caf=C3?= =?utf-8?q?=A9.pdf?=", "=?utf-8?b?Y2Fmw6kucGRm", "=?utf-8?q?a b.pdf?=", "a=?utf-8?q?b?=c.pdf", "=?x-none?q?a.pdf?=", "=?utf-8?q?a=ZZ.pdf?=", "=?utf-8?b?YQ?=.pdf",
		"=?gb2312?b?1tDOxA==?=.doc", "=?iso-2022-jp?b?GyRCJDMbKEI=?=.txt", "=?utf-8*en?q?a.pdf?=", "=?us-ascii?q?caf=E9?=.pdf", "=?utf-8?q?=00a.pdf?=", "=?utf-8?q?..=2Fa.pdf?=",
		"=?utf-8?q?a?==?utf-8?q?b.pdf?=", "=?utf-8?x?a?=.pdf", "=?windows-1252?q?=93a=94.pdf?=", "=?utf-8?q?=E2=80=AEa.pdf?=", "=?utf-8?q?a;b.pdf?=", "=?utf-8?q?a=22b.pdf?=", "=?utf-8?q?_a_.pdf?=")
	if m.rnd.IntN(4) == 0 {
		return m.toTop(raw, "X-Note: "+word+"\r\n")
	}
	return m.setName(raw, pick(m, `"`+word+`"`, word, `"x `+word+`"`, `"`+strings.ReplaceAll(word, " ", "\r\n ")+`"`))
}

// setName gives some part a file name, in the one field or the other.
func (m *mutator) setName(raw []byte, value string) []byte {
	at, name, old, ok := m.field(raw, mimeField)
	if !ok || strings.Contains(strings.ToLower(name), "encoding") {
		return raw
	}
	key := "name"
	if strings.Contains(strings.ToLower(name), "disposition") {
		key = "filename"
	}
	if p := regexp.MustCompile(`(?i);[ \t\r\n]*(?:file)?name\*?[0-9]*\*?[ \t]*=[ \t]*("[^"]*"|[^;\s]*)`).FindStringIndex(old); p != nil {
		old = old[:p[0]] + old[p[1]:]
	}
	switch m.rnd.IntN(4) {
	case 0:
		return replace(raw, at, name+":"+old+"; "+key+"="+value+"\r\nContent-Disposition: attachment; filename="+value+"\r\n")
	case 1:
		return replace(raw, at, name+":"+old+"; "+key+"="+value+"\r\nContent-Disposition: inline\r\n")
	}
	return replace(raw, at, name+":"+old+"; "+key+"="+value+"\r\n")
}

func (m *mutator) fileName(raw []byte) []byte {
	return m.setName(raw, pick(m, "a.pdf", `"a b.pdf"`, "a b.pdf", `"a;b.pdf"`, "a;b.pdf", `"a\"b.pdf"`, `"C:\dir\a.pdf"`, `C:\dir\a.pdf`, `"../a.pdf"`, `"caf`+"\xe9"+`.pdf"`, `"caf`+"\xc3\xa9"+`.pdf"`,
		`"a.pdf`, `a.pdf"`, `'a.pdf'`, `""`, ``, `"  a.pdf  "`, `"a  b.pdf"`, `"a`+"\t"+`b.pdf"`, "Invoice(1).pdf", `"Invoice (1).pdf"`, "a.pdf (note)", `"a%20b.pdf"`, `"a.pdf"; filename=b.exe`,
		`"a.pdf"; filename*=utf-8''b.exe`, `"a.pdf"; filename*=utf-8''a.pdf`, `"a.pdf"; name="b.exe"`, "a.pdf; filename*0=b; filename*1=.exe", `"a,b.pdf"`, "a,b.pdf", "a=b.pdf", `"a=b.pdf"`, "[a].pdf", `"a@b.pdf"`, "a@b.pdf",
		`"a`+"\x01"+`b.pdf"`, `"`+strings.Repeat("long", 80)+`.pdf"`, `"a.pdf."`, `"a.pdf "`, `"CON"`, `"a\\b.pdf"`, `"a\b.pdf"`, "a<b>.pdf", `"a/b.pdf"`, "a/b.pdf", `"\a.pdf"`, "`a`.pdf", `"a.pdf" x`, `"a".pdf`, `"a" "b.pdf"`, `"=?="`, `"a&#x2f;b.pdf"`, `"{a}.pdf"`))
}

func (m *mutator) charset(raw []byte) []byte {
	label := pick(m, "utf-8", "UTF8", "utf_8", "us-ascii", "ascii", "iso-8859-1", "ISO8859-1", "latin1", "iso-8859-15", "windows-1252", "cp1252", "windows-1251", "koi8-r", "gb2312", "gbk", "gb18030", "big5", "shift_jis",
		"shift-jis", "cp932", "iso-2022-jp", "euc-jp", "euc-kr", "ks_c_5601-1987", "iso-2022-kr", "utf-7", "utf-16", "utf-16le", "utf-16be", "utf-32", "x-none", "unknown-8bit", "iso-8859-8-i", "iso-8859-8", "macintosh", "x-mac-roman",
		"binary", "default", `"utf-8"`, "'utf-8'", "utf-8; charset=iso-8859-1", "", `""`, "=?utf-8?q?utf-8?=", "utf-8 ", "ansi_x3.4-1968", "cp850", "ibm437", "hz-gb-2312", "iso-8859-9", "iso-8859-11", "tis-620", "windows-874", "cp1250", "UTF-8\\",
		"unicode-1-1-utf-7", "ucs-2", "iso-ir-100", "csISO2022JP", "windows-31j", "utf-8-sig", "cesu-8", "rot13", "idna", "punycode", "hex", "base64", "iso-8859-6", "iso-8859-7", "iso-8859-16", "x-user-defined", "replacement", "big5-hkscs", "euc-tw")
	re := regexp.MustCompile(`(?i)charset[ \t]*=[ \t]*("[^"\r\n]*"|[^;\s"]+)`)
	if at, ok := m.one(raw, re); ok {
		return replace(raw, at, "charset="+label)
	}
	if at, ok := m.one(raw, typeField); ok {
		return insert(raw, at.end-2, "; charset="+label)
	}
	return m.toTop(raw, "Content-Type: text/plain; charset="+label+"\r\n")
}

func (m *mutator) mediaType(raw []byte) []byte {
	kind := pick(m, "text/plain", "TEXT/PLAIN", "Text/Html", "text/html; charset=utf-8", "text", "text/", "/plain", "", "plain", "text/plain/x", "application/octet-stream", "application/pdf", "image/jpeg", "message/rfc822", "message/global",
		"message/delivery-status", "message/disposition-notification", "message/x-other", "message/partial; id=a; number=1; total=1", "multipart/mixed", "multipart/mixed; boundary=zz", "multipart/alternative; boundary=zz",
		"multipart/digest; boundary=zz", "multipart/", "multipart", "multi part/mixed", "text/plain; format=flowed", "text/plain; format=flowed; delsp=yes", `"text/plain"`, "text / plain", "text/plain charset=utf-8", "text/plain, text/html",
		"text/plain; charset", "text/csv; charset=iso-8859-1", "text/calendar; method=REQUEST", "text/x-unknown", "x-y/z", "application/ms-tnef", "text\\plain", "text/plain;;", "=?utf-8?q?text/html?=", "text/html\r\n ", "application/x; name=a.html",
		"unknown/unknown", "text/rfc822-headers", "text/enriched", "text/html;", "(x)text/html", "text/(x)html", "tex\u00e9/plain", "text/plain \t; charset=utf-8", "content/unknown", "model/x", "example/x", "message/news", "multipart/signed; boundary=zz")
	at, name, value, ok := m.field(raw, typeField)
	switch {
	case !ok:
		return m.toTop(raw, "Content-Type: "+kind+"\r\n")
	case m.rnd.IntN(8) == 0:
		return replace(raw, at, "")
	case m.rnd.IntN(2) == 0: // the parameters stay
		_, params, found := strings.Cut(value, ";")
		main, _, _ := strings.Cut(kind, ";")
		if found {
			return replace(raw, at, name+": "+main+";"+params+"\r\n")
		}
	case m.rnd.IntN(3) == 0:
		return bytes.Replace(raw, []byte(value), []byte(strings.NewReplacer("mixed", "digest", "alternative", "mixed", "related", "alternative").Replace(value)), 1)
	}
	return replace(raw, at, name+": "+kind+"\r\n")
}

// wrap makes the body a part of something else, or puts another message into it.
func (m *mutator) wrap(raw []byte) []byte {
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		return raw
	}
	var top, own []byte
	for _, at := range regexp.MustCompile(`(?m)^[^ \t\r\n][^\r\n]*(?:\r\n[ \t][^\r\n]*)*(?:\r\n|$)`).FindAllIndex(head, 1000) {
		f := slices.Concat(bytes.TrimSuffix(head[at[0]:at[1]], []byte("\r\n")), []byte("\r\n"))
		if bytes.HasPrefix(bytes.ToLower(f), []byte("content-")) {
			own = append(own, f...)
		} else {
			top = append(top, f...)
		}
	}
	seed := m.seeds[m.rnd.IntN(len(m.seeds))]
	inner := pick(m, string(own)+"\r\n"+string(body), "Content-Type: message/rfc822\r\n\r\n"+string(seed), "Content-Type: message/rfc822\r\nContent-Disposition: "+
		pick(m, "inline", "attachment", "attachment; filename=mail.eml", "inline; filename=a.eml")+"\r\n\r\n"+string(seed),
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "+pick(m, "7bit", "8bit", "binary", "base64", "quoted-printable")+"\r\n\r\n"+string(seed),
		"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n"+string(seed),
		"Content-Type: message/rfc822\r\n\r\n\r\nno header here\r\n", "Content-Type: message/rfc822\r\n\r\n", "Content-Type: message/rfc822\r\n\r\nnot a header\r\n")
	kind := pick(m, "mixed", "mixed", "alternative", "related", "digest", "report", "parallel", "x-other", "form-data", "appledouble")
	out := string(top) + "Content-Type: multipart/" + kind + "; boundary=wrapped\r\n\r\n--wrapped\r\n" + inner
	if m.rnd.IntN(2) == 0 {
		out += "\r\n--wrapped\r\nContent-Type: text/plain\r\n\r\nmore\r\n"
	}
	if kind == "digest" && m.rnd.IntN(2) == 0 {
		out += "\r\n--wrapped\r\n\r\nSubject: inner\r\n\r\ntext of it\r\n"
	}
	return []byte(out + "\r\n--wrapped--\r\n")
}

// headerLine puts a line that is no field, or an odd one, into some header.
func (m *mutator) headerLine(raw []byte) []byte {
	line := pick(m, "nonsense", " folded", "\tfolded", " ", "\t", "X-A : b", "Content-Type : text/html", ": x", "From someone Mon Jan  1 00:00:00 2024", ">From x", "X-A:", "X-A", "x\x01y: z", "X A: b", "caf\xe9: x", "\u00a0X: y", "MIME-Version: 2.0",
		"MIME-Version: 1.0 (note)", "Content-Description: =?utf-8?q?x?=", "Content-Base: http://example.org/", "Content-Length: 5", "Lines: 3", "X-Long: "+strings.Repeat("x", 1200), "Content-ID: <a@example.org>", "Content-Language: en", "Content-MD5: x",
		"content-type:text/html", "Content-Type:", "Content-Type: ", "Content-Transfer-Encoding", "Content-Disposition: attachment", "Content-Disposition: inline", "Content-Disposition: form-data; name=x", "Content-Disposition: x-other; filename=a.txt",
		"Content-Disposition: attachment; filename", "Content-Disposition:", "Content-Disposition: ATTACHMENT; FILENAME=A.TXT", "Content-Disposition: filename=a.txt", `Content-Disposition: "attachment"; filename=a.txt`)
	at, ok := m.one(raw, blankLine)
	if m.rnd.IntN(2) == 0 {
		var d span
		if d, ok = m.one(raw, delimLine); ok { // first in the header of a part
			return insert(raw, d.end, line+"\r\n")
		}
	}
	if m.rnd.IntN(4) == 0 {
		at, ok = span{bytes.Index(raw, []byte("\r\n\r\n")), 0}, true
	}
	if !ok || at.start < 0 {
		return raw
	}
	return insert(raw, at.start+2, line+"\r\n")
}

func (m *mutator) bytes(raw []byte) []byte {
	for range 1 + m.rnd.IntN(4) {
		if len(raw) < 2 {
			return raw
		}
		i := m.rnd.IntN(len(raw))
		switch m.rnd.IntN(5) {
		case 0:
			c := byte(m.rnd.IntN(256))
			if c == '\r' || c == '\n' {
				continue // a bare one is refused at once
			}
			raw = insert(raw, i, string([]byte{c}))
		case 1:
			if raw[i] != '\r' && raw[i] != '\n' {
				raw[i] ^= 1 << m.rnd.IntN(8)
				if raw[i] == '\r' || raw[i] == '\n' {
					raw[i] = 'x'
				}
			}
		case 2:
			if raw[i] != '\r' && raw[i] != '\n' {
				raw = slices.Delete(raw, i, i+1)
			}
		case 3:
			raw = insert(raw, i, pick(m, "\x00", "\xe9", "\xc3\xa9", "\xff", "\x1b$B", "\x0c", "\xef\xbb\xbf", "\x80", "\xc0\xae", "\xed\xa0\x80", "\x1b(B", "~{", "\x0e"))
		case 4:
			raw = insert(raw, i, pick(m, " ", "\t", ";", "\"", "=", "--", ":", "(", "\\", "?=", "=?", "%", "*"))
		}
	}
	// A change between CR and LF makes a bare one.
	return bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
}

// splice joins the beginning of one message to the end of another.
func (m *mutator) splice(raw []byte) []byte {
	other := m.seeds[m.rnd.IntN(len(m.seeds))]
	return slices.Concat(raw[:m.lineStart(raw)], other[m.lineStart(other):])
}

// lines moves, repeats or drops whole lines.
func (m *mutator) lines(raw []byte) []byte {
	a, b := m.lineStart(raw), m.lineStart(raw)
	a, b = min(a, b), max(a, b)
	switch m.rnd.IntN(4) {
	case 0:
		return slices.Concat(raw[:a], raw[b:])
	case 1:
		return slices.Concat(raw[:b], raw[a:b], raw[b:])
	case 2:
		return insert(raw, a, pick(m, "\r\n", "\r\n\r\n", "--\r\n", "-- \r\n", "begin 644 a.txt\r\n", ".\r\n", "From x\r\n", strings.Repeat("x", 1500)+"\r\n"))
	}
	return raw[:b]
}
