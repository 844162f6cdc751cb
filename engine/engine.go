// Package engine is what programs ask of Temporal. The starter and the worker use it, and
// so does any other Go program that makes calls or starts exports through Ledgerline.
//
// All work is done by workflows (package workflows), on workers. A program holds a Temporal
// client and asks:
//
//	Execute, ExecuteAgain             make an invocation and wait for its outcome
//	InvocationStatus, ExportStatus    how far one is, while it runs and afterwards
//	SyncOptions, BackfillOptions      how an export or a backfill starts
//	ApplySchedule, DescribeSchedule   an integration's Temporal Schedule
//	AddSearchAttributes               what a namespace needs before anything else
//
// The one idea is that an ID says what is asked for: a correlation ID is one invocation, an
// integration and a period are one export, an integration has one schedule and one
// monitor. So everything may be asked for twice: the second caller joins what runs or gets
// the outcome of what has ended, and the vendor is called once. A correlation ID that
// stands for another request is an [*OtherRequestError], and nothing is sent.
//
// A failed invocation is no error: it is an outcome that has [workflows.Failure]. An error
// means that Temporal could not be asked, or that the caller stopped waiting; the
// invocation then continues.
//
// The package makes no attempt and runs no workflow. It is given clients and database
// pools, and closes none.
package engine
