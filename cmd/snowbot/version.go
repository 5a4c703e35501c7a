package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set when the binary is built: go build -ldflags "-X main.release=v1.2.3".
var release = "dev"

func version() string {
	if release == "dev" {
		if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
			return b.Main.Version
		}
	}
	return release
}

type versionCommand struct{}

// Run prints the version, and what it was built with.
func (versionCommand) Run() error { //nolint:unparam // the form of every command
	fmt.Printf("snowbot %s (%s %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
