package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// configuration reads the configuration and prints its warnings.
func (p *program) configuration(need configNeed) (Config, error) {
	path, named := p.config, p.config != ""
	if !named {
		path = "gateway.yaml"
	}
	c, warnings, err := loadConfig(path, named, p.Environ, need)
	for _, w := range warnings {
		p.say("warning: %s", w)
	}
	return c, err
}

// policies loads the policies in dir. Problems are a *configError: with broken policies
// nothing runs on weaker ones.
func policies(dir string) (*policy.Snapshot, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &configError{problems{{Code: codeNoPolicies, File: dir, Text: "there is no such directory of policies", Fix: "name it with --policies, or as policies in gateway.yaml"}}}
	}
	snap, err := policy.Load(os.DirFS(dir))
	if ps, ok := errors.AsType[policy.Problems](err); ok {
		return nil, &configError{ps.In(dir)}
	}
	if err != nil {
		return nil, &configError{fmt.Errorf("policies in %s: %w", dir, err)}
	}
	return snap, nil
}

// checkRegion refuses a smarthost in a region where the policies do not allow data to be
// processed (S56).
func checkRegion(c Config, snap *policy.Snapshot) error {
	r := c.Smarthost.Region
	if r == "" || len(snap.Org.Regions) == 0 || slices.Contains(snap.Org.Regions, r) {
		return nil
	}
	return &configError{problems{{Code: codeRegion, File: "gateway.yaml", Text: fmt.Sprintf("smarthost.region: %q is not one of regions.allowed in organisation.yaml (%s)", r, strings.Join(snap.Org.Regions, ", ")),
		Fix: "use a smarthost in an allowed region (S56)"}}}
}

// openStore opens the database in data. serve takes the lock of the running service.
func (p *program) openStore(ctx context.Context, c Config, serve bool) (*store.Store, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	key, created, err := store.MasterKey(c.Data, c.Secrets.MasterKeyFile)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if created {
		where := c.Secrets.MasterKeyFile
		if where == "" {
			where = c.Data
		}
		p.say("warning: made a master key in %s; back it up somewhere else than the database: without it no stored mail can be read", where)
	}
	return store.Open(ctx, store.Options{Dir: c.Data, MasterKey: key, Now: time.Now, Serve: serve})
}

// session is what a command over the database needs.
type session struct {
	config Config
	snap   *policy.Snapshot
	store  *store.Store
}

// withStore opens policies and database for a command, and closes the database after it.
func (p *program) withStore(ctx context.Context, do func(session) error) (err error) {
	c, err := p.configuration(needNothing)
	if err != nil {
		return err
	}
	snap, err := policies(c.Policies)
	if err != nil {
		return err
	}
	st, err := p.openStore(ctx, c, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return do(session{config: c, snap: snap, store: st})
}

// gateway is the application over the command's database.
func (s session) gateway(log *slog.Logger) (*gateway.Gateway, error) {
	limits := gatewayLimits(s.config)
	return gateway.New(gateway.Config{Store: s.store, Policy: s.snap, Hostname: s.config.Hostname, Limits: limits, Log: log})
}

// logger writes the service's own log.
func logger(c LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// openInput opens a file, or standard input for "-".
func (p *program) openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(p.In), nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{fmt.Sprintf("%s: no such file", filepath.ToSlash(name))}
	}
	return f, err
}
