// Command starter is the operator's command line: it sets the database up,
// applies integrations, makes ad-hoc calls and shows what became of them.
//
// Results go to stdout, words to stderr. Exit codes:
//
//	0  done; for call: an outcome was obtained, also that of a failure
//	1  it could not be done: something is unreachable, missing or refused; exports
//	   prove: or something does not agree
//	2  the command line or a file is wrong
//	3  call --exit-status: the call failed for good
//	4  call --exit-status: the call was tried as often as allowed and failed
package main

import (
	_ "time/tzdata" // for $TZ where the system has no zones; schedules have their own (zones)

	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

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

// exitError carries an exit code. An empty text says nothing more.
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

// usage marks an error of the command line or of a file.
func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// run is the program.
func run(ctx context.Context, args []string, in io.Reader, out, words io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	out, words = plain.Writer{Raw: out}, plain.Writer{Raw: words}
	root.SetOut(out)
	root.SetErr(words)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if err.Error() != "" {
		sayError(words, err)
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailed
}
