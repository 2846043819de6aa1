package main

import (
	"fmt"
	"strings"
)

const documentPath = "docs/promises.md"

// render makes the document from the table.
func render() []byte {
	var b strings.Builder
	b.WriteString(`# The promises, and how we know that their tests can fail

<!-- Made by go run ./test/mutants -doc from test/mutants/table.go: change that, not this. -->

A test that has never failed shows little. For each promise there are tests, and for each of these tests a way to break the
code on purpose. ` + "`make mutants`" + ` makes every break below, one at a time and without changing the tree, runs the tests
named for it, and fails unless every one of them goes red. The numbers are those of the list of promises that the tests use;
numbers that are missing belong to parts that are not built yet.
`)
	for _, p := range promises() {
		fmt.Fprintf(&b, "\n## %d. %s\n\n| broken on purpose | in | goes red |\n|---|---|---|\n", p.Number, p.Text)
		for _, m := range table() {
			if m.Promise == p.Number {
				fmt.Fprintf(&b, "| %s | `%s` | `%s` |\n", m.Name, m.File, strings.Join(m.Tests, "`, `"))
			}
		}
	}
	return []byte(b.String())
}
