package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
)

// schedules measures how late runs claim their period when 500 schedules fire
// in the same minute.
func schedules(ctx context.Context, s *servers) error {
	const n = 500
	stack, c, _, stop, err := s.worker(ctx)
	if err != nil {
		return err
	}
	defer stop()

	fires := time.Now().UTC().Add(2 * time.Minute).Truncate(time.Minute)
	organizations := make([]uuid.UUID, n)
	for i := range organizations {
		organizations[i] = uuid.New()
		list, err := stack.Apply(ctx, organizations[i], "")
		if err != nil {
			return err
		}
		in := list["xledger-main"]
		in.Schedule = &integrations.Schedule{Every: integrations.Daily, Hour: fires.Hour(), Minute: fires.Minute(), TimeZone: "Etc/UTC"}
		if _, err := engine.ApplySchedule(ctx, c, in, "", false); err != nil {
			return err
		}
	}
	if time.Now().After(fires) {
		return fmt.Errorf("making %d schedules took past their time", n)
	}
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var claimed int
	for deadline := fires.Add(3 * time.Minute); claimed < n && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		err := conn.QueryRow(ctx, "SELECT count(*) FROM ledgerline.bufdir_export_audit_log WHERE organization_id = ANY($1) AND scheduled_at = $2", organizations, fires).Scan(&claimed)
		if err != nil {
			return err
		}
	}
	all := time.Since(fires).Seconds()
	if claimed < n {
		return fmt.Errorf("%d of %d periods were claimed within three minutes", claimed, n)
	}
	rows, err := conn.Query(ctx, "SELECT extract(epoch FROM drift)::float8 FROM ledgerline.bufdir_export_audit_log WHERE organization_id = ANY($1)", organizations)
	if err != nil {
		return err
	}
	drifts, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		return err
	}
	slices.Sort(drifts)
	report("schedules_500_claimed", all, "s", atMost(60))
	report("schedules_500_drift_p99", drifts[len(drifts)*99/100], "s", atMost(60))
	return nil
}
