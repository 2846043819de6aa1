package mail

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// What HTML makes a mail app fetch from the web when it shows the mail: one list, for the
// condition that asks for it and for the edit that takes it out.

// isFetched reports a target that a mail app fetches over a network. What comes with the mail
// (cid, mid, data) is none, nor is a target without a scheme: there is no page that it could be
// relative to.
func isFetched(target string) bool {
	t := targetStart(target)
	if strings.HasPrefix(t, "//") || strings.HasPrefix(t, "www.") {
		return true
	}
	scheme, _, ok := strings.Cut(t, ":")
	if !ok || len(scheme) < 2 || strings.ContainsAny(scheme, "/?#") { // C:\x.png is a file
		return false
	}
	switch scheme {
	case "data", "cid", "mid", "about", "mailto", "tel", "sms", "blob":
		return false
	}
	return true
}

// targetStart returns the start of a target in lower case, as browsers read it: without control
// characters and blanks before it, and without tabs and line ends anywhere in it (WHATWG URL,
// basic URL parser, steps 1 to 3).
func targetStart(target string) string {
	const most = 80
	var b strings.Builder
	for i := 0; i < len(target) && b.Len() < most; i++ {
		switch c := target[i]; {
		case c == '\t' || c == '\n' || c == '\r' || c <= ' ' && b.Len() == 0:
		case c == '\\':
			b.WriteByte('/')
		default:
			b.WriteByte(c)
		}
	}
	return strings.ToLower(b.String())
}

// isFetchedBy reports whether the element fetches something because of the target. A page or a
// style sheet in a data: target can fetch anything, where a picture cannot.
func isFetchedBy(t *htmlToken, target string) bool {
	return isFetched(target) || inSet(" object embed applet frame link ", t.name) && strings.HasPrefix(targetStart(target), "data:")
}

// fetchAttr reports whether a mail app fetches something because of the attribute.
func fetchAttr(t *htmlToken, a html.Attribute) bool {
	anyOf := func(sep string) bool {
		return slices.ContainsFunc(strings.Split(a.Val, sep), isFetched)
	}
	switch key := strings.TrimPrefix(a.Key, "xlink:"); key {
	case "src", "background", "poster", "data", "lowsrc", "dynsrc", "classid", "codebase", "archive", "manifest", "xml:base", "icon",
		"formaction", "action":
		return isFetchedBy(t, a.Val)
	case "srcset", "imagesrcset":
		return anyOf(",")
	case "ping":
		return slices.ContainsFunc(strings.Fields(a.Val), isFetched)
	case "to", "from", "by", "values": // of SVG's animations
		return (t.name == "set" || strings.HasPrefix(t.name, "animate")) && anyOf(";")
	case "href":
		return t.name != "a" && t.name != "area" && isFetchedBy(t, a.Val)
	case "srcdoc":
		return true
	case "content":
		return t.name == "meta" && strings.EqualFold(strings.TrimSpace(t.attr("http-equiv")), "refresh")
	case "style":
		return cssFetches(a.Val)
	default:
		return strings.HasPrefix(key, "on") && !isBlank(a.Val) || strings.Contains(a.Val, "(") && cssFetches(a.Val)
	}
}

const (
	// These go with all that they hold. The tokenizer reads that as raw text.
	codeElements = " script iframe "
	// Of these the tag goes, when it fetches, and not only the attribute.
	loadElements = " img embed object applet frame source track link base meta "
)

// fetchTag says what of a tag fetches: all of it, or some of its attributes.
func fetchTag(t *htmlToken) (all bool, attrs []int) {
	if t.name == "form" || inSet(codeElements, t.name) {
		return true, nil // a form sends what is typed into it
	}
	for i, a := range t.attrs {
		if fetchAttr(t, a) {
			attrs = append(attrs, i)
			all = all || inSet(loadElements, t.name) && (t.name != "img" || a.Key == "src" || a.Key == "lowsrc" || a.Key == "dynsrc")
		}
	}
	return all, attrs
}

// CSS: what is in a url() or its like, what is harmless there, and rules that import others.
// What is harmless holds no bracket, quote or star: no comment and no text that begins in it
// can end behind something that fetches.
var (
	cssSafe   = regexp.MustCompile(`(?i)(?:url|src)\(\s*(?:"(?:data|cid|mid):[^()*"'\\]*"|'(?:data|cid|mid):[^()*"'\\]*'|(?:data|cid|mid):[^()*"'\\]*|["']?#[^()*"'\\]*["']?)\s*\)`)
	cssCall   = regexp.MustCompile(`(?i)(?:url|src|image|image-set)\(\s*(?:"[^"]*"|'[^']*'|[^()"']*)\s*\)`)
	cssImport = regexp.MustCompile(`(?i)@import[^;{}]*;?`)
	unbroken  = strings.NewReplacer("\t", "", "\r", "", "\n", "") // as targets are read
)

// cssFetches reports a url() or an @import of the web in a style sheet. An escape could spell
// one, so it counts as one. So does any @import: what comes with the mail could import more.
func cssFetches(css string) bool {
	if !strings.ContainsAny(css, `/\:`) {
		return false
	}
	c := unbroken.Replace(strings.ToLower(css))
	if strings.Contains(c, "@import") {
		return true
	}
	if strings.Contains(c, "(") {
		c = cssSafe.ReplaceAllString(c, "")
	}
	web := strings.Contains(c, "//") || strings.Contains(c, "http") || strings.Contains(c, "ftp:") || strings.Contains(c, "file:")
	for _, call := range []string{"url(", "image-set(", "cross-fade(", "image(", "src(", "src="} {
		if strings.Contains(c, call) {
			return web || strings.Contains(c, `\`)
		}
	}
	return web && strings.Contains(c, `\`)
}

// cssCuts returns what is to be cut out of a style sheet that fetches, or all of it.
func cssCuts(css string) []match {
	var out []match
	for _, f := range cssImport.FindAllStringIndex(css, -1) {
		if cssFetches(css[f[0]:f[1]]) {
			out = append(out, match{start: f[0], end: f[1]})
		}
	}
	for _, f := range cssCall.FindAllStringIndex(css, -1) {
		if cssFetches(css[f[0]:f[1]]) {
			out = append(out, match{start: f[0], end: f[1], with: "none"})
		}
	}
	slices.SortFunc(out, func(a, b match) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	end := 0
	out = slices.DeleteFunc(out, func(m match) bool {
		inside := m.start < end
		end = max(end, m.end)
		return inside
	})
	if cssFetches(replaced(css, out)) {
		return []match{{start: 0, end: len(css)}}
	}
	return out
}

// fetches reports whether showing an HTML text fetches something. What cannot be read may
// fetch anything.
func fetches(text string) bool { return fetchesWithin(text, 2, false) }

// fetchesWithin looks into what may be read as HTML or not: comments for some mail apps, and
// elements whose content is markup to some. Nobody nests them deeply.
func fetchesWithin(text string, depth int, foreign bool) bool {
	found := false
	err := eachFetch(text, depth, foreign, func(htmlToken, []int) { found = true }, func(in inside) {
		switch s := text[in.from:in.to]; {
		case in.whole:
			found = true
		case in.css:
			found = found || cssFetches(s)
		default:
			found = found || fetchesWithin(s, depth-1, in.foreign)
		}
	})
	return found || err != nil
}

// inside is a stretch of a token that must be looked into: a style sheet, or what may be HTML.
// foreign says that SVG or MathML came before it, where raw text is markup.
type inside struct {
	token    htmlToken
	from, to int
	css      bool
	whole    bool // it cannot be looked into, and goes
	foreign  bool
}

// eachFetch reads an HTML text, and calls tag for each tag that fetches, with the attributes
// because of which it does, or none if all of it must go; code comes with its end tag. It calls
// inner for each stretch that must be looked into.
func eachFetch(text string, depth int, foreign bool, tag func(t htmlToken, attrs []int), inner func(inside)) error {
	if depth <= 0 {
		if strings.ContainsAny(text, "<") {
			return errHTML
		}
		return nil
	}
	raw := ""
	var code htmlToken // the element that is code and not ended yet
	err := htmlTokens(text, func(t htmlToken) {
		switch t.kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			if all, attrs := fetchTag(&t); all || len(attrs) > 0 {
				switch {
				case inSet(codeElements, t.name):
					code = t
				case all:
					tag(t, nil)
				default:
					tag(t, attrs)
				}
			}
			foreign = foreign || t.name == "svg" || t.name == "math"
			if inSet(rawElements, t.name) {
				raw = t.name
			}
		case html.EndTagToken:
			if t.name != raw {
				return
			}
			if raw = ""; inSet(codeElements, t.name) {
				code.end = t.end
				tag(code, nil)
			}
		case html.TextToken:
			switch {
			case raw == "style" && foreign && strings.ContainsAny(text[t.start:t.end], "<&"):
				inner(inside{token: t, from: t.start, to: t.end, whole: true}) // markup there, in pieces
				return
			case raw == "style":
				inner(inside{token: t, from: t.start, to: t.end, css: true, foreign: foreign})
			case raw == "noscript", raw == "noembed", raw == "noframes":
				inner(inside{token: t, from: t.start, to: t.end, foreign: foreign})
			}
			// In SVG these hold markup, and everywhere else text.
			if raw != "" && foreign && strings.Contains(text[t.start:t.end], "<") {
				inner(inside{token: t, from: t.start, to: t.end, foreign: foreign})
			}
		case html.CommentToken:
			if from, to := conditional(text, t); from < to {
				inner(inside{token: t, from: from, to: to, foreign: foreign})
			}
		}
	})
	if err == nil && inSet(codeElements, raw) {
		return errHTML // what follows is code to some readers
	}
	return err
}

// conditional returns what stands in a comment that Outlook reads as if it were none.
func conditional(text string, t htmlToken) (from, to int) {
	s := text[t.start:t.end]
	n := strings.Index(s, "]>")
	if len(s) < 8 || !strings.EqualFold(s[:7], "<!--[if") || n < 0 {
		return 0, 0
	}
	end := len(s)
	for _, suffix := range []string{"-->", "<![endif]", "<!"} {
		if n+2 <= end && strings.HasSuffix(strings.ToLower(s[n+2:end]), suffix) {
			end -= len(suffix)
		}
	}
	return t.start + n + 2, t.start + end
}

// withoutRemote takes out of an HTML text whatever a mail app would fetch from the web, code
// and forms, and nothing else. Of a picture its alternative text stays. It fails when it
// cannot be sure that nothing is left.
func withoutRemote(text string) (string, error) {
	out, err := cutRemote(text, 2, false)
	if err != nil || fetches(out) {
		return "", errHTML
	}
	// A second opinion: the tree that a browser builds.
	root, err := html.ParseWithOptions(strings.NewReader(out), html.ParseOptionEnableScripting(false))
	if err != nil || treeFetches(root) {
		return "", errHTML
	}
	return out, nil
}

func cutRemote(text string, depth int, foreign bool) (string, error) {
	var all []change
	var failed error
	err := eachFetch(text, depth, foreign, func(t htmlToken, attrs []int) {
		switch {
		case attrs == nil:
			alt, ok := altOf(text, &t)
			if !ok {
				failed = errHTML
			}
			all = append(all, change{t.start, t.end, alt})
		default:
			cuts, ok := cutAttrs(text, &t, attrs)
			if !ok {
				failed = errHTML
			}
			all = append(all, cuts...)
		}
	}, func(in inside) {
		old := text[in.from:in.to]
		if in.whole {
			all = append(all, change{in.from, in.to, ""})
			return
		}
		if in.css {
			for _, m := range cssCuts(old) {
				all = append(all, change{in.from + m.start, in.from + m.end, m.with})
			}
			return
		}
		cut, err := cutRemote(old, depth-1, in.foreign)
		switch {
		case err == nil && cut != old:
			all = append(all, change{in.from, in.to, cut})
		case err != nil && in.token.kind == html.CommentToken:
			all = append(all, change{in.token.start, in.token.end, ""})
		case err != nil:
			failed = err
		}
	})
	if err != nil || failed != nil {
		return "", errHTML
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.start, b.start) })
	return applyChanges(text, all), nil
}

// altOf returns the alternative text of a picture as it stands in the source.
func altOf(text string, t *htmlToken) (string, bool) {
	i := slices.IndexFunc(t.attrs, func(a html.Attribute) bool { return a.Key == "alt" })
	if t.name != "img" || i < 0 || isBlank(t.attrs[i].Val) {
		return "", true
	}
	spans, ok := attrSpans(text, t)
	if !ok {
		return "", false
	}
	return strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(text[spans[i].valueStart:spans[i].valueEnd]), true
}

// cutAttrs takes attributes out of a tag; of a style only what fetches, where that can be done.
func cutAttrs(text string, t *htmlToken, attrs []int) ([]change, bool) {
	spans, ok := attrSpans(text, t)
	if !ok {
		return nil, false
	}
	var out []change
	for _, i := range attrs {
		s := spans[i]
		if t.attrs[i].Key == "style" && !s.bare {
			var value shown
			value.add(text, s.valueStart, s.valueEnd)
			css := value.text.String()
			if cuts := cssCuts(css); css == t.attrs[i].Val && (len(cuts) != 1 || cuts[0].end-cuts[0].start < len(css)) {
				for _, m := range cuts {
					out = append(out, value.change(m.start, m.end, m.with)...)
				}
				continue
			}
		}
		out = append(out, change{s.start, s.end, ""})
	}
	return out, true
}

// treeFetches looks for the same in the tree that a browser builds.
func treeFetches(n *html.Node) bool {
	switch n.Type {
	case html.ElementNode:
		t := htmlToken{name: n.Data, attrs: n.Attr}
		if all, attrs := fetchTag(&t); all || len(attrs) > 0 {
			return true
		}
	case html.TextNode:
		if n.Parent != nil && n.Parent.Data == "style" && cssFetches(n.Data) {
			return true
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if treeFetches(c) {
			return true
		}
	}
	return false
}
