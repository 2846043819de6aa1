package filter

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/mail"
)

// someClient draws a client; few values, so that many share a name, a mailbox or a number.
func someClient(rt *rapid.T) Client {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, label) }
	c := Client{Ref: pick("ref", "C-0001", "C-0002", "C-0003", "C-0004", "C-0005", "C-0006", "c7", "8"), Practitioner: pick("practitioner", "maya", "sam", ""),
		Name: pick("given", "Anna", "Jörg", "Ben", "Łucja") + " " + pick("family", "Bell", "Müller", "Bell Brown")}
	for _, d := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 2, rapid.ID).Draw(rt, "email") {
		c.Email = append(c.Email, mail.Address{LocalPart: d, Domain: pick("domain", "example.org", "example.net")})
	}
	if rapid.Bool().Draw(rt, "phone") {
		c.Mobile = []string{pick("mobile", "+447700900001", "+447700900002", "+35320900001")}
	}
	if y := rapid.IntRange(0, 2).Draw(rt, "born"); y > 0 {
		c.Born = time.Date(1990+y, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return c
}

// What was updated change by change is what would be compiled from everything at once.
func TestAnUpdatedWatchIsANewOne(t *testing.T) {
	t.Parallel()
	texts := []string{"Anna Bell, Bell, Joerg Mueller, ben bell brown, lucja muller", "1991-01-01 1 January 1992", "x@example.org y@example.net", "07700 900001",
		"+353 20 900001", "C-0001 c0002 C_0003 c7 8", "z@example.org x@example.net"}
	rapid.Check(t, func(rt *rapid.T) {
		w, reg := NewWatch(nil), map[string]Client{}
		if rapid.Bool().Draw(rt, "something to begin with") {
			for i := range 40 { // layers on layers need a large one below
				c := Client{Ref: fmt.Sprintf("C-1%03d", i), Name: fmt.Sprintf("Given%d Family", i)}
				reg[c.Ref] = c
			}
			w = NewWatch(slices.Collect(maps.Values(reg)))
		}
		for range rapid.IntRange(1, 12).Draw(rt, "edits") {
			var changed []Client
			var gone []string
			for range rapid.IntRange(0, 3).Draw(rt, "changed") {
				c := someClient(rt)
				changed, reg[c.Ref] = append(changed, c), c
			}
			for range rapid.IntRange(0, 2).Draw(rt, "gone") {
				ref := rapid.SampledFrom([]string{"C-0001", "C-0002", "C-0003", "C-1001", "C-1002", "nobody"}).Draw(rt, "ref")
				if !slices.ContainsFunc(changed, func(c Client) bool { return c.Ref == ref }) {
					gone = append(gone, ref)
					delete(reg, ref)
				}
			}
			before := refsOf(w)
			next := w.Update(changed, gone)
			if !slices.Equal(before, refsOf(w)) {
				rt.Fatal("an update changed the register that it was made from")
			}
			w = next
		}
		fresh := NewWatch(slices.Collect(maps.Values(reg)))
		if got, want := refsOf(w), refsOf(fresh); !slices.Equal(got, want) {
			rt.Fatalf("%v, want %v", got, want)
		}
		for b := range lookups {
			for _, l := range append(slices.Clone(w.layers), fresh.layers...) {
				for key := range l.by[b].at.all() {
					if got, want := whose(w, b, key), whose(fresh, b, key); !slices.Equal(got, want) {
						rt.Fatalf("%q: %v, want %v", key, got, want)
					}
				}
			}
		}
		env, facts := envelopeOf(t, slices.Collect(maps.Values(reg)), "x@example.org", "y@example.net")
		in := LeakInput{Mail: parse(t, out("", rapid.SampledFrom(texts).Draw(rt, "a")+"\n"+rapid.SampledFrom(texts).Draw(rt, "b"))), Env: env, Facts: facts,
			Variant: &Variant{Rcpts: []int{0}, Show: ShowOne}}
		in.Watch = w
		got := CheckLeaks(in)
		in.Watch = fresh
		if want := CheckLeaks(in); !reflect.DeepEqual(got, want) {
			rt.Fatalf("%+v, want %+v", got, want)
		}
		for k := 1; k < len(w.layers); k++ {
			if w.layers[k].size()*layerRatio > w.layers[k-1].size() {
				rt.Fatalf("layer %d has %d clients, the one below it %d", k, w.layers[k].size(), w.layers[k-1].size())
			}
		}
	})
}

func refsOf(w *Watch) []string {
	refs := w.Refs()
	slices.Sort(refs)
	return refs
}

func whose(w *Watch, b lookup, key string) []string {
	var out []string
	for _, i := range w.find(nil, b, []byte(key)) {
		out = append(out, w.client(i).ref)
	}
	slices.Sort(out)
	return out
}

// A change costs what it changes, not what there is: most of the register is not touched until
// an eighth of it is another.
func TestAnUpdateIsCheap(t *testing.T) {
	t.Parallel()
	const n = 20_000
	w := NewWatch(bigRegister(t, n))
	whole, compiled := w.layers[0], 0
	for i := range n / layerRatio {
		before := w.layers
		w = w.Update([]Client{{Ref: fmt.Sprintf("C-%06d", i*7), Name: fmt.Sprintf("New%d Family", i)}}, nil)
		for _, l := range w.layers {
			if !slices.Contains(before, l) {
				compiled += l.size()
			}
		}
	}
	if w.layers[0] != whole {
		t.Error("all of the register was compiled again")
	}
	if each := compiled / (n / layerRatio); each > 100 {
		t.Errorf("a change compiled %d clients", each)
	}
}

func BenchmarkUpdate100000(b *testing.B) {
	w, n := NewWatch(bigRegister(b, 100_000)), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		i := n * 7919 % 100_000
		w = w.Update([]Client{{Ref: fmt.Sprintf("C-%06d", i), Name: fmt.Sprintf("Given%d Family%d", n, i), Mobile: []string{fmt.Sprintf("+4477009%06d", i)},
			Email: []mail.Address{{LocalPart: fmt.Sprintf("new%d", n), Domain: "example.org"}}}}, nil)
	}
}
