package mail

import "io"

// File is a file that is attached to a message of our own. Name and MediaType are ours, too.
type File struct {
	Name, MediaType string
	Open            func() (io.Reader, error)
}

// Compose writes a message of our own in canonical form: the top fields (as in a Draft), the
// paragraphs of a text, and files. With the same arguments it always writes the same bytes.
func Compose(w io.Writer, id ID, variant int, fields []Field, text []string, files []File) error {
	var empty Message
	root := textNode(text)
	if len(files) > 0 {
		kids := []*node{root}
		for _, f := range files {
			name := []Field{{"name", f.Name}}
			kids = append(kids, &node{open: f.Open, encoding: encBase64, fields: []Field{
				{"Content-Type", formatParams(f.MediaType, name)},
				{"Content-Transfer-Encoding", encBase64},
				{"Content-Disposition", formatParams("attachment", []Field{{"filename", f.Name}})},
			}})
		}
		root = multipartNode("multipart/mixed", nil, kids)
	}
	b := &builder{m: &empty, d: &Draft{ID: id, Variant: variant}}
	if err := b.boundaries(root, "0"); err != nil {
		return err
	}
	return empty.emit(w, fields, root)
}
