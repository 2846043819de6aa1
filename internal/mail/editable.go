package mail

import "strings"

// Editable says whether an edit can be made in every form of the text of a message.
type Editable uint8

// The answers, from harmless to not.
const (
	NothingToEdit Editable = iota
	CanEdit                // an alternative in HTML may have to be left out for its text form
	NothingLeft            // there would be no text of the writer's own
	CannotEdit             // not safely
)

// CanRemoveRemote says whether what the message would fetch from the web can be taken out.
func (m *Message) CanRemoveRemote() Editable {
	out := NothingToEdit
	m.textBodies(func(p *Part) {
		if p.MediaType != "text/html" || !fetches(p.Text) {
			return
		}
		_, err := withoutRemote(p.Text)
		out = max(out, m.editable(p, err))
	})
	return out
}

// CanTrimQuotes says whether what the message quotes can be taken out, with something left.
func (m *Message) CanTrimQuotes() Editable {
	out, left := NothingToEdit, false
	m.textBodies(func(p *Part) {
		text, err := withoutQuotes(p.Text, p)
		if err == nil && p.MediaType == "text/html" {
			text, _ = VisibleText(text)
		}
		left = left || err == nil && !isBlank(text)
		if err != nil || len(text) != len(p.Text) && p.MediaType != "text/html" || p.MediaType == "text/html" && quotes(p.Text) {
			out = max(out, m.editable(p, err))
		}
	})
	if out == CanEdit && !left {
		return NothingLeft
	}
	return out
}

// quotes reports whether an HTML text quotes another message.
func quotes(text string) bool {
	spans, err := quotedHTML(text)
	return err != nil || len(spans) > 0
}

// withoutQuotes takes out of the text of a leaf what quotes another message.
func withoutQuotes(text string, p *Part) (string, error) {
	if p.MediaType != "text/html" {
		return newText(text, isFlowed(p)), nil
	}
	spans, err := quotedHTML(text)
	if err != nil {
		return "", err
	}
	return without(text, spans), nil
}

// editable says whether a leaf can be changed, with what went wrong when that was tried.
func (m *Message) editable(p *Part, err error) Editable {
	if err == nil && !p.cut && m.survives(p) || m.hasPlainForm(p) {
		return CanEdit
	}
	return CannotEdit
}

// textBodies calls yield for each leaf with a text of the message that is not sealed.
func (m *Message) textBodies(yield func(*Part)) {
	anyOwn(m.Root, func(p *Part) bool {
		if isTextBody(p) && !isSealed(p) && !m.inSealed(p) {
			yield(p)
		}
		return false
	})
}

// hasPlainForm reports whether an HTML leaf is an alternative of a plain text that says
// something, so that it can be left out.
func (m *Message) hasPlainForm(p *Part) bool {
	if p.MediaType != "text/html" || !p.alternative {
		return false
	}
	found := false
	var walk func(c *Part)
	walk = func(c *Part) {
		if c.MediaType == "multipart/alternative" && within(c, p) {
			plain := false
			for _, form := range c.Parts {
				plain = plain || !within(form, p) && anyOwn(form, func(x *Part) bool {
					return isTextBody(x) && x.MediaType == "text/plain" && !isBlank(x.Text)
				})
			}
			found = plain // of the innermost
		}
		for _, k := range c.Parts {
			walk(k)
		}
	}
	walk(m.Root)
	return found
}

// within reports whether a part is another one or stands inside of it.
func within(p, inner *Part) bool {
	return p == inner || strings.HasPrefix(inner.Path, p.Path+".")
}
