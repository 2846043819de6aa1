package test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", to read what the program wrote
)

// TestCrashKill9 kills serve without warning at random points under load, starts it again
// on the same data, and holds every answer of 250 against what became of the message.
//
// CRASH_KILLS sets how often; CRASH_SEED repeats a run. A killed process loses nothing that
// it had written, synced or not: TestPromise02 shows that the sync comes before the 250.
func TestCrashKill9(t *testing.T) {
	t.Parallel()
	kills := environInt(t, "CRASH_KILLS", 20)
	seed := uint64(environInt(t, "CRASH_SEED", int(time.Now().UnixNano()&0x7fffffff)))
	t.Logf("CRASH_KILLS=%d CRASH_SEED=%d", kills, seed)
	chance := rand.New(rand.NewPCG(seed, 1))

	v := prepare(t, setup{yaml: "limits: {connections_per_ip: 1000}\n"})
	v.sink.obey(whims(seed))
	book := &ledger{byToken: map[string]string{}}
	for range kills {
		v.start()
		ctx, stopLoad := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { v.load(ctx, book) })
		}
		<-time.After(time.Duration(5+chance.IntN(495)) * time.Millisecond)
		v.kill()
		stopLoad()
		wg.Wait()
	}
	v.sink.obey(nil)
	v.start()
	eventually(t, "nothing is being sent", func() bool {
		for _, j := range v.queue() {
			if j.State == "sending" || j.State == "queued" && j.Attempts == 0 {
				return false
			}
		}
		return true
	})
	v.stop()
	if _, errOut, code := v.try("audit", "verify"); code != 0 {
		t.Errorf("audit verify: exit %d\n%s", code, errOut)
	}
	book.settle(t, v)
}

func environInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// whims is a smarthost on a bad day: of a hundred messages it defers five and loses two
// replies, and it takes up to 20 ms over each.
func whims(seed uint64) func(*arrival) fault {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, 2))
	return func(*arrival) fault {
		mu.Lock()
		n, pause := chance.IntN(100), time.Duration(chance.IntN(20))*time.Millisecond
		mu.Unlock()
		<-time.After(pause)
		switch {
		case n < 5:
			return temporary
		case n < 7:
			return cut
		}
		return take
	}
}

// ledger is what the mail apps saw: which of their messages were answered 250, and the id
// in that answer.
type ledger struct {
	mu      sync.Mutex
	tokens  int
	byToken map[string]string
}

func (b *ledger) token() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens++
	return fmt.Sprintf("token-%06d-", b.tokens)
}

func (b *ledger) answered(token, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byToken[token] = id
}

// load sends letters on one connection after the other until it is told to stop. Now and
// then one is too big for memory.
func (v *service) load(ctx context.Context, book *ledger) {
	ids := acceptedID()
	for ctx.Err() == nil {
		c, err := v.dial()
		if err != nil {
			if !v.running() {
				return
			}
			continue
		}
		for ctx.Err() == nil {
			token := book.token()
			body := "This is " + token + " and that is all."
			if strings.HasSuffix(token, "7-") {
				body += strings.Repeat("\r\nA line that makes the letter longer than a letter has to be.", 20_000)
			}
			text, err := send(c, maya, letter(anna, "Tuesday", body), anna)
			if err != nil {
				break
			}
			if m := ids.FindStringSubmatch(text); m != nil {
				book.answered(token, m[1])
			}
		}
		c.Close()
	}
}

// settle compares what was promised with what happened.
func (b *ledger) settle(t *testing.T, v *service) {
	t.Helper()
	tokens := regexp.MustCompile(`token-\d{6}-`)
	arrived := map[string][]arrival{}
	for _, a := range v.sink.all() {
		token := tokens.FindString(string(a.data))
		arrived[token] = append(arrived[token], a)
	}
	states := map[string]string{}
	for _, j := range v.queue() {
		states[j.Message] = j.State
	}
	doubted := inDoubt(t, v)
	var spooled, twice int
	for token, id := range b.byToken {
		n := len(arrived[token])
		switch state := states[id]; {
		case n > 0 && state != "":
		case state == "queued" || state == "in_doubt":
			spooled++
		default:
			t.Errorf("lost: %s was answered 250, the smarthost got it %d times, and its state is %q", id, n, state)
		}
	}
	for token, copies := range arrived {
		if len(copies) == 1 {
			continue
		}
		twice++
		id := strings.ToUpper(strings.SplitN(copies[0].messageID(), ".", 2)[0])
		if doubted[id] < len(copies)-1 {
			t.Errorf("%s arrived %d times, but was in doubt %d times", token, len(copies), doubted[id])
		}
		for _, c := range copies {
			if c.messageID() != copies[0].messageID() {
				t.Errorf("%s arrived under two Message-IDs", token)
			}
		}
	}
	if len(b.byToken) == 0 || len(arrived) == 0 {
		t.Errorf("%d answered, %d arrived: the load was none", len(b.byToken), len(arrived))
	}
	t.Logf("%d tried, %d answered 250, %d arrived, %d still in the spool, %d arrived more than once, each after a recorded doubt",
		b.tokens, len(b.byToken), len(arrived), spooled, twice)
}

// database opens the stopped service's database.
func database(t *testing.T, v *service) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(v.dir, "data", "plaincover.db"))
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// inDoubt counts how often the audit says of a message that nobody can know whether it left.
func inDoubt(t *testing.T, v *service) map[string]int {
	t.Helper()
	rows, err := database(t, v).QueryContext(t.Context(), `SELECT message, count(*) FROM audit WHERE data LIKE '%"in_doubt"%' GROUP BY message`)
	must(t, err)
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		must(t, rows.Scan(&id, &n))
		counts[id] = n
	}
	must(t, rows.Err())
	return counts
}
