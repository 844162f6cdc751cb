// Package engine is what programs ask of Temporal: start an invocation and wait for its
// outcome, look at one that runs, start and describe exports, keep schedules, deliveries
// and monitors going.
package engine
