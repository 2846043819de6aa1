package test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Each test here tries to break, through the front door, a promise of the README by its
// number; the promises that a package can show by itself are tested there.

// Promise 2: 250 means committed to disk. While the disk refuses to sync, nothing may be
// answered 250: so the sync comes before the answer.
func TestPromise02_NoSyncNo250(t *testing.T) {
	t.Parallel()
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%t", kill), func(t *testing.T) {
			t.Parallel()
			noSyncNo250(t, kill)
		})
	}
}

func noSyncNo250(t *testing.T, kill bool) {
	strace := peer(t, "strace")
	v := newService(t, setup{})
	before := v.accepted(letter(anna, "Tuesday", "before the fault"), anna)
	v.waitForStates(before, "delivered")

	c, err := v.dial() // signed in before the disk fails
	must(t, err)
	defer c.Close()
	attached := &output{}
	inject := exec.Command(strace, "-f", "-p", strconv.Itoa(v.cmd.Process.Pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	inject.Stdout, inject.Stderr = attached, attached
	must(t, inject.Start())
	exited := make(chan struct{})
	go func() { defer close(exited); inject.Wait() }()
	detach := sync.OnceFunc(func() { inject.Process.Signal(syscall.SIGINT); <-exited })
	defer detach()
	if !attached.wait(t, 0, `attached`, exited) {
		peerMissing(t, "strace may not attach here: "+attached.String())
	}
	text, err := send(c, maya, letter(anna, "Tuesday", "during the fault"), anna)
	if err == nil {
		t.Fatalf("answered 250 %q although nothing could be synced:\n%s", text, attached)
	}
	if e, ok := err.(*smtp.SMTPError); !ok || e.Code/100 != 4 {
		t.Errorf("our own trouble must be a 4xx, not %v", err)
	}
	if !attached.wait(t, 0, `INJECTED`, exited) { // what strace says may come a moment later
		t.Fatalf("no sync was even tried; the test shows nothing:\n%s", attached)
	}
	detach()
	if kill {
		v.kill()
		v.start()
	}
	// It recovers by itself, and says so by accepting again.
	var after string
	eventually(t, "mail is accepted again", func() bool {
		text, err := v.submit(letter(anna, "Tuesday", "after the fault"), anna)
		if err == nil {
			after = idOf(t, text)
		}
		return err == nil
	})
	v.waitForStates(after, "delivered")
	v.stop()
	if _, errOut, code := v.try("audit", "verify"); code != 0 {
		t.Errorf("audit verify: exit %d\n%s", code, errOut)
	}
	copies := 0
	for _, a := range v.sink.all() {
		if strings.Contains(string(a.data), "during the fault") {
			copies++
		}
	}
	// What was written, but not synced, may have survived the kill: nobody can tell.
	if allowed := map[bool]int{true: 1}[kill]; copies > allowed {
		t.Errorf("a message that was answered 4xx left %d times; the mail app will send it again", copies)
	}
}

// Promise 2: whatever dies. Each message is answered 250, the program is killed with the
// answer still on the wire, and the message must be there afterwards.
func TestPromise02_KilledRightAfter250(t *testing.T) {
	t.Parallel()
	v := prepare(t, setup{})
	v.sink.obey(func(*arrival) fault { return temporary }) // so that nothing is simply gone already
	var ids []string
	for range 5 {
		v.start()
		c, err := v.dial()
		must(t, err)
		text, err := send(c, maya, letter(anna, "Tuesday", "See you there"), anna)
		v.kill()
		must(t, err)
		ids = append(ids, idOf(t, text))
		c.Close()
	}
	for _, id := range ids {
		if jobs := v.jobs(id); len(jobs) != 1 || jobs[0].State == "delivered" {
			t.Errorf("%s was answered 250; now there is %+v", id, jobs)
		}
	}
}

// Promise 9: passwords, keys and message text never reach a log, an audit row or an SMTP
// reply; promise 10: nor, in clear, the disk.
func TestPromise09And10_CanariesStayInside(t *testing.T) {
	t.Parallel()
	canary := func() string { return "canary" + randomWord(t) }
	subject, body, fileName, attached, display, header, upstream, wrong, reason := canary(), canary(), canary(), canary(), canary(), canary(), canary(), canary(), canary()
	clientName := strings.ToUpper(canary()[:12])
	register := strings.ReplaceAll(register, "Quillfeather", clientName)
	v := newService(t, setup{register: register, yaml: "log: {level: debug, format: json}\n"})
	v.sink.excuse = upstream
	v.sink.obey(func(a *arrival) fault {
		if a.to[0] == ben {
			return permanent
		}
		return take
	})

	var replies bytes.Buffer
	note := func(text string, err error) {
		fmt.Fprintln(&replies, text)
		if err != nil {
			fmt.Fprintln(&replies, err)
		}
	}
	full := func(from, to string) string {
		return "From: " + display + " <" + from + ">\r\nTo: " + display + " <" + to + ">\r\nSubject: " + subject + "\r\nX-Note: " + header +
			"\r\nDate: " + date(time.Now()) + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: text/plain\r\n\r\n" + body + "\r\n--b\r\nContent-Type: audio/mpeg\r\nContent-Disposition: attachment; filename=" +
			fileName + ".mp3\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(attached)) + "\r\n--b--\r\n"
	}
	note(v.submit(full(maya, anna), anna))                                                 // delivered
	note(v.submit(full(maya, ben), ben))                                                   // refused by the smarthost: a report
	note(v.submit(full(maya, "who@unknown.example"), "who@unknown.example"))               // held
	note(v.submit(full("sam@willowhouse.example", anna), anna))                            // refused: M01
	note(v.submit("From: x\r\nFrom: y\r\nSubject: "+subject+"\r\n\r\n"+body+"\r\n", anna)) // refused: defects
	note(v.submit("Subject: "+subject+"\r\n\r\n"+body+" bare \r and\r\n", anna))           // refused: a bare CR
	_, err := v.dialAs(maya, wrong)
	note("", err)
	_, err = v.dialAs(wrong+"@willowhouse.example", v.password)
	note("", err)
	note(rawLine(t, v.starttls, "XYZZY "+header), nil) // an unknown command
	note(rawLine(t, v.starttls, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+maya+"\x00"+v.password))), nil)
	v.sink.wait(t, 1, anna)
	v.sink.waitFor(t, 1, func(a arrival) bool {
		return a.to[0] == maya && strings.HasPrefix(a.header("Content-Type"), "multipart/report")
	})
	var held []struct{ ID string }
	unmarshal(t, v.command("held", "list", "--json"), &held)
	if len(held) != 1 {
		t.Fatalf("%d messages are held, not one", len(held))
	}
	shown := append(v.command("held", "show", held[0].ID), v.command("queue", "list", "--all")...)
	note(string(v.command("held", "release", held[0].ID, "--as", "sam", "--reason", reason)), nil)
	v.sink.wait(t, 1, "who@unknown.example")
	v.stop()

	secrets := map[string]string{"subject": subject, "body": body, "file name": fileName, "attachment": attached, "display name": display, "header field": header,
		"smarthost's reply": upstream, "wrong password": wrong, "password": v.password, "smarthost password": v.sink.password, "client's name": clientName, "release reason": reason,
		"client's address": anna, "other address": "who@unknown.example"}
	look := func(where string, data []byte, except ...string) {
		t.Helper()
		for what, secret := range secrets {
			skip := false
			for _, e := range except {
				skip = skip || e == what
			}
			if !skip && contains(data, secret) {
				t.Errorf("the %s stands in %s", what, where)
			}
		}
	}
	look("the log", []byte(v.stderr.String()))
	look("an SMTP reply", replies.Bytes())
	look("what held show and queue list print", shown)
	for path, data := range files(t, filepath.Join(v.dir, "data")) {
		look("file "+path, data)
	}
	for _, needle := range []string{maya, "Okafor"} {
		if strings.Contains(v.stderr.String(), needle) {
			t.Errorf("the log names the sender: %q", needle)
		}
	}
	rows, err := database(t, v).QueryContext(t.Context(), `SELECT kind || ' ' || actor || ' ' || data FROM audit`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var row string
		must(t, rows.Scan(&row))
		look("the audit", []byte(row))
	}
	must(t, rows.Err())
	// The search itself must find what is there.
	if !contains([]byte(base64.StdEncoding.EncodeToString([]byte("xx"+subject))), subject) || !contains([]byte("a"+hex.EncodeToString([]byte(subject))), subject) {
		t.Error("the search is blind")
	}
}

// contains looks for secret as it is, in any case, as hexadecimal, and in base64 at any of
// the three offsets.
func contains(data []byte, secret string) bool {
	folded := bytes.ToLower(data)
	if bytes.Contains(folded, []byte(strings.ToLower(secret))) || bytes.Contains(folded, []byte(hex.EncodeToString([]byte(secret)))) {
		return true
	}
	for skip := range 3 {
		in := append(make([]byte, skip), secret...)
		in = in[:len(in)/3*3]
		if out := base64.StdEncoding.EncodeToString(in); bytes.Contains(data, []byte(out[4*((skip+2)/3):])) {
			return true
		}
	}
	return false
}

// files reads every file below dir.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	}))
	return all
}

// rawLine sends one command in clear and returns what comes back.
func rawLine(t *testing.T, address, line string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	_, err = r.ReadString('\n')
	must(t, err)
	_, err = fmt.Fprintf(c, "EHLO laptop\r\n")
	must(t, err)
	for {
		l, err := r.ReadString('\n')
		must(t, err)
		if len(l) > 3 && l[3] == ' ' {
			break
		}
	}
	_, err = fmt.Fprintf(c, "%s\r\n", line)
	must(t, err)
	reply, err := r.ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return reply
}

// Promise 10: content is sealed at rest, also while it is still coming in and while it waits:
// database, write-ahead log and temporary files, deleted ones that are still open included.
func TestPromise10_SealedWhileItWaits(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	v.sink.obey(func(*arrival) fault { return temporary })
	canary := "canary" + randomWord(t)
	c, err := v.dial()
	must(t, err)
	defer c.Close()
	must(t, c.Mail(maya, nil))
	must(t, c.Rcpt(anna, nil))
	w, err := c.Data()
	must(t, err)
	line := canary + " is what this letter says, again and again, until it is big.\r\n"
	_, err = io.WriteString(w, letter(anna, "Tuesday", strings.Repeat(line, 8<<20/len(line))))
	must(t, err)
	spooled := false
	eventually(t, "the temporary file is there", func() bool {
		seen := onDisk(t, v)
		for path, data := range seen {
			if contains(data, canary) {
				t.Fatalf("while coming in, the text stands in %s", path)
			}
			spooled = spooled || strings.Contains(path, "tmp") && len(data) > 1<<20
		}
		return spooled
	})
	r, err := w.CloseWithResponse()
	must(t, err)
	id := idOf(t, r.StatusText)
	eventually(t, "the first attempt is over", func() bool {
		jobs := v.jobs(id)
		return len(jobs) == 1 && jobs[0].State == "queued" && jobs[0].Attempts > 0
	})
	total := 0
	for path, data := range onDisk(t, v) {
		total += len(data)
		if contains(data, canary) {
			t.Errorf("while waiting, the text stands in %s", path)
		}
	}
	if total < 8<<20 {
		t.Errorf("only %d bytes on disk: where is the message?", total)
	}
	v.stop()
	for path := range files(t, filepath.Join(v.dir, "data", "tmp")) {
		t.Errorf("%s was left behind", path)
	}
}

// onDisk reads the data directory and every file that the process holds open, also where
// its name is gone already.
func onDisk(t *testing.T, v *service) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	data := filepath.Join(v.dir, "data")
	filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if b, err := os.ReadFile(path); err == nil { // it may be gone by now
				all[path] = b
			}
		}
		return nil
	})
	fds := fmt.Sprintf("/proc/%d/fd", v.cmd.Process.Pid)
	entries, _ := os.ReadDir(fds)
	for _, e := range entries {
		fd := filepath.Join(fds, e.Name())
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, data) && strings.HasSuffix(target, "(deleted)") {
			if b, err := os.ReadFile(fd); err == nil {
				all[target] = b
			}
		}
	}
	return all
}

// Promise 10: an erased client leaves nothing that a later backup could bring back, not even
// sealed.
func TestPromise10_ErasedMeansErased(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{consents: "ref,purpose,given_on,how,recorded_by,evidence\nC-0001,group_email," + time.Now().AddDate(0, -1, 0).Format(time.DateOnly) + ",form,sam,drawer 4\n"})
	v.stop()
	db := database(t, v)
	traces := map[string][]byte{}
	for what, query := range map[string]string{
		"the client's row":     `SELECT sealed FROM clients WHERE ref = 'C-0001'`,
		"the consent":          `SELECT sealed FROM consents WHERE ref = 'C-0001'`,
		"the address's lookup": `SELECT CAST(mac AS BLOB) FROM lookups WHERE ref = 'C-0001'`,
	} {
		var b []byte
		must(t, db.QueryRowContext(t.Context(), query).Scan(&b))
		traces[what] = b
	}
	must(t, db.Close())
	present := func(trace []byte) bool {
		for _, data := range files(t, filepath.Join(v.dir, "data")) {
			if bytes.Contains(data, trace[:min(len(trace), 64)]) {
				return true
			}
		}
		return false
	}
	for what, b := range traces {
		if !present(b) {
			t.Errorf("%s is not found before it is erased; the test shows nothing", what)
		}
	}
	v.command("client", "erase", "C-0001", "--reason", "request")
	for what, b := range traces {
		if present(b) {
			t.Errorf("%s is still in a file of the data directory", what)
		}
	}
	if _, _, code := v.try("client", "show", "C-0001"); code != 1 {
		t.Errorf("client show of an erased client: exit %d", code)
	}
	if _, errOut, code := v.try("audit", "verify"); code != 0 {
		t.Errorf("audit verify after an erasure: exit %d\n%s", code, errOut)
	}
	// The register no longer knows the address: mail to it is held.
	v.start()
	text, err := v.submit(letter(anna, "Tuesday", "See you there"), anna)
	must(t, err)
	if !strings.Contains(text, "held as") {
		t.Errorf("mail to an erased client: %q", text)
	}
}

// Promise 11: the audit is chained; a changed, removed or added row is found.
func TestPromise11_ChangedAuditRowIsFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"a changed row":          `UPDATE audit SET actor = 'somebody' WHERE seq = 3`,
		"a changed outcome":      `UPDATE audit SET data = replace(data, 'delivered', 'cancelled') WHERE seq = (SELECT max(seq) FROM audit WHERE data LIKE '%delivered%')`,
		"a removed row":          `DELETE FROM audit WHERE seq = 3`,
		"the newest row removed": `DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)`,
		"a row added":            `INSERT INTO audit (seq, at, message, kind, actor, data, prev, hash) SELECT seq + 1, at, message, kind, actor, data, hash, prev FROM audit WHERE seq = (SELECT max(seq) FROM audit)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newService(t, setup{})
			v.waitForStates(v.accepted(letter(anna, "Tuesday", "See you there"), anna), "delivered")
			v.stop()
			if _, errOut, code := v.try("audit", "verify"); code != 0 {
				t.Fatalf("before the change: exit %d\n%s", code, errOut)
			}
			db := database(t, v)
			for _, trigger := range []string{"audit_no_update", "audit_no_delete"} { // whoever holds the file can do that
				_, err := db.ExecContext(t.Context(), "DROP TRIGGER IF EXISTS "+trigger)
				must(t, err)
			}
			r, err := db.ExecContext(t.Context(), change)
			must(t, err)
			if n, err := r.RowsAffected(); err != nil || n != 1 {
				t.Fatalf("%d rows changed, %v", n, err)
			}
			must(t, db.Close())
			if out, _, code := v.try("audit", "verify"); code != 1 {
				t.Errorf("not found: exit %d\n%s", code, out)
			}
		})
	}
}

// Promise 14: memory is bounded per message, whatever is sent. 100 MiB go in and out again
// while the process grows by a fraction of that.
func TestPromise14_MemoryIsBounded(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		peerMissing(t, "there is no /proc to read the memory from")
	}
	v := newService(t, setup{yaml: "limits: {message_bytes: 120MB}\n"})
	v.waitForStates(v.accepted(letter(anna, "Tuesday", "a small one first"), anna), "delivered")
	before := peakMemory(t, v)
	c, err := v.dial()
	must(t, err)
	defer c.Close()
	must(t, c.Mail(maya, nil))
	must(t, c.Rcpt(anna, nil))
	w, err := c.Data()
	must(t, err)
	head, _, _ := strings.Cut(letter(anna, "Tuesday", ""), "Content-Type")
	fmt.Fprintf(w, "%sContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThe recording is attached.\r\n--b\r\n"+
		"Content-Type: audio/mpeg\r\nContent-Disposition: attachment; filename=recording.mp3\r\nContent-Transfer-Encoding: base64\r\n\r\n", head)
	block := []byte(strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 1<<20/78))
	for sent := 0; sent < 100<<20; sent += len(block) {
		if _, err := w.Write(block); err != nil {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
	}
	io.WriteString(w, "\r\n--b--\r\n")
	r, err := w.CloseWithResponse()
	must(t, err)
	v.waitForStates(idOf(t, r.StatusText), "delivered")
	grown := peakMemory(t, v) - before
	t.Logf("the peak grew by %d KiB from %d KiB", grown>>10, before>>10)
	if grown > 48<<20 {
		t.Errorf("100 MiB in and out made the process grow by %d MiB", grown>>20)
	}
	v.stop()
}

// peakMemory is the most memory that the process ever had resident.
func peakMemory(t *testing.T, v *service) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	must(t, err)
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatal("no VmHWM in /proc/PID/status")
	}
	n, err := strconv.Atoi(string(m[1]))
	must(t, err)
	return n << 10
}

// Promise 15: nobody signs in without TLS.
func TestPromise15_NoSignInWithoutTLS(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + maya + "\x00" + v.password))
	for line, want := range map[string]string{
		"AUTH PLAIN " + plain:       "530 5.7.0",
		"AUTH PLAIN":                "530 5.7.0",
		"AUTH LOGIN":                "530 5.7.0",
		"MAIL FROM:<" + maya + ">":  "530 5.7.0",
		"VRFY maya":                 "",
		"RCPT TO:<" + anna + ">":    "",
		"DATA":                      "",
		"AUTH SCRAM-SHA-256 biwsbg": "",
	} {
		reply := rawLine(t, v.starttls, line)
		if !strings.HasPrefix(reply, want) || want == "" && reply[0] != '5' && !strings.HasPrefix(reply, "252") {
			t.Errorf("%s in clear: %q, not %q", strings.Fields(line)[0], reply, want)
		}
	}
	c, err := smtp.Dial(v.starttls)
	must(t, err)
	defer c.Close()
	must(t, c.Hello("laptop"))
	if ok, _ := c.Extension("AUTH"); ok {
		t.Error("AUTH is offered before TLS")
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		old := v.tls()
		old.MinVersion, old.MaxVersion = version, version
		for what, dial := range map[string]func() (*smtp.Client, error){
			"STARTTLS":     func() (*smtp.Client, error) { return smtp.DialStartTLS(v.starttls, old) },
			"implicit TLS": func() (*smtp.Client, error) { return smtp.DialTLS(v.implicit, old) },
		} {
			if c, err := dial(); err == nil {
				if _, ok := c.TLSConnectionState(); ok && c.Noop() == nil {
					t.Errorf("%s with TLS version %x was accepted", what, version)
				}
				c.Close()
			}
		}
	}
}

// Promise 15: nobody sends as somebody else, by envelope or by header.
func TestPromise15_NobodySendsAsSomebodyElse(t *testing.T) {
	t.Parallel()
	v := newService(t, setup{})
	sam := v.signUp("sam")
	for name, c := range map[string]struct{ reverse, header string }{
		"another From":               {maya, "From: Sam <sam@willowhouse.example>\r\n"},
		"another From in a comment":  {maya, "From: maya@willowhouse.example (x) , sam@willowhouse.example\r\n"},
		"another Sender":             {maya, "From: " + maya + "\r\nSender: sam@willowhouse.example\r\n"},
		"another envelope":           {"sam@willowhouse.example", "From: " + maya + "\r\n"},
		"a stranger":                 {"who@unknown.example", "From: who@unknown.example\r\n"},
		"two From fields":            {maya, "From: " + maya + "\r\nFrom: sam@willowhouse.example\r\n"},
		"an encoded From":            {maya, "From: =?utf-8?q?maya=40willowhouse=2Eexample?= <sam@willowhouse.example>\r\n"},
		"a group":                    {maya, "From: maya@willowhouse.example: sam@willowhouse.example;\r\n"},
		"no From":                    {maya, ""},
		"another Resent-From's name": {maya, "From: sam@willowhouse.example\r\nResent-From: " + maya + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := v.dial()
			must(t, err)
			defer s.Close()
			_, err = send(s, c.reverse, c.header+"To: "+anna+"\r\nSubject: Hello\r\nDate: "+date(time.Now())+"\r\n\r\nA letter\r\n", anna)
			if e, ok := err.(*smtp.SMTPError); !ok || e.Code/100 != 5 {
				t.Errorf("not refused for good: %v", err)
			}
		})
	}
	t.Run("another's password", func(t *testing.T) {
		t.Parallel()
		if c, err := v.dialAs(maya, sam); err == nil {
			c.Close()
			t.Error("Sam's password opens Maya's sign-in")
		}
	})
	t.Run("another authorization identity", func(t *testing.T) {
		t.Parallel()
		c, err := smtp.DialStartTLS(v.starttls, v.tls())
		must(t, err)
		defer c.Close()
		if err := c.Auth(sasl.NewPlainClient("sam@willowhouse.example", maya, v.password)); err == nil {
			t.Error("Maya signed in as Sam")
		}
	})
	t.Run("a removed password", func(t *testing.T) {
		t.Parallel()
		v := newService(t, setup{})
		v.command("submitter", "remove", "maya", "--name", "laptop")
		if c, err := v.dial(); err == nil {
			c.Close()
			t.Error("a removed password still works")
		}
	})
	t.Cleanup(func() {
		v.stop()
		for _, a := range v.sink.all() {
			if a.to[0] == anna {
				t.Errorf("a forged message left, from %s", a.from)
			}
		}
	})
}
