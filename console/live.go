package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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

	looks  map[string]*look // by what is shown
	places chan struct{}
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

// shared names what a page shows: two that show the same to people of the same organization, role
// and language wait for the same changes.
func (r *request) shared(v view) string {
	return strings.Join([]string{v.name, r.org.ID.String(), string(r.role), string(r.said.Language()), r.URL.EscapedPath(), r.URL.RawQuery}, "\n")
}

// mark is what a view shows now, in short.
func (r *request) mark(v view) (string, error) {
	data, err := v.load(r)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(data)
	return fmt.Sprintf("%x", sha256.Sum256(b)), err
}

// look is one look at what a page shows, for all who have it open.
type look struct {
	done  chan struct{} // closed when it has ended
	mark  string
	err   error
	ended time.Time
}

// Looks at the record.
const (
	looksAtOnce = 2                // of all pages that are open, so that the database has its time for who loads one
	lookFor     = 30 * time.Second // at most
)

// state is what a page shows, as of a look that ended less than every ago, or of one that is
// under way, or of a new one. So the record is looked at once for all who have a page open.
func (s *streams) state(ctx context.Context, what string, every time.Duration, load func(context.Context) (string, error)) (string, error) {
	s.mu.Lock()
	one := s.looks[what]
	if one == nil || !one.ended.IsZero() && time.Since(one.ended) >= every*9/10 {
		one = &look{done: make(chan struct{})}
		if s.looks == nil {
			s.looks = make(map[string]*look)
			s.places = make(chan struct{}, looksAtOnce)
		}
		for name, other := range s.looks {
			if !other.ended.IsZero() && time.Since(other.ended) > 10*every { // nobody has it open any more
				delete(s.looks, name)
			}
		}
		s.looks[what] = one
		go s.look(context.WithoutCancel(ctx), one, load) // it is for others too, who may stay
	}
	s.mu.Unlock()
	select {
	case <-one.done:
		return one.mark, one.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// look looks, when there is a place.
func (s *streams) look(ctx context.Context, one *look, load func(context.Context) (string, error)) {
	s.places <- struct{}{}
	defer func() { <-s.places }()
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	mark, err := load(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	one.mark, one.err, one.ended = mark, err, time.Now()
	close(one.done)
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
		shared := *r // which outlives this page, where others have it open
		now, err := r.c.streams.state(r.Context(), r.shared(v), r.c.Every, func(ctx context.Context) (string, error) {
			shared.Request = shared.Request.WithContext(ctx)
			return shared.mark(v)
		})
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
