package httpd

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/store"
)

// livez says that the program runs and answers. It looks at nothing: what would make it say no
// is a reason to end the program, and then nobody answers at all.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}

// readiness is what /readyz says. The smarthost is no part of it: mail is taken while it is
// away.
type readiness struct {
	Ready    bool          `json:"ready"`
	Database string        `json:"database"` // ok | failing
	Policies string        `json:"policies"` // current | kept: the last reload, or the start, refused what lies in the files; the ones before decide
	Policy   string        `json:"policy"`   // digest of the policies that decide
	Since    time.Time     `json:"since"`    // when they came into force
	Reload   *reloadReport `json:"reload"`   // the last one since the program started, or what the start did with files that had changed
}

type reloadReport struct {
	At       time.Time `json:"at"`
	Result   string    `json:"result"` // taken | kept
	Changes  int       `json:"changes,omitempty"`
	Weaker   int       `json:"weaker,omitempty"`
	Why      string    `json:"why,omitempty"`
	Problems int       `json:"problems,omitempty"`
	Codes    []string  `json:"codes,omitempty"`
}

func (s *Server) readiness(ctx context.Context) readiness {
	r := readiness{Database: "ok", Policies: "current"}
	if s.probe.ask(ctx) != nil {
		r.Database = "failing"
	}
	f := s.cfg.Gateway.InForce()
	r.Policy, r.Since = f.Policy, f.Since.UTC()
	if f.Last != nil {
		r.Reload = reportOf(*f.Last)
		if !f.Last.Taken {
			r.Policies = "kept"
		}
	}
	r.Ready = r.Database == "ok" && !s.draining.Load()
	return r
}

func reportOf(l gateway.Reload) *reloadReport {
	r := &reloadReport{At: l.At.UTC(), Result: "taken", Changes: l.Changes, Weaker: l.Weaker, Why: l.Why, Problems: l.Problems, Codes: l.Codes}
	if !l.Taken {
		r.Result = "kept"
	}
	return r
}

// readyz says whether the gateway can take mail. Policies that are broken on disk are no
// reason to say no: the last good ones decide.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	st := s.readiness(r.Context())
	if st.Ready {
		writeJSON(w, "application/json", http.StatusOK, st)
		return
	}
	p := problem{Type: "unavailable", Status: http.StatusServiceUnavailable, Detail: "the gateway is stopping",
		Fix: "wait until it is started again", More: map[string]any{"ready": false, "database": st.Database,
			"policies": st.Policies, "policy": st.Policy, "since": st.Since, "reload": st.Reload}}
	if st.Database != "ok" {
		p.Detail, p.Fix = "the database cannot be written: mail apps are told to try again later", "look at the room on the disk, and at the gateway's log"
	}
	writeProblem(w, p)
}

const (
	// probeEvery is how long the database's last answer counts: a visitor who asks more often
	// causes no more writes.
	probeEvery = 2 * time.Second
	// probeTime is how long the database may take. A 250 that takes longer is of no use to a
	// monitor.
	probeTime = 5 * time.Second
)

// probe asks the store whether it can write, for all visitors at once.
type probe struct {
	store *store.Store
	now   func() time.Time

	mu  sync.Mutex
	at  time.Time
	err error
}

func (p *probe) ask(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := p.now().Sub(p.at); !p.at.IsZero() && age >= 0 && age < probeEvery {
		return p.err
	}
	// The answer is for others too: one visitor who leaves must not make it a no.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	p.err = p.store.Probe(ctx)
	p.at = p.now()
	return p.err
}
