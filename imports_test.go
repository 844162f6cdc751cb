package ledgerline_test

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ledgerline/ledgerline/"

// arrows says which packages of the module a package may import, with the
// reason. A folder's entry holds for the folders below it too. What is not
// listed may import everything: programs, and what serves the demo and tests.
var arrows = []struct {
	from string
	to   []string
	why  string
}{
	{"classify", nil, "pure: what an answer means depends on nothing else"},
	{"redact", []string{"internal/lazy"}, "pure: it must be usable everywhere"},
	{"plain", nil, "pure: whatever is printed or fed in passes it"},
	{"when", nil, "pure: a caller says what time it is"},
	{"zones", []string{"plain"}, "pure: the same on every machine"},
	{"limits", []string{"classify"}, "pure: counters and state machines; of a failure they need its kind"},
	{"health", []string{"classify"}, "pure: a state machine that a workflow runs again from its history"},
	{"expiry", nil, "pure: when a secret ends; it sees secrets and must have nowhere to put them"},
	{"adapters", []string{"adapters", "classify", "expiry", "internal/lazy", "limits", "redact"}, "an adapter makes one attempt; it knows no database and no Temporal"},
	{"notify", []string{"adapters", "classify", "expiry", "exports", "health", "internal/lazy"}, "what people are notified of, and how; of adapters it needs the guarded client, of exports and health the states by which it decides"},
	{"integrations", []string{"adapters", "classify", "exports", "health", "internal/lazy", "limits", "notify", "plain", "zones"}, "files and rules only; of adapters it needs names and hosts, of notify causes"},
	{"secrets", []string{"integrations", "redact"}, "it reads secrets, and must have nowhere to put them; of integrations it needs what a reference is, of redact what can be masked"},
	{"codec", []string{"secrets"}, "it has keys, and must have nowhere to put them; of secrets it needs how their files are read"},
	{"exports", []string{"classify"}, "pure: what an export is and what its run does next, run again from a history"},
	{"runlog", []string{"integrations", "adapters", "classify", "expiry", "exports", "health", "limits", "notify", "plain"}, "the database does not know who writes to it; what people are notified of is notify's, and what a contract with a vendor is, adapters'"},
	{"statement", []string{"classify", "exports", "integrations", "notify", "plain", "runlog"}, "what people are shown of exports, and of what they were notified of: it formats what it is given, for the command line and for a web page"},
	{"entryfile", []string{"integrations", "plain", "runlog"}, "it reads a file and stores nothing; of runlog it needs what an entry is, of integrations how a file names its columns"},
	{"outlook", []string{"adapters", "classify", "exports", "integrations", "runlog", "statement", "zones"}, "what comes next follows from the record and the schedules' files, and is known while Temporal is down; what the record says, it names as statement does; of a vendor it needs how much a request carries"},
	{"watcher", []string{"classify", "exports", "integrations", "runlog", "notify"}, "it must notice that nothing ran, so it depends on nothing that runs"},
	{"activities", []string{"adapters", "expiry", "exports", "integrations", "limits", "health", "notify", "plain", "runlog", "secrets", "classify", "redact"}, "the only place that knows both error worlds"},
	{"traffic", []string{"activities", "health", "redact"}, "it is given attempts; where a report goes is for its caller to say"},
	{"usage", []string{"limits", "runlog"}, "it stores what was counted"},
	{"workflows", []string{"activities", "adapters", "classify", "exports", "health", "integrations", "notify", "redact"}, "deterministic: of the others it needs names, types and pure functions, and everything that acts is behind an activity"},
	{"engine", []string{"activities", "adapters", "classify", "exports", "health", "integrations", "notify", "runlog", "workflows", "zones"}, "what programs ask of Temporal: it runs no workflow and makes no attempt"},
	{"attention", []string{"classify", "engine", "exports", "health", "limits", "notify", "runlog", "watcher"}, "what needs a person follows from the record, which runlog reads; of engine it needs what Temporal says, of the others their words and thresholds"},
	{"proof", []string{"activities", "adapters", "classify", "engine", "exports", "integrations", "runlog", "statement", "workflows"}, "it compares what others have: it asks engine for look-ups and runlog for the record, and stores nothing but what it adopts; of a vendor it needs where its books are"},
	{"calls", []string{"activities", "classify", "engine", "exports", "plain", "runlog", "when", "workflows"}, "what people see of calls: it asks engine and runlog, and makes views of what they have"},
	{"console", []string{"activities", "attention", "calls", "classify", "console", "engine", "entryfile", "exports", "health", "integrations", "internal/environ", "outlook", "plain", "proof", "redact", "runlog", "statement", "workflows", "zones"}, "it decides nothing about exports: it shows what the packages of the command line say, and asks them to act; of workflows it needs what they return, of activities how soon workers read a pause, of internal/environ what no log line may show; no vendor and no secret is in its reach"},
	{"console/words", []string{"classify", "exports", "integrations", "plain", "zones"}, "pure: it says in people's language what the others have as names; it knows no page and no database"},
	{"internal/logger", []string{"internal/environ", "plain", "redact"}, "every line of the programs passes it, so it depends on nothing that writes lines; of the others it needs what may not stand in one"},
	{"console/signin", []string{"integrations", "plain"}, "who somebody is depends on the issuer and a file alone; sessions are handed to it, and of integrations it needs what a short name is"},
}

// forbidden are packages that must not be imported from a folder, nor those below them.
// "net/" is what is below net, without net itself. What is pure has a list of its own.
var forbidden = []struct{ from, what, why string }{
	{"runlog", "go.temporal.io", "the audit record must be readable without Temporal"},
	{"outlook", "go.temporal.io", "it must work while Temporal is down"},
	{"watcher", "go.temporal.io", "it must work while Temporal is down"},
	{"adapters", "go.temporal.io", "Temporal's retries stand above the adapters"},
	{"adapters", "github.com/jackc", "an adapter has no database"},
	{"notify", "go.temporal.io", "Temporal's retries stand above the senders"},
	{"notify", "github.com/jackc", "a message is made of facts that were read before"},
	{"workflows", "go.temporal.io/sdk/client", "what programs ask of Temporal is engine's"},
	{"workflows", "go.temporal.io/api/workflowservice", "what programs ask of Temporal is engine's"},
	{"workflows", "go.temporal.io/api/operatorservice", "what programs ask of Temporal is engine's"},
	{"workflows", module + "adapters/", "of adapters it needs the names of operations; vendors and requests are behind an activity"},
	{"workflows", "github.com/jackc", "a workflow has no I/O"},
	{"workflows", "database/sql", "a workflow has no I/O"},
	{"workflows", "io", "a workflow has no I/O"},
	{"workflows", "net", "a workflow has no I/O"},
	{"workflows", "os", "a workflow has no I/O"},
	{"workflows", "syscall", "a workflow has no I/O"},
	{"workflows", "log", "a workflow has a logger of its own, which is silent in a replay"},
	{"workflows", "sync", "a workflow's coroutines run one at a time"},
	{"workflows", "context", "a workflow has a context of its own"},
	{"workflows", "crypto/rand", "a workflow draws random values by side effects"},
	{"workflows", "math/rand", "a workflow draws random values by side effects"},
	{"attention", "github.com/jackc", "every query is runlog's"},
	{"calls", "github.com/jackc", "every query is runlog's"},
	{"console", "github.com/jackc", "every query is runlog's"},
	{"console", "github.com/spf13", "a page has no command line"},
	{"console/signin", "github.com/jackc", "sessions are handed to it"},
	{"console/signin", "go.temporal.io", "it must sign people in while Temporal is down"},
	{"proof", "github.com/jackc", "every query is runlog's"},
	{"proof", "github.com/spf13", "the command line and the console both prove"},
	{"engine", "github.com/jackc", "it hands what it needs of the database to runlog"},
	{"engine", module + "adapters/", "it makes no attempt"},
}

// pure are the packages that depend on nothing but what they are given: the same input has
// the same result, on every machine and when a workflow runs again from its history.
var pure = []string{"classify", "console/words", "expiry", "exports", "health", "limits", "plain", "redact", "when", "zones"}

// impure is what none of them may import, nor what is below it.
var impure = []string{"crypto/rand", "database/sql", "log", "math/rand", "net", "os", "syscall"}

// excepted are the imports of [pure] packages that are allowed all the same, with the reason.
// All others outside the standard library are forbidden to them.
var excepted = []struct{ from, what, why string }{
	{"classify", "net", "it reads the errors of the network, and opens nothing"},
	{"classify", "syscall", "it reads the errors of the network, and opens nothing"},
	{"console/words", "go.yaml.in/yaml/v3", "its texts are YAML in the program"},
	{"exports", "github.com/google/uuid", "IDs are UUIDs"},
	{"limits", "github.com/google/uuid", "IDs are UUIDs"},
	{"redact", module + "internal/lazy", "it compiles an expression when it is first needed"},
}

// A rule whose folder has been renamed would hold for nothing.
func TestRulesHavePackages(t *testing.T) {
	all := packages(t)
	folders := slices.Clone(pure)
	for _, rule := range arrows {
		folders = append(folders, rule.from)
	}
	for _, rule := range forbidden {
		folders = append(folders, rule.from)
	}
	for _, folder := range folders {
		require.True(t, slices.ContainsFunc(all, func(p pkg) bool { return within(p.ImportPath, folder) }), "%s has no package", folder)
	}
}

type pkg struct {
	ImportPath, Doc string
	Imports         []string
}

func packages(t *testing.T) []pkg { return goList[pkg](t, "-json=ImportPath,Doc,Imports") }

// goList is what go list says of the packages of all [modules], as JSON. With -deps,
// packages that several of them need are there several times.
func goList[T any](t *testing.T, flags ...string) (all []T) {
	t.Helper()
	for _, folder := range modules {
		out := goIn(t, folder, append(append([]string{"list"}, flags...), "./...")...)
		require.NotEmpty(t, out, "go list found no package in %s", folder)
		for d := json.NewDecoder(strings.NewReader(out)); ; {
			var p T
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err)
			}
			all = append(all, p)
		}
	}
	require.Greater(t, len(all), 10, "go list found too few packages to prove anything")
	return all
}

// within reports whether a package of the module is in a folder of it.
func within(path, folder string) bool { return covers(module+folder, path) }

// covers reports whether an import path is what, or below it. What ends in a slash covers
// only what is below.
func covers(what, path string) bool {
	return path == what || strings.HasPrefix(path, strings.TrimSuffix(what, "/")+"/")
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		what, path string
		want       bool
	}{
		{"net", "net", true}, {"net", "net/http", true}, {"net", "netip", false}, {"os", "os/exec", true}, {"os", "osmosis/x", false},
		{"net/", "net", false}, {"net/", "net/http", true}, {"net/", "nets/http", false},
	} {
		require.Equal(t, c.want, covers(c.what, c.path), "%s covers %s", c.what, c.path)
	}
}

func TestImportArrows(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range arrows {
			if !within(p.ImportPath, rule.from) {
				continue
			}
			for _, imp := range p.Imports {
				if !strings.HasPrefix(imp, module) {
					continue
				}
				allowed := slices.ContainsFunc(rule.to, func(to string) bool { return within(imp, to) })
				require.True(t, allowed, "%s imports %s; %s may import %v: %s", p.ImportPath, imp, rule.from, rule.to, rule.why)
			}
		}
		for _, rule := range forbidden {
			if !within(p.ImportPath, rule.from) {
				continue
			}
			for _, imp := range p.Imports {
				require.False(t, covers(rule.what, imp), "%s imports %s: %s", p.ImportPath, imp, rule.why)
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	used := make(map[string]bool)
	for _, p := range packages(t) {
		if !slices.ContainsFunc(pure, func(folder string) bool { return within(p.ImportPath, folder) }) {
			continue
		}
		for _, imp := range p.Imports {
			allowed := false
			for _, e := range excepted {
				if within(p.ImportPath, e.from) && covers(e.what, imp) {
					allowed, used[e.from+" "+e.what] = true, true
				}
			}
			host, _, _ := strings.Cut(imp, "/")
			others := strings.Contains(host, ".") && !strings.HasPrefix(imp, module)
			hit := others || slices.ContainsFunc(impure, func(what string) bool { return covers(what, imp) })
			require.False(t, hit && !allowed, "%s imports %s, and is to be pure", p.ImportPath, imp)
		}
	}
	for _, e := range excepted {
		require.True(t, used[e.from+" "+e.what], "%s no longer imports %s: take it out", e.from, e.what)
	}
}

// TestEveryPackageTeaches holds each package to a comment of its own.
func TestEveryPackageTeaches(t *testing.T) {
	for _, p := range packages(t) {
		require.NotEmpty(t, p.Doc, "%s has no package comment", p.ImportPath)
	}
}
