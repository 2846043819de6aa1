package test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// get asks the running service over HTTP.
func (v *service) get(path string) (status int, body string) {
	v.t.Helper()
	resp, err := http.Get("http://" + v.web + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(v.t, err)
	return resp.StatusCode, string(b)
}

type readyz struct {
	Ready            bool
	Database         string
	Policies, Policy string
	Since            time.Time
	Detail, Fix      string
	Reload           *struct {
		At          time.Time
		Result, Why string
		Problems    int
		Codes       []string
		Weaker      int
	}
}

func (v *service) readyz() (status int, r readyz) {
	v.t.Helper()
	status, body := v.get("/readyz")
	unmarshal(v.t, []byte(body), &r)
	return status, r
}

// figure returns one value of /metrics.
func (v *service) figure(name string) float64 {
	v.t.Helper()
	_, body := v.get("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		v.t.Fatalf("no %s in\n%s", name, body)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	must(v.t, err)
	return n
}

// A reload that is good, bad and good again: /readyz says each time what decides since when,
// and why the last one was refused, in codes and numbers. It never says no because of it.
func TestReadyzShowsTheReload(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	status, at := v.readyz()
	if status != 200 || !at.Ready || at.Policies != "current" || at.Reload != nil || time.Since(at.Since) > patience {
		t.Fatalf("%d %+v", status, at)
	}
	first := at

	v.editPolicy("organisation.yaml", "limits: {clients_per_message: 10}", "limits: {clients_per_message: 10} # reviewed")
	if r, said, code := v.reload(); code != 0 {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	eventually(t, "the new policies decide", func() bool { _, at = v.readyz(); return at.Policy != first.Policy })
	if at.Policies != "current" || !at.Since.After(first.Since) || at.Reload == nil || at.Reload.Result != "taken" {
		t.Errorf("%+v", at)
	}
	good := at

	for _, c := range []struct{ name, file, old, with, why string }{
		{"a word that is not one", "mail.yaml", "do: [send_separately]", "do: [send_separatly]", "problems"},
		{"a test that fails", "tests/everyday.yaml", "outcome: send", "outcome: refuse", "tests"},
		{"less protection", "clients.yaml", "domains: [nhs.net]", "domains: [nhs.net, elsewhere.example]", "weaker"},
	} {
		v.editPolicy(c.file, c.old, c.with)
		before := v.figure(`plaincover_policy_reloads_total{result="kept"}`)
		must(t, v.hangUp())
		eventually(t, "the reload is refused", func() bool {
			return v.figure(`plaincover_policy_reloads_total{result="kept"}`) == before+1
		})
		status, at = v.readyz()
		if status != 200 || !at.Ready || at.Policies != "kept" || at.Policy != good.Policy || !at.Since.Equal(good.Since) || at.Reload.Result != "kept" || at.Reload.Why != c.why {
			t.Errorf("%s: %d %+v %+v", c.name, status, at, at.Reload)
		}
		switch c.why {
		case "problems":
			if at.Reload.Problems != 1 || len(at.Reload.Codes) != 1 || !regexp.MustCompile(`^P\d{3}$`).MatchString(at.Reload.Codes[0]) {
				t.Errorf("%s: %+v", c.name, at.Reload)
			}
		case "tests":
			if at.Reload.Problems == 0 {
				t.Errorf("%s: %+v", c.name, at.Reload)
			}
		case "weaker":
			if at.Reload.Weaker == 0 {
				t.Errorf("%s: %+v", c.name, at.Reload)
			}
		}
		if _, body := v.get("/readyz"); strings.Contains(body, "separat") || strings.Contains(body, ".yaml") || strings.Contains(body, "elsewhere") {
			t.Errorf("%s: shows the files: %s", c.name, body)
		}
		if v.figure("plaincover_policy_kept") != 1 || v.figure("plaincover_ready") != 1 {
			t.Errorf("%s: /metrics does not say so", c.name)
		}
		v.editPolicy(c.file, c.with, c.old)
	}

	if r, said, code := v.reload(); code != 0 {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	eventually(t, "the kept ones are current again", func() bool { _, at = v.readyz(); return at.Policies == "current" })
	if at.Policy != good.Policy || !at.Since.Equal(good.Since) || at.Reload.Result != "taken" || v.figure("plaincover_policy_kept") != 0 {
		t.Errorf("%+v %+v", at, at.Reload)
	}
}

// A service that is told to stop says so to its monitors until the last mail app has its
// answer, and is alive until then.
func TestReadyzWhileStopping(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	c, err := v.dial()
	must(t, err)
	defer c.Close()
	must(t, c.Mail(maya, nil))
	must(t, c.Rcpt(anna, nil))
	w, err := c.Data()
	must(t, err)
	must(t, v.cmd.Process.Signal(os.Interrupt))
	var at readyz
	eventually(t, "it says that it stops", func() bool {
		var status int
		status, at = v.readyz()
		return status == 503
	})
	if at.Ready || !strings.Contains(at.Detail, "stopping") || at.Fix == "" || at.Database != "ok" {
		t.Errorf("%+v", at)
	}
	if status, body := v.get("/livez"); status != 200 || body != "ok\n" {
		t.Errorf("%d %s", status, body)
	}
	_, err = io.WriteString(w, letter(anna, "Tuesday", "See you then."))
	must(t, err)
	if r, err := w.CloseWithResponse(); err != nil || !strings.Contains(r.StatusText, "queued as") {
		t.Errorf("%+v, %v", r, err)
	}
	<-v.exited
	if v.code != 0 || open(v.web) {
		t.Errorf("exit %d, the web listener is open: %v", v.code, open(v.web))
	}
}

// What /metrics counts is what happened, and nothing that it or its neighbours say names
// anybody (I19).
func TestMetricsCountAndNameNobody(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	const subject = "Kestrel assessment"
	sent := v.accepted(letter(anna, subject, "Dear Anna Quillfeather, about the kestrel."), anna)
	v.sink.wait(t, 1, anna)
	held := v.accepted(letter("stranger@elsewhere.example", subject, "kestrel"), "stranger@elsewhere.example")
	if text, err := v.submit(strings.Replace(letter(anna, subject, "kestrel"), "From: Maya Okafor <"+maya, "From: Sam <sam@willowhouse.example", 1), anna); err == nil {
		t.Fatalf("somebody else's address was taken: %s", text)
	}
	for name, want := range map[string]float64{
		`plaincover_messages_total{outcome="send"}`: 1, `plaincover_messages_total{outcome="hold"}`: 1, `plaincover_messages_total{outcome="refuse"}`: 1,
		`plaincover_messages_total{outcome="deferred"}`: 0, `plaincover_jobs{state="held"}`: 1, `plaincover_deliveries_total{outcome="permanent"}`: 0,
	} {
		if got := v.figure(name); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	eventually(t, "the delivery is counted", func() bool { return v.figure(`plaincover_deliveries_total{outcome="delivered"}`) >= 1 })
	if v.figure("plaincover_database_writable") != 1 {
		t.Error("the database is said to fail")
	}

	v.editPolicy("mail.yaml", "do: [send_separately]", "do: [send_separatly]")
	must(t, v.hangUp())
	eventually(t, "the reload is counted", func() bool { return v.figure("plaincover_policy_kept") == 1 })
	said := ""
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/nope"} {
		_, body := v.get(path)
		said += body
	}
	for _, canary := range []string{anna, ben, cleo, maya, "Quillfeather", "Anna", "Okafor", "willow", "C-0001", "C-0002", "C-0003", "estrel", "stranger", "elsewhere",
		sent, held, v.password, v.dir, "127.0.0.1"} {
		if strings.Contains(strings.ToLower(said), strings.ToLower(canary)) {
			t.Errorf("%q is in what the web listener says", canary)
		}
	}
}

// With a smarthost that is away mail waits, and is counted; the gateway is ready all the same.
func TestTheSmarthostIsNoPartOfReadiness(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{smarthost: fmt.Sprintf("{url: \"smtp://127.0.0.1:%s\", tls: none, region: GB}", freePort(t))})
	v.accepted(letter(anna, "Tuesday", "See you then."), anna)
	eventually(t, "an attempt has failed", func() bool { return v.figure(`plaincover_deliveries_total{outcome="transient"}`) >= 1 })
	if status, at := v.readyz(); status != 200 || !at.Ready {
		t.Errorf("%d %+v", status, at)
	}
	eventually(t, "it waits", func() bool {
		return v.figure(`plaincover_jobs{state="queued"}`) == 1 && v.figure("plaincover_oldest_job_seconds") > 0
	})
}

// A port that is taken is said before anybody is told that the service is ready; so is one
// that is not wanted.
func TestWebListener(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	b, err := os.ReadFile(v.config)
	must(t, err)
	taken := filepath.Join(filepath.Dir(v.config), "taken.yaml")
	other := strings.Replace(string(b), "http: {address: \"127.0.0.1:0\"}", fmt.Sprintf("http: {address: %q}\ndata: ./other", v.web), 1)
	must(t, os.WriteFile(taken, []byte(other), 0o600))
	w := *v
	w.config = taken
	if _, said, code := w.try("serve"); code != 1 || !strings.Contains(string(said), "http.address: ") || strings.Contains(string(said), "listening on") {
		t.Errorf("exit %d\n%s", code, said)
	}

	v = newService(t, setup{yaml: "http: {address: \"\"}\n"})
	if v.web != "" {
		t.Errorf("listens on %s", v.web)
	}
}

// The web listener with a certificate: HTTPS only.
func TestWebListenerWithTLS(t *testing.T) {
	t.Parallel()
	first := newService(t, setup{yaml: "http: {address: \"\"}\n"}) // its certificate serves
	cert, key := first.trust(), filepath.Join(filepath.Dir(first.trust()), "key.pem")
	v := newService(t, setup{yaml: fmt.Sprintf("http: {address: \"0.0.0.0:0\", tls: {cert: %q, key: %q}}\n", cert, key)})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: first.tls()}}
	resp, err := client.Get("https://127.0.0.1:" + port(t, v.web) + "/readyz")
	must(t, err)
	defer resp.Body.Close()
	var at readyz
	must(t, json.NewDecoder(resp.Body).Decode(&at))
	if resp.StatusCode != 200 || !at.Ready || resp.TLS.Version < tls.VersionTLS12 || resp.Proto != "HTTP/1.1" {
		t.Errorf("%s %s %+v", resp.Status, resp.Proto, at)
	}
	if !strings.Contains(v.stderr.String(), "(HTTPS)") {
		t.Errorf("said:\n%s", v.stderr)
	}
}
