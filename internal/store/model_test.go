package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/mail"
)

// conservation is the reference model of I4: who was accepted, and where each must stand.
type conservation struct {
	s      *Store
	c      *clock
	dir    string
	want   map[string]State // message/recipient
	claims []Job            // alive
	dead   []Job            // of a process or lease that is gone
	n      int
}

func key(id mail.ID, a mail.Address) string { return string(id) + " " + a.String() }

func TestConservation(t *testing.T) {
	t.Parallel()
	// Thousands of commits: in memory where there is such a directory. What this shows does
	// not depend on the disk.
	root := t.TempDir()
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		if d, err := os.MkdirTemp("/dev/shm", "store-test"); err == nil {
			root = d
			t.Cleanup(func() { os.RemoveAll(d) })
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "model")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &conservation{c: newClock(), dir: dir, want: make(map[string]State)}
		m.open(rt)
		defer func() { m.s.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"accept": m.accept,
			"claim":  m.claim,
			"finish": m.finish,
			"late":   m.late,
			"crash":  m.crash,
			"wait":   func(rt *rapid.T) { m.c.add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute) },
			"decide": m.decide,
		})
	})
}

func (m *conservation) open(rt *rapid.T) {
	s, err := Open(context.Background(), m.c.options(m.dir))
	if err != nil {
		rt.Fatal(err)
	}
	m.s = s
}

func (m *conservation) accept(rt *rapid.T) {
	m.n++
	id, err := mail.NewID(m.c.now(), bytes.NewReader(fmt.Appendf(nil, "%010d", m.n)))
	if err != nil {
		rt.Fatal(err)
	}
	a := Acceptance{Message: Message{ID: id, Kind: KindMail, Submitter: "maya", ReceivedAt: m.c.now(), Outcome: "send"}}
	who := 0
	for v := range rapid.IntRange(1, 3).Draw(rt, "jobs") {
		j := NewJob{Variant: v + 1, State: rapid.SampledFrom([]State{Queued, Queued, Held}).Draw(rt, "state")}
		for range rapid.IntRange(1, 4).Draw(rt, "recipients") {
			j.Recipients = append(j.Recipients, mail.Address{LocalPart: fmt.Sprintf("r%d", who), Domain: "example.org"})
			m.want[key(id, j.Recipients[len(j.Recipients)-1])] = j.State
			who++
		}
		a.Jobs = append(a.Jobs, j)
		a.Contents = append(a.Contents, Content{Variant: v + 1, Size: 4, Body: strings.NewReader("body")})
	}
	if err := m.s.Accept(context.Background(), a); err != nil {
		rt.Fatal(err)
	}
}

const modelLease = 30 * time.Minute

// expire does in the model what Claim does with leases that ran out.
func (m *conservation) expire() {
	m.claims = slices.DeleteFunc(m.claims, func(j Job) bool {
		if j.NextAt.After(m.c.now()) {
			return false
		}
		m.set(j, InDoubt)
		m.dead = append(m.dead, j)
		return true
	})
}

func (m *conservation) set(j Job, st State) {
	for _, a := range j.Recipients {
		m.want[key(j.Message, a)] = st
	}
}

func (m *conservation) claim(rt *rapid.T) {
	jobs, err := m.s.Claim(context.Background(), rapid.IntRange(1, 3).Draw(rt, "n"), modelLease)
	if err != nil {
		rt.Fatal(err)
	}
	m.expire()
	for _, j := range jobs {
		for _, a := range j.Recipients {
			if st := m.want[key(j.Message, a)]; st != Queued && st != InDoubt {
				rt.Fatalf("claimed %s, which is %s", key(j.Message, a), st)
			}
		}
		m.set(j, Sending)
		m.claims = append(m.claims, j)
	}
}

func (m *conservation) finish(rt *rapid.T) {
	if len(m.claims) == 0 {
		rt.Skip("nothing claimed")
	}
	i := rapid.IntRange(0, len(m.claims)-1).Draw(rt, "claim")
	j := m.claims[i]
	m.claims = slices.Delete(m.claims, i, i+1)
	var outs []Outcome
	for range j.Recipients {
		outs = append(outs, rapid.SampledFrom([]Outcome{OutDelivered, OutTransient, OutPermanent, OutUnknown}).Draw(rt, "outcome"))
	}
	next := m.c.now().Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "backoff")) * time.Minute)
	if err := m.s.Finish(context.Background(), j, results(outs...), next); err != nil {
		rt.Fatal(err)
	}
	for k, o := range outs {
		st, _ := stateOf(o)
		m.want[key(j.Message, j.Recipients[k])] = st
	}
}

// late finishes a claim that is dead: it must change nothing.
func (m *conservation) late(rt *rapid.T) {
	if len(m.dead) == 0 {
		rt.Skip("no dead claim")
	}
	j := rapid.SampledFrom(m.dead).Draw(rt, "dead")
	outs := slices.Repeat([]Outcome{OutDelivered}, len(j.Recipients))
	if err := m.s.Finish(context.Background(), j, results(outs...), m.c.now()); err == nil {
		rt.Fatalf("the late result of job %d, epoch %d, was taken", j.ID, j.Epoch)
	}
}

// crash forgets everything in memory. Every step of the store is one commit, so closing at
// any point leaves what a kill would leave.
func (m *conservation) crash(rt *rapid.T) {
	m.s.Close()
	for _, j := range m.claims {
		m.set(j, InDoubt)
	}
	m.dead = append(m.dead, m.claims...)
	m.claims = nil
	m.open(rt)
}

func (m *conservation) decide(rt *rapid.T) {
	items, err := m.s.Held(context.Background())
	if err != nil {
		rt.Fatal(err)
	}
	if len(items) == 0 {
		rt.Skip("nothing held")
	}
	it := rapid.SampledFrom(items).Draw(rt, "item")
	d := Decision{Message: it.Message.ID, By: "sam", Reason: "r", Release: rapid.Bool().Draw(rt, "release")}
	st := Cancelled
	var decided []mail.Address
	for i, j := range it.Jobs {
		for _, a := range j.Recipients {
			if d.Release && rapid.IntRange(0, 3).Draw(rt, "leave") == 0 {
				continue // stays held
			}
			decided = append(decided, a)
			if d.Release {
				v := 100 + m.n*10 + i
				m.n++
				d.Jobs = append(d.Jobs, NewJob{Variant: v, State: Queued, Recipients: []mail.Address{a}})
				d.Contents = append(d.Contents, Content{Variant: v, Size: 4, Body: strings.NewReader("body")})
				st = Queued
			}
		}
	}
	if err := m.s.Decide(context.Background(), d); err != nil {
		rt.Fatal(err)
	}
	for _, a := range decided {
		m.want[key(it.Message.ID, a)] = st
	}
}

// check compares the table with the model, and the fold of the audit with the table.
func (m *conservation) check(rt *rapid.T) {
	jobs, err := m.s.Jobs(context.Background(), JobFilter{})
	if err != nil {
		rt.Fatal(err)
	}
	got := make(map[string]State)
	table := make(map[string]State)
	for _, j := range jobs {
		table[itoa(j.ID)] = j.State
		for _, a := range j.Recipients {
			if old, twice := got[key(j.Message, a)]; twice {
				rt.Fatalf("%s is %s and %s", key(j.Message, a), old, j.State)
			}
			got[key(j.Message, a)] = j.State
		}
	}
	if len(got) != len(m.want) {
		rt.Fatalf("%d recipients stored, %d accepted", len(got), len(m.want))
	}
	for k, st := range m.want {
		if got[k] != st {
			rt.Fatalf("%s is %q, want %q", k, got[k], st)
		}
	}
	folded := foldAudit(rt, m.s)
	for id, st := range table {
		if folded[id] != st {
			rt.Fatalf("job %s is %s in the table and %q by the audit", id, st, folded[id])
		}
	}
	if len(folded) != len(table) {
		rt.Fatalf("%d jobs by the audit, %d in the table", len(folded), len(table))
	}
	if _, err := m.s.VerifyAudit(context.Background()); err != nil {
		rt.Fatal(err)
	}
}

// foldAudit replays the audit into the state of every job.
func foldAudit(rt *rapid.T, s *Store) map[string]State {
	out := make(map[string]State)
	if err := s.Audit(context.Background(), func(r Row) error {
		switch r.Kind {
		case "spooled":
			for f := range strings.FieldsSeq(r.Data["jobs"]) {
				p := strings.Split(f, ":")
				out[p[0]] = State(p[1])
			}
		case "attempt":
			out[r.Data["job"]] = Sending
		case "result", "in_doubt", "set_aside":
			out[r.Data["job"]] = State(r.Data["state"])
		case "refused":
			for id := range strings.FieldsSeq(r.Data["jobs"]) {
				out[id] = Cancelled
			}
		case "released":
			for id := range strings.FieldsSeq(r.Data["jobs"]) {
				delete(out, id)
			}
		}
		return nil
	}); err != nil {
		rt.Fatal(err)
	}
	return out
}
