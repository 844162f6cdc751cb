package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// webhookSecret signs the demo's notifications. It protects nothing.
const webhookSecret = "whsec_bGVkZ2VybGluZS1kZW1vLW5vdC1hLXNlY3JldCEh"

// oneAtATime lets several write whole lines.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// notices is a receiver of notifications on this machine: it verifies each and prints
// what people would be notified of.
type notices struct {
	out  io.Writer
	host string
	http *http.Server

	mu   sync.Mutex
	seen map[string]string // type by webhook-id
}

func receiveNotices(out io.Writer) (*notices, error) {
	verifier, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &notices{out: out, host: l.Addr().String(), seen: make(map[string]string)}
	n.http = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || verifier.Verify(body, r.Header) != nil { // also refuses what is older than five minutes
			http.Error(w, "not from Ledgerline", http.StatusUnauthorized)
			return
		}
		n.take(r.Header.Get("webhook-id"), body)
	})}
	go func() { _ = n.http.Serve(l) }()
	return n, nil
}

// take prints a notification that was not seen before: the ID is the same at every attempt.
func (n *notices) take(id string, body []byte) {
	var m struct {
		Type string
		Data struct {
			Summary  string
			Commands []string
		}
	}
	if json.Unmarshal(body, &m) != nil {
		return
	}
	n.mu.Lock()
	before := n.seen[id]
	n.seen[id] = m.Type
	n.mu.Unlock()
	if before != "" {
		return
	}
	line := fmt.Sprintf("   ▶ notification %s (signature verified): %s", m.Type, m.Data.Summary)
	if len(m.Data.Commands) > 0 {
		line += " See: " + strings.Join(m.Data.Commands, "; ")
	}
	fmt.Fprintln(n.out, line)
}

// arrived reports whether a notification of a type was received.
func (n *notices) arrived(kind string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.seen {
		if k == kind {
			return true
		}
	}
	return false
}

// channel is the section of the integration file that names the receiver.
func (n *notices) channel() string {
	return fmt.Sprintf("notifications:\n  - {name: ops, webhook: {url: http://%s/ledgerline, secret: file:webhook-secret}}\n", n.host)
}

// env lets programs call the receiver, which has no public address and no TLS.
func (n *notices) env(stack *devstack.Stack, user string) []string {
	return withVariable(stack.Env(user), "LEDGERLINE_DEV_VENDOR_HOSTS", strings.Join(append(stack.DevHosts(), n.host), ","))
}

// withVariable sets a variable of an environment, which has each once: people paste all of it.
func withVariable(env []string, name, value string) []string {
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(env, name+"="+value)
}

// notify shows what people were notified of, and that a test notification arrives.
func (d *demo) notify(ctx context.Context, _ *devstack.Stack) error {
	for _, args := range [][]string{
		{"notifications", "test", "--org", d.organization},
		{"notifications", "list", "--org", d.organization},
	} {
		fmt.Fprintf(d.out, "   $ starter %s\n", strings.Join(args, " "))
		if _, err := d.run(ctx, args...); err != nil {
			return err
		}
	}
	for _, kind := range []string{"ledgerline.test", "ledgerline.rejected"} {
		if !d.notices.arrived(kind) {
			return fmt.Errorf("announced a notification %s; none has arrived", kind)
		}
	}
	return nil
}
