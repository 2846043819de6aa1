package policy

import (
	"io/fs"
	"testing"

	"github.com/plaincover/plaincover/policies"
)

func shipped(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Load(policies.Files)
	if err != nil {
		t.Fatalf("the shipped policies have problems:\n%v", err)
	}
	return s
}

func TestShippedPoliciesLoad(t *testing.T) {
	t.Parallel()
	s := shipped(t)
	for _, w := range s.Warnings {
		t.Logf("%v", w)
	}
	if len(s.Rules) < 9 || len(s.Tests) < 12 {
		t.Errorf("got %d rules and %d tests", len(s.Rules), len(s.Tests))
	}
	var _ fs.FS = policies.Files
}
