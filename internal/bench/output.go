package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// figures are what a run has measured, for people on the standard output and for programs
// in a file.
var figures results

// results is the content of the file.
type results struct {
	Began   time.Time         `json:"began"`
	Commit  string            `json:"commit"` // "-dirty" behind it with changes that are not committed
	Machine machine           `json:"machine"`
	Version map[string]string `json:"versions"`
	Figures []figure          `json:"figures"`
}

type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	MemoryMB  int    `json:"memoryMB"`
	System    string `json:"system"`
}

// figure is one line.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"` // "<=1.2" or ">=0.9"; "" of a figure that only informs
	Met    bool    `json:"met"`              // true without a target
}

// bound is a target: at least or at most a limit.
type bound struct {
	limit float64
	least bool
}

func atLeast(v float64) bound { return bound{v, true} }
func atMost(v float64) bound  { return bound{v, false} }

// none is the target of a figure that only informs.
var none = bound{limit: math.Inf(1)}

// report prints a figure and keeps it. What could not be measured, such as a ratio to
// nothing, is printed and not kept: JSON has no word for it.
func report(name string, value float64, unit string, target bound) {
	f := figure{Name: name, Value: value, Unit: unit, Target: "<=" + number(target.limit), Met: value <= target.limit}
	if target.least {
		f.Target, f.Met = ">="+number(target.limit), value >= target.limit
	}
	verdict := "miss"
	if f.Met {
		verdict = "ok"
	}
	if line := fmt.Sprintf("bench %s %s %s", f.Name, number(f.Value), f.Unit); target == none {
		f.Target = ""
		fmt.Println(line)
	} else {
		fmt.Printf("%s target %s %s\n", line, f.Target, verdict)
	}
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		figures.Figures = append(figures.Figures, f)
	}
}

// begin prints what is measured on.
func (r *results) begin() {
	r.Began = time.Now().UTC().Truncate(time.Second)
	r.Commit = command("git", "describe", "--always", "--dirty", "--exclude", "*", "--abbrev=12")
	r.Machine = machine{
		Processor: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
	}
	kilobytes, _, _ := strings.Cut(procField("/proc/meminfo", "MemTotal"), " ")
	if n, err := strconv.Atoi(kilobytes); err == nil {
		r.Machine.MemoryMB = n / 1024
	}
	r.Version = map[string]string{"Go": runtime.Version(), "Temporal": command("go", "list", "-C", "tools", "-m", "-f", "{{.Version}}", "go.temporal.io/server")}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "go.temporal.io/sdk" {
				r.Version["Temporal SDK"] = m.Version
			}
		}
	}
	r.Version["PostgreSQL"] = strings.TrimPrefix(devstack.PostgresVersion(), "postgres (PostgreSQL) ")
	fmt.Printf("# %s, commit %s; %d cores, %s, %d MB, %s; Go %s, Temporal %s, SDK %s, PostgreSQL %s\n", r.Began.Format(time.DateTime), r.Commit,
		r.Machine.Cores, r.Machine.Processor, r.Machine.MemoryMB, r.Machine.System, r.Version["Go"], r.Version["Temporal"], r.Version["Temporal SDK"], r.Version["PostgreSQL"])
}

// write writes the file, if one was asked for.
func (r *results) write(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// command returns what a program prints, or "unknown".
func command(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// procField is a field of a file of the Linux kernel, "unknown" elsewhere.
func procField(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// number prints three significant digits, and whole numbers whole.
func number(v float64) string {
	if v >= 100 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// median of the values, which must not be empty.
func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
