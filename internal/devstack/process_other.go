//go:build !linux

package devstack

import "syscall"

// dieWithParent gives a child a process group of its own, as on Linux. No other kernel
// ends a child whose parent was killed: there, a program that ends by itself or with
// Ctrl-C stops its servers, and one that gets SIGKILL leaves them to be stopped by hand.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
