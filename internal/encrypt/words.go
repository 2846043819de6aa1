package encrypt

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/sethvargo/go-diceware/diceware"
	"golang.org/x/text/secure/precis"
)

// maxWords is the longest password that the readers of every format take, in bytes: PDF cuts
// at 127 (ISO 32000-2 §7.6.4.3.3).
const maxWords = 127

// NewWords makes a phrase of n words, each drawn from the 7,776 of the EFF's long list with five
// throws of a die: 12.9 bits a word. There are at least four of them (reliability.md, I10). They
// are small letters with one space between two, as a person types them on a phone; capitals
// count, because the readers of locked documents compare what is typed as it is.
func NewWords(n int) (string, error) {
	if n < 4 || n > 16 {
		return "", fmt.Errorf("encrypt: %d words: %w", n, BadWords)
	}
	list := diceware.WordListEffLarge()
	words := make([]string, n)
	for i := range words {
		dice := 0
		for range list.Digits() {
			throw, err := rand.Int(rand.Reader, big.NewInt(6))
			if err != nil {
				return "", fmt.Errorf("encrypt: words: %w", err)
			}
			dice = 10*dice + 1 + int(throw.Int64())
		}
		words[i] = list.WordAt(dice)
	}
	return strings.Join(words, " "), nil
}

// minWords is the shortest phrase that is worth a lock: whoever has a file can try words for ever.
const minWords = 16

// CheckWords reports whether words that somebody else chose can be used in every format: letters,
// digits and signs of ASCII, single blanks, as long as three or four words. The error is BadWords.
func CheckWords(words string) error {
	p, err := prepareWords(words)
	if err != nil || p != words || !isASCII(words) || len(words) < minWords || strings.Contains(words, "  ") {
		return BadWords
	}
	return nil
}

// prepareWords returns words as a keyboard would give them: composed characters, ASCII spaces
// (RFC 8265 §4.2). Words with a control character, or with a space at an end, which no person
// would type again, are BadWords.
func prepareWords(words string) (string, error) {
	p, err := precis.OpaqueString.String(words)
	if err != nil || !utf8.ValidString(words) || len(p) > maxWords || p != strings.TrimSpace(p) {
		return "", BadWords
	}
	return p, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
