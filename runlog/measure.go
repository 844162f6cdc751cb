package runlog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/notify"
)

// Measurements are numbers of all organizations together, for the worker's metrics.
type Measurements struct {
	Exports       map[exports.Status]float64     // pending, and failed and not retried; no others
	OldestPending float64                        // seconds since the oldest pending export started; 0 if there is none
	Entries       map[exports.EntryState]float64 // of those exports
	OpenWrites    map[WriteSource]float64        // requests of calls and entries of exports that can still take effect
	Incidents     map[notify.Cause]float64       // that have not ended
}

// WriteSource is what has sent a write.
type WriteSource string

// The sources of writes.
const (
	WriteOfCall   WriteSource = "call"
	WriteOfExport WriteSource = "export"
)

// Measure counts. Its cost follows what is pending, failed or open, and not the history. It
// needs the worker's role.
func Measure(ctx context.Context, db Beginner) (m Measurements, err error) {
	type measured struct {
		Metric, Label string
		Value         float64
	}
	var list []measured
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		list, err = queryRows[measured](ctx, tx, `SELECT metric, label, coalesce(value, 0) AS value FROM ledgerline.measure()`)
		return err
	})
	m = Measurements{
		Exports: make(map[exports.Status]float64), Entries: make(map[exports.EntryState]float64),
		OpenWrites: make(map[WriteSource]float64), Incidents: make(map[notify.Cause]float64),
	}
	for _, l := range list {
		switch l.Metric {
		case "exports":
			m.Exports[exports.Status(l.Label)] = l.Value
		case "oldest_pending":
			m.OldestPending = l.Value
		case "entries":
			m.Entries[exports.EntryState(l.Label)] = l.Value
		case "open_writes":
			m.OpenWrites[WriteSource(l.Label)] = l.Value
		case "incidents":
			m.Incidents[notify.Cause(l.Label)] = l.Value
		}
	}
	return m, err
}

// CountHealth returns how many integrations of all organizations together are in which state.
// States that none is in are absent. It needs the worker's role.
func CountHealth(ctx context.Context, db Beginner) (map[health.State]int64, error) {
	type counted struct {
		State        health.State
		Integrations int64
	}
	var list []counted
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		list, err = queryRows[counted](ctx, tx, `SELECT state, integrations FROM ledgerline.count_health()`)
		return err
	})
	in := make(map[health.State]int64)
	for _, c := range list {
		in[c.State] = c.Integrations
	}
	return in, err
}
