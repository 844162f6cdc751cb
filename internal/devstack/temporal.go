package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// TemporalOptions configure [StartTemporal]. The zero value works.
type TemporalOptions struct {
	DBFile string            // "" keeps everything in memory
	Port   int               // 0, or taken: a free one
	UIPort int               // 0, or taken: a free one
	UI     bool              // serve the web interface
	Config map[string]string // dynamic configuration, over the defaults
	Log    io.Writer         // what is being done, for people
}

// Temporal is a dev server with Ledgerline's search attributes.
type Temporal struct {
	options TemporalOptions
	bin     string
	cmd     *exec.Cmd
	out     *bytes.Buffer
	done    chan struct{}
}

// StartTemporal starts the dev server that tools/ pins. The first time it is
// built, which takes minutes.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	bin, err := buildOnce(ctx, filepath.Join(root, "tools"), "github.com/temporalio/cli/cmd/temporal", filepath.Join(root, ".bin", "temporal"), logTo(o.Log))
	if err != nil {
		return nil, err
	}
	t := &Temporal{options: o, bin: bin}
	for try := 0; ; try++ {
		for _, port := range []*int{&t.options.Port, &t.options.UIPort} {
			if *port == 0 || !portFree(*port) || try > 0 {
				if *port, err = freePort(); err != nil {
					return nil, err
				}
			}
		}
		if err = t.Start(ctx); err == nil {
			return t, nil
		}
		if ctx.Err() != nil || try == 4 {
			return nil, err
		}
	}
}

// searchAttributes are those of package workflows, which this package does not
// import; a test there compares them.
var searchAttributes = []string{"OrganizationId", "IntegrationId", "AdapterName", "CorrelationId", "ErrorClass"}

// Start starts the server on its ports and waits until it answers.
func (t *Temporal) Start(ctx context.Context) error {
	args := []string{"server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error",
		"--port", fmt.Sprint(t.options.Port), "--ui-port", fmt.Sprint(t.options.UIPort)}
	if !t.options.UI {
		args = append(args, "--headless")
	}
	if t.options.DBFile != "" {
		args = append(args, "--db-filename", t.options.DBFile)
	}
	config := map[string]string{
		"system.enableActivityEagerExecution": "true",
		"system.enableEagerWorkflowStart":     "true",
		"matching.useNewMatcher":              "true", // priorities
		"matching.enableFairness":             "true", // organizations in turn
	}
	for k, v := range t.options.Config {
		config[k] = v
	}
	for k, v := range config {
		args = append(args, "--dynamic-config-value", k+"="+v)
	}
	for _, name := range searchAttributes {
		args = append(args, "--search-attribute", name+"=Keyword")
	}
	t.out, t.done = &bytes.Buffer{}, make(chan struct{})
	t.cmd = exec.Command(t.bin, args...)
	t.cmd.Stdout, t.cmd.Stderr = t.out, t.out
	t.cmd.SysProcAttr = dieWithParent()
	if err := start(t.cmd); err != nil {
		return err
	}
	go func() {
		t.cmd.Wait()
		close(t.done)
	}()
	for {
		err := t.healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-t.done:
			return fmt.Errorf("the Temporal dev server ended: %s", tail(t.out.Bytes()))
		case <-ctx.Done():
			t.Kill()
			return errors.Join(err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (t *Temporal) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: t.HostPort(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	return err
}

// HostPort is the address of the server's frontend.
func (t *Temporal) HostPort() string { return fmt.Sprintf("127.0.0.1:%d", t.options.Port) }

// UIURL is the address of the web interface.
func (t *Temporal) UIURL() string { return fmt.Sprintf("http://127.0.0.1:%d", t.options.UIPort) }

// Stop ends the server in order.
func (t *Temporal) Stop() {
	t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.done:
	case <-time.After(10 * time.Second):
		t.Kill()
	}
}

// Kill ends the server at once.
func (t *Temporal) Kill() {
	t.cmd.Process.Kill()
	<-t.done
}

var building sync.Mutex

// buildOnce builds a program unless it is there and newer than its go.sum. A
// lock file keeps test packages that run side by side from building it twice.
func buildOnce(ctx context.Context, dir, pkg, out string, log io.Writer) (string, error) {
	building.Lock()
	defer building.Unlock()
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(out+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	built, err := os.Stat(out)
	pinned, pinErr := os.Stat(filepath.Join(dir, "go.sum"))
	if err == nil && pinErr == nil && built.ModTime().After(pinned.ModTime()) {
		return out, nil
	}
	fmt.Fprintf(log, "building %s; the first time this takes some minutes …\n", filepath.Base(out))
	c := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	c.Dir = dir
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, tail(text))
	}
	now := time.Now() // a cached build keeps its old time
	return out, os.Chtimes(out, now, now)
}
