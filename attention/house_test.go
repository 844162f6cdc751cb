package attention_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

var (
	admin, worker, operator, reader *pgxpool.Pool
	sources                         *runlog.Sources
)

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(server *devstack.Postgres) int {
		if err := setUp(context.Background(), server); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

func setUp(ctx context.Context, server *devstack.Postgres) (err error) {
	if admin, err = runlog.Open(ctx, server.URL("postgres", "postgres"), 4); err != nil {
		return err
	}
	if _, _, err = runlog.Migrate(ctx, admin); err != nil {
		return err
	}
	for user, pool := range map[string]**pgxpool.Pool{"worker": &worker, "operator": &operator, "reader": &reader} {
		if _, err = admin.Exec(ctx, "CREATE ROLE "+user+" LOGIN IN ROLE ledgerline_"+user); err != nil {
			return err
		}
		if *pool, err = runlog.Open(ctx, server.URL("postgres", user), 8); err != nil {
			return err
		}
	}
	if sources, err = runlog.NewSources("", server.URL("postgres", "worker")); err != nil {
		return err
	}
	return runlog.RecordHeartbeat(ctx, worker, there)
}

// there is a worker that runs.
var there = runlog.Heartbeat{WorkerID: uuid.New(), Identity: "w@host", Host: "host", Version: "v", Namespace: "space", TaskQueue: "queue", Clock: time.Now()}

// house is an organization with one integration.
type house struct {
	t    *testing.T
	org  uuid.UUID
	spec integrations.Integration
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, org: uuid.New()}
	h.spec = integrations.Integration{
		OrganizationID: h.org, ID: uuid.New(), Name: "xledger-main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
		Credentials: map[string]integrations.Ref{"token": "env:X"}, Policy: classify.DefaultPolicy(),
	}
	h.apply()
	return h
}

func (h *house) apply() {
	h.t.Helper()
	_, err := runlog.ApplyIntegrations(h.t.Context(), operator, []integrations.Integration{h.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(h.t, err)
}

// items are what needs a person in the house, read with the rights of a reader. Two who look
// see the same.
func (h *house) items() []attention.Item {
	h.t.Helper()
	return h.itemsAt(time.Now())
}

func (h *house) itemsAt(now time.Time) []attention.Item {
	h.t.Helper()
	var list [2][]attention.Item
	for i := range list {
		var err error
		list[i], err = attention.List(h.t.Context(), attention.Sources{DB: reader}, h.org, now)
		require.NoError(h.t, err)
	}
	require.Equal(h.t, list[0], list[1])
	return list[0]
}

// lines are entries of the source: "entry voucher date amount".
func (h *house) lines(lines ...string) {
	h.t.Helper()
	for _, l := range lines {
		f := strings.Fields(l)
		_, err := admin.Exec(h.t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, $2, $3, $4, '1920', $5)`, h.org, f[0], f[1], f[2], f[3])
		require.NoError(h.t, err)
	}
}

// begin begins an export of a period, or a retry.
func (h *house) begin(period string, parent *uuid.UUID, ago time.Duration) exports.Export {
	h.t.Helper()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(h.t, err)
	e := exports.Export{
		OrganizationID: h.org, ID: uuid.New(), IntegrationID: h.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: exports.BySchedule, TriggeredBy: "test", StartedAt: time.Now().Add(-ago), WorkflowID: "w/" + uuid.NewString(), RunID: uuid.New(), ParentID: parent,
	}
	if parent != nil {
		e.Trigger = exports.ByRetry
	}
	e, owned, err := runlog.ClaimExport(h.t.Context(), worker, e)
	require.NoError(h.t, err)
	require.True(h.t, owned)
	return e
}

func (h *house) plan(e exports.Export) exports.Export {
	h.t.Helper()
	_, err := runlog.PlanExport(h.t.Context(), worker, sources, e, integrations.ExportSettings{}, 100, 100)
	require.NoError(h.t, err)
	return e
}

func (h *house) end(e exports.Export) exports.Export {
	h.t.Helper()
	e, err := runlog.CloseExport(h.t.Context(), worker, e)
	require.NoError(h.t, err)
	return e
}

func (h *house) fail(e exports.Export) exports.Export {
	e.ErrorClass, e.ErrorCode, e.ErrorMessage = classify.Permanent, classify.Configuration, "the journal is not there"
	return h.end(e)
}

// send sends the first chunk of an export, which can take effect for an hour.
func (h *house) send(e exports.Export) (ids []string, s runlog.Sending) {
	h.t.Helper()
	chunk, err := runlog.LoadChunk(h.t.Context(), worker, e.Owner(), 1)
	require.NoError(h.t, err)
	for _, x := range chunk.Entries {
		ids = append(ids, x.EntryID)
	}
	s = runlog.Sending{CorrelationID: uuid.New(), Attempt: 1}
	_, err = runlog.MarkChunk(h.t.Context(), worker, e.Owner(), ids, s, 0, runlog.InFlight{Same: time.Hour, Changed: time.Hour})
	require.NoError(h.t, err)
	return ids, s
}

func (h *house) exported(e exports.Export, references map[string]string) {
	h.t.Helper()
	ids, s := h.send(e)
	require.NoError(h.t, runlog.RecordSend(h.t.Context(), worker, e.Owner(), ids, s, classify.Done, false, references))
}

// unanswered records that an attempt that sent something ended without an answer.
func (h *house) unanswered(correlation uuid.UUID, workflowID string) {
	h.t.Helper()
	now := time.Now().UTC()
	require.NoError(h.t, runlog.InsertAttempts(h.t.Context(), worker, h.org, []runlog.AttemptRow{{
		OrganizationID: h.org, RequestedIntegrationID: h.spec.ID, CorrelationID: correlation, AdapterName: "xledger", Operation: "call", AttemptNumber: 1,
		ErrorClass: classify.Timeout, ErrorKind: classify.AttemptTimeout, Rule: "error:timeout", ErrorMessage: "no answer within 10 s", Effect: classify.Open,
		OccurredAt: now, WorkflowID: workflowID, RunID: uuid.New(), RunStartedAt: now,
	}}))
}

func (h *house) withdraw(voucher string) {
	h.t.Helper()
	_, err := runlog.WithdrawVoucher(h.t.Context(), operator, h.org, voucher, "kari", "twice in the books")
	require.NoError(h.t, err)
}
