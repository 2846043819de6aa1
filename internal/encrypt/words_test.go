package encrypt

import (
	"errors"
	"strings"
	"testing"
)

// The words are drawn evenly: chi-squared over the first letters of many would hide a word that
// never comes, so the words themselves are counted.
func TestNewWordsAreEven(t *testing.T) {
	t.Parallel()
	const list, each = 7776, 20
	count := map[string]int{}
	for range list * each / 16 {
		words, err := NewWords(16)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range strings.Split(words, " ") {
			count[w]++
		}
	}
	if len(count) != list {
		t.Errorf("%d different words", len(count))
	}
	chi := 0.0
	for _, n := range count {
		chi += float64((n-each)*(n-each)) / each
	}
	// 7,775 degrees of freedom: eight standard deviations of 125.
	if chi < list-1000 || chi > list+1000 {
		t.Errorf("chi squared is %.0f", chi)
	}
}

func TestNewWords(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 3, 17} {
		if _, err := NewWords(n); !errors.Is(err, BadWords) {
			t.Errorf("%d words: %v", n, err)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		words, err := NewWords(4)
		if err != nil || seen[words] || strings.Count(words, " ") != 3 {
			t.Fatalf("%q %v", words, err)
		}
		seen[words] = true
		if p, err := prepareWords(words); p != words || err != nil {
			t.Errorf("%q: %v", words, err)
		}
		if p, err := pdfWords(words); string(p) != words || err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}
