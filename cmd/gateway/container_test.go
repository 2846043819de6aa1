package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dockerStep is one instruction of the Dockerfile.
type dockerStep struct{ op, args string }

func dockerSteps(t *testing.T) []dockerStep {
	t.Helper()
	b, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var steps []dockerStep
	for line := range strings.Lines(string(b)) {
		op, args, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(op, "#") {
			steps = append(steps, dockerStep{op, args})
		}
	}
	return steps
}

// The image as far as it can be shown without a container engine: the build stage's steps run
// in a copy of the tree, and what the last stage copies starts in an empty root as a user
// without rights.
func TestImageStepsRun(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	src, out, root := filepath.Join(work, "src"), filepath.Join(work, "out"), filepath.Join(work, "root")
	copyTree(t, "../..", src)
	for _, dir := range []string{out, root} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := os.Environ()
	stage, ran := 0, 0
	user, entry := "", ""
	for _, s := range dockerSteps(t) {
		switch s.op {
		case "FROM":
			stage++
		case "ENV":
			env = append(env, strings.Fields(s.args)...)
		case "RUN":
			if stage != 1 {
				t.Fatalf("the last stage has no shell: RUN %s", s.args)
			}
			line := strings.ReplaceAll(s.args, "/out/", out+"/")
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", line)
			cmd.Dir, cmd.Env = src, env
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", s.args, err, b)
			}
			ran++
		case "COPY":
			if from, ok := strings.CutPrefix(s.args, "--from=build "); ok {
				imageCopy(t, from, src, out, root)
			}
		case "USER":
			user = s.args
		case "ENTRYPOINT":
			entry = strings.Trim(s.args, `[]"`)
		}
	}
	if stage != 2 || ran < 4 || user != "65532:65532" || entry != "/gateway" {
		t.Fatalf("%d stages, %d RUN steps, user %q, entry %q", stage, ran, user, entry)
	}
	if _, err := os.Stat(filepath.Join(root, "policies", "mail.yaml")); err != nil {
		t.Fatal("the image has no policies")
	}
	startInRoot(t, root, env)
}

// An image with broken policies does not build.
func TestImageWithBrokenPoliciesDoesNotBuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS("../../policies")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "policies", "mail.yaml"), []byte("rules: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("gateway") // this test binary, by the name that the scripts know
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range dockerSteps(t) {
		if s.op != "RUN" || !strings.Contains(s.args, "gateway check") {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(s.args, "/out/gateway", program))
		cmd.Dir = dir
		if b, err := cmd.CombinedOutput(); err == nil {
			t.Fatalf("built:\n%s", b)
		}
		return
	}
	t.Fatal("the Dockerfile does not check the policies")
}

// imageCopy does COPY --from=build into root.
func imageCopy(t *testing.T, args, src, out, root string) {
	t.Helper()
	fields := strings.Fields(args)
	owned := strings.HasPrefix(fields[0], "--chown=")
	if owned {
		fields = fields[1:]
	}
	from, to := fields[0], filepath.Join(root, fields[1])
	switch {
	case strings.HasPrefix(from, "/src/"):
		from = filepath.Join(src, strings.TrimPrefix(from, "/src/"))
	case strings.HasPrefix(from, "/out/"):
		from = filepath.Join(out, strings.TrimPrefix(from, "/out/"))
	}
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else {
		var b []byte
		if b, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if owned && os.Geteuid() == 0 {
		if err := os.Chown(to, 65532, 65532); err != nil {
			t.Fatal(err)
		}
	}
}

// startInRoot runs the image's program. As root it does so as the image would: user 65532,
// nothing in the file system but what was copied.
func startInRoot(t *testing.T, root string, env []string) {
	t.Helper()
	image := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(root, "gateway"), args...)
		cmd.Env = []string{"GATEWAY_DATA=" + filepath.Join(root, "data"), "GATEWAY_POLICIES=" + filepath.Join(root, "policies")}
		if os.Geteuid() == 0 && runtime.GOOS == "linux" {
			if err := openTo(root); err != nil {
				t.Fatal(err)
			}
			cmd.Path, cmd.Dir = "/gateway", "/"
			cmd.Env = []string{"GATEWAY_DATA=/data", "GATEWAY_POLICIES=/policies"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		}
		cmd.Env = append(cmd.Env, "GATEWAY_SMARTHOST_URL=smtp://127.0.0.1:9", "GATEWAY_SMARTHOST_TLS=none", "GATEWAY_HTTP_ADDRESS=127.0.0.1:0",
			`GATEWAY_LISTEN=[{address: "127.0.0.1:0", tls: starttls}]`)
		return cmd
	}
	for _, args := range [][]string{{"version"}, {"check"}, {"test"}, {"submitter", "add", "maya", "--name", "laptop"}} {
		if b, err := image(t.Context(), args...).CombinedOutput(); err != nil {
			t.Fatalf("gateway %s: %v\n%s", strings.Join(args, " "), err, b)
		}
	}
	said := &watched{pattern: regexp.MustCompile(`(?m)^listening on 127\.0\.0\.1:\d+ \(STARTTLS\)$`), seen: make(chan []string, 1)}
	cmd := image(t.Context(), "serve")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, ok := said.wait(30 * time.Second); !ok {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("serve did not become ready:\n%s", said)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("serve ended with %v:\n%s", err, said)
	}
}

// openTo lets the image's user walk to dir: a test's temporary directory is root's alone.
func openTo(dir string) error {
	temp := filepath.Clean(os.TempDir())
	for d := dir; d != temp && len(d) > 1; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies the repository as .dockerignore lets a build see it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	ignored := map[string]bool{}
	b, err := os.ReadFile(filepath.Join(from, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		ignored[strings.TrimSpace(line)] = true
	}
	err = fs.WalkDir(os.DirFS(from), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // another test's temporary file
			return nil
		case err != nil:
			return err
		case ignored[path] && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), b, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}
