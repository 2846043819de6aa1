package mail

import (
	"testing"

	"pgregory.net/rapid"
)

// The quick look before a replacement may only say no where the expression finds nothing.
func TestQuickLookNeverMissesAReplacement(t *testing.T) {
	t.Parallel()
	letters := []rune("aAkKsS\u212a\u017fé.@ ") // the Kelvin sign is a k and the long s an s
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.StringOfN(rapid.SampledFrom(letters), 1, 4, -1).Draw(t, "old")
		text := rapid.StringOfN(rapid.SampledFrom(letters), 0, 12, -1).Draw(t, "text")
		r, err := newReplacer([]Replacement{{Old: old, New: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.old {
			if !p.in(text) && p.re().MatchString(text) {
				t.Fatalf("%q stands in %q", old, text)
			}
		}
	})
}
