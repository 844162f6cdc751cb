// Package console is the page on which finance staff get their month done, and
// the same as JSON for programs.
//
// Each thing that is shown is a view: a function that loads data, a template
// that shows it to people, and an address at which programs get it as JSON.
// Each thing that can be done is an action: a function that does it, for a form
// and for a program. The table in routes.go lists both, with the role that each
// needs; nothing is served that is not in it, and its checks are made before
// any function runs. So a new view or action is checked, tested as an attacker
// would, and documented by being in the table.
//
// An action is on record before it is done: who, what, and what there was. It
// has a key that makes it happen once, however often it is sent.
//
// The package decides nothing about exports: what may be sent again, what an
// import changes and what needs a person is for the packages to say that the
// command line uses too.
package console

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Options are what a console works with.
type Options struct {
	DB          runlog.Beginner // as a user with the role ledgerline_console
	Sources     *runlog.Sources // of entries other than the default one
	Temporal    client.Client   // that exports and calls run on
	SignIn      *signin.SignIn  // who somebody is
	PublicURL   *url.URL        // where people reach it
	Log         *slog.Logger    // of what goes wrong, and of actions
	Metrics     prometheus.Registerer
	Trace       Trace            // nil is none
	Now         func() time.Time // nil is the clock
	Development bool             // everybody is one person, and pages say so
	Every       time.Duration    // how often a page that is open looks for changes; 0 is 2 s
}

// Trace begins a trace of what somebody asks for, which concerns subject; end is called with
// what came of it.
type Trace = func(ctx context.Context, name string, subject any) (traced context.Context, end func(result any, err error))

// Console serves pages and the API.
type Console struct {
	Options
	handler   http.Handler
	templates map[words.Language]*template.Template
	printers  map[words.Language]*words.Printer
	limits    limits
	jobs      jobs
	streams   streams
	reads     turns
	measures  measures
}

// New makes a console.
func New(o Options) (*Console, error) {
	if o.DB == nil || o.SignIn == nil || o.PublicURL == nil || o.Log == nil {
		return nil, errors.New("console: DB, SignIn, PublicURL and Log are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Trace == nil {
		o.Trace = func(ctx context.Context, _ string, _ any) (context.Context, func(any, error)) {
			return ctx, func(any, error) {}
		}
	}
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	c := &Console{Options: o, printers: make(map[words.Language]*words.Printer), templates: make(map[words.Language]*template.Template)}
	zone := integrations.Integration{}.Zone()
	for _, l := range words.Languages {
		c.printers[l] = words.For(l, zone)
		parsed, err := parseTemplates(c.printers[l])
		if err != nil {
			return nil, err
		}
		c.templates[l] = parsed
	}
	var err error
	if c.measures, err = newMeasures(o.Metrics); err != nil {
		return nil, err
	}
	c.handler, err = c.routes()
	return c, err
}

// ServeHTTP serves a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Close ends what runs in the background, and waits for it.
func (c *Console) Close(ctx context.Context) error {
	c.streams.close()
	return c.jobs.close(ctx)
}

// background is a group of goroutines that can be closed.
type background struct {
	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
}

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}
