// Command worker runs Ledgerline's workflows and activities.
//
// It takes its settings from flags and the environment, checks them and the
// database before it takes any work, serves /livez, /readyz and /metrics, and
// on SIGTERM finishes the attempts that are under way. Any number of workers
// can run at once.
//
// Exit codes: 0 after a signal, 1 if it could not start or failed, 2 for a flag
// it does not know.
package main

import (
	_ "time/tzdata" // for $TZ where the system has no zones; schedules have their own (zones)

	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/plain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(code(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)))
}

// code maps an error to an exit code and prints it.
func code(err error) int {
	var usage usageError
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	for i, line := range strings.Split(environ.Hide(err.Error()), "\n") {
		fmt.Fprintln(os.Stderr, map[bool]string{true: "worker:", false: " "}[i == 0], plain.Line(line))
	}
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}
