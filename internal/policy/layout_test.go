package policy

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

// Whoever runs gateway fmt on what ships sees no change.
func TestShippedFilesAreLaidOut(t *testing.T) {
	t.Parallel()
	sets := []string{"../../policies"}
	more, err := fs.Glob(os.DirFS("../../policies/examples"), "*/mail.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range more {
		sets = append(sets, "../../policies/examples/"+strings.TrimSuffix(m, "/mail.yaml"))
	}
	for _, dir := range sets {
		made, err := Format(os.DirFS(dir))
		if err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		for _, f := range made {
			t.Errorf("%s/%s is not laid out (gateway fmt --diff --policies %s shows how)", dir, f.File, dir)
		}
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, want string }{
		{"spaces, quotes and order of keys", "\ufeff# head\r\n\r\nrules:\r\n- do:   [ hold,{tell: sam} ]   # why\r\n  # the id\r\n  id: 'a'\r\n  name:  'it''s'\r\n\r\n- name: B\r\n  when: { to: client }\r\n\r\n\r\n",
			"# head\n\nrules:\n  - name: \"it's\"\n    # the id\n    id: \"a\"\n    do: [hold, {tell: sam}]    # why\n\n  - name: B\n    when: {to: client}\n"},
		{"a long rule in braces", "rules:\n  # one\n  - {id: a, name: A rule with a name that goes on for quite a while, when: {to: client}, do: [hold], because: S1} # note\n  - {id: b, name: B}\n",
			"rules:\n  # one\n  # note\n  - name: A rule with a name that goes on for quite a while\n    id: a\n    when: {to: client}\n    do: [hold]\n    because: S1\n\n  - {name: B, id: b}\n"},
		{"comments at the end of a rule, of the list and of the file", "rules:\n      - name: A\n        id: a\n        # of the rule\n\n      # of the next\n      - name: B\n        id: b\n      # of the list\n# of the file\n",
			"rules:\n  - name: A\n    id: a\n    # of the rule\n\n  # of the next\n  - name: B\n    id: b\n  # of the list\n# of the file\n"},
		{"texts of several lines", "tests:\n- name: A\n  mail:\n     body: >-\n           one\n             two\n\n           three # no comment\n     html: |2\n        x\n     subject: \"a\n       b\"\n  expect: {a: [b,\n     c]}\n",
			"tests:\n  - name: A\n    mail:\n      body: >-\n        one\n          two\n\n        three # no comment\n      html: |2\n         x\n      subject: \"a\n        b\"\n    expect: {a: [b, c]}\n"},
		{"a list in lines, with a comment between", "a:\n- one\n# c\n-   two   # d\nb:\n    [x,  # e\n      y]\n", ""},
		{"a rule that was switched off", "rules:\n  - name: A\n    id: a\n\n#  - name: B\n#    id: b\n", "rules:\n  - name: A\n    id: a\n\n#  - name: B\n#    id: b\n"},
		{"a list within a list", "a:\n  -  - x\n     - y\n  -   k: v\n      l: w\n", "a:\n  - - x\n    - y\n  - k: v\n    l: w\n"},
		{"quotes that must stay", `a: 'say "no"'` + "\n" + `b: 'back\slash'` + "\nc: \"tab\\t\"\n", ""},
		{"a key in quotes, a value below its key", "\"a\":\n  x\nb  : y\n", "\"a\": x\nb: y\n"},
		{"blanks that belong to a text", "a: |\n x\n   \n\nb: y\n", "a: |\n  x\n    \n\nb: y\n"},
		{"a comment that the reader of YAML does not know of", "rules:\n- name: [a,a]\n# i\n\n- name:\n   sub: a\n   more: a\n  # ii\n\n  id: |\n   text # none\n     more\nlast: x\n",
			"rules:\n  - name: [a, a]\n\n  # i\n\n  - name:\n      sub: a\n      more: a\n    # ii\n    id: |\n      text # none\n        more\nlast: x\n"},
		{"markers of a document", "---\na: b\n...\n", "a: b\n"},
	} {
		got, err := layOut("mail.yaml", []byte(c.old))
		if err != nil {
			if c.want != "" {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if c.want != "" && string(got) != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		again, err := layOut("mail.yaml", got)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: a second time (%v):\n%s\nafter\n%s", c.name, err, again, got)
		}
	}
}

// What a layout would break is left as it is, and told.
func TestLayoutRefuses(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"{a: b}\n", "? a\n: b\n", "rules:\n  -\n    name: A\n", "a:\n  long text\n  of two lines\n", "#\r:", "a: b\u2028c: d\n"} {
		if got, err := layOut("mail.yaml", []byte(old)); err == nil {
			t.Errorf("%q became %q", old, got)
		} else if _, ok := errors.AsType[Problem](err); !ok {
			t.Errorf("%q: %v", old, err)
		}
	}
}

// The last look before a file is written: whatever the layout did, another meaning and a lost
// comment are seen.
func TestLayoutNoticesAnotherMeaning(t *testing.T) {
	t.Parallel()
	old := "rules:\n  # why\n  - name: A # when\n    do: [hold, {tell: sam}]\n"
	root, err := documentOf([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{
		"rules:\n  # why\n  - name: A # when\n    do: [hold]\n",
		"rules:\n  # why\n  - name: A # when\n    do: [{tell: sam}, hold]\n",
		"rules:\n  # why\n  - name: \"A\" # when\n    do: [hold, {tell: sam}]\n",
		"rules:\n  # why\n  - name: A\n    # when\n    do: [hold, {tell: max}]\n",
		"rules:\n  - name: A # when\n    do: [hold, {tell: sam}]\n",
		"rules:\n  # why\n  - name: A\n    do: [hold, {tell: sam}]\n",
		"rules:\n  # wh\n  - name: A # when\n    do: [hold, {tell: sam}]\n",
		"rules: [\n",
	} {
		if sameFile(root, []byte(old), []byte(made)) == nil {
			t.Errorf("passes for the same:\n%s", made)
		}
	}
	if err := sameFile(root, []byte(old), []byte("rules:\n- # why\n  do: [hold, {tell: sam}]\n  name: A # when\n")); err != nil {
		t.Errorf("the same in another order: %v", err)
	}
}

func TestLayoutOfWords(t *testing.T) {
	t.Parallel()
	old := "\n# zebra\r\nzebra  crossing \n\n\n# ant\n  ant"
	if got := string(layOutWords([]byte(old))); got != "# zebra\nzebra crossing\n\n# ant\nant\n" {
		t.Errorf("%q", got)
	}
}

// A file with a problem stays as it is, and the others are laid out.
func TestFormatLeavesBrokenFiles(t *testing.T) {
	t.Parallel()
	m := shippedSet(t)
	m["mail.yaml"] = &fstest.MapFile{Data: append(slices.Clone(m["mail.yaml"].Data), "\n  -   name: A\n      than: [hold]\n"...)}
	m["clients.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(m["clients.yaml"].Data), "{words: 4", "{ words: 4"))}
	made, err := Format(m)
	ps, ok := errors.AsType[Problems](err)
	if !ok || ps[0].File != "mail.yaml" {
		t.Errorf("%v", err)
	}
	if len(made) != 1 || made[0].File != "clients.yaml" {
		t.Errorf("%v", made)
	}
}

func shippedSet(t testing.TB) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	dir := os.DirFS("../../policies")
	if err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, p)
		m[p] = &fstest.MapFile{Data: b}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// unlaid writes a tree in a way that no layout would: other indents, spaces in brackets,
// blank lines, comments everywhere.
func unlaid(t *rapid.T) string {
	var b strings.Builder
	n := 0
	comment := func() string { n++; return "# comment " + strings.Repeat("i", n) }
	spaces := func(least int) string { return strings.Repeat(" ", rapid.IntRange(least, 4).Draw(t, "spaces")) }
	word := rapid.SampledFrom([]string{"a", "be", "c-d", `"x # y"`, `'it''s'`, "'é z'", `"tab\t"`, "09:00", "see you: not"})
	value := func() string {
		w := word.Draw(t, "word")
		if w == "see you: not" {
			return `"` + w + `"`
		}
		return w
	}
	var flow func(depth int) string
	flow = func(depth int) string {
		switch rapid.IntRange(0, 3).Draw(t, "flow") {
		case 0:
			if depth > 0 {
				return "[" + spaces(0) + flow(depth-1) + spaces(0) + "," + spaces(0) + flow(depth-1) + spaces(0) + "]"
			}
		case 1:
			if depth > 0 {
				return "{" + spaces(0) + "k:" + spaces(1) + flow(depth-1) + "," + spaces(0) + "l:" + spaces(1) + flow(depth-1) + "}"
			}
		}
		return value()
	}
	above := func(indent string) {
		for range rapid.IntRange(0, 2).Draw(t, "above") {
			if rapid.Bool().Draw(t, "blank") {
				b.WriteString(spaces(0) + "\n")
			} else {
				b.WriteString(indent + comment() + "\n")
			}
		}
	}
	beside := func() string {
		if rapid.Bool().Draw(t, "beside") {
			return spaces(1) + comment()
		}
		return spaces(0)
	}
	block := func(indent string, depth int) {
		keys := rapid.Permutation([]string{"name", "id", "when", "do"}).Draw(t, "keys")
		for i, k := range keys[:rapid.IntRange(1, 4).Draw(t, "n")] {
			if i > 0 || depth < 2 {
				above(indent)
			}
			if i > 0 || depth < 2 {
				b.WriteString(indent)
			}
			b.WriteString(k + ":")
			switch rapid.IntRange(0, 4).Draw(t, "value") {
			case 0:
				if depth > 0 {
					b.WriteString(beside() + "\n")
					in := indent + spaces(1)
					above(in)
					b.WriteString(in + "sub: " + value() + "\n")
					above(in)
					b.WriteString(in + "more: " + value() + "\n")
					above(in)
					continue
				}
			case 1:
				in := indent + spaces(1)
				b.WriteString(" |" + "\n" + in + "text # none\n" + in + "  more\n")
				continue
			}
			b.WriteString(spaces(1) + flow(2) + beside() + "\n")
		}
	}
	above("")
	b.WriteString("rules:" + beside() + "\n")
	indent := spaces(0)
	for range rapid.IntRange(1, 4).Draw(t, "rules") {
		above(indent)
		gap := spaces(1)
		b.WriteString(indent + "-" + gap)
		block(indent+" "+gap, 2)
	}
	above("")
	b.WriteString("last: x" + beside())
	return b.String()
}

// Whatever a file looks like: it says the same afterwards, has every comment, in the order of
// what it stands beside, and a second run changes nothing.
func TestLayoutKeepsEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old := unlaid(t)
		made, err := layOut("mail.yaml", []byte(old))
		if err != nil {
			t.Fatalf("%v\n%s", err, old)
		}
		if strings.Count(string(made), "# comment") != strings.Count(old, "# comment") {
			t.Fatalf("comments\n%s\nbecame\n%s", old, made)
		}
		again, err := layOut("mail.yaml", made)
		if err != nil || string(again) != string(made) {
			t.Fatalf("twice (%v):\n%s\nthen\n%s\nthen\n%s", err, old, made, again)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(made), "\n"), "\n") {
			if strings.HasSuffix(line, " ") && strings.TrimSpace(line) != "" {
				t.Fatalf("%q ends in a space", line)
			}
		}
	})
}

func FuzzLayout(f *testing.F) {
	for _, s := range []string{"rules:\n- name: a\n  do: [ hold ] # c\n", "a:\n  - b\n # c\n", "a: 'b\n  c'\n# d", "a: |+\n  b\n\n\n", "a: {b: c, # d\n e: f}\n", "- - a\n", "a:\n- b:\n  - c\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, old []byte) {
		if len(old) > 4<<10 {
			return
		}
		made, err := layOut("mail.yaml", old)
		if err != nil {
			return
		}
		again, err := layOut("mail.yaml", made)
		if err != nil || string(again) != string(made) {
			t.Fatalf("twice (%v):\n%q\nthen\n%q\nthen\n%q", err, old, made, again)
		}
	})
}
