package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// howTo is an answer of docs/policy.md: its blocks, each with what its first line says of it.
type howTo struct {
	title  string
	blocks []docBlock
}

type docBlock struct{ label, text string }

// howTos reads the section "How do I ...?" and the steps that follow every change.
func howTos(t *testing.T) (steps string, out []howTo) {
	t.Helper()
	b, err := os.ReadFile("../docs/policy.md")
	must(t, err)
	_, section, _ := strings.Cut(string(b), "\n## How do I ...?\n")
	section, _, ok := strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("docs/policy.md has no section of how-tos")
	}
	block := regexp.MustCompile("(?ms)^```(\\S[^\n]*)\n(.*?)^```$")
	for i, part := range strings.Split(section, "\n### ") {
		var h howTo
		h.title, part, _ = strings.Cut(part, "\n")
		for _, m := range block.FindAllStringSubmatch(part, -1) {
			h.blocks = append(h.blocks, docBlock{m[1], m[2]})
		}
		switch {
		case i > 0:
			out = append(out, h)
		case len(h.blocks) != 1 || h.blocks[0].label != "sh every":
			t.Fatalf("the steps after every change: %v", h.blocks)
		default:
			steps = h.blocks[0].text
		}
	}
	return steps, out
}

// edit does what a block says: add FILE [LIST] puts an entry at the end of a list, or in the
// place of the one with the same id; instead FILE TEST puts a test in the place of another; change FILE puts each line in the place of the one that
// begins with the same key.
func (v *service) edit(b docBlock) {
	v.t.Helper()
	words := strings.Fields(b.label)
	name := filepath.Join(v.dir, "policies", words[2])
	file, err := os.ReadFile(name)
	if os.IsNotExist(err) && words[1] == "add" && len(words) == 3 { // a new file
		must(v.t, os.WriteFile(name, []byte(b.text), 0o600))
		return
	}
	must(v.t, err)
	lines := strings.SplitAfter(strings.TrimRight(string(file), "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	switch {
	case words[1] == "add" && len(words) == 3:
		lines = append(lines, b.text)
	case words[1] == "add":
		from, to := listAt(v.t, lines, words[3])
		if id := regexp.MustCompile(`(?m)^ +id: .*\n`).FindString(b.text); id != "" && slices.Contains(lines[from:to], id) {
			at := from + slices.Index(lines[from:to], id)
			first, last := at, at+1
			for !strings.HasPrefix(lines[first], "  - ") {
				first--
			}
			for last < to && strings.HasPrefix(lines[last], "    ") {
				last++
			}
			lines = slices.Replace(lines, first, last, b.text)
			break
		}
		lines = slices.Insert(lines, to, b.text)
	case words[1] == "instead":
		_, test, _ := strings.Cut(b.label, words[2]+" ")
		first := slices.Index(lines, "  - name: "+test+"\n")
		if first < 0 {
			v.t.Fatalf("%s has no test %q", words[2], test)
		}
		last := first + 1
		for last < len(lines) && strings.HasPrefix(lines[last], "    ") {
			last++
		}
		lines = slices.Replace(lines, first, last, b.text)
	case words[1] == "change":
		for line := range strings.Lines(b.text) {
			key, _, _ := strings.Cut(line, ":")
			i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+":") })
			if i < 0 {
				v.t.Fatalf("%s has no line %q", words[2], key)
			}
			lines[i] = line
		}
	}
	must(v.t, os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600))
}

// listAt finds the lines of a list by its keys: GB/lines. What stands below it is no part of it.
func listAt(t *testing.T, lines []string, path string) (from, to int) {
	t.Helper()
	for depth, key := range strings.Split(path, "/") {
		for from < len(lines) && strings.TrimRight(lines[from], "\n") != strings.Repeat("  ", depth)+key+":" {
			from++
		}
		from++
	}
	if from > len(lines) {
		t.Fatalf("no list %s", path)
	}
	inner := strings.Repeat("  ", strings.Count(path, "/")+1)
	last := from
	for to = from; to < len(lines) && (strings.TrimSpace(lines[to]) == "" || strings.HasPrefix(lines[to], inner)); to++ {
		if strings.TrimSpace(lines[to]) != "" {
			last = to + 1
		}
	}
	return from, last
}

// outcome is what a manager sees of a mail: it waits, or it arrives with or without something.
type outcome struct {
	held       bool
	has, lacks []string
}

// edits are the mails that show what each answer of the document does.
func edits() map[string]struct {
	from, to      string // maya and anna if nothing else
	mail          string
	before, after outcome
	weaker        string // what reload says it weakens; empty: nothing
	check         func(t *testing.T, v *service, shell func(string) (string, error))
} {
	type edit = struct {
		from, to      string
		mail          string
		before, after outcome
		weaker        string
		check         func(t *testing.T, v *service, shell func(string) (string, error))
	}
	const dora, colleague = "dora@example.org", "erin@birch.example"
	file := func(kind, name, content string) string {
		return "From: Maya Okafor <" + maya + ">\r\nTo: " + anna + "\r\nSubject: Tuesday\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: text/plain\r\n\r\nSee you on Tuesday.\r\n--b\r\nContent-Type: " + kind + "\r\nContent-Disposition: attachment; filename=" + name + "\r\n\r\n" + content + "\r\n--b--\r\n"
	}
	return map[string]edit{
		"How do I add a practitioner?": {from: "kit", mail: strings.ReplaceAll(strings.ReplaceAll(letter(anna, "Your counselling", "See you on Tuesday."), "maya@", "kit@"), "Maya Okafor", "Kit Vane"),
			after: outcome{has: []string{"Subject: Hello from K - willow", "From: K <hello@wh.example>", "Samaritans"}, lacks: []string{"counselling", "kit@", "Vane"}}},
		"How do I give clients another neutral subject?": {mail: letter(anna, "Your counselling", "See you on Tuesday."),
			before: outcome{has: []string{"Subject: Hello from M - willow"}}, after: outcome{has: []string{"Subject: A note from M - willow"}, lacks: []string{"counselling"}}},
		"How do I add a helpline?": {mail: letter(anna, "Tuesday", "See you on Tuesday."),
			before: outcome{lacks: []string{"Willow Line"}}, after: outcome{has: []string{"Willow Line, call 0161 496 0001", "Samaritans"}}},
		"How do I make a rule about young people stricter?": {to: dora, mail: letter(dora, "Tuesday", "Ring Joan's mobile, 07700 900321, if you are late."),
			before: outcome{has: []string{"07700 900321"}}, after: outcome{held: true}},
		"How do I let mail to a colleague's practice pass?": {to: colleague, mail: letter(colleague, "Rooms", "Is the blue room free?"),
			before: outcome{held: true}, after: outcome{has: []string{"Subject: Rooms", "From: Maya Okafor <" + maya + ">"}}, weaker: "mail to an address at birch.example: hold → send"},
		"How do I have another word noticed?": {mail: letter(anna, "Tuesday", "Was it loud on Beech Ward?"),
			before: outcome{has: []string{"Beech Ward"}}, after: outcome{held: true}},
		"How do I make a word list of my own?": {mail: letter(anna, "Tuesday", "The river group meets at ten."),
			before: outcome{has: []string{"river group"}}, after: outcome{held: true}},
		"How do I keep mail for the morning?": {mail: letter(anna, "Tuesday", strings.Repeat("See you on Tuesday. ", 6)), before: outcome{has: []string{"See you on Tuesday."}},
			check: func(t *testing.T, v *service, shell func(string) (string, error)) {
				for at, want := range map[string]string{"2026-03-04T22:00:00Z": "hold", "2026-03-04T10:00:00Z": "send", "2026-12-25T10:00:00Z": "hold"} {
					if got := dryRun(t, shell, "--at "+at); got != want {
						t.Errorf("at %s: %s, want %s", at, got, want)
					}
				}
			}},
		"How do I have mail of a kind wait for somebody?": {mail: file("text/calendar", "tuesday.ics", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR"),
			before: outcome{has: []string{"text/calendar"}}, after: outcome{held: true}},
		"How do I make an exception?": {from: "sam", to: ben, mail: strings.ReplaceAll(strings.ReplaceAll(letter(ben, "[newsletter] Summer", strings.Repeat("The garden is open. ", 70)), "maya@", "sam@"), "Maya Okafor", "Sam Reid"),
			before: outcome{held: true}, after: outcome{has: []string{"The garden is open.", "Childline"}, lacks: []string{"newsletter"}}, weaker: "the rule young-practical: unless"},
		"How do I change the words of a line that clients read?": {mail: letter(anna, "Tuesday", "See you on Tuesday."),
			before: outcome{lacks: []string{"no need to write back"}}, after: outcome{has: []string{"There is no need to write back unless I ask you something."}}},
		"How do I try a rule before it acts?": {mail: file("image/gif", "door.gif", "GIF89a\x01"),
			before: outcome{has: []string{"image/gif"}}, after: outcome{has: []string{"image/gif"}},
			check: func(t *testing.T, _ *service, shell func(string) (string, error)) {
				said, err := shell("gateway explain --sender maya --to C-0001 --clients clients.csv mail.eml")
				must(t, err)
				if !strings.Contains(said, "pictures-wait") || !strings.Contains(said, "SEND\n") {
					t.Errorf("explain does not tell of the rule that observes:\n%s", said)
				}
			}},
		"How do I make sure that something stays as it is?": {mail: letter(anna, "Tuesday", "See you on Tuesday."), before: outcome{has: []string{"See you"}}, after: outcome{has: []string{"See you"}},
			check: func(t *testing.T, v *service, shell func(string) (string, error)) {
				v.editPolicy("tests/everyday.yaml", "copies: 2, every_copy: {recipients: 1}}\n", "copies: 1, every_copy: {recipients: 1}}\n")
				for _, step := range []string{"gateway test", "gateway reload"} {
					if said, err := shell(step); err == nil || !strings.Contains(said, "failed") {
						t.Errorf("%s with a test that fails: %v\n%s", step, err, said)
					}
				}
			}},
		"How do I say how we work, below each mail?": {mail: letter(anna, "Tuesday", "See you on Tuesday."),
			before: outcome{lacks: []string{"United Kingdom"}}, after: outcome{has: []string{"Willow House, 0161 496 0000", "We work with people who live in the United Kingdom."}}},
	}
}

// dryRun returns the outcome that explain gives the saved mail.
func dryRun(t *testing.T, shell func(string) (string, error), flags string) string {
	t.Helper()
	said, err := shell("gateway explain --sender maya --to C-0001 --clients clients.csv --json " + flags + " mail.eml")
	must(t, err)
	m := regexp.MustCompile(`"outcome": *"([a-z]+)"`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("explain says\n%s", said)
	}
	return m[1]
}

// readable is a message in one line, without the line ends that the wire needs.
func readable(a *arrival) string {
	text := strings.ReplaceAll(string(a.data), "=\r\n", "")
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "=3D", "=")), " ")
}

// A manager makes each change of docs/policy.md with nothing but its page: edit, check, test,
// explain, reload. The mail that shows it leaves, or waits, as the page says: over TLS and AUTH
// into a running service, and out of it to a smarthost.
func TestEditsOfAManager(t *testing.T) {
	t.Parallel()
	steps, all := howTos(t)
	table := edits()
	if len(all) < 12 || len(all) != len(table) {
		t.Errorf("%d answers in the document, %d here", len(all), len(table))
	}
	for _, h := range all {
		e, ok := table[h.title]
		if !ok {
			t.Errorf("nothing shows %q", h.title)
			continue
		}
		t.Run(h.title, func(t *testing.T) {
			t.Parallel()
			clients := register + "C-0004,Dora Fennimore,dora@example.org,2006-08-01,GB,England,no,harbour,none,maya\n"
			v := newService(t, setup{register: clients})
			must(t, os.WriteFile(filepath.Join(v.dir, "clients.csv"), []byte(clients), 0o600))
			must(t, os.WriteFile(filepath.Join(v.dir, "mail.eml"), []byte(e.mail), 0o600))
			bin := filepath.Join(v.dir, "bin")
			must(t, os.Mkdir(bin, 0o700))
			must(t, os.Symlink(program, filepath.Join(bin, "gateway")))
			from, to := "maya", e.to
			if e.from != "" {
				from = e.from
			}
			if to == "" {
				to = anna
			}
			passwords := map[string]string{"maya": v.password}
			shell := func(script string) (string, error) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				script = strings.ReplaceAll(script, "--sender maya --to C-0001", "--sender "+from+" --to "+to)
				cmd := exec.CommandContext(ctx, "sh", "-ec", script)
				cmd.Dir, cmd.Env = v.dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			sent := 0
			look := func(when string, want outcome) {
				t.Helper()
				c, err := v.dialAs(from+"@willowhouse.example", passwords[from])
				must(t, err)
				defer c.Close()
				text, err := send(c, from+"@willowhouse.example", e.mail, to)
				must(t, err)
				if held := strings.Contains(text, "held as"); held != want.held {
					t.Fatalf("%s: %s", when, text)
				} else if held {
					return
				}
				sent++
				arrived := v.sink.wait(t, sent, to)[sent-1]
				for _, w := range want.has {
					if !strings.Contains(readable(&arrived), w) {
						t.Errorf("%s: no %q in\n%s", when, w, readable(&arrived))
					}
				}
				for _, w := range want.lacks {
					if strings.Contains(readable(&arrived), w) {
						t.Errorf("%s: still %q in\n%s", when, w, readable(&arrived))
					}
				}
			}
			switch from {
			case "kit": // cannot sign in yet
				if said, err := shell("gateway submitter add kit --name laptop"); err == nil {
					t.Errorf("before the edit: %s", said)
				}
			case "sam":
				passwords["sam"] = v.signUp("sam")
				fallthrough
			default:
				look("before the edit", e.before)
			}
			weaker, after := "", ""
			for _, b := range h.blocks {
				switch {
				case b.label == "sh weaker":
					weaker = b.text
				case b.label == "sh after":
					after = b.text
				case b.label == "sh":
					said, err := shell(b.text)
					if err != nil {
						t.Fatalf("%v\n%s", err, said)
					}
				default:
					v.edit(b)
				}
			}
			if from != "kit" {
				look("edited, not reloaded", e.before)
			}
			said, err := shell(steps)
			switch {
			case (weaker == "") != (e.weaker == ""):
				t.Fatal("the document says otherwise whether it is weaker")
			case weaker == "" && err != nil, weaker != "" && (err == nil || !strings.Contains(said, "WEAKER  "+e.weaker)):
				t.Fatalf("%v\n%s", err, said)
			case weaker != "":
				look("not taken yet", e.before)
				if said, err := shell(weaker); err != nil {
					t.Fatalf("%v\n%s", err, said)
				}
			}
			if after != "" {
				said, err := shell(after)
				must(t, err)
				m := regexp.MustCompile(`(?m)^password +(\S+)$`).FindStringSubmatch(said)
				if m == nil {
					t.Fatalf("no password in\n%s", said)
				}
				passwords[from] = m[1]
			}
			want := e.after
			if h.title == "How do I keep mail for the morning?" { // which it is now the clock says
				if want = e.before; dryRun(t, shell, "") == "hold" {
					want = outcome{held: true}
				}
			}
			look("after the edit", want)
			if e.check != nil {
				e.check(t, v, shell)
			}
		})
	}
}
