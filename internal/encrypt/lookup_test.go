package encrypt_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
)

func TestWKDURLs(t *testing.T) {
	t.Parallel()
	// The example of draft-koch-openpgp-webkey-service §3.1.
	advanced, direct := encrypt.WKDURLs(address(t, "Joe.Doe@Example.ORG"))
	if advanced != "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe" ||
		direct != "https://example.org/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe" {
		t.Errorf("%s\n%s", advanced, direct)
	}
	if u := encrypt.VKSURL("keys.example", address(t, "robin+a@client.example")); u != "https://keys.example/vks/v1/by-email/robin%2Ba%40client.example" {
		t.Error(u)
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	none, wkd, sure := encrypt.TrustNone, encrypt.TrustWKD, encrypt.TrustConfirmed
	for _, c := range []struct {
		has, wants encrypt.Trust
		ok         bool
	}{{sure, sure, true}, {sure, wkd, true}, {wkd, wkd, true}, {wkd, sure, false}, {none, wkd, false}, {none, none, false}, {sure, none, false}} {
		if c.has.Reaches(c.wants) != c.ok {
			t.Errorf("%v for %v", c.has, c.wants)
		}
	}
	for _, w := range []encrypt.Trust{wkd, sure} {
		if got, err := encrypt.ParseTrust(w.String()); err != nil || got != w {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, bad := range []string{"", "none", "any", "WKD"} {
		if _, err := encrypt.ParseTrust(bad); err == nil {
			t.Errorf("%q is a level", bad)
		}
	}
}

func TestAutocrypt(t *testing.T) {
	t.Parallel()
	e := entity(t, client, clientConfig())
	data := base64.StdEncoding.EncodeToString(packetsOf(t, e, false))
	wrapped := data[:70] + "\r\n " + data[70:140] + "\r\n " + data[140:]
	for name, c := range map[string]struct {
		value string
		ok    bool
	}{
		"plain":                    {"addr=" + client + "; prefer-encrypt=mutual; keydata=" + wrapped, true},
		"an attribute to ignore":   {"addr=" + client + "; _x=y; prefer-encrypt=mutual; keydata=" + data + ";", true},
		"an attribute that counts": {"addr=" + client + "; x=y; keydata=" + data, false},
		"no address":               {"keydata=" + data, false},
		"no key":                   {"addr=" + client, false},
		"twice":                    {"addr=" + client + "; addr=" + client + "; keydata=" + data, false},
		"bad address":              {"addr=robin; keydata=" + data, false},
		"bad base64":               {"addr=" + client + "; keydata=!" + data, false},
		"private":                  {"addr=" + client + "; keydata=" + base64.StdEncoding.EncodeToString(packetsOf(t, e, true)), false},
		"armored":                  {"addr=" + client + "; keydata=" + base64.StdEncoding.EncodeToString(armored(t, "PGP PUBLIC KEY BLOCK", packetsOf(t, e, false))), false},
		"nothing":                  {"", false},
	} {
		a, err := encrypt.ParseAutocrypt(c.value)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if c.ok && (a.Address != address(t, client) || !a.PreferEncrypt || a.Key.Fingerprint() != public(t, e).Fingerprint()) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// Keys are fetched from the public internet only (SSRF): every row of the special-purpose
// registries, and addresses that hide one.
func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.1.1", "100.64.0.1", "100.127.255.255",
		"224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.192", "100.100.100.200",
		"::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
		"2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "100::1", "fec0::1", "5f00::1", "3fff::1",
	} {
		if encrypt.IsPublicAddress(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"} {
		if !encrypt.IsPublicAddress(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as not public", s)
		}
	}
	if encrypt.IsPublicAddress(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}

// wkdServer is a server on loopback; the transport goes there for every name, by way of a
// check of the address after the name was resolved, as the real one does.
func wkdServer(t *testing.T, handler http.HandlerFunc) (*http.Transport, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	port := netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
	tr := encrypt.GuardedTransport(nil, func(a netip.AddrPort) bool { return a.Addr().IsLoopback() && a.Port() == port })
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "openpgpkey.absent.example") || strings.HasPrefix(addr, "nowhere.example") {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}}
		}
		return dial(ctx, network, s.Listener.Addr().String())
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	// The server's certificate is for example.com; the test asks for other names.
	tr.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: "example.com"}
	return tr, tr.TLSClientConfig
}

func TestLookupWKD(t *testing.T) {
	t.Parallel()
	e, old := entity(t, client, clientConfig()), clientConfig()
	old.KeyLifetimeSecs = 60
	var seen atomic.Value
	answer := func(b []byte, status int) (*encrypt.Key, error) {
		tr, _ := wkdServer(t, func(w http.ResponseWriter, r *http.Request) {
			seen.Store(r.Host + r.URL.String() + r.UserAgent())
			w.WriteHeader(status)
			w.Write(b)
		})
		return encrypt.LookupWKD(t.Context(), tr, address(t, client), now())
	}
	k, err := answer(packetsOf(t, e, false), 200)
	advanced, _ := encrypt.WKDURLs(address(t, client))
	if err != nil || k.Fingerprint() != public(t, e).Fingerprint() || "https://"+seen.Load().(string) != advanced {
		t.Errorf("%v, asked for %v", err, seen.Load())
	}
	if _, err := answer(nil, 404); !errors.Is(err, encrypt.NoKey) {
		t.Errorf("%v", err)
	}
	var bad *encrypt.KeyError
	for name, c := range map[string]struct {
		b    []byte
		want encrypt.KeyFault
	}{
		"somebody else's": {packetsOf(t, entity(t, "sam@client.example", clientConfig()), false), encrypt.KeyWrongUserID},
		"expired":         {packetsOf(t, entity(t, client, old), false), encrypt.KeyExpired},
		"a page":          {[]byte("<html>not here</html>"), encrypt.KeyUnreadable},
		"endless":         {make([]byte, 3<<20), encrypt.KeyTooLarge},
	} {
		if _, err := answer(c.b, 200); !errors.As(err, &bad) || bad.Fault != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := answer(nil, 500); err == nil || errors.Is(err, encrypt.NoKey) {
		t.Errorf("%v", err)
	}
}

// Only where the host of the advanced method does not exist the domain itself is asked.
func TestLookupWKDDirect(t *testing.T) {
	t.Parallel()
	e := entity(t, "kim@absent.example", clientConfig())
	var hosts []string
	tr, _ := wkdServer(t, func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		w.Write(packetsOf(t, e, false))
	})
	if _, err := encrypt.LookupWKD(t.Context(), tr, address(t, "kim@absent.example"), now()); err != nil || len(hosts) != 1 || hosts[0] != "absent.example" {
		t.Errorf("%v, asked %v", err, hosts)
	}
}

func TestFetchGoesNowhereElse(t *testing.T) {
	t.Parallel()
	tr, _ := wkdServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "https://client.example/key", http.StatusFound)
			return
		}
		w.Write([]byte("secret of the local network"))
	})
	if b, err := encrypt.Fetch(t.Context(), tr, "https://client.example/moved"); err == nil {
		t.Errorf("followed to %q", b)
	}
	if b, err := encrypt.Fetch(t.Context(), tr, "https://client.example/key"); err != nil || len(b) == 0 {
		t.Errorf("%q, %v", b, err)
	}
	for _, u := range []string{"http://client.example/key", "ftp://client.example/", "file:///etc/passwd", "https://user:pw@client.example/", "https:///key", "::"} {
		if _, err := encrypt.Fetch(t.Context(), tr, u); err == nil {
			t.Errorf("%s is fetched", u)
		}
	}
	// The real transport, against names and literals of this very machine.
	var reached atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(s.Close)
	real := encrypt.PublicTransport(nil)
	for _, u := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), "https://127.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := encrypt.Fetch(ctx, real, u)
		cancel()
		if !errors.Is(err, encrypt.ForbiddenAddress) {
			t.Errorf("%s: %v", u, err)
		}
		if err != nil && (strings.Contains(err.Error(), "latest") || strings.Contains(err.Error(), "127")) {
			t.Errorf("the error repeats the address: %v", err)
		}
	}
	if reached.Load() != 0 {
		t.Error("a server on loopback was reached")
	}
	if real.Proxy != nil {
		t.Error("a proxy would resolve names itself")
	}
}

// A server that never ends is left.
func TestFetchEnds(t *testing.T) {
	t.Parallel()
	tr, _ := wkdServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := encrypt.Fetch(ctx, tr, "https://client.example/key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
