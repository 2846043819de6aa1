package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

type keyCmd struct {
	Import keyImportCmd `cmd:"" help:"Put a client's public PGP key on file."`
	List   keyListCmd   `cmd:"" help:"The PGP keys that are on file, by client."`
	Remove keyRemoveCmd `cmd:"" help:"Take a client's PGP key off file."`
}

type keyImportCmd struct {
	Ref  string `arg:"" help:"The client's code."`
	File string `arg:"" help:"The client's public key, armored or binary, or - for standard input."`
	dryRun
}

// Help is shown under --help.
func (keyImportCmd) Help() string {
	return "Compare the fingerprint with the client first, in session or by phone: from then on their mail is encrypted to this key, and whoever slips in a key of their own can read it.\n\nExample: gateway key import C-0142 anna.asc --dry-run"
}

// Run puts a key on file that can be used now: a person is there who can ask for a better one.
func (k keyImportCmd) Run(ctx context.Context, p *program) error {
	f, err := p.openInput(k.File)
	if err != nil {
		return err
	}
	defer f.Close()
	key, err := encrypt.ParseKey(f)
	if err != nil {
		return badKey(k.File, err)
	}
	return p.withStore(ctx, func(s session) error {
		c, err := s.client(ctx, k.Ref)
		if err != nil {
			return err
		}
		if err := store.UsableKey(key, c.Email, time.Now()); err != nil {
			return badKey(k.File, err)
		}
		if k.DryRun {
			return p.outcome(true, "would put key %s on file for %s", key.Fingerprint(), k.Ref)
		}
		if err := s.store.SetKey(ctx, k.Ref, key, actor); err != nil {
			return err
		}
		return p.outcome(false, "key %s is on file for %s", key.Fingerprint(), k.Ref)
	})
}

// badKey names the file, and the key by its fingerprint: never by what its user ids say.
func badKey(file string, err error) error {
	var fault *encrypt.KeyError
	if !errors.As(err, &fault) {
		return inFile(file, err)
	}
	return &answerNo{file + ": " + strings.TrimPrefix(fault.Plain(), "the file ")}
}

type keyListCmd struct{}

// Help is shown under --help.
func (keyListCmd) Help() string { return "Example: gateway key list --json" }

// listedKey is a key as it is shown. Fault is empty, or why it cannot be encrypted to now.
type listedKey struct {
	store.ClientKey
	Fault string `json:"fault,omitempty"`
}

// Run lists the keys of clients, each with what is wrong with it today.
func (keyListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		keys, err := s.store.Keys(ctx)
		if err != nil {
			return err
		}
		clients, err := s.store.Clients(ctx)
		if err != nil {
			return err
		}
		addresses := make(map[string][]mail.Address, len(clients))
		for _, c := range clients {
			addresses[c.Ref] = c.Email
		}
		rows := make([]listedKey, len(keys))
		for i, k := range keys {
			rows[i].ClientKey = k
			var fault *encrypt.KeyError
			if err := k.Usable(addresses[k.Ref], time.Now()); errors.As(err, &fault) {
				rows[i].Fault = fault.Plain()
			} else if err != nil {
				return err
			}
		}
		return p.emit(rows, func(w io.Writer) {
			if len(rows) == 0 {
				fmt.Fprintln(w, "No keys are on file: gateway key import C-0142 anna.asc")
				return
			}
			fmt.Fprintln(w, "CODE\tFINGERPRINT\tTRUST\tIMPORTED\tBY\tSTATE")
			for _, k := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Ref, k.Fingerprint, k.Trust, day(k.ImportedAt), k.ImportedBy, orDefault(k.Fault, "can be used"))
			}
		})
	})
}

type keyRemoveCmd struct {
	Ref string `arg:"" help:"The client's code."`
	dryRun
}

// Help is shown under --help.
func (keyRemoveCmd) Help() string {
	return "From then on mail that must be encrypted to this client is held.\n\nExample: gateway key remove C-0142"
}

// Run takes a key off file.
func (k keyRemoveCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		if _, err := s.client(ctx, k.Ref); err != nil {
			return err
		}
		old, err := s.store.Key(ctx, k.Ref)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			return &answerNo{fmt.Sprintf("there is no key on file for %s; put one there: gateway key import %s FILE", k.Ref, k.Ref)}
		case err != nil:
			return err
		case k.DryRun:
			return p.outcome(true, "would remove key %s of %s", old.Fingerprint, k.Ref)
		}
		if err := s.store.RemoveKey(ctx, k.Ref, actor); err != nil {
			return err
		}
		return p.outcome(false, "removed key %s of %s", old.Fingerprint, k.Ref)
	})
}
