package mail

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/fault"
)

// Draft says how a copy of a message differs from the original.
type Draft struct {
	ID        ID
	Variant   int
	Fields    []Field       // top fields in order, decoded; address fields ready from FormatMailboxes
	First     []string      // paragraphs before the new text
	Signature []string      // paragraphs above the quote, left out where they already are
	Replace   []Replacement // in the text that the reader sees
	Hide      []string      // strings that may not stay in a Content-ID
	NoRemote  bool          // take out of HTML what a mail app would fetch from the web, code and forms
	NoQuotes  bool          // take out what quotes another message
	NoKisses  bool          // take out the kisses at the end of the new text
	// NeutralNames gives attached files names that say only what kind of file they are.
	NeutralNames bool
	Whole        bool // signed or encrypted: the body is copied as it is, containers too
}

// node is a part of the copy to be written.
type node struct {
	fields   []Field // in order, values ready to be folded
	verbatim []Range // fields copied from the original instead
	boundary string  // of a multipart
	children []*node
	inner    *node // embedded message that is written anew
	body     []byte
	copy     *Range                    // bytes of the original
	part     *Part                     // decoded and encoded again
	open     func() (io.Reader, error) // a file of ours
	encoding string
	eight    bool
}

// Write writes a copy of the message in canonical form: CRLF line ends, lines of at most 998
// octets, an ASCII header, our own boundaries, and of each part only the fields that a reader
// needs. Leaf bodies that no edit changes are copied byte for byte; those that the wire forbids
// are encoded anew with the same content. It fails, with nothing usable written, rather than
// change what is signed or leave out what it cannot read.
func (m *Message) Write(w io.Writer, d Draft) (Written, error) {
	if m.broken != "" {
		return Written{}, refuse("The email is of a kind that cannot be sent: " + m.broken + ".")
	}
	b := &builder{m: m, d: &d}
	root, err := b.root()
	if err != nil {
		return Written{}, err
	}
	if err := b.boundaries(root, "0"); err != nil {
		return Written{}, err
	}
	return Written{LeftOut: b.leftOut()}, m.emit(w, d.Fields, root)
}

// Written says what Write had to do besides what it was asked for.
type Written struct {
	// LeftOut are the paths of the alternatives whose HTML could not be edited, and which
	// therefore are not in the copy: its readers get the text.
	LeftOut []string
}

func refuse(public string) error {
	return &fault.Error{Kind: fault.Rejected, Public: public, Status: fault.Status{Code: 550, Subject: 6, Detail: 0}}
}

// emit writes the top fields and the body.
func (m *Message) emit(w io.Writer, fields []Field, root *node) error {
	// Most messages are a few KiB: a buffer for the largest would be most of what they cost.
	out := bufio.NewWriterSize(w, int(max(2<<10, min(m.Size/16, 64<<10))))
	if err := WriteTop(out, fields); err != nil {
		return err
	}
	if err := m.emitNode(out, root); err != nil {
		return err
	}
	return out.Flush()
}

// WriteTop writes top fields as Write and Compose do, and MIME-Version after them. What describes
// the content, from Content-Type on, is for the caller to write.
func WriteTop(w io.Writer, fields []Field) error {
	for _, f := range fields {
		if isContentField(f.Name) || strings.EqualFold(f.Name, "MIME-Version") {
			continue
		}
		if err := writeField(w, f); err != nil {
			return err
		}
	}
	return fold(w, "MIME-Version", "1.0")
}

// readyFields hold structured values that Write folds but does not encode.
const readyFields = " from sender reply-to to cc bcc return-path date message-id in-reply-to references received dkim-signature auto-submitted content-type content-transfer-encoding content-disposition content-id "

// writeField writes one top field. A control character in a structured value is an error of
// ours, never a reason to send something else.
func writeField(w io.Writer, f Field) error {
	if _, _, _, ok := fieldName([]byte(f.Name + ":")); !ok {
		return fmt.Errorf("mail: write field %q: not a field name", safeName(f.Name))
	}
	name := strings.ToLower(f.Name)
	ready := strings.Contains(readyFields, " "+name+" ") || strings.HasPrefix(name, "list-")
	if !ready {
		return fold(w, f.Name, encodeUnstructured(f.Value))
	}
	address := strings.Contains(" from sender reply-to to cc bcc ", " "+name+" ")
	for _, r := range f.Value {
		if r < ' ' && r != '\t' || r == 0x7f || r == utf8.RuneError || r > 0x7f && !address {
			return fmt.Errorf("mail: write field %s: a character that may not stand there", safeName(f.Name))
		}
	}
	return fold(w, f.Name, strings.TrimSpace(f.Value))
}

func (m *Message) emitNode(w io.Writer, n *node) error {
	for _, r := range n.verbatim {
		if _, err := io.Copy(w, io.NewSectionReader(m.src, r.Start, r.Len())); err != nil {
			return fmt.Errorf("mail: copy field: %w", err)
		}
	}
	for _, f := range n.fields {
		if err := fold(w, f.Name, f.Value); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	return m.emitBody(w, n)
}

func (m *Message) emitBody(w io.Writer, n *node) error {
	var err error
	switch {
	case n.boundary != "":
		for _, c := range n.children {
			if _, err = io.WriteString(w, "--"+n.boundary+"\r\n"); err != nil {
				return err
			}
			if err = m.emitNode(w, c); err != nil {
				return err
			}
			if _, err = io.WriteString(w, "\r\n"); err != nil {
				return err
			}
		}
		_, err = io.WriteString(w, "--"+n.boundary+"--\r\n")
	case n.inner != nil:
		err = m.emitNode(w, n.inner)
	case n.copy != nil:
		_, err = io.Copy(w, io.NewSectionReader(m.src, n.copy.Start, n.copy.Len()))
	case n.part != nil:
		err = encodeTo(w, m.Decode(n.part), n.encoding)
	case n.open != nil:
		var r io.Reader
		if r, err = n.open(); err == nil {
			err = encodeTo(w, r, n.encoding)
		}
	default:
		err = encodeTo(w, bytes.NewReader(n.body), n.encoding)
	}
	if err != nil {
		return fmt.Errorf("mail: write body: %w", err)
	}
	return nil
}

// encodeTo copies r to w in the given Content-Transfer-Encoding.
func encodeTo(w io.Writer, r io.Reader, encoding string) error {
	var enc io.WriteCloser
	switch encoding {
	case encBase64:
		enc = newBase64Writer(w)
	case encQP:
		enc = &qpWriter{w: w}
	default:
		_, err := io.Copy(w, r)
		return err
	}
	if _, err := io.Copy(enc, r); err != nil {
		return err
	}
	return enc.Close()
}

// boundaries gives every multipart its boundary, from the id, the variant and the path in the
// copy, so that the same draft always gives the same bytes.
func (b *builder) boundaries(root *node, path string) error {
	taken, err := b.lookalikes()
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if b.name(root, path, n, taken) {
			return nil
		}
		if n > 100 {
			return errors.New("mail: write: no free boundary")
		}
	}
}

func (b *builder) name(n *node, path string, try int, taken map[string]bool) bool {
	if n.inner != nil && !b.name(n.inner, path+".m", try, taken) {
		return false
	}
	if n.children == nil {
		return true
	}
	sum := sha256.Sum256([]byte(string(b.d.ID) + "|" + strconv.Itoa(b.d.Variant) + "|" + strconv.Itoa(try) + "|" + path))
	n.boundary = boundaryStem + hex.EncodeToString(sum[:14])
	if taken["--"+n.boundary] {
		return false
	}
	for i := range n.fields {
		if n.fields[i].Name == "Content-Type" {
			head, _, _ := strings.Cut(n.fields[i].Value, "; boundary=")
			n.fields[i].Value = head + "; boundary=" + quoteString(n.boundary)
		}
	}
	for i, c := range n.children {
		if !b.name(c, path+"."+strconv.Itoa(i+1), try, taken) {
			return false
		}
	}
	return true
}

// lookalikes returns the starts of lines in the original that look like a boundary of ours.
func (b *builder) lookalikes() (map[string]bool, error) {
	if !b.m.lookalike {
		return nil, nil
	}
	const n = len("--"+boundaryStem) + 28
	taken := map[string]bool{}
	sc := newScanner(b.m.src, b.m.Size, nil)
	for {
		x, err := sc.read()
		if errors.Is(err, io.EOF) {
			return taken, nil
		}
		if err != nil {
			return nil, err
		}
		if x.first && len(x.data) >= n && bytes.HasPrefix(x.data, []byte("--"+boundaryStem)) {
			taken[string(x.data[:n])] = true
		}
		if len(taken) > 10_000 {
			return nil, refuse("The email holds too many lines that look like separators of parts.")
		}
	}
}
