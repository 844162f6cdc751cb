package devstack

import "syscall"

// dieWithParent makes the kernel end a child when its parent is gone, also when
// that was killed. A process group of its own keeps a Ctrl-C at the terminal
// from reaching it before the parent has stopped it in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
