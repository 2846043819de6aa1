package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// go test ./cmd/gateway -run TestSampleIsFresh -update rewrites the sample.
var update = flag.Bool("update", false, "rewrite the files that are made from the code")

const samplePath = "../../gateway.sample.yaml"

func TestSampleIsFresh(t *testing.T) {
	t.Parallel()
	want := renderSample(t)
	if *update {
		if err := os.WriteFile(samplePath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(samplePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("gateway.sample.yaml is stale: run go test ./cmd/gateway -run TestSampleIsFresh -update")
	}
	c, warnings, err := loadConfig(samplePath, true, nil, needService)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("the sample does not load: %v %v", err, warnings)
	}
	if c.Hostname != sampleConfig().Hostname || len(c.Listen) != 2 || c.Limits != sampleConfig().Limits {
		t.Fatalf("the sample does not say what it was made from: %+v", c)
	}
}

// sampleConfig is what the sample shows: the defaults, and a smarthost on this machine for a
// first try.
func sampleConfig() Config {
	c := defaultConfig()
	c.Hostname = "mail.willowhouse.example"
	c.Smarthost.URL = "smtp://127.0.0.1:2525"
	c.Smarthost.TLS = "none"
	return c
}

func renderSample(t *testing.T) []byte {
	t.Helper()
	docs := structDocs(t)
	var b strings.Builder
	writeComment(&b, "", docs["Config"])
	b.WriteString("#\n# This file is made from cmd/gateway/config.go.\n")
	writeSample(&b, "", reflect.ValueOf(sampleConfig()), docs)
	return []byte(b.String())
}

func writeComment(b *strings.Builder, indent, doc string) {
	for _, line := range strings.Split(strings.TrimSpace(doc), "\n") {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
}

func writeSample(b *strings.Builder, indent string, v reflect.Value, docs map[string]string) {
	typ := v.Type()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if indent == "" {
			b.WriteString("\n")
		}
		writeComment(b, indent, docs[typ.Name()+"."+f.Name])
		key := f.Tag.Get("yaml")
		switch fv := v.Field(i); fv.Kind() {
		case reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", indent, key)
			writeSample(b, indent+"  ", fv, docs)
		case reflect.Slice:
			fmt.Fprintf(b, "%s%s:\n", indent, key)
			for j := range fv.Len() {
				fmt.Fprintf(b, "%s  - {%s}\n", indent, flow(fv.Index(j)))
			}
		default:
			fmt.Fprintf(b, "%s%s: %s\n", indent, key, scalar(fv))
		}
	}
}

func flow(v reflect.Value) string {
	var out []string
	for i := range v.NumField() {
		out = append(out, v.Type().Field(i).Tag.Get("yaml")+": "+scalar(v.Field(i)))
	}
	return strings.Join(out, ", ")
}

func scalar(v reflect.Value) string {
	s := fmt.Sprint(v.Interface())
	if v.Kind() == reflect.String && (s == "" || strings.Contains(s, ":")) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// structDocs returns the doc comments of the structs of config.go and of their fields.
func structDocs(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, d := range file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range gen.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			docs[ts.Name.Name] = strings.TrimPrefix(gen.Doc.Text(), "Config is ")
			for _, f := range st.Fields.List {
				docs[ts.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
			}
		}
	}
	return docs
}

// libraryWords are words of the program's parts: nobody who edits a file knows them.
var libraryWords = regexp.MustCompile(`go-yaml|unmarshal|mapping|scalar|sequence|\bint\b|\bstring\b|map\[|\bnil\b|strconv|did not find|!!|%!|reflect`)

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	good := "smarthost: {url: \"smtp://127.0.0.1:2525\", tls: none}\n"
	for name, c := range map[string]struct {
		yaml string
		env  []string
		want []string
	}{
		"unknown key with its place": {"hostname: a.example\nsmarthots: {}\n", nil,
			[]string{"gateway.yaml:2:1: unknown key \"smarthots\" [G002]\n    2 | smarthots: {}\n      | ^^^^^^^^^ did you mean \"smarthost\"?"}},
		"unknown key deep down":        {"smarthost:\n  urll: x\n", nil, []string{`gateway.yaml:2:3: unknown key "smarthost.urll"`, `did you mean "url"?`}},
		"two mistakes at once":         {"nope: 1\nlimits: {recipients: many}\n", nil, []string{`unknown key "nope"`, `2:22: limits.recipients: "many" is not a whole number`}},
		"a key twice":                  {"hostname: a\nhostname: b\n", nil, []string{":2:"}},
		"two documents":                {good + "---\nhostname: b\n", nil, []string{"gateway.yaml:2:1: a second document begins here [P019]"}},
		"not YAML":                     {"hostname: [a\n", nil, []string{"gateway.yaml:1:11: a bracket is opened here and not closed [P015]"}},
		"an alias":                     {"hostname: &a x\ndata: *a\n", nil, []string{"gateway.yaml:1:11: \"&a\" names a place"}},
		"another encoding":             {"h\x00o\x00s\x00t\x00:\x00\n", nil, []string{"another encoding"}},
		"a value has its place":        {good + "log: {level: loud}\n", nil, []string{"gateway.yaml:2:14: log.level: \"loud\" is not a level [G015]"}},
		"not where the environment is": {good + "log: {level: info}\n", []string{"GATEWAY_LOG_LEVEL=loud"}, []string{"environment: GATEWAY_LOG_LEVEL: \"loud\" is not a level [G015]"}},
		"a list where a key stands":    {"hostname: [a]\n", nil, []string{"hostname takes one value"}},
		"bad size":                     {"limits: {message_bytes: 35 potatoes}\n", nil, []string{`"35 potatoes" is not a size; write it as 35MB`}},
		"texts are not there yet":      {"sms: {provider: twilio}\n", nil, []string{"1:1: sms: this version does not have texts"}},
		"DKIM is not there yet":        {"dkim: [{domain: a.example}]\n", nil, []string{"dkim: this version does not have DKIM"}},
		"ACME is not there yet":        {"tls: {acme: {}}\n", nil, []string{"tls.acme: this version does not have certificates by ACME"}},
		"other databases":              {good + "database: postgres://x\n", nil, []string{"database: this version keeps everything in SQLite"}},
		"tls none beyond loopback":     {"smarthost: {url: \"smtp://mail.provider.example:587\", tls: none}\n", nil, []string{"smarthost.tls: none is for loopback only"}},
		"a name is not loopback":       {"smarthost: {url: \"smtp://localhost.example:587\", tls: none}\n", nil, []string{"none is for loopback only"}},
		"a password beside a slip":     {"smarthost: {url: \"smtp://u:secret@mail.provider.example\", tsl: none}\n", nil, []string{`unknown key "smarthost.tsl"`, "smtp://********@mail"}},
		"a password in the URL":        {"smarthost: {url: \"smtp://u:secret@mail.provider.example\"}\n", nil, []string{"must not hold a user name or password"}},
		"no smarthost":                 {"hostname: a.example\n", nil, []string{"smarthost.url: is empty"}},
		"user without password":        {"smarthost: {url: \"smtp://mail.provider.example\", username: u}\n", nil, []string{"username: and password_file go together"}},
		"plain text listener":          {good + "listen: [{address: \"127.0.0.1:25\", tls: none}]\n", nil, []string{`listen[0].tls: "none" is neither starttls nor implicit`}},
		"certificate without key":      {good + "tls: {cert: a.pem}\n", nil, []string{"tls: cert and key go together"}},
		"web beyond loopback":          {good + "http: {address: \"0.0.0.0:8026\"}\n", nil, []string{"http.address: other machines can reach 0.0.0.0:8026, and nothing encrypts what they say", "http.tls.cert and http.tls.key"}},
		"web on all addresses":         {good + "http: {address: \":8026\"}\n", nil, []string{"other machines can reach :8026"}},
		"web behind a plain proxy":     {good + "http: {address: \"192.0.2.1:8026\", public_url: \"http://gateway.willowhouse.example\"}\n", nil, []string{"other machines can reach 192.0.2.1:8026"}},
		"web without a port":           {good + "http: {address: localhost}\n", nil, []string{`http.address: "localhost" is not a host and port`}},
		"web certificate, no key":      {good + "http: {tls: {cert: a.pem}}\n", nil, []string{"http.tls: cert and key go together"}},
		"public URL without scheme":    {good + "http: {public_url: gateway.willowhouse.example}\n", nil, []string{"http.public_url: is not the address of a web server"}},
		"a password in public URL":     {good + "http: {public_url: \"https://u:secret@a.example\"}\n", nil, []string{"http.public_url: must not hold a user name or password"}},
		"web key misspelt":             {good + "http: {adress: \"127.0.0.1:1\"}\n", nil, []string{`gateway.yaml:2:8: unknown key "http.adress"`, `did you mean "address"?`}},
		"web from environment":         {good, []string{"GATEWAY_HTTP_ADDRESS=0.0.0.0:1"}, []string{"environment: GATEWAY_HTTP_ADDRESS: other machines can reach 0.0.0.0:1"}},
		"no listener":                  {good + "listen: []\n", nil, []string{"listen: is empty"}},
		"bad value from environment":   {good, []string{"GATEWAY_LIMITS_CONNECTIONS=x"}, []string{`GATEWAY_LIMITS_CONNECTIONS: "x" is not a whole number`}},
		"bad list from environment":    {good, []string{"GATEWAY_LISTEN=[{adress: x}]"}, []string{`did you mean "address"?`}},
		"zero limit from environment":  {good, []string{"GATEWAY_LIMITS_CONNECTIONS=0"}, []string{"GATEWAY_LIMITS_CONNECTIONS: must be at least 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(path, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := loadConfig(path, true, c.env, needService)
			if err == nil {
				t.Fatal("loaded")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("want %q in:\n%v", w, err)
				}
			}
			if w := libraryWords.FindString(err.Error()); w != "" {
				t.Errorf("a library's word, %q: %v", w, err)
			}
			if ps, ok := errors.AsType[problems](err); !ok || slices.ContainsFunc(ps, func(p problem) bool { return p.Code == "" }) {
				t.Errorf("a problem without a code: %v", err)
			}
			if strings.Contains(err.Error(), "u:secret") {
				t.Errorf("shows the password: %v", err)
			}
		})
	}
}

// What is encrypted, here or by a proxy, may be reached from elsewhere.
func TestWebBeyondLoopback(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{
		"http: {address: \"0.0.0.0:8443\", tls: {cert: c.pem, key: k.pem}}\n",
		"http: {address: \"0.0.0.0:8026\", public_url: \"https://gateway.willowhouse.example\"}\n",
		"http: {address: \"[::1]:8026\"}\n", "http: {address: \"localhost:8026\"}\n", "http: {address: \"\"}\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "gateway.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := loadConfig(path, true, nil, needNothing)
		if err != nil {
			t.Errorf("%s: %v", yaml, err)
		}
		if c.HTTP.TLS.Cert != "" && c.HTTP.TLS.Cert != filepath.Join(dir, "c.pem") {
			t.Errorf("the certificate is looked for in %s", c.HTTP.TLS.Cert)
		}
	}
}

func TestEnvironmentOverridesFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(path, []byte("hostname: file.example\ndata: ./d\nlimits: {message_bytes: 2MiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := loadConfig(path, true, []string{
		"GATEWAY_HOSTNAME=env.example", "GATEWAY_SMARTHOST_URL=smtps://mail.provider.example:465", "GATEWAY_LIMITS_RECIPIENTS=7",
		`GATEWAY_LISTEN=[{address: "127.0.0.1:0", tls: implicit}]`, "GATEWAY_SERVICE_HOST=10.0.0.1", "GATEWAY_SMARTHOST_URLL=x", "PATH=/bin",
	}, needService)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "env.example" || c.Smarthost.URL != "smtps://mail.provider.example:465" || c.Limits.Recipients != 7 ||
		len(c.Listen) != 1 || c.Listen[0].TLS != "implicit" || c.Limits.MessageBytes != 2<<20 || c.Data != filepath.Join(dir, "d") {
		t.Fatalf("got %+v", c)
	}
	if len(warnings) != 2 || !strings.Contains(strings.Join(warnings, "\n"), "did you mean GATEWAY_SMARTHOST_URL?") {
		t.Fatalf("warnings: %q", warnings)
	}
}

func TestMissingConfiguration(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "gateway.yaml")
	if _, _, err := loadConfig(missing, false, nil, needNothing); err != nil {
		t.Fatalf("the environment alone must do: %v", err)
	}
	if _, _, err := loadConfig(missing, true, nil, needNothing); err == nil {
		t.Fatal("a named file that is missing must be an error")
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"35MB": 35_000_000, "1MiB": 1 << 20, "512 KB": 512_000, "7": 7, "7B": 7, "2GiB": 2 << 30} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || int64(s) != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s does not come back: %s", text, s)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "1.5MB", "1 2MB", "9999999999GB", "1TB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q taken for %d", text, s)
		}
	}
}

// Whatever stands in the file, reading it ends with a configuration or with problems that
// have a place.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"", "#\n", "hostname: a\n", "listen: [{address: x}]\n", "a: &a [*a]\n", "hostname: {\n", "limits: {message_bytes: 35MB}\n",
		"? [a]\n: b\n", "--- a\n--- b\n", "\xff\xfe", "listen: 1\n", "tls: [x]\n", "<<: {a: b}\n", "\tx: 1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := defaultConfig()
		at, ps := decodeYAML("gateway.yaml", b, &c)
		for _, p := range ps {
			if p.Text == "" || p.Error() == "" || p.Code == "" {
				t.Errorf("a problem without a text: %+v", p)
			}
		}
		if len(ps) == 0 {
			_ = c.validate(at, needService)
		}
	})
}
