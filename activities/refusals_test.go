package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

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
		_, err := look(t.Context(), organization, integration)
		require.Equal(t, want, err)
	}
	require.Equal(t, []string{"LoadPause audit_refused"}, counted)
	require.Contains(t, log.String(), "integration_id="+integration.String())
}
