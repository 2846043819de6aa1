package mail

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestQuotedHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"none":        {"<p>Hi</p>", "<p>Hi</p>"},
		"element":     {"<p>Hi</p><blockquote type=cite>old<br></blockquote><p>PS</p>", "<p>Hi</p><p>PS</p>"},
		"attribution": {"<div>Hi<br><div>On 2 Nov 2026, Anna wrote:</div></div><blockquote type=cite>old</blockquote>", "<div>Hi<br></div>"},
		"rest":        {"<body><div class=W><p>Hi</p><div><div id=divRplyFwdMsg>From: A</div></div><p>old</p></div></body>", "<body><div class=W><p>Hi</p><div></div></div></body>"},
		"fields":      {"<div><p>Hi</p><p><b>From:</b> A &lt;a@example.org&gt;<br><b>Sent:</b> 2 Nov<br><b>To:</b> M<br><b>Subject:</b> x</p><p>old</p></div>", "<div><p>Hi</p></div>"},
		"interleaved": {"<div>Hi</div><div class=gmail_quote><div class=gmail_attr>On 2 Nov 2026 A wrote:</div><blockquote class=gmail_quote>q1</blockquote><div>yes</div><blockquote class=gmail_quote>q2</blockquote></div>",
			"<div>Hi</div><div class=gmail_quote><div>yes</div></div>"},
		"forwarded": {"<div>Hi</div><div class=gmail_quote><div class=gmail_attr>---------- Forwarded message ---------<br>From: A</div><blockquote>q1</blockquote><div>old</div></div>", "<div>Hi</div>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, err := quotedHTML(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := without(c.in, q); got != c.want {
				t.Errorf("left is\n%s\nwant\n%s", got, c.want)
			}
			if h, _ := readHTML(c.in); strings.Contains(h.fresh.String(), "old") {
				t.Errorf("new text: %q", h.fresh.String())
			}
		})
	}
	for _, bad := range []string{"<b>Hi<blockquote type=cite>old</b> older</blockquote>", "<div>Hi<!-- x"} {
		if q, err := quotedHTML(bad); err == nil {
			t.Errorf("%s: %v", bad, q)
		}
	}
}

// What the sender says of a mail is no attribution: all that follows would count as quoted.
func TestASentenceIsNoAttribution(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"On 3 May 2026 you wrote to us (hello@wh.example) and asked:\nMay I end it all?\n",
		"On Tuesday 3 May at 10:00 you wrote to me (maya@wh.example):\nMay I end it all?\n",
	} {
		if got := newText(in, false); got != in {
			t.Errorf("of %q is left %q", in, got)
		}
	}
	for _, in := range []string{
		"On Monday, 2 November 2026 at 10:00:00 GMT, Anna Jones <anna@example.org> wrote:\nold\n",
		"On 2 Nov 2026, Anna Jones (anna@example.org) wrote on the list:\nold\n",
		"Am 2. November 2026 um 10:00 schrieb Anna Jones <anna@example.org>:\nold\n",
	} {
		if got := newText(in, false); got != "" {
			t.Errorf("of %q is left %q", in, got)
		}
	}
}

// hostileQuotes are lines and tags, repeated, that make work for whoever looks for quotes.
func hostileQuotes() (text, tags map[string]string) {
	long := strings.Repeat("a b", 50)
	text = map[string]string{
		"on": "On ", "on, in lines": "On \n", "on and a colon": "On 1 x:\n", "attribution": "On 2 Nov 2026 10:00, A <a@example.org> wrote:\n", "long attribution": "On 1 " + long + ":\n",
		"marks": "> > > ", "marks in lines": "> > >\n", "single marks": ">a\nb\n", "marks alone": ">", "blank lines": "\n", "blanks": " ", "blank and mark": "\n>\n",
		"from": "From: a@example.org\n", "from and sent": "From: a\nSent: 2026\n", "from and blank lines": "From: a@example.org\n\n\n\n\n\n\n\n\n\n", "rule": "__________\n", "rules and blanks": "__________\n\n\n",
		"separator": "-----Original Message\n", "dashes": "--", "dashes in lines": "--\n", "colons": ":\n", "wrote": "wrote ", "date first": "2026-11-02 10:00 <a@\n", "dashed": "---- On 2026 wrote --x\n", "forward": "Begin forwarded message:\nx\n",
		"direction": "\u200f", "direction in lines": "\u200f\n",
	}
	tags = map[string]string{
		"quotes": "<blockquote>", "cited": "<blockquote type=cite>x</blockquote>", "closed": "</blockquote>", "gmail": "<div class=gmail_quote><blockquote>x</blockquote>y</div>", "gmail open": "<div class=gmail_quote>",
		"lead and quote": "On 1 x wrote:<br><blockquote>", "long lead": "<p>On 1 " + long + ":", "rules": "<hr>", "rule and text": "<hr>a", "fields": "<p>From: a@example.org", "fields and dates": "From: a<br>Sent: 1<br>",
		"rest": "<div id=divRplyFwdMsg>", "bold": "<b>", "bold ends": "<b></b></i>", "cells": "<table><td>", "ends of others": "<p></x>", "pre": "<pre>\n&gt; a\n</pre>", "marks": "&gt; a<br>", "links": "<a><div>", "links above": "<a class=gmail_attr>1</a>", "link above": "<a class=gmail_attr>1",
	}
	return text, tags
}

// TestQuotesLinear: four times the text takes about four times as long.
func TestQuotesLinear(t *testing.T) {
	t.Parallel()
	text, tags := hostileQuotes()
	check := func(name, unit string, read func(s string)) {
		for try := 0; ; try++ {
			small, large := strings.Repeat(unit, 1<<18/len(unit)), strings.Repeat(unit, 1<<20/len(unit))
			a, b := threadTime(t, func() { read(small) }), threadTime(t, func() { read(large) })
			if b < 8*a+50*time.Millisecond {
				if b > time.Second {
					t.Errorf("%s: %v for a MiB", name, b)
				}
				return
			}
			if try == 3 {
				t.Errorf("%s: %v, of four times the size %v", name, a, b)
				return
			}
		}
	}
	for name, unit := range text {
		check(name, unit, func(s string) { newText(s, false); editPlain(s, nil, []string{crisisBlock}, false) })
	}
	for name, unit := range tags {
		check(name+" (html)", unit, func(s string) { _, _ = readHTML(s) })
	}
}

// threadTime is the processor time of f: what else the machine does is not in it.
func threadTime(t *testing.T, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(1, &u); err != nil { // RUSAGE_THREAD
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := now()
	f()
	return now() - start
}

func FuzzQuotedText(f *testing.F) {
	text, _ := hostileQuotes()
	for _, s := range text {
		f.Add("Hi.\n"+s+s, false)
	}
	for _, r := range readReplies(f) {
		if r.kind == "text" {
			f.Add(r.text, r.option("flowed") != "")
		}
	}
	f.Fuzz(func(t *testing.T, s string, flowed bool) {
		at := 0
		for q := range quoted(s, flowed) {
			if q.start < at || q.end <= q.start || q.end > len(s) || q.start > len("\uFEFF") && s[q.start-1] != '\n' || q.end < len(s) && s[q.end-1] != '\n' {
				t.Fatalf("%v after %d in %q", q, at, s)
			}
			if at > 0 && isBlank(s[at:q.start]) {
				t.Fatalf("two quotes with nothing between them, at %d in %q", at, s)
			}
			at = q.end
		}
		out := editPlain(s, nil, []string{crisisBlock}, flowed)
		rest := strings.Replace(out, crisisBlock, "", 1)
		if out != s && squeeze(rest) != squeeze(s) {
			t.Fatalf("%q became %q", s, out)
		}
		if again := editPlain(out, nil, []string{crisisBlock}, flowed); again != out {
			t.Fatalf("%q became %q the second time", out, again)
		}
		if i := strings.Index(out, crisisBlock); out != s && quoteStart(out, flowed) >= 0 && quoteStart(out, flowed) < i {
			t.Fatalf("the lines are in the quote of %q", out)
		}
	})
}

func FuzzQuotedHTML(f *testing.F) {
	_, tags := hostileQuotes()
	for _, s := range tags {
		f.Add("<p>Hi</p>" + s + s + "<p>x")
	}
	for _, r := range readReplies(f) {
		if r.kind == "html" {
			f.Add(r.text)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		list, err := quotedHTML(s)
		at := 0
		for _, q := range list {
			if err != nil || q.start < at || q.end <= q.start || q.end > len(s) {
				t.Fatalf("%v %v", list, err)
			}
			at = q.end
		}
		cs := charset{label: utf8Label}
		out, err := editHTML(s, nil, []string{crisisBlock}, cs)
		if err != nil || out == s {
			return
		}
		if rest := strings.Replace(out, htmlParagraphs([]string{crisisBlock}, cs), "", 1); rest != s {
			t.Fatalf("%q became %q", s, out)
		}
		own, err := ownText(out)
		if err != nil || !strings.Contains(own, squeeze(crisisBlock)) {
			t.Fatalf("not at a good place: %q", out)
		}
		if again, err := editHTML(out, nil, []string{crisisBlock}, cs); err != nil || again != out {
			t.Fatalf("%q became %q the second time: %v", out, again, err)
		}
	})
}
