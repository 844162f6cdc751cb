package proof

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// Period proves a period from its source: the vendor is asked for every entry that an export of
// the period would take if nothing were on record, and must not have more than is on record as
// exported. With adopt, what it has more is taken into the record, as an export of its own; that
// needs the role of an operator. If ctx ends, what was taken so far stays there, in an export
// that has failed. What exports that run in the meantime send may seem not to be on record: see
// [runlog.ListPendingExportsOf].
func (p Prover) Period(ctx context.Context, period string, adopt bool) (Proof, error) {
	start, end, err := exports.ParsePeriod(period)
	if err != nil {
		return Proof{}, err
	}
	v := p.begin()
	v.Progress(0, 0)
	v.comparison.strict, v.comparison.adopts = true, adopt
	adopter := adopter{proving: v, export: v.adoption(period, start, end)}
	checks, err := v.vendor(ctx, runlog.EntriesOfPeriod(ctx, p.DB, p.Sources, adopter.export, p.Integration.Export), adopter.adopt)
	about := Proof{Period: period, IntegrationID: p.Integration.ID}
	if closed, closeErr := adopter.closeExport(ctx, err); closeErr != nil || err != nil {
		return Proof{}, errors.Join(err, closeErr)
	} else if closed != nil {
		checks = append(checks, undecided(Adopted, "%s recorded as exported, %d as unknown: export %s", count(adopter.adopted, "entry"), adopter.doubtful, exports.Short(closed.ID)))
		about.Export = new(statement.OfExport(*closed))
	}
	about.conclude(checks, v.comparison.differences, v.comparison.more)
	return about, nil
}

// adoption is an export for what is taken into the record.
func (p Prover) adoption(period string, start, end time.Time) exports.Export {
	id := uuid.New()
	return exports.Export{
		OrganizationID: p.Integration.OrganizationID, ID: id, IntegrationID: p.Integration.ID, AdapterName: p.Integration.Adapter, Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByAdopting, TriggeredBy: p.Actor, StartedAt: time.Now(), WorkflowID: "adopt/" + id.String(), RunID: id,
	}
}

// adopter records what a comparison has found at the vendor. It begins its export
// with the first entry.
type adopter struct {
	*proving
	export            exports.Export
	begun             bool
	adopted, doubtful int
}

// adopt records what the comparison has collected.
func (a *adopter) adopt(ctx context.Context) error {
	list := a.comparison.adoptions
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // an answer that has arrived is used
	defer cancel()
	for {
		if !a.begun {
			begun, err := runlog.BeginAdoption(ctx, a.DB, a.export)
			if err != nil {
				return err
			}
			a.export, a.begun = begun, true
		}
		adopted, doubtful, err := runlog.AdoptEntries(ctx, a.DB, a.export, a.place(), list)
		if errors.Is(err, runlog.ErrNotAdopting) { // somebody who adopts the same period has closed it
			a.export, a.begun = a.adoption(a.export.Period, a.export.PeriodStart, a.export.PeriodEnd), false
			continue
		}
		a.adopted, a.doubtful, a.comparison.adoptions = a.adopted+adopted, a.doubtful+doubtful, nil
		return err
	}
}

// closeExport closes the export, if there is one; failed is what stopped it before the end
// of the period.
func (a *adopter) closeExport(ctx context.Context, failed error) (*exports.Export, error) {
	if !a.begun {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	switch {
	case failed != nil || a.refused != "":
		a.export.ErrorClass, a.export.ErrorMessage = classify.Permanent, "the period was not proved to its end: prove it again"
	case a.doubtful > 0:
		a.export.ErrorMessage = "only a person can tell what the vendor has of the unknown entries; see starter exports resolve"
	}
	closed, err := runlog.CloseExport(ctx, a.DB, a.export)
	return &closed, err
}
