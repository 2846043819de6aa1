package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/store"
)

// certified writes a certificate for a.example that begins then.
func certified(t *testing.T, begins time.Time) TLSConfig {
	t.Helper()
	certPEM, keyPEM, err := selfSigned("a.example", begins)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := TLSConfig{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for name, b := range map[string][]byte{c.Cert: certPEM, c.Key: keyPEM} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestDoctorOnCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		begins   time.Time
		hostname string
		change   func(TLSConfig)
		state    string
		want     string
	}{
		"good":              {now, "a.example", nil, stateOK, "is good until"},
		"run out":           {now.AddDate(0, 0, -selfSignedDays-1), "a.example", nil, stateFail, "ran out on"},
		"soon":              {now.AddDate(0, 0, -selfSignedDays+10), "a.example", nil, stateWarn, "runs out in"},
		"begins tomorrow":   {now.AddDate(0, 0, 1), "a.example", nil, stateFail, "begins only on"},
		"another name":      {now, "b.example", nil, stateWarn, "is not for b.example"},
		"a key for all":     {now, "a.example", func(c TLSConfig) { os.Chmod(c.Key, 0o644) }, stateWarn, "can read the key"},
		"no key":            {now, "a.example", func(c TLSConfig) { os.Remove(c.Key) }, stateFail, "cannot be used"},
		"no certificate":    {now, "a.example", func(c TLSConfig) { os.WriteFile(c.Cert, []byte("x"), 0o600) }, stateFail, "cannot be used"},
		"key of another":    {now, "a.example", func(c TLSConfig) { b, _ := os.ReadFile(certified(t, now).Key); os.WriteFile(c.Key, b, 0o600) }, stateFail, "cannot be used"},
		"the web's own one": {now, "", nil, stateOK, "is good until"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := certified(t, c.begins)
			if c.change != nil {
				c.change(files)
			}
			d := &doctor{config: Config{Hostname: c.hostname}, now: now}
			check := "certificate"
			if c.hostname == "" {
				check = "web certificate"
			}
			d.certificate(check, files, "")
			if len(d.findings) != 1 || d.findings[0].State != c.state || !strings.Contains(d.findings[0].Text, c.want) || (c.state != stateOK) != (d.findings[0].Mend != "") {
				t.Errorf("%+v", d.findings)
			}
		})
	}
}

// F17: a clock behind the audit is told.
func TestDoctorOnTheClock(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), MasterKey: []byte(strings.Repeat("k", 32)), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Record(t.Context(), "", store.Event{Kind: "test", Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	for ago, want := range map[time.Duration]string{0: stateOK, 30 * time.Second: stateOK, time.Hour: stateFail, 400 * 24 * time.Hour: stateFail} {
		d := &doctor{now: time.Now().Add(-ago)}
		d.clock(t.Context(), st)
		if len(d.findings) != 1 || d.findings[0].State != want {
			t.Errorf("%s behind: %+v", ago, d.findings)
		}
	}
}

// A port that somebody else has, and a service there that is none of ours.
func TestDoctorOnPorts(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := &doctor{config: Config{HTTP: HTTPConfig{Address: ln.Addr().String()}}}
	d.freePorts(t.Context())
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("HTTP/1.0 200 OK\r\n\r\n{}"))
			c.Close()
		}
	}()
	d.ask(t.Context())
	if len(d.findings) != 2 || d.findings[0].State != stateFail || !strings.Contains(d.findings[0].Text, "in use") ||
		d.findings[1].State != stateFail {
		t.Errorf("%+v", d.findings)
	}
}
