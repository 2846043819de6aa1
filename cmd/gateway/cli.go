package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/plaincover/plaincover/internal/fault"
)

// Exit codes, the same for every command.
const (
	exitDone   = 0
	exitNo     = 1  // the answer is no
	exitUsage  = 2  // wrong usage
	exitConfig = 78 // bad configuration
)

// Streams are what a run of the program talks to.
type Streams struct {
	In      io.Reader
	Out     io.Writer // data
	Err     io.Writer // messages for people
	Environ []string  // KEY=value
}

// commands is the command line.
type commands struct {
	Config string   `help:"Configuration file; without it gateway.yaml if there is one, then the environment alone." placeholder:"FILE"`
	JSON   bool     `name:"json" help:"Data for machines on standard output."`
	Help   helpFlag `short:"h" help:"Show help."`

	Demo      demoCmd      `cmd:"" help:"Show everything on this machine: sample mails through the real path, before and after."`
	Serve     serveCmd     `cmd:"" help:"Run the service."`
	Check     checkCmd     `cmd:"" help:"Check policies and configuration."`
	Fmt       fmtCmd       `cmd:"" help:"Put policy files into one layout; what they say stays the same."`
	Test      testCmd      `cmd:"" help:"Run the tests of the policies."`
	Replay    replayCmd    `cmd:"" help:"What would have happened to the mail of the past under other policies."`
	Reload    reloadCmd    `cmd:"" help:"Have the running service take changed policies, or keep the old ones."`
	Explain   explainCmd   `cmd:"" help:"Dry run of a message: what would happen to it, and why."`
	Submitter submitterCmd `cmd:"" help:"Sign-ins of people and systems."`
	Client    clientCmd    `cmd:"" help:"The register of clients."`
	Consent   consentCmd   `cmd:"" help:"What clients have agreed to."`
	Key       keyCmd       `cmd:"" help:"PGP keys of clients."`
	Held      heldCmd      `cmd:"" help:"Messages that wait for a person's decision."`
	Queue     queueCmd     `cmd:"" help:"Messages on their way."`
	Audit     auditCmd     `cmd:"" help:"The record of every decision."`
	Sink      sinkCmd      `cmd:"" help:"Stand in for the smarthost in a trial: take mail, print it, pass nothing on."`
	Doctor    doctorCmd    `cmd:"" help:"Look at everything that must be right, and say what mends it."`
	Version   versionCmd   `cmd:"" help:"Version, commit and Go version."`
}

// errHelp ends a run that only asked for help.
var errHelp = errors.New("help shown")

// helpFlag prints the help of the command it stands behind. It ends parsing with errHelp
// instead of ending the process, as kong's own flag does.
type helpFlag bool

// BeforeReset is kong's hook: it runs as soon as the flag is seen, whatever else is missing.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}

// IgnoreDefault tells kong that the hook runs only when the flag is given.
func (helpFlag) IgnoreDefault() {}

// dryRun is part of every command that writes.
type dryRun struct {
	DryRun bool `help:"Say what would be done, and change nothing."`
}

// program is one run.
type program struct {
	Streams
	config string
	json   bool
}

// Run runs one command and returns its exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("gateway"),
		kong.Description("Plaincover: the outgoing mail server that makes every message to a client safe, or holds it with a plain reason.\n\nExample: gateway demo --once\n\nExit codes: 0 done, 1 the answer is no, 2 wrong usage, 78 bad configuration or policies."),
		kong.NoDefaultHelp(),
		kong.Writers(s.Out, s.Err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		fmt.Fprintf(s.Err, "gateway: %v\n", err)
		return exitNo
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help": // as other programs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	switch {
	case errors.Is(err, errHelp):
		return exitDone
	case err != nil:
		fmt.Fprintf(s.Err, "gateway: %v\nSee %s --help.\n", err, helpFor(err))
		return exitUsage
	}
	p := &program{Streams: s, config: c.Config, json: c.JSON}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return p.exit(parsed.Run(p))
}

// helpFor is the command whose help says what err misses.
func helpFor(err error) string {
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if node := pe.Context.Selected(); node != nil {
			return node.FullPath()
		}
		for _, step := range slices.Backward(pe.Context.Path) {
			if step.Command != nil {
				return step.Command.FullPath()
			}
		}
	}
	return "gateway"
}

// answerNo is an outcome that the command has reported already, or whose text says it all.
type answerNo struct{ text string }

func (e *answerNo) Error() string { return e.text }

// usageError is wrong usage that kong cannot see.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// exit prints err and returns the exit code for it.
func (p *program) exit(err error) int {
	if err == nil {
		return exitDone
	}
	if text := plain(err); text != "" {
		fmt.Fprintln(p.Err, text)
	}
	if _, ok := errors.AsType[*configError](err); ok {
		return exitConfig
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitNo
}

// plain is the text of err for the person at the command line: without the kind of failure
// that a fault without a text of its own puts in front.
func plain(err error) string {
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Public == "" && fe.Err != nil && err == error(fe) {
		return fe.Err.Error()
	}
	return err.Error()
}

// say tells people something, on standard error.
func (p *program) say(format string, args ...any) { fmt.Fprintf(p.Err, format+"\n", args...) }

// outcome says what a command did, or in a dry run would do: to people on standard error, to
// machines as data.
func (p *program) outcome(dry bool, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if !p.json {
		if dry {
			text = "dry run: " + text
		}
		p.say("%s", text)
		return nil
	}
	return p.emit(struct {
		DryRun bool   `json:"dry_run"`
		Text   string `json:"text"`
	}{dry, text}, nil)
}

// emit writes data: v as JSON for machines, or what text writes, in columns, for people.
func (p *program) emit(v any, text func(w io.Writer)) error {
	if p.json {
		enc := json.NewEncoder(p.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(p.Out, 0, 4, 2, ' ', 0)
	text(w)
	return w.Flush()
}
