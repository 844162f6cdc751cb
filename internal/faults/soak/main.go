// Command soak exports many periods of several organizations while nearly
// everything that can fail fails, and ends with an equation.
//
// What runs is real: worker processes, PostgreSQL, a Temporal server on a file.
// Only the vendors are a sandbox, because somebody has to know the truth: its log
// says what was asked and its list of effects what was stored. Between the
// workers and each thing that they need stands a proxy that can spoil the wire.
//
// The equation, for each integration and against oracles that are not the code
// under test (the plan, the sandbox, Temporal's histories):
//
//	entries = exported + rejected + unknown + never planned
//	effects at the vendor = exported, none of them twice
//	records at the vendor = exported, each as it was sent and under the name kept
//	unknown = 0 once every failed export has been retried
//	rows of failed attempts = failed attempts, each once, numbered 1 to n
//
// and each audit row agrees with amounts and a SHA-256 that are computed again
// from the source, went one way, and no secret stands anywhere.
//
// Everything is drawn from a seed: the same seed makes the same entries and the
// same faults in the same order. When they strike, to the millisecond, is the
// machine's; so a seed that fails may need several runs to fail again. A fault
// that was planned and never met anything fails the run too, unless its run had
// failed by another one: a soak that tests nothing must not be ok.
//
// The last line on standard output is
//
//	soak ok|FAILED seed=… entries=… exported=… rejected=… unknown=… effects=… duplicates=… faults=…
//
// SOAK=10m says how long (2m), SEED=… which seed (a random one). CLUSTER=1 runs Temporal's
// services as a process each, and strikes those and the workers' ways to them.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 { // it is configured by variables, and must not start at --help
		fmt.Fprintln(os.Stderr, "usage: [SOAK=2m] [SEED=…] [CLUSTER=1] soak\n\nExports under every fault, then an equation. SOAK says how long, SEED which faults; CLUSTER=1 strikes Temporal's services.")
		os.Exit(2)
	}
	os.Exit(program(ctx, os.Getenv, os.Stdout, os.Stderr))
}

// config is what can be chosen for a soak.
type config struct {
	seed   uint64
	length time.Duration // of the faults; settling and checking come on top
	bound  time.Duration // after the last fault, everything must close within it
	race   bool          // the workers report data races

	cluster bool // a process for each of Temporal's services, and the faults of that
}

func program(ctx context.Context, getenv func(string) string, out, words io.Writer) int {
	length, err := time.ParseDuration(cmp.Or(getenv("SOAK"), "2m"))
	if err != nil || length <= 0 {
		fmt.Fprintln(words, "soak: SOAK: want a duration such as 10m")
		return 2
	}
	seed := uint64(rand.Uint32())
	if text := getenv("SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			fmt.Fprintln(words, "soak: SEED: want a number")
			return 2
		}
	}
	r := run(ctx, config{seed: seed, length: length, bound: 3 * time.Minute, cluster: getenv("CLUSTER") == "1"}, words)
	fmt.Fprintln(out, r.line())
	if len(r.violations) > 0 {
		return 1
	}
	return 0
}

// report is how a soak ended.
type report struct {
	seed                                                  uint64
	entries, exported, rejected, unknown, never           int
	effects, duplicates, attempts, failed, periods, fired int
	overtaken                                             int // faults whose run had failed by another one
	violations                                            []string
}

// line is the last line of a soak.
func (r report) line() string {
	word := "ok"
	if len(r.violations) > 0 {
		word = "FAILED"
	}
	return fmt.Sprintf("soak %s seed=%d entries=%d exported=%d rejected=%d unknown=%d effects=%d duplicates=%d faults=%d",
		word, r.seed, r.entries, r.exported, r.rejected, r.unknown, r.effects, r.duplicates, r.fired)
}
