// Package policy reads the policy files that a practice manager edits and turns them into a
// checked, compiled, immutable [Snapshot].
//
// It owns the language of those files: their keys, their vocabulary, their limits, and the
// words in which a mistake is reported, all mistakes at once, each with its place and what to
// do about it. It never decides anything about a message (that is package filter), never
// keeps a snapshot, never reads the clock or the network, and never lets a broken file give
// weaker rules: a set of files with one problem gives no snapshot at all. It is the only
// package that knows YAML.
package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/templates"
)

// Snapshot is one checked set of policy files. It is immutable: a reload makes a new one.
type Snapshot struct {
	ID        string // "sha256:" and the digest of all files, by name and content
	Rules     []filter.Rule
	Needs     filter.Need // of all rules together
	Practice  filter.Practice
	Org       Organisation
	People    []Person
	Systems   []System
	Clients   ClientRules
	Templates *templates.Set
	Crisis    templates.CrisisLines
	Tests     []Test
	Warnings  []Problem // what is questionable at any time; see [Snapshot.WarningsAt]

	files     map[string][]byte // by name, as they were read
	loc       *time.Location
	names     map[string]string // of rules, by id
	written   map[string]writtenRule
	phrases   map[string][]string // of word lists, by name
	digests   map[string]string   // of their phrases
	wording   templates.Sources
	people    map[string]int
	systems   map[string]int
	bySignIn  map[string]string
	senders   map[string]filter.Sender
	may       map[string]map[string]bool // submitter to keys of addresses
	own       map[string]bool            // keys of the practice's own addresses
	helplines []helpline
}

// writtenRule is a rule as its file has it, for comparing two sets.
type writtenRule struct {
	spec         filter.RuleSpec
	when, unless string // in one line each
}

// helpline is where a crisis line stands, for its warning.
type helpline struct {
	problem Problem
	checked time.Time
}

// The files of a set. All of the first must be there: a missing one would remove all
// protection that it gives.
const (
	fileOrganisation = "organisation.yaml"
	filePeople       = "people.yaml"
	fileClients      = "clients.yaml"
	fileMail         = "mail.yaml"
	fileTemplates    = "templates.yaml"
	fileCrisis       = "crisis-lines.yaml"
	fileSMS          = "sms.yaml"
)

func mandatory() []string {
	return []string{fileOrganisation, filePeople, fileClients, fileTemplates, fileCrisis, fileMail}
}

// loader collects what one Load finds.
type loader struct {
	fsys     fs.FS
	sources  map[string][]byte
	replaced map[string][]byte // read in the place of what the files hold
	docs     []*document
	readable map[string]bool // mandatory files that could be read: what a broken one would name is not asked for
	problems Problems
	warnings Problems
	seen     func(what, key string, must bool) // called for every key that a set of keys may have

	s         *Snapshot
	words     map[string]*wordFile
	roleNodes map[string]value // contacts by role: checked when the people are known
	aliases   map[string]bool  // people with an address that clients see
	subjects  map[string]value
	// signatures are those of templates.yaml by name.
	signatures map[string]value
	ruleLines  map[string]int
	rules      []placedRule
	// rulesUnclear: a rule has no id that could be read, so that tests may mean it.
	rulesUnclear bool
	usesAlias    []value
	// passwordWords is where the length of passwords stands; locksZip: something is locked as ZIP.
	passwordWords value
	locksZip      bool
	usesLines     []value // crisis_signature
}

// Load reads and checks all policy files in fsys. The error is [Problems] and lists
// everything that is wrong; with an error there is no snapshot.
func Load(fsys fs.FS) (*Snapshot, error) { return newLoader(fsys, nil).load() }

func newLoader(fsys fs.FS, seen func(what, key string, must bool)) *loader {
	return &loader{
		fsys: fsys, seen: seen, sources: map[string][]byte{}, readable: map[string]bool{},
		words: map[string]*wordFile{}, roleNodes: map[string]value{}, aliases: map[string]bool{},
		subjects: map[string]value{}, signatures: map[string]value{}, ruleLines: map[string]int{},
		s: &Snapshot{loc: time.UTC, names: map[string]string{}, written: map[string]writtenRule{}, phrases: map[string][]string{}, digests: map[string]string{}, people: map[string]int{}, systems: map[string]int{},
			bySignIn: map[string]string{}, senders: map[string]filter.Sender{}, may: map[string]map[string]bool{}, own: map[string]bool{}},
	}
}

func (l *loader) load() (*Snapshot, error) {
	l.directory()
	l.loadWords()
	readers := map[string]func(value){
		fileOrganisation: l.organisation, filePeople: l.readPeople, fileClients: l.readClients,
		fileTemplates: l.readTemplates, fileCrisis: l.readCrisis, fileMail: l.readRules,
	}
	for _, name := range mandatory() {
		if d, ok := l.openMandatory(name); ok {
			l.readable[name] = true
			readers[name](d.root)
		}
	}
	l.crossCheck()
	if len(l.problems) == 0 {
		l.unusedLists()
		l.checkSense() // of rules that are not what is meant, nothing can be said
	}
	l.loadTests()
	for _, d := range l.docs {
		d.findClientData()
	}
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	return l.finish(), nil
}

// directory reports what does not belong into the policies directory: a misspelt file name
// would otherwise be a rule that nobody reads.
func (l *loader) directory() {
	entries, err := fs.ReadDir(l.fsys, ".")
	if err != nil {
		l.problems = append(l.problems, Problem{Code: codeFileUnread, File: ".", Text: "the policies directory cannot be read", Fix: "check that it exists and that the program may read it"})
		return
	}
	for _, e := range entries {
		name := e.Name()
		ext := strings.ToLower(path.Ext(name))
		switch {
		case strings.HasPrefix(name, "."), e.IsDir() && !slices.Contains(mandatory(), name):
		case name == fileSMS:
			l.problems = append(l.problems, Problem{Code: codeNotBuilt, File: name, Text: "this version sends no texts, so it cannot keep the rules of this file",
				Fix: "take the file away until a version that sends texts is installed"})
		case (ext == ".yaml" || ext == ".yml") && !slices.Contains(mandatory(), name):
			fix := didYouMean(name, mandatory())
			l.problems = append(l.problems, Problem{Code: codeFileName, File: name, Text: "no policy file has this name, so nobody would read it", Fix: fix})
		}
	}
}

func (l *loader) openMandatory(name string) (*document, bool) {
	if _, err := fs.Stat(l.fsys, name); err != nil && fixOpen(err) == fixOpen(fs.ErrNotExist) {
		l.problems = append(l.problems, Problem{Code: codeFileMissing, File: name, Text: "this file is missing, which would remove all protection that it gives",
			Fix: l.otherName(name)})
		return nil, false
	}
	d, ok := l.open(name)
	l.docs = append(l.docs, d)
	return d, ok
}

// otherName says what to do about a missing file: file managers that hide the end of a name save
// mail.yaml.txt, and show mail.yaml.
func (l *loader) otherName(name string) string {
	entries, err := fs.ReadDir(l.fsys, ".")
	for _, e := range entries {
		if low := strings.ToLower(e.Name()); err == nil && !e.IsDir() && (low == name || strings.HasPrefix(low, name+".") && !strings.HasSuffix(low, "~")) {
			return "there is " + quote(e.Name()) + " here: if it is this file, call it " + name + " (file managers often hide the end of a name)"
		}
	}
	return "restore it from a copy, or take the shipped one as a start"
}

// unclear says that something in that file has lost its name: what others call so may be there.
func (l *loader) unclear(name string) {
	if name == fileMail {
		l.rulesUnclear = true
	} else if _, mandatory := l.readable[name]; mandatory {
		l.readable[name] = false
	}
}

// wrong reports whether that file has a problem.
func (l *loader) wrong(name string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.File == name })
}

// crossCheck looks at what one file says about another.
func (l *loader) crossCheck() {
	roles := []string{RoleSafeguardingLead, RoleDataProtection}
	for _, role := range roles {
		v, ok := l.roleNodes[role]
		if !ok || !l.readable[filePeople] {
			continue
		}
		if _, known := l.s.people[v.n.Value]; !known {
			v.report(codeNobody, "no person in people.yaml has the id %s", didYouMean(v.n.Value, l.personIDs()), quote(v.n.Value))
		}
	}
	for _, v := range l.usesAlias {
		if l.wrong(filePeople) {
			break // the address may be what is wrong there
		}
		for _, p := range l.s.People {
			if p.MaySend() && p.Alias.IsZero() {
				v.report(codeNoAlias, "use_alias needs an address that clients see, and %s has none", "add clients_see: {name, address} to this person in people.yaml", quote(p.ID))
			}
		}
	}
	for _, v := range l.usesLines {
		if c := l.s.Org.Country; c != "" && l.s.Crisis != nil {
			if _, ok := l.s.Crisis[c]; !ok {
				v.report(codeNoLines, "crisis_signature needs the lines of the practice's own country, and crisis-lines.yaml has none for %s", "add the country to crisis-lines.yaml", quote(c))
			}
		}
	}
}

// strongPassword is how many words the password of a ZIP file needs: its key is made so that
// many guesses can be tried in little time.
const strongPassword = 6

// weakZip warns of ZIP files locked with a password that is good enough for other formats only.
func (l *loader) weakZip() {
	if at := l.passwordWords; at.ok() && l.s.Clients.PasswordWords < strongPassword && l.locksZip {
		at.warn(codeWeakZip, "files are locked as ZIP here, and a ZIP file shows its password sooner than others", "write 6 words or more, or lock as PDF or Word")
	}
}

// finish compiles what the checks have found right.
func (l *loader) finish() *Snapshot {
	s := l.s
	names := make([]string, 0, len(l.sources))
	for n := range l.sources {
		names = append(names, n)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		// Lengths first, so that no other division into names and contents has this digest.
		var size [16]byte
		binary.BigEndian.PutUint64(size[:8], uint64(len(n)))
		binary.BigEndian.PutUint64(size[8:], uint64(len(l.sources[n])))
		h.Write(size[:])
		h.Write([]byte(n))
		h.Write(l.sources[n])
	}
	s.ID = "sha256:" + hex.EncodeToString(h.Sum(nil))
	s.files = l.sources
	for name, w := range l.words {
		s.phrases[name] = w.phrases
		sum := sha256.Sum256([]byte(strings.Join(w.phrases, "\n")))
		s.digests[name] = hex.EncodeToString(sum[:8])
	}
	s.Needs = filter.Always
	for _, r := range s.Rules {
		s.Needs |= r.Needs()
	}
	s.Practice = filter.Practice{
		Policy: s.ID, OnMixedSplit: s.Org.OnMixedSplit, ClientsPerMessage: s.Org.ClientsPerMessage,
		DiscreetByDefault: s.Clients.Discreet, UnknownIsAdult: s.Clients.UnknownIsAdult(),
		OwnDomains: s.Org.Domains, Protection: s.Clients.Protection,
	}
	if _, ok := s.Clients.Consents[groupConsent]; ok {
		s.Practice.GroupConsent = groupConsent
	}
	l.weakZip()
	l.warnings.sort()
	s.Warnings = l.warnings
	return s
}

// groupConsent is the purpose that lets clients see each other's addresses.
const groupConsent = "group_email"

// Location returns the practice's time zone.
func (s *Snapshot) Location() *time.Location { return s.loc }

// BySignIn returns the id of the person or system that signs in under that name: its
// signs_in_as address, in any case.
func (s *Snapshot) BySignIn(name string) (id string, ok bool) {
	a, err := mail.ParseAddress(strings.TrimSpace(name))
	if err != nil {
		return "", false
	}
	id, ok = s.bySignIn[a.Key()]
	return id, ok
}

// Sender returns what rules may know about a person or system.
func (s *Snapshot) Sender(id string) (filter.Sender, bool) {
	f, ok := s.senders[id]
	f.May = slices.Clone(f.May)
	return f, ok
}

// MayUse reports whether the person or system may send as that address: its signs_in_as, its
// also_uses and the address that clients see; a system also those of the people whom it may
// use.
func (s *Snapshot) MayUse(id string, a mail.Address) bool { return !a.IsZero() && s.may[id][a.Key()] }

// ClassOf says who an address is to the practice, by the policy files alone: a colleague, a
// contact or unknown. Whether it is a client's, which goes first, only the register knows.
func (s *Snapshot) ClassOf(a mail.Address) filter.Class {
	k := a.Key()
	switch {
	case a.IsZero():
		return filter.ClassUnknown
	case s.own[k], slices.Contains(s.Org.Domains, a.Domain):
		return filter.ClassColleague
	case s.Clients.notClient[k], slices.Contains(s.Clients.NotClientDomains, a.Domain):
		return filter.ClassContact
	}
	return filter.ClassUnknown
}

// ClassBy is [Snapshot.ClassOf] for an address of which only pseudonyms are known: of its key
// and of its domain.
func (s *Snapshot) ClassBy(mailbox, domain string, pseudonym func(string) string) filter.Class {
	has := func(keys iter.Seq[string], want string) bool {
		for k := range keys {
			if pseudonym(k) == want {
				return true
			}
		}
		return false
	}
	switch {
	case has(maps.Keys(s.own), mailbox), has(slices.Values(s.Org.Domains), domain):
		return filter.ClassColleague
	case has(maps.Keys(s.Clients.notClient), mailbox), has(slices.Values(s.Clients.NotClientDomains), domain):
		return filter.ClassContact
	}
	return filter.ClassUnknown
}

// ListDigest names the words of a list: another version of it has another.
func (s *Snapshot) ListDigest(name string) string { return s.digests[name] }

// Person returns a person by id, or by role: safeguarding_lead or data_protection.
func (s *Snapshot) Person(idOrRole string) (Person, bool) {
	switch idOrRole {
	case RoleSafeguardingLead:
		idOrRole = s.Org.SafeguardingLead
	case RoleDataProtection:
		idOrRole = s.Org.DataProtection
	}
	i, ok := s.people[idOrRole]
	if !ok {
		return Person{}, false
	}
	return s.People[i], true
}

// PersonByAddress returns the person who may send as that address; where several share it,
// the one who signs in with it, otherwise none.
func (s *Snapshot) PersonByAddress(a mail.Address) (Person, bool) {
	var found []Person
	for _, p := range s.People {
		if p.SignsInAs.Key() == a.Key() {
			return p, true
		}
		if s.MayUse(p.ID, a) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return Person{}, false
	}
	return found[0], true
}

// RuleName returns the sentence that names a rule of these policies, or the id itself.
func (s *Snapshot) RuleName(id string) string {
	if n := s.names[id]; n != "" {
		return n
	}
	return id
}

// WarningsAt returns everything questionable at that moment: [Snapshot.Warnings], and
// helplines that nobody has checked for 180 days.
func (s *Snapshot) WarningsAt(now time.Time) []Problem {
	out := slices.Clone(s.Warnings)
	var due, coming []Problem
	never := 0
	for _, h := range s.helplines {
		p := h.problem
		switch {
		case h.checked.IsZero():
			p.Text += " has never been checked"
			never++
		case h.checked.After(now):
			p.Text += " was checked on a day that has not come yet"
			p.Fix = "write the day on which somebody last rang it or looked at its source, or never"
			coming = append(coming, p)
			continue
		case now.Sub(h.checked) > 180*24*time.Hour:
			p.Text += " was last checked more than 180 days ago"
		default:
			continue
		}
		due = append(due, p)
	}
	if len(due) > 1 { // one line for all, at the first of them
		p := due[0]
		p.Text = fmt.Sprintf("%d of %d helplines have to be checked (%d never, %d not within the last 180 days)", len(due), len(s.helplines), never, len(due)-never)
		p.Fix = "ring each of them or look at its source, then write that day as its checked_on"
		due = []Problem{p}
	}
	out = append(append(out, due...), coming...)
	Problems(out).sort()
	return out
}

// CrisisFor returns what decides which crisis lines a client gets at that moment.
func (s *Snapshot) CrisisFor(c filter.Client, at time.Time) templates.CrisisFor {
	f := templates.CrisisFor{Country: c.Country, Nation: c.Nation, Language: c.Language, Discreet: s.Clients.Discreet, Home: s.Org.Country}
	if c.Discreet != nil {
		f.Discreet = *c.Discreet
	}
	f.Age, f.AgeKnown = c.Age(at)
	return f
}
