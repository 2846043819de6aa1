package store

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/plaincover/plaincover/internal/fault"
)

// Spool holds a message while it is looked at: in memory, and beyond a bound in a temporary
// file sealed under a random key that exists in memory only. It is written first and read
// after; reading is safe for concurrent use. Close removes it.
type Spool struct {
	dir    string
	memory int64

	mu   sync.Mutex
	buf  []byte // all of it, or with a file: what is not sealed yet
	size int64
	file *os.File
	aead cipher.AEAD
	done int64 // chunks in the file
	// One opened chunk, for reading.
	have int64
	open []byte
	err  error
}

// NewSpool returns an empty spool that keeps up to memory bytes in memory.
func (s *Store) NewSpool(memory int64) *Spool { return NewSpool(filepath.Join(s.dir, "tmp"), memory) }

// NewSpool returns an empty spool whose temporary file, if it needs one, is in dir.
func NewSpool(dir string, memory int64) *Spool { return &Spool{dir: dir, memory: memory, have: -1} }

// Grow makes room for n bytes, as far as these will be kept in memory.
func (p *Spool) Grow(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.file == nil {
		p.buf = slices.Grow(p.buf, int(min(n, p.memory)))
	}
}

// Write implements io.Writer.
func (p *Spool) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	p.buf = append(p.buf, b...)
	p.size += int64(len(b))
	if p.file == nil && p.size <= p.memory {
		return len(b), nil
	}
	if p.err = p.spill(); p.err != nil {
		return 0, p.err
	}
	return len(b), nil
}

// spill seals whole chunks into the file; the rest stays in memory.
func (p *Spool) spill() error {
	if p.file == nil {
		if err := p.create(); err != nil {
			return unavailable(fmt.Errorf("temporary file: %w", err))
		}
	}
	n := 0
	for ; len(p.buf)-n >= chunkSize; n += chunkSize {
		sealed := p.aead.Seal(nil, nil, p.buf[n:n+chunkSize], aad("", "spool", 0, p.done, false))
		if _, err := p.file.WriteAt(sealed, p.done*int64(len(sealed))); err != nil {
			return unavailable(fmt.Errorf("temporary file: %w", err))
		}
		p.done++
	}
	rest := copy(p.buf, p.buf[n:])
	clear(p.buf[rest:])
	p.buf = p.buf[:rest]
	if cap(p.buf) > 4*chunkSize {
		p.buf = append(make([]byte, 0, chunkSize), p.buf...)
	}
	return nil
}

func (p *Spool) create() error {
	key := make([]byte, keySize)
	rand.Read(key)
	var err error
	if p.aead, err = newAEAD(key); err != nil {
		return err
	}
	if p.file, err = os.CreateTemp(p.dir, "spool-*"); err != nil {
		return err
	}
	// Without a name it goes with the process, however that ends.
	return os.Remove(p.file.Name())
}

// Size returns the number of bytes written.
func (p *Spool) Size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// ReadAt implements io.ReaderAt.
func (p *Spool) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("store: negative offset")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	for n < len(b) {
		if off >= p.size {
			return n, io.EOF
		}
		src := p.buf
		at := off - p.done*chunkSize
		if at < 0 {
			if err := p.load(off / chunkSize); err != nil {
				return n, err
			}
			src, at = p.open, off%chunkSize
		}
		m := copy(b[n:], src[at:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

func (p *Spool) load(i int64) error {
	if p.have == i {
		return nil
	}
	sealed := make([]byte, chunkSize+p.aead.Overhead())
	if _, err := p.file.ReadAt(sealed, i*int64(len(sealed))); err != nil {
		return unavailable(fmt.Errorf("temporary file: %w", err))
	}
	var err error
	if p.open, err = p.aead.Open(p.open[:0], nil, sealed, aad("", "spool", 0, i, false)); err != nil {
		p.have = -1
		return unavailable(errDamaged)
	}
	p.have = i
	return nil
}

// Close removes the spool and what it held.
func (p *Spool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.buf)
	clear(p.open)
	p.buf, p.open, p.aead = nil, nil, nil
	p.err = fault.New(fault.Internal, "the spool is closed")
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return f.Close()
}

// NewMemorySpool returns a spool that never touches a disk, for dry runs.
func NewMemorySpool() *Spool { return NewSpool("", math.MaxInt64) }
