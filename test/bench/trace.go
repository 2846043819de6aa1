package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// countSyncs runs l while strace counts the sync calls of the server, and returns them for
// each accepted message. The rates of such a run mean nothing.
func countSyncs(ctx context.Context, sv *server, drain *sink, certs certificate, l load, dir string) (float64, result, error) {
	var res result
	strace, err := tool("strace")
	if err != nil {
		return 0, res, err
	}
	table := filepath.Join(dir, "strace")
	defer os.Remove(table)
	args := []string{"-f", "-c", "-U", "name,calls", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", table}
	for _, pid := range sv.tracees() {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	c, err := startChild(dir, strace, args...)
	if err != nil {
		return 0, res, err
	}
	if err := awaitTracer(ctx, c, sv.tracees()[0]); err != nil {
		c.stop(syscall.SIGINT)
		return 0, res, fmt.Errorf("%w: %s", err, c.stderr)
	}
	res, err = measure(ctx, sv, drain, certs, l)
	c.stop(syscall.SIGINT)
	if err != nil {
		return 0, res, err
	}
	if res.acked == 0 {
		return 0, res, fmt.Errorf("nothing was accepted%s", res.trouble())
	}
	b, err := os.ReadFile(table)
	if err != nil {
		return 0, res, err
	}
	calls := 0
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.Contains(fields[0], "sync") {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, res, fmt.Errorf("strace: %q", line)
		}
		calls += n
	}
	return float64(calls) / float64(res.acked), res, nil
}

// awaitTracer returns when every thread of pid is traced.
func awaitTracer(ctx context.Context, c *child, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if traced(pid) {
			return nil
		}
		select {
		case <-again.C:
		case <-c.done:
			return missingError("strace may not attach here")
		case <-ctx.Done():
			return missingError("strace did not attach")
		}
	}
}

func traced(pid int) bool {
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if strings.Contains(string(b), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
}
