package policy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/templates"
)

// The reference in docs/policy.md is written by the code: UPDATE=1 go test -run Reference ./internal/policy

const referenceDir = "testdata/reference"

// TestReferenceIsFresh fails when the manual's reference is not what the code says.
func TestReferenceIsFresh(t *testing.T) {
	t.Parallel()
	before := manual(t)
	text := before
	for name, section := range referenceSections(t) {
		begin, end := "<!-- begin "+name+": written by the code -->\n", "<!-- end "+name+" -->\n"
		head, rest, ok := strings.Cut(text, begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("docs/policy.md has no place for %q", name)
		}
		text = head + begin + "\n" + section + "\n" + end + tail
	}
	if text == before {
		return
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile("../../docs/policy.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("docs/policy.md is stale: UPDATE=1 go test -run Reference ./internal/policy")
}

func referenceSections(t *testing.T) map[string]string {
	t.Helper()
	all := schemas()
	out := map[string]string{
		"conditions": conditionTable(), "verbs": verbTable(), "rule": keyTable(all["mail"].Properties["rules"].Items, ""),
		"permissions": permissionTable(), "texts": textTable(),
	}
	for name, s := range all {
		if name == "mail" {
			continue
		}
		file := name + ".yaml"
		if name == "test" {
			file = "tests/everyday.yaml"
		}
		out[name] = keyTable(s, "") + "\nAll of it in an example:\n\n```yaml\n" + referenceFile(t, file) + "```\n"
	}
	out["rule"] += "\nRules with all of these keys:\n\n```yaml\n" + referenceFile(t, fileMail) + "```\n"
	return out
}

func referenceFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(referenceDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func conditionTable() string {
	var b strings.Builder
	b.WriteString("| word | true when | for example | in this version |\n|---|---|---|---|\n")
	for _, c := range conditions() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", c.name, conditionMeans(c.name), conditionExample(c.name), state(c.later))
	}
	return b.String()
}

func verbTable() string {
	var b strings.Builder
	b.WriteString("| word | does | for example | in this version |\n|---|---|---|---|\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", v.name, verbMeans(v.name), verbExample(v), state(v.later))
	}
	return b.String()
}

func state(later bool) string {
	if later {
		return "later"
	}
	return "works"
}

func permissionTable() string {
	var b strings.Builder
	b.WriteString("| word of `may` | who has it |\n|---|---|\n")
	for _, p := range Permissions() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p, permissionMeans(p))
	}
	return b.String()
}

// textTable has the texts that tell_sender can name.
func textTable() string {
	var b strings.Builder
	b.WriteString("| text | for a rule that | what the sender reads |\n|---|---|---|\n")
	for _, id := range textIDs() {
		does := "holds"
		if kind, _ := textKind(id); kind == templates.KindRefused {
			does = "refuses"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", id, does, templates.Wording(id))
	}
	return b.String()
}

// keyTable has a row for each key of a file, with the keys around it in front.
func keyTable(s *schema, above string) string {
	var b strings.Builder
	b.WriteString("| key | what it says | what stands there |\n|---|---|---|\n")
	keyRows(&b, s, above, map[*schema]string{})
	return b.String()
}

func keyRows(b *strings.Builder, s *schema, above string, told map[*schema]string) {
	for _, key := range s.order {
		p := s.Properties[key]
		about := p.Description
		must := ""
		if slices.Contains(s.Required, key) {
			must = " (must be there)"
		}
		keyRow(b, above+"`"+key+"`", about+must, p, told)
	}
	if more, ok := s.AdditionalProperties.(*schema); ok {
		what := "*a name*"
		if s.PropertyNames != nil && s.PropertyNames.Pattern == formCountry {
			what = "*a country*"
		}
		if s.Properties != nil {
			what = "*a purpose of consent*"
		}
		keyRow(b, above+what, more.Description, more, told)
	}
}

func keyRow(b *strings.Builder, path, about string, p *schema, told map[*schema]string) {
	inner := p
	for inner.Items != nil {
		inner = inner.Items
	}
	for _, a := range inner.AnyOf { // a word, or a set of keys
		if a.Properties != nil && a.what != "" {
			inner = a
		}
	}
	value := valueOf(p)
	if inner != p && inner.Description != "" && len(inner.Properties) == 0 {
		about = strings.TrimSpace(about + " " + inner.Description)
	}
	if before := told[inner]; before != "" {
		fmt.Fprintf(b, "| %s | %s | as %s |\n", path, about, before)
		return
	}
	fmt.Fprintf(b, "| %s | %s | %s |\n", path, strings.ReplaceAll(strings.TrimSpace(about), "|", "\\|"), value)
	if inner.Ref == "" && !strings.HasPrefix(inner.Description, "Conditions") && (len(inner.Properties) > 0 && inner.what != "" || inner.PropertyNames != nil) {
		told[inner] = path
		keyRows(b, inner, path+" → ", told)
	}
}

// valueOf says what stands after a key's colon.
func valueOf(s *schema) string {
	words := func(list []any) string {
		out := make([]string, len(list))
		for i, w := range list {
			out[i] = fmt.Sprintf("`%v`", w)
		}
		return strings.Join(out, ", ")
	}
	switch {
	case s.Ref != "":
		return "conditions"
	case s.Const != nil:
		return fmt.Sprintf("`%v`", s.Const)
	case len(s.Enum) == 4 && s.Enum[2] == true:
		return "`yes` or `no`"
	case len(s.Enum) > 0:
		return "one of " + words(s.Enum)
	case s.Items != nil && s.Items.what != "":
		return "a list"
	case s.Items != nil && len(s.Items.AnyOf) > 0:
		return "a list of verbs"
	case s.Items != nil:
		return "a list: " + valueOf(s.Items)
	case len(s.AnyOf) == 2 && s.AnyOf[1].Items != nil:
		return valueOf(s.AnyOf[0]) + "; or a list"
	case len(s.AnyOf) > 0:
		var out []string
		for _, a := range s.AnyOf {
			out = append(out, valueOf(a))
		}
		return strings.Join(out, " or ")
	case s.Minimum != nil:
		return strconv.Itoa(*s.Minimum) + " to " + strconv.Itoa(*s.Maximum)
	case len(s.Examples) > 0:
		return "such as " + words(s.Examples)
	case s.Pattern == formName:
		return "a name"
	case s.Pattern == formAddress:
		return "an address"
	case s.Pattern == formDomain:
		return "a domain"
	case s.Pattern == formDate:
		return "`2026-03-01`"
	case s.Type == "string":
		return "a text"
	case s.Type == "object":
		return "keys"
	}
	return ""
}

// The reference's example loads, its tests pass as far as they can without a gateway, and every
// key that a file may have stands in it.
func TestReferenceExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	if _, err := Load(os.DirFS(referenceDir)); err != nil {
		t.Fatal(err)
	}
	for name, s := range schemas() {
		file := name + ".yaml"
		if name == "test" {
			file = "tests/everyday.yaml"
		}
		var n yaml.Node
		if err := yaml.NewDecoder(bytes.NewReader([]byte(referenceFile(t, file)))).Decode(&n); err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		var walk func(*yaml.Node)
		walk = func(n *yaml.Node) {
			for i, c := range n.Content {
				if n.Kind == yaml.MappingNode && i%2 == 0 {
					used[c.Value] = true
				}
				walk(c)
			}
		}
		walk(&n)
		var keys func(s *schema)
		keys = func(s *schema) {
			if s == nil || s.what == "a condition" || s.what == "" && s.MaxProperties == 1 {
				return
			}
			for key, p := range s.Properties {
				if !used[key] && !strings.Contains(p.Description, "This version sends none") {
					t.Errorf("%s does not show %q", file, key)
				}
				keys(p)
			}
			keys(s.Items)
			for _, a := range s.AnyOf {
				keys(a)
			}
			if more, ok := s.AdditionalProperties.(*schema); ok {
				keys(more)
			}
		}
		keys(s)
	}
}

// Each condition and each verb has an example, which loads in a rule.
func TestReferenceExamplesLoad(t *testing.T) {
	t.Parallel()
	base := fstest.MapFS{}
	if err := filepath.WalkDir(referenceDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(referenceDir, path)
		if err == nil && !strings.HasPrefix(name, "tests/") {
			base[filepath.ToSlash(name)] = &fstest.MapFile{Data: []byte(referenceFile(t, name)), Mode: 0o644}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	people := strings.NewReplacer("maya", "tom", "sam", "priya", "neutral-default", "hello")
	try := func(what, when, do string, later bool) {
		m := maps.Clone(base)
		m[fileMail] = &fstest.MapFile{Data: []byte(people.Replace("rules:\n  - {name: One, id: one, when: {" + when + "}, do: [" + do + "]}\n")), Mode: 0o644}
		_, err := Load(m)
		if later != (err != nil) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, c := range conditions() {
		if conditionMeans(c.name) == "" || !strings.HasPrefix(conditionExample(c.name), c.name+": ") {
			t.Errorf("%s: what it means or its example is missing", c.name)
		}
		try(c.name, conditionExample(c.name), "hold", c.later)
	}
	for _, v := range verbs() {
		if verbMeans(v.name) == "" || !strings.Contains(verbExample(v), v.name) {
			t.Errorf("%s: what it means or its example is missing", v.name)
		}
		try(v.name, "to: client", verbExample(v), false) // a verb that comes later holds
	}
}
