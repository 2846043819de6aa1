package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

type explainCmd struct {
	Policies string   `help:"Directory of the policy files." placeholder:"DIR"`
	Clients  string   `help:"Clients, as in the register's CSV." placeholder:"CSV"`
	Consents string   `help:"Consents, as in the register's CSV." placeholder:"CSV"`
	Sender   string   `required:"" help:"Who sends: an id of people.yaml." placeholder:"ID"`
	To       []string `help:"A recipient, by address or by client code; may be repeated. Without it the header's To, Cc and Bcc." placeholder:"ADDRESS" sep:"none"`
	At       string   `help:"The moment of sending, for example \"2026-11-22 22:00\" in the practice's own time, or 2026-11-22T22:00:00Z. Without it now." placeholder:"TIME"`
	Out      string   `help:"Write the messages that would leave into this directory: 1.eml, 2.eml, ..." placeholder:"DIR"`
	Released bool     `help:"Render as if every hold had been released."`
	File     string   `arg:"" help:"The message, or - for standard input."`
}

// Help is shown under --help.
func (explainCmd) Help() string {
	return "No database and no network: nothing is stored and nothing leaves.\n\nExample: gateway explain --clients clients.csv --sender maya --to C-0142 --out . letter.eml"
}

// Run explains one message.
func (x explainCmd) Run(ctx context.Context, p *program) (err error) {
	c, err := p.configuration(needNothing)
	if err != nil {
		return err
	}
	if x.Policies != "" {
		c.Policies = x.Policies
	}
	snap, err := policies(c.Policies)
	if err != nil {
		return err
	}
	at := time.Now()
	if x.At != "" {
		if at, err = moment("--at", x.At, at, snap); err != nil {
			return err
		}
	}
	clients, words, err := x.register(p, snap, at)
	if err != nil {
		return err
	}
	source, err := p.openInput(x.File)
	if err != nil {
		return err
	}
	defer source.Close()
	facts := store.NewFixture(clients, at)
	for ref, phrase := range words {
		facts.SetWords(ref, phrase)
	}
	g, err := gateway.New(gateway.Config{Facts: facts, Policy: snap, Hostname: c.Hostname,
		Limits: gatewayLimits(c), Now: func() time.Time { return at }})
	if err != nil {
		return err
	}
	q := gateway.DryRun{Sender: x.Sender, At: at, Released: x.Released}
	if q.To, err = recipients(x.To, clients); err != nil {
		return err
	}
	spool := store.NewMemorySpool()
	defer spool.Close()
	// One byte more than the limit is enough for the gateway to see that there is more.
	if q.Size, err = io.Copy(spool, io.LimitReader(source, int64(c.Limits.MessageBytes)+1)); err != nil {
		return fmt.Errorf("read %s: %w", x.File, err)
	}
	q.Mail = spool
	account, err := g.Explain(ctx, q)
	if err != nil {
		return err
	}
	defer account.Close()
	if err := writeCopies(x.Out, account); err != nil {
		return err
	}
	if x.Clients == "" && !p.json && account.Outcome == "hold" {
		p.say("hint: without --clients nobody is known as a client, and mail to unknown people is held; with --clients clients.csv it is decided as the service does")
	}
	return p.emit(account, func(w io.Writer) { printAccount(w, account) })
}

// register reads the CSV files of a dry run: the clients, and by code the words that they agreed.
func (x explainCmd) register(p *program, snap *policy.Snapshot, at time.Time) (_ []filter.Client, words map[string]string, err error) {
	var (
		clients  []store.ClientRow
		consents []store.ConsentRow
	)
	if x.Clients != "" {
		f, err := p.openInput(x.Clients)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		if clients, err = store.ParseClients(f); err != nil {
			return nil, nil, inFile(x.Clients, err)
		}
	}
	if x.Consents != "" {
		f, err := p.openInput(x.Consents)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		if consents, err = store.ParseConsents(f); err != nil {
			return nil, nil, inFile(x.Consents, err)
		}
	}
	merged, err := store.Merge(clients, withExpiry(consents, snap), purposes(snap), at)
	if err != nil {
		return nil, nil, inFile(x.Consents, err)
	}
	words = map[string]string{}
	for _, c := range clients {
		words[c.Ref] = c.Words
	}
	return merged, words, nil
}

// inFile puts the file's name in front of each line of a report.
func inFile(name string, err error) error {
	lines := strings.Split(plain(err), "\n")
	for i, l := range lines {
		lines[i] = name + ": " + l
	}
	return &answerNo{strings.Join(lines, "\n")}
}

// recipients turns addresses and client codes into mailboxes.
func recipients(to []string, clients []filter.Client) ([]mail.Address, error) {
	var out []mail.Address
	for _, t := range to {
		if strings.Contains(t, "@") {
			a, err := mail.ParseAddress(t)
			if err != nil {
				return nil, &usageError{fmt.Sprintf("--to %s is not an address: %v", t, err)}
			}
			out = append(out, a)
			continue
		}
		found := false
		for _, c := range clients {
			if c.Ref != t {
				continue
			}
			if len(c.Email) == 0 {
				return nil, &usageError{fmt.Sprintf("--to %s: the client has no email address", t)}
			}
			out, found = append(out, c.Email[0]), true
		}
		if !found {
			return nil, &usageError{fmt.Sprintf("--to %s is neither an address nor a code in --clients", t)}
		}
	}
	return out, nil
}

// writeCopies writes what would leave as 1.eml, 2.eml, ...
func writeCopies(dir string, a *gateway.Account) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range a.Messages {
		m := &a.Messages[i]
		m.File = fmt.Sprintf("%d.eml", i+1)
		f, err := os.OpenFile(filepath.Join(dir, m.File), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, io.NewSectionReader(m.Copy, 0, m.Copy.Size()))
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", m.File, err)
		}
	}
	return nil
}

// printAccount is the account for people.
func printAccount(w io.Writer, a *gateway.Account) {
	fmt.Fprintf(w, "%s\n", map[string]string{"send": "SEND", "hold": "HOLD", "refuse": "REFUSE"}[a.Outcome])
	fmt.Fprintf(w, "The mail app would see: %d %s %s\n", a.Reply.Code, a.Reply.Enhanced, a.Reply.Text)
	if len(a.Findings) > 0 {
		fmt.Fprint(w, "\nWhy\n")
	}
	for _, f := range a.Findings {
		line := fmt.Sprintf("  %s  %s", strings.ToUpper(f.Action), f.Rule)
		if f.Recipient != "" {
			line += " (" + f.Recipient + ")"
		}
		fmt.Fprintln(w, line)
		// The reason begins with the rule's own sentence.
		fmt.Fprintf(w, "        %s\n", orDefault(f.Reason, f.Name))
		for _, ch := range f.Changes {
			fmt.Fprintf(w, "        - %s\n", ch)
		}
		if f.Observed {
			fmt.Fprintln(w, "        (observed only: without effect)")
		}
		if f.Waived {
			fmt.Fprintln(w, "        (waived by the release)")
		}
	}
	if len(a.Messages) == 0 {
		fmt.Fprint(w, "\nNothing would leave.\n")
		return
	}
	fmt.Fprintf(w, "\nWhat would leave: %s\n", count(len(a.Messages), "message"))
	for i, m := range a.Messages {
		name := m.File
		if name == "" {
			name = fmt.Sprint(i + 1)
		}
		fmt.Fprintf(w, "  %s  from %s to %s\n", name, m.ReversePath, strings.Join(m.ForwardPaths, ", "))
		for _, ch := range m.Changes {
			fmt.Fprintf(w, "        - %s\n", ch)
		}
		fmt.Fprintf(w, "        a lock screen would show: %s\n", m.LockScreen)
	}
}
