package encrypt

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
)

// maxLetter is how many bytes of text become a PDF or a Word document; what is longer is a
// file for ZIP.
const maxLetter = 1 << 20

// The page: A4, in points, with large type.
const (
	pageWidth, pageHeight = 595.28, 841.89
	margin                = 62.0
	bodySize              = 14.0
	titleSize             = 20.0
	footSize              = 11.0
	indent                = 22.0
)

// PDF writes the letter as a tagged PDF: real text in embedded fonts, with title, language,
// headings, lists, quotes and links as such. The same letter gives the same bytes. A character
// that no font has is [NoGlyph], a letter too long for it [TooLarge].
func (l Letter) PDF(w io.Writer) error {
	size := len(l.Title)
	for _, b := range l.Blocks {
		for _, s := range b.Spans {
			size += len(s.Text) + len(s.Link)
		}
	}
	if size > maxLetter {
		return fmt.Errorf("encrypt: letter of %d bytes: %w", size, TooLarge)
	}
	d := document{objects: newObjects(w), fonts: newFontSet(), lang: language.NewLanguage(l.Lang), fontRefs: map[*face]ref{}}
	d.catalog, d.pages, d.root = d.reserve(), d.reserve(), d.reserve()
	d.tree = d.newElement("Document", nil)
	title := strings.Join(strings.Fields(clean(l.Title)), " ")
	if title != "" {
		d.block(d.newElement("H1", d.tree), []Span{{Text: title, Bold: true}}, look{size: titleSize, keep: true})
		d.y -= 10
	}
	d.blocks(l.Blocks)
	return d.finish(title, l.Lang)
}

// document is a PDF while it is written.
type document struct {
	*objects
	fonts    *fontSet
	fontRefs map[*face]ref
	shaper   shaping.HarfbuzzShaper
	split    shaping.Segmenter
	lang     language.Language

	catalog, pages, root ref // the catalogue, the list of pages, the root of the structure
	tree                 *structElement
	elements             []*structElement
	done                 []*pdfPage
	parents              []parent

	page *pdfPage
	y    float64 // of the foot of the last line

	taken, drawn int // characters: as many must be drawn as there were
}

// parent is an entry of the tree from content to structure: a page's marked content, or a link.
type parent struct {
	page *pdfPage
	link ref
}

// pdfPage is a page while it is filled.
type pdfPage struct {
	ref     ref
	number  int // its key in the tree of parents
	content bytes.Buffer
	fonts   []*face
	marks   []ref // the element of each piece of marked content
	links   []ref
	open    *structElement // whose content is being written
}

// structElement is an element of the logical structure (ISO 32000-2 §14.7.2).
type structElement struct {
	ref    ref
	kind   string
	parent *structElement
	kids   []string
}

func (d *document) newElement(kind string, parent *structElement) *structElement {
	e := &structElement{ref: d.reserve(), kind: kind, parent: parent}
	if parent != nil {
		parent.kids = append(parent.kids, e.ref.String())
	}
	d.elements = append(d.elements, e)
	return e
}

// blocks writes the body.
func (d *document) blocks(list []Block) {
	var lists, bodies []*structElement // open lists and the bodies of their last items
	var quotes []*structElement
	for _, b := range list {
		if b.Kind != ListItem {
			lists, bodies = nil, nil
		}
		if b.Kind != Quote {
			quotes = nil
		}
		level := min(max(b.Level, 1), 8)
		switch b.Kind {
		case Heading:
			size := max(titleSize-1-float64(level), bodySize)
			spans := slices.Clone(b.Spans)
			for i := range spans {
				spans[i].Bold = true
			}
			d.y -= 6
			d.block(d.newElement(fmt.Sprintf("H%d", min(level+1, 6)), d.tree), spans, look{size: size, keep: true})
		case ListItem:
			lists, bodies = lists[:min(level, len(lists))], bodies[:min(level, len(bodies))]
			for len(lists) < level {
				parent := d.tree
				if n := len(bodies); n > 0 {
					parent = bodies[n-1]
				}
				l := d.newElement("L", parent)
				lists = append(lists, l)
				if len(lists) < level || b.Marker == "" {
					bodies = append(bodies, d.newElement("LBody", d.newElement("LI", l)))
				} else {
					bodies = append(bodies, nil)
				}
			}
			if b.Marker == "" {
				d.block(d.newElement("P", bodies[level-1]), b.Spans, look{size: bodySize, left: indent * float64(level)})
				continue
			}
			item := d.newElement("LI", lists[level-1])
			label := d.newElement("Lbl", item)
			bodies[level-1] = d.newElement("LBody", item)
			d.block(bodies[level-1], b.Spans, look{size: bodySize, left: indent * float64(level), label: label, marker: b.Marker})
		case Quote:
			quotes = quotes[:min(level, len(quotes))]
			for len(quotes) < level {
				parent := d.tree
				if n := len(quotes); n > 0 {
					parent = quotes[n-1]
				}
				quotes = append(quotes, d.newElement("BlockQuote", parent))
			}
			d.block(d.newElement("P", quotes[level-1]), b.Spans, look{size: bodySize, left: indent * float64(level), bar: true})
		default:
			d.block(d.newElement("P", d.tree), b.Spans, look{size: bodySize})
		}
	}
}

// look is how a block is set.
type look struct {
	size, left float64
	keep       bool // with what follows
	bar        bool // beside it, as for a quote
	label      *structElement
	marker     string // before its first line
}

// block writes a block of text, which belongs to one element of the structure.
func (d *document) block(e *structElement, spans []Span, k look) {
	links := make([]*structElement, len(spans))
	gap := k.size * 0.6
	for _, p := range splitLines(spans) {
		d.wrap(p, k.size, pageWidth-2*margin-k.left, func(l line) {
			need := l.height + gap
			if k.keep {
				need += 3 * bodySize
			}
			if d.page == nil || d.y-need < margin {
				d.newPage()
				gap = 0
			}
			d.y -= l.height + gap
			gap = 0
			base := d.y + l.descent
			x := margin + k.left
			if l.rtl {
				x = pageWidth - margin - k.left - l.width
			}
			if k.bar {
				d.bar(l, k.left)
			}
			if k.label != nil {
				d.marker(k, l.rtl, base)
				k.label = nil
			}
			d.draw(l, e, spans, links, k.size, x, base)
		})
	}
}

// paragraph is text without line breaks.
type paragraph struct {
	text []rune
	span []int // the index of the span of each rune
}

// splitLines joins the spans of a block and divides them at line breaks.
func splitLines(spans []Span) []paragraph {
	out := []paragraph{{}}
	for i, s := range spans {
		for _, r := range s.Text {
			p := &out[len(out)-1]
			switch {
			case r == '\n':
				out = append(out, paragraph{})
			case r == '\t' || r == 0x2028 || r == 0x2029:
				r = ' '
				fallthrough
			default:
				p.text = append(p.text, r)
				p.span = append(p.span, i)
				if len(p.text) >= maxParagraph && r == ' ' || len(p.text) >= 2*maxParagraph {
					out = append(out, paragraph{})
				}
			}
		}
	}
	return out
}

// maxParagraph is how many characters are shaped at once, about; a longer paragraph is set as
// several.
const maxParagraph = 20_000

// line is a line that is ready to be drawn.
type line struct {
	paragraph
	runs                   []shaping.Output // in the order of the text
	rtl                    bool             // it begins at the right
	width, height, descent float64
}

func points(v fixed.Int26_6) float64 { return float64(v) / 64 }

// wrap shapes a paragraph and hands out its lines.
func (d *document) wrap(p paragraph, size, width float64, draw func(line)) {
	l := line{paragraph: p, height: size * 1.4, descent: size * 0.35}
	if len(p.text) == 0 {
		draw(l)
		return
	}
	direction := di.DirectionLTR
	if l.rtl = rightToLeft(p.text); l.rtl {
		direction = di.DirectionRTL
	}
	d.fonts.current = nil
	inputs := d.split.Split(shaping.Input{Text: p.text, RunEnd: len(p.text), Direction: direction, Size: fixed.Int26_6(size * 64), Language: d.lang}, d.fonts)
	if d.fonts.err != nil {
		return
	}
	outs := make([]shaping.Output, len(inputs))
	for i, in := range inputs {
		outs[i] = d.shaper.ShapeNoExtents(in)
		d.narrow(&outs[i], p.text)
	}
	d.taken += len(p.text)
	var wrapper shaping.LineWrapper // its lines are good until its next use, and a marker is set while they are drawn
	wrapped, _ := wrapper.WrapParagraphF(shaping.WrapConfig{Direction: direction, DisableTrailingWhitespaceTrim: true}, fixed.Int26_6(width*64), p.text, shaping.NewSliceIterator(outs))
	for _, runs := range wrapped {
		l := line{paragraph: p, runs: runs, rtl: l.rtl}
		trimEnd(p.text, runs)
		ascent := 0.0
		for _, r := range runs {
			l.width += points(r.Advance)
			ascent = max(ascent, points(r.LineBounds.Ascent))
			l.descent = max(l.descent, -points(r.LineBounds.Descent))
		}
		l.height = max(ascent+l.descent+0.05*size, 1.4*size)
		draw(l)
	}
}

// narrow gives spaces between pictures and signs the width that they have between words; those
// fonts have wide ones.
func (d *document) narrow(run *shaping.Output, text []rune) {
	if d.fonts.byFace[run.Face].letters {
		return
	}
	for i, g := range run.Glyphs {
		if text[g.TextIndex()] == ' ' {
			run.Glyphs[i].Advance = run.Size * 26 / 100
		}
	}
	run.RecomputeAdvance()
}

// trimEnd takes the width of the spaces at the end of a line. The library would go by the
// outlines of glyphs, which are not asked for here.
func trimEnd(text []rune, runs []shaping.Output) {
	if len(runs) == 0 {
		return
	}
	last := &runs[len(runs)-1]
	at, step := len(last.Glyphs)-1, -1
	if last.Direction.Progression() == di.TowardTopLeft {
		at, step = 0, 1
	}
	for ; at >= 0 && at < len(last.Glyphs) && text[last.Glyphs[at].TextIndex()] == ' '; at += step {
		last.Advance -= last.Glyphs[at].Advance
		last.Glyphs[at].Advance = 0
	}
}

// rightToLeft reports the direction of the first letter that has one (UAX #9, P2).
func rightToLeft(text []rune) bool {
	for _, r := range text {
		switch p, _ := bidi.LookupRune(r); p.Class() {
		case bidi.R, bidi.AL:
			return true
		case bidi.L:
			return false
		}
	}
	return false
}

func (d *document) newPage() {
	d.endMark()
	d.page = &pdfPage{ref: d.reserve(), number: len(d.parents)}
	d.done = append(d.done, d.page)
	d.parents = append(d.parents, parent{page: d.page})
	d.y = pageHeight - margin
}

// mark makes what follows on the page content of the element.
func (d *document) mark(e *structElement) {
	if d.page.open == e {
		return
	}
	d.endMark()
	fmt.Fprintf(&d.page.content, "/%s<</MCID %d>>BDC\n", e.kind, len(d.page.marks))
	e.kids = append(e.kids, fmt.Sprintf("<</Type/MCR/Pg %v/MCID %d>>", d.page.ref, len(d.page.marks)))
	d.page.marks = append(d.page.marks, e.ref)
	d.page.open = e
}

func (d *document) endMark() {
	if d.page != nil && d.page.open != nil {
		d.page.content.WriteString("EMC\n")
		d.page.open = nil
	}
}

// bar draws the line beside a quote, which is no content.
func (d *document) bar(l line, left float64) {
	d.endMark()
	x := margin + left - indent/2
	if l.rtl {
		x = pageWidth - x
	}
	fmt.Fprintf(&d.page.content, "/Artifact BMC\nq 0.6 G 1.5 w %.2f %.2f m %.2f %.2f l S Q\nEMC\n", x, d.y, x, d.y+l.height)
}

// marker draws what stands before an item of a list.
func (d *document) marker(k look, rtl bool, base float64) {
	text := []rune(k.marker)
	d.wrap(paragraph{text, make([]int, len(text))}, k.size, pageWidth, func(l line) {
		x := margin + k.left - l.width - 6
		if rtl {
			x = pageWidth - margin - k.left + 6
		}
		d.draw(l, k.label, []Span{{}}, []*structElement{nil}, k.size, x, base)
	})
}

// draw draws a line: its runs in the order of the text, so that a reader that goes by the
// content finds it, each at its place.
func (d *document) draw(l line, e *structElement, spans []Span, links []*structElement, size, x, base float64) {
	visual := slices.Clone(l.runs)
	slices.SortFunc(visual, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
	at := map[int32]float64{}
	for _, r := range visual {
		at[r.VisualIndex] = x
		x += points(r.Advance)
	}
	for _, r := range l.runs {
		f := d.fonts.byFace[r.Face]
		if !slices.Contains(d.page.fonts, f) {
			d.page.fonts = append(d.page.fonts, f)
		}
		for _, p := range d.pieces(r, l.paragraph, at[r.VisualIndex]) {
			span := spans[p.span]
			owner := e
			if span.Link != "" {
				if links[p.span] == nil {
					links[p.span] = d.newElement("Link", e)
				}
				owner = links[p.span]
			}
			d.mark(owner)
			d.piece(p, f, span, size, base)
			if span.Link != "" {
				d.link(owner, span.Link, p, base, size)
			}
		}
	}
}

// piece is what a run has in one style.
type piece struct {
	span     int
	from, to float64
	clusters []cluster
}

// cluster is some characters and the glyphs that stand for them together.
type cluster struct {
	text   string
	at     float64
	glyphs []shaping.Glyph
}

// pieces divides a run by style, in the order of the text. Its clusters stay as they stand on
// the line, from left to right.
func (d *document) pieces(r shaping.Output, p paragraph, x float64) []piece {
	var out []piece
	rtl := r.Direction.Progression() == di.TowardTopLeft
	for i := 0; i < len(r.Glyphs); {
		g := r.Glyphs[i]
		n := i + 1
		for n < len(r.Glyphs) && r.Glyphs[n].TextIndex() == g.TextIndex() {
			n++
		}
		from := g.TextIndex()
		text := p.text[from : from+g.RunesCount()]
		d.drawn += len(text)
		if k := len(out); k == 0 || out[k-1].span != p.span[from] {
			out = append(out, piece{span: p.span[from], from: x})
		}
		last := &out[len(out)-1]
		glyphs := r.Glyphs[i:n]
		switch {
		case !slices.ContainsFunc(text, func(r rune) bool { return !unseen(r) }):
			glyphs = []shaping.Glyph{blank()} // the font may have a space for it
		case slices.ContainsFunc(glyphs, func(g shaping.Glyph) bool { return g.GlyphID == 0 }):
			d.fonts.missing(text[0])
		}
		if rtl && len(text) > 1 {
			last.clusters = append(last.clusters, oneByOne(text, glyphs, x)...)
		} else {
			last.clusters = append(last.clusters, cluster{string(text), x, glyphs})
		}
		for _, g := range r.Glyphs[i:n] {
			x += points(g.Advance)
		}
		last.to = x
		i = n
	}
	if rtl {
		slices.Reverse(out)
	}
	return out
}

// oneByOne divides a cluster of a text from right to left into one for each character:
// readers turn the characters of a line around, and leave the order within what several
// characters share as it is. The first character has the glyphs; those after it, marks or the
// second one of a ligature, stand unseen to its left.
func oneByOne(text []rune, glyphs []shaping.Glyph, x float64) []cluster {
	var out []cluster
	for _, r := range slices.Backward(text[1:]) {
		at := x
		if unicode.IsMark(r) {
			at -= 0.5 // else readers may take it for a mark of the character before
		}
		out = append(out, cluster{string(r), at, []shaping.Glyph{blank()}})
	}
	return append(out, cluster{string(text[0]), x, glyphs})
}

// blank is a glyph of no width that shows nothing.
func blank() shaping.Glyph { return shaping.Glyph{GlyphID: blankGlyph} }

// piece draws glyphs. What a glyph stands for is in its font, and beside it where several stand
// for a text together.
func (d *document) piece(p piece, f *face, s Span, size, base float64) {
	w := &d.page.content
	fmt.Fprintf(w, "BT /F%d %.6g Tf ", slices.Index(d.fonts.order, f), size)
	switch {
	case s.Link != "":
		w.WriteString("0 0 0.6 rg 0 0 0.6 RG ")
	default:
		w.WriteString("0 g 0 G ")
	}
	if s.Bold {
		fmt.Fprintf(w, "2 Tr %.2f w ", size*0.035)
	} else {
		w.WriteString("0 Tr ")
	}
	slant := "0"
	if s.Italic {
		slant = "0.2"
	}
	var penX, penY float64
	open, first := false, true
	show := func() {
		if open {
			w.WriteString("]TJ ")
			open = false
		}
	}
	for _, c := range p.clusters {
		spelled := len(c.glyphs) > 1
		if spelled {
			show()
			fmt.Fprintf(w, "/Span<</ActualText%s>>BDC ", pdfText(c.text))
		}
		for i, g := range placed(c) {
			gx, gy := g.x, base+g.y
			if first || gy != penY {
				show()
				fmt.Fprintf(w, "1 0 %s 1 %.3f %.3f Tm ", slant, gx, gy)
				penX, penY, first = gx, gy, false
			}
			if !open {
				w.WriteByte('[')
				open = true
			}
			if off := gx - penX; off > 0.005 || off < -0.005 {
				fmt.Fprintf(w, "%.2f", -off/size*1000)
				penX = gx
			}
			text := ""
			if i == 0 {
				text = c.text
			}
			fmt.Fprintf(w, "<%04X>", f.number(g.id, text))
			penX += float64(f.width(g.id)) / 1000 * size
		}
		if spelled {
			show()
			w.WriteString("EMC ")
		}
	}
	show()
	w.WriteString("ET\n")
}

// placedGlyph is a glyph, its place on the line and above the line.
type placedGlyph struct {
	id   font.GID
	x, y float64
}

// placed returns the glyphs of a cluster, those on the line first: readers take the place of
// the first one for that of the text.
func placed(c cluster) []placedGlyph {
	var out []placedGlyph
	x := c.at
	for _, g := range c.glyphs {
		out = append(out, placedGlyph{g.GlyphID, x + points(g.XOffset), points(g.YOffset)})
		x += points(g.Advance)
	}
	slices.SortStableFunc(out, func(a, b placedGlyph) int { return cmp.Compare(math.Abs(a.y), math.Abs(b.y)) })
	return out
}

// link makes the piece a link, and underlines it.
func (d *document) link(e *structElement, uri string, p piece, base, size float64) {
	fmt.Fprintf(&d.page.content, "0.7 w %.2f %.2f m %.2f %.2f l S\n", p.from, base-size*0.12, p.to, base-size*0.12)
	annotation := d.reserve()
	d.put(annotation, fmt.Sprintf("<</Type/Annot/Subtype/Link/Rect[%.2f %.2f %.2f %.2f]/Border[0 0 0]/F 4/Contents%s/A<</S/URI/URI%s>>/StructParent %d>>",
		p.from, base-size*0.25, p.to, base+size*0.8, pdfText(uri), pdfString(uri), len(d.parents)))
	d.parents = append(d.parents, parent{link: e.ref})
	d.page.links = append(d.page.links, annotation)
	e.kids = append(e.kids, fmt.Sprintf("<</Type/OBJR/Obj %v/Pg %v>>", annotation, d.page.ref))
}

// finish numbers the pages and writes all that refers to them.
func (d *document) finish(title, lang string) error {
	if d.page == nil {
		d.newPage()
	}
	d.endMark()
	for i, p := range d.done {
		d.page = p
		if len(d.done) > 1 {
			d.number(fmt.Sprintf("%d / %d", i+1, len(d.done)))
		}
	}
	if d.fonts.err != nil {
		return d.fonts.err
	}
	if d.taken != d.drawn {
		return fmt.Errorf("encrypt: letter: %d characters of %d were set", d.drawn, d.taken)
	}
	for i, f := range d.fonts.order {
		if len(f.used) > 1 {
			d.fontRefs[f] = d.reserve()
			d.writeFont(d.fontRefs[f], f, i)
		}
	}
	kids := ""
	for _, p := range d.done {
		kids += p.ref.String() + " "
		d.writePage(p)
	}
	d.put(d.pages, fmt.Sprintf("<</Type/Pages/Count %d/MediaBox[0 0 %v %v]/Kids[%s]>>", len(d.done), pageWidth, pageHeight, kids))
	d.writeStructure()
	info, metadata := d.reserve(), d.reserve()
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(title)) // a buffer takes everything
	d.put(metadata, xmp(escaped.String(), lang))
	d.put(info, "<</Title"+pdfText(title)+">>")
	entries := ""
	if lang != "" {
		entries = "/Lang" + pdfText(lang)
	}
	d.put(d.catalog, fmt.Sprintf("<</Type/Catalog/Pages %v/StructTreeRoot %v/MarkInfo<</Marked true>>/ViewerPreferences<</DisplayDocTitle true>>/Metadata %v%s>>",
		d.pages, d.root, metadata, entries))
	sum := sha256.Sum256([]byte(title))
	return d.close(d.catalog, info, fmt.Sprintf("%X", sum[:16]))
}

// number writes the number of a page, which is no content.
func (d *document) number(s string) {
	text := []rune(s)
	d.wrap(paragraph{text, make([]int, len(text))}, footSize, pageWidth, func(l line) {
		x := (pageWidth - l.width) / 2
		d.page.content.WriteString("/Artifact<</Type/Pagination>>BDC\n")
		for _, r := range l.runs {
			f := d.fonts.byFace[r.Face]
			if !slices.Contains(d.page.fonts, f) {
				d.page.fonts = append(d.page.fonts, f)
			}
			for _, p := range d.pieces(r, l.paragraph, x) {
				d.piece(p, f, Span{}, footSize, margin/2)
			}
			x += points(r.Advance)
		}
		d.page.content.WriteString("EMC\n")
	})
}

func (d *document) writePage(p *pdfPage) {
	content := d.reserve()
	d.stream(content, "", p.content.Bytes())
	fonts, links := "", ""
	for _, f := range p.fonts {
		fonts += fmt.Sprintf("/F%d %v", slices.Index(d.fonts.order, f), d.fontRefs[f])
	}
	for _, l := range p.links {
		links += l.String() + " "
	}
	d.put(p.ref, fmt.Sprintf("<</Type/Page/Parent %v/Resources<</Font<<%s>>>>/Contents %v/StructParents %d/Tabs/S/Annots[%s]>>",
		d.pages, fonts, content, p.number, links))
}

// writeStructure writes the elements and the way back from content to them.
func (d *document) writeStructure() {
	for _, e := range d.elements {
		parent := d.root
		if e.parent != nil {
			parent = e.parent.ref
		}
		d.put(e.ref, fmt.Sprintf("<</Type/StructElem/S/%s/P %v/K[%s]>>", e.kind, parent, strings.Join(e.kids, " ")))
	}
	var nums strings.Builder
	for i, p := range d.parents {
		fmt.Fprintf(&nums, "%d ", i)
		if p.page == nil {
			fmt.Fprintf(&nums, "%v ", p.link)
			continue
		}
		nums.WriteByte('[')
		for _, m := range p.page.marks {
			fmt.Fprintf(&nums, "%v ", m)
		}
		nums.WriteString("]")
	}
	d.put(d.root, fmt.Sprintf("<</Type/StructTreeRoot/K %v/ParentTree<</Nums[%s]>>/ParentTreeNextKey %d>>", d.tree.ref, nums.String(), len(d.parents)))
}

// xmp is the metadata that readers prefer to the dictionary: title and language, nothing else.
func xmp(title, lang string) string {
	language := ""
	if lang != "" {
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(lang))
		language = "<dc:language><rdf:Bag><rdf:li>" + b.String() + "</rdf:li></rdf:Bag></dc:language>"
	}
	body := `<?xpacket begin="` + "\ufeff" + `" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">` +
		title + `</rdf:li></rdf:Alt></dc:title>` + language + `</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>`
	return fmt.Sprintf("<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream", len(body), body)
}
