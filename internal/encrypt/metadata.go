package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Trace is what a file says about people, places and machines beside what it shows.
type Trace string

// The traces that RemoveMetadata removes.
const (
	TraceProperties Trace = "properties" // author, title, company, times: of Office files and PDF
	TraceXMP        Trace = "xmp"
	TraceThumbnail  Trace = "thumbnail" // which may show what was cut off since
	TraceTemplate   Trace = "template"  // the path of a template
	TracePath       Trace = "path"      // another path of the writer's machine
	TraceHistory    Trace = "history"   // marks of editing sessions, their people and ids
	TraceData       Trace = "data"      // data of other programs inside
	TraceLabel      Trace = "label"     // of an organisation
	TracePrinter    Trace = "printer"
	TraceExif       Trace = "exif" // camera, time, often the place
	TraceText       Trace = "text" // comments in pictures
	TraceTrailer    Trace = "trailer"
	TraceScript     Trace = "script"
	TraceAction     Trace = "action" // that starts or sends something when a PDF is opened
	TraceOther      Trace = "other"
)

// Why a file is not cleaned, and what came of it must be held. Its visible content would
// change, or somebody has to see what is hidden in it first.
const (
	Uncleanable  Reason = "of no format that can be cleaned"
	HasComments  Reason = "has comments"
	HasRevisions Reason = "has tracked changes"
	HasHidden    Reason = "has hidden sheets, rows, slides, notes or text"
	HasInside    Reason = "has files, macros or controls in it"
	LeadsOut     Reason = "loads something from outside"
)

const maxCleaned = 64 << 20 // a file that is cleaned

// RemoveMetadata copies a picture (JPEG, PNG), an Office file (.docx, .xlsx, .pptx) or a PDF
// without what it says about people, places and machines; what it shows stays the same. It
// returns what was removed. It goes by the content of a file, never by its name. Every error
// means that the file may not leave, and nothing of w may be used then.
func RemoveMetadata(w io.Writer, r io.ReaderAt, size int64) ([]Trace, error) {
	removed, err := removeMetadata(w, r, size)
	if err != nil {
		return nil, fmt.Errorf("encrypt: remove metadata: %w", err)
	}
	return removed, nil
}

func removeMetadata(w io.Writer, r io.ReaderAt, size int64) ([]Trace, error) {
	if size > maxCleaned {
		return nil, TooLarge
	}
	head := make([]byte, min(size, 1024))
	if err := readFullAt(r, head, 0); err != nil {
		return nil, err
	}
	var c cleaner
	var err error
	switch file := io.NewSectionReader(r, 0, size); {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		err = c.jpeg(w, file)
	case bytes.HasPrefix(head, []byte(pngSign)):
		err = c.png(w, file)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		err = c.office(w, file)
	case bytes.Contains(head, []byte("%PDF-")):
		err = c.pdf(w, file)
	default:
		err = Uncleanable
	}
	return c.traces(), err
}

// cleaner collects what was removed.
type cleaner struct{ removed map[Trace]bool }

func (c *cleaner) remove(t Trace) {
	if c.removed == nil {
		c.removed = map[Trace]bool{}
	}
	c.removed[t] = true
}

func (c *cleaner) traces() []Trace {
	var out []Trace
	for t := range c.removed {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

// damaged makes the end of a file where there must be more Damaged; other errors of a reader
// stay what they are.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Damaged
	}
	return err
}
