package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

const (
	// chunkSize is how much content one sealed chunk holds.
	chunkSize = 64 << 10
	// inlineSize is up to how much content is sealed by the caller and committed with its
	// message. More is staged before, stageChunks at a time, so that neither memory nor the
	// one writer is held up by a big message.
	inlineSize  = 256 << 10
	stageChunks = 16
)

// prepared is an acceptance that is sealed and ready to be inserted.
type prepared struct {
	a        *Acceptance
	wrapped  []byte
	key      *dataKey
	sealed   []byte
	contents []sealedContent
	threads  []threadRow
	facts    *sealedFacts
}

// sealedContent is one version of a message: its chunks, or the staged row that has them.
type sealedContent struct {
	variant int
	size    int64
	staged  int64
	chunks  [][]byte
}

// sealedJob is what of a job is never in clear.
type sealedJob struct {
	Reverse    mail.Address   `json:"reverse,omitzero"`
	Recipients []mail.Address `json:"recipients"`
	Replies    []Reply        `json:"replies,omitempty"`
}

// Reply is what a smarthost said to the last attempt for one recipient.
type Reply struct {
	Outcome Outcome `json:"outcome"`
	Status  string  `json:"status"`
	Text    string  `json:"text,omitempty"`
	Remote  string  `json:"remote,omitempty"`
}

// Accept commits a message with its content, jobs and audit rows, and everything in Also. It
// returns nil only when all of it is on disk; concurrent calls share a commit.
func (s *Store) Accept(ctx context.Context, a Acceptance) error {
	all, err := s.prepare(ctx, a)
	if err != nil {
		return err
	}
	err = s.do(ctx, func(t *tx) error { return t.insertAll(all) })
	if err != nil {
		s.unstage(all)
	}
	return err
}

// prepare checks, seals and stages an acceptance and those in Also, in the caller's goroutine.
func (s *Store) prepare(ctx context.Context, list ...Acceptance) (_ []*prepared, err error) {
	var all []*prepared
	defer func() {
		if err != nil {
			s.unstage(all)
		}
	}()
	for i := range list {
		a := &list[i]
		if err := checkAcceptance(a); err != nil {
			return nil, err
		}
		p := &prepared{a: a}
		if p.key, p.wrapped, err = s.keys.newDataKey(string(a.Message.ID)); err != nil {
			return nil, unavailable(err)
		}
		all = append(all, p)
		p.sealed = p.key.seal(a.Message.ID, "envelope", 0, a.Sealed)
		if p.contents, err = s.sealContents(ctx, a.Message.ID, p.key, a.Contents); err != nil {
			return nil, err
		}
		if p.threads, err = s.threadRows(a.Jobs); err != nil {
			return nil, err
		}
		if p.facts, err = s.sealFacts(a.Message.ID, a.Facts); err != nil {
			return nil, err
		}
		also, err := s.prepare(ctx, a.Also...)
		if err != nil {
			return nil, err
		}
		all = append(all, also...)
	}
	return all, nil
}

func (k *dataKey) seal(id mail.ID, what string, which int64, plain []byte) []byte {
	return k.aead.Seal(nil, nil, plain, aad(string(id), what, which, 0, true))
}

func (k *dataKey) open(id mail.ID, what string, which int64, sealed []byte) ([]byte, error) {
	b, err := k.aead.Open(nil, nil, sealed, aad(string(id), what, which, 0, true))
	if err != nil {
		return nil, errDamaged
	}
	return b, nil
}

// checkAcceptance finds what could not be delivered or answered for later.
func checkAcceptance(a *Acceptance) error {
	if a.Message.ID == "" || a.Message.Kind == "" {
		return errors.New("store: an acceptance needs an id and a kind")
	}
	return checkJobs(a.Contents, a.Jobs)
}

func checkJobs(contents []Content, jobs []NewJob) error {
	have := make(map[int]bool, len(contents))
	for _, c := range contents {
		if have[c.Variant] {
			return fmt.Errorf("store: variant %d twice", c.Variant)
		}
		have[c.Variant] = true
	}
	for i, j := range jobs {
		switch {
		case j.State != Queued && j.State != Held:
			return fmt.Errorf("store: job %d starts as %q", i, j.State)
		case len(j.Recipients) == 0:
			return fmt.Errorf("store: job %d has no recipient", i)
		case j.State == Queued && !have[j.Variant]:
			return fmt.Errorf("store: job %d needs variant %d, which is not there", i, j.Variant)
		}
	}
	return nil
}

func (s *Store) sealContents(ctx context.Context, id mail.ID, key *dataKey, list []Content) (out []sealedContent, err error) {
	var total int64
	for _, c := range list {
		total += c.Size
	}
	for _, c := range list {
		sc := sealedContent{variant: c.Variant, size: c.Size}
		if total <= inlineSize {
			err = sealChunks(id, key, c, func(_ int64, chunk []byte) error {
				sc.chunks = append(sc.chunks, chunk)
				return nil
			})
		} else {
			sc.staged, err = s.stage(ctx, id, key, c)
		}
		if err != nil {
			s.unstage([]*prepared{{contents: out}})
			return nil, err
		}
		out = append(out, sc)
	}
	return out, nil
}

// sealChunks seals a content chunk by chunk; an empty content has one empty chunk.
func sealChunks(id mail.ID, key *dataKey, c Content, emit func(n int64, chunk []byte) error) error {
	buf := make([]byte, min(c.Size, chunkSize))
	for n, off := int64(0), int64(0); ; n++ {
		part := buf[:min(chunkSize, c.Size-off)]
		if got, err := c.Body.ReadAt(part, off); got < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return unavailable(fmt.Errorf("read content: %w", err))
		}
		off += int64(len(part))
		last := off >= c.Size
		if err := emit(n, key.aead.Seal(nil, nil, part, aad(string(id), "content", int64(c.Variant), n, last))); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// stage writes a big content ahead of its message.
func (s *Store) stage(ctx context.Context, id mail.ID, key *dataKey, c Content) (row int64, err error) {
	type numbered struct {
		n    int64
		data []byte
	}
	var batch []numbered
	flush := func() error {
		at := row // row is set only once it is on disk
		err := s.do(ctx, func(t *tx) (err error) {
			if at == 0 {
				if at, err = t.newContent(nil, c.Variant, c.Size); err != nil {
					return err
				}
			}
			for _, b := range batch {
				if err := t.newChunk(at, b.n, b.data); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			row = at
		}
		return err
	}
	err = sealChunks(id, key, c, func(n int64, chunk []byte) error {
		batch = append(batch, numbered{n, chunk})
		if len(batch) < stageChunks {
			return nil
		}
		err := flush()
		batch = batch[:0]
		return err
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	if err != nil {
		s.unstage([]*prepared{{contents: []sealedContent{{staged: row}}}})
		return 0, err
	}
	return row, nil
}

// unstage removes what was staged for an acceptance that failed. It may fail too: then the
// next start of the service removes it.
func (s *Store) unstage(all []*prepared) {
	for _, p := range all {
		for _, c := range p.contents {
			if c.staged != 0 {
				s.tryHand(&op{run: func(t *tx) error { return t.dropContent(c.staged, "AND message IS NULL") }, done: make(chan error, 1)})
			}
		}
	}
}

func (t *tx) newContent(message any, variant int, size int64) (int64, error) {
	var row int64
	err := t.queryRow(`INSERT INTO contents (message, variant, size) VALUES ($1,$2,$3) RETURNING id`, []any{message, variant, size}, &row)
	return row, err
}

func (t *tx) newChunk(content, n int64, data []byte) error {
	if n >= 1<<16 {
		return fault.New(fault.TooLarge, "the message is too large to store")
	}
	_, err := t.exec(`INSERT INTO chunks (id, data) VALUES ($1,$2)`, content<<16|n, data)
	return err
}

func (t *tx) dropContent(row int64, unless string) error {
	r, err := t.exec(`DELETE FROM contents WHERE id = $1 `+unless, row)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = t.exec(`DELETE FROM chunks WHERE id >= $1 AND id < $2`, row<<16, (row+1)<<16)
	return err
}

func (t *tx) dropStaged() error {
	rows, err := t.ids(`SELECT id FROM contents WHERE message IS NULL`)
	for _, row := range rows {
		if err == nil {
			err = t.dropContent(row, "")
		}
	}
	return err
}

// ids reads a column of ids whole, so that rows can be changed while going through them.
func (t *tx) ids(query string, args ...any) (ids []int64, err error) {
	err = t.query(query, args, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

func (t *tx) insertAll(all []*prepared) error {
	for _, p := range all {
		if err := t.insert(p); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insert(p *prepared) error {
	m := &p.a.Message
	if _, err := t.exec(`INSERT INTO messages (id, kind, submitter, received_at, policy, digest, size, outcome, about, dek, sealed)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`, string(m.ID), string(m.Kind), m.Submitter, nanos(m.ReceivedAt), m.Policy,
		m.Digest[:], m.Size, m.Outcome, string(m.About), p.wrapped, p.sealed); err != nil {
		return err
	}
	if err := t.insertContents(m.ID, p.contents); err != nil {
		return err
	}
	if err := t.insertFacts(m, p.a.Facts, p.facts); err != nil {
		return err
	}
	for _, e := range p.a.Events {
		if err := t.audit(m.ID, e); err != nil {
			return err
		}
	}
	if err := t.insertThreads(p.threads); err != nil {
		return err
	}
	return t.insertJobs(m.ID, p.key, p.a.Jobs)
}

func (t *tx) insertContents(id mail.ID, list []sealedContent) error {
	for _, c := range list {
		if c.staged != 0 {
			r, err := t.exec(`UPDATE contents SET message = $1 WHERE id = $2 AND message IS NULL`, string(id), c.staged)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil || n != 1 {
				return errors.Join(errors.New("staged content is gone"), err)
			}
			continue
		}
		row, err := t.newContent(string(id), c.variant, c.size)
		if err != nil {
			return err
		}
		for n, chunk := range c.chunks {
			if err := t.newChunk(row, int64(n), chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertJobs adds jobs, and one audit row that names them all: "7:queued:1 8:held:2" is job,
// state and number of recipients.
func (t *tx) insertJobs(id mail.ID, key *dataKey, jobs []NewJob) error {
	if len(jobs) == 0 {
		return nil
	}
	told := make([]string, len(jobs))
	for i, j := range jobs {
		next := j.NotBefore
		if next.IsZero() {
			next = t.at
		}
		row := jobRow{
			message: id, variant: j.Variant, codes: j.Codes, utf8: j.UTF8, state: j.State, accepted: nanos(t.at), next: nanos(next),
			clear: sealedJob{Reverse: j.Reverse, Recipients: j.Recipients},
		}
		n, err := t.insertJob(key, row)
		if err != nil {
			return err
		}
		told[i] = fmt.Sprintf("%d:%s:%d", n, j.State, len(j.Recipients))
		if j.State == Queued {
			t.wake = true
		}
	}
	return t.audit(id, Event{Kind: "spooled", Actor: actorStore, Data: map[string]string{"jobs": strings.Join(told, " ")}})
}

// actorStore is who acts when nobody did: a restart, a lease that ran out.
const actorStore = "gateway"

// jobRow is a job as inserted.
type jobRow struct {
	message         mail.ID
	variant         int
	codes           []string
	utf8            bool
	state           State
	attempts, epoch int64
	accepted, next  int64
	finished        int64
	last            string
	clear           sealedJob
}

func (t *tx) insertJob(key *dataKey, r jobRow) (int64, error) {
	if t.nextJob == 0 {
		if err := t.queryRow(`SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0) + 1`, nil, &t.nextJob); err != nil {
			return 0, err
		}
	}
	id := t.nextJob
	t.nextJob++
	sealed, err := key.sealJob(r.message, id, r.variant, r.clear)
	if err != nil {
		return 0, err
	}
	codes, err := json.Marshal(r.codes)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(`INSERT INTO jobs (id, message, variant, sealed, recipients, codes, utf8, state, attempts, epoch,
		accepted_at, next_at, lease_until, finished_at, last) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,0,$13,$14)`,
		id, string(r.message), r.variant, sealed, len(r.clear.Recipients), string(codes), r.utf8, string(r.state), r.attempts, r.epoch,
		r.accepted, r.next, r.finished, r.last)
	return id, err
}

// sealJob binds the addresses to the job and to the copy that it sends: nobody's copy can be
// given to somebody else by changing a number in a row.
func (k *dataKey) sealJob(message mail.ID, id int64, variant int, j sealedJob) ([]byte, error) {
	b, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return k.aead.Seal(nil, nil, b, aad(string(message), "job", id, int64(variant), true)), nil
}

func (k *dataKey) openJob(message mail.ID, id int64, variant int, sealed []byte) (j sealedJob, err error) {
	b, err := k.aead.Open(nil, nil, sealed, aad(string(message), "job", id, int64(variant), true))
	if err != nil { // one of the first version, which bound the job alone
		b, err = k.aead.Open(nil, nil, sealed, aad(string(message), "job", id, 0, true))
	}
	if err != nil || json.Unmarshal(b, &j) != nil {
		return j, errDamaged
	}
	return j, nil
}

func itoa[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }
