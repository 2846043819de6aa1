package filter

import (
	"bytes"
	"testing"
)

// TestASCIIByEights: what is folded eight bytes a step is folded as byte by byte.
func TestASCIIByEights(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 19 {
			b := bytes.Repeat([]byte("aZ09[@~"), 3)[:19]
			b[at] = byte(c)
			want, ascii := bytes.Clone(b), true
			for i, c := range want {
				if 'A' <= c && c <= 'Z' {
					want[i] = c + 'a' - 'A'
				}
				ascii = ascii && c < 0x80
			}
			if isASCII(string(b)) != ascii || isASCIIBytes(b) != ascii {
				t.Errorf("%q: ASCII %v, %v", b, isASCII(string(b)), isASCIIBytes(b))
			}
			if lowerASCII(b); !bytes.Equal(b, want) {
				t.Errorf("%q, want %q", b, want)
			}
		}
	}
}
