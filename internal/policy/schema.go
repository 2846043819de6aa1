package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/templates"
)

// schema is a JSON Schema (draft 7, which editors know best) of one value. It serves those who
// write policy files in an editor: it completes words and underlines slips while they type. It
// is the weaker check of the two: what [Load] refuses, it may let pass, never the reverse.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Type                 any                `json:"type,omitempty"` // a word, or several
	Enum                 []any              `json:"enum,omitempty"`
	EnumDescriptions     []string           `json:"enumDescriptions,omitempty"` // read by editors
	Const                any                `json:"const,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MaxLength            int                `json:"maxLength,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PatternProperties    map[string]*schema `json:"patternProperties,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // false, or a schema
	Required             []string           `json:"required,omitempty"`
	MinProperties        int                `json:"minProperties,omitempty"`
	MaxProperties        int                `json:"maxProperties,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	Examples             []any              `json:"examples,omitempty"`
	Definitions          map[string]*schema `json:"definitions,omitempty"`

	what  string   // the name of a set of keys in messages, which ties it to the reader of the file
	order []string // the keys as a person would write them
}

// SchemaFiles returns the JSON Schema of each kind of policy file, by its file name:
// organisation.json for organisation.yaml, test.json for the files of tests.
func SchemaFiles() (map[string][]byte, error) {
	out := map[string][]byte{}
	for name, s := range schemas() {
		s.Schema = "http://json-schema.org/draft-07/schema#"
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil {
			return nil, fmt.Errorf("policy: schema %s: %w", name, err)
		}
		out[name+".json"] = b.Bytes()
	}
	return out, nil
}

func schemas() map[string]*schema {
	return map[string]*schema{
		"organisation": organisationSchema(), "people": peopleSchema(), "clients": clientsSchema(), "mail": mailSchema(),
		"templates": templatesSchema(), "crisis-lines": crisisSchema(), "test": testSchema(),
	}
}

// property is one key of a set: must says that it has to be there.
type property struct {
	key   string
	must  bool
	value *schema
}

func set(what, about string, properties ...property) *schema {
	s := &schema{what: what, Description: about, Type: "object", Properties: map[string]*schema{}, AdditionalProperties: false}
	for _, p := range properties {
		s.Properties[p.key] = p.value
		s.order = append(s.order, p.key)
		if p.must {
			s.Required = append(s.Required, p.key)
		}
	}
	slices.Sort(s.Required)
	return s
}

// named is a set whose keys the writer chooses.
func named(about, form string, value *schema) *schema {
	return &schema{Description: about, Type: "object", MinProperties: 1, PropertyNames: &schema{Pattern: form}, AdditionalProperties: value}
}

func aText(about string, examples ...any) *schema {
	return &schema{Description: about, Type: "string", Pattern: `\S`, Examples: examples}
}

func formed(about, pattern string, examples ...any) *schema {
	return &schema{Description: about, Type: "string", Pattern: pattern, Examples: examples}
}

func aWord(about string, words ...string) *schema {
	s := &schema{Description: about}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	return s
}

// yesOrNo takes the bare words, as a reader of YAML 1.2 and one of 1.1 give them.
func yesOrNo(about string) *schema {
	return &schema{Description: about, Enum: []any{"yes", "no", true, false}}
}

func aNumber(about string, low, high int) *schema {
	return &schema{Description: about, Type: "integer", Minimum: &low, Maximum: &high}
}

func listOf(about string, least int, item *schema) *schema {
	return &schema{Description: about, Type: "array", MinItems: least, Items: item}
}

func oneOrList(about string, item *schema) *schema {
	return &schema{Description: about, AnyOf: []*schema{item, {Type: "array", MinItems: 1, Items: item}}}
}

// The forms of values, as scalar.go reads them.
const (
	formName    = `^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`
	formSpan    = `^[0-9]{1,5}[smhd]$`
	formPeriod  = `^[1-9][0-9]{0,3} (day|days|week|weeks|month|months|year|years)$`
	formClock   = `^([01][0-9]|2[0-3]):[0-5][0-9]$`
	formDate    = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	formMoment  = `^[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]$`
	formCountry = `^[A-Z]{2}$`
	formRegion  = `^[A-Z]{2,3}$`
	formPhone   = `^[0-9 +()-]{3,40}$`
	formSize    = `^(0|[1-9][0-9]{0,4}) (KB|MB)$`
	formAddress = `^[^\s@]([^@]*[^\s@])?@[^\s@]+$`
	formDomain  = `^[^\s@]+$`
)

func spanSchema(about string) *schema {
	return formed(about+" s is seconds, m minutes, h hours, d days.", formSpan, "15m", "2h", "3d")
}
func dateSchema(about string) *schema { return formed(about, formDate, "2026-03-01") }
func codeSchema(about string) *schema { return formed(about, formCountry, "GB", "IE") }
func phoneSchema(about string) *schema {
	return formed(about+" In quotes, as people dial it.", formPhone, "0161 496 0000")
}
func addressSchema(about string) *schema {
	return formed(about, formAddress, "maya@willowhouse.example")
}

func organisationSchema() *schema {
	s := set("organisation.yaml", "What holds for the whole practice.",
		property{"version", true, &schema{Description: "The version of the policy language: 1.", Const: 1}},
		property{"organisation", true, set("organisation", "Who you are.",
			property{"name", true, aText("The practice's name, as its own people know it.")},
			property{"text_name", true, aText("What clients may read instead of the name: neutral, because others may see it.")},
			property{"country", true, codeSchema("The practice's country. Crisis lines need it.")},
			property{"nation", false, aText("England, Scotland, Wales, Northern Ireland: some crisis lines are for one nation only.", "England")},
			property{"language", true, aText("The language that clients are written to in, where the register says nothing.", "en-GB", "cy")},
			property{"timezone", true, aText("The time zone that dates of mails are written in.", "Europe/London")},
			property{"ico_registration", false, aText("The number of your registration with the Information Commissioner.")})},
		property{"domains", true, listOf("Your mail domains: whoever has an address there is a colleague.", 1, formed("", formDomain, "willowhouse.example"))},
		property{"contacts", true, set("contacts", "Who is told, and the number to ring.",
			property{RoleSafeguardingLead, true, aText("The id of the person who is told at once when a mail speaks of danger.")},
			property{RoleDataProtection, true, aText("The id of the person who answers for data protection.")},
			property{"phone", true, phoneSchema("The practice's own number.")})},
		property{"working_hours", false, set("working_hours", "When somebody reads mail.",
			property{"days", true, listOf("The days of work.", 1, aWord("", "mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
			property{"from", true, formed("When work begins.", formClock, "09:00")},
			property{"to", true, formed("When it ends, later on the same day.", formClock, "18:00")},
			property{"bank_holidays", false, aWord("Whose bank holidays are free.", "england-and-wales", "scotland", "northern-ireland", "none")})},
		property{"mode", false, aWord("enforce: rules act. observe: rules only report what they would do, but for those with always_enforce: yes.", "enforce", "observe")},
		property{"on_mixed", false, aWord("When one recipient's copy is held. hold_all: the whole mail waits. split: the others leave.", "hold_all", "split")},
		property{"undo", false, formed("How long a mail waits so that it can be taken back. This version knows only 0s.", formSpan, "0s")},
		property{"limits", false, set("limits", "How much one mail may do.",
			property{"clients_per_message", false, aNumber("To how many clients one mail may go.", 1, 1000)})},
		property{"keep", true, set("keep", "How long records are kept.",
			property{"message_content_days", true, aNumber("Days that the content of a mail is kept after it has left; held mail is kept until it is decided.", 0, 365)},
			property{"audit_days", true, aNumber("Days that the record of what happened is kept. It holds no content.", 1, 36500)},
			property{"consent_evidence_years", true, aNumber("Years that the evidence of a consent is kept.", 1, 100)})},
		property{"held_mail", true, set("held_mail", "What happens to held mail.",
			property{"second_person", true, aWord("Who may release held mail. required: somebody else than the sender. self_with_delay: the sender too, after the delay. none: the sender at once.", "required", "self_with_delay", "none")},
			property{"delay", false, spanSchema("How long a sender's own release waits.")},
			property{"remind_after", true, spanSchema("When somebody is reminded of held mail.")},
			property{"expires_after", true, spanSchema("When held mail that nobody decided is stopped. At least 1h.")},
			property{"on_expiry", true, aWord("What then happens.", "refuse_and_tell_sender")})},
		property{"regions", false, set("regions", "Where a company that carries your mail may process it.",
			property{"allowed", true, listOf("Codes of countries, or EEA.", 1, formed("", formRegion, "GB", "EEA"))})})
	s.Title = "organisation.yaml"
	return s
}

func maySchema() *schema {
	s := aWord("", Permissions()...)
	s.EnumDescriptions = nil
	for _, p := range Permissions() {
		s.EnumDescriptions = append(s.EnumDescriptions, permissionMeans(p))
	}
	return listOf("What they are allowed to do.", 0, s)
}

// permissionMeans says what a word of may allows.
func permissionMeans(p string) string {
	return map[string]string{
		"send":             "sends mail",
		"send_now":         "may mark an urgent mail [send-now: reason], which rules about tone do not hold",
		"text":             "sends texts (a later version)",
		"cancel_own":       "stops their own held mail",
		"lock_own":         "has their own held mail locked instead",
		"release":          "lets held mail of others leave",
		"see_held_content": "reads held mail",
		"edit_policy":      "changes these files",
		"edit_register":    "changes the list of clients",
		"audit":            "reads the record of what happened",
	}[p]
}

func peopleSchema() *schema {
	id := formed("A short name of your own for this person, which rules and tests use.", formName, "maya")
	s := set("people.yaml", "Who sends mail through the gateway.",
		property{"people", true, listOf("Everybody who sends mail.", 1, set("a person", "One person.",
			property{"id", true, id},
			property{"name", true, aText("The full name. Clients never see it where clients_see is in force.")},
			property{"signs_in_as", true, addressSchema("The work address that the mail app signs in with.")},
			property{"also_uses", false, listOf("More addresses that this person sends from.", 0, addressSchema(""))},
			property{"phones", false, listOf("Their own phone numbers, which clients must not read.", 0, phoneSchema(""))},
			property{"clients_see", false, set("clients_see", "What clients see instead of the real name and address.",
				property{"name", true, aText("A neutral name.", "M")},
				property{"address", true, addressSchema("A neutral address whose mailbox somebody reads: replies go there.")})},
			property{"may", true, maySchema()}))},
		property{"systems", false, listOf("Programs that send mail for people, such as a diary.", 0, set("a system", "One program.",
			property{"id", true, formed("A short name of your own for this program.", formName, "diary")},
			property{"signs_in_as", true, addressSchema("The address that it signs in with.")},
			property{"may_use", false, listOf("Ids of the people for whom it sends.", 0, formed("", formName))},
			property{"may", true, maySchema()}))})
	s.Title = "people.yaml"
	return s
}

func protections() []string {
	return []string{"locked_pdf", "locked_word", "locked_zip", "pgp", "none"}
}

func clientsSchema() *schema {
	s := set("clients.yaml", "What holds for all clients. The clients themselves are in the register, never in these files.",
		property{"clients_are", true, aWord("What an unknown age counts as. adults: an adult. young and all_ages: under age.", "adults", "young", "all_ages")},
		property{"defaults", true, set("defaults", "What counts where the register says nothing about a client.",
			property{"discreet", true, yesOrNo("yes: somebody else may see this client's mail, so nothing in it may tell.")},
			property{"protection", true, aWord("How confidential mail is locked.", protections()...)})},
		property{"password", false, set("password", "The words that open what is locked.",
			property{"words", true, aNumber("How many words.", 4, 12)},
			property{"from", true, aWord("agreed: in session. sms: by text, with a consent for it.", "agreed", "sms")})},
		property{"consent", true, named("What each consent needs, by purpose.", formName, set("a consent", "One purpose of consent.",
			property{"needs", true, aWord("recorded: somebody wrote down that and how it was given.", "recorded")},
			property{"lasts", true, formed("How long it is valid.", formPeriod, "12 months")},
			property{"wording", true, formed("The version of the wording that the client agreed to.", formName, "group-consent-v1")},
			property{"evidence", true, listOf("What counts as evidence.", 1, aWord("", "form", "session_note", "call_note"))}))},
		property{"minimum_age", false, set("minimum_age", "Below this age a channel is not used.",
			property{"whatsapp", false, aNumber("WhatsApp's own minimum is 13 in the UK and 16 is the usual choice.", 13, 100)})},
		property{"under_16", false, set("under_16", "What the consent of somebody under 16 needs besides.",
			property{"sms_reminders_also_needs", false, aWord("For text reminders.", "parent_or_competence_note", "parent_consent", "competence_note")})},
		property{"not_clients", false, set("not_clients", "Who outside the practice is certainly no client.",
			property{"domains", false, listOf("Whole domains, such as nhs.net.", 0, formed("", formDomain))},
			property{"addresses", false, listOf("Single addresses.", 0, addressSchema(""))})})
	s.Title = "clients.yaml"
	return s
}

func templatesSchema() *schema {
	later := func(what string) *schema {
		return &schema{Description: "The wording of " + what + ". This version sends none and refuses the key."}
	}
	s := set("templates.yaml", "The wording of what clients read.",
		property{"subjects", true, named("Subjects by name. They may hold ((sender_name)), ((word)), ((practice)) and ((weekday)). no-word is for clients without a word.",
			formName, &schema{Type: "string", Pattern: `\S`, MaxLength: 120})},
		property{"signatures", false, named("Signatures by name, for {signature: NAME}. An empty line begins a new paragraph. They may hold ((sender_name)), ((practice)) and ((phone)).",
			formName, &schema{Type: "string", Pattern: `\S`, MaxLength: 2000})},
		property{"expectation_line", false, &schema{Description: "What expectation_line says, in place of our own sentence.", Type: "string", Pattern: `\S`, MaxLength: 300}},
		property{"sms", false, later("texts")}, property{"whatsapp", false, later("WhatsApp messages")})
	s.Title = "templates.yaml"
	return s
}

func crisisSchema() *schema {
	s := named("Crisis lines by country. A safeguarding lead must read this file before it is used.", formCountry,
		set("a country", "The lines of one country.",
			property{"emergency", true, aText("The number to call in danger, in quotes.", "999", "112 or 999")},
			property{"lines", true, listOf("The helplines.", 1, set("a crisis line", "One helpline. It needs call or text.",
				property{"name", true, aText("Its name.")},
				property{"call", false, phoneSchema("The number to call.")},
				property{"text", false, aText("The number to text, and the word to text if one is needed.", "85258", "HELLO to 50808")},
				property{"note", false, aText("What else to do, as the end of the sentence: and choose the mental health option.")},
				property{"hours", true, aText("24/7, or when it is open.", "24/7")},
				property{"free", true, yesOrNo("Whether the call or text costs nothing.")},
				property{"for", true, formed("all, or an age: under_19.", `^(all|under_[0-9]{1,2})$`, "all", "under_19")},
				property{"nation", false, aText("The nation that it is for; without it the whole country.")},
				property{"not_nation", false, aText("For everybody in the country but clients of this nation.", "Scotland")},
				property{"language", false, aText("The language that it is in; without it any.", "cy")},
				property{"source", true, aText("Where the facts stand.", "samaritans.org")},
				property{"checked_on", true, &schema{Description: "The day when somebody last rang it or looked at its source, or never. After 180 days check warns.",
					AnyOf: []*schema{{Const: "never"}, formed("", formDate)}}}))}))
	s.what, s.Title = "crisis-lines.yaml", "crisis-lines.yaml"
	return s
}

func mailSchema() *schema {
	about := aWord("safety (without the key): about who receives what. tone: about how it is said; never_hold undoes only holds of these.", string(filter.Safety), string(filter.Tone))
	rule := set("a rule", "A rule is a sentence: when this is so, do that, because of this. Every rule that fits applies, and the strictest outcome wins.",
		property{"name", true, aText("The rule as a sentence. People read it when the rule holds a mail.")},
		property{"id", true, formed("A short name for tests and records, each once.", formName, "unknown-recipient")},
		property{"when", true, &schema{Description: "Conditions that must all be true. For all mail: {to: anyone}.", Ref: "#/definitions/conditions"}},
		property{"unless", false, &schema{Description: "Conditions that switch the rule off when all of them are true.", Ref: "#/definitions/conditions"}},
		property{"do", true, listOf("What to do.", 1, verbSchema())},
		property{"because", false, aText("Why the rule exists; quote the guidance.")},
		property{"about", false, about},
		property{"tell_sender", false, aWord("The text that the sender reads when this rule holds or refuses.", textIDs()...)},
		property{"always_enforce", false, yesOrNo("yes: in force even with mode: observe, and nobody releases their own mail from it.")},
		property{"mode", false, aWord("enforce, or observe: this rule alone only reports.", "enforce", "observe")})
	s := set("mail.yaml", "The rules for mail.", property{"rules", true, listOf("Every rule, in any order.", 1, rule)})
	s.Title, s.Definitions = "mail.yaml", map[string]*schema{"conditions": conditionsSchema()}
	return s
}

func conditionsSchema() *schema {
	s := &schema{what: "a condition", Description: "Conditions, one a key. All must be true.", Type: "object", MinProperties: 1,
		AdditionalProperties: false, Properties: conditionValues()}
	return s
}

// conditionValues returns what stands after each condition's colon.
func conditionValues() map[string]*schema {
	group := listOf("", 1, &schema{Ref: "#/definitions/conditions"})
	country := oneOrList("", codeSchema(""))
	out := map[string]*schema{
		"to":                  aWord("", "client", "colleague", "unknown", "anyone"),
		"clients_more_than":   aNumber("", 0, 1000),
		"recipient":           aWord("", "not_listed", "looks_like_client", "first_time", "former_client"),
		"sender":              oneOrList("", formed("", formName)),
		"sender_may":          aWord("", Permissions()...),
		"subject_starts":      aText("", "[draft]"),
		"attachment":          oneOrList("", aWord("", "document", "image", "archive", "calendar", "contact_card", "program", "unreadable", "any")),
		"mentions":            listOf("", 1, formed("", formName, "danger_words")),
		"words_more_than":     aNumber("", 0, 1_000_000),
		"contains":            aWord("", "link", "join_link", "reused_join_link", "personal_contact", "kisses", "password", "remote_image"),
		"names_other_client":  yesOrNo(""),
		"client_younger_than": aNumber("", 1, 120),
		"client_country":      country,
		"client_country_not":  country,
		"client_discreet":     yesOrNo(""),
		"everyone_agreed_to":  formed("", formName, "group_email"),
		"already":             aWord("", "signed", "encrypted"),
		"outside":             aWord("", "working_hours"),
		"size_more_than":      formed("", formSize, "10 MB"),
		"any":                 group,
		"all":                 group,
	}
	out = maps.Clone(out)
	for name, v := range out {
		c := *v
		c.Description = conditionMeans(name) + ". For example: " + conditionExample(name)
		out[name] = &c
	}
	return out
}

// verbSchema takes a verb alone, or one with its value.
func verbSchema() *schema {
	alone := &schema{}
	with := &schema{Type: "object", MinProperties: 1, MaxProperties: 1, AdditionalProperties: false, Properties: map[string]*schema{}}
	for _, v := range verbs() {
		if v.arg == noArgument {
			alone.Enum = append(alone.Enum, v.name)
			alone.EnumDescriptions = append(alone.EnumDescriptions, verbMeans(v.name))
			continue
		}
		value := formed(verbMeans(v.name), formName, v.arg.example())
		switch v.arg {
		case aRemovable:
			value = aWord(verbMeans(v.name), "kisses")
		case aLock:
			value = aWord(verbMeans(v.name), "pdf", "docx", "zip", "pgp")
		}
		with.Properties[v.name] = value
	}
	return &schema{AnyOf: []*schema{alone, with}}
}

func testSchema() *schema {
	dates := set("a consent of a client", "When it was given and how long it is valid.",
		property{"given_on", true, dateSchema("The day when it was given.")},
		property{"expires_on", false, dateSchema("The first day when it is no longer valid.")},
		property{"withdrawn", false, yesOrNo("Whether it was taken back.")})
	consent := &schema{Description: "Whether the client consents to this purpose, or since when.", AnyOf: []*schema{yesOrNo(""), dates}}
	client := set("a client", "A client who exists in this file of tests only. Also each purpose of consent, as yes or no.",
		property{"email", false, oneOrList("One address, or a list. At example.org or any .example domain.", addressSchema(""))},
		property{"mobile", false, formed("A number from 07700 900000 to 07700 900999, in quotes.", formPhone, "07700 900123")},
		property{"name", false, aText("The full name.")},
		property{"born", false, dateSchema("The date of birth.")},
		property{"discreet", false, yesOrNo("Whether others may see this client's mail.")},
		property{"country", false, codeSchema("Where they live.")},
		property{"nation", false, aText("England, Scotland, Wales, Northern Ireland.")},
		property{"language", false, aText("The language that they are written to in.")},
		property{"timezone", false, aText("Their time zone.")},
		property{"word", false, aText("The word that they agreed to, which stands in subjects.")},
		property{"status", false, aWord("Without it: active.", "active", "former")},
		property{"protection", false, aWord("How their confidential mail is locked.", protections()...)},
		property{"words", false, yesOrNo("Whether words are agreed that open locked documents.")},
		property{"practitioner", false, formed("The id of the person who sees them.", formName)})
	client.AdditionalProperties = consent
	recipients := func(about string) *schema {
		return listOf(about, 0, aText("A client's code, the id of a person, or an address.", "C-1", "sam"))
	}
	copied := set("a copy", "What one copy is like.",
		property{"recipients", false, aNumber("So many people get this one message.", 1, 1000)},
		property{"subject", false, aText("Its whole subject.")},
		property{"subject_lacks", false, oneOrList("Words that are not in the subject.", aText(""))},
		property{"has", false, listOf("Marks or texts that are there. Marks: "+strings.Join(marks(), ", ")+".", 0, aText("", anyOf(marks())...))},
		property{"lacks", false, listOf("Marks or texts that are not there.", 0, aText("", anyOf(marks())...))},
		property{"locked", false, aWord("How it is locked; none: it leaves unlocked.", "pdf", "docx", "zip", "pgp", "none")},
		property{"shows_to", false, recipients("Exactly these stand in To.")},
		property{"shows_cc", false, recipients("Exactly these stand in Cc; [] is no Cc.")})
	outcome := func(about string) *schema { return aWord(about, "send", "hold", "refuse") }
	rules := func(about string) *schema { return listOf(about, 0, formed("", formName)) }
	expect := set("expect", "What must happen.",
		property{"outcome", true, outcome("The strictest outcome for any recipient.")},
		property{"copies", false, aNumber("How many messages leave, or would leave if a held mail were released.", 0, 1000)},
		property{"every_copy", false, copied},
		property{"copy_for", false, named("What one recipient's copy is like.", `\S`, copied)},
		property{"outcome_for", false, named("The outcome for one recipient.", `\S`, outcome("The recipient, as the mail names them."))},
		property{"rules", false, rules("These rules or checks applied.")},
		property{"not_rules", false, rules("These did not.")},
		property{"held_text", false, aWord("The sender reads this text about held mail.", textsOf(templates.KindHeld)...)},
		property{"refused_text", false, aWord("The sender reads this text about refused mail.", textsOf(templates.KindRefused)...)},
		property{"held_for", false, formed("The mail waits for this person.", formName)},
		property{"told", false, listOf("Exactly these people or roles are told; [] is nobody.", 0, formed("", formName))},
		property{"urgent", false, yesOrNo("yes: the mail speaks of danger and is held all the same.")})
	test := set("a test", "One mail, and what must happen to it.",
		property{"name", true, aText("A sentence, each once.")},
		property{"at", false, formed("When the mail is sent, in the practice's own time. Without it: Wednesday 4 March 2026, 10:00.", formMoment, "2026-03-01 10:00")},
		property{"mail", false, set("mail", "The mail.",
			property{"from", true, formed("The id of who signs in.", formName, "maya")},
			property{"to", false, recipients("To.")}, property{"cc", false, recipients("Cc.")}, property{"bcc", false, recipients("Bcc.")},
			property{"subject", false, aText("The subject.")},
			property{"body", false, aText("The text.")},
			property{"html", false, aText("The same as HTML, if the mail has one.")},
			property{"eml", false, formed("A whole message in a file beside the tests, instead of subject, body and html.", `\.eml$`, "signed.eml")})},
		property{"sms", false, &schema{Description: "A text. This version sends none and refuses the key."}},
		property{"expect", true, expect})
	s := set("a test file", "Tests of the policies. Every test is one mail; nothing leaves.",
		property{"clients", false, named("The register of this file, by code.", `[0-9]`, client)},
		property{"tests", true, listOf("The tests.", 1, test)})
	s.Title = "tests"
	return s
}

func anyOf(words []string) []any {
	var out []any
	for _, w := range words {
		out = append(out, w)
	}
	return out
}
