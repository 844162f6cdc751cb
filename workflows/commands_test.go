package workflows_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
)

// howToGuard is what a test says of a change that running workflows cannot follow.
const howToGuard = "a running workflow cannot follow a change of its commands: guard it with workflow.GetVersion; the contributing guide (Changing a workflow) says how"

// harmless are the functions of package workflow that send the server no command. Whatever
// else is called there does, until it is added here.
var harmless = []string{
	"AllHandlersFinished", "Await", "GetInfo", "GetLogger", "GetSignalChannel", "GetTypedSearchAttributes", "NewDisconnectedContext",
	"NewSelector", "Now", "SetCurrentDetails", "SetQueryHandler", "SetUpdateHandlerWithOptions",
	"WithActivityOptions", "WithCancel", "WithChildOptions", "WithLocalActivityOptions",
}

// site is a call that sends a command, or of a function that does.
type site struct {
	name        string // the function that it stands in, what it calls, and an activity's name
	file        string
	first, last int // lines
}

// sites finds the commands in the source of the package.
func sites(t *testing.T) []site {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	set := token.NewFileSet()
	functions := make(map[string]*ast.FuncDecl)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				// Those of one name, such as Validate, count as one: which type a method has is not looked up.
				if before := functions[f.Name.Name]; before != nil {
					f = &ast.FuncDecl{Name: f.Name, Body: &ast.BlockStmt{List: append(slices.Clone(before.Body.List), f.Body.List...)}}
				}
				functions[f.Name.Name] = f
			}
		}
	}
	sends := make(map[string]bool) // by name of a function
	isCommand := func(c *ast.CallExpr) (callee string, ok bool) {
		switch f := c.Fun.(type) {
		case *ast.Ident:
			return f.Name, sends[f.Name]
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok && x.Name == "workflow" {
				if slices.Contains([]string{"Sleep", "NewTimer", "NewTimerWithOptions"}, f.Sel.Name) {
					return "timer", true // one command
				}
				return f.Sel.Name, !slices.Contains(harmless, f.Sel.Name)
			}
			return f.Sel.Name, sends[f.Sel.Name]
		}
		return "", false
	}
	var found []site
	var literals []*ast.FuncLit
	for before := -1; before != len(sends); {
		before, found = len(sends), nil
		for name, f := range functions {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					literals = append(literals, n)
				case *ast.CallExpr:
					callee, ok := isCommand(n)
					if !ok {
						return true
					}
					// What a function literal sends, its function does not send where it is called.
					inLiteral := slices.ContainsFunc(literals, func(l *ast.FuncLit) bool { return n.Pos() >= l.Pos() && n.End() <= l.End() })
					if !inLiteral {
						sends[name] = true
					}
					what := name + " → " + callee
					for _, a := range n.Args {
						if a, ok := a.(*ast.SelectorExpr); ok && strings.HasSuffix(a.Sel.Name, "Name") {
							what += " " + strings.TrimSuffix(a.Sel.Name, "Name")
						}
					}
					at := set.Position(n.Pos())
					found = append(found, site{name: what, file: at.Filename, first: at.Line, last: set.Position(n.End()).Line})
				}
				return true
			})
		}
	}
	slices.SortFunc(found, func(a, b site) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.first, b.first)) })
	return found
}

// sent is a command that a replay has sent.
type sent struct {
	calls   []runtime.Frame // of the package, that led to it
	guarded bool            // by then a version of the code was on record
	input   any             // of an activity; nil of other commands
}

// replayed has what the replay of one history has sent.
type replayed struct {
	guarded bool
	sent    []sent
}

// note adds a command.
func (r *replayed) note(input any) {
	stack := make([]uintptr, 64)
	frames := runtime.CallersFrames(stack[:runtime.Callers(2, stack)])
	s := sent{guarded: r.guarded, input: input}
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "github.com/ledgerline/ledgerline/workflows.") {
			s.calls = append(s.calls, frame)
		}
		if !more {
			break
		}
	}
	r.sent = append(r.sent, s)
}

// replay runs a history again, and returns what it has sent.
func replay(t *testing.T, file string, others ...interceptor.WorkerInterceptor) *replayed {
	t.Helper()
	r := new(replayed)
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{Interceptors: append(others, &onWorker{replayed: r})})
	require.NoError(t, err)
	register(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(silent, file), "%s: %s", filepath.Base(file), howToGuard)
	return r
}

// onWorker, onEntry and onCommand are the SDK's three places at which to see what a
// workflow does. A command of a kind that onCommand does not have counts as never replayed.
type (
	onWorker struct {
		interceptor.WorkerInterceptorBase
		*replayed
	}
	onEntry struct {
		interceptor.WorkflowInboundInterceptorBase
		*replayed
	}
	onCommand struct {
		interceptor.WorkflowOutboundInterceptorBase
		*replayed
	}
)

func (w *onWorker) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &onEntry{interceptor.WorkflowInboundInterceptorBase{Next: next}, w.replayed}
}

func (e *onEntry) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return e.Next.Init(&onCommand{interceptor.WorkflowOutboundInterceptorBase{Next: next}, e.replayed})
}

func (c *onCommand) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	c.note(args[0])
	return c.Next.ExecuteActivity(ctx, name, args...)
}

func (c *onCommand) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	c.note(nil)
	return c.Next.ExecuteLocalActivity(ctx, name, args...)
}

func (c *onCommand) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	c.note(nil)
	return c.Next.ExecuteChildWorkflow(ctx, name, args...)
}

func (c *onCommand) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	c.note(nil)
	return c.Next.NewTimer(ctx, d)
}

func (c *onCommand) NewTimerWithOptions(ctx workflow.Context, d time.Duration, o workflow.TimerOptions) workflow.Future {
	c.note(nil)
	return c.Next.NewTimerWithOptions(ctx, d, o)
}

func (c *onCommand) Sleep(ctx workflow.Context, d time.Duration) error {
	c.note(nil)
	return c.Next.Sleep(ctx, d)
}

func (c *onCommand) SideEffect(ctx workflow.Context, f func(workflow.Context) any) converter.EncodedValue {
	c.note(nil)
	return c.Next.SideEffect(ctx, f)
}

func (c *onCommand) UpsertTypedSearchAttributes(ctx workflow.Context, updates ...temporal.SearchAttributeUpdate) error {
	c.note(nil)
	return c.Next.UpsertTypedSearchAttributes(ctx, updates...)
}

func (c *onCommand) NewContinueAsNewError(ctx workflow.Context, f any, args ...any) error {
	c.note(nil)
	return c.Next.NewContinueAsNewError(ctx, f, args...)
}

func (c *onCommand) GetVersion(ctx workflow.Context, id string, lowest, highest workflow.Version) workflow.Version {
	v := c.Next.GetVersion(ctx, id, lowest, highest)
	c.guarded = c.guarded || v != workflow.DefaultVersion
	if c.guarded { // an old history asks, and does nothing
		c.note(nil)
	}
	return v
}

// TestEveryCommandIsReplayed compares the commands in the source with those that the
// recorded histories run. Without a history, nobody would notice that a command has changed.
//
// A command that is in commands.txt is older than the first guard, or stands where no
// workflow could be before. Any other one must be guarded wherever a history runs it.
func TestEveryCommandIsReplayed(t *testing.T) {
	var all []sent
	for _, file := range recorded(t) {
		all = append(all, replay(t, file).sent...)
	}
	raw, err := os.ReadFile("testdata/commands.txt")
	require.NoError(t, err)
	unguarded := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for _, s := range sites(t) {
		ran, guarded := false, true
		for _, c := range all {
			if slices.ContainsFunc(c.calls, s.has) {
				ran, guarded = true, guarded && c.guarded
			}
		}
		at := fmt.Sprintf("%s:%d: %s", s.file, s.first, s.name)
		if !ran {
			t.Errorf("%s: no recorded history runs it; record one as the contributing guide says. If workflows could be there before, %s", at, howToGuard)
		}
		i := slices.Index(unguarded, s.name)
		if i >= 0 {
			unguarded = slices.Delete(unguarded, i, i+1)
		} else if ran && !guarded && !strings.HasSuffix(s.name, " GetVersion") {
			t.Errorf("%s: it is new; %s. Where no running workflow can be, add it to testdata/commands.txt", at, howToGuard)
		}
	}
	for _, name := range unguarded {
		t.Errorf("testdata/commands.txt has %q, which the code no longer has: %s", name, howToGuard)
	}
}

// has reports whether a call on a stack is this one.
func (s site) has(f runtime.Frame) bool {
	return filepath.Base(f.File) == s.file && f.Line >= s.first && f.Line <= s.last
}

// An activity of today's workers is handed what those of yesterday's workflows expect, and
// the other way round: what is handed over keeps its members and their types.
func TestActivitiesAreHandedTheSameMembers(t *testing.T) {
	for _, file := range recorded(t) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var h history.History
		require.NoError(t, protojson.Unmarshal(raw, &h))
		var before []any
		for _, e := range h.Events {
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				before = append(before, decoded(t, a.GetInput().GetPayloads()[0].GetData()))
			}
		}
		var now []any
		for _, s := range replay(t, file).sent {
			if s.input != nil {
				encoded, err := json.Marshal(s.input)
				require.NoError(t, err)
				now = append(now, decoded(t, encoded))
			}
		}
		require.Len(t, now, len(before), file)
		for i := range before {
			require.NoError(t, keeps(before[i], now[i], "input"), "%s, activity %d: a member was lost or has another type; %s", file, i+1, howToGuard)
		}
	}
}

func decoded(t *testing.T, raw []byte) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// keeps says what a JSON value lacks of what it was before. Lists may have another length.
func keeps(before, now any, path string) error {
	switch b := before.(type) {
	case map[string]any:
		n, ok := now.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %T, was an object", path, now)
		}
		for k, v := range b {
			if _, ok := n[k]; !ok {
				return fmt.Errorf("%s.%s is gone", path, k)
			}
			if err := keeps(v, n[k], path+"."+k); err != nil {
				return err
			}
		}
	case []any:
		n, ok := now.([]any)
		if !ok {
			return fmt.Errorf("%s: %T, was a list", path, now)
		}
		for i := range min(len(b), len(n)) {
			if err := keeps(b[i], n[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	default:
		if fmt.Sprintf("%T", before) != fmt.Sprintf("%T", now) {
			return fmt.Errorf("%s: %T, was %T", path, now, before)
		}
	}
	return nil
}
