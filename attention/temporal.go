package attention

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// askFor is how long Temporal may take for all that it is asked, and askAbout of how many
// calls it is asked at most.
const (
	askFor   = 2 * time.Second
	askAbout = 20
)

// answers are what Temporal says. What it does not say is nil.
type answers struct {
	dead  map[uuid.UUID]bool              // runs of pending exports that no longer exist
	stuck map[string]engine.StuckWorkflow // by workflow ID
	ended map[uuid.UUID]bool              // calls that have ended and have no outcome on record
}

// ask asks Temporal. A question that is not answered leaves the others alone.
func (v *view) ask(ctx context.Context, c client.Client) (seen answers) {
	if c == nil {
		return seen
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if dead, err := engine.DeadExports(ctx, c, v.organization, v.exports); err == nil {
		seen.dead = make(map[uuid.UUID]bool)
		for _, e := range dead {
			seen.dead[e.RunID] = true
		}
	}
	if list, all, err := engine.StuckWorkflows(ctx, c); err == nil {
		seen.stuck = make(map[string]engine.StuckWorkflow)
		for _, w := range list {
			if w.OrganizationID == v.organization {
				seen.stuck[w.Workflow.ID] = w
			}
		}
		if !all { // of one that is not among them nobody knows
			for _, i := range v.incidentsOf(notify.WorkflowFailing) {
				seen.stuck[i.Subject] = stuckOnRecord(v.organization, i)
			}
		}
	}
	seen.ended = make(map[uuid.UUID]bool)
	for _, o := range v.asked[:min(len(v.asked), askAbout)] {
		closed, err := engine.CallClosed(ctx, c, v.organization, o.CorrelationID)
		seen.ended[o.CorrelationID] = err == nil && closed
	}
	return seen
}

func stuckOnRecord(organization uuid.UUID, i runlog.OpenIncident) engine.StuckWorkflow {
	return engine.StuckWorkflow{OrganizationID: organization, IntegrationID: i.IntegrationID, Workflow: notify.Workflow{ID: i.Subject}, Cause: i.ErrorKind}
}

// stuck finds the workflows that cannot continue.
func (v *view) stuck(seen answers) {
	reported := make(map[string]runlog.OpenIncident)
	for _, i := range v.incidentsOf(notify.WorkflowFailing) {
		reported[i.Subject] = i
	}
	if seen.stuck == nil {
		seen.stuck = make(map[string]engine.StuckWorkflow)
		for id, i := range reported {
			seen.stuck[id] = stuckOnRecord(v.organization, i)
		}
	}
	for id, w := range seen.stuck {
		since := reported[id].OpenedAt
		v.add(Item{Kind: Stuck, Key: key(Stuck, id, since), Since: since, IntegrationID: w.IntegrationID, ErrorKind: classify.Kind(w.Cause), Workflow: id})
	}
}

// calls reads the calls whose effect nobody knows.
func (v *view) calls(ctx context.Context, db runlog.Beginner) error {
	list, err := runlog.ListOpenCalls(ctx, db, v.organization)
	for _, o := range list {
		if o.Ended {
			v.addCall(o)
		} else {
			v.asked = append(v.asked, o)
		}
	}
	return err
}

// openCalls finds those that are not under way and have no outcome on record: somebody has
// ended their workflow.
func (v *view) openCalls(seen answers) {
	for _, o := range v.asked {
		if seen.ended[o.CorrelationID] {
			v.addCall(o)
		}
	}
}

// addCall adds a call. While its write can take effect nobody can say what became of it.
func (v *view) addCall(o runlog.OpenCall) {
	i := Item{
		Kind: Unknown, Since: o.ClaimedAt, IntegrationID: o.IntegrationID, CorrelationID: &o.CorrelationID, Until: o.OpenUntil,
		ErrorKind: o.ErrorKind, Message: o.Message, Actor: o.Actor,
	}
	if o.OpenUntil != nil {
		i.Kind = InFlight
	}
	i.Key = key(i.Kind, o.CorrelationID, o.ClaimedAt)
	v.add(i)
}
