package gateway

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// wordLists reads every word list that is shipped, those of the examples too, by name.
func wordLists(t *testing.T) map[string]*filter.WordList {
	t.Helper()
	out := map[string]*filter.WordList{}
	for _, set := range append([]string{"."}, examples()...) {
		for name, f := range setFiles(t, set) {
			list, ok := strings.CutSuffix(strings.TrimPrefix(name, "words/"), ".txt")
			if !ok || !strings.HasPrefix(name, "words/") || out[list] != nil {
				continue
			}
			var phrases []string
			for line := range strings.Lines(string(f.Data)) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					phrases = append(phrases, line)
				}
			}
			w, err := filter.NewWordList(list, phrases)
			if err != nil {
				t.Fatal(err)
			}
			out[list] = w
			head, _, _ := strings.Cut(string(f.Data), "\n#\n")
			for _, must := range []string{"# What it is for: ", "# Who reads it: ", "# What happens on a hit: ", "# Where it comes from: "} {
				if !strings.Contains(head, must) {
					t.Errorf("%s/%s does not say %q", set, name, must)
				}
			}
		}
	}
	return out
}

func mentions(t *testing.T, list *filter.WordList, raw []byte) bool {
	t.Helper()
	m, err := mail.Parse(bytes.NewReader(raw), int64(len(raw)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	hit, err := filter.Mentions{Lists: []*filter.WordList{list}}.Holds(&filter.Input{Mail: m}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return hit
}

// What people write every day is in no list; what a list is for is in it.
func TestWordListsOnSentences(t *testing.T) {
	t.Parallel()
	lists := wordLists(t)
	letter := func(s string) []byte { return []byte(letterTo("Thursday", s, clientAt(0))) }
	for _, s := range []string{
		"Your counselling session is on Thursday at three.",
		"Sorry, I have to jump off the call at four.",
		"I am coming out of the station at ten to six.",
		"Please don't neglect to bring the key for the locker.",
		"The whole affair with the boiler will take a week.",
		"It threatens to rain, so take an umbrella.",
		"My glasses have gone missing, so this is in large letters.",
		"We pushed the meeting to Friday; you beat me to it.",
		"Which surgery are you with? Please bring the form.",
		"How do you feel about moving to Wednesdays?",
		"Tell me if the new time suits you.",
		"The fee is due on the first of the month. The reference is your code.",
		"Please ring the office, the number is on your card.",
		"There is a step at the door. Parking is behind the house.",
		"I am on leave from Monday. We start again on the 14th.",
		"The group meets in the blue room from now on.",
		"Thank you for your email. We will talk about it when we next meet.",
		"Please read the privacy notice and sign the last page.",
		"Bring a friend if you like, or a book.",
		"The train was late, I am on my way and will be five minutes late.",
		"Good grief, what weather. See you at two.",
		"I hope that you arrive safe and sound.",
		"Can you still make it? It would hit the deadline on Monday.",
		"You can park in front of the house; the door is blue.",
		"We moved: from May on we are in Mill Lane.",
	} {
		for name, l := range lists {
			if name != "refuge_words" && mentions(t, l, letter(s)) {
				t.Errorf("%s has a word of: %s", name, s)
			}
		}
	}
	for list, sentences := range map[string][]string{
		"care_words": {
			"You have been depressed since March.", "The sertraline may take two weeks.", "You said that you were abused as a child.",
			"We spoke about your OCD.", "Your PHQ-9 is lower.", "I will ask about a different prescription.", "You came out as a woman last year.", "Since the miscarriage you sleep badly.",
		},
		"danger_words": {
			"You wrote that you don’t want to live.", "Are you safe?", "He hits you when he drinks.", "You talked about an overdose.", "You said you want to end your life.",
			"There is no point in living, you wrote.", "You are afraid of him.", "Have you hurt yourself?", "She threatened you with a knife.", "You ran away from home.",
		},
		"health_identifiers": {"Please write your NHS number here.", "Your D.O.B. is missing.", "The CHI number is on the letter.", "Your National Insurance number, please."},
		"therapy_talk":       {"How did that make you feel?", "Tell me more about your mother.", "I wonder if part of you is angry.", "Let's unpack that."},
		"refuge_words":       {"There is a room at the refuge.", "Your IDVA will ring.", "The non-molestation order is ready.", "Ring when your partner is out.", "The police officer will come on Monday.", "The exit plan is in the drawer."},
		"record_numbers":     {"The NHS number is on the form.", "DOB as on the card."},
	} {
		for _, s := range sentences {
			if lists[list] == nil || !mentions(t, lists[list], letter(s)) {
				t.Errorf("%s lacks a word of: %s", list, s)
			}
		}
	}
}

// TestWordListsOnTheCorpus counts in how many messages of $CORPUS each list finds a word:
// nobody wrote them to a client, so nearly each is a false alarm. docs/guidance.md has the
// figures.
func TestWordListsOnTheCorpus(t *testing.T) {
	t.Parallel()
	raws := peerCorpusMessages(t)
	page, err := os.ReadFile("../../docs/guidance.md")
	if err != nil {
		t.Fatal(err)
	}
	lists := wordLists(t)
	for name, l := range lists {
		hits := 0
		for _, raw := range raws {
			if mentions(t, l, raw) {
				hits++
			}
		}
		row := fmt.Sprintf("| `%s` | %d | %d of %d |", name, l.Len(), hits, len(raws))
		if !slices.ContainsFunc(strings.Split(string(page), "\n"), func(line string) bool { return strings.HasPrefix(line, row) }) {
			t.Errorf("docs/guidance.md has no row that begins: %s", row)
		}
	}
}

// peerCorpusMessages returns the messages of $CORPUS, which is never part of a checkout.
func peerCorpusMessages(t *testing.T) [][]byte {
	t.Helper()
	corpus := os.Getenv("CORPUS")
	if corpus == "" {
		t.Skip("CORPUS names no directory of messages")
	}
	var out [][]byte
	if err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		f, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw, err := readAll(mail.CanonicalLines(bytes.NewReader(f)))
		out = append(out, raw)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
