package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/test/canary"
	"github.com/plaincover/plaincover/test/overlay"
)

// defence is something that keeps a channel shut before the leak check looks, and how to
// build the program without it.
type defence struct {
	Name     string
	Breaks   []overlay.Break
	Channels []string // by name
	Rows     []string // all channels of these rows, as far as they are stripped
	Except   []string // what another defence keeps shut
	Nobody   string   // why the leak check cannot see it; empty: it must
	Check    bool     // it is the leak check itself: everything that is searched must leak then
}

func change(file, old, new string) overlay.Break {
	return overlay.Break{File: file, Old: old, New: new}
}

const (
	renderGo = "internal/gateway/render.go"
	buildGo  = "internal/mail/build.go"
	writeGo  = "internal/mail/write.go"
	planGo   = "internal/filter/plan.go"
)

// multipartNode is where a container of the copy is made.
const multipartNode = `		n := multipartNode(p.MediaType, b.params(p), kids)
		n.fields = append(n.fields, b.placement(p)...)
		return n, nil`

// kept puts original top fields that the list of what may leave does not have into every copy.
func kept(names string) []overlay.Break {
	return []overlay.Break{change(renderGo, `	out = append(out, c.thread()...)`, `	out = append(out, c.thread()...)
	for _, f := range c.mail.Root.Fields {
		if strings.Contains("`+names+`", " "+strings.ToLower(f.Name)+" ") {
			out = append(out, f)
		}
	}`)}
}

func defences() []defence {
	return []defence{
		{Name: "Bcc is never written", Channels: []string{"Bcc"}, Breaks: kept(" bcc ")},
		{Name: "header fields from an allow-list", Rows: []string{rowOf("X-Mailer, User-Agent"), rowOf("Face, X-Face, BIMI"), rowOf("Thread-Topic"), rowOf("Comments, Keywords"), rowOf("List-*"),
			rowOf("Disposition-Notification-To, Return-Receipt-To"), rowOf("DKIM-Signature"), rowOf("OpenPGP")},
			Channels: []string{"Resent-*", "Apparently-To, X-Original-To, Delivered-To", "Errors-To, X-Sender"}, Except: []string{"Subject", "Subject in encoded words"},
			Breaks: []overlay.Break{change(renderGo, `	out = append(out, c.thread()...)`, `	out = append(out, c.thread()...)
	for _, f := range c.mail.Root.Fields {
		if !strings.Contains(" received return-path date from sender reply-to to cc bcc subject message-id in-reply-to references mime-version ", " "+strings.ToLower(f.Name)+" ") && !strings.HasPrefix(strings.ToLower(f.Name), "content-") {
			out = append(out, f)
		}
	}`)}},
		{Name: "Received is ours alone", Channels: []string{"Received: HELO and for"}, Breaks: kept(" received ")},
		{Name: "Sender and Return-Path are not kept", Channels: []string{"Sender: display name", "Return-Path"}, Breaks: kept(" sender return-path ")},
		{Name: "Reply-To is the alias", Channels: []string{"Reply-To"}, Breaks: []overlay.Break{change(renderGo,
			`		out = append(out, mail.Field{Name: "Reply-To", Value: mail.FormatMailboxes([]mail.Mailbox{{Address: alias}})})`,
			`		if v, ok := c.mail.Root.Get("Reply-To"); ok {
			out = append(out, mail.Field{Name: "Reply-To", Value: v})
		}`)}},
		{Name: "To shows this recipient alone", Channels: []string{"To: somebody who is no recipient", "Cc: somebody who is no recipient"}, Breaks: []overlay.Break{change(planGo,
			`return []mail.Address{own}, nil`, `pass = func(mail.Address) bool { return true }`)}},
		{Name: "no display names, comments or groups in To", Channels: []string{"display name of a recipient", "display name in base64", "comment in To", "quoted local part"}, Breaks: []overlay.Break{change(renderGo,
			`	out = append(out, visible(v)...)`, `	for _, f := range c.mail.Root.Fields {
		if strings.EqualFold(f.Name, "To") || strings.EqualFold(f.Name, "Cc") {
			out = append(out, f)
		}
	}`)}},
		{Name: "the name that clients see in From", Channels: []string{"From: display name"}, Breaks: []overlay.Break{change(renderGo,
			`from = mail.Mailbox{Name: c.sender.AliasName, Address: alias}`, `from.Address = alias`)}},
		{Name: "the address that clients see in From", Channels: []string{"text"}, Breaks: []overlay.Break{change(renderGo,
			`from = mail.Mailbox{Name: c.sender.AliasName, Address: alias}`, `from.Name = c.sender.AliasName`)}},
		{Name: "a copy for each client who did not agree", Channels: []string{"Organization"}, Breaks: []overlay.Break{
			change(planGo, `		if p.separate(i) || p.flagged(i, func(f *Finding) bool { return f.Bcc }) {
			return nil, nil
		}`, ``),
			change(planGo, `if !cs[k].Agreed(p.practice.GroupConsent, p.in.Facts.At) {`, `if len(cs) < k {`)}},
		{Name: "ids as this reader saw them", Channels: []string{"In-Reply-To and References"}, Breaks: []overlay.Break{change("internal/filter/thread.go",
			`if len(t.v.Rcpts) != 1 || t.forward() || t.outsiders() > 1 {`, `if t.forward() {`)}},
		{Name: "a Message-ID of our own", Channels: []string{"Message-ID"}, Breaks: []overlay.Break{change(renderGo,
			`Value: "<" + c.messageID(domain) + ">"}`, `Value: "<" + c.mail.MessageID + ">"}`)}},
		{Name: "the neutral subject", Channels: []string{"Subject", "Subject in encoded words"}, Breaks: []overlay.Break{change(renderGo,
			`	name, ok := c.variant.Has(filter.EditSubject)
	if !ok {`, `	name, ok := c.variant.Has(filter.EditSubject)
	if ok || !ok {`)}},
		{Name: "the practitioner's address is replaced in the text", Channels: []string{"practitioner's address in the text"}, Breaks: []overlay.Break{change(renderGo,
			`append(c.behindAlias(), c.foreign...)`, `append(c.behindAlias()[:0], c.foreign...)`)}},
		{Name: "fields of parts from an allow-list", Channels: []string{"Content-Description, Content-Location of a part", "unknown fields of a part"}, Breaks: []overlay.Break{change(buildGo,
			`	if p.Disposition != "" {
		var params []Field`, `	for _, f := range p.Fields {
		if p != b.m.Root && !strings.Contains(" content-type content-transfer-encoding content-disposition content-id ", " "+strings.ToLower(f.Name)+" ") {
			out = append(out, f)
		}
	}
	if p.Disposition != "" {
		var params []Field`)}},
		{Name: "parameters of Content-Disposition from an allow-list", Channels: []string{"dates and strange parameters of Content-Disposition"}, Breaks: []overlay.Break{change(buildGo,
			`		out = append(out, Field{"Content-Disposition", formatParams(p.Disposition, params)})`, `		if v, ok := p.Get("Content-Disposition"); ok && len(params) > 0 {
			out = append(out, Field{"Content-Disposition", v})
		}`)}},
		{Name: "neutral file names", Channels: []string{"filename", "name without filename", "filename* (RFC 2231)", "filename*0, *1 (RFC 2231 pieces)", "filename in encoded words", "practitioner's name in a file name"},
			Breaks: []overlay.Break{change("internal/mail/names.go", `	if !b.d.NeutralNames {`, `	if b.d != nil {`)}},
		{Name: "boundaries of our own", Channels: []string{"boundary"}, Breaks: []overlay.Break{
			change(buildGo, multipartNode, strings.Replace(multipartNode, "return n, nil", "n.boundary = p.Params[\"boundary\"]\n\t\treturn n, nil", 1)),
			change(writeGo, `	n.boundary = boundaryStem + hex.EncodeToString(sum[:14])`, `	if n.boundary == "" {
		n.boundary = boundaryStem + hex.EncodeToString(sum[:14])
	}`)}},
		{Name: "preamble and epilogue are left out, and hold", Channels: []string{"preamble", "epilogue"}, Breaks: []overlay.Break{
			change(buildGo, multipartNode, strings.Replace(multipartNode, "return n, nil", `for _, r := range []Range{{p.Body.Start, p.Parts[0].Header.Start}, {p.Parts[len(p.Parts)-1].Body.End, p.Body.End}} {
			raw := make([]byte, r.Len())
			if _, err := b.m.src.ReadAt(raw, r.Start); err != nil && len(raw) == 0 {
				return nil, err
			}
			n.body = append(append(n.body, raw...), "\r\n"...)
		}
		return n, nil`, 1)),
			change(writeGo, `		for _, c := range n.children {
			if _, err = io.WriteString(w, "--"+n.boundary+"\r\n"); err != nil {`, `		for i, c := range n.children {
			if i == 0 {
				w.Write(n.body)
			}
			if _, err = io.WriteString(w, "--"+n.boundary+"\r\n"); err != nil {`),
			change("internal/mail/parse.go", `		if isOutsideText(f.outside) && f.seen {`, `		if isOutsideText(f.outside) && f.seen && f.part == nil {`)}},
		{Name: "Content-IDs that name the practice are renamed", Channels: []string{"Content-ID at the practice's domain"}, Breaks: []overlay.Break{change(buildGo,
			`if h != "" && strings.Contains(id, strings.ToLower(h)) {`, `if h == "" && strings.Contains(id, strings.ToLower(h)) {`)}},
		{Name: "the Date in the practice's zone", Channels: []string{"Date zone"}, Nobody: "a time zone is nobody's identity", Breaks: []overlay.Break{change(renderGo,
			`	return d.In(c.snap.Location())`, `	return d`)}},
		{Name: "what is fetched from the web is taken out", Channels: []string{"HTML: remote image", "HTML: web font"}, Breaks: []overlay.Break{change(renderGo,
			`	_, d.NoRemote = v.Has(filter.EditRemoteContent)`, `	d.NoRemote = v.Whole && len(v.Edits) < 0`)}},
		// What is fetched from the web is taken out before: nobody is left there for the check to see.
		{Name: "the leak check", Check: true, Except: []string{"HTML: remote image", "HTML: web font"}, Breaks: []overlay.Break{change("internal/filter/leak.go",
			`	if in.Variant == nil || in.Variant.Show == ShowPractice {`, `	if in.Variant != nil || in.Variant.Show == ShowPractice {`)}},
	}
}

// rowOf returns the row of a channel.
func rowOf(name string) string {
	for _, c := range canary.NewWorld(1, 30).Channels {
		if c.Name == name {
			return c.Row
		}
	}
	return "?" + name
}

// channels returns what a defence keeps shut.
func (d defence) channels(w *canary.World) []*canary.Channel {
	var out []*canary.Channel
	for i := range w.Channels {
		c := &w.Channels[i]
		if slices.Contains(d.Channels, c.Name) || d.Check && c.Fate == canary.Searched && !slices.Contains(d.Except, c.Name) ||
			slices.Contains(d.Rows, c.Row) && c.Fate == canary.Stripped && !slices.Contains(d.Except, c.Name) {
			out = append(out, c)
		}
	}
	return out
}

// TestDefencesFitTheCode: every defence can still be switched off.
func TestDefencesFitTheCode(t *testing.T) {
	t.Parallel()
	w := canary.NewWorld(1, 30)
	shut := map[string]bool{}
	for _, d := range defences() {
		if _, err := overlay.Write("..", t.TempDir(), "x", d.Breaks...); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		for _, c := range d.channels(w) {
			shut[c.Name] = true
		}
		for _, name := range d.Channels {
			if strings.HasPrefix(rowOf(name), "?") {
				t.Errorf("%s: there is no channel %q", d.Name, name)
			}
		}
	}
	for _, c := range w.Channels {
		if !shut[c.Name] && (c.Fate == canary.Stripped || c.Fate == canary.Searched) {
			t.Errorf("no defence is named for %q", c.Name)
		}
	}
}

// perChannel is how many messages try each channel with its defence off.
const perChannel = 4

// TestDefencesSwitchedOff builds the program without one defence and sends what that defence
// stops: the leak check must hold it, so that nothing leaves all the same. Without the leak
// check itself the oracle must find somebody in every channel that is only searched.
//
// LEAKS_DEFENCES says how many of the defences are tried, each in a build of its own.
func TestDefencesSwitchedOff(t *testing.T) {
	t.Parallel()
	n := environInt(t, "LEAKS_DEFENCES", 1)
	world := canary.NewWorld(leakSeed, 200)
	var rows strings.Builder
	for _, d := range defences()[:min(n, len(defences()))] {
		t.Run(d.Name, func(t *testing.T) {
			for _, line := range switchedOff(t, world, d) {
				rows.WriteString(line)
			}
		})
	}
	t.Log("\n" + rows.String())
	if n >= len(defences()) {
		document(t, "defences", "| defence switched off | channel | held by the leak check | what leaves and names somebody else |\n|---|---|---|---|\n"+rows.String())
	}
}

func switchedOff(t *testing.T, world *canary.World, d defence) []string {
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	must(t, err)
	over, err := overlay.Write(root, dir, "off", d.Breaks...)
	must(t, err)
	binary := filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-overlay", over, "-o", binary, "../cmd/gateway")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	c := newCampaign(t, world, binary)
	c.off = true
	channels := d.channels(world)
	for i, ch := range channels {
		for k := range perChannel {
			c.add(world.Message(leakSeed, 1_000_000+i*perChannel+k, canary.Plan{Only: ch, Clients: true, Planted: true}))
		}
	}
	c.run(4)
	defer c.service.stop()
	sum := newTally()
	c.judge(sum)
	leaked := map[string]int{}
	for _, miss := range sum.misses {
		for _, ch := range channels {
			if strings.Contains(miss, "["+ch.Name+"]") {
				leaked[ch.Name]++
			}
		}
	}
	var lines []string
	for i, ch := range channels {
		held := 0
		for k := range perChannel {
			r := c.replies[i*perChannel+k]
			if r.kind == "leak" {
				held++
			}
		}
		if held == 0 && d.Nobody == "" && !d.Check {
			t.Errorf("%s: the leak check held nothing; the last answer is %q", ch.Name, c.replies[i*perChannel+perChannel-1].text)
		}
		if d.Check && leaked[ch.Name] == 0 {
			t.Errorf("%s: without the leak check nobody is seen in it: what is it that holds?", ch.Name)
		}
		left := "nothing"
		switch {
		case d.Nobody != "":
			left = d.Nobody
		case d.Check:
			left = "somebody else's name, as the oracle sees"
		}
		lines = append(lines, fmt.Sprintf("| %s | %s | %d of %d | %s |\n", d.Name, ch.Name, held, perChannel, left))
	}
	if !d.Check {
		for _, miss := range sum.misses {
			t.Error(miss)
		}
	}
	return lines
}
