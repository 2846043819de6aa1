package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/plaincover/plaincover/internal/fault"
	"github.com/plaincover/plaincover/internal/mail"
	"github.com/plaincover/plaincover/internal/store"
	"github.com/plaincover/plaincover/internal/templates"
)

// Report makes the DSN for recipients of a job that will never be reached (RFC 3464): neutral
// text with codes, Final-Recipient as the RFC requires, and of the message Date and Message-ID
// only. A notice or a DSN that cannot be delivered gets none (ok is false).
func (g *Gateway) Report(ctx context.Context, j store.Job, results []store.Result) (a store.Acceptance, ok bool, err error) {
	if j.Kind != store.KindMail {
		return a, false, nil
	}
	snap := g.Policy()
	_, sealed, _, err := g.store.Get(ctx, j.Message)
	if err != nil {
		return a, false, err
	}
	var acc account
	if err := json.Unmarshal(sealed, &acc); err != nil {
		return a, false, fmt.Errorf("gateway: account of %s: %w", j.Message, err)
	}
	to := acc.Facts.Sender.Value.Real
	if s, found := snap.Sender(j.Submitter); found {
		to = s.Real
	}
	if to.IsZero() {
		return a, false, fault.Wrap(fault.Internal, "", fmt.Errorf("gateway: nobody to tell about %s", j.Message))
	}
	n := noticeAbout(snap, &acc.Envelope)
	// In a group job some may have got it, and some are tried again: they have not failed.
	var failed []mail.Address
	for i, r := range results {
		if r.Outcome == store.OutPermanent && i < len(j.Recipients) {
			failed = append(failed, j.Recipients[i])
		}
	}
	for i, r := range acc.Envelope.Recipients {
		if i < len(acc.Facts.Recipients) && slices.Contains(failed, r.Address) {
			for _, c := range acc.Facts.Recipients[i].Clients.Value {
				n.Codes = append(n.Codes, c.Ref)
			}
		}
	}
	rep := mail.Report{ReportingMTA: g.hostname, Original: []mail.Field{
		{Name: "Date", Value: rfc5322(acc.Envelope.ReceivedAt.In(snap.Location()))},
	}}
	if acc.MessageID != "" {
		rep.Original = append(rep.Original, mail.Field{Name: "Message-ID", Value: "<" + acc.MessageID + ">"})
	}
	for i, r := range results {
		if r.Outcome != store.OutPermanent || i >= len(j.Recipients) {
			continue
		}
		st := r.Status
		if st.Class() != 5 {
			// Given up after many transient failures: delivery time expired (RFC 3463 §3.5).
			st = fault.Status{Code: 550, Subject: 4, Detail: 7}
		}
		rep.Recipients = append(rep.Recipients, mail.ReportRecipient{Address: j.Recipients[i], Action: "failed",
			Status: st.Enhanced(), Diagnostic: r.Reply})
	}
	subject, text, err := templates.DSN(n)
	if err != nil {
		return a, false, err
	}
	rep.Text = text
	a, err = g.automatic(store.KindDSN, letter{snap: snap, about: j.Message, inReplyTo: acc.MessageID, to: to, subject: subject, text: text},
		func(id mail.ID, fields []mail.Field, w *bytes.Buffer) error {
			return mail.WriteReport(w, id, fields, rep)
		})
	return a, err == nil, err
}
