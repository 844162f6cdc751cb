package outlook

import (
	"context"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// SchedulePause is that somebody has paused a schedule by itself, and not the integration.
type SchedulePause struct {
	Note string // who and why, as Temporal has it
}

// AskSchedule asks Temporal whether an integration's schedule is paused. It returns nil if it
// is not, and if that cannot be known now; it does not take long.
type AskSchedule func(ctx context.Context, in integrations.Integration) *SchedulePause

// askSchedule asks about the schedule if one of the entries that wait relies on it.
func (o *Outlook) askSchedule(ctx context.Context, ask AskSchedule, waiting []runlog.Waiting) {
	if ask == nil || o.Pause != nil || o.Integration.Schedule == nil {
		return
	}
	for _, w := range waiting {
		if o.NextFor(w.Date).At != nil {
			o.schedulePause = ask(ctx, o.Integration)
			return
		}
	}
}

// inWords says that the schedule is paused, and what follows.
func (p SchedulePause) inWords(integration string) string {
	note := strings.TrimRight(p.Note, ". ")
	if note != "" {
		note = " (" + note + ")"
	}
	return fmt.Sprintf("the schedule of %s is paused%s and starts no export, until starter schedules resume %s", integration, note, integration)
}
