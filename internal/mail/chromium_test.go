package mail

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var updatePictures = flag.Bool("update", false, "write the pictures of testdata/pictures anew")

// peerChromium returns a browser.
func peerChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal("chromium is not installed")
	}
	t.Skip("chromium is not installed")
	return ""
}

// The pictures: how many there are in a row, and how large one is.
const pictureRow, pictureWidth, pictureHeight = 5, 420, 340

// pictured are the replies that are looked at, by their names in testdata/replies.
func pictured() []string {
	return []string{
		"outlook classic en", "outlook classic ar", "outlook on the web", "outlook for ios", "original message in a paragraph",
		"fields without a mark pl", "gmail en", "gmail ar", "gmail interleaved", "gmail forward",
		"thunderbird de", "thunderbird bottom", "apple fr", "iphone", "yahoo",
		"text in a pre", "the quote inside a layout table", "a link that is not closed", "dark page", "arabic page",
	}
}

// arabicBlock is the paragraph for the Arabic page: its own direction, in an Arabic charset.
const arabicBlock = "\u0644\u0627 \u0623\u0633\u062a\u0637\u064a\u0639 \u062a\u0642\u062f\u064a\u0645 \u062f\u0639\u0645 \u0641\u064a \u0627\u0644\u0623\u0632\u0645\u0627\u062a \u0628\u0627\u0644\u0628\u0631\u064a\u062f. \u0641\u064a \u062e\u0637\u0631 \u0627\u0644\u0622\u0646: \u0627\u062a\u0635\u0644 \u0628\u0627\u0644\u0631\u0642\u0645 999."

// picture is a finished copy for the browser.
type picture struct{ name, html, block, quote string }

func pictures(t *testing.T) []picture {
	t.Helper()
	rows := map[string]reply{}
	for _, r := range readReplies(t) {
		rows[r.name] = r
	}
	var out []picture
	for _, name := range pictured() {
		r, ok := rows[name+" (html)"]
		if !ok {
			t.Fatalf("no reply is called %q", name)
		}
		p := picture{name: name, block: crisisBlock}
		if name == "arabic page" {
			p.block = arabicBlock
		}
		m := rewritten(t, parseBytes(t, r.mail(t)), Draft{First: []string{firstLine}, Signature: []string{p.block}})
		p.html = m.Root.Text
		// The first words of the quote, to find it by.
		for _, q := range r.quotes {
			shown, err := VisibleText(r.text[q.start:q.end])
			if err != nil {
				t.Fatal(err)
			}
			if p.quote, _, _ = strings.Cut(strings.TrimSpace(shown), "\n"); p.quote != "" {
				p.quote = strings.TrimSpace(p.quote)
				break
			}
		}
		out = append(out, p)
	}
	return out
}

// look is what testdata/replies.js saw.
type look struct {
	Blocks                                                    int
	Width, Top, Bottom, Left, Right, Contrast, QuoteTop, Page float64
	Shown, Inside                                             bool
	Direction                                                 string
}

// TestRepliesInChromium lays finished copies out as a reader's app does. The crisis lines are
// shown, above the quote, within the window, readable, in their own direction; and each page
// looks as it did when somebody looked at it.
func TestRepliesInChromium(t *testing.T) {
	t.Parallel()
	list := pictures(t)
	sheet, looks := render(t, peerChromium(t), list)
	for i, p := range list {
		t.Run(p.name, func(t *testing.T) {
			checkLook(t, p, looks[p.name])
			at := image.Pt(i%pictureRow*pictureWidth, i/pictureRow*pictureHeight)
			comparePicture(t, p.name, grey(sheet, at))
		})
	}
}

// render lays all copies out in one page, and returns a picture of it.
func render(t *testing.T, chromium string, list []picture) (image.Image, map[string]look) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "replies.js"))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	fmt.Fprintf(&page, "<!DOCTYPE html><meta charset=utf-8><style>body{margin:0;display:grid;grid-template-columns:repeat(%d,%dpx);grid-auto-rows:%dpx}iframe{border:0;width:100%%;height:100%%}#result{display:none}</style>", pictureRow, pictureWidth, pictureHeight)
	for _, p := range list {
		fmt.Fprintf(&page, `<iframe sandbox="allow-same-origin" data-name="%s" data-block="%s" data-quote="%s" srcdoc="%s"></iframe>`,
			html.EscapeString(p.name), html.EscapeString(p.block), html.EscapeString(p.quote), html.EscapeString(p.html))
	}
	fmt.Fprintf(&page, "<pre id=result></pre><script>%s</script>", script)
	dir := t.TempDir()
	file, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.png")
	if err := os.WriteFile(file, []byte(page.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := (len(list) + pictureRow - 1) / pictureRow
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
		"--disable-lcd-text", "--font-render-hinting=none", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+filepath.Join(dir, "profile"), "--virtual-time-budget=5000",
		fmt.Sprintf("--window-size=%d,%d", pictureRow*pictureWidth, rows*pictureHeight), "--screenshot="+shot, "--dump-dom", "file://"+file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dom, err := cmd.Output()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its helpers may still write to the directory
	}
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	_, result, _ := strings.Cut(string(dom), `<pre id="result">`)
	result, _, _ = strings.Cut(result, "</pre>")
	looks := map[string]look{}
	if err := json.Unmarshal([]byte(html.UnescapeString(result)), &looks); err != nil {
		t.Fatalf("%v: %q\n%s", err, result, stderr.String())
	}
	b, err := os.ReadFile(shot)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img, looks
}

func checkLook(t *testing.T, p picture, l look) {
	t.Helper()
	want := direction(p.block)
	switch {
	case l.Blocks != 1:
		t.Errorf("the lines are there %d times", l.Blocks)
	case !l.Shown:
		t.Errorf("the lines are not shown: %+v", l)
	case l.Left < 0 || l.Right > l.Width || l.Top < 0 || l.Bottom > pictureHeight:
		t.Errorf("the lines are outside of the window: %+v", l)
	case l.Contrast < 4.5:
		t.Errorf("the lines are not readable: %+v", l)
	case l.Inside:
		t.Error("the lines are in a link, a table, a list, a heading or a quote")
	case l.Direction != want:
		t.Errorf("the direction is %s, want %s", l.Direction, want)
	case p.quote != "" && l.QuoteTop < l.Bottom-1:
		t.Errorf("the quote %q is at %v, the lines end at %v", p.quote, l.QuoteTop, l.Bottom)
	}
}

// grey cuts a picture out of the sheet.
func grey(sheet image.Image, at image.Point) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, pictureWidth, pictureHeight))
	draw.Draw(g, g.Rect, sheet, sheet.Bounds().Min.Add(at), draw.Src)
	// Sixteen greys are enough to look at, and a third of the size.
	for i, v := range g.Pix {
		g.Pix[i] = v / 17 * 17
	}
	return g
}

// comparePicture compares a page with how it looked before. Both are made small first, so that
// another version of the browser or of the font, which draws letters a little differently, is
// the same page.
func comparePicture(t *testing.T, name string, is *image.Gray) {
	t.Helper()
	file := filepath.Join("testdata", "pictures", strings.ReplaceAll(name, " ", "-")+".png")
	if *updatePictures {
		var b bytes.Buffer
		e := png.Encoder{CompressionLevel: png.BestCompression}
		if err := e.Encode(&b, paletted(is)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	was := grey(old, image.Point{})
	const cell = 10
	sum, far, cells := 0, 0, 0
	for y := 0; y < pictureHeight; y += cell {
		for x := 0; x < pictureWidth; x += cell {
			d := mean(was, x, y, cell) - mean(is, x, y, cell)
			d = max(d, -d)
			sum, cells = sum+d, cells+1
			if d > 60 {
				far++
			}
		}
	}
	t.Logf("differs by %.2f, %d of %d cells by much", float64(sum)/float64(cells), far, cells)
	if sum > 8*cells || far > cells/25 {
		t.Errorf("the page looks different; look at it, and write it with -update")
	}
}

// mean is the mean brightness of a square, blurred by taking half of its neighbours too.
func mean(g *image.Gray, x, y, size int) int {
	sum, n := 0, 0
	for j := max(0, y-size/2); j < min(g.Rect.Dy(), y+size*3/2); j++ {
		for i := max(0, x-size/2); i < min(g.Rect.Dx(), x+size*3/2); i++ {
			sum, n = sum+int(g.GrayAt(i, j).Y), n+1
		}
	}
	return sum / n
}

func paletted(g *image.Gray) *image.Paletted {
	var greys color.Palette
	for v := 0; v < 256; v += 17 {
		greys = append(greys, color.Gray{uint8(v)})
	}
	p := image.NewPaletted(g.Rect, greys)
	for i, v := range g.Pix {
		p.Pix[i] = v / 17
	}
	return p
}
