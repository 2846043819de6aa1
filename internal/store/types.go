package store

import (
	"io"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// Kind says what a stored message is.
type Kind string

// The kinds of stored message.
const (
	KindMail   Kind = "mail"
	KindNotice Kind = "notice"
	KindDSN    Kind = "dsn"
)

// State is where one job stands. Every accepted (message, recipient) is in exactly one (I4).
type State string

// The states of a job.
const (
	Queued    State = "queued"
	Held      State = "held"
	Sending   State = "sending"  // attempt recorded, not yet finished
	InDoubt   State = "in_doubt" // may have been delivered; the choice to send again is recorded
	Delivered State = "delivered"
	Failed    State = "failed"    // permanently; the submitter was told in the same transaction
	Cancelled State = "cancelled" // by a person (refuse) or by expiry
)

// Message is the row of an accepted or refused message, without its content.
type Message struct {
	ID         mail.ID   `json:"id"`
	Kind       Kind      `json:"kind"`
	Submitter  string    `json:"submitter"` // id in people.yaml; empty for notices and DSNs
	ReceivedAt time.Time `json:"received_at"`
	Policy     string    `json:"policy"`
	Digest     [32]byte  `json:"digest"` // SHA-256 of the bytes as received
	Size       int64     `json:"size"`
	Outcome    string    `json:"outcome"`         // send, hold or refuse
	About      mail.ID   `json:"about,omitempty"` // of a notice or DSN: the message it is about
}

// Content is one stored version of a message. Variant 0 is the message as received (kept
// while anything is held); 1 and up are the copies that leave.
type Content struct {
	Variant int
	Size    int64
	Body    io.ReaderAt
}

// NewJob is one delivery to be made: one SMTP transaction.
type NewJob struct {
	Variant    int
	Reverse    mail.Address // zero: null reverse-path
	Recipients []mail.Address
	Codes      []string // how people speak of the recipients: C-0142, colleague, ...
	State      State    // Queued or Held
	NotBefore  time.Time
	UTF8       bool   // needs SMTPUTF8
	Seen       []Seen // the ids under which the recipients see this message, and those of its thread
}

// Event is one audit row to be written in the same transaction. Data holds digests, codes
// and rule ids, never content, names or addresses.
type Event struct {
	Kind  string            `json:"kind"`
	Actor string            `json:"actor"`
	Data  map[string]string `json:"data,omitempty"`
}

// Acceptance is everything that one answer of 250 (or one refusal) promises. It is committed
// in one transaction, with the acceptances in Also (notices).
type Acceptance struct {
	Message  Message
	Sealed   []byte // envelope and plan as JSON; sealed under the message's key
	Facts    *Facts // of an email
	Contents []Content
	Jobs     []NewJob
	Events   []Event
	Also     []Acceptance
}

// Job is one delivery as claimed. Epoch fences it: a late result of a dead claim is refused.
type Job struct {
	ID         int64          `json:"id"`
	Message    mail.ID        `json:"message"`
	Kind       Kind           `json:"kind"`
	Submitter  string         `json:"submitter"`
	Variant    int            `json:"variant"`
	Reverse    mail.Address   `json:"-"`
	Recipients []mail.Address `json:"-"`
	Codes      []string       `json:"codes"`
	UTF8       bool           `json:"utf8,omitempty"`
	State      State          `json:"state"`
	Attempts   int            `json:"attempts"` // counting the one that this claim begins
	Epoch      int64          `json:"epoch"`
	AcceptedAt time.Time      `json:"accepted_at"`
	NextAt     time.Time      `json:"next_at"`
	Last       string         `json:"last,omitempty"` // last status, "4.3.0"; never upstream text
	About      mail.ID        `json:"about,omitempty"`

	key *dataKey // of the message
}

// Outcome is what one attempt came to for one recipient.
type Outcome string

// The outcomes of an attempt.
const (
	OutDelivered Outcome = "delivered"
	OutTransient Outcome = "transient"
	OutPermanent Outcome = "permanent"
	OutUnknown   Outcome = "unknown" // the reply to the final dot was lost
)

// Result is the outcome for one recipient of a job, in the order of Job.Recipients.
type Result struct {
	Outcome Outcome
	Status  fault.Status
	Reply   string // upstream's text, control characters removed, bounded; kept sealed, shown only in DSNs
	Remote  string // the smarthost's name
}

// Decision is what a person decided about a held message.
type Decision struct {
	Message mail.ID
	By      string // person id
	Reason  string // sealed with the message, not in the audit
	// Release: the held jobs are replaced by these contents and jobs. Refuse: the held jobs
	// are cancelled and Contents and Jobs are empty.
	Release bool
	// Again: nothing of it goes and nothing is stopped; only the account is a new one.
	Again    bool
	Sealed   []byte // new envelope-and-plan JSON; nil: unchanged
	Contents []Content
	Jobs     []NewJob
	Events   []Event
	Also     []Acceptance
}
