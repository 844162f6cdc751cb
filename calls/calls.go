// Package calls is what people see of calls: of those that somebody made, and of the attempts
// that exports and probes make.
//
// A call is known by its correlation ID, of which the first characters will do ([ParseRef],
// [Sources.Find]). While it runs, Temporal knows its attempts; afterwards the audit record
// does, for longer. [Sources.Read] asks both and makes a [Report]; [Sources.Rows] puts
// beside the rows of the audit record what they belong to: the integration's name, and the
// export with its period, chunk and vouchers.
//
// All that is printed as JSON has one vocabulary, that of a call's outcome
// (workflows.Outcome): attempt, errorClass, kind, message, httpStatus, isRetryable, effect,
// openUntil. Durations are text such as 1.5s, and times are in UTC. The types that Temporal
// stores have names of their own, which cannot change, so the types here are views of them.
//
// The package has no query of its own: it asks engine and runlog.
package calls

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/runlog"
)

// Sources are who is asked. Either may be nil: then only the other one is.
type Sources struct {
	DB       runlog.Beginner
	Temporal client.Client
}

// Names are the names of an organization's integrations.
type Names map[uuid.UUID]string

// Names returns the names of an organization's integrations; none without a database.
func (s Sources) Names(ctx context.Context, organization uuid.UUID) Names {
	names := make(Names)
	if s.DB == nil {
		return names
	}
	list, _ := runlog.ListIntegrations(ctx, s.DB, organization) // one that cannot be read has no name
	for _, in := range list {
		names[in.ID] = in.Name
	}
	return names
}

// Short is the beginning of a correlation ID, as tables show it. It is enough to name the
// call by.
func Short(correlation uuid.UUID) string { return correlation.String()[:8] }

// NoWorker says that nobody takes calls and exports, as the table of workers has it, and what follows;
// "" if a worker does.
func NoWorker(list []runlog.Worker, taskQueue string) string {
	running := runlog.Running(list)
	for _, w := range running {
		if w.Waits() == "" {
			return ""
		}
	}
	const remedy = "this command waits for one; starter doctor says more"
	switch {
	case len(running) > 0:
		return fmt.Sprintf("no worker takes calls and exports: %s on %s waits (%s); %s", running[0].Identity, running[0].Host, running[0].Waits(), remedy)
	case len(list) > 0:
		return fmt.Sprintf("no worker is running on task queue %s: the last one was seen %v ago, on %s; %s", taskQueue, list[0].Ago.Round(time.Second), list[0].Host, remedy)
	}
	return fmt.Sprintf("no worker is running on task queue %s; %s", taskQueue, remedy)
}
