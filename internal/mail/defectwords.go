package mail

// defectWhat says what was found, for people: the beginning of the sentence whose end is the
// fix. Defects that are accepted as read are never shown and have no words.
func defectWhat(name string) string {
	switch name {
	case defDuplicateField:
		return "A header field stands there twice"
	case defNoFrom:
		return "There is no address in From"
	case defManyFrom:
		return "There is more than one address in From"
	case defGroupFrom:
		return "From holds a group of addresses"
	case defBadFrom:
		return "The sender's address cannot be read"
	case defGroup:
		return "The recipients stand in a named group"
	case defBadAddress:
		return "An address cannot be read"
	case defNameTrick:
		return "The name next to an address is misleading"
	case defMixedScript:
		return "The domain of an address looks like another one"
	case defLoop:
		return "The email came back to where it had been"
	case defNoColon, defPartNoColon:
		return "A line of the header has no colon"
	case defFoldedFirst, defBlankFold:
		return "A line of the header goes on from nothing"
	case defSpaceColon:
		return "A header field has a space before its colon"
	case defHeaderControl:
		return "A header field holds a control character"
	case defHeader8bit:
		return "A header field holds bytes that are not ASCII"
	case defHeaderTooLarge:
		return "The header is too long"
	case defTooManyFields:
		return "The header has too many fields"
	case defWordControl:
		return "An encoded word hides a control character"
	case defWordCharset, defWordBad, defWordNested:
		return "An encoded word cannot be read in one way only"
	case defFilenameConflict:
		return "An attached file has two different names"
	case defTooDeep:
		return "The email has parts within parts, too deep"
	case defTooManyParts:
		return "The email has too many parts"
	case defTooLarge:
		return "The email is too large"
	case defNoBoundary, defBoundary, defBoundaryLong, defBoundaryPrefix:
		return "Where the parts of the email begin and end can be read in more than one way"
	case defBadMultiType, defEncodingMulti, defNoParts:
		return "The parts of the email cannot be told apart"
	case defBoundaryAfter, defPreamble:
		return "There is text outside the parts, which some mail apps show and others do not"
	case defUnterminated:
		return "The last part of the email has no end"
	case defBareMessage:
		return "A forwarded email is nothing but another forwarded email"
	case defEncodedMessage:
		return "An attached email is encoded in a way that mail apps read differently"
	case defBadEncoding:
		return "A part is encoded in a way that nobody knows"
	case defPartial, defReplace:
		return "The email is only a piece of one"
	case defExternal:
		return "A part is only a reference to something elsewhere"
	case defTNEF:
		return "The attachments are wrapped in winmail.dat"
	case defBareCR, defBareLF:
		return "A line ends in a bare CR or LF"
	case defNUL:
		return "The email holds a NUL character"
	case defOddSigned:
		return "What is signed or encrypted is written in a way that mail apps read differently"
	case defLongSigned:
		return "What is signed has lines that are too long to be sent"
	case defBase64, defQP:
		return "The encoding of a part is damaged"
	case defTypeMismatch:
		return "An attached file is not what its name or type says"
	case defUnknownCharset, defCharsetUTF7, defCharsetUTF16, defOverlongUTF8, defBadLetters:
		return "The letters of a text can be read in more than one way"
	case defTextTooLong:
		return "The text is too long to be checked"
	case defUnreadable:
		return "An attached file cannot be read"
	case defLocked:
		return "An attached file has a password"
	case defArchiveBomb:
		return "An attached archive holds too much"
	case defArchiveName:
		return "An attached archive has a file name that leads outside it"
	case defArchiveAmbiguous:
		return "An attached archive can be read in more than one way"
	case defClosedArchive:
		return "An attached archive is of a kind that cannot be opened here"
	}
	return ""
}
