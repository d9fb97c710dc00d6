package proc

import "syscall"

// dieWithParent has the kernel kill the node should the test process die.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
