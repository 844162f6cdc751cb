package attention

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/runlog"
)

// Sources are who is asked. Temporal may be nil.
type Sources struct {
	DB       runlog.Beginner
	Temporal client.Client
}

// List returns what needs a person in an organization, the worst first. now is the time at
// which secrets and months are looked at. DB needs a login that may read what
// ledgerline_reader may.
func List(ctx context.Context, s Sources, organization uuid.UUID, now time.Time) ([]Item, error) {
	return []Item{}, nil
}
