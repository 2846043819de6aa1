// Command bench measures how many messages a second the gateway accepts and delivers, how
// long a mail app waits from the final dot to 250, and what a message costs, in turn with a
// Postfix that does no content work. It owns the load, the sink and the two servers that it
// starts; it never talks to anything but loopback, and ends only what it started.
//
// Absolute figures say as much about the machine and its neighbours as about the program.
// The ratios count: each is taken within one round, both servers minutes apart at most.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings is the command line.
type settings struct {
	rounds      int
	connections []int
	messages    []int // for each number of connections
	size        int
	only        string
	gateway     string
	profile     string
	dir         string
	trace       bool
	limit       time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = bench(ctx, s, os.Stdout, os.Stderr)
	}
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var connections, messages string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&s.rounds, "rounds", 5, "rounds; in each, both servers take every load in turn")
	f.StringVar(&connections, "connections", "1,10,50", "connections kept open")
	f.StringVar(&messages, "messages", "300,1000,2000", "messages a run, for each number of connections")
	f.IntVar(&s.size, "size", 4096, "bytes a message")
	f.StringVar(&s.only, "only", "", "measure only gateway or only postfix")
	f.StringVar(&s.gateway, "gateway", "", "a gateway binary (default: built from ./cmd/gateway)")
	f.StringVar(&s.profile, "profile", "", "write a CPU profile of the gateway here (it is built with a profiler linked in; slower)")
	f.StringVar(&s.dir, "dir", "", "where the servers keep their data while it runs (default: the temporary directory)")
	f.BoolVar(&s.trace, "trace", true, "count syncs with strace, in runs of their own")
	f.DurationVar(&s.limit, "timeout", 25*time.Minute, "bound on the whole")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.connections, err = numbers(connections); err != nil {
		return s, fmt.Errorf("-connections: %w", err)
	}
	if s.messages, err = numbers(messages); err != nil {
		return s, fmt.Errorf("-messages: %w", err)
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("%q is not a flag", f.Arg(0))
	case len(s.connections) != len(s.messages):
		return s, errors.New("-connections and -messages need as many numbers")
	case s.rounds < 1 || s.size < 512:
		return s, errors.New("-rounds must be at least 1 and -size at least 512")
	case s.only != "" && s.only != "gateway" && s.only != "postfix":
		return s, errors.New("-only is gateway or postfix")
	}
	return s, nil
}

// numbers reads "1,10,50".
func numbers(list string) ([]int, error) {
	var all []int
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number above zero", word)
		}
		all = append(all, n)
	}
	return all, nil
}

// patience is how long the sink may hear nothing before what is missing counts as lost.
const patience = 30 * time.Second

// server is what both the gateway and Postfix look like from here.
type server struct {
	name    string
	addr    string // implicit TLS
	user    string
	pass    string
	from    string
	usage   func() (usage, error)
	tracees func() []int
	stop    func() error
}

// bench runs everything and prints the report.
func bench(ctx context.Context, s settings, out, progress io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	dir, err := os.MkdirTemp(s.dir, "plaincover-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Postfix drops root and must still reach its queue.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	certs, err := newCertificate(dir)
	if err != nil {
		return err
	}
	drain, err := newSink()
	if err != nil {
		return err
	}
	defer drain.close()

	var servers []*server
	defer func() {
		for _, sv := range servers {
			err = errors.Join(err, sv.stop())
		}
	}()
	var notes []string
	if s.only != "gateway" {
		sv, err := startPostfix(ctx, filepath.Join(dir, "postfix"), certs, drain.addr())
		var missing missingError
		switch {
		case errors.As(err, &missing):
			notes = append(notes, "Postfix is left out, and so are the ratios: "+missing.Error()+".")
			fmt.Fprintln(progress, notes[0])
		case err != nil:
			return fmt.Errorf("postfix: %w", err)
		default:
			servers = append(servers, sv)
		}
	}
	if s.only != "postfix" {
		sv, err := startGateway(ctx, s, filepath.Join(dir, "gateway"), certs, drain.addr())
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		servers = append(servers, sv)
	}
	if len(servers) == 0 {
		return errors.New("nothing to measure")
	}

	r := newReport(s)
	r.notes = append(r.notes, notes...)
	if err := warmUp(ctx, s, servers, drain, certs, r); err != nil {
		return err
	}
	for round := range s.rounds {
		if err := r.disk(ctx, dir); err != nil {
			return err
		}
		for i, c := range s.connections {
			// Every other round starts with the other server, so that neither always
			// comes after the disk has caught up.
			for k := range servers {
				sv := servers[(k+round)%len(servers)]
				run, err := measure(ctx, sv, drain, certs, load{connections: c, messages: s.messages[i], size: s.size, patience: patience})
				if err != nil {
					return fmt.Errorf("%s, %d connections: %w", sv.name, c, err)
				}
				r.add(sv.name, c, run)
				fmt.Fprintf(progress, "round %d  %-8s c=%-3d accepted %7.0f/s  delivered %7.0f/s  final dot to 250: p50 %6.2f p99 %7.2f ms  CPU %.2f ms  drain %.2f s%s\n",
					round+1, sv.name, c, run.accepted, run.delivered, ms(run.wait.p50), ms(run.wait.p99), run.cpu, run.drain.Seconds(), run.trouble())
			}
		}
	}
	for _, sv := range servers {
		// Postfix is many processes that share most of their pages: a sum would mislead.
		if sv.name == gatewayName {
			if u, err := sv.usage(); err == nil {
				r.peak = u.peakMiB
			}
		}
	}
	if s.trace {
		r.syncs(ctx, servers, drain, certs, s, dir)
	}
	r.sums(drain)
	r.print(out)
	return r.verdict()
}

// warmUp fills caches and pools, opens Postfix's processes, and looks once at the delivered
// copy: the gateway must have done its work on it and Postfix must not.
func warmUp(ctx context.Context, s settings, servers []*server, drain *sink, certs certificate, r *report) error {
	for _, sv := range servers {
		l := load{connections: s.connections[len(s.connections)-1], size: s.size, patience: patience}
		l.messages = 4 * l.connections
		run, err := measure(ctx, sv, drain, certs, l)
		if err != nil {
			return fmt.Errorf("%s, warming up: %w", sv.name, err)
		}
		if run.acked == 0 {
			return fmt.Errorf("%s accepts nothing: %s", sv.name, run.trouble())
		}
		r.add(sv.name, 0, run)
		copied := drain.last()
		rewritten := !strings.Contains(copied, subject)
		if rewritten != (sv.name == gatewayName) {
			return fmt.Errorf("%s: subject of the delivered copy replaced: %t", sv.name, rewritten)
		}
	}
	return nil
}

// root returns the module's directory: go run starts in the caller's.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("go.mod not found: run it inside the repository")
		}
		dir = up
	}
}

// machine says on what kind of machine this ran, without naming it.
func machine() string {
	model := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = ", " + strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores%s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
