package policy

// What the words of the language mean, in one sentence each: the manual's tables, the schemas
// that editors show, and nothing else say it.

// conditionMeans says when a condition is true.
func conditionMeans(name string) string {
	return map[string]string{
		"to":                  "the recipient is a `client`, a `colleague` (also known people outside who are not clients), `unknown`, or `anyone`",
		"clients_more_than":   "the mail goes to more than this many clients' mailboxes",
		"recipient":           "the recipient is `not_listed`, or a `former_client`; later also `looks_like_client`, `first_time`",
		"subject_starts":      "the subject begins with this; `Re:` and `Fwd:`, capitals and spaces make no difference, so `subject_starts: \"Re:\"` is never true",
		"mentions":            "the subject, the new text or an attachment holds a word of these lists; `danger_words` count only in what the sender writes now",
		"client_younger_than": "the client is younger; without a birth date, see `clients_are`",
		"client_discreet":     "the client is discreet (`yes`) or is not (`no`)",
		"everyone_agreed_to":  "every client of the mail has a valid consent for this",
		"already":             "the mail app `signed` or `encrypted` the mail",
		"any":                 "at least one entry of this list is true",
		"all":                 "every entry of this list is true",
		"sender":              "this person or program sends: `sender: maya`, or one of a list",
		"sender_may":          "the sender's `may` has this: `sender_may: send_now`",
		"attachment":          "there is an attachment of this kind, by its content, type or name: `document`, `image`, `archive`, `calendar`, `contact_card`, `program`, `unreadable` (encrypted, or of no known format), `any`; pictures in the text count. An archive with a program in it is a program too. An archive and what is unreadable may hold a document, so under `when` they count as one",
		"words_more_than":     "the subject and the new text have more words",
		"contains":            "there is a `link`, `kisses` at the end, a `remote_image` (anything that is fetched from the web when the mail is opened), or a `personal_contact` (a mailbox, mobile or landline that is neither the practice's nor the recipient's); later also `join_link`, `reused_join_link`, `password`",
		"names_other_client":  "the text names another client",
		"client_country":      "the client lives there: `GB`, or one of a list; see below for clients of whom nobody knows",
		"client_country_not":  "the client lives in none of these countries",
		"outside":             "it is outside `working_hours` of `organisation.yaml`, or a bank holiday",
		"size_more_than":      "the mail is larger: `500 KB`, `10 MB`",
	}[name]
}

// verbMeans says what a verb does.
func verbMeans(name string) string {
	return map[string]string{
		"send_separately":            "every client gets a copy of their own, which shows nobody else",
		"bcc":                        "one message that shows no recipient",
		"subject":                    "replaces the subject: `{subject: neutral-default}`, a name of `templates.yaml`",
		"neutral_first_line":         "puts a neutral line first, for the lock screen",
		"use_alias":                  "sends from the name and address that clients see, which also take the place of the sender's own addresses and full name in the text; a given name alone stays",
		"remove_identifying_headers": "takes out what mail apps add about the sender",
		"crisis_signature":           "adds the crisis lines; for a discreet client only the discreet line",
		"hold":                       "keeps the mail until somebody decides",
		"hold_for":                   "keeps it for this person: `{hold_for: sam}`; nobody releases their own",
		"refuse":                     "does not take the mail; the sender reads why",
		"never_hold":                 "lets mail pass that is held only by rules about tone",
		"tell":                       "tells this person or role: `{tell: safeguarding_lead}`",
		"lock":                       "locks the mail with the client's password",
		"lock_as":                    "locks it as `pdf`, `docx`, `zip` or `pgp`",
		"neutral_filenames":          "gives attached files names that say only what they are: document-1.pdf, image-1.jpg; the type stays. Files inside an attached email keep theirs",
		"remove_metadata":            "takes authors and places out of attachments",
		"signature":                  "adds a signature of `templates.yaml` above the quoted text, once: `{signature: short}`",
		"expectation_line":           "says that the reader need not answer unless the mail asks for it, above the signature, once",
		"pseudonymise":               "puts a client's code in the place of the full names, mailboxes and phones of clients in the subject and the text, and `another person` in copies to other clients; a copy whose text still names one is held (`cannot-change`, or `leak-check` for a client)",
		"trim_quotes":                "takes the quoted text out, of the text and of the HTML; answers written between the quoted lines stay. Where nothing of your own would be left, as in a forwarded mail, the mail is held (`cannot-change`). For replies to clients `when: {to: client}` is enough: a mail that quotes nothing stays as it is",
		"remove":                     "takes `kisses` out of the end of the new text: `{remove: kisses}`; the ones that `contains: kisses` finds",
	}[name]
}

// conditionExample is a condition as it stands in a rule; the manual's tests load each.
func conditionExample(name string) string {
	return map[string]string{
		"to":                  "to: client",
		"clients_more_than":   "clients_more_than: 1",
		"recipient":           "recipient: former_client",
		"subject_starts":      `subject_starts: "[draft]"`,
		"mentions":            "mentions: [care_words, danger_words]",
		"client_younger_than": "client_younger_than: 16",
		"client_discreet":     "client_discreet: yes",
		"everyone_agreed_to":  "everyone_agreed_to: group_email",
		"already":             "already: signed",
		"any":                 "any: [{contains: link}, {words_more_than: 300}]",
		"all":                 "all: [{to: client}, {contains: link}]",
		"sender":              "sender: maya",
		"sender_may":          "sender_may: send_now",
		"attachment":          "attachment: [image, document]",
		"words_more_than":     "words_more_than: 200",
		"contains":            "contains: personal_contact",
		"names_other_client":  "names_other_client: yes",
		"client_country":      "client_country: [GB, IE]",
		"client_country_not":  "client_country_not: GB",
		"outside":             "outside: working_hours",
		"size_more_than":      "size_more_than: 10 MB",
	}[name]
}

// verbExample is a verb as it stands under do.
func verbExample(v verb) string {
	switch v.arg {
	case noArgument:
		return v.name
	case aSignature:
		return "{" + v.name + ": short}"
	}
	return "{" + v.name + ": " + v.arg.example() + "}"
}
