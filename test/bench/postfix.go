package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const postfixName = "postfix"

// startPostfix starts a Postfix of our own: own configuration, queue and data below dir,
// nothing of the system's instance touched. It relays everything to the sink and looks at no
// content. As the gateway does, it asks for implicit TLS and AUTH PLAIN.
func startPostfix(ctx context.Context, dir string, certs certificate, smarthost string) (*server, error) {
	postfix, err := tool("postfix")
	if err != nil {
		return nil, err
	}
	saslpasswd, err := tool("saslpasswd2")
	if err != nil {
		return nil, err
	}
	postconf, err := tool("postconf")
	if err != nil {
		return nil, err
	}
	if os.Getuid() != 0 {
		return nil, missingError("Postfix starts only as root")
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		return nil, missingError("there is no user postfix")
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	sv := &server{
		name: postfixName, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		user: "bench@postfix.example", pass: "bench-secret", from: "maya@willowhouse.example",
	}
	for _, d := range []string{"spool", "data", "sasl"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		return nil, err
	}
	db := filepath.Join(dir, "sasl", "db")
	add := exec.CommandContext(ctx, saslpasswd, "-p", "-c", "-f", db, "-u", "postfix.example", "bench")
	add.Stdin = strings.NewReader(sv.pass + "\n")
	if said, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("saslpasswd2: %w: %s", err, said)
	}
	if err := os.Chown(db, uid, -1); err != nil {
		return nil, err
	}
	host, sinkPort, err := net.SplitHostPort(smarthost)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\nsasldb_path: " + db + "\n",
		"main.cf":         fmt.Sprintf(postfixMain, dir, "["+host+"]:"+sinkPort, certs.cert, certs.key),
		"master.cf":       fmt.Sprintf(postfixMaster, sv.addr),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	// postfix check makes the queue directories. The master daemon itself is started here and
	// not by postfix start: so it is our own child, leads its process group and ends with us.
	if said, err := exec.CommandContext(ctx, postfix, "-c", dir, "check").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix check: %w: %s", err, said)
	}
	daemons, err := exec.CommandContext(ctx, postconf, "-c", dir, "-h", "daemon_directory").Output()
	if err != nil {
		return nil, fmt.Errorf("postconf: %w", err)
	}
	c, err := startChild(dir, filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-c", dir, "-d")
	if err != nil {
		return nil, err
	}
	master := c.cmd.Process.Pid
	sv.usage = func() (usage, error) { return usageOf(master, true) }
	sv.tracees = func() []int { return append([]int{master}, childrenOf(master)...) }
	sv.stop = func() error { return c.stop(syscall.SIGTERM) }
	if err := awaitPort(ctx, sv.addr, c.done); err != nil {
		err = errors.Join(err, sv.stop())
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return nil, fmt.Errorf("%w: %s %s", err, c.stderr, log)
	}
	return sv, nil
}

// tool finds a program, also where only root has it in the path.
func tool(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	p := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(p); err != nil {
		return "", missingError(name + " is not installed")
	}
	return p, nil
}

// postfixMain takes the directory, the relay host, certificate and key.
const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
local_transport = error:none
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
relayhost = %[2]s
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = %[3]s
smtpd_tls_key_file = %[4]s
smtpd_tls_loglevel = 0
smtpd_tls_session_cache_database = btree:${data_directory}/scache
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = %[1]s/sasl
smtpd_sasl_local_domain = postfix.example
`

// postfixMaster takes the address.
const postfixMaster = `%s inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
