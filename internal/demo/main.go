// Command demo shows the main job on real parts: it starts PostgreSQL, Temporal
// with its UI, the vendors' sandbox, a worker and the console, makes calls that go well and
// badly, exports on schedule, watches a vendor go and come back, compares each
// outcome with what it announced, and prints the audit rows. It leaves
// everything up until Ctrl-C; with DEMO_EXIT=1 it ends. It exits non-zero if
// anything came out differently.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 { // it is configured by a variable, and must not start at --help
		fmt.Fprintln(os.Stderr, "usage: [DEMO_EXIT=1] demo\n\nShows the main job on real parts and leaves them up until Ctrl-C; with DEMO_EXIT=1 it ends.")
		os.Exit(2)
	}
	err := run(ctx, &oneAtATime{w: os.Stdout}, os.Getenv("DEMO_EXIT") == "1")
	if ctx.Err() != nil { // somebody asked for the end, and what was under way was cut off
		fmt.Fprintln(os.Stdout, "\nended; nothing is left running, and nothing in the temporary folder")
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// scene is a call that the demo makes, and what it announces of it.
type scene struct {
	title       string
	integration string
	body        string // "" is a ping
	script      []sandbox.Rule
	want        want
}

type want struct {
	ok       bool
	attempts int
	class    string
	status   int
	minimum  time.Duration // of all waits together
}

const addItems = `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}",
 "variables":{"in":[
  {"clientId":"1","node":{"extIdentifier":"demo-1-1","trRegNumber":"1","amount":"100.00","account":{"code":"1920"}}},
  {"clientId":"2","node":{"extIdentifier":"demo-1-2","trRegNumber":"1","amount":"-100.00","account":{"code":"3000"}}}]}}`

var lost = strings.ReplaceAll(addItems, "demo-1-", "demo-3-")

var unbalanced = strings.ReplaceAll(strings.ReplaceAll(addItems, "demo-1-", "demo-2-"), "-100.00", "-99.00")

var scenes = []scene{
	{"Xledger answers 503 twice, then takes the voucher", "xledger-main", addItems,
		[]sandbox.Rule{{Match: sandbox.Match{Vendor: "xledger"}, Times: 2, Status: 503}},
		want{ok: true, attempts: 3, minimum: 2400 * time.Millisecond}},
	{"Xledger stores a voucher and the answer is lost: the next attempt asks, and sends nothing", "xledger-main", lost,
		[]sandbox.Rule{{Match: sandbox.Match{Vendor: "xledger"}, Times: 1, Reset: sandbox.AfterEffect}},
		want{ok: true, attempts: 2}},
	{"Xledger throttles inside HTTP 200; the documented wait is 5 s", "xledger-main", "",
		[]sandbox.Rule{{Match: sandbox.Match{Vendor: "xledger"}, Times: 1, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED","message":"Too many requests"}]}`}},
		want{ok: true, attempts: 2, minimum: 5 * time.Second}},
	{"Dynamics 365 answers 429 with Retry-After: 3", "crm", "",
		[]sandbox.Rule{{Match: sandbox.Match{Vendor: "dataverse"}, Times: 1, Status: 429, Headers: map[string]string{"Retry-After": "3"},
			Body: `{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000 over time window of 300 seconds."}}`}},
		want{ok: true, attempts: 2, minimum: 3 * time.Second}},
	{"A voucher that does not balance: a business error inside HTTP 200, not retried", "xledger-main", unbalanced, nil,
		want{attempts: 1, class: "permanent", status: 200}},
	{"A revoked token: 401, not retried", "xledger-old", "", nil,
		want{attempts: 1, class: "permanent", status: 401}},
	{"Business Central stays away: four attempts, then the call is given up", "erp", "",
		[]sandbox.Rule{{Match: sandbox.Match{Vendor: "businesscentral"}, Status: 503}},
		want{attempts: 4, class: "transient", status: 503, minimum: 5600 * time.Millisecond}},
}

func run(ctx context.Context, out io.Writer, exit bool) error {
	fmt.Fprintln(out, "starting PostgreSQL, Temporal and the vendors' sandbox …")
	stack, err := devstack.StartStack(ctx, devstack.StackOptions{Log: out, Temporal: devstack.TemporalOptions{UI: true, Port: 7233, UIPort: 8233}})
	if err != nil {
		return err
	}
	defer stack.Close()
	fmt.Fprintf(out, "  Temporal     %s, UI %s\n  PostgreSQL   127.0.0.1:%d\n  sandbox      %s\n",
		stack.Temporal.HostPort(), stack.Temporal.UIURL(), stack.Postgres.Port(), stack.Vendors["admin"])

	worker, err := devstack.Build(ctx, "./cmd/worker", false)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(worker))
	starter, err := devstack.Build(ctx, "./cmd/starter", false)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(starter))
	hooks, err := receiveNotices(out)
	if err != nil {
		return err
	}
	defer hooks.http.Close()
	fmt.Fprintf(out, "  starter      %s\n", starter)
	d := &demo{out: out, starter: starter, workerBin: worker, notices: hooks, env: hooks.env(stack, devstack.Operator), organization: uuid.NewString()}
	if err := d.startWorker(ctx, stack); err != nil {
		return err
	}
	fmt.Fprintf(out, "  webhooks     http://%s, which verifies and prints what people are notified of\n  organization %s\n", hooks.host, d.organization)
	defer func() { d.worker.Stop(15 * time.Second) }()
	endConsole, err := d.startConsole(ctx, stack)
	if err != nil {
		return err
	}
	defer endConsole()
	file, err := stack.File("integrations.yaml", d.file(stack))
	if err != nil {
		return err
	}
	if _, err := d.run(ctx, "integrations", "apply", "-f", file); err != nil {
		return err
	}
	different := 0
	for i, s := range scenes {
		fmt.Fprintf(out, "\n%d. %s\n", i+1, s.title)
		if err := d.play(ctx, stack.Sandbox, s); err != nil {
			fmt.Fprintf(out, "   DIFFERENT: %v\n", err)
			different++
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	for i, story := range []struct {
		title string
		tell  func(context.Context, *devstack.Stack) error
	}{
		{"A scheduled export survives a reset connection and a killed worker", d.export},
		{"starter health --watch while the vendor goes down, comes back, throttles", d.health},
		{"What people were notified of, at a webhook that verifies the signature", d.notify},
	} {
		fmt.Fprintf(out, "\n%d. %s\n", len(scenes)+i+1, story.title)
		if err := story.tell(ctx, stack); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprintf(out, "   DIFFERENT: %v\n", err)
			different++
		}
	}
	fmt.Fprintln(out, "\nthe audit record, integration_run_logs:")
	if _, err := d.run(ctx, "logs", "--org", d.organization); err != nil {
		return err
	}
	if err := d.look(ctx); err != nil {
		return fmt.Errorf("the console: %w", err)
	}
	fmt.Fprintf(out, "everything in the Temporal UI: %s/namespaces/%s/workflows\n", stack.Temporal.UIURL(), stack.Temporal.Namespace)
	if different > 0 {
		return fmt.Errorf("%d of %d scenes came out differently", different, len(scenes)+3)
	}
	fmt.Fprintf(out, "all %d scenes came out as announced\n", len(scenes)+3)
	if exit {
		return nil
	}
	example, err := stack.File("eksempel.yaml", stack.Example(uuid.New(), ""))
	if err != nil {
		return err
	}
	if _, err := d.run(ctx, "integrations", "apply", "-f", example); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nthe stack stays up until Ctrl-C; to try it yourself, paste these lines in another terminal:")
	for _, v := range append(d.env, "LEDGERLINE_ORG=eksempel", "PATH="+filepath.Dir(starter)+":$PATH") {
		if !strings.HasPrefix(v, "LEDGERLINE_LISTEN") {
			fmt.Fprintf(out, "  export %s\n", v)
		}
	}
	fmt.Fprintln(out, "  starter call --integration xledger-main --operation ping")
	fmt.Fprintf(out, "eksempel is an organization without entries; docs/month-end.md is a tour of five minutes with it, and %s/o/eksempel shows it meanwhile\n", d.consoleURL)
	<-ctx.Done()
	return nil
}

type demo struct {
	out                io.Writer
	starter, workerBin string
	worker             *devstack.Process
	env                []string
	organization       string
	consoleURL         string
	notices            *notices
}

// file is the demo's integration file, with a channel for notifications.
func (d *demo) file(stack *devstack.Stack) string {
	organization := uuid.MustParse(d.organization)
	stack.Secret(organization, "webhook-secret", webhookSecret)
	return stack.Integrations(organization, "") + d.notices.channel()
}

var listening = regexp.MustCompile(`"listen":"([^"]+)"`)

// startWorker starts a worker and prints where it answers.
func (d *demo) startWorker(ctx context.Context, stack *devstack.Stack) (err error) {
	if d.worker, err = devstack.StartWorker(ctx, d.workerBin, nil, d.notices.env(stack, devstack.Worker)); err != nil {
		return err
	}
	if at := listening.FindStringSubmatch(d.worker.Output()); at != nil {
		fmt.Fprintf(d.out, "  worker       http://%[1]s/readyz, http://%[1]s/metrics\n", at[1])
	}
	return nil
}

// run runs the starter, shows what it prints and returns its standard output.
func (d *demo) run(ctx context.Context, args ...string) ([]byte, error) {
	result, err := d.quiet(ctx, args...)
	if args[0] != "call" {
		fmt.Fprint(d.out, indent(string(result)))
	}
	return result, err
}

// quiet runs the starter and returns its standard output.
func (d *demo) quiet(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, d.starter, args...)
	c.Env = append(os.Environ(), d.env...)
	var result, words bytes.Buffer
	c.Stdout, c.Stderr = &result, &words
	if err := c.Run(); err != nil {
		return result.Bytes(), fmt.Errorf("starter %s: %w: %s", args[0], err, words.String())
	}
	return result.Bytes(), nil
}

// play makes a scene's call and compares its outcome.
func (d *demo) play(ctx context.Context, sb *sandbox.Sandbox, s scene) error {
	sb.Script(s.script...)
	args := []string{"call", "--org", d.organization, "--integration", s.integration}
	if s.body == "" {
		args = append(args, "--operation", "ping")
	} else {
		args = append(args, "--body", s.body)
	}
	began := time.Now()
	result, err := d.run(ctx, args...)
	if err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Fprint(d.out, indent(string(result)))
	fmt.Fprintf(d.out, "   took %v\n", took.Round(100*time.Millisecond))
	var o workflows.Outcome
	if err := json.Unmarshal(result, &o); err != nil {
		return err
	}
	if o.Effect == classify.Open {
		until := "it"
		if o.OpenUntil != nil {
			until = "after " + o.OpenUntil.Local().Format("15:04:05 MST") + " it"
		}
		fmt.Fprintf(d.out, "   the effect is open: the vendor may have it all the same, and it is not sent again by itself. Look at the vendor: %s has it or never will.\n"+
			"   Then correct it and make a new call. Exports do that by themselves: they ask the vendor before they send again.\n", until)
	}
	switch {
	case o.OK != s.want.ok:
		return fmt.Errorf("ok is %v, announced %v", o.OK, s.want.ok)
	case o.TotalAttempts != s.want.attempts:
		return fmt.Errorf("%d attempts, announced %d", o.TotalAttempts, s.want.attempts)
	case took < s.want.minimum:
		return fmt.Errorf("took %v, announced at least %v of waits", took, s.want.minimum)
	case o.OK:
		return nil
	case string(o.Failure.ErrorClass) != s.want.class || o.Failure.IsRetryable:
		return fmt.Errorf("class %s, retryable %v; announced %s, false", o.Failure.ErrorClass, o.Failure.IsRetryable, s.want.class)
	case o.Failure.HTTPStatus == nil || *o.Failure.HTTPStatus != s.want.status:
		return fmt.Errorf("another HTTP status than %d", s.want.status)
	}
	return nil
}

func indent(s string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n   ") + "\n"
}
