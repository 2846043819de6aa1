package policy

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/policies"
)

// compiled reads the schemas with a validator that is none of ours.
func compiled(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := SchemaFiles()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*jsonschema.Schema{}
	for name, b := range files {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
		if out[name], err = c.Compile(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// schemaOf returns the name of the schema for a policy file; empty: it has none.
func schemaOf(file string) string {
	switch {
	case path.Ext(file) != ".yaml":
		return ""
	case strings.HasPrefix(file, "tests/"):
		return "test.json"
	}
	return strings.TrimSuffix(file, ".yaml") + ".json"
}

// asJSON gives a YAML file the types that YAML 1.2 gives it, as editors read it.
func asJSON(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return asJSON(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asJSON(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, asJSON(c))
		}
		return out
	}
	if n.Style == 0 {
		if _, err := strconv.Atoi(n.Value); err == nil {
			return json.Number(n.Value)
		}
		switch n.Value {
		case "true":
			return true
		case "false":
			return false
		case "", "~", "null":
			return nil
		}
	}
	return n.Value
}

func validate(t testing.TB, all map[string]*jsonschema.Schema, file string, content []byte) error {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(content, &n); err != nil || len(n.Content) == 0 {
		return fs.ErrInvalid
	}
	return all[schemaOf(file)].Validate(asJSON(&n))
}

// The schemas in policies/schema are what this program makes of its own language.
func TestSchemasAreFresh(t *testing.T) {
	t.Parallel()
	files, err := SchemaFiles()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		at := filepath.Join("../../policies/schema", name)
		if *update {
			if err := os.WriteFile(at, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(at)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the language is now: run go test ./internal/policy -update (%v)", at, err)
		}
	}
}

// Every shipped file is valid by its schema, those of the examples too, and says where its
// schema is: in the set that it is part of, as soon as somebody works with it.
func TestShippedFilesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	all := compiled(t)
	sets := map[string]fs.FS{"policies": policies.Files}
	const examples = "../../policies/examples"
	dirs, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() {
			sets[d.Name()] = os.DirFS(filepath.Join(examples, d.Name()))
		}
	}
	if len(sets) < 5 {
		t.Errorf("%d sets", len(sets))
	}
	for set, files := range sets {
		n := 0
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || schemaOf(name) == "" {
				return err
			}
			n++
			b, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			if err := validate(t, all, name, b); err != nil {
				t.Errorf("%s: %s: %v", set, name, err)
			}
			line, _, _ := strings.Cut(string(b), "\n")
			up := strings.Repeat("../", strings.Count(name, "/"))
			if want := "# yaml-language-server: $schema=" + up + "schema/" + schemaOf(name); line != want {
				t.Errorf("%s: %s begins with %q, not with %q", set, name, line, want)
			}
			return nil
		})
		if err != nil || n < 8 {
			t.Errorf("%s: %d files, %v", set, n, err)
		}
	}
}

// The schemas know exactly the keys that the reader of the files knows, and which must be there.
func TestSchemasKnowEveryKey(t *testing.T) {
	t.Parallel()
	type key struct{ what, key string }
	want := map[key]bool{}
	m := withoutTests(t)
	m["tests/full.yaml"] = &fstest.MapFile{Data: []byte(fullTests), Mode: 0o644}
	for name, more := range fullFiles() {
		m[name] = &fstest.MapFile{Data: append(slices.Clone(m[name].Data), more...), Mode: 0o644}
	}
	s, err := newLoader(m, func(what, k string, must bool) { want[key{what, k}] = must }).load()
	if err != nil {
		t.Fatal(err)
	}
	for k := range want {
		_, purpose := s.Clients.Consents[k.key]
		if k.what == "a client" && (purpose || k.key == "parent_consent" || k.key == "competence_note" || k.key == "parent_or_competence_note") {
			delete(want, k) // the schema takes any purpose
		}
	}
	for _, c := range conditionNames() {
		want[key{"a condition", c}] = false
	}
	got := map[key]bool{}
	var walk func(*schema)
	walk = func(s *schema) {
		if s == nil {
			return
		}
		for k, p := range s.Properties {
			if s.what != "" {
				got[key{s.what, k}] = slices.Contains(s.Required, k)
			}
			walk(p)
		}
		if more, ok := s.AdditionalProperties.(*schema); ok {
			walk(more)
		}
		for _, d := range s.Definitions {
			walk(d)
		}
		for _, a := range s.AnyOf {
			walk(a)
		}
		walk(s.Items)
	}
	for _, s := range schemas() {
		walk(s)
	}
	for k, must := range want {
		if m, known := got[k]; !known || m != must {
			t.Errorf("%s: %q must be there: %v by the reader; by the schema %v (known: %v)", k.what, k.key, must, m, known)
		}
	}
	for k := range got {
		if _, known := want[k]; !known {
			t.Errorf("%s: the reader does not know %q", k.what, k.key)
		}
	}
}

// Whatever loads is valid by its schema; what does not load, the schema mostly finds as well.
func TestSchemasAgainstBrokenPolicies(t *testing.T) {
	t.Parallel()
	all := compiled(t)
	dirs, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range dirs {
		for name, f := range overlay(t, filepath.Join("testdata/bad", d.Name())) {
			if s := schemaOf(name); s == "" || all[s] == nil {
				continue
			}
			if validate(t, all, name, f.Data) != nil {
				found = append(found, d.Name())
				break
			}
		}
	}
	// What needs another file, or the meaning of a text, no schema can see.
	if len(found) < len(dirs)/2 {
		t.Errorf("the schemas find only %d of %d broken sets", len(found), len(dirs))
	}
	for _, must := range []string{"about-something-else", "any-empty"} {
		if !slices.Contains(found, must) {
			t.Errorf("the schemas do not find %s", must)
		}
	}
}

// Every word that stands alone or before a value has its sentence, for the manual and editors.
func TestEveryWordHasItsMeaning(t *testing.T) {
	t.Parallel()
	for _, c := range conditionNames() {
		if conditionMeans(c) == "" {
			t.Errorf("the condition %s has no sentence", c)
		}
	}
	for _, v := range verbNames() {
		if verbMeans(v) == "" {
			t.Errorf("the verb %s has no sentence", v)
		}
	}
	for _, p := range Permissions() {
		if permissionMeans(p) == "" {
			t.Errorf("the permission %s has no sentence", p)
		}
	}
	if got := slices.Sorted(maps.Keys(conditionValues())); !slices.Equal(got, slices.Sorted(slices.Values(conditionNames()))) {
		t.Errorf("the schema knows the conditions %v", got)
	}
}

// fullTests and fullFiles use what the shipped files do not, so that every reader runs.
const fullTests = `clients: {C-1: {email: anna@example.org, group_email: {given_on: 2026-01-01}}}
tests:
  - {name: A mail, mail: {from: maya, to: [C-1], subject: Hello}, expect: {outcome: send, every_copy: {recipients: 1}}}
`

func fullFiles() map[string]string { return nil }
