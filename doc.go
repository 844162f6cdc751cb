// Package ledgerline is the root of the module and holds no code: see the README
// for what Ledgerline is and where things are, and docs/design.md for the
// decisions behind it.
package ledgerline
