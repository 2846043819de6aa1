// Package oracle looks for canaries in mail: names, mailboxes, phone numbers and codes that
// were planted, and that a reader of a copy may not see.
//
// It knows nothing of how mail is meant to be read. It undoes by brute force whatever can be
// undone, wherever it stands and however deep, and searches every result without spaces,
// punctuation and case. It shares no code with the product, and imports nothing but the
// standard library; a test holds that.
package oracle

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
)

// Canary is something that can be found, in each of the forms in which it is written. Forms
// are compared by their letters and digits alone; one of fewer than seven is an error.
type Canary struct {
	Name  string // for messages
	Forms []string
}

// Oracle searches for a fixed set of canaries. It may be used from many goroutines.
type Oracle struct {
	canaries []Canary
	filter   []uint64           // one bit for each hash of the first letters of a needle
	needles  map[uint64][]match // by the first letters
	seed     maphash.Seed
}

type match struct {
	rest   string // behind the first letters
	canary int
}

const window = 7

// New compiles the canaries.
func New(canaries []Canary) (*Oracle, error) {
	o := &Oracle{canaries: canaries, filter: make([]uint64, 1<<10), needles: map[uint64][]match{}, seed: maphash.MakeSeed()}
	for i, c := range canaries {
		for _, form := range c.Forms {
			needle := squeeze(nil, []byte(form))
			if len(needle) < window {
				return nil, errors.New("oracle: " + c.Name + " has a form that is too short to be told from chance")
			}
			var w uint64
			for _, b := range needle[:window] {
				w = (w<<8 | uint64(b)) & (1<<(8*window) - 1)
			}
			o.filter[bit(w)>>6] |= 1 << (bit(w) & 63)
			o.needles[w] = append(o.needles[w], match{string(needle[window:]), i})
		}
	}
	return o, nil
}

// bit is the place of the first letters in the filter.
func bit(w uint64) uint64 { return w * 0x9e3779b97f4a7c15 >> 48 }

// Canary returns the canary of a number that Look returned.
func (o *Oracle) Canary(i int) Canary { return o.canaries[i] }

// Limits of one message. What is larger was not searched, and is an error. A few bytes that
// many decoders in turn made something of are noise of wrong guesses.
const (
	maxDepth = 10
	noise    = 2 << 10
	maxBytes = 64 << 20
)

// Look returns the canaries found, each with the way in which it was found.
func (o *Oracle) Look(raw []byte) (map[int]string, error) {
	l := &search{oracle: o, found: map[int]string{}, seen: map[uint64]bool{}}
	l.push(view{data: raw})
	for len(l.todo) > 0 {
		v := l.todo[len(l.todo)-1]
		l.todo = l.todo[:len(l.todo)-1]
		l.find(v)
		if v.depth == maxDepth {
			if len(v.data) < noise {
				continue
			}
			return l.found, fmt.Errorf("oracle: nested too deep:%s", v.trail)
		}
		for _, d := range decoders() {
			d.undo(v.data, func(out []byte) { l.push(view{out, v.depth + 1, v.trail + " " + d.name}) })
		}
		if l.total > maxBytes {
			return l.found, errors.New("oracle: too much to search")
		}
	}
	return l.found, nil
}

// view is one way to see a message, or a piece of it.
type view struct {
	data  []byte
	depth int
	trail string
}

type search struct {
	oracle *Oracle
	todo   []view
	seen   map[uint64]bool
	found  map[int]string
	total  int
	letter []byte
}

func (l *search) push(v view) {
	if len(v.data) < window {
		return
	}
	key := maphash.Bytes(l.oracle.seed, v.data)
	if l.seen[key] {
		return
	}
	l.seen[key] = true
	l.total += len(v.data)
	l.todo = append(l.todo, v)
}

// find searches the letters and digits of a view.
func (l *search) find(v view) {
	o := l.oracle
	l.letter = squeeze(l.letter[:0], v.data)
	s := l.letter
	var w uint64
	for i, b := range s {
		w = (w<<8 | uint64(b)) & (1<<(8*window) - 1)
		if n := bit(w); i < window-1 || o.filter[n>>6]&(1<<(n&63)) == 0 {
			continue
		}
		for _, m := range o.needles[w] {
			if _, ok := l.found[m.canary]; !ok && bytes.HasPrefix(s[i+1:], []byte(m.rest)) {
				l.found[m.canary] = strings.TrimSpace("as it stands" + v.trail)
			}
		}
	}
}
