package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/policy"
)

// later are the keys of the full configuration whose part this version does not have yet:
// to read over them would let an administrator believe that they work.
func later() map[string]string {
	return map[string]string{
		"sms":                 "texts",
		"dkim":                "DKIM signatures; let the smarthost sign",
		"tls.acme":            "certificates by ACME; use cert and key",
		"listen.line_endings": "normalising of line endings; a bare CR or LF is refused",
	}
}

// places is where each key of a configuration file stands.
type places struct {
	file string
	data []byte
	at   map[string]*yaml.Node // by path: smarthost.url, listen[0].tls
	env  map[string]bool       // variables that took the place of what the file says
}

// variable is what a key is called in the environment.
func variable(key string) string {
	key, _, _ = strings.Cut(key, "[")
	return "GATEWAY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// problem is one with the value of a key, at its place if the file has the key.
func (p places) problem(code policy.Code, key, text, fix string) problem {
	if name := variable(key); p.env[name] {
		return problem{Code: code, File: "environment", Text: name + ": " + text, Fix: fix}
	}
	if n := p.at[key]; n != nil {
		return policy.ProblemAt(code, p.file, p.data, n.Line, n.Column, width(n), key+": "+text, fix)
	}
	return problem{Code: code, File: p.file, Text: key + ": " + text, Fix: fix}
}

func width(n *yaml.Node) int {
	if n.Kind != yaml.ScalarNode {
		return 1
	}
	w := utf8.RuneCountInString(n.Value)
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		w += 2
	}
	return w
}

// decodeYAML reads a configuration file into c and returns every problem in it, and where its
// keys stand.
func decodeYAML(file string, data []byte, c *Config) (places, problems) {
	at := places{file, data, map[string]*yaml.Node{}, map[string]bool{}}
	root, ps := policy.YAML(file, data)
	if len(ps) > 0 || root == nil {
		return at, ps
	}
	d := decoder{places: at}
	d.value("", root, reflect.ValueOf(c).Elem())
	return at, d.problems
}

// decoder walks a YAML tree along a struct, so that each problem has its place.
type decoder struct {
	places
	problems problems
}

func (d *decoder) add(code policy.Code, n *yaml.Node, text, hint string) {
	d.problems = append(d.problems, policy.ProblemAt(code, d.file, d.data, n.Line, n.Column, width(n), text, hint))
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	d.at[path] = n
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.sequence(path, n, v)
	default:
		if n.Kind != yaml.ScalarNode {
			d.add(codeForm, n, path+" takes one value", "write it without brackets")
			return
		}
		if err := setScalar(v, n.Value); err != nil {
			d.add(codeForm, n, path+": "+err.Error(), fixForm(v))
		}
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.add(codeForm, n, strings.TrimPrefix(path+" takes keys and values", " "), "write: key, colon, space, value, one a line")
		return
	}
	fields := map[string]int{}
	var known []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name] = i
		known = append(known, name)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(path+"."+k.Value, ".")
		if seen[k.Value] {
			d.add(codeKey, k, fmt.Sprintf("%q stands twice", full), "keep one")
			continue
		}
		seen[k.Value] = true
		if f, ok := fields[k.Value]; ok {
			d.value(full, val, v.Field(f))
			continue
		}
		if what, ok := later()[full]; ok {
			if (val.Kind == yaml.SequenceNode && len(val.Content) == 0) || val.Tag == "!!null" {
				continue // dkim: [] asks for nothing
			}
			d.add(codeLater, k, fmt.Sprintf("%s: this version does not have %s", full, what), "remove it")
			continue
		}
		hint := "known here: " + strings.Join(known, ", ")
		if near := policy.Nearest(k.Value, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		d.add(codeKey, k, fmt.Sprintf("unknown key %q", full), hint)
	}
}

func (d *decoder) sequence(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(codeForm, n, path+" takes a list", "write each entry on a line of its own with - in front")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, out.Index(i))
	}
	v.Set(out)
}

// setScalar puts a word from a file or from the environment into a leaf of Config.
func setScalar(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	default:
		return errors.New("takes no single value")
	}
	return nil
}

// fixForm says how the value of that leaf of Config is written.
func fixForm(v reflect.Value) string {
	if v.Kind() == reflect.Int {
		return "write digits only"
	}
	return "write a number and a unit: 35MB"
}

// decodeEnv takes GATEWAY_* values. An unknown one is only a warning, because container
// platforms set names such as GATEWAY_SERVICE_HOST themselves, and every default is the
// safe value.
func decodeEnv(environ []string, c *Config, at places) (problems, []string) {
	leaves := map[string]reflect.Value{}
	collect("GATEWAY", reflect.ValueOf(c).Elem(), leaves)
	var names []string
	for name := range leaves {
		names = append(names, name)
	}
	var (
		ps       problems
		warnings []string
	)
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "GATEWAY_") {
			continue
		}
		v, ok := leaves[name]
		if !ok {
			w := fmt.Sprintf("environment: %s is no setting of this program", name)
			if near := policy.Nearest(name, names); near != "" {
				w += fmt.Sprintf("; did you mean %s?", near)
			}
			warnings = append(warnings, w)
			continue
		}
		at.env[name] = true
		if v.Kind() == reflect.Slice {
			d := decoder{places: places{name, []byte(text), map[string]*yaml.Node{}, nil}}
			root, bad := policy.YAML(name, d.data)
			if len(bad) > 0 || root == nil {
				ps = append(ps, problem{Code: codeEnvironment, File: "environment", Text: name + " is not a list", Fix: `[{address: "127.0.0.1:1587", tls: starttls}]`})
				continue
			}
			d.value(name, root, v)
			ps = append(ps, d.problems...)
			continue
		}
		if err := setScalar(v, text); err != nil {
			ps = append(ps, problem{Code: codeEnvironment, File: "environment", Text: name + ": " + err.Error(), Fix: fixForm(v)})
		}
	}
	return ps, warnings
}

func collect(prefix string, v reflect.Value, into map[string]reflect.Value) {
	for i := range v.NumField() {
		name := prefix + "_" + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
		if f := v.Field(i); f.Kind() == reflect.Struct {
			collect(name, f, into)
		} else {
			into[name] = f
		}
	}
}
