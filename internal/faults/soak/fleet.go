package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// fleet keeps workers running as a supervisor would: one that ends is started
// again.
type fleet struct {
	bin  string
	envs [][]string // by slot

	mu    sync.Mutex
	now   map[int]*devstack.Process  // by slot
	all   []*devstack.Process        // to be searched for secrets
	ours  map[*devstack.Process]bool // ended by a fault
	words []string                   // of those that did not come up, and of those that ended by themselves
	done  sync.WaitGroup
}

// newFleet keeps a worker running for each environment.
func newFleet(ctx context.Context, bin string, envs [][]string) *fleet {
	f := &fleet{bin: bin, envs: envs, now: make(map[int]*devstack.Process), ours: make(map[*devstack.Process]bool)}
	for slot := range envs {
		f.done.Go(func() { f.keep(ctx, slot) })
	}
	return f
}

func (f *fleet) keep(ctx context.Context, slot int) {
	for ctx.Err() == nil {
		begin, cancel := context.WithTimeout(ctx, 30*time.Second)
		p, err := devstack.StartWorker(begin, f.bin, []string{"--monitors=false"}, f.envs[slot])
		cancel()
		if err != nil {
			f.note(err.Error())
			pause(ctx, 200*time.Millisecond)
			continue
		}
		f.mu.Lock()
		f.now[slot], f.all = p, append(f.all, p)
		f.mu.Unlock()
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		select {
		case <-ctx.Done():
			_ = p.Signal(syscall.SIGCONT)
			p.Kill()
			return
		case err = <-ended:
		}
		f.mu.Lock()
		delete(f.now, slot)
		if !f.ours[p] {
			f.words = append(f.words, fmt.Sprintf("a worker ended by itself: %v: %s", err, last(p.Output(), 400)))
		}
		f.mu.Unlock()
	}
}

func (f *fleet) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.words = append(f.words, s)
}

// up returns the workers that are up.
func (f *fleet) up() (list []*devstack.Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for slot := range 8 {
		if p := f.now[slot]; p != nil {
			list = append(list, p)
		}
	}
	return list
}

// byPID finds a worker.
func (f *fleet) byPID(pid int) *devstack.Process {
	for _, p := range f.up() {
		if p.PID() == pid {
			return p
		}
	}
	return nil
}

// signal sends a signal; one that ends the worker is noted as ours.
func (f *fleet) signal(p *devstack.Process, s os.Signal) error {
	if s == syscall.SIGKILL || s == syscall.SIGTERM {
		f.mu.Lock()
		f.ours[p] = true
		f.mu.Unlock()
	}
	return p.Signal(s)
}

// said is what every worker has printed, and what was said of those that did
// not come up.
func (f *fleet) said() (texts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.all {
		texts = append(texts, p.Output())
	}
	return append(texts, f.words...)
}

func last(s string, n int) string { return strings.TrimSpace(s[max(0, len(s)-n):]) }
