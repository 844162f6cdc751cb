package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/ledgerline/ledgerline/zones"
)

// vendor is what the soak has to know of an adapter that takes exports. Another
// one is another line here. A match's BodyContains has a %s where an entry's key
// goes.
type vendor struct {
	adapter     string
	settings    map[string]string // the authority, where there are tokens, comes on top
	credentials map[string]integrations.Ref
	secret      string // the credential's value
	tokens      bool   // the vendor wants access tokens, which can be revoked
	late        bool   // it reports some errors later
	journal     bool   // entries wait in a journal until somebody posts it; each book has one of its own

	send, look   sandbox.Match  // a chunk that is sent, and one that is looked up
	throttled    []sandbox.Rule // by the vendor's own codes
	unauthorized int            // how many refusals of a credential end an attempt
	refusal      sandbox.Rule   // in the vendor's own shape: of a look-up, for good, and of a chunk that is stored all the same
}

var vendors = []vendor{{
	adapter:     "xledger",
	credentials: map[string]integrations.Ref{"token": "file:xledger-token"},
	secret:      sandbox.DemoXledgerToken,
	late:        true,
	send:        sandbox.Match{Operation: "addGLImportItems", BodyContains: "%s"},
	look:        sandbox.Match{Operation: "glImportItems", BodyContains: "%s"},
	throttled: []sandbox.Rule{
		{Times: 1, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED","message":"Too many requests"}]}`},
		{Times: 4, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.CONCURRENCY_LIMIT_REACHED","message":"Too many requests at once"}]}`},
	},
	unauthorized: 1,
	refusal:      sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"glImportItems: this filter is not available just now"}]}`},
}, {
	adapter:     "businesscentral",
	settings:    dynamics(map[string]string{"companyId": sandbox.DemoCompanyID}),
	journal:     true,
	credentials: map[string]integrations.Ref{"clientSecret": "file:dynamics-secret"},
	secret:      sandbox.DemoClientSecret,
	tokens:      true,
	send:        sandbox.Match{BodyContains: `"externalDocumentNumber":"%s"`},
	look:        sandbox.Match{BodyContains: "%%27%s%%27"},
	throttled: []sandbox.Rule{
		{Times: 1, Status: 200, Body: `{"responses":[{"id":"0","status":429,"body":{"error":{"code":"Application_TooManyRequests","message":"Too many requests reached."}}}]}`},
		{Times: 4, Status: 400, Body: `{"error":{"code":"Application_TooManyRequests","message":"Too many requests reached. Actual (101). Maximum (100)."}}`},
	},
	unauthorized: 2, // one is answered with a fresh token
	refusal:      sandbox.Rule{Status: 400, Body: `{"error":{"code":"BadRequest","message":"The filter cannot be read just now."}}`},
}, {
	adapter:     "dataverse",
	settings:    dynamics(map[string]string{"table": "led_entries", "prefix": "led_"}),
	credentials: map[string]integrations.Ref{"clientSecret": "file:dynamics-secret"},
	secret:      sandbox.DemoClientSecret,
	tokens:      true,
	send:        sandbox.Match{BodyContains: "led_key='%s'"},
	look:        sandbox.Match{BodyContains: "%%27%s%%27"},
	throttled: []sandbox.Rule{
		{Times: 1, Status: 429, Headers: map[string]string{"Retry-After": "1"}, Body: `{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000."}}`},
		{Times: 4, Status: 400, Body: `{"error":{"code":"-2147015898","message":"Number of concurrent requests exceeded the limit of 52."}}`},
	},
	unauthorized: 2,
	refusal:      sandbox.Rule{Status: 400, Body: `{"error":{"code":"0x80060888","message":"The filter cannot be read just now."}}`},
}}

// dynamics adds what the vendors have in common that take Entra's tokens.
func dynamics(settings map[string]string) map[string]string {
	settings["tenantId"], settings["clientId"] = sandbox.DemoTenantID, sandbox.DemoClientID
	return settings
}

// find is a match for an entry's key.
func find(m sandbox.Match, key string) sandbox.Match {
	m.BodyContains = fmt.Sprintf(m.BodyContains, key)
	return m
}

// policy is one whose waits a soak can afford. The first wait must be long
// enough for a vendor that acts at the last moment to be done: it is asked after
// it, also by another worker while the first one is frozen.
var policy = classify.Policy{BaseDelay: 300 * time.Millisecond, Coefficient: 2, MaxRetries: 3, Jitter: 0.2, AttemptTimeout: 1500 * time.Millisecond, Budget: 15 * time.Second}

// inFlight is how long a request is taken to be able to take effect after its
// deadline; the vendors' lateness stays within it.
const inFlight = 3 * time.Second

// deferBase is the first wait of a deferral.
const deferBase = 500 * time.Millisecond

// monthly is the schedule of every book but the clock's.
var monthly = integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"}

// setUp stores a book's integration and makes its schedule.
func (s *soak) setUp(ctx context.Context, b *book) error {
	schedule := monthly
	if b == s.plan.clock.book { // fires once while the soak runs, if it runs a minute
		zone, err := zones.Load(schedule.TimeZone)
		if err != nil {
			return err
		}
		at := time.Now().Add(65 * time.Second).In(zone)
		schedule = integrations.Schedule{Every: integrations.Daily, Hour: at.Hour(), Minute: at.Minute(), TimeZone: schedule.TimeZone}
	}
	settings := maps.Clone(b.vendor.settings)
	if b.vendor.tokens {
		settings["authority"] = s.vendors["entra"]
	}
	if b.vendor.journal {
		b.journal = s.stack.Sandbox.NewJournal("SOAK")
		settings["journalId"] = b.journal
	}
	in := integrations.Integration{
		OrganizationID: b.organization, ID: b.id, Name: "soak", Adapter: b.vendor.adapter, BaseURL: s.vendors[b.vendor.adapter],
		Settings: settings, Credentials: b.vendor.credentials, Policy: policy, Schedule: &schedule, Export: integrations.ExportSettings{ChunkSize: 40},
		InFlight: new(inFlight),
	}
	for _, ref := range in.Credentials {
		s.stack.Secret(b.organization, strings.TrimPrefix(string(ref), "file:"), b.vendor.secret)
	}
	if _, err := runlog.ApplyIntegrations(ctx, s.operator, []integrations.Integration{in}, runlog.ApplyOptions{By: "soak"}); err != nil {
		return err
	}
	if _, err := engine.ApplySchedule(ctx, s.temporal, in, "", false); err != nil {
		return err
	}
	// The same with short deferrals, which only this program has.
	return s.schedule(b).Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		changed := u.Description.Schedule
		changed.Action.(*client.ScheduleWorkflowAction).Args = []any{workflows.SyncInput{
			OrganizationID: b.organization, IntegrationID: b.id, AdapterName: b.vendor.adapter, Trigger: exports.BySchedule, TriggeredBy: "schedule",
			Schedule: &schedule, Policy: policy, DeferBase: deferBase,
		}}
		return &client.ScheduleUpdate{Schedule: &changed}, nil
	}})
}

func (s *soak) schedule(b *book) client.ScheduleHandle {
	return s.temporal.ScheduleClient().GetHandle(s.ctx, engine.ScheduleID(b.organization, b.id))
}

// store imports a round's entries.
func (s *soak) store(ctx context.Context, r *round) error {
	return insist(ctx, "import", func(ctx context.Context) error {
		_, err := runlog.ImportEntries(ctx, s.operator, r.book.organization, func(yield func(runlog.AccountingEntry, error) bool) {
			for _, e := range r.entries {
				entry := runlog.AccountingEntry{EntryID: e.id, VoucherID: e.voucher, Date: e.date, Account: e.account, Amount: e.amount(), Currency: "NOK", Text: r.book.text}
				if !yield(entry, nil) {
					return
				}
			}
		}, runlog.ImportOptions{})
		return err
	})
}

// input is a book's run of a period, asked for by a person.
func (b *book) input(period string) workflows.SyncInput {
	start, end, err := exports.ParsePeriod(period)
	if err != nil {
		panic(err) // a period of our own
	}
	return workflows.SyncInput{
		OrganizationID: b.organization, IntegrationID: b.id, AdapterName: b.vendor.adapter, Policy: policy, Period: period,
		PeriodStart: start, PeriodEnd: end, Trigger: exports.ByHand, TriggeredBy: "soak", DeferBase: deferBase,
	}
}

// begin starts a round's run, or asks for it in the way of the round.
func (s *soak) begin(ctx context.Context, r *round) error {
	in := r.book.input(r.period)
	options := engine.SyncOptions(in)
	run := func(ctx context.Context) error { return s.run(ctx, options, in) }
	switch r.start {
	case "backfill":
		in.Trigger = exports.ByBackfill
	case "twice":
		another, other := options, in
		another.ID += "/another"
		other.Trigger = exports.ByBackfill
		both := make(chan error, 2)
		for range 2 {
			go func() { both <- insist(ctx, "start", run) }()
		}
		return errors.Join(<-both, <-both, insist(ctx, "start", func(ctx context.Context) error { return s.run(ctx, another, other) }))
	case "trigger": // of the month that is over today: late entries only
		err := insist(ctx, "trigger", func(ctx context.Context) error {
			return errors.Join(s.schedule(r.book).Trigger(ctx, client.ScheduleTriggerOptions{}), s.schedule(r.book).Trigger(ctx, client.ScheduleTriggerOptions{}))
		})
		return errors.Join(err, insist(ctx, "start", run))
	case "schedule":
		due := in.PeriodEnd.AddDate(0, 0, monthly.Day-1)
		return insist(ctx, "backfill", func(ctx context.Context) error {
			return s.schedule(r.book).Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
				{Start: due, End: due.AddDate(0, 0, 1), Overlap: enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL},
			}})
		})
	}
	return insist(ctx, "start", run)
}

func (s *soak) run(ctx context.Context, o client.StartWorkflowOptions, in workflows.SyncInput) error {
	_, err := s.temporal.ExecuteWorkflow(ctx, o, workflows.SyncName, in)
	return err
}

// retry does what "starter exports retry" does.
func (s *soak) retry(ctx context.Context, b *book, parent uuid.UUID, period string) error {
	in := b.input(period)
	in.ParentID, in.Trigger = &parent, exports.ByRetry
	return insist(ctx, "retry", func(ctx context.Context) error { return s.run(ctx, engine.SyncOptions(in), in) })
}

// finish waits until the export of a round's period is over, and retries it
// once if it failed. A round that takes too long is left to the end: more than
// two lost workers, each missed after 20 s.
func (s *soak) finish(ctx context.Context, r *round) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var id uuid.UUID
	var status exports.Status
	over := until(ctx, 300*time.Millisecond, func() bool {
		err := s.admin.QueryRow(ctx, `SELECT export_id, status FROM ledgerline.bufdir_export_audit_log
			WHERE integration_id = $1 AND period = $2 AND parent_export_id IS NULL AND status <> 'pending'`, r.book.id, r.period).Scan(&id, &status)
		return err == nil
	})
	if over && status == exports.Failed {
		if err := s.retry(ctx, r.book, id, r.period); err != nil && ctx.Err() == nil {
			s.say("retry of %s %s: %v", r.book.name, r.period, err)
		}
	}
}

// insist repeats what the faults may make fail.
func insist(ctx context.Context, what string, do func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	until(ctx, 200*time.Millisecond, func() bool {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err = do(try)
		return err == nil
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// rowsOf reads as the superuser, who sees everything.
func rowsOf[T any](ctx context.Context, s *soak, sql string, args ...any) (list []T, err error) {
	err = insist(ctx, "read", func(ctx context.Context) error {
		rows, err := s.admin.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
	return list, err
}
