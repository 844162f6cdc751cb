// Package model holds no code, only a test: random orders of everything that
// can happen to exports, on a real PostgreSQL, with the real activities against
// the vendors' sandbox, compared after each step with what must hold.
//
// It takes the place of Temporal: it decides when an attempt is made, which is
// lost, which comes late, and when a run dies. What a run does next is decided by
// package exports, as in the workflow; everything below is the real thing.
//
//	go test ./internal/model                      80 cases
//	go test ./internal/model -rapid.checks 2000   longer
//	go test ./internal/model -rapid.seed N        one that failed, again
package model
