package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
)

// Contract is what is known of an integration's vendor. The zero value is of one
// that nobody has asked.
type Contract struct {
	adapters.Contract
	File      string     // what it was checked for, see [integrations.Integration.ContractFile]
	CheckedAt *time.Time // nil if it never was
	ChunkSize int        // most entries in a request that worked last; 0 if the file decides
	ChunkFull int        // what the file said then
}

// Holds reports whether exports can go by a contract: it was checked for what the
// file says now, and nothing differs.
func (c Contract) Holds(file string) bool { return c.File == file && len(c.Differing()) == 0 }

// LoadContract returns what is known of an integration's vendor.
func LoadContract(ctx context.Context, db Beginner, organization, integration uuid.UUID) (c Contract, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT file, checks, learnt, checked_at, coalesce(chunk_size, 0), coalesce(chunk_full, 0) FROM ledgerline.vendor_contracts
			WHERE organization_id = $1 AND integration_id = $2`, organization, integration).Scan(&c.File, &c.Checks, &c.Learnt, &c.CheckedAt, &c.ChunkSize, &c.ChunkFull)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return c, err
}

// RecordContract stores what a vendor has said of itself. What was learnt from it
// stays if it shows nothing this time, as while it refuses the token.
func RecordContract(ctx context.Context, db Beginner, organization, integration uuid.UUID, file string, c adapters.Contract) error {
	checks := make([]adapters.Check, len(c.Checks))
	for i, check := range c.Checks {
		check.Found = storable(check.Found)
		checks[i] = check
	}
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO ledgerline.vendor_contracts AS c (organization_id, integration_id, file, checks, learnt, checked_at)
			VALUES ($1, $2, $3, $4, $5, ledgerline.clock())
			ON CONFLICT (organization_id, integration_id) DO UPDATE SET file = excluded.file, checks = excluded.checks,
			    learnt = CASE WHEN excluded.learnt IS NULL AND c.file = excluded.file THEN c.learnt ELSE excluded.learnt END,
			    checked_at = excluded.checked_at`,
			organization, integration, file, checks, c.Learnt)
		return err
	})
}

// keepSize keeps the size of a request that works, for the file as it is.
func keepSize(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	_, err := tx.Exec(ctx, `INSERT INTO ledgerline.vendor_contracts (organization_id, integration_id, chunk_size, chunk_full) VALUES ($1, $2, $3, $4)
		ON CONFLICT (organization_id, integration_id) DO UPDATE SET chunk_size = excluded.chunk_size, chunk_full = excluded.chunk_full`,
		e.OrganizationID, e.IntegrationID, e.ChunkSize, e.ChunkFull)
	return err
}

// SizeFor is how many entries a request begins with, where the file allows so many.
func (c Contract) SizeFor(full int) int {
	if c.ChunkSize == 0 || c.ChunkFull != full {
		return full
	}
	return min(full, c.ChunkSize)
}
