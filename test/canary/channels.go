package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Fate says what becomes of a canary in a channel.
type Fate string

// Fates.
const (
	Stripped Fate = "stripped" // copies for clients leave without it
	Searched Fate = "searched" // it stays, so the copy is held when it is somebody's
	Barred   Fate = "barred"   // held or refused whatever is in it: it can be read in two ways, or not at all
	Either   Fate = "either"   // stripped or searched, by who else gets the message
)

// Channel is a way in which a message can give somebody away.
type Channel struct {
	Name string
	Row  string // of the list of channels
	Fate Fate
	// Recipients: the channel names people to whom the message is addressed in the header.
	Recipients bool
	Nobody     bool   // no client is in it
	slot       string // what can be used once in a message
	put        func(*draft)
}

// channels returns all of them.
func channels() []Channel {
	return append(append(headerChannels(), textChannels()...), fileChannels()...)
}

// field is a top header field: of the verbs, [1] is any canary, [2] the channel's token and
// [3] a mailbox.
func field(name, row, format string) Channel {
	return Channel{Name: name, Row: row, Fate: Stripped, put: func(d *draft) { d.top(format, d.ascii(), d.token(), d.mailbox()) }}
}

const (
	rowTo         = "To / Cc / Bcc / Resent-*"
	rowDisplay    = "Display names"
	rowGroups     = "Groups, comments, quoted locals"
	rowFrom       = "From / Sender / Reply-To / Return-Path / Errors-To"
	rowAvatar     = "BIMI, Face, X-Face"
	rowMailer     = "Organization, X-Mailer, X-Originating-IP, ARC"
	rowReceived   = "Received"
	rowID         = "Message-ID / Content-ID / boundary"
	rowReferences = "In-Reply-To / References"
	rowThread     = "Thread-Topic, Thread-Index"
	rowSubject    = "Subject, Comments, Keywords, Categories, X-MS-*"
	rowList       = "List-* / Precedence / Feedback-ID / Auto-Submitted"
	rowDate       = "Date zone"
	rowReceipt    = "Disposition-Notification-To and the like"
	rowDKIM       = "DKIM-Signature from the client"
	rowAutocrypt  = "Autocrypt / OpenPGP fields"
	rowPGP        = "PGP and S/MIME: tool, names, ciphertext"
	rowParts      = "Preamble/epilogue, part fields, file names"
	rowHTML       = "HTML: comments, title, hidden text, classes, paths, data-*"
	rowDiffer     = "Text and HTML alternatives differ"
	rowRemote     = "Remote images, tracking pixels, web fonts"
	rowLinks      = "URLs, mailto:, tel:"
	rowQuoted     = "Quoted thread, message/rfc822, Outlook header block"
	rowSignature  = "Bottom signature"
	rowText       = "The text, in every encoding"
	rowICS        = "ICS"
	rowVCard      = "vCard, .msg, .eml, winmail.dat"
	rowPDF        = "PDF"
	rowDocx       = "docx, ODF, RTF"
	rowXlsx       = "xlsx hidden sheets, pptx notes"
	rowImages     = "Images: EXIF, XMP, tEXt"
	rowZip        = "Zip names, comments, extra fields; gzip, tar"
)

func headerChannels() []Channel {
	list := []Channel{
		{Name: "To: somebody who is no recipient", Row: rowTo, Fate: Stripped, Recipients: true, put: func(d *draft) { d.to = append(d.to, d.mailbox()) }},
		{Name: "Cc: somebody who is no recipient", Row: rowTo, Fate: Stripped, Recipients: true, put: func(d *draft) { d.cc = append(d.cc, d.mailbox()) }},
		{Name: "Bcc", Row: rowTo, Fate: Stripped, Recipients: true, put: func(d *draft) { d.bcc = append(d.bcc, d.token()+" <"+d.mailbox()+">") }},
		field("Resent-*", rowTo, "Resent-From: %[2]s <%[3]s>\r\nResent-To: %[3]s\r\nResent-Cc: \"%[2]s\" <%[3]s>\r\nResent-Bcc: %[3]s"),
		field("Apparently-To, X-Original-To, Delivered-To", rowTo, "Apparently-To: %[3]s\r\nX-Original-To: %[3]s\r\nX-Envelope-To: %[3]s (%[2]s)\r\nDelivered-To: %[3]s"),
		{Name: "display name of a recipient", Row: rowDisplay, Fate: Stripped, Recipients: true, put: func(d *draft) {
			name := d.name() + " - " + d.token()
			if isASCII(name) {
				name = "\"" + name + "\""
			}
			d.to = append(d.to, mime.BEncoding.Encode("utf-8", name)+" <"+d.mailbox()+">")
		}},
		{Name: "display name in base64", Row: rowDisplay, Fate: Stripped, Recipients: true, put: func(d *draft) {
			d.to = append(d.to, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(d.name()+" "+d.token()))+"?= <"+d.mailbox()+">")
		}},
		{Name: "group in To", Row: rowGroups, Fate: Barred, Recipients: true, slot: "to", put: func(d *draft) {
			d.to = append(d.to, d.token()+": "+d.mailbox()+", another@elsewhere.example;")
		}},
		{Name: "comment in To", Row: rowGroups, Fate: Stripped, Recipients: true, put: func(d *draft) {
			d.to = append(d.to, d.mailbox()+" ("+strings.NewReplacer("(", "", ")", "").Replace(d.ascii())+" "+d.token()+")")
		}},
		{Name: "quoted local part", Row: rowGroups, Fate: Stripped, Recipients: true, put: func(d *draft) {
			d.cc = append(d.cc, "\""+d.token()+" "+strings.NewReplacer("(", "", ")", "").Replace(d.phrase())+"\"@elsewhere.example")
		}},
		{Name: "From: display name", Row: rowFrom, Fate: Stripped, slot: "from", put: func(d *draft) {
			d.from = "\"" + d.phrase() + " " + d.token() + "\" <" + d.m.From.Address + ">"
		}},
		{Name: "Sender: display name", Row: rowFrom, Fate: Stripped, slot: "sender", put: func(d *draft) {
			d.sender = "\"" + d.phrase() + " " + d.token() + "\" <" + d.m.From.Address + ">"
		}},
		field("Reply-To", rowFrom, "Reply-To: %[2]s <%[3]s>"),
		field("Errors-To, X-Sender", rowFrom, "Errors-To: %[3]s\r\nX-Sender: %[3]s\r\nX-Sender-Id: %[2]s %[1]s"),
		field("Return-Path", rowFrom, "Return-Path: <%[3]s>"),
		field("Face, X-Face, BIMI", rowAvatar, "X-Face: %[2]s %[1]s\r\nFace: %[2]s\r\nBIMI-Selector: v=BIMI1; s=%[2]s\r\nBIMI-Location: https://%[2]s.example/logo.svg"),
		field("Organization", rowMailer, "Organization: %[2]s for %[1]s"),
		field("X-Mailer, User-Agent", rowMailer, "X-Mailer: %[2]s 1.0\r\nUser-Agent: %[2]s (%[1]s)"),
		field("X-Originating-IP, X-Authenticated-*", rowMailer, "X-Originating-IP: [192.0.2.7]\r\nX-Originating-Host: %[2]s\r\nX-Authenticated-Sender: %[3]s\r\nX-Auth-User: %[1]s"),
		field("ARC, Authentication-Results", rowMailer, "ARC-Authentication-Results: i=1; %[2]s.example; smtp.mailfrom=%[3]s\r\nAuthentication-Results: %[2]s.example; auth=pass smtp.auth=%[3]s"),
		field("fields that nobody knows", rowMailer, "X-Plant: %[1]s\r\nZebra-Note: %[2]s %[3]s\r\nX-%[2]s: yes"),
		field("Received: HELO and for", rowReceived, "Received: from %[2]s.local (%[2]s.local [192.0.2.8])\r\n\tby smtp.elsewhere.example (Postfix) with ESMTPSA id 4XYZ\r\n\tfor <%[3]s>; Sun, 22 Nov 2026 10:00:00 +0000"),
		{Name: "Message-ID", Row: rowID, Fate: Stripped, slot: "id", put: func(d *draft) {
			d.messageID = fmt.Sprintf("%d.%s.%s", d.number, d.token(), strings.ToLower(d.mailbox()))
		}},
		{Name: "boundary", Row: rowID, Fate: Stripped, slot: "boundary", put: func(d *draft) {
			d.boundary = "=_" + d.token()[:10] + "_" + d.atom() + "_" + fmt.Sprint(d.number)
			if d.html == "" {
				d.html = "<p>Hello</p>\r\n"
			}
		}},
		{Name: "In-Reply-To and References", Row: rowReferences, Fate: Either, slot: "refs", put: func(d *draft) {
			d.top("In-Reply-To: <%s.%s>\r\nReferences: <one@elsewhere.example>\r\n <%s.%s>", d.token(), d.mailbox(), d.token(), d.mailbox())
		}},
		field("Thread-Topic", rowThread, "Thread-Topic: %[2]s %[1]s"),
		{Name: "Thread-Index", Row: rowThread, Fate: Stripped, put: func(d *draft) {
			d.top("Thread-Index: %s", base64.StdEncoding.EncodeToString([]byte("\x01\xdc\x00"+d.token()+" "+d.canary())))
		}},
		{Name: "Subject", Row: rowSubject, Fate: Stripped, slot: "subject", put: func(d *draft) { d.subject += " " + d.token() + " with " + d.ascii() }},
		{Name: "Subject in encoded words", Row: rowSubject, Fate: Stripped, slot: "subject", put: func(d *draft) {
			s := d.subject + " " + d.token() + " with " + d.canary()
			if d.rng.IntN(2) == 0 {
				d.subject = mime.QEncoding.Encode("utf-8", s+" é")
			} else {
				d.subject = mime.BEncoding.Encode("utf-8", s+" é")
			}
		}},
		field("Comments, Keywords", rowSubject, "Comments: %[2]s %[1]s\r\nKeywords: %[2]s, %[1]s"),
		field("Sensitivity, Importance, X-Priority, Categories", rowSubject, "Sensitivity: Private %[2]s\r\nImportance: high\r\nX-Priority: 1 (%[2]s)\r\nCategories: %[1]s\r\nX-Categories: %[2]s"),
		field("X-MS-*", rowSubject, "X-MS-Exchange-Organization-AuthAs: %[2]s\r\nX-MS-Exchange-CrossTenant-UserPrincipalName: %[3]s\r\nX-MS-TNEF-Correlator: <%[2]s>\r\nX-Microsoft-Note: %[1]s"),
		field("List-*", rowList, "List-Id: %[1]s <%[2]s.elsewhere.example>\r\nList-Post: <mailto:%[3]s>\r\nList-Unsubscribe: <mailto:%[2]s@elsewhere.example>"),
		field("Precedence, Feedback-ID", rowList, "Precedence: %[2]s\r\nFeedback-ID: %[2]s:%[1]s\r\nX-Campaign: %[1]s"),
		{Name: "Date zone", Row: rowDate, Fate: Stripped, Nobody: true, slot: "date", put: func(d *draft) {
			d.date = strings.Replace(d.date, "+0000", pick(d.rng, "+0545", "-0930", "+1345"), 1)
		}},
		field("Disposition-Notification-To, Return-Receipt-To", rowReceipt, "Disposition-Notification-To: %[2]s <%[3]s>\r\nReturn-Receipt-To: %[3]s\r\nX-Confirm-Reading-To: %[3]s\r\nGenerate-Delivery-Report: %[1]s"),
		field("DKIM-Signature", rowDKIM, "DKIM-Signature: v=1; a=rsa-sha256; d=%[2]s.example; s=x; i=%[3]s; h=from; bh=AAAA; b=AAAA"),
		{Name: "Autocrypt, Autocrypt-Gossip", Row: rowAutocrypt, Fate: Stripped, put: func(d *draft) {
			key := base64.StdEncoding.EncodeToString([]byte("key of " + d.canary() + " " + d.token()))
			d.top("Autocrypt: addr=%s; prefer-encrypt=mutual; keydata=%s\r\nAutocrypt-Gossip: addr=%s; keydata=%s", d.mailbox(), key, d.mailbox(), key)
		}},
		field("OpenPGP", rowAutocrypt, "OpenPGP: id=AAAA; url=\"https://%[2]s.example/%[3]s.asc\"; preference=sign"),
		{Name: "Content-Description, Content-Location of a part", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			d.partFields("Content-Description: %s %s\r\nContent-Location: file:///C:/Users/%s/%s\r\n", d.token(), d.ascii(), d.token(), d.atom())
		}},
		{Name: "unknown fields of a part", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			d.partFields("X-Apple-Note: %s %s\r\nX-Attachment-Id: %s\r\nSubject: %s\r\n", d.token(), d.ascii(), d.token(), d.ascii())
		}},
		{Name: "dates and strange parameters of Content-Disposition", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			d.attach(file{kind: "audio/mpeg; x-recorded-by=\"" + d.token() + "\"; x-note=\"" + d.ascii() + "\"",
				disposition: "attachment; filename=\"sound.mp3\"; creation-date=\"Sun, 22 Nov 2026 10:00:00 +0000\"; x-author=\"" + d.token() + " " + d.ascii() + "\"; size=5", content: []byte("music")})
		}},
		{Name: "filename", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			n := d.token() + " " + strings.NewReplacer("\"", "", "/", "-").Replace(d.ascii()) + ".mp3"
			d.attach(file{kind: "audio/mpeg; name=\"" + n + "\"", disposition: "attachment; filename=\"" + n + "\"", content: []byte("music")})
		}},
		{Name: "name without filename", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			d.attach(file{kind: "audio/mpeg; name=\"" + d.token() + "_" + d.atom() + ".mp3\"", content: []byte("music")})
		}},
		{Name: "filename* (RFC 2231)", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			d.attach(file{kind: "audio/mpeg", disposition: "attachment; filename*=utf-8''" + pathEscape(d.token()+" "+d.canary()) + ".mp3", content: []byte("music")})
		}},
		{Name: "filename*0, *1 (RFC 2231 pieces)", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			n := d.token() + "_" + d.atom() + ".mp3"
			at := len(d.token()) + 4
			d.attach(file{kind: "audio/mpeg", disposition: "attachment;\r\n filename*0=\"" + n[:at] + "\";\r\n filename*1=\"" + n[at:] + "\"", content: []byte("music")})
		}},
		{Name: "filename in encoded words", Row: rowParts, Fate: Stripped, put: func(d *draft) {
			n := mime.BEncoding.Encode("utf-8", d.token()+" é "+d.canary()+".mp3")
			d.attach(file{kind: "audio/mpeg", disposition: "attachment; filename=\"" + strings.ReplaceAll(n, "\r\n", "") + "\"", content: []byte("music")})
		}},
		{Name: "preamble", Row: rowParts, Fate: Barred, slot: "preamble", put: func(d *draft) {
			d.preamble = "From " + d.token() + " about " + d.ascii() + "\r\n"
			d.attach(file{kind: "audio/mpeg", disposition: "attachment; filename=a.mp3", content: []byte("music")})
		}},
		{Name: "epilogue", Row: rowParts, Fate: Barred, slot: "epilogue", put: func(d *draft) {
			d.epilogue = "Sent by " + d.token() + " for " + d.ascii() + "\r\n"
			d.attach(file{kind: "audio/mpeg", disposition: "attachment; filename=a.mp3", content: []byte("music")})
		}},
		{Name: "Content-ID", Row: rowID, Fate: Searched, slot: "cid", put: func(d *draft) {
			id := d.atom() + "@" + d.w.Clients[0].Given + ".example"
			if d.victim != nil && d.rng.IntN(2) == 0 {
				id = "image001." + d.victim.Mailbox
			}
			d.attach(file{kind: "image/gif", disposition: "inline; filename=a.gif", fields: []string{"Content-ID: <" + id + ">\r\n"}, content: gif("")})
		}},
		{Name: "Content-ID at the practice's domain", Row: rowID, Fate: Stripped, Nobody: true, slot: "cid", put: func(d *draft) {
			d.attach(file{kind: "image/gif", disposition: "inline; filename=b.gif", fields: []string{"Content-ID: <" + d.token() + "@laptop." + Domain + ">\r\n"}, content: gif("")})
		}},
		{Name: "media type named after somebody", Row: rowParts, Fate: Searched, put: func(d *draft) {
			d.attach(file{kind: "application/x-" + strings.ToLower(strings.ReplaceAll(d.atom(), "_", "-")), disposition: "attachment; filename=a.bin", content: []byte{1, 2, 3, 0, 255}})
		}},
		{Name: "parameters that stay", Row: rowParts, Fate: Searched, put: func(d *draft) {
			d.attach(file{kind: "text/x-note; charset=utf-8; component=\"" + d.atom() + "\"", disposition: "attachment; filename=a.txt", content: []byte("Hello\r\n")})
		}},
	}
	return list
}

// partFields adds fields to the text part.
func (d *draft) partFields(format string, args ...any) {
	d.textFields = append(d.textFields, fmt.Sprintf(format, args...))
	if d.html == "" {
		d.html = "<p>Hello</p>\r\n" // a part of its own, not the message's header
	}
}

func pathEscape(s string) string { return strings.ReplaceAll(url.PathEscape(s), "'", "%27") }

// body sets the text.
func body(name, row string, fate Fate, put func(*draft)) Channel {
	return Channel{Name: name, Row: row, Fate: fate, slot: "text", put: put}
}

func textChannels() []Channel {
	inText := func(before, after string) func(*draft) {
		return func(d *draft) { d.text += before + d.canary() + after + "\r\n" }
	}
	coded := func(kind, cte string, code func(*draft, string) []byte) func(*draft) {
		return func(d *draft) {
			d.textType, d.textCTE = kind, cte
			d.textRaw = code(d, d.text+"Say hello to "+d.canary()+" from me.\r\n")
		}
	}
	list := []Channel{
		body("text", rowText, Searched, inText("Say hello to ", " from me.")),
		body("text: quoted-printable, every byte", rowText, Searched, coded("text/plain; charset=utf-8", "quoted-printable", func(_ *draft, s string) []byte {
			var b strings.Builder
			col := 0
			for i := range len(s) {
				if s[i] == '\r' {
					continue
				}
				if s[i] == '\n' {
					b.WriteString("\r\n")
					col = 0
					continue
				}
				if col += 3; col > 73 {
					b.WriteString("=\r\n")
					col = 3
				}
				fmt.Fprintf(&b, "=%02X", s[i])
			}
			return []byte(b.String())
		})),
		body("text: soft line breaks inside words", rowText, Searched, coded("text/plain; charset=utf-8", "quoted-printable", func(_ *draft, s string) []byte {
			var b strings.Builder
			for line := range strings.SplitSeq(strings.TrimSuffix(s, "\r\n"), "\r\n") {
				for i, r := range line {
					if i > 0 && i%7 < 2 {
						b.WriteString("=\r\n")
					}
					if r < 0x80 && r != '=' {
						b.WriteRune(r)
					} else {
						for _, c := range []byte(string(r)) {
							fmt.Fprintf(&b, "=%02X", c)
						}
					}
				}
				b.WriteString("\r\n")
			}
			return []byte(b.String())
		})),
		body("text: base64", rowText, Searched, coded("text/plain; charset=utf-8", "base64", func(d *draft, s string) []byte {
			return []byte(base64Lines([]byte(s), 4*(5+d.rng.IntN(14))))
		})),
		body("text: windows-1252", rowText, Searched, coded("text/plain; charset=windows-1252", "8bit", func(_ *draft, s string) []byte { return latin1(s) })),
		body("text: iso-8859-1, quoted-printable", rowText, Searched, coded("text/plain; charset=iso-8859-1", "quoted-printable", func(_ *draft, s string) []byte {
			var b strings.Builder
			for _, c := range latin1(s) {
				if c >= 0x80 || c == '=' {
					fmt.Fprintf(&b, "=%02X", c)
				} else {
					b.WriteByte(c)
				}
			}
			return []byte(b.String())
		})),
		body("text: utf-8 8bit", rowText, Searched, coded("text/plain; charset=utf-8", "8bit", func(_ *draft, s string) []byte { return []byte("Größe, café.\r\n" + s) })),
		body("text: format=flowed", rowText, Searched, coded("text/plain; charset=utf-8; format=flowed; delsp=no", "8bit", func(_ *draft, s string) []byte {
			return []byte(strings.ReplaceAll(s, " ", " \r\n"))
		})),
		body("text: utf-16", rowText, Barred, coded("text/plain; charset=utf-16", "base64", func(_ *draft, s string) []byte {
			b := []byte{0xfe, 0xff}
			for _, u := range utf16.Encode([]rune(s)) {
				b = append(b, byte(u>>8), byte(u))
			}
			return []byte(base64Lines(b, 76))
		})),
		body("text: utf-7", rowText, Barred, coded("text/plain; charset=utf-7", "7bit", func(_ *draft, s string) []byte {
			var b strings.Builder
			for word := range strings.SplitSeq(s, " ") {
				if strings.ContainsAny(word, "@0123456789") || !isASCII(word) {
					var w []byte
					for _, u := range utf16.Encode([]rune(strings.TrimSpace(word))) {
						w = append(w, byte(u>>8), byte(u))
					}
					word = "+" + base64.RawStdEncoding.EncodeToString(w) + "-"
				}
				b.WriteString(word + " ")
			}
			return []byte(strings.TrimSpace(b.String()) + "\r\n")
		})),
		body("text: uuencoded", rowText, Barred, func(d *draft) {
			d.textCTE, d.textType = "x-uuencode", "text/plain; charset=utf-8"
			d.textRaw = uuencode("notes.txt", d.text+d.canary()+" and more\r\n")
		}),
		body("text: full-width letters", rowText, Searched, func(d *draft) { d.text += "About " + wide(d.canary()) + "\r\n" }),
		body("text: percent-encoded", rowLinks, Searched, func(d *draft) {
			d.text += "See https://elsewhere.example/f?who=" + url.QueryEscape(d.canary()) + "\r\n"
		}),
		body("link with a query", rowLinks, Searched, inText("https://elsewhere.example/book?for=", "")),
		body("mailto: in the text", rowLinks, Searched, func(d *draft) { d.text += "Write to mailto:" + d.mailbox() + "?subject=hello\r\n" }),
		body("quoted thread", rowQuoted, Searched, func(d *draft) {
			d.text += "\r\nOn 20/11/2026 10:00, " + d.name() + " <" + d.mailbox() + "> wrote:\r\n> Thank you.\r\n> " + d.canary() + "\r\n"
		}),
		body("quoted thread, twice quoted", rowQuoted, Searched, inText("> > Thank you\r\n> > and ", "\r\n> Yes.")),
		body("a name over two quoted lines", rowQuoted, Searched, func(d *draft) {
			d.text += "> We met " + strings.Replace(d.name(), " ", "\r\n> ", 1) + "\r\n> yesterday.\r\n"
		}),
		body("Outlook header block", rowQuoted, Searched, func(d *draft) {
			d.text += "\r\n________________________________\r\nFrom: " + d.name() + " <" + d.mailbox() + ">\r\nSent: 20 November 2026 10:00\r\nTo: Maya\r\nSubject: hello\r\n\r\nThank you.\r\n"
		}),
		body("forwarded inline", rowQuoted, Searched, func(d *draft) {
			d.text += "\r\n---------- Forwarded message ---------\r\nFrom: <" + d.mailbox() + ">\r\nDate: Fri, 20 Nov 2026\r\nSubject: x\r\nTo: <you@elsewhere.example>\r\n\r\nHello\r\n"
		}),
		body("bottom signature", rowSignature, Searched, inText("\r\n-- \r\nMaya\r\nSecretary: ", "")),
		{Name: "only in the text", Row: rowDiffer, Fate: Searched, slot: "whole", put: func(d *draft) {
			d.html = "<p>See you on Tuesday.</p>\r\n"
			d.text = "See you on Tuesday, with " + d.canary() + "\r\n"
		}},
		{Name: "only in the HTML", Row: rowDiffer, Fate: Searched, slot: "whole", put: func(d *draft) {
			d.html = "<p>See you on Tuesday, with " + escape(d.canary()) + "</p>\r\n"
		}},
	}
	inHTML := func(name, row string, put func(*draft) string) {
		list = append(list, Channel{Name: name, Row: row, Fate: Searched, slot: "html", put: func(d *draft) {
			d.html = "<html><body><p>Hello</p>" + put(d) + "<p>Best wishes</p></body></html>\r\n"
		}})
	}
	inHTML("HTML: text in entities", rowHTML, func(d *draft) string {
		var b strings.Builder
		for _, r := range d.canary() {
			if d.rng.IntN(2) == 0 {
				fmt.Fprintf(&b, "&#%d;", r)
			} else {
				fmt.Fprintf(&b, "&#x%x;", r)
			}
		}
		return b.String()
	})
	inHTML("HTML: text cut by tags", rowHTML, func(d *draft) string {
		var b strings.Builder
		for i, r := range d.canary() {
			if i%3 == 2 {
				b.WriteString(pick(d.rng, "<b></b>", "<span>", "<!-- -->", "<wbr>", "&shy;", "&zwnj;"))
			}
			b.WriteString(escape(string(r)))
		}
		return b.String()
	})
	inHTML("HTML: comment", rowHTML, func(d *draft) string { return "<!-- for " + strings.ReplaceAll(d.canary(), "--", "-") + " -->" })
	list = append(list, Channel{Name: "HTML: title", Row: rowHTML, Fate: Searched, slot: "html", put: func(d *draft) {
		d.html = "<html><head><title>" + escape(d.canary()) + "</title></head><body><p>Hello</p></body></html>\r\n"
	}})
	inHTML("HTML: hidden preheader", rowHTML, func(d *draft) string {
		return "<div style=\"display:none;max-height:0\">" + escape(d.canary()) + "</div>"
	})
	inHTML("HTML: mso conditional", rowHTML, func(d *draft) string {
		return "<!--[if mso]><p>" + escape(d.canary()) + "</p><![endif]-->"
	})
	inHTML("HTML: class name", rowHTML, func(d *draft) string { return "<p class=\"" + d.atom() + "\">x</p>" })
	inHTML("HTML: file path", rowHTML, func(d *draft) string {
		return "<a href=\"file:///C:/Clients/" + d.atom() + "/notes.docx\">notes</a>"
	})
	inHTML("HTML: alt text", rowHTML, func(d *draft) string { return "<img src=\"cid:a@b.example\" alt=\"" + escape(d.canary()) + "\">" })
	inHTML("HTML: title and data-* attributes", rowHTML, func(d *draft) string {
		return "<p title=\"" + escape(d.canary()) + "\" data-contact='" + escape(d.canary()) + "'>x</p>"
	})
	inHTML("HTML: style sheet", rowHTML, func(d *draft) string {
		return "<style>." + d.atom() + " { color: red } /* " + strings.ReplaceAll(d.ascii(), "*/", "") + " */</style>"
	})
	inHTML("HTML: remote image", rowRemote, func(d *draft) string {
		return "<img src=\"https://track.elsewhere.example/o.gif?u=" + url.QueryEscape(d.canary()) + "\" width=1 height=1>"
	})
	inHTML("HTML: web font", rowRemote, func(d *draft) string {
		return "<style>@font-face { font-family: x; src: url(https://fonts.elsewhere.example/" + d.atom() + ".woff2) }</style>"
	})
	inHTML("HTML: link", rowLinks, func(d *draft) string {
		return "<a href=\"https://elsewhere.example/b?who=" + url.QueryEscape(d.canary()) + "\">book</a>"
	})
	inHTML("HTML: mailto: and tel:", rowLinks, func(d *draft) string {
		return "<a href=\"mailto:" + d.mailbox() + "\">write</a> <a href=\"tel:" + strings.NewReplacer(" ", "", "(0)", "").Replace(d.phone()) + "\">call</a>"
	})
	inHTML("HTML: quoted thread", rowQuoted, func(d *draft) string {
		return "<div class=\"gmail_quote\"><div>On Fri, " + escape(d.name()) + " &lt;<a href=\"mailto:" + d.mailbox() + "\">" + d.mailbox() + "</a>&gt; wrote:</div><blockquote>" + escape(d.canary()) + "</blockquote></div>"
	})
	inHTML("HTML: logo and signature", rowSignature, func(d *draft) string {
		return "<table><tr><td><img alt=\"" + escape(d.canary()) + "\" src=\"cid:logo@b.example\"></td></tr></table>"
	})
	list = append(list,
		Channel{Name: "practitioner's address in the text", Row: rowFrom, Fate: Stripped, Nobody: true, slot: "own", put: func(d *draft) {
			if d.victim != nil {
				d.text += "Write to me at " + d.m.From.Address + ".\r\n"
			}
		}},
		Channel{Name: "practitioner's domain in the text", Row: rowFrom, Fate: Searched, Nobody: true, slot: "own", put: func(d *draft) {
			if d.victim != nil {
				d.text += "See " + pick(d.rng, "https://www."+Domain+"/news", "www."+Domain, Domain) + " for more.\r\n"
			}
		}},
		Channel{Name: "practitioner's name in a file name", Row: rowFrom, Fate: Stripped, Nobody: true, put: func(d *draft) {
			name := "notes"
			if d.victim != nil {
				name = strings.ReplaceAll(d.m.From.Name, " ", "_")
			}
			d.attach(file{kind: "audio/mpeg", disposition: "attachment; filename=\"" + name + "_" + d.token() + ".mp3\"", content: []byte("music")})
		}},
		Channel{Name: "PGP message", Row: rowPGP, Fate: Barred, slot: "whole", put: func(d *draft) {
			d.text = "-----BEGIN PGP MESSAGE-----\r\nVersion: " + d.token() + "\r\nComment: " + d.ascii() + "\r\n\r\nhQEMA0000000000000AQf/\r\n=AAAA\r\n-----END PGP MESSAGE-----\r\n"
			d.html = ""
		}},
		Channel{Name: "PGP key as a file", Row: rowPGP, Fate: Searched, put: func(d *draft) {
			d.attach(file{kind: "application/pgp-keys", disposition: "attachment; filename=key.asc",
				content: []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\r\nComment: " + d.ascii() + "\r\n\r\n" + base64Lines([]byte("\x99\x01\x0d key of "+d.mailbox()+" "), 64) + "=AAAA\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n")})
		}},
		Channel{Name: "multipart/signed", Row: rowPGP, Fate: Barred, slot: "whole", put: func(d *draft) {
			d.whole = "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=\"sig\"\r\n\r\n--sig\r\nContent-Type: text/plain\r\nX-Note: " + d.token() +
				"\r\n\r\nAbout " + d.ascii() + "\r\n--sig\r\nContent-Type: application/pgp-signature; name=\"OpenPGP_signature.asc\"\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\nVersion: " + d.token() + "\r\n\r\nAAAA\r\n-----END PGP SIGNATURE-----\r\n--sig--\r\n"
		}},
		Channel{Name: "multipart/encrypted", Row: rowPGP, Fate: Barred, slot: "whole", put: func(d *draft) {
			d.whole = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"enc\"\r\n\r\n--enc\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--enc\r\nContent-Type: application/octet-stream; name=\"" +
				d.atom() + ".asc\"\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nComment: " + d.ascii() + "\r\n\r\nhQEMA0000000000000AQf/\r\n-----END PGP MESSAGE-----\r\n--enc--\r\n"
		}},
	)
	return list
}

func latin1(s string) []byte {
	var out []byte
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;", "'", "&#39;").Replace(s)
}

// wide writes ASCII in full-width forms.
func wide(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r - '!' + 0xff01
		}
		return r
	}, s)
}

func uuencode(name, s string) []byte {
	var b strings.Builder
	b.WriteString("begin 644 " + name + "\r\n")
	digit := func(n byte) byte {
		if n == 0 {
			return '`'
		}
		return n + ' '
	}
	for rest := []byte(s); len(rest) > 0; {
		line := rest[:min(45, len(rest))]
		rest = rest[len(line):]
		b.WriteByte(digit(byte(len(line))))
		for len(line)%3 != 0 {
			line = append(line[:len(line):len(line)], 0)
		}
		for ; len(line) > 0; line = line[3:] {
			b.WriteByte(digit(line[0] >> 2))
			b.WriteByte(digit(line[0]<<4&0x30 | line[1]>>4))
			b.WriteByte(digit(line[1]<<2&0x3c | line[2]>>6))
			b.WriteByte(digit(line[2] & 0x3f))
		}
		b.WriteString("\r\n")
	}
	return []byte(b.String() + "`\r\nend\r\n")
}

func hexOf(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }
