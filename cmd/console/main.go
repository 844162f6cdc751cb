// Command console serves the page on which finance staff get their month done,
// and the same as JSON for programs.
//
// It takes its settings from flags and the environment and checks them and the
// database before it serves anything. On SIGTERM it finishes the requests that
// are under way. Any number of consoles can run at once.
//
// Exit codes: 0 after a signal, 1 if it could not start or failed, 2 for a flag
// or a setting that is wrong.
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
		fmt.Fprintln(os.Stderr, map[bool]string{true: "console:", false: " "}[i == 0], plain.Line(line))
	}
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}
