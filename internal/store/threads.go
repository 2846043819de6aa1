package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// Seen says under which Message-ID the recipients of a job see a message. Ids stand without
// angle brackets.
type Seen struct {
	ID string       // as the mail app wrote it, or as it stood in the chain of a thread
	As string       // as these recipients see it; empty: the copy has not left yet
	By mail.Address // who wrote it; zero: nobody of the practice
}

// threadRow is a Seen for one recipient, ready to be inserted.
type threadRow struct {
	mailbox, sender, written string
	seen                     any // string or nil
	sealed                   []byte
}

// sealedIDs is what of a threadRow is never in clear.
type sealedIDs struct {
	ID string `json:"id"`
	As string `json:"as,omitempty"`
}

func (s *Store) threadMAC(id string) string { return mac(s.keys.lookup, "message-id", id) }

// threadAAD binds a row's ids to the mailbox and the id under which it is found.
func threadAAD(mailbox, written string) []byte { return aad(mailbox+written, "thread", 0, 0, true) }

// threadRows seals, in the caller's goroutine, what jobs say about threads.
func (s *Store) threadRows(jobs []NewJob) ([]threadRow, error) {
	var out []threadRow
	for i := range jobs {
		for _, k := range jobs[i].Seen {
			if k.ID == "" {
				continue
			}
			clear, err := json.Marshal(sealedIDs{ID: k.ID, As: k.As})
			if err != nil {
				return nil, err
			}
			r := threadRow{written: s.threadMAC(k.ID)}
			if k.As != "" && k.As != k.ID {
				r.seen = s.threadMAC(k.As)
			}
			if !k.By.IsZero() {
				r.sender = s.mailboxMAC(k.By)
			}
			for _, a := range jobs[i].Recipients {
				r.mailbox = s.mailboxMAC(a)
				r.sealed = s.keys.thread.Seal(nil, nil, clear, threadAAD(r.mailbox, r.written))
				out = append(out, r)
			}
		}
	}
	return out, nil
}

func (t *tx) insertThreads(rows []threadRow) error {
	for _, r := range rows {
		if _, err := t.exec(`INSERT INTO threads (at, mailbox, sender, written, seen, sealed) VALUES ($1,$2,$3,$4,$5,$6)`,
			nanos(t.at), r.mailbox, r.sender, r.written, r.seen, r.sealed); err != nil {
			return err
		}
	}
	return nil
}

// resolveThread looks up all ids of a chain, for all recipients. macs are the recipients'
// mailboxes. A row of theirs that cannot be read makes the fact Unavailable.
func (s *Store) resolveThread(ctx context.Context, chain, macs []string) (filter.Fact[filter.Thread], error) {
	none := filter.Fact[filter.Thread]{State: filter.Absent}
	if len(chain) == 0 {
		return none, nil
	}
	ids := make(map[string]string, len(chain))
	list := make([]string, len(chain))
	for i, id := range chain {
		list[i] = s.threadMAC(id)
		ids[list[i]] = id
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return none, err
	}
	t := newThreader(chain, macs)
	if err := s.each(ctx, findThreads, []any{string(arg)}, func(rows *sql.Rows) error {
		var seq int64
		var r threadRow
		var seen sql.NullString
		if err := rows.Scan(&seq, &r.mailbox, &r.sender, &r.written, &seen, &r.sealed); err != nil {
			return unavailable(err)
		}
		t.read(ids[r.written], r.mailbox)
		t.read(ids[seen.String], r.mailbox)
		if !t.concerns(r.mailbox) && !t.concerns(r.sender) {
			return nil
		}
		var clear sealedIDs
		b, err := s.keys.thread.Open(nil, nil, r.sealed, threadAAD(r.mailbox, r.written))
		if err != nil || json.Unmarshal(b, &clear) != nil {
			t.damaged = true
			return nil
		}
		t.rows = append(t.rows, openRow{seq, r.mailbox, r.sender, clear})
		return nil
	}); err != nil {
		return none, err
	}
	return t.fact(), nil
}

// findThreads has no order: with one, SQLite would go through the whole table.
const findThreads = `SELECT seq, mailbox, sender, written, seen, sealed FROM threads WHERE written IN (SELECT value FROM json_each($1))
	UNION ALL SELECT seq, mailbox, sender, written, seen, sealed FROM threads WHERE seen IN (SELECT value FROM json_each($1))`

// openRow is a row about one of the recipients.
type openRow struct {
	seq             int64
	mailbox, sender string
	ids             sealedIDs
}

// threader gathers what the rows say.
type threader struct {
	rows    []openRow
	chain   []string
	readers map[string]map[string]bool // of each id: the mailboxes
	macs    []string
	thread  filter.Thread
	damaged bool
}

func newThreader(chain, macs []string) *threader {
	t := &threader{chain: chain, readers: make(map[string]map[string]bool), macs: macs}
	t.thread.Saw = make([]map[string]string, len(macs))
	for i := range macs {
		t.thread.Saw[i] = map[string]string{}
	}
	return t
}

func (t *threader) read(id, mailbox string) {
	if id == "" {
		return
	}
	if t.readers[id] == nil {
		t.readers[id] = make(map[string]bool)
	}
	t.readers[id][mailbox] = true
}

func (t *threader) concerns(mailbox string) bool {
	return mailbox != "" && slices.Contains(t.macs, mailbox)
}

// saw takes a row in; a later row counts more, because it is what the reader saw last. Who
// wrote a message knows it by the id of the own mail app, unless it came back as a copy.
func (t *threader) saw(mailbox, sender string, ids sealedIDs) {
	for i, m := range t.macs {
		saw := t.thread.Saw[i]
		set := func(id, as string) {
			if slices.Contains(t.chain, id) && (as != "" || saw[id] == "") {
				saw[id] = as
			}
		}
		switch m {
		case mailbox:
			set(ids.ID, ids.As)
			set(ids.As, ids.As)
		case sender:
			for _, id := range []string{ids.ID, ids.As} {
				if saw[id] == "" {
					set(id, ids.ID)
				}
			}
		}
	}
}

func (t *threader) fact() filter.Fact[filter.Thread] {
	slices.SortFunc(t.rows, func(a, b openRow) int { return cmp.Compare(a.seq, b.seq) })
	for _, r := range t.rows {
		t.saw(r.mailbox, r.sender, r.ids)
	}
	t.thread.Readers = make(map[string]int, len(t.readers))
	for id, mailboxes := range t.readers {
		t.thread.Readers[id] = len(mailboxes)
	}
	switch {
	case t.damaged:
		return filter.Fact[filter.Thread]{State: filter.Unavailable}
	case len(t.thread.Readers) == 0:
		return filter.Fact[filter.Thread]{State: filter.Absent}
	}
	return filter.Known(t.thread)
}

// eraseThreads takes the mailboxes that a query selects out of the threads. That an id is
// somebody's stays, without whose: an id that nobody knew would look like the next reader's own.
func (t *tx) eraseThreads(mailboxes, arg string) error {
	_, err := t.exec(`UPDATE threads SET mailbox = '', sender = '', sealed = NULL WHERE mailbox IN (`+mailboxes+`)`, arg)
	return err
}

// ForgetThreads removes what is older. An id that was forgotten is unknown again.
func (s *Store) ForgetThreads(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		var gone int64
		err := s.do(ctx, func(t *tx) error {
			// Rows are in the order of time, so that the oldest are enough to look at.
			r, err := t.exec(`DELETE FROM threads WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM threads ORDER BY seq LIMIT $2) WHERE at < $1)`,
				nanos(before), sweepBatch)
			if err != nil {
				return err
			}
			gone, err = r.RowsAffected()
			return err
		})
		n += gone
		if err != nil || gone < sweepBatch {
			return n, err
		}
	}
}
