// Package policies holds the shipped policy files, their word lists and their tests, so that
// the program can show them and write them out wherever it runs. It never reads or checks
// them: package policy does.
package policies

import "embed"

// Files is the shipped set, as a practice would keep it in its policies directory. The sets of
// examples are not part of the program: they are copied from the repository or the image.
//
//go:embed *.yaml words/*.txt tests/*.yaml tests/*.eml
var Files embed.FS
