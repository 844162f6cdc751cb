package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// exportChunk makes one attempt at a chunk of an export, the last of the trail.
// One that ends before it has seen its entries leaves open whether they were
// sent before, and says so with Unknown: whoever comes next asks the vendor.
func (a *Activities) exportChunk(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, trail Trail) (out outcome) {
	exporter, ok := adapter.(adapters.Exporter)
	if !ok {
		out.verdict = adapters.Fault(classify.Configuration, "export:adapter", "adapter "+in.AdapterName+" takes no exports")
		out.verdict.Unknown = true
		return out
	}
	var c Chunk
	if err := json.Unmarshal(in.Body, &c); err != nil {
		out.verdict = adapters.Fault(classify.Internal, "export:body", "the chunk's body cannot be read")
		return out
	}
	if c.Step == FaultsStep {
		return a.lateFaults(ctx, in, c, exporter, conn)
	}
	entries, sent, err := runlog.TakeChunk(ctx, a.DB, in.OrganizationID, c.ExportID, c.Chunk)
	if err != nil {
		out.verdict = adapters.Fault(classify.Dependency, "export:entries", fmt.Sprintf("the entries could not be read: %v", err))
		out.verdict.Unknown = true
		return out
	}
	if len(entries) == 0 { // settled before, by an attempt that could not report it
		out.verdict = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: RuleSettled}
		out.answer.ReadBack = true
		return out
	}
	if c.Step == VerifyStep {
		return a.verifyChunk(ctx, in, c, exporter, conn, entries)
	}
	trail[len(trail)-1].Marked = !sent
	conn.Uncertain = conn.Uncertain || sent && !trail.Marked()
	return a.sendChunk(ctx, in, c, exporter, conn, entries)
}

// sendChunk sends entries and records that the vendor has them.
//
// They are marked as sent before anybody sends them. Who finds them marked by
// another invocation does not know what that one got done, and neither does who
// follows an attempt without an answer: both let the adapter ask the vendor
// first. The doubt stays until the vendor has said what it has: an attempt that
// could not even ask is as unknown as the one before it. An answer that cannot
// be recorded counts as lost for the same reason.
func (a *Activities) sendChunk(ctx context.Context, in Invocation, c Chunk, exporter adapters.Exporter, conn *adapters.Conn, entries []runlog.Entry) (out outcome) {
	lines := make([]adapters.Entry, len(entries))
	for i, e := range entries {
		lines[i] = adapters.Entry{Key: e.VendorKey, Voucher: e.VoucherID, Account: e.Account, Amount: e.Amount, Currency: e.Currency,
			Text: e.Text, Dimensions: e.Dimensions, Date: e.Date}
	}
	body, err := exporter.ExportBody(conn.Settings, lines)
	if err != nil {
		out.verdict = adapters.Fault(classify.Transformation, "export:body", err.Error())
		out.verdict.Unknown = conn.Uncertain
		return out
	}
	plan, err := exporter.Plan(adapters.Call, body)
	if err != nil || plan.Guard == adapters.Unsafe {
		out.verdict = adapters.Fault(classify.Internal, "export:guard", "the adapter made a request that cannot be looked up")
		return out
	}
	out.guard = plan.Guard
	resp, v := exporter.Do(ctx, conn, adapters.Call, body)
	if v.Class != classify.Success {
		v.Unknown = v.Unknown || conn.Uncertain && plan.Guard == adapters.Readback
		out.verdict = v
		return out
	}
	out.verdict = v
	err = runlog.SettleChunk(ctx, a.DB, in.OrganizationID, c.ExportID, c.Chunk, "exported", "", exporter.References(lines, resp))
	if err != nil {
		out.verdict = unrecorded(err)
		return out
	}
	out.answer = Answer{HTTPStatus: resp.Status, ReadBack: resp.ReadBack} // the vendor's list of new IDs is in the entry table
	return out
}

// verifyChunk asks which entries of a refused chunk the vendor has, where a
// refusal does not mean that nothing was stored: all, and they are exported;
// none, and they are rejected; some, and a person has to look.
func (a *Activities) verifyChunk(ctx context.Context, in Invocation, c Chunk, exporter adapters.Exporter, conn *adapters.Conn, entries []runlog.Entry) (out outcome) {
	keys := adapters.Keys{Keys: make([]string, len(entries))}
	for i, e := range entries {
		keys.Keys[i] = e.VendorKey
	}
	conn.Purpose = limits.Readback
	found, resp, v := lookUp(ctx, exporter, conn, keys)
	out.guard, out.verdict = adapters.ReadOnly, v
	if v.Class != classify.Success {
		return out
	}
	state, reason := "rejected", c.Reason
	references := make(map[string]string)
	for k, f := range found {
		references[k] = f.Reference
	}
	switch len(found) {
	case 0:
	case len(entries):
		state, reason = "exported", ""
	default:
		state, reason = "unknown", fmt.Sprintf("%d of %d lines are at the vendor after a refusal: %s", len(found), len(entries), c.Reason)
	}
	if err := runlog.SettleChunk(ctx, a.DB, in.OrganizationID, c.ExportID, c.Chunk, state, cut(reason), references); err != nil {
		out.verdict = unrecorded(err)
		return out
	}
	out.answer = Answer{HTTPStatus: resp.Status}
	return out
}

// lateFaults asks what the vendor found faulty of late and records it against
// the entries, also of earlier exports: they closed before it was found, or ended
// before they could ask.
func (a *Activities) lateFaults(ctx context.Context, in Invocation, c Chunk, exporter adapters.Exporter, conn *adapters.Conn) (out outcome) {
	conn.Purpose = limits.Lookup
	since, err := runlog.FaultsSince(ctx, a.DB, in.OrganizationID, c.ExportID)
	if err != nil {
		out.verdict = adapters.Fault(classify.Dependency, "export:entries", fmt.Sprintf("since when to ask could not be read: %v", err))
		return out
	}
	body, err := json.Marshal(adapters.FaultsSince{Since: since})
	if err != nil {
		out.verdict = adapters.Fault(classify.Internal, "export:body", err.Error())
		return out
	}
	out.guard = adapters.ReadOnly
	resp, v := exporter.Do(ctx, conn, adapters.LateFaults, body)
	out.verdict = v
	if v.Class != classify.Success {
		return out
	}
	var list []adapters.LateFault
	if err := json.Unmarshal(resp.Body, &list); err != nil {
		out.verdict = adapters.Fault(classify.Internal, "export:faults", "the adapter's list of faults cannot be read")
		return out
	}
	faults := make(map[string]string, len(list))
	r := redact.New(conn.Secrets()...)
	for _, f := range list {
		faults[f.Reference] = r.Text(f.Message)
	}
	if len(faults) > 0 {
		if _, err := runlog.RecordFaults(ctx, a.DB, in.OrganizationID, in.IntegrationID, c.ExportID, faults); err != nil {
			out.verdict = adapters.Fault(classify.Dependency, "export:record", fmt.Sprintf("the faults could not be recorded: %v", err))
			return out
		}
	}
	out.answer = Answer{HTTPStatus: resp.Status}
	return out
}

// lookUp asks which entries the vendor has.
func lookUp(ctx context.Context, x adapters.Exporter, conn *adapters.Conn, keys adapters.Keys) (map[string]adapters.Found, adapters.Response, classify.Verdict) {
	body, err := json.Marshal(keys)
	if err != nil {
		return nil, adapters.Response{}, adapters.Fault(classify.Internal, "lookup:body", err.Error())
	}
	resp, v := x.Do(ctx, conn, adapters.LookUp, body)
	if v.Class != classify.Success {
		return nil, resp, v
	}
	var found map[string]adapters.Found
	if err := json.Unmarshal(resp.Body, &found); err != nil {
		return nil, resp, adapters.Fault(classify.Internal, "lookup:answer", "the adapter's look-up cannot be read")
	}
	return found, resp, v
}

// unrecorded is the verdict on what the vendor did and the database did not
// take: it counts as lost, and the vendor is asked again.
func unrecorded(err error) classify.Verdict {
	v := adapters.Fault(classify.Dependency, "export:record", fmt.Sprintf("the vendor has answered and this could not be recorded: %v", err))
	v.Unknown = true
	return v
}
