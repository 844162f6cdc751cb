package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
)

// checkState is what came of a check.
type checkState string

// The states of a check.
const (
	checkOK      checkState = "ok"
	checkWarn    checkState = "warn"    // it works, and somebody should look at it
	checkFailed  checkState = "FAIL"    // something does not work
	checkAssumed checkState = "assumed" // nothing says whether it is so
)

// check is a line of the doctor's table.
type check struct {
	Name   string     `json:"check"`
	State  checkState `json:"state"`
	Found  string     `json:"found"`
	Remedy string     `json:"remedy,omitempty"` // "" if there is nothing to do
}

// The checks, in their order. What depends on something that fails is not checked.
const (
	checkTemporal         = "Temporal"
	checkTemporalTLS      = "Temporal TLS"
	checkNamespace        = "namespace"
	checkSearchAttributes = "search attributes"
	checkEagerStart       = "eager start"
	checkFairness         = "fairness"
	checkPostgreSQL       = "PostgreSQL"
	checkPostgreSQLTLS    = "PostgreSQL TLS"
	checkCommits          = "commits"
	checkSchema           = "schema"
	checkLogin            = "login"
	checkRules            = "rules"
	checkPayloads         = "payload keys"
	checkClocks           = "clocks"
	checkWorkers          = "workers"
	checkWorkerBuilds     = "worker builds"
	checkWorkerClocks     = "worker clocks"
	checkSecrets          = "secrets"
)

func (a *app) doctor() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use: "doctor", Short: "Check everything that Ledgerline needs, and say what to do", Args: noArgs,
		Long: `Checks what Ledgerline needs and prints a line for each, with what to do where it is
not as it should be: Temporal, its namespace and search attributes; PostgreSQL, its
schema, rules and this login; the keys of encrypted payloads; clocks; whether workers
run, which builds, and whether they can read the secrets that organizations' files
name. It changes nothing.

The state of a line is ok, warn (it works, and somebody should look at it), FAIL, or
assumed (nothing says whether it is so; the remedy says how to find out). What depends
on something that fails is not checked.

Workers say in the database that they run, every 10 s, and what they cannot read,
every minute. Temporal says who has asked for work in the last five minutes.

A login that may only read (ledgerline_reader) does not see keys, nor which secrets
workers lack.

Exits 1 if a check fails.`,
		Example: "  starter doctor",
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usage("--timeout %v: want more than 0, such as 10s", timeout)
			}
			return a.printChecks(c.OutOrStdout(), a.diagnose(c.Context(), timeout))
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", connectTimeout, "how long each check may take")
	return c
}

// printChecks prints the checks. One that failed is an error.
func (a *app) printChecks(w io.Writer, all []check) error {
	rows, failed := [][]string{{"CHECK", "STATE", "FOUND", "REMEDY"}}, 0
	for _, one := range all {
		if one.State == checkFailed {
			failed++
		}
		rows = append(rows, []string{one.Name, string(one.State), one.Found, dash(one.Remedy)})
	}
	err := a.print(w, all, rows)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s failed", failed, count(len(all), "check"))
	}
	return err
}

// diagnose makes all checks. It takes a few times the timeout at most, whatever does not
// answer.
func (a *app) diagnose(ctx context.Context, timeout time.Duration) []check {
	t, d := temporalSide{app: a, timeout: timeout}, databaseSide{app: a, timeout: timeout}
	var temporal, database []check
	var both sync.WaitGroup
	both.Go(func() { temporal = t.checks(ctx) })
	both.Go(func() { database = d.checks(ctx) })
	both.Wait()
	defer t.close()
	defer d.close()
	all := append(temporal, database...)
	all = append(all, beside(ctx, timeout, d.payloads)...)
	all = append(all, clocks(t, d)...)
	return append(all, workers(ctx, t, d)...)
}

// probe is a check that can be made beside others. It returns its lines, and ends with
// its context.
type probe func(context.Context) []check

// beside makes checks at once, each in its time, and returns their lines in order.
func beside(ctx context.Context, timeout time.Duration, probes ...probe) (all []check) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	results := make([][]check, len(probes))
	var running sync.WaitGroup
	for i, p := range probes {
		running.Go(func() { results[i] = p(ctx) })
	}
	running.Wait()
	return slices.Concat(results...)
}

// temporalSide and databaseSide are the two servers, with what others need of them.
type (
	temporalSide struct {
		app       *app
		timeout   time.Duration
		client    client.Client // nil if it cannot be reached
		namespace string
		usable    bool // the namespace is there
		offset    *time.Duration
		offsetErr error
	}
	databaseSide struct {
		app     *app
		timeout time.Duration
		pool    *pgxpool.Pool // nil if it cannot be reached
		usable  bool          // the schema fits, and the login has its role
		offset  *time.Duration

		readsOnly bool // the login has the reader's role
	}
)

func (t *temporalSide) close() {
	if t.client != nil {
		t.client.Close()
	}
}

func (d *databaseSide) close() {
	if d.pool != nil {
		go d.pool.Close() // which waits for a server that does not answer
	}
}
