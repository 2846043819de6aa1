package smtpd

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// command is one checked command line.
type command struct {
	verb string
	line string // what go-smtp gets, with CRLF

	path  string // MAIL, RCPT: what stands between < and >, as written
	utf8  bool   // MAIL: SMTPUTF8
	size  int64  // MAIL: SIZE; BDAT: bytes that follow
	final bool   // BDAT: LAST
}

// answer is a reply that we give without asking go-smtp.
type answer struct {
	code  int
	text  string // with its enhanced status code
	close bool   // and nothing after it
}

func bad(code int, text string) *answer { return &answer{code: code, text: text} }

// foreign is the answer to what is not SMTP at all.
func foreign() *answer { return &answer{421, "4.7.0 This is a mail server", true} }

// notOffered are the verbs that we know and do not have (RFC 5321 §4.2.4).
const notOffered = " SEND SOML SAML EXPN HELP TURN ETRN ATRN XCLIENT XFORWARD BURL PROXY "

// splitVerb returns the upper-case verb of a line and what follows it.
func splitVerb(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.Trim(arg, " ")
}

// otherProtocol reports whether the first line of a connection belongs to HTTP or SSH, whose
// later lines must never be tried as commands.
func otherProtocol(line string) bool {
	return strings.HasPrefix(line, "SSH-") ||
		strings.Contains(line, " HTTP/") || strings.HasPrefix(line, "PRI ")
}

// parseCommand checks one line inside TLS. limit is the largest message. Either the command
// goes to go-smtp, or the answer goes to the client.
func parseCommand(line string, limit int64) (command, *answer) {
	verb, arg := splitVerb(line)
	cmd := command{verb: verb, line: line + "\r\n"}
	for i := range len(line) {
		if line[i] < ' ' || line[i] == 0x7f {
			return cmd, bad(501, "5.5.4 Control characters are not allowed")
		}
		if line[i] >= utf8.RuneSelf && verb != "MAIL" && verb != "RCPT" {
			return cmd, bad(500, "5.5.2 Only ASCII is allowed here")
		}
	}
	switch verb {
	case "EHLO", "HELO":
		name, _, _ := strings.Cut(arg, " ")
		if name == "" || len(name) > 255 {
			return cmd, bad(501, "5.5.4 "+verb+" needs a name")
		}
		cmd.line = verb + " " + name + "\r\n"
	case "MAIL":
		return cmd.mail(arg, limit)
	case "RCPT":
		return cmd.rcpt(arg)
	case "BDAT":
		return cmd.bdat(arg, limit)
	case "AUTH":
		if arg == "" {
			return cmd, bad(501, "5.5.4 AUTH needs a mechanism")
		}
	case "DATA", "RSET", "QUIT":
		if arg != "" {
			return cmd, bad(501, "5.5.4 "+verb+" has no parameters")
		}
		cmd.line = verb + "\r\n"
	case "NOOP", "VRFY":
		cmd.line = verb + "\r\n"
	case "STARTTLS":
		return cmd, bad(503, "5.5.1 TLS is on already")
	default:
		if strings.Contains(notOffered, " "+verb+" ") && verb != "" {
			return cmd, bad(502, "5.5.1 Command not implemented")
		}
		return cmd, bad(500, "5.5.2 Command not recognized")
	}
	return cmd, nil
}

// standIn is the path that go-smtp gets: it drops routes and quotes, takes parameters that
// touch the path and forgets repeats, so the path and parameters that count are the command's.
const standIn = "<path@invalid>\r\n"

// mail checks MAIL (RFC 5321 §4.1.1.2).
func (c command) mail(arg string, limit int64) (command, *answer) {
	path, params, a := splitPath(arg, "FROM:", "5.1.7")
	if a != nil {
		return c, a
	}
	c.path, c.line = path, "MAIL FROM:"+standIn
	seen := map[string]bool{}
	for _, p := range params {
		key, value, has := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return c, bad(501, "5.5.4 A parameter is repeated")
		}
		seen[key] = true
		switch {
		case key == "SIZE" && has:
			if a := c.declare(value, limit); a != nil {
				return c, a
			}
		case key == "BODY" && has:
			switch strings.ToUpper(value) {
			case "7BIT", "8BITMIME":
			case "BINARYMIME":
				return c, bad(555, "5.5.4 BINARYMIME is not supported")
			default:
				return c, bad(501, "5.5.4 Unknown BODY value")
			}
		case key == "SMTPUTF8" && !has:
			c.utf8 = true
		case key == "AUTH" && has && value != "":
			// RFC 4954 §5: we trust nobody to speak for others, so it is read and dropped.
		default:
			return c, bad(555, "5.5.4 Unknown MAIL parameter")
		}
	}
	return c, nil
}

// declare reads SIZE (RFC 1870 §5): digits only, and within the limit.
func (c *command) declare(value string, limit int64) *answer {
	if value == "" || len(value) > 40 || strings.Trim(value, "0123456789") != "" {
		return bad(501, "5.5.4 SIZE is not a number")
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return bad(552, "5.3.4 Not sent: the email is larger than the limit of "+megabytes(limit)+
			" MB. Remove or shrink an attachment and send again. [M10]")
	}
	c.size = n
	if n > limit {
		return bad(552, "5.3.4 "+tooLargeText(n, limit)+" [M10]")
	}
	return nil
}

func (c command) rcpt(arg string) (command, *answer) {
	path, params, a := splitPath(arg, "TO:", "5.1.3")
	if a != nil {
		return c, a
	}
	if path == "" {
		return c, bad(553, "5.1.3 A recipient address is needed")
	}
	if len(params) > 0 {
		return c, bad(555, "5.5.4 Unknown RCPT parameter")
	}
	c.path, c.line = path, "RCPT TO:"+standIn
	return c, nil
}

// bdat reads BDAT (RFC 3030 §2). When its size cannot be told, what follows cannot be told
// from commands either: the connection ends.
func (c command) bdat(arg string, limit int64) (command, *answer) {
	f := strings.Fields(arg)
	if len(f) == 0 || len(f) > 2 || len(f) == 2 && !strings.EqualFold(f[1], "LAST") ||
		strings.Trim(f[0], "0123456789") != "" {
		return c, &answer{501, "5.5.4 BDAT needs a size", true}
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil || n > drainFactor*limit || n > 1<<32-1 {
		return c, &answer{552, "5.3.4 The chunk is too large", true}
	}
	c.size, c.final = n, len(f) == 2
	c.line = "DATA\r\n" // see conn
	return c, nil
}

// splitPath takes "FROM:<path> params" apart. The path is found by its brackets, honouring
// quoted strings; whether it is an address is for mail.ParseAddress.
func splitPath(arg, prefix, syntax string) (path string, params []string, a *answer) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", nil, bad(501, "5.5.4 Expected "+prefix+"<address>")
	}
	arg = strings.TrimLeft(arg[len(prefix):], " ")
	if !strings.HasPrefix(arg, "<") {
		return "", nil, bad(501, "5.5.4 Expected "+prefix+"<address>")
	}
	end, quoted := -1, false
scan:
	for i := 1; i < len(arg); i++ {
		switch {
		case quoted && arg[i] == '\\':
			i++
		case arg[i] == '"':
			quoted = !quoted
		case arg[i] == '>' && !quoted:
			end = i
			break scan
		}
	}
	if end < 0 {
		return "", nil, bad(553, syntax+" The address is not closed by >")
	}
	rest := arg[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", nil, bad(553, syntax+" Nothing may touch the address after >")
	}
	return arg[1:end], strings.Fields(rest), nil
}
