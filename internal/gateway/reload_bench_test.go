package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

// largeFiles are the shipped policies with 1,000 rules more and a list of 20,000 phrases.
func largeFiles(t testing.TB) fstest.MapFS {
	t.Helper()
	m := liveFiles(t, false)
	var rules, words strings.Builder
	rules.Write(m["mail.yaml"].Data)
	forms := []string{
		`when: {to: client, any: [{mentions: [many]}, {client_younger_than: %d}]}, do: [hold]`,
		`when: {to: client, subject_starts: "[mark %d]"}, unless: {sender: sam}, do: [{hold_for: sam}]`,
		`when: {to: client, words_more_than: %d, contains: link}, do: [hold], about: tone`,
		`when: {size_more_than: %d MB, attachment: document}, do: [{tell: sam}]`,
	}
	for i := range 1000 {
		form := forms[i%len(forms)]
		n := i + 1
		if i%len(forms) == 0 {
			n = 1 + i%100
		}
		fmt.Fprintf(&rules, "  - {name: Rule %d, id: rule-%d, "+form+", because: S1}\n", i, i, n)
	}
	for i := range 20_000 {
		fmt.Fprintf(&words, "word%d and phrase%d\n", i, i)
	}
	m["mail.yaml"] = &fstest.MapFile{Data: []byte(rules.String()), Mode: 0o644}
	m["words/many.txt"] = &fstest.MapFile{Data: []byte(words.String()), Mode: 0o644}
	return m
}

// BenchmarkReload takes large policies: what the service does until they are in force, and what
// it does besides to say what they change.
func BenchmarkReload(b *testing.B) {
	files := largeFiles(b)
	first, err := policy.Load(files)
	if err != nil {
		b.Fatal(err)
	}
	files["mail.yaml"].Data = append(files["mail.yaml"].Data, "  - {name: One more, id: one-more, when: {to: client, subject_starts: \"[one more]\"}, do: [hold]}\n"...)
	next, err := policy.Load(files)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("LoadAndSwap", func(b *testing.B) {
		g, err := New(Config{Policy: first, Facts: store.NewFixture(nil, noon), Hostname: "gateway.test"})
		if err != nil {
			b.Fatal(err)
		}
		start := cpuTime(b)
		for b.Loop() {
			s, err := policy.Load(files)
			if err != nil {
				b.Fatal(err)
			}
			g.SetPolicy(s)
		}
		b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
	})
	b.Run("Decide", func(b *testing.B) {
		shipped, err := policy.Load(liveFiles(b, false))
		if err != nil {
			b.Fatal(err)
		}
		anna := filter.Client{Ref: "C-1", Status: "active", Country: "GB", Born: noon.AddDate(-30, 0, 0), Email: []mail.Address{{LocalPart: "anna", Domain: "example.org"}}}
		letter := policy.Test{At: noon, Clients: []filter.Client{anna}, Mail: policy.TestMail{From: "maya", To: []policy.TestRecipient{{As: "C-1", Address: anna.Email[0]}},
			Subject: "Tuesday", Body: strings.Repeat("See you at the usual time, and bring the form. ", 80)}}
		each := func(s *policy.Snapshot, rounds int) time.Duration {
			start := cpuTime(b)
			for range rounds {
				if _, err := planOf(b.Context(), s, letter); err != nil {
					b.Fatal(err)
				}
			}
			return (cpuTime(b) - start) / time.Duration(rounds)
		}
		for b.Loop() {
			few, many := each(shipped, 50), each(first, 50)
			b.ReportMetric(float64(many-few)/float64(len(first.Rules)-len(shipped.Rules)), "cpu-ns/rule")
			b.ReportMetric(float64(few)/1e3, "cpu-us/mail-shipped")
		}
	})
	b.Run("Compare", func(b *testing.B) {
		start := cpuTime(b)
		for b.Loop() {
			if _, err := Compare(b.Context(), first, next); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
	})
}

// Large policies still load and are compared in bounded work, and what could not all be
// compared counts as weaker: the bound is on the mails that are looked at.
func TestComparisonIsBounded(t *testing.T) {
	t.Parallel()
	files := largeFiles(t)
	first, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	all := string(files["mail.yaml"].Data)
	one := strings.Replace(all, "when: {to: client, words_more_than: 3, contains: link}, do: [hold]", "when: {to: client, words_more_than: 4000, contains: link}, do: [hold]", 1)
	if one == all {
		t.Fatal("no such rule")
	}
	files["mail.yaml"] = &fstest.MapFile{Data: []byte(one), Mode: 0o644}
	next, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	if probes, whole := policy.Probes(first, next); !whole || len(probes) == 0 || len(probes) > 500 {
		t.Errorf("for one changed rule %d mails are compared, whole: %t", len(probes), whole)
	}
	files["mail.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(one, "words_more_than", "clients_more_than: 0, words_more_than")), Mode: 0o644}
	files["organisation.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(files["organisation.yaml"].Data), "name: Willow House", "name: Willow Hall", 1)), Mode: 0o644}
	if next, err = policy.Load(files); err != nil {
		t.Fatal(err)
	}
	if probes, whole := policy.Probes(first, next); whole || len(probes) > 2000 {
		t.Errorf("for all rules %d mails are compared, whole: %t", len(probes), whole)
	}
}
