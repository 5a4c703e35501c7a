//go:build !linux

package main

import "syscall"

// dieWithParent changes nothing: only Linux can tie a child to its parent. A child whose parent was killed ends with the
// terminal's Ctrl-C, like any other of its group.
func dieWithParent() *syscall.SysProcAttr { return nil }
