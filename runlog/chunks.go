package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// An entry that is sent goes through these steps, each one transaction:
//
//	LoadChunk     what is to be sent, and what must be asked for first
//	RecordAnswer  what the vendor's answer to that settles
//	MarkChunk     open until T, before the first byte leaves
//	RecordSend    what the answer proves: done, none, or nothing
//
// All but the recording of facts lock the export's row and check that the caller
// owns it, see [exports.Owner]. PostgreSQL's clock alone decides whether T has passed.

// ErrNotOwner is returned to a run that is not, or no longer, the owner of an
// export that is pending.
var ErrNotOwner = errors.New("the export belongs to another run, or has ended")

// lockOwnedExport holds the export's row of its owner until the transaction ends: nobody takes it over
// meanwhile.
func lockOwnedExport(ctx context.Context, tx pgx.Tx, owner exports.Owner) error {
	return lockOwned(ctx, tx, owner, "SHARE")
}

// lockOwned is [lockOwnedExport] with the lock that what follows needs: who changes the row takes
// NO KEY UPDATE at once, or two of them would wait for each other.
func lockOwned(ctx context.Context, tx pgx.Tx, owner exports.Owner, lock string) error {
	var found int
	err := tx.QueryRow(ctx, `SELECT 1 FROM ledgerline.bufdir_export_audit_log
		WHERE organization_id = @organization_id AND export_id = @export_id AND fence = @fence AND run_id = @run_id AND integration_id = @integration_id
		  AND status = 'pending' FOR `+lock, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID,
		"fence": owner.Fence, "run_id": owner.RunID,
	}).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotOwner
	}
	return err
}

// asExportOwner runs fn in a transaction of the owner's organization, which holds the export's
// row; the error is [ErrNotOwner] if the export is no longer the owner's.
func asExportOwner(ctx context.Context, db Beginner, owner exports.Owner, fn func(pgx.Tx) error) error {
	return InOrganization(ctx, db, owner.OrganizationID, func(tx pgx.Tx) error {
		if err := lockOwnedExport(ctx, tx, owner); err != nil {
			return err
		}
		return fn(tx)
	})
}

// ChunkEntry is one line of a voucher, as it goes to the vendor. The amount is
// decimal text throughout; account and dimensions are the vendor's.
type ChunkEntry struct {
	EntryID, VoucherID, Account, Amount, Currency, Text, VendorKey string
	Dimensions                                                     map[string]string
	Date                                                           time.Time

	// Open: it was sent, and not every sending is known to have ended without an
	// effect. Then it must be asked for before it is sent.
	Open           bool
	SentIn         Sending       `db:"-"` // that sent it last
	Wait           time.Duration // until an answer "not there" proves that nothing will come; 0 if it does now
	PartlyExported bool          // something else of the same sending is at the vendor
	EarlierCanLand bool          // an earlier sending can still take effect, though it was not there when it was asked for
	SentTo         string        // where it was sent last, see [exports.Owner.Place]; "" if that is not known
}

// Control are entries of one voucher that are known to be at the vendor: a
// look-up that does not find all of them proves nothing of others.
type Control struct {
	VendorKeys []string
	VoucherID  string
}

// ChunkContent is a chunk with all that sending it needs.
type ChunkContent struct {
	Entries []ChunkEntry      // that are to be sent or asked for, in the order of their vouchers
	Control *Control          // of the place to which they go; nil if it has none
	Learned map[string]string // how they are written, see [adapters.Contract]; nil if nothing was learned
}

// LoadChunk reads a chunk that is to be sent. It changes nothing.
func LoadChunk(ctx context.Context, db Beginner, owner exports.Owner, chunk int) (content ChunkContent, err error) {
	err = asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		if content.Entries, err = queryChunk(ctx, tx, owner, chunk); err != nil {
			return err
		}
		if content.Control, err = queryControl(ctx, tx, owner.OrganizationID, owner.IntegrationID, owner.Place); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT learned FROM ledgerline.vendor_contracts WHERE organization_id = $1 AND integration_id = $2`,
			owner.OrganizationID, owner.IntegrationID).Scan(&content.Learned)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return content, err
}

// queryChunk returns the entries of a chunk that are to be sent or asked for, in the order of their vouchers.
func queryChunk(ctx context.Context, tx pgx.Tx, owner exports.Owner, chunk int) ([]ChunkEntry, error) {
	type row struct {
		ChunkEntry
		Sending
	}
	rows, err := queryRows[row](ctx, tx, `
		SELECT entry_id, voucher_id, account, amount::text AS amount, currency, text, vendor_key, dimensions, entry_date AS date,
		    effect IS NOT DISTINCT FROM 'open' AS open,
		    coalesce(sent_in, '00000000-0000-0000-0000-000000000000') AS correlation_id, coalesce(sent_attempt, 0) AS attempt,
		    CASE WHEN effect = 'open' AND NOT ended THEN greatest(open_until - ledgerline.clock(), interval '0') ELSE interval '0' END AS wait,
		    partly_exported, coalesce(sent_to, '') AS sent_to, coalesce(earlier_until > ledgerline.clock(), false) AS earlier_can_land
		FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state IN ('planned', 'sent')
		ORDER BY voucher_id, entry_id`, owner.OrganizationID, owner.ExportID, chunk)
	entries := make([]ChunkEntry, len(rows))
	for i, r := range rows {
		entries[i] = r.ChunkEntry
		entries[i].SentIn = r.Sending
	}
	return entries, err
}

// SplitChunk moves the upper half of a refused chunk's vouchers to the chunk into, to find the one that the vendor
// refuses. split is false if the chunk is one voucher; with reject, that is rejected with the reason. Entries whose
// effect is open are neither moved nor rejected: they are an error. Doing it again is harmless.
func SplitChunk(ctx context.Context, db Beginner, owner exports.Owner, chunk, into int, reason string, reject bool) (split bool, err error) {
	err = asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		var vouchers, open, moved int
		err := tx.QueryRow(ctx, `SELECT count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'planned'),
			    count(*) FILTER (WHERE chunk = $3 AND state = 'sent'), count(*) FILTER (WHERE chunk = $4)
			FROM (SELECT voucher_id, chunk, state FROM ledgerline.export_entries
			    WHERE organization_id = $1 AND export_id = $2 AND chunk IN ($3, $4) FOR UPDATE) AS locked`,
			owner.OrganizationID, owner.ExportID, chunk, into).Scan(&vouchers, &open, &moved)
		if err != nil {
			return err
		}
		switch {
		case moved > 0: // by an earlier try
			split = true
			return nil
		case open > 0:
			return openChunkError(chunk, open)
		case vouchers > 1:
			split = true
			return moveUpperHalf(ctx, tx, owner, chunk, into)
		case reject:
			return rejectChunk(ctx, tx, owner, chunk, reason)
		}
		return nil
	})
	return split, err
}

// openChunkError is of a chunk that cannot be halved: an attempt that was taken for lost has marked its entries
// since. Whoever claims the export again asks about them.
func openChunkError(chunk, open int) error {
	return fmt.Errorf("chunk %d has %d entries whose effect is open; ask before it is halved: %w", chunk, open, ErrNotOwner)
}

// rejectChunk rejects the entries of a chunk that are to be sent.
func rejectChunk(ctx context.Context, tx pgx.Tx, owner exports.Owner, chunk int, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries AS entry SET state = 'rejected', reason = nullif(left(CASE WHEN EXISTS (
		    SELECT FROM ledgerline.export_entries AS other
		    WHERE other.organization_id = $1 AND other.export_id = $2 AND other.chunk = $3 AND other.voucher_id = entry.voucher_id AND other.state = 'exported')
		THEN 'other lines of this voucher are at the vendor: ' ELSE '' END || $4, 500), '')
		WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned'`, owner.OrganizationID, owner.ExportID, chunk, storable(reason))
	return err
}

// LoadOpenUntil returns until when something of an export can still take effect; nil if
// nothing can.
func LoadOpenUntil(ctx context.Context, db Beginner, organization, export uuid.UUID) (until *time.Time, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT max(open_until) FILTER (WHERE effect = 'open' AND NOT ended AND open_until > ledgerline.clock())
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, organization, export).Scan(&until)
	})
	return until, err
}
