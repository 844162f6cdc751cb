package upgrade

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// operator is the database user of starters that do not migrate.
const operator = devstack.Operator

// A new version replaces an old one under load, is taken back, and replaces it again.
// Nothing is lost or doubled, everything has ended after the last step, no workflow task
// has failed, and nobody has done anything by hand but to migrate and to replace workers.
func TestUpgrade(t *testing.T) {
	old := buildEarlier(t)
	present := buildPresent(t.Context(), t)
	s := newStage(t)
	from, to := s.migrate(t, old)
	require.Zero(t, from)
	was := to
	// What is there before the workers waits for them; a worker that starts begins to watch
	// the integrations that it finds.
	var under []story
	begin := func(all []beginning) {
		for _, each := range all {
			begun := each.begin(t, s, old)
			begun.name = each.name
			under = append(under, begun)
		}
	}
	begin(stories)
	s.replace(t, 0, old)
	s.replace(t, 1, old)
	l := s.begin(t, old)
	for _, u := range under {
		s.soon(t, u.name, u.waits)
		s.say("begun by the old version: %s", u.name)
	}
	begin(clocks)
	s.more(t, l)

	// The expanding migration comes first, beside old workers and old starters.
	from, to = s.migrate(t, present)
	require.Equal(t, was, from)
	require.Greater(t, to, from, "no migration since the earlier version: move the constant earlier to a commit before the last one")
	s.say("migrated from version %d to %d", from, to)
	l.use(present)
	s.more(t, l)

	for i, step := range []struct {
		name    string
		slot    int
		version programs
	}{
		{"one worker is new", 1, present},
		{"both are new", 0, present},
		{"back: one is old again", 1, old},
		{"both are old again", 0, old},
		{"forward again: one is new", 1, present},
		{"both are new again", 0, present},
	} {
		s.say("%s …", step.name)
		s.replace(t, step.slot, step.version)
		for _, u := range under {
			if i == 0 && u.mixed != nil {
				u.mixed(t)
			}
			if u.each != nil {
				require.NoError(t, u.each(step.version))
			}
		}
		s.say("%s: it works", step.name)
		s.more(t, l)
	}
	for _, u := range under {
		if u.comes != nil {
			s.soon(t, u.name, u.comes)
		}
	}
	s.end(t, l)
	s.settle(t, present)
	s.stop(t)
	s.say("everything has ended")
	for _, u := range under {
		if u.over != nil {
			t.Run(u.name, u.over)
		}
	}
	s.check(t)
}

var versions = regexp.MustCompile(`database: version (\d+)(?: to (\d+))?`)

// migrate runs a starter's migration, as the owner of the cluster.
func (s *stage) migrate(t *testing.T, p programs) (from, to int) {
	t.Helper()
	s.migrations.Add(1)
	_, words, err := s.runOnce(t.Context(), p, devstack.Admin, "", "migrate")
	s.migrations.Add(1)
	require.NoError(t, err)
	found := versions.FindStringSubmatch(words)
	require.NotNil(t, found, words)
	from, err = strconv.Atoi(found[1])
	require.NoError(t, err)
	if to = from; found[2] != "" {
		to, err = strconv.Atoi(found[2])
		require.NoError(t, err)
	}
	return from, to
}
