package adapters_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
)

// reader counts how often a request is read.
type reader struct {
	adapters.Adapter
	read *int
}

func (r reader) Describe(op adapters.Operation, body []byte) (adapters.Description, error) {
	*r.read++
	if len(body) == 0 && op == adapters.Call {
		return adapters.Description{}, errors.New("body: it is empty")
	}
	return adapters.Description{Summary: string(op) + " " + string(body)}, nil
}

// A connection has the same request read once, and another one, however like it is, again.
func TestDescribedOnce(t *testing.T) {
	var read int
	r, c := reader{read: &read}, new(adapters.Conn)
	body := []byte("abc")
	for _, step := range []struct {
		op    adapters.Operation
		body  []byte
		reads int
	}{
		{adapters.Call, body, 1}, {adapters.Call, body, 1}, {adapters.Call, []byte("abd"), 2}, {adapters.Call, body[:2], 3},
		{adapters.Call, body[1:], 4}, {adapters.Lookup, body[1:], 5}, {adapters.Ping, nil, 6}, {adapters.Ping, nil, 6}, {adapters.Call, body, 7},
	} {
		d, err := c.Describe(r, step.op, step.body)
		require.NoError(t, err)
		require.Equal(t, string(step.op)+" "+string(step.body), d.Summary)
		require.Equal(t, step.reads, read, "%s %s", step.op, step.body)
	}
	for range 2 {
		_, err := c.Describe(r, adapters.Call, nil)
		require.ErrorContains(t, err, "it is empty")
	}
	require.Equal(t, 8, read)
}
