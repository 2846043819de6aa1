package filter

import "sort"

// VerbKind is a word under a rule's do.
type VerbKind string

// The verbs that are built.
const (
	VerbSendSeparately           VerbKind = "send_separately"
	VerbBcc                      VerbKind = "bcc"
	VerbSubject                  VerbKind = "subject" // Arg: template
	VerbNeutralFirstLine         VerbKind = "neutral_first_line"
	VerbUseAlias                 VerbKind = "use_alias"
	VerbRemoveIdentifyingHeaders VerbKind = "remove_identifying_headers"
	VerbNeutralFilenames         VerbKind = "neutral_filenames"
	VerbCrisisSignature          VerbKind = "crisis_signature"
	VerbSignature                VerbKind = "signature" // Arg: signature of templates.yaml
	VerbExpectationLine          VerbKind = "expectation_line"
	VerbTrimQuotes               VerbKind = "trim_quotes"
	VerbPseudonymise             VerbKind = "pseudonymise"
	VerbRemove                   VerbKind = "remove" // Arg: kisses
	VerbLock                     VerbKind = "lock"
	VerbHold                     VerbKind = "hold"
	VerbHoldFor                  VerbKind = "hold_for" // Arg: person
	VerbRefuse                   VerbKind = "refuse"
	VerbNeverHold                VerbKind = "never_hold"
	VerbTell                     VerbKind = "tell" // Arg: person or role
)

// The verbs whose machinery is missing in this version: they hold, saying so.
const (
	VerbRemoveMetadata VerbKind = "remove_metadata"
	VerbLockAs         VerbKind = "lock_as"
)

// Verb is one thing that a rule does.
type Verb struct {
	Kind VerbKind
	Arg  string
}

// editRank is the order in which Render applies the edits.
var editRank = map[EditKind]int{
	EditNeutralFilenames:         0,
	EditRemoteContent:            1,
	EditTrimQuotes:               2,
	EditRemoveKisses:             3,
	EditPseudonymise:             4,
	EditNeutralFirstLine:         5,
	EditExpectationLine:          6,
	EditSignature:                7,
	EditCrisisSignature:          8,
	EditSubject:                  9,
	EditAlias:                    10,
	EditRemoveIdentifyingHeaders: 11,
}

// textEdit reports whether an edit changes what a signature covers: a body, or the fields of
// a part.
func textEdit(k EditKind) bool { return editRank[k] <= editRank[EditCrisisSignature] }

// mergeEdits puts edits in rank, each once.
func mergeEdits(lists ...[]Edit) []Edit {
	seen := map[Edit]bool{}
	var out []Edit
	for _, l := range lists {
		for _, e := range l {
			if !seen[e] {
				seen[e] = true
				out = append(out, e)
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if a, b := editRank[out[i].Kind], editRank[out[j].Kind]; a != b {
			return a < b
		}
		return out[i].Arg < out[j].Arg
	})
	return out
}

// stricter raises the finding's action, never lowers it.
func (f *Finding) stricter(a Action) { f.Action = max(f.Action, a) }

// do applies one verb to a finding that is being made. It returns what the verb could not do.
func (f *Finding) do(v Verb) (missing string) {
	switch v.Kind {
	case VerbSendSeparately:
		f.Separate = true
	case VerbBcc:
		f.Bcc = true
	case VerbSubject:
		f.Edits = append(f.Edits, Edit{Kind: EditSubject, Arg: v.Arg})
	case VerbNeutralFirstLine:
		f.Edits = append(f.Edits, Edit{Kind: EditNeutralFirstLine})
	case VerbUseAlias:
		f.Edits = append(f.Edits, Edit{Kind: EditAlias})
	case VerbRemoveIdentifyingHeaders:
		f.Edits = append(f.Edits, Edit{Kind: EditRemoveIdentifyingHeaders})
	case VerbNeutralFilenames:
		f.Edits = append(f.Edits, Edit{Kind: EditNeutralFilenames})
	case VerbCrisisSignature:
		f.Edits = append(f.Edits, Edit{Kind: EditCrisisSignature})
	case VerbSignature:
		f.Edits = append(f.Edits, Edit{Kind: EditSignature, Arg: v.Arg})
	case VerbExpectationLine:
		f.Edits = append(f.Edits, Edit{Kind: EditExpectationLine})
	case VerbTrimQuotes:
		f.Edits = append(f.Edits, Edit{Kind: EditTrimQuotes})
	case VerbPseudonymise:
		f.Edits = append(f.Edits, Edit{Kind: EditPseudonymise})
	case VerbRemove:
		f.Edits = append(f.Edits, Edit{Kind: EditRemoveKisses})
	case VerbLock, VerbLockAs:
		f.stricter(Lock)
		if v.Kind == VerbLockAs {
			f.LockAs = v.Arg
		}
	case VerbHold:
		f.stricter(Hold)
	case VerbHoldFor:
		f.stricter(Hold)
		f.Fixed = true
		if f.HoldFor == "" || v.Arg < f.HoldFor {
			f.HoldFor = v.Arg // whatever the order of the verbs
		}
	case VerbRefuse:
		f.stricter(Refuse)
		f.Status = refused
	case VerbNeverHold:
		f.NeverHold = true
	case VerbTell:
		f.Tell = append(f.Tell, v.Arg)
	default:
		f.stricter(Hold)
		return string(v.Kind)
	}
	return ""
}
