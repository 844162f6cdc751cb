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
	Actor     string          `json:"actor,omitempty"`     // who asked for it; "" for runs and monitors
}

// insertRows takes one array a column. It names no conflict target: that would
// need the right to read. The integration is named where the organization has
// it; the foreign key could not hold otherwise, and what was asked for stands
// beside it.
const insertRows = `
INSERT INTO ledgerline.integration_run_logs (
    organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number,
    error_class, error_kind, rule, http_status, error_message, is_retryable, total_attempts, planned_delay,
    occurred_at, workflow_id, run_id, run_started_at, effect, open_until, actor)
SELECT $1, (SELECT integration_id FROM ledgerline.integrations n WHERE n.organization_id = $1 AND n.integration_id = r),
    r, c, a, o, n, nullif(cl, ''), k, ru, nullif(h, 0), nullif(m, ''), re, nullif(t, 0), make_interval(secs => nullif(d, 0)), oc, w, ri, rs,
    nullif(e, ''), ou, nullif(ac, '')
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[],
    $10::int[], $11::text[], $12::bool[], $13::int[], $14::float8[], $15::timestamptz[], $16::text[], $17::uuid[], $18::timestamptz[],
    $19::text[], $20::timestamptz[], $21::text[])
    AS u (r, c, a, o, n, cl, k, ru, h, m, re, t, d, oc, w, ri, rs, e, ou, ac)
ON CONFLICT DO NOTHING`

// InsertAttempts stores rows of one organization, all or none, in two round trips.
// A row that is there already is left as it is, so a caller who does not know
// whether an insert arrived makes it again.
func InsertAttempts(ctx context.Context, db Beginner, organization uuid.UUID, rows []AttemptRow) error {
	if len(rows) == 0 {
		return nil
	}
	c := columns{n: len(rows)}
	for _, r := range rows {
		if r.OrganizationID != organization {
			return fmt.Errorf("a row of organization %s among those of %s", r.OrganizationID, organization)
		}
		c.add(r)
	}
	// Sent together: begin and setting, insert, commit.
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(setOrganization, organization.String())
		batch.Queue(insertRows, append([]any{organization}, c.args()...)...)
		return tx.SendBatch(ctx, batch).Close()
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && isMissingPartition(pg) {
		return fmt.Errorf("no partition for run_started_at of the rows: %w", err)
	}
	return err
}

// columns are rows turned on their side.
type columns struct {
	n                                                   int
	requested, correlation, run                         []uuid.UUID
	adapter, operation, class, kind, rule, message, wfl []string
	attempt, status, total                              []int32
	retryable                                           []bool
	delay                                               []float64
	occurred, started                                   []time.Time
	effect, actor                                       []string
	openUntil                                           []*time.Time
}

func (c *columns) add(r AttemptRow) {
	c.requested = append(c.requested, r.RequestedIntegrationID)
	c.correlation = append(c.correlation, r.CorrelationID)
	c.adapter = append(c.adapter, storable(r.AdapterName))
	c.operation = append(c.operation, storable(r.Operation))
	c.attempt = append(c.attempt, int32(r.AttemptNumber))
	c.class = append(c.class, string(r.ErrorClass))
	c.kind = append(c.kind, string(r.ErrorKind))
	c.rule = append(c.rule, storable(r.Rule))
	c.status = append(c.status, int32(r.HTTPStatus))
	c.message = append(c.message, storable(r.ErrorMessage))
	c.retryable = append(c.retryable, r.IsRetryable)
	c.total = append(c.total, int32(r.TotalAttempts))
	c.delay = append(c.delay, r.PlannedDelay.Seconds())
	c.occurred = append(c.occurred, r.OccurredAt)
	c.wfl = append(c.wfl, storable(r.WorkflowID))
	c.run = append(c.run, r.RunID)
	c.started = append(c.started, r.RunStartedAt)
	c.effect = append(c.effect, string(r.Effect))
	c.openUntil = append(c.openUntil, r.OpenUntil)
	c.actor = append(c.actor, storable(r.Actor))
}

func (c *columns) args() []any {
	return []any{c.requested, c.correlation, c.adapter, c.operation, c.attempt, c.class, c.kind, c.rule,
		c.status, c.message, c.retryable, c.total, c.delay, c.occurred, c.wfl, c.run, c.started,
		c.effect, c.openUntil, c.actor}
}

// storable is the last line of defence: text that PostgreSQL refuses would
// keep a row, and with it its batch, out of the record for ever.
func storable(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
	if utf8.RuneCountInString(s) > 500 {
		s = string([]rune(s)[:500])
	}
	return s
}

// MaxPage is the most rows that [ListAttempts] returns at once.
const MaxPage = 1000

// AttemptFilter selects rows. The zero value selects all of an organization's.
type AttemptFilter struct {
	Adapter       string
	Class         classify.Class // "success" selects the rows of successes
	Since, Until  time.Time      // by occurred_at, [Since, Until)
	CorrelationID uuid.UUID
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

const selectRows = `
SELECT organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number,
    coalesce(error_class, ''), error_kind, rule, coalesce(http_status, 0), coalesce(error_message, ''), is_retryable,
    coalesce(total_attempts, 0), coalesce(planned_delay, interval '0'), occurred_at, workflow_id, run_id, run_started_at,
    coalesce(effect, ''), open_until, coalesce(actor, '')
FROM ledgerline.integration_run_logs`

// ListAttempts returns a page of an organization's rows, oldest first, and where the
// next page begins. It pages by key, so that a page costs the same wherever it
// is and rows that arrive meanwhile move nothing.
func ListAttempts(ctx context.Context, db Beginner, organization uuid.UUID, f AttemptFilter) ([]AttemptRow, AttemptCursor, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	add("organization_id = ?", organization) // row-level security says so too; this uses the index
	if f.Adapter != "" {
		add("adapter_name = ?", f.Adapter)
	}
	if f.Class == classify.Success {
		add("error_class IS NULL")
	} else if f.Class != "" {
		add("error_class = ?", string(f.Class))
	}
	if !f.Since.IsZero() {
		add("occurred_at >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		add("occurred_at < ?", f.Until)
	}
	if f.CorrelationID != uuid.Nil {
		add("correlation_id = ?", f.CorrelationID)
	}
	direction, compare := "", ">"
	if f.Newest {
		direction, compare = " DESC", "<"
	}
	if f.After != (AttemptCursor{}) {
		add("(occurred_at, correlation_id, attempt_number) "+compare+" (?, ?, ?)", f.After.OccurredAt, f.After.CorrelationID, f.After.AttemptNumber)
	}
	limit := f.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	sql := fmt.Sprintf("%s WHERE %s ORDER BY occurred_at%[3]s, correlation_id%[3]s, attempt_number%[3]s LIMIT %[4]d",
		selectRows, strings.Join(where, " AND "), direction, limit)

	var rows []AttemptRow
	err := InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		rows, err = pgx.CollectRows(found, scanRow)
		return err
	})
	next := f.After
	if len(rows) > 0 {
		last := rows[len(rows)-1]
		next = AttemptCursor{last.OccurredAt, last.CorrelationID, last.AttemptNumber}
	}
	return rows, next, err
}

func scanRow(row pgx.CollectableRow) (r AttemptRow, err error) {
	err = row.Scan(&r.OrganizationID, &r.IntegrationID, &r.RequestedIntegrationID, &r.CorrelationID, &r.AdapterName, &r.Operation,
		&r.AttemptNumber, &r.ErrorClass, &r.ErrorKind, &r.Rule, &r.HTTPStatus, &r.ErrorMessage, &r.IsRetryable,
		&r.TotalAttempts, &r.PlannedDelay, &r.OccurredAt, &r.WorkflowID, &r.RunID, &r.RunStartedAt,
		&r.Effect, &r.OpenUntil, &r.Actor)
	return r, err
}

// Reduced is a row that the database takes for one that it refused with err:
// what it cannot hold is replaced, and the message says so. A missing row would
// be worse than a poor one.
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
