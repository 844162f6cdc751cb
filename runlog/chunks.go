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

// An entry that is sent goes through these steps, each one transaction:
//
//	OpenChunk   what is to be sent, and what must be asked for first
//	RecordAsk   what the vendor's answer to that settles
//	MarkChunk   open until T, before the first byte leaves
//	RecordSend  what the answer proves: done, none, or nothing
//
// All but the recording of facts lock the export's row and check that the caller
// owns it, see [Owner]. PostgreSQL's clock alone decides whether T has passed.

// ErrNotOwner is returned to a run that is not, or no longer, the owner of an
// export that is pending.
var ErrNotOwner = errors.New("the export belongs to another run, or has ended")

// lockOwned holds the export's row of its owner until the transaction ends: nobody takes it over
// meanwhile.
func lockOwned(ctx context.Context, tx pgx.Tx, o exports.Owner) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM ledgerline.bufdir_export_audit_log
		WHERE organization_id = $1 AND export_id = $2 AND fence = $3 AND run_id = $4 AND integration_id = $5 AND status = 'pending' FOR SHARE`,
		o.OrganizationID, o.ExportID, o.Fence, o.RunID, o.IntegrationID).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotOwner
	}
	return err
}

// asExportOwner runs fn in a transaction of the owner's organization, which holds the export's
// row; the error is [ErrNotOwner] if the export is no longer o's.
func asExportOwner(ctx context.Context, db Beginner, o exports.Owner, fn func(pgx.Tx) error) error {
	return InOrganization(ctx, db, o.OrganizationID, func(tx pgx.Tx) error {
		if err := lockOwned(ctx, tx, o); err != nil {
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
	Open   bool
	SentIn Sending       // that sent it last
	Wait   time.Duration // until an answer "not there" proves that nothing will come; 0 if it does now
	Partly bool          // something else of the same sending is at the vendor
	Lands  bool          // an earlier sending can still take effect, though it was not there when it was asked for
	SentTo string        // where it was sent last, see [Owner.Place]; "" if that is not known
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
	Learnt  map[string]string // how they are written, see [adapters.Contract]; nil if nothing was learnt
}

// OpenChunk reads a chunk that is to be sent. It changes nothing.
func OpenChunk(ctx context.Context, db Beginner, o exports.Owner, chunk int) (c ChunkContent, err error) {
	err = asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT entry_id, voucher_id, account, amount::text, currency, text, vendor_key, dimensions, entry_date, effect IS NOT DISTINCT FROM 'open',
			    coalesce(sent_in, '00000000-0000-0000-0000-000000000000'), coalesce(sent_attempt, 0),
			    CASE WHEN effect = 'open' AND NOT ended THEN greatest(open_until - ledgerline.clock(), interval '0') ELSE interval '0' END, partly, coalesce(sent_to, ''),
			    coalesce(earlier_until > ledgerline.clock(), false)
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state IN ('planned', 'sent')
			ORDER BY voucher_id, entry_id`, o.OrganizationID, o.ExportID, chunk)
		if err != nil {
			return err
		}
		c.Entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e ChunkEntry, err error) {
			err = row.Scan(&e.EntryID, &e.VoucherID, &e.Account, &e.Amount, &e.Currency, &e.Text, &e.VendorKey, &e.Dimensions, &e.Date, &e.Open, &e.SentIn.CorrelationID, &e.SentIn.Attempt, &e.Wait, &e.Partly, &e.SentTo, &e.Lands)
			return e, err
		})
		if err != nil {
			return err
		}
		if c.Control, err = controlOf(ctx, tx, o.OrganizationID, o.IntegrationID, o.Place); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT learnt FROM ledgerline.vendor_contracts WHERE organization_id = $1 AND integration_id = $2`,
			o.OrganizationID, o.IntegrationID).Scan(&c.Learnt)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return c, err
}

// Answer is what the vendor's answer to a look-up says of the entries that were
// asked for, by their entry IDs.
type Answer struct {
	There   map[string]string // and the vendor's own name of each, "" if it gives none
	None    []string          // not there, and they were asked for when their time had passed
	Unknown map[string]string // for a person, with the reason
}

// RecordAnswer settles what an answer proves. That an entry is there is a fact,
// recorded whoever owns the export. The rest are orders, and hold only for
// entries that are still open by the very sending that was asked about.
func RecordAnswer(ctx context.Context, db Beginner, o exports.Owner, a Answer, asked []Sending) error {
	sentIn, attempts := make([]uuid.UUID, len(asked)), make([]int, len(asked))
	for i, s := range asked {
		sentIn[i], attempts[i] = s.CorrelationID, s.Attempt
	}
	if len(a.There) > 0 {
		err := InOrganization(ctx, db, o.OrganizationID, func(tx pgx.Tx) error {
			if err := exported(ctx, tx, o, a.There); err != nil {
				return err
			}
			ids := make([]string, 0, len(a.There))
			for id := range a.There {
				ids = append(ids, id)
			}
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET partly = true
				WHERE organization_id = $1 AND export_id = $2 AND effect = 'open' AND NOT partly AND sent_in = ANY($4) AND chunk IN (
				    SELECT chunk FROM ledgerline.export_entries WHERE organization_id = $1 AND integration_id = $5 AND entry_id = ANY($3))
				  AND sent_in IN (SELECT sent_in FROM ledgerline.export_entries WHERE organization_id = $1 AND integration_id = $5 AND entry_id = ANY($3))`,
				o.OrganizationID, o.ExportID, ids, sentIn, o.IntegrationID)
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(a.None) == 0 && len(a.Unknown) == 0 {
		return nil
	}
	return asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'planned', effect = 'none', ended = true,
			    earlier_until = CASE WHEN ended THEN earlier_until ELSE greatest(earlier_until, late_until) END
			WHERE organization_id = $1 AND integration_id = $5 AND export_id = $2 AND entry_id = ANY($3) AND effect = 'open'
			  AND (sent_in, sent_attempt) IN (SELECT * FROM unnest($4::uuid[], $6::int[]))
			  AND (ended OR open_until <= ledgerline.clock())`, o.OrganizationID, o.ExportID, a.None, sentIn, o.IntegrationID, attempts)
		if err != nil {
			return err
		}
		ids := make([]string, 0, len(a.Unknown))
		reasons := make(map[string]string, len(a.Unknown))
		for id, why := range a.Unknown {
			ids, reasons[id] = append(ids, id), storable(why)
		}
		_, err = tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'unknown', reason = $4::jsonb ->> entry_id
			WHERE organization_id = $1 AND integration_id = $6 AND export_id = $2 AND entry_id = ANY($3) AND effect = 'open'
			  AND (sent_in, sent_attempt) IN (SELECT * FROM unnest($5::uuid[], $7::int[]))`,
			o.OrganizationID, o.ExportID, ids, reasons, sentIn, o.IntegrationID, attempts)
		return err
	})
}

// exported records that entries are at the vendor: a fact, which is accepted
// from any owner, after closing too, and wherever the entries have gone since.
// Two lines of one voucher become the control; a single one does not take their
// place.
func exported(ctx context.Context, tx pgx.Tx, o exports.Owner, there map[string]string) error {
	ids := make([]string, 0, len(there))
	names := make(map[string]string, len(there))
	for id, name := range there {
		ids = append(ids, id)
		if name != "" {
			names[id] = storable(name)
		}
	}
	// Looked up in an object: a join would compare each name with each entry.
	_, err := tx.Exec(ctx, `
		WITH settled AS (
		    UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', reason = NULL, settled_at = ledgerline.clock(),
		        vendor_reference = coalesce($4::jsonb ->> entry_id, vendor_reference)
		    WHERE organization_id = $1 AND integration_id = $2 AND entry_id = ANY($3) AND state <> 'exported'
		    RETURNING vendor_key, voucher_id, entry_id, settled_at
		), two AS (
		    SELECT * FROM settled WHERE voucher_id = (SELECT max(voucher_id) FROM settled) ORDER BY entry_id LIMIT 2
		)
		INSERT INTO ledgerline.vendor_controls AS c (organization_id, integration_id, place, vendor_keys, voucher_id, settled_at)
		SELECT $1, $2, $5, array_agg(vendor_key ORDER BY entry_id), max(voucher_id), max(settled_at) FROM two HAVING count(*) > 0
		ON CONFLICT (organization_id, integration_id, place) DO UPDATE SET vendor_keys = excluded.vendor_keys, voucher_id = excluded.voucher_id, settled_at = excluded.settled_at
		WHERE c.settled_at <= excluded.settled_at AND cardinality(c.vendor_keys) <= cardinality(excluded.vendor_keys)`,
		o.OrganizationID, o.IntegrationID, ids, names, o.Place)
	return err
}

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

// errOver is returned to an attempt that would mark what it cannot send any more.
var errOver = errors.New("the attempt's time is over")

// TooSoonError is returned by [MarkChunk] for entries that were sent before with
// other content, which may still arrive and replace the new one.
type TooSoonError struct{ Wait time.Duration }

// Error says how long to wait.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("an earlier content may still arrive for %v", e.Wait.Round(time.Millisecond))
}

// MarkChunk makes entries open before the first byte of them leaves: until the
// deadline of the call, which is left from now, and what the vendor may take
// longer. It refuses entries that are open already (their sending, or a later
// one, must be asked about first), an attempt that a later one has overtaken, and one
// whose time is over.
// It returns until when they are open.
func MarkChunk(ctx context.Context, db Beginner, o exports.Owner, ids []string, s Sending, left time.Duration, f InFlight) (until time.Time, err error) {
	if left < 0 {
		return until, errOver
	}
	err = asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		var ready int
		var wait time.Duration
		err := tx.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE state = 'planned' AND effect IS DISTINCT FROM 'open' AND (sent_in = $4 AND sent_attempt >= $5) IS NOT TRUE),
			    coalesce(max(open_until + $6::interval - ledgerline.clock()) FILTER (WHERE changed AND $8), interval '0')
			FROM (SELECT * FROM ledgerline.export_entries WHERE organization_id = $1 AND integration_id = $7 AND export_id = $2 AND entry_id = ANY($3) FOR UPDATE) e`,
			o.OrganizationID, o.ExportID, ids, s.CorrelationID, s.Attempt, f.Changed-f.Same, o.IntegrationID, f.Changed > 0).Scan(&ready, &wait)
		switch {
		case err != nil:
			return err
		case ready != len(ids):
			return fmt.Errorf("%d of %d entries are not to be sent by this attempt: %w", len(ids)-ready, len(ids), ErrNotOwner)
		case wait > 0:
			return &TooSoonError{wait}
		}
		return tx.QueryRow(ctx, `
			WITH marked AS (
			    UPDATE ledgerline.export_entries SET state = 'sent', effect = 'open', ended = false, partly = false, changed = false, reason = NULL, sent_in = $4, sent_attempt = $5, sent_to = $8,
			        open_until = greatest(open_until, ledgerline.clock() + $6::interval), late_until = greatest(open_until, ledgerline.clock() + $6::interval, ledgerline.clock() + $9::interval)
			    WHERE organization_id = $1 AND integration_id = $7 AND export_id = $2 AND entry_id = ANY($3) RETURNING open_until
			) SELECT max(open_until) FROM marked`,
			o.OrganizationID, o.ExportID, ids, s.CorrelationID, s.Attempt, left+f.Same, o.IntegrationID, o.Place, left+f.Changed).Scan(&until)
	})
	return until, err
}

// RecordSend records what the answer to a sending proves of its entries: done,
// with the vendor's names of them; none; or, with ended, that the vendor's work
// is over. These are facts about that sending, so anybody's; an entry that was
// sent again since is left alone unless it is done.
func RecordSend(ctx context.Context, db Beginner, o exports.Owner, ids []string, s Sending, effect classify.Effect, ended bool, names map[string]string) error {
	return InOrganization(ctx, db, o.OrganizationID, func(tx pgx.Tx) error {
		switch {
		case effect == classify.Done:
			there := make(map[string]string, len(ids))
			for _, id := range ids {
				there[id] = names[id]
			}
			return exported(ctx, tx, o, there)
		case effect == classify.None:
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'planned', effect = 'none', ended = true
				WHERE organization_id = $1 AND integration_id = $6 AND export_id = $2 AND entry_id = ANY($3) AND effect = 'open' AND sent_in = $4 AND sent_attempt = $5`,
				o.OrganizationID, o.ExportID, ids, s.CorrelationID, s.Attempt, o.IntegrationID)
			return err
		case ended:
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET ended = true
				WHERE organization_id = $1 AND integration_id = $6 AND export_id = $2 AND entry_id = ANY($3) AND effect = 'open' AND sent_in = $4 AND sent_attempt = $5`,
				o.OrganizationID, o.ExportID, ids, s.CorrelationID, s.Attempt, o.IntegrationID)
			return err
		}
		return nil
	})
}

// RecordRefusal is [RecordSend] of an answer that refuses what was sent, so that
// the next word may be that it is not there, and not a repeat. So it counts until
// when the sending can land at all, if the answer does not prove that the vendor's
// work has ended, and until when an earlier one can that was given up and repeated
// because a repeat does no harm: the vendor may refuse the one while it works on the
// other. Entries of which either can still land stay open until then, which is
// returned; else it is the zero time.
func RecordRefusal(ctx context.Context, db Beginner, o exports.Owner, ids []string, s Sending, effect classify.Effect, ended bool) (until time.Time, err error) {
	err = InOrganization(ctx, db, o.OrganizationID, func(tx pgx.Tx) error {
		var at *time.Time
		err := tx.QueryRow(ctx, `
			WITH told AS (
			    UPDATE ledgerline.export_entries x SET earlier_until = NULL, ended = $8 AND NOT e.works,
			        open_until = CASE WHEN e.works THEN greatest(x.open_until, e.until) ELSE x.open_until END,
			        late_until = CASE WHEN e.works THEN e.until ELSE x.late_until END,
			        state = CASE WHEN $7 = 'none' AND NOT e.works THEN 'planned' ELSE x.state END,
			        effect = CASE WHEN $7 = 'none' AND NOT e.works THEN 'none' ELSE x.effect END
			    FROM (SELECT entry_id, w.until, coalesce(w.until > now.at, false) AS works
			          FROM ledgerline.export_entries, LATERAL (SELECT greatest(earlier_until, CASE WHEN NOT $8 THEN late_until END) AS until) w, (SELECT ledgerline.clock() AS at) now
			          WHERE organization_id = $1 AND integration_id = $6 AND export_id = $2 AND entry_id = ANY($3) AND effect = 'open' AND sent_in = $4 AND sent_attempt = $5
			          FOR UPDATE OF export_entries) e
			    WHERE x.organization_id = $1 AND x.integration_id = $6 AND x.entry_id = e.entry_id
			    RETURNING x.open_until, e.works
			) SELECT max(open_until) FILTER (WHERE works) FROM told`,
			o.OrganizationID, o.ExportID, ids, s.CorrelationID, s.Attempt, o.IntegrationID, string(effect), ended || effect == classify.None).Scan(&at)
		if err == nil && at != nil {
			until = *at
		}
		return err
	})
	return until, err
}

// SplitChunk moves the upper half of a refused chunk's vouchers to chunk into,
// to find the one that the vendor refuses. split is false if the chunk is one
// voucher; that is rejected with the reason, or left if it is not to be. Entries whose effect is open are
// neither moved nor rejected: they are an error. Doing it again is harmless.
func SplitChunk(ctx context.Context, db Beginner, o exports.Owner, chunk, into int, reason string, reject bool) (split bool, err error) {
	err = asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		var vouchers, open, moved int
		if err := tx.QueryRow(ctx, `SELECT count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'planned'),
			    count(*) FILTER (WHERE chunk = $3 AND state = 'sent'), count(*) FILTER (WHERE chunk = $4)
			FROM (SELECT voucher_id, chunk, state FROM ledgerline.export_entries
			    WHERE organization_id = $1 AND export_id = $2 AND chunk IN ($3, $4) FOR UPDATE) e`, o.OrganizationID, o.ExportID, chunk, into).Scan(&vouchers, &open, &moved); err != nil {
			return err
		}
		if split = moved > 0; split {
			return nil
		}
		if open > 0 {
			// An attempt that was taken for lost has marked them since: whoever claims again asks.
			return fmt.Errorf("chunk %d has %d entries whose effect is open; ask before it is halved: %w", chunk, open, ErrNotOwner)
		}
		if split = vouchers > 1; !split && !reject {
			return nil
		}
		if !split {
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries x SET state = 'rejected', reason = nullif(left(CASE WHEN EXISTS (
				    SELECT FROM ledgerline.export_entries y WHERE y.organization_id = $1 AND y.export_id = $2 AND y.chunk = $3 AND y.voucher_id = x.voucher_id AND y.state = 'exported')
				THEN 'other lines of this voucher are at the vendor: ' ELSE '' END || $4, 500), '')
				WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned'`, o.OrganizationID, o.ExportID, chunk, storable(reason))
			return err
		}
		return moveHalf(ctx, tx, o, chunk, into)
	})
	return split, err
}

// LoadOpenUntil is until when something of an export can still take effect; nil if
// nothing can.
func LoadOpenUntil(ctx context.Context, db Beginner, organization, export uuid.UUID) (until *time.Time, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT max(open_until) FILTER (WHERE effect = 'open' AND NOT ended AND open_until > ledgerline.clock())
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, organization, export).Scan(&until)
	})
	return until, err
}
