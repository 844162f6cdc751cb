// Package usage stores the requests that a worker counts.
//
// Package limits counts in memory, because a request must not wait for the database.
// A [Recorder] reads at the start what the month's requests are so far, stores what
// was counted since, and notifies of each threshold of a quota that is reached.
package usage

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// Options are a [Recorder]'s.
type Options struct {
	DB     runlog.Beginner
	Ledger *limits.Ledger // in which the worker counts
	Log    *slog.Logger   // discards if nil
}

// WithDefaults returns a copy in which zero values have their defaults.
func (o Options) WithDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.DB == nil {
		errs = append(errs, errors.New("usage.Options.DB: want the worker's database"))
	}
	if o.Ledger == nil {
		errs = append(errs, errors.New("usage.Options.Ledger: want the ledger in which the worker counts"))
	}
	return errors.Join(errs...)
}

// Recorder stores what a ledger counts.
type Recorder struct{ options Options }

// New returns a recorder, and reads what this month's requests are so far, so that a
// worker that starts knows a quota that is used up.
func New(ctx context.Context, o Options) (*Recorder, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Recorder{options: o.WithDefaults()}
	totals, err := runlog.ListLimitedUsage(ctx, o.DB, time.Now())
	if err != nil {
		return nil, err
	}
	o.Ledger.Learn(totals)
	// A worker that died may have stored what it counted without notifying of it.
	if err := r.recordThresholds(ctx, totals); err != nil {
		return nil, err
	}
	return r, nil
}

// Flush stores what was counted since the last time, and notifies of thresholds that
// are reached, each once a month over all workers. After an error the same counts are
// stored the next time, and never twice.
func (r *Recorder) Flush(ctx context.Context) error {
	b, ok := r.options.Ledger.Take()
	if !ok {
		return nil
	}
	totals, err := runlog.AddUsage(ctx, r.options.DB, b)
	if err != nil {
		return err
	}
	r.options.Ledger.Done(b, totals)
	return r.recordThresholds(ctx, totals)
}

// recordThresholds records thresholds that are reached, of which people are notified.
func (r *Recorder) recordThresholds(ctx context.Context, totals []limits.Total) error {
	var errs []error
	for _, w := range r.options.Ledger.Due(totals) {
		recorded, err := runlog.RecordQuotaWarning(ctx, r.options.DB, w)
		if recorded {
			r.options.Log.Warn("an integration's requests reached a threshold", "organization_id", w.Organization, "integration_id", w.Integration,
				"month", w.Month, "percent", w.Percent, "requests", w.Requests, "limit", w.Quota.Monthly)
		}
		if err == nil {
			r.options.Ledger.Warned(w)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// every is how often counts are stored, and so what a process that is killed loses
// at most.
const every = 5 * time.Second

// Run stores what is counted until ctx ends. What is counted after that is
// [Recorder.FlushLast]'s.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.options.Ledger.Wake():
		}
		if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
			r.options.Log.Warn("counted requests could not be stored; they are kept and stored later", "error", err)
		}
	}
}

// FlushLast stores what was counted last, once all attempts have ended. It takes at
// most two seconds, also if ctx has ended.
func (r *Recorder) FlushLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for range 2 { // a batch of which it is not known whether it was stored, and what came after it
		if err := r.Flush(ctx); err != nil {
			r.options.Log.Error("requests that were counted last could not be stored and are missing in starter quota", "error", err)
			return
		}
	}
}
