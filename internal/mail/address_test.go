package mail

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/fault"
)

// Rows B11, B12, B14 and B15 of the bad-input table.
func TestB11B12B15_Addresses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "@", "a@", "@b.example", "a", "a b@c.example", "a@b@c.example", " a@b.example", "a@b.example ",
		"\"a\r\nRCPT TO:<x@y>\"@z.example", "a@b.example ORCPT=x", "a@b.example>SIZE=1", "\"a>b@c.example", "\"\"@b.example",
		"@r.example:a@b.example", "a%c.example@b.example", "c.example!a@b.example", "a@[192.0.2.1]", "a@192.0.2.1", "a@localhost",
		strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat(strings.Repeat("b", 60)+".", 5) + "example",
		"a@b.example.", ".a@b.example", "a..b@c.example", "a.@b.example", "a@b..example", "a@-b.example", "a@b_c.example",
		"\xff@b.example", "a\u202e@b.example", "<a@b.example>", "A <a@b.example>", "a(c)@b.example", "a@b.exa\x00mple",
	} {
		a, err := ParseAddress(s)
		if err == nil {
			t.Errorf("%q: accepted as %v", s, a)
		}
		if k := fault.KindOf(err); k != fault.Invalid {
			t.Errorf("%q: kind %v", s, k)
		}
	}
}

func TestAddressForms(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Anna.Smith@Example.ORG":       "Anna.Smith@example.org",
		`"a b"@example.org`:            `"a b"@example.org`,
		`"a\"b>c"@example.org`:         `"a\"b>c"@example.org`,
		`"plain"@example.org`:          "plain@example.org",
		"a@B\u00dcCHER.example":        "a@xn--bcher-kva.example",
		"a@xn--bcher-kva.example":      "a@xn--bcher-kva.example",
		"j\u00fcrgen@example.org":      "j\u00fcrgen@example.org",
		"o'neil+tag@sub.example.co.uk": "o'neil+tag@sub.example.co.uk",
	} {
		a, err := ParseAddress(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if a.String() != want {
			t.Errorf("%q: %q, want %q", s, a.String(), want)
		}
		back, err := ParseAddress(a.String())
		if err != nil || back != a {
			t.Errorf("%q: %v, %v", s, back, err)
		}
	}
	nfc, _ := ParseAddress("j\u00fcrgen@example.org")
	nfd, _ := ParseAddress("Ju\u0308rgen@EXAMPLE.org")
	if nfc.Key() != nfd.Key() || !nfc.NeedsUTF8() {
		t.Errorf("B14: %q and %q are one mailbox", nfc.Key(), nfd.Key())
	}
	var zero Address
	if b, err := zero.MarshalText(); err != nil || len(b) != 0 || zero.UnmarshalText(nil) != nil || !zero.IsZero() {
		t.Error("the zero address does not survive")
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	a, err := NewID(time.Unix(1_800_000_000, 0), rand.Reader)
	if err != nil || len(a) != 26 {
		t.Fatal(a, err)
	}
	b, _ := NewID(time.Unix(1_800_000_001, 0), rand.Reader)
	if b <= a {
		t.Error("ids are not in order of time")
	}
	if got, err := ParseID(string(a)); err != nil || got != a {
		t.Error(got, err)
	}
	for _, s := range []string{"", "x", strings.ToLower(string(a)), string(a) + "0", "../" + string(a)[3:], "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
	if _, err := NewID(time.Now(), nil); err == nil {
		t.Error("an id without randomness")
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a b"@c.example`, "j\u00fcrgen@b\u00fccher.example", "a%b@c.example", `"\""@x.example`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		back, err := ParseAddress(a.String())
		if err != nil || back != a {
			t.Fatalf("%q: %v: %v", a.String(), back, err)
		}
		list, defects := parseMailboxes(FormatMailboxes([]Mailbox{{Name: s, Address: a}}))
		if len(list) != 1 || list[0].Address != a {
			t.Fatalf("%q: %v %v", FormatMailboxes([]Mailbox{{Name: s, Address: a}}), list, defects)
		}
	})
}
