package gateway

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/policies"
)

// edited loads the shipped policies with replacements: file, old text, new text. The tests of
// the policies stay away: they speak of rules that an edit may take out.
func edited(t *testing.T, edits ...[3]string) *policy.Snapshot {
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
	for _, e := range edits {
		s := string(m[e[0]].Data)
		if !strings.Contains(s, e[1]) {
			t.Fatalf("%s does not hold %q", e[0], e[1])
		}
		m[e[0]] = &fstest.MapFile{Data: []byte(strings.Replace(s, e[1], e[2], 1)), Mode: 0o644}
	}
	s, err := policy.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each change that a manager may make is said in words, and what protects less is marked; the
// way back is not marked for the same line.
func TestWeakeningIsNoticed(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name string
		edit [3]string
		want string // the difference, as it is printed
	}{
		{"unknown recipients", [3]string{"mail.yaml", "when: {to: unknown}", "when: {to: unknown, subject_starts: \"[x]\"}"}, "mail to somebody unknown or a client and somebody unknown: hold → send"},
		{"no separate copies", [3]string{"mail.yaml", "do: [send_separately]", "do: [bcc]"}, "the rule send-separately does: send_separately → nothing"},
		{"young people", [3]string{"mail.yaml", "client_younger_than: 18, mentions", "client_younger_than: 16, mentions"}, "mail to a client aged 17, with a word of therapy_talk: hold → send"},
		{"the first line", [3]string{"mail.yaml", "neutral_first_line, ", ""}, "mail to clients or a client and somebody unknown: neutral_first_line → not any more"},
		{"the alias", [3]string{"mail.yaml", "use_alias, ", ""}, "mail to clients or a client and somebody unknown: use_alias → not any more"},
		{"crisis lines", [3]string{"mail.yaml", "do: [crisis_signature]", "do: [{tell: sam}]"}, "mail to clients or a client and somebody unknown: crisis_signature → not any more"},
		{"who is told of danger", [3]string{"mail.yaml", "do: [never_hold, {tell: safeguarding_lead}]", "do: [never_hold]"}, "mail to clients, a colleague or an address at nhs.net, with a word of danger_words: tells safeguarding_lead → tells nobody"},
		{"always enforced", [3]string{"mail.yaml", "    tell_sender: M05\n    always_enforce: yes\n", "    tell_sender: M05\n"}, "mail to somebody unknown or a client and somebody unknown: the sender cannot release it → the sender may release it"},
		{"mode", [3]string{"organisation.yaml", "mode: enforce", "mode: observe"}, "mode: enforce → observe"},
		{"mixed", [3]string{"organisation.yaml", "on_mixed: hold_all", "on_mixed: split"}, "when one of several copies is held: hold_all → split"},
		{"limit", [3]string{"organisation.yaml", "clients_per_message: 10", "clients_per_message: 30"}, "mail to 11 clients: refuse → send"},
		{"second person", [3]string{"organisation.yaml", "second_person: self_with_delay", "second_person: none"}, "second person for held mail: self_with_delay → none"},
		{"delay", [3]string{"organisation.yaml", "delay: 15m", "delay: 1m"}, "delay of a sender's own release: 15m0s → 1m0s"},
		{"audit", [3]string{"organisation.yaml", "audit_days: 365", "audit_days: 30"}, "days that the record is kept: 365 → 30"},
		{"region", [3]string{"organisation.yaml", "[GB, EEA]", "[GB, EEA, US]"}, "regions where mail may be processed: nothing → US"},
		{"a domain of ours", [3]string{"organisation.yaml", "wh.example]", "wh.example, gmail.example]"}, "domains whose addresses are colleagues: nothing → gmail.example"},
		{"no clients", [3]string{"clients.yaml", "domains: [nhs.net]", "domains: [nhs.net, gmail.example]"}, "mail to an address at gmail.example: hold → send"},
		{"unknown age", [3]string{"clients.yaml", "clients_are: all_ages", "clients_are: adults"}, "mail to a client of unknown age, with a word of therapy_talk: hold → send"},
		{"discreet", [3]string{"clients.yaml", "{discreet: yes", "{discreet: no"}, "clients are discreet unless the register says otherwise: yes → no"},
		{"consent", [3]string{"clients.yaml", "lasts: 12 months, wording: group-consent-v1", "lasts: 36 months, wording: group-consent-v1"}, "consent group_email lasts: 0 years, 12 months, 0 days → 0 years, 36 months, 0 days"},
		{"a rule about files", [3]string{"mail.yaml", "attachment: unreadable}", "attachment: calendar}"}, "the rule closed-files: when: {attachment: unreadable, to: client} → {attachment: calendar, to: client}"},
		{"a rule about fewer files", [3]string{"mail.yaml", "attachment: program}", "attachment: program, size_more_than: 10 MB}"}, "the rule no-programs: when: {attachment: program, to: client} → {attachment: program, size_more_than: 10 MB, to: client}"},
		{"not for this sender", [3]string{"mail.yaml", "attachment: unreadable}\n", "attachment: unreadable}\n    unless: {sender: maya}\n"}, "the rule closed-files: unless: nothing → {sender: maya}"},
		{"not with a file", [3]string{"mail.yaml", "when: {to: unknown}\n", "when: {to: unknown}\n    unless: {attachment: any}\n"}, "the rule unknown-recipient: unless: nothing → {attachment: any}"},
		{"a rule that loosens", [3]string{"mail.yaml", "  - name: Somebody who may", "  - {name: Files, id: files, when: {to: client, attachment: any}, do: [never_hold]}\n\n  - name: Somebody who may"}, "the rule files: nothing → Files"},
		{"a sign-in", [3]string{"people.yaml", "signs_in_as: maya@willowhouse.example", "signs_in_as: eve@willowhouse.example"}, "the sign-in of maya: maya@willowhouse.example → eve@willowhouse.example"},
		{"a subject that tells", [3]string{"templates.yaml", `no-word: "Hello"`, `no-word: "Your Counselling on ((weekday))"`}, "the subject no-word: Hello → Your Counselling on ((weekday))"},
		{"a subject with a name", [3]string{"templates.yaml", `no-word: "Hello"`, `no-word: "Hello from Willow House"`}, "the subject no-word: Hello → Hello from Willow House"},
		{"a subject with a listed word", [3]string{"templates.yaml", `no-word: "Hello"`, `no-word: "Your self-harm plan"`}, "the subject no-word: Hello → Your self-harm plan"},
		{"another subject that tells", [3]string{"mail.yaml", "{subject: neutral-default}", "{subject: neutral-weekday}"}, "the rule neutral-subject: subject: neutral-default → neutral-weekday"},
		{"no subject", [3]string{"mail.yaml", "{subject: neutral-default}, ", ""}, "the rule neutral-subject does: subject neutral-default → nothing"},
		{"a person who releases", [3]string{"people.yaml", "systems:", "  - {id: kit, name: Kit Vane, signs_in_as: kit@willowhouse.example, clients_see: {name: K, address: hello@wh.example}, may: [send, release]}\nsystems:"}, "people: nothing → kit (may send, release)"},
		{"a person from elsewhere", [3]string{"people.yaml", "systems:", "  - {id: kit, name: Kit Vane, signs_in_as: kit@elsewhere.example, clients_see: {name: K, address: hello@wh.example}, may: [send]}\nsystems:"}, "people: nothing → kit (may send)"},
		{"permission", [3]string{"people.yaml", "may: [send, cancel_own, lock_own]", "may: [send, cancel_own, lock_own, release]"}, "what maya may do: nothing → release"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before, after := edited(t), edited(t, c.edit)
			there, err := Compare(t.Context(), before, after)
			if err != nil {
				t.Fatal(err)
			}
			said := func(ds []policy.Difference, what string) (policy.Difference, bool) {
				i := slices.IndexFunc(ds, func(d policy.Difference) bool { return d.String() == what })
				if i < 0 {
					return policy.Difference{}, false
				}
				return ds[i], true
			}
			if d, ok := said(there, c.want); !ok || !d.Weaker {
				t.Errorf("not said as weaker: %s\nsaid: %v", c.want, there)
			}
			if i%5 != 0 {
				return // the way back of a few is enough
			}
			back, err := Compare(t.Context(), after, before)
			if err != nil {
				t.Fatal(err)
			}
			if len(back) == 0 {
				t.Error("nothing is said of the way back")
			}
			d, _ := said(there, c.want)
			for _, b := range back {
				// Of other files and another sign-in nobody can say which way is the weaker one.
				if !strings.HasPrefix(c.name, "a rule about files") && c.name != "a sign-in" && b.Weaker && b.What == d.What && b.Before == d.After && b.After == d.Before {
					t.Errorf("both ways are weaker: %s", b)
				}
			}
		})
	}
}

// A rule may go where another one does all that it did; not where the other one does less.
func TestARuleThatIsDoneElsewhereMayGo(t *testing.T) {
	t.Parallel()
	young := `  - name: Young people get no personal contact details
    id: young-personal-details
    when: {client_younger_than: 18, contains: personal_contact}
    do: [hold]
    about: tone
    tell_sender: M18
    because: Use only organisational contact details with young people (S21)
`
	for name, c := range map[string]struct {
		edit   [3]string
		weaker bool
	}{
		"for all clients":          {[3]string{"mail.yaml", "    mode: observe                        # reports only: see below\n", ""}, false},
		"while the other observes": {[3]string{"mail.yaml", "reports only: see below", "reports only"}, true},
	} {
		ds, err := Compare(t.Context(), edited(t), edited(t, c.edit, [3]string{"mail.yaml", young, ""}))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(ds, func(d policy.Difference) bool {
			return d.String() == "the rule young-personal-details: Young people get no personal contact details → nothing"
		})
		if i < 0 || ds[i].Weaker != c.weaker {
			t.Errorf("%s: %v", name, ds)
		}
	}
}

// The same policies change nothing; a new wording is told and is not weaker.
func TestCompareSaysNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	same, err := Compare(t.Context(), edited(t), edited(t))
	if err != nil || len(same) != 0 {
		t.Errorf("%v, %v", same, err)
	}
	wording, err := Compare(t.Context(), edited(t), edited(t, [3]string{"templates.yaml", `no-word: "Hello"`, `no-word: "Hi"`}))
	if err != nil || len(wording) != 1 || wording[0].Weaker || wording[0].String() != "the subject no-word: Hello → Hi" {
		t.Errorf("%v, %v", wording, err)
	}
	for name, e := range map[string][3]string{
		"another neutral subject": {"mail.yaml", "{subject: neutral-default}", "{subject: neutral-note}"},
		"somebody who only sends": {"people.yaml", "systems:", "  - {id: kit, name: Kit Vane, signs_in_as: kit@willowhouse.example, clients_see: {name: K, address: hello@wh.example}, may: [send, cancel_own]}\nsystems:"},
	} {
		changes, err := Compare(t.Context(), edited(t), edited(t, e))
		if err != nil || len(changes) == 0 || slices.ContainsFunc(changes, func(d policy.Difference) bool { return d.Weaker }) {
			t.Errorf("%s: %v, %v", name, changes, err)
		}
	}
	// A rule that nobody's mail shows is still told by its own words.
	rule, err := Compare(t.Context(), edited(t), edited(t, [3]string{"mail.yaml", "because: Youth Access section 3 (S27)", "because: S27"}))
	if err != nil || len(rule) != 0 {
		t.Errorf("another reason is no difference: %v, %v", rule, err)
	}
}
