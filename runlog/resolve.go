package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/exports"
)

// Resolution is what a person found out about a voucher whose outcome is open.
type Resolution struct {
	ExportID   uuid.UUID `json:"exportId"`
	VoucherID  string    `json:"voucherId"`
	AtVendor   bool      `json:"atVendor"`
	Entries    int       `json:"entries"`
	Reason     string    `json:"reason"`
	Actor      string    `json:"actor"`
	ResolvedAt time.Time `json:"resolvedAt"`
}

// ResolveVoucher records what a person found out about a voucher whose outcome is open: it is at the vendor, and
// exported; or it is not, and a retry sends it. The resolution stays on record with the person's identity. It is
// refused while the voucher can still take effect, with an [*UnsettledError], and where the export has no such voucher
// that is open, with a [*SettledError]. It returns how many entries it settled.
func ResolveVoucher(ctx context.Context, db Beginner, organization uuid.UUID, r Resolution) (entries int, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT ledgerline.resolve_voucher(@export_id, @voucher_id, @at_vendor, @reason, @actor)`, pgx.StrictNamedArgs{
			"export_id": r.ExportID, "voucher_id": r.VoucherID, "at_vendor": r.AtVendor, "reason": storable(r.Reason), "actor": storable(r.Actor),
		}).Scan(&entries)
	})
	if refused := refusalOf(err); refused != err {
		until, err := openUntil(ctx, db, organization, r)
		if err != nil {
			return 0, err
		}
		return 0, &UnsettledError{refused.Error(), until}
	}
	if err == nil && entries == 0 {
		err = &SettledError{r.ExportID, r.VoucherID}
	}
	return entries, err
}

// openUntil is until when a voucher can still take effect; nil if it cannot.
func openUntil(ctx context.Context, db Beginner, organization uuid.UUID, r Resolution) (until *time.Time, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT max(open_until) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND voucher_id = $3
			AND effect = 'open' AND NOT ended AND open_until > ledgerline.clock()`, organization, r.ExportID, r.VoucherID).Scan(&until)
	})
	return until, err
}

// UnsettledError says that it is too early to record that a voucher is not at the vendor: it can
// still take effect, or the run of its export may still send it.
type UnsettledError struct {
	message string
	Until   *time.Time // it can take effect until then; nil: that is not why
}

// Error says which.
func (e *UnsettledError) Error() string { return e.message }

// SettledError says that an export has no voucher of an ID whose outcome is open, or no longer.
type SettledError struct {
	ExportID  uuid.UUID
	VoucherID string
}

// Error says what is not there.
func (e *SettledError) Error() string {
	return fmt.Sprintf("export %s has no voucher %s whose outcome is open", e.ExportID, e.VoucherID)
}

// NotOpenError says that a chain has no voucher of an ID whose outcome is open.
type NotOpenError struct {
	Chain     exports.Chain
	VoucherID string
}

// Error says what to do.
func (e *NotOpenError) Error() string {
	return fmt.Sprintf("%s has no voucher %s whose outcome is open; what is waiting or unknown: starter exports show %s", e.Chain.Name(), e.VoucherID, e.Chain.Reference())
}

// ResolveInChain records what a person found out about a voucher of a chain, with
// [ResolveVoucher], in each of its exports that has entries of it whose outcome is open; r needs
// no export. It returns what was recorded, also what came before an error. Where there is no
// such entry it is a [*NotOpenError].
func ResolveInChain(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, r Resolution) (done []Resolution, err error) {
	open, err := OpenVoucherExports(ctx, db, organization, c, r.VoucherID)
	if err == nil && len(open) == 0 {
		err = &NotOpenError{c, r.VoucherID}
	}
	if err != nil {
		return nil, err
	}
	for _, r.ExportID = range open {
		if r.Entries, err = ResolveVoucher(ctx, db, organization, r); err != nil {
			return done, err
		}
		done = append(done, r)
	}
	return done, nil
}

// refusalOf is the message alone where a function of the schema refuses what an operator asks for; other errors pass
// as they are.
func refusalOf(err error) error {
	const notInPrerequisiteState = "55000"
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == notInPrerequisiteState {
		return errors.New(pg.Message)
	}
	return err
}

// ListResolutions returns what people have found out about an export's vouchers, oldest first.
func ListResolutions(ctx context.Context, db Beginner, organization, exportID uuid.UUID) ([]Resolution, error) {
	return queryInOrganization[Resolution](ctx, db, organization, `SELECT export_id, voucher_id, at_vendor, entries, reason, actor, resolved_at
		FROM ledgerline.export_resolutions WHERE organization_id = $1 AND export_id = $2 ORDER BY resolved_at, voucher_id`, organization, exportID)
}
