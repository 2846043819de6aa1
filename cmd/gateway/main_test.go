package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gateway": main})
}

// Whole-program scripts. exits CODE gateway ... wants that exit code; policies DIR copies the
// shipped policies; submit FILE TO... puts a message through the door as maya.
func TestScripts(t *testing.T) {
	t.Parallel()
	shipped, err := filepath.Abs("../../policies")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("POLICIES", shipped)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    cmdExits,
			"policies": func(ts *testscript.TestScript, _ bool, args []string) { cmdPolicies(ts, shipped, args) },
			"submit":   func(ts *testscript.TestScript, _ bool, args []string) { cmdSubmit(ts, shipped, args) },
		},
		UpdateScripts: *update,
	})
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ee, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = ee.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdPolicies(ts *testscript.TestScript, shipped string, args []string) {
	for _, dir := range args {
		ts.Check(os.CopyFS(ts.MkAbs(dir), os.DirFS(shipped)))
	}
}

// cmdSubmit stands for a mail app: the message goes through the application's door, and is
// on disk afterwards.
func cmdSubmit(ts *testscript.TestScript, shipped string, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: submit FILE TO...")
	}
	ctx := context.Background()
	snap, err := policies(shipped)
	ts.Check(err)
	dir := ts.MkAbs("data")
	key, _, err := store.MasterKey(dir, "")
	ts.Check(err)
	st, err := store.Open(ctx, store.Options{Dir: dir, MasterKey: key, Now: time.Now})
	ts.Check(err)
	g, err := gateway.New(gateway.Config{Store: st, Policy: snap, Hostname: "mail.willowhouse.example"})
	ts.Check(err)
	id, err := g.NewID()
	ts.Check(err)
	env := &mail.Envelope{ID: id, Submitter: "maya", ReceivedAt: time.Now(), Client: netip.MustParseAddrPort("127.0.0.1:1")}
	env.Reverse, err = mail.ParseAddress("maya@willowhouse.example")
	ts.Check(err)
	for _, to := range args[1:] {
		a, err := mail.ParseAddress(to)
		ts.Check(err)
		env.Recipients = append(env.Recipients, mail.Recipient{Address: a})
	}
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	r, err := g.Submit(ctx, env, mail.CanonicalLines(f))
	if err = errors.Join(err, f.Close(), st.Close()); err != nil {
		ts.Fatalf("submit: %v", err)
	}
	ts.Setenv("ID", string(r.ID))
	ts.Logf("%s", r.Text)
}
