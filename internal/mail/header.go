package mail

import "strings"

// getField returns the first field of that name.
func getField(f []Field, name string) (string, bool) {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}
