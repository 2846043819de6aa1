// Mutants shows that the tests of the promises can fail: it breaks the code on purpose, one
// break at a time, and sees that the tests named for that break go red.
//
// The breaks reach the compiler as overlays, so the tree itself is never changed. The table of
// breaks is in table.go; docs/promises.md is made from it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns 0 only if every break was noticed by every test named for it.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	document := flags.Bool("doc", false, "write "+documentPath+" and stop")
	only := flags.String("only", "", "only breaks whose name or file matches this regular `expression`")
	verbose := flags.Bool("v", false, "print what the red tests said")
	workers := flags.Int("workers", min(2, runtime.NumCPU()), "how many breaks are tried at the same time")
	if flags.Parse(args) != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "mutants:", err)
		return 1
	}
	root, err := findRoot()
	if err != nil {
		return fail(err)
	}
	if *document {
		if err := os.WriteFile(filepath.Join(root, documentPath), render(), 0o644); err != nil {
			return fail(err)
		}
		return 0
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fail(err)
	}
	var chosen []mutant
	for _, m := range table() {
		if wanted.MatchString(m.Name) || wanted.MatchString(m.File) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return fail(fmt.Errorf("no break matches %q", *only))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := try(ctx, root, chosen, max(1, *workers), *verbose, stdout)
	if err != nil {
		return fail(err)
	}
	if !ok {
		return 1
	}
	return 0
}

// try runs the tests on the sound code, then against each break, and prints what came of it.
func try(ctx context.Context, root string, chosen []mutant, workers int, verbose bool, out io.Writer) (bool, error) {
	dir, err := os.MkdirTemp("", "plaincover-mutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	// All files are read now, so that an edit while this runs cannot mix two states of one file.
	breaks := make([]broken, len(chosen))
	for i, m := range chosen {
		breaks[i] = prepare(root, dir, i, m)
	}
	started := time.Now()
	red, err := baseline(ctx, root, breaks, out)
	if err != nil {
		return false, err
	}
	if len(red) > 0 {
		for _, line := range red {
			fmt.Fprintln(out, line)
		}
		return false, fmt.Errorf("%d tests are not green on the sound code; nothing can be shown", len(red))
	}
	fmt.Fprintf(out, "the tests are green on the sound code (%s)\n\n", time.Since(started).Round(time.Second))

	results := make([]result, len(breaks))
	next := make(chan int)
	var group sync.WaitGroup
	var printing sync.Mutex
	for range workers {
		group.Go(func() {
			for i := range next {
				r := breaks[i].try(ctx, root)
				results[i] = r
				printing.Lock()
				r.print(out, verbose)
				printing.Unlock()
			}
		})
	}
	for i := range breaks {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return summary(out, results, time.Since(started)), nil
}
