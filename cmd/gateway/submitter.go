package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

type submitterCmd struct {
	Add    submitterAddCmd    `cmd:"" help:"Make an app password for a person or a system; it is shown once."`
	List   submitterListCmd   `cmd:"" help:"All app passwords, by name."`
	Remove submitterRemoveCmd `cmd:"" help:"Remove app passwords; they stop working at once."`
	Reset  submitterResetCmd  `cmd:"" help:"Replace an app password; the old one stops working at once."`
}

// signIn is what somebody types into a mail app.
type signIn struct {
	ID       string `json:"id"`
	SignsIn  string `json:"signs_in_as"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// who returns the sign-in name of a person or system of people.yaml.
func (s session) who(id string) (string, error) {
	u, ok := s.snap.Sender(id)
	if !ok {
		var known []string
		for _, p := range s.snap.People {
			known = append(known, p.ID)
		}
		for _, y := range s.snap.Systems {
			known = append(known, y.ID)
		}
		text := fmt.Sprintf("nobody in people.yaml has the id %q", id)
		if near := policy.Nearest(id, known); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		return "", &answerNo{text}
	}
	return u.Real.String(), nil
}

// mustHave answers no when there is no such app password; name empty means any of that id.
func (s session) mustHave(ctx context.Context, id, name string) error {
	there, err := s.has(ctx, id, name)
	if err != nil || there {
		return err
	}
	text := id + " has no app password"
	if name != "" {
		text += fmt.Sprintf(" named %q", name)
	}
	return &answerNo{text + ": gateway submitter list shows all"}
}

func (s session) has(ctx context.Context, id, name string) (bool, error) {
	all, err := s.store.Submitters(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(u store.Submitter) bool { return u.ID == id && (name == "" || u.Label == name) }), nil
}

func (p *program) printSignIn(in signIn) error {
	return p.emit(in, func(w io.Writer) {
		fmt.Fprintf(w, "sign in as\t%s\npassword\t%s\n", in.SignsIn, in.Password)
		p.say("The password is shown this once; type it into the mail app now. If it gets lost: gateway submitter reset %s --name %s", in.ID, shellWord(in.Name))
	})
}

// shellWord is s as one word of a command that somebody may copy.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || strings.ContainsRune("-_.", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return strconv.Quote(s)
}

type submitterAddCmd struct {
	ID   string `arg:"" help:"A person or system of people.yaml."`
	Name string `default:"mail app" help:"Which device or mail app it is for; by name it can be removed alone." placeholder:"NAME"`
	dryRun
}

// Help is shown under --help.
func (submitterAddCmd) Help() string { return "Example: gateway submitter add maya --name laptop" }

// Run makes an app password.
func (k submitterAddCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		name, err := s.who(k.ID)
		if err != nil {
			return err
		}
		if k.DryRun {
			if there, err := s.has(ctx, k.ID, k.Name); err != nil || there {
				return orElse(err, fault.New(fault.Conflict, fmt.Sprintf("%s already has an app password of that name: use another name, or reset it", k.ID)))
			}
			return p.outcome(true, "would make an app password named %q for %s, who signs in as %s", k.Name, k.ID, name)
		}
		password, err := s.store.AddSubmitter(ctx, k.ID, k.Name)
		if err != nil {
			return err
		}
		return p.printSignIn(signIn{k.ID, name, k.Name, password})
	})
}

// orElse returns err, or other when there is none.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

type submitterListCmd struct{}

// Help is shown under --help.
func (submitterListCmd) Help() string { return "Example: gateway submitter list --json" }

// Run lists app passwords, never the passwords themselves.
func (submitterListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		all, err := s.store.Submitters(ctx)
		if err != nil {
			return err
		}
		if all == nil {
			all = []store.Submitter{}
		}
		for i, u := range all {
			if _, known := s.snap.Sender(u.ID); !known && (i == 0 || all[i-1].ID != u.ID) {
				p.say("warning: %s is not in people.yaml and cannot sign in: gateway submitter remove %s", u.ID, u.ID)
			}
		}
		return p.emit(all, func(w io.Writer) {
			if len(all) == 0 {
				fmt.Fprintln(w, "Nobody can sign in yet: gateway submitter add ID --name DEVICE")
				return
			}
			fmt.Fprintln(w, "ID\tNAME\tMADE\tLAST USED")
			for _, u := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.ID, u.Label, s.local(u.CreatedAt), s.local(u.LastUsed))
			}
		})
	})
}

type submitterRemoveCmd struct {
	ID   string `arg:"" help:"A person or system."`
	Name string `help:"Only the app password of that name; without it all of them." placeholder:"NAME"`
	dryRun
}

// Help is shown under --help.
func (submitterRemoveCmd) Help() string {
	return "Example: gateway submitter remove maya --name laptop"
}

// Run removes app passwords, also those of people who are no longer in people.yaml.
func (k submitterRemoveCmd) Run(ctx context.Context, p *program) error {
	what := "all app passwords of " + k.ID
	if k.Name != "" {
		what = fmt.Sprintf("the app password %q of %s", k.Name, k.ID)
	}
	return p.withStore(ctx, func(s session) error {
		if err := s.mustHave(ctx, k.ID, k.Name); err != nil {
			return err
		}
		if k.DryRun {
			return p.outcome(true, "would remove %s", what)
		}
		if err := s.store.RemoveSubmitter(ctx, k.ID, k.Name); err != nil {
			return err
		}
		return p.outcome(false, "removed %s", what)
	})
}

type submitterResetCmd struct {
	ID   string `arg:"" help:"A person or system."`
	Name string `default:"mail app" help:"The name of the app password." placeholder:"NAME"`
	dryRun
}

// Help is shown under --help.
func (submitterResetCmd) Help() string { return "Example: gateway submitter reset maya --name laptop" }

// Run replaces an app password.
func (k submitterResetCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		name, err := s.who(k.ID)
		if err != nil {
			return err
		}
		if err := s.mustHave(ctx, k.ID, k.Name); err != nil {
			return err
		}
		if k.DryRun {
			return p.outcome(true, "would replace the app password %q of %s", k.Name, k.ID)
		}
		password, err := s.store.ResetSubmitter(ctx, k.ID, k.Name)
		if err != nil {
			return err
		}
		return p.printSignIn(signIn{k.ID, name, k.Name, password})
	})
}
