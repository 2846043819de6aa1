package gateway

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
)

const agreedWords = "maple river seven candle otter blanket"

var eve = mail.Address{LocalPart: "eve", Domain: "example.org"}

// addLocked adds a discreet client whose mail is locked in that way.
func (b *bench) addLocked(protection, words string) {
	b.t.Helper()
	if _, err := b.store.ImportClients(b.t.Context(), []store.ClientRow{{Client: filter.Client{Ref: "C-0201", Name: "Eve Elm", Email: []mail.Address{eve},
		Born: time.Date(1985, 6, 7, 0, 0, 0, 0, time.UTC), Country: "GB", Practitioner: "maya", Protection: protection}, Words: words}}, "sam"); err != nil {
		b.t.Fatal(err)
	}
}

// secret is a mail with a canary wherever the sender can put one.
const secret = "From: Maya <maya@willowhouse.example>\r\nTo: eve@example.org\r\nSubject: [secure] About the canarysubject\r\n" +
	"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@phone.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlain canarybody.\r\n" +
	"--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Rich canarybody.</p>\r\n--c--\r\n" +
	"--b\r\nContent-Type: text/csv; name=\"canaryname.csv\"\r\nContent-Disposition: attachment; filename=\"canaryname.csv\"\r\n\r\ncanaryfile;1\r\n--b--\r\n"

// inside opens every locked file of a copy, and returns what is behind the locks.
func inside(t *testing.T, m *mail.Message, words string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for p := range m.Parts() {
		if p.Filename == "" {
			continue
		}
		b, err := io.ReadAll(m.Decode(p))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(p.Filename, ".zip"):
			files, err := encrypt.OpenZIP(bytes.NewReader(b), int64(len(b)), words)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				if out[p.Filename+"/"+f.Name], err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
				r.Close()
			}
		case strings.HasSuffix(p.Filename, ".pdf"):
			r, err := encrypt.OpenPDF(bytes.NewReader(b), words)
			if err != nil {
				t.Fatal(err)
			}
			if out[p.Filename], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(p.Filename, ".docx"):
			r, err := encrypt.OpenOffice(bytes.NewReader(b), int64(len(b)), words)
			if err != nil {
				t.Fatal(err)
			}
			if out[p.Filename], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s is not locked", p.Filename)
		}
	}
	return out
}

// textIn returns the text that the leak check reads in opened files.
func textIn(t *testing.T, files map[string][]byte) string {
	t.Helper()
	var list []mail.File
	for name, b := range files {
		list = append(list, mail.File{Name: path.Base(name), MediaType: "application/octet-stream", Open: func() (io.Reader, error) { return bytes.NewReader(b), nil }})
	}
	var msg, all strings.Builder
	if err := mail.Compose(&msg, "00000000000000000000000000", 1, []mail.Field{{Name: "From", Value: "maya@willowhouse.example"}}, nil, list); err != nil {
		t.Fatal(err)
	}
	m, err := mail.Parse(strings.NewReader(msg.String()), int64(msg.Len()), mail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Texts() {
		all.WriteString(s)
	}
	return all.String()
}

// TestLocked: what is confidential leaves locked, and outside stands nothing of it.
func TestLocked(t *testing.T) {
	t.Parallel()
	for protection, want := range map[string][]string{
		"locked_zip":  {"files.zip/document-1.csv", "files.zip/letter.pdf"},
		"locked_pdf":  {"files.zip/document-1.csv", "letter.pdf"},
		"locked_word": {"files.zip/document-1.csv", "letter.docx"},
	} {
		t.Run(protection, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addLocked(protection, agreedWords)
			e := b.envelope(eve)
			r, err := b.g.Submit(t.Context(), e, strings.NewReader(secret))
			if err != nil || !strings.HasPrefix(r.Text, "queued as ") {
				t.Fatal(r, err, b.lastReason(e.ID))
			}
			m := b.copies(e.ID)[eve.String()]
			if m == nil {
				t.Fatal("no copy")
			}
			if strings.Contains(strings.ToLower(m.Subject), "secure") || m.Subject == "" {
				t.Errorf("subject %q", m.Subject)
			}
			var seen strings.Builder
			seen.WriteString(raw(t, m))
			for p := range m.Parts() {
				content, err := io.ReadAll(m.Decode(p))
				if err != nil {
					t.Fatal(err)
				}
				seen.Write(content)
			}
			if s := strings.ToLower(seen.String()); strings.Contains(s, "canary") || strings.Contains(s, "maple") {
				t.Errorf("what is locked shows outside:\n%s", raw(t, m))
			}
			if s := seen.String(); !strings.Contains(s, "Open it with the words we agreed.") || !strings.Contains(s, "A short practical note.") {
				t.Errorf("the outside does not say how to open it:\n%s", s)
			}
			opened := inside(t, m, agreedWords)
			var names []string
			for n := range opened {
				names = append(names, n)
			}
			if slices.Sort(names); !slices.Equal(names, want) {
				t.Errorf("files %q, want %q", names, want)
			}
			all := textIn(t, opened)
			for _, w := range []string{"canarysubject", "canarybody", "canaryfile", "Samaritans"} {
				if !strings.Contains(all, w) {
					t.Errorf("%s is not behind the lock", w)
				}
			}
		})
	}
}

// TestNothingIsLostBehindALock: an invitation beside the text, a mail inside the mail.
func TestNothingIsLostBehindALock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addLocked("locked_pdf", agreedWords)
	e := b.envelope(eve)
	msg := strings.Replace(secret, "--c--\r\n", "--c\r\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nSUMMARY:canaryinvite\r\nEND:VCALENDAR\r\n--c--\r\n"+
		"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\nSubject: canarymail\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\ncanaryinner\r\n", 1)
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(msg))
	if err != nil || !strings.HasPrefix(r.Text, "queued as ") {
		t.Fatal(r, err, b.lastReason(e.ID))
	}
	m := b.copies(e.ID)[eve.String()]
	var all strings.Builder
	for _, file := range inside(t, m, agreedWords) {
		all.Write(file)
	}
	for _, w := range []string{"canaryinvite", "canarymail", "canaryinner", "canaryfile"} {
		if !strings.Contains(all.String(), w) || strings.Contains(raw(t, m), w) {
			t.Errorf("%s is not behind the lock, or in front of it", w)
		}
	}
}

// TestWithoutWordsIsHeld: what cannot be locked is held, the sender is told what is missing, and
// once words are agreed it leaves locked.
func TestWithoutWordsIsHeld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addLocked("locked_zip", "")
	e := b.envelope(eve)
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(secret))
	if err != nil || !strings.HasPrefix(r.Text, "held as ") || !strings.Contains(r.Text, "C-0201 has no password or PGP key on file") {
		t.Fatal(r, err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "please"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("released without words: %v", err)
	}
	if len(b.copies(e.ID)) != 0 {
		t.Fatal("it is queued in clear")
	}
	if err := b.store.SetWords(t.Context(), "C-0201", agreedWords, "sam"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Release(t.Context(), e.ID, "sam", "words are agreed"); err != nil {
		t.Fatal(err)
	}
	m := b.copies(e.ID)[eve.String()]
	if m == nil || strings.Contains(raw(t, m), "canary") || len(inside(t, m, agreedWords)) != 2 {
		t.Error("it did not leave locked")
	}
}

// TestWhatCannotBeLockedIsNeverReleased: not by a release, not by other policies, and not
// because the client's address has moved since.
func TestWhatCannotBeLockedIsNeverReleased(t *testing.T) {
	t.Parallel()
	held := func(t *testing.T, words, msg string) (*bench, mail.ID) {
		t.Helper()
		b := newBench(t)
		b.addLocked("locked_pdf", words)
		e := b.envelope(eve)
		if r, err := b.g.Submit(t.Context(), e, strings.NewReader(msg)); err != nil || !strings.HasPrefix(r.Text, "held as ") {
			t.Fatal(r, err)
		}
		return b, e.ID
	}
	inClear := func(t *testing.T, b *bench, id mail.ID) {
		t.Helper()
		for range 2 { // a first release may only show what is new
			if _, err := b.g.Release(t.Context(), id, "sam", "please"); err == nil {
				t.Error("it is released")
			}
		}
		if len(b.copies(id)) != 0 {
			t.Error("something is queued")
		}
	}
	t.Run("no font", func(t *testing.T) {
		t.Parallel()
		b, id := held(t, agreedWords, letterTo("[secure] x", "\u13a0\u13b6\u13c3", eve)) // Cherokee
		for _, n := range b.noticesAbout(id) {
			if strings.Contains(raw(t, n), "Ask Sam to send it") {
				t.Error("the notice sends people to somebody who cannot help")
			}
		}
		inClear(t, b, id)
	})
	t.Run("the rule is gone", func(t *testing.T) {
		t.Parallel()
		b, id := held(t, "", secret)
		m := liveFiles(t, false)
		m["mail.yaml"] = &fstest.MapFile{Mode: 0o644, Data: bytes.Replace(m["mail.yaml"].Data, []byte(`subject_starts: "[secure]"`), []byte(`subject_starts: "[other]"`), 1)}
		snap, err := policy.Load(m)
		if err != nil {
			t.Fatal(err)
		}
		b.g.SetPolicy(snap)
		inClear(t, b, id)
	})
	t.Run("the address has moved", func(t *testing.T) {
		t.Parallel()
		b, id := held(t, "", secret)
		if _, err := b.store.ImportClients(t.Context(), []store.ClientRow{{Client: filter.Client{Ref: "C-0201", Name: "Eve Elm",
			Email: []mail.Address{{LocalPart: "new", Domain: eve.Domain}}, Country: "GB", Practitioner: "maya", Protection: "locked_pdf"}}}, "sam"); err != nil {
			t.Fatal(err)
		}
		inClear(t, b, id)
	})
}

// addKeyed gives Eve a PGP key, and returns it with its private part.
func (b *bench) addKeyed(of mail.Address, made time.Time) *encrypt.Key {
	b.t.Helper()
	b.addLocked("pgp", "")
	key, err := encrypt.NewRoleKey("", of, made)
	if err != nil {
		b.t.Fatal(err)
	}
	public, err := key.Public()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.SetKey(b.t.Context(), "C-0201", public, "sam"); err != nil {
		b.t.Fatal(err)
	}
	return key
}

// TestLockedWithPGP: the recipient's private key opens the copy, the practice's alias has signed
// it, the real subject is inside, and outside stands nothing of it.
func TestLockedWithPGP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key := b.addKeyed(eve, b.now.AddDate(0, -1, 0))
	for range 2 { // the second finds the practice's key
		e := b.envelope(eve)
		r, err := b.g.Submit(t.Context(), e, strings.NewReader(secret))
		if err != nil || !strings.HasPrefix(r.Text, "queued as ") {
			t.Fatal(r, err, b.lastReason(e.ID))
		}
		m := b.copies(e.ID)[eve.String()]
		if m == nil {
			t.Fatal("no copy")
		}
		outside := raw(t, m)
		if s := strings.ToLower(outside); strings.Contains(s, "canary") || strings.Contains(s, "secure") || strings.Contains(s, "maya@") {
			t.Errorf("what is encrypted shows outside:\n%s", outside)
		}
		if m.Root.MediaType != "multipart/encrypted" || m.Subject == "" || len(m.Root.Parts) != 2 {
			t.Errorf("%s, subject %q, %d parts", m.Root.MediaType, m.Subject, len(m.Root.Parts))
		}
		role, err := b.store.RoleKey(t.Context(), m.From[0].Address, "another name")
		if err != nil {
			t.Fatal(err)
		}
		plain, err := encrypt.DecryptMIME(strings.NewReader(outside), key, role, b.now)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := mail.Parse(bytes.NewReader(plain), int64(len(plain)), mail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if opened.Subject != "About the canarysubject" || opened.MessageID != m.MessageID || !opened.Date.Equal(m.Date) ||
			mail.FormatMailboxes(opened.From) != mail.FormatMailboxes(m.From) || mail.FormatMailboxes(opened.To) != eve.String() {
			t.Errorf("inside stands:\n%s", plain)
		}
		var all strings.Builder
		for p := range opened.Parts() {
			content, err := io.ReadAll(opened.Decode(p))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
		for _, w := range []string{"Plain canarybody", "Rich canarybody", "canaryfile", "Samaritans"} {
			if !strings.Contains(all.String(), w) {
				t.Errorf("%s is not inside:\n%s", w, plain)
			}
		}
		for _, w := range []string{"canaryname", "maya@willowhouse.example"} {
			if strings.Contains(string(plain), w) {
				t.Errorf("%s is inside:\n%s", w, plain)
			}
		}
		if another, err := encrypt.NewRoleKey("", eve, b.now); err != nil {
			t.Fatal(err)
		} else if _, err := encrypt.DecryptMIME(strings.NewReader(outside), another, role, b.now); err == nil {
			t.Error("another key opens it")
		}
	}
}

// TestWithoutAKeyIsHeld: no key, one with another address, one that is not valid yet and one that
// was taken away: held, with the key named by its fingerprint.
func TestWithoutAKeyIsHeld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(b *bench) *encrypt.Key
		says    string
	}{
		"none":            {func(b *bench) *encrypt.Key { b.addLocked("pgp", agreedWords); return nil }, "no password or PGP key on file"},
		"another address": {func(b *bench) *encrypt.Key { return b.addKeyed(clientAt(0), b.now.AddDate(0, -1, 0)) }, "has no valid user id with this address"},
		"of the future":   {func(b *bench) *encrypt.Key { return b.addKeyed(eve, b.now.AddDate(0, 1, 0)) }, "is not valid yet"},
		"removed": {func(b *bench) *encrypt.Key {
			b.addKeyed(eve, b.now.AddDate(0, -1, 0))
			if err := b.store.RemoveKey(b.t.Context(), "C-0201", "sam"); err != nil {
				b.t.Fatal(err)
			}
			return nil
		}, "no password or PGP key on file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			key := c.prepare(b)
			e := b.envelope(eve)
			r, err := b.g.Submit(t.Context(), e, strings.NewReader(secret))
			why := r.Text + b.lastReason(e.ID)
			if err != nil || !strings.HasPrefix(r.Text, "held as ") || !strings.Contains(why, c.says) || len(b.copies(e.ID)) != 0 {
				t.Fatal(r, err, why)
			}
			if key != nil && !strings.Contains(why, key.Fingerprint()) {
				t.Errorf("the key is not named: %s", why)
			}
		})
	}
}

// withoutKeys is a source in which a key goes away between the decision and the copy.
type withoutKeys struct{ FactSource }

func (withoutKeys) RecipientKey(context.Context, string, time.Time) (*encrypt.Key, error) {
	return nil, nil
}

// TestAKeyThatGoesAway: nothing leaves in clear when the key goes while the copy is made.
func TestAKeyThatGoesAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addKeyed(eve, b.now.AddDate(0, -1, 0))
	b.g.facts = withoutKeys{b.store}
	e := b.envelope(eve)
	// The mail app is told to try again: by then the facts say that there is no key, and it is held.
	r, err := b.g.Submit(t.Context(), e, strings.NewReader(secret))
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatal(r, err)
	}
	if jobs, err := b.store.Jobs(t.Context(), store.JobFilter{Message: e.ID}); err != nil || len(jobs) != 0 {
		t.Fatal(jobs, err)
	}
}
