package filter

// memo keeps what several rules need from the same message, made once.
type memo struct {
	tokens []string // the new text as folded words
	done   bool
}
