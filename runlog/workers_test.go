package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

func heartbeat() runlog.Heartbeat {
	return runlog.Heartbeat{WorkerID: uuid.New(), Identity: "7@host", Host: "host", Version: "v1", Namespace: "space", TaskQueue: "queue", Clock: time.Now()}
}

// A worker's row follows what it says, and time: PostgreSQL's clock and not its own.
func TestWorkerStates(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	h := heartbeat()
	h.Clock = h.Clock.Add(-time.Hour)
	say := func(change func(*runlog.Heartbeat)) runlog.Worker {
		t.Helper()
		change(&h)
		require.NoError(t, runlog.RecordHeartbeat(t.Context(), b.worker, h))
		list, err := runlog.ListWorkers(t.Context(), b.operator, "space", "queue")
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0]
	}
	w := say(func(*runlog.Heartbeat) {})
	require.Equal(t, runlog.WorkerRunning, w.State())
	require.Less(t, w.ClockOffset, -59*time.Minute)
	require.Less(t, w.Ago, time.Minute)
	require.Nil(t, w.ExaminedAt)
	require.Equal(t, []runlog.Lack{}, w.Lacks)

	lack := runlog.Lack{OrganizationID: uuid.New(), Owner: "crm", What: "clientSecret", Why: "there is no file"}
	w = say(func(h *runlog.Heartbeat) { h.Examined = &runlog.Examined{Needs: 3, Lacks: []runlog.Lack{lack}} })
	require.Equal(t, []runlog.Lack{lack}, w.Lacks)
	require.Equal(t, []int{3, 1}, []int{w.Needs, w.Lacking})
	examined := w.ExaminedAt
	require.NotNil(t, examined)
	w = say(func(h *runlog.Heartbeat) { h.Examined = nil })
	require.Equal(t, []runlog.Lack{lack}, w.Lacks, "as it was examined last")
	require.Equal(t, examined, w.ExaminedAt)

	w = say(func(h *runlog.Heartbeat) {
		h.Examined = &runlog.Examined{Needs: 500}
		for i := range 300 {
			h.Examined.Lacks = append(h.Examined.Lacks, runlog.Lack{Owner: fmt.Sprint(i)})
		}
	})
	require.Len(t, w.Lacks, 100)
	require.Equal(t, []int{500, 300}, []int{w.Needs, w.Lacking})

	require.Empty(t, w.Waits())
	waits := runlog.Lack{Owner: "worker", What: runlog.NeedPayloadKeys, Why: "it lacks k1"} // of no organization
	w = say(func(h *runlog.Heartbeat) { h.Examined = &runlog.Examined{Needs: 1, Lacks: []runlog.Lack{waits}} })
	require.Equal(t, "it lacks k1", w.Waits())

	require.Equal(t, runlog.WorkerStopping, say(func(h *runlog.Heartbeat) { h.Stopping = true }).State())
	require.Equal(t, runlog.WorkerStopped, say(func(h *runlog.Heartbeat) { h.Stopped = true }).State())
	require.Len(t, runlog.Running([]runlog.Worker{w, say(func(*runlog.Heartbeat) {})}), 1)
}

// One that was killed is lost; the row of one that nobody has seen for a week goes.
func TestWorkersThatSayNothing(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	record := func(h runlog.Heartbeat) { require.NoError(t, runlog.RecordHeartbeat(t.Context(), b.worker, h)) }
	killed, old, other := heartbeat(), heartbeat(), heartbeat()
	other.Namespace = "another"
	for _, h := range []runlog.Heartbeat{killed, old, other} {
		record(h)
	}
	for id, ago := range map[uuid.UUID]string{killed.WorkerID: "36 s", old.WorkerID: "8 days"} {
		_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.workers SET seen_at = now() - $2::text::interval WHERE worker_id = $1", id, ago)
		require.NoError(t, err)
	}
	running := heartbeat()
	record(running)
	require.Equal(t, 3, count(t, b, "workers"))
	list, err := runlog.ListWorkers(t.Context(), b.operator, "space", "queue")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, running.WorkerID, list[0].WorkerID)
	require.Equal(t, []runlog.WorkerState{runlog.WorkerRunning, runlog.WorkerGone}, []runlog.WorkerState{list[0].State(), list[1].State()})
	require.Len(t, runlog.Running(list), 1)
}

// Who may do what: nobody writes a row but through the function, and reports do not
// see what names organizations.
func TestWorkersRights(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	require.NoError(t, runlog.RecordHeartbeat(t.Context(), b.worker, heartbeat()))
	require.True(t, denied(runlog.RecordHeartbeat(t.Context(), b.operator, heartbeat())))
	_, err := runlog.ListNeeds(t.Context(), b.operator)
	require.True(t, denied(err), err)
	_, err = runlog.ListWorkers(t.Context(), b.worker, "space", "queue")
	require.True(t, denied(err), err)
	var n int
	require.NoError(t, b.reader.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.workers WHERE stopped_at IS NULL").Scan(&n))
	require.Equal(t, 1, n)
	require.True(t, denied(b.reader.QueryRow(t.Context(), "SELECT count(lacks) FROM ledgerline.workers").Scan(&n)))
}

// What workers need is that of all organizations: credentials, signing secrets, the
// mail server and the login of sources.
func TestNeeds(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	organization, integration := b.tenant(t)
	list, err := runlog.ListNeeds(t.Context(), b.worker)
	require.NoError(t, err)
	credentials := len(list)
	require.NotZero(t, credentials)
	for _, need := range list {
		require.Equal(t, organization, need.OrganizationID)
		require.NotEmpty(t, need.Reference)
	}
	for _, statement := range []string{
		`UPDATE ledgerline.integrations SET export = '{"source": "books.ledger"}' WHERE integration_id = $1::uuid AND organization_id = $2::uuid`,
		`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by)
			SELECT $2::uuid, 'mail', 'email', '{"to": ["a@example.com"]}', $1::uuid::text`,
		`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by)
			SELECT $2::uuid, 'hook', 'webhook', '{"url": "https://example.com/", "secret": "file:hook"}', $1::uuid::text`,
	} {
		_, err := b.admin.Exec(t.Context(), statement, integration, organization)
		require.NoError(t, err, statement)
	}
	list, err = runlog.ListNeeds(t.Context(), b.worker)
	require.NoError(t, err)
	require.Len(t, list, credentials+3)
	what := map[string]string{}
	for _, need := range list {
		what[need.What] = need.Reference
	}
	require.Equal(t, "file:hook", what[runlog.NeedSigningSecret])
	require.Contains(t, what, runlog.NeedMailServer)
	require.Contains(t, what, runlog.NeedSource)
	_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET removed_at = now(), paused_at = NULL")
	require.NoError(t, err)
	_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.notification_channels SET removed_at = now()")
	require.NoError(t, err)
	list, err = runlog.ListNeeds(t.Context(), b.worker)
	require.NoError(t, err)
	require.Empty(t, list)
}
