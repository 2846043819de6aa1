package filter

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// Record is what is kept of a message so that other rules can be asked about it when its
// content is long gone: codes, numbers and yes or no, never a word of it and never a name, an
// address or a client's code.
type Record struct {
	At         time.Time         `json:"at"`
	Sender     string            `json:"sender"` // id in people.yaml
	Size       int64             `json:"size"`
	Words      int               `json:"words"`           // subject and new text
	Kinds      []mail.Kind       `json:"kinds,omitempty"` // of each attachment
	Signed     bool              `json:"signed,omitempty"`
	Encrypted  bool              `json:"encrypted,omitempty"`
	Tagged     bool              `json:"tagged,omitempty"`  // a bracket tag stands before the subject
	Answers    map[string]string `json:"answers,omitempty"` // what rules asked about the content: 0 or 1 for each recipient
	Outcome    Action            `json:"outcome"`           // what was decided
	Recipients []RecordRecipient `json:"recipients"`
	Findings   []RecordFinding   `json:"findings,omitempty"`
}

// RecordRecipient is one recipient without the person. Mailbox and Domain are pseudonyms of
// whoever is no client, so that a list of today can be asked for them.
type RecordRecipient struct {
	Same     int            `json:"same"` // the first recipient with this mailbox
	Class    Class          `json:"class"`
	Clients  []RecordClient `json:"clients,omitempty"`
	Mailbox  string         `json:"mailbox,omitempty"`
	Domain   string         `json:"domain,omitempty"`
	Action   Action         `json:"action"`
	Edits    []Edit         `json:"edits,omitempty"` // that rules asked for
	Separate bool           `json:"separate,omitempty"`
	Bcc      bool           `json:"bcc,omitempty"`
}

// RecordClient is what rules may ask about a client.
type RecordClient struct {
	Age      *int     `json:"age,omitempty"`
	Discreet *bool    `json:"discreet,omitempty"`
	Former   bool     `json:"former,omitempty"`
	Country  string   `json:"country,omitempty"`
	Consents []string `json:"consents,omitempty"` // purposes with a valid consent

	// What there was to lock with.
	Protection string `json:"protection,omitempty"`
	Words      bool   `json:"words,omitempty"`
	Key        bool   `json:"key,omitempty"`
}

// RecordFinding is a finding without its wording.
type RecordFinding struct {
	Rule     string   `json:"rule"`
	Rcpt     int      `json:"rcpt"`
	Action   Action   `json:"action"`
	About    About    `json:"about,omitempty"`
	Edit     EditKind `json:"edit,omitempty"` // of cannot-change
	Observed bool     `json:"observed,omitempty"`
	Verbs    []string `json:"verbs,omitempty"` // of an observed rule: what it would have done beside its action
	Lead     bool     `json:"lead,omitempty"`  // it decided the outcome
}

// Digests names the content of a word list: a list with other words is another question.
type Digests func(list string) string

// NewRecord takes down what the rules looked at and what was decided. pseudonym stands in for
// a mailbox or a domain.
func NewRecord(rules []Rule, in *Input, p *Plan, digests Digests, pseudonym func(string) string) Record {
	r := Record{At: in.Facts.At, Sender: in.Facts.Sender.Value.ID, Size: in.Mail.Size, Outcome: p.Outcome, Answers: map[string]string{}}
	r.Signed, r.Encrypted = in.sealed()
	if _, err := (WordsMoreThan{}).Holds(in, 0); err == nil {
		r.Words = in.memory().count
	}
	r.Kinds = slices.Clone(in.attachments())
	r.Tagged = len(ParseSubject(in.Mail.Subject).Tags) > 0
	for i := range in.Env.Recipients {
		r.Recipients = append(r.Recipients, newRecordRecipient(in, i, p, pseudonym))
	}
	for _, one := range rules {
		if own, ok := one.(*rule); ok {
			eachCondition(append(slices.Clone(own.spec.When), own.spec.Unless...), func(c Condition) { r.ask(c, in, digests) })
		}
	}
	for i, f := range p.Findings {
		k := RecordFinding{Rule: f.Rule, Rcpt: f.Rcpt, Action: f.Action, About: f.About, Observed: f.Observed, Lead: i == p.Lead}
		if f.Rule == RuleCannotChange {
			k.Edit = EditKind(f.Values["edit"])
		}
		if f.Observed {
			k.Verbs = f.verbs()
		}
		if f.Observed || f.Action > Send {
			r.Findings = append(r.Findings, k)
		}
	}
	return r
}

// verbs says what a finding asks for beside its action.
func (f *Finding) verbs() []string {
	var out []string
	for _, e := range f.Edits {
		out = append(out, string(e.Kind))
	}
	for verb, asked := range map[VerbKind]bool{VerbSendSeparately: f.Separate, VerbBcc: f.Bcc, VerbNeverHold: f.NeverHold, VerbTell: len(f.Tell) > 0} {
		if asked {
			out = append(out, string(verb))
		}
	}
	slices.Sort(out)
	return out
}

func newRecordRecipient(in *Input, i int, p *Plan, pseudonym func(string) string) RecordRecipient {
	f, a := in.Facts.Recipients[i], in.Env.Recipients[i].Address
	k := RecordRecipient{Same: i, Class: f.Class.Value, Edits: editsFor(p.Findings, i), Action: p.Decisions[i].Action}
	for j := range i {
		if in.Env.Recipients[j].Address.Key() == a.Key() {
			k.Same = j
			break
		}
	}
	for _, f := range p.Findings {
		if f.concerns(i) {
			k.Separate, k.Bcc = k.Separate || f.Separate, k.Bcc || f.Bcc
		}
	}
	for _, c := range f.Clients.Value {
		n := RecordClient{Discreet: c.Discreet, Former: c.Status == "former", Country: c.Country, Protection: c.Protection, Words: c.HasWords, Key: c.HasKey}
		if age, known := c.Age(in.Facts.At); known {
			n.Age = &age
		}
		for _, x := range c.Consents {
			if c.Agreed(x.Purpose, in.Facts.At) && !slices.Contains(n.Consents, x.Purpose) {
				n.Consents = append(n.Consents, x.Purpose)
			}
		}
		k.Clients = append(k.Clients, n)
	}
	if len(k.Clients) == 0 {
		k.Mailbox, k.Domain = pseudonym(a.Key()), pseudonym(a.Domain)
	}
	return k
}

// eachCondition calls do for every condition, those within any and all too.
func eachCondition(cs []Condition, do func(Condition)) {
	for _, c := range cs {
		switch c := c.(type) {
		case Any:
			eachCondition(c.Conditions, do)
		case All:
			eachCondition(c.Conditions, do)
		default:
			do(c)
		}
	}
}

// questions are what a condition asks about the content that only the content can answer.
func questions(c Condition, digests Digests) []string {
	switch c := c.(type) {
	case SubjectStarts:
		return []string{"subject_starts " + fold(strings.TrimSpace(c.Prefix))}
	case Contains:
		return []string{"contains " + c.What}
	case PersonalContact:
		h := sha256.New()
		for _, list := range [][]string{c.Phones, c.Own, c.Domains} {
			io.WriteString(h, strings.Join(list, "\n")+"\n\n")
		}
		for _, a := range c.Listed {
			io.WriteString(h, a.Key()+"\n")
		}
		return []string{"personal_contact " + hex.EncodeToString(h.Sum(nil)[:8])}
	case Mentions:
		var out []string
		for _, l := range c.Lists {
			out = append(out, "mentions "+l.Name()+" "+digests(l.Name()))
		}
		return out
	}
	return nil
}

// ask takes down the answers to a condition's questions. What had no answer has none.
func (r *Record) ask(c Condition, in *Input, digests Digests) {
	one := func(question string, c Condition) {
		if _, ok := r.Answers[question]; ok {
			return
		}
		var b strings.Builder
		for i := range in.Env.Recipients {
			yes, err := c.Holds(in, i)
			switch {
			case err != nil:
				return
			case yes:
				b.WriteByte('1')
			default:
				b.WriteByte('0')
			}
		}
		r.Answers[question] = b.String()
	}
	qs := questions(c, digests)
	if m, ok := c.(Mentions); ok {
		for i, l := range m.Lists {
			one(qs[i], Mentions{Lists: []*WordList{l}})
		}
		return
	}
	for _, q := range qs {
		one(q, c)
	}
}

// answer is yes, no, or nobody knows.
type answer int8

const (
	no answer = iota
	unknown
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// Replay is a decision about a recorded message under other rules.
type Replay struct {
	Outcome   Action
	Decisions []Decision
	Findings  []Finding
	Lead      int
	// Unknown are the questions without an answer on which the outcome depends. The outcome is
	// then the mildest that it could be.
	Unknown []string
	// Unchecked says that the copies would be others than those that were made, or that none
	// were made: nobody knows what the leak check would find in them.
	Unchecked bool
}

// replayer asks rules about a record.
type replayer struct {
	r       *Record
	in      *Input
	digests Digests
	asked   map[string]bool
}

// Replayed decides about a recorded message under other rules. sender is who it is by the
// people of today, and classes who the recipients are.
func Replayed(rules []Rule, pr Practice, r *Record, sender Fact[Sender], classes []Class, digests Digests) (Replay, error) {
	p := &replayer{r: r, in: r.input(sender, classes), digests: digests, asked: map[string]bool{}}
	if _, err := check(p.in); err != nil {
		return Replay{}, err
	}
	var sure, maybe []Finding
	for _, r := range rules {
		s, m := p.rule(r)
		sure, maybe = append(sure, s...), append(maybe, m...)
	}
	many, err := tooManyClients(p.in, pr.ClientsPerMessage)
	if err != nil {
		return Replay{}, err
	}
	sure = append(sure, many...)
	// Stops only add, and never_hold only takes away: the strictest and the mildest answer to
	// what is unknown are bounds for all answers.
	strict, mild := slices.Clone(sure), slices.Clone(sure)
	for _, f := range maybe {
		s, m := f, f
		s.NeverHold = false
		m.Action, m.Edits, m.Separate, m.Bcc = Send, nil, false, false
		strict, mild = append(strict, s), append(mild, m)
	}
	out := p.join(mild, pr)
	if most := p.join(strict, pr); most.Outcome != out.Outcome {
		out.Unknown = sortedSet(p.asked)
	}
	return out, nil
}

// input is what of the message and the facts can be rebuilt.
func (r *Record) input(sender Fact[Sender], classes []Class) *Input {
	in := &Input{Env: &mail.Envelope{Recipients: make([]mail.Recipient, len(r.Recipients))},
		Facts: &Facts{At: r.At, Sender: sender, Recipients: make([]RecipientFacts, len(r.Recipients))}}
	for i, k := range r.Recipients {
		in.Env.Recipients[i].Address = mail.Address{LocalPart: "recipient-" + strconv.Itoa(k.Same), Domain: "recorded.invalid"}
		f := &in.Facts.Recipients[i]
		f.Class, f.Clients = Known(classes[i]), Fact[[]Client]{State: Absent}
		var clients []Client
		for n, c := range k.Clients {
			client := Client{Ref: strconv.Itoa(k.Same) + "." + strconv.Itoa(n), Discreet: c.Discreet, Country: c.Country}
			if c.Former {
				client.Status = "former"
			}
			if c.Age != nil {
				client.Born = r.At.AddDate(-*c.Age, 0, 0)
			}
			for _, p := range c.Consents {
				client.Consents = append(client.Consents, Consent{Purpose: p, GivenOn: r.At})
			}
			clients = append(clients, client)
		}
		if len(clients) > 0 {
			f.Clients = Known(clients)
		}
	}
	in.memory().kinds, in.memory().attached = r.Kinds, true
	return in
}

// rule returns what a rule says for sure, and what it says if what is unknown makes it apply.
func (p *replayer) rule(r Rule) (sure, maybe []Finding) {
	own, ok := r.(*rule)
	if !ok {
		return nil, nil
	}
	for i := range p.r.Recipients {
		f := own.made
		f.Rcpt = i
		on := p.all(own.spec.When, i)
		if len(own.spec.Unless) > 0 {
			on = min(on, yes-p.all(own.spec.Unless, i))
		}
		switch on {
		case yes:
			sure = append(sure, f)
		case unknown:
			maybe = append(maybe, f)
			eachCondition(append(slices.Clone(own.spec.When), own.spec.Unless...), func(c Condition) {
				if p.condition(c, i) == unknown {
					for _, q := range questions(c, p.digests) {
						p.asked[r.ID()+": "+inManagersWords(q)] = true
					}
				}
			})
		}
	}
	return sure, maybe
}

// inManagersWords leaves out the digest that tells one version of a list from another.
func inManagersWords(question string) string {
	what, rest, _ := strings.Cut(question, " ")
	if what == "mentions" {
		rest, _, _ = strings.Cut(rest, " ")
	}
	if what == "personal_contact" {
		return "contains personal_contact"
	}
	return what + " " + rest
}

func (p *replayer) all(cs []Condition, rcpt int) answer {
	out := yes
	for _, c := range cs {
		out = min(out, p.condition(c, rcpt))
	}
	return out
}

// condition answers from the record. A condition about people or the time is asked as ever.
func (p *replayer) condition(c Condition, rcpt int) answer {
	switch c := c.(type) {
	case All:
		return p.all(c.Conditions, rcpt)
	case Any:
		out := no
		for _, each := range c.Conditions {
			out = max(out, p.condition(each, rcpt))
		}
		return out
	case WordsMoreThan:
		return answerOf(p.r.Words > c.N)
	case SizeMoreThan:
		return answerOf(p.r.Size > c.Bytes)
	case Already:
		return answerOf(c.What == "signed" && p.r.Signed || c.What == "encrypted" && p.r.Encrypted)
	case SubjectStarts, Contains, PersonalContact, Mentions:
		return p.recorded(c, rcpt)
	}
	in := *p.in
	if _, ok := c.(Attachment); ok {
		in.Mail = &mail.Message{} // its attachments were counted
	}
	held, err := c.Holds(&in, rcpt)
	if err != nil {
		return unknown
	}
	return answerOf(held)
}

// recorded looks the answer up that was given when the content was there.
func (p *replayer) recorded(c Condition, rcpt int) answer {
	if s, ok := c.(SubjectStarts); ok && !p.r.Tagged && strings.HasPrefix(strings.TrimSpace(s.Prefix), "[") {
		if _, known := p.r.Answers[questions(c, p.digests)[0]]; !known {
			return no // the subject has no tag at all
		}
	}
	out := no
	for _, q := range questions(c, p.digests) {
		switch a := p.r.Answers[q]; {
		case rcpt >= len(a):
			out = max(out, unknown)
		case a[rcpt] == '1':
			out = yes
		}
	}
	return out
}

// join makes the outcome of findings, as [Run] does.
func (p *replayer) join(findings []Finding, pr Practice) Replay {
	var core []Finding
	out := Replay{}
	for i, k := range p.r.Recipients {
		edits := editsFor(findings, i)
		core = append(core, conflict(i, edits)...)
		if p.r.Signed || p.r.Encrypted {
			core = append(core, signedMail(i, edits)...)
		}
		separate, bcc := false, false
		for _, f := range findings {
			if f.concerns(i) {
				separate, bcc = separate || f.Separate, bcc || f.Bcc
			}
		}
		// A copy was checked where it left, and a copy with more taken out says no more.
		more := slices.DeleteFunc(slices.Clone(edits), func(e Edit) bool { return slices.Contains(k.Edits, e) })
		less := slices.ContainsFunc(k.Edits, func(e Edit) bool { return !slices.Contains(edits, e) })
		risky := slices.ContainsFunc(more, func(e Edit) bool { return e.Kind == EditPseudonymise || e.Kind == EditTrimQuotes })
		out.Unchecked = out.Unchecked || less || risky || k.Action > Lock || bcc != k.Bcc || (k.Separate && !separate)
	}
	core = append(core, p.stored(findings)...)
	findings = append(slices.Clone(findings), core...)
	never := undo(findings, len(p.r.Recipients))
	sortFindings(findings)
	out.Findings, out.Decisions = findings, decide(findings, len(p.r.Recipients))
	lockAll(pr, out.Findings, out.Decisions, func(i int) (who []means, why string) {
		if p.r.Signed || p.r.Encrypted {
			return nil, "the email is signed or encrypted by the mail app"
		}
		for _, c := range p.r.Recipients[i].Clients {
			who = append(who, means{c.Protection, c.Words, c.Key, ""})
		}
		return who, ""
	})
	if !pr.OnMixedSplit {
		holdAll(out.Findings, out.Decisions, never)
	}
	refuseAll(out.Findings, out.Decisions)
	if out.Outcome, out.Lead = outcome(out.Findings, out.Decisions); out.Outcome == Lock {
		out.Outcome, out.Lead = Send, -1
	}
	out.Unchecked = out.Unchecked && out.Outcome == Send
	return out
}

// stored are the findings of the core that only the content could give again.
func (p *replayer) stored(findings []Finding) []Finding {
	var out []Finding
	for _, k := range p.r.Findings {
		if k.Observed || !slices.Contains([]string{RuleReadable, RuleIdentity, RuleCannotChange, RuleLeak}, k.Rule) {
			continue
		}
		if k.Edit == EditTrimQuotes && k.Rcpt >= 0 && !slices.ContainsFunc(editsFor(findings, k.Rcpt), func(e Edit) bool { return e.Kind == k.Edit }) {
			continue // nobody asks for it any more
		}
		out = append(out, Finding{Rule: k.Rule, Rcpt: k.Rcpt, Action: k.Action, About: k.About, Reason: "Found when the email was sent"})
	}
	return out
}
