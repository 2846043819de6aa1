package canary

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"
)

// Kind says who a recipient is.
type Kind string

// The kinds of recipients.
const (
	KindClient    Kind = "client"
	KindColleague Kind = "colleague"
	KindContact   Kind = "contact"
	KindStranger  Kind = "stranger"
)

// Recipient is one address of the envelope, and where the header names it.
type Recipient struct {
	Address string
	Kind    Kind
	Clients []int  // who reads this mailbox
	Where   string // To, Cc, Bcc, or empty: in the envelope only
}

// Message is a mail as the mail app submits it.
type Message struct {
	Number   int
	From     Practitioner
	Rcpts    []Recipient
	Group    bool // marked for the group that agreed
	Channels []*Channel
	Planted  bool // there is somebody's canary in the channels; else the same with nobody's
	Victims  []int
	Raw      []byte
}

// Names returns the names of the channels used.
func (m *Message) Names() []string {
	var out []string
	for _, c := range m.Channels {
		out = append(out, c.Name)
	}
	return out
}

// Plan says what a message is to be about; the zero value leaves it to chance.
type Plan struct {
	Only    *Channel // this channel and no other
	Clients bool     // to clients alone
	Planted bool     // with a canary
}

// Message makes message n of a seed.
func (w *World) Message(seed uint64, n int, p Plan) *Message {
	rng := rand.New(rand.NewPCG(seed, uint64(n)+2))
	m := &Message{Number: n, From: w.Practitioners[rng.IntN(len(w.Practitioners))]}
	m.Group = p.Only == nil && rng.IntN(20) == 0
	w.recipients(rng, m, p)
	d := &draft{rng: rng, w: w, m: m, number: n}
	w.channels(rng, m, p)
	d.start()
	for _, c := range m.Channels {
		d.channel, d.victim = c, nil
		if m.Planted {
			d.aim(c)
		}
		c.put(d)
	}
	m.Raw = []byte(d.write())
	return m
}

// recipients fills the envelope: two to twenty, most often few.
func (w *World) recipients(rng *rand.Rand, m *Message, p Plan) {
	n := 2
	for n < 20 && rng.IntN(10) < 7 {
		n++
	}
	strangers := rng.IntN(12) == 0
	seen := map[string]bool{}
	add := func(r Recipient) {
		if !seen[r.Address] {
			seen[r.Address] = true
			m.Rcpts = append(m.Rcpts, r)
		}
	}
	if m.Group {
		for _, i := range rng.Perm(8)[:2+rng.IntN(7)] {
			add(w.client(i, "To"))
		}
		return
	}
	for len(m.Rcpts) < n {
		where := pick(rng, "To", "To", "To", "Cc", "Cc", "Bcc", "")
		switch k := rng.IntN(100); {
		case p.Clients || k < 80 || len(m.Rcpts) == 0:
			add(w.client(rng.IntN(len(w.Clients)), where))
		case k < 90:
			add(Recipient{pick(rng, w.Colleagues...), KindColleague, nil, where})
		case k < 97 || !strangers:
			add(Recipient{pick(rng, w.Contacts...), KindContact, nil, where})
		default:
			add(Recipient{pick(rng, w.Strangers...), KindStranger, nil, where})
		}
		if len(seen) < len(m.Rcpts) {
			break
		}
	}
}

func (w *World) client(i int, where string) Recipient {
	r := Recipient{Address: w.Clients[i].Mailbox, Kind: KindClient, Where: where}
	for k := range w.Clients {
		if w.Clients[k].Mailbox == r.Address {
			r.Clients = append(r.Clients, k)
		}
	}
	return r
}

// channels chooses what the message gives away. Two in five have it only where nothing may
// stay; in the others one channel is in the content, so that what holds a message is known.
func (w *World) channels(rng *rand.Rand, m *Message, p Plan) {
	if p.Only != nil {
		m.Channels, m.Planted = []*Channel{p.Only}, p.Planted
		return
	}
	var top, content []*Channel
	for i := range w.Channels {
		if c := &w.Channels[i]; c.Fate == Stripped {
			top = append(top, c)
		} else {
			content = append(content, c)
		}
	}
	m.Planted = rng.IntN(6) > 0
	switch k := rng.IntN(10); {
	case k < 4:
		m.Channels = choose(rng, top, 1+rng.IntN(6))
	case k < 9:
		m.Channels = append(choose(rng, content, 1), choose(rng, top, rng.IntN(3))...)
	default:
		m.Channels = append(choose(rng, content, 2+rng.IntN(3)), choose(rng, top, rng.IntN(3))...)
	}
	for _, c := range m.Channels {
		if c.slot == "whole" { // there is no room beside it
			m.Channels = []*Channel{c}
			break
		}
	}
	if m.Group {
		// Who agreed to be seen by the others did not agree to anything else.
		m.Channels = slices.DeleteFunc(m.Channels, func(c *Channel) bool { return c.Recipients })
	}
}

func choose(rng *rand.Rand, from []*Channel, n int) []*Channel {
	var out []*Channel
	slots := map[string]bool{}
	for _, i := range rng.Perm(len(from)) {
		if len(out) == n {
			break
		}
		// What stands in the same place would overwrite each other.
		if s := from[i].slot; s != "" {
			if slots[s] {
				continue
			}
			slots[s] = true
		}
		out = append(out, from[i])
	}
	return out
}

// draft is a message in the making.
type draft struct {
	rng     *rand.Rand
	w       *World
	m       *Message
	number  int
	channel *Channel
	victim  *Client // nil: nobody is given away

	fields             []string // top fields besides those below, ready
	to, cc, bcc        []string
	from, sender       string
	subject, date      string
	messageID          string
	boundary           string
	preamble, epilogue string
	text               string
	html               string // empty: none
	textType, textCTE  string // of the text part; empty: as it needs
	textRaw            []byte // instead of text, ready and encoded
	htmlType           string
	textFields         []string
	related            []string // parts beside the HTML, ready
	files              []file
	whole              string // instead of everything: Content-Type and body
}

// file is an attached part.
type file struct {
	kind, disposition string // values of Content-Type and Content-Disposition
	fields            []string
	content           []byte
	encoding          string // base64 when empty
}

// aim chooses whom the next channel gives away: another recipient, or anybody else.
func (d *draft) aim(c *Channel) {
	var others []int
	for _, r := range d.m.Rcpts {
		others = append(others, r.Clients...)
	}
	i := d.rng.IntN(len(d.w.Clients))
	if len(others) > 0 && d.rng.IntN(2) == 0 && !d.m.Group {
		i = others[d.rng.IntN(len(others))]
	}
	d.victim = &d.w.Clients[i]
	if !c.Nobody {
		d.m.Victims = append(d.m.Victims, i)
	}
}

// near reports whether the victim's name alone tells something: of a client of this
// practitioner, or of another recipient.
func (d *draft) near() bool {
	if d.victim.Practitioner == d.m.From.ID {
		return true
	}
	for _, r := range d.m.Rcpts {
		for _, i := range r.Clients {
			if &d.w.Clients[i] == d.victim {
				return true
			}
		}
	}
	return false
}

// Token is what the channel's messages hold beside somebody's canary, and what must not leave
// from a place that may not stay: a device's name, say.
func (c *Channel) Token() string {
	rng := rand.New(rand.NewPCG(uint64(len(c.Name)), seedOf(c.Name)))
	return "zq" + word(rng, 6) + "zq"
}

func seedOf(s string) uint64 {
	var n uint64 = 14695981039346656037
	for i := range len(s) {
		n = (n ^ uint64(s[i])) * 1099511628211
	}
	return n
}

func (d *draft) token() string { return d.channel.Token() }

// mailbox, phone, code and name are canaries of one kind, and harmless words of the same
// shape when nobody is given away.
func (d *draft) mailbox() string {
	if d.victim == nil {
		return "somebody@elsewhere.example"
	}
	if d.rng.IntN(4) == 0 {
		return strings.ToUpper(d.victim.Mailbox[:1]) + d.victim.Mailbox[1:]
	}
	return d.victim.Mailbox
}

func (d *draft) phone() string {
	if d.victim == nil {
		return "0161 496 0000"
	}
	n := d.victim.Phone[1:5] + d.victim.Phone[6:] // 7700900xxx
	switch d.rng.IntN(6) {
	case 0:
		return "+44 " + n[:4] + " " + n[4:]
	case 1:
		return "+44 (0)" + n[:4] + "-" + n[4:7] + "-" + n[7:]
	case 2:
		return "0" + n
	case 3:
		return "0044" + n
	case 4:
		return "0" + n[:4] + "." + n[4:7] + "." + n[7:]
	}
	return d.victim.Phone
}

func (d *draft) code() string {
	if d.victim == nil {
		return "room 4"
	}
	switch d.rng.IntN(4) {
	case 0:
		return strings.ToLower(d.victim.Ref)
	case 1:
		return strings.ReplaceAll(d.victim.Ref, "-", " ")
	case 2:
		return strings.ReplaceAll(d.victim.Ref, "-", "")
	}
	return d.victim.Ref
}

func (d *draft) name() string {
	if d.victim == nil {
		return "the front desk"
	}
	n := d.victim.Name()
	switch d.rng.IntN(4) {
	case 0:
		n = d.victim.Family + ", " + d.victim.Given
	case 1:
		n = strings.ToUpper(n)
	}
	if d.near() {
		return n
	}
	layout := pick(d.rng, time.DateOnly, "02/01/2006", "2 January 2006")
	return n + " (" + d.victim.Born.Format(layout) + ")"
}

// canary is any of them, in any script that the text may have.
func (d *draft) canary() string {
	switch d.rng.IntN(4) {
	case 0:
		return d.mailbox()
	case 1:
		return d.phone()
	case 2:
		return d.code()
	}
	return d.name()
}

// ascii is a canary without letters beyond ASCII.
func (d *draft) ascii() string {
	for {
		if s := d.canary(); isASCII(s) {
			return s
		}
	}
}

// phrase is an ASCII canary that is no mailbox, as it may stand in a display name.
func (d *draft) phrase() string {
	for {
		if s := d.ascii(); !strings.Contains(s, "@") {
			return s
		}
	}
}

// atom is one that may stand in a token or a file name: no spaces and no quotes.
func (d *draft) atom() string {
	if d.victim == nil {
		return "notes"
	}
	switch d.rng.IntN(3) {
	case 0:
		return d.victim.Ref
	case 1:
		return d.victim.Phone[:5] + d.victim.Phone[6:]
	}
	if !isASCII(d.victim.Name()) || !d.near() {
		return strings.ToLower(d.victim.Ref)
	}
	return d.victim.Given + "_" + d.victim.Family
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func (d *draft) top(format string, args ...any) {
	d.fields = append(d.fields, fmt.Sprintf(format, args...))
}

func (d *draft) attach(f file) { d.files = append(d.files, f) }

// start writes the ordinary letter.
func (d *draft) start() {
	d.from = d.m.From.Name + " <" + d.m.From.Address + ">"
	d.subject = pick(d.rng, "Tuesday", "Next week", "The room", "A change of time", "Re: Tuesday")
	if d.m.Group {
		d.subject = "[together] " + d.subject
	}
	d.date = time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000")
	d.messageID = fmt.Sprintf("letter.%d.%d@laptop.%s", d.number, d.rng.Uint32(), Domain)
	d.boundary = fmt.Sprintf("----=_Part_%d_%d", d.number, d.rng.Uint32())
	d.text = "Hello,\r\n\r\n" + pick(d.rng, "See you on Tuesday at half past ten.", "The room has changed to the one upstairs.", "I am away next week and back after that.") +
		"\r\n\r\nBest wishes\r\n"
	if d.rng.IntN(2) == 0 {
		d.html = "<html><body><p>Hello,</p><p>" + strings.ReplaceAll(strings.TrimSpace(d.text[9:]), "\r\n\r\n", "</p><p>") + "</p></body></html>\r\n"
	}
	for _, r := range d.m.Rcpts {
		entry := r.Address
		if d.rng.IntN(3) == 0 {
			entry = "<" + entry + ">"
		}
		switch r.Where {
		case "To":
			d.to = append(d.to, entry)
		case "Cc":
			d.cc = append(d.cc, entry)
		case "Bcc":
			d.bcc = append(d.bcc, entry)
		}
	}
}

// write puts the message together.
func (d *draft) write() string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\r\n") }
	for _, f := range d.fields {
		if strings.HasPrefix(f, "Received:") || strings.HasPrefix(f, "Return-Path:") {
			line(f)
		}
	}
	line("From: " + d.from)
	if d.sender != "" {
		line("Sender: " + d.sender)
	}
	for _, l := range []struct {
		name string
		list []string
	}{{"To", d.to}, {"Cc", d.cc}, {"Bcc", d.bcc}} {
		if len(l.list) > 0 {
			line(l.name + ": " + strings.Join(l.list, ",\r\n "))
		}
	}
	line("Subject: " + d.subject)
	line("Date: " + d.date)
	line("Message-ID: <" + d.messageID + ">")
	for _, f := range d.fields {
		if !strings.HasPrefix(f, "Received:") && !strings.HasPrefix(f, "Return-Path:") {
			line(f)
		}
	}
	line("MIME-Version: 1.0")
	if d.whole != "" {
		b.WriteString(d.whole)
		return b.String()
	}
	body := d.letter()
	if len(d.files) > 0 {
		parts := []string{body}
		for _, f := range d.files {
			parts = append(parts, f.part())
		}
		body = d.multipart("mixed", d.boundary, parts)
	}
	b.WriteString(body)
	return b.String()
}

// letter is the text with its alternatives, as a part with its fields.
func (d *draft) letter() string {
	kind := d.textType
	if kind == "" {
		kind = "text/plain; charset=utf-8"
	}
	text := encoded(kind, d.textCTE, d.textFields, []byte(d.text))
	if d.textRaw != nil {
		text = "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: " + d.textCTE + "\r\n" + strings.Join(d.textFields, "") + "\r\n" + string(d.textRaw)
	}
	if d.html == "" {
		return text
	}
	kind = d.htmlType
	if kind == "" {
		kind = "text/html; charset=utf-8"
	}
	html := encoded(kind, "", nil, []byte(d.html))
	if len(d.related) > 0 {
		html = d.multipart("related", d.boundary+"_r", append([]string{html}, d.related...))
	}
	return d.multipart("alternative", d.boundary+"_a", []string{text, html})
}

func (d *draft) multipart(sub, boundary string, parts []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n%s", sub, boundary, d.preamble)
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, strings.TrimSuffix(p, "\r\n"))
	}
	fmt.Fprintf(&b, "--%s--\r\n%s", boundary, d.epilogue)
	return b.String()
}

func (f file) part() string {
	var fields []string
	if f.disposition != "" {
		fields = append(fields, "Content-Disposition: "+f.disposition+"\r\n")
	}
	enc := f.encoding
	if enc == "" {
		enc = "base64"
	}
	return encoded(f.kind, enc, append(fields, f.fields...), f.content)
}

// encoded writes a part with its fields.
func encoded(kind, encoding string, fields []string, content []byte) string {
	if encoding == "" {
		encoding = "7bit"
		if !isASCII(string(content)) {
			encoding = "quoted-printable"
		}
	}
	var body string
	switch encoding {
	case "base64":
		body = base64Lines(content, 76)
	case "quoted-printable":
		var b strings.Builder
		q := quotedprintable.NewWriter(&b)
		q.Write(content)
		q.Close()
		body = b.String()
	default:
		body = string(content)
	}
	if !strings.HasSuffix(body, "\r\n") {
		body += "\r\n"
	}
	return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n" + strings.Join(fields, "") + "\r\n" + body
}

func base64Lines(content []byte, width int) string {
	s := base64.StdEncoding.EncodeToString(content)
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\r\n")
		s = s[width:]
	}
	return b.String() + s + "\r\n"
}
