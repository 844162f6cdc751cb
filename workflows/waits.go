package workflows

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// ProgressReport is how far a [Sync] is, and why it waits if it does. Whoever needs only
// how far it is decodes it as an [exports.Progress].
type ProgressReport struct {
	exports.Progress
	Waits *exports.WaitReason `json:"waits,omitempty"`
}

func reportOf(in SyncInput, p exports.Progress, now time.Time) ProgressReport {
	r := ProgressReport{Progress: p}
	if p.Export.DeferredUntil != nil || !p.WaitsUntil().IsZero() {
		reason := waitFacts(in, p).Reason(now)
		r.Waits = &reason
	}
	return r
}

// waitFacts are what a run knows itself of why it waits. By whom its integration was
// paused, and whether it still is, only the database knows.
func waitFacts(in SyncInput, p exports.Progress) exports.WaitFacts {
	f := exports.WaitFacts{
		Organization: in.OrganizationID.String(), Integration: in.IntegrationName, Vendor: integrations.VendorTitle(in.AdapterName), Period: in.Period,
		DeferredFor: p.Export.DeferredFor, OpenUntil: p.WaitsUntil(),
	}
	if until := p.Export.DeferredUntil; until != nil {
		f.DeferredUntil, f.Paused = *until, p.Export.DeferredFor == classify.Paused
	}
	return f
}
