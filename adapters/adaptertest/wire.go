package adaptertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// wire is the server between an adapter and its vendor. It keeps what arrived, and
// lies when it is asked to.
type wire struct {
	*httptest.Server
	vendor http.Handler
	base   string        // the path of the base URL
	stop   chan struct{} // closed at the end

	mu    sync.Mutex
	seen  []arrival
	lies  func(arrival) *lie // nil: none
	conns map[net.Conn]bool
}

// arrival is a request that arrived, whole.
type arrival struct {
	*http.Request
	body   []byte
	vendor bool // it is for the vendor, and not for a token
	n      int  // ordinal among those for the vendor, from 0, since the wire was last asked to lie
}

// lie is what the wire does with a request. The zero lie lets the vendor act and
// loses its answer.
type lie struct {
	unheard bool                // the vendor does not hear of the request
	late    chan struct{}       // it hears of it when this is closed
	done    chan struct{}       // closed when it has acted on what came late
	answer  *Answer             // in place of the vendor's
	rewrite func(Answer) Answer // of the vendor's answer

	how   string // "", or one of those below
	after int    // bytes of the body that come before that
}

// How an answer can fail to come. With "" and without an answer or a rewrite, the
// connection is closed.
const (
	reset      = "reset"
	hang       = "hang"
	cutHeaders = "cut headers"
	cutBody    = "cut body"
)

// newWire returns a wire that is not started.
func newWire(vendor http.Handler) *wire {
	w := &wire{vendor: vendor, stop: make(chan struct{}), conns: make(map[net.Conn]bool)}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.Config.ErrorLog = log.New(io.Discard, "", 0) // whoever lies is not believed
	w.Config.ConnState = func(c net.Conn, s http.ConnState) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if s == http.StateClosed || s == http.StateHijacked {
			delete(w.conns, c)
		} else {
			w.conns[c] = true
		}
	}
	return w
}

func (w *wire) close() {
	close(w.stop)
	w.CloseClientConnections()
	w.Close()
}

// lie makes the wire lie about the requests to the vendor for which lies returns
// something; nil ends that.
func (w *wire) lie(lies func(arrival) *lie) {
	w.lieOfAll(func(s arrival) *lie {
		if lies == nil || !s.vendor {
			return nil
		}
		return lies(s)
	})
}

// lieOfAll is lie, also about requests for tokens.
func (w *wire) lieOfAll(lies func(arrival) *lie) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.lies = nil, lies
}

// say makes the wire answer every request to the vendor in the same way.
func (w *wire) say(l lie) { w.lie(func(arrival) *lie { return &l }) }

// all returns what arrived since the wire was last asked to lie.
func (w *wire) all() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.seen...)
}

// asked counts the requests to the vendor among them.
func (w *wire) asked() (n int) {
	for _, s := range w.all() {
		if s.vendor {
			n++
		}
	}
	return n
}

// after returns what arrived after the first request to the vendor.
func (w *wire) after() []arrival {
	all := w.all()
	for i, s := range all {
		if s.vendor {
			return all[i+1:]
		}
	}
	return nil
}

// connections counts those that are open.
func (w *wire) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

func (w *wire) arrive(r *http.Request, body []byte) (arrival, *lie) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := arrival{Request: r.Clone(context.Background()), body: body, vendor: strings.HasPrefix(r.URL.Path, w.base)}
	for _, before := range w.seen {
		if before.vendor {
			s.n++
		}
	}
	w.seen = append(w.seen, s)
	if w.lies == nil {
		return s, nil
	}
	return s, w.lies(s)
}

func (w *wire) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it never arrived whole
	}
	s, l := w.arrive(r, body)
	if l == nil {
		send(rw, w.ask(s))
		return
	}
	if l.late != nil {
		select {
		case <-l.late:
			w.ask(s)
			close(l.done)
		case <-w.stop:
		}
		return
	}
	var a Answer
	if !l.unheard {
		a = w.ask(s)
	}
	switch {
	case l.answer != nil:
		a = *l.answer
	case l.rewrite != nil:
		a = l.rewrite(a)
	case l.how == "":
		hangUp(rw, nil, false)
		return
	}
	switch l.how {
	case reset:
		hangUp(rw, nil, true)
	case cutHeaders:
		hangUp(rw, []byte("HTTP/1.1 200 O"), false)
	case cutBody:
		rw.Header().Set("Content-Length", fmt.Sprint(len(a.Body)+1))
		a.Body = a.Body[:min(l.after, len(a.Body))]
		send(rw, a)
	case hang:
		if l.after > 0 {
			rw.Header().Set("Content-Length", fmt.Sprint(len(a.Body)+1))
			a.Body = a.Body[:min(l.after, len(a.Body))]
			send(rw, a)
			_ = http.NewResponseController(rw).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-w.stop:
		}
	default:
		send(rw, a)
	}
}

// ask lets the vendor act. It does not notice whether the client is still there.
func (w *wire) ask(s arrival) Answer {
	r := s.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(s.body))
	r.ContentLength = int64(len(s.body))
	rec := httptest.NewRecorder()
	w.vendor.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header().Clone(), rec.Body.String()}
}

func send(rw http.ResponseWriter, a Answer) {
	for name, values := range a.Header {
		if name != "Content-Length" {
			rw.Header()[name] = values
		}
	}
	if a.Body != "" && rw.Header().Get("Content-Type") == "" {
		rw.Header().Set("Content-Type", "application/json")
	}
	rw.WriteHeader(a.Status)
	_, _ = io.WriteString(rw, a.Body)
}

// hangUp closes a connection after some bytes, with a reset if asked.
func hangUp(rw http.ResponseWriter, bytes []byte, reset bool) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = conn.Write(bytes)
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// secretHeaders are headers that carry a secret and nothing else.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "X-Api-Key", "Api-Key", "Ocp-Apim-Subscription-Key", "X-Auth-Token"}

// secrets are those that a request carries in its headers: a token without the
// word before it, a password without the user.
func (s arrival) secrets() (list []string) {
	for _, name := range secretHeaders {
		for _, value := range s.Header.Values(name) {
			words := strings.Fields(value)
			if len(words) == 0 {
				continue
			}
			secret := words[len(words)-1]
			if pair, err := base64.StdEncoding.DecodeString(secret); err == nil && strings.EqualFold(words[0], "Basic") {
				_, secret, _ = strings.Cut(string(pair), ":")
			}
			list = append(list, secret)
		}
	}
	return list
}

// String names a request in a message.
func (s arrival) String() string { return s.Method + " " + s.URL.Path }
