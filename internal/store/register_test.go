package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
)

func testPurposes() Purposes {
	return Purposes{"group_email": {Wording: "group-consent-v1", Months: 12}, "sms_reminders": {Wording: "sms-consent-v2", Months: 12}}
}

const allColumns = "ref,name,email,mobile,born,country,nation,language,timezone,status,discreet,word,words,protection,practitioner,channels,safe_hours,shared_device,shared_inbox,unsafe_since,check_again_on,risk_assessed_on,groups,same_service\n"

const fullRow = `C-0142,Anna Smith,anna@example.org; ANNA2@Example.org,07700 900123;+447700900124,1990-02-28,gb,England,en-gb,Europe/London,active,yes,maple,four quiet brown owls,locked_pdf,maya,email;sms,Mon-Fri 09:00-17:00,yes,no,2026-01-02,2026-12-01,2026-02-03,tuesday;art,C-0143` + "\n"

func parse(t *testing.T, csv string) []ClientRow {
	t.Helper()
	rows, err := ParseClients(strings.NewReader(csv))
	if err != nil {
		t.Fatalf("ParseClients: %v", err)
	}
	return rows
}

func importCSV(t *testing.T, s *Store, csv string) Report {
	t.Helper()
	rep, err := s.ImportClients(t.Context(), parse(t, csv), "sam")
	if err != nil {
		t.Fatalf("ImportClients: %v", err)
	}
	return rep
}

func TestImportKeepsEverything(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	rows := parse(t, "\xef\xbb\xbf"+allColumns+fullRow)
	if rep, err := s.CheckClients(t.Context(), rows); err != nil || rep.Added != 1 {
		t.Fatalf("dry run = %+v, %v", rep, err)
	}
	if all, err := s.Clients(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("the dry run wrote %d clients, %v", len(all), err)
	}
	if rep := importCSV(t, s, allColumns+fullRow); rep.Added != 1 || len(rep.Notes) != 0 {
		t.Fatalf("import = %+v", rep)
	}
	if rep := importCSV(t, s, allColumns+fullRow); rep.Unchanged != 1 || rep.Changed != 0 {
		t.Fatalf("the same file again = %+v", rep)
	}
	c, err := s.Client(t.Context(), "C-0142")
	if err != nil {
		t.Fatal(err)
	}
	date := func(v string) time.Time { d, _ := time.Parse(time.DateOnly, v); return d }
	if c.Name != "Anna Smith" || len(c.Email) != 2 || c.Email[1].Domain != "example.org" || c.Mobile[0] != "+447700900123" || len(c.Mobile) != 2 ||
		!c.Born.Equal(date("1990-02-28")) || c.Country != "GB" || c.Nation != "England" || c.Language != "en-GB" || c.Timezone != "Europe/London" ||
		c.Status != "active" || c.Discreet == nil || !*c.Discreet || c.Word != "maple" || c.Protection != "locked_pdf" || c.Practitioner != "maya" ||
		len(c.Channels) != 2 || c.SafeHours != "Mon-Fri 09:00-17:00" || !c.SharedDevice || c.SharedInbox || !c.UnsafeSince.Equal(date("2026-01-02")) ||
		!c.CheckAgainOn.Equal(date("2026-12-01")) || !c.RiskAssessedOn.Equal(date("2026-02-03")) || len(c.Groups) != 2 || c.SameService[0] != "C-0143" {
		t.Errorf("stored client = %+v", c)
	}
	if c.Words != "" {
		t.Error("the phrase is in a listing")
	}
	if w, err := s.Words(t.Context(), "C-0142"); err != nil || w != "four quiet brown owls" {
		t.Errorf("Words = %q, %v", w, err)
	}
	// A file with few columns, in another dialect, changes these columns alone; the phrase,
	// always empty in exports, stays.
	if rep := importCSV(t, s, "ref;born;words\r\nC-0142;1991-02-28;\r\n"); rep.Changed != 1 {
		t.Fatalf("second file = %+v", rep)
	}
	c, err = s.Client(t.Context(), "C-0142")
	if w, _ := s.Words(t.Context(), "C-0142"); err != nil || c.Born.Year() != 1991 || c.Name != "Anna Smith" || len(c.Email) != 2 || w == "" {
		t.Errorf("after the second file: %+v, %q, %v", c, w, err)
	}
	if rep := importCSV(t, s, "ref\tname\temail\nC-0143\tBo\tanna@example.org\n"); len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "C-0142, C-0143") {
		t.Errorf("a shared mailbox is not flagged: %+v", rep)
	}
}

func TestClientsFileProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ csv, want string }{
		"empty":             {"", "row 1, file: is empty"},
		"UTF-16":            {"\xff\xfer\x00e\x00f\x00", "UTF-16"},
		"UTF-16 no mark":    {"r\x00e\x00f\x00\n\x00", "UTF-16"},
		"Latin-1":           {"ref,name\nC-1,ok\nC-2,Ren\xe9\n", "row 3, file: is not UTF-8"},
		"unclosed quote":    {"ref,name\nC-1,\"Anna\nC-2,Bo\n", "row 2, file: a quotation mark"},
		"unknown column":    {"ref,emial\nC-1,x\n", `row 1, "emial": is not a column; the nearest is email`},
		"repeated column":   {"ref,name,name\nC-1,a,b\n", "row 1, name: is there twice"},
		"no ref":            {"name\nAnna\n", "row 1, ref: is missing"},
		"short row":         {"ref,name\nC-1\n", "row 2, row: has 1 cells"},
		"empty ref":         {"ref,name\n,Anna\n", "row 2, ref: is empty"},
		"ref twice":         {"ref\nC-1\nC-1\n", "row 3, ref: C-1 is in row 2 already"},
		"ambiguous date":    {"ref,born\nC-1,03/04/1990\n", "row 2, born: 03/04/1990 can be read two ways: write year-month-day, as 1990-04-03 or 1990-03-04"},
		"31 February":       {"ref,born\nC-1,1990-02-31\n", "row 2, born: is not a date"},
		"two-digit year":    {"ref,born\nC-1,90-02-01\n", "row 2, born: is not a date"},
		"future":            {"ref,born\nC-1,2999-01-01\n", "row 2, born: is in the future"},
		"too old":           {"ref,born\nC-1,1850-01-01\n", "row 2, born: is more than 120 years ago"},
		"address":           {"ref,email\nC-1,anna smith@example.org\n", "row 2, email: is not an address"},
		"two addresses":     {"ref,email\nC-1,\"a@example.org,b@example.org\"\n", "row 2, email: holds several addresses: divide them by ;"},
		"trailing dot":      {"ref,email\nC-1,anna@example.org.\n", "row 2, email: is not an address"},
		"letters":           {"ref,mobile\nC-1,0800 FLOWERS\n", "row 2, mobile: has letters"},
		"landline":          {"ref,mobile\nC-1,0161 496 0000\n", "row 2, mobile: is a landline"},
		"premium":           {"ref,mobile\nC-1,0909 879 0000\n", "row 2, mobile: is "},
		"too short":         {"ref,mobile\nC-1,07700\n", "row 2, mobile: is not a"},
		"protection":        {"ref,protection\nC-1,zip\n", "row 2, protection: must be one of: none, pgp, locked_pdf"},
		"status":            {"ref,status\nC-1,gone\n", "row 2, status: must be one of: active, former"},
		"yes or no":         {"ref,discreet\nC-1,maybe\n", "row 2, discreet: is neither yes nor no"},
		"country":           {"ref,country\nC-1,England\n", "row 2, country: is not a country code"},
		"zone":              {"ref,timezone\nC-1,Mars/Olympus\n", "row 2, timezone: is not a time zone"},
		"control character": {"ref,name\nC-1,An\x07na\n", "row 2, name: has a control character"},
		"several":           {"ref,born,email\nC-1,x,y\nC-2,x,a@example.org\n", "row 2, born: is not a date such as 2026-04-03 (year, month, day)\nrow 2, email: is not an address such as anna@example.org\nrow 3, born: is not a date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseClients(strings.NewReader(c.csv))
			wantKind(t, err, fault.Invalid)
			if _, ok := errors.AsType[RowProblems](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestClientsFileLimits(t *testing.T) {
	t.Parallel()
	for name, csv := range map[string]string{
		"zip":  "PK\x03\x04xxxx",
		"cell": "ref,name\nC-1," + strings.Repeat("x", 1<<20) + "\n",
		"rows": "ref\n" + strings.Repeat("C\n", maxRows+1),
	} {
		_, err := ParseClients(strings.NewReader(csv))
		if fault.KindOf(err) != fault.TooLarge {
			t.Errorf("%s: %v, want too large", name, err)
		}
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s, _ := openTest(t)
	importCSV(t, s, "ref,name,email\nC-9,Old,old@example.org\n")
	if err := s.EraseClient(t.Context(), "C-9", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	_, err := s.ImportClients(t.Context(), parse(t, "ref,name\nC-1,Anna\nC-9,Somebody else\n"), "sam")
	wantKind(t, err, fault.Invalid)
	if !strings.Contains(err.Error(), "row 3, ref: C-9 was erased") {
		t.Errorf("error = %v", err)
	}
	if all, err := s.Clients(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("something was written: %d clients, %v", len(all), err)
	}
}

func TestMobileForms(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"07700 900123": "+447700900123", "0044 7700 900123": "+447700900123", "+44 (0)7700 900123": "+447700900123",
		"07400 123456": "+447400123456", "'+447400123456": "+447400123456",
	} {
		rows := parse(t, "mobile,ref\n\""+in+"\",C-1\n")
		if len(rows[0].Mobile) != 1 || rows[0].Mobile[0] != want {
			t.Errorf("%s = %v, want %s", in, rows[0].Mobile, want)
		}
	}
	if rows := parse(t, "ref,mobile,country\nC-1,087 123 4567,IE\n"); rows[0].Mobile[0] != "+353871234567" {
		t.Errorf("Irish number = %v", rows[0].Mobile)
	}
}

func TestFormulaCells(t *testing.T) {
	t.Parallel()
	rows := parse(t, "ref,name\nC-1,=HYPERLINK(1)\n")
	if rows[0].Name != "=HYPERLINK(1)" || TextCell(rows[0].Name) != "'=HYPERLINK(1)" || TextCell("Anna") != "Anna" {
		t.Errorf("name %q, exported %q", rows[0].Name, TextCell(rows[0].Name))
	}
	if again := parse(t, "ref,name\nC-1,"+TextCell(rows[0].Name)+"\n"); again[0].Name != rows[0].Name {
		t.Errorf("round trip: %q", again[0].Name)
	}
}

func FuzzParseClients(f *testing.F) {
	f.Add([]byte(allColumns + fullRow))
	f.Add([]byte("ref;mobile\r\nC-1;\"07700 900123\"\r\n"))
	f.Add([]byte("\xff\xfeab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := ParseClients(bytes.NewReader(b))
		if err != nil && fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.TooLarge {
			t.Fatalf("unclear answer: %v", err)
		}
		if err != nil {
			return
		}
		for _, r := range rows {
			if r.Ref == "" {
				t.Fatal("a client without a code")
			}
		}
		if _, err := ParseConsents(bytes.NewReader(b)); err != nil && fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.TooLarge {
			t.Fatalf("unclear answer: %v", err)
		}
	})
}

func envelope(t *testing.T, to ...string) *mail.Envelope {
	t.Helper()
	e := &mail.Envelope{ID: newTestID(t)}
	for _, a := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: addr(t, a)})
	}
	return e
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	importCSV(t, s, "ref,name,email\nC-1,Anna,anna@example.org\nC-2,Bo,anna@example.org;bo@example.org\nC-3,Cy,cy@example.org\n")
	if err := s.RecordConsent(t.Context(), ConsentRow{Ref: "C-2", Purpose: "group_email", GivenOn: c.now().AddDate(0, -1, 0), How: "form", RecordedBy: "sam"}, testPurposes(), "sam"); err != nil {
		t.Fatal(err)
	}
	e := envelope(t, "Anna@EXAMPLE.org", "nobody@example.org", "cy@example.org")
	all, err := s.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]interface {
		Resolve(ctx context.Context, e *mail.Envelope, m *mail.Message, need filter.Need) (*filter.Facts, error)
		Watch(ctx context.Context) (*filter.Watch, error)
	}{"store": s, "fixture": NewFixture(FilterClients(all), c.now())} {
		f, err := src.Resolve(t.Context(), e, nil, filter.NeedClients|filter.NeedConsents)
		if err != nil {
			t.Fatal(err)
		}
		shared := f.Recipients[0].Clients
		if shared.State != filter.Present || len(shared.Value) != 2 || shared.Value[0].Ref != "C-1" || !f.At.Equal(c.now()) {
			t.Errorf("%s: a shared mailbox: %+v", name, shared)
		}
		if !shared.Value[1].Agreed("group_email", c.now()) || shared.Value[0].Agreed("group_email", c.now()) {
			t.Errorf("%s: consents: %+v", name, shared.Value)
		}
		if f.Recipients[1].Clients.State != filter.Absent {
			t.Errorf("%s: nobody: %+v", name, f.Recipients[1])
		}
		if w, err := src.Watch(t.Context()); err != nil || w == nil {
			t.Errorf("%s: Watch = %v, %v", name, w, err)
		}
	}
	// A row that cannot be read is not "no client".
	tamper(t, s, `UPDATE clients SET sealed = zeroblob(80) WHERE ref = 'C-3'`)
	f, err := s.Resolve(t.Context(), e, nil, filter.NeedClients)
	if err != nil || f.Recipients[2].Clients.State != filter.Unavailable || f.Recipients[0].Clients.State != filter.Present {
		t.Fatalf("damaged row: %+v, %v", f, err)
	}
	if _, err := s.Watch(t.Context()); err == nil {
		// The register has not changed, so the compiled one may still serve; a new one may not.
		s.watch.watch = nil
		if _, err := s.Watch(t.Context()); err == nil {
			t.Fatal("a register with a hole was compiled")
		}
	}
	s.Close()
	if _, err := s.Resolve(t.Context(), e, nil, filter.NeedClients); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("register unreadable: %v", err)
	}
}

func TestWatchFollowsTheRegister(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	first, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := s.Watch(t.Context()); again != first {
		t.Error("compiled again without a change")
	}
	other := mustOpen(t, Options{Dir: dir, MasterKey: testKey(), Now: c.now}) // a command beside the service
	importCSV(t, other, "ref,name,email\nC-1,Anna,anna@example.org\n")
	if after, err := s.Watch(t.Context()); err != nil || after == first {
		t.Errorf("another process's change is not seen: %v", err)
	}
	// Added, changed, erased, by either: what is compiled is what stands in the register.
	rapid.Check(t, func(rt *rapid.T) {
		by := rapid.SampledFrom([]*Store{s, other})
		for i := range rapid.IntRange(1, 4).Draw(rt, "edits") {
			ref := fmt.Sprintf("C-%d", rapid.IntRange(1, 12).Draw(rt, "ref"))
			switch rapid.IntRange(0, 3).Draw(rt, "edit") {
			case 0:
				err := by.Draw(rt, "by").EraseClient(t.Context(), ref, "sam", "asked")
				if err != nil && fault.KindOf(err) != fault.NotFound {
					rt.Fatal(err)
				}
			default:
				rows := []ClientRow{{Client: filter.Client{Ref: ref, Name: fmt.Sprintf("Anna %d", i)}}}
				if _, err := by.Draw(rt, "by").ImportClients(t.Context(), rows, "sam"); err != nil && fault.KindOf(err) != fault.Invalid {
					rt.Fatal(err) // a code is never given to somebody else
				}
			}
			if rapid.Bool().Draw(rt, "looked at") {
				continue
			}
			for _, s := range []*Store{s, other} {
				w, err := s.Watch(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				rows, err := s.Clients(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				got, want := w.Refs(), []string{}
				for _, r := range rows {
					want = append(want, r.Ref)
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					rt.Fatalf("%v, want %v", got, want)
				}
			}
		}
	})
}

func TestEraseLeavesNothing(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, c.options(dir))
	importCSV(t, s, "ref,name,email,mobile\nC-1,Anna,anna@example.org,07700 900123\nC-2,Bo,bo@example.org,\n")
	if err := s.RecordConsent(t.Context(), ConsentRow{Ref: "C-1", Purpose: "group_email", GivenOn: c.now(), How: "form", RecordedBy: "sam"}, testPurposes(), "sam"); err != nil {
		t.Fatal(err)
	}
	var row, consent []byte
	if err := s.queryRow(t.Context(), `SELECT c.sealed, k.sealed FROM clients c JOIN consents k ON k.ref = c.ref WHERE c.ref = 'C-1'`, nil, &row, &consent); err != nil {
		t.Fatal(err)
	}
	mailbox := s.mailboxMAC(addr(t, "anna@example.org"))
	gone := [][]byte{row, consent, []byte(mailbox), []byte(mac(s.keys.lookup, "mobile", "+447700900123"))}
	raw := rawFiles(t, dir)
	for i, b := range gone {
		if !bytes.Contains(raw, b) {
			t.Fatalf("trace %d is not found before erasing: the test looks for the wrong thing", i)
		}
	}
	if err := s.EraseClient(t.Context(), "C-1", "sam", "asked"); err != nil {
		t.Fatal(err)
	}
	raw = rawFiles(t, dir)
	for i, b := range gone {
		if bytes.Contains(raw, b) {
			t.Errorf("trace %d is still in a file", i)
		}
	}
	wantKind(t, s.EraseClient(t.Context(), "C-1", "sam", "asked"), fault.NotFound)
	if f, err := s.Resolve(t.Context(), envelope(t, "anna@example.org", "bo@example.org"), nil, 0); err != nil ||
		f.Recipients[0].Clients.State != filter.Absent || f.Recipients[1].Clients.State != filter.Present {
		t.Errorf("after erasing: %+v, %v", f, err)
	}
	if !auditHas(t, s, "client_erased", "tombstone", s.tombstone("C-1")) {
		t.Error("no tombstone in the audit")
	}
}

func TestConsentLedger(t *testing.T) {
	t.Parallel()
	s, c := openTest(t)
	importCSV(t, s, "ref,name\nC-1,Anna\n")
	const header = "ref,purpose,given_on,how,recorded_by,evidence,expires_on,wording\n"
	load := func(body string) (Report, error) {
		rows, err := ParseConsents(strings.NewReader(header + body))
		if err != nil {
			return Report{}, err
		}
		if _, err := s.CheckConsents(t.Context(), rows, testPurposes()); err != nil {
			return Report{}, err
		}
		return s.ImportConsents(t.Context(), rows, testPurposes(), "sam")
	}
	rep, err := load("C-1,group_email,2026-10-01,form,sam,,,\n")
	if err != nil || rep.Added != 1 || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "group-consent-v1") {
		t.Fatalf("import = %+v, %v", rep, err)
	}
	agreed := func() bool {
		f, err := s.Client(t.Context(), "C-1")
		if err != nil {
			t.Fatal(err)
		}
		return f.Agreed("group_email", c.now())
	}
	if !agreed() {
		t.Fatal("the consent does not count")
	}
	if list, err := s.Consents(t.Context(), "C-1"); err != nil || list[0].ExpiresOn.Format(time.DateOnly) != "2027-10-01" || list[0].ID == "" {
		t.Fatalf("Consents = %+v, %v", list, err)
	}
	if rep, err = load("C-1,group_email,2026-10-01,form,sam,,,group-consent-v1\n"); err != nil || rep.Added != 0 || rep.Unchanged != 1 {
		t.Fatalf("the same again = %+v, %v", rep, err)
	}
	if err := s.WithdrawConsent(t.Context(), "C-1", "group_email", "sam"); err != nil {
		t.Fatal(err)
	}
	if agreed() {
		t.Fatal("a withdrawn consent counts")
	}
	// B60: an older grant after a withdrawal is listed to confirm, not made.
	rep, err = load("C-1,group_email,2026-11-01,form,sam,,,\n")
	if err != nil || rep.Added != 0 || len(rep.Confirm) != 1 || agreed() {
		t.Fatalf("older grant = %+v, %v", rep, err)
	}
	c.add(48 * time.Hour)
	if rep, err = load("C-1,group_email,2026-11-24,form,sam,,,\n"); err != nil || rep.Added != 1 || !agreed() {
		t.Fatalf("newer grant = %+v, %v", rep, err)
	}
	if list, err := s.Consents(t.Context(), ""); err != nil || len(list) != 2 || !list[0].Withdrawn || list[1].Withdrawn {
		t.Fatalf("Consents = %+v, %v", list, err)
	}
	for body, want := range map[string]string{
		"C-1,group_email,,form,sam,,,\n":                             "row 2, given_on: is empty",
		"C-1,group_email,2026-12-24,form,sam,,,\n":                   "row 2, given_on: is in the future",
		"C-1,group_email,2026-10-01,,sam,,,\n":                       "row 2, how: is empty",
		"C-1,group_email,2026-10-01,form,,,,\n":                      "row 2, recorded_by: is empty",
		"C-1,newsletter,2026-10-01,form,sam,,,\n":                    `row 2, purpose: "newsletter" is not a purpose`,
		"C-7,group_email,2026-10-01,form,sam,,,\n":                   "row 2, ref: C-7 is not in the register",
		"C-1,group_email,2026-10-01,form,sam,,2026-09-01,\n":         "row 2, expires_on: is not after given_on",
		"C-1,sms_reminders,2026-10-02,form,sam,,,\nC-1,x,x,f,s,,,\n": "row 3, given_on: is not a date",
	} {
		_, err := load(body)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
	tamperFails(t, s, `UPDATE consents SET ref = 'C-1'`)
}

func tamperFails(t *testing.T, s *Store, query string) {
	t.Helper()
	if err := s.do(t.Context(), func(x *tx) error {
		_, err := x.exec(query)
		return err
	}); err == nil {
		t.Errorf("%s went through", query)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	clients := parse(t, "ref,email\nC-1,anna@example.org\n")
	given := ConsentRow{Ref: "C-1", Purpose: "group_email", GivenOn: at.AddDate(0, -13, 0), How: "form", RecordedBy: "sam"}
	out, err := Merge(clients, []ConsentRow{given}, testPurposes(), at)
	if err != nil || out[0].Agreed("group_email", at) {
		t.Fatalf("a consent that lasted 12 months: %+v, %v", out, err)
	}
	given.GivenOn = at
	if out, err = Merge(clients, []ConsentRow{given}, testPurposes(), at); err != nil || !out[0].Agreed("group_email", at) {
		t.Fatalf("a consent of today: %+v, %v", out, err)
	}
	given.Ref = "C-2"
	_, err = Merge(clients, []ConsentRow{given}, testPurposes(), at)
	wantKind(t, err, fault.Invalid)
}
