package runlog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/classify"
)

// AttemptRow is one row of integration_run_logs: a failed attempt, or the success
// that followed one.
type AttemptRow struct {
	OrganizationID         uuid.UUID      `json:"organizationId"`
	IntegrationID          *uuid.UUID     `json:"integrationId"` // nil where the organization has no such integration; decided by [InsertAttempts]
	RequestedIntegrationID uuid.UUID      `json:"requestedIntegrationId"`
	CorrelationID          uuid.UUID      `json:"correlationId"` // v4
	AdapterName            string         `json:"adapterName"`
	Operation              string         `json:"operation"`
	AttemptNumber          int            `json:"attemptNumber"`
	ErrorClass             classify.Class `json:"errorClass,omitempty"` // "" on the row of a success
	ErrorKind              classify.Kind  `json:"errorKind"`
	Rule                   string         `json:"rule"`
	HTTPStatus             int            `json:"httpStatus,omitempty"` // 0 if there was no response
	ErrorMessage           string         `json:"errorMessage,omitempty"`
	IsRetryable            bool           `json:"isRetryable"`
	TotalAttempts          int            `json:"totalAttempts,omitempty"` // on the row of a success
	PlannedDelay           time.Duration  `json:"plannedDelayNs,omitempty"`
	OccurredAt             time.Time      `json:"occurredAt"`
	WorkflowID             string         `json:"workflowId"`
	RunID                  uuid.UUID      `json:"runId"`
	RunStartedAt           time.Time      `json:"runStartedAt"`

	Effect    classify.Effect `json:"effect,omitempty"`    // of a write; "" if none was sent
	OpenUntil *time.Time      `json:"openUntil,omitempty"` // of an open one: it can take effect until then
	Actor     string          `json:"actor,omitempty"`     // who made the call; "" for runs and monitors
}

// insertAttempts takes one array for each column. It names no conflict target: that
// would need the right to read. A row has an integration_id only if the organization
// has that integration, for the sake of the foreign key; requested_integration_id
// has what the caller named.
const insertAttempts = `
INSERT INTO ledgerline.integration_run_logs (
    organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number,
    error_class, error_kind, rule, http_status, error_message, is_retryable, total_attempts, planned_delay,
    occurred_at, workflow_id, run_id, run_started_at, effect, open_until, actor)
SELECT @organization_id, integrations.integration_id,
    requested_integration_id, correlation_id, adapter_name, operation, attempt_number,
    nullif(error_class, ''), error_kind, rule, nullif(http_status, 0), nullif(error_message, ''), is_retryable,
    nullif(total_attempts, 0), make_interval(secs => nullif(planned_delay, 0)),
    occurred_at, workflow_id, run_id, run_started_at, nullif(effect, ''), open_until, nullif(actor, '')
FROM unnest(@requested_integration_id::uuid[], @correlation_id::uuid[], @adapter_name::text[], @operation::text[], @attempt_number::int[],
        @error_class::text[], @error_kind::text[], @rule::text[], @http_status::int[], @error_message::text[], @is_retryable::bool[],
        @total_attempts::int[], @planned_delay::float8[], @occurred_at::timestamptz[], @workflow_id::text[], @run_id::uuid[],
        @run_started_at::timestamptz[], @effect::text[], @open_until::timestamptz[], @actor::text[])
    AS attempt (requested_integration_id, correlation_id, adapter_name, operation, attempt_number, error_class, error_kind, rule, http_status,
        error_message, is_retryable, total_attempts, planned_delay, occurred_at, workflow_id, run_id, run_started_at, effect, open_until, actor)
LEFT JOIN ledgerline.integrations ON integrations.organization_id = @organization_id AND integrations.integration_id = requested_integration_id
ON CONFLICT DO NOTHING`

// InsertAttempts stores rows of one organization, all or none, in three round trips.
// A row that is there already is left as it is, so a caller who does not know
// whether an insert arrived makes it again.
func InsertAttempts(ctx context.Context, db Beginner, organization uuid.UUID, rows []AttemptRow) error {
	if len(rows) == 0 {
		return nil
	}
	for _, r := range rows {
		if r.OrganizationID != organization {
			return fmt.Errorf("a row of organization %s among those of %s", r.OrganizationID, organization)
		}
	}
	// Begin; setting and insert together; commit.
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(setOrganization, organization.String())
		batch.Queue(insertAttempts, attemptColumns(organization, rows))
		return tx.SendBatch(ctx, batch).Close()
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && isMissingPartition(pg) {
		return fmt.Errorf("no partition for run_started_at of the rows: %w", err)
	}
	return err
}

func attemptColumns(organization uuid.UUID, rows []AttemptRow) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"organization_id":          organization,
		"requested_integration_id": column(rows, func(r AttemptRow) uuid.UUID { return r.RequestedIntegrationID }),
		"correlation_id":           column(rows, func(r AttemptRow) uuid.UUID { return r.CorrelationID }),
		"adapter_name":             column(rows, func(r AttemptRow) string { return storable(r.AdapterName) }),
		"operation":                column(rows, func(r AttemptRow) string { return storable(r.Operation) }),
		"attempt_number":           column(rows, func(r AttemptRow) int32 { return int32(r.AttemptNumber) }),
		"error_class":              column(rows, func(r AttemptRow) string { return string(r.ErrorClass) }),
		"error_kind":               column(rows, func(r AttemptRow) string { return string(r.ErrorKind) }),
		"rule":                     column(rows, func(r AttemptRow) string { return storable(r.Rule) }),
		"http_status":              column(rows, func(r AttemptRow) int32 { return int32(r.HTTPStatus) }),
		"error_message":            column(rows, func(r AttemptRow) string { return storable(r.ErrorMessage) }),
		"is_retryable":             column(rows, func(r AttemptRow) bool { return r.IsRetryable }),
		"total_attempts":           column(rows, func(r AttemptRow) int32 { return int32(r.TotalAttempts) }),
		"planned_delay":            column(rows, func(r AttemptRow) float64 { return r.PlannedDelay.Seconds() }),
		"occurred_at":              column(rows, func(r AttemptRow) time.Time { return r.OccurredAt }),
		"workflow_id":              column(rows, func(r AttemptRow) string { return storable(r.WorkflowID) }),
		"run_id":                   column(rows, func(r AttemptRow) uuid.UUID { return r.RunID }),
		"run_started_at":           column(rows, func(r AttemptRow) time.Time { return r.RunStartedAt }),
		"effect":                   column(rows, func(r AttemptRow) string { return string(r.Effect) }),
		"open_until":               column(rows, func(r AttemptRow) *time.Time { return r.OpenUntil }),
		"actor":                    column(rows, func(r AttemptRow) string { return storable(r.Actor) }),
	}
}

// column returns one value of each row, for unnest.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = value(r)
	}
	return values
}

// storable is the last line of defence: text that PostgreSQL refuses would
// keep a row, and its whole batch, out of the record for good.
func storable(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
	if utf8.RuneCountInString(s) > 500 {
		s = string([]rune(s)[:500])
	}
	return s
}

// MaxPage is the most rows that a list returns at once.
const MaxPage = 1000

// AttemptFilter selects rows. The zero value selects all of an organization's.
type AttemptFilter struct {
	Adapter       string
	Class         classify.Class // "success" selects the rows of successes
	Since, Until  time.Time      // by occurred_at, [Since, Until)
	CorrelationID uuid.UUID
	Integration   uuid.UUID     // that was asked for
	Limit         int           // 1 to MaxPage; 0 is MaxPage
	After         AttemptCursor // the page after this one
	Newest        bool          // newest first
}

// AttemptCursor is a position between two rows. The zero value is before the first.
type AttemptCursor struct {
	OccurredAt    time.Time
	CorrelationID uuid.UUID
	AttemptNumber int
}

const selectAttempts = `
SELECT organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number,
    coalesce(error_class, '') AS error_class, error_kind, rule, coalesce(http_status, 0) AS http_status,
    coalesce(error_message, '') AS error_message, is_retryable, coalesce(total_attempts, 0) AS total_attempts,
    coalesce(planned_delay, interval '0') AS planned_delay, occurred_at, workflow_id, run_id, run_started_at,
    coalesce(effect, '') AS effect, open_until, coalesce(actor, '') AS actor
FROM ledgerline.integration_run_logs`

// ListAttempts returns a page of an organization's rows, oldest first, and where the
// next page begins. It pages by key, so that a page costs the same wherever it
// is and rows that arrive meanwhile move nothing.
func ListAttempts(ctx context.Context, db Beginner, organization uuid.UUID, f AttemptFilter) ([]AttemptRow, AttemptCursor, error) {
	query, args := f.query(organization)
	rows, err := queryInOrganization[AttemptRow](ctx, db, organization, query, args)
	next := f.After
	if len(rows) > 0 {
		last := rows[len(rows)-1]
		next = AttemptCursor{last.OccurredAt, last.CorrelationID, last.AttemptNumber}
	}
	return rows, next, err
}

func (f AttemptFilter) query(organization uuid.UUID) (string, pgx.NamedArgs) {
	direction, beyond := "", ">"
	if f.Newest {
		direction, beyond = " DESC", "<"
	}
	where := []string{"organization_id = @organization"} // row-level security says so too; this uses the index
	for _, c := range []struct {
		applies   bool
		condition string
	}{
		{f.Adapter != "", "adapter_name = @adapter"},
		{f.Class == classify.Success, "error_class IS NULL"},
		{f.Class != "" && f.Class != classify.Success, "error_class = @class"},
		{!f.Since.IsZero(), "occurred_at >= @since"},
		{!f.Until.IsZero(), "occurred_at < @until"},
		{f.CorrelationID != uuid.Nil, "correlation_id = @correlation"},
		{f.Integration != uuid.Nil, "requested_integration_id = @integration"},
		{f.After != AttemptCursor{}, "(occurred_at, correlation_id, attempt_number) " + beyond + " (@after_time, @after_correlation, @after_attempt)"},
	} {
		if c.applies {
			where = append(where, c.condition)
		}
	}
	limit := f.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	query := fmt.Sprintf("%s WHERE %s ORDER BY occurred_at%[3]s, correlation_id%[3]s, attempt_number%[3]s LIMIT %[4]d",
		selectAttempts, strings.Join(where, " AND "), direction, limit)
	return query, pgx.NamedArgs{
		"organization": organization, "integration": f.Integration, "adapter": f.Adapter, "class": string(f.Class), "since": f.Since, "until": f.Until, "correlation": f.CorrelationID,
		"after_time": f.After.OccurredAt, "after_correlation": f.After.CorrelationID, "after_attempt": f.After.AttemptNumber,
	}
}

// Reduced returns a row that the database accepts in place of one that it refused
// with err: what it cannot hold is replaced, and the message says so. A missing row
// would be worse than a poor one.
func (r AttemptRow) Reduced(err error) AttemptRow {
	why := "it was refused"
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		why = "it was refused by " + cmp.Or(pg.ConstraintName, "code "+pg.Code)
	}
	if r.CorrelationID.Version() != 4 {
		why += fmt.Sprintf("; it is of correlation ID %s", r.CorrelationID)
		sum := sha256.Sum256(r.CorrelationID[:])
		copy(r.CorrelationID[:], sum[:16])
		r.CorrelationID[6], r.CorrelationID[8] = r.CorrelationID[6]&0x0f|0x40, r.CorrelationID[8]&0x3f|0x80
	}
	r.AttemptNumber = max(1, r.AttemptNumber)
	if r.ErrorClass == "" && r.TotalAttempts > 0 {
		r.TotalAttempts, r.IsRetryable = r.AttemptNumber, false
		if r.TotalAttempts < 2 && r.Effect == "" {
			r.Effect = classify.Open
		}
	} else {
		r.TotalAttempts = 0
		if !slices.Contains([]classify.Class{classify.Transient, classify.Permanent, classify.Timeout}, r.ErrorClass) {
			r.ErrorClass = classify.Permanent
		}
	}
	if r.HTTPStatus < 100 || r.HTTPStatus > 999 {
		r.HTTPStatus = 0
	}
	if r.PlannedDelay < 0 || r.PlannedDelay > 24*time.Hour {
		r.PlannedDelay = 0
	}
	if !slices.Contains([]classify.Effect{"", classify.Done, classify.None, classify.Open}, r.Effect) {
		r.Effect = classify.Open
	}
	r.Rule = "record:reduced"
	r.ErrorMessage = storable("this row is reduced, because " + why + ": " + r.ErrorMessage)
	return r
}
