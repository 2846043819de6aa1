package store

import (
	"context"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// Fixture answers from a list of clients instead of a database: for explain and for the
// tests of policies.
type Fixture struct {
	at    time.Time
	by    map[string][]filter.Client
	words map[string]string // by code
	watch *filter.Watch
}

// NewFixture returns a register of these clients, at that moment.
func NewFixture(clients []filter.Client, at time.Time) *Fixture {
	f := &Fixture{at: at, by: make(map[string][]filter.Client), words: make(map[string]string), watch: filter.NewWatch(clients)}
	for _, c := range clients {
		seen := make(map[string]bool)
		for _, a := range c.Email {
			if k := a.Key(); !seen[k] {
				seen[k] = true
				f.by[k] = append(f.by[k], c)
			}
		}
	}
	return f
}

// Resolve does what Store.Resolve does. A fixture knows no thread.
func (f *Fixture) Resolve(_ context.Context, e *mail.Envelope, _ *mail.Message, need filter.Need) (*filter.Facts, error) {
	facts := &filter.Facts{At: f.at, Thread: filter.Fact[filter.Thread]{State: filter.Absent}, Recipients: make([]filter.RecipientFacts, len(e.Recipients))}
	for i, r := range e.Recipients {
		clients := append([]filter.Client(nil), f.by[r.Address.Key()]...)
		if need&filter.NeedConsents == 0 {
			for k := range clients {
				clients[k].Consents = nil
			}
		}
		facts.Recipients[i].Clients = clientsFact(clients, false)
	}
	return facts, nil
}

// Watch does what Store.Watch does.
func (f *Fixture) Watch(context.Context) (*filter.Watch, error) { return f.watch, nil }

// SetWords gives a client a phrase; HasWords is for the list that the fixture is made of to say.
func (f *Fixture) SetWords(ref, words string) { f.words[ref] = words }

// Words does what Store.Words does.
func (f *Fixture) Words(_ context.Context, ref string) (string, error) { return f.words[ref], nil }

// RecipientKey does what Store.RecipientKey does: a fixture has no keys.
func (f *Fixture) RecipientKey(context.Context, string, time.Time) (*encrypt.Key, error) {
	return nil, nil
}

// RoleKey does what Store.RoleKey does: a fixture has no keys.
func (f *Fixture) RoleKey(context.Context, mail.Address, string) (*encrypt.Key, error) {
	return nil, notFound("key")
}

// Merge gives clients of a file the consents of a file, checked as an import would.
func Merge(clients []ClientRow, consents []ConsentRow, purposes Purposes, at time.Time) ([]filter.Client, error) {
	out := FilterClients(clients)
	by := make(map[string]int, len(out))
	for i := range out {
		by[out[i].Ref] = i
	}
	var problems RowProblems
	for n, c := range consents {
		p := checkConsent(&c, purposes, at)
		i, ok := by[c.Ref]
		if !ok && c.Ref != "" {
			p = append(p, RowProblem{Column: "ref", Problem: c.Ref + " is not in the register"})
		}
		for _, q := range p {
			q.Row = rowOf(c.row, n)
			problems = append(problems, q)
		}
		if len(p) == 0 {
			c.complete(purposes)
			out[i].Consents = append(out[i].Consents, filter.Consent{Purpose: c.Purpose, GivenOn: c.GivenOn, ExpiresOn: c.ExpiresOn})
		}
	}
	if len(problems) > 0 {
		return nil, problems.fault()
	}
	return out, nil
}
