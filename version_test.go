package ledgerline_test

import (
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// worker and starter print, on stdout and without any setting, what the Go command has
// written into them.
func TestVersions(t *testing.T) {
	for _, program := range []string{"worker", "starter"} {
		bin := filepath.Join(t.TempDir(), program)
		goIn(t, ".", "build", "-buildvcs=auto", "-o", bin, "./cmd/"+program)
		info, err := buildinfo.ReadFile(bin)
		require.NoError(t, err)
		out, err := (&exec.Cmd{Path: bin, Args: []string{program, "--version"}, Env: []string{}}).Output()
		require.NoError(t, err)
		require.Regexp(t, `^`+program+` \S+ \(commit .+\), go1\S* \w+/\w+\n$`, string(out))
		require.Contains(t, string(out), info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.time" {
				require.Contains(t, string(out), s.Value)
			}
		}
	}
}
