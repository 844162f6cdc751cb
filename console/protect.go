package console

import (
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/ledgerline/ledgerline/console/words"
)

// policy is what a page may load and where it may send: our own files, and our own
// addresses. There is no inline script or style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// protected wraps everything that is served.
func (c *Console) protected(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	deny := func(*request) error { return refuse(http.StatusForbidden, "cross_origin") }
	page, api := c.public("cross_origin", false, deny), c.public("cross_origin", true, deny)
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	}))
	checked := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store") // also of what somebody else reads after a sign-out
		if c.PublicURL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p) // the connection ends, so that what was sent does not look whole
			default:
				c.Log.Error("a request panicked", "path", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxUpload+2<<20) // an operation allows less
		checked.ServeHTTP(w, r)
	})
}

// cached lets a browser keep what is built into the program and has the build in its address.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") || r.URL.Path == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

const languageCookie = "ledgerline-language"

// languageOf is the language that was chosen, or the browser's.
func languageOf(r *http.Request) words.Language {
	if c, err := r.Cookie(languageCookie); err == nil {
		for _, l := range words.Languages {
			if string(l) == c.Value {
				return l
			}
		}
	}
	return words.Match(r.Header.Get("Accept-Language"))
}

// Operations that one person may ask for in a minute, in one organization.
const (
	operationsAMinute = 30
	operationsAtOnce  = 15
	mostLimiters      = 10_000
)

// limits are how many operations each person may ask for.
type limits struct {
	mu  sync.Mutex
	all map[string]*limiter
}

type limiter struct {
	*rate.Limiter
	used time.Time
}

// allow reports whether somebody may do something more now.
func (l *limits) allow(whose string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[string]*limiter)
	}
	one := l.all[whose]
	if one == nil {
		if len(l.all) >= mostLimiters {
			for name, other := range l.all {
				if now.Sub(other.used) > time.Minute { // full again
					delete(l.all, name)
				}
			}
		}
		one = &limiter{Limiter: rate.NewLimiter(rate.Every(time.Minute/operationsAMinute), operationsAtOnce)}
		l.all[whose] = one
	}
	one.used = now
	return one.AllowN(now, 1)
}

// measures are the console's metrics.
type measures struct {
	requests   *prometheus.HistogramVec
	operations *prometheus.CounterVec
	streams    prometheus.Gauge
}

func newMeasures(registry prometheus.Registerer) (m measures, err error) {
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ledgerline_console_request_duration_seconds",
		Help: "How long requests took, by route and class of status.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route", "status"})
	m.operations = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ledgerline_console_operations_total",
		Help: "What people asked for, by operation and result: done, refused or failed."}, []string{"operation", "result"})
	m.streams = prometheus.NewGauge(prometheus.GaugeOpts{Name: "ledgerline_console_streams", Help: "Pages that are open and wait for changes."})
	if registry != nil {
		for _, one := range []prometheus.Collector{m.requests, m.operations, m.streams} {
			if err := registry.Register(one); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// served counts a request.
func (m measures) served(route string, status int, took time.Duration) {
	class := "2xx"
	if status >= 300 {
		class = string(rune('0'+status/100)) + "xx"
	}
	m.requests.WithLabelValues(route, class).Observe(took.Seconds())
}
