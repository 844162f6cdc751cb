package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Resolution is what a person found out about a voucher whose outcome is open.
type Resolution struct {
	ExportID   uuid.UUID `json:"exportId"`
	VoucherID  string    `json:"voucherId"`
	There      bool      `json:"there"` // at the vendor
	Entries    int       `json:"entries"`
	Reason     string    `json:"reason"`
	Actor      string    `json:"actor"`
	ResolvedAt time.Time `json:"resolvedAt"`
}

// ResolveVoucher records a person's word on a voucher whose outcome is open: it is at
// the vendor, and exported; or it is not, and a retry sends it. The word stays on
// record with the person's identity. It is refused while the voucher can still
// take effect, and where the export has no such voucher that is open.
func ResolveVoucher(ctx context.Context, db Beginner, organization uuid.UUID, r Resolution) (entries int, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT ledgerline.resolve_voucher($1, $2, $3, $4, $5)`, r.ExportID, r.VoucherID, r.There, storable(r.Reason), storable(r.Actor)).Scan(&entries)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55000" {
		return 0, errors.New(pg.Message)
	}
	if err == nil && entries == 0 {
		err = fmt.Errorf("export %s has no voucher %s whose outcome is open", r.ExportID, r.VoucherID)
	}
	return entries, err
}

// ListResolutions returns what people have said of an export's vouchers, oldest first.
func ListResolutions(ctx context.Context, db Beginner, organization, export uuid.UUID) (list []Resolution, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT export_id, voucher_id, is_there, entries, reason, actor, resolved_at
			FROM ledgerline.export_resolutions WHERE organization_id = $1 AND export_id = $2 ORDER BY resolved_at, voucher_id`, organization, export)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Resolution])
		return err
	})
	return list, err
}
