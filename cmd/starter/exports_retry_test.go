package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// absent is a Temporal whose runs nobody answers for.
type absent struct{ client.Client }

func (absent) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	return nil, errors.New("no worker")
}

// endless is a run that does not end.
type endless struct{ client.WorkflowRun }

func (endless) GetID() string { return "w" }

func (endless) Get(ctx context.Context, _ any) error {
	<-ctx.Done()
	return ctx.Err()
}

// What is retried, what is joined, and of what nothing is left to retry; and that a command
// says that no worker is there.
func TestRetry(t *testing.T) {
	d := newDatabase(t)
	ctx := t.Context()
	pool, err := runlog.Open(ctx, d.url("postgres"), 2)
	require.NoError(t, err)
	defer pool.Close()
	organization := uuid.MustParse(books)
	env := map[string]string{"DATABASE_URL": d.url("op"), "LEDGERLINE_ORG": "eksempel"}
	retry := func(args ...string) (words string, code int) {
		t.Helper()
		_, words, code = try(t, env, append([]string{"exports", "retry", "2024-02", "--integration", "main"}, args...)...)
		return words, code
	}
	begins := func(args ...string) { // it goes on to Temporal, which is not there
		t.Helper()
		words, code := retry(args...)
		require.Equal(t, exitFailed, code)
		require.Contains(t, words, "Temporal")
		require.NotContains(t, words, "nothing to retry")
	}
	line := func(voucher, date string) {
		t.Helper()
		_, err := pool.Exec(ctx, `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
			SELECT $1, $2 || side, $2, $3::date, '1920', side, 'NOK', '' FROM unnest(ARRAY[-7, 7]) AS side`, organization, voucher, date)
		require.NoError(t, err)
	}
	first, err := runlog.LoadChain(ctx, pool, organization, d.export)
	require.NoError(t, err)
	claim := func(period string, parent *uuid.UUID) exports.Export {
		t.Helper()
		e := first.First()
		e.ID, e.RunID, e.Period, e.ParentID, e.Trigger = uuid.New(), uuid.New(), period, parent, exports.ByHand
		if parent != nil {
			e.Trigger = exports.ByRetry
		}
		e.PeriodStart, e.PeriodEnd, err = exports.ParsePeriod(period)
		require.NoError(t, err)
		e, owned, err := runlog.ClaimExport(ctx, pool, e)
		require.NoError(t, err)
		require.True(t, owned)
		return e
	}
	plan := func(e exports.Export) {
		t.Helper()
		_, err := runlog.PlanExport(ctx, pool, nil, e, integrations.ExportSettings{}, 10, 10)
		require.NoError(t, err)
	}
	end := func(e exports.Export, kind classify.Kind) {
		t.Helper()
		if e.ErrorCode = kind; kind != "" {
			e.ErrorClass = classify.Permanent
		}
		_, err := runlog.CloseExport(ctx, pool, e)
		require.NoError(t, err)
	}

	words, code := retry()
	require.Equal(t, exitFailed, code)
	require.Contains(t, words, "the export of February 2024 has not ended")

	line("v", "2024-02-03")
	parent := first.First()
	plan(parent)
	end(parent, classify.Unavailable)
	joined := claim("2024-02", &parent.ID)
	begins()
	words, code = retry("--voucher", "v")
	require.Equal(t, exitFailed, code)
	require.Contains(t, words, "the export of February 2024 is being retried by export "+joined.ID.String()[:8]+", which sends what it was started for and not --voucher; wait for it, then retry again")
	require.NotContains(t, words, "joining")

	plan(joined)
	end(joined, classify.Unavailable)
	_, err = runlog.WithdrawVoucher(ctx, pool, organization, "v", "kari", "twice")
	require.NoError(t, err)
	begins() // so that it is not counted as failed for ever
	closing := claim("2024-02", &joined.ID)
	plan(closing)
	end(closing, "")
	words, code = retry()
	require.Equal(t, exitOK, code, words)
	require.Contains(t, words, "nothing to retry: February 2024 is complete")

	line("late", "2024-02-04")
	march := claim("2024-03", nil)
	plan(march)
	_, err = pool.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'rejected', effect = 'none', reason = 'no such account' WHERE export_id = $1`, march.ID)
	require.NoError(t, err)
	end(march, "")
	words, code = retry()
	require.Equal(t, exitPermanent, code, words)
	require.Contains(t, words, "nothing to retry: February 2024 is not complete: 2 entries that went with March 2024 were refused (NOK 7.00 is missing)")
	require.Contains(t, words, "starter exports show 2024-03 --integration main")
	_, code = retry("--exit-status=false")
	require.Equal(t, exitOK, code)

	waiting, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	said := new(output)
	c := new(cobra.Command)
	c.SetContext(waiting)
	c.SetErr(said)
	ended := make(chan error, 1)
	go func() {
		s := session{
			app: new(app), command: c, db: pool, temporal: absent{}, namespace: "default",
			org: integrations.Organization{ID: organization, Short: "eksempel"}, integration: integrations.Integration{Name: "main"},
		}
		_, err := s.awaitSync(endless{}, "2024-02")
		ended <- err
	}()
	for !strings.Contains(said.String(), "note: no worker is running on task queue") {
		require.NoError(t, waiting.Err(), said.String())
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	require.EqualError(t, <-ended, "no longer waiting; the run continues: see it with starter exports show 2024-02 --integration main --org eksempel, "+
		"or end it with starter cancel 2024-02 --integration main --org eksempel", "Ctrl-C")
}
