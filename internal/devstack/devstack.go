// Package devstack runs the real parts that Ledgerline needs, for the demo, the
// tests and the benchmark: a private PostgreSQL cluster, a Temporal server on another,
// and Ledgerline's own programs as child processes.
//
// Everything listens on loopback at ports that are free, keeps its data in a
// folder of its own, and dies with the program that started it, so that any
// number of stacks run beside each other. Nothing here is used in production.
package devstack

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// freePort returns a port that is free now. Someone else may take it before it
// is used, so whoever uses it tries again with another.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// portFree reports whether a port can be listened on.
func portFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		l.Close()
	}
	return err == nil
}

// moduleRoot returns the folder of the main module, at or above the working directory.
// It is not the next go.mod, which may be that of internal/faults.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "imports_test.go")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside the source of Ledgerline", dir)
		}
	}
}

// logTo returns w, or nowhere.
func logTo(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
