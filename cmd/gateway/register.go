package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// actor is who the audit names for what is done at the command line.
const actor = "command"

type clientCmd struct {
	List   clientListCmd   `cmd:"" help:"All clients, by code."`
	Show   clientShowCmd   `cmd:"" help:"One client."`
	Import clientImportCmd `cmd:"" help:"Add and change clients from a CSV file: all rows or none."`
	Erase  clientEraseCmd  `cmd:"" help:"Erase a client, consents included, for good."`

	Words      clientWordsCmd      `cmd:"" help:"Make the words that open a client's locked documents, and show them once."`
	ResetWords clientResetWordsCmd `cmd:"" help:"Make new words for a client; the old ones open nothing that is locked from now on."`
}

type clientListCmd struct{}

// Help is shown under --help.
func (clientListCmd) Help() string { return "Example: gateway client list --json" }

// Run lists clients.
func (clientListCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		rows, err := s.store.Clients(ctx)
		if err != nil {
			return err
		}
		if rows == nil {
			rows = []store.ClientRow{}
		}
		return p.emit(rows, func(w io.Writer) {
			if len(rows) == 0 {
				fmt.Fprintln(w, "The register is empty: gateway client import clients.csv")
				return
			}
			fmt.Fprintln(w, "CODE\tSTATUS\tPRACTITIONER\tEMAIL\tPROTECTION\tCRISIS LINES")
			for _, c := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Ref, orDefault(c.Status, "active"), orDefault(c.Practitioner, "-"),
					count(len(c.Email), "address"), orDefault(c.Protection, s.snap.Clients.Protection), s.crisisLines(c))
			}
		})
	})
}

// crisisLines says whether a client's mail has crisis lines, and if not, why.
func (s session) crisisLines(c store.ClientRow) string {
	f := s.snap.CrisisFor(c.Client, time.Now())
	switch missing := templates.CrisisMissing(s.snap.Crisis, f); {
	case f.Discreet:
		return "discreet line"
	case missing != "":
		return "none: " + missing
	}
	return "yes"
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

type clientShowCmd struct {
	Ref string `arg:"" help:"The client's code."`
}

// Help is shown under --help.
func (clientShowCmd) Help() string { return "Example: gateway client show C-0142" }

// Run shows what the register knows about one client, without the words that open documents.
func (k clientShowCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		c, err := s.client(ctx, k.Ref)
		if err != nil {
			return err
		}
		return p.emit(c, func(w io.Writer) { printClient(w, s, c) })
	})
}

// client reads one client; an unknown code is answered by name.
func (s session) client(ctx context.Context, ref string) (store.ClientRow, error) {
	c, err := s.store.Client(ctx, ref)
	if fault.KindOf(err) == fault.NotFound {
		return c, &answerNo{fmt.Sprintf("no client in the register has the code %q: gateway client list shows all", ref)}
	}
	return c, err
}

func printClient(w io.Writer, s session, c store.ClientRow) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	var email []string
	for _, a := range c.Email {
		email = append(email, a.String())
	}
	row("code", c.Ref)
	row("name", c.Name)
	row("email", strings.Join(email, "; "))
	row("mobile", strings.Join(c.Mobile, "; "))
	row("born", day(c.Born))
	row("country", strings.TrimSpace(c.Country+" "+c.Nation))
	row("status", c.Status)
	if c.Discreet == nil {
		row("discreet", yesNo(s.snap.Clients.Discreet)+" (default)")
	} else {
		row("discreet", yesNo(*c.Discreet))
	}
	row("word", c.Word)
	row("protection", orDefault(c.Protection, s.snap.Clients.Protection+" (default)"))
	row("practitioner", c.Practitioner)
	row("crisis lines", templates.Crisis(s.snap.Crisis, s.snap.CrisisFor(c.Client, time.Now())))
	row("groups", strings.Join(c.Groups, "; "))
	for _, k := range c.Consents {
		row("consent", consentState(k.Purpose, k.GivenOn, k.ExpiresOn, k.Withdrawn))
	}
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func consentState(purpose string, given, expires time.Time, withdrawn bool) string {
	s := fmt.Sprintf("%s, given %s", purpose, day(given))
	switch {
	case withdrawn:
		return s + ", withdrawn"
	case !expires.IsZero() && !time.Now().Before(expires):
		return s + ", expired " + day(expires)
	case !expires.IsZero():
		return s + ", until " + day(expires)
	}
	return s
}

type clientImportCmd struct {
	File string `arg:"" help:"A CSV file, or - for standard input."`
	dryRun
}

// Help is shown under --help.
func (clientImportCmd) Help() string {
	return "Columns: ref (required), name, email, mobile, born, country, nation, language, timezone, status, discreet, word, words, protection, practitioner, channels, safe_hours, shared_device, shared_inbox, unsafe_since, check_again_on, risk_assessed_on, groups, same_service.\n\nExample: gateway client import clients.csv --dry-run"
}

// Run imports clients, all or none.
func (k clientImportCmd) Run(ctx context.Context, p *program) error {
	f, err := p.openInput(k.File)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := store.ParseClients(f)
	if err != nil {
		return inFile(k.File, err)
	}
	return p.withStore(ctx, func(s session) error {
		if err := s.practitioners(rows); err != nil {
			return inFile(k.File, err)
		}
		var rep store.Report
		if k.DryRun {
			rep, err = s.store.CheckClients(ctx, rows)
		} else {
			rep, err = s.store.ImportClients(ctx, rows, actor)
		}
		if err != nil {
			return inFile(k.File, err)
		}
		rep.Notes = append(rep.Notes, s.nations(rows)...)
		return p.printReport(rep, k.DryRun)
	})
}

// practitioners refuses a practitioner whom people.yaml does not know: rules about "this
// practitioner's other clients" would silently miss the client.
func (s session) practitioners(rows []store.ClientRow) error {
	var wrong store.RowProblems
	for i, r := range rows {
		if r.Practitioner == "" {
			continue
		}
		if _, ok := s.snap.Person(r.Practitioner); !ok {
			wrong = append(wrong, store.RowProblem{Row: i + 2, Column: "practitioner", Problem: fmt.Sprintf("%q is not an id of people.yaml", r.Practitioner)})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// nations names the clients whose nation no crisis line knows, though their country has lines
// for nations: a nation in another spelling ("Cymru") gets the lines of none.
func (s session) nations(rows []store.ClientRow) []string {
	var out []string
	for i, r := range rows {
		known := map[string]bool{s.snap.Org.Nation: true, "": true}
		for _, l := range s.snap.Crisis[strings.ToUpper(r.Country)].Lines {
			known[l.Nation], known[l.NotNation] = true, true
		}
		if len(known) > 2 && !slices.ContainsFunc(slices.Collect(maps.Keys(known)), func(n string) bool { return strings.EqualFold(n, r.Nation) }) {
			delete(known, "")
			out = append(out, fmt.Sprintf("row %d: the crisis lines of %s know no nation %q, only %s", i+2, r.Country, r.Nation, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
	return out
}

// printReport says what an import did.
func (p *program) printReport(r store.Report, dry bool) error {
	for _, n := range r.Notes {
		p.say("note: %s", n)
	}
	for _, n := range r.Confirm {
		p.say("not done: %s", n)
	}
	return p.emit(r, func(w io.Writer) {
		what := ""
		if dry {
			what = "dry run: "
		}
		fmt.Fprintf(w, "%s%d added, %d changed, %d unchanged\n", what, r.Added, r.Changed, r.Unchanged)
	})
}

type clientEraseCmd struct {
	Ref    string `arg:"" help:"The client's code."`
	Reason string `required:"" enum:"request,retention,mistake" help:"Why, for the audit, which holds codes only: request, retention or mistake." placeholder:"CODE"`
	dryRun
}

// Help is shown under --help.
func (clientEraseCmd) Help() string { return "Example: gateway client erase C-0142 --reason request" }

// Run erases a client.
func (k clientEraseCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error {
		if _, err := s.client(ctx, k.Ref); err != nil {
			return err
		}
		if k.DryRun {
			return p.outcome(true, "would erase %s, consents included, for good", k.Ref)
		}
		if err := s.store.EraseClient(ctx, k.Ref, actor, k.Reason); err != nil {
			return err
		}
		return p.outcome(false, "erased %s; backups made before still hold it, until they are gone", k.Ref)
	})
}

type clientWordsCmd struct {
	Ref string `arg:"" help:"The client's code."`
	dryRun
}

// Help is shown under --help.
func (clientWordsCmd) Help() string {
	return "The words are shown once and kept sealed. Give them to the client in session, never by email.\n\nExample: gateway client words C-0142"
}

// Run makes words for a client who has none.
func (k clientWordsCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error { return s.newWords(ctx, p, k.Ref, k.DryRun, false) })
}

type clientResetWordsCmd struct {
	Ref string `arg:"" help:"The client's code."`
	dryRun
}

// Help is shown under --help.
func (clientResetWordsCmd) Help() string {
	return "Documents that have left stay locked with the old words.\n\nExample: gateway client reset-words C-0142"
}

// Run makes new words for a client.
func (k clientResetWordsCmd) Run(ctx context.Context, p *program) error {
	return p.withStore(ctx, func(s session) error { return s.newWords(ctx, p, k.Ref, k.DryRun, true) })
}

// newWords makes the words of one client, and shows them: they are never shown again.
func (s session) newWords(ctx context.Context, p *program, ref string, dry, again bool) error {
	c, err := s.client(ctx, ref)
	if err != nil {
		return err
	}
	old, err := s.store.Words(ctx, ref)
	if err != nil {
		return err
	}
	switch {
	case old != "" && !again:
		return &answerNo{fmt.Sprintf("%s has words already, and they are not shown again; make new ones: gateway client reset-words %s", ref, ref)}
	case old == "" && again:
		return &answerNo{fmt.Sprintf("%s has no words yet; make them: gateway client words %s", ref, ref)}
	case dry:
		return p.outcome(true, "would make %d words for %s", s.wordCount(c), ref)
	}
	words, err := encrypt.NewWords(s.wordCount(c))
	if err != nil {
		return err
	}
	if err := s.store.SetWords(ctx, ref, words, actor); err != nil {
		return err
	}
	return p.emit(map[string]string{"ref": ref, "words": words}, func(w io.Writer) {
		fmt.Fprintln(w, words)
		p.say("These are the words of %s. Give them to the client in session, never by email; they are not shown again.", ref)
	})
}

// defaultWords is how many words make a phrase where clients.yaml says nothing; zipWords, how many
// a ZIP needs at least, because the way from words to key is weak there.
const (
	defaultWords = 4
	zipWords     = 6
)

func (s session) wordCount(c store.ClientRow) int {
	n := max(s.snap.Clients.PasswordWords, defaultWords)
	if orDefault(c.Protection, s.snap.Clients.Protection) == "locked_zip" {
		n = max(n, zipWords)
	}
	return n
}

// purposes are what clients.yaml lets people consent to, with the wording in force.
func purposes(snap *policy.Snapshot) store.Purposes {
	out := store.Purposes{}
	for name, rule := range snap.Clients.Consents {
		out[name] = store.Purpose{Wording: rule.Wording}
	}
	return out
}

// withExpiry gives a consent without an end the end that clients.yaml sets: no consent lasts
// for ever because a cell was empty.
func withExpiry(rows []store.ConsentRow, snap *policy.Snapshot) []store.ConsentRow {
	for i := range rows {
		r := &rows[i]
		if rule, ok := snap.Clients.Consents[r.Purpose]; ok && r.ExpiresOn.IsZero() && !r.GivenOn.IsZero() && !rule.Lasts.IsZero() {
			r.ExpiresOn = rule.Lasts.From(r.GivenOn)
		}
	}
	return rows
}
