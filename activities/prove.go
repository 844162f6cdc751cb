package activities

import (
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// proof is what an answer to a look-up proves.
type proof struct {
	runlog.LookupAnswer
	open int           // entries that stay open
	wait time.Duration // until the last of them can be closed
	why  string        // of an unknown one
}

// prove reads the vendor's answer to a look-up of open entries. What is there
// is done, at any time. What is not there proves nothing before its time; after
// it, the entries of one sending are taken together: where the vendor documents
// a request as all or nothing and only some of it is there, a person must look,
// and so must one where something that may be the entry is elsewhere.
func prove(open []runlog.ChunkEntry, found map[string]adapters.LookupResult, atomic bool) proof {
	p := proof{LookupAnswer: runlog.LookupAnswer{Exported: map[string]string{}, Unknown: map[string]string{}}}
	partly := make(map[runlog.Sending]int) // sendings of which something is there
	whole := make(map[runlog.Sending]int)
	for _, e := range open {
		whole[e.SentIn]++
		f := found[e.VendorKey]
		if f.Count > 0 {
			p.Exported[e.EntryID] = f.Reference
			partly[e.SentIn]++
		}
	}
	for _, e := range open {
		f := found[e.VendorKey]
		switch {
		case f.Count > 0:
		case e.Wait > 0:
			p.open++
			p.wait = max(p.wait, e.Wait)
		case f.Elsewhere != "":
			p.why = "not in the journal, and " + f.Elsewhere + "; if it is this voucher: starter exports resolve --there"
			p.Unknown[e.EntryID] = p.why
		case atomic && (partly[e.SentIn] > 0 || e.PartlyExported):
			p.why = fmt.Sprintf("%d of %d lines of a request that is all or nothing are at the vendor; see starter exports resolve", partly[e.SentIn], whole[e.SentIn])
			p.Unknown[e.EntryID] = p.why
		default:
			p.Absent = append(p.Absent, e.EntryID)
		}
	}
	return p
}

// withControl adds to a look-up what is known to be there.
func withControl(sought []adapters.LookupKey, control *runlog.Control) []adapters.LookupKey {
	if control == nil {
		return sought
	}
	sought = slices.Clip(sought)
	for _, k := range control.VendorKeys {
		sought = append(sought, adapters.LookupKey{Key: k, Voucher: control.VoucherID, Known: true})
	}
	return sought
}

// controlMissing is the verdict on an answer that does not show what is known to be
// there, and so proves nothing of what else it does not show; nil if it shows all
// of it.
func controlMissing(control *runlog.Control, found map[string]adapters.LookupResult) *classify.Verdict {
	if control == nil {
		return nil
	}
	for _, k := range control.VendorKeys {
		if found[k] == (adapters.LookupResult{}) {
			v := classify.NewVerdict(classify.Untrusted, "lookup:control", fmt.Sprintf(
				"the look-up does not show entry %s, which is known to be there, so it proves nothing of the others", k))
			return &v
		}
	}
	return nil
}
