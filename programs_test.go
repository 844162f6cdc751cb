package ledgerline_test

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canary is in every value of the environment that the programs get and that can hold a
// secret; no program may print it.
const canary = "cnry"

// open are the variables that hold no secret, unless somebody puts credentials into an
// address. Hiding them would hide what happens to stand in a text, such as the key
// 2026-11 in a time. One that is not named here has a canary.
var open = regexp.MustCompile(`^(LEDGERLINE_(ACTOR|LISTEN|ORG|SECRETS|ENV_SECRETS|PAYLOAD_KEYS?|CODEC_(ORIGINS|TOKEN_FILE)|DEV_[A-Z_]+|RELAX_[A-Z_]+|PENDING_LIMIT|REMIND_AFTER|CONSOLE_(LISTEN|OPS_LISTEN|URL|TLS_CERTIFICATE|TLS_KEY|ACCESS|SESSION|DEVELOPMENT)|OIDC_(ISSUER|CLIENT_ID|AUDIENCE|GROUPS_CLAIM))` +
	`|TEMPORAL_(ADDRESS|NAMESPACE|PROFILE|CONFIG_FILE|CLIENT_AUTHORITY|CODEC_ENDPOINT|DEPLOYMENT_NAME|WORKER_BUILD_ID|TLS|TLS_[A-Z_]+_(PATH|NAME|VERIFICATION))` +
	`|PG[A-Z]+)$`)

// secret reports whether a variable is one that no program may show.
func secret(name string) bool {
	return !open.MatchString(name) || name == "PGPASSWORD" || name == "PGSSLPASSWORD"
}

// variables are the names that our programs read (from the source), and those
// that the libraries in them read: Temporal's envconfig and pgx.
func variables(t *testing.T) []string {
	t.Helper()
	found := make(map[string]bool)
	readers := regexp.MustCompile(`^(getenv|Getenv|LookupEnv)$`)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		// A variable can also be named in a table, or in the middle of a message.
		word := regexp.MustCompile(`\b(LEDGERLINE_[A-Z_]+|DATABASE_URL)\b`)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if lit, ok := first(n.Args).(*ast.BasicLit); ok && readers.MatchString(name) {
					value, _ := strconv.Unquote(lit.Value)
					found[value] = true
				}
			case *ast.BasicLit:
				for _, w := range word.FindAllString(n.Value, -1) {
					found[strings.TrimSuffix(w, "_")] = true
				}
			}
			return true
		})
		return nil
	}))
	for module, pattern := range map[string]string{"go.temporal.io/sdk/contrib/envconfig": `"(TEMPORAL_[A-Z_]*[A-Z])"`, "github.com/jackc/pgx/v5": `"(PG[A-Z]+)"`} {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		require.NoError(t, err, module)
		n := len(found)
		require.NoError(t, filepath.WalkDir(strings.TrimSpace(string(dir)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
			return err
		}))
		require.Greater(t, len(found), n+5, "%s names too few variables to prove anything", module)
	}
	for _, name := range []string{"DATABASE_URL", "LEDGERLINE_SMTP_URL", "LEDGERLINE_LISTEN", "LEDGERLINE_ORG", "LEDGERLINE_ACTOR", "TEMPORAL_ADDRESS", "TEMPORAL_API_KEY", "PGPASSWORD", "SOAK", "SEED"} {
		require.True(t, found[name], "%s was not found", name)
	}
	for _, name := range []string{"NO_COLOR", "TERM", "DEMO_EXIT"} {
		delete(found, name) // switches
	}
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func first(list []ast.Expr) ast.Expr {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// values gives each variable a value of its kind that gets as far as it can, with
// canaries in all its parts if it can hold a secret.
func values(names []string) map[string]string {
	out := make(map[string]string)
	for i, name := range names {
		out[name] = fmt.Sprintf("plain%dx", i)
		if secret(name) {
			out[name] = fmt.Sprintf("%s%dx", canary, i)
		}
	}
	for _, name := range names { // what would end a program before it reads the rest
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "TEMPORAL_") {
			delete(out, name)
		}
	}
	out["PGPASSWORD"], out["PGAPPNAME"] = canary+"pgpass", "app"
	out["TEMPORAL_ADDRESS"], out["TEMPORAL_NAMESPACE"], out["TEMPORAL_API_KEY"], out["TEMPORAL_TLS"] = "host.invalid:1", "space", canary+"key", "false"
	out["DATABASE_URL"] = "postgres://" + canary + "user:" + canary + "pass@127.0.0.1:1/" + canary + "db"
	out["LEDGERLINE_SMTP_URL"] = "smtp://" + canary + "user@" + canary + "host.invalid:587?from=" + canary + "@example.com&password=" + canary
	out["LEDGERLINE_LISTEN"], out["LEDGERLINE_DEV_VENDOR_HOSTS"] = "host.invalid:1", "host:1,host2:2"
	out["LEDGERLINE_TEMPORAL_UI_URL"] = "http://" + canary + "user:" + canary + "@host/"
	out["LEDGERLINE_ORG"] = "c0a1c0a1-0000-4000-8000-00000000c0a1"
	out["LEDGERLINE_SOURCE_DATABASE_URL"] = strings.ReplaceAll(out["DATABASE_URL"], "user", "source")
	out["LEDGERLINE_SECRETS"], out["LEDGERLINE_ENV_SECRETS"] = "/secrets", out["LEDGERLINE_ORG"]+"=ACME_"
	out["LEDGERLINE_RELAX_DATABASE_CHECKS"], out["LEDGERLINE_DEV_SHARED_SECRETS"] = "true", "false"
	out["LEDGERLINE_PAYLOAD_KEYS"], out["LEDGERLINE_PAYLOAD_KEY"] = "", "" // what is wrong with them is said before all else
	out["LEDGERLINE_CONSOLE_LISTEN"], out["LEDGERLINE_CONSOLE_OPS_LISTEN"] = "127.0.0.1:1", "127.0.0.1:1"
	out["LEDGERLINE_CONSOLE_SESSION"], out["LEDGERLINE_CONSOLE_DEVELOPMENT"] = "4h", "false"
	out["LEDGERLINE_PENDING_LIMIT"], out["LEDGERLINE_REMIND_AFTER"] = "12h", "24h"
	return out
}

// No help, error or log line of any program shows a secret of the environment, or steers a
// terminal by a value.
func TestNoProgramShowsItsEnvironment(t *testing.T) {
	names := variables(t)
	bin := t.TempDir()
	programs := make(map[string]string)
	for _, folder := range modules {
		for _, main := range strings.Fields(goIn(t, folder, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...")) {
			name := filepath.Base(main)
			if name == "cmd" {
				name = filepath.Base(filepath.Dir(main))
			}
			programs[name] = filepath.Join(bin, name)
			goIn(t, folder, "build", "-o", programs[name], main)
		}
	}
	require.GreaterOrEqual(t, len(programs), 6)
	output := func(env map[string]string, program string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, programs[program], args...)
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + bin}
		for name, value := range env {
			c.Env = append(c.Env, name+"="+value)
		}
		out, err := c.CombinedOutput()
		require.NoError(t, ctx.Err(), "%s %v does not end", program, args)
		if !slices.Contains(args, "--help") && args[len(args)-1] != "" {
			require.Error(t, err, "%s %v was to fail", program, args)
		}
		return string(out)
	}
	silent := func(env map[string]string, program string, args ...string) string {
		t.Helper()
		out := output(env, program, args...)
		require.NotContains(t, strings.ToLower(out), canary, "%s %v", program, args)
		require.NotContains(t, out, "\x1b", "%s %v", program, args)
		return out
	}

	good := values(names)
	for program := range programs {
		require.Regexp(t, `(?i)usage`, silent(good, program, "--help"))
		silent(good, program, "--help-me")
	}
	id := "0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e"
	file := filepath.Join(bin, "in.csv")
	require.NoError(t, os.WriteFile(file, []byte("entry_id,voucher_id,entry_date,account,amount\n1,V,2026-10-31,3000,7\n"), 0o600))
	far := map[string][]string{ // what gets a command to a server
		"call": {"--integration", "x", "--operation", "ping"}, "entries import": {"--file", file}, "exports prove": {id}, "exports show": {id}, "exports retry": {id},
		"exports resolve": {id, "--voucher", "v", "--there", "--reason", "x"}, "show": {id}, "explain": {"--adapter", "x", "--status", "500"}, "redact": {"x"}, "entries check": {"--file", bin},
		"sync": {"--integration", "x", "--period", "2026-10"}, "integrations pause": {"--integration", "x", "--reason", "x"}, "integrations resume": {"--integration", "x"},
		"cancel": {id}, "entries withdraw": {"v", "--reason", "x"}, "entries history": {"v"}, "version": {"x"},
	}
	commands := starterCommands(output)
	require.Greater(t, len(commands), 25)
	for _, command := range commands {
		words := strings.Fields(command)
		silent(good, "starter", append(words, "--help")...)
		group := slices.ContainsFunc(commands, func(other string) bool { return strings.HasPrefix(other, command+" ") })
		if !group || command == "health" { // a group by itself shows its help
			silent(good, "starter", append(words, far[command]...)...)
		}
	}
	require.Contains(t, silent(good, "starter", "health"), "cannot reach PostgreSQL")
	require.Contains(t, silent(good, "starter", "show", id), "cannot reach Temporal")
	// What is wrong with the keys of payloads is said, by their variables.
	keyed := values(names)
	for _, folder := range []string{canary + "/keys", "/" + canary + "/keys"} {
		keyed["LEDGERLINE_PAYLOAD_KEYS"], keyed["LEDGERLINE_PAYLOAD_KEY"] = folder, canary
		require.Contains(t, silent(keyed, "worker", "--log-format", "json"), "LEDGERLINE_PAYLOAD_KEYS: ")
		require.Contains(t, silent(keyed, "starter", "codec-server"), "LEDGERLINE_PAYLOAD_KEYS: ")
		require.Contains(t, silent(keyed, "console", "--log-format", "json"), "LEDGERLINE_PAYLOAD_KEYS: ")
	}
	// The worker says so of each of its variables, and of the database.
	require.Contains(t, silent(good, "worker", "x"), "unexpected argument")
	for unset, says := range map[string]string{"": "LEDGERLINE_SMTP_URL", "LEDGERLINE_SMTP_URL": "cannot reach PostgreSQL"} {
		env := values(names)
		delete(env, unset)
		require.Contains(t, silent(env, "worker", "--log-level", "DEBUG"), says)
		silent(env, "worker", "--log-format", "text")
	}

	// The console says so of all of its variables at once, and of the database.
	said := silent(good, "console", "x")
	for _, part := range []string{"unexpected argument", "--oidc-client-secret-file", "--cookie-key-file", "--access", "--tls-certificate", "the issuer is not a URL"} {
		require.Contains(t, said, part)
	}
	alone := map[string]string{"LEDGERLINE_CONSOLE_DEVELOPMENT": "true"}
	for name, value := range good {
		if !strings.HasPrefix(name, "LEDGERLINE_OIDC") && !strings.HasPrefix(name, "LEDGERLINE_CONSOLE") {
			alone[name] = value
		}
	}
	require.Contains(t, silent(alone, "console", "--log-level", "DEBUG"), "cannot reach PostgreSQL")
	silent(alone, "console", "--log-format", "text")

	// Each variable with a value that cannot be read, while nothing else is wrong.
	for _, name := range names {
		env := map[string]string{"DATABASE_URL": "postgres://x@127.0.0.1:1/x", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
		value := "plain"
		if secret(name) {
			value = canary
		}
		env[name] = value + "\x1b[31m:// =" + value
		if strings.HasPrefix(name, "TEMPORAL_") && name != "TEMPORAL_ADDRESS" {
			silent(env, "starter", "show", id)
		} else if name == "SOAK" || name == "SEED" {
			silent(env, "soak", "x")
		} else {
			silent(env, "starter", "health")
			silent(env, "worker", "--startup-timeout", "1s")
			env["LEDGERLINE_CONSOLE_DEVELOPMENT"] = cmp.Or(env["LEDGERLINE_CONSOLE_DEVELOPMENT"], "true")
			silent(env, "console", "--startup-timeout", "1s")
		}
	}
	silent(map[string]string{"DATABASE_URL": canary + "://" + canary + ":x@y/z"}, "worker", "--log-level", "INFO")
}

// starterCommands lists every command of starter, as its completion does.
func starterCommands(output func(env map[string]string, program string, args ...string) string) (all []string) {
	var walk func(prefix []string)
	walk = func(prefix []string) {
		for _, line := range strings.Split(output(nil, "starter", append(append([]string{"__complete"}, prefix...), "")...), "\n") {
			name, _, ok := strings.Cut(line, "\t")
			if !ok || name == "completion" || name == "help" || strings.HasPrefix(name, "-") {
				continue
			}
			path := append(slices.Clone(prefix), name)
			all = append(all, strings.Join(path, " "))
			walk(path)
		}
	}
	walk(nil)
	return all
}
