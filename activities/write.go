package activities

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// write makes one attempt at an ad-hoc write. Its correlation ID is claimed before
// the first byte leaves, so that it stands for this request for good, whatever
// becomes of the workflow: without a claim nothing is sent, a claim that is done
// is answered from the record, and an open one is looked up.
func (a *Activities) write(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration, request adapters.Description, trail Trail) (out outcome) {
	if in.Idempotent {
		request.Guard = adapters.Idempotent
	}
	out.guard = request.Guard
	deadline, _ := ctx.Deadline()
	same, _ := adapter.Vendor().InFlightOf(spec.InFlight)
	sum := sha256.Sum256(in.Body)
	claim := runlog.WriteClaim{
		OrganizationID: in.OrganizationID, CorrelationID: in.CorrelationID, IntegrationID: in.IntegrationID, Operation: string(in.Operation),
		BodySHA256: hex.EncodeToString(sum[:]), Actor: in.Actor, RunID: a.options.RunID(ctx), Attempt: trail.Last().Number - trail.before(),
		Place: adapter.Vendor().Address(spec.BaseURL, spec.Settings),
	}
	take := func(repeat bool) (runlog.WriteClaimResult, bool) {
		c, err := a.options.Store.ClaimWrite(ctx, claim, time.Until(deadline), same, repeat)
		var conflict *runlog.ConflictError
		var again *runlog.MadeAgainError
		switch {
		case errors.As(err, &conflict):
			out.verdict = classify.NewVerdict(classify.ClaimConflict, "claim:other", conflict.Error())
		case errors.As(err, &again):
			out.verdict = classify.NewVerdict(classify.NotOwner, "claim:made-again", again.Error()+"; nothing was sent")
		case err != nil:
			out.verdict = a.storeVerdict(in, "ClaimWrite", "claim:unavailable", "the correlation ID could not be claimed, so nothing was sent", err)
		default:
			out.trail = trail.From(c.Attempt - claim.Attempt + 1)
			return c, true
		}
		return c, false
	}
	if late := tooLate(ctx, in.Policy); late != nil {
		out.verdict = *late
		return out
	}
	c, ok := take(request.Guard == adapters.Idempotent)
	if !ok {
		return out
	}
	if !c.MaySend {
		if c.Effect == classify.Done {
			out.found, out.verdict = classify.Done, fromRecord
			out.answer = Answer{HTTPStatus: cmp.Or(c.HTTPStatus, http.StatusOK), ReadBack: true}
			return out
		}
		out.found, out.openUntil = c.Effect, c.OpenUntil // unless the look-up shows more
		if c.SentElsewhere != "" {
			out.verdict = classify.NewVerdict(classify.UnknownOutcome, "claim:moved", fmt.Sprintf(
				"it was sent to %s and may have taken effect there, and the integration leads to %s now; nothing was sent", c.SentElsewhere, claim.Place))
			out.asking = true
			return out
		}
		if request.Guard == adapters.Unsafe {
			out.verdict = classify.NewVerdict(classify.UnknownOutcome, "guard:unsafe",
				"an earlier attempt may have taken effect and this request cannot be looked up; it was not sent again")
			out.asking = true
			return out
		}
		if settled := a.settleWrite(ctx, in, adapter, conn, spec, request, c, &out); settled {
			return out
		}
		if late := tooLate(ctx, in.Policy); late != nil {
			out.verdict = *late
			return out
		}
		if c, ok = take(false); !ok {
			return out
		}
		if !c.MaySend { // another one, of a run that was reset, has taken it since it was looked up
			out.verdict, out.asking = a.unsettledUntil(spec, adapter.Vendor().Title, c.Wait), true
			out.found, out.openUntil = c.Effect, c.OpenUntil
			return out
		}
	}
	if out.openUntil = c.OpenUntil; c.Repeats {
		out.found = classify.Open
	}
	answer, v := do(ctx, adapter, conn, in.Operation, in.Body)
	if v.Effect == "" {
		v.Effect = classify.None // nothing was sent
	}
	if request.Guard == adapters.Unsafe && v.Unhandled() {
		// It cannot be looked up, and a server that answers 503 says that it did not
		// handle the request: docs/vendors.md names the risk.
		v.Effect, v.Ended = classify.None, false
	}
	out.verdict = v
	if v.Class == classify.Success {
		out.answer = answer
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	if err := a.options.Store.SettleWrite(recording, in.OrganizationID, in.CorrelationID, c.Attempt, v.Effect, v.Ended, v.HTTPStatus); err != nil {
		a.refusals().note("SettleWrite", "what is known of a write could not be recorded; its claim stays open", err, append(in.ids(), "effect", v.Effect)...)
		if v.Effect == classify.None { // the next attempt finds it open
			out.verdict.Effect = classify.Open
		}
	}
	return out
}

// fromRecord is the verdict on a write that was done before.
var fromRecord = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "claim:done"}

// settleWrite looks up whether an open write has happened. settled is false if it is
// proved that it has not and will not: then it may be sent.
func (a *Activities) settleWrite(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration, request adapters.Description, c runlog.WriteClaimResult, out *outcome) (settled bool) {
	out.asking = true
	finder, ok := adapter.(adapters.Finder)
	if !ok || len(request.Lookup) == 0 {
		out.verdict = classify.NewVerdict(classify.UnknownOutcome, "guard:unsafe", "an earlier attempt may have taken effect and this request cannot be looked up; it was not sent again")
		return true
	}
	control, err := a.options.Store.Control(ctx, in.OrganizationID, in.IntegrationID, adapter.Vendor().Place(spec.BaseURL, spec.Settings))
	if err != nil {
		out.verdict = a.storeVerdict(in, "LoadControl", "claim:control", "what is known to be at the vendor could not be read", err)
		return true
	}
	back := conn.For(limits.Readback)
	found, v := find(ctx, finder, conn, withControl(request.Lookup, control))
	back()
	v.Effect = "" // a look-up has none
	if out.verdict = v; v.Class != classify.Success {
		return true
	}
	there, elsewhere, other := 0, "", ""
	for _, s := range request.Lookup {
		switch f := found[s.Key]; {
		case f.Count > 1:
			other = fmt.Sprintf("%s is at the vendor %d times", s.Key, f.Count)
		case f.Count > 0 && s.Amount != "" && f.Amount != "" && !adapters.SameAmount(s.Amount, f.Amount):
			other = fmt.Sprintf("%s is at the vendor with the amount %s, and this request says %s", s.Key, f.Amount, s.Amount)
		case f.Count > 0:
			there++
		default:
			elsewhere = cmp.Or(elsewhere, f.Elsewhere)
		}
	}
	settle := func(effect classify.Effect) bool {
		err := a.options.Store.SettleWrite(ctx, in.OrganizationID, in.CorrelationID, c.Sent, effect, true, v.HTTPStatus)
		if err != nil {
			out.verdict = a.storeVerdict(in, "SettleWrite", "claim:record", "the vendor has answered and this could not be recorded", err)
			return false
		}
		out.found, out.openUntil, out.asking = effect, time.Time{}, false
		return true
	}
	blind := controlMissing(control, found)
	switch {
	case other != "": // perhaps of another request
		out.verdict = classify.NewVerdict(classify.UnknownOutcome, "ask:other", other+"; it may have been there before, and nothing was sent")
		return true
	case there == len(request.Lookup):
		if settle(classify.Done) {
			body, _ := json.Marshal(map[string]any{"found": found})
			out.answer = Answer{HTTPStatus: v.HTTPStatus, Body: body, ReadBack: true}
		}
		return true
	case !c.Due:
		out.verdict = a.unsettledUntil(spec, adapter.Vendor().Title, c.Wait)
		return true
	case blind != nil:
		out.verdict = *blind
		return true
	case there > 0:
		out.verdict = classify.NewVerdict(classify.UnknownOutcome, "ask:partial", fmt.Sprintf(
			"%d of %d records are at the vendor after an attempt whose outcome is unknown; nothing more was sent", there, len(request.Lookup)))
		return true
	case elsewhere != "":
		out.verdict = classify.NewVerdict(classify.UnknownOutcome, "ask:elsewhere", elsewhere+"; nothing was sent, since that may be this request")
		return true
	}
	return !settle(classify.None)
}
