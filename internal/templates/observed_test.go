package templates

import (
	"fmt"
	"strings"
	"testing"
)

func TestObservedNotice(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 60 {
		ids = append(ids, fmt.Sprintf("01KAM%02d", i))
	}
	subject, text, err := ObservedNotice("1 July 2026", 61, []Observed{
		{Rule: "a", Name: "Young people get practical emails only.", Action: "hold", Messages: ids},
		{Rule: "b", Name: "B", Action: "send", Verbs: []string{"bcc", "neutral_first_line", "use_alias"}, Messages: ids[:1]},
		{Rule: "c", Name: "C", Action: "send", Messages: ids[:1]},
		{Rule: "d", Name: "D", Action: "refuse", Verbs: []string{"never_hold", "tell"}, Messages: ids[:2]},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"On 1 July 2026 rules that only observe had something to say about 61 emails. They changed and held nothing.",
		"Young people get practical emails only (a): would have held 60 emails: 01KAM00, ", "B (b): would have hidden the recipients of and changed (neutral first line, use alias) 1 email: 01KAM00.",
		"C (c): would have noted 1 email: 01KAM00.", "D (d): would have refused, let pass at once and told somebody of 2 emails: 01KAM00, 01KAM01."} {
		if !strings.HasPrefix(text[i], want) {
			t.Errorf("%q lacks %q", text[i], want)
		}
	}
	if !strings.HasSuffix(text[1], "01KAM49 and 10 more.") {
		t.Errorf("%q", text[1])
	}
	if all := subject + strings.Join(text, ""); clinical.MatchString(all) || strings.ContainsAny(all, "\r\n") {
		t.Errorf("%q", all)
	}
	if _, _, err := ObservedNotice("1 July 2026", 0, nil); err == nil {
		t.Error("a note about nothing")
	}
}
