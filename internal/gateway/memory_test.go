package gateway

import (
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

// heap returns the bytes of heap objects, those included that are not collected yet.
func heap() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// peakHeap returns how much the heap grows while f runs.
func peakHeap(f func()) int64 {
	runtime.GC()
	start, peak := heap(), int64(0)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				peak = max(peak, heap()-start)
			}
		}
	}()
	f()
	close(done)
	<-stopped
	return peak
}

// Not parallel: it measures the heap of the whole process. What other tests left behind may be
// collected or not, so a peak that is too high is measured again.
func TestAMessageStaysWithinItsShare(t *testing.T) {
	b := newBench(t)
	const most = 8<<20 - 4<<10
	for _, tc := range []struct {
		name, kind, unit string
		size             int
	}{
		{"short words", "text/plain", "a ", most},
		{"ligatures", "text/plain", "\ufdfa", most / 4}, // of 18 letters each: the slowest
		{"elements", "text/html", "<b>a</b>", most},
		{"comments", "text/html", "<!--a-->", most},
	} {
		line := strings.Repeat(tc.unit, 70/len(tc.unit)) + "\r\n" // need not be encoded anew
		msg := strings.Replace(letterTo("Tuesday", strings.Repeat(line, tc.size/len(line)), clientAt(0)), "text/plain", tc.kind, 1)
		m, err := mail.Parse(strings.NewReader(msg), int64(len(msg)), b.g.limits)
		if err != nil {
			t.Fatal(err)
		}
		share := b.g.parseShare(int64(len(msg))) + textShare(m)
		grown := share + 1
		for try := 0; try < 3 && grown > share; try++ {
			grown = peakHeap(func() { _, err = b.g.Submit(t.Context(), b.envelope(clientAt(0)), strings.NewReader(msg)) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if grown > share {
			t.Errorf("%s: %d MiB, the share is %d MiB", tc.name, grown>>20, share>>20)
		} else {
			t.Logf("%-12s %4d of %d MiB", tc.name, grown>>20, share>>20)
		}
	}
}
