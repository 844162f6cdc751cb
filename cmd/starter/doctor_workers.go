package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// Differences of clocks. Deadlines and times of retries are compared over machines: a few
// seconds are noise, half a minute is not.
const (
	clockWarn = 2 * time.Second
	clockFail = 30 * time.Second
)

const clockRemedy = "set the clock by NTP"

// clocks compares the clocks of this machine and the two servers.
func clocks(t temporalSide, d databaseSide) []check {
	found, least, most := []string{}, time.Duration(0), time.Duration(0)
	for _, c := range []struct {
		name   string
		offset *time.Duration
	}{{"PostgreSQL", d.offset}, {"Temporal", t.offset}} {
		if c.offset != nil {
			found = append(found, fmt.Sprintf("%s %+.2f s", c.name, c.offset.Seconds()))
			least, most = min(least, *c.offset), max(most, *c.offset)
		}
	}
	var all []check
	if len(found) > 0 {
		c := check{checkClocks, checkOK, "ahead of this machine: " + strings.Join(found, ", "), ""}
		if c.State = clockState(most - least); c.State != checkOK {
			c.Remedy = clockRemedy + " where it is wrong"
		}
		all = append(all, c)
	}
	if t.offsetErr != nil {
		all = append(all, check{checkClocks, checkAssumed, "Temporal's clock cannot be read: " + environ.Cause(t.offsetErr), "compare `date` on its machines"})
	}
	return all
}

func clockState(difference time.Duration) checkState {
	switch difference = difference.Abs(); {
	case difference > clockFail:
		return checkFailed
	case difference > clockWarn:
		return checkWarn
	}
	return checkOK
}

// workers asks both servers who works.
func workers(ctx context.Context, t temporalSide, d databaseSide) []check {
	var list []runlog.Worker
	var pollers []string
	var names map[uuid.UUID]integrations.Organization
	var failed []check
	asked, listed := t.usable, d.usable
	failed = beside(ctx, t.timeout,
		func(ctx context.Context) []check {
			if !asked {
				return nil
			}
			found, err := engine.Pollers(ctx, t.client, t.namespace, activities.TaskQueue)
			if err != nil {
				return []check{{checkWorkers, checkFailed, "Temporal does not say who works: " + environ.Cause(err), "see the message"}}
			}
			pollers = found
			return nil
		},
		func(ctx context.Context) []check {
			if !listed {
				return nil
			}
			found, err := runlog.ListWorkers(ctx, d.pool, t.namespace, activities.TaskQueue)
			if err != nil {
				return []check{{checkWorkers, checkFailed, "the table of workers cannot be read: " + environ.Cause(err), "starter migrate"}}
			}
			list = found
			names, _ = organizationNames(ctx, d.pool) // without it they are called by their UUIDs
			return nil
		})
	if len(failed) > 0 || !asked && !listed {
		return failed
	}
	build, commit := version.Build()
	all := []check{working(list, pollers, asked, listed)}
	if running := runlog.Running(list); len(running) > 0 {
		all = append(all, waiting(running)...)
		all = append(all, builds(running, build, commit), workerClocks(running))
		all = append(all, lacking(running, names)...)
	}
	return all
}

// working judges who works, by what the workers say themselves (if listed) and by what
// Temporal says of who asked for work (if asked).
func working(list []runlog.Worker, pollers []string, asked, listed bool) check {
	running, known := runlog.Running(list), map[string]bool{}
	var late []string // that have missed a word
	for _, w := range list {
		known[w.Identity] = true
		if w.State() == runlog.WorkerSilent {
			late = append(late, seen(w))
		}
	}
	var serving, silent, strangers []string
	waiting := 0
	for _, w := range running {
		name := seen(w)
		if w.Waits() != "" {
			waiting++
		} else if asked && !slices.Contains(pollers, w.Identity) {
			silent = append(silent, name)
		} else {
			serving = append(serving, name)
		}
	}
	for _, p := range pollers {
		if listed && !known[p] {
			strangers = append(strangers, p)
		}
	}
	switch {
	case len(late) > 0 && len(silent)+len(strangers) == 0:
		state := checkFailed
		if len(serving) > 0 {
			state = checkWarn
		}
		return check{checkWorkers, state, fmt.Sprintf("%d running; %s says nothing, although each does every %v: %s", len(serving), count(len(late), "worker"), runlog.HeartbeatEvery, some(late)),
			"it was killed, or does not reach PostgreSQL: see its log; start a worker if none runs"}
	case len(serving) > 0 && len(silent)+len(strangers) == 0:
		return check{checkWorkers, checkOK, count(len(serving), "worker") + ": " + some(serving), ""}
	case !listed && len(pollers) > 0:
		return check{checkWorkers, checkAssumed, count(len(pollers), "poller") + " in the last five minutes, which may have ended", "ask again when the database can be used"}
	case len(silent) > 0:
		state := checkFailed
		if len(serving) > 0 {
			state = checkWarn
		}
		return check{checkWorkers, state,
			fmt.Sprintf("%s without a poll here: %s", count(len(silent), "worker"), some(silent)),
			"compare TEMPORAL_ADDRESS of the worker and of this program; see /readyz and the log of the worker"}
	case len(strangers) > 0:
		return check{checkWorkers, checkWarn, fmt.Sprintf("%d running; Temporal lists %s unknown to this database: %s", len(serving), count(len(strangers), "poller"), some(strangers)),
			"a worker with another DATABASE_URL takes attempts of calls of this one: give it a namespace of its own; else one of an older build, or without PostgreSQL: see /readyz. One that was killed is listed for five minutes"}
	}
	if waiting > 0 {
		return check{checkWorkers, checkFailed, "none takes tasks: " + count(waiting, "worker") + " waiting for keys of payloads", payloadSection}
	}
	last := "none has in the last week"
	if !listed {
		last = "nobody has asked Temporal for work in the last five minutes"
	} else if len(list) > 0 {
		last = fmt.Sprintf("the last one, on %s, is %s, and was seen %v ago", list[0].Host, list[0].State(), list[0].Ago.Round(time.Second))
	}
	return check{checkWorkers, checkFailed, "none runs: " + last, "start a worker; if one runs, see its /readyz, and compare its DATABASE_URL, TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE with this program's"}
}

// seen names a worker, with how long ago it said that it is there.
func seen(w runlog.Worker) string {
	return fmt.Sprintf("%s since %s (seen %v ago)", w.Host, when.Local(w.StartedAt), w.Ago.Round(time.Second))
}

// waiting says why workers take no tasks before keys of payloads are where they are needed.
func waiting(running []runlog.Worker) (all []check) {
	on := make(map[string][]string)
	for _, w := range running {
		if why := w.Waits(); why != "" {
			on[why] = append(on[why], w.Host)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(on)) {
		all = append(all, check{checkWorkers, checkWarn, "no task is taken on " + some(on[why]) + ": " + why, payloadSection})
	}
	return clipChecks(all)
}

// some names the first five.
func some(list []string) string {
	if n := len(list) - 5; n > 0 {
		return strings.Join(list[:5], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// builds compares the workers' builds with each other and with this program's.
func builds(running []runlog.Worker, build, commit string) check {
	hosts := map[string][]string{name(build, commit): {"starter"}}
	for _, w := range running {
		hosts[name(w.Version, w.Revision)] = append(hosts[name(w.Version, w.Revision)], w.Host)
	}
	if len(hosts) == 1 {
		return check{checkWorkerBuilds, checkOK, "workers and starter are " + name(build, commit), ""}
	}
	var found []string
	for b, who := range hosts {
		slices.Sort(who)
		found = append(found, b+": "+strings.Join(slices.Compact(who), ", "))
	}
	slices.Sort(found)
	return check{checkWorkerBuilds, checkWarn, strings.Join(found, "; "), "normal while workers are replaced; otherwise replace those of the older build, or use the starter of the same"}
}

// name is how a build is called: its commit is in a version that the go command made.
func name(build, commit string) string {
	if commit == "" || strings.Contains(build, commit[:min(12, len(commit))]) {
		return build
	}
	return build + " " + commit[:min(12, len(commit))]
}

// workerClocks compares the workers' clocks with PostgreSQL's.
func workerClocks(running []runlog.Worker) check {
	worst := slices.MaxFunc(running, func(a, b runlog.Worker) int { return cmp.Compare(a.ClockOffset.Abs(), b.ClockOffset.Abs()) })
	c := check{checkWorkerClocks, clockState(worst.ClockOffset), fmt.Sprintf("at most %.2f s from PostgreSQL's", worst.ClockOffset.Abs().Seconds()), ""}
	if c.State != checkOK {
		way := "ahead of"
		if worst.ClockOffset < 0 {
			way = "behind"
		}
		c.Found = fmt.Sprintf("%s is %.2f s %s PostgreSQL", worst.Host, worst.ClockOffset.Abs().Seconds(), way)
		c.Remedy = clockRemedy + " on " + worst.Host + ", or on PostgreSQL's machine"
	}
	return c
}

// lacking says what workers cannot use of what organizations' files name.
func lacking(running []runlog.Worker, names map[uuid.UUID]integrations.Organization) []check {
	var all []check
	where := make(map[runlog.Lack][]string)
	var order []runlog.Lack
	needs, more := 0, 0
	for _, w := range running {
		if w.ExaminedAt == nil {
			all = append(all, check{checkSecrets, checkAssumed, w.Host + " has not tried what it needs yet", "ask again in a minute"})
			continue
		}
		files := w.Needs
		if w.Waits() != "" {
			files-- // no file names that
		}
		needs = max(needs, files)
		more = max(more, w.Lacking-len(w.Lacks))
		for _, l := range w.Lacks {
			if l.What == runlog.NeedPayloadKeys { // which [waiting] says
				continue
			}
			if where[l] == nil {
				order = append(order, l)
			}
			where[l] = append(where[l], w.Host)
		}
	}
	var failed []check
	for _, l := range order {
		on := ""
		if len(where[l]) < len(running) {
			on = " on " + strings.Join(where[l], ", ")
		}
		section := "secrets"
		if l.What == runlog.NeedSource {
			section = "sources"
		}
		failed = append(failed, check{checkSecrets, checkFailed, fmt.Sprintf("organization %s: %s: %s%s: %s", called(names, l.OrganizationID), l.Owner, l.What, on, l.Why),
			"correct it where the worker runs: docs/operations.md#" + section + "; workers try again each minute"})
	}
	if more > 0 {
		found, remedy := fmt.Sprintf("and %d more that workers did not name", more), ""
		if len(order) == 0 {
			found, remedy = fmt.Sprintf("workers lack %d that this login does not see", more), "starter doctor with a login that has the role "+runlog.OperatorRole
		}
		failed = append(failed, check{checkSecrets, checkFailed, found, remedy})
	}
	switch {
	case len(failed) > 0:
		return append(all, clipChecks(failed)...)
	case len(all) > 0:
		return all
	}
	return []check{{checkSecrets, checkOK, fmt.Sprintf("workers can use all %d secrets, mail servers and sources that files name", needs), ""}}
}
