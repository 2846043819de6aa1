package filter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/fault"
)

// chained is a mail that answers the last of these ids.
func chained(to, subject string, ids ...string) string {
	field := "References: <" + strings.Join(ids, "> <") + ">\nIn-Reply-To: <" + ids[len(ids)-1] + ">\n"
	return strings.Replace(message(to, "", subject, "x"), "Message-ID:", field+"Message-ID:", 1)
}

func aliased(t *testing.T) []Rule {
	t.Helper()
	return []Rule{NewRule(RuleSpec{ID: "alias", Name: "alias", When: []Condition{To{Class: "client"}}, Do: []Verb{{Kind: "use_alias"}}})}
}

func TestThread(t *testing.T) {
	t.Parallel()
	const anna, ben, cleo, sam = "anna@example.org", "ben@example.org", "cleo@example.net", "sam@willowhouse.example"
	saw := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		subject string
		header  string // To, where it differs from the envelope
		to      []string
		ids     []string
		known   []string
		readers int // of each known id; 0: one
		saw     []map[string]string
		extra   string // more of the mail
		want    []string
	}{
		"mapped": {to: []string{anna}, ids: []string{"m1@x", "g1@wh.example"}, known: []string{"m1@x", "g1@wh.example"},
			saw: []map[string]string{saw("m1@x", "g1@wh.example", "g1@wh.example", "g1@wh.example")}, want: []string{"g1@wh.example"}},
		"each as they saw it": {to: []string{anna, cleo}, ids: []string{"m1@x"}, known: []string{"m1@x"},
			saw: []map[string]string{saw("m1@x", "ga@wh.example"), saw("m1@x", "gc@wh.example")}, want: []string{"ga@wh.example", "gc@wh.example"}},
		"somebody else's": {to: []string{anna}, ids: []string{"g2@wh.example", "new@y"}, known: []string{"g2@wh.example"},
			saw: []map[string]string{saw()}, want: []string{""}},
		"not sent yet": {to: []string{anna}, ids: []string{"m1@x", "new@y"}, known: []string{"m1@x"},
			saw: []map[string]string{saw("m1@x", "")}, want: []string{"new@y"}},
		"unknown, one client":            {to: []string{anna}, ids: []string{"new@y"}, want: []string{"new@y"}},
		"unknown, two clients":           {to: []string{anna, cleo}, ids: []string{"new@y"}, want: []string{"", ""}},
		"unknown, another in the header": {header: anna + ", " + cleo, to: []string{anna}, ids: []string{"new@y"}, want: []string{""}},
		"unknown, with a colleague":      {to: []string{anna, sam}, ids: []string{"new@y"}, want: []string{"new@y", "new@y"}},
		"unknown, forwarded":             {subject: "Fwd: x", to: []string{anna}, ids: []string{"new@y"}, want: []string{""}},
		"unknown, weitergeleitet":        {subject: "[together] WG: x", to: []string{anna}, ids: []string{"new@y"}, want: []string{""}},
		"unknown, forwarded whole": {to: []string{anna}, ids: []string{"new@y"}, want: []string{""},
			extra: "Content-Type: message/rfc822\n\nFrom: a@example.org\nSubject: x\n\nx\n"},
		"known, forwarded": {subject: "Fwd: x", to: []string{anna}, ids: []string{"m1@x"}, known: []string{"m1@x"},
			saw: []map[string]string{saw("m1@x", "g1@wh.example")}, want: []string{"g1@wh.example"}},
		"a group that saw the same": {to: []string{anna, ben}, ids: []string{"m1@x", "new@y"}, known: []string{"m1@x"},
			saw: []map[string]string{saw("m1@x", "g@wh.example"), saw("m1@x", "g@wh.example")}, want: []string{"g@wh.example"}},
		"a group that saw different ones": {to: []string{anna, ben}, ids: []string{"m1@x"}, known: []string{"m1@x"},
			saw: []map[string]string{saw("m1@x", "g1@wh.example"), saw("m1@x", "g2@wh.example")}, want: []string{""}},
		"a real domain":                 {to: []string{anna}, ids: []string{"m0@Laptop.willowhouse.example", "new@y"}, want: []string{"new@y"}},
		"seen at a real domain":         {to: []string{anna}, ids: []string{"m1@x"}, known: []string{"m1@x"}, saw: []map[string]string{saw("m1@x", "g@willowhouse.example")}, want: []string{""}},
		"a colleague sees real domains": {to: []string{sam}, ids: []string{"m1@pc.willowhouse.example"}, want: []string{"m1@pc.willowhouse.example"}},
		"no id at all":                  {to: []string{anna}, ids: []string{"nonsense", "\u00e9@x", "@x", "x@"}, want: []string{""}},
		"one's own and somebody else's": {to: []string{anna}, ids: []string{"g1@wh.example", "new@y"}, known: []string{"g1@wh.example"}, readers: 2,
			saw: []map[string]string{saw("g1@wh.example", "g1@wh.example")}, want: []string{"g1@wh.example"}},
		"nobody's": {to: []string{anna}, ids: []string{"erased@x", "new@y"}, known: []string{"erased@x"},
			saw: []map[string]string{saw()}, want: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.subject == "" {
				c.subject = "Re: Tuesday"
			}
			if c.header == "" {
				c.header = strings.Join(c.to, ", ")
			}
			raw := chained(c.header, c.subject, c.ids...)
			if c.extra != "" {
				raw = strings.Replace(raw, "Content-Type: text/plain; charset=utf-8\n\nx\n", c.extra, 1)
			}
			in := input(t, raw, c.to...)
			in.Facts.Thread = Fact[Thread]{State: Absent}
			if c.known != nil {
				known := Thread{Readers: map[string]int{}, Saw: c.saw}
				for _, id := range c.known {
					known.Readers[id] = max(1, c.readers)
				}
				in.Facts.Thread = Known(known)
			}
			p, err := Run(aliased(t), practice, in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range p.Variants {
				got = append(got, strings.Join(v.References, " "))
				for _, id := range v.InReplyTo {
					if !slices.Contains(v.References, id) {
						t.Errorf("In-Reply-To has %s, References %v", id, v.References)
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestThreadFailsClosed(t *testing.T) {
	t.Parallel()
	raw := chained("anna@example.org", "Re: x", "a@x")
	for state, kind := range map[State]fault.Kind{Unavailable: fault.Unavailable, Unresolved: fault.Internal} {
		in := input(t, raw, "anna@example.org")
		in.Facts.Thread.State = state
		if _, err := Run(aliased(t), practice, in); err == nil || fault.KindOf(err) != kind {
			t.Errorf("state %d: %v", state, err)
		}
	}
	var long []string
	for i := range maxChain + 1 {
		long = append(long, fmt.Sprintf("%d@x", i))
	}
	in := input(t, chained("anna@example.org", "Re: x", strings.Join(long, ">\n <")), "anna@example.org")
	if len(in.Mail.References) <= maxChain {
		t.Fatalf("%d ids were read", len(in.Mail.References))
	}
	if p, err := Run(aliased(t), practice, in); err != nil || len(p.Variants[0].References)+len(p.Variants[0].InReplyTo) != 0 {
		t.Errorf("a chain without end: %v, %v", p.Variants, err)
	}
}
