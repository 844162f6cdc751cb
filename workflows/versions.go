package workflows

// Change IDs of workflow.GetVersion. The contributing guide (Changing a workflow) says how they
// are named and retired.
const (
	syncOutcome      = "sync-outcome"       // 1: the search attribute Outcome
	backfillOutcome  = "backfill-outcome"   // 1: the same
	notifyOutcome    = "notify-outcome"     // 1: the same
	pausedWithoutRow = "paused-without-row" // 1: a run's look at a pause is not mirrored
)
