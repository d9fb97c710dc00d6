//go:build !linux

package main

import "syscall"

// attributes keep Ctrl-C in the terminal from reaching the nodes, which are
// stopped in order instead.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
