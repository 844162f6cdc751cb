// Command starter is the operator's command line: it sets up the database, applies
// integrations, makes ad-hoc calls and shows their outcomes.
//
// Results go to stdout, messages to stderr. Exit codes:
//
//	0  done; call: there is an outcome, which may be that of a failure
//	1  not done: something is unreachable, missing or refused; exports prove and
//	   integrations verify: or something does not agree; doctor: a check fails
//	2  the command line or a file is wrong
//	3  call --exit-status: the call failed permanently; sync and exports retry: the
//	   period is not complete, with its retries (unless --exit-status=false)
//	4  call --exit-status: the last allowed attempt failed
package main

import (
	_ "time/tzdata" // for $TZ where the system has no zones; schedules have their own (zones)

	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ledgerline/ledgerline/internal/dial"
	"github.com/ledgerline/ledgerline/plain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitPermanent
	exitExhausted
)

// exitError carries an exit code. Without an error it prints nothing.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usage is an error in the command line or in a file.
func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// run is the program.
func run(ctx context.Context, args []string, in io.Reader, out, words io.Writer) int {
	a := &app{args: args}
	defer func() { a.traces.Close() }()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	out, words = plain.Writer{Raw: out}, plain.Writer{Raw: words}
	root.SetOut(out)
	root.SetErr(words)
	completeTree(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if err.Error() != "" {
		if remedy := dial.Refused(err); remedy != "" && !strings.Contains(err.Error(), remedy) {
			err = fmt.Errorf("%w; %s", err, remedy)
		}
		sayError(words, err)
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailed
}
