package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// The integration of the examples, as [runlog.LoadIntegration] returns it: a row in the
// database, put there by starter integrations apply.
var (
	organization = uuid.MustParse("0198f4a2-7c11-7b3e-9d55-1f6f2a7c0001")
	integration  = integrations.Integration{
		OrganizationID: organization,
		ID:             uuid.MustParse("0198f4a2-7c11-7b3e-9d55-1f6f2a7c0002"),
		Name:           "xledger-main", Adapter: "xledger",
		Schedule: &integrations.Schedule{Every: integrations.Monthly, Day: 2, Hour: 6, TimeZone: "Europe/Oslo"},
	}
)

// Execute makes one call and waits for its outcome. With the same correlation ID it may be
// repeated: the vendor is called once.
func ExampleExecute() {
	c, err := client.Dial(client.Options{}) // Temporal at localhost:7233
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	call := engine.NewInvocation(integration, adapters.Call, json.RawMessage(`{"query": "{ viewer { name } }"}`))
	fmt.Println("correlation ID", call.CorrelationID) // keep it: the outcome and the audit rows are found by it

	outcome, err := engine.Execute(ctx, c, call)
	switch {
	case err != nil: // Temporal could not be asked, or did not answer in time: the call continues
		log.Fatal(err)
	case !outcome.OK: // a failed call is an outcome
		fmt.Println(outcome.Failure.ErrorClass, outcome.Failure.Message)
	default:
		fmt.Println(string(outcome.Response.Body))
	}
}

// An export is a workflow whose ID is its period's. Starting it twice joins the run.
func ExampleSyncOptions() {
	c, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	in, err := engine.NewSync(integration, "2026-10", "month-end job")
	if err != nil {
		log.Fatal(err)
	}
	run, err := c.ExecuteWorkflow(context.Background(), engine.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		log.Fatal(err)
	}
	var result workflows.SyncResult
	if err := run.Get(context.Background(), &result); err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Export.Status, result.Export.Exported, "of", result.Export.Total)
}

// ApplySchedule makes Temporal's schedule what the integration's file says.
func ExampleApplySchedule() {
	c, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()

	change, err := engine.ApplySchedule(ctx, c, integration, "", false)
	if err != nil {
		log.Fatal(err)
	}
	status, err := engine.DescribeSchedule(ctx, c, integration)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("schedule", status.Name, change)
	for _, next := range status.Next {
		fmt.Println(next.At.Format(time.RFC3339), "exports", next.Period)
	}
}
