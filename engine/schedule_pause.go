package engine

import (
	"context"
	"errors"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// pauseNotePrefix marks the note of a schedule that was paused with its integration, which
// distinguishes it from one that somebody paused by itself.
const pauseNotePrefix = "integration paused: "

// PauseNote is the note of a schedule whose integration is paused.
func PauseNote(p runlog.Pause) string { return pauseNotePrefix + p.By + ": " + p.Reason }

// SchedulePause is what pausing or resuming an integration's schedule found, and did.
type SchedulePause struct {
	Missing bool   // Temporal does not have the schedule
	Changed bool   // it is paused, or resumed, now
	Note    string // of one that was paused already, or that stays paused since somebody paused it by itself
}

// PauseSchedule pauses an integration's schedule, if it has one, with a note.
func PauseSchedule(ctx context.Context, c client.Client, in integrations.Integration, note string) (SchedulePause, error) {
	return onSchedule(ctx, c, in, func(h client.ScheduleHandle, paused bool, was string) (SchedulePause, error) {
		if paused {
			return SchedulePause{Note: was}, nil
		}
		return SchedulePause{Changed: true}, h.Pause(ctx, client.SchedulePauseOptions{Note: note})
	})
}

// ResumeSchedule resumes a schedule that was paused with its integration. It leaves one alone
// that somebody paused by itself.
func ResumeSchedule(ctx context.Context, c client.Client, in integrations.Integration, note string) (SchedulePause, error) {
	return onSchedule(ctx, c, in, func(h client.ScheduleHandle, paused bool, was string) (SchedulePause, error) {
		switch {
		case !paused:
			return SchedulePause{}, nil
		case !strings.HasPrefix(was, pauseNotePrefix):
			return SchedulePause{Note: was}, nil
		}
		return SchedulePause{Changed: true}, h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
	})
}

func onSchedule(ctx context.Context, c client.Client, in integrations.Integration, do func(h client.ScheduleHandle, paused bool, note string) (SchedulePause, error)) (SchedulePause, error) {
	if in.Schedule == nil {
		return SchedulePause{}, nil
	}
	h := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID))
	d, err := h.Describe(ctx)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return SchedulePause{Missing: true}, nil
	}
	if err != nil {
		return SchedulePause{}, err
	}
	state := d.Schedule.State
	if state == nil {
		state = &client.ScheduleState{}
	}
	return do(h, state.Paused, state.Note)
}
