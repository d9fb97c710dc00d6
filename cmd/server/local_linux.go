package main

import "syscall"

// attributes keep Ctrl-C in the terminal from reaching the nodes, which are
// stopped in order instead, and end them where this process is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
