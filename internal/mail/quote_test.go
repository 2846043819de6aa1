package mail

import (
	"strings"
	"testing"
)

func TestQuotedHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"none":        {"<p>Hi</p>", "<p>Hi</p>"},
		"element":     {"<p>Hi</p><blockquote type=cite>old<br></blockquote><p>PS</p>", "<p>Hi</p><p>PS</p>"},
		"attribution": {"<div>Hi<br><div>On 2 Nov 2026, Anna wrote:</div></div><blockquote type=cite>old</blockquote>", "<div>Hi<br></div>"},
		"rest":        {"<body><div class=W><p>Hi</p><div><div id=divRplyFwdMsg>From: A</div></div><p>old</p></div></body>", "<body><div class=W><p>Hi</p><div></div></div></body>"},
		"fields":      {"<div><p>Hi</p><p><b>From:</b> A &lt;a@example.org&gt;<br><b>Sent:</b> 2 Nov<br><b>To:</b> M<br><b>Subject:</b> x</p><p>old</p></div>", "<div><p>Hi</p></div>"},
		"interleaved": {"<div>Hi</div><div class=gmail_quote><div class=gmail_attr>On 2 Nov 2026 A wrote:</div><blockquote class=gmail_quote>q1</blockquote><div>yes</div><blockquote class=gmail_quote>q2</blockquote></div>",
			"<div>Hi</div><div class=gmail_quote><div>yes</div></div>"},
		"forwarded": {"<div>Hi</div><div class=gmail_quote><div class=gmail_attr>---------- Forwarded message ---------<br>From: A</div><blockquote>q1</blockquote><div>old</div></div>", "<div>Hi</div>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, err := quotedHTML(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := without(c.in, q); got != c.want {
				t.Errorf("left is\n%s\nwant\n%s", got, c.want)
			}
			if h, _ := readHTML(c.in); strings.Contains(h.fresh.String(), "old") {
				t.Errorf("new text: %q", h.fresh.String())
			}
		})
	}
	for _, bad := range []string{"<b>Hi<blockquote type=cite>old</b> older</blockquote>", "<div>Hi<!-- x"} {
		if q, err := quotedHTML(bad); err == nil {
			t.Errorf("%s: %v", bad, q)
		}
	}
}
