package policy

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plaincover/plaincover/internal/filter"
)

// wordFile is one words/NAME.txt: a word or phrase a line; # begins a comment.
type wordFile struct {
	d       *document
	phrases []string
	list    *filter.WordList
	bad     bool
}

const (
	maxPhrase  = 120
	maxPhrases = 50_000
)

// loadWords reads all word lists.
func (l *loader) loadWords() {
	entries, err := fs.ReadDir(l.fsys, "words")
	if err != nil {
		return // a rule that uses a list says that it is missing
	}
	for i, e := range entries {
		name := "words/" + e.Name()
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() || strings.ToLower(path.Ext(e.Name())) == ".md" {
			continue
		}
		list, isText := strings.CutSuffix(e.Name(), ".txt")
		if !isText || !nameForm.MatchString(list) {
			l.problems = append(l.problems, Problem{Code: codeFileName, File: name, Text: "this is not the name of a word list", Fix: "call it like words/care_words.txt: small letters, digits, - and _, ending in .txt"})
			continue
		}
		if i >= maxFiles {
			l.problems = append(l.problems, Problem{Code: codeFileTooLarge, File: "words", Text: "there are too many files here", Fix: "keep the lists that rules use"})
			return
		}
		l.wordFile(name, list)
	}
}

func (l *loader) wordFile(name, list string) {
	d, _, ok := l.read(name)
	l.docs = append(l.docs, d)
	w := &wordFile{d: d, bad: !ok}
	l.words[list] = w
	if !ok {
		return
	}
	first := map[string]int{}
	for i, line := range d.lines {
		phrase := strings.Join(strings.Fields(line), " ")
		if phrase == "" || strings.HasPrefix(phrase, "#") {
			continue
		}
		n := utf8.RuneCountInString(phrase)
		fold := strings.ToLower(phrase)
		switch {
		case n > maxPhrase:
			d.report(codeTooLong, i+1, 1, n, "this phrase is longer than 120 characters", "write the few words that matter")
		case !strings.ContainsFunc(phrase, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
			d.report(codeWordListLine, i+1, 1, n, "there is no word in this line", "write a word or a phrase, or delete the line")
		case strings.Contains(phrase, " #"):
			d.report(codeWordListLine, i+1, 1, n, "a comment needs a line of its own", "move what begins with # to the line above")
		case first[fold] > 0:
			d.warn(codePhraseTwice, i+1, 1, n, quote(phrase)+" stands twice", fmt.Sprintf("it is already on line %d", first[fold]))
		case len(w.phrases) >= maxPhrases:
			d.report(codeFileTooLarge, i+1, 1, n, "there are more than 50,000 phrases in this list", "make it shorter")
			w.bad = true
			return
		default:
			if strings.ContainsAny(phrase, ",;|") {
				d.warn(codeManyPhrases, i+1, 1, n, "this line is one phrase, which a mail must hold as a whole", "write each phrase in a line of its own")
			}
			first[fold] = i + 1
			w.phrases = append(w.phrases, phrase)
			continue
		}
		w.bad = w.bad || first[fold] == 0
	}
}

// unusedLists warns of lists that no rule uses: what stands in them is not looked for.
func (l *loader) unusedLists() {
	for name, w := range l.words {
		if w.list == nil && !w.bad {
			w.d.warn(codeListUnused, 0, 0, 0, "no rule uses this word list, so nothing in it is noticed", "name it in a rule, as mentions: ["+name+"], or delete it")
		}
	}
}

// wordList compiles a list for a rule that uses it. An empty list in use is a problem: the
// rule would never apply.
func (l *loader) wordList(name string, at value) (*filter.WordList, bool) {
	w, known := l.words[name]
	switch {
	case !known:
		names := make([]string, 0, len(l.words))
		for n := range l.words {
			names = append(names, n)
		}
		slices.Sort(names)
		fix := didYouMean(name, names)
		if fix == "" {
			fix = "write the list, one word a line, into words/" + name + ".txt"
		}
		at.report(codeNoWordList, "there is no word list called %s", fix, quote(name))
		return nil, false
	case w.bad:
		return nil, false // its own problem is reported
	case w.list != nil:
		return w.list, true
	case len(w.phrases) == 0:
		at.report(codeWordListEmpty, "the word list %s is empty, so this rule would never apply", "add words to words/"+name+".txt, one a line, or delete the rule", quote(name))
		return nil, false
	}
	list, err := filter.NewWordList(name, w.phrases)
	if err != nil {
		at.report(codeWordListLine, "the word list %s cannot be used", "check that every line of words/"+name+".txt is a word or a phrase", quote(name))
		return nil, false
	}
	w.list = list
	return list, true
}
