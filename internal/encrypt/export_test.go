package encrypt

import (
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/ProtonMail/gopenpgp/v2/crypto"
)

// PeerProgram is peerProgram for the tests that see the package from outside.
func PeerProgram(t testing.TB, name string) string { return peerProgram(t, name) }

// GuardedTransport lets a test reach its own server on loopback.
func GuardedTransport(resolver *net.Resolver, allow func(netip.AddrPort) bool) *http.Transport {
	return guardedTransport(resolver, allow)
}

// SessionKey is what the proof holds, so that a test can make with it what a broken writer could.
func (p *Proof) SessionKey() *crypto.SessionKey { return p.session }
