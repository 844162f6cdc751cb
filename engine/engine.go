// Package engine is what programs ask of Temporal. The starter and the worker use it, and
// so does any other Go program that makes calls or starts exports through Ledgerline.
//
// All work is done by workflows (package workflows), on workers. A program holds a Temporal
// client and asks:
//
//	NewInvocation, NewSync            what is asked of an integration, as its file says
//	Execute, ExecuteAgain             make an invocation and wait for its outcome
//	InvokeOptions                     how one starts that is not waited for
//	Describe                          what an invocation says of itself in the Temporal UI
//	InvocationStatus, ExportStatus    how far one is, while it runs and afterwards
//	Reason                            why an invocation waits, or was not tried again
//	NewRetry, FindRetryTarget         the retry of a period, or why there is none now
//	SyncOptions                       how an export starts
//	ExportOf                          the export that a run would claim
//	BackfillRuns, BackfillOptions     the runs of a backfill, and how it starts
//	ApplySchedule, RemoveSchedule     make an integration's Temporal Schedule as its file says
//	DescribeSchedule, ScheduleID      what Temporal has, and under which ID
//	Firings                           which periods a schedule exports at which times
//	RewriteSchedules,                 what a key of payloads needs before it is retired
//	CountStartedBefore
//	AddSearchAttributes,              what a namespace needs before anything else
//	MissingSearchAttributes
//
// The rest is for Ledgerline's own programs:
//
//	StartDeliveries                   the worker: starts the deliveries of notifications
//	EnsureMonitor                     the worker: starts the monitors that do not run
//	ReportObservations                the worker: what traffic showed, for a monitor
//	RefreshMonitor                    both: a file was applied, or somebody paused or resumed
//	SchedulePaused                    the worker: whether that is why a firing did not come
//	RunClosed                         the worker: whether a pending export has lost its run
//	StuckWorkflows                    the worker: those that cannot continue, because their code fails
//	WakeExports                       the starter: a paused integration was resumed
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
