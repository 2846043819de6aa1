package gateway

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plaincover/plaincover/internal/filter"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/policy"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/policies"
)

// BenchmarkPipeline is what a mail of 4 KiB costs without the store: parsed, decided under the
// shipped rules, written for its client, read again and searched for 100,000 clients.
func BenchmarkPipeline(b *testing.B) {
	snap, err := policy.Load(policies.Files)
	if err != nil {
		b.Fatal(err)
	}
	no := false
	given := strings.Fields("Ada Ben Cleo Dora Emil Finn Gwen Hugo Iris Jona Kira Levi Mona Nils Olga Pia Quin Rosa Sven Tess")
	clients := make([]filter.Client, 100_000)
	for i := range clients {
		clients[i] = filter.Client{Ref: fmt.Sprintf("C-%06d", i), Name: fmt.Sprintf("%s Family%d", given[i%len(given)], i), Mobile: []string{fmt.Sprintf("+4477009%06d", i)},
			Email: []mail.Address{{LocalPart: fmt.Sprintf("client%d", i), Domain: "example.org"}}, Practitioner: "maya", Discreet: &no,
			Country: "GB", Born: time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)}
	}
	g, err := New(Config{Facts: store.NewFixture(clients, noon), Policy: snap, Hostname: "mail.willowhouse.example", Now: func() time.Time { return noon }})
	if err != nil {
		b.Fatal(err)
	}
	to := clients[7].Email[0]
	msg := letterTo("Next week", strings.Repeat("The next meeting is on Tuesday at 10:30 in room 4; ask for Gwen, phone 0161 496 0000.\r\n", 42), to)
	id, err := g.NewID()
	if err != nil {
		b.Fatal(err)
	}
	e := &mail.Envelope{ID: id, Submitter: "maya", Reverse: maya, ReceivedAt: noon, Recipients: []mail.Recipient{{Address: to}}}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	start := cpuTime(b)
	defer func() { b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op") }()
	for b.Loop() {
		m, err := mail.Parse(strings.NewReader(msg), int64(len(msg)), g.limits)
		if err != nil {
			b.Fatal(err)
		}
		d, err := g.decide(b.Context(), question{snap: snap, env: e, mail: m, spool: store.NewMemorySpool})
		if err != nil {
			b.Fatal(err)
		}
		if d.plan.Outcome != filter.Send || len(d.copies) != 1 {
			b.Fatalf("%v", d.plan.Findings)
		}
		d.close()
	}
}

// cpuTime is what this process has used of the processors, collection of garbage included: on
// a machine that has other work it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
