package runlog_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

func texts[T ~string](list []T) (out []string) {
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// Each type has the values that the CHECK of its column allows.
func TestStatesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	healthStates := texts([]health.State{health.Unknown, health.Healthy, health.Degraded, health.Unreachable, health.Passive})
	opening := func(ofIntegration bool) []notify.Cause {
		return slices.DeleteFunc(notify.Causes(), func(c notify.Cause) bool {
			return c.Handling() != notify.OpensIncident || c.OfIntegration() != ofIntegration
		})
	}
	effects := texts([]classify.Effect{classify.Done, classify.None, classify.Open})
	for _, c := range []struct {
		table, constraint string
		want              []string
	}{
		{"bufdir_export_audit_log", "status_is_known", texts(exports.Statuses)},
		{"bufdir_export_audit_log", "trigger_is_known", texts(exports.Triggers)},
		{"export_entries", "state_is_known", texts(exports.EntryStates)},
		{"export_entries", "effect_is_known", effects},
		{"write_claims", "effect_is_known", effects},
		{"integration_run_logs", "effect_is_known", effects},
		{"integration_run_logs", "error_class_is_known", texts([]classify.Class{classify.Transient, classify.Permanent, classify.Timeout})},
		{"integration_health", "state_is_known", healthStates},
		{"integration_health_history", "entry_is_known", texts([]runlog.HealthEntryType{runlog.HealthChange, runlog.HealthObservation})},
		{"integration_pauses", "action_is_known", texts(runlog.PauseActions)},
		{"integration_secrets", "source_is_known", texts([]expiry.Source{expiry.File, expiry.Token})},
		{"notification_channels", "kind_is_known", texts([]integrations.ChannelKind{integrations.WebhookChannel, integrations.EmailChannel})},
		{"quota_usage", "purpose_is_known", texts(limits.Purposes())},
		{"schedule_ticks", "result_is_known", texts(exports.TickResults)},
		{"notification_deliveries", "state_is_known", texts(notify.DeliveryStates)},
		{"notifications", "cause_is_known", texts(notify.Causes())},
		{"incidents", "cause_has_an_end", texts(opening(true))},
		{"subject_incidents", "cause_has_a_subject", texts(opening(false))},
	} {
		var definition string
		err := b.admin.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = ('ledgerline.' || $1)::regclass AND conname = $2`,
			c.table, c.constraint).Scan(&definition)
		require.NoError(t, err, "%s.%s", c.table, c.constraint)
		var got []string
		for _, m := range regexp.MustCompile(`'([^']*)'::text`).FindAllStringSubmatch(definition, -1) {
			got = append(got, m[1])
		}
		require.ElementsMatch(t, c.want, got, "%s.%s: %s", c.table, c.constraint, definition)
	}
}
