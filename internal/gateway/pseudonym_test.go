package gateway

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

var (
	colleague  = mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	supervisor = mail.Address{LocalPart: "accounts", Domain: "landlord.example"} // a contact
)

// pseudonyms is a bench whose only rules are these, with two clients more.
func pseudonyms(t testing.TB, rules ...string) *bench {
	t.Helper()
	if rules == nil {
		rules = []string{"  - {name: Codes, id: codes, when: {to: anyone}, do: [pseudonymise]}"}
	}
	b := newBenchOn(t, onlyRules(t, strings.Join(rules, "\n"), ""))
	no := false
	if _, err := b.store.ImportClients(t.Context(), []store.ClientRow{
		{Client: filter.Client{Ref: "C-0142", Name: "Zo\u00eb Maria O'Quill", Practitioner: "maya", Mobile: []string{"+447700900142"}, Discreet: &no,
			Email: []mail.Address{{LocalPart: "zoe.q", Domain: "example.org"}}}},
		{Client: filter.Client{Ref: "C-0143", Name: "Gus Green", Practitioner: "sam", Discreet: &no}},
		{Client: filter.Client{Ref: "C-0144", Name: "Jo Twin", Practitioner: "maya", Discreet: &no}},
		{Client: filter.Client{Ref: "C-0145", Name: "Jo Twin", Practitioner: "maya", Discreet: &no}},
	}, "sam"); err != nil {
		t.Fatal(err)
	}
	return b
}

// Names, mailboxes and numbers of clients are replaced in the text and the HTML, by codes for
// the practice's people and for contacts, and without codes for clients; no other byte of the
// texts is another.
func TestPseudonymise(t *testing.T) {
	t.Parallel()
	b := pseudonyms(t)
	const plain = "H\u00e9llo. Zo\u00eb Maria O'Quill, zoe  O'QUILL's, O'Quill, Zoe; zoe anna o'quill (\"Zoe M. O'Quill\")\r\n" +
		"-Ben Baker is Ben. Zoe Quill; Quillo Zo\u00eb. Jo Twin. Gus Green \u00e9\r\n\r\nzoe.q@example.org, 07700 900142, +44 (0)7700 900-142\r\n" +
		"> On it, Ben\r\n> Baker wrote: x\r\n"
	const wantPlain = "H\u00e9llo. @1, @1's, @1; @1 (\"@1\")\r\n" +
		"-@2 is Ben. Zoe Quill; Quillo Zo\u00eb. @3. @4 \u00e9\r\n\r\n@1, @1, @1\r\n" +
		"> On it, @2 wrote: x\r\n"
	const html = "<p title=\"Ben Baker\">H&eacute;llo <b>Zo&euml;</b>&nbsp;<i>O'Quill</i> &amp; <a href=\"mailto:zoe.q@example.org\">zoe.q@example.org</a></p>" +
		"<a href=\"tel:+447700900142\" id=x>ring 07700&nbsp;900142</a><img alt=x src=\"cid:y\"><blockquote>On it, baker, ben wrote</blockquote>"
	const wantHTML = "<p title=\"@2\">H&eacute;llo <b>@1</b><i></i> &amp; <a href=\"mailto:\">@1</a></p>" +
		"<a href=\"tel:\" id=x>ring @1</a><img alt=x src=\"cid:y\"><blockquote>On it, @2 wrote</blockquote>"
	codes := strings.NewReplacer("@1", "C-0142", "@2", "C-0102", "@3", "C-0144 or C-0145", "@4", "C-0143")
	hidden := strings.NewReplacer("@1", "another person", "@2", "another person", "@3", "another person", "@4", "another person")
	for to, want := range map[mail.Address]*strings.Replacer{colleague: codes, supervisor: codes, clientAt(0): hidden} {
		b.inEveryForm("About Zo\u00eb O'Quill and Anna", plain, html, []mail.Address{to}, func(f form, _ string, m *mail.Message, plain, html string) {
			if got := strings.TrimSuffix(plain, "\r\n"); plain != "" && got != strings.TrimSuffix(want.Replace(wantPlain), "\r\n") {
				t.Errorf("%v: %+v: text:\n%q\nwant:\n%q", to, f, got, want.Replace(wantPlain))
			}
			if got := strings.TrimSuffix(html, "\r\n"); html != "" && got != want.Replace(wantHTML) {
				t.Errorf("%v: %+v: html:\n%q\nwant:\n%q", to, f, got, want.Replace(wantHTML))
			}
			if m.Subject != want.Replace("About @1 and Anna") {
				t.Errorf("%v: subject %q", to, m.Subject)
			}
		})
	}
}

// What was replaced once stays as it is: a thread with a supervisor goes on with the codes.
func TestPseudonymsStay(t *testing.T) {
	t.Parallel()
	b := pseudonyms(t)
	for _, to := range []mail.Address{colleague, supervisor} {
		a := b.explain(letterTo("C-0142", "C-0142 and C-0144 or C-0145, c 0101.", to), to)
		if a.Outcome != "send" || slices.Contains(a.Messages[0].Changes, "names of clients replaced by their codes") {
			t.Errorf("%v: %s %+v", to, a.Outcome, a.Findings)
		}
		e := b.envelope(to)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("C-0142", "C-0142 and C-0144 or C-0145, c 0101.", to))); err != nil {
			t.Fatal(err)
		}
		if m := b.copies(e.ID)[to.String()]; m == nil || m.Subject != "C-0142" || m.Root.Text != "C-0142 and C-0144 or C-0145, c 0101.\r\n" {
			t.Errorf("%v: %s", to, b.lastReason(e.ID))
		}
	}
	// A client may see nobody's code, nor may a contact without the rule.
	if a := b.explain(letterTo("Hi", "C-0142", clientAt(0)), clientAt(0)); a.Outcome != "hold" {
		t.Error("a client is shown a code")
	}
	without := pseudonyms(t, "  - {name: Codes, id: codes, when: {to: client}, do: [pseudonymise]}")
	if a := without.explain(letterTo("Hi", "C-0142", supervisor), supervisor); a.Outcome != "hold" {
		t.Errorf("a contact is shown a code without the rule: %+v", a)
	}
	if a := without.explain(letterTo("Hi", "Ben Baker", supervisor), supervisor); a.Outcome != "hold" {
		t.Errorf("a contact is shown a name without the rule: %+v", a)
	}
}

// The reader's own name stays, and the account says what was done; who is in the same mail is
// foreign as well.
func TestPseudonymsAreOfOthers(t *testing.T) {
	t.Parallel()
	b := pseudonyms(t)
	e := b.envelope(clientAt(0), clientAt(1), colleague)
	letter := letterTo("Hi", "Dear Anna Archer and Ben Baker, Maya Okafor", clientAt(0), clientAt(1), colleague)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letter)); err != nil {
		t.Fatal(err)
	}
	got := b.copies(e.ID)
	for to, want := range map[mail.Address]string{
		clientAt(0): "Dear Anna Archer and another person, Maya Okafor\r\n", clientAt(1): "Dear another person and Ben Baker, Maya Okafor\r\n",
		colleague: "Dear C-0101 and C-0102, Maya Okafor\r\n",
	} {
		if m := got[to.String()]; m == nil || m.Root.Text != want {
			t.Errorf("%v: %v %s", to, m, b.lastReason(e.ID))
		}
	}
	a := b.explain(letter, clientAt(0), colleague)
	for i, want := range []string{"names of other clients replaced", "names of clients replaced by their codes"} {
		if len(a.Messages) != 2 || !slices.Contains(a.Messages[i].Changes, want) {
			t.Fatalf("%+v", a.Messages)
		}
	}
	neutral := pseudonyms(t, "  - {name: Codes, id: codes, when: {to: client}, do: [pseudonymise, {subject: neutral-default}]}")
	e = neutral.envelope(clientAt(0))
	if _, err := neutral.g.Submit(t.Context(), e, strings.NewReader(letterTo("Ben Baker", "Ben Baker", clientAt(0)))); err != nil {
		t.Fatal(err)
	}
	if m := neutral.copies(e.ID)[clientAt(0).String()]; m == nil || strings.Contains(m.Subject, "person") || m.Root.Text != "another person\r\n" {
		t.Errorf("%s", neutral.lastReason(e.ID))
	}
}

// What cannot be replaced holds: for a client by the leak check, for anybody else because the
// text cannot be changed. Somebody else may let it go.
func TestWhatHasNoPseudonymHolds(t *testing.T) {
	t.Parallel()
	b := pseudonyms(t)
	for name, tc := range map[string]struct {
		letter func(to mail.Address) string
		want   map[mail.Address]string // rules that hold
	}{
		"comment": {func(to mail.Address) string { return htmlLetter("<p>Hi</p><!-- Ben Baker -->", to) },
			map[mail.Address]string{colleague: "cannot-change", supervisor: "cannot-change leak-check", clientAt(0): "leak-check"}},
		"link": {func(to mail.Address) string { return htmlLetter("<a href='https://x.example/?q=gus+green'>x</a>", to) },
			map[mail.Address]string{colleague: "cannot-change", supervisor: "cannot-change", clientAt(0): ""}},
		"bytes that are wrong": {func(to mail.Address) string { return letterTo("Hi", "caf\xe9 Ben Baker", to) },
			map[mail.Address]string{colleague: "cannot-change", supervisor: "cannot-change leak-check", clientAt(0): "leak-check"}},
		"attached": {func(to mail.Address) string {
			return letterWithFile("text/plain; name=a.txt", "attachment; filename=a.txt", "Ben Baker", to)
		},
			map[mail.Address]string{colleague: "", supervisor: "leak-check", clientAt(0): "leak-check"}},
		"signed": {func(to mail.Address) string {
			head, _, _ := strings.Cut(letterTo("Hi", "", to), "Content-Type:")
			return head + "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\n\r\nHello" +
				"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
		},
			map[mail.Address]string{colleague: "signed-mail", supervisor: "signed-mail", clientAt(0): "signed-mail"}},
	} {
		for to, want := range tc.want {
			a := b.explain(tc.letter(to), to)
			var rules []string
			for _, f := range a.Findings {
				if f.Action == "hold" && !slices.Contains(rules, f.Rule) {
					rules = append(rules, f.Rule)
				}
			}
			slices.Sort(rules)
			if got := strings.Join(rules, " "); got != want || (a.Outcome == "hold") != (want != "") {
				t.Errorf("%s to %v: %s %q, want %q", name, to, a.Outcome, got, want)
			}
		}
	}
	e := b.envelope(supervisor)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(htmlLetter("<p>Ben Baker <!-- Ben Baker --></p>", supervisor))); err != nil {
		t.Fatal(err)
	}
	if len(b.copies(e.ID)) > 0 || !strings.Contains(b.lastReason(e.ID), "could not be replaced by the code") {
		t.Fatal(b.lastReason(e.ID))
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "looked at it"); err != nil {
		t.Fatal(err)
	}
	if m := b.copies(e.ID)[supervisor.String()]; m == nil || !strings.Contains(m.Root.Text, "<p>C-0102 <!-- Ben Baker --></p>") {
		t.Error("what could be replaced was not")
	}
}

// The order of the rules changes nothing.
func TestPseudonymsWhateverTheOrder(t *testing.T) {
	t.Parallel()
	rules := []string{
		"  - {name: A, id: a, when: {to: anyone}, do: [pseudonymise]}", "  - {name: B, id: b, when: {to: anyone}, do: [trim_quotes]}",
		"  - {name: C, id: c, when: {to: anyone}, do: [use_alias, {remove: kisses}]}", "  - {name: D, id: d, when: {to: anyone}, do: [pseudonymise, expectation_line]}",
	}
	letter := letterTo("Ben Baker", "Ben Baker rang. Maya Okafor xx\r\n\r\nOn 1 May 2026 at 10:00, Sam <sam@willowhouse.example> wrote:\r\n> Ben Baker\r\n", supervisor)
	var want string
	for i := range 4 {
		b := pseudonyms(t, slices.Concat(rules[i:], rules[:i])...)
		a := b.explain(letter, supervisor)
		if len(a.Messages) != 1 {
			t.Fatalf("%+v", a)
		}
		m, err := mail.Parse(a.Messages[0].Copy, a.Messages[0].Copy.Size(), mail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Subject + "|" + m.Root.Text; want == "" {
			want = got
		} else if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !strings.HasPrefix(want, "C-0102|C-0102 rang. M\r\n") || strings.Contains(want, "Baker") {
		t.Errorf("%q", want)
	}
}

// A practice can test its own rule: the copies have codes and lack names.
func TestPolicyTestsSeePseudonyms(t *testing.T) {
	t.Parallel()
	files := onlyRules(t, "  - {name: Codes, id: codes, when: {to: colleague}, do: [pseudonymise]}", "")
	files["tests/own.yaml"] = &fstest.MapFile{Mode: 0o644, Data: []byte(`clients:
  C-2: {email: ben@example.org, name: Ben Brook, mobile: "+447700900102", discreet: no, country: GB}
tests:
  - name: A supervisor reads codes
    mail: {from: maya, to: [accounts@landlord.example, sam], subject: Ben Brook, body: "BROOK, Ben rang from 07700 900102", html: "<p>Ben <b>Brook</b></p>"}
    expect: {outcome: send, copies: 2, every_copy: {subject: C-2, has: [C-2], lacks: [Brook, "900102"]}, rules: [codes]}
`)}
	for name := range files { // no rule uses these lists
		if strings.HasPrefix(name, "words/") {
			delete(files, name)
		}
	}
	snap, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	r, err := RunTests(t.Context(), snap)
	if err != nil || len(r.Results) != 1 || !r.OK() || len(snap.Warnings) > 0 {
		t.Errorf("%v %+v %v", err, r, snap.Warnings)
	}
}
