package mail

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Limits of HTML that we read: what is deeper no mail app writes, and x/net/html gives up too.
const maxHTMLDepth = 512

var errHTML = errors.New("mail: html cannot be read")

// htmlToken is one token of an HTML text by its byte range.
type htmlToken struct {
	kind       html.TokenType
	start, end int
	name       string
	attrs      []html.Attribute
}

// htmlTokens reads a text token by token. err is set when a part of the text belongs to no
// token: a tag or a comment that is not closed.
func htmlTokens(s string, yield func(htmlToken)) error {
	z := html.NewTokenizer(strings.NewReader(s))
	at := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if at < len(s) {
				return errHTML
			}
			return nil
		}
		raw := z.Raw()
		t := htmlToken{kind: kind, start: at, end: at + len(raw)}
		at = t.end
		switch kind {
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			t.name = string(name)
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				t.attrs = append(t.attrs, html.Attribute{Key: string(k), Val: string(v)})
			}
		case html.CommentToken:
			if !strings.HasSuffix(s[t.start:t.end], ">") {
				yield(t)
				return errHTML
			}
		}
		yield(t)
	}
}

func (t *htmlToken) attr(key string) string {
	for _, a := range t.attrs {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// has reports whether the attribute is there, with any value.
func (t *htmlToken) has(key string) bool {
	for _, a := range t.attrs {
		if a.Key == key {
			return true
		}
	}
	return false
}

const (
	voidElements = " area base br col embed hr img input link meta param source track wbr "
	// What these hold is not shown as text.
	unseenElements = " script style title template noscript noembed noframes iframe object textarea select "
	rawElements    = " script style title textarea iframe noembed noframes noscript xmp plaintext "
	// An end tag of these ends them alone, whatever stands in them (the adoption agency of the HTML standard).
	formatElements = " a b big code em font i nobr s small strike strong tt u "
	// No end tag from inside one of these ends what stands around it, but those of tables.
	scopeElements = " td th caption table object template "
	tableElements = " td th tr tbody thead tfoot table caption body html "
	blockElements = " address article aside blockquote body br caption center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre section table tbody td tfoot th thead tr ul "
)

func inSet(set, name string) bool {
	return name != "" && len(name) < 20 && strings.Contains(set, " "+name+" ")
}

// isHiddenTag reports an element that mail apps do not show.
func isHiddenTag(t *htmlToken) bool {
	if t.has("hidden") {
		return true
	}
	style := strings.ToLower(strings.Join(strings.Fields(t.attr("style")), ""))
	for _, h := range []string{"display:none", "visibility:hidden", "mso-hide:all", "font-size:0", "opacity:0;", "max-height:0"} {
		if i := strings.Index(style, h); i >= 0 {
			rest := style[i+len(h):]
			if strings.HasPrefix(rest, ".") && strings.HasSuffix(h, "0") {
				continue // 0.9em
			}
			return true
		}
	}
	return false
}

// VisibleText returns the text that a reader of the HTML sees, one line a block. On an error
// the text is what could be read.
func VisibleText(s string) (string, error) {
	h, err := readHTML(s)
	return h.visible.String(), err
}

// shownText returns the text that is shown by the tree that a browser builds, without white
// space, and without what stands under elements that hide it.
func shownText(doc string) (string, error) {
	return treeText(doc, func(*htmlToken) bool { return false })
}

// ownText is the shown text where a paragraph of ours could stand: not in a link, a table, a
// heading or a quote.
func ownText(doc string) (string, error) {
	return treeText(doc, func(t *htmlToken) bool {
		q := quoteTag(t)
		return inSet(tightElements, t.name) || q == quoteElem || q == quoteGroup
	})
}

func treeText(doc string, skip func(*htmlToken) bool) (string, error) {
	root, err := html.ParseWithOptions(strings.NewReader(doc), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	collectShown(root, skip, &b)
	return squeeze(b.String()), nil
}

func collectShown(n *html.Node, skip func(*htmlToken) bool, b *strings.Builder) {
	switch n.Type {
	case html.TextNode:
		b.WriteString(n.Data)
	case html.ElementNode:
		t := htmlToken{name: n.Data, attrs: n.Attr}
		if inSet(unseenElements, n.Data) && n.Data != "noscript" || isHiddenTag(&t) || n.Namespace != "" || skip(&t) {
			return
		}
		if inSet(blockElements, n.Data) {
			b.WriteByte('\n')
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		collectShown(c, skip, b)
	}
}

// squeeze removes all white space, so that wrapped and unwrapped texts compare equal.
func squeeze(s string) string {
	b := make([]byte, 0, len(s))
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] > ' ' && s[n] < utf8.RuneSelf { // surely none
			n++
		}
		b = append(b, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		c, size := rune(s[0]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(s)
		}
		if !unicode.IsSpace(c) {
			b = append(b, s[:size]...)
		}
		s = s[size:]
	}
	return string(b)
}
