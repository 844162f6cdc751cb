package console

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

type inTrace struct{}

// tracedDB counts what is asked of the database inside a trace.
type tracedDB struct {
	runlog.Beginner
	inside *int
}

func (d tracedDB) Begin(ctx context.Context) (pgx.Tx, error) {
	if ctx.Value(inTrace{}) != nil {
		*d.inside++
	}
	return d.Beginner.Begin(ctx)
}

// An operation has a span that names its organization and goes on in what it does; that it was
// refused is no error of the span. What is only shown has none.
func TestOperationsAreTraced(t *testing.T) {
	h := newHouse(t, "alpha")
	var names []string
	var ends []error
	inside := 0
	s := newSite(t, func(o *Options) {
		o.DB = tracedDB{o.DB, &inside}
		o.Trace = func(ctx context.Context, name string, subject any) (context.Context, func(any, error)) {
			names = append(names, name)
			require.Equal(t, h.org, reflect.ValueOf(subject).FieldByName("OrganizationID").Interface().(uuid.UUID))
			return context.WithValue(ctx, inTrace{}, true), func(_ any, err error) { ends = append(ends, err) }
		}
	}, h)
	p := s.signedIn("kari", groupOf(h, administrator))
	base := "/api/v1/organizations/" + h.short
	require.Equal(t, http.StatusOK, p.get(base+"/overview").StatusCode)
	require.Empty(t, names)
	res := p.send(base+"/integrations/"+h.spec.Name+"/pause", `{"reason": "closing"}`, uuid.NewString())
	require.Equal(t, http.StatusOK, res.StatusCode, res.body)
	res = p.send(base+"/integrations/"+h.spec.Name+"/pause", `{"reason": ""}`, uuid.NewString())
	require.Less(t, res.StatusCode, 500)
	require.GreaterOrEqual(t, res.StatusCode, 400)
	require.Equal(t, []string{"console pause", "console pause"}, names)
	require.Equal(t, []error{nil, nil}, ends)
	require.Positive(t, inside)
}
