package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
)

// One damaged record must not hide the others that wait.
func TestHeldListShowsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shipped, err := filepath.Abs("../../policies")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(config, []byte("data: ./data\npolicies: "+shipped+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	key, _, err := store.MasterKey(data, "")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), store.Options{Dir: data, MasterKey: key})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{"01JD7Z9K3M5N7P9R1T3V5X7Z9A", "01JD7Z9K3M5N7P9R1T3V5X7Z9B"}
	for _, id := range ids {
		if err := st.Accept(t.Context(), store.Acceptance{Sealed: []byte("{}"),
			Message: store.Message{ID: mail.ID(id), Kind: store.KindMail, Submitter: "maya", ReceivedAt: time.Now(), Outcome: "hold"},
			Jobs:    []store.NewJob{{Variant: 1, State: store.Held, Recipients: []mail.Address{{LocalPart: "anna", Domain: "example.org"}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(data, "plaincover.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE messages SET sealed = x'00' WHERE id = $1`, ids[0]); err != nil {
		t.Fatal(err)
	}
	var out, says bytes.Buffer
	if code := Run(t.Context(), []string{"--config", config, "held", "list"}, Streams{Out: &out, Err: &says}); code != exitDone {
		t.Fatalf("exit %d: %s", code, &says)
	}
	if !strings.Contains(out.String(), "damaged") || !strings.Contains(out.String(), ids[1]) {
		t.Fatalf("held list:\n%s", &out)
	}
}
