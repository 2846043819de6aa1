package filter

import (
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/mail"
)

// LeakInput is a finished copy and what its readers may know.
type LeakInput struct {
	Mail     *mail.Message // the final bytes, parsed
	Watch    *Watch
	Env      *mail.Envelope
	Facts    *Facts
	Variant  *Variant
	Practice Practice
	Own      []mail.Address // the sender's addresses inside the practice, besides Facts.Sender
}

// channel is a way in which a copy can name somebody. Findings say which, never what was seen.
type channel uint8

const (
	leakMailbox channel = iota
	leakPhone
	leakCode
	leakName
	leakNameBorn
	leakSenderMailbox
	leakSenderDomain
	leakSenderName
	leakUnreadable
	leakNoRegister
	channelEnd
)

var channelNames = [channelEnd]string{
	"the mailbox of somebody else", "the phone number of another client", "the code of another client",
	"the full name of another client", "the full name of another client with the birth date",
	"an address of the sender that clients should not see", "a domain that clients should not see",
	"the sender's full name in a header field", "a part that could not be read again", "the client list is not there",
}

// maxEvidence bounds what is kept of a copy full of hits.
const maxEvidence = 16

// leaks collects the hits of one copy.
type leaks struct {
	in       LeakInput
	own      map[int32]bool  // the variant's own people, by index in the watch
	others   map[string]bool // folded mailboxes of other recipients who are no people of ours
	domains  map[string]bool // of others and of the sender's own address
	near     map[int32]bool  // clients who are recipients of this message, and foreign here
	alias    bool
	sender   Sender
	real     map[string]bool // the sender's own mailboxes, folded
	hit      [channelEnd]bool
	evidence []Evidence
}

// CheckLeaks searches a finished copy for everything that names somebody whom its readers may
// not know of (architecture §4). A hit holds: one finding for each recipient of the copy. A
// copy for the practice's own people is not searched: they know the clients.
//
// A register name alone, of a client of another practitioner, is common enough to be chance:
// it gives no finding.
func CheckLeaks(in LeakInput) []Finding {
	if in.Variant == nil || in.Variant.Show == ShowPractice {
		return nil
	}
	l := &leaks{in: in, own: map[int32]bool{}, others: map[string]bool{}, near: map[int32]bool{},
		domains: map[string]bool{}, real: map[string]bool{}}
	if in.Mail == nil || in.Mail.Root == nil || in.Watch == nil || in.Env == nil || in.Facts == nil || in.Facts.Sender.State != Present {
		l.note(leakNoRegister, "", 0)
		return l.findings()
	}
	l.people()
	l.header()
	l.texts()
	l.outside(in.Mail.Root)
	l.opaque(in.Mail.Root)
	return l.findings()
}

// people sorts everybody into those whom this copy may name and those whom it may not.
func (l *leaks) people() {
	l.sender = l.in.Facts.Sender.Value
	_, asked := l.in.Variant.Has(EditAlias)
	l.alias = asked && !l.sender.Alias.IsZero() && l.sender.Alias.Key() != l.sender.Real.Key()
	for _, a := range append([]mail.Address{l.sender.Real}, l.in.Own...) {
		if l.alias && !a.IsZero() && a.Key() != l.sender.Alias.Key() {
			k := mailboxKey(a)
			l.real[k], l.domains[domainOf(k)] = true, true
		}
	}
	// Hidden recipients of one copy are foreign to each other.
	hidden := l.in.Variant.Show == ShowUndisclosed && len(l.in.Variant.Rcpts) > 1
	for i, r := range l.in.Env.Recipients {
		mine := slices.Contains(l.in.Variant.Rcpts, i) && !hidden
		class := ClassUnknown
		if i < len(l.in.Facts.Recipients) {
			f := &l.in.Facts.Recipients[i]
			class = f.Class.Value
			for k := range f.Clients.Value {
				if n, ok := l.in.Watch.byRef[f.Clients.Value[k].Ref]; ok {
					if mine {
						l.own[n] = true
					} else {
						l.near[n] = true
					}
				}
			}
		}
		if !mine && class != ClassColleague && class != ClassContact {
			l.others[mailboxKey(r.Address)] = true
		}
	}
	for i, r := range l.in.Env.Recipients {
		if slices.Contains(l.in.Variant.Rcpts, i) && !hidden {
			delete(l.others, mailboxKey(r.Address))
		}
	}
	for k := range l.others {
		l.domains[domainOf(k)] = true
	}
}

func (l *leaks) note(c channel, path string, offset int64) {
	if l.hit[c] && len(l.evidence) >= maxEvidence {
		return
	}
	l.hit[c] = true
	e := Evidence{Path: path, Offset: offset}
	if l.in.Mail != nil {
		e.Digest = l.in.Mail.Digest
	}
	if len(l.evidence) < maxEvidence && !slices.Contains(l.evidence, e) {
		l.evidence = append(l.evidence, e)
	}
}

// findings says what was hit, once for each recipient of the copy.
func (l *leaks) findings() []Finding {
	var what []string
	for c, hit := range l.hit {
		if hit {
			what = append(what, channelNames[c])
		}
	}
	if len(what) == 0 {
		return nil
	}
	var out []Finding
	for _, i := range l.in.Variant.Rcpts {
		out = append(out, Finding{
			Rule: RuleLeak, Rcpt: i, Action: Hold, About: Safety, Text: "M26", Fixed: true,
			Reason: "The copy shows " + List(what), Evidence: l.evidence,
		})
	}
	return out
}

// foreign reports whether the copy's readers may not know any of these clients. Where one of
// them is the reader, a shared mailbox, number or name is no news.
func (l *leaks) foreign(clients []int32) bool {
	for _, i := range clients {
		if l.own[i] {
			return false
		}
	}
	return len(clients) > 0
}

// header searches the top header fields as they stand and decoded.
func (l *leaks) header() {
	root := l.in.Mail.Root
	var all []string
	for _, f := range root.Fields {
		all = append(all, bothWays(f.Value)...)
	}
	all = append(all, l.in.Mail.Subject)
	l.scan("header", root.Header.Start, all)
	if l.alias {
		l.senderName(l.in.Mail)
	}
}

// bothWays returns a field's value and, where it differs, its decoded form (RFC 2047).
func bothWays(v string) []string {
	if !strings.Contains(v, "=?") {
		return []string{v}
	}
	d := mime.WordDecoder{}
	if s, err := d.DecodeHeader(v); err == nil && s != v {
		return []string{v, s}
	}
	return []string{v}
}

// senderName looks for the practitioner's full name in the header fields of all parts.
func (l *leaks) senderName(m *mail.Message) {
	forms := newPhrases()
	for _, f := range append(nameForms(l.sender.Name), joinedForms(l.sender.Name)...) {
		forms.add(f)
	}
	if len(forms.has) == 0 || fold(l.sender.Name) == fold(l.sender.AliasName) {
		return
	}
	for p := range m.Parts() {
		for _, f := range p.Fields {
			if forms.in(nameWords(foldAll(bothWays(f.Value))...)) {
				l.note(leakSenderName, p.Path, p.Header.Start)
			}
		}
		if p.Filename != "" && forms.in(nameWords(fold(p.Filename))) {
			l.note(leakSenderName, p.Path, p.Header.Start)
		}
	}
}

// texts searches everything that can be read, part by part.
func (l *leaks) texts() {
	var part *mail.Part
	var all []string
	flush := func() {
		if part != nil {
			l.scan(part.Path, part.Body.Start, all)
		}
		all = nil
	}
	for p, s := range l.in.Mail.Texts() {
		if p != part {
			flush()
			part = p
		}
		all = append(all, s)
	}
	flush()
}

// outside searches what belongs to no part's content and still leaves in a copy whose bytes
// were not written anew: all header fields of parts and what stands between them, and what
// stands before, between and behind the parts of a multipart. The source of HTML is searched
// too: an address can stand in place of a tag's name.
func (l *leaks) outside(p *mail.Part) {
	if p != l.in.Mail.Root {
		l.bytes(p, p.Header)
		for _, f := range p.Fields {
			if v := bothWays(f.Value); len(v) > 1 {
				l.scan(p.Path, p.Header.Start, v[1:])
			}
		}
	}
	if p.MediaType == "text/html" {
		s := fold(p.Text)
		l.addresses(p.Path, p.Body.Start, s)
		l.ownDomain(p.Path, p.Body.Start, s)
	}
	at := p.Body.Start
	for _, c := range p.Parts {
		l.bytes(p, mail.Range{Start: at, End: c.Header.Start})
		l.outside(c)
		at = c.Body.End
	}
	if len(p.Parts) > 0 {
		l.bytes(p, mail.Range{Start: at, End: p.Body.End})
	}
}

// bytes searches a range of the copy for everything.
func (l *leaks) bytes(p *mail.Part, r mail.Range) {
	if r.Len() <= 0 {
		return
	}
	buf := make([]byte, min(r.Len(), chunk))
	for at := r.Start; at < r.End; at += chunk - overlap {
		n := min(r.End-at, chunk)
		if _, err := l.in.Mail.Source().ReadAt(buf[:n], at); err != nil && err != io.EOF {
			l.note(leakUnreadable, p.Path, at)
			return
		}
		l.scan(p.Path, at, []string{string(buf[:n])})
	}
}

// chunk and overlap bound what is in memory of a part that is not text. A mailbox or a number
// that lies across a border is whole in the next chunk.
const (
	chunk   = 64 << 10
	overlap = 512
)

// opaque searches what is no text raw, for mailboxes and phone numbers: pictures, programs,
// ciphertext, and text that was too long to be kept.
func (l *leaks) opaque(p *mail.Part) {
	for _, c := range p.Parts {
		l.opaque(c)
	}
	if len(p.Parts) > 0 || p.Body.Len() == 0 || (strings.HasPrefix(p.MediaType, "text/") && p.Text != "" && isASCIIText(p)) {
		return
	}
	r := l.in.Mail.Decode(p)
	buf := make([]byte, 0, chunk+overlap)
	for {
		n, err := io.ReadFull(r, buf[len(buf):chunk])
		buf = buf[:len(buf)+n]
		l.raw(p, buf)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return
		}
		if err != nil {
			l.note(leakUnreadable, p.Path, p.Body.Start)
			return
		}
		copy(buf, buf[len(buf)-overlap:])
		buf = buf[:overlap]
	}
}

// isASCIIText reports whether ASCII letters stand for themselves in the part's charset. In one
// that switches between alphabets, a mail app that does not know it shows what we never read.
func isASCIIText(p *mail.Part) bool {
	c := strings.ToLower(p.Params["charset"])
	return c == "" || c == "utf-8" || c == "us-ascii" || strings.HasPrefix(c, "iso-8859-") || strings.HasPrefix(c, "windows-")
}

// raw searches bytes of unknown form as ASCII, and once more without the zero bytes of UTF-16.
func (l *leaks) raw(p *mail.Part, b []byte) {
	s := lower(b)
	l.addresses(p.Path, p.Body.Start, s)
	l.numbers(p.Path, p.Body.Start, s)
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
		l.addresses(p.Path, p.Body.Start, s)
		l.numbers(p.Path, p.Body.Start, s)
	}
}

// lower folds ASCII letters and makes every byte beyond ASCII a space: among such bytes it is
// not known what is a letter.
func lower(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= utf8.RuneSelf {
			c = ' '
		}
		out[i] = c
	}
	return string(out)
}

// scan searches the texts of one part for everything.
func (l *leaks) scan(path string, offset int64, texts []string) {
	if len(texts) == 0 {
		return
	}
	for _, t := range texts {
		if d := unescape(t); d != t {
			texts = append(texts, d)
		}
	}
	folded := foldAll(texts)
	s := strings.Join(folded, "\n\x01\n")
	l.addresses(path, offset, s)
	l.numbers(path, offset, s)
	l.refs(path, offset, s)
	l.names(path, offset, s, folded)
	l.ownDomain(path, offset, s)
}

// unescape undoes percent-encoding as in a link; what is none stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// names looks for full names: of other recipients and of this practitioner's clients alone,
// of anybody else together with the birth date.
func (l *leaks) names(path string, offset int64, all string, folded []string) {
	var days map[day]bool
	hit := func(name string, clients []int32) {
		if !l.foreign(clients) || l.ofThePractice(name) {
			return
		}
		for _, i := range clients {
			c := &l.in.Watch.clients[i]
			if l.near[i] || (c.practitioner != "" && c.practitioner == l.sender.ID) {
				l.note(leakName, path, offset)
				continue
			}
			if c.born.IsZero() {
				continue
			}
			if days == nil {
				days = dates(all)
			}
			if days[dayOf(c.born)] {
				l.note(leakNameBorn, path, offset)
			}
		}
	}
	w := nameWords(folded...)
	l.in.Watch.nameSet.find(w, func(name string) bool {
		hit(name, l.in.Watch.names[name])
		return true
	})
	for i := range w.spans {
		if word := w.from(i, 1); len(word) >= minJoined {
			if clients := l.in.Watch.joined[word]; clients != nil {
				hit(word, clients)
			}
		}
	}
}

// ofThePractice reports whether the sender has that name.
func (l *leaks) ofThePractice(name string) bool {
	for _, own := range []string{l.sender.Name, l.sender.AliasName} {
		if slices.Contains(nameForms(own), name) || slices.Contains(joinedForms(own), name) {
			return true
		}
	}
	return false
}
