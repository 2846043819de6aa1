package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// report gathers what the runs showed. Zero connections stand for the warm-up, whose rates
// are not told but whose messages count.
type report struct {
	settings settings
	runs     map[string]map[int][]result
	disks    []diskResult
	peak     float64 // MiB, the gateway's resident set
	synced   []string
	extra    []result // runs under strace
	notes    []string

	acked, refused, lost, twice, ghosts, strange int
}

func newReport(s settings) *report {
	return &report{settings: s, runs: map[string]map[int][]result{}}
}

func (r *report) add(name string, connections int, run result) {
	if r.runs[name] == nil {
		r.runs[name] = map[int][]result{}
	}
	r.runs[name][connections] = append(r.runs[name][connections], run)
}

// disk times the disk, which other users of it slow down or not from minute to minute.
func (r *report) disk(ctx context.Context, dir string) error {
	d, err := timeDisk(ctx, dir)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	r.disks = append(r.disks, d)
	if len(r.disks) == 1 && inMemory(dir) {
		r.notes = append(r.notes, "The data lie in memory, where a sync costs nothing: the figures say nothing about a disk. Use -dir.")
	}
	return nil
}

// syncs counts sync calls a message, with one session and with the most.
func (r *report) syncs(ctx context.Context, servers []*server, drain *sink, certs certificate, s settings, dir string) {
	most := slices.Max(s.connections)
	for _, sv := range servers {
		for _, l := range []load{{connections: 1, messages: 100}, {connections: most, messages: 10 * most}} {
			l.size, l.patience = s.size, patience
			n, run, err := countSyncs(ctx, sv, drain, certs, l, dir)
			var missing missingError
			if errors.As(err, &missing) {
				r.notes = append(r.notes, "Syncs a message are left out: "+missing.Error()+".")
				return
			}
			r.extra = append(r.extra, run)
			if err != nil {
				r.notes = append(r.notes, fmt.Sprintf("Syncs of %s with %d connections are left out: %v.", sv.name, l.connections, err))
				continue
			}
			r.synced = append(r.synced, fmt.Sprintf("%s %.2f with %d", sv.name, n, l.connections))
		}
	}
}

// sums looks at the sink once more at the end: a copy may also come late.
func (r *report) sums(drain *sink) {
	count := func(runs []result) {
		for _, run := range runs {
			r.refused += run.refused
			for _, token := range run.tokens {
				r.acked++
				switch times := drain.when(token).times; {
				case times == 0:
					r.lost++
				case times > 1:
					r.twice++
				}
			}
			for _, token := range run.unanswered {
				if drain.when(token).times > 0 {
					r.ghosts++
				}
			}
		}
	}
	for _, byLoad := range r.runs {
		for _, runs := range byLoad {
			count(runs)
		}
	}
	count(r.extra)
	r.strange = drain.odd()
}

// verdict is an error when a message was lost or came twice, or when the servers did other
// work than was asked.
func (r *report) verdict() error {
	if r.lost+r.twice+r.refused+r.strange > 0 {
		return fmt.Errorf("%d lost, %d twice, %d not accepted, %d at the sink that nobody sent", r.lost, r.twice, r.refused, r.strange)
	}
	return nil
}

// row is one line of the table.
type row struct {
	name  string
	value func(result) float64
	shape string
}

func (r *report) print(w io.Writer) {
	rows := []row{
		{"accepted/s", func(x result) float64 { return x.accepted }, "%.0f"},
		{"delivered/s", func(x result) float64 { return x.delivered }, "%.0f"},
		{"final dot to 250, p50 ms", func(x result) float64 { return ms(x.wait.p50) }, "%.2f"},
		{"final dot to 250, p99 ms", func(x result) float64 { return ms(x.wait.p99) }, "%.2f"},
		{"MAIL to delivered, p50 ms", func(x result) float64 { return ms(x.endToEnd.p50) }, "%.1f"},
		{"CPU ms a message", func(x result) float64 { return x.cpu }, "%.2f"},
		{"drain after the last 250, s", func(x result) float64 { return x.drain.Seconds() }, "%.2f"},
	}
	fmt.Fprintf(w, "\n%d bytes of text to one client, implicit TLS, AUTH PLAIN, connections kept open; %d rounds in turn.\n", r.settings.size, r.settings.rounds)
	fmt.Fprintf(w, "%s. Load, servers and sink share them. min / median / max.\n\n", machine())
	ours, theirs := r.runs[gatewayName], r.runs[postfixName]
	fmt.Fprintln(w, "| connections | figure | gateway | Postfix, no content work | gateway : Postfix |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, c := range r.settings.connections {
		for _, row := range rows {
			a, b := values(ours[c], row.value), values(theirs[c], row.value)
			var ratios []float64
			for i := range min(len(a), len(b)) {
				if b[i] > 0 {
					ratios = append(ratios, a[i]/b[i])
				}
			}
			fmt.Fprintf(w, "| %d | %s | %s | %s | %s |\n", c, row.name, spread(a, row.shape), spread(b, row.shape), spread(ratios, "%.2f"))
		}
	}
	fmt.Fprintln(w)
	var rates, p50s []float64
	for _, d := range r.disks {
		rates, p50s = append(rates, d.rate), append(p50s, ms(d.wait.p50))
	}
	fmt.Fprintf(w, "Disk, append 4 KiB + fdatasync, one writer: %s a second, p50 %s ms.\n", spread(rates, "%.0f"), spread(p50s, "%.2f"))
	if len(r.synced) > 0 {
		fmt.Fprintf(w, "Syncs a message (strace, runs of their own; connections): %s.\n", strings.Join(r.synced, ", "))
	}
	if r.peak > 0 {
		fmt.Fprintf(w, "Peak resident memory of the gateway: %.0f MiB.\n", r.peak)
	}
	fmt.Fprintf(w, "Messages answered 250: %d. Lost: %d. Delivered twice: %d. Not accepted: %d, of which delivered all the same: %d. Other mail at the sink: %d.\n",
		r.acked, r.lost, r.twice, r.refused, r.ghosts, r.strange)
	for _, n := range r.notes {
		fmt.Fprintln(w, n)
	}
}

func values(runs []result, of func(result) float64) []float64 {
	var all []float64
	for _, run := range runs {
		all = append(all, of(run))
	}
	return all
}

// spread writes min / median / max.
func spread(all []float64, shape string) string {
	if len(all) == 0 {
		return "–"
	}
	sorted := slices.Sorted(slices.Values(all))
	middle := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		middle = (middle + sorted[len(sorted)/2-1]) / 2
	}
	return fmt.Sprintf(shape+" / **"+shape+"** / "+shape, sorted[0], middle, sorted[len(sorted)-1])
}
