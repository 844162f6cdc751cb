package runlog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// opened are the ways in which an entry can have been left, and whether only the place
// that it was sent to can tell what became of it.
var opened = map[string]struct {
	leave func(b books, e exports.Export, owner exports.Owner)
	open  bool
}{
	"never sent": {func(books, exports.Export, exports.Owner) {}, false},
	"exported":   {func(b books, e exports.Export, o exports.Owner) { b.send(o, classify.Done, false) }, false},
	"none":       {func(b books, e exports.Export, o exports.Owner) { b.send(o, classify.None, true) }, false},
	"sent, and can take effect": {func(b books, e exports.Export, o exports.Owner) {
		b.send(o, classify.Open, false)
	}, true},
	"sent, and the vendor's work has ended": {func(b books, e exports.Export, o exports.Owner) {
		b.send(o, classify.Open, true)
	}, true},
	"unknown, and closed": {func(b books, e exports.Export, o exports.Owner) {
		s := b.send(o, classify.Open, false)
		require.NoError(b.t, runlog.RecordAnswer(b.t.Context(), b.worker, o, runlog.LookupAnswer{Unknown: map[string]string{"e0-1": "?", "e0-2": "?"}}, []runlog.Sending{s}))
		b.close(e)
	}, true},
	"planned, and an earlier sending can land": {func(b books, e exports.Export, o exports.Owner) {
		b.exec(`UPDATE ledgerline.export_entries SET earlier_until = ledgerline.clock() + interval '1 minute'`)
	}, true},
	"planned, and no earlier sending can land": {func(b books, e exports.Export, o exports.Owner) {
		b.exec(`UPDATE ledgerline.export_entries SET earlier_until = ledgerline.clock() - interval '1 minute'`)
	}, false},
	"rejected": {func(b books, e exports.Export, o exports.Owner) {
		b.send(o, classify.None, true)
		_, err := runlog.SplitChunk(b.t.Context(), b.worker, o, 1, 1001, "refused", true)
		require.NoError(b.t, err)
	}, false},
}

func (b books) exec(sql string) {
	b.t.Helper()
	_, err := b.admin.Exec(b.t.Context(), sql)
	require.NoError(b.t, err)
}

// send marks both entries of the first voucher and records what the answer proves.
func (b books) send(o exports.Owner, effect classify.Effect, ended bool) runlog.Sending {
	b.t.Helper()
	s, ids := sending(1), []string{"e0-1", "e0-2"}
	_, err := runlog.MarkChunk(b.t.Context(), b.worker, o, ids, s, time.Second, runlog.InFlight{Same: time.Minute})
	require.NoError(b.t, err)
	require.NoError(b.t, runlog.RecordSend(b.t.Context(), b.worker, o, ids, s, effect, ended, nil))
	return s
}

// An integration cannot be led elsewhere, or removed, while only the place to which its
// entries were sent can tell what became of them. Whatever else changes may change.
func TestPlaceStaysWhileSomethingIsOpen(t *testing.T) {
	t.Parallel()
	with := func(change func(*integrations.Integration)) func(integrations.Integration) []integrations.Integration {
		return func(in integrations.Integration) []integrations.Integration {
			in.Settings = map[string]string{"tenantId": in.Settings["tenantId"], "clientId": "c", "companyId": in.Settings["companyId"], "journalId": in.Settings["journalId"]}
			change(&in)
			return []integrations.Integration{in}
		}
	}
	changes := map[string]func(integrations.Integration) []integrations.Integration{
		"base URL": with(func(in *integrations.Integration) { in.BaseURL += "/other" }),
		"adapter":  with(func(in *integrations.Integration) { in.Adapter = "dataverse" }),
		"removed": func(in integrations.Integration) []integrations.Integration {
			return []integrations.Integration{example(in.OrganizationID, uuid.New(), "other")}
		},
		"name":             with(func(in *integrations.Integration) { in.Name = "renamed" }),
		"slash at the end": with(func(in *integrations.Integration) { in.BaseURL += "/" }),
		"credentials": with(func(in *integrations.Integration) {
			in.Credentials = map[string]integrations.Ref{"clientSecret": "env:OTHER"}
		}),
		"retry":    with(func(in *integrations.Integration) { in.Policy.MaxRetries = 1 }),
		"accounts": with(func(in *integrations.Integration) { in.Export.Accounts = map[string]string{"1": "2"} }),
		"schedule": with(func(in *integrations.Integration) {
			in.Schedule = &integrations.Schedule{Every: integrations.Daily, TimeZone: "Europe/Oslo"}
		}),
		"setting authority": with(func(in *integrations.Integration) { in.Settings["authority"] = "https://login.microsoftonline.com/x" }),
	}
	moves := map[string]bool{"base URL": true, "adapter": true, "removed": true}
	vendor, _ := vendors.Lookup("businesscentral")
	for _, s := range vendor.Settings {
		if s.Locates || s.ForExport {
			moves["setting "+s.Name] = true
		}
		if s.Locates || s.ForExport || s.Required {
			changes["setting "+s.Name] = with(func(in *integrations.Integration) { in.Settings[s.Name] = "other" })
		}
	}
	require.Len(t, moves, 6, "the setting of the tenant, the company and the journal")
	for state, o := range opened {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.spec.Adapter, b.spec.BaseURL = "businesscentral", "https://api.businesscentral.dynamics.com/v2.0/production/api/v2.0"
			b.spec.Settings = map[string]string{"tenantId": "t", "clientId": "c", "companyId": "1", "journalId": "2"}
			b.spec.Credentials = map[string]integrations.Ref{"clientSecret": "env:X"}
			b.apply(t, runlog.ApplyOptions{}, b.spec)
			e := b.vouchers(1)
			owner := e.Owner()
			owner.Place = b.spec.Place()
			o.leave(b, e, owner)
			for name, change := range changes {
				options := runlog.ApplyOptions{By: "kari", Prune: true, DryRun: true}
				_, err := runlog.ApplyIntegrations(t.Context(), b.operator, change(b.spec), options)
				if !o.open || !moves[name] {
					require.NoError(t, err, name)
					continue
				}
				var refused *runlog.OpenEntriesError
				require.ErrorAs(t, err, &refused, name)
				require.Len(t, refused.Exports, 1, name)
				require.Equal(t, []any{"2026-10 --integration x", "2026-10", 2, owner.Place}, []any{refused.Exports[0].Reference, refused.Exports[0].Period, refused.Exports[0].Entries, refused.Exports[0].SentTo}, name)
				require.ErrorContains(t, err, "integration x cannot")
				require.ErrorContains(t, err, "2 sent to "+owner.Place)
				require.Regexp(t, `starter exports (show|retry) 2026-10 --integration x --org `+b.org.String(), err.Error(), name)
				options.Prune, options.DryRun = name == "removed", false
				_, err = runlog.ApplyIntegrations(t.Context(), b.operator, change(b.spec), options)
				require.ErrorAs(t, err, &refused, name)
				require.Equal(t, b.spec, b.list(t, b.org)["x"], "nothing was applied")
			}
		})
	}
}

// What leads elsewhere already may be led back, and nowhere else.
func TestPlaceMayBeSetBack(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	owner := b.vouchers(1).Owner()
	owner.Place = b.spec.Place()
	b.send(owner, classify.Open, false)
	b.exec(`UPDATE ledgerline.integrations SET base_url = 'https://demo.xledger.net/graphql'`) // as earlier versions allowed
	other := b.spec
	other.BaseURL = "https://www.xledger.net/third"
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{other}, runlog.ApplyOptions{})
	require.ErrorContains(t, err, "cannot lead to xledger https://www.xledger.net/third")
	require.ErrorContains(t, err, "can take effect there until")
	require.Equal(t, []string{"x: updated"}, b.apply(t, runlog.ApplyOptions{}, b.spec))
}

// An attempt that has read where its integration leads sends nothing once that has changed,
// however the two meet: in each round, either the change is refused or the marking is.
func TestMarkingMeetsAChangeOfPlace(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	const rounds = 20
	e := b.vouchers(rounds)
	for round := range rounds {
		here := b.list(t, b.org)["x"]
		there := here
		there.BaseURL = fmt.Sprintf("https://www.xledger.net/%d", round)
		owner := e.Owner()
		owner.Place = here.Place()
		ids := []string{fmt.Sprintf("e%d-1", round), fmt.Sprintf("e%d-2", round)}
		s := sending(1)
		marked := make(chan error, 1)
		go func() {
			_, err := runlog.MarkChunk(context.WithoutCancel(t.Context()), b.worker, owner, ids, s, time.Minute, runlog.InFlight{Same: time.Minute})
			marked <- err
		}()
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{there}, runlog.ApplyOptions{By: "kari"})
		markErr := <-marked
		if err == nil {
			require.ErrorIs(t, markErr, runlog.ErrMoved)
			continue
		}
		require.ErrorAs(t, err, new(*runlog.OpenEntriesError))
		require.NoError(t, markErr)
		require.NoError(t, runlog.RecordSend(t.Context(), b.worker, owner, ids, s, classify.Done, true, nil))
	}
}

// The transaction that marks holds the place until it ends; the one that applies, too.
func TestPlaceIsHeldUntilTheEnd(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(1)
	owner := e.Owner()
	owner.Place = b.spec.Place()
	// The export's row is held, so that marking waits for it after it has asked for the place, or before:
	// whoever is first, the other one sees what it did.
	tx, err := b.admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM ledgerline.export_entries FOR UPDATE`)
	require.NoError(t, err)
	marked := make(chan error, 1)
	go func() {
		_, err := runlog.MarkChunk(context.WithoutCancel(t.Context()), b.worker, owner, []string{"e0-1", "e0-2"}, sending(1), time.Minute, runlog.InFlight{Same: time.Minute})
		marked <- err
	}()
	require.Eventually(t, func() bool { // it has the place, and waits for the entries
		var waits bool
		err := b.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waits)
		return err == nil && waits
	}, time.Minute, 5*time.Millisecond)
	there := b.spec
	there.BaseURL = "https://demo.xledger.net/graphql"
	applied := make(chan error, 1)
	go func() {
		_, err := runlog.ApplyIntegrations(context.WithoutCancel(t.Context()), b.operator, []integrations.Integration{there}, runlog.ApplyOptions{By: "kari"})
		applied <- err
	}()
	require.Eventually(t, func() bool {
		var waits bool
		err := b.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waits)
		return err == nil && waits
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-marked)
	require.ErrorAs(t, <-applied, new(*runlog.OpenEntriesError))
}

// Whoever has the name now, after applying each has the one of the file.
func TestNamesAreExchanged(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	organization := uuid.New()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	names := []string{"a", "b", "c"}
	file := func(order ...int) (list []integrations.Integration) {
		for i, n := range order {
			list = append(list, example(organization, ids[i], names[n]))
		}
		return list
	}
	permutations := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, from := range permutations {
		for _, to := range permutations {
			b.apply(t, runlog.ApplyOptions{}, file(from...)...)
			changes, err := runlog.ApplyIntegrations(t.Context(), b.operator, file(to...), runlog.ApplyOptions{By: "kari"})
			require.NoError(t, err, "%v to %v", from, to)
			for i, c := range changes {
				if from[i] == to[i] {
					require.Equal(t, runlog.ActionUnchanged, c.Action)
					require.Empty(t, c.Changes)
					continue
				}
				require.Equal(t, runlog.ActionUpdated, c.Action)
				require.Equal(t, []integrations.FieldChange{{Field: "name", Old: names[from[i]], New: names[to[i]]}}, c.Changes)
			}
			for i, n := range to {
				require.Equal(t, ids[i], b.list(t, organization)[names[n]].ID)
			}
		}
	}
}

// A name that stays with one that the file does not have is not taken.
func TestNameOfAnotherIsNotTaken(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	organization := uuid.New()
	one, two := example(organization, uuid.New(), "one"), example(organization, uuid.New(), "two")
	b.apply(t, runlog.ApplyOptions{}, one, two)
	one.Name = "two"
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{one}, runlog.ApplyOptions{})
	require.ErrorContains(t, err, "another integration of that name")
	require.False(t, errors.Is(err, runlog.ErrMoved))
	require.Equal(t, []string{"two: updated", "two: removed"}, b.apply(t, runlog.ApplyOptions{Prune: true}, one))
	two.Name = "one"
	require.Equal(t, []string{"two: unchanged", "one: created"}, b.apply(t, runlog.ApplyOptions{}, one, two), "it comes back under the name of the other")
	one.Name, two.Name = "one", "two"
	require.Equal(t, []string{"one: updated", "two: updated"}, b.apply(t, runlog.ApplyOptions{}, one, two))
}
