package gateway

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/policies"
)

// withRules is the shipped set with more rules, and without its tests.
func withRules(t testing.TB, rules string) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	err := fs.WalkDir(policies.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "tests/") {
			return err
		}
		b, err := policies.Files.ReadFile(name)
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mailFile := m["mail.yaml"]
	mailFile.Data = append(slices.Clone(mailFile.Data), "\n"+rules+"\n"...)
	return m
}

// letterWithFile is a letter with one attached file.
func letterWithFile(kind, disposition, content string, to ...mail.Address) string {
	head, _, _ := strings.Cut(letterTo("Hi", "", to...), "Content-Type:")
	return head + "Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello.\r\n--outer\r\n" +
		"Content-Type: " + kind + "\r\nContent-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n--outer--\r\n"
}

// TestConditionsAtTheDoor submits mail under a rule that holds when the condition is true,
// and one that holds unless it is.
func TestConditionsAtTheDoor(t *testing.T) {
	t.Parallel()
	text := func(body string) string { return letterTo("Hi", body, clientAt(0)) }
	html := func(body string) string {
		return strings.Replace(text(body), "text/plain", "text/html", 1)
	}
	picture := letterWithFile("image/png", "inline; filename=a.png", "\x89PNG", clientAt(0))
	for condition, tc := range map[string]struct{ yes, no string }{
		"sender: [maya, diary]":                           {yes: text("x")},
		"sender: sam":                                     {no: text("x")},
		"sender_may: lock_own":                            {yes: text("x")},
		"sender_may: release":                             {no: text("x")},
		"words_more_than: 5":                              {text("one two three four five"), text("one two three four")},
		"size_more_than: 2 KB":                            {text(strings.Repeat("word ", 400)), text("x")},
		"client_country: GB":                              {yes: text("x")},
		"client_country: [IE, US]":                        {no: text("x")},
		"client_country_not: GB":                          {no: text("x")},
		"client_country_not: [IE]":                        {yes: text("x")},
		"recipient: former_client":                        {no: text("x")},
		"outside: working_hours":                          {no: text("x")},
		"attachment: image":                               {picture, text("x")},
		"attachment: [calendar, any]":                     {picture, text("x")},
		"attachment: program":                             {no: picture},
		"contains: link":                                  {html(`<a href="https://example.org">x</a>`), html("<b>x</b>")},
		"contains: kisses":                                {text("See you xx"), text("See you")},
		"contains: remote_image":                          {html(`<img src="https://example.org/x.png">`), html(`<p>https://example.org/x.png</p>`)},
		"contains: personal_contact":                      {text("Ring me on 07700 900999"), text("Ring us on 0161 496 0000")},
		"any: [{contains: kisses}, {words_more_than: 3}]": {text("one two three four"), text("one")},
	} {
		rules := "  - {name: When, id: on-when, when: {to: client, " + condition + "}, do: [hold]}\n" +
			"  - {name: Unless, id: on-unless, when: {to: client}, unless: {" + condition + "}, do: [hold]}"
		b := newBenchOn(t, withRules(t, rules))
		for letter, want := range map[string]string{tc.yes: "on-when", tc.no: "on-unless"} {
			if letter == "" {
				continue
			}
			e := b.envelope(clientAt(0))
			if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letter)); err != nil {
				t.Fatalf("%s: %v", condition, err)
			}
			// The shipped set has a rule of its own about personal details.
			got := slices.DeleteFunc(b.rulesThatHold(e.ID), func(id string) bool { return id == "personal-details" })
			if !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %v hold the mail, want %s", condition, got, want)
			}
		}
	}
}

// rulesThatHold are the rules for which a message waits.
func (b *bench) rulesThatHold(id mail.ID) []string {
	b.t.Helper()
	_, sealed, _, err := b.store.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	var acc account
	if err := json.Unmarshal(sealed, &acc); err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, f := range acc.Plan.Findings {
		if f.Action == filter.Hold {
			out = append(out, f.Rule)
		}
	}
	return out
}

func TestFilesAtTheDoorHaveNeutralNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	e := b.envelope(clientAt(0), sam)
	letter := letterWithFile("image/gif", "attachment; filename*=utf-8''Anna%20Archer%20%E2%80%93%20assessment.gif", "GIF89a", clientAt(0), sam)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letter)); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{clientAt(0).String(): "image-1.gif", sam.String(): "Anna Archer \u2013 assessment.gif"} {
		m := b.copies(e.ID)[to]
		if m == nil {
			t.Fatalf("no copy for %s", to)
		}
		got := ""
		for p := range m.Attachments() {
			got += p.Filename
		}
		if got != want {
			t.Errorf("%s sees %q, want %q", to, got, want)
		}
	}
	a, err := b.g.Explain(t.Context(), DryRun{Sender: "maya", To: []mail.Address{clientAt(0)}, Mail: strings.NewReader(letter), Size: int64(len(letter))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if len(a.Messages) != 1 || !slices.Contains(a.Messages[0].Changes, "attached files renamed") {
		t.Errorf("explain: %+v", a.Messages)
	}
}
