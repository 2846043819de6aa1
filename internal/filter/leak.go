package filter

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"
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
	Phones   []string       // the sender's own numbers
}

// channel is a way in which a copy can name somebody. Findings say which, never what was seen.
type channel uint8

const (
	leakMailbox channel = iota
	leakPhone
	leakCode
	leakName
	leakNameBorn
	leakNamePhone
	leakNameMailbox
	leakNameCode
	leakNameAlone // recorded, and does not hold
	leakSenderMailbox
	leakSenderPhone
	leakSenderDomain
	leakSenderName
	leakUnreadable
	leakNoRegister
	channelEnd
)

// channelWords say each channel for programs and for people.
var channelWords = [channelEnd]struct{ code, text string }{
	leakMailbox:       {"mailbox", "the mailbox of somebody else"},
	leakPhone:         {"phone", "the phone number of another client"},
	leakCode:          {"code", "the code of another client"},
	leakName:          {"name", "the full name of another client"},
	leakNameBorn:      {"name_born", "the full name of another client with the birth date"},
	leakNamePhone:     {"name_phone", "the full name of another client with their phone number"},
	leakNameMailbox:   {"name_mailbox", "the full name of another client with their mailbox"},
	leakNameCode:      {"name_code", "the full name of another client with their code"},
	leakNameAlone:     {"name_alone", "the full name of somebody else's client, and nothing that makes sure who it is"},
	leakSenderMailbox: {"sender_mailbox", "an address of the sender that clients should not see"},
	leakSenderPhone:   {"sender_phone", "a phone number of the sender that clients should not see"},
	leakSenderDomain:  {"sender_domain", "a domain that clients should not see"},
	leakSenderName:    {"sender_name", "the sender's full name in a header field"},
	leakUnreadable:    {"unreadable", "a part that could not be read again"},
	leakNoRegister:    {"no_register", "the client list is not there"},
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
	names    map[string]bool // the ways in which the sender's own names are written
	hidden   []byte          // the sender's own domain, where this copy must not show it
	phones   []string        // the sender's own numbers, where this copy must not show them: digits
	reader   reader
	low      []byte // of lower
	dashed   []byte // of refs
	pieces   []codePiece
	ragged   bool    // what is read has no form that we know: anything may stand beside a hit
	like     []byte  // of digitsLike
	found    []int32 // of the last look-up
	hit      [channelEnd]bool
	evidence []Evidence // of what holds
	recorded []Evidence // of what does not
	met      *met       // who is met is collected: see Pseudonyms
}

// CheckLeaks searches a finished copy for everything that names somebody whom its readers may
// not know of (architecture §4). A hit holds: one finding for each recipient of the copy. A
// copy for the practice's own people is not searched: they know the clients.
//
// A register name alone, of a client of another practitioner, is common enough to be chance:
// it gives a finding that lets pass, for the account.
func CheckLeaks(in LeakInput) []Finding {
	if in.Variant == nil || in.Variant.Show == ShowPractice {
		return nil
	}
	l := newLeaks(in)
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

func newLeaks(in LeakInput) *leaks {
	return &leaks{in: in, own: map[int32]bool{}, others: map[string]bool{}, near: map[int32]bool{},
		domains: map[string]bool{}, real: map[string]bool{}, names: map[string]bool{}}
}

// people sorts everybody into those whom this copy may name and those whom it may not.
func (l *leaks) people() {
	l.sender = l.in.Facts.Sender.Value
	for _, own := range []string{l.sender.Name, l.sender.AliasName} {
		for _, form := range nameForms(l.reader.nameWords(own)) {
			l.names[form] = true
		}
	}
	_, asked := l.in.Variant.Has(EditAlias)
	l.alias = asked && !l.sender.Alias.IsZero() && l.sender.Alias.Key() != l.sender.Real.Key()
	for _, a := range append([]mail.Address{l.sender.Real}, l.in.Own...) {
		if l.alias && !a.IsZero() && a.Key() != l.sender.Alias.Key() {
			k := mailboxKey(a)
			l.real[k], l.domains[domainOf(k)] = true, true
		}
	}
	// A contact may see our people in To and Cc.
	if own, alias := fold(l.sender.Real.Domain), fold(l.sender.Alias.Domain); l.alias && own != alias && l.in.Variant.Show != ShowContact {
		l.hidden = []byte(own)
	}
	if l.alias && l.in.Variant.Show != ShowContact {
		for _, own := range l.in.Phones {
			if d := digitsOf(own); len(d) >= minPhone {
				l.phones = append(l.phones, strings.TrimPrefix(d, "00"))
			}
		}
	}
	// Hidden recipients of one copy are foreign to each other. So are those who share one without
	// having agreed to, whatever the plan says.
	hidden := len(l.in.Variant.Rcpts) > 1 && (l.in.Variant.Show == ShowUndisclosed || !l.agreed())
	for i, r := range l.in.Env.Recipients {
		mine := slices.Contains(l.in.Variant.Rcpts, i) && !hidden
		class := ClassUnknown
		if i < len(l.in.Facts.Recipients) {
			f := &l.in.Facts.Recipients[i]
			class = f.Class.Value
			for k := range f.Clients.Value {
				if n, ok := l.in.Watch.number(f.Clients.Value[k].Ref); ok {
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

// agreed reports whether everybody who gets this copy agreed to be seen by the others.
func (l *leaks) agreed() bool {
	for _, i := range l.in.Variant.Rcpts {
		if i >= len(l.in.Facts.Recipients) || len(l.in.Facts.Recipients[i].Clients.Value) == 0 {
			return false
		}
		for k := range l.in.Facts.Recipients[i].Clients.Value {
			if c := &l.in.Facts.Recipients[i].Clients.Value[k]; l.in.Practice.GroupConsent == "" || !c.Agreed(l.in.Practice.GroupConsent, l.in.Facts.At) {
				return false
			}
		}
	}
	return true
}

func (l *leaks) note(c channel, path string, offset int64) {
	seen := &l.evidence
	if c == leakNameAlone {
		seen = &l.recorded
	}
	if l.hit[c] && len(*seen) >= maxEvidence {
		return
	}
	l.hit[c] = true
	e := Evidence{Path: path, Offset: offset}
	if len(*seen) < maxEvidence && !slices.Contains(*seen, e) {
		*seen = append(*seen, e)
	}
}

// findings says what was hit, once for each recipient of the copy, and what was only recorded.
func (l *leaks) findings() []Finding {
	var what, codes []string
	for c, hit := range l.hit {
		if hit && channel(c) != leakNameAlone {
			what, codes = append(what, channelWords[c].text), append(codes, channelWords[c].code)
		}
	}
	if l.in.Mail != nil && len(l.evidence)+len(l.recorded) > 0 {
		digest, err := l.in.Mail.Sum()
		for _, list := range [][]Evidence{l.evidence, l.recorded} {
			for i := range list {
				if err == nil { // where it cannot be read again, it is held all the same
					list[i].Digest = digest
				}
			}
		}
	}
	var out []Finding
	for _, i := range l.in.Variant.Rcpts {
		if len(what) > 0 {
			out = append(out, Finding{
				Rule: RuleLeak, Rcpt: i, Action: Hold, About: Safety, Text: "M26", Fixed: true,
				Reason: "The copy shows " + List(what), Evidence: l.evidence, Channels: codes,
			})
		}
		if l.hit[leakNameAlone] && !l.hit[leakNameBorn] && !l.hit[leakNamePhone] && !l.hit[leakNameMailbox] && !l.hit[leakNameCode] {
			w := channelWords[leakNameAlone]
			out = append(out, Finding{Rule: RuleLeak, Rcpt: i, Action: Send, About: Safety,
				Reason: "The copy shows " + w.text, Evidence: l.recorded, Channels: []string{w.code}})
		}
	}
	return out
}

// find returns the clients with that key; good until the next call.
func (l *leaks) find(b lookup, key []byte) []int32 {
	l.found = l.in.Watch.find(l.found[:0], b, key)
	return l.found
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
	p := l.part("header", root.Header.Start)
	for _, f := range root.Fields {
		for _, v := range bothWays(f.Value) {
			p.scan(v)
		}
	}
	p.scan(l.in.Mail.Subject)
	if l.alias {
		l.senderName(l.in.Mail)
	}
}

// bothWays returns a field's value and, where they differ, its decoded forms: of encoded words
// (RFC 2047), and of base64, in which Outlook and Autocrypt write topics and keys.
func bothWays(v string) []string {
	out := []string{v}
	if s := mail.DecodeWords(v); strings.Contains(v, "=?") && s != v {
		out = append(out, s)
	}
	if s := unbase64(v); s != "" {
		out = append(out, s)
	}
	return out
}

// minBase64 is the shortest run of base64 that is decoded: no shorter one holds an address.
const minBase64 = 16

// unbase64 decodes every long run of base64 in a header field.
func unbase64(v string) string {
	var out []byte
	for len(v) >= minBase64 {
		n := 0
		for n < len(v) && (lowerByte(v[n]) >= 'a' && lowerByte(v[n]) <= 'z' || digitByte(v[n]) || v[n] == '+' || v[n] == '/') {
			n++
		}
		if n >= minBase64 {
			b, _ := base64.RawStdEncoding.DecodeString(v[:n]) // as far as it goes
			out = append(append(out, b...), '\n')
		}
		v = v[min(n+1, len(v)):]
	}
	return string(out)
}

// senderName looks for the practitioner's full name in the header fields of all parts.
func (l *leaks) senderName(m *mail.Message) {
	forms := newPhrases(0)
	for _, f := range nameForms(l.reader.nameWords(l.sender.Name)) {
		forms.add(f)
	}
	if forms.has.n == 0 || l.reader.folded(l.sender.Name) == l.reader.folded(l.sender.AliasName) {
		return // the alias shows the name on purpose
	}
	f := finder{set: &forms}
	for p := range m.Parts() {
		look := func(t string) {
			l.reader.windows(t, func(s []byte, from int) bool {
				eachWord(l.reader.plainLetters(s[from:]), func(w []byte) {
					f.word(w, func([]byte) bool {
						l.note(leakSenderName, p.Path, p.Header.Start)
						return false
					})
				})
				return true
			})
			f.end()
		}
		for _, field := range p.Fields {
			for _, v := range bothWays(field.Value) {
				look(v)
			}
		}
		look(p.Filename)
	}
}

// texts searches everything that can be read, part by part.
func (l *leaks) texts() {
	var part *mail.Part
	var search *partSearch
	for p, s := range l.in.Mail.Texts() {
		if p != part {
			part, search = p, l.part(p.Path, p.Body.Start)
		}
		search.scan(s)
	}
}

// outside searches what belongs to no part's content and still leaves in a copy whose bytes
// were not written anew: all header fields of parts and what stands between them, and what
// stands before, between and behind the parts of a multipart. The source of HTML is searched
// too: an address can stand in place of a tag's name.
func (l *leaks) outside(p *mail.Part) {
	if p != l.in.Mail.Root {
		l.bytes(p, p.Header)
		for _, f := range p.Fields {
			for _, v := range bothWays(f.Value)[1:] {
				l.part(p.Path, p.Header.Start).scan(v)
			}
		}
	}
	if p.MediaType == "text/html" {
		source := l.part(p.Path, p.Body.Start)
		l.reader.windows(p.Text, func(s []byte, _ int) bool {
			source.addresses(s)
			l.ownDomain(p.Path, p.Body.Start, s)
			return true
		})
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
		l.part(p.Path, at).scan(string(buf[:n]))
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
	r, search := l.in.Mail.Decode(p), l.part(p.Path, p.Body.Start)
	buf := make([]byte, 0, chunk+overlap)
	for {
		n, err := io.ReadFull(r, buf[len(buf):chunk])
		buf = buf[:len(buf)+n]
		search.raw(buf)
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

// partSearch searches the texts of one part for everything, window by window. What belongs
// together wherever it stands in the part is remembered: names, and what else tells a client.
type partSearch struct {
	l          *leaks
	path       string
	offset     int64
	names      []finder // one a layer of the register
	spelled    []finder // of the text with its umlauts spelled out
	last       [3][]byte
	at         int                // words read
	codes      [4]shortCode       // the last ones
	lastName   []byte             // of a foreign client
	nameAt     int                // the word with which it ended
	judged     map[string]bool    // by what many share: whether it is foreign, or true
	key        []byte             // of before
	groups     []byte             // of exactly
	named      map[int32]bool     // foreign clients whose full name stands here
	told       map[int32]channels // foreign clients of whom something else stands here
	born       map[day]bool       // of foreign clients named so far
	days       map[day]bool       // read so far on which a client was born
	dates, esc dates              // esc: of what was escaped
}

// channels is a set of them.
type channels uint32

func (l *leaks) part(path string, offset int64) *partSearch {
	p := &partSearch{l: l, path: path, offset: offset, dates: dates{-1, -1}, esc: dates{-1, -1}, nameAt: -2 * nearName}
	if l.in.Watch != nil {
		p.names = l.in.Watch.finders()
	}
	return p
}

// scan searches a text as it stands and as links, scripts and careful people mean it.
func (p *partSearch) scan(t string) {
	forms(t, func(form string, first bool) {
		if first {
			p.read(form, &p.dates)
			return
		}
		if !utf8.ValidString(form) && utf8.ValidString(t) { // a picture in a data URL
			p.raw([]byte(form))
		}
		p.read(form, &p.esc)
	})
}

func (p *partSearch) read(t string, when *dates) {
	l := p.l
	spelled := hasUmlaut(t)
	if spelled && p.spelled == nil {
		p.spelled = l.in.Watch.finders()
	}
	l.reader.windows(t, func(s []byte, from int) bool {
		p.addresses(s)
		p.numbers(s, true)
		var like bool
		if l.like, like = digitsLike(l.like, s); like {
			p.numbers(l.like, true)
		}
		p.refs(s)
		l.ownDomain(p.path, p.offset, s)
		when.read(s[from:], p.date)
		eachNameWord(l.reader.plainLetters(s[from:]), p.word)
		if spelled {
			eachNameWord(l.reader.spelledLetters(s[from:]), func(w []byte) {
				for k := range p.spelled {
					p.spelled[k].word(w, p.name)
				}
			})
		}
		return true
	})
	for k := range p.names {
		p.names[k].end()
	}
	for k := range p.spelled {
		p.spelled[k].end()
	}
	for k := range p.last {
		p.last[k] = p.last[k][:0]
	}
	p.at += 2 * nearName // no text lies near another
}

// word takes the next word of a text, and looks for names that end with it.
func (p *partSearch) word(w []byte) {
	for k := range p.names {
		p.names[k].word(w, p.name)
	}
	p.middle(w)
	p.code(w)
	oldest := p.last[2]
	p.last[2], p.last[1] = p.last[1], p.last[0]
	p.last[0] = append(oldest[:0], w[:min(len(w), maxNameWord)]...)
}

// nearName is how many words a short code may stand from the name: "Cleo Brown (17)".
const nearName = 3

// shortCode is a code that is an ordinary word or number elsewhere, and where it stands.
type shortCode struct {
	word    int
	clients []int32
}

// code looks for short codes, and for the name before one.
func (p *partSearch) code(w []byte) {
	p.at++
	if !p.l.in.Watch.likeShortCode(w) {
		return
	}
	clients := p.l.find(byShortCode, w)
	if len(clients) == 0 {
		return
	}
	c := shortCode{p.at, slices.Clone(clients)}
	copy(p.codes[:], p.codes[1:])
	p.codes[len(p.codes)-1] = c
	if p.at-p.nameAt <= nearName+1 {
		p.matchCode(p.lastName, c)
	}
}

// matchCode looks whether the code is that of somebody with the name.
func (p *partSearch) matchCode(name []byte, code shortCode) {
	for _, i := range code.clients {
		for _, words := range p.l.in.Watch.client(i).names {
			if slices.Contains(nameForms(strings.Fields(words)), string(name)) {
				p.l.note(leakNameCode, p.path, p.offset)
			}
		}
	}
}

// maxNameWord bounds what is kept of a word that could be of a name.
const maxNameWord = 256

// middle looks for first and last name with one or two others or initials between them: the
// register has "Anna Bell", the text "Anna M. Bell" or "Anna Maria Bell".
func (p *partSearch) middle(w []byte) {
	for n := 1; n < len(p.last); n++ {
		if !p.l.in.Watch.middleName(p.last[n-1]) {
			return
		}
		first := p.last[n]
		if len(first) == 0 || !p.l.in.Watch.startsPair(first) {
			continue
		}
		if p.l.met != nil {
			p.l.between(p.last[:n+1], w)
		}
		p.name(append(append(append(make([]byte, 0, 64), first...), ' '), w...))
	}
}

// maxJudged bounds what is remembered of the keys that many clients share.
const maxJudged = 4 << 10

// judge remembers what came out for a key, where it stands for so many that it pays.
func (p *partSearch) judge(b lookup, key []byte, clients int, verdict bool) {
	if clients < 16 {
		return
	}
	if p.judged == nil || len(p.judged) >= maxJudged {
		p.judged = map[string]bool{}
	}
	p.judged[string(append([]byte{byte(b)}, key...))] = verdict
}

// before returns what came out for a key in this part before, if that is remembered.
func (p *partSearch) before(b lookup, key []byte) (verdict, known bool) {
	if len(p.judged) == 0 {
		return false, false
	}
	p.key = append(append(p.key[:0], byte(b)), key...)
	verdict, known = p.judged[string(p.key)]
	return verdict, known
}

// tells judges what was found of clients besides a name. Where it cannot be a reader's it is a
// leak alone. Where a reader shares it (a number at home), it still tells who somebody with a
// name is.
func (p *partSearch) tells(clients []int32, alone, named channel) {
	l := p.l
	if l.foreign(clients) && !(alone == leakCode && l.coded()) {
		l.met.add(clients, alone)
		l.note(alone, p.path, p.offset)
		return
	}
	p.hints(clients, named)
}

// hints remembers what tells who somebody is only beside the name.
func (p *partSearch) hints(clients []int32, named channel) {
	l := p.l
	for _, i := range clients {
		if l.own[i] {
			continue
		}
		if p.told == nil {
			p.told = map[int32]channels{}
		}
		if p.told[i] |= 1 << named; p.named[i] {
			l.note(named, p.path, p.offset)
		}
	}
}

// name judges the full name of a client: of another recipient and of this practitioner's
// clients it is a leak alone, of anybody else together with something else that tells who it is.
func (p *partSearch) name(name []byte) bool {
	l := p.l
	foreign, known := p.before(byName, name)
	var clients []int32
	if !known {
		clients = l.find(byName, name)
		foreign = l.foreign(clients) && !l.names[string(name)]
		p.judge(byName, name, len(clients), foreign)
	}
	if !foreign {
		return true
	}
	if !known {
		l.met.add(clients, leakName)
	}
	p.lastName, p.nameAt = append(p.lastName[:0], name...), p.at+1
	for _, c := range p.codes {
		if c.word > 0 && p.at-c.word <= nearName+bytes.Count(name, []byte{' '}) {
			p.matchCode(name, c)
		}
	}
	for _, i := range clients {
		c := l.in.Watch.client(i)
		if l.near[i] || (c.practitioner != "" && c.practitioner == l.sender.ID) {
			l.note(leakName, p.path, p.offset)
			continue
		}
		l.note(leakNameAlone, p.path, p.offset)
		if p.named == nil {
			p.named = map[int32]bool{}
		}
		p.named[i] = true
		for k := channel(0); k < channelEnd && p.told[i] != 0; k++ {
			if p.told[i]&(1<<k) != 0 {
				l.note(k, p.path, p.offset)
			}
		}
		if c.born == (day{}) {
			continue
		}
		d := c.born
		if p.born == nil {
			p.born = map[day]bool{}
		}
		if p.born[d] = true; p.days[d] {
			l.note(leakNameBorn, p.path, p.offset)
		}
	}
	return true
}

// date remembers a day on which somebody was born.
func (p *partSearch) date(d day) {
	if !p.l.in.Watch.isBirth(d) {
		return
	}
	if p.days == nil {
		p.days = map[day]bool{}
	}
	if p.days[d] = true; p.born[d] {
		p.l.note(leakNameBorn, p.path, p.offset)
	}
}
