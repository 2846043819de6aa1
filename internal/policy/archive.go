package policy

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// Archive returns the files of the set, as they were read, in one ZIP; [LoadArchive] makes the
// same snapshot of it.
func (s *Snapshot) Archive() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(s.files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("policy: archive: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("policy: archive: %w", err)
	}
	return b.Bytes(), nil
}

// LoadArchive is [Load] for what [Snapshot.Archive] returned, perhaps that of an older version:
// its language may be one that is not read any more.
func LoadArchive(archive []byte) (*Snapshot, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("policy: archive: %w", err)
	}
	return Load(z)
}
