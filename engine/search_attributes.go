package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/workflows"
)

// MissingSearchAttributes lists the search attributes that a namespace lacks or has with
// another type. Temporal accepts the addition of one that exists with another type and
// changes nothing, so the list is the only way to know. Where a program may not use the
// operator service, as on Temporal Cloud, the namespace itself says what it has.
func MissingSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	there, err := searchAttributes(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range workflows.SearchAttributes() {
		if t, ok := there[name]; !ok {
			missing = append(missing, name)
		} else if t != enums.INDEXED_VALUE_TYPE_KEYWORD && t != enums.INDEXED_VALUE_TYPE_UNSPECIFIED {
			missing = append(missing, fmt.Sprintf("%s (there as %s, needed as Keyword)", name, t))
		}
	}
	return missing, nil
}

// searchAttributes returns ours that a namespace has, perhaps with others. One of which
// nobody says the type has none.
func searchAttributes(ctx context.Context, c client.Client, namespace string) (map[string]enums.IndexedValueType, error) {
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err == nil || !noOperator(err) {
		return list.GetCustomAttributes(), err
	}
	d, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	there := make(map[string]enums.IndexedValueType)
	for column, name := range d.GetConfig().GetCustomSearchAttributeAliases() { // Keyword02: OrganizationId
		t, err := enums.IndexedValueTypeFromString(strings.TrimRight(column, "0123456789"))
		if err != nil {
			t = enums.INDEXED_VALUE_TYPE_UNSPECIFIED
		}
		there[name] = t
	}
	for _, name := range workflows.SearchAttributes() {
		if _, ok := there[name]; ok {
			continue
		}
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: name + " = 'x'"})
		var invalid *serviceerror.InvalidArgument
		if err == nil {
			there[name] = enums.INDEXED_VALUE_TYPE_UNSPECIFIED
		} else if !errors.As(err, &invalid) {
			return nil, err
		}
	}
	return there, nil
}

// noOperator reports whether an error is that of a caller who may not use the operator
// service, or of a server that does not serve it here.
func noOperator(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// CreateByHand is how search attributes are created by whoever may.
func CreateByHand(namespace string, names []string) string {
	var flags strings.Builder
	for _, name := range names {
		fmt.Fprintf(&flags, " --name %s --type Keyword", name)
	}
	var cloud strings.Builder
	for _, name := range names {
		fmt.Fprintf(&cloud, ` --search-attribute "%s=Keyword"`, name)
	}
	return fmt.Sprintf("as somebody who may: temporal operator search-attribute create --namespace %s%s; on Temporal Cloud: tcld namespace search-attributes add --namespace %[1]s%[3]s",
		namespace, &flags, &cloud)
}

// AddSearchAttributes adds what a namespace lacks and returns what was added. One that is
// there with another type is an error; it has to be removed by hand. Where the caller may
// not add them, the error says how they are created by hand.
func AddSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	missing, err := MissingSearchAttributes(ctx, c, namespace)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	add, names := make(map[string]enums.IndexedValueType), []string{}
	for _, name := range missing {
		if slices.Contains(workflows.SearchAttributes(), name) {
			add[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
			names = append(names, name)
		}
	}
	if len(add) > 0 {
		_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: add})
		if noOperator(err) {
			return nil, fmt.Errorf("the search attributes %s are missing, and this program may not create them (%w); create them by hand: %s",
				strings.Join(names, ", "), err, CreateByHand(namespace, names))
		}
		if err != nil {
			return nil, fmt.Errorf("add search attributes: %w", err)
		}
	}
	still, err := MissingSearchAttributes(ctx, c, namespace)
	if err == nil && len(still) > 0 {
		err = fmt.Errorf("search attributes of another type are in the way: %v", still)
	}
	return missing, err
}
