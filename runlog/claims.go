package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
)

// WriteClaim is what a correlation ID stands for, for good: one ad-hoc write.
type WriteClaim struct {
	OrganizationID, CorrelationID, IntegrationID uuid.UUID
	Operation                                    string
	BodySHA256                                   string // hex
	Actor                                        string // who asked for it
	RunID                                        uuid.UUID
	Attempt                                      int    // its number in its run, from 1
	Place                                        string // where the integration's requests go now
}

// WriteClaimResult is what is known of a write when its claim is taken.
type WriteClaimResult struct {
	MaySend    bool // marked as open for this attempt
	Repeats    bool // an earlier sending is open, whatever becomes of this attempt's
	Effect     classify.Effect
	Due        bool          // of an open one: an answer "not there" proves that nothing will come
	Wait       time.Duration // until it is due
	OpenUntil  time.Time
	Attempt    int // the number of this attempt, after all those of earlier runs
	Sent       int // the number of the last attempt that sent
	HTTPStatus int // of the answer that settled it; 0 if there was none
	// SentElsewhere is where an open one was sent, if that is not where the integration's
	// requests go now: nothing can be found out about it there.
	SentElsewhere string
}

// ConflictError is returned for a correlation ID that stands for another
// request.
type ConflictError struct{ What string }

// Error says what differs.
func (e *ConflictError) Error() string {
	return "this correlation ID was used for another " + e.What + "; use a new one for a new request"
}

// errOvertaken is returned to an attempt whose write a later one has claimed.
var errOvertaken = errors.New("has been overtaken")

// ClaimWrite takes the claim of a write before its first byte leaves. A claim
// that is new, or whose every sending is known to have had no effect, is marked
// as open until the deadline of the call, which is left from now, and the time
// that the vendor may take longer, inFlight; then MaySend is true. One that is done
// or open is left alone, unless repeat is set: then an open one that was sent to
// the same place is marked again, for a request that has no further effect when
// it is repeated. No claim, no send.
//
// A correlation ID that stands for another request is a [*ConflictError], and one whose call was
// made again under a new ID a [*MadeAgainError].
func ClaimWrite(ctx context.Context, db Beginner, c WriteClaim, left, inFlight time.Duration, repeat bool) (result WriteClaimResult, err error) {
	if left < 0 {
		return result, errAttemptOver
	}
	err = InOrganization(ctx, db, c.OrganizationID, func(tx pgx.Tx) error {
		openUntil, first, err := insertClaim(ctx, tx, c, left+inFlight)
		if err != nil {
			return err
		}
		if first {
			result = WriteClaimResult{MaySend: true, Effect: classify.Open, OpenUntil: openUntil, Attempt: c.Attempt, Sent: c.Attempt}
			return nil
		}
		claim, err := lockClaim(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := claim.conflict(c); err != nil {
			return err
		}
		result = claim.result(c)
		open := result.Effect == classify.Open
		switch {
		case result.Effect == classify.Done, open && (!repeat || claim.SentTo != c.Place):
			return claim.useNumber(ctx, tx, c)
		case max(claim.Attempts, claim.SentAttempt+1) > result.Attempt && !open:
			return fmt.Errorf("attempt %d %w by attempt %d", result.Attempt, errOvertaken, claim.Attempts)
		}
		result.MaySend, result.Repeats, result.Effect, result.Sent = true, open, classify.Open, result.Attempt
		result.OpenUntil, err = claim.markOpen(ctx, tx, c, left+inFlight)
		return err
	})
	if err != nil {
		return WriteClaimResult{}, madeAgain(err)
	}
	return result, nil
}

// insertClaim stores a claim as open for a time from now; first is false if its correlation ID has one already.
func insertClaim(ctx context.Context, tx pgx.Tx, c WriteClaim, openFor time.Duration) (openUntil time.Time, first bool, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO ledgerline.write_claims (organization_id, correlation_id, integration_id, operation, body_sha256, actor, open_until, attempts, sent_attempt, run_id, sent_to)
		VALUES (@organization_id, @correlation_id, @integration_id, @operation, @body_sha256, @actor, ledgerline.clock() + @open_for::interval, @attempt, @attempt, @run_id, @place)
		ON CONFLICT DO NOTHING RETURNING open_until`, pgx.StrictNamedArgs{
		"organization_id": c.OrganizationID, "correlation_id": c.CorrelationID, "integration_id": c.IntegrationID, "operation": c.Operation,
		"body_sha256": c.BodySHA256, "actor": storable(c.Actor), "open_for": openFor, "attempt": c.Attempt, "run_id": c.RunID, "place": c.Place,
	}).Scan(&openUntil)
	if errors.Is(err, pgx.ErrNoRows) {
		return openUntil, false, nil
	}
	return openUntil, err == nil, err
}

// storedClaim is a row of write_claims, as it is before an attempt.
type storedClaim struct {
	IntegrationID uuid.UUID
	Operation     string
	BodySHA256    string
	Effect        classify.Effect
	Due           bool          // if open: its time has passed, or the vendor's work has ended
	Wait          time.Duration // until its time has passed
	OpenUntil     time.Time
	Attempts      int       // the highest number of an attempt
	RunID         uuid.UUID // of the last attempt
	RunOffset     int       // the attempts of the runs before that one
	SentAttempt   int       // the number of the last attempt that sent
	HTTPStatus    int
	SentTo        string
}

// lockClaim returns the claim that c's correlation ID has, and holds it until the transaction ends.
func lockClaim(ctx context.Context, tx pgx.Tx, c WriteClaim) (claim storedClaim, err error) {
	rows, err := tx.Query(ctx, `SELECT integration_id, operation, body_sha256, effect, ended OR open_until <= ledgerline.clock() AS due,
		    greatest(open_until - ledgerline.clock(), interval '0') AS wait, open_until, attempts, run_id, run_offset, sent_attempt,
		    coalesce(http_status, 0) AS http_status, sent_to
		FROM ledgerline.write_claims WHERE organization_id = $1 AND correlation_id = $2 FOR UPDATE`, c.OrganizationID, c.CorrelationID)
	if err != nil {
		return claim, err
	}
	return pgx.CollectOneRow(rows, pgx.RowToStructByName[storedClaim])
}

// conflict is a [*ConflictError] if the claim is of another request than c.
func (s storedClaim) conflict(c WriteClaim) error {
	switch {
	case s.IntegrationID != c.IntegrationID:
		return &ConflictError{"integration"}
	case s.Operation != c.Operation:
		return &ConflictError{"operation"}
	case s.BodySHA256 != c.BodySHA256:
		return &ConflictError{"request body"}
	}
	return nil
}

// offset is how many attempts came before those of c's run.
func (s storedClaim) offset(c WriteClaim) int {
	if s.RunID != c.RunID {
		return s.Attempts
	}
	return s.RunOffset
}

// result is what is known of the claim before the attempt c.
func (s storedClaim) result(c WriteClaim) WriteClaimResult {
	result := WriteClaimResult{
		Effect: s.Effect, Due: s.Due, Wait: s.Wait, OpenUntil: s.OpenUntil,
		Attempt: s.offset(c) + c.Attempt, Sent: s.SentAttempt, HTTPStatus: s.HTTPStatus,
	}
	if s.Due {
		result.Wait = 0
	}
	if s.Effect == classify.Open && s.SentTo != c.Place {
		result.SentElsewhere = s.SentTo
	}
	return result
}

// useNumber records that c has used up its number, though it does not send.
func (s storedClaim) useNumber(ctx context.Context, tx pgx.Tx, c WriteClaim) error {
	_, err := tx.Exec(ctx, `UPDATE ledgerline.write_claims SET attempts = greatest(attempts, @attempt), run_id = @run_id, run_offset = @run_offset
		WHERE organization_id = @organization_id AND correlation_id = @correlation_id`, pgx.StrictNamedArgs{
		"organization_id": c.OrganizationID, "correlation_id": c.CorrelationID,
		"attempt": s.offset(c) + c.Attempt, "run_id": c.RunID, "run_offset": s.offset(c),
	})
	return err
}

// markOpen marks the claim as sent by c, and open for a time from now.
func (s storedClaim) markOpen(ctx context.Context, tx pgx.Tx, c WriteClaim, openFor time.Duration) (openUntil time.Time, err error) {
	err = tx.QueryRow(ctx, `UPDATE ledgerline.write_claims SET repeated = effect = 'open', effect = 'open', ended = false, settled_at = NULL,
		    run_id = @run_id, run_offset = @run_offset, attempts = greatest(attempts, @attempt), sent_attempt = greatest(sent_attempt, @attempt),
		    sent_to = @place, open_until = greatest(open_until, ledgerline.clock() + @open_for::interval)
		WHERE organization_id = @organization_id AND correlation_id = @correlation_id RETURNING open_until`, pgx.StrictNamedArgs{
		"organization_id": c.OrganizationID, "correlation_id": c.CorrelationID, "attempt": s.offset(c) + c.Attempt, "run_id": c.RunID,
		"run_offset": s.offset(c), "place": c.Place, "open_for": openFor,
	}).Scan(&openUntil)
	return openUntil, err
}

// SettleWrite records what is known of a claimed write: after the answer to an
// attempt that sent it, or to a question about that sending. attempt is the number
// of the sending; what was asked about an earlier one says nothing of it. An open
// effect changes nothing but, with ended, that asking can close it at once; none
// with ended is what was found by asking. Where an earlier sending was open when it
// was sent again, only asking after their time shows that neither was done.
// httpStatus is that of the answer; 0 if there was none.
func SettleWrite(ctx context.Context, db Beginner, organization, correlation uuid.UUID, attempt int, effect classify.Effect, ended bool, httpStatus int) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.write_claims
			SET effect = @effect, ended = ended OR @ended OR @effect <> 'open', http_status = nullif(@http_status, 0),
			    settled_at = CASE WHEN @effect <> 'open' THEN ledgerline.clock() END
			WHERE organization_id = @organization_id AND correlation_id = @correlation_id AND effect = 'open'
			  AND (@effect = 'done' OR sent_attempt = @attempt AND (NOT repeated OR @ended AND open_until <= ledgerline.clock()))`, pgx.StrictNamedArgs{
			"organization_id": organization, "correlation_id": correlation, "attempt": attempt, "effect": effect, "ended": ended, "http_status": httpStatus,
		})
		return err
	})
}

// WriteState is what is known of a claimed write.
type WriteState struct {
	Effect    classify.Effect
	OpenUntil *time.Time // of an open one, where the vendor's work has not ended
	Actor     string     // who asked for it first
}

// LoadWriteState returns what is known of a write; nil if its correlation ID has no
// claim, as that of a read.
func LoadWriteState(ctx context.Context, db Beginner, organization, correlation uuid.UUID) (*WriteState, error) {
	states, err := queryInOrganization[WriteState](ctx, db, organization, `
		SELECT effect, CASE WHEN effect = 'open' AND NOT ended THEN open_until END AS open_until, actor
		FROM ledgerline.write_claims WHERE organization_id = $1 AND correlation_id = $2`, organization, correlation)
	if err != nil || len(states) == 0 {
		return nil, err
	}
	return &states[0], nil
}
