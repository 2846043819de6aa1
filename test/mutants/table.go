package main

// mutant is one way to break a promise, and the tests that must notice it.
type mutant struct {
	Promise int
	Name    string   // what the broken code does, for the document
	File    string   // from the root of the repository
	Old     string   // stands in the file exactly once
	New     string   // takes its place
	Tests   []string // package.TestName; every one of them must go red
}

// promise is one that this version touches.
type promise struct {
	Number int
	Text   string
}

func promises() []promise {
	return []promise{
		{1, "No client receives a byte that names another client, unless everyone agreed"},
		{2, "250 means committed to disk; nothing accepted is ever lost or silently dropped"},
		{3, "Each recipient gets a message once; where SMTP cannot tell, the choice is recorded"},
		{5, "What must be locked never leaves in clear; if it cannot be locked it is held, and the sender told"},
		{6, "Every protected file is opened again before it leaves"},
		{7, "A message that the mail app signed or encrypted is never broken silently"},
		{8, "Broken policy never weakens policy; unknown is never harmless; every failure fails closed"},
		{9, "Passwords, keys and message text never reach a log, an audit row, an SMTP reply or a notice"},
		{10, "Content is encrypted at rest, kept only for so long, and erased so that it stays erased"},
		{11, "Every decision can be explained later; a changed row of the audit is found"},
		{13, "Parts that no rule changes leave with the same bytes, as far as the wire allows"},
		{14, "Memory is bounded per message and in all, whatever is sent"},
		{15, "Nobody signs in without TLS; nobody sends as somebody else"},
	}
}

func table() []mutant {
	return []mutant{
		// 1
		{1, "a document with tracked changes is taken as clean", "internal/encrypt/metaoffice.go",
			`return "", HasRevisions`,
			`return "", nil`,
			[]string{"internal/encrypt.TestCleanHolds"}},
		{1, "what a picture carries behind its end stays", "internal/encrypt/metapicture.go",
			`		if kind == "IEND" {
			break
		}
	}`,
			`		if kind == "IEND" {
			_, _ = io.Copy(out, r)
			break
		}
	}`,
			[]string{"internal/encrypt.TestCleanPNG"}},
		{1, "remote pictures stay in a client's copy", "internal/gateway/render.go",
			`_, d.NoRemote = v.Has(filter.EditRemoteContent)`,
			`d.NoRemote = false`,
			[]string{"internal/gateway.TestRemoteContentGoes"}},
		{1, "the sender's full name stays behind the alias", "internal/gateway/render.go",
			`out = append(out, mail.Replacement{Old: name, New: c.sender.AliasName})`,
			`out = append(out, mail.Replacement{Old: name, New: name})`,
			[]string{"internal/gateway.TestTextVerbs"}},
		{1, "names stay where a pseudonym should stand", "internal/gateway/render.go",
			`d.Replace = append(c.behindAlias(), c.foreign...)`,
			`d.Replace = c.behindAlias()`,
			[]string{"internal/gateway.TestPseudonymise", "internal/gateway.TestPseudonymsAreOfOthers"}},
		{1, "a name that could not be replaced by a code leaves", "internal/filter/pseudonym.go",
			`if l == nil || len(l.met.clients) == 0 {`,
			`if l == nil || len(l.met.clients) >= 0 {`,
			[]string{"internal/gateway.TestWhatHasNoPseudonymHolds"}},
		{1, "where names are replaced a client may see codes", "internal/filter/pseudonym.go",
			`return asked && (l.in.Variant.Show == ShowContact || l.in.Variant.Show == ShowPractice)`,
			`return asked`,
			[]string{"internal/gateway.TestPseudonymsStay", "internal/gateway.TestPseudonymise"}},
		{1, "quoted text stays in a copy that should be trimmed", "internal/gateway/render.go",
			`_, d.NoQuotes = v.Has(filter.EditTrimQuotes)`,
			`d.NoQuotes = false`,
			[]string{"internal/gateway.TestTextVerbs"}},
		{1, "clients share a copy although one of them did not agree", "internal/filter/plan.go",
			`if !cs[k].Agreed(p.practice.GroupConsent, p.in.Facts.At) {`,
			`if len(cs) < 0 && !cs[k].Agreed(p.practice.GroupConsent, p.in.Facts.At) {`,
			[]string{"internal/filter.TestSeparationNeedsNoRule"}},
		{1, "a client's copy shows To and Cc as written", "internal/filter/plan.go",
			`return []mail.Address{own}, nil`,
			`pass = func(mail.Address) bool { return true }`,
			[]string{"internal/gateway.TestPromise1EachClientGetsACopyOfTheirOwn"}},
		{1, "Bcc is copied from the mail app's header", "internal/gateway/render.go",
			`out = append(out, visible(v)...)`,
			`out = append(out, visible(v)...)
	for _, f := range c.mail.Root.Fields {
		if strings.EqualFold(f.Name, "Bcc") {
			out = append(out, f)
		}
	}`,
			[]string{"internal/gateway.TestPromise1NoTraceOfOthersInTheHeader"}},
		{1, "a copy keeps the mail app's own header fields", "internal/gateway/render.go",
			`!strip && v.Show == filter.ShowPractice {
		out = append(out, practiceFields(c.mail)...)`,
			`!strip || v.Show == filter.ShowOne {
		out = append(out, c.mail.Root.Fields...)`,
			[]string{"internal/gateway.TestPromise1NoTraceOfOthersInTheHeader"}},
		{1, "ids that only another client saw stay in References", "internal/filter/thread.go",
			`if t.known.Readers[id] > 0 {`,
			`if t.known.Readers[id] > 0 && t.seenByAll(id) != "" {`,
			[]string{"internal/filter.TestThread"}},
		{1, "an unknown id is kept beside one that another client saw", "internal/filter/thread.go",
			`if n > 1 || t.known.Saw == nil {`,
			`if t.known.Saw == nil {`,
			[]string{"internal/filter.TestThread", "internal/gateway.TestThreadOfAnAgreedGroup"}},
		{1, "ids of messages that nobody is known to have seen stay in everybody's copy", "internal/filter/thread.go",
			`if len(t.v.Rcpts) != 1 || t.forward() || t.outsiders() > 1 {`,
			`if t.forward() {`,
			[]string{"internal/filter.TestThread", "internal/gateway.TestPromise1NoTraceOfOthersInTheHeader"}},
		{1, "a thread names the id that another reader saw", "internal/filter/thread.go",
			`as := t.seenByAll(id)
		if`,
			`as := id
		if`,
			[]string{"internal/filter.TestThread", "internal/gateway.TestNoCopyNamesAnIDOfSomebodyElse"}},
		{1, "a forward keeps the id of what is passed on", "internal/filter/thread.go",
			`|| t.forward() ||`,
			`||`,
			[]string{"internal/gateway.TestThreadsFollowTheModel"}},
		{1, "what the leak check finds is not asked for", "internal/gateway/submit.go",
			`if !slices.ContainsFunc(leaks, func(f filter.Finding) bool { return f.Action > filter.Send }) {`,
			`if len(leaks) >= 0 {`,
			[]string{"internal/gateway.TestALeakHolds"}},
		{1, "a common name with the phone of its owner is no leak", "internal/filter/leak.go",
			`if p.told[i] |= 1 << named; p.named[i] {`,
			`if p.told[i] |= 1 << leakMailbox; p.named[i] && named != leakNamePhone {`,
			[]string{"internal/filter.TestANameWithSomethingElse"}},
		{1, "who was added since the register was compiled is not looked for", "internal/store/register.go",
			`w.watch, w.version = w.watch.Update(changed, gone), version`,
			`w.watch, w.version = w.watch.Update(changed[:0], gone), version`,
			[]string{"internal/store.TestWatchFollowsTheRegister"}},
		{1, "the practitioner's own phone leaves in a copy under the alias", "internal/filter/leak.go",
			`	if l.alias && l.in.Variant.Show != ShowContact {
		for _, own := range`,
			`	if !l.alias {
		for _, own := range`,
			[]string{"internal/filter.TestPhonesOfTheSender", "internal/gateway.TestThePractitionersPhoneHolds"}},
		{1, "a release lets every leak pass", "internal/filter/join.go",
			`!slices.ContainsFunc(f.Channels, func(c string) bool { return !slices.Contains(w.Channels, c) })`,
			`(len(w.Channels) > 0 || len(f.Channels) == 0)`,
			[]string{"internal/filter.TestALeakIsReleasedByChannel", "internal/gateway.TestAReleaseLetsOnlyPassWhatWasShown"}},
		{1, "the leak check does not look into attachments", "internal/filter/leak.go",
			`	l.opaque(in.Mail.Root)
	return`,
			`	return`,
			[]string{"internal/filter.TestWhatTheLeakCheckHolds"}},
		{1, "the leak check does not look at the header", "internal/filter/leak.go",
			`	l.header()
	l.texts()`,
			`	l.texts()`,
			[]string{"internal/filter.TestWhatTheLeakCheckHolds"}},
		{1, "the leak check believes the plan about who agreed to share a copy", "internal/filter/leak.go",
			`(l.in.Variant.Show == ShowUndisclosed || !l.agreed())`,
			`(l.in.Variant.Show == ShowUndisclosed || len(l.own) < 0 && !l.agreed())`,
			[]string{"internal/filter.TestASharedCopyNeedsEverybodysAgreement"}},

		{1, "the submitted subject stands in the protected fields", "internal/encrypt/rfc9788.go",
			`case root && !strings.HasPrefix(name, "content-"), name == "content-type":`,
			`case name == "content-type":`,
			[]string{"internal/encrypt.TestProtect"}},
		{1, "a key look-up goes into the local network", "internal/encrypt/lookup.go",
			`		if err != nil || !allow(a) {`,
			`		if err != nil || allow(a) && !allow(a) {`,
			[]string{"internal/encrypt.TestFetchGoesNowhereElse"}},
		{1, "a key look-up follows a redirection", "internal/encrypt/lookup.go",
			`CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }`,
			``,
			[]string{"internal/encrypt.TestFetchGoesNowhereElse"}},
		// 2
		{2, "250 is said before the commit", "internal/store/commit.go",
			`	if err := t.finish(); err != nil {
		return w.fail(batch, err)
	}
	for i, o := range batch {
		o.done <- errs[i]
	}`,
			`	for i, o := range batch {
		o.done <- errs[i]
	}
	if err := t.finish(); err != nil {
		return w.fail(nil, err)
	}`,
			[]string{"internal/store.TestNothingIsAcceptedAfterAFailedCommit"}},
		{2, "the store does not check synchronous=FULL", "internal/store/store.go",
			`"synchronous": "2", `, ``,
			[]string{"internal/store.TestPromise2EachLossySettingIsRefused"}},
		{2, "the door forgets that the commit failed", "internal/gateway/submit.go",
			`	if err := g.store.Accept(ctx, a); err != nil {
		return Receipt{}, cannotRecord(err)
	}`,
			`	if err := g.store.Accept(ctx, a); err != nil {
		g.log.Error("not recorded", "id", e.ID)
	}`,
			[]string{"internal/gateway.TestPromise2AFailedCommitIsNo250"}},
		{2, "the last recipient is dropped", "internal/gateway/submit.go",
			`	for i := range d.plan.Variants {
		job, content := d.job(i)
		a.Jobs`,
			`	for i := range max(1, len(d.plan.Variants)-1) {
		job, content := d.job(i)
		a.Jobs`,
			[]string{"internal/gateway.TestPromise1EachClientGetsACopyOfTheirOwn"}},
		{2, "a message cut short by the network is taken for a whole one", "internal/smtpd/session.go",
			`case err == io.EOF && !b.conn.cut:`,
			`case err == io.EOF || b.conn.cut:`,
			[]string{"internal/smtpd.TestB20_TooLargeAndCutShort"}},
		{2, "what was being sent when the program died is never tried again", "internal/store/store.go",
			`return t.doubt(math.MaxInt64, "restart")`,
			`return t.doubt(math.MinInt64, "restart")`,
			[]string{"internal/store.TestRestartMakesAttemptsInDoubt"}},
		{2, "a failed delivery is dropped without a report", "internal/queue/queue.go",
			`also = append(also, a)`,
			`log.Info("report made", "about", string(a.Message.About))`,
			[]string{"internal/queue.TestGivesUpAndTellsOnce"}},

		// 3
		{3, "a reply lost after the final dot counts as not delivered", "internal/relay/transaction.go",
			`if t.rcpts[i] == nil && t.dotted {`,
			`if t.rcpts[i] == nil && t.dotted && t.job.ID < 0 {`,
			[]string{"internal/relay.TestF10toF13", "internal/relay.TestCancelledAfterTheDot"}},
		{3, "an unknown outcome is stored as simply queued", "internal/store/jobs.go",
			`	case OutUnknown:
		return InDoubt, true`,
			`	case OutUnknown:
		return Queued, true`,
			[]string{"internal/store.TestPromise3TheChoiceIsRecorded"}},
		{3, "an unknown outcome is stored as delivered", "internal/store/jobs.go",
			`	case OutUnknown:
		return InDoubt, true`,
			`	case OutUnknown:
		return Delivered, true`,
			[]string{"internal/store.TestPromise3TheChoiceIsRecorded"}},
		{3, "the late result of a dead claim counts", "internal/store/jobs.go",
			`WHERE id = $1 AND epoch = $2 AND state = 'sending'`,
			`WHERE id = $1 AND epoch >= $2 - epoch AND state = 'sending'`,
			[]string{"internal/store.TestLateResultOfADeadClaimIsRefused"}},
		{3, "the same recipient given twice is taken twice", "internal/smtpd/session.go",
			`if tx.seen[key] {`,
			`if key == "" {`,
			[]string{"internal/smtpd.TestB13_B14_Recipients"}},
		{3, "a job stays due while it is being sent", "internal/store/jobs.go",
			`SET state = 'sending', attempts`,
			`SET state = 'queued', attempts`,
			[]string{"internal/store.TestAcceptClaimDeliver"}},
		{3, "the choice to send again is not recorded", "internal/store/jobs.go",
			`	if p.state == InDoubt {
		data["choice"] = "send again"
	}
`, ``,
			[]string{"internal/store.TestPromise3TheChoiceIsRecorded"}},

		// 5
		{5, "a key with somebody else's address is used", "internal/encrypt/keys.go",
			`if !addr.IsZero() && !hasAddress(e, addr, now) {`,
			`if false && !hasAddress(e, addr, now) {`,
			[]string{"internal/encrypt.TestCheckKey", "internal/encrypt.TestBadKeysEncryptNothing"}},
		{5, "a user id that the key did not sign counts", "internal/encrypt/keys.go",
			`		if _, err := id.Verify(now, keyRules(now)); err != nil {
			continue
		}
`,
			``,
			[]string{"internal/encrypt.TestForgedUserID"}},
		{5, "an expired key is used", "internal/encrypt/keys.go",
			`if end := expiry(e, now); !end.IsZero() && !now.Before(end) {`,
			`if end := expiry(e, now); !end.IsZero() && now.IsZero() {`,
			[]string{"internal/encrypt.TestCheckKey"}},
		{5, "the first of several keys is taken", "internal/encrypt/keys.go",
			`	return nil, false, &KeyError{Fault: KeySeveral}
}`,
			`	return b, private, nil
}`,
			[]string{"internal/encrypt.TestParseKey"}},
		// 6
		{6, "a locked copy whose content is another one is taken for good", "internal/encrypt/pgp.go",
			`if size != p.size || !bytes.Equal(digest.Sum(nil), p.digest[:]) {`,
			`if size < 0 {`,
			[]string{"internal/encrypt.TestOpenMIMELooksInside"}},
		{6, "a locked copy whose signature is not valid is taken for good", "internal/encrypt/pgp.go",
			`if err := plain.VerifySignature(); err != nil {`,
			`if err := plain.VerifySignature(); err != nil && false {`,
			[]string{"internal/encrypt.TestOpenMIMELooksInside"}},
		{6, "a session key for another key than the recipient's is not noticed", "internal/encrypt/pgp.go",
			`if got.Version != want.Version || got.KeyID != want.KeyID ||`,
			`if got.Version != want.Version ||`,
			[]string{"internal/encrypt.TestOpenMIMELooksInside"}},
		{6, "the practice's own copy is not opened", "internal/encrypt/pgp.go",
			`if i == 1 && p.own.private {`,
			`if i == 1 && !p.own.private {`,
			[]string{"internal/encrypt.TestOpenMIMELooksInside"}},
		{6, "plain text behind the locked copy is not noticed", "internal/encrypt/pgp.go",
			`	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		return unproved(err, "bytes behind the last boundary")
	}
`,
			``,
			[]string{"internal/encrypt.TestOpenMIMERefuses"}},
		{6, "nothing tells that plain text is in the armor", "internal/encrypt/pgp.go",
			`if bytes.Contains(b[:n], s) || bytes.Contains(seam, s) {`,
			`if false && bytes.Contains(seam, s) {`,
			[]string{"internal/encrypt.TestOpenMIMELooksInside"}},
		{6, "an archive opens without its authentication", "internal/encrypt/zip.go",
			`if !hmac.Equal(auth, key.mac.Sum(nil)[:aeAuth]) {`,
			`if false {`,
			[]string{"internal/encrypt.TestZIPFlippedBit"}},
		{6, "an archive that has other content than it says passes", "internal/encrypt/zip.go",
			`if _, more := e.under.ReadByte(); e.left > 0 || !errors.Is(more, io.EOF) {`,
			`if _, more := e.under.ReadByte(); !errors.Is(more, io.EOF) {`,
			[]string{"internal/encrypt.TestZIPWrongSize"}},
		{6, "an Office file opens without its authentication", "internal/encrypt/agile.go",
			`if !hmac.Equal(mac.Sum(nil), integrity[1]) {`,
			`if false {`,
			[]string{"internal/encrypt.TestOfficeFlippedBit"}},
		// 7
		{7, "no rule notices that mail is signed", "internal/filter/run.go",
			`		if signed || encrypted {
			out = append(out, signedMail(i, edits)...)`,
			`		if signed && encrypted {
			out = append(out, signedMail(i, edits)...)`,
			[]string{"internal/gateway.TestShippedPoliciesPassTheirTests"}},
		{7, "released signed mail is edited", "internal/filter/plan.go",
			`	if signed || encrypted {
		v.Whole = true`,
			`	if signed && encrypted {
		v.Whole = true`,
			[]string{"internal/filter.TestSignedMailLeavesWhole"}},
		{7, "text signed within the message itself is not recognised", "internal/mail/tree.go",
			`return isTextBody(p) && hasArmor(p.Text, "-----BEGIN PGP SIGNED MESSAGE-----")`,
			`return false`,
			[]string{"internal/mail.TestSignedAndEncrypted"}},
		{7, "the body of signed mail leaves in another encoding", "internal/mail/build.go",
			`n := &node{copy: &root.Body}`,
			`n := &node{part: root, encoding: encQP}`,
			[]string{"internal/mail.TestEditsChangeOnlyWhatTheyMust"}},
		{7, "a signed part inside is written anew", "internal/mail/build.go",
			`	case isSealed(p) && (p.IsMultipart() || !isTextBody(p)):
		return b.sealed(p)
`, ``,
			[]string{"internal/mail.TestSealedIsNeverBroken"}},
		{7, "a signed part that the wire forbids is sent all the same", "internal/mail/build.go",
			`	if root.wire&wireForbidden != 0 {
		return nil, refuse(`,
			`	if root.wire&wireForbidden != 0 && root.fresh {
		return nil, refuse(`,
			[]string{"internal/mail.TestSealedIsNeverBroken"}},

		{7, "encrypted mail that a password opens too passes", "internal/encrypt/packets.go",
			`	case l.Passwords > 0:`,
			`	case l.Passwords > 99:`,
			[]string{"internal/encrypt.TestOnlyFor"}},
		{7, "encrypted mail for somebody else too passes", "internal/encrypt/packets.go",
			`		case !p.among(ours):`,
			`		case !p.among(ours) && false:`,
			[]string{"internal/encrypt.TestOnlyFor"}},
		{7, "text in clear beside an encrypted message passes", "internal/encrypt/packets.go",
			`		case data && tag != tagPadding && tag != tagMarker:`,
			`		case data && tag == 0:`,
			[]string{"internal/encrypt.TestListPacketsRefuses"}},
		// 8
		{8, "an unreadable register counts as an empty one", "internal/gateway/gateway.go",
			`	facts, err := g.facts.Resolve(ctx, e, m, snap.Needs)
	if err != nil {
		return nil, listUnreadable(err)
	}`,
			`	facts, err := g.facts.Resolve(ctx, e, m, snap.Needs)
	if err != nil {
		facts = &filter.Facts{At: e.ReceivedAt, Recipients: make([]filter.RecipientFacts, len(e.Recipients))}
		for i := range facts.Recipients {
			facts.Recipients[i].Clients.State = filter.Absent
		}
	}`,
			[]string{"internal/gateway.TestAnUnreadableRegisterIs451"}},
		{8, "a fact that cannot be read counts as absent", "internal/filter/facts.go",
			`return zero, fault.New(fault.Unavailable, "")`,
			`return zero, fault.Wrap(fault.Unavailable, "", nil)`,
			[]string{"internal/filter.TestUnknownFactsNeverPass"}},
		{8, "a rule that fails is passed over", "internal/filter/run.go",
			`out = append(out, broken(r.ID()))`,
			`_ = broken(r.ID())`,
			[]string{"internal/filter.TestARuleThatFailsHolds"}},
		{8, "a message that can be read in two ways is let through", "internal/filter/run.go",
			`	out = append(out, unreadable(in.Mail)...)
`, `	_ = unreadable(in.Mail)
`,
			[]string{"internal/filter.TestBuiltIns"}},
		{8, "policies that protect less come into force although nobody said that it is meant", "cmd/gateway/reload.go",
			`if ask.Data["weaker"] == "" {`,
			`if false {`,
			[]string{"test.TestReloadTakesWhatIsRightAndKeepsTheRest"}},
		{8, "a restart puts into force what a reload refused", "cmd/gateway/serve.go",
			`	if ok {
		if s.snap`,
			`	if ok && false {
		if s.snap`,
			[]string{"test.TestARestartTakesNoMoreThanAReload"}},
		{8, "a first start takes policies whose tests fail", "cmd/gateway/serve.go",
			`err = pass(ctx, files)`,
			`err = nil`,
			[]string{"test.TestAFirstStartRunsTheTests"}},
		{8, "monitors are not told that a reload was refused", "internal/httpd/status.go",
			`r.Policies = "kept"`,
			`r.Policies = "current"`,
			[]string{"internal/httpd.TestReadyzSaysWhichPoliciesDecide", "test.TestReadyzShowsTheReload"}},
		{8, "monitors are told that mail is taken while the database cannot be written", "internal/httpd/status.go",
			`r.Ready = r.Database == "ok" &&`,
			`r.Ready = r.Database != "" &&`,
			[]string{"internal/httpd.TestReadyzSaysNo"}},
		{8, "anybody may answer for policies that protect less", "cmd/gateway/reload.go",
			`!p.Can("edit_policy")`,
			`false`,
			[]string{"test.TestReloadTakesWhatIsRightAndKeepsTheRest"}},
		{8, "whoever asks for new policies may read another's answer", "cmd/gateway/reload.go",
			`if r.Data["ask"] == ask && (r.Kind`,
			`if (r.Kind`,
			[]string{"test.TestReloadsAtOnceReadTheirOwnAnswers"}},
		{8, "a subject that tells more does not count as weaker", "internal/policy/difference.go",
			`x != "" && saysMore(a, b, x, y)`,
			`false`,
			[]string{"internal/gateway.TestWeakeningIsNoticed"}},
		{8, "policies with mistakes in them are used as far as they were read", "internal/policy/policy.go",
			`		return nil, l.problems
	}`,
			`		l.warnings = append(l.warnings, l.problems...)
	}`,
			[]string{"internal/policy.TestBrokenPolicies", "internal/policy.TestCutOffRulesDoNotLoad"}},
		{8, "a missing policy file is no mistake", "internal/policy/policy.go",
			`	if _, err := fs.Stat(l.fsys, name); err != nil && fixOpen(err) == fixOpen(fs.ErrNotExist) {
		l.problems = append`,
			`	if _, err := fs.Stat(l.fsys, name); err != nil && fixOpen(err) == fixOpen(fs.ErrNotExist) {
		l.warnings = append`,
			[]string{"internal/policy.TestBrokenPolicies"}},
		{8, "without a register the leak check finds nothing", "internal/filter/leak.go",
			`		l.note(leakNoRegister, "", 0)
		return l.findings()`,
			`		return l.findings()`,
			[]string{"internal/filter.TestTheLeakCheckFailsClosed"}},
		{8, "an address that nobody knows counts as a colleague's", "internal/policy/policy.go",
			`	return filter.ClassUnknown
}

// ClassBy is`,
			`	return filter.ClassColleague
}

// ClassBy is`,
			[]string{"internal/policy.TestSendersAndAddresses", "internal/gateway.TestHeldAndReleased"}},
		{8, "an error of the door becomes a 250", "internal/smtpd/session.go",
			`	if err != nil {
		return s.refuse("data", atContent, err, id)
	}`,
			`	if err != nil && fault.KindOf(err) != fault.Internal {
		return s.refuse("data", atContent, err, id)
	}`,
			[]string{"internal/smtpd.TestFaultTable"}},
		{8, "a domain where anybody has a mailbox may be the practice's own", "internal/policy/freemail.go",
			`if !anybodysDomain(domain) {`,
			`if domain != "" {`,
			[]string{"internal/policy.TestBrokenPolicies"}},
		{8, "a rule whose conditions exclude each other loads", "internal/policy/sense.go",
			`case allClasses(r.spec.When) == 0:`,
			`case allClasses(r.spec.When) < 0:`,
			[]string{"internal/policy.TestBrokenPolicies"}},
		{8, "two rules that ask for different subjects of the same mail load", "internal/policy/sense.go",
			`if x.Kind == y.Kind && x.Arg != y.Arg {`,
			`if x.Kind == y.Kind && x.Arg != y.Arg && x.Arg == "" {`,
			[]string{"internal/policy.TestBrokenPolicies", "internal/policy.TestSense"}},
		{8, "a placeholder in the wrong brackets leaves as it stands", "internal/policy/templatefiles.go",
			`case hit[0] != '{' && !slices.Contains(known, name):`,
			`case hit != "":`,
			[]string{"internal/policy.TestBrokenPolicies"}},
		{8, "all tests may go without anybody noticing", "internal/policy/difference.go",
			`ds.lists("tests", testNames(before), testNames(after), len(after.Tests) == 0, false)`,
			`ds.lists("tests", testNames(before), testNames(after), false, false)`,
			[]string{"internal/policy.TestTestsThatGo"}},
		{8, "gateway fmt does not look whether a file still says the same", "internal/policy/layout.go",
			`if err != nil || !sameNode(root, again) {`,
			`if err != nil {`,
			[]string{"internal/policy.TestLayoutNoticesAnotherMeaning"}},
		{8, "gateway fmt does not look whether a comment is lost", "internal/policy/layout.go",
			`if !sameComments(root, again, old, made) || !sameCharacters(old, made) {`,
			`if old == nil {`,
			[]string{"internal/policy.TestLayoutNoticesAnotherMeaning"}},
		{8, "gateway fmt writes a file that has a problem", "internal/policy/layout.go",
			`if bad[name] || (ext`,
			`if (ext`,
			[]string{"internal/policy.TestFormatLeavesBrokenFiles"}},
		{8, "a rule that is gone is always said to be done by another", "internal/policy/difference.go",
			`!inB && !doneElsewhere(r, b) || loosens(s)`,
			`loosens(s)`,
			[]string{"internal/gateway.TestARuleThatIsDoneElsewhereMayGo"}},

		// 9
		{9, "a failed sign-in logs the password", "internal/smtpd/auth.go",
			`s.srv.cfg.Log.Info("sign-in failed", "conn", s.conn.serial,`,
			`s.srv.cfg.Log.Info("sign-in failed", "conn", s.conn.serial, "tried", password,`,
			[]string{"test.TestPromise09And10_CanariesStayInside"}},
		{9, "the subject is logged", "internal/gateway/submit.go",
			`g.log.Info("accepted", "id", e.ID,`,
			`g.log.Info("accepted", "id", e.ID, "subject", m.Subject,`,
			[]string{"test.TestPromise09And10_CanariesStayInside"}},
		{9, "the smarthost's words are logged", "internal/queue/queue.go",
			`log.Info("attempt", "recipient", i,`,
			`log.Info("attempt", "recipient", i, "reply", r.Reply,`,
			[]string{"test.TestPromise09And10_CanariesStayInside"}},
		{9, "an audit row holds the file name", "internal/gateway/submit.go",
			`"outcome": outcomeOf(d.plan.Outcome), "policy": d.snap.ID, "rules": strings.Join(rules, " "),`,
			`"outcome": outcomeOf(d.plan.Outcome), "policy": d.snap.ID, "rules": strings.Join(rules, " "), "about": d.mail.Subject,`,
			[]string{"test.TestPromise09And10_CanariesStayInside"}},
		{9, "a notice names the client by address", "internal/gateway/notice.go",
			`out = append(out, c.Ref)`,
			`out = append(out, c.Ref, c.Email[0].String())`,
			[]string{"internal/gateway.TestARefusalLeavesAnAuditRowAndANotice"}},
		{9, "a reply says what went wrong inside", "internal/smtpd/reply.go",
			`	if public != "" {
		text = public
	}`,
			`	if public != "" {
		text = public
	} else if err != nil {
		text = err.Error()
	}`,
			[]string{"internal/smtpd.TestFaultTable"}},
		{9, "the value of a panic of the web listener is logged", "internal/httpd/server.go",
			`fmt.Sprintf("%T", p)`,
			`fmt.Sprint(p)`,
			[]string{"internal/httpd.TestPanicKeepsToItsRequest"}},
		{9, "the value of a panic is logged", "internal/smtpd/session.go",
			`	if recover() == nil {
		return
	}
	s.srv.cfg.Log.Error("panic",`,
			`	p := recover()
	if p == nil {
		return
	}
	s.srv.cfg.Log.Error("panic", "value", p,`,
			[]string{"internal/smtpd.TestPanicKeepsToItsConnection"}},

		// 10
		{10, "content is stored unsealed", "internal/store/accept.go",
			`if err := emit(n, key.aead.Seal(nil, nil, part, aad(string(id), "content", int64(c.Variant), n, last))); err != nil {`,
			`if err := emit(n, append([]byte(nil), part...)); err != nil {`,
			[]string{"internal/store.TestNoCanaryInClear"}},
		{10, "envelope and plan are stored unsealed", "internal/store/accept.go",
			`p.sealed = p.key.seal(a.Message.ID, "envelope", 0, a.Sealed)`,
			`p.sealed = a.Sealed`,
			[]string{"internal/store.TestNoCanaryInClear"}},
		{10, "the temporary file of a big message is in clear", "internal/store/spool.go",
			`sealed := p.aead.Seal(nil, nil, c[:], aad("", "spool", 0, p.done, false))`,
			`sealed := append(append([]byte(nil), c[:]...), make([]byte, p.aead.Overhead())...)`,
			[]string{"internal/store.TestSpool", "test.TestPromise10_SealedWhileItWaits"}},
		{10, "what is past its time keeps its key", "internal/store/retention.go",
			`SET dek = NULL, sealed = NULL WHERE`,
			`SET sealed = NULL WHERE`,
			[]string{"internal/store.TestSweepShreds"}},
		{10, "what is past its time keeps its content", "internal/store/retention.go",
			`	for _, row := range rows {
		if err := t.dropContent(row, ""); err != nil {`,
			`	for _, row := range rows[:0] {
		if err := t.dropContent(row, ""); err != nil {`,
			[]string{"internal/store.TestSweepShreds"}},
		{10, "an erased client stays in the write-ahead log", "internal/store/register.go",
			`	return s.Checkpoint(ctx)
}

// Resolve`,
			`	return nil
}

// Resolve`,
			[]string{"internal/store.TestEraseLeavesNothing"}},
		{10, "what says which ids an erased client saw is kept", "internal/store/register.go",
			"		if err := t.eraseThreads(`SELECT mac FROM lookups WHERE ref = $1`, ref); err != nil {\n			return err\n		}\n", "",
			[]string{"internal/store.TestThreadsAreErasedAndForgotten"}},
		{10, "what was kept about mail to an erased client stays", "internal/store/register.go",
			"		if err := t.eraseFacts(`SELECT mac FROM lookups WHERE ref = $1`, ref); err != nil {\n			return err\n		}\n", "",
			[]string{"internal/gateway.TestFactsHoldNoContent"}},
		{10, "what is kept about a mail stands in clear", "internal/store/facts.go",
			`s.keys.facts.Seal(nil, nil, f.Record, factsAAD(id))`, `f.Record`,
			[]string{"internal/gateway.TestFactsHoldNoContent"}},
		{10, "what is kept about a mail names who got it", "internal/filter/record.go",
			`pseudonym(a.Key()), pseudonym(a.Domain)`, `a.Key(), a.Domain`,
			[]string{"internal/filter.TestAReplayIsTheDecision"}},

		// 11
		{11, "a replay takes what nobody knows for no", "internal/filter/record.go",
			`out = max(out, unknown)`, `out = max(out, no)`,
			[]string{"internal/filter.TestWhatARecordKnows", "internal/gateway.TestReplayOfThePast"}},
		{11, "a replay answers for a word list that has changed", "internal/filter/record.go",
			`"mentions "+l.Name()+" "+digests(l.Name())`, `"mentions "+l.Name()`,
			[]string{"internal/filter.TestWhatARecordKnows"}},
		{11, "a replay lets a copy pass that nobody ever checked", "internal/filter/record.go",
			`out.Unchecked = out.Unchecked && out.Outcome == Send`, `out.Unchecked = false`,
			[]string{"internal/filter.TestAReplaySaysWhatWasNeverChecked", "internal/gateway.TestReplayOfThePast"}},
		{11, "a day of rules on trial is summed up twice", "internal/store/facts.go",
			`if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		first = true`, `first = r != nil`,
			[]string{"internal/store.TestOnceIsOnce", "internal/gateway.TestSeveralProcessesMakeOneSummary"}},
		{11, "the chain of the audit leaves out who acted", "internal/store/audit.go",
			`[]string{message, kind, actor, data}`,
			`[]string{message, kind, data}`,
			[]string{"internal/store.TestAuditFindsEveryChange"}},
		{11, "the chain of the audit leaves out when", "internal/store/audit.go",
			`	binary.BigEndian.PutUint64(n[:], uint64(at))
	h.Write(n[:])
`, ``,
			[]string{"internal/store.TestAuditFindsEveryChange"}},
		{11, "whoever writes the whole chain anew is not noticed", "internal/store/audit.go",
			`case !hmac.Equal(seal, s.keys.headMAC(seq, sum)):`,
			`case len(seal) == 0 && !hmac.Equal(seal, s.keys.headMAC(seq, sum)):`,
			[]string{"internal/store.TestPromise11ARewrittenHeadIsFound"}},
		{11, "the end of the audit can be cut off", "internal/store/audit.go",
			`	case rows != seq:
		return rows, broken(rows+1, "is missing: the end of the chain was cut off")
	case !bytes.Equal(prev, sum):`,
			`	case rows == seq && !bytes.Equal(prev, sum):`,
			[]string{"internal/store.TestAuditFindsEveryChange", "test.TestPromise11_ChangedAuditRowIsFound"}},
		{11, "a decision does not say which rules and policies made it", "internal/gateway/submit.go",
			`"policy": d.snap.ID, "rules": strings.Join(rules, " "),`,
			`"rules": "",`,
			[]string{"internal/gateway.TestPromise11ADecisionNamesItsRules"}},

		// 13
		{13, "an attachment is encoded anew", "internal/mail/build.go",
			`	case p.fresh || p.wire&wireForbidden != 0:`,
			`	case p.fresh || p.wire&wireForbidden != 0 || p.Disposition == "attachment":`,
			[]string{"internal/gateway.TestPromise13UntouchedPartsLeaveAsTheyCame"}},
		{13, "an attachment loses its last byte", "internal/mail/build.go",
			`	default:
		n.copy = &p.Body
		if`,
			`	default:
		n.copy = &Range{p.Body.Start, max(p.Body.Start, p.Body.End-1)}
		if`,
			[]string{"internal/gateway.TestPromise13UntouchedPartsLeaveAsTheyCame"}},
		{13, "text with bytes that are wrong in its charset is written anew", "internal/mail/build.go",
			`own = own || !b.m.survives(p)`,
			`own = own || b.m.survives(p) && b == nil`,
			[]string{"internal/mail.TestEditsChangeOnlyWhatTheyMust"}},
		{13, "a text loses the parameter that says how its lines join", "internal/mail/build.go",
			`" format delsp method`,
			`" format method`,
			[]string{"internal/mail.TestEditsChangeOnlyWhatTheyMust"}},
		{13, "parts change their order", "internal/mail/build.go",
			`kids = append(kids, n)`,
			`kids = append([]*node{n}, kids...)`,
			[]string{"internal/mail.TestEditsChangeOnlyWhatTheyMust"}},
		{13, "a subject has an encoded word inside another word", "internal/mail/encode.go",
			`last += blanks - 1`,
			`last += blanks`,
			[]string{"internal/mail.TestHeaderTextRoundTrip"}},
		{13, "lines that are too long leave as they are", "internal/mail/parse.go",
			`const wireForbidden = wireLong | wireCR`,
			`const wireForbidden = wireCR`,
			[]string{"internal/mail.TestWireForbids"}},
		{13, "8-bit content goes to a smarthost that does not offer it", "internal/relay/transaction.go",
			`case b >= 0x80 && !w.eightBit:`,
			`case b >= 0x80 && !w.eightBit && w.failed:`,
			[]string{"internal/relay.TestEightBitNotOffered"}},

		// 14
		{14, "the door takes messages of any size", "internal/gateway/submit.go",
			`	if n > g.limits.Bytes {
		return`,
			`	if n < 0 {
		return`,
			[]string{"internal/gateway.TestPromise14LimitsAtTheDoor"}},
		{14, "the door reads a message to its end, however long it is", "internal/gateway/submit.go",
			`io.LimitReader(r, g.limits.Bytes+1)`,
			`io.Reader(r)`,
			[]string{"internal/gateway.TestPromise14LimitsAtTheDoor"}},
		{14, "SMTP reads messages of any size", "internal/smtpd/session.go",
			`	b.left -= int64(n)
`, ``,
			[]string{"internal/smtpd.TestB20_TooLargeAndCutShort"}},
		{14, "parts may be nested without end", "internal/mail/parse.go",
			`case container && len(p.stack)+1 >= p.lim.Depth:`,
			`case container && len(p.stack)+1 >= 1000*p.lim.Depth:`,
			[]string{"internal/mail.TestB33_DepthAndParts"}},
		{14, "there may be any number of parts", "internal/mail/parse.go",
			`	if p.parts >= p.lim.Parts {`,
			`	if p.parts >= 1000*p.lim.Parts {`,
			[]string{"internal/mail.TestB33_DepthAndParts"}},
		{14, "a message is kept in memory whole", "internal/store/spool.go",
			`if p.file == nil && p.size <= p.memory {`,
			`if p.file == nil && p.size <= 1000*p.memory {`,
			[]string{"internal/store.TestSpool", "test.TestPromise14_MemoryIsBounded"}},
		{14, "any number of messages is in work at once", "internal/gateway/submit.go",
			`if err := from.Acquire(ctx, share); err != nil {`,
			`if err := from.Acquire(ctx, 0); err != nil {`,
			[]string{"internal/gateway.TestPromise14WorkWaitsForMemory"}},
		{14, "any number of visitors may open connections to the web listener", "internal/httpd/conns.go",
			`if len(c.all) >= c.most {`,
			`if len(c.all) >= 1<<20 {`,
			[]string{"internal/httpd.TestConnectionsAreBounded"}},
		{14, "one address may open any number of connections", "internal/smtpd/server.go",
			`|| s.perIP[key] >= s.cfg.Limits.ConnectionsPerIP {`,
			`|| s.perIP[key] < 0 {`,
			[]string{"internal/smtpd.TestCaps"}},

		// 15
		{15, "AUTH is passed on before TLS", "internal/smtpd/conn.go",
			`case "MAIL", "RCPT", "DATA", "AUTH", "VRFY":`,
			`case "AUTH":
			c.pending = []byte(line + "\r\n")
			c.greeted = true
			return true
		case "MAIL", "RCPT", "DATA", "VRFY":`,
			[]string{"internal/smtpd.TestB03_NothingBeforeTLS", "test.TestPromise15_NoSignInWithoutTLS"}},
		{15, "what was sent before TLS counts inside it", "internal/smtpd/conn.go",
			`			case c.in.Buffered() > 0:
				// RFC 3207`,
			`			case c.in.Buffered() < 0:
				// RFC 3207`,
			[]string{"internal/smtpd.TestB05_StartTLSInjection"}},
		{15, "everybody may use every address", "internal/policy/policy.go",
			`return !a.IsZero() && s.may[id][a.Key()] }`,
			`return !a.IsZero() }`,
			[]string{"internal/gateway.TestIdentityIsCheckedEverywhere", "test.TestPromise15_NobodySendsAsSomebodyElse"}},
		{15, "only the envelope is looked at, not From", "internal/gateway/identity.go",
			`own = own && ok(b.Address)`,
			`own = own && b.Address == b.Address`,
			[]string{"internal/gateway.TestIdentityIsCheckedEverywhere"}},
		{15, "a wrong password is taken for a right one", "internal/store/submitters.go",
			`return fault.New(fault.Unauthenticated, "wrong name or app password")`,
			`return nil`,
			[]string{"internal/store.TestAppPasswords", "test.TestPromise15_NobodySendsAsSomebodyElse"}},
		{15, "a sign-in that failed is a sign-in", "internal/smtpd/auth.go",
			`	if err == nil {
		s.srv.tries.succeeded(ip, name)`,
			`	if err == nil || submitter == "" {
		s.srv.tries.succeeded(ip, name)`,
			[]string{"internal/smtpd.TestB04_BadSignIns"}},
		{15, "others may reach the web listener in clear", "cmd/gateway/config.go",
			`if !isLoopback(host) && h.TLS.Cert == "" && public.Scheme != "https" {`,
			`if host == "nowhere" {`,
			[]string{"cmd/gateway.TestBadConfigurations"}},
		{15, "a request may hide in the body of another", "internal/httpd/server.go",
			`case r.ContentLength != 0 || len(r.TransferEncoding) > 0:`,
			`case len(r.TransferEncoding) > 9:`,
			[]string{"internal/httpd.TestHostileRequests"}},
		{15, "one person signs in for another", "internal/smtpd/session.go",
			`if identity != "" && identity != name {`,
			`if identity == "" && name == "" {`,
			[]string{"internal/smtpd.TestB04_BadSignIns", "test.TestPromise15_NobodySendsAsSomebodyElse"}},
		{15, "the smarthost's password goes out in clear", "internal/relay/client.go",
			`	if !c.secure {
		return broken("a password`,
			`	if !c.secure && c.s.host == "" {
		return broken("a password`,
			[]string{"internal/relay.TestF14_TLS"}},
		{15, "any certificate of the smarthost will do", "internal/relay/relay.go",
			`s.tls = &tls.Config{ServerName: s.host,`,
			`s.tls = &tls.Config{InsecureSkipVerify: true, ServerName: s.host,`,
			[]string{"internal/relay.TestF14_TLS"}},
	}
}
