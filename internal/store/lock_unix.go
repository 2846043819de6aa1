//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// lockFile takes an exclusive lock that ends with the process, however it ends.
func lockFile(name string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// serveLock is the file that the serving process keeps locked, with its process id.
const serveLock = "serve.lock"

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// Serving returns the process that serves the store in dir. ok is false when none does: the
// lock ends with its process, so a number that was left behind is never taken for one.
func Serving(dir string) (pid int, ok bool, err error) {
	name := filepath.Join(dir, serveLock)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	f, err := lockFile(name, false)
	if err == nil {
		return 0, false, f.Close()
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return 0, false, fmt.Errorf("store: who serves %s: %w", dir, err)
	}
	b, err := os.ReadFile(name)
	if err == nil {
		pid, err = strconv.Atoi(string(b))
	}
	if err != nil || pid <= 0 {
		return 0, false, fmt.Errorf("store: a gateway serves %s, and its process is not known: %w", dir, err)
	}
	return pid, true, nil
}
