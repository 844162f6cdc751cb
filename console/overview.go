package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

const (
	periodsShown       = 6
	integrationsOnPage = 50
)

// overview is what every integration's last periods came to.
type overview struct {
	Needs  int             `json:"needs"`  // things that need a person, without those that are acknowledged
	Groups []overviewGroup `json:"groups"` // by the length of their periods
	Search string          `json:"search"`
	Coming []coming        `json:"coming,omitempty"` // where the entries of an import go that was asked for
	Next   string          `json:"next,omitempty"`   // after which integration the next page begins
}

// overviewGroup are integrations whose periods are days, weeks or months.
type overviewGroup struct {
	Kind    exports.PeriodKind `json:"kind"`
	Periods []string           `json:"periods"` // newest first
	Rows    []overviewRow      `json:"integrations"`
}

// overviewRow is an integration and its last periods.
type overviewRow struct {
	Integration integrationName `json:"integration"`
	Health      health.State    `json:"health"` // "" if nothing was seen yet
	Quota       *quota          `json:"quota,omitempty"`
	Paused      *runlog.Pause   `json:"paused,omitempty"`
	Next        *nextRun        `json:"next,omitempty"`
	Cells       []cell          `json:"periods"`
}

// quota is how much of a month's requests is used.
type quota struct {
	Used    int64 `json:"used"`
	Limit   int64 `json:"limit"`
	Percent int   `json:"percent"`
}

// nextRun is when an integration exports by itself next.
type nextRun struct {
	At     time.Time `json:"at"`
	Period string    `json:"period"`
}

// cellState is what a period came to, in one word.
type cellState string

// The states of a cell, the worst first.
const (
	cellMissed  cellState = "missed"  // its export did not start
	cellFailed  cellState = "failed"  // its export ended before it had planned anything
	cellUnknown cellState = "unknown" // of something, only a person can say what became of it
	cellRefused cellState = "refused"
	cellWaiting cellState = "waiting"
	cellArrived cellState = "arrived"
	cellEmpty   cellState = "empty" // there was nothing to export
	cellNone    cellState = "none"  // there is no export yet
)

// cell is a period of an integration.
type cell struct {
	Period    string                            `json:"period"`
	State     cellState                         `json:"state"`
	Counts    map[exports.Outcome]exports.Count `json:"counts,omitempty"`
	Elsewhere *exports.Count                    `json:"elsewhere,omitempty"` // dated in the period, not there, and with the export of another one
}

// Of is what has an outcome.
func (c cell) Of(o exports.Outcome) exports.Count { return c.Counts[o] }

// NotThere are the outcomes of what is not there and should be, the worst first.
func (c cell) NotThere() []exports.Outcome { return notThere }

var notThere = []exports.Outcome{exports.IsUnknown, exports.WasRefused, exports.IsWaiting}

func (r *request) overview() (any, error) {
	list, err := r.integrations()
	if err != nil {
		return nil, err
	}
	o := overview{Search: clip(strings.TrimSpace(r.URL.Query().Get("search")), 100), Groups: []overviewGroup{}}
	after := r.URL.Query().Get("after")
	list = slices.DeleteFunc(list, func(in integrations.Integration) bool {
		return in.Name <= after || !strings.Contains(in.Name+" "+strings.ToLower(integrations.VendorTitle(in.Adapter)), strings.ToLower(o.Search))
	})
	slices.SortFunc(list, func(a, b integrations.Integration) int { return cmp.Compare(a.Name, b.Name) })
	if len(list) > integrationsOnPage {
		list = list[:integrationsOnPage]
		o.Next = list[len(list)-1].Name
	}
	if id := r.URL.Query().Get("import"); id != "" && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if o.Coming, err = r.whereTo(clip(id, 200)); err != nil {
			return nil, err
		}
	}
	facts, err := r.overviewFacts(list, r.now.AddDate(0, -periodsShown-1, 0))
	if err != nil {
		return nil, err
	}
	for _, i := range facts.items {
		if _, is := facts.acknowledged[i.Key]; !is && !passes(i) {
			o.Needs++
		}
	}
	groups := make(map[exports.PeriodKind]*overviewGroup)
	for _, in := range list {
		kind := facts.kindOf(in)
		g := groups[kind]
		if g == nil {
			g = &overviewGroup{Kind: kind, Periods: lastPeriods(kind, in.Today(r.now))}
			groups[kind] = g
		}
		g.Rows = append(g.Rows, facts.row(in, g.Periods, r.now))
	}
	for _, kind := range []exports.PeriodKind{exports.ByMonth, exports.ByWeek, exports.ByDay} {
		if g := groups[kind]; g != nil {
			o.Groups = append(o.Groups, *g)
		}
	}
	return o, nil
}

// overviewFacts is all that an overview is made of.
type overviewFacts struct {
	sums         map[uuid.UUID]map[string][]exports.Chain // by integration and period: its export, and what was adopted of it
	health       map[uuid.UUID]runlog.HealthStatus
	usage        map[uuid.UUID]runlog.MonthlyUsage
	next         map[uuid.UUID]engine.NextRun
	items        []attention.Item
	acknowledged map[string]runlog.Acknowledgement
}

// overviewFacts reads what the rows of these integrations are made of, with the periods that end
// after a day.
func (r *request) overviewFacts(list []integrations.Integration, since time.Time) (f overviewFacts, err error) {
	f = overviewFacts{sums: make(map[uuid.UUID]map[string][]exports.Chain), health: make(map[uuid.UUID]runlog.HealthStatus), usage: make(map[uuid.UUID]runlog.MonthlyUsage)}
	var sums []exports.Chain
	if ids := idsOf(list); len(ids) > 0 {
		if sums, err = runlog.ListPeriodSums(r.Context(), r.db(), r.org.ID, since, ids...); err != nil {
			return f, err
		}
	}
	for _, c := range sums {
		first := c.First()
		if f.sums[first.IntegrationID] == nil {
			f.sums[first.IntegrationID] = make(map[string][]exports.Chain)
		}
		f.sums[first.IntegrationID][first.Period] = append(f.sums[first.IntegrationID][first.Period], c)
	}
	states, err := runlog.ListHealth(r.Context(), r.db(), r.org.ID)
	if err != nil {
		return f, err
	}
	pauses := make(map[uuid.UUID]runlog.Pause)
	for _, h := range states {
		f.health[h.IntegrationID] = h
		if h.Pause != nil {
			pauses[h.IntegrationID] = *h.Pause
		}
	}
	used, err := runlog.ListUsage(r.Context(), r.db(), r.org.ID, r.now.UTC().Format("2006-01"))
	if err != nil {
		return f, err
	}
	for _, u := range used {
		f.usage[u.IntegrationID] = u
	}
	f.next = engine.NextRuns(r.Context(), nil, list, pauses, r.now)
	f.items, f.acknowledged, err = r.needs(false)
	return f, err
}

func idsOf(list []integrations.Integration) (ids []uuid.UUID) {
	for _, in := range list {
		ids = append(ids, in.ID)
	}
	return ids
}

// kindOf is how long an integration's periods are: by its schedule, else by its exports.
func (f overviewFacts) kindOf(in integrations.Integration) exports.PeriodKind {
	if in.Schedule != nil {
		switch in.Schedule.Rule() {
		case integrations.DayBefore:
			return exports.ByDay
		case integrations.WeekBefore:
			return exports.ByWeek
		}
		return exports.ByMonth
	}
	newest := ""
	for p := range f.sums[in.ID] {
		if newest == "" || f.sums[in.ID][p][0].First().PeriodStart.After(f.sums[in.ID][newest][0].First().PeriodStart) {
			newest = p
		}
	}
	if newest == "" {
		return exports.ByMonth
	}
	return exports.KindOfPeriod(newest)
}

// lastPeriods are the last periods of a kind that have begun, the newest first.
func lastPeriods(kind exports.PeriodKind, today time.Time) (list []string) {
	for day := today; len(list) < periodsShown; {
		p := kind.Containing(day)
		list = append(list, p)
		start, _, err := exports.ParsePeriod(p)
		if err != nil {
			return list
		}
		day = start.AddDate(0, 0, -1)
	}
	return list
}

func (f overviewFacts) row(in integrations.Integration, periods []string, now time.Time) overviewRow {
	row := overviewRow{Integration: nameOf(in), Cells: []cell{}}
	if h, ok := f.health[in.ID]; ok {
		row.Paused = h.Pause
		if h.Record != nil {
			row.Health = h.Record.State
		}
	}
	if u, ok := f.usage[in.ID]; ok && u.Limits.MonthlyRequests > 0 {
		row.Quota = &quota{u.Total, u.Limits.MonthlyRequests, u.Limits.Quota().Percent(u.Total)}
	}
	if n := f.next[in.ID]; n.Next != nil && n.Paused == nil && n.Held == "" {
		row.Next = &nextRun{n.Next.At, n.Next.Period}
	}
	for _, p := range periods {
		row.Cells = append(row.Cells, f.cell(in.ID, p))
	}
	return row
}

func (f overviewFacts) cell(id uuid.UUID, period string) cell {
	chains := f.sums[id][period]
	if len(chains) == 0 {
		missed := slices.ContainsFunc(f.items, func(i attention.Item) bool {
			return i.Kind == attention.Missed && i.IntegrationID == id && i.Period == period
		})
		return cell{Period: period, State: map[bool]cellState{true: cellMissed, false: cellNone}[missed]}
	}
	c := cell{Period: period, Counts: make(map[exports.Outcome]exports.Count)}
	has := make(map[exports.Outcome]bool)
	failed, running := false, false
	for _, chain := range chains {
		failed, running = failed || chain.State() == exports.ChainFailed, running || chain.State() == exports.ChainRunning
		for o, n := range chain.Counts {
			c.Counts[o] = c.Counts[o].Add(n)
			has[o] = has[o] || n.Entries > 0
		}
		for _, e := range chain.Elsewhere {
			if c.Elsewhere == nil {
				c.Elsewhere = new(exports.Count)
			}
			*c.Elsewhere = c.Elsewhere.Add(e.Count)
			has[e.Outcome] = true
		}
	}
	c.State = cellArrived
	switch {
	case failed:
		c.State = cellFailed
	case has[exports.IsUnknown]:
		c.State = cellUnknown
	case has[exports.WasRefused]:
		c.State = cellRefused
	case running || has[exports.IsWaiting]:
		c.State = cellWaiting
	case !has[exports.WasExported]:
		c.State = cellEmpty
	}
	return c
}
