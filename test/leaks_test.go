package test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/test/canary"
	"github.com/plaincover/plaincover/test/oracle"
)

// leakSeed is the practice and the mail that the tests invent. LEAKS_SEED changes it.
const leakSeed = 20261122

// pieceOfMail is how many messages one installation gets: a new one begins with an empty disk.
const pieceOfMail = 1000

// TestLeaks sends generated mail with canaries in every channel through the real path: SMTP
// in with TLS and sign-in, the built program, SMTP out to a sink. An oracle that shares no
// code with it looks into every copy for anybody whom its readers may not see.
//
// LEAKS sets the number of messages, LEAKS_MINUTES ends it earlier; make leaks sends 100,000
// and writes docs/leaks.md.
func TestLeaks(t *testing.T) {
	t.Parallel()
	total, seed := environInt(t, "LEAKS", 400), uint64(environInt(t, "LEAKS_SEED", leakSeed))
	t.Logf("LEAKS=%d LEAKS_SEED=%d", total, seed)
	world := canary.NewWorld(seed, 200)
	sum := newTally()
	began := time.Now()
	minutes := environInt(t, "LEAKS_MINUTES", 0)
	for from := 0; from < total && (minutes == 0 || time.Since(began) < time.Duration(minutes)*time.Minute); from += pieceOfMail {
		n := min(pieceOfMail, total-from)
		c := newCampaign(t, world, "")
		for i := range n {
			c.add(world.Message(seed, from+i, canary.Plan{}))
		}
		c.run(8)
		before := len(sum.misses)
		c.judge(sum)
		for _, miss := range sum.misses[before:] {
			t.Error(miss)
			fmt.Fprintln(os.Stderr, miss) // t prints at the end only, and that may be an hour away
		}
		c.expectations(t)
		c.service.stop()
		if total > pieceOfMail {
			fmt.Fprintf(os.Stderr, "%s %d messages, %d copies, %d foreign canaries, %s\n", time.Now().Format(time.TimeOnly), sum.messages, sum.copies, len(sum.misses), time.Since(began).Round(time.Second))
		}
	}
	t.Logf("%d messages, %d copies, %d notices in %s", sum.messages, sum.copies, sum.notices, time.Since(began).Round(time.Second))
	t.Log("\n" + sum.markdown(world))
	document(t, "shares", fmt.Sprintf("%s, `LEAKS=%d LEAKS_SEED=%d`: %d messages, %d copies and %d notices left, **%d foreign canaries**.\n\n",
		time.Now().Format(time.DateOnly), total, seed, sum.messages, sum.copies, sum.notices, len(sum.misses))+sum.markdown(world))
}

// campaign is one installation, what is sent through it, and what comes out.
type campaign struct {
	t       *testing.T
	world   *canary.World
	oracle  *oracle.Oracle
	what    []planted // by number of a canary
	service *service
	pass    map[string]string // by practitioner

	messages []*canary.Message
	replies  []reply

	mu     sync.Mutex
	seen   []seen
	faults []string
	off    bool // a defence is off: the copies may be odd, but they may name nobody
}

// planted says what a canary is.
type planted struct {
	kind  string // mailbox, phone, code, name, born; address, domain, person; token
	owner int    // client or practitioner
	token *canary.Channel
}

// reply is how a message was answered.
type reply struct {
	id   string
	kind string // sent, leak (held by the leak check), held, refused, other
	text string
}

// seen is a copy that arrived, with what the oracle found in it.
type seen struct {
	id, from string // of the message
	written  string // its Message-ID
	to       []string
	found    map[int]string
	header   []byte
	raw      []byte // kept while something was found that is not the reader's own
}

func newCampaign(t *testing.T, world *canary.World, binary string) *campaign {
	t.Helper()
	c := &campaign{t: t, world: world, pass: map[string]string{}}
	c.oracle, c.what = canaries(t, world)
	c.service = prepare(t, setup{register: world.Register(), consents: world.Consents(), policies: leakPolicies, program: binary})
	c.service.sink.look = c.arrived
	for _, p := range world.Practitioners {
		c.pass[p.ID] = c.service.password
		if p.ID != "maya" {
			c.pass[p.ID] = c.service.signUp(p.ID)
		}
	}
	c.service.start()
	return c
}

// canaries returns an oracle for everybody in the world, and what each of its canaries is.
func canaries(t *testing.T, world *canary.World) (*oracle.Oracle, []planted) {
	t.Helper()
	var what []planted
	var list []oracle.Canary
	plant := func(p planted, name string, forms ...string) {
		what = append(what, p)
		list = append(list, oracle.Canary{Name: name, Forms: forms})
	}
	mailboxes := map[string]bool{}
	for i := range world.Clients {
		k := &world.Clients[i]
		who := "client " + k.Ref
		if !mailboxes[k.Mailbox] {
			mailboxes[k.Mailbox] = true
			plant(planted{"mailbox", i, nil}, "mailbox of "+who, k.Mailbox)
		}
		plant(planted{"phone", i, nil}, "phone of "+who, strings.ReplaceAll(k.Phone[1:], " ", ""))
		plant(planted{"code", i, nil}, "code of "+who, k.Ref)
		plant(planted{"name", i, nil}, "name of "+who, k.Given+k.Family, k.Family+k.Given)
		plant(planted{"born", i, nil}, "birth date of "+who, k.Born.Format("20060102"), k.Born.Format("02012006"), k.Born.Format("02January2006"), k.Born.Format("2January2006"))
	}
	for i, p := range world.Practitioners {
		plant(planted{"address", i, nil}, "address of "+p.ID, p.Address)
		plant(planted{"person", i, nil}, "name of "+p.ID, p.Name)
	}
	plant(planted{"domain", 0, nil}, "the practice's domain", canary.Domain)
	for i := range world.Channels {
		plant(planted{"token", 0, &world.Channels[i]}, "token of "+world.Channels[i].Name, world.Channels[i].Token())
	}
	o, err := oracle.New(list)
	must(t, err)
	return o, what
}

// leakRules let through as much as rules can: nothing is held for what it is about.
const leakRules = `rules:
  - name: One client never sees another client's address
    id: send-separately
    when: {clients_more_than: 1}
    unless: {everyone_agreed_to: group_email, subject_starts: "[together]"}
    do: [send_separately]
    always_enforce: yes
  - {name: Together needs everyone's agreement, id: together-needs-consent, when: {clients_more_than: 1, subject_starts: "[together]"}, unless: {everyone_agreed_to: group_email}, do: [hold], tell_sender: M03, always_enforce: yes}
  - {name: Somebody who is on no list, id: unknown-recipient, when: {to: unknown}, do: [hold], tell_sender: M05, always_enforce: yes}
  - {name: Neutral outside, id: neutral-subject, when: {to: client}, do: [{subject: neutral-default}, neutral_first_line, use_alias, remove_identifying_headers, neutral_filenames]}
  - {name: Crisis lines, id: crisis-signature, when: {to: client}, do: [crisis_signature]}
`

// leakPolicies puts these rules in the place of the shipped ones; recipients are decided one
// by one, twenty to a message.
func leakPolicies(t *testing.T, dir string) {
	must(t, os.WriteFile(filepath.Join(dir, "mail.yaml"), []byte(leakRules), 0o600))
	must(t, os.RemoveAll(filepath.Join(dir, "tests"))) // those of the rules that were there
	for _, e := range []struct{ file, old, new string }{
		{"organisation.yaml", "on_mixed: hold_all", "on_mixed: split"},
		{"organisation.yaml", "clients_per_message: 10", "clients_per_message: 20"},
		{"people.yaml", "people:\n", "people:\n  - {id: jo, name: Joanna Lindqvist, signs_in_as: jo@willowhouse.example, clients_see: {name: J, address: hello@wh.example}, may: [send]}\n"},
	} {
		path := filepath.Join(dir, e.file)
		text, err := os.ReadFile(path)
		must(t, err)
		if strings.Count(string(text), e.old) != 1 {
			t.Fatalf("%s: %q does not stand there once", e.file, e.old)
		}
		must(t, os.WriteFile(path, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600))
	}
}

// add puts a message on the list, and sees that the oracle finds in it what was planted: what
// it could not find there it could not find in a copy either.
func (c *campaign) add(m *canary.Message) {
	found, err := c.oracle.Look(m.Raw)
	if err != nil {
		c.t.Fatalf("message %d: %v", m.Number, err)
	}
	for _, v := range m.Victims {
		ok := false
		for i := range found {
			p := c.what[i]
			ok = ok || p.token == nil && p.kind != "address" && p.kind != "domain" && p.kind != "person" && c.same(p.owner, v)
		}
		if !ok {
			c.t.Errorf("message %d: the oracle does not find client %d in %v:\n%s", m.Number, v, m.Names(), m.Raw)
		}
	}
	c.messages = append(c.messages, m)
}

// same reports whether two clients are one, or share a mailbox.
func (c *campaign) same(a, b int) bool {
	return c.world.Clients[a].Mailbox == c.world.Clients[b].Mailbox
}

// arrived looks at a copy at once, so that not all of them are in memory.
func (c *campaign) arrived(a arrival) {
	data := a.data
	if a.from == "" {
		// A notice answers the mail that it is about: it names the id that the mail app gave it.
		data = regexp.MustCompile(`(?m)^(In-Reply-To|References):.*\r\n([ \t].*\r\n)*`).ReplaceAll(data, nil)
	}
	found, err := c.oracle.Look(data)
	s := seen{id: strings.ToUpper(strings.SplitN(a.messageID(), ".", 2)[0]), written: a.messageID(), from: a.from, to: a.to, found: found}
	head, _, _ := bytes.Cut(a.data, []byte("\r\n\r\n"))
	s.header = bytes.Clone(head)
	if len(found) > 0 {
		s.raw = a.data
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.faults = append(c.faults, err.Error())
	}
	c.seen = append(c.seen, s)
}

// run submits everything on some connections at once, and returns when nothing waits any more.
func (c *campaign) run(workers int) {
	c.t.Helper()
	c.replies = make([]reply, len(c.messages))
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			open := map[string]*smtp.Client{}
			for i := range next {
				c.replies[i] = c.submit(open, c.messages[i])
			}
			for _, conn := range open {
				conn.Quit()
			}
		})
	}
	for i := range c.messages {
		next <- i
	}
	close(next)
	wg.Wait()
	waiting := regexp.MustCompile(`"state": ?"(queued|sending)"`)
	deadline := time.Now().Add(patience + time.Duration(len(c.messages))*20*time.Millisecond)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for waiting.Match(c.service.command("queue", "list", "--json")) {
		if time.Now().After(deadline) {
			c.t.Fatal("the queue does not become empty")
		}
		<-again.C
	}
}

func (c *campaign) submit(open map[string]*smtp.Client, m *canary.Message) reply {
	conn := open[m.From.ID]
	if conn == nil {
		var err error
		if conn, err = c.service.dialAs(m.From.Address, c.pass[m.From.ID]); err != nil {
			return reply{kind: "other", text: err.Error()}
		}
		open[m.From.ID] = conn
	}
	var to []string
	for _, r := range m.Rcpts {
		to = append(to, r.Address)
	}
	text, err := send(conn, m.From.Address, string(m.Raw), to...)
	if err != nil {
		conn.Reset()
		if e, ok := err.(*smtp.SMTPError); ok && e.Code/100 == 5 {
			return reply{kind: "refused", text: fmt.Sprint(e)}
		}
		return reply{kind: "other", text: err.Error()}
	}
	r := reply{kind: "held", text: text}
	if got := acceptedID().FindStringSubmatch(text); got != nil {
		r.id = got[1]
	}
	switch {
	case strings.HasPrefix(text, "2.0.0 queued"), strings.HasPrefix(text, "queued"):
		r.kind = "sent"
	case strings.Contains(text, "[M26"):
		r.kind = "leak"
	}
	return r
}

// tally is what came of all messages.
type tally struct {
	messages, copies, notices int
	misses                    []string
	by                        map[string]*fate // by channel
}

// fate counts what became of the messages with one channel in the content, or of those with
// channels that are stripped alone.
type fate struct {
	planted, clean              int // messages with and without a canary
	sent, part, leak, held, bad int // of the planted: every copy left; some did; held by the leak check; for another reason; refused
	cleanSent                   int
}

func newTally() *tally { return &tally{by: map[string]*fate{}} }

// copies returns the copies of a message by recipient.
func (c *campaign) copies() map[string][]*seen {
	out := map[string][]*seen{}
	known := map[string]bool{}
	for i := range c.replies {
		known[c.replies[i].id] = true
	}
	for i := range c.seen {
		if s := &c.seen[i]; !known[s.id] && c.off {
			// With our Message-IDs switched off, a copy has that of the mail app.
			for k, m := range c.messages {
				if bytes.Contains(m.Raw, []byte("\r\nMessage-ID: <"+s.written+">\r\n")) {
					s.id = c.replies[k].id
				}
			}
		}
		if c.seen[i].from != "" {
			out[c.seen[i].id] = append(out[c.seen[i].id], &c.seen[i])
		}
	}
	return out
}

// judge holds every copy against what its readers may see.
func (c *campaign) judge(sum *tally) {
	sum.misses = append(sum.misses, c.faults...)
	arrived := c.copies()
	known := map[string]bool{}
	for i := range c.replies {
		known[c.replies[i].id] = true
	}
	for id, copies := range arrived {
		if !known[id] {
			sum.misses = append(sum.misses, fmt.Sprintf("%d copies with an id that was given to no message", len(copies)))
		}
	}
	for i, m := range c.messages {
		sum.messages++
		r := c.replies[i]
		if r.kind == "other" {
			sum.misses = append(sum.misses, fmt.Sprintf("message %d %v: no verdict: %s", m.Number, m.Names(), r.text))
			continue
		}
		for _, s := range arrived[r.id] {
			sum.copies++
			sum.misses = append(sum.misses, c.misses(m, s)...)
		}
		sum.count(m, r, len(arrived[r.id]))
	}
	for i := range c.seen {
		s := &c.seen[i]
		if s.from == "" {
			sum.notices++
			for n, trail := range s.found {
				if p := c.what[n]; p.kind == "mailbox" || p.kind == "phone" || p.kind == "name" || p.token != nil {
					sum.misses = append(sum.misses, fmt.Sprintf("a notice to %v shows the %s (%s)", s.to, c.oracle.Canary(n).Name, trail))
				}
			}
		}
	}
}

// misses returns what a copy shows that its readers may not see.
func (c *campaign) misses(m *canary.Message, s *seen) []string {
	var out []string
	miss := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("message %d %v to %v: ", m.Number, m.Names(), s.to)+fmt.Sprintf(format, args...))
	}
	if len(s.to) != 1 && !m.Group && !c.off {
		miss("%d recipients in one transaction", len(s.to))
	}
	kinds, own := map[canary.Kind]bool{}, []int{}
	var recipients []int
	for _, r := range m.Rcpts {
		recipients = append(recipients, r.Clients...)
		if slices.Contains(s.to, r.Address) {
			kinds[r.Kind] = true
			own = append(own, r.Clients...)
		}
	}
	if len(s.to) != 1 && !m.Group {
		own = nil // nobody agreed to be seen by the others
	}
	if len(kinds) != 1 || kinds[canary.KindStranger] {
		miss("this is no recipient who may get it")
		return out
	}
	if !c.off && (bytes.Contains(bytes.ToLower(s.header), []byte("\nbcc:")) || bytes.Contains(bytes.ToLower(s.header), []byte("\nresent-"))) {
		miss("Bcc or Resent field")
	}
	if kinds[canary.KindColleague] {
		return out
	}
	client := kinds[canary.KindClient]
	if client && !c.off && !regexp.MustCompile(`(?m)^Date: .* \+0[01]00\r?$`).Match(s.header) {
		miss("the Date is not in the practice's zone")
	}
	born := map[int]bool{}
	for n := range s.found {
		if p := c.what[n]; p.kind == "born" {
			born[p.owner] = true
		}
	}
	var inHeader map[int]string
	for n, trail := range s.found {
		p := c.what[n]
		bad := false
		switch p.kind {
		case "mailbox", "phone", "code":
			bad = !slices.ContainsFunc(own, func(o int) bool { return c.same(o, p.owner) && (p.kind == "mailbox" || o == p.owner) })
		case "name":
			near := slices.Contains(recipients, p.owner) || c.world.Clients[p.owner].Practitioner == m.From.ID
			bad = !slices.Contains(own, p.owner) && (near || born[p.owner])
		case "address", "domain":
			bad = client
		case "person":
			if inHeader == nil {
				inHeader, _ = c.oracle.Look(s.header)
				if inHeader == nil {
					inHeader = map[int]string{}
				}
			}
			bad = client && inHeader[n] != ""
		case "token":
			bad = client && p.token.Fate == canary.Stripped && !c.off
		}
		if bad {
			miss("shows the %s (%s)", c.oracle.Canary(n).Name, trail)
		}
	}
	slices.Sort(out)
	return out
}

// count adds a message to the shares of its channel.
func (t *tally) count(m *canary.Message, r reply, copies int) {
	var content, stripped []*canary.Channel
	for _, ch := range m.Channels {
		if ch.Fate == canary.Stripped {
			stripped = append(stripped, ch)
		} else {
			content = append(content, ch)
		}
	}
	if len(content) == 0 {
		content = stripped
	} else if len(content) > 1 {
		return
	}
	for _, ch := range content {
		f := t.by[ch.Name]
		if f == nil {
			f = &fate{}
			t.by[ch.Name] = f
		}
		if !m.Planted {
			f.clean++
			if r.kind == "sent" {
				f.cleanSent++
			}
			continue
		}
		f.planted++
		switch {
		case r.kind == "sent":
			f.sent++
		case r.kind == "refused":
			f.bad++
		case copies > 0:
			f.part++
		case r.kind == "leak":
			f.leak++
		default:
			f.held++
		}
	}
}

// expectations holds that what is harmless leaves: a program that holds everything leaks
// nothing either.
func (c *campaign) expectations(t *testing.T) {
	t.Helper()
	arrived := c.copies()
	for i, m := range c.messages {
		sendable := true
		for _, ch := range m.Channels {
			sendable = sendable && (ch.Fate == canary.Stripped || ch.Fate == canary.Searched && !m.Planted)
		}
		if !sendable {
			continue
		}
		got := map[string]int{}
		for _, s := range arrived[c.replies[i].id] {
			for _, to := range s.to {
				got[to]++
			}
		}
		for _, r := range m.Rcpts {
			if want := 1; (r.Kind == canary.KindClient || r.Kind == canary.KindColleague) && got[r.Address] != want {
				t.Errorf("message %d %v (planted %t): %d copies to %s %s; the answer was %s", m.Number, m.Names(), m.Planted, got[r.Address], r.Kind, r.Address, c.replies[i].text)
			}
		}
	}
}

// markdown is the table of the document.
func (t *tally) markdown(w *canary.World) string {
	var b strings.Builder
	b.WriteString("| channel | messages | every copy left | some copies held | all held: leak check | all held: other rule | refused | harmless: left |\n|---|---|---|---|---|---|---|---|\n")
	for i := range w.Channels {
		f := t.by[w.Channels[i].Name]
		if f == nil {
			f = &fate{}
		}
		fmt.Fprintf(&b, "| %s (%s) | %d | %d | %d | %d | %d | %d | %d of %d |\n", w.Channels[i].Name, w.Channels[i].Fate, f.planted, f.sent, f.part, f.leak, f.held, f.bad, f.cleanSent, f.clean)
	}
	return b.String()
}

// The oracle must not share a line with what it judges: it imports the standard library only.
func TestOracleSharesNoCode(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{"oracle", "canary"} {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		if got := strings.Fields(string(out)); len(got) != 1 || !strings.HasSuffix(got[0], "/test/"+pkg) {
			t.Errorf("%s depends on %v", pkg, slices.Sorted(maps.Keys(map[string]bool{string(out): true})))
		}
	}
}

const leaksDocument = "../docs/leaks.md"

// document writes a section of docs/leaks.md where UPDATE=1 asks for it. The figures in it are
// those of a long run, so nothing is compared with them.
func document(t *testing.T, section, text string) {
	t.Helper()
	if os.Getenv("UPDATE") != "1" {
		return
	}
	old, err := os.ReadFile(leaksDocument)
	must(t, err)
	begin, end := "<!-- "+section+" -->\n", "<!-- end of "+section+" -->\n"
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %s", leaksDocument, section)
	}
	must(t, os.WriteFile(leaksDocument, []byte(head+begin+text+end+tail), 0o644))
}
