package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// export measures how long a million entries take to plan, and how fast runs
// send entries compared with a plain loop that does the same SQL and the same
// HTTP without Temporal.
func export(ctx context.Context, s *servers) error {
	stack, c, pool, stop, err := s.worker(ctx)
	if err != nil {
		return err
	}
	defer stop()

	var plans []float64
	for range 3 {
		in, err := ledger(ctx, stack, 1_000_000)
		if err != nil {
			return err
		}
		e, err := claimed(ctx, pool, in)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := runlog.PlanExport(ctx, pool, nil, e, integrations.ExportSettings{}, xledger.MaxNodes, xledger.MaxNodes); err != nil {
			return err
		}
		plans = append(plans, time.Since(began).Seconds())
	}
	report("export_plan_1000000", median(plans), "s", atMost(30))

	const n = 250_000 // what a run does once, such as to check the contract, weighs as little as in a million
	var rates, ratios, perThousand []float64
	for range 3 {
		in, err := ledger(ctx, stack, n)
		if err != nil {
			return err
		}
		plain, err := plainLoop(ctx, stack, pool, in)
		if err != nil {
			return err
		}
		took, events, _, err := exportRun(ctx, stack, c, n)
		if err != nil {
			return err
		}
		rates, ratios = append(rates, n/took), append(ratios, plain/took)
		perThousand = append(perThousand, float64(events)*1000/n)
	}
	report("export_entries_chunk_500", median(rates), "entries/s", atLeast(5000))
	report("export_entries_against_loop", median(ratios), "x_loop", atLeast(0.8))
	report("export_events_per_1000_entries", median(perThousand), "events", atMost(40))

	var small []float64
	for range 3 {
		took, _, _, err := exportRun(ctx, stack, c, 10_000)
		if err != nil {
			return err
		}
		small = append(small, took/10_000)
	}
	took, _, longest, err := exportRun(ctx, stack, c, 1_000_000) // once: it takes minutes
	if err != nil {
		return err
	}
	report("export_cost_per_entry_1000000_to_10000", took/1_000_000/median(small), "x", atMost(1.2))
	report("export_longest_history_1000000", float64(longest), "events", atMost(10_000))
	return nil
}

// exportRun exports n entries by a run and returns the seconds it took, the
// events of all its histories, and those of the longest.
func exportRun(ctx context.Context, stack *devstack.Stack, c client.Client, n int) (took float64, events, longest int, err error) {
	in, err := ledger(ctx, stack, n)
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	run, err := c.ExecuteWorkflow(ctx, engine.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		return 0, 0, 0, err
	}
	next := run.GetRunID() // Get follows the chain
	var r workflows.SyncResult
	if err := run.Get(ctx, &r); err != nil {
		return 0, 0, 0, err
	}
	if r.Export.Exported != n {
		return 0, 0, 0, fmt.Errorf("%d of %d exported: %+v", r.Export.Exported, n, r.Export)
	}
	took = time.Since(began).Seconds()
	for next != "" {
		this, length := next, 0
		next = ""
		for it := c.GetWorkflowHistory(ctx, run.GetID(), this, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); length++ {
			e, err := it.Next()
			if err != nil {
				return 0, 0, 0, err
			}
			next = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
		events, longest = events+length, max(longest, length)
	}
	return took, events, longest, nil
}

// ledger makes an organization with n entries, two to a voucher.
func ledger(ctx context.Context, stack *devstack.Stack, n int) (workflows.SyncInput, error) {
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return workflows.SyncInput{}, err
	}
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return workflows.SyncInput{}, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `
		INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, text)
		SELECT $1, 'E' || i, 'V' || lpad((i / 2)::text, 8, '0'), '2026-10-15', CASE i % 2 WHEN 0 THEN '1920' ELSE '3000' END,
		    CASE i % 2 WHEN 0 THEN 100.10 ELSE -100.10 END, 'Faktura ' || i FROM generate_series(0, $2::int - 1) i`, organization, n); err != nil {
		return workflows.SyncInput{}, err
	}
	if _, err := conn.Exec(ctx, "ANALYZE ledgerline.accounting_entries, ledgerline.export_entries"); err != nil {
		return workflows.SyncInput{}, err
	}
	start, end, err := exports.ParsePeriod("2026-10")
	in := list["xledger-main"]
	return workflows.SyncInput{
		OrganizationID: organization, IntegrationID: in.ID, AdapterName: in.Adapter, Policy: in.Policy, Period: "2026-10",
		PeriodStart: start, PeriodEnd: end, Trigger: exports.ByHand, TriggeredBy: "bench",
	}, err
}

func claimed(ctx context.Context, db runlog.Beginner, in workflows.SyncInput) (exports.Export, error) {
	e, _, err := runlog.ClaimExport(ctx, db, exports.Export{
		OrganizationID: in.OrganizationID, ID: uuid.New(), IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, Period: in.Period,
		PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: exports.ByHand, TriggeredBy: "bench", StartedAt: time.Now(), WorkflowID: "bench", RunID: uuid.New(),
	})
	return e, err
}

// plainLoop exports without Temporal and returns the seconds it took.
func plainLoop(ctx context.Context, stack *devstack.Stack, db runlog.Beginner, in workflows.SyncInput) (float64, error) {
	began := time.Now()
	e, err := claimed(ctx, db, in)
	if err != nil {
		return 0, err
	}
	chunks, err := runlog.PlanExport(ctx, db, nil, e, integrations.ExportSettings{}, xledger.MaxNodes, xledger.MaxNodes)
	if err != nil {
		return 0, err
	}
	for chunk := 1; chunk <= chunks; chunk++ {
		opened, err := runlog.LoadChunk(ctx, db, e.Owner(), chunk)
		entries := opened.Entries
		if err != nil {
			return 0, err
		}
		sending := runlog.Sending{CorrelationID: uuid.New(), Attempt: 1}
		lines, ids := make([]adapters.Entry, len(entries)), make([]string, len(entries))
		byKey := make(map[string]string, len(entries))
		for i, x := range entries {
			ids[i], byKey[x.VendorKey] = x.EntryID, x.EntryID
			lines[i] = adapters.Entry{Key: x.VendorKey, Voucher: x.VoucherID, Account: x.Account, Amount: x.Amount, Currency: x.Currency, Text: x.Text, Date: x.Date}
		}
		body, err := xledger.Adapter{}.ExportBody(adapters.Form{}, lines)
		if err != nil {
			return 0, err
		}
		if _, err := runlog.MarkChunk(ctx, db, e.Owner(), ids, sending, 10*time.Second, runlog.InFlight{}); err != nil {
			return 0, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, stack.Vendors["xledger"], bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "token "+sandbox.DemoXledgerToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || bytes.Contains(answer, []byte(`"errors"`)) {
			return 0, fmt.Errorf("the sandbox refused a chunk: %.200s %w", answer, err)
		}
		names := make(map[string]string, len(entries))
		for key, name := range (xledger.Adapter{}).References(lines, adapters.Response{Body: answer}) {
			names[byKey[key]] = name
		}
		if err := runlog.RecordSend(ctx, db, e.Owner(), ids, sending, classify.Done, false, names); err != nil {
			return 0, err
		}
	}
	_, err = runlog.CloseExport(ctx, db, e)
	return time.Since(began).Seconds(), err
}
