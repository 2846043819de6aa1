package mail

// DefectKind says what one kind of defect is, for the documentation and for whoever sets
// another default in a policy.
type DefectKind struct {
	Name    string
	Row     string // the class of bad input that it belongs to
	What    string // what was found, in words
	Default Disposition
	Fix     string // empty where it is accepted as read
}

// DefectKinds returns every kind of defect, class by class.
func DefectKinds() []DefectKind {
	var out []DefectKind
	for _, k := range defectRows() {
		r := defectRules(k.name)
		what := defectWhat(k.name)
		if what == "" {
			what = k.what
		}
		out = append(out, DefectKind{Name: k.name, Row: k.row, What: what, Default: r.def, Fix: r.fix})
	}
	return out
}

// defectRow places a defect; what is for those that are accepted as read, which nobody is told of.
type defectRow struct{ row, name, what string }

func defectRows() []defectRow {
	return []defectRow{
		{"B21", defDuplicateField, ""},
		{"B21", defDuplicateIgnored, "A field stands there twice with the same value, or is one that does not leave"},
		{"B22", defNoFrom, ""},
		{"B22", defManyFrom, ""},
		{"B22", defGroupFrom, ""},
		{"B22", defBadFrom, ""},
		{"B22", defGroup, ""},
		{"B22", defBadAddress, ""},
		{"B23", defNoColon, ""},
		{"B23", defPartNoColon, ""},
		{"B23", defSpaceColon, ""},
		{"B23", defPartSpaceColon, "In the header of a part a field that is none of MIME's has a space before its colon; some readers end the header there"},
		{"B23", defFoldedFirst, ""},
		{"B23", defBlankFold, ""},
		{"B23", defMboxLine, "The header begins with the separator line of a mailbox file"},
		{"B23", defHeaderControl, ""},
		{"B24", defLongHeaderLine, "A line of the header is longer than 998 characters"},
		{"B24", defHeaderTooLarge, ""},
		{"B24", defTooManyFields, ""},
		{"B25", defHeader8bit, ""},
		{"B25", defHeaderUTF8, "A header field holds UTF-8 as such, not as encoded words"},
		{"B26", defWordControl, ""},
		{"B26", defWordCharset, ""},
		{"B26", defWordBad, ""},
		{"B26", defWordNested, ""},
		{"B26", defWordLong, "An encoded word is longer than 75 characters"},
		{"B26", defWordSplit, "A letter is split between two encoded words; not every reader joins them"},
		{"B26", defWordGlued, "An encoded word stands inside a word; not every reader decodes it there"},
		{"B28", defNameTrick, ""},
		{"B28", defMixedScript, ""},
		{"B29", defBadDate, "Date cannot be read, or is out of all proportion"},
		{"B29", defBadMessageID, "Message-ID holds no id, or several"},
		{"B30", defLoop, ""},
		{"B32", defNoBoundary, ""},
		{"B32", defBoundary, ""},
		{"B32", defBoundaryLong, ""},
		{"B32", defBoundaryPrefix, ""},
		{"B32", defBoundaryAfter, ""},
		{"B32", defBoundaryBlanks, "Blanks stand behind a boundary; not every reader takes it for one then"},
		{"B32", defStrayBoundary, "What is no multipart names a boundary; some readers look for parts all the same"},
		{"B32", defBadMultiType, ""},
		{"B32", defBadType, "Content-Type cannot be read"},
		{"B32", defBadParam, "A parameter of Content-Type or Content-Disposition is not written as the standard says"},
		{"B32", defDupParam, "A parameter of Content-Type stands there twice"},
		{"B32", defComment, "A comment stands in a MIME field; not every reader passes over it"},
		{"B33", defTooDeep, ""},
		{"B33", defTooManyParts, ""},
		{"B33", defTooLarge, ""},
		{"B34", defUnterminated, ""},
		{"B34", defNoParts, ""},
		{"B34", defNoBody, "No empty line ends the header of a part before the part itself ends"},
		{"B34", defPreamble, ""},
		{"B34", defDigest, "A part of a digest has no type; not every reader knows that it is a message then"},
		{"B35", defBadEncoding, ""},
		{"B35", defEncodingSpell, "Content-Transfer-Encoding has more in it than the name of an encoding"},
		{"B35", defEncodingMulti, ""},
		{"B35", defBase64, ""},
		{"B35", defQP, ""},
		{"B35", defQPBlanks, "Blanks stand at the end of a line of quoted-printable; some readers drop them"},
		{"B35", def8bit, "Bytes above 127 stand where only ASCII was announced"},
		{"B35", defLongLine, "A line of the body is longer than 998 characters"},
		{"B35", defBareCR, ""},
		{"B35", defBareLF, ""},
		{"B35", defNUL, ""},
		{"B36", defTypeMismatch, ""},
		{"B36", defUntyped, "An attached file has no type; some readers guess it from the name"},
		{"B37", defFilename, "A file name leads elsewhere, is too long, or holds hidden characters: it is made safe"},
		{"B37", defFilenameConflict, ""},
		{"B38", defEncodedMessage, ""},
		{"B38", defBareMessage, ""},
		{"B39", defPartial, ""},
		{"B39", defExternal, ""},
		{"B39", defReplace, ""},
		{"B39", defTNEF, ""},
		{"B41", defUnknownCharset, ""},
		{"B41", defCharsetUTF7, ""},
		{"B41", defCharsetUTF16, ""},
		{"B41", defOverlongUTF8, ""},
		{"B41", defBadLetters, ""},
		{"B41", defBadUTF8, "Bytes that are no UTF-8 stand in a text of UTF-8: every reader shows a sign for them"},
		{"B41", defUnlabelled8bit, "A text has letters beyond ASCII and no charset"},
		{"B41", defWiderCharset, "A text has letters that its charset does not have, but the one as which everybody reads it"},
		{"B43", defLongSigned, ""},
		{"B43", defOddSigned, ""},
		{"B44", defTextTooLong, ""},
		{"B45", defUnreadable, ""},
		{"B46", defLocked, ""},
		{"B49", defArchiveBomb, ""},
		{"B50", defArchiveName, ""},
		{"B50", defArchiveAmbiguous, ""},
		{"B50", defClosedArchive, ""},
	}
}
