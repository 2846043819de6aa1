// Package canary invents a practice, and mail from it that gives people away in every channel
// that mail has: header fields, text in every encoding, attached files and what is hidden in
// them. The same seed always gives the same practice and the same messages.
//
// It knows nothing of how the product prevents a leak, and imports nothing but the standard
// library.
package canary

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Client is a person in the invented register.
type Client struct {
	Ref, Given, Family string
	Mailbox            string // two of a couple share one
	Phone              string // 07700 900xxx
	Born               time.Time
	Practitioner       string // whose client it is
	Agreed             bool   // to share an address with the group
}

// Name is the full name.
func (c *Client) Name() string { return c.Given + " " + c.Family }

// Practitioner is somebody who writes to clients.
type Practitioner struct {
	ID, Name, Address string
}

// World is a practice with everybody around it.
type World struct {
	Clients       []Client
	Practitioners []Practitioner
	Colleagues    []string
	Contacts      []string // known, and no clients
	Strangers     []string // on no list
	Channels      []Channel
}

// Domain is the practice's own, which clients never see, and Alias what they see instead.
const (
	Domain = "willowhouse.example"
	Alias  = "hello@wh.example"
)

// NewWorld invents a practice with n clients, of whom eight agreed to be a group and some are
// couples with one mailbox.
func NewWorld(seed uint64, n int) *World {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &World{Channels: channels(), Practitioners: []Practitioner{
		{"maya", "Maya Okafor", "maya@" + Domain},
		{"sam", "Sam Reid", "sam@" + Domain},
		{"jo", "Joanna Lindqvist", "jo@" + Domain},
	}}
	used := map[string]bool{}
	fresh := func(syllables int) string {
		for {
			if s := word(rng, syllables); !used[s] {
				used[s] = true
				return s
			}
		}
	}
	phones := rng.Perm(1000)
	accents := strings.NewReplacer("e", "é", "o", "ö", "a", "á")
	for i := range n {
		c := Client{
			Ref: fmt.Sprintf("WH-%04d-%04d", 1000+rng.IntN(9000), i), Given: title(fresh(3)), Family: title(fresh(4)),
			Phone: fmt.Sprintf("07700 900%03d", phones[i%1000]), Born: time.Date(1950+rng.IntN(50), time.Month(1+rng.IntN(12)), 1+rng.IntN(28), 0, 0, 0, 0, time.UTC),
			Practitioner: w.Practitioners[i%len(w.Practitioners)].ID, Agreed: i < 8,
		}
		if i%9 == 0 {
			c.Family = title(accents.Replace(strings.ToLower(c.Family)))
		}
		switch {
		case i%25 == 24:
			c.Mailbox = w.Clients[i-1].Mailbox
		case i%7 == 0:
			c.Mailbox = "post@" + fresh(4) + ".example" // a domain of one's own
		default:
			c.Mailbox = fmt.Sprintf("%s.%s%d@%s", fresh(2), fresh(2), 10+rng.IntN(90), pick(rng, "example.org", "example.net", "mailbox.example", "post.example"))
		}
		w.Clients = append(w.Clients, c)
	}
	for range 4 {
		w.Colleagues = append(w.Colleagues, fresh(3)+"@"+Domain)
		w.Contacts = append(w.Contacts, "referrals."+fresh(2)+"@nhs.net")
		w.Strangers = append(w.Strangers, fresh(3)+"@stranger.example")
	}
	return w
}

// Register is the world's clients.csv.
func (w *World) Register() string {
	var b strings.Builder
	b.WriteString("ref,name,email,mobile,born,country,nation,discreet,word,protection,practitioner\n")
	for i, c := range w.Clients {
		fmt.Fprintf(&b, "%s,%s,%s,%s,%s,GB,England,%s,willow,none,%s\n", c.Ref, c.Name(), c.Mailbox, c.Phone, c.Born.Format(time.DateOnly), yesNo(i%4 == 0), c.Practitioner)
	}
	return b.String()
}

// Consents is the world's consents.csv.
func (w *World) Consents() string {
	var b strings.Builder
	b.WriteString("ref,purpose,given_on,how,recorded_by,evidence\n")
	for _, c := range w.Clients {
		if c.Agreed {
			fmt.Fprintf(&b, "%s,group_email,%s,form,sam,group form\n", c.Ref, time.Now().AddDate(0, 0, -7).Format(time.DateOnly))
		}
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

// word makes up a word that nobody uses.
func word(rng *rand.Rand, syllables int) string {
	const starts, vowels, ends = "bdfghjklmnprstvwz", "aeiou", "lnrstm"
	var b strings.Builder
	for range syllables {
		b.WriteByte(starts[rng.IntN(len(starts))])
		b.WriteByte(vowels[rng.IntN(len(vowels))])
		if rng.IntN(3) == 0 {
			b.WriteByte(ends[rng.IntN(len(ends))])
		}
	}
	return b.String()
}

func title(s string) string {
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}
