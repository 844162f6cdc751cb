package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// MaxNamed is how many vouchers a retry can name.
const MaxNamed = 1000

// NamingError is a list of vouchers that no retry can be limited to.
type NamingError struct {
	Named int  // how many there are
	Empty bool // one of them is ""
}

// Error says what to do.
func (e *NamingError) Error() string {
	if e.Empty {
		return "a voucher is empty: want the ID of a voucher"
	}
	return fmt.Sprintf("%d vouchers; at most %d, or name none to retry all", e.Named, MaxNamed)
}

// NotRefusedError names vouchers that a retry cannot be limited to, because the chain does not
// have them as refused.
type NotRefusedError struct {
	Chain    exports.Chain
	Vouchers []string // in the order in which they were named
}

// Error says what to do.
func (e *NotRefusedError) Error() string {
	return fmt.Sprintf("%s has no refused voucher %s; those that are refused: starter exports show %s", e.Chain.Name(), strings.Join(e.Vouchers, ", "), e.Chain.Reference())
}

// CheckRefused refuses to limit a retry to vouchers that the chain does not have as refused
// now, with a [*NotRefusedError], and a list that cannot be, with a [*NamingError]. No
// vouchers are no limit.
func CheckRefused(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, vouchers []string) error {
	switch {
	case len(vouchers) == 0:
		return nil
	case len(vouchers) > MaxNamed:
		return &NamingError{Named: len(vouchers)}
	case slices.Contains(vouchers, ""):
		return &NamingError{Named: len(vouchers), Empty: true}
	}
	var firsts, members []uuid.UUID
	for _, e := range c.Exports {
		firsts, members = append(firsts, c.First().ID), append(members, e.ID)
	}
	asked := make([]string, len(vouchers))
	for i, v := range vouchers {
		asked[i] = storable(v)
	}
	var refused []string
	err := inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, chainEntries(allEntries+` AND entry.voucher_id COLLATE "C" = ANY($4)`)+` SELECT voucher_id FROM entries GROUP BY voucher_id HAVING `+voucherOutcome()+` = 'refused'`,
			organization, firsts, members, asked)
		if err == nil {
			refused, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	if err != nil {
		return err
	}
	wrong := slices.DeleteFunc(slices.Clone(vouchers), func(v string) bool { return slices.Contains(refused, v) })
	if len(wrong) > 0 {
		return &NotRefusedError{c, wrong}
	}
	return nil
}
