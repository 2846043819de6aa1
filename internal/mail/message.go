package mail

import (
	"io"
	"net/netip"
	"time"
)

// Recipient is one forward-path of an envelope.
type Recipient struct {
	Address Address `json:"address"`
}

// Envelope is what SMTP knows about a message before its first byte (RFC 5321 §2.3.1).
type Envelope struct {
	ID         ID             `json:"id"`
	Submitter  string         `json:"submitter"` // id of a person or system in people.yaml
	Reverse    Address        `json:"reverse"`
	Recipients []Recipient    `json:"recipients"` // without repeats (B14)
	SMTPUTF8   bool           `json:"smtputf8,omitempty"`
	Client     netip.AddrPort `json:"client"` // never leaves: for our own limits and audit
	ReceivedAt time.Time      `json:"received_at"`
}

// Limits bound what one message may cost to read.
type Limits struct {
	Bytes       int64 // whole message
	TextBytes   int64 // decoded text kept in memory for rules, all parts together
	HeaderBytes int   // one header section
	Parts       int
	Depth       int
}

// DefaultLimits are the limits of architecture: 35 MB, 8 MiB of text, 256 KiB of header,
// 500 parts, depth 20.
func DefaultLimits() Limits {
	return Limits{Bytes: 35_000_000, TextBytes: 8 << 20, HeaderBytes: 256 << 10, Parts: 500, Depth: 20}
}

// Mailbox is an address with its decoded display name (RFC 5322 §3.4).
type Mailbox struct {
	Name    string
	Address Address
}

// Field is one header field. Value is unfolded but not decoded.
type Field struct {
	Name  string
	Value string
}

// Range is a range of bytes in the message as received.
type Range struct{ Start, End int64 }

// Len returns the number of bytes.
func (r Range) Len() int64 { return r.End - r.Start }

// Part is a node of the MIME tree, by byte ranges of the message as received (RFC 2045,
// RFC 2046). A multipart has one child a part; a message/rfc822 has one child, the embedded
// message's root. A leaf has none.
type Part struct {
	Path        string // "1" is the root; children are "1.1", "1.2", ...
	Fields      []Field
	Header      Range // with the empty line
	Body        Range // as received, still encoded
	MediaType   string
	Declared    string // the media type of a multipart in which there are no parts, and which is read as MediaType; else empty
	Params      map[string]string
	Encoding    string // 7bit, 8bit, binary, base64 or quoted-printable
	Disposition string // "", inline or attachment
	Filename    string // decoded; empty when none was given
	ContentID   string
	Parts       []*Part
	// Text is the decoded text of a text/* leaf as UTF-8 (for text/html the source), within
	// Limits.TextBytes over all parts.
	Text string

	raw     []Range  // of Fields, each with its line end
	wire    wire     // what the body as received holds that the wire may not carry
	charset charset  // what Text was read as
	content content  // what the first bytes say it is
	inside  []string // the text inside an attached file
	cut     bool     // Text is not the whole text

	own *writtenText // what the writer has written in it; nil: worked out each time

	alternative bool // one of the forms in which mail apps show the message's text
	wider       bool // the text has letters that its charset has not: the label is that of the one as which it is read
	fresh       bool // the encoded form has two readings: it is written anew
	dirty       bool // the part or one inside it has a defect

	kinds      Kind   // what the start of the body is
	program    string // ".exe": what kind of program the content is or holds; empty: none
	sealedFile bool   // a file that is locked with a password
}

// Get returns the first field of that name (case-insensitive), unfolded, and whether there is one.
func (p *Part) Get(name string) (string, bool) { return getField(p.Fields, name) }

// IsMultipart reports whether the part is a container of parts.
func (p *Part) IsMultipart() bool { return len(p.MediaType) > 10 && p.MediaType[:10] == "multipart/" }

// Disposition says what happens to a message with a defect, unless policy says otherwise.
type Disposition uint8

// From harmless to fatal.
const (
	AcceptAsRead Disposition = iota // we read it as everybody does, and write it anew
	HoldIt                          // two readers could see different things: a person decides
	RejectIt                        // the submitter must change it
)

// Defect is a way in which two parsers could read this message differently. It never holds
// the message's text.
type Defect struct {
	Name    string      `json:"name"` // kebab-case, for example duplicate-field
	Path    string      `json:"path"` // part
	Offset  int64       `json:"offset"`
	Default Disposition `json:"default"`
	Detail  string      `json:"detail,omitempty"` // what kind of thing: a field's name, never its value
	What    string      `json:"what,omitempty"`   // what was found, for people; empty when it is accepted
	Fix     string      `json:"fix,omitempty"`    // what the sender does about it, one plain sentence
}

// Message is a parsed message over an io.ReaderAt: an index, not a copy. It is immutable.
type Message struct {
	Root    *Part
	Size    int64
	Digest  [32]byte // SHA-256 of the bytes as received; of a copy see Sum
	Defects []Defect

	From, Sender, ReplyTo, To, Cc, Bcc []Mailbox
	Subject                            string // decoded
	Date                               time.Time
	MessageID                          string   // without angle brackets
	InReplyTo, References              []string // without angle brackets

	src       io.ReaderAt
	broken    string // the defect for which it is never written
	lookalike bool   // a line could be mistaken for one of our boundaries
}
