// Package matrix holds no code, only a test: the cross product of everything a
// vendor can answer to a write, everything that can have become of it, every
// moment at which that can happen in an export, and every way in which the
// vendor can answer when it is asked. Each cell runs through the real adapters,
// activities and workflow, on a real PostgreSQL and over real sockets, with one
// clock for all of them, so that late effects come due when time is skipped.
//
// Two oracles judge each cell, and neither is the program's own view: the
// vendor's books (no entry twice, none lost, the record equal to them), and a
// monitor of sends, to which a request that carries a key while an earlier one
// with that key may still take effect is a failure, whether it did or not.
//
//	go test ./internal/matrix        a pairwise selection
//	make matrix                      every cell
//	go test ./internal/matrix -run 'TestMatrix' -cell 'xledger/.*data null.*'   some
package matrix
