package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/plaincover/plaincover/internal/fault"
)

// Address is a mailbox's addr-spec (RFC 5321 §4.1.2). LocalPart is unquoted and keeps its
// case; Domain is a lower-case A-label. The zero value is the null reverse-path.
type Address struct{ LocalPart, Domain string }

// Longest local part and whole address (RFC 5321 §4.5.3.1).
const (
	maxLocalPart = 64
	maxAddress   = 254
)

// domainProfile maps a domain to its A-label as a DNS look-up would, and refuses what DNS
// cannot hold (RFC 5891 §5).
var domainProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true),
	idna.VerifyDNSLength(true), idna.CheckHyphens(true), idna.CheckJoiners(true))

// ParseAddress reads one addr-spec strictly: no route, no percent or bang path, no address
// literal, no single-label domain, no display name, no comment, no white space. Failures are
// [fault.Invalid] with status 553 5.1.3, or 553 5.6.7 for characters that no address may have.
func ParseAddress(s string) (Address, error) {
	if !utf8.ValidString(s) {
		return Address{}, badAddress("the address is not valid UTF-8", 6, 7)
	}
	local, rest, err := scanLocalPart(s)
	if err != nil {
		return Address{}, err
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, badAddress("the address has no @ sign where one must stand", 1, 3)
	}
	domain, err := parseDomain(rest[1:])
	if err != nil {
		return Address{}, err
	}
	a := Address{LocalPart: local, Domain: domain}
	if len(a.String()) > maxAddress {
		return Address{}, badAddress("the address is longer than 254 characters", 1, 3)
	}
	return a, nil
}

func badAddress(public string, subject, detail int) error {
	return &fault.Error{Kind: fault.Invalid, Public: public,
		Status: fault.Status{Code: 553, Subject: subject, Detail: detail}}
}

// scanLocalPart reads a dot-string or a quoted string and returns it unquoted, with what
// follows it.
func scanLocalPart(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		local, rest, err = scanQuotedLocal(s)
	} else {
		i := strings.IndexByte(s, '@')
		if i < 0 {
			return "", "", badAddress("the address has no @ sign", 1, 3)
		}
		local, rest = s[:i], s[i:]
		if !isDotAtom(local) {
			err = badAddress("the part before the @ has characters that are not allowed there", 1, 3)
		}
	}
	switch {
	case err != nil:
		return "", "", err
	case local == "":
		return "", "", badAddress("the part before the @ is empty", 1, 3)
	case len(local) > maxLocalPart:
		return "", "", badAddress("the part before the @ is longer than 64 characters", 1, 3)
	case strings.ContainsAny(local, "%!"):
		// RFC 5321 §F.2, RFC 1123 §5.2.16: a further relay might route by these.
		return "", "", badAddress("addresses with % or ! before the @ are not accepted", 1, 3)
	}
	return local, rest, nil
}

// scanQuotedLocal reads a Quoted-string of RFC 5321 §4.1.2: printable ASCII and space, with
// quoted pairs, and UTF-8 by RFC 6531 §3.3.
func scanQuotedLocal(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"':
			if b.Len() == 0 {
				return "", "", badAddress("the part before the @ is empty", 1, 3)
			}
			return b.String(), s[i+1:], nil
		case r == '\\':
			i++
			if i >= len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", badAddress("the address has a control character", 1, 3)
			}
			b.WriteByte(s[i])
			i++
		case isUnsafeRune(r):
			return "", "", badAddress("the address has a control character", 1, 3)
		default:
			b.WriteRune(r)
			i += n
		}
	}
	return "", "", badAddress("the address has a quotation mark that is not closed", 1, 3)
}

func parseDomain(s string) (string, error) {
	switch {
	case s == "":
		return "", badAddress("the part after the @ is empty", 1, 3)
	case s[0] == '[':
		return "", badAddress("addresses with an IP number are not accepted", 1, 3)
	case !strings.Contains(strings.Trim(s, "."), "."):
		return "", badAddress("the part after the @ is not a full domain", 1, 3)
	case strings.HasSuffix(s, "."):
		return "", badAddress("the address ends in a dot", 1, 3)
	}
	d, err := domainProfile.ToASCII(s)
	if err != nil || !strings.Contains(d, ".") || strings.HasSuffix(d, ".") {
		return "", badAddress("the part after the @ is not a domain", 1, 3)
	}
	if last := d[strings.LastIndexByte(d, '.')+1:]; isDigits(last) {
		// RFC 3696 §2: no top-level domain is all digits, so this is an IP number.
		return "", badAddress("addresses with an IP number are not accepted", 1, 3)
	}
	return strings.ToLower(d), nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isAtext reports whether r may stand in an atom (RFC 5322 §3.2.3, RFC 6532 §3.2).
func isAtext(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return !isUnsafeRune(r) && !unicode.IsSpace(r)
}

func isDotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if r != '.' && !isAtext(r) {
			return false
		}
	}
	return true
}

// isUnsafeRune reports characters that no name or address may hold, because a reader sees
// something else than what stands there: controls, bidirectional overrides, invisible format
// characters, and bytes that were not UTF-8. The zero-width joiners stay: some scripts need
// them.
func isUnsafeRune(r rune) bool {
	switch {
	case r == utf8.RuneError, unicode.IsControl(r), r == 0x2028, r == 0x2029:
		return true
	case r == 0x200c, r == 0x200d:
		return false
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Cs, r)
}

// String returns the addr-spec, with the local part quoted when it must be.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	if isDotAtom(a.LocalPart) {
		return a.LocalPart + "@" + a.Domain
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range a.LocalPart {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteString(`"@`)
	b.WriteString(a.Domain)
	return b.String()
}

// Key returns the form under which two spellings of one mailbox are the same: NFC and lower
// case in both halves. It is for comparison only and never written into a message.
func (a Address) Key() string {
	if a.IsZero() {
		return ""
	}
	local := norm.NFC.String(strings.ToLower(norm.NFC.String(a.LocalPart)))
	return local + "@" + strings.ToLower(a.Domain)
}

// IsZero reports whether this is no address: the null reverse-path.
func (a Address) IsZero() bool { return a == Address{} }

// NeedsUTF8 reports whether only SMTPUTF8 can carry the address (RFC 6531).
func (a Address) NeedsUTF8() bool {
	for i := range len(a.LocalPart) {
		if a.LocalPart[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// MarshalText returns the addr-spec.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an addr-spec; an empty text is the zero address.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = Address{}
		return nil
	}
	v, err := ParseAddress(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
