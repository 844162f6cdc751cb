package activities

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/ledgerline/ledgerline/notify"
)

// Whose activity it is stands in the ID of its workflow, but for notifications.
func TestOrganizationOf(t *testing.T) {
	organization, other := uuid.New(), uuid.New()
	key := notify.DeliveryKey{OrganizationID: organization, NotificationID: other, Channel: "ops"}
	for name, c := range map[string]struct {
		workflow string
		in       any
		known    bool
	}{
		"a call":                 {"invoke/" + organization.String() + "/" + other.String(), MirrorInput{}, true},
		"an export":              {"export/" + organization.String() + "/" + other.String() + "/2026-10", PlanInput{}, true},
		"by its schedule":        {"export/" + organization.String() + "/" + other.String() + "/2026-10-2026-11-03T05:30:00Z", PlanInput{}, true},
		"a monitor":              {"monitor/" + organization.String() + "/" + other.String(), InspectInput{}, true},
		"a delivery":             {"notify/" + other.String() + "/ops", DeliverInput{Key: key}, true},
		"a delivery's end":       {"notify/" + other.String() + "/ops", RecordDeliveryInput{Key: key}, true},
		"another, of a delivery": {"notify/" + other.String() + "/ops", nil, false},
		"by somebody's own ID":   {"mine", PlanInput{}, false},
	} {
		var args []any
		if c.in != nil {
			args = []any{c.in}
		}
		var info activity.Info
		info.WorkflowExecution.ID = c.workflow
		got, known := organizationOf(info, &interceptor.ExecuteActivityInput{Args: args})
		require.Equal(t, c.known, known, name)
		if known {
			require.Equal(t, organization, got, name)
		}
	}
}
