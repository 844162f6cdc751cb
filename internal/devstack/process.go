package devstack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Build compiles one of the main module's programs, such as "./cmd/worker", and
// returns the binary. Go's build cache makes a second time quick. With race,
// the binary reports data races.
func Build(ctx context.Context, pkg string, race bool) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "ledgerline-bin-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, filepath.Base(pkg))
	args := []string{"build", "-o", out}
	if race {
		args = append(args, "-race")
	}
	c := exec.CommandContext(ctx, "go", append(args, pkg)...)
	c.Dir = root
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, tail(text))
	}
	return out, nil
}

// Process is a running child program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu  sync.Mutex
	out strings.Builder
}

// StartProcess starts a program with extra environment and waits until it has
// printed a line that ready accepts; a nil ready does not wait. A program that
// ends first is an error that shows its output.
func StartProcess(ctx context.Context, bin string, args, env []string, ready func(line string) bool) (*Process, error) {
	p := &Process{cmd: exec.Command(bin, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = dieWithParent()
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := start(p.cmd); err != nil {
		return nil, err
	}
	isReady := make(chan struct{})
	var read sync.WaitGroup
	read.Go(func() {
		waiting := ready != nil
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			p.mu.Lock()
			p.out.WriteString(line)
			p.mu.Unlock()
			if waiting && ready(strings.TrimSpace(line)) {
				waiting = false
				close(isReady)
			}
			if err != nil {
				return
			}
		}
	})
	go func() {
		p.err = p.cmd.Wait()
		w.Close()
		read.Wait()
		close(p.done)
	}()
	if ready == nil {
		return p, nil
	}
	select {
	case <-isReady:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended: %v: %s", filepath.Base(bin), p.err, tail([]byte(p.Output())))
	case <-ctx.Done():
		p.Kill()
		return nil, fmt.Errorf("%s is not ready: %w: %s", filepath.Base(bin), ctx.Err(), tail([]byte(p.Output())))
	}
}

// StartWorker starts a worker and waits until it takes work.
func StartWorker(ctx context.Context, bin string, args, env []string) (*Process, error) {
	return StartProcess(ctx, bin, args, env, func(line string) bool { return strings.Contains(line, "worker ready") })
}

// start starts a command from a thread that lives as long as the program: the
// kernel's parent of a child is the thread that made it, and Pdeathsig follows
// that one.
func start(c *exec.Cmd) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for f := range starts {
				f()
			}
		}()
	})
	result := make(chan error)
	starts <- func() { result <- c.Start() }
	return <-result
}

var (
	starter sync.Once
	starts  = make(chan func())
)

// Output is what the program has printed so far, both streams.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the program with SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the program to end with SIGINT and kills it after the timeout.
func (p *Process) Stop(timeout time.Duration) error {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
		return p.err
	case <-time.After(timeout):
		p.Kill()
		return fmt.Errorf("it did not stop within %v", timeout)
	}
}

// PID is the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Wait waits for the program's end and returns how it ended.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}
