package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/gateway"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/relay"
	"github.com/plaincover/plaincover/internal/store"
	shipped "github.com/plaincover/plaincover/policies"
)

type demoCmd struct {
	Once bool `help:"Send the samples, compare with what should happen, and end."`
}

// Help is shown under --help.
func (demoCmd) Help() string {
	return "Everything runs on this machine, in a temporary directory; nothing leaves it.\n\nExample: gateway demo --once"
}

// demoTime bounds a demo that ends by itself.
const demoTime = 20 * time.Second

// Run sends the samples through the real path.
func (k demoCmd) Run(ctx context.Context, p *program) (err error) {
	dir, err := os.MkdirTemp("", "plaincover-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if k.Once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, demoTime)
		defer cancel()
	}
	d, err := newDemo(ctx, p, dir, k.Once)
	if err != nil {
		return err
	}
	results, err := d.play(ctx, k.Once)
	if err != nil {
		return err
	}
	return p.verdict(results)
}

// demo is the whole product on loopback, with a sink for a smarthost.
type demo struct {
	*program
	service  *service
	sink     *sink
	password string       // of maya's sign-in
	key      *encrypt.Key // Ella's own, with the private part
}

// newDemo puts everything together in dir. Without once the listeners have the usual ports, so
// that a mail app can try.
func newDemo(ctx context.Context, p *program, dir string, once bool) (_ *demo, err error) {
	snap, err := policy.Load(shipped.Files)
	if err != nil {
		return nil, &configError{err}
	}
	c := defaultConfig()
	c.Hostname, c.Data = "mail.willowhouse.example", dir
	if once {
		c.Listen = []ListenConfig{{"127.0.0.1:0", "starttls"}, {"127.0.0.1:0", "implicit"}}
		c.HTTP.Address = "127.0.0.1:0"
	}
	key, _, err := store.MasterKey(dir, "")
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, store.Options{Dir: dir, MasterKey: key, Now: time.Now, Serve: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	d := &demo{program: p}
	if err := d.fillRegister(ctx, st, snap); err != nil {
		return nil, err
	}
	cert, _, err := certificate(c, time.Now())
	if err != nil {
		return nil, err
	}
	d.sink = newSink(cert, "willowhouse", rand.Text())
	d.service = &service{config: c, snap: snap, store: st, cert: cert, log: logger(LogConfig{Level: "warn", Format: "text"}, p.Err)}
	return d, nil
}

// fillRegister puts the sample clients, their consents, a key and one sign-in into the store.
func (d *demo) fillRegister(ctx context.Context, st *store.Store, snap *policy.Snapshot) (err error) {
	now := time.Now()
	clients := demoClients(now)
	if _, err := st.ImportClients(ctx, clients, "demo"); err != nil {
		return err
	}
	if _, err := st.ImportConsents(ctx, withExpiry(demoConsents(now), snap), purposes(snap), "demo"); err != nil {
		return err
	}
	ella := clients[len(clients)-1]
	if d.key, err = encrypt.NewRoleKey("", ella.Email[0], now.Add(-time.Hour)); err != nil {
		return err
	}
	public, err := d.key.Public()
	if err != nil {
		return err
	}
	if err := st.SetKey(ctx, ella.Ref, public, "demo"); err != nil {
		return err
	}
	d.password, err = st.AddSubmitter(ctx, "maya", "demo")
	return err
}

// play runs the service and the sink around the samples.
func (d *demo) play(ctx context.Context, once bool) (results []result, err error) {
	s := d.service
	defer func() { err = errors.Join(err, s.store.Close()) }()
	sinkLn, err := listenLoopback(ctx)
	if err != nil {
		return nil, err
	}
	sinkDone := make(chan error, 1)
	go func() { sinkDone <- d.sink.serve(sinkLn) }()
	defer func() {
		err = errors.Join(err, d.sink.close())
		if serr := <-sinkDone; !errors.Is(serr, smtp.ErrServerClosed) {
			err = errors.Join(err, serr)
		}
	}()
	if err := s.assemble(relay.Config{URL: "smtp://" + sinkLn.Addr().String(), Username: d.sink.username, Password: d.sink.password,
		TLSMode: "required", RootCAs: trusting(s.cert)}); err != nil {
		return nil, err
	}
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.run(running, nil) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	d.introduce()
	for i, sm := range samples() {
		r, err := d.send(ctx, i, sm)
		if err != nil {
			return nil, err
		}
		if !d.json {
			d.print(r)
		}
		results = append(results, r)
	}
	results[len(results)-1].Wrong = append(results[len(results)-1].Wrong, d.leftOver(ctx)...)
	if !once {
		d.stay(ctx)
	}
	return results, nil
}

func (d *demo) introduce() {
	if d.json {
		return
	}
	fmt.Fprintf(d.Out, `Plaincover, the outgoing mail server that remembers.

Maya Okafor works at Willow House. She writes in her usual mail app and presses Send; her mail
app signs in to this gateway over TLS. Below is what she wrote, and what really left over SMTP
to the next mail server (here a sink on this machine: nothing leaves it).

`)
}

// result is what became of one sample.
type result struct {
	Outcome string   `json:"outcome"` // SENT, HELD or REFUSED
	Title   string   `json:"title"`
	Reply   string   `json:"reply"`
	Copies  int      `json:"copies"`
	Notices int      `json:"notices"`
	Why     []string `json:"why"`
	Wrong   []string `json:"wrong"` // what is not as it should be

	sample  sample
	copies  []received
	notices []received
}

// received is a message at the sink, read back.
type received struct {
	delivery
	message *mail.Message
	inside  *mail.Message // what Ella's key opens; nil where nothing is encrypted to it
}

// open reads an encrypted copy as Ella's mail app does: with her private key, and with the
// practice's public one for the signature.
func (d *demo) open(ctx context.Context, r *received) error {
	if r.message.Root.MediaType != "multipart/encrypted" {
		return nil
	}
	alias, err := mail.ParseAddress(r.From)
	if err != nil {
		return err
	}
	role, err := d.service.store.RoleKey(ctx, alias, "")
	if err != nil {
		return err
	}
	plain, err := encrypt.DecryptMIME(bytes.NewReader(r.Data), d.key, role, time.Now())
	if err != nil {
		return err
	}
	r.inside, err = mail.Parse(bytes.NewReader(plain), int64(len(plain)), mail.DefaultLimits())
	return err
}

// send submits one sample as a mail app would, and waits for what leaves.
func (d *demo) send(ctx context.Context, n int, sm sample) (result, error) {
	raw := sm.message(time.Now())
	r := result{Title: sm.title, sample: sm, Why: []string{}, Wrong: []string{}}
	why, err := d.why(ctx, sm, raw)
	if err != nil {
		return r, err
	}
	r.Why = why
	// Both ways of TLS, in turn.
	l := d.service.listeners[n%len(d.service.listeners)]
	r.Outcome, r.Reply, err = d.submit(l, sm, raw)
	if err != nil {
		return r, fmt.Errorf("sample %q: %w", sm.title, err)
	}
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for range len(sm.want.copies) + len(sm.want.notices) {
		got, ok := d.sink.next(wait)
		if !ok {
			break
		}
		m, err := mail.Parse(strings.NewReader(string(got.Data)), int64(len(got.Data)), mail.DefaultLimits())
		if err != nil {
			return r, err
		}
		if got.From == "" {
			r.notices = append(r.notices, received{delivery: got, message: m})
			continue
		}
		c := received{delivery: got, message: m}
		if err := d.open(ctx, &c); err != nil {
			return r, fmt.Errorf("sample %q: %w", sm.title, err)
		}
		r.copies = append(r.copies, c)
	}
	// Deliveries run side by side; show them in the order in which they were addressed.
	slices.SortStableFunc(r.copies, func(a, b received) int {
		return slices.Index(sm.to, a.To[0]) - slices.Index(sm.to, b.To[0])
	})
	r.Copies, r.Notices = len(r.copies), len(r.notices)
	r.Wrong = append(r.Wrong, sm.compare(&r)...)
	return r, nil
}

// why asks the gateway for the names of the rules that have something to say.
func (d *demo) why(ctx context.Context, sm sample, raw string) ([]string, error) {
	q := gateway.DryRun{Sender: "maya", Mail: strings.NewReader(raw), Size: int64(len(raw))}
	for _, to := range sm.to {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return nil, err
		}
		q.To = append(q.To, a)
	}
	a, err := d.service.gateway.Explain(ctx, q)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	why := []string{}
	seen := map[string]bool{}
	for _, f := range a.Findings {
		if f.Action != a.Outcome && (a.Outcome != "hold" || f.Action != "lock") {
			continue // what it would also have done does not say why it stopped
		}
		text := f.Name
		if text == "" || text == f.Rule {
			text = f.Reason
		}
		if !seen[text] && text != "" {
			seen[text] = true
			why = append(why, text)
		}
	}
	return why, nil
}

// submit is a mail app: TLS, a sign-in, one message.
func (d *demo) submit(l listener, sm sample, raw string) (outcome, reply string, err error) {
	dial := smtp.DialStartTLS
	if l.implicit {
		dial = smtp.DialTLS
	}
	c, err := dial(l.Addr().String(), &tls.Config{RootCAs: trusting(d.service.cert), ServerName: "localhost", MinVersion: tls.VersionTLS12})
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", "maya@willowhouse.example", d.password)); err != nil {
		return "", "", err
	}
	if err := c.Mail("maya@willowhouse.example", nil); err != nil {
		return replied(err)
	}
	for _, to := range sm.to {
		if err := c.Rcpt(to, nil); err != nil {
			return replied(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return replied(err)
	}
	if _, err := io.WriteString(w, raw); err != nil {
		return "", "", err
	}
	resp, err := w.CloseWithResponse()
	if err != nil {
		return replied(err)
	}
	if err := c.Quit(); err != nil {
		return "", "", err
	}
	if strings.Contains(resp.StatusText, "held as ") {
		return "HELD", "250 " + resp.StatusText, nil
	}
	return "SENT", "250 " + resp.StatusText, nil
}

// replied turns a refusal into an outcome; anything else stays an error.
func replied(err error) (outcome, reply string, _ error) {
	se, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok || se.Code < 500 {
		return "", "", err
	}
	return "REFUSED", fmt.Sprintf("%d %d.%d.%d %s", se.Code, se.EnhancedCode[0], se.EnhancedCode[1], se.EnhancedCode[2], se.Message), nil
}

// leftOver reports what the sink received, or the queue still has, beyond what was expected.
func (d *demo) leftOver(ctx context.Context) []string {
	var wrong []string
	for len(d.sink.arrived) > 0 {
		got, _ := d.sink.next(ctx)
		wrong = append(wrong, "the sink received a message too many, for "+strings.Join(got.To, ", "))
	}
	for _, state := range []store.State{store.Queued, store.InDoubt, store.Failed} {
		jobs, err := d.service.store.Jobs(ctx, store.JobFilter{States: []store.State{state}})
		if err != nil {
			return append(wrong, "the queue cannot be read: "+err.Error())
		}
		for _, j := range jobs {
			wrong = append(wrong, fmt.Sprintf("%s is still %s", j.Message, state))
		}
	}
	return wrong
}

// stay keeps everything running and shows what the sink receives.
func (d *demo) stay(ctx context.Context) {
	fmt.Fprintf(d.Out, "Still here: %s (STARTTLS) and %s (TLS). Try it:\n\n", d.service.listeners[0].Addr(), d.service.listeners[1].Addr())
	fmt.Fprintf(d.Out, "  swaks --server %s -tls --auth PLAIN --auth-user maya@willowhouse.example --auth-password %s \\\n", d.service.listeners[0].Addr(), d.password)
	fmt.Fprint(d.Out, "    --from maya@willowhouse.example --to anna@example.org --h-Subject 'Your counselling session' --body 'See you on Tuesday.'\n\nWhat the sink receives appears here; Ctrl-C ends.\n\n")
	for {
		got, ok := d.sink.next(ctx)
		if !ok {
			return
		}
		fmt.Fprintf(d.Out, "RECEIVED for %s\n%s\n", strings.Join(got.To, ", "), indent(strings.ReplaceAll(string(got.Data), "\r\n", "\n"), "  | "))
	}
}

// verdict says whether everything went as it should.
func (p *program) verdict(results []result) error {
	wrong, copies := 0, 0
	for _, r := range results {
		copies += r.Copies
		if len(r.Wrong) > 0 {
			wrong++
		}
	}
	if p.json {
		if err := p.emit(results, nil); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.Out, "%d of %d as expected: %s left, and no client learnt of another without everyone's agreement.\n", len(results)-wrong, len(results), count(copies, "message"))
	}
	if wrong > 0 {
		return &answerNo{fmt.Sprintf("%s did not go as expected", count(wrong, "sample"))}
	}
	return nil
}

// demoClients are invented; every address is in a reserved domain.
func demoClients(now time.Time) []store.ClientRow {
	yes, no := true, false
	client := func(ref, name, address, word string, born int, discreet *bool) store.ClientRow {
		local, domain, _ := strings.Cut(address, "@")
		return store.ClientRow{Client: filter.Client{Ref: ref, Name: name, Email: []mail.Address{{LocalPart: local, Domain: domain}}, Word: word,
			Born: time.Date(born, 4, 1, 0, 0, 0, 0, time.UTC), Country: "GB", Nation: "England", Discreet: discreet,
			Protection: "none", Practitioner: "maya"}}
	}
	rows := []store.ClientRow{
		client("C-0142", "Anna Quill", "anna@example.org", "willow", 1990, &no),
		client("C-0177", "Ben Harlow", "ben@example.net", "harbour", 1984, &no),
		client("C-0203", "Cara Moss", "cara@example.com", "lantern", now.Year()-17, &yes),
		client("C-0301", "Devi Lark", "devi@example.org", "heron", 1979, &no),
		client("C-0302", "Ella Thorne", "ella@example.net", "pebble", 1995, &no),
	}
	rows[2].Protection, rows[2].Words = "locked_pdf", demoWords
	rows[3].Protection = "locked_pdf" // and no words yet
	rows[4].Protection = "pgp"
	return rows
}

// demoConsents let Devi and Ella see each other's address.
func demoConsents(now time.Time) []store.ConsentRow {
	var out []store.ConsentRow
	for _, ref := range []string{"C-0301", "C-0302"} {
		out = append(out, store.ConsentRow{Ref: ref, Purpose: "group_email", GivenOn: now.AddDate(0, -1, 0), How: "form", RecordedBy: "maya"})
	}
	return out
}
