package console

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Streams at once.
const (
	mostStreams   = 500
	streamsOfOne  = 20
	streamFor     = 10 * time.Minute // then the browser asks again, and is checked again
	streamRecheck = 30 * time.Second
)

// streams are pages that are open and wait for changes.
type streams struct {
	background
	done  chan struct{}
	count map[string]int
	all   int
}

func (s *streams) enter(whose string) (end <-chan struct{}, leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.all >= mostStreams || s.count[whose] >= streamsOfOne {
		return nil, nil, false
	}
	if s.count == nil {
		s.count = make(map[string]int)
	}
	if s.done == nil {
		s.done = make(chan struct{})
	}
	s.all++
	s.count[whose]++
	return s.done, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.count[whose]--; s.count[whose] == 0 {
			delete(s.count, whose)
		}
	}, true
}

func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.done != nil {
		close(s.done)
	}
	s.closed = true
}

// stream tells a page that is open when what it shows has changed. It sends no contents: the
// page asks for itself again, so what it may show is decided in one place. That the record
// cannot be asked is said too.
func (r *request) stream(v view) error {
	end, leave, ok := r.c.streams.enter(r.who.Subject)
	if !ok {
		return refuse(http.StatusTooManyRequests, "too_many")
	}
	defer leave()
	r.lasts = true
	r.c.measures.streams.Inc()
	defer r.c.measures.streams.Dec()
	if _, err := v.load(r); err != nil && problemOf(err).Status < 500 {
		return err // there is no such page
	}
	control := http.NewResponseController(r.w)
	_ = control.SetWriteDeadline(time.Time{})
	_ = control.SetReadDeadline(time.Time{}) // else the server takes its end for that of the reader
	r.w.Header().Set("Content-Type", "text/event-stream")
	r.w.WriteHeader(http.StatusOK)
	send := func(event string) error {
		if _, err := fmt.Fprintf(r.w, "event: %s\ndata: %s\n\n", event, r.c.Now().UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		return control.Flush()
	}
	last, trouble, began, checked := "", false, time.Now(), time.Now()
	for {
		if time.Since(checked) > streamRecheck {
			err := r.signIn()
			if err == nil {
				err = r.permit(v.role)
			}
			switch {
			case err == nil:
				checked = time.Now()
			case problemOf(err).Status < 500:
				return send("end") // the page asks again, and is sent to sign in or learns why not
			}
		}
		r.now = r.c.Now()
		data, err := v.load(r)
		var now string
		if err == nil {
			var b []byte
			if b, err = json.Marshal(data); err == nil {
				now = fmt.Sprintf("%x", sha256.Sum256(b))
			}
		}
		event := ""
		switch {
		case r.Context().Err() != nil:
			return nil
		case err != nil && problemOf(err).Status < 500:
			return send("end") // what it shows is there no more
		case err != nil && !trouble:
			event, trouble = "trouble", true
		case err == nil && trouble:
			event, trouble, last = "changed", false, now
		case err == nil && last == "":
			event, last = "ready", now
		case err == nil && now != last:
			event, last = "changed", now
		}
		if event == "" {
			event = "beat"
		}
		if send(event) != nil {
			return nil
		}
		if time.Since(began) > streamFor {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-end:
			return nil
		case <-time.After(r.c.Every):
		}
	}
}
