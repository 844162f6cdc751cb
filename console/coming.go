package console

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
)

// coming is an export that will take entries which no export has taken.
type coming struct {
	Integration string     `json:"integration"`
	Period      string     `json:"period"`
	At          *time.Time `json:"at,omitempty"` // when the schedule starts it
	Entries     int        `json:"entries"`
	Says        string     `json:"says"` // where they go, in the reader's language
}

// takers are the organization's integrations that take entries which people store.
func (r *request) takers() ([]integrations.Integration, error) {
	list, err := r.integrations()
	list = slices.DeleteFunc(list, func(in integrations.Integration) bool {
		return cmp.Or(in.Export.Source, integrations.DefaultSource) != integrations.DefaultSource
	})
	if slices.ContainsFunc(list, integrations.Integration.ChoosesEntries) { // the others are there for calls
		list = slices.DeleteFunc(list, func(in integrations.Integration) bool { return !in.ChoosesEntries() })
	}
	return list, err
}

// importForm is what names an import.
var importForm = regexp.MustCompile(`^[0-9]{1,20}$`)

// whereTo says with which exports the entries of an import go.
func (r *request) whereTo(id string) ([]coming, error) {
	list := []coming{}
	if !importForm.MatchString(id) {
		return nil, refuse(http.StatusBadRequest, "parameter", "name", "import")
	}
	takers, err := r.takers()
	if err != nil {
		return nil, err
	}
	for _, in := range takers {
		o, err := outlook.Load(r.Context(), r.db(), in, r.now)
		if err != nil {
			return nil, err
		}
		waiting, err := runlog.CountWaiting(r.Context(), r.db(), nil, in, runlog.WaitingFilter{Import: id})
		if err != nil {
			return nil, err
		}
		for len(waiting) > 0 {
			month, next, retry, n := exports.ByMonth.Containing(waiting[0].Date), o.NextFor(waiting[0].Date), waiting[0].Retry != "", 0
			waiting = slices.DeleteFunc(waiting, func(w runlog.Waiting) bool {
				is := exports.ByMonth.Containing(w.Date) == month && o.NextFor(w.Date).Period == next.Period && (w.Retry != "") == retry
				if is {
					n += w.Entries
				}
				return is
			})
			list = append(list, r.comingOf(in, next, month, n, retry))
		}
	}
	return list, nil
}

// comingOf is an export that takes n entries of a month, which may have come late for their own, or can be
// sent again at once.
func (r *request) comingOf(in integrations.Integration, next exports.Coming, month string, n int, retry bool) coming {
	c := coming{Integration: in.Name, Period: next.Period, At: next.At, Entries: n}
	key, pairs := "coming.goes", []any{"n", n, "month", r.said.Period(month), "with", r.comingIn(next), "integration", in.Name}
	if end, _, err := exports.ParsePeriod(next.Period); err == nil {
		if _, last, err := exports.ParsePeriod(month); err == nil && !end.Before(last) {
			key = "coming.late"
		}
	}
	if retry {
		key = "coming.retry"
	}
	c.Says = r.said.T(key, pairs...)
	return c
}

// comingIn names an export that is to come, and says how and when it starts.
func (r *request) comingIn(c exports.Coming) string {
	pairs := []any{"period", r.said.Period(c.Period)}
	switch {
	case c.ID != nil:
		return r.said.T("coming.begun", pairs...)
	case c.At != nil:
		return r.said.T("coming.at", append(pairs, "time", r.said.Time(*c.At, r.now))...)
	}
	return r.said.T("coming.hand", pairs...)
}

// waitsFor says with which exports a voucher goes that no export has.
func (r *request) waitsFor(date time.Time) ([]coming, error) {
	list := []coming{}
	takers, err := r.takers()
	if err != nil {
		return nil, err
	}
	for _, in := range takers {
		o, err := outlook.Load(r.Context(), r.db(), in, r.now)
		if err != nil {
			return nil, err
		}
		next := o.NextFor(date)
		list = append(list, coming{Integration: in.Name, Period: next.Period, At: next.At, Says: r.said.T("coming.waits", "with", r.comingIn(next), "integration", in.Name)})
	}
	return list, nil
}
