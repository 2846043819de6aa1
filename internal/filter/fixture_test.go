package filter

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
)

var now = time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatalf("address %q: %v", s, err)
	}
	return a
}

func parse(t testing.TB, raw string) *mail.Message {
	t.Helper()
	raw = strings.ReplaceAll(raw, "\n", "\r\n")
	m, err := mail.Parse(strings.NewReader(raw), int64(len(raw)), mail.DefaultLimits())
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return m
}

// anna, ben and cleo are clients; anna and ben agreed to group_email.
func register(t testing.TB) []Client {
	yes, no := true, false
	agreed := []Consent{{Purpose: "group_email", GivenOn: now.AddDate(0, -1, 0)}}
	return []Client{
		{Ref: "C-0142", Name: "Anna Smith", Email: []mail.Address{addr(t, "anna@example.org")}, Mobile: []string{"+447700900123"},
			Born: time.Date(1990, 4, 1, 0, 0, 0, 0, time.UTC), Country: "GB", Nation: "England", Word: "harbour", Discreet: &no, Practitioner: "maya", Consents: agreed},
		{Ref: "C-0203", Name: "Ben Maria Jones", Email: []mail.Address{addr(t, "ben@example.org")}, Mobile: []string{"+447700900456"},
			Born: time.Date(2011, 2, 3, 0, 0, 0, 0, time.UTC), Country: "GB", Nation: "Wales", Word: "pebble", Discreet: &yes, Practitioner: "maya", Consents: agreed},
		{Ref: "C-0177", Name: "Cleo Brown", Email: []mail.Address{addr(t, "cleo@example.net")}, Mobile: []string{"+447700900789"},
			Born: time.Date(1985, 12, 24, 0, 0, 0, 0, time.UTC), Practitioner: "sam"},
		{Ref: "C-0300", Name: "Dora White", Email: []mail.Address{addr(t, "home@example.net")}, Practitioner: "sam", Consents: agreed},
		{Ref: "C-0301", Name: "Emil White", Email: []mail.Address{addr(t, "home@example.net")}, Practitioner: "sam",
			Born: time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
}

var practice = Practice{Policy: "sha256:test", GroupConsent: "group_email", DiscreetByDefault: true,
	OwnDomains: []string{"willowhouse.example", "wh.example"}}

// envelope resolves recipients against the register: colleague at the practice's domain,
// contact at nhs.example, anything else unknown.
func envelope(t testing.TB, to ...string) (*mail.Envelope, *Facts) {
	t.Helper()
	return envelopeOf(t, register(t), to...)
}

func envelopeOf(t testing.TB, reg []Client, to ...string) (*mail.Envelope, *Facts) {
	t.Helper()
	env := &mail.Envelope{Submitter: "maya", Reverse: addr(t, "maya@willowhouse.example"), ReceivedAt: now}
	facts := &Facts{At: now, Sender: Known(Sender{ID: "maya", Name: "Maya Okafor", Real: addr(t, "maya@willowhouse.example"),
		Alias: addr(t, "hello@wh.example"), AliasName: "M"})}
	for _, s := range to {
		a := addr(t, s)
		env.Recipients = append(env.Recipients, mail.Recipient{Address: a})
		r := RecipientFacts{Class: Known(ClassUnknown), Clients: Fact[[]Client]{State: Absent}}
		switch a.Domain {
		case "willowhouse.example":
			r.Class = Known(ClassColleague)
		case "nhs.example":
			r.Class = Known(ClassContact)
		}
		var cs []Client
		for _, c := range reg {
			for _, e := range c.Email {
				if e.Key() == a.Key() {
					cs = append(cs, c)
				}
			}
		}
		if len(cs) > 0 {
			r.Clients, r.Class = Known(cs), Known(ClassClient)
		}
		facts.Recipients = append(facts.Recipients, r)
	}
	return env, facts
}

// message is a plain mail with these To and Cc.
func message(to, cc, subject, body string) string {
	s := "From: Maya <maya@willowhouse.example>\nTo: " + to + "\n"
	if cc != "" {
		s += "Cc: " + cc + "\n"
	}
	return s + "Subject: " + subject + "\nDate: Sun, 22 Nov 2026 14:02:00 +0000\nMessage-ID: <a@willowhouse.example>\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + body + "\n"
}

func input(t testing.TB, raw string, to ...string) *Input {
	t.Helper()
	env, facts := envelope(t, to...)
	in := &Input{Env: env, Facts: facts}
	if raw != "" {
		in.Mail = parse(t, raw)
	}
	return in
}

func run(t testing.TB, in *Input, rules ...Rule) Plan {
	t.Helper()
	return runWith(t, practice, in, rules...)
}

func runWith(t testing.TB, pr Practice, in *Input, rules ...Rule) Plan {
	t.Helper()
	p, err := Run(rules, pr, in)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return p
}

func do(kinds ...VerbKind) []Verb {
	var out []Verb
	for _, k := range kinds {
		out = append(out, Verb{Kind: k})
	}
	return out
}

func when(cs ...Condition) []Condition { return cs }

func wordList(t testing.TB, name string, list ...string) *WordList {
	t.Helper()
	w, err := NewWordList(name, list)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// copies describes the variants in short: "one[0] send To=anna@example.org".
func copies(p Plan) string {
	var out []string
	for _, v := range p.Variants {
		s := fmt.Sprintf("%s%v %s To=%s", v.Show, v.Rcpts, [...]string{"send", "lock", "hold", "refuse"}[v.Action], join(v.To))
		if len(v.Cc) > 0 {
			s += " Cc=" + join(v.Cc)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func join(as []mail.Address) string {
	var out []string
	for _, a := range as {
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

func findingOf(p Plan, rule string) (Finding, bool) {
	for _, f := range p.Findings {
		if f.Rule == rule {
			return f, true
		}
	}
	return Finding{}, false
}

// shipped are rules like those that the practice ships.
func shipped(t testing.TB) []Rule {
	return []Rule{
		NewRule(RuleSpec{ID: "send-separately", Name: "One client never sees another client's address", When: when(ClientsMoreThan{1}),
			Unless: when(EveryoneAgreedTo{"group_email"}, SubjectStarts{"[together]"}), Do: do(VerbSendSeparately), AlwaysEnforce: true}),
		NewRule(RuleSpec{ID: "together-needs-consent", Name: "[together] needs everyone's agreement",
			When: when(ClientsMoreThan{1}, SubjectStarts{"[together]"}), Unless: when(EveryoneAgreedTo{"group_email"}),
			Do: do(VerbHold), TellSender: "M03", AlwaysEnforce: true}),
		NewRule(RuleSpec{ID: "unknown-recipient", Name: "Somebody who is on no list", When: when(To{"unknown"}), Do: do(VerbHold), TellSender: "M05", AlwaysEnforce: true}),
		NewRule(RuleSpec{ID: "neutral-subject", Name: "Subject, first line and sender stay neutral", When: when(To{"client"}), Do: append(
			do(VerbNeutralFirstLine, VerbUseAlias, VerbRemoveIdentifyingHeaders), Verb{VerbSubject, "neutral-default"})}),
		NewRule(RuleSpec{ID: "crisis-signature", Name: "Crisis lines in every email to a client", When: when(To{"client"}), Do: do(VerbCrisisSignature)}),
		NewRule(RuleSpec{ID: "secure-by-hand", Name: "[secure] locks for anyone", When: when(SubjectStarts{"[secure]"}), Do: do(VerbLock)}),
		NewRule(RuleSpec{ID: "young-practical", Name: "Young people get practical emails only", When: when(ClientYoungerThan{Age: 18},
			Mentions{[]*WordList{wordList(t, "care_words", "diagnosis", "self-harm plan")}}), Do: []Verb{{VerbHoldFor, "sam"}}, About: Tone, TellSender: "M06"}),
		NewRule(RuleSpec{ID: "safety-first", Name: "Safety messages are never delayed", When: when(Mentions{[]*WordList{wordList(t, DangerWords, "kill myself", "overdose")}}),
			Do: []Verb{{Kind: VerbNeverHold}, {VerbTell, SafeguardingLead}}}),
	}
}

func defect(name string, d mail.Disposition) mail.Defect {
	return mail.Defect{Name: name, Default: d, Path: "1", Fix: "fix " + name}
}
