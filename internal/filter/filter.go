// Package filter is the pure core: it turns a message and the facts about it into a plan.
//
// It owns the built-in conditions and verbs, the join of all findings (strictest wins), the
// plan of who gets which copy, and the leak check over what is about to leave. It never does
// I/O beyond reading the message it was given, never reads the clock, never logs and never
// changes the message. The same input always gives the same plan.
package filter

import (
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// State says how much is known about a fact.
type State uint8

// The states. Unresolved is the zero value: to read such a fact is a programming error and
// makes the rule fail, which holds the message.
const (
	Unresolved State = iota
	Absent
	Present
	Unavailable // the source could not be read: never treated as harmless
)

// Fact is a value looked up outside the core, with the state of the look-up.
type Fact[T any] struct {
	State State `json:"state"`
	Value T     `json:"value,omitempty"`
}

// Known returns a present fact.
func Known[T any](v T) Fact[T] { return Fact[T]{State: Present, Value: v} }

// Class says who a recipient is to the practice.
type Class string

// The classes; strictest first where more than one fits (a client at a practice domain is a client).
const (
	ClassClient    Class = "client"
	ClassColleague Class = "colleague" // the practice's own people and domains
	ClassContact   Class = "contact"   // known, neither client nor our own: not_clients, contacts
	ClassUnknown   Class = "unknown"
)

// Consent is one valid-or-not grant in the ledger.
type Consent struct {
	Purpose   string    `json:"purpose"`
	GivenOn   time.Time `json:"given_on"`
	ExpiresOn time.Time `json:"expires_on"` // zero: does not expire
	Withdrawn bool      `json:"withdrawn,omitempty"`
}

// Client is what the register knows about a person whom the practice supports.
type Client struct {
	Ref          string         `json:"ref"` // C-0142
	Name         string         `json:"name,omitempty"`
	Email        []mail.Address `json:"email,omitempty"`
	Mobile       []string       `json:"mobile,omitempty"` // E.164
	Born         time.Time      `json:"born,omitzero"`    // zero: unknown
	Country      string         `json:"country,omitempty"`
	Nation       string         `json:"nation,omitempty"`
	Language     string         `json:"language,omitempty"`
	Timezone     string         `json:"timezone,omitempty"`
	Status       string         `json:"status,omitempty"`   // "", active or former
	Discreet     *bool          `json:"discreet,omitempty"` // nil: clients.yaml's default
	Word         string         `json:"word,omitempty"`     // recognition word in a subject
	Protection   string         `json:"protection,omitempty"`
	HasWords     bool           `json:"has_words,omitempty"`    // a phrase is on file that opens locked documents
	HasKey       bool           `json:"has_key,omitempty"`      // so is a PGP key that can be encrypted to
	KeyFault     string         `json:"key_fault,omitempty"`    // why there is a key and it cannot be used
	Practitioner string         `json:"practitioner,omitempty"` // id in people.yaml
	Groups       []string       `json:"groups,omitempty"`
	Consents     []Consent      `json:"consents,omitempty"`
}

// Agreed reports whether the client has a consent for purpose that is valid at that moment.
func (c *Client) Agreed(purpose string, at time.Time) bool {
	for _, k := range c.Consents {
		if k.Purpose == purpose && !k.Withdrawn && !k.GivenOn.After(at) && (k.ExpiresOn.IsZero() || at.Before(k.ExpiresOn)) {
			return true
		}
	}
	return false
}

// Age returns the age in whole years at that moment, and whether the birth date is known.
func (c *Client) Age(at time.Time) (int, bool) {
	if c.Born.IsZero() {
		return 0, false
	}
	y := at.Year() - c.Born.Year()
	if at.Month() < c.Born.Month() || (at.Month() == c.Born.Month() && at.Day() < c.Born.Day()) {
		y--
	}
	return y, true
}

// RecipientFacts is what is known about one recipient of the envelope.
type RecipientFacts struct {
	Class   Fact[Class]    `json:"class"`
	Clients Fact[[]Client] `json:"clients"` // everybody registered at this mailbox; Absent: nobody
}

// Sender is the signed-in person or system.
type Sender struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	System    bool         `json:"system,omitempty"`
	May       []string     `json:"may"`
	Real      mail.Address `json:"real"`  // signs_in_as
	Alias     mail.Address `json:"alias"` // clients_see.address; zero: none
	AliasName string       `json:"alias_name"`
}

// Release is a person's decision to let held findings pass. All is the dry run of explain
// --released: every hold passes.
type Release struct {
	By     string   `json:"by"`
	Reason string   `json:"reason"`
	Digest [32]byte `json:"digest"` // of the message that was shown
	Waived []Waived `json:"waived"`
	All    bool     `json:"all,omitempty"`
	// MustLock are the recipients whose copy was held because it must be locked, -1 for all: whatever
	// has changed since, in the policies or in the register, it leaves locked or not at all.
	MustLock []int `json:"must_lock,omitempty"`
}

// Waived names one finding that a release lets pass; of the leak check only what was shown.
type Waived struct {
	Rule     string   `json:"rule"`
	Rcpt     int      `json:"rcpt"`
	Channels []string `json:"channels,omitempty"`
}

// Facts are all look-ups that the rules of a snapshot need, made in one batch.
type Facts struct {
	At         time.Time        `json:"at"` // every fact is true at this moment
	Sender     Fact[Sender]     `json:"sender"`
	Recipients []RecipientFacts `json:"recipients"` // as Envelope.Recipients
	Thread     Fact[Thread]     `json:"thread"`     // Absent: the message names no ids, or nobody knows one
	Release    *Release         `json:"release,omitempty"`
}

// Need is a set of things that a rule must know.
type Need uint16

// What a rule may need.
const (
	NeedContent Need = 1 << iota // the message itself; without it the rule also runs at RCPT
	NeedClients
	NeedConsents
)

// Input is everything a rule may look at. Mail is nil at RCPT time.
type Input struct {
	Env   *mail.Envelope
	Mail  *mail.Message
	Facts *Facts

	memo *memo // tokens of the new text, made once
}

// Action is what a finding asks for; the strictest of all wins.
type Action uint8

// From letting pass to stopping.
const (
	Send Action = iota
	Lock
	Hold
	Refuse
)

// About says what a rule protects. never_hold undoes only holds about tone.
type About string

// The two kinds of rule.
const (
	Safety About = "safety"
	Tone   About = "tone"
)

// EditKind names a change to a copy of the message.
type EditKind string

// The edits; Render applies them in this fixed order, whatever the order of the rules.
const (
	EditNeutralFilenames         EditKind = "neutral_filenames"
	EditRemoveIdentifyingHeaders EditKind = "remove_identifying_headers"
	EditNeutralFirstLine         EditKind = "neutral_first_line"
	EditCrisisSignature          EditKind = "crisis_signature"
	EditRemoteContent            EditKind = "remove_remote_content" // no rule asks for it: see Run
	EditTrimQuotes               EditKind = "trim_quotes"
	EditRemoveKisses             EditKind = "remove_kisses"
	EditPseudonymise             EditKind = "pseudonymise"
	EditExpectationLine          EditKind = "expectation_line"
	EditSignature                EditKind = "signature" // Arg: template name
	EditSubject                  EditKind = "subject"   // Arg: template name
	EditAlias                    EditKind = "use_alias" // From, Reply-To and reverse-path
)

// Edit is one change asked for by a verb.
type Edit struct {
	Kind EditKind `json:"kind"`
	Arg  string   `json:"arg,omitempty"`
}

// Evidence says where a finding was seen, never what was seen.
type Evidence struct {
	Path   string   `json:"path"`
	Offset int64    `json:"offset"`
	Digest [32]byte `json:"digest"`
}

// Finding is what one rule says about one recipient.
type Finding struct {
	Rule      string            `json:"rule"`
	Rcpt      int               `json:"rcpt"` // index in Envelope.Recipients; -1: the whole message
	Action    Action            `json:"action"`
	About     About             `json:"about"`
	Status    fault.Status      `json:"status,omitzero"`
	Text      string            `json:"text,omitempty"`   // id of texts: M05
	Reason    string            `json:"reason,omitempty"` // public: the rule's name and because; never the matched text
	Edits     []Edit            `json:"edits,omitempty"`
	Separate  bool              `json:"separate,omitempty"`
	Bcc       bool              `json:"bcc,omitempty"`
	NeverHold bool              `json:"never_hold,omitempty"`
	HoldFor   string            `json:"hold_for,omitempty"` // person id
	LockAs    string            `json:"lock_as,omitempty"`  // the way that the rule names; empty: the client's own
	Tell      []string          `json:"tell,omitempty"`     // person ids or roles
	Fixed     bool              `json:"fixed,omitempty"`    // always_enforce, hold_for or leak: never self-released
	Observed  bool              `json:"observed,omitempty"` // mode: observe; reported, without effect
	Waived    bool              `json:"waived,omitempty"`   // let pass by a release
	Undone    bool              `json:"undone,omitempty"`   // a hold about tone, let pass by never_hold
	Evidence  []Evidence        `json:"evidence,omitempty"`
	Channels  []string          `json:"channels,omitempty"` // of the leak check: in which ways somebody shows
	Values    map[string]string `json:"values,omitempty"`   // for the text: codes, counts, limits; never names or addresses of clients
}

// Decision is the joined outcome for one recipient.
type Decision struct {
	Rcpt   int    `json:"rcpt"`
	Action Action `json:"action"`
	Lead   int    `json:"lead"` // index in Plan.Findings of the finding that decided; -1: none
}

// Show says how the recipients of a variant appear in it.
type Show string

// How To and Cc are written.
const (
	ShowOne         Show = "one"         // a client or unknown person: that mailbox alone
	ShowGroup       Show = "group"       // an agreed group: To and Cc as written, cut down to the group
	ShowUndisclosed Show = "undisclosed" // bcc: undisclosed-recipients:;
	ShowPractice    Show = "practice"    // own people: To and Cc as written
	ShowContact     Show = "contact"     // another known non-client: To and Cc as written, minus clients
)

// Audience is what the wording of a copy may depend on: values equal for all its recipients.
type Audience struct {
	Class        Class     `json:"class"`
	Refs         []string  `json:"refs,omitempty"` // codes of the clients who get it
	Discreet     bool      `json:"discreet,omitempty"`
	Word         string    `json:"word,omitempty"`
	YoungestBorn time.Time `json:"youngest_born,omitzero"` // zero: unknown for at least one
	AgeKnown     bool      `json:"age_known,omitempty"`
	Country      string    `json:"country,omitempty"` // empty: differs or unknown
	Nation       string    `json:"nation,omitempty"`
	Language     string    `json:"language,omitempty"`
	Timezone     string    `json:"timezone,omitempty"`
}

// Variant is one message that will be made: one recipient, an agreed group, or a bcc send.
type Variant struct {
	Rcpts  []int          `json:"rcpts"` // indexes in Envelope.Recipients
	Action Action         `json:"action"`
	Show   Show           `json:"show"`
	To     []mail.Address `json:"to"` // what the copy's header shows
	Cc     []mail.Address `json:"cc,omitempty"`
	Edits  []Edit         `json:"edits,omitempty"` // merged over all findings, in rank
	// Protection is how a copy is locked whose action is Lock: pdf, docx, zip or pgp.
	Protection string `json:"protection,omitempty"`

	Whole    bool     `json:"whole,omitempty"` // signed or encrypted: the body is copied whole, no text edit
	Audience Audience `json:"audience"`

	// The chain of the thread in the ids that these readers saw, without angle brackets.
	InReplyTo  []string `json:"in_reply_to,omitempty"`
	References []string `json:"references,omitempty"`
}

// Has reports whether the variant asks for that edit, and its argument.
func (v *Variant) Has(k EditKind) (arg string, ok bool) {
	for _, e := range v.Edits {
		if e.Kind == k {
			return e.Arg, true
		}
	}
	return "", false
}

// Plan is the outcome for a message: data only. It is stored with the message and can be
// replayed.
type Plan struct {
	Policy    string     `json:"policy"`  // snapshot id
	Outcome   Action     `json:"outcome"` // strictest of all decisions; a lock that can be done counts as Send
	Lead      int        `json:"lead"`    // index of the finding that decided the outcome; -1: none
	Decisions []Decision `json:"decisions"`
	Variants  []Variant  `json:"variants"` // none when refused
	Findings  []Finding  `json:"findings"`
	Urgent    bool       `json:"urgent,omitempty"` // danger words, and still held: lead told at once
	Tell      []string   `json:"tell,omitempty"`   // person ids or roles, sorted, without repeats
}

// Rule is one rule of a snapshot. Needs is static. An error from Eval means that the rule
// could not be evaluated: the message is held, or answered 451 when the kind is Unavailable.
type Rule interface {
	ID() string
	Needs() Need
	Eval(in *Input) ([]Finding, error)
}

// Practice is the part of the policies that is not a rule but decides the plan.
type Practice struct {
	Policy            string // snapshot id
	OnMixedSplit      bool   // on_mixed: split
	ClientsPerMessage int    // organisation limits; 0: none
	DiscreetByDefault bool
	UnknownIsAdult    bool     // clients_are: adults
	Protection        string   // how clients' mail is locked where the register says nothing: locked_pdf, ...
	GroupConsent      string   // purpose that lets clients see each other: group_email
	OwnDomains        []string // organisation domains, lower-case A-labels
}
