package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// Whoever pauses waits for every worker that runs: one that has read the pauses since, one
// that has not, one of the version before, one that was killed and one that has stopped.
func TestAwaitPauseRead(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	organization, integration := b.tenant(t)
	await := func() runlog.PauseNotice {
		t.Helper()
		n, err := runlog.AwaitPauseRead(t.Context(), b.operator, time.Millisecond, time.Millisecond)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, "no worker is running; one that starts will see it", await().Says())

	read, unread, older, killed, stopped := heartbeat(), heartbeat(), heartbeat(), heartbeat(), heartbeat()
	read.Identity, unread.Identity, older.Identity, stopped.Stopped = "1@read", "2@unread", "3@older", true
	say := func(h runlog.Heartbeat) { require.NoError(t, runlog.RecordHeartbeat(t.Context(), b.worker, h)) }
	reads := func(h *runlog.Heartbeat) map[runlog.IntegrationKey]runlog.Pause {
		t.Helper()
		pauses, asOf, err := runlog.ReadPauses(t.Context(), b.worker)
		require.NoError(t, err)
		h.PausesReadAt = asOf
		say(*h)
		return pauses
	}
	for _, h := range []*runlog.Heartbeat{&read, &unread, &killed, &stopped} {
		require.Empty(t, reads(h))
	}
	say(older)
	_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.workers SET seen_at = now() - interval '36 s' WHERE worker_id = $1", killed.WorkerID)
	require.NoError(t, err)

	p, _, err := runlog.PauseIntegration(t.Context(), b.operator, organization, integration, "kari", "month end")
	require.NoError(t, err)
	n := await()
	require.False(t, n.Done())
	require.Len(t, n.Unread, 2)
	require.Regexp(t, `^worker 1@read \(seen \d+s ago\), 2@unread \(.*\): has not read it yet and may still call the vendor; worker 3@older .*: does not say`, n.Says())

	_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.workers SET seen_at = now() - interval '22 s' WHERE worker_id = $1", unread.WorkerID)
	require.NoError(t, err)
	n = await()
	require.Equal(t, []int{1, 1}, []int{len(n.Unread), len(n.Silent)})
	require.False(t, n.Done(), "it may speak again")
	require.Contains(t, n.Says(), "worker 2@unread (seen 22s ago): says nothing")

	known := make(chan map[runlog.IntegrationKey]runlog.Pause, 1)
	waited := make(chan runlog.PauseNotice, 1)
	go func() {
		n, err := runlog.AwaitPauseRead(t.Context(), b.operator, time.Millisecond, time.Minute)
		if err == nil {
			waited <- n
		}
		close(waited)
	}()
	for done := false; !done; {
		select {
		case n = <-waited:
			done = true
		default:
			got := reads(&read)
			reads(&unread)
			select {
			case known <- got:
			default:
			}
		}
	}
	require.True(t, n.Done())
	require.Len(t, n.Read, 2)
	require.Len(t, n.Unknown, 1)
	got := (<-known)[runlog.IntegrationKey{OrganizationID: organization, IntegrationID: integration}]
	require.True(t, p.At.Equal(got.At))
	require.Equal(t, []string{"kari", "month end"}, []string{got.By, got.Reason}, "of all organizations")

	// One that starts later reads it before it calls anybody.
	require.Empty(t, await().Read)
	_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.workers SET started_at = now() + interval '1 hour' WHERE worker_id = $1", older.WorkerID)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{older.WorkerID}, []uuid.UUID{await().Read[0].WorkerID})

	list, err := runlog.ListAllWorkers(t.Context(), b.reader)
	require.NoError(t, err)
	require.Len(t, list, 5)
	_, _, err = runlog.ReadPauses(t.Context(), b.operator)
	require.ErrorContains(t, err, "42501", "of all organizations, only workers")
}
