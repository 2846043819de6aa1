package differ

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// node is one part as a reader sees it: containers, embedded messages and leaves, depth first.
type node struct {
	Depth  int    `json:"depth"`
	Type   string `json:"type"`
	Name   string `json:"name"`
	Sum    string `json:"sum"`
	Flowed string `json:"flowed"`

	path string // ours
}

// view is a message as a reader sees it.
type view struct {
	Parts  []node `json:"parts"`
	Failed string `json:"failed"`
}

// reader is a program of others that reads mail, running for the whole campaign.
type reader struct {
	name string
	in   io.WriteCloser
	out  *bufio.Scanner
}

const peersDir = "../peers"

// peerReaders starts the three readers. Those from npm are installed by `npm ci` in test/peers.
func peerReaders(t *testing.T) []*reader {
	t.Helper()
	missing := ""
	for _, p := range []string{"python3", "node"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = p + " is not installed"
		}
	}
	if _, err := os.Stat(filepath.Join(peersDir, "node_modules", "postal-mime")); err != nil {
		missing = "run npm ci in test/peers"
	}
	if missing != "" {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return []*reader{
		start(t, "python", "python3", "-W", "ignore", "-B", "python.py"),
		start(t, "mailparser", "node", "mailparser.mjs"),
		start(t, "postal-mime", "node", "postal-mime.mjs"),
	}
}

func start(t *testing.T, name, program string, args ...string) *reader {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = peersDir
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &reader{name: name, in: in, out: bufio.NewScanner(out)}
	r.out.Buffer(nil, 64<<20)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return r
}

// read hands messages over, each behind its length, and returns what the reader saw.
func (r *reader) read(mails [][]byte) ([]view, error) {
	failed := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(r.in)
		for _, b := range mails {
			if err := binary.Write(w, binary.BigEndian, uint32(len(b))); err != nil {
				failed <- err
				return
			}
			if _, err := w.Write(b); err != nil {
				failed <- err
				return
			}
		}
		failed <- w.Flush()
	}()
	views := make([]view, len(mails))
	for i := range views {
		if !r.out.Scan() {
			return nil, fmt.Errorf("%s stopped: %w", r.name, r.out.Err())
		}
		if err := json.Unmarshal(r.out.Bytes(), &views[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return views, <-failed
}
