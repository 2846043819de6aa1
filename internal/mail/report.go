package mail

import (
	"fmt"
	"io"
	"strings"
)

// WriteNotice writes a plain text mail of ours. fields are as in [Draft].
func WriteNotice(w io.Writer, id ID, fields []Field, paragraphs []string) error {
	m := &Message{Root: &Part{Path: "1"}}
	return m.emit(w, fields, noticeNode(paragraphs))
}

// noticeNode is a text part of paragraphs; a line end inside a paragraph stays.
func noticeNode(list []string) *node {
	var clean []string
	for _, s := range list {
		var lines []string
		for l := range strings.SplitSeq(s, "\n") {
			lines = append(lines, strings.TrimRight(cleanHeaderText(strings.TrimSuffix(l, "\r")), " \t"))
		}
		clean = append(clean, strings.Join(lines, "\r\n"))
	}
	return textNode(clean)
}

// Report is a delivery status notification (RFC 3464).
type Report struct {
	Text         []string // paragraphs for people
	ReportingMTA string   // our host name
	Original     []Field  // of the returned header only Date and Message-ID are written
	Recipients   []ReportRecipient
}

// ReportRecipient is what became of one recipient.
type ReportRecipient struct {
	Address    Address
	Status     string // "5.1.1"
	Action     string // failed or delayed
	Diagnostic string // the other server's reply; may be empty
}

// WriteReport writes a delivery status notification. fields are as in [Draft].
func WriteReport(w io.Writer, id ID, fields []Field, r Report) error {
	m := &Message{Root: &Part{Path: "1"}}
	status, err := statusBody(r)
	if err != nil {
		return err
	}
	returned, err := returnedHeader(r.Original)
	if err != nil {
		return err
	}
	root := multipartNode("multipart/report", []Field{{"report-type", "delivery-status"}}, []*node{
		noticeNode(r.Text),
		{body: status, encoding: enc7bit, fields: []Field{{"Content-Type", "message/delivery-status"}, {"Content-Transfer-Encoding", enc7bit}}},
		{body: returned, encoding: enc7bit, fields: []Field{{"Content-Type", "text/rfc822-headers; charset=us-ascii"}, {"Content-Transfer-Encoding", enc7bit}}},
	})
	b := &builder{m: m, d: &Draft{ID: id}}
	if err := b.boundaries(root, "0"); err != nil {
		return err
	}
	return m.emit(w, fields, root)
}

func statusBody(r Report) ([]byte, error) {
	var b strings.Builder
	if err := fold(&b, "Reporting-MTA", "dns; "+statusText(r.ReportingMTA)); err != nil {
		return nil, err
	}
	for _, rc := range r.Recipients {
		b.WriteString("\r\n")
		fields := []Field{
			{"Final-Recipient", finalRecipient(rc.Address)},
			{"Action", statusText(rc.Action)},
			{"Status", statusText(rc.Status)},
		}
		if rc.Diagnostic != "" {
			fields = append(fields, Field{"Diagnostic-Code", "smtp; " + statusText(rc.Diagnostic)})
		}
		for _, f := range fields {
			if err := fold(&b, f.Name, f.Value); err != nil {
				return nil, err
			}
		}
	}
	return []byte(b.String()), nil
}

// finalRecipient writes an address; one that is not ASCII in the escaped form of RFC 6533 §3.
func finalRecipient(a Address) string {
	s := a.String()
	if isASCII(s) {
		return "rfc822; " + s
	}
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f && r != '\\' && r != '+' && r != '=' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return "utf-8; " + b.String()
}

// statusText makes foreign text one line of printable ASCII with no long words.
func statusText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < 0x7f:
			return r
		case r < ' ':
			return ' '
		}
		return '?'
	}, s)
	if len(s) > 800 {
		s = s[:800]
	}
	return strings.Join(strings.Fields(s), " ")
}

// returnedHeader writes Date and Message-ID of the original: a report never returns content,
// names or addresses.
func returnedHeader(original []Field) ([]byte, error) {
	var b strings.Builder
	for _, f := range original {
		if !strings.EqualFold(f.Name, "Date") && !strings.EqualFold(f.Name, "Message-ID") {
			continue
		}
		if err := writeField(&b, f); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
