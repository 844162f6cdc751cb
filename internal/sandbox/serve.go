package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"time"
)

// maxBody is the largest request that is read, in bytes.
const maxBody = 32 << 20

// vendor registers a vendor's handler behind the log and the script.
func (s *Sandbox) vendor(name, pattern string, handle func(*call)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return // the client has gone
		}
		j := s.arrive(name, r, body)
		j.handle = handle
		if s.options.Observe != nil {
			s.options.Observe(j.said)
		}
		if s.options.Choose != nil {
			s.choose(j, s.options.Choose(j.said))
		}
		s.accept(j)
		switch {
		case s.await(r.Context(), j):
			send(w, r, j.answer, j.rule)
		case r.Context().Err() == nil:
			hangUp(w, false) // the sandbox was reset
		}
	})
}

// arrive notes a request and chooses its rule.
func (s *Sandbox) arrive(vendor string, r *http.Request, body []byte) *job {
	e := &LogEntry{
		Vendor: vendor, Method: r.Method, Path: r.URL.Path, CorrelationID: r.Header.Get("X-Ms-Client-Request-Id"), Credential: "none",
	}
	if e.CorrelationID == "" {
		e.CorrelationID = r.Header.Get("X-Correlation-ID")
	}
	said := body
	if len(said) == 0 {
		said = []byte(r.URL.RawQuery)
	}
	c := &call{Request: r, body: body, entry: e, vendor: vendor, sb: s, answer: newAnswer()}
	if vendor == "xledger" {
		c.asked = s.ask(body)
	}
	e.Operation = c.operation()
	k := contentsOf(c)
	e.Wrote, e.Keys, e.LookupKeys = k.writes, k.keys, k.lookupKeys
	s.lock()
	defer s.unlock()
	e.At = s.now()
	if e.CorrelationID != "" {
		s.attempts[vendor+e.CorrelationID]++
		e.Attempt = s.attempts[vendor+e.CorrelationID]
	}
	rule, number := s.pick(e, said)
	e.Rule, e.Seq = number, len(s.log)+1
	s.log = append(s.log, *e) // it has reached us, whatever becomes of it
	c.first = rule.ActFirst
	return &job{
		call: c, rule: rule, epoch: s.epoch, known: make(chan struct{}), said: *e, attended: true,
	}
}

// choose gives a request a rule in place of the scripted one; nil leaves it.
func (s *Sandbox) choose(j *job, r *Rule) {
	if r == nil {
		return
	}
	s.lock()
	defer s.unlock()
	j.rule = *r
	j.rule.scripted = view(len(s.changes))
	j.call.first = r.ActFirst
}

// send writes the answer, with what the rule does to it on the way.
func send(w http.ResponseWriter, r *http.Request, a answer, rule Rule) {
	switch {
	case rule.Hang:
		<-r.Context().Done()
		return
	case rule.Drop != "" || rule.Reset != "":
		hangUp(w, rule.Reset != "")
		return
	case rule.CutHeaders > 0:
		cutHeaders(w, a, rule.CutHeaders)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	body := a.body
	if rule.TruncateAt > 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		body = body[:min(rule.TruncateAt, len(body))]
	}
	w.WriteHeader(a.status)
	if rule.DripMS == 0 {
		_, _ = w.Write(body)
		return
	}
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Duration(rule.DripMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// hangUp closes the connection without an answer, with a reset if asked.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// cutHeaders sends the beginning of an answer, at most up to the empty line
// that ends its headers, and closes.
func cutHeaders(w http.ResponseWriter, a answer, n int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&head)
	fmt.Fprintf(&head, "Content-Length: %d\r\n", len(a.body))
	_, _ = conn.Write(head.Bytes()[:min(n, head.Len())])
	conn.Close()
}

// operation names what is asked: the first root field, or the path's last segment.
func (c *call) operation() string {
	if c.vendor != "xledger" {
		return path.Base(c.URL.Path)
	}
	if len(c.asked.fields) == 0 {
		return ""
	}
	return c.asked.fields[0].Name
}
