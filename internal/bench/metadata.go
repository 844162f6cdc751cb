package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/engine"
)

// metadata reports what each part of an invocation's metadata costs: a bare workflow that
// carries it, against one that carries nothing.
func metadata(ctx context.Context, s *servers) error {
	stack, c, pool, err := s.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return err
	}
	stop, err := startBare(c)
	if err != nil {
		return err
	}
	defer stop()

	parts := []struct {
		name string
		take func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions)
	}{
		{"none", func(_ client.StartWorkflowOptions, _ *client.StartWorkflowOptions) {}},
		{"id", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) {
			to.ID, to.WorkflowIDReusePolicy, to.WorkflowIDConflictPolicy = from.ID, from.WorkflowIDReusePolicy, from.WorkflowIDConflictPolicy
		}},
		{"priority", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) { to.Priority = from.Priority }},
		{"summary", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) {
			to.StaticSummary = from.StaticSummary
		}},
		{"memo", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) { to.Memo = from.Memo }},
		{"attribute", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) {
			to.TypedSearchAttributes = one(from.TypedSearchAttributes)
		}},
		{"attributes", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) {
			to.TypedSearchAttributes = from.TypedSearchAttributes
		}},
		{"all", func(from client.StartWorkflowOptions, to *client.StartWorkflowOptions) { *to = from }},
	}
	functions := make([]func(context.Context) error, len(parts))
	for i, p := range parts {
		functions[i] = func(ctx context.Context) error {
			options := client.StartWorkflowOptions{ID: uuid.NewString()}
			p.take(engine.InvokeOptions(ping(organization, list["xledger-main"])), &options)
			return runBare(ctx, c, options)
		}
	}
	took, err := inTurn(ctx, 32, 300, 9, functions...)
	if err != nil {
		return err
	}
	for i, p := range parts[1:] {
		report("metadata_throughput_"+p.name, median(ratios(took[0], took[i+1])), "x_bare", none)
	}
	fmt.Printf("# bare %.0f/s\n", 300/median(took[0]))
	return nil
}

// one are the first of some search attributes.
func one(all temporal.SearchAttributes) temporal.SearchAttributes {
	for key, value := range all.GetUntypedValues() {
		if text, ok := value.(string); ok {
			return temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(key.GetName()).ValueSet(text))
		}
	}
	return temporal.SearchAttributes{}
}
