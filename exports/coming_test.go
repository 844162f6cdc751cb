package exports_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

func TestPeriodsOfAKind(t *testing.T) {
	for period, want := range map[string]string{
		"2026-10": "October 2026", "2026-W45": "week 45 of 2026", "2026-W01": "week 1 of 2026", "2026-11-03": "3 November 2026", "soon": "soon",
	} {
		require.Equal(t, want, exports.PeriodName(period))
		if start, end, err := exports.ParsePeriod(period); err == nil {
			kind := exports.KindOfPeriod(period)
			require.Equal(t, period, kind.Containing(start))
			require.Equal(t, period, kind.Containing(end.AddDate(0, 0, -1)))
			require.NotEqual(t, period, kind.Containing(end))
		}
	}
}

func TestNextFor(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		require.NoError(t, err)
		return d
	}
	claim := func(period string, change ...func(*exports.Claim)) exports.Claim {
		start, end, err := exports.ParsePeriod(period)
		require.NoError(t, err)
		c := exports.Claim{ID: uuid.New(), Period: period, Start: start, End: end, Trigger: exports.ByHand}
		for _, do := range change {
			do(&c)
		}
		return c
	}
	begun := func(c *exports.Claim) { c.WillPlan = true }
	retry := func(c *exports.Claim) { c.Retry, c.Trigger = true, exports.ByRetry }
	adopts := func(c *exports.Claim) { c.Trigger = exports.ByAdopting }
	monthly := []string{"2026-10", "2026-11", "2026-12"}
	for name, c := range map[string]struct {
		date    string
		claims  []exports.Claim
		firings []string
		kind    exports.PeriodKind
		want    string // by period [sooner]
	}{
		"its own month":                       {"2026-10-15", nil, monthly, exports.ByMonth, "schedule 2026-10 "},
		"its month has its export":            {"2026-10-15", []exports.Claim{claim("2026-10")}, monthly, exports.ByMonth, "schedule 2026-11 "},
		"an older one goes too":               {"2026-08-31", []exports.Claim{claim("2026-08"), claim("2026-09"), claim("2026-10")}, monthly, exports.ByMonth, "schedule 2026-11 "},
		"its month was never exported":        {"2026-09-15", nil, monthly, exports.ByMonth, "schedule 2026-10 2026-09"},
		"a later month has its export":        {"2026-10-15", []exports.Claim{claim("2026-11")}, monthly, exports.ByMonth, "schedule 2026-10 "},
		"the first day after a period":        {"2026-11-01", nil, monthly, exports.ByMonth, "schedule 2026-11 "},
		"one has begun":                       {"2026-10-15", []exports.Claim{claim("2026-11", begun)}, monthly, exports.ByMonth, "manual 2026-11 "},
		"one has begun that ends before":      {"2026-11-15", []exports.Claim{claim("2026-10", begun)}, monthly, exports.ByMonth, "schedule 2026-11 "},
		"a retry that plans the whole period": {"2026-10-15", []exports.Claim{claim("2026-10"), claim("2026-10", retry, begun)}, monthly, exports.ByMonth, "retry 2026-10 "},
		"a retry takes no period":             {"2026-11-15", []exports.Claim{claim("2026-11", retry)}, monthly, exports.ByMonth, "schedule 2026-11 "},
		"adopting takes no period":            {"2026-10-15", []exports.Claim{claim("2026-10", adopts)}, monthly, exports.ByMonth, "schedule 2026-10 "},
		"no schedule":                         {"2026-10-15", []exports.Claim{claim("2026-10")}, nil, exports.ByMonth, "manual 2026-11 "},
		"no schedule, by weeks":               {"2026-11-03", nil, nil, exports.ByWeek, "manual 2026-W45 "},
		"a month overlaps its days":           {"2026-10-15", []exports.Claim{claim("2026-10-31"), claim("2026-W45")}, nil, exports.ByMonth, "manual 2026-12 "},
		"the schedule ends before":            {"2027-03-01", nil, monthly, exports.ByMonth, "manual 2027-03 "},
	} {
		t.Run(name, func(t *testing.T) {
			var firings []exports.Firing
			for _, period := range c.firings {
				start, end, err := exports.ParsePeriod(period)
				require.NoError(t, err)
				firings = append(firings, exports.Firing{At: end.AddDate(0, 0, 2), Period: period, Start: start, End: end})
			}
			next := exports.NextFor(day(c.date), c.claims, slices.Values(firings), c.kind, day("2026-10-20"))
			require.Equal(t, c.want, string(next.By)+" "+next.Period+" "+next.Sooner)
			require.True(t, next.End.After(day(c.date)), "it takes the entry")
			require.Equal(t, next.By == exports.BySchedule, next.At != nil)
		})
	}
}
