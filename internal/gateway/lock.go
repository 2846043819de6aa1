package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// inside is the copy as it will lie behind the lock: with the real subject, the whole body, the
// crisis lines of a discreet client too, and files under neutral names.
func (c copyOf) inside() copyOf {
	c.variant.Edits = slices.DeleteFunc(slices.Clone(c.variant.Edits), func(e filter.Edit) bool {
		return e.Kind == filter.EditSubject || e.Kind == filter.EditNeutralFirstLine || e.Kind == filter.EditNeutralFilenames
	})
	c.variant.Edits = append(c.variant.Edits, filter.Edit{Kind: filter.EditNeutralFilenames})
	c.variant.Audience.Discreet = false
	return c
}

// lockedCopy makes a locked copy in s: first what lies inside, which is searched like every
// copy, then the lock and what stands outside, which is searched again. What cannot be locked is
// a finding that holds: no way leads from here to a copy in clear.
func (g *Gateway) lockedCopy(ctx context.Context, d *decided, i int, watch *filter.Watch, spool func() *store.Spool, s *store.Spool) ([]filter.Finding, error) {
	done, err := take(ctx, g.locks, min(shareOfLock*d.mail.Size, g.memory/2))
	if err != nil {
		return nil, err
	}
	defer done()
	c := d.copyOf(i)
	inner := spool()
	defer inner.Close()
	if _, err := g.Render(ctx, c.inside(), inner); err != nil {
		return nil, err
	}
	inside, err := d.mail.ParseCopy(inner, inner.Size(), finalLimits(g.limits))
	if err != nil {
		return nil, fmt.Errorf("gateway: read variant %d back: %w", i+1, err)
	}
	leaks, err := d.searched(i, inside, watch)
	if err != nil {
		return nil, err
	}
	if err := g.renderLocked(ctx, c, inside, spool, s); err != nil {
		if kind := fault.KindOf(err); ctx.Err() != nil || kind == fault.Unavailable || kind == fault.Rejected {
			return nil, err // again later, or never
		}
		g.log.Error("not locked", "id", d.env.ID, "variant", c.number, "lock", c.variant.Protection, "error", err)
		return append(leaks, cannotLock(c.variant.Rcpts[0], err)), nil
	}
	final, err := mail.Parse(s, s.Size(), finalLimits(g.limits))
	if err != nil {
		return nil, fmt.Errorf("gateway: read variant %d back: %w", i+1, err)
	}
	more, err := d.searched(i, final, watch)
	return append(leaks, more...), err
}

// shareOfLock is how many bytes of memory locking takes for a byte of mail: PDF is the worst, and
// was measured (docs/performance.md).
const shareOfLock = 10

// cannotLock holds a copy that could not be locked, and says why as far as a person can do
// something about it.
func cannotLock(rcpt int, err error) filter.Finding {
	f := filter.Finding{Rule: filter.RuleCannotLock, Rcpt: rcpt, Action: filter.Hold, About: filter.Safety, Fixed: true,
		Reason: "The email must be locked, and that did not work. Nothing has left. Send it again; if it happens again, ask whoever looks after the mail gateway"}
	if errors.Is(err, encrypt.BadWords) {
		f.Reason = "The email must be locked, and the words on file cannot be used in every program. Make new ones: gateway client reset-words"
	} else if reason := encrypt.Reason(""); errors.As(err, &reason) {
		f.Reason = "The email must be locked, and that did not work: " + reason.Error() + ". Send it without what is in the way, or as a file of another kind"
	}
	return f
}

// renderLocked writes the outside of a locked copy: the neutral subject and first line, how to
// open it, and the locked files. inside is the copy that they are made of, read back.
func (g *Gateway) renderLocked(ctx context.Context, c copyOf, inside *mail.Message, spool func() *store.Spool, w *store.Spool) error {
	if len(c.variant.Audience.Refs) != 1 {
		return fmt.Errorf("gateway: lock variant %d: it is for %d clients", c.number, len(c.variant.Audience.Refs))
	}
	if c.variant.Protection == filter.LockedPGP {
		return g.renderPGP(ctx, c, inside, w)
	}
	words, err := g.facts.Words(ctx, c.variant.Audience.Refs[0])
	if err != nil {
		return err
	}
	if words == "" { // they were taken away since the facts were read
		return fault.New(fault.Unavailable, "the words of this client are not there; try again")
	}
	l := &locker{way: c.variant.Protection, words: words, mail: inside, spool: spool, language: c.variant.Audience.Language}
	defer l.close()
	if err := l.lock(ctx); err != nil {
		return fmt.Errorf("gateway: lock variant %d: %w", c.number, err)
	}
	fields, err := g.fields(c)
	if err != nil {
		return err
	}
	text := append(templates.FirstLine(c.variant.Audience.Discreet), templates.HowToOpen(c.variant.Protection)...)
	if err := mail.Compose(w, c.env.ID, c.number, fields, text, l.files); err != nil {
		return fmt.Errorf("gateway: lock variant %d: %w", c.number, err)
	}
	return nil
}

// renderPGP writes a copy that is encrypted to the client's key and signed with the practice's
// (RFC 3156 §6.2), and opens it again. The fields that the reader sees go inside, with the real
// subject (RFC 9788); what stands outside is what stands outside of every locked copy.
func (g *Gateway) renderPGP(ctx context.Context, c copyOf, inside *mail.Message, w *store.Spool) error {
	to, err := g.facts.RecipientKey(ctx, c.variant.Audience.Refs[0], c.at)
	if err != nil {
		return err
	}
	if to == nil { // it was taken away since the facts were read
		return fault.New(fault.Unavailable, "the PGP key of this client is not there; try again")
	}
	name := c.snap.Org.Name
	if _, aliased := c.alias(); aliased {
		name = clientName(c.sender)
	}
	role, err := g.facts.RoleKey(ctx, c.reverse(), name)
	if err != nil {
		return err
	}
	fields, err := g.fields(c)
	if err != nil {
		return err
	}
	var top bytes.Buffer
	if err := mail.WriteTop(&top, fields); err != nil {
		return fmt.Errorf("gateway: encrypt variant %d: %w", c.number, err)
	}
	outside, err := mail.Parse(bytes.NewReader(top.Bytes()), int64(top.Len()), finalLimits(g.limits)) // the values as on the wire
	if err != nil {
		return fmt.Errorf("gateway: encrypt variant %d: %w", c.number, err)
	}
	if _, err := w.Write(top.Bytes()); err != nil {
		return err
	}
	part, err := encrypt.Protect(inside, protected(inside), protected(outside))
	if err != nil {
		return fmt.Errorf("gateway: encrypt variant %d: %w", c.number, err)
	}
	proof, err := encrypt.EncryptMIME(w, part, encrypt.PGP{Recipient: to, Role: role, Now: c.at,
		Boundary: fmt.Sprintf("%s.%016x", strings.ToLower(string(c.env.ID)), c.opaque())})
	if err != nil {
		return fmt.Errorf("gateway: encrypt variant %d: %w", c.number, err)
	}
	defer proof.Forget()
	if err := encrypt.OpenMIME(io.NewSectionReader(w, int64(top.Len()), w.Size()-int64(top.Len())), proof); err != nil {
		return fmt.Errorf("gateway: encrypt variant %d: %w", c.number, err)
	}
	return nil
}

// protected are the fields of a copy that its reader sees and that are signed with it.
func protected(m *mail.Message) []mail.Field {
	return slices.DeleteFunc(slices.Clone(m.Root.Fields), func(f mail.Field) bool {
		return !slices.Contains([]string{"date", "from", "reply-to", "to", "cc", "subject", "message-id", "in-reply-to", "references"}, strings.ToLower(f.Name))
	})
}

// maxWhole is the size up to which a file is locked in the format that it has: these formats
// need all of it in memory. A larger one goes into a ZIP.
const maxWhole = 24 << 20

// maxAlone is how many files are locked one by one; more go into the ZIP: each costs a tenth of a
// second, because the way from words to key is slow on purpose.
const maxAlone = 6

// officeTypes are the media types that stand outside: ours, whatever the sender's mail app wrote.
var officeTypes = map[string]string{
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

// locker makes the locked files of one copy.
type locker struct {
	way, words, language string
	mail                 *mail.Message
	spool                func() *store.Spool

	files  []mail.File
	spools []*store.Spool
	loose  []encrypt.File // what goes into the ZIP
}

func (l *locker) close() {
	for _, s := range l.spools {
		_ = s.Close() // a temporary file without a name: it is gone with the process at the latest
	}
}

// lock locks the letter and every attached file.
func (l *locker) lock(ctx context.Context) error {
	letter := encrypt.Letter{Title: l.mail.Subject, Lang: l.language}
	var attached []*mail.Part
	if err := l.read(l.mail.Root, &letter, &attached); err != nil {
		return err
	}
	if err := l.letter(letter); err != nil {
		return err
	}
	for i, p := range attached {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.file(p, i+1); err != nil {
			return err
		}
	}
	return l.zip()
}

// read collects what the reader is shown, and what is attached: of alternatives the richest
// that can be followed.
func (l *locker) read(p *mail.Part, letter *encrypt.Letter, attached *[]*mail.Part) error {
	switch {
	case p.MediaType == "multipart/alternative":
		chosen := len(p.Parts) == 0
		for i := len(p.Parts) - 1; i >= 0; i-- {
			var one encrypt.Letter
			var files []*mail.Part
			if err := l.read(p.Parts[i], &one, &files); err != nil || chosen || len(one.Blocks) == 0 {
				// It says the same in another form, or cannot be read; what is no text of it stays.
				files = filesIn(p.Parts[i])
			} else {
				chosen = true
				letter.Blocks = append(letter.Blocks, one.Blocks...)
			}
			*attached = append(*attached, files...)
		}
		if !chosen {
			return errors.New("no form of the text can be read")
		}
		return nil
	case p.IsMultipart():
		for _, c := range p.Parts {
			if err := l.read(c, letter, attached); err != nil {
				return err
			}
		}
		return nil
	case isLetter(p) && len(p.Text) > maxText: // too long to be set as a letter: it goes along as it is
	case isLetter(p) && p.MediaType == "text/plain":
		letter.Blocks = append(letter.Blocks, encrypt.FromText(unflowed(p))...)
		return nil
	case isLetter(p):
		blocks, err := encrypt.FromHTML(p.Text)
		letter.Blocks = append(letter.Blocks, blocks...)
		return err
	}
	*attached = append(*attached, p)
	return nil
}

// maxText is the longest text of one part that is set as a letter.
const maxText = 512 << 10

// isLetter reports whether a mail app shows the part as the message.
func isLetter(p *mail.Part) bool {
	return p.Disposition != "attachment" && p.Filename == "" && (p.MediaType == "text/plain" || p.MediaType == "text/html")
}

// filesIn returns everything in a part that is not shown as the message.
func filesIn(p *mail.Part) []*mail.Part {
	if !p.IsMultipart() {
		if isLetter(p) {
			return nil
		}
		return []*mail.Part{p}
	}
	var out []*mail.Part
	for _, c := range p.Parts {
		out = append(out, filesIn(c)...)
	}
	return out
}

// unflowed returns a text with the lines joined that its writer's mail app has broken
// (RFC 3676 §4.1, format=flowed): a line ends softly with a blank.
func unflowed(p *mail.Part) string {
	if !strings.EqualFold(p.Params["format"], "flowed") {
		return p.Text
	}
	delSp := strings.EqualFold(p.Params["delsp"], "yes")
	var b strings.Builder
	soft, depth := false, 0 // of the line before
	for i, line := range strings.Split(strings.ReplaceAll(p.Text, "\r\n", "\n"), "\n") {
		rest := strings.TrimLeft(line, ">")
		d := len(line) - len(rest)
		rest = strings.TrimPrefix(rest, " ") // space-stuffed, §4.4
		if i > 0 && (!soft || d != depth) {
			b.WriteByte('\n')
			soft = false
		}
		if !soft && d > 0 {
			b.WriteString(strings.Repeat(">", d) + " ")
		}
		soft, depth = strings.HasSuffix(rest, " ") && rest != "-- ", d
		if soft && delSp {
			rest = rest[:len(rest)-1]
		}
		b.WriteString(rest)
	}
	return b.String()
}

// letter locks subject and body.
func (l *locker) letter(letter encrypt.Letter) error {
	var plain bytes.Buffer
	switch l.way {
	case filter.LockedPDF, filter.LockedZIP:
		if err := letter.PDF(&plain); err != nil {
			return err
		}
	case filter.LockedDOCX:
		if err := letter.DOCX(&plain); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no such lock: %q", l.way)
	}
	switch l.way {
	case filter.LockedPDF:
		return l.whole("letter.pdf", "application/pdf", plain.Bytes(), pdfFormat)
	case filter.LockedDOCX:
		return l.whole("letter.docx", officeTypes["docx"], plain.Bytes(), officeFormat)
	}
	l.loose = append(l.loose, encrypt.File{Name: "letter.pdf", Size: int64(plain.Len()), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(plain.Bytes())), nil
	}})
	return nil
}

// file locks an attached file as itself where its format can be, and else puts it into the ZIP.
func (l *locker) file(p *mail.Part, number int) error {
	name := p.Filename
	if name == "" {
		name = "file-" + strconv.Itoa(number) + map[bool]string{true: ".eml", false: ".bin"}[strings.HasPrefix(p.MediaType, "message/")]
	}
	as, mediaType := format{}, ""
	switch ext := name[strings.LastIndexByte(name, '.')+1:]; {
	case l.way == filter.LockedZIP, len(l.files) >= maxAlone:
	case ext == "pdf":
		as, mediaType = pdfFormat, "application/pdf"
	case officeTypes[ext] != "":
		as, mediaType = officeFormat, officeTypes[ext]
	}
	if as.lock != nil {
		b, err := io.ReadAll(io.LimitReader(l.mail.Decode(p), maxWhole+1))
		if err != nil {
			return err
		}
		if len(b) <= maxWhole {
			err := l.whole(name, mediaType, b, as)
			if reason := encrypt.Reason(""); err == nil || !errors.As(err, &reason) {
				return err
			}
			// It is signed, locked already or damaged: as it is, it goes into the ZIP.
		}
	}
	size, err := io.Copy(io.Discard, l.mail.Decode(p))
	if err != nil {
		return err
	}
	l.loose = append(l.loose, encrypt.File{Name: name, Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(l.mail.Decode(p)), nil
	}})
	return nil
}

// whole locks a file that is in memory, and opens it again: what a lock says it did is not
// believed.
func (l *locker) whole(name, mediaType string, plain []byte, as format) error {
	s := l.spool()
	err := as.lock(s, plain, l.words)
	if err == nil {
		if other := as.open(s, l.words+".", plain); other == nil {
			err = errors.New("other words open the file")
		} else if !errors.Is(other, encrypt.WrongWords) {
			err = other
		}
	}
	if err == nil {
		err = as.open(s, l.words, plain)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	l.add(name, mediaType, s)
	return nil
}

// format is a way to lock a file as what it is. open fails unless the words open the file and
// what is in it is what went in.
type format struct {
	lock func(w io.Writer, plain []byte, words string) error
	open func(s *store.Spool, words string, plain []byte) error
}

var (
	officeFormat = format{
		lock: func(w io.Writer, plain []byte, words string) error {
			return encrypt.LockOffice(w, bytes.NewReader(plain), int64(len(plain)), words)
		},
		open: func(s *store.Spool, words string, plain []byte) error {
			r, err := encrypt.OpenOffice(s, s.Size(), words)
			if err != nil {
				return err
			}
			got, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(got, plain) {
				err = errNotTheSame
			}
			return err
		},
	}
	pdfFormat = format{
		lock: func(w io.Writer, plain []byte, words string) error {
			return encrypt.LockPDF(w, bytes.NewReader(plain), words)
		},
		open: func(s *store.Spool, words string, plain []byte) error {
			r, err := encrypt.OpenPDF(io.NewSectionReader(s, 0, s.Size()), words)
			if err != nil {
				return err
			}
			same, err := encrypt.SamePDF(r, bytes.NewReader(plain))
			if err == nil && !same {
				err = errNotTheSame
			}
			return err
		},
	}
)

var errNotTheSame = errors.New("what is behind the lock is not what went in")

func (l *locker) add(name, mediaType string, s *store.Spool) {
	l.spools = append(l.spools, s)
	l.files = append(l.files, mail.File{Name: name, MediaType: mediaType, Open: func() (io.Reader, error) {
		return io.NewSectionReader(s, 0, s.Size()), nil
	}})
}

// zip locks what no other format takes.
func (l *locker) zip() error {
	if len(l.loose) == 0 {
		return nil
	}
	s := l.spool()
	if err := encrypt.LockZIP(s, l.loose, l.words); err != nil {
		_ = s.Close()
		return err
	}
	l.add("files.zip", "application/zip", s)
	return l.openZIP(s)
}

// openZIP opens what was locked, and compares it with what went in: what the lock says it did is
// not believed.
func (l *locker) openZIP(s *store.Spool) error {
	if _, err := encrypt.OpenZIP(s, s.Size(), l.words+"."); !errors.Is(err, encrypt.WrongWords) {
		return errors.New("other words open the archive")
	}
	files, err := encrypt.OpenZIP(s, s.Size(), l.words)
	if err != nil {
		return err
	}
	if len(files) != len(l.loose) {
		return errors.New("the archive holds other files")
	}
	for i := range files {
		if err := sameContent(files[i], l.loose[i]); err != nil {
			return err
		}
	}
	return nil
}

func sameContent(a, b encrypt.File) error {
	var sums [2][sha256.Size]byte
	for i, f := range []encrypt.File{a, b} {
		r, err := f.Open()
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		h.Sum(sums[i][:0])
	}
	if a.Name != b.Name || sums[0] != sums[1] {
		return errNotTheSame
	}
	return nil
}
