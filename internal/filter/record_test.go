package filter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyContentRule is a rule about content, people and time.
func anyContentRule(t *rapid.T, tb testing.TB, id string) Rule {
	conds := []Condition{To{"client"}, To{"unknown"}, To{"anyone"}, ClientsMoreThan{1}, EveryoneAgreedTo{"group_email"}, NotListed{},
		SubjectStarts{"[together]"}, SubjectStarts{"[secure]"}, SubjectStarts{"Hi"}, ClientYoungerThan{Age: 18}, ClientDiscreet{Want: true, Default: true},
		Mentions{[]*WordList{wordList(tb, "care_words", "diagnosis")}}, Mentions{[]*WordList{wordList(tb, "more_words", "x"), wordList(tb, "care_words", "diagnosis")}},
		WordsMoreThan{2}, SizeMoreThan{100}, SizeMoreThan{100_000}, Attachment{Kinds: []string{"any"}}, Contains{"link"}, Contains{"kisses"},
		Already{"signed"}, From{[]string{"maya"}}, SenderMay{"release"}, PersonalContact{}, ClientCountry{Codes: []string{"GB"}}, FormerClient{},
		Any{[]Condition{Contains{"link"}, To{"client"}}}, All{[]Condition{WordsMoreThan{1}, To{"anyone"}}},
		Outside{Location: time.UTC, Days: []time.Weekday{time.Sunday}, From: 0, To: 1440}}
	verbs := []Verb{{Kind: VerbSendSeparately}, {Kind: VerbBcc}, {VerbSubject, "a"}, {VerbSubject, "b"}, {Kind: VerbUseAlias},
		{Kind: VerbLock}, {Kind: VerbHold}, {Kind: VerbHold}, {VerbHoldFor, "sam"}, {Kind: VerbRefuse}, {Kind: VerbNeverHold}, {Kind: VerbTrimQuotes}}
	return NewRule(RuleSpec{ID: id,
		When:    rapid.SliceOfN(rapid.SampledFrom(conds), 1, 2).Draw(t, "when"),
		Unless:  rapid.SliceOfN(rapid.SampledFrom(conds), 0, 1).Draw(t, "unless"),
		Do:      rapid.SliceOfN(rapid.SampledFrom(verbs), 1, 2).Draw(t, "do"),
		About:   rapid.SampledFrom([]About{Tone, Safety}).Draw(t, "about"),
		Observe: rapid.Bool().Draw(t, "observe"),
	})
}

func digests(name string) string { return "of " + name }

// recorded is the record of a message as it comes back from the disk.
func recorded(t testing.TB, rules []Rule, in *Input, p *Plan) *Record {
	t.Helper()
	b, err := json.Marshal(NewRecord(rules, in, p, digests, func(s string) string { return fmt.Sprint(len(s)) }))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"diagnosis", "overdose", "example.org", "example.net", "elsewhere", "willowhouse", "C-0142", "Anna", "Smith", "harbour", "1990"} {
		if strings.Contains(string(b), word) {
			t.Fatalf("a record says %q: %s", word, b)
		}
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func classesOf(in *Input) []Class {
	var out []Class
	for i := range in.Env.Recipients {
		c, _ := in.class(i)
		out = append(out, c)
	}
	return out
}

// What other rules say to a record is what they say to the message; where that cannot be
// known, it says so, and is never stricter than the truth.
func TestAReplayIsTheDecision(t *testing.T) {
	t.Parallel()
	known := 0
	rapid.Check(t, func(rt *rapid.T) {
		in, pr := anyInput(rt, t), anyPractice(rt)
		then, now := make([]Rule, rapid.IntRange(0, 4).Draw(rt, "then")), make([]Rule, rapid.IntRange(0, 4).Draw(rt, "now"))
		for i := range then {
			then[i] = anyContentRule(rt, t, fmt.Sprintf("then%d", i))
		}
		for i := range now {
			now[i] = anyContentRule(rt, t, fmt.Sprintf("now%d", i))
			if len(then) > 0 && rapid.Bool().Draw(rt, "kept") {
				now[i] = rapid.SampledFrom(then).Draw(rt, "which")
			}
		}
		before := runWith(t, pr, in, then...)
		rec := recorded(t, then, in, &before)
		got, err := Replayed(now, pr, rec, in.Facts.Sender, classesOf(in), digests)
		if err != nil {
			rt.Fatal(err)
		}
		in.memo = nil
		want := runWith(t, pr, in, now...)
		switch {
		case got.Outcome > want.Outcome:
			rt.Fatalf("replay says %d, the message %d (%v)", got.Outcome, want.Outcome, got.Unknown)
		case len(got.Unknown) == 0 && !got.Unchecked && got.Outcome != want.Outcome:
			rt.Fatalf("replay says %d and knows, the message %d\n%s", got.Outcome, want.Outcome, asJSON(t, rec))
		case len(got.Unknown) == 0:
			known++
		}
		same, err := Replayed(then, pr, rec, in.Facts.Sender, classesOf(in), digests)
		if err != nil || same.Outcome != before.Outcome || len(same.Unknown) > 0 || same.Unchecked {
			rt.Fatalf("under the same rules: %+v (%v), then %d", same, err, before.Outcome)
		}
	})
	if known == 0 {
		t.Error("nothing was ever known")
	}
}

// A rule about something that nobody asked then has no answer; one that the record answers has.
func TestWhatARecordKnows(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hello", "your diagnosis"), "anna@example.org")
	list := wordList(t, "care_words", "diagnosis")
	then := []Rule{NewRule(RuleSpec{ID: "care", When: when(Mentions{[]*WordList{list}}), Do: do(VerbTell), Observe: true})}
	before := run(t, in, then...)
	rec := recorded(t, then, in, &before)
	for _, c := range []struct {
		name string
		when Condition
		want Action
		unknown,
		unchecked bool
	}{
		{"the same list", Mentions{[]*WordList{list}}, Hold, false, false},
		{"another list", Mentions{[]*WordList{wordList(t, "other_words", "diagnosis")}}, Send, true, false},
		{"either of a known and an unknown list", Mentions{[]*WordList{list, wordList(t, "other_words", "x")}}, Hold, false, false},
		{"a tag, and there was none", SubjectStarts{"[draft]"}, Send, false, false},
		{"a word that nobody asked for", SubjectStarts{"Invoice"}, Send, true, false},
		{"words", WordsMoreThan{2}, Hold, false, false},
		{"more words", WordsMoreThan{3}, Send, false, false},
		{"age", ClientYoungerThan{Age: 37}, Hold, false, false},
		{"age, a year less", ClientYoungerThan{Age: 36}, Send, false, false},
		{"a link", Contains{"link"}, Send, true, false},
		{"who sends", From{[]string{"maya"}}, Hold, false, false},
	} {
		got, err := Replayed([]Rule{NewRule(RuleSpec{ID: "new", When: when(c.when), Do: do(VerbHold)})}, practice, rec, in.Facts.Sender, classesOf(in), digests)
		if err != nil || got.Outcome != c.want || (len(got.Unknown) > 0) != c.unknown || got.Unchecked != c.unchecked {
			t.Errorf("%s: %+v (%v)", c.name, got, err)
		}
	}
	// Another digest is another list.
	got, err := Replayed([]Rule{NewRule(RuleSpec{ID: "new", When: when(Mentions{[]*WordList{list}}), Do: do(VerbHold)})}, practice, rec, in.Facts.Sender, classesOf(in),
		func(string) string { return "changed" })
	if err != nil || !slices.Equal(got.Unknown, []string{"new: mentions care_words"}) {
		t.Errorf("a changed list: %+v (%v)", got, err)
	}
}

// A copy with less taken out than the one that was checked is not known to be clean.
func TestAReplaySaysWhatWasNeverChecked(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Hello", "x"), "anna@example.org", "ben@example.org")
	alias := NewRule(RuleSpec{ID: "alias", When: when(To{"client"}), Do: do(VerbUseAlias, VerbSendSeparately)})
	hold := NewRule(RuleSpec{ID: "hold", When: when(To{"client"}), Do: do(VerbHold)})
	replay := func(then, now []Rule) Replay {
		before := run(t, in, then...)
		got, err := Replayed(now, practice, recorded(t, then, in, &before), in.Facts.Sender, classesOf(in), digests)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	more := NewRule(RuleSpec{ID: "more", When: when(To{"client"}), Do: do(VerbNeutralFirstLine)})
	if replay([]Rule{alias}, []Rule{alias, more}).Unchecked {
		t.Error("a copy that says less counts as unchecked")
	}
	if !replay([]Rule{alias}, nil).Unchecked || !replay([]Rule{alias, hold}, []Rule{alias}).Unchecked {
		t.Error("a copy that nobody checked counts as checked")
	}
}
