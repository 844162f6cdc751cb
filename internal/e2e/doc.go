// Package e2e holds the tests that need everything: real Temporal, real
// PostgreSQL, real sockets, Ledgerline's programs as child processes that can be
// killed. It has no code of its own.
package e2e
