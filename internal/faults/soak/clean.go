package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
	"github.com/ledgerline/ledgerline/zones"
)

// clean looks for secrets everywhere, for entries' texts where they have no
// place, and for what a worker must never say.
func (s *soak) clean(ctx context.Context, histories []runHistory) error {
	secrets := map[string]string{"an access token": "sandbox."} // the beginning of each
	maps.Copy(secrets, s.stack.Secrets())
	texts := make(map[string]string)
	for _, b := range s.plan.books {
		texts["the texts of "+b.name] = b.text
	}
	look := func(place, text string, canaries ...map[string]string) {
		for _, list := range canaries {
			for name, value := range list {
				if i := strings.Index(text, value); i >= 0 {
					s.violated("clean: %s holds %s: …%q", place, name, text[max(0, i-80):i])
				}
			}
		}
	}
	for n, text := range s.fleet.said() {
		place := fmt.Sprintf("the output of worker %d", n+1)
		look(place, text, secrets, texts)
		for _, word := range []string{"DATA RACE", "panic:", "goroutine 1 [", "nondeterminis", "TMPRL1100", "ended by itself"} {
			if i := strings.Index(text, word); i >= 0 {
				s.violated("clean: %s: …%s", place, text[max(0, i-300):min(len(text), i+600)])
			}
		}
	}
	for _, h := range histories {
		for _, e := range h.events {
			raw, err := proto.Marshal(e)
			if err != nil {
				return err
			}
			look("the history of "+h.workflowID, string(raw), secrets, texts)
		}
	}
	tables, err := rowsOf[struct{ Name string }](ctx, s, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'ledgerline'`)
	if err != nil {
		return err
	}
	for _, t := range tables {
		found, err := rowsOf[struct{ Text string }](ctx, s, fmt.Sprintf(`SELECT t::text FROM ledgerline.%q t`, t.Name))
		if err != nil {
			return err
		}
		for _, row := range found {
			look("table "+t.Name, row.Text, secrets)
			if t.Name != "accounting_entries" && t.Name != "export_entries" && t.Name != "entry_changes" {
				look("table "+t.Name, row.Text, texts)
			}
		}
	}
	return nil
}

// ticks lets the watcher look once more, as any worker does, and compares its
// rows with the calendar and the exports.
func (s *soak) ticks(ctx context.Context) error {
	pool, err := runlog.Open(ctx, s.stack.URL(devstack.Worker), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := (watcher.Watcher{DB: pool, Log: slog.New(slog.DiscardHandler)}).Pass(ctx, time.Now()); err != nil {
		return err
	}
	type tick struct {
		Integration  uuid.UUID
		ExpectedAt   time.Time
		Period       string
		Result       exports.TickResult
		Export       *uuid.UUID
		ExportPeriod *string
		Schedule     integrations.Schedule
	}
	rows, err := rowsOf[tick](ctx, s, `SELECT t.integration_id, expected_at, t.period, result, t.export_id, e.period, i.schedule
		FROM ledgerline.schedule_ticks t JOIN ledgerline.integrations i USING (organization_id, integration_id)
		LEFT JOIN ledgerline.bufdir_export_audit_log e ON e.organization_id = t.organization_id AND e.integration_id = t.integration_id AND e.export_id = t.export_id`)
	if err != nil {
		return err
	}
	for _, t := range rows {
		zone, err := zones.Load(t.Schedule.TimeZone)
		if err != nil {
			return err
		}
		at := t.ExpectedAt.In(zone)
		due := t.Schedule.Hour == at.Hour() && t.Schedule.Minute == at.Minute()
		switch {
		case !due || !at.After(s.began):
			s.violated("ticks: %s is recorded at %s, when nothing was due", s.bookOf(t.Integration).name, at)
		case !t.Result.InTime() || t.Export == nil || t.ExportPeriod == nil || *t.ExportPeriod != t.Period:
			s.violated("ticks: %s at %s for %s was %s", s.bookOf(t.Integration).name, at, t.Period, t.Result)
		}
	}
	s.say("%d ticks of schedules", len(rows))
	return nil
}
