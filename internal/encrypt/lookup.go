package encrypt

import (
	"bytes"
	gocontext "context" // the package has a context of its own
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// Trust is how sure the practice is that a key is the client's. Policy names the level that a
// key must reach (key_trust). The zero value reaches nothing: a key from an Autocrypt header or
// a key server is that until a person has confirmed it.
type Trust uint8

// The levels, from none to most.
const (
	TrustNone      Trust = iota
	TrustWKD             // the client's own domain publishes it
	TrustConfirmed       // a person compared the fingerprint with the client
)

// String is the word of the policy files.
func (t Trust) String() string {
	switch t {
	case TrustWKD:
		return "wkd"
	case TrustConfirmed:
		return "confirmed"
	}
	return "none"
}

// ParseTrust reads a word of the policy files. A word that is not known is an error, never a
// lower level.
func ParseTrust(s string) (Trust, error) {
	switch s {
	case "wkd":
		return TrustWKD, nil
	case "confirmed":
		return TrustConfirmed, nil
	}
	return TrustNone, fmt.Errorf("encrypt: key trust is %q, not confirmed or wkd", s)
}

// Reaches reports whether a key of this level may be used where wanted is asked for.
func (t Trust) Reaches(wanted Trust) bool {
	return t != TrustNone && wanted != TrustNone && t >= wanted
}

// WKDURLs are where a domain publishes the key of an address: the advanced method, and the
// direct one, which counts only where the host of the first does not exist
// (draft-koch-openpgp-webkey-service §3.1).
func WKDURLs(a mail.Address) (advanced, direct string) {
	// The hash is over the local part in small letters; the part as written goes with it.
	sum := sha1.Sum([]byte(strings.Map(lowerASCII, a.LocalPart)))
	tail := "hu/" + zBase32(sum[:]) + "?l=" + url.QueryEscape(a.LocalPart)
	return "https://openpgpkey." + a.Domain + "/.well-known/openpgpkey/" + a.Domain + "/" + tail,
		"https://" + a.Domain + "/.well-known/openpgpkey/" + tail
}

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// zBase32 encodes by the alphabet of RFC 6189 §5.1.6.
func zBase32(b []byte) string {
	const letters = "ybndrfg8ejkmcpqxot1uwisza345h769"
	var out strings.Builder
	bits, n := uint(0), 0
	for _, c := range b {
		bits, n = bits<<8|uint(c), n+8
		for n >= 5 {
			n -= 5
			out.WriteByte(letters[bits>>n&31])
		}
	}
	if n > 0 {
		out.WriteByte(letters[bits<<(5-n)&31])
	}
	return out.String()
}

// VKSURL is where a verifying key server (keys.openpgp.org and its kind) has the key of an
// address. server is a host name.
func VKSURL(server string, a mail.Address) string {
	return "https://" + server + "/vks/v1/by-email/" + url.QueryEscape(a.String())
}

// Autocrypt is an Autocrypt header field (Autocrypt Level 1 §2.1).
type Autocrypt struct {
	Address       mail.Address
	PreferEncrypt bool // prefer-encrypt=mutual
	Key           *Key
}

// ParseAutocrypt reads the field's value. The caller compares the address with From, and takes
// none of several fields (§2.3). A key from here has [TrustNone].
func ParseAutocrypt(value string) (Autocrypt, error) {
	bad := errors.New("encrypt: not an Autocrypt field")
	var a Autocrypt
	var data string
	seen := map[string]bool{}
	for attr := range strings.SplitSeq(value, ";") {
		name, v, ok := strings.Cut(strings.TrimSpace(attr), "=")
		if strings.TrimSpace(attr) == "" && len(seen) > 0 {
			continue
		}
		name, v = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(v)
		if !ok || seen[name] {
			return Autocrypt{}, bad
		}
		seen[name] = true
		switch {
		case name == "addr":
			var err error
			if a.Address, err = mail.ParseAddress(v); err != nil {
				return Autocrypt{}, bad
			}
		case name == "prefer-encrypt":
			a.PreferEncrypt = v == "mutual"
		case name == "keydata":
			data = strings.Join(strings.Fields(v), "")
		case !strings.HasPrefix(name, "_"):
			return Autocrypt{}, bad // an attribute that is not known and says that it matters
		}
	}
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !seen["addr"] || len(b) == 0 || !isBinary(b) {
		return Autocrypt{}, bad
	}
	if a.Key, err = ParseKey(bytes.NewReader(b)); err != nil {
		return Autocrypt{}, err
	}
	return a, nil
}

const (
	// NoKey is a look-up that was answered, and there is no key.
	NoKey Reason = "no key is published for this address"
	// ForbiddenAddress is a host whose address is not in the public internet.
	ForbiddenAddress Reason = "key look-ups do not go into the local network"
)

// IsPublicAddress reports an address that a key may be fetched from. Names in other people's
// hands must not make the gateway talk to machines of its own network (SSRF).
func IsPublicAddress(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		// IPv6 that holds an IPv4 address, and what IANA keeps for special purposes.
		"::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
}

// PublicTransport is a transport that connects to public addresses only, on port 443, without a
// proxy. The check comes after the name was resolved and before the connection is made, so a
// name that resolves twice in two ways gains nothing.
func PublicTransport(resolver *net.Resolver) *http.Transport {
	return guardedTransport(resolver, func(a netip.AddrPort) bool { return a.Port() == 443 && IsPublicAddress(a.Addr()) })
}

func guardedTransport(resolver *net.Resolver, allow func(netip.AddrPort) bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Resolver: resolver, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !allow(a) {
			return ForbiddenAddress
		}
		return nil
	}}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
	}
}

// Fetch reads what is at an https address: at most as much as a key may have, within ten
// seconds, and without following anybody anywhere else.
func Fetch(ctx gocontext.Context, transport http.RoundTripper, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("encrypt: keys are fetched by https only")
	}
	ctx, cancel := gocontext.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt: look up a key: %w", err)
	}
	req.Header.Set("User-Agent", "") // says nothing
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &lookupError{err}
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, NoKey
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("encrypt: look up a key: answer %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyBytes+1))
	switch {
	case err != nil:
		return nil, &lookupError{err}
	case len(b) > maxKeyBytes:
		return nil, &KeyError{Fault: KeyTooLarge}
	}
	return b, nil
}

// lookupError keeps quiet about its cause: the text of that has the address that was asked for,
// with the client's domain and name in it.
type lookupError struct{ err error }

func (e *lookupError) Error() string { return "encrypt: look up a key: no answer" }
func (e *lookupError) Unwrap() error { return e.err }

// LookupWKD asks a client's own domain for the key (Web Key Directory). The key may be used at
// now, and has the address; its level is [TrustWKD].
func LookupWKD(ctx gocontext.Context, transport http.RoundTripper, a mail.Address, now time.Time) (*Key, error) {
	advanced, direct := WKDURLs(a)
	b, err := Fetch(ctx, transport, advanced)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		b, err = Fetch(ctx, transport, direct)
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, NoKey
		}
	}
	if err != nil {
		return nil, err
	}
	k, err := ParseKey(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return k, k.Check(a, now)
}
