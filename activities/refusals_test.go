package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// denied is PostgreSQL's answer to a role that lacks a right.
var denied = &pgconn.PgError{Code: "42501", Message: "permission denied for table x"}

// What PostgreSQL does not take is logged and counted by its reason. What the store
// answers, and a step that was cancelled, are neither.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		err           error
		reason, level string
	}{
		"none":          {},
		"a right":       {fmt.Errorf("x: %w", denied), auditRefused, "ERROR"},
		"a defect":      {errors.New("cannot scan NULL"), auditRefused, "ERROR"},
		"it is away":    {&pgconn.PgError{Code: "57P01"}, auditUnavailable, "WARN"},
		"it is slow":    {context.DeadlineExceeded, auditUnavailable, "WARN"},
		"cancelled":     {fmt.Errorf("x: %w", context.Canceled), "", ""},
		"not found":     {fmt.Errorf("x: %w", runlog.ErrNotFound), "", ""},
		"not the run's": {fmt.Errorf("x: %w", runlog.ErrNotOwner), "", ""},
		"too soon":      {&runlog.TooSoonError{}, "", ""},
		"another's":     {&runlog.ConflictError{}, "", ""},
		"too late":      {attemptOver(t), "", ""},
	} {
		var log bytes.Buffer
		var counted []string
		refusals{slog.New(slog.NewTextHandler(&log, nil)), func(step, reason string) { counted = append(counted, step+" "+reason) }}.
			note("MarkChunk", "nothing was sent", c.err, "correlation_id", "c")
		if c.reason == "" {
			require.Empty(t, log.String(), name)
			require.Empty(t, counted, name)
			continue
		}
		require.Equal(t, []string{"MarkChunk " + c.reason}, counted, name)
		require.Regexp(t, "level="+c.level+` msg="the database did not take a step: nothing was sent" step=MarkChunk reason=`+
			c.reason+" .*correlation_id=c\n", log.String(), name)
	}
}

// attemptOver is the answer to an attempt whose time is over.
func attemptOver(t *testing.T) error {
	t.Helper()
	_, err := runlog.ClaimWrite(t.Context(), nil, runlog.WriteClaim{}, -1, 0, false)
	require.Error(t, err)
	return err
}

// An integration that cannot be read and is known is used as it is known; that it could not
// be read is logged and counted.
func TestRefusalOfWhatIsKnown(t *testing.T) {
	var log bytes.Buffer
	var counted []string
	answers := []error{nil, denied, runlog.ErrNotFound, denied}
	look := cached("LoadPause", func(context.Context, uuid.UUID, uuid.UUID) (int, error) {
		err := answers[0]
		answers = answers[1:]
		return 7, err
	}, 0, refusals{slog.New(slog.NewTextHandler(&log, nil)), func(step, reason string) { counted = append(counted, step+" "+reason) }})
	organization, integration := uuid.New(), uuid.New()
	for _, want := range []error{nil, nil, runlog.ErrNotFound, denied} { // the last is for the attempt to report
		_, err := look.get(t.Context(), organization, integration)
		require.Equal(t, want, err)
	}
	require.Equal(t, []string{"LoadPause audit_refused"}, counted)
	require.Contains(t, log.String(), "integration_id="+integration.String())
}

// What a read of all pauses has found holds for each integration at once, also for one that
// cannot be read now; and it does not undo what was read of one since.
func TestPausesAreAdopted(t *testing.T) {
	key := func() runlog.IntegrationKey {
		return runlog.IntegrationKey{OrganizationID: uuid.New(), IntegrationID: uuid.New()}
	}
	first, second, read := key(), key(), errors.New("away")
	look := cached("LoadPause", func(context.Context, uuid.UUID, uuid.UUID) (string, error) { return "", read }, time.Hour,
		refusals{slog.New(slog.DiscardHandler), nil})
	now := func(k runlog.IntegrationKey) string {
		v, err := look.get(t.Context(), k.OrganizationID, k.IntegrationID)
		require.NoError(t, err)
		return v
	}
	read = nil
	require.Equal(t, []string{"", ""}, []string{now(first), now(second)})
	read = errors.New("away")
	began := time.Now()
	look.adopt(map[runlog.IntegrationKey]string{first: "paused"}, began)
	require.Equal(t, []string{"paused", ""}, []string{now(first), now(second)})
	look.adopt(map[runlog.IntegrationKey]string{second: "paused"}, began.Add(-time.Minute))
	require.Equal(t, []string{"paused", ""}, []string{now(first), now(second)}, "a read that began before")
	look.adopt(map[runlog.IntegrationKey]string{second: "paused"}, time.Now())
	require.Equal(t, []string{"", "paused"}, []string{now(first), now(second)})
	look.fresh = 0
	look.adopt(nil, time.Now())
	require.Equal(t, []string{"", ""}, []string{now(first), now(second)}, "it cannot be read")
	look.adopt(map[runlog.IntegrationKey]string{first: "paused"}, time.Now())
	require.Equal(t, "paused", now(first), "nor after that")
}
