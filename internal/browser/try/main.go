// Command try starts a stage and leaves it up, to look at the console by hand.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ledgerline/ledgerline/internal/browser/stage"
)

func main() {
	if len(os.Args) > 1 { // it has no flags, and must not start at --help
		fmt.Fprintln(os.Stderr, "usage: try\n\nStarts the console and all that it needs, with an organization that has closed a month, and leaves it up until Ctrl-C.")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := stage.Start(ctx, stage.Options{Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer s.Close()
	id, err := s.Found(ctx, "Eksempel Idrettslag", "eksempel")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for month, wrong := range map[string]int{"2026-08": 0, "2026-09": 0, "2026-10": 10} {
		if err := s.Import(ctx, "eksempel", stage.Month(month, 88, wrong)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
	}
	for _, p := range []string{"2026-08", "2026-09", "2026-10"} {
		if err := s.Export(ctx, "eksempel", p); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
	}
	fmt.Println(s.URL, id)
	<-ctx.Done()
}
