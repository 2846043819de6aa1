package differ

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/mail"
)

// TestReadingIsFresh holds docs/reading.md to the defects that the code knows. UPDATE=1 writes it.
func TestReadingIsFresh(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	counts := map[mail.Disposition]int{}
	words := map[mail.Disposition]string{mail.AcceptAsRead: "accept as read", mail.HoldIt: "hold", mail.RejectIt: "reject"}
	kinds := mail.DefectKinds()
	for _, k := range kinds {
		counts[k.Default]++
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s |\n", k.Row, k.Name, k.What, words[k.Default], k.Fix)
	}
	fresh(t, "../../docs/reading.md", fmt.Sprintf(readingPage, len(kinds), counts[mail.RejectIt], counts[mail.HoldIt], counts[mail.AcceptAsRead], rows.String()))
}

const readingPage = `# Reading

Two programs that read the same mail can see two different mails: other parts, other file names, other text. Whoever checks the one and delivers
the other checks nothing. So every way in which readers are known to differ is a *defect* with a name, a place (part and offset) and a default:

- **reject**: who writes, or what the parts are, is open. The mail app shows the reason, and nothing is kept.
- **hold**: two readers could see different things. A person decides.
- **accept as read**: we read it as most do, and the copy that leaves is written anew, with one reading. Where nothing may be written anew,
  because it is signed or encrypted, it is held ("odd-in-signed").

This page is made from the code: TestReadingIsFresh in test/differ, with UPDATE=1, writes it.

## How it is shown

test/differ changes real and made messages in 26 ways, one to three at a time: fields folded, doubled, commented; parameters quoted, cut, repeated, in the
pieces of RFC 2231; boundaries that begin with one another, are the same, have blanks behind them or are missing; encodings misspelt, doubled, broken;
encoded words split, glued, nested; charsets; file names; types; embedded mails; digests; bytes; two messages spliced. The gateway decides with the shipped
policies about mail to a client, and to a colleague whose copy is not edited. What would be sent is read by us, by Python's email, and by mailparser and
postal-mime from npm:

- **the copy that leaves** must be the same for all four: parts with their types and nesting, file names, decoded content, and whether lines flow.
- **the message as it came** may be read differently by somebody only where a defect that is accepted as read, of a kind that makes such a difference, stands
  at that part.

Four hundred of them run with every test; make differ runs 50,000. A difference that any run finds becomes a defect of this list.

Not made up by the test are bare CR and LF, which SMTP refuses before anything is read. Differences in how the others hand over what they have read, which are no
differences in reading, are taken out in test/differ and test/peers, each with its reason.

Last full run: 22 November 2026, 50,000 mutants, 19,661 of them sent, no difference. As they came, 3,830 of the messages were read
differently by somebody, each with its defect.

## The defects

%d kinds: %d reject, %d hold, %d are accepted as read. A rule of the policies cannot make them milder.

| row | name | what it is | default | what the sender does |
|---|---|---|---|---|
%s`
