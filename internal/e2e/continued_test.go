package e2e

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/workflows"
)

// suggested is when the server of the tests suggests that a run continue as
// new; in production it is 4,096 events.
const suggested = 250

// oneStep is more events than a step of a run makes: a marker, an invocation, its
// rows, what is done about a refusal or a deferral, and the workflow tasks between.
const oneStep = 40

// chain returns the histories of a run and of those that continued it. A run
// that was waited for knows only the last one's ID, so it is to be noted before.
func chain(t *testing.T, workflowID, runID string) (all [][]*history.HistoryEvent) {
	t.Helper()
	for runID != "" {
		var list []*history.HistoryEvent
		for it := temporal.GetWorkflowHistory(t.Context(), workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
			e, err := it.Next()
			require.NoError(t, err)
			list = append(list, e)
		}
		all = append(all, list)
		runID = list[len(list)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return all
}

// manyVouchers adds vouchers of two lines by one statement.
func (b book) manyVouchers(t *testing.T, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, text)
		SELECT $1, to_char(v, 'FM000000') || '-' || side, to_char(v, 'FM000000'), '2026-10-15', '3000', side * 10.10, $3
		FROM generate_series(1, $2::int) v, unnest(ARRAY[1, -1]) side`, b.id, n, b.text)
	require.NoError(t, err)
}

// heap asks a worker what its collector aims at: twice what lives.
func heap(t *testing.T, w *devstack.Process) float64 {
	t.Helper()
	_, body := asking(t, w)("/metrics")
	found := regexp.MustCompile(`(?m)^go_memstats_next_gc_bytes (\S+)$`).FindStringSubmatch(body)
	require.NotNil(t, found)
	bytes, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	return bytes
}

// A large run keeps its histories and the worker's memory as small as a small
// one's.
func TestExportLarge(t *testing.T) {
	w := startWorker(t)
	run := func(entries int) (peak float64, histories []int) {
		b := newBook(t)
		b.manyVouchers(t, entries/2)
		started := b.start(t, b.input(t, "2026-10"))
		first := started.GetRunID()
		over := make(chan workflows.SyncResult, 1)
		go func() {
			var r workflows.SyncResult
			if started.Get(t.Context(), &r) == nil {
				over <- r
			}
			close(over)
		}()
		for {
			peak = max(peak, heap(t, w))
			select {
			case r := <-over:
				require.Equal(t, []any{exports.Complete, entries}, []any{r.Export.Status, r.Export.Exported}, "%+v", r.Export)
				require.NotEqual(t, uuid.Nil, r.Export.ID)
				b.requireOnce(t, entries)
				for _, list := range chain(t, started.GetID(), first) {
					histories = append(histories, len(list))
				}
				return peak, histories
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	small, histories := run(5000)
	require.Len(t, histories, 1)
	large, histories := run(50000)
	require.Greater(t, len(histories), 1, "it has continued as new")
	total := 0
	for _, n := range histories {
		require.LessOrEqual(t, n, suggested+oneStep)
		total += n
	}
	require.LessOrEqual(t, total, 40*50, "at most 40 events for 1,000 entries")
	t.Logf("5,000 entries: heap %.1f MB; 50,000: %.1f MB, histories of %v events", small/1e6, large/1e6, histories)
	require.Less(t, large, 1.5*small+8e6, "50,000 entries as text are more than 10 MB")
}
