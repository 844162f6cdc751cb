package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// turns are what happens to the vendor, and what starter health --watch must
// say of it.
var turns = []struct {
	title  string
	script []sandbox.Rule
	calls  int // enough for the state to follow
	state  string
}{
	{"the vendor is there", nil, 1, "healthy"},
	{"it is taken down", []sandbox.Rule{{Match: sandbox.Match{Vendor: "xledger"}, Status: 503}}, 3, "unreachable"},
	{"it is brought back", nil, 1, "healthy"},
	{"it throttles", []sandbox.Rule{{Match: sandbox.Match{Vendor: "xledger"}, Status: 429}}, 1, "passive"},
	{"it takes calls again", nil, 1, "healthy"},
}

// lines is what a program has printed so far.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// health shows what starter health --watch says while the vendor is taken down,
// brought back, throttles and takes calls again. It is an organization of its
// own, whose calls do not wait long.
func (d *demo) health(ctx context.Context, stack *devstack.Stack) error {
	organization := uuid.New()
	if _, err := stack.Apply(ctx, organization, "{baseDelay: 100ms, maxRetries: 1}"); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "   organization %s, of its own\n   $ starter health --watch --org %[1]s\n", organization)
	watch := exec.CommandContext(ctx, d.starter, "health", "--watch", "--org", organization.String())
	watch.Env = append(os.Environ(), d.env...)
	var said lines
	watch.Stdout = &said
	if err := watch.Start(); err != nil {
		return err
	}
	defer func() {
		_ = watch.Process.Signal(os.Interrupt)
		_ = watch.Wait()
	}()
	seen := 0
	for _, turn := range turns {
		stack.Sandbox.Reset()
		stack.Sandbox.Script(turn.script...)
		fmt.Fprintf(d.out, "   %s\n", turn.title)
		for range turn.calls {
			if _, err := d.quiet(ctx, "call", "--org", organization.String(), "--integration", "xledger-main", "--operation", "ping"); err != nil {
				return err
			}
		}
		err := until(ctx, 90*time.Second, func() (bool, error) {
			at := strings.Index(said.String()[seen:], "  xledger-main  "+turn.state+"  ")
			if at < 0 {
				return false, nil
			}
			seen += at + 1
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("announced %s, health said %q: %w", turn.state, said.String(), err)
		}
		fmt.Fprintf(d.out, "      health: %s\n", turn.state)
	}
	_, err := d.run(ctx, "health", "--org", organization.String())
	return err
}
