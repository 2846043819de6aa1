package filter

import (
	"net/url"
	"strings"
	"testing"

	"github.com/plaincover/plaincover/internal/mail"
)

// Whoever reads the mail sees a name, a mailbox or a number, however it is written.
func TestHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	reg := append(register(t),
		Client{Ref: "C-0600", Name: "Jürgen Müller-Groß", Practitioner: "maya"},
		Client{Ref: "C-0601", Name: "Soeren Aagaard", Practitioner: "maya"},
		Client{Ref: "C-0602", Name: "Siân Llŷr Gŵyn", Practitioner: "maya"},
		Client{Ref: "C-0603", Name: "王小明", Practitioner: "maya"},
		Client{Ref: "C-0604", Name: "김민수", Practitioner: "maya"},
		Client{Ref: "C-0605", Name: "山田 太郎", Practitioner: "maya"},
		Client{Ref: "C-0606", Name: "فاطمة الزهراء أحمد", Practitioner: "maya"},
		Client{Ref: "C-0607", Name: "Leah Kühn", Email: []mail.Address{addr(t, "leah@bücher.example")}, Practitioner: "sam"},
		Client{Ref: "C-0608", Name: "สมชาย ใจดี", Practitioner: "maya"})
	html := func(s string) string { return part("Content-Type: text/html; charset=utf-8", s) }
	flowed := func(params, s string) string {
		return part("Content-Type: text/plain; charset=utf-8; format=flowed"+params, s)
	}
	escaped := url.QueryEscape(url.QueryEscape("cleo@example.net"))
	for raw, want := range map[string]string{
		// Numbers over lines of a quote, and digits of other kinds.
		out("", "> 07700\n> 900789"):          "phone",
		out("", ">> +44\n>> 7700\n>> 900789"): "phone",
		out("", "> > 07700\n> > 900789"):      "phone",
		out("", "| 07700\n| 900789"):          "phone",
		out("", "07700\n\n\n\n900789"):        "",
		out("", "０７７００ ９００７８９"):               "phone",
		out("", "𝟎𝟕𝟕𝟎𝟎 𝟗𝟎𝟎𝟕𝟖𝟗"):               "phone",
		out("", "O77OO 9OO789"):               "phone",
		out("", "tel07700900789ol"):           "phone",
		out("", "0\u03327\u03327\u03320\u03320\u03329\u03320\u03320\u03327\u03328\u03329\u0332"): "phone",
		// Mailboxes.
		out("", "cleo (at) example (dot) net"):                        "mailbox",
		out("", "cleo[at]example.net"):                                "mailbox",
		out("", "Cleo AT example DOT net"):                            "mailbox",
		out("", "cleo @ example . net"):                               "mailbox",
		out("", "cleo {at} example [.] net"):                          "mailbox",
		out("", "cleo at example"):                                    "",
		out("", "meet cleo at example.net"):                           "",
		out("", "leah@bücher.example"):                                "mailbox",
		out("", "leah@xn--bcher-kva.example"):                         "mailbox",
		out("", "leah@BÜCHER.example.Danach"):                         "mailbox",
		out("", "cleo@exam\u00adple.net"):                             "mailbox",
		out("", "cleo\u200c@\u2060example.net"):                       "mailbox",
		out("", "cleo＠example．net"):                                   "mailbox",
		flowed("; delsp=yes", "write to cleo@exam \nple.net now"):     "mailbox",
		flowed("; delsp=yes", "> write to cleo@exam \n> ple.net now"): "mailbox",
		flowed("", "ask Ben \nJones"):                                 "name",
		flowed("; delsp=yes", "ask Ben Jo \nnes"):                     "name",
		flowed("; delsp=yes", "07700900 \n789"):                       "phone",
		part("Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable", "cleo@exam=\nple.net"): "mailbox",
		// Links and scripts.
		html(`<a href="https://x.example/?m=` + escaped + `">x</a>`):                                   "mailbox",
		html(`<a href="https://x.example/?m=` + url.QueryEscape(escaped) + `">x</a>`):                  "mailbox",
		out("", "https://x.example/%2543leo%2540example.net"):                                          "mailbox",
		html(`<script>var m = "\u0063leo\x40example.net"</script>`):                                    "mailbox",
		html(`<p onclick="mail('cleo\u{40}example\u002enet')">x</p>`):                                  "mailbox",
		html(`<p onclick="mail('Ben\u0020Jones')">x</p>`):                                              "name",
		html(`<style>p::after{content:"\63 leo\40 example\00002enet"}</style><p>x</p>`):                "mailbox",
		html(`<p style='content:"Ben\20 Jones"'>x</p>`):                                                "name",
		part("Content-Type: application/json", `{"m":"cleo\u0040example.net"}`):                        "mailbox",
		html(`<img src="data:text/plain;base64,` + b64("cleo@example.net") + `">`):                     "mailbox",
		html(`<img src="data:image/svg+xml;base64,` + b64("<svg><text>Ben Jones</text></svg>") + `">`): "name",
		html(`<img src="data:text/plain;base64,` + url.QueryEscape(b64("xx cleo@example.net")) + `">`): "mailbox",
		html(`<img src="data:text/plain,Ben%20Jones">`):                                                "name",
		html(`<style>p{background:url(data:text/plain;base64,` + b64("07700 900789") + `)}</style>`):   "phone",
		// Entities.
		html(`<p>cleo&#64example&#46net</p>`):                       "mailbox",
		html(`<p>cleo&#x40;example&period;net</p>`):                 "mailbox",
		html(`<p>cleo&commat;example&#0000046;net</p>`):             "mailbox",
		html(`<p>Ben&nbspJones</p>`):                                "name",
		html(`<p>B&shy;en J&zwnj;on&#8203;es</p>`):                  "name",
		html(`<p title="Ben&#32;Jones">x</p>`):                      "name",
		html(`<p>B<b>e</b>n <i>Jo</i>nes</p>`):                      "name",
		html(`<td>Ben</td><td>Jones</td>`):                          "name",
		html(`<p>07700<br>900789</p>`):                              "phone",
		html(`<p>cleo<!-- x -->@<span></span>example<wbr>.net</p>`): "mailbox",
		part("Content-Type: application/xhtml+xml", `<html xmlns="http://www.w3.org/1999/xhtml"><p>cleo&#64;example.net</p></html>`): "mailbox",
		// Header fields and parameters.
		out("X-A: =?utf-8?Q?Be?= =?utf-8?Q?n_Jones?=\n", "x"):                                                                                  "name",
		out("X-A: =?utf-8?Q?Be?=\n =?utf-8?B?"+b64("n Jones")+"?=\n", "x"):                                                                     "name",
		out("X-A: =?windows-1252?Q?J=FCrgen_M=FCller-Gro=DF?=\n", "x"):                                                                         "name",
		part("Content-Type: text/csv; name*0*=utf-8''Ben%20; name*1*=Jones.csv", "x"):                                                          "name",
		part("Content-Type: text/csv; name*0=\"Ben \"; name*1=\"Jones.csv\"", "x"):                                                             "name",
		part("Content-Type: text/csv; name=\"=?utf-8?B?"+b64("Ben Jones.csv")+"?=\"", "x"):                                                     "name",
		part("Content-Disposition: attachment; filename*=utf-8''cleo%40example.net.csv\nContent-Type: text/csv", "x"):                          "mailbox",
		part("Content-Type: text/csv\nX-Note: =?windows-1252?Q?J=FCrgen_M=FCller-Gro=DF?=", "x"):                                               "name",
		part("Content-Type: message/rfc822", "Subject: x\nX-Note: =?windows-1252?Q?J=FCrgen_M=FCller-Gro=DF?=\n\nx"):                           "name",
		part("Content-Type: message/rfc822", "Subject: x\nContent-Type: message/rfc822\n\nSubject: =?utf-8?Q?B=65n?= =?utf-8?Q?_Jones?=\n\nx"): "name",
		part("Content-Type: message/rfc822", "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nBen =4Ao=\nnes"):                      "name",
		// Names as people write them.
		out("", "Juergen Mueller-Gross"):           "name",
		out("", "Jurgen Muller Gross"):             "name",
		out("", "Müller-Groß, Jürgen"):             "name",
		out("", "JU\u0308RGEN MU\u0308LLER-GROSS"): "name",
		out("", "Søren Ågård"):                     "name",
		out("", "Søren Ågaard"):                    "name",
		out("", "Soeren Aagaard"):                  "name",
		out("", "Sian Llyr Gwyn, Gwyn Sian"):       "name",
		out("", "Ben M. Jones"):                    "name",
		out("", "Ben Maria T Jones"):               "name",
		out("", "Ben Cleo Jones"):                  "name",
		out("", "Jones, Ben"):                      "name",
		out("", "B. Jones and Ben"):                "",
		out("", "ben_jones, Ben-Jones, BENJONES"):  "name",
		out("", "昨天我见到王小明了。"):                      "name",
		out("", "王明"):                              "",
		out("", "김민수가 왔어요"):                        "name",
		out("", "김 민수"):                            "name",
		out("", "山田太郎さん"):                          "name",
		out("", "فاطمه الزهراء احمد"):              "name",
		out("", "فَاطِمَة الزَّهراء أحمـــد"):      "name",
		out("", "คุณสมชายใจดีมา"):                  "name",
	} {
		env, facts := envelopeOf(t, reg, "anna@example.org")
		got := holding(CheckLeaks(LeakInput{Mail: parse(t, raw), Watch: NewWatch(reg), Env: env, Facts: facts,
			Variant: &Variant{Rcpts: []int{0}, Show: ShowOne, Edits: []Edit{{Kind: EditAlias}}}}))
		var channels []string
		for _, f := range got {
			channels = append(channels, f.Channels...)
		}
		if s := strings.Join(channels, " "); !strings.HasPrefix(s, want) || (want == "") != (s == "") {
			_, shown, _ := strings.Cut(raw, "Subject: Hello\r\n")
			if shown == "" {
				shown = raw[strings.Index(raw, "Subject: Hello"):]
			}
			t.Errorf("found %q, want %q in %s", s, want, shown)
		}
	}
}
