package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/plaincover/plaincover/internal/fault"
)

// maxBatch is how many changes may share one commit.
const maxBatch = 256

// linger is how long a change that nobody is kept waiting by may wait for company. It is less
// than one delivery takes, so that what may be sent twice after a crash hardly grows.
const linger = 4 * time.Millisecond

// op is one change, run inside a transaction that others may share. run may be undone and
// its caller told so, without harm to the others.
type op struct {
	run  func(*tx) error
	done chan error
	late bool // may linger
}

// do hands a change to the committer and waits until it is on disk. An error means that
// nothing of it was committed. ctx counts only until the hand-over: after it the outcome
// must be known.
func (s *Store) do(ctx context.Context, run func(*tx) error) error {
	return s.commit(ctx, &op{run: run})
}

// doLate is do for a change that may linger to share the commit of another one.
func (s *Store) doLate(ctx context.Context, run func(*tx) error) error {
	return s.commit(ctx, &op{run: run, late: true})
}

func (s *Store) commit(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	if err := s.hand(ctx, o); err != nil {
		return err
	}
	return <-o.done
}

func (s *Store) hand(ctx context.Context, o *op) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return errClosed
	}
	select {
	case s.ops <- o:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "", ctx.Err())
	}
}

// tryHand queues a change whose loss does no harm; it never waits.
func (s *Store) tryHand(o *op) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.ops <- o:
	default:
	}
}

// health says whether commits can be trusted.
type health struct {
	sync.Mutex
	err error
}

// Healthy returns nil while commits can be trusted. After a failed commit nothing is
// accepted until the database was reopened and checked (reliability, decision 11).
func (s *Store) Healthy() error {
	s.health.Lock()
	defer s.health.Unlock()
	return s.health.err
}

// Probe makes a durable write, as every 250 needs one. It finds a disk that failed while
// nobody was writing, and lets a store that has failed find out that it is well again. It waits
// no longer than ctx.
func (s *Store) Probe(ctx context.Context) error {
	o := &op{run: func(t *tx) error { return t.mark() }, done: make(chan error, 1)}
	if err := s.hand(ctx, o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "", ctx.Err())
	}
}

// Intact reads the structure of the whole database; an error says that it is damaged, or that
// it cannot be read. It takes long where there is much.
func (s *Store) Intact(ctx context.Context) error {
	return s.each(ctx, "PRAGMA quick_check(1)", nil, func(rows *sql.Rows) error {
		var verdict string
		if err := rows.Scan(&verdict); err != nil {
			return unavailable(err)
		}
		if verdict != "ok" {
			return fault.Wrap(fault.Internal, "", errors.New("the database is damaged"))
		}
		return nil
	})
}

func (s *Store) setHealth(err error) {
	s.health.Lock()
	s.health.err = err
	s.health.Unlock()
}

// writer is the one connection that writes, with its prepared statements. Only the
// committer's goroutine uses it.
type writer struct {
	s     *Store
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newWriter(s *Store) (*writer, error) {
	conn, err := s.write.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, conn: conn, stmts: make(map[string]*sql.Stmt)}
	if err := checkDurable(context.Background(), conn); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *writer) close() {
	for _, st := range w.stmts {
		st.Close()
	}
	// The pool must not keep a connection that may have failed.
	w.conn.Raw(func(any) error { return driver.ErrBadConn })
	w.conn.Close()
}

func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w.stmts[query] = st
	return st, nil
}

func (w *writer) exec(query string, args ...any) (sql.Result, error) {
	st, err := w.stmt(query)
	if err != nil {
		return nil, err
	}
	// A context that can end would cost a goroutine a statement.
	return st.ExecContext(context.Background(), args...)
}

// tx is an open transaction of the committer.
type tx struct {
	*writer
	at time.Time
	volatile
}

// volatile is what goes back with the savepoint when one change of a batch fails.
type volatile struct {
	head    head  // newest audit row
	nextJob int64 // 0: not read yet
	wake    bool  // a job may have become due
}

func (t *tx) query(query string, args []any, fn func(*sql.Rows) error) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *tx) queryRow(query string, args []any, dest ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(context.Background(), args...).Scan(dest...)
}

// commitLoop is the one writer. It takes what is waiting, up to maxBatch changes, into one
// transaction, and answers each after the commit.
func (s *Store) commitLoop(w *writer) {
	defer close(s.done)
	var lastTry time.Time
	batch := make([]*op, 0, maxBatch)
	for o := range s.ops {
		batch = s.gather(append(batch[:0], o))
		if w == nil && time.Since(lastTry) > time.Second {
			lastTry = time.Now()
			w = s.reopen()
		}
		if w == nil {
			refuse(batch, s.Healthy())
			continue
		}
		if !w.commit(batch) {
			w.close()
			lastTry = time.Now()
			w = s.reopen()
		}
	}
	if w != nil {
		w.close()
	}
}

// gather adds what is waiting. While all of it may linger, it waits a moment for more.
func (s *Store) gather(batch []*op) []*op {
	late := batch[0].late
	var enough <-chan time.Time
	for len(batch) < maxBatch {
		select {
		case next, ok := <-s.ops:
			if !ok {
				return batch
			}
			batch, late = append(batch, next), late && next.late
			continue
		default:
		}
		if !late {
			return batch
		}
		if enough == nil {
			t := time.NewTimer(linger)
			defer t.Stop()
			enough = t.C
		}
		select {
		case next, ok := <-s.ops:
			if !ok {
				return batch
			}
			batch, late = append(batch, next), late && next.late
		case <-enough:
			return batch
		}
	}
	return batch
}

func refuse(batch []*op, err error) {
	for _, o := range batch {
		o.done <- unavailable(err)
	}
}

// reopen gets a fresh connection after a failure and checks the database; nil when it
// cannot be trusted yet.
func (s *Store) reopen() *writer {
	w, err := newWriter(s)
	if err == nil {
		if err = w.check(); err == nil {
			s.setHealth(nil)
			return w
		}
		w.close()
	}
	s.setHealth(fmt.Errorf("database not usable: %w", err))
	return nil
}

// check reads the database's structure and makes a durable write.
func (w *writer) check() error {
	var verdict string
	if err := w.conn.QueryRowContext(context.Background(), "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New("quick_check found damage")
	}
	if f := w.s.commitFailure; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	return w.mark()
}

// mark is a write that changes nothing but the time at which it was made.
func (w *writer) mark() error {
	_, err := w.exec(`INSERT INTO meta (name, value) VALUES ('checked', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		[]byte(w.s.now().UTC().Format(time.RFC3339Nano)))
	return err
}

// commit runs a batch in one transaction and answers every op. It reports whether the
// connection can still be trusted.
func (w *writer) commit(batch []*op) bool {
	if _, err := w.exec("BEGIN IMMEDIATE"); isBusy(err) {
		refuse(batch, err) // another process is writing: nothing is wrong here
		return true
	} else if err != nil {
		return w.fail(batch, err)
	}
	t := &tx{writer: w, at: w.s.now()}
	errs := make([]error, len(batch))
	for i, o := range batch {
		if err := t.runOne(o, &errs[i], len(batch) > 1); err != nil {
			return w.fail(batch, err)
		}
	}
	if len(batch) == 1 && errs[0] != nil {
		_, err := w.exec("ROLLBACK")
		batch[0].done <- errs[0]
		return err == nil
	}
	if err := t.finish(); err != nil {
		return w.fail(batch, err)
	}
	for i, o := range batch {
		o.done <- errs[i]
	}
	if t.wake {
		w.s.wakeUp()
	}
	return true
}

// fail answers a batch of which nothing was committed. From before the first answer on the
// store is not healthy, until reopen finds that it is.
func (w *writer) fail(batch []*op, err error) bool {
	w.exec("ROLLBACK")
	w.s.setHealth(fmt.Errorf("commit failed: %w", err))
	refuse(batch, err)
	return false
}

// runOne runs one change; with others in the batch under a savepoint, so that one bad
// change does not undo theirs. The returned error is fatal for the batch.
func (t *tx) runOne(o *op, result *error, shared bool) error {
	saved := t.volatile
	if shared {
		if _, err := t.exec("SAVEPOINT change"); err != nil {
			return err
		}
	}
	if *result = o.run(t); *result == nil {
		if shared {
			_, err := t.exec("RELEASE change")
			return err
		}
		return nil
	}
	*result = classify(*result)
	t.volatile = saved
	if !shared {
		return nil
	}
	// SQLite undoes the whole transaction by itself after some failures; then this fails too.
	if _, err := t.exec("ROLLBACK TO change"); err != nil {
		return err
	}
	_, err := t.exec("RELEASE change")
	return err
}

func (t *tx) finish() error {
	if err := t.writeHead(); err != nil {
		return err
	}
	if f := t.s.commitFailure; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	_, err := t.exec("COMMIT")
	return err
}

// classify gives database errors a kind; what is classified already stays.
func classify(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT {
		return fault.Wrap(fault.Conflict, "", fmt.Errorf("store: %w", err))
	}
	if errors.Is(err, errDamaged) {
		return fault.Wrap(fault.Internal, "", err)
	}
	return unavailable(err)
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func (s *Store) wakeUp() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Ready returns a channel that gets a value when work may have become due. Changes by other
// processes do not show here; they show in NextDue.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// Checkpoint moves the whole write-ahead log into the database and empties it, so that no
// older version of a row stays in it.
func (s *Store) Checkpoint(ctx context.Context) error {
	// Outside the committer: a checkpoint cannot run inside a transaction. The reader pool
	// may not write, so it takes a connection of its own.
	db, err := sql.Open("sqlite", dsn(s.databasePath(), true))
	if err != nil {
		return unavailable(err)
	}
	defer db.Close()
	var busy, log, moved int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved); err != nil {
		return unavailable(err)
	}
	if busy != 0 {
		return fault.New(fault.Unavailable, "the database is busy: try the checkpoint again")
	}
	return nil
}
