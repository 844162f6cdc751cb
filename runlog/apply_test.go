package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// apply reconciles and returns "name: action" for each change.
func (b base) apply(t *testing.T, o runlog.ApplyOptions, list ...integrations.Integration) (changes []string) {
	t.Helper()
	o.By = "kari"
	got, err := runlog.ApplyIntegrations(t.Context(), b.operator, list, o)
	require.NoError(t, err)
	for _, c := range got {
		changes = append(changes, c.Name+": "+string(c.Action))
	}
	return changes
}

// list returns an organization's integrations by their names.
func (b base) list(t *testing.T, organization uuid.UUID) map[string]integrations.Integration {
	t.Helper()
	list, err := runlog.ListIntegrations(t.Context(), b.worker, organization)
	require.NoError(t, err)
	byName := make(map[string]integrations.Integration)
	for _, in := range list {
		byName[in.Name] = in
	}
	return byName
}

func TestApplyIntegrations(t *testing.T) {
	b := newBase(t)
	organization := uuid.New()
	one, two := example(organization, uuid.New(), "one"), example(organization, uuid.New(), "two")
	apply := func(dryRun bool, list ...integrations.Integration) (actions []string, err error) {
		changes, err := runlog.ApplyIntegrations(t.Context(), b.operator, list, runlog.ApplyOptions{By: "kari", DryRun: dryRun})
		for _, c := range changes {
			actions = append(actions, string(c.Action))
		}
		return actions, err
	}
	got, err := apply(true, one, two)
	require.NoError(t, err)
	require.Equal(t, []string{"created", "created"}, got)
	_, err = runlog.LoadIntegration(t.Context(), b.worker, organization, one.ID)
	require.ErrorIs(t, err, runlog.ErrNotFound, "a dry run stores nothing")

	_, err = apply(false, one, two)
	require.NoError(t, err)
	two.Policy.MaxRetries = 1
	got, err = apply(false, one, two)
	require.NoError(t, err)
	require.Equal(t, []string{"unchanged", "updated"}, got)
	stored, err := runlog.LoadIntegration(t.Context(), b.worker, organization, two.ID)
	require.NoError(t, err)
	require.Equal(t, 1, stored.Policy.MaxRetries)
	all, err := runlog.ListIntegrations(t.Context(), b.operator, organization)
	require.NoError(t, err)
	require.Len(t, all, 2)

	three := example(organization, uuid.New(), "three")
	for says, list := range map[string][]integrations.Integration{
		"another integration of that name": {three, example(organization, uuid.New(), "one")},
		"belongs to another organization":  {three, example(uuid.New(), one.ID, "stolen")},
	} {
		_, err = apply(false, list...)
		require.ErrorContains(t, err, says)
		_, read := runlog.ApplyIntegrations(t.Context(), b.reader, list, runlog.ApplyOptions{By: "kari", DryRun: true})
		require.EqualError(t, read, err.Error(), "a login that may only read gets the same error")
	}
	_, err = runlog.ApplyIntegrations(t.Context(), b.reader, []integrations.Integration{one}, runlog.ApplyOptions{By: "kari"})
	require.ErrorContains(t, err, "needs the role ledgerline_operator", "only a dry run does without writing")
	_, err = runlog.LoadIntegration(t.Context(), b.worker, organization, three.ID)
	require.ErrorIs(t, err, runlog.ErrNotFound, "all or none")
	_, err = runlog.ApplyIntegrations(t.Context(), b.worker, []integrations.Integration{three}, runlog.ApplyOptions{By: "x"})
	require.ErrorContains(t, err, "ledgerline_operator")
	three.Credentials = map[string]integrations.Ref{"token": "plain"}
	_, err = apply(false, three)
	require.Error(t, err, "the database too refuses a secret in the place of a reference")
}

func TestPrune(t *testing.T) {
	b := newBase(t)
	organization, other := uuid.New(), uuid.New()
	one, two := example(organization, uuid.New(), "one"), example(organization, uuid.New(), "two")
	foreign := example(other, uuid.New(), "two")
	b.apply(t, runlog.ApplyOptions{}, one, two, foreign)

	require.Equal(t, []string{"one: unchanged", "two: not in the file"}, b.apply(t, runlog.ApplyOptions{}, one))
	require.Equal(t, []string{"one: unchanged", "two: removed"}, b.apply(t, runlog.ApplyOptions{Prune: true, DryRun: true}, one))
	require.Len(t, b.list(t, organization), 2, "a dry run changes nothing")
	require.Equal(t, []string{"one: unchanged", "two: removed"}, b.apply(t, runlog.ApplyOptions{Prune: true}, one))
	_, err := runlog.LoadIntegration(t.Context(), b.worker, organization, two.ID)
	require.ErrorIs(t, err, runlog.ErrNotFound)
	require.Len(t, b.list(t, organization), 1)
	require.Len(t, b.list(t, other), 1, "another organization's are its own")
	removed, err := runlog.ListRemovedIntegrations(t.Context(), b.operator, organization)
	require.NoError(t, err)
	require.Equal(t, two.ID, removed[0].ID)
	require.Equal(t, []string{"one: unchanged"}, b.apply(t, runlog.ApplyOptions{Prune: true}, one), "it is removed once")

	// Its name is free, also in the apply that removes it.
	three := example(organization, uuid.New(), "two")
	require.Equal(t, []string{"two: created", "one: removed"}, b.apply(t, runlog.ApplyOptions{Prune: true}, three))
	require.Equal(t, []string{"one: created", "two: not in the file"}, b.apply(t, runlog.ApplyOptions{}, one), "it comes back")
	_, err = runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{two}, runlog.ApplyOptions{})
	require.ErrorContains(t, err, "another integration of that name; rename it, or remove it with --prune")
	require.Equal(t, []string{"two: created", "one: removed", "two: removed"}, b.apply(t, runlog.ApplyOptions{Prune: true}, two))
}

// Runs are expected from the time on since when a schedule is
// as it is; a pause outlives changes and ends with the schedule.
func TestScheduleSinceAndPause(t *testing.T) {
	b := newBase(t)
	in := example(uuid.New(), uuid.New(), "main")
	since := func() (since *time.Time) {
		t.Helper()
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT schedule_since FROM ledgerline.integrations WHERE integration_id = $1", in.ID).Scan(&since))
		return since
	}
	b.apply(t, runlog.ApplyOptions{}, in)
	require.Nil(t, since())

	in.Schedule = &integrations.Schedule{Every: integrations.Daily, Hour: 6, TimeZone: "Europe/Oslo"}
	in.Export = integrations.ExportSettings{Source: "a.b", Dimensions: map[string]string{"internal": ""}, Currencies: []string{"NOK"}}
	b.apply(t, runlog.ApplyOptions{}, in)
	stored, first := b.list(t, in.OrganizationID)["main"], since()
	require.Equal(t, []any{in.Schedule, in.Export}, []any{stored.Schedule, stored.Export})
	require.WithinDuration(t, time.Now(), *first, time.Minute)
	require.Equal(t, []string{"main: unchanged"}, b.apply(t, runlog.ApplyOptions{}, in))
	in.Policy.MaxRetries = 1
	require.Equal(t, []string{"main: updated"}, b.apply(t, runlog.ApplyOptions{}, in))
	require.Equal(t, first, since(), "another change leaves it")

	_, changed, err := runlog.PauseIntegration(t.Context(), b.operator, in.OrganizationID, in.ID, "kari", "closing")
	require.NoError(t, err)
	require.True(t, changed)
	in.Schedule.Hour = 7
	b.apply(t, runlog.ApplyOptions{}, in)
	require.True(t, since().After(*first))
	in.Schedule = nil
	b.apply(t, runlog.ApplyOptions{}, in)
	require.Nil(t, since())
	pause, err := runlog.LoadPause(t.Context(), b.operator, in.OrganizationID, in.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"kari", "closing"}, []string{pause.By, pause.Reason}, "a change does not resume it")
}

func TestCheckSource(t *testing.T) {
	b := newBase(t)
	require.NoError(t, b.sources.Check(t.Context(), uuid.New(), ""))
	for _, sql := range []string{
		"CREATE SCHEMA books", "GRANT USAGE ON SCHEMA books TO s",
		"CREATE DOMAIN books.account AS text",
		`CREATE TABLE books.ledger (organization_id uuid, entry_id varchar(20), voucher_id text, entry_date date, account books.account,
			amount numeric(12, 2), currency text, text text, dimensions jsonb, created_at timestamptz, more int)`,
		"CREATE VIEW books.good AS SELECT * FROM books.ledger", "GRANT SELECT ON books.good TO s",
		`CREATE VIEW books.bad AS SELECT organization_id, entry_id, voucher_id, created_at AS entry_date, account, amount::float8, currency, text, dimensions::json FROM books.ledger`,
		"CREATE SCHEMA hidden", "CREATE TABLE hidden.ledger (LIKE books.ledger)", "CREATE SEQUENCE books.numbers",
	} {
		_, err := b.admin.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	require.NoError(t, b.sources.Check(t.Context(), uuid.New(), "books.good"))
	for source, says := range map[string][]string{
		"books.nothing":             {"source books.nothing: there is no such table or view in the database of LEDGERLINE_SOURCE_DATABASE_URL; create it, or correct export.source"},
		"ledgerline.export_entries": {"a table or view of schema ledgerline cannot be a source"},
		"books.numbers":             {"it is not a table or view"},
		"books.ledger":              {`its login may not read it: GRANT SELECT ON books.ledger TO "s"`},
		"hidden.ledger":             {`GRANT USAGE ON SCHEMA hidden TO "s"`, "GRANT SELECT ON hidden.ledger"},
		"books.bad": {
			"GRANT SELECT ON books.bad", `column entry_date is "timestamp with time zone" and must be date; in a view: entry_date::date AS entry_date`,
			`column amount is "double precision" and must be numeric`, `column dimensions is "json" and must be jsonb`, "column created_at is missing; add it, as timestamp with time zone",
		},
	} {
		err := b.sources.Check(t.Context(), uuid.New(), source)
		for _, s := range says {
			require.ErrorContains(t, err, s)
		}
	}
}
