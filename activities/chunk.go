package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// chunkAttempt is one attempt at a chunk of an export. It has one path, whoever
// sent the entries before and however that ended: open the chunk, look up what is
// open, settle what the answer proves, mark what is left, send it, record what the
// answer proves.
type chunkAttempt struct {
	*Activities
	in       Invocation
	chunk    Chunk
	owner    exports.Owner
	exporter adapters.Exporter
	conn     *adapters.Conn
	spec     integrations.Integration
	sending  runlog.Sending
}

// exportChunk makes one attempt at a chunk of an export, the last of the trail.
func (a *Activities) exportChunk(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration, trail Trail) (out outcome) {
	exporter, ok := adapter.(adapters.Exporter)
	if !ok {
		out.verdict = classify.NewVerdict(classify.Configuration, "export:adapter", "adapter "+in.AdapterName+" takes no exports")
		return out
	}
	x := chunkAttempt{Activities: a, in: in, exporter: exporter, conn: conn, spec: spec}
	if err := json.Unmarshal(in.Body, &x.chunk); err != nil {
		out.verdict = classify.NewVerdict(classify.Internal, "export:body", "the chunk's body cannot be read")
		return out
	}
	switch x.chunk.Step {
	case exports.LateErrorsStep:
		return x.lateErrors(ctx)
	case exports.VerifyStep:
		return x.verifyBefore(ctx)
	case exports.PingStep:
		defer conn.For(limits.Lookup)()
		out.guard = adapters.ReadOnly
		_, out.verdict = do(ctx, exporter, conn, adapters.Ping, nil)
		out.verdict.Effect = ""
		return out
	}
	x.owner = exports.Owner{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, ExportID: x.chunk.ExportID, Fence: x.chunk.Fence, RunID: a.options.RunID(ctx),
		Place: exporter.Vendor().Place(spec.BaseURL, spec.Settings)}
	x.sending = runlog.Sending{CorrelationID: in.CorrelationID, Attempt: trail.Last().Number}
	return x.run(ctx)
}

// runID is the run ID of an activity's workflow, as Temporal gives it.
func runID(ctx context.Context) uuid.UUID {
	id, _ := uuid.Parse(activity.GetInfo(ctx).WorkflowExecution.RunID)
	return id
}

// run makes the attempt.
func (x chunkAttempt) run(ctx context.Context) (out outcome) {
	opened, err := runlog.LoadChunk(ctx, x.options.DB, x.owner, x.chunk.Chunk)
	if err != nil {
		out.verdict = x.refused("LoadChunk", "the entries could not be read", err)
		return out
	}
	if len(opened.Entries) == 0 { // settled before, by an attempt that could not report it
		out.verdict = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: RuleSettled}
		out.answer.ReadBack = true
		return out
	}
	entries, control := opened.Entries, opened.Control
	left := entries
	defer func() { out.entries, out.vouchers = len(left), vouchersOf(left) }()
	elsewhere := func(e runlog.ChunkEntry) bool {
		return e.SentTo != "" && e.SentTo != x.owner.Place && (e.Open || e.EarlierCanLand)
	}
	if moved := slices.IndexFunc(entries, elsewhere); moved >= 0 {
		out.verdict = classify.NewVerdict(classify.Configuration, "export:moved", fmt.Sprintf(
			"what was sent to %s may have taken effect there, and the integration leads to %s now: let it lead there again until a retry has looked it up, or record what is there with starter exports resolve",
			entries[moved].SentTo, x.owner.Place))
		return out
	}
	if slices.ContainsFunc(entries, func(e runlog.ChunkEntry) bool { return e.Open }) {
		var rest []runlog.ChunkEntry
		if out, rest = x.settleOpen(ctx, entries, control); out.verdict.Class != classify.Success {
			return out
		}
		left = rest
	}
	out.left = len(left)
	switch {
	case x.chunk.Step == exports.AskStep:
		if out.verdict.Class == "" { // everything was settled before
			out.verdict = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: RuleSettled}
		}
		return out
	case len(left) == 0:
		out.answer.ReadBack = true
		return out
	}
	if late := tooLate(ctx, x.in.Policy); late != nil {
		out.verdict = *late
		return out
	}
	return x.send(ctx, left, opened.Learned, out)
}

// lastMoment is when a request must have begun, at the latest, for its answer to
// come in time: when half of the attempt's time is left.
func lastMoment(deadline time.Time, p classify.Policy) time.Time {
	return deadline.Add(-(p.AttemptTimeout - margin(p.AttemptTimeout)) / 2)
}

// tooLate is the verdict on an attempt that could not send any more in time.
// Whoever marks and claims looks at it before; the sockets do when the first byte
// leaves, see [adapters.SendBy].
func tooLate(ctx context.Context, p classify.Policy) *classify.Verdict {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(lastMoment(deadline, p)) {
		v := classify.NewVerdict(classify.Late, "send:late", "what came before the request took more than half of the attempt's time; nothing was sent")
		return &v
	}
	return nil
}

// settleOpen looks up which of the open entries the vendor has and settles what the
// answer proves. left are the entries that are to be sent. The verdict is a
// success if nothing is open any longer.
func (x chunkAttempt) settleOpen(ctx context.Context, entries []runlog.ChunkEntry, control *runlog.Control) (out outcome, left []runlog.ChunkEntry) {
	out.guard, out.asking = adapters.ReadOnly, true
	var open []runlog.ChunkEntry
	var sendings []runlog.Sending // in which the open ones were sent
	sought := make([]adapters.LookupKey, 0, len(entries)+2)
	for _, e := range entries {
		if !e.Open {
			left = append(left, e)
			continue
		}
		open, sendings = append(open, e), append(sendings, e.SentIn)
		sought = append(sought, adapters.LookupKey{Key: e.VendorKey, Voucher: e.VoucherID})
	}
	back := x.conn.For(limits.Readback)
	found, v := find(ctx, x.exporter, x.conn, withControl(sought, control))
	back()
	v.Effect = "" // a look-up has none
	if out.verdict = v; v.Class != classify.Success {
		return out, nil
	}
	p := prove(open, found, x.exporter.Vendor().Export.Atomic)
	blind := controlMissing(control, found)
	if blind != nil { // what it shows is there all the same
		p.Absent, p.Unknown = nil, nil
	}
	if err := runlog.RecordAnswer(ctx, x.options.DB, x.owner, p.LookupAnswer, sendings); err != nil {
		out.verdict = x.refused("RecordAnswer", "the vendor has answered and this could not be recorded", err)
		return out, nil
	}
	if blind != nil && len(p.Exported) < len(open) {
		out.verdict = *blind
		return out, nil
	}
	if p.open > 0 {
		out.verdict = x.unsettled(p.wait)
		return out, nil
	}
	if out.found = classify.None; len(p.Exported) > 0 {
		out.found = classify.Done
	}
	for _, e := range open {
		if slices.Contains(p.Absent, e.EntryID) {
			left = append(left, e)
		}
	}
	if len(p.Unknown) > 0 && len(left) == 0 {
		out.verdict = classify.NewVerdict(classify.UnknownOutcome, "ask:partial", p.why)
		return out, nil
	}
	slices.SortFunc(left, func(a, b runlog.ChunkEntry) int { // whole vouchers stand together
		return cmp.Or(cmp.Compare(a.VoucherID, b.VoucherID), cmp.Compare(a.EntryID, b.EntryID))
	})
	out.asking = false
	return out, left
}

// unsettledUntil is the verdict on a look-up that came too early: what was not
// found can still take effect.
func (a *Activities) unsettledUntil(spec integrations.Integration, title string, wait time.Duration) classify.Verdict {
	wait = max(wait, 50*time.Millisecond)
	v := classify.NewVerdict(classify.Unsettled, "ask:early", fmt.Sprintf("waiting until %s for what %s may still be doing",
		spec.Moment(a.options.Now().Add(wait)), title))
	v.RetryAfter = wait
	return v
}

func (x chunkAttempt) unsettled(wait time.Duration) classify.Verdict {
	return x.unsettledUntil(x.spec, x.exporter.Vendor().Title, wait)
}

// send marks entries as open, sends them, and records what the answer proves.
func (x chunkAttempt) send(ctx context.Context, entries []runlog.ChunkEntry, learned map[string]string, out outcome) outcome {
	lines, ids := make([]adapters.Entry, len(entries)), make([]string, len(entries))
	byKey := make(map[string]string, len(entries))
	for i, e := range entries {
		lines[i] = adapters.Entry{Key: e.VendorKey, Voucher: e.VoucherID, Account: e.Account, Amount: e.Amount, Currency: e.Currency,
			Text: e.Text, Dimensions: e.Dimensions, Date: e.Date}
		ids[i], byKey[e.VendorKey] = e.EntryID, e.EntryID
	}
	body, err := x.exporter.ExportBody(adapters.Form{Settings: x.conn.Settings, Learned: learned}, lines)
	switch {
	case errors.Is(err, adapters.ErrTooLarge) && vouchersOf(entries) > 1: // the voucher is not to blame
		out.verdict = classify.NewVerdict(classify.PayloadTooLarge, "export:size", err.Error())
		out.verdict.Effect = classify.None
		return out
	case err != nil:
		out.verdict = classify.NewVerdict(classify.Transformation, "export:body", err.Error())
		return out
	}
	request, err := x.conn.Describe(x.exporter, adapters.Call, body)
	if err != nil || request.Guard == adapters.Unsafe || request.Guard == adapters.ReadOnly {
		out.verdict = classify.NewVerdict(classify.Internal, "export:guard", "the adapter made a request that cannot be looked up")
		return out
	}
	out.guard = request.Guard
	deadline, _ := ctx.Deadline()
	out.openUntil, err = runlog.MarkChunk(ctx, x.options.DB, x.owner, ids, x.sending, time.Until(deadline), inFlightOf(x.exporter.Vendor(), x.spec.InFlight))
	if soon := (*runlog.TooSoonError)(nil); errors.As(err, &soon) {
		out.verdict, out.asking = x.unsettled(soon.Wait), true
		return out
	} else if err != nil {
		out.verdict = x.refused("MarkChunk", "the entries could not be marked, so nothing was sent", err)
		return out
	}
	status, references, v := sendEntries(ctx, x.exporter, x.conn, body, lines)
	v = confirmed(v)
	names := make(map[string]string, len(entries))
	for key, name := range references {
		names[byKey[key]] = name
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	step := "RecordSend"
	if v.Kind.RefusesContent() {
		step = "RecordRefusal"
		var until time.Time
		if until, err = runlog.RecordRefusal(recording, x.options.DB, x.owner, ids, x.sending, v.Effect, v.Ended); !until.IsZero() {
			v.Effect, v.Ended, out.openUntil = classify.Open, false, until
		}
	} else {
		err = runlog.RecordSend(recording, x.options.DB, x.owner, ids, x.sending, v.Effect, v.Ended, names)
	}
	if err != nil {
		unrecorded := x.refused(step, "the vendor has answered and this could not be recorded", err)
		if v.Effect == classify.Done { // it is looked up again
			v = unrecorded
		}
		v.Effect, v.Ended = classify.Open, false
	}
	out.verdict = v
	if v.Class == classify.Success {
		out.answer = Answer{HTTPStatus: status} // the vendor's list of new IDs is in the entry table
	}
	return out
}

// vouchersOf counts the vouchers of entries.
func vouchersOf(entries []runlog.ChunkEntry) int {
	ids := make(map[string]bool)
	for _, e := range entries {
		ids[e.VoucherID] = true
	}
	return len(ids)
}

// inFlightOf is how long a request can take effect after its deadline. Where an
// entry is added and never replaced, other content makes no difference: what was
// proved to have had no effect is sent again at once.
func inFlightOf(v adapters.Vendor, override *time.Duration) runlog.InFlight {
	same, changed := v.InFlightOf(override)
	if v.InFlightChanged == 0 {
		changed = 0
	}
	return runlog.InFlight{Same: same, Changed: changed}
}

// recordFor is how long the recording of a fact may take, also when the attempt's
// own time is up: the fact is worth more than the report.
const recordFor = 2 * time.Second

// confirmed completes the verdict on a write: one that no byte was sent for had no
// effect, and an acceptance without the documented confirmation is no success.
func confirmed(v classify.Verdict) classify.Verdict {
	if v.Effect == "" {
		v.Effect = classify.None
	}
	if v.Class == classify.Success && v.Effect != classify.Done {
		status := v.HTTPStatus
		v = classify.NewVerdict(classify.IncompleteResponse, "effect:unconfirmed", fmt.Sprintf("the vendor answered HTTP %d, which does not confirm that it is done", status))
		v.HTTPStatus, v.Effect = status, classify.Open
	}
	return v
}

// refused is the verdict on a change or a fact that the database did not take.
func (x chunkAttempt) refused(step, what string, err error) classify.Verdict {
	return x.storeVerdict(x.in, step, "export:record", what, err)
}

// lateErrors asks what the vendor found wrong since then and records it against
// the entries, also of earlier exports: they closed before it was found, or ended
// before the vendor could be asked.
func (x chunkAttempt) lateErrors(ctx context.Context) (out outcome) {
	x.conn.Purpose = limits.Lookup
	since, err := runlog.LateErrorsSince(ctx, x.options.DB, x.in.OrganizationID, x.chunk.ExportID)
	if err != nil {
		out.verdict = x.refused("LateErrorsSince", "when late errors were last asked for could not be read", err)
		return out
	}
	out.guard = adapters.ReadOnly
	list, unnamed, v := findLateErrors(ctx, x.exporter, x.conn, since)
	v.Effect = ""
	if out.verdict = v; v.Class != classify.Success {
		return out
	}
	if unnamed > 0 {
		x.options.Log.Warn("the vendor found errors in entries under names that cannot be compared, because masking changes them",
			"correlation_id", x.in.CorrelationID, "organization_id", x.in.OrganizationID, "integration_id", x.in.IntegrationID, "errors", unnamed)
	}
	messages := make(map[string]string, len(list))
	for _, e := range list {
		messages[e.Reference] = e.Message
	}
	if len(messages) > 0 {
		if _, err := runlog.RecordLateErrors(ctx, x.options.DB, x.in.OrganizationID, x.in.IntegrationID, x.chunk.ExportID, messages); err != nil {
			out.verdict = x.refused("RecordLateErrors", "the vendor's late errors could not be recorded", err)
			return out
		}
	}
	out.answer = Answer{HTTPStatus: v.HTTPStatus}
	return out
}

// lookUp answers [adapters.Lookup].
func (a *Activities) lookUp(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn) (out outcome) {
	out.guard = adapters.ReadOnly
	finder, ok := adapter.(adapters.Finder)
	if !ok {
		out.verdict = classify.NewVerdict(classify.Configuration, "lookup:adapter", "adapter "+in.AdapterName+" cannot be asked by key")
		return out
	}
	sought, err := adapters.ParseLookup(in.Body)
	if err != nil {
		out.verdict = classify.NewVerdict(classify.Transformation, "request:body", err.Error())
		return out
	}
	found, v := find(ctx, finder, conn, sought)
	v.Effect = ""
	return out.answered(found, v)
}

// answered is an outcome whose answer is a value, if the verdict is a success.
func (out outcome) answered(value any, v classify.Verdict) outcome {
	if out.verdict = v; v.Class != classify.Success {
		return out
	}
	body, err := json.Marshal(value)
	if err != nil {
		out.verdict = classify.NewVerdict(classify.Internal, "answer:json", err.Error())
		return out
	}
	out.answer = Answer{HTTPStatus: v.HTTPStatus, Body: body}
	return out
}
