package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TemporalOptions configure [StartTemporal]. The zero value works.
type TemporalOptions struct {
	// Address is that of a server which somebody else runs, "host:port". A namespace is
	// made there; Config and Server are not applied, and the server is not stopped.
	Address string

	Port   int               // of the frontend; 0, or taken: a free one
	UIPort int               // 0, or taken: a free one
	UI     bool              // serve the web interface
	Config map[string]string // dynamic configuration over the defaults: YAML values by key
	Server map[string]any    // the server's configuration file, merged over the defaults
	Split  bool              // each of [TemporalServices] is a process of its own
	Client client.Options    // with what this program reaches the server: TLS and credentials

	// InternalFrontend gives the server's own workers a way in of their own, which they
	// need where Server has TLS or an authorizer for all others.
	InternalFrontend bool
	Log              io.Writer // what is being done, for people
}

// Temporal is a Temporal server on a PostgreSQL of its own, so that tests can stop
// Ledgerline's and not Temporal with it. It has a namespace with Ledgerline's search
// attributes.
type Temporal struct {
	Namespace string

	options  TemporalOptions
	dir      string
	programs temporalPrograms
	postgres *Postgres
	servers  map[string]*Process // by service; one, allServices, unless they are split
	ui       *Process
}

// TemporalServices are what a Temporal server consists of.
var TemporalServices = []string{"frontend", "history", "matching", "worker"}

// allServices is the name of the process of a server that is not split.
const allServices = "all"

// The namespace of a server that this package starts, and the databases of that server.
const (
	ownNamespace       = "default"
	temporalDatabase   = "temporal"
	visibilityDatabase = "temporal_visibility"
)

// searchAttributes are those of package workflows, which this package does not
// import; a test there compares them.
var searchAttributes = []string{"OrganizationId", "IntegrationId", "AdapterName", "CorrelationId", "ErrorClass", "Outcome"}

// StartTemporal starts the server that tools/ pins. The first time it is built, which
// takes minutes.
func StartTemporal(ctx context.Context, o TemporalOptions) (t *Temporal, err error) {
	t = &Temporal{Namespace: ownNamespace, options: o}
	if o.Address != "" {
		t.Namespace = "ledgerline-" + uuid.NewString()
		return t, until(ctx, func() error { return t.ready(ctx) })
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if t.programs, err = buildTemporal(ctx, logTo(o.Log)); err != nil {
		return t, err
	}
	template, err := temporalTemplate(ctx, t.programs, o.Log)
	if err != nil {
		return t, err
	}
	if t.postgres, err = StartPostgres(ctx, PostgresOptions{Log: o.Log, Template: template}); err != nil {
		return t, err
	}
	return t, t.begin(ctx)
}

// begin starts the server for the first time: on the ports that were asked for, and if
// one is taken, on others.
func (t *Temporal) begin(ctx context.Context) (err error) {
	if t.dir, err = os.MkdirTemp("", "ledgerline-temporal-"); err != nil {
		return err
	}
	for try := 0; ; try++ {
		for _, port := range []*int{&t.options.Port, &t.options.UIPort} {
			if *port == 0 || !portFree(*port) || try > 0 {
				*port = lowPort()
			}
		}
		if err = t.configure(); err != nil {
			return err
		}
		if err = t.startWithin(ctx, startLimit); err == nil {
			return nil
		}
		if ctx.Err() != nil || try == 4 {
			return err
		}
		fmt.Fprintf(logTo(t.options.Log), "the Temporal server did not start; again on other ports: %v\n", err)
	}
}

// startLimit is more than a server takes to start, also on a busy machine. One that has no
// work by then never gets any.
const startLimit = 3 * time.Minute

func (t *Temporal) startWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.Start(ctx)
}

// lowPort returns a port that is free now and below those that the kernel gives away.
// Temporal keeps its gRPC ports in a smallint.
func lowPort() int {
	for {
		if port := 10_000 + rand.IntN(22_000); portFree(port) {
			return port
		}
	}
}

// shards is the number of history shards of a development server. It is fixed when the
// database is made.
const shards = 4

// configure writes the files of the server and of the web interface. JSON is YAML.
func (t *Temporal) configure() error {
	datastore := func(database string, connections int) map[string]any {
		return map[string]any{"sql": map[string]any{
			"pluginName": "postgres12_pgx", "databaseName": database, "user": "postgres", "connectProtocol": "tcp",
			"connectAddr": fmt.Sprintf("127.0.0.1:%d", t.postgres.Port()), "maxConns": connections, "maxIdleConns": connections,
		}}
	}
	service := func(port int) map[string]any {
		return map[string]any{"rpc": map[string]any{"grpcPort": port, "membershipPort": lowPort(), "bindOnLocalHost": true}}
	}
	dynamic := map[string][]map[string]json.RawMessage{}
	config := map[string]string{"matching.enableFairness": "true"} // organizations in turn
	maps.Copy(config, t.options.Config)
	for key, value := range config {
		dynamic[key] = []map[string]json.RawMessage{{"value": json.RawMessage(value)}}
	}
	server := map[string]any{
		"log": map[string]any{"stdout": true, "level": "error"},
		"persistence": map[string]any{
			"defaultStore": "main", "visibilityStore": "visibility", "numHistoryShards": shards,
			"datastores": map[string]any{"main": datastore(temporalDatabase, 40), "visibility": datastore(visibilityDatabase, 20)},
		},
		"global": map[string]any{"membership": map[string]any{"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
		"services": map[string]any{
			"frontend": service(t.options.Port), "matching": service(lowPort()), "history": service(lowPort()), "worker": service(lowPort()),
		},
		"clusterMetadata": map[string]any{
			"enableGlobalNamespace": false, "failoverVersionIncrement": 10, "masterClusterName": "active", "currentClusterName": "active",
			"clusterInformation": map[string]any{"active": map[string]any{
				"enabled": true, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": t.HostPort(),
			}},
		},
		"dcRedirectionPolicy": map[string]any{"policy": "noop"},
		"dynamicConfigClient": map[string]any{"filepath": t.file("dynamic.yaml"), "pollInterval": "10s"},
	}
	if t.options.InternalFrontend {
		server["services"].(map[string]any)["internal-frontend"] = service(lowPort())
	}
	merge(server, t.options.Server)
	ui := map[string]any{
		"host": "127.0.0.1", "port": t.options.UIPort, "enableUi": true, "temporalGrpcAddress": t.HostPort(),
		"defaultNamespace": ownNamespace, "disableNewsFetch": true, "notifyOnNewVersion": false,
		"cors": map[string]any{"allowOrigins": []string{t.UIURL()}},
	}
	for name, content := range map[string]any{"server.yaml": server, "dynamic.yaml": dynamic, "ui.yaml": ui} {
		text, err := json.Marshal(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(t.file(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (t *Temporal) file(name string) string { return filepath.Join(t.dir, name) }

// merge sets what over has in into, section by section.
func merge(into, over map[string]any) {
	for key, value := range over {
		section, isSection := value.(map[string]any)
		there, both := into[key].(map[string]any)
		if isSection && both {
			merge(there, section)
			continue
		}
		into[key] = value
	}
}

// errNotOurs is the answer to stopping a server that somebody else runs.
var errNotOurs = errors.New("somebody else runs this Temporal server")

// Start starts the server on its ports and waits until it takes work.
func (t *Temporal) Start(ctx context.Context) (err error) {
	if t.options.Address != "" {
		return errNotOurs
	}
	services := []string{allServices}
	if t.options.Split {
		services = TemporalServices
	}
	t.servers = make(map[string]*Process)
	for _, service := range services {
		if err := t.start(ctx, service); err != nil {
			t.Kill()
			return err
		}
	}
	if err := t.awaitReady(ctx); err != nil {
		t.Kill()
		return err
	}
	if !t.options.UI || t.ui != nil {
		return nil
	}
	t.ui, err = StartProcess(ctx, t.programs.ui, []string{"--root", t.dir, "--config", ".", "--env", "ui", "start"}, nil, nil)
	return err
}

// start starts the process of a service, or of all of them.
func (t *Temporal) start(ctx context.Context, service string) (err error) {
	args := []string{"--config-file", t.file("server.yaml"), "--allow-no-auth", "start"}
	switch {
	case service != allServices:
		args = append(args, "--service="+service)
	case t.options.InternalFrontend:
		args = append(args, "--service=internal-frontend")
		for _, other := range TemporalServices {
			args = append(args, "--service="+other)
		}
	}
	t.servers[service], err = StartProcess(ctx, t.programs.server, args, nil, nil)
	return err
}

// awaitReady waits until the server takes work, as long as each of its processes lives.
func (t *Temporal) awaitReady(ctx context.Context) error {
	for {
		err := t.ready(ctx)
		if err == nil {
			return nil
		}
		for service, p := range t.servers {
			select {
			case <-p.done:
				return fmt.Errorf("the Temporal server (%s) ended: %s", service, tail([]byte(p.Output())))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// KillService ends a service of a split server at once.
func (t *Temporal) KillService(service string) { t.servers[service].Kill() }

// Revive starts the processes again that have ended, and waits until the server takes work.
// One that ends meanwhile, because it was starting while its database was away, is started
// once more, as what runs services does.
func (t *Temporal) Revive(ctx context.Context) (err error) {
	for range 5 {
		for service, p := range t.servers {
			select {
			case <-p.done:
				if err := t.start(ctx, service); err != nil {
					return err
				}
			default:
			}
		}
		if err = t.awaitReady(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Postgres is the cluster of a server that this package runs. A test may stop and start it.
func (t *Temporal) Postgres() *Postgres { return t.postgres }

// ready makes the namespace with Ledgerline's search attributes, if it is not there, and
// reports whether the server takes work in it. A namespace is described before anything
// can be started in it, and its search attributes are there before they can be used, so a
// schedule with all of them is made, which needs every part.
func (t *Temporal) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, t.ClientOptions())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: t.Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if there := (*serviceerror.NamespaceAlreadyExists)(nil); err != nil && !errors.As(err, &there) {
		return err
	}
	attributes := make(map[string]enums.IndexedValueType)
	var values []temporal.SearchAttributeUpdate
	for _, name := range searchAttributes {
		attributes[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
		values = append(values, temporal.NewSearchAttributeKeyKeyword(name).ValueSet("devstack"))
	}
	if _, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: t.Namespace, SearchAttributes: attributes,
	}); err != nil {
		return err
	}
	s, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{ID: "devstack-" + uuid.NewString(), Paused: true, Action: &client.ScheduleWorkflowAction{
		ID: "devstack", Workflow: "none", TaskQueue: "none",
	}, TypedSearchAttributes: temporal.NewSearchAttributes(values...)})
	if err != nil {
		return err
	}
	return s.Delete(ctx)
}

// until repeats what fails, until ctx ends.
func until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// HostPort is the address of the server's frontend.
func (t *Temporal) HostPort() string {
	if t.options.Address != "" {
		return t.options.Address
	}
	return fmt.Sprintf("127.0.0.1:%d", t.options.Port)
}

// DatabaseURL is the address of the server's database, for its superuser.
func (t *Temporal) DatabaseURL() string { return t.postgres.URL(temporalDatabase, "postgres") }

// ClientOptions are those with which a program reaches the namespace. The client logs nothing.
func (t *Temporal) ClientOptions() client.Options {
	o := t.options.Client
	o.HostPort, o.Namespace = t.HostPort(), t.Namespace
	o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	return o
}

// UIURL is the address of the web interface.
func (t *Temporal) UIURL() string { return fmt.Sprintf("http://127.0.0.1:%d", t.options.UIPort) }

// Stop ends the server in order.
func (t *Temporal) Stop() error {
	if t.options.Address != "" {
		return errNotOurs
	}
	for _, p := range t.servers {
		_ = p.Signal(syscall.SIGTERM) // it may have ended
	}
	late := time.After(20 * time.Second)
	for _, p := range t.servers {
		select {
		case <-p.done:
		case <-late:
			t.Kill()
		}
	}
	return nil
}

// Kill ends the server at once. Its database goes on.
func (t *Temporal) Kill() {
	for _, p := range t.servers {
		if p != nil {
			p.Kill()
		}
	}
}

// Close ends everything and removes its data.
func (t *Temporal) Close() error {
	t.Kill()
	if t.ui != nil {
		t.ui.Kill()
	}
	var err error
	if t.postgres != nil {
		err = t.postgres.Close()
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}
