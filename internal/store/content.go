package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// Sealed reads one stored version of a message. It opens the chunks that it needs, one at a
// time, and checks that each is the one that stood there. It is safe for concurrent use.
type Sealed struct {
	s       *Store
	id      mail.ID
	variant int
	row     int64
	size    int64
	key     *dataKey

	mu     sync.Mutex
	have   int64 // number of the chunk in buf; -1: none
	buf    []byte
	failed error
}

// Content opens one stored version: 0 as received, 1 and up the copies that leave.
func (s *Store) Content(ctx context.Context, id mail.ID, variant int) (*Sealed, error) {
	c := &Sealed{s: s, id: id, variant: variant, have: -1}
	var dek []byte
	err := s.queryRow(ctx, `SELECT c.id, c.size, m.dek FROM contents c JOIN messages m ON m.id = c.message WHERE c.message = $1 AND c.variant = $2`,
		[]any{string(id), variant}, &c.row, &c.size, &dek)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && dek == nil) {
		return nil, notFound("content: it was erased, or never here")
	}
	if err != nil {
		return nil, err
	}
	if c.key, err = s.keys.unwrap(string(id), dek); err != nil {
		return nil, unavailable(err)
	}
	return c, nil
}

// Size returns the number of bytes.
func (c *Sealed) Size() int64 { return c.size }

// Close forgets the decrypted bytes and the key.
func (c *Sealed) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.buf)
	c.buf, c.have, c.failed = nil, -1, fault.New(fault.Internal, "read after close")
	return nil
}

// Damaged reports whether a read found bytes that are not the ones that were stored.
func (c *Sealed) Damaged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Is(c.failed, errDamaged)
}

// ReadAt implements io.ReaderAt.
func (c *Sealed) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("store: negative offset")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	if c.size == 0 { // the one empty chunk still has to be there
		if err := c.load(0); err != nil {
			return 0, err
		}
	}
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		if err := c.load(off / chunkSize); err != nil {
			return n, err
		}
		m := copy(p[n:], c.buf[off%chunkSize:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// load opens one chunk. A failure stays: half a message must never pass for a whole one.
func (c *Sealed) load(n int64) error {
	if c.have == n {
		return nil
	}
	var data []byte
	err := c.s.queryRow(context.Background(), `SELECT data FROM chunks WHERE id = $1`, []any{c.row<<16 | n}, &data)
	if errors.Is(err, sql.ErrNoRows) {
		err = errDamaged
	}
	last := (n+1)*chunkSize >= c.size
	if err == nil {
		// Reuses the buffer; the plain text of a chunk never outlives the next one.
		c.buf, err = c.key.aead.Open(c.buf[:0], nil, data, aad(string(c.id), "content", int64(c.variant), n, last))
		if err != nil || (!last && len(c.buf) != chunkSize) || (last && int64(len(c.buf)) != c.size-n*chunkSize) {
			err = errDamaged
		}
	}
	if err != nil {
		c.have, c.failed = -1, fmt.Errorf("content %s/%d, chunk %d: %w", c.id, c.variant, n, err)
		if errors.Is(err, errDamaged) {
			return c.failed
		}
		err, c.failed = c.failed, nil // the database could not be read now: that may pass
		return err
	}
	c.have = n
	return nil
}
