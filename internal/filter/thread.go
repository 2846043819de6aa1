package filter

import (
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/mail"
)

const (
	// maxChain is the longest chain of ids that is looked at. Nobody's thread is longer, and of
	// a longer one the parser does not keep every id.
	maxChain = 400
	// maxID is the longest Message-ID that leaves in a chain: with its brackets it stays on a
	// line (RFC 5322 §2.1.1).
	maxID = 900
)

// Thread is what is known about the ids that a message names in In-Reply-To and References.
type Thread struct {
	// Readers counts, for every id that came by here, the mailboxes that it went to.
	Readers map[string]int `json:"readers,omitempty"`
	// Saw says, as Envelope.Recipients, under which id each recipient saw a message. An id
	// whose copy for this recipient has not left yet stands for "".
	Saw []map[string]string `json:"saw,omitempty"`
}

// Chain returns the ids of In-Reply-To and References, each once. A chain that is too long to
// be anybody's thread is none.
func Chain(m *mail.Message) []string {
	if m == nil {
		return nil
	}
	seen := map[string]bool{}
	var out []string
	for _, ids := range [][]string{m.References, m.InReplyTo} {
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				out = append(out, id)
			}
		}
	}
	if len(out) > maxChain {
		return nil
	}
	return out
}

// thread writes the chain of one copy in the ids that its readers saw (architecture, Threading).
func (p *planner) thread(v *Variant) error {
	chain := Chain(p.in.Mail)
	if len(chain) == 0 {
		return nil
	}
	known, err := p.in.Facts.Thread.value()
	if err != nil {
		return err
	}
	if known.Saw != nil && len(known.Saw) != len(p.classes) {
		return errUnresolved
	}
	t := threader{planner: p, v: v, known: known, domain: p.in.Env.Reverse.Domain}
	if _, ok := v.Has(EditAlias); ok {
		who, err := p.in.Facts.Sender.value()
		if err != nil {
			return err
		}
		if t.aliased = !who.Alias.IsZero(); t.aliased {
			t.domain = who.Alias.Domain
		}
	}
	t.strangers = t.mayKeepStrangers(chain)
	v.InReplyTo, v.References = t.write(p.in.Mail.InReplyTo, chain), t.write(p.in.Mail.References, chain)
	return nil
}

// threader maps the ids of one copy.
type threader struct {
	*planner
	v         *Variant
	known     Thread
	domain    string // of the address that this copy comes from
	aliased   bool
	strangers bool // ids that nobody is known to have seen may stay
}

func (t *threader) write(ids, chain []string) []string {
	var out []string
	for _, id := range ids {
		// What is not in the chain was never looked up: it was too long.
		if !slices.Contains(chain, id) {
			return nil
		}
		if as := t.as(id); as != "" && !slices.Contains(out, as) {
			out = append(out, as)
		}
	}
	return out
}

// as returns how an id stands in this copy; empty: not at all.
func (t *threader) as(id string) string {
	if t.known.Readers[id] > 0 {
		as := t.seenByAll(id)
		if !plainID(as) || (t.aliased && t.atRealDomain(as)) {
			return ""
		}
		return as
	}
	if !t.strangers || !plainID(id) || (t.v.Show != ShowPractice && t.atRealDomain(id)) {
		return ""
	}
	return id
}

// seenByAll returns the id that everybody who gets this copy saw, if it is one and the same.
func (t *threader) seenByAll(id string) string {
	if t.known.Saw == nil {
		return ""
	}
	as := t.known.Saw[t.v.Rcpts[0]][id]
	for _, r := range t.v.Rcpts[1:] {
		if t.known.Saw[r][id] != as {
			return ""
		}
	}
	return as
}

// mayKeepStrangers reports whether ids that nobody is known to have seen may stay in this
// copy: they can only be this reader's then. A forward answers somebody else, a second client
// may be the one who wrote them, and so may whoever else saw an id of the chain.
func (t *threader) mayKeepStrangers(chain []string) bool {
	if len(t.v.Rcpts) != 1 || t.forward() || t.outsiders() > 1 {
		return false
	}
	for _, id := range chain {
		n := t.known.Readers[id]
		if n == 0 {
			continue
		}
		if n > 1 || t.known.Saw == nil {
			return false
		}
		if _, ours := t.known.Saw[t.v.Rcpts[0]][id]; !ours {
			return false
		}
	}
	return true
}

// forward reports whether the mail passes on what somebody else wrote, by its subject or by
// a message attached whole.
func (t *threader) forward() bool {
	if ParseSubject(t.in.Mail.Subject).Forward {
		return true
	}
	for part := range t.in.Mail.Parts() {
		if part.MediaType == "message/rfc822" || part.MediaType == "message/global" {
			return true
		}
	}
	return false
}

// outsiders counts the mailboxes in envelope and header that are not the practice's own. One
// that stands in the header only may be a client too: nobody looked.
func (t *threader) outsiders() int {
	seen := map[string]bool{}
	n := 0
	for i, r := range t.in.Env.Recipients {
		if k := r.Address.Key(); !seen[k] {
			seen[k] = true
			if t.classes[i] != ClassColleague {
				n++
			}
		}
	}
	for _, list := range [][]mail.Mailbox{t.in.Mail.To, t.in.Mail.Cc} {
		for _, m := range list {
			if k := m.Address.Key(); !seen[k] {
				seen[k] = true
				if !slices.Contains(t.practice.OwnDomains, m.Address.Domain) {
					n++
				}
			}
		}
	}
	return n
}

// atRealDomain reports whether an id was made at a domain of the practice other than the one
// that this copy comes from.
func (t *threader) atRealDomain(id string) bool {
	at := strings.ToLower(id[strings.LastIndexByte(id, '@')+1:])
	return at != t.domain && slices.ContainsFunc(t.practice.OwnDomains, func(own string) bool {
		return at == own || strings.HasSuffix(at, "."+own)
	})
}

// plainID reports whether an id can be written as it is (RFC 5322 §3.6.4): two halves of
// visible ASCII.
func plainID(id string) bool {
	if len(id) > maxID || strings.IndexByte(id, '@') < 1 || strings.HasSuffix(id, "@") {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}
