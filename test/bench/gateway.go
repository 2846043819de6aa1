package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const gatewayName = "gateway"

// gatewayConfig takes the shipped policies, the port, certificate and key, and the sink.
const gatewayConfig = `hostname: mail.willowhouse.example
data: ./data
policies: %q
listen:
  - {address: "127.0.0.1:%d", tls: implicit}
tls: {cert: %q, key: %q}
http: {address: ""}
limits: {connections_per_ip: 200}
smarthost: {url: "smtp://%s", tls: none, region: GB}
`

// startGateway builds the gateway, gives it the shipped policies and a register of clients,
// and starts it.
func startGateway(ctx context.Context, s settings, dir string, certs certificate, smarthost string) (*server, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	source, err := root()
	if err != nil {
		return nil, err
	}
	program := s.gateway
	if program == "" {
		program = filepath.Join(dir, "gateway")
		if err := build(ctx, source, program, s.profile); err != nil {
			return nil, err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(gatewayConfig, filepath.Join(source, "policies"), port, certs.cert, certs.key, smarthost)
	if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "clients.csv"), register(), 0o600); err != nil {
		return nil, err
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = dir
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("gateway %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
		}
		return stdout.Bytes(), nil
	}
	if _, err := run("client", "import", "clients.csv"); err != nil {
		return nil, err
	}
	said, err := run("submitter", "add", "maya", "--name", "bench", "--json")
	if err != nil {
		return nil, err
	}
	var account struct {
		SignsInAs string `json:"signs_in_as"`
		Password  string `json:"password"`
	}
	if err := json.Unmarshal(said, &account); err != nil {
		return nil, fmt.Errorf("gateway submitter add --json: %w", err)
	}

	c, err := startChild(dir, program, "serve")
	if err != nil {
		return nil, err
	}
	pid := c.cmd.Process.Pid
	sv := &server{
		name: gatewayName, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		user: account.SignsInAs, pass: account.Password, from: account.SignsInAs,
		usage:   func() (usage, error) { return usageOf(pid, false) },
		tracees: func() []int { return []int{pid} },
	}
	sv.stop = func() error {
		err := c.stop(syscall.SIGTERM)
		if s.profile != "" {
			err = errors.Join(err, copyFile(s.profile, filepath.Join(dir, profileName)))
		}
		return err
	}
	if err := awaitPort(ctx, sv.addr, c.done); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, c.stderr), c.stop(syscall.SIGTERM))
	}
	return sv, nil
}

// profileName is the file that a gateway built for profiling leaves where it was started.
const profileName = "cpu.pprof"

// profiler is linked into a gateway that is to be profiled; the product has no such thing.
const profiler = `package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

func init() {
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		return
	}
	f, err := os.Create("` + profileName + `")
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		pprof.StopCPUProfile()
		f.Close()
	}()
}
`

// build builds the gateway as it ships, or with a profiler that go build's overlay adds.
func build(ctx context.Context, source, program, profile string) error {
	args := []string{"build", "-trimpath", "-o", program}
	if profile != "" {
		text := program + "-profiler.go"
		if err := os.WriteFile(text, []byte(profiler), 0o600); err != nil {
			return err
		}
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
			filepath.Join(source, "cmd", "gateway", "profiler.go"): text,
		}})
		if err != nil {
			return err
		}
		if err := os.WriteFile(program+"-overlay.json", overlay, 0o600); err != nil {
			return err
		}
		args = append(args, "-overlay", program+"-overlay.json")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/gateway")...)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/gateway: %w: %s", err, said)
	}
	return nil
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// register returns clients.csv: adults, discreet or not, whose mail needs no lock.
func register() []byte {
	first := []string{"Nadia", "Tomasz", "Eilidh", "Kwame", "Priya", "Callum", "Ines", "Yusuf", "Bronwen", "Oskar"}
	last := []string{"Achterberg", "Bellweather", "Cadwallader", "Drummond-Hay", "Eisenhauer", "Fotheringham", "Gwatkin", "Hollingshead"}
	var b bytes.Buffer
	b.WriteString("ref,name,email,born,country,discreet,protection,practitioner\n")
	for n := range clients {
		discreet := "yes"
		if n%2 == 0 {
			discreet = "no"
		}
		fmt.Fprintf(&b, "C-%04d,%s %s,%s,19%02d-03-05,GB,%s,none,maya\n", n, first[n%len(first)], last[n/len(first)%len(last)], recipient(n), 60+n%40, discreet)
	}
	return b.Bytes()
}
