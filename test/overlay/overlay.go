// Package overlay breaks code on purpose without touching the tree: it writes a changed copy
// of a file, and the overlay with which the go command compiles that copy instead.
package overlay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Break is a change of one file.
type Break struct {
	File string // from the root of the repository
	Old  string // stands in the file exactly once
	New  string // takes its place
}

// Apply returns the source with the break in it.
func (b Break) Apply(source string) (string, error) {
	if n := strings.Count(source, b.Old); n != 1 {
		return "", fmt.Errorf("%s: the code to break stands there %d times, not once:\n%s", b.File, n, b.Old)
	}
	return strings.Replace(source, b.Old, b.New, 1), nil
}

// Write writes the broken files and the overlay that puts them in the place of the sound ones,
// and returns the path of the overlay. Names of files in dir begin with name.
func Write(root, dir, name string, breaks ...Break) (string, error) {
	texts := map[string]string{}
	for _, b := range breaks {
		if _, ok := texts[b.File]; !ok {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(b.File)))
			if err != nil {
				return "", err
			}
			texts[b.File] = string(source)
		}
		text, err := b.Apply(texts[b.File])
		if err != nil {
			return "", err
		}
		texts[b.File] = text
	}
	replace := map[string]string{}
	var errs []error
	for file, text := range texts {
		to := filepath.Join(dir, name+"-"+strconv.Itoa(len(replace))+".go")
		replace[filepath.Join(root, filepath.FromSlash(file))] = to
		errs = append(errs, os.WriteFile(to, []byte(text), 0o600))
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name+".json")
	return path, errors.Join(append(errs, os.WriteFile(path, data, 0o600))...)
}
