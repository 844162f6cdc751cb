package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// Sending identifies one attempt that sends: the invocation's correlation ID and
// the attempt's number.
type Sending struct {
	CorrelationID uuid.UUID
	Attempt       int
}

// InFlight is how long a request can take effect after the deadline of the
// call that sent it.
type InFlight struct {
	Same    time.Duration // where it may be sent again as it was
	Changed time.Duration // where something else follows: other content, or the word that it is not there; 0 if it is the same
}

// errAttemptOver is returned to an attempt that would mark what it can no longer send.
var errAttemptOver = errors.New("the attempt's time is over")

// TooSoonError is returned by [MarkChunk] for entries that were sent before with
// other content, which may still arrive and replace the new one.
type TooSoonError struct{ Wait time.Duration }

// Error says how long to wait.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("an earlier content may still arrive for %v", e.Wait.Round(time.Millisecond))
}

// MarkChunk makes entries open before the first byte of them leaves: until the deadline of the call, which is left
// from now, and what the vendor may take longer. It refuses entries that are open already (their sending, or a later
// one, must be asked about first), an attempt that a later one has overtaken, and one whose time is over; and with
// a [*TooSoonError] entries of which an earlier content can still arrive, and with [ErrMoved] all of them if the
// integration leads elsewhere by now. It returns until when they are open.
func MarkChunk(ctx context.Context, db Beginner, owner exports.Owner, ids []string, sending Sending, left time.Duration, inFlight InFlight) (until time.Time, err error) {
	if left < 0 {
		return until, errAttemptOver
	}
	err = asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		if err := holdPlace(ctx, tx, owner); err != nil {
			return err
		}
		if err := checkSendable(ctx, tx, owner, ids, sending, inFlight); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			WITH marked AS (
			    UPDATE ledgerline.export_entries
			    SET state = 'sent', effect = 'open', ended = false, partly_exported = false, changed = false, reason = NULL,
			        sent_in = @correlation_id, sent_attempt = @attempt, sent_to = @place,
			        open_until = greatest(open_until, ledgerline.clock() + @same::interval),
			        late_until = greatest(open_until, ledgerline.clock() + @same::interval, ledgerline.clock() + @changed::interval)
			    WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids)
			    RETURNING open_until
			) SELECT max(open_until) FROM marked`, pgx.StrictNamedArgs{
			"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids,
			"correlation_id": sending.CorrelationID, "attempt": sending.Attempt, "place": owner.Place, "same": left + inFlight.Same, "changed": left + inFlight.Changed,
		}).Scan(&until)
	})
	return until, err
}

// checkSendable locks entries and returns an error unless an attempt may send all of them now.
func checkSendable(ctx context.Context, tx pgx.Tx, owner exports.Owner, ids []string, sending Sending, inFlight InFlight) error {
	var ready int
	var wait time.Duration
	err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = 'planned' AND effect IS DISTINCT FROM 'open' AND (sent_in = @correlation_id AND sent_attempt >= @attempt) IS NOT TRUE),
		    coalesce(max(open_until + @changed_is_longer::interval - ledgerline.clock()) FILTER (WHERE changed AND @changed_matters), interval '0')
		FROM (SELECT * FROM ledgerline.export_entries
		      WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids)
		      FOR UPDATE) AS locked`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids,
		"correlation_id": sending.CorrelationID, "attempt": sending.Attempt,
		"changed_is_longer": inFlight.Changed - inFlight.Same, "changed_matters": inFlight.Changed > 0,
	}).Scan(&ready, &wait)
	switch {
	case err != nil:
		return err
	case ready != len(ids):
		return fmt.Errorf("%d of %d entries are not to be sent by this attempt: %w", len(ids)-ready, len(ids), ErrNotOwner)
	case wait > 0:
		return &TooSoonError{wait}
	}
	return nil
}

// RecordSend records what the answer to a sending proves of its entries: done, with the vendor's references to them
// by entry ID; none; or, with ended, that the vendor's work is over. These are facts about that sending, so anybody's;
// an entry that was sent again since is left alone unless it is done.
func RecordSend(ctx context.Context, db Beginner, owner exports.Owner, ids []string, sending Sending, effect classify.Effect, ended bool, references map[string]string) error {
	if effect != classify.Done && effect != classify.None && !ended {
		return nil
	}
	return InOrganization(ctx, db, owner.OrganizationID, func(tx pgx.Tx) error {
		if effect == classify.Done {
			done := make(map[string]string, len(ids))
			for _, id := range ids {
				done[id] = references[id]
			}
			return recordExported(ctx, tx, owner, done)
		}
		proved := `ended = true`
		if effect == classify.None {
			proved = `state = 'planned', effect = 'none', ended = true`
		}
		_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET `+proved+`
			WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids)
			  AND effect = 'open' AND sent_in = @correlation_id AND sent_attempt = @attempt`, pgx.StrictNamedArgs{
			"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids,
			"correlation_id": sending.CorrelationID, "attempt": sending.Attempt,
		})
		return err
	})
}

// recordExported records that entries are at the vendor, with its references to them by entry ID, "" where it gives
// none. That is a fact, which is accepted from any owner, after closing too, and wherever the entries have gone since.
// Two lines of one voucher become the control; a single one does not take their place.
func recordExported(ctx context.Context, tx pgx.Tx, owner exports.Owner, exported map[string]string) error {
	ids := make([]string, 0, len(exported))
	references := make(map[string]string, len(exported))
	for id, reference := range exported {
		ids = append(ids, id)
		if reference != "" {
			references[id] = storable(reference)
		}
	}
	// Looked up in an object: a join would compare each reference with each entry.
	_, err := tx.Exec(ctx, `
		WITH settled AS (
		    UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', reason = NULL, settled_at = ledgerline.clock(),
		        vendor_reference = coalesce(@references::jsonb ->> entry_id, vendor_reference)
		    WHERE organization_id = @organization_id AND integration_id = @integration_id AND entry_id = ANY(@entry_ids) AND state <> 'exported'
		    RETURNING vendor_key, voucher_id, entry_id, settled_at
		), two AS (
		    SELECT * FROM settled WHERE voucher_id = (SELECT max(voucher_id) FROM settled) ORDER BY entry_id LIMIT 2
		)
		INSERT INTO ledgerline.vendor_controls AS control (organization_id, integration_id, place, vendor_keys, voucher_id, settled_at)
		SELECT @organization_id, @integration_id, @place, array_agg(vendor_key ORDER BY entry_id), max(voucher_id), max(settled_at) FROM two HAVING count(*) > 0
		ON CONFLICT (organization_id, integration_id, place) DO UPDATE
		SET vendor_keys = excluded.vendor_keys, voucher_id = excluded.voucher_id, settled_at = excluded.settled_at
		WHERE control.settled_at <= excluded.settled_at AND cardinality(control.vendor_keys) <= cardinality(excluded.vendor_keys)`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "place": owner.Place, "entry_ids": ids, "references": references,
	})
	return err
}

// RecordRefusal is [RecordSend] of an answer that refuses what was sent, so that
// the next answer may be that it is not there, and not a repeat. So it counts until
// when the sending can land at all, if the answer does not prove that the vendor's
// work has ended, and until when an earlier one can that was given up and repeated
// because a repeat does no harm: the vendor may refuse the one while it works on the
// other. Entries of which either can still land stay open until then, which is
// returned; else it is the zero time.
func RecordRefusal(ctx context.Context, db Beginner, owner exports.Owner, ids []string, sending Sending, effect classify.Effect, ended bool) (until time.Time, err error) {
	err = InOrganization(ctx, db, owner.OrganizationID, func(tx pgx.Tx) error {
		var openUntil *time.Time
		err := tx.QueryRow(ctx, `
			WITH refused AS (
			    UPDATE ledgerline.export_entries AS entry SET earlier_until = NULL, ended = @ended AND NOT sent.can_land,
			        open_until = CASE WHEN sent.can_land THEN greatest(entry.open_until, sent.lands_until) ELSE entry.open_until END,
			        late_until = CASE WHEN sent.can_land THEN sent.lands_until ELSE entry.late_until END,
			        state = CASE WHEN @effect = 'none' AND NOT sent.can_land THEN 'planned' ELSE entry.state END,
			        effect = CASE WHEN @effect = 'none' AND NOT sent.can_land THEN 'none' ELSE entry.effect END
			    FROM (SELECT entry_id, landing.lands_until, coalesce(landing.lands_until > clock.now, false) AS can_land
			          FROM ledgerline.export_entries,
			              LATERAL (SELECT greatest(earlier_until, CASE WHEN NOT @ended THEN late_until END) AS lands_until) AS landing,
			              (SELECT ledgerline.clock() AS now) AS clock
			          WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids)
			            AND effect = 'open' AND sent_in = @correlation_id AND sent_attempt = @attempt
			          FOR UPDATE OF export_entries) AS sent
			    WHERE entry.organization_id = @organization_id AND entry.integration_id = @integration_id AND entry.entry_id = sent.entry_id
			    RETURNING entry.open_until, sent.can_land
			) SELECT max(open_until) FILTER (WHERE can_land) FROM refused`, pgx.StrictNamedArgs{
			"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids,
			"correlation_id": sending.CorrelationID, "attempt": sending.Attempt, "effect": effect, "ended": ended || effect == classify.None,
		}).Scan(&openUntil)
		if err == nil && openUntil != nil {
			until = *openUntil
		}
		return err
	})
	return until, err
}
