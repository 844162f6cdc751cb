package devstack

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// consolePort is where a console is looked for first.
const consolePort = 8090

var consoleListens = regexp.MustCompile(`"listen":"([^"]+)","ops":"([^"]+)"`)

// ConsoleProcess is a console in development mode: everybody on this machine is an administrator.
type ConsoleProcess struct {
	*Process
	URL string // of its pages
	Ops string // of /readyz and the others
}

// StartConsole starts a console and waits until it answers. It is at port 8090 if that is free.
func StartConsole(ctx context.Context, bin string, env []string) (*ConsoleProcess, error) {
	at := "127.0.0.1:0"
	if portFree(consolePort) {
		at = fmt.Sprintf("127.0.0.1:%d", consolePort)
	}
	p, err := StartProcess(ctx, bin, []string{"--development", "--listen", at, "--ops-listen", "127.0.0.1:0"}, env,
		func(line string) bool { return strings.Contains(line, "console ready") })
	if err != nil {
		return nil, err
	}
	found := consoleListens.FindStringSubmatch(p.Output())
	if found == nil {
		p.Kill()
		return nil, fmt.Errorf("the console does not say where it listens: %s", p.Output())
	}
	return &ConsoleProcess{Process: p, URL: "http://" + found[1], Ops: "http://" + found[2]}, nil
}
