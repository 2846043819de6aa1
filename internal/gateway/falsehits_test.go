package gateway

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

// peerCorpusCopies returns what would leave of each message of $CORPUS: a copy to one client.
func peerCorpusCopies(t *testing.T, to filter.Client) []*decided {
	t.Helper()
	corpus := os.Getenv("CORPUS")
	if corpus == "" {
		t.Skip("CORPUS names no directory of messages")
	}
	snap, err := policy.Load(policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Facts: store.NewFixture([]filter.Client{to}, noon), Policy: snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	about := regexp.MustCompile(`(?i)^(from|to|cc|bcc|sender|reply-to|return-path|resent-[a-z-]+)[ \t]*:|^From `)
	var out []*decided
	if err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw, err = readAll(mail.CanonicalLines(bytes.NewReader(raw)))
		if err != nil {
			return err
		}
		head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		ours := "From: Maya Okafor <maya@willowhouse.example>\r\nTo: " + to.Email[0].String() + "\r\n"
		keep := true
		for line := range strings.SplitAfterSeq(string(head)+"\r\n", "\r\n") {
			if line != "" && line[0] != ' ' && line[0] != '\t' {
				keep = !about.MatchString(line)
			}
			if keep {
				ours += line
			}
		}
		whole := append([]byte(ours+"\r\n"), body...)
		m, err := mail.Parse(bytes.NewReader(whole), int64(len(whole)), mail.DefaultLimits())
		if err != nil {
			return err
		}
		id, err := mail.NewID(noon, g.entropy)
		if err != nil {
			return err
		}
		e := &mail.Envelope{ID: id, Submitter: "maya", Reverse: maya, ReceivedAt: noon, Recipients: []mail.Recipient{{Address: to.Email[0]}}}
		made, err := g.decide(t.Context(), question{snap: snap, env: e, mail: m, spool: store.NewMemorySpool,
			release: &filter.Release{By: "sam", Digest: m.Digest, All: true}})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, made)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func readAll(r interface{ Read([]byte) (int, error) }) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// TestFalseHits checks a copy of every message of $CORPUS against invented registers of 100,000
// people, with names as frequent as they are, and counts how often the leak check would hold
// it: nobody of the registers is in the messages. FALSEHITS says how many registers; make
// falsehits asks for all fifty.
func TestFalseHits(t *testing.T) {
	t.Parallel()
	registers, people := 2, 100_000
	if n, err := strconv.Atoi(os.Getenv("FALSEHITS")); err == nil {
		registers = n
	}
	no := false
	reader := filter.Client{Ref: "R-READER", Name: "Quillonia Abernethwaite", Email: []mail.Address{{LocalPart: "quillonia", Domain: "canary-one.example"}}, Practitioner: "maya", Discreet: &no}
	made := peerCorpusCopies(t, reader)
	var finals []filter.LeakInput
	for _, d := range made {
		defer d.close()
		for i, s := range d.copies {
			if s == nil {
				continue
			}
			final, err := d.mail.ParseCopy(s, s.Size(), finalLimits(mail.DefaultLimits()))
			if err != nil {
				t.Fatal(err)
			}
			finals = append(finals, d.leakInput(final, nil, &d.plan.Variants[i]))
		}
	}
	held, recorded, channels := 0, 0, map[string]int{}
	var compiling, checking time.Duration
	for n := range registers {
		start := time.Now()
		reg := append(population(rand.New(rand.NewPCG(uint64(n), 2026)), people-1), reader)
		watch := filter.NewWatch(reg)
		compiling += time.Since(start)
		start = time.Now()
		for _, in := range finals {
			in.Watch = watch
			for _, f := range filter.CheckLeaks(in) {
				if f.Action == filter.Send {
					recorded++
					continue
				}
				held++
				for _, c := range f.Channels {
					channels[c]++
				}
				if os.Getenv("FALSEHITS") != "" {
					t.Logf("register %d: %s, parts %s of a mail with the subject %q", n, f.Channels, paths(f.Evidence), in.Mail.Subject)
				}
			}
		}
		checking += time.Since(start)
	}
	all := registers * len(finals)
	t.Logf("%d registers of %d people, %d messages, of which %d are not refused: %d of %d checks held falsely (%.2f in 1,000), %d recorded a name alone; %v; compiled in %v, checked in %v",
		registers, people, len(made), len(finals), held, all, 1000*float64(held)/float64(all), recorded, channels, compiling, checking)
	if allowed := max(2, all/1000); held > allowed {
		t.Errorf("%d of %d checks held falsely; at most %d may", held, all, allowed)
	}
}

func paths(es []filter.Evidence) string {
	var out []string
	for _, e := range es {
		out = append(out, e.Path)
	}
	return strings.Join(out, " ")
}

// A share of the population with its names. Names are listed by how frequent they are; the
// n-th of a list is about head/n^0.6 as frequent as the first, which fits the published counts
// closely enough: Smith 1.2 % and the hundredth surname 0.1 % of England and Wales (ONS surname
// counts of 2002); Murphy 1.1 % in Ireland (CSO, births 2022: surnames); Nowak 0.5 % of Poland
// (PESEL register); in Bangladeshi and Pakistani families a dozen names cover a third, among
// Sikhs two (Singh, Kaur) nearly all; ten surnames cover two fifths of China. Given names:
// ONS and NRS baby names 1950 to 2000, where the first is borne by about 3 % and falls as fast.
type nation struct {
	share         int // in 100 people
	listed        int // in 100 of them have a surname of the list, the others one of the long tail
	given, family string
}

// Surnames and given names that are ordinary words stand where their frequency puts them, and
// more of them than chance would: they are what a text could hold by accident.
func nations() []nation {
	return []nation{
		{74, 55, `John David Michael Susan Margaret James Robert Paul Mary Andrew Sarah Peter Christopher Patricia William Richard Karen Elizabeth Mark Thomas Jennifer
			Stephen Christine Helen Anthony Linda Emma Daniel Matthew Jessica Simon Laura Nicola Julie Amanda Ian Kevin Gary Rebecca Charlotte Barbara Jean Joan Alan Brian Claire
			Jack Oliver Harry Amelia Emily Chloe Sophie Olivia Lauren Hannah Grace Lucy Ryan Adam Benjamin Luke Joshua Samuel Joseph George Edward Charles Henry Martin Philip Graham
			Lisa Tracey Sharon Deborah Angela Jacqueline Dawn Joanne Michelle Samantha Victoria Natalie Gemma Kelly Stacey Hayley Kirsty Zoe Amy Rachel Katherine Anna Ruth Alice Ella
			Will Bill Sue Pat Rose Hope Faith Joy May June April Frank Dean Grant Chase Drew Guy Max Art Rich Sam Ben Tom Tim Jim Joe Dan Bob Ray Neil Carl Dale Craig Scott Keith
			Ivy Lily Daisy Violet Heather Hazel Holly Poppy Penny Sandy Dusty Rob Nick Matt Pete Dave Steve Jo Kim Lee Terry Robin Leslie Carol Gwen Rhys Owen Dylan Gareth Megan Sian Bronwen`,
			`Smith Jones Williams Taylor Brown Davies Evans Thomas Wilson Johnson Roberts Robinson Thompson Wright Walker White Edwards Hughes Green Hall Lewis Harris Clarke Patel Jackson
			Wood Turner Martin Cooper Hill Ward Morris Moore Clark Lee King Baker Harrison Morgan Allen James Scott Phillips Watson Davis Parker Price Bennett Young Griffiths Mitchell Kelly Cook
			Carter Richardson Bailey Collins Bell Shaw Murphy Miller Cox Richards Khan Marshall Anderson Simpson Ellis Adams Singh Begum Wilkinson Foster Chapman Powell Webb Rogers Gray Mason Ali
			Hunt Hussain Campbell Matthews Owen Palmer Holmes Mills Barnes Knight Lloyd Butler Russell Barker Fisher Stevens Jenkins Murray Dixon Harvey Graham Pearson Ahmed Fletcher Walsh
			Kaur Gibson Howard Andrews Stewart Elliott Reynolds Saunders Payne Fox Ford Pearce Day Brooks West Lawrence Cole Atkinson Bradley Spencer Gill Dawson Watts Rose Rogers Page Long Hart
			Perry Rice Stone Lane Cross Field Park Parks Waters Weeks May March Winter Summers North South East Street House Church Temple Court Pool Rivers Brook Lake Moon Frost Snow Rain
			Read Reader Post Case Cash Close Best Love Bond Bush Hope Law Lord Major Noble Pope Bishop Abbot Dean Swift Short Little Small Large Strong Power Quick Sharp Wise Wild Savage Rich
			Poor Gold Silver Steel Cotton Wool Carpenter Mason Potter Farmer Hunter Archer Shepherd Gardener Porter Butcher Singer Driver Sender Marks Mark Grant English French Ireland England
			Holland Germany London York Kent Lincoln Chester Preston Bolton Sutton Norton Milton Walton Burton Clayton Dalton Barton Newton Horton Hilton`},
		{6, 60, `Mary John Patrick James Margaret Michael Bridget Catherine Thomas Sean Conor Aoife Ciara Niamh Siobhán Sinéad Róisín Eoin Cian Oisín Pádraig Séamus Máire Áine Órla Liam Declan Brendan Fionn Darragh`,
			`Murphy Kelly O'Sullivan Walsh Smith O'Brien Byrne Ryan O'Connor O'Neill O'Reilly Doyle McCarthy Gallagher Doherty Kennedy Lynch Murray Quinn Moore McLoughlin Carroll Connolly Daly Connell Wilson Dunne
			Brennan Burke Collins Campbell Clarke Johnston Hughes Farrell Fitzgerald Brown Martin Maguire Nolan Flynn Thompson Callaghan O'Donnell Duffy Mahony Boyle Healy Shea White Sweeney`},
		{3, 30, `Anna Maria Katarzyna Piotr Krzysztof Andrzej Agnieszka Tomasz Małgorzata Paweł Jan Ewa Michał Marcin Łukasz Zofia Kamil Magdalena Jakub Joanna Barbara Adam Mateusz Monika Wojciech Aleksandra`,
			`Nowak Kowalski Kowalska Wiśniewski Wiśniewska Wójcik Kowalczyk Kamiński Kamińska Lewandowski Lewandowska Zieliński Zielińska Szymański Szymańska Woźniak Dąbrowski Dąbrowska Kozłowski Mazur Jankowski Krawczyk`},
		{10, 85, `Mohammed Muhammad Fatima Ahmed Ali Aisha Hassan Sara Ibrahim Zainab Priya Rahul Sunita Amit Deepak Harpreet Gurpreet Jaspreet Manjit Balwinder Nasreen Shabana Rukhsana Imran Tariq Abdul Syed Yusuf Maryam Anjali Ravi Sanjay Meena Kiran Raj Nisha`,
			`Khan Patel Singh Kaur Hussain Begum Ali Ahmed Shah Akhtar Bibi Malik Iqbal Mahmood Miah Rahman Islam Chowdhury Uddin Sharma Kumar Gupta Mistry Nair Desai Mehta Joshi Reddy Rao Das Chaudhry Mirza Butt Sheikh Aslam Rashid Javed Parveen Kausar Khatun`},
		{4, 70, `Mohamed Ahmed Fatima Omar Ali Hassan Mariam Youssef Amina Khalid Nour Layla Hamza Zahra Mustafa Huda Samir Rania محمد أحمد فاطمة علي`,
			`Mohamed Hassan Ibrahim Ahmad Abdullah Saleh Mahmoud Hussein Osman Yusuf Farah Abdi Warsame Haddad Khoury Mansour Nasser Hamdan Al-Masri Al-Hussaini الحسن العلي محمود`},
		{3, 90, `Wei Ming Jing Li Xin Yan Fang Lei Jun Mei Hua Ying Wing Ka Man Siu Hoi Chun`,
			`Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Wong Chan Lee Cheung Lam Ho Ng Leung Chow Tang Yip Mak Lau Kwok Tsang Man`},
	}
}

// population invents people. Nothing of it is written anywhere: the numbers could be real ones.
func population(r *rand.Rand, n int) []filter.Client {
	type pool struct{ given, family []string }
	all := nations()
	pools := make([]pool, len(all))
	var whose []int
	for i, k := range all {
		pools[i] = pool{strings.Fields(k.given), strings.Fields(k.family)}
		for range k.share {
			whose = append(whose, i)
		}
	}
	// frequent picks from a list by rank: sums of 1/n^0.6 lead to the n-th.
	sums := []float64{0}
	for i := range 1000 {
		sums = append(sums, sums[i]+math.Pow(float64(i+1), -0.6))
	}
	frequent := func(of []string) string {
		i, _ := slices.BinarySearch(sums[:len(of)+1], r.Float64()*sums[len(of)])
		return of[max(0, min(i-1, len(of)-1))]
	}
	tail := longTail()
	style := r.IntN(4)
	out := make([]filter.Client, n)
	for i := range out {
		k := whose[r.IntN(len(whose))]
		given, family := frequent(pools[k].given), ""
		if r.IntN(100) < all[k].listed {
			family = frequent(pools[k].family)
		} else {
			family = tail[int(float64(len(tail))*r.Float64()*r.Float64())]
		}
		name := given
		if r.IntN(4) == 0 {
			name += " " + frequent(pools[k].given)
		}
		if r.IntN(25) == 0 {
			family += "-" + frequent(pools[k].family)
		}
		year := 2012 - int(60*r.Float64())
		born := time.Date(year, time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		c := filter.Client{Name: name + " " + family, Born: born, Practitioner: fmt.Sprintf("p%d", r.IntN(400))}
		if c.Practitioner == "p0" {
			c.Practitioner = "maya" // 250 people, now or once
		}
		switch style {
		case 0:
			c.Ref = fmt.Sprintf("C-%06d", i)
		case 1:
			c.Ref = fmt.Sprintf("%c%c%05d", 'A'+i%26, 'A'+i/26%26, i)
		case 2:
			c.Ref = fmt.Sprintf("%d-%05d", 2005+i%20, i)
		case 3:
			c.Ref = strconv.Itoa(100_000 + i)
		}
		if r.IntN(100) < 95 {
			c.Mobile = append(c.Mobile, fmt.Sprintf("+447%d%08d", []int{3, 4, 4, 5, 5, 7, 7, 8, 8, 9}[r.IntN(10)], r.IntN(100_000_000)))
		}
		if r.IntN(100) < 30 {
			c.Mobile = append(c.Mobile, fmt.Sprintf("+441%09d", 130_000_000+r.IntN(850_000_000)))
		}
		if r.IntN(100) < 90 {
			c.Email = []mail.Address{{LocalPart: mailboxName(r, given, family, year, i), Domain: webmail(r)}}
		}
		out[i] = c
	}
	return out
}

// mailboxName is made of the name, as most people's are.
func mailboxName(r *rand.Rand, given, family string, year, i int) string {
	plain := func(s string) string {
		return strings.Map(func(c rune) rune {
			if i := strings.IndexRune("łśóąńźéá", c); i >= 0 {
				return rune("lsoanzea"[i/2])
			}
			if c >= 'a' && c <= 'z' {
				return c
			}
			return -1
		}, strings.ToLower(s))
	}
	g, f := plain(given), plain(family)
	if g == "" || f == "" {
		return fmt.Sprintf("user%d", i)
	}
	switch r.IntN(10) {
	case 0:
		return g + "." + f
	case 1:
		return g + f
	case 2:
		return g[:1] + "." + f
	case 3:
		return g[:1] + f
	case 4:
		return f + "." + g
	case 5:
		return g
	case 6:
		return fmt.Sprintf("%s.%s%02d", g, f, year%100)
	case 7:
		return fmt.Sprintf("%s%d", g, year)
	case 8:
		return fmt.Sprintf("%s_%s%d", g, f, r.IntN(100))
	}
	return fmt.Sprintf("%s%s%d", g, f, r.IntN(1000))
}

// webmail is where most private mailboxes are.
func webmail(r *rand.Rand) string {
	switch n := r.IntN(100); {
	case n < 48:
		return "gmail.com"
	case n < 62:
		return "hotmail.com"
	case n < 70:
		return "yahoo.co.uk"
	case n < 76:
		return "outlook.com"
	case n < 82:
		return "icloud.com"
	case n < 86:
		return "hotmail.co.uk"
	case n < 90:
		return "btinternet.com"
	case n < 93:
		return "live.co.uk"
	case n < 96:
		return "yahoo.com"
	case n < 98:
		return "aol.com"
	}
	return "sky.com"
}

// longTail is some thousand surnames as English places made them.
func longTail() []string {
	first := strings.Fields(`Ash Beck Black Brad Bram Broad Brook Burn Cold Crow East Fair Farn Glen Grim Hart Hazel Heath Hol Kirk Lang Lin Long Mal Mel Mor New Nor Oak Old Pem Rad Red
		Rock Row Sea Shel Stan Stock Sut Thorn Wal War Wes Whit Wil Win Wood Wy Ather Hether Wither Copper Mickle Wetter Ander Elder Fother`)
	second := strings.Fields(`bank berry bourne bridge brook burn bury by cliffe combe cote croft dale den don field ford gate ham head hill holme hurst land ley low man mere more ridge
		shaw side stead stone sworth thorpe thwaite ton wall way well wick wood worth ster sley stow cott gill bottom`)
	out := map[string]bool{}
	for _, a := range first {
		for _, b := range second {
			out[a+b] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}
