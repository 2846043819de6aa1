package main

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// appends is how many durable writes the disk is timed over.
const appends = 400

// diskResult is what the disk takes from one writer.
type diskResult struct {
	rate float64 // a second
	wait percentiles
}

// timeDisk appends 4 KiB and syncs, one after the other: what a message could cost at least
// with one session and no group commit.
func timeDisk(ctx context.Context, dir string) (diskResult, error) {
	var res diskResult
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return res, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	rand.Read(block)
	waits := make([]time.Duration, 0, appends)
	start := time.Now()
	for range appends {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		t := time.Now()
		if _, err := f.Write(block); err != nil {
			return res, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return res, err
		}
		waits = append(waits, time.Since(t))
	}
	res.rate = appends / time.Since(start).Seconds()
	res.wait = percentilesOf(waits)
	return res, nil
}

// inMemory says whether dir is on a file system for which a sync means nothing.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // statfs(2)
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return false
	}
	return int64(st.Type) == tmpfs || int64(st.Type) == ramfs
}
