package activities

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/runlog"
)

// Cached returns a resolver that asks another one at most once in fresh for
// each integration. While that cannot be asked, it goes on with what it knows:
// a database outage must not stop calls. Only finding nothing is not kept, so
// that an integration can be used as soon as it is applied.
func Cached(ask Resolver, fresh time.Duration, log *slog.Logger) Resolver {
	return cached(ask, fresh, log)
}

// key identifies an integration.
type key struct{ organization, integration uuid.UUID }

// askFor bounds a question, so that a database that hangs does not use up the
// time of attempts and look like vendors that do.
const askFor = 2 * time.Second

// cached is what [Cached] does, for anything that is known of an integration.
func cached[V any](ask func(context.Context, uuid.UUID, uuid.UUID) (V, error), fresh time.Duration, log *slog.Logger) func(context.Context, uuid.UUID, uuid.UUID) (V, error) {
	type entry struct {
		found V
		at    time.Time
	}
	var mu sync.Mutex
	known := make(map[key]entry)
	return func(ctx context.Context, organization, integration uuid.UUID) (V, error) {
		k := key{organization, integration}
		mu.Lock()
		e, ok := known[k]
		mu.Unlock()
		if ok && time.Since(e.at) < fresh {
			return e.found, nil
		}
		bounded, cancel := context.WithTimeout(ctx, askFor)
		found, err := ask(bounded, organization, integration)
		cancel()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			known[k] = entry{found, time.Now()}
		case errors.Is(err, runlog.ErrNotFound):
			delete(known, k)
		case ok:
			log.Warn("an integration could not be looked up; going on with what is known",
				"organization_id", organization, "integration_id", integration, "error", cut(err.Error()))
			known[k] = entry{e.found, time.Now()} // not every attempt has to find that out
			return e.found, nil
		}
		return found, err
	}
}
