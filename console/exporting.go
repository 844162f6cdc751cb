package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// preview is what an export of a period would do now.
type preview struct {
	Integration integrationName   `json:"integration"`
	Period      string            `json:"period"`
	Entries     int               `json:"entries"`
	Vouchers    int               `json:"vouchers"`
	Late        int               `json:"lateEntries"`
	Amounts     map[string]string `json:"amounts"`
	Refused     []refusedRow      `json:"refused"`          // vouchers that would be refused before they are sent
	Export      *statement.Export `json:"export,omitempty"` // that the period has already
	Paused      bool              `json:"paused"`
	Unfinished  bool              `json:"unfinished"` // the period has not ended
	Message     string            `json:"message,omitempty"`
}

type refusedRow struct {
	VoucherID string `json:"voucherId"`
	Reason    string `json:"reason"`
}

// newExport is the export of the path's period that somebody asks for.
func (r *request) newExport() (in integrations.Integration, run workflows.SyncInput, ended bool, err error) {
	if in, err = r.findIntegration(); err != nil {
		return in, run, false, err
	}
	if _, _, err := exports.ParsePeriod(r.PathValue("period")); err != nil {
		return in, run, false, notFound()
	}
	if run, err = engine.NewSync(in, r.PathValue("period"), r.who.Actor()); err != nil {
		return in, run, false, err
	}
	notDue, err := outlook.Due(r.Context(), r.db(), in, engine.ExportOf(run), r.now, false)
	var overlap *runlog.OverlapError
	if errors.As(err, &overlap) {
		return in, run, false, refuse(http.StatusConflict, "overlap", "period", r.said.Period(run.Period)).detailed(overlap.Error())
	}
	if err != nil {
		return in, run, false, err
	}
	if notDue == nil {
		return in, run, true, nil
	}
	if notDue, err = outlook.Due(r.Context(), r.db(), in, engine.ExportOf(run), r.now, true); err != nil {
		return in, run, false, err
	}
	if notDue != nil {
		return in, run, false, refuse(http.StatusConflict, "not_begun", "period", r.said.Period(run.Period))
	}
	return in, run, false, nil
}

// preview says what an export of the path's period would do now, and does nothing.
func (r *request) preview() (any, error) {
	in, run, ended, err := r.newExport()
	if err != nil {
		return nil, err
	}
	dry, err := outlook.Preview(r.Context(), r.db(), r.c.Sources, in, engine.ExportOf(run), run.Vouchers, r.now)
	if err != nil {
		return nil, err
	}
	p := preview{
		Integration: nameOf(in), Period: run.Period, Entries: dry.Entries, Vouchers: dry.Vouchers, Late: dry.Late, Amounts: dry.Amounts, Refused: []refusedRow{},
		Export: dry.Export, Paused: dry.Paused != "", Unfinished: !ended, Message: dry.Message,
	}
	for _, v := range dry.Refused {
		p.Refused = append(p.Refused, refusedRow{v.VoucherID, r.said.Reason(in.Adapter, v.Message, false).Text})
	}
	return p, nil
}

type exportInput struct {
	Unfinished bool `json:"unfinished,omitempty"` // also if the period has not ended
}

// started is what starting a run came to.
type started struct {
	WorkflowID string `json:"workflowId"`
	Period     string `json:"period"`
}

// export starts the export of the path's period. One that it has already is left alone.
func (r *request) export(in exportInput) (*done, error) {
	spec, run, ended, err := r.newExport()
	if err != nil {
		return nil, err
	}
	if !ended && !in.Unfinished {
		return nil, refuse(http.StatusConflict, "not_ended", "period", r.said.Period(run.Period))
	}
	if has, err := runlog.LoadExportOfPeriod(r.Context(), r.db(), r.org.ID, spec.ID, run.Period); err != nil {
		return nil, err
	} else if has != nil && has.Status != exports.Pending {
		return nil, refuse(http.StatusConflict, "exported", "period", r.said.Period(run.Period))
	}
	return r.start(spec, run, nil)
}

// start starts a run, or joins the one of its period, and waits until it is on record, if that
// does not take long.
func (r *request) start(spec integrations.Integration, run workflows.SyncInput, before any) (*done, error) {
	if r.c.Temporal == nil {
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable")
	}
	if err := r.c.ready(r.Context()); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable").because(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), engineWithin)
	defer cancel()
	options := engine.SyncOptions(run)
	if run.Trigger == exports.ByRetry { // one that runs was asked for other vouchers: to join it would promise what it does not do
		options.WorkflowIDConflictPolicy, options.WorkflowExecutionErrorWhenAlreadyStarted = enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL, true
	}
	handle, err := r.c.Temporal.ExecuteWorkflow(ctx, options, workflows.SyncName, run)
	switch {
	case temporal.IsWorkflowExecutionAlreadyStartedError(err):
		return nil, refuse(http.StatusConflict, "retry_others_retried", "period", r.said.Period(run.Period)).because(err)
	case err != nil:
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable").because(err)
	}
	r.awaitClaim(spec, run)
	return &done{
		Status: http.StatusAccepted, Target: periodPath(spec.Name, run.Period), Before: before,
		Result: started{handle.GetID(), run.Period}, After: started{handle.GetID(), run.Period},
	}, nil
}

// Waits of an operation: for Temporal, and for a run to be on record.
const (
	engineWithin = 10 * time.Second
	claimWithin  = 3 * time.Second
)

// awaitClaim waits until a run has its export on record. That it has not may be because no
// worker is there, which its page says.
func (r *request) awaitClaim(spec integrations.Integration, run workflows.SyncInput) {
	ctx, cancel := context.WithTimeout(r.Context(), claimWithin)
	defer cancel()
	for {
		list, err := runlog.ExportsOfPeriod(ctx, r.db(), r.org.ID, spec.ID, run.Period)
		for _, e := range list {
			if run.ParentID == nil && e.ParentID == nil || run.ParentID != nil && e.ParentID != nil && *e.ParentID == *run.ParentID {
				return
			}
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

type retryInput struct {
	Vouchers []string `json:"vouchers,omitempty"` // of the refused ones, only these; none are all
}

// retry sends what the period's exports did not export.
func (r *request) retry(in retryInput) (*done, error) {
	spec, c, err := r.findChain()
	if err != nil {
		return nil, err
	}
	if c.First().Trigger == exports.ByAdopting {
		return nil, refuse(http.StatusConflict, "adopted")
	}
	if len(in.Vouchers) == 0 && r.PostForm.Has("marked") {
		return nil, refuse(http.StatusBadRequest, "none_marked")
	}
	in.Vouchers = slices.Compact(slices.Sorted(slices.Values(in.Vouchers)))
	run, err := engine.NewRetry(spec, c, in.Vouchers, r.who.Actor())
	var refused *engine.RetryRefusedError
	if errors.As(err, &refused) {
		return nil, refuse(http.StatusConflict, "retry_"+string(refused.Why), "period", r.said.Period(c.First().Period)).because(err)
	} else if err != nil {
		return nil, err
	}
	err = runlog.CheckRefused(r.Context(), r.db(), r.org.ID, c, in.Vouchers)
	var not *runlog.NotRefusedError
	var naming *runlog.NamingError
	switch {
	case errors.As(err, &not):
		p := refuse(http.StatusConflict, "not_refused", "n", len(not.Vouchers))
		for _, v := range not.Vouchers {
			p.Lines = append(p.Lines, line{What: v})
		}
		return nil, p
	case errors.As(err, &naming) && naming.Empty:
		return nil, refuse(http.StatusBadRequest, "parameter", "name", "vouchers")
	case errors.As(err, &naming):
		return nil, refuse(http.StatusBadRequest, "too_many_vouchers", "n", runlog.MaxNamed)
	case err != nil:
		return nil, err
	}
	return r.start(spec, run, map[string]any{"counts": c.Counts, "vouchers": in.Vouchers})
}

type resolveInput struct {
	AtVendor string `json:"atVendor"` // yes or no: whether the vendor has it
	Reason   string `json:"reason"`
}

// resolved is what a person has found out about a voucher, by the exports that had sent it.
type resolved struct {
	Resolutions []runlog.Resolution `json:"resolutions"`
}

// resolve records what became of a voucher whose outcome could not be found out.
func (r *request) resolve(in resolveInput) (*done, error) {
	spec, c, err := r.findChain()
	if err != nil {
		return nil, err
	}
	if in.AtVendor != "yes" && in.AtVendor != "no" {
		return nil, refuse(http.StatusBadRequest, "parameter", "name", "atVendor")
	}
	reason, err := reasonFor(in.Reason)
	if err != nil {
		return nil, err
	}
	all, err := runlog.ResolveInChain(r.Context(), r.db(), r.org.ID, c, runlog.Resolution{VoucherID: r.PathValue("voucher"), AtVendor: in.AtVendor == "yes", Reason: reason, Actor: r.who.Actor()})
	var soon *runlog.UnsettledError
	var settled *runlog.SettledError
	var not *runlog.NotOpenError
	switch {
	case errors.As(err, &soon) && soon.Until != nil:
		return nil, refuse(http.StatusConflict, "too_soon", "time", r.said.Time(*soon.Until, r.now))
	case errors.As(err, &soon), errors.As(err, &settled), errors.As(err, &not):
		return nil, refuse(http.StatusConflict, "not_resolved")
	case err != nil:
		return nil, err
	}
	return &done{Target: r.periodHere(spec, c), Result: resolved{all}, After: resolved{all}, Before: map[string]any{"counts": c.Counts}}, nil
}

// reasonFor checks the reason that somebody gives for the record.
func reasonFor(s string) (string, error) {
	switch n := len([]rune(s)); {
	case n == 0:
		return "", refuse(http.StatusBadRequest, "no_reason")
	case n > 500:
		return "", refuse(http.StatusBadRequest, "long_reason", "n", 500)
	}
	return s, nil
}
