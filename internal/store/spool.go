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
	"sync"

	"github.com/plaincover/plaincover/internal/fault"
)

// Spool holds a message while it is looked at: in memory, and beyond a bound in a temporary
// file sealed under a random key that exists in memory only. It is written first and read
// after; reading is safe for concurrent use. Close removes it.
type Spool struct {
	dir    string
	memory int64

	mu     sync.Mutex
	chunks []*chunk // all of it, or with a file: what is not sealed yet
	size   int64
	file   *os.File
	aead   cipher.AEAD
	done   int64 // chunks in the file
	// One opened chunk, for reading.
	have int64
	open []byte
	err  error
}

type chunk [chunkSize]byte

// chunks of memory go from one message to the next, and hold nothing but zeros when they do.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// free gives back a chunk of which n bytes were used.
func (c *chunk) free(n int64) {
	clear(c[:n])
	chunks.Put(c)
}

// NewSpool returns an empty spool that keeps up to memory bytes in memory.
func (s *Store) NewSpool(memory int64) *Spool { return NewSpool(filepath.Join(s.dir, "tmp"), memory) }

// NewSpool returns an empty spool whose temporary file, if it needs one, is in dir.
func NewSpool(dir string, memory int64) *Spool { return &Spool{dir: dir, memory: memory, have: -1} }

// Write implements io.Writer.
func (p *Spool) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	for rest := b; len(rest) > 0; {
		used := p.size - p.done*chunkSize
		if used == int64(len(p.chunks))*chunkSize {
			p.chunks = append(p.chunks, chunks.Get().(*chunk))
		}
		n := copy(p.chunks[used/chunkSize][used%chunkSize:], rest)
		p.size += int64(n)
		rest = rest[n:]
		if p.file == nil && p.size <= p.memory {
			continue
		}
		if p.err = p.spill(); p.err != nil {
			return 0, p.err
		}
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
	for ; p.size >= (p.done+1)*chunkSize; p.done++ {
		c := p.chunks[0]
		sealed := p.aead.Seal(nil, nil, c[:], aad("", "spool", 0, p.done, false))
		if _, err := p.file.WriteAt(sealed, p.done*int64(len(sealed))); err != nil {
			return unavailable(fmt.Errorf("temporary file: %w", err))
		}
		c.free(chunkSize)
		p.chunks = p.chunks[1:]
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
		i, at := off/chunkSize, off%chunkSize
		var src []byte
		if i < p.done {
			if err := p.load(i); err != nil {
				return n, err
			}
			src = p.open
		} else {
			src = p.chunks[i-p.done][:min(chunkSize, p.size-i*chunkSize)]
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
	for i, c := range p.chunks {
		c.free(min(chunkSize, p.size-(p.done+int64(i))*chunkSize))
	}
	clear(p.open)
	p.chunks, p.open, p.aead = nil, nil, nil
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
