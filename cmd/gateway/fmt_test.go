package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "mail.yaml")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	if err := os.Chmod(name, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(name, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(name)
	if b, err := os.ReadFile(name); err != nil || string(b) != "new" {
		t.Errorf("%q (%v)", b, err)
	}
	if err != nil || st.Mode().Perm() != 0o604 {
		t.Errorf("mode %v (%v)", st.Mode(), err)
	}
	// Somebody saved the file in the meantime: theirs stays.
	write("theirs")
	if err := replaceFile(name, []byte("new"), []byte("newer")); err == nil {
		t.Error("what somebody else wrote was replaced")
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "theirs" {
		t.Errorf("%q (%v)", b, err)
	}
	// A directory that cannot be written leaves the file and nothing else.
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err = replaceFile(name, []byte("theirs"), []byte("newer"))
	if err == nil && os.Geteuid() != 0 {
		t.Error("a directory that cannot be written was written")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
