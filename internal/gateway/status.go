package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

// Tally counts what was answered since the program started.
type Tally struct {
	Sent, Held, Refused uint64 // messages that were decided about and recorded
	Failed              uint64 // messages that were put off because of our own trouble (4yz)
}

// Tally returns what has been counted so far.
func (g *Gateway) Tally() Tally {
	return Tally{Sent: g.tally.sent.Load(), Held: g.tally.held.Load(), Refused: g.tally.refused.Load(), Failed: g.tally.failed.Load()}
}

type tally struct{ sent, held, refused, failed atomic.Uint64 }

// count takes the outcome of a message that is committed.
func (t *tally) count(outcome string) {
	switch outcome {
	case "send":
		t.sent.Add(1)
	case "hold":
		t.held.Add(1)
	case "refuse":
		t.refused.Add(1)
	}
}

// failure takes the error of a message that was read to its end.
func (t *tally) failure(err error) {
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.Internal, kind == fault.Unavailable, kind == fault.Conflict:
		t.failed.Add(1)
	}
}

// InForce says which policies decide now, and what became of the last reload.
type InForce struct {
	Policy      string    // the snapshot's id
	Since       time.Time // when that snapshot came into force
	Last        *Reload   // nil: nobody has reloaded since the program started, and it found the files as they were
	Taken, Kept uint64    // reloads since the program started, by what became of them; a start with changed files is one
}

// Reload is one attempt to bring changed policies into force. It says why they were not taken
// in codes and numbers, never in words of the files.
type Reload struct {
	At    time.Time
	Taken bool
	// Of policies that were taken: what they change, and how much of it protects less.
	Changes, Weaker int
	// Of policies that were not: the kind of reason, how many problems or failed tests there
	// are, and the codes of the problems, each once.
	Why      string
	Problems int
	Codes    []string
}

// InForce returns what holds now.
func (g *Gateway) InForce() InForce {
	g.inForce.Lock()
	defer g.inForce.Unlock()
	return g.inForce.InForce
}

// Reloaded notes what became of a reload. The policies themselves are swapped by SetPolicy.
func (g *Gateway) Reloaded(r Reload) {
	g.inForce.Lock()
	defer g.inForce.Unlock()
	r.At = g.now()
	g.inForce.Last = &r
	if r.Taken {
		g.inForce.Taken++
	} else {
		g.inForce.Kept++
	}
}

type inForce struct {
	sync.Mutex
	InForce
}

func (f *inForce) begin(id string, at time.Time) {
	f.Lock()
	defer f.Unlock()
	f.Policy, f.Since = id, at
}
