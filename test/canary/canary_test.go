package canary

import (
	"bytes"
	"testing"
	"time"
)

// The same seed gives the same mail, but for the time of day.
func TestTheSameSeedGivesTheSame(t *testing.T) {
	t.Parallel()
	a, b := NewWorld(7, 100), NewWorld(7, 100)
	if a.Register() != b.Register() {
		t.Error("two registers")
	}
	today := []byte(time.Now().UTC().Format("02 Jan 2006 15:"))
	for n := range 300 {
		x, y := a.Message(7, n, Plan{}), b.Message(7, n, Plan{})
		if !bytes.Contains(x.Raw, today) || !bytes.Contains(y.Raw, today) {
			continue // across an hour
		}
		cut := func(raw []byte) []byte {
			i := bytes.Index(raw, []byte("\r\nDate: "))
			return append(bytes.Clone(raw[:i+20]), raw[i+40:]...)
		}
		if !bytes.Equal(cut(x.Raw), cut(y.Raw)) || len(x.Rcpts) < 2 || len(x.Rcpts) > 20 || len(x.Channels) == 0 && !x.Group {
			t.Fatalf("message %d: %d recipients, %v\n%s\n---\n%s", n, len(x.Rcpts), x.Names(), x.Raw, y.Raw)
		}
	}
}

// Every channel has a name and a token of its own, and can be used by itself.
func TestEveryChannelStandsAlone(t *testing.T) {
	t.Parallel()
	w := NewWorld(7, 100)
	seen := map[string]bool{}
	for i := range w.Channels {
		c := &w.Channels[i]
		if seen[c.Name] || seen[c.Token()] || c.Row == "" || c.Fate == "" {
			t.Errorf("%q: a channel needs a name, a row and a fate of its own", c.Name)
		}
		seen[c.Name], seen[c.Token()] = true, true
		for n := range 20 {
			if m := w.Message(7, n, Plan{Only: c, Clients: true, Planted: n > 0}); len(m.Victims) == 0 && n > 0 && !c.Nobody {
				t.Errorf("%q gives nobody away", c.Name)
			}
		}
	}
}
