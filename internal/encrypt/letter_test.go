package encrypt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// shape writes blocks down as a test reads them.
func shape(blocks []Block) string {
	var s strings.Builder
	for _, b := range blocks {
		switch b.Kind {
		case Heading:
			fmt.Fprintf(&s, "h%d ", b.Level)
		case ListItem:
			fmt.Fprintf(&s, "%d%s ", b.Level, b.Marker)
		case Quote:
			s.WriteString(strings.Repeat(">", b.Level) + " ")
		}
		for _, span := range b.Spans {
			text := strings.ReplaceAll(span.Text, "\n", `\n`)
			if span.Bold {
				text = "*" + text + "*"
			}
			if span.Italic {
				text = "/" + text + "/"
			}
			if span.Link != "" {
				text = "[" + text + "](" + span.Link + ")"
			}
			s.WriteString(text)
		}
		s.WriteByte('\n')
	}
	return strings.TrimSuffix(s.String(), "\n")
}

func TestFromText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{" \r\n\t\r\n", ""},
		{"One\r\nTwo\r\n\r\nThree", `One\nTwo` + "\nThree"},
		{"> a\n> b\n>> c\nd", `> a\nb` + "\n>> c\nd"},
		{"See https://example.org/a?b=c, and http://example.org.", "See [https://example.org/a?b=c](https://example.org/a?b=c), and [http://example.org](http://example.org)."},
		{"http:// and https://.", "http:// and https://."},
		{"bad \xff\x00\x07 bytes\tand tab", "bad \ufffd bytes and tab"},
	} {
		if got := shape(FromText(c.in)); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.in, got, c.want)
		}
	}
}

func TestFromHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain &amp; simple", "plain & simple"},
		{"<h2>Our <i>plan</i></h2><p>One<br>two</p>three", "h2 Our /plan/\n" + `One\ntwo` + "\nthree"},
		{"<p>a\n  b <b>c </b> d", "a b *c* d"},
		{"<ul><li>x<li>y<ol start=3><li>z<p>more</p></ol></ul>w", "1• x\n1• y\n23. z\n2 more\nw"},
		{"<blockquote>q<blockquote><p>r</p></blockquote></blockquote>s", "> q\n>> r\ns"},
		{"<table><tr><th>Day<th>Time</tr><tr><td>Mon</td><td> </td><td>10</td></tr></table>", "*Day* | *Time*\nMon | 10"},
		{"<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\nb\nc"},
		{`<a href="https://example.org/x">here</a> <a href="javascript:x()">there</a> <a href="file:///etc">y</a>`, "[here](https://example.org/x) there y"},
		{`a<span style="display:none">HIDDEN<p>HIDDEN</span>HIDDEN</p></span>b`, "ab"},
		{`a<div style="DISPLAY : none !important">HIDDEN<br></div>b`, "ab"},
		{`<td style="font-size:0"><div style="font-size:0">X<span style="font-size:14px">seen</span></div></td>`, "seen"},
		{`<div style="visibility:hidden">X<i style="visibility:visible">seen</i></div>`, "/seen/"},
		{`<div style="max-height:0;overflow:hidden">X</div><div style="max-height:0.5em;overflow:hidden">seen</div>`, "seen"},
		{`<p hidden>X<p>seen`, "seen"},
		{`<script>x</script><style>y</style><title>t</title><!-- c --><!--[if mso]>X<![endif]-->seen<noscript> too</noscript>`, "seen too"},
		{`<img src="https://example.org/a.png" alt="a tree"><img src=cid:1>text<svg><title>X</title><g/><text>X</text></svg>.`, "[a tree] text."},
		{"<pre>\na\n  b\n</pre>c", `a\n  b` + "\nc"},
		{"<b><p>x</b>y</p>z", "*x*y\nz"},
		{"<p><b>x<p>y</b>z", "*x*\nyz"},
		{"a\u00a0b\u200dc\u202e", "a\u00a0b\u200dc\u202e"},
		{"<p>a<div></div>b</p>c", "a\nb\nc"},
		{"x<td>y</td><li>z", "xy\n1• z"},
	} {
		got, err := FromHTML(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if shape(got) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.in, shape(got), c.want)
		}
	}
}

func TestPagesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want Reason
	}{
		"deep":             {strings.Repeat("<div>", maxOpen+1), TooCostly},
		"large":            {strings.Repeat("x", maxHTML+1), TooLarge},
		"hidden style":     {`<p><b style="display:none">x<p>y`, Damaged},
		"hidden and ended": {`<b hidden><p>x</b>y`, Damaged},
	} {
		if blocks, err := FromHTML(c.in); !errors.Is(err, c.want) || blocks != nil {
			t.Errorf("%s: %v %v", name, shape(blocks), err)
		}
	}
}
