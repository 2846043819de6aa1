// Package encrypt owns what is locked: PGP/MIME, password-protected PDF, Office and ZIP files,
// the keys and the passphrases. It writes to io.Writer and reads from io.Reader; time is an
// argument, randomness is crypto/rand. It knows no policy, no database and no message queue.
//
// Whatever locks has a counterpart that opens, and callers run it before anything leaves: a
// writer that fails, or that gives back what it was given, must never look like a locked copy.
package encrypt
