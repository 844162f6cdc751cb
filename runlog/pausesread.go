package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// IntegrationKey names an integration among those of all organizations.
type IntegrationKey struct{ OrganizationID, IntegrationID uuid.UUID }

// ReadPauses returns the pauses of all organizations, and PostgreSQL's time before it read
// them: what was committed until then is in them. It needs the worker's role.
func ReadPauses(ctx context.Context, db Beginner) (pauses map[IntegrationKey]Pause, asOf time.Time, err error) {
	pauses = make(map[IntegrationKey]Pause)
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		// Two statements: the second one sees what was committed before it began.
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&asOf); err != nil {
			return err
		}
		rows, err := queryRows[struct {
			IntegrationKey
			pauseRow
		}](ctx, tx, `SELECT organization_id, integration_id, `+pauseColumns+` FROM ledgerline.pauses()`)
		for _, row := range rows {
			pauses[row.IntegrationKey] = *row.pause()
		}
		return err
	})
	return pauses, asOf, err
}

// PauseNotice is which workers have read the pauses since one was changed.
type PauseNotice struct {
	Read    []Worker // have
	Unread  []Worker // have not, and may still call the vendor
	Silent  []Worker // have not, and have not said for [WorkerLate] that they are there
	Unknown []Worker // do not say, as those of the version before do not
}

// Done reports whether nothing is left to wait for.
func (n PauseNotice) Done() bool { return len(n.Unread)+len(n.Silent) == 0 }

// Says is what is known, for people.
func (n PauseNotice) Says() string {
	var parts []string
	add := func(list []Worker, format string) {
		if len(list) > 0 {
			parts = append(parts, fmt.Sprintf(format, workerWords(list)))
		}
	}
	add(n.Read, "%s: knows of it")
	add(n.Unread, "%s: has not read it yet and may still call the vendor")
	add(n.Silent, "%s: says nothing; it was killed, and then calls nobody, or does not reach PostgreSQL, and is then to be ended")
	add(n.Unknown, "%s: does not say, as those of an older build do not; it looks again within 10 seconds")
	if len(parts) == 0 {
		return "no worker is running; one that starts will see it"
	}
	return strings.Join(parts, "; ")
}

// workerWords names workers, with how long ago each was seen.
func workerWords(list []Worker) string {
	const most = 5
	var names []string
	for _, w := range list[:min(len(list), most)] {
		names = append(names, fmt.Sprintf("%s (seen %v ago)", w.Identity, w.Ago.Round(time.Second)))
	}
	more := ""
	if n := len(list) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return "worker " + strings.Join(names, ", ") + more
}

// AwaitPauseRead waits until every worker that runs has read the pauses as they are now, at
// most for within, and returns what is known then. A worker of the version before is waited
// for as long as it uses what it knows, which is fresh. It needs the operator's role.
func AwaitPauseRead(ctx context.Context, db Beginner, fresh, within time.Duration) (n PauseNotice, err error) {
	var changed time.Time
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&changed) })
	if err != nil {
		return n, err
	}
	for began := time.Now(); ; {
		list, err := ListAllWorkers(ctx, db)
		if err != nil {
			return n, err
		}
		n = noticed(list, changed)
		waited := time.Since(began)
		if n.Done() && (len(n.Unknown) == 0 || waited >= fresh) || waited >= within {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// noticed sorts workers by whether they have read the pauses since a time. One that has
// stopped, or was not seen for long, calls nobody.
func noticed(list []Worker, changed time.Time) (n PauseNotice) {
	for _, w := range list {
		switch state := w.State(); {
		case state == WorkerStopped || state == WorkerGone:
		case !w.StartedAt.Before(changed), w.PausesReadAt != nil && !w.PausesReadAt.Before(changed):
			n.Read = append(n.Read, w)
		case w.PausesReadAt == nil:
			n.Unknown = append(n.Unknown, w)
		case state == WorkerSilent:
			n.Silent = append(n.Silent, w)
		default:
			n.Unread = append(n.Unread, w)
		}
	}
	for _, l := range []*[]Worker{&n.Read, &n.Unread, &n.Silent, &n.Unknown} {
		slices.SortFunc(*l, func(a, b Worker) int { return strings.Compare(a.Identity, b.Identity) })
	}
	return n
}
