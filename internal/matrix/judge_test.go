package matrix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// choose decides what the vendor does with a request that has just arrived.
func (x *trial) choose(e sandbox.LogEntry) (rule *sandbox.Rule) {
	if e.Vendor == "entra" {
		return nil
	}
	honest := true
	switch {
	case x.script != nil:
		rule = x.script(e)
		honest = rule == nil
	case e.Wrote && x.armed.Load() && x.meant(e) && x.fired.CompareAndSwap(0, int64(e.Seq)):
		rule = new(x.answer.Rule)
		x.effect.apply(rule)
	case !e.Wrote && len(e.LookupKeys) > 0 && x.fired.Load() > 0 && asks[x.ask].rule != nil && x.lies.Add(1) <= 2:
		rule = new(*asks[x.ask].rule)
		if rule.Stale {
			rule.AsOf = x.stale
		}
		honest = x.harmless(*rule, e.LookupKeys)
	}
	x.monitor.arrived(e, honest)
	return rule
}

// harmless reports whether a false answer to a question is the true one: there is
// nothing about which it could be false.
func (x *trial) harmless(lie sandbox.Rule, asked []string) bool {
	there, all := 0, 0
	for _, k := range asked {
		there += len(x.vendor.Records(k))
	}
	for _, e := range x.vendor.Effects() {
		if e.Kind != "upsert_again" {
			all++
		}
	}
	switch lie.Lookup {
	case sandbox.Partial, sandbox.SecondPageMissing:
		return there < 2
	case sandbox.Empty:
		return there == 0
	case sandbox.FilterIgnored:
		return there == all
	}
	return lie.Stale && x.cell.vendor.adapter == "businesscentral" // which is asked for what there is now
}

// meant reports whether a write is the one that the moment is about.
func (x *trial) meant(e sandbox.LogEntry) bool {
	switch x.moment {
	case halvedChunk:
		return len(e.Keys) == vouchers // half of two lines for each voucher; one alone was tried before
	}
	return true
}

func (x *trial) answered(e sandbox.LogEntry) {
	if !e.Wrote || e.Vendor == "entra" {
		return
	}
	switch {
	case int64(e.Seq) == x.fired.Load():
		x.monitor.answered(e, x.answer.Proof, false)
	case e.Effects > 0:
		x.monitor.answered(e, noProof, true)
	case x.cell.vendor.upserts: // the sandbox's own refusal, of a change set
		x.monitor.answered(e, nothingDone, false)
	default: // in the vendor's shape
		x.monitor.answered(e, workEnded, false)
	}
}

// judge compares the record with the vendor's books.
func (x *trial) judge() (doubled bool, unknown int) {
	stored := make(map[string]int)
	for _, e := range x.vendor.Effects() {
		if e.Kind != "upsert_again" && e.Kind != "update" {
			stored[fold(e.Key)]++
		}
	}
	rows := must(x.database.Admin.Query(context.Background(), `SELECT entry_id, vendor_key, state FROM ledgerline.export_entries WHERE organization_id = $1`, x.org))
	type entry struct{ ID, Key, State string }
	list := must(pgx.CollectRows(rows, pgx.RowToStructByPos[entry]))
	x.check(len(list) == 2*vouchers+2, "%d entries on record", len(list))
	for _, e := range list {
		n := stored[fold(e.Key)]
		doubled = doubled || n > 1
		refused := x.moment == halvedChunk && strings.HasPrefix(e.ID, fmt.Sprintf("v%03d", vouchers-1))
		switch {
		case n > 1 && !x.doubles():
			x.check(false, "%s is at the vendor %d times", e.ID, n)
		case e.State == string(exports.Unknown):
			unknown++
			x.check(x.unknownAllowed(), "%s is left to a person", e.ID)
		case refused:
			x.check(e.State == string(exports.Rejected) && n == 0, "%s is %s, and there %d times", e.ID, e.State, n)
		case e.State == string(exports.Rejected) && (n == 0 || x.doubles()) && x.refuses():
		default:
			x.check(e.State == string(exports.Exported) && n >= 1, "%s is %s, and there %d times", e.ID, e.State, n)
		}
	}
	if x.doubles() && !x.cell.vendor.upserts && asks[x.ask].rule == nil && !x.refuses() {
		x.check(doubled, "the named limit was not reached: nothing is there twice")
	}
	return doubled, unknown
}

// bounds hold a cell to what it may cost: requests, and time from the first to the
// last of them. Both are those of the worst way that is right: an attempt, the wait
// for what it may still do, a question, and what that leaves to be done.
func (x *trial) bounds(o outcome, retries int) {
	requests, took := 18, inFlight+4*time.Minute
	if x.cell.vendor.adapter == "businesscentral" && x.moment == halvedChunk && x.ask > 0 {
		requests = 21 // a question there is two requests, of journal and general ledger
	}
	if x.moment == halvedChunk { // a voucher is tried alone before, by a retry too
		requests += 3
	}
	if x.ask > 0 { // two questions that prove nothing, each after a wait of the run
		took = 25 * time.Minute
	}
	if strings.Contains(x.answer.Name, "credits") { // are waited for as the vendor documents it
		took += 20 * time.Minute
	}
	x.check(o.requests <= requests, "%d requests", o.requests)
	x.check(o.took <= took, "it took %v", o.took)
	// A refused token ends a run each time, and the questions are refused twice.
	x.check(retries <= 1 || asks[x.ask].name == "401" && retries <= 3, "%d retries", retries)
}
