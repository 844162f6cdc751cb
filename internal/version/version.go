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

// Info is what a binary says of itself.
type Info struct {
	Version  string `json:"version"`            // of the module; where nobody gave it one, made of its commit
	Commit   string `json:"commit,omitempty"`   // "" if the binary does not say it
	Time     string `json:"time,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // since the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Read returns what this program says of itself.
func Read() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return read(info)
}

func read(info *debug.BuildInfo) Info {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	i := Info{
		Version: cmp.Or(info.Main.Version, devel), Commit: settings["vcs.revision"], Time: settings["vcs.time"], Modified: settings["vcs.modified"] == "true",
		Go: cmp.Or(info.GoVersion, runtime.Version()), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if i.Version == devel && i.Commit != "" {
		i.Version = "devel-" + i.Commit[:min(12, len(i.Commit))]
	}
	return i
}

// devel is the go command's word for a version that it does not know.
const devel = "(devel)"

// Line is one line for people and support, such as
// "worker v1.4.0 (commit 6c38da1…, 2026-11-27T07:05:15Z, modified), go1.26.8 linux/amd64".
// Where the binary does not say which commit it is of, so does the line.
func Line(program string) string { return Read().Line(program) }

// Build is the version of the module and the commit of this program. The commit is ""
// where the binary does not say it.
func Build() (version, commit string) {
	i := Read()
	return i.Version, i.Commit
}

// Line is the line of a program, see [Line].
func (i Info) Line(program string) string {
	commit := []string{"commit unknown"} // built without version control: go run, go test, an unpacked archive
	if i.Commit != "" {
		commit = []string{"commit " + i.Commit, i.Time}
		if i.Modified {
			commit = append(commit, "modified")
		}
	}
	return fmt.Sprintf("%s %s (%s), %s %s", program, i.Version, strings.Join(commit, ", "), i.Go, i.Platform)
}
