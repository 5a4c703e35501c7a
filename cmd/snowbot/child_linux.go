package main

import "syscall"

// dieWithParent lets the kernel kill the child when this process dies in any way, and keeps Ctrl-C in the terminal from
// reaching the child, which is ended in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
