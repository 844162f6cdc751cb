package runlog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// drawIntegration draws an integration as a file could say it, from few values, so that two
// that are drawn often agree.
func drawIntegration(r *rand.Rand, organization, id uuid.UUID, name string) integrations.Integration {
	in := example(organization, id, name)
	some := func() bool { return r.IntN(3) == 0 }
	if some() {
		in.BaseURL = "https://demo.xledger.net/graphql"
	}
	if some() {
		d := time.Duration(r.IntN(2)) * time.Minute
		in.InFlight = &d
	}
	if some() {
		in.Credentials = map[string]integrations.Ref{"token": integrations.Ref(fmt.Sprintf("env:T%d", r.IntN(2)))}
	}
	if some() {
		in.Policy.MaxRetries, in.Policy.Jitter = r.IntN(3), 0.1
	}
	if some() {
		in.Schedule = &integrations.Schedule{Every: integrations.Monthly, Day: 1 + r.IntN(2), Hour: r.IntN(2), TimeZone: "Europe/Oslo", WarmUp: time.Duration(r.IntN(3) - 1)}
	}
	if some() {
		in.Export.Accounts = map[string]string{"1": fmt.Sprint(r.IntN(2)), fmt.Sprint(2 + r.IntN(2)): "x"}
	}
	if some() {
		in.Export.Dimensions = map[string]string{fmt.Sprint(r.IntN(2)): []string{"", "glObject1"}[r.IntN(2)]}
	}
	if some() {
		n := r.IntN(2)
		in.Export.IsolateRequests, in.Export.Source, in.Export.ChunkSize = &n, []string{"", "a.b"}[r.IntN(2)], r.IntN(2)*10
	}
	if some() {
		in.Export.Columns = map[string]string{"account": []string{"Konto", "Kto"}[r.IntN(2)]}
	}
	if some() {
		in.Export.Currencies = [][]string{{"NOK"}, {"NOK", "EUR"}, {"EUR", "NOK"}}[r.IntN(3)]
	}
	if some() {
		in.Limits = integrations.RequestLimits{RequestsPerMinute: r.IntN(2) * 60, MonthlyRequests: int64(r.IntN(2)) * 1000, RefuseAt100: some()}
	}
	if some() {
		in.Health = health.Policy{NoProbes: some(), Interval: time.Duration(r.IntN(2)) * time.Hour}
	}
	return in
}

// Whatever a file is applied after, the state is that of the file, and what was said of it is
// empty exactly where nothing changed.
func TestApplyEndsInTheStateOfTheFile(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	organization := uuid.New()
	ids, names := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}, []string{"a", "b", "c", "d"}
	draw := func() (list []integrations.Integration) {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for i := range 1 + r.IntN(len(ids)) {
			list = append(list, drawIntegration(r, organization, ids[i], names[i]))
		}
		return list
	}
	file := draw()
	b.apply(t, runlog.ApplyOptions{Prune: true}, file...)
	for range 60 {
		before := b.list(t, organization)
		if r.IntN(3) == 0 { // almost the same
			file = slices.Clone(file)
			file[0] = drawIntegration(r, organization, file[0].ID, file[0].Name)
		} else {
			file = draw()
		}
		planned, err := runlog.ApplyIntegrations(t.Context(), b.operator, file, runlog.ApplyOptions{By: "kari", Prune: true, DryRun: true})
		require.NoError(t, err)
		require.Equal(t, before, b.list(t, organization), "a dry run changes nothing")
		read, err := runlog.ApplyIntegrations(t.Context(), b.reader, file, runlog.ApplyOptions{By: "kari", Prune: true, DryRun: true})
		require.NoError(t, err)
		require.Equal(t, planned, read, "with a login that may only read, too")
		done, err := runlog.ApplyIntegrations(t.Context(), b.operator, file, runlog.ApplyOptions{By: "kari", Prune: true})
		require.NoError(t, err)
		require.Equal(t, planned, done)
		after := b.list(t, organization)
		require.Len(t, after, len(file))
		for i, in := range file {
			now := after[in.Name]
			require.Empty(t, integrations.Diff(in, now), "the state of the file")
			require.Equal(t, in.ID, now.ID)
			require.Equal(t, done[i].Action == runlog.ActionUnchanged, len(done[i].Changes) == 0, "%+v", done[i])
		}
		for was := range before {
			gone := !slices.ContainsFunc(file, func(in integrations.Integration) bool { return in.ID == before[was].ID })
			require.Equal(t, gone, slices.ContainsFunc(done, func(c runlog.IntegrationChange) bool {
				return c.IntegrationID == before[was].ID && c.Action == runlog.ActionRemoved
			}))
		}
	}
}
