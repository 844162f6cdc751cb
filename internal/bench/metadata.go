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
	t, err := s.tenant(ctx, "")
	if err != nil {
		return err
	}
	defer t.pool.Close()
	stop, err := startBare(t.temporal)
	if err != nil {
		return err
	}
	defer stop()

	type options = client.StartWorkflowOptions
	parts := []struct {
		name string
		take func(to *options, from options)
	}{
		{"none", func(*options, options) {}},
		{"id", func(to *options, from options) {
			to.ID, to.WorkflowIDReusePolicy, to.WorkflowIDConflictPolicy = from.ID, from.WorkflowIDReusePolicy, from.WorkflowIDConflictPolicy
		}},
		{"priority", func(to *options, from options) { to.Priority = from.Priority }},
		{"summary", func(to *options, from options) {
			to.StaticSummary = from.StaticSummary
		}},
		{"memo", func(to *options, from options) { to.Memo = from.Memo }},
		{"attribute", func(to *options, from options) {
			to.TypedSearchAttributes = one(from.TypedSearchAttributes)
		}},
		{"attributes", func(to *options, from options) {
			to.TypedSearchAttributes = from.TypedSearchAttributes
		}},
		{"all", func(to *options, from options) { *to = from }},
	}
	functions := make([]func(context.Context) error, len(parts))
	for i, p := range parts {
		functions[i] = func(ctx context.Context) error {
			o := options{ID: uuid.NewString()}
			p.take(&o, engine.InvokeOptions(ping(t.organization, t.integration)))
			return runBare(ctx, t.temporal, o)
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
