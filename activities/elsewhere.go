package activities

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// A namespace belongs to one database. Where a worker with another one takes tasks in it all
// the same, it leaves them to others: it would fail calls of organizations that it does not
// know, and record that where nobody looks.

// leftToOthers is how long an activity is left to others. After it, which is longer than a
// database or the workers are away, it is carried out as well as it can be, for an
// organization that nobody knows.
const leftToOthers = 24 * time.Hour

// homes knows which organizations the database of this process has.
type homes struct {
	db    runlog.Beginner
	known sync.Map // of uuid.UUID; an organization's rows stay
}

// elsewhere says that the database has nothing of an organization, as far as is known.
func (h *homes) elsewhere(ctx context.Context, organization uuid.UUID) error {
	if h.db == nil {
		return nil
	}
	if _, ok := h.known.Load(organization); ok {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	has, err := runlog.HasOrganization(bounded, h.db, organization)
	switch {
	case err != nil:
		return fmt.Errorf("whether organization %s is one of this worker's database could not be looked up: %w", organization, err)
	case has:
		h.known.Store(organization, nil)
		return nil
	}
	return fmt.Errorf("the database of this worker has no integration of organization %s: apply its file (starter integrations apply), or, if it is in another database, give that one's workers a namespace of their own", organization)
}

// Elsewhere is the interceptor that leaves activities to other workers whose organization this
// one's database does not have: all but calls, whose attempts are on record, and local ones,
// which no other worker can take.
func (a *Activities) Elsewhere() interceptor.WorkerInterceptor { return &elsewhere{homes: &a.homes} }

type elsewhere struct {
	interceptor.WorkerInterceptorBase
	homes *homes
}

// InterceptActivity implements [interceptor.WorkerInterceptor].
func (e *elsewhere) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &elsewhereActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, e.homes}
}

type elsewhereActivity struct {
	interceptor.ActivityInboundInterceptorBase
	homes *homes
}

// ExecuteActivity implements [interceptor.ActivityInboundInterceptor].
func (e *elsewhereActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	organization, ok := organizationOf(info, in)
	if ok && !info.IsLocalActivity && info.ActivityType.Name != CallName && time.Since(info.ScheduledTime) < leftToOthers {
		if err := e.homes.elsewhere(ctx, organization); err != nil {
			return nil, temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), string(classify.Dependency),
				temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
		}
	}
	return e.Next.ExecuteActivity(ctx, in)
}

// organizationOf is whose activity it is, by its workflow's ID or, of what a delivery does, by its key.
func organizationOf(info activity.Info, in *interceptor.ExecuteActivityInput) (uuid.UUID, bool) {
	if len(in.Args) == 1 {
		switch d := in.Args[0].(type) {
		case DeliverInput:
			return d.Key.OrganizationID, true
		case RecordDeliveryInput:
			return d.Key.OrganizationID, true
		}
	}
	kind, rest, _ := strings.Cut(info.WorkflowExecution.ID, "/")
	name, _, _ := strings.Cut(rest, "/")
	organization, err := uuid.Parse(name)
	return organization, err == nil && kind != "notify"
}
