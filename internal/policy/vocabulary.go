package policy

import (
	"slices"

	"github.com/plaincover/plaincover/internal/filter"
)

// condition is one word of when and unless.
type condition struct {
	name  string
	later bool // known by the language, but this program cannot check it yet
	read  func(r *ruleReader, v value) (filter.Condition, bool)
}

// conditions is the whole vocabulary, so that the message about a word is always right.
func conditions() []condition {
	return []condition{
		{name: "to", read: readTo},
		{name: "clients_more_than", read: readClientsMoreThan},
		{name: "recipient", read: readRecipient},
		{name: "sender", read: readSender},
		{name: "sender_may", read: readSenderMay},
		{name: "subject_starts", read: readSubjectStarts},
		{name: "attachment", read: readAttachment},
		{name: "mentions", read: readMentions},
		{name: "words_more_than", read: readWordsMoreThan},
		{name: "contains", read: readContains},
		{name: "names_other_client", later: true},
		{name: "client_younger_than", read: readClientYoungerThan},
		{name: "client_country", read: readClientCountry},
		{name: "client_country_not", read: readClientCountryNot},
		{name: "client_discreet", read: readClientDiscreet},
		{name: "everyone_agreed_to", read: readEveryoneAgreedTo},
		{name: "already", read: readAlready},
		{name: "outside", read: readOutside},
		{name: "size_more_than", read: readSizeMoreThan},
		{name: "any", read: readAny},
		{name: "all", read: readAll},
	}
}

func conditionNames() []string {
	var out []string
	for _, c := range conditions() {
		out = append(out, c.name)
	}
	return out
}

// argument says what stands after a verb's colon.
type argument uint8

const (
	noArgument argument = iota
	aTemplate
	aPerson
	aPersonOrRole
	aSignature
	aRemovable
	aLock
)

// verb is one word of do.
type verb struct {
	name  string
	kind  filter.VerbKind
	arg   argument
	later bool // this program cannot do it yet: mail to which the rule applies is held
	stops bool // holds or refuses
	edits bool // changes or addresses a copy that leaves
}

// verbs is the whole vocabulary.
func verbs() []verb {
	return []verb{
		{name: "send_separately", kind: filter.VerbSendSeparately, edits: true},
		{name: "bcc", kind: filter.VerbBcc, edits: true},
		{name: "subject", kind: filter.VerbSubject, arg: aTemplate, edits: true},
		{name: "neutral_first_line", kind: filter.VerbNeutralFirstLine, edits: true},
		{name: "use_alias", kind: filter.VerbUseAlias, edits: true},
		{name: "remove_identifying_headers", kind: filter.VerbRemoveIdentifyingHeaders, edits: true},
		{name: "neutral_filenames", kind: filter.VerbNeutralFilenames, edits: true},
		{name: "remove_metadata", kind: filter.VerbRemoveMetadata, later: true, edits: true},
		{name: "crisis_signature", kind: filter.VerbCrisisSignature, edits: true},
		{name: "signature", kind: filter.VerbSignature, arg: aSignature, edits: true},
		{name: "expectation_line", kind: filter.VerbExpectationLine, edits: true},
		{name: "pseudonymise", kind: filter.VerbPseudonymise, edits: true},
		{name: "trim_quotes", kind: filter.VerbTrimQuotes, edits: true},
		{name: "remove", kind: filter.VerbRemove, arg: aRemovable, edits: true},
		{name: "lock", kind: filter.VerbLock, edits: true},
		{name: "lock_as", kind: filter.VerbLockAs, arg: aLock, edits: true},
		{name: "hold", kind: filter.VerbHold, stops: true},
		{name: "hold_for", kind: filter.VerbHoldFor, arg: aPerson, stops: true},
		{name: "refuse", kind: filter.VerbRefuse, stops: true},
		{name: "never_hold", kind: filter.VerbNeverHold},
		{name: "tell", kind: filter.VerbTell, arg: aPersonOrRole},
	}
}

func verbNames() []string {
	var out []string
	for _, v := range verbs() {
		out = append(out, v.name)
	}
	return out
}

func findVerb(name string) (verb, bool) {
	vs := verbs()
	i := slices.IndexFunc(vs, func(v verb) bool { return v.name == name })
	if i < 0 {
		return verb{}, false
	}
	return vs[i], true
}

// contradiction says why two verbs of one rule cannot both be done; empty if they can.
func contradiction(a, b verb) string {
	is := func(x, y string) bool { return (a.name == x && b.name == y) || (a.name == y && b.name == x) }
	refuse := a.name == "refuse" || b.name == "refuse"
	switch {
	case is("send_separately", "bcc"):
		return "one makes a copy for everybody, the other one message for all"
	case is("never_hold", "hold"), is("never_hold", "hold_for"):
		return "one holds the mail, the other says that it is never held"
	case is("hold", "hold_for"):
		return "hold_for already holds, and says for whom"
	case is("lock", "lock_as"):
		return "lock_as already locks, and says how"
	case refuse && (is("refuse", "hold") || is("refuse", "hold_for") || is("refuse", "never_hold")):
		return "what is refused cannot be held or let through"
	case refuse && (a.edits || b.edits):
		return "what is refused does not leave, so nothing in it can change"
	}
	return ""
}

// builtinRules are the ids that findings of the program itself carry. No rule may take one.
func builtinRules() []string {
	return []string{filter.RuleReadable, filter.RuleLimit, filter.RuleSigned, filter.RuleConflict, filter.RuleIdentity, filter.RuleCannotChange, filter.RuleCannotLock, filter.RuleLeak}
}
