package encrypt

import (
	"bytes"
	"errors"
	"io"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// pdf writes a PDF anew: what no page reaches, older revisions among it, stays behind, and so do
// properties, XMP, thumbnails, scripts and what starts or sends something. Pages, links and
// forms stay as they are. Notes and hidden layers hold it.
func (c *cleaner) pdf(w io.Writer, file io.ReadSeeker) error {
	// The reader mends a file that was cut off, and then it shows less than it did.
	if whole, err := endsPDF(file); err != nil || !whole {
		return errors.Join(err, Damaged)
	}
	var out bytes.Buffer // what comes late must not be written any more
	err := withPDF(file, "", func(ctx *model.Context) error {
		if ctx.Encrypt != nil || ctx.E != nil {
			return AlreadyLocked
		}
		if unlockable(ctx) == Signed {
			return Signed
		}
		if ctx.PageCount == 0 {
			return Damaged
		}
		if err := c.pdfObjects(ctx); err != nil {
			return err
		}
		if ctx.Info != nil {
			c.remove(TraceProperties)
		}
		ctx.Info, ctx.ID, ctx.Properties = nil, nil, nil
		if ctx.Names["JavaScript"] != nil {
			c.remove(TraceScript)
			delete(ctx.Names, "JavaScript") // the writer would put it back
		}
		// Below 2.0 the writer would add properties of its own, with the time of now.
		v := model.V20
		ctx.RootVersion, ctx.HeaderVersion = &v, &v
		return writePDF(ctx, &out)
	})
	if err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

// endsPDF reports whether a PDF has its end (ISO 32000-2 §7.5.5).
func endsPDF(file io.ReadSeeker) (bool, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if _, err := file.Seek(max(0, size-1024), io.SeekStart); err != nil {
		return false, err
	}
	tail, err := io.ReadAll(file)
	return bytes.Contains(tail, []byte("startxref")) && bytes.Contains(tail, []byte("%%EOF")), err
}

// pdfObjects cleans every object of a document.
func (c *cleaner) pdfObjects(ctx *model.Context) error {
	var reason error
	hold := func(r error) {
		if reason == nil {
			reason = r
		}
	}
	walkPDF(ctx, func(d types.Dict) {
		for key, trace := range map[string]Trace{"Metadata": TraceXMP, "PieceInfo": TraceData, "Thumb": TraceThumbnail, "LastModified": TraceHistory,
			"AA": TraceAction, "JavaScript": TraceScript} {
			if d[key] != nil {
				c.remove(trace)
				delete(d, key)
			}
		}
		for _, key := range []string{"A", "OpenAction", "Next", "PA"} {
			if trace := activeAction(ctx, d[key]); trace != "" {
				c.remove(trace)
				delete(d, key)
			}
		}
		if d["EF"] != nil || d["EmbeddedFiles"] != nil || d["RichMediaContent"] != nil || d["Collection"] != nil {
			hold(HasInside)
		}
		if d["XFA"] != nil {
			hold(Uncleanable) // a form in XML that the pages only stand in for
		}
		if hiddenLayers(ctx, d) {
			hold(HasHidden)
		}
		hold(c.annotation(d))
	}, func([]byte) {}, func(string) {})
	return reason
}

// annotation takes the writer from an annotation that is drawn; what readers show in a window,
// as somebody's remark, holds (ISO 32000-2 §12.5.6).
func (c *cleaner) annotation(d types.Dict) error {
	kind := d.NameEntry("Subtype")
	if kind == nil || d["Rect"] == nil {
		return nil
	}
	switch *kind {
	case "Text", "Popup", "Highlight", "Underline", "Squiggly", "StrikeOut", "Caret", "Redact":
		return HasComments
	case "FileAttachment", "Sound", "Movie", "Screen", "3D", "RichMedia":
		return HasInside
	case "Widget": // T is the name of a field
		return nil
	}
	if d["Popup"] != nil || d["IRT"] != nil {
		return HasComments
	}
	for _, key := range []string{"T", "CreationDate", "M", "NM", "Subj"} {
		if d[key] != nil {
			c.remove(TraceHistory)
			delete(d, key)
		}
	}
	return nil
}

// activeAction is the trace that an action is which runs, starts or sends something
// (ISO 32000-2 §12.6.4).
func activeAction(ctx *model.Context, o types.Object) Trace {
	actions := []types.Object{o}
	if o, err := ctx.Dereference(o); err != nil {
		return TraceAction
	} else if a, ok := o.(types.Array); ok {
		actions = a // of Next; a destination has no action in it
	}
	for _, o := range actions {
		d, err := ctx.Dereference(o)
		if err != nil {
			return TraceAction
		}
		action, ok := d.(types.Dict)
		if !ok {
			continue
		}
		if kind := action.NameEntry("S"); kind != nil {
			switch *kind {
			case "JavaScript":
				return TraceScript
			case "Launch", "ImportData", "SubmitForm", "Rendition", "RichMediaExecute", "GoToR", "GoToE", "Sound", "Movie", "Trans", "GoTo3DView":
				return TraceAction
			}
		}
	}
	return ""
}

// hiddenLayers reports whether d is a configuration of layers that shows not all of them.
func hiddenLayers(ctx *model.Context, d types.Dict) bool {
	base := d.NameEntry("BaseState")
	if base != nil && *base == "OFF" {
		return true
	}
	if d["OFF"] == nil {
		return false
	}
	off, err := ctx.DereferenceArray(d["OFF"])
	return err != nil || len(off) > 0
}
