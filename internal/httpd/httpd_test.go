package httpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/queue"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

// patience is far above what anything here takes.
const patience = 30 * time.Second

// rig is a server on a real store with the shipped policies, listening on loopback.
type rig struct {
	*testing.T
	server  *Server
	store   *store.Store
	gateway *gateway.Gateway
	address string
	log     *lines
	clock   *clock
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	snap, err := policy.Load(policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, log: &lines{}, clock: &clock{at: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}}
	r.store, err = store.Open(t.Context(), store.Options{Dir: t.TempDir(), MasterKey: bytes.Repeat([]byte{'k'}, 32), Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.store.Close() })
	r.gateway, err = gateway.New(gateway.Config{Store: r.store, Policy: snap, Hostname: "mail.willowhouse.example", Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Store: r.store, Gateway: r.gateway, Queue: queue.New(queue.Config{Store: r.store}), Version: "1.2.3", Now: r.clock.now,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&c)
	}
	r.server = New(c)
	r.address = r.listen()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// listen opens one more listener.
func (r *rig) listen() string {
	r.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ln) }()
	r.Cleanup(func() {
		if err := <-done; err != nil {
			r.Error(err)
		}
	})
	return ln.Addr().String()
}

// dial opens a connection that ends with the test.
func (r *rig) dial() net.Conn {
	r.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// say sends bytes and returns everything that comes back until the server closes.
func (r *rig) say(request string) string {
	r.Helper()
	c := r.dial()
	go io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

func (r *rig) do(method, path string) (*http.Response, string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, "http://"+r.address+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	req.Close = true
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return resp, string(b)
}

func (r *rig) ready() (status int, v map[string]any) {
	r.Helper()
	resp, text := r.do("GET", "/readyz")
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		r.Fatalf("%v in %s", err, text)
	}
	return resp.StatusCode, v
}

// Every route, every method: what is not in the table is refused, as a problem that says what
// to do, and no answer says what program this is.
func TestRoutesAnswerOnlyTheirMethods(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var paths []string
	for _, e := range r.server.table() {
		method, path, _ := strings.Cut(e.pattern, " ")
		if method != "GET" {
			t.Errorf("%s: this test knows only GET", e.pattern)
		}
		paths = append(paths, path)
	}
	if !slices.Equal(paths, []string{"/livez", "/readyz", "/metrics"}) {
		t.Errorf("routes %q: a new one needs its row in the tests", paths)
	}
	for _, path := range append(paths, "/", "/nope", "/livez/", "/LIVEZ", "/readyz/x", "/debug/pprof/", "/favicon.ico", "/v1/sms") {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
			resp, body := r.do(method, path)
			want := 404
			if slices.Contains(paths, path) {
				if want = 405; method == "GET" || method == "HEAD" {
					want = 200
				}
			}
			name := method + " " + path
			if resp.StatusCode != want {
				t.Errorf("%s: %s", name, resp.Status)
			}
			h := resp.Header
			if h.Get("Server") != "" || h.Get("X-Powered-By") != "" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: header %v", name, h)
			}
			switch {
			case method == "HEAD":
				if body != "" || h.Get("Content-Type") == "" {
					t.Errorf("%s: %q %v", name, body, h)
				}
			case want != 200:
				var p struct {
					Type, Title, Detail, Fix string
					Status                   int
				}
				if err := json.Unmarshal([]byte(body), &p); err != nil || h.Get("Content-Type") != "application/problem+json" ||
					p.Status != want || p.Title == "" || p.Type == "" || p.Detail == "" || p.Fix == "" {
					t.Errorf("%s: %v %s", name, err, body)
				}
				if want == 405 && h.Get("Allow") != "GET, HEAD" {
					t.Errorf("%s: Allow %q", name, h.Get("Allow"))
				}
			}
		}
	}
	if resp, body := r.do("GET", "/livez"); body != "ok\n" || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q %v", body, resp.Header)
	}
}

// What a visitor sends is never a reason to fail, and never said again.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const host, end = "Host: x.example\r\nConnection: close\r\n", "\r\n"
	get := func(fields string) string { return "GET /livez HTTP/1.1\r\n" + host + fields + end }
	many := strings.Repeat("X-Canary: a\r\n", 5000)
	for name, c := range map[string]struct {
		send string
		want string // the beginning of the one answer; several: with | between them; empty: none
	}{
		"plain":                        {get(""), "200"},
		"HTTP/1.0":                     {"GET /livez HTTP/1.0\r\n\r\n", "200"},
		"no Host":                      {"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", "400"},
		"two Hosts":                    {get("Host: canary.example\r\n"), "400"},
		"bad Host":                     {"GET /livez HTTP/1.1\r\nHost: can<ary>\r\nConnection: close\r\n\r\n", "400"},
		"unknown version":              {"GET /livez HTTP/9.9\r\n" + host + end, "505"},
		"HTTP/2 without asking":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505|400"},
		"HTTP/0.9":                     {"GET /livez\r\n\r\n", "400"},
		"no method":                    {" /livez HTTP/1.1\r\n" + host + end, "400"},
		"a method of signs":            {"CAN@ARY /livez HTTP/1.1\r\n" + host + end, "400"},
		"a long method":                {strings.Repeat("C", 8000) + " /livez HTTP/1.1\r\n" + host + end, "405"},
		"a long path":                  {"GET /" + strings.Repeat("canary", 2000) + " HTTP/1.1\r\n" + host + end, "404"},
		"a path too long":              {"GET /" + strings.Repeat("canary", 20000) + " HTTP/1.1\r\n" + host + end, "431"},
		"one huge field":               {get("X-Canary: " + strings.Repeat("a", 64<<10) + "\r\n"), "431"},
		"many fields":                  {get(many), "431"},
		"a line without end":           {"GET /livez HTTP/1.1\r\nX-Canary: " + strings.Repeat("a", 1<<20), "431"},
		"no colon":                     {get("Canary\r\n"), "400"},
		"blank before the colon":       {get("X-Canary : a\r\n"), "400"},
		"NUL in a field":               {get("X-Canary: a\x00b\r\n"), "400"},
		"bare CR in a field":           {get("X-Canary: a\rb\r\n"), "400"},
		"a control sign in the path":   {"GET /liv\x01ez HTTP/1.1\r\n" + host + end, "400"},
		"half an escape":               {"GET /livez%2 HTTP/1.1\r\n" + host + end, "400"},
		"dots":                         {"GET /x/../livez HTTP/1.1\r\n" + host + end, "404"},
		"two slashes":                  {"GET //livez HTTP/1.1\r\n" + host + end, "404"},
		"escaped dots":                 {"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + host + end, "404"},
		"escaped slash":                {"GET /x%2f..%2flivez HTTP/1.1\r\n" + host + end, "404"},
		"a NUL in the path":            {"GET /livez%00 HTTP/1.1\r\n" + host + end, "404"},
		"absolute form":                {"GET http://canary.example/livez HTTP/1.1\r\n" + host + end, "200"},
		"a proxy is asked for":         {"CONNECT canary.example:443 HTTP/1.1\r\n" + host + end, "404"},
		"OPTIONS *":                    {"OPTIONS * HTTP/1.1\r\n" + host + end, "404"},
		"a query":                      {"GET /livez?canary=%00%zz;x HTTP/1.1\r\n" + host + end, "200"},
		"length and chunks":            {get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\nGET /metrics HTTP/1.1\r\n" + host + end, "400"},
		"chunks":                       {get("Transfer-Encoding: chunked\r\n") + "6\r\ncanary\r\n0\r\n\r\n", "400"},
		"chunked twice":                {get("Transfer-Encoding: chunked, chunked\r\n"), "501|400"},
		"unknown coding":               {get("Transfer-Encoding: canary\r\n"), "501"},
		"two lengths":                  {get("Content-Length: 5\r\nContent-Length: 6\r\n") + "canary", "400"},
		"a length below zero":          {get("Content-Length: -1\r\n"), "400"},
		"a length with a sign":         {get("Content-Length: +5\r\n") + "canary", "400"},
		"a length beyond all":          {get("Content-Length: 99999999999999999999\r\n"), "400"},
		"a body":                       {get("Content-Length: 6\r\n") + "canary", "400"},
		"a body of any length":         {get("Content-Length: 9000000000\r\n") + "canary", "400"},
		"a body that waits to be sent": {get("Content-Length: 6\r\nExpect: 100-continue\r\n"), "400"},
		"an expectation of something":  {get("Expect: canary\r\n"), "417|200"},
		"a request inside a body": {"GET /livez HTTP/1.1\r\nHost: x.example\r\nContent-Length: 70\r\n\r\n" +
			"GET /metrics HTTP/1.1\r\nHost: canary.example\r\nConnection: close\r\nX: y\r\n\r\n", "400"},
		"an upgrade":        {"GET /livez HTTP/1.1\r\nHost: x.example\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", "200"},
		"a TLS hello":       {"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("\x00canary", 30) + "\r\n\r\n", "400"},
		"an SSH banner":     {"SSH-2.0-canary\r\n\r\n", "400"},
		"an SMTP greeting":  {"EHLO canary.example\r\n\r\n", "400"},
		"a PROXY header":    {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(""), "400"},
		"nothing but lines": {strings.Repeat("\r\n", 100), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.say(c.send)
			answers := regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3}) `).FindAllStringSubmatch(got, -1)
			if len(answers) != 1 || !slices.Contains(strings.Split(c.want, "|"), answers[0][1]) {
				t.Errorf("want %s, got %d answers:\n%.600s", c.want, len(answers), got)
			}
			if strings.Contains(strings.ToLower(got), "canary") || strings.Contains(got, "Server:") || strings.Contains(got, "Location:") {
				t.Errorf("says what it was told:\n%.600s", got)
			}
		})
	}
	t.Cleanup(func() {
		if s := r.log.String(); strings.Contains(strings.ToLower(s), "canary") || strings.Contains(s, "127.0.0.1") {
			t.Errorf("log:\n%s", s)
		}
	})
}

// Two requests on one connection are two answers; after a refusal for a body there is none.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	one := "GET /livez HTTP/1.1\r\nHost: x.example\r\n\r\n"
	got := r.say(one + one + strings.Replace(one, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	if n := strings.Count(got, "200 OK"); n != 3 {
		t.Errorf("%d answers:\n%s", n, got)
	}
}

// F15: whoever does not finish a header is cut, however busily the bytes drip.
func TestSlowHeaderIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Timeouts.Header = 300 * time.Millisecond })
	for _, begin := range []string{"", "GET /livez HTTP/1.1\r\nX-Slow: "} {
		c := r.dial()
		began := time.Now()
		io.WriteString(c, begin)
		stop := make(chan struct{})
		go func() {
			every := time.NewTicker(20 * time.Millisecond)
			defer every.Stop()
			for {
				select {
				case <-every.C:
					if begin != "" {
						io.WriteString(c, "a")
					}
				case <-stop:
					return
				}
			}
		}()
		b, _ := io.ReadAll(c)
		close(stop)
		if took := time.Since(began); took > patience/2 || strings.HasPrefix(string(b), "HTTP/1.1 200") {
			t.Errorf("%q: cut after %s, %q", begin, took, b)
		}
	}
}

// F15: a thousand who never finish do not keep out those who ask, and are bounded.
func TestThousandsOfSlowVisitors(t *testing.T) {
	t.Parallel()
	const most, slow, honest = 256, 2000, 50
	r := newRig(t, func(c *Config) { c.Connections = most })
	var opened sync.WaitGroup
	for range 10 {
		opened.Go(func() {
			for range slow / 10 {
				c, err := net.Dial("tcp", r.address)
				if err != nil {
					continue
				}
				t.Cleanup(func() { c.Close() })
				io.WriteString(c, "GET /livez HTTP/1.1\r\nX-Slow: a")
			}
		})
	}
	var took []time.Duration
	ask := func() {
		began := time.Now()
		for !strings.HasPrefix(r.say("GET /livez HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 ") {
			// Cut while the crowd arrived: a monitor asks again.
			if time.Since(began) > patience {
				t.Fatal("no answer")
			}
		}
		took = append(took, time.Since(began))
	}
	for range honest {
		ask()
	}
	opened.Wait()
	for range honest {
		ask()
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100-1]
	t.Logf("%d honest requests: median %s, p99 %s", len(took), took[len(took)/2], p99)
	if p99 > 2*time.Second {
		t.Errorf("an honest visitor waited %s", p99)
	}
}

// The cap counts what is open, and cuts who has waited longest; whoever is being served stays.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	c := newConns(2)
	pipe := func() (net.Conn, func() bool) {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		return here, func() bool {
			there.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := there.Read(make([]byte, 1))
			return errors.Is(err, io.EOF)
		}
	}
	first, firstCut := pipe()
	second, secondCut := pipe()
	third, thirdCut := pipe()
	fourth, fourthCut := pipe()
	c.state(first, http.StateNew)
	c.state(second, http.StateNew)
	c.state(first, http.StateActive)
	c.state(third, http.StateNew)
	if firstCut() || !secondCut() || thirdCut() {
		t.Error("not the one that had waited longest was cut")
	}
	c.state(third, http.StateActive)
	c.state(fourth, http.StateNew)
	if firstCut() || thirdCut() || !fourthCut() {
		t.Error("one that was being served was cut, or there is one too many")
	}
	c.state(first, http.StateIdle)
	c.state(third, http.StateClosed)
	if len(c.all) != 1 || c.waiting.Len() != 1 {
		t.Errorf("%d open, %d waiting", len(c.all), c.waiting.Len())
	}
	c.state(second, http.StateClosed) // again
	c.state(fourth, http.StateIdle)   // never let in
	if len(c.all) != 1 || c.waiting.Len() != 1 {
		t.Errorf("%d open, %d waiting", len(c.all), c.waiting.Len())
	}
}

func TestReadyzSaysWhichPoliciesDecide(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	snap := r.gateway.Policy()
	status, v := r.ready()
	if status != 200 || v["ready"] != true || v["database"] != "ok" || v["policies"] != "current" || v["policy"] != snap.ID ||
		v["since"] != "2026-03-04T12:00:00Z" || v["reload"] != nil {
		t.Errorf("%d %v", status, v)
	}

	r.clock.add(time.Minute)
	r.gateway.Reloaded(gateway.Reload{Why: "problems", Problems: 3, Codes: []string{"P010", "P061"}})
	status, v = r.ready()
	last, _ := v["reload"].(map[string]any)
	if status != 200 || v["policies"] != "kept" || v["policy"] != snap.ID || v["since"] != "2026-03-04T12:00:00Z" ||
		last["result"] != "kept" || last["why"] != "problems" || last["problems"] != 3.0 || fmt.Sprint(last["codes"]) != "[P010 P061]" || last["at"] != "2026-03-04T12:01:00Z" {
		t.Errorf("%d %v", status, v)
	}

	r.clock.add(time.Minute)
	other := *snap
	other.ID = "sha256:" + strings.Repeat("0", 64)
	r.gateway.SetPolicy(&other)
	r.gateway.Reloaded(gateway.Reload{Taken: true, Changes: 2, Weaker: 1})
	status, v = r.ready()
	last, _ = v["reload"].(map[string]any)
	if status != 200 || v["policies"] != "current" || v["policy"] != other.ID || v["since"] != "2026-03-04T12:02:00Z" ||
		last["result"] != "taken" || last["changes"] != 2.0 || last["weaker"] != 1.0 || last["why"] != nil {
		t.Errorf("%d %v", status, v)
	}

	// The same policies once more: they decide since they did.
	r.clock.add(time.Minute)
	r.gateway.SetPolicy(&other)
	if _, v := r.ready(); v["since"] != "2026-03-04T12:02:00Z" {
		t.Errorf("%v", v)
	}
}

func TestReadyzSaysNo(t *testing.T) {
	t.Parallel()
	no := func(r *rig, detail string) map[string]any {
		t.Helper()
		resp, text := r.do("GET", "/readyz")
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 503 || resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Retry-After") == "" ||
			v["type"] != "/problems/unavailable" || v["status"] != 503.0 || v["ready"] != false || v["policy"] == nil ||
			!strings.Contains(fmt.Sprint(v["detail"]), detail) || v["fix"] == "" {
			t.Errorf("%s %v", resp.Status, v)
		}
		return v
	}
	r := newRig(t, nil)
	r.server.Drain()
	if v := no(r, "stopping"); v["database"] != "ok" {
		t.Errorf("%v", v)
	}
	if resp, _ := r.do("GET", "/livez"); resp.StatusCode != 200 {
		t.Errorf("a program that stops is alive: %s", resp.Status)
	}

	r = newRig(t, nil)
	if status, _ := r.ready(); status != 200 {
		t.Errorf("%d", status)
	}
	r.store.Close()
	if status, _ := r.ready(); status != 200 {
		t.Errorf("asked the database again within the moment: %d", status)
	}
	r.clock.add(probeEvery)
	if v := no(r, "database cannot be written"); v["database"] != "failing" {
		t.Errorf("%v", v)
	}
	r.clock.add(-time.Hour) // a clock that is set back asks anew
	no(r, "database cannot be written")
	if _, text := r.do("GET", "/metrics"); !strings.Contains(text, "\nplaincover_ready 0\n") || !strings.Contains(text, "\nplaincover_database_writable 0\n") ||
		strings.Contains(text, "plaincover_jobs") {
		t.Errorf("%s", text)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.gateway.Reloaded(gateway.Reload{Why: "tests", Problems: 1})
	resp, text := r.do("GET", "/metrics")
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	for _, want := range []string{
		`plaincover_build_info{version="1.2.3"} 1`, `plaincover_ready 1`, `plaincover_database_writable 1`,
		`plaincover_messages_total{outcome="send"} 0`, `plaincover_messages_total{outcome="deferred"} 0`,
		`plaincover_deliveries_total{outcome="unknown"} 0`, `plaincover_jobs{state="in_doubt"} 0`, `plaincover_oldest_job_seconds 0`,
		`plaincover_policy_reloads_total{result="kept"} 1`, `plaincover_policy_reloads_total{result="taken"} 0`, `plaincover_policy_kept 1`,
		`plaincover_policy_since_seconds 1.7726256e+09`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
	faults, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if strings.HasPrefix(f.Metric, "plaincover_") {
			t.Errorf("%s: %s", f.Metric, f.Text)
		}
	}
}

// No label can ever carry what a message says: each has a few values that the code names.
func TestLabelsAreOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	now := figures{s: r.server, waiting: &store.Waiting{}}
	for _, f := range figureTable() {
		for v := range maps.Keys(f.values(&now)) {
			if (f.label == "") != (v == "") || !regexp.MustCompile(`^[a-z_0-9.]{0,20}$`).MatchString(v) {
				t.Errorf("%s{%s=%q}", f.name, f.label, v)
			}
		}
	}
}

// One table, every kind of fault: the status of architecture §7, and nothing of the cause.
func TestFaultTable(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind]int{fault.Internal: 500, fault.Unavailable: 503, fault.RateLimited: 429, fault.Invalid: 422, fault.TooLarge: 413,
		fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409, fault.Rejected: 403}
	for _, k := range append(fault.Kinds(), fault.Kind(200)) {
		if want[k] == 0 {
			want[k] = 500
		}
		cause := errors.New("canary")
		for _, err := range []error{fault.Wrap(k, "", cause), fmt.Errorf("wrapped: %w", fault.Wrap(k, "", cause))} {
			p := problemOf(err)
			if p.Status != want[k] || p.Detail == "" || p.Fix == "" || strings.Contains(p.Detail+p.Fix, "canary") {
				t.Errorf("%s: %+v", k, p)
			}
		}
		if p := problemOf(fault.New(k, "do this")); (p.Detail == "do this") == (want[k] == 500) {
			t.Errorf("%s: public text: %+v", k, p)
		}
	}
	if p := problemOf(errors.New("canary")); p.Status != 500 || strings.Contains(fmt.Sprint(p), "canary") {
		t.Errorf("%+v", p)
	}
	if p := problemOf(nil); p.Status < 400 {
		t.Errorf("no error became a success: %+v", p)
	}
}

// F26: a panic ends one request, says nothing of its cause, and half an answer is no answer.
func TestPanicKeepsToItsRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.server.routes.HandleFunc("GET /before", func(http.ResponseWriter, *http.Request) { panic("canary") })
	r.server.routes.HandleFunc("GET /within", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "half")
		panic("canary")
	})
	resp, body := r.do("GET", "/before")
	if resp.StatusCode != 500 || resp.Header.Get("Content-Type") != "application/problem+json" || strings.Contains(body, "canary") {
		t.Errorf("%s %s", resp.Status, body)
	}
	if got := r.say("GET /within HTTP/1.1\r\nHost: x.example\r\n\r\n"); strings.Contains(got, "500") || strings.Contains(got, "canary") {
		t.Errorf("%s", got)
	}
	if resp, _ := r.do("GET", "/livez"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if s := r.log.String(); strings.Contains(s, "canary") || strings.Count(s, "a request panicked") != 2 || !strings.Contains(s, "type=string") {
		t.Errorf("log:\n%s", s)
	}
}

// Two listeners of one server, one state; both end with it.
func TestTwoListeners(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.address
	second := r.listen()
	for _, r.address = range []string{first, second} {
		if resp, _ := r.do("GET", "/readyz"); resp.StatusCode != 200 {
			t.Errorf("%s: %s", r.address, resp.Status)
		}
	}
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{first, second} {
		if c, err := net.Dial("tcp", a); err == nil {
			c.Close()
			t.Errorf("%s still listens", a)
		}
	}
}

// With a certificate there is TLS 1.2 or better and HTTP/1.1, and nothing in clear.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pool := selfSigned(t)
	r := newRig(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + r.address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 1 || resp.TLS.Version < tls.VersionTLS12 {
		t.Errorf("%s %s %x", resp.Status, resp.Proto, resp.TLS.Version)
	}
	if c, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is taken")
	}
	if got := r.say("GET /readyz HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400 ") || strings.Contains(got, "ready") {
		t.Errorf("in clear: %s", got)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// An answer in hand is finished before the server ends; what is idle does not hold it up.
func TestShutdownFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	entered, let := make(chan struct{}), make(chan struct{})
	r.server.routes.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-let
		io.WriteString(w, "done")
	})
	idle := r.dial()
	io.WriteString(idle, "GET /livez HTTP/1.1\r\nHost: x.example\r\n\r\n")
	if line, err := bufio.NewReader(idle).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	said := make(chan string, 1)
	go func() { said <- r.say("GET /slow HTTP/1.1\r\nHost: x.example\r\n\r\n") }()
	<-entered
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(t.Context()) }()
	close(let)
	if got := <-said; !strings.HasSuffix(got, "done") {
		t.Errorf("%q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Fifty monitors at once cost one write.
func TestProbeIsShared(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	rows := func() int64 {
		n, err := r.store.LastAudit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := r.server.probe.ask(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if at := r.server.probe.at; !at.Equal(r.clock.now()) {
		t.Errorf("asked at %s", at)
	}
	if after := rows(); after != before {
		t.Errorf("a probe left %s in the audit", strconv.FormatInt(after-before, 10))
	}
	// A visitor who leaves is no reason to say that the database fails.
	r.clock.add(probeEvery)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.probe.ask(gone); err != nil {
		t.Error(err)
	}
}
