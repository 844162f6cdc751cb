// Package ledgerline is the root of the module and holds no code: see the
// README for what Ledgerline is, and docs/design.md for how its packages fit
// together.
package ledgerline
