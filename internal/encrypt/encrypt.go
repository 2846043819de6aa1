// Package encrypt owns what makes a message confidential: OpenPGP, and documents that open with
// words agreed in session: PDF, Office and ZIP. All of it is a writer over io: no database, no
// network, no clock but a time that is passed in; randomness is crypto/rand's.
//
// Each format has a function that locks and one that opens, and the second is there to prove
// the first: before anything leaves, the caller opens it again. Whatever cannot be locked is an
// error, and a Reason says which, so that the caller can take another format or hold the
// message; nothing is ever passed on as it was.
package encrypt

// Reason is why something could not be locked or opened. It is the cause of the errors of this
// package (errors.Is), and never holds what was in the document or the words.
type Reason string

// Error makes a Reason an error.
func (r Reason) Error() string { return string(r) }

const (
	// TooLarge is a document above what its format is locked for in memory: use ZIP.
	TooLarge Reason = "too large for this format"
	// TooCostly is a document whose reading goes beyond its share of time or memory.
	TooCostly Reason = "takes too much to read"
	// Damaged is a document that cannot be read as what it claims to be.
	Damaged Reason = "damaged"
	// AlreadyLocked is a document that somebody has locked before.
	AlreadyLocked Reason = "locked already"
	// Signed is a document whose signature would not survive: use ZIP.
	Signed Reason = "signed"
	// Active is a document with scripts, programs or files inside: use ZIP, or hold.
	Active Reason = "has scripts, actions or files in it"
	// WrongWords is that the words do not open the document.
	WrongWords Reason = "the words do not open it"
	// BadWords are words that not every reader would take as they stand.
	BadWords Reason = "not usable as words"
	// NotLocked is a document that opens without words.
	NotLocked Reason = "not locked"
	// NoGlyph is text in a script that no embedded font has.
	NoGlyph Reason = "no font for a character"
)
