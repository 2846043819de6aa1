package policy

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// What looks like client data. Policy files can lie in git, be printed and be sent around:
// they hold rules and codes, never people.
var (
	addressLike = regexp.MustCompile(`[^\s@<>()\[\]{},;:"']+@[^\s@<>()\[\]{},;:"']+\.[^\s@<>()\[\]{},;:"'.]+`)
	phoneLike   = regexp.MustCompile(`(?:\+|\b)\d[\d ()/.-]{6,}\d`)
	dateLike    = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}([ T-]\d{1,2}.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})$`)
)

// findClientData reports what looks like a client's address or number outside the places
// where such things belong. In tests only reserved ones are allowed, which nobody can own.
func (d *document) findClientData() {
	inTests := strings.HasPrefix(d.name, "tests/")
	if d.root.ok() {
		d.scanNode(d.root.n, inTests)
		return
	}
	if strings.HasPrefix(d.name, "words/") || strings.HasSuffix(d.name, ".eml") {
		for i, line := range d.lines {
			for _, hit := range clientData(line) {
				if !inTests || !d.l.reserved(hit) {
					d.foundClientData(i+1, column(line, hit), hit, inTests)
				}
			}
		}
	}
}

func (d *document) scanNode(n *yaml.Node, inTests bool) {
	for _, comment := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for _, hit := range clientData(comment) {
			if inTests && d.l.reserved(hit) {
				continue
			}
			i := slices.IndexFunc(d.lines, func(s string) bool { return strings.Contains(s, "#") && strings.Contains(s, hit) })
			if i < 0 {
				i = max(0, n.Line-1)
			}
			d.foundClientData(i+1, column(d.line(i+1), hit), hit, inTests)
		}
	}
	if d.free[n] {
		return
	}
	if n.Kind == yaml.ScalarNode {
		for _, hit := range clientData(n.Value) {
			if inTests && d.l.reserved(hit) {
				continue
			}
			line, col := n.Line, n.Column
			if c := column(d.line(line), hit); c > 1 {
				col = c
			}
			d.foundClientData(line, col, hit, inTests)
		}
	}
	for _, c := range n.Content {
		d.scanNode(c, inTests)
	}
}

// column returns where s stands in the line, in characters from 1; 1 if it does not.
func column(line, s string) int {
	i := strings.Index(line, s)
	if i < 0 {
		return 1
	}
	return utf8.RuneCountInString(line[:i]) + 1
}

func (d *document) foundClientData(line, col int, hit string, inTests bool) {
	what := "number"
	if strings.Contains(hit, "@") {
		what = "address"
	}
	width := utf8.RuneCountInString(hit)
	if inTests {
		fix := "write an address at example.org, or the id of a person"
		if what == "number" {
			fix = "write a number that nobody has: 07700 900000 to 07700 900999"
		}
		d.report(codeRealInTest, line, col, width, quote(hit)+" could be somebody's real "+what+", and tests are only for invented people", fix)
		return
	}
	fix := "put it in the register; where it must be said who is meant, a comment can give the code"
	if d.name == fileMail {
		fix = "take it out: rules name colleagues by id (sender: maya) and clients not at all; a comment can give a client's code"
	}
	if d.name == fileTemplates && what == "number" {
		fix = "the practice's own number is ((phone)), which stands in contacts of organisation.yaml"
	}
	d.report(codeClientData, line, col, width, quote(hit)+" looks like a client's "+what+"; policy files hold rules only", fix)
}

// clientData returns what looks like an address or a phone number in a text.
func clientData(s string) []string {
	var out []string
	if strings.ContainsRune(s, '@') {
		out = addressLike.FindAllString(s, 16)
	}
	for _, hit := range phoneLike.FindAllString(s, 16) {
		if n := len(digits(hit)); n < 8 || n > 15 || dateLike.MatchString(hit) || (n == 8 && hit[0] != '0' && hit[0] != '+') {
			continue
		}
		out = append(out, hit)
	}
	return out
}

// reserved reports whether an address or a number can belong to nobody (RFC 2606, RFC 6761;
// for numbers Ofcom's range for drama), or is the practice's or a contact's by the policies.
func (l *loader) reserved(hit string) bool {
	_, domain, isAddress := strings.Cut(hit, "@")
	if !isAddress {
		if l.s.Org.Phone != "" && filter.SamePhone(hit, l.s.Org.Phone) {
			return true
		}
		n := strings.TrimPrefix(digits(hit), "44")
		return len(strings.TrimPrefix(n, "0")) == 10 && strings.HasPrefix(strings.TrimPrefix(n, "0"), "7700900")
	}
	domain = strings.ToLower(strings.TrimRight(domain, "."))
	for _, r := range []string{"example", "test", "invalid", "localhost", "example.com", "example.net", "example.org"} {
		if domain == r || strings.HasSuffix(domain, "."+r) {
			return true
		}
	}
	a, err := mail.ParseAddress(hit)
	return err == nil && (l.s.own[a.Key()] || l.s.Clients.notClient[a.Key()])
}
