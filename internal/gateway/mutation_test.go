package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/policies"
)

// moreRules use what the shipped rules do not.
const moreRules = `
  - {name: Late mail waits, id: late-mail, when: {to: client, outside: working_hours}, do: [hold]}
  - {name: Abroad, id: abroad, when: {client_country_not: [GB, IE]}, do: [{hold_for: sam}], always_enforce: yes}
  - {name: Links, id: no-links, when: {to: client, contains: link}, unless: {any: [{sender: sam}, {subject_starts: "[link]"}]}, do: [hold]}
  - {name: Former clients, id: former, when: {recipient: former_client}, do: [{hold_for: sam}]}
  - {name: Many, id: many, when: {clients_more_than: 3}, do: [refuse]}
  - {name: Drafts, id: drafts, when: {all: [{to: client}, {subject_starts: "[draft]"}]}, do: [hold, {tell: sam}]}
  - {name: Large, id: large, when: {to: client, size_more_than: 8 KB}, do: [hold]}
  - {name: Calendars, id: calendars, when: {to: client, attachment: calendar}, do: [refuse]}
  - {name: Signed, id: signed, when: {to: client, already: encrypted}, do: [hold]}
`

// liveFiles are the shipped policies with more rules, with their tests or without.
func liveFiles(t testing.TB, tests bool) fstest.MapFS {
	t.Helper()
	comment := regexp.MustCompile(`(?m)^#.*\n| +#.*$`)
	m := fstest.MapFS{}
	err := fs.WalkDir(policies.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "tests/") && !tests {
			return err
		}
		b, err := policies.Files.ReadFile(name)
		if !strings.HasSuffix(name, ".eml") {
			b = comment.ReplaceAll(b, nil) // damage to them shows nothing
		}
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !tests {
		m["mail.yaml"].Data = append(slices.Clone(m["mail.yaml"].Data), moreRules...)
	}
	return m
}

// mutate damages one file as disks, editors and people do.
func mutate(t *rapid.T, files fstest.MapFS) (fstest.MapFS, string) {
	out := maps.Clone(files)
	names := slices.Sorted(maps.Keys(files))
	names = append(names, "mail.yaml", "mail.yaml", "mail.yaml", "organisation.yaml", "people.yaml", "clients.yaml") // where most of it is
	name := rapid.SampledFrom(names).Draw(t, "file")
	b := slices.Clone(files[name].Data)
	at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	lines := bytes.SplitAfter(b, []byte("\n"))
	line := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
	how := rapid.SampledFrom([]string{"truncate", "truncate at a line", "truncate at a rule", "flip a bit", "flip a bit", "a letter", "a digit", "delete bytes",
		"delete a line", "delete a line", "delete lines", "swap lines", "double a line", "delete", "another file", "a word"}).Draw(t, "how")
	switch how {
	case "truncate":
		b = b[:at]
	case "truncate at a line":
		b = bytes.Join(lines[:line], nil)
	case "truncate at a rule":
		if i := bytes.LastIndex(b[:at], []byte("\n  - ")); i > 0 {
			b = b[:i+1]
		}
	case "flip a bit":
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	case "a letter":
		b[at] = byte(rapid.IntRange('a', 'z').Draw(t, "letter"))
	case "a digit":
		if i := bytes.IndexAny(b[at:], "0123456789"); i >= 0 {
			b[at+i] = byte(rapid.IntRange('0', '9').Draw(t, "digit"))
		}
	case "delete bytes":
		b = slices.Delete(b, at, min(len(b), at+rapid.IntRange(1, 40).Draw(t, "bytes")))
	case "delete a line":
		b = bytes.Join(slices.Delete(lines, line, line+1), nil)
	case "delete lines":
		b = bytes.Join(slices.Delete(lines, line, min(len(lines), line+rapid.IntRange(1, 8).Draw(t, "lines"))), nil)
	case "swap lines":
		other := rapid.IntRange(0, len(lines)-1).Draw(t, "other")
		lines[line], lines[other] = lines[other], lines[line]
		b = bytes.Join(lines, nil)
	case "double a line":
		b = bytes.Join(slices.Insert(lines, line, lines[line]), nil)
	case "delete":
		delete(out, name)
		return out, name + ": " + how
	case "another file":
		b = files[rapid.SampledFrom(names).Draw(t, "from")].Data
	case "a word": // of the language, in the place of another
		known := []string{"client", "colleague", "unknown", "anyone", "hold", "send_separately", "bcc", "never_hold", "refuse", "yes", "no", "observe", "enforce",
			"tone", "safety", "split", "adults", "none", "young-practical", "care_words", "danger_words", "link", "kisses", "program", "any", "all", "when", "unless"}
		words := slices.DeleteFunc(slices.Clone(known), func(w string) bool { return !bytes.Contains(b, []byte(w)) })
		if len(words) == 0 {
			break
		}
		old := []byte(rapid.SampledFrom(words).Draw(t, "old"))
		if i := bytes.Index(b[at:], old); i >= 0 {
			b = slices.Concat(b[:at+i], []byte(rapid.SampledFrom(known).Draw(t, "new")), b[at+i+len(old):])
		}
	}
	out[name] = &fstest.MapFile{Data: b, Mode: 0o644}
	return out, name + ": " + how
}

// someMail draws mails that are not the probes: other people, other words, several things at once.
func someMail(t *rapid.T, snap *policy.Snapshot, words []string) policy.Test {
	at := time.Date(2026, 3, 4, 10, 0, 0, 0, snap.Location())
	yes, no := true, false
	var clients []filter.Client
	for i := range 5 {
		c := filter.Client{Ref: fmt.Sprintf("M-%d", i), Status: "active", Country: "GB", Nation: "England", Discreet: &no, Born: at.AddDate(-30-i, 0, 0),
			Email: []mail.Address{{LocalPart: fmt.Sprintf("m%d", i), Domain: "example.org"}}}
		switch rapid.IntRange(0, 9).Draw(t, "client") {
		case 0:
			c.Discreet = nil
		case 1:
			c.Discreet = &yes
		case 2:
			c.Born = time.Time{}
		case 3:
			c.Born = at.AddDate(-rapid.IntRange(9, 25).Draw(t, "age"), -1, 0)
		case 4:
			c.Country, c.Nation = rapid.SampledFrom([]string{"", "IE", "US", "FR"}).Draw(t, "country"), ""
		case 5:
			c.Status = "former"
		case 6:
			for _, p := range snap.Clients.Purposes() {
				c.Consents = append(c.Consents, filter.Consent{Purpose: p, GivenOn: at.AddDate(0, -2, 0)})
			}
		}
		clients = append(clients, c)
	}
	var to []policy.TestRecipient
	for _, r := range rapid.SliceOfNDistinct(rapid.IntRange(0, 8), 1, 5, rapid.ID).Draw(t, "to") {
		if r < len(clients) {
			to = append(to, policy.TestRecipient{As: clients[r].Ref, Address: clients[r].Email[0]})
			continue
		}
		a, err := mail.ParseAddress([]string{"someone@elsewhere.example", "sam@willowhouse.example", "ward@nhs.net", "accounts@landlord.example"}[r-len(clients)])
		if err != nil {
			panic(err)
		}
		to = append(to, policy.TestRecipient{As: a.String(), Address: a})
	}
	body := "See you on Tuesday."
	for range rapid.IntRange(0, 2).Draw(t, "things") {
		body += " " + rapid.SampledFrom(append([]string{"https://www.example.org/page", "Ring me on 07700 900999.", strings.Repeat("tuesday ", 210)}, words...)).Draw(t, "thing") + "."
	}
	if rapid.IntRange(0, 4).Draw(t, "kisses") == 0 {
		body += " xx"
	}
	subject := rapid.SampledFrom([]string{"", "", "[together] ", "[secure] ", "[send-now: the train is late] ", "[draft] ", "[link] "}).Draw(t, "prefix") + "Tuesday"
	from := rapid.SampledFrom([]string{"maya", "sam"}).Draw(t, "from")
	test := policy.Test{At: at.Add(time.Duration(rapid.IntRange(-12, 13).Draw(t, "hour"))*time.Hour).AddDate(0, 0, rapid.IntRange(0, 6).Draw(t, "day")), Clients: clients,
		Mail: policy.TestMail{From: from, To: to, Subject: subject, Body: body}}
	switch rapid.IntRange(0, 7).Draw(t, "file") {
	case 0:
		test.Mail.EML = withFile(test, "text/calendar", "meet.ics", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n")
	case 1:
		test.Mail.EML = withFile(test, "application/octet-stream", "setup.exe", "MZ"+strings.Repeat("x", 200))
	case 2:
		test.Mail.EML = withFile(test, "application/octet-stream", "data.bin", strings.Repeat("\x01", 9000))
	}
	return test
}

// withFile writes a mail with an attached file as a mail app would.
func withFile(t policy.Test, kind, name, content string) []byte {
	var to []string
	for _, r := range t.Mail.To {
		to = append(to, r.Address.String())
	}
	return []byte("From: " + t.Mail.From + "@willowhouse.example\r\nTo: " + strings.Join(to, ", ") + "\r\nSubject: " + t.Mail.Subject +
		"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + strings.ReplaceAll(t.Mail.Body, ". ", ".\r\n") +
		"\r\n--b\r\nContent-Type: " + kind + "\r\nContent-Disposition: attachment; filename=" + name + "\r\n\r\n" + content + "\r\n--b--\r\n")
}

// lessStrict says where the second set protects a mail less than the first; empty: nowhere.
func lessStrict(ctx context.Context, before, after *policy.Snapshot, t policy.Test) string {
	a, errA := planOf(ctx, before, t)
	b, errB := planOf(ctx, after, t)
	if errA != nil || errB != nil {
		if errB == nil {
			return fmt.Sprintf("%v before, and a decision after", errA)
		}
		return ""
	}
	for i := range a.Decisions {
		if b.Decisions[i].Action < a.Decisions[i].Action {
			return fmt.Sprintf("%s: %s became %s", t.Mail.To[i].As, actionName(a.Decisions[i].Action), actionName(b.Decisions[i].Action))
		}
	}
	kinds := func(p filter.Plan, rcpt int) map[filter.EditKind]bool {
		out := map[filter.EditKind]bool{}
		for _, v := range p.Variants {
			if slices.Contains(v.Rcpts, rcpt) {
				for _, e := range v.Edits {
					out[e.Kind] = true
				}
			}
		}
		return out
	}
	for i := range a.Decisions {
		if b.Decisions[i].Action > a.Decisions[i].Action {
			continue // it waits, or does not leave: what its copy would be like is not decided
		}
		was, is := kinds(a, i), kinds(b, i)
		for k := range was {
			if !is[k] {
				return fmt.Sprintf("%s: the copy lost %s", t.Mail.To[i].As, k)
			}
		}
	}
	return ""
}

// A damaged file of live policies leaves decisions equal or stricter (I11): it is not read, its
// tests fail, its changes count as weaker and are not taken on their own, or no mail shows a
// difference for the worse. Mails are drawn anew, so that the probes by which changes are told
// do not check themselves.
func TestMutatedPoliciesNeverWeaken(t *testing.T) {
	t.Parallel()
	bases := map[bool]fstest.MapFS{true: liveFiles(t, true), false: liveFiles(t, false)}
	live := map[bool]*policy.Snapshot{}
	var words []string
	for _, tests := range []bool{true, false} {
		var err error
		if live[tests], err = policy.Load(bases[tests]); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range bases[false] {
		if strings.HasPrefix(name, "words/") {
			for line := range strings.Lines(string(f.Data)) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					words = append(words, line)
				}
			}
		}
	}
	slices.Sort(words)
	fates := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		tests := rapid.IntRange(0, 3).Draw(rt, "tests") == 0
		damaged, how := mutate(rt, bases[tests])
		next, err := policy.Load(damaged)
		if err != nil {
			fates["not read"]++
			return
		}
		if tests {
			report, err := RunTests(t.Context(), next)
			if err != nil {
				rt.Fatal(err)
			}
			if slices.ContainsFunc(report.Results, func(r TestResult) bool { return len(r.Failures) > 0 }) {
				fates["a test fails"]++
				return
			}
		}
		changes, err := Compare(t.Context(), live[tests], next)
		if err != nil {
			rt.Fatal(err)
		}
		if slices.ContainsFunc(changes, func(d policy.Difference) bool { return d.Weaker }) {
			fates["weaker, not taken"]++
			return
		}
		fates["taken"]++
		said := words
		for name := range bases[tests] { // above all what the damage took away
			if strings.HasPrefix(name, "words/") && damaged[name] != bases[tests][name] {
				for _, w := range words {
					if damaged[name] == nil || !bytes.Contains(damaged[name].Data, []byte(w+"\n")) && bytes.Contains(bases[tests][name].Data, []byte(w+"\n")) {
						said = append(slices.Repeat([]string{w}, len(words)), said...)
					}
				}
			}
		}
		for range 15 {
			m := someMail(rt, live[tests], said)
			if why := lessStrict(t.Context(), live[tests], next, m); why != "" {
				rt.Fatalf("%s\n%s\nmail from %s to %v: %s\n%s\nsaid: %v", how, why, m.Mail.From, m.Mail.To, m.Mail.Subject, m.Mail.Body, changes)
			}
		}
	})
	t.Log(fates)
}
