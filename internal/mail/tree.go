package mail

import (
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Parts returns every part depth first, the root first, through embedded messages too.
func (m *Message) Parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) { walkParts(m.Root, yield) }
}

func walkParts(p *Part, yield func(*Part) bool) bool {
	if !yield(p) {
		return false
	}
	for _, c := range p.Parts {
		if !walkParts(c, yield) {
			return false
		}
	}
	return true
}

// Source returns the message as received.
func (m *Message) Source() *io.SectionReader { return io.NewSectionReader(m.src, 0, m.Size) }

// Sum returns the SHA-256 of the bytes of a copy. Hardly any copy is ever asked for it, and it
// would be a fifth of the work on one with a large file.
func (m *Message) Sum() ([32]byte, error) {
	h, sum := sha256.New(), [32]byte{}
	if _, err := io.Copy(h, m.Source()); err != nil {
		return sum, fmt.Errorf("mail: read message: %w", err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// Raw returns a part's body as received, still encoded.
func (m *Message) Raw(p *Part) *io.SectionReader {
	return io.NewSectionReader(m.src, p.Body.Start, p.Body.Len())
}

// Decode returns a part's body with its Content-Transfer-Encoding undone.
func (m *Message) Decode(p *Part) io.Reader {
	if !isEncoded(p.Encoding) || p.IsMultipart() {
		return m.Raw(p)
	}
	return newDecodeReader(m.Raw(p), p.Encoding)
}

// isMessage reports whether the part is an embedded message that was read as one.
func (p *Part) isMessage() bool { return len(p.Parts) > 0 && !p.IsMultipart() }

// Signed reports whether a change to a text would break a signature: by structure, never by
// words in the subject. An embedded message is never changed, so what it holds does not count.
func (m *Message) Signed() bool { return anyOwn(m.Root, isSigned) }

// Encrypted reports whether a part is encrypted, so that its text can neither be read nor
// changed.
func (m *Message) Encrypted() bool { return anyOwn(m.Root, isEncrypted) }

// anyOwn looks at the part and all below it, outside embedded messages.
func anyOwn(p *Part, is func(*Part) bool) bool {
	if is(p) {
		return true
	}
	if p.isMessage() {
		return false
	}
	for _, c := range p.Parts {
		if anyOwn(c, is) {
			return true
		}
	}
	return false
}

func isSigned(p *Part) bool {
	switch p.MediaType {
	case "multipart/signed":
		return true
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return strings.EqualFold(p.Params["smime-type"], "signed-data")
	}
	return isTextBody(p) && hasArmor(p.Text, "-----BEGIN PGP SIGNED MESSAGE-----")
}

func isEncrypted(p *Part) bool {
	switch p.MediaType {
	case "multipart/encrypted", "application/pgp-encrypted":
		return true
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		t := strings.ToLower(p.Params["smime-type"])
		return t != "signed-data" && t != "certs-only" && t != "compressed-data"
	case "application/octet-stream":
		// RFC 8551 §3.10: gateways relabel S/MIME, and the file name is what is left of it.
		return extension(p.Filename) == "p7m"
	}
	return isTextBody(p) && hasArmor(p.Text, "-----BEGIN PGP MESSAGE-----")
}

// isSealed reports a part whose bytes must stay as they are.
func isSealed(p *Part) bool { return isSigned(p) || isEncrypted(p) }

// isTextBody reports a text that a mail app shows as the message, not as a file.
func isTextBody(p *Part) bool {
	return (p.MediaType == "text/plain" || p.MediaType == "text/html") && len(p.Parts) == 0 &&
		(p.alternative || p.Disposition != "attachment" && p.Filename == "")
}

// markAlternatives marks what mail apps show as the text of the message, whatever file name or
// disposition it bears: the alternatives of one multipart/alternative, and of one that is a
// multipart/related its first part (RFC 2046 §5.1.4, RFC 2387 §3.2).
func markAlternatives(p *Part) {
	for _, c := range p.Parts {
		if p.MediaType == "multipart/alternative" {
			shown := c
			for shown.MediaType == "multipart/related" && len(shown.Parts) > 0 {
				shown = shown.Parts[0]
			}
			shown.alternative = true
		}
		markAlternatives(c)
	}
}

// hasArmor reports an armour header that starts a line (RFC 9580 §6.2). Quoted or indented
// armour is nobody's signature.
func hasArmor(text, header string) bool {
	for s := text; ; {
		i := strings.Index(s, header)
		if i < 0 {
			return false
		}
		// In HTML a line starts behind a tag, and a text may start with a byte-order mark.
		if i == 0 || s[i-1] == '\n' || s[i-1] == '>' || strings.HasSuffix(s[:i], "\uFEFF") {
			return true
		}
		s = s[i+len(header):]
	}
}
