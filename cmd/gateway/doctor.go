package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/relay"
	"github.com/plaincover/plaincover/internal/store"
)

type doctorCmd struct{}

// Help is shown under --help.
func (doctorCmd) Help() string {
	return "One line for each check: ok, warn or fail, and what mends it. It sends no mail and changes nothing of yours.\n\nExample: gateway doctor"
}

// The states of a check.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateFail = "fail"
)

// finding is what one check came to.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	Text  string `json:"text"`
	Mend  string `json:"mend,omitempty"` // a command, or what to do
}

const (
	// doctorPatience bounds what needs another machine or process.
	doctorPatience = 15 * time.Second
	// expirySoon is when a certificate that runs out is worth a word (reliability, F14).
	expirySoon = 30 * 24 * time.Hour
	// clockSlack is how far the audit may be ahead of the clock.
	clockSlack = time.Minute
)

// doctor looks at an installation, whether its service runs or not.
type doctor struct {
	config   Config
	now      time.Time
	snap     *policy.Snapshot // nil: the policies cannot be read
	findings []finding
}

func (d *doctor) say(check, state, mend, format string, args ...any) {
	// A check is one line, whatever an error says.
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	d.findings = append(d.findings, finding{check, state, text, mend})
}

// Run makes every check; the answer is no when one fails.
func (doctorCmd) Run(ctx context.Context, p *program) error {
	d := &doctor{now: time.Now()}
	d.configuration(p)
	d.policies(ctx)
	d.dataDirectory()
	d.certificates()
	if st := d.database(ctx); st != nil {
		d.clock(ctx, st)
		if err := st.Close(); err != nil {
			d.say("database", stateFail, "look at the disk and its room", "it cannot be closed: %v", err)
		}
	}
	d.smarthost(ctx)
	d.service(ctx)
	return p.printDoctor(d.findings)
}

func (p *program) printDoctor(found []finding) error {
	failed := 0
	for _, f := range found {
		if f.State == stateFail {
			failed++
		}
	}
	v := struct {
		OK     bool      `json:"ok"`
		Checks []finding `json:"checks"`
	}{failed == 0, found}
	if err := p.emit(v, func(w io.Writer) {
		for _, f := range found {
			if f.Mend != "" {
				f.Text += " -> " + f.Mend
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.Check, f.Text)
		}
	}); err != nil {
		return err
	}
	if failed > 0 {
		return &answerNo{fmt.Sprintf("%s failed", count(failed, "check"))}
	}
	return nil
}

func (d *doctor) configuration(p *program) {
	path, named := p.config, p.config != ""
	if !named {
		path = "gateway.yaml"
	}
	c, warnings, err := loadConfig(path, named, p.Environ, needService)
	d.config = c
	if ps, ok := errors.AsType[problems](err); ok {
		first := ps[0]
		first.Excerpt, first.Fix = "", ""
		d.say("config", stateFail, "gateway check", "%s; the first: %s", count(len(ps), "problem"), first.Error())
		return
	}
	if err != nil {
		d.say("config", stateFail, "gateway check", "%v", err)
		return
	}
	for _, w := range warnings {
		d.say("config", stateWarn, "change it in "+path, "%s", w)
	}
	if len(warnings) == 0 {
		d.say("config", stateOK, "", "%s", path)
	}
}

func (d *doctor) policies(ctx context.Context) {
	snap, err := policies(d.config.Policies)
	if err == nil {
		err = checkRegion(d.config, snap)
	}
	if ps, ok := errors.AsType[problems](err); ok {
		d.say("policies", stateFail, "gateway check", "%s, the first in %s", count(len(ps), "problem"), ps[0].File)
		return
	}
	if err != nil {
		d.say("policies", stateFail, "gateway check", "%v", err)
		return
	}
	d.snap = snap
	if n := len(snap.WarningsAt(d.now)); n > 0 {
		d.say("policies", stateWarn, "gateway check", "%s, %s", count(len(snap.Rules), "rule"), count(n, "warning"))
	} else {
		d.say("policies", stateOK, "", "%s", count(len(snap.Rules), "rule"))
	}
	report, err := gateway.RunTests(ctx, snap)
	switch n := failures(report); {
	case err != nil:
		d.say("tests", stateFail, "gateway test", "they cannot be run: %v", err)
	case n > 0:
		d.say("tests", stateFail, "gateway test", "%d of %s failed", n, count(len(report.Results), "test"))
	default:
		d.say("tests", stateOK, "", "%s passed", count(len(report.Results), "test"))
	}
}

func (d *doctor) dataDirectory() {
	dir := d.config.Data
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.say("data", stateWarn, "gateway serve makes it", "%s is not there yet", dir)
	case err != nil:
		d.say("data", stateFail, "let the gateway's account read it", "%s cannot be read", dir)
	case !info.IsDir():
		d.say("data", stateFail, "name a directory as data in the configuration", "%s is no directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		d.say("data", stateFail, "chmod 700 "+dir, "others on this machine can look into %s (mode %04o)", dir, info.Mode().Perm())
	default:
		d.say("data", stateOK, "", "%s is its owner's alone", dir)
	}
}

// masterKey returns the key if it is there and fits for use; it makes none.
func (d *doctor) masterKey() (key []byte, ok bool) {
	file := d.config.Secrets.MasterKeyFile
	own := file == ""
	if own {
		file = filepath.Join(d.config.Data, "master.key")
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && own && !store.Exists(d.config.Data):
		d.say("master key", stateWarn, "gateway serve makes it; back it up then", "%s is not there yet", file)
		return nil, false
	case err != nil:
		d.say("master key", stateFail, "put the key back from its backup", "%s cannot be read: without it no stored mail can be", file)
		return nil, false
	}
	key, _, err = store.MasterKey(d.config.Data, d.config.Secrets.MasterKeyFile)
	switch {
	case info.Mode().Perm()&0o077 != 0:
		// In data it is refused; a file of secrets from elsewhere may have to be so.
		state := map[bool]string{true: stateFail, false: stateWarn}[own]
		d.say("master key", state, "chmod 600 "+file, "others on this machine can read %s", file)
	case err != nil:
		d.say("master key", stateFail, "put the key back from its backup", "%v", err)
	default:
		d.say("master key", stateOK, "", "%s; keep a copy of it somewhere else than the database", file)
	}
	return key, err == nil
}

// database returns the open store, or nil.
func (d *doctor) database(ctx context.Context) *store.Store {
	key, ok := d.masterKey()
	if !ok {
		return nil
	}
	if !store.Exists(d.config.Data) {
		d.say("database", stateWarn, "gateway serve makes it", "there is none in %s yet", d.config.Data)
		return nil
	}
	st, err := store.Open(ctx, store.Options{Dir: d.config.Data, MasterKey: key, Now: time.Now})
	if err != nil {
		d.say("database", stateFail, "stop the service, and put the last backup back", "it cannot be opened: %v", err)
		return nil
	}
	if err := st.Intact(ctx); err != nil {
		d.say("database", stateFail, "stop the service, and put the last backup back", "%s", plain(err))
		return st
	}
	if err := st.Probe(ctx); err != nil {
		d.say("database", stateFail, "df "+d.config.Data, "it cannot be written: %s", plain(err))
		return st
	}
	d.say("database", stateOK, "", "opens, is whole and can be written")
	return st
}

// clock compares with the newest row of the audit: time never goes backwards there.
func (d *doctor) clock(ctx context.Context, st *store.Store) {
	var newest time.Time
	seq, err := st.LastAudit(ctx)
	if err == nil {
		err = st.AuditAfter(ctx, seq-1, func(r store.Row) error { newest = r.At; return nil })
	}
	switch {
	case err != nil:
		d.say("clock", stateFail, "gateway audit verify", "the audit cannot be read: %s", plain(err))
	case newest.After(d.now.Add(clockSlack)):
		d.say("clock", stateFail, "timedatectl set-ntp true", "it says %s, and the audit has a row of %s", stamp(d.now), stamp(newest))
	default:
		d.say("clock", stateOK, "", "%s", stamp(d.now))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (d *doctor) certificates() {
	c := d.config
	if c.TLS.Cert != "" {
		d.certificate("certificate", c.TLS, "")
	} else {
		own := filepath.Join(c.Data, "tls")
		cert := filepath.Join(own, "cert.pem")
		if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
			d.say("certificate", stateWarn, "set tls.cert and tls.key", "none is named: gateway serve makes one that mail apps do not know")
		} else {
			d.certificate("certificate", TLSConfig{Cert: cert, Key: filepath.Join(own, "key.pem")}, "self-signed: mail apps must be told to trust "+cert)
		}
	}
	if c.HTTP.Address != "" && c.HTTP.TLS.Cert != "" {
		d.certificate("web certificate", c.HTTP.TLS, "")
	}
}

// certificate looks at one certificate and its key; but is why it is only half good.
func (d *doctor) certificate(check string, t TLSConfig, but string) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		d.say(check, stateFail, "let it and its key be PEM files that belong together", "%s cannot be used: %v", t.Cert, err)
		return
	}
	renew := "renew " + t.Cert + ", and start gateway serve again"
	host := d.config.Hostname
	if check != "certificate" {
		host = "" // of the web: whatever stands in public_url, or a proxy, decides
	}
	info, err := os.Stat(t.Key)
	switch left := cert.Leaf.NotAfter.Sub(d.now); {
	case left <= 0:
		d.say(check, stateFail, renew, "%s ran out on %s", t.Cert, stamp(cert.Leaf.NotAfter))
	case d.now.Before(cert.Leaf.NotBefore):
		d.say(check, stateFail, "timedatectl set-ntp true", "%s begins only on %s", t.Cert, stamp(cert.Leaf.NotBefore))
	case err == nil && info.Mode().Perm()&0o007 != 0:
		d.say(check, stateWarn, "chmod 600 "+t.Key, "everybody on this machine can read the key %s", t.Key)
	case left < expirySoon:
		d.say(check, stateWarn, renew, "%s runs out in %s", t.Cert, count(int(left.Hours()/24), "day"))
	case host != "" && cert.Leaf.VerifyHostname(host) != nil:
		d.say(check, stateWarn, "get one for "+host, "%s is not for %s: mail apps will refuse it", t.Cert, host)
	case but != "":
		d.say(check, stateWarn, "set tls.cert and tls.key", "%s", but)
	default:
		d.say(check, stateOK, "", "%s is good until %s", t.Cert, stamp(cert.Leaf.NotAfter))
	}
}

// smarthost goes as far as a delivery goes before it names anybody: TLS and sign-in.
func (d *doctor) smarthost(ctx context.Context) {
	if d.config.Smarthost.URL == "" {
		return // config has said so
	}
	conf, err := smarthostConfig(d.config)
	var way *relay.Smarthost
	if err == nil {
		conf.Hostname = d.config.Hostname
		way, err = relay.New(conf)
	}
	if err != nil {
		d.say("smarthost", stateFail, "gateway check", "%s", plain(err))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	err = errors.Join(way.Check(ctx), way.Close())
	mode := map[string]string{"required": "with TLS", "opportunistic": "with TLS if it has it", "none": "in clear, on this machine"}[d.config.Smarthost.TLS]
	switch f, ok := errors.AsType[*fault.Error](err); {
	case ok && f.Public != "":
		d.say("smarthost", stateFail, "mend smarthost: in the configuration, or ask the provider", "%s", strings.TrimPrefix(f.Public, "smarthost "))
	case err != nil:
		d.say("smarthost", stateFail, "mend smarthost: in the configuration, or ask the provider", "%v", err)
	default:
		d.say("smarthost", stateOK, "", "%s answers, %s", d.config.Smarthost.URL, mode)
	}
}

// service says whether the service runs, and what it says of itself.
func (d *doctor) service(ctx context.Context) {
	pid, running, err := store.Serving(d.config.Data)
	switch {
	case err != nil:
		d.say("service", stateFail, "let this account read "+d.config.Data, "%v", err)
		return
	case !running:
		d.say("service", stateWarn, "gateway serve", "it does not run")
		d.freePorts(ctx)
		return
	}
	d.say("service", stateOK, "", "runs as process %d", pid)
	switch _, port, _ := net.SplitHostPort(d.config.HTTP.Address); {
	case d.config.HTTP.Address == "":
		d.say("http", stateWarn, "set http.address", "nothing listens, so what the service knows cannot be asked")
	case port == "0":
		d.say("http", stateWarn, "give http.address a port", "port 0 is another one at each start, so the service cannot be asked")
	default:
		d.ask(ctx)
	}
}

// freePorts sees whether the service could listen where it should.
func (d *doctor) freePorts(ctx context.Context) {
	try := func(check, address string) {
		if address == "" {
			return
		}
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			d.say(check, stateFail, "ss -ltnp shows who has it; or choose another", "the service could not listen on %s: %v", address, errors.Unwrap(err))
			return
		}
		ln.Close()
		d.say(check, stateOK, "", "%s is free", address)
	}
	for _, l := range d.config.Listen {
		try("listen", l.Address)
	}
	try("http", d.config.HTTP.Address)
}

// said is what /readyz answers, good or bad.
type said struct {
	Ready       bool
	Policies    string
	Policy      string
	Since       time.Time
	Detail, Fix string
	Reload      *struct {
		At       time.Time
		Why      string
		Problems int
		Codes    []string
	}
}

// ask has the service say how it is.
func (d *doctor) ask(ctx context.Context) {
	address := d.config.HTTP.Address
	s, err := d.readyz(ctx, address)
	switch {
	case err != nil:
		d.say("http", stateFail, "look at the service's log", "%s does not answer: %v", address, err)
		return
	case !s.Ready:
		d.say("http", stateFail, s.Fix, "%s says: %s", address, s.Detail)
	default:
		d.say("http", stateOK, "", "%s says that mail is taken", address)
	}
	switch {
	case s.Policies == "kept" && s.Reload != nil:
		d.say("reload", stateWarn, "gateway check, then gateway reload", "refused on %s (%s); the policies of %s decide",
			stamp(s.Reload.At), strings.Join(append([]string{s.Reload.Why}, s.Reload.Codes...), " "), stamp(s.Since))
	case d.snap != nil && d.snap.ID != s.Policy:
		d.say("reload", stateWarn, "gateway reload", "the files have changed; the policies of %s decide", stamp(s.Since))
	default:
		d.say("reload", stateOK, "", "the policies in the files decide since %s", stamp(s.Since))
	}
}

func (d *doctor) readyz(ctx context.Context, address string) (s said, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return s, err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost" // everywhere, so here too
	}
	client := &http.Client{Timeout: doctorPatience, Transport: &http.Transport{DisableKeepAlives: true}}
	scheme := "http"
	if conf, err := webTLS(d.config); err != nil {
		return s, err
	} else if conf != nil {
		scheme = "https"
		client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: trustOnly(conf.Certificates[0])}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, errors.Unwrap(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&s); err != nil || s.Policy == "" {
		return s, fmt.Errorf("another program seems to have that port (%s)", resp.Status)
	}
	return s, nil
}

// trustOnly is for asking ourselves by an address that the certificate need not name: it must
// be the very certificate.
func trustOnly(cert tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // VerifyPeerCertificate verifies
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !bytes.Equal(raw[0], cert.Certificate[0]) {
				return errors.New("it shows another certificate than the configured one: start the service again")
			}
			return nil
		}}
}
