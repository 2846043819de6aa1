package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/policy"
)

// The doc comments of Config and of the structs in it are the reference of gateway.yaml:
// gateway.sample.yaml is made from them, and a test fails when it is stale.

// Config is gateway.yaml: where the gateway listens, where mail leaves to, where things are.
// What may leave, and how it is changed, is not here; that is the policies' business.
// Paths are relative to the file; every value can come from the environment instead, as
// GATEWAY_ and its path in capitals (GATEWAY_SMARTHOST_URL).
type Config struct {
	// The name that this gateway goes by: in its greeting, in Received and in Message-ID.
	Hostname string `yaml:"hostname"`
	// Database, keys and certificates. Made with mode 0700 when it is not there.
	Data string `yaml:"data"`
	// Empty: SQLite in data. This version has no other database.
	Database string `yaml:"database"`
	// The directory of the policy files.
	Policies string `yaml:"policies"`
	// Where mail apps submit mail. tls is starttls (RFC 6409) or implicit (RFC 8314);
	// nobody signs in without TLS on either.
	Listen []ListenConfig `yaml:"listen"`
	// The certificate that mail apps see, PEM files. Empty: a self-signed one is made in
	// data, with a warning.
	TLS TLSConfig `yaml:"tls"`
	// What one message, one address and all together may ask for.
	Limits LimitsConfig `yaml:"limits"`
	// Where mail leaves to.
	Smarthost SmarthostConfig `yaml:"smarthost"`
	// Health and figures of the running service over HTTP: /livez, /readyz and /metrics.
	HTTP HTTPConfig `yaml:"http"`
	// Keys outside the policies.
	Secrets SecretsConfig `yaml:"secrets"`
	// The gateway's own log, on standard error: ids and codes, never content or addresses.
	Log LogConfig `yaml:"log"`
}

// ListenConfig is one listener.
type ListenConfig struct {
	// Host and port.
	Address string `yaml:"address"`
	// starttls or implicit.
	TLS string `yaml:"tls"`
}

// TLSConfig names a certificate and its key.
type TLSConfig struct {
	// Certificate chain.
	Cert string `yaml:"cert"`
	// Private key.
	Key string `yaml:"key"`
}

// LimitsConfig bounds what a submission may cost.
type LimitsConfig struct {
	// Largest message, offered as SIZE. B, KB, MB (1,000,000) or MiB (1,048,576).
	MessageBytes Size `yaml:"message_bytes"`
	// Most recipients of one message; the next one is answered 452.
	Recipients int `yaml:"recipients"`
	// Most connections at once.
	Connections int `yaml:"connections"`
	// Most connections at once from one address.
	ConnectionsPerIP int `yaml:"connections_per_ip"`
}

// SmarthostConfig is the server that takes our mail on.
type SmarthostConfig struct {
	// smtp://host:port (STARTTLS) or smtps://host:port (TLS at once).
	URL string `yaml:"url"`
	// Sign-in at the smarthost. Empty: none.
	Username string `yaml:"username"`
	// A file that holds the password and nothing else.
	PasswordFile string `yaml:"password_file"`
	// required (the certificate is verified; never a downgrade), opportunistic, or none
	// (loopback only).
	TLS string `yaml:"tls"`
	// PEM file of the authorities to trust. Empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Where it processes data; must be one of regions.allowed in organisation.yaml.
	Region string `yaml:"region"`
}

// HTTPConfig is the web listener.
type HTTPConfig struct {
	// Host and port. Empty: none. One that other machines can reach needs TLS here, or an
	// https public_url.
	Address string `yaml:"address"`
	// The address under which others reach it: the proxy's, where one stands in front.
	PublicURL string `yaml:"public_url"`
	// The certificate of the web listener, PEM files. Empty: no TLS here.
	TLS TLSConfig `yaml:"tls"`
}

// SecretsConfig names key files.
type SecretsConfig struct {
	// The key that seals stored mail, 32 bytes. Empty: made in data on the first run, with
	// a warning to back it up elsewhere.
	MasterKeyFile string `yaml:"master_key_file"`
}

// LogConfig says how much is logged, and how.
type LogConfig struct {
	// debug, info, warn or error.
	Level string `yaml:"level"`
	// json or text.
	Format string `yaml:"format"`
}

// Size is a number of bytes, written as in 35MB or 512KiB.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		var n int64
		if _, err := fmt.Sscanf(strings.TrimSpace(digits)+"\n", "%d\n", &n); err != nil || n < 0 || n > (1<<50)/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size; write it as 35MB", text)
}

// String writes the size with the largest unit that keeps it whole.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if int64(s)%u.bytes == 0 && int64(s) >= u.bytes {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		}
	}
	return "0"
}

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are in the order in which a suffix must be tried.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1}, {"", 1}}
}

// defaultConfig is what holds where neither file nor environment says anything.
func defaultConfig() Config {
	return Config{
		Hostname: "localhost",
		Data:     "./data",
		Policies: "./policies",
		Listen:   []ListenConfig{{"127.0.0.1:1587", "starttls"}, {"127.0.0.1:1465", "implicit"}},
		Limits:   LimitsConfig{MessageBytes: 35_000_000, Recipients: 100, Connections: 1000, ConnectionsPerIP: 50},
		Smarthost: SmarthostConfig{
			TLS: "required",
		},
		HTTP: HTTPConfig{Address: "127.0.0.1:8026", PublicURL: "http://localhost:8026"},
		Log:  LogConfig{Level: "info", Format: "json"},
	}
}

// configNeed says which parts of the configuration a command cannot do without.
type configNeed uint8

const (
	needNothing configNeed = iota // paths only
	needService                   // everything that serve uses
)

// configError is a configuration that cannot be used: exit code 78.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// loadConfig reads the file (which may be missing unless it was named), then the
// environment, then checks. Its error is a *configError with every problem in it.
func loadConfig(path string, named bool, environ []string, need configNeed) (Config, []string, error) {
	c := defaultConfig()
	var (
		ps       problems
		warnings []string
	)
	at := places{file: path, env: map[string]bool{}}
	dir := "."
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		at, ps = decodeYAML(path, data, &c)
		dir = filepath.Dir(path)
	case errors.Is(err, fs.ErrNotExist) && !named:
	case errors.Is(err, fs.ErrNotExist):
		c.resolvePaths(dir)
		return c, nil, &configError{problems{{Code: codeNoConfig, File: path, Text: "no such file", Fix: fmt.Sprintf("copy gateway.sample.yaml to %s, or name another with --config", path)}}}
	default:
		return c, nil, &configError{problems{{Code: codeNoConfig, File: path, Text: "this file cannot be read", Fix: "check that it is a file, and that the program's account may read it"}}}
	}
	c.resolvePaths(dir)
	envProblems, envWarnings := decodeEnv(environ, &c, at)
	ps = append(ps, envProblems...)
	warnings = append(warnings, envWarnings...)
	if len(ps) == 0 {
		ps = c.validate(at, need)
	}
	if len(ps) > 0 {
		return c, nil, &configError{ps}
	}
	if c.Smarthost.URL != "" && c.Smarthost.TLS == "opportunistic" {
		warnings = append(warnings, `smarthost.tls is "opportunistic": whoever sits between the gateway and the smarthost can read mail; use "required"`)
	}
	return c, warnings, nil
}

// resolvePaths makes the file's paths relative to the file, so that a service started from
// elsewhere finds them. What comes from the environment stays relative to where it runs.
func (c *Config) resolvePaths(dir string) {
	for _, p := range []*string{&c.Data, &c.Policies, &c.TLS.Cert, &c.TLS.Key, &c.HTTP.TLS.Cert, &c.HTTP.TLS.Key, &c.Smarthost.PasswordFile, &c.Smarthost.CAFile, &c.Secrets.MasterKeyFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// validate returns every problem, each with the key's path.
func (c *Config) validate(at places, need configNeed) problems {
	var ps problems
	bad := func(code policy.Code, key, text, fix string) {
		ps = append(ps, at.problem(code, key, text, fix))
	}
	if c.Database != "" {
		bad(codeLater, "database", "this version keeps everything in SQLite in data; it does not have another database yet", `leave it empty: database: ""`)
	}
	if c.Hostname == "" || strings.ContainsAny(c.Hostname, " \t\r\n@<>()") {
		bad(codeHostname, "hostname", fmt.Sprintf("%q is not a host name", c.Hostname), "hostname: mail.willowhouse.example")
	}
	if c.Data == "" {
		bad(codePath, "data", "is empty", "data: ./data")
	}
	if c.Policies == "" {
		bad(codePath, "policies", "is empty", "policies: ./policies")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad(codeCertificate, "tls", "cert and key go together", "give both, or neither for a self-signed certificate in data")
	}
	for i, l := range c.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		if _, _, err := net.SplitHostPort(l.Address); err != nil {
			bad(codeListen, key+".address", fmt.Sprintf("%q is not a host and port", l.Address), `address: "127.0.0.1:1587"`)
		}
		if l.TLS != "starttls" && l.TLS != "implicit" {
			bad(codeListen, key+".tls", fmt.Sprintf("%q is neither starttls nor implicit", l.TLS), "nobody signs in without TLS: use starttls or implicit")
		}
	}
	for _, n := range []struct {
		key string
		v   int64
	}{{"message_bytes", int64(c.Limits.MessageBytes)}, {"recipients", int64(c.Limits.Recipients)}, {"connections", int64(c.Limits.Connections)}, {"connections_per_ip", int64(c.Limits.ConnectionsPerIP)}} {
		if n.v < 1 {
			bad(codeLimit, "limits."+n.key, "must be at least 1", "leave it out for the default")
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad(codeLog, "log.level", fmt.Sprintf("%q is not a level", c.Log.Level), "debug, info, warn or error")
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		bad(codeLog, "log.format", fmt.Sprintf("%q is not a format", c.Log.Format), "json or text")
	}
	if need == needService {
		if len(c.Listen) == 0 {
			bad(codeListen, "listen", "is empty: nobody could submit mail", `listen: [{address: "127.0.0.1:1587", tls: starttls}]`)
		}
		if c.Smarthost.URL == "" {
			bad(codeSmarthost, "smarthost.url", "is empty: mail could not leave", `url: "smtp://mail.provider.example:587"`)
		}
	}
	return slices.Concat(ps, c.validateHTTP(at), c.validateSmarthost(at))
}

// validateHTTP refuses a web listener that others could reach in clear: keys and names will
// travel over it.
func (c *Config) validateHTTP(at places) problems {
	h := c.HTTP
	var ps problems
	bad := func(code policy.Code, key, text, fix string) {
		ps = append(ps, at.problem(code, "http."+key, text, fix))
	}
	if (h.TLS.Cert == "") != (h.TLS.Key == "") {
		bad(codeCertificate, "tls", "cert and key go together", "give both, or neither")
	}
	public, err := url.Parse(h.PublicURL)
	switch {
	case err != nil || (public.Scheme != "http" && public.Scheme != "https") || public.Hostname() == "" || public.RawQuery != "" || public.Fragment != "":
		bad(codeHTTP, "public_url", "is not the address of a web server", `public_url: "https://gateway.willowhouse.example"`)
		return ps
	case public.User != nil:
		bad(codeHTTP, "public_url", "must not hold a user name or password: it is shown in messages", "take them out")
		return ps
	}
	if h.Address == "" {
		return ps
	}
	host, _, err := net.SplitHostPort(h.Address)
	if err != nil {
		bad(codeHTTP, "address", fmt.Sprintf("%q is not a host and port", h.Address), `address: "127.0.0.1:8026"`)
		return ps
	}
	if !isLoopback(host) && h.TLS.Cert == "" && public.Scheme != "https" {
		bad(codeHTTP, "address", fmt.Sprintf("other machines can reach %s, and nothing encrypts what they say", h.Address),
			`use "127.0.0.1:8026"; or set http.tls.cert and http.tls.key; or, behind a proxy that has TLS, give its https address as http.public_url`)
	}
	return ps
}

func (c *Config) validateSmarthost(at places) problems {
	s := c.Smarthost
	var ps problems
	bad := func(code policy.Code, key, text, fix string) {
		ps = append(ps, at.problem(code, "smarthost."+key, text, fix))
	}
	if !slices.Contains([]string{"required", "opportunistic", "none"}, s.TLS) {
		bad(codeSmarthostTLS, "tls", fmt.Sprintf("%q is not a mode", s.TLS), "required, opportunistic, or none (loopback only)")
	}
	if s.URL == "" {
		return ps
	}
	u, err := url.Parse(s.URL)
	if err != nil || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		bad(codeSmarthost, "url", "is not smtp://host:port or smtps://host:port", `url: "smtp://mail.provider.example:587"`)
		return ps
	}
	if u.User != nil {
		bad(codeSmarthost, "url", "must not hold a user name or password: it is shown in messages", "use username and password_file")
	}
	if s.TLS == "none" && !isLoopback(u.Hostname()) {
		bad(codeSmarthostTLS, "tls", fmt.Sprintf("none is for loopback only, and %s is not", u.Hostname()), "tls: required")
	}
	if (s.Username == "") != (s.PasswordFile == "") {
		bad(codeSmarthostKey, "username", "and password_file go together", "give both, or neither")
	}
	return ps
}

// isLoopback takes names literally: only localhost and loopback addresses, so that no DNS
// answer can turn mail in clear towards the network.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// smarthostPassword reads the password file; one trailing line end is not part of it.
func (c *Config) smarthostPassword() (string, error) {
	if c.Smarthost.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.Smarthost.PasswordFile)
	if err != nil {
		return "", &configError{problems{{Code: codeSmarthostKey, File: c.Smarthost.PasswordFile, Text: "smarthost.password_file cannot be read", Fix: "check that the file is there, and that the program's account may read it"}}}
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", &configError{problems{{Code: codeSmarthostKey, File: c.Smarthost.PasswordFile, Text: "smarthost.password_file is empty", Fix: "write the password into this file, and nothing else"}}}
	}
	return p, nil
}

// drainTime is how long a stop waits for connections and deliveries in hand.
const drainTime = 10 * time.Second
