package store

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"

	"github.com/plaincover/plaincover/internal/encrypt"
	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
)

// Limits of a register file (B59).
const (
	maxFileBytes = 64 << 20
	maxRows      = 200_000
	maxCell      = 16 << 10
	// maxProblems is how many problems are listed; more help nobody.
	maxProblems = 200
)

// homeCountry is where a number without a country code is read when its row names no country.
const homeCountry = "GB"

// RowProblem is one thing to change in a register file. Row 1 is the header.
type RowProblem struct {
	Row     int    `json:"row"`
	Column  string `json:"column"`
	Problem string `json:"problem"`
}

// RowProblems are all problems of a file; nothing of it was written.
type RowProblems []RowProblem

// Error lists the problems, one a line: row N, Column: problem.
func (p RowProblems) Error() string {
	var b strings.Builder
	for i, r := range p {
		if i == maxProblems {
			fmt.Fprintf(&b, "\nand %d more", len(p)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "row %d, %s: %s", r.Row, r.Column, r.Problem)
	}
	return b.String()
}

// clientColumn reads and copies one column of clients.csv. set returns what is wrong, if anything.
type clientColumn struct {
	set  func(c *ClientRow, cell string) (problem string)
	copy func(to, from *ClientRow)
}

// clientColumnNames are the columns in the order of interfaces; country stands before mobile
// when a row is read.
var clientColumnNames = []string{"ref", "name", "email", "mobile", "born", "country", "nation", "language", "timezone", "status",
	"discreet", "word", "words", "protection", "practitioner", "channels", "safe_hours", "shared_device", "shared_inbox",
	"unsafe_since", "check_again_on", "risk_assessed_on", "groups", "same_service"}

// column makes a clientColumn of where a value lives and how a cell is read.
func column[T any](at func(*ClientRow) *T, read func(c *ClientRow, cell string) (T, string)) clientColumn {
	return clientColumn{
		set: func(c *ClientRow, cell string) string {
			v, problem := read(c, cell)
			if problem == "" {
				*at(c) = v
			}
			return problem
		},
		copy: func(to, from *ClientRow) { *at(to) = *at(from) },
	}
}

var clientColumns = map[string]clientColumn{
	"ref":              column(func(c *ClientRow) *string { return &c.Ref }, readRef),
	"name":             column(func(c *ClientRow) *string { return &c.Name }, readText),
	"email":            column(func(c *ClientRow) *[]mail.Address { return &c.Email }, readEmails),
	"mobile":           column(func(c *ClientRow) *[]string { return &c.Mobile }, readMobiles),
	"born":             column(func(c *ClientRow) *time.Time { return &c.Born }, readBorn),
	"country":          column(func(c *ClientRow) *string { return &c.Country }, readCountry),
	"nation":           column(func(c *ClientRow) *string { return &c.Nation }, readText),
	"language":         column(func(c *ClientRow) *string { return &c.Language }, readLanguage),
	"timezone":         column(func(c *ClientRow) *string { return &c.Timezone }, readTimezone),
	"status":           column(func(c *ClientRow) *string { return &c.Status }, oneOf("active", "former")),
	"discreet":         column(func(c *ClientRow) **bool { return &c.Discreet }, readMaybe),
	"word":             column(func(c *ClientRow) *string { return &c.Word }, readText),
	"words":            column(func(c *ClientRow) *string { return &c.Words }, readWords),
	"protection":       column(func(c *ClientRow) *string { return &c.Protection }, oneOf("none", "pgp", "locked_pdf", "locked_word", "locked_zip")),
	"practitioner":     column(func(c *ClientRow) *string { return &c.Practitioner }, readText),
	"channels":         column(func(c *ClientRow) *[]string { return &c.Channels }, readList),
	"safe_hours":       column(func(c *ClientRow) *string { return &c.SafeHours }, readText),
	"shared_device":    column(func(c *ClientRow) *bool { return &c.SharedDevice }, readBool),
	"shared_inbox":     column(func(c *ClientRow) *bool { return &c.SharedInbox }, readBool),
	"unsafe_since":     column(func(c *ClientRow) *time.Time { return &c.UnsafeSince }, readDate),
	"check_again_on":   column(func(c *ClientRow) *time.Time { return &c.CheckAgainOn }, readDate),
	"risk_assessed_on": column(func(c *ClientRow) *time.Time { return &c.RiskAssessedOn }, readDate),
	"groups":           column(func(c *ClientRow) *[]string { return &c.Groups }, readList),
	"same_service":     column(func(c *ClientRow) *[]string { return &c.SameService }, readList),
}

var consentColumnNames = []string{"ref", "purpose", "given_on", "how", "recorded_by", "evidence", "expires_on", "wording"}

// readWords reads the phrase that opens locked documents.
func readWords(_ *ClientRow, cell string) (string, string) {
	if cell != "" && encrypt.CheckWords(cell) != nil {
		return "", "words must be plain letters, digits and signs, at least 16 of them, with single blanks; leave it empty and make them: gateway client words"
	}
	return cell, ""
}

// ParseClients reads clients.csv. Problems come all at once as RowProblems.
func ParseClients(r io.Reader) ([]ClientRow, error) {
	t, err := readTable(r, clientColumnNames, []string{"ref"})
	if err != nil {
		return nil, err
	}
	rows := make([]ClientRow, 0, len(t.rows))
	seen := make(map[string]int, len(t.rows))
	for _, cells := range t.rows {
		c := ClientRow{columns: t.columns, row: cells.row}
		t.read(cells, "country", "mobile", func(name, cell string) string { return clientColumns[name].set(&c, cell) })
		if c.Ref != "" {
			if first, ok := seen[c.Ref]; ok {
				t.problem(cells.row, "ref", fmt.Sprintf("%s is in row %d already", c.Ref, first))
			}
			seen[c.Ref] = cells.row
		}
		rows = append(rows, c)
	}
	return rows, t.err()
}

// ParseConsents reads consents.csv. What a consent needs to be one is checked on import.
func ParseConsents(r io.Reader) ([]ConsentRow, error) {
	t, err := readTable(r, consentColumnNames, []string{"ref", "purpose", "given_on", "how", "recorded_by"})
	if err != nil {
		return nil, err
	}
	rows := make([]ConsentRow, 0, len(t.rows))
	for _, cells := range t.rows {
		c := ConsentRow{row: cells.row}
		text := map[string]*string{"purpose": &c.Purpose, "how": &c.How, "recorded_by": &c.RecordedBy, "evidence": &c.Evidence, "wording": &c.Wording}
		t.read(cells, "", "", func(name, cell string) (problem string) {
			switch name {
			case "ref":
				c.Ref, problem = readRef(nil, cell)
			case "given_on":
				c.GivenOn, problem = readDate(nil, cell)
			case "expires_on":
				c.ExpiresOn, problem = readDate(nil, cell)
			default:
				*text[name] = cell
			}
			return problem
		})
		rows = append(rows, c)
	}
	return rows, t.err()
}

// table is a register file, cell by cell.
type table struct {
	columns  []string
	rows     []tableRow
	problems RowProblems
}

type tableRow struct {
	row   int
	cells []string
}

func (t *table) problem(row int, column, problem string) {
	t.problems = append(t.problems, RowProblem{row, column, problem})
}

func (t *table) err() error {
	if len(t.problems) == 0 {
		return nil
	}
	return t.problems.fault()
}

// read hands the cells of a row over, with column early before and column late after all others.
func (t *table) read(r tableRow, early, late string, set func(name, cell string) string) {
	order := slices.Clone(t.columns)
	rank := map[string]int{early: -1, late: 1}
	slices.SortStableFunc(order, func(a, b string) int { return rank[a] - rank[b] })
	for _, name := range order {
		if p := set(name, r.cells[slices.Index(t.columns, name)]); p != "" {
			t.problem(r.row, name, p)
		}
	}
}

func readTable(r io.Reader, known, required []string) (*table, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, unavailable(err)
	}
	if b, err = checkEncoding(b); err != nil {
		return nil, err
	}
	t := &table{}
	cr := csv.NewReader(bytes.NewReader(b))
	cr.Comma = separator(b)
	cr.FieldsPerRecord = -1
	header, err := cr.Read()
	if err != nil {
		return nil, csvProblem(err)
	}
	if t.header(header, known, required); len(t.problems) > 0 {
		return nil, t.err()
	}
	for {
		cells, err := cr.Read()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, csvProblem(err)
		}
		row, _ := cr.FieldPos(0)
		if len(t.rows) == maxRows {
			return nil, tooLarge(fmt.Sprintf("the file has more than %d rows", maxRows))
		}
		if err := t.add(row, cells); err != nil {
			return nil, err
		}
	}
}

func tooLarge(public string) error { return fault.New(fault.TooLarge, public) }

func onlyProblem(row int, column, problem string) error {
	return RowProblems{{row, column, problem}}.fault()
}

// checkEncoding takes UTF-8 with or without a byte-order mark and names what else it is.
func checkEncoding(b []byte) ([]byte, error) {
	const fix = ": save it as CSV UTF-8"
	switch {
	case len(b) > maxFileBytes:
		return nil, tooLarge(fmt.Sprintf("the file is larger than %d MB", maxFileBytes>>20))
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return nil, tooLarge("this is a ZIP or spreadsheet file, not CSV" + fix)
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}), bytes.IndexByte(b, 0) >= 0:
		return nil, onlyProblem(1, "file", "is UTF-16 or binary, not UTF-8"+fix)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) {
		good := 0
		for good < len(b) {
			r, n := utf8.DecodeRune(b[good:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			good += n
		}
		return nil, onlyProblem(1+bytes.Count(b[:good], []byte("\n")), "file", "is not UTF-8 here (perhaps Latin-1 or Windows-1252)"+fix)
	}
	if bytes.IndexByte(b, '\n') < 0 {
		b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n")) // one old convention throughout
	}
	return b, nil
}

// separator is what divides the header line most often.
func separator(b []byte) rune {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	best, most := ',', bytes.Count(line, []byte(","))
	for _, c := range []rune{';', '\t'} {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

func csvProblem(err error) error {
	if err == io.EOF {
		return onlyProblem(1, "file", "is empty")
	}
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		problem := "a quotation mark stands where it may not, or is never closed"
		if errors.Is(e.Err, csv.ErrFieldCount) {
			problem = "has another number of cells than the header"
		}
		return onlyProblem(e.StartLine, "file", problem)
	}
	return unavailable(err)
}

func (t *table) header(cells, known, required []string) {
	seen := make(map[string]bool)
	for i, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		switch {
		case name == "":
			t.problem(1, fmt.Sprintf("column %d", i+1), "has no name")
		case !slices.Contains(known, name):
			if utf8.RuneCountInString(name) > 40 {
				name = string([]rune(name)[:40])
			}
			near := nearest(name, known)
			what := "is not a column; the nearest is " + near
			if distance(name, near) > 3 { // hardly a slip of the finger
				what += "; the columns are " + strings.Join(known, ", ")
			}
			t.problem(1, fmt.Sprintf("%q", name), what)
		case seen[name]:
			t.problem(1, name, "is there twice")
		}
		seen[name] = true
		t.columns = append(t.columns, name)
	}
	for _, name := range required {
		if !seen[name] {
			t.problem(1, name, "is missing")
		}
	}
}

func (t *table) add(row int, cells []string) error {
	if len(cells) != len(t.columns) {
		t.problem(row, "row", fmt.Sprintf("has %d cells, the header has %d", len(cells), len(t.columns)))
		return nil
	}
	for i, cell := range cells {
		if len(cell) > maxCell {
			return tooLarge(fmt.Sprintf("row %d, %s: is longer than %d KB", row, t.columns[i], maxCell>>10))
		}
		cell = strings.TrimSpace(cell)
		if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune(formulaStarts, rune(cell[1])) {
			cell = cell[1:] // as TextCell wrote it
		}
		if strings.ContainsFunc(cell, unicode.IsControl) {
			t.problem(row, t.columns[i], "has a control character or a line break in it")
			cell = ""
		}
		cells[i] = cell
	}
	t.rows = append(t.rows, tableRow{row, cells})
	return nil
}

const formulaStarts = "=+-@\t\r"

// TextCell makes a cell of an export that no spreadsheet takes for a formula (B55).
func TextCell(s string) string {
	if s != "" && strings.ContainsRune(formulaStarts, rune(s[0])) {
		return "'" + s
	}
	return s
}

// nearest returns the known name with the smallest edit distance.
func nearest(name string, known []string) string {
	best, least := known[0], 1<<30
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}

var refPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func readRef(_ *ClientRow, cell string) (string, string) {
	switch {
	case cell == "":
		return "", "is empty: every client needs a code such as C-0142"
	case !refPattern.MatchString(cell):
		return "", "is not a code such as C-0142 (letters, digits, dot, dash and underscore)"
	}
	return cell, ""
}

func readText(_ *ClientRow, cell string) (string, string) { return cell, "" }

func oneOf(values ...string) func(*ClientRow, string) (string, string) {
	return func(_ *ClientRow, cell string) (string, string) {
		if v := strings.ToLower(cell); v == "" || slices.Contains(values, v) {
			return v, ""
		}
		return "", "must be one of: " + strings.Join(values, ", ")
	}
}

func split(cell string) (out []string) {
	for v := range strings.SplitSeq(cell, ";") {
		if v = strings.TrimSpace(v); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func readList(_ *ClientRow, cell string) ([]string, string) { return split(cell), "" }

func readEmails(_ *ClientRow, cell string) (out []mail.Address, problem string) {
	for _, v := range split(cell) {
		a, err := mail.ParseAddress(v)
		switch {
		case err != nil && strings.Contains(v, ","):
			return nil, "holds several addresses: divide them by ;"
		case err != nil:
			return nil, "is not an address such as anna@example.org"
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, ""
}

func readMobiles(c *ClientRow, cell string) (out []string, problem string) {
	region := homeCountry
	if c.Country != "" {
		region = c.Country
	}
	for _, v := range split(cell) {
		number, problem := readMobile(v, region)
		if problem != "" {
			return nil, problem
		}
		if !slices.Contains(out, number) {
			out = append(out, number)
		}
	}
	return out, ""
}

// dramaNumbers are Ofcom's mobile numbers for drama, 07700 900000 to 900999, which the
// numbering plan gives to nobody and every example here uses.
var dramaNumbers = regexp.MustCompile(`^\+447700900\d{3}$`)

func readMobile(v, region string) (number, problem string) {
	if strings.ContainsFunc(v, unicode.IsLetter) {
		return "", "has letters in it"
	}
	n, err := phonenumbers.Parse(v, region)
	if err != nil {
		return "", "is not a phone number of " + region + "; write it as +44..."
	}
	number = phonenumbers.Format(n, phonenumbers.E164)
	if dramaNumbers.MatchString(number) {
		return number, ""
	}
	if !phonenumbers.IsValidNumber(n) {
		return "", "is not a number that exists; write it as +44..."
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return number, ""
	case phonenumbers.FIXED_LINE:
		return "", "is a landline: texts do not reach it"
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST:
		return "", "is a premium or shared-cost number"
	}
	return "", "is not a mobile number"
}

func readBool(_ *ClientRow, cell string) (bool, string) {
	switch strings.ToLower(cell) {
	case "":
		return false, ""
	case "yes", "y", "true", "1":
		return true, ""
	case "no", "n", "false", "0":
		return false, ""
	}
	return false, "is neither yes nor no"
}

func readMaybe(c *ClientRow, cell string) (*bool, string) {
	if cell == "" {
		return nil, ""
	}
	v, problem := readBool(c, cell)
	return &v, problem
}

func readCountry(_ *ClientRow, cell string) (string, string) {
	if cell == "" {
		return "", ""
	}
	r, err := language.ParseRegion(cell)
	if err != nil || !r.IsCountry() || len(cell) != 2 {
		return "", "is not a country code of two letters such as GB"
	}
	return strings.ToUpper(cell), ""
}

func readLanguage(_ *ClientRow, cell string) (string, string) {
	if cell == "" {
		return "", ""
	}
	t, err := language.Parse(cell)
	if err != nil {
		return "", "is not a language such as en-GB"
	}
	return t.String(), ""
}

func readTimezone(_ *ClientRow, cell string) (string, string) {
	if cell == "" {
		return "", ""
	}
	if _, err := time.LoadLocation(cell); err != nil || cell == "Local" {
		return "", "is not a time zone such as Europe/London"
	}
	return cell, ""
}

var otherDate = regexp.MustCompile(`^(\d{1,2})[./ -](\d{1,2})[./ -](\d{4})$`)

// readDate takes ISO 8601 dates only; one that could be read two ways is named as such.
func readDate(_ *ClientRow, cell string) (time.Time, string) {
	if cell == "" {
		return time.Time{}, ""
	}
	t, err := time.Parse(time.DateOnly, cell)
	if err == nil {
		return t, ""
	}
	if m := otherDate.FindStringSubmatch(cell); m != nil {
		return time.Time{}, fmt.Sprintf("%s can be read two ways: write year-month-day, as %s-%02s-%02s or %s-%02s-%02s", cell, m[3], m[2], m[1], m[3], m[1], m[2])
	}
	return time.Time{}, "is not a date such as 2026-04-03 (year, month, day)"
}

// oldest is the greatest age that is taken for meant.
const oldest = 120

func readBorn(c *ClientRow, cell string) (time.Time, string) {
	t, problem := readDate(c, cell)
	if problem != "" || t.IsZero() {
		return t, problem
	}
	now := time.Now()
	switch {
	case t.After(now):
		return time.Time{}, "is in the future"
	case t.AddDate(oldest, 0, 0).Before(now):
		return time.Time{}, fmt.Sprintf("is more than %d years ago", oldest)
	}
	return t, ""
}
