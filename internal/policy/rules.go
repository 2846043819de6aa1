package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/templates"
)

// ruleReader reads one rule.
type ruleReader struct {
	l     *loader
	spec  filter.RuleSpec
	depth int // of conditions within conditions
	side  filter.Side
}

// maxConditionDepth bounds any within all within any: nobody can read more.
const maxConditionDepth = 8

// readRules reads mail.yaml.
func (l *loader) readRules(v value) {
	v.keys("mail.yaml", field{"rules", true, func(v value) {
		for _, e := range v.list("rules") {
			l.rule(e)
		}
		if v.n.Kind == yaml.SequenceNode && len(v.n.Content) == 0 {
			v.report(codeNoRules, "there is no rule here, which would remove all protection", "restore the file from a copy")
		}
	}})
}

func (l *loader) rule(v value) {
	r := &ruleReader{l: l}
	before := l.found()
	var id, tellSender, modeAt, doAt, when, unless value
	observe, modeSet, aboutSaid := l.s.Org.Observe, false, false
	ok := v.keys("a rule",
		field{"name", true, func(v value) { r.spec.Name, _ = v.text("name") }},
		field{"id", true, func(v value) { id = v; r.spec.ID = l.ruleID(v) }},
		field{"when", true, func(v value) { when = v; r.spec.When = r.conditions("when", v) }},
		field{"unless", false, func(v value) {
			unless = v
			r.side = filter.UnderUnless
			r.spec.Unless = r.conditions("unless", v)
			r.side = filter.UnderWhen
		}},
		field{"do", true, func(v value) { doAt = v; r.verbs(v) }},
		field{"because", false, func(v value) { r.spec.Because, _ = v.text("because") }},
		field{"about", false, func(v value) {
			w, _ := v.word("about", string(filter.Safety), string(filter.Tone))
			r.spec.About, aboutSaid = filter.About(w), true
		}},
		field{"tell_sender", false, func(v value) { tellSender = v; r.spec.TellSender, _ = v.text("tell_sender") }},
		field{"always_enforce", false, func(v value) { r.spec.AlwaysEnforce, _ = v.yesNo("always_enforce") }},
		field{"mode", false, func(v value) {
			w, _ := v.word("mode", "enforce", "observe")
			modeAt, observe, modeSet = v, w == "observe", true
		}},
	)
	if r.spec.ID == "" {
		l.rulesUnclear = true
	}
	if !ok {
		return
	}
	if r.spec.About == "" {
		r.spec.About = filter.Safety
	}
	if modeSet && observe && r.spec.AlwaysEnforce {
		modeAt.report(codeAlwaysObserved, "this rule is always enforced, so it cannot only observe", "delete mode: observe, or always_enforce: yes")
	}
	r.spec.Observe = observe && !r.spec.AlwaysEnforce
	r.checkTellSender(tellSender, doAt)
	if l.found() > before {
		return
	}
	l.s.names[r.spec.ID] = r.spec.Name
	l.s.written[r.spec.ID] = writtenRule{spec: r.spec, when: when.oneLine(), unless: unless.oneLine()}
	l.rules = append(l.rules, placedRule{spec: r.spec, id: id, when: when, unless: unless, do: doAt, aboutSaid: aboutSaid})
	l.s.Rules = append(l.s.Rules, filter.NewRule(r.spec))
}

// found counts the problems so far, including those no longer listed.
func (l *loader) found() int {
	n := len(l.problems)
	for _, d := range l.docs {
		n += d.problems
	}
	return n
}

func (l *loader) ruleID(v value) string {
	id, ok := v.name("id")
	if !ok {
		return ""
	}
	if line, again := l.ruleLines[id]; again {
		v.report(codeRuleTwice, "the id %s stands twice", fmt.Sprintf("line %d already has it: every rule needs an id of its own", line), quote(id))
		return ""
	}
	if slices.Contains(builtinRules(), id) {
		v.report(codeRuleBuiltIn, "the id %s belongs to a check that is always made", "choose another", quote(id))
		return ""
	}
	l.ruleLines[id] = v.n.Line
	return id
}

// checkTellSender sees that the text fits what the rule does.
func (r *ruleReader) checkTellSender(at, do value) {
	if !at.ok() || r.spec.TellSender == "" {
		return
	}
	kind, known := textKind(r.spec.TellSender)
	if !known {
		at.report(codeNoText, "no text has the id %s", didYouMean(r.spec.TellSender, textIDs()), quote(r.spec.TellSender))
		return
	}
	holds, refuses := false, false
	for _, v := range r.spec.Do {
		holds = holds || v.Kind == filter.VerbHold || v.Kind == filter.VerbHoldFor || v.Kind == filter.VerbLock || v.Kind == filter.VerbLockAs
		refuses = refuses || v.Kind == filter.VerbRefuse
	}
	switch {
	case refuses && kind != templates.KindRefused:
		at.report(codeTextKind, "%s is not a text about refused mail", "choose one of "+strings.Join(textsOf(templates.KindRefused), ", "), quote(r.spec.TellSender))
	case !refuses && holds && kind != templates.KindHeld:
		at.report(codeTextKind, "%s is not a text about held mail", "choose one of "+strings.Join(textsOf(templates.KindHeld), ", "), quote(r.spec.TellSender))
	case !refuses && !holds && do.ok() && len(r.spec.Do) > 0:
		at.report(codeTextKind, "this rule neither holds nor refuses, so nobody would read %s", "delete tell_sender, or add hold to do", quote(r.spec.TellSender))
	}
}

// conditions reads the keys of when, of unless, or of one entry of any and all.
func (r *ruleReader) conditions(what string, v value) []filter.Condition {
	if v.n.Kind != yaml.MappingNode {
		fix := "write it as {to: client}, or one condition a line"
		if v.n.Kind == yaml.ScalarNode && strings.Contains(v.n.Value, ": ") {
			fix = "take the quotes away, and write braces: {" + strings.ReplaceAll(quote(v.n.Value), `"`, "") + "}"
		}
		v.report(codeConditionForm, "%s must be conditions", fix, what)
		return nil
	}
	if len(v.n.Content) == 0 {
		fix := "name a condition; for all mail write {to: anyone}"
		if what == "unless" {
			fix = "name a condition, or delete unless: it would switch the rule off for all mail"
		}
		v.report(codeEmpty, "%s says nothing", fix, what)
		return nil
	}
	known := conditionNames()
	var out []filter.Condition
	for key, val := range v.pairs(what) {
		i := slices.Index(known, key.n.Value)
		if before, after, glued := strings.Cut(key.n.Value, ":"); glued && slices.Contains(known, before) {
			key.report(codeSpaceMissing, "there is no space after the colon", "write a space after the colon: "+before+": "+strings.Trim(quote(strings.TrimSpace(after)), `"`))
			continue
		}
		if i < 0 {
			fix := didYouMean(key.n.Value, known)
			if fix == "" {
				fix = "the conditions are: " + strings.Join(known, ", ")
			}
			if _, isVerb := findVerb(key.n.Value); isVerb {
				fix = "this word says what to do: write it under do"
			}
			if n := key.n.Value; n == "not" || strings.HasPrefix(n, "not_") || n == "unless" || n == "except" {
				fix = "write what is excepted beside when, under unless: {sender: sam}"
			}
			key.report(codeCondition, "unknown condition %s", fix, quote(key.n.Value))
			continue
		}
		if r.l.seen != nil {
			r.l.seen("a condition", key.n.Value, false)
		}
		c := conditions()[i]
		switch {
		case c.later:
			key.report(codeNotBuilt, "this version cannot check %s yet, so the rule would not protect anybody", "take the rule out until a version that can is installed", quote(c.name))
		case val.isNull():
			key.report(codeNoValue, "%s has no value", "write one after the colon", quote(c.name))
		case r.depth > maxConditionDepth:
			key.report(codeTooDeep, "conditions are nested more than 8 deep", "make two rules of it")
			return out
		default:
			if got, ok := c.read(&ruleReader{l: r.l, depth: r.depth + 1, side: r.side}, val); ok {
				out = append(out, got)
			}
		}
	}
	return out
}

func readTo(_ *ruleReader, v value) (filter.Condition, bool) {
	if v.namesOne("to") {
		return nil, false
	}
	if v.n.Kind == yaml.SequenceNode && len(v.n.Content) > 1 {
		v.report(codeNotSingle, "to must be a single value", "for one or the other write any: [{to: client}, {to: colleague}]")
		return nil, false
	}
	w, ok := v.word("to", "client", "colleague", "unknown", "anyone")
	return filter.To{Class: w}, ok
}

func readClientsMoreThan(_ *ruleReader, v value) (filter.Condition, bool) {
	n, ok := v.whole("clients_more_than", 0, 1000)
	return filter.ClientsMoreThan{N: n}, ok
}

func readRecipient(r *ruleReader, v value) (filter.Condition, bool) {
	switch v.n.Value {
	case "looks_like_client", "first_time":
		return notYet(v, v.n.Value)
	}
	if v.namesOne("recipient") {
		return nil, false
	}
	switch w, ok := v.word("recipient", "not_listed", "former_client"); {
	case !ok:
		return nil, false
	case w == "not_listed":
		return filter.NotListed{}, true
	}
	return filter.FormerClient{Side: r.side}, true
}

// namesOne reports a single client or mailbox in a rule: rules are about what people have in common.
func (v value) namesOne(what string) bool {
	if v.n.Kind != yaml.ScalarNode || !strings.Contains(v.n.Value, "@") && !codeLike.MatchString(v.n.Value) {
		return false
	}
	v.report(codeUnknownWord, "unknown word %s for %s: no rule is about one client or one mailbox", "say what they have in common, such as {client_younger_than: 18}; who is certainly no client belongs into not_clients of clients.yaml", quote(v.n.Value), what)
	return true
}

// codeLike is what the codes of clients look like.
var codeLike = regexp.MustCompile(`^[A-Za-z]{1,4}-?[0-9]+$`)

// notYet reports a word that the language has and this version cannot check.
func notYet(v value, word string) (filter.Condition, bool) {
	v.report(codeNotBuilt, "this version cannot check %s yet, so the rule would not protect anybody", "take the rule out until a version that can is installed", quote(word))
	return nil, false
}

func readSubjectStarts(_ *ruleReader, v value) (filter.Condition, bool) {
	if v.n.Kind == yaml.SequenceNode && len(v.n.Content) == 1 && v.n.Content[0].Kind == yaml.ScalarNode {
		v.report(codeNotSingle, "subject_starts must be a single value, and brackets make a list", "a text with brackets needs quotes: \"["+strings.Trim(quote(v.n.Content[0].Value), `"`)+"]\"")
		return nil, false
	}
	s, ok := v.text("subject_starts")
	if p := filter.ParseSubject(s); ok && p.Reply {
		instead := "take this condition out: a rule cannot tell answers from other mail"
		if rest := strings.TrimSpace(strings.Join(p.Tags, "") + p.Text); rest != "" {
			instead = "write what comes after it: \"" + strings.ReplaceAll(rest, `"`, "") + `"`
		}
		v.report(codeReplyMark, "no subject starts with %s: marks of answers and forwards, such as Re: and Fwd:, are taken off before it is read", instead, quote(s))
		return nil, false
	}
	return filter.SubjectStarts{Prefix: strings.TrimSpace(s)}, ok
}

func readMentions(r *ruleReader, v value) (filter.Condition, bool) {
	var lists []*filter.WordList
	all := true
	for _, e := range v.filled("mentions") {
		name, ok := e.text("a word list")
		if !ok {
			all = false
			continue
		}
		w, ok := r.l.wordList(name, e)
		if !ok {
			all = false
			continue
		}
		lists = append(lists, w)
	}
	return filter.Mentions{Lists: lists}, all && len(lists) > 0
}

func readClientYoungerThan(r *ruleReader, v value) (filter.Condition, bool) {
	n, ok := v.whole("client_younger_than", 1, 120)
	return filter.ClientYoungerThan{Age: n, UnknownIsAdult: r.l.s.Clients.UnknownIsAdult(), Side: r.side}, ok
}

func readClientDiscreet(r *ruleReader, v value) (filter.Condition, bool) {
	b, ok := v.yesNo("client_discreet")
	return filter.ClientDiscreet{Want: b, Default: r.l.s.Clients.Discreet, Side: r.side}, ok
}

func readEveryoneAgreedTo(r *ruleReader, v value) (filter.Condition, bool) {
	s, ok := v.text("everyone_agreed_to")
	if !ok {
		return nil, false
	}
	if _, known := r.l.s.Clients.Consents[s]; !known && r.l.readable[fileClients] {
		v.report(codeNoConsent, "clients.yaml has no consent called %s", didYouMean(s, r.l.s.Clients.Purposes()), quote(s))
		return nil, false
	}
	return filter.EveryoneAgreedTo{Purpose: s}, true
}

func readAlready(_ *ruleReader, v value) (filter.Condition, bool) {
	w, ok := v.word("already", "signed", "encrypted")
	return filter.Already{What: w}, ok
}

func readAny(r *ruleReader, v value) (filter.Condition, bool) {
	c, ok := r.group("any", v)
	return filter.Any{Conditions: c}, ok
}

func readAll(r *ruleReader, v value) (filter.Condition, bool) {
	c, ok := r.group("all", v)
	return filter.All{Conditions: c}, ok
}

// group reads the entries of any and all: each is a set of conditions that must all hold.
func (r *ruleReader) group(what string, v value) ([]filter.Condition, bool) {
	var out []filter.Condition
	before := r.l.found()
	if v.n.Kind != yaml.SequenceNode {
		v.report(codeConditionForm, "%s must be a list of conditions", "write it as [{to: client}, {to: unknown}]", what)
		return nil, false
	}
	for _, e := range v.filled(what) {
		switch c := r.conditions("an entry of "+what, e); len(c) {
		case 0:
		case 1:
			out = append(out, c[0])
		default:
			out = append(out, filter.All{Conditions: c})
		}
	}
	return out, r.l.found() == before && len(out) > 0
}

// verbs reads do.
func (r *ruleReader) verbs(v value) {
	type done struct {
		verb verb
		at   value
	}
	var all []done
	for _, e := range v.filled("do") {
		kind, ok := r.verb(e)
		if !ok {
			continue
		}
		for _, d := range all {
			if d.verb.name == kind.name && kind.name != "tell" {
				e.report(codeEntryTwice, "%s stands twice", "keep one", quote(kind.name))
			} else if why := contradiction(d.verb, kind); why != "" {
				e.report(codeVerbsClash, "%s and %s cannot both be done", why+": keep one", quote(d.verb.name), quote(kind.name))
			}
		}
		all = append(all, done{kind, e})
	}
}

// verb reads one entry of do: a word, or {word: argument}.
func (r *ruleReader) verb(e value) (verb, bool) {
	word, arg := e, value{}
	if e.n.Kind == yaml.MappingNode {
		if len(e.n.Content) != 2 {
			e.report(codeVerbForm, "one entry of do is one verb", "begin a new entry for each")
			return verb{}, false
		}
		word, arg = value{e.d, e.n.Content[0]}, value{e.d, e.n.Content[1]}
	}
	if word.n.Kind != yaml.ScalarNode {
		word.report(codeVerbForm, "an entry of do must be a verb", "for example [hold] or [{tell: safeguarding_lead}]")
		return verb{}, false
	}
	vb, known := findVerb(word.n.Value)
	if !known {
		fix := didYouMean(word.n.Value, verbNames())
		if fix == "" {
			fix = "the verbs are: " + strings.Join(verbNames(), ", ")
		}
		if slices.Contains(conditionNames(), word.n.Value) {
			fix = "this word is a condition: write it under when"
		}
		word.report(codeVerb, "unknown verb %s", fix, quote(word.n.Value))
		return verb{}, false
	}
	switch {
	case vb.arg == noArgument && arg.ok():
		word.report(codeVerbValue, "%s takes no value", "write it alone: "+vb.name, quote(vb.name))
		return verb{}, false
	case vb.arg != noArgument && (!arg.ok() || arg.isNull()):
		word.report(codeVerbValue, "%s needs a value", "write {"+vb.name+": "+vb.arg.example()+"}", quote(vb.name))
		return verb{}, false
	}
	text, ok := "", true
	if arg.ok() {
		text, ok = r.argument(vb, arg)
	}
	if !ok {
		return verb{}, false
	}
	if vb.later {
		word.warn(codeVerbHolds, "this version cannot do "+quote(vb.name)+" yet: mail to which this rule applies is held", "")
	}
	switch vb.name {
	case "use_alias":
		r.l.usesAlias = append(r.l.usesAlias, word)
	case "crisis_signature":
		r.l.usesLines = append(r.l.usesLines, word)
	}
	r.spec.Do = append(r.spec.Do, filter.Verb{Kind: vb.kind, Arg: text})
	return vb, true
}

func (a argument) example() string {
	switch a {
	case aTemplate:
		return "neutral-default"
	case aPerson:
		return "sam"
	case aPersonOrRole:
		return RoleSafeguardingLead
	case aRemovable:
		return "kisses"
	case aLock:
		return "pdf"
	}
	return "name"
}

// argument reads what stands after a verb's colon, and resolves it.
func (r *ruleReader) argument(vb verb, v value) (string, bool) {
	switch vb.arg {
	case aRemovable:
		return v.word(vb.name, "kisses")
	case aLock:
		w, ok := v.word(vb.name, "pdf", "docx", "zip", "pgp")
		r.l.locksZip = r.l.locksZip || w == "zip"
		return w, ok
	}
	s, ok := v.text(vb.name)
	if !ok {
		return "", false
	}
	switch vb.arg {
	case aTemplate:
		if _, known := r.l.subjects[s]; !known && r.l.readable[fileTemplates] {
			v.report(codeNoTemplate, "templates.yaml has no subject called %s", didYouMean(s, r.l.subjectNames()), quote(s))
			return "", false
		}
	case aSignature:
		if _, known := r.l.signatures[s]; !known && r.l.readable[fileTemplates] {
			v.report(codeNoTemplate, "templates.yaml has no signature called %s", r.l.noSignature(s), quote(s))
			return "", false
		}
	case aPerson, aPersonOrRole:
		known := r.l.personIDs()
		if vb.arg == aPersonOrRole {
			known = append(known, RoleSafeguardingLead, RoleDataProtection)
		}
		if !r.l.readable[filePeople] {
			return s, true // its own problems are reported
		}
		if !slices.Contains(known, s) {
			v.report(codeNobody, "no person in people.yaml has the id %s", didYouMean(s, known), quote(s))
			return "", false
		}
		if vb.name == "hold_for" {
			if p, _ := r.l.s.Person(s); !p.Can("release") {
				v.report(codeMayNotRelease, "%s may not release held mail, so it would wait for nobody", "name a person with release in may, or add it in people.yaml", quote(s))
				return "", false
			}
		}
	}
	return s, true
}
