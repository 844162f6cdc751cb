package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// sealed is a stack of its own, since the keys in use are those of a whole deployment.
type sealed struct {
	*devstack.Stack
	org  uuid.UUID
	main integrations.Integration
	keys map[string]string // by ID, as in their files
}

func newSealed(t *testing.T, retry string) *sealed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	own, err := devstack.StartStack(ctx, devstack.StackOptions{InFlight: inFlight, Temporal: devstack.TemporalOptions{Address: os.Getenv("TEMPORAL_ADDRESS")}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Close()) })
	s := &sealed{Stack: own, org: uuid.New(), keys: make(map[string]string)}
	list, err := own.Apply(ctx, s.org, retry)
	require.NoError(t, err)
	s.main = list["xledger-main"]
	for _, id := range []string{"k1", "k2", "k3"} {
		secret := make([]byte, codec.KeySize)
		_, _ = rand.Read(secret)
		s.keys[id] = base64.StdEncoding.EncodeToString(secret)
	}
	return s
}

// env is what a program has that encrypts with current and has these keys.
func (s *sealed) env(t *testing.T, current string, ids ...string) []string {
	t.Helper()
	if len(ids) == 0 {
		return nil
	}
	dir := t.TempDir()
	for _, id := range ids {
		require.NoError(t, os.WriteFile(filepath.Join(dir, id), []byte(s.keys[id]+"\n"), 0o600))
	}
	return []string{codec.FolderVariable + "=" + dir, codec.CurrentVariable + "=" + current}
}

func (s *sealed) client(t *testing.T, current string, ids ...string) client.Client {
	t.Helper()
	env := s.env(t, current, ids...)
	keys, err := codec.FromEnv(func(name string) string {
		for _, pair := range env {
			if n, value, _ := strings.Cut(pair, "="); n == name {
				return value
			}
		}
		return ""
	})
	require.NoError(t, err)
	options := s.Temporal.ClientOptions()
	require.NoError(t, keys.Secure(&options, nil))
	c, err := client.Dial(options)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// shows waits until the doctor says of the workers that some take no tasks, and why; with
// "" that it no longer does.
func (s *sealed) shows(t *testing.T, why string) {
	t.Helper()
	var last []line
	require.Eventually(t, func() bool {
		out, _, _ := starterEnv(t, s.Env(devstack.Operator), "", "doctor", "-o", "json")
		last = fromJSON[[]line](t, out)
		says := slices.ContainsFunc(last, func(l line) bool {
			return l.Check == "workers" && strings.Contains(l.Found, "no task is taken on ") && strings.Contains(l.Found, why)
		})
		return says == (why != "")
	}, time.Minute, 100*time.Millisecond, "%q: %v", why, &last)
}

// worker starts one and waits until it has printed a line.
func (s *sealed) worker(t *testing.T, line, current string, ids ...string) *devstack.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := devstack.StartProcess(ctx, workerBin, []string{"--monitors=false"}, append(s.Env(devstack.Worker), s.env(t, current, ids...)...),
		func(l string) bool { return strings.Contains(l, line) })
	require.NoError(t, err)
	mu.Lock()
	output = append(output, w)
	mu.Unlock()
	t.Cleanup(func() {
		w.Kill()
		require.NotContains(t, w.Output(), "DATA RACE")
		for id, key := range s.keys {
			require.NotContains(t, w.Output(), key, id)
		}
	})
	return w
}

const takesTasks, takesNone = "worker ready", "this worker takes no tasks"

// readiness asks a worker that need not be ready.
func readiness(t *testing.T, w *devstack.Process) (int, string) {
	t.Helper()
	found := listening.FindStringSubmatch(w.Output())
	require.Len(t, found, 2, w.Output())
	resp, err := http.Get("http://" + found[1] + "/readyz")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// stop ends a worker as a deployment does.
func stop(t *testing.T, w *devstack.Process) {
	t.Helper()
	require.NoError(t, w.Signal(syscall.SIGTERM))
	require.NoError(t, w.Wait())
}

const canary = "canaryOfTheBody"

// refusal is an answer in the vendor's shape, whose message is on record: in heartbeats and failures.
const refusal = `{"errors":[{"message":"` + canary + `"}]}`

func (s *sealed) call() activities.Invocation {
	return engine.NewInvocation(s.main, adapters.Call, []byte(`{"query":"query `+canary+` { __typename }"}`))
}

// load makes invocations all the time, of which every third fails once.
type load struct {
	s    *sealed
	done atomic.Int64
	stop context.CancelFunc
	all  sync.WaitGroup

	using  sync.RWMutex // client, by each invocation under way
	client client.Client

	mu     sync.Mutex
	wanted map[string]int // requests by correlation ID
	wrong  []string
}

func (s *sealed) load(t *testing.T) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{s: s, stop: cancel, wanted: make(map[string]int)}
	l.with(s.client(t, ""))
	for range 4 {
		l.all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				in, want := s.call(), 1
				if n%3 == 0 {
					want = 2
					s.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{CorrelationID: in.CorrelationID.String()}, Times: 1, Status: 503, Body: refusal})
				}
				l.expect(in, want)
				within, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				l.using.RLock()
				out, err := engine.Execute(within, l.client, in)
				l.using.RUnlock()
				cancel()
				// One that Temporal hands out while its worker stops is lost at times, with and
				// without keys, and takes one attempt more; the vendor's log has no more of it.
				if err != nil || !out.OK || out.TotalAttempts < want || out.TotalAttempts > want+1 {
					l.mu.Lock()
					l.wrong = append(l.wrong, fmt.Sprintf("%s: %v %+v, want %d attempts", in.CorrelationID, err, out, want))
					l.mu.Unlock()
				}
				l.done.Add(1)
			}
		})
	}
	t.Cleanup(func() { cancel(); l.all.Wait() })
	return l
}

// with uses another client, once nobody waits with the one before.
func (l *load) with(c client.Client) {
	l.using.Lock()
	defer l.using.Unlock()
	l.client = c
}

func (l *load) expect(in activities.Invocation, requests int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted[in.CorrelationID.String()] = requests
}

// more waits until so many more invocations have ended.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	until := l.done.Load() + n
	t.Logf("%s: %d invocations", time.Now().Format(time.TimeOnly), l.done.Load())
	require.Eventually(t, func() bool { return l.done.Load() >= until }, 2*time.Minute, 20*time.Millisecond)
}

// settled ends the load and compares what was asked for with the vendor's log.
func (l *load) settled(t *testing.T) {
	t.Helper()
	l.stop()
	l.all.Wait()
	require.Empty(t, l.wrong)
	got := make(map[string]int)
	for _, e := range l.s.Sandbox.Log() {
		got[e.CorrelationID]++
	}
	require.Equal(t, l.wanted, got, "each attempt reached the vendor once")
}

// slow begins an invocation that waits for retries while workers come and go.
func (l *load) slow(t *testing.T) activities.Invocation {
	t.Helper()
	in := l.s.call()
	l.s.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{CorrelationID: in.CorrelationID.String()}, Times: 4, Status: 503, Body: refusal})
	l.expect(in, 5)
	_, err := l.client.ExecuteWorkflow(t.Context(), engine.InvokeOptions(in), workflows.InvokeName, in)
	require.NoError(t, err)
	return in
}

// raw is a workflow's history as Temporal has it.
func (s *sealed) raw(t *testing.T, in activities.Invocation) string {
	t.Helper()
	options := s.Temporal.ClientOptions()
	c, err := client.Dial(options)
	require.NoError(t, err)
	defer c.Close()
	var all strings.Builder
	id := workflows.InvokeID(in.OrganizationID, in.CorrelationID)
	for it := c.GetWorkflowHistory(t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		require.NoError(t, err)
		all.WriteString(decoded(t, protojson.Format(e)))
	}
	d, err := c.WorkflowService().DescribeWorkflowExecution(t.Context(), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: s.Temporal.Namespace, Execution: &common.WorkflowExecution{WorkflowId: id}})
	require.NoError(t, err)
	return all.String() + decoded(t, protojson.Format(d))
}

// decoded adds to a JSON text what stands in it in base64.
func decoded(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	all.WriteString(text)
	for _, word := range strings.Split(text, `"`) {
		if b, err := base64.StdEncoding.DecodeString(word); err == nil && len(word) > 7 {
			all.Write(b)
		}
	}
	return all.String()
}

// Encryption is turned on, and its key renewed, while invocations run all the time. None is
// lost, none is made twice, and none loses an attempt, also beside a worker that lacks the
// key. Nothing of them is clear in Temporal.
func TestPayloadKeys(t *testing.T) {
	s := newSealed(t, "{baseDelay: 1s, attemptTimeout: 3s, maxRetries: 5, budget: 60s}")
	run := func(env []string, stdin string, args ...string) (out, words string, code int) {
		t.Helper()
		return starterEnv(t, append(s.Env(devstack.Operator), env...), stdin, args...)
	}
	ping := []string{"call", "--org", s.org.String(), "--integration", "xledger-main", "--operation", "ping", "--exit-status"}

	bare := s.worker(t, takesTasks, "")
	l := s.load(t)
	var waiting []activities.Invocation
	waiting = append(waiting, l.slow(t))
	l.more(t, 10)

	// Turned on. Nobody encrypts what a worker cannot read.
	_, words, code := run(s.env(t, "k1", "k1"), "", ping...)
	require.Equal(t, 1, code)
	require.Contains(t, words, "nothing was sent: key k1 (")
	require.Contains(t, words, fmt.Sprintf("process %d (seen ", bare.PID()))
	out, _, code := run(s.env(t, "k1", "k1"), "", "doctor", "-o", "json")
	require.Equal(t, 1, code)
	require.True(t, slices.ContainsFunc(fromJSON[[]line](t, out), func(l line) bool {
		return l.Check == "payload keys" && l.State == "FAIL" && strings.HasSuffix(l.Found, fmt.Sprintf("process %d", bare.PID()))
	}), out)
	out, _, code = run(s.env(t, "k1", "k1"), "", "payload-keys", "list")
	require.Zero(t, code)
	require.Regexp(t, fmt.Sprintf(`(?m)^k1 +[0-9a-f]{8} +not in use +- +- +\S+ process %d$`, bare.PID()), out)
	early := s.worker(t, takesNone, "k1", "k1")
	status, body := readiness(t, early)
	require.Equal(t, 503, status)
	require.Contains(t, body, "cannot encrypt yet, because 1 of the workers lack it")
	s.shows(t, "cannot encrypt yet, because 1 of the workers lack it")
	decoding := s.worker(t, takesTasks, "", "k1")
	l.with(s.client(t, "", "k1"))
	stop(t, bare)
	require.Eventually(t, func() bool { return strings.Contains(early.Output(), takesTasks) }, time.Minute, 50*time.Millisecond)
	s.shows(t, "")
	l.more(t, 10)
	stop(t, decoding)
	l.with(s.client(t, "k1", "k1"))
	waiting = append(waiting, l.slow(t))
	l.more(t, 10)

	// A worker without the key takes nothing and says why; so does the starter.
	bare = s.worker(t, takesNone, "")
	status, body = readiness(t, bare)
	require.Equal(t, 503, status)
	require.Contains(t, body, "payloads: payloads are encrypted with key k1 (")
	require.Contains(t, body, "which this worker lacks: put it into LEDGERLINE_PAYLOAD_KEYS and start the worker again")
	other := s.worker(t, takesNone, "k2", "k2")
	s.shows(t, "payloads are encrypted with key k1 (")
	_, words, code = run(nil, "", ping...)
	require.Equal(t, 1, code)
	require.Contains(t, words, "payloads are encrypted with key k1 (")
	file := strings.Replace(s.Integrations(s.org, "{baseDelay: 1s, attemptTimeout: 3s, maxRetries: 5, budget: 60s}"), "    credentials: {token: file:xledger-token}\n",
		"    credentials: {token: file:xledger-token}\n    schedule: {every: monthly, day: 3, at: \"06:30\"}\n", 1)
	for _, want := range []string{"schedule xledger-main: created", "schedule xledger-main: unchanged"} {
		_, words, code = run(s.env(t, "k1", "k1"), file, "integrations", "apply", "-f", "-")
		require.Zero(t, code, words)
		require.Contains(t, words, want)
	}
	l.more(t, 10)
	require.Equal(t, 1, strings.Count(bare.Output(), takesNone), "it says so once")
	stop(t, bare)
	stop(t, other)

	// Renewed: first to decrypt, everywhere; then to encrypt; and back, and again.
	_, words, code = run(s.env(t, "k2", "k1", "k2"), "", ping...)
	require.Equal(t, 1, code)
	require.Contains(t, words, "key k2 (")
	both := s.worker(t, takesTasks, "k1", "k1", "k2")
	stop(t, early)
	waiting = append(waiting, l.slow(t))
	l.more(t, 10)
	l.with(s.client(t, "k1", "k1", "k2"))
	current := s.worker(t, takesTasks, "k2", "k1", "k2")
	l.more(t, 10) // answers under either key
	l.with(s.client(t, "k2", "k1", "k2"))
	l.more(t, 10)
	stop(t, both)
	waiting = append(waiting, l.slow(t))
	l.more(t, 10)
	_, words, code = run(s.env(t, "k2", "k1", "k2"), file, "integrations", "apply", "-f", "-")
	require.Zero(t, code, words)
	require.Contains(t, words, "schedule xledger-main: unchanged")
	ended := s.client(t, "", "k1", "k2")
	for i, in := range waiting {
		var out workflows.Outcome
		require.NoError(t, ended.GetWorkflow(t.Context(), workflows.InvokeID(s.org, in.CorrelationID), "").Get(bounded(t, longest), &out))
		require.True(t, out.OK, "%d: %+v", i, out)
		require.Equal(t, 5, out.TotalAttempts, "%d", i)
		require.Equal(t, i == 0, strings.Contains(s.raw(t, in), canary), "%d: clear is what was begun before", i)
	}
	require.Contains(t, s.raw(t, waiting[1]), "Encoded failure")
	require.Contains(t, s.raw(t, waiting[1]), s.org.String(), "search attributes stay clear")
	l.settled(t)

	// With the keys everything is read, without them nothing.
	shown, words, code := run(s.env(t, "", "k1", "k2"), "", "show", waiting[1].CorrelationID.String(), "--org", s.org.String())
	require.Zero(t, code, words)
	require.Contains(t, shown, "5")
	_, words, code = run(nil, "", "show", waiting[1].CorrelationID.String())
	require.NotZero(t, code)
	require.Contains(t, words, `key "k1", which is not there: put it into LEDGERLINE_PAYLOAD_KEYS`)

	// An old key is retired when nothing needs it.
	s.retire(t, run)
	stop(t, current)
	s.worker(t, takesTasks, "k2", "k2")
	_, words, code = run(s.env(t, "k2", "k2"), "", ping...)
	require.Zero(t, code, words)
}

// retire takes k1 out of use, after everything that it encrypted.
func (s *sealed) retire(t *testing.T, run func(env []string, stdin string, args ...string) (out, words string, code int)) {
	t.Helper()
	env := s.env(t, "k2", "k1", "k2")
	refused := func(env []string, key, says string) {
		t.Helper()
		_, words, code := run(env, "", "payload-keys", "retire", key)
		require.Equal(t, 1, code, words)
		require.Contains(t, words, says)
	}
	out, _, _ := run(nil, "", "payload-keys", "list")
	require.Regexp(t, `(?s)k1 +[0-9a-f]{8} .*k2 +[0-9a-f]{8} `, out)
	refused(env, "k3", `key "k3" is not in use`)
	refused(env, "k2", "key k2 stays in use: set LEDGERLINE_PAYLOAD_KEY to another key first")
	refused(env, "k1", "something encrypts with it")
	conn, err := pgx.Connect(t.Context(), s.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	// A key that was used long ago, by workflows that are as old.
	_, err = conn.Exec(t.Context(), `UPDATE ledgerline.payload_keys SET last_use = now() - interval '121 s' WHERE name LIKE 'k1/%'`)
	require.NoError(t, err)
	refused(env, "k1", "key k1 stays in use: Temporal has ")

	// What it starts was encrypted again all the same.
	plain, err := client.Dial(s.Temporal.ClientOptions())
	require.NoError(t, err)
	defer plain.Close()
	d, err := plain.ScheduleClient().GetHandle(t.Context(), engine.ScheduleID(s.org, s.main.ID)).Describe(t.Context())
	if err == nil { // its summary cannot be read without a key
		input := d.Schedule.Action.(*client.ScheduleWorkflowAction).Args[0].(*common.Payload)
		require.Equal(t, "k2", string(input.Metadata[codec.MetadataKeyID]))
	} else {
		r, err := plain.WorkflowService().DescribeSchedule(t.Context(), &workflowservice.DescribeScheduleRequest{
			Namespace: s.Temporal.Namespace, ScheduleId: engine.ScheduleID(s.org, s.main.ID)})
		require.NoError(t, err)
		input := r.GetSchedule().GetAction().GetStartWorkflow().GetInput().GetPayloads()[0]
		require.Equal(t, "k2", string(input.Metadata[codec.MetadataKeyID]))
		require.NotContains(t, decoded(t, protojson.Format(r)), "xledger export", "its summary")
	}
	for { // as retention would
		list, err := plain.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = 'Invoke'"})
		require.NoError(t, err)
		if len(list.Executions) == 0 {
			break
		}
		for _, e := range list.Executions {
			_, _ = plain.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
				Namespace: s.Temporal.Namespace, WorkflowExecution: e.GetExecution()}) // it may be gone already
		}
	}
	_, words, code := run(env, "", "payload-keys", "retire", "k1")
	require.Zero(t, code, words)
	require.Contains(t, words, "key k1 is retired")
}
