package policy

import (
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/plaincover/plaincover/policies"
)

// An archive holds all that makes a set what it is; a part of it, or something else, makes none.
func TestArchivesAreTheSameSet(t *testing.T) {
	t.Parallel()
	sets := map[string]fs.FS{"shipped": policies.Files}
	examples := os.DirFS("../../policies/examples")
	names, err := fs.Glob(examples, "*/mail.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if sets[path.Dir(name)], err = fs.Sub(examples, path.Dir(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, files := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := Load(files)
			if err != nil {
				t.Fatal(err)
			}
			b, err := want.Archive()
			if err != nil {
				t.Fatal(err)
			}
			got, err := LoadArchive(b)
			if err != nil || got.ID != want.ID || len(got.Rules) != len(want.Rules) || len(got.Tests) != len(want.Tests) {
				t.Errorf("not the same set: %v", err)
			}
			for _, part := range [][]byte{nil, b[:len(b)/2], b[len(b)/2:], []byte("no archive")} {
				if s, err := LoadArchive(part); err == nil {
					t.Errorf("%d bytes of %d give %s", len(part), len(b), s.ID)
				}
			}
		})
	}
}
