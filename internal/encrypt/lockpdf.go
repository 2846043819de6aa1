package encrypt

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/validate"
)

const (
	// maxPDF is the size above which a PDF is not locked as one: it is in memory as a whole,
	// about six times.
	maxPDF = 32 << 20
	// maxPDFTime is how long one step with a PDF may take.
	maxPDFTime = 20 * time.Second
	// maxUnpacked is what all object streams of a PDF may hold together, about.
	maxUnpacked = 128 << 20
)

// LockPDF encrypts a PDF with AES-256 (ISO 32000-2 §7.6.4.4, revision 6): all strings and
// streams, the metadata too. Whoever has the words may do everything with the document that
// a reader lets them do, but the owner's password is random and nobody has it.
//
// What it does not lock has a [Reason]: [AlreadyLocked]; [Signed], because the signature would
// break; [Active], for scripts, programs and files inside; [Damaged], [TooCostly], [TooLarge].
func LockPDF(w io.Writer, r io.ReadSeeker, words string) error {
	user, err := pdfWords(words)
	if err != nil {
		return fmt.Errorf("encrypt: pdf: %w", err)
	}
	var out bytes.Buffer // what comes late must not be written any more
	var key []byte
	err = withPDF(r, "", func(ctx *model.Context) error {
		if reason := unlockable(ctx); reason != "" {
			return reason
		}
		ctx.Cmd = model.ENCRYPT
		ctx.UserPW, ctx.OwnerPW = "x", "y" // their entries are replaced before anybody sees them
		// The revision goes by the version: 2.0 has the one with a slow hash.
		v := model.V20
		ctx.RootVersion, ctx.HeaderVersion = &v, &v
		if err := writePDF(ctx, &out); err != nil {
			return err
		}
		key = bytes.Clone(ctx.EncKey)
		return nil
	})
	if err != nil {
		return err
	}
	entries, ok := findPDFEntries(out.Bytes())
	if !ok || len(key) != 32 || !entries.replace(out.Bytes(), newPDFEntries(user, []byte(rand.Text()), key)) {
		return fmt.Errorf("encrypt: pdf: no place for the words: %w", Damaged)
	}
	_, err = out.WriteTo(w)
	return err
}

// OpenPDF returns a PDF that LockPDF has locked without its encryption. It refuses one that
// opens without the words, or that is not encrypted that way.
func OpenPDF(r io.ReadSeeker, words string) (*bytes.Reader, error) {
	user, err := pdfWords(words)
	if err != nil {
		return nil, fmt.Errorf("encrypt: pdf: %w", err)
	}
	file, err := readFile(r)
	if err != nil {
		return nil, err
	}
	entries, ok := findPDFEntries(file)
	if ok {
		_, open := entries.open(nil)
		ok = !open
	}
	if !ok {
		return nil, fmt.Errorf("encrypt: pdf: %w", NotLocked)
	}
	key, ok := entries.open(user)
	if !ok {
		return nil, fmt.Errorf("encrypt: pdf: %w", WrongWords)
	}
	// The library opens it with a password that it takes.
	const ours = "x"
	taken := entries
	taken.u, taken.ue = pdfEntry([]byte(ours), key, nil)
	if !entries.replace(file, taken) {
		return nil, fmt.Errorf("encrypt: pdf: %w", Damaged)
	}
	var out bytes.Buffer
	err = withPDF(bytes.NewReader(file), ours, func(ctx *model.Context) error {
		if ctx.E == nil || ctx.E.V != 5 || ctx.E.R != 6 || !ctx.E.Emd {
			return NotLocked
		}
		ctx.Cmd = model.DECRYPT
		return writePDF(ctx, &out)
	})
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(out.Bytes()), nil
}

// readFile reads a file that is not too large.
func readFile(r io.ReadSeeker) ([]byte, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("encrypt: pdf: %w", err)
	}
	if size > maxPDF {
		return nil, fmt.Errorf("encrypt: pdf of %d bytes: %w", size, TooLarge)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("encrypt: pdf: %w", err)
	}
	file := make([]byte, size)
	if _, err := io.ReadFull(r, file); err != nil {
		return nil, fmt.Errorf("encrypt: pdf: %w", err)
	}
	return file, nil
}

// SamePDF reports whether two PDFs hold the same: as many pages, the same streams byte for byte,
// the same strings. Metadata and what the writer of a file says of itself does not count.
func SamePDF(a, b io.ReadSeeker) (bool, error) {
	read := func(r io.ReadSeeker) (out []string, err error) {
		err = withPDF(r, "", func(ctx *model.Context) error {
			out = contents(ctx)
			return nil
		})
		return out, err
	}
	one, err := read(a)
	if err != nil {
		return false, err
	}
	two, err := read(b)
	return err == nil && slices.Equal(one, two), err
}

// withPDF reads a PDF and does something with it, within bounds of time and memory. What goes
// wrong in the reader, a panic included, is an error of this document alone.
func withPDF(r io.ReadSeeker, words string, do func(*model.Context) error) error {
	file, err := readFile(r)
	if err != nil {
		return err
	}
	// Checking and writing cannot be interrupted; they stop at their next read or write.
	stop, cancel := context.WithTimeout(context.Background(), maxPDFTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if recover() != nil {
				done <- fmt.Errorf("%w: panic", Damaged)
			}
		}()
		done <- readPDF(stop, file, words, do)
	}()
	select {
	case err = <-done:
	case <-stop.Done():
		err = TooCostly
	}
	if err != nil {
		return fmt.Errorf("encrypt: pdf: %w", err)
	}
	return nil
}

// readPDF reads and checks a PDF. The document's own words in the errors of the reader do not
// go further.
func readPDF(stop context.Context, file []byte, words string, do func(*model.Context) error) error {
	limits := model.DefaultResourceLimits()
	limits.MaxStreamBytes = maxPDF
	limits.MaxDecodeBytes = max(maxUnpacked/int64(1+bytes.Count(file, []byte("ObjStm"))), 1<<20)
	limits.MaxObjectCount, limits.MaxXRefEntries = 500_000, 500_000
	conf := &model.Configuration{
		Reader15: true, ValidationMode: model.ValidationRelaxed, UnsupportedResourcePolicy: model.UnsupportedResourceSkip,
		Eol: types.EolLF, WriteObjectStream: true, WriteXRefStream: true,
		EncryptUsingAES: true, EncryptKeyLength: 256, Permissions: model.PermissionsAll,
		UserPW: words, Cmd: model.VALIDATE, Offline: true, Limits: limits,
	}
	ctx, err := pdfcpu.ReadWithContext(stop, interruptible{bytes.NewReader(file), stop}, conf)
	switch {
	case errors.Is(err, pdfcpu.ErrWrongPassword), errors.Is(err, pdfcpu.ErrEncrypted):
		return AlreadyLocked
	case stop.Err() != nil:
		return TooCostly
	case err != nil:
		return Damaged
	}
	if ctx.E != nil && words == "" {
		return AlreadyLocked // it opens for everybody, and forbids something
	}
	if err := validate.XRefTable(ctx); err != nil {
		return Damaged
	}
	return do(ctx)
}

// interruptible is a reader that ends when its time is over.
type interruptible struct {
	io.ReadSeeker
	stop context.Context
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.stop.Err(); err != nil {
		return 0, err
	}
	return r.ReadSeeker.Read(p)
}

func writePDF(ctx *model.Context, w io.Writer) error {
	ctx.Write.Writer = bufio.NewWriter(w)
	if err := pdfcpu.WriteContext(ctx); err != nil {
		return Damaged
	}
	return ctx.Write.Flush()
}

// unlockable returns why a PDF is not locked as it is.
func unlockable(ctx *model.Context) (reason Reason) {
	walkPDF(ctx, func(d types.Dict) {
		switch name := d.NameEntry("Type"); {
		case d["ByteRange"] != nil, name != nil && (*name == "Sig" || *name == "DocTimeStamp"):
			reason = Signed
		case reason != "":
		case d["JS"] != nil, d["EF"] != nil, name != nil && *name == "EmbeddedFile":
			reason = Active
		default:
			if s := d.NameEntry("S"); s != nil && slices.Contains([]string{"JavaScript", "Launch", "ImportData", "SubmitForm", "Rendition", "RichMediaExecute"}, *s) {
				reason = Active
			}
		}
	}, func([]byte) {}, func(string) {})
	return reason
}

// contents returns what a PDF holds, in an order of its own: digests of its streams, its
// strings, the number of its pages.
func contents(ctx *model.Context) []string {
	var out []string
	walkPDF(ctx, func(d types.Dict) {
		if name := d.NameEntry("Type"); name != nil && *name == "Page" {
			out = append(out, "page")
		}
	}, func(raw []byte) {
		out = append(out, fmt.Sprintf("%x", sha256.Sum256(raw)))
	}, func(s string) {
		out = append(out, "string "+s)
	})
	slices.Sort(out)
	return out
}

// walkPDF visits all dictionaries, streams and strings of a document but those of the file.
func walkPDF(ctx *model.Context, dict func(types.Dict), stream func([]byte), text func(string)) {
	var visit func(o types.Object, depth int)
	visit = func(o types.Object, depth int) {
		if depth > 100 {
			return
		}
		switch o := o.(type) {
		case types.Dict:
			dict(o)
			for _, v := range o {
				visit(v, depth+1)
			}
		case types.Array:
			for _, v := range o {
				visit(v, depth+1)
			}
		case types.StreamDict:
			if name := o.NameEntry("Type"); name == nil || *name != "Metadata" {
				stream(o.Raw)
				visit(o.Dict, depth+1)
			}
		case types.StringLiteral:
			if b, err := types.Unescape(o.Value()); err == nil {
				text(string(b))
			}
		case types.HexLiteral:
			if b, err := o.Bytes(); err == nil {
				text(string(b))
			}
		}
	}
	for n, entry := range ctx.Table {
		switch {
		case entry == nil || entry.Free || ctx.Info != nil && n == ctx.Info.ObjectNumber.Value():
		default:
			visit(entry.Object, 0)
		}
	}
}
