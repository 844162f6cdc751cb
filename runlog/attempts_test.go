package runlog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

func TestAttemptsComeBackAsTheyWere(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	failed := row(organization, integration)
	done := failed
	done.AttemptNumber, done.ErrorClass, done.ErrorKind, done.IsRetryable, done.TotalAttempts, done.PlannedDelay = 2, "", classify.OK, false, 2, 0
	done.HTTPStatus, done.ErrorMessage, done.Rule = 200, "", "status:2xx"
	done.OccurredAt = failed.OccurredAt.Add(time.Second)
	rows := []runlog.AttemptRow{failed, done}
	for range 2 { // a second time has no effect
		require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, rows))
	}
	got := list(t, b.operator, organization, runlog.AttemptFilter{})
	require.Len(t, got, 2)
	for i := range got {
		got[i].OccurredAt, got[i].RunStartedAt = got[i].OccurredAt.UTC(), got[i].RunStartedAt.UTC()
		require.Equal(t, &integration, got[i].IntegrationID)
		got[i].IntegrationID = nil
	}
	require.Equal(t, rows, got)
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, nil))
}

// Text that PostgreSQL refuses must not keep a row out of the record.
func TestPoisonText(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	for i, text := range []string{"a\x00b", "a\xff\xfeb", strings.Repeat("å", 600), "\ufeff", strings.Repeat("\x00", 1000)} {
		r := row(organization, integration)
		r.ErrorMessage, r.Rule, r.Operation = text, text, text
		require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{r}), "%q", text)
		require.Len(t, list(t, b.reader, organization, runlog.AttemptFilter{}), i+1)
	}
}

func TestPaging(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	began := time.Now().UTC().Truncate(time.Second)
	var rows []runlog.AttemptRow
	for i := range 25 {
		r := row(organization, integration)
		r.OccurredAt = began.Add(time.Duration(i/5) * time.Second) // five at the same moment
		r.AdapterName = []string{"xledger", "dataverse"}[i%2]
		rows = append(rows, r)
	}
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, rows))
	for _, newest := range []bool{false, true} {
		seen := make(map[uuid.UUID]bool)
		f := runlog.AttemptFilter{Limit: 4, Newest: newest}
		var last time.Time
		for {
			page, next, err := runlog.ListAttempts(t.Context(), b.reader, organization, f)
			require.NoError(t, err)
			for _, r := range page {
				require.False(t, seen[r.CorrelationID], "a row on two pages")
				seen[r.CorrelationID] = true
				if newest && !last.IsZero() {
					require.False(t, r.OccurredAt.After(last))
				} else {
					require.False(t, r.OccurredAt.Before(last))
				}
				last = r.OccurredAt
			}
			if f.After = next; len(page) < 4 {
				break
			}
		}
		require.Len(t, seen, 25)
	}
	require.Len(t, list(t, b.reader, organization, runlog.AttemptFilter{Adapter: "dataverse"}), 12)
	require.Len(t, list(t, b.reader, organization, runlog.AttemptFilter{Since: began.Add(2 * time.Second), Until: began.Add(4 * time.Second)}), 10)
	require.Len(t, list(t, b.reader, organization, runlog.AttemptFilter{CorrelationID: rows[3].CorrelationID}), 1)
	require.Empty(t, list(t, b.reader, organization, runlog.AttemptFilter{Class: classify.Success}))
	require.Len(t, list(t, b.reader, organization, runlog.AttemptFilter{Class: classify.Transient}), 25)
	require.Empty(t, list(t, b.reader, organization, runlog.AttemptFilter{Adapter: "' OR true --"}))
}

func TestPartitions(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	for months, want := range map[int]bool{-2: true, 4: true, 6: false} {
		r := row(organization, integration)
		r.RunStartedAt = time.Now().UTC().AddDate(0, 0, -time.Now().UTC().Day()+10).AddDate(0, months, 0)
		err := runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{r})
		if want {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "no partition")
		require.True(t, runlog.IsTransient(err), "the row waits until there is one")
	}
	made, err := runlog.EnsurePartitions(t.Context(), b.worker)
	require.NoError(t, err)
	require.Zero(t, made)

	old := time.Now().UTC().AddDate(0, -20, 0).Format("2006_01")
	_, err = b.admin.Exec(t.Context(), "SELECT ledgerline.make_partitions(20, 0)")
	require.NoError(t, err)
	retention := open(t, b.name, "t")
	drop := func(keep int) ([]string, error) {
		rows, err := retention.Query(t.Context(), "SELECT ledgerline.drop_partitions($1)", keep)
		require.NoError(t, err)
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	dropped, err := drop(18)
	require.NoError(t, err)
	require.Contains(t, dropped, "integration_run_logs_"+old)
	require.NotContains(t, dropped, "integration_run_logs_"+time.Now().UTC().Format("2006_01"))
	_, err = drop(0)
	require.ErrorContains(t, err, "keep at least one month")
}
