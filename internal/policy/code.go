package policy

// Code names a kind of problem. It stays what it is from version to version, so that people
// can look it up and talk about it: docs/errors.md has a page for each.
type Code string

// The file itself.
const (
	codeFileMissing  Code = "P001"
	codeFileName     Code = "P002" // nobody reads a file of this name
	codeFileUnread   Code = "P003" // it cannot be opened or read
	codeFileTooLarge Code = "P004"
	codeSaysNothing  Code = "P005" // an empty file, which would remove all protection
	codeNotUTF8      Code = "P006"
	codeInvisible    Code = "P007"
	codeNotBuilt     Code = "P008" // the language has it, this version does not
	codeMoreProblems Code = "P009"
	codeTab          Code = "P010"
	codeQuoteOpen    Code = "P011"
	codeCurlyQuote   Code = "P012"
	codeFirstChar    Code = "P013" // a text begins with a sign that means something
	codeBackslash    Code = "P014"
	codeBracketOpen  Code = "P015"
	codeColonInText  Code = "P016"
	codeNoColon      Code = "P017"
	codeDoesNotFit   Code = "P018"
	codeTwoDocuments Code = "P019"
	codeTooDeep      Code = "P020"
	codeReference    Code = "P021" // an anchor, an alias or a merge
	codeTypeByHand   Code = "P022"
	codeSpaceMissing Code = "P023" // after a dash or a colon
	codeNotText      Code = "P024" // another kind of file
)

// Words and keys.
const (
	codeUnknownKey  Code = "P030"
	codeKeyTwice    Code = "P031"
	codeKeyMissing  Code = "P032"
	codeNoValue     Code = "P033"
	codeNotKeys     Code = "P034"
	codeNotList     Code = "P035"
	codeEmpty       Code = "P036" // a list or a set of keys with nothing in it
	codeNotSingle   Code = "P037"
	codeKeyForm     Code = "P038"
	codeUnknownWord Code = "P039"
	codeEntryTwice  Code = "P040"
)

// Values.
const (
	codeQuoteIt    Code = "P050" // a text that could be taken for a number, a time, a date, yes or no
	codeTextEmpty  Code = "P051"
	codeYesNo      Code = "P052"
	codeNumber     Code = "P053"
	codeRange      Code = "P054"
	codeLength     Code = "P055" // of time
	codeSize       Code = "P056"
	codeClock      Code = "P057"
	codeDate       Code = "P058"
	codeName       Code = "P059"
	codeLetterCode Code = "P060" // of a country, a region or a language
	codeAddress    Code = "P061"
	codeDomain     Code = "P062"
	codePhone      Code = "P063"
	codeTooLong    Code = "P064"
)

// The practice, its people and its clients.
const (
	codeVersion        Code = "P070"
	codeTimeZone       Code = "P071"
	codeHoursBackwards Code = "P072"
	codeHeldTimes      Code = "P073"
	codeSecondPerson   Code = "P074"
	codeNobody         Code = "P075" // no person or system has this id
	codeIDTaken        Code = "P076"
	codeSameSignIn     Code = "P077"
	codePracticePhone  Code = "P078"
	codeAnybodysDomain Code = "P079" // a domain at which anybody can have a mailbox
	codeNoAlias        Code = "P080"
	codeClientData     Code = "P081"
	codeRealInTest     Code = "P082"
)

// Rules.
const (
	codeNoRules        Code = "P100"
	codeRuleTwice      Code = "P101"
	codeRuleBuiltIn    Code = "P102"
	codeCondition      Code = "P103"
	codeVerb           Code = "P104"
	codeVerbValue      Code = "P105"
	codeVerbForm       Code = "P106"
	codeVerbsClash     Code = "P107"
	codeAlwaysObserved Code = "P108"
	codeNoText         Code = "P109"
	codeTextKind       Code = "P110"
	codeConditionForm  Code = "P111"
	codeNoTemplate     Code = "P112"
	codeNoConsent      Code = "P113"
	codeMayNotRelease  Code = "P114"
	codeNoHours        Code = "P115"
	codeNoWordList     Code = "P116"
	codeWordListEmpty  Code = "P117"
	codeNeverApplies   Code = "P118"
	codeReplyMark      Code = "P119" // subject_starts with what is taken off first
	codeRulesClash     Code = "P120"
)

// Texts, crisis lines and word lists.
const (
	codePlaceholder  Code = "P130"
	codeOtherBraces  Code = "P131"
	codeEmergency    Code = "P132"
	codeCrisisLine   Code = "P133"
	codeNation       Code = "P134"
	codeNoLines      Code = "P135"
	codeWordListLine Code = "P136"
)

// Layout: the file is sound, and gateway fmt left it as it is.
const (
	codeLeftAsItIs Code = "P140"
)

// Tests.
const (
	codeTestTwice     Code = "P150"
	codeTestMail      Code = "P151"
	codeTestEML       Code = "P152"
	codeTestRecipient Code = "P153"
	codeTestRule      Code = "P154"
	codeTestClient    Code = "P155"
)

// Warnings: the files load.
const (
	codeUnchecked   Code = "P170" // crisis lines
	codeVerbHolds   Code = "P171"
	codeOtherDomain Code = "P172"
	codePhraseTwice Code = "P173"
	codeNoTests     Code = "P174"
	codeWeakZip     Code = "P175"
	codeAddsNothing Code = "P176" // another rule does it all
	codeNobodyMay   Code = "P177"
	codeAboutUnsaid Code = "P180" // holds mail by its words, and does not say whether danger goes first
	codeListUnused  Code = "P181" // a word list that no rule uses
	codeManyPhrases Code = "P182" // several phrases in one line of a word list
)
