package version

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	platform := " " + runtime.GOOS + "/" + runtime.GOARCH
	settings := []debug.BuildSetting{{Key: "vcs.revision", Value: "6c38da1"}, {Key: "vcs.time", Value: "2026-11-27T07:05:15Z"}}
	for name, c := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"release": {debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.4.0"}, Settings: append(settings, debug.BuildSetting{Key: "vcs.modified", Value: "false"})},
			"worker v1.4.0 (commit 6c38da1, 2026-11-27T07:05:15Z), go1.26.8" + platform},
		"modified": {debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.4.0+dirty"}, Settings: append(settings, debug.BuildSetting{Key: "vcs.modified", Value: "true"})},
			"worker v1.4.0+dirty (commit 6c38da1, 2026-11-27T07:05:15Z, modified), go1.26.8" + platform},
		"no version control": {debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}, "worker (devel) (commit unknown), go1.26.8" + platform},
		"no version": {debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}, Settings: settings},
			"worker devel-6c38da1 (commit 6c38da1, 2026-11-27T07:05:15Z), go1.26.8" + platform},
		"nothing known": {debug.BuildInfo{}, "worker (devel) (commit unknown), " + runtime.Version() + platform},
	} {
		require.Equal(t, c.want, read(&c.info).Line("worker"), name)
	}
}
