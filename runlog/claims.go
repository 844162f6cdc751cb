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
	Mine       bool // marked as open for this attempt: it may send
	Repeats    bool // an earlier sending is open, whatever becomes of this attempt's
	Effect     classify.Effect
	Due        bool          // of an open one: an answer "not there" proves that nothing will come
	Wait       time.Duration // until it is due
	OpenUntil  time.Time
	Attempt    int // the number of this attempt, after all those of earlier runs
	Sent       int // the number of the last attempt that sent
	HTTPStatus int // of the answer that settled it; 0 if there was none
	// Moved is where an open one was sent, if that is not where the integration's
	// requests go now: nothing can be found out about it there.
	Moved string
}

// ConflictError is returned for a correlation ID that stands for another
// request.
type ConflictError struct{ What string }

// Error says what differs.
func (e *ConflictError) Error() string {
	return "this correlation ID was used for another " + e.What + "; use a new one for a new request"
}

// ClaimWrite takes the claim of a write before its first byte leaves. A claim
// that is new, or whose every sending is known to have had no effect, is marked
// as open until the deadline of the call, which is left from now, and the time
// that the vendor may take longer, inFlight; then Mine is true. One that is done
// or open is left alone, unless again is set: then an open one that was sent to
// the same place is marked once more, for a request that has no further effect when
// it is repeated. No claim, no send.
func ClaimWrite(ctx context.Context, db Beginner, c WriteClaim, left, inFlight time.Duration, again bool) (out WriteClaimResult, err error) {
	if left < 0 {
		return out, errOver
	}
	err = InOrganization(ctx, db, c.OrganizationID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO ledgerline.write_claims (organization_id, correlation_id, integration_id, operation, body_sha256, actor, open_until, attempts, sent_attempt, run_id, sent_to)
			VALUES ($1, $2, $3, $4, $5, $6, ledgerline.clock() + $7::interval, $8, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING open_until`,
			c.OrganizationID, c.CorrelationID, c.IntegrationID, c.Operation, c.BodySHA256, storable(c.Actor), left+inFlight, c.Attempt, c.RunID, c.Place).Scan(&out.OpenUntil)
		if err == nil {
			out.Mine, out.Effect, out.Attempt, out.Sent = true, classify.Open, c.Attempt, c.Attempt
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		var integration, run uuid.UUID
		var operation, body, sentTo string
		var attempts, offset, sent int
		err = tx.QueryRow(ctx, `SELECT integration_id, operation, body_sha256, effect, ended OR open_until <= ledgerline.clock(),
			    greatest(open_until - ledgerline.clock(), interval '0'), open_until, attempts, run_offset, sent_attempt, run_id, coalesce(http_status, 0), sent_to
			FROM ledgerline.write_claims WHERE organization_id = $1 AND correlation_id = $2 FOR UPDATE`, c.OrganizationID, c.CorrelationID).
			Scan(&integration, &operation, &body, &out.Effect, &out.Due, &out.Wait, &out.OpenUntil, &attempts, &offset, &sent, &run, &out.HTTPStatus, &sentTo)
		if err != nil {
			return err
		}
		for _, d := range []struct {
			what string
			same bool
		}{{"integration", integration == c.IntegrationID}, {"operation", operation == c.Operation}, {"request body", body == c.BodySHA256}} {
			if !d.same {
				return &ConflictError{d.what}
			}
		}
		if run != c.RunID {
			offset = attempts
		}
		out.Attempt, out.Sent = offset+c.Attempt, sent
		if out.Due {
			out.Wait = 0
		}
		if out.Effect == classify.Open && sentTo != c.Place {
			out.Moved, again = sentTo, false
		}
		switch {
		case out.Effect == classify.Done, out.Effect == classify.Open && !again: // its number is used up all the same
			_, err := tx.Exec(ctx, `UPDATE ledgerline.write_claims SET attempts = greatest(attempts, $3), run_id = $4, run_offset = $5
				WHERE organization_id = $1 AND correlation_id = $2`, c.OrganizationID, c.CorrelationID, out.Attempt, c.RunID, offset)
			return err
		case max(attempts, sent+1) > out.Attempt && out.Effect != classify.Open:
			return fmt.Errorf("attempt %d has been overtaken by attempt %d", out.Attempt, attempts)
		}
		out.Repeats = out.Effect == classify.Open
		out.Mine, out.Effect, out.Sent = true, classify.Open, out.Attempt
		return tx.QueryRow(ctx, `UPDATE ledgerline.write_claims SET repeated = effect = 'open', effect = 'open', ended = false, settled_at = NULL, run_id = $4, run_offset = $6,
			    attempts = greatest(attempts, $3), sent_attempt = greatest(sent_attempt, $3), sent_to = $7, open_until = greatest(open_until, ledgerline.clock() + $5::interval)
			WHERE organization_id = $1 AND correlation_id = $2 RETURNING open_until`,
			c.OrganizationID, c.CorrelationID, out.Attempt, c.RunID, left+inFlight, offset, c.Place).Scan(&out.OpenUntil)
	})
	return out, err
}

// SettleWrite records what is known of a claimed write: after the answer to an
// attempt that sent it, or to a question about that sending. attempt is the number
// of the sending; what was asked about an earlier one says nothing of it. An open
// effect changes nothing but, with ended, that asking can close it at once; none
// with ended is what was found by asking. Where an earlier sending was open when it
// was sent once more, only asking after their time shows that neither was done.
func SettleWrite(ctx context.Context, db Beginner, organization, correlation uuid.UUID, attempt int, effect classify.Effect, ended bool, httpStatus int) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.write_claims SET effect = $4, ended = ended OR $5 OR $4 <> 'open', http_status = nullif($6, 0),
			    settled_at = CASE WHEN $4 <> 'open' THEN ledgerline.clock() END
			WHERE organization_id = $1 AND correlation_id = $2 AND effect = 'open'
			  AND ($4 = 'done' OR sent_attempt = $3 AND (NOT repeated OR $5 AND open_until <= ledgerline.clock()))`,
			organization, correlation, attempt, string(effect), ended, httpStatus)
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
func LoadWriteState(ctx context.Context, db Beginner, organization, correlation uuid.UUID) (s *WriteState, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT effect, CASE WHEN effect = 'open' AND NOT ended THEN open_until END, actor
			FROM ledgerline.write_claims WHERE organization_id = $1 AND correlation_id = $2`, organization, correlation)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[WriteState])
		if len(found) > 0 {
			s = &found[0]
		}
		return err
	})
	return s, err
}
