package runlog_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// An organization is found by its short name or its UUID, by all who read, and one that
// is not there is an error. Names are stored with the integrations, or not at all.
func TestOrganizationNames(t *testing.T) {
	b := newBase(t)
	ctx := t.Context()
	named := integrations.Organization{ID: uuid.New(), Name: "Norsk Eksempel AS", Short: "eksempel"}
	first, other := example(named.ID, uuid.New(), "xledger-main"), example(uuid.New(), uuid.New(), "xledger-main")
	apply := func(list []integrations.Integration, o runlog.ApplyOptions) error {
		o.By = "kari"
		_, err := runlog.ApplyIntegrations(ctx, b.operator, list, o)
		return err
	}
	require.NoError(t, apply([]integrations.Integration{other}, runlog.ApplyOptions{}))
	require.NoError(t, apply([]integrations.Integration{first}, runlog.ApplyOptions{Organizations: []integrations.Organization{named}, DryRun: true}))
	var unknown *runlog.UnknownOrganizationError
	_, err := runlog.FindOrganization(ctx, b.reader, "eksempel")
	require.ErrorAs(t, err, &unknown, "a dry run has named it")
	require.True(t, runlog.IsOutcome(err))
	require.NoError(t, apply([]integrations.Integration{first}, runlog.ApplyOptions{Organizations: []integrations.Organization{named}}))
	for _, db := range []runlog.Beginner{b.reader, b.operator, b.worker} {
		for _, which := range []string{"eksempel", named.ID.String()} {
			found, err := runlog.FindOrganization(ctx, db, which)
			require.NoError(t, err)
			require.Equal(t, named, found)
		}
		found, err := runlog.FindOrganization(ctx, db, other.OrganizationID.String())
		require.NoError(t, err)
		require.Equal(t, integrations.Organization{ID: other.OrganizationID}, found)
		for _, which := range []string{"nobody", uuid.NewString(), ""} {
			_, err := runlog.FindOrganization(ctx, db, which)
			require.ErrorContains(t, err, "no organization "+which+" in this database")
		}
	}
	for _, db := range []runlog.Beginner{b.reader, b.operator} {
		list, err := runlog.ListNamedOrganizations(ctx, db)
		require.NoError(t, err)
		require.Equal(t, []integrations.Organization{named, {ID: other.OrganizationID}}, list)
	}
	_, err = runlog.ListNamedOrganizations(ctx, b.worker)
	require.Error(t, err)

	taken := []integrations.Organization{{ID: other.OrganizationID, Name: "Another", Short: "eksempel"}}
	for _, db := range []runlog.Beginner{b.reader, b.operator} {
		_, err := runlog.ApplyIntegrations(ctx, db, []integrations.Integration{other}, runlog.ApplyOptions{By: "kari", Organizations: taken, DryRun: true})
		require.EqualError(t, err, `organization.short "eksempel": another organization of this database has it; choose another`)
	}

	// A file without names leaves them; another name replaces them.
	require.NoError(t, apply([]integrations.Integration{first}, runlog.ApplyOptions{}))
	named.Name = "Nye Eksempel AS"
	require.NoError(t, apply([]integrations.Integration{first}, runlog.ApplyOptions{Organizations: []integrations.Organization{named}}))
	found, err := runlog.FindOrganization(ctx, b.reader, "eksempel")
	require.NoError(t, err)
	require.Equal(t, named, found)

	// Whose a short name is that is taken, nobody learns; nothing else is applied.
	second := example(other.OrganizationID, uuid.New(), "crm")
	err = apply([]integrations.Integration{second}, runlog.ApplyOptions{Organizations: []integrations.Organization{{ID: other.OrganizationID, Name: "Other", Short: "eksempel"}}})
	require.ErrorContains(t, err, `organization.short "eksempel": another organization of this database has it; choose another`)
	require.NotContains(t, err.Error(), named.ID.String())
	_, err = runlog.LoadIntegration(ctx, b.reader, other.OrganizationID, second.ID)
	require.ErrorIs(t, err, runlog.ErrNotFound)
}

// The rules hold without the program: an organization sees and names only itself, and a
// short name can be typed and is no UUID.
func TestOrganizationRules(t *testing.T) {
	b := newBase(t)
	ctx := t.Context()
	const insert = `INSERT INTO ledgerline.organizations (organization_id, name, short_name, changed_by) VALUES ($1, $2, $3, 'kari')`
	own, other := uuid.New(), uuid.New()
	try := func(db runlog.Beginner, id uuid.UUID, name, short string) error {
		return runlog.InOrganization(ctx, db, own, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, insert, id, name, short)
			return err
		})
	}
	require.NoError(t, try(b.operator, own, "Own", "own"))
	require.ErrorContains(t, try(b.operator, other, "Other", "other"), "row-level security")
	require.ErrorContains(t, try(b.reader, own, "Own", "own"), "permission denied")
	require.ErrorContains(t, try(b.worker, own, "Own", "own"), "permission denied")
	for short, constraint := range map[string]string{
		"":                                 "short_name_can_be_typed",
		"Own":                              "short_name_can_be_typed",
		"-own":                             "short_name_can_be_typed",
		uuid.NewString():                   "short_name_is_no_uuid",
		"7b0b9f3e0a514d0c9c530c4f6a3a1f10": "short_name_is_no_uuid",
	} {
		require.ErrorContains(t, try(b.operator, own, "Own", short), constraint, short)
	}
	require.ErrorContains(t, try(b.operator, own, "a\nb", "x"), "name_is_a_line")
	require.NoError(t, runlog.InOrganization(ctx, b.reader, other, func(tx pgx.Tx) error {
		var n int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM ledgerline.organizations`).Scan(&n))
		require.Zero(t, n)
		return nil
	}))
}

// A login that may only read is known as one, and a reading program accepts it.
func TestMayOnlyRead(t *testing.T) {
	b := newBase(t)
	user, err := runlog.MayOnlyRead(t.Context(), b.reader)
	require.NoError(t, err)
	require.NotEmpty(t, user)
	user, err = runlog.MayOnlyRead(t.Context(), b.operator)
	require.NoError(t, err)
	require.Empty(t, user)
	_, err = runlog.SelfCheck(t.Context(), b.reader, runlog.SelfCheckOptions{Role: runlog.OperatorRole, Or: []string{runlog.ReaderRole}})
	require.NoError(t, err)
	_, err = runlog.SelfCheck(t.Context(), b.reader, runlog.SelfCheckOptions{Role: runlog.OperatorRole})
	require.ErrorContains(t, err, "lacks the role ledgerline_operator")
	require.NotContains(t, err.Error(), "GRANT")
}
