package engine

import (
	"context"
	"fmt"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/workflows"
)

// MissingSearchAttributes lists the search attributes that a namespace lacks or has with
// another type. Temporal accepts the addition of one that exists with another type and
// changes nothing, so the list is the only way to know.
func MissingSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range workflows.SearchAttributes() {
		if t, ok := list.CustomAttributes[name]; !ok {
			missing = append(missing, name)
		} else if t != enums.INDEXED_VALUE_TYPE_KEYWORD {
			missing = append(missing, fmt.Sprintf("%s (there as %s, needed as Keyword)", name, t))
		}
	}
	return missing, nil
}

// AddSearchAttributes adds what a namespace lacks and returns what was added. One that is
// there with another type is an error; it has to be removed by hand.
func AddSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	missing, err := MissingSearchAttributes(ctx, c, namespace)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	add := make(map[string]enums.IndexedValueType)
	for _, name := range missing {
		if slices.Contains(workflows.SearchAttributes(), name) {
			add[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
		}
	}
	if len(add) > 0 {
		if _, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: add}); err != nil {
			return nil, fmt.Errorf("add search attributes: %w; on Temporal Cloud add them with its own tools: %v as Keyword", err, missing)
		}
	}
	still, err := MissingSearchAttributes(ctx, c, namespace)
	if err == nil && len(still) > 0 {
		err = fmt.Errorf("search attributes of another type are in the way: %v", still)
	}
	return missing, err
}
