package mail

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

// What is fetched goes, what comes with the mail and plain links stay, and so does every other
// byte.
func TestWithoutRemote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`<p>Hi <img src="https://t.example/p.gif" width=1 height=1>there</p>`:             `<p>Hi there</p>`,
		`<p><img alt="Our &amp; logo" src='http://t.example/l.png'></p>`:                  `<p>Our &amp; logo</p>`,
		`<img src="cid:a@b"><img src="data:image/png;base64,iVB//A==">`:                   `<img src="cid:a@b"><img src="data:image/png;base64,iVB//A==">`,
		`<img src="cid:a" srcset="cid:a 1x, https://t.example/2.png 2x" alt=x>`:           `<img src="cid:a" alt=x>`,
		`<picture><source srcset="//t.example/a.webp"><img src=cid:a></picture>`:          `<picture><img src=cid:a></picture>`,
		`<video src="https://t.example/v" poster=//t.example/p controls></video>`:         `<video controls></video>`,
		`<TD Background="http://t.example/b.png" class=x>a</TD>`:                          `<TD class=x>a</TD>`,
		`<body background="http://t.example/b.png">x`:                                     `<body>x`,
		`<div style="color:red;background:url('https://t.example/b.png') no-repeat">x`:    `<div style="color:red;background:none no-repeat">x`,
		`<div style=background:url(//t.example/b)>x`:                                      `<div>x`,
		`<div style="background:u\72l(//t.example/b)">x`:                                  `<div>x`,
		`<div style="background:url(data:image/png;base64,AA//AA)">x`:                     `<div style="background:url(data:image/png;base64,AA//AA)">x`,
		`<style>@import url("//t.example/f.css"); p{color:red}</style>`:                   `<style> p{color:red}</style>`,
		`<style>@font-face{font-family:x;src:url(https://t.example/f.woff)} b{}</style>`:  `<style>@font-face{font-family:x;src:none} b{}</style>`,
		`<style>v\:* {behavior:url(#default#VML);} p{}</style>`:                           `<style>v\:* {behavior:url(#default#VML);} p{}</style>`,
		`<link rel=stylesheet href="https://t.example/f.css"><b>x</b>`:                    `<b>x</b>`,
		`<link rel=dns-prefetch href=//t.example><base href="https://t.example/">x`:       `x`,
		`<meta http-equiv=Refresh content="0;url=https://t.example"><meta charset=utf-8>`: `<meta charset=utf-8>`,
		`a<script>if (1<2) { document.write("<img src=x>") }</script>b`:                   `ab`,
		`a<iframe src="https://t.example"><img src=x></iframe>b`:                          `ab`,
		`a<iframe srcdoc="<img src=//t.example>"></iframe>b`:                              `ab`,
		`<object data="https://t.example/x"><p>Hello</p></object>`:                        `<p>Hello</p></object>`,
		`<embed src="https://t.example/x.swf">x`:                                          `x`,
		`<form action="https://t.example"><input name=a> Your name</form>`:                `<input name=a> Your name</form>`,
		`<input type=image src=//t.example/b.png formaction=//t.example/>`:                `<input type=image>`,
		`<a href="https://t.example" ping="https://t.example/p">x</a>`:                    `<a href="https://t.example">x</a>`,
		`<a href="https://t.example/?a=1&b=2" title="x">x</a>`:                            `<a href="https://t.example/?a=1&b=2" title="x">x</a>`,
		`<b onload="fetch('//t.example')">x</b>`:                                          `<b>x</b>`,
		`<svg><image href="https://t.example/x"/><use xlink:href='//t.example#a'/></svg>`: `<svg><image/><use/></svg>`,
		`<svg><rect fill="url(https://t.example#a)"/></svg>`:                              `<svg><rect/></svg>`,
		`<noscript><img src="https://t.example/p"></noscript>x`:                           `<noscript></noscript>x`,
		`<!--[if mso]><v:fill src="https://t.example/b" color=red/><![endif]-->x`:         `<!--[if mso]><v:fill color=red/><![endif]-->x`,
		`<!--[if mso]></v:rect><![endif]--><!-- https://t.example src= -->x`:              `<!--[if mso]></v:rect><![endif]--><!-- https://t.example src= -->x`,
		`<!--[if !mso]><!--><img src="//t.example/p"><!--<![endif]-->`:                    `<!--[if !mso]><!--><!--<![endif]-->`,
		`<img src='\\t.example\p.gif'><img src="file://t.example/p"><img src="C:\p.gif">`: `<img src="C:\p.gif">`,
		`<svg><style><img src="//t.example/p"></style></svg><img src=//t.example/q>`:      `<svg><style></style></svg>`,
		"<img\r\nsrc = \"ht\r\ntps://t.example/p\"\r\nalt='a'>":                           "a",
	} {
		got, err := withoutRemote(in)
		if err != nil || got != want {
			t.Errorf("%q: %v\n got %q\nwant %q", in, err, got, want)
		}
		if fetches(in) != (in != want) {
			t.Errorf("%q: the condition finds %v", in, fetches(in))
		}
	}
	for _, in := range []string{`<p>x <img src="http://t.example/p`, `<script>x`, `<!-- x`} {
		if got, err := withoutRemote(in); err == nil {
			t.Errorf("%q became %q", in, got)
		}
		if !fetches(in) {
			t.Errorf("%q: not found", in)
		}
	}
}

// checkRemote: after the edit neither the condition finds anything nor does a browser's tree
// hold it, and a second edit changes nothing. What the condition does not find, is not in the
// tree either.
func checkRemote(t interface {
	Helper()
	Fatalf(string, ...any)
}, in string) {
	t.Helper()
	if tree, err := html.ParseWithOptions(strings.NewReader(in), html.ParseOptionEnableScripting(false)); err == nil && !fetches(in) && treeFetches(tree) {
		t.Fatalf("%q fetches, and nobody finds it", in)
	}
	out, err := withoutRemote(in)
	if err != nil {
		return
	}
	if fetches(out) {
		t.Fatalf("%q became %q, which fetches", in, out)
	}
	if again, err := withoutRemote(out); err != nil || again != out {
		t.Fatalf("%q became %q and then %q (%v)", in, out, again, err)
	}
	if !fetches(in) && out != in {
		t.Fatalf("%q became %q although it does not fetch", in, out)
	}
}

var remotePieces = []string{"<img src=\"https://t.example/p\" alt='a<b'>", "<svg>", "</svg>", "<style>", "</style>", "url(//t.example)", "@import 'http://x';", "<noscript>",
	"</noscript>", "<title>", "</title>", "<!--[if mso]>", "<![endif]-->", "<!--", "-->", "<a href='http://x' ping=//y>", "<script>", "</script>", "<p style=\"x:url('//t')\">",
	"<math>", "<mtext>", "<xmp>", "</xmp>", "<textarea>", "</textarea>", "<img srcset=//a>", "text", "\"", "'", ">", "<", "<![CDATA[", "]]>", "<iframe>", "</iframe>", "<plaintext>",
	"<select>", "<template>", "<form action=//x>", "<table>", "<td background=//x>", "\\", "&#x2f;", "<desc>", "<foreignObject>"}

func TestWithoutRemoteLeavesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkRemote(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(remotePieces), 0, 12).Draw(t, "pieces"), ""))
	})
}

func FuzzWithoutRemote(f *testing.F) {
	for _, p := range remotePieces {
		f.Add(p + "x")
	}
	f.Add(strings.Join(remotePieces, ""))
	f.Fuzz(func(t *testing.T, s string) { checkRemote(t, strings.ToValidUTF8(s, "\uFFFD")) })
}
