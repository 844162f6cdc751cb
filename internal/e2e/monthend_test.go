package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// step is a command of a page, and what the page shows of its output.
type step struct {
	command string
	exits   int
	shows   []string // lines; "…" stands for any text
}

var exits = regexp.MustCompile(`\s+# exits (\d)$`)

// stepsOf reads the blocks of a page that begin with ```console: a line "$ command",
// perhaps with "# exits 3" behind it, and below it what it prints, whole lines or parts
// of them in their order.
func stepsOf(t *testing.T, page string) (steps []step) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			s := step{command: line[2:]}
			if found := exits.FindStringSubmatch(s.command); found != nil {
				s.exits, _ = strconv.Atoi(found[1])
				s.command = strings.TrimSuffix(s.command, found[0])
			}
			steps = append(steps, s)
		case strings.TrimSpace(line) != "":
			last := &steps[len(steps)-1]
			last.shows = append(last.shows, line)
		}
	}
	require.NotEmpty(t, steps, "%s has no commands", page)
	return steps
}

// blanks are one where a table has some.
var blanks = regexp.MustCompile(`[ \t]+`)

// pattern matches a line that a page shows.
func (s step) pattern(line string) *regexp.Regexp {
	var parts []string
	for _, part := range strings.Split(blanks.ReplaceAllString(strings.TrimSpace(line), " "), "…") {
		parts = append(parts, regexp.QuoteMeta(part))
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

// run runs the commands of a page in a shell, one after the other, in the folder of the
// page. Lines "export NAME=value" hold for those after them.
func run(t *testing.T, page string, env []string) {
	t.Helper()
	for _, s := range stepsOf(t, page) {
		if set, ok := strings.CutPrefix(s.command, "export "); ok {
			env = append(env, set)
			continue
		}
		c := exec.CommandContext(bounded(t, longest), "bash", "-c", s.command)
		c.Dir = filepath.Dir(page)
		c.Env = append(append(os.Environ(), env...), "PATH="+filepath.Dir(starterBin)+":"+os.Getenv("PATH"), "TZ=Europe/Oslo")
		out, _ := c.CombinedOutput()
		require.Equal(t, s.exits, c.ProcessState.ExitCode(), "%s\n%s", s.command, out)
		left := blanks.ReplaceAllString(string(out), " ")
		for _, line := range s.shows {
			at := s.pattern(line).FindStringIndex(left)
			require.NotNil(t, at, "%s: the page shows\n%s\nand what is left of the output is\n%s", s.command, line, left)
			left = left[at[1]:]
		}
		t.Logf("$ %s\n%s", s.command, out)
	}
}

// The ten questions of the end of a month are answered as docs/month-end.md says, each by
// one command.
func TestMonthEnd(t *testing.T) {
	startWorker(t)
	path, err := stack.File("eksempel.yaml", stack.Example(uuid.New(), quick))
	require.NoError(t, err)
	_, words, code := starter(t, "", "integrations", "apply", "-f", path)
	require.Zero(t, code, words)
	run(t, "../../docs/month-end.md", stack.Env(devstack.Operator))
}
