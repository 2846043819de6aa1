package policy

import (
	"slices"
	"strings"
)

// Domains at which anybody can have a mailbox. A practice that calls one of them its own, or
// the domain of people who are no clients, would let every client with a mailbox there pass as
// somebody else. The list holds what people in the United Kingdom, in Ireland and elsewhere
// mostly use; a provider that it lacks is still only let through where a practice names it.

// anybodysDomain reports whether anybody can have a mailbox at the domain.
func anybodysDomain(domain string) bool {
	if slices.Contains(providers(), domain) {
		return true
	}
	// yahoo.co.uk, hotmail.fr: one provider, many countries.
	name, rest, ok := strings.Cut(domain, ".")
	return ok && slices.Contains(countryProviders(), name) && strings.Count(rest, ".") <= 1 && len(rest) <= 6
}

func countryProviders() []string {
	return []string{"aol", "gmail", "gmx", "googlemail", "hotmail", "icloud", "live", "msn", "outlook", "rocketmail", "yahoo", "yandex", "ymail"}
}

func providers() []string {
	return []string{
		// Mail for anybody.
		"mail.com", "email.com", "me.com", "mac.com", "proton.me", "protonmail.com", "protonmail.ch", "pm.me", "tutanota.com", "tuta.io", "tuta.com",
		"zoho.com", "zohomail.com", "zohomail.eu", "fastmail.com", "fastmail.fm", "hey.com", "inbox.com", "mail.ru", "inbox.ru", "bk.ru", "list.ru", "rambler.ru",
		"web.de", "freenet.de", "posteo.de", "posteo.net", "mailbox.org", "t-online.de", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr",
		"libero.it", "virgilio.it", "alice.it", "tiscali.it", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "seznam.cz", "abv.bg", "ukr.net", "mail.bg",
		"qq.com", "163.com", "126.com", "sina.com", "naver.com", "daum.net", "hanmail.net", "rediffmail.com", "hushmail.com", "runbox.com", "disroot.org", "riseup.net",
		"duck.com", "mozmail.com", "privaterelay.appleid.com", "relay.firefox.com", "duckduckgo.com", "simplelogin.com", "anonaddy.com",
		// Mail that comes with a line or a phone.
		"btinternet.com", "btopenworld.com", "btconnect.com", "talk21.com", "sky.com", "talktalk.net", "talktalk.co.uk", "virginmedia.com", "virgin.net", "blueyonder.co.uk", "ntlworld.com",
		"tiscali.co.uk", "plus.net", "plus.com", "plusnet.com", "orange.net", "wanadoo.co.uk", "fsmail.net", "freeserve.co.uk", "fsnet.co.uk", "lineone.net", "pipex.com",
		"o2.co.uk", "ee.co.uk", "tesco.net", "aol.co.uk", "supanet.com", "zen.co.uk", "onetel.com", "madasafish.com", "uwclub.net", "waitrose.com", "cwgsy.net", "manx.net",
		"eircom.net", "iol.ie", "indigo.ie", "comcast.net", "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net",
		"bigpond.com", "optusnet.com.au", "xtra.co.nz", "rogers.com", "shaw.ca", "sympatico.ca", "telus.net",
	}
}

// notAnybodys refuses a domain at which anybody can have a mailbox. otherwise says what to
// write instead.
func (v value) notAnybodys(domain, otherwise string) bool {
	if !anybodysDomain(domain) {
		return true
	}
	v.report(codeAnybodysDomain, "anybody can have a mailbox at %s, clients too: they would all count as known people", otherwise, quote(domain))
	return false
}
