package encrypt

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// maxWords is the longest password that the readers of every format take, in bytes: PDF cuts
// at 127 (ISO 32000-2 §7.6.4.3.3).
const maxWords = 127

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
