// Package version says which build a program is, from what the Go command writes into
// every binary: there is no number to be kept in step with anything.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Line is one line for people and support, such as
// "worker v1.4.0 (commit 6c38da1…, 2026-11-27T07:05:15Z, modified), go1.26.8 linux/amd64".
// Where the binary does not say which commit it is of, so does the line.
func Line(program string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return line(program, info)
}

// Build is the version of the module and the commit of this program. The commit is ""
// where the binary does not say it.
func Build() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)", ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return cmp.Or(info.Main.Version, "(devel)"), commit
}

func line(program string, info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := []string{"commit unknown"} // built without version control: go run, go test, an unpacked archive
	if revision := settings["vcs.revision"]; revision != "" {
		commit = []string{"commit " + revision, settings["vcs.time"]}
		if settings["vcs.modified"] == "true" {
			commit = append(commit, "modified")
		}
	}
	return fmt.Sprintf("%s %s (%s), %s %s/%s", program, cmp.Or(info.Main.Version, "(devel)"), strings.Join(commit, ", "),
		cmp.Or(info.GoVersion, runtime.Version()), runtime.GOOS, runtime.GOARCH)
}
