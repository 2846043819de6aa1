// Package store owns everything that must survive: accepted messages and their jobs, the
// register of clients, consents, sign-ins and the audit, in one SQLite database.
//
// What the gateway has answered 250 to is committed and synced here first. Message content,
// envelopes, plans and the register are sealed before they reach the disk; a message's own
// key is all that keeps it readable, and deleting that key erases it. The package decides
// nothing about mail: it never reads a message, never speaks a protocol and never logs.
package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// databaseName is the database's file in the data directory.
const databaseName = "plaincover.db"

//go:embed migrations/*.sql
var migrationFiles embed.FS

var (
	errDamaged = errors.New("stored bytes are damaged")
	errClosed  = fault.New(fault.Unavailable, "the store is closed")
)

// Exists reports whether there is a database in dir; Open would make one.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, databaseName))
	return err == nil
}

// Options say how to open a store.
type Options struct {
	Dir       string           // the data directory
	MasterKey []byte           // 32 bytes, see MasterKey
	Now       func() time.Time // nil: time.Now
	// Serve is for the one process that delivers: it takes the lock file, and turns what an
	// earlier process left as sending into in_doubt. Commands open the store without it.
	Serve bool
}

// Store is an open store. Several processes may have the same one open.
type Store struct {
	dir  string
	keys *keyring
	now  func() time.Time
	// steady measures leases; its times have a monotonic reading where now's have.
	steady func() time.Time
	claims claims

	write *sql.DB // one connection, owned by the committer
	read  *sql.DB
	stmts sync.Map // query -> *sql.Stmt on read
	lock  *os.File // of the serving process

	gate   sync.RWMutex // closed may only change while nobody is handing over an op
	closed bool
	ops    chan *op
	done   chan struct{}
	ready  chan struct{}
	health health

	watch struct {
		sync.Mutex
		version int64
		watch   *filter.Watch
		refs    map[int64]string // codes by clients.id: who an erased row was
	}

	commitFailure func() error // tests: stands for a failed fsync
}

// Open opens the store in o.Dir, creating it when there is none. It refuses a database whose
// durable settings do not hold, that a newer version has written, or that another master key
// has sealed.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{
		dir: o.Dir, now: o.Now,
		ops: make(chan *op, maxBatch), done: make(chan struct{}), ready: make(chan struct{}, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.steady = s.now
	if s.keys, err = newKeyring(o.MasterKey); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if o.Serve {
		if s.lock, err = lockFile(filepath.Join(s.dir, serveLock), false); err != nil {
			return nil, fmt.Errorf("open store: another gateway serves %s: %w", s.dir, err)
		}
		if err := writePID(s.lock); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	if err := s.connect(ctx); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	w, err := newWriter(s)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	go s.commitLoop(w)
	if o.Serve {
		if err := s.recover(ctx); err != nil {
			s.Close()
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	return s, nil
}

// connect opens both pools and brings the schema up to date. Two processes that open a new
// store at once do so one after the other.
func (s *Store) connect(ctx context.Context) error {
	opening, err := lockFile(filepath.Join(s.dir, "open.lock"), true)
	if err != nil {
		return err
	}
	defer opening.Close()
	name := filepath.Join(s.dir, databaseName)
	// SQLite gives its WAL and shared-memory files the database's mode.
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if s.write, err = sql.Open("sqlite", dsn(name, true)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(name, false)); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	if err := checkDurable(ctx, s.write); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	return s.checkKey(ctx)
}

// dsn returns the data source of the one writer, or of a reader.
func dsn(name string, writer bool) string {
	q := url.Values{}
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"secure_delete(1)", "temp_store(2)", "wal_autocheckpoint(4000)", "trusted_schema(0)"}
	if writer {
		q.Set("_txlock", "immediate")
	} else {
		pragmas = append(pragmas, "query_only(1)")
	}
	q["_pragma"] = pragmas
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	return (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String()
}

// checkDurable reads the settings back that 250 rests on (reliability, decision 1).
func checkDurable(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1"} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("PRAGMA %s: %w", pragma, err)
		}
		if !strings.EqualFold(got, want) {
			return fmt.Errorf("the database does not hold PRAGMA %s=%s (it says %s): what is answered 250 would not be durable", pragma, want, got)
		}
	}
	return nil
}

// migrate brings the schema up to date; a database of a newer version is left alone.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	if have > newest {
		return fmt.Errorf("the database has schema %d and this program knows %d: use the newer program", have, newest)
	}
	if have == newest {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// checkKey refuses a master key that is not the one that sealed this database.
func (s *Store) checkKey(ctx context.Context) error {
	// A plain HMAC of nothing would do; the random half keeps two databases apart.
	salt := make([]byte, 16)
	rand.Read(salt)
	if _, err := s.write.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('key-check', $1) ON CONFLICT DO NOTHING`,
		append(salt, keyCheck(s.keys, salt)...)); err != nil {
		return err
	}
	var v []byte
	if err := s.write.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'key-check'`).Scan(&v); err != nil {
		return err
	}
	if len(v) < 16 || !hmac.Equal(v[16:], keyCheck(s.keys, v[:16])) {
		return errors.New("this master key is not the one that sealed the database: put the right key back")
	}
	return nil
}

func keyCheck(k *keyring, salt []byte) []byte { return []byte(mac(k.check, string(salt))) }

// Close lets the committer finish what it was handed, and closes the store.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	close(s.ops)
	s.gate.Unlock()
	<-s.done
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	s.stmts.Range(func(_, v any) bool {
		errs = append(errs, v.(*sql.Stmt).Close())
		return true
	})
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// recover puts in order what an earlier process left behind: attempts without a result are
// in doubt, staged content without a message goes, and so do temporary files.
func (s *Store) recover(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "tmp"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(s.dir, "tmp", e.Name())); err != nil {
			return err
		}
	}
	return s.do(ctx, func(t *tx) error {
		if err := t.dropStaged(); err != nil {
			return err
		}
		return t.doubt(math.MaxInt64, "restart")
	})
}

// prepared returns a statement on the reader pool, made once.
func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := s.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, loaded := s.stmts.LoadOrStore(query, st); loaded {
		st.Close()
		return old.(*sql.Stmt), nil
	}
	return st, nil
}

func (s *Store) queryRow(ctx context.Context, query string, args []any, dest ...any) error {
	st, err := s.prepared(ctx, query)
	if err != nil {
		return unavailable(err)
	}
	err = st.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return unavailable(err)
}

// each calls fn for every row of a query.
func (s *Store) each(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	st, err := s.prepared(ctx, query)
	if err != nil {
		return unavailable(err)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return unavailable(rows.Err())
}

// unavailable classifies a database failure: our trouble, try again.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, "", fmt.Errorf("store: %w", err))
}

func notFound(what string) error { return fault.New(fault.NotFound, "no such "+what) }

// nanos and when store the zero time as 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func when(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// newID returns an id for a row of ours.
func (t *tx) newID() (string, error) {
	id, err := mail.NewID(t.at, rand.Reader)
	return string(id), err
}

func (s *Store) databasePath() string { return filepath.Join(s.dir, databaseName) }
