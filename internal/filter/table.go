package filter

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"strings"
)

// table leads from short texts to numbers. It is a map that holds no pointer for an entry:
// every collection of garbage would follow those of a large register, and that was a quarter of
// what a mail cost.
type table[V int32 | uint64] struct {
	seed  maphash.Seed
	slots []slot[V] // a power of two; a key stands in the first free slot from that of its hash on
	keys  []byte    // all keys, one behind the other
	n     int
}

type slot[V int32 | uint64] struct {
	hash    uint32 // 0: the slot is free
	at, end uint32 // of the key
	value   V
}

func newTable[V int32 | uint64](room int) *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	if room > 0 {
		t.grow(room)
	}
	return t
}

// grow makes room for that many keys in all.
func (t *table[V]) grow(room int) {
	n := 8
	for 3*n < 4*room {
		n *= 2
	}
	old := t.slots
	t.slots = make([]slot[V], n)
	for _, s := range old {
		if s.hash != 0 {
			t.slots[t.seek(s.hash, t.keys[s.at:s.end])] = s
		}
	}
}

func (t *table[V]) hash(key []byte) uint32 { return uint32(maphash.Bytes(t.seed, key)) | 1<<31 }

// seek returns the slot of the key, or the free one where it would stand.
func (t *table[V]) seek(hash uint32, key []byte) int {
	mask := len(t.slots) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.hash == 0 || s.hash == hash && string(t.keys[s.at:s.end]) == string(key) {
			return i
		}
	}
}

func (t *table[V]) get(key []byte) (value V, ok bool) {
	if t.n == 0 {
		return 0, false
	}
	h := t.hash(key)
	s := &t.slots[t.seek(h, key)]
	return s.value, s.hash != 0
}

func (t *table[V]) has(key []byte) bool { _, ok := t.get(key); return ok }

func (t *table[V]) put(key string, value V) {
	if 4*(t.n+1) > 3*len(t.slots) {
		t.grow(2 * (t.n + 1))
	}
	k := []byte(key)
	h := t.hash(k)
	s := &t.slots[t.seek(h, k)]
	if s.hash == 0 {
		*s = slot[V]{hash: h, at: uint32(len(t.keys)), end: uint32(len(t.keys) + len(key))}
		t.keys = append(t.keys, key...)
		t.n++
	}
	s.value = value
}

func (t *table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, s := range t.slots {
			if s.hash != 0 && !yield(string(t.keys[s.at:s.end]), s.value) {
				return
			}
		}
	}
}

// roll keeps what is known of many clients in one piece, for the same reason.
type roll struct {
	text strings.Builder
	at   []uint32 // where each client starts
}

func (r *roll) len() int { return len(r.at) }

func (r *roll) add(k *watched) {
	r.at = append(r.at, uint32(r.text.Len()))
	r.put(k.ref, k.practitioner)
	for _, n := range []int{k.born.y, k.born.m, k.born.d} {
		r.number(n)
	}
	for _, list := range [][]string{k.phones, k.mailboxes, k.names} {
		r.number(len(list))
		r.put(list...)
	}
}

func (r *roll) number(n int) { r.text.Write(binary.AppendUvarint(nil, uint64(n))) }

func (r *roll) put(list ...string) {
	for _, s := range list {
		r.number(len(s))
		r.text.WriteString(s)
	}
}

// ref returns the code of client i.
func (r *roll) ref(i int32) string {
	c := rollReader{r.text.String()[r.at[i]:]}
	return c.string()
}

// client returns client i.
func (r *roll) client(i int32) watched {
	c := rollReader{r.text.String()[r.at[i]:]}
	k := watched{ref: c.string(), practitioner: c.string()}
	k.born = day{c.number(), c.number(), c.number()}
	k.phones, k.mailboxes, k.names = c.list(), c.list(), c.list()
	return k
}

type rollReader struct{ s string }

func (c *rollReader) number() int {
	n := 0
	for i := range len(c.s) {
		b := c.s[i]
		if n |= int(b&0x7f) << (7 * i); b < 0x80 {
			c.s = c.s[i+1:]
			break
		}
	}
	return n
}

func (c *rollReader) string() string {
	n := c.number()
	s := c.s[:n]
	c.s = c.s[n:]
	return s
}

func (c *rollReader) list() []string {
	var out []string
	for range c.number() {
		out = append(out, c.string())
	}
	return out
}
