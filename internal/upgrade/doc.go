// Package upgrade holds no code, only a test: an earlier version is replaced by
// the present one while it is at work, that is taken back, and made again.
//
// The earlier version is a commit, built from its own source. Both versions run as
// programs, on one PostgreSQL and one Temporal server, as they do where Ledgerline is
// installed: the new starter migrates while old workers are at work, and then workers
// are replaced one by one, each by SIGTERM. Before that the old version has begun one
// of each thing that waits, and all the while calls and exports are made, by the
// starters of both.
//
// The oracles are the vendors' sandbox, which knows what was asked and what was
// stored, and Temporal's histories, in which no workflow task may have failed.
package upgrade
