// Command bench measures what Ledgerline costs and prints one line a figure:
//
//	bench NAME VALUE UNIT target TARGET ok|miss
//
// without a target if it only informs.
// The first line says what it is measured on; -json writes all of it to a file.
//
// A ratio is the median of at least three rounds and compares two things that
// are measured in turn in the same run, on the same servers; only ratios carry
// over to another machine. A target that is missed is printed as
// such and is not an error: the program exits non-zero only if it could not
// measure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"testing"
)

func main() {
	testing.Init() // testing.Benchmark reads its flags
	only := flag.String("only", "", "run the groups whose name matches this `expression`")
	file := flag.String("json", "", "write the figures to this `file` too")
	flag.IntVar(&settings.queued, "queued", 2000, "fairness, in-order: invocations that wait")
	flag.IntVar(&settings.watched, "watched", 2000, "monitors: how many wait")
	flag.Func("trouble", "isolation: only the troubles whose name matches this `expression`", func(v string) (err error) {
		settings.trouble, err = regexp.Compile(v)
		return err
	})
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags]\n\nGroups:")
		for _, g := range groups {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-11s %s\n", g.name, g.what)
		}
		fmt.Fprintln(flag.CommandLine.Output(), "\nFlags:")
		flag.VisitAll(func(f *flag.Flag) {
			if !strings.HasPrefix(f.Name, "test.") {
				name, usage := flag.UnquoteUsage(f)
				fmt.Fprintf(flag.CommandLine.Output(), "  -%s %s\t%s; default %q\n", f.Name, name, usage, f.DefValue)
			}
		})
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	figures.begin()
	if err := errors.Join(run(ctx, *only), figures.write(*file)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are how much of a thing is measured where more takes minutes.
var settings = struct {
	queued, watched int
	trouble         *regexp.Regexp
}{trouble: regexp.MustCompile("")}

// group is a set of figures that share what they are measured on.
type group struct {
	name, what string
	run        func(ctx context.Context, s *servers) error
}

var groups = []group{
	{"pure", "classification and redaction", func(context.Context, *servers) error { pure(); return nil }},
	{"storage", "commits and bytes in both databases, for each invocation and each 1,000 entries", storage},
	{"mirror", "audit rows into PostgreSQL", mirror},
	{"invocation", "throughput, latency and history against a bare workflow", invocation},
	{"metadata", "what each part of an invocation's metadata costs a bare workflow", metadata},
	{"codec", "invocations whose payloads are encrypted, against the same in clear", encryption},
	{"counting", "what ledger, retry budget, circuit breakers and observer cost, alone and together", counting},
	{"fairness", "a single invocation behind another organization's backlog", fairness},
	{"in-order", "the same on a server without fairness", inOrder},
	{"key-rates", "the server's rates for each fairness key, which Ledgerline does not use", keyRates},
	{"isolation", "one organization's invocations while another's fail or hang", isolation},
	{"planning", "planning new entries after five million that were exported", planning},
	{"console", "pages of the console behind five million entries", consolePages},
	{"import", "a file of a million entries into PostgreSQL", importFile},
	{"export", "planning and sending entries", export},
	{"schedules", "500 schedules that fire in the same minute", schedules},
	{"monitors", "a probe, and monitors that wait", monitors},
	{"spread", "how evenly a fleet's first probes come", spread},
	{"starter", "starter call, from the start of its process to its outcome", starterCall},
	{"worker", "a worker's start, and its memory with calls waiting", workerProcess},
}

func run(ctx context.Context, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	s := &servers{}
	defer s.close()
	for _, g := range groups {
		if !wanted.MatchString(g.name) {
			continue
		}
		if err := g.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return nil
}
