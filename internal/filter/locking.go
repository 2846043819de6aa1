package filter

import "slices"

// The ways in which a copy can be locked: [Variant.Protection], and the value of lock_as.
const (
	LockedPDF  = "pdf"
	LockedDOCX = "docx"
	LockedZIP  = "zip"
	LockedPGP  = "pgp"
)

// protections are the register's words for them.
var protections = map[string]string{"locked_pdf": LockedPDF, "locked_word": LockedDOCX, "locked_zip": LockedZIP, "pgp": LockedPGP}

// means is what there is to lock with for one client.
type means struct {
	protection string // as the register says; empty: as clients.yaml does
	words, key bool
	keyFault   string // why there is a key and it cannot be used
}

// locking finds a way to lock each copy that must be locked, and holds a copy for which there is
// none, saying why. No way leads from a lock to a copy in clear.
func locking(in *Input, pr Practice, classes []Class, findings []Finding, decisions []Decision) []string {
	if in.Mail == nil { // at RCPT nothing is made yet
		return make([]string, len(decisions))
	}
	signed, encrypted := in.sealed()
	return lockAll(pr, findings, decisions, func(i int) (who []means, why string) {
		switch {
		case signed || encrypted:
			return nil, "the email is signed or encrypted by the mail app, and cannot be put into another lock"
		case classes[i] != ClassClient:
			return nil, "only clients have words or a key on file"
		case !slices.ContainsFunc(editsFor(findings, i), func(e Edit) bool { return e.Kind == EditSubject }):
			return nil, "no rule gives it a neutral subject, and the real one may not show outside"
		}
		for _, c := range in.Facts.Recipients[i].Clients.Value {
			who = append(who, means{c.Protection, c.HasWords, c.HasKey, c.KeyFault})
		}
		return who, ""
	})
}

// mustLock are findings for the copies that were held because they must be locked.
func mustLock(in *Input) []Finding {
	if in.Facts.Release == nil {
		return nil
	}
	var out []Finding
	for _, i := range in.Facts.Release.MustLock {
		out = append(out, Finding{Rule: RuleCannotLock, Rcpt: i, Action: Lock, About: Safety, Fixed: true,
			Reason: "It was held because it must be locked, and nobody can let it go unlocked"})
	}
	return out
}

// lockAll returns the way to lock for each recipient whose copy must be locked and can be.
func lockAll(pr Practice, findings []Finding, decisions []Decision, of func(rcpt int) ([]means, string)) []string {
	ways := make([]string, len(decisions))
	for i := range decisions {
		d := &decisions[i]
		if d.Action != Lock {
			continue
		}
		who, why := of(i)
		missing := false
		if why == "" {
			ways[i], why, missing = way(pr, lockedAs(findings, i), who)
		}
		if ways[i] != "" {
			continue
		}
		d.Action = Hold
		for k := range findings {
			if f := &findings[k]; f.concerns(i) && f.effect() == Lock {
				if f.Reason += ": " + why; !missing {
					f.Text = "" // it says that words are missing
				}
			}
		}
	}
	return ways
}

// lockedAs returns the ways that rules name for a recipient, each once.
func lockedAs(findings []Finding, rcpt int) []string {
	var out []string
	for k := range findings {
		if f := &findings[k]; f.concerns(rcpt) && f.effect() == Lock && f.LockAs != "" {
			out = append(out, f.LockAs)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// way picks how to lock for whoever reads the mailbox; why says that it cannot be done, and
// missing that words or a key are all that is missing.
func way(pr Practice, asked []string, who []means) (way, why string, missing bool) {
	switch {
	case len(who) == 0:
		return "", "only clients have words or a key on file", false
	case len(who) > 1:
		return "", "several clients share the mailbox, and words are one client's own", false
	case len(asked) > 1:
		return "", "rules ask for different locks (" + List(asked) + "), and whoever edits the policies must decide which one applies", false
	}
	if way = protections[who[0].protection]; who[0].protection == "" {
		way = protections[pr.Protection]
	}
	if len(asked) == 1 {
		way = asked[0]
	}
	switch {
	case way == "":
		return "", "the client list says that this client's mail is not locked (protection: none)", false
	case way == LockedPGP && !who[0].key:
		if fault := who[0].keyFault; fault != "" {
			return "", "there is no PGP key on file that can be used: " + fault, false
		}
		return "", "there is no PGP key on file that can be used", true
	case way != LockedPGP && !who[0].words:
		return "", "no words are agreed yet", true
	}
	return way, "", false
}
