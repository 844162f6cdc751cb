package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// wire is a proxy between the workers and one thing that they need. What goes
// through it is counted before any other toxic, so that a fault which nothing
// met is known.
type wire struct {
	name, listen, upstream string
	proxy                  *toxiproxy.Proxy
	meters                 []*meter // of every proxy that it has had
}

// toxic is one of toxiproxy's, or of the two below.
type toxic struct {
	kind   string // such as latency
	stream string // upstream is towards the server
	attrs  string // JSON
}

// newWire starts a proxy to a "host:port".
func newWire(name, upstream string) (*wire, error) {
	toxics.Register("meter", new(meter))
	toxics.Register("cut_after_commit", new(cutAfterCommit))
	w := &wire{name: name, listen: "127.0.0.1:0", upstream: upstream}
	_, err := w.become(nil)
	return w, err
}

// address is where the workers find it.
func (w *wire) address() string { return w.listen }

// become replaces the proxy by one with other toxics and closes every
// connection. Changing the toxics of one that has connections would hold
// requests back, and one that comes to the vendor after its attempt was given up
// and asked about is what no protocol survives.
func (w *wire) become(list []toxic) (added []toxics.Toxic, err error) {
	if w.proxy != nil {
		w.proxy.Stop()
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w.proxy = toxiproxy.NewProxy(server, w.name, w.listen, w.upstream)
	for _, t := range append([]toxic{{"meter", "upstream", "{}"}, {"meter", "downstream", "{}"}}, list...) {
		text := fmt.Sprintf(`{"name":"%s-%s","type":"%[1]s","stream":"%[2]s","attributes":%[3]s}`, t.kind, t.stream, t.attrs)
		made, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("toxic %s: %w", text, err)
		}
		if m, ok := made.Toxic.(*meter); ok {
			w.meters = append(w.meters, m)
		}
		added = append(added, made.Toxic)
	}
	// The address may for a moment be the near end of somebody's connection.
	for range 50 {
		if err = w.proxy.Start(); err == nil {
			w.listen = w.proxy.Listen
			return added, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, err
}

// spoil puts toxics on the wire, runs during and takes them off again. met
// says how many pieces of data came by meanwhile; for cut_after_commit, how many
// commits it cut off.
func (w *wire) spoil(list []toxic, during func(met func() int64)) (n int64, err error) {
	before := w.seen()
	met := func() int64 { return w.seen() - before }
	added, err := w.become(list)
	if err != nil {
		return 0, err
	}
	for _, t := range added {
		if c, ok := t.(*cutAfterCommit); ok {
			met = c.cut.Load
		}
	}
	during(met)
	n = met()
	_, err = w.become(nil)
	return n, err
}

// seen is how many pieces of data have come by.
func (w *wire) seen() (n int64) {
	for _, m := range w.meters {
		n += m.seen.Load()
	}
	return n
}

// pass hands data on until the toxic is taken off or the connection ends. It
// closes the connection when keep says no.
func pass(stub *toxics.ToxicStub, keep func(data []byte) bool) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil || !keep(c.Data) {
				stub.Close()
				return
			}
			stub.Output <- c
		}
	}
}

// meter counts.
type meter struct{ seen atomic.Int64 }

// Pipe implements [toxics.Toxic].
func (m *meter) Pipe(stub *toxics.ToxicStub) {
	pass(stub, func([]byte) bool { m.seen.Add(1); return true })
}

// cutAfterCommit closes a connection in place of the server's word that a
// transaction is committed: it is, and the client cannot know.
type cutAfterCommit struct{ cut atomic.Int64 }

// committed is the message CommandComplete of a commit.
var committed = []byte("COMMIT\x00")

// Pipe implements [toxics.Toxic].
func (t *cutAfterCommit) Pipe(stub *toxics.ToxicStub) {
	pass(stub, func(data []byte) bool {
		if bytes.Contains(data, committed) && t.cut.Load() < 4 {
			t.cut.Add(1)
			return false
		}
		return true
	})
}

// until polls a condition.
func until(ctx context.Context, every time.Duration, done func() bool) bool {
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(every):
		}
	}
	return true
}

// pause waits, and no longer than ctx lives.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
