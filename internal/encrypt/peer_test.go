package encrypt

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// peerProgram finds somebody else's reader of what we write.
func peerProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(name + " is not installed")
	}
	return path
}

// peerPackage makes sure of a package that `npm ci` in test/peers installs.
func peerPackage(t testing.TB, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("../../test/peers/node_modules", name)); err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal("run npm ci in test/peers: ", err)
		}
		t.Skip("run npm ci in test/peers")
	}
}
