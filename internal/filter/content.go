package filter

import (
	"strings"

	"github.com/plaincover/plaincover/internal/mail"
)

// attachedTexts returns the readable text of attachments and forwarded messages, and the text
// inside attached files. The body itself, with its quotes, is left to NewText.
func attachedTexts(m *mail.Message) []string {
	var out []string
	var walk func(p *mail.Part, attached bool)
	walk = func(p *mail.Part, attached bool) {
		attached = attached || p.Disposition == "attachment" || p.Filename != "" || strings.HasPrefix(p.MediaType, "message/")
		if attached && p.Filename != "" {
			out = append(out, p.Filename)
		}
		if attached && p.Text != "" {
			out = append(out, readable(p))
		}
		out = append(out, p.Inside()...)
		for _, c := range p.Parts {
			walk(c, attached)
		}
	}
	if m.Root != nil {
		walk(m.Root, false)
	}
	return out
}

// readable returns a text leaf as a reader sees it. HTML that does not parse is read as
// source: a rule then sees more, never less.
func readable(p *mail.Part) string {
	if p.MediaType == "text/html" {
		if t, err := mail.VisibleText(p.Text); err == nil {
			return t
		}
	}
	return p.Text
}
