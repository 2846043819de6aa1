package gateway

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

// post is a message as one mail app has it.
type post struct {
	id    string
	chain []string       // References and, last, In-Reply-To
	to    []mail.Address // envelope
	extra string         // more of the header
}

// reply is the chain of an answer to p (RFC 5322 §3.6.4).
func (p post) reply() []string { return append(slices.Clone(p.chain), p.id) }

// correspondence is Maya's mail app, and those of her readers: each knows its own ids only.
type correspondence struct {
	*bench
	fatalf func(string, ...any)
	n      *int
	inbox  map[string][]post          // by reader: the copies that came
	saw    map[string]map[string]bool // by reader: ids that came, and those of own answers
	maya   []post                     // sent, under the ids of her own app
}

func newCorrespondence(b *bench, n *int, fatalf func(string, ...any)) *correspondence {
	return &correspondence{bench: b, fatalf: fatalf, n: n, inbox: map[string][]post{}, saw: map[string]map[string]bool{}}
}

func (c *correspondence) next() int { *c.n++; return *c.n }

// send submits a mail of Maya's app and hands out the copies. Every id in a copy's chain must
// be one that its reader saw before, and its own id nobody else's.
func (c *correspondence) send(subject string, p post, shown ...mail.Address) (mail.ID, post) {
	if p.id == "" {
		p.id = fmt.Sprintf("m%d@laptop.willowhouse.example", c.next())
	}
	letter := strings.Replace(letterTo(subject, "See you.", shown...), "<orig@laptop.willowhouse.example>", "<"+p.id+">", 1)
	if len(p.chain) > 0 {
		letter = "References: <" + strings.Join(p.chain, ">\r\n <") + ">\r\nIn-Reply-To: <" + p.chain[len(p.chain)-1] + ">\r\n" + letter
	}
	letter = p.extra + letter
	e := c.envelope(p.to...)
	if _, err := c.g.Submit(c.t.Context(), e, strings.NewReader(letter)); err != nil {
		c.fatalf("%v", err)
	}
	c.maya = append(c.maya, p)
	c.arrive(e.ID, p)
	return e.ID, p
}

func (c *correspondence) arrive(id mail.ID, p post) {
	copies := c.copies(id)
	for to, m := range copies {
		if c.saw[to] == nil {
			c.saw[to] = map[string]bool{}
		}
		for _, ref := range append(slices.Clone(m.References), m.InReplyTo...) {
			if !c.saw[to][ref] {
				c.fatalf("the copy for %s names %s, which that reader never saw", to, ref)
			}
		}
	}
	for to, m := range copies {
		for _, f := range m.Root.Fields {
			if strings.HasPrefix(strings.ToLower(f.Name), "resent-") {
				c.fatalf("the copy for %s has %s", to, f.Name)
			}
		}
		for other, n := range copies {
			if other != to && n.MessageID == m.MessageID && !slices.Equal(n.To, m.To) {
				c.fatalf("%s and %s got different copies under one id", to, other)
			}
		}
		if strings.Contains(m.MessageID, "willowhouse") && strings.HasSuffix(to, "@example.org") {
			c.fatalf("the id of a client's copy is %s", m.MessageID)
		}
		c.saw[to][m.MessageID] = true
		c.inbox[to] = append(c.inbox[to], post{id: m.MessageID, chain: m.References, to: p.to})
	}
}

// answers is a reader's reply to p, as it comes to Maya past the gateway.
func (c *correspondence) answers(who mail.Address, p post) post {
	a := post{id: fmt.Sprintf("r%d@mx-%s.example", c.next(), who.LocalPart), chain: p.reply()}
	c.saw[who.String()][a.id] = true
	return a
}

func (c *correspondence) last(who mail.Address) post {
	in := c.inbox[who.String()]
	if len(in) == 0 {
		c.fatalf("nothing came to %s", who)
	}
	return in[len(in)-1]
}

// TestThreadsOfTenMessages is one practitioner with three clients, each in a thread of their
// own, for ten messages: first to all, then in turn.
func TestThreadsOfTenMessages(t *testing.T) {
	t.Parallel()
	c := newCorrespondence(newBench(t), new(int), t.Fatalf)
	clients := []mail.Address{clientAt(0), clientAt(1), clientAt(2)}
	_, first := c.send("Tuesday", post{to: clients}, clients...)
	for _, who := range clients {
		if in := c.last(who); len(in.chain) != 0 || in.id == first.id {
			t.Fatalf("%s: first copy %+v", who, in)
		}
	}
	for round := range 3 { // an answer of each client, and Maya's answer to it
		for _, who := range clients {
			before := c.last(who)
			a := c.answers(who, before)
			c.send("Re: Tuesday", post{chain: a.reply(), to: []mail.Address{who}}, who)
			want := append(slices.Clone(before.chain), before.id, a.id)
			if got := c.last(who); !slices.Equal(got.chain, want) {
				t.Fatalf("round %d, %s:\n got %v\nwant %v", round, who, got.chain, want)
			}
		}
	}
	// Maya answers her own first mail, to all: each sees it under the id that they saw.
	c.send("Re: Tuesday", post{chain: first.reply(), to: clients}, clients...)
	for _, who := range clients {
		if got := c.last(who).chain; !slices.Equal(got, []string{c.inbox[who.String()][0].id}) {
			t.Errorf("%s: reply-all names %v", who, got)
		}
	}
	// She answers Anna, and adds Ben: Anna's thread goes on, Ben sees none of it.
	a := c.answers(clients[0], c.last(clients[0]))
	c.send("Re: Tuesday", post{chain: a.reply(), to: clients[:2]}, clients[:2]...)
	if got := c.last(clients[0]).chain; len(got) == 0 || slices.Contains(got, a.id) {
		t.Errorf("Anna: %v: what is hers stays, what nobody is known to have seen does not", got)
	}
	if got := c.last(clients[1]).chain; len(got) != 0 {
		t.Errorf("Ben was added and sees %v", got)
	}
	// To Ben alone, out of Anna's thread: by mistake, forwarded, or hidden in Bcc.
	c.send("Re: Tuesday", post{chain: a.reply(), to: clients[1:2]}, clients[1])
	c.send("Fwd: Tuesday", post{chain: a.reply(), to: clients[1:2]}, clients[1])
	c.send("Fwd: Tuesday", post{chain: []string{"r0@mx-anna.example"}, to: clients[1:2]}, clients[1])
	c.send("Re: Tuesday", post{chain: a.reply(), to: clients[:2]}, clients[0])
	for _, in := range c.inbox[clients[1].String()][len(c.inbox[clients[1].String()])-4:] {
		if len(in.chain) != 0 {
			t.Errorf("Ben sees %v of Anna's thread", in.chain)
		}
	}
	// Sent again under the same id: a copy with an id of its own, and the thread goes on.
	resent := c.maya[1]
	c.send("Re: Tuesday", resent, clients[0])
	in := c.inbox[clients[0].String()]
	if again := in[len(in)-1]; again.id == in[1].id || !slices.Equal(again.chain, in[1].chain) {
		t.Errorf("resent: %+v, the first time %+v", again, in[1])
	}
	c.send("Re: Tuesday", post{chain: resent.reply(), to: clients[:1]}, clients[0])
	if got, want := c.last(clients[0]).chain, append(slices.Clone(in[1].chain), in[len(in)-1].id); !slices.Equal(got, want) {
		t.Errorf("after resending: %v, want %v", got, want)
	}
}

// TestThreadOfAnAgreedGroup: a group that sees each other sees one id, as long as it stays
// the same group.
func TestThreadOfAnAgreedGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agree("C-0101", "C-0102", "C-0103")
	c := newCorrespondence(b, new(int), t.Fatalf)
	group := []mail.Address{clientAt(0), clientAt(1), clientAt(2)}
	_, p := c.send("[together] Picnic", post{to: group}, group...)
	var want []string
	for range 9 {
		seen := c.last(group[0])
		want = append(want, seen.id)
		for _, who := range group {
			if in := c.last(who); in.id != seen.id || !slices.Equal(in.chain, seen.chain) {
				t.Fatalf("%s sees %+v, not %+v", who, in, seen)
			}
		}
		_, p = c.send("Re: [together] Picnic", post{chain: p.reply(), to: group}, group...)
	}
	if got := c.last(group[2]).chain; !slices.Equal(got, want) {
		t.Errorf("ten messages: %v, want %v", got, want)
	}
	// A client's answer that two others may have seen, or not: it stays away from all.
	a := c.answers(group[0], c.last(group[0]))
	c.send("Re: [together] Picnic", post{chain: a.reply(), to: group}, group...)
	if got := c.last(group[1]).chain; slices.Contains(got, a.id) || len(got) == 0 {
		t.Errorf("the group sees %v", got)
	}
	// One of them alone: the group's ids are theirs as well. An unknown one may be another's.
	c.send("Re: Picnic", post{chain: a.reply(), to: group[:1]}, group[0])
	if got := c.last(group[0]).chain; slices.Contains(got, a.id) || !slices.Contains(got, want[0]) {
		t.Errorf("Anna sees %v", got)
	}
	// Somebody new: nobody saw the same as they did.
	all := append(slices.Clone(group), clientAt(3))
	b.agree("C-0104")
	c.send("Re: [together] Picnic", post{chain: p.reply(), to: all}, all...)
	if got := c.last(clientAt(3)).chain; len(got) != 0 {
		t.Errorf("the new one sees %v", got)
	}
}

// TestThreadsWithColleagues: what comes and goes inside the practice keeps its thread on both
// sides.
func TestThreadsWithColleagues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newCorrespondence(b, new(int), t.Fatalf)
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	_, p := c.send("Rota", post{to: []mail.Address{sam}}, sam)
	got := c.last(sam)
	// Sam answers through the gateway: Maya sees the id that her own app wrote.
	letter := strings.NewReplacer("Maya Okafor <maya@", "Sam Reid <sam@", "<orig@", "<sams@").Replace(letterTo("Re: Rota", "Fine.", maya))
	e := b.envelope(maya)
	e.Submitter, e.Reverse = "sam", sam
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader("In-Reply-To: <"+got.id+">\r\n"+letter)); err != nil {
		t.Fatal(err)
	}
	m := b.copies(e.ID)[maya.String()]
	if m == nil || !slices.Equal(m.InReplyTo, []string{p.id}) {
		t.Fatalf("Sam's answer is in reply to %v, want %s", m.InReplyTo, p.id)
	}
	c.saw[sam.String()]["sams@laptop.willowhouse.example"] = true
	c.send("Re: Rota", post{chain: append(p.reply(), m.MessageID), to: []mail.Address{sam}}, sam)
	if got := c.last(sam).chain; !slices.Equal(got, []string{got[0], "sams@laptop.willowhouse.example"}) || got[0] != c.inbox[sam.String()][0].id {
		t.Errorf("Sam sees %v", got)
	}
}

// TestThreadOfHeldMail: the id of what was never sent stands for nothing; after the release it
// stands for what the reader got.
func TestThreadOfHeldMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newCorrespondence(b, new(int), t.Fatalf)
	stranger := mail.Address{LocalPart: "new", Domain: "example.net"}
	held, p := c.send("Hello", post{id: "m@device.example", to: []mail.Address{stranger}}, stranger)
	second, _ := c.send("Re: Hello", post{chain: p.reply(), to: []mail.Address{stranger}}, stranger)
	for _, id := range []mail.ID{second, held} { // the second one first
		if _, err := b.g.Release(t.Context(), id, "sam", "checked by phone"); err != nil {
			t.Fatal(err)
		}
		c.arrive(id, p)
	}
	third, _ := c.send("Re: Hello", post{chain: p.reply(), to: []mail.Address{stranger}}, stranger)
	if _, err := b.g.Release(t.Context(), third, "sam", "checked by phone"); err != nil {
		t.Fatal(err)
	}
	c.arrive(third, p)
	in := c.inbox[stranger.String()]
	if len(in) != 3 || len(in[0].chain) != 0 || !slices.Equal(in[2].chain, []string{in[1].id}) {
		t.Errorf("the stranger sees %+v", in)
	}
}

// TestAPlanIsReplayedFromItsAccount: the stored facts say all that the core needed.
func TestAPlanIsReplayedFromItsAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newCorrespondence(b, new(int), t.Fatalf)
	clients := []mail.Address{clientAt(0), clientAt(1)}
	_, p := c.send("Tuesday", post{to: clients}, clients...)
	letter := "References: <" + p.id + ">\r\n" + letterTo("Re: Tuesday", "See you.", clients...)
	e := b.envelope(clients...)
	if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letter)); err != nil {
		t.Fatal(err)
	}
	_, sealed, _, err := b.store.Get(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	var acc account
	if err := json.Unmarshal(sealed, &acc); err != nil {
		t.Fatal(err)
	}
	m, err := mail.Parse(strings.NewReader(letter), int64(len(letter)), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := filter.Run(append([]filter.Rule{identity{b.snap}}, b.snap.Rules...), b.snap.Practice,
		&filter.Input{Env: &acc.Envelope, Mail: m, Facts: &acc.Facts})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan.Variants, acc.Plan.Variants) || len(plan.Variants) != 2 || len(plan.Variants[0].References) != 1 {
		t.Errorf("replayed %+v\nstored %+v", plan.Variants, acc.Plan.Variants)
	}
}

// TestACopyDoesNotTellItsNumber: the same bytes every time, and nothing that counts.
func TestACopyDoesNotTellItsNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := map[string]bool{}
	for _, to := range [][]mail.Address{{clientAt(0)}, {clientAt(0), clientAt(1), clientAt(2)}} {
		e := b.envelope(to...)
		if _, err := b.g.Submit(t.Context(), e, strings.NewReader(letterTo("Tuesday", "See you.", to...))); err != nil {
			t.Fatal(err)
		}
		for _, m := range b.copies(e.ID) {
			local, _, _ := strings.Cut(m.MessageID, "@")
			id, suffix, _ := strings.Cut(local, ".")
			if !strings.EqualFold(id, string(e.ID)) || len(suffix) != 16 || ids[local] {
				t.Errorf("id %q of %s", m.MessageID, e.ID)
			}
			ids[local] = true
		}
	}
	m, err := mail.Parse(strings.NewReader("X: y\r\n\r\n"), 8, mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c := copyOf{env: &mail.Envelope{ID: "01KAM0"}, mail: m, number: 1}
	one := c.messageID("wh.example")
	if again := c.messageID("wh.example"); again != one {
		t.Errorf("%s, then %s", one, again)
	}
	if c.number = 2; c.messageID("wh.example") == one {
		t.Error("two copies under one id")
	}
}

// TestNoCopyNamesAnIDOfSomebodyElse writes and answers at random: to some, to all, out of
// other people's threads, forwarded, sent again, with Bcc. send checks every copy.
func TestNoCopyNamesAnIDOfSomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agree("C-0101", "C-0102", "C-0103")
	sam := mail.Address{LocalPart: "sam", Domain: "willowhouse.example"}
	pool := []mail.Address{clientAt(0), clientAt(1), clientAt(2), clientAt(3), sam}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		c := newCorrespondence(b, &n, rt.Fatalf)
		some := func(name string) []mail.Address {
			perm := rapid.Permutation(pool).Draw(rt, name)
			return perm[:rapid.IntRange(1, 3).Draw(rt, "n")]
		}
		first := some("first")
		c.send("Tuesday", post{to: first}, first...)
		var came []post // answers in Maya's inbox
		for range rapid.IntRange(1, 7).Draw(rt, "messages") {
			to := some("to")
			shown := to[:rapid.IntRange(1, len(to)).Draw(rt, "shown")]
			subject := rapid.SampledFrom([]string{"Re: Tuesday", "Re: [together] Tuesday", "Tuesday", "Fwd: Tuesday", "WG: Tuesday"}).Draw(rt, "subject")
			sent := rapid.SampledFrom(c.maya).Draw(rt, "sent")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0: // a client answers, and Maya answers whomever she likes
				who := rapid.SampledFrom(sent.to).Draw(rt, "who")
				if len(c.inbox[who.String()]) == 0 {
					continue // held: nobody can answer it
				}
				came = append(came, c.answers(who, c.last(who)))
				c.send(subject, post{chain: came[len(came)-1].reply(), to: to}, shown...)
			case 1: // out of any thread
				if len(came) > 0 {
					sent = rapid.SampledFrom(came).Draw(rt, "came")
				}
				c.send(subject, post{chain: sent.reply(), to: to}, shown...)
			case 2: // on from her own
				c.send(subject, post{chain: sent.reply(), to: to}, shown...)
			case 3: // sent again, to the same or to others
				sent.to = rapid.SampledFrom([][]mail.Address{sent.to, to}).Draw(rt, "again to")
				c.send(subject, sent, sent.to...)
			case 4: // a chain of everything
				var all []string
				for _, p := range append(slices.Clone(c.maya), came...) {
					all = append(all, p.id)
				}
				c.send(subject, post{chain: rapid.Permutation(all).Draw(rt, "chain"), to: to}, shown...)
			}
		}
	})
}

// resent are the fields that a mail app puts above a mail that it sends on as it is (RFC 5322
// §3.6.6).
func resent(n int, to ...mail.Address) string {
	var names []string
	for _, a := range to {
		names = append(names, a.String())
	}
	return fmt.Sprintf("Resent-From: Maya Okafor <maya@willowhouse.example>\r\nResent-To: %s\r\nResent-Bcc: dev@example.org\r\nResent-Date: Wed, 04 Mar 2026 11:59:30 +0000\r\nResent-Message-ID: <again%d@laptop.willowhouse.example>\r\n",
		strings.Join(names, ", "), n)
}

// TestResent: a mail from the Sent folder, sent on with its header as it was, to somebody who had
// it and to somebody who had not.
func TestResent(t *testing.T) {
	t.Parallel()
	c := newCorrespondence(newBench(t), new(int), t.Fatalf)
	anna, ben, cara := clientAt(0), clientAt(1), clientAt(2)
	_, first := c.send("Tuesday", post{to: []mail.Address{anna, ben}}, anna, ben)
	_, second := c.send("Re: Tuesday", post{chain: first.reply(), to: []mail.Address{anna, ben}}, anna, ben)
	for _, who := range []mail.Address{cara, anna} {
		again := second
		again.to, again.extra = []mail.Address{who}, resent(c.next(), who)
		id, _ := c.send("Re: Tuesday", again, anna, ben)
		m := c.copies(id)[who.String()]
		if m == nil || len(m.To) != 1 || m.To[0].Address != who || m.MessageID == second.id {
			t.Fatalf("%s: %+v", who, m)
		}
		head, _, _ := strings.Cut(raw(t, m), "\r\n\r\n")
		for _, other := range []mail.Address{anna, ben, cara, clientAt(3)} {
			if other != who && strings.Contains(head, other.LocalPart) {
				t.Errorf("the copy for %s names %s:\n%s", who, other, head)
			}
		}
	}
	if got := c.last(cara).chain; len(got) != 0 {
		t.Errorf("Cara was in no thread and sees %v", got)
	}
	if in := c.inbox[anna.String()]; len(in) != 3 || !slices.Equal(in[2].chain, in[1].chain) || in[2].id == in[1].id {
		t.Errorf("Anna sees %+v", in)
	}
	// Both answer, and the thread goes on for each from what they have.
	for _, who := range []mail.Address{cara, anna} {
		before := c.last(who)
		a := c.answers(who, before)
		c.send("Re: Tuesday", post{chain: a.reply(), to: []mail.Address{who}}, who)
		if got := c.last(who).chain; !slices.Contains(got, before.id) {
			t.Errorf("%s sees %v, without %s", who, got, before.id)
		}
	}
}

// threadModel says what a reader's copy must name: a small account of who saw what, kept apart
// from the product's.
type threadModel struct {
	saw     map[string]map[string]string // by reader: Maya's id, and the one that they saw
	readers map[string]map[string]bool   // by id: who it went to
}

// chain is the References of the copy for who.
func (m *threadModel) chain(p post, shown []mail.Address, forward bool, who string) []string {
	others := map[string]bool{}
	for _, a := range slices.Concat(p.to, shown) {
		others[a.String()] = true
	}
	alone := len(others) == 1 && !forward
	for _, id := range p.chain {
		for r := range m.readers[id] {
			alone = alone && r == who
		}
	}
	var out []string
	for _, id := range p.chain {
		as, known := m.saw[who][id], len(m.readers[id]) > 0
		if !known && alone {
			as = id // can only be this reader's own
		}
		if as != "" && !slices.Contains(out, as) {
			out = append(out, as)
		}
	}
	return out
}

// sent records what the readers of a mail learnt.
func (m *threadModel) sent(p post, who, as string, chain []string) {
	learn := func(id, as string) {
		if m.saw[who] == nil {
			m.saw[who] = map[string]string{}
		}
		if m.readers[id] == nil {
			m.readers[id] = map[string]bool{}
		}
		m.saw[who][id], m.readers[id][who] = as, true
	}
	learn(p.id, as)
	learn(as, as) // their answers name it so
	for _, id := range p.chain {
		if slices.Contains(chain, id) && len(m.readers[id]) == 0 {
			learn(id, id)
		}
	}
}

// TestThreadsFollowTheModel writes, answers, answers all, forwards and sends again at random, ten
// messages between Maya and three clients, each with a copy of their own: every copy names what
// its reader saw, all of it, in order, and nothing else.
func TestThreadsFollowTheModel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n := 0
	clients := []mail.Address{clientAt(0), clientAt(1), clientAt(2)}
	rapid.Check(t, func(rt *rapid.T) {
		c := newCorrespondence(b, &n, rt.Fatalf)
		model := &threadModel{map[string]map[string]string{}, map[string]map[string]bool{}}
		deliver := func(subject string, p post, shown []mail.Address) {
			before := map[string]int{}
			for _, a := range p.to {
				before[a.String()] = len(c.inbox[a.String()])
			}
			_, p = c.send(subject, p, shown...)
			forward := strings.HasPrefix(subject, "Fwd:")
			want := map[string][]string{}
			for _, a := range p.to { // all at once: what one learns now, the others did not know before
				want[a.String()] = model.chain(p, shown, forward, a.String())
			}
			for _, a := range p.to {
				in := c.inbox[a.String()]
				if len(in) != before[a.String()]+1 {
					rt.Fatalf("%s got %d copies of %q", a, len(in)-before[a.String()], subject)
				}
				got := in[len(in)-1]
				if !slices.Equal(got.chain, want[a.String()]) {
					rt.Fatalf("%q %+v for %s:\n got %v\nwant %v", subject, p, a, got.chain, want[a.String()])
				}
				model.sent(p, a.String(), got.id, got.chain)
			}
		}
		some := func() []mail.Address {
			return rapid.Permutation(clients).Draw(rt, "to")[:rapid.IntRange(1, 3).Draw(rt, "n")]
		}
		first := some()
		deliver("Tuesday", post{to: first}, first)
		var came []post
		var from []mail.Address
		for range 14 {
			sent := rapid.SampledFrom(c.maya).Draw(rt, "sent")
			switch what := rapid.SampledFrom([]string{"new", "answer", "answer", "reply", "reply", "reply all", "forward", "on", "again", "resent"}).Draw(rt, "what"); what {
			case "new":
				to := some()
				deliver("Tuesday", post{to: to}, to)
			case "answer": // a client answers what came to them, and Maya does not read it yet
				who := rapid.SampledFrom(sent.to).Draw(rt, "who")
				came, from = append(came, c.answers(who, c.last(who))), append(from, who)
			case "reply", "reply all", "forward": // of an answer: to its writer, to others too, to whomever
				if len(came) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(came)-1).Draw(rt, "came")
				to, subject := []mail.Address{from[i]}, "Re: Tuesday"
				if what != "reply" {
					to = some()
				}
				if what == "forward" {
					subject = "Fwd: Tuesday"
				} else if !slices.Contains(to, from[i]) {
					to = append(to, from[i])
				}
				deliver(subject, post{chain: came[i].reply(), to: to}, to)
			case "on": // from her own, to whomever
				to := some()
				deliver("Re: Tuesday", post{chain: sent.reply(), to: to}, to)
			case "again": // out of the Sent folder, under the same id
				deliver("Tuesday", post{id: sent.id, chain: sent.chain, to: sent.to}, sent.to)
			case "resent": // with its header as it was, to whomever
				to := some()
				deliver("Tuesday", post{id: sent.id, chain: sent.chain, to: to, extra: resent(c.next(), to...)}, sent.to)
			}
		}
	})
}
