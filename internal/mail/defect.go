package mail

import "strings"

// Names of defects. They are stored and shown; policy may refer to them.
const (
	defDuplicateField   = "duplicate-field"
	defDuplicateIgnored = "duplicate-field-ignored"
	defNoFrom           = "no-from"
	defManyFrom         = "more-than-one-from"
	defGroup            = "group-syntax"
	defGroupFrom        = "group-in-from"
	defBadAddress       = "bad-address"
	defBadFrom          = "bad-from"
	defNameTrick        = "misleading-name"
	defMixedScript      = "look-alike-domain"
	defBadDate          = "bad-date"
	defBadMessageID     = "bad-message-id"
	defLoop             = "mail-loop"

	defNoColon          = "no-colon"
	defPartNoColon      = "part-no-colon"
	defSpaceColon       = "space-before-colon"
	defPartSpaceColon   = "part-space-before-colon"
	defFoldedFirst      = "folded-first-line"
	defMboxLine         = "mbox-from-line"
	defBlankFold        = "blank-folded-line"
	defHeaderControl    = "control-in-header"
	defHeader8bit       = "raw-8bit-in-header"
	defHeaderUTF8       = "utf-8-in-header"
	defLongHeaderLine   = "long-header-line"
	defHeaderTooLarge   = "header-too-large"
	defTooManyFields    = "too-many-fields"
	defWordControl      = "control-in-encoded-word"
	defWordCharset      = "encoded-word-charset"
	defWordBad          = "bad-encoded-word"
	defWordNested       = "nested-encoded-word"
	defWordLong         = "long-encoded-word"
	defWordSplit        = "split-letter"
	defWordGlued        = "glued-encoded-word"
	defFilename         = "unsafe-file-name"
	defFilenameConflict = "conflicting-file-names"

	defTooDeep        = "too-deep"
	defTooManyParts   = "too-many-parts"
	defTooLarge       = "too-large"
	defBadType        = "bad-content-type"
	defBadMultiType   = "bad-multipart-type"
	defBadParam       = "bad-parameter"
	defDupParam       = "duplicate-parameter"
	defComment        = "comment-in-field"
	defNoBoundary     = "no-boundary"
	defBoundary       = "ambiguous-boundary"
	defBoundaryLong   = "long-boundary"
	defBoundaryPrefix = "boundary-look-alike"
	defBoundaryAfter  = "boundary-after-close"
	defBoundaryBlanks = "blanks-behind-boundary"
	defStrayBoundary  = "boundary-without-multipart"
	defNoBody         = "part-without-body"
	defDigest         = "untyped-in-digest"
	defUntyped        = "untyped-file"
	defUnterminated   = "unterminated-multipart"
	defNoParts        = "multipart-without-parts"
	defPreamble       = "text-outside-parts"
	defPartial        = "message-partial"
	defExternal       = "external-body"
	defReplace        = "x-mixed-replace"
	defTNEF           = "tnef"
	defEncodedMessage = "encoded-message"
	defBareMessage    = "message-within-message"

	defBareCR         = "bare-cr"
	defBareLF         = "bare-lf"
	defNUL            = "nul"
	defLongLine       = "long-line"
	defLongSigned     = "long-line-in-signed"
	defOddSigned      = "odd-in-signed"
	defEncodingMulti  = "encoding-on-multipart"
	defBadEncoding    = "unknown-encoding"
	defEncodingSpell  = "misspelt-encoding"
	defBase64         = "junk-in-base64"
	defQP             = "bad-quoted-printable"
	defQPBlanks       = "blanks-at-line-end"
	def8bit           = "8bit-under-7bit"
	defTypeMismatch   = "type-mismatch"
	defUnknownCharset = "unknown-charset"
	defCharsetUTF7    = "charset-utf-7"
	defCharsetUTF16   = "charset-utf-16"
	defOverlongUTF8   = "overlong-utf-8"
	defBadUTF8        = "bad-utf-8"
	defBadLetters     = "undecodable-letters"
	defUnlabelled8bit = "unlabelled-8bit"
	defWiderCharset   = "wider-charset"
	defTextTooLong    = "text-too-long"

	defUnreadable       = "unreadable-attachment"
	defLocked           = "encrypted-attachment"
	defArchiveBomb      = "archive-bomb"
	defArchiveName      = "unsafe-archive-name"
	defArchiveAmbiguous = "ambiguous-archive"
	defClosedArchive    = "unopened-archive"
)

// defectRule is what one kind of defect means.
type defectRule struct {
	def Disposition
	fix string
}

const (
	fixResend     = "Write the email again in your mail app and send it."
	fixProgram    = "The program that made this email does not follow the mail standard; send it from a mail app."
	fixAttachment = "Attach the file again and send the email again."
)

// defectRules returns the disposition and the fix for a defect. What a fresh canonical
// writing makes unambiguous is accepted as we read it; what could show two readers different
// content is held; what leaves open who the sender is, or what the parts are, is refused.
func defectRules(name string) defectRule {
	switch name {
	case defDuplicateField:
		return defectRule{RejectIt, "Send it with only one field of that name."}
	case defNoFrom:
		return defectRule{RejectIt, "Send it with your address in From."}
	case defManyFrom:
		return defectRule{RejectIt, "Send it with one address in From."}
	case defGroupFrom, defBadFrom:
		return defectRule{RejectIt, "Send it with one full address, and nothing else, in From."}
	case defGroup:
		return defectRule{HoldIt, "List the addresses one by one, without a group name."}
	case defBadAddress:
		return defectRule{HoldIt, "Correct the address that is not complete."}
	case defNameTrick:
		return defectRule{HoldIt, "Take the second address or the hidden characters out of the name next to the address."}
	case defMixedScript:
		return defectRule{HoldIt, "Check the address: its domain mixes letters of different alphabets."}
	case defLoop:
		return defectRule{RejectIt, "The email has gone round in a loop; check the forwarding rules."}
	case defNoColon, defFoldedFirst, defSpaceColon, defHeaderControl, defHeader8bit:
		return defectRule{RejectIt, fixProgram}
	case defPartNoColon, defBlankFold:
		return defectRule{HoldIt, fixProgram}
	case defHeaderTooLarge, defTooManyFields:
		return defectRule{RejectIt, "Send it with a shorter header: fewer recipients or fewer extra fields."}
	case defWordControl:
		return defectRule{RejectIt, "Write the subject and the names again; they hold hidden characters."}
	case defWordCharset, defWordBad, defWordNested:
		return defectRule{HoldIt, "Write the subject and the names again in your mail app."}
	case defFilenameConflict:
		return defectRule{HoldIt, fixAttachment}
	case defTooDeep, defTooManyParts:
		return defectRule{RejectIt, "Send fewer attachments, and no emails inside emails."}
	case defTooLarge:
		return defectRule{RejectIt, "Remove or shrink an attachment and send again."}
	case defNoBoundary, defBoundary:
		return defectRule{RejectIt, fixProgram}
	case defBadMultiType, defBoundaryLong, defBoundaryPrefix, defBoundaryAfter, defUnterminated,
		defNoParts, defPreamble, defEncodedMessage, defBareMessage, defEncodingMulti, defBadEncoding:
		return defectRule{HoldIt, fixResend}
	case defPartial, defReplace:
		return defectRule{RejectIt, "Send it as one whole email; switch off splitting of large emails."}
	case defExternal:
		return defectRule{RejectIt, "Attach the file itself instead of a reference to it."}
	case defTNEF:
		return defectRule{HoldIt, "Set the mail app to send HTML or plain text instead of rich text."}
	case defBareCR, defBareLF, defNUL:
		return defectRule{RejectIt, fixProgram}
	case defOddSigned:
		return defectRule{HoldIt, "Send the email without signing or encrypting it in the mail app, or send it from another one."}
	case defLongSigned:
		return defectRule{HoldIt, "Sign the email again with shorter lines, or turn signing off."}
	case defBase64, defQP, defTypeMismatch:
		return defectRule{HoldIt, fixAttachment}
	case defUnknownCharset, defCharsetUTF7, defCharsetUTF16, defOverlongUTF8, defBadLetters:
		return defectRule{HoldIt, "Set the mail app to write in UTF-8 and send again."}
	case defTextTooLong:
		return defectRule{HoldIt, "Send the long text as an attached file."}
	case defUnreadable:
		return defectRule{HoldIt, "The attached file is damaged and could not be checked; save it again, or as PDF, and attach it again."}
	case defLocked:
		return defectRule{HoldIt, "The attached file has a password and could not be checked; attach it without the password."}
	case defArchiveBomb:
		return defectRule{HoldIt, "Attach the files one by one instead of an archive of archives."}
	case defArchiveName, defArchiveAmbiguous:
		return defectRule{HoldIt, "Make the ZIP file again, or attach the files one by one."}
	case defClosedArchive:
		return defectRule{HoldIt, "Attach the files one by one, or as ZIP."}
	}
	return defectRule{AcceptAsRead, ""}
}

// maxDefects bounds what is recorded; worse ones than all so far are always recorded.
const maxDefects = 200

// defectList collects defects, one of a kind for each part.
type defectList struct {
	list  []Defect
	seen  map[string]bool
	worst Disposition
}

func (l *defectList) add(name, path string, off int64, detail string) {
	r := defectRules(name)
	l.addAs(Defect{Name: name, Path: path, Offset: off, Default: r.def, Detail: detail, What: defectWhat(name), Fix: r.fix})
}

func (l *defectList) addAs(d Defect) {
	key := d.Name + "\x00" + d.Path + "\x00" + d.Detail
	if l.seen[key] || len(l.list) >= maxDefects && d.Default <= l.worst {
		return
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[key] = true
	l.worst = max(l.worst, d.Default)
	l.list = append(l.list, d)
}

// safeName returns a field's or parameter's name for a defect's detail: printable ASCII,
// short.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, s)
	if len(s) > 40 {
		s = s[:40]
	}
	return s
}
