package mail

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// hostileRemote are ways to have a browser fetch something that do not look like it. The number
// of the page stands for %d.
func hostileRemote() map[string]string {
	tabs := strings.Repeat("\t", 90)
	return map[string]string{
		"a comment that looks like data":    `<p style="background:red;/* url('data: */ background:url(//t.example/%d) /* ') */">x</p>`,
		"a comment that looks like a place": `<style>p{/* url(# */ background:url(//t.example/%d)}</style><p>x</p>`,
		"a text that looks like data":       `<style>p{content:"url('data:"; background:url(//t.example/%d); quotes:"')" ""}</style><p>x</p>`,
		"a tab in a style sheet":            "<style>p{background:url('/\t/t.example/%d')}</style><p>x</p>",
		"a tab in a scheme":                 "<style>p{background:url('h\tttp:t.example/%d')}</style><p>x</p>",
		"a tab in an import":                "<style>@import '/\t/t.example/%d';</style>x",
		"a control character before it":     `<img src="&#11;//t.example/%d">`,
		"a raw control character before it": "<img src=\"\x01//t.example/%d\">",
		"many tabs":                         `<img src="/` + tabs + `/t.example/%d">`,
		"an object of data":                 `<object data="data:text/html,<img src=http://t.example/%d>">x</object>`,
		"embedded data":                     `<embed src="data:text/html,<img src=http://t.example/%d>">`,
		"a frame of data":                   `<frameset><frame src="data:text/html,<img src=http://t.example/%d>"></frameset>`,
		"a linked sheet of data":            `<link rel=stylesheet href="data:text/css,@import 'http://t.example/%d'">`,
		"an import of data":                 `<style>@import url("data:text/css,@import 'http://t.example/%d'");</style>`,
		"an escaped import":                 `<style>@import url("data:text/css,@import%%20%%22http://t.example/%d%%22");</style>`,
		"a reference in a sheet of SVG":     `<svg><style>&#x40;import '//t.example/%d'</style></svg>`,
		"a sheet of SVG in pieces":          `<svg><style>p{background:u<!-- -->rl(//t.example/%d)}</style></svg><p>x</p>`,
		"pings with a tab":                  "<a href=\"cid:a\" ping=\"cid:b\t//t.example/%d\">x</a>",
	}
}

// TestHostileRemote shows the pages to a browser, as they are and without what is fetched: it
// must ask for nothing then.
func TestHostileRemote(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var names, pages []string
	asked := map[string]bool{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		n := -1
		switch _, err := fmt.Sscanf(r.URL.Path, "/page/%d", &n); {
		case err == nil && n < len(pages):
			fmt.Fprint(w, pages[n])
		case r.URL.Path == "/all":
			for i := range pages {
				fmt.Fprintf(w, "<iframe src=/page/%d></iframe>", i)
			}
		default:
			mu.Lock()
			asked[r.URL.Path] = true
			mu.Unlock()
		}
	}))
	host := srv.Listener.Addr().String()
	for name, in := range hostileRemote() {
		n := len(pages)
		before, after := fmt.Sprintf(in, n), fmt.Sprintf(in, n+1)
		if !fetches(before) {
			t.Errorf("%s: %q: the condition does not find it", name, before)
		}
		after, err := withoutRemote(after)
		if err != nil {
			after = "" // it is held
		}
		names = append(names, name, name)
		pages = append(pages, strings.ReplaceAll(before, "t.example", host), strings.ReplaceAll(after, "t.example", host))
	}
	srv.Start() // the pages are whole now
	defer srv.Close()
	cmd := exec.CommandContext(t.Context(), peerChromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--timeout=4000", "--virtual-time-budget=4000",
		"--user-data-dir="+t.TempDir(), "--dump-dom", srv.URL+"/all")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	fetched := 0
	for i, name := range names {
		switch found := asked[fmt.Sprintf("/%d", i)]; {
		case found && i%2 == 0:
			fetched++
		case found:
			t.Errorf("%s: the browser asks for it from %q", name, pages[i])
		}
	}
	// A tab in the scheme and pings only work elsewhere, and browsers learn.
	if fetched < len(names)/4 {
		t.Errorf("the browser asks for %d of %d pages as they are: is it asked well?", fetched, len(names)/2)
	}
}
