package encrypt

import (
	"os"
	"os/exec"
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
