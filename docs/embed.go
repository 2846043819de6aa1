// Package docs holds the page of every error code, so that the program can show it wherever it
// runs. It never reads anything else.
package docs

import (
	_ "embed"
	"strings"
)

//go:embed errors.md
var errorsPage string

// Page returns the page of an error code, such as P031, as it stands in errors.md; nothing if
// there is none.
func Page(code string) string {
	_, after, ok := strings.Cut(errorsPage, "\n### "+strings.ToUpper(code)+" · ")
	if !ok {
		return ""
	}
	page, _, _ := strings.Cut(after, "\n### ")
	page, _, _ = strings.Cut(page, "\n## ")
	return strings.ToUpper(code) + " · " + strings.TrimSpace(page) + "\n"
}

// Codes returns all codes that have a page, in the order of the pages.
func Codes() []string {
	var out []string
	for line := range strings.Lines(errorsPage) {
		if rest, ok := strings.CutPrefix(line, "### "); ok {
			code, _, _ := strings.Cut(rest, " ")
			out = append(out, code)
		}
	}
	return out
}
