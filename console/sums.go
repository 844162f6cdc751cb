package console

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/runlog"
)

// sumEvery is how often exports are looked for of which it is not counted what the vendor has.
const sumEvery = time.Minute

// Sum counts what vendors have of exports that have ended, see [runlog.SumExports]: those that a
// worker of the version before has closed, and those of which a person has found out more. Pages are
// right without it and slow where an export is large. It returns when ctx ends.
func (c *Console) Sum(ctx context.Context) {
	for {
		if err := c.sumAll(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("what exports have exported could not be counted; pages of large ones are slow until it is", "error", problemOf(err).logged(), "again_in", sumEvery.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sumEvery):
		}
	}
}

func (c *Console) sumAll(ctx context.Context) error {
	list, err := runlog.ListNamedOrganizations(ctx, c.DB)
	for _, o := range list {
		var n int
		if n, err = runlog.SumExports(ctx, c.DB, o.ID); err != nil {
			return err
		}
		if n > 0 {
			c.Log.Info("exports counted", "organization_id", o.ID, "exports", n)
		}
	}
	return err
}
