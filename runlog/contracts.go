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
// that was never checked.
type Contract struct {
	adapters.Contract
	File      string     // what it was checked for, see [integrations.Integration.ContractFile]
	CheckedAt *time.Time // nil if it never was
	ChunkSize int        // most entries in the last request that worked; 0 if the file decides
	ChunkFull int        // what the file allowed then
}

// Holds reports whether exports can go by a contract: it was checked for what the
// file says now, and nothing differs.
func (c Contract) Holds(file string) bool { return c.File == file && len(c.Differing()) == 0 }

// LoadContract returns what is known of an integration's vendor.
func LoadContract(ctx context.Context, db Beginner, organization, integration uuid.UUID) (c Contract, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		c, err = queryRow[Contract](ctx, tx, `
			SELECT file, checks, learned, checked_at, coalesce(chunk_size, 0) AS chunk_size, coalesce(chunk_full, 0) AS chunk_full
			FROM ledgerline.vendor_contracts WHERE organization_id = $1 AND integration_id = $2`, organization, integration)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	return c, err
}

// RecordContract stores what a vendor's checks found. What was learned from the vendor
// stays if it shows nothing this time, as while it refuses the token.
func RecordContract(ctx context.Context, db Beginner, organization, integration uuid.UUID, file string, c adapters.Contract) error {
	checks := make([]adapters.Check, len(c.Checks))
	for i, check := range c.Checks {
		check.Found = storable(check.Found)
		checks[i] = check
	}
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.vendor_contracts AS stored (organization_id, integration_id, file, checks, learned, checked_at)
			VALUES (@organization_id, @integration_id, @file, @checks, @learned, ledgerline.clock())
			ON CONFLICT (organization_id, integration_id) DO UPDATE SET file = excluded.file, checks = excluded.checks,
			    learned = CASE WHEN excluded.learned IS NULL AND stored.file = excluded.file THEN stored.learned ELSE excluded.learned END,
			    checked_at = excluded.checked_at`, pgx.StrictNamedArgs{
			"organization_id": organization, "integration_id": integration, "file": file, "checks": checks, "learned": c.Learned,
		})
		return err
	})
}

// recordChunkSize records the size of a request that works, for the file as it is.
func recordChunkSize(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO ledgerline.vendor_contracts (organization_id, integration_id, chunk_size, chunk_full) VALUES ($1, $2, $3, $4)
		ON CONFLICT (organization_id, integration_id) DO UPDATE SET chunk_size = excluded.chunk_size, chunk_full = excluded.chunk_full`,
		e.OrganizationID, e.IntegrationID, e.ChunkSize, e.ChunkFull)
	return err
}

// SizeFor is how many entries a request begins with, where the file allows full.
func (c Contract) SizeFor(full int) int {
	if c.ChunkSize == 0 || c.ChunkFull != full {
		return full
	}
	return min(full, c.ChunkSize)
}
