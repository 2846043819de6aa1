package filter

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/mail"
)

// rawWhole is raw without its shortcuts: the whole of the bytes is folded and read.
func (p *partSearch) rawWhole(b []byte) {
	p.l.ragged = true
	defer func() { p.l.ragged = false }()
	s := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= utf8.RuneSelf {
			c = ' '
		}
		s[i] = c
	}
	p.addresses(s)
	p.numbers(s, false)
	s = bytes.ReplaceAll(s, []byte{0}, nil)
	p.addresses(s)
	p.numbers(s, false)
}

// TestRawFindsWhatStandsThere: the quick search of opaque files finds what reading all of it finds.
func TestRawFindsWhatStandsThere(t *testing.T) {
	t.Parallel()
	env, facts := envelope(t, "anna@example.org", "ben@example.org")
	local := strings.Repeat("fay.", 15) + "fay"
	clients := append(register(t), Client{Ref: "C-0400", Mobile: []string{"+4532960999"}, Email: []mail.Address{addr(t, local+"@example.com")}})
	in := LeakInput{Mail: parse(t, out("", "x")), Watch: NewWatch(clients), Env: env, Facts: facts,
		Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}
	pieces := []string{"anna@example.org", "Ben@Example.org", "cleo@example.net", "maya@willowhouse.example", "@", "a@b", "home@example.net.example", `"ben"@example.org`,
		"+447700900123", "07700900456", "07700 900 789", "0 7 7 0 0 9 0 0 4 5 6", "0---7---7---0---0---9---0---0---4---5---6", "(0044)7700.900.456", "77", "00", "900456", "0770090", local + "@EXAMPLE.com",
		" ", ".", "-", "a", "Z", "\x00", "\x00\x00\x00", "\x01", "\xff", "\xc3\xa9", "    ", "1", "22", "333", "\r\n"}
	found := map[channel]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 40 {
			var b []byte
			for range rapid.IntRange(1, 8).Draw(t, "pieces") {
				s := rapid.SampledFrom(pieces).Draw(t, "piece")
				switch rapid.IntRange(0, 8).Draw(t, "form") {
				case 6, 7, 8: // the least digits that are a number, far apart
					gap := rapid.SampledFrom([]string{"", " ", "  ", "   ", "    ", "\x00", "-\xff", "\x02.\x02", "("}).Draw(t, "gap")
					s = strings.Join(strings.Split("32960999", ""), gap)
					at := rapid.IntRange(0, len(s)).Draw(t, "at")
					s = strings.Repeat("~", rapid.IntRange(0, 9).Draw(t, "shift")) + s[:at] + rapid.SampledFrom([]string{"", "", " ", "\x00"}).Draw(t, "wider") + s[at:]
				case 0: // as UTF-16 has it
					s = strings.Join(strings.Split(s, ""), "\x00")
				case 1:
					s += strings.Repeat(rapid.SampledFrom([]string{"x", " ", "\x00", "7", "@"}).Draw(t, "pad"), rapid.IntRange(0, 300).Draw(t, "times"))
				case 2: // cut through
					s = s[:rapid.IntRange(0, len(s)).Draw(t, "cut")]
				}
				b = append(b, s...)
			}
			quick, whole := newLeaks(in), newLeaks(in)
			quick.people()
			whole.people()
			quick.part("", 0).raw(b)
			whole.part("", 0).rawWhole(b)
			if quick.hit != whole.hit {
				t.Fatalf("%q: %v, reading all of it %v", b, quick.hit, whole.hit)
			}
			for c, hit := range whole.hit {
				if hit {
					found[channel(c)]++
				}
			}
		}
	})
	least := 100
	if testing.Short() { // rapid draws a fifth of the cases
		least = 10
	}
	if found[leakMailbox] < least || found[leakPhone] < least || found[leakSenderMailbox] < least {
		t.Errorf("too few hits to say anything: %v", found)
	}
}

// FuzzRaw is the same for any bytes.
func FuzzRaw(f *testing.F) {
	env, facts := envelope(f, "anna@example.org", "ben@example.org")
	in := LeakInput{Mail: parse(f, out("", "x")), Watch: NewWatch(register(f)), Env: env, Facts: facts, Variant: &Variant{Rcpts: []int{0}, Show: ShowOne}}
	f.Add([]byte("0\x007\x00700 900\xff456"))
	f.Add([]byte("..@.example.org.@example.org-ben@example.org"))
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, whole := newLeaks(in), newLeaks(in)
		quick.people()
		whole.people()
		quick.part("", 0).raw(b)
		whole.part("", 0).rawWhole(b)
		if quick.hit != whole.hit {
			t.Errorf("%q: %v, reading all of it %v", b, quick.hit, whole.hit)
		}
	})
}
