package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

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

// decodeYAML reads a configuration file into c and returns every problem in it.
// The warnings are about keys that ask for something that may safely be absent.
func decodeYAML(file string, data []byte, c *Config) (problems, []string) {
	d := decoder{file: file, lines: strings.Split(string(data), "\n")}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		if le, ok := errors.AsType[*yaml.LoadError](err); ok {
			d.syntax(le)
		} else if les, ok := errors.AsType[*yaml.LoadErrors](err); ok {
			for _, le := range les.Errors {
				d.syntax(le)
			}
		} else if strings.TrimSpace(stripComments(string(data))) != "" {
			d.add(1, 1, 1, "is not YAML: "+err.Error(), "")
		}
		return d.problems, nil
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	d.value("", doc.Content[0], reflect.ValueOf(c).Elem())
	return d.problems, d.warnings
}

// syntax reports a line that is not YAML; the tab key is the usual cause.
func (d *decoder) syntax(le *yaml.LoadError) {
	line := min(le.Mark.Line, len(d.lines))
	for line > 1 && strings.TrimSpace(d.lines[line-1]) == "" {
		line-- // the end of the file, or the lines before it, say nothing
	}
	if line >= 1 && line <= len(d.lines) {
		text := d.lines[line-1]
		if tab := strings.IndexByte(text[:len(text)-len(strings.TrimLeft(text, " \t"))], '\t'); tab >= 0 {
			d.add(line, tab+1, 1, "a tab stands where spaces are needed", "use spaces in front of a line, never the tab key")
			return
		}
	}
	d.add(line, le.Mark.Column, 1, "is not YAML: "+le.Message, "look at the spaces in front, the quotation marks and the brackets of this line and of the one before")
}

func stripComments(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// decoder walks a YAML tree along a struct, so that each problem has its place.
type decoder struct {
	file     string
	lines    []string
	problems problems
	warnings []string
}

func (d *decoder) add(line, col, width int, text, hint string) {
	p := problem{File: d.file, Line: line, Col: col, Text: text, Fix: hint}
	if line >= 1 && line <= len(d.lines) {
		p.Excerpt = fmt.Sprintf("%5d | %s\n      | %s%s", line, strings.ReplaceAll(strings.TrimRight(d.lines[line-1], "\r"), "\t", " "),
			strings.Repeat(" ", max(0, col-1)), strings.Repeat("^", max(1, width)))
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		d.add(n.Line, n.Column, 1, path+": write the value out; aliases are not used here", "")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.sequence(path, n, v)
	default:
		if n.Kind != yaml.ScalarNode {
			d.add(n.Line, n.Column, 1, path+" takes one value", "")
			return
		}
		if err := setScalar(v, n.Value); err != nil {
			d.add(n.Line, n.Column, len(n.Value), path+": "+err.Error(), "")
		}
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.add(n.Line, n.Column, 1, strings.TrimPrefix(path+" takes keys and values", " "), "")
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
			d.add(k.Line, k.Column, len(k.Value), fmt.Sprintf("%q stands twice", full), "")
			continue
		}
		seen[k.Value] = true
		if f, ok := fields[k.Value]; ok {
			d.value(full, val, v.Field(f))
			continue
		}
		if full == "http" {
			d.warnings = append(d.warnings, fmt.Sprintf("%s:%d:%d: http: this version has no HTTP API and no pages yet; nothing listens there", d.file, k.Line, k.Column))
			continue
		}
		if what, ok := later()[full]; ok {
			if (val.Kind == yaml.SequenceNode && len(val.Content) == 0) || val.Tag == "!!null" {
				continue // dkim: [] asks for nothing
			}
			d.add(k.Line, k.Column, len(k.Value), fmt.Sprintf("%s: this version does not have %s", full, what), "remove it")
			continue
		}
		hint := ""
		if near := policy.Nearest(k.Value, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		d.add(k.Line, k.Column, len(k.Value), fmt.Sprintf("unknown key %q", full), hint)
	}
}

func (d *decoder) sequence(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(n.Line, n.Column, 1, path+" takes a list", "")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(path, item, out.Index(i))
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
		return fmt.Errorf("cannot hold a %s", v.Kind())
	}
	return nil
}

// decodeEnv takes GATEWAY_* values. An unknown one is only a warning, because container
// platforms set names such as GATEWAY_SERVICE_HOST themselves, and every default is the
// safe value.
func decodeEnv(environ []string, c *Config) (problems, []string) {
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
		if v.Kind() == reflect.Slice {
			d := decoder{file: name, lines: strings.Split(text, "\n")}
			var doc yaml.Node
			if err := yaml.Load([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
				ps = append(ps, problem{File: "environment", Text: name + " is not a list", Fix: `[{address: "127.0.0.1:1587", tls: starttls}]`})
				continue
			}
			d.value(name, doc.Content[0], v)
			ps = append(ps, d.problems...)
			continue
		}
		if err := setScalar(v, text); err != nil {
			ps = append(ps, problem{File: "environment", Text: name + ": " + err.Error()})
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
