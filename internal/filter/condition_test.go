package filter

import "testing"

func TestConditions(t *testing.T) {
	t.Parallel()
	in := input(t, message("anna@example.org", "", "Re: [together] Hi", "x"),
		"anna@example.org", "ben@example.org", "home@example.net", "sam@willowhouse.example", "gp@nhs.example", "x@elsewhere.example")
	const anna, ben, home, sam, gp, who = 0, 1, 2, 3, 4, 5
	for _, tc := range []struct {
		c    Condition
		want [6]bool
	}{
		{To{"client"}, [6]bool{anna: true, ben: true, home: true}},
		{To{"colleague"}, [6]bool{sam: true, gp: true}},
		{To{"unknown"}, [6]bool{who: true}},
		{To{"anyone"}, [6]bool{true, true, true, true, true, true}},
		{NotListed{}, [6]bool{who: true}},
		{ClientsMoreThan{2}, [6]bool{true, true, true, true, true, true}},
		{ClientsMoreThan{3}, [6]bool{}},
		{SubjectStarts{"[TOGETHER]"}, [6]bool{true, true, true, true, true, true}},
		{ClientYoungerThan{Age: 18}, [6]bool{ben: true, home: true}},
		{ClientYoungerThan{Age: 18, UnknownIsAdult: true}, [6]bool{ben: true, home: true}}, // Emil is a child
		{ClientYoungerThan{Age: 10, UnknownIsAdult: true}, [6]bool{}},
		{ClientYoungerThan{Age: 10}, [6]bool{home: true}},                                         // nobody knows Dora's age
		{ClientYoungerThan{Age: 18, UnknownIsAdult: true, Side: UnderUnless}, [6]bool{ben: true}}, // at home, one of them is
		{ClientDiscreet{Want: true, Default: false, Side: UnderUnless}, [6]bool{ben: true}},
		{ClientDiscreet{Want: true, Default: true}, [6]bool{ben: true, home: true}},
		{ClientDiscreet{Want: true, Default: false}, [6]bool{ben: true}},
		{ClientDiscreet{Want: false, Default: true}, [6]bool{anna: true}},
		{EveryoneAgreedTo{"group_email"}, [6]bool{}},
		{Already{"signed"}, [6]bool{}},
		{Any{[]Condition{To{"unknown"}, ClientDiscreet{Want: false, Default: true}}}, [6]bool{anna: true, who: true}},
		{All{[]Condition{To{"client"}, ClientYoungerThan{Age: 18}}}, [6]bool{ben: true, home: true}},
	} {
		for i, want := range tc.want {
			if got, err := tc.c.Holds(in, i); err != nil || got != want {
				t.Errorf("%T%+v for %d: %v %v", tc.c, tc.c, i, got, err)
			}
		}
	}
	two := input(t, message("a@example.org", "", "Hi", "x"), "anna@example.org", "ben@example.org")
	if ok, err := (EveryoneAgreedTo{"group_email"}).Holds(two, 0); !ok || err != nil {
		t.Errorf("both agreed: %v %v", ok, err)
	}
	none := input(t, message("a@example.org", "", "Hi", "x"), "sam@willowhouse.example")
	if ok, _ := (EveryoneAgreedTo{"group_email"}).Holds(none, 0); ok {
		t.Error("nobody is not everyone")
	}
	for _, c := range []Condition{SubjectStarts{"x"}, Mentions{[]*WordList{wordList(t, "l", "x")}}, Already{"signed"}} {
		if _, err := c.Holds(input(t, "", "anna@example.org"), 0); err == nil || c.Needs()&NeedContent == 0 {
			t.Errorf("%T without a message", c)
		}
	}
	signed := input(t, signedMailText, "anna@example.org")
	if ok, _ := (Already{"signed"}).Holds(signed, 0); !ok {
		t.Error("signed mail")
	}
}

func TestAnErrorWinsWhateverTheOrder(t *testing.T) {
	t.Parallel()
	in := input(t, message("a@example.org", "", "Hi", "x"), "anna@example.org")
	for _, cs := range [][]Condition{{To{"anyone"}, To{"odd"}}, {To{"odd"}, To{"anyone"}}, {To{"unknown"}, To{"odd"}}} {
		if _, err := (Any{cs}).Holds(in, 0); err == nil {
			t.Errorf("any %v", cs)
		}
		if _, err := (All{cs}).Holds(in, 0); err == nil {
			t.Errorf("all %v", cs)
		}
		if p := run(t, in, NewRule(RuleSpec{ID: "r", When: when(To{"unknown"}), Unless: cs, Do: do(VerbTell)})); p.Outcome != Hold {
			t.Errorf("unless %v", cs)
		}
	}
}
